//! A simulated telephone operator: registrar, proxy, and numbers that answer.
//!
//! The other side of the firmware's SIP engine, written independently of it: subscribers register with digest ([`digest`]),
//! calls between them are forwarded and forked ([`proxy`]), and a few numbers belong to the operator itself ([`service`]): 600
//! echoes, 601 tells the time, 602 calls back, 603 is busy, 604 leaves a message waiting, 605 is an announcement. Sound is
//! RTP in the world's time ([`media`]), the voice is computed ([`speech`]). [`Faults`] make it as bad as real ones. It is a
//! value with a clock argument and plugs into a far side ([`WithOperator`]).
//!
//! RFC 3261, 3263 (its names), 3264, 3311 and 3262 as a proxy passes them on, 3581, 3842, 3891 and 3515 for its own numbers,
//! 7616, 8760. Not here: TLS, Path and outbound (5626), session timers of its own, IPv6.

pub mod digest;
pub mod media;
pub mod message;
pub mod proxy;
mod registrar;
pub mod service;
pub mod speech;
mod transport;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use dialtone_base::{Duration, Instant, Random, Seed};

use crate::dns_message::Record;
use crate::isp::names::NameList;
use digest::{Algorithm, Nonces};
use message::{Message, Start};
pub use transport::{Road, WithOperator};

/// How the operator is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The part of a SIP address behind the `@`, and the realm.
    pub domain: String,
    /// Addresses of its servers, best first; each answers on port 5060, UDP and TCP.
    pub servers: Vec<Ipv4Addr>,
    /// Hashes offered, best first; none: everybody is believed.
    pub algorithms: Vec<Algorithm>,
    /// Until a nonce is stale.
    pub nonce_lifetime: Duration,
    /// Seconds a registration lasts at most.
    pub longest_registration: u32,
    /// How long the echo holds back what comes.
    pub echo_delay: Duration,
    /// Keeps what callers of its own numbers say, for tests.
    pub record: bool,
    /// Its own numbers understand telephone-events (RFC 4733).
    pub events: bool,
    /// Seconds since 1970 when the simulation started.
    pub unix_at_start: u64,
}

impl Default for Settings {
    /// `operator.test` at 203.0.113.60 and .61, SHA-256 and MD5, nonces of five minutes, registrations of an hour.
    fn default() -> Self {
        Self {
            domain: "operator.test".into(),
            servers: vec![Ipv4Addr::new(203, 0, 113, 60), Ipv4Addr::new(203, 0, 113, 61)],
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: Duration::from_secs(300),
            longest_registration: 3600,
            echo_delay: Duration::from_millis(0),
            record: false,
            events: true,
            unix_at_start: 1_767_225_600,
        }
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// User name and main number.
    pub user: String,
    /// For the digest.
    pub password: String,
    /// Shown to those who are called.
    pub name: String,
    /// More numbers that lead to the same account.
    pub numbers: Vec<String>,
}

impl Subscriber {
    /// With one number.
    pub fn new(user: &str, password: &str, name: &str) -> Self {
        Self { user: user.into(), password: password.into(), name: name.into(), numbers: Vec::new() }
    }

    /// With one more number.
    pub fn with_number(mut self, number: &str) -> Self {
        self.numbers.push(number.into());
        self
    }

    fn has(&self, number: &str) -> bool {
        self.user == number || self.numbers.iter().any(|one| one == number)
    }
}

/// What goes wrong, from the moment it is set until it is cleared.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// These servers are gone: nothing comes back, connections are not answered.
    pub gone: HashSet<Ipv4Addr>,
    /// Every request is answered with 503, with Retry-After when there are seconds.
    pub unavailable: Option<Option<u32>>,
    /// Registrations shorter than this many seconds are answered with 423.
    pub shortest_registration: Option<u32>,
    /// Registrations are refused with this code.
    pub refuse_registration: Option<u16>,
    /// Messages over UDP and RTP lost per million, each way.
    pub lost: u32,
    /// Every nonce is stale when it comes back.
    pub always_stale: bool,
    /// Everything the operator says leaves this much later; RTP does not.
    pub slow: Duration,
    /// Its own numbers ring in two places (two early dialogs); the second one answers.
    pub forked: bool,
    /// What it answers to requests that are not REGISTER.
    pub wrong: Option<Wrong>,
}

/// Answers that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Bytes that are no message.
    Garbage,
    /// A response cut off in the middle of a header.
    CutOff,
    /// A response to a transaction nobody has.
    OtherBranch,
    /// A response with another method in CSeq.
    OtherMethod,
    /// A 200 without To tag and Contact.
    NoTag,
    /// A response whose Content-Length is longer than its body.
    TooLong,
}

