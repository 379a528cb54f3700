//! Transfers: joining two others, sending one elsewhere, being sent elsewhere, and the call that rings back.

use dialtone_base::Duration;
use dialtone_base::telephony::{CallId, LineId, Number};

use super::call::{Lines, Phase};
use super::{Exchange, Rejected, Stage};
use crate::call_log::Direction;
use crate::calls::cause::Cause;
use crate::calls::dial_plan::{self, Destination};
use crate::calls::input::TransferProgress;
use crate::calls::output::{CallOrder, Tone};

impl Exchange {
    /// Puts another call in the place of one at this line.
    pub(super) fn replace(&mut self, line: LineId, old: CallId, new: CallId) {
        let station = self.station(line);
        for slot in [&mut station.active, &mut station.held, &mut station.waiting] {
            if *slot == Some(old) {
                *slot = Some(new);
            }
        }
    }

    /// The answered call `new` takes the place of `old` wherever a line has it or is offered it; `false` when none is.
    pub(super) fn succeed(&mut self, old: CallId, new: CallId) -> bool {
        let mut taken = false;
        for line in (0..LineId::LIMIT as u8).map(LineId) {
            let station = self.station(line);
            taken |= [station.active, station.held, station.waiting].contains(&Some(old));
            self.replace(line, old, new);
        }
        let Ok(before) = self.call(old) else { return taken };
        let (offered, recall, deadline) =
            (core::mem::take(&mut before.offered), before.recall, before.deadline);
        if !offered.is_empty()
            && let Ok(call) = self.call(new)
        {
            call.offered = offered;
            call.recall = recall;
            call.deadline = deadline;
            taken = true;
        }
        taken
    }

    /// The call `old` ends: one its other end asked for takes its place, or ends too when no line has `old`.
    pub(super) fn replace_referred(&mut self, old: CallId) {
        while let Some(new) = self.calls.iter().find(|call| call.referred == Some(old)).map(|call| call.id) {
            let line =
                (0..LineId::LIMIT as u8).map(LineId).find(|line| self.station(*line).active == Some(old));
            let up = self.find(new).is_some_and(|call| call.phase == Phase::Up);
            if let Ok(call) = self.call(new) {
                call.referred = None;
            }
            match line {
                Some(line) => {
                    self.replace(line, old, new);
                    self.enter(line, if up { Stage::Talking } else { Stage::Calling }, None);
                }
                None => self.finish(new, Some(CallOrder::HangUp), None, Cause::Normal),
            }
        }
    }

    /// Joins two calls of this line with each other. The line has let go of both; `first` is answered, `second` need not be.
    pub(super) fn join(&mut self, line: LineId, first: CallId, second: CallId) {
        let kind = |id: CallId| self.find(id).map(|call| (call.account.is_some(), call.phase));
        let (Some((first_out, _)), Some((second_out, second_phase))) = (kind(first), kind(second)) else {
            return;
        };
        let second_up = second_phase == Phase::Up;
        match (first_out, second_out) {
            (true, true) if second_up => {
                for id in [first, second] {
                    self.leave(id, line);
                }
                if let Ok(call) = self.call(first) {
                    call.partner = Some(second);
                }
                self.call_order(first, CallOrder::TransferTo(second));
            }
            (true, true) => {
                let to = self.find(second).map(|call| call.party.number.clone()).unwrap_or_default();
                self.finish(second, Some(CallOrder::HangUp), None, Cause::Cancelled);
                self.send_to(first, line, to);
            }
            (true, false) if second_up => self.hand_over(line, second, first),
            (true, false) => {
                let rings = self.find(second).map(|call| call.offered).unwrap_or_default();
                self.finish(second, None, None, Cause::Cancelled);
                self.ring_for(first, line, rings);
            }
            (false, true) => self.hand_over(line, first, second),
            (false, false) => self.join_inside(line, first, second),
        }
    }

