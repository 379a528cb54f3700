//! Star codes and what they switch; calls inside the home.

extern crate std;

use super::world::{ONE, TWO, World, number, party};
use crate::call_log::{CallLog, Direction, Outcome};
use crate::calls::features::{Answer, RECALL_KEYS, STAR_CODES};
use crate::calls::{CallOrder, Cause, Feature, RingPattern, Tone, Voice};
use crate::phone_book::Entry;

#[test]
fn every_star_code_that_switches_is_confirmed_kept_and_undone_by_its_opposite() {
    for (on, off, feature) in [
        ("*81", "*82", Feature::WithholdNumber(true)),
        ("*56", "*57", Feature::CallWaiting(true)),
        ("*78", "*79", Feature::DoNotDisturb(true)),
        ("*77", "*87", Feature::RejectAnonymous(true)),
        ("*72030999999#", "*73", Feature::ForwardAlways(Some(number("030999999")))),
        ("*90**2", "*91", Feature::ForwardBusy(Some(number("**2")))),
        ("*92030999999#", "*93", Feature::ForwardNoAnswer(Some(number("030999999")))),
    ] {
        let mut world = World::new();
        for codes in [on, off] {
            world.lift(ONE);
            world.press(ONE, codes);
            world.hears_tone(ONE, Tone::Confirmation);
            world.wait(2);
            assert!(matches!(world.phone(ONE).tone, Some(Tone::Dial | Tone::StutterDial)), "{codes}");
            world.put_down(ONE);
        }
        assert_eq!(world.changes.len(), 2);
        assert_eq!((world.changes[0].line, &world.changes[0].feature), (ONE, &feature));
        world.is_quiet();
    }
}

#[test]
fn the_page_for_people_lists_every_star_code_as_it_works() {
    let page = include_str!("../../../../../../../docs/star-codes.md");
    let rows: std::vec::Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let mut expected = std::vec::Vec::new();
    for code in STAR_CODES {
        let dialled = if code.takes_number { " number" } else { "" };
        let answer = match code.answer {
            Answer::Confirmation => "confirmation tone",
            Answer::DialTone => "dial tone",
            Answer::Call => "the call",
        };
        expected.push(std::format!("| `{}`{dialled} | {} | {answer} |", code.code, code.what));
    }
    for (key, _, what) in RECALL_KEYS {
        expected.push(std::format!("| `flash {key}` | {what} |"));
    }
    for row in &expected {
        assert!(rows.contains(&row.as_str()), "docs/star-codes.md lacks:\n{row}");
    }
    for row in rows.iter().filter(|row| row.starts_with("| `*") && !row.starts_with("| `**")) {
        assert!(
            expected.iter().any(|known| known == row),
            "docs/star-codes.md tells what is not there:\n{row}"
        );
    }
    // No code hides another.
    for code in STAR_CODES {
        let hidden = STAR_CODES.iter().filter(|other| other.code.starts_with(code.code)).count();
        assert_eq!(hidden, 1, "{}", code.code);
    }
}

#[test]
fn forwarding_sends_callers_on_by_302_when_it_should() {
    let mut world = World::set(|config| {
        config.lines.truncate(1);
        config.lines[0].call_waiting = false;
    });
    let redirect = CallOrder::Redirect(number("030999999"));
    world.line(ONE, |line| line.forwarding.always = Some(number("030999999")));
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), std::slice::from_ref(&redirect));
    assert_eq!(world.log.last().unwrap().outcome, Outcome::Forwarded);
    world.line(ONE, |line| {
        line.forwarding.always = None;
        line.forwarding.busy = Some(number("030999999"));
    });
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Alert], "not busy: it rings");
    world.ended(call, Cause::Cancelled);
    world.lift(ONE);
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), std::slice::from_ref(&redirect));
    world.put_down(ONE);
    world.line(ONE, |line| {
        line.forwarding.busy = None;
        line.forwarding.no_answer = Some(number("030999999"));
        line.forwarding.no_answer_seconds = 10;
    });
    let call = world.incoming(0, "0305550100", "0307654321");
    world.wait(9);
    assert!(world.phone(ONE).ring.is_some());
    world.wait(1);
    assert_eq!(world.last_order(call), Some(&redirect));
    world.is_quiet();
}

