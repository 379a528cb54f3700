//! One line's signalling: the hook on one side, the bell on the other.
//!
//! Joins [`Hook`] and [`Ringer`] with the line's driver and says what the voice path shall sound. The converter runs while the receiver is
//! lifted or somebody's number is sent, and rests otherwise.

use core::task::{Context, Poll};

use dialtone_base::counter::Reason;
use dialtone_base::telephony::{LineId, Party};
use dialtone_base::{Duration, Instant};
use dialtone_hal_api::line::{LineHandle, LoopTransition};
use dialtone_phone::Country;
use dialtone_phone::caller_id::{self, CallWaiting, Transmission};
use dialtone_phone::calls::{LineEvent, LineOrder};
use dialtone_phone::hook::{self, Hook, HookEvent};
use dialtone_phone::ring::{self, LoopMeaning, Ringer};
use dialtone_signal::Rate;

use super::{facts, words};
use crate::media::Order;
use crate::state::LineView;

/// One line.
pub(super) struct LineSignals {
    pub id: LineId,
    handle: LineHandle,
    hook: Hook,
    ringer: Ringer,
    country: &'static Country,
    caller_id: Option<caller_id::Standard>,
    /// A setup that is not yet in force.
    setup: Option<facts::Line>,
    transmission: Option<Transmission>,
    sending: bool,
    /// The message for the lamp is over then.
    lamp_until: Option<Instant>,
    talking: bool,
    deadline: Option<Instant>,
}

/// What happened, or shall sound. Handed on at once, never kept.
#[allow(clippy::large_enum_variant)]
pub(super) enum Output {
    Event(LineEvent),
    Sound(Order),
}

impl LineSignals {
    pub fn new(id: LineId, handle: &LineHandle) -> Self {
        let country = Country::fallback();
        Self {
            id,
            handle: handle.clone(),
            country,
            hook: Hook::new(country.hook),
            ringer: Ringer::new(country),
            caller_id: Some(country.caller_id),
            setup: None,
            transmission: None,
            sending: false,
            lamp_until: None,
            talking: false,
            deadline: None,
        }
    }

    pub fn poll_transition(&self, context: &mut Context<'_>) -> Poll<LoopTransition> {
        self.handle.poll_transition(context)
    }

    /// Another country, other timings: once the line is idle.
    pub fn set_up(&mut self, setup: facts::Line) {
        self.setup = Some(setup);
        self.follow_setup();
    }

    fn follow_setup(&mut self) {
        // A loop without battery would stay so, and a receiver just lifted would not be noticed.
        if !self.ringer.is_idle() || !self.hook.is_idle() {
            return;
        }
        let Some(setup) = self.setup.take() else { return };
        self.hook = Hook::new(setup.hook);
        self.country = setup.sound.country;
        self.ringer = Ringer::new(self.country);
        self.caller_id = setup.caller_id;
    }

    pub fn transition(&mut self, now: Instant, transition: LoopTransition) {
        if self.ringer.loop_changed(now, transition.closed) == LoopMeaning::Person {
            self.hook.handle(transition.at, transition.closed);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        [self.deadline, self.lamp_until].into_iter().flatten().min()
    }

    /// In a call breaks of the loop are flashes; before it they may be pulses.
    pub fn set_talking(&mut self, talking: bool) {
        self.talking = talking;
        self.hook.set_pulse_dialling(!talking);
    }

    /// How it is, for people.
    pub fn view(&self) -> LineView {
        let state = match (self.hook.is_off_hook(), self.talking, self.ringer.is_ringing()) {
            (true, true, _) => "talking",
            (true, false, _) => "off-hook",
            (false, _, true) => "ringing",
            (false, _, false) => "on-hook",
        };
        let losses = self.handle.losses();
        let losses =
            losses.iter().filter(|(_, count)| *count > 0).map(|(reason, count)| (reason.name(), count));
        LineView { name: self.handle.info.name.clone(), state, losses: losses.collect() }
    }

    /// What happened or is due; `None` when there is nothing more.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        self.follow_setup();
        if self.lamp_until.is_some_and(|end| end <= now) {
            self.lamp_until = None;
            self.sending = false;
            self.follow_audio();
        }
        let hook_deadline = match self.hook.poll(now) {
            hook::Output::Event(event) => return Some(Output::Event(self.hooked(event))),
            hook::Output::Wait(deadline) => deadline,
        };
        loop {
            match self.ringer.poll(now) {
                ring::Output::Feed(feed) => self.handle.set_feed(feed),
                ring::Output::SendCallerId => {
                    if let Some(transmission) = self.transmission.take() {
                        self.sending = true;
                        self.follow_audio();
                        return Some(Output::Sound(Order::CallerId { line: self.id, transmission }));
                    }
                }
                ring::Output::CallerIdOver => {
                    self.sending = false;
                    self.follow_audio();
                }
                // The receiver was lifted while the telephone listened with a loop closed by itself.
                ring::Output::Answered => {
                    self.hook.handle(now, true);
                    return self.poll(now);
                }
                ring::Output::Wait(deadline) => {
                    self.deadline = [deadline, hook_deadline].into_iter().flatten().min();
                    return None;
                }
            }
        }
    }