/// Somebody's present address.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Whose.
    pub user: String,
    /// Contact URI.
    pub contact: String,
    /// Gone after this.
    pub until: Instant,
    pub(super) road: Road,
    call_id: String,
    sequence: u32,
}

/// A line of what happened, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// When.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// `REGISTER`, or `200 INVITE`.
    pub what: String,
    /// User part of From.
    pub user: String,
}

/// The operator.
pub struct Operator {
    /// How it is set up.
    pub settings: Settings,
    /// What goes wrong now.
    pub faults: Faults,
    /// Messages that came, the newest [`NOTES`]; lost ones are not among them.
    pub notes: VecDeque<Noted>,
    /// Bytes that came and were no SIP message.
    pub garbage: u64,
    /// When a REGISTER came to a server that is gone, the newest [`NOTES`]: retransmissions are among them.
    pub unheard: VecDeque<Instant>,
    subscribers: Vec<Subscriber>,
    random: Random,
    nonces: Nonces,
    bindings: Vec<Binding>,
    answered: HashMap<String, Answered>,
    forwarded: HashMap<String, Forwarded>,
    forks: Vec<proxy::Fork>,
    resends: Vec<Resend>,
    roads: HashMap<String, Road>,
    outbox: VecDeque<(Instant, Road, Vec<u8>)>,
    calls: Vec<service::Call>,
    finished: Vec<service::Heard>,
    call_backs: Vec<(Instant, String)>,
    watchers: Vec<registrar::Watcher>,
    waiting: HashMap<String, u32>,
    connections: HashMap<u64, transport::Pipe>,
    next_connection: u64,
    next_port: u16,
}

/// The last response to a request, for when it comes again.
struct Answered {
    bytes: Vec<u8>,
    until: Instant,
}

/// A request passed on without further thought; its response finds the way back.
struct Forwarded {
    back: Road,
    until: Instant,
}

/// Bytes that are sent again until somebody says they came.
struct Resend {
    key: String,
    at: Instant,
    interval: Duration,
    until: Instant,
    road: Road,
    bytes: Vec<u8>,
    slowest: Duration,
}

impl Operator {
    /// With these subscribers, and nobody registered.
    pub fn new(settings: Settings, subscribers: Vec<Subscriber>, seed: Seed) -> Self {
        Self {
            settings,
            faults: Faults::default(),
            notes: VecDeque::new(),
            garbage: 0,
            unheard: VecDeque::new(),
            subscribers,
            random: Random::new(seed),
            nonces: Nonces::default(),
            bindings: Vec::new(),
            answered: HashMap::new(),
            forwarded: HashMap::new(),
            forks: Vec::new(),
            resends: Vec::new(),
            roads: HashMap::new(),
            outbox: VecDeque::new(),
            calls: Vec::new(),
            finished: Vec::new(),
            call_backs: Vec::new(),
            watchers: Vec::new(),
            waiting: HashMap::new(),
            connections: HashMap::new(),
            next_connection: 0,
            next_port: FIRST_MEDIA_PORT,
        }
    }

