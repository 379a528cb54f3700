//! A line's gain in decibels, with saturation instead of wrapping.
//!
//! Playback and capture of each line have one of their own (TR-104 `TransmitGain`, `ReceiveGain`). Fixed point, no state.

/// Amplification of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Factor in Q16.
    factor: i32,
    decibels: i8,
}

impl Gain {
    /// Louder or quieter than this it does not get.
    pub const LIMIT_DB: i8 = 30;
    /// Samples as they are.
    pub const UNITY: Self = Self { factor: 1 << 16, decibels: 0 };

    /// Of this many decibels, within ±[`LIMIT_DB`](Self::LIMIT_DB).
    pub fn from_decibels(decibels: i8) -> Self {
        let decibels = decibels.clamp(-Self::LIMIT_DB, Self::LIMIT_DB);
        let factor = libm::powf(10.0, f32::from(decibels) / 20.0) * 65_536.0;
        Self { factor: libm::roundf(factor) as i32, decibels }
    }

    /// What it was made of.
    pub fn decibels(&self) -> i8 {
        self.decibels
    }

    /// Amplifies `samples`; what would not fit becomes full scale.
    pub fn apply(&self, samples: &mut [i16]) {
        if self.factor == 1 << 16 {
            return;
        }
        for sample in samples {
            // At most 2^15 times 2^21: more than an i32 holds.
            let product = (i64::from(*sample) * i64::from(self.factor) + (1 << 15)) >> 16;
            *sample = product.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
        }
    }
}

impl Default for Gain {
    fn default() -> Self {
        Self::UNITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_double_halve_and_saturate() {
        let mut samples = [1000, -1000, 32_000, i16::MIN, 0];
        Gain::from_decibels(6).apply(&mut samples);
        assert_eq!(samples, [1995, -1995, i16::MAX, i16::MIN, 0]);
        Gain::from_decibels(-20).apply(&mut samples);
        assert_eq!(samples, [200, -200, 3277, -3277, 0]);
        let mut untouched = [i16::MAX, i16::MIN, 1];
        Gain::from_decibels(0).apply(&mut untouched);
        assert_eq!(untouched, [i16::MAX, i16::MIN, 1]);
        assert_eq!(Gain::from_decibels(i8::MIN).decibels(), -Gain::LIMIT_DB);
        let mut loudest = [i16::MIN, i16::MAX];
        Gain::from_decibels(i8::MAX).apply(&mut loudest);
        assert_eq!(loudest, [i16::MIN, i16::MAX]);
    }
}
