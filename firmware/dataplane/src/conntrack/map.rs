//! A hash map of fixed capacity from words to words, for what is not the hot path.
//!
//! Open addressing with linear probing, never above half full, entries shifted back on removal so that no tombstones pile
//! up. Keys are non-zero. The hash is keyed ([`HashKey`]).

use alloc::boxed::Box;
use alloc::vec;

use super::key::HashKey;

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    value: u32,
}

/// The map. Key 0 is not a key.
pub(crate) struct WordMap {
    entries: Box<[Entry]>,
    hash: HashKey,
    used: usize,
}

impl WordMap {
    /// Room for `capacity` entries.
    pub(crate) fn new(capacity: usize, hash: HashKey) -> Self {
        let size = (capacity.max(4) * 2).next_power_of_two();
        Self { entries: vec![Entry { key: 0, value: 0 }; size].into_boxed_slice(), hash, used: 0 }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        self.hash.of_words(key, 0x6d61_7000) as usize & (self.entries.len() - 1)
    }

    #[inline]
    fn position(&self, key: u64) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(key);
        loop {
            let entry = self.entries.get(at)?;
            if entry.key == key {
                return Some(at);
            }
            if entry.key == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Reads a key's first place so that it is in the cache when it is needed; the result only keeps the read alive.
    #[inline]
    pub(crate) fn touch(&self, key: u64) -> u32 {
        self.entries.get(self.home(key)).map_or(0, |entry| entry.value)
    }

    #[inline]
    pub(crate) fn find(&self, key: u64) -> Option<u32> {
        self.position(key).and_then(|at| self.entries.get(at)).map(|entry| entry.value)
    }

    /// The value to change.
    #[inline]
    pub(crate) fn value(&mut self, key: u64) -> Option<&mut u32> {
        let at = self.position(key)?;
        self.entries.get_mut(at).map(|entry| &mut entry.value)
    }

    /// Adds a key that is not in it; `false` when half full or the key is 0.
    #[inline]
    pub(crate) fn insert(&mut self, key: u64, value: u32) -> bool {
        if key == 0 || self.used * 2 >= self.entries.len() {
            return false;
        }
        let mask = self.entries.len() - 1;
        let mut at = self.home(key);
        while let Some(entry) = self.entries.get_mut(at) {
            if entry.key == 0 {
                *entry = Entry { key, value };
                self.used += 1;
                return true;
            }
            at = (at + 1) & mask;
        }
        false
    }

    /// Takes a key out; its value.
    #[inline]
    pub(crate) fn remove(&mut self, key: u64) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut hole = self.position(key)?;
        let value = self.entries.get(hole)?.value;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = *self.entries.get(at)?;
            if entry.key == 0 {
                break;
            }
            // It may move back only as far as its home.
            let from_home = at.wrapping_sub(self.home(entry.key)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                *self.entries.get_mut(hole)? = entry;
                hole = at;
            }
        }
        *self.entries.get_mut(hole)? = Entry { key: 0, value: 0 };
        self.used -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashMap;

    use dialtone_base::{Random, Seed};

    use super::*;

    #[test]
    fn agrees_with_a_reference_map_over_random_steps() {
        for number in 0..20 {
            let mut random = Random::new(Seed::from_number(number));
            let mut map = WordMap::new(64, HashKey::new(&mut random));
            let mut reference = HashMap::new();
            for _ in 0..5_000 {
                let key = u64::from(random.below(100)) + 1;
                match random.below(3) {
                    0 if reference.len() < 64 && !reference.contains_key(&key) => {
                        let value = random.next_u32();
                        assert!(map.insert(key, value));
                        reference.insert(key, value);
                    }
                    1 => assert_eq!(map.remove(key), reference.remove(&key), "seed {number}"),
                    _ => assert_eq!(map.find(key), reference.get(&key).copied(), "seed {number}"),
                }
            }
        }
    }

    #[test]
    fn a_full_map_refuses() {
        let mut random = Random::new(Seed::from_number(1));
        let mut map = WordMap::new(8, HashKey::new(&mut random));
        assert_eq!((1..=9).filter(|key| map.insert(*key, 0)).count(), 8);
    }
}
