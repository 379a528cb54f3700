//! Timers, matching and limits of the transactions, in virtual time.

extern crate std;

mod pair;

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::interface::ConnectionId;
use crate::message::tests::torture::{self, Expected};

const PEER: &str = "192.0.2.1:5060";

fn udp() -> Flow {
    Flow::Udp { remote: PEER.parse().unwrap() }
}

fn tcp() -> Flow {
    Flow::Stream { connection: ConnectionId(1), remote: PEER.parse().unwrap() }
}

/// A table with a clock.
struct Bench {
    table: Transactions,
    now: Instant,
    sent: Vec<(u64, String)>,
    ended: Vec<(u64, TransactionId, Ended)>,
    last_flow: Option<Flow>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Capacity::default())
    }

    fn with(capacity: Capacity) -> Self {
        let table = Transactions::new(capacity, Seed::from_number(7));
        Self { table, now: Instant::START, sent: vec![], ended: vec![], last_flow: None }
    }

    /// Does what is due now; returns the next deadline.
    fn drain(&mut self) -> Option<Instant> {
        let mut out = vec![0; 8192];
        for _ in 0..10_000 {
            match self.table.poll(self.now, &mut out) {
                Output::Transmit { flow, length } => {
                    self.last_flow = Some(flow);
                    let text = String::from_utf8_lossy(&out[..length]).into_owned();
                    // What is refused for its headers comes back with them, but line by line it is SIP.
                    let is_sip = match Message::parse(&out[..length]) {
                        Received::Message(_) => true,
                        Received::Drop(fault) => !matches!(
                            fault,
                            Fault::Truncated | Fault::StrayLineEnd | Fault::BadHeaderLine | Fault::BadStatus
                        ),
                        _ => false,
                    };
                    assert!(is_sip, "we send only SIP: {text}");
                    self.sent.push((self.now.as_millis(), text));
                }
                Output::Ended { transaction, why } => {
                    self.ended.push((self.now.as_millis(), transaction, why))
                }
                Output::Wait(next) => {
                    assert!(next.is_none_or(|next| next > self.now), "a deadline lies in the future");
                    return next;
                }
            }
        }
        panic!("the drain does not end");
    }

    /// Lets time run until `millis`.
    fn until(&mut self, millis: u64) {
        let end = Instant::from_millis(millis);
        while let Some(next) = self.drain().filter(|next| *next <= end) {
            self.now = next;
        }
        self.now = end;
        self.drain();
    }

    /// When messages beginning with `start` went out since the last question.
    fn times(&mut self, start: &str) -> Vec<u64> {
        let times = self.sent.iter().filter(|(_, text)| text.starts_with(start)).map(|(at, _)| *at).collect();
        self.sent.clear();
        times
    }

    fn receive<'b>(&mut self, flow: Flow, text: &'b str) -> Result<Delivery<'b>, Dropped> {
        let result = self.table.receive(self.now, flow, Message::parse(text.as_bytes()));
        self.drain();
        result
    }

    fn send(&mut self, flow: Flow, text: &str) -> TransactionId {
        let id = self.table.send(self.now, flow, text.as_bytes()).expect("room");
        self.drain();
        id
    }

    fn respond(&mut self, id: TransactionId, text: &str) {
        self.table.respond(self.now, id, text.as_bytes()).expect("in state");
        self.drain();
    }

    /// A new request: its transaction.
    fn asked(&mut self, flow: Flow, text: &str) -> TransactionId {
        match self.receive(flow, text) {
            Ok(Delivery::Request { transaction, .. }) => transaction,
            other => panic!("{other:?}"),
        }
    }
}

fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\nRoute: <sip:p.example;lr>\r\n\
         From: <sip:alice@a.example>;tag=1{branch}\r\nTo: <sip:bob@b.example>\r\nCall-ID: call-{branch}\r\nCSeq: 5 {method}\r\nContact: <sip:alice@192.0.2.1>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn response(status: &str, method: &str, branch: &str, tag: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch};rport=5060;received=192.0.2.1\r\nFrom: <sip:alice@a.example>;tag=1{branch}\r\n\
         To: <sip:bob@b.example>;tag={tag}\r\nCall-ID: call-{branch}\r\nCSeq: 5 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn ack(branch: &str, tag: &str) -> String {
    request("ACK", branch).replace("To: <sip:bob@b.example>", &format!("To: <sip:bob@b.example>;tag={tag}"))
}

/// RFC 3261 section 17.1.1.2, timers A and B.
#[test]
fn an_unanswered_invite_is_repeated_seven_times_in_32_seconds() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("INVITE", "a"));
    bench.until(60_000);
    assert_eq!(bench.times("INVITE"), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(bench.ended, [(32_000, id, Ended::Timeout)]);
    assert_eq!(bench.table.in_use(), 0);
}

/// RFC 3261 section 17.1.2.2, timers E and F.
#[test]
fn another_unanswered_request_is_repeated_every_four_seconds_at_last() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("REGISTER", "a"));
    bench.until(60_000);
    let expected = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(bench.times("REGISTER"), expected);
    assert_eq!(bench.ended, [(32_000, id, Ended::Timeout)]);
}

#[test]
fn a_reliable_transport_carries_each_request_once() {
    for method in ["INVITE", "REGISTER"] {
        let mut bench = Bench::new();
        let id = bench.send(tcp(), &request(method, "a"));
        bench.until(60_000);
        assert_eq!(bench.times(method), [0]);
        assert_eq!(bench.ended, [(32_000, id, Ended::Timeout)]);
    }
}

#[test]
fn a_provisional_answer_ends_the_repetition_of_an_invite_and_slows_others() {
    let mut bench = Bench::new();
    bench.send(udp(), &request("INVITE", "a"));
    bench.until(600);
    assert!(matches!(
        bench.receive(udp(), &response("180 Ringing", "INVITE", "a", "t")),
        Ok(Delivery::Response { .. })
    ));
    bench.until(200_000);
    assert_eq!(bench.times("INVITE"), [0, 500]);
    assert_eq!(bench.ended, [], "it may ring for long");
    let mut bench = Bench::new();
    bench.send(udp(), &request("REGISTER", "a"));
    bench.until(600);
    assert!(bench.receive(udp(), &response("100 Trying", "REGISTER", "a", "t")).is_ok());
    bench.until(60_000);
    assert_eq!(bench.times("REGISTER"), [0, 500, 4600, 8600, 12_600, 16_600, 20_600, 24_600, 28_600]);
    assert_eq!(bench.ended.len(), 1);
}

/// RFC 3261 section 17.1.1.3, timer D.
#[test]
fn a_refused_invite_is_acknowledged_as_often_as_it_is_refused() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("INVITE", "a"));
    let busy = response("486 Busy Here", "INVITE", "a", "theirs");
    assert!(
        matches!(bench.receive(udp(), &busy), Ok(Delivery::Response { transaction, .. }) if transaction == id)
    );
    for at in [500, 31_000] {
        bench.until(at);
        assert!(matches!(bench.receive(udp(), &busy), Ok(Delivery::Absorbed)));
    }
    let acks: Vec<_> = bench.sent.iter().filter(|(_, text)| text.starts_with("ACK")).collect();
    assert_eq!(acks.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 500, 31_000]);
    let ack = &acks[0].1;
    for line in [
        "ACK sip:bob@b.example SIP/2.0\r\n",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport\r\n",
        "Route: <sip:p.example;lr>\r\n",
        "To: <sip:bob@b.example>;tag=theirs\r\n",
        "CSeq: 5 ACK\r\n",
    ] {
        assert!(ack.contains(line), "{line} in {ack}");
    }
    bench.until(32_000);
    assert_eq!(bench.table.in_use(), 0);
    assert_eq!(bench.ended, []);
    let mut bench = Bench::new();
    bench.send(tcp(), &request("INVITE", "a"));
    assert!(bench.receive(tcp(), &busy).is_ok());
    assert_eq!((bench.times("ACK"), bench.table.in_use()), (vec![0], 0), "nothing is lost on the way");
}

