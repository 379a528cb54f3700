//! The cache, and what passes through untouched.

use super::*;

#[test]
fn a_kept_answer_serves_the_next_client_with_its_id_its_spelling_and_a_lower_ttl() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    home.upstream_says(0, &[a([93, 184, 216, 34], 300)]).unwrap();
    assert_eq!(read(&home.reply()), ("NOERROR".into(), vec!["A 300 93.184.216.34".into()]));
    home.pass(Duration::from_secs(100));
    let mut again = query("wWw.eXaMpLe.com", 1);
    again[0] = 0x77;
    home.ask_as(client(Zone::Guest, 9, 5, Transport::Udp), &again).unwrap();
    let reply = home.reply();
    assert_eq!(read(&reply), ("NOERROR".into(), vec!["A 200 93.184.216.34".into()]));
    assert_eq!(reply[..2], again[..2]);
    assert_eq!(reply[12..again.len()], again[12..]);
    assert_eq!(flags(&reply) & 0x0400, 0, "a kept answer is not authoritative");
    assert!(home.asked.is_empty());
    home.pass(Duration::from_secs(201));
    home.ask("www.example.com", 1).unwrap();
    assert_eq!(home.asked.len(), 1, "the TTL is over");
}

#[test]
fn negative_answers_are_kept_for_the_soa_minimum_rfc2308_5() {
    for (code, name) in [(3, "nothing.example.com"), (0, "nodata.example.com")] {
        let mut home = Home::new();
        home.ask(name, 28).unwrap();
        home.upstream_says(code, &[soa("example.com", 900, 60)]).unwrap();
        home.reply();
        home.pass(Duration::from_secs(59));
        home.ask(name, 28).unwrap();
        assert!(home.asked.is_empty(), "{name} is kept for 59 s");
        home.pass(Duration::from_secs(1));
        home.ask(name, 28).unwrap();
        assert_eq!(home.asked.len(), 1, "{name} is forgotten after 60 s");
    }
}

#[test]
fn what_must_not_be_kept_is_not() {
    let with_opt_error = |home: &mut Home| {
        let asked = home.asked.pop().unwrap();
        let mut bytes = answer(&asked.bytes, 0, &[a([1, 2, 3, 4], 60)]);
        bytes[2] |= 2;
        home.input(Input::Answer { token: asked.token, from: asked.server, bytes: &bytes }).unwrap();
    };
    type Says = fn(&mut Home);
    let cases: [(&str, Says); 4] = [
        ("no SOA", |home| home.upstream_says(3, &[]).unwrap()),
        ("TTL 0", |home| home.upstream_says(0, &[a([1, 2, 3, 4], 0)]).unwrap()),
        ("TTL above 2^31 (RFC 2181 section 8)", |home| {
            home.upstream_says(0, &[a([1, 2, 3, 4], 0x8000_0000)]).unwrap();
        }),
        ("SERVFAIL", |home| home.upstream_says(2, &[]).unwrap()),
    ];
    for (what, says) in cases {
        let mut home = Home::new();
        home.ask("www.example.com", 1).unwrap();
        says(&mut home);
        home.reply();
        home.ask("www.example.com", 1).unwrap();
        assert_eq!(home.asked.len(), 1, "{what}");
    }
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    with_opt_error(&mut home);
    assert_ne!(flags(&home.reply()) & 0x0200, 0, "TC reaches the client");
    home.ask("www.example.com", 1).unwrap();
    assert_eq!(home.asked.len(), 1, "truncated answers are not kept");
}

