//! The engine: questions and answers in; answers, questions, releases, events out.
//!
//! [`Forwarder::handle`] takes one input and never sends; [`Forwarder::poll`] is called until it says
//! [`Output::Wait`], only then comes the next input. The service owns sockets: it opens one on a random port for each
//! [`Output::Ask`] and closes it at [`Output::Release`]. The random id is the engine's.

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::event::Event;
use dialtone_base::{Duration, Instant, Random, Seed};
use heapless::Deque;

use crate::cache::{Cache, Freshness, Key};
use crate::config::{Config, Limits};
use crate::in_flight::{InFlight, NoRoom, Token};
use crate::interface::{Client, Input, Output, Rejected, Served, Snapshot, Transport, UpstreamState};
use crate::local::{FIXED_TTL, HOME_TTL, LocalNames, Verdict};
use crate::message::{CLASS_IN, HEADER, Query, Question, flag, kind, put_u16, rcode, u16_at};
use crate::reply::{Reply, format_error};
use crate::upstream::Upstreams;
use crate::{LONGEST_MESSAGE, name};

/// The DNS forwarder of one router.
pub struct Forwarder {
    pub(crate) config: Config,
    pub(crate) query_bytes: usize,
    pub(crate) cache: Cache,
    pub(crate) secret: [u64; 2],
    pub(crate) local: LocalNames,
    pub(crate) upstreams: Upstreams,
    pub(crate) in_flight: InFlight,
    pub(crate) random: Random,
    pub(crate) message: Box<[u8]>,
    pub(crate) length: usize,
    pub(crate) pending: Pending,
    pub(crate) ask: Option<(usize, usize)>,
    pub(crate) released: Option<Token>,
    pub(crate) events: Deque<Event, 8>,
    pub(crate) next_due: Instant,
    pub(crate) event_tokens: u32,
    pub(crate) event_refill: Instant,
    pub(crate) served: Counters<Served, { Served::COUNT }>,
    pub(crate) rejected: Counters<Rejected, { Rejected::COUNT }>,
}

/// What `message` is waiting for.
pub(crate) enum Pending {
    Nothing,
    /// To go to one client as it is.
    Reply(Client),
    /// To go to every waiter of the slot, each with its own id.
    Deliver(usize),
}

/// `NameAnswered` events a second; what is more goes untold, the counters know.
const EVENTS_PER_SECOND: u32 = 20;

impl Forwarder {
    /// Allocates everything it will ever need.
    pub fn new(limits: Limits, config: &Config, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let query_bytes = limits.query_bytes.clamp(512, LONGEST_MESSAGE);
        Self {
            config: config.clone(),
            query_bytes,
            cache: Cache::new(limits.cache_entries, limits.cache_bytes),
            secret: [random.next_u64(), random.next_u64()],
            local: LocalNames::new(config, limits.names),
            upstreams: Upstreams::default(),
            in_flight: InFlight::new(limits.in_flight, limits.waiters, limits.per_client, query_bytes),
            random,
            message: vec![0; LONGEST_MESSAGE].into_boxed_slice(),
            length: 0,
            pending: Pending::Nothing,
            ask: None,
            released: None,
            events: Deque::new(),
            next_due: Instant::START,
            event_tokens: EVENTS_PER_SECOND,
            event_refill: Instant::START,
            served: Counters::new(),
            rejected: Counters::new(),
        }
    }

