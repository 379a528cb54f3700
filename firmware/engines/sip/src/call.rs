//! One call: its state, the offer that is open, its session timer, its transfer.
//!
//! RFC 3261 sections 13 to 15 (INVITE, ACK, BYE, CANCEL), RFC 3264 and RFC 6337 (one offer at a time), RFC 3262 (reliable provisional answers),
//! RFC 4028 (session timer), RFC 3515 (REFER). What is done about them is in `agent/`; here is what is remembered.

use alloc::boxed::Box;

use dialtone_base::telephony::{CallId, Number};
use dialtone_base::{Duration, Instant};
use heapless::String;

use crate::dialog::{CALL_ID, URI};
use crate::interface::{Body, Rejected};
use crate::message::{Message, Name, Refresher};
use crate::transaction::TransactionId;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Ours: no way to the server yet; given up then.
    Waiting(Instant),
    /// Ours: INVITE sent, nothing heard. Section 17.1.1.2.
    Calling,
    /// Ours: 1xx heard.
    Proceeding,
    /// Ours, hung up before a final answer; CANCEL goes out when there is a 1xx (section 9.1).
    Cancelling,
    /// Theirs, not answered.
    Incoming,
    /// Theirs, answered by 200, ACK not here yet.
    Answered,
    /// Both talk.
    Established,
    /// Over; stays until its last transactions ended.
    Ending,
}

/// Who made the offer that is open, and in what (RFC 6337 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Negotiation {
    /// None is open.
    Stable,
    /// Ours, in an INVITE, a re-INVITE or an UPDATE: the answer comes in the response.
    Ours,
    /// Ours, in a reliable provisional answer: the answer comes in PRACK.
    OursInProvisional,
    /// Ours, in a 200: the answer comes in ACK.
    OursInSuccess,
    /// Theirs, in the first INVITE: answered by 200 (or by a provisional answer before).
    TheirsInInvite,
    /// Theirs, in a re-INVITE, an UPDATE or a PRACK that waits for [`crate::Order::Accept`].
    Theirs,
    /// Theirs, in the 200 to our INVITE without an offer: answered in ACK.
    TheirsInSuccess,
    /// They sent an INVITE or re-INVITE without an offer: our offer goes with its 200.
    Wanted,
}

/// A provisional answer that waits for its PRACK (RFC 3262 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reliable {
    pub rseq: u32,
    pub has_body: bool,
}

/// RFC 4028: who refreshes, and when something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    pub interval: Duration,
    pub ours: bool,
    /// The refresh (ours) or the end (theirs).
    pub due: Instant,
}

/// The peer asked us to call somebody else (REFER).
#[derive(Clone, Debug)]
pub(crate) struct Referral {
    /// The Request-URI to call.
    pub target: String<URI>,
    /// The Replaces header to send, unescaped; empty when there is none.
    pub replaces: String<512>,
    /// The REFER's sequence number: the `id` of its notices.
    pub id: u32,
    /// Last status told; 0 when none.
    pub told: u16,
}

/// Bytes of bounded length in memory taken at construction.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
}

impl Buffer {
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: alloc::vec![0; size].into_boxed_slice(), length: 0 }
    }

    /// All of `bytes`, or nothing.
    pub(crate) fn set(&mut self, bytes: &[u8]) -> Result<(), Rejected> {
        let place = self.bytes.get_mut(..bytes.len()).ok_or(Rejected::TooLong)?;
        place.copy_from_slice(bytes);
        self.length = bytes.len();
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// A body that is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoredBody {
    pub bytes: Buffer,
    pub content_type: String<63>,
}

impl StoredBody {
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: Buffer::new(size), content_type: String::new() }
    }

    pub(crate) fn set(&mut self, body: Body<'_>) -> Result<(), Rejected> {
        let content_type = String::try_from(body.content_type).map_err(|_| Rejected::TooLong)?;
        self.bytes.set(body.bytes)?;
        self.content_type = content_type;
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.content_type.clear();
    }

    pub(crate) fn as_body(&self) -> Option<Body<'_>> {
        (!self.bytes.is_empty())
            .then(|| Body { content_type: &self.content_type, bytes: self.bytes.as_bytes() })
    }
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub id: CallId,
    pub account: u8,
    pub number: u8,
    pub is_outgoing: bool,
    pub state: State,
    pub call_id: String<CALL_ID>,
    pub local_tag: String<16>,
    /// Our address in From or To: a URI.
    pub local_uri: String<URI>,
    /// The peer's address in To or From: a URI.
    pub remote_uri: String<URI>,
    /// Where an INVITE of ours goes.
    pub request_uri: String<URI>,
    pub withhold: bool,
    /// Our sequence number, of the last request.
    pub cseq: u32,
    /// The sequence number of our last INVITE, which ACK and CANCEL repeat.
    pub invite_cseq: u32,
    /// Of the peer's INVITE or re-INVITE that waits for an ACK.
    pub their_invite_cseq: u32,
    /// Our last INVITE: to be cancelled or acknowledged.
    pub invite: Option<TransactionId>,
    /// The dialog that counts, in the pool.
    pub dialog: Option<usize>,
    pub negotiation: Negotiation,
    /// The first offer has its answer: the session has begun.
    pub agreed: bool,
    /// The peer's request that is not answered yet.
    pub waiting: Option<Waiting>,
    /// Our new offer cannot go yet: sent when it may. Not before `retry_at`, if set (section 14.1, after 491).
    pub offer_queued: bool,
    /// The offer that waits or is under way only refreshes the session.
    pub refreshing: bool,
    pub retry_at: Option<Instant>,
    /// Tell the glue that an offer with the new address is wanted, then at the latest.
    pub address_changed: Option<Instant>,
    /// UPDATE or PRACK with an offer that came while the INVITE itself waits.
    pub waiting_update: Option<TransactionId>,
    /// Our 2xx that was not acknowledged yet.
    pub unacknowledged: Option<TransactionId>,
    pub reliable: Option<Reliable>,
    /// The caller requires reliable provisional answers.
    pub must_be_reliable: bool,
    pub rseq: u32,
    /// Said to ring, and when to say so again (section 13.3.1.1), or as soon as the outstanding PRACK is here.
    pub ring_again: Option<Instant>,
    /// An incoming call nobody answers ends then (section 13.3.1, Expires).
    pub ring_until: Option<Instant>,
    pub ring_queued: bool,
    pub answer_queued: bool,
    pub bye_queued: bool,
    pub timer: Option<SessionTimer>,
    /// What we ask for; raised by 422.
    pub session_expires: Duration,
    pub redirects: u8,
    pub failovers: u8,
    /// The peer had 180 or an early session: not told twice.
    pub told_trying: bool,
    /// Ended was told.
    pub over: bool,
    /// Free at the latest then.
    pub free_at: Option<Instant>,
    /// We asked for a transfer and wait for notices.
    pub transferring: bool,
    /// Whom the transfer is to: a number, or the peer of another call of ours.
    pub transfer_number: Number,
    pub transfer_to: Option<CallId>,
    /// The peer asked for one.
    pub referral: Option<Referral>,
    /// This call was asked for by a transfer in that one.
    pub referred_by: Option<CallId>,
    /// Takes the place of that call of ours when it is answered (RFC 3891).
    pub replaces: Option<CallId>,
}

