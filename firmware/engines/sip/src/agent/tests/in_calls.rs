//! What happens to standing calls: transfers, session timers, loss, another address.

extern crate std;
use std::vec::Vec;

use dialtone_base::Duration;
use dialtone_base::telephony::{CallId, Number};

use super::calls::connect;
use super::world::*;
use crate::interface::*;

fn find_incoming(world: &mut World, node: usize) -> (u32, Option<CallId>) {
    let events = world.call_events(node);
    let found = events.iter().find_map(|event| match event {
        Event::Incoming { call, replaces, .. } => Some((call.0, *replaces)),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no call came: {events:?}"))
}

#[test]
fn a_blind_transfer_is_reported_until_it_is_done_rfc_3515() {
    let mut world = trio(1);
    let theirs = connect(&mut world, 1);
    // 200 sends 100 to 300.
    world.order(1, theirs, Order::Transfer(&Number::lossy("300"))).unwrap();
    world.run_millis(300);
    let events = world.call_events(0);
    let asked = Event::TransferAsked { call: CallId(1), to: Number::lossy("300"), attended: false };
    assert_eq!(events, [asked]);
    world.order(0, 1, Order::AcceptTransfer).unwrap();
    let to = Number::lossy("300");
    let order = Order::Dial {
        account: 0,
        number: 0,
        to: &to,
        withhold: false,
        offer: Some(sdp(OFFER)),
        referred_by: Some(CallId(1)),
    };
    world.order(0, 3, order).unwrap();
    world.run_millis(300);
    let (third, _) = find_incoming(&mut world, 2);
    world.order(2, third, Order::Alert { body: None }).unwrap();
    world.run_millis(300);
    world.order(2, third, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    let progress = |progress| Event::TransferProgress { call: CallId(theirs), progress };
    assert_eq!(
        world.call_events(1),
        [
            progress(TransferProgress::Trying),
            progress(TransferProgress::Ringing),
            progress(TransferProgress::Done),
        ]
    );
    world.order(1, theirs, Order::HangUp).unwrap();
    world.run_millis(300);
    assert!(world.call_events(0).contains(&Event::Ended {
        call: CallId(1),
        cause: Cause::Normal,
        status: 0
    }));
    world.assert_empty(1);
    world.order(0, 3, Order::HangUp).unwrap();
    world.run_millis(300);
    for node in 0..3 {
        world.assert_empty(node);
    }
}

#[test]
fn an_attended_transfer_replaces_the_call_asked_about_rfc_3891() {
    let mut world = trio(2);
    let theirs = connect(&mut world, 1);
    // 200 asks 300, then joins 100 and 300.
    world.dial(1, 3, "300", Some(OFFER));
    world.run_millis(300);
    let (third, _) = find_incoming(&mut world, 2);
    world.order(2, third, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    world.events(2);
    world.order(1, theirs, Order::TransferTo(CallId(3))).unwrap();
    world.run_millis(300);
    let events = world.call_events(0);
    assert!(matches!(events[..], [Event::TransferAsked { attended: true, .. }]), "{events:?}");
    world.order(0, 1, Order::AcceptTransfer).unwrap();
    let to = Number::lossy("300");
    let order = Order::Dial {
        account: 0,
        number: 0,
        to: &to,
        withhold: false,
        offer: Some(sdp(OFFER)),
        referred_by: Some(CallId(1)),
    };
    world.order(0, 5, order).unwrap();
    world.run_millis(300);
    let (replacing, replaces) = find_incoming(&mut world, 2);
    assert_eq!(replaces, Some(CallId(third)));
    world.order(2, replacing, Order::Answer { body: Some(sdp(ANSWER)) }).unwrap();
    world.run_millis(300);
    let ended = Event::Ended { call: CallId(third), cause: Cause::Replaced, status: 0 };
    assert!(world.call_events(2).contains(&ended));
    let events = world.call_events(1);
    assert!(
        events.contains(&Event::TransferProgress { call: CallId(theirs), progress: TransferProgress::Done })
    );
    assert!(
        events.contains(&Event::Ended { call: CallId(3), cause: Cause::Normal, status: 0 }),
        "{events:?}"
    );
    assert_eq!(world.nodes[2].agent.calls(), 1);
}

#[test]
fn a_transfer_that_fails_gives_the_call_back() {
    let mut world = trio(3);
    let theirs = connect(&mut world, 1);
    world.order(1, theirs, Order::Transfer(&Number::lossy("300"))).unwrap();
    world.run_millis(300);
    world.events(0);
    world.order(0, 1, Order::RefuseTransfer).unwrap();
    world.run_millis(300);
    let failed = Event::TransferProgress { call: CallId(theirs), progress: TransferProgress::Failed(603) };
    assert_eq!(world.call_events(1).last(), Some(&failed));
    // And it may be tried again.
    world.order(1, theirs, Order::Transfer(&Number::lossy("300"))).unwrap();
    world.run_millis(300);
    assert!(matches!(world.call_events(0)[..], [Event::TransferAsked { .. }]));
}

#[test]
fn a_session_is_refreshed_by_whoever_agreed_to_rfc_4028() {
    let mut world = pair(20);
    connect(&mut world, 1);
    world.run(Duration::from_secs(3 * 3600));
    let refreshes = world.count_sent(0, "UPDATE") + world.count_sent(1, "UPDATE");
    assert!((10..=13).contains(&refreshes), "every 900 s: {refreshes}");
    assert_eq!((world.call_events(0), world.call_events(1)), (Vec::new(), Vec::new()), "nobody hears of it");
    assert_eq!(world.nodes[0].agent.calls(), 1);
}

#[test]
fn a_peer_that_vanishes_is_noticed_by_both_roles_rfc_4028_section_10() {
    for dead in [0, 1] {
        let mut world = pair(21);
        connect(&mut world, 1);
        // Nothing reaches it any more, and it does nothing any more.
        world.nodes[dead].address = address(66);
        world.nodes[dead].wait = None;
        let left = 1 - dead;
        world.run(Duration::from_secs(1900));
        let events = world.call_events(left);
        assert!(
            matches!(events.last(), Some(Event::Ended { cause: Cause::PeerVanished, .. })),
            "{dead} died: {events:?}"
        );
        world.run(Duration::from_secs(60));
        world.assert_empty(left);
    }
}

#[test]
fn calls_work_over_a_network_that_loses_a_fifth() {
    for seed in 0..40 {
        let mut world = pair(1000 + seed);
        world.loss = 200;
        world.dial(0, 1, "200", Some(OFFER));
        let (mut theirs, mut established, mut answered) = (None, false, false);
        for _ in 0..400 {
            world.run_millis(100);
            for event in world.call_events(1) {
                match event {
                    Event::Incoming { call, .. } => {
                        theirs = Some(call.0);
                        world.order(1, call.0, Order::Alert { body: Some(sdp(ANSWER)) }).unwrap();
                        world.order(1, call.0, Order::Answer { body: None }).unwrap();
                    }
                    Event::Established { .. } => established = true,
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            answered |= world.call_events(0).iter().any(|event| matches!(event, Event::Answered { .. }));
            if established && answered {
                break;
            }
        }
        assert!(established && answered, "seed {seed}: {theirs:?} {established} {answered}");
        world.order(1, theirs.unwrap(), Order::HangUp).unwrap();
        world.run(Duration::from_secs(100));
        world.assert_empty(0);
        world.assert_empty(1);
    }
}

#[test]
fn another_wan_address_keeps_the_call_in_progress() {
    let mut world = pair(22);
    let theirs = connect(&mut world, 1);
    world.input(0, Input::Network { local: None }).unwrap();
    world.run(Duration::from_secs(5));
    world.nodes[0].address = address(7);
    world.input(0, Input::Network { local: Some(*address(7).ip()) }).unwrap();
    world.run(Duration::from_secs(4));
    let wanted = Event::OfferWanted { call: CallId(1), reason: OfferReason::AddressChanged };
    assert_eq!(world.call_events(0), [wanted]);
    world.order(0, 1, Order::Offer(sdp(SECOND_OFFER))).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(1), [Event::Offer { call: CallId(theirs), body: sdp(SECOND_OFFER) }]);
    world.order(1, theirs, Order::Accept(sdp(SECOND_ANSWER))).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::OfferAnswered { call: CallId(1), body: sdp(SECOND_ANSWER) }]);
    // The other side finds us at the new address.
    world.order(1, theirs, Order::HangUp).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::Ended { call: CallId(1), cause: Cause::Normal, status: 0 }]);
    assert!(world.nodes[1].sent.last().unwrap().1 == address(7));
}

#[test]
fn calls_beyond_the_limit_are_refused_and_told() {
    let mut world = pair(23);
    for number in 0..8 {
        world.dial(0, number * 2 + 1, "200", Some(OFFER));
    }
    let to = Number::lossy("200");
    let order = Order::Dial {
        account: 0,
        number: 0,
        to: &to,
        withhold: false,
        offer: Some(sdp(OFFER)),
        referred_by: None,
    };
    assert_eq!(world.order(0, 99, order), Err(Rejected::NoCall));
    world.run_millis(300);
    assert_eq!(world.nodes[1].agent.calls(), 8);
    for number in 0..8 {
        world.order(0, number * 2 + 1, Order::HangUp).unwrap();
    }
    world.run_millis(500);
    world.assert_empty(0);
    world.assert_empty(1);
}
