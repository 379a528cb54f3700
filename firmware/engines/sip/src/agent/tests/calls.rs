//! Calls between two user agents.

extern crate std;
use std::vec::Vec;

use dialtone_base::Duration;
use dialtone_base::telephony::{CallId, Key, Number, Presentation};

use super::world::*;
use crate::interface::*;

/// The name the callee gave the call.
fn incoming(events: &[Event<'static>]) -> u32 {
    let found = events.iter().find_map(|event| match event {
        Event::Incoming { call, .. } => Some(call.0),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no call came: {events:?}"))
}

/// 100 calls 200 and is answered: both in a call. The callee's name of it.
pub fn connect(world: &mut World, call: u32) -> u32 {
    world.dial(0, call, "200", Some(OFFER));
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Alert { body: None }).unwrap();
    world.run_millis(300);
    world.order(1, theirs, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    world.events(0);
    world.events(1);
    theirs
}

#[test]
fn a_call_rings_is_answered_and_ends() {
    let mut world = pair(1);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let events = world.call_events(1);
    let [Event::Incoming { call, called, from, offer: Some(offer), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((called.as_str(), from.number.as_str(), offer.bytes), ("200", "100", OFFER));
    let theirs = call.0;
    assert_eq!(
        world.call_events(0),
        [Event::Progress { call: CallId(1), progress: Progress::Trying, body: None }]
    );
    world.order(1, theirs, Order::Alert { body: None }).unwrap();
    world.run_millis(300);
    assert_eq!(
        world.call_events(0),
        [Event::Progress { call: CallId(1), progress: Progress::Ringing, body: None }]
    );
    world.order(1, theirs, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    assert_eq!(
        world.call_events(0),
        [Event::Answered { call: CallId(1), body: Some(sdp(ANSWER)), by: None }]
    );
    assert_eq!(world.call_events(1), [Event::Established { call: CallId(theirs), body: None }]);
    world.run(Duration::from_secs(60));
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::Ended { call: CallId(1), cause: Cause::Normal, status: 0 }]);
    assert_eq!(
        world.call_events(1),
        [Event::Ended { call: CallId(theirs), cause: Cause::Normal, status: 0 }]
    );
    world.assert_empty(0);
    world.assert_empty(1);
    world.run(Duration::from_secs(40));
    assert_eq!((world.nodes[0].agent.transactions(), world.nodes[1].agent.transactions()), (0, 0));
}

#[test]
fn a_caller_who_gives_up_cancels() {
    let mut world = pair(2);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Alert { body: None }).unwrap();
    world.run_millis(300);
    world.events(0);
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(300);
    assert_eq!(
        world.call_events(1),
        [Event::Ended { call: CallId(theirs), cause: Cause::Cancelled, status: 487 }]
    );
    world.assert_empty(0);
    world.assert_empty(1);
}

#[test]
fn an_answer_that_crosses_a_cancel_is_acknowledged_and_ended_rfc_3261_section_9_1() {
    let mut world = pair(3);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Alert { body: None }).unwrap();
    world.run_millis(300);
    world.order(1, theirs, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(500);
    let ended = Event::Ended { call: CallId(theirs), cause: Cause::Normal, status: 0 };
    assert!(world.call_events(1).contains(&ended));
    world.run(Duration::from_secs(45));
    world.assert_empty(0);
    world.assert_empty(1);
}

#[test]
fn a_callee_who_is_busy_says_so() {
    let mut world = pair(4);
    for (number, rejection, cause, status) in [
        (1, Rejection::Busy, Cause::Busy, 486),
        (3, Rejection::Declined, Cause::Declined, 603),
        (5, Rejection::Unavailable, Cause::Unavailable, 480),
        (7, Rejection::NotAcceptable, Cause::NotAcceptable, 488),
        (9, Rejection::AnonymityDisallowed, Cause::AnonymityDisallowed, 433),
    ] {
        world.dial(0, number, "200", Some(OFFER));
        world.run_millis(300);
        let theirs = incoming(&world.events(1));
        world.order(1, theirs, Order::Reject(rejection)).unwrap();
        world.run_millis(300);
        let ended = Event::Ended { call: CallId(number), cause, status };
        assert_eq!(world.call_events(0).last(), Some(&ended));
        world.assert_empty(0);
        world.assert_empty(1);
    }
}

#[test]
fn a_number_nobody_has_is_not_found() {
    let mut world = pair(5);
    world.dial(0, 1, "999", Some(OFFER));
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::Ended { call: CallId(1), cause: Cause::NotFound, status: 404 }]);
    assert_eq!(world.call_events(1), []);
}

#[test]
fn hold_and_resume_are_offers_both_ways() {
    let mut world = pair(6);
    let theirs = connect(&mut world, 1);
    for (from, to, ours, other) in [(0, 1, 1, theirs), (1, 0, theirs, 1)] {
        world.order(from, ours, Order::Offer(sdp(SECOND_OFFER))).unwrap();
        world.run_millis(300);
        assert_eq!(world.call_events(to), [Event::Offer { call: CallId(other), body: sdp(SECOND_OFFER) }]);
        world.order(to, other, Order::Accept(sdp(SECOND_ANSWER))).unwrap();
        world.run_millis(300);
        assert_eq!(
            world.call_events(from),
            [Event::OfferAnswered { call: CallId(ours), body: sdp(SECOND_ANSWER) }]
        );
    }
}

#[test]
fn an_offer_that_is_refused_leaves_the_call_as_it_was() {
    let mut world = pair(7);
    let theirs = connect(&mut world, 1);
    world.order(0, 1, Order::Offer(sdp(SECOND_OFFER))).unwrap();
    world.run_millis(300);
    world.order(1, theirs, Order::Refuse).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::OfferRefused { call: CallId(1), status: 488 }]);
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(300);
    world.assert_empty(1);
}

