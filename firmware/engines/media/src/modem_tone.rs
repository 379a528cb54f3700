//! Hears that a fax or a modem is on the line, so that nothing helpful is done to its signals.
//!
//! [`DataWatch`] listens both ways for the steady tones of T.30, V.25 and V.8 and for the V.21 flags before a fax's messages: fax
//! calling (CNG, 1100 Hz), modem calling (CT, 1300 Hz), answer (CED/ANS, 2100 Hz), answer with phase reversals (ANSam too), V.22's
//! unscrambled ones (2250 Hz). After any of them the voice should pass untouched: no suppressor, no silence detection, a fixed jitter
//! buffer; after phase reversals no echo canceller either (G.168 section 7). Silence both ways re-arms it.
//! Does not decode what the machines say.

use alloc::boxed::Box;
use core::f32::consts::PI;

/// What was heard. Whoever hears one lets the call's sound pass untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataTone {
    /// CNG: a fax calls (T.30 section 4.3.3.3).
    FaxCalling,
    /// CT: a modem calls (V.25).
    ModemCalling,
    /// CED or ANS: 2100 Hz without reversals; a fax or a slow modem answers.
    Answer,
    /// ANS with phase reversals or ANSam: a modem that cancels echo itself answers (V.25, V.8).
    AnswerWithReversals,
    /// Unscrambled ones of V.22: 2250 Hz.
    UnscrambledOnes,
    /// V.21 channel 2 flags: a fax's message begins.
    FaxPreamble,
}

/// Both directions of one line.
pub struct DataWatch {
    tables: Box<Tables>,
    far: Direction,
    near: Direction,
    heard: Option<DataTone>,
    bypass: bool,
    silent_for: u32,
}

impl DataWatch {
    /// Has heard nothing yet.
    pub fn new() -> Self {
        Self {
            tables: Box::new(Tables::new()),
            far: Direction::default(),
            near: Direction::default(),
            heard: None,
            bypass: false,
            silent_for: 0,
        }
    }

    /// Hears 10 ms both ways, 80 or 160 samples each (others are ignored). The tone, when it is heard just now.
    pub fn process(&mut self, far: &[i16], near: &[i16]) -> Option<DataTone> {
        let mut frame = [0.0; FRAME];
        let mut news = None;
        let mut silent = true;
        for (direction, samples) in [(&mut self.far, far), (&mut self.near, near)] {
            if !narrow(samples, &mut frame) {
                return None;
            }
            let energy: f32 = frame.iter().map(|sample| sample * sample).sum();
            silent &= energy < SILENCE * FRAME as f32;
            news = direction.hear(&self.tables, &frame, energy).or(news);
        }
        self.silent_for = if silent { self.silent_for.saturating_add(1) } else { 0 };
        if self.silent_for >= RELEASE_BYPASS {
            self.bypass = false;
        }
        if self.silent_for >= RELEASE {
            self.heard = None;
        }
        if let Some(tone) = news {
            self.bypass |= tone == DataTone::AnswerWithReversals;
            let known = self.heard.replace(tone) == news;
            return news.filter(|_| !known);
        }
        None
    }

    /// What the call's sound must pass untouched for; `None` for a voice call, or again after four seconds of silence.
    pub fn heard(&self) -> Option<DataTone> {
        self.heard
    }

    /// Phase reversals told echo cancellers to step aside; withdrawn after 300 ms of silence (G.168 section 7.7).
    pub fn echo_must_pass(&self) -> bool {
        self.bypass
    }

    /// The call is over.
    pub fn restart(&mut self) {
        (self.far, self.near) = (Direction::default(), Direction::default());
        (self.heard, self.bypass, self.silent_for) = (None, false, 0);
    }
}

