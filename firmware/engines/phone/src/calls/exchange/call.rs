//! A call: one connection, over the network or inside the home; how it begins, is logged and ends.

use core::fmt::Write;

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, DisplayName, LineId, Number, Party, Presentation};
use dialtone_base::time::UnixTime;

use super::{CALLS, Exchange, Stage};
use crate::call_log::{Direction, Entry, Outcome};
use crate::calls::cause::Cause;
use crate::calls::dial_plan;
use crate::calls::output::{CallOrder, LineOrder, Output, RingPattern, Tone};

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Incoming or inside: it rings here, nobody answered.
    Offered,
    /// Outgoing: nothing heard yet.
    Trying,
    /// Outgoing: it rings there.
    Ringing,
    /// Outgoing: the network sends the sound.
    Early,
    /// Answered.
    Up,
    /// The other end was asked to call somebody else; no line has it any more.
    Leaving,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Call {
    pub id: CallId,
    /// `None`: inside the home.
    pub account: Option<u8>,
    pub direction: Direction,
    pub phase: Phase,
    /// The line that has it; inside the home the one that called.
    pub line: Option<LineId>,
    /// Inside the home: the line that answered.
    pub far: Option<LineId>,
    /// Lines it rings at or is announced to.
    pub offered: Lines,
    /// Lines it was ever offered to.
    pub rang: Lines,
    pub party: Party,
    pub ring: RingPattern,
    pub began: Instant,
    pub answered: Option<Instant>,
    pub emergency: bool,
    /// Accounts an emergency call was tried by.
    pub tried: u32,
    /// The carrier was told to hold it.
    pub on_hold: bool,
    pub deadline: Option<Instant>,
    /// The line that gets it back when a transfer fails.
    pub recall: Option<LineId>,
    /// The call whose other end asked for this one.
    pub referred: Option<CallId>,
    /// The call the other end was asked to replace.
    pub partner: Option<CallId>,
}

/// A set of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines(u8);

impl Lines {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn only(line: LineId) -> Self {
        Self(1 << line.index())
    }

    pub(super) fn contains(self, line: LineId) -> bool {
        self.0 & 1 << line.index() != 0
    }

    pub(super) fn insert(&mut self, line: LineId) {
        self.0 |= 1 << line.index();
    }

    pub(super) fn remove(&mut self, line: LineId) {
        self.0 &= !(1 << line.index());
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = LineId> {
        (0..LineId::LIMIT as u8).map(LineId).filter(move |line| self.contains(*line))
    }
}

impl FromIterator<LineId> for Lines {
    fn from_iter<T: IntoIterator<Item = LineId>>(lines: T) -> Self {
        let mut set = Self::NONE;
        lines.into_iter().for_each(|line| set.insert(line));
        set
    }
}

impl Call {
    pub(super) fn new(id: CallId, direction: Direction, party: Party, now: Instant) -> Self {
        Self {
            id,
            account: None,
            direction,
            phase: Phase::Offered,
            line: None,
            far: None,
            offered: Lines::NONE,
            rang: Lines::NONE,
            party,
            ring: RingPattern::default(),
            began: now,
            answered: None,
            emergency: false,
            tried: 0,
            on_hold: false,
            deadline: None,
            recall: None,
            referred: None,
            partner: None,
        }
    }

    /// The line at the other end of a call inside the home.
    pub(super) fn other_line(&self, line: LineId) -> Option<LineId> {
        if self.line == Some(line) { self.far } else { self.line }
    }

    fn outcome(&self, cause: Cause) -> Outcome {
        match (self.direction, cause) {
            _ if self.answered.is_some() => Outcome::Answered,
            (Direction::In, Cause::AnsweredElsewhere) => Outcome::AnsweredElsewhere,
            (Direction::In, _) => Outcome::Missed,
            (_, Cause::Busy) => Outcome::Busy,
            (_, Cause::Normal | Cause::Cancelled | Cause::NoAnswer) => Outcome::NoAnswer,
            _ => Outcome::Failed,
        }
    }
}

impl Exchange {
    /// The next number of our half.
    pub(super) fn next_id(&mut self) -> CallId {
        loop {
            self.last_call = self.last_call.wrapping_add(2) | 1;
            let id = CallId(self.last_call);
            if self.find(id).is_none() {
                return id;
            }
        }
    }

    /// Begins a call over the network for this line; it becomes the line's active call.
    pub(super) fn dial(
        &mut self,
        line: LineId,
        account: u8,
        to: &Number,
        referred: Option<CallId>,
    ) -> Result<CallId, Tone> {
        let known = self.config.accounts.get(usize::from(account)).is_some_and(|account| account.enabled);
        if !known || !self.is_up(account) || !self.has_room(account) {
            return Err(Tone::Congestion);
        }
        let id = self.next_id();
        let party = self.named(Party { number: to.clone(), ..Party::default() });
        let mut call = Call::new(id, Direction::Out, party, self.now);
        call.account = Some(account);
        call.phase = Phase::Trying;
        call.line = Some(line);
        call.referred = referred;
        call.deadline = Some(self.now + self.config.timing.ringback);
        self.calls.push(call).map_err(|_| Tone::Congestion)?;
        let setting = self.config.lines.get(line.index());
        let withheld = setting.is_some_and(|line| line.withhold_number);
        let from = setting.filter(|line| line.account == account).and_then(|line| line.number.clone());
        let withhold = self.station(line).withhold_once.take().unwrap_or(withheld);
        let order = CallOrder::Dial { account, to: to.clone(), from, withhold, emergency: false, referred };
        self.call_order(id, order);
        Ok(id)
    }

