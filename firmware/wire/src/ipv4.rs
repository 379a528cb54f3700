//! The IPv4 header: view, meaning, in-place changes.
//!
//! RFC 791; checksum updates after RFC 1624. Options are carried, never interpreted. No reassembly.

use core::fmt;
use core::net::Ipv4Addr;

use crate::checksum::{self, Delta};
use crate::{Malformed, read_u16, read_u32, write_u16, write_u32};

/// Bytes of the header without options.
pub const HEADER: usize = 20;
/// Bytes of the longest header.
pub const LONGEST_HEADER: usize = 60;

/// What an IPv4 packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// IGMP.
    pub const IGMP: Self = Self(2);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("icmp"),
            Self::IGMP => f.write_str("igmp"),
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self(other) => write!(f, "protocol {other}"),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// View of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4View<T>(T);

impl<T: AsRef<[u8]>> Ipv4View<T> {
    /// A view whose accessors do not panic; does not verify the checksum.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_len()?;
        Ok(view)
    }

    /// A view of a packet whose end may be cut off, as embedded in ICMP errors; [`Self::payload`] is what there is.
    pub fn new_truncated(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_header()?;
        Ok(view)
    }

    /// Whether header and payload are all there and the lengths agree.
    pub fn check_len(&self) -> Result<(), Malformed> {
        self.check_header()?;
        if usize::from(self.total_len()) > self.0.as_ref().len() { Err(Malformed::Truncated) } else { Ok(()) }
    }

    fn check_header(&self) -> Result<(), Malformed> {
        let bytes = self.0.as_ref();
        if bytes.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        if bytes[0] >> 4 != 4 {
            return Err(Malformed::Unsupported);
        }
        if self.header_len() < HEADER || usize::from(self.total_len()) < self.header_len() {
            return Err(Malformed::BadLength);
        }
        if bytes.len() < self.header_len() { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// Bytes of the header with options, 20 to 60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[0] & 0x0f) * 4
    }

    /// The DSCP and ECN byte.
    pub fn traffic_class(&self) -> u8 {
        self.0.as_ref()[1]
    }

    /// Bytes of header and payload.
    pub fn total_len(&self) -> u16 {
        read_u16(self.0.as_ref(), 2)
    }

    /// Names the packet its fragments belong to.
    pub fn identification(&self) -> u16 {
        read_u16(self.0.as_ref(), 4)
    }

    /// It must not be cut.
    pub fn dont_fragment(&self) -> bool {
        self.0.as_ref()[6] & 0x40 != 0
    }

    /// It is a fragment and not the last.
    pub fn more_fragments(&self) -> bool {
        self.0.as_ref()[6] & 0x20 != 0
    }

    /// Where the payload belongs in the whole packet, in bytes.
    pub fn fragment_offset(&self) -> u16 {
        (read_u16(self.0.as_ref(), 6) & 0x1fff) << 3
    }

    /// Hops it may still take.
    pub fn ttl(&self) -> u8 {
        self.0.as_ref()[8]
    }

    /// What it carries.
    pub fn protocol(&self) -> Protocol {
        Protocol(self.0.as_ref()[9])
    }

    /// The header's checksum.
    pub fn checksum(&self) -> u16 {
        read_u16(self.0.as_ref(), 10)
    }

    /// Where it comes from.
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(read_u32(self.0.as_ref(), 12))
    }

    /// Where it goes.
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(read_u32(self.0.as_ref(), 16))
    }

    /// The options, up to 40 bytes.
    pub fn options(&self) -> &[u8] {
        &self.0.as_ref()[HEADER..self.header_len()]
    }

    /// What follows the header, without padding behind the packet.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        &bytes[self.header_len()..usize::from(self.total_len()).min(bytes.len())]
    }

    /// Whether the header's checksum matches.
    pub fn verify_checksum(&self) -> bool {
        checksum::sum(&self.0.as_ref()[..self.header_len()]) == 0xffff
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv4View<T> {
    /// Sets the source and mends the header's checksum (not the transport's).
    pub fn set_source(&mut self, address: Ipv4Addr) {
        let delta = Delta::u32(self.source().to_bits(), address.to_bits());
        write_u32(self.0.as_mut(), 12, address.to_bits());
        self.mend(delta);
    }

    /// Sets the destination and mends the header's checksum (not the transport's).
    pub fn set_destination(&mut self, address: Ipv4Addr) {
        let delta = Delta::u32(self.destination().to_bits(), address.to_bits());
        write_u32(self.0.as_mut(), 16, address.to_bits());
        self.mend(delta);
    }

    /// One hop less, checksum mended; `false` (and no change) when no hop is left to give: TTL 0 or 1.
    pub fn decrement_ttl(&mut self) -> bool {
        let ttl = self.ttl();
        if ttl <= 1 {
            return false;
        }
        self.set_ttl(ttl - 1);
        true
    }

    /// Sets the TTL and mends the checksum.
    pub fn set_ttl(&mut self, ttl: u8) {
        let old = read_u16(self.0.as_ref(), 8);
        self.0.as_mut()[8] = ttl;
        let new = read_u16(self.0.as_ref(), 8);
        self.mend(Delta::u16(old, new));
    }

    /// Sets the total length and mends the checksum.
    pub fn set_total_len(&mut self, length: u16) {
        let delta = Delta::u16(self.total_len(), length);
        write_u16(self.0.as_mut(), 2, length);
        self.mend(delta);
    }

    /// Sums the header anew.
    pub fn fill_checksum(&mut self) {
        let header = self.header_len();
        let bytes = self.0.as_mut();
        write_u16(bytes, 10, 0);
        let value = !checksum::sum(&bytes[..header]);
        write_u16(bytes, 10, value);
    }

    /// What follows the header, to change.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let header = self.header_len();
        let end = usize::from(self.total_len());
        let bytes = self.0.as_mut();
        let end = end.min(bytes.len());
        &mut bytes[header..end]
    }

    fn mend(&mut self, delta: Delta) {
        let checksum = delta.apply(self.checksum());
        write_u16(self.0.as_mut(), 10, checksum);
    }
}

