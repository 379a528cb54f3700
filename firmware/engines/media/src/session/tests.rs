//! Promises of two sessions that talk, in virtual time.

use core::net::{Ipv4Addr, SocketAddr};
use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::stream::{Direction, EventTypes, OpusParameters};

const ALICE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const BOB: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5000);

fn config(codec: Codec, remote: SocketAddr) -> StreamConfig {
    let number = codec.static_payload_type().unwrap_or(107);
    StreamConfig {
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() + 1)),
        rtcp_mux: false,
        direction: Direction::SendReceive,
        codec,
        send_payload_type: number,
        receive: [(number, codec)].into_iter().collect(),
        packet_time: 20,
        telephone_event: Some(EventTypes { send: 101, receive: 101, clock_rate: codec.clock_rate() }),
        comfort_noise: (codec != Codec::Opus).then_some(13),
        opus: OpusParameters { fec: true, ..OpusParameters::default() },
    }
}

/// Two sessions and the network between them.
struct Pair {
    now: Instant,
    sessions: [Box<Session>; 2],
    addresses: [SocketAddr; 2],
    wire: Vec<(Instant, usize, bool, Vec<u8>)>,
    random: Random,
    /// Share of packets lost.
    loss: f32,
    /// Most microseconds of jitter, evenly spread.
    jitter: u32,
    phase: [f32; 2],
    rate: u32,
    sent: usize,
}

impl Pair {
    fn new(codec: Codec, rate: u32, seed: u64) -> Self {
        let pool = CodecPool::new(rate, if codec == Codec::Opus { 2 } else { 0 });
        let setup = Setup { sample_rate: rate, timeout: Duration::from_secs(10) };
        let mut random = Random::new(Seed::from_number(seed));
        let mut session = |remote| {
            Box::new(Session::new(Instant::START, config(codec, remote), setup, &pool, random.derive_seed()))
        };
        let sessions = [session(BOB), session(ALICE)];
        Self {
            now: Instant::START,
            sessions,
            addresses: [ALICE, BOB],
            wire: Vec::new(),
            random,
            loss: 0.0,
            jitter: 0,
            phase: [0.0; 2],
            rate,
            sent: 0,
        }
    }

    /// Ten milliseconds: each says its sine, the network delivers, each hears.
    fn tick(&mut self, frequencies: [f32; 2]) -> [Vec<i16>; 2] {
        let length = self.rate as usize / 100;
        for (side, frequency) in frequencies.into_iter().enumerate() {
            let samples: Vec<i16> = (0..length)
                .map(|_| {
                    self.phase[side] = (self.phase[side] + frequency / self.rate as f32).fract();
                    (8000.0 * libm::sinf(self.phase[side] * core::f32::consts::TAU)) as i16
                })
                .collect();
            let mut out = [0; 1500];
            if let Some(length) = self.sessions[side].push_pcm(self.now, &samples, &mut out) {
                self.send(side, false, &out[..length]);
            }
            if let Some(length) = self.sessions[side].rtcp(self.now, &mut out) {
                self.send(side, true, &out[..length]);
            }
        }
        let heard = [0, 1].map(|side| {
            let now = self.now;
            let (due, rest): (Vec<_>, Vec<_>) =
                self.wire.drain(..).partition(|(at, to, _, _)| *at <= now && *to == side);
            self.wire = rest;
            for (_, _, report, bytes) in due {
                let from = self.addresses[1 - side];
                let _ = if report {
                    self.sessions[side].push_rtcp(now, SocketAddr::new(from.ip(), from.port() + 1), &bytes)
                } else {
                    self.sessions[side].push_rtp(now, from, &bytes)
                };
            }
            let mut out = std::vec![0; length];
            self.sessions[side].pull_pcm(now, &mut out);
            out
        });
        self.now += Duration::from_millis(10);
        heard
    }

    fn send(&mut self, side: usize, report: bool, bytes: &[u8]) {
        self.sent += 1;
        if (self.random.below(1_000_000) as f32) < self.loss * 1e6 {
            return;
        }
        let delay = Duration::from_micros(u64::from(self.random.below(self.jitter + 1)));
        self.wire.push((self.now + delay, 1 - side, report, bytes.to_vec()));
        self.wire.sort_by_key(|(at, ..)| *at);
    }

