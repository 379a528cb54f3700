//! The bars of voice quality, on four clips; the whole table is `cargo run -p dialtone-audio-tests`.

use dialtone_audio_tests::{Network, pesq, speech, transmit};
use dialtone_media::codec::Codec;

fn score(codec: Codec, redundancy: bool, loss: f64, jitter: u32) -> f64 {
    let clips = speech::clips(4).expect("Debian package asterisk-core-sounds-en-wav");
    let pairs: Vec<_> = clips
        .into_iter()
        .zip(1..)
        .map(|(clip, seed)| {
            let heard = transmit(&clip, 8000, codec, redundancy, Network { loss, jitter, seed }).sound;
            (clip, heard)
        })
        .collect();
    let scores = pesq::scores(8000, &pairs).expect("PESQ from PyPI, see README.md");
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn calls_clear_the_bars() {
    // Codec, redundancy, loss, jitter in ms, at least.
    for (codec, redundancy, loss, jitter, bar) in [
        (Codec::Pcmu, false, 0.0, 0, 4.0),
        (Codec::Pcma, false, 0.0, 0, 4.0),
        (Codec::Pcma, false, 0.0, 40, 3.8),
        (Codec::Opus, false, 0.0, 0, 4.2),
        (Codec::Opus, true, 0.0, 0, 4.2),
        // spandsp's concealment: 2.90 and 2.34.
        (Codec::Pcmu, false, 0.05, 0, 3.2),
        (Codec::Pcmu, false, 0.10, 0, 2.8),
        (Codec::G722, false, 0.05, 0, 2.9),
        (Codec::G722, false, 0.10, 0, 2.34),
        (Codec::Opus, true, 0.05, 0, 3.9),
        (Codec::Opus, true, 0.10, 0, 3.5),
    ] {
        let score = score(codec, redundancy, loss, jitter);
        assert!(
            score >= bar,
            "{codec:?}, redundancy {redundancy}, loss {loss}, jitter {jitter}: {score:.2} < {bar}"
        );
    }
}
