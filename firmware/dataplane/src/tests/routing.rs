//! Routing: what may be routed, neighbors that must be asked for, answers to senders.

use super::*;

#[test]
fn a_packet_waits_until_its_next_hop_has_answered_arp() {
    let mut home = Home::without_neighbors(&config(), Limits::SMALL);
    assert_eq!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).verdict, Verdict::Held);
    let asked = home.poll_all().sent;
    assert_eq!(asked.len(), 1);
    let (to, request) = &asked[0];
    assert_eq!(*to, PortSet::EMPTY.with(PortId(0)));
    let question = dialtone_wire::ArpPacket::parse(&request[14..]).unwrap();
    assert_eq!((question.target, question.sender), (GATEWAY, WAN));
    let mut answer = std::vec![0; dialtone_wire::build::ARP_FRAME];
    dialtone_wire::build::arp_frame(&mut answer, &question.reply(mac(GATEWAY))).unwrap();
    home.process(WAN_PORT, &answer).is_drop(DropReason::ArpConsumed);
    let released = home.poll_all().sent;
    let ip = check(&released[0].1, &Offload::default());
    assert_eq!((ip.source, ip.source_port, ip.destination), (WAN, 5000, SERVER));
    assert_eq!(Headers::parse(&released[0].1).unwrap().destination, mac(GATEWAY));
    assert_eq!(home.flows(), 1);
}

#[test]
fn a_next_hop_that_never_answers_is_told_to_the_sender() {
    let mut home = Home::without_neighbors(&config(), Limits::SMALL);
    assert_eq!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).verdict, Verdict::Held);
    let mut told = Vec::new();
    for _ in 0..8 {
        home.now += Duration::from_secs(1);
        told.extend(home.poll_all().sent.into_iter().filter(|(_, bytes)| bytes[12..14] == [8, 0]));
    }
    assert_eq!(told.len(), 1);
    let ip = check(&told[0].1, &Offload::default());
    assert_eq!((ip.source, ip.destination), (LAN, ALICE));
    assert_eq!(home.drops(DropReason::NoNeighbor), 1);
}

#[test]
fn arp_for_our_address_is_answered_in_place() {
    let mut home = Home::new(&config());
    let question = dialtone_wire::ArpPacket::request(mac(ALICE), ALICE, LAN);
    let mut request = std::vec![0; 60];
    dialtone_wire::build::arp_frame(&mut request, &question).unwrap();
    let sent = home.process(LAN_PORT, &request);
    assert_eq!(sent.verdict, Verdict::Hairpin);
    let answer = dialtone_wire::ArpPacket::parse(&sent.bytes[14..]).unwrap();
    assert_eq!((answer.sender_mac, answer.sender), (router_mac(Zone::Lan), LAN));
    assert_eq!(sent.macs(), (mac(ALICE), router_mac(Zone::Lan)));
}

#[test]
fn the_last_hop_is_told_and_never_goes_on_rfc1812() {
    let mut home = Home::new(&config());
    for ttl in [0, 1] {
        let sent = home.inside_sends(&edit(udp((ALICE, 5000), (SERVER, 53)), |packet| packet[8] = ttl));
        assert_eq!((sent.verdict, sent.icmp().0, sent.source().0), (Verdict::Hairpin, 11, LAN));
    }
    assert_eq!((home.drops(DropReason::TtlExpired), home.flows()), (2, 0));
}

#[test]
fn own_icmp_errors_are_rate_limited() {
    let mut home = Home::new(&Config { wan: None, ..config() });
    for _ in 0..1000 {
        home.plane_send_quietly(&udp((ALICE, 5000), (SERVER, 53)));
    }
    assert_eq!(home.drops(DropReason::NoRoute), 1000);
    assert!(home.drops(DropReason::IcmpRateLimited) > 900);
}

#[test]
fn without_a_wan_address_the_household_is_told_net_unreachable() {
    let mut home = Home::new(&Config { wan: None, ..config() });
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    assert_eq!((sent.verdict, sent.icmp().0, sent.icmp().1), (Verdict::Hairpin, 3, 0));
    assert_eq!(home.drops(DropReason::NoRoute), 1);
}

