//! Headers with a meaning of their own: CSeq, session timers, events, replaces and others.
//!
//! Each type parses one value; the accessors of [`Message`] find the line. `Ok(None)` is "not there", `Err` is "there, but nonsense", which a
//! request is answered 400 for and a response is not believed in.

use super::address::{Contact, NameAddr};
use super::lex::{Cursor, is_space, is_token, is_word, parse_u32, trim};
use super::method::Method;
use super::name::Name;
use super::parameters::Parameters;
use super::via::Via;
use super::{Fault, Message};
use crate::uri::Uri;

/// A sequence number and its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2^31 (RFC 3261 section 8.1.1.5).
    pub number: u32,
    /// Same as in the request line.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// A whole value.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let number = cursor.number().filter(|number| *number < 1 << 31)?;
        if !cursor.peek().is_some_and(is_space) {
            return None;
        }
        cursor.skip_space();
        let method = Method::from_token(cursor.token()?);
        cursor.skip_space();
        cursor.is_empty().then_some(Self { number, method })
    }
}

/// RAck: which reliable response a PRACK acknowledges (RFC 3262 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The response's RSeq.
    pub response: u32,
    /// The CSeq of the request it answered.
    pub cseq: CSeq<'a>,
}

/// Who refreshes a session (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The one who sent the request.
    Uac,
    /// The one who answered it.
    Uas,
}

/// Session-Expires (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Who refreshes, if it is said.
    pub refresher: Option<Refresher>,
}

/// Retry-After (RFC 3261 section 20.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Not before so many seconds.
    pub seconds: u32,
    /// For how many seconds it will be reachable from then on, if it is said.
    pub duration: Option<u32>,
}

/// Reason: why a call ends (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonValue<'a> {
    /// `SIP`, `Q.850` …
    pub protocol: &'a str,
    /// The code within that protocol.
    pub cause: Option<u32>,
    /// `text` and others.
    pub parameters: Parameters<'a>,
}

/// Event (RFC 6665 section 8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPackage<'a> {
    /// The package with its templates: `message-summary`, `refer`.
    pub package: &'a str,
    /// Tells apart subscriptions of one dialog.
    pub id: Option<&'a str>,
}

/// Subscription-State (RFC 6665 section 8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated`.
    pub state: &'a str,
    /// Why it was terminated.
    pub reason: Option<&'a str>,
    /// Seconds it lasts.
    pub expires: Option<u32>,
    /// Seconds until one may ask again.
    pub retry_after: Option<u32>,
}

/// Content-Type (RFC 3261 section 20.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// `application`
    pub main: &'a str,
    /// `sdp`
    pub sub: &'a str,
    /// `boundary` and others.
    pub parameters: Parameters<'a>,
}

impl<'a> ContentType<'a> {
    /// A whole value.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let main = cursor.token()?;
        if !cursor.eat_separator(b'/') {
            return None;
        }
        let sub = cursor.token()?;
        cursor.skip_space();
        Some(Self { main, sub, parameters: Parameters::read(&mut cursor)? })
    }

    /// Whether it is `main/sub`, in any case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.sub.eq_ignore_ascii_case(sub)
    }
}

/// Replaces: the call that this one takes the place of (RFC 3891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The tag that is ours.
    pub to_tag: &'a str,
    /// The tag of its other end.
    pub from_tag: &'a str,
    /// Only if it was not answered yet.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// A whole value, also one unescaped from the headers of a Refer-To URI.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let call_id = core::str::from_utf8(cursor.take_while(|byte| is_word(byte) || byte == b'@')).ok()?;
        cursor.skip_space();
        let parameters = Parameters::read(&mut cursor)?;
        Some(Self {
            call_id: Some(call_id).filter(|call_id| !call_id.is_empty())?,
            to_tag: parameters.text("to-tag")?,
            from_tag: parameters.text("from-tag")?,
            early_only: parameters.has("early-only"),
        })
    }
}

/// Privacy (RFC 3323, RFC 3325): what the caller wants hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// `id`: the asserted identity.
    pub id: bool,
    /// `user`, `header` or `session`.
    pub user: bool,
}

impl Privacy {
    /// Whether the caller's number may not be shown.
    pub const fn withholds(self) -> bool {
        self.id || self.user
    }
}

type Found<T> = Result<Option<T>, Fault>;

