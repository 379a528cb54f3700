//! What the loop's current means: off-hook, on-hook, flash, pulse digits.
//!
//! Current stops and flows again when a receiver is lifted or laid down, when a recall button breaks the loop for a moment, when a dial
//! breaks it once per pulse, and when contacts bounce. Only lengths tell them apart, and those differ between countries and telephones:
//! [`Timing`] is data, per line. Does not know calls or digits' meaning.

use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant};

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

/// Watches one line's loop.
#[derive(Clone, Debug)]
pub struct Hook {
    timing: Timing,
}

impl Hook {
    /// On-hook, with an open loop.
    pub fn new(timing: Timing) -> Self {
        Self { timing }
    }

    /// The loop closed or opened, at a time the hardware knows.
    pub fn handle(&mut self, at: Instant, closed: bool) {
        let _ = (at, closed, self.timing);
    }

    /// Whether pulses are digits now. In a call they are not, which leaves short breaks to be flashes.
    pub fn set_pulse_dialling(&mut self, on: bool) {
        let _ = on;
    }

    /// What happened; call until it says `Wait`.
    pub fn poll(&mut self, now: Instant) -> Output {
        let _ = now;
        Output::Wait(None)
    }

    /// Whether the receiver is lifted, flashes and pulses notwithstanding.
    pub fn is_off_hook(&self) -> bool {
        false
    }
}
