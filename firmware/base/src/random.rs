//! Randomness from a seed given at construction, so that a failing test is one number.
//!
//! ChaCha12 (`rand_chacha`): unpredictable enough for DNS ids, ports and transaction ids when the seed came from
//! the board's entropy source, and repeatable when it came from a test. Not for long-lived keys.

use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

/// 32 bytes from the board's entropy source, or from a test's number.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for a test or a simulation: the same number, the same run.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        let (head, _) = bytes.split_at_mut(8);
        head.copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }
}

impl core::fmt::Debug for Seed {
    /// Does not show the bytes.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(ChaCha12Rng);

impl Random {
    /// The stream that belongs to `seed`.
    pub fn new(seed: Seed) -> Self {
        Self(ChaCha12Rng::from_seed(seed.0))
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next 16 bits.
    pub fn next_u16(&mut self) -> u16 {
        self.0.next_u32() as u16
    }

    /// A number below `limit`, evenly enough for ports and jitter; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        ((self.0.next_u32() as u64 * limit as u64) >> 32) as u32
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A seed for a part of the program, so that parts do not share a stream.
    pub fn derive_seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Seed(bytes)
    }
}
