//! The fuzz body of the user agent: messages that are nearly right, at an agent in a call.
//!
//! Nothing may panic, every drain ends, no message is longer than its buffer, and when the calls are over the tables are empty.

use core::net::{Ipv4Addr, SocketAddrV4};

use alloc::vec::Vec;
use dialtone_base::random::{Random, Seed};
use dialtone_base::telephony::{CallId, Number};
use dialtone_base::{Duration, Instant};

use super::UserAgent;
use crate::fuzz::mutate;
use crate::interface::{Body, Event, Input, Order, Output};
use crate::{Account, Config, Registering, Server};

const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 5060);
const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SIZE: usize = 4096;
/// More outputs than this from one input would be a loop.
const MOST_OUTPUTS: usize = 400;

/// Two agents face to face; what they say to each other is mutilated as `data` says, and so is what they are told to do.
pub(crate) fn fuzz(data: &[u8]) {
    let seed = data.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(257).wrapping_add(u64::from(*byte) + 1));
    let mut random = Random::new(Seed::from_number(seed));
    let mut ours = agent("100", seed);
    let mut theirs = agent("200", seed ^ 1);
    let mut now = Instant::from_secs(10);
    let _ = ours.handle(now, Input::Network { local: Some(US) });
    let _ = theirs.handle(now, Input::Network { local: Some(*PEER.ip()) });
    let us = SocketAddrV4::new(US, 5060);
    let (mut calls, mut their_calls): (Vec<CallId>, Vec<CallId>) = (Vec::new(), Vec::new());
    let mut next = 1;
    for step in data.iter().take(64) {
        let (left, left_calls) =
            if step & 1 == 0 { (&mut ours, &mut calls) } else { (&mut theirs, &mut their_calls) };
        let to = Number::lossy(if step & 1 == 0 { "200" } else { "100" });
        let call = left_calls.get(random.below(left_calls.len() as u32) as usize).copied();
        let body = Body::sdp(b"v=0");
        let order = match step >> 1 & 15 {
            0 | 1 => {
                next += 2;
                left_calls.push(CallId(next));
                let order = Order::Dial {
                    account: 0,
                    number: 0,
                    to: &to,
                    withhold: step & 64 != 0,
                    offer: (step & 128 == 0).then_some(body),
                    referred_by: call,
                };
                let _ = left.handle(now, Input::Order { call: CallId(next), order });
                None
            }
            2 => Some(Order::Alert { body: (step & 64 == 0).then_some(body) }),
            3..=5 => Some(Order::Answer { body: Some(body) }),
            6 => Some(Order::HangUp),
            7 => Some(Order::Offer(body)),
            8 | 9 => Some(Order::Accept(body)),
            10 => Some(Order::Refuse),
            11 => Some(Order::Transfer(&to)),
            12 => Some(Order::AcceptTransfer),
            13 => Some(Order::Key(dialtone_base::telephony::Key::HASH)),
            14 => call.map(Order::TransferTo),
            _ => {
                now += Duration::from_secs(u64::from(*step) * 8);
                None
            }
        };
        if let (Some(call), Some(order)) = (call, order) {
            let _ = left.handle(now, Input::Order { call, order });
        }
        now += Duration::from_millis(u64::from(random.below(400)));
        // A few rounds of what they have to say to each other.
        for _ in 0..3 {
            let from_us = drain(&mut ours, now, &mut calls);
            exchange(&mut theirs, now, us, from_us, &mut random, &mut their_calls);
            let from_them = drain(&mut theirs, now, &mut their_calls);
            exchange(&mut ours, now, PEER, from_them, &mut random, &mut calls);
        }
    }
    // Everybody hangs up and the line goes dead: nothing may be left.
    for _ in 0..400 {
        now += Duration::from_secs(1);
        let _ = drain(&mut ours, now, &mut calls);
        for call in calls.drain(..) {
            let _ = ours.handle(now, Input::Order { call, order: Order::HangUp });
            let _ = drain(&mut ours, now, &mut Vec::new());
        }
    }
    assert_eq!((ours.calls(), ours.dialogs(), ours.transactions()), (0, 0, 0), "something is left");
}

fn agent(number: &str, seed: u64) -> UserAgent {
    let mut account = Account {
        domain: "example.net".into(),
        server: Some(Server {
            host: if number == "100" { "192.0.2.9".into() } else { "192.0.2.1".into() },
            ..Server::default()
        }),
        registering: Registering::None,
        ..Account::default()
    };
    let _ = account.numbers.push(number.into());
    let mut config = Config::default();
    config.limits.transactions = 16;
    config.limits.calls = 3;
    config.limits.requests_per_second = 1000;
    let _ = config.accounts.push(account);
    UserAgent::new(config, Seed::from_number(seed))
}

fn drain(agent: &mut UserAgent, now: Instant, calls: &mut Vec<CallId>) -> Vec<Vec<u8>> {
    let mut out = [0; SIZE];
    let mut messages = Vec::new();
    for _ in 0..MOST_OUTPUTS {
        match agent.poll(now, &mut out) {
            Output::Transmit { length, .. } => {
                assert!(length <= SIZE, "longer than the buffer");
                messages.push(out.get(..length).unwrap_or_default().to_vec());
            }
            Output::Event(Event::Incoming { call, .. }) => calls.push(call),
            Output::Event(_) | Output::Connect { .. } | Output::Close { .. } | Output::Locate { .. } => {}
            Output::Wait(at) => {
                assert!(at.is_none_or(|at| at > now), "asks to be polled again at once");
                return messages;
            }
        }
    }
    panic!("the drain does not end");
}

fn exchange(
    agent: &mut UserAgent,
    now: Instant,
    from: SocketAddrV4,
    messages: Vec<Vec<u8>>,
    random: &mut Random,
    calls: &mut Vec<CallId>,
) {
    for mut bytes in messages {
        match random.below(8) {
            0 => continue,
            1 => mutate(&mut bytes, random),
            2 => {
                // Twice, and the second time not quite the same.
                let _ = agent.handle(now, Input::Datagram { from, bytes: &bytes });
                let _ = drain(agent, now, calls);
                mutate(&mut bytes, random);
            }
            _ => {}
        }
        let _ = agent.handle(now, Input::Datagram { from, bytes: &bytes });
    }
}
