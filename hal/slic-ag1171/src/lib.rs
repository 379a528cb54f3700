//! Silvertel Ag1171: a telephone line from one small module and four pins.
//!
//! The module makes battery (48 V) and ringing (about 60 V) from 3.3 to 5 V and turns two wires into four. [`Ag1171`] works its pins: a value
//! with a clock argument over `embedded-hal`. [`Runner`] joins it with a [`Codec`] to a line of `hal/api`.
//!
//! What the data sheet asks for, and where this file does it:
//!
//! | Fact | Source | Here |
//! |---|---|---|
//! | ringing: RM high and F/R toggled at the ringing frequency, 20 to 25 Hz; RM low at all other times | V1.0 §5.3 | `Phase::Ringing` |
//! | F/R high is forward, low is reverse | V1.0 §5.9 | `Phase::Idle` |
//! | SHK high is off-hook and follows dial pulses; 3.3 kΩ pull-up inside | V1.6, second-hand | `sample` |
//! | ring trip: SHK pulses; debounce 10 ms, F/R high, then RM low after more than 10 and less than 500 ms | V1.6, second-hand | `Phase::Stopping` |
//! | ringing for at most a third of the time | V1.6, second-hand | `age` |
//! | PD open to run, low to power down, **never high** | V1.6, second-hand | open-drain pin, `Phase::Off` |
//!
//! "Second-hand" facts were found quoted by people who built with the part, not read in the sheet. Settling times are ours and generous.
//! Not yet run on hardware. The part cannot take the battery away but by powering down: without a PD pin
//! [`Feed::Open`] leaves forward battery on the wires.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use dialtone_base::{Duration, Instant};
use dialtone_hal_api::circuit::Circuit;
use dialtone_hal_api::line::{Feed, LoopTransition};
use embedded_hal::digital::{InputPin, OutputPin};

mod runner;

pub use runner::{Codec, Runner};

/// The hook switch is looked at this often.
pub const SAMPLE: Duration = Duration::from_millis(2);
/// SHK must be high for so long while ringing before the receiver counts as lifted.
pub const RING_TRIP: Duration = Duration::from_millis(10);
/// From F/R high to RM low when ringing ends, for whatever reason.
pub const RING_HOLD: Duration = Duration::from_millis(20);
/// SHK means nothing for so long after RM went low: the bell's capacitor discharges.
pub const RING_SETTLE: Duration = Duration::from_millis(30);
/// SHK means nothing for so long after the polarity changed.
pub const REVERSAL_SETTLE: Duration = Duration::from_millis(20);
/// SHK means nothing, and nothing rings, for so long after power-up: the converter charges.
pub const POWER_UP: Duration = Duration::from_millis(200);
/// Ringing without a pause is cut here, to be resumed after a rest.
pub const LONGEST_RING: Duration = Duration::from_secs(4);
/// A pin that failed is tried again after this.
pub const RETRY: Duration = Duration::from_millis(100);

/// The four pins. `power_down` must be an open-drain output, "high" meaning released: the part dies when PD is driven high.
pub struct Pins<R, F, H, P> {
    /// RM: high while ringing.
    pub ring_mode: R,
    /// F/R: high is forward.
    pub forward: F,
    /// SHK: high is off-hook.
    pub hook: H,
    /// PD, where it is wired.
    pub power_down: Option<P>,
}

/// A pin by its name in the data sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Ring mode.
    Rm,
    /// Forward or reverse.
    Fr,
    /// Switch hook.
    Shk,
    /// Power down.
    Pd,
}

/// What [`Ag1171::poll`] has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell the app, then call [`Ag1171::reported`]; until then it is said again.
    Transition(LoopTransition),
    /// Ringing rests: the app rings more than a third of the time.
    RingRest,
    /// The pin answered with an error; it is tried again later.
    Fault(Pin),
    /// Nothing until this moment.
    Wait(Instant),
}

