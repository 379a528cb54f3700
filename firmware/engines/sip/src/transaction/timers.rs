//! The timers of RFC 3261 section 17, in one table.
//!
//! | Timer | Value | Meaning |
//! |---|---|---|
//! | A | T1, doubling | INVITE repeated, UDP |
//! | B | 64·T1 | INVITE without any answer |
//! | D | 32 s, or 0 | repeated final answers to an INVITE are acknowledged |
//! | E | T1, doubling to T2 | request repeated, UDP |
//! | F | 64·T1 | request without final answer |
//! | G | T1, doubling to T2 | final answer to an INVITE repeated, UDP |
//! | H | 64·T1 | no ACK for it |
//! | I | T4, or 0 | repeated ACKs are absorbed |
//! | J | 64·T1, or 0 | repeated requests are answered again |
//! | K | T4, or 0 | repeated answers are absorbed |
//! | L, M | 64·T1 | RFC 6026: server and client keep an accepted INVITE |
//!
//! Where two values stand, the second is for reliable transports.

use dialtone_base::{Duration, Instant};

/// Estimate of the round trip (RFC 3261 section 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest pause between repetitions.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network.
pub const T4: Duration = Duration::from_secs(5);
/// B, F, H, J, L, M: 64·T1.
pub const GIVE_UP: Duration = Duration::from_secs(32);
/// D over UDP: at least 32 s.
pub const TIMER_D: Duration = Duration::from_secs(32);
/// A server says 100 when its user did not say anything for so long (RFC 3261 section 17.2.1).
pub const TRYING: Duration = Duration::from_millis(200);

/// When a message is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeat {
    at: Option<Instant>,
    pause: Duration,
    longest: Duration,
}

impl Repeat {
    /// Not at all.
    pub const NEVER: Self = Self { at: None, pause: Duration::ZERO, longest: Duration::ZERO };

    /// After T1, then doubling until `longest`.
    pub fn doubling(now: Instant, longest: Duration) -> Self {
        Self { at: Some(now + T1), pause: T1, longest }
    }

    /// Every T2.
    pub fn slowly(now: Instant) -> Self {
        Self { at: Some(now + T2), pause: T2, longest: T2 }
    }

    /// Once, after `pause`.
    pub fn once(now: Instant, pause: Duration) -> Self {
        Self { at: Some(now + pause), pause: Duration::ZERO, longest: Duration::ZERO }
    }

    /// When next.
    pub const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is due; then the next time is set.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.pause = (self.pause + self.pause).min(self.longest);
            self.at = (self.pause > Duration::ZERO).then_some(now + self.pause);
        }
        due
    }
}

/// `long` over UDP, nothing where the transport is reliable.
pub const fn unless_reliable(is_reliable: bool, long: Duration) -> Duration {
    if is_reliable { Duration::ZERO } else { long }
}
