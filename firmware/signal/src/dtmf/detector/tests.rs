//! The detector against ITU-T Q.24's figures, at both rates and at every phase of its looks.

extern crate std;
use std::vec::Vec;

use dialtone_base::telephony::Key;
use dialtone_base::{Random, Seed};

use super::{Detector, Event};
use crate::dtmf::{Generator, frequencies};
use crate::{DualTone, Oscillator, Rate, level};

/// A signal on top of what else is heard.
struct Sounds {
    rate: Rate,
    samples: Vec<f32>,
}

impl Sounds {
    fn new(rate: Rate) -> Self {
        Self { rate, samples: Vec::new() }
    }

    fn silence(mut self, tenths: u32) -> Self {
        let length = self.samples.len() + (tenths * self.rate.per_milli() / 10) as usize;
        self.samples.resize(length, 0.0);
        self
    }

    /// Two sines with sharp edges for tenths of a millisecond.
    fn tones(mut self, row: (f32, f32), column: (f32, f32), tenths: u32) -> Self {
        let mut tone = DualTone::new(row, column, self.rate);
        self.samples.extend((0..tenths * self.rate.per_milli() / 10).map(|_| tone.sample()));
        self
    }

    fn key(self, key: Key, dbm0: f32, millis: u32) -> Self {
        let (row, column) = frequencies(key);
        self.tones((row, dbm0), (column, dbm0), millis * 10)
    }

    fn with(mut self, mut add: impl FnMut() -> f32) -> Self {
        for sample in &mut self.samples {
            *sample += add();
        }
        self
    }

    /// White noise of this level.
    fn noise(self, dbm0: f32, seed: u64) -> Self {
        let mut random = Random::new(Seed::from_number(seed));
        let amplitude = level::amplitude(dbm0) / core::f32::consts::SQRT_2;
        self.with(|| {
            let sum: f32 = (0..12).map(|_| random.below(1 << 16) as f32 / 65_536.0).sum();
            (sum - 6.0) * amplitude
        })
    }

    fn heard(&self) -> Vec<Event> {
        let mut detector = Detector::new(self.rate);
        let mut events = Vec::new();
        for frame in self.samples.chunks(self.rate.frame()) {
            let frame: Vec<i16> = frame.iter().map(|sample| level::sample(*sample)).collect();
            detector.listen(&frame, |event| events.push(event));
        }
        detector.listen(&std::vec![0; self.rate.frame() * 6], |event| events.push(event));
        events
    }

    fn keys(&self) -> Vec<Key> {
        let begins = self.heard().into_iter().filter_map(|event| match event {
            Event::Begin { key, .. } => Some(key),
            Event::End { .. } => None,
        });
        begins.collect()
    }
}

/// Each key, at each rate, beginning at each of eight phases of a look.
fn everywhere(mut check: impl FnMut(Rate, Key, Sounds)) {
    for rate in [Rate::Narrow, Rate::Wide] {
        for key in Key::ALL {
            for phase in 0..8 {
                check(rate, key, Sounds::new(rate).silence(300 + phase * 63 / 10 * 10));
            }
        }
    }
}

#[test]
fn forty_milliseconds_are_a_key_and_twenty_are_none() {
    everywhere(|rate, key, sounds| {
        let long = sounds.key(key, -10.0, 40).silence(1_000);
        assert_eq!(long.keys(), [key], "{rate:?}");
    });
    for length in [10, 15, 20] {
        everywhere(|rate, key, sounds| {
            let short = sounds.key(key, -3.0, length).silence(1_000);
            assert_eq!(short.keys(), [], "{rate:?} {key} {length} ms");
        });
    }
}

#[test]
fn a_pause_of_forty_milliseconds_makes_two_keys_and_a_break_of_ten_makes_one() {
    everywhere(|rate, key, sounds| {
        let two = sounds.key(key, -10.0, 40).silence(400).key(key, -10.0, 40).silence(1_000);
        assert_eq!(two.keys(), [key, key], "{rate:?}");
    });
    for broken in [2, 5, 10] {
        everywhere(|rate, key, sounds| {
            let one = sounds.key(key, -10.0, 45).silence(broken * 10).key(key, -10.0, 45).silence(1_000);
            assert_eq!(one.keys(), [key], "{rate:?} {broken} ms");
        });
    }
}

#[test]
fn frequencies_are_accepted_to_1_5_percent_and_rejected_from_3_5() {
    for off in [-0.015, 0.015] {
        for other in [-0.015, 0.0, 0.015] {
            everywhere(|rate, key, sounds| {
                let (row, column) = frequencies(key);
                let detuned = sounds.tones((row * (1.0 + off), -10.0), (column * (1.0 + other), -10.0), 400);
                assert_eq!(detuned.silence(1_000).keys(), [key], "{rate:?} {off} {other}");
            });
        }
    }
    for (row_off, column_off) in [(0.035, 0.0), (-0.035, 0.0), (0.0, 0.035), (0.0, -0.035), (0.05, 0.05)] {
        everywhere(|rate, key, sounds| {
            let (row, column) = frequencies(key);
            let detuned =
                sounds.tones((row * (1.0 + row_off), -5.0), (column * (1.0 + column_off), -5.0), 2_000);
            assert_eq!(detuned.silence(500).keys(), [], "{rate:?} {key} {row_off} {column_off}");
        });
    }
}

