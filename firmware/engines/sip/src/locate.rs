//! Where an account's server is: name to addresses, which of them to use now, which to leave alone for a while.
//!
//! RFC 3263 (NAPTR, then SRV, then A; transport; failover), RFC 2782 (priority and weight), RFC 3403. A literal address or a given port
//! skips what those say to skip. Answers are kept as long as their TTL says, and longer when DNS fails then: an old address is better
//! than none. IPv4 only; `SIPS` and TLS services are passed over until there is TLS.
//!
//! ```text
//!  Auto, no port:   NAPTR ─→ SRV of each service ─→ A of each target
//!                     └ nothing: SRV _sip._udp, SRV _sip._tcp ─→ A …
//!  Udp/Tcp, no port:          SRV _sip._udp|_tcp ─→ A …   └ nothing: A of the name, port 5060
//!  port given:                                       A of the name
//! ```

use core::fmt::Write;
use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::random::Random;
use dialtone_base::{Duration, Instant};
use heapless::{Deque, Vec};

use crate::config::{HostName, TransportChoice};
use crate::interface::{Answer, Record, RecordKind};
use crate::transport::Transport;

#[cfg(test)]
mod tests;

/// One address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub to: SocketAddrV4,
    pub transport: Transport,
}

/// What is known of where to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There.
    At(Target),
    /// DNS is being asked.
    Asking,
    /// Nowhere: DNS has nothing or does not answer, or every address is barred.
    Nowhere,
}

/// Addresses of one server.
const TARGETS: usize = 8;
/// Services and hosts followed for one server.
const STEPS: usize = 12;
/// Records looked at in one answer.
const RECORDS: usize = 16;
const DEFAULT_PORT: u16 = 5060;
/// Bounds of how long an answer is believed.
const SHORTEST_TTL: Duration = Duration::from_secs(30);
const LONGEST_TTL: Duration = Duration::from_secs(86_400);
/// Asked again after a failure: at least this, and as much again at random.
const ASK_AGAIN: Duration = Duration::from_secs(4);

#[derive(Clone, Debug)]
struct Known {
    target: Target,
    /// Not to be used before: it failed.
    barred_until: Option<Instant>,
}

/// A look-up still to be done. Done in the order of the queue, so that better services come first in the result.
#[derive(Clone, Debug)]
struct Step {
    name: HostName,
    kind: RecordKind,
    transport: Option<Transport>,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing asked yet, or it is time to ask again.
    Unasked,
    /// Questions are under way.
    Asking,
    /// Answers are good until then (`None`: for ever, a literal address).
    Resolved(Option<Instant>),
    /// Nothing came of it; asked again then.
    Failed(Instant),
}

/// One account's server.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    host: HostName,
    port: Option<u16>,
    choice: TransportChoice,
    state: State,
    known: Vec<Known, TARGETS>,
    found: Vec<Target, TARGETS>,
    steps: Deque<Step, STEPS>,
    /// The question under way: its name and what it was for. `false`: still to be handed out.
    asked: Option<(u32, Step, bool)>,
    last_question: u32,
    shortest: Duration,
    /// An SRV record named a server: what else DNS does not name is not offered.
    names_services: bool,
    /// An SRV answer came: falling back to the plain address is wrong then.
    service_known: bool,
    /// Some server of DNS did not answer: what is known stays.
    troubled: bool,
}

impl Site {
    pub(crate) fn new(host: &HostName, port: Option<u16>, choice: TransportChoice) -> Self {
        Self {
            host: host.clone(),
            port,
            choice,
            state: State::Unasked,
            known: Vec::new(),
            found: Vec::new(),
            steps: Deque::new(),
            asked: None,
            last_question: 0,
            shortest: LONGEST_TTL,
            names_services: false,
            service_known: false,
            troubled: false,
        }
    }

    /// The best address that is not barred. Starts asking when it is time to.
    pub(crate) fn find(&mut self, now: Instant) -> Found {
        self.refresh(now);
        match self.known.iter().find(|known| known.barred_until.is_none_or(|until| until <= now)) {
            Some(known) => Found::At(known.target),
            None if self.state == State::Asking => Found::Asking,
            None => Found::Nowhere,
        }
    }

    /// As [`Site::find`], but a barred address rather than none: the one whose bar ends first.
    pub(crate) fn find_even_barred(&mut self, now: Instant) -> Found {
        match self.find(now) {
            Found::Nowhere => {
                let best = self.known.iter().min_by_key(|known| known.barred_until);
                best.map_or(Found::Nowhere, |known| Found::At(known.target))
            }
            found => found,
        }
    }

    /// Whether another address could be tried were this one barred.
    pub(crate) fn has_other(&self, now: Instant, target: Target) -> bool {
        self.known
            .iter()
            .any(|known| known.target != target && known.barred_until.is_none_or(|until| until <= now))
    }

