//! Requests outside of calls: somebody calls, asks what we can, or tells that messages wait.
//!
//! RFC 3261 sections 8.2, 11.2 and 13.3.1, RFC 3891 (Replaces), RFC 4028 section 9, RFC 3325 (who calls). Order of the checks as in section 8.2:
//! method, Require, body, then who is wanted.

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, Party, Presentation};
use dialtone_base::text::Text;
use heapless::String;

use super::answer::With;
use super::{ALLOW, SUPPORTED, UserAgent};
use crate::call::{Call, MIN_SE, Negotiation, State, Waiting, WaitingKind};
use crate::dialog::{Dialog, whole};
use crate::interface::{Body, Event, Rejected};
use crate::message::{Message, Method, Name};
use crate::transaction::TransactionId;
use crate::transport::Flow;

/// What we can be required to do.
const REQUIRED: [&str; 6] = ["100rel", "timer", "replaces", "norefersub", "outbound", "path"];
/// A call rings no longer than this, in seconds, even when its caller has vanished.
const LONGEST_RING: u32 = 600;
/// A provisional answer is repeated after this time, so that no proxy gives up (section 13.3.1.1).
pub(super) const RING_AGAIN: dialtone_base::Duration = dialtone_base::Duration::from_secs(60);

impl UserAgent {
    pub(super) fn request_outside(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        match message.method() {
            Some(Method::Invite) => self.invited(now, flow, server, message),
            Some(Method::Options) if self.refused_for_content(now, server, message)? => {
                Err(Rejected::Unsupported)
            }
            Some(Method::Options) => self.options(now, server),
            Some(Method::Notify) => self.notice(now, flow, server, message),
            Some(Method::Bye | Method::Update | Method::Prack | Method::Info) => {
                self.reply(now, server, 481)?;
                Err(Rejected::UnknownDialog)
            }
            method => self.refuse_method(now, server, method),
        }
    }

    pub(super) fn refuse_method(
        &mut self,
        now: Instant,
        server: TransactionId,
        method: Option<Method<'_>>,
    ) -> Result<(), Rejected> {
        let status = if matches!(method, Some(Method::Other(_))) { 501 } else { 405 };
        self.reply_with(now, server, status, With { headers: &[(Name::Allow, ALLOW)], body: None })?;
        Err(Rejected::Unsupported)
    }

    /// Section 11.2.
    pub(super) fn options(&mut self, now: Instant, server: TransactionId) -> Result<(), Rejected> {
        let headers = [
            (Name::Allow, ALLOW),
            (Name::Accept, "application/sdp"),
            (Name::Supported, SUPPORTED),
            (Name::AllowEvents, "refer, message-summary"),
        ];
        self.reply_with(now, server, 200, With { headers: &headers, body: None })
    }