#[test]
fn forwarding_to_the_other_telephone_rings_there() {
    let mut world = World::set(|config| config.lines[1].incoming.push(number("999")).unwrap());
    world.line(ONE, |line| {
        line.forwarding.no_answer = Some(number("**2"));
        line.forwarding.no_answer_seconds = 10;
    });
    let call = world.incoming(0, "0305550100", "0307654321");
    assert!(world.phone(TWO).ring.is_none());
    world.wait(10);
    assert!(world.phone(ONE).ring.is_none() && world.phone(TWO).ring.is_some());
    assert_eq!(world.orders(call), [CallOrder::Alert]);
    world.lift(TWO);
    world.hears(TWO, &[Voice::Call(call)]);
    world.put_down(TWO);
    world.is_quiet();
}

#[test]
fn one_line_that_forwards_does_not_keep_the_other_from_ringing() {
    let mut world = World::new();
    world.line(ONE, |line| line.forwarding.always = Some(number("030999999")));
    let call = world.incoming(0, "0305550100", "0307654321");
    assert!(world.phone(ONE).ring.is_none() && world.phone(TWO).ring.is_some());
    world.ended(call, Cause::Cancelled);
    world.is_quiet();
}

#[test]
fn a_telephone_not_to_be_disturbed_stays_silent() {
    let mut world = World::set(|config| config.lines.truncate(1));
    world.line(ONE, |line| line.do_not_disturb = true);
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Reject(Cause::Busy)]);
    assert_eq!(world.log[0].outcome, Outcome::Rejected);
    world.is_quiet();
}

#[test]
fn callers_who_hide_their_number_are_refused_on_request_and_never_shown() {
    let mut world = World::set(|config| config.lines.truncate(1));
    let call = world.anonymous(0, "0305550100");
    assert_eq!(world.phone(ONE).ring.as_ref().unwrap().1.number.as_str(), "");
    world.ended(call, Cause::Cancelled);
    world.line(ONE, |line| line.reject_anonymous = true);
    let call = world.anonymous(0, "0305550100");
    assert_eq!(world.orders(call), [CallOrder::Reject(Cause::AnonymityRefused)]);
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Alert]);
}

#[test]
fn the_number_is_hidden_for_one_call_or_for_all_but_one() {
    let withheld = |world: &World, call| match world.orders(call) {
        [CallOrder::Dial { withhold, .. }, ..] => *withhold,
        other => panic!("{other:?}"),
    };
    let mut world = World::new();
    let mut next = |digits: &str| {
        let call = world.call(ONE, digits);
        world.put_down(ONE);
        withheld(&world, call)
    };
    assert!(next("*67030111111"));
    assert!(!next("030111111"));
    world.line(ONE, |line| line.withhold_number = true);
    let mut next = |digits: &str| {
        let call = world.call(ONE, digits);
        world.put_down(ONE);
        withheld(&world, call)
    };
    assert!(next("030111111"));
    assert!(!next("*68030111111"));
    assert!(next("030111111"));
}

#[test]
fn call_waiting_is_off_for_one_call_on_request() {
    let mut world = World::set(|config| config.lines.truncate(1));
    world.talk_to(ONE, "*70030111111");
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Reject(Cause::Busy)]);
    world.put_down(ONE);
    world.talk_to(ONE, "030111111");
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Alert]);
}

#[test]
fn the_last_missed_caller_is_called_back_and_the_last_number_again() {
    let mut world = World::set(|config| config.lines.truncate(1));
    world.lift(ONE);
    world.press(ONE, "*69");
    world.hears_tone(ONE, Tone::SpecialInformation);
    world.put_down(ONE);
    let call = world.incoming(0, "0305550100", "+49307654321");
    world.ended(call, Cause::Cancelled);
    let call = world.incoming(0, "0305550100", "030888888");
    world.lift(ONE);
    world.ended(call, Cause::Normal);
    world.put_down(ONE);
    let call = world.call(ONE, "*69");
    assert_eq!(world.dialled(call), (0, "0307654321"));
    world.put_down(ONE);
    let call = world.call(ONE, "030111111");
    world.put_down(ONE);
    let again = world.call(ONE, "*66");
    assert_ne!(call, again);
    assert_eq!(world.dialled(again), (0, "030111111"));
    world.put_down(ONE);

    let mut log = CallLog::new();
    world.log.iter().for_each(|entry| log.add(entry.clone()));
    let mut world = World::set(|config| config.lines.truncate(1));
    world.exchange.restore(&log);
    let again = world.call(ONE, "*66");
    assert_eq!(world.dialled(again), (0, "030111111"), "a restart does not forget");
}

