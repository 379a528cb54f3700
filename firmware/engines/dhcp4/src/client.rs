//! The client: gets the router an address from the operator, and keeps it.
//!
//! RFC 2131 section 4.4 with its states; RFC 5227 in short form (the owner is asked to probe an address before it is
//! used); RFC 3442 (a default route among classless routes beats option 3). A lost link costs nothing: when it comes
//! back the old address is asked for first (INIT-REBOOT).
//!
//! ```text
//!  Down ──link──▶ Init ─▶ Selecting ──OFFER──▶ Requesting ──ACK──▶ Checking ──silence──▶ Bound
//!   │              ▲          ▲   no answer │      │ NAK              │ in use: DECLINE    │ T1
//!   │              └──────────┴─────────────┴──────┴──── 10 s ────────┘                   ▼
//!   └─link, lease known─▶ InitReboot ─▶ Rebooting ──ACK──▶ Checking        Renewing ─T2─▶ Rebinding ─▶ Init
//! ```
//!
//! Does not: collect several offers (the first usable one wins), keep leases over a restart of the router by itself
//! (give it [`Client::remember`]), use authentication.

mod binding;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, MacAddress, Random, Seed, counted_reasons};
use heapless::{Deque, Vec};

use crate::message::{Header, Message, MessageType, Writer, code};
pub use binding::{Binding, DOMAIN_SERVERS};

/// Waiting times of DISCOVER and REQUEST, each ± 1 s (RFC 2131 section 4.1).
const BACKOFF: [u64; 5] = [4, 8, 16, 32, 64];
/// REQUESTs for one offer before starting over.
const REQUEST_TRIES: u8 = 4;
/// REQUESTs for the old address before asking for any.
const REBOOT_TRIES: u8 = 2;
/// How long an address is probed before use, in two probes.
const CHECK_TIME: Duration = Duration::from_millis(1_000);
const CHECK_STEP: Duration = Duration::from_millis(500);
/// After a DECLINE (RFC 2131 section 3.1 item 5).
const DECLINE_WAIT: Duration = Duration::from_secs(10);
/// Renewals are not repeated faster than this (RFC 2131 section 4.4.5), unless the lease is very short.
const RENEW_FLOOR: Duration = Duration::from_secs(60);
/// Option 57: an ordinary Ethernet packet.
const MAX_SIZE: u16 = 1500;

const PARAMETERS: [u8; 11] = [
    code::SUBNET_MASK,
    // RFC 3442: classless routes are asked for before the router.
    code::CLASSLESS_ROUTES,
    code::ROUTER,
    code::NAME_SERVERS,
    code::DOMAIN_NAME,
    code::MTU,
    code::BROADCAST,
    code::TIME_SERVERS,
    code::LEASE_TIME,
    code::RENEWAL,
    code::REBINDING,
];

counted_reasons! {
    /// Why a message was of no use.
    pub enum Rejected {
        /// Peer: not a DHCP message, or an option is broken.
        Malformed = "malformed",
        /// Not an answer to us: another transaction, another station, or a client's message.
        NotForUs = "not-for-us",
        /// Peer: a server without a server id, or another one than we asked.
        WrongServer = "wrong-server",
        /// Peer: the address, mask or lease time it gives cannot be used.
        Unusable = "unusable",
        /// Wrong state: nothing of that kind is expected now.
        Unexpected = "unexpected",
        /// Wrong state: the owner handed in an input before draining the last one's output.
        NotDrained = "not-drained",
        /// The owner's buffer is too small for any message.
        BufferTooSmall = "buffer-too-small",
    }
}

/// What is fixed about the client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The WAN port's address.
    pub mac: MacAddress,
    /// Option 12; not sent when empty.
    pub host_name: Text<63>,
    /// Option 60; not sent when empty.
    pub vendor_class: Text<32>,
    /// The first message waits a random part of this (RFC 2131 section 4.4.1 says up to 10 s; routers start alone,
    /// one second avoids most collisions after a power cut).
    pub start_delay: Duration,
    /// Ask servers to broadcast their answers: only for hosts that cannot receive unicast before they have an address.
    pub broadcast: bool,
}

