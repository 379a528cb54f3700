//! Hears keys: begin, end, and when to hide the sound from the far end.
//!
//! Placeholder figures; see the crate's README.

use dialtone_base::telephony::Key;

use crate::Rate;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key is pressed; it has sounded for about `millis` already.
    Begin {
        /// Which.
        key: Key,
        /// Since it began.
        millis: u32,
    },
    /// It was released.
    End {
        /// Which.
        key: Key,
        /// How long it sounded in all.
        millis: u32,
    },
}

/// Listens for keys.
pub struct Detector {
    rate: Rate,
}

impl Detector {
    /// For a line of this rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate }
    }

    /// Takes a frame of sound; events come in order of time. Frames may have any length, 10 ms gives the least delay.
    pub fn listen(&mut self, samples: &[i16], mut event: impl FnMut(Event)) {
        let _ = (samples, &mut event, self.rate);
    }

    /// Whether the frame just heard must not reach the far end as sound, because a key is, or is probably, in it.
    pub fn hides(&self) -> bool {
        false
    }

    /// Forgets what it heard, without an event.
    pub fn reset(&mut self) {}
}
