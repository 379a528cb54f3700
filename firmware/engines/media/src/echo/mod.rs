//! The line echo canceller: what the handset's side sends back of the other party's voice.
//!
//! An FXS line reflects what is played to it, some 10 dB weaker and up to 128 ms later; over a packet network the other party hears
//! that as an echo. [`EchoCanceller`] learns the path (`filter`) and subtracts the echo, hides what remains while only the far end
//! speaks (`suppressor`), and leaves the line alone while modems and faxes use it (G.168 section 7). Frames of 10 ms at 8 or 16 kHz,
//! no delay, no allocation after construction. Does not cancel the acoustic echo of a loudspeaker telephone beyond its tail.

mod filter;
mod suppressor;
mod transform;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;

use filter::{TwoPathFilter, energy};
use suppressor::{Heard, Suppressor};

use crate::modem_tone::{DataTone, DataWatch};

/// One line's echo canceller.
pub struct EchoCanceller {
    hop: usize,
    filter: TwoPathFilter,
    suppressor: Suppressor,
    far: Box<[f32]>,
    near: Box<[f32]>,
    /// Frames since the far end was last loud enough for an echo.
    quiet_for: u32,
    tail_frames: u32,
    tonality: Tonality,
    data: DataWatch,
    enabled: bool,
    suppressing: bool,
    loss: ReturnLoss,
    statistics: EchoStatistics,
}

/// What the canceller is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchoState {
    /// Switched off: sound passes unchanged.
    Off,
    /// Stepped aside for modems (G.168 section 7): sound passes unchanged.
    Data,
    /// Learning the path; less than 20 dB of the echo are taken away.
    #[default]
    Learning,
    /// At least 20 dB were taken away when there was last an echo.
    Converged,
}

/// How well it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EchoStatistics {
    /// What it does.
    pub state: EchoState,
    /// Echo return loss enhancement in dB: how much weaker the echo became, without the suppressor, over the last second of far
    /// speech. 0 when there was none.
    pub enhancement_db: f32,
    /// How often the path was found to be another and learnt anew.
    pub path_changes: u32,
}

impl EchoCanceller {
    /// For a line of `sample_rate` 8000 or 16000 Hz (others are taken for the nearer) and echoes up to `tail_ms` later, at most 256.
    /// Allocates all it will ever need: some 40 KiB at 8 kHz and 128 ms.
    pub fn new(sample_rate: u32, tail_ms: u32) -> Self {
        let hop = if sample_rate < 12_000 { 80 } else { 160 };
        let tail_ms = tail_ms.clamp(10, 256);
        Self {
            hop,
            filter: TwoPathFilter::new(hop, hop * tail_ms as usize / 10),
            suppressor: Suppressor::new(hop),
            far: vec![0.0; hop].into(),
            near: vec![0.0; hop].into(),
            quiet_for: u32::MAX,
            tail_frames: tail_ms.div_ceil(10) + 2,
            tonality: Tonality::default(),
            data: DataWatch::new(),
            enabled: true,
            suppressing: true,
            loss: ReturnLoss::default(),
            statistics: EchoStatistics::default(),
        }
    }

    /// Samples in a frame: 80 or 160.
    pub fn frame_length(&self) -> usize {
        self.hop
    }

    /// Takes the echo of `far`, the frame that goes to the handset, out of `near`, the frame that came from it in the same 10 ms.
    /// Frames of another length than [`frame_length`](Self::frame_length) pass unchanged.
    pub fn process(&mut self, far: &[i16], near: &mut [i16]) {
        if far.len() != self.hop || near.len() != self.hop {
            return;
        }
        self.data.process(far, near);
        if !self.enabled {
            return;
        }
        if self.data.echo_must_pass() {
            self.statistics.state = EchoState::Data;
            return;
        }
        let mut clipped = false;
        for (to, from) in self.far.iter_mut().zip(far) {
            *to = f32::from(*from);
        }
        for (to, from) in self.near.iter_mut().zip(near.iter()) {
            clipped |= from.unsigned_abs() >= CLIPPED;
            *to = f32::from(*from);
        }
        let far_energy = energy(&self.far);
        self.filter.hear(&self.far);
        let steady_tone = self.tonality.look(self.filter.far_spectrum());
        self.quiet_for =
            if far_energy > QUIET * self.hop as f32 { 0 } else { self.quiet_for.saturating_add(1) };
        let echo_possible = self.quiet_for <= self.tail_frames;
        // A tone says nothing of other frequencies, clipping is no part of a linear path.
        let learns = echo_possible && !clipped && !steady_tone;
        let frame = self.filter.process(&mut self.near, learns);

        if frame.forgot {
            self.loss = ReturnLoss::default();
            self.statistics.path_changes = self.statistics.path_changes.saturating_add(1);
        }
        if echo_possible {
            self.loss.add(frame.near, frame.error);
        }
        self.statistics.enhancement_db = self.loss.enhancement_db();
        let converged = self.statistics.enhancement_db >= 20.0;
        self.statistics.state = if converged { EchoState::Converged } else { EchoState::Learning };
        // Between faxes the echo goes, but their signals must not: no suppressor.
        if self.suppressing && self.data.heard().is_none() {
            let learns = learns && !frame.forgot && far_energy > QUIET * self.hop as f32;
            let heard =
                Heard { far: far_energy, echo: frame.echo, error: frame.error, echo_possible, learns };
            if frame.forgot {
                self.suppressor.doubt();
            }
            self.suppressor.process(heard, self.statistics.enhancement_db, &mut self.near);
        }
        for (to, from) in near.iter_mut().zip(self.near.iter()) {
            *to = libm::roundf(*from) as i16;
        }
    }

