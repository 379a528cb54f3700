//! RFC 4787: network address translation for unicast UDP, requirement by requirement.

use super::*;

#[test]
fn one_inside_endpoint_has_one_external_port_whoever_it_speaks_to_rfc4787_req_1() {
    let mut home = Home::new(&config());
    let first = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source();
    let second = home.inside_sends(&udp((ALICE, 5000), (OTHER, 9999))).source();
    assert_eq!(first, second);
    assert_eq!((home.flows(), home.mappings()), (2, 1));
}

#[test]
fn all_flows_of_a_host_share_the_external_address_rfc4787_req_2() {
    let mut home = Home::new(&config());
    for port in 5000..5010 {
        assert_eq!(home.inside_sends(&udp((ALICE, port), (SERVER, 53))).source().0, WAN);
    }
}

#[test]
fn two_inside_endpoints_never_share_an_external_port_rfc4787_req_3() {
    let mut home = Home::new(&config());
    let first = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source();
    let second = home.inside_sends(&udp((BOB, 5000), (SERVER, 53))).source();
    assert_eq!(first, (WAN, 5000));
    assert_ne!(second.1, 5000);
    assert!(second.1 >= 1024);
    let low = home.inside_sends(&udp((ALICE, 500), (SERVER, 500))).source();
    let other_low = home.inside_sends(&udp((BOB, 500), (SERVER, 500))).source();
    assert_eq!(low.1, 500);
    assert!(other_low.1 < 1024 && other_low.1 != 500 && other_low.1 != 0);
}

#[test]
fn parity_of_the_port_is_kept_rfc4787_req_4() {
    let mut home = Home::new(&config());
    for port in 5000..5008 {
        home.inside_sends(&udp((ALICE, port), (SERVER, 53)));
        let moved = home.inside_sends(&udp((BOB, port), (SERVER, 53))).source().1;
        assert_eq!(moved % 2, port % 2);
    }
}

#[test]
fn a_mapping_lives_five_minutes_and_then_goes_rfc4787_req_5() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.wait(Duration::from_secs(299));
    assert_eq!((home.flows(), home.mappings()), (1, 1));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
    home.wait(Duration::from_secs(4));
    assert_eq!((home.flows(), home.mappings()), (0, 0));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).is_drop(DropReason::Unsolicited);
    assert_eq!(home.plane.snapshot().flows.expired, 1);
}

#[test]
fn a_timer_below_two_minutes_is_raised_rfc4787_req_5() {
    let mut config = config();
    config.timeouts.udp = Duration::from_secs(1);
    let mut home = Home::new(&config);
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.wait(Duration::from_secs(119));
    assert_eq!(home.flows(), 1);
    home.wait(Duration::from_secs(4));
    assert_eq!(home.flows(), 0);
}

#[test]
fn outbound_packets_keep_a_mapping_alive_rfc4787_req_6() {
    let mut home = Home::new(&config());
    for _ in 0..5 {
        home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
        home.wait(Duration::from_secs(200));
        assert_eq!(home.flows(), 1);
    }
}

#[test]
fn the_wan_cannot_keep_a_mapping_alive_rfc4787_req_6() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    for _ in 0..4 {
        home.wan_sends(&udp((SERVER, 53), (WAN, 5000)));
        home.wait(Duration::from_secs(100));
    }
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_wan_network_that_overlaps_ours_does_not_take_our_hosts_away_rfc4787_req_7() {
    let wan = Wan { address: "192.168.77.200/24".parse().unwrap(), gateway: None, mtu: None };
    let mut home = Home::new(&Config { wan: Some(wan), ..config() });
    // Routed to the household, which is one bridge: hairpinned by the router, not sent to the WAN.
    home.inside_sends(&udp((ALICE, 5000), (BOB, 7))).went_to(2);
}