/// RFC 3261 section 13.2.2.4, RFC 6026 section 7.2, timer M.
#[test]
fn a_repeated_2xx_is_acknowledged_again_and_a_forks_2xx_is_told() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("INVITE", "a"));
    let ok = response("200 OK", "INVITE", "a", "one");
    assert!(matches!(bench.receive(udp(), &ok), Ok(Delivery::Response { .. })));
    assert!(bench.table.acknowledge(id, udp(), ack("z", "one").as_bytes()).is_ok());
    bench.until(500);
    assert!(matches!(bench.receive(udp(), &ok), Ok(Delivery::Absorbed)));
    assert_eq!(bench.times("ACK"), [0, 500]);
    let fork = response("200 OK", "INVITE", "a", "two");
    assert!(matches!(bench.receive(udp(), &fork), Ok(Delivery::Response { .. })));
    bench.until(31_999);
    assert_eq!(bench.table.in_use(), 1);
    bench.until(32_000);
    assert_eq!((bench.table.in_use(), bench.ended.len()), (0, 0));
    assert!(matches!(bench.receive(udp(), &ok), Err(Dropped::StrayResponse)));
    assert_eq!(bench.table.acknowledge(id, udp(), b""), Err(Dropped::WrongState));
}

/// RFC 3261 section 9.1.
#[test]
fn a_cancel_waits_for_a_provisional_answer() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("INVITE", "a"));
    assert_eq!(bench.table.cancel(bench.now, id), Ok(()));
    bench.until(400);
    assert_eq!(bench.times("CANCEL"), [] as [u64; 0], "too early: the INVITE might be overtaken");
    assert!(bench.receive(udp(), &response("100 Trying", "INVITE", "a", "t")).is_ok());
    let cancel = bench.sent.iter().find(|(_, text)| text.starts_with("CANCEL")).cloned().expect("a CANCEL");
    assert!(cancel.1.contains("branch=z9hG4bKa;") && cancel.1.contains("CSeq: 5 CANCEL\r\n"), "{}", cancel.1);
    assert!(cancel.1.contains("To: <sip:bob@b.example>\r\n"), "without their tag");
    assert_eq!(bench.table.in_use(), 2);
    assert!(matches!(bench.receive(udp(), &response("200 OK", "CANCEL", "a", "t")), Ok(Delivery::Absorbed)));
    let gone = response("487 Request Terminated", "INVITE", "a", "t");
    assert!(matches!(bench.receive(udp(), &gone), Ok(Delivery::Response { .. })));
    assert_eq!(bench.table.cancel(bench.now, id), Err(Dropped::WrongState));
    bench.until(60_000);
    assert_eq!((bench.table.in_use(), bench.ended.len()), (0, 0));
}

#[test]
fn a_cancelled_invite_that_nobody_ends_ends_by_itself() {
    let mut bench = Bench::new();
    let id = bench.send(udp(), &request("INVITE", "a"));
    assert!(bench.receive(udp(), &response("180 Ringing", "INVITE", "a", "t")).is_ok());
    bench.until(1000);
    assert_eq!(bench.table.cancel(bench.now, id), Ok(()));
    assert_eq!(bench.table.cancel(bench.now, id), Ok(()), "saying it twice changes nothing");
    bench.until(20_000);
    assert!(bench.receive(udp(), &response("180 Ringing", "INVITE", "a", "t")).is_ok());
    bench.until(60_000);
    assert_eq!(bench.ended, [(33_000, id, Ended::Timeout)], "the CANCEL's own end is nobody's business");
    assert_eq!(bench.table.in_use(), 0);
}

