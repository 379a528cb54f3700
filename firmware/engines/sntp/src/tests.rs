//! Behaviours of the SNTP client, on virtual time.

extern crate std;

use core::net::{Ipv4Addr, SocketAddrV4};
use std::vec;
use std::vec::Vec;

use dialtone_base::event::Event;
use dialtone_base::time::UnixTime;
use dialtone_base::{Duration, Instant, Random, Seed};

use crate::*;

const FIRST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), PORT);
const SECOND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), PORT);
/// 2026-01-01.
const NEW_YEAR: u64 = 1_767_225_600;

struct Home {
    client: SntpClient,
    now: Instant,
    asked: Vec<(Instant, SocketAddrV4, [u8; PACKET])>,
    fixes: Vec<Fix>,
    events: Vec<Event>,
    wait: Option<Instant>,
}

impl Home {
    fn new(servers: &[SocketAddrV4]) -> Self {
        let client = SntpClient::new(UnixTime(NEW_YEAR), Seed::from_number(5));
        let now = Instant::from_secs(10);
        let mut home = Self { client, now, asked: vec![], fixes: vec![], events: vec![], wait: None };
        home.input(Input::Servers(servers)).unwrap();
        home
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.client.handle(self.now, input);
        self.drain();
        result
    }

    fn drain(&mut self) {
        let mut out = [0; PACKET];
        for _ in 0..100 {
            match self.client.poll(self.now, &mut out) {
                Output::Ask { server, .. } => self.asked.push((self.now, server, out)),
                Output::Clock(fix) => self.fixes.push(fix),
                Output::Event(event) => self.events.push(event),
                Output::Wait(wait) => {
                    self.wait = wait;
                    return;
                }
            }
        }
        panic!("the client never waits");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wait.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.drain();
        }
        self.now = end;
        self.drain();
    }

    /// Answers the newest question: 40 ms there, 10 ms at the server, 40 ms back. `change` may spoil it.
    fn answer(&mut self, unix: f64, change: impl Fn(&mut [u8; PACKET])) -> Result<(), Rejected> {
        let (_, server, question) = *self.asked.last().unwrap();
        self.pass(Duration::from_millis(90));
        let mut bytes = sound_answer(&question, unix);
        change(&mut bytes);
        self.input(Input::Answer { from: server, bytes: &bytes })
    }
}

fn timestamp(unix: f64) -> [u8; 8] {
    (((unix + 2_208_988_800.0) * 4_294_967_296.0) as u128 as u64).to_be_bytes()
}

/// As a server whose clock says `unix` when the answer leaves.
fn sound_answer(question: &[u8; PACKET], unix: f64) -> [u8; PACKET] {
    let mut bytes = [0; PACKET];
    bytes[0] = 4 << 3 | 4;
    bytes[1] = 2;
    bytes[24..32].copy_from_slice(&question[40..48]);
    bytes[32..40].copy_from_slice(&timestamp(unix - 0.010));
    bytes[40..48].copy_from_slice(&timestamp(unix));
    bytes
}

#[test]
fn the_first_sound_answer_sets_the_clock_half_a_round_trip_on() {
    let mut home = Home::new(&[FIRST, SECOND]);
    let (_, server, question) = home.asked[0];
    assert_eq!((server, question[0]), (FIRST, 0x23), "version 4, client (RFC 4330 section 5)");
    assert_ne!(question[40..48], [0; 8], "a random originate-to-be");
    home.answer(NEW_YEAR as f64 + 1000.0, |_| {}).unwrap();
    let fix = home.fixes[0];
    assert!(fix.unix_micros.abs_diff((NEW_YEAR + 1000) * 1_000_000 + 40_000) < 10, "{fix:?}");
    assert!(fix.round_trip.as_micros().abs_diff(80_000) < 10);
    assert_eq!(home.events, [Event::TimeSet { unix: NEW_YEAR + 1000 }]);
}

#[test]
fn times_after_2036_are_read_in_the_next_era_rfc4330_3() {
    for unix in [2_085_978_495.5, 2_085_978_497.5, 4_200_000_000.5] {
        let mut home = Home::new(&[FIRST]);
        home.answer(unix, |_| {}).unwrap();
        assert_eq!(home.fixes[0].unix().0, unix as u64);
    }
    // The server's two stamps may lie on both sides of the era's end.
    let mut home = Home::new(&[FIRST]);
    home.answer(2_085_978_496.005, |_| {}).unwrap();
    assert_eq!(home.fixes.len(), 1);
}

