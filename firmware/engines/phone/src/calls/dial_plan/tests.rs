//! Promises of the dial plan.

extern crate std;

use std::string::String;

use dialtone_base::digit_map::DigitMap;
use dialtone_base::random::{Random, Seed};

use super::*;
use crate::calls::config::Account;
use crate::phone_book::Entry;

const ONE: LineId = LineId(0);

fn config() -> Config {
    let account = |format| Account { enabled: true, format, ..Account::default() };
    Config {
        emergency: ["110", "112"].into_iter().collect(),
        numbering: Numbering { country_code: "49", international_prefix: "00", national_prefix: "0" },
        accounts: [account(NumberFormat::AsDialled), account(NumberFormat::Plus)].into_iter().collect(),
        ..Config::default()
    }
}

fn rule(prefix: &str, action: RuleAction) -> Rule {
    Rule { prefix: Number::lossy(prefix), action }
}

fn route(account: Option<u8>, strip: u8, prepend: &str) -> RuleAction {
    RuleAction::Route { account, strip, prepend: Number::lossy(prepend) }
}

fn leads_to(config: &Config, digits: &str) -> Option<String> {
    match dialled(config, ONE, digits) {
        Destination::Outside { account, to } => Some(std::format!("{account}:{to}")),
        _ => None,
    }
}

#[test]
fn the_longest_prefix_decides_and_of_two_alike_the_one_that_blocks() {
    let mut config = config();
    for rule in [
        rule("", route(Some(1), 0, "")),
        rule("0170", route(Some(0), 0, "")),
        rule("01701", RuleAction::Block),
        rule("0180", route(Some(0), 0, "")),
        rule("0180", RuleAction::Block),
    ] {
        config.rules.push(rule).unwrap();
    }
    assert_eq!(leads_to(&config, "0302345678").unwrap(), "1:+49302345678");
    assert_eq!(leads_to(&config, "01702345678").unwrap(), "0:01702345678");
    assert_eq!(dialled(&config, ONE, "01701345678"), Destination::Blocked);
    assert_eq!(dialled(&config, ONE, "0180123456"), Destination::Blocked);
}

#[test]
fn a_blocked_number_stays_blocked_however_it_is_written() {
    let mut config = config();
    config.rules.push(rule("0900", RuleAction::Block)).unwrap();
    config.rules.push(rule("010", route(None, 3, ""))).unwrap();
    for number in ["0900123456", "0049900123456", "010" /* call by call */] {
        let number = if number == "010" { "0100900123456" } else { number };
        assert_eq!(dialled(&config, ONE, number), Destination::Blocked, "{number}");
        assert_eq!(stored(&config, ONE, number), Destination::Blocked, "{number}");
    }
    assert_eq!(stored(&config, ONE, "+49 900 123456"), Destination::Blocked);
    assert_eq!(leads_to(&config, "0100301234567").unwrap(), "0:0301234567");
}

#[test]
fn numbers_abroad_can_be_blocked_as_a_whole_and_the_own_country_stays_free() {
    let mut config = config();
    config.rules.push(rule("+", RuleAction::Block)).unwrap();
    assert_eq!(dialled(&config, ONE, "00331234567"), Destination::Blocked);
    assert_eq!(leads_to(&config, "0049301234567").unwrap(), "0:0049301234567");
    assert!(leads_to(&config, "0301234567").is_some());
}

#[test]
fn numbers_are_written_as_the_operator_wants_them() {
    let config = config();
    for (number, as_dialled, plus) in [
        ("0301234567", "0301234567", "+49301234567"),
        ("00331234567", "00331234567", "+331234567"),
        ("+49301234567", "0301234567", "+49301234567"),
        ("+331234567", "00331234567", "+331234567"),
        ("1234567", "1234567", "1234567"),
        ("115", "115", "115"),
    ] {
        assert_eq!(formatted(&config, 0, number).as_str(), as_dialled);
        assert_eq!(formatted(&config, 1, number).as_str(), plus);
    }
    assert!(is_same_number(&config.numbering, "+49 30 1234567", "0301234567"));
    assert!(!is_same_number(&config.numbering, "0301234567", "0301234568"));
}