    /// The line at the other end of `inside` gets `call`, and `inside` is over.
    fn hand_over(&mut self, line: LineId, inside: CallId, call: CallId) {
        let other = self.find(inside).and_then(|inside| inside.other_line(line));
        let up = self.find(call).is_some_and(|call| call.phase == Phase::Up);
        let Some(other) = other.filter(|other| up || self.station(*other).active == Some(inside)) else {
            self.finish(inside, None, None, Cause::Normal);
            return self.finish(call, Some(CallOrder::HangUp), None, Cause::Normal);
        };
        if let Ok(call) = self.call(call) {
            call.line = Some(other);
        }
        // The other line may have it, hold it, or be called back by it.
        if !self.succeed(inside, call) {
            self.finish(call, Some(CallOrder::HangUp), None, Cause::Normal);
        } else if !up {
            self.enter(other, Stage::Calling, None);
        }
        self.finish(inside, None, None, Cause::Normal);
    }

    /// Two calls inside the home: the two other lines talk with each other.
    fn join_inside(&mut self, line: LineId, first: CallId, second: CallId) {
        let other = self.find(first).and_then(|call| call.other_line(line));
        let far =
            self.find(second).filter(|call| call.phase == Phase::Up).and_then(|call| call.other_line(line));
        if let Some(other) = other {
            // Nobody is joined with themselves, and nobody rings for a call of their own.
            self.withdraw(second, other);
        }
        let rings = self.find(second).is_some_and(|call| !call.offered.is_empty());
        let other = other.filter(|other| self.station(*other).active == Some(first));
        let Some(other) = other.filter(|other| far != Some(*other) && (far.is_some() || rings)) else {
            self.finish(first, None, None, Cause::Normal);
            return self.finish(second, None, None, Cause::Normal);
        };
        let party = self.line_party(other);
        if let Ok(call) = self.call(second) {
            call.line = Some(other);
            call.far = far;
            call.party = party;
        }
        self.replace(other, first, second);
        if far.is_none() {
            self.enter(other, Stage::Calling, None);
        }
        self.finish(first, None, None, Cause::Normal);
    }

    /// Sends an answered call to a number outside.
    pub(super) fn send_to(&mut self, id: CallId, line: LineId, to: Number) {
        self.leave(id, line);
        self.call_order(id, CallOrder::Transfer(to));
    }

    /// Rings other lines for an answered call; it comes back when nobody answers.
    pub(super) fn ring_for(&mut self, id: CallId, line: LineId, lines: Lines) {
        let able: Lines =
            lines.iter().filter(|target| self.can_ring(*target) || self.can_announce(*target)).collect();
        if able.is_empty() {
            return self.recall(id, line);
        }
        let deadline = self.now + self.config.timing.recall;
        if let Ok(call) = self.call(id) {
            call.recall = Some(line);
            call.deadline = Some(deadline);
        }
        self.offer(id, able);
    }

    fn leave(&mut self, id: CallId, line: LineId) {
        let deadline = self.now + TRANSFER;
        if let Ok(call) = self.call(id) {
            call.phase = Phase::Leaving;
            call.recall = Some(line);
            call.deadline = Some(deadline);
        }
    }

    /// An answered call comes back to this line: it rings, or waits beside another call; when neither can be, it ends.
    pub(super) fn recall(&mut self, id: CallId, line: LineId) {
        let known = usize::from(line.0) < self.config.lines.len();
        if !known || !self.can_ring(line) && !self.has_ear_for_another(line) {
            return self.finish(id, Some(CallOrder::HangUp), None, Cause::Normal);
        }
        let deadline = self.now + self.config.timing.recall;
        if let Ok(call) = self.call(id) {
            call.phase = Phase::Up;
            if call.account.is_some() {
                call.line = Some(line);
            }
            call.recall = None;
            call.deadline = Some(deadline);
        }
        self.offer(id, Lines::only(line));
    }

    /// Nobody took an answered call in time.
    pub(super) fn recall_is_over(&mut self, id: CallId) {
        let Some(call) = self.find(id) else { return };
        let (offered, recall) = (call.offered, call.recall);
        for line in offered.iter() {
            self.withdraw(id, line);
        }
        match recall {
            Some(line) => self.recall(id, line),
            None => self.finish(id, Some(CallOrder::HangUp), None, Cause::NoAnswer),
        }
    }

