//! Digit maps: when is a dialled number complete?
//!
//! The syntax telephone adapters share, a subset of RFC 3435 section 2.1.5: alternatives between `|`, in each `0`–`9 * #` as they are,
//! `x` for any digit, `[2-9]` or `[^1]` for one of several, `.` for none or more of what stands before it, `T` at the end for "wait a
//! moment, there may be more". Blanks and one pair of parentheses around the whole are ignored. An alternative that is complete and has no `T` is
//! sent at once, even while a longer one could still come; one that ends in `.` always waits. Replacements (`<0:49>`), delays (`,`) and
//! blocks (`!`) of some adapters are refused by name: number rules do that here.

use core::fmt;

use heapless::Vec;

use crate::telephony::Key;
use crate::text::Text;

/// Alternatives at most.
pub const ALTERNATIVES: usize = 32;
/// Elements of one alternative at most.
pub const LENGTH: usize = 48;
/// Elements of all alternatives at most.
pub const ELEMENTS: usize = 256;

/// A digit map as people write it.
pub type DigitMapText = Text<255>;

/// A parsed digit map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitMap {
    elements: Vec<Element, ELEMENTS>,
    alternatives: Vec<Alternative, ALTERNATIVES>,
}

/// What a map says about the digits dialled so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// No alternative begins like this.
    Impossible,
    /// More digits are needed.
    Partial,
    /// Complete, but more may come: wait a moment.
    CouldEnd,
    /// Complete: send it.
    Complete,
}

/// Why a map was refused. Positions count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitMapError {
    /// Nothing in it, or nothing between two bars.
    EmptyAlternative {
        /// Where.
        at: usize,
    },
    /// A character the syntax does not have.
    Unknown {
        /// Which.
        character: char,
        /// Where.
        at: usize,
    },
    /// A feature of some adapters that number rules do here: `<…>`, `!`, `,`, `S`.
    UseRules {
        /// Which.
        character: char,
        /// Where.
        at: usize,
    },
    /// `[` without `]`, `[]`, or a range that runs backwards.
    BadSet {
        /// Where it begins.
        at: usize,
    },
    /// `.` with nothing before it that could be repeated.
    NothingToRepeat {
        /// Where.
        at: usize,
    },
    /// `T` anywhere but at the end of an alternative.
    TimerInside {
        /// Where.
        at: usize,
    },
    /// Parentheses that do not match, or inside an alternative.
    Parenthesis {
        /// Where.
        at: usize,
    },
    /// More than [`ALTERNATIVES`], [`LENGTH`] or [`ELEMENTS`].
    TooLong {
        /// Where.
        at: usize,
    },
}

/// One place of an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    /// Bit n: the key with event code n.
    keys: u16,
    /// None or more of it.
    repeats: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alternative {
    first: u16,
    length: u16,
    timer: bool,
}

impl DigitMap {
    /// Reads a map.
    ///
    /// # Errors
    /// The first fault with its place.
    pub fn parse(text: &str) -> Result<Self, DigitMapError> {
        let mut map = Self { elements: Vec::new(), alternatives: Vec::new() };
        let mut parser = Parser { characters: text.chars(), at: 0 };
        let mut open = None;
        let mut closed = false;
        let mut current = Alternative { first: 0, length: 0, timer: false };
        while let Some(character) = parser.next() {
            let at = parser.at;
            if closed && !character.is_whitespace() {
                return Err(DigitMapError::Parenthesis { at });
            }
            let keys = match character {
                _ if character.is_whitespace() => continue,
                '(' if open.is_none() && current.length == 0 && map.alternatives.is_empty() => {
                    open = Some(at);
                    continue;
                }
                ')' if open.is_some() => {
                    closed = true;
                    continue;
                }
                '(' | ')' => return Err(DigitMapError::Parenthesis { at }),
                '|' => {
                    map.finish(&mut current, at)?;
                    continue;
                }
                _ if current.timer => return Err(DigitMapError::TimerInside { at: at - 1 }),
                'T' | 't' => {
                    current.timer = true;
                    continue;
                }
                '.' => {
                    let last = map.elements.last_mut().filter(|_| current.length > 0);
                    match last {
                        Some(element) if !element.repeats => element.repeats = true,
                        _ => return Err(DigitMapError::NothingToRepeat { at }),
                    }
                    continue;
                }
                'x' | 'X' => DIGITS,
                '[' => parser.set(at)?,
                '<' | '>' | ':' | '!' | ',' | 'S' | 's' | '+' => {
                    return Err(DigitMapError::UseRules { character, at });
                }
                _ => match Key::from_char(character) {
                    Some(key) => 1 << key.event(),
                    None => return Err(DigitMapError::Unknown { character, at }),
                },
            };
            if usize::from(current.length) >= LENGTH
                || map.elements.push(Element { keys, repeats: false }).is_err()
            {
                return Err(DigitMapError::TooLong { at });
            }
            current.length += 1;
        }
        if let Some(at) = open.filter(|_| !closed) {
            return Err(DigitMapError::Parenthesis { at });
        }
        let at = parser.at + 1;
        map.finish(&mut current, at)?;
        Ok(map)
    }

