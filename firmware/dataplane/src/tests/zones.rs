//! Who may reach whom: household, guests, WAN, the router itself; rules, forwards, the exposed host.

use super::*;
use crate::{Action, Protocol as RuleProtocol, Rule};

const ANY: Rule = Rule {
    from: None,
    to: None,
    device: None,
    protocol: None,
    ports: None,
    remote: None,
    action: Action::Drop,
};

fn with_rules(rules: &[Rule]) -> Config {
    let mut config = config();
    config.rules.extend_from_slice(rules).unwrap();
    config
}

#[test]
fn guests_reach_the_wan() {
    let mut home = Home::new(&config());
    let external = home.inside_sends(&udp((VISITOR, 5000), (SERVER, 53))).source();
    assert_eq!(external, (WAN, 5000));
    home.wan_sends(&udp((SERVER, 53), external)).went_to(3);
}

#[test]
fn guests_reach_nobody_of_the_household() {
    let mut home = Home::new(&with_forward(forward(8080, BOB, 80)));
    home.inside_sends(&tcp((VISITOR, 5000), (ALICE, 80), SYN)).is_drop(DropReason::ZonePolicy);
    home.inside_sends(&echo(VISITOR, ALICE, 8, 1)).is_drop(DropReason::ZonePolicy);
    // Not through hairpin either.
    home.inside_sends(&tcp((VISITOR, 5000), (WAN, 8080), SYN)).is_drop(DropReason::GuestToRouter);
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.inside_sends(&udp((VISITOR, 5000), (WAN, 5000))).is_drop(DropReason::GuestToRouter);
}

#[test]
fn guests_reach_no_other_guest() {
    let mut home = Home::new(&config());
    // By way of the router, on the bridge, on the same port, and by broadcast.
    home.inside_sends(&udp((VISITOR, 5000), (STRANGER, 7))).is_drop(DropReason::ZonePolicy);
    let packet = udp((VISITOR, 5000), (STRANGER, 7));
    home.process(GUEST_PORT, &frame(mac(VISITOR), mac(STRANGER), &packet))
        .is_drop(DropReason::GuestIsolation);
    home.process(GUEST_PORT, &frame(mac(VISITOR), MacAddress::BROADCAST, &packet))
        .is_drop(DropReason::GuestIsolation);
}

#[test]
fn the_household_reaches_no_guest() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (VISITOR, 7))).is_drop(DropReason::ZonePolicy);
}

#[test]
fn guests_use_dhcp_dns_and_ping_of_the_router_and_nothing_else() {
    let mut home = Home::new(&config());
    assert_eq!(home.inside_sends(&udp((VISITOR, 5000), (GUEST, 53))).verdict, Verdict::Punt(Zone::Guest));
    assert_eq!(
        home.inside_sends(&tcp((VISITOR, 5000), (GUEST, 53), SYN)).verdict,
        Verdict::Punt(Zone::Guest)
    );
    assert_eq!(home.inside_sends(&udp((VISITOR, 68), (GUEST, 67))).verdict, Verdict::Punt(Zone::Guest));
    assert_eq!(home.inside_sends(&echo(VISITOR, GUEST, 8, 1)).verdict, Verdict::Hairpin);
    for port in [80, 443, 8080, 22, 5351] {
        home.inside_sends(&tcp((VISITOR, 5000), (GUEST, port), SYN)).is_drop(DropReason::GuestToRouter);
        home.inside_sends(&udp((VISITOR, 5000), (GUEST, port))).is_drop(DropReason::GuestToRouter);
        // Nor at the router's other addresses.
        home.inside_sends(&tcp((VISITOR, 5000), (LAN, port), SYN)).is_drop(DropReason::GuestToRouter);
        home.inside_sends(&tcp((VISITOR, 5000), (WAN, port), SYN)).is_drop(DropReason::GuestToRouter);
    }
    home.inside_sends(&echo(VISITOR, LAN, 8, 1)).is_drop(DropReason::GuestToRouter);
    home.inside_sends(&echo(VISITOR, WAN, 8, 1)).is_drop(DropReason::GuestToRouter);
}

#[test]
fn the_household_reaches_every_service_of_the_router() {
    let mut home = Home::new(&config());
    for port in [22, 53, 80, 8080] {
        assert_eq!(
            home.inside_sends(&tcp((ALICE, 5000), (LAN, port), SYN)).verdict,
            Verdict::Punt(Zone::Lan)
        );
    }
    let reply = home.inside_sends(&echo(ALICE, LAN, 8, 1));
    assert_eq!((reply.verdict, reply.source().0, reply.icmp().0), (Verdict::Hairpin, LAN, 0));
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_scan_from_the_wan_finds_nothing_and_gets_no_answer() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    for port in (1..1024).chain([5351, 8080, 49_152]) {
        home.wan_sends(&tcp((OTHER, 40_000), (WAN, port), SYN)).is_drop(DropReason::Unsolicited);
        if port != 68 {
            home.wan_sends(&udp((OTHER, 40_000), (WAN, port))).is_drop(DropReason::Unsolicited);
        }
    }
    home.wan_sends(&tcp((OTHER, 40_000), (WAN, 80), ACK)).is_drop(DropReason::TcpNoFlow);
    home.wan_sends(&echo(OTHER, WAN, 8, 1)).is_drop(DropReason::Unsolicited);
    // Traceroute probes: no "time exceeded" either.
    let last_hop = edit(udp((OTHER, 40_000), (WAN, 33_434)), |packet| packet[8] = 1);
    home.wan_sends(&last_hop).is_drop(DropReason::Unsolicited);
    assert!(home.poll_all().sent.is_empty());
}

