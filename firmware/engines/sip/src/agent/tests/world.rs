//! The network of the tests: user agents, a registrar, loss and delay, all from one seed.

extern crate std;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::boxed::Box;
use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use dialtone_base::random::{Random, Seed};
use dialtone_base::telephony::{CallId, Number};
use dialtone_base::{Duration, Instant};

use crate::interface::{Body, Event, Input, Order, Output, Rejected, Via};
use crate::message::{Message, Name, Received, Status};
use crate::write::Writer;
use crate::{Account, Config, ConnectionId, Password, Registering, Server, UserAgent};

pub const DELAY: Duration = Duration::from_millis(10);
pub const OFFER: &[u8] = b"v=0 offer";
pub const ANSWER: &[u8] = b"v=0 answer";
pub const SECOND_OFFER: &[u8] = b"v=0 second offer";
pub const SECOND_ANSWER: &[u8] = b"v=0 second answer";

pub fn address(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), 5060)
}

pub fn sdp(bytes: &'static [u8]) -> Body<'static> {
    Body::sdp(bytes)
}

/// A datagram or a portion of a stream on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub at: Instant,
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub bytes: Vec<u8>,
    pub is_stream: bool,
}

pub struct Node {
    pub agent: UserAgent,
    pub address: SocketAddrV4,
    pub events: Vec<Event<'static>>,
    pub wait: Option<Instant>,
    pub connections: Vec<(ConnectionId, SocketAddrV4)>,
    pub located: Vec<(crate::QueryId, String, crate::RecordKind)>,
    /// What it sent, to look at.
    pub sent: Vec<(Instant, SocketAddrV4, String)>,
}