/// RFC 3261 section 17.2.1: 100 after 200 ms, or at once when asked again.
#[test]
fn an_invite_is_said_to_be_tried_when_the_user_thinks_for_long() {
    let mut bench = Bench::new();
    let invite = request("INVITE", "a");
    bench.asked(udp(), &invite);
    bench.until(100);
    assert!(matches!(bench.receive(udp(), &invite), Ok(Delivery::Absorbed)));
    bench.until(1000);
    assert_eq!(bench.times("SIP/2.0 100 Trying"), [100, 200]);
    let mut bench = Bench::new();
    let id = bench.asked(udp(), &invite);
    bench.until(100);
    bench.respond(id, &response("180 Ringing", "INVITE", "a", "t"));
    bench.until(1000);
    assert_eq!(bench.times("SIP/2.0 100"), [] as [u64; 0]);
    assert!(matches!(bench.receive(udp(), &invite), Ok(Delivery::Absorbed)));
    assert_eq!(bench.times("SIP/2.0 180"), [1000]);
}

/// RFC 3261 section 17.2.1, timers G, H and I.
#[test]
fn a_refusal_is_repeated_until_it_is_acknowledged() {
    let mut bench = Bench::new();
    let invite = request("INVITE", "a");
    let busy = response("486 Busy Here", "INVITE", "a", "t");
    let id = bench.asked(udp(), &invite);
    bench.respond(id, &busy);
    bench.until(3600);
    assert!(matches!(bench.receive(udp(), &invite), Ok(Delivery::Absorbed)));
    assert!(matches!(bench.receive(udp(), &ack("a", "t")), Ok(Delivery::Absorbed)));
    assert!(matches!(bench.receive(udp(), &ack("a", "t")), Ok(Delivery::Absorbed)));
    assert_eq!(bench.table.respond(bench.now, id, busy.as_bytes()), Err(Dropped::WrongState));
    bench.until(8_599);
    assert_eq!(bench.table.in_use(), 1, "timer I");
    bench.until(8_600);
    assert_eq!((bench.times("SIP/2.0 486"), bench.table.in_use()), (vec![0, 500, 1500, 3500, 3600], 0));
    let id = bench.asked(udp(), &request("INVITE", "b"));
    bench.respond(id, &response("486 Busy Here", "INVITE", "b", "t"));
    bench.until(60_000);
    assert_eq!(bench.ended, [(40_600, id, Ended::NoAck)]);
    assert_eq!(bench.times("SIP/2.0 486").len(), 11);
}

/// RFC 3261 section 13.3.1.4, RFC 6026 section 7.1, timer L.
#[test]
fn a_2xx_is_repeated_until_it_is_acknowledged_over_every_transport() {
    for flow in [udp(), tcp()] {
        let mut bench = Bench::new();
        let invite = request("INVITE", "a");
        let id = bench.asked(flow, &invite);
        bench.respond(id, &response("200 OK", "INVITE", "a", "t"));
        bench.until(2000);
        assert!(matches!(bench.receive(flow, &invite), Ok(Delivery::Absorbed)), "no second call");
        assert!(matches!(bench.receive(flow, &ack("other", "t")), Ok(Delivery::Ack(_))));
        bench.table.confirm(id);
        bench.until(60_000);
        assert_eq!(bench.times("SIP/2.0 200"), [0, 500, 1500]);
        assert_eq!((bench.table.in_use(), bench.ended.len()), (0, 0));
        let id = bench.asked(flow, &request("INVITE", "b"));
        bench.respond(id, &response("200 OK", "INVITE", "b", "t"));
        bench.until(100_000);
        assert_eq!(bench.ended, [(92_000, id, Ended::NoAck)]);
        assert_eq!(bench.times("SIP/2.0 200").len(), 11);
    }
}