impl Default for DataWatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Eight thousand samples a second, whatever comes; `false` when it is no frame of 10 ms.
fn narrow(samples: &[i16], frame: &mut [f32; FRAME]) -> bool {
    match samples.len() {
        FRAME => frame.iter_mut().zip(samples).for_each(|(to, from)| *to = f32::from(*from)),
        WIDE_FRAME => {
            for (to, pair) in frame.iter_mut().zip(samples.chunks_exact(2)) {
                *to = 0.5 * (f32::from(pair[0]) + f32::from(pair[1]));
            }
        }
        _ => return false,
    }
    true
}

/// A frame's worth of cosine and sine of each tone, at 8 kHz.
struct Tables {
    tones: [Reference; 4],
    mark: Reference,
    space: Reference,
}

struct Reference {
    cosine: [f32; FRAME],
    sine: [f32; FRAME],
}

impl Tables {
    fn new() -> Self {
        let tone = |hertz: f32| {
            let angle = |n: usize| 2.0 * PI * ((hertz * n as f32 / 8000.0) % 1.0);
            Reference {
                cosine: core::array::from_fn(|n| libm::cosf(angle(n))),
                sine: core::array::from_fn(|n| libm::sinf(angle(n))),
            }
        };
        Self { tones: STEADY.map(|steady| tone(steady.hertz)), mark: tone(1650.0), space: tone(1850.0) }
    }
}

impl Reference {
    /// In phase and in quadrature.
    fn correlate(&self, samples: &[f32]) -> (f32, f32) {
        let pairs = samples.iter().zip(self.cosine.iter().zip(&self.sine));
        pairs.fold((0.0, 0.0), |(i, q), (sample, (cosine, sine))| (i + sample * cosine, q - sample * sine))
    }

    /// Share of `energy` that is this tone's.
    fn share(&self, samples: &[f32], energy: f32) -> f32 {
        let (i, q) = self.correlate(samples);
        2.0 * (i * i + q * q) / (samples.len() as f32 * energy + 1.0)
    }
}

/// A tone that lasts.
#[derive(Clone, Copy)]
struct Steady {
    hertz: f32,
    /// Share of the sound's energy it must have.
    purity: f32,
    /// Frames it lasts at least; at most, when its end is part of the pattern.
    least: u32,
    most: Option<u32>,
    tone: DataTone,
}

/// Tones by their frequencies, with the tolerances of their recommendations: ±38 Hz for CNG, ±21 Hz for the others.
const STEADY: [Steady; 4] = [
    Steady { hertz: 1100.0, purity: 0.55, least: 40, most: Some(62), tone: DataTone::FaxCalling },
    Steady { hertz: 1300.0, purity: 0.7, least: 45, most: Some(75), tone: DataTone::ModemCalling },
    Steady { hertz: ANSWER, purity: 0.7, least: 40, most: None, tone: DataTone::Answer },
    Steady { hertz: 2250.0, purity: 0.7, least: 40, most: None, tone: DataTone::UnscrambledOnes },
];

/// What one direction sounded like lately.
#[derive(Clone, Copy, Default)]
struct Direction {
    runs: [Run; STEADY.len()],
    reversals: Reversals,
    flags: Flags,
}

/// How long a tone has lasted.
#[derive(Clone, Copy, Default)]
struct Run {
    frames: u32,
    missing: u32,
}

impl Direction {
    fn hear(&mut self, tables: &Tables, frame: &[f32; FRAME], energy: f32) -> Option<DataTone> {
        let loud = energy > AUDIBLE * FRAME as f32;
        let mut news = None;
        for ((run, steady), reference) in self.runs.iter_mut().zip(&STEADY).zip(&tables.tones) {
            let (i, q) = if loud { reference.correlate(frame) } else { (0.0, 0.0) };
            let pure = 2.0 * (i * i + q * q) > steady.purity * FRAME as f32 * energy && loud;
            if run.hear(pure, steady) {
                news = Some(steady.tone);
            }
            if steady.hertz == ANSWER && self.reversals.hear((i, q), pure, run.frames) {
                news = Some(DataTone::AnswerWithReversals);
            }
        }
        if self.flags.hear(tables, frame, loud) {
            news = Some(DataTone::FaxPreamble);
        }
        news
    }
}

