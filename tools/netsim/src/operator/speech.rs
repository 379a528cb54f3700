//! A voice that is computed: formants after Klatt (1980), a few dozen English words, 8 kHz.
//!
//! A word is a string of sounds (ARPAbet); a sound is targets for three formants, voicing, breath and noise, and how long it
//! lasts. Targets are joined by smoothing, which gives the glides between sounds; a buzz and a hiss are then sent through
//! resonators. No recording is used. It speaks like a machine of 1980; digits are understood. Words it does not know are
//! left out; `.` is a pause.

use std::f64::consts::PI;

/// Samples in a second.
const RATE: f64 = 8000.0;
/// Samples in a step of the parameters: 5 ms.
const STEP: usize = 40;

/// The words, spoken. Loudness about −15 dBm0.
pub fn say(words: &str) -> Vec<i16> {
    let mut targets = Vec::new();
    for word in words.split_whitespace() {
        if word == "." {
            pause(&mut targets, 250);
            continue;
        }
        let Some((_, sounds)) = WORDS.iter().find(|(name, _)| *name == word) else { continue };
        spoken(&mut targets, sounds);
        pause(&mut targets, 60);
    }
    if targets.is_empty() {
        return Vec::new();
    }
    pause(&mut targets, 100);
    sing(&smooth(&targets))
}

/// Whether the voice knows a word.
pub fn knows(word: &str) -> bool {
    word == "." || WORDS.iter().any(|(name, _)| *name == word)
}

/// What is heard during one step.
#[derive(Clone, Copy, Debug, Default)]
struct Target {
    /// Hertz.
    formants: [f64; 3],
    /// Buzz through the formants.
    voice: f64,
    /// Hiss through the formants.
    breath: f64,
    /// Hiss around a frequency of its own.
    noise: f64,
    noise_at: f64,
    noise_width: f64,
    /// The nose takes part: the first formant is broad and the higher ones are weak.
    nasal: f64,
    /// A phrase falls, a stressed vowel is higher.
    pitch: f64,
}

