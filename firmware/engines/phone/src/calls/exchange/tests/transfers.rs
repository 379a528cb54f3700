//! Transfers, outside and inside the home, by us and by the other end.

use dialtone_base::telephony::CallId;

use super::world::{ONE, TWO, World, number, party};
use crate::calls::{Alert, CallOrder, Cause, Input, Rejected, Tone, TransferProgress, Voice};

fn consultation(world: &mut World) -> (CallId, CallId) {
    let first = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    let second = world.dial(ONE, "030222222");
    (first, second)
}

#[test]
fn hanging_up_after_asking_joins_both() {
    let mut world = World::new();
    let (first, second) = consultation(&mut world);
    world.answered(second);
    world.put_down(ONE);
    assert_eq!(world.last_order(first), Some(&CallOrder::TransferTo(second)));
    assert!(world.phone(ONE).ring.is_none());
    world.transfer(first, TransferProgress::Trying);
    world.transfer(first, TransferProgress::Done);
    assert_eq!(world.last_order(first), Some(&CallOrder::HangUp));
    assert_eq!(world.last_order(second), Some(&CallOrder::HangUp));
    world.is_quiet();
}

#[test]
fn hanging_up_while_it_rings_sends_the_held_one_there() {
    let mut world = World::new();
    let (first, second) = consultation(&mut world);
    world.rings_there(second);
    world.put_down(ONE);
    assert_eq!(world.last_order(second), Some(&CallOrder::HangUp));
    assert_eq!(world.last_order(first), Some(&CallOrder::Transfer(number("030222222"))));
    world.transfer(first, TransferProgress::Done);
    world.is_quiet();
}

#[test]
fn flash_and_four_joins_both_and_gives_dial_tone() {
    let mut world = World::new();
    let (first, second) = consultation(&mut world);
    world.answered(second);
    world.flash(ONE);
    world.press(ONE, "4");
    world.hears_tone(ONE, Tone::Confirmation);
    assert!(
        world.orders(second).contains(&CallOrder::TransferTo(first))
            || world.orders(first).contains(&CallOrder::TransferTo(second))
    );
    world.wait(3);
    world.hears_tone(ONE, Tone::Dial);
}

#[test]
fn where_hanging_up_does_not_join_the_held_one_rings_back() {
    let mut world = World::set(|config| config.lines[0].transfer_on_hang_up = false);
    let (first, second) = consultation(&mut world);
    world.answered(second);
    world.put_down(ONE);
    assert_eq!(world.last_order(second), Some(&CallOrder::HangUp));
    assert!(world.phone(ONE).ring.is_some());
    world.lift(ONE);
    world.hears(ONE, &[Voice::Call(first)]);
}

#[test]
fn a_star_code_sends_the_held_one_elsewhere() {
    let mut world = World::new();
    let first = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    world.press(ONE, "*98030333333#");
    assert_eq!(world.last_order(first), Some(&CallOrder::Transfer(number("030333333"))));
    world.hears_tone(ONE, Tone::Confirmation);
    world.put_down(ONE);
    world.transfer(first, TransferProgress::Done);
    world.is_quiet();
}

#[test]
fn a_transfer_that_fails_rings_back() {
    for fails in [true, false] {
        let mut world = World::new();
        let first = world.talk_to(ONE, "030111111");
        world.flash(ONE);
        world.press(ONE, "*98030333333#");
        world.put_down(ONE);
        if fails {
            world.transfer(first, TransferProgress::Failed);
        } else {
            world.wait(61);
        }
        assert!(world.phone(ONE).ring.is_some());
        world.lift(ONE);
        assert_eq!(world.last_order(first), Some(&CallOrder::Resume));
        world.hears(ONE, &[Voice::Call(first)]);
        world.put_down(ONE);
        world.is_quiet();
    }
}