#[test]
fn dnssec_bits_make_separate_answers() {
    let mut home = Home::new();
    home.ask("www.example.com", 1).unwrap();
    home.upstream_says(0, &[a([1, 2, 3, 4], 300)]).unwrap();
    home.reply();
    let mut checking_disabled = query("www.example.com", 1);
    checking_disabled[3] |= 0x10;
    let mut authentic = query("www.example.com", 1);
    authentic[3] |= 0x20;
    let dnssec_ok = query_edns("www.example.com", 1, 1232, true, &[]);
    let plain_edns = query_edns("www.example.com", 1, 1232, false, &[]);
    for (what, bytes) in
        [("CD", checking_disabled), ("AD", authentic), ("DO", dnssec_ok), ("EDNS", plain_edns)]
    {
        home.ask_as(laptop(), &bytes).unwrap();
        let asked = home.asked.pop().unwrap_or_else(|| panic!("{what} goes upstream"));
        assert_eq!(
            asked.bytes[2..],
            bytes[2..],
            "{what} reaches the upstream untouched (RFC 5625 section 4.4)"
        );
        home.input(Input::Failed { token: asked.token, fault: Fault::Ours }).unwrap();
    }
}

#[test]
fn a_client_subnet_option_goes_through_and_past_the_cache() {
    let mut home = Home::new();
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
    for _ in 0..2 {
        let bytes = query_edns("www.example.com", 1, 1232, false, &subnet);
        home.ask_as(laptop(), &bytes).unwrap();
        assert!(home.asked[0].bytes.ends_with(&subnet));
        home.upstream_says(0, &[a([1, 2, 3, 4], 300)]).unwrap();
        home.reply();
    }
}

#[test]
fn cookies_do_not_pass_from_one_client_to_the_next() {
    let mut home = Home::new();
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    home.ask_as(laptop(), &query_edns("www.example.com", 1, 1232, false, &cookie)).unwrap();
    let asked = home.asked.pop().unwrap();
    let mut bytes = answer(&asked.bytes, 0, &[a([1, 2, 3, 4], 300)]);
    bytes[11] = 1;
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12]);
    bytes.extend_from_slice(&cookie);
    home.input(Input::Answer { token: asked.token, from: asked.server, bytes: &bytes }).unwrap();
    assert!(home.reply().ends_with(&cookie), "the asker gets its cookie");
    home.ask_as(laptop(), &query_edns("www.example.com", 1, 1232, false, &[])).unwrap();
    let reply = home.reply();
    assert!(home.asked.is_empty());
    assert!(reply.ends_with(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]), "an OPT without options");
    read(&reply);
}

#[test]
fn unknown_types_classes_and_opcodes_pass_untouched_rfc5625_4() {
    let mut class = query("version.bind", 16);
    let end = class.len();
    class[end - 1] = 3;
    let mut opcode = query("example.com", 6);
    opcode[2] |= 5 << 3;
    opcode.extend_from_slice(b"update data nobody here reads");
    for bytes in [query("x.example", 65_280), class, opcode, query("example.com", 255)] {
        let mut home = Home::new();
        home.ask_as(laptop(), &bytes).unwrap();
        let asked = home.asked.pop().unwrap();
        assert_eq!(asked.bytes[2..], bytes[2..]);
        let mut back = bytes.clone();
        back[..2].copy_from_slice(&asked.bytes[..2]);
        back[2] |= 0x80;
        home.input(Input::Answer { token: asked.token, from: FIRST, bytes: &back }).unwrap();
        back[..2].copy_from_slice(&bytes[..2]);
        assert_eq!(home.reply(), back);
    }
}

#[test]
fn large_answers_fit_when_the_client_takes_them_and_else_carry_tc() {
    let records = |count: usize| -> Vec<Record> { (0..count).map(|n| a([9, 9, n as u8, 1], 300)).collect() };
    let mut home = Home::new();
    home.ask_as(laptop(), &query_edns("big.example.com", 1, 4096, false, &[])).unwrap();
    home.upstream_says(0, &records(240)).unwrap();
    assert!(home.reply().len() > 3800, "a 4096 byte client gets it all");
    // From the cache, over UDP with less room, then over TCP.
    let small = query_edns("big.example.com", 1, 1232, false, &[]);
    home.ask_as(laptop(), &small).unwrap();
    let reply = home.reply();
    assert_ne!(flags(&reply) & 0x0200, 0);
    assert!(read(&reply).1.is_empty(), "no half record sets (RFC 2181 section 9)");
    home.ask_as(client(Zone::Lan, 20, 40_000, Transport::Tcp(1)), &small).unwrap();
    assert_eq!(read(&home.reply()).1.len(), 240);
    // Fresh from an upstream that ignores the limit.
    home.ask("other.example.com", 1).unwrap();
    home.upstream_says(0, &records(60)).unwrap();
    assert_ne!(flags(&home.reply()) & 0x0200, 0);
}

