//! The telephone: accounts with operators, lines, number rules, the phone book. Words of TR-104 where it has them.
//!
//! Positions matter: a line's `account` counts the accounts from 0, line 0 is the board's first socket.

use dialtone_base::digit_map::DigitMapText;
use dialtone_base::telephony::{DisplayName, LineId, Number};
use dialtone_base::text::Text;
use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::yes;
use crate::secret::Secret;

/// Accounts at most.
pub const ACCOUNTS: usize = 8;
/// Numbers of one account at most.
pub const NUMBERS: usize = 8;
/// Codecs there are.
pub const CODECS: usize = 4;
/// Number rules at most.
pub const NUMBER_RULES: usize = 32;
/// Entries of the phone book at most.
pub const PHONE_BOOK: usize = 100;

/// The telephone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telephony {
    /// Whose tones, rings, emergency numbers and dialling habits: ISO 3166-1, two letters.
    pub country: Text<2>,
    /// When a dialled number is complete; empty: as the country dials.
    pub digit_map: DigitMapText,
    /// Seconds of dial tone without a digit, 5 to 60.
    pub first_digit_seconds: u8,
    /// Seconds after a digit while more are needed, 2 to 30.
    pub inter_digit_seconds: u8,
    /// Accounts with operators.
    pub accounts: Vec<Account, ACCOUNTS>,
    /// The board's lines, first socket first.
    pub lines: Vec<Line, { LineId::LIMIT }>,
    /// Which account for which number, and which numbers not at all; the longest prefix decides.
    pub rules: Vec<NumberRule, NUMBER_RULES>,
    /// Names and short codes.
    pub phone_book: Vec<PhoneBookEntry, PHONE_BOOK>,
}

/// An account with an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// For people.
    #[serde(default)]
    pub name: DisplayName,
    /// Off keeps it without using it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The operator's domain: what stands behind the @ of its numbers.
    pub domain: Text<127>,
    /// Where to register and send calls when the domain's DNS does not say: a name or an address, with `:port` if need be.
    #[serde(default)]
    pub outbound_proxy: Text<127>,
    /// How to reach it.
    #[serde(default)]
    pub transport: Transport,
    /// Its numbers (user parts); the first is shown to those we call.
    pub numbers: Vec<Number, NUMBERS>,
    /// The name the password belongs to. Empty: the number itself.
    #[serde(default)]
    pub auth_user_name: Text<63>,
    /// Shown as `********`, and never told.
    #[serde(default)]
    pub auth_password: Secret,
    /// Our name as those we call see it.
    #[serde(default)]
    pub display_name: DisplayName,
    /// How long a registration lasts, in seconds, 60 to 86400.
    #[serde(default = "an_hour")]
    pub register_expires: u32,
    /// Codecs, best first.
    #[serde(default = "all_codecs")]
    pub codecs: Vec<Codec, CODECS>,
    /// How keys pressed in a call travel.
    #[serde(default)]
    pub dtmf_method: DtmfMethod,
    /// Silence is not sent (RFC 3389).
    #[serde(default)]
    pub silence_suppression: bool,
    /// Numbers are sent in the international form with `+`.
    #[serde(default)]
    pub international_format: bool,
    /// Take calls from others than the operator's servers.
    #[serde(default)]
    pub accept_strangers: bool,
}

/// How SIP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// As the domain's DNS says (RFC 3263).
    #[default]
    Auto,
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// A voice codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Opus.
    Opus,
    /// G.722: wideband.
    G722,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