#[test]
fn a_call_moves_to_the_other_telephone_after_asking() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    world.press(ONE, "**2");
    world.lift(TWO);
    world.put_down(ONE);
    world.hears(TWO, &[Voice::Call(call)]);
    assert_eq!(world.last_order(call), Some(&CallOrder::Resume));
    world.put_down(TWO);
    world.is_quiet();
}

#[test]
fn a_call_moves_to_the_other_telephone_without_asking_and_comes_back_unanswered() {
    let mut world = World::new();
    let call = world.talk_to(ONE, "030111111");
    world.flash(ONE);
    world.press(ONE, "**2");
    assert_eq!(world.phone(TWO).ring.as_ref().unwrap().1.number.as_str(), "**1");
    world.put_down(ONE);
    assert_eq!(world.phone(TWO).ring.as_ref().unwrap().1.number.as_str(), "030111111", "now shows who waits");
    world.wait(61);
    assert!(world.phone(TWO).ring.is_none() && world.phone(ONE).ring.is_some());
    world.lift(ONE);
    world.hears(ONE, &[Voice::Call(call)]);
    world.flash(ONE);
    world.press(ONE, "*98**2");
    world.put_down(ONE);
    world.lift(TWO);
    world.hears(TWO, &[Voice::Call(call)]);
    world.put_down(TWO);
    world.is_quiet();
}

#[test]
fn the_other_end_may_send_us_to_somebody_else() {
    let mut world = World::new();
    let old = world.talk_to(ONE, "030111111");
    world.tell(Input::TransferRequested { call: old, to: number("030444444") });
    let new = world.newest_out();
    assert!(matches!(world.orders(new), [CallOrder::Dial { referred, .. }] if *referred == Some(old)));
    world.hears(ONE, &[Voice::Call(old)]);
    world.answered(new);
    assert_eq!(world.last_order(old), Some(&CallOrder::HangUp));
    world.hears(ONE, &[Voice::Call(new)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn the_other_end_may_leave_before_the_new_one_answers() {
    let mut world = World::new();
    let old = world.talk_to(ONE, "030111111");
    world.tell(Input::TransferRequested { call: old, to: number("030444444") });
    let new = world.newest_out();
    world.rings_there(new);
    world.ended(old, Cause::Normal);
    world.hears_tone(ONE, Tone::Ringback);
    world.answered(new);
    world.hears(ONE, &[Voice::Call(new)]);
    world.put_down(ONE);
    world.is_quiet();
}

#[test]
fn a_transfer_to_a_forbidden_or_emergency_number_is_refused() {
    use crate::calls::config::{Rule, RuleAction};
    let mut world = World::set(|config| {
        config.rules.push(Rule { prefix: number("0900"), action: RuleAction::Block }).unwrap();
    });
    let call = world.talk_to(ONE, "030111111");
    for to in ["0900123456", "112", "**2", ""] {
        let refused = world.try_tell(Input::TransferRequested { call, to: number(to) });
        assert_eq!(refused, Err(Rejected::WrongState), "{to}");
        assert_eq!(world.last_order(call), Some(&CallOrder::RefuseTransfer));
    }
    world.hears(ONE, &[Voice::Call(call)]);
}

#[test]
fn a_call_that_replaces_another_takes_its_place_without_ringing() {
    let mut world = World::new();
    let old = world.talk_to(ONE, "030111111");
    let (call, called, from) = (CallId(500), number("0305550100"), party("030555555"));
    let (account, alert) = (0, Alert::Normal);
    world.tell(Input::Incoming { call, account, called, from, alert, replaces: Some(old) });
    assert_eq!(world.orders(call), [CallOrder::Answer]);
    assert_eq!(world.last_order(old), Some(&CallOrder::HangUp));
    world.hears(ONE, &[Voice::Call(call)]);
    let (call, called, from) = (CallId(502), number("0305550100"), party("030555555"));
    let unknown = Input::Incoming { call, account, called, from, alert, replaces: Some(old) };
    assert_eq!(world.try_tell(unknown), Err(Rejected::UnknownCall));
    assert_eq!(world.orders(call), [CallOrder::Reject(Cause::NotFound)]);
}
