//! What the player makes, measured: levels, lengths, joins.

extern crate std;
use std::vec::Vec;

use dialtone_signal::{Goertzel, Rate, level};

use super::TonePlayer;
use crate::Country;
use crate::tone::{Sound, Tone};

fn played(country: &'static Country, tone: Tone, rate: Rate, millis: u32) -> Vec<i16> {
    let mut player = TonePlayer::new(country, rate);
    player.play(tone);
    let mut samples = std::vec![0; (millis * rate.per_milli()) as usize];
    for frame in samples.chunks_mut(rate.frame()) {
        player.fill(frame);
    }
    samples
}

/// The largest step from one sample to the next.
fn roughest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

#[test]
fn every_tone_of_every_country_has_its_level_frequencies_and_lengths() {
    for country in Country::ALL {
        for rate in [Rate::Narrow, Rate::Wide] {
            for tone in Tone::ALL {
                let cadence = country.tones.cadence(tone);
                let samples = played(country, tone, rate, 7_000);
                let mut at = 0;
                for part in cadence.parts {
                    let name = std::format!("{} {tone:?} {rate:?} part {part:?}", country.code);
                    let millis = if part.millis == 0 { 1_000 } else { u32::from(part.millis) };
                    let length = (millis * rate.per_milli()) as usize;
                    let Some(inside) = samples.get(at + length / 4..at + length * 3 / 4) else { break };
                    at += length;
                    let Sound::Sum(frequencies) = part.sound else {
                        if part.sound == Sound::Silence {
                            assert!(inside.iter().all(|sample| *sample == 0), "{name}");
                        }
                        continue;
                    };
                    let wanted = f32::from(cadence.level) / 10.0 - f32::from(part.quieter);
                    let heard = level::of(inside);
                    // Beats of two close frequencies are not over within a part.
                    assert!((heard - wanted).abs() < 1.5, "{name}: {heard} dBm0");
                    if frequencies[1] == 0 {
                        let mut goertzel = Goertzel::new(f32::from(frequencies[0]), rate);
                        goertzel.extend(inside);
                        assert!(goertzel.share() > 0.97, "{name}: {}", goertzel.share());
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_clicks() {
    for country in Country::ALL {
        for tone in Tone::ALL {
            let samples = played(country, tone, Rate::Wide, 5_000);
            // The steepest step a sine of this level makes at the highest frequency in it, and a little for the ramp.
            let mut most: f32 = 0.0;
            for part in country.tones.cadence(tone).parts {
                let highest = match part.sound {
                    Sound::Silence => 0,
                    Sound::Sum(frequencies) => frequencies.into_iter().max().unwrap_or(0),
                    Sound::Modulated { carrier, .. } => carrier,
                };
                most = most.max(f32::from(highest));
            }
            let peak = level::amplitude(f32::from(country.tones.cadence(tone).level) / 10.0) * 2.0;
            let limit = (peak * core::f32::consts::TAU * most / 16_000.0 + peak / 30.0) as i32;
            assert!(roughest(&samples) <= limit, "{} {tone:?}: {} {limit}", country.code, roughest(&samples));
        }
    }
}

#[test]
fn one_tone_fades_before_the_next_and_before_silence() {
    let mut player = TonePlayer::new(Country::fallback(), Rate::Narrow);
    let mut samples = std::vec![0; 8_000];
    let (first, rest) = samples.split_at_mut(3_000);
    let (second, third) = rest.split_at_mut(3_000);
    player.play(Tone::Dial);
    player.fill(first);
    player.play(Tone::Busy);
    player.fill(second);
    player.stop();
    player.fill(third);
    assert!(roughest(&samples) < 4_500, "{}", roughest(&samples));
    assert!(samples.get(6_040..).is_some_and(|end| end.iter().all(|sample| *sample == 0)));
    assert!(!player.is_playing());
}

#[test]
fn one_call_waiting_tone_is_one() {
    for country in Country::ALL {
        let mut player = TonePlayer::new(country, Rate::Narrow);
        player.play_once(Tone::CallWaiting);
        let mut voice = [1_000_i16; 80];
        let mut frames = 0;
        while player.is_playing() {
            voice = [1_000; 80];
            player.mix(&mut voice);
            frames += 1;
            assert!(frames < 200, "{}", country.code);
        }
        assert!(frames >= 10, "{}", country.code);
        player.mix(&mut voice);
    }
}

#[test]
fn stutter_becomes_a_steady_tone_in_america() {
    let samples = played(Country::fallback(), Tone::Stutter, Rate::Narrow, 3_000);
    assert_eq!(samples.get(150 * 8..190 * 8).map(level::of), Some(level::SILENCE));
    assert!(samples.get(1_500 * 8..).is_some_and(|end| end.chunks(160).all(|part| level::of(part) > -16.0)));
}

#[test]
fn confirmation_ends_by_itself() {
    let mut player = TonePlayer::new(Country::fallback(), Rate::Narrow);
    player.play(Tone::Confirmation);
    player.fill(&mut std::vec![0; 8_000]);
    assert!(!player.is_playing());
}