/// How keys pressed in a call travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtmfMethod {
    /// As events (RFC 4733) when the far end knows them, in the sound otherwise.
    #[default]
    Auto,
    /// By SIP INFO when the far end does not know events.
    Info,
    /// In the sound, always.
    Inband,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    /// For people; the other lines see it when this one calls.
    pub name: DisplayName,
    /// Off: only emergency calls.
    pub enabled: bool,
    /// Calls go out by this account, counted from 0.
    pub account: u8,
    /// Which of that account's numbers calls. Empty: its first.
    pub number: Number,
    /// Numbers that ring here. Empty: all.
    pub incoming: Vec<Number, NUMBERS>,
    /// A second caller is announced in a call.
    pub call_waiting: bool,
    /// Does not ring.
    pub do_not_disturb: bool,
    /// Every call goes there instead. Empty: none does.
    pub forward_always: Number,
    /// Calls go there while the line is busy. Empty: none does.
    pub forward_busy: Number,
    /// Calls nobody takes go there. Empty: none does.
    pub forward_no_answer: Number,
    /// After so many seconds, 5 to 120.
    pub forward_no_answer_seconds: u8,
    /// Our number is hidden in every call.
    pub withhold_number: bool,
    /// Callers who hide theirs are refused.
    pub reject_anonymous: bool,
    /// Only emergency calls and calls in the home go out.
    pub blocked: bool,
    /// Laying down the receiver with two calls joins them with each other.
    pub transfer_on_hang_up: bool,
    /// Louder or softer towards the far end, in decibels, -12 to 12.
    pub transmit_gain: i8,
    /// Louder or softer towards the handset, in decibels, -12 to 12.
    pub receive_gain: i8,
    /// Take the line's echo away.
    pub echo_cancellation: bool,
    /// Tell the telephone who calls.
    pub caller_id: CallerId,
    /// Understand pulse dialling.
    pub pulse_dialling: bool,
    /// A flash opens the loop for so many milliseconds at least and at most. `None`: as in the country.
    pub flash_millis: Option<(u16, u16)>,
}

/// How a line tells its telephone who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerId {
    /// As the country does.
    #[default]
    Country,
    /// Not at all.
    Off,
    /// Bellcore FSK between the first ring and the second.
    Bellcore,
    /// ETSI FSK (V.23) between the first ring and the second.
    Etsi,
    /// Keys: DTMF before the first ring.
    Dtmf,
}

/// A rule for numbers that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRule {
    /// Digits in front. Empty: every number.
    pub prefix: Number,
    /// Such a number is not dialled. Emergency numbers always are.
    #[serde(default)]
    pub block: bool,
    /// By this account, counted from 0. `None`: the line's own.
    #[serde(default)]
    pub account: Option<u8>,
    /// Digits taken away in front.
    #[serde(default)]
    pub strip: u8,
    /// Digits put in front then.
    #[serde(default)]
    pub prepend: Number,
}

/// One entry of the phone book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneBookEntry {
    /// Who.
    pub name: DisplayName,
    /// Their number as it is dialled.
    pub number: Number,
    /// Short code, 1 to 99. `None`: none.
    #[serde(default)]
    pub short_code: Option<u8>,
    /// Rings in this distinctive pattern, 1 to 7. 0: as usual.
    #[serde(default)]
    pub ring: u8,
}

impl Default for Telephony {
    fn default() -> Self {
        Self {
            country: Text::lossy("US"),
            digit_map: DigitMapText::new(),
            first_digit_seconds: 15,
            inter_digit_seconds: 6,
            accounts: Vec::new(),
            lines: [Line::default(), Line::default()].into_iter().collect(),
            rules: Vec::new(),
            phone_book: Vec::new(),
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self {
            name: DisplayName::new(),
            enabled: true,
            account: 0,
            number: Number::new(),
            incoming: Vec::new(),
            call_waiting: true,
            do_not_disturb: false,
            forward_always: Number::new(),
            forward_busy: Number::new(),
            forward_no_answer: Number::new(),
            forward_no_answer_seconds: 20,
            withhold_number: false,
            reject_anonymous: false,
            blocked: false,
            transfer_on_hang_up: true,
            transmit_gain: 0,
            receive_gain: 0,
            echo_cancellation: true,
            caller_id: CallerId::Country,
            pulse_dialling: true,
            flash_millis: None,
        }
    }
}

fn an_hour() -> u32 {
    3600
}

/// All of them, the widest first; G.711 in the order most networks like.
fn all_codecs() -> Vec<Codec, CODECS> {
    [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu].into_iter().collect()
}
