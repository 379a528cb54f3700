//! Flows: what was decided about a connection, found again by every packet of it.
//!
//! A flow has two [`Record`]s, one per direction, each one cache line: the key and what to do with a packet that has it.
//! What only the slow path needs ([`Flow`]) lies apart. Time is a wheel of one-second slots, visited lazily: a packet
//! only notes when it came. Room is made by the oldest *transitory* flow (RFC 5382 §5: TCP opening or closing; UDP and
//! ICMP without an answer): second chance for those still in use, first of the device at its own limit, else of all.
//! Established flows are never evicted; UDP with answers only after the RFC's two minutes of silence.

pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod tcp;

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use dialtone_base::{Duration, Instant, Random};
use dialtone_wire::checksum::Delta;

use self::index::Index;
use self::key::{HashKey, Key};
use self::list::{Chain, Link, Links, NONE};
use self::tcp::TcpState;
use crate::accounting::DeviceHandle;
use crate::config::Timeouts;
use crate::output::FlowCounters;

/// Moments in flow records: 2^17 µs (about 131 ms) since start; wraps after 17 years.
pub(crate) type Tick = u32;

const TICK_SHIFT: u32 = 17;
/// Ticks of one slot of the wheel, as a power of two: about one second.
const SLOT_SHIFT: u32 = 3;
/// Slots of the wheel: 2 h 23 min, more than the longest default timer. Longer timers are looked at once per turn.
const SLOTS: usize = 8192;
/// Share of the table in use, in percent, above which timers get short.
const PRESSURE: usize = 75;
/// RFC 4787 REQ-5: the least a UDP mapping may live.
const UDP_LEAST: Duration = Duration::from_secs(120);
/// Flows looked at to find one to evict.
const CHANCES: usize = 8;

/// The record of one direction does not end at a port but at the router's stack for the WAN.
pub(crate) const EGRESS_PUNT: u8 = 0xff;
/// The station's port is not known: to every port of the zone (see [`Record::zone`]).
pub(crate) const EGRESS_FLOOD: u8 = 0xfe;

/// Bits of [`Record::flags`].
pub(crate) mod flag {
    /// The fast path may handle packets of this direction.
    pub(crate) const FAST: u8 = 1;
    /// Packets of this direction restart the idle timer.
    pub(crate) const REFRESH: u8 = 2;
}

/// One direction of a flow: how its packets look when they arrive, and what they become. One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Record {
    pub(crate) key: Key,
    /// Addresses and ports afterwards.
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// What the new addresses change in the pseudo-header's sum.
    pub(crate) address_delta: Delta,
    /// What addresses and ports change in the transport's checksum.
    pub(crate) transport_delta: Delta,
    /// What addresses and one hop less change in the IP header's checksum.
    pub(crate) hop_delta: Delta,
    /// Destination and source MAC afterwards, as on the wire.
    pub(crate) macs: [u8; 12],
    /// Port it leaves by, or one of the `EGRESS_` values.
    pub(crate) egress: u8,
    pub(crate) flags: u8,
    /// Longest IP packet of the way out.
    pub(crate) mtu: u16,
    /// The device it is accounted to.
    pub(crate) device: DeviceHandle,
    /// Port its packets come in by; another one means that the station moved.
    pub(crate) ingress: u8,
    /// Zone of `egress`, as an index.
    pub(crate) zone: u8,
    /// When the last packet came that counts for the timer.
    pub(crate) seen: Tick,
    /// Configuration under which the decision was made.
    pub(crate) epoch: u32,
}

impl Record {
    pub(crate) const FREE: Self = Self {
        key: Key::new(key::Realm::Lan, 0, (Ipv4Addr::UNSPECIFIED, 0), (Ipv4Addr::UNSPECIFIED, 0)),
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::UNSPECIFIED,
        source_port: 0,
        destination_port: 0,
        address_delta: Delta::NONE,
        transport_delta: Delta::NONE,
        hop_delta: Delta::NONE,
        macs: [0; 12],
        egress: 0,
        flags: 0,
        mtu: 0,
        device: DeviceHandle::NOBODY,
        ingress: 0,
        zone: 0,
        seen: 0,
        epoch: 0,
    };
}

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

/// What only the slow path needs of a flow.
#[derive(Clone, Copy)]
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
enum Queue {
    All,
    Device(u16),
}

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
    per_device: u32,
    hash: HashKey,
    timeouts: Timeouts,
    opened: u64,
    expired: u64,
    evicted: u64,
    revoked: u64,
}

struct WheelLinks<'a>(&'a mut [Flow]);
struct QueueLinks<'a>(&'a mut [Flow]);
struct DeviceLinks<'a>(&'a mut [Flow]);

impl Links for WheelLinks<'_> {
    #[inline(always)]
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.0.get_mut(index as usize).map(|flow| &mut flow.wheel)
    }
}

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
            wheel: vec![Chain::EMPTY; SLOTS].into_boxed_slice(),
            cursor: 0,
            transitory: Chain::EMPTY,
            answered: Chain::EMPTY,
            devices: vec![DeviceFlows::NONE; devices + 1].into_boxed_slice(),
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

    pub(crate) fn is_under_pressure(&self) -> bool {
        self.in_use() * 100 > self.flows.len() * PRESSURE
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

    /// Makes sure that [`Self::open`] has room for a flow of `device`; what had to go for it comes back.
    pub(crate) fn make_room(&mut self, now: Tick, device: u16) -> Result<Option<Ended>, NoRoom> {
        let (queue, full) = if self.flows_of(device) >= self.per_device {
            (Queue::Device(device), NoRoom::Device)
        } else if self.free_count == 0 {
            (Queue::All, NoRoom::Table)
        } else {
            return Ok(None);
        };
        self.evict_from(queue, now).map(Some).ok_or(full)
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

    fn seen(&self, flow: u32) -> Tick {
        let first = self.records.get(flow as usize * 2).map_or(0, |record| record.seen);
        let second = self.records.get(flow as usize * 2 + 1).map_or(0, |record| record.seen);
        if second.wrapping_sub(first) < u32::MAX / 2 { second } else { first }
    }

    fn idle(&self, flow: u32, now: Tick) -> u32 {
        let idle = now.wrapping_sub(self.seen(flow));
        if idle > u32::MAX / 2 { 0 } else { idle }
    }

    fn requeue(&mut self, flow: u32) {
        self.unqueue(flow);
        self.queue(flow);
    }

    fn queue(&mut self, number: u32) {
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

    fn unqueue(&mut self, number: u32) {
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

    /// Writes a flow with its two records, `forth` of the packet that opens it and found no flow, and `back` of its
    /// answers. Needs [`Self::make_room`] before. The number of `forth`, or `None` when the key of `back` is in use.
    pub(crate) fn open(
        &mut self,
        now: Tick,
        origin: Origin,
        mappings: [u32; 2],
        forth: &Record,
        back: &Record,
    ) -> Option<u32> {
        let (forth_hash, back_hash) = (self.hash(&forth.key), self.hash(&back.key));
        if forth.key == back.key || self.find(back_hash, &back.key).is_some() {
            return None;
        }
        let last = self.free_count.checked_sub(1)?;
        let number = *self.free.get(last)?;
        self.free_count = last;
        *self.records.get_mut(number as usize * 2)? = Record { seen: now, ..*forth };
        *self.records.get_mut(number as usize * 2 + 1)? = Record { seen: now, ..*back };
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
        self.index.insert(forth_hash, number * 2);
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
    fn schedule(&mut self, number: u32, now: Tick) {
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

    fn unschedule(&mut self, number: u32) {
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
