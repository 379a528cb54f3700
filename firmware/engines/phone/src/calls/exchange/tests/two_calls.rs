//! Two calls at one telephone: hold, call waiting, toggling, three at once, and the call that rings back.

use super::world::{ONE, TWO, World};
use crate::calls::{CallOrder, Cause, Tone, Voice};

/// A call out, and a second one dialled after a flash.
fn consultation(world: &mut World) -> (dialtone_base::telephony::CallId, dialtone_base::telephony::CallId) {
    let first = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    let second = world.dial(ONE, "030222222");
    world.answered(second);
    (first, second)
}

#[test]
fn a_flash_holds_and_gives_dial_tone_and_another_takes_back() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    assert_eq!(world.last_order(call), Some(&CallOrder::Hold));
    world.hears_tone(ONE, Tone::RecallDial);
    world.flash(ONE);
    assert_eq!(world.last_order(call), Some(&CallOrder::Resume));
    world.hears(ONE, &[Voice::Call(call)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_second_caller_is_announced_shown_and_accepted_by_flash() {
    let mut world = World::new();
    let first = world.talk_to(ONE, "030111111");
    world.lift(TWO);
    let second = world.incoming(0, "0305550100", "0307654321");
    let phone = world.phone(ONE);
    assert_eq!((phone.announced, phone.shown.as_ref().unwrap().number.as_str()), (1, "0307654321"));
    world.hears(ONE, &[Voice::Call(first)]);
    world.wait(10);
    assert_eq!(world.phone(ONE).announced, 2, "the tone comes again");
    world.flash(ONE);
    assert_eq!(world.last_order(first), Some(&CallOrder::Hold));
    assert_eq!(world.last_order(second), Some(&CallOrder::Answer));
    world.hears(ONE, &[Voice::Call(second)]);
    world.wait(30);
    assert_eq!(world.phone(ONE).announced, 2, "and no more once accepted");
    world.flash(ONE);
    world.hears(ONE, &[Voice::Call(first)]);
    assert_eq!(world.last_order(second), Some(&CallOrder::Hold));
    world.put_down(TWO);
    world.put_down(ONE);
    assert!(
        world.phone(ONE).ring.is_some(),
        "two who met by call waiting are not joined: the held one rings back"
    );
    world.lift(ONE);
    world.hears(ONE, &[Voice::Call(second)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_digit_after_the_flash_says_what_to_do_with_two_calls() {
    for (key, left, ended) in [("1", 1, 0), ("0", 0, 1)] {
        let mut world = World::new();
        let calls = [world.talk_to(ONE, "030111111"), world.incoming(0, "0305550100", "0307654321")];
        world.flash(ONE);
        world.press(ONE, key);
        assert_eq!(world.last_order(calls[ended]), Some(&CallOrder::HangUp), "key {key}");
        world.hears(ONE, &[Voice::Call(calls[left])]);
        world.put_down(ONE);
        world.is_quiet();
    }
}

#[test]
fn a_digit_long_after_the_flash_goes_to_the_other_end() {
    let mut world = World::new();
    let (first, second) = consultation(&mut world);
    world.flash(ONE);
    world.wait(4);
    world.press(ONE, "1");
    assert!(matches!(world.last_order(first), Some(CallOrder::Key(_))));
    assert_eq!(world.last_order(second), Some(&CallOrder::Hold));
}

#[test]
fn three_talk_together_and_each_may_leave() {
    let mut world = World::new();
    let (first, second) = consultation(&mut world);
    world.flash(ONE);
    world.press(ONE, "3");
    world.hears(ONE, &[Voice::Call(first), Voice::Call(second)]);
    assert_eq!(world.last_order(second), Some(&CallOrder::Resume));
    world.flash(ONE);
    world.hears(ONE, &[Voice::Call(first)]);
    assert_eq!(world.last_order(second), Some(&CallOrder::Hold), "a flash makes it private again");
    world.press(ONE, "3");
    world.ended(first, Cause::Normal);
    world.hears(ONE, &[Voice::Call(second)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_conference_with_the_other_telephone_joins_both_lines_at_the_host() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    world.press(ONE, "**2");
    world.lift(TWO);
    world.hears(ONE, &[Voice::Line(TWO)]);
    world.hears(TWO, &[Voice::Line(ONE)]);
    world.flash(ONE);
    world.hears(ONE, &[Voice::Call(call)]);
    assert!(world.phone(TWO).with.is_empty(), "held");
    world.press(ONE, "3");
    world.hears(ONE, &[Voice::Call(call), Voice::Line(TWO)]);
    world.hears(TWO, &[Voice::Line(ONE)]);
    world.put_down(TWO);
    world.hears(ONE, &[Voice::Call(call)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_failed_second_call_leaves_the_first_to_be_taken_back() {
    let mut world = World::new();
    let first = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    let second = world.dial(ONE, "030222222");
    world.ended(second, Cause::Busy);
    world.hears_tone(ONE, Tone::Busy);
    world.flash(ONE);
    world.hears(ONE, &[Voice::Call(first)]);
    world.flash(ONE);
    let third = world.dial(ONE, "030333333");
    world.rings_there(third);
    world.flash(ONE);
    assert_eq!(world.last_order(third), Some(&CallOrder::HangUp));
    world.hears(ONE, &[Voice::Call(first)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn hanging_up_with_a_held_call_rings_back_and_gives_up_after_a_while() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    world.put_down(ONE);
    assert!(world.phone(ONE).ring.is_some());
    world.wait(61);
    assert!(world.phone(ONE).ring.is_none());
    assert_eq!(world.last_order(call), Some(&CallOrder::HangUp));
    world.is_quiet();
}

#[test]
fn a_waiting_caller_rings_when_the_receiver_is_put_down() {
    let mut world = World::new();
    world.talk_to(ONE, "030111111");
    world.lift(TWO);
    let second = world.incoming(0, "0305550100", "0307654321");
    world.put_down(ONE);
    assert!(world.phone(ONE).ring.is_some());
    world.lift(ONE);
    world.hears(ONE, &[Voice::Call(second)]);
    world.put_down(ONE);
    world.put_down(TWO);
    world.is_quiet();
}

#[test]
fn a_third_caller_finds_the_line_busy() {
    let mut world = World::new();
    world.talk_to(ONE, "030111111");
    world.lift(TWO);
    world.incoming(0, "0305550100", "0307654321");
    let third = world.incoming(0, "0305550100", "0308888888");
    assert_eq!(world.orders(third), [CallOrder::Reject(Cause::Busy)]);
}

#[test]
fn when_the_first_ends_the_waiting_one_is_still_accepted_by_flash() {
    let mut world = World::new();
    let first = world.talk_to(ONE, "030111111");
    world.lift(TWO);
    let second = world.incoming(0, "0305550100", "0307654321");
    world.ended(first, Cause::Normal);
    world.hears_tone(ONE, Tone::Busy);
    world.flash(ONE);
    world.hears(ONE, &[Voice::Call(second)]);
}
