//! A hash map of fixed capacity from words to words, for what is not the hot path.
//!
//! Open addressing with linear probing, never above two thirds full, entries shifted back on removal so that no tombstones pile
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
    room: usize,
}

impl WordMap {
    /// Room for `capacity` entries.
    pub(crate) fn new(capacity: usize, hash: HashKey) -> Self {
        let size = (capacity.max(4) * 3 / 2).next_power_of_two();
        Self {
            entries: vec![Entry { key: 0, value: 0 }; size].into_boxed_slice(),
            hash,
            used: 0,
            room: size * 2 / 3,
        }
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

    /// Counts up the value of a key; one that is not in it yet is added with 1, when there is room.
    #[inline]
    pub(crate) fn add(&mut self, key: u64) -> bool {
        let (has_room, mask) = (self.has_room(), self.entries.len() - 1);
        let mut at = self.home(key);
        while let Some(entry) = self.entries.get_mut(at) {
            if entry.key == key && key != 0 {
                entry.value += 1;
                return true;
            }
            if entry.key == 0 {
                let added = has_room && key != 0;
                if added {
                    *entry = Entry { key, value: 1 };
                    self.used += 1;
                }
                return added;
            }
            at = (at + 1) & mask;
        }
        false
    }

    /// Counts down the value of a key; at 0 the key goes.
    #[inline]
    pub(crate) fn subtract(&mut self, key: u64) {
        let Some(at) = self.position(key) else { return };
        match self.entries.get_mut(at) {
            Some(entry) if entry.value > 1 => entry.value -= 1,
            _ => {
                self.remove_at(at);
            }
        }
    }

    /// Adds a key that is not in it; `false` when full or the key is 0.
    #[inline]
    pub(crate) fn insert(&mut self, key: u64, value: u32) -> bool {
        if key == 0 || !self.has_room() {
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

    const fn has_room(&self) -> bool {
        self.used < self.room
    }

    /// Takes a key out; its value.
    #[inline]
    pub(crate) fn remove(&mut self, key: u64) -> Option<u32> {
        self.position(key).and_then(|at| self.remove_at(at))
    }

    fn remove_at(&mut self, mut hole: usize) -> Option<u32> {
        let mask = self.entries.len() - 1;
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
                match random.below(5) {
                    0 if reference.len() < 64 && !reference.contains_key(&key) => {
                        let value = random.below(3) + 1;
                        assert!(map.insert(key, value));
                        reference.insert(key, value);
                    }
                    1 => assert_eq!(map.remove(key), reference.remove(&key), "seed {number}"),
                    2 if reference.len() < 64 => {
                        assert!(map.add(key));
                        *reference.entry(key).or_insert(0) += 1;
                    }
                    3 => {
                        map.subtract(key);
                        if let Some(value) = reference.remove(&key).filter(|value| *value > 1) {
                            reference.insert(key, value - 1);
                        }
                    }
                    _ => assert_eq!(map.find(key), reference.get(&key).copied(), "seed {number}"),
                }
            }
        }
    }

    #[test]
    fn a_full_map_refuses() {
        let mut random = Random::new(Seed::from_number(1));
        let mut map = WordMap::new(10, HashKey::new(&mut random));
        assert_eq!((1..=12).filter(|key| map.insert(*key, 0)).count(), 10);
    }
}
