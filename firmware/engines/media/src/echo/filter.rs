//! Two filters for one echo path: one that learns, one that is heard.
//!
//! The background filter is a partitioned-block frequency-domain Kalman filter: per partition and bin it knows how uncertain its
//! coefficient still is, and takes from each frame just as much as that uncertainty and whatever is not echo (the near end's
//! speech, µ-law rounding) justify. So it learns within a few hundred milliseconds and stands still at double talk, without a
//! detector that must decide in time. The foreground filter makes the output; it takes over the background's coefficients
//! when they are better beyond doubt, and gives its own when the background went astray. Overlap-save, no delay.

use alloc::boxed::Box;
use alloc::vec;

use super::transform::{Spectrum, Transform, stride};

/// What one frame did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Energy of the near signal.
    pub near: f32,
    /// Energy of what was returned.
    pub error: f32,
    /// Energy of the echo that was taken away.
    pub echo: f32,
    /// The path was found to have changed; everything was forgotten.
    pub forgot: bool,
}

/// Both filters and what they know of the past.
pub(super) struct TwoPathFilter {
    hop: usize,
    length: usize,
    transform: Transform,
    /// The last `length` samples to the handset.
    far: Box<[f32]>,
    /// Spectra of the far signal, one per frame, the newest at `newest`.
    history: Box<[Spectrum]>,
    newest: usize,
    background: Box<[Spectrum]>,
    foreground: Box<[Spectrum]>,
    /// Expected squared error of each background coefficient, by partition.
    uncertainty: Box<[Box<[f32]>]>,
    /// Share of the uncertainty that counts, by partition: echo paths are short, where in the tail is learnt first.
    relevance: Box<[f32]>,
    /// Power of what is not echo, per bin.
    noise: Box<[f32]>,
    denominator: Box<[f32]>,
    step: Spectrum,
    work: Spectrum,
    samples: Box<[f32]>,
    background_error: Box<[f32]>,
    next_constrained: usize,
    comparison: Comparison,
    watch: PathWatch,
}

/// A spectrum of the far signal and the one that is `frames` older.
fn past(history: &[Spectrum], newest: usize, frames: usize) -> &Spectrum {
    &history[(newest + history.len() - frames) % history.len()]
}

impl TwoPathFilter {
    /// For frames of `hop` samples (80 or 160) and an echo path of at least `taps` samples.
    pub fn new(hop: usize, taps: usize) -> Self {
        let length = (3 * hop).next_power_of_two();
        let partitions = taps.div_ceil(2 * hop).max(1);
        let spectra = |count: usize| (0..count).map(|_| Spectrum::zero(length)).collect::<Box<[_]>>();
        let mut filter = Self {
            hop,
            length,
            transform: Transform::new(length),
            far: vec![0.0; length].into(),
            history: spectra(2 * partitions - 1),
            newest: 0,
            background: spectra(partitions),
            foreground: spectra(partitions),
            uncertainty: (0..partitions).map(|_| vec![0.0; stride(length)].into()).collect(),
            relevance: vec![1.0; partitions].into(),
            noise: vec![0.0; stride(length)].into(),
            denominator: vec![0.0; stride(length)].into(),
            step: Spectrum::zero(length),
            work: Spectrum::zero(length),
            samples: vec![0.0; length].into(),
            background_error: vec![0.0; hop].into(),
            next_constrained: 0,
            comparison: Comparison::default(),
            watch: PathWatch::default(),
        };
        filter.forget();
        filter
    }

    /// Knows nothing of the path any more.
    pub fn forget(&mut self) {
        self.background.iter_mut().chain(self.foreground.iter_mut()).for_each(Spectrum::clear);
        self.noise.fill(0.0);
        self.doubt(INITIAL_UNCERTAINTY);
        self.comparison = Comparison::default();
        self.watch = PathWatch::default();
    }

