//! Frames whose checksums and segments are left to the ports.

use dialtone_base::Frame;
use dialtone_base::frame::{Checksum, ORDINARY_FRAME, Segment, SegmentKind};
use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

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
}

const PSH_FIN_CWR: u8 = 0x80 | 0x08 | 0x01;

fn super_frame(home: &Home, bytes: &[u8], checksum: Checksum, kind: SegmentKind, size: u16) -> Frame {
    let mut frame = home.pool.copy_of(bytes).expect("a free buffer");
    frame.offload = Offload { checksum, verified: true, segment: Some(Segment { kind, size, ecn: false }) };
    frame
}

/// The frames of one super-frame as they go out of `port`, first to last.
fn segments(home: &mut Home, from: Ingress, mut frame: Frame, port: u8) -> Vec<Vec<u8>> {
    assert_eq!(home.plane.process(home.now, from, &mut frame), Verdict::Forward(PortId(port)));
    assert_eq!((frame.offload.segment, frame.offload.checksum), (None, Checksum::Complete));
    let mut frames = std::vec![frame.bytes().to_vec()];
    for (ports, bytes) in home.poll_all().sent {
        assert_eq!(ports, PortSet::EMPTY.with(PortId(port)));
        frames.push(bytes);
    }
    assert!(frames.iter().all(|frame| frame.len() <= ORDINARY_FRAME));
    frames
}

/// Reads segments with a parser of somebody else, checks every header and checksum, and puts the payloads together.
fn reassemble(frames: &[Vec<u8>], id: u16, flags: u8) -> Vec<u8> {
    let mut whole = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let packet = PacketHeaders::from_ethernet_slice(frame).unwrap();
        let payload = packet.payload.slice();
        let Some(transport) = &packet.transport else { panic!("no transport") };
        let (is_first, is_last) = (number == 0, number + 1 == frames.len());
        match (packet.net.unwrap(), transport) {
            (NetHeaders::Ipv4(ip, _), TransportHeader::Udp(udp)) => {
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                assert_eq!(ip.identification, id.wrapping_add(number as u16));
                assert_eq!(usize::from(udp.length), 8 + payload.len());
                assert_eq!(udp.checksum, udp.calc_checksum_ipv4(&ip, payload).unwrap());
            }
            (net, TransportHeader::Tcp(tcp)) => {
                let sum = match net {
                    NetHeaders::Ipv4(ip, _) => {
                        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                        assert_eq!(ip.identification, id.wrapping_add(number as u16));
                        tcp.calc_checksum_ipv4(&ip, payload).unwrap()
                    }
                    NetHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(&ip, payload).unwrap(),
                    NetHeaders::Arp(_) => panic!("ARP"),
                };
                assert_eq!(tcp.checksum, sum);
                assert_eq!(tcp.sequence_number, u32::MAX.wrapping_add(whole.len() as u32), "without gaps");
                assert_eq!(tcp.acknowledgment_number, 2);
                assert_eq!((tcp.psh, tcp.fin), (flags & 8 != 0 && is_last, flags & 1 != 0 && is_last));
                assert_eq!(tcp.cwr, flags & 0x80 != 0 && is_first, "RFC 3168 section 6.1.2");
                assert!(tcp.ack && !tcp.syn && !tcp.rst);
            }
            other => panic!("{other:?}"),
        }
        whole.extend_from_slice(payload);
    }
    whole
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// A super-frame from ALICE to SERVER; its sequence numbers wrap.
fn big_tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let packet = tcp_with((ALICE, 5000), (SERVER, 80), ACK | flags, options, payload);
    let mut packet = edit(packet, |packet| packet[4..6].copy_from_slice(&0xfffe_u16.to_be_bytes()));
    packet[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    packet[36..38].fill(0);
    let pseudo = checksum::pseudo_header(ALICE, SERVER, 6, packet.len() as u16 - 20);
    let sum = !checksum::add(checksum::sum(&packet[20..]), pseudo);
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    frame(mac(ALICE), router_mac(Zone::Lan), &packet)
}

fn without_offload(home: &mut Home, port: usize) {
    home.plane.ports[port].as_mut().unwrap().segmentation = false;
}