/// What a scripted server does with a message: what it sends in turn.
pub type Script = Box<dyn FnMut(Instant, SocketAddrV4, &Message<'_>) -> Vec<(SocketAddrV4, Vec<u8>)>>;

pub struct World {
    pub now: Instant,
    pub nodes: Vec<Node>,
    pub servers: Vec<(SocketAddrV4, Script)>,
    pub wire: VecDeque<Parcel>,
    /// Per mille of datagrams lost.
    pub loss: u32,
    /// No server takes connections.
    pub refuses_streams: bool,
    /// Nobody says anything to who wants to connect.
    pub swallows_streams: bool,
    /// Connections come about and lead nowhere.
    pub swallows_stream_bytes: bool,
    /// Connections asked for.
    pub asked_for_streams: u32,
    pub random: Random,
    pub seed: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_secs(1000),
            nodes: Vec::new(),
            servers: Vec::new(),
            wire: VecDeque::new(),
            loss: 0,
            refuses_streams: false,
            swallows_streams: false,
            swallows_stream_bytes: false,
            asked_for_streams: 0,
            random: Random::new(Seed::from_number(seed)),
            seed,
        }
    }

    /// An agent at 192.0.2.`last`, on the network.
    pub fn add(&mut self, last: u8, config: Config) -> usize {
        let agent = UserAgent::new(config, Seed::from_number(self.seed * 1000 + u64::from(last)));
        self.nodes.push(Node {
            agent,
            address: address(last),
            events: Vec::new(),
            wait: None,
            connections: Vec::new(),
            located: Vec::new(),
            sent: Vec::new(),
        });
        let index = self.nodes.len() - 1;
        self.input(index, Input::Network { local: Some(*address(last).ip()) }).unwrap();
        index
    }

    pub fn input(&mut self, node: usize, input: Input<'_>) -> Result<(), Rejected> {
        let now = self.now;
        let result = self.nodes[node].agent.handle(now, input);
        self.drain(node);
        result
    }

    pub fn order(&mut self, node: usize, call: u32, order: Order<'_>) -> Result<(), Rejected> {
        self.input(node, Input::Order { call: CallId(call), order })
    }

    pub fn dial(&mut self, node: usize, call: u32, to: &str, offer: Option<&'static [u8]>) {
        let to = Number::lossy(to);
        let order = Order::Dial {
            account: 0,
            number: 0,
            to: &to,
            withhold: false,
            offer: offer.map(Body::sdp),
            referred_by: None,
        };
        self.order(node, call, order).unwrap();
    }

    fn drain(&mut self, index: usize) {
        let mut out = vec![0; 8192];
        loop {
            let now = self.now;
            let node = &mut self.nodes[index];
            match node.agent.poll(now, &mut out) {
                Output::Transmit { via, length } => {
                    let bytes = out[..length].to_vec();
                    let (to, is_stream) = match via {
                        Via::Udp { to } => (to, false),
                        Via::Stream { connection } => {
                            let found = node.connections.iter().find(|(id, _)| *id == connection);
                            match found {
                                Some((_, to)) => (*to, true),
                                None => continue,
                            }
                        }
                    };
                    let text = String::from_utf8_lossy(&bytes).to_string();
                    node.sent.push((now, to, text));
                    let from = node.address;
                    self.send(from, to, bytes, is_stream);
                }
                Output::Connect { connection, to } => {
                    node.connections.push((connection, to));
                    let local = SocketAddrV4::new(*node.address.ip(), 40_000);
                    self.asked_for_streams += 1;
                    if self.swallows_streams {
                        continue;
                    }
                    let alive =
                        !self.refuses_streams && self.servers.iter().any(|(address, _)| *address == to);
                    if !alive {
                        node.connections.pop();
                    }
                    let input = if alive {
                        Input::Connected { connection, local }
                    } else {
                        Input::Closed { connection }
                    };
                    // Answered later, as a network does.
                    node.agent.poll(now, &mut out);
                    let _ = node.agent.handle(now, input);
                }
                Output::Close { connection } => node.connections.retain(|(id, _)| *id != connection),
                Output::Locate { query, name, kind } => {
                    node.located.push((query, name.to_string(), kind));
                }
                Output::Event(event) => {
                    let event = owned(event);
                    node.events.push(event);
                }
                Output::Wait(at) => {
                    node.wait = at;
                    return;
                }
            }
        }
    }

    pub fn send(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>, is_stream: bool) {
        if is_stream && self.swallows_stream_bytes {
            return;
        }
        if !is_stream && self.random.below(1000) < self.loss {
            return;
        }
        let at = self.now + DELAY;
        let place = self.wire.iter().position(|parcel| parcel.at > at).unwrap_or(self.wire.len());
        self.wire.insert(place, Parcel { at, from, to, bytes, is_stream });
    }

    /// Lets everything happen until `end`.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let next_timer = self.nodes.iter().filter_map(|node| node.wait).min();
            let next_parcel = self.wire.front().map(|parcel| parcel.at);
            let next = [next_timer, next_parcel].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if next_parcel.is_some_and(|at| at <= self.now) {
                if let Some(parcel) = self.wire.pop_front() {
                    self.deliver(parcel);
                }
                continue;
            }
            for index in 0..self.nodes.len() {
                if self.nodes[index].wait.is_some_and(|at| at <= self.now) {
                    self.drain(index);
                }
            }
        }
        self.now = self.now.max(end);
    }

    pub fn run(&mut self, length: Duration) {
        self.run_until(self.now + length);
    }

    pub fn run_millis(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    fn deliver(&mut self, parcel: Parcel) {
        if let Some(index) = self.nodes.iter().position(|node| node.address.ip() == parcel.to.ip()) {
            if parcel.is_stream {
                let connection = self.nodes[index].connections.iter().find(|(_, to)| *to == parcel.from);
                if let Some((connection, _)) = connection.copied() {
                    let _ = self.input(index, Input::Stream { connection, bytes: &parcel.bytes });
                }
            } else {
                let _ = self.input(index, Input::Datagram { from: parcel.from, bytes: &parcel.bytes });
            }
            return;
        }
        let now = self.now;
        let mut replies = Vec::new();
        if let Some((_, script)) = self.servers.iter_mut().find(|(address, _)| *address == parcel.to) {
            if let Received::Message(message) = Message::parse(&parcel.bytes) {
                replies = script(now, parcel.from, &message);
            } else if parcel.is_stream && parcel.bytes == b"\r\n\r\n" {
                replies.push((parcel.from, b"\r\n".to_vec()));
            }
        }
        for (to, reply) in replies {
            self.send(parcel.to, to, reply, parcel.is_stream);
        }
    }

    /// The events of a node since this was asked last.
    pub fn events(&mut self, node: usize) -> Vec<Event<'static>> {
        core::mem::take(&mut self.nodes[node].events)
    }

    /// Events of calls only.
    pub fn call_events(&mut self, node: usize) -> Vec<Event<'static>> {
        let mut events = self.events(node);
        events.retain(|event| !matches!(event, Event::Registration { .. } | Event::MessageWaiting { .. }));
        events
    }

    /// Requests of a method a node sent, repetitions included.
    pub fn count_sent(&self, node: usize, method: &str) -> usize {
        let start = format!("{method} ");
        self.nodes[node].sent.iter().filter(|(_, _, text)| text.starts_with(&start)).count()
    }

    pub fn last_sent(&self, node: usize, start: &str) -> String {
        let found = self.nodes[node].sent.iter().rev().find(|(_, _, text)| text.starts_with(start));
        found.map(|(_, _, text)| text.clone()).unwrap_or_else(|| panic!("nothing sent like {start}"))
    }

    /// Nothing of any call is left.
    pub fn assert_empty(&self, node: usize) {
        let agent = &self.nodes[node].agent;
        assert_eq!((agent.calls(), agent.dialogs()), (0, 0), "seed {}", self.seed);
    }
}

/// An account of one number without registration, served by another agent.
pub fn peer_config(number: &str, server: u8) -> Config {
    let mut account = Account {
        domain: "example.net".into(),
        server: Some(Server { host: (&*format!("192.0.2.{server}")).into(), ..Server::default() }),
        registering: Registering::None,
        message_waiting: false,
        ..Account::default()
    };
    account.numbers.push(number.into()).unwrap();
    let mut config = Config::default();
    config.accounts.push(account).unwrap();
    config
}

