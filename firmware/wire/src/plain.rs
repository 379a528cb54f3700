//! The frames a fast path lives on, read with as few instructions as it takes.
//!
//! [`Plain::read`] knows one shape only: untagged, IPv4 without options, a whole packet, TTL above 1, UDP or TCP. What it
//! reads it has checked as [`crate::Headers::parse`] does; anything else is `None`, good or bad, and is for `Headers` to
//! judge.

use dialtone_base::MacAddress;

use crate::ipv4::Protocol;
use crate::tcp::TcpFlags;
use crate::{checksum, ethernet, ipv4, tcp, udp};

/// A plain UDP or TCP frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Where the frame goes.
    pub destination: MacAddress,
    /// Source address in the upper half, destination address in the lower.
    pub addresses: u64,
    /// Source port in the upper half, destination port in the lower.
    pub ports: u32,
    /// Bytes of header and payload; padding of the frame is not counted.
    pub total_len: u16,
    /// [`Protocol::UDP`] or [`Protocol::TCP`].
    pub protocol: Protocol,
    /// A TCP segment with SYN, FIN or RST.
    pub changes_state: bool,
}

/// Where the IPv4 header begins.
pub const L3: usize = ethernet::HEADER;
/// Where the L4 header begins.
pub const L4: usize = ethernet::HEADER + ipv4::HEADER;

impl Plain {
    /// Reads a frame from its Ethernet header on.
    #[inline(always)]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let head = frame.first_chunk::<{ L4 + udp::HEADER }>()?;
        let u16_at = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let u32_at = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        // EtherType, version and header length in one comparison; then everything of the fragment field but DF.
        let is_ipv4 = u32_at(12) >> 8 == 0x0008_0045;
        let is_whole = u16_at(L3 + 6) & 0xbfff == 0;
        if !is_ipv4 || !is_whole || head[L3 + 8] <= 1 {
            return None;
        }
        // A ones' complement sum may be taken in the machine's byte order: 0xffff is its own mirror (RFC 1071 §2(B)).
        let word =
            |at: usize| u64::from(u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let sum = word(L3) + word(L3 + 4) + word(L3 + 8) + word(L3 + 12) + word(L3 + 16);
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        if checksum::fold(sum as u32) != 0xffff {
            return None;
        }
        let total_len = u16_at(L3 + 2);
        let payload = usize::from(total_len).wrapping_sub(ipv4::HEADER);
        if usize::from(total_len) + L3 > frame.len() || payload > usize::from(u16::MAX) {
            return None;
        }
        let protocol = Protocol(head[L3 + 9]);
        let mut changes_state = false;
        if protocol == Protocol::UDP {
            let length = usize::from(u16_at(L4 + 4));
            if length < udp::HEADER || length > payload {
                return None;
            }
        } else {
            let head = frame.first_chunk::<{ L4 + tcp::HEADER }>()?;
            let header_len = usize::from(head[L4 + 12] >> 4) * 4;
            changes_state = head[L4 + 13] & (TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0) != 0;
            if protocol != Protocol::TCP || header_len < tcp::HEADER || header_len > payload {
                return None;
            }
        }
        Some(Self {
            destination: MacAddress([head[0], head[1], head[2], head[3], head[4], head[5]]),
            addresses: u64::from(u32_at(L3 + 12)) << 32 | u64::from(u32_at(L3 + 16)),
            ports: u32_at(L4),
            total_len,
            protocol,
            changes_state,
        })
    }
}
