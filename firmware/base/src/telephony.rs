//! What a call is made of, in the words all its engines share: lines, calls, keys of the keypad, who calls.
//!
//! `engines/phone` decides with them, `engines/sip` carries them, `engines/media` sounds them; none of those imports another. Nothing
//! here knows a protocol.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// A telephone number or the user part of a SIP URI as people write it: digits, `+`, `*`, `#`, or a name.
pub type Number = Text<48>;
/// A display name.
pub type DisplayName = Text<63>;

/// An FXS line of the board, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineId(pub u8);

impl LineId {
    /// A board has at most this many lines.
    pub const LIMIT: usize = 4;

    /// As an index into tables of [`LineId::LIMIT`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize % Self::LIMIT
    }
}

impl fmt::Display for LineId {
    /// People count from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", u16::from(self.0) + 1)
    }
}

/// One call of the router, whatever carries it. Never used twice while the router runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}", self.0)
    }
}

/// What a line puts on its two wires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// Battery, tip positive to ring: the ordinary state, on-hook and off-hook.
    #[default]
    Forward,
    /// Battery the other way round: answer supervision, caller ID signal of some countries.
    Reverse,
    /// Ringing voltage at this frequency in hertz (16 to 50). The driver stops it by itself when the loop closes (ring trip).
    Ringing(u8),
    /// No battery: the disconnect signal.
    Open,
}

/// A key of the keypad, or what pulses, tones, RFC 4733 events and SIP INFO say in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u8);

impl Key {
    /// All sixteen, in the order of their RFC 4733 event codes: `0`–`9`, `*`, `#`, `A`–`D`.
    pub const ALL: [Self; 16] = {
        let mut keys = [Self(0); 16];
        let mut code = 0;
        while code < 16 {
            keys[code as usize] = Self(code);
            code += 1;
        }
        keys
    };
    /// `*`.
    pub const STAR: Self = Self(10);
    /// `#`.
    pub const HASH: Self = Self(11);

    const CHARACTERS: [u8; 16] = *b"0123456789*#ABCD";

    /// The key of an RFC 4733 event code; `None` above 15.
    pub const fn from_event(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// The key written as this character; `a`–`d` too.
    pub fn from_char(character: char) -> Option<Self> {
        let character = character.to_ascii_uppercase();
        let code = Self::CHARACTERS.iter().position(|key| char::from(*key) == character)?;
        Self::from_event(code as u8)
    }

    /// The RFC 4733 event code, 0 to 15.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// As it is printed on the keypad.
    pub const fn as_char(self) -> char {
        Self::CHARACTERS[(self.0 & 15) as usize] as char
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

/// Whether the other party may be shown who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presentation {
    /// Shown.
    #[default]
    Allowed,
    /// The caller withholds it: "private".
    Withheld,
    /// The network does not know it: "unavailable".
    Unavailable,
}

/// Who is at the other end, as far as the network says. Strangers write these texts: they are cleaned, bounded, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Their number; empty when there is none to show.
    pub number: Number,
    /// Their name; empty when there is none to show.
    pub name: DisplayName,
    /// Whether number and name may be shown.
    pub presentation: Presentation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_their_event_codes() {
        for (code, key) in Key::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(key.event()), code);
            assert_eq!(Key::from_char(key.as_char()), Some(key));
        }
        assert_eq!(Key::from_char('d').map(Key::event), Some(15));
        assert_eq!((Key::from_char('E'), Key::from_event(16)), (None, None));
    }
}