#[test]
fn only_addresses_that_were_spoken_to_may_answer_rfc4787_req_8() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
    // Address-dependent: another port of the same address may.
    let sent = home.wan_sends(&udp((SERVER, 9999), (WAN, 5000)));
    assert_eq!(sent.went_to(1).destination(), (ALICE, 5000));
    home.wan_sends(&udp((OTHER, 53), (WAN, 5000))).is_drop(DropReason::Filtered);
}

#[test]
fn the_routers_own_ports_stay_its_own() {
    let mut home = Home::new(&Config { router_udp_ports: Some((5060, 6059)), ..config() });
    // A telephone at home that uses the usual port gets another one outside…
    let sent = home.inside_sends(&udp((ALICE, 5060), (SERVER, 5060)));
    assert!(!(5060..=6059).contains(&sent.source().1), "{:?}", sent.source());
    // … because the router tells its own to the operator.
    assert_eq!(home.router_sends(&udp((WAN, 5060), (SERVER, 5060))).source(), (WAN, 5060));
    home.wan_sends(&udp((SERVER, 5060), (WAN, 5060)));
}

#[test]
fn a_call_of_the_router_hears_a_gateway_that_sends_from_another_port() {
    let mut home = Home::new(&Config { router_udp_ports: Some((5060, 6059)), ..config() });
    home.router_sends(&udp((WAN, 5064), (SERVER, 4000)));
    let sent = home.wan_sends(&udp((SERVER, 9999), (WAN, 5064)));
    assert_eq!(sent.verdict, Verdict::Punt(Zone::Wan));
    // Nobody else, and at no port that is not in use; the router's other sockets stay strict.
    home.wan_sends(&udp((OTHER, 4000), (WAN, 5064))).is_drop(DropReason::Unsolicited);
    home.wan_sends(&udp((SERVER, 4000), (WAN, 5066))).is_drop(DropReason::Unsolicited);
    home.router_sends(&udp((WAN, 40_000), (SERVER, 53)));
    home.wan_sends(&udp((SERVER, 54), (WAN, 40_000))).is_drop(DropReason::Unsolicited);
}

#[test]
fn with_the_open_filter_anybody_may_answer_rfc4787_req_8() {
    let mut home = Home::new(&open_filter());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let sent = home.wan_sends(&udp((OTHER, 1234), (WAN, 5000)));
    assert_eq!((sent.source(), sent.destination()), ((OTHER, 1234), (ALICE, 5000)));
    home.wan_sends(&udp((OTHER, 1234), (WAN, 5001))).is_drop(DropReason::Unsolicited);
}

#[test]
fn hairpinned_packets_come_from_the_external_endpoint_rfc4787_req_9() {
    let mut home = Home::new(&config());
    let bob = home.inside_sends(&udp((BOB, 6000), (SERVER, 3478))).source();
    let sent = home.inside_sends(&udp((ALICE, 5000), bob));
    assert_eq!(sent.went_to(2).destination(), (BOB, 6000));
    let external = sent.source();
    assert_eq!(external.0, WAN);
    let answer = home.inside_sends(&udp((BOB, 6000), external));
    assert_eq!(answer.went_to(1).source(), bob);
    assert_eq!(answer.destination(), (ALICE, 5000));
    // The same external endpoint as towards the WAN.
    assert_eq!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 3478))).source(), external);
}

#[test]
fn a_host_reaches_its_own_mapping_through_hairpin_rfc4787_req_9() {
    let mut home = Home::new(&config());
    let external = home.inside_sends(&udp((ALICE, 5000), (SERVER, 3478))).source();
    let sent = home.inside_sends(&udp((ALICE, 5001), external));
    assert_eq!(sent.went_to(1).destination(), (ALICE, 5000));
}

#[test]
fn payloads_are_left_alone_whatever_the_port_rfc4787_req_10() {
    let mut home = Home::new(&config());
    let sip = b"INVITE sip:a@192.168.77.10 SIP/2.0";
    let sent = home.inside_sends(&udp_with((ALICE, 5060), (SERVER, 5060), sip));
    assert_eq!(&sent.bytes[42..], sip);
}

