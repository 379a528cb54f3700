//! Transactions: a request and its answers, repeated until heard, told apart, bounded in number.
//!
//! RFC 3261 sections 9, 17 and 18, RFC 6026 (accepted INVITEs), RFC 3262 section 3 (repeating reliable provisional answers), RFC 3581 (where
//! answers go). [`machine`] has the states, [`matching`] the keys, [`timers`] the times; this file has the table.
//!
//! ```text
//!   bytes → Message::parse → receive → Delivery → the user agent → send / respond / acknowledge / cancel
//!                              |                                            |
//!                              +-- repetitions, ACK, 100, 4xx ----→ poll → Transmit
//! ```
//!
//! Every slot keeps the head of its request and the last message sent, in memory taken at construction. A full table is answered 503 with a
//! Retry-After that is spread, so that the refused do not come back together; requests within calls and our own may use slots that
//! strangers may not.
//! Does not choose where requests go, and knows no dialogs.

pub mod machine;
mod matching;
mod receive;
mod slots;
pub mod timers;

use alloc::boxed::Box;
use alloc::vec;
use core::net::SocketAddr;

use dialtone_base::counter::Counters;
use dialtone_base::random::{Random, Seed};
use dialtone_base::{Duration, Instant};

use crate::message::{Fault, Message, Method, Name, Received, Status, Via};
use crate::transport::Flow;
use crate::write::Writer;
use machine::{Client, ClientInvite, Server, ServerInvite, State};
use matching::{Key, Keyring};
use receive::{answer_flow, write_from_invite};
use slots::{Cancel, Pending, Slot};
use timers::{GIVE_UP, Repeat};

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Transactions at a time, both ways, those waiting to be forgotten included.
    pub transactions: usize,
    /// How many of them only requests of ours and requests within a dialog may take.
    pub reserved: usize,
    /// Bytes kept of one message; twice as much per transaction.
    pub message: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { transactions: 48, reserved: 16, message: 4096 }
    }
}

/// One transaction. Never used twice in a row for the same slot: an old one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    slot: u16,
    generation: u32,
}

/// What a received message is to the user agent.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Delivery<'b> {
    /// A new request: [`Transactions::respond`] must follow, sooner or later.
    Request {
        /// Answer here.
        transaction: TransactionId,
        /// The request.
        message: Message<'b>,
    },
    /// An answer to a request of ours. For an INVITE's 2xx, [`Transactions::acknowledge`] must follow; several may come (forks).
    Response {
        /// Which request.
        transaction: TransactionId,
        /// The answer.
        message: Message<'b>,
    },
    /// The ACK for a 2xx: belongs to a dialog. [`Transactions::confirm`] ends the repetition.
    Ack(Message<'b>),
    /// The INVITE was cancelled; the CANCEL is answered already. The user agent answers the INVITE 487.
    Cancelled {
        /// The INVITE.
        invite: TransactionId,
        /// The CANCEL, for its Reason.
        message: Message<'b>,
    },
    /// A repetition, dealt with.
    Absorbed,
    /// Only a keep-alive.
    KeepAlive,
}

/// What the transactions want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `length` bytes of the buffer.
    Transmit {
        /// Where.
        flow: Flow,
        /// How many.
        length: usize,
    },
    /// A transaction ended without what it waited for.
    Ended {
        /// Which; it is forgotten with the next call of [`Transactions::poll`].
        transaction: TransactionId,
        /// Why.
        why: Ended,
    },
    /// Nothing until then.
    Wait(Option<Instant>),
}

/// Why a transaction ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// No final answer in time: as good as a 408 (RFC 3261 section 8.1.3.1). Also a cancelled INVITE that nobody ended.
    Timeout,
    /// The flow failed: as good as a 503.
    FlowFailed,
    /// Our final answer was never acknowledged. After a 2xx the user agent sends BYE (section 13.3.1.4).
    NoAck,
    /// Our reliable provisional answer was never acknowledged: the user agent answers 5xx (RFC 3262 section 3).
    NoPrack,
}

