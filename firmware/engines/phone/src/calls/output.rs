//! What the lines, the network and the voice path shall do.

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, Key, LineId, Number, Party};
use heapless::Vec;

use super::cause::Cause;
use crate::call_log::Entry;

/// One order of the exchange.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the signalling of a line.
    Line {
        /// Which line.
        line: LineId,
        /// What it shall do.
        order: LineOrder,
    },
    /// For the voice path: what this line's receiver is joined with from now on. Nothing: the line hears only its tones. Two: the
    /// line mixes, and each of the two hears the line and the other one (three-way conference). Replaces what was joined before.
    Connect {
        /// Which line.
        line: LineId,
        /// Whom it talks with.
        with: Vec<Voice, 2>,
    },
    /// For whoever carries calls.
    Call {
        /// Which call.
        call: CallId,
        /// What to do with it.
        order: CallOrder,
    },
    /// A feature was switched at the telephone: to be kept in the settings.
    Change(FeatureChange),
    /// Two people talk from now on.
    Began {
        /// The line that called, or took the call.
        line: LineId,
        /// With whom; empty when they withhold it.
        number: Number,
        /// They called us.
        incoming: bool,
    },
    /// A call is over: one line of the call log.
    Log {
        /// Which; `None` when it never began.
        call: Option<CallId>,
        /// What is to be remembered of it.
        entry: Entry,
    },
    /// Nothing to do until this instant, or until the next input.
    Wait(Option<Instant>),
}

/// What a line's receiver can be joined with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A call over the network.
    Call(CallId),
    /// Another line of this router.
    Line(LineId),
}

/// For the signalling of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOrder {
    /// Play this tone until told otherwise, instead of what was played. Voice that is joined at the same time is not heard.
    Tone(Tone),
    /// Play nothing; voice that is joined is heard.
    Silence,
    /// Ring, with the caller's number and name.
    Ring {
        /// How.
        pattern: RingPattern,
        /// Whom to show.
        caller: Party,
    },
    /// Ring no more.
    StopRing,
    /// In a call: one call-waiting tone, then the second caller's number and name.
    CallWaiting {
        /// Whom to show.
        caller: Party,
        /// The tone comes again for the same caller: without number and name.
        again: bool,
    },
    /// Tell an answering machine or an old telephone that the other end hung up: loop current off for a moment.
    Disconnect,
    /// Turn the polarity of the wires: reversed while an outgoing call is answered, where the country does that.
    Polarity {
        /// The other way round.
        reversed: bool,
    },
    /// The message lamp, or its data message to the telephone (on-hook).
    MessageWaiting(bool),
}

/// What is played to the person at the telephone; frequencies and cadence are the country's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Dial.
    Dial,
    /// Dial; messages wait, or a forwarding is on.
    StutterDial,
    /// Dial for a second call, while another is held.
    RecallDial,
    /// Lifted, but no account works: calls in the home and emergency calls only.
    NoService,
    /// It rings there.
    Ringback,
    /// They talk.
    Busy,
    /// The network could not (reorder).
    Congestion,
    /// No such number (SIT).
    SpecialInformation,
    /// Done: a feature was switched.
    Confirmation,
    /// The receiver lies beside the telephone.
    Howler,
}

/// How a telephone rings: 0 as usual, 1 to 8 distinctive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RingPattern(pub u8);

/// For whoever carries calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOrder {
    /// Begin this call. Its number is new and odd.
    Dial {
        /// By this account: position in [`Config::accounts`](super::Config::accounts).
        account: u8,
        /// Whom to call: digits as the operator wants them.
        to: Number,
        /// Which of the account's numbers calls. `None`: the account's first.
        from: Option<Number>,
        /// Hide our number (RFC 3323 `Privacy: id`). Never for an emergency.
        withhold: bool,
        /// Somebody needs help: goes before everything else.
        emergency: bool,
        /// Because the other end of this call asked for it (REFER): what the request said beyond the number applies, and they are told
        /// how it goes.
        referred: Option<CallId>,
    },
    /// Tell the caller that it rings (180).
    Alert,
    /// Take the call (200).
    Answer,
    /// Refuse an incoming call.
    Reject(Cause),
    /// Send the caller elsewhere (302).
    Redirect(Number),
    /// Put the other end on hold.
    Hold,
    /// Take it back.
    Resume,
    /// End the call, whatever its state: BYE, or CANCEL before the answer.
    HangUp,
    /// Ask the other end to call this number instead of us (REFER).
    Transfer(Number),
    /// Ask the other end to take our place in that call (REFER with Replaces).
    TransferTo(CallId),
    /// Say no to a transfer the other end asked for (603 to its REFER).
    RefuseTransfer,
    /// A key pressed in the call (RFC 4733, or INFO, or the tone itself).
    Key(Key),
}

/// A feature was switched at a telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureChange {
    /// On which line.
    pub line: LineId,
    /// What, and how it is now.
    pub feature: Feature,
}

/// A feature of a line that a star code switches, with its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Call waiting.
    CallWaiting(bool),
    /// Do not disturb.
    DoNotDisturb(bool),
    /// Forward every call; `None`: off.
    ForwardAlways(Option<Number>),
    /// Forward while busy; `None`: off.
    ForwardBusy(Option<Number>),
    /// Forward when nobody answers; `None`: off.
    ForwardNoAnswer(Option<Number>),
    /// Hide our number in every call.
    WithholdNumber(bool),
    /// Refuse callers who hide theirs.
    RejectAnonymous(bool),
}
