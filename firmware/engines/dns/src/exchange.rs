//! The forwarder's far side: asking servers, judging what they answer, giving up.
//!
//! RFC 5452 section 9 for what counts as an answer, RFC 5625 section 4.5 for what a client hears when there is none.

use core::net::SocketAddrV4;

use dialtone_base::event::Event;
use dialtone_base::{Duration, Instant};

use crate::cache::{self, Key};
use crate::forwarder::{Forwarder, Pending};
use crate::in_flight::{Attempt, State, Token};
use crate::interface::{Fault, Output, Rejected, Served};
use crate::message::{CLASS_IN, HEADER, Query, Question, flag, kind, put_u16, rcode, u16_at};
use crate::reply::{Reply, format_error};
use crate::{name, rebind};

/// Patience with the first, second, third server; together the five seconds stub resolvers wait.
const UDP_PATIENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(2)];
const TCP_PATIENCE: Duration = Duration::from_secs(4);

impl Forwarder {
    /// Puts the slot's question to the next server, or to `server`. `false` when there is none.
    pub(crate) fn attempt(&mut self, now: Instant, index: usize, server: Option<SocketAddrV4>) -> bool {
        let Some(slot) = self.in_flight.slot_mut(index) else { return false };
        let tried = slot.tried();
        let Some(server) = server.or_else(|| self.upstreams.choose(&tried, &mut self.random)) else {
            return false;
        };
        let id = self.random.next_u16();
        let number = slot.attempts.len();
        if slot.attempts.push(Attempt { server, id, sent: now, open: true, held: true }).is_err() {
            return false;
        }
        let patience = match slot.tcp {
            true => TCP_PATIENCE,
            false => UDP_PATIENCE.get(number).copied().unwrap_or(TCP_PATIENCE),
        };
        slot.deadline = now + patience;
        self.next_due = self.next_due.min(slot.deadline);
        self.ask = Some((index, number));
        true
    }

    pub(crate) fn emit(&mut self, index: usize, number: usize, out: &mut [u8]) -> Option<Output> {
        let slot = self.in_flight.slot(index)?;
        let attempt = slot.attempts.get(number)?;
        let query = slot.query();
        out.get_mut(..query.len())?.copy_from_slice(query);
        put_u16(out, 0, attempt.id);
        let token = Token::new(index as u16, number, slot.generation);
        Some(Output::Ask { token, server: attempt.server, tcp: slot.tcp, length: query.len() })
    }