#[test]
fn a_ping_from_the_wan_is_answered_when_the_settings_say_so() {
    let mut home = Home::new(&Config { answer_wan_ping: true, ..config() });
    let reply = home.wan_sends(&echo(SERVER, WAN, 8, 1));
    assert_eq!((reply.verdict, reply.source().0, reply.destination().0), (Verdict::Hairpin, WAN, SERVER));
}

#[test]
fn inside_addresses_cannot_be_reached_from_the_wan() {
    let mut home = Home::new(&config());
    home.wan_sends(&udp((SERVER, 53), (ALICE, 5000))).is_drop(DropReason::BadDestination);
    home.wan_sends(&tcp((SERVER, 53), (LAN, 80), SYN)).is_drop(DropReason::BadDestination);
}

#[test]
fn dhcp_reaches_the_router_before_there_are_addresses() {
    let mut home = Home::new(&Config::default());
    let any = Ipv4Addr::UNSPECIFIED;
    let discover = udp((any, 68), (Ipv4Addr::BROADCAST, 67));
    let sent = home.process(LAN_PORT, &frame(mac(ALICE), MacAddress::BROADCAST, &discover));
    assert_eq!(sent.verdict, Verdict::Punt(Zone::Lan));
    let sent = home.process(GUEST_PORT, &frame(mac(VISITOR), MacAddress::BROADCAST, &discover));
    assert_eq!(sent.verdict, Verdict::Punt(Zone::Guest));
    // An offer comes to an address that is not ours yet.
    let offer = udp((GATEWAY, 67), (WAN, 68));
    assert_eq!(home.wan_sends(&offer).verdict, Verdict::Punt(Zone::Wan));
    let offer = udp((GATEWAY, 67), (Ipv4Addr::BROADCAST, 68));
    let sent = home.process(WAN_PORT, &frame(mac(GATEWAY), MacAddress::BROADCAST, &offer));
    assert_eq!(sent.verdict, Verdict::Punt(Zone::Wan));
    // The WAN's DHCP servers are none of ours.
    let sent = home.process(WAN_PORT, &frame(mac(GATEWAY), MacAddress::BROADCAST, &discover));
    sent.is_drop(DropReason::NotForUs);
}

#[test]
fn a_port_forward_is_reached_from_the_wan() {
    let mut home = Home::new(&with_forward(forward(8080, BOB, 80)));
    let open = home.wan_sends(&tcp((SERVER, 4000), (WAN, 8080), SYN));
    assert_eq!((open.went_to(2).destination(), open.source()), ((BOB, 80), (SERVER, 4000)));
    let answer = home.inside_sends(&tcp((BOB, 80), (SERVER, 4000), SYN_ACK));
    assert_eq!((answer.went_to(0).source(), answer.destination()), ((WAN, 8080), (SERVER, 4000)));
    home.wan_sends(&tcp((SERVER, 4000), (WAN, 8080), ACK)).went_to(2);
    let usage = *home.plane.devices().find(|usage| usage.mac == mac(BOB)).unwrap();
    assert_eq!((usage.received_packets, usage.sent_packets), (2, 1));
}

#[test]
fn a_forwarded_port_is_kept_for_its_host() {
    let mut home = Home::new(&with_forward(forward(5000, BOB, 5000)));
    assert_ne!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source().1, 5000);
    assert_eq!(home.inside_sends(&udp((BOB, 5000), (SERVER, 53))).source().1, 5000);
}

#[test]
fn the_exposed_host_gets_what_nobody_else_claims() {
    let mut config = with_forward(forward(8080, BOB, 80));
    config.exposed_host = Some(ALICE);
    let mut home = Home::new(&config);
    assert_eq!(home.wan_sends(&tcp((SERVER, 1), (WAN, 22), SYN)).went_to(1).destination(), (ALICE, 22));
    assert_eq!(home.wan_sends(&tcp((SERVER, 1), (WAN, 8080), SYN)).went_to(2).destination(), (BOB, 80));
    home.inside_sends(&udp((BOB, 6000), (SERVER, 53)));
    home.wan_sends(&udp((OTHER, 53), (WAN, 6000))).is_drop(DropReason::Filtered);
    home.wan_sends(&echo(SERVER, WAN, 8, 1)).is_drop(DropReason::Unsolicited);
}

