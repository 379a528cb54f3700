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
                    self.phase[side] += frequency / self.rate as f32;
                    (8000.0 * libm::sinf(self.phase[side].fract() * core::f32::consts::TAU)) as i16
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
