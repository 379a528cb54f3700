//! A thousand homes and one registrar that was gone for hours: what it is asked in any one second when it is back, and when all are registered.

extern crate std;
use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::string::String;
use std::vec;
use std::vec::Vec;

use dialtone_base::random::{Random, Seed};
use dialtone_base::{Duration, Instant};

use super::world::*;
use crate::UserAgent;
use crate::config::Limits;
use crate::interface::{Input, Output};
use crate::message::{Message, Method, Name, Received};

const HOMES: usize = 1000;
/// REGISTERs it can take in a second once it is back: hardly more than come.
const CAPACITY: u32 = 4;
/// What it says to the others.
const RETRY_AFTER: &str = "60";

/// How the registrar is while it is of no use.
#[derive(Clone, Copy, PartialEq)]
enum Outage {
    Silent,
    /// 503 with Retry-After.
    Refusing,
}

/// What was seen: the most REGISTERs in a second during the outage's second half and after it, how many were refused then, and the last one up.
#[derive(Debug)]
#[allow(dead_code, reason = "shown when a promise is broken")]
struct Seen {
    during: u32,
    after: u32,
    refused: u32,
    last_up: u64,
}

fn night(outage: Outage, seed: u64) -> Seen {
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
    let mut random = Random::new(Seed::from_number(seed));
    let mut homes: Vec<UserAgent> =
        (0..HOMES).map(|_| UserAgent::new(config.clone(), random.derive_seed())).collect();
    let start = Instant::from_secs(1000);
    let dies = start + Duration::from_secs(600);
    let back = dies + Duration::from_secs(2 * 3600);
    let end = back + Duration::from_secs(1800);
    let mut queue = BinaryHeap::new();
    for (home, agent) in homes.iter_mut().enumerate() {
        let at = start + Duration::from_millis(u64::from(random.below(300_000)));
        agent.handle(at, Input::Network { local: Some(*address(1).ip()) }).unwrap();
        queue.push((Reverse(at), home));
    }
    let mut out = vec![0; 1500];
    let mut asked = vec![0_u32; end.as_secs() as usize + 1];
    let mut served = asked.clone();
    let mut up_at = vec![None; HOMES];
    let mut last = vec![0; HOMES];
    let mut refused = 0;
    while let Some((Reverse(now), home)) = queue.pop() {
        if now > end {
            break;
        }
        let second = now.as_secs() as usize;
        let mut replies: Vec<Vec<u8>> = Vec::new();
        let _ = homes[home].handle(now, Input::Tick);
        loop {
            match homes[home].poll(now, &mut out) {
                Output::Transmit { length, .. } => {
                    let Received::Message(message) = Message::parse(&out[..length]) else { continue };
                    if message.method() != Some(Method::Register) {
                        // Keep-alives: nothing to a registrar that lives.
                        if now < dies || now >= back {
                            replies.push(reply(&message, address(1), 200, &[], b""));
                        }
                        continue;
                    }
                    let number = message.cseq().unwrap().number;
                    // Repetitions over UDP are not asked twice of the registrar's database.
                    if core::mem::replace(&mut last[home], number) != number {
                        asked[second] += 1;
                    }
                    replies.extend(answer(outage, now, dies, back, &mut served[second], &message));
                    if now >= back {
                        match replies.last() {
                            Some(reply) if reply.starts_with(b"SIP/2.0 200") => {
                                up_at[home].get_or_insert(now);
                            }
                            _ => refused += 1,
                        }
                    }
                }
                Output::Wait(at) => match (replies.pop(), at) {
                    (Some(bytes), _) => {
                        let _ = homes[home].handle(now, Input::Datagram { from: address(9), bytes: &bytes });
                    }
                    (None, at) => {
                        queue.extend(at.map(|at| (Reverse(at), home)));
                        break;
                    }
                },
                _ => {}
            }
        }
    }
    let most = |from: Instant, to: Instant| {
        asked[from.as_secs() as usize..to.as_secs() as usize].iter().max().copied().unwrap_or(0)
    };
    let missing = up_at.iter().filter(|at| at.is_none()).count();
    assert_eq!(missing, 0, "seed {seed}: of {HOMES} homes without registration half an hour later");
    let last_up = up_at.iter().flatten().max().unwrap().since(back).as_secs();
    Seen { during: most(dies + Duration::from_secs(3600), back), after: most(back, end), refused, last_up }
}

/// What the registrar says: nothing or 503 while it is of no use; then 200, and 503 to what is too much for it in this second.
fn answer(
    outage: Outage,
    now: Instant,
    dies: Instant,
    back: Instant,
    served: &mut u32,
    message: &Message<'_>,
) -> Option<Vec<u8>> {
    let is_out = now >= dies && now < back;
    if is_out && outage == Outage::Silent {
        return None;
    }
    if is_out || (now >= back && *served >= CAPACITY) {
        return Some(reply(message, address(1), 503, &[(Name::RetryAfter, RETRY_AFTER)], b""));
    }
    *served += 1;
    let contact: String =
        message.text(Name::Contact).unwrap_or_default().replace("expires=3600", "expires=1800");
    Some(reply(message, address(1), 200, &[(Name::Contact, contact.as_str())], b""))
}

#[test]
fn a_registrar_that_was_silent_for_hours_is_not_trampled_down() {
    let seen = night(Outage::Silent, 1);
    std::println!("{HOMES} homes: {seen:?}");
    assert!(seen.during <= HOMES as u32 / 80 && seen.after <= HOMES as u32 / 80, "{seen:?}");
    // The longest back-off is 600 s; those who were refused once more wait twice. Renewals alone (each home's every 270 s) take 3.7 of the four
    // this registrar can answer in a second, so some who come back are turned away.
    assert!(seen.last_up <= 1300 && seen.refused <= HOMES as u32 / 4, "{seen:?}");
}

#[test]
fn a_registrar_that_says_not_now_is_asked_later_and_not_by_all_at_once() {
    let seen = night(Outage::Refusing, 2);
    std::println!("{HOMES} homes: {seen:?}");
    assert!(seen.during <= HOMES as u32 / 80 && seen.after <= HOMES as u32 / 80, "{seen:?}");
    assert!(seen.last_up <= 1300 && seen.refused <= HOMES as u32 / 4, "{seen:?}");
}
