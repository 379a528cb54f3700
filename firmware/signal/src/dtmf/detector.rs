//! Hears keys: begin, end, and when to hide the sound from the far end.
//!
//! Every 5 ms the last 20 ms, under a Hann window, are taken apart into the eight frequencies. The strongest row and the strongest column
//! must be loud enough, alike enough (twist), at their frequency (the advance of their phase in 5 ms tells it to a hertz), steady, and
//! nearly all there is: speech is never that pure for long. Five such looks in a row are a key (ITU-T Q.24: 40 ms are accepted, 20 ms
//! are not); six without it are its end, so that a break of 10 ms is none. One look that might be a key is enough to hide the frame
//! ([`Detector::hides`]): less than 20 ms of a key ever reach the far end, too little to be heard there a second time.
//!
//! The dial tone may sound at the same time. Not done: telling a key from a recording of a key.

use dialtone_base::telephony::Key;

use super::filter::Front;
use super::{COLUMNS, ROWS, key_at};
use crate::Rate;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key is pressed; it has sounded for about `millis` already.
    Begin {
        /// Which.
        key: Key,
        /// Since it began.
        millis: u32,
    },
    /// It was released.
    End {
        /// Which.
        key: Key,
        /// How long it sounded in all.
        millis: u32,
    },
}

/// Listens for keys.
#[derive(Clone, Debug)]
pub struct Detector {
    front: Front,
    hann: [f32; WINDOW],
    /// The last 20 ms, a ring whose oldest sample lies at `position`.
    samples: [f32; WINDOW],
    /// The same before the dial tone was taken away.
    unfiltered: [f32; WINDOW],
    position: usize,
    until_look: usize,
    bins: [Bin; 8],
    /// Power below the keys' frequencies at the last looks, newest last.
    below: [f32; STEADY_LOOKS],
    tone_plays: bool,
    state: State,
    suspicious: bool,
}

/// One of the eight frequencies.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    hertz: f32,
    /// What the filter takes of it, in parts of what it leaves.
    taken: f32,
    cosine: f32,
    sine: f32,
    now: Complex,
    before: Complex,
}

#[derive(Clone, Copy, Debug, Default)]
struct Complex {
    re: f32,
    im: f32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Silent,
    /// Looks that saw the same key in a row; the second of them; purity and what is below of all but the first, summed.
    Suspected {
        model: Look,
        looks: u32,
        purity: f32,
        below: f32,
    },
    /// Looks since the begin, looks without the key at the end; a key that may follow.
    Pressed {
        key: Key,
        looks: u32,
        missed: u32,
    },
}

/// One tone as a look saw it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    index: usize,
    /// Peak amplitude.
    amplitude: f32,
    /// Off its frequency by this part of it.
    detuned: f32,
    /// What the filter took of its power.
    taken: f32,
}

/// What a look saw.
#[derive(Clone, Copy, Debug)]
struct Look {
    key: Key,
    row: Seen,
    column: Seen,
    /// Part of the power that the two tones are.
    purity: f32,
    /// Power below the keys' frequencies, in parts of theirs; 0 when a steady tone makes it.
    below: f32,
}

impl Detector {
    /// For a line of this rate.
    pub fn new(rate: Rate) -> Self {
        let mut hann = [0.0; WINDOW];
        for (index, weight) in hann.iter_mut().enumerate() {
            let turn = (index as f32 + 0.5) / WINDOW as f32 * core::f32::consts::TAU;
            *weight = 0.5 - 0.5 * libm::cosf(turn);
        }
        let mut bins = [Bin::default(); 8];
        for (bin, hertz) in bins.iter_mut().zip(ROWS.into_iter().chain(COLUMNS)) {
            let turn = core::f32::consts::TAU * hertz / RATE;
            *bin = Bin {
                hertz,
                taken: 1.0 / Front::passes(hertz) - 1.0,
                cosine: libm::cosf(turn),
                sine: libm::sinf(turn),
                ..Bin::default()
            };
        }
        Self {
            front: Front::new(rate),
            hann,
            samples: [0.0; WINDOW],
            unfiltered: [0.0; WINDOW],
            position: 0,
            until_look: HOP,
            bins,
            below: [0.0; STEADY_LOOKS],
            tone_plays: false,
            state: State::Silent,
            suspicious: false,
        }
    }

