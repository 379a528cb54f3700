//! Flows: what was decided about a connection, found again by every packet of it.
//!
//! A flow has two [`Record`]s, one per direction, each one cache line: the key and what to do with a packet that has it.
//! What only the slow path needs ([`Flow`]) lies apart. Time is a wheel of one-second slots, visited lazily: a packet
//! only notes when it came. Room is made by the oldest *transitory* flow (RFC 5382 §5: TCP opening or closing; UDP and
//! ICMP without an answer): second chance for those still in use, first of the device at its own limit, else of all.
//! Established flows are never evicted; UDP with answers only after the RFC's two minutes of silence.

mod eviction;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod map;
mod record;
pub(crate) mod tcp;
mod timers;

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use dialtone_base::{Duration, Instant, Random};

use self::index::Index;
use self::key::{HashKey, Key};
use self::list::{Chain, Link, NONE};
use self::tcp::TcpState;
use crate::config::Timeouts;
use crate::output::FlowCounters;
use crate::pipeline::Packet;

pub(crate) use self::eviction::NoRoom;
pub(crate) use self::record::{EGRESS_FLOOD, EGRESS_PUNT, Record, flag};

/// Moments in flow records: 2^17 µs (about 131 ms) since start; wraps after 17 years.
pub(crate) type Tick = u32;

const TICK_SHIFT: u32 = 17;
/// RFC 4787 REQ-5: the least a UDP mapping may live.
const UDP_LEAST: Duration = Duration::from_secs(120);

/// How a flow came to be; decides what is checked again when the configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From inside (or the router) to the WAN, through a mapping.
    Outbound,
    /// From the WAN to an open mapping.
    Inbound,
    /// From the WAN through a port forward.
    Forwarded,
    /// From the WAN to the exposed host.
    Exposed,
    /// From inside to inside by the WAN address.
    Hairpin,
    /// Between zones without translation, by a rule.
    Plain,
}

impl Origin {
    /// It hangs on the WAN address.
    pub(crate) const fn uses_wan(self) -> bool {
        !matches!(self, Self::Plain)
    }
}

/// Which timer and which right to stay a flow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// First to go.
    Transitory,
    /// UDP, ICMP and others with an answer.
    Answered,
    /// TCP in both directions.
    Established,
}

/// What only the slow path needs of a flow. One cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Flow {
    wheel: Link,
    /// In the list of all transitory flows, or of all answered ones.
    queue: Link,
    /// The same among the flows of its device.
    of_device: Link,
    /// Wheel slot it waits in.
    slot: u32,
    /// When it had been used when it was put at the end of its queues.
    queued: Tick,
    /// Its NAT mappings: of the opener, and of the answerer when it hairpins; `NONE` without.
    pub(crate) mappings: [u32; 2],
    /// Counts up with every use of this place, so that old references are noticed.
    pub(crate) generation: u32,
    /// Timers of TCP; meaningless for others.
    pub(crate) tcp: TcpState,
    pub(crate) origin: Origin,
    class: Class,
    protocol: u8,
    in_use: bool,
    device: u16,
}

const FREE_FLOW: Flow = Flow {
    wheel: Link::FREE,
    queue: Link::FREE,
    of_device: Link::FREE,
    slot: 0,
    queued: 0,
    mappings: [NONE; 2],
    generation: 0,
    tcp: TcpState::Opening,
    origin: Origin::Plain,
    class: Class::Transitory,
    protocol: 0,
    in_use: false,
    device: 0,
};

/// A flow that ended, with what the NAT must let go of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) mappings: [u32; 2],
    /// The far end as the mapping's filter knows it: whom the opener sent to, and whom the answerer was sent by.
    pub(crate) remotes: [Ipv4Addr; 2],
}

#[derive(Clone, Copy)]
struct DeviceFlows {
    flows: u32,
    transitory: Chain,
    answered: Chain,
}

impl DeviceFlows {
    const NONE: Self = Self { flows: 0, transitory: Chain::EMPTY, answered: Chain::EMPTY };

    /// The device's list of a class.
    fn chain(&mut self, class: Class) -> Option<&mut Chain> {
        match class {
            Class::Transitory => Some(&mut self.transitory),
            Class::Answered => Some(&mut self.answered),
            Class::Established => None,
        }
    }
}

/// The table.
pub(crate) struct FlowTable {
    index: Index,
    records: Box<[Record]>,
    flows: Box<[Flow]>,
    free: Box<[u32]>,
    free_count: usize,
    wheel: Box<[Chain]>,
    /// The next slot to look at, counted from start.
    cursor: u32,
    transitory: Chain,
    answered: Chain,
    devices: Box<[DeviceFlows]>,
    /// Where the last new flow found its room, if somebody had to go for it.
    evicting: Option<eviction::Queue>,
    per_device: u32,
    hash: HashKey,
    timeouts: Timeouts,
    opened: u64,
    expired: u64,
    evicted: u64,
    revoked: u64,
}