#[test]
fn unsound_answers_are_refused_and_the_next_server_is_asked() {
    type Change = fn(&mut [u8; PACKET]);
    let cases: [(&str, Change, Rejected); 9] = [
        ("client mode", |bytes| bytes[0] = 0x23, Rejected::WrongMode),
        ("broadcast mode", |bytes| bytes[0] = 0x25, Rejected::WrongMode),
        ("version 2", |bytes| bytes[0] = 0x14, Rejected::WrongMode),
        ("leap 3", |bytes| bytes[0] |= 0xc0, Rejected::Unsynchronised),
        ("stratum 16", |bytes| bytes[1] = 16, Rejected::Unsynchronised),
        ("root dispersion 100 s", |bytes| bytes[9] = 100, Rejected::Unsynchronised),
        ("no transmit time", |bytes| bytes[40..48].fill(0), Rejected::Unsynchronised),
        ("received after sending", |bytes| bytes[32] ^= 1, Rejected::Implausible),
        ("unknown kiss", |bytes| bytes[1] = 0, Rejected::Unsynchronised),
    ];
    for (what, change, reason) in cases {
        let mut home = Home::new(&[FIRST, SECOND]);
        assert_eq!(home.answer(NEW_YEAR as f64 + 5.0, change), Err(reason), "{what}");
        assert_eq!(home.asked.last().unwrap().1, SECOND, "{what}");
        assert_eq!(home.client.snapshot().rejected.of(reason), 1, "{what}");
        home.answer(NEW_YEAR as f64 + 5.0, |_| {}).unwrap();
    }
    let mut home = Home::new(&[FIRST]);
    assert_eq!(home.answer(NEW_YEAR as f64 - 5.0, |_| {}), Err(Rejected::Implausible), "before the firmware");
}

#[test]
fn noise_from_elsewhere_does_not_disturb_the_question_under_way() {
    let mut home = Home::new(&[FIRST, SECOND]);
    let question = home.asked[0].2;
    let good = sound_answer(&question, NEW_YEAR as f64 + 9.0);
    let mut forged = good;
    forged[24] ^= 1;
    let elsewhere = SocketAddrV4::new(*FIRST.ip(), 124);
    assert_eq!(home.input(Input::Answer { from: elsewhere, bytes: &good }), Err(Rejected::WrongServer));
    assert_eq!(home.input(Input::Answer { from: FIRST, bytes: &forged }), Err(Rejected::WrongOriginate));
    assert_eq!(home.input(Input::Answer { from: FIRST, bytes: &good[..47] }), Err(Rejected::WrongOriginate));
    assert_eq!(home.asked.len(), 1);
    home.pass(Duration::from_millis(50));
    home.input(Input::Answer { from: FIRST, bytes: &good }).unwrap();
    assert_eq!(home.input(Input::Answer { from: FIRST, bytes: &good }), Err(Rejected::NotAsked), "a replay");
}

#[test]
fn silence_moves_on_to_the_next_server_then_pauses_longer_and_longer() {
    let mut home = Home::new(&[FIRST, SECOND]);
    home.pass(Duration::from_secs(3600));
    assert_eq!((home.asked[0].1, home.asked[1].1), (FIRST, SECOND));
    assert_eq!(home.asked[1].0.since(home.asked[0].0), Duration::from_secs(2));
    let rounds: Vec<u64> = home.asked.chunks(2).map(|round| round[0].0.as_secs()).collect();
    assert!(rounds.windows(3).all(|at| at[2] - at[1] >= at[1] - at[0] || at[2] - at[1] > 1000), "{rounds:?}");
    assert!((8..=11).contains(&rounds.len()), "{rounds:?}");
}

#[test]
fn a_clock_that_keeps_time_is_asked_about_less_and_less() {
    let mut home = Home::new(&[FIRST]);
    let start = home.now;
    let mut pauses = vec![];
    for _ in 0..12 {
        let unix = NEW_YEAR as f64 + home.now.since(start).as_micros() as f64 / 1e6 + 1000.0 + 0.05;
        home.answer(unix, |_| {}).unwrap();
        let asked = home.asked.len();
        let before = home.now;
        while home.asked.len() == asked {
            home.pass(Duration::from_secs(1));
        }
        pauses.push(home.now.since(before).as_secs());
    }
    assert_eq!(pauses[..7], [64, 128, 256, 512, 1024, 2048, 4096]);
    assert_eq!(pauses[11], 4096);
    assert_eq!(home.events.len(), 1, "set once, then only kept: {:?}", home.fixes);
    assert!(home.fixes.iter().all(|fix| fix.offset_micros.abs() < 100_000));
}