#[test]
fn impossible_and_forged_sources_are_dropped_rfc2827() {
    let mut home = Home::new(&config());
    let from = |source: Ipv4Addr| udp((source, 5000), (SERVER, 53));
    let lan = |home: &mut Home, source| {
        home.process(LAN_PORT, &frame(mac(ALICE), router_mac(Zone::Lan), &from(source)))
    };
    for source in [Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        lan(&mut home, source).is_drop(DropReason::Martian);
    }
    for source in [SERVER, VISITOR, LAN, WAN, Ipv4Addr::new(192, 168, 77, 255)] {
        lan(&mut home, source).is_drop(DropReason::SpoofedSource);
    }
    for source in [ALICE, VISITOR, LAN, WAN] {
        home.wan_sends(&udp((source, 53), (WAN, 5000))).is_drop(DropReason::SpoofedSource);
    }
}

#[test]
fn directed_broadcasts_and_unroutable_destinations_are_dropped_rfc2644() {
    let mut home = Home::new(&config());
    for last in [0, 255] {
        let to = Ipv4Addr::new(192, 168, 78, last);
        home.inside_sends(&udp((ALICE, 5000), (to, 7))).is_drop(DropReason::DirectedBroadcast);
    }
    for to in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(240, 0, 0, 1), Ipv4Addr::new(169, 254, 1, 1)] {
        home.inside_sends(&udp((ALICE, 5000), (to, 7))).is_drop(DropReason::BadDestination);
    }
}

#[test]
fn source_routes_are_dropped_and_other_options_carried_rfc7126() {
    let mut home = Home::new(&config());
    let with_options = |options: [u8; 4]| {
        let plain = udp((ALICE, 5000), (SERVER, 53));
        let mut packet = plain[..20].to_vec();
        packet.extend(options);
        packet.extend(&plain[20..]);
        edit(packet, |packet| {
            packet[0] = 0x46;
            packet[3] += 4;
        })
    };
    home.inside_sends(&with_options([131, 3, 4, 0])).is_drop(DropReason::SourceRoute);
    home.inside_sends(&with_options([137, 3, 4, 0])).is_drop(DropReason::SourceRoute);
    let sent = home.inside_sends(&with_options([148, 4, 0, 0]));
    assert_eq!(sent.went_to(0).source(), (WAN, 5000));
    let again = home.inside_sends(&with_options([148, 4, 0, 0]));
    assert_eq!(again.went_to(0).ip().l4, 38);
}

#[test]
fn malformed_packets_are_counted_drops() {
    let mut home = Home::new(&config());
    let good = frame(mac(ALICE), router_mac(Zone::Lan), &udp((ALICE, 5000), (SERVER, 53)));
    home.process(LAN_PORT, &good[..10]).is_drop(DropReason::Truncated);
    home.process(LAN_PORT, &good[..40]).is_drop(DropReason::Truncated);
    let mut bad = good.clone();
    bad[24] ^= 1;
    home.process(LAN_PORT, &bad).is_drop(DropReason::BadIpChecksum);
    let mut bad = good.clone();
    bad[14] = 0x65;
    home.process(LAN_PORT, &bad).is_drop(DropReason::BadLength);
    home.process(Ingress::Port(PortId(9)), &good).is_drop(DropReason::UnknownPort);
    home.process(Ingress::Port(PortId(200)), &good).is_drop(DropReason::UnknownPort);
}

