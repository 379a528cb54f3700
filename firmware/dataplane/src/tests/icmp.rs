//! RFC 5508: ICMP through the NAT.

use super::*;

#[test]
fn queries_go_out_with_an_identifier_of_their_own_rfc5508_req_1() {
    let mut home = Home::new(&config());
    let first = home.inside_sends(&echo(ALICE, SERVER, 8, 77));
    assert_eq!(first.went_to(0).source(), (WAN, 77));
    let second = home.inside_sends(&echo(BOB, SERVER, 8, 77));
    let moved = second.went_to(0).source().1;
    assert_ne!(moved, 77);
    // Endpoint-independent: the same identifier towards another host.
    assert_eq!(home.inside_sends(&echo(BOB, OTHER, 8, 77)).source().1, moved);
    let reply = home.wan_sends(&echo(SERVER, WAN, 0, moved));
    assert_eq!(reply.went_to(2).destination(), (BOB, 77));
    home.wan_sends(&echo(SERVER, WAN, 0, 77)).went_to(1);
    home.wan_sends(&echo(SERVER, WAN, 0, 9)).is_drop(DropReason::IcmpNoFlow);
}

#[test]
fn a_query_lives_sixty_seconds_rfc5508_req_2() {
    let mut home = Home::new(&config());
    home.inside_sends(&echo(ALICE, SERVER, 8, 77));
    home.wait(Duration::from_secs(59));
    home.wan_sends(&echo(SERVER, WAN, 0, 77)).went_to(1);
    home.wait(Duration::from_secs(4));
    assert_eq!((home.flows(), home.mappings()), (0, 0));
}

#[test]
fn errors_with_bad_checksums_are_dropped_rfc5508_req_3() {
    let mut home = Home::new(&config());
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let good = unreachable(SERVER, &sent.bytes[14..]);
    let mut bad = good.clone();
    bad[22] ^= 1;
    home.wan_sends(&bad).is_drop(DropReason::BadIcmpChecksum);
    // The quoted IP header's checksum is wrong, the message's right.
    let mut quoted = sent.bytes[14..].to_vec();
    quoted[10] ^= 1;
    home.wan_sends(&unreachable(SERVER, &quoted)).is_drop(DropReason::BadIpChecksum);
    // The quoted transport checksum is nobody's business.
    let mut quoted = sent.bytes[14..].to_vec();
    quoted[26] ^= 1;
    home.wan_sends(&unreachable(SERVER, &quoted)).went_to(1);
    home.wan_sends(&good).went_to(1);
}

#[test]
fn options_in_the_quoted_header_are_skipped_rfc5508_req_3() {
    let mut home = Home::new(&config());
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let packet = &sent.bytes[14..];
    let mut quoted = packet[..20].to_vec();
    quoted.extend([1, 1, 1, 0]);
    quoted.extend(&packet[20..]);
    let quoted = edit(quoted, |quoted| {
        quoted[0] = 0x46;
        quoted[3] += 4;
    });
    let error = home.wan_sends(&icmp(SERVER, WAN, 3, 3, [0; 4], &quoted));
    let (_, _, quoted) = error.icmp();
    assert_eq!((&quoted[12..16], &quoted[24..26]), (&ALICE.octets()[..], &5000_u16.to_be_bytes()[..]));
}

#[test]
fn errors_from_outside_are_turned_back_into_what_was_sent_rfc5508_req_4() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((BOB, 5000), (SERVER, 53)));
    let original = udp((ALICE, 5000), (SERVER, 53));
    let sent = home.inside_sends(&original);
    assert_ne!(sent.source().1, 5000);
    for (kind, code) in [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (12, 0)] {
        let error = icmp(OTHER, WAN, kind, code, [0, 0, 5, 0], &sent.bytes[14..]);
        let error = home.wan_sends(&error);
        assert_eq!((error.went_to(1).source().0, error.destination().0), (OTHER, ALICE));
        let (got_kind, got_code, quoted) = error.icmp();
        assert_eq!((got_kind, got_code), (kind, code));
        // Addresses, ports and both checksums are those of the original; only the TTL has moved on.
        assert_eq!(quoted, edit(original.clone(), |packet| packet[8] = 63));
    }
}

#[test]
fn errors_about_queries_are_turned_back_rfc5508_req_4() {
    let mut home = Home::new(&config());
    home.inside_sends(&echo(BOB, SERVER, 8, 77));
    let original = echo(ALICE, SERVER, 8, 77);
    let sent = home.inside_sends(&original);
    let error = home.wan_sends(&icmp(OTHER, WAN, 11, 0, [0; 4], &sent.bytes[14..]));
    assert_eq!(error.went_to(1).destination().0, ALICE);
    assert_eq!(error.icmp().2, edit(original, |packet| packet[8] = 63));
}

