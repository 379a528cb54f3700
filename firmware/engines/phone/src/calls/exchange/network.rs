//! What the network does: calls that come in, go ahead, and end.

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, LineId, Number, Party, Presentation};

use super::call::{Call, Lines, Phase};
use super::{Exchange, Rejected, Stage};
use crate::call_log::{Direction, Entry, Outcome};
use crate::calls::cause::Cause;
use crate::calls::config::Line;
use crate::calls::dial_plan::{self, Destination};
use crate::calls::input::{Alert, Progress};
use crate::calls::output::{CallOrder, LineOrder, Output, RingPattern};

/// What a line says to a caller.
enum Willing {
    Rings,
    Waits,
    Busy,
    DoesNotDisturb,
    RefusesAnonymous,
    Forwards(Number),
}

impl Exchange {
    pub(super) fn incoming(
        &mut self,
        id: CallId,
        account: u8,
        called: &Number,
        from: Party,
        alert: Alert,
        replaces: Option<CallId>,
    ) -> Result<(), Rejected> {
        if self.find(id).is_some() {
            return Err(Rejected::CallNumberInUse);
        }
        if usize::from(account) >= self.config.accounts.len() {
            self.call_order(id, CallOrder::Reject(Cause::NotFound));
            return Err(Rejected::UnknownAccount);
        }
        let book_ring = match from.presentation {
            Presentation::Allowed => self.config.book.by_number(&from.number).and_then(|entry| entry.ring),
            _ => None,
        };
        let mut call = Call::new(id, Direction::In, self.named(from), self.now);
        call.account = Some(account);
        call.ring = book_ring.unwrap_or(match alert {
            Alert::Normal => RingPattern(0),
            Alert::Pattern(pattern) => RingPattern(pattern.min(8)),
        });
        if let Some(old) = replaces {
            return self.take_place(call, old);
        }
        let lines = self.lines_called(account, called);
        if lines.is_empty() {
            self.turn_away(call, CallOrder::Reject(Cause::NotFound), Outcome::Rejected, None);
            return Ok(());
        }
        if !self.has_room(account) {
            let line = lines.iter().next();
            self.turn_away(call, CallOrder::Reject(Cause::Busy), Outcome::Busy, line);
            return Err(Rejected::Full);
        }
        self.ask_lines(call, lines);
        Ok(())
    }

    /// Lets the lines decide about a call.
    fn ask_lines(&mut self, call: Call, lines: Lines) {
        let (mut rings, mut forward) = (Lines::NONE, None);
        let (mut busy, mut silent, mut anonymous) = (None, None, None);
        for line in lines.iter() {
            match self.willing(line, &call.party) {
                Willing::Rings | Willing::Waits => rings.insert(line),
                Willing::Forwards(number) => forward = forward.or(Some((line, number))),
                Willing::Busy => busy = busy.or(Some(line)),
                Willing::DoesNotDisturb => silent = silent.or(Some(line)),
                Willing::RefusesAnonymous => anonymous = anonymous.or(Some(line)),
            }
        }
        let reject = |cause| CallOrder::Reject(cause);
        if !rings.is_empty() {
            let id = call.id;
            // There is room: asked before.
            if self.calls.push(call).is_ok() {
                self.call_order(id, CallOrder::Alert);
                self.offer(id, rings);
                self.plan_ring_end(id);
            }
        } else if let Some((line, number)) = forward {
            self.forward(call, line, &number);
        } else if anonymous.is_some() {
            self.turn_away(call, reject(Cause::AnonymityRefused), Outcome::Rejected, anonymous);
        } else if busy.is_some() {
            self.turn_away(call, reject(Cause::Busy), Outcome::Busy, busy);
        } else {
            self.turn_away(call, reject(Cause::Busy), Outcome::Rejected, silent);
        }
    }

    /// Lines a called number belongs to.
    fn lines_called(&self, account: u8, called: &str) -> Lines {
        let numbering = &self.config.numbering;
        let same = |number: &Number| dial_plan::is_same_number(numbering, number, called);
        let rings =
            |line: &Line| line.enabled && (line.incoming.is_empty() || line.incoming.iter().any(same));
        let known = self.config.accounts.get(usize::from(account)).is_some_and(|account| account.enabled);
        self.all_lines()
            .iter()
            .filter(|_| known)
            .filter(|line| self.config.lines.get(line.index()).is_some_and(rings))
            .collect()
    }