    /// What every request must pass: `true` when it was refused.
    pub(super) fn refused_for_content(
        &mut self,
        now: Instant,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<bool, Rejected> {
        let mut unknown = String::<128>::new();
        for option in message.tokens(Name::Require) {
            if !REQUIRED.iter().any(|known| known.eq_ignore_ascii_case(option)) {
                let separator = if unknown.is_empty() { "" } else { ", " };
                // What does not fit is still refused, if not all of it by name.
                let _ = core::fmt::Write::write_fmt(&mut unknown, format_args!("{separator}{option}"));
            }
        }
        if !unknown.is_empty() {
            self.reply_with(
                now,
                server,
                420,
                With { headers: &[(Name::Unsupported, &unknown)], body: None },
            )?;
            return Ok(true);
        }
        let is_coded = message
            .text(Name::ContentEncoding)
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
        let is_session = message.content_type().is_none_or(|kind| kind.is("application", "sdp"));
        if !message.body().is_empty() && (is_coded || !is_session) {
            let headers = [(Name::Accept, "application/sdp"), (Name::AcceptEncoding, "identity")];
            self.reply_with(now, server, 415, With { headers: &headers, body: None })?;
            return Ok(true);
        }
        Ok(false)
    }

    fn invited(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        if self.refused_for_content(now, server, message)? {
            return Err(Rejected::Unsupported);
        }
        if !accepts_sdp(message) {
            self.reply(now, server, 406)?;
            return Err(Rejected::Unsupported);
        }
        let Some((account, number)) = self.find_number(message) else {
            self.reply(now, server, 404)?;
            return Err(Rejected::UnknownNumber);
        };
        let interval = match message.session_expires() {
            Ok(interval) => interval,
            Err(_) => {
                self.reply(now, server, 400)?;
                return Err(Rejected::Malformed);
            }
        };
        let can_timer = message.has_token(Name::Supported, "timer");
        if can_timer && interval.is_some_and(|interval| interval.seconds < MIN_SE) {
            self.reply_with(now, server, 422, With { headers: &[(Name::MinSe, "90")], body: None })?;
            return Err(Rejected::Unsupported);
        }
        let replaced = match self.replaced(message) {
            Ok(replaced) => replaced,
            Err(status) => {
                self.reply(now, server, status)?;
                return Err(Rejected::UnknownDialog);
            }
        };
        let Some(index) = self.calls.iter().position(Option::is_none) else {
            self.reply(now, server, 486)?;
            return Err(Rejected::NoCall);
        };
        let id = self.new_incoming_id();
        let Some(mut call) = self.new_incoming(id, account, number, message) else {
            // Sound, but longer than what is kept of a dialog.
            self.reply(now, server, 513)?;
            return Err(Rejected::TooLong);
        };
        let dialog = Dialog::from_request(index, message, flow);
        let Some(dialog) = dialog.and_then(|dialog| self.keep_dialog(dialog)) else {
            // No Contact, or parts longer than what is kept.
            let status = if message.target().is_none() { 400 } else { 503 };
            self.reply(now, server, status)?;
            return Err(if status == 400 { Rejected::Malformed } else { Rejected::NoCall });
        };
        call.dialog = Some(dialog);
        call.waiting = Some(Waiting { server, kind: WaitingKind::Invite });
        call.replaces = replaced;
        let config = self.account_config(account);
        let own_interval = config.map_or(dialtone_base::Duration::ZERO, |config| config.session_expires);
        let wants_reliable = message.has_token(Name::Require, "100rel");
        call.session_expires = own_interval;
        call.must_be_reliable = wants_reliable;
        call.take_timer_of_request(now, message, own_interval);
        let longest = message.expires().unwrap_or(LONGEST_RING).clamp(1, LONGEST_RING);
        call.ring_until = Some(now + dialtone_base::Duration::from_secs(u64::from(longest)));
        let offer = body_of(message);
        call.negotiation = if offer.is_some() { Negotiation::TheirsInInvite } else { Negotiation::Wanted };
        let called = self.called(account, number, message);
        if let Some(place) = self.calls.get_mut(index) {
            *place = Some(call);
        }
        let event = Event::Incoming {
            call: id,
            account,
            number,
            called,
            from: caller(message),
            alert: alert(message),
            replaces: replaced,
            offer: None,
        };
        self.tell_with(event, offer);
        Ok(())
    }

    fn called(&self, account: u8, number: u8, message: &Message<'_>) -> dialtone_base::telephony::Number {
        let ours = self.account_config(account).and_then(|config| config.numbers.get(usize::from(number)));
        ours.cloned().unwrap_or_else(|| message.request_uri().map_or_else(Text::new, |uri| uri.user_text()))
    }

    fn new_incoming_id(&mut self) -> CallId {
        self.next_incoming = self.next_incoming.wrapping_add(2);
        CallId(self.next_incoming)
    }

    fn new_incoming(&mut self, id: CallId, account: u8, number: u8, message: &Message<'_>) -> Option<Call> {
        let mut call = Call::new(id, account, number, false);
        call.call_id = whole(message.call_id().ok()?)?;
        call.local_uri = whole(message.to().ok()?.uri.as_str())?;
        call.remote_uri = whole(message.from().ok()?.uri.as_str())?;
        call.their_invite_cseq = message.cseq().ok()?.number;
        call.local_tag = self.new_tag();
        call.cseq = self.random.below(1 << 16);
        call.rseq = self.random.below(1 << 16) + 1;
        Some(call)
    }

    /// A tag: 64 random bits.
    pub(super) fn new_tag(&mut self) -> String<16> {
        let mut tag = String::new();
        // Sixteen digits fit.
        let _ = core::fmt::Write::write_fmt(&mut tag, format_args!("{:016x}", self.random.next_u64()));
        tag
    }

    /// RFC 3891 section 3: the call to be replaced, or why not.
    fn replaced(&self, message: &Message<'_>) -> Result<Option<CallId>, u16> {
        let Some(replaces) = message.replaces().map_err(|_| 400_u16)? else { return Ok(None) };
        let found = self.find_dialog_by(replaces.call_id, replaces.to_tag, replaces.from_tag);
        let (index, _) = found.ok_or(481_u16)?;
        let call = self.call(index).ok_or(481_u16)?;
        match call.state {
            _ if call.over => Err(603),
            State::Established | State::Answered if replaces.early_only => Err(486),
            State::Established | State::Answered => Ok(Some(call.id)),
            // An early dialog may be replaced by whoever started it only.
            State::Proceeding => Ok(Some(call.id)),
            _ => Err(481),
        }
    }
}

/// Whether whoever calls can read our answer (RFC 4475 section 3.3.15). Without Accept everybody reads SDP (RFC 3261 section 20.1).
fn accepts_sdp(message: &Message<'_>) -> bool {
    message.line(Name::Accept).is_none()
        || message.tokens(Name::Accept).any(|range| {
            let kind = range.split(';').next().unwrap_or_default().trim();
            ["application/sdp", "application/*", "*/*"].iter().any(|known| known.eq_ignore_ascii_case(kind))
        })
}

/// The body of a message, when there is one.
pub(super) fn body_of<'a>(message: &Message<'a>) -> Option<Body<'a>> {
    let bytes = message.body();
    (!bytes.is_empty())
        .then(|| Body { content_type: message.text(Name::ContentType).unwrap_or("application/sdp"), bytes })
}