#[test]
fn a_kiss_of_death_is_obeyed() {
    for code in [b"DENY", b"RSTR"] {
        let mut home = Home::new(&[FIRST, SECOND]);
        let kiss = |bytes: &mut [u8; PACKET]| {
            bytes[1] = 0;
            bytes[12..16].copy_from_slice(code);
        };
        assert_eq!(home.answer(NEW_YEAR as f64 + 5.0, kiss), Err(Rejected::KissDeny));
        home.pass(Duration::from_secs(100_000));
        assert!(home.asked[1..].iter().all(|asked| asked.1 == SECOND));
        assert!(home.asked.len() > 50);
    }
    // All deny: silence until other servers are named.
    let mut home = Home::new(&[FIRST]);
    let kiss = |bytes: &mut [u8; PACKET]| {
        bytes[1] = 0;
        bytes[12..16].copy_from_slice(b"DENY");
    };
    assert_eq!(home.answer(NEW_YEAR as f64 + 5.0, kiss), Err(Rejected::KissDeny));
    home.pass(Duration::from_secs(100_000));
    assert_eq!((home.asked.len(), home.wait), (1, None));
    home.input(Input::Servers(&[SECOND])).unwrap();
    assert_eq!(home.asked.len(), 2);
}

#[test]
fn a_rate_kiss_makes_the_pause_longer() {
    let mut home = Home::new(&[FIRST]);
    let kiss = |bytes: &mut [u8; PACKET]| {
        bytes[1] = 0;
        bytes[12..16].copy_from_slice(b"RATE");
    };
    assert_eq!(home.answer(NEW_YEAR as f64 + 5.0, kiss), Err(Rejected::KissRate));
    home.pass(Duration::from_secs(127));
    assert_eq!(home.asked.len(), 1);
    home.pass(Duration::from_secs(2));
    assert_eq!(home.asked.len(), 2);
}

#[test]
fn a_great_jump_wants_a_second_opinion_and_a_small_step_does_not() {
    let mut home = Home::new(&[FIRST, SECOND]);
    let base = NEW_YEAR as f64 + 1000.0;
    home.answer(base, |_| {}).unwrap();
    home.pass(Duration::from_secs(64));
    home.answer(base + 64.0 + 5.0, |_| {}).unwrap();
    assert_eq!(home.events.len(), 2, "five seconds: a step");
    home.pass(Duration::from_secs(64));
    let far = base + 1_000_000.0;
    assert_eq!(home.answer(far, |_| {}), Err(Rejected::Unconfirmed));
    assert_eq!(home.fixes.len(), 2);
    // The other server disagrees with the jump: the clock stays.
    home.answer(base + 134.0, |_| {}).unwrap();
    assert!(home.fixes[2].offset_micros.abs() < 2_000_000);
    home.pass(Duration::from_secs(128));
    assert_eq!(home.answer(far, |_| {}), Err(Rejected::Unconfirmed));
    home.answer(far, |_| {}).unwrap();
    assert_eq!(home.fixes[3].unix().0, far as u64, "both say so");
}

#[test]
fn without_servers_nothing_is_asked_and_with_too_many_the_first_count() {
    let mut home = Home::new(&[FIRST]);
    home.input(Input::Servers(&[])).unwrap();
    home.pass(Duration::from_secs(1000));
    assert_eq!(home.asked.len(), 1);
    assert_eq!(home.input(Input::Failed), Err(Rejected::NotAsked));
    assert_eq!(home.input(Input::Servers(&[FIRST; 5])), Err(Rejected::TooMany));
    assert_eq!(home.asked.len(), 2);
    assert_eq!(home.input(Input::Failed), Err(Rejected::NotSent));
    assert_eq!(home.asked.len(), 3, "the next one at once");
}

#[test]
fn the_fuzz_body_holds_on_random_bytes() {
    let mut random = Random::new(Seed::from_number(3));
    let mut data = vec![0; 480];
    for round in 0..20_000u32 {
        let length = random.below(data.len() as u32) as usize;
        random.fill(&mut data[..length]);
        if round % 2 == 0 {
            for packet in data.chunks_mut(PACKET) {
                packet[0] = 0x24;
                packet[1] %= 17;
            }
        }
        let bytes = &data[..length];
        if std::panic::catch_unwind(|| crate::fuzz::fuzz(bytes)).is_err() {
            panic!("round {round}: {bytes:?}");
        }
    }
}
