//! Echo paths of every sort, and what must never happen on them.
//!
//! The paths are made here from seeds: a delay, a dispersive body and a few later reflections, as hybrids behind short and long loops
//! have (in the sense of G.168 annex D; its own models are used by `tests/bench`). Sound is noise at −15 dBm0, chopped into bursts
//! with pauses where speech matters. Clause numbers are tests of G.168.

use alloc::vec::Vec;

use dialtone_base::{Random, Seed};

use super::*;

const RATE: usize = 8000;
/// Amplitude of −15 dBm0: a full-scale sine is +3.14 dBm0.
const LEVEL: f32 = 2872.0;

/// Numbers of unit power, nearly normal.
struct Noise(Random);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(Random::new(Seed::from_number(seed)))
    }

    fn next(&mut self) -> f32 {
        let sum: f32 = (0..12).map(|_| self.0.next_u32() as f32 / 4_294_967_296.0).sum();
        sum - 6.0
    }

    fn samples(&mut self, seconds: f32, level: f32) -> Vec<i16> {
        (0..(seconds * RATE as f32) as usize).map(|_| (level * self.next()) as i16).collect()
    }

    /// Voice-like: low-passed, in syllables of 100 to 300 ms with pauses.
    fn babble(&mut self, seconds: f32, level: f32) -> Vec<i16> {
        let (mut sound, mut low) = (Vec::new(), 0.0);
        while sound.len() < (seconds * RATE as f32) as usize {
            let syllable = 800 + self.0.below(1600) as usize;
            let loudness = 0.3 + self.0.below(100) as f32 / 100.0;
            for _ in 0..syllable {
                low += 0.35 * (self.next() - low);
                sound.push((2.0 * loudness * level * low).clamp(-32_000.0, 32_000.0) as i16);
            }
            sound.extend(core::iter::repeat_n(0, 400 + self.0.below(800) as usize));
        }
        sound.truncate((seconds * RATE as f32) as usize);
        sound
    }
}

/// An echo path with `loss_db` of echo return loss: a delay of `delay` samples, a ringing body, up to three reflections.
fn path(seed: u64, delay: usize, loss_db: f32) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let mut taps = vec![0.0_f32; delay + 48];
    for (k, tap) in taps.iter_mut().skip(delay).enumerate() {
        *tap = noise.next() * libm::expf(-(k as f32) / 8.0);
    }
    for _ in 0..noise.0.below(4) {
        let (at, size) = (delay + 60 + noise.0.below(200) as usize, 0.25 * noise.next());
        taps.resize(taps.len().max(at + 24), 0.0);
        for (k, tap) in taps.iter_mut().skip(at).take(24).enumerate() {
            *tap += size * noise.next() * libm::expf(-(k as f32) / 5.0);
        }
    }
    let size = libm::sqrtf(taps.iter().map(|tap| tap * tap).sum());
    let loss = libm::powf(10.0, -loss_db / 20.0);
    taps.iter_mut().for_each(|tap| *tap *= loss / size);
    taps
}

fn echo_of(far: &[i16], path: &[f32]) -> Vec<i16> {
    let at = |n: usize| -> f32 {
        let past = far[..=n].iter().rev();
        path.iter().zip(past).map(|(tap, sample)| tap * f32::from(*sample)).sum()
    };
    (0..far.len()).map(|n| libm::roundf(at(n)) as i16).collect()
}

/// Through a µ-law link, as rounding noise beside the echo.
fn mu_law(sample: i16) -> i16 {
    let size = i32::from(sample).abs().min(32_635) + 132;
    let segment = 24 - size.leading_zeros();
    let step = (size >> (segment + 3)) & 15;
    let decoded = (((step << 3) + 132) << segment) - 132;
    (if sample < 0 { -decoded } else { decoded }) as i16
}

fn sum(echo: &[i16], other: &[i16]) -> Vec<i16> {
    echo.iter().zip(other).map(|(a, b)| mu_law(a.saturating_add(*b))).collect()
}

