//! A frame read once: every field and offset the packet path needs.
//!
//! Checks what a router must check before it believes a packet (RFC 1812 section 5.2.2): lengths, version, header
//! checksum, and that the L4 header is whole in the first fragment (RFC 1858). L4 checksums are not verified.

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;

use crate::checksum;
use crate::ethernet::{self, EtherType, VlanTag};
use crate::icmpv4::Icmpv4Kind;
use crate::ipv4::Protocol;
use crate::tcp::TcpFlags;
use crate::{Malformed, ipv4, tcp, udp};

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Where the frame goes.
    pub destination: MacAddress,
    /// Where it comes from.
    pub source: MacAddress,
    /// What it carries, behind the tag if there is one.
    pub ethertype: EtherType,
    /// The 802.1Q tag, if there is one.
    pub vlan: Option<VlanTag>,
    /// First byte behind the Ethernet header: 14 or 18.
    pub l3: u16,
    /// Set for IPv4 and only then.
    pub ipv4: Option<Ipv4Summary>,
}

/// An IPv4 packet's own part of [`Headers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Summary {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// TCP and UDP: source port; ICMP query: its identifier; 0 for later fragments and the rest.
    pub source_port: u16,
    /// TCP and UDP: destination port; ICMP query: its identifier again; 0 for later fragments and the rest.
    pub destination_port: u16,
    /// Bytes of header and payload; padding of the frame is not counted.
    pub total_len: u16,
    /// First byte behind the IPv4 header, counted from the frame's first.
    pub l4: u16,
    /// Names the packet its fragments belong to.
    pub identification: u16,
    /// Where the payload belongs in the whole packet, in bytes; 0 in a first fragment and in whole packets.
    pub fragment_offset: u16,
    /// It is a fragment and not the last.
    pub more_fragments: bool,
    /// It must not be cut.
    pub dont_fragment: bool,
    /// Hops it may still take.
    pub ttl: u8,
    /// What it carries.
    pub protocol: Protocol,
    /// What the L4 header says beyond ports.
    pub transport: Transport,
}

/// The L4 header in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp(TcpFlags),
    /// A UDP datagram.
    Udp,
    /// An ICMP message.
    Icmp {
        /// What sort of message.
        kind: Icmpv4Kind,
        /// Its type.
        icmp_type: u8,
        /// Its code.
        code: u8,
    },
    /// A fragment that does not start the packet: no L4 header in it.
    LaterFragment,
    /// Another protocol.
    Other,
}

impl Headers {
    /// Reads `frame` from its Ethernet header on. Frames that are not IPv4 only need a whole Ethernet header.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let start = frame.first_chunk::<{ ethernet::HEADER }>().ok_or(Malformed::Truncated)?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *start;
        let mut headers = Self {
            destination: MacAddress([d0, d1, d2, d3, d4, d5]),
            source: MacAddress([s0, s1, s2, s3, s4, s5]),
            ethertype: EtherType(u16::from_be_bytes([t0, t1])),
            vlan: None,
            l3: ethernet::HEADER as u16,
            ipv4: None,
        };
        if headers.ethertype == EtherType::IPV4 {
            let rest = frame.get(ethernet::HEADER..).unwrap_or_default();
            headers.ipv4 = Some(Ipv4Summary::parse(rest, headers.l3)?);
        } else if headers.ethertype == EtherType::VLAN {
            headers.parse_tagged(frame)?;
        }
        Ok(headers)
    }

    /// Its own function, off the path of untagged frames.
    #[inline(never)]
    fn parse_tagged(&mut self, frame: &[u8]) -> Result<(), Malformed> {
        let start = frame.first_chunk::<{ ethernet::TAGGED_HEADER }>().ok_or(Malformed::Truncated)?;
        let [.., c0, c1, t0, t1] = *start;
        self.vlan = Some(VlanTag(u16::from_be_bytes([c0, c1])));
        self.ethertype = EtherType(u16::from_be_bytes([t0, t1]));
        self.l3 = ethernet::TAGGED_HEADER as u16;
        if self.ethertype == EtherType::IPV4 {
            let rest = frame.get(ethernet::TAGGED_HEADER..).unwrap_or_default();
            self.ipv4 = Some(Ipv4Summary::parse(rest, self.l3)?);
        }
        Ok(())
    }
}

impl Ipv4Summary {
    /// Whether it is only a part of a packet.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// First byte of the L3 header given [`Headers::l3`], and the byte after the packet's last.
    #[inline]
    pub const fn end(&self, l3: u16) -> usize {
        l3 as usize + self.total_len as usize
    }

