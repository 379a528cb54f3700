//! Which port, and which part of the house a frame belongs to.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A port of the board: 0 to [`PortId::MAX`], in the order the board lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortId(pub u8);

impl PortId {
    /// A board has at most this many ports (0 to 15).
    pub const LIMIT: usize = 16;

    /// As an index into tables of [`PortId::LIMIT`] entries.
    pub const fn index(self) -> usize {
        self.0 as usize % Self::LIMIT
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

/// A set of ports, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSet(u16);

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self(0);

    /// The set with `port` added.
    pub const fn with(self, port: PortId) -> Self {
        Self(self.0 | 1 << port.index())
    }

    /// The set with `port` removed.
    pub const fn without(self, port: PortId) -> Self {
        Self(self.0 & !(1 << port.index()))
    }

    /// Whether `port` is in it.
    pub const fn contains(self, port: PortId) -> bool {
        self.0 & 1 << port.index() != 0
    }

    /// Whether no port is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many ports are in it.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The ports, lowest first.
    pub fn iter(self) -> impl Iterator<Item = PortId> {
        (0..PortId::LIMIT as u8).map(PortId).filter(move |port| self.contains(*port))
    }
}

/// The part of the house a port belongs to; the firewall's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// The household's own network.
    Lan,
    /// Visitors: they reach the WAN and nothing else.
    Guest,
    /// The operator's side and everything beyond.
    Wan,
}

impl Zone {
    /// Every zone.
    pub const ALL: [Self; 3] = [Self::Lan, Self::Guest, Self::Wan];

    /// As an index into tables of three.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word shown to people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Guest => "guest",
            Self::Wan => "wan",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
