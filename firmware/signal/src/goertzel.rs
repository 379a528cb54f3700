//! How much of one frequency is in a stretch of sound: Goertzel's filter.
//!
//! Two multiplications a sample. A stretch of N samples tells frequencies apart that differ by about rate / N.

use crate::{Rate, level};

/// Listens for one frequency.
#[derive(Clone, Copy, Debug)]
pub struct Goertzel {
    coefficient: f32,
    last: f32,
    before: f32,
    energy: f32,
    count: u32,
}

impl Goertzel {
    /// For `hertz`.
    pub fn new(hertz: f32, rate: Rate) -> Self {
        let turn = core::f32::consts::TAU * hertz / rate.hertz() as f32;
        Self { coefficient: 2.0 * libm::cosf(turn), last: 0.0, before: 0.0, energy: 0.0, count: 0 }
    }

    /// Takes a sample.
    pub fn push(&mut self, sample: i16) {
        let sample = f32::from(sample);
        let next = sample + self.coefficient * self.last - self.before;
        self.before = self.last;
        self.last = next;
        self.energy += sample * sample;
        self.count = self.count.saturating_add(1);
    }

    /// Takes samples.
    pub fn extend(&mut self, samples: &[i16]) {
        for sample in samples {
            self.push(*sample);
        }
    }

    /// Samples taken since it was restarted.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Mean square of the wanted frequency.
    pub fn power(&self) -> f32 {
        let Some(count) = self.some() else { return 0.0 };
        let square =
            self.last * self.last + self.before * self.before - self.coefficient * self.last * self.before;
        2.0 * square.max(0.0) / (count * count)
    }

    /// Mean square of all that was heard.
    pub fn total_power(&self) -> f32 {
        self.some().map_or(0.0, |count| self.energy / count)
    }

    /// Level of the wanted frequency in dBm0.
    pub fn level(&self) -> f32 {
        level::of_power(self.power())
    }

    /// Which part of all power the wanted frequency is, 0 to about 1.
    pub fn share(&self) -> f32 {
        let total = self.total_power();
        if total > 0.0 { self.power() / total } else { 0.0 }
    }

    /// Forgets what it heard.
    pub fn restart(&mut self) {
        *self = Self { coefficient: self.coefficient, last: 0.0, before: 0.0, energy: 0.0, count: 0 };
    }

    fn some(&self) -> Option<f32> {
        (self.count > 0).then_some(self.count as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DualTone;

    #[test]
    fn it_hears_its_own_frequency_at_its_level_and_no_other() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut samples = [0; 1_600];
            DualTone::new((2_100.0, -12.0), (1_100.0, -20.0), rate).fill(&mut samples);
            let mut answer_tone = Goertzel::new(2_100.0, rate);
            let mut other = Goertzel::new(1_800.0, rate);
            answer_tone.extend(&samples);
            other.extend(&samples);
            assert!((answer_tone.level() + 12.0).abs() < 0.1, "{}", answer_tone.level());
            assert!(other.level() < -50.0 && answer_tone.share() > 0.8);
            answer_tone.restart();
            assert_eq!((answer_tone.power(), answer_tone.share(), answer_tone.count()), (0.0, 0.0, 0));
        }
    }
}
