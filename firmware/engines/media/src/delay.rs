//! How long packets must wait so that nearly all of them come in time.
//!
//! The transit of a packet (arrival minus timestamp, unknown offset) is compared with the fastest of the last 256: what it took longer
//! is its lateness. The delay aimed at is the lateness that all but 2 % keep below, plus the
//! grid of 10 ms on which sound is taken. The window also follows clocks that run
//! unevenly (200 ppm are 1 ms in 5 s). Packets that come in one burst count as one: a single stall is not a habit.

use dialtone_base::Instant;

const WINDOW: usize = 256;
/// Without any jitter: the grid of 10 ms on which sound is taken, in microseconds.
const FLOOR: i64 = 10_000;
/// More is a conversation no longer (ITU-T G.114).
const CEILING: i64 = 200_000;
/// A packet this far from the others' time belongs to another clock.
const JUMP: i64 = 2_000_000;
/// At the beginning nothing is known yet.
const FIRST: i64 = 20_000;

/// The lateness of recent packets.
#[derive(Clone, Debug)]
pub(crate) struct DelayEstimate {
    transits: [i64; WINDOW],
    count: usize,
    at: usize,
    fastest: i64,
    target: i64,
    lookahead: i64,
    latest_arrival: Option<Instant>,
}

impl DelayEstimate {
    pub fn new() -> Self {
        Self {
            transits: [0; WINDOW],
            count: 0,
            at: 0,
            fastest: 0,
            target: FIRST,
            lookahead: 0,
            latest_arrival: None,
        }
    }

    /// Another clock: old transits mean nothing, the delay that was needed still does.
    pub fn new_clock(&mut self) {
        self.count = 0;
        self.at = 0;
        self.latest_arrival = None;
    }

    /// A packet with this timestamp (microseconds) came. `true`: its clock has nothing to do with the one before; all is forgotten.
    pub fn arrived(&mut self, now: Instant, timestamp: i64) -> bool {
        let transit = now.as_micros() as i64 - timestamp;
        if self.count > 0 && (transit - self.fastest).abs() > JUMP {
            self.new_clock();
            return true;
        }
        let burst = self.latest_arrival.is_some_and(|before| (now - before).as_micros() < 4_000);
        self.latest_arrival = Some(now);
        if burst && self.count > 0 && transit >= self.fastest {
            return false;
        }
        if let Some(slot) = self.transits.get_mut(self.at) {
            *slot = transit;
        }
        self.at = (self.at + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        let fastest = self.transits.iter().take(self.count).copied().min().unwrap_or(transit);
        let moved = fastest != self.fastest;
        self.fastest = fastest;
        // Sorting 256 numbers for each packet would cost more than decoding it.
        if self.at.is_multiple_of(8) || moved || transit - fastest > self.target {
            self.aim();
        }
        false
    }

    /// Microseconds that sound of this timestamp has waited beyond the fastest transit. `None`: no packet came yet.
    pub fn of(&self, now: Instant, timestamp: i64) -> Option<i64> {
        (self.count > 0).then(|| now.as_micros() as i64 - timestamp - self.fastest)
    }

    /// Microseconds to aim at.
    pub fn target(&self) -> i64 {
        (self.target + self.lookahead).min(CEILING)
    }

    pub fn set_lookahead(&mut self, micros: u32) {
        self.lookahead = i64::from(micros);
    }

    fn aim(&mut self) {
        let mut sorted = self.transits;
        let Some(recent) = sorted.get_mut(..self.count) else { return };
        recent.sort_unstable();
        let rank = (self.count * 49 / 50).min(self.count.saturating_sub(1));
        let late = recent.get(rank).copied().unwrap_or(self.fastest) - self.fastest;
        // Little is known of a young stream: it keeps its first delay.
        let least = if self.count < 50 { FIRST.min(self.target.max(FLOOR)) } else { FLOOR };
        self.target = (late + FLOOR).clamp(least, CEILING);
    }
}
