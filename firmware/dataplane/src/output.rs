//! What comes out of the data plane besides verdicts: frames of its own, events, counters, commands in.
//!
//! [`Output`] is drained after every batch; [`Snapshot`] is a copy for status pages; [`Command`] is all the control plane
//! can ask for between two configurations.

use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::counter::{Counters, Reason};
use dialtone_base::{Frame, Instant, MacAddress, PortId, PortSet, Zone};

use crate::trace::Filter;
use crate::verdict::DropReason;

/// One thing to do; call `Dataplane::poll` until [`Output::Wait`].
#[derive(Debug)]
pub enum Output {
    /// Send this frame, a copy out of each port.
    Transmit {
        /// Where to.
        to: PortSet,
        /// What.
        frame: Frame,
    },
    /// Hand this frame to the zone's stack.
    Punt {
        /// Which stack.
        zone: Zone,
        /// What.
        frame: Frame,
    },
    /// Something the control plane should know.
    Event(Event),
    /// Nothing more to do until the next frame, or until this moment.
    Wait(Option<Instant>),
}

/// What the data plane noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new flow crosses the router (only with `Config::report_flows`).
    FlowOpened {
        /// IP protocol number.
        protocol: u8,
        /// Inside end; for ICMP the port is the query id.
        inside: SocketAddrV4,
        /// What the far side sees.
        outside: SocketAddrV4,
        /// The far end.
        remote: SocketAddrV4,
    },
    /// Answer to [`Command::Probe`]: somebody uses the address.
    ProbeAnswered {
        /// Where.
        zone: Zone,
        /// The address asked for.
        address: Ipv4Addr,
        /// Who answered.
        mac: MacAddress,
    },
    /// A station was seen for the first time on a port of the zone.
    StationSeen {
        /// Where.
        zone: Zone,
        /// Behind which port.
        port: PortId,
        /// Who.
        mac: MacAddress,
    },
    /// Another station claims the router's own address (RFC 5227 §2.4).
    AddressConflict {
        /// Where.
        zone: Zone,
        /// Our address.
        address: Ipv4Addr,
        /// The other one.
        mac: MacAddress,
    },
}

/// What the control plane can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask with an ARP probe (RFC 5227: sender address zero) who uses an address.
    Probe {
        /// On which network.
        zone: Zone,
        /// Which address.
        address: Ipv4Addr,
    },
    /// Ask a neighbor with ordinary ARP whether it is there, unless it said so just now: an answer is heard on its port.
    Ask {
        /// On which network.
        zone: Zone,
        /// Its address.
        address: Ipv4Addr,
    },
    /// Tell a zone's neighbors our address (gratuitous ARP), after it was configured.
    Announce {
        /// On which network.
        zone: Zone,
    },
    /// A neighbor known from elsewhere, as from a lease: needs no ARP.
    PinNeighbor {
        /// On which network.
        zone: Zone,
        /// Its address.
        address: Ipv4Addr,
        /// Its MAC.
        mac: MacAddress,
    },
    /// Forget a pinned or learned neighbor.
    ForgetNeighbor {
        /// On which network.
        zone: Zone,
        /// Its address.
        address: Ipv4Addr,
    },
    /// A port's link went down: forget the stations behind it.
    LinkDown(PortId),
    /// Trace the next `packets` packets that match; 0 switches tracing off.
    Trace {
        /// Which.
        filter: Filter,
        /// How many.
        packets: u32,
    },
    /// Drop every flow (after a change that must not keep old decisions alive).
    FlushFlows,
}

/// Frames and bytes of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received.
    pub received: u64,
    /// Bytes received, Ethernet header included.
    pub received_bytes: u64,
    /// Frames sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// State of the flow table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Flows now.
    pub in_use: u32,
    /// Room for.
    pub capacity: u32,
    /// NAT mappings now.
    pub mappings: u32,
    /// Ever opened.
    pub opened: u64,
    /// Ended by their timer.
    pub expired: u64,
    /// Made room for newer ones.
    pub evicted: u64,
    /// Ended because the WAN address or a rule changed.
    pub revoked: u64,
}

/// Counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Per port.
    pub ports: [PortCounters; PortId::LIMIT],
    /// Per reason.
    pub drops: Counters<DropReason, { DropReason::COUNT }>,
    /// The flow table.
    pub flows: FlowCounters,
    /// Packets that took the fast path.
    pub fast: u64,
    /// Packets that took the slow path.
    pub slow: u64,
    /// Packets handed to the router's own stacks.
    pub punted: u64,
    /// Events nobody polled in time.
    pub events_lost: u64,
}

impl Snapshot {
    /// The drops that happened at all, as shown names with counts.
    pub fn drops_seen(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.drops.iter().filter(|(_, count)| *count > 0).map(|(reason, count)| (reason.name(), count))
    }
}