    /// What the map says about `dialled`. Anything but keys is impossible.
    pub fn matches(&self, dialled: &str) -> Match {
        let mut result = Match::Impossible;
        for alternative in &self.alternatives {
            let verdict = self.alternative_matches(alternative, dialled);
            result = match (result, verdict) {
                (Match::Complete, _) | (_, Match::Complete) => return Match::Complete,
                (Match::CouldEnd, _) | (_, Match::CouldEnd) => Match::CouldEnd,
                (Match::Partial, _) | (_, Match::Partial) => Match::Partial,
                (Match::Impossible, Match::Impossible) => Match::Impossible,
            };
        }
        result
    }

    fn alternative_matches(&self, alternative: &Alternative, dialled: &str) -> Match {
        let first = usize::from(alternative.first);
        let length = usize::from(alternative.length);
        let elements = self.elements.get(first..first + length).unwrap_or(&[]);
        // Bit n: the next key may be taken by element n; bit `length`: complete. LENGTH is below 64.
        let mut places = skip_repeats(elements, 1);
        for character in dialled.chars() {
            let Some(key) = Key::from_char(character) else { return Match::Impossible };
            let mut next = 0_u64;
            for (index, element) in elements.iter().enumerate() {
                if places >> index & 1 == 1 && element.keys >> key.event() & 1 == 1 {
                    next |= 1 << if element.repeats { index } else { index + 1 };
                }
            }
            places = skip_repeats(elements, next);
            if places == 0 {
                return Match::Impossible;
            }
        }
        let complete = places >> length & 1 == 1 && !dialled.is_empty();
        let more = places & !(1 << length) != 0;
        match (complete, more || alternative.timer) {
            (true, false) => Match::Complete,
            (true, true) => Match::CouldEnd,
            (false, _) => Match::Partial,
        }
    }

    fn finish(&mut self, current: &mut Alternative, at: usize) -> Result<(), DigitMapError> {
        if current.length == 0 {
            return Err(DigitMapError::EmptyAlternative { at });
        }
        self.alternatives.push(*current).map_err(|_| DigitMapError::TooLong { at })?;
        *current = Alternative { first: self.elements.len() as u16, length: 0, timer: false };
        Ok(())
    }
}

impl Default for DigitMap {
    /// Any number; complete after a moment or with `#`.
    fn default() -> Self {
        let mut map = Self { elements: Vec::new(), alternatives: Vec::new() };
        // There is room for two elements and one alternative.
        let _ = map.elements.push(Element { keys: DIGITS, repeats: false });
        let _ = map.elements.push(Element { keys: DIGITS, repeats: true });
        let _ = map.alternatives.push(Alternative { first: 0, length: 2, timer: true });
        map
    }
}

struct Parser<'a> {
    characters: core::str::Chars<'a>,
    at: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        self.at += 1;
        Some(character)
    }

    /// What follows `[` up to `]`.
    fn set(&mut self, at: usize) -> Result<u16, DigitMapError> {
        let bad = DigitMapError::BadSet { at };
        let (mut keys, mut inverted, mut before) = (0_u16, false, None);
        loop {
            let character = self.next().ok_or(bad)?;
            match character {
                ']' => break,
                '^' if keys == 0 && !inverted => inverted = true,
                'x' | 'X' => (keys, before) = (keys | DIGITS, None),
                '-' => {
                    let from = before.take().ok_or(bad)?;
                    let to = self.next().and_then(Key::from_char).ok_or(bad)?.event();
                    // Ranges are of digits: `*` and `#` have no neighbours.
                    if from > to || to > 9 {
                        return Err(bad);
                    }
                    (from..=to).for_each(|code| keys |= 1 << code);
                }
                _ => {
                    let code = Key::from_char(character).ok_or(bad)?.event();
                    keys |= 1 << code;
                    before = Some(code);
                }
            }
        }
        if inverted {
            keys = DIGITS & !keys;
        }
        if keys == 0 { Err(bad) } else { Ok(keys) }
    }
}

/// A place before something that may come never is a place behind it too.
fn skip_repeats(elements: &[Element], mut places: u64) -> u64 {
    for (index, element) in elements.iter().enumerate() {
        if element.repeats && places >> index & 1 == 1 {
            places |= 1 << (index + 1);
        }
    }
    places
}

