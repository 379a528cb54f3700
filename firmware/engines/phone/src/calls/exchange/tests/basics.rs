//! A call out, a call in, and what is heard when it does not work.

extern crate std;

use dialtone_base::telephony::LineId;
use dialtone_base::time::UnixTime;
use dialtone_base::{Duration, digit_map::DigitMap};

use super::world::{ONE, TWO, World, number, party};
use crate::call_log::{Direction, Outcome};
use crate::calls::config::{NumberFormat, Rule, RuleAction};
use crate::calls::{Alert, CallOrder, Cause, Input, LineEvent, Progress, Rejected, RingPattern, Tone, Voice};
use crate::phone_book::Entry;

#[test]
fn a_plain_call_out_goes_from_dial_tone_to_the_log() {
    let mut world = World::new();
    world.tell(Input::Clock(UnixTime(1_800_000_000)));
    world.lift(ONE);
    world.hears_tone(ONE, Tone::Dial);
    world.press(ONE, "0");
    assert_eq!(world.phone(ONE).tone, None, "the first digit ends the dial tone");
    world.press(ONE, "301234567");
    world.wait(3);
    let call = world.newest_out();
    assert_eq!(world.dialled(call), (0, "0301234567"));
    world.rings_there(call);
    world.hears_tone(ONE, Tone::Ringback);
    world.answered(call);
    world.hears(ONE, &[Voice::Call(call)]);
    assert!(world.phone(ONE).reversed, "answer supervision");
    assert_eq!(world.began, [(ONE, number("0301234567"), false)]);
    world.wait(65);
    world.put_down(ONE);
    assert_eq!(world.last_order(call), Some(&CallOrder::HangUp));
    let entry = &world.log[0];
    assert_eq!((entry.direction, entry.outcome, entry.seconds), (Direction::Out, Outcome::Answered, 65));
    assert_eq!(entry.at, Some(UnixTime(1_800_000_003)));
    assert_eq!((entry.party.number.as_str(), entry.line, entry.account), ("0301234567", Some(ONE), Some(0)));
    world.is_quiet();
}

#[test]
fn a_call_inside_the_home_is_logged_as_the_callers_with_the_other_line() {
    let mut world = World::new();
    world.lift(ONE);
    world.press(ONE, "**2");
    world.wait(1);
    world.lift(TWO);
    assert_eq!(world.began, [(ONE, number("**2"), false)]);
    world.wait(5);
    world.put_down(TWO);
    world.put_down(ONE);
    let entry = &world.log[0];
    assert_eq!(
        (entry.direction, entry.party.number.as_str(), entry.line),
        (Direction::Inside, "**2", Some(ONE))
    );
}

#[test]
fn a_plain_call_in_rings_with_the_callers_name_and_is_answered() {
    let mut world = World::set(|config| {
        let entry = Entry { name: "Aunt Wu".into(), number: number("+49 30 7654321"), ..Entry::default() };
        assert!(config.book.add(entry));
    });
    let call = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Alert]);
    for line in [ONE, TWO] {
        let (pattern, caller) = world.phone(line).ring.clone().unwrap();
        assert_eq!((pattern, caller.name.as_str()), (RingPattern(0), "Aunt Wu"));
    }
    world.lift(TWO);
    assert_eq!(world.last_order(call), Some(&CallOrder::Answer));
    assert!(world.phone(ONE).ring.is_none(), "the first to answer has it");
    world.hears(TWO, &[Voice::Call(call)]);
    assert_eq!(world.began.len(), 1);
    assert_eq!((world.began[0].0, world.began[0].2), (TWO, true));
    assert!(world.phone(ONE).with.is_empty());
    world.wait(5);
    world.ended(call, Cause::Normal);
    world.hears_tone(TWO, Tone::Busy);
    assert_eq!(world.phone(TWO).disconnects, 1);
    world.put_down(TWO);
    assert_eq!((world.log[0].outcome, world.log[0].line), (Outcome::Answered, Some(TWO)));
    world.is_quiet();
}

#[test]
fn a_missed_call_is_logged_as_missed_and_one_answered_elsewhere_is_not() {
    let mut world = World::new();
    for (cause, outcome) in
        [(Cause::Cancelled, Outcome::Missed), (Cause::AnsweredElsewhere, Outcome::AnsweredElsewhere)]
    {
        let call = world.incoming(0, "0305550100", "0307654321");
        world.wait(10);
        world.ended(call, cause);
        assert_eq!(world.log.last().unwrap().outcome, outcome);
        assert!(world.phone(ONE).ring.is_none());
    }
    let call = world.incoming(0, "0305550100", "0307654321");
    world.wait(121);
    assert_eq!(world.last_order(call), Some(&CallOrder::Reject(Cause::NoAnswer)));
    world.is_quiet();
}

