//! What the data plane is told: capacities once, the whole configuration at every change.
//!
//! [`Limits`] and [`PortConfig`] are fixed at construction; [`Config`] replaces everything else at once. Values here are
//! already validated by `engines/settings`; what still makes no sense (a forward to no network) simply never matches.

use core::net::Ipv4Addr;

use dialtone_base::{Duration, Ipv4Prefix, MacAddress, PortId, PortSet, Zone};
use heapless::Vec;

/// Rules a configuration holds.
pub const MAX_RULES: usize = 64;
/// Port forwards a configuration holds.
pub const MAX_FORWARDS: usize = 64;

/// Capacities, from the board's profile. Every table is allocated with them in `Dataplane::new` and never grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows tracked; a NATed connection is one flow.
    pub flows: usize,
    /// Flows one device may have; at the limit its own oldest transitory flow makes room.
    pub flows_per_device: usize,
    /// Devices counted separately (bytes, packets, flows).
    pub devices: usize,
    /// Stations the bridge remembers.
    pub stations: usize,
    /// Neighbors (address to MAC) remembered.
    pub neighbors: usize,
    /// Fragmented packets followed at once.
    pub fragments: usize,
    /// Frames held for a neighbor's answer or for a first fragment.
    pub held_frames: usize,
}

impl Limits {
    /// A home router: 65 536 flows in about 24 MB.
    pub const HOME: Self = Self {
        flows: 65_536,
        flows_per_device: 16_384,
        devices: 256,
        stations: 1024,
        neighbors: 512,
        fragments: 64,
        held_frames: 64,
    };

    /// A few of everything, for tests that fill tables.
    pub const SMALL: Self = Self {
        flows: 64,
        flows_per_device: 48,
        devices: 16,
        stations: 32,
        neighbors: 32,
        fragments: 8,
        held_frames: 16,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::HOME
    }
}

/// One port of the board, as the data plane needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Which port.
    pub id: PortId,
    /// The zone it belongs to. The first port of a zone lends the zone its MAC address.
    pub zone: Zone,
    /// The router's own address on this port.
    pub mac: MacAddress,
    /// Longest IP packet it carries, usually 1500.
    pub mtu: u16,
    /// It cuts super-frames and completes partial checksums.
    pub segmentation: bool,
}

/// Everything that can change while the router runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The router's address on the household's network; `None` switches routing for it off.
    pub lan: Option<Ipv4Prefix>,
    /// The router's address on the guests' network; `None` when there is none.
    pub guest: Option<Ipv4Prefix>,
    /// The way out; `None` while the WAN has no address.
    pub wan: Option<Wan>,
    /// Who may answer to a mapping (RFC 4787 REQ-8).
    pub filtering: Filtering,
    /// Ports of the household lent to guests.
    pub guest_ports: PortSet,
    /// Whether the WAN may ping the router.
    pub answer_wan_ping: bool,
    /// First match decides; without a match the zones' policy does (inside may reach the WAN, nothing else).
    pub rules: Vec<Rule, MAX_RULES>,
    /// Ports of the WAN address that belong to devices inside.
    pub forwards: Vec<PortForward, MAX_FORWARDS>,
    /// Gets what arrives at the WAN address and matches nothing else.
    pub exposed_host: Option<Ipv4Addr>,
    /// First and last UDP port of the WAN address that no device's mapping takes: the router's own calls are told to others by
    /// these numbers, so they must stay as they are. A port forward still may.
    pub router_udp_ports: Option<(u16, u16)>,
    /// How long idle flows live.
    pub timeouts: Timeouts,
    /// Whether [`crate::Event::FlowOpened`] is reported.
    pub report_flows: bool,
}

/// The WAN's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wan {
    /// The router's address and the network around it.
    pub address: Ipv4Prefix,
    /// The way to everything beyond that network.
    pub gateway: Option<Ipv4Addr>,
    /// Longest IP packet to the operator, when smaller than the port's.
    pub mtu: Option<u16>,
}

/// Filtering behaviour of NAT mappings, RFC 4787 §5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Only addresses the inside endpoint has sent to may answer: stringency.
    #[default]
    AddressDependent,
    /// Anybody may send to an open mapping: transparency.
    EndpointIndependent,
}

/// Transport protocols rules and forwards speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Both TCP and UDP.
    TcpUdp,
    /// ICMP.
    Icmp,
}

impl Protocol {
    /// Whether the IP protocol number is meant.
    pub const fn covers(self, number: u8) -> bool {
        match self {
            Self::Tcp => number == 6,
            Self::Udp => number == 17,
            Self::TcpUdp => number == 6 || number == 17,
            Self::Icmp => number == 1,
        }
    }
}

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// One port.
    pub const fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether `port` is in it.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// What a rule does with a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it through.
    Allow,
    /// Drops it silently.
    Drop,
    /// Drops it and says so with ICMP "administratively prohibited".
    Reject,
}

/// A firewall rule for routed flows; an absent field matches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where the flow's first packet comes from.
    pub from: Option<Zone>,
    /// Where it goes to.
    pub to: Option<Zone>,
    /// The device that opens the flow, or the device inside that a flow from the WAN goes to.
    pub device: Option<MacAddress>,
    /// Its protocol.
    pub protocol: Option<Protocol>,
    /// Its destination port (after a port forward: the inside port). Never matches a protocol without ports.
    pub ports: Option<PortRange>,
    /// The far end: destination address, or the source of a flow from the WAN.
    pub remote: Option<Ipv4Prefix>,
    /// What happens.
    pub action: Action,
}

/// Ports of the WAN address that belong to one device inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// Which protocols; ICMP matches nothing.
    pub protocol: Protocol,
    /// Ports at the WAN address.
    pub external: PortRange,
    /// The device.
    pub host: Ipv4Addr,
    /// The port that `external.first` becomes; `None` keeps the numbers.
    pub internal: Option<u16>,
    /// Off keeps it in the settings without effect.
    pub enabled: bool,
}

/// How long idle flows live. Values below the RFCs' minimum are raised to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// UDP (RFC 4787 REQ-5: default 5 min, at least 2 min).
    pub udp: Duration,
    /// TCP, both directions open (RFC 5382 REQ-5: at least 2 h 4 min).
    pub tcp_established: Duration,
    /// TCP opening or closing (RFC 5382 REQ-5: at least 4 min).
    pub tcp_transitory: Duration,
    /// ICMP queries (RFC 5508 REQ-2: at least 60 s).
    pub icmp: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            udp: Duration::from_secs(300),
            tcp_established: Duration::from_secs(7_440),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
        }
    }
}
