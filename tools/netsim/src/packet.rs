//! UDP datagrams and SYNs in frames, for the parts of the simulation that work without sockets.

use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::MacAddress;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet,
    Ipv4Repr, TcpPacket, UdpPacket, UdpRepr,
};

/// What a frame carries, as far as the simulation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// An ARP request for this address.
    ArpRequest(Ipv4Addr),
    /// A whole UDP datagram.
    Udp(Datagram<'a>),
    /// The first segment of a TCP connection.
    Syn {
        /// Who opens it.
        from: SocketAddrV4,
        /// To whom.
        to: SocketAddrV4,
    },
    /// Any other IPv4 packet.
    Other {
        /// Source address.
        from: Ipv4Addr,
        /// Destination address.
        to: Ipv4Addr,
    },
    /// Anything else, also what is malformed.
    Unknown,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source.
    pub from: SocketAddrV4,
    /// Destination.
    pub to: SocketAddrV4,
    /// Contents.
    pub payload: &'a [u8],
}

/// Source and destination MAC address of a frame.
pub fn stations(frame: &[u8]) -> Option<(MacAddress, MacAddress)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    Some((MacAddress(frame.src_addr().0), MacAddress(frame.dst_addr().0)))
}

/// Looks into a frame. Checksums are verified: a datagram with a wrong one is [`Parsed::Unknown`].
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    parse_checked(bytes).unwrap_or(Parsed::Unknown)
}

fn parse_checked(bytes: &[u8]) -> Option<Parsed<'_>> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    if frame.ethertype() == EthernetProtocol::Arp {
        let arp = ArpPacket::new_checked(frame.payload()).ok()?;
        let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
        let request = arp.operation() == smoltcp::wire::ArpOperation::Request;
        return request.then_some(Parsed::ArpRequest(target.into()));
    }
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if !ip.verify_checksum() {
        return None;
    }
    let (from, to) = (ip.src_addr(), ip.dst_addr());
    let other = Some(Parsed::Other { from, to });
    if ip.more_frags() || ip.frag_offset() != 0 {
        return other;
    }
    match ip.next_header() {
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(ip.payload()).ok()?;
            if !udp.verify_checksum(&from.into(), &to.into()) {
                return None;
            }
            let from = SocketAddrV4::new(from, udp.src_port());
            let to = SocketAddrV4::new(to, udp.dst_port());
            Some(Parsed::Udp(Datagram { from, to, payload: udp.payload() }))
        }
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
            if !tcp.syn() || tcp.ack() {
                return other;
            }
            let from = SocketAddrV4::new(from, tcp.src_port());
            Some(Parsed::Syn { from, to: SocketAddrV4::new(to, tcp.dst_port()) })
        }
        _ => other,
    }
}

/// A frame with a UDP datagram in it.
pub fn udp_frame(source: MacAddress, destination: MacAddress, datagram: Datagram<'_>) -> Vec<u8> {
    let (from, to) = (*datagram.from.ip(), *datagram.to.ip());
    let udp = UdpRepr { src_port: datagram.from.port(), dst_port: datagram.to.port() };
    let payload_len = udp.header_len() + datagram.payload.len();
    let ip =
        Ipv4Repr { src_addr: from, dst_addr: to, next_header: IpProtocol::Udp, payload_len, hop_limit: 64 };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(source.0),
        dst_addr: EthernetAddress(destination.0),
        ethertype: EthernetProtocol::Ipv4,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + payload_len];
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes[..]));
    let (head, body) = bytes[14..].split_at_mut(ip.buffer_len());
    udp.emit(
        &mut UdpPacket::new_unchecked(body),
        &from.into(),
        &to.into(),
        datagram.payload.len(),
        |room| room.copy_from_slice(datagram.payload),
        &checksums,
    );
    ip.emit(&mut Ipv4Packet::new_unchecked(head), &checksums);
    bytes
}