    /// Calls for help: by the line's account, or any other, up or not.
    pub(super) fn dial_emergency(&mut self, line: LineId, to: &Number) -> Result<CallId, Tone> {
        let account = self.emergency_account(line, 0).ok_or(Tone::Congestion)?;
        self.make_room(line, account);
        let id = self.next_id();
        let party = self.named(Party { number: to.clone(), ..Party::default() });
        let mut call = Call::new(id, Direction::Out, party, self.now);
        call.account = Some(account);
        call.phase = Phase::Trying;
        call.line = Some(line);
        call.emergency = true;
        call.tried = 1 << (account & 31);
        self.calls.push(call).map_err(|_| Tone::Congestion)?;
        let callback = self.now + self.config.timing.emergency_callback;
        self.station(line).help_until = Some(callback);
        self.order_emergency(id, account, to, line);
        Ok(id)
    }

    pub(super) fn order_emergency(&mut self, id: CallId, account: u8, to: &Number, line: LineId) {
        let setting = self.config.lines.get(line.index()).filter(|line| line.account == account);
        let from = setting.and_then(|line| line.number.clone());
        let to = to.clone();
        let order = CallOrder::Dial { account, to, from, withhold: false, emergency: true, referred: None };
        self.call_order(id, order);
    }

    /// The best account for help that is not in `tried`: the line's own, then others; those that are up before those that are not.
    pub(super) fn emergency_account(&self, line: LineId, tried: u32) -> Option<u8> {
        let own = self.config.lines.get(line.index()).map_or(0, |line| line.account);
        let accounts = self.config.accounts.iter().zip(0_u8..);
        accounts
            .filter(|(account, index)| account.enabled && tried & 1 << (index & 31) == 0)
            .map(|(_, index)| index)
            .max_by_key(|index| (self.is_up(*index), *index == own, u8::MAX - *index))
    }

    pub(super) fn is_up(&self, account: u8) -> bool {
        self.up.get(usize::from(account)).copied().unwrap_or(false)
    }

    /// Whether one more call fits the limits of the router and of this account.
    pub(super) fn has_room(&self, account: u8) -> bool {
        let outside = self.calls.iter().filter(|call| call.account.is_some()).count();
        let own = self.calls.iter().filter(|call| call.account == Some(account)).count();
        let limit = self.config.accounts.get(usize::from(account)).map_or(0, |account| account.calls);
        !self.calls.is_full()
            && outside < usize::from(self.config.outside_calls).clamp(1, CALLS)
            && (limit == 0 || own < usize::from(limit))
    }

    /// Ends ordinary calls until one more fits: first those nobody talks in, then those of the calling line, then the youngest.
    pub(super) fn make_room(&mut self, line: LineId, account: u8) {
        while !self.has_room(account) {
            let own_limit = self.config.accounts.get(usize::from(account)).map_or(0, |account| account.calls);
            let own = self.calls.iter().filter(|call| call.account == Some(account)).count();
            let own_is_full = own_limit != 0 && own >= usize::from(own_limit);
            let table_is_full = self.calls.is_full();
            let victim = self
                .calls
                .iter()
                .filter(|call| !call.emergency && (call.account.is_some() || table_is_full))
                .filter(|call| !own_is_full || call.account == Some(account))
                .max_by_key(|call| (call.answered.is_none(), call.line == Some(line), call.began));
            let Some(victim) = victim.map(|call| call.id) else { return };
            self.finish(victim, Some(CallOrder::HangUp), None, Cause::Congestion);
        }
    }

    /// Calls other lines of the home; it rings at those of `lines` that can.
    pub(super) fn dial_inside(&mut self, line: LineId, lines: Lines) -> Result<CallId, Tone> {
        let mut rings = Lines::NONE;
        for target in lines.iter().filter(|target| *target != line) {
            let setting = self.config.lines.get(target.index());
            let willing = setting.is_some_and(|line| line.enabled && !line.do_not_disturb);
            if willing && (self.can_ring(target) || self.can_announce(target)) {
                rings.insert(target);
            }
        }
        if rings.is_empty() {
            return Err(Tone::Busy);
        }
        let id = self.next_id();
        let mut call = Call::new(id, Direction::Inside, self.line_party(line), self.now);
        call.line = Some(line);
        call.ring = INSIDE_RING;
        call.deadline = Some(self.now + self.config.timing.ring);
        self.calls.push(call).map_err(|_| Tone::Congestion)?;
        self.offer(id, rings);
        Ok(id)
    }

