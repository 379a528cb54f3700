//! What neighbors may and may not make us believe.

extern crate std;
use std::vec::Vec;

use dialtone_base::frame::PoolSize;
use dialtone_base::{FramePool, PortId, Seed};

use super::*;

const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const PHONE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 20);
const OUR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xee]);
const PHONE_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x20]);
const OTHER_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x66]);
const FROM: Ingress = Ingress::Port(PortId(0));

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn table(neighbors: usize, held: usize) -> NeighborTable {
    let mut table = NeighborTable::new(neighbors, held, &mut Random::new(Seed::from_number(1)));
    table.set_interface(Zone::Lan, OUR_MAC, Ipv4Prefix::new(OURS, 24));
    table
}

fn pool() -> &'static FramePool {
    FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 })
}

/// Everything there is to do at `now`, and when to come back.
fn drain(table: &mut NeighborTable, now: Instant) -> (Vec<NeighborOutput>, Option<Instant>) {
    let mut outputs = Vec::new();
    loop {
        match table.poll(now) {
            NeighborOutput::Wait(until) => return (outputs, until),
            output => outputs.push(output),
        }
        assert!(outputs.len() < 1000, "poll does not end");
    }
}

fn questions(outputs: &[NeighborOutput]) -> Vec<(Ipv4Addr, MacAddress)> {
    let ask = |output: &NeighborOutput| match output {
        NeighborOutput::Ask { packet, to, .. } => Some((packet.target, *to)),
        _ => None,
    };
    outputs.iter().filter_map(ask).collect()
}

fn answer(mac: MacAddress, address: Ipv4Addr) -> ArpPacket {
    ArpPacket::request(OUR_MAC, OURS, address).reply(mac)
}

/// Resolved and answered at `now`.
fn known(table: &mut NeighborTable, now: Instant, address: Ipv4Addr, mac: MacAddress) {
    assert_eq!(table.resolve(now, Zone::Lan, address), Resolution::Hold);
    assert_eq!(table.handle(now, Zone::Lan, &answer(mac, address)), ArpVerdict::Consumed);
    assert_eq!(table.resolve(now, Zone::Lan, address), Resolution::Ready(mac));
    drain(table, now);
}

