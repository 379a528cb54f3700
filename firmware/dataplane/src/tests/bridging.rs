//! The household's bridge in the pipeline.

use dialtone_wire::{ArpPacket, build};

use super::*;

fn ipv6(from: Ipv4Addr, to: MacAddress) -> Vec<u8> {
    self::from(mac(from), to)
}

fn from(source: MacAddress, destination: MacAddress) -> Vec<u8> {
    let mut bytes = frame(source, destination, &[0x60; 60]);
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    bytes
}

#[test]
fn the_household_is_one_bridge_whatever_the_frames_carry() {
    let mut home = Home::new(&config());
    let sent = home.process(LAN_PORT, &ipv6(ALICE, mac(BOB)));
    assert_eq!(sent.went_to(2).bytes, ipv6(ALICE, mac(BOB)));
    let direct = frame(mac(ALICE), mac(BOB), &udp((ALICE, 1), (BOB, 2)));
    assert_eq!(home.process(LAN_PORT, &direct).went_to(2).bytes, direct);
}

#[test]
fn unknown_stations_and_groups_are_flooded_to_the_others() {
    let mut home = Home::new(&config());
    home.process(LAN_PORT, &ipv6(ALICE, MacAddress([2, 9, 9, 9, 9, 9]))).went_to(2);
    home.process(LAN_PORT, &ipv6(ALICE, MacAddress([0x33, 0x33, 0, 0, 0, 1]))).went_to(2);
    home.process(LAN_PORT, &ipv6(ALICE, MacAddress::BROADCAST)).went_to(2);
}

#[test]
fn a_frame_for_a_neighbor_behind_the_same_port_goes_nowhere() {
    let mut home = Home::new(&config());
    let near = MacAddress([2, 9, 9, 9, 9, 9]);
    home.process(LAN_PORT, &from(near, mac(ALICE))).is_drop(DropReason::SamePort);
    home.process(LAN_PORT, &ipv6(ALICE, near)).is_drop(DropReason::SamePort);
}

#[test]
fn nobody_speaks_with_a_group_address_or_ours() {
    let mut home = Home::new(&config());
    for source in [MacAddress::BROADCAST, MacAddress::ZERO, router_mac(Zone::Lan)] {
        home.process(LAN_PORT, &from(source, mac(BOB))).is_drop(DropReason::BadSourceMac);
    }
}

#[test]
fn rfc5227_a_claim_to_the_routers_address_reaches_nobody() {
    let mut home = Home::new(&config());
    let router = config().lan.unwrap().address();
    let thief = mac(ALICE);
    for claim in [ArpPacket::announcement(thief, router), ArpPacket::request(thief, router, BOB)] {
        let mut bytes = [0; build::ARP_FRAME];
        build::arp_frame(&mut bytes, &claim).unwrap();
        for to in [MacAddress::BROADCAST, mac(BOB)] {
            bytes[..6].copy_from_slice(&to.0);
            home.process(LAN_PORT, &bytes).is_drop(DropReason::BadArp);
        }
    }
}

#[test]
fn a_station_that_moves_takes_its_flows_along() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
    let packet = frame(mac(ALICE), router_mac(Zone::Lan), &udp((ALICE, 5000), (SERVER, 53)));
    home.process(LAN_PORT_2, &packet).went_to(0);
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(2);
    let fast = home.plane.snapshot().fast;
    home.process(LAN_PORT_2, &packet).went_to(0);
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(2);
    assert_eq!(home.plane.snapshot().fast, fast + 2);
}

#[test]
fn a_forgotten_station_is_flooded_to_until_it_is_heard_again() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.now += Duration::from_secs(400);
    home.configure(&open_filter());
    let both = PortSet::EMPTY.with(PortId(1)).with(PortId(2));
    for _ in 0..2 {
        assert_eq!(home.wan_sends(&tcp((SERVER, 80), external, ACK)).verdict, Verdict::Flood(both));
    }
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).went_to(0);
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
    let fast = home.plane.snapshot().fast;
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).went_to(0);
    assert_eq!(home.plane.snapshot().fast, fast + 2);
}

