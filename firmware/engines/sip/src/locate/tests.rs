//! A server's name becomes addresses in the order RFC 3263 and RFC 2782 say, and stays found when DNS fails.

extern crate std;
use std::vec::Vec;

use dialtone_base::random::Seed;

use super::*;

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
    Record::Srv { priority, weight, port, target: target.into() }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Record {
    Record::Naptr {
        order,
        preference,
        flags: "s".into(),
        service: service.into(),
        replacement: replacement.into(),
    }
}

/// A zone: what each question gets. What is not in it does not exist.
type Zone<'a> = &'a [(&'a str, RecordKind, &'a [Record])];

/// Answers every question from `zone`; the questions asked.
fn resolve(
    site: &mut Site,
    now: Instant,
    zone: Zone<'_>,
    seed: u64,
) -> Vec<(std::string::String, RecordKind)> {
    let mut random = Random::new(Seed::from_number(seed));
    let mut asked = Vec::new();
    while let Some((id, name, kind)) = site.poll() {
        let entry =
            zone.iter().find(|(zone_name, zone_kind, _)| *zone_name == name.as_str() && *zone_kind == kind);
        let answer = match entry {
            Some((_, _, records)) => Answer::Records { records, ttl: Duration::from_secs(300) },
            None => Answer::Nothing,
        };
        assert!(site.answer(now, id, answer, &mut random));
        asked.push((name.as_str().into(), kind));
    }
    asked
}

fn address(last: u8) -> Record {
    Record::A(Ipv4Addr::new(192, 0, 2, last))
}

fn target(last: u8, port: u16, transport: Transport) -> Target {
    Target { to: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), port), transport }
}

const NOW: Instant = Instant::from_secs(1);

#[test]
fn a_literal_address_asks_nobody() {
    let mut site = Site::new(&"192.0.2.1".into(), None, TransportChoice::Auto);
    assert_eq!(site.find(NOW), Found::At(target(1, 5060, Transport::Udp)));
    assert_eq!(site.poll(), None);
    let mut site = Site::new(&"192.0.2.1".into(), Some(5070), TransportChoice::Tcp);
    assert_eq!(site.find(NOW), Found::At(target(1, 5070, Transport::Tcp)));
}

#[test]
fn a_given_port_asks_only_for_addresses() {
    let mut site = Site::new(&"sip.example".into(), Some(5080), TransportChoice::Auto);
    assert_eq!(site.find(NOW), Found::Asking);
    let asked = resolve(&mut site, NOW, &[("sip.example", RecordKind::A, &[address(1)])], 1);
    assert_eq!(asked.len(), 1);
    assert_eq!(site.find(NOW), Found::At(target(1, 5080, Transport::Udp)));
}

#[test]
fn naptr_chooses_the_transport_then_srv_the_server() {
    let mut site = Site::new(&"example".into(), None, TransportChoice::Auto);
    site.find(NOW);
    let zone: Zone<'_> = &[
        (
            "example",
            RecordKind::Naptr,
            &[
                naptr(20, 1, "SIP+D2U", "u.example"),
                naptr(10, 1, "SIP+D2T", "t.example"),
                naptr(1, 1, "SIPS+D2T", "s.example"),
            ],
        ),
        ("t.example", RecordKind::Srv, &[srv(1, 0, 5061, "a.example")]),
        ("u.example", RecordKind::Srv, &[srv(1, 0, 5062, "b.example")]),
        ("a.example", RecordKind::A, &[address(1)]),
        ("b.example", RecordKind::A, &[address(2)]),
    ];
    resolve(&mut site, NOW, zone, 1);
    let first = target(1, 5061, Transport::Tcp);
    assert_eq!(site.find(NOW), Found::At(first));
    site.bar(NOW, first, Duration::from_secs(60));
    assert_eq!(
        site.find(NOW),
        Found::At(target(2, 5062, Transport::Udp)),
        "the next service when the first fails"
    );
}

#[test]
fn without_naptr_both_services_are_asked_for_udp_first() {
    let mut site = Site::new(&"example".into(), None, TransportChoice::Auto);
    site.find(NOW);
    let zone: Zone<'_> = &[
        ("_sip._tcp.example", RecordKind::Srv, &[srv(1, 0, 5060, "a.example")]),
        ("a.example", RecordKind::A, &[address(1)]),
    ];
    let asked = resolve(&mut site, NOW, zone, 1);
    let names: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["example", "_sip._udp.example", "_sip._tcp.example", "a.example"]);
    assert_eq!(site.find(NOW), Found::At(target(1, 5060, Transport::Tcp)));
}

#[test]
fn without_any_service_the_name_itself_is_the_server() {
    let mut site = Site::new(&"example".into(), None, TransportChoice::Auto);
    site.find(NOW);
    resolve(&mut site, NOW, &[("example", RecordKind::A, &[address(9)])], 1);
    assert_eq!(site.find(NOW), Found::At(target(9, 5060, Transport::Udp)));
}

