//! What views, builders and the parse-once headers promise, judged by an independent parser.

extern crate std;

use core::net::Ipv4Addr;
use std::vec::Vec;

use dialtone_base::frame::Checksum;
use dialtone_base::{MacAddress, Random, Seed};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use crate::build::{self, End, IcmpMessage};
use crate::checksum::{self, Delta};
use crate::*;

const LAPTOP: End =
    End { mac: MacAddress([2, 0, 0, 0, 0, 1]), address: Ipv4Addr::new(192, 168, 77, 20), port: 5000 };
const SERVER: End =
    End { mac: MacAddress([2, 0, 0, 0, 0, 2]), address: Ipv4Addr::new(203, 0, 113, 9), port: 53 };

/// A random but mostly well-formed frame: tag, options, fragment bits, protocol, padding at random.
fn random_frame(random: &mut Random) -> Vec<u8> {
    let tagged = random.below(4) == 0;
    let options = if random.below(4) == 0 { random.below(11) as usize * 4 } else { 0 };
    let protocol = [6, 17, 1, 47][random.below(4) as usize];
    let mut l4 = std::vec![0; random.below(80) as usize + 8];
    random.fill(&mut l4);
    match protocol {
        17 => {
            let length = l4.len() as u16;
            l4[4..6].copy_from_slice(&length.to_be_bytes());
        }
        6 => {
            l4.resize(l4.len().max(40), 1);
            l4[12] = (5 + random.below(6) as u8) << 4;
        }
        _ => {}
    }
    let mut frame = Vec::new();
    let mut macs = [0; 12];
    random.fill(&mut macs);
    frame.extend_from_slice(&macs);
    if tagged {
        frame.extend_from_slice(&[0x81, 0, 0x20, random.below(256) as u8]);
    }
    frame.extend_from_slice(&[8, 0]);
    let at = frame.len();
    frame.resize(at + 20 + options, 1);
    frame.extend_from_slice(&l4);
    let header = &mut frame[at..at + 20 + options];
    random.fill(&mut header[..20]);
    header[0] = 0x45 + (options / 4) as u8;
    let total = (20 + options + l4.len()) as u16;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[6..8].copy_from_slice(&[0x40, 0]);
    header[9] = protocol;
    let mut view = Ipv4View::new_checked(&mut frame[at..]).unwrap();
    view.fill_checksum();
    let padding = random.below(8) as usize;
    frame.resize(frame.len() + padding, 0xee);
    frame
}

#[test]
fn an_independent_parser_reads_the_same_from_random_frames() {
    let mut random = Random::new(Seed::from_number(7));
    for round in 0..20_000 {
        let frame = random_frame(&mut random);
        let headers =
            Headers::parse(&frame).unwrap_or_else(|error| panic!("round {round}: {error} {frame:02x?}"));
        let ours = headers.ipv4.unwrap();
        let theirs = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = &theirs.net else { panic!("round {round}: no IPv4") };
        let header = ip.header();
        assert_eq!(ours.source, header.source_addr(), "round {round}");
        assert_eq!(ours.destination, header.destination_addr());
        assert_eq!(ours.ttl, header.ttl());
        assert_eq!(ours.protocol.0, header.protocol().0);
        assert_eq!(ours.total_len, header.total_len());
        assert_eq!(ours.identification, header.identification());
        assert!(ours.dont_fragment && !ours.is_fragment());
        let payload = ip.payload().payload;
        assert_eq!(&frame[usize::from(ours.l4)..ours.end(headers.l3)], payload);
        assert_eq!(headers.vlan.is_some(), theirs.vlan().is_some());
        match (&theirs.transport, ours.transport) {
            (Some(TransportSlice::Udp(udp)), Transport::Udp) => {
                assert_eq!(
                    (ours.source_port, ours.destination_port),
                    (udp.source_port(), udp.destination_port())
                );
            }
            (Some(TransportSlice::Tcp(tcp)), Transport::Tcp(flags)) => {
                assert_eq!(
                    (ours.source_port, ours.destination_port),
                    (tcp.source_port(), tcp.destination_port())
                );
                assert_eq!(flags.has(TcpFlags::SYN), tcp.syn());
                assert_eq!(flags.has(TcpFlags::RST), tcp.rst());
                let view = TcpView::new_checked(payload).unwrap();
                assert_eq!(
                    (view.sequence(), view.acknowledgment()),
                    (tcp.sequence_number(), tcp.acknowledgment_number())
                );
                assert_eq!(view.payload(), tcp.payload());
            }
            (Some(TransportSlice::Icmpv4(icmp)), Transport::Icmp { icmp_type, code, .. }) => {
                assert_eq!((icmp_type, code), (icmp.type_u8(), icmp.code_u8()));
            }
            (_, Transport::Other) => assert_eq!(ours.protocol.0, 47),
            (theirs, ours) => panic!("round {round}: {theirs:?} but {ours:?}"),
        }
    }
}

