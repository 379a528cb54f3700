//! Who is remembered, who is forgotten, and what everybody is called.

extern crate std;
use std::string::String;
use std::vec::Vec;

use dialtone_base::random::{Random, Seed};

use super::*;

fn mac(n: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, n])
}

fn address(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

fn lease(devices: &mut Devices, n: u8, name: &str) -> Result<(), Rejected> {
    let leased = Input::Leased { mac: mac(n), zone: Zone::Lan, address: address(n), name };
    devices.handle(Instant::from_secs(n.into()), leased)
}

fn see(devices: &mut Devices, n: u8, seconds: u64) {
    let at = Instant::from_secs(seconds);
    devices.handle(at, Input::Seen { mac: mac(n), zone: Zone::Lan, port: PortId(2), at }).unwrap();
}

fn given(n: u8, name: &str) -> Given {
    Given { mac: mac(n), name: Text::lossy(name), address: address(100 + n), zone: Zone::Lan }
}

/// Polls to the end; how many questions were asked.
fn settle(devices: &mut Devices, seconds: u64) -> usize {
    let mut asked = 0;
    loop {
        match devices.poll(Instant::from_secs(seconds)) {
            Output::Wait(_) => return asked,
            Output::Ask { .. } => asked += 1,
            Output::New { .. } | Output::NamesChanged => {}
        }
    }
}

fn labels(devices: &Devices) -> Vec<String> {
    devices.names().map(|(label, ..)| label.into()).collect()
}

fn label(devices: &Devices, n: u8) -> &str {
    devices.find(mac(n)).unwrap().label.as_str()
}

fn table() -> Devices {
    Devices::new(4, Text::lossy("dialtone"))
}

#[test]
fn twins_get_numbers_and_nobody_gets_the_routers_name() {
    let mut devices = table();
    for (n, name) in [(1, "TV"), (2, "tv.local"), (3, "Dialtone"), (4, "localhost")] {
        lease(&mut devices, n, name).unwrap();
    }
    assert_eq!(labels(&devices), ["tv", "tv-2", "dialtone-2", "localhost-2"]);
}

#[test]
fn the_households_name_wins_over_what_a_device_calls_itself() {
    let mut devices = table();
    lease(&mut devices, 1, "kitchen").unwrap();
    lease(&mut devices, 2, "android-1234").unwrap();
    devices.handle(Instant::START, Input::Given(&[given(2, "kitchen")])).unwrap();
    assert_eq!((label(&devices, 1), label(&devices, 2)), ("kitchen-2", "kitchen"));
    devices.handle(Instant::START, Input::Given(&[])).unwrap();
    assert_eq!((label(&devices, 1), label(&devices, 2)), ("kitchen", "android-1234"));
}

#[test]
fn a_given_name_leads_to_the_address_set_apart_until_there_is_a_lease() {
    let mut devices = table();
    devices.handle(Instant::START, Input::Given(&[given(1, "nas"), given(2, "")])).unwrap();
    assert_eq!(devices.names().collect::<Vec<_>>(), [("nas", address(101), Zone::Lan)]);
    lease(&mut devices, 3, "nas").unwrap();
    lease(&mut devices, 1, "what it says").unwrap();
    let names = [("nas", address(1), Zone::Lan), ("nas-2", address(3), Zone::Lan)];
    assert_eq!(devices.names().collect::<Vec<_>>(), names);
}

#[test]
fn neither_a_guest_nor_one_who_left_keeps_a_name_from_the_household() {
    let mut devices = table();
    let guest = Input::Leased { mac: mac(9), zone: Zone::Guest, address: address(9), name: "nas" };
    devices.handle(Instant::START, guest).unwrap();
    lease(&mut devices, 1, "nas").unwrap();
    assert_eq!((label(&devices, 1), label(&devices, 9)), ("nas", "nas-2"));
    // A telephone comes back under another hardware address.
    devices.handle(Instant::START, Input::LeaseEnded { address: address(1) }).unwrap();
    lease(&mut devices, 2, "nas").unwrap();
    assert_eq!(label(&devices, 2), "nas");
}

#[test]
fn a_full_table_forgets_the_longest_unseen_stranger_and_never_a_named_device() {
    let mut devices = table();
    for n in 1..=4 {
        lease(&mut devices, n, "").unwrap();
        see(&mut devices, n, n.into());
    }
    devices.handle(Instant::START, Input::Given(&[given(1, "mine")])).unwrap();
    // Device 3 went offline: it goes before device 2, which was unseen for longer.
    devices.handle(Instant::START, Input::LeaseEnded { address: address(3) }).unwrap();
    see(&mut devices, 5, 5);
    see(&mut devices, 6, 6);
    assert!(devices.find(mac(1)).is_some());
    assert!(devices.find(mac(2)).is_none() && devices.find(mac(3)).is_none());
    assert_eq!(devices.forgotten(), 2);

    let all: Vec<_> = devices.iter().map(|device| Given { mac: device.mac, ..given(1, "mine") }).collect();
    devices.handle(Instant::START, Input::Given(&all)).unwrap();
    assert_eq!(lease(&mut devices, 7, ""), Err(Rejected::Full));
    assert_eq!(devices.counters().of(Rejected::Full), 1);
}

#[test]
fn news_is_told_once() {
    let mut devices = table();
    see(&mut devices, 1, 0);
    see(&mut devices, 1, 1);
    let now = Instant::from_secs(1);
    assert_eq!(devices.poll(now), Output::New { mac: mac(1), zone: Zone::Lan });
    assert_eq!(devices.poll(now), Output::Wait(Some(now + SILENCE)));
    lease(&mut devices, 1, "tv").unwrap();
    assert_eq!(devices.poll(now), Output::NamesChanged);
    lease(&mut devices, 1, "tv").unwrap();
    assert_eq!(devices.poll(now), Output::Wait(Some(now + ASK_AFTER)), "a renewal changes nothing");
    let broadcast = Input::Seen { mac: MacAddress::BROADCAST, zone: Zone::Lan, port: PortId(2), at: now };
    assert_eq!(devices.handle(now, broadcast), Err(Rejected::NotAStation));
    // A lease that was remembered is no news, and does not mean that anybody is there.
    lease(&mut devices, 2, "").unwrap();
    assert!(!devices.find(mac(2)).unwrap().online);
    see(&mut devices, 2, 2);
    assert_eq!(devices.poll(now), Output::NamesChanged);
    assert!(matches!(devices.poll(now), Output::Wait(_)));
}

#[test]
fn online_ends_with_the_link_with_the_lease_and_with_silence() {
    let mut devices = table();
    let online = |devices: &Devices| devices.find(mac(1)).unwrap().online;
    lease(&mut devices, 1, "tv").unwrap();
    see(&mut devices, 1, 10);
    devices.handle(Instant::from_secs(11), Input::LinkDown(PortId(1))).unwrap();
    assert!(online(&devices));
    devices.handle(Instant::from_secs(11), Input::LinkDown(PortId(2))).unwrap();
    assert!(!online(&devices));
    see(&mut devices, 1, 20);
    devices.handle(Instant::from_secs(21), Input::LeaseEnded { address: address(1) }).unwrap();
    assert!(!online(&devices));
    // Without an address nobody can be asked.
    see(&mut devices, 1, 30);
    assert_eq!(settle(&mut devices, 329), 0);
    assert!(online(&devices));
    assert_eq!(settle(&mut devices, 330), 0);
    assert!(!online(&devices));
}

#[test]
fn a_silent_device_is_asked_three_times_and_an_answer_keeps_it_online() {
    let mut devices = table();
    lease(&mut devices, 1, "tv").unwrap();
    see(&mut devices, 1, 0);
    let asked: usize = (0..=250).map(|second| settle(&mut devices, second)).sum();
    assert_eq!(asked, 1);
    see(&mut devices, 1, 250);
    let asked: Vec<_> = (251..600).filter(|second| settle(&mut devices, *second) > 0).collect();
    assert_eq!(asked, [490, 510, 530]);
    assert!(!devices.find(mac(1)).unwrap().online);
    assert_eq!(devices.find(mac(1)).unwrap().last_seen, Some(Instant::from_secs(250)));
}

#[test]
fn many_who_fall_silent_together_are_asked_one_after_another() {
    let mut devices = table();
    for n in 1..=4 {
        lease(&mut devices, n, "").unwrap();
        see(&mut devices, n, 5);
    }
    assert_eq!(settle(&mut devices, 245), 1);
    assert_eq!(devices.poll(Instant::from_secs(245)), Output::Wait(Some(Instant::from_secs(245) + ASK_GAP)));
    assert_eq!(settle(&mut devices, 246), 1);
}

#[test]
fn twenty_thousand_random_sequences_keep_the_promises() {
    let mut random = Random::new(Seed::from_number(3));
    for _ in 0..20_000 {
        let mut data = std::vec![0; random.below(300) as usize];
        random.fill(&mut data);
        fuzz::fuzz(&data);
    }
}