dialtone_base::counted_reasons! {
    /// Why a message went no further, or an order was not carried out.
    pub enum Dropped {
        /// The peer: cannot be read and cannot be answered.
        Malformed = "malformed",
        /// The peer: cannot be read and was told so.
        Refused = "refused",
        /// The peer: an answer to nothing we asked, or not meant for us.
        StrayResponse = "stray-response",
        /// The peer: a CANCEL for no INVITE; answered 481.
        StrayCancel = "stray-cancel",
        /// The peer: a request that came by two ways; answered 482.
        Merged = "merged-request",
        /// Our limit: no slot free; a request was answered 503.
        Full = "no-transaction-free",
        /// Our limit: longer than what a slot keeps; a request was answered 513.
        TooLong = "message-too-long",
        /// Our limit: more than one answer outside of transactions at once.
        NoRoom = "no-room-for-answer",
        /// The wrong state: no such transaction any more, or one that cannot do this now.
        WrongState = "wrong-state",
        /// Our mistake: what we were given to send is no such message.
        NotSip = "not-a-message",
    }
}

/// All transactions of a user agent.
#[derive(Debug)]
pub struct Transactions {
    slots: Box<[Slot]>,
    memory: Box<[u8]>,
    capacity: Capacity,
    keyring: Keyring,
    random: Random,
    /// An answer outside of any transaction.
    answer: Box<[u8]>,
    answer_to: Option<(Flow, usize)>,
    /// Where a CANCEL is written before it has its slot.
    scratch: Box<[u8]>,
    forget: Option<usize>,
    dropped: Counters<Dropped, { Dropped::COUNT }>,
    faults: Counters<Fault, { Fault::COUNT }>,
}

impl Transactions {
    /// Takes all its memory: about twice `message` bytes per transaction.
    pub fn new(capacity: Capacity, seed: Seed) -> Self {
        let count = capacity.transactions.clamp(1, usize::from(u16::MAX));
        let capacity = Capacity { transactions: count, reserved: capacity.reserved.min(count), ..capacity };
        let mut random = Random::new(seed);
        let mut secret = [0; 32];
        random.fill(&mut secret);
        let nowhere = Flow::Udp { remote: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let slot = Slot {
            generation: 0,
            state: None,
            key: Key::default(),
            merge: Key::default(),
            flow: nowhere,
            last_flow: nowhere,
            request_length: 0,
            last_length: 0,
            repeat: Repeat::NEVER,
            end: None,
            pending: Pending::Nothing,
            cancel: Cancel::No,
            is_quiet: false,
            failed: None,
        };
        Self {
            slots: vec![slot; count].into_boxed_slice(),
            memory: vec![0; count.saturating_mul(2).saturating_mul(capacity.message)].into_boxed_slice(),
            answer: vec![0; capacity.message].into_boxed_slice(),
            scratch: vec![0; capacity.message].into_boxed_slice(),
            capacity,
            keyring: Keyring::new(secret),
            random,
            answer_to: None,
            forget: None,
            dropped: Counters::new(),
            faults: Counters::new(),
        }
    }

    /// A branch for a new request: the cookie and 96 random bits.
    pub fn new_branch(&mut self) -> heapless::String<32> {
        let mut branch = heapless::String::new();
        let (high, low) = (self.random.next_u64(), self.random.next_u32());
        // 7 + 24 characters fit.
        let _ = core::fmt::Write::write_fmt(
            &mut branch,
            format_args!("{}{high:016x}{low:08x}", Via::MAGIC_COOKIE),
        );
        branch
    }

    /// Sends a request of ours, whose topmost Via has a branch from [`Transactions::new_branch`]. Not for ACK.
    ///
    /// # Errors
    /// [`Dropped::Full`], [`Dropped::TooLong`], [`Dropped::NotSip`].
    pub fn send(&mut self, now: Instant, flow: Flow, request: &[u8]) -> Result<TransactionId, Dropped> {
        let result = self.start_client(now, flow, request);
        self.counted(result)
    }

    /// Cancels an INVITE of ours: now, or as soon as a provisional answer came. What the INVITE is answered then is delivered; if
    /// nothing comes, its end is [`Ended::Timeout`].
    ///
    /// # Errors
    /// [`Dropped::WrongState`] when it is answered already, [`Dropped::Full`].
    pub fn cancel(&mut self, now: Instant, invite: TransactionId) -> Result<(), Dropped> {
        let result = self.start_cancel(now, invite);
        self.counted(result)
    }

    /// Sends the ACK for an INVITE's 2xx and sends it again whenever that 2xx comes again (RFC 3261 section 13.2.2.4).
    ///
    /// # Errors
    /// [`Dropped::WrongState`], [`Dropped::TooLong`].
    pub fn acknowledge(&mut self, invite: TransactionId, flow: Flow, ack: &[u8]) -> Result<(), Dropped> {
        let result = self.store_ack(invite, flow, ack);
        self.counted(result)
    }

    /// Answers a request. A provisional answer takes the place of the one before it, also of a reliable one that waits for its PRACK: RFC 3262
    /// wants that one acknowledged first.
    ///
    /// # Errors
    /// [`Dropped::WrongState`] when it has its final answer, [`Dropped::TooLong`], [`Dropped::NotSip`].
    pub fn respond(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        response: &[u8],
    ) -> Result<(), Dropped> {
        let result = self.store_answer(now, transaction, response);
        self.counted(result)
    }

    /// The ACK for our 2xx came: it is not repeated any more.
    pub fn confirm(&mut self, transaction: TransactionId) {
        if let Some(slot) = self.slot_mut(transaction)
            && slot.state == Some(State::ServerInvite(ServerInvite::Accepted(false)))
        {
            slot.state = Some(State::ServerInvite(ServerInvite::Accepted(true)));
            slot.repeat = Repeat::NEVER;
        }
    }

    /// The PRACK for our reliable provisional answer came: it is not repeated any more.
    pub fn confirm_provisional(&mut self, transaction: TransactionId) {
        if let Some(slot) = self.slot_mut(transaction)
            && slot.state == Some(State::ServerInvite(ServerInvite::Proceeding))
        {
            slot.repeat = Repeat::NEVER;
            slot.end = None;
        }
    }

    /// The request: to build answers, or what follows it, from. Of a received one without its body. `None` when the transaction is gone.
    pub fn request(&self, transaction: TransactionId) -> Option<Message<'_>> {
        let slot = self.slot(transaction)?;
        Message::parse_head(
            self.region(usize::from(transaction.slot), Pending::Request)?.get(..slot.request_length)?,
        )
    }

