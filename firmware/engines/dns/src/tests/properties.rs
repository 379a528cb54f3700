//! Promises over random sequences and random bytes.

use std::collections::BTreeMap;

use dialtone_base::Random;

use super::*;

#[test]
fn random_sequences_give_every_question_exactly_one_answer_and_leak_nothing() {
    for seed in 0..60 {
        let mut random = Random::new(Seed::from_number(seed));
        let limits =
            Limits { in_flight: 8, waiters: 12, per_client: 6, cache_entries: 16, ..Limits::default() };
        let mut home = Home::with(limits, config());
        home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
        let mut open: BTreeMap<(u8, u16), u32> = BTreeMap::new();
        for step in 0..400u16 {
            match random.below(10) {
                0..=4 => {
                    let host = random.below(3) as u8 + 2;
                    let mut bytes = query(&std::format!("n{}.example", random.below(20)), 1);
                    bytes[..2].copy_from_slice(&step.to_be_bytes());
                    *open.entry((host, step)).or_default() += 1;
                    let _ = home.ask_as(client(Zone::Lan, host, 7, Transport::Udp), &bytes);
                }
                5..=7 if !home.asked.is_empty() => {
                    let asked = home.asked.swap_remove(random.below(home.asked.len() as u32) as usize);
                    let code = [0, 0, 0, 2, 3][random.below(5) as usize];
                    let bytes = answer(&asked.bytes, code, &[a([1, 2, 3, 4], random.below(5))]);
                    let _ =
                        home.input(Input::Answer { token: asked.token, from: asked.server, bytes: &bytes });
                }
                8 => home.pass(Duration::from_millis(random.below(1500) as u64)),
                _ if random.below(10) == 0 => {
                    let _ = home.input(Input::Upstreams(if random.below(2) == 0 {
                        &[]
                    } else {
                        &[FIRST, SECOND]
                    }));
                }
                _ => {}
            }
        }
        home.pass(Duration::from_secs(20));
        for (client, reply) in &home.replies {
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            let count = open.get_mut(&(client.address.ip().octets()[3], id));
            let count = count.unwrap_or_else(|| panic!("seed {seed}: an answer to nobody's question {id}"));
            assert_eq!(*count, 1, "seed {seed}: two answers to {id}");
            *count = 0;
        }
        assert!(open.values().all(|count| *count == 0), "seed {seed}: questions without an answer");
        let snapshot = home.forwarder.snapshot();
        assert_eq!(snapshot.waiting, 0, "seed {seed}");
        let probes = snapshot.upstreams.iter().filter(|state| !state.healthy).count();
        assert!(snapshot.in_flight <= probes, "seed {seed}: {} in flight", snapshot.in_flight);
        let asked_in_all = home.served(Served::Queries);
        assert_eq!(home.replies.len() as u64, asked_in_all, "seed {seed}");
    }
}

#[test]
fn the_fuzz_body_holds_on_random_and_mutated_bytes() {
    let mut random = Random::new(Seed::from_number(99));
    let mut data = std::vec![0; 600];
    for round in 0..20_000u32 {
        let length = random.below(data.len() as u32) as usize;
        if round % 3 == 0 {
            random.fill(&mut data[..length]);
        } else {
            for _ in 0..1 + random.below(8) {
                let at = random.below(data.len() as u32) as usize;
                data[at] = random.next_u32() as u8;
            }
        }
        let bytes = &data[..length];
        if std::panic::catch_unwind(|| crate::fuzz::fuzz(bytes)).is_err() {
            panic!("round {round}: {bytes:?}");
        }
    }
}
