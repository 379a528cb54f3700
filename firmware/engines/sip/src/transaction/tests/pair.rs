//! Two tables on a link that loses, doubles, delays and reorders, in virtual time.

extern crate std;

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use super::*;

/// A datagram on its way: when it arrives, at whom.
type Travelling = (Instant, usize, Vec<u8>);

struct Pair {
    tables: [Transactions; 2],
    link: Vec<Travelling>,
    random: Random,
    now: Instant,
    ended: [Vec<Ended>; 2],
}

const ADDRESSES: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];

fn flow_to(side: usize) -> Flow {
    Flow::Udp { remote: ADDRESSES[side].parse().unwrap() }
}

impl Pair {
    fn new(seed: u64) -> Self {
        let capacity = Capacity { transactions: 16, reserved: 2, message: 2048 };
        let tables = [1, 2].map(|side| Transactions::new(capacity, Seed::from_number(seed * 2 + side)));
        let random = Random::new(Seed::from_number(seed));
        Self { tables, link: vec![], random, now: Instant::START, ended: [vec![], vec![]] }
    }

    /// Sends what is due; returns when something is due next.
    fn drain(&mut self) -> Option<Instant> {
        let mut next: Option<Instant> = self.link.iter().map(|(at, ..)| *at).min();
        for side in 0..2 {
            let mut out = [0; 2048];
            loop {
                match self.tables[side].poll(self.now, &mut out) {
                    Output::Transmit { length, .. } => {
                        // One in four is lost, one in ten comes twice.
                        let copies = match self.random.below(40) {
                            0..10 => 0,
                            10..14 => 2,
                            _ => 1,
                        };
                        for _ in 0..copies {
                            let at = self.now + Duration::from_millis(u64::from(5 + self.random.below(300)));
                            self.link.push((at, 1 - side, out[..length].to_vec()));
                            next = Some(next.map_or(at, |next| next.min(at)));
                        }
                    }
                    Output::Ended { why, .. } => self.ended[side].push(why),
                    Output::Wait(at) => {
                        next = [next, at].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        next
    }
}

/// The one who is called: answers each new request after a while.
fn serve(
    pair: &mut Pair,
    answers: &mut Vec<(Instant, TransactionId, u16)>,
    seen: &mut BTreeMap<Vec<u8>, u32>,
    bytes: &[u8],
) {
    let delivery = pair.tables[1].receive(pair.now, flow_to(0), Message::parse(bytes));
    match delivery {
        Ok(Delivery::Request { transaction, message }) => {
            *seen.entry(message.line(Name::CallId).unwrap().to_vec()).or_default() += 1;
            let status = if pair.random.below(2) == 0 { 200 } else { 486 };
            answers.push((
                pair.now + Duration::from_millis(u64::from(pair.random.below(3000))),
                transaction,
                status,
            ));
        }
        Ok(Delivery::Ack(message)) => {
            let call = message.call_id().unwrap();
            let accepted: Vec<TransactionId> = (0..16)
                .map(|index| pair.tables[1].id(index))
                .filter(|id| pair.tables[1].request(*id).is_some_and(|request| request.call_id() == Ok(call)))
                .collect();
            accepted.into_iter().for_each(|id| pair.tables[1].confirm(id));
        }
        _ => {}
    }
}

#[test]
fn over_a_bad_line_each_request_is_served_once_and_answered_once() {
    for seed in 0..150u64 {
        let mut pair = Pair::new(seed);
        let mut finals: BTreeMap<TransactionId, (u32, u16)> = BTreeMap::new();
        let mut answers: Vec<(Instant, TransactionId, u16)> = Vec::new();
        let mut seen = BTreeMap::new();
        for (index, method) in ["INVITE", "OPTIONS", "INVITE", "INFO"].into_iter().enumerate() {
            let text = request(method, &format!("{seed}x{index}"));
            let id = pair.tables[0].send(pair.now, flow_to(1), text.as_bytes()).unwrap();
            finals.insert(id, (0, 0));
        }
        let end = Instant::from_secs(150);
        while let Some(next) = pair.drain().into_iter().chain(answers.iter().map(|(at, ..)| *at)).min() {
            if next > end {
                break;
            }
            pair.now = pair.now.max(next);
            let now = pair.now;
            let (due, later): (Vec<_>, Vec<_>) = pair.link.drain(..).partition(|(at, ..)| *at <= now);
            pair.link = later;
            for (_, side, bytes) in due {
                if side == 1 {
                    serve(&mut pair, &mut answers, &mut seen, &bytes);
                } else if let Ok(Delivery::Response { transaction, message }) =
                    pair.tables[0].receive(now, flow_to(1), Message::parse(&bytes))
                {
                    let status = message.status().unwrap();
                    if status.is_final() {
                        let entry = finals.entry(transaction).or_default();
                        *entry = (entry.0 + 1, status.code());
                    }
                    if status.is_success() && message.cseq().unwrap().method == Method::Invite {
                        let branch = pair.tables[0].new_branch();
                        let call = message.call_id().unwrap();
                        let tag = message.to().unwrap().tag().unwrap();
                        let ack = ack("ack", tag).replace("z9hG4bKack", &branch).replace("call-ack", call);
                        pair.tables[0].acknowledge(transaction, flow_to(1), ack.as_bytes()).unwrap();
                    }
                }
                pair.drain();
            }
            let (due, later): (Vec<_>, Vec<_>) = answers.drain(..).partition(|(at, ..)| *at <= now);
            answers = later;
            for (_, id, status) in due {
                let mut out = [0; 2048];
                let asked = pair.tables[1].request(id).expect("it waits for its answer");
                let status = Status::new(status).unwrap();
                let remote = ADDRESSES[0].parse().unwrap();
                let length =
                    Writer::response(&mut out, &asked, remote, status, "", Some("tag")).finish().unwrap();
                pair.tables[1].respond(now, id, &out[..length]).unwrap();
                pair.drain();
            }
        }
        assert!(
            finals.values().all(|(count, _)| *count == 1),
            "seed {seed}: one final answer each: {finals:?}"
        );
        assert!(seen.values().all(|count| *count == 1), "seed {seed}: nothing is served twice: {seen:?}");
        assert_eq!(pair.ended, [vec![], vec![]], "seed {seed}: nothing fails");
        assert_eq!(
            [pair.tables[0].in_use(), pair.tables[1].in_use()],
            [0, 0],
            "seed {seed}: nothing is left"
        );
    }
}
