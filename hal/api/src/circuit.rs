//! Battery and hook switch in one place: what is on the wires, and which loop transitions are the app's to know.
//!
//! Every driver of a line has the same three rules, so they are written once. Ring trip: ringing stops by itself when the loop closes,
//! and stays stopped until the app says something new. Without battery ([`Feed::Open`]) no current flows, so nothing is reported; what
//! the hook switch did meanwhile is reported when the battery returns. A transition the app has no room for is not forgotten: the app
//! learns the final state. No time, no queues.

use crate::line::Feed;

/// The state of one pair of wires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circuit {
    wanted: Feed,
    tripped: bool,
    closed: bool,
    reported: bool,
}

impl Circuit {
    /// On-hook, forward battery.
    pub const fn new() -> Self {
        Self { wanted: Feed::Forward, tripped: false, closed: false, reported: false }
    }

    /// The app says what to put on the wires.
    pub fn set_feed(&mut self, feed: Feed) {
        self.wanted = feed;
        self.tripped = self.closed;
    }

    /// The hook switch moved.
    pub fn set_closed(&mut self, closed: bool) {
        self.closed = closed;
        self.tripped |= closed;
    }

    /// Whether the hook switch is closed, reported or not.
    pub const fn closed(&self) -> bool {
        self.closed
    }

    /// What is on the wires: what the app wants, but forward battery once ringing was tripped.
    pub const fn feed(&self) -> Feed {
        match self.wanted {
            Feed::Ringing(_) if self.tripped => Feed::Forward,
            feed => feed,
        }
    }

    /// The state of the loop the app does not know yet. Once it was told: [`Circuit::reported`].
    pub fn news(&self) -> Option<bool> {
        (self.closed != self.reported && self.wanted != Feed::Open).then_some(self.closed)
    }

    /// The app was told this state of the loop.
    pub fn reported(&mut self, closed: bool) {
        self.reported = closed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringing_stops_when_the_loop_closes_and_does_not_return_by_itself() {
        let mut circuit = Circuit::new();
        circuit.set_feed(Feed::Ringing(20));
        assert_eq!((circuit.feed(), circuit.news()), (Feed::Ringing(20), None));
        circuit.set_closed(true);
        assert_eq!((circuit.feed(), circuit.news()), (Feed::Forward, Some(true)));
        circuit.set_closed(false);
        assert_eq!(circuit.feed(), Feed::Forward);
        circuit.set_feed(Feed::Ringing(20));
        assert_eq!(circuit.feed(), Feed::Ringing(20));
    }

    #[test]
    fn an_off_hook_line_cannot_be_rung() {
        let mut circuit = Circuit::new();
        circuit.set_closed(true);
        circuit.set_feed(Feed::Ringing(25));
        assert_eq!(circuit.feed(), Feed::Forward);
    }

    #[test]
    fn without_battery_nothing_is_reported_and_afterwards_only_the_difference() {
        let mut circuit = Circuit::new();
        circuit.set_feed(Feed::Open);
        circuit.set_closed(true);
        assert_eq!(circuit.news(), None);
        circuit.set_closed(false);
        circuit.set_feed(Feed::Forward);
        assert_eq!(circuit.news(), None);
        circuit.set_closed(true);
        assert_eq!(circuit.news(), Some(true));
        circuit.reported(true);
        assert_eq!(circuit.news(), None);
    }
}
