//! The tree: every setting of the router, with its unit, range and default.
//!
//! The types hold what a value can be on its own (a port range is in order, a prefix has a length); what must hold
//! between fields is [`crate::validate`]'s business. In JSON a missing field means its default and an unknown one is
//! refused. A change to a section's shape raises that section's version in [`crate::storage`] too: in flash the
//! fields have no names.

use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use dialtone_base::{Ipv4Prefix, MacAddress, Zone};
use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::port_range::PortRange;

pub mod telephony;

pub use telephony::Telephony;

/// The schema this firmware writes and reads.
pub const SCHEMA: u16 = 1;

/// NTP servers at most.
pub const NTP_SERVERS: usize = 4;
/// Name servers of a static WAN at most.
pub const WAN_DNS: usize = 3;
/// Ports in the guest zone at most.
pub const GUEST_PORTS: usize = 8;
/// Reservations at most.
pub const RESERVATIONS: usize = 64;
/// Name servers the household chose at most.
pub const UPSTREAMS: usize = 4;
/// Domains allowed to resolve to private addresses at most.
pub const REBIND_ALLOW: usize = 8;
/// Port forwards at most.
pub const PORT_FORWARDS: usize = 32;
/// Firewall rules at most.
pub const RULES: usize = 32;

/// Every setting of the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Version of the tree's shape, [`SCHEMA`].
    pub schema: u16,
    /// The router itself.
    pub system: System,
    /// The operator's side.
    pub wan: Wan,
    /// The household's network.
    pub lan: Lan,
    /// The visitors' network.
    pub guest: Guest,
    /// Devices with a fixed address and a name of the household's choice.
    pub reservations: Vec<Reservation, RESERVATIONS>,
    /// Names.
    pub dns: Dns,
    /// Address translation.
    pub nat: Nat,
    /// Who may talk to whom.
    pub firewall: Firewall,
    /// The telephone.
    pub telephony: Telephony,
}

/// The router itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct System {
    /// The router's own name in the home's domain: one label of letters, digits and hyphens.
    pub hostname: Text<63>,
    /// Where the time comes from: host names or IPv4 addresses, tried in order. Empty: the clock is never set.
    pub ntp_servers: Vec<Text<127>, NTP_SERVERS>,
}

/// The operator's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wan {
    /// Where the WAN address comes from.
    pub mode: WanMode,
    /// Used in mode `dhcp`.
    pub dhcp: WanDhcp,
    /// Used in mode `static`; kept while another mode is in force.
    #[serde(rename = "static")]
    pub fixed: WanStatic,
    /// Longest IP packet in bytes, 576 to 1500.
    pub mtu: u16,
}

/// Where the WAN address comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WanMode {
    /// The operator hands it out (RFC 2131).
    #[default]
    Dhcp,
    /// The household typed it in.
    Static,
}

/// Used in mode `dhcp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WanDhcp {
    /// Name told to the operator (option 12); some operators ask for one. `None`: none is told.
    pub hostname: Option<Text<63>>,
}

/// Used in mode `static`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WanStatic {
    /// The router's address and network on the WAN.
    pub address: Option<Ipv4Prefix>,
    /// The operator's router, inside that network.
    pub gateway: Option<Ipv4Addr>,
    /// The operator's name servers.
    pub dns: Vec<Ipv4Addr, WAN_DNS>,
}

/// How the WAN is to connect, with what that mode needs and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WanConnection<'a> {
    /// Ask the operator.
    Dhcp {
        /// Name told to the operator.
        hostname: Option<&'a str>,
    },
    /// As typed in.
    Static {
        /// Address and network.
        address: Ipv4Prefix,
        /// The way out.
        gateway: Ipv4Addr,
        /// The operator's name servers.
        dns: &'a [Ipv4Addr],
    },
}

/// The household's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lan {
    /// The router's address and the network, prefix length 8 to 30.
    pub address: Ipv4Prefix,
    /// Addresses for devices.
    pub dhcp: DhcpPool,
    /// The home's domain; devices are `name.domain` (RFC 8375 reserves `home.arpa`).
    pub domain: Text<127>,
    /// The captive portal API announced in DHCP option 114 (RFC 8910): an `https://` URI. `None`: not announced.
    pub captive_portal_uri: Option<Text<127>>,
}

/// The visitors' network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guest {
    /// Whether there is one.
    pub enabled: bool,
    /// The router's address and the network, prefix length 8 to 30.
    pub address: Ipv4Prefix,
    /// Addresses for visitors' devices.
    pub dhcp: DhcpPool,
    /// Names of the board's ports that belong to visitors, e.g. `lan4`.
    pub ports: Vec<Text<15>, GUEST_PORTS>,
}

