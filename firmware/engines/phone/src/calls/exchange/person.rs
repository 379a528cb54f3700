//! What a person does at a telephone: lift, dial, tap the hook, put down.

use dialtone_base::Duration;
use dialtone_base::telephony::{CallId, Key, LineId, Number, Party};

use super::call::{Lines, Phase};
use super::{Exchange, Rejected, Stage};
use crate::call_log::{Direction, Entry, Outcome};
use crate::calls::cause::Cause;
use crate::calls::dial_plan::{self, Collect, Destination};
use crate::calls::features::{Action, RECALL_KEYS, Recall, StarCode};
use crate::calls::output::{CallOrder, Feature, FeatureChange, Output, Tone};

impl Exchange {
    pub(super) fn lift(&mut self, line: LineId) -> Result<(), Rejected> {
        if self.station(line).is_off_hook() {
            return Err(Rejected::WrongState);
        }
        match self.calls.iter().find(|call| call.offered.contains(line)).map(|call| call.id) {
            Some(id) => self.answer(line, id),
            None => self.start_dialling(line),
        }
        Ok(())
    }

    pub(super) fn put_down(&mut self, line: LineId) -> Result<(), Rejected> {
        if !self.station(line).is_off_hook() {
            return Err(Rejected::WrongState);
        }
        let joins = self.config.lines.get(line.index()).is_some_and(|line| line.transfer_on_hang_up);
        let station = self.station(line);
        let (active, held) = (station.active.take(), station.held.take());
        let conference = core::mem::take(&mut station.conference);
        station.waiting = None;
        station.announce_again = None;
        station.withhold_once = None;
        station.no_call_waiting = false;
        station.digits = Number::new();
        self.enter(line, Stage::OnHook, None);
        match (active, held) {
            (Some(active), Some(held))
                if joins && (conference || self.is_consultation(line, held, active)) =>
            {
                self.join(line, held, active);
            }
            (Some(active), Some(held)) if conference => {
                self.hang_up(held);
                self.hang_up(active);
            }
            (active, held) => {
                active.into_iter().for_each(|active| self.hang_up(active));
                held.into_iter().for_each(|held| self.recall(held, line));
            }
        }
        Ok(())
    }

    pub(super) fn flash(&mut self, line: LineId) -> Result<(), Rejected> {
        let emergency = self.active_emergency(line);
        let station = self.station(line);
        match station.stage {
            Stage::OnHook => return Err(Rejected::WrongState),
            _ if emergency => return Err(Rejected::WrongState),
            Stage::Talking if station.waiting.is_some() && station.held.is_none() => {
                let waiting = station.waiting.take();
                station.held = station.active.take();
                waiting.into_iter().for_each(|waiting| self.answer(line, waiting));
                self.refine(line);
            }
            Stage::Talking if station.conference => {
                station.conference = false;
                self.refine(line);
            }
            Stage::Talking if station.held.is_some() => {
                core::mem::swap(&mut station.active, &mut station.held);
                self.refine(line);
            }
            Stage::Talking => {
                station.held = station.active.take();
                self.start_dialling(line);
            }
            Stage::Calling if station.held.is_some() => {
                let active = station.active.take();
                active.into_iter().for_each(|active| self.hang_up(active));
                self.back_to_held(line);
            }
            // Nothing to go back to: the call goes on.
            Stage::Calling => return Err(Rejected::WrongState),
            _ if station.held.is_some() => self.back_to_held(line),
            _ => match station.waiting.take() {
                Some(waiting) => self.answer(line, waiting),
                None => self.start_dialling(line),
            },
        }
        Ok(())
    }

    pub(super) fn key(&mut self, line: LineId, key: Key) -> Result<(), Rejected> {
        let now = self.now;
        let station = self.station(line);
        match station.stage {
            Stage::OnHook => Err(Rejected::WrongState),
            Stage::Dialling => {
                self.digit(line, key);
                Ok(())
            }
            Stage::Confirmed => {
                self.start_dialling(line);
                self.digit(line, key);
                Ok(())
            }
            Stage::Talking | Stage::Calling => {
                let refines = station.refine_until.take().is_some_and(|until| now < until);
                let (active, two) = (station.active, station.held.is_some());
                let recall = RECALL_KEYS.iter().find(|(recall, ..)| *recall == key);
                if let Some((_, recall, _)) = recall.filter(|_| refines && two) {
                    self.recall_key(line, *recall);
                    return Ok(());
                }
                let carried = |id: &CallId| {
                    let call = self.find(*id);
                    call.is_some_and(|call| {
                        call.account.is_some() && matches!(call.phase, Phase::Up | Phase::Early)
                    })
                };
                match active.filter(carried) {
                    Some(active) => {
                        self.call_order(active, CallOrder::Key(key));
                        Ok(())
                    }
                    None => Err(Rejected::WrongState),
                }
            }
            Stage::Tone(_) | Stage::Howling | Stage::Silent => Err(Rejected::WrongState),
        }
    }

