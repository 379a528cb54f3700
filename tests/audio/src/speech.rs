//! Recorded speech: WAV files, and clips of eight seconds made of Debian's Asterisk prompts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where `asterisk-core-sounds-en-wav` puts its files: 8 kHz, 16 bits, one channel.
pub const PROMPTS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";

/// The samples of a WAV file of 16-bit PCM with one channel, and their rate.
pub fn read_wav(path: &Path) -> io::Result<(u32, Vec<i16>)> {
    let bytes = fs::read(path)?;
    let bad =
        || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no mono 16-bit WAV", path.display()));
    let word =
        |at: usize| bytes.get(at..at + 4).map(|four| u32::from_le_bytes(four.try_into().unwrap_or_default()));
    let mut at = 12;
    let mut rate = 0;
    while let (Some(id), Some(length)) = (bytes.get(at..at + 4), word(at + 4)) {
        let body = at + 8;
        match id {
            b"fmt " => {
                let channels = bytes.get(body + 2).copied();
                let bits = bytes.get(body + 14).copied();
                if (channels, bits) != (Some(1), Some(16)) {
                    return Err(bad());
                }
                rate = word(body + 4).ok_or_else(bad)?;
            }
            b"data" => {
                let end = (body + length as usize).min(bytes.len());
                let samples =
                    bytes[body..end].as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two)).collect();
                return Ok((rate, samples));
            }
            _ => {}
        }
        at = body + length as usize + length as usize % 2;
    }
    Err(bad())
}

/// `count` clips of eight seconds at 8 kHz, always the same ones.
pub fn clips(count: usize) -> io::Result<Vec<Vec<i16>>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(PROMPTS)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    files.sort();
    let mut clips = Vec::new();
    let mut clip: Vec<i16> = Vec::new();
    // Every seventh file, round and round: neighbours are much alike.
    for at in 0..files.len() {
        let (rate, samples) = read_wav(&files[at * 7 % files.len()])?;
        if rate != 8000 || samples.len() < 8000 {
            continue;
        }
        clip.extend_from_slice(&samples);
        clip.extend_from_slice(&[0; 1600]);
        if clip.len() >= 64_000 {
            clip.truncate(64_000);
            clips.push(std::mem::take(&mut clip));
            if clips.len() == count {
                break;
            }
        }
    }
    Ok(clips)
}
