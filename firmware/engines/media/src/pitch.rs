//! How long the voice's period is, and the crossfades that splice sound along it.
//!
//! Normalised cross-correlation, coarse steps then fine; used by concealment and by time-scaling. Searches 2.5 to 15 ms (66 to 400 Hz).

/// A period and how well the sound repeats with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pitch {
    /// Samples.
    pub period: usize,
    /// 0: noise; 1: a perfect period.
    pub strength: f32,
}

/// The period at the end of `sound`, over the last `window` samples, between `shortest` and `longest`. `None`: `sound` is too short.
pub fn at_end(sound: &[i16], window: usize, shortest: usize, longest: usize) -> Option<Pitch> {
    let start = sound.len().checked_sub(window)?;
    let recent = sound.get(start..)?;
    let longest = longest.min(start);
    let score = |period: usize, step: usize| {
        let before = sound.get(start - period..).unwrap_or(&[]);
        similarity(recent, before, step)
    };
    best(shortest, longest, score)
}

/// The period at the beginning of `sound`. `None`: `sound` is too short.
pub fn at_start(sound: &[i16], window: usize, shortest: usize, longest: usize) -> Option<Pitch> {
    let first = sound.get(..window)?;
    let longest = longest.min(sound.len() - window);
    best(shortest, longest, |period, step| similarity(first, sound.get(period..).unwrap_or(&[]), step))
}

/// Correlation of two pieces of sound, −1 to 1, over every `step`th sample of the shorter.
pub fn similarity(one: &[i16], other: &[i16], step: usize) -> f32 {
    let (mut product, mut first, mut second) = (0.0f32, 1.0f32, 1.0f32);
    for (a, b) in one.iter().zip(other).step_by(step.max(1)) {
        let (a, b) = (f32::from(*a), f32::from(*b));
        product += a * b;
        first += a * a;
        second += b * b;
    }
    product / libm::sqrtf(first * second)
}

/// The mean square of the samples.
pub fn power(sound: &[i16]) -> f32 {
    if sound.is_empty() {
        return 0.0;
    }
    sound.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum::<f32>() / sound.len() as f32
}

/// To the nearest sample, clipped.
pub fn to_sample(value: f32) -> i16 {
    libm::roundf(value).clamp(-32_768.0, 32_767.0) as i16
}

fn best(shortest: usize, longest: usize, score: impl Fn(usize, usize) -> f32) -> Option<Pitch> {
    if shortest > longest {
        return None;
    }
    let coarse = (longest / 100).max(1) + 1;
    let mut found = Pitch { period: shortest, strength: -1.0 };
    for period in (shortest..=longest).step_by(coarse) {
        let strength = score(period, coarse);
        if strength > found.strength {
            found = Pitch { period, strength };
        }
    }
    let (from, to) =
        (found.period.saturating_sub(coarse).max(shortest), (found.period + coarse).min(longest));
    found.strength = -1.0;
    for period in from..=to {
        let strength = score(period, 1);
        if strength > found.strength {
            found = Pitch { period, strength };
        }
    }
    Some(found)
}
