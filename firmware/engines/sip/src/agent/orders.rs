//! What somebody at home wants of a call.
//!
//! RFC 3261 sections 9.1, 13.2.1, 13.3.1, 14.1, 15.1.1; RFC 3323 and RFC 3325 (withheld numbers); RFC 3262 section 3 (reliable provisional answers).

use dialtone_base::telephony::{CallId, Number};
use dialtone_base::{Duration, Instant};
use heapless::String;

use super::answer::With;
use super::incoming::RING_AGAIN;
use super::write::ANONYMOUS;
use super::{Purpose, UserAgent};
use crate::call::{Call, Negotiation, Reliable, State, Waiting, WaitingKind};
use crate::dialog::{URI, whole};
use crate::interface::{Body, Cause, Order, Rejected, Rejection};
use crate::message::Name;
use crate::uri::Host;
use crate::write::SipUri;

/// A call waits so long for DNS and connections.
pub(super) const FIND_WAY: Duration = Duration::from_secs(8);

impl UserAgent {
    pub(super) fn order(&mut self, now: Instant, id: CallId, order: Order<'_>) -> Result<(), Rejected> {
        if let Order::Dial { account, number, to, withhold, offer, referred_by } = order {
            return self.dial(now, id, account, number, to, withhold, offer, referred_by);
        }
        let index = self.call_index(id)?;
        match order {
            Order::Alert { body } => self.alert(now, index, body),
            Order::Answer { body } => self.take_call(now, index, body),
            Order::Reject(rejection) => self.reject(now, index, status_of(rejection)),
            Order::HangUp => {
                self.hang_up(now, index);
                Ok(())
            }
            Order::Offer(body) => self.offer(now, index, body),
            Order::Accept(body) => self.accept(now, index, body),
            Order::Refuse => self.refuse(now, index),
            Order::Redirect(to) => self.redirect(now, index, to),
            Order::Transfer(to) => self.transfer(now, index, Some(to), None),
            Order::TransferTo(other) => self.transfer(now, index, None, Some(other)),
            Order::AcceptTransfer => self.accept_transfer(index),
            Order::RefuseTransfer => self.refuse_transfer(now, index),
            Order::Key(key) => {
                if self.call(index).is_none_or(|call| !call.is_confirmed()) {
                    return Err(Rejected::WrongState);
                }
                self.ask(now, Purpose::Info { call: index, key }, 0)
            }
            Order::Dial { .. } => Err(Rejected::WrongState),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn dial(
        &mut self,
        now: Instant,
        id: CallId,
        account: u8,
        number: u8,
        to: &Number,
        withhold: bool,
        offer: Option<Body<'_>>,
        referred_by: Option<CallId>,
    ) -> Result<(), Rejected> {
        if self.local.is_none() || self.is_shut {
            return Err(Rejected::NoNetwork);
        }
        let config = self.account_config(account).ok_or(Rejected::UnknownAccount)?;
        let own = config.numbers.get(usize::from(number)).ok_or(Rejected::UnknownAccount)?;
        let domain = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        if self.calls.iter().flatten().any(|call| call.id == id) || to.is_empty() {
            return Err(Rejected::WrongState);
        }
        let index = self.calls.iter().position(Option::is_none).ok_or(Rejected::NoCall)?;
        let mut call = Call::new(id, account, number, true);
        call.local_uri = if withhold {
            whole(ANONYMOUS).ok_or(Rejected::TooLong)?
        } else {
            text_of(&SipUri { user: own, host: domain, port: None }).ok_or(Rejected::TooLong)?
        };
        call.remote_uri = text_of(&SipUri { user: to, host: domain, port: None }).ok_or(Rejected::TooLong)?;
        call.request_uri = call.remote_uri.clone();
        call.session_expires = config.session_expires;
        call.withhold = withhold;
        call.referred_by = referred_by;
        if let Some(referral) = referred_by.and_then(|referring| self.referral_of(referring)) {
            // The whole address we were asked to call, not only its number.
            call.request_uri = referral.target.clone();
            call.remote_uri = referral.target.clone();
        }
        call.negotiation = if offer.is_some() { Negotiation::Ours } else { Negotiation::Wanted };
        call.state = State::Waiting(now + FIND_WAY);
        call.local_tag = self.new_tag();
        let call_id = self.new_tag();
        call.call_id = whole(&call_id).ok_or(Rejected::TooLong)?;
        call.cseq = self.random.below(1 << 16);
        let stored = self.bodies.get_mut(index).ok_or(Rejected::NoCall)?;
        match offer {
            Some(offer) => stored.set(offer)?,
            None => stored.clear(),
        }
        if let Some(place) = self.calls.get_mut(index) {
            *place = Some(call);
        }
        self.try_invite(now, index);
        Ok(())
    }

    fn keep_body(&mut self, index: usize, body: Option<Body<'_>>) -> Result<(), Rejected> {
        match (body, self.bodies.get_mut(index)) {
            (Some(body), Some(stored)) => stored.set(body),
            _ => Ok(()),
        }
    }

    /// 180, or 183 with early media that must be reliable.
    fn alert(&mut self, now: Instant, index: usize, body: Option<Body<'_>>) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Incoming {
            return Err(Rejected::WrongState);
        }
        let waiting = call.waiting.ok_or(Rejected::WrongState)?;
        if call.reliable.is_some() {
            // One at a time (RFC 3262 section 3); after its PRACK.
            if body.is_some() {
                return Err(Rejected::WrongState);
            }
            if let Some(call) = self.call_mut(index) {
                call.ring_queued = true;
            }
            return Ok(());
        }
        let abilities = call.dialog.and_then(|dialog| self.dialog(dialog)).map(|dialog| dialog.abilities);
        let willing = self.account_config(call.account).is_some_and(|config| config.reliable_provisional);
        let can = abilities.is_some_and(|abilities| abilities.reliable) && willing;
        let reliable = call.must_be_reliable || (can && body.is_some());
        let (negotiation, rseq) = (call.negotiation, call.rseq);
        if body.is_some() && negotiation == Negotiation::Wanted && !reliable {
            // An offer may only go in a reliable one.
            return Err(Rejected::WrongState);
        }
        self.keep_body(index, body)?;
        let number = reliable.then_some(rseq);
        let status = if body.is_some() { 183 } else { 180 };
        self.reply_in_call(now, index, waiting.server, status, body.is_some(), number)?;
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        call.ring_again = Some(now + RING_AGAIN);
        if reliable {
            call.reliable = Some(Reliable { rseq, has_body: body.is_some() });
            call.rseq = call.rseq.wrapping_add(1);
            match negotiation {
                Negotiation::TheirsInInvite if body.is_some() => {
                    call.negotiation = Negotiation::Stable;
                    call.agreed = true;
                }
                Negotiation::Wanted if body.is_some() => call.negotiation = Negotiation::OursInProvisional,
                _ => {}
            }
        }
        if body.is_some() {
            // It rings, too: said when the PRACK is here, or at once.
            if reliable {
                call.ring_queued = true;
            }
        }
        Ok(())
    }

    /// The PRACK is here: what waited for it goes.
    pub(super) fn after_prack(&mut self, now: Instant, index: usize) {
        let Some(call) = self.call_mut(index) else { return };
        if core::mem::take(&mut call.answer_queued) {
            call.ring_queued = false;
            let _ = self.say_yes(now, index);
        } else if core::mem::take(&mut call.ring_queued) {
            let _ = self.alert(now, index, None);
        }
    }

    fn take_call(&mut self, now: Instant, index: usize, body: Option<Body<'_>>) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Incoming || call.waiting.is_none() {
            return Err(Rejected::WrongState);
        }
        let needs_body =
            matches!(call.negotiation, Negotiation::TheirsInInvite | Negotiation::Wanted) && !call.agreed;
        if needs_body
            && body.is_none()
            && self.bodies.get(index).is_none_or(|stored| stored.as_body().is_none())
        {
            return Err(Rejected::WrongState);
        }
        let waits = call.reliable.is_some_and(|reliable| reliable.has_body);
        if !call.agreed && call.negotiation != Negotiation::OursInProvisional {
            self.keep_body(index, body)?;
        }
        if waits {
            if let Some(call) = self.call_mut(index) {
                call.answer_queued = true;
            }
            return Ok(());
        }
        self.say_yes(now, index)
    }

