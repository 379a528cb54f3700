//! What the household and the operator set, as the exchange needs it.
//!
//! Plain values, made by `services` from the settings. Positions matter: account 0 is the first of [`Config::accounts`], `LineId(0)` the
//! first of [`Config::lines`].

use dialtone_base::Duration;
use dialtone_base::digit_map::DigitMap;
use dialtone_base::telephony::{DisplayName, LineId, Number};
use heapless::Vec;

use super::output::RingPattern;
use crate::phone_book::PhoneBook;

/// Accounts at most.
pub const ACCOUNTS: usize = 8;
/// Numbers of one account, or that ring one line, at most.
pub const NUMBERS: usize = 8;
/// Emergency numbers of one country at most.
pub const EMERGENCY: usize = 16;
/// Number rules at most.
pub const RULES: usize = 32;

/// Everything that is set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Numbers that save lives, by country; always dialled, whatever else is set.
    pub emergency: Vec<&'static str, EMERGENCY>,
    /// How numbers are written where the router stands.
    pub numbering: Numbering,
    /// Accounts with operators.
    pub accounts: Vec<Account, ACCOUNTS>,
    /// Lines of the board.
    pub lines: Vec<Line, { LineId::LIMIT }>,
    /// When a dialled number is complete.
    pub digit_map: DigitMap,
    /// Rules for numbers; the longest prefix decides.
    pub rules: Vec<Rule, RULES>,
    /// Names, short codes, rings.
    pub book: PhoneBook,
    /// How long things last.
    pub timing: Timing,
    /// Calls over the network at the same time, 1 to [`CALLS`](super::exchange::CALLS). An emergency takes the place of another.
    pub outside_calls: u8,
}

/// How numbers are written where the router stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// `49`, `1`, `81`.
    pub country_code: &'static str,
    /// Dialled before a country code: `00`, `011`, `010`.
    pub international_prefix: &'static str,
    /// Dialled before an area code: `0`, `1`; empty where there is none.
    pub national_prefix: &'static str,
}

/// An account with an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// For people.
    pub name: DisplayName,
    /// Off keeps it without using it.
    pub enabled: bool,
    /// Its numbers; the first is shown to those we call.
    pub numbers: Vec<Number, NUMBERS>,
    /// How numbers are sent to this operator.
    pub format: NumberFormat,
    /// Ring pattern for calls to this account.
    pub ring: RingPattern,
    /// Calls at the same time; 0: no limit of its own.
    pub calls: u8,
}

/// How an operator wants numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// As dialled.
    #[default]
    AsDialled,
    /// International with `+` (E.164).
    Plus,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// For people; callers from other lines show it.
    pub name: DisplayName,
    /// Off: the socket is dead, except for emergency calls.
    pub enabled: bool,
    /// Calls go out by this account: position in [`Config::accounts`].
    pub account: u8,
    /// Which of that account's numbers calls. `None`: the first.
    pub number: Option<Number>,
    /// Numbers that ring here. Empty: all.
    pub incoming: Vec<Number, NUMBERS>,
    /// Ring pattern of this line, unless the caller or the account has one.
    pub ring: RingPattern,
    /// A second caller is announced in a call.
    pub call_waiting: bool,
    /// Does not ring.
    pub do_not_disturb: bool,
    /// Where calls go instead.
    pub forwarding: Forwarding,
    /// Our number is hidden in every call.
    pub withhold_number: bool,
    /// Callers who hide theirs are refused.
    pub reject_anonymous: bool,
    /// Putting the receiver down with two calls joins these with each other; otherwise the held call rings back.
    pub transfer_on_hang_up: bool,
    /// Nothing is sent out but emergency calls: for a child's or a guest's telephone.
    pub blocked: bool,
}

/// Where calls go instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Every call.
    pub always: Option<Number>,
    /// When the line is busy.
    pub busy: Option<Number>,
    /// When nobody answers.
    pub no_answer: Option<Number>,
    /// After this many seconds; 0: 20.
    pub no_answer_seconds: u8,
}

/// A rule for numbers that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Digits in front; `+` for any international number. Empty: every number.
    pub prefix: Number,
    /// What happens to such a number.
    pub action: RuleAction,
}

/// What happens to a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// It is not dialled.
    Block,
    /// It is dialled this way.
    Route {
        /// By this account; `None`: the line's own.
        account: Option<u8>,
        /// Digits taken away in front.
        strip: u8,
        /// Digits put in front then.
        prepend: Number,
    },
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Dial tone without a digit.
    pub first_digit: Duration,
    /// After a digit, while more are needed.
    pub inter_digit: Duration,
    /// After a digit, when the number could be complete (`T` in the digit map).
    pub short_inter_digit: Duration,
    /// Busy, congestion and their like, before the howler.
    pub busy_tone: Duration,
    /// The howler, before the line falls silent until the receiver is down.
    pub howler: Duration,
    /// An incoming call rings this long at most.
    pub ring: Duration,
    /// An outgoing call is given up without an answer after this long.
    pub ringback: Duration,
    /// A confirmation is heard this long, then dial tone.
    pub confirmation: Duration,
    /// The call-waiting tone comes again.
    pub call_waiting_repeat: Duration,
    /// A transferred or held call rings back this long before it is given up.
    pub recall: Duration,
    /// Callers get through to a line this long after its emergency call, whatever is set.
    pub emergency_callback: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            name: DisplayName::new(),
            enabled: true,
            account: 0,
            number: None,
            incoming: Vec::new(),
            ring: RingPattern(0),
            call_waiting: true,
            do_not_disturb: false,
            forwarding: Forwarding::default(),
            withhold_number: false,
            reject_anonymous: false,
            transfer_on_hang_up: true,
            blocked: false,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            first_digit: seconds(15),
            inter_digit: seconds(6),
            short_inter_digit: seconds(3),
            busy_tone: seconds(30),
            howler: seconds(60),
            ring: seconds(120),
            ringback: seconds(180),
            confirmation: seconds(2),
            call_waiting_repeat: seconds(10),
            recall: seconds(60),
            emergency_callback: seconds(1800),
        }
    }
}

impl Default for Numbering {
    fn default() -> Self {
        Self { country_code: "", international_prefix: "00", national_prefix: "0" }
    }
}

impl Default for Config {
    /// Two lines, no account, the European emergency number.
    fn default() -> Self {
        Self {
            emergency: ["112"].into_iter().collect(),
            numbering: Numbering::default(),
            accounts: Vec::new(),
            lines: [Line::default(), Line::default()].into_iter().collect(),
            digit_map: DigitMap::default(),
            rules: Vec::new(),
            book: PhoneBook::new(),
            timing: Timing::default(),
            outside_calls: 4,
        }
    }
}
