//! The dial plan: when digits are a number, and where that number leads.
//!
//! In this order: emergency numbers, telephones of the home (`**1`, `**9`), the phone book (`**701`), star codes, the digit map and the number
//! rules. Emergency numbers come first and no rule is asked about them. A rule's prefix is compared with every way the dialled number
//! can be written (national, international), so that `0049900…` does not slip through a rule for `0900`.
//! Does not know which account works at the moment.

use core::fmt::Write;

use dialtone_base::digit_map::Match;
use dialtone_base::telephony::{LineId, Number};

use super::config::{Config, NumberFormat, Numbering, Rule, RuleAction};
use super::features::{self, StarCode};

/// How the exchange goes on after a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// More digits are needed.
    More,
    /// It is a number, but could become a longer one.
    CouldEnd,
    /// It is a number.
    Complete,
    /// It never becomes a number.
    Never,
}

/// Where a number leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// Help: by any account that works.
    Emergency(Number),
    /// Another telephone of the home.
    Inside(LineId),
    /// All other telephones of the home.
    Group,
    /// A star code, with the digits behind it.
    Feature(&'static StarCode, Number),
    /// Over the network.
    Outside {
        /// By this account.
        account: u8,
        /// As this account's operator wants it.
        to: Number,
    },
    /// A rule forbids it.
    Blocked,
    /// No such number.
    Unknown,
}

/// Whether `digits` are complete.
pub fn collect(config: &Config, digits: &str) -> Collect {
    if is_emergency(config, digits) {
        let longer = |number: &&str| number.len() > digits.len() && number.starts_with(digits);
        return if config.emergency.iter().any(longer) { Collect::CouldEnd } else { Collect::Complete };
    }
    if config.emergency.iter().any(|number| !digits.is_empty() && number.starts_with(digits)) {
        // A digit map cannot cut an emergency number short or rule it out.
        return match by_map(config, digits) {
            Collect::CouldEnd | Collect::Complete => Collect::CouldEnd,
            Collect::More | Collect::Never => Collect::More,
        };
    }
    if let Some(inside) = digits.strip_prefix(INSIDE) {
        return match inside.as_bytes() {
            [] | [SHORT] | [SHORT, b'0'..=b'9'] => Collect::More,
            [GROUP] | [SHORT, b'0'..=b'9', b'0'..=b'9'] => Collect::Complete,
            [b'1'..=b'4'] => Collect::Complete,
            _ => Collect::Never,
        };
    }
    if digits.starts_with('*') {
        if let Some((code, rest)) = features::find(digits) {
            return match (code.takes_number, rest.is_empty()) {
                (false, true) => Collect::Complete,
                (false, false) => Collect::Never,
                (true, true) => Collect::More,
                (true, false) if features::find(rest).is_some() => Collect::Never,
                (true, false) => collect(config, rest),
            };
        }
        if features::begins(digits) {
            return Collect::More;
        }
    }
    by_map(config, digits)
}

fn by_map(config: &Config, digits: &str) -> Collect {
    match config.digit_map.matches(digits) {
        Match::Impossible => Collect::Never,
        Match::Partial => Collect::More,
        Match::CouldEnd => Collect::CouldEnd,
        Match::Complete => Collect::Complete,
    }
}

/// Where dialled `digits` lead. Digits the digit map does not know, or not yet, lead nowhere.
pub fn dialled(config: &Config, line: LineId, digits: &str) -> Destination {
    if is_emergency(config, digits) {
        return Destination::Emergency(Number::lossy(digits));
    }
    if let Some(inside) = digits.strip_prefix(INSIDE) {
        return inside_number(config, line, inside);
    }
    if let Some((code, rest)) = features::find(digits) {
        return Destination::Feature(code, Number::lossy(rest));
    }
    match by_map(config, digits) {
        Collect::CouldEnd | Collect::Complete => outside(config, line, digits),
        Collect::More | Collect::Never => Destination::Unknown,
    }
}

/// Where a number leads that nobody dialled digit by digit: out of the phone book, the call log, a forwarding. It may be written with `+`,
/// blanks and hyphens, and the digit map is not asked.
pub fn stored(config: &Config, line: LineId, number: &str) -> Destination {
    let number = clean(number);
    if is_emergency(config, &number) {
        return Destination::Emergency(number);
    }
    match number.strip_prefix(INSIDE) {
        // Not the phone book again: an entry that names itself would lead round in circles.
        Some(inside) if !inside.starts_with(char::from(SHORT)) => inside_number(config, line, inside),
        Some(_) => Destination::Unknown,
        None => outside(config, line, &number),
    }
}

/// Whether `digits` are one of the country's emergency numbers.
pub fn is_emergency(config: &Config, digits: &str) -> bool {
    config.emergency.contains(&digits)
}

/// Whether two numbers are the same, however they are written.
pub fn is_same_number(numbering: &Numbering, one: &str, other: &str) -> bool {
    let (one, other) = (clean(one), clean(other));
    !one.is_empty() && (one == other || international(numbering, &one) == international(numbering, &other))
}

fn inside_number(config: &Config, line: LineId, code: &str) -> Destination {
    match code.as_bytes() {
        [GROUP] => Destination::Group,
        [digit @ b'1'..=b'4'] => match LineId(digit - b'1') {
            target if usize::from(target.0) < config.lines.len() => Destination::Inside(target),
            _ => Destination::Unknown,
        },
        [SHORT, tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let short = (tens - b'0') * 10 + (ones - b'0');
            config
                .book
                .by_short_code(short)
                .map_or(Destination::Unknown, |entry| stored(config, line, &entry.number))
        }
        _ => Destination::Unknown,
    }
}