impl ClientConfig {
    /// The usual for a router.
    pub fn new(mac: MacAddress) -> Self {
        Self {
            mac,
            host_name: Text::lossy("dialtone"),
            vendor_class: Text::lossy("dialtone"),
            start_delay: Duration::from_secs(1),
            broadcast: false,
        }
    }
}

/// What the client is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The link is up, or down.
    Link(bool),
    /// A UDP payload that arrived at port 68.
    Packet(&'a [u8]),
    /// A station answered the probe for `address`.
    ProbeAnswered {
        /// The address in use.
        address: Ipv4Addr,
        /// Who answered.
        mac: MacAddress,
    },
    /// Give the address back and stay quiet until [`Input::Start`].
    Release,
    /// Begin again, from INIT, as soon as there is a link.
    Start,
}

/// What the client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `length` bytes of the buffer from port 68 to port 67.
    Transmit {
        /// Bytes used.
        length: usize,
        /// Source address; 0.0.0.0 before there is one.
        from: Ipv4Addr,
        /// Destination; 255.255.255.255 to every station.
        to: Ipv4Addr,
    },
    /// Something the owner acts on.
    Event(ClientEvent),
    /// Nothing to do before that moment, or before the next input.
    Wait(Option<Instant>),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// Ask by ARP whether anybody uses the address, and report answers.
    Probe {
        /// The address.
        address: Ipv4Addr,
    },
    /// The address may be used, or was renewed.
    Bound {
        /// All the server said.
        binding: Binding,
        /// The address was in use all the time; parameters may have changed.
        renewed: bool,
    },
    /// The address must no longer be used.
    Lost(LostReason),
    /// Somebody else uses the address; it was declined.
    Conflict {
        /// The address.
        address: Ipv4Addr,
        /// Who uses it.
        mac: MacAddress,
    },
}

/// Why the address is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// No link.
    Link,
    /// The server took it back (NAK).
    Refused,
    /// Nobody renewed it in time.
    Expired,
    /// Given back.
    Released,
}

impl LostReason {
    /// In a few words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "no link",
            Self::Refused => "the operator's server took the address back",
            Self::Expired => "the lease ran out and nobody renewed it",
            Self::Released => "address given back",
        }
    }
}

/// The states of RFC 2131 figure 5, two of our own before them, and the probe between ACK and use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No link.
    Down,
    /// Released: waits for [`Input::Start`].
    Stopped,
    /// INIT: about to send the first DISCOVER.
    Init,
    /// SELECTING: DISCOVER sent so many times.
    Selecting(u8),
    /// REQUESTING: REQUEST sent so many times.
    Requesting(Offer, u8),
    /// Between ACK and BOUND: the address is being probed, so many times.
    Checking(u8),
    /// BOUND.
    Bound,
    /// RENEWING: unicast to the server.
    Renewing,
    /// REBINDING: broadcast to any server.
    Rebinding,
    /// INIT-REBOOT: about to ask for the old address.
    InitReboot,
    /// REBOOTING: REQUEST sent so many times.
    Rebooting(u8),
}

/// What a server offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The address.
    pub address: Ipv4Addr,
    /// The server's id.
    pub server: Ipv4Addr,
}

/// A binding with its times.
#[derive(Clone, Debug)]
struct Lease {
    binding: Binding,
    renew: Instant,
    rebind: Instant,
    /// `None` for an infinite lease.
    end: Option<Instant>,
}

/// What to send next, as a plan for `poll`.
#[derive(Clone, Copy, Debug)]
enum Send {
    Discover,
    Select(Offer),
    Reboot(Ipv4Addr),
    Renew { unicast: bool },
    Decline(Offer),
    Release,
}