#[test]
fn tcp_questions_go_upstream_by_tcp() {
    let mut home = Home::new();
    home.ask_as(client(Zone::Lan, 20, 40_000, Transport::Tcp(3)), &query("www.example.com", 16)).unwrap();
    assert!(home.asked[0].tcp);
    home.upstream_says(0, &[Record(0, "", 16, 60, std::vec![3; 252])]).unwrap();
    assert_eq!(home.replies[0].0.transport, Transport::Tcp(3));
}

#[test]
fn messages_that_are_no_questions_get_format_errors_or_silence() {
    let mut home = Home::new();
    let mut response = query("www.example.com", 1);
    response[2] |= 0x80;
    assert_eq!(home.ask_as(laptop(), &response), Err(Rejected::NotAQuery));
    assert_eq!(home.ask_as(laptop(), &[1, 2, 1, 0, 0]), Err(Rejected::NotAQuery));
    assert!(home.replies.is_empty(), "answers are never answered");
    let mut two = query("www.example.com", 1);
    two[5] = 2;
    let cut = query("www.example.com", 1)[..20].to_vec();
    let mut pointer = query("www.example.com", 1);
    pointer[12] = 0xc0;
    for bytes in [two, cut, pointer] {
        assert_eq!(home.ask_as(laptop(), &bytes), Err(Rejected::Malformed));
        assert_eq!(read(&home.reply()).0, "FORMERR");
    }
    assert_eq!(home.ask("example.com", 252), Err(Rejected::ZoneTransfer));
    assert_eq!(read(&home.reply()).0, "REFUSED");
}

#[test]
fn the_cache_lets_the_least_recently_used_go_and_counts_it() {
    let limits = Limits { cache_entries: 3, ..Limits::default() };
    let mut home = Home::with(limits, config());
    let learn = |home: &mut Home, name: &str| {
        home.ask(name, 1).unwrap();
        let new = !home.asked.is_empty();
        if new {
            home.upstream_says(0, &[a([1, 2, 3, 4], 300)]).unwrap();
        }
        home.reply();
        new
    };
    for name in ["a.example", "b.example", "c.example"] {
        assert!(learn(&mut home, name));
    }
    assert!(!learn(&mut home, "a.example"), "used again: the newest now");
    assert!(learn(&mut home, "d.example"));
    assert!(!learn(&mut home, "a.example"));
    assert!(learn(&mut home, "b.example"), "the least recently used went");
    assert_eq!(home.forwarder.snapshot().cached, 3);
    assert_eq!(home.forwarder.snapshot().evicted, 2);
}

#[test]
fn a_flood_of_unique_names_keeps_the_cache_within_its_bytes() {
    let limits = Limits { cache_entries: 64, cache_bytes: 8192, ..Limits::default() };
    let mut home = Home::with(limits, config());
    for number in 0..1000 {
        home.ask(&std::format!("n{number}.example.com"), 16).unwrap();
        let long = Record(0, "", 16, 60, std::vec![4; 5 * (number % 50) + 5]);
        home.upstream_says(0, &[long]).unwrap();
        home.replies.clear();
    }
    let cached = home.forwarder.snapshot().cached;
    assert!((20..=64).contains(&cached), "{cached}");
    assert!(home.forwarder.snapshot().evicted >= 900);
}
