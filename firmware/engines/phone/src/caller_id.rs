//! Who calls, told to the telephone: FSK and DTMF, while it rings and into a call.
//!
//! On-hook: [`Transmission`] fills the frames between or before the rings, when [`Ringer`](crate::Ringer) says so. Off-hook:
//! [`CallWaiting`] sounds the call-waiting tone, alerts the telephone, waits for its answer and sends. Messages: Telcordia GR-30/GR-31 (SDMF,
//! MDMF), ETSI EN 300 659-3, BT SIN 242, NTT. Not done: SMS, charges, type III.

mod call_waiting;
mod fsk;
mod message;
mod text;
mod transmission;

pub use call_waiting::CallWaiting;
pub use message::Message;
pub use transmission::Transmission;

/// Which signal tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modulation {
    /// Bell 202, 1200 and 2200 Hz (GR-30).
    Bell202,
    /// ITU-T V.23, 1300 and 2100 Hz (EN 300 659).
    V23,
    /// Digits as DTMF (EN 300 659-1 annex B, China, Taiwan).
    Dtmf(DtmfFormat),
    /// V.23 with the frames of NTT, after the telephone closed the loop.
    Ntt,
}

/// How a number is framed by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfFormat {
    /// `D` number `C`: China, Taiwan, Kuwait. A number that must not be shown is not sent at all.
    DC,
    /// `A` number `#`: Denmark, India; `D1#` is private, `D3#` unavailable.
    AHash,
    /// `A` number `C`: Finland, Netherlands, Brazil; `B10C` is private, `B00C` unavailable.
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

/// How much an FSK message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Time and number (SDMF): the first displays.
    Number,
    /// Time, number, name (MDMF).
    NumberAndName,
}

/// How a line tells who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    /// Which signal.
    pub modulation: Modulation,
    /// When.
    pub delivery: Delivery,
    /// How much.
    pub detail: Detail,
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
