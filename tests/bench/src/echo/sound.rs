//! What the far and near ends say: noise, G.168's composite source signal, tones, recorded speech.

use std::f32::consts::PI;
use std::fs;
use std::path::PathBuf;

use dialtone_base::{Random, Seed};

use super::line;

/// Samples per second.
pub const RATE: usize = 8000;
/// Root mean square of −15 dBm0.
const LEVEL: f32 = 2872.0;
/// Where asterisk-core-sounds-en-wav puts it.
const SPEECH: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";

/// White noise at −15 dBm0.
pub fn noise(seconds: usize, seed: u64) -> Vec<i16> {
    let mut random = Random::new(Seed::from_number(seed));
    (0..seconds * RATE).map(|_| (LEVEL * normal(&mut random)) as i16).collect()
}

/// Voice of table C.1, noise, a pause, and again with the other sign (G.168 annex C).
pub fn composite(seconds: usize, seed: u64) -> Option<Vec<i16>> {
    let voice = line::array(&fs::read_to_string(line::HEADER).ok()?, "css_c1")?;
    let mut random = Random::new(Seed::from_number(seed));
    let loudness = LEVEL / (voice.iter().map(|v| v * v).sum::<f32>() / voice.len() as f32).sqrt();
    // The table is at 44.1 kHz: a windowed sinc brings it to 8 kHz without aliases.
    let voiced = |n: usize| {
        let at = n as f32 * 44_100.0 / RATE as f32;
        let taps = (at as isize - 40)..=(at as isize + 40);
        let part = |index: isize| {
            let x = (at - index as f32) * 7000.0 / 44_100.0;
            let sinc = if x.abs() < 1e-3 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let window = 0.5 + 0.5 * (PI * (at - index as f32) / 41.0).cos();
            voice[index.rem_euclid(voice.len() as isize) as usize] * sinc * window * 7000.0 / 44_100.0
        };
        taps.map(part).sum::<f32>() * loudness
    };
    let (mut sound, mut sign) = (Vec::new(), 1.0);
    while sound.len() < seconds * RATE {
        sound.extend((0..389).map(|n| (sign * voiced(n)) as i16));
        sound.extend((0..1600).map(|_| (sign * LEVEL * normal(&mut random)) as i16));
        sound.extend([0; 811]);
        sign = -sign;
    }
    sound.truncate(seconds * RATE);
    Some(sound)
}

/// One or two tones at −10 dBm0 each.
pub fn tones(seconds: usize, hertz: [f32; 2]) -> Vec<i16> {
    let turn = |n: usize, hertz: f32| (2.0 * PI * ((hertz * n as f32) % RATE as f32) / RATE as f32).sin();
    (0..seconds * RATE).map(|n| (7200.0 * (turn(n, hertz[0]) + turn(n, hertz[1]))) as i16).collect()
}

/// All recordings of speech, by name; none without the package.
pub fn recordings() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(SPEECH)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .collect();
    files.sort();
    files
}

/// The samples of a recording: 16 bit, mono, 8 kHz, as the package has them.
pub fn samples(path: &PathBuf) -> Vec<i16> {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.get(44..).unwrap_or_default().chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

/// `count` talkers of `seconds` each: recordings of at least two seconds one after the other, silence before the first word cut.
pub fn speech(count: usize, seconds: usize) -> Vec<Vec<i16>> {
    let long = recordings().into_iter().map(|path| samples(&path)).filter(|samples| samples.len() > 2 * RATE);
    let mut sound = long.flatten();
    let talker = |_| {
        let talk: Vec<i16> =
            sound.by_ref().skip_while(|sample| sample.abs() < 300).take(seconds * RATE).collect();
        (talk.len() == seconds * RATE).then_some(talk)
    };
    (0..count).map_while(talker).collect()
}

fn normal(random: &mut Random) -> f32 {
    (0..12).map(|_| random.next_u32() as f32 / 4_294_967_296.0).sum::<f32>() - 6.0
}
