//! Who is remembered, who is forgotten, and what everybody is called.

extern crate std;
use std::string::String;
use std::vec::Vec;

use dialtone_base::random::{Random, Seed};

use super::*;

fn mac(n: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, n])
}

fn lease(devices: &mut Devices, n: u8, name: &str) -> Result<(), Rejected> {
    let address = Ipv4Addr::new(10, 0, 0, n);
    devices
        .handle(Instant::from_secs(n.into()), Input::Leased { mac: mac(n), zone: Zone::Lan, address, name })
}

fn labels(devices: &Devices) -> Vec<String> {
    devices.names().map(|(label, ..)| label.into()).collect()
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
    devices.handle(Instant::START, Input::Given(&[(mac(2), Text::lossy("kitchen"))])).unwrap();
    assert_eq!(labels(&devices), ["kitchen-2", "kitchen"]);
    devices.handle(Instant::START, Input::Given(&[])).unwrap();
    assert_eq!(labels(&devices), ["kitchen", "android-1234"]);
}

#[test]
fn a_full_table_forgets_the_longest_unseen_stranger_and_never_a_named_device() {
    let mut devices = table();
    for n in 1..=4 {
        lease(&mut devices, n, "").unwrap();
    }
    devices.handle(Instant::START, Input::Given(&[(mac(1), Text::lossy("mine"))])).unwrap();
    // Device 3 went offline: it goes before device 2, which was unseen for longer.
    devices.handle(Instant::START, Input::LeaseEnded { address: Ipv4Addr::new(10, 0, 0, 3) }).unwrap();
    lease(&mut devices, 5, "").unwrap();
    lease(&mut devices, 6, "").unwrap();
    assert!(devices.find(mac(1)).is_some());
    assert!(devices.find(mac(2)).is_none() && devices.find(mac(3)).is_none());
    assert_eq!(devices.forgotten(), 2);

    let all: Vec<_> = devices.iter().map(|device| (device.mac, Text::lossy("mine"))).collect();
    devices.handle(Instant::START, Input::Given(&all)).unwrap();
    assert_eq!(lease(&mut devices, 7, ""), Err(Rejected::Full));
    assert_eq!(devices.counters().of(Rejected::Full), 1);
}

#[test]
fn news_is_told_once() {
    let mut devices = table();
    let seen = Input::Seen { mac: mac(1), zone: Zone::Lan, port: PortId(2) };
    devices.handle(Instant::START, seen).unwrap();
    devices.handle(Instant::from_secs(1), seen).unwrap();
    assert_eq!(devices.poll(), Output::New { mac: mac(1), zone: Zone::Lan });
    assert_eq!(devices.poll(), Output::Wait);
    lease(&mut devices, 1, "tv").unwrap();
    assert_eq!(devices.poll(), Output::NamesChanged);
    lease(&mut devices, 1, "tv").unwrap();
    assert_eq!(devices.poll(), Output::Wait, "a renewal changes nothing");
    devices.handle(Instant::START, Input::LinkDown(PortId(2))).unwrap();
    assert!(!devices.find(mac(1)).unwrap().online);
    let broadcast = Input::Seen { mac: MacAddress::BROADCAST, zone: Zone::Lan, port: PortId(2) };
    assert_eq!(devices.handle(Instant::START, broadcast), Err(Rejected::NotAStation));
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