#[test]
fn telephones_of_the_home_call_each_other() {
    let mut world = World::set(|config| config.lines[0].name = "Kitchen".into());
    world.tell(crate::calls::Input::Registration { account: 0, up: false });
    world.lift(ONE);
    world.press(ONE, "**2");
    world.hears_tone(ONE, Tone::Ringback);
    let (pattern, caller) = world.phone(TWO).ring.clone().unwrap();
    assert_eq!((pattern, caller.name.as_str(), caller.number.as_str()), (RingPattern(1), "Kitchen", "**1"));
    world.lift(TWO);
    world.hears(ONE, &[Voice::Line(TWO)]);
    world.hears(TWO, &[Voice::Line(ONE)]);
    world.wait(7);
    world.put_down(TWO);
    world.hears_tone(ONE, Tone::Busy);
    world.put_down(ONE);
    let entry = &world.log[0];
    assert_eq!((entry.direction, entry.outcome, entry.seconds), (Direction::Inside, Outcome::Answered, 7));
    assert!(world.calls.is_empty(), "nothing went over the network");
    world.is_quiet();
}

#[test]
fn a_group_call_rings_everywhere_else_and_the_first_has_it() {
    let mut world = World::set(|config| config.lines.push(crate::calls::Line::default()).unwrap());
    let three = dialtone_base::telephony::LineId(2);
    world.lift(ONE);
    world.press(ONE, "**9");
    assert!(world.phone(TWO).ring.is_some() && world.phone(three).ring.is_some());
    world.lift(three);
    assert!(world.phone(TWO).ring.is_none());
    world.hears(ONE, &[Voice::Line(three)]);
    world.put_down(ONE);
    world.put_down(three);
    world.is_quiet();
}

#[test]
fn a_talking_telephone_of_the_home_is_announced_or_busy() {
    let mut world = World::new();
    let call = world.talk_to(TWO, "030111111");
    world.lift(ONE);
    world.press(ONE, "**2");
    assert_eq!(world.phone(TWO).announced, 1);
    world.flash(TWO);
    world.hears(TWO, &[Voice::Line(ONE)]);
    world.put_down(ONE);
    world.flash(TWO);
    world.hears(TWO, &[Voice::Call(call)]);
    world.line(TWO, |line| line.call_waiting = false);
    world.lift(ONE);
    world.press(ONE, "**2");
    world.hears_tone(ONE, Tone::Busy);
    world.put_down(ONE);
    for wrong in ["**1", "**3", "**8"] {
        world.lift(ONE);
        world.press(ONE, wrong);
        assert!(matches!(world.phone(ONE).tone, Some(Tone::Busy | Tone::SpecialInformation)), "{wrong}");
        world.put_down(ONE);
    }
    world.put_down(TWO);
    world.is_quiet();
}

#[test]
fn a_short_code_calls_who_stands_in_the_phone_book() {
    let mut world = World::set(|config| {
        let entry = Entry { short_code: Some(1), number: number("+49 30 7654321"), ..Entry::default() };
        assert!(config.book.add(entry));
    });
    let call = world.call(ONE, "**701");
    assert_eq!(world.dialled(call), (0, "0307654321"));
}

#[test]
fn a_blocked_line_calls_inside_the_home_only() {
    let mut world = World::new();
    world.line(ONE, |line| line.blocked = true);
    world.lift(ONE);
    world.press(ONE, "030111111#");
    world.hears_tone(ONE, Tone::SpecialInformation);
    assert_eq!(world.log[0].outcome, Outcome::Blocked);
    world.put_down(ONE);
    world.lift(ONE);
    world.press(ONE, "**2");
    assert!(world.phone(TWO).ring.is_some());
}

#[test]
fn a_better_name_from_the_network_reaches_the_log() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.tell(crate::calls::Input::Identified { call, party: party("+4930222222") });
    world.put_down(ONE);
    assert_eq!(world.log[0].party.number.as_str(), "+4930222222");
}