    /// No coefficient is more certain than this.
    fn doubt(&mut self, least: f32) {
        let bins = self.length / 2 + 1;
        for uncertainty in self.uncertainty.iter_mut().flat_map(|partition| partition.iter_mut().take(bins)) {
            *uncertainty = if *uncertainty < least { least } else { *uncertainty };
        }
    }

    /// The spectrum of the last few frames to the handset.
    pub fn far_spectrum(&self) -> &Spectrum {
        &self.history[self.newest]
    }

    /// Hears a frame to the handset. Before [`process`](Self::process) of the same frame.
    pub fn hear(&mut self, far: &[f32]) {
        self.far.copy_within(self.hop.., 0);
        self.far[self.length - self.hop..].copy_from_slice(far);
        self.newest = (self.newest + 1) % self.history.len();
        self.transform.forward(&self.far, &mut self.history[self.newest]);
    }

    /// Takes the echo out of `near`, and learns from the frame when `learn` is set.
    pub fn process(&mut self, near: &mut [f32], learn: bool) -> Frame {
        let hop = self.hop;
        let near_energy = energy(near);
        self.background_error.copy_from_slice(near);
        self.estimate(true);
        let echo = &self.samples[self.length - hop..];
        self.background_error.iter_mut().zip(echo).for_each(|(error, echo)| *error -= echo);
        self.estimate(false);
        let echo = &self.samples[self.length - hop..];
        let echo_energy = energy(echo);
        near.iter_mut().zip(echo).for_each(|(error, echo)| *error -= echo);

        let mut frame = Frame { near: near_energy, error: energy(near), echo: echo_energy, forgot: false };
        if !learn {
            return frame;
        }
        let apart = near.iter().zip(&self.background_error).map(|(a, b)| (a - b) * (a - b)).sum();
        match self.comparison.decide(frame.error, energy(&self.background_error), apart) {
            Decision::Stay => {}
            Decision::TakeOver => {
                for (foreground, background) in self.foreground.iter_mut().zip(&self.background) {
                    foreground.copy_from(background);
                }
                // From one to the other within the frame, so that nothing clicks.
                let slope = 1.0 / hop as f32;
                let mut share = 0.0;
                for (error, background) in near.iter_mut().zip(&self.background_error) {
                    share += slope;
                    *error += share * (background - *error);
                }
                frame.error = energy(near);
            }
            Decision::GiveBack => {
                for (background, foreground) in self.background.iter_mut().zip(&self.foreground) {
                    background.copy_from(foreground);
                }
                self.background_error.copy_from_slice(near);
            }
        }
        match self.watch.look(frame.near, frame.error) {
            Suspicion::None => self.learn(),
            Suspicion::Changed => {
                self.doubt(RENEWED_UNCERTAINTY);
                self.learn();
            }
            Suspicion::Wrong => {
                // What the background knows may still be right in part; nobody hears it.
                self.foreground.iter_mut().for_each(Spectrum::clear);
                self.doubt(INITIAL_UNCERTAINTY);
                self.noise.fill(0.0);
                self.comparison = Comparison::default();
                self.watch = PathWatch::default();
                self.learn();
                frame.forgot = true;
            }
        }
        frame
    }

    /// The echo one of the filters expects, in the last `hop` of `samples`.
    fn estimate(&mut self, background: bool) {
        self.work.clear();
        let filter = if background { &self.background } else { &self.foreground };
        for (partition, coefficients) in filter.iter().enumerate() {
            self.work.add_product(coefficients, past(&self.history, self.newest, 2 * partition));
        }
        self.transform.inverse(&self.work, &mut self.samples);
    }

