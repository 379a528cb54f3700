//! The household's bridge in the pipeline.

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
