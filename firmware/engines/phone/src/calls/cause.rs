//! Why a call ended or is refused, between SIP's numbers and what people hear.
//!
//! RFC 3261 section 21 (status codes), RFC 5079 (433), RFC 3326 (`Reason`, for calls answered elsewhere). Q.850 causes are not spoken.

use super::output::Tone;

/// Why a call ended or shall be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody hung up.
    Normal,
    /// The caller gave up before an answer (CANCEL, 487).
    Cancelled,
    /// Another telephone took the call (CANCEL with `Reason: SIP;cause=200`).
    AnsweredElsewhere,
    /// 486, 600.
    Busy,
    /// 603: they do not want to talk.
    Declined,
    /// 480: nobody answers, or nobody is there.
    NoAnswer,
    /// 404, 410, 604: no such number.
    NotFound,
    /// 484, 416, 485: the number is not complete or not understood.
    Incomplete,
    /// 433: they take no calls without a number.
    AnonymityRefused,
    /// 401, 403, 407: the operator does not let us.
    Forbidden,
    /// 488, 606, 415: no sound both sides understand.
    NotAcceptable,
    /// 408, or nothing came back at all.
    Timeout,
    /// 503, 500 and the rest of 5xx: the network is overloaded or broken.
    Congestion,
    /// Any other failure.
    Failed,
}

impl Cause {
    /// The meaning of a final SIP response.
    pub const fn from_status(status: u16) -> Self {
        match status {
            200..300 => Self::Normal,
            486 | 600 => Self::Busy,
            603 | 607 | 608 => Self::Declined,
            480 => Self::NoAnswer,
            404 | 410 | 604 => Self::NotFound,
            416 | 484 | 485 => Self::Incomplete,
            433 => Self::AnonymityRefused,
            401 | 403 | 407 => Self::Forbidden,
            415 | 488 | 606 => Self::NotAcceptable,
            408 => Self::Timeout,
            487 => Self::Cancelled,
            500..600 => Self::Congestion,
            _ => Self::Failed,
        }
    }

    /// The SIP response that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::Normal | Self::NoAnswer => 480,
            Self::Cancelled | Self::AnsweredElsewhere => 487,
            Self::Busy => 486,
            Self::Declined => 603,
            Self::NotFound => 404,
            Self::Incomplete => 484,
            Self::AnonymityRefused => 433,
            Self::Forbidden => 403,
            Self::NotAcceptable => 488,
            Self::Timeout => 408,
            Self::Congestion => 503,
            Self::Failed => 500,
        }
    }

    /// What a caller hears. `None`: nothing is wrong.
    pub const fn tone(self) -> Option<Tone> {
        match self {
            Self::Normal | Self::Cancelled | Self::AnsweredElsewhere => None,
            Self::Busy | Self::Declined | Self::NoAnswer => Some(Tone::Busy),
            Self::NotFound | Self::Incomplete => Some(Tone::SpecialInformation),
            Self::AnonymityRefused
            | Self::Forbidden
            | Self::NotAcceptable
            | Self::Timeout
            | Self::Congestion
            | Self::Failed => Some(Tone::Congestion),
        }
    }
}