    /// One step of the Kalman filter with the background's error.
    ///
    /// Per bin, with `X` of a partition's frame, `u` its uncertainty, `E` the error and `V` the power of what is not echo, the
    /// coefficient moves by `u X* E / (t Σ|X|²u + V/n)`: of the transform, `n` is the share of new samples and `t` that of taps.
    fn learn(&mut self) {
        let (hop, length) = (self.hop, self.length);
        self.samples[..length - hop].fill(0.0);
        self.samples[length - hop..].copy_from_slice(&self.background_error);
        self.transform.forward(&self.samples, &mut self.step);
        let new = hop as f32 / length as f32;
        let taps = 2.0 * new;

        self.weigh();
        self.denominator.fill(0.0);
        for (partition, (uncertainty, relevance)) in self.uncertainty.iter().zip(&self.relevance).enumerate()
        {
            let far = past(&self.history, self.newest, 2 * partition);
            let far = far.re.iter().zip(far.im.iter());
            for (sum, (uncertainty, (re, im))) in self.denominator.iter_mut().zip(uncertainty.iter().zip(far))
            {
                *sum += relevance * uncertainty * (re * re + im * im);
            }
        }
        let error = self.step.re.iter_mut().zip(self.step.im.iter_mut());
        for ((sum, noise), (re, im)) in self.denominator.iter_mut().zip(self.noise.iter_mut()).zip(error) {
            let power = *re * *re + *im * *im;
            // Double talk must be believed at once, silence after it only slowly.
            *noise += if power > *noise { 0.5 } else { 0.1 } * (power - *noise);
            let inverse = 1.0 / (taps * *sum + (*noise + hop as f32) / new);
            *sum = inverse;
            *re *= inverse;
            *im *= inverse;
        }
        for (partition, background) in self.background.iter_mut().enumerate() {
            let far = past(&self.history, self.newest, 2 * partition);
            let relevance = self.relevance[partition];
            let far = far.re.iter().zip(far.im.iter());
            let step = self.step.re.iter().zip(self.step.im.iter());
            let coefficients = background.re.iter_mut().zip(background.im.iter_mut());
            let knowledge = self.uncertainty[partition].iter_mut().zip(self.denominator.iter());
            for (((re, im), (uncertainty, inverse)), ((xr, xi), (er, ei))) in
                coefficients.zip(knowledge).zip(far.zip(step))
            {
                let gain = relevance * *uncertainty;
                *re += gain * (xr * er + xi * ei);
                *im += gain * (xr * ei - xi * er);
                let learnt = new * gain * (xr * xr + xi * xi) * inverse;
                *uncertainty -= CONFIDENCE * learnt * *uncertainty;
                *uncertainty += DRIFT * (*re * *re + *im * *im);
            }
        }
        for _ in 0..CONSTRAINED_PER_FRAME {
            self.constrain(self.next_constrained);
            self.next_constrained = (self.next_constrained + 1) % self.background.len();
        }
    }

    /// Which partitions matter: by the size of what they have learnt beside the largest.
    fn weigh(&mut self) {
        for (relevance, coefficients) in self.relevance.iter_mut().zip(&self.background) {
            *relevance = energy(&coefficients.re) + energy(&coefficients.im);
        }
        let nothing = 1e-3 * self.length as f32;
        let largest = self.relevance.iter().fold(nothing, |a, b| if *b > a { *b } else { a });
        for relevance in self.relevance.iter_mut() {
            *relevance = LEAST_RELEVANCE + (1.0 - LEAST_RELEVANCE) * libm::sqrtf(*relevance / largest);
        }
    }

    /// Takes out of a partition what circular convolution put beyond its taps.
    fn constrain(&mut self, partition: usize) {
        let Some(coefficients) = self.background.get_mut(partition) else { return };
        self.transform.inverse(coefficients, &mut self.samples);
        self.samples[2 * self.hop..].fill(0.0);
        self.transform.forward(&self.samples, coefficients);
    }
}

/// Which filter is better, as far as noise lets one tell: after one frame, a few, and some more.
#[derive(Clone, Copy, Default)]
struct Comparison {
    few: Difference,
    more: Difference,
}

#[derive(Clone, Copy, Default)]
struct Difference {
    /// Foreground's error energy less the background's.
    gain: f32,
    /// The square of what it would wander by if neither were better.
    wander: f32,
}