/// A request of the peer that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub server: TransactionId,
    pub kind: WaitingKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitingKind {
    /// The first INVITE, or a re-INVITE.
    Invite,
    /// UPDATE or PRACK with an offer: no ACK follows.
    Other,
}

/// RFC 4028 section 5: nobody may ask for less.
pub(crate) const MIN_SE: u32 = 90;

impl Call {
    pub(crate) fn new(id: CallId, account: u8, number: u8, is_outgoing: bool) -> Self {
        Self {
            id,
            account,
            number,
            is_outgoing,
            state: State::Incoming,
            call_id: String::new(),
            local_tag: String::new(),
            local_uri: String::new(),
            remote_uri: String::new(),
            request_uri: String::new(),
            withhold: false,
            cseq: 0,
            invite_cseq: 0,
            their_invite_cseq: 0,
            invite: None,
            dialog: None,
            negotiation: Negotiation::Stable,
            agreed: false,
            waiting: None,
            offer_queued: false,
            refreshing: false,
            retry_at: None,
            address_changed: None,
            waiting_update: None,
            unacknowledged: None,
            reliable: None,
            must_be_reliable: false,
            rseq: 0,
            ring_again: None,
            ring_until: None,
            ring_queued: false,
            answer_queued: false,
            bye_queued: false,
            timer: None,
            session_expires: Duration::ZERO,
            redirects: 0,
            failovers: 0,
            told_trying: false,
            over: false,
            free_at: None,
            transferring: false,
            transfer_number: Number::new(),
            transfer_to: None,
            referral: None,
            referred_by: None,
            replaces: None,
        }
    }

    /// Both talk, or are about to: requests inside of the dialog may go.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Established | State::Answered)
    }

    /// The session timer a request of the peer asks for (RFC 4028 section 9). Without one, ours, if the peer can.
    pub(crate) fn take_timer_of_request(&mut self, now: Instant, request: &Message<'_>, own: Duration) {
        let can = request.has_token(Name::Supported, "timer") || request.has_token(Name::Require, "timer");
        let asked = request.session_expires().ok().flatten();
        let (seconds, ours) = match asked {
            Some(asked) if can => (asked.seconds, asked.refresher == Some(Refresher::Uas)),
            // A proxy wants it and the caller cannot: the work is ours.
            Some(asked) => (asked.seconds.max(MIN_SE), true),
            None if can && own > Duration::ZERO => (own.as_secs() as u32, true),
            None => {
                self.timer = None;
                return;
            }
        };
        let own = if own > Duration::ZERO { own.as_secs() as u32 } else { seconds };
        let least = request.min_se().unwrap_or(MIN_SE).max(MIN_SE);
        let seconds = seconds.min(own.max(least)).max(least);
        self.start_timer(now, Duration::from_secs(u64::from(seconds)), ours);
    }

    /// The session timer the answer to a request of ours agreed to (section 7.2).
    pub(crate) fn take_timer_of_response(&mut self, now: Instant, response: &Message<'_>) {
        match response.session_expires().ok().flatten() {
            Some(agreed) => {
                let interval = Duration::from_secs(u64::from(agreed.seconds.max(MIN_SE)));
                self.start_timer(now, interval, agreed.refresher != Some(Refresher::Uas));
            }
            None => self.timer = None,
        }
    }

    fn start_timer(&mut self, now: Instant, interval: Duration, ours: bool) {
        let wait = if ours { interval.scaled(1, 2) } else { interval - grace(interval) };
        self.timer = Some(SessionTimer { interval, ours, due: now + wait });
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = match self.state {
            State::Waiting(until) => Some(until),
            _ => None,
        };
        let timer = self.timer.map(|timer| timer.due);
        [waiting, timer, self.retry_at, self.address_changed, self.ring_again, self.ring_until, self.free_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The rest of a session's interval in which a peer that has not refreshed it is given up (RFC 4028 section 10).
fn grace(interval: Duration) -> Duration {
    interval.scaled(1, 3).min(Duration::from_secs(32))
}
