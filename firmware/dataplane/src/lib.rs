//! The packet path: frames in, verdicts out, one value with one owner.
//!
//! [`Dataplane::process`] takes a frame through the stages of [`pipeline`] and says what becomes of it; it never waits.
//! Frames of its own (ARP, fragments, released frames) and events come from [`Dataplane::poll`], drained after every
//! batch. The control plane meets it in two places: frames for the router are *punted*, and commands, configurations
//! and snapshots go through [`Dataplane::command`], [`Dataplane::configure`] and [`Dataplane::snapshot`].
//!
//! ```text
//! frame ─ parse ─ flow hit? ─ yes ─ nat/fastpath: rewrite in place, count ─────────────► Forward
//!                     │ no
//!                     ▼
//!              bridge ─ for us? ─ no ─ FDB ───────────────────────────────────────────► Forward / Flood
//!                     │ yes
//!                     ▼
//!   ARP, echo ─ sanity ─ fragments ─ route ─ firewall ─ nat/slowpath: a flow is written ► Forward
//!                     └─ to the router ─────────────────────────────────────────────► Punt
//! ```
//!
//! Not here: IPv6 routing (bridged only), shaping, multicast snooping, the portal's gate, sockets of any kind.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounting;
pub mod bridge;
pub mod config;
mod conntrack;
mod firewall;
#[doc(hidden)]
pub mod fuzz;
mod link;
mod nat;
pub mod output;
mod pipeline;
mod poll;
mod punt;
pub mod route;
mod slots;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod verdict;
mod zones;

use core::hint::black_box;
use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::{Frame, FramePool, Instant, PortId, PortSet, Random, Seed, Zone};
use heapless::Deque;

use accounting::Accounting;
use bridge::ForwardingTable;
use conntrack::FlowTable;
use conntrack::key::Realm;
use conntrack::list::NONE;
use nat::fragments::{Fragments, PacketId};
use nat::mapping::Mappings;
use pipeline::Prepared;
use route::forward;
use route::icmp_out::IcmpOut;
use route::neighbor::NeighborTable;
use trace::{Trace, Tracer};
use zones::{Port, ZoneState};

pub use accounting::Usage;
pub use config::{
    Action, Config, Filtering, Limits, PortConfig, PortForward, PortRange, Protocol, Rule, Timeouts, Wan,
};
pub use output::{Command, Event, FlowCounters, Output, PortCounters, Snapshot};
pub use verdict::{DropReason, Verdict};

/// Most frames [`Dataplane::process_batch`] takes at once.
pub const BATCH: usize = 64;
/// Frames of a batch that are looked ahead for together.
pub(crate) const FEW: usize = 16;
/// Fragments and segments the data plane makes before they are polled: a super-frame of the smallest usual segments, 536
/// bytes each.
const CUT_ROOM: usize = 128;
/// Events kept until they are polled; more are lost, and counted.
const EVENTS: usize = 128;
/// Traces kept.
const TRACES: usize = 32;

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// A port received it.
    Port(PortId),
    /// The router's own stack of this zone made it. Destination MAC zero: route and resolve it; any other: that station.
    Router(Zone),
}

/// The router's packet path.
pub struct Dataplane {
    config: Config,
    ports: [Option<Port>; PortId::LIMIT],
    zones: [ZoneState; 3],
    flows: FlowTable,
    mappings: Mappings,
    fragments: Fragments,
    stations: ForwardingTable,
    neighbors: NeighborTable,
    icmp: IcmpOut,
    accounting: Accounting,
    tracer: Tracer,
    random: Random,
    pool: &'static FramePool,
    /// Changes whenever decisions in flow records may be out of date.
    epoch: u32,
    /// Something changed for which a new epoch still has to begin, not before `next_epoch`.
    outdated: bool,
    next_epoch: Instant,
    neighbors_seen: u32,
    gateway_check: Instant,
    refresh_at: Instant,
    /// What the frames answered with [`Verdict::Held`] wait for, in their order.
    pending: Deque<Pending, BATCH>,
    cut: Deque<(PortSet, Frame), CUT_ROOM>,
    events: Deque<Event, EVENTS>,
    events_lost: u64,
    drops: Counters<DropReason, { DropReason::COUNT }>,
    fast: u64,
    slow: u64,
    punted: u64,
}

/// What a held frame waits for.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Neighbor { zone: Zone, hop: Ipv4Addr, from: Ingress },
    Fragment { id: PacketId, from: Ingress },
}

