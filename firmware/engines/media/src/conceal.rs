//! What is heard in place of lost packets: the voice goes on along its period, and meets the next packet in phase.
//!
//! For codecs without concealment of their own (G.711, G.722); the idea is that of ITU-T G.711 Appendix I. Beyond it: when the packet
//! after the gap is there already, the gap is filled from both sides, the extension of the past stretched so that it ends in phase
//! with what comes (interpolation); else the past is extended, fades after 10 ms, and ends in noise like the background.

use crate::pitch::{self, Pitch, to_sample};

/// Samples of 60 ms at 16 kHz: the longest gap filled at once.
pub const LONGEST_GAP: usize = 960;
const HISTORY: usize = 768;
/// Extension beyond the gap: what overlaps with the next packet, and room for the search.
const BEYOND: usize = 480;

/// The recent past of one stream, and what goes on in its gaps. Feed it all that is played.
#[derive(Clone, Debug)]
pub struct Concealer {
    per_millisecond: usize,
    /// Samples after a gap that the decoder needs to find back.
    settling: usize,
    history: [i16; HISTORY],
    /// The period that is repeated during a gap.
    template: [f32; HISTORY],
    period: usize,
    strength: f32,
    position: usize,
    /// Difference between the last sample played and the extension's, faded out.
    step: f32,
    /// Samples concealed in this gap.
    concealed: usize,
    /// Power of the background noise.
    background: f32,
    noise: u32,
    last_noise: f32,
}

impl Concealer {
    /// For sound of `sample_rate` (8000 or 16000), nothing heard yet. `settling`: milliseconds (to 10) after a gap that the decoder needs to
    /// find back into step.
    pub fn new(sample_rate: u32, settling: u32) -> Self {
        let per_millisecond = (sample_rate / 1000).clamp(8, 16) as usize;
        Self {
            per_millisecond,
            settling: settling.min(10) as usize * per_millisecond,
            history: [0; HISTORY],
            template: [0.0; HISTORY],
            period: 0,
            strength: 0.0,
            position: 0,
            step: 0.0,
            concealed: 0,
            background: 0.0,
            noise: 0x2545_f491,
            last_noise: 0.0,
        }
    }

    /// Whether the latest sound was made here.
    pub const fn in_gap(&self) -> bool {
        self.concealed > 0
    }

    /// A decoded frame is about to be played: joins it to a gap before it, and remembers it.
    pub fn heard(&mut self, frame: &mut [i16]) {
        if self.concealed > 0 {
            let milliseconds = (4 + self.concealed / (10 * self.per_millisecond)).min(10);
            let overlap = (milliseconds * self.per_millisecond).min(frame.len());
            for (at, sample) in frame.iter_mut().take(overlap).enumerate() {
                let weight = fade(at, overlap);
                let gone = self.extension(self.position + at) * self.loudness(self.concealed + at);
                *sample = to_sample(f32::from(*sample) * weight + gone * (1.0 - weight));
            }
            self.concealed = 0;
        }
        let power = pitch::power(frame);
        // Follows quickly down, slowly up: words do not raise it much.
        let rate = if power < self.background { 0.2 } else { 0.005 };
        self.background += (power - self.background) * rate;
        self.remember(frame);
    }

    /// Fills a gap, or the next part of it. `next`: the frame that follows `out`, if it came already; it is played unchanged or merged
    /// (then a few milliseconds of it are changed) and must afterwards be given to [`Concealer::heard`].
    pub fn conceal(&mut self, out: &mut [i16], next: Option<&mut [i16]>) {
        if self.concealed == 0 {
            self.begin();
        }
        let length = out.len().min(LONGEST_GAP);
        match next {
            Some(next)
                if next.len() >= 5 * self.per_millisecond && self.concealed < 60 * self.per_millisecond =>
            {
                self.interpolate(out, next);
            }
            _ => {
                for (at, sample) in out.iter_mut().enumerate() {
                    let loudness = self.loudness(self.concealed + at);
                    let extension = self.extension(self.position + at);
                    *sample = to_sample(extension * loudness + self.next_noise() * (1.0 - loudness));
                }
                self.position += length;
                self.concealed += length;
            }
        }
        self.remember(out);
    }

    /// How the sound before a gap would go on; the gap itself is still to be concealed.
    pub fn extend(&mut self, out: &mut [i16]) {
        if self.concealed == 0 {
            self.begin();
        }
        for (at, sample) in out.iter_mut().enumerate() {
            *sample = to_sample(self.extension(self.position + at) * self.loudness(self.concealed + at));
        }
    }

    /// Background noise, for silence that is not sent and for gaps too long to fill.
    pub fn background_noise(&mut self, out: &mut [i16]) {
        for sample in out.iter_mut() {
            *sample = to_sample(self.next_noise());
        }
        self.remember(out);
    }