    fn hooked(&mut self, event: HookEvent) -> LineEvent {
        let event = match event {
            HookEvent::OffHook => LineEvent::OffHook,
            HookEvent::OnHook => LineEvent::OnHook,
            HookEvent::Flash => LineEvent::Flash,
            HookEvent::Pulse(key) => LineEvent::Key(key),
        };
        self.follow_audio();
        event
    }

    fn follow_audio(&self) {
        self.handle.set_audio(self.hook.is_off_hook() || self.sending);
    }

    /// What the exchange wants of the line; what of it is the voice path's.
    pub fn order(&mut self, now: Instant, order: LineOrder) -> Option<Order> {
        let line = self.id;
        match order {
            LineOrder::Tone(tone) => Some(Order::Tone { line, tone: words::tone(tone) }),
            LineOrder::Silence => Some(Order::Quiet { line }),
            LineOrder::Ring { pattern, caller } => {
                let caller = self.as_dialled(caller);
                self.transmission =
                    self.caller_id.map(|standard| Transmission::caller(standard, self.rate(), &caller, None));
                let duration = self.transmission.as_ref().map(Transmission::duration);
                let caller_id =
                    self.caller_id.zip(duration).map(|(standard, length)| (standard.delivery, length));
                self.ringer.start(now, pattern, caller_id);
                None
            }
            LineOrder::StopRing => {
                self.transmission = None;
                self.sending = false;
                self.ringer.stop(now);
                self.follow_audio();
                Some(Order::Quiet { line })
            }
            LineOrder::CallWaiting { caller, again } => {
                Some(self.call_waiting(&self.as_dialled(caller), again))
            }
            LineOrder::Disconnect => {
                self.ringer.disconnect(now);
                None
            }
            LineOrder::Polarity { reversed } => {
                self.ringer.set_reversed(reversed);
                None
            }
            LineOrder::MessageWaiting(waiting) => self.message_lamp(now, waiting),
        }
    }

    /// Lights a telephone's message lamp, or puts it out, where callers are told by FSK. A line in use hears the stutter of its next dial tone.
    fn message_lamp(&mut self, now: Instant, waiting: bool) -> Option<Order> {
        let standard = self.caller_id?;
        if self.hook.is_off_hook() || self.ringer.is_ringing() {
            return None;
        }
        let transmission = Transmission::message_waiting(standard, self.rate(), waiting);
        if transmission.duration() == Duration::ZERO {
            return None;
        }
        self.lamp_until = Some(now + transmission.duration());
        self.sending = true;
        self.follow_audio();
        Some(Order::CallerId { line: self.id, transmission })
    }

    fn call_waiting(&self, caller: &Party, again: bool) -> Order {
        match self.caller_id.filter(|_| !again) {
            Some(standard) => {
                let waiting = CallWaiting::new(self.country, standard, self.rate(), Some(caller), None);
                Order::CallWaiting { line: self.id, waiting }
            }
            None => Order::CallWaitingAgain { line: self.id },
        }
    }

    /// With the number as people here dial it: a telephone's "call back" must work.
    fn as_dialled(&self, caller: Party) -> Party {
        Party { number: self.country.dialling.as_dialled(&caller.number), ..caller }
    }

    fn rate(&self) -> Rate {
        Rate::from_hertz(self.handle.info.sample_rate).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use dialtone_hal_api::line::{Feed, LineInfo, line};
    use dialtone_settings::tree::telephony::Telephony;
    use embassy_futures::poll_once;

    fn drain(signals: &mut LineSignals, millis: u64) -> Vec<LineEvent> {
        let now = Instant::from_millis(millis);
        core::iter::from_fn(|| signals.poll(now))
            .filter_map(|output| match output {
                Output::Event(event) => Some(event),
                Output::Sound(_) => None,
            })
            .collect()
    }

    #[test]
    fn settings_changed_at_any_moment_leave_battery_and_hook_alone() {
        // The far end hangs up, then this one, within the disconnect signal; then somebody lifts. New settings come at any time of it.
        for changed in (0..4_000).step_by(50) {
            let (handle, driver) =
                line(LineInfo { name: dialtone_base::text::Text::lossy("phone1"), sample_rate: 8000 });
            let mut signals = LineSignals::new(LineId(0), &handle);
            let mut heard = Vec::new();
            for millis in (0..5_000).step_by(10) {
                let now = Instant::from_millis(millis);
                let closed = match millis {
                    100 => Some(true),
                    500 => Some(false),
                    3_500 => Some(true),
                    _ => None,
                };
                if let Some(closed) = closed {
                    signals.transition(now, LoopTransition { at: now, closed });
                }
                if millis == 1_500 {
                    signals.order(now, LineOrder::Disconnect);
                }
                if millis == changed {
                    signals.set_up(facts::line(&Telephony::default(), 0));
                }
                heard.extend(drain(&mut signals, millis));
            }
            assert_eq!(
                heard,
                [LineEvent::OffHook, LineEvent::OnHook, LineEvent::OffHook],
                "settings at {changed} ms"
            );
            assert_eq!(poll_once(driver.feed()), Poll::Ready(Feed::Forward), "settings at {changed} ms");
        }
    }
}
