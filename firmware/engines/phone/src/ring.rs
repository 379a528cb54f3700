//! Ringing: cadences on the feed, and when the caller's number is sent between them.

use dialtone_base::{Duration, Instant};

use crate::Country;
use crate::calls::RingPattern;

/// What the line puts on its two wires; the same four meanings as the line driver's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// Battery, the ordinary way round.
    #[default]
    Forward,
    /// Battery the other way round.
    Reverse,
    /// Ringing voltage at this frequency in hertz.
    Ringing(u8),
    /// No battery.
    Open,
}

/// What [`Ringer::poll`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this on the wires.
    Feed(Feed),
    /// Turn the line's sound on and send the caller's number now: the transmission made by
    /// [`caller_id::Transmission`](crate::caller_id::Transmission).
    SendCallerId,
    /// The window for the caller's number is over: the line's sound may go off.
    CallerIdOver,
    /// Nothing until then.
    Wait(Option<Instant>),
}

/// Rings one line.
#[derive(Clone, Debug)]
pub struct Ringer {
    country: &'static Country,
}

impl Ringer {
    /// Silent; the feed is forward.
    pub fn new(country: &'static Country) -> Self {
        Self { country }
    }

    /// Begins to ring. `caller_id`: how long the caller's number takes to be sent (`Transmission::duration`), `None` to send none.
    pub fn start(&mut self, now: Instant, pattern: RingPattern, caller_id: Option<Duration>) {
        let _ = (now, pattern, caller_id, self.country);
    }

    /// Ends it: nobody calls any more.
    pub fn stop(&mut self, now: Instant) {
        let _ = now;
    }

    /// The loop changed while it rang. True when somebody answers: everything stops. (In Japan telephones close the loop by
    /// themselves to hear the caller's number: that is not an answer.)
    pub fn loop_changed(&mut self, now: Instant, closed: bool) -> bool {
        let _ = now;
        closed
    }

    /// What to do now; call until it says `Wait`.
    pub fn poll(&mut self, now: Instant) -> Output {
        let _ = now;
        Output::Wait(None)
    }
}
