//! Star codes: what people dial to switch a feature or to use one.
//!
//! One table; docs/star-codes.md says the same in people's words, and a test keeps both equal. After a flash with two calls one digit does
//! what ETSI's register recall does ([`RECALL_KEYS`]).

use dialtone_base::telephony::Key;

/// One star code.
#[derive(Debug, PartialEq, Eq)]
pub struct StarCode {
    /// What is dialled.
    pub code: &'static str,
    /// Whether a number follows; `#` or a pause ends it.
    pub takes_number: bool,
    /// What it does.
    pub action: Action,
    /// What it does, for people.
    pub what: &'static str,
    /// What is heard then.
    pub answer: Answer,
}

/// What a star code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call the last dialled number again.
    Redial,
    /// Call back who was missed last, or who called last.
    CallReturn,
    /// Hide the number in the next call, or show it.
    WithholdOnce(bool),
    /// Hide the number in every call, or no more.
    Withhold(bool),
    /// No call waiting in the next call.
    NoCallWaitingOnce,
    /// Call waiting.
    CallWaiting(bool),
    /// Do not disturb.
    DoNotDisturb(bool),
    /// Refuse callers without a number.
    RejectAnonymous(bool),
    /// Forward every call to the number that follows.
    ForwardAlways,
    /// No more.
    ForwardAlwaysOff,
    /// Forward while busy.
    ForwardBusy,
    /// No more.
    ForwardBusyOff,
    /// Forward when nobody answers.
    ForwardNoAnswer,
    /// No more.
    ForwardNoAnswerOff,
    /// Send the held call to the number that follows.
    Transfer,
}

/// What is heard after a star code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The confirmation tone, then dial tone.
    Confirmation,
    /// Dial tone: the number is dialled now.
    DialTone,
    /// The call itself.
    Call,
}

/// The code `dialled` begins with, and what follows it.
pub fn find(dialled: &str) -> Option<(&'static StarCode, &str)> {
    STAR_CODES.iter().find_map(|code| Some((code, dialled.strip_prefix(code.code)?)))
}

/// Whether more digits could make `dialled` a code.
pub fn begins(dialled: &str) -> bool {
    STAR_CODES.iter().any(|code| code.code.starts_with(dialled))
}

/// Every star code.
pub const STAR_CODES: &[StarCode] = &[
    code("*66", Action::Redial, "Call the number dialled last again", Answer::Call),
    code(
        "*69",
        Action::CallReturn,
        "Call back the last missed caller, or the last caller when none was missed",
        Answer::Call,
    ),
    code("*67", Action::WithholdOnce(true), "Hide your number in the next call", Answer::DialTone),
    code("*68", Action::WithholdOnce(false), "Show your number in the next call", Answer::DialTone),
    code("*81", Action::Withhold(true), "Hide your number in every call", Answer::Confirmation),
    code("*82", Action::Withhold(false), "Show your number again", Answer::Confirmation),
    code("*70", Action::NoCallWaitingOnce, "No call waiting during the next call", Answer::DialTone),
    code("*56", Action::CallWaiting(true), "Call waiting on", Answer::Confirmation),
    code("*57", Action::CallWaiting(false), "Call waiting off", Answer::Confirmation),
    code(
        "*78",
        Action::DoNotDisturb(true),
        "Do not disturb on: the telephone does not ring",
        Answer::Confirmation,
    ),
    code("*79", Action::DoNotDisturb(false), "Do not disturb off", Answer::Confirmation),
    code("*77", Action::RejectAnonymous(true), "Refuse callers who hide their number", Answer::Confirmation),
    code("*87", Action::RejectAnonymous(false), "Take all callers again", Answer::Confirmation),
    with_number("*72", Action::ForwardAlways, "Forward every call to the number", Answer::Confirmation),
    code("*73", Action::ForwardAlwaysOff, "Forward every call: off", Answer::Confirmation),
    with_number(
        "*90",
        Action::ForwardBusy,
        "Forward calls to the number while you talk",
        Answer::Confirmation,
    ),
    code("*91", Action::ForwardBusyOff, "Forward while you talk: off", Answer::Confirmation),
    with_number(
        "*92",
        Action::ForwardNoAnswer,
        "Forward calls to the number when you do not answer",
        Answer::Confirmation,
    ),
    code("*93", Action::ForwardNoAnswerOff, "Forward when you do not answer: off", Answer::Confirmation),
    with_number(
        "*98",
        Action::Transfer,
        "After a flash: send the held caller to the number",
        Answer::Confirmation,
    ),
];

/// What a digit within three seconds after a flash does, while there are two calls.
pub const RECALL_KEYS: &[(Key, Recall, &str)] = &[
    (key(0), Recall::EndThis, "End the call you just came to and go back to the other"),
    (key(1), Recall::EndOther, "End the call you just left and stay here"),
    (key(2), Recall::Stay, "Nothing more: flash alone has changed between the calls"),
    (key(3), Recall::Conference, "Talk with both"),
    (key(4), Recall::Transfer, "Join both with each other; you are out"),
];

/// What a digit after a flash does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// End the active call, go back to the held one.
    EndThis,
    /// End the held call.
    EndOther,
    /// The flash has done it.
    Stay,
    /// Three-way conference.
    Conference,
    /// Join both.
    Transfer,
}

const fn code(code: &'static str, action: Action, what: &'static str, answer: Answer) -> StarCode {
    StarCode { code, takes_number: false, action, what, answer }
}

const fn with_number(code: &'static str, action: Action, what: &'static str, answer: Answer) -> StarCode {
    StarCode { code, takes_number: true, action, what, answer }
}

const fn key(digit: u8) -> Key {
    match Key::from_event(digit) {
        Some(key) => key,
        None => panic!("a digit is a key"),
    }
}