/// Addresses a DHCP server hands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DhcpPool {
    /// Whether the router hands out addresses at all.
    pub enabled: bool,
    /// Lowest address handed out. `None`: chosen from the network, so that it follows when the network changes.
    pub first: Option<Ipv4Addr>,
    /// Highest address handed out. `None`: chosen from the network.
    pub last: Option<Ipv4Addr>,
    /// How long an address is lent, in seconds, 120 to 2592000 (30 days).
    pub lease_seconds: u32,
}

/// A device with a fixed address and a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The device.
    pub mac: MacAddress,
    /// The address it always gets; in the LAN or the guest network.
    pub address: Ipv4Addr,
    /// The name the household gave it: one label; empty when it has none.
    #[serde(default)]
    pub name: Text<63>,
}

/// Names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Name servers to ask. Empty: those the WAN told.
    pub upstreams: Vec<Ipv4Addr, UPSTREAMS>,
    /// Refuse answers from outside that point into private networks.
    pub rebind_protection: bool,
    /// Domains (with everything below them) that may point into private networks all the same.
    pub rebind_allow: Vec<Text<127>, REBIND_ALLOW>,
}

/// Address translation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nat {
    /// Who may answer through an open mapping (RFC 4787 REQ-8).
    pub filtering: Filtering,
    /// Ports of the WAN address that lead to a device.
    pub port_forwards: Vec<PortForward, PORT_FORWARDS>,
    /// The device that gets everything nobody else claims. `None`: it is dropped.
    pub exposed_host: Option<Ipv4Addr>,
}

/// Who may answer through an open mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// Only hosts the device itself has sent to.
    #[default]
    AddressDependent,
    /// Anyone: games and calls connect more easily, at the price of a more open door.
    EndpointIndependent,
}

/// Ports of the WAN address that lead to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortForward {
    /// For people.
    #[serde(default)]
    pub name: Text<31>,
    /// Off keeps it without using it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which traffic.
    #[serde(default)]
    pub protocol: ForwardProtocol,
    /// Ports as seen from the internet.
    pub external: PortRange,
    /// The device's address, in the LAN.
    pub device: Ipv4Addr,
    /// The device's first port; the others follow in order. `None`: the same ports as outside.
    #[serde(default)]
    pub internal_port: Option<u16>,
}

/// Which traffic a port forward takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardProtocol {
    /// TCP only.
    #[default]
    Tcp,
    /// UDP only.
    Udp,
    /// TCP and UDP.
    Both,
}

/// Who may talk to whom. Closed from the WAN and from guests unless said otherwise here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Firewall {
    /// The router answers pings from the internet.
    pub wan_ping: bool,
    /// In order; the first that fits decides, then the zones' defaults.
    pub rules: Vec<Rule, RULES>,
}

/// One rule for new connections between two zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For people.
    #[serde(default)]
    pub name: Text<31>,
    /// Off keeps it without using it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where the connection starts.
    pub from: Zone,
    /// Where it goes.
    pub to: Zone,
    /// Only for this device, which starts the connection.
    #[serde(default)]
    pub device: Option<MacAddress>,
    /// Only for this protocol.
    #[serde(default)]
    pub protocol: Option<RuleProtocol>,
    /// Only for these destination ports; needs `protocol` tcp or udp.
    #[serde(default)]
    pub ports: Option<PortRange>,
    /// What happens.
    pub action: Action,
}

/// The protocol a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
}

/// What a rule does with a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it through.
    Allow,
    /// Throw it away without a word.
    Drop,
    /// Refuse it with a TCP reset or an ICMP error.
    Reject,
}

impl Wan {
    /// How to connect. A static WAN that lacks its address or gateway (the validator refuses such a tree) falls back
    /// to DHCP.
    pub fn connection(&self) -> WanConnection<'_> {
        match (self.mode, self.fixed.address, self.fixed.gateway) {
            (WanMode::Static, Some(address), Some(gateway)) => {
                WanConnection::Static { address, gateway, dns: &self.fixed.dns }
            }
            _ => WanConnection::Dhcp { hostname: self.dhcp.hostname.as_deref() },
        }
    }
}

