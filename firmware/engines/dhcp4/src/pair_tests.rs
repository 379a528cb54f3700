//! Client and server, face to face on virtual time, over a link that loses and delays.

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use core::net::Ipv4Addr;
use dialtone_base::{Duration, Instant, Random, Seed};

use crate::client::{self, Client, ClientConfig, ClientEvent, State};
use crate::server::{self, Server, ServerConfig};
use crate::test_home::{mac, small_config};

struct Pair {
    client: Client,
    server: Server,
    now: Instant,
    random: Random,
    /// Percent of datagrams lost.
    loss: u32,
    server_up: bool,
    wire: BTreeMap<(Instant, u32), (bool, Vec<u8>)>,
    sent: u32,
    client_events: Vec<(Instant, ClientEvent)>,
    /// Addresses a stranger uses.
    taken: Vec<Ipv4Addr>,
}

impl Pair {
    fn new(seed: u64, config: ServerConfig) -> Self {
        let mut random = Random::new(Seed::from_number(seed));
        let client = Client::new(ClientConfig::new(mac(1)), random.derive_seed());
        Self {
            client,
            server: Server::new(Instant::START, config, 256).unwrap(),
            now: Instant::from_secs(1),
            random,
            loss: 0,
            server_up: true,
            wire: BTreeMap::new(),
            sent: 0,
            client_events: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn link(&mut self, up: bool) {
        self.client.handle(self.now, client::Input::Link(up)).unwrap();
    }

    fn put(&mut self, to_server: bool, bytes: &[u8]) {
        let lost = self.random.below(100) < self.loss || !self.server_up;
        if !lost {
            self.sent += 1;
            let arrival = self.now + Duration::from_micros(500 + self.random.below(20_000) as u64);
            self.wire.insert((arrival, self.sent), (to_server, bytes.to_vec()));
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        let mut out = [0; 1024];
        let mut again = true;
        let mut deadlines = [None, None];
        while core::mem::take(&mut again) {
            loop {
                match self.client.poll(self.now, &mut out) {
                    client::Output::Transmit { length, .. } => self.put(true, &out[..length]),
                    client::Output::Event(event) => {
                        if let ClientEvent::Probe { address } = event
                            && self.taken.contains(&address)
                        {
                            let mac = mac(99);
                            self.client
                                .handle(self.now, client::Input::ProbeAnswered { address, mac })
                                .unwrap();
                        }
                        self.client_events.push((self.now, event));
                    }
                    client::Output::Wait(next) => {
                        deadlines[0] = next;
                        break;
                    }
                }
            }
            loop {
                match self.server.poll(self.now, &mut out) {
                    server::Output::Transmit { length, .. } => self.put(false, &out[..length]),
                    server::Output::Event(_) => {}
                    server::Output::Wait(next) => {
                        deadlines[1] = next;
                        break;
                    }
                }
            }
            if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to_server, bytes) = entry.remove();
                // One at a time: outputs are drained before the next input.
                if to_server {
                    let _ = self.server.handle(self.now, server::Input::Packet(&bytes));
                } else {
                    let _ = self.client.handle(self.now, client::Input::Packet(&bytes));
                }
                again = true;
            }
        }
        let arrival = self.wire.keys().next().map(|key| key.0);
        [deadlines[0], deadlines[1], arrival].into_iter().flatten().min()
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.drain().filter(|next| *next <= end) {
            self.now = next.max(self.now);
        }
        self.now = end;
        self.drain();
    }

    fn address(&self) -> Option<Ipv4Addr> {
        self.client.binding().map(|binding| binding.address.address())
    }
}

#[test]
fn a_client_has_its_address_within_three_seconds() {
    let mut pair = Pair::new(1, small_config());
    pair.link(true);
    pair.run(Duration::from_secs(3));
    assert_eq!(*pair.client.state(), State::Bound);
    let lease = pair.server.leases(pair.now).next().unwrap();
    assert_eq!(Some(lease.address), pair.address());
    assert_eq!(lease.name.as_str(), "dialtone");
    let binding = pair.client.binding().unwrap();
    assert_eq!(binding.gateway, Some(Ipv4Addr::new(192, 168, 77, 1)));
    assert_eq!((binding.lease, binding.renew, binding.rebind), (43_200, 21_600, 37_800));
}

#[test]
fn a_day_with_a_third_of_all_datagrams_lost_leaves_the_address_in_place() {
    for seed in 0..30 {
        let config = ServerConfig { lease: Duration::from_secs(600), ..small_config() };
        let mut pair = Pair::new(seed, config);
        pair.loss = 33;
        pair.link(true);
        pair.run(Duration::from_secs(600));
        let address = pair.address();
        pair.run(Duration::from_secs(86_400));
        pair.loss = 0;
        pair.run(Duration::from_secs(1_200));
        assert!(address.is_some(), "seed {seed}");
        assert_eq!(pair.address(), address, "seed {seed}");
    }
}

#[test]
fn the_address_outlives_a_server_that_is_away_for_less_than_the_lease() {
    let mut pair = Pair::new(3, small_config());
    pair.link(true);
    pair.run(Duration::from_secs(60));
    pair.server_up = false;
    pair.run(Duration::from_secs(42_000));
    assert_eq!(*pair.client.state(), State::Rebinding);
    assert!(pair.address().is_some());
    pair.server_up = true;
    pair.run(Duration::from_secs(1_000));
    assert_eq!(*pair.client.state(), State::Bound);
    assert!(!pair.client_events.iter().any(|(_, event)| matches!(event, ClientEvent::Lost(_))));
}

#[test]
fn the_address_is_given_up_when_the_lease_ends_and_taken_again_when_the_server_is_back() {
    let mut pair = Pair::new(4, small_config());
    pair.link(true);
    pair.run(Duration::from_secs(60));
    pair.server_up = false;
    pair.run(Duration::from_secs(44_000));
    assert_eq!(pair.address(), None);
    let lost = ClientEvent::Lost(client::LostReason::Expired);
    assert!(pair.client_events.iter().any(|(_, event)| *event == lost));
    pair.server_up = true;
    pair.run(Duration::from_secs(70));
    assert_eq!(*pair.client.state(), State::Bound);
}

#[test]
fn a_hundred_link_flaps_end_with_the_same_address_asked_for_by_init_reboot() {
    let mut pair = Pair::new(5, small_config());
    pair.link(true);
    pair.run(Duration::from_secs(5));
    let address = pair.address().unwrap();
    for _ in 0..100 {
        pair.link(false);
        let gap = pair.random.below(3_000) as u64;
        pair.run(Duration::from_millis(gap));
        assert_eq!(pair.address(), None, "not used without link");
        pair.link(true);
        pair.run(Duration::from_millis(gap / 2));
    }
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.address(), Some(address));
}

