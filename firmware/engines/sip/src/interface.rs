//! What goes into the user agent and what comes out: inputs, orders, outputs, events, reasons.
//!
//! Bodies are opaque: bytes with a content type. `engines/media` makes and reads them; what joins the two is the services'.
//!
//! ```text
//!   outgoing:  Order::Dial{offer} → Event::Progress… → Event::Answered{body} → Order::HangUp / Event::Ended
//!   incoming:  Event::Incoming{offer} → Order::Alert → Order::Answer{body} → Event::Established → …
//!   in a call: Order::Offer{body} → Event::OfferAnswered{body} | Event::OfferRefused
//!              Event::Offer{body} → Order::Accept{body} | Order::Refuse
//!              Event::OfferWanted → Order::Offer{body}
//! ```

use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::telephony::{CallId, Key, Number, Party};
use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant};

use crate::config::{Config, HostName};

/// A TCP connection of the user agent. It names those it opens; those others open are named by whoever accepts them, from
/// [`ConnectionId::ACCEPTED`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    /// The first name for accepted connections.
    pub const ACCEPTED: u32 = 0x8000_0000;
}

/// A question to DNS, to be answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// What DNS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// RFC 3403.
    Naptr,
    /// RFC 2782.
    Srv,
    /// An address.
    A,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// RFC 3403; only those with flag `s` and a SIP service matter, others may be handed over too.
    Naptr {
        /// Lower first.
        order: u16,
        /// Lower first within an order.
        preference: u16,
        /// `S`, `A`, …
        flags: Text<7>,
        /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`, …
        service: Text<31>,
        /// The name to ask for next.
        replacement: HostName,
    },
    /// RFC 2782.
    Srv {
        /// Lower first.
        priority: u16,
        /// Share within a priority.
        weight: u16,
        /// Port of the target.
        port: u16,
        /// Name of the target; `.` or empty: the service is not offered.
        target: HostName,
    },
    /// An address.
    A(Ipv4Addr),
}

/// What DNS said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Records, good for `ttl` (the shortest of them). Records of other kinds than asked for are ignored.
    Records {
        /// In any order; more than 16 are not looked at.
        records: &'a [Record],
        /// How long they are good.
        ttl: Duration,
    },
    /// The name does not exist or has no such record.
    Nothing,
    /// No server answered.
    Failed,
}

/// A body and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    /// `application/sdp`.
    pub content_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Body<'a> {
    /// A session description.
    pub const fn sdp(bytes: &'a [u8]) -> Self {
        Self { content_type: "application/sdp", bytes }
    }
}

/// What may be put into the user agent.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A datagram came to our UDP port.
    Datagram {
        /// Who sent it.
        from: SocketAddrV4,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A connection asked for by [`Output::Connect`] stands, from this address of ours.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// Our end.
        local: SocketAddrV4,
    },
    /// Somebody connected to us.
    Accepted {
        /// Its name, chosen by whoever accepted it.
        connection: ConnectionId,
        /// Who.
        from: SocketAddrV4,
    },
    /// Bytes came over a connection, in any portions.
    Stream {
        /// Which.
        connection: ConnectionId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A connection ended, or could not be made.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// The answer to [`Output::Locate`].
    Located {
        /// Which question.
        query: QueryId,
        /// What DNS said.
        answer: Answer<'a>,
    },
    /// The WAN has this address now, or none. Said again without change it is nothing.
    Network {
        /// Our address on the WAN.
        local: Option<Ipv4Addr>,
    },
    /// What somebody at home wants of a call.
    Order {
        /// Which. For [`Order::Dial`] a new odd number; even ones are made here for incoming calls.
        call: CallId,
        /// What.
        order: Order<'a>,
    },
    /// New settings. Accounts that did not change keep their registrations, calls go on; `limits` are not looked at.
    Configure(&'a Config),
    /// De-register all numbers now and hang up (before a restart). Only [`Input::Network`] or `Configure` ends it.
    Shutdown,
    /// Nothing but the time: lets due timers run. (`poll` does too.)
    Tick,
}

/// What somebody at home may want of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Call somebody.
    Dial {
        /// Through this account.
        account: u8,
        /// As this number of the account (index).
        number: u8,
        /// Whom.
        to: &'a Number,
        /// Withhold our number (RFC 3323).
        withhold: bool,
        /// Our offer; none: the peer shall offer, the answer goes with the ACK ([`Event::Offer`], then [`Order::Accept`]).
        offer: Option<Body<'a>>,
        /// This call was asked for by a transfer in that call: its progress is reported there (RFC 3515).
        referred_by: Option<CallId>,
    },
    /// Say that it rings (180). A body is early media's answer (183 first if reliable).
    Alert {
        /// Our answer or, when the INVITE had no offer and the peer can do RFC 3262, our offer.
        body: Option<Body<'a>>,
    },
    /// Take the call.
    Answer {
        /// Our answer; an offer when the INVITE had none. `None` when [`Order::Alert`] already gave the answer.
        body: Option<Body<'a>>,
    },
    /// Do not take the call.
    Reject(Rejection),
    /// End the call in whatever state: CANCEL, BYE or a rejection.
    HangUp,
    /// Offer something new in a standing call (hold, resume, codec, address), or what [`Event::OfferWanted`] asked for.
    Offer(Body<'a>),
    /// Our answer to [`Event::Offer`].
    Accept(Body<'a>),
    /// [`Event::Offer`] cannot be done (488); the call stays as it was.
    Refuse,
    /// Send an incoming, unanswered call elsewhere (302).
    Redirect(&'a Number),
    /// Ask the peer to call somebody else (REFER), blind.
    Transfer(&'a Number),
    /// Ask the peer to take the place of us in that other call (REFER with Replaces), attended.
    TransferTo(CallId),
    /// [`Event::TransferAsked`] is taken: 202; dial with `referred_by` next.
    AcceptTransfer,
    /// [`Event::TransferAsked`] is refused: 603.
    RefuseTransfer,
    /// A key as INFO (`application/dtmf-relay`), where media cannot carry it.
    Key(Key),
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// 486: all in use.
    Busy,
    /// 603: they do not want it, nowhere.
    Declined,
    /// 480: nobody there, do not disturb, not answered in time.
    Unavailable,
    /// 404: no such number here.
    NotFound,
    /// 488: no codec in common.
    NotAcceptable,
    /// 433: callers must show who they are (RFC 5079).
    AnonymityDisallowed,
}

/// How far an outgoing call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The network has it (100, or 181–183 without a body).
    Trying,
    /// It rings there (180).
    Ringing,
    /// It rings or speaks through the network: a body came in a provisional answer. Ringing too when `ringing`.
    EarlyMedia {
        /// It came with a 180.
        ringing: bool,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody hung up.
    Normal,
    /// An incoming call: the caller gave up before anybody answered.
    Cancelled,
    /// An incoming call: taken elsewhere (`Reason: SIP;cause=200`, RFC 3326): not missed.
    AnsweredElsewhere,
    /// Busy there (486, 600).
    Busy,
    /// They do not want it (603, 403 for a call).
    Declined,
    /// Nobody there or not answered (480, 408 of theirs, 487).
    Unavailable,
    /// No such number (404, 410, 484, 604).
    NotFound,
    /// Nothing in common (415, 488, 606).
    NotAcceptable,
    /// They refuse anonymous calls (433).
    AnonymityDisallowed,
    /// Moved, and where to leads nowhere new (3xx).
    Moved,
    /// The operator does not know us (401, 403, 407 after our answer).
    NotAuthorised,
    /// No answer from the operator, or no way to them.
    Unreachable,
    /// The operator cannot now (5xx, others).
    ServerFailure,
    /// The peer vanished in mid-call: session timer (RFC 4028) or a request without an answer.
    PeerVanished,
    /// The call was taken over by another one (RFC 3891), or transferred away.
    Replaced,
}

/// The progress of a transfer we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferProgress {
    /// They try.
    Trying,
    /// It rings there.
    Ringing,
    /// They talk: our part of the call may end now.
    Done,
    /// It did not work, with this SIP status (or 0): the call is ours again.
    Failed(u16),
}

/// The state of one number's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistrationState {
    /// Not yet, or not wanted.
    Idle,
    /// Under way.
    Trying,
    /// Registered; calls can come.
    Up,
    /// No server answered, or it cannot now; tried again by itself.
    Unreachable,
    /// The registrar refuses us (401, 403, 404 …, with this status); tried again, slowly.
    Refused(u16),
}

/// Which session a call's offer is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferReason {
    /// Our address changed: an offer with the new one keeps the call.
    AddressChanged,
    /// The peer sent a re-INVITE without a body and waits.
    PeerAsked,
}

/// What happened. Texts and bodies belong to the user agent and are good until the next call of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A registration changed its state.
    Registration {
        /// Index of the account.
        account: u8,
        /// Index of its number.
        number: u8,
        /// The state now.
        state: RegistrationState,
    },
    /// Somebody calls.
    Incoming {
        /// Its name from now on: even.
        call: CallId,
        /// The account it came through.
        account: u8,
        /// Which of its numbers.
        number: u8,
        /// The number that was called.
        called: Number,
        /// Who calls.
        from: Party,
        /// Distinctive ringing: `Alert-Info`'s info parameter or the last part of its URI; empty for the usual.
        alert: Text<31>,
        /// It shall take the place of that call of ours (RFC 3891): answer at once, the other ends by itself.
        replaces: Option<CallId>,
        /// The caller's offer; none: we offer in [`Order::Answer`].
        offer: Option<Body<'a>>,
    },
    /// How far our outgoing call is.
    Progress {
        /// Which.
        call: CallId,
        /// How far.
        progress: Progress,
        /// With [`Progress::EarlyMedia`]: the answer to our offer (or the peer's offer when we made none).
        body: Option<Body<'a>>,
    },
    /// Our outgoing call was taken.
    Answered {
        /// Which.
        call: CallId,
        /// The answer to our offer; `None` when early media had it already or when we made none: then [`Event::Offer`] follows.
        body: Option<Body<'a>>,
        /// Who answered, when the network says so (P-Asserted-Identity).
        by: Option<Party>,
    },
    /// Our 200 to an incoming call was acknowledged.
    Established {
        /// Which.
        call: CallId,
        /// The answer to the offer we made in the 200.
        body: Option<Body<'a>>,
    },
    /// The peer offers something new: [`Order::Accept`] or [`Order::Refuse`] must follow.
    Offer {
        /// Which.
        call: CallId,
        /// The offer.
        body: Body<'a>,
    },
    /// The peer's answer to [`Order::Offer`].
    OfferAnswered {
        /// Which.
        call: CallId,
        /// The answer.
        body: Body<'a>,
    },
    /// The peer refused [`Order::Offer`] with this status; the session stays as it was.
    OfferRefused {
        /// Which.
        call: CallId,
        /// SIP status.
        status: u16,
    },
    /// An offer is wanted: [`Order::Offer`] must follow.
    OfferWanted {
        /// Which.
        call: CallId,
        /// Why.
        reason: OfferReason,
    },
    /// A call is over; its name is free of meaning now.
    Ended {
        /// Which.
        call: CallId,
        /// Why.
        cause: Cause,
        /// The SIP status behind it, 0 when there is none.
        status: u16,
    },
    /// The peer wants us to call somebody else in its place (REFER): [`Order::AcceptTransfer`] or [`Order::RefuseTransfer`].
    TransferAsked {
        /// Which.
        call: CallId,
        /// Whom to call.
        to: Number,
        /// It is an attended one (with Replaces); the dialled call carries that by itself.
        attended: bool,
    },
    /// How far the transfer we asked for is.
    TransferProgress {
        /// Which.
        call: CallId,
        /// How far.
        progress: TransferProgress,
    },
    /// The peer pressed a key and said so by INFO.
    Key {
        /// Which.
        call: CallId,
        /// The key.
        key: Key,
        /// How long, milliseconds; 0 when it did not say.
        millis: u16,
    },
    /// Messages wait (RFC 3842).
    MessageWaiting {
        /// Index of the account.
        account: u8,
        /// Index of its number.
        number: u8,
        /// Something waits.
        waiting: bool,
        /// New voice messages, where told.
        new: u16,
        /// Old voice messages, where told.
        old: u16,
    },
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// From our UDP port.
    Udp {
        /// To here.
        to: SocketAddrV4,
    },
    /// Over this connection.
    Stream {
        /// Which.
        connection: ConnectionId,
    },
}

/// What the user agent wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send the first `length` bytes of the buffer.
    Transmit {
        /// Where.
        via: Via,
        /// How many.
        length: usize,
    },
    /// Open a TCP connection; [`Input::Connected`] or [`Input::Closed`] follows.
    Connect {
        /// Its name.
        connection: ConnectionId,
        /// To here.
        to: SocketAddrV4,
    },
    /// Close a connection; nothing follows.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Ask DNS; [`Input::Located`] follows.
    Locate {
        /// The question's name.
        query: QueryId,
        /// What to ask about.
        name: HostName,
        /// What to ask for.
        kind: RecordKind,
    },
    /// Something happened.
    Event(Event<'a>),
    /// Nothing until then, or until the next input.
    Wait(Option<Instant>),
}

dialtone_base::counted_reasons! {
    /// Why the user agent did not do as it was asked, or did not take a message.
    pub enum Rejected {
        /// The peer: not SIP, or not whole.
        Malformed = "malformed",
        /// The peer: a message longer than ours may be.
        TooLong = "too-long",
        /// The peer: a response to nothing we asked.
        StrayResponse = "stray-response",
        /// The peer: an ACK or CANCEL that belongs to nothing.
        StrayRequest = "stray-request",
        /// The peer: not our server; dropped in silence.
        Stranger = "stranger",
        /// The peer: a scanner by its own name; dropped in silence.
        Scanner = "scanner",
        /// The peer: for a number that is not ours; answered 404.
        UnknownNumber = "unknown-number",
        /// The peer: a dialog we do not know; answered 481.
        UnknownDialog = "unknown-dialog",
        /// The peer: asks for what we cannot; answered 4xx or 5xx.
        Unsupported = "unsupported",
        /// Our limit: too many requests; answered 503 or dropped.
        Overloaded = "overloaded",
        /// Our limit: all calls taken; answered 486.
        NoCall = "no-call",
        /// Our limit: no transaction free.
        NoTransaction = "no-transaction",
        /// Our limit: no place for a message waiting to be sent.
        NoRoom = "no-room",
        /// Our limit: no connection free.
        NoConnection = "no-connection",
        /// The wrong state: no such call.
        UnknownCall = "unknown-call",
        /// The wrong state: the call cannot do this now.
        WrongState = "wrong-state",
        /// The wrong state: no such account or number.
        UnknownAccount = "unknown-account",
        /// The wrong state: a connection or question we did not start.
        UnknownConnection = "unknown-connection",
        /// The wrong state: no network.
        NoNetwork = "no-network",
    }
}