/// RFC 3262 section 3.
#[test]
fn a_reliable_provisional_answer_is_repeated_until_its_prack() {
    let mut bench = Bench::new();
    let id = bench.asked(udp(), &request("INVITE", "a"));
    let ringing = response("183 Session Progress", "INVITE", "a", "t")
        .replace("Content-Length", "RSeq: 1\r\nContent-Length");
    bench.respond(id, &ringing);
    bench.until(2000);
    bench.table.confirm_provisional(id);
    bench.until(10_000);
    assert_eq!(bench.times("SIP/2.0 183"), [0, 500, 1500]);
    bench.respond(id, &ringing);
    bench.until(50_000);
    assert_eq!(bench.times("SIP/2.0 183"), [10_000, 10_500, 11_500, 13_500, 17_500, 25_500, 41_500]);
    assert_eq!(bench.ended, [(42_000, id, Ended::NoPrack)]);
    bench.respond(id, &response("504 Server Time-out", "INVITE", "a", "t"));
    assert!(bench.receive(udp(), &ack("a", "t")).is_ok());
    bench.until(90_000);
    assert_eq!(bench.table.in_use(), 0);
}

/// RFC 3261 section 17.2.2, timer J.
#[test]
fn another_request_is_answered_as_often_as_it_comes() {
    let mut bench = Bench::new();
    let options = request("OPTIONS", "a");
    let id = bench.asked(udp(), &options);
    assert!(matches!(bench.receive(udp(), &options), Ok(Delivery::Absorbed)));
    assert_eq!(bench.sent.len(), 0, "no answer yet, no 100");
    bench.respond(id, &response("200 OK", "OPTIONS", "a", "t"));
    bench.until(31_000);
    assert!(matches!(bench.receive(udp(), &options), Ok(Delivery::Absorbed)));
    assert_eq!(bench.times("SIP/2.0 200"), [0, 31_000]);
    bench.until(32_000);
    assert_eq!(bench.table.in_use(), 0);
    let mut bench = Bench::new();
    let id = bench.asked(tcp(), &options);
    bench.respond(id, &response("200 OK", "OPTIONS", "a", "t"));
    assert_eq!((bench.times("SIP/2.0 200"), bench.table.in_use()), (vec![0], 0));
}

/// RFC 3261 section 9.2.
#[test]
fn a_cancel_is_answered_and_the_user_told() {
    let mut bench = Bench::new();
    let id = bench.asked(udp(), &request("INVITE", "a"));
    let cancel = request("CANCEL", "a");
    for _ in 0..2 {
        assert!(
            matches!(bench.receive(udp(), &cancel), Ok(Delivery::Cancelled { invite, .. }) if invite == id)
        );
    }
    assert_eq!(bench.times("SIP/2.0 200").len(), 2);
    bench.respond(id, &response("487 Request Terminated", "INVITE", "a", "t"));
    assert!(matches!(bench.receive(udp(), &cancel), Ok(Delivery::Absorbed)), "too late to change anything");
    assert!(matches!(bench.receive(udp(), &request("CANCEL", "b")), Err(Dropped::StrayCancel)));
    assert_eq!(bench.times("SIP/2.0 481").len(), 1);
}

/// RFC 3261 section 17.2.3.
#[test]
fn requests_are_told_apart_by_branch_sender_and_method() {
    let mut bench = Bench::new();
    let first = bench.asked(udp(), &request("OPTIONS", "a"));
    let other_sender =
        request("OPTIONS", "a").replace("192.0.2.1:5060", "192.0.2.2:5060").replace("call-a", "call-b");
    assert_ne!(bench.asked(udp(), &other_sender), first);
    assert_ne!(bench.asked(udp(), &request("INFO", "a")), first);
    assert!(matches!(bench.receive(udp(), &request("OPTIONS", "a")), Ok(Delivery::Absorbed)));
    // Section 8.2.2.2: the same request by another way.
    let merged = request("OPTIONS", "a").replace("z9hG4bKa", "z9hG4bKelse");
    assert!(matches!(bench.receive(udp(), &merged), Err(Dropped::Merged)));
    assert_eq!(bench.times("SIP/2.0 482").len(), 1);
}

