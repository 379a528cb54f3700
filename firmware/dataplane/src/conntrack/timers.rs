//! When flows end: a wheel of one-second slots, looked at lazily.
//!
//! A packet only notes when it came. A flow waits in the slot in which its timer could run out at the earliest; when the
//! slot's time comes it ends, or goes to the slot its last packet asks for. Work per call is bounded by the caller.

use dialtone_base::Instant;

use super::list::{Chain, Link, Links};
use super::{Class, Ended, Flow, FlowTable, TICK_SHIFT, Tick, UDP_LEAST, ticks};

/// Ticks of one slot of the wheel, as a power of two: about one second.
const SLOT_SHIFT: u32 = 3;
/// Slots of the wheel: 2 h 23 min, more than the longest default timer. Longer timers are looked at once per turn.
pub(super) const SLOTS: usize = 8192;
/// Share of the table in use, in percent, above which timers get short.
const PRESSURE: usize = 75;
struct WheelLinks<'a>(&'a mut [Flow]);
impl Links for WheelLinks<'_> {
    #[inline(always)]
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.0.get_mut(index as usize).map(|flow| &mut flow.wheel)
    }
}

impl FlowTable {
    fn timeout(&self, flow: u32) -> u32 {
        let Some(flow) = self.flows.get(flow as usize) else { return 0 };
        ticks(match (flow.protocol, flow.class) {
            (6, Class::Established) => self.timeouts.tcp_established,
            (6, _) => self.timeouts.tcp_transitory,
            (1, _) => self.timeouts.icmp,
            _ if self.is_under_pressure() => UDP_LEAST,
            _ => self.timeouts.udp,
        })
    }

    /// Puts a flow into the wheel, where it is looked at when its timer could have run out at the earliest.
    pub(super) fn schedule(&mut self, number: u32, now: Tick) {
        let timeout = self.timeout(number);
        // UDP timers shrink under pressure, so those flows are looked at early.
        let is_udp = self.flows.get(number as usize).is_some_and(|flow| !matches!(flow.protocol, 1 | 6));
        let due = self.seen(number).wrapping_add(timeout);
        let remaining = due.wrapping_sub(now);
        let remaining = if remaining > u32::MAX / 2 { 0 } else { remaining };
        let remaining = if is_udp { remaining.min(ticks(UDP_LEAST)) } else { remaining };
        // One slot on, since a slot is visited when it begins.
        let ahead = ((remaining >> SLOT_SHIFT) + 1).min(SLOTS as u32 - 1);
        let slot = (now >> SLOT_SHIFT).max(self.cursor.saturating_sub(1)).saturating_add(ahead);
        if let Some(flow) = self.flows.get_mut(number as usize) {
            flow.slot = slot;
        }
        if let Some(chain) = self.wheel.get_mut(slot as usize % SLOTS) {
            chain.push(&mut WheelLinks(&mut self.flows), number);
        }
    }

    pub(super) fn unschedule(&mut self, number: u32) {
        let slot = self.flows.get(number as usize).map_or(0, |flow| flow.slot);
        if let Some(chain) = self.wheel.get_mut(slot as usize % SLOTS) {
            chain.remove(&mut WheelLinks(&mut self.flows), number);
        }
    }

    /// Looks at flows whose timer may have run out, at most `budget` of them; one that ended, if any. Call again while
    /// something comes back and budget is left.
    pub(crate) fn expire(&mut self, now: Tick, budget: &mut u32) -> Option<Ended> {
        let current = now >> SLOT_SHIFT;
        if self.in_use() == 0 {
            self.cursor = current;
            return None;
        }
        // More than one turn behind: every slot is due once.
        if current.saturating_sub(self.cursor) > SLOTS as u32 {
            self.cursor = current - SLOTS as u32;
        }
        while self.cursor <= current {
            let oldest = self.wheel.get(self.cursor as usize % SLOTS).and_then(Chain::oldest);
            let Some(number) = oldest else {
                self.cursor += 1;
                continue;
            };
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            if self.idle(number, now) >= self.timeout(number) {
                self.expired += 1;
                return Some(self.end(number));
            }
            self.unschedule(number);
            self.schedule(number, now);
        }
        None
    }

    /// When [`Self::expire`] wants to be called again.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        (self.in_use() > 0)
            .then(|| Instant::from_micros((u64::from(self.cursor) << SLOT_SHIFT) << TICK_SHIFT))
    }

    fn is_under_pressure(&self) -> bool {
        self.in_use() * 100 > self.flows.len() * PRESSURE
    }
}