#[test]
fn errors_from_inside_hide_who_sent_them_rfc5508_req_5() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((BOB, 5000), (SERVER, 53)));
    let external = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source();
    let original = udp((SERVER, 53), external);
    let answer = home.wan_sends(&original);
    let error = home.inside_sends(&unreachable(ALICE, &answer.bytes[14..]));
    assert_eq!((error.went_to(0).source().0, error.destination().0), (WAN, SERVER));
    let (_, _, quoted) = error.icmp();
    assert_eq!(quoted[..24], edit(original, |packet| packet[8] = 63)[..24]);
}

#[test]
fn errors_neither_refresh_nor_end_a_flow_rfc5508_req_6() {
    let mut home = Home::new(&config());
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    for _ in 0..4 {
        home.wait(Duration::from_secs(70));
        home.wan_sends(&unreachable(SERVER, &sent.bytes[14..])).went_to(1);
    }
    home.wait(Duration::from_secs(25));
    assert_eq!(home.flows(), 0);
    home.wan_sends(&unreachable(SERVER, &sent.bytes[14..])).is_drop(DropReason::IcmpNoFlow);
}

#[test]
fn errors_inside_hairpinned_flows_show_external_ends_rfc5508_req_7() {
    let mut home = Home::new(&config());
    let bob = home.inside_sends(&udp((BOB, 6000), (SERVER, 3478))).source();
    let original = udp((ALICE, 5000), bob);
    let arrived = home.inside_sends(&original);
    let error = home.inside_sends(&unreachable(BOB, &arrived.bytes[14..]));
    assert_eq!((error.went_to(1).source().0, error.destination().0), (WAN, ALICE));
    assert_eq!(error.icmp().2[..24], edit(original, |packet| packet[8] = 63)[..24]);
}

#[test]
fn no_room_for_a_query_is_told_with_code_13_rfc5508_req_8() {
    let mut home = Home::with_limits(&config(), Limits { flows: 4, flows_per_device: 4, ..Limits::SMALL });
    for port in 0..4 {
        home.connect((ALICE, 5000 + port), (SERVER, 80));
    }
    let refused = home.inside_sends(&echo(BOB, SERVER, 8, 77));
    assert_eq!(refused.verdict, Verdict::Hairpin);
    let (kind, code, _) = refused.icmp();
    assert_eq!((kind, code), (3, 13));
    assert_eq!(home.drops(DropReason::FlowTableFull), 1);
}

#[test]
fn queries_and_errors_of_the_supported_types_only_rfc5508_req_10() {
    let mut home = Home::new(&config());
    for kind in [8, 13, 15, 17] {
        home.inside_sends(&echo(ALICE, SERVER, kind, u16::from(kind))).went_to(0);
    }
    home.inside_sends(&icmp(ALICE, SERVER, 9, 0, [0; 4], &[])).is_drop(DropReason::IcmpUnsupported);
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    // Redirects and source quench are for routers and history.
    for kind in [4, 5] {
        home.wan_sends(&icmp(OTHER, WAN, kind, 0, [0; 4], &sent.bytes[14..]))
            .is_drop(DropReason::IcmpUnsupported);
    }
}

#[test]
fn errors_about_what_nobody_sent_are_dropped() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let forged = udp((WAN, 5001), (SERVER, 53));
    home.wan_sends(&unreachable(OTHER, &forged)).is_drop(DropReason::IcmpNoFlow);
    // Quoting a packet that the receiver of the error did not send.
    let forged = udp((ALICE, 5000), (SERVER, 53));
    home.wan_sends(&icmp(OTHER, WAN, 3, 3, [0; 4], &forged)).is_drop(DropReason::IcmpBadQuote);
    home.wan_sends(&icmp(OTHER, WAN, 3, 3, [0; 4], &forged[..19])).is_drop(DropReason::IcmpBadQuote);
}

#[test]
fn errors_about_the_routers_own_packets_reach_its_stack() {
    let mut home = Home::new(&config());
    let sent = home.router_sends(&udp((WAN, 40_000), (SERVER, 53)));
    let error = home.wan_sends(&unreachable(SERVER, &sent.went_to(0).bytes[14..]));
    assert_eq!(error.verdict, Verdict::Punt(Zone::Wan));
    assert_eq!(error.icmp().2[20..24], [40_000_u16.to_be_bytes(), 53_u16.to_be_bytes()].concat());
}
