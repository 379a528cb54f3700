//! Answers to requests of ours other than the first INVITE, and what happens when there is none.
//!
//! RFC 3261 sections 12.2.1.2 (408 and 481 end a dialog), 14.1 (491 and its timer), RFC 4028 section 10, RFC 3311.

use dialtone_base::{Duration, Instant};

use super::incoming::body_of;
use super::{Asked, Purpose, UserAgent};
use crate::account::Challenged;
use crate::call::{Negotiation, State};
use crate::interface::{Cause, Event, Rejected, TransferProgress};
use crate::message::Message;
use crate::registration::Outcome;
use crate::transaction::{Ended, TransactionId};
use crate::transport::Flow;

impl UserAgent {
    pub(super) fn response(
        &mut self,
        now: Instant,
        flow: Flow,
        client: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let place = self.asked.iter().position(|asked| asked.is_some_and(|asked| asked.client == client));
        let place = place.ok_or(Rejected::StrayResponse)?;
        let asked = self.asked.get(place).copied().flatten().ok_or(Rejected::StrayResponse)?;
        let status = message.status().ok_or(Rejected::StrayResponse)?;
        if status.is_provisional() {
            if let Some(Some(entry)) = self.asked.get_mut(place) {
                entry.patience = None;
            }
            self.way_works(now, asked.account);
        } else if let Some(entry) = self.asked.get_mut(place) {
            let keeps = matches!(asked.purpose, Purpose::Invite { .. } | Purpose::Reinvite { .. });
            if keeps && status.is_success() {
                // Repeated 2xx, and those of other forks, still belong to it.
                if let Some(entry) = entry {
                    entry.is_done = true;
                }
            } else {
                *entry = None;
            }
        }
        if let Purpose::Invite { call } = asked.purpose {
            return self.invite_answered(now, asked, call, flow, message);
        }
        if status.is_provisional() {
            return Ok(());
        }
        match asked.purpose {
            Purpose::Register { number, .. } => self.registered(now, asked, number, flow, message),
            Purpose::Subscribe { .. } => self.subscribed(now, asked, message),
            Purpose::Probe { account } => {
                self.probed(now, account, true);
                self.examine_probe(now, asked, message);
                self.way_works(now, account);
            }
            Purpose::Invite { .. } => {}
            _ => return self.answered_in_dialog(now, asked, message),
        }
        Ok(())
    }

    fn answered_in_dialog(
        &mut self,
        now: Instant,
        asked: Asked,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let status = message.status().map_or(0, |status| status.code());
        let index = asked.purpose.call().ok_or(Rejected::StrayResponse)?;
        if matches!(status, 401 | 407) {
            let account = self.accounts.get_mut(usize::from(asked.account));
            let again = account
                .is_some_and(|account| account.keychain.learn(message, asked.tries) == Challenged::Again);
            if again && self.ask(now, asked.purpose, asked.tries + 1).is_ok() {
                return Ok(());
            }
        }
        match asked.purpose {
            Purpose::Reinvite { .. } => self.reinvite_answered(now, index, status, message),
            Purpose::Update { offer, .. } => self.update_answered(now, index, status, offer, message),
            Purpose::Refer { .. } => {
                let Some(call) = self.call_mut(index) else { return Ok(()) };
                let id = call.id;
                if status >= 300 && core::mem::take(&mut call.transferring) {
                    self.tell(Event::TransferProgress {
                        call: id,
                        progress: TransferProgress::Failed(status),
                    });
                }
                self.gone_if(now, index, status);
                Ok(())
            }
            Purpose::Bye { .. } => Ok(()),
            _ => {
                // A key that was refused, a PRACK or NOTIFY nobody wants: the call goes on unless the peer has forgotten it.
                self.gone_if(now, index, if status == 481 { status } else { 200 });
                Ok(())
            }
        }
    }

    /// 408 and 481 mean that the other end has no such call any more (section 12.2.1.2).
    fn gone_if(&mut self, now: Instant, index: usize, status: u16) {
        let is_confirmed = self.call(index).is_some_and(|call| call.is_confirmed() && !call.over);
        if is_confirmed && matches!(status, 408 | 481) {
            if status == 408 {
                self.say_bye(now, index);
            }
            self.end(now, index, Cause::PeerVanished, status);
        }
    }

