//! Does in software what a frame's offload notes ask: completes its checksum, cuts a super-frame into segments.
//!
//! For ports without offloads (AF_XDP). TCP and UDP over IPv4, TCP over IPv6 without extension headers; the rules are those
//! of hardware segmentation: identification counts up, sequence numbers go on, FIN and PSH stay with the last segment, CWR
//! with the first (RFC 3168 section 6.1.2).

use dialtone_base::Frame;
use dialtone_base::frame::{Checksum, SegmentKind};

/// Calls `emit` with the pieces of each frame to put on the wire: headers, then payload. `false` from `emit` (no room) ends it.
/// Whether the frame made sense and every piece was taken.
pub fn cut(frame: &mut Frame, mut emit: impl FnMut(&[u8], &[u8]) -> bool) -> bool {
    let Checksum::Partial { start, offset } = frame.offload.checksum else {
        return frame.offload.segment.is_none() && emit(frame.bytes(), &[]);
    };
    let (start, field) = (usize::from(start), usize::from(start) + usize::from(offset));
    let Some(segment) = frame.offload.segment else {
        let bytes = frame.bytes_mut();
        let Some(covered) = bytes.get(start..) else { return false };
        let sum = !fold(add(0, covered));
        let Some(field) = bytes.get_mut(field..field + 2) else { return false };
        // A UDP sum of zero would mean "none" (RFC 768).
        field.copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
        return emit(bytes, &[]);
    };
    let bytes = frame.bytes();
    let udp = segment.kind == SegmentKind::Udp4;
    let transport = match (udp, bytes.get(start + 12)) {
        (true, _) => 8,
        (false, Some(offset)) => usize::from(offset >> 4) * 4,
        (false, None) => return false,
    };
    let network = ethernet_length(bytes);
    let (Some(template), Some(payload)) = (bytes.get(..start + transport), bytes.get(start + transport..))
    else {
        return false;
    };
    if network + 20 > start || field + 2 > template.len() || template.len() > HEADERS || segment.size == 0 {
        return false;
    }
    let mut headers = [0; HEADERS];
    let headers = &mut headers[..template.len()];
    let count = payload.len().div_ceil(usize::from(segment.size)).max(1);
    for (at, part) in payload.chunks(segment.size.into()).enumerate() {
        headers.copy_from_slice(template);
        let length = (start - network + transport + part.len()) as u16;
        if segment.kind == SegmentKind::Tcp6 {
            put(headers, network + 4, length - 40);
        } else {
            put(headers, network + 2, length);
            let identification = get(headers, network + 4).wrapping_add(at as u16);
            put(headers, network + 4, identification);
            put(headers, network + 10, 0);
            let sum = !fold(add(0, &headers[network..start]));
            put(headers, network + 10, sum);
        }
        let covered = (transport + part.len()) as u16;
        if udp {
            put(headers, start + 4, covered);
        } else {
            let sequence = u32::from(get(headers, start + 4)) << 16 | u32::from(get(headers, start + 6));
            let sequence = sequence.wrapping_add((at * usize::from(segment.size)) as u32);
            headers[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
            let (fin_and_push, congestion_reduced) = (0x09, 0x80);
            if at + 1 < count {
                headers[start + 13] &= !fin_and_push;
            }
            if at > 0 && segment.ecn {
                headers[start + 13] &= !congestion_reduced;
            }
        }
        put(headers, field, 0);
        let addresses = if segment.kind == SegmentKind::Tcp6 {
            network + 8..network + 40
        } else {
            network + 12..network + 20
        };
        let protocol = if udp { 17 } else { 6 };
        let pseudo = add(u32::from(covered) + protocol, &headers[addresses]);
        let sum = !fold(add(add(pseudo, &headers[start..]), part));
        put(headers, field, if sum == 0 { 0xffff } else { sum });
        if !emit(headers, part) {
            return false;
        }
    }
    true
}

/// Where the IP header begins: behind the Ethernet header and a VLAN tag, if there is one.
fn ethernet_length(bytes: &[u8]) -> usize {
    if bytes.get(12..14) == Some(&[0x81, 0x00]) { 18 } else { 14 }
}

fn get(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Adds 16-bit words (RFC 1071); `bytes` but for the last call must have an even length. 64 KiB cannot overflow it.
fn add(sum: u32, bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| sum + u32::from(u16::from_be_bytes(*pair)));
    rest.first().map_or(sum, |last| sum + (u32::from(*last) << 8))
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// Longest headers: Ethernet with tag, IPv4 with options, TCP with options.
const HEADERS: usize = 18 + 60 + 60;

#[cfg(test)]
mod tests {
    use dialtone_base::FramePool;
    use dialtone_base::frame::{Offload, PoolSize, Segment};

    use super::*;

    fn checksum_of(protocol: u32, frame: &[u8]) -> u16 {
        fold(add(add(protocol + (frame.len() - 34) as u32, &frame[26..34]), &frame[34..]))
    }

    fn super_frame(protocol: u8, headers: usize, payload: usize) -> Frame {
        let pool = FramePool::leak(PoolSize { ordinary: 1, super_frames: 1 });
        let mut frame = pool.take(34 + headers + payload).unwrap();
        let bytes = frame.bytes_mut();
        bytes.fill(0);
        bytes[12..14].copy_from_slice(&[8, 0]);
        bytes[14] = 0x45;
        bytes[18..20].copy_from_slice(&0xffff_u16.to_be_bytes());
        bytes[23] = protocol;
        bytes[26..34].copy_from_slice(&[192, 0, 2, 1, 198, 51, 100, 7]);
        for (at, byte) in bytes[34 + headers..].iter_mut().enumerate() {
            *byte = (at * 7) as u8;
        }
        frame
    }

    #[test]
    fn a_tcp_super_frame_becomes_segments_with_right_sums_numbers_and_flags() {
        let mut frame = super_frame(6, 32, 3001);
        let bytes = frame.bytes_mut();
        bytes[34 + 4..34 + 8].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
        bytes[34 + 12] = 0x80;
        bytes[34 + 13] = 0x80 | 0x10 | 0x08 | 0x01;
        frame.offload = Offload {
            checksum: Checksum::Partial { start: 34, offset: 16 },
            verified: false,
            segment: Some(Segment { kind: SegmentKind::Tcp4, size: 1448, ecn: true }),
        };
        let mut segments = Vec::new();
        assert!(cut(&mut frame, |headers, part| {
            segments.push([headers, part].concat());
            true
        }));
        assert_eq!(segments.iter().map(|segment| segment.len() - 66).collect::<Vec<_>>(), [1448, 1448, 105]);
        for (at, segment) in segments.iter().enumerate() {
            assert_eq!(fold(add(0, &segment[14..34])), 0xffff, "IP sum of {at}");
            assert_eq!(checksum_of(6, segment), 0xffff, "TCP sum of {at}");
            assert_eq!(get(segment, 16) as usize, segment.len() - 14);
            assert_eq!(get(segment, 18), 0xffff_u16.wrapping_add(at as u16));
        }
        assert_eq!(segments.iter().map(|segment| segment[47]).collect::<Vec<_>>(), [0x90, 0x10, 0x19]);
        assert_eq!(segments[1][38..42], 0xffff_fff0_u32.wrapping_add(1448).to_be_bytes());
    }

    #[test]
    fn udp_is_cut_into_datagrams() {
        let mut frame = super_frame(17, 8, 2000);
        frame.offload = Offload {
            checksum: Checksum::Partial { start: 34, offset: 6 },
            verified: false,
            segment: Some(Segment { kind: SegmentKind::Udp4, size: 1200, ecn: false }),
        };
        let mut lengths = Vec::new();
        assert!(cut(&mut frame, |headers, part| {
            let datagram = [headers, part].concat();
            assert_eq!(checksum_of(17, &datagram), 0xffff);
            lengths.push(get(&datagram, 38));
            true
        }));
        assert_eq!(lengths, [1208, 808]);
    }

    #[test]
    fn a_partial_sum_is_completed_and_nonsense_is_refused() {
        let mut frame = super_frame(17, 8, 11);
        let pseudo = fold(add(17 + 19, &frame.bytes()[26..34]));
        put(frame.bytes_mut(), 38, 19);
        put(frame.bytes_mut(), 40, pseudo);
        frame.offload.checksum = Checksum::Partial { start: 34, offset: 6 };
        assert!(cut(&mut frame, |bytes, _| {
            assert_eq!(checksum_of(17, bytes), 0xffff);
            true
        }));
        frame.offload.checksum = Checksum::Partial { start: 60_000, offset: 6 };
        assert!(!cut(&mut frame, |_, _| true));
        frame.offload.checksum = Checksum::Partial { start: 34, offset: 6 };
        frame.offload.segment = Some(Segment { kind: SegmentKind::Tcp4, size: 0, ecn: false });
        assert!(!cut(&mut frame, |_, _| true));
    }
}
