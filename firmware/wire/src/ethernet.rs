//! Ethernet II header with at most one 802.1Q tag.
//!
//! A second tag counts as an unknown EtherType; values below 0x0600 (IEEE 802.3 lengths) too. No FCS.

use core::fmt;

use dialtone_base::MacAddress;

use crate::{Malformed, read_u16, write_u16};

/// Bytes of the header without a tag.
pub const HEADER: usize = 14;
/// Bytes of the header with one tag.
pub const TAGGED_HEADER: usize = 18;
/// Shortest frame on a wire, without FCS; shorter ones are padded by the port.
pub const MINIMUM_FRAME: usize = 60;

/// What an Ethernet frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// An 802.1Q tag follows.
    pub const VLAN: Self = Self(0x8100);
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4 => f.write_str("IPv4"),
            Self::ARP => f.write_str("ARP"),
            Self::IPV6 => f.write_str("IPv6"),
            Self::VLAN => f.write_str("802.1Q"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

/// Tag control information of 802.1Q: priority, drop eligibility, VLAN id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag(pub u16);

impl VlanTag {
    /// VLAN id, 0 to 4095; 0 is a priority tag without a VLAN.
    pub const fn id(self) -> u16 {
        self.0 & 0x0fff
    }

    /// Priority, 0 to 7.
    pub const fn priority(self) -> u8 {
        (self.0 >> 13) as u8
    }
}

/// View of a frame.
#[derive(Clone, Copy, Debug)]
pub struct EthernetView<T>(T);

impl<T: AsRef<[u8]>> EthernetView<T> {
    /// A view whose accessors do not panic.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_len()?;
        Ok(view)
    }

    /// Whether the header is all there.
    pub fn check_len(&self) -> Result<(), Malformed> {
        let bytes = self.0.as_ref();
        if bytes.len() < HEADER || (read_u16(bytes, 12) == EtherType::VLAN.0 && bytes.len() < TAGGED_HEADER) {
            return Err(Malformed::Truncated);
        }
        Ok(())
    }

    /// Where it goes.
    pub fn destination(&self) -> MacAddress {
        mac_at(self.0.as_ref(), 0)
    }

    /// Where it comes from.
    pub fn source(&self) -> MacAddress {
        mac_at(self.0.as_ref(), 6)
    }

    /// The tag, if there is one.
    pub fn vlan(&self) -> Option<VlanTag> {
        let bytes = self.0.as_ref();
        (read_u16(bytes, 12) == EtherType::VLAN.0).then(|| VlanTag(read_u16(bytes, 14)))
    }

    /// What follows, behind the tag if there is one.
    pub fn ethertype(&self) -> EtherType {
        EtherType(read_u16(self.0.as_ref(), self.header_len() - 2))
    }

    /// 14, or 18 with a tag.
    pub fn header_len(&self) -> usize {
        if read_u16(self.0.as_ref(), 12) == EtherType::VLAN.0 { TAGGED_HEADER } else { HEADER }
    }

    /// What follows, with any padding.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[self.header_len()..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> EthernetView<T> {
    /// Sets where it goes.
    pub fn set_destination(&mut self, mac: MacAddress) {
        self.0.as_mut()[..6].copy_from_slice(&mac.0);
    }

    /// Sets where it comes from.
    pub fn set_source(&mut self, mac: MacAddress) {
        self.0.as_mut()[6..12].copy_from_slice(&mac.0);
    }

    /// What follows, to change.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let header = self.header_len();
        &mut self.0.as_mut()[header..]
    }
}

/// The header's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Where it goes.
    pub destination: MacAddress,
    /// Where it comes from.
    pub source: MacAddress,
    /// The tag, if there is one.
    pub vlan: Option<VlanTag>,
    /// What follows.
    pub ethertype: EtherType,
}

impl EthernetHeader {
    /// From the start of a frame.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let view = EthernetView::new_checked(frame)?;
        Ok(Self {
            destination: view.destination(),
            source: view.source(),
            vlan: view.vlan(),
            ethertype: view.ethertype(),
        })
    }

    /// Bytes [`Self::emit`] writes.
    pub const fn buffer_len(&self) -> usize {
        if self.vlan.is_some() { TAGGED_HEADER } else { HEADER }
    }

    /// Writes the header to the start of `frame`.
    ///
    /// # Panics
    /// When `frame` is shorter than [`Self::buffer_len`].
    pub fn emit(&self, frame: &mut [u8]) {
        frame[..6].copy_from_slice(&self.destination.0);
        frame[6..12].copy_from_slice(&self.source.0);
        match self.vlan {
            Some(tag) => {
                write_u16(frame, 12, EtherType::VLAN.0);
                write_u16(frame, 14, tag.0);
                write_u16(frame, 16, self.ethertype.0);
            }
            None => write_u16(frame, 12, self.ethertype.0),
        }
    }
}

fn mac_at(bytes: &[u8], at: usize) -> MacAddress {
    let mut octets = [0; 6];
    octets.copy_from_slice(&bytes[at..at + 6]);
    MacAddress(octets)
}
