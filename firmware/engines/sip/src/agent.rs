//! The user agent: accounts, registrations and calls of the whole router in one value.
//!
//! Single mutation, then drain: after every [`UserAgent::handle`], call [`UserAgent::poll`] until it says [`Output::Wait`].
//!
//! ```text
//!   bytes ─→ receive ─→ transactions ─→ requests:  incoming (outside of calls) | in_dialog (inside)
//!                                    └→ responses: registering | calling | others
//!   orders ─→ orders ─→ requests/answers written ─→ transactions ─→ poll
//! ```
//!
//! | File | What |
//! |---|---|
//! | `network.rs` | addresses, ways to servers, connections, keep-alive |
//! | `long.rs` | requests too long for a datagram |
//! | `registering.rs` | REGISTER, what came of it; message-waiting subscriptions |
//! | `receive.rs` | what a message is and whose |
//! | `incoming.rs` | requests outside of calls: INVITE, OPTIONS, NOTIFY |
//! | `in_dialog.rs` | requests inside of calls |
//! | `calling.rs` | answers to our INVITE |
//! | `responses.rs` | answers to everything else, failures of transactions |
//! | `orders.rs` | what somebody at home wants |
//! | `transfer.rs` | REFER and its notices, both sides |
//! | `write.rs` | requests as text; `answer.rs`: answers as text |
//! | `due.rs` | what happens because time passed |

use alloc::boxed::Box;
use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::counter::Counters;
use dialtone_base::random::{Random, Seed};
use dialtone_base::telephony::{CallId, Key};
use dialtone_base::{Duration, Instant};
use heapless::{Deque, Vec};

use crate::account::AccountState;
use crate::call::{Buffer, Call, State, StoredBody};
use crate::config::{ACCOUNTS, Account, Config};
use crate::dialog::Dialog;
use crate::framing::Framer;
use crate::interface::{Body, Cause, Event, Input, Output, Rejected, Via};
use crate::overload::Overload;
use crate::transaction::{Capacity, TransactionId, Transactions};

mod answer;
mod calling;
mod due;
pub(crate) mod fuzz;
mod in_dialog;
mod incoming;
pub(crate) mod long;
mod network;
mod orders;
mod receive;
mod registering;
mod responses;
mod transfer;
mod write;

#[cfg(test)]
mod tests;

use long::{HELD, Held};
use network::Connection;

/// Events that wait at most: more than one input can make.
const EVENTS: usize = 64;
/// What we do.
const ALLOW: &str = "INVITE,ACK,CANCEL,BYE,OPTIONS,PRACK,UPDATE,INFO,NOTIFY,REFER";
/// What we can in calls.
const SUPPORTED: &str = "100rel, timer, replaces, norefersub";
/// What we can when registering (RFC 3327, RFC 5626).
const SUPPORTED_REGISTERING: &str = "outbound, path";
/// A call that is over holds its place no longer than its last transactions can last.
const LINGER: Duration = Duration::from_secs(40);

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Register {
        account: u8,
        number: u8,
    },
    Subscribe {
        account: u8,
    },
    /// OPTIONS that keeps the way open and shows that somebody answers.
    Probe {
        account: u8,
    },
    Invite {
        call: usize,
    },
    Reinvite {
        call: usize,
    },
    /// UPDATE; with our offer, or to refresh the session.
    Update {
        call: usize,
        offer: bool,
    },
    Prack {
        call: usize,
        dialog: usize,
        rseq: u32,
    },
    Bye {
        call: usize,
        dialog: usize,
    },
    Info {
        call: usize,
        key: Key,
    },
    Refer {
        call: usize,
    },
    Notify {
        call: usize,
        status: u16,
    },
}

impl Purpose {
    const fn call(self) -> Option<usize> {
        match self {
            Self::Register { .. } | Self::Subscribe { .. } | Self::Probe { .. } => None,
            Self::Invite { call }
            | Self::Reinvite { call }
            | Self::Update { call, .. }
            | Self::Prack { call, .. }
            | Self::Bye { call, .. }
            | Self::Info { call, .. }
            | Self::Refer { call }
            | Self::Notify { call, .. } => Some(call),
        }
    }
}

/// A request of ours under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    client: TransactionId,
    purpose: Purpose,
    account: u8,
    sent: Instant,
    /// Challenges answered already.
    tries: u8,
    /// Silence until then means that another server is tried.
    patience: Option<Instant>,
    /// A final answer came; it stays for repeated ones.
    is_done: bool,
}