#[test]
fn an_independent_parser_agrees_that_built_frames_are_right() {
    let mut random = Random::new(Seed::from_number(8));
    let mut out = [0; 1600];
    for length in (0..1400).step_by(13) {
        let mut payload = std::vec![0; length];
        random.fill(&mut payload);
        let end = build::udp_frame(&mut out, LAPTOP, SERVER, &payload).unwrap();
        let packet = etherparse::PacketHeaders::from_ethernet_slice(&out[..end]).unwrap();
        let Some(etherparse::NetHeaders::Ipv4(ip, _)) = packet.net else { panic!() };
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        let udp = packet.transport.unwrap().udp().unwrap();
        assert_eq!(udp.checksum, udp.calc_checksum_ipv4(&ip, &payload).unwrap());
        assert_eq!(packet.payload.slice(), payload);

        let end =
            build::icmp_frame(&mut out, LAPTOP, SERVER, IcmpMessage::echo_request(7, 9), &payload).unwrap();
        let packet = etherparse::PacketHeaders::from_ethernet_slice(&out[..end]).unwrap();
        let icmp = packet.transport.unwrap().icmpv4().unwrap();
        assert_eq!(icmp.checksum, icmp.icmp_type.calc_checksum(&payload));
        assert!(Icmpv4View::new_checked(&out[34..end]).unwrap().verify_checksum());
    }
}

#[test]
fn arp_frames_are_read_back_and_by_others() {
    let mut out = [0; 64];
    let question = ArpPacket::request(LAPTOP.mac, LAPTOP.address, SERVER.address);
    let end = build::arp_frame(&mut out, &question).unwrap();
    let theirs = SlicedPacket::from_ethernet(&out[..end]).unwrap();
    let Some(NetSlice::Arp(arp)) = &theirs.net else { panic!("no ARP") };
    assert_eq!(arp.sender_protocol_addr(), LAPTOP.address.octets());
    assert_eq!(arp.target_protocol_addr(), SERVER.address.octets());
    // Padding behind the packet is ignored.
    assert_eq!(ArpPacket::parse(&out[14..60]), Ok(question));
    let answer = question.reply(SERVER.mac);
    assert_eq!((answer.sender, answer.target), (SERVER.address, LAPTOP.address));
    assert!(ArpPacket::probe(LAPTOP.mac, SERVER.address).is_probe());
    assert!(ArpPacket::announcement(LAPTOP.mac, LAPTOP.address).is_gratuitous());
    drop(theirs);
    out[15] = 6;
    assert_eq!(ArpPacket::parse(&out[14..]), Err(Malformed::Unsupported));
}

#[test]
fn every_wrong_length_version_or_checksum_has_its_reason() {
    let mut random = Random::new(Seed::from_number(9));
    let mut good = [0; 100];
    let end = build::udp_frame(&mut good, LAPTOP, SERVER, b"hello").unwrap();
    let broken = |change: &dyn Fn(&mut [u8])| {
        let mut bad = good;
        change(&mut bad[..end]);
        Headers::parse(&bad[..end]).unwrap_err()
    };
    let summed = |bad: &mut [u8]| {
        bad[24..26].fill(0);
        let value = !checksum::sum(&bad[14..34]);
        bad[24..26].copy_from_slice(&value.to_be_bytes());
    };
    assert_eq!(broken(&|bad| bad[14] = 0x65), Malformed::Unsupported);
    assert_eq!(broken(&|bad| bad[14] = 0x44), Malformed::BadLength);
    assert_eq!(broken(&|bad| bad[22] ^= 1), Malformed::BadChecksum);
    assert_eq!(broken(&|bad| bad[17] = 19), Malformed::BadLength);
    assert_eq!(broken(&|bad| bad[16] = 1), Malformed::Truncated);
    // A UDP length beyond the packet, or below its own header.
    assert_eq!(broken(&|bad| bad[39] = 200), Malformed::BadLength);
    assert_eq!(broken(&|bad| bad[39] = 7), Malformed::BadLength);
    // TCP and ICMP that end inside their header; RFC 1858's tiny first fragment.
    assert_eq!(broken(&|bad| (bad[23] = 6, summed(bad)).1), Malformed::Truncated);
    // A fragment that would end beyond 65 535 bytes, and one that is no multiple of 8.
    assert_eq!(broken(&|bad| (bad[20..22].fill(0x1f), bad[21] = 0xff, summed(bad)).2), Malformed::BadLength);
    assert_eq!(broken(&|bad| (bad[20] = 0x20, summed(bad)).1), Malformed::BadLength);
    for cut in 0..end {
        assert!(Headers::parse(&good[..cut]).is_err(), "cut at {cut}");
    }
    // A last fragment has no ports, whatever its bytes look like.
    let mut later = good;
    later[21] = 185;
    summed(&mut later);
    let ip = Headers::parse(&later[..end]).unwrap().ipv4.unwrap();
    assert_eq!((ip.transport, ip.source_port, ip.fragment_offset), (Transport::LaterFragment, 0, 185 * 8));
    // Anything that is not IPv4 needs an Ethernet header and nothing else.
    let mut other = [0; 14];
    random.fill(&mut other[..12]);
    assert_eq!(Headers::parse(&other).unwrap().ipv4, None);
}

