//! Answers to our INVITE: ringing, early media, taken, refused, sent elsewhere.
//!
//! RFC 3261 sections 8.1.3.4 (3xx), 13.2.2 (also several 2xx by forking: one is kept, the others hear BYE), RFC 3262 section 4 (PRACK, in order),
//! RFC 4028 section 7.3 (422), RFC 3263 section 4.3 (another server), RFC 3960 (early media). A 3xx goes to its first Contact through our own
//! server.

use dialtone_base::Instant;

use super::incoming::{body_of, caller};
use super::{Asked, Purpose, UserAgent};
use crate::account::{Challenged, Way};
use crate::call::{MIN_SE, Negotiation, State};
use crate::dialog::{Dialog, whole};
use crate::interface::{Cause, Event, Progress, Rejected};
use crate::locate::Found;
use crate::message::{Message, Name};
use crate::transport::Flow;
use crate::uri::Scheme;

/// Times a call is sent elsewhere by 3xx.
const MOST_REDIRECTS: u8 = 5;
/// Servers tried for one call.
const MOST_FAILOVERS: u8 = 4;

impl UserAgent {
    /// Sends the INVITE of a call that waits for a way.
    pub(super) fn try_invite(&mut self, now: Instant, index: usize) {
        let Some(call) = self.call(index) else { return };
        let State::Waiting(until) = call.state else { return };
        let account = call.account;
        match self.way(now, account) {
            Found::At(_) => match self.ask(now, Purpose::Invite { call: index }, 0) {
                Ok(()) => {
                    if let Some(call) = self.call_mut(index) {
                        call.state = State::Calling;
                    }
                }
                Err(rejected) => {
                    self.counters.count(rejected);
                    self.end(now, index, Cause::Unreachable, 0);
                }
            },
            Found::Asking if until > now => {}
            Found::Asking | Found::Nowhere => self.end(now, index, Cause::Unreachable, 0),
        }
    }

    /// An answer to the first INVITE.
    pub(super) fn invite_answered(
        &mut self,
        now: Instant,
        asked: Asked,
        index: usize,
        flow: Flow,
        response: &Message<'_>,
    ) -> Result<(), Rejected> {
        let status = response.status().map_or(0, |status| status.code());
        match status {
            100..=199 => self.invite_progresses(now, index, status, flow, response),
            200..=299 => self.invite_taken(now, index, flow, response),
            _ => {
                self.invite_refused(now, asked, index, status, response);
                Ok(())
            }
        }
    }