/// A sound: name, formants, milliseconds.
struct Sound(&'static str, [f64; 3], usize);

const VOWELS: &[Sound] = &[
    Sound("IY", [280.0, 2250.0, 2950.0], 150),
    Sound("IH", [400.0, 1950.0, 2560.0], 100),
    Sound("EH", [550.0, 1780.0, 2500.0], 120),
    Sound("AE", [680.0, 1680.0, 2450.0], 150),
    Sound("AA", [720.0, 1130.0, 2450.0], 150),
    Sound("AO", [580.0, 860.0, 2450.0], 160),
    Sound("AH", [620.0, 1220.0, 2500.0], 110),
    Sound("AX", [500.0, 1450.0, 2500.0], 65),
    Sound("UH", [440.0, 1050.0, 2300.0], 110),
    Sound("UW", [310.0, 900.0, 2250.0], 170),
    Sound("ER", [470.0, 1300.0, 1620.0], 150),
];

/// Two vowels, one after the other.
const GLIDES: &[(&str, &str, &str, usize, usize)] = &[
    ("EY", "EH", "IY", 90, 110),
    ("AY", "AA", "IY", 130, 110),
    ("OW", "AO", "UW", 100, 120),
    ("AW", "AA", "UW", 120, 110),
];

const LIQUIDS: &[Sound] = &[
    Sound("L", [340.0, 1050.0, 2800.0], 75),
    Sound("R", [320.0, 1080.0, 1450.0], 80),
    Sound("W", [300.0, 640.0, 2200.0], 80),
    Sound("Y", [270.0, 2250.0, 3000.0], 70),
];

const NASALS: &[Sound] = &[
    Sound("M", [270.0, 950.0, 2200.0], 85),
    Sound("N", [270.0, 1600.0, 2550.0], 85),
    Sound("NG", [270.0, 2050.0, 2600.0], 100),
];

/// Name, formants of the mouth, noise: loudness, middle, width, then voice and milliseconds.
type Hiss = (&'static str, [f64; 3], f64, f64, f64, f64, usize);
const HISSES: &[Hiss] = &[
    ("S", [320.0, 1700.0, 2600.0], 0.60, 3700.0, 500.0, 0.0, 130),
    ("Z", [280.0, 1700.0, 2600.0], 0.30, 3600.0, 600.0, 0.45, 95),
    ("SH", [320.0, 1800.0, 2500.0], 0.60, 2500.0, 500.0, 0.0, 120),
    ("F", [320.0, 1000.0, 2200.0], 0.16, 2400.0, 2600.0, 0.0, 110),
    ("TH", [320.0, 1400.0, 2600.0], 0.14, 3100.0, 2200.0, 0.0, 110),
    ("V", [260.0, 1050.0, 2200.0], 0.06, 2400.0, 2600.0, 0.5, 75),
    ("DH", [270.0, 1400.0, 2600.0], 0.05, 3100.0, 2200.0, 0.5, 55),
];

/// Name, formants it comes from and goes to, middle and width of its burst, whether it is voiced.
type Stop = (&'static str, [f64; 3], f64, f64, bool);
const STOPS: &[Stop] = &[
    ("P", [350.0, 800.0, 2200.0], 900.0, 900.0, false),
    ("T", [350.0, 1800.0, 2700.0], 3500.0, 900.0, false),
    ("K", [350.0, 1850.0, 2250.0], 1900.0, 450.0, false),
    ("B", [250.0, 800.0, 2200.0], 800.0, 900.0, true),
    ("D", [250.0, 1800.0, 2700.0], 3300.0, 900.0, true),
    ("G", [250.0, 1850.0, 2250.0], 1800.0, 450.0, true),
];

#[rustfmt::skip]
const WORDS: &[(&str, &str)] = &[
    ("zero", "Z IY R OW"), ("oh", "OW"), ("one", "W AH N"), ("two", "T UW"), ("three", "TH R IY"), ("four", "F AO R"),
    ("five", "F AY V"), ("six", "S IH K S"), ("seven", "S EH V AX N"), ("eight", "EY T"), ("nine", "N AY N"),
    ("ten", "T EH N"), ("eleven", "AX L EH V AX N"), ("twelve", "T W EH L V"), ("thirteen", "TH ER T IY N"),
    ("fourteen", "F AO R T IY N"), ("fifteen", "F IH F T IY N"), ("sixteen", "S IH K S T IY N"),
    ("seventeen", "S EH V AX N T IY N"), ("eighteen", "EY T IY N"), ("nineteen", "N AY N T IY N"),
    ("twenty", "T W EH N T IY"), ("thirty", "TH ER T IY"), ("forty", "F AO R T IY"), ("fifty", "F IH F T IY"),
    ("sixty", "S IH K S T IY"), ("seventy", "S EH V AX N T IY"), ("eighty", "EY T IY"), ("ninety", "N AY N T IY"),
    ("hundred", "HH AH N D R AX D"), ("hours", "AW ER Z"), ("and", "AE N D"), ("second", "S EH K AX N D"),
    ("seconds", "S EH K AX N D Z"), ("the", "DH AX"), ("time", "T AY M"), ("is", "IH Z"), ("hello", "HH AX L OW"),
    ("please", "P L IY Z"), ("hang", "HH AE NG"), ("up", "AH P"), ("i", "AY"), ("call", "K AO L"), ("you", "Y UW"),
    ("back", "B AE K"), ("have", "HH AE V"), ("message", "M EH S IH JH"), ("goodbye", "G UH D B AY"), ("no", "N OW"),
    ("this", "DH IH S"), ("number", "N AH M B ER"), ("not", "N AA T"), ("in", "IH N"), ("use", "Y UW S"),
    ("try", "T R AY"), ("another", "AX N AH DH ER"), ("been", "B IH N"), ("called", "K AO L D"),
    ("emergency", "IH M ER JH AX N S IY"), ("an", "AE N"), ("it", "IH T"), ("a", "AX"), ("test", "T EH S T"),
];

fn pause(targets: &mut Vec<Target>, millis: usize) {
    let quiet =
        Target { formants: NEUTRAL, noise_at: 2500.0, noise_width: 1000.0, pitch: 1.0, ..Target::default() };
    let quiet = targets.last().map_or(quiet, |last| Target { formants: last.formants, ..quiet });
    targets.extend(std::iter::repeat_n(quiet, millis / 5));
}

fn spoken(targets: &mut Vec<Target>, sounds: &str) {
    let sounds: Vec<&str> = sounds.split(' ').collect();
    let mut stressed = true;
    for (at, name) in sounds.iter().enumerate() {
        let next = sounds.get(at + 1).and_then(|next| mouth(next)).unwrap_or(NEUTRAL);
        let last = at + 1 == sounds.len();
        let mut put = |millis: usize, target: Target| targets.extend(std::iter::repeat_n(target, millis / 5));
        let hum = Target { noise_at: 2500.0, noise_width: 1000.0, pitch: 1.0, ..Target::default() };
        if let Some(Sound(_, formants, millis)) = VOWELS.iter().find(|one| one.0 == *name) {
            let pitch = if std::mem::take(&mut stressed) { 1.08 } else { 0.97 };
            let millis = if last { millis * 5 / 4 } else { *millis };
            put(millis, Target { formants: *formants, voice: 1.0, pitch, ..hum });
        } else if let Some((_, first, second, long, short)) = GLIDES.iter().find(|one| one.0 == *name) {
            stressed = false;
            for (part, millis, pitch) in [(first, *long, 1.08), (second, *short, 0.98)] {
                let formants = mouth(part).unwrap_or(NEUTRAL);
                put(millis, Target { formants, voice: 1.0, pitch, ..hum });
            }
        } else if let Some(Sound(_, formants, millis)) = LIQUIDS.iter().find(|one| one.0 == *name) {
            put(*millis, Target { formants: *formants, voice: 0.75, ..hum });
        } else if let Some(Sound(_, formants, millis)) = NASALS.iter().find(|one| one.0 == *name) {
            put(*millis, Target { formants: *formants, voice: 0.55, nasal: 1.0, ..hum });
        } else if let Some((_, formants, noise, noise_at, noise_width, voice, millis)) =
            HISSES.iter().find(|one| one.0 == *name)
        {
            let (formants, noise) = (*formants, *noise);
            put(
                *millis,
                Target {
                    formants,
                    voice: *voice,
                    noise,
                    noise_at: *noise_at,
                    noise_width: *noise_width,
                    ..hum
                },
            );
        } else if *name == "HH" {
            put(75, Target { formants: next, breath: 0.35, ..hum });
        } else if *name == "JH" {
            let formants = [280.0, 1800.0, 2500.0];
            put(35, Target { formants, voice: 0.12, ..hum });
            put(
                65,
                Target { formants, voice: 0.3, noise: 0.45, noise_at: 2500.0, noise_width: 600.0, ..hum },
            );
        } else if let Some((_, formants, noise_at, noise_width, voiced)) =
            STOPS.iter().find(|one| one.0 == *name)
        {
            let (formants, noise_at, noise_width) = (*formants, *noise_at, *noise_width);
            let burst = Target { formants, noise_at, noise_width, ..hum };
            // After S there is no breath; at the end of a word the burst is soft.
            let after_s = at > 0 && sounds[at - 1] == "S";
            if *voiced {
                put(45, Target { voice: 0.14, ..burst });
                put(10, Target { voice: 0.3, noise: 0.4, ..burst });
            } else {
                put(60, burst);
                put(15, Target { noise: if last { 0.4 } else { 0.8 }, ..burst });
                if !after_s {
                    let between = [0, 1, 2].map(|index| (formants[index] + next[index]) / 2.0);
                    put(
                        30,
                        Target { formants: between, breath: 0.2, noise: 0.1, noise_at, noise_width, ..hum },
                    );
                }
            }
        }
    }
}

/// Where the mouth is for a sound.
fn mouth(name: &str) -> Option<[f64; 3]> {
    let glide = GLIDES.iter().find(|one| one.0 == name).map(|one| one.1);
    let name = glide.unwrap_or(name);
    [VOWELS, LIQUIDS, NASALS]
        .iter()
        .flat_map(|list| list.iter())
        .find(|one| one.0 == name)
        .map(|one| one.1)
        .or_else(|| HISSES.iter().find(|one| one.0 == name).map(|one| one.1))
        .or_else(|| STOPS.iter().find(|one| one.0 == name).map(|one| one.1))
}

/// Formants move in about 50 ms, loudness in 15.
fn smooth(targets: &[Target]) -> Vec<Target> {
    let mean = |at: usize, reach: usize, of: &dyn Fn(&Target) -> f64| {
        let range = at.saturating_sub(reach)..(at + reach + 1).min(targets.len());
        let count = range.len() as f64;
        targets[range].iter().map(of).sum::<f64>() / count
    };
    let whole = targets.len() as f64;
    (0..targets.len())
        .map(|at| Target {
            formants: [0, 1, 2].map(|index| mean(at, 5, &|one| one.formants[index])),
            voice: mean(at, 1, &|one| one.voice),
            breath: mean(at, 1, &|one| one.breath),
            noise: mean(at, 1, &|one| one.noise),
            nasal: mean(at, 2, &|one| one.nasal),
            pitch: mean(at, 8, &|one| one.pitch) * (122.0 - 22.0 * at as f64 / whole),
            ..targets[at]
        })
        .collect()
}

/// A resonator of the second order (Klatt 1980, equation 1).
#[derive(Clone, Copy, Default)]
struct Resonator {
    before: [f64; 2],
}

impl Resonator {
    fn pass(&mut self, input: f64, frequency: f64, width: f64) -> f64 {
        let c = -(-2.0 * PI * width / RATE).exp();
        let b = 2.0 * (-PI * width / RATE).exp() * (2.0 * PI * frequency / RATE).cos();
        let a = 1.0 - b - c;
        let output = a * input + b * self.before[0] + c * self.before[1];
        self.before = [output, self.before[0]];
        output
    }
}

/// Sends buzz and hiss through the resonators.
fn sing(track: &[Target]) -> Vec<i16> {
    let mut formants = [Resonator::default(); 4];
    let (mut hiss, mut glottis) = (Resonator::default(), Resonator::default());
    let (mut phase, mut last, mut dice) = (0.0, 0.0, 0x2545_f491_u32);
    let mut samples = Vec::with_capacity(track.len() * STEP);
    for target in track {
        for _ in 0..STEP {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            let white = f64::from(dice) / f64::from(u32::MAX) * 2.0 - 1.0;
            phase += target.pitch / RATE;
            let mut pulse = 0.0;
            if phase >= 1.0 {
                phase -= 1.0;
                pulse = 1.0;
            }
            // A pulse through a low resonator is a glottal wave; half a hertz short of a click each period.
            let buzz = glottis.pass(pulse, 0.0, 180.0) * 9.0;
            let source = buzz * target.voice + white * target.breath * 0.35;
            let [f1, f2, f3] = target.formants;
            let nose = target.nasal;
            let mut wave = formants[0].pass(source, f1, 60.0 + 60.0 * nose);
            wave = formants[1].pass(wave, f2, 90.0 + 150.0 * nose);
            wave = formants[2].pass(wave, f3, 140.0 + 150.0 * nose);
            wave = formants[3].pass(wave, 3450.0, 260.0);
            let mut mouth = wave - last * 0.97;
            last = wave;
            mouth += hiss.pass(white, target.noise_at, target.noise_width) * target.noise * 0.5;
            samples.push(mouth);
        }
    }
    let loudest = samples.iter().fold(1e-9_f64, |most, one| most.max(one.abs()));
    samples.into_iter().map(|one| (one / loudest * LOUDEST) as i16).collect()
}

/// The mouth at rest.
const NEUTRAL: [f64; 3] = [500.0, 1500.0, 2500.0];
const LOUDEST: f64 = 20_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_SCALE_DBM0: f64 = 314.0 / 100.0;

    /// Energy near a frequency, by Goertzel.
    fn energy(samples: &[i16], frequency: f64) -> f64 {
        let step = 2.0 * (2.0 * PI * frequency / RATE).cos();
        let (mut one, mut two) = (0.0, 0.0);
        for sample in samples {
            (one, two) = (f64::from(*sample) + step * one - two, one);
        }
        (one * one + two * two - step * one * two) / samples.len() as f64
    }

    fn band(samples: &[i16], from: usize, to: usize) -> f64 {
        (from..to).step_by(20).map(|frequency| energy(samples, frequency as f64)).sum()
    }

    #[test]
    fn every_word_the_operator_needs_is_known_and_heard() {
        for number in 0..60 {
            for word in super::super::service::clock::words(number * 3661).split(' ') {
                assert!(knows(word), "{word}");
            }
        }
        for (word, _) in WORDS {
            let samples = say(word);
            let power = samples.iter().map(|one| f64::from(*one).powi(2)).sum::<f64>() / samples.len() as f64;
            let level = 10.0 * (power / 23_170.0_f64.powi(2)).log10() + FULL_SCALE_DBM0;
            assert!((-32.0..-8.0).contains(&level), "{word}: {level:.1} dBm0");
        }
    }

    #[test]
    fn vowels_have_their_formants_and_hisses_none_below() {
        let (see, four, six) = (say("three"), say("four"), say("six"));
        let middle = |samples: &[i16]| samples[samples.len() / 2..samples.len() * 3 / 4].to_vec();
        assert!(
            band(&middle(&see), 1900, 2600) > 4.0 * band(&middle(&see), 700, 1400),
            "three ends in a high vowel"
        );
        assert!(
            band(&middle(&four), 500, 1100) > 4.0 * band(&middle(&four), 1900, 2600),
            "four has a dark one"
        );
        let s = &six[400..900];
        assert!(band(s, 3000, 3900) > 10.0 * band(s, 200, 1500), "six begins with a hiss");
    }
}
