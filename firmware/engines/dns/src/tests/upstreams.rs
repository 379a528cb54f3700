//! Servers that are slow, dead, lying or gone; tables that are full.

use super::*;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn forged_answers_are_refused_and_the_true_one_still_counts_rfc5452() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    let asked = home.asked.pop().unwrap();
    let good = answer(&asked.bytes, 0, &[a([1, 2, 3, 4], 60)]);
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let end = asked.bytes.len();
    let elsewhere = SocketAddrV4::new(*FIRST.ip(), 5353);
    let cases = [
        (elsewhere, good.clone(), Rejected::WrongServer),
        (SECOND, good.clone(), Rejected::WrongServer),
        (FIRST, changed(0), Rejected::WrongId),
        (FIRST, changed(14), Rejected::WrongQuestion),
        (FIRST, changed(end - 1), Rejected::WrongQuestion),
        (FIRST, changed(end - 3), Rejected::WrongQuestion),
        (FIRST, asked.bytes.clone(), Rejected::WrongQuestion),
        (FIRST, good[..1].to_vec(), Rejected::MalformedAnswer),
        (FIRST, good[..good.len() - 1].to_vec(), Rejected::MalformedAnswer),
    ];
    for (from, bytes, reason) in cases {
        assert_eq!(home.input(Input::Answer { token: asked.token, from, bytes: &bytes }), Err(reason));
        assert!(home.replies.is_empty());
        assert!(home.rejected(reason) > 0);
    }
    home.input(Input::Answer { token: asked.token, from: FIRST, bytes: &good }).unwrap();
    assert_eq!(read(&home.reply()).1.len(), 1);
    assert_eq!(home.released, [asked.token]);
    let late = home.input(Input::Answer { token: asked.token, from: FIRST, bytes: &good });
    assert_eq!(late, Err(Rejected::LateAnswer));
}

#[test]
fn ids_are_not_the_clients_and_not_in_order() {
    let mut home = Home::new();
    let mut ids = std::collections::BTreeSet::new();
    for number in 0..50 {
        home.ask(&std::format!("n{number}.example"), 1).unwrap();
    }
    for asked in &home.asked {
        ids.insert((asked.bytes[0], asked.bytes[1]));
    }
    assert!(ids.len() > 45 && !ids.contains(&(0x12, 0x34)));
}

#[test]
fn a_silent_server_is_followed_by_the_next_and_a_late_answer_still_counts() {
    let mut home = Home::new();
    home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
    home.ask("www.example.com", 1).unwrap();
    let first = home.asked.pop().unwrap();
    home.pass(Duration::from_millis(999));
    assert!(home.asked.is_empty());
    home.pass(Duration::from_millis(1));
    let second = home.asked.pop().unwrap();
    assert_ne!(first.server, second.server);
    assert_ne!(first.token, second.token);
    assert_ne!(first.bytes[..2], second.bytes[..2], "a new id");
    let bytes = answer(&first.bytes, 0, &[a([1, 2, 3, 4], 60)]);
    home.input(Input::Answer { token: first.token, from: first.server, bytes: &bytes }).unwrap();
    assert_eq!(read(&home.reply()).1.len(), 1);
    assert_eq!(home.released.len(), 2, "both sockets come back");
}

#[test]
fn no_answer_becomes_servfail_after_five_seconds_never_nxdomain_rfc5625_4_5() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    home.pass(Duration::from_millis(4_999));
    assert!(home.replies.is_empty());
    home.pass(Duration::from_millis(1));
    assert_eq!(read(&home.reply()).0, "SERVFAIL");
    assert_eq!(home.forwarder.snapshot().in_flight, 0);
    assert_eq!(home.released.len(), home.asked.len());
}

#[test]
fn servfail_from_one_server_asks_the_other_and_counts_only_when_both_say_so() {
    for (code, last) in [(2, "SERVFAIL"), (5, "REFUSED")] {
        let mut home = Home::new();
        home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
        home.ask("www.example.com", 1).unwrap();
        let first = home.asked[0].server;
        home.upstream_says(code, &[]).unwrap();
        assert!(home.replies.is_empty());
        assert_ne!(home.asked[0].server, first);
        home.upstream_says(code, &[]).unwrap();
        assert_eq!(read(&home.reply()).0, last);
    }
}

