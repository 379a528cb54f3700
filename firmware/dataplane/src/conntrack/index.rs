//! From a hash to a record: buckets of one cache line with a tag per slot.
//!
//! A bucket holds 12 slots and the count of entries that had to go on to the next bucket. A slot is a record's number and a
//! tag of seven bits of the hash; tags lie together, so that eight of them are compared at once. The caller compares the
//! key in the record. Two thirds of the slots are in use when every record is, so almost every lookup reads one bucket.

use alloc::boxed::Box;
use alloc::vec;

const SLOTS: usize = 12;
/// Tags compared in the first step; the others follow in a second.
const FIRST: usize = 8;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    /// 0 is an empty slot; others have the upper bit set.
    tags: [u8; SLOTS],
    /// Entries whose home is this bucket or an earlier one and that live behind it.
    passed: u32,
    numbers: [u32; SLOTS],
}

impl Bucket {
    const EMPTY: Self = Self { tags: [0; SLOTS], passed: 0, numbers: [0; SLOTS] };

    /// The slots that may have the tag, as the upper bits of bytes: the first eight, then the others. A slot above a right
    /// one may be named wrongly; the caller compares anyway.
    #[inline(always)]
    fn matches(&self, tag: u8) -> [u64; 2] {
        let pattern = u64::from(tag) * LOW_BITS;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.tags;
        let words =
            [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, 0, 0, 0, 0])];
        words.map(|word| {
            let other = word ^ pattern;
            other.wrapping_sub(LOW_BITS) & !other & HIGH_BITS
        })
    }
}

/// The index.
pub(crate) struct Index {
    buckets: Box<[Bucket]>,
}

impl Index {
    /// For `records` records.
    pub(crate) fn new(records: usize) -> Self {
        let buckets = (records.div_ceil(8)).next_power_of_two().max(1);
        Self { buckets: vec![Bucket::EMPTY; buckets].into_boxed_slice() }
    }

    #[inline(always)]
    fn tag(hash: u64) -> u8 {
        (hash >> 56) as u8 | 0x80
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
        let [first, others] = bucket.matches(Self::tag(hash));
        let slot = if first != 0 { slot_of(first) } else { FIRST + slot_of(others) };
        bucket.numbers.get(slot).copied()
    }

    /// The record for which `is_it` holds.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = Self::tag(hash);
        let mut at = self.home(hash);
        loop {
            let bucket = self.buckets.get(at)?;
            for (mut matches, base) in bucket.matches(tag).into_iter().zip([0, FIRST]) {
                while matches != 0 {
                    // Beyond the last slot only where a tag was named wrongly.
                    if let Some(number) = bucket.numbers.get(base + slot_of(matches))
                        && is_it(*number)
                    {
                        return Some(*number);
                    }
                    matches &= matches - 1;
                }
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
        let mask = self.buckets.len() - 1;
        let home = self.home(hash);
        for distance in 0..=mask {
            let Some(bucket) = self.buckets.get_mut((home + distance) & mask) else { return false };
            let slots = bucket.tags.iter_mut().zip(&mut bucket.numbers);
            if let Some((tag, place)) = slots.into_iter().find(|(tag, _)| **tag == 0) {
                (*tag, *place) = (Self::tag(hash), number);
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
        let wanted = Self::tag(hash);
        let mask = self.buckets.len() - 1;
        let home = self.home(hash);
        for distance in 0..=mask {
            let Some(bucket) = self.buckets.get_mut((home + distance) & mask) else { return };
            let slots = bucket.tags.iter_mut().zip(&bucket.numbers);
            if let Some((tag, _)) =
                slots.into_iter().find(|(tag, other)| **tag == wanted && **other == number)
            {
                *tag = 0;
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

#[inline(always)]
const fn slot_of(matches: u64) -> usize {
    matches.trailing_zeros() as usize / 8
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
        assert!(index.buckets.iter().all(|bucket| bucket.passed == 0 && bucket.tags == [0; SLOTS]));
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