/// The tick `now` lies in.
#[inline(always)]
pub(crate) const fn tick(now: Instant) -> Tick {
    (now.as_micros() >> TICK_SHIFT) as Tick
}

/// Ticks of `length`, rounded up.
const fn ticks(length: Duration) -> u32 {
    let ticks = length.as_micros().div_ceil(1 << TICK_SHIFT);
    if ticks > 1 << 30 { 1 << 30 } else { ticks as u32 }
}

impl FlowTable {
    /// Room for `capacity` flows of `devices` devices (and all others together), `per_device` each.
    pub(crate) fn new(capacity: usize, devices: usize, per_device: usize, random: &mut Random) -> Self {
        let capacity = capacity.clamp(1, 1 << 24);
        // The lowest number is taken first.
        let free = (0..capacity as u32).rev().collect();
        Self {
            index: Index::new(capacity * 2),
            records: vec![Record::FREE; capacity * 2].into_boxed_slice(),
            flows: vec![FREE_FLOW; capacity].into_boxed_slice(),
            free,
            free_count: capacity,
            wheel: vec![Chain::EMPTY; timers::SLOTS].into_boxed_slice(),
            cursor: 0,
            transitory: Chain::EMPTY,
            answered: Chain::EMPTY,
            devices: vec![DeviceFlows::NONE; devices + 1].into_boxed_slice(),
            evicting: None,
            per_device: per_device.max(1) as u32,
            hash: HashKey::new(random),
            timeouts: Timeouts::default(),
            opened: 0,
            expired: 0,
            evicted: 0,
            revoked: 0,
        }
    }

    /// Sets the timers, raised to what the RFCs ask at least.
    pub(crate) fn set_timeouts(&mut self, timeouts: &Timeouts) {
        let least = Timeouts::default();
        self.timeouts = Timeouts {
            udp: timeouts.udp.max(UDP_LEAST),
            tcp_established: timeouts.tcp_established.max(least.tcp_established),
            tcp_transitory: timeouts.tcp_transitory.max(least.tcp_transitory),
            icmp: timeouts.icmp.max(least.icmp),
        };
    }

