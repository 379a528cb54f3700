//! Cuts a super-frame into the segments its port was to cut, for ports that cannot.
//!
//! TCP over IPv4 and IPv6 and UDP datagrams over IPv4, as `Offload::segment` names them. Each segment gets the headers, with
//! lengths, IP identification (RFC 6864), sequence number and checksums of its own; FIN and PSH stay on the last one, CWR
//! on the first (RFC 3168 §6.1.2). The frame becomes the first segment and the others follow, so order is kept.

use dialtone_base::Frame;
use dialtone_base::frame::{Checksum, ORDINARY_FRAME, SegmentKind};
use dialtone_wire::tcp::TcpFlags;
use dialtone_wire::{EtherType, Headers, Ipv4View, Protocol, checksum, tcp, udp};

use super::fragment::NotCut;

const CWR: u8 = 0x80;
const IPV6_HEADER: usize = 40;

/// Where a super-frame's headers and payload are.
struct Layout {
    l3: usize,
    l4: usize,
    payload: usize,
    end: usize,
    protocol: Protocol,
}

/// Cuts `frame`, which becomes the first segment; `next` gets the others in order, at most `room`. How many there are
/// besides the first; on refusal the frame is unchanged.
pub(crate) fn segment(frame: &mut Frame, room: usize, mut next: impl FnMut(Frame)) -> Result<usize, NotCut> {
    let Some(segment) = frame.offload.segment else { return Ok(0) };
    let layout = Layout::of(frame.bytes(), segment.kind).ok_or(NotCut::Cannot)?;
    let (size, length) = (usize::from(segment.size), layout.end - layout.payload);
    if size == 0 || layout.payload + size.min(length) > ORDINARY_FRAME {
        return Err(NotCut::Cannot);
    }
    let others = length.div_ceil(size).saturating_sub(1);
    if others > room || frame.pool().available().ordinary < others {
        return Err(NotCut::NoBuffer);
    }
    // A sender without a UDP checksum leaves it to nobody.
    let sums = frame.offload.checksum != Checksum::Complete || layout.has_checksum(frame.bytes());
    for number in 1..=others {
        let from = layout.payload + number * size;
        let part = from..(from + size).min(layout.end);
        let taken = frame.pool().take(layout.payload + part.len());
        let mut piece = taken.ok_or(NotCut::NoBuffer)?;
        let (headers, payload) = piece.bytes_mut().split_at_mut(layout.payload);
        headers.copy_from_slice(&frame.bytes()[..layout.payload]);
        payload.copy_from_slice(&frame.bytes()[part]);
        layout.finish(piece.bytes_mut(), number * size, number, number == others, sums);
        next(piece);
    }
    frame.set_len(layout.payload + size.min(length));
    layout.finish(frame.bytes_mut(), 0, 0, others == 0, sums);
    (frame.offload.segment, frame.offload.checksum) = (None, Checksum::Complete);
    Ok(others)
}

impl Layout {
    /// `None` when the frame is not what its notes say.
    fn of(frame: &[u8], kind: SegmentKind) -> Option<Self> {
        let headers = Headers::parse(frame).ok()?;
        let l3 = usize::from(headers.l3);
        let (protocol, l4, end) = match (kind, headers.ipv4) {
            (SegmentKind::Tcp4 | SegmentKind::Udp4, Some(ip)) if !ip.is_fragment() => {
                (ip.protocol, usize::from(ip.l4), ip.end(headers.l3))
            }
            (SegmentKind::Tcp6, None) if headers.ethertype == EtherType::IPV6 => {
                let ip = frame.get(l3..)?.first_chunk::<IPV6_HEADER>()?;
                let end = l3 + IPV6_HEADER + usize::from(u16::from_be_bytes([ip[4], ip[5]]));
                // Extension headers: nobody offloads such packets.
                (Protocol(ip[6]), l3 + IPV6_HEADER, end)
            }
            _ => return None,
        };
        let body = frame.get(l4..end)?;
        let header = match (kind, protocol) {
            (SegmentKind::Udp4, Protocol::UDP) => udp::HEADER,
            (SegmentKind::Tcp4 | SegmentKind::Tcp6, Protocol::TCP) => usize::from(body.get(12)? >> 4) * 4,
            _ => return None,
        };
        let is_whole = header >= udp::HEADER && header <= body.len();
        let is_whole = is_whole && (protocol == Protocol::UDP || header >= tcp::HEADER);
        is_whole.then_some(Self { l3, l4, payload: l4 + header, end, protocol })
    }

    fn is_ipv4(&self, frame: &[u8]) -> bool {
        frame.get(self.l3).is_some_and(|byte| byte >> 4 == 4)
    }

    fn checksum_at(&self) -> usize {
        self.l4 + if self.protocol == Protocol::UDP { udp::CHECKSUM_OFFSET } else { tcp::CHECKSUM_OFFSET }
    }

    fn has_checksum(&self, frame: &[u8]) -> bool {
        let at = self.checksum_at();
        self.protocol != Protocol::UDP || frame.get(at..at + 2).is_some_and(|field| field != [0, 0])
    }

    /// Makes the copied headers those of segment `number`, which begins `offset` bytes into the payload.
    fn finish(&self, frame: &mut [u8], offset: usize, number: usize, is_last: bool, sums: bool) {
        let is_ipv4 = self.is_ipv4(frame);
        // A segment fits an ordinary frame, so its lengths fit 16 bits.
        let (packet, body) = ((frame.len() - self.l3) as u16, (frame.len() - self.l4) as u16);
        let addresses = if is_ipv4 { self.l3 + 12..self.l3 + 20 } else { self.l3 + 8..self.l3 + 40 };
        if is_ipv4 {
            write(frame, self.l3 + 2, packet);
            let identification = read(frame, self.l3 + 4).wrapping_add(number as u16);
            write(frame, self.l3 + 4, identification);
            if let Some(header) = frame.get_mut(self.l3..self.l4)
                && let Ok(mut view) = Ipv4View::new_truncated(header)
            {
                view.fill_checksum();
            }
        } else {
            write(frame, self.l3 + 4, body);
        }
        match frame.get_mut(self.l4..) {
            Some([_, _, _, _, a, b, c, d, _, _, _, _, _, flags, ..]) if self.protocol == Protocol::TCP => {
                let sequence = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(offset as u32);
                [*a, *b, *c, *d] = sequence.to_be_bytes();
                if !is_last {
                    *flags &= !(TcpFlags::FIN.0 | TcpFlags::PSH.0);
                }
                if number > 0 {
                    *flags &= !CWR;
                }
            }
            _ => write(frame, self.l4 + 4, body),
        }
        let at = self.checksum_at();
        write(frame, at, 0);
        if sums && let (Some(addresses), Some(segment)) = (frame.get(addresses), frame.get(self.l4..)) {
            let pseudo = checksum::add(checksum::sum(addresses), u16::from(self.protocol.0));
            let sum = checksum::add(checksum::add(pseudo, body), checksum::sum(segment));
            // 0 would say "none" to UDP, and 0xffff is the same number.
            write(frame, at, if sum == 0xffff { 0xffff } else { !sum });
        }
    }
}

fn read(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |field| u16::from_be_bytes(*field))
}

fn write(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
