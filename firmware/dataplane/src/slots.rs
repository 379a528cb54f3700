//! A bounded hash table with stable slots, for the tables off the fast path.
//!
//! Chained by index, hashed with a key from the seed so that strangers cannot choose collisions. Never allocates after
//! [`Slots::new`]. Full is `None`: the owner decides who has to go, usually among the few slots that
//! [`Slots::candidates`] offers, so that a flood costs bounded work per packet.

use alloc::boxed::Box;
use alloc::vec::Vec;

use dialtone_base::{MacAddress, Random, Zone};

/// Something that can be hashed through 64 bits that identify it.
pub(crate) trait SlotKey: Copy + Eq {
    /// Different for different keys.
    fn bits(self) -> u64;
}

/// A station on one of the router's networks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StationKey(pub(crate) Zone, pub(crate) MacAddress);

impl SlotKey for StationKey {
    fn bits(self) -> u64 {
        let [a, b, c, d, e, f] = self.1.0;
        u64::from_be_bytes([0, self.0.index() as u8, a, b, c, d, e, f])
    }
}

/// Up to `capacity` values by key.
pub(crate) struct Slots<K, V> {
    slots: Box<[Slot<K, V>]>,
    heads: Box<[u16]>,
    free: u16,
    used: usize,
    cursor: usize,
    secret: [u64; 2],
}

struct Slot<K, V> {
    entry: Option<(K, V)>,
    next: u16,
}

const NONE: u16 = u16::MAX;

impl<K: SlotKey, V> Slots<K, V> {
    /// Room for `capacity` values, 1 to 65 535 (others are clamped).
    pub fn new(capacity: usize, random: &mut Random) -> Self {
        let capacity = capacity.clamp(1, usize::from(NONE));
        let slots: Vec<_> = (0..capacity)
            .map(|index| Slot {
                entry: None,
                next: if index + 1 < capacity { index as u16 + 1 } else { NONE },
            })
            .collect();
        Self {
            slots: slots.into_boxed_slice(),
            heads: alloc::vec![NONE; capacity.next_power_of_two()].into_boxed_slice(),
            free: 0,
            used: 0,
            cursor: 0,
            secret: [random.next_u64(), random.next_u64() | 1],
        }
    }

    /// Values in it.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Values it has room for.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The slot of `key`.
    pub fn find(&self, key: K) -> Option<usize> {
        let mut at = *self.heads.get(self.bucket(key))?;
        while let Some(slot) = self.slots.get(usize::from(at)) {
            if slot.entry.as_ref().is_some_and(|(other, _)| *other == key) {
                return Some(usize::from(at));
            }
            at = slot.next;
        }
        None
    }

    /// Key and value in a slot.
    pub fn at(&self, index: usize) -> Option<(K, &V)> {
        self.slots.get(index)?.entry.as_ref().map(|(key, value)| (*key, value))
    }

    /// Key and value in a slot, to change the value.
    pub fn at_mut(&mut self, index: usize) -> Option<(K, &mut V)> {
        self.slots.get_mut(index)?.entry.as_mut().map(|(key, value)| (*key, value))
    }

    /// The value of `key`, to change.
    pub fn value_mut(&mut self, key: K) -> Option<&mut V> {
        let index = self.find(key)?;
        self.at_mut(index).map(|(_, value)| value)
    }

    /// Stores a value under a key that is not in the table; `None` when it is full.
    pub fn insert(&mut self, key: K, value: V) -> Option<usize> {
        let bucket = self.bucket(key);
        let index = self.free;
        let slot = self.slots.get_mut(usize::from(index))?;
        self.free = slot.next;
        let head = self.heads.get_mut(bucket)?;
        *slot = Slot { entry: Some((key, value)), next: *head };
        *head = index;
        self.used += 1;
        Some(usize::from(index))
    }

    /// Empties a slot.
    pub fn remove(&mut self, index: usize) -> Option<(K, V)> {
        let (key, _) = self.at(index)?;
        let bucket = self.bucket(key);
        let next = self.slots.get(index)?.next;
        // Unhook it: from the head, or from the slot before.
        let mut at = *self.heads.get(bucket)?;
        if usize::from(at) == index {
            *self.heads.get_mut(bucket)? = next;
        } else {
            while let Some(slot) = self.slots.get_mut(usize::from(at)) {
                if usize::from(slot.next) == index {
                    slot.next = next;
                    break;
                }
                at = slot.next;
            }
        }
        let slot = self.slots.get_mut(index)?;
        slot.next = self.free;
        self.free = index as u16;
        self.used -= 1;
        slot.entry.take()
    }

    /// Empties every slot whose entry `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(K, &V) -> bool) {
        for index in 0..self.slots.len() {
            if self.at(index).is_some_and(|(key, value)| !keep(key, value)) {
                self.remove(index);
            }
        }
    }

    /// The next `count` slots in turn; each call goes on where the last one ended.
    pub fn candidates(&mut self, count: usize) -> impl Iterator<Item = usize> + use<K, V> {
        let (start, capacity) = (self.cursor, self.slots.len());
        let count = count.min(capacity);
        self.cursor = (start + count) % capacity;
        (start..start + count).map(move |index| index % capacity)
    }

    /// Every slot in use.
    pub fn iter(&self) -> impl Iterator<Item = (usize, K, &V)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let (key, value) = slot.entry.as_ref()?;
            Some((index, *key, value))
        })
    }

    fn bucket(&self, key: K) -> usize {
        // Folded multiplication: every bit of the key reaches the low bits, the secret decides how.
        let product = u128::from(key.bits() ^ self.secret[0]) * u128::from(self.secret[1]);
        let hash = (product >> 64) as u64 ^ product as u64;
        hash as usize & (self.heads.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::HashMap;

    use dialtone_base::Seed;

    use super::*;

    impl SlotKey for u32 {
        fn bits(self) -> u64 {
            self.into()
        }
    }

    #[test]
    fn it_behaves_like_a_map_that_says_when_it_is_full() {
        let mut random = Random::new(Seed::from_number(3));
        let mut slots: Slots<u32, u32> = Slots::new(37, &mut random);
        let mut model = HashMap::new();
        for step in 0..20_000 {
            let key = random.below(80);
            match (slots.find(key), random.below(2)) {
                (Some(index), 0) => {
                    assert_eq!(
                        slots.remove(index).map(|(_, value)| value),
                        model.remove(&key),
                        "step {step}"
                    );
                }
                (Some(_), _) => {
                    assert_eq!(slots.value_mut(key).map(|value| *value), model.get(&key).copied())
                }
                (None, 0) => assert!(!model.contains_key(&key), "step {step}"),
                (None, _) => {
                    let stored = slots.insert(key, step);
                    assert_eq!(stored.is_none(), model.len() == 37, "step {step}");
                    if stored.is_some() {
                        model.insert(key, step);
                    }
                }
            }
            assert_eq!(slots.len(), model.len());
        }
        slots.retain(|key, _| key % 2 == 0);
        model.retain(|key, _| key % 2 == 0);
        assert_eq!(slots.iter().map(|(_, key, value)| (key, *value)).collect::<HashMap<_, _>>(), model);
    }
}