#[test]
fn the_mss_is_lowered_and_never_raised() {
    for padding in [0_usize, 1, 2] {
        let mut segment = [1_u8; 40];
        segment[..20].fill(0);
        segment[12] = 0xa0;
        segment[13] = TcpFlags::SYN.0;
        segment[20 + padding..24 + padding].copy_from_slice(&[2, 4, 0x05, 0xb4]);
        let (source, destination) = (LAPTOP.address, SERVER.address);
        let pseudo = checksum::pseudo_header(source, destination, 6, 40);
        let value = !checksum::add(checksum::sum(&segment), pseudo);
        segment[16..18].copy_from_slice(&value.to_be_bytes());
        let mut view = TcpView::new_checked(&mut segment[..]).unwrap();
        assert!(view.flags().is_opening());
        assert!(!view.clamp_mss(1460, Checksum::Complete));
        assert!(view.clamp_mss(1452, Checksum::Complete));
        assert_eq!(view.mss(), Some(1452));
        assert!(view.verify_checksum(source, destination), "option at odd byte: {padding}");
        // The port completes a partial checksum from the bytes, so the field must stay.
        let before = view.checksum();
        assert!(view.clamp_mss(1000, Checksum::Partial { start: 34, offset: 16 }));
        assert_eq!(view.checksum(), before);
    }
}

#[test]
fn embedded_packets_are_read_as_a_nat_needs_them() {
    let mut frame = [0; 128];
    let end = build::udp_frame(&mut frame, LAPTOP, SERVER, b"question").unwrap();
    // Only eight bytes of UDP are embedded, as RFC 792 asks at least.
    let embedded = Embedded::parse(&frame[14..42]).unwrap();
    assert_eq!((embedded.source, embedded.source_port), (LAPTOP.address, 5000));
    assert_eq!((embedded.destination_port, embedded.l4, embedded.end), (53, 20, 28));
    assert_eq!(Embedded::parse(&frame[14..37]), Err(Malformed::Truncated));
    frame[22] ^= 1;
    assert_eq!(Embedded::parse(&frame[14..end]), Err(Malformed::BadChecksum));
    let end =
        build::icmp_frame(&mut frame, LAPTOP, SERVER, IcmpMessage::echo_request(77, 1), b"ping").unwrap();
    let embedded = Embedded::parse(&frame[14..end]).unwrap();
    assert_eq!((embedded.source_port, embedded.icmp_type), (77, Some(icmpv4::ECHO_REQUEST)));
}

#[test]
fn the_ttl_goes_down_to_one_and_not_further() {
    let mut bytes = [0; 20];
    Ipv4Header { ttl: 3, ..Ipv4Header::new(LAPTOP.address, SERVER.address, Protocol::UDP, 0) }
        .emit(&mut bytes);
    let mut view = Ipv4View::new_checked(&mut bytes[..]).unwrap();
    assert!(view.decrement_ttl() && view.decrement_ttl() && !view.decrement_ttl());
    assert_eq!(view.ttl(), 1);
    assert!(view.verify_checksum());
}

#[test]
fn a_frame_that_does_not_fit_is_refused() {
    let mut out = [0; build::UDP_HEADERS + 3];
    assert_eq!(build::udp_frame(&mut out, LAPTOP, SERVER, b"four"), None);
    assert!(build::udp_frame(&mut out, LAPTOP, SERVER, b"thr").is_some());
    assert_eq!(build::arp_frame(&mut out[..41], &ArpPacket::probe(LAPTOP.mac, SERVER.address)), None);
    let mut big = std::vec![0; 70_000];
    assert_eq!(build::udp_frame_around(&mut big, LAPTOP, SERVER, 65_508), None);
    assert!(build::udp_frame_around(&mut big, LAPTOP, SERVER, 65_507).is_some());
}