    /// Dial tone.
    pub(super) fn start_dialling(&mut self, line: LineId) {
        let first_digit = self.config.timing.first_digit;
        self.station(line).digits = Number::new();
        self.enter(line, Stage::Dialling, Some(first_digit));
    }

    /// The confirmation tone, then dial tone.
    pub(super) fn confirm(&mut self, line: LineId) {
        let lasts = self.config.timing.confirmation;
        self.enter(line, Stage::Confirmed, Some(lasts));
    }

    /// Takes a call that rings or waits; one that was answered before comes off hold.
    pub(super) fn answer(&mut self, line: LineId, id: CallId) {
        let now = self.now;
        let Ok(call) = self.call(id) else { return self.start_dialling(line) };
        let offered = core::mem::take(&mut call.offered);
        let outside = call.account.is_some();
        call.deadline = None;
        call.recall = None;
        let caller = call.line;
        if outside {
            call.line = Some(line);
        } else if call.phase == Phase::Offered {
            call.far = Some(line);
        }
        if call.phase == Phase::Offered {
            call.phase = Phase::Up;
            call.answered = Some(now);
            let number = call.party.number.clone();
            if outside {
                self.call_order(id, CallOrder::Answer);
                self.order(Output::Began { line, number, incoming: true });
            } else if let Some(caller) = caller {
                let number = self.line_party(line).number;
                self.order(Output::Began { line: caller, number, incoming: false });
            }
        }
        for other in offered.iter() {
            self.withdraw(id, other);
        }
        if let Some(caller) = caller.filter(|_| !outside)
            && self.station(caller).stage == Stage::Calling
            && self.station(caller).active == Some(id)
        {
            self.enter(caller, Stage::Talking, None);
        }
        self.station(line).active = Some(id);
        self.enter(line, Stage::Talking, None);
    }

    /// Ends a call this line has let go of.
    pub(super) fn hang_up(&mut self, id: CallId) {
        self.finish(id, Some(CallOrder::HangUp), None, Cause::Normal);
    }

    /// Time for the next digit is over.
    pub(super) fn digits_are_over(&mut self, line: LineId) {
        let digits = self.station(line).digits.clone();
        if digits.is_empty() {
            return self.refuse(line, Tone::Congestion);
        }
        self.go(line, &digits);
    }

    fn active_emergency(&self, line: LineId) -> bool {
        let active = self.stations.get(line.index()).and_then(|station| station.active);
        active.and_then(|id| self.find(id)).is_some_and(|call| call.emergency)
    }

    fn refine(&mut self, line: LineId) {
        self.station(line).refine_until = Some(self.now + REFINE);
    }

    fn back_to_held(&mut self, line: LineId) {
        let station = self.station(line);
        station.active = station.held.take();
        station.digits = Number::new();
        self.enter(line, Stage::Talking, None);
    }

    fn recall_key(&mut self, line: LineId, recall: Recall) {
        let station = self.station(line);
        match recall {
            Recall::EndThis => {
                let this = station.active.take();
                station.active = station.held.take();
                this.into_iter().for_each(|this| self.hang_up(this));
            }
            Recall::EndOther => {
                let other = station.held.take();
                other.into_iter().for_each(|other| self.hang_up(other));
            }
            Recall::Stay => {}
            Recall::Conference => station.conference = true,
            Recall::Transfer => {
                let (active, held) = (station.active.take(), station.held.take());
                self.confirm(line);
                if let (Some(active), Some(held)) = (active, held) {
                    self.join(line, held, active);
                }
            }
        }
    }

    fn digit(&mut self, line: LineId, key: Key) {
        let digits = self.station(line).digits.clone();
        let mut longer = digits.clone();
        // Writing to a Text cuts, it does not fail.
        let _ = core::fmt::Write::write_char(&mut longer, key.as_char());
        let verdict = dial_plan::collect(&self.config, &longer);
        if key == Key::HASH && !digits.is_empty() && verdict == Collect::Never {
            return self.go(line, &digits);
        }
        let timing = self.config.timing;
        let full = longer == digits;
        self.station(line).digits = longer.clone();
        match verdict {
            _ if full => self.refuse(line, Tone::SpecialInformation),
            Collect::More => self.enter(line, Stage::Dialling, Some(timing.inter_digit)),
            Collect::CouldEnd => {
                // A household that wants short pauses wants this one no longer.
                let lasts = timing.short_inter_digit.min(timing.inter_digit);
                self.enter(line, Stage::Dialling, Some(lasts));
            }
            Collect::Complete => self.go(line, &longer),
            Collect::Never => self.refuse(line, Tone::SpecialInformation),
        }
    }