    pub(crate) fn answer(
        &mut self,
        now: Instant,
        token: Token,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Result<(), Rejected> {
        let (slot, attempt) = self.in_flight.attempt(token).ok_or(Rejected::LateAnswer)?;
        if from != attempt.server {
            return Err(Rejected::WrongServer);
        }
        let (Some(id), Some(flags)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else {
            return Err(Rejected::MalformedAnswer);
        };
        if id != attempt.id {
            return Err(Rejected::WrongId);
        }
        let sent_flags = u16_at(slot.query(), 2).unwrap_or(0);
        if flags & flag::QR == 0 || (flags ^ sent_flags) & flag::OPCODE != 0 || bytes.len() < HEADER {
            return Err(Rejected::WrongQuestion);
        }
        let code = flags & flag::RCODE;
        if let Some(question) = slot.question {
            // An error about the message itself may come without the question (FORMERR to EDNS, RFC 6891 section 7).
            let bare = bytes.len() == HEADER && code != rcode::NOERROR && code != rcode::NXDOMAIN;
            if !bare && !same_question(slot.query(), bytes, &question) {
                return Err(Rejected::WrongQuestion);
            }
        }
        let (index, sent, probe) = (token.slot(), attempt.sent, slot.probe);
        if self.upstreams.answered(now, from, sent) {
            let _ = self.events.push_back(Event::Upstream { server: *from.ip(), healthy: true });
        }
        if probe {
            self.finish(index);
            return Ok(());
        }
        if matches!(code, rcode::SERVFAIL | rcode::REFUSED) && self.try_another(now, token) {
            return Ok(());
        }
        self.accept(now, index, flags, bytes)
    }

    /// A server failed: asks another one when there is one left. The failed attempt's socket is released.
    fn try_another(&mut self, now: Instant, token: Token) -> bool {
        let Some(slot) = self.in_flight.slot_mut(token.slot()) else { return false };
        let tried = slot.tried();
        if slot.attempts.is_full() || !self.upstreams.has_untried(&tried) {
            return false;
        }
        slot.refused = true;
        if let Some(attempt) = slot.attempts.get_mut(token.attempt()) {
            attempt.open = false;
            if core::mem::take(&mut attempt.held) {
                self.released = Some(token);
            }
        }
        self.served.count(Served::Retried);
        self.attempt(now, token.slot(), None)
    }

    /// The answer is the right one: it is looked at, kept, and delivered.
    fn accept(&mut self, now: Instant, index: usize, flags: u16, bytes: &[u8]) -> Result<(), Rejected> {
        let Some(slot) = self.in_flight.slot(index) else { return Err(Rejected::LateAnswer) };
        let mut outcome = Ok(());
        let question = slot.question;
        let Some(place) = self.message.get_mut(..bytes.len()) else { return Err(Rejected::MalformedAnswer) };
        place.copy_from_slice(bytes);
        self.length = bytes.len();
        if let Some(question) = question.filter(|_| bytes.len() > HEADER) {
            let folded = name::WireName::folded(slot.query().get(question.name()).unwrap_or_default());
            let looked_at = self.config.rebind_protection
                && question.class == CLASS_IN
                && !self.local.may_lead_inside(folded.as_bytes());
            let inside = rebind::leads_inside(bytes, &question, |address| self.local.is_own(address));
            match inside {
                Err(_) => {
                    // Cut short, or nonsense: with TC the client asks again by TCP, else it is no answer.
                    if flags & flag::TC == 0 {
                        return Err(Rejected::MalformedAnswer);
                    }
                }
                Ok(true) if looked_at => {
                    outcome = Err(Rejected::Rebinding);
                    if let Ok(query) = Query::parse(slot.query()) {
                        self.length =
                            Reply::new(&mut self.message, &query, rcode::NOERROR, false).finish(&query);
                    }
                }
                Ok(_) => {}
            }
            if outcome.is_ok() && slot.cacheable {
                self.keep(now, index, &question, bytes);
            }
        }
        self.deliver_to_all(index, question);
        outcome
    }

    fn keep(&mut self, now: Instant, index: usize, question: &Question, bytes: &[u8]) {
        let Some(slot) = self.in_flight.slot(index) else { return };
        let Some(keep) = cache::keep(bytes, question) else { return };
        let Ok(query) = Query::parse(slot.query()) else { return };
        let key = Key::new(&query, question, self.secret);
        let last = keep.length.saturating_sub(2);
        let length_of_options = u16_at(&self.message, last);
        if keep.cut_options {
            put_u16(&mut self.message, last, 0);
        }
        if let Some(kept) = self.message.get(..keep.length) {
            self.cache.insert(now, &key, kept, keep.ttl);
        }
        if let (true, Some(length)) = (keep.cut_options, length_of_options) {
            put_u16(&mut self.message, last, length);
        }
    }

    /// `message` is the slot's answer, whatever it is: out to everybody who waits.
    fn deliver_to_all(&mut self, index: usize, question: Option<Question>) {
        let slot = self.in_flight.slot(index);
        if let Some((slot, question)) = slot.zip(question.filter(|_| self.length > HEADER)) {
            // Back in the letters the client used: all waiters sent the very same bytes.
            let limit = Query::parse(slot.query()).map_or(512, |query| query.udp_limit());
            let tcp = slot.tcp;
            let asked = slot.query().get(question.name());
            if let (Some(place), Some(asked)) = (self.message.get_mut(question.name()), asked) {
                place.copy_from_slice(asked);
            }
            if !tcp {
                self.cut(limit, question.end);
            }
        }
        self.finish(index);
    }

    fn finish(&mut self, index: usize) {
        if let Some(slot) = self.in_flight.slot_mut(index) {
            slot.state = State::Finishing;
            self.pending = Pending::Deliver(index);
        }
    }

    /// One step of emptying a slot: a waiter, a socket, or its end.
    pub(crate) fn deliver(&mut self, now: Instant, index: usize, out: &mut [u8]) -> Option<Output> {
        if let Some(waiter) = self.in_flight.next_waiter(index) {
            let length = self.copy_out(out, Some(waiter.id));
            self.served.count(Served::Answered);
            if let Some((bytes, question)) = self.question_of(index) {
                self.tell(now, &waiter.client, &bytes, &question, false);
            }
            return Some(Output::Reply { client: waiter.client, length });
        }
        let slot = self.in_flight.slot_mut(index)?;
        let generation = slot.generation;
        let held = slot.attempts.iter_mut().enumerate().find(|(_, attempt)| attempt.held);
        if let Some((number, attempt)) = held {
            attempt.held = false;
            return Some(Output::Release { token: Token::new(index as u16, number, generation) });
        }
        self.in_flight.close(index);
        self.pending = Pending::Nothing;
        None
    }

    fn question_of(&self, index: usize) -> Option<(heapless::Vec<u8, 272>, Question)> {
        let slot = self.in_flight.slot(index)?;
        let question = slot.question?;
        let bytes = heapless::Vec::from_slice(slot.query().get(..question.end)?).ok()?;
        Some((bytes, question))
    }

    pub(crate) fn failed(&mut self, now: Instant, token: Token, fault: Fault) -> Result<(), Rejected> {
        let (_, attempt) = self.in_flight.attempt(token).ok_or(Rejected::LateAnswer)?;
        let (server, sent) = (attempt.server, attempt.sent);
        if let Some(slot) = self.in_flight.slot_mut(token.slot()) {
            if let Some(attempt) = slot.attempts.get_mut(token.attempt()) {
                attempt.open = false;
                attempt.held = false;
            }
            // Others may still answer; without them it is over at once.
            if !slot.attempts.iter().any(|attempt| attempt.open) {
                slot.deadline = now;
                self.next_due = self.next_due.min(now);
            }
        }
        if fault == Fault::Theirs {
            self.note_silence(now, server, sent);
        }
        Ok(())
    }

    pub(crate) fn time_out(&mut self, now: Instant, index: usize) {
        let Some(slot) = self.in_flight.slot(index) else { return };
        let (tcp, probe) = (slot.tcp, slot.probe);
        let made = slot.attempts.len();
        if let Some(last) = slot.attempts.last().copied().filter(|last| last.open) {
            self.note_silence(now, last.server, last.sent);
        }
        // With every server dead, one round is enough: the next question probes again.
        let rounds = match (tcp, self.upstreams.all_dead()) {
            (true, _) => 2,
            (false, true) => self.upstreams.len(),
            (false, false) => UDP_PATIENCE.len(),
        };
        if !probe && made < rounds && self.attempt(now, index, None) {
            self.served.count(Served::Retried);
            return;
        }
        if !probe {
            self.served.count(Served::TimedOut);
            self.give_up(now, index);
        }
        self.finish(index);
    }

    /// Nobody answered: the stale answer if there is one, else SERVFAIL. Never NXDOMAIN (RFC 5625 section 4.5).
    fn give_up(&mut self, now: Instant, index: usize) {
        let Some(slot) = self.in_flight.slot(index) else { return };
        let Some((question, query)) = slot.question.zip(Query::parse(slot.query()).ok()) else {
            self.length = format_error(&mut self.message, slot.query(), rcode::SERVFAIL);
            return;
        };
        if slot.cacheable {
            let key = Key::new(&query, &question, self.secret);
            if let Some((length, _)) = self.cache.read(now, &key, &mut self.message) {
                self.length = length;
                self.served.count(Served::Stale);
                self.deliver_to_all(index, Some(question));
                return;
            }
        }
        self.length = Reply::new(&mut self.message, &query, rcode::SERVFAIL, false).finish(&query);
    }

    fn note_silence(&mut self, now: Instant, server: SocketAddrV4, sent: Instant) {
        if self.upstreams.timed_out(now, server, sent) {
            self.next_due = Instant::START;
            let _ = self.events.push_back(Event::Upstream { server: *server.ip(), healthy: false });
        }
    }

    /// Asks a dead server for the root's name servers, which every resolver knows.
    pub(crate) fn probe(&mut self, now: Instant, server: SocketAddrV4) {
        const ROOT: [u8; 17] = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, kind::NS as u8, 0, 1];
        let question = Question::parse(&ROOT).ok();
        let Ok(index) = self.in_flight.open(&ROOT, question, false) else { return };
        if let Some(slot) = self.in_flight.slot_mut(index) {
            slot.probe = true;
        }
        self.served.count(Served::Probes);
        self.attempt(now, index, Some(server));
    }
}

/// The answer repeats the question: the name in any case, type and class exactly.
fn same_question(asked: &[u8], answer: &[u8], question: &Question) -> bool {
    let end = question.name().end;
    u16_at(answer, 4) == Some(1)
        && asked.get(HEADER..end).zip(answer.get(HEADER..end)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        && asked.get(end..question.end).is_some_and(|rest| answer.get(end..question.end) == Some(rest))
}