/// RFC 3261 section 17.2.3, the rule of RFC 2543.
#[test]
fn old_peers_without_cookies_are_told_apart_by_everything_else() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK"] {
        let old = |method: &str| request(method, "a").replace(";branch=z9hG4bKa", branch);
        let mut bench = Bench::new();
        let invite = old("INVITE");
        let id = bench.asked(udp(), &invite);
        assert!(matches!(bench.receive(udp(), &invite), Ok(Delivery::Absorbed)), "{branch}");
        let another = invite.replace("call-a", "call-b");
        assert_ne!(bench.asked(udp(), &another), id);
        bench.respond(id, &response("486 Busy Here", "INVITE", "a", "t"));
        let ack = old("ACK").replace("To: <sip:bob@b.example>", "To: <sip:bob@b.example>;tag=t");
        assert!(matches!(bench.receive(udp(), &ack), Ok(Delivery::Absorbed)), "{branch}");
        bench.times("");
        bench.until(4000);
        assert_eq!(bench.times("SIP/2.0 486"), [] as [u64; 0], "acknowledged");
    }
}

/// RFC 3261 section 18.2.2, RFC 3581 section 4.
#[test]
fn answers_go_where_the_via_wants_them() {
    let mut bench = Bench::new();
    let from: SocketAddr = "198.51.100.7:9999".parse().unwrap();
    let id = bench.asked(Flow::Udp { remote: from }, &request("OPTIONS", "a"));
    bench.respond(id, &response("200 OK", "OPTIONS", "a", "t"));
    assert_eq!(bench.last_flow, Some(Flow::Udp { remote: from }));
    let id = bench.asked(Flow::Udp { remote: from }, &request("OPTIONS", "b").replace(";rport", ""));
    bench.respond(id, &response("200 OK", "OPTIONS", "b", "t"));
    assert_eq!(bench.last_flow, Some(Flow::Udp { remote: "198.51.100.7:5060".parse().unwrap() }));
}

#[test]
fn answered_requests_do_not_keep_callers_out() {
    let mut bench = Bench::with(Capacity { transactions: 8, reserved: 4, message: 1024 });
    for number in 0..100 {
        let branch = format!("a{number}");
        let id = bench.asked(udp(), &request("OPTIONS", &branch));
        bench.respond(id, &response("200 OK", "OPTIONS", &branch, "t"));
        let branch = format!("b{number}");
        let id = bench.asked(udp(), &request("INVITE", &branch));
        bench.respond(id, &response("486 Busy Here", "INVITE", &branch, "t"));
    }
    assert_eq!(bench.table.dropped().of(Dropped::Full), 0);
    // What nobody has answered yet is never given up.
    for number in 0..4 {
        bench.asked(udp(), &request("INVITE", &format!("c{number}")));
    }
    assert!(matches!(bench.receive(udp(), &request("INVITE", "d")), Err(Dropped::Full)));
}

#[test]
fn a_full_table_answers_503_and_spreads_those_who_come_back() {
    let mut bench = Bench::with(Capacity { transactions: 8, reserved: 4, message: 1024 });
    for number in 0..4 {
        bench.asked(udp(), &request("OPTIONS", &format!("a{number}")));
    }
    let mut pauses = Vec::new();
    for number in 0..200 {
        assert!(matches!(
            bench.receive(udp(), &request("INVITE", &format!("b{number}"))),
            Err(Dropped::Full)
        ));
    }
    for (_, text) in &bench.sent {
        assert!(text.starts_with("SIP/2.0 503 Service Unavailable\r\n"));
        let Received::Message(message) = Message::parse(text.as_bytes()) else { panic!("{text}") };
        pauses.push(message.retry_after().unwrap().seconds);
    }
    assert!(pauses.iter().all(|pause| (5..30).contains(pause)));
    for second in 5..30 {
        let share = pauses.iter().filter(|pause| **pause == second).count();
        assert!(share < 30, "{share} of 200 come back after {second} s");
    }
    // Our own requests and those of calls in progress still go.
    let within = request("BYE", "c").replace("To: <sip:bob@b.example>", "To: <sip:bob@b.example>;tag=t");
    bench.asked(udp(), &within);
    for number in 0..3 {
        bench.send(udp(), &request("REGISTER", &format!("d{number}")));
    }
    assert_eq!(bench.table.send(bench.now, udp(), request("BYE", "e").as_bytes()), Err(Dropped::Full));
    assert!(matches!(bench.receive(udp(), &within.replace("z9hG4bKc", "z9hG4bKf")), Err(Dropped::Full)));
    assert_eq!(bench.table.dropped().of(Dropped::Full), 202);
    assert_eq!(bench.table.in_use(), 8);
}

