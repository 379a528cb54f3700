//! Frames whose checksums and segments are left to the ports.

use dialtone_base::frame::{Checksum, Segment, SegmentKind};

use super::*;

const TCP_PARTIAL: Checksum = Checksum::Partial { start: 34, offset: 16 };

/// A TCP frame whose checksum field holds the pseudo-header's sum only.
fn partial(source: End, destination: End, payload: &[u8]) -> Vec<u8> {
    let mut packet = tcp_with(source, destination, ACK, &[], payload);
    let sum = checksum::pseudo_header(source.0, destination.0, 6, packet.len() as u16 - 20);
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    frame(mac(source.0), router_mac(Zone::Lan), &packet)
}

/// Does what a port does.
fn complete(bytes: &mut [u8], state: Checksum) {
    let Checksum::Partial { start, offset } = state else { panic!("nothing to complete") };
    let sum = !checksum::sum(&bytes[usize::from(start)..]);
    let at = usize::from(start + offset);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_partial_checksum_follows_the_addresses_only() {
    let mut home = Home::new(&config());
    home.inside_sends(&tcp((BOB, 5000), (SERVER, 80), SYN));
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    assert_ne!(external.1, 5000);
    let offload = Offload { checksum: TCP_PARTIAL, ..Offload::default() };
    let fast = home.plane.snapshot().fast;
    let sent = home.process_with(LAN_PORT, &partial((ALICE, 5000), (SERVER, 80), b"data"), offload);
    assert_eq!(home.plane.snapshot().fast, fast + 1);
    assert_eq!(sent.offload.checksum, TCP_PARTIAL);
    let mut bytes = sent.bytes.clone();
    complete(&mut bytes, sent.offload.checksum);
    let ip = check(&bytes, &Offload::default());
    assert_eq!((ip.source, ip.source_port), external);
}

#[test]
fn a_super_frame_passes_when_its_segments_fit() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    let segment = Segment { kind: SegmentKind::Tcp4, size: 1460, ecn: false };
    let offload = Offload { checksum: TCP_PARTIAL, segment: Some(segment), ..Offload::default() };
    let big = partial((ALICE, 5000), (SERVER, 80), &[9; 20_000]);
    let fast = home.plane.snapshot().fast;
    let sent = home.process_with(LAN_PORT, &big, offload);
    assert_eq!((sent.went_to(0).bytes.len(), sent.offload), (big.len(), offload));
    assert_eq!(home.plane.snapshot().fast, fast + 1);
    let too_big = Segment { size: 1461, ..segment };
    let refused = home.process_with(LAN_PORT, &big, Offload { segment: Some(too_big), ..offload });
    assert_eq!((refused.verdict, refused.icmp().0, refused.icmp().1), (Verdict::Hairpin, 3, 4));
}

#[test]
fn a_port_that_cannot_finish_checksums_gets_finished_ones() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.plane.ports[0].as_mut().unwrap().segmentation = false;
    let offload = Offload { checksum: TCP_PARTIAL, ..Offload::default() };
    let sent = home.process_with(LAN_PORT, &partial((ALICE, 5000), (SERVER, 80), b"data"), offload);
    assert_eq!(sent.offload.checksum, Checksum::Complete);
    assert_eq!(sent.went_to(0).source(), external);
    let segment = Segment { kind: SegmentKind::Tcp4, size: 1460, ecn: false };
    let offload = Offload { segment: Some(segment), ..offload };
    home.process_with(LAN_PORT, &partial((ALICE, 5000), (SERVER, 80), &[9; 20_000]), offload)
        .is_drop(DropReason::CannotSegment);
}