impl fmt::Display for DigitMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyAlternative { at } => write!(f, "nothing stands before character {at}"),
            Self::Unknown { character, at } => write!(
                f,
                "'{character}' at character {at} is no part of a digit map; it has 0-9 * # x [..] . T and |"
            ),
            Self::UseRules { character, at } => {
                write!(f, "'{character}' at character {at}: number rules do that here")
            }
            Self::BadSet { at } => write!(f, "the set at character {at} is not like [2-9] or [135]"),
            Self::NothingToRepeat { at } => {
                write!(f, "'.' at character {at} has nothing before it to repeat")
            }
            Self::TimerInside { at } => write!(f, "T at character {at} may only end an alternative"),
            Self::Parenthesis { at } => {
                write!(f, "the parenthesis at character {at} does not enclose the whole map")
            }
            Self::TooLong { at } => write!(f, "too long from character {at} on"),
        }
    }
}

impl core::error::Error for DigitMapError {}

const DIGITS: u16 = 0x3ff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Seed};

    #[test]
    fn numbers_are_complete_when_the_map_says_so() {
        use Match::{Complete, CouldEnd, Impossible, Partial};
        for (map, dialled, expected) in [
            ("[2-9]xxxxxx", "", Partial),
            ("[2-9]xxxxxx", "234567", Partial),
            ("[2-9]xxxxxx", "2345678", Complete),
            ("[2-9]xxxxxx", "1", Impossible),
            ("[2-9]xxxxxx", "23456789", Impossible),
            ("x.", "1", CouldEnd),
            ("x.T", "12345678901234567890", CouldEnd),
            ("xxT", "12", CouldEnd),
            ("xxT", "123", Impossible),
            ("911|9xxx", "911", Complete),
            ("911T|9xxx", "911", CouldEnd),
            ("911T|9xxx", "9112", Complete),
            ("( 0[^0]x.T | 00xx.T )", "00", Partial),
            ("(0[^0]x.T|00xx.T)", "004", CouldEnd),
            ("*xx#", "*21#", Complete),
            ("1.2", "1112", Complete),
            ("1.2", "2", Complete),
            ("x.x.x.3", "123", CouldEnd),
            ("12", "1+", Impossible),
        ] {
            assert_eq!(DigitMap::parse(map).unwrap().matches(dialled), expected, "{map} {dialled}");
        }
        assert_eq!(DigitMap::parse("xx.T").unwrap(), DigitMap::default());
    }

    #[test]
    fn faults_name_their_place() {
        use DigitMapError as E;
        for (map, fault) in [
            ("", E::EmptyAlternative { at: 1 }),
            ("1||2", E::EmptyAlternative { at: 3 }),
            ("1|", E::EmptyAlternative { at: 3 }),
            ("1y", E::Unknown { character: 'y', at: 2 }),
            ("<0:49>x.", E::UseRules { character: '<', at: 1 }),
            ("1!", E::UseRules { character: '!', at: 2 }),
            ("1[2", E::BadSet { at: 2 }),
            ("[]", E::BadSet { at: 1 }),
            ("[9-2]", E::BadSet { at: 1 }),
            ("[1-*]", E::BadSet { at: 1 }),
            (".", E::NothingToRepeat { at: 1 }),
            ("x..", E::NothingToRepeat { at: 3 }),
            ("1|.", E::NothingToRepeat { at: 3 }),
            ("1T2", E::TimerInside { at: 2 }),
            ("(1", E::Parenthesis { at: 1 }),
            ("1)", E::Parenthesis { at: 2 }),
            ("(1)2", E::Parenthesis { at: 4 }),
        ] {
            assert_eq!(DigitMap::parse(map), Err(fault), "{map}");
        }
        let long = ["x"; LENGTH + 1].concat();
        assert_eq!(DigitMap::parse(&long), Err(E::TooLong { at: LENGTH + 1 }));
    }

    extern crate std;
    use std::string::String;

    #[test]
    fn any_text_is_a_map_or_a_fault_and_a_map_answers_anything() {
        let mut random = Random::new(Seed::from_number(7));
        let alphabet: std::vec::Vec<char> = "0123456789xXT.|[]^-*#() <!ä".chars().collect();
        let mut maps = 0;
        for _ in 0..20_000 {
            let pick = |random: &mut Random, most| -> String {
                (0..random.below(most)).map(|_| alphabet[random.below(27) as usize]).collect()
            };
            let text = pick(&mut random, 24);
            let Ok(map) = DigitMap::parse(&text) else { continue };
            maps += 1;
            let dialled = pick(&mut random, 40);
            // What can be complete can be begun: no prefix of a possible number is impossible.
            if map.matches(&dialled) != Match::Impossible {
                for (end, _) in dialled.char_indices() {
                    assert_ne!(map.matches(&dialled[..end]), Match::Impossible, "{text} {dialled}");
                }
            }
        }
        assert!(maps > 1000);
    }
}
