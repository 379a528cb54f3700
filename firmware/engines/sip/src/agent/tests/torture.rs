//! RFC 4475 and RFC 5118 through the whole user agent: each message gets the answer its document wants.

extern crate std;

use std::string::String;
use std::vec;
use std::vec::Vec;

use dialtone_base::Instant;
use dialtone_base::random::{Random, Seed};

use crate::config::{Account, Config, Registering};
use crate::interface::{Event, Input, Output};
use crate::message::tests::torture::{self, Expected};
use crate::{Message, Received, UserAgent};

fn agent() -> UserAgent {
    let numbers = ["user", "j_user", "vivekg", "1212"].iter().map(|number| (*number).into()).collect();
    let account = Account {
        domain: "example.com".into(),
        numbers,
        registering: Registering::None,
        accept_strangers: true,
        ..Account::default()
    };
    let mut config = Config::default();
    assert!(config.accounts.push(account).is_ok());
    let mut agent = UserAgent::new(config, Seed::from_number(1));
    assert!(agent.handle(Instant::START, Input::Network { local: Some([198, 51, 100, 1].into()) }).is_ok());
    drain(&mut agent, Instant::START);
    agent
}

/// What was sent, and how many calls came in.
fn drain(agent: &mut UserAgent, now: Instant) -> (Vec<Vec<u8>>, usize) {
    let mut out = vec![0; 65_536];
    let (mut sent, mut calls) = (Vec::new(), 0);
    for _ in 0..1000 {
        match agent.poll(now, &mut out) {
            Output::Transmit { length, .. } => sent.push(out[..length].to_vec()),
            Output::Event(Event::Incoming { .. }) => calls += 1,
            Output::Wait(_) => return (sent, calls),
            _ => {}
        }
    }
    panic!("the drain does not end");
}

fn statuses(sent: &[Vec<u8>]) -> Vec<u16> {
    sent.iter().filter_map(|text| String::from_utf8_lossy(text).get(8..11)?.parse().ok()).collect()
}

#[test]
fn torture_messages_get_the_answers_their_documents_want() {
    let mut failures = Vec::new();
    for case in torture::all() {
        let mut agent = agent();
        let from = "192.0.2.1:5060".parse().unwrap();
        let _ = agent.handle(Instant::START, Input::Datagram { from, bytes: &case.bytes });
        let (sent, calls) = drain(&mut agent, Instant::START);
        let statuses = statuses(&sent);
        let is_response = case.bytes.starts_with(b"SIP/");
        let met = match case.expected {
            _ if is_response => statuses.is_empty(),
            Expected::Answer(status) => (statuses.as_slice(), calls) == (&[status][..], 0),
            Expected::Sound if case.user_agent != 0 => {
                (statuses.as_slice(), calls) == (&[case.user_agent][..], 0)
            }
            // Refused for what it wants, perhaps, or for its size; but not for its form.
            Expected::Sound => {
                let is_refused = statuses.iter().any(|status| matches!(status, 400 | 500..513));
                !is_refused && statuses.len() + calls > 0
            }
            Expected::Dropped => false,
        };
        if !met {
            failures.push((case.id, statuses, calls));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

/// Ten thousand mutilated messages, from strangers and over one connection's worth of time: nothing stays.
#[test]
fn ten_thousand_mutilated_messages_leave_no_call_and_no_transaction() {
    let seed = 4475;
    let mut random = Random::new(Seed::from_number(seed));
    let cases = torture::all();
    let mut agent = agent();
    let mut now = Instant::START;
    for round in 0..10_000 {
        let mut bytes = cases[random.below(cases.len() as u32) as usize].bytes.clone();
        for _ in 0..random.below(5) {
            crate::fuzz::mutate(&mut bytes, &mut random);
        }
        let from = core::net::SocketAddrV4::new([192, 0, 2, random.below(250) as u8].into(), 5060);
        let _ = agent.handle(now, Input::Datagram { from, bytes: &bytes });
        let (sent, _) = drain(&mut agent, now);
        assert!(sent.len() <= 64, "seed {seed} round {round}: {} messages for one", sent.len());
        for message in sent {
            let is_sip = !matches!(Message::parse(&message), Received::KeepAlive);
            assert!(
                is_sip && message.ends_with(b"\r\n\r\n") || message.len() > 4,
                "seed {seed} round {round}"
            );
        }
        assert!(agent.calls() <= 8 && agent.transactions() <= 48, "seed {seed} round {round}");
        now += dialtone_base::Duration::from_millis(u64::from(random.below(100)));
    }
    // Who still rings is hung up by nobody; everybody else is forgotten.
    for _ in 0..2_000 {
        now += dialtone_base::Duration::from_millis(500);
        drain(&mut agent, now);
    }
    assert!(
        agent.transactions() <= agent.calls(),
        "{} transactions, {} calls",
        agent.transactions(),
        agent.calls()
    );
}
