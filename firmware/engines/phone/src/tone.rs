//! The tones a handset hears: which there are, what they are made of, and the player that fills frames with them.
//!
//! ITU-T E.180/Q.35 names them; a country's data says how they sound ([`Country`](crate::Country)). Each tone is a cadence of parts; parts
//! marked `once` are played the first time only.

mod player;

pub use player::TonePlayer;

use crate::calls;

/// What the line says without words (ITU-T E.180).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Dial now.
    Dial,
    /// Dial now; messages wait in the mailbox.
    Stutter,
    /// Dial now, the call you were in is held.
    DialRecall,
    /// It rings there.
    Ringback,
    /// They are in another call.
    Busy,
    /// No way through: no circuit, no account, wrong number.
    Congestion,
    /// The receiver was left off the hook.
    Howler,
    /// Somebody else calls you, played into the call.
    CallWaiting,
    /// Done as you said: a feature was switched.
    Confirmation,
    /// The number cannot be reached; three rising tones.
    SpecialInformation,
}

impl Tone {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Dial,
        Self::Stutter,
        Self::DialRecall,
        Self::Ringback,
        Self::Busy,
        Self::Congestion,
        Self::Howler,
        Self::CallWaiting,
        Self::Confirmation,
        Self::SpecialInformation,
    ];
}

impl From<calls::Tone> for Tone {
    /// Where only the home and emergencies can be called, the dial tone of a second call says that something differs: no country has
    /// a tone for that.
    fn from(tone: calls::Tone) -> Self {
        match tone {
            calls::Tone::Dial => Self::Dial,
            calls::Tone::StutterDial => Self::Stutter,
            calls::Tone::RecallDial | calls::Tone::NoService => Self::DialRecall,
            calls::Tone::Ringback => Self::Ringback,
            calls::Tone::Busy => Self::Busy,
            calls::Tone::Congestion => Self::Congestion,
            calls::Tone::SpecialInformation => Self::SpecialInformation,
            calls::Tone::Confirmation => Self::Confirmation,
            calls::Tone::Howler => Self::Howler,
        }
    }
}

/// What sounds during a part of a cadence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Nothing.
    Silence,
    /// Up to four frequencies in hertz together; 0 is none. Each has its share of the tone's level.
    Sum([u16; 4]),
    /// A carrier whose loudness swings in the rhythm of a second frequency (both in hertz): 400 Hz by 16 Hz in Japan.
    Modulated {
        /// What is heard.
        carrier: u16,
        /// How fast it swings.
        by: u16,
    },
}

/// A part of a cadence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What sounds.
    pub sound: Sound,
    /// How long, in milliseconds; 0 is for ever.
    pub millis: u16,
    /// Played the first time only.
    pub once: bool,
    /// Decibels below the tone's level.
    pub quieter: u8,
}

/// A tone as a country makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// In order; after the last, the first that is not `once` follows. All `once`: silence follows.
    pub parts: &'static [Part],
    /// Level of the whole tone while it sounds, in tenths of dBm0.
    pub level: i16,
}
