//! Cuts a packet that is too big for the way out and may be cut.
//!
//! RFC 791 §3.2, RFC 4787 REQ-13. The frame itself becomes the first fragment; the others are new frames in order, so
//! "send the frame, then the rest" keeps the order. Options with the copied bit go into every fragment, the others only
//! into the first. A packet that is a fragment already is cut further. Super-frames are cut by ports or in `segment`, not here.

use dialtone_base::Frame;
use dialtone_base::frame::Checksum;
use dialtone_wire::{Headers, Ipv4View, checksum, ipv4};

/// Why a packet was not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCut {
    /// DF is set: tell the sender instead.
    MustNot,
    /// Not an IPv4 packet that is all there, a super-frame, or an MTU too small for its header and eight bytes.
    Cannot,
    /// Too few buffers, or `room` too small.
    NoBuffer,
}

/// Cuts `frame` to `mtu` bytes of IP packet: it becomes the first fragment, `next` gets the others (at most `room`).
/// How many there are besides the first; 0 when it fits as it is. On refusal the packet is unchanged.
pub fn cut(
    frame: &mut Frame,
    headers: &Headers,
    mtu: u16,
    room: usize,
    mut next: impl FnMut(Frame),
) -> Result<usize, NotCut> {
    let Some(ip) = &headers.ipv4 else { return Err(NotCut::Cannot) };
    if ip.total_len <= mtu {
        return Ok(0);
    }
    if ip.dont_fragment {
        return Err(NotCut::MustNot);
    }
    let (l3, l4, end) = (usize::from(headers.l3), usize::from(ip.l4), ip.end(headers.l3));
    let header = l4.saturating_sub(l3);
    if frame.offload.segment.is_some() || usize::from(mtu) < header + 8 || frame.len() < end || l4 > end {
        return Err(NotCut::Cannot);
    }
    let first = (usize::from(mtu) - header) / 8 * 8;
    let later_header = later_header_len(&frame.bytes()[l3 + ipv4::HEADER..l4]);
    let step = (usize::from(mtu) - later_header) / 8 * 8;
    let count = (end - l4 - first).div_ceil(step);
    if count > room || frame.pool().available().ordinary < count {
        return Err(NotCut::NoBuffer);
    }
    complete_checksum(frame);

    for number in 0..count {
        let from = l4 + first + number * step;
        let to = (from + step).min(end);
        let start = l3 + later_header;
        let Some(mut fragment) = frame.pool().take(start + to - from) else { return Err(NotCut::NoBuffer) };
        let bytes = fragment.bytes_mut();
        let original = frame.bytes();
        bytes[..l3 + ipv4::HEADER].copy_from_slice(&original[..l3 + ipv4::HEADER]);
        copy_options(&original[l3 + ipv4::HEADER..l4], &mut bytes[l3 + ipv4::HEADER..start]);
        bytes[start..].copy_from_slice(&original[from..to]);
        let offset = usize::from(ip.fragment_offset) + (from - l4);
        finish(&mut bytes[l3..], later_header, offset, to < end || ip.more_fragments);
        next(fragment);
    }

    frame.set_len(l4 + first);
    let offset = usize::from(ip.fragment_offset);
    finish(&mut frame.bytes_mut()[l3..], header, offset, true);
    Ok(count)
}

