//! Sounds keys: to the line for what the far end pressed, to the far end where events are not understood.
//!
//! Edges are ramps of 2 ms, so that nothing clicks. The column is 2 dB louder than the row, as in telephones (Q.23).

use dialtone_base::telephony::Key;

use super::frequencies;
use crate::{DualTone, Rate, level};

/// Makes the tones of one key at a time.
#[derive(Clone, Debug)]
pub struct Generator {
    rate: Rate,
    low: f32,
    high: f32,
    tone: DualTone,
    state: State,
    ramp: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Silent,
    /// Samples left, or until told.
    Sounding(Option<u32>),
    Fading,
}

impl Generator {
    /// The usual levels: row −9 dBm0, column −7 dBm0.
    pub fn new(rate: Rate) -> Self {
        Self::with_levels(rate, -9.0, -7.0)
    }

    /// Row and column at these levels in dBm0.
    pub fn with_levels(rate: Rate, row: f32, column: f32) -> Self {
        Self { rate, low: row, high: column, tone: DualTone::default(), state: State::Silent, ramp: 0 }
    }

    /// The rate it makes samples for.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Begins a key, which sounds for `millis` or until [`Generator::stop`]. A key that sounds already is replaced.
    pub fn start(&mut self, key: Key, millis: Option<u32>) {
        let (low, high) = frequencies(key);
        self.tone = DualTone::new((low, self.low), (high, self.high), self.rate);
        self.ramp = 0;
        self.state = State::Sounding(millis.map(|millis| millis.saturating_mul(self.rate.per_milli())));
    }

    /// Ends the key: it fades within 2 ms.
    pub fn stop(&mut self) {
        if self.state != State::Silent {
            self.state = State::Fading;
        }
    }

    /// Whether a key sounds or fades.
    pub fn is_sounding(&self) -> bool {
        self.state != State::Silent
    }

    /// Fills `samples` with the key, silence after it. Returns how many samples were not yet silence.
    pub fn fill(&mut self, samples: &mut [i16]) -> usize {
        let mut sounded = 0;
        for sample in samples {
            *sample = level::sample(self.sample());
            sounded += usize::from(self.state != State::Silent);
        }
        sounded
    }

    /// The next sample, not yet rounded: for whoever adds it to others.
    pub fn sample(&mut self) -> f32 {
        let ramp = 2 * self.rate.per_milli();
        match &mut self.state {
            State::Silent => return 0.0,
            State::Sounding(left) => {
                self.ramp = (self.ramp + 1).min(ramp);
                if let Some(left) = left {
                    *left = left.saturating_sub(1);
                    if *left <= ramp {
                        self.state = State::Fading;
                    }
                }
            }
            State::Fading => {
                self.ramp = self.ramp.saturating_sub(1);
                if self.ramp == 0 {
                    self.state = State::Silent;
                    return 0.0;
                }
            }
        }
        self.tone.sample() * self.ramp as f32 / ramp as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lasts_as_long_as_asked_at_its_level() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut generator = Generator::new(rate);
            generator.start(Key::HASH, Some(100));
            let mut samples = [0; 3_200];
            let sounded = generator.fill(&mut samples) as u32 / rate.per_milli();
            assert!((99..=101).contains(&sounded) && !generator.is_sounding(), "{sounded} ms");
            let middle = &samples[rate.frame() * 2..rate.frame() * 8];
            assert!((level::of(middle) + 4.88).abs() < 0.2, "{}", level::of(middle));
        }
    }

    #[test]
    fn a_key_begins_and_ends_without_a_click() {
        let mut generator = Generator::new(Rate::Narrow);
        generator.start(Key::STAR, None);
        let mut samples = [0_i16; 400];
        generator.fill(&mut samples[..200]);
        generator.stop();
        generator.fill(&mut samples[200..]);
        assert!(samples[..3].iter().all(|sample| sample.abs() < 4_000));
        assert!(samples[214..].iter().all(|sample| sample.abs() < 2_500) && samples[399] == 0);
    }
}
