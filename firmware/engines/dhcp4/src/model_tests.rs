//! The server against a reference model: one address is never two clients' at once.

extern crate std;

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use dialtone_base::{Duration, Instant, Random, Seed};

use crate::message::{MessageType, code};
use crate::server::{LeaseRecord, ServerEvent};
use crate::test_home::{Answer, Ask, Home, ip, mac, small_config};

const CLIENTS: u32 = 8;

/// What every client believes by RFC 2131: its address until the end of the lease it was acknowledged.
#[derive(Default)]
struct Model {
    believes: BTreeMap<u8, (Ipv4Addr, Instant)>,
    offered: BTreeMap<u8, Ipv4Addr>,
}

impl Model {
    fn take(&mut self, client: u8, asked_at: Instant, answer: &Answer, seed: u64) {
        match answer.kind() {
            MessageType::Offer => {
                self.offered.insert(client, answer.yours());
            }
            MessageType::Nak => {
                self.believes.remove(&client);
            }
            MessageType::Ack => {
                let seconds = answer.message().seconds(code::LEASE_TIME).unwrap();
                let address = answer.yours();
                self.believes.retain(|other, (held, until)| {
                    assert!(
                        *other == client || *held != address || *until <= asked_at,
                        "seed {seed}: {address} for {client} while {other} has it"
                    );
                    *until > asked_at
                });
                self.believes.insert(client, (address, asked_at + Duration::from_secs(seconds as u64)));
            }
            other => panic!("seed {seed}: a server never sends {other:?}"),
        }
    }
}

fn run(seed: u64) {
    let mut random = Random::new(Seed::from_number(seed));
    let mut config = small_config();
    config.last = ip(105);
    config.authoritative = random.below(2) == 0;
    let mut home = Home::new(config.clone());
    let mut model = Model::default();
    let mut flash: BTreeMap<Ipv4Addr, LeaseRecord> = BTreeMap::new();
    for _ in 0..400 {
        let client = random.below(CLIENTS) as u8 + 1;
        let held = model.believes.get(&client).map(|(address, _)| *address);
        let any = ip(98 + random.below(10) as u8);
        let ask = match random.below(12) {
            0..=2 => Ask::discover(client),
            3 | 4 => Ask::select(client, model.offered.get(&client).copied().unwrap_or(any)),
            5 => Ask::reboot(client, held.unwrap_or(any)),
            6 | 7 => Ask::renew(client, held.unwrap_or(any)),
            8 => Ask::reboot(client, any),
            9 => {
                let address = model.believes.remove(&client).map_or(any, |(address, _)| address);
                Ask { ciaddr: address, ..Ask::new(MessageType::Release, client) }
            }
            10 => {
                let address = model.believes.remove(&client).map_or(any, |(address, _)| address);
                Ask::new(MessageType::Decline, client).with(code::REQUESTED_ADDRESS, &address.octets())
            }
            _ => {
                // Power is cut; flash has what the events said, and may be read in any order.
                let now = home.now;
                home = Home::new(config.clone());
                home.now = now;
                let backwards = random.below(2) == 0;
                let records: std::vec::Vec<_> = flash.values().cloned().collect();
                for index in 0..records.len() {
                    let index = if backwards { records.len() - 1 - index } else { index };
                    let restored = home.server.restore(now, &records[index]);
                    assert!(restored || records[index].remaining == 0, "seed {seed}");
                }
                continue;
            }
        };
        let asked_at = home.now;
        let answer = home.ask(&ask);
        // A third of the answers is lost: the client goes on with what it knew.
        if let Some(answer) = answer.filter(|_| random.below(3) != 0) {
            model.take(client, asked_at, &answer, seed);
        }
        let pause = [0, 1, 20, 3_600, 30_000][random.below(5) as usize];
        home.wait(Duration::from_secs(pause));
        for event in core::mem::take(&mut home.events) {
            let address = match event {
                ServerEvent::Leased { lease, persist: true, .. } => lease.address,
                ServerEvent::Ended { lease, .. } => lease.address,
                _ => continue,
            };
            match home.server.record(home.now, address) {
                Some(record) => flash.insert(address, record),
                None => flash.remove(&address),
            };
        }
        let records: std::vec::Vec<_> = home.server.leases(home.now).collect();
        for (index, record) in records.iter().enumerate() {
            let twice = records[index + 1..].iter().any(|other| other.client == record.client);
            assert!(!twice, "seed {seed}: one client holds two addresses");
        }
        for (client, (address, until)) in &model.believes {
            let known = records.iter().any(|record| record.address == *address && record.mac == mac(*client));
            assert!(
                known || *until <= home.now,
                "seed {seed}: the server forgot that {client} has {address}"
            );
        }
    }
}

#[test]
fn one_address_is_never_two_clients_at_once() {
    for seed in 0..200 {
        run(seed);
    }
}
