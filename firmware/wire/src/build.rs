//! Whole frames written in one go: UDP datagrams, ARP, ICMP.
//!
//! For services that build frames themselves (DHCP) and for the data plane's own packets. Every function writes to the
//! start of `out` and returns the frame's length, `None` when `out` is too short or the packet too long for IPv4.
//! Frames are not padded: ports do that.

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;

use crate::ethernet::{self, EtherType, EthernetHeader};
use crate::ipv4::{self, Ipv4Header, Protocol};
use crate::{arp, icmpv4, udp};

/// One end of a datagram in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Hardware address.
    pub mac: MacAddress,
    /// IPv4 address.
    pub address: Ipv4Addr,
    /// UDP port; ignored where there are none.
    pub port: u16,
}

/// Bytes in front of a UDP payload: Ethernet, IPv4, UDP.
pub const UDP_HEADERS: usize = ethernet::HEADER + ipv4::HEADER + udp::HEADER;
/// Bytes of an ARP frame.
pub const ARP_FRAME: usize = ethernet::HEADER + arp::PACKET;

/// A frame with one UDP datagram, TTL 64, checksums filled in.
pub fn udp_frame(out: &mut [u8], source: End, destination: End, payload: &[u8]) -> Option<usize> {
    out.get_mut(UDP_HEADERS..UDP_HEADERS + payload.len())?.copy_from_slice(payload);
    udp_frame_around(out, source, destination, payload.len())
}

/// [`udp_frame`] around `length` bytes of payload that already stand at [`UDP_HEADERS`].
pub fn udp_frame_around(out: &mut [u8], source: End, destination: End, length: usize) -> Option<usize> {
    let l4_len =
        u16::try_from(length + udp::HEADER).ok().filter(|len| *len <= u16::MAX - ipv4::HEADER as u16)?;
    let frame = out.get_mut(..UDP_HEADERS + length)?;
    let (headers, datagram) = frame.split_at_mut(ethernet::HEADER + ipv4::HEADER);
    let (link, network) = headers.split_at_mut(ethernet::HEADER);
    ethernet_header(source.mac, destination.mac, EtherType::IPV4).emit(link);
    Ipv4Header::new(source.address, destination.address, Protocol::UDP, l4_len).emit(network);
    udp::emit(datagram, (source.address, source.port), (destination.address, destination.port));
    Some(UDP_HEADERS + length)
}

/// A frame with one ARP packet; requests go to everybody, replies to their target.
pub fn arp_frame(out: &mut [u8], packet: &arp::ArpPacket) -> Option<usize> {
    let destination = match packet.operation {
        arp::ArpOperation::Request => MacAddress::BROADCAST,
        arp::ArpOperation::Reply => packet.target_mac,
    };
    arp_frame_to(out, packet, destination)
}

/// [`arp_frame`] to one station: how a known neighbor is asked whether it is still there.
pub fn arp_frame_to(out: &mut [u8], packet: &arp::ArpPacket, destination: MacAddress) -> Option<usize> {
    let frame = out.get_mut(..ARP_FRAME)?;
    let (link, body) = frame.split_at_mut(ethernet::HEADER);
    ethernet_header(packet.sender_mac, destination, EtherType::ARP).emit(link);
    packet.emit(body);
    Some(ARP_FRAME)
}

/// An ICMP message: type, code, the four bytes that depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMessage {
    /// The type.
    pub icmp_type: u8,
    /// The code.
    pub code: u8,
    /// The second half of the header.
    pub rest: [u8; 4],
}

impl IcmpMessage {
    /// An echo request.
    pub const fn echo_request(identifier: u16, sequence: u16) -> Self {
        let [a, b] = identifier.to_be_bytes();
        let [c, d] = sequence.to_be_bytes();
        Self { icmp_type: icmpv4::ECHO_REQUEST, code: 0, rest: [a, b, c, d] }
    }

    /// The answer to one.
    pub const fn echo_reply(identifier: u16, sequence: u16) -> Self {
        Self { icmp_type: icmpv4::ECHO_REPLY, ..Self::echo_request(identifier, sequence) }
    }

    /// Destination unreachable.
    pub const fn unreachable(code: u8) -> Self {
        Self { icmp_type: icmpv4::UNREACHABLE, code, rest: [0; 4] }
    }

    /// Too big for the next hop and not to be cut (RFC 1191).
    pub const fn fragmentation_needed(mtu: u16) -> Self {
        let [a, b] = mtu.to_be_bytes();
        Self { icmp_type: icmpv4::UNREACHABLE, code: 4, rest: [0, 0, a, b] }
    }

    /// TTL ran out on the way.
    pub const fn time_exceeded() -> Self {
        Self { icmp_type: icmpv4::TIME_EXCEEDED, code: 0, rest: [0; 4] }
    }
}

/// A frame with one ICMP message, TTL 64. For an error, `payload` is the beginning of the packet it is about.
pub fn icmp_frame(
    out: &mut [u8],
    source: End,
    destination: End,
    message: IcmpMessage,
    payload: &[u8],
) -> Option<usize> {
    const HEADERS: usize = ethernet::HEADER + ipv4::HEADER + icmpv4::HEADER;
    let l4_len = u16::try_from(payload.len() + icmpv4::HEADER)
        .ok()
        .filter(|len| *len <= u16::MAX - ipv4::HEADER as u16)?;
    let frame = out.get_mut(..HEADERS + payload.len())?;
    let (headers, body) = frame.split_at_mut(ethernet::HEADER + ipv4::HEADER);
    let (link, network) = headers.split_at_mut(ethernet::HEADER);
    ethernet_header(source.mac, destination.mac, EtherType::IPV4).emit(link);
    Ipv4Header::new(source.address, destination.address, Protocol::ICMP, l4_len).emit(network);
    body.get_mut(icmpv4::HEADER..)?.copy_from_slice(payload);
    icmpv4::emit(body, message.icmp_type, message.code, message.rest);
    Some(HEADERS + payload.len())
}

const fn ethernet_header(
    source: MacAddress,
    destination: MacAddress,
    ethertype: EtherType,
) -> EthernetHeader {
    EthernetHeader { destination, source, vlan: None, ethertype }
}
