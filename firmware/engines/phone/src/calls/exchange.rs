//! The exchange: every call of every line, from dial tone to the end.
//!
//! A [`Station`] is what a person at one telephone does; a [`Call`] is one connection, over the network or inside the home. Inputs
//! change these two; [`settle`] then compares what the lines, the voice path and the carrier were told with what now holds, and
//! orders the difference. So a tone, a ring or a hold can never be forgotten on some path.
//!
//! ```text
//! OnHook ─lift─► Dialling ─number─► Calling ─answer─► Talking ─they hang up─► Tone ─► Howling ─► Silent
//!    │ ring, lift ──────────────────────────────────────▲ │ flash
//!    └◄──────────────── receiver down, from anywhere      └────► Dialling, with the call held
//! ```
//!
//! Forwarding is by 302: no voice crosses the home, it works while every line talks, and the one forwarded to sees who calls. Only a target
//! inside the home is rung from here. Not done: intrusion, camping on a busy line, forwarding by a second call of our own.

mod call;
mod network;
mod person;
mod settle;
mod station;
mod transfer;

use alloc::boxed::Box;

use dialtone_base::counted_reasons;
use dialtone_base::counter::Counters;
use dialtone_base::telephony::{CallId, LineId, Number};
use dialtone_base::time::UnixTime;
use dialtone_base::{Duration, Instant};
use heapless::{Deque, Vec};

use super::cause::Cause;
use super::config::{ACCOUNTS, Config};
use super::input::{Input, LineEvent};
use super::output::{CallOrder, LineOrder, Output};
use crate::call_log::{CallLog, Direction, Outcome};
use call::{Call, Lines};
use station::{Stage, Station};

/// Calls at the same time, inside and outside together.
pub const CALLS: usize = 16;

/// Call control of all lines.
#[derive(Debug)]
pub struct Exchange {
    config: Box<Config>,
    now: Instant,
    clock: Option<(Instant, UnixTime)>,
    stations: [Station; LineId::LIMIT],
    calls: Box<Vec<Call, CALLS>>,
    up: [bool; ACCOUNTS],
    messages: [u16; ACCOUNTS],
    /// The last number given to a call of ours.
    last_call: u32,
    last_entry: u32,
    out: Box<Deque<Output, ORDERS>>,
    rejections: Counters<Rejected, { Rejected::COUNT }>,
}

counted_reasons! {
    /// Why an input had no effect.
    pub enum Rejected {
        /// No such line.
        UnknownLine = "unknown-line",
        /// No such account.
        UnknownAccount = "unknown-account",
        /// A call that is over, or never was: late news, ordinary after hanging up.
        UnknownCall = "unknown-call",
        /// A new call with a number in use: the carrier's fault.
        CallNumberInUse = "call-number-in-use",
        /// Our limit: no room for one more call. It was refused with 486.
        Full = "full",
        /// It does not fit the state of the line or call.
        WrongState = "wrong-state",
        /// The caller of [`Exchange::handle`] did not poll until `Wait`: orders would be lost.
        NotDrained = "not-drained",
    }
}

impl Exchange {
    /// All receivers down, no account up.
    pub fn new(config: Box<Config>) -> Self {
        Self {
            config,
            now: Instant::START,
            clock: None,
            stations: core::array::from_fn(|_| Station::default()),
            calls: Box::new(Vec::new()),
            up: [false; ACCOUNTS],
            messages: [0; ACCOUNTS],
            last_call: 0,
            last_entry: 0,
            out: Box::new(Deque::new()),
            rejections: Counters::new(),
        }
    }

    /// Learns from an older log whom `*66` and `*69` call, and where entry numbers go on.
    pub fn restore(&mut self, log: &CallLog) {
        for entry in log.iter() {
            self.last_entry = self.last_entry.max(entry.id);
            let Some(line) = entry.line else { continue };
            let station = self.station(line);
            let remember = |slot: &mut Number| {
                if slot.is_empty() {
                    slot.clone_from(&entry.party.number);
                }
            };
            match entry.direction {
                Direction::Out => remember(&mut station.last_dialled),
                Direction::In => {
                    remember(&mut station.last_caller);
                    if entry.outcome == Outcome::Missed {
                        remember(&mut station.last_missed);
                    }
                }
                Direction::Inside => {}
            }
        }
    }