impl Dataplane {
    /// Allocates every table; nothing allocates afterwards. Starts with an empty [`Config`]: it bridges, and routes
    /// nothing.
    pub fn new(limits: Limits, ports: &[PortConfig], pool: &'static FramePool, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let mut table = [None; PortId::LIMIT];
        for port in ports {
            table[port.id.index()] = Some(Port {
                config: *port,
                realm: Realm::of(port.zone),
                zone_mac: port.mac,
                segmentation: port.segmentation,
                counters: PortCounters::default(),
            });
        }
        let zones = zones::wire(&mut table, PortSet::EMPTY);
        Self {
            config: Config::default(),
            ports: table,
            zones,
            flows: FlowTable::new(limits.flows, limits.devices, limits.flows_per_device, &mut random),
            mappings: Mappings::new(limits.flows, &mut random),
            fragments: Fragments::new(limits.fragments, limits.held_frames),
            stations: ForwardingTable::new(limits.stations, &mut random),
            neighbors: NeighborTable::new(limits.neighbors, limits.held_frames, &mut random),
            icmp: IcmpOut::new(),
            accounting: Accounting::new(limits.devices, &mut random),
            tracer: Tracer::new(TRACES),
            random,
            pool,
            epoch: 1,
            outdated: false,
            next_epoch: Instant::START,
            neighbors_seen: 0,
            gateway_check: Instant::START,
            refresh_at: Instant::START,
            pending: Deque::new(),
            cut: Deque::new(),
            events: Deque::new(),
            events_lost: 0,
            drops: Counters::new(),
            fast: 0,
            slow: 0,
            punted: 0,
        }
    }

    /// Replaces the whole configuration. Flows stay and are judged again at their next packet; a changed WAN address
    /// ends the flows of the old one.
    pub fn configure(&mut self, _now: Instant, config: &Config) {
        let address = |config: &Config| config.wan.map(|wan| wan.address.address());
        if address(&self.config) != address(config) {
            self.drop_flows(false);
        }
        if self.config.guest_ports != config.guest_ports {
            self.zones = zones::wire(&mut self.ports, config.guest_ports);
            // Whoever was behind a port that changed sides is on another network now.
            let before = self.config.guest_ports;
            for port in (0..PortId::LIMIT as u8).map(PortId) {
                if before.contains(port) != config.guest_ports.contains(port) {
                    self.stations.forget_port(port);
                }
            }
            self.drop_flows(true);
        }
        self.config = config.clone();
        self.flows.set_timeouts(&config.timeouts);
        let wan = config.wan.map(|wan| wan.address);
        for (zone, address) in [(Zone::Lan, config.lan), (Zone::Guest, config.guest), (Zone::Wan, wan)] {
            let state = &mut self.zones[zone.index()];
            state.address = address;
            state.mtu = state.port_mtu;
            if let (Zone::Wan, Some(mtu)) = (zone, config.wan.and_then(|wan| wan.mtu)) {
                // RFC 791: every internet module must forward 68 bytes.
                state.mtu = state.port_mtu.min(mtu.max(68));
            }
            let mac = state.mac;
            self.neighbors.set_interface(zone, mac, address);
        }
        self.neighbors_seen = self.neighbors.generation();
        self.begin_epoch();
    }

    /// Decides about one frame, changing it in place where it goes on.
    pub fn process(&mut self, now: Instant, from: Ingress, frame: &mut Frame) -> Verdict {
        if !self.pending.is_empty() {
            self.pending.clear();
        }
        self.count_received(from, frame.len());
        let mut prepared = pipeline::prepare(self, from, frame);
        if let Some(prepared) = &mut prepared {
            prepared.likely = self.flows.likely(prepared.hash);
            if prepared.likely == NONE {
                black_box(forward::foresee(self, &prepared.key, 0) ^ forward::foresee_evictions(self, 1));
            }
        }
        pipeline::run(self, now, from, prepared.as_ref(), frame)
    }

    /// [`Self::process`] for several frames from one place, so that waiting for memory overlaps: all are read and hashed
    /// first, then the table is touched for all, then each is decided. At most [`BATCH`] frames, and no more than there are
    /// `verdicts`; how many were processed: fewer when one was cut up, so that its other pieces can be polled before the
    /// next frame goes out. Frames answered with [`Verdict::Held`] go to [`Self::hold`] in their order.
    pub fn process_batch(
        &mut self,
        now: Instant,
        from: Ingress,
        frames: &mut [Frame],
        verdicts: &mut [Verdict],
    ) -> usize {
        self.pending.clear();
        let mut done = 0;
        let count = frames.len().min(verdicts.len()).min(BATCH);
        let work = frames.iter_mut().zip(verdicts).take(count);
        let mut work = work.peekable();
        while work.peek().is_some() {
            done += self.process_few(now, from, &mut work);
            if !self.cut.is_empty() {
                break;
            }
        }
        done
    }