    fn willing(&self, line: LineId, party: &Party) -> Willing {
        let (Some(setting), Some(station)) =
            (self.config.lines.get(line.index()), self.stations.get(line.index()))
        else {
            return Willing::Busy;
        };
        // Those who were called for help get through.
        let may_refuse = station.help_until.is_none_or(|until| until <= self.now);
        if may_refuse {
            if setting.reject_anonymous && party.presentation == Presentation::Withheld {
                return Willing::RefusesAnonymous;
            }
            if let Some(number) = &setting.forwarding.always {
                return Willing::Forwards(number.clone());
            }
            if setting.do_not_disturb {
                return Willing::DoesNotDisturb;
            }
        }
        if self.can_ring(line) {
            return Willing::Rings;
        }
        if self.can_announce(line) {
            return Willing::Waits;
        }
        match &setting.forwarding.busy {
            Some(number) if may_refuse => Willing::Forwards(number.clone()),
            _ => Willing::Busy,
        }
    }

    /// Whether the telephone is free to ring.
    pub(super) fn can_ring(&self, line: LineId) -> bool {
        let on_hook = self.stations.get(line.index()).is_some_and(|station| !station.is_off_hook());
        on_hook && !self.calls.iter().any(|call| call.offered.contains(line))
    }

    /// Whether a second caller may be announced.
    pub(super) fn can_announce(&self, line: LineId) -> bool {
        let wanted = self.config.lines.get(line.index()).is_some_and(|line| line.call_waiting);
        wanted
            && self.has_ear_for_another(line)
            && self.stations.get(line.index()).is_some_and(|station| !station.no_call_waiting)
    }

    /// Whether the person talks in one ordinary call and nobody waits.
    pub(super) fn has_ear_for_another(&self, line: LineId) -> bool {
        let Some(station) = self.stations.get(line.index()) else { return false };
        let ordinary = station.active.and_then(|id| self.find(id)).is_some_and(|call| !call.emergency);
        station.stage == Stage::Talking && station.held.is_none() && station.waiting.is_none() && ordinary
    }

    /// Rings, or announces the call to those who talk.
    pub(super) fn offer(&mut self, id: CallId, lines: Lines) {
        for line in lines.iter() {
            let Ok(call) = self.call(id) else { return };
            call.offered.insert(line);
            call.rang.insert(line);
            if self.station(line).is_off_hook() {
                self.station(line).waiting = Some(id);
                self.announce(line, false);
            }
        }
    }

    /// The call-waiting tone.
    pub(super) fn announce(&mut self, line: LineId, again: bool) {
        let next = self.now + self.config.timing.call_waiting_repeat;
        let station = self.station(line);
        let Some(id) = station.waiting else {
            station.announce_again = None;
            return;
        };
        station.announce_again = Some(next);
        let talking = station.stage == Stage::Talking;
        let caller = self.find(id).map(|call| call.party.clone());
        if let Some(caller) = caller.filter(|_| talking) {
            self.line_order(line, LineOrder::CallWaiting { caller, again });
        }
    }

    /// Rings no more at this line; the call itself stays.
    pub(super) fn withdraw(&mut self, id: CallId, line: LineId) {
        if let Ok(call) = self.call(id) {
            call.offered.remove(line);
        }
        let station = self.station(line);
        if station.waiting == Some(id) {
            station.waiting = None;
            station.announce_again = None;
        }
    }

    /// Takes every offer back from a line that is gone.
    pub(super) fn withdraw_all(&mut self, line: LineId) {
        while let Some(id) = self.calls.iter().find(|call| call.offered.contains(line)).map(|call| call.id) {
            self.withdraw(id, line);
            if self.find(id).is_some_and(|call| call.offered.is_empty()) {
                let order = match self.find(id).map(|call| call.phase) {
                    Some(Phase::Offered) => CallOrder::Reject(Cause::Busy),
                    _ => CallOrder::HangUp,
                };
                self.finish(id, Some(order), None, Cause::Busy);
            }
        }
    }