    /// Looks for the period and prepares its endless repetition.
    fn begin(&mut self) {
        let unit = self.per_millisecond;
        let (shortest, longest) = (5 * unit / 2, 15 * unit);
        let pitch = pitch::at_end(&self.history, 16 * unit, shortest, longest)
            .unwrap_or(Pitch { period: longest, strength: 0.0 });
        // Noise must not be repeated quickly: it would sing.
        let period = if pitch.strength < 0.4 { longest } else { pitch.period };
        self.period = period;
        self.strength = pitch.strength.clamp(0.0, 1.0);
        self.position = 0;
        let end = HISTORY;
        let overlap = period / 4;
        for (at, sample) in self.template.iter_mut().take(period).enumerate() {
            let last = f32::from(self.history.get(end - period + at).copied().unwrap_or(0));
            *sample = match (at + overlap).checked_sub(period) {
                // The end of the period goes over into what came before its beginning.
                Some(into) => {
                    let weight = fade(into, overlap);
                    let before = self.history.get((end + at).wrapping_sub(2 * period)).copied().unwrap_or(0);
                    last * (1.0 - weight) + f32::from(before) * weight
                }
                None => last,
            };
        }
        let before = self.history.get(end - period - 1).copied().unwrap_or(0);
        let latest = self.history.last().copied().unwrap_or(0);
        self.step = f32::from(latest) - f32::from(before);
    }

    /// The past, going on.
    fn extension(&self, at: usize) -> f32 {
        let sample = self.template.get(at % self.period.max(1)).copied().unwrap_or(0.0);
        let fading = 2 * self.per_millisecond;
        if at < fading { sample + self.step * (1.0 - at as f32 / fading as f32) } else { sample }
    }

    fn extension_between(&self, at: f32) -> f32 {
        let whole = at as usize;
        let part = at - whole as f32;
        self.extension(whole) * (1.0 - part) + self.extension(whole + 1) * part
    }

    /// Of the extension after so many samples: whole for 10 ms, gone after 70.
    fn loudness(&self, concealed: usize) -> f32 {
        let whole = 10 * self.per_millisecond;
        let fading = 60 * self.per_millisecond;
        1.0 - (concealed.saturating_sub(whole) as f32 / fading as f32).min(1.0)
    }

    /// Fills the gap from both sides.
    fn interpolate(&mut self, out: &mut [i16], next: &mut [i16]) {
        let unit = self.per_millisecond;
        let length = out.len();
        let loudness = self.loudness(self.concealed);
        // Where, near its end, is the extension in phase with what comes?
        let window = next.len().min(10 * unit);
        let reach = (self.period / 2).min(length / 4).min(BEYOND / 4);
        let mut ahead = [0i16; 2 * (BEYOND / 4) + 160];
        let origin = self.position + length - reach;
        for (at, sample) in ahead.iter_mut().take(2 * reach + window).enumerate() {
            *sample = to_sample(self.extension(origin + at));
        }
        let (mut shift, mut match_strength) = (reach, -1.0f32);
        for candidate in 0..=2 * reach {
            let strength =
                pitch::similarity(ahead.get(candidate..).unwrap_or(&[]), &next[..window], unit / 8);
            // Among equals, the least stretch.
            let strength = strength - 0.05 * candidate.abs_diff(reach) as f32 / (reach.max(1)) as f32;
            if strength > match_strength {
                (shift, match_strength) = (candidate, strength);
            }
        }
        let in_phase = match_strength > 0.3;
        let stretch = if in_phase { (length + shift - reach) as f32 / length.max(1) as f32 } else { 1.0 };

        // The future, going back along its own period.
        let after = pitch::at_start(next, (next.len() / 2).min(10 * unit), 5 * unit / 2, 10 * unit)
            .unwrap_or(Pitch { period: next.len(), strength: 0.0 });
        let back = if after.strength < 0.4 { next.len().min(15 * unit) } else { after.period };
        let likeness = if in_phase { match_strength.clamp(0.0, 1.0) } else { 0.0 };
        let settling = self.settling.min(next.len());
        for at in 0..length + settling {
            let past = self.extension_between(self.position as f32 + at as f32 * stretch) * loudness;
            // `next` starts at `length`; a whole number of periods earlier it is the same.
            let phase = match at.checked_sub(length) {
                Some(into) => into,
                None => (back - (length - at) % back) % back,
            };
            let future = f32::from(next.get(phase).copied().unwrap_or(0));
            let weight = fade(at, length + settling);
            let (a, b) = (1.0 - weight, weight);
            // Unlike sounds add in power, like ones in amplitude.
            let gain = 1.0 / libm::sqrtf((a * a + b * b + 2.0 * a * b * likeness).max(0.25));
            let sample = to_sample((past * a + future * b) * gain);
            let place = if at < length { out.get_mut(at) } else { next.get_mut(at - length) };
            if let Some(place) = place {
                *place = sample;
            }
        }
        // The end of the gap continues into `next` by construction.
        self.concealed = 0;
    }

    fn next_noise(&mut self) -> f32 {
        // xorshift; sums to a soft spectrum that falls towards high frequencies.
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        let white =
            (self.noise as f32 / 2_147_483_648.0 - 1.0) * libm::sqrtf(self.background.min(90_000.0)) * 1.5;
        self.last_noise += (white - self.last_noise) * 0.6;
        self.last_noise
    }

    fn remember(&mut self, frame: &[i16]) {
        let frame = frame.get(frame.len().saturating_sub(HISTORY)..).unwrap_or(frame);
        self.history.copy_within(frame.len().., 0);
        if let Some(tail) = self.history.get_mut(HISTORY - frame.len()..) {
            tail.copy_from_slice(frame);
        }
    }
}

/// From 0 to 1 along half a cosine.
fn fade(at: usize, length: usize) -> f32 {
    let part = (at as f32 + 0.5) / length.max(1) as f32;
    0.5 - 0.5 * libm::cosf(core::f32::consts::PI * part)
}
