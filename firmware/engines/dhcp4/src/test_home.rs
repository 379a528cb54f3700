//! A server with hand-made clients, for tests: builds messages, drains outputs, reads answers.

extern crate std;

use core::net::Ipv4Addr;
use std::vec;
use std::vec::Vec;

use dialtone_base::{Duration, Instant, Ipv4Prefix, MacAddress, Zone};

use crate::message::{Header, Message, MessageType, Writer, code};
use crate::server::{Destination, Input, Output, Rejected, Server, ServerConfig, ServerEvent};

/// The home's network is 192.168.77.0/24, the pool .100 to .102 unless changed.
pub struct Home {
    pub server: Server,
    pub now: Instant,
    pub events: Vec<ServerEvent>,
    pub answers: Vec<Answer>,
}

/// A datagram the server sent.
#[derive(Clone, Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub to: Destination,
}

/// A client's message in the making.
#[derive(Clone, Debug)]
pub struct Ask {
    pub kind: MessageType,
    pub mac: MacAddress,
    pub broadcast: bool,
    pub seconds: u16,
    pub ciaddr: Ipv4Addr,
    pub relay: Ipv4Addr,
    pub options: Vec<(u8, Vec<u8>)>,
}

pub fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 77, last)
}

pub fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

pub fn small_config() -> ServerConfig {
    let prefix = Ipv4Prefix::new(ip(1), 24).unwrap();
    ServerConfig { first: ip(100), last: ip(102), ..ServerConfig::home(Zone::Lan, prefix) }
}

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub fn kind(&self) -> MessageType {
        self.message().kind
    }

    pub fn yours(&self) -> Ipv4Addr {
        self.message().header.yours
    }

    pub fn codes(&self) -> Vec<u8> {
        self.message().options().map(|(code, _)| code).collect()
    }
}

impl Ask {
    pub fn new(kind: MessageType, from: u8) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            kind,
            mac: mac(from),
            broadcast: false,
            seconds: 0,
            ciaddr: none,
            relay: none,
            options: vec![],
        }
    }

    pub fn discover(from: u8) -> Self {
        Self::new(MessageType::Discover, from)
    }

    /// REQUEST in the state SELECTING.
    pub fn select(from: u8, address: Ipv4Addr) -> Self {
        Self::reboot(from, address).with(code::SERVER_ID, &ip(1).octets())
    }

    /// REQUEST in the state INIT-REBOOT.
    pub fn reboot(from: u8, address: Ipv4Addr) -> Self {
        Self::new(MessageType::Request, from).with(code::REQUESTED_ADDRESS, &address.octets())
    }

    /// REQUEST in the states RENEWING and REBINDING.
    pub fn renew(from: u8, address: Ipv4Addr) -> Self {
        Self { ciaddr: address, ..Self::new(MessageType::Request, from) }
    }

    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let header = Header {
            reply: false,
            transaction: 0xd1a1,
            seconds: self.seconds,
            broadcast: self.broadcast,
            client: self.ciaddr,
            yours: Ipv4Addr::UNSPECIFIED,
            relay: self.relay,
            mac: self.mac,
        };
        let mut out = [0; 1500];
        let mut writer = Writer::new(&mut out, 1400, &header, self.kind).unwrap();
        for (code, value) in &self.options {
            assert!(writer.option(*code, value));
        }
        let length = writer.finish();
        out[..length].to_vec()
    }
}

impl Home {
    pub fn new(config: ServerConfig) -> Self {
        let server = Server::new(Instant::START, config, 256).unwrap();
        Self { server, now: Instant::from_secs(1), events: vec![], answers: vec![] }
    }

    pub fn small() -> Self {
        Self::new(small_config())
    }

    /// Sends a message without letting time pass.
    pub fn tell(&mut self, ask: &Ask) -> Result<(), Rejected> {
        let result = self.server.handle(self.now, Input::Packet(&ask.bytes()));
        self.drain();
        result
    }

    pub fn probe_answered(&mut self, address: Ipv4Addr, by: MacAddress) {
        self.server.handle(self.now, Input::ProbeAnswered { address, mac: by }).unwrap();
        self.drain();
    }

    /// Sends a message; the answer, waiting for a probe if need be.
    pub fn ask(&mut self, ask: &Ask) -> Option<Answer> {
        self.answers.clear();
        let _ = self.tell(ask);
        if self.answers.is_empty() {
            self.wait(Duration::from_millis(450));
        }
        assert!(self.answers.len() <= 1, "one message, one answer");
        self.answers.pop()
    }

    /// DISCOVER and REQUEST; the address.
    pub fn lease(&mut self, from: u8) -> Option<Ipv4Addr> {
        let offer = self.ask(&Ask::discover(from))?;
        assert_eq!(offer.kind(), MessageType::Offer);
        let ack = self.ask(&Ask::select(from, offer.yours()))?;
        (ack.kind() == MessageType::Ack).then(|| ack.yours())
    }

    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.drain().filter(|next| *next <= end) {
            self.now = next.max(self.now);
        }
        self.now = end;
        self.drain();
    }

    pub fn drain(&mut self) -> Option<Instant> {
        let mut out = [0; 1024];
        loop {
            match self.server.poll(self.now, &mut out) {
                Output::Transmit { length, to } => {
                    self.answers.push(Answer { bytes: out[..length].to_vec(), to });
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(next) => return next,
            }
        }
    }
}