enum Decision {
    Stay,
    TakeOver,
    GiveBack,
}

impl Comparison {
    /// Of a frame's error energies; `apart` is the energy of their difference.
    fn decide(&mut self, foreground: f32, background: f32, apart: f32) -> Decision {
        let one = Difference { gain: foreground - background, wander: foreground * apart };
        self.few.mix(one, 0.4);
        self.more.mix(one, 0.15);
        let decision = if one.beyond(1.0) || self.few.beyond(0.5) || self.more.beyond(0.25) {
            Decision::TakeOver
        } else if one.below(4.0) || self.few.below(4.0) || self.more.below(4.0) {
            Decision::GiveBack
        } else {
            return Decision::Stay;
        };
        *self = Self::default();
        decision
    }
}

impl Difference {
    fn mix(&mut self, one: Self, share: f32) {
        self.gain += share * (one.gain - self.gain);
        self.wander = (1.0 - share) * (1.0 - share) * self.wander + share * share * one.wander;
    }

    fn beyond(&self, bar: f32) -> bool {
        self.gain > 0.0 && self.gain * self.gain > bar * self.wander
    }

    fn below(&self, bar: f32) -> bool {
        self.gain < 0.0 && self.gain * self.gain > bar * self.wander
    }
}

/// Watches whether the path is still the one that was learnt.
#[derive(Clone, Copy)]
struct PathWatch {
    near: f32,
    error: f32,
    /// The lowest error beside the near signal so far, forgotten slowly.
    best: f32,
    worse_for: u32,
}

enum Suspicion {
    None,
    /// Double talk or another path: learning anew costs nothing, the foreground stays.
    Changed,
    /// The foreground adds echo instead of taking it away.
    Wrong,
}

impl Default for PathWatch {
    fn default() -> Self {
        Self { near: 0.0, error: 0.0, best: 1.0, worse_for: 0 }
    }
}

impl PathWatch {
    fn look(&mut self, near: f32, error: f32) -> Suspicion {
        self.near = 0.8 * self.near + near;
        self.error = 0.8 * self.error + error;
        if self.error > 1.5 * self.near + AUDIBLE {
            return Suspicion::Wrong;
        }
        if self.near < 10.0 * AUDIBLE {
            return Suspicion::None;
        }
        let ratio = self.error / self.near;
        self.best = if ratio < self.best { ratio } else { self.best * 1.001 };
        if ratio < 10.0 * self.best.max(LEAST_RATIO) || self.error < AUDIBLE {
            self.worse_for = 0;
            return Suspicion::None;
        }
        self.worse_for += 1;
        if !self.worse_for.is_multiple_of(PATIENCE) {
            return Suspicion::None;
        }
        Suspicion::Changed
    }
}

/// Energy of samples.
pub(super) fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum()
}

/// Expected square of a coefficient that nothing is known of: a loud path somewhere in the tail.
const INITIAL_UNCERTAINTY: f32 = 0.25;
/// The same when the path may have become another.
const RENEWED_UNCERTAINTY: f32 = 0.01;
/// Relevance of a partition in which nothing was found.
const LEAST_RELEVANCE: f32 = 0.02;
/// How much of the certainty the frame promises is believed: bins are not as independent as the filter takes them to be.
const CONFIDENCE: f32 = 0.4;
/// How fast coefficients become uncertain again, of their squares per frame.
const DRIFT: f32 = 3e-5;
/// Partitions that are constrained to their taps in each frame, in turn.
const CONSTRAINED_PER_FRAME: usize = 2;
/// Frames of bad cancellation after which the path is doubted.
const PATIENCE: u32 = 15;
/// Error beside the near signal that µ-law hardly lets one fall below.
const LEAST_RATIO: f32 = 1e-3;
/// Energy of a frame below which nobody hears it, −60 dBm0 or so.
const AUDIBLE: f32 = 80.0 * 200.0;