#[test]
fn behaviour_does_not_depend_on_what_came_before_rfc4787_req_11() {
    let mut home = Home::new(&config());
    for port in 5000..5006 {
        home.inside_sends(&udp((ALICE, port), (SERVER, 53)));
        home.inside_sends(&udp((BOB, port), (SERVER, 53)));
    }
    // A mapping made after conflicts behaves like the first one.
    let external = home.inside_sends(&udp((BOB, 5000), (OTHER, 53))).source();
    assert_eq!(home.inside_sends(&udp((BOB, 5000), (SERVER, 99))).source(), external);
    home.wan_sends(&udp((OTHER, 1), external)).went_to(2);
}

#[test]
fn icmp_errors_end_no_mapping_rfc4787_req_12() {
    let mut home = Home::new(&config());
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let error = unreachable(SERVER, &sent.bytes[14..]);
    for _ in 0..3 {
        home.wan_sends(&error).went_to(1);
    }
    assert_eq!((home.flows(), home.mappings()), (1, 1));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
}

#[test]
fn too_big_with_df_is_answered_and_without_df_cut_in_order_rfc4787_req_13() {
    let mut config = config();
    config.wan = config.wan.map(|wan| Wan { mtu: Some(600), ..wan });
    let mut home = Home::new(&config);
    let big = udp_with((ALICE, 5000), (SERVER, 53), &[7; 1000]);
    let sent = home.inside_sends(&edit(big.clone(), |packet| packet[6] |= 0x40));
    assert_eq!(sent.verdict, Verdict::Hairpin);
    let (kind, code, quoted) = sent.icmp();
    assert_eq!((kind, code), (3, 4));
    assert_eq!(sent.bytes[14 + 20 + 6..14 + 20 + 8], 600_u16.to_be_bytes());
    assert_eq!(&quoted[12..20], &[ALICE.octets(), SERVER.octets()].concat());
    assert_eq!(home.drops(DropReason::TooBig), 1);

    let first = home.inside_sends(&big);
    let rest = home.poll_all().sent;
    assert_eq!(first.ip().fragment_offset, 0);
    assert!(first.ip().more_fragments && first.ip().total_len <= 600);
    assert_eq!(rest.len(), 1);
    let second = check(&rest[0].1, &Offload::default());
    assert_eq!((second.source, second.fragment_offset), (WAN, first.ip().total_len - 20));
}

#[test]
fn a_zero_checksum_stays_zero_rfc768() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((BOB, 5000), (SERVER, 53)));
    let mut packet = udp((ALICE, 5000), (SERVER, 53));
    packet[26..28].fill(0);
    let sent = home.inside_sends(&packet);
    assert_eq!(sent.bytes[14 + 26..14 + 28], [0, 0]);
}

#[test]
fn answers_and_further_packets_take_the_fast_path() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000)));
    let before = home.plane.snapshot();
    for _ in 0..10 {
        let out = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
        assert_eq!((out.went_to(0).source(), out.ip().ttl), ((WAN, 5000), 63));
        assert_eq!(out.macs(), (mac(GATEWAY), router_mac(Zone::Wan)));
        let back = home.wan_sends(&udp((SERVER, 53), (WAN, 5000)));
        assert_eq!((back.went_to(1).destination(), back.ip().ttl), ((ALICE, 5000), 63));
        assert_eq!(back.macs(), (mac(ALICE), router_mac(Zone::Lan)));
    }
    let after = home.plane.snapshot();
    assert_eq!((after.fast - before.fast, after.slow - before.slow), (20, 0));
    let alice = *home.plane.devices().find(|usage| usage.mac == mac(ALICE)).unwrap();
    assert_eq!((alice.sent_packets, alice.received_packets), (11, 11));
    assert_eq!(alice.sent_bytes, 11 * 47);
}
