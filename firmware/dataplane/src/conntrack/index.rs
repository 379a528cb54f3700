//! From a hash to a record: buckets of one cache line with a tag per slot.
//!
//! A bucket holds 15 slots and the count of entries that had to go on to the next bucket. A slot is a tag (upper bits of
//! the hash, top bit always set) over a record's number; 0 is empty. The caller compares the key in the record. Average
//! load is a half, so almost every lookup reads one bucket.

use alloc::boxed::Box;
use alloc::vec;

const SLOTS: usize = 15;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    slots: [u32; SLOTS],
    /// Entries whose home is this bucket or an earlier one and that live behind it.
    passed: u32,
}

/// The index.
pub(crate) struct Index {
    buckets: Box<[Bucket]>,
    /// Bits of a slot that number the record.
    number_bits: u32,
}

impl Index {
    /// For `records` records.
    pub(crate) fn new(records: usize) -> Self {
        let buckets = (records.div_ceil(8)).next_power_of_two().max(1);
        let number_bits = usize::BITS - records.leading_zeros();
        let bucket = Bucket { slots: [0; SLOTS], passed: 0 };
        Self { buckets: vec![bucket; buckets].into_boxed_slice(), number_bits }
    }

    #[inline(always)]
    fn tag(&self, hash: u64) -> u32 {
        ((hash >> 32) as u32 | 1 << 31) >> self.number_bits
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Reads the bucket so that it is in the cache when it is needed. The result only keeps the read from being left out.
    #[inline(always)]
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        self.buckets.get(self.home(hash)).map_or(0, |bucket| bucket.passed)
    }

    /// The first number whose tag matches in the home bucket: nearly always the right one.
    #[inline(always)]
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        let bucket = self.buckets.get(self.home(hash))?;
        let matches = self.matches(bucket, self.tag(hash));
        bucket.slots.get(matches.trailing_zeros() as usize).map(|slot| slot & self.number_mask())
    }

    #[inline(always)]
    fn number_mask(&self) -> u32 {
        (1 << self.number_bits) - 1
    }

    #[inline(always)]
    fn matches(&self, bucket: &Bucket, tag: u32) -> u32 {
        let mut matches = 0;
        for (at, slot) in bucket.slots.iter().enumerate() {
            matches |= u32::from(slot >> self.number_bits == tag) << at;
        }
        matches
    }

    /// The record for which `is_it` holds.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let mut at = self.home(hash);
        loop {
            let bucket = self.buckets.get(at)?;
            let mut matches = self.matches(bucket, tag);
            while matches != 0 {
                let slot = bucket.slots.get(matches.trailing_zeros() as usize)?;
                let number = slot & self.number_mask();
                if is_it(number) {
                    return Some(number);
                }
                matches &= matches - 1;
            }
            if bucket.passed == 0 {
                return None;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    /// Adds a record that is not in it. `false` only when every slot is taken, which a caller within its records
    /// never sees.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) -> bool {
        let slot = self.tag(hash) << self.number_bits | number;
        let mask = self.buckets.len() - 1;
        let home = self.home(hash);
        for distance in 0..=mask {
            let Some(bucket) = self.buckets.get_mut((home + distance) & mask) else { return false };
            if let Some(free) = bucket.slots.iter_mut().find(|slot| **slot == 0) {
                *free = slot;
                for passed in 0..distance {
                    if let Some(bucket) = self.buckets.get_mut((home + passed) & mask) {
                        bucket.passed += 1;
                    }
                }
                return true;
            }
        }
        false
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let slot = self.tag(hash) << self.number_bits | number;
        let mask = self.buckets.len() - 1;
        let home = self.home(hash);
        for distance in 0..=mask {
            let Some(bucket) = self.buckets.get_mut((home + distance) & mask) else { return };
            if let Some(found) = bucket.slots.iter_mut().find(|other| **other == slot) {
                *found = 0;
                for passed in 0..distance {
                    if let Some(bucket) = self.buckets.get_mut((home + passed) & mask) {
                        bucket.passed = bucket.passed.saturating_sub(1);
                    }
                }
                return;
            }
            if bucket.passed == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::{Random, Seed};

    use super::*;

    #[test]
    fn entries_that_overflow_their_bucket_are_found_and_removed() {
        // Every hash has the same home, so buckets overflow one after the other.
        let mut index = Index::new(256);
        let hash = |number: u32| u64::from(number) << 40 | 5;
        for number in 0..100 {
            assert!(index.insert(hash(number), number));
        }
        for number in (0..100).step_by(3) {
            index.remove(hash(number), number);
        }
        for number in 0..100 {
            let expected = (number % 3 != 0).then_some(number);
            assert_eq!(index.find(hash(number), |found| found == number), expected);
        }
        for number in 0..100 {
            index.remove(hash(number), number);
        }
        assert!(index.buckets.iter().all(|bucket| bucket.passed == 0 && bucket.slots == [0; SLOTS]));
    }

    #[test]
    fn holds_all_records_it_was_made_for() {
        let mut random = Random::new(Seed::from_number(3));
        let mut index = Index::new(1 << 12);
        let hashes: alloc::vec::Vec<u64> = (0..1 << 12).map(|_| random.next_u64()).collect();
        for (number, hash) in hashes.iter().enumerate() {
            assert!(index.insert(*hash, number as u32));
        }
        for (number, hash) in hashes.iter().enumerate() {
            assert_eq!(index.find(*hash, |found| found == number as u32), Some(number as u32));
        }
    }
}