    /// Takes over the frame that was just answered with [`Verdict::Held`].
    pub fn hold(&mut self, now: Instant, frame: Frame) {
        let refused = match self.pending.pop_front() {
            Some(Pending::Neighbor { zone, hop, from }) => self.neighbors.hold(zone, hop, from, frame),
            Some(Pending::Fragment { id, from }) => self.fragments.hold(now, id, from, frame).err(),
            None => Some(frame),
        };
        if refused.is_some() {
            self.drops.count(DropReason::HoldFull);
        }
    }

    /// What else there is to do; call until [`Output::Wait`].
    pub fn poll(&mut self, now: Instant) -> Output {
        poll::next(self, now)
    }

    /// Asks for one thing outside the configuration.
    pub fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Probe { zone, address } => {
                self.neighbors.probe(now, zone, address);
            }
            Command::Ask { zone, address } => {
                self.neighbors.resolve(now, zone, address);
            }
            Command::Announce { zone } => self.neighbors.announce(now, zone),
            Command::PinNeighbor { zone, address, mac } => {
                self.neighbors.pin(now, zone, address, mac);
            }
            Command::ForgetNeighbor { zone, address } => self.neighbors.forget(zone, address),
            Command::LinkDown(port) => {
                self.stations.forget_port(port);
                self.begin_epoch();
            }
            Command::Trace { filter, packets } => self.tracer.start(filter, packets),
            Command::FlushFlows => self.drop_flows(true),
        }
        self.follow_command();
    }

    /// Finished traces, oldest first.
    pub fn traces(&self) -> impl Iterator<Item = &Trace> + '_ {
        self.tracer.traces()
    }

    /// What each device moved.
    pub fn devices(&self) -> impl Iterator<Item = &Usage> + '_ {
        self.accounting.devices()
    }

    /// Stations behind the ports.
    pub fn stations(&self, now: Instant) -> impl Iterator<Item = bridge::Station> + '_ {
        self.stations.stations(now)
    }

    /// Counters now.
    pub fn snapshot(&self) -> Snapshot {
        let mut ports = [PortCounters::default(); PortId::LIMIT];
        for (counters, port) in ports.iter_mut().zip(&self.ports) {
            *counters = port.map_or_else(PortCounters::default, |port| port.counters);
        }
        Snapshot {
            ports,
            drops: self.drops.clone(),
            flows: FlowCounters { mappings: self.mappings.in_use() as u32, ..self.flows.counters() },
            fast: self.fast,
            slow: self.slow,
            punted: self.punted,
            events_lost: self.events_lost,
        }
    }

    /// A few frames of a batch: as many as memory can fetch for at once.
    #[inline(always)]
    fn process_few<'a>(
        &mut self,
        now: Instant,
        from: Ingress,
        work: &mut impl Iterator<Item = (&'a mut Frame, &'a mut Verdict)>,
    ) -> usize {
        let mut few: heapless::Vec<_, FEW> = heapless::Vec::new();
        let mut hashes = [0; FEW];
        for ((frame, verdict), place) in work.take(FEW).zip(&mut hashes) {
            let prepared: Option<Prepared> = pipeline::prepare(self, from, frame);
            *place = prepared.as_ref().map_or(0, |prepared| prepared.hash);
            // There is room: `take` saw to it.
            let _ = few.push((prepared, frame, verdict));
        }
        // Tight loops, so that as many reads as possible are under way at once.
        let touched = hashes.iter().fold(0, |sum, hash| sum ^ self.flows.touch_index(*hash));
        let likely = hashes.map(|hash| self.flows.likely(hash));
        let mut touched = likely.iter().fold(touched, |sum, record| sum ^ self.flows.touch_record(*record));
        let mut opening = 0;
        for ((prepared, ..), likely) in few.iter_mut().zip(likely) {
            if let Some(prepared) = prepared {
                prepared.likely = likely;
                if likely == NONE {
                    touched ^= forward::foresee(self, &prepared.key, opening);
                    opening += 1;
                }
            }
        }
        touched ^= forward::foresee_evictions(self, opening);
        black_box(touched);
        let mut done = 0;
        for (prepared, frame, verdict) in few {
            self.count_received(from, frame.len());
            *verdict = pipeline::run(self, now, from, prepared.as_ref(), frame);
            done += 1;
            if !self.cut.is_empty() {
                break;
            }
        }
        done
    }

    /// The frame being processed waits for something.
    fn wait(&mut self, pending: Pending) -> Verdict {
        match self.pending.push_back(pending) {
            Ok(()) => Verdict::Held,
            Err(_) => Verdict::Drop(DropReason::HoldFull),
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.push_back(event).is_err() {
            self.events_lost += 1;
        }
    }
}
