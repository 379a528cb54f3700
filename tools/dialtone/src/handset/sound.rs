//! Sound for a telephone that is a program: WAV files, keys as tones, other tones.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

const FULL_SCALE: f64 = 32_767.0;
/// The level of a full-scale sine, in dBm0 (ITU-T G.711).
const FULL_SCALE_LEVEL: f64 = 314.0 / 100.0;

/// The peak of a sine of this level.
pub fn amplitude(dbm0: f64) -> f64 {
    FULL_SCALE * 10_f64.powf((dbm0 - FULL_SCALE_LEVEL) / 20.0)
}

/// The level of some samples in dBm0; −99 for silence.
pub fn level(samples: &[i16]) -> f64 {
    let power = samples.iter().map(|one| f64::from(*one).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    if power < 0.1 {
        -99.0
    } else {
        10.0 * (power / (FULL_SCALE * FULL_SCALE / 2.0)).log10() + FULL_SCALE_LEVEL
    }
}

/// Sines at once, each at its level, from now on; `None` for ever.
#[derive(Clone, Debug)]
pub struct Tones {
    parts: Vec<(f64, f64, f64)>,
    rate: f64,
    left: Option<usize>,
}

impl Tones {
    /// Frequencies in hertz with levels in dBm0, for some milliseconds.
    pub fn new(parts: &[(f64, f64)], rate: u32, millis: Option<u32>) -> Self {
        let parts = parts.iter().map(|(hertz, level)| (*hertz, amplitude(*level), 0.0)).collect();
        Self { parts, rate: rate.into(), left: millis.map(|millis| (rate / 1000 * millis) as usize) }
    }

    /// The two tones of a key (ITU-T Q.23); `None` for a character that is no key.
    pub fn key(key: char, rate: u32, millis: Option<u32>) -> Option<Self> {
        let at = KEYPAD.iter().position(|one| *one == key.to_ascii_uppercase())?;
        Some(Self::new(&[(ROWS[at / 4], -8.0), (COLUMNS[at % 4], -6.0)], rate, millis))
    }

    /// Whether it still sounds.
    pub fn sounds(&self) -> bool {
        self.left != Some(0)
    }

    /// The next sample.
    pub fn sample(&mut self) -> f64 {
        match &mut self.left {
            Some(0) => return 0.0,
            Some(left) => *left -= 1,
            None => {}
        }
        let mut sum = 0.0;
        for (hertz, amplitude, phase) in &mut self.parts {
            sum += *amplitude * phase.sin();
            *phase = (*phase + TAU * *hertz / self.rate) % TAU;
        }
        sum
    }
}

/// The keys, row by row.
pub const KEYPAD: [char; 16] =
    ['1', '2', '3', 'A', '4', '5', '6', 'B', '7', '8', '9', 'C', '*', '0', '#', 'D'];
/// Low tones of the rows.
pub const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// High tones of the columns.
pub const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Power of a sine at `hertz` in dBm0 and of everything, over these samples (Goertzel).
pub fn power_at(samples: &[i16], hertz: f64, rate: u32) -> f64 {
    let coefficient = 2.0 * (TAU * hertz / f64::from(rate)).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (f64::from(*sample) + coefficient * one - two, one);
    }
    let count = samples.len().max(1) as f64;
    // Mean square of the sine that would give this.
    2.0 * (one * one + two * two - coefficient * one * two) / (count * count)
}

/// Mean square of some samples.
pub fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|one| f64::from(*one).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// Hears keys: tones of one row and one column, alone, for at least 40 ms.
pub struct KeyListener {
    rate: u32,
    block: Vec<i16>,
    last: Option<char>,
    told: bool,
}

impl KeyListener {
    /// Hears nothing yet.
    pub fn new(rate: u32) -> Self {
        Self { rate, block: Vec::new(), last: None, told: false }
    }

    /// Listens; keys that began.
    pub fn listen(&mut self, samples: &[i16]) -> Vec<char> {
        let mut keys = Vec::new();
        for sample in samples {
            self.block.push(*sample);
            if self.block.len() == self.rate as usize / 50 {
                let block = std::mem::take(&mut self.block);
                let now = self.key_in(&block);
                if now != self.last {
                    self.told = false;
                } else if let Some(key) = now
                    && !std::mem::replace(&mut self.told, true)
                {
                    keys.push(key);
                }
                self.last = now;
            }
        }
        keys
    }