#[test]
fn short_codes_lead_where_the_phone_book_says() {
    let mut config = config();
    let mut add = |short_code, number: &str| {
        let entry = Entry { short_code: Some(short_code), number: Number::lossy(number), ..Entry::default() };
        assert!(config.book.add(entry));
    };
    add(1, "+49 (30) 123-4567");
    add(2, "112");
    add(3, "**2");
    add(4, "**704");
    assert_eq!(leads_to(&config, "**701").unwrap(), "0:0301234567");
    assert_eq!(dialled(&config, ONE, "**702"), Destination::Emergency(Number::lossy("112")));
    assert_eq!(dialled(&config, ONE, "**703"), Destination::Inside(LineId(1)));
    assert_eq!(dialled(&config, ONE, "**704"), Destination::Unknown);
    assert_eq!(dialled(&config, ONE, "**705"), Destination::Unknown);
    for (digits, expected) in [
        ("*", Collect::More),
        ("**", Collect::More),
        ("**7", Collect::More),
        ("**701", Collect::Complete),
        ("**1", Collect::Complete),
        ("**9", Collect::Complete),
        ("**0", Collect::Never),
        ("*7", Collect::More),
        ("*78", Collect::Complete),
        ("*72", Collect::More),
        ("*72030", Collect::CouldEnd),
        ("*72112", Collect::Complete),
        ("*01", Collect::Never),
        ("*72*72", Collect::Never),
    ] {
        assert_eq!(collect(&config, digits), expected, "{digits}");
    }
}

#[test]
fn no_digit_map_and_no_rule_keeps_help_away() {
    let mut config = config();
    config.digit_map = DigitMap::parse("9xx|11").unwrap();
    for prefix in ["", "1", "11", "112"] {
        config.rules.push(rule(prefix, RuleAction::Block)).unwrap();
    }
    assert_eq!(collect(&config, "1"), Collect::More);
    assert_eq!(collect(&config, "11"), Collect::CouldEnd);
    assert_eq!(collect(&config, "112"), Collect::Complete);
    assert_eq!(dialled(&config, ONE, "112"), Destination::Emergency(Number::lossy("112")));
    assert_eq!(stored(&config, ONE, "112"), Destination::Emergency(Number::lossy("112")));
}

#[test]
fn a_rule_cannot_turn_an_ordinary_number_into_a_call_for_help() {
    let mut config = config();
    config.rules.push(rule("0", route(None, 1, "11"))).unwrap();
    assert_eq!(dialled(&config, ONE, "02"), Destination::Unknown);
}

/// A number of digits an attacker, a child or a cat could dial.
fn any_digits(random: &mut Random, most: u32) -> String {
    (0..random.below(most)).map(|_| b"0011224590+*#"[random.below(11) as usize] as char).collect()
}

#[test]
fn a_number_is_never_both_blocked_and_dialled_and_help_is_always_dialled() {
    for seed in 0..400 {
        let mut random = Random::new(Seed::from_number(seed));
        let mut config = config();
        let mut blocked = std::vec::Vec::new();
        for _ in 0..random.below(12) {
            let prefix = any_digits(&mut random, 6);
            let action = if random.below(2) == 0 {
                blocked.push(prefix.clone());
                RuleAction::Block
            } else {
                route(Some(random.below(3) as u8), random.below(5) as u8, &any_digits(&mut random, 5))
            };
            config.rules.push(rule(&prefix, action)).unwrap();
        }
        for _ in 0..200 {
            let digits = any_digits(&mut random, 14);
            let _ = collect(&config, &digits);
            for destination in [dialled(&config, ONE, &digits), stored(&config, ONE, &digits)] {
                let Destination::Outside { to, .. } = destination else { continue };
                assert!(!is_emergency(&config, &to), "seed {seed}: {digits} became {to}");
                // What goes out is itself no number a rule forbids, unless a longer prefix allows it.
                let deciding = rule_for(&config, &to).map(|(rule, _)| &rule.action);
                assert_ne!(deciding, Some(&RuleAction::Block), "seed {seed}: {digits} as {to}");
            }
        }
        for help in &config.emergency {
            assert_eq!(
                dialled(&config, ONE, help),
                Destination::Emergency(Number::lossy(help)),
                "seed {seed}"
            );
            assert_eq!(collect(&config, help), Collect::Complete, "seed {seed}");
        }
    }
}
