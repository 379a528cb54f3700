//! RFC 5382 and RFC 7857: TCP through the NAT.

use super::*;

#[test]
fn one_inside_endpoint_has_one_external_port_rfc5382_req_1() {
    let mut home = Home::new(&config());
    let first = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), SYN)).source();
    let second = home.inside_sends(&tcp((ALICE, 5000), (OTHER, 443), SYN)).source();
    assert_eq!(first, second);
}

#[test]
fn a_handshake_opens_and_data_takes_the_fast_path_rfc5382_req_2() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    let before = home.plane.snapshot().fast;
    home.wan_sends(&tcp_with((SERVER, 80), external, ACK, &[], b"data")).went_to(1);
    home.inside_sends(&tcp_with((ALICE, 5000), (SERVER, 80), ACK, &[], b"data")).went_to(0);
    assert_eq!(home.plane.snapshot().fast - before, 2);
}

#[test]
fn simultaneous_open_works_rfc5382_req_2() {
    let mut home = Home::new(&config());
    let external = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 6000), SYN)).source();
    home.wan_sends(&tcp((SERVER, 6000), external, SYN)).went_to(1);
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 6000), SYN_ACK)).went_to(0);
    home.wan_sends(&tcp((SERVER, 6000), external, SYN_ACK)).went_to(1);
    home.wait(Duration::from_secs(3600));
    home.wan_sends(&tcp((SERVER, 6000), external, ACK)).went_to(1);
}

#[test]
fn filtering_is_chosen_as_for_udp_rfc5382_req_3() {
    for (config, open) in [(config(), false), (open_filter(), true)] {
        let mut home = Home::new(&config);
        let external = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), SYN)).source();
        let verdict = home.wan_sends(&tcp((OTHER, 4000), external, SYN)).verdict;
        let expected = if open { Verdict::Forward(PortId(1)) } else { Verdict::Drop(DropReason::Filtered) };
        assert_eq!(verdict, expected);
    }
}

#[test]
fn an_unsolicited_syn_is_never_answered_and_does_not_disturb_a_later_open_rfc5382_req_4() {
    let mut home = Home::new(&config());
    home.wan_sends(&tcp((SERVER, 6000), (WAN, 5000), SYN)).is_drop(DropReason::Unsolicited);
    assert!(home.poll_all().sent.is_empty());
    // Within six seconds the inside opens: it works as if nothing had been.
    home.wait(Duration::from_secs(5));
    let external = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 6000), SYN)).source();
    assert_eq!(external, (WAN, 5000));
    home.wan_sends(&tcp((SERVER, 6000), external, SYN)).went_to(1);
    home.wait(Duration::from_secs(10));
    assert!(home.poll_all().sent.is_empty());
}

#[test]
fn an_established_connection_may_be_idle_for_two_hours_and_four_minutes_rfc5382_req_5() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.wait(Duration::from_secs(7_439));
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
    home.wait(Duration::from_secs(7_439));
    assert_eq!(home.flows(), 1);
    home.wait(Duration::from_secs(5));
    assert_eq!(home.flows(), 0);
}

#[test]
fn an_unanswered_syn_is_kept_four_minutes_rfc5382_req_5() {
    let mut home = Home::new(&config());
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), SYN));
    home.wait(Duration::from_secs(239));
    assert_eq!(home.flows(), 1);
    home.wait(Duration::from_secs(5));
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_closed_connection_is_kept_four_minutes_rfc5382_req_5() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), FIN_ACK)).went_to(0);
    home.wan_sends(&tcp((SERVER, 80), external, FIN_ACK)).went_to(1);
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).went_to(0);
    home.wait(Duration::from_secs(239));
    assert_eq!(home.flows(), 1);
    home.wait(Duration::from_secs(5));
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_half_closed_connection_still_carries_data_for_hours() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), FIN_ACK)).went_to(0);
    home.wait(Duration::from_secs(3_600));
    home.wan_sends(&tcp_with((SERVER, 80), external, ACK, &[], b"rest")).went_to(1);
}

#[test]
fn two_connections_never_share_an_external_port_rfc5382_req_7() {
    let mut home = Home::new(&config());
    let first = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), SYN)).source();
    let second = home.inside_sends(&tcp((BOB, 5000), (SERVER, 80), SYN)).source();
    assert_ne!(first, second);
}