    /// Takes one input. Afterwards [`Forwarder::poll`] until it says wait.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = if self.is_drained() { self.take(now, input) } else { Err(Rejected::NotDrained) };
        if let Err(rejected) = result {
            self.rejected.count(rejected);
        }
        result
    }

    /// The next thing to do. `out` should hold [`LONGEST_MESSAGE`] bytes; a longer answer goes out truncated.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        loop {
            match self.pending {
                Pending::Nothing => {}
                Pending::Reply(client) => {
                    self.pending = Pending::Nothing;
                    let length = self.copy_out(out, None);
                    return Output::Reply { client, length };
                }
                Pending::Deliver(slot) => {
                    if let Some(output) = self.deliver(now, slot, out) {
                        return output;
                    }
                }
            }
            if let Some(token) = self.released.take() {
                return Output::Release { token };
            }
            let asked = self.ask.take().and_then(|(slot, attempt)| self.emit(slot, attempt, out));
            if let Some(output) = asked {
                return output;
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            if now < self.next_due {
                return Output::Wait(self.wake_at());
            }
            if let Some(slot) = self.in_flight.due(now) {
                self.time_out(now, slot);
            } else if let Some(server) = self.upstreams.probe_due(now) {
                self.probe(now, server);
            } else {
                self.plan();
                return Output::Wait(self.wake_at());
            }
        }
    }

    /// Counters and fill.
    pub fn snapshot(&self) -> Snapshot {
        let state = |server: &crate::upstream::Upstream| UpstreamState {
            address: server.address,
            healthy: !server.dead,
            round_trip: Duration::from_micros(server.round_trip),
        };
        Snapshot {
            served: self.served.clone(),
            rejected: self.rejected.clone(),
            cached: self.cache.len(),
            evicted: self.cache.evicted(),
            in_flight: self.in_flight.len(),
            waiting: self.in_flight.waiting(),
            upstreams: self.upstreams.iter().map(state).collect(),
        }
    }

    fn is_drained(&self) -> bool {
        matches!(self.pending, Pending::Nothing) && self.ask.is_none() && self.released.is_none()
    }

    fn take(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        match input {
            Input::Query { client, bytes } => {
                self.served.count(Served::Queries);
                self.query(now, client, bytes)
            }
            Input::Answer { token, from, bytes } => self.answer(now, token, from, bytes),
            Input::Failed { token, fault } => self.failed(now, token, fault),
            Input::Upstreams(servers) => {
                let refused = self.upstreams.set(servers);
                if self.upstreams.is_empty() {
                    self.in_flight.expire_all(now);
                }
                self.next_due = Instant::START;
                if refused > 0 { Err(Rejected::TooMany) } else { Ok(()) }
            }
            Input::Names(names) => {
                if self.local.set_devices(names) > 0 {
                    Err(Rejected::TooMany)
                } else {
                    Ok(())
                }
            }
            Input::Configure(config) => {
                if *config != self.config {
                    self.config = config.clone();
                    self.local.configure(config);
                    self.cache.clear();
                }
                Ok(())
            }
        }
    }

    fn query(&mut self, now: Instant, client: Client, bytes: &[u8]) -> Result<(), Rejected> {
        let flags = u16_at(bytes, 2).ok_or(Rejected::NotAQuery)?;
        if flags & flag::QR != 0 || bytes.len() < HEADER {
            return Err(Rejected::NotAQuery);
        }
        if flags & flag::OPCODE != 0 {
            // RFC 5625 section 4.2: not ours to understand.
            return self.forward(now, client, bytes, None, false);
        }
        let Ok(query) = Query::parse(bytes) else {
            self.length = format_error(&mut self.message, bytes, rcode::FORMERR);
            self.pending = Pending::Reply(client);
            return Err(Rejected::Malformed);
        };
        let Some(question) = query.question else {
            return self.forward(now, client, bytes, None, false);
        };
        if matches!(question.kind, kind::AXFR | kind::IXFR) {
            self.error(client, &query, rcode::REFUSED);
            return Err(Rejected::ZoneTransfer);
        }
        let cacheable = query.edns.is_none_or(|edns| edns.plain);
        if cacheable {
            let key = Key::new(&query, &question, self.secret);
            if let Some((length, freshness)) = self.cache.read(now, &key, &mut self.message) {
                // Stale is good enough at once when nobody is there to ask; probes find out when that ends.
                let usable = freshness == Freshness::Fresh || self.upstreams.all_dead();
                if usable {
                    let fresh = freshness == Freshness::Fresh;
                    self.served.count(if fresh { Served::CacheHits } else { Served::Stale });
                    self.reply_cached(now, client, &query, &question, length);
                    return Ok(());
                }
            }
        }
        if question.class == CLASS_IN && self.answer_locally(now, client, &query, &question) {
            return Ok(());
        }
        self.forward(now, client, bytes, Some((&query, question)), cacheable)
    }

    /// `message` holds an answer of the cache: it becomes this client's.
    pub(crate) fn reply_cached(
        &mut self,
        now: Instant,
        client: Client,
        query: &Query<'_>,
        question: &Question,
        length: usize,
    ) {
        self.length = length;
        put_u16(&mut self.message, 0, query.id);
        self.echo_question(query.bytes, question);
        self.fit(&client, query.udp_limit(), question.end);
        self.pending = Pending::Reply(client);
        self.tell(now, &client, query.bytes, question, true);
    }

    fn answer_locally(
        &mut self,
        now: Instant,
        client: Client,
        query: &Query<'_>,
        question: &Question,
    ) -> bool {
        let folded = name::WireName::folded(query.bytes.get(question.name()).unwrap_or_default());
        let verdict = self.local.judge(folded.as_bytes(), question.kind, client.zone);
        let code = match verdict {
            Verdict::Forward => return false,
            Verdict::NoSuchName(..) => rcode::NXDOMAIN,
            _ => rcode::NOERROR,
        };
        let mut reply = Reply::new(&mut self.message, query, code, true);
        match &verdict {
            Verdict::Forward => {}
            Verdict::Address(address) => reply.answer(kind::A, HOME_TTL, &address.octets()),
            Verdict::Loopback => {
                if question.kind != kind::AAAA {
                    reply.answer(kind::A, FIXED_TTL, &Ipv4Addr::LOCALHOST.octets());
                }
                if question.kind != kind::A {
                    reply.answer(kind::AAAA, FIXED_TTL, &core::net::Ipv6Addr::LOCALHOST.octets());
                }
            }
            Verdict::Pointer(target) => reply.answer(kind::PTR, HOME_TTL, target.as_bytes()),
            Verdict::NoData(zone_at, ttl) | Verdict::NoSuchName(zone_at, ttl) => {
                reply.negative(*zone_at, *ttl)
            }
        }
        self.length = reply.finish(query);
        self.fit(&client, query.udp_limit(), question.end);
        self.pending = Pending::Reply(client);
        self.served.count(Served::Local);
        self.tell(now, &client, query.bytes, question, true);
        true
    }

    fn forward(
        &mut self,
        now: Instant,
        client: Client,
        bytes: &[u8],
        asked: Option<(&Query<'_>, Question)>,
        cacheable: bool,
    ) -> Result<(), Rejected> {
        let tcp = client.transport != Transport::Udp;
        let outcome = self.enlist(now, client, bytes, asked.map(|(_, question)| question), tcp, cacheable);
        if outcome.is_err() {
            match asked {
                Some((query, _)) => self.error(client, query, rcode::SERVFAIL),
                None => {
                    self.length = format_error(&mut self.message, bytes, rcode::SERVFAIL);
                    self.pending = Pending::Reply(client);
                }
            }
        }
        outcome
    }

    fn enlist(
        &mut self,
        now: Instant,
        client: Client,
        bytes: &[u8],
        question: Option<Question>,
        tcp: bool,
        cacheable: bool,
    ) -> Result<(), Rejected> {
        let id = u16_at(bytes, 0).ok_or(Rejected::NotAQuery)?;
        if self.upstreams.is_empty() {
            return Err(Rejected::NoUpstream);
        }
        if bytes.len() > self.query_bytes {
            return Err(Rejected::TooLong);
        }
        if let Some(slot) = self.in_flight.same_question(bytes, tcp) {
            let joined = self.in_flight.wait(slot, client, id).map_err(rejected)?;
            self.served.count(if joined { Served::Coalesced } else { Served::Retransmitted });
            return Ok(());
        }
        self.in_flight.admit(&client).map_err(rejected)?;
        let slot = self.in_flight.open(bytes, question, tcp).map_err(rejected)?;
        if let Some(slot) = self.in_flight.slot_mut(slot) {
            slot.cacheable = cacheable;
        }
        // Room was just made sure of.
        let _ = self.in_flight.wait(slot, client, id);
        self.served.count(Served::Forwarded);
        self.attempt(now, slot, None);
        Ok(())
    }

    fn error(&mut self, client: Client, query: &Query<'_>, code: u16) {
        self.length = Reply::new(&mut self.message, query, code, false).finish(query);
        self.pending = Pending::Reply(client);
    }

    /// The client's own spelling of the name goes back to it.
    pub(crate) fn echo_question(&mut self, asked: &[u8], question: &Question) {
        if let (Some(place), Some(asked)) =
            (self.message.get_mut(question.name()), asked.get(question.name()))
        {
            place.copy_from_slice(asked);
        }
    }

    /// Cut to what the client takes; TCP takes everything.
    fn fit(&mut self, client: &Client, limit: usize, question_end: usize) {
        if client.transport == Transport::Udp {
            self.cut(limit, question_end);
        }
    }

    /// Longer than `limit`: header and question remain, with TC (RFC 2181 section 9: no half record sets).
    pub(crate) fn cut(&mut self, limit: usize, question_end: usize) {
        if self.length <= limit {
            return;
        }
        self.length = question_end;
        let flags = u16_at(&self.message, 2).unwrap_or(0);
        put_u16(&mut self.message, 2, flags | flag::TC);
        for at in [6, 8, 10] {
            put_u16(&mut self.message, at, 0);
        }
        self.served.count(Served::Truncated);
    }

    pub(crate) fn copy_out(&mut self, out: &mut [u8], id: Option<u16>) -> usize {
        if self.length > out.len() {
            let end = Question::parse(&self.message).map_or(HEADER, |question| question.end);
            self.cut(out.len(), end);
        }
        let length = self.length.min(out.len());
        if let (Some(place), Some(message)) = (out.get_mut(..length), self.message.get(..length)) {
            place.copy_from_slice(message);
        }
        if let Some(id) = id {
            put_u16(out, 0, id);
        }
        length
    }

    pub(crate) fn tell(
        &mut self,
        now: Instant,
        client: &Client,
        bytes: &[u8],
        question: &Question,
        cached: bool,
    ) {
        if self.event_tokens == 0 {
            if now.since(self.event_refill) < Duration::from_secs(1) {
                return;
            }
            self.event_tokens = EVENTS_PER_SECOND;
            self.event_refill = now;
        }
        self.event_tokens -= 1;
        let name = name::to_text(bytes.get(question.name()).unwrap_or_default());
        let _ = self.events.push_back(Event::NameAnswered { client: *client.address.ip(), name, cached });
    }

    fn plan(&mut self) {
        let deadline = self.in_flight.next_deadline();
        let probe = self.upstreams.next_probe();
        let next = deadline.into_iter().chain(probe).min();
        self.next_due = next.unwrap_or(NEVER);
    }

    fn wake_at(&self) -> Option<Instant> {
        (self.next_due < NEVER).then_some(self.next_due)
    }
}

const NEVER: Instant = Instant::from_micros(u64::MAX);

fn rejected(no_room: NoRoom) -> Rejected {
    match no_room {
        NoRoom::Questions | NoRoom::Waiters => Rejected::Full,
        NoRoom::Client => Rejected::ClientLimit,
    }
}
