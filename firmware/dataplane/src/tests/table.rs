//! A full flow table: who goes, who stays, what it costs.

use super::*;

#[test]
fn the_oldest_transitory_flow_makes_room() {
    let mut home = Home::with_limits(&config(), Limits { flows: 8, flows_per_device: 8, ..Limits::SMALL });
    for port in 0..8 {
        home.inside_sends(&udp((ALICE, 5000 + port), (SERVER, 53))).went_to(0);
        home.wait(Duration::from_secs(1));
    }
    // Still in use, so it gets a second chance.
    home.inside_sends(&udp((ALICE, 5000), (SERVER, 53))).went_to(0);
    home.inside_sends(&udp((BOB, 9000), (SERVER, 53))).went_to(0);
    assert_eq!((home.flows(), home.plane.snapshot().flows.evicted), (8, 1));
    home.wan_sends(&udp((SERVER, 53), (WAN, 5001))).is_drop(DropReason::Unsolicited);
    home.wan_sends(&udp((SERVER, 53), (WAN, 5000))).went_to(1);
}

#[test]
fn established_flows_are_never_evicted() {
    let mut home = Home::with_limits(&config(), Limits { flows: 8, flows_per_device: 8, ..Limits::SMALL });
    let external: Vec<End> = (0..7).map(|port| home.connect((ALICE, 5000 + port), (SERVER, 80))).collect();
    for port in 0..1000 {
        home.inside_sends(&udp((BOB, 9000 + port), (SERVER, 53))).went_to(0);
    }
    for external in &external {
        home.wan_sends(&tcp((SERVER, 80), *external, ACK)).went_to(1);
    }
    assert_eq!(home.plane.snapshot().flows.evicted, 999);
    home.connect((BOB, 4000), (SERVER, 80));
    // Now nothing may go.
    let refused = home.inside_sends(&udp((BOB, 9000), (SERVER, 53)));
    assert_eq!((refused.verdict, refused.icmp().1), (Verdict::Hairpin, 13));
    assert_eq!(home.drops(DropReason::FlowTableFull), 1);
}

#[test]
fn a_device_at_its_limit_only_displaces_itself() {
    let mut home = Home::with_limits(&config(), Limits { flows_per_device: 10, ..Limits::SMALL });
    home.inside_sends(&udp((BOB, 9000), (SERVER, 53))).went_to(0);
    for port in 0..500 {
        home.inside_sends(&udp((ALICE, 5000 + port), (SERVER, 53))).went_to(0);
    }
    assert_eq!(home.flows(), 11);
    home.wan_sends(&udp((SERVER, 53), (WAN, 9000))).went_to(2);
    for port in 0..10 {
        home.connect((ALICE, 20_000 + port), (SERVER, 80));
    }
    let refused = home.inside_sends(&udp((ALICE, 7000), (SERVER, 53)));
    assert_eq!((refused.verdict, refused.icmp().1), (Verdict::Hairpin, 13));
    assert_eq!(home.drops(DropReason::DeviceFlowLimit), 1);
}

#[test]
fn answered_udp_goes_only_after_two_silent_minutes_rfc4787_req_5() {
    let mut home = Home::with_limits(&config(), Limits { flows: 4, flows_per_device: 4, ..Limits::SMALL });
    for port in 0..4 {
        home.inside_sends(&udp((ALICE, 5000 + port), (SERVER, 53))).went_to(0);
        home.wan_sends(&udp((SERVER, 53), (WAN, 5000 + port))).went_to(1);
    }
    assert_eq!(home.inside_sends(&udp((BOB, 9000), (SERVER, 53))).verdict, Verdict::Hairpin);
    home.now += Duration::from_secs(121);
    home.inside_sends(&udp((BOB, 9000), (SERVER, 53))).went_to(0);
}

#[test]
fn timers_are_short_under_pressure_and_never_below_the_rfc() {
    let mut home = Home::with_limits(&config(), Limits { flows: 16, flows_per_device: 16, ..Limits::SMALL });
    for port in 0..13 {
        home.inside_sends(&udp((ALICE, 5000 + port), (SERVER, 53))).went_to(0);
    }
    home.wait(Duration::from_secs(119));
    assert_eq!(home.flows(), 13);
    home.wait(Duration::from_secs(4));
    // Down to three quarters, then there is no pressure any more.
    assert_eq!(home.flows(), 12);
}

#[test]
fn timers_run_out_however_often_they_are_looked_at() {
    for step in [1, 10, 100, 700, 5_000] {
        let mut home = Home::new(&config());
        home.inside_sends(&udp((ALICE, 5000), (SERVER, 53)));
        let until = home.now + Duration::from_secs(303);
        while home.now < until {
            home.wait(Duration::from_millis(step));
            assert!(home.now.since(Instant::from_secs(10)) > Duration::from_secs(299) || home.flows() == 1);
        }
        assert_eq!(home.flows(), 0, "looked at every {step} ms");
    }
}