    /// Where the request came from or went to.
    pub fn flow(&self, transaction: TransactionId) -> Option<Flow> {
        self.slot(transaction).map(|slot| slot.flow)
    }

    /// Forgets a transaction at once, whatever it waits for: when the user agent stops.
    pub fn abandon(&mut self, transaction: TransactionId) {
        if self.slot(transaction).is_some() {
            self.free(usize::from(transaction.slot));
        }
    }

    /// Everything that waits on this flow ends with [`Ended::FlowFailed`].
    pub fn flow_failed(&mut self, flow: &Flow) {
        for slot in &mut self.slots {
            let waits = matches!(
                slot.state,
                Some(
                    State::ClientInvite(ClientInvite::Calling | ClientInvite::Proceeding)
                        | State::Client(Client::Trying | Client::Proceeding)
                        | State::ServerInvite(ServerInvite::Proceeding)
                        | State::Server(Server::Trying | Server::Proceeding)
                )
            );
            if waits && slot.flow == *flow {
                slot.failed = Some(Ended::FlowFailed);
                slot.pending = Pending::Nothing;
                slot.repeat = Repeat::NEVER;
            }
        }
    }

    /// A message came. What is said to the user agent borrows from its bytes.
    ///
    /// # Errors
    /// The message went no further; some were answered all the same ([`Dropped`] says which).
    pub fn receive<'b>(
        &mut self,
        now: Instant,
        flow: Flow,
        received: Received<'b>,
    ) -> Result<Delivery<'b>, Dropped> {
        let result = match received {
            Received::KeepAlive => Ok(Delivery::KeepAlive),
            Received::Drop(fault) => {
                self.faults.count(fault);
                Err(Dropped::Malformed)
            }
            Received::Reject(message, fault) => {
                self.faults.count(fault);
                let (status, phrase) = fault.answer();
                self.answer(flow, &message, status, phrase).and(Err(Dropped::Refused))
            }
            Received::Message(message) if message.status().is_some() => self.receive_response(now, message),
            Received::Message(message) => self.receive_request(now, flow, message),
        };
        self.counted(result)
    }

    /// Answers a request without a transaction: for what is refused before it costs anything. 503 gets a Retry-After that is spread.
    /// An ACK is not answered.
    ///
    /// # Errors
    /// [`Dropped::NoRoom`], [`Dropped::TooLong`].
    pub fn answer(
        &mut self,
        flow: Flow,
        request: &Message<'_>,
        status: u16,
        phrase: &str,
    ) -> Result<(), Dropped> {
        if request.method().is_none_or(|method| method == Method::Ack) {
            return Ok(());
        }
        if self.answer_to.is_some() {
            return Err(Dropped::NoRoom);
        }
        let Some(status) = Status::new(status) else { return Err(Dropped::NotSip) };
        let tag = self
            .keyring
            .server(request, request.method().unwrap_or(Method::Options))
            .unwrap_or_default()
            .tag();
        let mut writer =
            Writer::response(&mut self.answer, request, flow.remote(), status, phrase, Some(tag.as_str()));
        if status.code() == 503 {
            writer.header(Name::RetryAfter, SHORTEST_RETRY + self.random.below(RETRY_SPREAD));
        }
        let length = writer.finish().map_err(|_| Dropped::TooLong)?;
        self.answer_to = Some((answer_flow(flow, request), length));
        Ok(())
    }

    /// The next thing to do; `out` takes a message of [`Capacity::message`] bytes. Call until it waits.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        if let Some(slot) = self.forget.take() {
            self.free(slot);
        }
        if let Some((flow, length)) = self.answer_to.take() {
            if let (Some(bytes), Some(place)) = (self.answer.get(..length), out.get_mut(..length)) {
                place.copy_from_slice(bytes);
                return Output::Transmit { flow, length };
            }
            self.dropped.count(Dropped::TooLong);
        }
        let mut next: Option<Instant> = None;
        for index in 0..self.slots.len() {
            if let Some(output) = self.poll_slot(now, index, out) {
                return output;
            }
            if let Some(slot) = self.slots.get(index) {
                for at in [slot.repeat.at(), slot.end].into_iter().flatten() {
                    next = Some(next.map_or(at, |earliest| earliest.min(at)));
                }
            }
        }
        Output::Wait(next)
    }

    /// Transactions alive now.
    pub fn in_use(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state.is_some()).count()
    }

    /// Bytes taken at construction, which is all there will ever be.
    pub fn memory_bytes(&self) -> usize {
        let slots = self.slots.len() * core::mem::size_of::<Slot>();
        slots + self.memory.len() + self.answer.len() + self.scratch.len()
    }

    /// What went no further, by reason.
    pub const fn dropped(&self) -> &Counters<Dropped, { Dropped::COUNT }> {
        &self.dropped
    }

    /// What was wrong with messages, by fault.
    pub const fn faults(&self) -> &Counters<Fault, { Fault::COUNT }> {
        &self.faults
    }

    fn counted<T>(&mut self, result: Result<T, Dropped>) -> Result<T, Dropped> {
        if let Err(dropped) = &result {
            self.dropped.count(*dropped);
        }
        result
    }

    fn start_client(&mut self, now: Instant, flow: Flow, request: &[u8]) -> Result<TransactionId, Dropped> {
        let Received::Message(message) = Message::parse(request) else { return Err(Dropped::NotSip) };
        let Some(method) = message.method().filter(|method| *method != Method::Ack) else {
            return Err(Dropped::NotSip);
        };
        let key = self.keyring.client(&message).map_err(|_| Dropped::NotSip)?;
        let index = self.take_slot(true, key, flow, flow, request)?;
        let step = State::begin_client(now, method == Method::Invite, flow.transport().is_reliable());
        let slot = self.slots.get_mut(index).ok_or(Dropped::Full)?;
        slot.apply(step);
        slot.pending = Pending::Request;
        Ok(self.id(index))
    }

    fn start_cancel(&mut self, now: Instant, invite: TransactionId) -> Result<(), Dropped> {
        let slot = self.slot_mut(invite).ok_or(Dropped::WrongState)?;
        match slot.state {
            Some(State::ClientInvite(ClientInvite::Proceeding)) if slot.cancel == Cancel::Sent => Ok(()),
            Some(State::ClientInvite(ClientInvite::Calling)) => {
                slot.cancel = Cancel::Wanted;
                Ok(())
            }
            Some(State::ClientInvite(ClientInvite::Proceeding)) => {
                slot.cancel = Cancel::Sent;
                // Section 9.1: without an answer after 64·T1 the INVITE counts as cancelled.
                slot.end = Some(now + GIVE_UP);
                let flow = slot.flow;
                let index = usize::from(invite.slot);
                // Lent for the call, because the new slot's memory is part of `self`.
                let mut scratch = core::mem::take(&mut self.scratch);
                let request = self.stored_request(index).unwrap_or_default();
                let length = write_from_invite(&mut scratch, request, Method::Cancel, None);
                let result = match length.and_then(|length| scratch.get(..length)) {
                    Some(cancel) => self.start_client(now, flow, cancel),
                    None => Err(Dropped::TooLong),
                };
                self.scratch = scratch;
                let cancel = result?;
                if let Some(slot) = self.slot_mut(cancel) {
                    slot.is_quiet = true;
                }
                Ok(())
            }
            _ => Err(Dropped::WrongState),
        }
    }

    fn store_ack(&mut self, invite: TransactionId, flow: Flow, ack: &[u8]) -> Result<(), Dropped> {
        let is_accepted = |slot: &Slot| slot.state == Some(State::ClientInvite(ClientInvite::Accepted));
        if !self.slot(invite).is_some_and(is_accepted) {
            return Err(Dropped::WrongState);
        }
        let index = usize::from(invite.slot);
        self.store_last(index, ack)?;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.last_flow = flow;
            slot.pending = Pending::Last;
        }
        Ok(())
    }

    fn store_answer(&mut self, now: Instant, id: TransactionId, response: &[u8]) -> Result<(), Dropped> {
        let Received::Message(message) = Message::parse(response) else { return Err(Dropped::NotSip) };
        let status = message.status().ok_or(Dropped::NotSip)?;
        let slot = self.slot(id).ok_or(Dropped::WrongState)?;
        let is_reliable = slot.flow.transport().is_reliable();
        let is_reliable_provisional = status.is_provisional() && message.rseq().is_some();
        let step = slot
            .state
            .and_then(|state| state.on_answer(now, status, is_reliable, is_reliable_provisional))
            .ok_or(Dropped::WrongState)?;
        let index = usize::from(id.slot);
        self.store_last(index, response)?;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.apply(step);
            slot.pending = Pending::Last;
            slot.failed = None;
        }
        Ok(())
    }

    /// One slot's next output; its timers are run.
    fn poll_slot(&mut self, now: Instant, index: usize, out: &mut [u8]) -> Option<Output> {
        let transaction = self.id(index);
        let slot = self.slots.get_mut(index)?;
        let state = slot.state?;
        if let Some(why) = slot.failed {
            return self.end(index, transaction, why);
        }
        let is_client = matches!(state, State::ClientInvite(_) | State::Client(_));
        if slot.repeat.is_due(now) {
            slot.pending = if is_client { Pending::Request } else { Pending::Last };
        }
        let pending = core::mem::replace(&mut slot.pending, Pending::Nothing);
        let (flow, length) = match pending {
            Pending::Nothing => return self.poll_end(now, index, transaction, state),
            Pending::Request => (slot.flow, slot.request_length),
            Pending::Last => (slot.last_flow, slot.last_length),
        };
        let bytes = self
            .region(index, pending)
            .and_then(|region| region.get(..length))
            .filter(|bytes| !bytes.is_empty());
        match (bytes, out.get_mut(..length)) {
            (Some(bytes), Some(place)) => {
                place.copy_from_slice(bytes);
                Some(Output::Transmit { flow, length })
            }
            (None, _) => None,
            (Some(_), None) => {
                self.dropped.count(Dropped::TooLong);
                None
            }
        }
    }

    fn poll_end(
        &mut self,
        now: Instant,
        index: usize,
        transaction: TransactionId,
        state: State,
    ) -> Option<Output> {
        let slot = self.slots.get_mut(index)?;
        if slot.end.is_none_or(|end| end > now) {
            return None;
        }
        let why = match state {
            State::ClientInvite(ClientInvite::Calling | ClientInvite::Proceeding)
            | State::Client(Client::Trying | Client::Proceeding) => Ended::Timeout,
            State::ServerInvite(ServerInvite::Completed | ServerInvite::Accepted(false)) => Ended::NoAck,
            State::ServerInvite(ServerInvite::Proceeding) => {
                // The INVITE itself is still to be answered.
                slot.end = None;
                slot.repeat = Repeat::NEVER;
                return Some(Output::Ended { transaction, why: Ended::NoPrack });
            }
            _ => {
                self.free(index);
                return None;
            }
        };
        self.end(index, transaction, why)
    }

    fn end(&mut self, index: usize, transaction: TransactionId, why: Ended) -> Option<Output> {
        if self.slots.get(index).is_some_and(|slot| slot.is_quiet) {
            self.free(index);
            return None;
        }
        self.forget = Some(index);
        Some(Output::Ended { transaction, why })
    }
}

/// Shortest Retry-After of a 503, in seconds.
const SHORTEST_RETRY: u32 = 5;
/// Those who are refused come back within so many seconds of each other.
const RETRY_SPREAD: u32 = 25;

/// How long a table may take to empty itself once requests stop: the longest timer.
pub const LONGEST_WAIT: Duration = GIVE_UP;

#[cfg(test)]
mod tests;