fn outside(config: &Config, line: LineId, number: &str) -> Destination {
    if number.is_empty() || number.starts_with('*') {
        return Destination::Unknown;
    }
    let own = config.lines.get(usize::from(line.0)).map_or(0, |line| line.account);
    let (account, to) = match rule_for(config, number) {
        Some((Rule { action: RuleAction::Block, .. }, _)) => return Destination::Blocked,
        Some((Rule { action: RuleAction::Route { account, strip, prepend }, .. }, form)) => {
            let mut to = prepend.clone();
            // Writing to a Text cuts, it does not fail.
            let _ = to.write_str(form.get(usize::from(*strip)..).unwrap_or_default());
            (account.unwrap_or(own), to)
        }
        None => (own, Number::lossy(number)),
    };
    if matches!(rule_for(config, &to), Some((Rule { action: RuleAction::Block, .. }, _))) {
        // What a rule takes away in front must not uncover a number another rule forbids.
        return Destination::Blocked;
    }
    if to.is_empty() || is_emergency(config, &to) {
        // No rule may turn an ordinary number into a call for help.
        return Destination::Unknown;
    }
    Destination::Outside { account, to: formatted(config, account, &to) }
}

/// The rule with the longest prefix, and the way of writing `number` it speaks of. Of two alike, the one that blocks.
fn rule_for<'a>(config: &'a Config, number: &str) -> Option<(&'a Rule, Number)> {
    let mut best: Option<(&Rule, Number)> = None;
    for rule in &config.rules {
        let rank = |rule: &Rule| (rule.prefix.len(), matches!(rule.action, RuleAction::Block));
        if best.as_ref().is_none_or(|(before, _)| rank(before) < rank(rule))
            && let Some(form) = form_with_prefix(&config.numbering, number, &rule.prefix)
        {
            best = Some((rule, form));
        }
    }
    best
}

/// As this account's operator wants it.
pub fn formatted(config: &Config, account: u8, number: &str) -> Number {
    let format = config.accounts.get(usize::from(account)).map(|account| account.format).unwrap_or_default();
    match format {
        NumberFormat::AsDialled => national(&config.numbering, number),
        NumberFormat::Plus => international(&config.numbering, number),
    }
}

/// The way of writing `number` that begins with `prefix`.
fn form_with_prefix(numbering: &Numbering, number: &str, prefix: &str) -> Option<Number> {
    let international = international(numbering, number);
    if prefix == "+" || prefix == numbering.international_prefix && !prefix.is_empty() {
        let abroad = international.strip_prefix('+').is_some_and(|rest| {
            numbering.country_code.is_empty() || !rest.starts_with(numbering.country_code)
        });
        return abroad.then(|| Number::lossy(number));
    }
    let dialled = Number::lossy(number);
    let national = national(numbering, &international);
    let mut with_prefix = Number::lossy(numbering.international_prefix);
    if let Some(rest) = international.strip_prefix('+') {
        // Writing to a Text cuts, it does not fail.
        let _ = with_prefix.write_str(rest);
    }
    [dialled, national, international, with_prefix].into_iter().find(|form| form.starts_with(prefix))
}

/// With `+` and country code when the prefixes tell; otherwise as it is.
pub fn international(numbering: &Numbering, number: &str) -> Number {
    let mut out = Number::new();
    let (abroad, home) = (numbering.international_prefix, numbering.national_prefix);
    // Writing to a Text cuts, it does not fail.
    let _ = if number.starts_with('+') {
        write!(out, "{number}")
    } else if let Some(rest) = number.strip_prefix(abroad).filter(|_| !abroad.is_empty()) {
        write!(out, "+{rest}")
    } else if let Some(rest) = number
        .strip_prefix(home)
        .filter(|rest| !home.is_empty() && !numbering.country_code.is_empty() && rest.len() >= SUBSCRIBER)
    {
        write!(out, "+{}{rest}", numbering.country_code)
    } else {
        write!(out, "{number}")
    };
    out
}

/// Without `+`: national when it is of this country, otherwise with the international prefix.
fn national(numbering: &Numbering, number: &str) -> Number {
    let Some(rest) = number.strip_prefix('+') else { return Number::lossy(number) };
    let mut out = Number::new();
    let own = rest.strip_prefix(numbering.country_code).filter(|_| !numbering.country_code.is_empty());
    // Writing to a Text cuts, it does not fail.
    let _ = match own {
        Some(own) => write!(out, "{}{own}", numbering.national_prefix),
        None => write!(out, "{}{rest}", numbering.international_prefix),
    };
    out
}

/// Digits, `*`, `#` and a leading `+`; everything people put between them is left out.
pub fn clean(number: &str) -> Number {
    let mut out = Number::new();
    for character in number.chars() {
        if matches!(character, '0'..='9' | '*' | '#') || character == '+' && out.is_empty() {
            // Writing to a Text cuts, it does not fail.
            let _ = out.write_char(character);
        }
    }
    out
}

/// Before the number of a telephone in the home.
pub const INSIDE: &str = "**";
const GROUP: u8 = b'9';
const SHORT: u8 = b'7';
/// Fewer digits behind a national prefix are a service, not a number with an area code.
const SUBSCRIBER: usize = 4;

#[cfg(test)]
mod tests;
