//! Between the two rates of a line: 8 kHz to 16 kHz and back.
//!
//! A half-band filter of 23 taps: flat to 3.2 kHz, 30 dB down at 4.8 kHz and 55 dB from 5 kHz on (a Kaiser
//! window, beta 4). Adds 11 samples at the higher rate (0.7 ms). Each value
//! serves one direction of one voice.

/// Every other tap of the half-band filter from its middle outwards; those between are zero, the middle one is a half.
const TAPS: [f32; 6] = [0.314_13, -0.093_22, 0.043_87, -0.021_08, 0.008_86, -0.002_56];
/// Samples at the higher rate that the filter looks at.
const SPAN: usize = 23;
const MIDDLE: usize = SPAN / 2;

/// Changes the rate of a voice.
#[derive(Clone, Debug)]
pub struct Resampler {
    past: [f32; SPAN],
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Resampler {
    /// Has heard silence so far.
    pub const fn new() -> Self {
        Self { past: [0.0; SPAN] }
    }

    /// Fills `to` from `from`: as they are when both have the same length, twice or half as many samples otherwise. Samples of `to`
    /// beyond that are silence.
    pub fn convert(&mut self, from: &[i16], to: &mut [i16]) {
        if from.len() == to.len() {
            to.copy_from_slice(from);
        } else if to.len() > from.len() {
            let mut pairs = to.chunks_exact_mut(2);
            for (sample, pair) in from.iter().zip(&mut pairs) {
                for (place, value) in pair.iter_mut().zip([f32::from(*sample), 0.0]) {
                    // Zeros between the samples halve the level.
                    *place = crate::level::sample(2.0 * self.step(value));
                }
            }
            for place in pairs.into_remainder() {
                *place = 0;
            }
            if let Some(rest) = to.get_mut(2 * from.len()..) {
                rest.fill(0);
            }
        } else {
            to.fill(0);
            for (pair, place) in from.chunks_exact(2).zip(to) {
                let mut value = 0.0;
                for sample in pair {
                    value = self.step(f32::from(*sample));
                }
                *place = crate::level::sample(value);
            }
        }
    }

    fn step(&mut self, sample: f32) -> f32 {
        self.past.rotate_left(1);
        self.past[SPAN - 1] = sample;
        let mut sum = 0.5 * self.past[MIDDLE];
        for (index, tap) in TAPS.iter().enumerate() {
            let distance = 2 * index + 1;
            sum += tap * (self.past[MIDDLE - distance] + self.past[MIDDLE + distance]);
        }
        sum
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