impl DhcpPool {
    /// First and last address to hand out in `network` (the router's own address and prefix): as set, otherwise
    /// 100 to 249 of a /24 and the same share of a smaller network, beside the router's address. `None` when the
    /// server is off or the network has no room.
    pub fn range(&self, network: Ipv4Prefix) -> Option<(Ipv4Addr, Ipv4Addr)> {
        if !self.enabled {
            return None;
        }
        self.ends(network).filter(|(first, last)| first <= last)
    }

    /// Both ends, in whatever order they are.
    pub(crate) fn ends(&self, network: Ipv4Prefix) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (first, last) = automatic_range(network)?;
        Some((self.first.unwrap_or(first), self.last.unwrap_or(last)))
    }
}

impl PortForward {
    /// The device's first port.
    pub fn first_internal_port(&self) -> u16 {
        self.internal_port.unwrap_or(self.external.first())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            system: System::default(),
            wan: Wan::default(),
            lan: Lan::default(),
            guest: Guest::default(),
            reservations: Vec::new(),
            dns: Dns::default(),
            nat: Nat::default(),
            firewall: Firewall::default(),
            telephony: Telephony::default(),
        }
    }
}

impl Default for System {
    fn default() -> Self {
        let mut ntp_servers = Vec::new();
        for server in ["0.pool.ntp.org", "1.pool.ntp.org"] {
            // There is room for NTP_SERVERS.
            let _ = ntp_servers.push(Text::lossy(server));
        }
        Self { hostname: Text::lossy("dialtone"), ntp_servers }
    }
}

impl Default for Wan {
    fn default() -> Self {
        Self { mode: WanMode::Dhcp, dhcp: WanDhcp::default(), fixed: WanStatic::default(), mtu: 1500 }
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self {
            address: LAN_DEFAULT,
            dhcp: DhcpPool::default(),
            domain: Text::lossy("home.arpa"),
            captive_portal_uri: None,
        }
    }
}

impl Default for Guest {
    fn default() -> Self {
        Self { enabled: false, address: GUEST_DEFAULT, dhcp: DhcpPool::default(), ports: Vec::new() }
    }
}

impl Default for DhcpPool {
    fn default() -> Self {
        Self { enabled: true, first: None, last: None, lease_seconds: 43_200 }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self { upstreams: Vec::new(), rebind_protection: true, rebind_allow: Vec::new() }
    }
}

fn yes() -> bool {
    true
}

/// The larger part of the network's usual pool that the router's own address leaves free.
fn automatic_range(network: Ipv4Prefix) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if network.length() > 30 {
        return None;
    }
    let base = network.network().to_bits();
    let size = 1u32 << (32 - u32::from(network.length().max(24)));
    let (mut first, mut last) = (base + size * 100 / 256, base + size * 250 / 256 - 1);
    let router = network.address().to_bits();
    if (first..=last).contains(&router) {
        if router - first > last - router {
            last = router - 1;
        } else {
            first = router + 1;
        }
    }
    (first <= last).then(|| (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last)))
}

const LAN_DEFAULT: Ipv4Prefix = prefix(Ipv4Addr::new(192, 168, 77, 1));
const GUEST_DEFAULT: Ipv4Prefix = prefix(Ipv4Addr::new(192, 168, 78, 1));

const fn prefix(address: Ipv4Addr) -> Ipv4Prefix {
    match Ipv4Prefix::new(address, 24) {
        Some(prefix) => prefix,
        None => panic!("24 is a prefix length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_follows_the_network() {
        let pool = DhcpPool::default();
        let range = |text: &str| pool.range(text.parse().unwrap());
        let ends = |a: [u8; 4], b: [u8; 4]| Some((Ipv4Addr::from(a), Ipv4Addr::from(b)));
        assert_eq!(range("192.168.77.1/24"), ends([192, 168, 77, 100], [192, 168, 77, 249]));
        assert_eq!(range("10.0.0.1/8"), ends([10, 0, 0, 100], [10, 0, 0, 249]));
        assert_eq!(range("192.168.77.200/24"), ends([192, 168, 77, 100], [192, 168, 77, 199]));
        assert_eq!(range("192.168.77.1/30"), ends([192, 168, 77, 2], [192, 168, 77, 2]));
        assert_eq!(range("192.168.77.1/31"), None);
    }

    #[test]
    fn a_partial_tree_means_defaults_for_the_rest() {
        let tree: Settings = serde_json::from_str(r#"{"guest":{"dhcp":{"lease_seconds":600}}}"#).unwrap();
        let mut expected = Settings::default();
        expected.guest.dhcp.lease_seconds = 600;
        assert_eq!(tree, expected);
        assert!(serde_json::from_str::<Settings>(r#"{"gest":{}}"#).is_err());
    }
}