    /// When a ringing call is looked at again: at the first line's turn to forward, or at the end of all ringing.
    fn plan_ring_end(&mut self, id: CallId) {
        let Some(call) = self.find(id) else { return };
        let ends = call.began + self.config.timing.ring;
        let turns = call.offered.iter().filter_map(|line| self.no_answer_turn(line, call.began));
        let deadline = turns.map(|(turn, _)| turn).min().map_or(ends, |turn| turn.min(ends));
        if let Ok(call) = self.call(id) {
            call.deadline = Some(deadline);
        }
    }

    fn no_answer_turn(&self, line: LineId, began: Instant) -> Option<(Instant, Number)> {
        let station = self.stations.get(line.index())?;
        let forwarding = &self.config.lines.get(line.index())?.forwarding;
        if station.help_until.is_some_and(|until| until > began) {
            return None;
        }
        let number = forwarding.no_answer.clone()?;
        let seconds = match forwarding.no_answer_seconds {
            0 => NO_ANSWER_SECONDS,
            seconds => seconds,
        };
        Some((began + dialtone_base::Duration::from_secs(u64::from(seconds)), number))
    }

    /// A call's time is over: ringing, dialling, or a transfer.
    pub(super) fn call_is_due(&mut self, id: CallId) {
        let Some(call) = self.find(id) else { return };
        let (phase, direction, began, offered) = (call.phase, call.direction, call.began, call.offered);
        match (phase, direction) {
            (Phase::Offered, Direction::In) => {
                if self.now >= began + self.config.timing.ring {
                    return self.finish(id, Some(CallOrder::Reject(Cause::NoAnswer)), None, Cause::NoAnswer);
                }
                let mut forward = None;
                for line in offered.iter() {
                    if let Some((turn, number)) = self.no_answer_turn(line, began)
                        && turn <= self.now
                    {
                        self.withdraw(id, line);
                        forward = Some((line, number));
                    }
                }
                match forward {
                    Some((line, number)) if self.find(id).is_some_and(|call| call.offered.is_empty()) => {
                        if let Some(position) = self.calls.iter().position(|call| call.id == id) {
                            let call = self.calls.swap_remove(position);
                            self.forward(call, line, &number);
                        }
                    }
                    _ => self.plan_ring_end(id),
                }
            }
            (Phase::Up, _) => self.recall_is_over(id),
            (Phase::Leaving, _) => self.transfer_failed(id),
            _ => self.finish(id, Some(CallOrder::HangUp), None, Cause::NoAnswer),
        }
    }

    /// Sends a caller to another number: to a line of the home by ringing there, elsewhere by 302.
    fn forward(&mut self, mut call: Call, line: LineId, number: &str) {
        let busy = CallOrder::Reject(Cause::Busy);
        match dial_plan::stored(&self.config, line, number) {
            Destination::Inside(target) if target != line && self.can_ring(target) => {
                let id = call.id;
                call.phase = Phase::Offered;
                call.deadline = Some(self.now + self.config.timing.ring);
                call.began = self.now;
                let fresh = call.rang.is_empty();
                // There is room: asked before, or the call was in the table until now.
                if self.calls.push(call).is_ok() {
                    if fresh {
                        self.call_order(id, CallOrder::Alert);
                    }
                    self.offer(id, Lines::only(target));
                }
            }
            Destination::Outside { to, .. } => {
                let to = call
                    .account
                    .map_or(to.clone(), |account| dial_plan::formatted(&self.config, account, &to));
                self.turn_away(call, CallOrder::Redirect(to), Outcome::Forwarded, Some(line));
            }
            _ => self.turn_away(call, busy, Outcome::Busy, Some(line)),
        }
    }

    /// Refuses or redirects a call that no line has.
    fn turn_away(&mut self, call: Call, order: CallOrder, outcome: Outcome, line: Option<LineId>) {
        self.call_order(call.id, order);
        if let Some(line) = line {
            let station = self.station(line);
            station.last_caller.clone_from(&call.party.number);
            if outcome == Outcome::Busy {
                station.last_missed.clone_from(&call.party.number);
            }
        }
        let at = self.date_of(call.began);
        let (party, account) = (call.party, call.account);
        let direction = Direction::In;
        self.log(
            None,
            Entry { id: 0, party, at, direction, outcome, seconds: 0, account, line, quality: None },
        );
    }