#[test]
fn a_connection_through_hairpin_works_both_ways_rfc5382_req_8() {
    let mut home = Home::new(&with_forward(forward(8080, BOB, 80)));
    let open = home.inside_sends(&tcp((ALICE, 5000), (WAN, 8080), SYN));
    assert_eq!(open.went_to(2).destination(), (BOB, 80));
    let external = open.source();
    assert_eq!(external, (WAN, 5000));
    let answer = home.inside_sends(&tcp((BOB, 80), external, SYN_ACK));
    assert_eq!((answer.went_to(1).source(), answer.destination()), ((WAN, 8080), (ALICE, 5000)));
    home.inside_sends(&tcp((ALICE, 5000), (WAN, 8080), ACK)).went_to(2);
    let fast = home.plane.snapshot().fast;
    home.inside_sends(&tcp((ALICE, 5000), (WAN, 8080), ACK)).went_to(2);
    assert_eq!(home.plane.snapshot().fast, fast + 1);
}

#[test]
fn icmp_errors_about_a_connection_are_translated_rfc5382_req_9() {
    let mut home = Home::new(&config());
    home.inside_sends(&tcp((BOB, 5000), (SERVER, 80), SYN));
    let sent = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), SYN));
    let error = home.wan_sends(&unreachable(OTHER, &sent.bytes[14..]));
    assert_eq!(error.went_to(1).destination().0, ALICE);
    assert_eq!(error.source().0, OTHER);
    let (kind, code, quoted) = error.icmp();
    assert_eq!((kind, code), (3, 3));
    assert_eq!(&quoted[..28], &edit(tcp((ALICE, 5000), (SERVER, 80), SYN), |packet| packet[8] = 63)[..28]);
}

#[test]
fn icmp_errors_end_no_connection_rfc5382_req_10() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    let sent = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK));
    home.wan_sends(&unreachable(SERVER, &sent.bytes[14..])).went_to(1);
    home.wait(Duration::from_secs(7_000));
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
}

#[test]
fn a_reset_is_translated_and_the_flow_kept_four_minutes_rfc7857() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    let reset = home.wan_sends(&tcp((SERVER, 80), external, RST));
    assert_eq!(reset.went_to(1).destination(), (ALICE, 5000));
    home.wait(Duration::from_secs(239));
    assert_eq!(home.flows(), 1);
    home.wait(Duration::from_secs(5));
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_forged_reset_does_not_end_a_connection_that_goes_on_rfc7857() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.wan_sends(&tcp((SERVER, 80), external, RST)).went_to(1);
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
    home.wait(Duration::from_secs(3_600));
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
}

#[test]
fn resets_do_not_refresh_rfc7857() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    for _ in 0..10 {
        home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), RST));
        home.wait(Duration::from_secs(30));
    }
    assert_eq!(home.flows(), 0);
}

#[test]
fn segments_without_a_flow_open_none() {
    let mut home = Home::new(&open_filter());
    for flags in [ACK, SYN_ACK, RST, FIN_ACK] {
        home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), flags)).is_drop(DropReason::TcpNoFlow);
        home.wan_sends(&tcp((SERVER, 80), (WAN, 5000), flags)).is_drop(DropReason::TcpNoFlow);
    }
    for flags in [0x03, 0x06, 0x00, 0x29] {
        home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), flags)).is_drop(DropReason::TcpInvalid);
    }
    assert_eq!(home.flows(), 0);
}

#[test]
fn the_mss_of_syns_is_clamped_both_ways() {
    let mut config = config();
    config.wan = config.wan.map(|wan| Wan { mtu: Some(1492), ..wan });
    let mut home = Home::new(&config);
    let mss = |value: u16| [[1, 2, 4].as_slice(), &value.to_be_bytes(), &[0, 0, 0]].concat();
    let read = |sent: &Sent| u16::from_be_bytes([sent.bytes[14 + 20 + 23], sent.bytes[14 + 20 + 24]]);
    let open = home.inside_sends(&tcp_with((ALICE, 5000), (SERVER, 80), SYN, &mss(1460), &[]));
    assert_eq!((open.ip().total_len, read(&open)), (48, 1452));
    let answer = home.wan_sends(&tcp_with((SERVER, 80), (WAN, 5000), SYN_ACK, &mss(9000), &[]));
    assert_eq!((answer.ip().total_len, read(&answer)), (48, 1452));
    let small = home.inside_sends(&tcp_with((ALICE, 5001), (SERVER, 80), SYN, &mss(536), &[]));
    assert_eq!((small.ip().total_len, read(&small)), (48, 536));
}