#[test]
fn ports_count_frames_and_bytes_in_and_out() {
    let mut home = Home::new(&config());
    let bytes = ipv6(ALICE, mac(BOB));
    home.process(LAN_PORT, &bytes);
    let snapshot = home.plane.snapshot();
    assert_eq!((snapshot.ports[1].received, snapshot.ports[1].received_bytes), (1, bytes.len() as u64));
    assert_eq!((snapshot.ports[2].sent, snapshot.ports[2].sent_bytes), (1, bytes.len() as u64));
    home.inside_sends(&echo(ALICE, LAN, 8, 1));
    assert_eq!(home.plane.snapshot().ports[1].sent, 1);
}

#[test]
fn a_station_heard_only_on_the_fast_path_stays_known() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    let slow = home.plane.snapshot().slow;
    for _ in 0..60 {
        home.wait(Duration::from_secs(10));
        home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    }
    assert_eq!(home.plane.snapshot().slow, slow, "it was the fast path all the time");
    assert_eq!(home.plane.stations.lookup(home.now, Zone::Lan, mac(ALICE)), Some(PortId(1)));
    assert_eq!(home.plane.stations.lookup(home.now, Zone::Lan, mac(BOB)), None);
    // Frames to it go there and nowhere else.
    let direct = frame(mac(VISITOR), mac(ALICE), &udp((BOB, 1), (ALICE, 2)));
    home.process(LAN_PORT_2, &direct).went_to(1);
}

#[test]
fn what_is_sent_to_a_station_does_not_keep_it_known() {
    let mut home = Home::new(&open_filter());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    for _ in 0..31 {
        home.wan_sends(&udp((SERVER, 53), (WAN, 5000)));
        home.wait(Duration::from_secs(10));
    }
    assert_eq!(home.plane.stations.lookup(home.now, Zone::Lan, mac(ALICE)), None);
}

#[test]
fn a_neighbor_heard_only_on_the_fast_path_is_the_last_to_make_room() {
    let mut home = Home::without_neighbors(&config(), Limits { neighbors: 4, ..Limits::SMALL });
    let gateway = Command::PinNeighbor { zone: Zone::Wan, address: GATEWAY, mac: mac(GATEWAY) };
    home.plane.command(home.now, gateway);
    let ask = |home: &mut Home, address: Ipv4Addr| {
        let request = ArpPacket::request(mac(address), address, LAN);
        let mut bytes = [0; build::ARP_FRAME];
        build::arp_frame_to(&mut bytes, &request, MacAddress::BROADCAST).unwrap();
        assert_eq!(home.process(LAN_PORT, &bytes).verdict, Verdict::Hairpin);
    };
    ask(&mut home, ALICE);
    for number in 100..120 {
        home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
        home.wait(Duration::from_secs(61));
        ask(&mut home, Ipv4Addr::new(192, 168, 77, number));
    }
    assert_eq!(home.plane.neighbors.lookup(Zone::Lan, ALICE), Some(mac(ALICE)));
}

#[test]
fn a_station_that_flaps_between_ports_does_not_slow_down_the_others() {
    let mut home = Home::new(&config());
    let restless = MacAddress([2, 9, 9, 9, 9, 9]);
    let packet = udp((ALICE, 5000), (SERVER, 53));
    home.inside_sends(&packet).went_to(0);
    let before = home.plane.snapshot();
    let flaps = 1000;
    for number in 0..flaps {
        let port = if number % 2 == 0 { LAN_PORT } else { LAN_PORT_2 };
        home.process(port, &from(restless, mac(GATEWAY)));
        home.inside_sends(&packet).went_to(0);
        home.wait(Duration::from_millis(10));
    }
    let after = home.plane.snapshot();
    assert_eq!(home.plane.stations.moves(), flaps - 1);
    // Once a second each flow is looked at again, and each of the restless one's frames anyway.
    assert!(after.slow - before.slow <= flaps + 11, "{}", after.slow - before.slow);
    assert!(after.fast - before.fast >= flaps - 11);
}

#[test]
fn flows_follow_a_station_that_moved_during_the_pause_without_a_packet_of_theirs() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
    let elsewhere = MacAddress([2, 9, 9, 9, 9, 9]);
    for port in [LAN_PORT, LAN_PORT_2] {
        home.process(port, &from(elsewhere, mac(GATEWAY)));
    }
    home.process(LAN_PORT_2, &ipv6(ALICE, mac(GATEWAY)));
    let due = home.poll_all().until.expect("it has something to do soon");
    assert!(due <= home.now + Duration::from_secs(1));
    home.wait(Duration::from_secs(1));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(2);
}