/// An account that registers.
pub fn registering_config(number: &str, server: u8) -> Config {
    let mut config = peer_config(number, server);
    let account = &mut config.accounts[0];
    account.registering = Registering::Each;
    account.password = Password::new("secret");
    config
}

/// Two agents that call each other: 100 at .1, 200 at .2.
pub fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add(1, peer_config("100", 2));
    world.add(2, peer_config("200", 1));
    world.run_millis(100);
    world
}

/// An answer as text.
pub fn reply(
    request: &Message<'_>,
    from: SocketAddrV4,
    status: u16,
    headers: &[(Name, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let status = Status::new(status).unwrap();
    let mut writer = Writer::response(&mut out, request, from.into(), status, "", Some("server-tag"));
    for (name, value) in headers {
        writer.header(*name, *value);
    }
    let length = if body.is_empty() {
        writer.finish().unwrap()
    } else {
        writer.finish_with("application/sdp", body).unwrap()
    };
    out.truncate(length);
    out
}

/// A stateless proxy at 192.0.2.9 that records its route and knows where 100, 200 and 300 are: at .1, .2 and .3.
pub fn proxy() -> Script {
    Box::new(|_, from, message| {
        let text = String::from_utf8_lossy(message.as_bytes()).to_string();
        let mut lines: Vec<&str> = text.split("\r\n").collect();
        if message.status().is_some() {
            // Our Via off; to whom the next one says.
            let ours = lines.iter().position(|line| line.starts_with("Via:")).unwrap();
            lines.remove(ours);
            let text = lines.join("\r\n");
            let Received::Message(message) = Message::parse(text.as_bytes()) else { return vec![] };
            let seen = message.top_via().unwrap().seen_as().unwrap();
            let core::net::SocketAddr::V4(to) = seen else { return vec![] };
            return vec![(to, text.into_bytes())];
        }
        let uri = message.request_uri().unwrap();
        let user: String = uri.user().unwrap_or_default().into();
        let to = match uri.host().and_then(|host| host.address()) {
            Some(core::net::IpAddr::V4(host)) => SocketAddrV4::new(host, uri.port().unwrap_or(5060)),
            _ => match user.as_str() {
                "100" => address(1),
                "200" => address(2),
                "300" => address(3),
                _ => return vec![(from, reply(message, from, 404, &[], b""))],
            },
        };
        let branch = message.top_via().unwrap().branch().unwrap_or_default().to_string();
        let mut out = Vec::<String>::new();
        let mut is_first_via = true;
        for line in lines {
            if line.starts_with("Route:") && line.contains("192.0.2.9") {
                continue;
            }
            if line.starts_with("Via:") && is_first_via {
                is_first_via = false;
                out.push(format!("Via: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}.p"));
                let seen = format!(";received={};rport={}", from.ip(), from.port());
                out.push(line.replacen(";rport", &seen, 1));
                out.push("Record-Route: <sip:192.0.2.9;lr>".into());
                continue;
            }
            out.push(line.into());
        }
        vec![(to, out.join("\r\n").into_bytes())]
    })
}

/// Three agents, 100, 200 and 300, behind a proxy.
pub fn trio(seed: u64) -> World {
    let mut world = World::new(seed);
    world.servers.push((address(9), proxy()));
    for (last, number) in [(1, "100"), (2, "200"), (3, "300")] {
        world.add(last, peer_config(number, 9));
    }
    world.run_millis(100);
    world
}

/// A digest challenge.
pub const CHALLENGE: &str = "Digest realm=\"example.net\", nonce=\"abcdef\", qop=\"auth\", algorithm=SHA-256";

fn leak(body: Body<'_>) -> Body<'static> {
    Body {
        content_type: Box::leak(body.content_type.to_string().into_boxed_str()),
        bytes: Box::leak(body.bytes.to_vec().into_boxed_slice()),
    }
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Registration { account, number, state } => Event::Registration { account, number, state },
        Event::Incoming { call, account, number, called, from, alert, replaces, offer } => {
            Event::Incoming { call, account, number, called, from, alert, replaces, offer: offer.map(leak) }
        }
        Event::Progress { call, progress, body } => Event::Progress { call, progress, body: body.map(leak) },
        Event::Answered { call, body, by } => Event::Answered { call, body: body.map(leak), by },
        Event::Established { call, body } => Event::Established { call, body: body.map(leak) },
        Event::Offer { call, body } => Event::Offer { call, body: leak(body) },
        Event::OfferAnswered { call, body } => Event::OfferAnswered { call, body: leak(body) },
        Event::OfferRefused { call, status } => Event::OfferRefused { call, status },
        Event::OfferWanted { call, reason } => Event::OfferWanted { call, reason },
        Event::Ended { call, cause, status } => Event::Ended { call, cause, status },
        Event::TransferAsked { call, to, attended } => Event::TransferAsked { call, to, attended },
        Event::TransferProgress { call, progress } => Event::TransferProgress { call, progress },
        Event::Key { call, key, millis } => Event::Key { call, key, millis },
        Event::MessageWaiting { account, number, waiting, new, old } => {
            Event::MessageWaiting { account, number, waiting, new, old }
        }
    }
}