    /// How a line of the home is shown.
    pub(super) fn line_party(&self, line: LineId) -> Party {
        let mut number = Number::new();
        // Writing to a Text cuts, it does not fail.
        let _ = write!(number, "{}{}", dial_plan::INSIDE, u16::from(line.0) + 1);
        let mut name = self.config.lines.get(line.index()).map(|line| line.name.clone()).unwrap_or_default();
        if name.is_empty() {
            let _ = write!(name, "{line}");
        }
        Party { number, name, presentation: Presentation::Allowed }
    }

    /// With the phone book's name when the network told none.
    pub(super) fn named(&self, mut party: Party) -> Party {
        match party.presentation {
            Presentation::Allowed => {
                if party.name.is_empty()
                    && let Some(entry) = self.config.book.by_number(&party.number)
                {
                    party.name = entry.name.clone();
                }
            }
            Presentation::Withheld | Presentation::Unavailable => {
                (party.number, party.name) = (Number::new(), DisplayName::new());
            }
        }
        party
    }

    /// Ends a call: the carrier is told by `order`, whoever has it hears why, the log gets its line. No order for calls inside the home.
    pub(super) fn finish(
        &mut self,
        id: CallId,
        order: Option<CallOrder>,
        outcome: Option<Outcome>,
        cause: Cause,
    ) {
        let Some(position) = self.calls.iter().position(|call| call.id == id) else { return };
        let call = self.calls.swap_remove(position);
        if let Some(order) = order.filter(|_| call.account.is_some()) {
            self.call_order(id, order);
        }
        self.replace_referred(id);
        for index in 0..LineId::LIMIT as u8 {
            self.lose(LineId(index), &call, cause);
        }
        if let Some(partner) = call.partner.filter(|_| call.phase == Phase::Leaving) {
            // They left us for each other.
            self.finish(partner, Some(CallOrder::HangUp), None, Cause::Normal);
        }
        let outcome = outcome.unwrap_or_else(|| call.outcome(cause));
        if call.direction == Direction::In {
            for line in call.rang.iter().filter(|line| call.answered.is_none() || call.line == Some(*line)) {
                let station = self.station(line);
                station.last_caller.clone_from(&call.party.number);
                if outcome == Outcome::Missed {
                    station.last_missed.clone_from(&call.party.number);
                }
            }
        }
        let line = call.line.or_else(|| call.rang.iter().next());
        let seconds = call.answered.map_or(0, |answered| (self.now - answered).as_secs());
        let party = match call.direction {
            // The line that called has the entry; it knows its own number.
            Direction::Inside => call.far.or(call.rang.iter().next()).map(|far| self.line_party(far)),
            _ => None,
        };
        let entry = Entry {
            id: 0,
            party: party.unwrap_or(call.party),
            at: self.date_of(call.began),
            direction: call.direction,
            outcome,
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            account: call.account,
            line,
            quality: None,
        };
        self.log(Some(id), entry);
    }

    pub(super) fn log(&mut self, call: Option<CallId>, mut entry: Entry) {
        self.last_entry = self.last_entry.saturating_add(1);
        entry.id = self.last_entry;
        self.order(Output::Log { call, entry });
    }

    pub(super) fn date_of(&self, instant: Instant) -> Option<UnixTime> {
        let (then, time) = self.clock?;
        let seconds = if instant >= then {
            time.0.saturating_add((instant - then).as_secs())
        } else {
            time.0.saturating_sub((then - instant).as_secs())
        };
        Some(UnixTime(seconds))
    }

    /// A call is gone: what that means for one line.
    fn lose(&mut self, line: LineId, call: &Call, cause: Cause) {
        let callback = self.now + self.config.timing.emergency_callback;
        let station = self.station(line);
        if station.waiting == Some(call.id) {
            station.waiting = None;
            station.announce_again = None;
        }
        if station.held == Some(call.id) {
            station.held = None;
            station.conference = false;
            station.refine_until = None;
        }
        if station.active != Some(call.id) {
            return;
        }
        station.active = None;
        station.no_call_waiting = false;
        if call.emergency {
            station.help_until = Some(callback);
        }
        if core::mem::take(&mut station.conference) && station.held.is_some() {
            station.active = station.held.take();
            station.refine_until = None;
            return;
        }
        if call.answered.is_some() && call.account.is_some() {
            self.line_order(line, LineOrder::Disconnect);
        }
        self.refuse(line, cause.tone().unwrap_or(Tone::Busy));
    }

    /// Plays a tone to a person whose wish failed.
    pub(super) fn refuse(&mut self, line: LineId, tone: Tone) {
        let lasts = self.config.timing.busy_tone;
        self.enter(line, Stage::Tone(tone), Some(lasts));
    }
}

/// Calls from the home ring like this.
const INSIDE_RING: RingPattern = RingPattern(1);