impl Run {
    /// Whether the tone is complete with this frame.
    fn hear(&mut self, pure: bool, steady: &Steady) -> bool {
        if pure {
            let before = self.frames;
            self.frames = before.saturating_add(1 + self.missing);
            self.missing = 0;
            return steady.most.is_none() && before < steady.least && self.frames >= steady.least;
        }
        // What came before a tone is no gap in it.
        if self.frames == 0 {
            return false;
        }
        self.missing += 1;
        // A phase reversal spoils a frame or two.
        if self.missing <= MISSING {
            return false;
        }
        let lasted = core::mem::take(&mut self.frames);
        self.missing = 0;
        steady.most.is_some_and(|most| (steady.least..=most).contains(&lasted))
    }
}

/// Phase of the answer tone from frame to frame.
#[derive(Clone, Copy, Default)]
struct Reversals {
    /// The last pure frame, and how long ago it was.
    last: (f32, f32),
    ago: u32,
    /// Turn from frame to frame, as the tone's own frequency error makes it.
    turn: f32,
    count: u32,
    since: u32,
}

impl Reversals {
    /// Whether a second reversal came as ANSam's do, some 450 ms after the first. `lasted` frames of tone so far.
    fn hear(&mut self, now: (f32, f32), pure: bool, lasted: u32) -> bool {
        self.since = self.since.saturating_add(1);
        self.ago += 1;
        if !pure {
            if self.ago > MISSING + 1 {
                *self = Self::default();
            }
            return false;
        }
        let turned = libm::atan2f(
            now.1 * self.last.0 - now.0 * self.last.1,
            now.0 * self.last.0 + now.1 * self.last.1,
        );
        let unexpected = wrap(turned - self.turn * self.ago as f32);
        let known = lasted > 8;
        let mut complete = false;
        if known && unexpected.abs() > PI - 0.7 {
            // 425 to 475 ms by V.25; the first frame after it may be one or two late.
            complete = self.count > 0 && (39..=51).contains(&self.since);
            self.count += 1;
            self.since = 0;
        } else if self.ago == 1 {
            self.turn += if known { 0.1 } else { 0.5 } * wrap(turned - self.turn);
        }
        (self.last, self.ago) = (now, 0);
        complete
    }
}

/// An angle between −π and π.
fn wrap(angle: f32) -> f32 {
    let turns = libm::roundf(angle / (2.0 * PI));
    angle - turns * 2.0 * PI
}

/// Marks (1650 Hz) and spaces (1850 Hz) as flags have them: six ones of eight, at 300 bit/s.
#[derive(Clone, Copy, Default)]
struct Flags {
    halves: u32,
    spaces: u32,
    since_space: u32,
    missing: u32,
    told: bool,
}

impl Flags {
    /// Whether flags have lasted for 300 ms.
    fn hear(&mut self, tables: &Tables, frame: &[f32; FRAME], loud: bool) -> bool {
        for half in frame.chunks_exact(FRAME / 2) {
            let energy: f32 = half.iter().map(|sample| sample * sample).sum();
            let (mark, space) = if loud {
                (tables.mark.share(half, energy), tables.space.share(half, energy))
            } else {
                (0.0, 0.0)
            };
            // Where a bit ends within the half frame neither is pure.
            if mark + space < 0.5 {
                self.missing += 1;
                if self.missing > 2 {
                    *self = Self::default();
                }
                continue;
            }
            self.missing = 0;
            self.halves += 1;
            self.since_space += 1;
            if space > mark {
                self.spaces += 1;
                self.since_space = 0;
            }
            // Flags have a space every 27 ms; a steady tone or mark is no flag.
            if self.since_space > 8 {
                *self = Self::default();
            }
        }
        let share = self.spaces as f32 / self.halves.max(1) as f32;
        if self.halves >= 60 && !self.told && (0.12..0.45).contains(&share) {
            self.told = true;
            return true;
        }
        false
    }
}