#[test]
fn protocols_without_ports_are_translated_by_address() {
    let mut home = Home::new(&config());
    let esp = |source, destination| packet(source, destination, Protocol(50), &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(home.inside_sends(&esp(ALICE, SERVER)).went_to(0).source().0, WAN);
    assert_eq!(home.wan_sends(&esp(SERVER, WAN)).went_to(1).destination().0, ALICE);
    // A second host cannot speak to the same peer: nothing would tell the answers apart.
    let refused = home.inside_sends(&esp(BOB, SERVER));
    assert_eq!(refused.verdict, Verdict::Hairpin);
    assert_eq!(home.drops(DropReason::FlowCollision), 1);
    home.wan_sends(&esp(OTHER, WAN)).is_drop(DropReason::Unsolicited);
}

#[test]
fn the_router_answers_and_probes_from_its_own_stacks() {
    let mut home = Home::new(&config());
    // To a neighbor by address: routed and resolved.
    let answer = udp((LAN, 53), (ALICE, 5000));
    let sent = home.process(Ingress::Router(Zone::Lan), &frame(MacAddress::ZERO, MacAddress::ZERO, &answer));
    assert_eq!(sent.went_to(1).macs(), (mac(ALICE), router_mac(Zone::Lan)));
    // To a station by MAC, and to everybody.
    let offer = udp((LAN, 67), (ALICE, 68));
    let sent = home.process(Ingress::Router(Zone::Lan), &frame(MacAddress::ZERO, mac(ALICE), &offer));
    assert_eq!(sent.went_to(1).macs(), (mac(ALICE), router_mac(Zone::Lan)));
    let sent =
        home.process(Ingress::Router(Zone::Guest), &frame(MacAddress::ZERO, MacAddress::BROADCAST, &offer));
    assert_eq!(sent.verdict, Verdict::Flood(PortSet::EMPTY.with(PortId(3)).with(PortId(4))));
    // Not with somebody else's address, and not into other zones.
    home.router_sends(&udp((ALICE, 1), (SERVER, 53))).is_drop(DropReason::BadRouterFrame);
    home.router_sends(&udp((WAN, 1), (ALICE, 53))).is_drop(DropReason::BadRouterFrame);
    home.plane.command(home.now, Command::Probe { zone: Zone::Lan, address: BOB });
    assert_eq!(home.poll_all().sent.len(), 1);
}

#[test]
fn a_trace_tells_the_stages_of_one_packet_and_costs_no_verdict() {
    use std::string::ToString;
    let mut home = Home::new(&config());
    home.plane.command(home.now, Command::Trace { filter: Default::default(), packets: 2 });
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let traces: Vec<_> = home.plane.traces().map(ToString::to_string).collect();
    assert_eq!(traces.len(), 2);
    for word in ["link lan", "firewall lan -> wan", "nat", "new flow", "forward to port 0"] {
        assert!(traces[0].contains(word), "{word} in {}", traces[0]);
    }
    assert!(traces[1].contains("fast path"), "{}", traces[1]);
}

#[test]
fn only_what_passes_through_loses_a_hop_rfc1812_section_5_3_1() {
    let mut home = Home::new(&config());
    let (ours, server) = ((WAN, 40_000), (SERVER, 123));
    let last_hop = |packet: Vec<u8>| edit(packet, |packet| packet[8] = 1);
    // The router's own, slowly and fast; also with the last hop.
    for packet in [udp(ours, server), udp(ours, server), last_hop(udp(ours, server))] {
        let sent = home.router_sends(&packet);
        assert_eq!(sent.went_to(0).ip().ttl, packet[8]);
    }
    for packet in [udp(server, ours), udp(server, ours), last_hop(udp(server, ours))] {
        let sent = home.wan_sends(&packet);
        assert_eq!((sent.verdict, sent.ip().ttl), (Verdict::Punt(Zone::Wan), packet[8]));
    }
    assert!(home.plane.snapshot().fast >= 2);
    // TCP with its states, and an error about one of its packets.
    let server = (SERVER, 80);
    assert_eq!(home.router_sends(&tcp(ours, server, SYN)).went_to(0).ip().ttl, 64);
    let answer = home.wan_sends(&tcp(server, ours, SYN_ACK));
    assert_eq!((answer.verdict, answer.ip().ttl), (Verdict::Punt(Zone::Wan), 64));
    let error = last_hop(unreachable(GATEWAY, &tcp(ours, server, SYN)));
    let error = home.wan_sends(&error);
    assert_eq!((error.verdict, error.ip().ttl), (Verdict::Punt(Zone::Wan), 1));
    // Everybody else's do, and need one to lose.
    assert_eq!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).ip().ttl, 63);
    assert_eq!(home.inside_sends(&last_hop(udp((ALICE, 5000), (SERVER, 53)))).icmp().0, 11);
}
