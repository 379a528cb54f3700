//! Header names: one enum, long and compact forms.
//!
//! RFC 3261 section 7.3.3 and the IANA registry. Names compare without case. A name that is not here is [`Name::Other`]; its text
//! stays in the message.

macro_rules! names {
    ($($(#[$meta:meta])* $variant:ident = $long:literal $(, $compact:literal)?;)+) => {
        /// The name of a header field this router knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(#[doc = $long] $(#[$meta])* $variant,)+
            /// Any other; see [`Message::other`](super::Message::other).
            Other,
        }

        impl Name {
            /// From a name on the wire, long or compact, in any case.
            pub fn from_bytes(name: &[u8]) -> Self {
                match name.len() {
                    1 => match name.first().map(u8::to_ascii_lowercase) {
                        $($(Some($compact) => Self::$variant,)?)+
                        _ => Self::Other,
                    },
                    $(length if length == $long.len() && name.eq_ignore_ascii_case($long.as_bytes()) => Self::$variant,)+
                    _ => Self::Other,
                }
            }

            /// As it is written in messages of ours; empty for [`Name::Other`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $long,)+
                    Self::Other => "",
                }
            }
        }
    };
}

names! {
    Accept = "Accept";
    AcceptContact = "Accept-Contact", b'a';
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    AlertInfo = "Alert-Info";
    Allow = "Allow";
    AllowEvents = "Allow-Events", b'u';
    AuthenticationInfo = "Authentication-Info";
    Authorization = "Authorization";
    CallId = "Call-ID", b'i';
    CallInfo = "Call-Info";
    Contact = "Contact", b'm';
    ContentDisposition = "Content-Disposition";
    ContentEncoding = "Content-Encoding", b'e';
    ContentLanguage = "Content-Language";
    ContentLength = "Content-Length", b'l';
    ContentType = "Content-Type", b'c';
    CSeq = "CSeq";
    Date = "Date";
    Diversion = "Diversion";
    ErrorInfo = "Error-Info";
    Event = "Event", b'o';
    Expires = "Expires";
    From = "From", b'f';
    HistoryInfo = "History-Info";
    InReplyTo = "In-Reply-To";
    MaxForwards = "Max-Forwards";
    MimeVersion = "MIME-Version";
    MinExpires = "Min-Expires";
    MinSe = "Min-SE";
    Organization = "Organization";
    PAssertedIdentity = "P-Asserted-Identity";
    PAssociatedUri = "P-Associated-URI";
    Path = "Path";
    PPreferredIdentity = "P-Preferred-Identity";
    Priority = "Priority";
    Privacy = "Privacy";
    ProxyAuthenticate = "Proxy-Authenticate";
    ProxyAuthenticationInfo = "Proxy-Authentication-Info";
    ProxyAuthorization = "Proxy-Authorization";
    ProxyRequire = "Proxy-Require";
    RAck = "RAck";
    Reason = "Reason";
    RecordRoute = "Record-Route";
    ReferTo = "Refer-To", b'r';
    ReferSub = "Refer-Sub";
    ReferredBy = "Referred-By", b'b';
    RejectContact = "Reject-Contact", b'j';
    RemotePartyId = "Remote-Party-ID";
    Replaces = "Replaces";
    ReplyTo = "Reply-To";
    Require = "Require";
    RetryAfter = "Retry-After";
    Route = "Route";
    RSeq = "RSeq";
    Server = "Server";
    ServiceRoute = "Service-Route";
    SessionExpires = "Session-Expires", b'x';
    Subject = "Subject", b's';
    SubscriptionState = "Subscription-State";
    Supported = "Supported", b'k';
    Timestamp = "Timestamp";
    To = "To", b't';
    Unsupported = "Unsupported";
    UserAgent = "User-Agent";
    Via = "Via", b'v';
    Warning = "Warning";
    WwwAuthenticate = "WWW-Authenticate";
}

impl Name {
    /// Whether a message may carry it once only (RFC 3261 section 7.3.1: whatever is no comma-separated list). A second one is a
    /// fault, because two readers might believe different ones.
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::ContentLength
                | Self::ContentType
                | Self::CSeq
                | Self::Event
                | Self::Expires
                | Self::From
                | Self::MaxForwards
                | Self::MinExpires
                | Self::MinSe
                | Self::RAck
                | Self::ReferTo
                | Self::ReferredBy
                | Self::Replaces
                | Self::RetryAfter
                | Self::RSeq
                | Self::SessionExpires
                | Self::SubscriptionState
                | Self::To
        )
    }
}