#[test]
fn a_dead_server_is_told_once_probed_with_growing_pauses_and_comes_back() {
    let mut home = Home::new();
    home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
    // The first server never answers, the second always does.
    for number in 0..8 {
        home.ask(&std::format!("n{number}.example"), 1).unwrap();
        while home.asked.last().is_some_and(|asked| asked.server == FIRST) {
            home.asked.clear();
            home.pass(seconds(1));
        }
        home.upstream_says(0, &[a([1, 2, 3, 4], 60)]).unwrap();
        if home.forwarder.snapshot().upstreams.iter().any(|state| !state.healthy) {
            break;
        }
        // Make the dead one look quick again, so that it is chosen: as after a fresh lease.
        home.input(Input::Upstreams(&[SECOND])).unwrap();
    }
    let mut home = Home::new();
    for number in 0..3 {
        home.ask(&std::format!("n{number}.example"), 1).unwrap();
    }
    home.asked.clear();
    home.pass(seconds(1));
    assert_eq!(
        home.events.iter().filter(|event| matches!(event, Event::Upstream { healthy: false, .. })).count(),
        1
    );
    home.pass(seconds(10));
    home.asked.clear();
    let before = home.served(Served::Probes);
    home.pass(seconds(600));
    let probes = home.served(Served::Probes) - before;
    assert!((8..=14).contains(&probes), "{probes} probes in ten minutes");
    // It answers a probe at last.
    while home.asked.is_empty() || home.forwarder.snapshot().in_flight == 0 {
        home.asked.clear();
        home.pass(seconds(1));
    }
    home.upstream_says(0, &[]).unwrap();
    assert!(home.events.contains(&Event::Upstream { server: *FIRST.ip(), healthy: true }));
    assert!(home.forwarder.snapshot().upstreams[0].healthy);
    assert!(home.replies.iter().all(|(_, reply)| read(reply).0 == "SERVFAIL"));
}

#[test]
fn the_quicker_server_is_asked_first() {
    let mut home = Home::new();
    home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
    let mut to_second = 0;
    for number in 0..200 {
        home.ask(&std::format!("n{number}.example"), 1).unwrap();
        let second = home.asked[0].server == SECOND;
        to_second += second as u32;
        home.pass(Duration::from_millis(if second { 5 } else { 80 }));
        home.upstream_says(0, &[a([1, 2, 3, 4], 60)]).unwrap();
    }
    assert!(to_second > 180, "{to_second} of 200");
}

#[test]
fn with_the_wan_down_answers_come_at_once_from_the_house_the_cache_or_as_servfail() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    home.upstream_says(0, &[a([1, 2, 3, 4], 60)]).unwrap();
    home.reply();
    home.ask("waiting.example.com", 1).unwrap();
    home.input(Input::Upstreams(&[])).unwrap();
    assert_eq!(read(&home.reply()).0, "SERVFAIL", "who waited is told at once");
    assert_eq!(home.ask("other.example.com", 1), Err(Rejected::NoUpstream));
    assert_eq!(read(&home.reply()).0, "SERVFAIL");
    home.ask("www.example.com", 1).unwrap();
    assert_eq!(read(&home.reply()).1, ["A 60 1.2.3.4"]);
    home.pass(seconds(3600));
    home.ask("www.example.com", 1).unwrap();
    assert_eq!(read(&home.reply()).1, ["A 30 1.2.3.4"], "stale, with 30 s (RFC 8767 section 4)");
    home.pass(seconds(86_400));
    assert_eq!(home.ask("www.example.com", 1), Err(Rejected::NoUpstream), "a day is the limit");
    assert_eq!(read(&home.reply()).0, "SERVFAIL");
    home.ask("dialtone.home.arpa", 1).unwrap();
    assert_eq!(read(&home.reply()).1.len(), 1);
}

