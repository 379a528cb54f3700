//! What must hold between fields: every fault found at once, each with the field's path and what to do about it.
//!
//! Types already keep out what a value cannot be on its own. A tree that passes here can be put into force.

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use dialtone_base::{Ipv4Prefix, Zone};

mod telephony;
pub use telephony::COUNTRIES;

use crate::names::{is_domain, is_label};
use crate::tree::{
    Action, DhcpPool, ForwardProtocol, Lan, PortForward, Rule, RuleProtocol, SCHEMA, Settings, WanMode,
};

/// One fault of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field: `lan.dhcp.first`, `reservations.3.mac`.
    pub path: Text<64>,
    /// What is wrong and what to do.
    pub message: Text<192>,
}

/// The faults of a tree; more than fit are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: heapless::Vec<Problem, PROBLEMS>,
    more: usize,
}

/// Checks the whole tree.
///
/// # Errors
/// Every fault found, up to [`PROBLEMS`] of them in full.
pub fn validate(tree: &Settings) -> Result<(), Box<Problems>> {
    let mut problems = Box::<Problems>::default();
    if tree.schema != SCHEMA {
        let message = format_args!("this firmware knows schema {SCHEMA} only; update the firmware first");
        problems.add(format_args!("schema"), message);
    }
    check_system(tree, &mut problems);
    check_wan(tree, &mut problems);
    check_networks(tree, &mut problems);
    check_reservations(tree, &mut problems);
    check_dns(tree, &mut problems);
    check_nat(tree, &mut problems);
    check_firewall(tree, &mut problems);
    telephony::check(tree, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

impl Problems {
    /// Adds a fault; only counts it when the list is full.
    pub fn add(&mut self, path: fmt::Arguments<'_>, message: fmt::Arguments<'_>) {
        let mut problem = Problem { path: Text::new(), message: Text::new() };
        // Writing to a Text cuts, it does not fail.
        let _ = problem.path.write_fmt(path);
        let _ = problem.message.write_fmt(message);
        if self.list.push(problem).is_err() {
            self.more += 1;
        }
    }

    /// The first [`PROBLEMS`] faults, in the order of the tree.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Faults beyond those.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl core::error::Error for Problems {}

fn check_system(tree: &Settings, problems: &mut Problems) {
    if !is_label(&tree.system.hostname) {
        problems.add(format_args!("system.hostname"), format_args!("{LABEL}"));
    }
    for (index, server) in tree.system.ntp_servers.iter().enumerate() {
        if !server.parse().map_or_else(|_| is_domain(server), is_host) {
            let message = format_args!("\"{server}\" is no host name and no IPv4 address of a server");
            problems.add(format_args!("system.ntp_servers.{index}"), message);
        }
    }
}

fn check_wan(tree: &Settings, problems: &mut Problems) {
    let wan = &tree.wan;
    if !(576..=1500).contains(&wan.mtu) {
        problems.add(format_args!("wan.mtu"), format_args!("{} is not within 576 to 1500 bytes", wan.mtu));
    }
    if wan.dhcp.hostname.as_ref().is_some_and(|name| !is_label(name)) {
        problems.add(format_args!("wan.dhcp.hostname"), format_args!("{LABEL}; or null to tell none"));
    }
    for (index, server) in wan.fixed.dns.iter().enumerate() {
        if !is_host(*server) {
            let message = format_args!("{server} cannot be a name server's address");
            problems.add(format_args!("wan.static.dns.{index}"), message);
        }
    }
    let needed = |present: bool, field: &str, problems: &mut Problems| {
        if wan.mode == WanMode::Static && !present {
            let message = format_args!("missing: wan.mode \"static\" needs it; set it first, then the mode");
            problems.add(format_args!("wan.static.{field}"), message);
        }
    };
    needed(wan.fixed.address.is_some(), "address", problems);
    needed(wan.fixed.gateway.is_some(), "gateway", problems);
    let Some(address) = wan.fixed.address else { return };
    if !is_host_of(address.address(), address) {
        let message = format_args!("{address} is not the address of one host in its network");
        problems.add(format_args!("wan.static.address"), message);
    }
    if let Some(gateway) = wan.fixed.gateway
        && (!is_host_of(gateway, address) || gateway == address.address())
    {
        let message = format_args!("{gateway} is not another host in {}", network(address));
        problems.add(format_args!("wan.static.gateway"), message);
    }
    if wan.mode == WanMode::Static {
        let guest = tree.guest.enabled.then_some(("guest", tree.guest.address));
        for (zone, inside) in [Some(("lan", tree.lan.address)), guest].into_iter().flatten() {
            if address.overlaps(inside) {
                let message = format_args!("overlaps the {zone} network {inside}: change {zone}.address");
                problems.add(format_args!("wan.static.address"), message);
            }
        }
    }
}

fn check_networks(tree: &Settings, problems: &mut Problems) {
    let Lan { address, dhcp, domain, captive_portal_uri } = &tree.lan;
    check_network("lan", *address, dhcp, problems);
    if !is_domain(domain) {
        let message =
            format_args!("\"{domain}\" is no domain name; home.arpa is the one set aside for homes");
        problems.add(format_args!("lan.domain"), message);
    }
    if let Some(uri) = captive_portal_uri {
        let plain = uri.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || uri.strip_prefix("https://").is_none_or(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            let message = format_args!("must be an https:// address without spaces (RFC 8910), or null");
            problems.add(format_args!("lan.captive_portal_uri"), message);
        }
    }
    let guest = &tree.guest;
    check_network("guest", guest.address, &guest.dhcp, problems);
    if guest.enabled && guest.address.overlaps(*address) {
        let message = format_args!("{} overlaps the lan network {address}: choose another", guest.address);
        problems.add(format_args!("guest.address"), message);
    }
    for (index, port) in guest.ports.iter().enumerate() {
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format_args!("\"{port}\" is no port name");
            problems.add(format_args!("guest.ports.{index}"), message);
        }
        if guest.ports.iter().take(index).any(|other| other == port) {
            problems.add(format_args!("guest.ports.{index}"), format_args!("\"{port}\" is listed twice"));
        }
    }
}

fn check_network(zone: &str, address: Ipv4Prefix, dhcp: &DhcpPool, problems: &mut Problems) {
    if !(8..=30).contains(&address.length()) {
        let message = format_args!("prefix length /{} is not within /8 to /30", address.length());
        problems.add(format_args!("{zone}.address"), message);
        return;
    }
    if !address.address().is_private() || !is_host_of(address.address(), address) {
        let message = format_args!(
            "{address} is no private host address; take one of 10.x.x.x, 172.16.x.x to 172.31.x.x or 192.168.x.x"
        );
        problems.add(format_args!("{zone}.address"), message);
        return;
    }
    if !(120..=2_592_000).contains(&dhcp.lease_seconds) {
        let message = format_args!("{} is not within 120 to 2592000 seconds (30 days)", dhcp.lease_seconds);
        problems.add(format_args!("{zone}.dhcp.lease_seconds"), message);
    }
    let mut inside = true;
    for (field, end) in [("first", dhcp.first), ("last", dhcp.last)] {
        if let Some(end) = end
            && !is_host_of(end, address)
        {
            inside = false;
            let message = format_args!(
                "{end} is no host address in {}; choose one inside or null for automatic",
                network(address)
            );
            problems.add(format_args!("{zone}.dhcp.{field}"), message);
        }
    }
    if !inside || (dhcp.first, dhcp.last) == (None, None) {
        return;
    }
    let Some((first, last)) = dhcp.ends(address) else { return };
    if last < first {
        let message = format_args!("the range {first} to {last} is empty: raise last or lower first");
        problems.add(format_args!("{zone}.dhcp.last"), message);
    } else if (first..=last).contains(&address.address()) {
        let message = format_args!(
            "{first} to {last} contains the router's own address {}: begin above or end below it",
            address.address()
        );
        problems.add(format_args!("{zone}.dhcp.first"), message);
    }
}

fn check_reservations(tree: &Settings, problems: &mut Problems) {
    let guest = tree.guest.enabled.then_some(tree.guest.address);
    for (index, reservation) in tree.reservations.iter().enumerate() {
        let at = format_args!("reservations.{index}");
        let before = tree.reservations.get(..index).unwrap_or_default();
        if !reservation.mac.is_station() {
            let message = format_args!("{} is not the address of one device", reservation.mac);
            problems.add(format_args!("{at}.mac"), message);
        }
        if let Some(twin) = before.iter().position(|other| other.mac == reservation.mac) {
            let message = format_args!("{} already has reservation {twin}; keep one", reservation.mac);
            problems.add(format_args!("{at}.mac"), message);
        }
        if let Some(twin) = before.iter().position(|other| other.address == reservation.address) {
            let message = format_args!("{} is already taken by reservation {twin}", reservation.address);
            problems.add(format_args!("{at}.address"), message);
        }
        let address = reservation.address;
        let free = |prefix: Ipv4Prefix| is_host_of(address, prefix) && address != prefix.address();
        if !free(tree.lan.address) && !guest.is_some_and(free) {
            let message = format_args!(
                "{address} is no free host address of the lan network {} (or of an enabled guest network)",
                network(tree.lan.address)
            );
            problems.add(format_args!("{at}.address"), message);
        }
        if reservation.name.is_empty() {
            continue;
        }
        let same = |name: &str| name.eq_ignore_ascii_case(&reservation.name);
        if !is_label(&reservation.name) {
            problems.add(format_args!("{at}.name"), format_args!("{LABEL}; or leave it empty"));
        } else if same(&tree.system.hostname) {
            problems
                .add(format_args!("{at}.name"), format_args!("is the router's own name (system.hostname)"));
        } else if let Some(twin) = before.iter().position(|other| same(&other.name)) {
            let message = format_args!("\"{}\" is already the name of reservation {twin}", reservation.name);
            problems.add(format_args!("{at}.name"), message);
        }
    }
}

fn check_dns(tree: &Settings, problems: &mut Problems) {
    for (index, server) in tree.dns.upstreams.iter().enumerate() {
        let own = [tree.lan.address.address(), tree.guest.address.address()].contains(server);
        if own {
            let message = format_args!("{server} is this router: it would ask itself for ever");
            problems.add(format_args!("dns.upstreams.{index}"), message);
        } else if !is_host(*server) {
            let message = format_args!("{server} cannot be a name server's address");
            problems.add(format_args!("dns.upstreams.{index}"), message);
        } else if tree.dns.upstreams.iter().take(index).any(|other| other == server) {
            problems.add(format_args!("dns.upstreams.{index}"), format_args!("{server} is listed twice"));
        }
    }
    for (index, domain) in tree.dns.rebind_allow.iter().enumerate() {
        if !is_domain(domain) {
            let message = format_args!("\"{domain}\" is no domain name");
            problems.add(format_args!("dns.rebind_allow.{index}"), message);
        }
    }
}

fn check_nat(tree: &Settings, problems: &mut Problems) {
    let lan = tree.lan.address;
    let device = |address: Ipv4Addr| is_host_of(address, lan) && address != lan.address();
    for (index, forward) in tree.nat.port_forwards.iter().enumerate() {
        let at = format_args!("nat.port_forwards.{index}");
        check_title(&forward.name, at, problems);
        if !device(forward.device) {
            let message = format_args!("{} is no device's address in the lan network {lan}", forward.device);
            problems.add(format_args!("{at}.device"), message);
        }
        let room = u16::MAX - (forward.external.count() - 1);
        if forward.internal_port.is_some_and(|port| port == 0 || port > room) {
            let message =
                format_args!("{} ports from there do not fit into 1 to 65535", forward.external.count());
            problems.add(format_args!("{at}.internal_port"), message);
        }
        if forward.protocol != ForwardProtocol::Tcp && forward.external.contains(DHCP_CLIENT) {
            let message = format_args!("UDP port {DHCP_CLIENT} is needed for the router's own WAN address");
            problems.add(format_args!("{at}.external"), message);
        }
        let before = tree.nat.port_forwards.iter().take(index);
        if let Some((twin, other)) = before.enumerate().find(|(_, other)| both_claim(other, forward)) {
            let message = format_args!(
                "ports {} are also forwarded by {twin} ({}); disable one",
                other.external, other.name
            );
            problems.add(format_args!("{at}.external"), message);
        }
    }
    if let Some(address) = tree.nat.exposed_host
        && !device(address)
    {
        let message =
            format_args!("{address} is no device's address in the lan network {lan}, or null for none");
        problems.add(format_args!("nat.exposed_host"), message);
    }
}

fn both_claim(one: &PortForward, other: &PortForward) -> bool {
    let both = ForwardProtocol::Both;
    let shared = one.protocol == other.protocol || one.protocol == both || other.protocol == both;
    one.enabled && other.enabled && shared && one.external.overlaps(other.external)
}

fn check_firewall(tree: &Settings, problems: &mut Problems) {
    for (index, rule) in tree.firewall.rules.iter().enumerate() {
        let at = format_args!("firewall.rules.{index}");
        check_title(&rule.name, at, problems);
        let has_ports = matches!(rule.protocol, Some(RuleProtocol::Tcp | RuleProtocol::Udp));
        if rule.ports.is_some() && !has_ports {
            let message = format_args!("ports need protocol \"tcp\" or \"udp\"");
            problems.add(format_args!("{at}.ports"), message);
        }
        if rule.device.is_some() && rule.from == Zone::Wan {
            let message = format_args!("hardware addresses are not seen from the WAN: leave device out");
            problems.add(format_args!("{at}.device"), message);
        }
        if rule.device.is_some_and(|mac| !mac.is_station()) {
            problems.add(format_args!("{at}.device"), format_args!("is not the address of one device"));
        }
        let open = rule.action == Action::Allow;
        match (rule.from, rule.to) {
            (from, to) if from == to => {
                let message = format_args!("a rule is about traffic between two zones; both are \"{to}\"");
                problems.add(format_args!("{at}.to"), message);
            }
            (Zone::Wan, _) if open => {
                let message = format_args!(
                    "nothing from the internet reaches a device by a rule: use nat.port_forwards or nat.exposed_host"
                );
                problems.add(format_args!("{at}.action"), message);
            }
            (Zone::Guest, Zone::Lan) if open && rule.ports.is_none() => {
                let message = format_args!(
                    "this would open the whole lan to guests: name protocol and ports of the one service they may use"
                );
                problems.add(format_args!("{at}.ports"), message);
            }
            _ => {}
        }
        let mut before = tree.firewall.rules.iter().take(index);
        if rule.enabled
            && let Some(twin) = before.position(|other| other.enabled && same_traffic(other, rule))
        {
            let message = format_args!("never used: rule {twin} already decides the same traffic");
            problems.add(at, message);
        }
    }
}

fn same_traffic(one: &Rule, other: &Rule) -> bool {
    let traffic = |rule: &Rule| (rule.from, rule.to, rule.device, rule.protocol, rule.ports);
    traffic(one) == traffic(other)
}

fn check_title(name: &str, at: fmt::Arguments<'_>, problems: &mut Problems) {
    if name.chars().any(char::is_control) {
        problems.add(format_args!("{at}.name"), format_args!("contains a control character"));
    }
}

/// May be the address of one host at all.
fn is_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first < 224 && !address.is_loopback()
}

/// Is the address of one host in the network of `prefix`, not the network itself or its broadcast.
fn is_host_of(address: Ipv4Addr, prefix: Ipv4Prefix) -> bool {
    let ends = [prefix.network(), prefix.broadcast()];
    is_host(address) && prefix.contains(address) && (prefix.length() > 30 || !ends.contains(&address))
}

fn network(prefix: Ipv4Prefix) -> Ipv4Prefix {
    Ipv4Prefix::new(prefix.network(), prefix.length()).unwrap_or(prefix)
}

/// Faults listed in full.
pub const PROBLEMS: usize = 16;

const DHCP_CLIENT: u16 = 68;
const LABEL: &str = "must be 1 to 63 letters, digits or hyphens, no hyphen first or last";

#[cfg(test)]
mod tests;
