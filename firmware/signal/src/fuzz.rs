//! Fuzz body: bytes become sound of any kind and frames of any length.

use crate::dtmf::{Detector, Event};
use crate::{Goertzel, Rate, level};

/// Runs the listeners over `data`. Panics when they break a promise.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let rate = if first & 1 == 0 { Rate::Narrow } else { Rate::Wide };
    let mut detector = Detector::new(rate);
    let mut goertzel = Goertzel::new(f32::from(*first) * 20.0, rate);
    let mut pressed = None;
    for chunk in rest.chunks(usize::from(*first).max(2)) {
        let mut samples = [0; 128];
        let mut length = 0;
        for (sample, pair) in samples.iter_mut().zip(chunk.chunks_exact(2)) {
            *sample =
                i16::from_le_bytes([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]);
            length += 1;
        }
        let samples = samples.get(..length).unwrap_or(&[]);
        detector.listen(samples, |event| match event {
            Event::Begin { key, .. } => assert_eq!(pressed.replace(key), None, "two begins"),
            Event::End { key, .. } => assert_eq!(pressed.take(), Some(key), "an end without its begin"),
        });
        goertzel.extend(samples);
        let heard = level::of(samples);
        assert!((level::SILENCE..=6.2).contains(&heard), "{heard}");
        assert!(goertzel.power().is_finite() && goertzel.share().is_finite());
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use dialtone_base::Seed;

    #[test]
    fn no_sound_makes_the_listeners_panic() {
        for seed in 0..2_000 {
            let mut random = dialtone_base::Random::new(Seed::from_number(seed));
            let mut data: Vec<u8> = (0..600).map(|_| random.below(256) as u8).collect();
            if seed % 3 == 0 {
                for byte in &mut data[1..300] {
                    *byte = if *byte & 1 == 0 { 0xff } else { 0x7f };
                }
            }
            super::fuzz(&data);
        }
    }
}
