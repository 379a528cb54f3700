//! Doubles or halves a sample rate: wideband lines with narrowband codecs.
//!
//! One half-band filter of 47 taps (Kaiser window): flat to 3.4 kHz, images and aliases of what lies beyond
//! 4.6 kHz are 50 dB down. Delay 1.4 ms.

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