fn returned(canceller: &mut EchoCanceller, far: &[i16], near: &[i16]) -> Vec<i16> {
    let mut result = near.to_vec();
    let length = canceller.frame_length();
    for (far, near) in far.chunks_exact(length).zip(result.chunks_exact_mut(length)) {
        canceller.process(far, near);
    }
    result
}

fn filter_alone() -> EchoCanceller {
    let mut canceller = EchoCanceller::new(8000, 128);
    canceller.set_suppressing(false);
    canceller
}

fn power_db(samples: &[i16]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
    10.0 * libm::log10f(sum / samples.len() as f32 + 1e-3)
}

fn loss_db(near: &[i16], returned: &[i16]) -> f32 {
    power_db(near) - power_db(returned)
}

fn difference(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_sub(*b)).collect()
}

#[test]
fn noise_converges_within_700_ms_however_late_the_echo_to_the_ceiling_of_mu_law_2a() {
    for seed in 0..8 {
        let delay = (seed as usize * 97) % 700;
        let path = path(seed, delay, 10.0);
        let far = Noise::new(seed + 100).samples(4.0, LEVEL);
        let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
        let result = returned(&mut filter_alone(), &far, &near);
        let early = loss_db(&near[5600..6400], &result[5600..6400]);
        assert!(early >= 20.0, "seed {seed}, delay {delay}: {early} dB after 700 ms");
        let steady = loss_db(&near[24_000..], &result[24_000..]);
        assert!(steady >= 33.0, "seed {seed}, delay {delay}: {steady} dB steady");
    }
}

#[test]
fn a_wideband_line_converges_too() {
    let path = path(3, 200, 10.0);
    let far = Noise::new(5).samples(6.0, LEVEL);
    let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
    let mut canceller = EchoCanceller::new(16_000, 128);
    canceller.set_suppressing(false);
    assert_eq!(canceller.frame_length(), 160);
    let result = returned(&mut canceller, &far, &near);
    let steady = loss_db(&near[40_000..], &result[40_000..]);
    assert!(steady >= 33.0, "{steady} dB");
}

#[test]
fn double_talk_never_makes_it_diverge_3a_3b() {
    for seed in 0..4 {
        let far = Noise::new(seed).babble(6.0, LEVEL);
        let echo = echo_of(&far, &path(seed, 60, 10.0));
        let mut talk = Noise::new(seed + 50).babble(6.0, LEVEL);
        // From the start (3B) with odd seeds, after convergence (3A) with even ones.
        let from = if seed % 2 == 0 { 24_000 } else { 0 };
        talk[..from].fill(0);
        talk[40_000..].fill(0);
        let near = sum(&echo, &talk);
        let result = returned(&mut filter_alone(), &far, &near);
        let residue = difference(&result, &talk);
        for at in (0..40_000).step_by(4000) {
            let (echo, residue) = (&echo[at..at + 4000], &residue[at..at + 4000]);
            let loss = loss_db(echo, residue);
            // µ-law rounding of loud speech hides small gains: never louder than the echo is the promise.
            assert!(loss > -3.0, "seed {seed}, sample {at}: {loss} dB");
            assert!(from == 0 || at < from || loss > 10.0, "seed {seed}, sample {at}: {loss} dB");
        }
        let after = loss_db(&near[44_000..], &result[44_000..]);
        assert!(after > 20.0, "seed {seed}: {after} dB after double talk");
    }
}

#[test]
fn another_path_is_learnt_within_a_second() {
    for seed in 0..4 {
        let far = Noise::new(seed).samples(5.0, LEVEL);
        let (before, after) =
            (echo_of(&far, &path(seed, 30, 10.0)), echo_of(&far, &path(seed + 9, 250, 8.0)));
        let mut echo = before;
        echo[16_000..].copy_from_slice(&after[16_000..]);
        let near = sum(&echo, &vec![0; far.len()]);
        let mut canceller = filter_alone();
        let result = returned(&mut canceller, &far, &near);
        let loss = loss_db(&near[24_000..], &result[24_000..]);
        assert!(loss > 25.0, "seed {seed}: {loss} dB");
        assert!(canceller.statistics().path_changes >= 1, "seed {seed}");
        assert_eq!(canceller.statistics().state, EchoState::Converged);
    }
}