#[test]
fn an_address_somebody_uses_is_declined_and_another_one_taken() {
    let mut pair = Pair::new(6, ServerConfig { probe: false, ..small_config() });
    pair.taken = (100..=101).map(|last| Ipv4Addr::new(192, 168, 77, last)).collect();
    pair.link(true);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.address(), Some(Ipv4Addr::new(192, 168, 77, 102)));
    let conflicts: Vec<Instant> = pair
        .client_events
        .iter()
        .filter(|(_, event)| matches!(event, ClientEvent::Conflict { .. }))
        .map(|(at, _)| *at)
        .collect();
    assert!(conflicts.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(10)), "RFC 2131 3.1.5");
}

#[test]
fn a_released_address_is_free_at_the_server_and_the_client_stays_quiet() {
    let mut pair = Pair::new(7, small_config());
    pair.link(true);
    pair.run(Duration::from_secs(5));
    pair.client.handle(pair.now, client::Input::Release).unwrap();
    pair.run(Duration::from_secs(600));
    assert_eq!(*pair.client.state(), State::Stopped);
    assert_eq!(pair.server.leases(pair.now).count(), 0);
    pair.client.handle(pair.now, client::Input::Start).unwrap();
    pair.run(Duration::from_secs(5));
    assert_eq!(*pair.client.state(), State::Bound);
}
