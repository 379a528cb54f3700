//! ICMP messages: queries, errors, and the packet an error embeds.
//!
//! RFC 792, 1191 (MTU of the next hop), 5508 (what a NAT must look at). When an error may be sent is decided by the
//! data plane. RFC 4884 extensions pass through, none are generated.

use core::net::Ipv4Addr;

use crate::ipv4::{Ipv4View, Protocol};
use crate::{Malformed, checksum, read_u16, write_u16};

/// Bytes of the header, with the four bytes whose meaning depends on the type.
pub const HEADER: usize = 8;
/// Where the checksum is, counted from the header's first byte.
pub const CHECKSUM_OFFSET: usize = 2;

/// Type 0: the answer to an echo.
pub const ECHO_REPLY: u8 = 0;
/// Type 3: destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Type 8: an echo, please.
pub const ECHO_REQUEST: u8 = 8;
/// Type 11: time exceeded.
pub const TIME_EXCEEDED: u8 = 11;

/// What sort of message a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv4Kind {
    /// A question with an identifier: echo, timestamp, information or mask request.
    Request,
    /// The answer to one.
    Reply,
    /// Embeds the packet it is about: unreachable, source quench, redirect, time exceeded, parameter problem.
    Error,
    /// Router discovery and everything unknown.
    Other,
}

impl Icmpv4Kind {
    /// What sort of message `icmp_type` is.
    #[inline]
    pub const fn of(icmp_type: u8) -> Self {
        match icmp_type {
            8 | 13 | 15 | 17 => Self::Request,
            0 | 14 | 16 | 18 => Self::Reply,
            3 | 4 | 5 | 11 | 12 => Self::Error,
            _ => Self::Other,
        }
    }
}

/// View of a message.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv4View<T>(T);

impl<T: AsRef<[u8]>> Icmpv4View<T> {
    /// A view whose accessors do not panic; does not verify the checksum.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_len()?;
        Ok(view)
    }

    /// Whether the header is all there.
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.0.as_ref().len() < HEADER { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The type.
    pub fn icmp_type(&self) -> u8 {
        self.0.as_ref()[0]
    }

    /// The code.
    pub fn code(&self) -> u8 {
        self.0.as_ref()[1]
    }

    /// The checksum.
    pub fn checksum(&self) -> u16 {
        read_u16(self.0.as_ref(), CHECKSUM_OFFSET)
    }

    /// The identifier of a query.
    pub fn identifier(&self) -> u16 {
        read_u16(self.0.as_ref(), 4)
    }

    /// The sequence number of a query; the next hop's MTU in "fragmentation needed".
    pub fn sequence(&self) -> u16 {
        read_u16(self.0.as_ref(), 6)
    }

    /// What sort of message it is.
    pub fn kind(&self) -> Icmpv4Kind {
        Icmpv4Kind::of(self.icmp_type())
    }

    /// What follows the eight bytes.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER..]
    }

    /// Whether the checksum matches; the bytes must end with the message.
    pub fn verify_checksum(&self) -> bool {
        checksum::sum(self.0.as_ref()) == 0xffff
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmpv4View<T> {
    /// Sums the message anew.
    pub fn fill_checksum(&mut self) {
        let bytes = self.0.as_mut();
        write_u16(bytes, CHECKSUM_OFFSET, 0);
        let value = !checksum::sum(bytes);
        write_u16(bytes, CHECKSUM_OFFSET, value);
    }
}

/// Writes type, code, checksum and the four bytes `rest` in front of the payload that already stands at `bytes[8..]`,
/// which reaches to the end of `bytes`.
///
/// # Panics
/// When `bytes` is shorter than [`HEADER`].
pub fn emit(bytes: &mut [u8], icmp_type: u8, code: u8, rest: [u8; 4]) {
    bytes[..4].copy_from_slice(&[icmp_type, code, 0, 0]);
    bytes[4..8].copy_from_slice(&rest);
    let value = !checksum::sum(bytes);
    write_u16(bytes, CHECKSUM_OFFSET, value);
}

/// The packet inside an ICMP error, as far as a NAT needs it (RFC 5508 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Who had sent it.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// What it carried.
    pub protocol: Protocol,
    /// Its source port, or the identifier of an ICMP query; 0 for a later fragment and other protocols.
    pub source_port: u16,
    /// Its destination port, or again the identifier of an ICMP query.
    pub destination_port: u16,
    /// Type of the embedded ICMP message, if it is one.
    pub icmp_type: Option<u8>,
    /// Bytes of its IP header: where its L4 header begins, counted from its first byte.
    pub l4: usize,
    /// It was a fragment that did not start the packet.
    pub later_fragment: bool,
    /// The byte after the last of it that was embedded (padding cut off), counted from its first byte.
    pub end: usize,
}

impl Embedded {
    /// From the payload of an ICMP error. The embedded IP header's checksum is verified, its options are skipped, the
    /// L4 checksum is not looked at (RFC 5508 REQ-3). Four bytes of L4 must be there for TCP and UDP, six for ICMP.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let view = Ipv4View::new_truncated(bytes)?;
        if !view.verify_checksum() {
            return Err(Malformed::BadChecksum);
        }
        let later_fragment = view.fragment_offset() != 0;
        let l4 = view.payload();
        let mut embedded = Self {
            source: view.source(),
            destination: view.destination(),
            protocol: view.protocol(),
            source_port: 0,
            destination_port: 0,
            icmp_type: None,
            l4: view.header_len(),
            later_fragment,
            end: view.header_len() + l4.len(),
        };
        if later_fragment {
            return Ok(embedded);
        }
        match embedded.protocol {
            Protocol::TCP | Protocol::UDP => {
                if l4.len() < 4 {
                    return Err(Malformed::Truncated);
                }
                embedded.source_port = read_u16(l4, 0);
                embedded.destination_port = read_u16(l4, 2);
            }
            Protocol::ICMP => {
                if l4.len() < 6 {
                    return Err(Malformed::Truncated);
                }
                embedded.icmp_type = Some(l4[0]);
                if matches!(Icmpv4Kind::of(l4[0]), Icmpv4Kind::Request | Icmpv4Kind::Reply) {
                    embedded.source_port = read_u16(l4, 4);
                    embedded.destination_port = embedded.source_port;
                }
            }
            _ => {}
        }
        Ok(embedded)
    }
}
