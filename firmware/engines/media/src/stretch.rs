//! Sound decoded and waiting to be played, a little faster or slower when the delay must change.
//!
//! One period of the voice is cut out or put in where the sound repeats itself (WSOLA), so that pitch and phase stay. Noise and
//! quiet bear any cut.

use heapless::Vec;

use crate::pitch::{self, to_sample};

/// Two packets of 60 ms and what remains of one before, at 16 kHz, with room for a period put in.
pub const CAPACITY: usize = 2560;

/// A queue of samples.
#[derive(Clone, Debug, Default)]
pub struct PlayBuffer {
    samples: Vec<i16, CAPACITY>,
}

impl PlayBuffer {
    /// Samples in it.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// Appends; what does not fit is left out.
    pub fn push(&mut self, samples: &[i16]) {
        let room = CAPACITY - self.samples.len();
        let _ = self.samples.extend_from_slice(samples.get(..samples.len().min(room)).unwrap_or(&[]));
    }

    /// Takes the oldest samples; what is missing is silence.
    pub fn pop(&mut self, out: &mut [i16]) {
        let taken = out.len().min(self.samples.len());
        out.fill(0);
        if let (Some(to), Some(from)) = (out.get_mut(..taken), self.samples.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.samples.copy_within(taken.., 0);
        self.samples.truncate(self.samples.len() - taken);
    }

    /// Cuts out one period, at most `most` samples. Returns how many samples went; 0 when the sound does not bear it.
    pub fn shorten(&mut self, per_millisecond: usize, most: usize, quiet: f32) -> usize {
        let Some(period) = self.period(per_millisecond, most, quiet) else { return 0 };
        // The first period goes over into the second, in the place of both.
        for at in 0..period {
            let blended = self.blend(at, at, at + period, period);
            if let Some(sample) = self.samples.get_mut(at) {
                *sample = blended;
            }
        }
        self.samples.copy_within(2 * period.., period);
        self.samples.truncate(self.samples.len() - period);
        period
    }

    /// Puts in one period more. Returns how many samples came; 0 when the sound does not bear it.
    pub fn lengthen(&mut self, per_millisecond: usize, most: usize, quiet: f32) -> usize {
        let Some(period) = self.period(per_millisecond, most, quiet) else { return 0 };
        let length = self.samples.len();
        if length + period > CAPACITY || self.samples.resize(length + period, 0).is_err() {
            return 0;
        }
        self.samples.copy_within(period..length, 2 * period);
        // Between the first and the second period: the second going back into the first.
        for at in 0..period {
            let blended = self.blend(at, 2 * period + at, at, period);
            if let Some(sample) = self.samples.get_mut(period + at) {
                *sample = blended;
            }
        }
        period
    }

    fn blend(&self, at: usize, from: usize, to: usize, length: usize) -> i16 {
        let weight = (at as f32 + 0.5) / length as f32;
        let sample = |at: usize| f32::from(self.samples.get(at).copied().unwrap_or(0));
        to_sample(sample(from) * (1.0 - weight) + sample(to) * weight)
    }

    fn period(&self, per_millisecond: usize, most: usize, quiet: f32) -> Option<usize> {
        let longest = (self.samples.len() / 2).min(10 * per_millisecond).min(most);
        let shortest = 5 * per_millisecond / 2;
        if longest < shortest {
            return None;
        }
        if pitch::power(&self.samples) <= quiet {
            return Some(longest);
        }
        let window = self.samples.len().checked_sub(longest)?.min(longest);
        let pitch = pitch::at_start(&self.samples, window, shortest, longest)?;
        (pitch.strength > 0.8).then_some(pitch.period)
    }
}
