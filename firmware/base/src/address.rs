//! Hardware addresses and IPv4 prefixes; IP addresses themselves are `core::net`'s.
//!
//! Prefixes follow RFC 4632; the classification helpers follow RFC 6890 as far as a home router asks.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::text::Text;

/// An IEEE 802 MAC address in the order it goes over the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 00:00:00:00:00:00, never a station's address.
    pub const ZERO: Self = Self([0; 6]);

    /// Group bit set: broadcast or multicast.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// May be the address of one station: not a group, not zero.
    pub fn is_station(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }

    /// Locally administered, as randomised phone addresses are.
    pub const fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no address or prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

impl FromStr for MacAddress {
    type Err = BadAddress;

    /// Six hexadecimal octets separated by `:` or `-`.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().ok_or(BadAddress)?;
            if part.is_empty() || part.len() > 2 || part.starts_with('+') {
                return Err(BadAddress);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadAddress)?;
        }
        if parts.next().is_some() { Err(BadAddress) } else { Ok(Self(octets)) }
    }
}

/// An IPv4 address with the length of its prefix: an interface's address and network in one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Prefix {
    address: Ipv4Addr,
    length: u8,
}

impl Ipv4Prefix {
    /// `None` when `length` is above 32.
    pub const fn new(address: Ipv4Addr, length: u8) -> Option<Self> {
        if length > 32 { None } else { Some(Self { address, length }) }
    }

    /// From an address and a netmask with contiguous ones; `None` for any other mask.
    pub const fn from_netmask(address: Ipv4Addr, netmask: Ipv4Addr) -> Option<Self> {
        let mask = netmask.to_bits();
        let length = mask.leading_ones();
        if mask.count_ones() == length { Self::new(address, length as u8) } else { None }
    }

    /// The host address as given.
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the network part, 0 to 32.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Network mask, e.g. 255.255.255.0.
    pub const fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.mask())
    }

    /// First address of the network.
    pub const fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// Last address of the network, its directed broadcast.
    pub const fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether `address` lies in the network.
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }

    /// Whether the two networks share any address.
    pub const fn overlaps(self, other: Self) -> bool {
        let shorter = if self.length < other.length { self } else { other };
        (self.address.to_bits() ^ other.address.to_bits()) & shorter.mask() == 0
    }

    const fn mask(self) -> u32 {
        if self.length == 0 { 0 } else { u32::MAX << (32 - self.length as u32) }
    }
}

impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ipv4Prefix {
    type Err = BadAddress;

    /// `address/length`, the length 0 to 32.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (address, length) = text.split_once('/').ok_or(BadAddress)?;
        let address = address.parse().map_err(|_| BadAddress)?;
        let length = length.parse().map_err(|_| BadAddress)?;
        Self::new(address, length).ok_or(BadAddress)
    }
}

/// As text in JSON, as its bytes in flash.
impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 6]>::deserialize(deserializer).map(Self);
        }
        let text = Text::<18>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not a MAC address like 02:00:5e:10:00:ff"))
    }
}

/// As `address/length` in JSON, as address and length in flash.
impl Serialize for Ipv4Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.address.to_bits(), self.length).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Ipv4Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (bits, length) = <(u32, u8)>::deserialize(deserializer)?;
            return Self::new(Ipv4Addr::from_bits(bits), length)
                .ok_or_else(|| de::Error::custom("prefix length above 32"));
        }
        let text = Text::<19>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not an address with prefix length like 192.168.1.1/24"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn mac_addresses_read_back_what_they_print() {
        let mac: MacAddress = "02:00:5E-10:00:fF".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
        for bad in ["", "02:00:5e:10:00", "02:00:5e:10:00:ff:00", "02:00:5e:10:00:zz", "+2:00:5e:10:00:ff"] {
            assert_eq!(bad.parse::<MacAddress>(), Err(BadAddress), "{bad}");
        }
    }

    #[test]
    fn prefixes_know_their_ends() {
        let prefix: Ipv4Prefix = "192.168.1.20/24".parse().unwrap();
        assert_eq!(prefix.network(), Ipv4Addr::new(192, 168, 1, 0));
        assert_eq!(prefix.broadcast(), Ipv4Addr::new(192, 168, 1, 255));
        assert!(prefix.contains(Ipv4Addr::new(192, 168, 1, 254)));
        assert!(!prefix.contains(Ipv4Addr::new(192, 168, 2, 1)));
        assert!(prefix.overlaps("192.168.0.0/16".parse().unwrap()));
        assert!(!prefix.overlaps("192.168.2.0/23".parse().unwrap()));
    }

    #[test]
    fn netmasks_with_holes_are_refused() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(Ipv4Prefix::from_netmask(address, Ipv4Addr::new(255, 0, 255, 0)), None);
        assert_eq!(Ipv4Prefix::from_netmask(address, Ipv4Addr::new(255, 255, 0, 0)).unwrap().length(), 16);
    }
}