    /// Takes a frame of sound; events come in order of time. Frames may have any length, 10 ms gives the least delay.
    pub fn listen(&mut self, samples: &[i16], mut event: impl FnMut(Event)) {
        self.suspicious = matches!(self.state, State::Pressed { .. });
        for sample in samples {
            let Some((filtered, unfiltered)) = self.front.push(*sample) else { continue };
            let oldest = self.samples.get_mut(self.position).zip(self.unfiltered.get_mut(self.position));
            if let Some((place, unfiltered_place)) = oldest {
                *place = filtered;
                *unfiltered_place = unfiltered;
            }
            self.position = (self.position + 1) % WINDOW;
            self.until_look -= 1;
            if self.until_look == 0 {
                self.until_look = HOP;
                let look = self.look();
                self.advance(look, &mut event);
            }
        }
    }

    /// Whether the frame just heard must not reach the far end as sound, because a key is, or may be, in it.
    pub fn hides(&self) -> bool {
        self.suspicious
    }

    /// A tone is played to the handset (dial, stutter …), whose echo comes back below the keys' frequencies, in its cadence. Without this
    /// word a steady tone is known after 160 ms.
    pub fn set_tone_plays(&mut self, plays: bool) {
        self.tone_plays = plays;
    }

    /// The key that is pressed.
    pub fn pressed(&self) -> Option<Key> {
        match self.state {
            State::Pressed { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Forgets what it heard, without an event.
    pub fn reset(&mut self) {
        self.samples = [0.0; WINDOW];
        self.unfiltered = [0.0; WINDOW];
        self.below = [0.0; STEADY_LOOKS];
        self.state = State::Silent;
        self.suspicious = false;
        for bin in &mut self.bins {
            bin.now = Complex::default();
        }
    }

    /// Takes the last 20 ms apart. `None` when no row and column stand out.
    fn look(&mut self) -> Option<Look> {
        let mut windowed = [0.0; WINDOW];
        let (newer, older) = self.samples.split_at_checked(self.position)?;
        let mut energy = 0.0;
        for ((place, sample), weight) in windowed.iter_mut().zip(older.iter().chain(newer)).zip(self.hann) {
            *place = sample * weight;
            energy += *place * *place;
        }
        let power = energy / SQUARED_WEIGHTS;
        let below = self.listen_below(power);
        for bin in &mut self.bins {
            bin.before = bin.now;
        }
        if power < QUIET {
            for bin in &mut self.bins {
                bin.now = Complex::default();
            }
            return None;
        }
        for bin in &mut self.bins {
            bin.now = bin.listen(&windowed);
        }
        let row = self.strongest(0)?;
        let column = self.strongest(4)?;
        let key = key_at(row.index, column.index.checked_sub(4)?)?;
        let tones = (row.amplitude * row.amplitude + column.amplitude * column.amplitude) / 2.0;
        Some(Look {
            key,
            row,
            column,
            purity: tones / power,
            below: (below - row.taken - column.taken) / tones,
        })
    }

    /// The power below the keys' frequencies, where a voice has most of its own. A dial tone is there too, but steady for longer.
    fn listen_below(&mut self, power: f32) -> f32 {
        let Some((newer, older)) = self.unfiltered.split_at_checked(self.position) else { return 0.0 };
        let all: f32 = older
            .iter()
            .chain(newer)
            .zip(self.hann)
            .map(|(sample, weight)| (sample * weight) * (sample * weight))
            .sum();
        let below = (all / SQUARED_WEIGHTS - power).max(0.0);
        self.below.rotate_left(1);
        if let Some(last) = self.below.last_mut() {
            *last = below;
        }
        // Two frequencies beat, 400 and 425 Hz every 40 ms: eight looks together do not see it.
        let (mut most, mut least) = (0.0_f32, f32::MAX);
        for looks in self.below.chunks(8) {
            let sum = looks.iter().sum::<f32>();
            most = most.max(sum);
            least = least.min(sum);
        }
        if self.tone_plays || most < least * 1.2 { 0.0 } else { below }
    }

    fn strongest(&self, first: usize) -> Option<Seen> {
        let group = self.bins.iter().enumerate().skip(first).take(4);
        let (index, bin) =
            group.max_by(|(_, one), (_, other)| one.now.power().total_cmp(&other.now.power()))?;
        let offset = bin.offset();
        // The window lets less through beside its middle.
        let bins = offset * WINDOW as f32 / RATE;
        let response = if bins.abs() < 0.01 {
            1.0
        } else if bins.abs() < 0.95 {
            let angle = core::f32::consts::PI * bins;
            libm::sinf(angle) / angle / (1.0 - bins * bins)
        } else {
            0.5
        };
        let amplitude = 2.0 * libm::sqrtf(bin.now.power()) / WEIGHTS / response;
        let taken = amplitude * amplitude / 2.0 * bin.taken;
        Some(Seen { index, amplitude, detuned: offset / bin.hertz, taken })
    }

    fn advance(&mut self, look: Option<Look>, event: &mut impl FnMut(Event)) {
        let seen = look.filter(Look::is_key);
        if look.is_some_and(|look| look.may_become_key()) {
            self.suspicious = true;
        }
        self.state = match self.state {
            State::Silent => State::first(seen),
            State::Suspected { model, looks, purity, below } => match seen {
                Some(look) if look.key == model.key => {
                    // The first look may have seen the rise.
                    let model = if looks == 1 { look } else { model };
                    let (purity, below) = (purity + look.purity, below + look.below);
                    let clean = purity > MEAN_PURITY * looks as f32 && below < MEAN_BELOW * looks as f32;
                    if !look.is_like(&model) {
                        State::first(seen)
                    } else if looks + 1 >= BEGIN && clean {
                        let key = look.key;
                        event(Event::Begin { key, millis: (looks + 1) * HOP_MILLIS + BEGIN_EXTRA });
                        State::Pressed { key, looks: looks + 1, missed: 0 }
                    } else {
                        State::Suspected { model, looks: looks + 1, purity, below }
                    }
                }
                _ => State::first(seen),
            },
            State::Pressed { key, looks, missed } => {
                self.suspicious = true;
                if look.is_some_and(|look| look.key == key && look.is_still_key()) {
                    State::Pressed { key, looks: looks + missed + 1, missed: 0 }
                } else if missed + 1 < END {
                    State::Pressed { key, looks, missed: missed + 1 }
                } else {
                    event(Event::End { key, millis: looks * HOP_MILLIS + LENGTH_EXTRA });
                    State::first(seen)
                }
            }
        };
    }
}

impl State {
    fn first(look: Option<Look>) -> Self {
        look.map_or(Self::Silent, |model| Self::Suspected { model, looks: 1, purity: 0.0, below: 0.0 })
    }
}

impl Look {
    fn is_key(&self) -> bool {
        self.is_loud(LEAST_AMPLITUDE)
            && self.is_tuned(DETUNED)
            && self.is_balanced(TWIST_COLUMN, TWIST_ROW)
            && self.purity > PURITY
            && self.below < BELOW
    }

    /// A key changes neither in loudness nor in frequency; a voice glides.
    fn is_like(&self, model: &Self) -> bool {
        let alike = |one: Seen, other: Seen| {
            one.amplitude < other.amplitude * STEADY
                && other.amplitude < one.amplitude * STEADY
                && (one.detuned - other.detuned).abs() < GLIDE
        };
        alike(self.row, model.row) && alike(self.column, model.column)
    }

    /// What a key that rises looks like.
    fn may_become_key(&self) -> bool {
        self.is_loud(LEAST_AMPLITUDE)
            && self.is_tuned(0.03)
            && self.is_balanced(TWIST_COLUMN, TWIST_ROW)
            && self.purity > 0.7
            && self.below < 0.1
    }

    /// What a key looks like in noise or while somebody speaks.
    fn is_still_key(&self) -> bool {
        self.is_loud(LEAST_AMPLITUDE * 0.7)
            && self.is_tuned(0.035)
            && self.is_balanced(2.5, 4.0)
            && self.purity > 0.55
    }

    fn is_loud(&self, least: f32) -> bool {
        self.row.amplitude > least && self.column.amplitude > least
    }

    fn is_tuned(&self, most: f32) -> bool {
        self.row.detuned.abs() < most && self.column.detuned.abs() < most
    }

    fn is_balanced(&self, column_over_row: f32, row_over_column: f32) -> bool {
        self.column.amplitude < self.row.amplitude * column_over_row
            && self.row.amplitude < self.column.amplitude * row_over_column
    }
}

impl Bin {
    /// Goertzel's filter, with its phase.
    fn listen(&self, samples: &[f32; WINDOW]) -> Complex {
        let coefficient = 2.0 * self.cosine;
        let (mut last, mut before) = (0.0, 0.0);
        for sample in samples {
            let next = sample + coefficient * last - before;
            before = last;
            last = next;
        }
        Complex { re: last - self.cosine * before, im: self.sine * before }
    }

    /// How far the tone is from this frequency in hertz, from the advance of its phase since the look before.
    fn offset(&self) -> f32 {
        let (now, before) = (self.now, self.before);
        let re = now.re * before.re + now.im * before.im;
        let im = now.im * before.re - now.re * before.im;
        let turns = libm::atan2f(im, re) / core::f32::consts::TAU - self.hertz * HOP as f32 / RATE;
        let turns = turns - libm::roundf(turns);
        turns * RATE / HOP as f32
    }
}

impl Complex {
    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

/// All is done at 8 kHz.
const RATE: f32 = 8_000.0;
/// 20 ms: frequencies 100 Hz apart are told apart.
const WINDOW: usize = 160;
/// 5 ms from look to look.
const HOP: usize = 40;
const HOP_MILLIS: u32 = 5;
/// Sum of the window's weights, and of their squares.
const WEIGHTS: f32 = WINDOW as f32 / 2.0;
const SQUARED_WEIGHTS: f32 = WINDOW as f32 * 3.0 / 8.0;

/// Looks in a row that make a key: 36 ms of it. Keys of 20 ms make at most three, of 40 ms at least six.
const BEGIN: u32 = 5;
/// Looks without it that end a key.
const END: u32 = 6;
/// A look sees a key that fills 14 ms of the window: it began about so long before the first look.
const BEGIN_EXTRA: u32 = 11;
/// Once begun a key is seen while it fills a good half of the window: for its length less 4 ms.
const LENGTH_EXTRA: u32 = 4;

/// Each tone at least −27 dBm0: Q.24 accepts −25 and rejects −29.
const LEAST_AMPLITUDE: f32 = 1_019.0;
/// Mean square below which nobody listens: −32 dBm0.
const QUIET: f32 = 164_000.0;
/// Q.24 accepts 1.5 % beside the frequency and rejects 3.5 %.
const DETUNED: f32 = 0.025;
/// The column may be 4 dB louder (5.5 with a margin), the row 8 dB (9.5 with a margin).
const TWIST_COLUMN: f32 = 1.884;
const TWIST_ROW: f32 = 2.985;
/// Nearly all there is: at each look, and at all but the first together, which may have seen the rise.
const PURITY: f32 = 0.8;
const MEAN_PURITY: f32 = 0.92;
/// A key has nothing below its row but noise; a single look may see its edge.
const BELOW: f32 = 0.07;
const MEAN_BELOW: f32 = 0.025;
/// A frequency may not change by more than that part of it: 5 Hz of a row, more than noise 12 dB below makes of it.
const GLIDE: f32 = 0.008;
/// A dial tone has been there for 160 ms.
const STEADY_LOOKS: usize = 32;
/// Amplitudes may not change by more than 2 dB from look to look.
const STEADY: f32 = 1.26;

#[cfg(test)]
mod tests;
