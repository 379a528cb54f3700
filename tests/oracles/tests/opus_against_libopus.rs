//! Our Opus and libopus 1.6.1 understand each other, redundancy included. Run again before raising the version of `opus-rs`.

use dialtone_base::{Random, Seed};
use dialtone_media::CodecPool;
use dialtone_media::OpusParameters;
use dialtone_media::codec::{Codec, Decoder, Encoder};

const FRAME: usize = 160;

/// Something like a voice: a gliding buzz through two resonances, with pauses and breath.
fn voice(frames: usize) -> Vec<i16> {
    let mut random = Random::new(Seed::from_number(9));
    let (mut phase, mut low, mut high) = (0.0f64, [0.0f64; 2], [0.0f64; 2]);
    let resonate = |state: &mut [f64; 2], input: f64, hertz: f64, width: f64| {
        let radius = (-std::f64::consts::PI * width / 8000.0).exp();
        let output = input + 2.0 * radius * (std::f64::consts::TAU * hertz / 8000.0).cos() * state[0]
            - radius * radius * state[1];
        *state = [output, state[0]];
        output
    };
    (0..frames * FRAME)
        .map(|at| {
            let seconds = at as f64 / 8000.0;
            phase += (120.0 + 30.0 * (seconds * 2.0).sin()) / 8000.0;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let breath = (f64::from(random.next_u16()) / 32_768.0 - 1.0) * 0.02;
            let loud = if (seconds * 0.7).fract() < 0.8 { 1.0 } else { 0.02 };
            let first =
                resonate(&mut low, (pulse + breath) * loud, 500.0 + 200.0 * (seconds * 3.0).sin(), 80.0);
            let second = resonate(&mut high, first, 1500.0 + 500.0 * (seconds * 1.3).cos(), 120.0);
            (second * 500.0).clamp(-30_000.0, 30_000.0) as i16
        })
        .collect()
}

fn encoded(pool: &CodecPool, voice: &[i16], redundancy: bool) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Codec::Opus, pool);
    encoder.set_opus(OpusParameters { fec: redundancy, ..OpusParameters::default() });
    voice
        .as_chunks::<FRAME>()
        .0
        .iter()
        .map(|frame| {
            let mut out = [0; 1275];
            let length = encoder.encode(frame, &mut out).expect("a frame of 20 ms");
            out[..length].to_vec()
        })
        .collect()
}

fn decibels(signal: &[i16], other: &[i16]) -> f64 {
    let power = |sound: &mut dyn Iterator<Item = f64>| sound.map(|sample| sample * sample).sum::<f64>() + 1.0;
    let noise = &mut signal.iter().zip(other).map(|(one, other)| f64::from(*one) - f64::from(*other));
    10.0 * (power(&mut signal.iter().map(|sample| f64::from(*sample))) / power(noise)).log10()
}

#[test]
fn both_decoders_hear_the_same_in_packets_of_either_encoder() {
    let pool = CodecPool::new(8000, 1);
    let voice = voice(400);
    let ours = encoded(&pool, &voice, true);
    let mut libopus =
        opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).expect("libopus");
    libopus.set_bitrate(opus::Bitrate::Bits(24_000)).expect("bit rate");
    let theirs: Vec<Vec<u8>> = voice
        .as_chunks::<FRAME>()
        .0
        .iter()
        .map(|frame| libopus.encode_vec(frame, 1275).expect("a frame of 20 ms"))
        .collect();
    for (whose, packets) in [("ours", ours), ("libopus", theirs)] {
        let fresh = CodecPool::new(8000, 1);
        let mut decoder = Decoder::new(Codec::Opus, &fresh);
        let mut oracle = opus::Decoder::new(8000, opus::Channels::Mono).expect("libopus");
        let (mut heard, mut expected) = (Vec::new(), Vec::new());
        for packet in packets {
            let (mut one, mut other) = ([0; FRAME], [0; FRAME]);
            assert_eq!(decoder.decode(&packet, &mut one), FRAME);
            assert_eq!(oracle.decode(&packet, &mut other, false).expect("a packet"), FRAME);
            heard.extend_from_slice(&one);
            expected.extend_from_slice(&other);
        }
        // The pool's decoder has run over silence before: its first frames may differ.
        let alike = decibels(&expected[10 * FRAME..], &heard[10 * FRAME..]);
        assert!(alike > 50.0, "packets of {whose}: {alike:.1} dB");
    }
}

#[test]
fn libopus_repairs_losses_from_our_redundancy() {
    let pool = CodecPool::new(8000, 1);
    let voice = voice(600);
    let mut gain = Vec::new();
    for redundancy in [true, false] {
        let packets = encoded(&pool, &voice, redundancy);
        let mut whole = opus::Decoder::new(8000, opus::Channels::Mono).expect("libopus");
        let mut lossy = opus::Decoder::new(8000, opus::Channels::Mono).expect("libopus");
        let mut repaired = Vec::new();
        let mut wanted = Vec::new();
        for (at, packet) in packets.iter().enumerate() {
            let (mut expected, mut heard) = ([0; FRAME], [0; FRAME]);
            whole.decode(packet, &mut expected, false).expect("our packet");
            // Every seventh packet is lost; the next one carries it.
            if at % 7 == 6
                && let Some(next) = packets.get(at + 1)
            {
                lossy.decode(next, &mut heard, true).expect("our redundancy");
                repaired.extend_from_slice(&heard);
                wanted.extend_from_slice(&expected);
            } else {
                lossy.decode(packet, &mut heard, false).expect("our packet");
            }
        }
        gain.push(decibels(&wanted, &repaired));
    }
    let [with, without] = gain[..] else { unreachable!() };
    assert!(with > without + 3.0 && with > 5.0, "{with:.1} dB with redundancy, {without:.1} dB without");
}
