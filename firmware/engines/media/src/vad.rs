//! Voice activity: whether a frame is worth sending, or a description of the room's noise would do.
//!
//! Energy in three bands against each band's own noise floor, with a hangover that grows with what was said. The floor falls at once
//! and rises slowly, and never above a level at which people talk and music plays: what is loud is always sent. Frames of 10 ms.
//! Does not tell speech from other sounds worth hearing, and does not want to.

/// A detector for one direction of one call.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    split: [f32; 2],
    floor: [f32; BANDS],
    burst: u32,
    hangover: u32,
    heard: u32,
}

impl VoiceActivity {
    /// Takes everything for voice until it knows the room.
    pub fn new() -> Self {
        Self { split: [0.0; 2], floor: [FLOOR_LIMIT; BANDS], burst: 0, hangover: 0, heard: 0 }
    }

    /// Whether this frame of 10 ms should be sent as voice. A call's first 300 ms always are.
    pub fn is_voice(&mut self, frame: &[i16]) -> bool {
        if frame.is_empty() {
            return false;
        }
        let bands = self.bands(frame);
        let mut active = false;
        for (power, floor) in bands.iter().zip(self.floor.iter_mut()) {
            // 6 dB above the room, and above what µ-law makes of silence.
            active |= *power > 4.0 * *floor + INAUDIBLE;
            let rate = if power < floor { 0.2 } else { 0.001 };
            *floor = (*floor + rate * (*power - *floor)).min(FLOOR_LIMIT);
        }
        self.heard = self.heard.saturating_add(1);
        if active {
            self.burst = self.burst.saturating_add(1);
            // A click is no word; after a sentence its last consonant must not be cut.
            let hangover = if self.burst < 5 { SHORT_HANGOVER } else { LONG_HANGOVER };
            self.hangover = self.hangover.max(hangover);
            return true;
        }
        self.burst = 0;
        self.hangover = self.hangover.saturating_sub(1);
        self.hangover > 0 || self.heard <= 30
    }

    /// Mean squares below about 500 Hz, between, and above about 1.5 kHz.
    fn bands(&mut self, frame: &[i16]) -> [f32; BANDS] {
        let mut sums = [0.0; BANDS];
        // The corner frequencies double at 16 kHz, which does no harm.
        for sample in frame {
            let sample = f32::from(*sample);
            self.split[0] += 0.33 * (sample - self.split[0]);
            self.split[1] += 0.69 * (sample - self.split[1]);
            let parts = [self.split[0], self.split[1] - self.split[0], sample - self.split[1]];
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part * part;
            }
        }
        sums.map(|sum| sum / frame.len() as f32)
    }
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self::new()
    }
}

const BANDS: usize = 3;
/// Mean square above which sound is never taken for a room: about −43 dBm0 in each band.
const FLOOR_LIMIT: f32 = 13_000.0;
/// Mean square that nobody hears: about −72 dBm0.
const INAUDIBLE: f32 = 16.0;
/// Frames sent after a click, and after speech.
const SHORT_HANGOVER: u32 = 4;
const LONG_HANGOVER: u32 = 20;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use dialtone_base::{Random, Seed};

    use super::*;

    fn noise(random: &mut Random, frames: usize, level: f32) -> Vec<i16> {
        let unit = |random: &mut Random| random.below(65_536) as f32 / 18_919.0 - 1.732;
        (0..frames * 80).map(|_| (level * unit(random)) as i16).collect()
    }

    fn share(detector: &mut VoiceActivity, sound: &[i16]) -> f32 {
        let frames = sound.chunks_exact(80);
        let count = frames.len();
        frames.filter(|frame| detector.is_voice(frame)).count() as f32 / count as f32
    }

    #[test]
    fn a_room_is_learnt_and_speech_stands_out_of_it() {
        let mut random = Random::new(Seed::from_number(1));
        for level in [0.0, 8.0, 30.0, 90.0] {
            let mut detector = VoiceActivity::new();
            share(&mut detector, &noise(&mut random, 300, level));
            let room = share(&mut detector, &noise(&mut random, 1000, level));
            assert!(room < 0.05, "room at {level}: {room} sent");
            let talk = share(&mut detector, &noise(&mut random, 100, level * 4.0 + 100.0));
            assert!(talk > 0.99, "speech over a room at {level}: {talk} sent");
        }
    }

    #[test]
    fn the_end_of_a_word_is_sent_and_not_a_second_more() {
        let mut random = Random::new(Seed::from_number(2));
        let mut detector = VoiceActivity::new();
        share(&mut detector, &noise(&mut random, 300, 8.0));
        share(&mut detector, &noise(&mut random, 50, 1000.0));
        let after = share(&mut detector, &noise(&mut random, 100, 8.0));
        assert!((0.1..0.35).contains(&after), "{after} of a second");
    }

    #[test]
    fn music_that_lasts_is_never_taken_for_a_room() {
        let hum: Vec<i16> =
            (0..8000 * 60).map(|n| (2000.0 * libm::sinf((n % 8000) as f32 * 0.345_575)) as i16).collect();
        assert!(share(&mut VoiceActivity::new(), &hum) == 1.0);
    }
}