#[test]
fn levels_from_0_to_minus_25_are_accepted_and_minus_29_is_not() {
    for dbm0 in [0.0, -3.0, -20.0, -25.0] {
        everywhere(|rate, key, sounds| {
            assert_eq!(sounds.key(key, dbm0, 40).silence(1_000).keys(), [key], "{rate:?} {dbm0} dBm0");
        });
    }
    everywhere(|rate, key, sounds| {
        assert_eq!(sounds.key(key, -29.0, 200).silence(1_000).keys(), [], "{rate:?} {key}");
    });
}

#[test]
fn a_column_4_decibels_above_and_a_row_8_above_are_accepted() {
    for (row_level, column_level) in [(-12.0, -8.0), (-8.0, -16.0), (-17.0, -25.0)] {
        everywhere(|rate, key, sounds| {
            let (row, column) = frequencies(key);
            let twisted = sounds.tones((row, row_level), (column, column_level), 400).silence(1_000);
            assert_eq!(twisted.keys(), [key], "{rate:?} {row_level} {column_level}");
        });
    }
    for (row_level, column_level) in [(-15.0, -5.0), (-5.0, -17.0)] {
        everywhere(|rate, key, sounds| {
            let (row, column) = frequencies(key);
            let twisted = sounds.tones((row, row_level), (column, column_level), 2_000).silence(1_000);
            assert_eq!(twisted.keys(), [], "{rate:?} {key} {row_level} {column_level}");
        });
    }
}

#[test]
fn keys_are_heard_over_a_dial_tone_and_in_noise() {
    for tones in [(350.0, 440.0), (425.0, 400.0), (413.0, 438.0), (330.0, 440.0)] {
        everywhere(|rate, key, sounds| {
            let mut first = Oscillator::new(tones.0, -10.0, rate);
            let mut second = Oscillator::new(tones.1, -10.0, rate);
            let both = sounds
                .silence(2_000)
                .key(key, -15.0, 50)
                .silence(1_000)
                .with(|| first.sample() + second.sample());
            assert_eq!(both.keys(), [key], "{rate:?} {tones:?}");
        });
    }
    let mut seed = 0;
    everywhere(|rate, key, sounds| {
        seed += 1;
        let noisy = sounds.key(key, -10.0, 50).silence(1_000).noise(-22.0, seed);
        assert_eq!(noisy.keys(), [key], "{rate:?} seed {seed}");
    });
}

#[test]
fn lengths_are_told_to_a_few_milliseconds() {
    everywhere(|rate, key, sounds| {
        for length in [50, 100, 230] {
            let pressed = Sounds { rate, samples: sounds.samples.clone() }.key(key, -10.0, length);
            let events = pressed.silence(1_000).heard();
            let [Event::Begin { millis: begun, .. }, Event::End { millis, .. }] = events[..] else {
                panic!("{events:?}")
            };
            assert!(begun.abs_diff(36) <= 5 && millis.abs_diff(length) <= 6, "{length}: {begun} {millis}");
        }
    });
}

#[test]
fn what_leaks_to_the_far_end_is_no_key_there() {
    everywhere(|rate, key, sounds| {
        let mut generator = Generator::new(rate);
        generator.start(key, Some(120));
        let mut detector = Detector::new(rate);
        let pressed = sounds.with(|| 0.0).silence(0);
        let lead = pressed.samples.len();
        let mut sent: Vec<i16> = std::vec![0; lead];
        let mut tail = std::vec![0; rate.frame() * 20];
        generator.fill(&mut tail);
        sent.extend(tail);
        let mut leaked = 0;
        let mut far = Detector::new(rate);
        for frame in sent.chunks_mut(rate.frame()) {
            detector.listen(frame, |_| {});
            if detector.hides() {
                frame.fill(0);
            }
            leaked += frame.iter().filter(|sample| sample.abs() > 500).count();
            far.listen(frame, |event| panic!("{rate:?} {key}: heard twice, {event:?}"));
        }
        let leaked = leaked as u32 / rate.per_milli();
        assert!(leaked < 20, "{rate:?} {key}: {leaked} ms");
    });
}

#[test]
fn a_reset_forgets_the_key() {
    let mut detector = Detector::new(Rate::Narrow);
    let mut generator = Generator::new(Rate::Narrow);
    generator.start(Key::STAR, None);
    let mut frame = [0; 480];
    generator.fill(&mut frame);
    detector.listen(&frame, |_| {});
    assert_eq!((detector.pressed(), detector.hides()), (Some(Key::STAR), true));
    detector.reset();
    detector.listen(&[0; 480], |event| panic!("{event:?}"));
    assert!(!detector.hides());
}