#[test]
fn rules_drop_and_reject_by_device_port_and_remote() {
    let reject_smtp = Rule {
        from: Some(Zone::Lan),
        protocol: Some(RuleProtocol::Tcp),
        ports: Some(PortRange::single(25)),
        action: Action::Reject,
        ..ANY
    };
    let no_bob = Rule { device: Some(mac(BOB)), to: Some(Zone::Wan), ..ANY };
    let no_remote = Rule { remote: "198.51.100.2/32".parse().ok(), ..ANY };
    let mut home = Home::new(&with_rules(&[reject_smtp, no_bob, no_remote]));
    let refused = home.inside_sends(&tcp((ALICE, 5000), (SERVER, 25), SYN));
    assert_eq!((refused.verdict, refused.icmp().0, refused.icmp().1), (Verdict::Hairpin, 3, 13));
    assert_eq!(home.drops(DropReason::RuleReject), 1);
    home.inside_sends(&udp((BOB, 5000), (SERVER, 53))).is_drop(DropReason::RuleDrop);
    home.inside_sends(&udp((ALICE, 5000), (OTHER, 53))).is_drop(DropReason::RuleDrop);
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
}

#[test]
fn rules_open_what_the_policy_closes() {
    let printer = Rule {
        from: Some(Zone::Guest),
        to: Some(Zone::Lan),
        protocol: Some(RuleProtocol::Tcp),
        ports: Some(PortRange::single(631)),
        remote: "192.168.77.11/32".parse().ok(),
        action: Action::Allow,
        ..ANY
    };
    let mut home = Home::new(&with_rules(&[printer]));
    let open = home.inside_sends(&tcp((VISITOR, 5000), (BOB, 631), SYN));
    assert_eq!((open.went_to(2).source(), open.destination()), ((VISITOR, 5000), (BOB, 631)));
    home.inside_sends(&tcp((BOB, 631), (VISITOR, 5000), SYN_ACK)).went_to(3);
    home.inside_sends(&tcp((VISITOR, 5000), (BOB, 80), SYN)).is_drop(DropReason::ZonePolicy);
    home.inside_sends(&tcp((BOB, 5000), (VISITOR, 631), SYN)).is_drop(DropReason::ZonePolicy);
}

#[test]
fn a_rule_closes_a_forward_to_some_and_tells_nobody_outside() {
    let mut config = with_forward(forward(8080, BOB, 80));
    let rule =
        Rule { from: Some(Zone::Wan), remote: "198.51.100.2/32".parse().ok(), action: Action::Reject, ..ANY };
    config.rules.push(rule).unwrap();
    let mut home = Home::new(&config);
    home.wan_sends(&tcp((OTHER, 1), (WAN, 8080), SYN)).is_drop(DropReason::RuleReject);
    home.wan_sends(&tcp((SERVER, 1), (WAN, 8080), SYN)).went_to(2);
}

#[test]
fn the_routers_own_sockets_have_flows_and_ports_nobody_else_gets() {
    let mut home = Home::new(&config());
    let query = home.router_sends(&udp((WAN, 5000), (SERVER, 53)));
    assert_eq!(query.went_to(0).source(), (WAN, 5000));
    assert_ne!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source().1, 5000);
    let answer = home.wan_sends(&udp((SERVER, 53), (WAN, 5000)));
    assert_eq!(answer.verdict, Verdict::Punt(Zone::Wan));
    assert_eq!(answer.destination(), (WAN, 5000));
    // Nobody else, and no other port, is heard on that socket.
    home.wan_sends(&udp((SERVER, 54), (WAN, 5000))).is_drop(DropReason::Unsolicited);
    home.wan_sends(&udp((OTHER, 53), (WAN, 5000))).is_drop(DropReason::Unsolicited);
    assert_eq!(home.plane.snapshot().punted, 1);
}

#[test]
fn a_port_that_a_device_already_has_is_translated_for_the_router_too() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let external = home.router_sends(&udp((WAN, 5000), (SERVER, 53))).source();
    assert_ne!(external.1, 5000);
    let answer = home.wan_sends(&udp((SERVER, 53), external));
    assert_eq!((answer.verdict, answer.destination()), (Verdict::Punt(Zone::Wan), (WAN, 5000)));
}

#[test]
fn new_flows_are_reported_when_asked_for() {
    let mut home = Home::new(&Config { report_flows: true, ..config() });
    home.poll_all();
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let events = home.poll_all().events;
    let socket = |end: End| core::net::SocketAddrV4::new(end.0, end.1);
    let opened = Event::FlowOpened {
        protocol: 17,
        inside: socket((ALICE, 5000)),
        outside: socket((WAN, 5000)),
        remote: socket((SERVER, 53)),
    };
    assert_eq!(events, [opened]);
}

#[test]
fn a_port_lent_to_guests_is_a_guest_port_until_it_is_taken_back() {
    let mut home = Home::new(&config());
    let mut lent = config();
    lent.guest_ports = PortSet::EMPTY.with(PortId(1));
    home.plane.configure(home.now, &lent);
    // Alice, behind port 1, is no member of the household now: neither by way of the router nor on the bridge.
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).is_drop(DropReason::GuestIsolation);
    let packet = udp((ALICE, 5000), (BOB, 7));
    home.process(LAN_PORT, &frame(mac(ALICE), mac(BOB), &packet)).is_drop(DropReason::GuestIsolation);
    home.plane.configure(home.now, &config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).source();
}
