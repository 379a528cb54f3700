//! Two recordings of the same sound: how much later one is, sample rates halved and doubled, what does not belong there.
//!
//! In plain floating point, with nothing of the firmware.

use std::f64::consts::PI;

/// Samples by which `heard` is later than `said`, at most `most`; judged by the first five seconds in which something is said.
/// `None` when nothing alike is in it.
pub fn lag(said: &[i16], heard: &[i16], most: usize) -> Option<usize> {
    let start = said.iter().position(|sample| sample.unsigned_abs() > 500)?;
    let said: Vec<f32> = said[start..].iter().take(40_000).map(|sample| f32::from(*sample)).collect();
    let heard: Vec<f32> = heard.iter().skip(start).map(|sample| f32::from(*sample)).collect();
    let energy: f32 = said.iter().map(|sample| sample * sample).sum();
    let alike = |lag: usize| {
        let other = heard.get(lag..).unwrap_or_default();
        let (mut product, mut theirs) = (0.0f32, 1.0f32);
        for (one, other) in said.iter().zip(other) {
            product += one * other;
            theirs += other * other;
        }
        product / (energy * theirs).sqrt()
    };
    let (at, alike) =
        (0..=most).map(|lag| (lag, alike(lag))).max_by(|one, other| one.1.total_cmp(&other.1))?;
    (alike > 0.5).then_some(at)
}

/// A tap of a half-band low-pass, `away` from its middle: 4 kHz at 16 kHz, with a Hann window.
fn tap(away: isize) -> f64 {
    if away == 0 {
        return 0.5;
    }
    let at = away as f64;
    let window = 0.5 + 0.5 * (PI * at / (HALF + 1) as f64).cos();
    (PI * at / 2.0).sin() / (PI * at) * window
}

const HALF: isize = 63;

fn filtered(samples: &dyn Fn(isize) -> f64, at: isize) -> i16 {
    let sum: f64 = (-HALF..=HALF).map(|away| samples(at + away) * tap(away)).sum();
    sum.round().clamp(-32768.0, 32767.0) as i16
}

/// 8 kHz to 16 kHz, without delay.
pub fn doubled(sound: &[i16]) -> Vec<i16> {
    let sample = |at: isize| match usize::try_from(at) {
        Ok(at) if at % 2 == 0 => sound.get(at / 2).map_or(0.0, |sample| 2.0 * f64::from(*sample)),
        _ => 0.0,
    };
    (0..2 * sound.len() as isize).map(|at| filtered(&sample, at)).collect()
}

/// 16 kHz to 8 kHz, without delay.
pub fn halved(sound: &[i16]) -> Vec<i16> {
    let sample = |at: isize| {
        usize::try_from(at).ok().and_then(|at| sound.get(at)).map_or(0.0, |sample| f64::from(*sample))
    };
    (0..sound.len() as isize / 2).map(|at| filtered(&sample, 2 * at)).collect()
}

/// The middle and the greatest of some numbers.
pub fn middle_and_most(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted.get(sorted.len() / 2).copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn murmur(length: usize) -> Vec<i16> {
        let mut random = dialtone_base::Random::new(dialtone_base::Seed::from_number(4));
        let mut slow = 0.0;
        (0..length)
            .map(|_| {
                slow = slow * 0.8 + (f64::from(random.next_u16()) - 32_768.0) * 0.2;
                slow as i16
            })
            .collect()
    }

    #[test]
    fn a_shift_is_found_to_the_sample_and_something_else_is_not() {
        let said = murmur(30_000);
        let mut heard = vec![0; 333];
        heard.extend(&said);
        assert_eq!(lag(&said, &heard, 1000), Some(333));
        assert_eq!(lag(&said, &murmur(60_000)[30_000..], 1000), None);
    }

    #[test]
    fn twice_the_rate_and_back_is_the_same_sound_at_the_same_time() {
        let said = murmur(8_000);
        let back = halved(&doubled(&said));
        assert_eq!(lag(&said, &back, 100), Some(0));
    }
}