#[test]
fn offers_that_cross_are_made_again_one_after_the_other_rfc_3261_section_14_1() {
    for seed in 0..30 {
        let mut world = pair(100 + seed);
        let theirs = connect(&mut world, 1);
        world.order(0, 1, Order::Offer(sdp(b"v=0 from 100"))).unwrap();
        world.order(1, theirs, Order::Offer(sdp(b"v=0 from 200"))).unwrap();
        let (mut answered, mut rounds) = ([0, 0], 0);
        while answered != [1, 1] && rounds < 100 {
            world.run_millis(100);
            rounds += 1;
            for (node, call) in [(0, 1), (1, theirs)] {
                for event in world.call_events(node) {
                    match event {
                        Event::Offer { .. } => {
                            world.order(node, call, Order::Accept(sdp(SECOND_ANSWER))).unwrap();
                        }
                        Event::OfferAnswered { .. } => answered[node] += 1,
                        other => panic!("seed {seed}: {other:?}"),
                    }
                }
            }
        }
        assert_eq!(answered, [1, 1], "seed {seed}");
    }
}

#[test]
fn a_call_without_an_offer_is_answered_with_one() {
    let mut world = pair(8);
    world.dial(0, 1, "200", None);
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Answer { body: Some(sdp(OFFER)) }).unwrap();
    world.run_millis(300);
    let events = world.call_events(0);
    assert_eq!(
        events[1..],
        [
            Event::Answered { call: CallId(1), body: None, by: None },
            Event::Offer { call: CallId(1), body: sdp(OFFER) },
        ]
    );
    world.order(0, 1, Order::Accept(sdp(ANSWER))).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(1), [Event::Established { call: CallId(theirs), body: Some(sdp(ANSWER)) }]);
}