#[test]
fn a_service_said_not_to_exist_is_not_replaced_by_the_plain_name() {
    let mut site = Site::new(&"example".into(), None, TransportChoice::Udp);
    site.find(NOW);
    let zone: Zone<'_> = &[
        ("_sip._udp.example", RecordKind::Srv, &[srv(0, 0, 0, ".")]),
        ("example", RecordKind::A, &[address(9)]),
    ];
    resolve(&mut site, NOW, zone, 1);
    assert_eq!(site.find(NOW), Found::Nowhere);
}

#[test]
fn priorities_come_in_order_and_weights_share_the_load() {
    let zone: Zone<'_> = &[
        (
            "_sip._udp.example",
            RecordKind::Srv,
            &[
                srv(20, 0, 5060, "backup"),
                srv(10, 30, 5060, "big"),
                srv(10, 10, 5060, "small"),
                srv(10, 0, 5060, "none"),
            ],
        ),
        ("big", RecordKind::A, &[address(1)]),
        ("small", RecordKind::A, &[address(2)]),
        ("none", RecordKind::A, &[address(3)]),
        ("backup", RecordKind::A, &[address(4)]),
    ];
    let mut first = [0; 5];
    for seed in 0..2000 {
        let mut site = Site::new(&"example".into(), None, TransportChoice::Udp);
        site.find(NOW);
        resolve(&mut site, NOW, zone, seed);
        let Found::At(found) = site.find(NOW) else { panic!("seed {seed}") };
        first[usize::from(found.to.ip().octets()[3])] += 1;
        assert_eq!(site.known.last().unwrap().target, target(4, 5060, Transport::Udp), "seed {seed}");
    }
    assert!((1350..1650).contains(&first[1]), "{first:?}");
    assert!((350..650).contains(&first[2]), "{first:?}");
    assert!(first[3] < 120 && first[4] == 0, "{first:?}");
}

#[test]
fn a_failed_address_is_left_alone_for_a_while_and_only_then_used_again() {
    let mut site = Site::new(&"sip.example".into(), Some(5060), TransportChoice::Udp);
    site.find(NOW);
    resolve(&mut site, NOW, &[("sip.example", RecordKind::A, &[address(1), address(2)])], 1);
    let (one, two) = (target(1, 5060, Transport::Udp), target(2, 5060, Transport::Udp));
    assert!(site.has_other(NOW, one));
    site.bar(NOW, one, Duration::from_secs(60));
    assert_eq!(site.find(NOW), Found::At(two));
    site.bar(NOW, two, Duration::from_secs(30));
    assert_eq!(site.find(NOW), Found::Nowhere);
    assert_eq!(site.find_even_barred(NOW), Found::At(two), "the one whose bar ends first");
    assert_eq!(site.find(NOW + Duration::from_secs(61)), Found::At(one));
}

#[test]
fn an_old_address_is_kept_while_dns_does_not_answer() {
    let mut random = Random::new(Seed::from_number(1));
    let mut site = Site::new(&"sip.example".into(), Some(5060), TransportChoice::Udp);
    site.find(NOW);
    resolve(&mut site, NOW, &[("sip.example", RecordKind::A, &[address(1)])], 1);
    let later = NOW + Duration::from_secs(301);
    assert_eq!(site.find(later), Found::At(target(1, 5060, Transport::Udp)), "still good while asking");
    let (id, ..) = site.poll().expect("asked again when the TTL ended");
    assert!(site.answer(later, id, Answer::Failed, &mut random));
    assert_eq!(site.find(later), Found::At(target(1, 5060, Transport::Udp)));
    assert_eq!(site.poll(), None);
    site.find(later + Duration::from_secs(9));
    assert!(site.poll().is_some(), "asked again soon");
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let mut random = Random::new(Seed::from_number(1));
    let mut site = Site::new(&"sip.example".into(), Some(5060), TransportChoice::Udp);
    let forged = Answer::Records { records: &[address(66)], ttl: Duration::from_secs(1) };
    assert!(!site.answer(NOW, 1, forged, &mut random));
    site.find(NOW);
    assert!(!site.answer(NOW, 1, forged, &mut random), "not yet handed out");
    let (id, ..) = site.poll().unwrap();
    assert!(!site.answer(NOW, id + 1, forged, &mut random));
    assert_eq!(site.find(NOW), Found::Asking);
}

#[test]
fn a_flood_of_records_is_cut() {
    let many: Vec<Record> = (0..200).map(address).collect();
    let services: Vec<Record> = (0..200).map(|n| srv(n, n, 5060, "sip.example")).collect();
    let mut site = Site::new(&"example".into(), None, TransportChoice::Udp);
    site.find(NOW);
    let zone: Zone<'_> =
        &[("_sip._udp.example", RecordKind::Srv, &services), ("sip.example", RecordKind::A, &many)];
    let asked = resolve(&mut site, NOW, zone, 1);
    assert!(asked.len() <= 1 + STEPS);
    assert_eq!(site.known.len(), TARGETS);
}
