//! Hours of speech: Debian's recorded prompts in five languages, and espeak-ng's talkers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::wav::Sound;

/// Where Debian's Asterisk packages put their prompts.
const PROMPTS: &str = "/usr/share/asterisk/sounds";

/// Every recorded prompt: 8 kHz WAV, in the order of their names.
pub fn prompts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(Path::new(PROMPTS), &mut found);
    found.sort();
    found.dedup();
    assert!(found.len() > 1_000, "{PROMPTS} holds {} prompts: see packages.txt", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wav") {
            found.push(path);
        }
    }
}

/// A talker of espeak-ng reads a text: voice (`en+f3`), pitch 0 to 99, words in a minute.
pub fn spoken(text: &str, voice: &str, pitch: u32, speed: u32) -> Sound {
    let output = Command::new("espeak-ng")
        .args(["-v", voice, "-p", &pitch.to_string(), "-s", &speed.to_string(), "--stdout", text])
        .output()
        .expect("espeak-ng is installed: see packages.txt");
    Sound::parse(&output.stdout).unwrap_or_else(|| panic!("espeak-ng said nothing as {voice}"))
}

/// Talkers: voice, pitch, speed. Men, women, whisperers and croakers, in many languages.
pub fn talkers() -> Vec<(String, u32, u32)> {
    let languages = ["en", "de", "fr", "es", "it", "ru", "pl", "pt", "nl", "sv", "tr", "cmn"];
    let variants = ["m1", "m3", "m7", "f1", "f2", "f4", "f5", "croak", "whisper", "klatt", "klatt3"];
    let mut talkers = Vec::new();
    for (index, language) in languages.into_iter().enumerate() {
        for (number, variant) in variants.into_iter().enumerate() {
            let pitch = (20 + 13 * index as u32 + 7 * number as u32) % 90;
            talkers.push((format!("{language}+{variant}"), pitch, 130 + 10 * number as u32));
        }
    }
    talkers
}

/// Numbers, names and a paragraph: many vowels, many pitches.
pub const TEXT: &str = "Oh, you are the one who rang us yesterday about the blue umbrella. \
    The number is 0 30 5 double 8 1 0 0 2 4 7 6 9, I repeat: zero three zero, five eight eight, one zero zero, two four seven six nine. \
    Mama, papa, Ulla, Emil, Otto, Leah, Noah, Ian, Eve, Uwe. We were away all year; why are you weary, Larry? \
    A long low moan rolled over the moor, and the eerie owl hooed and hooed and hooed. La la la, na na na, mmm, ooooh, aaaah, eeeeh. \
    Ring me at half past eleven, or leave a word with Rowena.";
