//! Calls for help: always, by any way there is.

use super::world::{ONE, TWO, World, number};
use crate::calls::config::{Rule, RuleAction};
use crate::calls::{CallOrder, Cause, Input, LineEvent, Rejected, Tone, Voice};

fn is_emergency(order: Option<&CallOrder>) -> bool {
    matches!(order, Some(CallOrder::Dial { emergency: true, withhold: false, .. }))
}

#[test]
fn help_is_called_at_once_without_waiting_for_more_digits() {
    let mut world = World::new();
    world.lift(ONE);
    world.press(ONE, "112");
    let call = world.newest_out();
    assert!(is_emergency(world.last_order(call)));
    world.answered(call);
    world.hears(ONE, &[Voice::Call(call)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn no_setting_stands_in_the_way_of_help() {
    let mut world = World::set(|config| {
        for line in &mut config.lines {
            line.enabled = false;
            line.blocked = true;
            line.withhold_number = true;
        }
        config.rules.push(Rule { prefix: number("112"), action: RuleAction::Block }).unwrap();
        config.rules.push(Rule { prefix: number(""), action: RuleAction::Block }).unwrap();
    });
    world.lift(ONE);
    world.hears_tone(ONE, Tone::NoService);
    world.press(ONE, "112");
    assert!(is_emergency(world.last_order(world.newest_out())));
}

#[test]
fn hiding_the_number_does_not_hide_it_from_help() {
    let mut world = World::new();
    world.lift(ONE);
    world.press(ONE, "*67112");
    assert!(is_emergency(world.last_order(world.newest_out())));
}

#[test]
fn help_goes_by_another_account_when_the_lines_own_is_down() {
    let mut world = World::new();
    world.tell(Input::Registration { account: 0, up: false });
    let call = world.call(ONE, "112");
    assert_eq!(world.dialled(call).0, 1);
}

#[test]
fn help_is_tried_by_every_account_even_those_that_are_down() {
    let mut world = World::new();
    for account in [0, 1] {
        world.tell(Input::Registration { account, up: false });
    }
    let first = world.call(ONE, "110");
    assert_eq!(world.dialled(first), (0, "110"));
    world.ended(first, Cause::Timeout);
    let second = world.newest_out();
    assert_eq!(world.dialled(second), (1, "110"));
    assert_eq!(world.phone(ONE).tone, None);
    world.answered(second);
    world.hears(ONE, &[Voice::Call(second)]);
    world.put_down(ONE);
    world.is_quiet();
    let first = world.call(ONE, "110");
    world.ended(first, Cause::Congestion);
    world.ended(world.newest_out(), Cause::Forbidden);
    world.hears_tone(ONE, Tone::Congestion);
}

#[test]
fn help_takes_the_place_of_an_ordinary_call_of_the_other_line() {
    let mut world = World::set(|config| config.outside_calls = 1);
    let ordinary = world.talk_to(TWO, "030111111");
    let help = world.call(ONE, "112");
    assert!(is_emergency(world.last_order(help)));
    assert_eq!(world.last_order(ordinary), Some(&CallOrder::HangUp));
    world.hears_tone(TWO, Tone::Congestion);
}

#[test]
fn help_takes_the_place_of_the_callers_own_held_call_before_anothers() {
    let mut world = World::set(|config| config.outside_calls = 2);
    let other = world.talk_to(TWO, "030111111");
    let own = world.talk_to(ONE, "030222222");
    world.flash(ONE);
    world.press(ONE, "112");
    assert!(is_emergency(world.last_order(world.newest_out())));
    assert_eq!(world.last_order(own), Some(&CallOrder::HangUp));
    world.hears(TWO, &[Voice::Call(other)]);
}

#[test]
fn two_calls_for_help_do_not_push_each_other_out() {
    let mut world = World::set(|config| config.outside_calls = 1);
    let first = world.talk_to(ONE, "112");
    let second = world.talk_to(TWO, "110");
    world.hears(ONE, &[Voice::Call(first)]);
    world.hears(TWO, &[Voice::Call(second)]);
}

#[test]
fn a_call_for_help_is_neither_held_nor_interrupted() {
    let mut world = World::new();
    let help = world.talk_to(ONE, "112");
    let flash = Input::Line { line: ONE, event: LineEvent::Flash };
    assert_eq!(world.try_tell(flash), Err(Rejected::WrongState));
    world.lift(TWO);
    let other = world.incoming(0, "0305550100", "0307654321");
    assert_eq!(world.orders(other), [CallOrder::Reject(Cause::Busy)]);
    assert_eq!(world.phone(ONE).announced, 0);
    world.hears(ONE, &[Voice::Call(help)]);
}

#[test]
fn those_called_for_help_get_through_when_they_call_back() {
    let mut world = World::set(|config| {
        config.lines[0].do_not_disturb = true;
        config.lines[0].reject_anonymous = true;
        config.lines[0].forwarding.always = Some(number("030999999"));
    });
    world.talk_to(ONE, "112");
    world.put_down(ONE);
    let back = world.anonymous(0, "0305550100");
    assert!(world.phone(ONE).ring.is_some());
    world.wait(30);
    assert!(world.phone(ONE).ring.is_some());
    world.ended(back, Cause::Cancelled);
    world.wait(1801);
    world.incoming(0, "0305550100", "0307654321");
    assert!(world.phone(ONE).ring.is_none(), "half an hour later everything is as it was set");
}

#[test]
fn a_setting_that_removes_accounts_does_not_end_a_call_for_help() {
    let mut world = World::new();
    let ordinary = world.talk_to(TWO, "030111111");
    let help = world.talk_to(ONE, "112");
    let mut config = super::world::config();
    config.accounts.clear();
    world.tell(Input::Configure(config.into()));
    world.hears(ONE, &[Voice::Call(help)]);
    assert_eq!(world.last_order(ordinary), Some(&CallOrder::HangUp));
}