/// The meaning of a header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// What it carries.
    pub protocol: Protocol,
    /// Hops it may take.
    pub ttl: u8,
    /// The DSCP and ECN byte.
    pub traffic_class: u8,
    /// Names the packet its fragments belong to.
    pub identification: u16,
    /// It must not be cut.
    pub dont_fragment: bool,
    /// It is a fragment and not the last.
    pub more_fragments: bool,
    /// Where the payload belongs, in bytes; a multiple of 8.
    pub fragment_offset: u16,
    /// Bytes that follow the header.
    pub payload_len: u16,
}

impl Ipv4Header {
    /// A whole packet with TTL 64, may be cut.
    pub const fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol, payload_len: u16) -> Self {
        Self {
            source,
            destination,
            protocol,
            ttl: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            payload_len,
        }
    }

    /// From the start of a packet, checksum verified; options are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let view = Ipv4View::new_checked(bytes)?;
        if !view.verify_checksum() {
            return Err(Malformed::BadChecksum);
        }
        Ok(Self {
            source: view.source(),
            destination: view.destination(),
            protocol: view.protocol(),
            ttl: view.ttl(),
            traffic_class: view.traffic_class(),
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragment_offset(),
            payload_len: view.payload().len() as u16,
        })
    }

    /// Writes 20 bytes, with checksum, to the start of `bytes`. A payload above 65 515 bytes is cut to that.
    ///
    /// # Panics
    /// When `bytes` is shorter than [`HEADER`].
    pub fn emit(&self, bytes: &mut [u8]) {
        let total = self.payload_len.saturating_add(HEADER as u16);
        bytes[0] = 0x45;
        bytes[1] = self.traffic_class;
        write_u16(bytes, 2, total);
        write_u16(bytes, 4, self.identification);
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        write_u16(bytes, 6, flags | self.fragment_offset >> 3);
        bytes[8] = self.ttl;
        bytes[9] = self.protocol.0;
        write_u16(bytes, 10, 0);
        bytes[12..16].copy_from_slice(&self.source.octets());
        bytes[16..20].copy_from_slice(&self.destination.octets());
        let checksum = !checksum::sum(&bytes[..HEADER]);
        write_u16(bytes, 10, checksum);
    }
}