/// An event that waits. Its body, if any, is the one of the message handled last.
#[derive(Clone, Debug)]
struct Pending {
    event: Event<'static>,
    has_body: bool,
}

/// A SIP user agent (RFC 3261) for a handful of lines.
#[derive(Debug)]
pub struct UserAgent {
    config: Config,
    random: Random,
    counters: Counters<Rejected, { Rejected::COUNT }>,
    local: Option<Ipv4Addr>,
    is_shut: bool,
    accounts: Vec<AccountState, ACCOUNTS>,
    /// New settings that wait until the accounts they change are no longer registered; at the latest then.
    coming: Option<(Config, Instant)>,
    /// Those accounts, a bit for each.
    leaving: u8,
    calls: Box<[Option<Call>]>,
    /// What each call offered or answered last, or is offering.
    bodies: Box<[StoredBody]>,
    dialogs: Box<[Option<Dialog>]>,
    asked: Box<[Option<Asked>]>,
    /// Requests that wait for a connection.
    held: Vec<Held, HELD>,
    transactions: Transactions,
    /// When they want to be polled next, as they said last.
    transactions_due: Option<Instant>,
    connections: Box<[Option<Connection>]>,
    /// One for each place among the connections.
    framers: Box<[Framer]>,
    overload: Overload,
    events: Deque<Pending, EVENTS>,
    /// The body of the message handled last, for the events it made.
    event_body: StoredBody,
    /// Where requests and answers are written before a transaction keeps them.
    scratch: Box<[u8]>,
    /// A message cut out of a stream, while it is handled.
    piece: Box<[u8]>,
    /// Messages that belong to no transaction: ACK, keep-alives, refusals.
    outbox: Outbox,
    next_incoming: u32,
    next_connection: u32,
}

/// Messages that are sent once.
#[derive(Debug)]
struct Outbox {
    slots: Box<[(Option<Via>, Buffer)]>,
    /// Slots in the order they were filled.
    order: Deque<u8, OUTBOX>,
}

const OUTBOX: usize = 8;

impl Outbox {
    fn new(size: usize) -> Self {
        Self { slots: (0..OUTBOX).map(|_| (None, Buffer::new(size))).collect(), order: Deque::new() }
    }

    fn push(&mut self, via: Via, bytes: &[u8]) -> Result<(), Rejected> {
        let index = self.slots.iter().position(|(via, _)| via.is_none()).ok_or(Rejected::NoRoom)?;
        let slot = self.slots.get_mut(index).ok_or(Rejected::NoRoom)?;
        slot.1.set(bytes)?;
        slot.0 = Some(via);
        self.order.push_back(index as u8).map_err(|_| Rejected::NoRoom)
    }

    fn pop(&mut self, out: &mut [u8]) -> Option<(Via, usize)> {
        let (via, buffer) = self.slots.get_mut(usize::from(self.order.pop_front()?))?;
        let via = via.take()?;
        let bytes = buffer.as_bytes();
        out.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some((via, bytes.len()))
    }
}

impl UserAgent {
    /// Takes all its memory. Does nothing until [`Input::Network`] names an address.
    pub fn new(config: Config, seed: Seed) -> Self {
        let limits = config.limits;
        let mut random = Random::new(seed);
        let calls = limits.calls.clamp(1, 64);
        let size = limits.message.clamp(1500, 65_535);
        let body = limits.body.clamp(256, size);
        let connections = limits.connections.clamp(1, 16);
        let accounts =
            config.accounts.iter().map(|account| AccountState::new(account, &mut random)).collect();
        let capacity = Capacity {
            transactions: limits.transactions.max(8),
            reserved: limits.transactions.max(8) / 3,
            message: size,
        };
        Self {
            local: None,
            is_shut: false,
            accounts,
            coming: None,
            leaving: 0,
            calls: alloc::vec![None; calls].into_boxed_slice(),
            bodies: (0..calls).map(|_| StoredBody::new(body)).collect(),
            dialogs: alloc::vec![None; calls * 2 + 2].into_boxed_slice(),
            asked: alloc::vec![None; limits.transactions.max(8)].into_boxed_slice(),
            held: Vec::new(),
            transactions: Transactions::new(capacity, random.derive_seed()),
            transactions_due: None,
            connections: (0..connections).map(|_| None).collect(),
            framers: (0..connections).map(|_| Framer::new(2 * size)).collect(),
            overload: Overload::new(
                limits.requests_per_second,
                limits.requests_per_second_and_source,
                limits.sources,
            ),
            events: Deque::new(),
            event_body: StoredBody::new(body),
            scratch: alloc::vec![0; size].into_boxed_slice(),
            piece: alloc::vec![0; 2 * size].into_boxed_slice(),
            outbox: Outbox::new(size),
            next_incoming: 0,
            next_connection: 0,
            counters: Counters::new(),
            random,
            config,
        }
    }