/// Who calls: what the network asserts (RFC 3325), else what they say themselves.
pub(super) fn caller(message: &Message<'_>) -> Party {
    let from = message.from().ok();
    let asserted = message.addresses(Name::PAssertedIdentity).next();
    let is_anonymous = from.is_some_and(|from| {
        from.uri.user().is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
            || from.uri.host().is_some_and(|host| {
                matches!(host, crate::uri::Host::Name(name) if name.eq_ignore_ascii_case("anonymous.invalid"))
            })
    });
    let withholds = message.privacy().withholds() || (is_anonymous && asserted.is_none());
    if withholds || is_anonymous {
        return Party { presentation: Presentation::Withheld, ..Party::default() };
    }
    let Some(shown) = asserted.or(from) else {
        return Party { presentation: Presentation::Unavailable, ..Party::default() };
    };
    let number = shown.uri.number().unwrap_or_else(|| shown.uri.user_text());
    let is_unknown =
        number.is_empty() || ["unknown", "unavailable"].iter().any(|word| number.eq_ignore_ascii_case(word));
    if is_unknown {
        return Party { presentation: Presentation::Unavailable, ..Party::default() };
    }
    // The name may stand in From only.
    let mut name = shown.display();
    if name.trim().is_empty()
        && let Some(from) = from
    {
        name = from.display();
    }
    let name = if name.trim() == number.as_str() { Text::new() } else { Text::lossy(name.trim()) };
    Party { number, name, presentation: Presentation::Allowed }
}

/// Distinctive ringing: `info=` of Alert-Info, else the last part of what it points to.
fn alert(message: &Message<'_>) -> Text<31> {
    let Some((target, parameters)) = message.alert_info() else { return Text::new() };
    if let Some(info) = parameters.text("info") {
        return Text::lossy(info);
    }
    let last = target.rsplit(|byte| matches!(byte, b'/' | b':')).next().unwrap_or_default();
    Text::from_wire(last)
}
