//! A changed configuration: old decisions are judged again, what hangs on the old address goes.

use super::*;
use crate::{Action, Rule};

#[test]
fn an_unchanged_decision_survives_a_new_configuration() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.configure(&open_filter());
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(1);
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).went_to(0);
    let fast = home.plane.snapshot().fast;
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).went_to(0);
    assert_eq!(home.plane.snapshot().fast, fast + 1);
}

#[test]
fn a_new_rule_ends_flows_it_forbids() {
    let mut home = Home::new(&config());
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    let mut config = config();
    let rule = Rule {
        from: None,
        to: None,
        device: Some(mac(ALICE)),
        protocol: None,
        ports: None,
        remote: None,
        action: Action::Drop,
    };
    config.rules.push(rule).unwrap();
    home.configure(&config);
    home.inside_sends(&tcp((ALICE, 5000), (SERVER, 80), ACK)).is_drop(DropReason::RuleDrop);
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).is_drop(DropReason::TcpNoFlow);
    assert_eq!((home.flows(), home.mappings(), home.plane.snapshot().flows.revoked), (0, 0, 1));
}

#[test]
fn a_removed_forward_ends_its_flows() {
    let mut home = Home::new(&with_forward(forward(8080, BOB, 80)));
    home.wan_sends(&tcp((SERVER, 4000), (WAN, 8080), SYN)).went_to(2);
    home.inside_sends(&tcp((BOB, 80), (SERVER, 4000), SYN_ACK)).went_to(0);
    home.configure(&config());
    home.wan_sends(&tcp((SERVER, 4000), (WAN, 8080), ACK)).is_drop(DropReason::TcpNoFlow);
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_new_wan_address_ends_the_flows_of_the_old_one() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    home.router_sends(&udp((WAN, 6000), (SERVER, 53))).went_to(0);
    let wan = Wan { address: "203.0.113.6/24".parse().unwrap(), gateway: Some(GATEWAY), mtu: None };
    home.configure(&Config { wan: Some(wan), ..config() });
    assert_eq!((home.flows(), home.mappings()), (0, 0));
    let sent = home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    assert_eq!(sent.went_to(0).source(), (Ipv4Addr::new(203, 0, 113, 6), 5000));
}

#[test]
fn a_gateway_with_a_new_mac_is_followed() {
    let mut home = Home::new(&config());
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
    let new = MacAddress([2, 9, 9, 9, 9, 9]);
    home.plane.command(home.now, Command::PinNeighbor { zone: Zone::Wan, address: GATEWAY, mac: new });
    assert_eq!(home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).macs().0, new);
}

#[test]
fn a_lost_wan_and_a_new_lan_leave_nothing_behind() {
    let mut home = Home::new(&config());
    home.connect((ALICE, 5000), (SERVER, 80));
    home.configure(&Config { wan: None, ..config() });
    assert_eq!((home.flows(), home.mappings()), (0, 0));
    home.configure(&config());
    home.learn_everybody();
    let external = home.connect((ALICE, 5000), (SERVER, 80));
    home.configure(&Config { lan: "10.0.0.1/24".parse().ok(), ..config() });
    home.wan_sends(&tcp((SERVER, 80), external, ACK)).is_drop(DropReason::TcpNoFlow);
    assert_eq!(home.flows(), 0);
}

#[test]
fn a_silently_replaced_gateway_is_noticed_and_flows_follow() {
    use dialtone_wire::{ArpPacket, build};
    let mut home = Home::without_neighbors(&config(), Limits::SMALL);
    let answer_as = |home: &mut Home, mac: MacAddress| {
        let asked = home.poll_all().sent;
        let mut questions = asked.iter().filter_map(|(_, bytes)| ArpPacket::parse(&bytes[14..]).ok());
        let Some(question) = questions.rfind(|packet| packet.target == GATEWAY) else { return asked };
        let mut answer = std::vec![0; build::ARP_FRAME];
        build::arp_frame(&mut answer, &question.reply(mac)).unwrap();
        home.process(WAN_PORT, &answer);
        home.poll_all().sent
    };
    let packet = udp((ALICE, 5000), (SERVER, 53));
    assert_eq!(home.inside_sends(&packet).verdict, Verdict::Held);
    assert_eq!(answer_as(&mut home, mac(GATEWAY)).len(), 1);
    home.inside_sends(&packet).went_to(0);
    // The old one is gone and answers nobody; the flow goes on all the time.
    for _ in 0..200 {
        home.wait(Duration::from_secs(1));
        if home.inside_sends(&packet).verdict == Verdict::Held {
            break;
        }
    }
    let new = MacAddress([2, 9, 9, 9, 9, 9]);
    assert_eq!(answer_as(&mut home, new).len(), 1);
    assert_eq!(home.inside_sends(&packet).went_to(0).macs().0, new);
    assert_eq!(home.flows(), 1);
}
