//! Tells dial tone from ringback from busy, as a person does: by how long they sound and pause.
//!
//! Countries differ in frequencies more than in rhythm, so rhythm decides. Voices are no tones: most of a tone's power is in
//! two places of the spectrum.

use std::fmt;

use super::sound::{power, power_at};

/// What the line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Without a pause, or in bursts that come fast and then stay: go ahead.
    Dial,
    /// Long pauses: it rings over there.
    Ringback,
    /// As long as its pauses, a third of a second or more.
    Busy,
    /// The same, faster.
    Congestion,
}

impl Tone {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "dial" => Self::Dial,
            "ringback" => Self::Ringback,
            "busy" => Self::Busy,
            "congestion" => Self::Congestion,
            _ => return None,
        })
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dial => "dial tone",
            Self::Ringback => "ringback tone",
            Self::Busy => "busy tone",
            Self::Congestion => "congestion tone",
        })
    }
}

/// Listens.
pub struct Ear {
    rate: u32,
    block: Vec<i16>,
    /// Blocks of 20 ms: the newest runs, tone or pause, with their lengths.
    runs: Vec<(bool, usize)>,
    /// The same frequencies as dial tone in North America: no need to wait how long it lasts.
    north_american: usize,
    /// What is heard now.
    pub tone: Option<Tone>,
}

impl Ear {
    /// At this many samples in a second.
    pub fn new(rate: u32) -> Self {
        Self { rate, block: Vec::new(), runs: Vec::new(), north_american: 0, tone: None }
    }

    /// Forgets.
    pub fn restart(&mut self) {
        *self = Self::new(self.rate);
    }

    /// Listens to some more; a tone when it was just recognised.
    pub fn listen(&mut self, samples: &[i16]) -> Option<Tone> {
        let mut news = None;
        for sample in samples {
            self.block.push(*sample);
            if self.block.len() == self.rate as usize / 50 {
                let block = std::mem::take(&mut self.block);
                let before = self.tone;
                self.block(&block);
                if self.tone != before {
                    news = self.tone;
                }
            }
        }
        news
    }

    fn block(&mut self, block: &[i16]) {
        let all = power(block);
        let on = all > 150.0 * 150.0 && self.is_tone(block, all);
        let american = on
            && power_at(block, 350.0, self.rate) > 0.3 * all
            && power_at(block, 440.0, self.rate) > 0.3 * all;
        self.north_american = if american { self.north_american + 1 } else { 0 };
        match self.runs.last_mut() {
            Some((state, length)) if *state == on => *length += 1,
            _ => self.runs.push((on, 1)),
        }
        if self.runs.len() > 16 {
            self.runs.remove(0);
        }
        self.tone = self.recognised();
    }

    /// Two places of the spectrum hold nearly all of it.
    fn is_tone(&self, block: &[i16], all: f64) -> bool {
        let mut powers: Vec<(f64, f64)> = (0..=20)
            .map(|at| 300.0 + 20.0 * f64::from(at))
            .map(|hertz| (power_at(block, hertz, self.rate), hertz))
            .collect();
        powers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (first, place) = powers[0];
        let second = powers.iter().find(|one| (one.1 - place).abs() > 50.0).map_or(0.0, |one| one.0);
        first + second > 0.7 * all
    }

    fn recognised(&self) -> Option<Tone> {
        let (on, now) = *self.runs.last()?;
        if on && (now >= blocks(2300) || self.north_american >= blocks(300)) {
            return Some(Tone::Dial);
        }
        // Whole runs before the one under way, newest first.
        let mut whole = self.runs.iter().rev().skip(1);
        if !on && now >= blocks(1500) {
            let (_, tone) = whole.next()?;
            return (blocks(300)..=blocks(2300)).contains(tone).then_some(Tone::Ringback);
        }
        let recent: Vec<usize> = whole.take(3).map(|(_, length)| *length).collect();
        let [a, b, c] = recent[..] else { return None };
        let even = |one: usize, other: usize| one * 2 <= other * 3 + 2 && other * 2 <= one * 3 + 2;
        if !(even(a, b) && even(b, c)) || now > blocks(800) {
            return self.tone.filter(|_| now < blocks(1500));
        }
        let mean = (a + b + c) / 3;
        if mean >= blocks(320) && mean <= blocks(800) {
            Some(Tone::Busy)
        } else if mean >= blocks(160) && mean < blocks(320) {
            Some(Tone::Congestion)
        } else {
            None
        }
    }
}

/// Milliseconds in blocks of 20.
const fn blocks(millis: usize) -> usize {
    millis / 20
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::sound::{Tones, queue};
    use super::*;

    fn heard(parts: &[(f64, f64)], rhythm: &[u32], rate: u32) -> Option<Tone> {
        let mut sound = VecDeque::new();
        for (at, millis) in rhythm.iter().cycle().take(rhythm.len() * 12).enumerate() {
            if at % 2 == 0 {
                queue(&mut Tones::new(parts, rate, Some(*millis)), &mut sound);
            } else {
                sound.extend(std::iter::repeat_n(0, (rate / 1000 * millis) as usize));
            }
        }
        let mut ear = Ear::new(rate);
        sound.make_contiguous().chunks(rate as usize / 100).find_map(|frame| ear.listen(frame))
    }

    #[test]
    fn tones_of_many_countries_are_told_apart_by_their_rhythm() {
        let (de, us, gb, jp) = (
            [(425.0, -13.0)],
            [(440.0, -16.0), (480.0, -16.0)],
            [(400.0, -13.0), (450.0, -13.0)],
            [(400.0, -13.0)],
        );
        for rate in [8000, 16_000] {
            assert_eq!(heard(&[(350.0, -13.0), (440.0, -13.0)], &[1000], rate), Some(Tone::Dial));
            assert_eq!(heard(&de, &[3000], rate), Some(Tone::Dial));
            assert_eq!(heard(&de, &[1000, 4000], rate), Some(Tone::Ringback));
            assert_eq!(heard(&us, &[2000, 4000], rate), Some(Tone::Ringback));
            assert_eq!(heard(&gb, &[400, 200, 400, 2000], rate), Some(Tone::Ringback));
            assert_eq!(heard(&de, &[480, 480], rate), Some(Tone::Busy));
            assert_eq!(heard(&jp, &[500, 500], rate), Some(Tone::Busy));
            assert_eq!(heard(&de, &[240, 240], rate), Some(Tone::Congestion));
            assert_eq!(heard(&[(500.0, -20.0), (1500.0, -20.0), (2500.0, -20.0)], &[3000], rate), None);
        }
    }
}
