//! Sound files: 16-bit mono WAV, read and written.

use std::io;
use std::path::Path;

/// Sound and its rate.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Samples in a second.
    pub rate: u32,
    /// One channel.
    pub samples: Vec<i16>,
}

impl Sound {
    /// From a file of 16-bit mono PCM.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        Self::parse(&bytes)
            .ok_or_else(|| io::Error::other(format!("{}: not 16-bit mono PCM", path.display())))
    }

    /// From the bytes of such a file. A length that a pipe could not know is taken as "to the end".
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
            return None;
        }
        let (mut at, mut rate) = (12, 0);
        loop {
            let (name, length) = (bytes.get(at..at + 4)?, word(at + 4)? as usize);
            let body = at + 8;
            match name {
                b"fmt " => {
                    // PCM, one channel, 16 bits.
                    if word(body)? != 0x0001_0001 || bytes.get(body + 14..body + 16)? != [16, 0] {
                        return None;
                    }
                    rate = word(body + 4)?;
                }
                b"data" => {
                    let data = bytes.get(body..bytes.len().min(body.saturating_add(length)))?;
                    let samples = data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                    return (rate > 0).then(|| Self { rate, samples: samples.collect() });
                }
                _ => {}
            }
            at = body.checked_add(length)?.checked_add(length & 1)?;
        }
    }

    /// Into a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let length = self.samples.len() as u32 * 2;
        let mut bytes = Vec::with_capacity(44 + length as usize);
        bytes.extend(b"RIFF");
        bytes.extend((36 + length).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend([1, 0, 1, 0]);
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend((self.rate * 2).to_le_bytes());
        bytes.extend([2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        std::fs::write(path, bytes)
    }

    /// In seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// At another rate by straight lines between samples: good enough for speech that a detector shall ignore.
    pub fn resampled(&self, rate: u32) -> Self {
        let length = (self.samples.len() as u64 * u64::from(rate) / u64::from(self.rate)) as usize;
        let at = |index: usize| f64::from(self.samples.get(index).copied().unwrap_or(0));
        let samples = (0..length).map(|index| {
            let place = index as f64 * f64::from(self.rate) / f64::from(rate);
            let (whole, part) = (place as usize, place.fract());
            (at(whole) * (1.0 - part) + at(whole + 1) * part) as i16
        });
        Self { rate, samples: samples.collect() }
    }
}