    #[inline(always)]
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.hash.of(key)
    }

    /// First touch of a batch: brings the bucket into the cache. The result only keeps the read from being left out.
    #[inline(always)]
    pub(crate) fn touch_index(&self, hash: u64) -> u32 {
        self.index.touch(hash)
    }

    /// The record that a hash most likely stands for, or [`NONE`].
    #[inline(always)]
    pub(crate) fn likely(&self, hash: u64) -> u32 {
        self.index.likely(hash).unwrap_or(NONE)
    }

    /// Second touch: brings the record into the cache.
    #[inline(always)]
    pub(crate) fn touch_record(&self, number: u32) -> u32 {
        self.records.get(number as usize).map_or(0, |record| record.epoch)
    }

    /// Brings the place of the next flow but `ahead` into the cache.
    #[inline]
    pub(crate) fn touch_next(&self, ahead: usize) -> u32 {
        let next =
            self.free_count.checked_sub(1 + ahead).and_then(|last| self.free.get(last)).copied().unwrap_or(0);
        let slot = self.flows.get(next as usize).map_or(0, |flow| flow.slot);
        slot ^ self.touch_record(next * 2) ^ self.touch_record(next * 2 + 1)
    }

    /// The record of a key; `likely` is looked at first, [`NONE`] for no guess.
    #[inline(always)]
    pub(crate) fn find_near(&self, likely: u32, hash: u64, key: &Key) -> Option<u32> {
        match self.records.get(likely as usize) {
            Some(record) if record.key == *key => Some(likely),
            _ => self.find(hash, key),
        }
    }

    /// The record of a key.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index
            .find(hash, |number| self.records.get(number as usize).is_some_and(|record| record.key == *key))
    }

    /// A record by number.
    #[inline(always)]
    pub(crate) fn record(&self, number: u32) -> Option<&Record> {
        self.records.get(number as usize)
    }

    #[inline(always)]
    pub(crate) fn record_mut(&mut self, number: u32) -> Option<&mut Record> {
        self.records.get_mut(number as usize)
    }

    /// The flow of a record.
    pub(crate) fn flow(&self, number: u32) -> Option<&Flow> {
        self.flows.get(number as usize >> 1)
    }

    pub(crate) const fn in_use(&self) -> usize {
        self.flows.len() - self.free_count
    }

    pub(crate) fn counters(&self) -> FlowCounters {
        FlowCounters {
            in_use: self.in_use() as u32,
            capacity: self.flows.len() as u32,
            mappings: 0,
            opened: self.opened,
            expired: self.expired,
            evicted: self.evicted,
            revoked: self.revoked,
        }
    }

    /// Flows of a device.
    pub(crate) fn flows_of(&self, device: u16) -> u32 {
        self.devices.get(device as usize).map_or(0, |device| device.flows)
    }

    /// Writes a flow with its two records, `forth` of the packet that opens it and found no flow, and `back` of its
    /// answers. Needs [`Self::make_room`] before. The number of `forth`, or `None` when the key of `back` is in use.
    pub(crate) fn open(
        &mut self,
        packet: &Packet,
        origin: Origin,
        mappings: [u32; 2],
        forth: Record,
        back: Record,
    ) -> Option<u32> {
        let now = packet.tick;
        let back_hash = self.hash(&back.key);
        if forth.key == back.key || self.find(back_hash, &back.key).is_some() {
            return None;
        }
        let last = self.free_count.checked_sub(1)?;
        let number = *self.free.get(last)?;
        self.free_count = last;
        *self.records.get_mut(number as usize * 2)? = Record { seen: now, ..forth };
        *self.records.get_mut(number as usize * 2 + 1)? = Record { seen: now, ..back };
        let flow = self.flows.get_mut(number as usize)?;
        *flow = Flow {
            mappings,
            generation: flow.generation.wrapping_add(1),
            origin,
            protocol: forth.key.protocol(),
            in_use: true,
            device: forth.device.index(),
            ..FREE_FLOW
        };
        self.index.insert(packet.hash, number * 2);
        self.index.insert(back_hash, number * 2 + 1);
        if let Some(device) = self.devices.get_mut(forth.device.index() as usize) {
            device.flows += 1;
        }
        self.queue(number);
        self.schedule(number, now);
        self.opened += 1;
        Some(number * 2)
    }

    /// Marks a packet of a direction that was not handled by the fast path; follows states and classes.
    pub(crate) fn advance(&mut self, number: u32, now: Tick, flags: Option<dialtone_wire::tcp::TcpFlags>) {
        let flow_number = number >> 1;
        let Some(flow) = self.flows.get_mut(flow_number as usize) else { return };
        let (refresh, class) = match flags {
            Some(flags) => {
                let side = if number & 1 == 0 { tcp::Side::Opener } else { tcp::Side::Answerer };
                let step = flow.tcp.step(side, flags);
                flow.tcp = step.state;
                let class = if step.state.is_established() { Class::Established } else { Class::Transitory };
                (step.refresh, class)
            }
            None => {
                let refresh = self.records.get(number as usize).is_some_and(|r| r.flags & flag::REFRESH != 0);
                // Whoever pings a thousand hosts gets a thousand answers: ICMP stays first to go.
                let answered = number & 1 == 1 && flow.protocol != 1;
                (refresh, if answered { Class::Answered } else { flow.class })
            }
        };
        let changed = flow.class != class;
        if let Some(record) = self.records.get_mut(number as usize).filter(|_| refresh) {
            record.seen = now;
        }
        if flags.is_some() {
            // Data of an established connection needs no state; everything else of TCP does.
            for record in self.records.iter_mut().skip(flow_number as usize * 2).take(2) {
                let fast = class == Class::Established;
                record.flags = if fast { record.flags | flag::FAST } else { record.flags & !flag::FAST };
            }
        } else if let Some(record) = self.records.get_mut(number as usize) {
            record.flags |= flag::FAST;
        }
        if changed {
            self.unqueue(flow_number);
            if let Some(flow) = self.flows.get_mut(flow_number as usize) {
                flow.class = class;
            }
            self.queue(flow_number);
            self.unschedule(flow_number);
            self.schedule(flow_number, now);
        }
    }

    /// Ends the flow a record belongs to, because what allowed it is gone.
    pub(crate) fn revoke(&mut self, number: u32) -> Ended {
        self.revoked += 1;
        self.end(number >> 1)
    }

    /// The next flow at or after `from` that hangs on the WAN address, as a record's number.
    pub(crate) fn next_on_wan(&self, from: u32, all: bool) -> Option<u32> {
        let flows = self.flows.iter().enumerate().skip(from as usize >> 1);
        flows
            .filter(|(_, flow)| flow.in_use && (all || flow.origin.uses_wan()))
            .map(|(number, _)| number as u32 * 2)
            .next()
    }

    fn end(&mut self, number: u32) -> Ended {
        let forth = self.records.get(number as usize * 2).copied().unwrap_or(Record::FREE);
        let back = self.records.get(number as usize * 2 + 1).copied().unwrap_or(Record::FREE);
        self.index.remove(self.hash(&forth.key), number * 2);
        self.index.remove(self.hash(&back.key), number * 2 + 1);
        self.unqueue(number);
        self.unschedule(number);
        let mut mappings = [NONE; 2];
        if let Some(flow) = self.flows.get_mut(number as usize) {
            mappings = flow.mappings;
            flow.in_use = false;
            flow.mappings = [NONE; 2];
            flow.generation = flow.generation.wrapping_add(1);
            if let Some(device) = self.devices.get_mut(flow.device as usize) {
                device.flows = device.flows.saturating_sub(1);
            }
        }
        for record in [number * 2, number * 2 + 1] {
            if let Some(record) = self.records.get_mut(record as usize) {
                *record = Record::FREE;
            }
        }
        if let Some(place) = self.free.get_mut(self.free_count) {
            *place = number;
            self.free_count += 1;
        }
        Ended { mappings, remotes: [forth.key.destination().0, forth.source] }
    }
}
