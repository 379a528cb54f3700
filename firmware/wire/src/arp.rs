//! ARP for IPv4 over Ethernet: requests, replies, probes, announcements.
//!
//! RFC 826 for the format, RFC 5227 for probes and announcements. Other hardware or protocol types are
//! `Unsupported`. What to believe is decided by the data plane's neighbor table.

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;

use crate::{Malformed, read_u16, read_u32, write_u16};

/// Bytes of an ARP packet for IPv4 over Ethernet.
pub const PACKET: usize = 28;

/// Question or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Question or answer.
    pub operation: ArpOperation,
    /// The sender's hardware address.
    pub sender_mac: MacAddress,
    /// The sender's address; 0.0.0.0 in a probe.
    pub sender: Ipv4Addr,
    /// The target's hardware address; zero in requests.
    pub target_mac: MacAddress,
    /// The address asked for.
    pub target: Ipv4Addr,
}

impl ArpPacket {
    /// "Who has `target`? Tell `sender`."
    pub const fn request(sender_mac: MacAddress, sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self { operation: ArpOperation::Request, sender_mac, sender, target_mac: MacAddress::ZERO, target }
    }

    /// A question that claims nothing (RFC 5227 section 1.1).
    pub const fn probe(sender_mac: MacAddress, target: Ipv4Addr) -> Self {
        Self::request(sender_mac, Ipv4Addr::UNSPECIFIED, target)
    }

    /// "`address` is mine" (RFC 5227 section 2.3).
    pub const fn announcement(sender_mac: MacAddress, address: Ipv4Addr) -> Self {
        Self::request(sender_mac, address, address)
    }

    /// The answer to this question: `mac` has the target.
    pub const fn reply(&self, mac: MacAddress) -> Self {
        Self {
            operation: ArpOperation::Reply,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Asks without claiming an address.
    pub fn is_probe(&self) -> bool {
        self.operation == ArpOperation::Request && self.sender.is_unspecified()
    }

    /// Tells about itself unasked, as request or reply.
    pub fn is_gratuitous(&self) -> bool {
        self.sender == self.target && !self.sender.is_unspecified()
    }

    /// From what follows the Ethernet header; padding behind is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let packet = bytes.first_chunk::<PACKET>().ok_or(Malformed::Truncated)?.as_slice();
        // Ethernet, IPv4, six and four bytes of address.
        if packet[..6] != [0, 1, 8, 0, 6, 4] {
            return Err(Malformed::Unsupported);
        }
        let operation = match read_u16(packet, 6) {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            _ => return Err(Malformed::Unsupported),
        };
        let mac = |at: usize| {
            let mut octets = [0; 6];
            octets.copy_from_slice(&packet[at..at + 6]);
            MacAddress(octets)
        };
        Ok(Self {
            operation,
            sender_mac: mac(8),
            sender: Ipv4Addr::from_bits(read_u32(packet, 14)),
            target_mac: mac(18),
            target: Ipv4Addr::from_bits(read_u32(packet, 24)),
        })
    }

    /// Writes the packet to the start of `bytes`.
    ///
    /// # Panics
    /// When `bytes` is shorter than [`PACKET`].
    pub fn emit(&self, bytes: &mut [u8]) {
        bytes[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        let operation = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        write_u16(bytes, 6, operation);
        bytes[8..14].copy_from_slice(&self.sender_mac.0);
        bytes[14..18].copy_from_slice(&self.sender.octets());
        bytes[18..24].copy_from_slice(&self.target_mac.0);
        bytes[24..28].copy_from_slice(&self.target.octets());
    }
}