    /// The other end of `id` asks us to call somebody else.
    pub(super) fn transfer_requested(&mut self, id: CallId, to: &str) -> Result<(), Rejected> {
        let call = self.find(id).filter(|call| call.account.is_some()).ok_or(Rejected::UnknownCall)?;
        let line = call.line.filter(|_| call.phase == Phase::Up && !call.emergency);
        let pending = self.calls.iter().any(|other| other.referred == Some(id));
        let line = line.filter(|line| {
            self.stations
                .get(line.index())
                .is_some_and(|station| station.active == Some(id) && station.hears(id))
        });
        let blocked =
            line.and_then(|line| self.config.lines.get(line.index())).is_none_or(|line| line.blocked);
        if let Some(line) = line.filter(|_| !pending && !blocked)
            && let Destination::Outside { account, to } = dial_plan::stored(&self.config, line, to)
            && self.dial(line, account, &to, Some(id)).is_ok()
        {
            return Ok(());
        }
        self.call_order(id, CallOrder::RefuseTransfer);
        Err(Rejected::WrongState)
    }

    pub(super) fn transfer_progress(
        &mut self,
        id: CallId,
        progress: TransferProgress,
    ) -> Result<(), Rejected> {
        let call = self.find(id).ok_or(Rejected::UnknownCall)?;
        if call.phase != Phase::Leaving {
            return Err(Rejected::WrongState);
        }
        match progress {
            TransferProgress::Trying => {}
            // Its partner ends with it.
            TransferProgress::Done => self.finish(id, Some(CallOrder::HangUp), None, Cause::Normal),
            TransferProgress::Failed => self.transfer_failed(id),
        }
        Ok(())
    }

    /// The call comes back to the line that sent it away.
    pub(super) fn transfer_failed(&mut self, id: CallId) {
        let Ok(call) = self.call(id) else { return };
        let (partner, line) = (call.partner.take(), call.recall.take());
        if let Some(partner) = partner {
            self.finish(partner, Some(CallOrder::HangUp), None, Cause::Normal);
        }
        match line {
            Some(line) => self.recall(id, line),
            None => self.finish(id, Some(CallOrder::HangUp), None, Cause::Normal),
        }
    }

    /// `*98` and a number: the held call goes there.
    pub(super) fn transfer_held(&mut self, line: LineId, number: &str) {
        let held = self.station(line).held;
        let Some(id) = held.filter(|id| self.find(*id).is_some_and(|call| call.account.is_some())) else {
            return self.refuse(line, Tone::Congestion);
        };
        let destination = dial_plan::stored(&self.config, line, number);
        let lines = match destination {
            Destination::Inside(target) if target != line => Lines::only(target),
            Destination::Group => {
                let mut lines = self.all_lines();
                lines.remove(line);
                lines
            }
            Destination::Outside { to, .. } => {
                let account = self.find(id).and_then(|call| call.account).unwrap_or(0);
                let to = dial_plan::formatted(&self.config, account, &to);
                self.station(line).held = None;
                self.send_to(id, line, to);
                return self.confirm(line);
            }
            _ => return self.refuse(line, Tone::SpecialInformation),
        };
        let able = lines.iter().any(|target| self.can_ring(target) || self.can_announce(target));
        if !able {
            return self.refuse(line, Tone::Busy);
        }
        self.station(line).held = None;
        self.ring_for(id, line, lines);
        self.confirm(line);
    }

    /// Whether putting the receiver down with these two calls is meant to join them: the younger one was dialled here to ask. Two callers who
    /// met by call waiting are never joined by accident.
    pub(super) fn is_consultation(&self, line: LineId, held: CallId, active: CallId) -> bool {
        let (Some(one), Some(other)) = (self.find(held), self.find(active)) else { return false };
        let younger = if other.began >= one.began { other } else { one };
        let dialled_here = younger.direction != Direction::In && younger.line == Some(line);
        dialled_here && !one.emergency && !other.emergency && one.phase == Phase::Up
    }
}

/// A transfer that takes longer has failed.
const TRANSFER: Duration = Duration::from_secs(60);
