//! Settling: what was told to lines, voice path and carrier becomes what now holds.

use dialtone_base::telephony::{CallId, LineId};
use heapless::Vec;

use super::call::{Call, Phase};
use super::{CALLS, Exchange, Stage};
use crate::call_log::Direction;
use crate::calls::output::{CallOrder, LineOrder, Output, RingPattern, Tone, Voice};

impl Exchange {
    /// Orders every difference.
    pub(super) fn settle(&mut self) {
        self.settle_holds();
        for index in 0..LineId::LIMIT as u8 {
            let line = LineId(index);
            self.settle_ring(line);
            self.settle_tone(line);
            self.settle_voice(line);
            self.settle_wires(line);
        }
    }

    fn settle_holds(&mut self) {
        let mut orders: Vec<(CallId, CallOrder), CALLS> = Vec::new();
        for call in self.calls.iter_mut().filter(|call| call.account.is_some() && call.phase == Phase::Up) {
            let heard = self.stations.iter().any(|station| station.hears(call.id));
            if heard == call.on_hold {
                call.on_hold = !heard;
                // There is room for every call.
                let _ = orders.push((call.id, if heard { CallOrder::Resume } else { CallOrder::Hold }));
            }
        }
        for (id, order) in orders {
            self.call_order(id, order);
        }
    }

    fn settle_ring(&mut self, line: LineId) {
        let on_hook = !self.station(line).is_off_hook();
        let offered = self.calls.iter().find(|call| on_hook && call.offered.contains(line));
        let wanted = offered.map(|call| (call.id, self.pattern(call, line)));
        let caller = offered.map(|call| call.party.clone());
        let told = &mut self.station(line).told.ringing;
        if *told == wanted {
            return;
        }
        let before = core::mem::replace(told, wanted);
        if before.is_some() {
            self.line_order(line, LineOrder::StopRing);
        }
        if let (Some((_, pattern)), Some(caller)) = (wanted, caller) {
            self.line_order(line, LineOrder::Ring { pattern, caller });
        }
    }

    /// The caller's ring before the account's before the line's.
    fn pattern(&self, call: &Call, line: LineId) -> RingPattern {
        let account = call.account.and_then(|account| self.config.accounts.get(usize::from(account)));
        let patterns = [
            call.ring,
            account.map(|account| account.ring).unwrap_or_default(),
            self.config.lines.get(line.index()).map(|line| line.ring).unwrap_or_default(),
        ];
        patterns.into_iter().find(|pattern| *pattern != RingPattern(0)).unwrap_or_default()
    }

    fn settle_tone(&mut self, line: LineId) {
        let wanted = self.wanted_tone(line);
        let told = &mut self.station(line).told.tone;
        if *told != wanted {
            *told = wanted;
            self.line_order(line, wanted.map_or(LineOrder::Silence, LineOrder::Tone));
        }
    }

    fn wanted_tone(&self, line: LineId) -> Option<Tone> {
        let station = self.stations.get(line.index())?;
        match station.stage {
            Stage::OnHook | Stage::Talking | Stage::Silent => None,
            Stage::Dialling if !station.digits.is_empty() => None,
            Stage::Dialling if station.held.is_some() => Some(Tone::RecallDial),
            Stage::Dialling => Some(self.dial_tone(line)),
            Stage::Calling => {
                let call = station.active.and_then(|id| self.find(id))?;
                matches!(call.phase, Phase::Ringing | Phase::Offered).then_some(Tone::Ringback)
            }
            Stage::Tone(tone) => Some(tone),
            Stage::Confirmed => Some(Tone::Confirmation),
            Stage::Howling => Some(Tone::Howler),
        }
    }

    fn dial_tone(&self, line: LineId) -> Tone {
        let Some(setting) = self.config.lines.get(line.index()) else { return Tone::NoService };
        let account = setting.account;
        let works = self.config.accounts.get(usize::from(account)).is_some_and(|account| account.enabled);
        if !setting.enabled || !works || !self.is_up(account) {
            return Tone::NoService;
        }
        let messages = self.messages.get(usize::from(account)).is_some_and(|messages| *messages > 0);
        let silent = setting.do_not_disturb || setting.forwarding.always.is_some();
        if messages || silent { Tone::StutterDial } else { Tone::Dial }
    }

    fn settle_voice(&mut self, line: LineId) {
        let with = self.wanted_voice(line);
        let told = &mut self.station(line).told.with;
        if *told != with {
            told.clone_from(&with);
            self.order(Output::Connect { line, with });
        }
    }

    fn wanted_voice(&self, line: LineId) -> Vec<Voice, 2> {
        let Some(station) = self.stations.get(line.index()) else { return Vec::new() };
        let second = station.held.filter(|_| station.conference);
        let heard = [station.active, second].into_iter().flatten().filter(|id| station.hears(*id));
        heard.filter_map(|id| self.voice(line, id)).collect()
    }

    /// What `line` is joined with in this call, when there is something to hear.
    fn voice(&self, line: LineId, id: CallId) -> Option<Voice> {
        let call = self.find(id)?;
        match (call.phase, call.account) {
            (Phase::Up | Phase::Early, Some(_)) => Some(Voice::Call(id)),
            (Phase::Up, None) => {
                let other = call.other_line(line)?;
                let there = self.stations.get(other.index())?;
                there.hears(id).then_some(Voice::Line(other))
            }
            _ => None,
        }
    }

    /// Polarity and message lamp.
    fn settle_wires(&mut self, line: LineId) {
        let account = self.config.lines.get(line.index()).map(|line| line.account);
        let messages =
            account.and_then(|account| self.messages.get(usize::from(account)).copied()).unwrap_or(0);
        let station = self.station(line);
        let talking = station.active.filter(|_| station.stage == Stage::Talking);
        let reversed =
            talking.and_then(|id| self.find(id)).is_some_and(|call| call.direction == Direction::Out);
        let told = &mut self.station(line).told;
        if told.reversed != reversed {
            told.reversed = reversed;
            self.line_order(line, LineOrder::Polarity { reversed });
        }
        let told = &mut self.station(line).told;
        if told.messages != (messages > 0) {
            told.messages = messages > 0;
            self.line_order(line, LineOrder::MessageWaiting(messages > 0));
        }
    }
}
