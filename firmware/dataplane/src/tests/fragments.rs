//! RFC 4787 REQ-14: fragments, in order and out of order, and what floods of them may cost.

use super::*;

fn big(source: End, destination: End) -> Vec<u8> {
    let payload: Vec<u8> = (0..2400_u16).map(|number| number as u8).collect();
    udp_with(source, destination, &payload)
}

#[test]
fn fragments_in_order_are_translated_rfc4787_req_14() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((BOB, 5000), (SERVER, 53)));
    let parts = pieces(&big((ALICE, 5000), (SERVER, 53)), 800, 99);
    assert_eq!(parts.len(), 4);
    let first = home.inside_sends(&parts[0]);
    let external = first.went_to(0).source();
    assert_ne!(external.1, 5000);
    let mut body = first.bytes[34..].to_vec();
    for part in &parts[1..] {
        let sent = home.inside_sends(part);
        assert_eq!(sent.went_to(0).source().0, WAN);
        assert_eq!(sent.ip().ttl, 63);
        body.extend(&sent.bytes[34..]);
    }
    // Put together, it is the packet with its new source, and the checksum holds.
    let whole = frame(MacAddress::ZERO, MacAddress::ZERO, &packet(WAN, SERVER, Protocol::UDP, &body));
    let ip = check(&whole, &Offload::default());
    assert_eq!((ip.source, ip.source_port), external);
}

#[test]
fn fragments_out_of_order_wait_for_the_first_rfc4787_req_14() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let parts = pieces(&big((SERVER, 53), (WAN, 5000)), 800, 7);
    for part in parts[1..].iter().rev() {
        assert_eq!(home.wan_sends(part).verdict, Verdict::Held);
    }
    assert!(home.poll_all().sent.is_empty());
    home.wan_sends(&parts[0]).went_to(1);
    let released = home.poll_all().sent;
    let offsets: Vec<u16> = released
        .iter()
        .map(|(to, bytes)| {
            assert_eq!(*to, PortSet::EMPTY.with(PortId(1)));
            let ip = check(bytes, &Offload::default());
            assert_eq!(ip.destination, ALICE);
            ip.fragment_offset
        })
        .collect();
    assert_eq!(offsets, [2400, 1600, 800]);
    assert_eq!(home.plane.snapshot().ports[1].sent, 4);
}

#[test]
fn fragments_of_a_dropped_packet_are_dropped_rfc4787_req_14() {
    let mut home = Home::new(&config());
    let parts = pieces(&big((SERVER, 53), (WAN, 5000)), 800, 7);
    assert_eq!(home.wan_sends(&parts[1]).verdict, Verdict::Held);
    home.wan_sends(&parts[0]).is_drop(DropReason::Unsolicited);
    assert!(home.poll_all().sent.is_empty());
    assert_eq!(home.drops(DropReason::FragmentNoFirst), 1);
    home.wan_sends(&parts[2]).is_drop(DropReason::FragmentNoFirst);
}

#[test]
fn orphans_are_given_up_after_a_few_seconds() {
    let mut home = Home::new(&config());
    let parts = pieces(&big((SERVER, 53), (WAN, 5000)), 800, 7);
    let free = home.pool.available().ordinary;
    assert_eq!(home.wan_sends(&parts[1]).verdict, Verdict::Held);
    assert!(home.poll_all().until.unwrap() <= home.now + Duration::from_secs(5));
    home.wait(Duration::from_secs(6));
    assert_eq!(home.drops(DropReason::FragmentTimeout), 1);
    assert_eq!(home.pool.available().ordinary, free);
}

#[test]
fn a_flood_of_orphans_takes_bounded_room_and_no_packet_that_is_under_way() {
    let mut home = Home::new(&config());
    let mine = pieces(&big((ALICE, 5000), (SERVER, 53)), 800, 1);
    home.inside_sends(&mine[0]).went_to(0);
    let free = home.pool.available().ordinary;
    for id in 0..1000 {
        let parts = pieces(&big((OTHER, 53), (WAN, 5000)), 800, id);
        home.wan_sends(&parts[1]);
    }
    assert!(free - home.pool.available().ordinary <= Limits::SMALL.held_frames);
    assert!(home.drops(DropReason::FragmentTableFull) > 900);
    home.inside_sends(&mine[1]).went_to(0);
}

#[test]
fn a_fragment_after_its_flow_ended_goes_nowhere() {
    let mut home = Home::new(&config());
    let parts = pieces(&big((ALICE, 5000), (SERVER, 53)), 800, 1);
    home.inside_sends(&parts[0]).went_to(0);
    home.plane.command(home.now, Command::FlushFlows);
    home.inside_sends(&parts[1]).is_drop(DropReason::FragmentNoFirst);
}

#[test]
fn a_first_fragment_without_its_ports_is_malformed_rfc1858() {
    let mut home = Home::new(&config());
    let parts = pieces(&tcp((ALICE, 5000), (SERVER, 80), SYN), 8, 1);
    assert!(matches!(home.inside_sends(&parts[0]).verdict, Verdict::Drop(_)));
    assert_eq!(home.flows(), 0);
}

#[test]
fn fragments_are_cut_further_where_the_way_is_narrower() {
    let mut config = config();
    config.wan = config.wan.map(|wan| Wan { mtu: Some(576), ..wan });
    let mut home = Home::new(&config);
    let parts = pieces(&big((ALICE, 5000), (SERVER, 53)), 800, 1);
    let first = home.inside_sends(&parts[0]).ip();
    assert!(first.more_fragments && first.total_len <= 576);
    let rest = home.poll_all().sent;
    let second = check(&rest[0].1, &Offload::default());
    assert_eq!(second.fragment_offset, first.total_len - 20);
    assert!(second.more_fragments);
}
