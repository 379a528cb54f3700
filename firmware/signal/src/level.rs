//! Loudness: dBm0 of samples, and amplitudes that have a wanted level.
//!
//! The reference is G.711's: a sine whose peaks are ±32768 is +3.14 dBm0. Levels are those of the root mean square, so two tones of
//! −13 dBm0 together are −10 dBm0.

/// Level of a sine that fills 16 bits.
#[allow(clippy::approx_constant)] // G.711 says so; it is not π.
pub const FULL_SCALE: f32 = 3.14;
/// What silence is called: lower than one step of the converter.
pub const SILENCE: f32 = -96.0;

/// Peak of a full-scale sine.
const PEAK: f32 = 32_768.0;

/// Peak amplitude of a sine of `dbm0`.
pub fn amplitude(dbm0: f32) -> f32 {
    PEAK * libm::powf(10.0, (dbm0 - FULL_SCALE) / 20.0)
}

/// Level of a sine with this peak amplitude, never below [`SILENCE`].
pub fn of_amplitude(peak: f32) -> f32 {
    of_power(peak * peak / 2.0)
}

/// Level of samples whose mean square is `power`, never below [`SILENCE`].
pub fn of_power(power: f32) -> f32 {
    if power <= 0.0 {
        return SILENCE;
    }
    (10.0 * libm::log10f(power / (PEAK * PEAK / 2.0)) + FULL_SCALE).max(SILENCE)
}

/// Level of a frame; [`SILENCE`] when it is empty.
pub fn of(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return SILENCE;
    }
    let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    of_power(sum as f32 / samples.len() as f32)
}

/// The nearest sample; what is too loud is cut.
pub fn sample(value: f32) -> i16 {
    let rounded = if value < 0.0 { value - 0.5 } else { value + 0.5 };
    // `as` saturates, and makes nothing of what is not a number.
    rounded as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sine_is_plus_3_14_and_half_of_it_six_decibels_less() {
        assert!((of_amplitude(32_768.0) - FULL_SCALE).abs() < 0.001);
        assert!((of_amplitude(16_384.0) - (FULL_SCALE - 6.02)).abs() < 0.01);
        assert!((amplitude(of_amplitude(1_000.0)) - 1_000.0).abs() < 0.1);
        assert_eq!((of(&[]), of(&[0; 80])), (SILENCE, SILENCE));
        assert!((of(&[i16::MIN; 80]) - 6.15).abs() < 0.01);
    }

    #[test]
    fn what_is_too_loud_is_cut_and_not_folded() {
        assert_eq!((sample(40_000.0), sample(-40_000.0), sample(f32::NAN)), (i16::MAX, i16::MIN, 0));
        assert_eq!((sample(0.6), sample(-0.6)), (1, -1));
    }
}
