//! Who calls, told to the telephone: FSK and DTMF, while it rings and into a call.

use dialtone_base::Duration;
use dialtone_base::telephony::{Key, Party};
use dialtone_signal::Rate;

/// Which signal tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modulation {
    /// Bell 202, 1200 and 2200 Hz (Bellcore GR-30).
    Bell202,
    /// ITU-T V.23, 1300 and 2100 Hz (ETSI EN 300 659).
    V23,
    /// Digits as DTMF (ETSI EN 300 659 annex, China, Taiwan).
    Dtmf(DtmfFormat),
    /// V.23 with the frames of NTT, after the telephone closed the loop.
    Ntt,
}

/// How a number is framed by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfFormat {
    /// `D` number `C`: China, Taiwan, Kuwait.
    DC,
    /// `A` number `#`: Denmark, India.
    AHash,
    /// `A` number `C`: Finland, Netherlands, Brazil.
    AC,
}

/// When it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Between the first ring and the second.
    AfterFirstRing,
    /// Before the first ring, after a short ring that wakes the display (ETSI RP-AS).
    AfterShortRing,
    /// Before the first ring, after the battery is turned and an alerting tone sounded (ETSI DT-AS, BT).
    AfterReversalAndAlert,
    /// Before the first ring, after the battery is turned.
    AfterReversal,
    /// After the telephone closed the loop in answer to a first ringing (NTT).
    AfterLoopClosed,
}

/// How a line tells who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    /// Which signal.
    pub modulation: Modulation,
    /// When.
    pub delivery: Delivery,
}

/// The moment of the call as the telephone's display shows it: local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// What is sent while the line rings: seizure, mark, message, or keys.
#[derive(Clone, Debug)]
pub struct Transmission {
    rate: Rate,
}

impl Transmission {
    /// For a caller. `time`: when the router knows it.
    pub fn caller(standard: Standard, rate: Rate, party: &Party, time: Option<LocalTime>) -> Self {
        let _ = (standard, party, time);
        Self { rate }
    }

    /// For the message lamp: messages wait, or no more (sent while the line is idle).
    pub fn message_waiting(standard: Standard, rate: Rate, waiting: bool) -> Self {
        let _ = (standard, waiting);
        Self { rate }
    }

    /// How long it sounds in all.
    pub fn duration(&self) -> Duration {
        Duration::ZERO
    }

    /// Fills the frame, silence after the end. False when nothing is left.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        let _ = self.rate;
        samples.fill(0);
        false
    }
}

/// Tells who calls into a call (type II): call-waiting tone, alerting signal, the telephone's answer, FSK.
#[derive(Clone, Debug)]
pub struct CallWaiting {
    transmission: Transmission,
}

impl CallWaiting {
    /// For a caller who waits.
    pub fn new(standard: Standard, rate: Rate, party: &Party, time: Option<LocalTime>) -> Self {
        Self { transmission: Transmission::caller(standard, rate, party, time) }
    }

    /// A key the detector began to hear: the telephone answers the alerting signal by `D` (some by `A`). True when it was that
    /// answer, which is nobody's digit.
    pub fn heard(&mut self, key: Key) -> bool {
        let _ = key;
        false
    }

    /// Replaces the frame for the handset while it must not hear the far end. False when all is over.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        self.transmission.fill(samples)
    }
}
