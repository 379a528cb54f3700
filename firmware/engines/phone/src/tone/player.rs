//! Fills frames with a tone's cadence, at 8 and 16 kHz, without clicks.
//!
//! Whatever begins or ends does so within 4 ms of rising or falling loudness.

use dialtone_signal::{Oscillator, Rate, level};

use super::{Cadence, Part, Sound, Tone};
use crate::Country;

/// Plays one tone at a time.
#[derive(Clone, Debug)]
pub struct TonePlayer {
    country: &'static Country,
    rate: Rate,
    playing: Option<Playing>,
    /// What follows when the tone that plays has faded.
    next: Option<Request>,
    stopping: bool,
    voices: [Oscillator; 4],
    modulator: Option<Oscillator>,
    /// 0 to 1.
    loudness: f32,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    cadence: &'static Cadence,
    once: bool,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    request: Request,
    part: usize,
    sounds: bool,
    /// Samples of this part; `None` for ever.
    left: Option<u32>,
}

impl TonePlayer {
    /// Silent, for a line of this rate.
    pub fn new(country: &'static Country, rate: Rate) -> Self {
        Self {
            country,
            rate,
            playing: None,
            next: None,
            stopping: false,
            voices: [Oscillator::default(); 4],
            modulator: None,
            loudness: 0.0,
        }
    }

    /// The line is in another country now; a tone that plays goes on as it is.
    pub fn set_country(&mut self, country: &'static Country) {
        self.country = country;
    }

    /// Begins a tone, until told otherwise; the one that plays fades first.
    pub fn play(&mut self, tone: Tone) {
        self.request(tone, false);
    }

    /// Plays a tone's cadence to its last sound and no further: one call-waiting tone.
    pub fn play_once(&mut self, tone: Tone) {
        self.request(tone, true);
    }

    /// Ends the tone; it fades within 4 ms.
    pub fn stop(&mut self) {
        self.next = None;
        self.stopping = true;
    }

    /// Whether a tone plays, or fades, or will go on after a pause of its cadence.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some() || self.next.is_some()
    }

    /// Fills the frame with the tone.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = level::sample(self.sample());
        }
    }

    /// Adds the tone to what is in the frame: call waiting sounds into the call.
    pub fn mix(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = level::sample(f32::from(*sample) + self.sample());
        }
    }

    fn request(&mut self, tone: Tone, once: bool) {
        self.next = Some(Request { cadence: self.country.tones.cadence(tone), once });
        self.stopping = true;
    }

    fn sample(&mut self) -> f32 {
        if self.stopping && self.loudness <= 0.0 {
            self.stopping = false;
            self.playing = None;
            if let Some(request) = self.next.take() {
                self.enter(request, 0);
            }
        }
        let Some(playing) = &mut self.playing else { return 0.0 };
        let step = 1.0 / (FADE_MILLIS * self.rate.per_milli()) as f32;
        let fading = playing.left.is_some_and(|left| left <= FADE_MILLIS * self.rate.per_milli());
        let wanted = if playing.sounds && !fading && !self.stopping { 1.0 } else { 0.0 };
        self.loudness = if self.loudness < wanted {
            (self.loudness + step).min(1.0)
        } else {
            (self.loudness - step).max(wanted)
        };
        let finished = match &mut playing.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        };
        let (request, part) = (playing.request, playing.part);
        let mut value: f32 = 0.0;
        if self.loudness > 0.0 {
            value = self.voices.iter_mut().map(Oscillator::sample).sum::<f32>() * self.loudness;
            if let Some(modulator) = &mut self.modulator {
                value *= 1.0 + modulator.sample();
            }
        }
        if finished && !self.stopping {
            self.enter(request, part + 1);
        }
        value
    }

    /// Begins a part, the first that repeats after the last, or nothing when none does.
    fn enter(&mut self, request: Request, index: usize) {
        self.playing = None;
        let parts = request.cadence.parts;
        let index = if index < parts.len() {
            index
        } else if request.once {
            return;
        } else if let Some(first) = parts.iter().position(|part| !part.once) {
            first
        } else {
            return;
        };
        let rest = parts.get(index..).unwrap_or(&[]);
        let Some(part) = rest.first() else { return };
        let ends = request.once || rest.iter().all(|part| part.once);
        if ends && rest.iter().all(|part| part.sound == Sound::Silence) {
            return;
        }
        let left = u32::from(part.millis) * self.rate.per_milli();
        let left = match part.millis {
            // Once through a tone without end is a second of it.
            0 if request.once => Some(1_000 * self.rate.per_milli()),
            0 => None,
            _ => Some(left),
        };
        self.tune(part, request.cadence.level);
        self.playing = Some(Playing { request, part: index, sounds: part.sound != Sound::Silence, left });
    }

    fn tune(&mut self, part: &Part, tenths: i16) {
        let dbm0 = f32::from(tenths) / 10.0 - f32::from(part.quieter);
        match part.sound {
            Sound::Silence => {}
            Sound::Sum(frequencies) => {
                let count = frequencies.iter().filter(|hertz| **hertz > 0).count().max(1);
                let share = level::of_power(1.0 / count as f32) - level::of_power(1.0);
                for (voice, hertz) in self.voices.iter_mut().zip(frequencies) {
                    *voice = Oscillator::new(f32::from(hertz), dbm0 + share, self.rate);
                }
                self.modulator = None;
            }
            Sound::Modulated { carrier, by } => {
                // A carrier that swings fully has 1.5 times the power of one that does not.
                self.voices = [Oscillator::default(); 4];
                if let Some(voice) = self.voices.first_mut() {
                    *voice = Oscillator::new(f32::from(carrier), dbm0 - 1.76, self.rate);
                }
                self.modulator = Some(Oscillator::of_amplitude(f32::from(by), 1.0, self.rate));
            }
        }
    }
}

/// How long a tone takes to begin and to end.
const FADE_MILLIS: u32 = 4;

#[cfg(test)]
mod tests;
