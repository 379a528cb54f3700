//! What the tests of the whole router ask again and again: clips one way, their score and their delay.

use crate::compare::middle_and_most;
use crate::house::{House, Passage};
use crate::pesq;

/// What some clips came to.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Mean PESQ, narrow band.
    pub score: f64,
    /// The lowest of them.
    pub lowest: f64,
    /// The middle of the delays in milliseconds, and the greatest.
    pub delay: (f64, f64),
}

/// Sends each clip through `way` and judges what comes; prints it under this name.
///
/// # Panics
/// When nothing like a clip is heard, or PESQ is not to be had (see README.md).
pub fn judge(
    house: &mut House,
    what: &str,
    clips: &[Vec<i16>],
    mut way: impl FnMut(&mut House, &[i16]) -> Passage,
) -> Verdict {
    let mut pairs = Vec::new();
    let mut delays = Vec::new();
    for clip in clips {
        let passage = way(house, clip);
        delays.push(passage.delay.expect("the voice is heard"));
        pairs.push((clip.clone(), passage.heard));
    }
    let scores = pesq::scores(8000, &pairs).expect("PESQ from PyPI, see README.md");
    let score = scores.iter().sum::<f64>() / scores.len() as f64;
    let lowest = scores.iter().copied().fold(f64::MAX, f64::min);
    let delay = middle_and_most(&delays);
    println!("{what}: PESQ {score:.2} (lowest {lowest:.2}), {:.1} ms, at most {:.1} ms", delay.0, delay.1);
    Verdict { score, lowest, delay }
}
