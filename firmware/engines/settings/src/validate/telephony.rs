//! Faults of the telephone's settings.

use core::fmt;

use dialtone_base::digit_map::DigitMap;
use dialtone_base::telephony::Number;

use super::Problems;
use crate::names::is_domain;
use crate::tree::Settings;
use crate::tree::telephony::{Account, Line, Telephony};

/// Country codes there are data for; `engines/phone` has the same, which a test of the services compares.
pub const COUNTRIES: &[&str] = &["AU", "CN", "DE", "FR", "GB", "HK", "JP", "SG", "TW", "US"];

pub(super) fn check(tree: &Settings, problems: &mut Problems) {
    let telephony = &tree.telephony;
    if !COUNTRIES.contains(&telephony.country.as_str()) {
        let message = format_args!("\"{}\" is none of {}", telephony.country, List(COUNTRIES));
        problems.add(format_args!("telephony.country"), message);
    }
    if !telephony.digit_map.is_empty()
        && let Err(error) = DigitMap::parse(&telephony.digit_map)
    {
        problems.add(format_args!("telephony.digit_map"), format_args!("{error}"));
    }
    within(problems, "telephony.first_digit_seconds", telephony.first_digit_seconds.into(), 5, 60);
    within(problems, "telephony.inter_digit_seconds", telephony.inter_digit_seconds.into(), 2, 30);
    for (index, account) in telephony.accounts.iter().enumerate() {
        check_account(index, account, problems);
    }
    for (index, line) in telephony.lines.iter().enumerate() {
        check_line(index, line, telephony, problems);
    }
    check_rules(telephony, problems);
    check_phone_book(telephony, problems);
    check_texts(telephony, problems);
}

/// Texts that travel in SIP headers and to displays have no control characters: a line end would begin a header of its own.
fn check_texts(telephony: &Telephony, problems: &mut Problems) {
    let mut plain = |at: fmt::Arguments<'_>, text: &str| {
        if text.chars().any(char::is_control) {
            problems.add(at, format_args!("contains a control character"));
        }
    };
    for (index, account) in telephony.accounts.iter().enumerate() {
        for (field, text) in [
            ("name", account.name.as_str()),
            ("auth_user_name", account.auth_user_name.as_str()),
            ("auth_password", account.auth_password.reveal()),
            ("display_name", account.display_name.as_str()),
        ] {
            plain(format_args!("telephony.accounts.{index}.{field}"), text);
        }
    }
    for (index, line) in telephony.lines.iter().enumerate() {
        plain(format_args!("telephony.lines.{index}.name"), &line.name);
    }
    for (index, entry) in telephony.phone_book.iter().enumerate() {
        plain(format_args!("telephony.phone_book.{index}.name"), &entry.name);
    }
}

fn check_account(index: usize, account: &Account, problems: &mut Problems) {
    let at = format_args!("telephony.accounts.{index}.domain");
    if !is_host(&account.domain) {
        problems.add(at, format_args!("\"{}\" is no domain; it is what stands behind the @", account.domain));
    }
    if !account.outbound_proxy.is_empty() && !is_host_and_port(&account.outbound_proxy) {
        let at = format_args!("telephony.accounts.{index}.outbound_proxy");
        let message =
            format_args!("\"{}\" is no name or address, with or without :port", account.outbound_proxy);
        problems.add(at, message);
    }
    if account.enabled && account.numbers.is_empty() {
        let at = format_args!("telephony.accounts.{index}.numbers");
        problems.add(at, format_args!("an account needs at least one number (the part before the @)"));
    }
    for (position, number) in account.numbers.iter().enumerate() {
        if !is_user(number) {
            let at = format_args!("telephony.accounts.{index}.numbers.{position}");
            let message = format_args!("\"{number}\": digits, letters and + - _ . are allowed");
            problems.add(at, message);
        }
    }
    if !(60..=86_400).contains(&account.register_expires) {
        let at = format_args!("telephony.accounts.{index}.register_expires");
        problems.add(at, format_args!("{} is not within 60 to 86400 seconds", account.register_expires));
    }
    let twice = account
        .codecs
        .iter()
        .enumerate()
        .any(|(at, codec)| account.codecs.iter().skip(at + 1).any(|other| other == codec));
    if account.codecs.is_empty() || twice {
        let at = format_args!("telephony.accounts.{index}.codecs");
        problems.add(at, format_args!("name at least one codec, each once: opus, g722, pcma, pcmu"));
    }
}

