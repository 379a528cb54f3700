//! What is said about the WAN, and that it is said once.

extern crate std;

use std::vec::Vec as List;

use dialtone_base::{Random, Seed};

use super::*;

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

fn connection(address: &str) -> Connection {
    let address = prefix(address);
    Connection {
        gateway: Some(Ipv4Addr::from_bits(address.network().to_bits() + 1)),
        address,
        name_servers: Vec::from_slice(&[Ipv4Addr::new(9, 9, 9, 9)]).unwrap(),
        time_servers: Vec::new(),
        mtu: None,
    }
}

fn config(mode: Mode) -> Config {
    Config { mode, lan: prefix("192.168.77.1/24"), guest: Some(prefix("192.168.78.1/24")) }
}

fn tell(wan: &mut Wan, input: Input) -> List<Event> {
    let _ = wan.handle(Instant::START, input);
    drain(wan)
}

fn drain(wan: &mut Wan) -> List<Event> {
    let mut events = List::new();
    while let Output::Event(event) = wan.poll(Instant::START) {
        events.push(event);
    }
    events
}

fn dhcp() -> Wan {
    let mut wan = Wan::new(config(Mode::Dhcp));
    assert_eq!(drain(&mut wan), [Event::AskDhcp(true)]);
    wan
}

#[test]
fn nothing_is_said_of_the_link_before_it_is_known() {
    let mut wan = dhcp();
    assert_eq!(tell(&mut wan, Input::Link(false)), [Event::Down { reason: "no link" }]);
    assert_eq!(tell(&mut wan, Input::Link(false)), []);
    assert_eq!(tell(&mut wan, Input::Link(true)), [Event::Down { reason: "waiting for an address" }]);
}

#[test]
fn a_lease_brings_the_wan_up_and_a_renewal_says_nothing_new() {
    let mut wan = dhcp();
    assert_eq!(tell(&mut wan, Input::Link(true)), [Event::Down { reason: "waiting for an address" }]);
    let given = connection("100.64.3.4/10");
    assert_eq!(tell(&mut wan, Input::Leased(given.clone())), [Event::Up(given.clone())]);
    assert_eq!(tell(&mut wan, Input::Leased(given.clone())), []);
    assert_eq!(tell(&mut wan, Input::Link(true)), []);
    let changed = Connection { mtu: Some(1492), ..given };
    assert_eq!(tell(&mut wan, Input::Leased(changed.clone())), [Event::Up(changed)]);
}

#[test]
fn a_lost_link_and_a_lost_lease_take_it_down_with_their_reason() {
    let mut wan = dhcp();
    tell(&mut wan, Input::Link(true));
    tell(&mut wan, Input::Leased(connection("100.64.3.4/10")));
    assert_eq!(tell(&mut wan, Input::Lost("lease over")), [Event::Down { reason: "lease over" }]);
    assert_eq!(tell(&mut wan, Input::Lost("again")), []);
    tell(&mut wan, Input::Leased(connection("100.64.3.4/10")));
    assert_eq!(tell(&mut wan, Input::Link(false)), [Event::Down { reason: "no link" }]);
    assert_eq!(tell(&mut wan, Input::Link(false)), []);
    assert_eq!(wan.handle(Instant::START, Input::Leased(connection("100.64.3.4/10"))), Err(Rejected::NoLink));
    assert_eq!(wan.counters().of(Rejected::NoLink), 1);
}

#[test]
fn an_overlap_with_the_homes_networks_is_said_and_stops_nothing_rfc4787_req7() {
    let mut wan = dhcp();
    tell(&mut wan, Input::Link(true));
    let wide = connection("192.168.0.9/16");
    assert_eq!(
        tell(&mut wan, Input::Leased(wide.clone())),
        [Event::Up(wide.clone()), Event::Conflict(Zone::Lan), Event::Conflict(Zone::Guest)]
    );
    assert_eq!(*wan.state(), State::Up(wide));
    // The household moves the LAN out of the way and gives up the guest network.
    let moved = Config { lan: prefix("10.77.0.1/24"), guest: None, ..config(Mode::Dhcp) };
    assert_eq!(
        tell(&mut wan, Input::Configure(moved)),
        [Event::ConflictOver(Zone::Lan), Event::ConflictOver(Zone::Guest)]
    );
}

#[test]
fn a_conflict_ends_with_the_connection() {
    let mut wan = dhcp();
    tell(&mut wan, Input::Link(true));
    tell(&mut wan, Input::Leased(connection("192.168.77.9/24")));
    assert!(wan.conflicts_with(Zone::Lan) && !wan.conflicts_with(Zone::Guest));
    let down = [Event::Down { reason: "no link" }, Event::ConflictOver(Zone::Lan)];
    assert_eq!(tell(&mut wan, Input::Link(false)), down);
}

#[test]
fn a_typed_in_address_needs_only_the_link() {
    let fixed = connection("203.0.113.5/29");
    let mut wan = Wan::new(config(Mode::Static(fixed.clone())));
    assert_eq!(drain(&mut wan), []);
    assert_eq!(tell(&mut wan, Input::Link(true)), [Event::Up(fixed)]);
    let stray = Input::Leased(connection("100.64.3.4/10"));
    assert_eq!(wan.handle(Instant::START, stray), Err(Rejected::NotAsked));
}

#[test]
fn switching_modes_starts_and_stops_the_dhcp_client() {
    let mut wan = dhcp();
    tell(&mut wan, Input::Link(true));
    tell(&mut wan, Input::Leased(connection("100.64.3.4/10")));
    let fixed = connection("203.0.113.5/29");
    assert_eq!(
        tell(&mut wan, Input::Configure(config(Mode::Static(fixed.clone())))),
        [Event::AskDhcp(false), Event::Up(fixed)]
    );
    assert_eq!(
        tell(&mut wan, Input::Configure(config(Mode::Dhcp))),
        [Event::AskDhcp(true), Event::Down { reason: "waiting for an address" }]
    );
}

#[test]
fn facts_in_any_order_are_told_once_and_truly() {
    let mut random = Random::new(Seed::from_number(0x3a9));
    for round in 0..5_000 {
        let mut data = std::vec![0; 1 + round % 60];
        random.fill(&mut data);
        fuzz::fuzz(&data);
    }
}