    fn run(&mut self, ticks: usize, frequencies: [f32; 2]) -> [Vec<i16>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        for _ in 0..ticks {
            let heard = self.tick(frequencies);
            for (all, heard) in all.iter_mut().zip(heard) {
                all.extend(heard);
            }
        }
        all
    }
}

/// The share of the power that is a sine of this frequency.
fn purity(sound: &[i16], frequency: f32, rate: u32) -> f32 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 1.0);
    for (at, sample) in sound.iter().enumerate() {
        let angle = core::f32::consts::TAU * frequency * at as f32 / rate as f32;
        let value = f32::from(*sample);
        re += value * libm::cosf(angle);
        im += value * libm::sinf(angle);
        all += value * value;
    }
    2.0 * (re * re + im * im) / sound.len() as f32 / all
}

#[test]
fn each_hears_the_other_with_every_codec_on_every_line() {
    for rate in [8000, 16_000] {
        for codec in Codec::ALL {
            let mut pair = Pair::new(codec, rate, 1);
            pair.run(50, [440.0, 1000.0]);
            let [alice, bob] = pair.run(40, [440.0, 1000.0]);
            for (sound, frequency) in [(bob, 440.0), (alice, 1000.0)] {
                let share = purity(&sound, frequency, rate);
                assert!(share > 0.98, "{codec:?} at {rate}: {share}");
            }
            assert_eq!(pair.sessions[0].drops().total(), 0, "{codec:?}");
        }
    }
}

#[test]
fn a_narrow_line_takes_a_call_that_began_on_a_wide_one_and_gives_it_back() {
    for codec in Codec::ALL {
        // The pool's Opus stays at 16 kHz all along.
        let mut pair = Pair::new(codec, 16_000, 1);
        for rate in [8_000, 16_000] {
            pair.rate = rate;
            for session in &mut pair.sessions {
                session.set_line_rate(rate);
            }
            pair.run(50, [440.0, 1000.0]);
            let [alice, bob] = pair.run(40, [440.0, 1000.0]);
            for (sound, frequency) in [(bob, 440.0), (alice, 1000.0)] {
                let share = purity(&sound, frequency, rate);
                assert!(share > 0.98, "{codec:?} at {rate}: {share}");
            }
            assert_eq!(pair.sessions[0].drops().total(), 0, "{codec:?}");
        }
    }
}

/// How many samples two recordings of sound are apart at most in loudness: 0 is silence all along.
fn loud(sound: &[i16]) -> f32 {
    crate::pitch::power(sound)
}

#[test]
fn a_quiet_network_costs_no_more_than_25_ms() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 2);
    pair.run(400, [300.0, 300.0]);
    let quality = pair.sessions[1].quality(pair.now).unwrap();
    assert!(quality.delay <= 18, "{quality:?}");
    assert_eq!((quality.lost, quality.concealed), (0, 0));
    assert!(quality.opinion >= 430);
}

#[test]
fn jitter_is_absorbed_without_concealment_and_the_delay_returns_when_it_ends() {
    for jitter in [10_000, 30_000, 60_000] {
        let mut pair = Pair::new(Codec::Pcma, 8000, u64::from(jitter));
        pair.jitter = jitter;
        pair.run(1000, [300.0, 500.0]);
        let before = pair.sessions[1].receiver.concealed;
        pair.run(2000, [300.0, 500.0]);
        let concealed = pair.sessions[1].receiver.concealed - before;
        assert!(concealed <= 1200, "jitter {jitter}: {concealed} ms of 20 s");
        let delay = pair.sessions[1].quality(pair.now).unwrap().delay;
        assert!(u32::from(delay) <= jitter / 1000 + 35, "jitter {jitter}: {delay}");
        pair.jitter = 0;
        pair.run(1500, [300.0, 500.0]);
        let delay = pair.sessions[1].quality(pair.now).unwrap().delay;
        assert!(delay <= 22, "after jitter {jitter}: {delay}");
    }
}

#[test]
fn nothing_bends_the_sound_of_a_modem() {
    for data in [false, true] {
        let mut pair = Pair::new(Codec::Pcma, 8000, 77);
        pair.jitter = 40_000;
        pair.run(1000, [300.0, 500.0]);
        pair.jitter = 0;
        pair.sessions[1].set_data(data);
        let delay = |pair: &Pair| pair.sessions[1].quality(pair.now).unwrap().delay;
        pair.run(20, [300.0, 500.0]);
        let before = delay(&pair);
        pair.run(1500, [300.0, 500.0]);
        // Not a sample is left out or put in, whatever delay the jitter left behind.
        assert!(before > 25, "{before}");
        assert_eq!(delay(&pair) == before, data, "data {data}: {before} ms, then {} ms", delay(&pair));
    }
}

