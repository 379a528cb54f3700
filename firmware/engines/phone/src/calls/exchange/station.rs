//! A station: what the person at one telephone is doing.

use dialtone_base::Instant;
use dialtone_base::telephony::{CallId, Number};
use heapless::Vec;

use crate::calls::output::{RingPattern, Tone, Voice};

/// What the person is doing. Ringing is no stage: a receiver that is down rings while a call is offered to the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The receiver is down.
    #[default]
    OnHook,
    /// Dial tone, or digits.
    Dialling,
    /// The active call is not answered yet.
    Calling,
    /// The active call is answered.
    Talking,
    /// It did not work, or they hung up.
    Tone(Tone),
    /// A feature was switched.
    Confirmed,
    /// The receiver lies beside the telephone.
    Howling,
    /// And nobody came: line lockout.
    Silent,
}

/// One telephone.
#[derive(Debug, Default)]
pub(super) struct Station {
    pub stage: Stage,
    /// The call the person is in, calling or talking.
    pub active: Option<CallId>,
    /// The other call, held, or the conference's second.
    pub held: Option<CallId>,
    /// A second caller who was announced.
    pub waiting: Option<CallId>,
    /// Active and held are both heard.
    pub conference: bool,
    /// Digits so far.
    pub digits: Number,
    /// `*67`, `*68` for the next call.
    pub withhold_once: Option<bool>,
    /// `*70` for the next call, and during it.
    pub no_call_waiting: bool,
    /// When the stage is over.
    pub deadline: Option<Instant>,
    /// When the waiting call is announced again.
    pub announce_again: Option<Instant>,
    /// Until then a digit says what the flash meant.
    pub refine_until: Option<Instant>,
    /// Until then callers get through whatever is set: the line called for help.
    pub help_until: Option<Instant>,
    pub last_dialled: Number,
    pub last_missed: Number,
    pub last_caller: Number,
    pub told: Told,
}

/// What the line and the voice path were told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub tone: Option<Tone>,
    pub with: Vec<Voice, 2>,
    pub ringing: Option<(CallId, RingPattern)>,
    pub reversed: bool,
    pub messages: bool,
}

impl Station {
    pub(super) fn is_off_hook(&self) -> bool {
        self.stage != Stage::OnHook
    }

    /// Whether this call is heard here.
    pub(super) fn hears(&self, call: CallId) -> bool {
        let both = self.conference && self.held == Some(call);
        matches!(self.stage, Stage::Talking | Stage::Calling) && (self.active == Some(call) || both)
    }
}
