//! Who makes room for a new flow: the oldest transitory one, of the device at its limit or of all.
//!
//! Queues hold flows in the order in which they were last known to be used. Use is only noticed when a flow is about to
//! go: then it gets a second chance at the queue's end, as in the CLOCK algorithm, at most a few times per call.

use core::hint::black_box;

use super::list::{Link, Links, NONE};
use super::{Class, Ended, Flow, FlowTable, Record, Tick, UDP_LEAST, ticks};

/// Flows looked at to find one to evict.
const CHANCES: usize = 8;

/// Why there is no room for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Nothing may be evicted.
    Table,
    /// Nothing of this device may be evicted.
    Device,
}

/// Whose flows are looked at for one to evict.
#[derive(Clone, Copy)]
pub(super) enum Queue {
    All,
    Device(u16),
}

struct QueueLinks<'a>(&'a mut [Flow]);
struct DeviceLinks<'a>(&'a mut [Flow]);

impl Links for QueueLinks<'_> {
    #[inline(always)]
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.0.get_mut(index as usize).map(|flow| &mut flow.queue)
    }
}

impl Links for DeviceLinks<'_> {
    #[inline(always)]
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.0.get_mut(index as usize).map(|flow| &mut flow.of_device)
    }
}

impl FlowTable {
    /// Makes sure that [`Self::open`] has room for a flow of `device`; what had to go for it comes back.
    pub(crate) fn make_room(&mut self, now: Tick, device: u16) -> Result<Option<Ended>, NoRoom> {
        self.evicting = None;
        let (queue, full) = if self.flows_of(device) >= self.per_device {
            (Queue::Device(device), NoRoom::Device)
        } else if self.free_count == 0 {
            (Queue::All, NoRoom::Table)
        } else {
            return Ok(None);
        };
        self.evicting = Some(queue);
        self.evict_from(queue, now).map(Some).ok_or(full)
    }

    /// The next `count` flows to be evicted if the table stays as full as it was for the last new flow. Only a guess, to be
    /// touched in time.
    pub(crate) fn victims(&self, count: usize) -> heapless::Vec<u32, { crate::FEW }> {
        let mut victims = heapless::Vec::new();
        let device = |index: u16| self.devices.get(index as usize).map(|device| device.transitory);
        let chain = match self.evicting {
            Some(Queue::All) => Some(self.transitory),
            Some(Queue::Device(index)) => device(index),
            None => None,
        };
        let mut next = chain.and_then(|chain| chain.oldest()).unwrap_or(NONE);
        while victims.len() < count
            && let Some(flow) = self.flows.get(next as usize)
            && victims.push(next).is_ok()
        {
            next =
                if let Some(Queue::Device(_)) = self.evicting { flow.of_device } else { flow.queue }.next();
        }
        victims
    }

    /// Reads the places that [`Self::end`] will look at: the flow's first record with its mapping.
    pub(crate) fn touch_ended(&self, number: u32) -> Option<(&Record, u32)> {
        let (forth, back) = (self.record(number * 2)?, self.record(number * 2 + 1)?);
        let touched = self.touch_index(self.hash(&forth.key)) ^ self.touch_index(self.hash(&back.key));
        black_box(touched);
        Some((forth, self.flow(number * 2)?.mappings[0]))
    }

    /// Ends the oldest flow that may be evicted.
    pub(crate) fn evict(&mut self, now: Tick) -> Option<Ended> {
        self.evict_from(Queue::All, now)
    }

    fn evict_from(&mut self, queue: Queue, now: Tick) -> Option<Ended> {
        let victim = match self.oldest(queue, Class::Transitory) {
            Some(_) => self.oldest_unused(queue, Class::Transitory)?,
            // RFC 4787 REQ-5: what was answered stays for two silent minutes.
            None => {
                let oldest = self.oldest_unused(queue, Class::Answered)?;
                if self.idle(oldest, now) < ticks(UDP_LEAST) {
                    return None;
                }
                oldest
            }
        };
        self.evicted += 1;
        Some(self.end(victim))
    }

    fn oldest(&mut self, queue: Queue, class: Class) -> Option<u32> {
        match (queue, class) {
            (Queue::All, Class::Transitory) => self.transitory.oldest(),
            (Queue::All, _) => self.answered.oldest(),
            (Queue::Device(device), class) => self.devices.get_mut(device as usize)?.chain(class)?.oldest(),
        }
    }

    /// The oldest of a queue, after those that were used since they were queued got their second chance.
    fn oldest_unused(&mut self, queue: Queue, class: Class) -> Option<u32> {
        let mut oldest = self.oldest(queue, class)?;
        for _ in 0..CHANCES {
            if !self.used_since_queued(oldest) {
                break;
            }
            self.requeue(oldest);
            oldest = self.oldest(queue, class)?;
        }
        Some(oldest)
    }

    fn used_since_queued(&self, flow: u32) -> bool {
        let queued = self.flows.get(flow as usize).map_or(0, |flow| flow.queued);
        let seen = self.seen(flow);
        // Ticks wrap; a difference below half the range lies in the future.
        seen != queued && seen.wrapping_sub(queued) < u32::MAX / 2
    }

    pub(super) fn seen(&self, flow: u32) -> Tick {
        let first = self.records.get(flow as usize * 2).map_or(0, |record| record.seen);
        let second = self.records.get(flow as usize * 2 + 1).map_or(0, |record| record.seen);
        if second.wrapping_sub(first) < u32::MAX / 2 { second } else { first }
    }

    pub(super) fn idle(&self, flow: u32, now: Tick) -> u32 {
        let idle = now.wrapping_sub(self.seen(flow));
        if idle > u32::MAX / 2 { 0 } else { idle }
    }

    fn requeue(&mut self, flow: u32) {
        self.unqueue(flow);
        self.queue(flow);
    }

    pub(super) fn queue(&mut self, number: u32) {
        let seen = self.seen(number);
        let Some(flow) = self.flows.get_mut(number as usize) else { return };
        flow.queued = seen;
        let (class, device) = (flow.class, flow.device);
        match class {
            Class::Transitory => self.transitory.push(&mut QueueLinks(&mut self.flows), number),
            Class::Answered => self.answered.push(&mut QueueLinks(&mut self.flows), number),
            Class::Established => return,
        }
        if let Some(chain) = self.devices.get_mut(device as usize).and_then(|device| device.chain(class)) {
            chain.push(&mut DeviceLinks(&mut self.flows), number);
        }
    }

    pub(super) fn unqueue(&mut self, number: u32) {
        let Some(flow) = self.flows.get(number as usize) else { return };
        let (class, device) = (flow.class, flow.device);
        match class {
            Class::Transitory => self.transitory.remove(&mut QueueLinks(&mut self.flows), number),
            Class::Answered => self.answered.remove(&mut QueueLinks(&mut self.flows), number),
            Class::Established => return,
        }
        if let Some(chain) = self.devices.get_mut(device as usize).and_then(|device| device.chain(class)) {
            chain.remove(&mut DeviceLinks(&mut self.flows), number);
        }
    }
}
