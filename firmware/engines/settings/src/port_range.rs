//! One port or a run of ports, as people write it: `443` or `8000-8010`.
//!
//! A value of this type is always in order and never holds port 0, so nobody has to check again.

use core::fmt;
use core::str::FromStr;

use dialtone_base::text::Text;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// TCP or UDP ports `first` to `last`, both included, 1 to 65535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// The text is no port and no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPortRange;

impl PortRange {
    /// `None` when a port is 0 or `last` lies before `first`.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || last < first { None } else { Some(Self { first, last }) }
    }

    /// A single port; `None` for 0.
    pub const fn single(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port, included.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// How many ports, 1 to 65535.
    pub const fn count(self) -> u16 {
        self.last - self.first + 1
    }

    /// Whether `port` is one of them.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether any port is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Debug for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PortRange {
    type Err = BadPortRange;

    fn from_str(text: &str) -> Result<Self, BadPortRange> {
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| BadPortRange);
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => Self::single(port(text)?),
        }
        .ok_or(BadPortRange)
    }
}

/// As text in JSON, as two numbers in flash.
impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.first, self.last).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(TextOrNumber);
        }
        let (first, last) = <(u16, u16)>::deserialize(deserializer)?;
        Self::new(first, last).ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = PortRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, port: u64) -> Result<PortRange, E> {
        let range = u16::try_from(port).ok().and_then(PortRange::single);
        range.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(port), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PortRange, E> {
        // The text is cut in the message: it may be of any length.
        text.parse()
            .map_err(|BadPortRange| E::invalid_value(de::Unexpected::Str(&Text::<24>::lossy(text)), &self))
    }
}

const EXPECTED: &str = "a port like 443 or ports in order like \"8000-8010\", each from 1 to 65535";

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn ranges_read_back_what_they_print_and_refuse_nonsense() {
        for text in ["1", "443", "8000-8010", "1-65535"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        for bad in ["", "0", "10-9", "-", "1-", "-5", "65536", "1-2-3", "ssh"] {
            assert_eq!(bad.parse::<PortRange>(), Err(BadPortRange), "{bad}");
        }
    }

    #[test]
    fn json_takes_a_number_or_text() {
        assert_eq!(serde_json::from_str::<PortRange>("80").unwrap(), PortRange::single(80).unwrap());
        assert_eq!(serde_json::from_str::<PortRange>("\"80-81\"").unwrap(), PortRange::new(80, 81).unwrap());
        for bad in ["0", "-1", "70000", "\"81-80\"", "true", "1.5"] {
            assert!(serde_json::from_str::<PortRange>(bad).is_err(), "{bad}");
        }
    }
}