    fn key_in(&self, block: &[i16]) -> Option<char> {
        let all = power(block);
        let strongest = |tones: &[f64; 4]| {
            let powers = tones.map(|hertz| power_at(block, hertz, self.rate));
            let best = (0..4).max_by(|a, b| powers[*a].total_cmp(&powers[*b])).unwrap_or(0);
            (best, powers[best])
        };
        let ((row, low), (column, high)) = (strongest(&ROWS), strongest(&COLUMNS));
        let clear = all > 400.0 * 400.0 && low + high > 0.8 * all && low < 10.0 * high && high < 10.0 * low;
        clear.then(|| KEYPAD[row * 4 + column])
    }
}

/// Reads a WAV file of 16-bit PCM (the first of its channels) at another rate if need be.
///
/// # Errors
/// In a sentence.
pub fn read_wav(path: &Path, rate: u32) -> Result<Vec<i16>, String> {
    let about = |fault: &str| format!("{}: {fault}", path.display());
    let bytes = fs::read(path).map_err(|error| about(&error.to_string()))?;
    let word = |at: usize| {
        bytes.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(about("no WAV file"));
    }
    let (mut at, mut format, mut data) = (12, None, None);
    while let (Some(name), Some(length)) = (bytes.get(at..at + 4), word(at + 4)) {
        let end = (at + 8).saturating_add(length as usize).min(bytes.len());
        let chunk = &bytes[at + 8..end];
        match name {
            b"fmt " if chunk.len() >= 16 => {
                let half = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
                format = Some((half(0), usize::from(half(2)), word(at + 12).unwrap_or(0), half(14)));
            }
            b"data" => data = Some(chunk),
            _ => {}
        }
        at = end + (length as usize & 1);
    }
    let (Some((kind, channels, from, bits)), Some(data)) = (format, data) else {
        return Err(about("cut off before its sound"));
    };
    if !matches!(kind, 1 | 0xfffe) || bits != 16 || channels == 0 || from == 0 {
        return Err(about("not 16-bit PCM; convert it: sox IN.wav -b 16 -e signed -c 1 -r 8000 OUT.wav"));
    }
    let samples: Vec<i16> =
        data.chunks_exact(2 * channels).map(|one| i16::from_le_bytes([one[0], one[1]])).collect();
    Ok(resampled(&samples, from, rate))
}

/// Straight lines between samples: good for speech, not for music.
pub fn resampled(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let count = (samples.len() as u64 * u64::from(to) / u64::from(from)) as usize;
    (0..count)
        .map(|at| {
            let place = at as f64 * f64::from(from) / f64::from(to);
            let (index, part) = (place as usize, place.fract());
            let one = f64::from(samples[index.min(samples.len() - 1)]);
            let two = f64::from(samples[(index + 1).min(samples.len() - 1)]);
            (one + (two - one) * part) as i16
        })
        .collect()
}

/// Writes 16-bit mono PCM.
///
/// # Errors
/// In a sentence.
pub fn write_wav(path: &Path, samples: &[i16], rate: u32) -> Result<(), String> {
    let length = 2 * samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    fs::write(path, file).map_err(|error| format!("{}: {error}", path.display()))
}

/// Samples of the tones in a row of 10 ms frames, for tests and the `tone` command.
pub fn queue(tones: &mut Tones, into: &mut VecDeque<i16>) {
    while tones.sounds() {
        into.push_back(tones.sample() as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_heard_once_each_and_speech_like_sums_are_not() {
        let mut listener = KeyListener::new(8000);
        let mut sound = VecDeque::new();
        for key in KEYPAD {
            queue(&mut Tones::key(key, 8000, Some(80)).unwrap(), &mut sound);
            sound.extend([0; 480]);
        }
        let heard: String = listener.listen(sound.make_contiguous()).into_iter().collect();
        assert_eq!(heard, KEYPAD.iter().collect::<String>());
        sound.clear();
        queue(
            &mut Tones::new(&[(697.0, -10.0), (1209.0, -10.0), (1800.0, -10.0)], 8000, Some(500)),
            &mut sound,
        );
        assert!(listener.listen(sound.make_contiguous()).is_empty());
    }

    #[test]
    fn a_wav_file_reads_back_also_at_another_rate() {
        let path = std::env::temp_dir().join(format!("dialtone-wav-{}", std::process::id()));
        let mut sound = VecDeque::new();
        queue(&mut Tones::new(&[(1000.0, -10.0)], 8000, Some(200)), &mut sound);
        let samples: Vec<i16> = sound.into_iter().collect();
        write_wav(&path, &samples, 8000).unwrap();
        assert_eq!(read_wav(&path, 8000).unwrap(), samples);
        let twice = read_wav(&path, 16_000).unwrap();
        assert_eq!(twice.len(), 2 * samples.len());
        assert!(power_at(&twice, 1000.0, 16_000) > 0.9 * power(&twice));
        assert!((level(&samples) + 10.0).abs() < 0.1, "{}", level(&samples));
        let _ = fs::remove_file(path);
    }
}
