//! Strangers, scanners, storms, and a night with a dead registrar.

extern crate std;
use std::collections::BinaryHeap;
use std::format;
use std::vec;
use std::vec::Vec;

use dialtone_base::random::{Random, Seed};
use dialtone_base::telephony::CallId;
use dialtone_base::{Duration, Instant};

use super::calls::connect;
use super::world::*;
use crate::interface::*;
use crate::message::{Message, Name, Received};
use crate::{Limits, UserAgent};

fn invite(number: u32, from: u8, agent: &str) -> Vec<u8> {
    let text = format!(
        "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.{from}:5060;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{number}@example.net>;tag={number}\r\nTo: <sip:100@192.0.2.1>\r\n\
         Call-ID: {number}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@192.0.2.{from}>\r\nUser-Agent: {agent}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    text.into_bytes()
}

#[test]
fn strangers_and_scanners_get_nothing_and_are_counted() {
    let mut world = pair(1);
    world.nodes[0].sent.clear();
    let from = address(66);
    for (bytes, reason) in [
        (invite(1, 66, "phone"), Rejected::Stranger),
        (invite(2, 66, "friendly-scanner"), Rejected::Scanner),
        (b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: broken\r\n\r\n".to_vec(), Rejected::Stranger),
    ] {
        assert_eq!(world.input(0, Input::Datagram { from, bytes: &bytes }), Err(reason));
        assert!(world.nodes[0].agent.counters().of(reason) > 0);
    }
    world.run_millis(1000);
    assert_eq!(world.nodes[0].sent.len(), 0);
    assert_eq!(world.call_events(0), []);
}

#[test]
fn a_storm_of_calls_does_not_touch_the_call_in_progress() {
    let mut world = pair(2);
    let theirs = connect(&mut world, 1);
    let mut answers = 0;
    // From our own server, which is let in: a hundred thousand in a hundred seconds.
    for number in 0..100_000_u32 {
        let bytes = invite(number, 2, "phone");
        let _ = world.input(0, Input::Datagram { from: address(2), bytes: &bytes });
        if number % 10 == 0 {
            world.run_millis(10);
            for event in world.call_events(0) {
                if let Event::Incoming { call, .. } = event {
                    world.order(0, call.0, Order::Reject(Rejection::Busy)).unwrap();
                }
            }
            answers += world.nodes[0].sent.len();
            world.nodes[0].sent.clear();
        }
        if number == 50_000 {
            world.order(1, theirs, Order::Offer(sdp(SECOND_OFFER))).unwrap();
            world.run_millis(100);
            assert!(matches!(world.call_events(0).last(), Some(Event::Offer { .. })));
            world.order(0, 1, Order::Accept(sdp(SECOND_ANSWER))).unwrap();
            world.run_millis(100);
            assert_eq!(
                world.call_events(1),
                [Event::OfferAnswered { call: CallId(theirs), body: sdp(SECOND_ANSWER) }]
            );
        }
    }
    world.order(1, theirs, Order::HangUp).unwrap();
    world.run_millis(100);
    let events = world.call_events(0);
    assert!(events.contains(&Event::Ended { call: CallId(1), cause: Cause::Normal, status: 0 }));
    // The storm's last one may still ring.
    for event in events {
        if let Event::Incoming { call, .. } = event {
            world.order(0, call.0, Order::Reject(Rejection::Busy)).unwrap();
        }
    }
    world.run(Duration::from_secs(80));
    world.assert_empty(0);
    assert_eq!(world.nodes[0].agent.transactions(), 0);
    assert!(answers < 110_000, "{answers} answers to 100000 requests");
}

/// Engines only, their registrar dead for three hours: as in `registration`, but with everything between.
#[test]
fn a_night_without_the_registrar_ends_without_a_stampede() {
    const HOMES: usize = 2000;
    let limits = Limits {
        calls: 1,
        transactions: 8,
        connections: 1,
        message: 1500,
        body: 256,
        sources: 1,
        ..Limits::default()
    };
    let mut config = registering_config("100", 9);
    config.limits = limits;
    config.accounts[0].message_waiting = false;
    let mut homes: Vec<UserAgent> =
        (0..HOMES).map(|home| UserAgent::new(config.clone(), Seed::from_number(home as u64))).collect();
    let start = Instant::from_secs(1000);
    let (dies, back) = (start + Duration::from_secs(300), start + Duration::from_secs(300 + 3 * 3600));
    let end = back + Duration::from_secs(900);
    let mut out = vec![0; 1500];
    let mut queue = BinaryHeap::new();
    let mut random = Random::new(Seed::from_number(1));
    for home in 0..HOMES {
        // Power came back in the street: all within half a minute.
        let at = start + Duration::from_millis(u64::from(random.below(30_000)));
        queue.push((core::cmp::Reverse(at), home));
    }
    let mut registers = vec![0_u32; end.as_secs() as usize + 10];
    let mut packets = registers.clone();
    let mut asked = vec![0; HOMES];
    let mut up_again = vec![false; HOMES];
    while let Some((core::cmp::Reverse(now), home)) = queue.pop() {
        if now > end {
            break;
        }
        let agent = &mut homes[home];
        let _ = agent.handle(now, Input::Network { local: Some(*address(1).ip()) });
        let mut replies: Vec<Vec<u8>> = Vec::new();
        loop {
            match agent.poll(now, &mut out) {
                Output::Transmit { length, .. } => {
                    let Received::Message(message) = Message::parse(&out[..length]) else { continue };
                    let number = message.cseq().unwrap().number;
                    if out.starts_with(b"REGISTER") {
                        packets[now.as_secs() as usize] += 1;
                        if core::mem::replace(&mut asked[home], number) != number {
                            registers[now.as_secs() as usize] += 1;
                        }
                    }
                    if now < dies || now >= back {
                        let contact = message
                            .text(Name::Contact)
                            .map(|text| text.replace("expires=3600", "expires=600"));
                        let contact = contact.unwrap_or_default();
                        let headers = [(Name::Contact, contact.as_str())];
                        replies.push(reply(&message, address(1), 200, &headers, b""));
                        up_again[home] |= now >= back && out.starts_with(b"REGISTER");
                    }
                }
                Output::Wait(at) => {
                    if let Some(bytes) = replies.pop() {
                        let _ = agent.handle(now, Input::Datagram { from: address(9), bytes: &bytes });
                        continue;
                    }
                    if let Some(at) = at {
                        queue.push((core::cmp::Reverse(at), home));
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    let most = |counts: &[u32], from: Instant, to: Instant| {
        counts[from.as_secs() as usize..to.as_secs() as usize].iter().max().copied().unwrap_or(0)
    };
    // What asks in one second, and what that is in packets with the repetitions of timer E.
    let (dead, after) = (most(&registers, dies, back), most(&registers, back, end));
    let (dead_packets, after_packets) = (most(&packets, dies, back), most(&packets, back, end));
    let missing = up_again.iter().filter(|up| !**up).count();
    assert_eq!(missing, 0, "all are back within a quarter of an hour");
    assert!(dead <= HOMES as u32 / 20 && after <= HOMES as u32 / 80, "{dead} a second, {after} after it");
    assert!(
        dead_packets <= HOMES as u32 / 2 && after_packets <= 80,
        "{dead_packets} packets a second, {after_packets} after it"
    );
}

#[test]
fn messages_that_are_nearly_right_break_nothing() {
    for seed in 0..600_u64 {
        let mut random = Random::new(Seed::from_number(seed));
        let mut data = vec![0; 8 + random.below(50) as usize];
        random.fill(&mut data);
        let result = std::panic::catch_unwind(|| crate::agent::fuzz::fuzz(&data));
        assert!(result.is_ok(), "seed {seed}");
    }
}