#[test]
fn no_bytes_make_a_parser_panic() {
    let seed = 11;
    let mut random = Random::new(Seed::from_number(seed));
    for round in 0..40_000 {
        let mut data = if round % 4 == 0 {
            let mut data = std::vec![0; random.below(120) as usize];
            random.fill(&mut data);
            data
        } else {
            random_frame(&mut random)
        };
        for _ in 0..random.below(4) {
            if !data.is_empty() {
                let at = random.below(data.len().min(64) as u32) as usize;
                data[at] = random.next_u32() as u8;
            }
        }
        data.truncate(random.below(200) as usize);
        // Also from the IPv4 and L4 header on, so that inner parsers see likely input.
        for start in [0, 14, 34] {
            let part = data.get(start..).unwrap_or_default();
            let caught = std::panic::catch_unwind(|| fuzz::fuzz(part));
            assert!(caught.is_ok(), "seed {seed}, round {round}: {part:02x?}");
        }
    }
}

proptest! {
    #[test]
    fn a_delta_gives_what_summing_again_gives(
        bytes in proptest::collection::vec(any::<u8>(), 20..200),
        at in 0_usize..100,
        new in any::<u32>(),
        wide in any::<bool>(),
    ) {
        let mut bytes = bytes;
        let at = at % (bytes.len() / 2 - 1) * 2;
        let checksum = !checksum::sum(&bytes);
        let partial = checksum::sum(&bytes);
        let delta = if wide {
            let delta = Delta::u32(read_u32(&bytes, at), new);
            write_u32(&mut bytes, at, new);
            delta
        } else {
            let delta = Delta::u16(read_u16(&bytes, at), new as u16);
            write_u16(&mut bytes, at, new as u16);
            delta
        };
        // Zero has two names in ones' complement; a receiver takes both.
        let valid = |checksum: u16| checksum::add(checksum::sum(&bytes), checksum) == 0xffff;
        prop_assert!(valid(delta.apply(checksum)));
        prop_assert!(valid(!delta.apply_to_sum(partial)));
        let udp = delta.apply_udp(if checksum == 0 { 0xffff } else { checksum });
        prop_assert!(udp != 0 && valid(udp));
        prop_assert_eq!(delta.apply_udp(0), 0);
    }

    #[test]
    fn a_delta_and_its_reverse_cancel(old in any::<u32>(), new in any::<u32>(), checksum in 1_u16..0xffff) {
        let there = Delta::u32(old, new);
        prop_assert_eq!(there.reversed().apply(there.apply(checksum)) % 0xffff, checksum % 0xffff);
        prop_assert_eq!(there.and(Delta::u32(new, old)).apply(checksum) % 0xffff, checksum % 0xffff);
    }

    #[test]
    fn sums_do_not_depend_on_how_the_bytes_are_cut(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0_usize..150,
    ) {
        let cut = cut * 2 % (bytes.len() + 1) / 2 * 2;
        let (left, right) = bytes.split_at(cut);
        prop_assert_eq!(checksum::add(checksum::sum(left), checksum::sum(right)), checksum::sum(&bytes));
        let mut words = 0_u64;
        for pair in bytes.chunks(2) {
            words += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
        while words > 0xffff {
            words = (words >> 16) + (words & 0xffff);
        }
        prop_assert_eq!(checksum::sum(&bytes), words as u16);
    }

    #[test]
    fn addresses_change_without_breaking_the_header_checksum(
        old in any::<[u8; 4]>(), new in any::<[u8; 4]>(), ttl in any::<u8>(), length in 0_u16..1480,
    ) {
        let mut bytes = [0; 1500];
        let header = Ipv4Header { ttl, ..Ipv4Header::new(old.into(), old.into(), Protocol::TCP, length) };
        header.emit(&mut bytes);
        let mut view = Ipv4View::new_checked(&mut bytes[..]).unwrap();
        view.set_source(new.into());
        view.set_destination(new.into());
        view.set_total_len(20);
        prop_assert!(view.verify_checksum());
        let header = Ipv4Header { source: new.into(), destination: new.into(), payload_len: 0, ..header };
        prop_assert_eq!(Ipv4Header::parse(&bytes).unwrap(), header);
    }
}