#[test]
fn a_line_that_stops_echoing_gets_no_echo_made_up_5() {
    let far = Noise::new(1).samples(4.0, LEVEL);
    let mut echo = echo_of(&far, &path(1, 30, 10.0));
    echo[16_000..].fill(0);
    let result = returned(&mut filter_alone(), &far, &sum(&echo, &vec![0; far.len()]));
    assert!(power_db(&result[18_000..]) < 6.0, "{} dB", power_db(&result[18_000..]));
}

#[test]
fn tones_teach_it_nothing_wrong_6_7() {
    for (index, tones) in
        [[1000.0, 0.0], [697.0, 1209.0], [2100.0, 0.0], [350.0, 440.0]].into_iter().enumerate()
    {
        let mut far = Noise::new(7).samples(2.0, LEVEL);
        for n in 0..3 * RATE {
            let turn = |hertz: f32| {
                libm::sinf(2.0 * core::f32::consts::PI * ((hertz * n as f32 / RATE as f32) % 1.0))
            };
            far.push((5000.0 * (turn(tones[0]) + turn(tones[1]))) as i16);
        }
        far.extend(Noise::new(8).samples(1.0, LEVEL));
        let near = sum(&echo_of(&far, &path(index as u64, 30, 10.0)), &vec![0; far.len()]);
        let result = returned(&mut filter_alone(), &far, &near);
        for at in (8000..near.len()).step_by(800) {
            let loss = loss_db(&near[at..at + 800], &result[at..at + 800]);
            assert!(loss > 24.0, "{tones:?}, sample {at}: {loss} dB");
        }
    }
}

#[test]
fn silence_is_left_alone_and_forgets_nothing_4() {
    let path = path(2, 100, 10.0);
    let mut far = Noise::new(1).samples(2.0, LEVEL);
    far.extend(core::iter::repeat_n(0, 20 * RATE));
    far.extend(Noise::new(2).samples(0.5, LEVEL));
    let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
    let result = returned(&mut filter_alone(), &far, &near);
    let loss = loss_db(&near[22 * RATE..], &result[22 * RATE..]);
    assert!(loss > 28.0, "{loss} dB");
}

#[test]
fn far_speech_alone_becomes_the_rooms_own_noise_9() {
    let far = Noise::new(4).babble(6.0, LEVEL);
    let room = Noise::new(5).samples(6.0, 30.0);
    let near = sum(&echo_of(&far, &path(4, 50, 10.0)), &room);
    let result = returned(&mut EchoCanceller::new(8000, 128), &far, &near);
    let (heard, room) = (power_db(&result[24_000..]), power_db(&room));
    assert!((heard - room).abs() < 3.0, "{heard} dB in a room of {room} dB");
}

#[test]
fn near_speech_passes_the_suppressor() {
    let talk = Noise::new(6).babble(4.0, LEVEL);
    // Alone, and over a quieter far end.
    let far = Noise::new(7).babble(4.0, LEVEL / 8.0);
    for far in [vec![0; talk.len()], far] {
        let near = sum(&echo_of(&far, &path(6, 50, 12.0)), &talk);
        let result = returned(&mut EchoCanceller::new(8000, 128), &far, &near);
        let change = loss_db(&near, &result);
        assert!(change.abs() < 0.5, "{change} dB");
    }
}

