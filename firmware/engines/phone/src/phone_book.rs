//! The phone book: names for numbers, short codes for both.
//!
//! Bounded. A caller's number is matched by its last digits, because networks write the same number with and without prefixes.

use dialtone_base::telephony::{DisplayName, Number};
use heapless::Vec;

use crate::calls::output::RingPattern;

/// Entries at most.
pub const ENTRIES: usize = 100;

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub name: DisplayName,
    /// Their number, as it is dialled.
    pub number: Number,
    /// Dialled as `**7` and two digits, 1 to 99.
    pub short_code: Option<u8>,
    /// How it rings when they call.
    pub ring: Option<RingPattern>,
}

/// The entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhoneBook {
    entries: Vec<Entry, ENTRIES>,
}

impl PhoneBook {
    /// Without entries.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds an entry; `false` when there is no room.
    #[must_use]
    pub fn add(&mut self, entry: Entry) -> bool {
        self.entries.push(entry).is_ok()
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of a short code.
    pub fn by_short_code(&self, code: u8) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.short_code == Some(code))
    }

    /// The entry that is most likely meant by a caller's number: the same digits, or the one that agrees in most of its last
    /// digits, at least [`SUFFIX`] of them.
    pub fn by_number(&self, number: &str) -> Option<&Entry> {
        let mut best: Option<(&Entry, usize)> = None;
        for entry in &self.entries {
            let agree = common_suffix(&entry.number, number);
            let (own, theirs) = (digits(&entry.number).count(), digits(number).count());
            let whole = own == theirs && agree == own && own > 0;
            if !whole && (agree < SUFFIX || (agree < own.min(theirs) && agree + PREFIX < own.max(theirs))) {
                continue;
            }
            let rank = if whole { usize::MAX } else { agree };
            if best.is_none_or(|(_, before)| before < rank) {
                best = Some((entry, rank));
            }
        }
        best.map(|(entry, _)| entry)
    }
}

fn digits(number: &str) -> impl DoubleEndedIterator<Item = u8> {
    number.bytes().filter(u8::is_ascii_digit)
}

fn common_suffix(one: &str, other: &str) -> usize {
    digits(one).rev().zip(digits(other).rev()).take_while(|(a, b)| a == b).count()
}

/// Last digits that must agree when the numbers are not equal: a local number.
pub const SUFFIX: usize = 7;
/// Leading digits that may differ: `0049` before one, `0` before the other.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn book(numbers: &[&str]) -> PhoneBook {
        let mut book = PhoneBook::new();
        for number in numbers {
            let entry =
                Entry { name: DisplayName::lossy(number), number: Number::lossy(number), ..Entry::default() };
            assert!(book.add(entry));
        }
        book
    }

    #[test]
    fn a_caller_is_known_however_the_network_writes_the_number() {
        let book = book(&["+49 30 7654321", "112", "030 7654322", "+1 212 555 0100"]);
        for (number, found) in [
            ("0307654321", Some("+49 30 7654321")),
            ("0049307654321", Some("+49 30 7654321")),
            ("7654321", Some("+49 30 7654321")),
            ("+49307654322", Some("030 7654322")),
            ("112", Some("112")),
            ("49112", None),
            ("12", None),
            ("", None),
            ("4321", None),
            ("anonymous", None),
            ("12125550100", Some("+1 212 555 0100")),
        ] {
            assert_eq!(book.by_number(number).map(|entry| entry.name.as_str()), found, "{number}");
        }
    }

    #[test]
    fn the_same_digits_win_over_the_same_ending() {
        let book = book(&["0407654321", "7654321", "0307654321"]);
        assert_eq!(book.by_number("0307654321").unwrap().name.as_str(), "0307654321");
        assert_eq!(book.by_number("7654321").unwrap().name.as_str(), "7654321");
    }

    #[test]
    fn a_full_book_takes_no_more() {
        let mut book = PhoneBook::new();
        for code in 0..ENTRIES as u8 {
            assert!(book.add(Entry { short_code: Some(code), ..Entry::default() }));
        }
        assert!(!book.add(Entry::default()));
        assert_eq!(book.iter().count(), ENTRIES);
        assert!(book.by_short_code(99).is_some() && book.by_short_code(100).is_none());
        assert!(book.by_number("").is_none(), "an entry without a number is nobody's");
    }
}
