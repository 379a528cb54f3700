//! Hears the keys of the handset, and not the echo of keys that are played to it.
//!
//! A menu's or a friend's keys come out of the receiver, and part of them comes back from the line. Taken for the handset's own they would
//! be sent back as digits. So two detectors listen, one to what is played and one to what comes back: a key that was just played is not
//! the handset's. Does not remove the echo; that is the echo canceller's.

use dialtone_base::telephony::Key;

use super::{Detector, Event};
use crate::Rate;

/// A [`Detector`] for the handset that knows what is played to it.
#[derive(Clone, Debug)]
pub struct NearEnd {
    near: Detector,
    far: Detector,
    /// The key that is played or was, and the frames for which its echo may still come.
    played: Option<(Key, u32)>,
    /// The key the near detector began to hear, and whether it is the handset's.
    begun: Option<(Key, bool)>,
}

impl NearEnd {
    /// For a line of this rate.
    pub fn new(rate: Rate) -> Self {
        Self { near: Detector::new(rate), far: Detector::new(rate), played: None, begun: None }
    }

    /// Takes a frame from the handset and the frame last played to it, both of 10 ms. Events are those of the handset's keys only.
    pub fn listen(&mut self, heard: &[i16], played: &[i16], mut event: impl FnMut(Event)) {
        self.far.listen(played, |_| {});
        self.played = match (self.far.pressed(), self.played) {
            (Some(key), _) => Some((key, ECHO_FRAMES)),
            (None, Some((key, left))) if left > 0 => Some((key, left - 1)),
            (None, _) => None,
        };
        let (played, begun) = (self.played.map(|(key, _)| key), &mut self.begun);
        self.near.listen(heard, |heard| match heard {
            Event::Begin { key, .. } => {
                let own = played != Some(key);
                *begun = Some((key, own));
                if own {
                    event(heard);
                }
            }
            Event::End { .. } => {
                if begun.take().is_some_and(|(_, own)| own) {
                    event(heard);
                }
            }
        });
    }

    /// As [`Detector::hides`].
    pub fn hides(&self) -> bool {
        self.near.hides()
    }

    /// The handset's key that is pressed.
    pub fn pressed(&self) -> Option<Key> {
        self.begun.filter(|(_, own)| *own).map(|(key, _)| key)
    }

    /// As [`Detector::set_tone_plays`].
    pub fn set_tone_plays(&mut self, plays: bool) {
        self.near.set_tone_plays(plays);
    }

    /// Forgets what it heard, without an event.
    pub fn reset(&mut self) {
        self.near.reset();
        self.far.reset();
        (self.played, self.begun) = (None, None);
    }
}

/// An echo is heard through the queues of the line both ways, by a detector that needs 40 ms: at most so many frames after the key.
const ECHO_FRAMES: u32 = 25;

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;
    use crate::dtmf::Generator;

    /// Runs frames: a key played from 300 ms on for `played` ms, one pressed from `pressed_at` on for 100 ms; the echo is 80 ms late.
    fn keys(played: Option<(Key, u32)>, pressed: Option<(Key, usize)>, echo: f32) -> Vec<Event> {
        let rate = Rate::Narrow;
        let mut detector = NearEnd::new(rate);
        let (mut far, mut near) = (Generator::new(rate), Generator::new(rate));
        let mut late: VecDeque<[i16; 80]> = std::iter::repeat_n([0; 80], 8).collect();
        let mut events = Vec::new();
        for frame in 0..150 {
            if let Some((key, millis)) = played.filter(|_| frame == 30) {
                far.start(key, Some(millis));
            }
            if let Some((key, _)) = pressed.filter(|(_, at)| frame == at / 10) {
                near.start(key, Some(100));
            }
            let (mut out, mut heard) = ([0; 80], [0; 80]);
            far.fill(&mut out);
            near.fill(&mut heard);
            late.push_back(out);
            for (sample, echoed) in heard.iter_mut().zip(late.pop_front().unwrap_or([0; 80])) {
                *sample += (f32::from(echoed) * echo) as i16;
            }
            detector.listen(&heard, &out, |event| events.push(event));
        }
        events
    }

    #[test]
    fn a_key_that_is_played_is_not_the_handsets() {
        for key in Key::ALL {
            for millis in [50, 100, 400] {
                assert_eq!(keys(Some((key, millis)), None, 0.5), [], "{key} {millis} ms");
            }
        }
    }

    #[test]
    fn a_handsets_key_is_heard_before_during_and_after_another_that_is_played() {
        for (at, echo) in [(100, 0.5), (350, 0.02), (900, 0.5)] {
            let events = keys(Some((Key::HASH, 200)), Some((Key::STAR, at)), echo);
            let own = matches!(events[..], [Event::Begin { key: Key::STAR, .. }, Event::End { .. }]);
            assert!(own, "{at}: {events:?}");
        }
        // The same key, a moment after its echo.
        assert_eq!(keys(Some((Key::HASH, 100)), Some((Key::HASH, 900)), 0.5).len(), 2);
    }
}