#[test]
fn rfc1122_frames_wait_for_the_answer_and_leave_in_order() {
    let (mut table, pool) = (table(8, 8), pool());
    assert_eq!(table.resolve(at(0), Zone::Lan, PHONE), Resolution::Hold);
    for number in 0..3 {
        assert!(table.hold(Zone::Lan, PHONE, FROM, pool.copy_of(&[number]).unwrap()).is_none());
    }
    let (outputs, wait) = drain(&mut table, at(0));
    assert_eq!(questions(&outputs), [(PHONE, MacAddress::BROADCAST)]);
    assert_eq!(wait, Some(at(1000)));
    table.handle(at(500), Zone::Lan, &answer(PHONE_MAC, PHONE));
    let (outputs, _) = drain(&mut table, at(500));
    let sent: Vec<_> = outputs
        .iter()
        .map(|output| match output {
            NeighborOutput::Release { mac: PHONE_MAC, frame, from: FROM, .. } => frame.bytes()[0],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, [0, 1, 2]);
    assert_eq!((table.held(), table.resolve(at(500), Zone::Lan, PHONE)), (0, Resolution::Ready(PHONE_MAC)));
}

#[test]
fn a_silent_neighbor_is_asked_three_times_then_its_frames_come_back() {
    let (mut table, pool) = (table(8, 8), pool());
    table.resolve(at(0), Zone::Lan, PHONE);
    table.hold(Zone::Lan, PHONE, FROM, pool.take(60).unwrap());
    let mut asked = Vec::new();
    let mut now = at(0);
    let unreachable = loop {
        let (outputs, wait) = drain(&mut table, now);
        asked.extend(questions(&outputs).iter().map(|_| now.as_millis()));
        if outputs.iter().any(|output| matches!(output, NeighborOutput::Unreachable { address: PHONE, .. })) {
            break now;
        }
        now = wait.unwrap();
    };
    assert_eq!((asked, unreachable), (std::vec![0, 1000, 2000], at(3000)));
    assert_eq!(table.resolve(at(5999), Zone::Lan, PHONE), Resolution::Unreachable);
    assert_eq!(table.resolve(at(6000), Zone::Lan, PHONE), Resolution::Hold);
    assert_eq!(questions(&drain(&mut table, at(6000)).0).len(), 1);
}

#[test]
fn an_old_answer_is_used_while_the_neighbor_is_asked_again_directly() {
    let mut table = table(8, 8);
    known(&mut table, at(0), PHONE, PHONE_MAC);
    assert_eq!(drain(&mut table, at(0)).1, None, "idle neighbors cost no timer");
    assert_eq!(table.resolve(at(61_000), Zone::Lan, PHONE), Resolution::Ready(PHONE_MAC));
    assert_eq!(questions(&drain(&mut table, at(61_000)).0), [(PHONE, PHONE_MAC)]);
    table.handle(at(61_010), Zone::Lan, &answer(PHONE_MAC, PHONE));
    assert_eq!(drain(&mut table, at(62_000)).0.len(), 0);
    // The second time it is gone: after three questions we know nothing, and whoever cached the MAC learns that.
    let generation = table.generation();
    table.resolve(at(200_000), Zone::Lan, PHONE);
    for second in 0..3 {
        assert_eq!(questions(&drain(&mut table, at(200_000 + second * 1000)).0).len(), 1);
    }
    drain(&mut table, at(203_000));
    assert_ne!(table.generation(), generation);
    assert_eq!(table.resolve(at(203_000), Zone::Lan, PHONE), Resolution::Hold);
}

#[test]
fn rfc826_requests_for_us_are_answered_and_others_are_not() {
    let mut table = table(8, 8);
    let question = ArpPacket::request(PHONE_MAC, PHONE, OURS);
    let ArpVerdict::Reply(reply) = table.handle(at(0), Zone::Lan, &question) else { panic!("no reply") };
    assert_eq!(reply, question.reply(OUR_MAC));
    // Whoever asks for us is about to be talked to: no question of ours is needed.
    assert_eq!(table.resolve(at(1), Zone::Lan, PHONE), Resolution::Ready(PHONE_MAC));
    let other = ArpPacket::request(PHONE_MAC, PHONE, Ipv4Addr::new(192, 168, 77, 30));
    assert_eq!(table.handle(at(2), Zone::Lan, &other), ArpVerdict::Consumed);
    // RFC 5227 section 2.1: probes for our address are answered too.
    let probe = ArpPacket::probe(PHONE_MAC, OURS);
    assert_eq!(table.handle(at(3), Zone::Lan, &probe), ArpVerdict::Reply(probe.reply(OUR_MAC)));
    // In a zone without address nothing is ours.
    assert_eq!(table.handle(at(4), Zone::Guest, &question), ArpVerdict::Consumed);
}

#[test]
fn answers_nobody_asked_for_are_not_believed() {
    let mut table = table(8, 8);
    let lie = answer(OTHER_MAC, PHONE);
    assert_eq!(table.handle(at(0), Zone::Lan, &lie), ArpVerdict::Refused(ArpRefused::Unasked));
    let gratuitous = ArpPacket::announcement(OTHER_MAC, PHONE);
    assert_eq!(table.handle(at(0), Zone::Lan, &gratuitous), ArpVerdict::Consumed);
    assert_eq!((table.lookup(Zone::Lan, PHONE), table.len()), (None, 0));

    known(&mut table, at(0), PHONE, PHONE_MAC);
    assert_eq!(table.handle(at(900), Zone::Lan, &lie), ArpVerdict::Refused(ArpRefused::TooSoon));
    assert_eq!(
        table.handle(at(0), Zone::Lan, &ArpPacket::request(MacAddress::BROADCAST, PHONE, OURS)),
        ArpVerdict::Refused(ArpRefused::BadSender)
    );
    assert_eq!(table.refused().total(), 3);
}

#[test]
fn a_neighbor_that_answers_cannot_be_taken_over() {
    let mut table = table(8, 8);
    known(&mut table, at(0), PHONE, PHONE_MAC);
    let generation = table.generation();
    for second in 2..300 {
        let now = at(second * 1000);
        for lie in [ArpPacket::announcement(OTHER_MAC, PHONE), answer(OTHER_MAC, PHONE)] {
            let verdict = table.handle(now, Zone::Lan, &lie);
            assert_eq!(verdict, ArpVerdict::Refused(ArpRefused::Doubted), "{second} s");
        }
        // The claim makes us ask, once, the one we know.
        assert_eq!(questions(&drain(&mut table, now).0), [(PHONE, PHONE_MAC)]);
        table.handle(now, Zone::Lan, &answer(PHONE_MAC, PHONE));
        assert_eq!(table.resolve(now, Zone::Lan, PHONE), Resolution::Ready(PHONE_MAC));
    }
    assert_eq!(table.generation(), generation);
}

#[test]
fn rfc5944_a_neighbor_with_a_new_mac_is_followed_when_the_old_one_is_silent() {
    let mut table = table(8, 8);
    known(&mut table, at(0), PHONE, PHONE_MAC);
    let generation = table.generation();
    table.handle(at(2000), Zone::Lan, &ArpPacket::announcement(OTHER_MAC, PHONE));
    for second in 2..=5 {
        drain(&mut table, at(second * 1000));
    }
    assert_ne!(table.generation(), generation);
    assert_eq!(table.resolve(at(5001), Zone::Lan, PHONE), Resolution::Hold);
    assert_eq!(questions(&drain(&mut table, at(5001)).0), [(PHONE, MacAddress::BROADCAST)]);
    table.handle(at(5002), Zone::Lan, &answer(OTHER_MAC, PHONE));
    assert_eq!(table.resolve(at(5002), Zone::Lan, PHONE), Resolution::Ready(OTHER_MAC));
}

#[test]
fn a_pinned_neighbor_needs_no_arp_and_cannot_be_taken_over() {
    let (mut table, pool) = (table(8, 8), pool());
    table.resolve(at(0), Zone::Lan, PHONE);
    table.hold(Zone::Lan, PHONE, FROM, pool.take(60).unwrap());
    assert!(table.pin(at(0), Zone::Lan, PHONE, PHONE_MAC));
    let (outputs, wait) = drain(&mut table, at(0));
    assert!(matches!(outputs[..], [NeighborOutput::Release { mac: PHONE_MAC, .. }]));
    assert_eq!(wait, None);
    let lie = ArpPacket::announcement(OTHER_MAC, PHONE);
    assert_eq!(table.handle(at(9000), Zone::Lan, &lie), ArpVerdict::Refused(ArpRefused::Pinned));
    assert_eq!(table.resolve(at(900_000), Zone::Lan, PHONE), Resolution::Ready(PHONE_MAC));
    table.forget(Zone::Lan, PHONE);
    assert_eq!(table.resolve(at(900_000), Zone::Lan, PHONE), Resolution::Hold);
}

#[test]
fn rfc5227_our_address_is_defended_once_in_ten_seconds() {
    let mut table = table(8, 8);
    let claim = ArpPacket::announcement(OTHER_MAC, OURS);
    let (mut defences, mut reports) = (0, 0);
    for millis in (0..25_000).step_by(100) {
        assert_eq!(table.handle(at(millis), Zone::Lan, &claim), ArpVerdict::Refused(ArpRefused::Conflict));
        for output in drain(&mut table, at(millis)).0 {
            match output {
                NeighborOutput::Ask { packet, to: MacAddress::BROADCAST, .. } => {
                    assert_eq!(packet, ArpPacket::announcement(OUR_MAC, OURS));
                    defences += 1;
                }
                NeighborOutput::Conflict { address: OURS, mac: OTHER_MAC, .. } => reports += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((defences, reports), (3, 3));
}

#[test]
fn rfc5227_announcements_are_two_and_two_seconds_apart() {
    let mut table = table(8, 8);
    table.announce(at(0), Zone::Lan);
    let (outputs, wait) = drain(&mut table, at(0));
    assert!(
        matches!(&outputs[..], [NeighborOutput::Ask { packet, .. }] if packet.is_gratuitous())
            && wait == Some(at(2000))
    );
    let (outputs, wait) = drain(&mut table, at(2000));
    assert_eq!((outputs.len(), wait), (1, None));
}

#[test]
fn rfc5227_a_probe_is_answered_by_its_user_or_by_another_prober() {
    for packet in [
        ArpPacket::probe(OUR_MAC, PHONE).reply(PHONE_MAC),
        ArpPacket::request(PHONE_MAC, PHONE, Ipv4Addr::new(192, 168, 77, 9)),
        ArpPacket::probe(PHONE_MAC, PHONE),
    ] {
        let mut table = table(8, 8);
        assert!(table.probe(at(0), Zone::Lan, PHONE));
        let (outputs, _) = drain(&mut table, at(0));
        assert!(matches!(&outputs[..], [NeighborOutput::Ask { packet, .. }] if packet.is_probe()));
        table.handle(at(400), Zone::Lan, &packet);
        let (outputs, _) = drain(&mut table, at(400));
        assert!(matches!(
            outputs[..],
            [NeighborOutput::ProbeAnswered { address: PHONE, mac: PHONE_MAC, .. }]
        ));
    }
    let mut table = table(8, 8);
    for number in 0..PROBES as u8 {
        assert!(table.probe(at(0), Zone::Lan, Ipv4Addr::new(192, 168, 77, 100 + number)));
    }
    assert!(!table.probe(at(0), Zone::Lan, PHONE), "bounded");
    drain(&mut table, at(0));
    assert!(table.probe(at(3001), Zone::Lan, PHONE), "old ones are over");
    // Our own question coming back through a loop is no answer.
    let echo = ArpPacket::probe(OUR_MAC, PHONE);
    assert_eq!(table.handle(at(3001), Zone::Lan, &echo), ArpVerdict::Refused(ArpRefused::Own));
}

#[test]
fn held_frames_are_few_per_neighbor_and_bounded_together() {
    let (mut table, pool) = (table(64, 6), pool());
    table.resolve(at(0), Zone::Lan, PHONE);
    for number in 0..HELD_PER_NEIGHBOR as u8 {
        assert!(table.hold(Zone::Lan, PHONE, FROM, pool.copy_of(&[number]).unwrap()).is_none());
    }
    // The newest stays, the oldest goes (RFC 1122 section 2.3.2.2).
    let gone = table.hold(Zone::Lan, PHONE, FROM, pool.copy_of(&[9]).unwrap()).unwrap();
    assert_eq!(gone.bytes(), [0]);
    for number in 0..3 {
        let other = Ipv4Addr::new(192, 168, 77, 50 + number);
        table.resolve(at(0), Zone::Lan, other);
        let refused = table.hold(Zone::Lan, other, FROM, pool.copy_of(&[50 + number]).unwrap());
        assert_eq!(refused.is_some(), number == 2, "six places in all");
    }
    assert_eq!(table.held(), 6);
    table.set_interface(Zone::Lan, OUR_MAC, None);
    let (outputs, _) = drain(&mut table, at(1));
    let lost = outputs.iter().filter(|output| matches!(output, NeighborOutput::Unreachable { .. })).count();
    assert_eq!((lost, table.held(), table.len()), (6, 0, 0));
}

#[test]
fn a_flood_of_strangers_displaces_nobody_we_talk_to() {
    let mut table = table(32, 8);
    for number in 0..8 {
        known(
            &mut table,
            at(0),
            Ipv4Addr::new(192, 168, 77, 20 + number),
            MacAddress([2, 0, 0, 0, 1, number]),
        );
    }
    // Half of them are talked to, half have leases.
    for number in 0..4 {
        let address = Ipv4Addr::new(192, 168, 77, 20 + number);
        table.pin(at(0), Zone::Lan, address, MacAddress([2, 0, 0, 0, 1, number]));
    }
    for number in 0..5000_u32 {
        let stranger = Ipv4Addr::new(192, 168, 77, 100 + (number % 150) as u8);
        let mac = MacAddress([2, 1, 0, 0, (number >> 8) as u8, number as u8]);
        table.handle(at(10_000 + u64::from(number)), Zone::Lan, &ArpPacket::request(mac, stranger, OURS));
        table.handle(at(10_000 + u64::from(number)), Zone::Lan, &answer(mac, stranger));
    }
    for number in 0..8 {
        let address = Ipv4Addr::new(192, 168, 77, 20 + number);
        assert_eq!(table.lookup(Zone::Lan, address), Some(MacAddress([2, 0, 0, 0, 1, number])));
    }
    assert_eq!(table.len(), 32);
}

#[test]
fn asking_for_many_who_are_not_there_keeps_three_quarters_of_the_table_free() {
    let mut table = table(32, 8);
    let mut full = 0;
    for number in 0..100 {
        let resolution = table.resolve(at(0), Zone::Lan, Ipv4Addr::new(192, 168, 77, 100 + number));
        full += usize::from(resolution == Resolution::Full);
    }
    assert_eq!((full, table.len()), (92, 8));
    assert_eq!(questions(&drain(&mut table, at(0)).0).len(), 8);
    // They fail in time and make room for others.
    for second in 1..=3 {
        drain(&mut table, at(second * 1000));
    }
    assert_eq!(table.resolve(at(3000), Zone::Lan, PHONE), Resolution::Hold);
}

#[test]
fn a_changed_network_forgets_its_neighbors_and_a_changed_address_does_not() {
    let mut table = table(8, 8);
    known(&mut table, at(0), PHONE, PHONE_MAC);
    table.set_interface(Zone::Lan, OUR_MAC, Ipv4Prefix::new(Ipv4Addr::new(192, 168, 77, 2), 24));
    assert_eq!(table.lookup(Zone::Lan, PHONE), Some(PHONE_MAC));
    table.set_interface(Zone::Lan, OUR_MAC, Ipv4Prefix::new(PHONE, 24));
    assert_eq!(table.lookup(Zone::Lan, PHONE), None, "it is ours now");
    table.set_interface(Zone::Lan, OUR_MAC, Ipv4Prefix::new(Ipv4Addr::new(10, 0, 0, 1), 24));
    assert!(table.is_empty());
}

#[test]
fn any_order_of_calls_keeps_the_books_straight() {
    let pool = pool();
    for seed in 0..20 {
        let mut random = Random::new(Seed::from_number(seed));
        let mut table = table(16, 8);
        let mut now = at(0);
        for step in 0..2000 {
            let address = Ipv4Addr::new(192, 168, 77, random.below(40) as u8);
            let mac = MacAddress([2, 0, 0, 0, 0, random.below(60) as u8]);
            match random.below(9) {
                0 | 1 => {
                    if table.resolve(now, Zone::Lan, address) == Resolution::Hold
                        && let Some(frame) = pool.take(60)
                    {
                        table.hold(Zone::Lan, address, FROM, frame);
                    }
                }
                2 => drop(table.handle(now, Zone::Lan, &answer(mac, address))),
                3 => drop(table.handle(now, Zone::Lan, &ArpPacket::request(mac, address, OURS))),
                4 => drop(table.pin(now, Zone::Lan, address, mac)),
                5 => table.forget(Zone::Lan, address),
                6 => drop(table.probe(now, Zone::Lan, address)),
                7 => {
                    let prefix = Ipv4Prefix::new(Ipv4Addr::new(192, 168, 77, random.below(3) as u8), 24);
                    table.set_interface(Zone::Lan, OUR_MAC, prefix);
                }
                _ => now += Duration::from_millis(u64::from(random.below(3000))),
            }
            drain(&mut table, now);
            let incomplete = table
                .slots
                .iter()
                .filter(|(_, _, entry)| matches!(entry.state, State::Incomplete { .. }))
                .count();
            assert_eq!(table.incomplete, incomplete, "seed {seed}, step {step}");
            assert_eq!(table.held() + pool.available().ordinary, 64, "seed {seed}, step {step}");
        }
        drain(&mut table, now + Duration::from_secs(3));
        drain(&mut table, now + Duration::from_secs(6));
        drain(&mut table, now + Duration::from_secs(9));
        drain(&mut table, now + Duration::from_secs(12));
        assert_eq!(table.held(), 0, "seed {seed}: no frame waits for ever");
    }
}