/// The driver of one module.
pub struct Ag1171<R, F, H, P> {
    pins: Pins<R, F, H, P>,
    circuit: Circuit,
    phase: Phase,
    ring_mode: Level,
    forward: Level,
    power: Level,
    next_sample: Instant,
    trusted_from: Instant,
    /// SHK differs from what is known, since then.
    differs_since: Option<Instant>,
    changed_at: Instant,
    retry_at: Instant,
    heat: u64,
    heat_at: Instant,
    resting: bool,
    rest_is_news: bool,
}

/// What the module is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The converter charges.
    Starting { until: Instant },
    /// Battery on the wires.
    Idle,
    /// RM is high and F/R toggles.
    Ringing { half_period: Duration, toggle_at: Instant },
    /// F/R is high again, RM follows.
    Stopping { until: Instant },
    /// Powered down.
    Off,
}

/// An output as it shall be and as it was last written.
#[derive(Clone, Copy)]
struct Level {
    wanted: bool,
    is: Option<bool>,
}

impl<R: OutputPin, F: OutputPin, H: InputPin, P: OutputPin> Ag1171<R, F, H, P> {
    /// Powers the module up with forward battery. Touches no pin before the first [`Ag1171::poll`].
    pub const fn new(now: Instant, pins: Pins<R, F, H, P>) -> Self {
        let high = Level { wanted: true, is: None };
        Self {
            pins,
            circuit: Circuit::new(),
            phase: Phase::Starting { until: Instant::from_micros(now.as_micros() + POWER_UP.as_micros()) },
            ring_mode: Level { wanted: false, is: None },
            forward: high,
            power: high,
            next_sample: now,
            trusted_from: now,
            differs_since: None,
            changed_at: now,
            retry_at: now,
            heat: 0,
            heat_at: now,
            resting: false,
            rest_is_news: false,
        }
    }

    /// Says what to put on the wires. A ringing frequency outside 20 to 25 Hz becomes the nearest the part can do.
    pub fn set_feed(&mut self, feed: Feed) {
        self.circuit.set_feed(feed);
    }

    /// What is meant to be on the wires now.
    pub fn feed(&self) -> Feed {
        match self.circuit.feed() {
            Feed::Open if self.pins.power_down.is_none() => Feed::Forward,
            Feed::Ringing(_) if self.resting => Feed::Forward,
            feed => feed,
        }
    }

    /// The app was told.
    pub fn reported(&mut self, transition: LoopTransition) {
        self.circuit.reported(transition.closed);
    }

    /// Works the pins. Call until [`Output::Wait`], after [`Ag1171::set_feed`] and when it is due.
    pub fn poll(&mut self, now: Instant) -> Output {
        self.age(now);
        while self.advance(now) {}
        if now >= self.next_sample {
            self.next_sample = now + SAMPLE;
            if self.sample(now).is_err() {
                self.next_sample = now + RETRY;
                return Output::Fault(Pin::Shk);
            }
        }
        while self.advance(now) {}
        if now >= self.retry_at
            && let Err(pin) = self.drive()
        {
            self.retry_at = now + RETRY;
            return Output::Fault(pin);
        }
        if let Some(closed) = self.circuit.news() {
            return Output::Transition(LoopTransition { at: self.changed_at, closed });
        }
        if core::mem::take(&mut self.rest_is_news) {
            return Output::RingRest;
        }
        Output::Wait(self.deadline())
    }

    /// Ringing warms the part, rest cools it. Rings for 36 % of the time, a third and what ending each ring takes, go on for ever.
    fn age(&mut self, now: Instant) {
        const WARMER: u64 = 16;
        const COOLER: u64 = 9;
        const LIMIT: u64 = WARMER * LONGEST_RING.as_micros();
        let passed = now.since(self.heat_at).as_micros();
        self.heat_at = now;
        self.heat = match self.ring_mode.wanted {
            true => self.heat.saturating_add(passed.saturating_mul(WARMER)).min(LIMIT),
            false => self.heat.saturating_sub(passed.saturating_mul(COOLER)),
        };
        if !self.resting && self.heat >= LIMIT {
            self.resting = true;
            self.rest_is_news = true;
        }
        self.resting &= self.heat > LIMIT / 2;
    }