    /// One report. Afterwards [`poll`](Self::poll) until `Wait`.
    ///
    /// # Errors
    /// When it has no effect, with the reason; counted in [`rejections`](Self::rejections).
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        if self.out.len() > ORDERS / 4 {
            self.rejections.count(Rejected::NotDrained);
            return Err(Rejected::NotDrained);
        }
        self.now = self.now.max(now);
        let result = self.take(input);
        self.settle();
        if let Err(reason) = result {
            self.rejections.count(reason);
        }
        result
    }

    /// The next order; `Wait` when there is none.
    pub fn poll(&mut self, now: Instant) -> Output {
        self.now = self.now.max(now);
        loop {
            if let Some(order) = self.out.pop_front() {
                return order;
            }
            match self.next_deadline() {
                Some(deadline) if deadline <= self.now => {
                    self.fire();
                    self.settle();
                }
                deadline => return Output::Wait(deadline),
            }
        }
    }

    /// What is set, with every feature as it was switched since.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Inputs without effect, by reason.
    pub fn rejections(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.rejections
    }

    /// Calls there are now, waiting and held ones too.
    pub fn calls_in_progress(&self) -> usize {
        self.calls.len()
    }

    /// Whether this line's receiver is lifted.
    pub fn is_off_hook(&self, line: LineId) -> bool {
        self.stations.get(usize::from(line.0)).is_some_and(Station::is_off_hook)
    }

    fn take(&mut self, input: Input) -> Result<(), Rejected> {
        match input {
            Input::Line { line, event } => {
                if usize::from(line.0) >= self.config.lines.len() {
                    return Err(Rejected::UnknownLine);
                }
                match event {
                    LineEvent::OffHook => self.lift(line),
                    LineEvent::OnHook => self.put_down(line),
                    LineEvent::Flash => self.flash(line),
                    LineEvent::Key(key) => self.key(line, key),
                }
            }
            Input::Incoming { call, account, called, from, alert, replaces } => {
                self.incoming(call, account, &called, from, alert, replaces)
            }
            Input::Progress { call, progress } => self.progress(call, progress),
            Input::Answered { call } => self.answered(call),
            Input::Ended { call, cause } => self.ended(call, cause),
            Input::HeldByPeer { call, .. } => self.call(call).map(|_| ()),
            Input::Identified { call, party } => self.identified(call, party),
            Input::TransferRequested { call, to } => self.transfer_requested(call, &to),
            Input::Transfer { call, progress } => self.transfer_progress(call, progress),
            Input::MessageWaiting { account, new } => {
                let messages = self.messages.get_mut(usize::from(account));
                messages.map(|messages| *messages = new).ok_or(Rejected::UnknownAccount)
            }
            Input::Registration { account, up } => {
                let state = self.up.get_mut(usize::from(account));
                state.map(|state| *state = up).ok_or(Rejected::UnknownAccount)
            }
            Input::Clock(time) => {
                self.clock = Some((self.now, time));
                Ok(())
            }
            Input::Configure(config) => {
                self.configure(config);
                Ok(())
            }
        }
    }

    fn configure(&mut self, config: Box<Config>) {
        self.config = config;
        let lines = self.config.lines.len();
        for index in lines..LineId::LIMIT {
            // A line that is gone has its receiver down.
            let _ = self.put_down(LineId(index as u8));
        }
        let gone = |call: &Call| match call.account {
            Some(account) => {
                self.config.accounts.get(usize::from(account)).is_none_or(|account| !account.enabled)
            }
            None => false,
        };
        let ended: Vec<CallId, CALLS> =
            self.calls.iter().filter(|call| gone(call) && !call.emergency).map(|call| call.id).collect();
        for id in ended {
            self.finish(id, Some(CallOrder::HangUp), None, Cause::Failed);
        }
        for index in lines..LineId::LIMIT {
            self.withdraw_all(LineId(index as u8));
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stations = self.stations.iter().flat_map(|station| [station.deadline, station.announce_again]);
        let calls = self.calls.iter().map(|call| call.deadline);
        stations.chain(calls).flatten().min()
    }

    /// The first deadline that is due.
    fn fire(&mut self) {
        let now = self.now;
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        for index in 0..LineId::LIMIT {
            let line = LineId(index as u8);
            let station = self.station(line);
            if due(station.deadline) {
                station.deadline = None;
                return self.stage_is_over(line);
            }
            if due(station.announce_again) {
                return self.announce(line, true);
            }
        }
        if let Some(call) = self.calls.iter_mut().find(|call| due(call.deadline)) {
            call.deadline = None;
            let id = call.id;
            self.call_is_due(id);
        }
    }

    fn stage_is_over(&mut self, line: LineId) {
        let timing = self.config.timing;
        match self.station(line).stage {
            Stage::Dialling => self.digits_are_over(line),
            Stage::Confirmed => self.start_dialling(line),
            Stage::Tone(_) => self.enter(line, Stage::Howling, Some(timing.howler)),
            Stage::Howling => self.enter(line, Stage::Silent, None),
            Stage::OnHook | Stage::Calling | Stage::Talking | Stage::Silent => {}
        }
    }

    fn enter(&mut self, line: LineId, stage: Stage, lasts: Option<Duration>) {
        let deadline = lasts.map(|lasts| self.now + lasts);
        let station = self.station(line);
        station.stage = stage;
        station.deadline = deadline;
        station.refine_until = None;
    }

    fn station(&mut self, line: LineId) -> &mut Station {
        // `index` is below the limit, which is the length.
        &mut self.stations[line.index()]
    }

    fn call(&mut self, id: CallId) -> Result<&mut Call, Rejected> {
        self.calls.iter_mut().find(|call| call.id == id).ok_or(Rejected::UnknownCall)
    }

    fn find(&self, id: CallId) -> Option<&Call> {
        self.calls.iter().find(|call| call.id == id)
    }

    fn order(&mut self, order: Output) {
        // One input makes far fewer orders than there is room for (`handle` refuses before); a full queue would be a fault of ours,
        // and the tests assert that it never is.
        debug_assert!(!self.out.is_full(), "orders: {:?}", self.out);
        let _ = self.out.push_back(order);
    }

    fn line_order(&mut self, line: LineId, order: LineOrder) {
        self.order(Output::Line { line, order });
    }

    fn call_order(&mut self, call: CallId, order: CallOrder) {
        self.order(Output::Call { call, order });
    }

    fn all_lines(&self) -> Lines {
        (0..self.config.lines.len()).map(|index| LineId(index as u8)).collect()
    }
}

/// Orders one input can make: every call ended and logged, every line told.
const ORDERS: usize = 128;

#[cfg(test)]
mod tests;