    /// An incoming call takes the place of one there is (RFC 3891 section 3).
    fn take_place(&mut self, mut call: Call, old: CallId) -> Result<(), Rejected> {
        let id = call.id;
        let line =
            self.find(old).filter(|old| old.phase == Phase::Up && old.account.is_some()).map(|old| old.line);
        let Some(line) = line else {
            self.call_order(id, CallOrder::Reject(Cause::NotFound));
            return Err(Rejected::UnknownCall);
        };
        call.phase = Phase::Up;
        call.answered = Some(self.now);
        call.line = line;
        if self.calls.push(call).is_err() {
            self.call_order(id, CallOrder::Reject(Cause::Busy));
            return Err(Rejected::Full);
        }
        self.call_order(id, CallOrder::Answer);
        self.succeed(old, id);
        self.finish(old, Some(CallOrder::HangUp), None, Cause::Normal);
        Ok(())
    }

    pub(super) fn progress(&mut self, id: CallId, progress: Progress) -> Result<(), Rejected> {
        let call = self.call(id)?;
        match (call.phase, progress) {
            (Phase::Trying | Phase::Ringing | Phase::Early, Progress::Trying) => {}
            (Phase::Trying | Phase::Ringing, Progress::Ringing) => call.phase = Phase::Ringing,
            // The network's own sound goes on.
            (Phase::Early, Progress::Ringing) => {}
            (Phase::Trying | Phase::Ringing | Phase::Early, Progress::EarlyMedia) => {
                call.phase = Phase::Early
            }
            (Phase::Offered | Phase::Up | Phase::Leaving, _) => return Err(Rejected::WrongState),
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, id: CallId) -> Result<(), Rejected> {
        let now = self.now;
        let call = self.call(id)?;
        if !matches!(call.phase, Phase::Trying | Phase::Ringing | Phase::Early) {
            return Err(Rejected::WrongState);
        }
        call.phase = Phase::Up;
        call.answered = Some(now);
        call.deadline = None;
        let began = call.line.map(|line| (line, call.party.number.clone()));
        if let Some(old) = call.referred.take() {
            if !self.succeed(old, id) {
                self.finish(id, Some(CallOrder::HangUp), None, Cause::Normal);
            }
            self.finish(old, Some(CallOrder::HangUp), None, Cause::Normal);
        }
        if let Some((line, number)) = began.filter(|_| self.find(id).is_some()) {
            self.order(Output::Began { line, number, incoming: false });
        }
        for index in 0..LineId::LIMIT as u8 {
            let station = self.station(LineId(index));
            if station.active == Some(id) && station.stage == Stage::Calling {
                self.enter(LineId(index), Stage::Talking, None);
            }
        }
        Ok(())
    }

    pub(super) fn ended(&mut self, id: CallId, cause: Cause) -> Result<(), Rejected> {
        let call = self.find(id).filter(|call| call.account.is_some()).ok_or(Rejected::UnknownCall)?;
        let failed = !matches!(cause, Cause::Normal | Cause::Cancelled);
        if call.emergency && call.answered.is_none() && failed && self.try_help_again(id) {
            return Ok(());
        }
        self.finish(id, None, None, cause);
        Ok(())
    }

    /// Calls for help by the next account; `false` when there is none left.
    fn try_help_again(&mut self, old: CallId) -> bool {
        let Some(call) = self.find(old) else { return false };
        let (Some(line), tried, to) = (call.line, call.tried, call.party.number.clone()) else {
            return false;
        };
        let Some(account) = self.emergency_account(line, tried) else { return false };
        let id = self.next_id();
        let Ok(call) = self.call(old) else { return false };
        call.id = id;
        call.account = Some(account);
        call.tried |= 1 << (account & 31);
        call.phase = Phase::Trying;
        self.replace(line, old, id);
        self.order_emergency(id, account, &to, line);
        true
    }

    pub(super) fn identified(&mut self, id: CallId, party: Party) -> Result<(), Rejected> {
        let party = self.named(party);
        let call = self.call(id)?;
        if !party.number.is_empty() || !party.name.is_empty() {
            call.party = party;
        }
        Ok(())
    }
}

/// Before a call is forwarded, when nothing is set.
const NO_ANSWER_SECONDS: u8 = 20;