#[test]
fn hours_with_clocks_apart_by_200_ppm_never_creep() {
    for ppm in [-200i64, 200] {
        let mut session = Session::new(
            Instant::START,
            config(Codec::Pcmu, ALICE),
            Setup { sample_rate: 8000, timeout: Duration::from_secs(10) },
            &CodecPool::new(8000, 0),
            Seed::from_number(3),
        );
        let mut sender = Session::new(
            Instant::START,
            config(Codec::Pcmu, BOB),
            Setup { sample_rate: 8000, timeout: Duration::from_secs(10) },
            &CodecPool::new(8000, 0),
            Seed::from_number(4),
        );
        let mut sent: u64 = 0;
        let mut out = [0; 1500];
        let mut heard = [0; 80];
        // Two hours.
        for tick in 0..720_000u64 {
            let now = Instant::from_millis(tick * 10);
            // Their ten milliseconds are a little longer or shorter.
            while (sent * 10_000) as i64 * (1_000_000 + ppm) / 1_000_000 <= (tick * 10_000) as i64 {
                let samples: [i16; 80] =
                    core::array::from_fn(|at| (6000.0 * libm::sinf((at as f32) * 0.2356)) as i16);
                if let Some(length) = sender.push_pcm(now, &samples, &mut out) {
                    session.push_rtp(now, ALICE, &out[..length]).unwrap();
                }
                sent += 1;
            }
            session.pull_pcm(now, &mut heard);
            if tick > 1000 && tick % 1000 == 0 {
                let quality = session.quality(now).unwrap();
                assert!(quality.delay <= 40, "{ppm} ppm after {tick}: {quality:?}");
            }
        }
        let quality = session.quality(Instant::from_secs(7200)).unwrap();
        assert!(quality.concealed <= 20, "{ppm} ppm: {quality:?}");
    }
}

#[test]
fn loss_is_reported_both_ways_and_the_round_trip_is_measured() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 5);
    pair.loss = 0.1;
    pair.run(6000, [300.0, 300.0]);
    let quality = pair.sessions[0].quality(pair.now).unwrap();
    assert!(quality.lost > 200 && quality.lost < 400, "{quality:?}");
    assert!(quality.lost_by_peer.is_some_and(|percent| (3..20).contains(&percent)), "{quality:?}");
    assert!(quality.round_trip.is_some(), "{quality:?}");
    assert!(quality.opinion < 400);
}

#[test]
fn keys_are_heard_once_whatever_gets_lost_and_sound_is_replaced_not_delayed() {
    for seed in 0..20 {
        let mut pair = Pair::new(Codec::Pcmu, 8000, 100 + seed);
        pair.loss = 0.2;
        pair.jitter = 30_000;
        pair.run(100, [300.0, 300.0]);
        let before = pair.sessions[1].quality(pair.now).unwrap().delay;
        let digits = "5551234567890*#";
        for key in digits.chars() {
            assert!(pair.sessions[0].send_key(Key::from_char(key).unwrap(), Duration::from_millis(100)));
        }
        pair.run(500, [300.0, 300.0]);
        let mut heard = std::string::String::new();
        while let Some(event) = pair.sessions[1].poll_event() {
            if let Event::Key(key) = event {
                heard.push(key.as_char());
            }
        }
        assert_eq!(heard, digits, "seed {seed}");
        let after = pair.sessions[1].quality(pair.now).unwrap().delay;
        assert!(after <= before + 40, "seed {seed}: {before} {after}");
        assert!(pair.sessions[0].sender.events.is_idle());
    }
}