    /// Looks at the hook switch, when that means something.
    fn sample(&mut self, now: Instant) -> Result<(), H::Error> {
        let needed = match self.phase {
            Phase::Idle if now >= self.trusted_from => SAMPLE,
            Phase::Ringing { .. } => RING_TRIP,
            _ => {
                self.differs_since = None;
                return Ok(());
            }
        };
        let closed = self.pins.hook.is_high()?;
        if closed == self.circuit.closed() {
            self.differs_since = None;
            return Ok(());
        }
        let since = *self.differs_since.get_or_insert(now);
        if now.since(since) >= needed {
            self.differs_since = None;
            self.changed_at = since;
            self.circuit.set_closed(closed);
        }
        Ok(())
    }

    /// One step from phase to phase; whether there was one.
    fn advance(&mut self, now: Instant) -> bool {
        let wanted = self.feed();
        match (self.phase, wanted) {
            (Phase::Starting { .. } | Phase::Idle, Feed::Open) => {
                self.power.wanted = false;
                self.phase = Phase::Off;
            }
            (Phase::Starting { until }, _) if now >= until => self.phase = Phase::Idle,
            (Phase::Idle, Feed::Ringing(hertz)) => {
                self.ring_mode.wanted = true;
                self.differs_since = None;
                let half_period = half_period(hertz);
                self.phase = Phase::Ringing { half_period, toggle_at: now + half_period };
            }
            (Phase::Idle, feed) => {
                let forward = feed != Feed::Reverse;
                if self.forward.wanted != forward {
                    self.forward.wanted = forward;
                    self.trusted_from = self.trusted_from.max(now + REVERSAL_SETTLE);
                }
                return false;
            }
            (Phase::Ringing { toggle_at, .. }, Feed::Ringing(hertz)) => {
                if now < toggle_at {
                    return false;
                }
                self.forward.wanted = !self.forward.wanted;
                let half_period = half_period(hertz);
                // A little late is made up for; a missed half period is not rung twice as fast.
                let next = toggle_at + half_period;
                let toggle_at = if next > now { next } else { now + half_period };
                self.phase = Phase::Ringing { half_period, toggle_at };
            }
            (Phase::Ringing { .. }, _) => {
                self.forward.wanted = true;
                self.phase = Phase::Stopping { until: now + RING_HOLD };
            }
            (Phase::Stopping { until }, _) if now >= until => {
                self.ring_mode.wanted = false;
                self.trusted_from = now + RING_SETTLE;
                self.phase = Phase::Idle;
            }
            (Phase::Off, feed) if feed != Feed::Open => {
                self.power.wanted = true;
                self.phase = Phase::Starting { until: now + POWER_UP };
            }
            (Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Off, _) => return false,
        }
        true
    }

    /// Writes the outputs that are not as they shall be.
    fn drive(&mut self) -> Result<(), Pin> {
        write(&mut self.ring_mode, &mut self.pins.ring_mode).map_err(|_| Pin::Rm)?;
        write(&mut self.forward, &mut self.pins.forward).map_err(|_| Pin::Fr)?;
        match &mut self.pins.power_down {
            Some(pin) => write(&mut self.power, pin).map_err(|_| Pin::Pd),
            None => Ok(()),
        }
    }

    fn deadline(&self) -> Instant {
        let next = match self.phase {
            Phase::Starting { until } | Phase::Stopping { until } => until,
            Phase::Ringing { toggle_at, .. } => toggle_at,
            Phase::Idle | Phase::Off => self.next_sample,
        };
        next.min(self.next_sample)
    }
}

fn write<P: OutputPin>(level: &mut Level, pin: &mut P) -> Result<(), P::Error> {
    if level.is != Some(level.wanted) {
        pin.set_state(level.wanted.into())?;
        level.is = Some(level.wanted);
    }
    Ok(())
}

fn half_period(hertz: u8) -> Duration {
    Duration::from_micros(500_000 / u64::from(hertz.clamp(20, 25)))
}

#[cfg(test)]
mod tests;