    /// One input.
    ///
    /// # Errors
    /// Every [`Rejected`] is counted; a message that made one may still have been answered.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.take(now, input);
        if let Err(rejected) = result {
            self.counters.count(rejected);
        }
        self.run_due(now);
        result
    }

    fn take(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        match input {
            Input::Datagram { from, bytes } => self.receive_datagram(now, from, bytes),
            Input::Connected { connection, local } => self.connected(now, connection, local),
            Input::Accepted { connection, from } => self.accepted(connection, from),
            Input::Stream { connection, bytes } => self.receive_stream(now, connection, bytes),
            Input::Closed { connection } => self.closed(now, connection),
            Input::Located { query, answer } => self.located(now, query, answer),
            Input::Network { local } => {
                self.network(now, local);
                Ok(())
            }
            Input::Order { call, order } => self.order(now, call, order),
            Input::Configure(config) => {
                self.configure(now, config);
                Ok(())
            }
            Input::Shutdown => {
                self.shut_down(now);
                Ok(())
            }
            Input::Tick => Ok(()),
        }
    }

    /// The next thing to do; `out` takes a message of [`crate::Limits::message`] bytes.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output<'_> {
        self.run_due(now);
        if let Some(output) = self.poll_network(now) {
            return output;
        }
        if let Some((via, length)) = self.outbox.pop(out) {
            return Output::Transmit { via, length };
        }
        if let Some((via, length)) = self.poll_transactions(now, out) {
            return Output::Transmit { via, length };
        }
        if let Some(pending) = self.events.pop_front() {
            let body = if pending.has_body { self.event_body.as_body() } else { None };
            return Output::Event(with_body(pending.event, body));
        }
        if self.receive_waiting(now) {
            return self.poll(now, out);
        }
        Output::Wait(self.deadline(now))
    }

    /// Whether everything is said after [`Input::Shutdown`]: bindings taken away, calls ended, or given up. Whoever stops the router waits for
    /// it, but no longer than two seconds or so: a server that does not answer keeps nobody.
    pub fn is_at_rest(&self) -> bool {
        let is_leaving = self
            .accounts
            .iter()
            .any(|state| state.registered.iter().any(|number| number.registration.is_leaving()));
        !is_leaving && self.calls.iter().flatten().next().is_none()
    }

    /// How often what was rejected.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }

    /// Calls in the table, those ending included.
    pub fn calls(&self) -> usize {
        self.calls.iter().flatten().count()
    }

    /// Transactions in the table.
    pub fn transactions(&self) -> usize {
        self.transactions.in_use()
    }

    /// Dialogs in the table, early ones included.
    pub fn dialogs(&self) -> usize {
        self.dialogs.iter().flatten().count()
    }

    fn tell(&mut self, event: Event<'static>) {
        self.push_event(event, false);
    }

    /// An event with the body of the message being handled.
    fn tell_with(&mut self, event: Event<'static>, body: Option<Body<'_>>) {
        let has_body = match body {
            Some(body) => self.event_body.set(body).is_ok(),
            None => false,
        };
        self.push_event(event, has_body);
    }

    fn push_event(&mut self, event: Event<'static>, has_body: bool) {
        if self.events.push_back(Pending { event, has_body }).is_err() {
            // Whoever polls late loses events, never memory.
            self.counters.count(Rejected::NoRoom);
        }
    }

    fn account_config(&self, account: u8) -> Option<&Account> {
        self.config.accounts.get(usize::from(account))
    }

    fn call_index(&self, id: CallId) -> Result<usize, Rejected> {
        self.calls
            .iter()
            .position(|call| call.as_ref().is_some_and(|call| call.id == id && !call.over))
            .ok_or(Rejected::UnknownCall)
    }

    fn call(&self, index: usize) -> Option<&Call> {
        self.calls.get(index)?.as_ref()
    }

    fn call_mut(&mut self, index: usize) -> Option<&mut Call> {
        self.calls.get_mut(index)?.as_mut()
    }

    fn dialog(&self, index: usize) -> Option<&Dialog> {
        self.dialogs.get(index)?.as_ref()
    }

    fn dialog_mut(&mut self, index: usize) -> Option<&mut Dialog> {
        self.dialogs.get_mut(index)?.as_mut()
    }

    /// Keeps a dialog; `None` when there is no room.
    fn keep_dialog(&mut self, dialog: Dialog) -> Option<usize> {
        let index = self.dialogs.iter().position(Option::is_none)?;
        *self.dialogs.get_mut(index)? = Some(dialog);
        Some(index)
    }

    /// Forgets all dialogs of a call but one.
    fn forget_dialogs(&mut self, call: usize, but: Option<usize>) {
        for (index, place) in self.dialogs.iter_mut().enumerate() {
            if but != Some(index) && place.as_ref().is_some_and(|dialog| dialog.call == call) {
                *place = None;
            }
        }
    }

    /// The call is over for everybody at home. Its place is free when its last transactions are done.
    fn end(&mut self, now: Instant, index: usize, cause: Cause, status: u16) {
        let Some(call) = self.call_mut(index) else { return };
        if call.over {
            return;
        }
        call.over = true;
        call.timer = None;
        call.retry_at = None;
        call.address_changed = None;
        call.ring_again = None;
        call.ring_until = None;
        call.offer_queued = false;
        call.free_at = Some(now + LINGER);
        if !matches!(call.state, State::Cancelling | State::Answered) {
            call.state = State::Ending;
        }
        let (id, referred_by) = (call.id, call.referred_by);
        self.drop_held(index);
        if let Some(referring) = referred_by {
            // A call that ends after it was answered was told of before: that is remembered there.
            let told = if status >= 300 { status } else { 487 };
            self.report_referral(now, referring, told);
        }
        self.tell(Event::Ended { call: id, cause, status });
    }

    /// Gives back the places of calls whose transactions are all done.
    fn release(&mut self, now: Instant) {
        for index in 0..self.calls.len() {
            let Some(call) = self.call(index) else { continue };
            let expired = call.free_at.is_some_and(|at| at <= now);
            let busy = call.waiting.is_some()
                || matches!(call.state, State::Answered)
                || self
                    .asked
                    .iter()
                    .flatten()
                    .any(|asked| asked.purpose.call() == Some(index) && !asked.is_done);
            if call.over && (expired || !busy) {
                self.free(index);
            }
        }
    }

    fn free(&mut self, index: usize) {
        for asked in &mut self.asked {
            if let Some(entry) = asked.filter(|asked| asked.purpose.call() == Some(index)) {
                self.transactions.abandon(entry.client);
                *asked = None;
            }
        }
        if let Some(call) = self.calls.get(index).and_then(Option::as_ref) {
            for server in
                [call.waiting.map(|waiting| waiting.server), call.waiting_update].into_iter().flatten()
            {
                self.transactions.abandon(server);
            }
        }
        self.forget_dialogs(index, None);
        if let Some(body) = self.bodies.get_mut(index) {
            body.clear();
        }
        if let Some(place) = self.calls.get_mut(index) {
            *place = None;
        }
    }
}

/// The event with the body that belongs to it.
fn with_body<'a>(event: Event<'a>, found: Option<Body<'a>>) -> Event<'a> {
    let present = found.unwrap_or(Body { content_type: "", bytes: &[] });
    match event {
        Event::Incoming { call, account, number, called, from, alert, replaces, .. } => {
            Event::Incoming { call, account, number, called, from, alert, replaces, offer: found }
        }
        Event::Progress { call, progress, .. } => Event::Progress { call, progress, body: found },
        Event::Answered { call, by, .. } => Event::Answered { call, body: found, by },
        Event::Established { call, .. } => Event::Established { call, body: found },
        Event::Offer { call, .. } => Event::Offer { call, body: present },
        Event::OfferAnswered { call, .. } => Event::OfferAnswered { call, body: present },
        other => other,
    }
}

/// A flow's address as the services know it.
fn v4(address: core::net::SocketAddr) -> Option<SocketAddrV4> {
    match address {
        core::net::SocketAddr::V4(address) => Some(address),
        core::net::SocketAddr::V6(_) => None,
    }
}
