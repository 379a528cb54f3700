//! What the loop's current means: off-hook, on-hook, flash, pulse digits.
//!
//! Current stops and flows again when a receiver is lifted or laid down, when a recall button breaks the loop for a moment, when a dial
//! breaks it once per pulse, and when contacts bounce. Only lengths tell them apart, and those differ between countries and telephones:
//! [`Timing`] is data, per line. Does not know calls or digits' meaning.

use dialtone_base::counter::Counters;
use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant, counted_reasons};
use heapless::Deque;

use crate::calls::LineEvent;

/// What a person did with the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// Lifted.
    OffHook,
    /// Laid down.
    OnHook,
    /// Recall: the loop was broken for a moment.
    Flash,
    /// A digit dialled in pulses.
    Pulse(Key),
}

impl From<HookEvent> for LineEvent {
    fn from(event: HookEvent) -> Self {
        match event {
            HookEvent::OffHook => Self::OffHook,
            HookEvent::OnHook => Self::OnHook,
            HookEvent::Flash => Self::Flash,
            HookEvent::Pulse(key) => Self::Key(key),
        }
    }
}

/// How long things take on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Shorter changes are contacts that bounce.
    pub bounce: Duration,
    /// The loop must be closed so long to be off-hook.
    pub off_hook: Duration,
    /// The loop must be open so long to be on-hook. Longer than `flash_most`.
    pub on_hook: Duration,
    /// A flash opens the loop at least so long.
    pub flash_least: Duration,
    /// And at most so long.
    pub flash_most: Duration,
    /// Pulse dialling; `None` where telephones only have keypads.
    pub pulse: Option<PulseTiming>,
}

/// How long the parts of a pulse take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PulseTiming {
    /// A pulse opens the loop at least so long.
    pub break_least: Duration,
    /// And at most so long.
    pub break_most: Duration,
    /// Between pulses of a digit the loop is closed at most so long.
    pub make_most: Duration,
}

/// What [`Hook::poll`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// This happened.
    Event(HookEvent),
    /// Nothing until then, or until the loop changes.
    Wait(Option<Instant>),
}

counted_reasons! {
    /// A change of the loop that means nothing, and a digit that became none.
    pub enum Ignored {
        /// Contacts bounced.
        Bounce = "hook-bounce",
        /// Open for less than any pulse or flash.
        ShortBreak = "hook-short-break",
        /// Open for longer than a flash, and not as long as on-hook.
        LongBreak = "hook-long-break",
        /// Pulses that make no digit: too many, or one of them misshapen.
        SpoiltDigit = "hook-spoilt-digit",
        /// The receiver was laid down within a digit.
        AbandonedDigit = "hook-abandoned-digit",
        /// Nobody polled: the event is lost.
        Full = "hook-events-full",
    }
}

/// Watches one line's loop.
#[derive(Clone, Debug)]
pub struct Hook {
    timing: Timing,
    pulses_count: bool,
    /// The loop as it was last reported, and when.
    reported: bool,
    reported_at: Instant,
    /// The loop without its bounces.
    settled: bool,
    /// When it first left that state, if it has not come back for good.
    left_at: Option<Instant>,
    phase: Phase,
    events: Deque<HookEvent, 8>,
    ignored: Counters<Ignored, { Ignored::COUNT }>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    OnHook,
    /// Closed, not yet long enough.
    Lifting {
        since: Instant,
    },
    OffHook,
    /// Open, after so many pulses of a digit: a pulse, a flash or the end.
    Open {
        since: Instant,
        pulses: u8,
    },
    /// Closed after a pulse: another one follows, or the digit is complete.
    Making {
        since: Instant,
        pulses: u8,
    },
}

impl Hook {
    /// On-hook, with an open loop. An `on_hook` time within the flash's is taken as one just beyond it.
    pub fn new(timing: Timing) -> Self {
        let beyond = timing.flash_most + Duration::from_millis(1);
        let timing = Timing { on_hook: timing.on_hook.max(beyond), ..timing };
        Self {
            timing,
            pulses_count: true,
            reported: false,
            reported_at: Instant::START,
            settled: false,
            left_at: None,
            phase: Phase::OnHook,
            events: Deque::new(),
            ignored: Counters::new(),
        }
    }

    /// The loop closed or opened, at a time the hardware knows. Times that run backwards are taken as "now".
    pub fn handle(&mut self, at: Instant, closed: bool) {
        let at = at.max(self.reported_at);
        self.advance(at);
        if closed == self.reported {
            return;
        }
        self.reported = closed;
        self.reported_at = at;
        if self.left_at.is_none() {
            self.left_at = Some(at);
        }
    }

    /// Whether pulses are digits now. In a call they are not, which leaves short breaks to be flashes.
    pub fn set_pulse_dialling(&mut self, on: bool) {
        self.pulses_count = on;
    }