#[test]
fn what_is_too_long_to_be_kept_is_refused() {
    let mut bench = Bench::with(Capacity { transactions: 8, reserved: 4, message: 600 });
    let long = |method: &str| {
        request(method, "a").replace("Contact", &format!("Subject: {}\r\nContact", "x".repeat(400)))
    };
    assert!(matches!(bench.receive(udp(), &long("OPTIONS")), Err(Dropped::TooLong)));
    assert_eq!(bench.times("SIP/2.0 513").len(), 1);
    assert_eq!(bench.table.send(bench.now, udp(), long("BYE").as_bytes()), Err(Dropped::TooLong));
    assert_eq!(bench.table.send(bench.now, udp(), b"nonsense"), Err(Dropped::NotSip));
    assert_eq!(bench.table.send(bench.now, udp(), request("ACK", "a").as_bytes()), Err(Dropped::NotSip));
    assert_eq!(bench.table.in_use(), 0);
}

#[test]
fn the_request_is_kept_for_whoever_answers_it() {
    let mut bench = Bench::new();
    let with_body =
        request("INVITE", "a").replace("Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\nv=0");
    let id = bench.asked(udp(), &with_body);
    let kept = bench.table.request(id).unwrap();
    assert_eq!(kept.call_id(), Ok("call-a"));
    assert_eq!(kept.body(), b"", "bodies of others are not kept");
    let ours = bench.send(udp(), &with_body.replace("z9hG4bKa", "z9hG4bKours"));
    assert_eq!(bench.table.request(ours).unwrap().body(), b"v=0", "ours are, for whoever must ask again");
    bench.table.abandon(id);
    bench.table.abandon(id);
    assert!(bench.table.request(id).is_none());
    let next = bench.asked(udp(), &request("INVITE", "b"));
    assert_ne!(next, id, "a new one has a new name");
    assert!(bench.table.request(id).is_none());
}

#[test]
fn a_failed_flow_ends_what_waits_on_it() {
    let mut bench = Bench::new();
    let asks = bench.send(tcp(), &request("REGISTER", "a"));
    let asked = bench.asked(tcp(), &request("INVITE", "b"));
    let elsewhere = bench.send(udp(), &request("REGISTER", "c"));
    bench.table.flow_failed(&tcp());
    bench.drain();
    assert_eq!(bench.ended, [(0, asks, Ended::FlowFailed), (0, asked, Ended::FlowFailed)]);
    assert!(bench.table.request(elsewhere).is_some());
    assert_eq!(bench.table.in_use(), 1);
}

#[test]
fn a_slot_taken_again_before_its_end_is_polled_away_stays() {
    let mut bench = Bench::new();
    let old = bench.send(udp(), &request("REGISTER", "a"));
    bench.until(31_999);
    bench.now = Instant::from_secs(32);
    let mut out = [0; 2048];
    let ended = loop {
        match bench.table.poll(bench.now, &mut out) {
            Output::Ended { transaction, .. } => break transaction,
            Output::Transmit { .. } => {}
            Output::Wait(_) => panic!("it ends now"),
        }
    };
    assert_eq!(ended, old);
    bench.table.abandon(old);
    let next = bench.send(udp(), &request("REGISTER", "b"));
    assert!(bench.table.request(next).is_some());
    assert_eq!(bench.table.in_use(), 1);
}

