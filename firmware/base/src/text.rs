//! Text of bounded length, cleaned of what a stranger's host name may carry.
//!
//! Names from the network (host names, vendor strings) become [`Text`] once, at the edge: valid UTF-8, no control
//! characters, cut at a character boundary. Escaping for HTML or JSON is the business of whoever prints it.

use core::fmt;
use core::ops::Deref;

use serde::{Deserialize, Serialize};

/// Neither a control character nor one that changes what the text around it looks like: marks, embeddings, overrides and isolates of
/// direction, ends of line and paragraph, zero width (Unicode Standard Annex 9).
fn is_harmless(character: char) -> bool {
    let disguises = matches!(character, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !character.is_control() && !disguises
}

/// UTF-8 text of at most `N` bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<const N: usize>(heapless::String<N>);

impl<const N: usize> Text<N> {
    /// No text.
    pub const fn new() -> Self {
        Self(heapless::String::new())
    }

    /// As much of `text` as fits, cut between characters, control characters left out.
    pub fn lossy(text: &str) -> Self {
        let mut out = heapless::String::new();
        for character in text.chars().filter(|character| is_harmless(*character)) {
            if out.push(character).is_err() {
                break;
            }
        }
        Self(out)
    }

    /// Bytes off the wire: what is not UTF-8 becomes `?`, then as [`Text::lossy`].
    pub fn from_wire(bytes: &[u8]) -> Self {
        let mut out = heapless::String::new();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars().filter(|character| is_harmless(*character)) {
                if out.push(character).is_err() {
                    return Self(out);
                }
            }
            if !chunk.invalid().is_empty() && out.push('?').is_err() {
                return Self(out);
            }
        }
        Self(out)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    /// What does not fit is left out; never an error.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.push(character).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        Self::lossy(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_cut_between_characters_and_lose_their_controls() {
        assert_eq!(Text::<4>::lossy("aé€b").as_str(), "aé");
        // A caller's number written backwards would be another's.
        assert_eq!(Text::<16>::lossy("\u{202e}1002\u{202c} \u{2028}a").as_str(), "1002 a");
        assert_eq!(Text::<16>::from_wire(b"tv\x00\x1b[2J\xff!").as_str(), "tv[2J?!");
    }
}
