//! Tones: a sine whose phase is counted in whole numbers, and two of them together.
//!
//! The phase is 32 bits of a turn and advances by a whole step: an hour later the tone is where arithmetic says, frequency within
//! 8000 / 2³² Hz. The sine is a polynomial, 108 dB above its own error.

use crate::{Rate, level};

/// One sine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Oscillator {
    phase: u32,
    step: u32,
    amplitude: f32,
}

impl Oscillator {
    /// A sine of `hertz` at `dbm0` that starts at zero. Beyond half the sample rate, and below 0 Hz, it is silent.
    pub fn new(hertz: f32, dbm0: f32, rate: Rate) -> Self {
        Self::of_amplitude(hertz, level::amplitude(dbm0), rate)
    }

    /// The same with a peak amplitude instead of a level.
    pub fn of_amplitude(hertz: f32, amplitude: f32, rate: Rate) -> Self {
        let mut oscillator = Self { phase: 0, step: 0, amplitude };
        oscillator.set_frequency(hertz, rate);
        oscillator
    }

    /// Changes the frequency; the phase goes on, so that nothing clicks (FSK).
    pub fn set_frequency(&mut self, hertz: f32, rate: Rate) {
        let turns = f64::from(hertz) / f64::from(rate.hertz());
        self.step = if (0.0..0.5).contains(&turns) { (turns * 4_294_967_296.0 + 0.5) as u32 } else { 0 };
        if self.step == 0 {
            self.phase = 0;
        }
    }

    /// The next sample, not yet rounded.
    pub fn sample(&mut self) -> f32 {
        let value = self.amplitude * sine(self.phase);
        self.phase = self.phase.wrapping_add(self.step);
        value
    }

    /// Starts again at zero phase.
    pub fn restart(&mut self) {
        self.phase = 0;
    }
}

/// Two sines together: DTMF, dial tone, alerting signals.
#[derive(Clone, Copy, Debug, Default)]
pub struct DualTone {
    first: Oscillator,
    second: Oscillator,
}

impl DualTone {
    /// Two sines, each a frequency in hertz and a level in dBm0.
    pub fn new(first: (f32, f32), second: (f32, f32), rate: Rate) -> Self {
        Self {
            first: Oscillator::new(first.0, first.1, rate),
            second: Oscillator::new(second.0, second.1, rate),
        }
    }

    /// The next sample, not yet rounded.
    pub fn sample(&mut self) -> f32 {
        self.first.sample() + self.second.sample()
    }

    /// Fills `samples`; what is too loud is cut.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = level::sample(self.sample());
        }
    }
}

/// Sine of a phase in 2⁻³² turns.
pub fn sine(phase: u32) -> f32 {
    // Quarter turns from −2 to 2, folded to −1 … 1, where the series converges fast.
    let quarters = (phase as i32) as f32 / 1_073_741_824.0;
    let x = if quarters > 1.0 {
        2.0 - quarters
    } else if quarters < -1.0 {
        -2.0 - quarters
    } else {
        quarters
    };
    let square = x * x;
    // Taylor's series of sin(πx/2).
    x * (core::f32::consts::FRAC_PI_2
        - square
            * (0.645_964_1 - square * (0.079_692_63 - square * (0.004_681_754 - square * 0.000_160_441_2))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_a_sine() {
        for step in 0..10_000_u32 {
            let phase = step.wrapping_mul(429_497);
            let exact = libm::sin(f64::from(phase) / 4_294_967_296.0 * core::f64::consts::TAU) as f32;
            assert!((sine(phase) - exact).abs() < 5e-6, "phase {phase}");
        }
    }

    #[test]
    fn an_hour_later_the_tone_has_not_drifted() {
        let mut oscillator = Oscillator::new(425.0, 0.0, Rate::Narrow);
        for _ in 0..3_600 * 8_000_u32 {
            oscillator.sample();
        }
        // A whole number of turns has passed; the step's own rounding is at most half a unit each time.
        let error = f64::from(oscillator.phase as i32) / 4_294_967_296.0 * 360.0;
        assert!(error.abs() < 3.0, "{error} degrees");
    }

    #[test]
    fn levels_are_those_asked_for() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut samples = [0; 16_000];
            DualTone::new((697.0, -9.0), (1_209.0, -7.0), rate).fill(&mut samples);
            assert!((level::of(&samples) - (-4.876)).abs() < 0.02, "{}", level::of(&samples));
        }
    }

    #[test]
    fn a_tone_that_cannot_be_is_silent() {
        let mut oscillator = Oscillator::new(5_000.0, 0.0, Rate::Narrow);
        assert!((0..100).all(|_| oscillator.sample() == 0.0));
    }
}
