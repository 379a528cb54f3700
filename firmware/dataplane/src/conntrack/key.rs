//! What names one direction of a flow, and the keyed hash over it.
//!
//! A key is the five-tuple as it arrives plus the realm it arrives from, so that a flow is only ever found by packets
//! of its own zone. The hash is a folded multiplication under a secret from the seed: cheap, and nobody outside can
//! build collisions.

use core::net::Ipv4Addr;

use dialtone_base::{Random, Zone};
use dialtone_wire::Plain;

/// Where a packet enters: a zone's ports, or the router's own stack towards the WAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Realm {
    Lan = 0,
    Guest = 1,
    Wan = 2,
    Router = 3,
}

impl Realm {
    pub(crate) const fn of(zone: Zone) -> Self {
        match zone {
            Zone::Lan => Self::Lan,
            Zone::Guest => Self::Guest,
            Zone::Wan => Self::Wan,
        }
    }

    /// The zone whose ports it stands for; the router counts as none.
    pub(crate) const fn zone(self) -> Option<Zone> {
        match self {
            Self::Lan => Some(Zone::Lan),
            Self::Guest => Some(Zone::Guest),
            Self::Wan => Some(Zone::Wan),
            Self::Router => None,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Lan,
            1 => Self::Guest,
            2 => Self::Wan,
            _ => Self::Router,
        }
    }
}

/// One direction of a flow, as it arrives. For ICMP queries both ports are the identifier; protocols without ports have 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Key {
    addresses: u64,
    rest: u64,
}

impl Key {
    #[inline(always)]
    pub(crate) const fn new(
        realm: Realm,
        protocol: u8,
        source: (Ipv4Addr, u16),
        destination: (Ipv4Addr, u16),
    ) -> Self {
        Self {
            addresses: (source.0.to_bits() as u64) << 32 | destination.0.to_bits() as u64,
            rest: (source.1 as u64) << 48
                | (destination.1 as u64) << 32
                | (protocol as u64) << 8
                | realm as u64,
        }
    }

    /// Of a frame the fast path read.
    #[inline(always)]
    pub(crate) const fn of_plain(realm: Realm, plain: &Plain) -> Self {
        Self {
            addresses: plain.addresses,
            rest: (plain.ports as u64) << 32 | (plain.protocol.0 as u64) << 8 | realm as u64,
        }
    }

    pub(crate) const fn source(self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::from_bits((self.addresses >> 32) as u32), (self.rest >> 48) as u16)
    }

    pub(crate) const fn destination(self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::from_bits(self.addresses as u32), (self.rest >> 32) as u16)
    }

    #[inline(always)]
    pub(crate) const fn is_from_wan(self) -> bool {
        self.rest & 3 == Realm::Wan as u64
    }

    pub(crate) const fn protocol(self) -> u8 {
        (self.rest >> 8) as u8
    }

    pub(crate) const fn realm(self) -> Realm {
        Realm::from_bits(self.rest)
    }
}

/// The secret of the hash.
#[derive(Clone, Debug)]
pub(crate) struct HashKey([u64; 3]);

impl HashKey {
    pub(crate) fn new(random: &mut Random) -> Self {
        // Odd, so that the multiplication loses nothing.
        Self([random.next_u64(), random.next_u64(), random.next_u64() | 1])
    }

    /// 64 well-mixed bits of a flow key.
    #[inline(always)]
    pub(crate) const fn of(&self, key: &Key) -> u64 {
        self.of_words(key.addresses, key.rest)
    }

    /// The same for any two words.
    #[inline(always)]
    pub(crate) const fn of_words(&self, first: u64, second: u64) -> u64 {
        let mixed = fold(first ^ self.0[0], second ^ self.0[1]);
        fold(mixed ^ second, self.0[2])
    }
}

#[inline(always)]
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}