    /// Does what was dialled.
    fn go(&mut self, line: LineId, digits: &Number) {
        let destination = dial_plan::dialled(&self.config, line, digits);
        match &destination {
            Destination::Inside(_) | Destination::Group | Destination::Outside { .. } => {
                self.station(line).last_dialled.clone_from(digits);
            }
            _ => {}
        }
        self.call_destination(line, destination, digits);
    }

    fn call_destination(&mut self, line: LineId, destination: Destination, digits: &Number) {
        let setting = self.config.lines.get(line.index());
        let (enabled, blocked) = setting.map_or((false, true), |line| (line.enabled, line.blocked));
        let result = match destination {
            Destination::Emergency(to) => self.dial_emergency(line, &to),
            _ if !enabled => Err(Tone::Congestion),
            Destination::Inside(target) => self.dial_inside(line, Lines::only(target)),
            Destination::Group => self.dial_inside(line, self.all_lines()),
            Destination::Feature(code, rest) => return self.feature(line, code, &rest),
            Destination::Outside { account, to } if !blocked => self.dial(line, account, &to, None),
            Destination::Outside { .. } | Destination::Blocked => {
                self.log_blocked(line, digits);
                Err(Tone::SpecialInformation)
            }
            Destination::Unknown => Err(Tone::SpecialInformation),
        };
        match result {
            Ok(id) => {
                self.station(line).active = Some(id);
                self.station(line).digits = Number::new();
                self.enter(line, Stage::Calling, None);
            }
            Err(tone) => self.refuse(line, tone),
        }
    }

    fn log_blocked(&mut self, line: LineId, digits: &Number) {
        let party = self.named(Party { number: digits.clone(), ..Party::default() });
        let (at, direction, outcome) = (self.date_of(self.now), Direction::Out, Outcome::Blocked);
        let (account, line) = (None, Some(line));
        self.log(
            None,
            Entry { id: 0, party, at, direction, outcome, seconds: 0, account, line, quality: None },
        );
    }

    fn feature(&mut self, line: LineId, code: &StarCode, number: &Number) {
        let feature = match code.action {
            Action::Redial | Action::CallReturn => {
                let station = self.station(line);
                let to = match code.action {
                    Action::Redial => station.last_dialled.clone(),
                    _ if station.last_missed.is_empty() => station.last_caller.clone(),
                    _ => station.last_missed.clone(),
                };
                if to.is_empty() {
                    return self.refuse(line, Tone::SpecialInformation);
                }
                let destination = dial_plan::stored(&self.config, line, &to);
                return self.call_destination(line, destination, &to);
            }
            Action::WithholdOnce(withhold) => {
                self.station(line).withhold_once = Some(withhold);
                return self.start_dialling(line);
            }
            Action::NoCallWaitingOnce => {
                self.station(line).no_call_waiting = true;
                return self.start_dialling(line);
            }
            Action::Transfer => return self.transfer_held(line, number),
            Action::Withhold(on) => Feature::WithholdNumber(on),
            Action::CallWaiting(on) => Feature::CallWaiting(on),
            Action::DoNotDisturb(on) => Feature::DoNotDisturb(on),
            Action::RejectAnonymous(on) => Feature::RejectAnonymous(on),
            Action::ForwardAlwaysOff => Feature::ForwardAlways(None),
            Action::ForwardBusyOff => Feature::ForwardBusy(None),
            Action::ForwardNoAnswerOff => Feature::ForwardNoAnswer(None),
            Action::ForwardAlways | Action::ForwardBusy | Action::ForwardNoAnswer => {
                let number = match dial_plan::stored(&self.config, line, number) {
                    Destination::Outside { .. } => Some(number.clone()),
                    Destination::Inside(target) if target != line => Some(number.clone()),
                    _ => return self.refuse(line, Tone::SpecialInformation),
                };
                match code.action {
                    Action::ForwardAlways => Feature::ForwardAlways(number),
                    Action::ForwardBusy => Feature::ForwardBusy(number),
                    _ => Feature::ForwardNoAnswer(number),
                }
            }
        };
        self.switch(line, feature);
        self.confirm(line);
    }

    /// Switches a feature here, and says so to whoever keeps the settings.
    fn switch(&mut self, line: LineId, feature: Feature) {
        if let Some(setting) = self.config.lines.get_mut(line.index()) {
            match feature.clone() {
                Feature::CallWaiting(on) => setting.call_waiting = on,
                Feature::DoNotDisturb(on) => setting.do_not_disturb = on,
                Feature::ForwardAlways(number) => setting.forwarding.always = number,
                Feature::ForwardBusy(number) => setting.forwarding.busy = number,
                Feature::ForwardNoAnswer(number) => setting.forwarding.no_answer = number,
                Feature::WithholdNumber(on) => setting.withhold_number = on,
                Feature::RejectAnonymous(on) => setting.reject_anonymous = on,
            }
        }
        self.order(Output::Change(FeatureChange { line, feature }));
    }
}

/// A digit after a flash says what it meant.
const REFINE: Duration = Duration::from_secs(3);