#[test]
fn after_a_long_sentence_nothing_louder_than_the_room_takes_its_place() {
    let mut talk = Noise::new(8).samples(5.0, LEVEL / 4.0);
    talk.extend(Noise::new(9).samples(1.0, 3.0));
    // The far end is silent as A-law is, and speaks.
    let idle: Vec<i16> = (0..talk.len()).map(|at| if at % 3 == 0 { -8 } else { 8 }).collect();
    for far in [idle, Noise::new(10).babble(6.0, LEVEL)] {
        let result = returned(&mut EchoCanceller::new(8000, 128), &far, &talk);
        for (at, heard) in result[5 * RATE..].chunks(RATE / 10).enumerate() {
            let level = power_db(heard);
            assert!(level < power_db(&talk[5 * RATE..]) + 3.0, "{level} dB {at}00 ms after the last word");
        }
    }
}

#[test]
fn a_quiet_person_under_a_loud_one_is_heard_on_a_line_without_echo_5() {
    for seed in 0..4 {
        let far = Noise::new(seed).babble(6.0, LEVEL);
        // 15 dB below.
        let talk = Noise::new(40 + seed).babble(6.0, LEVEL * 0.18);
        let mut canceller = EchoCanceller::new(8000, 128);
        let heard = returned(&mut canceller, &far, &talk);
        let half = heard.len() / 2;
        let lost = power_db(&talk[half..]) - power_db(&heard[half..]);
        assert!(lost < 3.0, "seed {seed}: {lost} dB of the near end's speech are gone");
    }
}

#[test]
fn clipping_and_full_scale_sound_are_survived() {
    let far: Vec<i16> = Noise::new(1).samples(3.0, 20_000.0);
    let path = path(5, 20, -3.0);
    let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
    let result = returned(&mut filter_alone(), &far, &near);
    let loss = loss_db(&near[8000..], &result[8000..]);
    // Every frame clips: nothing to learn from, nothing made worse.
    assert!(loss > -0.5, "{loss} dB");
    let square: Vec<i16> = (0..24_000).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let result = returned(&mut EchoCanceller::new(8000, 128), &square, &square);
    assert!(power_db(&result[16_000..]) <= power_db(&square[16_000..]) + 1.0);
}

#[test]
fn it_steps_aside_for_a_modems_answer_and_comes_back_after_silence_8() {
    let path = path(1, 20, 10.0);
    let mut far = Noise::new(1).samples(2.0, LEVEL);
    for n in 0..3 * RATE {
        let sign = if n / 3600 % 2 == 0 { 5000.0 } else { -5000.0 };
        let angle = 2.0 * core::f32::consts::PI * ((2100 * n) % RATE) as f32 / RATE as f32;
        far.push((sign * libm::sinf(angle)) as i16);
    }
    far.extend(Noise::new(2).samples(1.0, LEVEL));
    let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
    let mut canceller = EchoCanceller::new(8000, 128);
    let result = returned(&mut canceller, &far, &near);
    assert_eq!(canceller.statistics().state, EchoState::Data);
    assert_eq!(canceller.data_tone(), Some(DataTone::AnswerWithReversals));
    assert_eq!(near[4 * RATE..], result[4 * RATE..]);
    returned(&mut canceller, &[0; 4000], &[0; 4000]);
    let far = Noise::new(3).samples(1.0, LEVEL);
    let near = sum(&echo_of(&far, &path), &vec![0; far.len()]);
    let loss = loss_db(&near, &returned(&mut canceller, &far, &near));
    assert!(loss > 20.0, "{loss} dB");
    canceller.restart();
    assert_eq!(canceller.data_tone(), None);
}

#[test]
fn off_and_odd_frames_pass_unchanged() {
    let mut canceller = EchoCanceller::new(8000, 128);
    let far = [1000; 80];
    let mut odd = [5; 79];
    canceller.process(&far, &mut odd);
    assert_eq!(odd, [5; 79]);
    canceller.set_enabled(false);
    assert_eq!(canceller.statistics().state, EchoState::Off);
    let mut near = [7; 80];
    canceller.process(&far, &mut near);
    assert_eq!(near, [7; 80]);
}