/// The answer tone (V.25, V.8, T.30).
const ANSWER: f32 = 2100.0;
/// Samples in 10 ms at 8 and at 16 kHz.
const FRAME: usize = 80;
const WIDE_FRAME: usize = 160;
/// Mean square below which a direction is silent: −36 dBm0 (G.168 section 7.7).
const SILENCE: f32 = 66_000.0;
/// Mean square above which a tone is listened to: about −43 dBm0.
const AUDIBLE: f32 = 13_000.0;
/// Frames of silence after which echo is cancelled again, and after which a call is a voice call again.
const RELEASE_BYPASS: u32 = 30;
const RELEASE: u32 = 400;
/// Frames a tone may miss at a phase reversal.
const MISSING: u32 = 2;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use dialtone_base::{Random, Seed};

    use super::*;

    /// A tone of `hertz` at about −12 dBm0, its phase turned every `reversal` seconds, its loudness swaying as ANSam's.
    fn tone(hertz: f32, seconds: f32, reversal: Option<f32>, sway: f32) -> Vec<i16> {
        let samples = (seconds * 8000.0) as usize;
        let at = |n: usize| {
            let seconds = n as f32 / 8000.0;
            let sign = reversal
                .map_or(1.0, |every| if ((seconds / every) as u32).is_multiple_of(2) { 1.0 } else { -1.0 });
            let loudness = 5700.0 * (1.0 + sway * libm::sinf(2.0 * PI * 15.0 * (seconds % 1.0)));
            let angle = 2.0 * PI * (f64::from(hertz) * n as f64 / 8000.0 % 1.0) as f32;
            (sign * loudness * libm::sinf(angle)) as i16
        };
        (0..samples).map(at).collect()
    }

    /// FSK of V.21 channel 2 at 300 bit/s.
    fn v21(bits: impl Iterator<Item = bool>) -> Vec<i16> {
        let (mut sound, mut angle) = (Vec::new(), 0.0_f32);
        for (index, bit) in bits.enumerate() {
            let end = (index + 1) * 80 / 3;
            while sound.len() < end {
                angle = (angle + 2.0 * PI * if bit { 1650.0 } else { 1850.0 } / 8000.0) % (2.0 * PI);
                sound.push((5000.0 * libm::sinf(angle)) as i16);
            }
        }
        sound
    }

    fn heard(watch: &mut DataWatch, near: &[i16]) -> Vec<(usize, DataTone)> {
        let frames = near.chunks_exact(80).enumerate();
        frames.filter_map(|(index, frame)| Some((index, watch.process(&[0; 80], frame)?))).collect()
    }

    #[test]
    fn faxes_and_modems_are_told_apart() {
        let mut calling = tone(1130.0, 0.5, None, 0.0);
        calling.extend([0; 800]);
        assert_eq!(heard(&mut DataWatch::new(), &calling)[0].1, DataTone::FaxCalling);
        let mut calling = tone(1300.0, 0.6, None, 0.0);
        calling.extend([0; 800]);
        assert_eq!(heard(&mut DataWatch::new(), &calling)[0].1, DataTone::ModemCalling);
        for hertz in [2080.0, 2100.0, 2120.0] {
            let plain = heard(&mut DataWatch::new(), &tone(hertz, 3.0, None, 0.0));
            assert_eq!(plain, [(39, DataTone::Answer)], "{hertz} Hz");
            for sway in [0.0, 0.2] {
                let mut watch = DataWatch::new();
                let modem = heard(&mut watch, &tone(hertz, 3.0, Some(0.45), sway));
                assert_eq!(modem[0], (39, DataTone::Answer), "{hertz} Hz, sway {sway}");
                assert_eq!(modem[1].1, DataTone::AnswerWithReversals, "{hertz} Hz, sway {sway}");
                // G.168 section 7: within a second of the tone.
                assert!(modem[1].0 <= 100, "{modem:?}");
                assert!(watch.echo_must_pass());
            }
        }
        assert_eq!(
            heard(&mut DataWatch::new(), &tone(2250.0, 1.0, None, 0.0))[0].1,
            DataTone::UnscrambledOnes
        );
    }

    #[test]
    fn tones_are_heard_whatever_came_before_them() {
        for before in [vec![0; 16_000], tone(700.0, 2.0, None, 0.0)] {
            for (sound, expected) in [
                (tone(2100.0, 1.0, None, 0.0), DataTone::Answer),
                ([tone(1100.0, 0.5, None, 0.0), vec![0; 8000]].concat(), DataTone::FaxCalling),
            ] {
                let told = heard(&mut DataWatch::new(), &[before.clone(), sound].concat());
                assert_eq!(told.first().map(|(_, tone)| *tone), Some(expected));
            }
        }
    }

    #[test]
    fn fax_flags_are_heard_and_plain_marks_are_not() {
        let flags = v21((0..300).map(|bit| !matches!(bit % 8, 0 | 7)));
        assert_eq!(heard(&mut DataWatch::new(), &flags)[0].1, DataTone::FaxPreamble);
        assert_eq!(heard(&mut DataWatch::new(), &v21((0..300).map(|_| true))), []);
    }

    #[test]
    fn both_rates_and_both_directions_are_heard() {
        let slow = tone(2100.0, 1.0, None, 0.0);
        let wide: Vec<i16> = slow.iter().flat_map(|sample| [*sample; 2]).collect();
        let mut watch = DataWatch::new();
        let told = wide.chunks_exact(160).find_map(|frame| watch.process(frame, &[0; 160]));
        assert_eq!(told, Some(DataTone::Answer));
        assert_eq!(watch.process(&[0; 7], &[0; 80]), None);
    }

    #[test]
    fn silence_re_arms_first_the_canceller_then_the_call() {
        let mut watch = DataWatch::new();
        heard(&mut watch, &tone(2100.0, 2.0, Some(0.45), 0.2));
        heard(&mut watch, &[0; 80 * 25]);
        assert!(watch.echo_must_pass());
        heard(&mut watch, &[0; 80 * 10]);
        assert!(!watch.echo_must_pass() && watch.heard().is_some());
        heard(&mut watch, &[0; 80 * 400]);
        assert_eq!(watch.heard(), None);
    }

    #[test]
    fn beeps_noise_and_speech_like_sound_are_no_data() {
        let mut random = Random::new(Seed::from_number(3));
        for seconds in [0.2, 1.0] {
            // An answering machine's beep is too short or too long for CNG.
            let mut beep = tone(1100.0, seconds, None, 0.0);
            beep.extend([0; 800]);
            assert_eq!(heard(&mut DataWatch::new(), &beep), []);
        }
        let noise: Vec<i16> = (0..8000 * 60).map(|_| (random.next_u32() >> 19) as i16 - 4096).collect();
        assert_eq!(heard(&mut DataWatch::new(), &noise), []);
        // Vowels: three formants over a wandering pitch.
        let (mut vowels, mut phase) = (Vec::new(), 0.0_f32);
        for syllable in 0..200 {
            let (pitch, first, second) = (
                90.0 + random.below(160) as f32,
                300.0 + random.below(500) as f32,
                900.0 + random.below(1300) as f32,
            );
            for n in 0..1600 {
                phase += 2.0 * PI * pitch * (1.0 + 0.05 * libm::sinf(n as f32 / 400.0)) / 8000.0;
                let near = |hertz: f32, formant: f32| {
                    1.0 / (1.0 + ((hertz - formant) / 120.0) * ((hertz - formant) / 120.0))
                };
                let harmonics = (1..=(3400.0 / pitch) as u32).map(|h| {
                    let hertz = h as f32 * pitch;
                    (near(hertz, first) + 0.6 * near(hertz, second)) * libm::sinf(phase * h as f32)
                });
                vowels.push((4000.0 * harmonics.sum::<f32>()) as i16);
            }
            phase %= 2.0 * PI;
            vowels.extend(core::iter::repeat_n(0, (syllable % 5) * 160));
        }
        assert_eq!(heard(&mut DataWatch::new(), &vowels), []);
    }
}