    /// `bytes` is what follows the Ethernet header, which is `l3` bytes long.
    #[inline(always)]
    fn parse(bytes: &[u8], l3: u16) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<{ ipv4::HEADER }>().ok_or(Malformed::Truncated)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let long =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let total_len = word(2);
        // The common case first: version 4 without options.
        let (header_len, sum) = if header[0] == 0x45 {
            // In the machine's byte order: 0xffff is its own mirror (RFC 1071 section 2(B)).
            let native = |at: usize| {
                u64::from(u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
            };
            let sum = native(0) + native(4) + native(8) + native(12) + native(16);
            let sum = (sum >> 32) + (sum & 0xffff_ffff);
            let sum = (sum >> 16) + (sum & 0xffff);
            (ipv4::HEADER, checksum::fold(sum as u32))
        } else {
            with_options(bytes)?
        };
        if usize::from(total_len) < header_len {
            return Err(Malformed::BadLength);
        }
        let Some(payload) = bytes.get(header_len..usize::from(total_len)) else {
            return Err(Malformed::Truncated);
        };
        if sum != 0xffff {
            return Err(Malformed::BadChecksum);
        }
        let fragment = word(6);
        let mut summary = Self {
            source: Ipv4Addr::from_bits(long(12)),
            destination: Ipv4Addr::from_bits(long(16)),
            source_port: 0,
            destination_port: 0,
            total_len,
            l4: l3 + header_len as u16,
            identification: word(4),
            fragment_offset: (fragment & 0x1fff) << 3,
            more_fragments: fragment & 0x2000 != 0,
            dont_fragment: fragment & 0x4000 != 0,
            ttl: header[8],
            protocol: Protocol(header[9]),
            transport: Transport::Other,
        };
        if fragment & 0x3fff != 0 {
            summary.check_fragment(payload.len())?;
        }
        if summary.fragment_offset != 0 {
            summary.transport = Transport::LaterFragment;
            return Ok(summary);
        }
        match summary.protocol {
            Protocol::UDP => {
                let l4 = payload.first_chunk::<{ udp::HEADER }>().ok_or(Malformed::Truncated)?;
                let length = usize::from(u16::from_be_bytes([l4[4], l4[5]]));
                if length < udp::HEADER || (length > payload.len() && !summary.more_fragments) {
                    return Err(Malformed::BadLength);
                }
                summary.source_port = u16::from_be_bytes([l4[0], l4[1]]);
                summary.destination_port = u16::from_be_bytes([l4[2], l4[3]]);
                summary.transport = Transport::Udp;
            }
            Protocol::TCP => {
                let l4 = payload.first_chunk::<{ tcp::HEADER }>().ok_or(Malformed::Truncated)?;
                let header_len = usize::from(l4[12] >> 4) * 4;
                if header_len < tcp::HEADER || header_len > payload.len() {
                    return Err(Malformed::BadLength);
                }
                summary.source_port = u16::from_be_bytes([l4[0], l4[1]]);
                summary.destination_port = u16::from_be_bytes([l4[2], l4[3]]);
                summary.transport = Transport::Tcp(TcpFlags(l4[13]));
            }
            Protocol::ICMP => {
                let l4 = payload.first_chunk::<8>().ok_or(Malformed::Truncated)?;
                let kind = Icmpv4Kind::of(l4[0]);
                if matches!(kind, Icmpv4Kind::Request | Icmpv4Kind::Reply) {
                    summary.source_port = u16::from_be_bytes([l4[4], l4[5]]);
                    summary.destination_port = summary.source_port;
                }
                summary.transport = Transport::Icmp { kind, icmp_type: l4[0], code: l4[1] };
            }
            _ => {}
        }
        Ok(summary)
    }

    /// Lengths only a fragment can get wrong: past the end of the largest packet, or not a multiple of 8.
    fn check_fragment(&self, payload: usize) -> Result<(), Malformed> {
        if usize::from(self.fragment_offset) + payload > 65_535 - ipv4::HEADER
            || payload == 0
            || (self.more_fragments && !payload.is_multiple_of(8))
        {
            return Err(Malformed::BadLength);
        }
        Ok(())
    }
}

/// Header length and sum of a header that is not version 4 with 20 bytes.
#[inline(never)]
fn with_options(bytes: &[u8]) -> Result<(usize, u16), Malformed> {
    let first = bytes.first().copied().unwrap_or(0);
    if first >> 4 != 4 {
        return Err(Malformed::Unsupported);
    }
    let header_len = usize::from(first & 0x0f) * 4;
    if header_len < ipv4::HEADER {
        return Err(Malformed::BadLength);
    }
    let header = bytes.get(..header_len).ok_or(Malformed::Truncated)?;
    Ok((header_len, checksum::sum(header)))
}
