//! Sounds a test makes and looks for: the keypad's tones, one frequency's level, WAV files.
//!
//! In plain floating point and from the textbook, so that the firmware's own generators and detectors have an independent judge.

use std::f64::consts::TAU;
use std::io;

use dialtone_base::Duration;
use dialtone_base::telephony::Key;

/// Peak of a sine at 0 dBm0, when one that fills 16 bits is at +3.14 dBm0 (G.711).
pub const PEAK_AT_0_DBM0: f64 = 32767.0 * 0.696_6;

/// A sum of sines, each with its frequency in hertz and level in dBm0.
pub fn tones(parts: &[(f64, f64)], sample_rate: u32, time: Duration) -> Vec<i16> {
    let count = time.as_micros() * u64::from(sample_rate) / 1_000_000;
    let sample = |n: u64| {
        let at = n as f64 / f64::from(sample_rate);
        let sum: f64 = parts.iter().map(|(hertz, level)| peak(*level) * (TAU * hertz * at).sin()).sum();
        sum.round().clamp(-32768.0, 32767.0) as i16
    };
    (0..count).map(sample).collect()
}

/// A key's two frequencies (ITU-T Q.23), low one first.
pub fn key_frequencies(key: Key) -> (f64, f64) {
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let at = "123A456B789C*0#D".find(key.as_char()).unwrap_or(0);
    (LOW[at / 4], HIGH[at % 4])
}

/// A key pressed for so long: -9 dBm0 low, -7 dBm0 high, as telephones do.
pub fn dtmf(key: Key, sample_rate: u32, time: Duration) -> Vec<i16> {
    let (low, high) = key_frequencies(key);
    tones(&[(low, -9.0), (high, -7.0)], sample_rate, time)
}

/// The level of one frequency in dBm0; -100 for silence.
pub fn level(samples: &[i16], sample_rate: u32, hertz: f64) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * hertz * n as f64 / f64::from(sample_rate);
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    decibels(2.0 * real.hypot(imaginary) / samples.len().max(1) as f64)
}

/// The level of everything together in dBm0; -100 for silence.
pub fn total_level(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    decibels((2.0 * energy / samples.len().max(1) as f64).sqrt())
}

/// Whether each of these frequencies is above -35 dBm0 and together they are nearly all there is (within 1 dB).
pub fn is_tone(samples: &[i16], sample_rate: u32, frequencies: &[f64]) -> bool {
    let levels: Vec<f64> = frequencies.iter().map(|hertz| level(samples, sample_rate, *hertz)).collect();
    let together = 10.0 * levels.iter().map(|level| 10_f64.powf(level / 10.0)).sum::<f64>().log10();
    levels.iter().all(|level| *level > -35.0) && together > total_level(samples) - 1.0
}

/// Reads a WAV file of one channel and 16 bits: its rate and samples.
///
/// # Errors
/// When it cannot be read or is of another kind.
pub fn read_wav(path: &std::path::Path) -> io::Result<(u32, Vec<i16>)> {
    let bytes = std::fs::read(path)?;
    let wrong =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(wrong("no WAV file"));
    }
    let (mut at, mut rate) = (12, None);
    while let Some(header) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let body = &bytes[at + 8..(at + 8 + length).min(bytes.len())];
        match (&header[..4], body) {
            (b"fmt ", [1, 0, 1, 0, a, b, c, d, _, _, _, _, _, _, 16, 0, ..]) => {
                rate = Some(u32::from_le_bytes([*a, *b, *c, *d]));
            }
            (b"fmt ", _) => return Err(wrong("not one channel of 16-bit samples")),
            (b"data", samples) => {
                let rate = rate.ok_or_else(|| wrong("samples before their format"))?;
                let samples = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                return Ok((rate, samples.collect()));
            }
            _ => {}
        }
        at += 8 + length + length % 2;
    }
    Err(wrong("no samples in it"))
}

/// Writes a WAV file of one channel and 16 bits.
///
/// # Errors
/// When it cannot be written.
pub fn write_wav(path: &std::path::Path, rate: u32, samples: &[i16]) -> io::Result<()> {
    let length = samples.len() as u32 * 2;
    let mut bytes = Vec::with_capacity(44 + length as usize);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&(rate * 2).to_le_bytes());
    bytes.extend_from_slice(b"\x02\0\x10\0data");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, bytes)
}

fn peak(level: f64) -> f64 {
    PEAK_AT_0_DBM0 * 10_f64.powf(level / 20.0)
}

fn decibels(peak: f64) -> f64 {
    (20.0 * (peak / PEAK_AT_0_DBM0).log10()).max(-100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_measured() {
        let tone = tones(&[(350.0, -13.0), (440.0, -13.0)], 8000, Duration::from_millis(100));
        assert_eq!(tone.len(), 800);
        assert!((level(&tone, 8000, 440.0) + 13.0).abs() < 0.1);
        assert!((total_level(&tone) + 10.0).abs() < 0.1);
        assert!(is_tone(&tone, 8000, &[350.0, 440.0]) && !is_tone(&tone, 8000, &[440.0]));
        assert!(!is_tone(&[0; 800], 8000, &[440.0]));
        let full: Vec<i16> = (0..8000).map(|n| (32767.0 * (TAU * f64::from(n) / 8.0).sin()) as i16).collect();
        assert!((3.13..3.15).contains(&total_level(&full)));
    }

    #[test]
    fn a_wav_file_reads_back() {
        let path = std::env::temp_dir().join(format!("dialtone-testkit-{}.wav", std::process::id()));
        write_wav(&path, 16000, &[1, -2, 3]).unwrap();
        assert_eq!(read_wav(&path).unwrap(), (16000, vec![1, -2, 3]));
        std::fs::write(&path, b"RIFF....WAVEdata\x02\0\0\0ab").unwrap();
        assert!(read_wav(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