#[test]
fn every_failure_has_its_tone() {
    for (status, tone) in [
        (486, Tone::Busy),
        (600, Tone::Busy),
        (603, Tone::Busy),
        (480, Tone::Busy),
        (503, Tone::Congestion),
        (408, Tone::Congestion),
        (403, Tone::Congestion),
        (488, Tone::Congestion),
        (404, Tone::SpecialInformation),
        (484, Tone::SpecialInformation),
        (604, Tone::SpecialInformation),
    ] {
        let mut world = World::new();
        let call = world.call(ONE, "030123456");
        world.ended(call, Cause::from_status(status));
        world.hears_tone(ONE, tone);
        world.put_down(ONE);
        world.is_quiet();
    }
    for status in 300..700 {
        let cause = Cause::from_status(status);
        assert_eq!(Cause::from_status(cause.status()).tone().is_some(), cause.tone().is_some(), "{status}");
    }
}

#[test]
fn a_receiver_beside_the_telephone_howls_and_falls_silent() {
    let mut world = World::new();
    world.lift(ONE);
    world.wait(15);
    world.hears_tone(ONE, Tone::Congestion);
    world.wait(30);
    world.hears_tone(ONE, Tone::Howler);
    world.wait(60);
    assert_eq!(world.phone(ONE).tone, None);
    world.wait(3600);
    let call = world.incoming(0, "0305550100", "0307654321");
    assert!(
        world.phone(TWO).ring.is_some() && world.phone(ONE).ring.is_none(),
        "a locked-out line does not ring"
    );
    world.ended(call, Cause::Cancelled);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn early_media_is_heard_instead_of_our_ringback() {
    let mut world = World::new();
    let call = world.call(ONE, "030123456");
    world.rings_there(call);
    world.tell(Input::Progress { call, progress: Progress::EarlyMedia });
    world.hears(ONE, &[Voice::Call(call)]);
    world.rings_there(call);
    world.hears(ONE, &[Voice::Call(call)]);
    world.put_down(ONE);
    assert_eq!(world.log[0].outcome, Outcome::NoAnswer);
    world.is_quiet();
}

#[test]
fn nobody_answering_ends_the_call_after_a_while() {
    let mut world = World::new();
    let call = world.call(ONE, "030123456");
    world.rings_there(call);
    world.wait(180);
    assert_eq!(world.last_order(call), Some(&CallOrder::HangUp));
    world.hears_tone(ONE, Tone::Busy);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn keys_in_a_call_go_to_the_other_end_and_no_further() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030123456");
    world.press(ONE, "1*#");
    let keys: std::vec::Vec<_> =
        world.orders(call).iter().filter(|order| matches!(order, CallOrder::Key(_))).collect();
    assert_eq!(keys.len(), 3);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_digit_map_sends_at_once_what_is_complete_and_refuses_what_cannot_be() {
    let mut world = World::set(|config| config.digit_map = DigitMap::parse("[2-9]xxxxxx|0xx.T").unwrap());
    world.lift(ONE);
    world.press(ONE, "2345678");
    let call = world.newest_out();
    assert_eq!(world.dialled(call), (0, "2345678"));
    world.put_down(ONE);
    world.lift(ONE);
    world.press(ONE, "9");
    world.wait(6);
    world.hears_tone(ONE, Tone::SpecialInformation);
    world.put_down(ONE);
    world.lift(ONE);
    world.press(ONE, "4#");
    world.hears_tone(ONE, Tone::SpecialInformation);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn hash_sends_a_number_that_could_be_longer() {
    let mut world = World::new();
    world.lift(ONE);
    world.press(ONE, "030123456");
    assert!(world.calls.is_empty());
    world.press(ONE, "#");
    assert_eq!(world.dialled(world.newest_out()), (0, "030123456"));
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_line_whose_account_is_down_has_its_own_tone_and_refuses_ordinary_calls() {
    let mut world = World::new();
    world.tell(Input::Registration { account: 0, up: false });
    world.lift(ONE);
    world.hears_tone(ONE, Tone::NoService);
    world.press(ONE, "030123456#");
    world.hears_tone(ONE, Tone::Congestion);
    world.put_down(ONE);
    world.tell(Input::Registration { account: 0, up: true });
    world.lift(ONE);
    world.hears_tone(ONE, Tone::Dial);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn waiting_messages_make_the_dial_tone_stutter_and_the_lamp_shine() {
    let mut world = World::new();
    world.tell(Input::MessageWaiting { account: 0, new: 2 });
    assert!(world.phone(ONE).lamp);
    world.lift(ONE);
    world.hears_tone(ONE, Tone::StutterDial);
    world.put_down(ONE);
    world.tell(Input::MessageWaiting { account: 0, new: 0 });
    assert!(!world.phone(ONE).lamp);
    world.lift(ONE);
    world.hears_tone(ONE, Tone::Dial);
}

#[test]
fn a_call_rings_only_where_its_number_belongs() {
    let mut world = World::set(|config| {
        config.lines[0].incoming.push(number("0305550100")).unwrap();
        config.lines[1].incoming.push(number("0305550200")).unwrap();
    });
    let call = world.incoming(0, "+49305550100", "0307654321");
    assert!(world.phone(ONE).ring.is_some() && world.phone(TWO).ring.is_none());
    world.ended(call, Cause::Cancelled);
    let call = world.incoming(0, "0305550999", "0307654321");
    assert_eq!(world.orders(call), [CallOrder::Reject(Cause::NotFound)]);
    world.is_quiet();
}

#[test]
fn rings_differ_by_caller_then_network_then_account_then_line() {
    let mut world = World::set(|config| {
        config.lines[0].ring = RingPattern(2);
        config.accounts[1].ring = RingPattern(3);
        let entry = Entry { number: number("0307654321"), ring: Some(RingPattern(5)), ..Entry::default() };
        assert!(config.book.add(entry));
    });
    let pattern = |world: &mut World, account, from: &str, alert| {
        let call = dialtone_base::telephony::CallId(1000 + world.log.len() as u32 * 2);
        let (called, from) = (number("1"), party(from));
        world.tell(Input::Incoming { call, account, called, from, alert, replaces: None });
        let pattern = world.phone(ONE).ring.clone().unwrap().0;
        world.ended(call, Cause::Cancelled);
        pattern.0
    };
    assert_eq!(pattern(&mut world, 0, "0300000001", Alert::Normal), 2);
    assert_eq!(pattern(&mut world, 1, "0300000001", Alert::Normal), 3);
    assert_eq!(pattern(&mut world, 1, "0300000001", Alert::Pattern(4)), 4);
    assert_eq!(pattern(&mut world, 1, "0307654321", Alert::Pattern(4)), 5);
}

#[test]
fn calls_beyond_the_limit_are_busy_both_ways() {
    let mut world = World::set(|config| config.outside_calls = 1);
    let first = world.talk_to(ONE, "030123456");
    world.lift(TWO);
    world.press(TWO, "030222222#");
    world.hears_tone(TWO, Tone::Congestion);
    world.put_down(TWO);
    let second = world.incoming(1, "0305550200", "0307654321");
    assert_eq!(world.orders(second), [CallOrder::Reject(Cause::Busy)]);
    assert_eq!(world.exchange.rejections().of(Rejected::Full), 1);
    world.put_down(ONE);
    assert_eq!(world.last_order(first), Some(&CallOrder::HangUp));
    world.is_quiet();
}

#[test]
fn rules_choose_the_account_and_rewrite_the_number_for_its_operator() {
    let mut world = World::set(|config| {
        config.accounts[1].format = NumberFormat::Plus;
        let action = RuleAction::Route { account: Some(1), strip: 0, prepend: number("") };
        config.rules.push(Rule { prefix: number("0170"), action }).unwrap();
    });
    let call = world.call(ONE, "01701234567");
    assert_eq!(world.dialled(call), (1, "+491701234567"));
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_blocked_number_is_refused_and_logged() {
    let mut world = World::set(|config| {
        config.rules.push(Rule { prefix: number("0900"), action: RuleAction::Block }).unwrap();
    });
    for dialled in ["0900123456#", "0049900123456#"] {
        world.lift(ONE);
        world.press(ONE, dialled);
        world.hears_tone(ONE, Tone::SpecialInformation);
        assert_eq!(world.log.last().unwrap().outcome, Outcome::Blocked);
        world.put_down(ONE);
    }
    assert!(world.calls.is_empty());
}

#[test]
fn late_news_and_wrong_inputs_change_nothing_and_are_counted() {
    let mut world = World::new();
    let call = world.call(ONE, "030123456");
    world.put_down(ONE);
    for input in [Input::Answered { call }, Input::Ended { call, cause: Cause::Normal }] {
        assert_eq!(world.try_tell(input), Err(Rejected::UnknownCall));
    }
    let line = |line, event| Input::Line { line: LineId(line), event };
    assert_eq!(world.try_tell(line(0, LineEvent::OnHook)), Err(Rejected::WrongState));
    assert_eq!(world.try_tell(line(0, LineEvent::Flash)), Err(Rejected::WrongState));
    assert_eq!(world.try_tell(line(3, LineEvent::OffHook)), Err(Rejected::UnknownLine));
    assert_eq!(world.try_tell(Input::Registration { account: 99, up: true }), Err(Rejected::UnknownAccount));
    assert_eq!(world.exchange.rejections().total(), 6);
    world.is_quiet();
}

#[test]
fn ten_thousand_calls_leave_nothing_behind() {
    let mut world = World::new();
    for round in 0..5_000_u32 {
        let call = world.incoming(0, "0305550100", "0307654321");
        let line = LineId((round % 2) as u8);
        world.lift(line);
        world.ended(call, Cause::Normal);
        world.put_down(line);
        let call = world.talk_to(line, "030123456");
        world.wait_for(Duration::from_millis(500));
        world.put_down(line);
        assert_eq!(world.last_order(call), Some(&CallOrder::HangUp));
        world.calls.clear();
    }
    assert_eq!(world.log.len(), 10_000);
    world.is_quiet();
}
