//! What a line or the network reports to the exchange.

use alloc::boxed::Box;

use dialtone_base::telephony::{CallId, Key, LineId, Number, Party};
use dialtone_base::time::UnixTime;

use super::cause::Cause;
use super::config::Config;

/// One report.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody did something at a telephone.
    Line {
        /// Whose.
        line: LineId,
        /// What.
        event: LineEvent,
    },
    /// A call comes in. It is new: its number was never used before and is even.
    Incoming {
        /// The call from now on.
        call: CallId,
        /// The account it came by: position in [`Config::accounts`].
        account: u8,
        /// Which of the account's numbers was called (user part of the request's URI).
        called: Number,
        /// Who calls, as far as the network says.
        from: Party,
        /// How the caller's network wants it to ring (`Alert-Info`).
        alert: Alert,
        /// The call it takes the place of (RFC 3891); it is answered at once and the old one hung up.
        replaces: Option<CallId>,
    },
    /// An outgoing call goes ahead.
    Progress {
        /// Which.
        call: CallId,
        /// How far it is.
        progress: Progress,
    },
    /// The other end answered an outgoing call.
    Answered {
        /// Which.
        call: CallId,
    },
    /// A call is over, whoever ended it, or could not be made. The last word about this call; also the reply to
    /// [`CallOrder::HangUp`](super::CallOrder::HangUp) and [`CallOrder::Reject`](super::CallOrder::Reject), where it may be left out.
    Ended {
        /// Which.
        call: CallId,
        /// Why.
        cause: Cause,
    },
    /// The other end put us on hold, or took us back.
    HeldByPeer {
        /// Which.
        call: CallId,
        /// Whether we are held now.
        held: bool,
    },
    /// The other end learned of a better name for itself (P-Asserted-Identity in an answer or an UPDATE).
    Identified {
        /// Which.
        call: CallId,
        /// Who is there now.
        party: Party,
    },
    /// The other end asks us to call somebody else instead (REFER, RFC 3515).
    TransferRequested {
        /// The call they asked in.
        call: CallId,
        /// The number to call; what else the request says (Replaces) stays with the carrier.
        to: Number,
    },
    /// How a transfer goes that we asked for (NOTIFY with a sipfrag, RFC 3515 section 2.4.5).
    Transfer {
        /// The call we asked in.
        call: CallId,
        /// How it goes.
        progress: TransferProgress,
    },
    /// How many new messages wait for an account (RFC 3842).
    MessageWaiting {
        /// Position in [`Config::accounts`].
        account: u8,
        /// New messages; 0: none.
        new: u16,
    },
    /// An account can be used, or cannot.
    Registration {
        /// Position in [`Config::accounts`].
        account: u8,
        /// Whether calls can be made by it now.
        up: bool,
    },
    /// What time it is: from then on log entries carry a date.
    Clock(UnixTime),
    /// Settings changed. Calls in progress stay; calls of accounts that are gone are ended.
    Configure(Box<Config>),
}

/// What somebody did at a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEvent {
    /// The receiver was lifted.
    OffHook,
    /// The receiver was put down.
    OnHook,
    /// The hook was tapped, or the flash key pressed.
    Flash,
    /// A key was pressed, or dialled by pulses.
    Key(Key),
}

/// How a call shall ring, as the caller's network asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alert {
    /// As usual.
    #[default]
    Normal,
    /// A pattern, 1 to 8 (`Bellcore-dr1` and its like).
    Pattern(u8),
}

/// How far an outgoing call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The network works on it (100).
    Trying,
    /// It rings there (180).
    Ringing,
    /// The network itself sends the sound to hear (183, or 180 with sound).
    EarlyMedia,
}

/// How a transfer goes that we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferProgress {
    /// The other end tries.
    Trying,
    /// It is done: our call can be hung up.
    Done,
    /// It did not work, or they refused to try.
    Failed,
}
