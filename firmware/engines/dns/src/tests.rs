//! Behaviours of the forwarder, on virtual time; `domain` reads every answer as an independent judge.

extern crate std;

mod answers;
mod home;
mod properties;
mod upstreams;

use core::net::{Ipv4Addr, SocketAddrV4};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use dialtone_base::event::Event;
use dialtone_base::{Duration, Instant, Ipv4Prefix, Seed, Zone};
use domain::base::Message;
use domain::rdata::AllRecordData;

use crate::*;

const FIRST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 1), 53);
const SECOND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 2), 53);

/// A question under way to an upstream.
#[derive(Clone, Debug)]
struct Asked {
    token: Token,
    server: SocketAddrV4,
    tcp: bool,
    bytes: Vec<u8>,
}

/// The forwarder with a home around it.
struct Home {
    forwarder: Forwarder,
    now: Instant,
    replies: Vec<(Client, Vec<u8>)>,
    asked: Vec<Asked>,
    released: Vec<Token>,
    events: Vec<Event>,
    wait: Option<Instant>,
}

impl Home {
    fn new() -> Self {
        Self::with(Limits::default(), config())
    }

    fn with(limits: Limits, config: Config) -> Self {
        let mut home = Self {
            forwarder: Forwarder::new(limits, &config, Seed::from_number(7)),
            now: Instant::from_secs(100),
            replies: vec![],
            asked: vec![],
            released: vec![],
            events: vec![],
            wait: None,
        };
        home.input(Input::Upstreams(&[FIRST])).unwrap();
        home
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.forwarder.handle(self.now, input);
        self.drain();
        result
    }

    fn drain(&mut self) {
        let mut out = vec![0; LONGEST_MESSAGE];
        for _ in 0..10_000 {
            match self.forwarder.poll(self.now, &mut out) {
                Output::Reply { client, length } => self.replies.push((client, out[..length].to_vec())),
                Output::Ask { token, server, tcp, length } => {
                    self.asked.push(Asked { token, server, tcp, bytes: out[..length].to_vec() });
                }
                Output::Release { token } => self.released.push(token),
                Output::Event(event) => self.events.push(event),
                Output::Wait(wait) => {
                    self.wait = wait;
                    return;
                }
            }
        }
        panic!("the engine never waits");
    }

    /// Lets time pass, waking the engine when it asked to be woken.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wait.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.drain();
        }
        self.now = end;
        self.drain();
    }

    fn ask(&mut self, name: &str, kind: u16) -> Result<(), Rejected> {
        self.ask_as(laptop(), &query(name, kind))
    }

    fn ask_as(&mut self, client: Client, bytes: &[u8]) -> Result<(), Rejected> {
        self.input(Input::Query { client, bytes })
    }

    /// The upstream answers the newest question with `records`.
    fn upstream_says(&mut self, code: u8, records: &[Record]) -> Result<(), Rejected> {
        let asked = self.asked.pop().expect("nothing was asked");
        let bytes = answer(&asked.bytes, code, records);
        self.input(Input::Answer { token: asked.token, from: asked.server, bytes: &bytes })
    }

    fn reply(&mut self) -> Vec<u8> {
        assert_eq!(self.replies.len(), 1, "exactly one answer is expected");
        self.replies.remove(0).1
    }

    fn rejected(&self, reason: Rejected) -> u64 {
        self.forwarder.snapshot().rejected.of(reason)
    }

    fn served(&self, what: Served) -> u64 {
        self.forwarder.snapshot().served.of(what)
    }
}

/// A record for a message: section 0, 1 or 2, owner (empty: the question's name), type, TTL, data.
#[derive(Clone)]
struct Record(usize, &'static str, u16, u32, Vec<u8>);

fn a(address: [u8; 4], ttl: u32) -> Record {
    Record(0, "", 1, ttl, address.to_vec())
}

fn soa(zone: &'static str, ttl: u32, minimum: u32) -> Record {
    let mut data = vec![0, 0];
    for number in [1, 2, 3, 4, minimum] {
        data.extend_from_slice(&u32::to_be_bytes(number));
    }
    Record(1, zone, 6, ttl, data)
}

fn config() -> Config {
    let mut config = Config::default();
    for (zone, prefix) in [(Zone::Lan, "192.168.77.1/24"), (Zone::Guest, "192.168.78.1/24")] {
        let prefix: Ipv4Prefix = prefix.parse().unwrap();
        config.networks.push(Network { zone, prefix }).unwrap();
    }
    config
}

fn laptop() -> Client {
    client(Zone::Lan, 20, 40_000, Transport::Udp)
}

fn client(zone: Zone, host: u8, port: u16, transport: Transport) -> Client {
    let network = if zone == Zone::Guest { 78 } else { 77 };
    Client { zone, address: SocketAddrV4::new(Ipv4Addr::new(192, 168, network, host), port), transport }
}

fn wire(name: &str) -> Vec<u8> {
    let mut out = vec![];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut out = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    out.extend(wire(name));
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

/// As [`query`] with an OPT: UDP size, DO, options.
fn query_edns(name: &str, kind: u16, size: u16, dnssec_ok: bool, options: &[u8]) -> Vec<u8> {
    let mut out = query(name, kind);
    out[11] = 1;
    out.extend_from_slice(&[0, 0, 41]);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[0, 0, (dnssec_ok as u8) << 7, 0]);
    out.extend_from_slice(&(options.len() as u16).to_be_bytes());
    out.extend_from_slice(options);
    out
}

/// An upstream's answer to `asked`: its question, then `records`, then nothing.
fn answer(asked: &[u8], code: u8, records: &[Record]) -> Vec<u8> {
    let mut end = 12;
    while asked[end] != 0 {
        end += 1 + asked[end] as usize;
    }
    let mut out = asked[..end + 5].to_vec();
    out[2] |= 0x84;
    out[3] = 0x80 | (asked[3] & 0x10) | code;
    out[6..12].fill(0);
    for section in 0..3 {
        for Record(_, owner, kind, ttl, data) in records.iter().filter(|record| record.0 == section) {
            out[7 + 2 * section] += 1;
            match *owner {
                "" => out.extend_from_slice(&[0xc0, 12]),
                name => out.extend(wire(name)),
            }
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&[0, 1]);
            out.extend_from_slice(&ttl.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
    }
    out
}

/// What `domain` reads in a message: code, then each record of the answer section as type, TTL, data.
fn read(bytes: &[u8]) -> (String, Vec<String>) {
    let message = Message::from_octets(bytes).expect("a header");
    for record in message.iter() {
        let (record, _) = record.expect("every record parses");
        assert!(record.to_any_record::<AllRecordData<_, _>>().is_ok(), "the data of every record parses");
    }
    let answers = message.answer().unwrap().map(|record| {
        let record = record.unwrap();
        let record = record.to_any_record::<AllRecordData<_, _>>().unwrap();
        std::format!("{} {} {}", record.rtype(), record.ttl().as_secs(), record.data())
    });
    (message.header().rcode().to_string(), answers.collect())
}

fn flags(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[2], bytes[3]])
}
