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

/// Puts fragmented UDP datagrams together again (RFC 791), as a server on the internet does.
#[derive(Debug, Default)]
pub struct Reassembly {
    waiting: Vec<Pieces>,
}

#[derive(Debug)]
struct Pieces {
    from: Ipv4Addr,
    to: Ipv4Addr,
    identifier: u16,
    /// Where each piece begins, and its bytes.
    pieces: Vec<(usize, Vec<u8>)>,
    /// Known once the last piece is there.
    length: Option<usize>,
}

/// A datagram that came in fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassembled {
    /// Source.
    pub from: SocketAddrV4,
    /// Destination.
    pub to: SocketAddrV4,
    /// Contents.
    pub payload: Vec<u8>,
}

impl Reassembly {
    /// Takes a frame: `None` when it is no fragment of a UDP datagram; otherwise the datagram when this was its last missing piece.
    pub fn take(&mut self, frame: &[u8]) -> Option<Option<Reassembled>> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let ip = Ipv4Packet::new_checked(frame.payload()).ok().filter(Ipv4Packet::verify_checksum)?;
        let fragment = ip.more_frags() || ip.frag_offset() != 0;
        if !fragment || ip.next_header() != IpProtocol::Udp {
            return None;
        }
        let (from, to, identifier) = (ip.src_addr(), ip.dst_addr(), ip.ident());
        let known = self
            .waiting
            .iter()
            .position(|one| one.from == from && one.to == to && one.identifier == identifier);
        let at = known.unwrap_or_else(|| {
            if self.waiting.len() >= MOST_WAITING {
                self.waiting.remove(0);
            }
            self.waiting.push(Pieces { from, to, identifier, pieces: Vec::new(), length: None });
            self.waiting.len() - 1
        });
        let one = &mut self.waiting[at];
        let start = usize::from(ip.frag_offset());
        if !ip.more_frags() {
            one.length = Some(start + ip.payload().len());
        }
        one.pieces.retain(|(other, _)| *other != start);
        one.pieces.push((start, ip.payload().to_vec()));
        one.pieces.sort_unstable_by_key(|(start, _)| *start);
        let mut whole = Vec::new();
        for (start, bytes) in &one.pieces {
            if *start != whole.len() {
                return Some(None);
            }
            whole.extend_from_slice(bytes);
        }
        if one.length != Some(whole.len()) {
            return Some(None);
        }
        self.waiting.remove(at);
        Some(Self::datagram(from, to, &whole))
    }

    fn datagram(from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> Option<Reassembled> {
        let udp = UdpPacket::new_checked(bytes).ok()?;
        udp.verify_checksum(&from.into(), &to.into()).then(|| Reassembled {
            from: SocketAddrV4::new(from, udp.src_port()),
            to: SocketAddrV4::new(to, udp.dst_port()),
            payload: udp.payload().to_vec(),
        })
    }
}

/// Datagrams of which pieces are missing.
const MOST_WAITING: usize = 64;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(start: usize, more: bool, bytes: &[u8]) -> Vec<u8> {
        let (from, to) = (Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(203, 0, 113, 60));
        let datagram = Datagram {
            from: SocketAddrV4::new(from, 5060),
            to: SocketAddrV4::new(to, 5060),
            payload: &vec![0; bytes.len() - 8],
        };
        let mut frame = udp_frame(MacAddress([2; 6]), MacAddress([4; 6]), datagram);
        frame[34..].copy_from_slice(bytes);
        let mut ip = Ipv4Packet::new_unchecked(&mut frame[14..]);
        ip.set_dont_frag(false);
        ip.set_more_frags(more);
        ip.set_frag_offset(start as u16);
        ip.fill_checksum();
        frame
    }

    #[test]
    fn pieces_in_any_order_make_the_datagram_and_nothing_else_does() {
        let (from, to) = (Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(203, 0, 113, 60));
        let payload: Vec<u8> = (0..3000_u32).map(|at| at as u8).collect();
        let sent = Datagram {
            from: SocketAddrV4::new(from, 5060),
            to: SocketAddrV4::new(to, 5060),
            payload: &payload,
        };
        let whole = udp_frame(MacAddress([2; 6]), MacAddress([4; 6]), sent)[34..].to_vec();
        let pieces = [
            fragment(0, true, &whole[..1480]),
            fragment(1480, true, &whole[1480..2960]),
            fragment(2960, false, &whole[2960..]),
        ];
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut reassembly = Reassembly::default();
            assert_eq!(reassembly.take(&pieces[order[0]]), Some(None));
            // Twice the same does no harm.
            assert_eq!(reassembly.take(&pieces[order[0]]), Some(None));
            assert_eq!(reassembly.take(&pieces[order[1]]), Some(None));
            let datagram = reassembly.take(&pieces[order[2]]).unwrap().unwrap();
            assert_eq!((datagram.from, datagram.to, datagram.payload), (sent.from, sent.to, payload.clone()));
        }
        assert_eq!(
            Reassembly::default().take(&udp_frame(MacAddress([2; 6]), MacAddress([4; 6]), sent)),
            None
        );
    }
}