impl<'a> Message<'a> {
    fn read<T>(&self, name: Name, parse: impl Fn(&'a [u8]) -> Option<T>) -> Found<T> {
        self.line(name).map(|value| parse(value).ok_or(Fault::BadHeader)).transpose()
    }

    fn read_number(&self, name: Name) -> Option<u32> {
        seconds(&mut Cursor::new(self.line(name)?))
    }

    /// The topmost Via: whoever sent this to us.
    pub fn top_via(&self) -> Result<Via<'a>, Fault> {
        self.values(Name::Via)
            .next()
            .ok_or(Fault::MissingVia)
            .and_then(|value| Via::parse(value).ok_or(Fault::BadVia))
    }

    /// How many Vias there are; a response to us has one (RFC 3261 section 8.1.3.3).
    pub fn via_count(&self) -> usize {
        self.values(Name::Via).count()
    }

    /// Who asks.
    pub fn from(&self) -> Result<NameAddr<'a>, Fault> {
        self.line(Name::From)
            .ok_or(Fault::MissingFrom)
            .and_then(|value| NameAddr::parse(value).ok_or(Fault::BadFrom))
    }

    /// Who is asked.
    pub fn to(&self) -> Result<NameAddr<'a>, Fault> {
        self.line(Name::To)
            .ok_or(Fault::MissingTo)
            .and_then(|value| NameAddr::parse(value).ok_or(Fault::BadTo))
    }

    /// The Call-ID, which compares with case.
    pub fn call_id(&self) -> Result<&'a str, Fault> {
        self.text(Name::CallId).ok_or(Fault::MissingCallId)
    }

    /// The sequence number.
    pub fn cseq(&self) -> Result<CSeq<'a>, Fault> {
        self.line(Name::CSeq)
            .ok_or(Fault::MissingCSeq)
            .and_then(|value| CSeq::parse(value).ok_or(Fault::BadCSeq))
    }

    /// All Contacts.
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'a>> + '_ {
        self.values(Name::Contact).filter_map(Contact::parse)
    }

    /// The first Contact that is an address: the remote target of a dialog.
    pub fn contact(&self) -> Option<NameAddr<'a>> {
        self.contacts().find_map(|contact| match contact {
            Contact::Address(address) => Some(address),
            Contact::Star => None,
        })
    }

    /// The addresses of a list: Route, Record-Route, Path, Service-Route, P-Asserted-Identity. Values that cannot be read are left out.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.values(name).filter_map(NameAddr::parse)
    }

    /// Hops left; `None` when it is not said.
    pub fn max_forwards(&self) -> Option<u32> {
        self.read_number(Name::MaxForwards)
    }

    /// Expires in seconds. What exceeds 32 bits counts as their largest (RFC 4475 section 3.1.2.4).
    pub fn expires(&self) -> Option<u32> {
        self.read_number(Name::Expires)
    }

    /// Min-Expires in seconds.
    pub fn min_expires(&self) -> Option<u32> {
        self.read_number(Name::MinExpires)
    }

    /// Min-SE in seconds (RFC 4028 section 5).
    pub fn min_se(&self) -> Option<u32> {
        self.read_number(Name::MinSe)
    }

    /// RSeq of a reliable provisional response (RFC 3262 section 7.1).
    pub fn rseq(&self) -> Option<u32> {
        parse_u32(self.line(Name::RSeq)?)
    }

    /// RAck of a PRACK.
    pub fn rack(&self) -> Found<RAck<'a>> {
        self.read(Name::RAck, |value| {
            let mut cursor = Cursor::new(value);
            let response = cursor.number()?;
            cursor.skip_space();
            Some(RAck { response, cseq: CSeq::parse(cursor.rest())? })
        })
    }

    /// Session-Expires.
    pub fn session_expires(&self) -> Found<SessionExpires> {
        self.read(Name::SessionExpires, |value| {
            let mut cursor = Cursor::new(value);
            let seconds = seconds(&mut cursor)?;
            cursor.skip_space();
            let refresher = match Parameters::read(&mut cursor)?.text("refresher") {
                Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
                Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
                _ => None,
            };
            Some(SessionExpires { seconds, refresher })
        })
    }

    /// Retry-After; its comment is skipped. `None` also when it cannot be read.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        let mut cursor = Cursor::new(self.line(Name::RetryAfter)?);
        let seconds = seconds(&mut cursor)?;
        cursor.skip_space();
        if cursor.peek() == Some(b'(') {
            cursor.take_while(|byte| byte != b')');
            cursor.eat(b')');
            cursor.skip_space();
        }
        let duration = Parameters::read(&mut cursor).and_then(|parameters| parameters.number("duration"));
        Some(RetryAfter { seconds, duration })
    }

    /// Every Reason that can be read.
    pub fn reasons(&self) -> impl Iterator<Item = ReasonValue<'a>> + '_ {
        self.values(Name::Reason).filter_map(|value| {
            let mut cursor = Cursor::new(value);
            let protocol = cursor.token()?;
            cursor.skip_space();
            let parameters = Parameters::read(&mut cursor)?;
            Some(ReasonValue { protocol, cause: parameters.number("cause"), parameters })
        })
    }

    /// Event.
    pub fn event(&self) -> Found<EventPackage<'a>> {
        self.read(Name::Event, |value| {
            let mut cursor = Cursor::new(value);
            let package = cursor.token()?;
            cursor.skip_space();
            Some(EventPackage { package, id: Parameters::read(&mut cursor)?.text("id") })
        })
    }

    /// Subscription-State.
    pub fn subscription_state(&self) -> Found<SubscriptionState<'a>> {
        self.read(Name::SubscriptionState, |value| {
            let mut cursor = Cursor::new(value);
            let state = cursor.token()?;
            cursor.skip_space();
            let parameters = Parameters::read(&mut cursor)?;
            Some(SubscriptionState {
                state,
                reason: parameters.text("reason"),
                expires: parameters.number("expires"),
                retry_after: parameters.number("retry-after"),
            })
        })
    }

    /// Content-Type; checked when the message was read.
    pub fn content_type(&self) -> Option<ContentType<'a>> {
        ContentType::parse(self.line(Name::ContentType)?)
    }

    /// Refer-To (RFC 3515).
    pub fn refer_to(&self) -> Found<NameAddr<'a>> {
        self.read(Name::ReferTo, NameAddr::parse)
    }

    /// Referred-By (RFC 3892).
    pub fn referred_by(&self) -> Found<NameAddr<'a>> {
        self.read(Name::ReferredBy, NameAddr::parse)
    }

    /// Replaces (RFC 3891).
    pub fn replaces(&self) -> Found<Replaces<'a>> {
        self.read(Name::Replaces, Replaces::parse)
    }

    /// Privacy; nothing is hidden when the header is missing.
    pub fn privacy(&self) -> Privacy {
        let mut privacy = Privacy::default();
        let words = self.lines(Name::Privacy).flat_map(|line| line.split(|byte| !is_token(*byte)));
        for word in words {
            privacy.id |= word.eq_ignore_ascii_case(b"id");
            privacy.user |=
                [&b"user"[..], b"header", b"session"].iter().any(|kind| word.eq_ignore_ascii_case(kind));
        }
        privacy
    }

    /// What Alert-Info points to, between its angle brackets, and its parameters (`info=alert-internal`). Some write no URI there.
    pub fn alert_info(&self) -> Option<(&'a [u8], Parameters<'a>)> {
        let value = self.values(Name::AlertInfo).next()?;
        let mut cursor = Cursor::new(value);
        let target = if cursor.eat(b'<') {
            let inside = cursor.take_while(|byte| byte != b'>');
            cursor.eat(b'>');
            inside
        } else {
            trim(cursor.take_while(|byte| byte != b';'))
        };
        cursor.skip_space();
        Some((target, Parameters::read(&mut cursor).unwrap_or_default()))
    }

    /// The tags and Call-ID that name a dialog: (Call-ID, From tag, To tag). `None` when a tag is missing.
    pub fn dialog_id(&self) -> Option<(&'a str, &'a str, &'a str)> {
        Some((self.call_id().ok()?, self.from().ok()?.tag()?, self.to().ok()?.tag()?))
    }

    /// The remote target's URI, when the message names one.
    pub fn target(&self) -> Option<Uri<'a>> {
        self.contact().map(|contact| contact.uri)
    }
}

/// Digits; too many of them count as the largest number.
fn seconds(cursor: &mut Cursor<'_>) -> Option<u32> {
    let digits = cursor.take_while(|byte| byte.is_ascii_digit());
    if digits.is_empty() { None } else { Some(parse_u32(digits).unwrap_or(u32::MAX)) }
}