    /// What happened; call until it says `Wait`.
    pub fn poll(&mut self, now: Instant) -> Output {
        self.advance(now);
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.deadline()),
        }
    }

    /// Whether the receiver is lifted, flashes and pulses notwithstanding.
    pub fn is_off_hook(&self) -> bool {
        !matches!(self.phase, Phase::OnHook | Phase::Lifting { .. })
    }

    /// Whether the loop is open and has been for long: nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::OnHook && !self.reported && self.left_at.is_none() && self.events.is_empty()
    }

    /// What meant nothing, and how often.
    pub fn ignored(&self) -> &Counters<Ignored, { Ignored::COUNT }> {
        &self.ignored
    }

    /// All that became due until `now`, in its order.
    fn advance(&mut self, now: Instant) {
        while self.deadline().is_some_and(|due| due <= now) {
            match self.left_at {
                Some(left) => self.settle(left),
                None => self.expire(),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        // While the loop may have changed already, its old state proves nothing: settle first.
        self.left_at.map(|_| self.reported_at + self.timing.bounce).or_else(|| self.expiry())
    }

    /// When the phase ends by itself.
    fn expiry(&self) -> Option<Instant> {
        match self.phase {
            Phase::OnHook | Phase::OffHook => None,
            Phase::Lifting { since } => Some(since + self.timing.off_hook),
            Phase::Open { since, .. } => Some(since + self.timing.on_hook),
            Phase::Making { since, .. } => {
                Some(since + self.timing.pulse.map_or(Duration::ZERO, |pulse| pulse.make_most))
            }
        }
    }

    /// The loop has been as reported for long enough.
    fn settle(&mut self, left: Instant) {
        self.left_at = None;
        if self.reported == self.settled {
            self.ignored.count(Ignored::Bounce);
            return;
        }
        // What ran out before the loop began to change happened before.
        while self.expiry().is_some_and(|expiry| expiry <= left) {
            self.expire();
        }
        self.settled = self.reported;
        if self.settled { self.closed(left) } else { self.opened(left) }
    }

    fn closed(&mut self, at: Instant) {
        self.phase = match self.phase {
            Phase::OnHook => Phase::Lifting { since: at },
            Phase::Open { since, pulses } => self.broken(at, at.since(since), pulses),
            other => other,
        };
    }

    fn opened(&mut self, at: Instant) {
        self.phase = match self.phase {
            Phase::Lifting { .. } => {
                self.ignored.count(Ignored::Bounce);
                Phase::OnHook
            }
            Phase::OffHook => Phase::Open { since: at, pulses: 0 },
            Phase::Making { pulses, .. } => Phase::Open { since: at, pulses },
            other => other,
        };
    }

    /// The loop closed again after `length`.
    fn broken(&mut self, at: Instant, length: Duration, pulses: u8) -> Phase {
        let pulse = self.timing.pulse.filter(|_| self.pulses_count);
        if let Some(pulse) = pulse {
            if (pulse.break_least..=pulse.break_most).contains(&length) {
                return Phase::Making { since: at, pulses: pulses.saturating_add(1) };
            }
            if pulses > 0 {
                return Phase::Making { since: at, pulses: SPOILT };
            }
        }
        if (self.timing.flash_least..=self.timing.flash_most).contains(&length) {
            self.emit(HookEvent::Flash);
        } else if length < self.timing.flash_least {
            self.ignored.count(Ignored::ShortBreak);
        } else {
            self.ignored.count(Ignored::LongBreak);
        }
        Phase::OffHook
    }

    fn expire(&mut self) {
        self.phase = match self.phase {
            Phase::OnHook => Phase::OnHook,
            Phase::OffHook => Phase::OffHook,
            Phase::Lifting { .. } => {
                self.emit(HookEvent::OffHook);
                Phase::OffHook
            }
            Phase::Open { pulses, .. } => {
                if pulses > 0 {
                    self.ignored.count(Ignored::AbandonedDigit);
                }
                self.emit(HookEvent::OnHook);
                Phase::OnHook
            }
            Phase::Making { pulses, .. } => {
                match digit(pulses) {
                    Some(key) => self.emit(HookEvent::Pulse(key)),
                    None => self.ignored.count(Ignored::SpoiltDigit),
                }
                Phase::OffHook
            }
        };
    }

    fn emit(&mut self, event: HookEvent) {
        if self.events.push_back(event).is_err() {
            self.ignored.count(Ignored::Full);
        }
    }
}

/// Ten pulses are a zero.
fn digit(pulses: u8) -> Option<Key> {
    match pulses {
        1..=9 => Key::from_event(pulses),
        10 => Key::from_event(0),
        _ => None,
    }
}

/// A digit of which one pulse had no pulse's length; more pulses do not mend it.
const SPOILT: u8 = 200;

#[cfg(test)]
mod tests;