    /// To be shared between a far side and a test.
    pub fn shared(self) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(self))
    }

    /// Adds a subscriber.
    pub fn subscribe(&mut self, subscriber: Subscriber) {
        self.subscribers.push(subscriber);
    }

    /// Forgets who is registered, every nonce and every call: the operator was restarted.
    pub fn restart(&mut self) {
        let seed = self.random.derive_seed();
        let fresh = Self::new(self.settings.clone(), self.subscribers.clone(), seed);
        let (notes, faults) = (std::mem::take(&mut self.notes), self.faults.clone());
        let garbage = self.garbage;
        *self = Self { notes, faults, garbage, ..fresh };
    }

    /// Its names: `operator.test` with NAPTR and SRV (UDP before TCP, the servers in their order), `sip.operator.test`
    /// with all addresses and the same SRV, `sip1.operator.test` and so on with one each.
    pub fn names(&self, mut list: NameList) -> NameList {
        let domain = &self.settings.domain;
        let services: Vec<Record> = (1..=self.settings.servers.len() as u16)
            .map(|number| {
                let target = format!("sip{number}.{domain}");
                Record::Service { priority: number * 10, weight: 10, port: PORT, target }
            })
            .collect();
        let addresses = self.settings.servers.iter().copied().map(Record::Address);
        for place in [domain.clone(), format!("sip.{domain}")] {
            let pointers = [(50, "SIP+D2U", "_sip._udp"), (90, "SIP+D2T", "_sip._tcp")];
            let records = pointers.into_iter().map(|(order, service, prefix)| Record::Pointer {
                order,
                preference: 50,
                flags: "s".into(),
                services: service.into(),
                replacement: format!("{prefix}.{place}"),
            });
            list = list
                .with_records(&place, records.chain(addresses.clone()).collect())
                .with_records(&format!("_sip._udp.{place}"), services.clone())
                .with_records(&format!("_sip._tcp.{place}"), services.clone());
        }
        for (number, address) in (1..).zip(&self.settings.servers) {
            list = list.with(&format!("sip{number}.{domain}"), *address);
        }
        list
    }

    /// Whether a packet to this address is the operator's.
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        self.settings.servers.contains(&address)
    }

    /// Where an account is reached at `now`.
    pub fn bindings(&self, now: Instant, user: &str) -> Vec<Binding> {
        self.bindings.iter().filter(|one| one.user == user && one.until > now).cloned().collect()
    }

    /// How often a message like `REGISTER` or `200 INVITE` came.
    pub fn count(&self, what: &str) -> usize {
        self.notes.iter().filter(|note| note.what == what).count()
    }

    /// Calls of its own numbers and calls between subscribers that are being set up.
    pub fn busy_with(&self) -> usize {
        self.calls.len() + self.forks.len()
    }

    /// A message from the network.
    pub(super) fn receive(&mut self, now: Instant, road: Road, bytes: &[u8]) {
        let blank = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0 | b' '));
        if blank {
            // Keep-alive (RFC 5626, section 3.5.1): over TCP two CRLF are answered with one.
            if matches!(road, Road::Tcp { .. }) && bytes.len() >= 4 {
                self.put(now, road, b"\r\n".to_vec());
            }
            return;
        }
        let Some(message) = Message::parse(bytes) else {
            self.garbage += 1;
            return;
        };
        let what = match message.code() {
            Some(code) => format!("{code} {}", message.method()),
            None => message.method().to_string(),
        };
        let user =
            message.header("From").map(message::uri_of).map(message::user_of).unwrap_or("").to_string();
        self.notes.push_back(Noted { at: now, from: road.theirs(), what, user });
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
        if let Some(contact) = message.header("Contact") {
            let uri = message::uri_of(contact);
            if self.roads.len() > MOST_ROADS {
                self.roads.clear();
            }
            self.roads.insert(address_key(uri), road);
        }
        match message.start {
            Start::Request { .. } => self.request(now, road, message),
            Start::Response { .. } => self.response(now, message),
        }
    }

    fn request(&mut self, now: Instant, road: Road, mut message: Message) {
        let method = message.method().to_string();
        if let Some(via) = message.header("Via") {
            // RFC 3581: answers go where the request came from, and say so.
            let theirs = road.theirs();
            let via = via.replace(";rport;", &format!(";rport={};", theirs.port()));
            let via = match via.strip_suffix(";rport") {
                Some(head) => format!("{head};rport={}", theirs.port()),
                None => via,
            };
            message.set("Via", format!("{via};received={}", theirs.ip()));
        }
        if method == "ACK" {
            self.delivered(&format!("final {}", message.branch()));
            self.acknowledge(now, road, message);
            return;
        }
        if let Some(answered) = self.answered.get(&transaction(&message)) {
            let bytes = answered.bytes.clone();
            self.put(now, road, bytes);
            return;
        }
        if let Some(after) = self.faults.unavailable {
            let mut response = Message::response(&message, 503);
            if let Some(seconds) = after {
                response = response.with("Retry-After", seconds.to_string());
            }
            self.respond(now, road, &message, response);
            return;
        }
        if let Some(wrong) = self.faults.wrong
            && method != "REGISTER"
        {
            self.answer_wrongly(now, road, &message, wrong);
            return;
        }
        if message.header("Max-Forwards").and_then(|hops| hops.parse().ok()) == Some(0_u32) {
            self.refuse(now, road, &message, 483);
            return;
        }
        match method.as_str() {
            "CANCEL" => self.cancel(now, road, &message),
            "REGISTER" => self.register(now, road, &message),
            _ if message.to_tag().is_some() => self.within_dialog(now, road, message),
            "SUBSCRIBE" => self.watch(now, road, &message),
            "OPTIONS" if message::user_of(message.uri()).is_empty() => {
                let response = Message::response(&message, 200).with("Allow", ALLOWED);
                self.respond(now, road, &message, response);
            }
            _ => self.set_up(now, road, message),
        }
    }

    /// Answers, remembers the answer for when the request comes again, and repeats what must be acknowledged.
    fn respond(&mut self, now: Instant, road: Road, request: &Message, mut response: Message) {
        if request.to_tag().is_none()
            && response.code() != Some(100)
            && response.to_tag().is_none()
            && let Some(to) = response.header("To")
        {
            let tagged = format!("{to};tag={:08x}", self.random.next_u32());
            response.set("To", tagged);
        }
        let bytes = response.bytes();
        self.remember(now, request, bytes.clone());
        if request.method() == "INVITE" && response.code().is_some_and(|code| code >= 300) {
            self.repeat(now, format!("final {}", request.branch()), road, bytes.clone(), T2);
        }
        self.put(now, road, bytes);
    }

    fn remember(&mut self, now: Instant, request: &Message, bytes: Vec<u8>) {
        let until = now + REMEMBERED;
        self.answered.insert(transaction(request), Answered { bytes, until });
    }

    fn refuse(&mut self, now: Instant, road: Road, request: &Message, code: u16) {
        self.respond(now, road, request, Message::response(request, code));
    }

    /// Sends `bytes` again with growing pauses until [`Operator::delivered`] (timers A, E and G). Not over TCP.
    fn repeat(&mut self, now: Instant, key: String, road: Road, bytes: Vec<u8>, slowest: Duration) {
        if matches!(road, Road::Udp { .. }) {
            let (at, until) = (now + T1, now + REMEMBERED);
            self.resends.push(Resend { key, at, interval: T1, until, road, bytes, slowest });
        }
    }

    fn delivered(&mut self, key: &str) {
        self.resends.retain(|one| one.key != key);
    }

    fn answer_wrongly(&mut self, now: Instant, road: Road, request: &Message, wrong: Wrong) {
        let mut response = Message::response(request, 200);
        let bytes = match wrong {
            Wrong::Garbage => b"SIP/9.0 \x00\xff what? \r\n\r\n".to_vec(),
            Wrong::CutOff => response.bytes()[..60].to_vec(),
            Wrong::OtherBranch => {
                let via = response.header("Via").unwrap_or("").replace("z9hG4bK", "z9hG4bKnobody");
                response.set("Via", via);
                response.bytes()
            }
            Wrong::OtherMethod => {
                response.set("CSeq", format!("{} PUBLISH", request.sequence()));
                response.bytes()
            }
            Wrong::NoTag => response.bytes(),
            Wrong::TooLong => String::from_utf8_lossy(&response.bytes())
                .replace("Content-Length: 0", "Content-Length: 999")
                .into(),
        };
        self.put(now, road, bytes);
    }

    /// Lets it work in its own time.
    pub fn poll(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        self.answered.retain(|_, one| one.until > now);
        self.forwarded.retain(|_, one| one.until > now);
        self.resends.retain(|one| one.until > now);
        let mut again = Vec::new();
        for one in &mut self.resends {
            if one.at <= now {
                again.push((one.road, one.bytes.clone()));
                one.interval =
                    Duration::from_micros((one.interval.as_micros() * 2).min(one.slowest.as_micros()));
                one.at = now + one.interval;
            }
        }
        for (road, bytes) in again {
            self.put(now, road, bytes);
        }
        self.poll_forks(now);
        self.poll_calls(now);
        self.poll_media(now, send);
        self.flush(now, send);
    }

    /// When [`Operator::poll`] wants to be called again.
    pub fn next_poll(&self) -> Option<Instant> {
        let resends = self.resends.iter().map(|one| one.at).min();
        let outbox = self.outbox.iter().map(|(at, ..)| *at).min();
        let forks = self.forks.iter().map(|fork| fork.until).min();
        let calls = self.calls.iter().filter_map(service::Call::next_poll).min();
        let backs = self.call_backs.iter().map(|(at, _)| *at).min();
        [resends, outbox, forks, calls, backs].into_iter().flatten().min()
    }

    fn token(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    fn subscriber(&self, number: &str) -> Option<&Subscriber> {
        self.subscribers.iter().find(|one| one.has(number))
    }

    /// Whether the host part of a URI is one of ours.
    fn is_here(&self, uri: &str) -> bool {
        let place = message::host_port_of(uri);
        let host = place.split(':').next().unwrap_or("");
        let domain = &self.settings.domain;
        host.eq_ignore_ascii_case(domain)
            || host.to_ascii_lowercase().ends_with(&format!(".{domain}"))
            || host.parse().is_ok_and(|address| self.owns(address))
    }
}

/// What tells one request from another (section 17.2.3).
fn transaction(request: &Message) -> String {
    let via = request.header("Via").unwrap_or("");
    let by = via.split_whitespace().nth(1).and_then(|rest| rest.split(';').next()).unwrap_or("");
    format!("{} {by} {} {}", request.branch(), request.method(), request.header("Call-ID").unwrap_or(""))
}

/// What tells one contact from another.
fn address_key(uri: &str) -> String {
    format!("{}@{}", message::user_of(uri), message::host_port_of(uri))
}

/// SIP's port.
pub const PORT: u16 = 5060;
/// Messages noted.
pub const NOTES: usize = 20_000;
const FIRST_MEDIA_PORT: u16 = 20_000;
const MOST_ROADS: usize = 10_000;
const ALLOWED: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK, INFO";
/// RFC 3261, section 17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64 times T1.
const REMEMBERED: Duration = Duration::from_secs(32);
