//! Between the two rates of a line: 8 kHz to 16 kHz and back.
//!
//! One half-band filter of 47 taps (Kaiser window): flat to 3.4 kHz, images and aliases of what lies beyond
//! 4.6 kHz are 50 dB down. Delay 1.4 ms. Each value serves one direction of one voice.

/// Half the filter's outer taps: those at odd distance from the middle; the middle is one half, the others are zero. In 32768ths.
const TAPS: [i32; 12] = [10_391, -3_347, 1_875, -1_207, 813, -553, 371, -241, 149, -85, 43, -17];
const HISTORY: usize = 24;

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug, Default)]
pub struct Doubler {
    history: [i16; HISTORY],
}

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug, Default)]
pub struct Halver {
    firsts: [i16; HISTORY],
    seconds: [i16; HISTORY],
}

impl Doubler {
    /// Two samples for each of `input`.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) {
        for (sample, pair) in input.iter().zip(output.as_chunks_mut::<2>().0) {
            shift(&mut self.history, *sample);
            let [first, second] = pair;
            *first = self.history[HISTORY / 2];
            *second = clip(between(&self.history) >> 14);
        }
    }
}

impl Halver {
    /// One sample for each two of `input`.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) {
        for (pair, sample) in input.as_chunks::<2>().0.iter().zip(output) {
            let [first, second] = *pair;
            shift(&mut self.firsts, first);
            shift(&mut self.seconds, second);
            let middle = i32::from(self.seconds[HISTORY / 2]) << 14;
            *sample = clip((between(&self.firsts) + middle) >> 15);
        }
    }
}

/// The filter's outer taps: what lies in the middle of the history, times 32768 / 2.
fn between(history: &[i16; HISTORY]) -> i32 {
    let (newer, older) = history.split_at(HISTORY / 2);
    let pairs = newer.iter().rev().zip(older);
    pairs.zip(TAPS).map(|((newer, older), tap)| (i32::from(*newer) + i32::from(*older)) * tap).sum()
}

/// The newest sample comes first.
fn shift(history: &mut [i16; HISTORY], sample: i16) {
    history.copy_within(..HISTORY - 1, 1);
    history[0] = sample;
}

fn clip(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Changes the rate of a voice whose ends may have either.
#[derive(Clone, Debug, Default)]
pub struct Resampler {
    doubler: Doubler,
    halver: Halver,
}

impl Resampler {
    /// Has heard silence so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `to` from `from`: as they are when both have the same length, twice or half as many samples otherwise. Samples of `to`
    /// beyond that are silence.
    pub fn convert(&mut self, from: &[i16], to: &mut [i16]) {
        if from.len() == to.len() {
            to.copy_from_slice(from);
            return;
        }
        to.fill(0);
        match to.len() > from.len() {
            true => self.doubler.process(from, to),
            false => self.halver.process(from, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Oscillator, Rate, level};

    fn through(frequency: f32, from: Rate, to: Rate) -> f32 {
        let mut tone = Oscillator::new(frequency, 0.0, from);
        let mut resampler = Resampler::new();
        let (mut source, mut target) = ([0i16; 160], [0i16; 160]);
        let mut heard = 0.0;
        for _ in 0..20 {
            let source = &mut source[..from.frame()];
            for sample in source.iter_mut() {
                *sample = level::sample(tone.sample());
            }
            let target = &mut target[..to.frame()];
            resampler.convert(source, target);
            heard = level::of(target);
        }
        heard
    }

    #[test]
    fn speech_passes_both_ways_as_loud_as_it_was() {
        for frequency in [300.0, 1_000.0, 3_000.0] {
            for (from, to) in
                [(Rate::Narrow, Rate::Wide), (Rate::Wide, Rate::Narrow), (Rate::Wide, Rate::Wide)]
            {
                let heard = through(frequency, from, to);
                assert!(heard.abs() < 0.5, "{frequency} Hz {from:?} to {to:?}: {heard} dBm0");
            }
        }
    }

    #[test]
    fn what_a_narrow_line_cannot_carry_does_not_come_back_as_something_else() {
        for frequency in [5_000.0, 6_000.0, 7_000.0] {
            let heard = through(frequency, Rate::Wide, Rate::Narrow);
            assert!(heard < -36.0, "{frequency} Hz: {heard} dBm0");
        }
    }
}