#[test]
fn a_key_sounds_at_the_other_end_as_long_as_it_was_pressed() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut pair = Pair::new(codec, 8000, 6);
        pair.run(50, [300.0, 300.0]);
        pair.sessions[0].send_key(Key::from_char('5').unwrap(), Duration::from_millis(200));
        let [_, bob] = pair.run(60, [300.0, 300.0]);
        let frames: Vec<f32> =
            bob.as_chunks::<80>().0.iter().map(|frame| purity(frame, 1336.0, 8000)).collect();
        let toned = frames.iter().filter(|share| **share > 0.2).count();
        assert!((19..=22).contains(&toned), "{codec:?}: {toned} frames of 10 ms");
        // Then the sound is there again.
        assert!(purity(&bob[4000..], 300.0, 8000) > 0.9);
    }
}

#[test]
fn a_long_key_of_ten_seconds_is_one_key_rfc_4733_2_5_1_3() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut pair = Pair::new(codec, 8000, 7);
        pair.run(50, [0.0, 0.0]);
        pair.sessions[0].send_key(Key::STAR, Duration::from_secs(10));
        let [_, bob] = pair.run(1200, [0.0, 0.0]);
        let keys = core::iter::from_fn(|| pair.sessions[1].poll_event()).count();
        assert_eq!(keys, 1, "{codec:?}");
        let sounding = bob.as_chunks::<80>().0.iter().filter(|frame| loud(&frame[..]) > 1e5).count();
        assert!((990..=1010).contains(&sounding), "{codec:?}: {sounding}");
    }
}

#[test]
fn silence_saves_packets_and_speech_comes_back_whole_rfc_3389() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 8);
    pair.run(100, [300.0, 0.0]);
    let before = pair.sent;
    pair.sessions[0].set_silence(Some(RoomNoise::white(60)));
    pair.sessions[1].set_silence(Some(RoomNoise::white(60)));
    let [_, bob] = pair.run(500, [0.0, 0.0]);
    assert!(pair.sent - before < 70, "{}", pair.sent - before);
    let noise = loud(&bob[8000..]);
    assert!((50.0..5000.0).contains(&noise), "background at −60 dBov, {noise}");
    pair.sessions[0].set_silence(None);
    let [_, bob] = pair.run(100, [300.0, 0.0]);
    assert!(purity(&bob[1600..], 300.0, 8000) > 0.98);
    let quality = pair.sessions[1].quality(pair.now).unwrap();
    assert_eq!(quality.concealed, 0, "{quality:?}");
    assert!(quality.delay <= 30, "{quality:?}");
}

#[test]
fn hold_and_resume_leave_no_old_sound() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 9);
    pair.jitter = 40_000;
    pair.run(200, [300.0, 300.0]);
    let held = StreamConfig { direction: Direction::SendOnly, ..config(Codec::Pcmu, BOB) };
    let holding = StreamConfig { direction: Direction::ReceiveOnly, ..config(Codec::Pcmu, ALICE) };
    pair.sessions[0].reconfigure(pair.now, held);
    pair.sessions[1].reconfigure(pair.now, holding);
    let [alice, bob] = pair.run(300, [300.0, 300.0]);
    assert_eq!(loud(&alice), 0.0, "who holds hears nothing");
    assert!(loud(&bob[8000..]) > 1e6, "who is held hears music");
    pair.sessions[0].reconfigure(pair.now, config(Codec::Pcmu, BOB));
    pair.sessions[1].reconfigure(pair.now, config(Codec::Pcmu, ALICE));
    let [alice, _] = pair.run(300, [300.0, 700.0]);
    assert!(purity(&alice[4000..8000], 700.0, 8000) > 0.9, "{}", purity(&alice[4000..8000], 700.0, 8000));
    assert!(pair.sessions[0].quality(pair.now).unwrap().delay < 90);
}

#[test]
fn codecs_change_in_the_middle_of_a_call() {
    let pool = CodecPool::new(8000, 2);
    let mut pair = Pair::new(Codec::Pcmu, 8000, 10);
    for side in 0..2 {
        let remote = pair.addresses[1 - side];
        let mut start = config(Codec::Pcmu, remote);
        for codec in [Codec::Opus, Codec::G722, Codec::Pcma] {
            let _ = start.receive.push((codec.static_payload_type().unwrap_or(107), codec));
        }
        let setup = Setup { sample_rate: 8000, timeout: Duration::from_secs(10) };
        *pair.sessions[side] =
            Session::new(pair.now, start, setup, &pool, Seed::from_number(side as u64 + 50));
    }
    for codec in [Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma, Codec::Opus] {
        for side in 0..2 {
            let mut next = pair.sessions[side].config().unwrap().clone();
            next.codec = codec;
            next.send_payload_type = codec.static_payload_type().unwrap_or(107);
            next.telephone_event = None;
            pair.sessions[side].reconfigure(pair.now, next);
        }
        pair.run(400, [440.0, 440.0]);
        let [alice, bob] = pair.run(40, [440.0, 440.0]);
        let shares = [purity(&alice, 440.0, 8000), purity(&bob, 440.0, 8000)];
        assert!(shares.iter().all(|share| *share > 0.97), "{codec:?} {shares:?}");
    }
    drop(pair);
    assert_eq!(pool.available(), 2, "what was lent came back");
}

