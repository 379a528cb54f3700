//! Translates virtio-net's header, which AF_PACKET and TAP speak, to a frame's offload notes and back.
//!
//! virtio 1.2 section 5.1.6; fields are in host byte order on both kernel interfaces. A frame between two ends of one
//! machine often has only the pseudo-header's sum in its checksum field: losing that note would put a wrong checksum
//! on a real wire.

use dialtone_base::frame::{Checksum, Offload, Segment, SegmentKind};

/// Bytes of the header in front of each frame.
pub const LENGTH: usize = 10;

/// A header as bytes.
pub type Bytes = [u8; LENGTH];

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_VALID: u8 = 2;
const SEGMENT_NONE: u8 = 0;
const SEGMENT_TCP4: u8 = 1;
const SEGMENT_TCP6: u8 = 4;
const SEGMENT_UDP: u8 = 5;
const SEGMENT_ECN: u8 = 0x80;

/// The notes of a received frame; `None` for a kind of super-frame nobody asked for.
pub fn to_offload(header: &Bytes) -> Option<Offload> {
    let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let (flags, kind) = (header[0], header[1]);
    let checksum = if flags & NEEDS_CHECKSUM != 0 {
        Checksum::Partial { start: field(6), offset: field(8) }
    } else {
        Checksum::Complete
    };
    let kind_and_ecn = match kind & !SEGMENT_ECN {
        SEGMENT_NONE => None,
        SEGMENT_TCP4 => Some(SegmentKind::Tcp4),
        SEGMENT_TCP6 => Some(SegmentKind::Tcp6),
        SEGMENT_UDP => Some(SegmentKind::Udp4),
        _ => return None,
    };
    let segment =
        kind_and_ecn.map(|segment| Segment { kind: segment, size: field(4), ecn: kind & SEGMENT_ECN != 0 });
    Some(Offload { checksum, verified: flags & (CHECKSUM_VALID | NEEDS_CHECKSUM) != 0, segment })
}

/// The header for a frame to send.
pub fn from_offload(offload: &Offload, frame: &[u8]) -> Bytes {
    let mut header = [0; LENGTH];
    let mut put = |at: usize, value: u16| header[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    let mut flags = 0;
    let mut kind = SEGMENT_NONE;
    if let Checksum::Partial { start, offset } = offload.checksum {
        flags = NEEDS_CHECKSUM;
        put(6, start);
        put(8, offset);
        if let Some(segment) = offload.segment {
            kind = match segment.kind {
                SegmentKind::Tcp4 => SEGMENT_TCP4,
                SegmentKind::Tcp6 => SEGMENT_TCP6,
                SegmentKind::Udp4 => SEGMENT_UDP,
            };
            if segment.ecn {
                kind |= SEGMENT_ECN;
            }
            put(2, header_length(segment.kind, start, frame));
            put(4, segment.size);
        }
    }
    header[0] = flags;
    header[1] = kind;
    header
}

/// Bytes repeated in front of every segment.
fn header_length(kind: SegmentKind, start: u16, frame: &[u8]) -> u16 {
    match kind {
        SegmentKind::Udp4 => start.saturating_add(8),
        SegmentKind::Tcp4 | SegmentKind::Tcp6 => {
            let offset = frame.get(usize::from(start) + 12).copied().unwrap_or(0x50) >> 4;
            start.saturating_add(u16::from(offset) * 4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_super_frame_keeps_its_notes_both_ways() {
        let mut frame = [0; 80];
        frame[34 + 12] = 0x80;
        for kind in [SegmentKind::Tcp4, SegmentKind::Tcp6, SegmentKind::Udp4] {
            let offload = Offload {
                checksum: Checksum::Partial { start: 34, offset: 16 },
                verified: true,
                segment: Some(Segment { kind, size: 1448, ecn: kind == SegmentKind::Tcp4 }),
            };
            let header = from_offload(&offload, &frame);
            assert_eq!(to_offload(&header), Some(offload));
        }
        let tcp = Offload {
            checksum: Checksum::Partial { start: 34, offset: 16 },
            verified: false,
            segment: Some(Segment { kind: SegmentKind::Tcp4, size: 1448, ecn: false }),
        };
        assert_eq!(from_offload(&tcp, &frame)[2..4], (34_u16 + 32).to_ne_bytes());
    }

    #[test]
    fn plain_frames_have_an_empty_header_and_unknown_kinds_are_refused() {
        assert_eq!(from_offload(&Offload::default(), &[0; 60]), [0; LENGTH]);
        assert_eq!(to_offload(&[0; LENGTH]), Some(Offload::default()));
        assert_eq!(to_offload(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert!(to_offload(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap().verified);
    }
}