    fn reinvite_answered(
        &mut self,
        now: Instant,
        index: usize,
        status: u16,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::StrayResponse)?;
        if call.over {
            // BYE is on its way; the 2xx must be acknowledged all the same.
            if let (200..=299, Some(dialog)) = (status, call.dialog) {
                let _ = self.send_ack(index, dialog, false);
            }
            return Ok(());
        }
        if let (200..=299, Some(dialog)) = (status, call.dialog) {
            if let Some(known) = self.dialog_mut(dialog) {
                known.refresh_target(message);
            }
            self.send_ack(index, dialog, false)?;
        }
        self.offer_answered(now, index, status, message);
        Ok(())
    }

    fn update_answered(
        &mut self,
        now: Instant,
        index: usize,
        status: u16,
        offer: bool,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let call = self.call_mut(index).ok_or(Rejected::StrayResponse)?;
        if call.over {
            return Ok(());
        }
        if (200..300).contains(&status)
            && let Some(dialog) = call.dialog
            && let Some(known) = self.dialog_mut(dialog)
        {
            known.refresh_target(message);
        }
        if offer {
            self.offer_answered(now, index, status, message);
            return Ok(());
        }
        // A refresh of the session and nothing else.
        let call = self.call_mut(index).ok_or(Rejected::StrayResponse)?;
        match status {
            200..=299 => call.take_timer_of_response(now, message),
            422 => {
                let least = Duration::from_secs(u64::from(message.min_se().unwrap_or(0).min(86_400)));
                match &mut call.timer {
                    Some(timer) if timer.interval < least => {
                        timer.interval = least;
                        timer.due = now;
                    }
                    // It asks for no more than it was offered: asking the same at once would go on for ever.
                    _ => self.refresh_later(now, index),
                }
            }
            491 | 500 => self.refresh_later(now, index),
            405 | 501 => {
                if let Some(dialog) = call.dialog
                    && let Some(known) = self.dialog_mut(dialog)
                {
                    known.abilities.update = false;
                }
                self.refresh_later(now, index);
            }
            _ => self.gone_if(now, index, status),
        }
        Ok(())
    }

    /// The refresh is tried again soon: there is half the interval left.
    fn refresh_later(&mut self, now: Instant, index: usize) {
        let wait = Duration::from_millis(2000 + u64::from(self.random.below(2000)));
        if let Some(timer) = self.call_mut(index).and_then(|call| call.timer.as_mut()) {
            timer.due = now + wait;
        }
    }

    /// What became of an offer of ours in a re-INVITE or UPDATE.
    fn offer_answered(&mut self, now: Instant, index: usize, status: u16, message: &Message<'_>) {
        let Some(call) = self.call_mut(index) else { return };
        let id = call.id;
        call.negotiation = Negotiation::Stable;
        let is_refresh = core::mem::take(&mut call.refreshing);
        match status {
            200..=299 => {
                call.take_timer_of_response(now, message);
                let body = body_of(message);
                if is_refresh {
                    // The same session as before; its answer is the same.
                } else if body.is_some() {
                    let event =
                        Event::OfferAnswered { call: id, body: crate::Body { content_type: "", bytes: &[] } };
                    self.tell_with(event, body);
                } else {
                    self.tell(Event::OfferRefused { call: id, status });
                }
            }
            // Glare (section 14.1): whoever made the Call-ID waits longer.
            491 | 500 if status == 491 || message.retry_after().is_some() => {
                let steps =
                    if call.is_outgoing { 210 + self.random.below(190) } else { self.random.below(200) };
                if let Some(call) = self.call_mut(index) {
                    call.retry_at = Some(now + Duration::from_millis(u64::from(steps) * 10));
                    call.offer_queued = true;
                    call.refreshing = is_refresh;
                }
                return;
            }
            422 => {
                let least = Duration::from_secs(u64::from(message.min_se().unwrap_or(0).min(86_400)));
                if let Some(timer) = &mut call.timer
                    && timer.interval < least
                {
                    timer.interval = least;
                    call.offer_queued = true;
                    call.refreshing = is_refresh;
                }
            }
            _ => {
                if !is_refresh {
                    self.tell(Event::OfferRefused { call: id, status });
                }
                self.gone_if(now, index, status);
            }
        }
        self.offer_if_possible(now, index);
    }

    /// A request of ours had no final answer.
    pub(super) fn failed(&mut self, now: Instant, purpose: Purpose, account: u8, why: Ended) {
        match purpose {
            Purpose::Register { account, number } => {
                let outcome = if self.way_failed(now, account) {
                    Outcome::Elsewhere
                } else {
                    Outcome::Unreachable(None)
                };
                self.register_outcome(now, account, number, outcome);
            }
            Purpose::Subscribe { account } => self.subscription_refused(now, account, 0, None),
            Purpose::Probe { account } => self.probed(now, account, false),
            Purpose::Invite { call } => {
                let state = self.call(call).map(|call| call.state);
                match state {
                    Some(State::Calling) if self.try_other_server(now, account, call) => {}
                    Some(State::Calling | State::Proceeding) => self.end(now, call, Cause::Unreachable, 408),
                    _ => {
                        if let Some(call) = self.call_mut(call) {
                            call.state = State::Ending;
                        }
                    }
                }
            }
            Purpose::Bye { .. } | Purpose::Notify { .. } => {}
            purpose => {
                let Some(index) = purpose.call() else { return };
                if let Purpose::Refer { .. } = purpose
                    && let Some(call) = self.call_mut(index)
                    && core::mem::take(&mut call.transferring)
                {
                    let progress = TransferProgress::Failed(408);
                    let event = Event::TransferProgress { call: call.id, progress };
                    self.tell(event);
                }
                if why == Ended::Timeout {
                    self.gone_if(now, index, 408);
                }
            }
        }
    }

    /// Servers that say nothing at all are left for others before the transaction gives up.
    pub(super) fn run_patience(&mut self, now: Instant) {
        for place in 0..self.asked.len() {
            let Some(Some(asked)) = self.asked.get(place).copied() else { continue };
            if asked.patience.is_some_and(|until| until <= now) && !asked.is_done {
                if let Some(entry) = self.asked.get_mut(place) {
                    *entry = None;
                }
                self.transactions.abandon(asked.client);
                self.failed(now, asked.purpose, asked.account, Ended::Timeout);
            }
        }
    }
}