    /// Switches it on or off. Off, sound passes unchanged; what was learnt is kept.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
        self.statistics.state = if enabled { EchoState::Learning } else { EchoState::Off };
    }

    /// Switches the suppressor (G.168's non-linear processor) on or off; on at first. Tests measure the filter without it.
    pub fn set_suppressing(&mut self, suppressing: bool) {
        self.suppressing = suppressing;
    }

    /// The fax or modem heard in either direction, as long as it is there: whatever else helps speech should step aside, too. It is
    /// listened for while the canceller is off as well.
    pub fn data_tone(&self) -> Option<DataTone> {
        self.data.heard()
    }

    /// Forgets the path: another call may have another.
    pub fn restart(&mut self) {
        self.filter.forget();
        self.suppressor.restart();
        self.data.restart();
        self.loss = ReturnLoss::default();
        self.statistics = EchoStatistics::default();
        self.set_enabled(self.enabled);
    }

    /// How well it goes.
    pub fn statistics(&self) -> EchoStatistics {
        self.statistics
    }
}

/// Near and remaining energy over about a second of far speech.
#[derive(Clone, Copy, Debug, Default)]
struct ReturnLoss {
    near: f32,
    error: f32,
}

impl ReturnLoss {
    fn add(&mut self, near: f32, error: f32) {
        self.near = 0.97 * self.near + near;
        self.error = 0.97 * self.error + error;
    }

    fn enhancement_db(&self) -> f32 {
        let ratio = (self.near + 1.0) / (self.error + 1.0);
        if ratio > 1.0 { 10.0 * libm::log10f(ratio) } else { 0.0 }
    }
}

/// Whether the far end sends one or two steady tones and nothing else.
#[derive(Clone, Copy, Debug, Default)]
struct Tonality {
    peaks: [usize; 2],
    steady_for: u32,
}

impl Tonality {
    fn look(&mut self, spectrum: &transform::Spectrum) -> bool {
        let power = |bin: usize| match (spectrum.re.get(bin), spectrum.im.get(bin)) {
            (Some(re), Some(im)) => re * re + im * im,
            _ => 0.0,
        };
        let bins = spectrum.re.len();
        let (mut total, mut first) = (0.0, 0);
        for bin in 0..bins {
            total += power(bin);
            first = if power(bin) > power(first) { bin } else { first };
        }
        let far_from = |bin: usize, peak: usize| bin.abs_diff(peak) > PEAK_WIDTH;
        let mut second = 0;
        for bin in (0..bins).filter(|bin| far_from(*bin, first)) {
            second = if power(bin) > power(second) || !far_from(second, first) { bin } else { second };
        }
        let rest: f32 =
            (0..bins).filter(|bin| far_from(*bin, first) && far_from(*bin, second)).map(power).sum();
        let steady = self.peaks[0].abs_diff(first) <= 1 || self.peaks[1].abs_diff(first) <= 1;
        self.peaks = [first, second];
        let tone = rest < 0.05 * total && steady;
        self.steady_for = if tone { self.steady_for.saturating_add(1) } else { 0 };
        self.steady_for >= STEADY_FRAMES
    }
}

/// Bins beside a tone's own that hold its leakage.
const PEAK_WIDTH: usize = 3;
/// Frames after which a tone is a tone and not a vowel.
const STEADY_FRAMES: u32 = 8;
/// A sample of this size was clipped: full scale, or the largest of µ-law (32124) and A-law (32256).
const CLIPPED: u16 = 32_000;
/// Mean square of a far signal whose echo nobody hears: about −66 dBm0, just above the silence of A-law, which is steps of ±8.
const QUIET: f32 = 100.0;