/// RFC 4475 and RFC 5118, on the wire.
#[test]
fn torture_messages_get_the_answers_their_documents_want() {
    for case in torture::all() {
        let mut bench = Bench::new();
        let received = Message::parse(&case.bytes);
        let is_response = case.bytes.starts_with(b"SIP/");
        let result = bench.table.receive(bench.now, udp(), received).map(|_| ());
        bench.drain();
        match case.expected {
            _ if is_response => {
                assert!(result.is_err(), "{}: an answer to nothing", case.id);
                assert_eq!(bench.sent.len(), 0, "{}: nobody answers answers", case.id);
            }
            Expected::Sound => {
                assert_eq!((result, bench.sent.len()), (Ok(()), 0), "{}", case.id);
                assert_eq!(bench.table.in_use(), 1, "{}", case.id);
            }
            Expected::Answer(status) => {
                assert_eq!(result, Err(Dropped::Refused), "{}", case.id);
                assert_eq!(bench.times(&format!("SIP/2.0 {status} ")).len(), 1, "{}", case.id);
                assert_eq!(bench.table.in_use(), 0, "{}: costs no slot", case.id);
            }
            Expected::Dropped => panic!("{} is no response", case.id),
        }
    }
}

/// Ten thousand messages, sound, mutilated and random, from everywhere at once.
#[test]
fn ten_thousand_hostile_messages_leave_nothing_behind() {
    let seed = 20_261_122;
    let mut random = Random::new(Seed::from_number(seed));
    let capacity = Capacity { transactions: 32, reserved: 8, message: 4096 };
    let mut bench = Bench::with(capacity);
    let cases = torture::all();
    let call = bench.send(udp(), &request("INVITE", "ours"));
    assert!(bench.receive(udp(), &response("180 Ringing", "INVITE", "ours", "t")).is_ok());
    let memory = bench.table.memory_bytes();
    let (mut delivered, mut refused) = (0u32, 0u32);
    for round in 0..10_000u32 {
        let mut bytes = match random.below(4) {
            0 => {
                let method = ["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "SUBSCRIBE"]
                    [random.below(7) as usize];
                request(method, &format!("{}", random.below(500))).into_bytes()
            }
            1 => response("200 OK", "INVITE", &format!("{}", random.below(500)), "t").into_bytes(),
            _ => cases[random.below(cases.len() as u32) as usize].bytes.clone(),
        };
        for _ in 0..random.below(6) {
            crate::fuzz::mutate(&mut bytes, &mut random);
        }
        let remote = SocketAddr::from(([198, 51, 100, random.below(256) as u8], random.next_u16()));
        let result = bench.table.receive(bench.now, Flow::Udp { remote }, Message::parse(&bytes));
        match result {
            Ok(Delivery::Request { .. }) => delivered += 1,
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        bench.drain();
        bench.sent.clear();
        bench.ended.clear();
        assert!(
            bench.table.in_use() <= capacity.transactions - capacity.reserved + 8,
            "seed {seed} round {round}"
        );
        bench.now += Duration::from_millis(u64::from(random.below(20)));
    }
    assert!(delivered > 20 && refused > 5_000, "both kinds came: {delivered} {refused}");
    assert_eq!(bench.table.memory_bytes(), memory, "not a byte more");
    assert!(bench.table.request(call).is_some(), "the call in progress is untouched");
    assert!(bench.table.cancel(bench.now, call).is_ok(), "and can be ended");
    for index in 0..capacity.transactions {
        // Somebody lets it ring for ever; other requests nobody answers are forgotten by themselves.
        let id = bench.table.id(index);
        if id != call
            && bench.table.request(id).is_some_and(|request| request.method() == Some(Method::Invite))
        {
            bench.table.abandon(id);
        }
    }
    let end = bench.now.as_millis() + LONGEST_WAIT.as_millis() + 1000;
    bench.until(end);
    assert_eq!(bench.table.in_use(), 0, "seed {seed}");
}
