//! Requests inside of calls.
//!
//! RFC 3261 sections 12.2.2, 13.3.1.4, 14.2, 15.1.2; RFC 3262 (PRACK), RFC 3311 (UPDATE), RFC 6337 (which offers cross), RFC 4028, INFO with DTMF.

use dialtone_base::Instant;
use dialtone_base::telephony::Key;

use super::answer::With;
use super::incoming::body_of;
use super::{Purpose, UserAgent};
use crate::call::{MIN_SE, Negotiation, State, Waiting, WaitingKind};
use crate::interface::{Cause, Event, OfferReason, Rejected};
use crate::message::{Message, Method, Name};
use crate::transaction::TransactionId;
use crate::transport::Flow;

impl UserAgent {
    pub(super) fn request_in_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
        dialog: usize,
    ) -> Result<(), Rejected> {
        let known = self.dialog_mut(dialog).ok_or(Rejected::UnknownDialog)?;
        if !known.accepts_cseq(message) {
            self.reply(now, server, 500)?;
            return Err(Rejected::WrongState);
        }
        known.flow = flow;
        if self.call(index).is_none_or(|call| call.over) && message.method() != Some(Method::Bye) {
            self.reply(now, server, 481)?;
            return Err(Rejected::UnknownDialog);
        }
        match message.method() {
            Some(Method::Bye) => self.bye(now, server, message, index),
            Some(Method::Invite) => self.reinvited(now, server, message, index, dialog),
            Some(Method::Update) => self.updated(now, server, message, index, dialog),
            Some(Method::Prack) => self.pracked(now, server, message, index),
            Some(Method::Info) => self.info(now, server, message, index),
            Some(Method::Refer) => self.referred(now, server, message, index),
            Some(Method::Notify) => self.notified(now, flow, server, message, index),
            Some(Method::Options) => self.options(now, server),
            method => self.refuse_method(now, server, method),
        }
    }

    /// Section 15.1.2. An INVITE that is still open is answered 487.
    fn bye(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
    ) -> Result<(), Rejected> {
        self.reply(now, server, 200)?;
        self.close_waiting(now, index, 487);
        let Some(call) = self.call_mut(index) else { return Ok(()) };
        if call.state == State::Answered {
            // Whoever hangs up has our 200.
            call.state = State::Ending;
        }
        let replaced = message
            .reasons()
            .any(|reason| reason.protocol.eq_ignore_ascii_case("SIP") && reason.cause == Some(200));
        let cause = if replaced { Cause::Replaced } else { Cause::Normal };
        self.end(now, index, cause, 0);
        Ok(())
    }

    /// Answers what of the peer still waits.
    pub(super) fn close_waiting(&mut self, now: Instant, index: usize, status: u16) {
        let waiting = self.call_mut(index).and_then(|call| call.waiting.take());
        if let Some(waiting) = waiting {
            let _ = self.reply_in_call(now, index, waiting.server, status, false, None);
        }
    }

    fn reinvited(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
        dialog: usize,
    ) -> Result<(), Rejected> {
        if self.refused_for_content(now, server, message)? || self.too_brief(now, server, message)? {
            return Err(Rejected::Unsupported);
        }
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.waiting.is_some() || matches!(call.state, State::Answered) {
            return self.busy_with_another(now, server);
        }
        if call.negotiation != Negotiation::Stable || self.is_offering(index) {
            // Section 14.2: our own is under way.
            self.reply_in_call(now, index, server, 491, false, None)?;
            return Err(Rejected::WrongState);
        }
        if let Some(dialog) = self.dialog_mut(dialog) {
            dialog.refresh_target(message);
            dialog.abilities = dialog.abilities.or(crate::dialog::Abilities::of(message));
        }
        let offer = body_of(message);
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let own = call.session_expires;
        call.take_timer_of_request(now, message, own);
        call.their_invite_cseq = cseq;
        call.waiting = Some(Waiting { server, kind: WaitingKind::Invite });
        call.negotiation = if offer.is_some() { Negotiation::Theirs } else { Negotiation::Wanted };
        let id = call.id;
        match offer {
            Some(_) => self.tell_with(
                Event::Offer { call: id, body: crate::Body { content_type: "", bytes: &[] } },
                offer,
            ),
            None => self.tell(Event::OfferWanted { call: id, reason: OfferReason::PeerAsked }),
        }
        Ok(())
    }

    /// RFC 3311 section 5.2.
    fn updated(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
        dialog: usize,
    ) -> Result<(), Rejected> {
        if self.refused_for_content(now, server, message)? || self.too_brief(now, server, message)? {
            return Err(Rejected::Unsupported);
        }
        let offer = body_of(message);
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if offer.is_some() {
            // Before the first answer there is nothing to update.
            let theirs_open = call.waiting.is_some_and(|waiting| waiting.kind == WaitingKind::Other)
                || matches!(call.negotiation, Negotiation::Theirs | Negotiation::TheirsInSuccess)
                || (matches!(call.negotiation, Negotiation::TheirsInInvite | Negotiation::Wanted)
                    && !call.agreed);
            let open_request = call.waiting.is_some() && call.is_confirmed();
            if theirs_open || open_request {
                return self.busy_with_another(now, server);
            }
            if matches!(
                call.negotiation,
                Negotiation::Ours | Negotiation::OursInProvisional | Negotiation::OursInSuccess
            ) {
                self.reply_in_call(now, index, server, 491, false, None)?;
                return Err(Rejected::WrongState);
            }
        }
        if let Some(dialog) = self.dialog_mut(dialog) {
            dialog.refresh_target(message);
        }
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let own = call.session_expires;
        if call.is_confirmed() {
            call.take_timer_of_request(now, message, own);
        }
        let Some(offer) = offer else {
            return self.reply_in_call(now, index, server, 200, false, None);
        };
        if call.waiting.is_some() {
            // Before our final answer: the INVITE keeps its place, this one waits beside it.
            call.waiting_update = Some(server);
        } else {
            call.waiting = Some(Waiting { server, kind: WaitingKind::Other });
        }
        call.negotiation = Negotiation::Theirs;
        let event = Event::Offer { call: call.id, body: crate::Body { content_type: "", bytes: &[] } };
        self.tell_with(event, Some(offer));
        Ok(())
    }

    /// RFC 4028 section 6.
    fn too_brief(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<bool, Rejected> {
        let interval = message.session_expires().ok().flatten();
        if interval.is_some_and(|interval| interval.seconds < MIN_SE) {
            self.reply_with(now, server, 422, With { headers: &[(Name::MinSe, "90")], body: None })?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Section 14.2: one after the other, at a time that differs.
    fn busy_with_another(&mut self, now: Instant, server: TransactionId) -> Result<(), Rejected> {
        const SECONDS: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        let after = SECONDS.get(self.random.below(11) as usize).copied().unwrap_or("5");
        self.reply_with(now, server, 500, With { headers: &[(Name::RetryAfter, after)], body: None })?;
        Err(Rejected::WrongState)
    }

    /// Whether a re-INVITE or an UPDATE with an offer of ours is under way.
    pub(super) fn is_offering(&self, index: usize) -> bool {
        let is_offer = |purpose| matches!(purpose, Purpose::Reinvite { call } | Purpose::Update { call, offer: true } if call == index);
        self.asked.iter().flatten().any(|asked| !asked.is_done && is_offer(asked.purpose))
            || self.held.iter().any(|held| is_offer(held.purpose))
    }

    /// RFC 3262 section 3.
    fn pracked(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
    ) -> Result<(), Rejected> {
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let rack = message.rack().ok().flatten();
        let outstanding = call.reliable;
        let is_it = rack.is_some_and(|rack| {
            rack.cseq.number == call.their_invite_cseq
                && rack.cseq.method == Method::Invite
                && outstanding.is_some_and(|reliable| reliable.rseq == rack.response)
        });
        if !is_it {
            self.reply(now, server, 481)?;
            return Err(Rejected::StrayRequest);
        }
        call.reliable = None;
        let id = call.id;
        if let Some(waiting) = call.waiting {
            self.transactions.confirm_provisional(waiting.server);
        }
        let body = body_of(message);
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        match (call.negotiation, body) {
            (Negotiation::OursInProvisional, Some(_)) => {
                call.negotiation = Negotiation::Stable;
                call.agreed = true;
                self.reply(now, server, 200)?;
                let event =
                    Event::OfferAnswered { call: id, body: crate::Body { content_type: "", bytes: &[] } };
                self.tell_with(event, body);
            }
            (Negotiation::Stable, Some(_)) if call.agreed => {
                // A new offer already: answered in the 200 to this PRACK.
                call.negotiation = Negotiation::Theirs;
                call.waiting_update = Some(server);
                let event = Event::Offer { call: id, body: crate::Body { content_type: "", bytes: &[] } };
                self.tell_with(event, body);
            }
            _ => self.reply(now, server, 200)?,
        }
        self.after_prack(now, index);
        Ok(())
    }

    /// INFO with a key, in the two forms there are.
    fn info(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
    ) -> Result<(), Rejected> {
        let id = self.call(index).map(|call| call.id).ok_or(Rejected::UnknownCall)?;
        if message.body().is_empty() {
            return self.reply(now, server, 200);
        }
        let kind = message.content_type();
        let found = match kind {
            Some(kind) if kind.is("application", "dtmf-relay") => Some(dtmf_relay(message.body())),
            Some(kind) if kind.is("application", "dtmf") => Some((first_key(message.body()), 0)),
            _ => None,
        };
        match found {
            None => {
                let headers = [(Name::Accept, "application/dtmf-relay, application/dtmf")];
                self.reply_with(now, server, 415, With { headers: &headers, body: None })?;
                Err(Rejected::Unsupported)
            }
            Some((Some(key), millis)) => {
                self.tell(Event::Key { call: id, key, millis });
                self.reply(now, server, 200)
            }
            Some((None, _)) => {
                self.reply(now, server, 400)?;
                Err(Rejected::Malformed)
            }
        }
    }

    /// The ACK to a 2xx of ours (section 13.3.1.4).
    pub(super) fn acknowledged(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Rejected> {
        let (index, _) = self.find_dialog(message).ok_or(Rejected::StrayRequest)?;
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        let call = self.call_mut(index).ok_or(Rejected::StrayRequest)?;
        let Some(server) = call.unacknowledged.take_if(|_| call.their_invite_cseq == cseq) else {
            // A repeated one.
            return Ok(());
        };
        self.transactions.confirm(server);
        let body = body_of(message);
        let call = self.call_mut(index).ok_or(Rejected::StrayRequest)?;
        let id = call.id;
        let first = call.state == State::Answered;
        if first {
            call.state = if call.over { State::Ending } else { State::Established };
        }
        let answers = call.negotiation == Negotiation::OursInSuccess;
        if answers {
            call.negotiation = Negotiation::Stable;
        }
        if call.bye_queued || call.over {
            call.bye_queued = false;
            self.say_bye(now, index);
            return Ok(());
        }
        match (answers, body) {
            // Our offer stays without an answer: there is no session.
            (true, None) => {
                if first {
                    self.say_bye(now, index);
                    self.end(now, index, Cause::NotAcceptable, 488);
                } else {
                    self.tell(Event::OfferRefused { call: id, status: 0 });
                }
                return Ok(());
            }
            (true, Some(_)) if !first => {
                let event =
                    Event::OfferAnswered { call: id, body: crate::Body { content_type: "", bytes: &[] } };
                self.tell_with(event, body);
            }
            (true, Some(_)) => self.tell_with(Event::Established { call: id, body: None }, body),
            (false, _) if first => self.tell(Event::Established { call: id, body: None }),
            (false, _) => {}
        }
        self.offer_if_possible(now, index);
        Ok(())
    }

    /// Our 2xx was never acknowledged: the call is worth nothing (section 13.3.1.4), or our other final answer: nobody cares.
    pub(super) fn not_acknowledged(&mut self, now: Instant, server: TransactionId) {
        let found = self
            .calls
            .iter()
            .position(|call| call.as_ref().is_some_and(|call| call.unacknowledged == Some(server)));
        let Some(index) = found else { return };
        if let Some(call) = self.call_mut(index) {
            call.unacknowledged = None;
            if call.state == State::Answered {
                call.state = State::Established;
            }
        }
        self.say_bye(now, index);
        self.end(now, index, Cause::PeerVanished, 408);
    }

    /// Our reliable provisional answer was never acknowledged (RFC 3262 section 3).
    pub(super) fn no_prack(&mut self, now: Instant, server: TransactionId) {
        let found = self.calls.iter().position(|call| {
            call.as_ref().is_some_and(|call| call.waiting.is_some_and(|waiting| waiting.server == server))
        });
        if let Some(index) = found {
            self.close_waiting(now, index, 504);
            self.end(now, index, Cause::PeerVanished, 504);
        }
    }

    /// A request of the peer cannot be answered any more: its connection broke.
    pub(super) fn server_lost(&mut self, now: Instant, server: TransactionId) {
        for index in 0..self.calls.len() {
            let Some(call) = self.call_mut(index) else { continue };
            if call.waiting_update == Some(server) {
                call.waiting_update = None;
            }
            if call.waiting.is_some_and(|waiting| waiting.server == server) {
                call.waiting = None;
                if call.state == State::Incoming {
                    self.end(now, index, Cause::Cancelled, 0);
                } else {
                    call.negotiation = Negotiation::Stable;
                }
            }
        }
    }

    /// CANCEL, answered already (section 9.2).
    pub(super) fn cancelled(
        &mut self,
        now: Instant,
        invite: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let found = self.calls.iter().position(|call| {
            call.as_ref().is_some_and(|call| call.waiting.is_some_and(|waiting| waiting.server == invite))
        });
        let index = found.ok_or(Rejected::StrayRequest)?;
        let is_first = self.call(index).is_some_and(|call| call.state == State::Incoming);
        self.close_waiting(now, index, 487);
        if !is_first {
            // A re-INVITE: the call goes on as it was.
            if let Some(call) = self.call_mut(index) {
                call.negotiation = Negotiation::Stable;
            }
            return Ok(());
        }
        let elsewhere = message
            .reasons()
            .any(|reason| reason.protocol.eq_ignore_ascii_case("SIP") && reason.cause == Some(200));
        let cause = if elsewhere { Cause::AnsweredElsewhere } else { Cause::Cancelled };
        self.end(now, index, cause, 487);
        Ok(())
    }
}

/// `Signal=5` and `Duration=160`, in any order.
fn dtmf_relay(body: &[u8]) -> (Option<Key>, u16) {
    let (mut key, mut millis) = (None, 0);
    for line in body.split(|byte| matches!(byte, b'\n' | b'\r')).take(8) {
        let mut halves = line.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else { continue };
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        if name.eq_ignore_ascii_case(b"Signal") {
            key = first_key(value);
        } else if name.eq_ignore_ascii_case(b"Duration") {
            let text = core::str::from_utf8(value).unwrap_or_default();
            millis = text.parse::<u16>().unwrap_or(0).min(5000);
        }
    }
    (key, millis)
}

/// A key as its character, or as its event code (`10` is `*`).
fn first_key(text: &[u8]) -> Option<Key> {
    let text = core::str::from_utf8(text.trim_ascii()).ok()?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Key::from_char(character),
        (Some('1'), Some(second)) => {
            characters.next().is_none().then_some(())?;
            Key::from_event(10 + u8::try_from(second.to_digit(10)?).ok()?)
        }
        _ => None,
    }
}
