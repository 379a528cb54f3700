//! Transfers: REFER and the notices that tell how it goes, both sides.
//!
//! RFC 3515 (REFER, the implicit subscription, `message/sipfrag`), RFC 3891 (Replaces in Refer-To), RFC 3892 (Referred-By is sent). A REFER
//! inside of a call only; it is answered 202 at once, and what somebody at home thinks of it goes into the notices.

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, Number};
use dialtone_base::text::Text;
use heapless::String;

use super::answer::With;
use super::{Purpose, UserAgent};
use crate::call::{Referral, State};
use crate::dialog::{URI, whole};
use crate::interface::{Event, Rejected, TransferProgress};
use crate::message::{Message, Name};
use crate::transaction::TransactionId;
use crate::transport::Flow;
use crate::uri::{Scheme, Uri, unescaped};
use crate::write::SipUri;

impl UserAgent {
    /// Asks the peer to call somebody else.
    pub(super) fn transfer(
        &mut self,
        now: Instant,
        index: usize,
        to: Option<&Number>,
        other: Option<CallId>,
    ) -> Result<(), Rejected> {
        if let Some(other) = other {
            let other = self.call_index(other)?;
            let stands =
                self.call(other).is_some_and(|call| call.is_confirmed() || call.state == State::Proceeding);
            if !stands {
                return Err(Rejected::WrongState);
            }
        }
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Established || call.transferring {
            return Err(Rejected::WrongState);
        }
        call.transfer_number = to.cloned().unwrap_or_default();
        call.transfer_to = other;
        self.ask(now, Purpose::Refer { call: index }, 0)?;
        if let Some(call) = self.call_mut(index) {
            call.transferring = true;
        }
        Ok(())
    }

    /// REFER in a call.
    pub(super) fn referred(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
    ) -> Result<(), Rejected> {
        let target = message.refer_to().ok().flatten().map(|address| address.uri);
        let Some((uri, number)) = target.and_then(|uri| self.target_of(index, &uri)) else {
            self.reply(now, server, 400)?;
            return Err(Rejected::Malformed);
        };
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        if call.state != State::Established || call.referral.is_some() {
            self.reply(now, server, 491)?;
            return Err(Rejected::WrongState);
        }
        let replaces = target.and_then(|uri| {
            let (_, value) = uri.headers().find(|(name, _)| name.eq_ignore_ascii_case("Replaces"))?;
            let bytes: heapless::Vec<u8, 512> = unescaped(value).take(512).collect();
            let text = core::str::from_utf8(&bytes).ok()?;
            // Nothing that would end a header line.
            if text.chars().any(char::is_control) { None } else { whole(text) }
        });
        let attended = replaces.is_some();
        let id = message.cseq().map_or(0, |cseq| cseq.number);
        let call_id = call.id;
        call.referral = Some(Referral { target: uri, replaces: replaces.unwrap_or_default(), id, told: 0 });
        self.reply_with(now, server, 202, With { headers: &[(Name::ReferSub, "true")], body: None })?;
        self.report_referral(now, call_id, 100);
        self.tell(Event::TransferAsked { call: call_id, to: number, attended });
        Ok(())
    }

    /// The Request-URI to call and the number in it. A tel URI becomes a number of our own domain.
    fn target_of(&self, index: usize, uri: &Uri<'_>) -> Option<(String<URI>, Number)> {
        let number: Number = uri.number().unwrap_or_else(|| uri.user_text());
        if number.is_empty() {
            return None;
        }
        match uri.scheme() {
            Scheme::Sip => {
                let without_headers = uri.as_str().split('?').next()?;
                Some((whole(without_headers)?, number))
            }
            Scheme::Tel => {
                let config = self.account_config(self.call(index)?.account)?;
                let host = crate::uri::Host::parse(&config.domain)?;
                let mut text = String::new();
                let uri = SipUri { user: &number, host, port: None };
                core::fmt::Write::write_fmt(&mut text, format_args!("{uri}")).ok()?;
                Some((text, number))
            }
            _ => None,
        }
    }

    pub(super) fn accept_transfer(&mut self, index: usize) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.referral.is_some() { Ok(()) } else { Err(Rejected::WrongState) }
    }

    pub(super) fn refuse_transfer(&mut self, now: Instant, index: usize) -> Result<(), Rejected> {
        let call = self.call(index).ok_or(Rejected::UnknownCall)?;
        if call.referral.is_none() {
            return Err(Rejected::WrongState);
        }
        let id = call.id;
        self.report_referral(now, id, 603);
        Ok(())
    }

    pub(super) fn referral_of(&self, id: CallId) -> Option<&Referral> {
        let index = self.call_index(id).ok()?;
        self.call(index)?.referral.as_ref()
    }

    /// Tells whoever asked for a transfer how it goes. After a final status there is nothing more to tell.
    pub(super) fn report_referral(&mut self, now: Instant, referring: CallId, status: u16) {
        let Ok(index) = self.call_index(referring) else { return };
        let Some(call) = self.call_mut(index) else { return };
        let Some(referral) = &mut call.referral else { return };
        if call.over || referral.told == status || referral.told >= 200 {
            return;
        }
        referral.told = status;
        let sent = self.ask(now, Purpose::Notify { call: index, status }, 0);
        if let Err(rejected) = sent {
            self.counters.count(rejected);
        }
        if status >= 200
            && let Some(call) = self.call_mut(index)
        {
            // The peer may ask for another one.
            call.referral = None;
        }
    }

    /// NOTIFY in a call: how the transfer we asked for goes, or messages that wait.
    pub(super) fn notified(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
        index: usize,
    ) -> Result<(), Rejected> {
        let package = message.event().ok().flatten().map_or("", |event| event.package);
        if !package.eq_ignore_ascii_case("refer") {
            return self.notice(now, flow, server, message);
        }
        let call = self.call_mut(index).ok_or(Rejected::UnknownCall)?;
        let id = call.id;
        if !call.transferring {
            self.reply(now, server, 481)?;
            return Err(Rejected::UnknownDialog);
        }
        let is_last = message
            .subscription_state()
            .ok()
            .flatten()
            .is_some_and(|state| state.state.eq_ignore_ascii_case("terminated"));
        let progress = match fragment_status(message.body()) {
            Some(100) => Some(TransferProgress::Trying),
            Some(101..=199) => Some(TransferProgress::Ringing),
            Some(200..=299) => Some(TransferProgress::Done),
            Some(status) => Some(TransferProgress::Failed(status)),
            None if is_last => Some(TransferProgress::Failed(0)),
            None => None,
        };
        let is_final = matches!(progress, Some(TransferProgress::Done | TransferProgress::Failed(_)));
        if is_final || is_last {
            call.transferring = false;
        }
        self.reply(now, server, 200)?;
        let progress = match progress {
            // The subscription ended without a final status: nobody knows.
            Some(progress) if is_last && !is_final => {
                let _ = progress;
                Some(TransferProgress::Failed(0))
            }
            progress => progress,
        };
        if let Some(progress) = progress {
            self.tell(Event::TransferProgress { call: id, progress });
        }
        Ok(())
    }
}

/// The status in a `message/sipfrag`: `SIP/2.0 180 Ringing`.
fn fragment_status(body: &[u8]) -> Option<u16> {
    let rest = body.strip_prefix(b"SIP/2.0 ")?;
    let text: Text<3> = Text::from_wire(rest.get(..3)?);
    let status = text.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}