#[test]
fn another_source_and_a_jump_of_numbers_are_followed_within_a_tenth_of_a_second() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 11);
    pair.run(200, [300.0, 300.0]);
    let remote = pair.addresses[1];
    let setup = Setup { sample_rate: 8000, timeout: Duration::from_secs(10) };
    let fresh = config(Codec::Pcmu, remote);
    pair.sessions[0].start(pair.now, fresh, setup, Seed::from_number(77));
    let [_, bob] = pair.run(100, [500.0, 300.0]);
    assert!(purity(&bob[1600..], 500.0, 8000) > 0.95, "{}", purity(&bob[1600..], 500.0, 8000));
    assert!(pair.sessions[1].quality(pair.now).unwrap().delay < 40);
}

#[test]
fn strangers_cannot_cut_in_but_a_peer_behind_nat_is_found() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 12);
    let stranger = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5)), 999);
    let mut out = [0; 200];
    let packet = |sequence: u16, out: &mut [u8]| {
        rtp::Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 1,
        }
        .write(out)
        .unwrap()
    };
    pair.run(100, [300.0, 300.0]);
    for sequence in 0..50 {
        packet(sequence, &mut out);
        assert_eq!(pair.sessions[1].push_rtp(pair.now, stranger, &out[..172]), Err(Dropped::Stray));
        pair.run(2, [300.0, 300.0]);
    }
    assert_eq!(pair.sessions[1].destination(), Some(ALICE));
    // The believed address falls silent: now the stranger may prove itself (a NAT that changed its mind).
    for sequence in 50..200 {
        packet(sequence, &mut out);
        let _ = pair.sessions[1].push_rtp(pair.now, stranger, &out[..172]);
        pair.now += Duration::from_millis(20);
    }
    assert_eq!(pair.sessions[1].destination(), Some(stranger));
    assert_eq!(pair.sessions[1].poll_event(), Some(Event::Moved(stranger)));
}

#[test]
fn a_dead_peer_is_told_once_and_its_return_too() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 13);
    pair.loss = 1.0;
    pair.run(2500, [300.0, 300.0]);
    assert_eq!(pair.sessions[0].poll_event(), Some(Event::Silent));
    assert_eq!(pair.sessions[0].poll_event(), None);
    pair.loss = 0.0;
    pair.run(10, [300.0, 300.0]);
    assert_eq!(pair.sessions[0].poll_event(), Some(Event::Resumed));
}

#[test]
fn a_peer_that_holds_us_in_silence_is_not_taken_for_dead() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 19);
    pair.run(100, [300.0, 300.0]);
    let held = StreamConfig { direction: Direction::ReceiveOnly, ..config(Codec::Pcmu, BOB) };
    pair.sessions[0].reconfigure(pair.now, held);
    pair.loss = 1.0;
    pair.run(2500, [300.0, 300.0]);
    assert_eq!(pair.sessions[0].poll_event(), None);
}

#[test]
fn goodbye_is_heard_and_our_own_packets_are_known() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 14);
    pair.run(20, [300.0, 300.0]);
    let mut out = [0; 1500];
    let length = pair.sessions[0].bye(pair.now, &mut out).unwrap();
    pair.sessions[1].push_rtcp(pair.now, ALICE, &out[..length]).unwrap();
    assert_eq!(pair.sessions[1].poll_event(), Some(Event::Bye));
    assert_eq!(pair.sessions[0].push_rtcp(pair.now, BOB, &out[..length]), Err(Dropped::Loop));
    pair.sessions[1].stop();
    assert_eq!(pair.sessions[1].push_rtcp(pair.now, ALICE, &out[..length]), Err(Dropped::Idle));
}

