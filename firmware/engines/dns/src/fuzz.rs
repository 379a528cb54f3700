//! Fuzz body: bytes become clients, questions, answers, settings and time.
//!
//! Beyond "no panic": a question gets at most one answer, with its own id, and when time has passed nothing is under way.

use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Duration, Instant, Seed, Zone};
use heapless::Vec;

use crate::{
    Client, Config, Fault, Forwarder, Input, Limits, LocalName, Network, Output, Served, Token, Transport,
};

/// Questions outstanding: client port and id.
type Asked = Vec<(u16, u16), 256>;

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Run {
    forwarder: Forwarder,
    now: Instant,
    asked: Asked,
    sent: Vec<(Token, SocketAddrV4, Vec<u8, 600>), 64>,
}

/// Runs the engine over `data`. Panics when it breaks a promise.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let limits = Limits {
        cache_entries: 8,
        cache_bytes: 8192,
        in_flight: 4,
        waiters: 8,
        per_client: 5,
        query_bytes: 512,
        names: 4,
    };
    let mut config = Config::default();
    let home = dialtone_base::Ipv4Prefix::new(Ipv4Addr::new(192, 168, 77, 1), 24);
    if let Some(prefix) = home {
        let _ = config.networks.push(Network { zone: Zone::Lan, prefix });
    }
    let mut bytes = Bytes(data);
    let forwarder = Forwarder::new(limits, &config, Seed::from_number(bytes.byte() as u64));
    let mut run = Run { forwarder, now: Instant::START, asked: Vec::new(), sent: Vec::new() };
    let mut out = [0; 4096];
    run.upstreams(2, &mut out);
    while !bytes.0.is_empty() {
        run.step(&mut bytes, &mut out);
    }
    for _ in 0..20 {
        run.now += Duration::from_secs(6);
        run.drain(&mut out);
    }
    assert!(run.forwarder.snapshot().waiting == 0, "a client waits for ever");
    assert!(run.asked.is_empty(), "{} questions without an answer", run.asked.len());
}

impl Run {
    fn step(&mut self, bytes: &mut Bytes<'_>, out: &mut [u8]) {
        let choice = bytes.byte();
        match choice % 8 {
            0..=2 => self.query(choice, bytes, out),
            3 | 4 => self.answer(choice, bytes, out),
            5 => {
                self.now += Duration::from_millis(bytes.byte() as u64 * 37);
                self.drain(out);
            }
            6 => {
                let number = bytes.byte();
                if number & 1 == 0 {
                    self.upstreams(number % 4, out);
                } else {
                    let name = core::str::from_utf8(bytes.take(number as usize % 8)).unwrap_or("tv");
                    let address = Ipv4Addr::new(192, 168, 77, number);
                    let names = [LocalName { name: name.into(), address, zone: Zone::Lan }];
                    let _ = self.forwarder.handle(self.now, Input::Names(&names));
                    self.drain(out);
                }
            }
            _ => {
                if let Some((token, ..)) = self.sent.pop() {
                    let fault = if choice & 8 == 0 { Fault::Ours } else { Fault::Theirs };
                    let _ = self.forwarder.handle(self.now, Input::Failed { token, fault });
                    self.drain(out);
                }
            }
        }
    }

    fn upstreams(&mut self, count: u8, out: &mut [u8]) {
        let servers: Vec<SocketAddrV4, 4> =
            (0..count).map(|number| SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, number), 53)).collect();
        let _ = self.forwarder.handle(self.now, Input::Upstreams(&servers));
        self.drain(out);
    }

    fn query(&mut self, choice: u8, bytes: &mut Bytes<'_>, out: &mut [u8]) {
        let mut message: Vec<u8, 600> = Vec::new();
        let id = bytes.byte();
        let port = 1000 + (bytes.byte() % 4) as u16;
        if choice & 8 == 0 {
            // A sound question: few names, so that the cache and joining come into play.
            const NAMES: [&[u8]; 4] = [
                b"\x03www\x07example\0",
                b"\x02tv\x04home\x04arpa\0",
                b"\0",
                b"\x011\x0277\x03168\x03192\x07in-addr\x04arpa\0",
            ];
            let _ = message.extend_from_slice(&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            let _ = message.extend_from_slice(NAMES.get(choice as usize >> 4 & 3).copied().unwrap_or(b"\0"));
            let _ = message.extend_from_slice(&[0, [1, 28, 12, 255][choice as usize >> 6], 0, 1]);
        } else {
            let _ = message.extend_from_slice(&[0, id]);
            let length = bytes.byte() as usize;
            let _ = message.extend_from_slice(bytes.take(length));
        }
        let address = SocketAddrV4::new(Ipv4Addr::new(192, 168, 77, 2), port);
        let transport = if choice & 0x30 == 0x30 { Transport::Tcp(port as u32) } else { Transport::Udp };
        let client = Client { zone: Zone::Lan, address, transport };
        let retransmitted = |forwarder: &Forwarder| forwarder.snapshot().served.of(Served::Retransmitted);
        let before = retransmitted(&self.forwarder);
        let result = self.forwarder.handle(self.now, Input::Query { client, bytes: &message });
        // A retransmission joins what is under way: one answer for both.
        let again = retransmitted(&self.forwarder) > before;
        if result != Err(crate::Rejected::NotAQuery) && !again {
            let _ = self.asked.push((port, id as u16));
        }
        self.drain(out);
    }

    fn answer(&mut self, choice: u8, bytes: &mut Bytes<'_>, out: &mut [u8]) {
        let index = choice as usize >> 4;
        let Some((token, server, question)) = self.sent.get(index % self.sent.len().max(1)).cloned() else {
            return;
        };
        let mut message = question;
        if let Some(byte) = message.get_mut(2) {
            *byte |= 0x80;
        }
        if let (true, Some(byte)) = (choice & 8 == 0, message.get_mut(7)) {
            *byte = bytes.byte() % 4;
        }
        let length = bytes.byte() as usize;
        let _ = message.extend_from_slice(bytes.take(length));
        if choice & 0x80 != 0 {
            let at = bytes.byte() as usize;
            if let Some(byte) = message.get_mut(at) {
                *byte ^= bytes.byte();
            }
        }
        let _ = self.forwarder.handle(self.now, Input::Answer { token, from: server, bytes: &message });
        self.drain(out);
    }

    fn drain(&mut self, out: &mut [u8]) {
        for _ in 0..10_000 {
            match self.forwarder.poll(self.now, out) {
                Output::Reply { client, length } => {
                    let message = out.get(..length).unwrap_or_default();
                    let id = crate::message::u16_at(message, 0).unwrap_or(0);
                    let found = self.asked.iter().position(|asked| *asked == (client.address.port(), id));
                    assert!(found.is_some(), "an answer nobody asked for: {id}");
                    self.asked.swap_remove(found.unwrap_or(0));
                }
                Output::Ask { token, server, length, .. } => {
                    let question = Vec::from_slice(out.get(..length).unwrap_or_default()).unwrap_or_default();
                    if self.sent.is_full() {
                        self.sent.remove(0);
                    }
                    let _ = self.sent.push((token, server, question));
                }
                Output::Release { .. } | Output::Event(_) => {}
                Output::Wait(_) => return,
            }
        }
        panic!("the engine never waits");
    }
}