    fn invite_progresses(
        &mut self,
        now: Instant,
        index: usize,
        status: u16,
        flow: Flow,
        response: &Message<'_>,
    ) -> Result<(), Rejected> {
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let id = call.id;
        if call.state == State::Calling {
            call.state = State::Proceeding;
        }
        let has_tag = response.to().is_ok_and(|to| to.tag().is_some());
        let mut agreed_here = false;
        let mut body = None;
        if has_tag && status > 100 {
            let dialog = self.dialog_of_response(index, flow, response)?;
            if let Some(rseq) = response.rseq().filter(|_| response.has_token(Name::Require, "100rel")) {
                let known = self.dialog_mut(dialog).ok_or(Rejected::UnknownDialog)?;
                // Section 4: repetitions and what comes out of order are not acknowledged again.
                if known.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
                    return Ok(());
                }
                known.rseq = Some(rseq);
                agreed_here = !response.body().is_empty();
                self.ask(now, Purpose::Prack { call: index, dialog, rseq }, 0)?;
            }
            let known = self.dialog_mut(dialog).ok_or(Rejected::UnknownDialog)?;
            body = body_of(response).filter(|_| !known.agreed);
            known.agreed |= agreed_here;
        }
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        if call.over || call.state == State::Cancelling {
            return Ok(());
        }
        let referring = call.referred_by;
        let ringing = status == 180;
        let offered = call.negotiation == Negotiation::Ours;
        let progress = match body {
            Some(_) if offered => {
                call.told_trying = true;
                Some(Progress::EarlyMedia { ringing })
            }
            _ if ringing => Some(Progress::Ringing),
            _ if !call.told_trying => {
                call.told_trying = true;
                Some(Progress::Trying)
            }
            _ => None,
        };
        if let Some(progress) = progress {
            self.tell_with(Event::Progress { call: id, progress, body: None }, body.filter(|_| offered));
        }
        if let Some(referring) = referring.filter(|_| ringing || body.is_some()) {
            self.report_referral(now, referring, status);
        }
        Ok(())
    }

    /// The dialog an answer to our INVITE belongs to; made when it is the first of its fork.
    fn dialog_of_response(
        &mut self,
        index: usize,
        flow: Flow,
        response: &Message<'_>,
    ) -> Result<usize, Rejected> {
        let flow = self.way_of_dialog(index, flow);
        let tag = response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let found = self.dialogs.iter().position(|dialog| {
            dialog.as_ref().is_some_and(|dialog| dialog.call == index && dialog.remote_tag.as_str() == tag)
        });
        let dialog = match found {
            Some(found) => {
                let known = self.dialog_mut(found).ok_or(Rejected::UnknownDialog)?;
                known.learn_response(response).ok_or(Rejected::TooLong)?;
                known.flow = flow;
                found
            }
            None => {
                let dialog = Dialog::from_response(index, response, flow).ok_or(Rejected::TooLong)?;
                self.keep_dialog(dialog).ok_or(Rejected::NoRoom)?
            }
        };
        if let Some(call) = self.call_mut(index)
            && call.dialog.is_none()
        {
            call.dialog = Some(dialog);
        }
        Ok(dialog)
    }

    /// The connection a long INVITE went over is not for what follows: that goes by the account's way.
    fn way_of_dialog(&self, index: usize, flow: Flow) -> Flow {
        let account = self.call(index).map_or(0, |call| call.account);
        match (flow, self.accounts.get(usize::from(account)).map(|state| state.way)) {
            (Flow::Stream { .. }, Some(Way::Open { flow: way @ Flow::Udp { .. }, .. })) => way,
            _ => flow,
        }
    }

    fn invite_taken(
        &mut self,
        now: Instant,
        index: usize,
        flow: Flow,
        response: &Message<'_>,
    ) -> Result<(), Rejected> {
        let dialog = match self.dialog_of_response(index, flow, response) {
            Ok(dialog) => dialog,
            Err(rejected) => {
                // A 2xx that makes no dialog cannot even be acknowledged.
                self.end(now, index, Cause::ServerFailure, 0);
                return Err(rejected);
            }
        };
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let is_kept = matches!(call.state, State::Established) && call.dialog == Some(dialog);
        if is_kept {
            // Acknowledged already; the transaction repeats that. Or our answer to its offer is still being made.
            return Ok(());
        }
        if call.over || call.state == State::Established {
            // Hung up meanwhile, or another fork was taken first (section 13.2.2.4).
            let kept = call.dialog.filter(|_| call.state == State::Established && !call.over);
            self.send_ack(index, dialog, false)?;
            self.ask(now, Purpose::Bye { call: index, dialog }, 0)?;
            if let Some(call) = self.call_mut(index)
                && call.over
            {
                call.state = State::Ending;
                call.free_at = Some(now + super::LINGER);
            }
            let _ = kept;
            return Ok(());
        }
        call.dialog = Some(dialog);
        call.state = State::Established;
        call.take_timer_of_response(now, response);
        let id = call.id;
        let referring = call.referred_by;
        let offered = call.negotiation == Negotiation::Ours;
        let agreed_early = self.dialog(dialog).is_some_and(|dialog| dialog.agreed);
        self.forget_dialogs(index, Some(dialog));
        let body = body_of(response);
        let by = response.addresses(Name::PAssertedIdentity).next().map(|_| caller(response));
        match (offered, body) {
            (true, None) if !agreed_early => {
                // Our offer has no answer: no session (section 13.2.1).
                self.send_ack(index, dialog, false)?;
                self.say_bye(now, index);
                self.end(now, index, Cause::NotAcceptable, 488);
                return Err(Rejected::Malformed);
            }
            (true, body) => {
                let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
                call.negotiation = Negotiation::Stable;
                call.agreed = true;
                self.send_ack(index, dialog, false)?;
                let body = body.filter(|_| !agreed_early);
                self.tell_with(Event::Answered { call: id, body: None, by }, body);
            }
            (false, Some(body)) => {
                let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
                call.negotiation = Negotiation::TheirsInSuccess;
                self.tell(Event::Answered { call: id, body: None, by });
                let event = Event::Offer { call: id, body: crate::Body { content_type: "", bytes: &[] } };
                self.tell_with(event, Some(body));
            }
            (false, None) => {
                self.send_ack(index, dialog, false)?;
                self.say_bye(now, index);
                self.end(now, index, Cause::NotAcceptable, 488);
                return Err(Rejected::Malformed);
            }
        }
        if let Some(referring) = referring {
            self.report_referral(now, referring, 200);
            if let Some(call) = self.call_mut(index) {
                call.referred_by = None;
            }
        }
        self.end_replaced(now, index);
        self.offer_if_possible(now, index);
        Ok(())
    }

    fn invite_refused(
        &mut self,
        now: Instant,
        asked: Asked,
        index: usize,
        status: u16,
        response: &Message<'_>,
    ) {
        self.forget_dialogs(index, None);
        let Some(call) = self.call_mut(index) else { return };
        call.dialog = None;
        if call.over || call.state == State::Cancelling {
            call.state = State::Ending;
            return;
        }
        let again = match status {
            300..=399 => self.follow_redirect(index, response),
            401 | 407 => {
                let account = self.accounts.get_mut(usize::from(asked.account));
                account
                    .is_some_and(|account| account.keychain.learn(response, asked.tries) == Challenged::Again)
            }
            422 => self.raise_session_expires(index, response),
            _ => false,
        };
        if again {
            if let Some(call) = self.call_mut(index) {
                call.state = State::Calling;
            }
            let tries = if matches!(status, 401 | 407) { asked.tries + 1 } else { asked.tries };
            if self.ask(now, Purpose::Invite { call: index }, tries).is_ok() {
                return;
            }
        }
        if matches!(status, 403 | 404 | 480 | 481) {
            self.doubt(now, asked.account);
        }
        if matches!(status, 503 | 430) && self.try_other_server(now, asked.account, index) {
            return;
        }
        self.end(now, index, cause_of(status), status);
    }

    /// The server does not answer, or cannot: another one, if there is (RFC 3263 section 4.3).
    pub(super) fn try_other_server(&mut self, now: Instant, account: u8, index: usize) -> bool {
        let has_other = self.way_failed(now, account);
        let Some(call) = self.call_mut(index) else { return false };
        if !has_other || call.failovers >= MOST_FAILOVERS || call.over {
            return false;
        }
        call.failovers += 1;
        call.state = State::Waiting(now + super::orders::FIND_WAY);
        self.try_invite(now, index);
        true
    }

    fn follow_redirect(&mut self, index: usize, response: &Message<'_>) -> bool {
        let Some(call) = self.call_mut(index) else { return false };
        let target = response.contacts().find_map(|contact| {
            let crate::message::Contact::Address(address) = contact else { return None };
            let is_new = address.uri.as_str() != call.request_uri.as_str();
            (address.uri.scheme() == Scheme::Sip && is_new).then_some(address.uri.as_str())
        });
        let Some(target) = target.and_then(whole) else { return false };
        if call.redirects >= MOST_REDIRECTS {
            return false;
        }
        call.redirects += 1;
        call.request_uri = target;
        true
    }

    fn raise_session_expires(&mut self, index: usize, response: &Message<'_>) -> bool {
        let Some(call) = self.call_mut(index) else { return false };
        let least = u64::from(response.min_se().unwrap_or(MIN_SE).min(86_400));
        if least <= call.session_expires.as_secs() {
            return false;
        }
        call.session_expires = dialtone_base::Duration::from_secs(least);
        true
    }
}

/// Why a call ended, by the status that ended it.
pub(super) const fn cause_of(status: u16) -> Cause {
    match status {
        300..=399 => Cause::Moved,
        401 | 407 => Cause::NotAuthorised,
        403 | 603 | 607 => Cause::Declined,
        404 | 410 | 484 | 485 | 604 => Cause::NotFound,
        406 | 415 | 488 | 606 => Cause::NotAcceptable,
        408 | 480 | 487 => Cause::Unavailable,
        433 => Cause::AnonymityDisallowed,
        486 | 600 => Cause::Busy,
        _ => Cause::ServerFailure,
    }
}