#[test]
fn a_port_that_cannot_cut_gets_the_segments_of_a_tcp_super_frame() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    without_offload(&mut home, 0);
    let timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    // One byte, one segment, one byte more, and as much as fits.
    for (length, count) in [(1, 1), (1448, 1), (1449, 2), (20_001, 14), (65_000, 45)] {
        let payload = pattern(length);
        let flags = if length == 65_000 { PSH_FIN_CWR } else { 0x08 };
        let complete = big_tcp(flags, &timestamps, &payload);
        let mut partial = complete.clone();
        let pseudo = checksum::pseudo_header(ALICE, SERVER, 6, (complete.len() - 34) as u16);
        partial[50..52].copy_from_slice(&pseudo.to_be_bytes());
        for (bytes, state) in [(partial, TCP_PARTIAL), (complete, Checksum::Complete)] {
            let before = home.plane.snapshot().ports[0];
            let frame = super_frame(&home, &bytes, state, SegmentKind::Tcp4, 1448);
            let frames = segments(&mut home, LAN_PORT, frame, 0);
            assert_eq!(frames.len(), count);
            assert!(frames.iter().all(|frame| check(frame, &Offload::default()).source == WAN));
            assert_eq!(reassemble(&frames, 0xfffe, flags), payload);
            let after = home.plane.snapshot().ports[0];
            assert_eq!(after.sent - before.sent, count as u64);
            let bytes: usize = frames.iter().map(Vec::len).sum();
            assert_eq!(after.sent_bytes - before.sent_bytes, bytes as u64);
        }
    }
}

#[test]
fn a_port_that_cannot_cut_gets_the_datagrams_of_a_udp_super_frame() {
    let mut home = Home::new(&config());
    without_offload(&mut home, 0);
    let payload = pattern(10_000);
    let packet = udp_with((ALICE, 5000), (SERVER, 443), &payload);
    let bytes = frame(mac(ALICE), router_mac(Zone::Lan), &packet);
    let frame = super_frame(&home, &bytes, Checksum::Complete, SegmentKind::Udp4, 1200);
    let frames = segments(&mut home, LAN_PORT, frame, 0);
    assert_eq!(frames.len(), 9);
    assert_eq!(reassemble(&frames, 0, 0), payload);
}

#[test]
fn a_bridged_super_frame_is_cut_too_whatever_its_ip_version() {
    let mut home = Home::new(&config());
    without_offload(&mut home, 2);
    let mut bytes = big_tcp(0x08, &[], &pattern(4000));
    bytes[..6].copy_from_slice(&mac(BOB).0);
    let frame = super_frame(&home, &bytes, Checksum::Complete, SegmentKind::Tcp4, 1460);
    assert_eq!(reassemble(&segments(&mut home, LAN_PORT, frame, 2), 0xfffe, 0x08), pattern(4000));

    let mut ipv6 = bytes[..12].to_vec();
    ipv6.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    ipv6.extend((bytes.len() as u16 - 34).to_be_bytes());
    ipv6.extend([6, 64]);
    ipv6.extend([0xfe; 32]);
    ipv6.extend(&bytes[34..]);
    let state = Checksum::Partial { start: 54, offset: 16 };
    let frame = super_frame(&home, &ipv6, state, SegmentKind::Tcp6, 1440);
    let frames = segments(&mut home, LAN_PORT, frame, 2);
    assert_eq!((frames.len(), reassemble(&frames, 0, 0x08)), (3, pattern(4000)));
}

#[test]
fn a_batch_stops_behind_a_frame_that_was_cut_so_that_order_is_kept() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    without_offload(&mut home, 0);
    let big = |home: &Home| {
        let bytes = big_tcp(0, &[], &pattern(3000));
        super_frame(home, &bytes, Checksum::Complete, SegmentKind::Tcp4, 1460)
    };
    let mut frames = Vec::from([big(&home), big(&home), big(&home)]);
    let mut verdicts = [Verdict::Held; 3];
    let mut rest = &mut frames[..];
    for left in [3, 2, 1] {
        assert_eq!(home.plane.process_batch(home.now, LAN_PORT, rest, &mut verdicts), 1, "{left} left");
        rest = &mut rest[1..];
        assert_eq!(home.poll_all().sent.len(), 2);
    }
    assert_eq!(home.plane.snapshot().ports[1].received, 2 + 3);
}

#[test]
fn what_cannot_be_cut_is_a_counted_drop() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    without_offload(&mut home, 0);
    let offload = |kind, size| {
        let segment = Segment { kind, size, ecn: false };
        Offload { segment: Some(segment), ..Offload::default() }
    };
    let bytes = big_tcp(0, &[], &pattern(20_000));
    for refused in
        [offload(SegmentKind::Udp4, 1400), offload(SegmentKind::Tcp6, 1400), offload(SegmentKind::Tcp4, 0)]
    {
        home.process_with(LAN_PORT, &bytes, refused).is_drop(DropReason::CannotSegment);
    }
    // More pieces than wait at once, and more than there are buffers for.
    home.process_with(LAN_PORT, &bytes, offload(SegmentKind::Tcp4, 100)).is_drop(DropReason::NoBuffer);
    let taken: Vec<_> = std::iter::from_fn(|| home.pool.take(60)).collect();
    home.process_with(LAN_PORT, &bytes, offload(SegmentKind::Tcp4, 1460)).is_drop(DropReason::NoBuffer);
    drop(taken);
    assert_eq!(home.poll_all().sent.len(), 0);
}