/// A DHCP client for one interface.
pub struct Client {
    config: ClientConfig,
    state: State,
    link: bool,
    /// When the state does its next step.
    next: Option<Instant>,
    lease: Option<Lease>,
    /// The owner was told [`ClientEvent::Bound`] and not yet [`ClientEvent::Lost`].
    in_use: bool,
    transaction: u32,
    began: Instant,
    /// When the last REQUEST left: leases count from there.
    asked: Instant,
    refusals: u8,
    sends: Deque<Send, 4>,
    events: Deque<ClientEvent, 4>,
    counters: Counters<Rejected, { Rejected::COUNT }>,
    random: Random,
}

impl Client {
    /// A client without link.
    pub fn new(config: ClientConfig, seed: Seed) -> Self {
        Self {
            config,
            state: State::Down,
            link: false,
            next: None,
            lease: None,
            in_use: false,
            transaction: 0,
            began: Instant::START,
            asked: Instant::START,
            refusals: 0,
            sends: Deque::new(),
            events: Deque::new(),
            counters: Counters::new(),
            random: Random::new(seed),
        }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The address in use with all that came with it.
    pub fn binding(&self) -> Option<&Binding> {
        self.lease.as_ref().filter(|_| self.in_use).map(|lease| &lease.binding)
    }

    /// When the lease ends; `None` without one, and for an infinite one.
    pub fn lease_end(&self) -> Option<Instant> {
        self.lease.as_ref().and_then(|lease| lease.end)
    }

    /// Every rejection with its count.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }

    /// Changes option 12; the next message carries it.
    pub fn set_host_name(&mut self, host_name: Text<63>) {
        self.config.host_name = host_name;
    }

    /// A binding from before a restart, asked for again with INIT-REBOOT once the link is up.
    pub fn remember(&mut self, now: Instant, binding: Binding) {
        if self.state == State::Down && self.lease.is_none() {
            self.lease = Some(Lease::starting(binding, now));
        }
    }

    /// One input. An `Err` is counted and changes nothing.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = if self.sends.len() > 1 || self.events.len() > 1 {
            Err(Rejected::NotDrained)
        } else {
            match input {
                Input::Link(up) => self.link(now, up),
                Input::Packet(bytes) => self.packet(now, bytes),
                Input::ProbeAnswered { address, mac } => self.probe_answered(now, address, mac),
                Input::Release => self.release(),
                Input::Start => {
                    self.lose(LostReason::Released);
                    self.lease = None;
                    self.state = State::Down;
                    self.next = None;
                    self.link(now, self.link)
                }
            }
        };
        if let Err(reason) = result {
            self.counters.count(reason);
        }
        result
    }

    /// Call until [`Output::Wait`]; only then handle the next input. `out` should hold 576 bytes.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        loop {
            if let Some(send) = self.sends.pop_front() {
                match self.emit(now, send, out) {
                    Some(output) => return output,
                    None => {
                        self.counters.count(Rejected::BufferTooSmall);
                        continue;
                    }
                }
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            match self.next {
                Some(next) if next <= now => self.step(now),
                next => return Output::Wait(next),
            }
        }
    }

    fn link(&mut self, now: Instant, up: bool) -> Result<(), Rejected> {
        self.link = up;
        match (up, &self.state) {
            (true, State::Down) => {
                let over = |lease: &Lease| lease.end.is_some_and(|end| end <= now);
                if self.lease.as_ref().is_some_and(|lease| !over(lease)) {
                    self.begin(now);
                    let delay = self.random_delay();
                    self.enter(State::InitReboot, now + delay);
                } else {
                    self.lease = None;
                    let delay = self.random_delay();
                    self.start(now, delay);
                }
            }
            (false, State::Down) | (true, _) => {}
            (false, State::Stopped) => self.lease = None,
            (false, state) => {
                // An address that was not yet found free is not worth remembering.
                if matches!(state, State::Checking(_)) && !self.in_use {
                    self.lease = None;
                }
                self.lose(LostReason::Link);
                self.state = State::Down;
                self.next = None;
                self.sends.clear();
            }
        }
        Ok(())
    }

    fn packet(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Rejected> {
        let message = Message::parse(bytes).map_err(|_| Rejected::Malformed)?;
        let header = &message.header;
        if !header.reply || header.transaction != self.transaction || header.mac != self.config.mac {
            return Err(Rejected::NotForUs);
        }
        match message.kind {
            MessageType::Offer => self.offered(now, &message),
            MessageType::Ack => self.acknowledged(now, &message),
            MessageType::Nak => self.refused(now, &message),
            _ => Err(Rejected::NotForUs),
        }
    }

    fn offered(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Rejected> {
        if !matches!(self.state, State::Selecting(_)) {
            return Err(Rejected::Unexpected);
        }
        let binding = Binding::from_message(message)?;
        let offer = Offer { address: binding.address.address(), server: binding.server };
        self.send(Send::Select(offer));
        self.asked = now;
        let wait = self.backoff(0);
        self.enter(State::Requesting(offer, 1), now + wait);
        Ok(())
    }

    fn acknowledged(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Rejected> {
        let renewing = match &self.state {
            State::Requesting(offer, _) => {
                if message.address(code::SERVER_ID) != Some(offer.server) {
                    return Err(Rejected::WrongServer);
                }
                false
            }
            State::Rebooting(_) => false,
            State::Renewing | State::Rebinding => true,
            _ => return Err(Rejected::Unexpected),
        };
        let binding = Binding::from_message(message)?;
        let old = self.lease.as_ref().map(|lease| lease.binding.address);
        let same = old == Some(binding.address);
        let lease = Lease::starting(binding.clone(), self.asked.min(now));
        let renew = lease.renew;
        self.refusals = 0;
        if renewing && same {
            self.lease = Some(lease);
            self.enter(State::Bound, renew.max(now));
            self.event(ClientEvent::Bound { binding, renewed: true });
            return Ok(());
        }
        // A server that renews with another address gives a new one, to be probed first.
        self.lose(LostReason::Refused);
        self.lease = Some(lease);
        self.event(ClientEvent::Probe { address: binding.address.address() });
        self.enter(State::Checking(1), now + CHECK_STEP);
        Ok(())
    }

    fn refused(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Rejected> {
        match &self.state {
            State::Requesting(offer, _) if message.address(code::SERVER_ID) != Some(offer.server) => {
                return Err(Rejected::WrongServer);
            }
            State::Requesting(..) | State::Rebooting(_) | State::Renewing | State::Rebinding => {}
            _ => return Err(Rejected::Unexpected),
        }
        self.lose(LostReason::Refused);
        self.lease = None;
        // The first time at once, then slower, for a server that keeps offering what it refuses.
        let wait = match self.refusals {
            0 => Duration::ZERO,
            more => self.backoff(more - 1),
        };
        self.refusals = self.refusals.saturating_add(1);
        self.start(now, wait);
        Ok(())
    }

    fn probe_answered(&mut self, now: Instant, address: Ipv4Addr, mac: MacAddress) -> Result<(), Rejected> {
        let checked = self.lease.as_ref().filter(|_| matches!(self.state, State::Checking(_)));
        let Some(lease) = checked.filter(|lease| lease.binding.address.address() == address) else {
            return Err(Rejected::Unexpected);
        };
        if mac == self.config.mac {
            return Err(Rejected::NotForUs);
        }
        let server = lease.binding.server;
        self.send(Send::Decline(Offer { address, server }));
        self.event(ClientEvent::Conflict { address, mac });
        self.lease = None;
        self.start(now, DECLINE_WAIT);
        Ok(())
    }

    fn release(&mut self) -> Result<(), Rejected> {
        match self.state {
            State::Bound | State::Renewing | State::Rebinding => {
                self.transaction = self.random.next_u32();
                self.send(Send::Release);
                self.lose(LostReason::Released);
            }
            _ => self.lease = None,
        }
        self.state = State::Stopped;
        self.next = None;
        Ok(())
    }

    /// The state's time has come.
    fn step(&mut self, now: Instant) {
        match self.state.clone() {
            State::Down | State::Stopped => self.next = None,
            State::Init => self.discover(now, 0),
            State::Selecting(tries) => self.discover(now, tries),
            State::Requesting(_, tries) if tries >= REQUEST_TRIES => self.start(now, Duration::ZERO),
            State::Requesting(offer, tries) => {
                self.send(Send::Select(offer));
                let wait = self.backoff(tries);
                self.enter(State::Requesting(offer, tries + 1), now + wait);
            }
            State::Checking(step) => self.check(now, step),
            State::Bound => self.ask_again(now, true),
            State::Renewing | State::Rebinding => self.keep_asking(now),
            State::InitReboot => self.reboot(now, 0),
            State::Rebooting(tries) if tries >= REBOOT_TRIES => {
                self.lease = None;
                self.start(now, Duration::ZERO);
            }
            State::Rebooting(tries) => self.reboot(now, tries),
        }
    }

    fn discover(&mut self, now: Instant, tries: u8) {
        self.send(Send::Discover);
        let wait = self.backoff(tries);
        self.enter(State::Selecting(tries.saturating_add(1)), now + wait);
    }

    fn reboot(&mut self, now: Instant, tries: u8) {
        let Some(lease) = &self.lease else { return self.start(now, Duration::ZERO) };
        self.send(Send::Reboot(lease.binding.address.address()));
        self.asked = now;
        let wait = self.backoff(tries);
        self.enter(State::Rebooting(tries + 1), now + wait);
    }

    fn check(&mut self, now: Instant, step: u8) {
        let Some(lease) = &self.lease else { return self.start(now, Duration::ZERO) };
        let binding = lease.binding.clone();
        if CHECK_STEP.scaled(step as u64, 1) < CHECK_TIME {
            self.event(ClientEvent::Probe { address: binding.address.address() });
            self.enter(State::Checking(step + 1), now + CHECK_STEP);
        } else {
            let renew = lease.renew.max(now);
            self.in_use = true;
            self.enter(State::Bound, renew);
            self.event(ClientEvent::Bound { binding, renewed: false });
        }
    }

    /// RFC 2131 section 4.4.5: from BOUND into RENEWING at T1, into REBINDING at T2.
    fn ask_again(&mut self, now: Instant, first: bool) {
        let Some(lease) = &self.lease else { return self.start(now, Duration::ZERO) };
        let Some(end) = lease.end else {
            // Infinite: never asked for again.
            self.next = None;
            return;
        };
        let unicast = now < lease.rebind;
        let until = if unicast { lease.rebind } else { end };
        let floor = (end - lease.renew).scaled(1, 16).min(RENEW_FLOOR).max(Duration::from_secs(1));
        let wait = (until - now).scaled(1, 2).max(floor);
        if first {
            self.begin(now);
        }
        self.send(Send::Renew { unicast });
        self.asked = now;
        let state = if unicast { State::Renewing } else { State::Rebinding };
        self.enter(state, (now + wait).min(until));
    }

    fn keep_asking(&mut self, now: Instant) {
        let over = self.lease.as_ref().is_none_or(|lease| lease.end.is_some_and(|end| end <= now));
        if over {
            self.lose(LostReason::Expired);
            self.lease = None;
            self.start(now, Duration::ZERO);
        } else {
            self.ask_again(now, false);
        }
    }

    fn start(&mut self, now: Instant, delay: Duration) {
        self.begin(now);
        self.enter(State::Init, now + delay);
    }

    /// A new transaction.
    fn begin(&mut self, now: Instant) {
        self.transaction = self.random.next_u32();
        self.began = now;
    }

    fn enter(&mut self, state: State, next: Instant) {
        self.state = state;
        self.next = Some(next);
    }

    fn lose(&mut self, reason: LostReason) {
        if core::mem::take(&mut self.in_use) {
            self.event(ClientEvent::Lost(reason));
        }
    }

    fn random_delay(&mut self) -> Duration {
        let limit = u32::try_from(self.config.start_delay.as_micros()).unwrap_or(u32::MAX);
        Duration::from_micros(self.random.below(limit) as u64)
    }

    fn backoff(&mut self, tries: u8) -> Duration {
        let seconds = BACKOFF.get(tries as usize).or(BACKOFF.last()).copied().unwrap_or(64);
        Duration::from_millis(seconds * 1_000 - 1_000 + self.random.below(2_001) as u64)
    }

    fn send(&mut self, send: Send) {
        // One step plans one message, and the owner drains after each.
        let _ = self.sends.push_back(send);
    }

    fn event(&mut self, event: ClientEvent) {
        // One step makes at most two events, and the owner drains after each.
        let _ = self.events.push_back(event);
    }

    /// RFC 2131 section 4.4.1 table 5: what goes into which message.
    fn emit(&self, now: Instant, send: Send, out: &mut [u8]) -> Option<Output> {
        let own = self.lease.as_ref().map(|lease| (lease.binding.address.address(), lease.binding.server));
        let (own, lessor) = own.unwrap_or((Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
        let nobody = Ipv4Addr::UNSPECIFIED;
        let (kind, client, from, to) = match send {
            Send::Discover => (MessageType::Discover, nobody, nobody, Ipv4Addr::BROADCAST),
            Send::Select(_) | Send::Reboot(_) => (MessageType::Request, nobody, nobody, Ipv4Addr::BROADCAST),
            Send::Renew { unicast: true } => (MessageType::Request, own, own, lessor),
            Send::Renew { unicast: false } => (MessageType::Request, own, own, Ipv4Addr::BROADCAST),
            Send::Decline(_) => (MessageType::Decline, nobody, nobody, Ipv4Addr::BROADCAST),
            Send::Release => (MessageType::Release, own, own, lessor),
        };
        let header = Header {
            reply: false,
            transaction: self.transaction,
            seconds: u16::try_from((now - self.began).as_secs()).unwrap_or(u16::MAX),
            broadcast: self.config.broadcast && from == nobody,
            client,
            yours: nobody,
            relay: nobody,
            mac: self.config.mac,
        };
        let mut writer = Writer::new(out, crate::message::SAFE, &header, kind)?;
        let mut id: Vec<u8, 7> = Vec::new();
        // Hardware type and address: seven bytes.
        let _ = id.push(1);
        let _ = id.extend_from_slice(&self.config.mac.0);
        writer.option(code::CLIENT_ID, &id);
        match send {
            Send::Select(offer) | Send::Decline(offer) => {
                writer.option(code::REQUESTED_ADDRESS, &offer.address.octets());
                writer.option(code::SERVER_ID, &offer.server.octets());
            }
            Send::Reboot(address) => {
                writer.option(code::REQUESTED_ADDRESS, &address.octets());
            }
            Send::Release => {
                writer.option(code::SERVER_ID, &lessor.octets());
            }
            Send::Discover | Send::Renew { .. } => {}
        }
        if matches!(kind, MessageType::Discover | MessageType::Request) {
            writer.option(code::MAX_SIZE, &MAX_SIZE.to_be_bytes());
            writer.option(code::PARAMETER_LIST, &PARAMETERS);
            for (code, text) in [
                (code::VENDOR_CLASS, self.config.vendor_class.as_str()),
                (code::HOST_NAME, &self.config.host_name),
            ] {
                if !text.is_empty() {
                    writer.option(code, text.as_bytes());
                }
            }
        }
        Some(Output::Transmit { length: writer.finish(), from, to })
    }
}

impl Lease {
    fn starting(binding: Binding, at: Instant) -> Self {
        let seconds = |value: u32| at + Duration::from_secs(value as u64);
        let end = (binding.lease != u32::MAX).then(|| seconds(binding.lease));
        Self { renew: seconds(binding.renew), rebind: seconds(binding.rebind), end, binding }
    }
}
