//! One direction of a link: rate, delay, jitter, loss, reordering, duplication.
//!
//! Everything random comes from the seed. Without rate and with zero delay a frame arrives at once. A link loses what
//! [`Quality`] says and nothing else: a full one refuses ([`Pipe::has_room`]) and the sender keeps its frame, as behind
//! Ethernet's pause frames.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dialtone_base::{Duration, Instant, Random, Seed};

/// How good a link is. Chances are in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Bits per second; `None`: as fast as the program.
    pub rate: Option<u64>,
    /// Time on the way.
    pub delay: Duration,
    /// Up to this much more, evenly spread; order is kept.
    pub jitter: Duration,
    /// Chance that a frame is lost.
    pub loss: u32,
    /// Chance that a frame is held back by `reorder_by`, so that later ones overtake it.
    pub reorder: u32,
    /// How long such a frame is held back.
    pub reorder_by: Duration,
    /// Chance that a frame arrives twice.
    pub duplicate: u32,
}

impl Quality {
    /// No delay, no loss, no limit.
    pub const PERFECT: Self = Self {
        rate: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0,
        reorder: 0,
        reorder_by: Duration::ZERO,
        duplicate: 0,
    };

    /// Only a delay.
    pub const fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::PERFECT }
    }
}

/// Frames on their way in one direction.
pub struct Pipe {
    /// May be changed at any time; frames under way keep their fate.
    pub quality: Quality,
    random: Random,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// When the last bit accepted so far leaves the sender.
    free_at: Instant,
    last_arrival: Instant,
    sequence: u64,
    lost: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    arrival: Instant,
    sequence: u64,
    frame: Vec<u8>,
}

impl Pipe {
    /// An empty link.
    pub fn new(quality: Quality, seed: Seed) -> Self {
        Self {
            quality,
            random: Random::new(seed),
            under_way: BinaryHeap::new(),
            free_at: Instant::START,
            last_arrival: Instant::START,
            sequence: 0,
            lost: 0,
        }
    }

    /// Whether the sender may hand over a frame now.
    pub fn has_room(&self, now: Instant) -> bool {
        self.under_way.len() < FRAMES_UNDER_WAY && self.free_at.since(now) <= SEND_BUFFER
    }

    /// Takes a frame.
    pub fn send(&mut self, now: Instant, frame: Vec<u8>) {
        if let Some(rate) = self.quality.rate {
            let bits = (frame.len() + ETHERNET_OVERHEAD) as u64 * 8;
            self.free_at = self.free_at.max(now) + Duration::from_micros(bits * 1_000_000 / rate.max(1));
        } else {
            self.free_at = now;
        }
        if self.happens(self.quality.loss) {
            self.lost += 1;
            return;
        }
        if self.happens(self.quality.duplicate) {
            self.launch(frame.clone());
        }
        self.launch(frame);
    }

    /// A frame that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.under_way.peek()?.0.arrival > now {
            return None;
        }
        self.under_way.pop().map(|Reverse(one)| one.frame)
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(one)| one.arrival)
    }

    /// When a sender that found no room should try again.
    pub fn room_at(&self) -> Instant {
        Instant::from_micros(self.free_at.as_micros().saturating_sub(SEND_BUFFER.as_micros()))
    }

    /// Loses everything under way: the cable was pulled.
    pub fn cut(&mut self) {
        self.lost += self.under_way.len() as u64;
        self.under_way.clear();
        self.free_at = Instant::START;
    }

    /// Frames lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn launch(&mut self, frame: Vec<u8>) {
        let jitter = self.random.below(self.quality.jitter.as_micros().min(u32::MAX as u64) as u32);
        let mut arrival = self.free_at + self.quality.delay + Duration::from_micros(jitter as u64);
        if self.happens(self.quality.reorder) {
            arrival += self.quality.reorder_by;
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        self.sequence += 1;
        self.under_way.push(Reverse(UnderWay { arrival, sequence: self.sequence, frame }));
    }

    fn happens(&mut self, chance: u32) -> bool {
        chance != 0 && self.random.below(1_000_000) < chance
    }
}

/// Frames a link holds at most.
const FRAMES_UNDER_WAY: usize = 4096;
/// What a sender may queue ahead of a slow link.
const SEND_BUFFER: Duration = Duration::from_millis(50);
/// Preamble, FCS and gap between frames, in bytes.
const ETHERNET_OVERHEAD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(quality: Quality, seed: u64, count: u8) -> Vec<(u64, u8)> {
        let mut pipe = Pipe::new(quality, Seed::from_number(seed));
        for number in 0..count {
            pipe.send(Instant::from_millis(number as u64), vec![number; 100]);
        }
        let mut seen = Vec::new();
        while let Some(at) = pipe.next_arrival() {
            seen.push((at.as_micros(), pipe.receive(at).unwrap()[0]));
        }
        seen
    }

    #[test]
    fn a_rate_spaces_frames_and_a_full_sender_is_refused() {
        let rate = Quality { rate: Some(992_000), ..Quality::PERFECT };
        let seen = arrivals(rate, 1, 3);
        assert_eq!(seen, [(1_000, 0), (2_000, 1), (3_000, 2)]);
        let mut pipe = Pipe::new(rate, Seed::from_number(1));
        while pipe.has_room(Instant::START) {
            pipe.send(Instant::START, vec![0; 100]);
        }
        assert_eq!(pipe.room_at(), Instant::from_millis(1));
        assert!(pipe.has_room(pipe.room_at()));
    }

    #[test]
    fn the_same_seed_gives_the_same_fates_and_jitter_keeps_the_order() {
        let quality = Quality {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(5),
            loss: 100_000,
            ..Quality::PERFECT
        };
        let seen = arrivals(quality, 7, 200);
        assert_eq!(seen, arrivals(quality, 7, 200));
        assert!(seen.len() > 150 && seen.len() < 200, "{}", seen.len());
        assert!(seen.is_sorted_by_key(|(_, number)| *number));
    }

    #[test]
    fn reordering_and_duplication_happen_as_often_as_asked() {
        let quality = Quality {
            reorder: 200_000,
            reorder_by: Duration::from_millis(3),
            duplicate: 200_000,
            ..Quality::PERFECT
        };
        let seen = arrivals(quality, 7, 200);
        assert!(seen.len() > 220 && seen.len() < 260, "{}", seen.len());
        assert!(!seen.is_sorted_by_key(|(_, number)| *number));
    }
}
