//! Frames that wait for a neighbor's answer: few per neighbor, bounded together, released in order.

use alloc::boxed::Box;

use dialtone_base::Frame;

use super::Key;
use crate::Ingress;

/// The frames that wait.
pub(super) struct HoldQueue {
    places: Box<[Option<Held>]>,
    count: usize,
    order: u64,
}

/// One of them.
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) from: Ingress,
    pub(super) frame: Frame,
    order: u64,
}

impl HoldQueue {
    /// Room for `capacity` frames.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: (0..capacity).map(|_| None).collect(), count: 0, order: 0 }
    }

    /// Frames in it.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a frame. What had to go comes back: the neighbor's oldest when it has `limit` already, or the frame itself.
    pub(super) fn push(&mut self, key: Key, limit: usize, from: Ingress, frame: Frame) -> Option<Frame> {
        let same = |held: &&Held| held.key == key;
        let refused = if self.places.iter().flatten().filter(same).count() >= limit {
            self.take_oldest(|other| (other == key).then_some(())).map(|(held, ())| held.frame)
        } else {
            None
        };
        let Some(place) = self.places.iter_mut().find(|place| place.is_none()) else { return Some(frame) };
        *place = Some(Held { key, from, frame, order: self.order });
        self.order += 1;
        self.count += 1;
        refused
    }

    /// The oldest frame for which `decide` has an answer, with that answer.
    pub(super) fn take_oldest<T: Copy>(&mut self, decide: impl Fn(Key) -> Option<T>) -> Option<(Held, T)> {
        let mut oldest: Option<(usize, u64, T)> = None;
        for (index, held) in self.places.iter().enumerate() {
            let Some(held) = held else { continue };
            if oldest.is_none_or(|(_, order, _)| held.order < order)
                && let Some(answer) = decide(held.key)
            {
                oldest = Some((index, held.order, answer));
            }
        }
        let (index, _, answer) = oldest?;
        let held = self.places.get_mut(index)?.take()?;
        self.count -= 1;
        Some((held, answer))
    }
}