#[test]
fn early_media_is_reliable_when_both_can_rfc_3262() {
    let mut world = pair(9);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Alert { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    let events = world.call_events(0);
    let early = Event::Progress {
        call: CallId(1),
        progress: Progress::EarlyMedia { ringing: false },
        body: Some(sdp(ANSWER)),
    };
    assert!(events.contains(&early), "{events:?}");
    assert!(events.contains(&Event::Progress { call: CallId(1), progress: Progress::Ringing, body: None }));
    assert_eq!(world.count_sent(0, "PRACK"), 1);
    world.order(1, theirs, Order::Answer { body: None }).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::Answered { call: CallId(1), body: None, by: None }]);
    // The answered session can be changed at once.
    world.order(0, 1, Order::Offer(sdp(SECOND_OFFER))).unwrap();
    world.run_millis(300);
    assert!(matches!(world.call_events(1).last(), Some(Event::Offer { .. })));
}

#[test]
fn an_offer_before_the_answer_goes_by_update_rfc_3311() {
    let mut world = pair(10);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let theirs = incoming(&world.events(1));
    world.order(1, theirs, Order::Alert { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    world.order(1, theirs, Order::Offer(sdp(SECOND_OFFER))).unwrap();
    world.events(0);
    world.run_millis(300);
    assert_eq!(world.call_events(0), []);
    assert_eq!(world.count_sent(1, "UPDATE"), 1);
}

#[test]
fn keys_travel_as_info_both_ways() {
    let mut world = pair(11);
    let theirs = connect(&mut world, 1);
    let key = Key::from_char('#').unwrap();
    world.order(0, 1, Order::Key(key)).unwrap();
    world.order(1, theirs, Order::Key(Key::from_char('7').unwrap())).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(1), [Event::Key { call: CallId(theirs), key, millis: 160 }]);
    assert!(matches!(world.call_events(0)[..], [Event::Key { key, .. }] if key.as_char() == '7'));
}

#[test]
fn a_withheld_number_is_not_shown_rfc_3323() {
    let mut world = pair(12);
    let to = Number::lossy("200");
    let order = Order::Dial {
        account: 0,
        number: 0,
        to: &to,
        withhold: true,
        offer: Some(sdp(OFFER)),
        referred_by: None,
    };
    world.order(0, 1, order).unwrap();
    world.run_millis(300);
    let events = world.call_events(1);
    let [Event::Incoming { from, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((from.presentation, from.number.as_str()), (Presentation::Withheld, ""));
    let invite = world.last_sent(0, "INVITE");
    assert!(invite.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>"), "{invite}");
    assert!(invite.contains("Contact: <sip:anonymous@192.0.2.1:5060>"), "{invite}");
    assert!(invite.contains("Privacy: id") && invite.contains("P-Preferred-Identity: <sip:100@example.net>"));
}

#[test]
fn ten_thousand_calls_in_a_row_leak_nothing() {
    let mut world = pair(13);
    let mut taken = Vec::new();
    for number in 0..10_000_u32 {
        let ours = number * 2 + 1;
        world.dial(0, ours, "200", Some(OFFER));
        world.run_millis(30);
        let theirs = incoming(&world.events(1));
        match number % 4 {
            0 => world.order(1, theirs, Order::Reject(Rejection::Busy)).unwrap(),
            1 => world.order(0, ours, Order::HangUp).unwrap(),
            _ => {
                world.order(1, theirs, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
                world.run_millis(100);
                let (node, call) = if number % 4 == 2 { (0, ours) } else { (1, theirs) };
                world.order(node, call, Order::HangUp).unwrap();
            }
        }
        world.run(Duration::from_secs(10));
        world.events(0);
        world.nodes[0].sent.clear();
        world.nodes[1].sent.clear();
        if number % 1000 == 0 {
            taken.push((world.nodes[0].agent.transactions(), world.nodes[1].agent.transactions()));
        }
    }
    world.run(Duration::from_secs(60));
    world.assert_empty(0);
    world.assert_empty(1);
    assert_eq!(
        (world.nodes[0].agent.transactions(), world.nodes[1].agent.transactions()),
        (0, 0),
        "{taken:?}"
    );
}