fn check_line(index: usize, line: &Line, telephony: &Telephony, problems: &mut Problems) {
    let accounts = telephony.accounts.len();
    if usize::from(line.account) >= accounts.max(1) {
        let at = format_args!("telephony.lines.{index}.account");
        problems.add(at, format_args!("there is no account {}; they are counted from 0", line.account));
    } else if !line.number.is_empty()
        && !telephony
            .accounts
            .get(usize::from(line.account))
            .is_some_and(|account| account.numbers.contains(&line.number))
    {
        let at = format_args!("telephony.lines.{index}.number");
        problems.add(at, format_args!("\"{}\" is none of the account's numbers", line.number));
    }
    for (position, number) in line.incoming.iter().enumerate() {
        if !telephony.accounts.iter().any(|account| account.numbers.contains(number)) {
            let at = format_args!("telephony.lines.{index}.incoming.{position}");
            problems.add(at, format_args!("\"{number}\" is a number of no account"));
        }
    }
    for (field, number) in [
        ("forward_always", &line.forward_always),
        ("forward_busy", &line.forward_busy),
        ("forward_no_answer", &line.forward_no_answer),
    ] {
        if !number.is_empty() && !is_dialled(number) {
            let at = format_args!("telephony.lines.{index}.{field}");
            problems.add(at, format_args!("\"{number}\" cannot be dialled: digits, *, # and a leading +"));
        }
    }
    if !(5..=120).contains(&line.forward_no_answer_seconds) {
        let at = format_args!("telephony.lines.{index}.forward_no_answer_seconds");
        problems.add(at, format_args!("{} is not within 5 to 120 seconds", line.forward_no_answer_seconds));
    }
    for (field, gain) in [("transmit_gain", line.transmit_gain), ("receive_gain", line.receive_gain)] {
        if !(-12..=12).contains(&gain) {
            let at = format_args!("telephony.lines.{index}.{field}");
            problems.add(at, format_args!("{gain} is not within -12 to 12 dB"));
        }
    }
    if let Some((least, most)) = line.flash_millis
        && !(30 <= least && least < most && most <= 1200)
    {
        let at = format_args!("telephony.lines.{index}.flash_millis");
        problems.add(at, format_args!("least and most, in order, within 30 to 1200 milliseconds"));
    }
}

fn check_rules(telephony: &Telephony, problems: &mut Problems) {
    for (index, rule) in telephony.rules.iter().enumerate() {
        for (field, number) in [("prefix", &rule.prefix), ("prepend", &rule.prepend)] {
            if !number.is_empty() && !is_dialled(number) {
                let at = format_args!("telephony.rules.{index}.{field}");
                problems
                    .add(at, format_args!("\"{number}\" cannot be dialled: digits, *, # and a leading +"));
            }
        }
        if rule.account.is_some_and(|account| usize::from(account) >= telephony.accounts.len()) {
            let at = format_args!("telephony.rules.{index}.account");
            problems.add(at, format_args!("there is no such account; they are counted from 0"));
        }
        if telephony.rules.iter().take(index).any(|other| other.prefix == rule.prefix) {
            let at = format_args!("telephony.rules.{index}.prefix");
            problems.add(at, format_args!("\"{}\" has a rule already", rule.prefix));
        }
    }
}

fn check_phone_book(telephony: &Telephony, problems: &mut Problems) {
    for (index, entry) in telephony.phone_book.iter().enumerate() {
        if !is_dialled(&entry.number) {
            let at = format_args!("telephony.phone_book.{index}.number");
            problems.add(
                at,
                format_args!("\"{}\" cannot be dialled: digits, *, # and a leading +", entry.number),
            );
        }
        if entry.ring > 7 {
            problems.add(format_args!("telephony.phone_book.{index}.ring"), format_args!("0 to 7"));
        }
        let Some(code) = entry.short_code else { continue };
        let at = format_args!("telephony.phone_book.{index}.short_code");
        if !(1..=99).contains(&code) {
            problems.add(at, format_args!("{code} is not within 1 to 99"));
        } else if telephony.phone_book.iter().take(index).any(|other| other.short_code == Some(code)) {
            problems.add(at, format_args!("{code} is another entry's already"));
        }
    }
}

fn within(problems: &mut Problems, path: &str, value: u16, least: u16, most: u16) {
    if !(least..=most).contains(&value) {
        problems.add(format_args!("{path}"), format_args!("{value} is not within {least} to {most}"));
    }
}

fn is_host(text: &str) -> bool {
    text.parse::<core::net::Ipv4Addr>().is_ok() || is_domain(text)
}

fn is_host_and_port(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_host(text),
    }
}

/// The user part of an address as we write it: nothing that needs escapes.
fn is_user(number: &Number) -> bool {
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.".contains(&byte))
}

fn is_dialled(number: &Number) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'#')
}

struct List(&'static [&'static str]);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            write!(f, "{}{word}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