    /// Where `target`, reached by datagrams, may take connections: the same host as DNS names it for TCP, else any that it names; the same
    /// port where DNS named no services. Nowhere when people said UDP.
    pub(crate) fn stream_beside(&self, target: Target) -> Option<SocketAddrV4> {
        if self.choice == TransportChoice::Udp {
            return None;
        }
        let streams = || {
            let known = self.known.iter().map(|known| known.target);
            known.filter(|known| known.transport == Transport::Tcp).map(|known| known.to)
        };
        let same = streams().find(|to| to.ip() == target.to.ip());
        same.or_else(|| streams().next()).or((!self.names_services).then_some(target.to))
    }

    /// It failed: leave it alone for that long (RFC 3263 section 4.3).
    pub(crate) fn bar(&mut self, now: Instant, target: Target, length: Duration) {
        for known in self.known.iter_mut().filter(|known| known.target == target) {
            known.barred_until = Some(now + length);
        }
    }

    /// It answered.
    pub(crate) fn unbar(&mut self, target: Target) {
        for known in self.known.iter_mut().filter(|known| known.target == target) {
            known.barred_until = None;
        }
    }

    /// The network is another one: nothing that failed need fail again, and names may lead elsewhere.
    pub(crate) fn forget(&mut self) {
        self.state = State::Unasked;
        self.steps.clear();
        self.asked = None;
        for known in &mut self.known {
            known.barred_until = None;
        }
    }

    /// Whether `address` is one of the server's: calls come from there.
    pub(crate) fn contains(&self, address: Ipv4Addr) -> bool {
        self.known.iter().any(|known| *known.target.to.ip() == address)
    }

    /// The next question for DNS.
    pub(crate) fn poll(&mut self) -> Option<(u32, HostName, RecordKind)> {
        let (id, step, handed_out) = self.asked.as_mut()?;
        if core::mem::replace(handed_out, true) {
            return None;
        }
        Some((*id, step.name.clone(), step.kind))
    }