#[test]
fn a_stale_answer_replaces_servfail_when_the_servers_are_silent_rfc8767() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    home.upstream_says(0, &[a([1, 2, 3, 4], 60)]).unwrap();
    home.reply();
    home.pass(seconds(100));
    home.ask("www.example.com", 1).unwrap();
    home.pass(seconds(6));
    assert_eq!(read(&home.reply()).1, ["A 30 1.2.3.4"]);
    // By now the server counts as dead: the next one does not wait.
    home.ask("www.example.com", 1).unwrap();
    assert_eq!(read(&home.reply()).1, ["A 30 1.2.3.4"]);
    assert_eq!(home.served(Served::Stale), 2);
}

#[test]
fn the_same_question_of_many_is_asked_once() {
    let mut home = Home::new();
    for host in 10..30 {
        let mut bytes = query("www.example.com", 1);
        bytes[1] = host;
        home.ask_as(client(Zone::Lan, host, 999, Transport::Udp), &bytes).unwrap();
        home.ask_as(client(Zone::Lan, host, 999, Transport::Udp), &bytes).unwrap();
    }
    assert_eq!(home.asked.len(), 1);
    home.upstream_says(0, &[a([1, 2, 3, 4], 60)]).unwrap();
    assert_eq!(home.replies.len(), 20, "a retransmission gets no second answer");
    for (client, reply) in &home.replies {
        assert_eq!(reply[1], client.address.ip().octets()[3], "each with its own id");
    }
    assert_eq!((home.served(Served::Coalesced), home.served(Served::Retransmitted)), (19, 20));
}

#[test]
fn one_client_cannot_fill_the_table() {
    let limits = Limits { in_flight: 16, waiters: 16, per_client: 4, ..Limits::default() };
    let mut home = Home::with(limits, config());
    for number in 0..10 {
        let _ = home.ask(&std::format!("n{number}.example"), 1);
    }
    assert_eq!(home.rejected(Rejected::ClientLimit), 6);
    assert_eq!(home.replies.len(), 6);
    assert!(home.replies.iter().all(|(_, reply)| read(reply).0 == "SERVFAIL"));
    home.ask_as(client(Zone::Lan, 21, 1, Transport::Udp), &query("x.example", 1)).unwrap();
    assert_eq!(home.asked.len(), 5);
}

#[test]
fn a_full_table_answers_servfail_and_counts() {
    let mut home = Home::with(Limits { in_flight: 4, ..Limits::default() }, config());
    for number in 0..6 {
        let bytes = query(&std::format!("n{number}.example"), 1);
        let _ = home.ask_as(client(Zone::Lan, number, 1, Transport::Udp), &bytes);
    }
    assert_eq!((home.asked.len(), home.replies.len()), (4, 2));
    assert_eq!(home.rejected(Rejected::Full), 2);
    let long = query_edns("x.example", 1, 1232, false, &[0; 1200]);
    assert_eq!(home.ask_as(laptop(), &long), Err(Rejected::TooLong));
}

#[test]
fn a_question_that_cannot_be_sent_goes_to_the_next_server_at_once() {
    let mut home = Home::new();
    home.input(Input::Upstreams(&[FIRST, SECOND])).unwrap();
    home.ask("www.example.com", 1).unwrap();
    let asked = home.asked.pop().unwrap();
    home.input(Input::Failed { token: asked.token, fault: Fault::Theirs }).unwrap();
    assert_ne!(home.asked[0].server, asked.server);
    assert!(home.released.is_empty(), "the failed socket is the service's business");
}

#[test]
fn inputs_before_the_outputs_are_taken_are_refused() {
    let mut home = Home::new();
    let bytes = query("dialtone.home.arpa", 1);
    home.forwarder.handle(home.now, Input::Query { client: laptop(), bytes: &bytes }).unwrap();
    let second = home.forwarder.handle(home.now, Input::Query { client: laptop(), bytes: &bytes });
    assert_eq!(second, Err(Rejected::NotDrained));
    home.drain();
    home.reply();
}