/// Sums an L4 checksum that a port was to complete: cut up, nobody else could.
pub fn complete_checksum(frame: &mut Frame) {
    let Checksum::Partial { start, offset } = frame.offload.checksum else { return };
    frame.offload.checksum = Checksum::Complete;
    let (start, offset) = (usize::from(start), usize::from(offset));
    let Some(body) = frame.bytes_mut().get_mut(start..) else { return };
    // The field holds the pseudo-header's sum and is summed with the rest.
    let value = match !checksum::sum(body) {
        0 => 0xffff,
        value => value,
    };
    if let Some(field) = body.get_mut(offset..offset + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Length, flags, offset and checksum of one fragment whose IP header starts `packet`.
fn finish(packet: &mut [u8], header: usize, offset: usize, more: bool) {
    let length = packet.len() as u16;
    packet[0] = 0x40 | (header / 4) as u8;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let field = u16::from(more) << 13 | (offset / 8) as u16;
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    if let Ok(mut view) = Ipv4View::new_checked(packet) {
        view.fill_checksum();
    }
}

/// Bytes of the header that goes on later fragments.
fn later_header_len(options: &[u8]) -> usize {
    ipv4::HEADER + copied(options).map(<[u8]>::len).sum::<usize>().next_multiple_of(4)
}

/// Writes the copied options to `out`, which is just long enough, and pads with end-of-list.
fn copy_options(options: &[u8], out: &mut [u8]) {
    let mut at = 0;
    for option in copied(options) {
        if let Some(place) = out.get_mut(at..at + option.len()) {
            place.copy_from_slice(option);
            at += option.len();
        }
    }
    if let Some(padding) = out.get_mut(at..) {
        padding.fill(0);
    }
}

/// The options whose copied bit is set; a malformed one ends the list.
fn copied(mut options: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        loop {
            let kind = *options.first()?;
            let length = match kind {
                0 => return None,
                1 => 1,
                _ => usize::from(*options.get(1)?).max(2),
            };
            let option = options.get(..length)?;
            options = &options[length..];
            if kind & 0x80 != 0 {
                return Some(option);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use dialtone_base::frame::PoolSize;
    use dialtone_base::{FramePool, MacAddress, Random, Seed};
    use dialtone_wire::build::{self, End};
    use dialtone_wire::{Ipv4Header, Transport, UdpView};

    use super::*;

    const SOURCE: End =
        End { mac: MacAddress([2, 0, 0, 0, 0, 1]), address: core::net::Ipv4Addr::new(10, 0, 0, 1), port: 1 };
    const DESTINATION: End =
        End { mac: MacAddress([2, 0, 0, 0, 0, 2]), address: core::net::Ipv4Addr::new(10, 0, 0, 2), port: 2 };

    fn udp(pool: &'static FramePool, length: usize, options: &[u8]) -> (Frame, Vec<u8>) {
        let mut random = Random::new(Seed::from_number(length as u64));
        let mut payload = std::vec![0; length];
        random.fill(&mut payload);
        let mut frame = pool.take(build::UDP_HEADERS + length).unwrap();
        build::udp_frame(frame.bytes_mut(), SOURCE, DESTINATION, &payload).unwrap();
        let datagram = frame.bytes()[34..].to_vec();
        let mut bytes = frame.bytes()[..34].to_vec();
        bytes.extend_from_slice(options);
        bytes.extend_from_slice(&datagram);
        bytes[14] = 0x45 + (options.len() / 4) as u8;
        let total = (bytes.len() - 14) as u16;
        bytes[16..18].copy_from_slice(&total.to_be_bytes());
        Ipv4View::new_checked(&mut bytes[14..]).unwrap().fill_checksum();
        (pool.copy_of(&bytes).unwrap(), datagram)
    }

    fn cut_to(frame: &mut Frame, mtu: u16) -> Result<Vec<Frame>, NotCut> {
        let headers = Headers::parse(frame.bytes()).unwrap();
        let mut rest = Vec::new();
        cut(frame, &headers, mtu, 100, |fragment| rest.push(fragment)).map(|_| rest)
    }

    /// Puts the payloads together where the fragments say they belong.
    fn reassemble<'a>(fragments: impl Iterator<Item = &'a Frame>, mtu: u16) -> Vec<u8> {
        let mut whole = Vec::new();
        let mut expected_more = true;
        for fragment in fragments {
            let headers = Headers::parse(fragment.bytes()).unwrap();
            let ip = headers.ipv4.unwrap();
            assert!(ip.total_len <= mtu && expected_more);
            assert_eq!(usize::from(ip.fragment_offset), whole.len(), "in order, without gaps");
            whole.extend_from_slice(&fragment.bytes()[usize::from(ip.l4)..ip.end(headers.l3)]);
            expected_more = ip.more_fragments;
        }
        assert!(!expected_more, "the last one says so");
        whole
    }

    #[test]
    fn rfc791_fragments_of_any_mtu_make_the_packet_again() {
        let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 });
        for mtu in [68, 100, 576, 1006, 1400, 1499] {
            let (mut frame, datagram) = udp(pool, 1472, &[]);
            let rest = cut_to(&mut frame, mtu).unwrap();
            assert_eq!(reassemble(core::iter::once(&frame).chain(&rest), mtu), datagram);
            let first = Headers::parse(frame.bytes()).unwrap().ipv4.unwrap();
            assert_eq!((first.transport, first.destination_port), (Transport::Udp, 2));
        }
    }

    #[test]
    fn a_fragment_is_cut_further() {
        let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 });
        let (mut frame, datagram) = udp(pool, 1472, &[]);
        let mut first = cut_to(&mut frame, 1200).unwrap();
        let mut pieces = cut_to(&mut frame, 500).unwrap();
        pieces.insert(0, frame);
        for mut fragment in first.drain(..) {
            let rest = cut_to(&mut fragment, 200).unwrap();
            pieces.push(fragment);
            pieces.extend(rest);
        }
        assert_eq!(reassemble(pieces.iter(), 1200), datagram);
    }

    #[test]
    fn rfc791_only_options_with_the_copied_bit_are_in_later_fragments() {
        let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 });
        // Record route (not copied), no-operation, router alert (copied), end.
        let options = [7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0];
        let (mut frame, datagram) = udp(pool, 1000, &options);
        let rest = cut_to(&mut frame, 576).unwrap();
        assert_eq!(reassemble(core::iter::once(&frame).chain(&rest), 576), datagram);
        assert_eq!(Ipv4View::new_checked(&frame.bytes()[14..]).unwrap().options(), options);
        for fragment in &rest {
            let view = Ipv4View::new_checked(&fragment.bytes()[14..]).unwrap();
            assert_eq!(view.options(), [0x94, 4, 0, 0]);
        }
    }

    #[test]
    fn what_fits_or_must_not_be_cut_stays_whole() {
        let pool = FramePool::leak(PoolSize { ordinary: 8, super_frames: 0 });
        let (mut frame, _) = udp(pool, 500, &[]);
        assert_eq!(cut_to(&mut frame, 528).unwrap().len(), 0);
        assert_eq!(cut_to(&mut frame, 27).unwrap_err(), NotCut::Cannot);
        frame.bytes_mut()[20] = 0x40;
        Ipv4View::new_checked(&mut frame.bytes_mut()[14..]).unwrap().fill_checksum();
        assert_eq!(cut_to(&mut frame, 100).unwrap_err(), NotCut::MustNot);
    }

    #[test]
    fn without_enough_buffers_or_room_nothing_is_sent() {
        let pool = FramePool::leak(PoolSize { ordinary: 4, super_frames: 0 });
        let (mut frame, _) = udp(pool, 1000, &[]);
        let before = frame.bytes().to_vec();
        assert_eq!(cut_to(&mut frame, 68).unwrap_err(), NotCut::NoBuffer);
        let headers = Headers::parse(frame.bytes()).unwrap();
        assert_eq!(cut(&mut frame, &headers, 576, 0, |_| panic!("no room")), Err(NotCut::NoBuffer));
        assert_eq!(frame.bytes(), before);
        assert_eq!(pool.available().ordinary, 3);
    }

    #[test]
    fn a_checksum_left_to_the_port_is_completed_before_cutting() {
        let pool = FramePool::leak(PoolSize { ordinary: 8, super_frames: 0 });
        let (mut frame, datagram) = udp(pool, 1000, &[]);
        let ip = Ipv4Header::parse(&frame.bytes()[14..]).unwrap();
        let pseudo = checksum::pseudo_header(ip.source, ip.destination, 17, datagram.len() as u16);
        frame.bytes_mut()[40..42].copy_from_slice(&pseudo.to_be_bytes());
        frame.offload.checksum = Checksum::Partial { start: 34, offset: 6 };
        let rest = cut_to(&mut frame, 576).unwrap();
        let whole = reassemble(core::iter::once(&frame).chain(&rest), 576);
        assert_eq!(whole, datagram);
        assert!(UdpView::new_checked(&whole[..]).unwrap().verify_checksum(ip.source, ip.destination));
    }
}
