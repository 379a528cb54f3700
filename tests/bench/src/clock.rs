//! Nanoseconds from the system's clock, cycles from the core's own speed.
//!
//! The time-stamp counter ticks at a fixed rate that is not the core's, and performance counters are closed in many
//! virtual machines. So the core's clock is measured: a chain of dependent steps (shift 1, xor 1, multiply 3 cycles on
//! every x86-64 and most Arm cores of the last ten years) runs for a while, before and after the measurements.

use std::hint::black_box;
use std::time::Instant;

/// Cycles of one step of the chain.
const CYCLES_PER_STEP: f64 = 5.0;

/// Measured speed of the core in cycles per nanosecond (GHz): the best of several short runs, since others on the
/// machine can only make it look slower.
pub fn cycles_per_nanosecond() -> f64 {
    const STEPS: u32 = 400_000;
    let chain = || {
        let factor = black_box(0x9e37_79b9_7f4a_7c15_u64);
        let mut value = black_box(1_u64);
        let start = Instant::now();
        for _ in 0..STEPS {
            value = (value ^ (value >> 32)).wrapping_mul(factor);
        }
        let nanoseconds = start.elapsed().as_nanos() as f64;
        black_box(value);
        f64::from(STEPS) * CYCLES_PER_STEP / nanoseconds
    };
    (0..40).map(|_| chain()).fold(0.0, f64::max)
}

/// Nanoseconds per packet over many rounds.
pub struct Sample {
    /// A tenth of the rounds were faster: what the code costs when others leave the core alone.
    pub tenth: f64,
    /// Half of the rounds were faster.
    pub median: f64,
}

/// Runs `rounds` rounds of `packets` packets; `prepare` is not timed.
pub fn measure<T>(
    rounds: usize,
    packets: usize,
    state: &mut T,
    mut prepare: impl FnMut(&mut T, usize),
    mut run: impl FnMut(&mut T),
) -> Sample {
    let mut times: Vec<f64> = (0..rounds)
        .map(|round| {
            prepare(state, round);
            let start = Instant::now();
            run(state);
            start.elapsed().as_nanos() as f64 / packets as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Sample { tenth: times[rounds / 10], median: times[rounds / 2] }
}