    /// An answer; `false` when that was not asked. Questions go one after the other, so the order of results is the order of steps.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        question: u32,
        answer: Answer<'_>,
        random: &mut Random,
    ) -> bool {
        let Some((_, step, _)) = self.asked.take_if(|(id, _, handed_out)| *id == question && *handed_out)
        else {
            return false;
        };
        let records = match answer {
            Answer::Records { records, ttl } => {
                self.shortest = self.shortest.min(ttl);
                records.get(..RECORDS.min(records.len())).unwrap_or(&[])
            }
            Answer::Nothing => &[],
            Answer::Failed => {
                self.troubled = true;
                &[]
            }
        };
        match step.kind {
            RecordKind::Naptr => self.services(&step, records),
            RecordKind::Srv => self.servers(&step, records, random),
            RecordKind::A => self.addresses(&step, records),
        }
        self.advance(now, random);
        true
    }

    fn refresh(&mut self, now: Instant) {
        let due = match self.state {
            State::Unasked => true,
            State::Resolved(Some(until)) | State::Failed(until) => until <= now,
            State::Resolved(None) | State::Asking => false,
        };
        if !due {
            return;
        }
        let transport = match self.choice {
            TransportChoice::Auto => None,
            TransportChoice::Udp => Some(Transport::Udp),
            TransportChoice::Tcp => Some(Transport::Tcp),
        };
        let port = self.port.unwrap_or(DEFAULT_PORT);
        if let Ok(address) = self.host.parse::<Ipv4Addr>() {
            let transport = transport.unwrap_or(Transport::Udp);
            let target = Target { to: SocketAddrV4::new(address, port), transport };
            if self.known.first().is_none_or(|known| known.target != target) {
                self.known.clear();
                let _ = self.known.push(Known { target, barred_until: None });
            }
            self.state = State::Resolved(None);
            return;
        }
        if self.host.is_empty() {
            self.state = State::Resolved(None);
            return;
        }
        self.found.clear();
        self.steps.clear();
        self.shortest = LONGEST_TTL;
        self.service_known = false;
        self.names_services = false;
        self.troubled = false;
        let name = self.host.clone();
        match (self.port, transport) {
            (Some(_), _) => self.step(name, RecordKind::A, transport, port),
            (None, None) => self.step(name, RecordKind::Naptr, None, port),
            (None, Some(transport)) => self.ask_service(&name, transport),
        }
        self.state = State::Asking;
        self.next_question();
    }

    fn step(&mut self, name: HostName, kind: RecordKind, transport: Option<Transport>, port: u16) {
        // More services than that are not followed: the better ones came first.
        let _ = self.steps.push_back(Step { name, kind, transport, port });
    }

    fn ask_service(&mut self, domain: &HostName, transport: Transport) {
        let mut name = HostName::new();
        let prefix = match transport {
            Transport::Udp => "_sip._udp.",
            Transport::Tcp => "_sip._tcp.",
        };
        let _ = write!(name, "{prefix}{domain}");
        self.step(name, RecordKind::Srv, Some(transport), DEFAULT_PORT);
    }

    /// RFC 3263 section 4.1: services in the order of the records, those we do not speak left out.
    fn services(&mut self, step: &Step, records: &[Record]) {
        let mut services: Vec<(u16, u16, &HostName, Transport), RECORDS> = Vec::new();
        for record in records {
            let Record::Naptr { order, preference, flags, service, replacement } = record else { continue };
            let transport = if service.eq_ignore_ascii_case("SIP+D2U") {
                Transport::Udp
            } else if service.eq_ignore_ascii_case("SIP+D2T") {
                Transport::Tcp
            } else {
                continue;
            };
            if flags.eq_ignore_ascii_case("s") {
                let _ = services.push((*order, *preference, replacement, transport));
            }
        }
        services.sort_unstable_by_key(|(order, preference, ..)| (*order, *preference));
        if services.is_empty() {
            self.ask_service(&step.name, Transport::Udp);
            self.ask_service(&step.name, Transport::Tcp);
        }
        for (_, _, name, transport) in services {
            self.step(name.clone(), RecordKind::Srv, Some(transport), DEFAULT_PORT);
        }
    }

    /// RFC 2782: by priority; within one, each next drawn by weight.
    fn servers(&mut self, step: &Step, records: &[Record], random: &mut Random) {
        let mut left: Vec<(u16, u16, u16, &HostName), RECORDS> = Vec::new();
        for record in records {
            if let Record::Srv { priority, weight, port, target } = record {
                self.service_known = true;
                if !target.is_empty() && target.as_str() != "." {
                    self.names_services = true;
                    let _ = left.push((*priority, *weight, *port, target));
                }
            }
        }
        // Targets go before the services still to be asked: they belong to a better one.
        let mut later: Vec<Step, STEPS> = Vec::new();
        while let Some(step) = self.steps.pop_front() {
            let _ = later.push(step);
        }
        while let Some(lowest) = left.iter().map(|(priority, ..)| *priority).min() {
            let total: u32 =
                left.iter().filter(|entry| entry.0 == lowest).map(|entry| u32::from(entry.1)).sum();
            let mut drawn = random.below(total.saturating_add(1));
            let mut chosen = 0;
            for (index, (_, weight, ..)) in left.iter().enumerate().filter(|(_, entry)| entry.0 == lowest) {
                chosen = index;
                if u32::from(*weight) >= drawn && (*weight > 0 || total == 0 || drawn == 0) {
                    break;
                }
                drawn = drawn.saturating_sub(u32::from(*weight));
            }
            let (_, _, port, target) = left.remove(chosen);
            self.step(target.clone(), RecordKind::A, step.transport, port);
        }
        for step in later {
            let _ = self.steps.push_back(step);
        }
    }

    fn addresses(&mut self, step: &Step, records: &[Record]) {
        for record in records {
            let Record::A(address) = record else { continue };
            let transport = step.transport.unwrap_or(Transport::Udp);
            let target = Target { to: SocketAddrV4::new(*address, step.port), transport };
            if !self.found.contains(&target) {
                let _ = self.found.push(target);
            }
        }
    }

    fn next_question(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            self.last_question = self.last_question.wrapping_add(1) & 0x00ff_ffff;
            self.asked = Some((self.last_question, step, false));
        }
    }

    fn advance(&mut self, now: Instant, random: &mut Random) {
        if self.steps.is_empty() && self.found.is_empty() && !self.service_known && self.port.is_none() {
            // No service anywhere: the plain name (section 4.2), once.
            self.service_known = true;
            let transport = match self.choice {
                TransportChoice::Tcp => Transport::Tcp,
                _ => Transport::Udp,
            };
            let name = self.host.clone();
            self.step(name, RecordKind::A, Some(transport), DEFAULT_PORT);
        }
        self.next_question();
        if self.asked.is_some() {
            return;
        }
        if self.found.is_empty() {
            if !self.troubled {
                self.known.clear();
            }
            let spread = random.below(ASK_AGAIN.as_millis() as u32);
            self.state = State::Failed(now + ASK_AGAIN + Duration::from_millis(u64::from(spread)));
            return;
        }
        let mut known: Vec<Known, TARGETS> = Vec::new();
        for target in &self.found {
            let before = self.known.iter().find(|known| known.target == *target);
            let barred_until = before.and_then(|known| known.barred_until);
            let _ = known.push(Known { target: *target, barred_until });
        }
        self.known = known;
        let ttl = self.shortest.clamp(SHORTEST_TTL, LONGEST_TTL);
        self.state = State::Resolved(Some(now + ttl));
    }
}