#[test]
fn packets_of_10_to_60_ms_are_understood_and_made() {
    for codec in [Codec::Pcmu, Codec::G722] {
        for packet_time in [10, 20, 30, 40, 60] {
            let mut pair = Pair::new(codec, 8000, 15);
            for side in 0..2 {
                let next = StreamConfig { packet_time, ..config(codec, pair.addresses[1 - side]) };
                pair.sessions[side].reconfigure(pair.now, next);
            }
            pair.run(600, [440.0, 440.0]);
            let before = pair.sent;
            let [alice, _] = pair.run(120, [440.0, 440.0]);
            let share = purity(&alice, 440.0, 8000);
            assert!(
                share > 0.97,
                "{codec:?} {packet_time}: {share} {:?}",
                pair.sessions[0].quality(pair.now)
            );
            let packets = (pair.sent - before) / 2;
            assert!(
                packets.abs_diff(1200 / usize::from(packet_time)) <= 1,
                "{codec:?} {packet_time}: {packets}"
            );
        }
    }
}

#[test]
fn duplicates_and_swapped_packets_are_put_in_order() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 16);
    let mut out = [0; 1500];
    let mut held: Option<Vec<u8>> = None;
    let mut heard = Vec::new();
    for tick in 0..1000u64 {
        let now = Instant::from_millis(tick * 10);
        let samples: [i16; 80] = core::array::from_fn(|at| {
            (8000.0 * libm::sinf(core::f32::consts::TAU * 0.05 * ((tick as usize * 80 + at) % 20) as f32))
                as i16
        });
        if let Some(length) = pair.sessions[0].push_pcm(now, &samples, &mut out) {
            let packet = out[..length].to_vec();
            // Every tenth changes places with the next; every one comes twice.
            if tick % 20 == 1 {
                held = Some(packet);
            } else {
                for packet in [Some(packet), held.take()].into_iter().flatten() {
                    let _ = pair.sessions[1].push_rtp(now, ALICE, &packet);
                    assert_eq!(pair.sessions[1].push_rtp(now, ALICE, &packet), Err(Dropped::Duplicate));
                }
            }
        }
        let mut frame = [0; 80];
        pair.sessions[1].pull_pcm(now, &mut frame);
        heard.extend(frame);
    }
    let share = purity(&heard[72_000..], 400.0, 8000);
    assert!(share > 0.97, "{share} {:?}", pair.sessions[1].quality(Instant::from_secs(10)));
    assert_eq!(pair.sessions[1].quality(Instant::from_secs(10)).unwrap().lost, 0);
}

#[test]
fn a_stall_of_half_a_second_is_over_within_seconds() {
    let mut pair = Pair::new(Codec::Pcmu, 8000, 17);
    pair.run(500, [300.0, 300.0]);
    // The network holds everything back, then delivers it at once.
    let until = pair.now + Duration::from_millis(500);
    for _ in 0..50 {
        pair.tick([300.0, 300.0]);
        for (at, ..) in &mut pair.wire {
            *at = until;
        }
    }
    pair.run(300, [300.0, 300.0]);
    let quality = pair.sessions[1].quality(pair.now).unwrap();
    assert!(quality.delay <= 60, "{quality:?}");
    let [_, bob] = pair.run(50, [300.0, 300.0]);
    assert!(purity(&bob, 300.0, 8000) > 0.9);
}

#[test]
fn a_sender_that_pauses_without_saying_so_is_played_on_time_again() {
    // No comfort noise: mute on some phones. The clock goes on, the numbers do not.
    let mut pair = Pair::new(Codec::Pcmu, 8000, 18);
    pair.run(300, [300.0, 300.0]);
    for pause in [7, 30, 300] {
        let mut out = [0; 1500];
        for _ in 0..pause * 2 {
            let mut heard = [0; 80];
            pair.sessions[1].pull_pcm(pair.now, &mut heard);
            pair.sessions[0].sender.skip(&config(Codec::Pcmu, BOB));
            let _ = pair.sessions[1].push_pcm(pair.now, &[0; 80], &mut out);
            pair.now += Duration::from_millis(10);
        }
        pair.run(200, [300.0, 300.0]);
        let quality = pair.sessions[1].quality(pair.now).unwrap();
        assert!(quality.delay <= 40 && quality.lost == 0, "{pause}: {quality:?}");
    }
}
