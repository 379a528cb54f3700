//! What happens because time passed.

use dialtone_base::{Duration, Instant};

use super::incoming::RING_AGAIN;
use super::{Purpose, UserAgent};
use crate::call::{Negotiation, State};
use crate::interface::{Cause, Event, OfferReason};

impl UserAgent {
    /// Runs every timer that is due.
    pub(super) fn run_due(&mut self, now: Instant) {
        if self.local.is_some() {
            self.run_registrations(now);
            self.run_patience(now);
            self.keep_alive(now);
            self.run_beside(now);
        }
        self.run_coming(now);
        for index in 0..self.calls.len() {
            self.run_call(now, index);
        }
        self.release(now);
    }

    fn run_call(&mut self, now: Instant, index: usize) {
        let Some(call) = self.call_mut(index) else { return };
        if call.over {
            return;
        }
        if let State::Waiting(_) = call.state {
            self.try_invite(now, index);
            return;
        }
        if call.address_changed.is_some_and(|at| at <= now) {
            call.address_changed = None;
            let event = Event::OfferWanted { call: call.id, reason: OfferReason::AddressChanged };
            self.tell(event);
        }
        let Some(call) = self.call_mut(index) else { return };
        if call.ring_again.is_some_and(|at| at <= now) {
            call.ring_again = Some(now + RING_AGAIN);
            if let (State::Incoming, Some(waiting), None) = (call.state, call.waiting, call.reliable) {
                let _ = self.reply_in_call(now, index, waiting.server, 180, false, None);
            }
        }
        if self.call(index).is_some_and(|call| call.ring_until.is_some_and(|at| at <= now)) {
            self.close_waiting(now, index, 487);
            self.end(now, index, Cause::Cancelled, 487);
            return;
        }
        let Some(call) = self.call_mut(index) else { return };
        if call.retry_at.is_some_and(|at| at <= now) {
            call.retry_at = None;
            self.offer_if_possible(now, index);
        }
        self.run_session_timer(now, index);
    }

    /// RFC 4028 section 10: refresh, or give up a peer that did not.
    fn run_session_timer(&mut self, now: Instant, index: usize) {
        let is_offering = self.is_offering(index);
        let Some(call) = self.call_mut(index) else { return };
        let Some(timer) = call.timer.as_mut().filter(|timer| timer.due <= now) else { return };
        if call.state != State::Established {
            timer.due = now + Duration::from_secs(1);
            return;
        }
        if !timer.ours {
            call.timer = None;
            self.say_bye(now, index);
            self.end(now, index, Cause::PeerVanished, 408);
            return;
        }
        // Meanwhile an offer of either side refreshes as well; looked at again soon.
        timer.due = now + Duration::from_secs(10);
        if is_offering || call.waiting.is_some() || call.negotiation != Negotiation::Stable {
            return;
        }
        let can_update =
            call.dialog.and_then(|dialog| self.dialog(dialog)).is_some_and(|it| it.abilities.update);
        if can_update {
            let busy = self.asked.iter().flatten().any(|asked| {
                asked.purpose == Purpose::Update { call: index, offer: false } && !asked.is_done
            });
            if !busy && let Err(rejected) = self.ask(now, Purpose::Update { call: index, offer: false }, 0) {
                self.counters.count(rejected);
            }
        } else if let Some(call) = self.call_mut(index) {
            // The session as it is, word for word: nothing changes for media.
            call.refreshing = !call.offer_queued;
            call.offer_queued = true;
            self.offer_if_possible(now, index);
        }
    }

    /// When something is due next.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        let mut consider = |at: Option<Instant>| {
            if let Some(at) = at {
                earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
            }
        };
        for call in self.calls.iter().flatten() {
            consider(call.deadline());
        }
        if self.local.is_some() {
            for account in &self.accounts {
                for number in &account.registered {
                    consider(number.registration.deadline());
                }
                consider(account.subscription.deadline());
                consider(account.keep_alive);
                consider(account.pong_by);
                consider(account.beside.deadline());
            }
            for asked in self.asked.iter().flatten() {
                consider(asked.patience);
            }
        }
        consider(self.coming.as_ref().map(|(_, by)| *by));
        consider(self.transactions_due);
        earliest.map(|at| at.max(now))
    }
}