#[test]
fn many_flows_expire_within_bounded_calls() {
    let limits = Limits { flows: 4096, flows_per_device: 4096, ..Limits::SMALL };
    let mut home = Home::with_limits(&config(), limits);
    for port in 0..2000 {
        home.inside_sends(&udp((ALICE, 5000 + port), (SERVER, 53)));
    }
    home.now += Duration::from_secs(400);
    let Output::Wait(Some(until)) = home.plane.poll(home.now) else { panic!("it has work left") };
    assert!(until <= home.now + Duration::from_millis(1));
    assert!(home.flows() >= 2000 - 256);
    while home.flows() > 0 {
        home.wait(Duration::from_millis(1));
    }
    assert_eq!(home.mappings(), 0);
    // A day later nothing is left to do, and nothing is looked for.
    home.wait(Duration::from_secs(86_400));
}

#[test]
fn a_scan_of_200_000_packets_leaves_an_established_connection_and_dns_alone() {
    let limits = Limits { flows: 65_536, flows_per_device: 16_384, ..Limits::SMALL };
    let mut home = Home::with_limits(&config(), limits);
    let external = home.connect((BOB, 5000), (SERVER, 80));
    for number in 0..200_000_u32 {
        let to = Ipv4Addr::from_bits(0x0800_0000 + number / 100);
        let port = 1024 + (number % 60_000) as u16;
        home.plane_send_quietly(&udp((ALICE, port), (to, (number % 65_000) as u16 + 1)));
        if number % 20_000 == 0 {
            home.now += Duration::from_secs(1);
            home.wan_sends(&tcp((SERVER, 80), external, ACK)).went_to(2);
            home.inside_sends(&tcp((BOB, 5000), (SERVER, 80), ACK)).went_to(0);
            let query = home.router_sends(&udp((WAN, 50_000 + (number / 20_000) as u16), (OTHER, 53)));
            let answer = udp((OTHER, 53), query.went_to(0).source());
            assert_eq!(home.wan_sends(&answer).verdict, Verdict::Punt(Zone::Wan));
            let lookup = home.inside_sends(&udp((BOB, 6000 + (number / 20_000) as u16), (OTHER, 53)));
            home.wan_sends(&udp((OTHER, 53), lookup.went_to(0).source())).went_to(2);
        }
    }
    let snapshot = home.plane.snapshot();
    assert!(snapshot.flows.in_use <= 16_384 + 30, "{}", snapshot.flows.in_use);
    assert_eq!(snapshot.drops.total(), 0);
}

#[test]
fn a_batch_is_decided_like_its_packets_one_by_one() {
    let mut batched = Home::new(&config());
    let mut single = Home::new(&config());
    let packets: Vec<Vec<u8>> = (0..40_u16)
        .map(|number| {
            let packet = match number % 4 {
                0 => udp((ALICE, 5000 + number % 8), (SERVER, 53)),
                1 => tcp((ALICE, 5000 + number % 16), (SERVER, 80), SYN),
                2 => udp((ALICE, 5000), (VISITOR, 53)),
                _ => echo(ALICE, LAN, 8, number),
            };
            frame(mac(ALICE), router_mac(Zone::Lan), &packet)
        })
        .collect();
    let mut frames: Vec<_> = packets.iter().map(|bytes| batched.pool.copy_of(bytes).unwrap()).collect();
    let mut verdicts = std::vec![Verdict::Held; 40];
    assert_eq!(batched.plane.process_batch(batched.now, LAN_PORT, &mut frames, &mut verdicts), 40);
    for ((bytes, got), verdict) in packets.iter().zip(&frames).zip(&verdicts) {
        let sent = single.process(LAN_PORT, bytes);
        assert_eq!((sent.verdict, &sent.bytes[..]), (*verdict, got.bytes()));
    }
}

#[test]
fn frames_of_a_batch_that_must_wait_are_held_in_their_order() {
    let mut home = Home::without_neighbors(&config(), Limits::SMALL);
    let packet = |port| frame(mac(ALICE), router_mac(Zone::Lan), &udp((ALICE, port), (SERVER, 53)));
    let own = frame(mac(ALICE), router_mac(Zone::Lan), &udp((ALICE, 5000), (LAN, 53)));
    let frames = [packet(5001), own, packet(5002)];
    let mut frames: Vec<_> = frames.iter().map(|bytes| home.pool.copy_of(bytes).unwrap()).collect();
    let mut verdicts = [Verdict::Hairpin; 3];
    home.plane.process_batch(home.now, LAN_PORT, &mut frames, &mut verdicts);
    assert_eq!(verdicts, [Verdict::Held, Verdict::Punt(Zone::Lan), Verdict::Held]);
    for (frame, _) in frames.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Held) {
        home.plane.hold(home.now, frame);
    }
    home.plane
        .command(home.now, Command::PinNeighbor { zone: Zone::Wan, address: GATEWAY, mac: mac(GATEWAY) });
    let sent = home.poll_all().sent;
    let ports: Vec<u16> = sent
        .iter()
        .filter(|(_, bytes)| bytes[12..14] == [8, 0])
        .map(|(_, bytes)| check(bytes, &Offload::default()).source_port)
        .collect();
    assert_eq!(ports, [5001, 5002]);
}