    /// 200 to the INVITE.
    fn say_yes(&mut self, now: Instant, index: usize) -> Result<(), Rejected> {
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let waiting = call.waiting.ok_or(Rejected::WrongState)?;
        let with_body = !call.agreed;
        self.reply_in_call(now, index, waiting.server, 200, with_body, None)?;
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        call.waiting = None;
        call.unacknowledged = Some(waiting.server);
        call.state = State::Answered;
        call.ring_again = None;
        call.ring_until = None;
        call.reliable = None;
        call.negotiation = match call.negotiation {
            Negotiation::Wanted => Negotiation::OursInSuccess,
            _ => Negotiation::Stable,
        };
        call.agreed = true;
        self.end_replaced(now, index);
        Ok(())
    }

    /// The call this one takes the place of ends (RFC 3891 section 3).
    pub(super) fn end_replaced(&mut self, now: Instant, index: usize) {
        let replaced = self.call_mut(index).and_then(|call| call.replaces.take());
        let Some(other) = replaced.and_then(|other| self.call_index(other).ok()) else { return };
        self.leave(now, other);
        self.end(now, other, Cause::Replaced, 0);
    }

    pub(super) fn reject(&mut self, now: Instant, index: usize, status: u16) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Incoming {
            return Err(Rejected::WrongState);
        }
        self.close_waiting(now, index, status);
        let cause = super::calling::cause_of(status);
        self.end(now, index, cause, status);
        Ok(())
    }

    fn redirect(&mut self, now: Instant, index: usize, to: &Number) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Incoming {
            return Err(Rejected::WrongState);
        }
        let config = self.account_config(call.account).ok_or(Rejected::UnknownAccount)?;
        let own = config.numbers.get(usize::from(call.number)).map_or("", |number| number.as_str());
        let host = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        let (mut contact, mut diversion) = (String::<URI>::new(), String::<URI>::new());
        // RFC 5806 section 4. Whether somebody was talking only the exchange knows.
        let reason = if call.ring_again.is_some() { "no-answer" } else { "unconditional" };
        let to = SipUri { user: to, host, port: None };
        let own = SipUri { user: own, host, port: None };
        core::fmt::Write::write_fmt(&mut contact, format_args!("<{to}>")).map_err(|_| Rejected::TooLong)?;
        core::fmt::Write::write_fmt(&mut diversion, format_args!("<{own}>;reason={reason}"))
            .map_err(|_| Rejected::TooLong)?;
        let server =
            self.call_mut(index).and_then(|call| call.waiting.take()).ok_or(Rejected::WrongState)?.server;
        let headers = [(Name::Contact, contact.as_str()), (Name::Diversion, diversion.as_str())];
        self.reply_with(now, server, 302, With { headers: &headers, body: None })?;
        self.end(now, index, Cause::Moved, 302);
        Ok(())
    }

    /// Ends a call in whatever state.
    pub(super) fn hang_up(&mut self, now: Instant, index: usize) {
        self.leave(now, index);
        self.end(now, index, Cause::Normal, 0);
    }

    fn leave(&mut self, now: Instant, index: usize) {
        let Some(call) = self.call_mut(index) else { return };
        match call.state {
            State::Waiting(_) | State::Ending => call.state = State::Ending,
            State::Calling | State::Proceeding => {
                call.state = State::Cancelling;
                let invite = call.invite;
                if self.drop_held(index) {
                    // It never went out, or was answered and not sent again.
                    if let Some(call) = self.call_mut(index) {
                        call.state = State::Ending;
                    }
                } else if let Some(invite) = invite {
                    // Not before a provisional answer; the transaction sees to that.
                    let _ = self.transactions.cancel(now, invite);
                }
            }
            State::Cancelling => {}
            State::Incoming => self.close_waiting(now, index, 480),
            // Section 15: no BYE before the ACK.
            State::Answered => call.bye_queued = true,
            State::Established => {
                self.close_waiting(now, index, 487);
                self.say_bye(now, index);
            }
        }
    }

    /// BYE in the dialog that counts.
    pub(super) fn say_bye(&mut self, now: Instant, index: usize) {
        let Some(call) = self.call_mut(index) else { return };
        let Some(dialog) = call.dialog else { return };
        if call.negotiation == Negotiation::TheirsInSuccess {
            // The 2xx was not acknowledged, because our answer is not there.
            let _ = self.send_ack(index, dialog, false);
        }
        if let Err(rejected) = self.ask(now, Purpose::Bye { call: index, dialog }, 0) {
            self.counters.count(rejected);
        }
    }

    fn offer(&mut self, now: Instant, index: usize, body: Body<'_>) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.over {
            return Err(Rejected::WrongState);
        }
        if call.negotiation == Negotiation::Wanted
            && call.is_confirmed()
            && let Some(waiting) = call.waiting
        {
            // The peer's re-INVITE without an offer.
            self.keep_body(index, Some(body))?;
            self.reply_in_call(now, index, waiting.server, 200, true, None)?;
            let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
            call.waiting = None;
            call.unacknowledged = Some(waiting.server);
            call.negotiation = Negotiation::OursInSuccess;
            return Ok(());
        }
        if call.negotiation == Negotiation::Theirs {
            // Theirs must be answered first; and its answer is kept in the same place.
            return Err(Rejected::WrongState);
        }
        if !call.agreed {
            return Err(Rejected::WrongState);
        }
        if call.negotiation != Negotiation::Stable
            && !call.offer_queued
            && call.negotiation != Negotiation::Ours
        {
            return Err(Rejected::WrongState);
        }
        self.keep_body(index, Some(body))?;
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        call.offer_queued = true;
        call.refreshing = false;
        self.offer_if_possible(now, index);
        Ok(())
    }

    /// Sends the offer that waits, when nothing is in its way: re-INVITE, or UPDATE before the final answer.
    pub(super) fn offer_if_possible(&mut self, now: Instant, index: usize) {
        let is_offering = self.is_offering(index);
        let Some(call) = self.call(index) else { return };
        let free = call.offer_queued
            && !call.over
            && !is_offering
            && call.waiting.is_none_or(|_| !call.is_confirmed())
            && call.unacknowledged.is_none()
            && call.negotiation == Negotiation::Stable
            && call.retry_at.is_none_or(|at| at <= now);
        if !free {
            return;
        }
        let can_update =
            call.dialog.and_then(|dialog| self.dialog(dialog)).is_some_and(|dialog| dialog.abilities.update);
        let purpose = match call.state {
            State::Established => Purpose::Reinvite { call: index },
            State::Incoming | State::Proceeding if can_update && call.agreed => {
                Purpose::Update { call: index, offer: true }
            }
            _ => return,
        };
        match self.ask(now, purpose, 0) {
            Ok(()) => {
                if let Some(call) = self.call_mut(index) {
                    call.offer_queued = false;
                    call.retry_at = None;
                    call.negotiation = Negotiation::Ours;
                }
            }
            Err(rejected) => {
                self.counters.count(rejected);
                if let Some(call) = self.call_mut(index) {
                    call.retry_at = Some(now + Duration::from_secs(2));
                }
            }
        }
    }

    /// Our answer to the peer's offer.
    fn accept(&mut self, now: Instant, index: usize, body: Body<'_>) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        match call.negotiation {
            Negotiation::TheirsInSuccess => {
                let dialog = call.dialog.ok_or(Rejected::WrongState)?;
                self.keep_body(index, Some(body))?;
                self.send_ack(index, dialog, true)?;
                let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
                call.negotiation = Negotiation::Stable;
                call.agreed = true;
            }
            Negotiation::Theirs => {
                self.keep_body(index, Some(body))?;
                let waiting = self.take_offer_request(index).ok_or(Rejected::WrongState)?;
                self.reply_in_call(now, index, waiting.server, 200, true, None)?;
                let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
                call.negotiation = Negotiation::Stable;
                if waiting.kind == WaitingKind::Invite {
                    call.unacknowledged = Some(waiting.server);
                }
            }
            _ => return Err(Rejected::WrongState),
        }
        self.offer_if_possible(now, index);
        Ok(())
    }

    /// The request whose offer waits for an answer.
    fn take_offer_request(&mut self, index: usize) -> Option<Waiting> {
        let call = self.call_mut(index)?;
        match call.waiting_update.take() {
            Some(server) => Some(Waiting { server, kind: WaitingKind::Other }),
            None => call.waiting.take(),
        }
    }

    /// The peer's offer cannot be done.
    fn refuse(&mut self, now: Instant, index: usize) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        match call.negotiation {
            Negotiation::TheirsInSuccess => {
                self.say_bye(now, index);
                self.end(now, index, Cause::NotAcceptable, 488);
                Ok(())
            }
            Negotiation::Theirs => {
                let waiting = self.take_offer_request(index).ok_or(Rejected::WrongState)?;
                self.reply_in_call(now, index, waiting.server, 488, false, None)?;
                if let Some(call) = self.call_mut(index) {
                    call.negotiation = Negotiation::Stable;
                }
                self.offer_if_possible(now, index);
                Ok(())
            }
            Negotiation::Wanted if call.is_confirmed() => {
                self.close_waiting(now, index, 488);
                if let Some(call) = self.call_mut(index) {
                    call.negotiation = Negotiation::Stable;
                }
                Ok(())
            }
            Negotiation::TheirsInInvite => self.reject(now, index, 488),
            _ => Err(Rejected::WrongState),
        }
    }

    /// Forgets what of ours is under way in a call: its answers cannot come any more.
    pub(super) fn abandon_requests(&mut self, index: usize) {
        for place in &mut self.asked {
            if let Some(asked) = *place
                && asked.purpose.call() == Some(index)
            {
                self.transactions.abandon(asked.client);
                *place = None;
            }
        }
        if let Some(call) = self.call_mut(index) {
            call.invite = None;
            let waiting = call.waiting.take();
            if let Some(waiting) = waiting {
                self.transactions.abandon(waiting.server);
            }
        }
    }
}

const fn status_of(rejection: Rejection) -> u16 {
    match rejection {
        Rejection::Busy => 486,
        Rejection::Declined => 603,
        Rejection::Unavailable => 480,
        Rejection::NotFound => 404,
        Rejection::NotAcceptable => 488,
        Rejection::AnonymityDisallowed => 433,
    }
}

fn text_of<const N: usize>(value: &impl core::fmt::Display) -> Option<String<N>> {
    let mut text = String::new();
    core::fmt::Write::write_fmt(&mut text, format_args!("{value}")).ok()?;
    Some(text)
}
