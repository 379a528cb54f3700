//! Every setting in plain words: type, range and what it is for. What `settings explain` prints.
//!
//! `N` in a path stands for an entry's number. Defaults are read from the tree itself ([`default_of`]), so the table cannot
//! tell a wrong one; a test holds the table to the tree's fields.

use alloc::string::String;

use crate::json::value_at;
use crate::tree::Settings;

/// What people should know about one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// `lan.dhcp.first`, `reservations.N.mac`.
    pub path: &'static str,
    /// `number`, `text`, `yes or no`, …
    pub kind: &'static str,
    /// Unit and range, or the words to choose from.
    pub range: &'static str,
    /// What it is for.
    pub explanation: &'static str,
}

/// The fields at `path` and below it; all for an empty path. Entry numbers may be given: `reservations.3` finds
/// `reservations.N.mac`.
pub fn explain(path: &str) -> impl Iterator<Item = &'static Field> {
    let mut wanted = String::new();
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let is_number = step == "+" || step.bytes().all(|byte| byte.is_ascii_digit());
        wanted.push_str(if wanted.is_empty() { "" } else { "." });
        wanted.push_str(if is_number { "N" } else { step });
    }
    FIELDS.iter().filter(move |field| {
        let below = field.path.strip_prefix(wanted.as_str());
        below.is_some_and(|rest| wanted.is_empty() || rest.is_empty() || rest.starts_with('.'))
    })
}

/// The factory setting of a field as JSON; `None` for the fields of a list's entries.
pub fn default_of(field: &Field) -> Option<String> {
    value_at(&Settings::default(), field.path).ok()
}

/// Every field, in the order of the tree.
pub const FIELDS: &[Field] = &[
    field("schema", "number", "1", "The version of this tree's shape. Newer firmware raises it."),
    field(
        "system.hostname",
        "text",
        "1 to 63 letters, digits, hyphens",
        "The router's own name at home: with lan.domain, dialtone.home.arpa leads to this router.",
    ),
    field(
        "system.ntp_servers",
        "list of texts",
        "up to 4 host names or IPv4 addresses",
        "Where the router gets the time, tried in order. Empty: the clock is never set.",
    ),
    field(
        "wan.mode",
        "choice",
        "dhcp, static",
        "How the router gets its internet address: dhcp asks the operator, static uses what stands in wan.static.",
    ),
    field(
        "wan.dhcp.hostname",
        "text or null",
        "1 to 63 letters, digits, hyphens",
        "A name to tell the operator with mode dhcp; a few operators ask for one.",
    ),
    field(
        "wan.static.address",
        "address/prefix or null",
        "like 203.0.113.9/24",
        "The router's internet address and network with mode static, as the operator gave it.",
    ),
    field(
        "wan.static.gateway",
        "address or null",
        "inside wan.static.address's network",
        "The operator's router with mode static.",
    ),
    field("wan.static.dns", "list of addresses", "up to 3", "The operator's name servers with mode static."),
    field(
        "wan.mtu",
        "number",
        "bytes, 576 to 1500",
        "Longest packet the internet connection takes. Lower it only when the operator says so.",
    ),
    field(
        "lan.address",
        "address/prefix",
        "a private address, /8 to /30",
        "The router's address at home and the home's network. Devices get new addresses when it changes.",
    ),
    field(
        "lan.dhcp.enabled",
        "yes or no",
        "true, false",
        "Whether the router gives devices their addresses. Off only when another device does.",
    ),
    field(
        "lan.dhcp.first",
        "address or null",
        "in lan.address's network",
        "Lowest address given to devices. null: chosen from the network (100 of a /24).",
    ),
    field(
        "lan.dhcp.last",
        "address or null",
        "in lan.address's network, not below first",
        "Highest address given to devices. null: chosen from the network (249 of a /24).",
    ),
    field(
        "lan.dhcp.lease_seconds",
        "number",
        "seconds, 120 to 2592000",
        "How long a device may keep its address before it asks again. A day has 86400.",
    ),
    field(
        "lan.domain",
        "text",
        "a domain name",
        "The home's domain: a device called tv is tv.home.arpa. home.arpa never clashes with the internet.",
    ),
    field(
        "lan.captive_portal_uri",
        "text or null",
        "an https:// address, up to 127 bytes",
        "The portal's API that devices are told about with their address (RFC 8910).",
    ),
    field(
        "guest.enabled",
        "yes or no",
        "true, false",
        "Whether there is a network for visitors: they reach the internet and nothing at home, not even each other.",
    ),
    field(
        "guest.address",
        "address/prefix",
        "a private address, /8 to /30, apart from lan",
        "The router's address and network for visitors.",
    ),
    field(
        "guest.dhcp.enabled",
        "yes or no",
        "true, false",
        "Whether visitors' devices get addresses from the router.",
    ),
    field(
        "guest.dhcp.first",
        "address or null",
        "in guest.address's network",
        "Lowest address for visitors. null: chosen from the network.",
    ),
    field(
        "guest.dhcp.last",
        "address or null",
        "in guest.address's network, not below first",
        "Highest address for visitors. null: chosen from the network.",
    ),
    field(
        "guest.dhcp.lease_seconds",
        "number",
        "seconds, 120 to 2592000",
        "How long a visitor's device may keep its address before it asks again.",
    ),
    field(
        "guest.ports",
        "list of texts",
        "up to 8 names of the board's ports",
        "Sockets that belong to visitors, e.g. lan4.",
    ),
    field("reservations.N.mac", "hardware address", "like 02:00:5e:10:00:ff", "The device."),
    field(
        "reservations.N.address",
        "address",
        "in the lan's or guests' network, one device each",
        "The address the device always gets. It need not lie between dhcp.first and dhcp.last.",
    ),
    field(
        "reservations.N.name",
        "text",
        "up to 63 letters, digits, hyphens, or empty",
        "Your name for the device; it is found as name.home.arpa, whatever it calls itself.",
    ),
    field(
        "dns.upstreams",
        "list of addresses",
        "up to 4",
        "Name servers to ask instead of the operator's. Empty: the operator's.",
    ),
    field(
        "dns.rebind_protection",
        "yes or no",
        "true, false",
        "Throw away answers from the internet that point into the home, a trick of hostile web pages.",
    ),
    field(
        "dns.rebind_allow",
        "list of texts",
        "up to 8 domain names",
        "Domains, with all below them, that may point into the home all the same, e.g. plex.direct.",
    ),
    field(
        "nat.filtering",
        "choice",
        "address-dependent, endpoint-independent",
        "Who may answer a device's packets: only hosts it has written to, or anyone who sees its port. The latter \
         helps some games and calls and is less strict.",
    ),
    field("nat.port_forwards.N.name", "text", "up to 31 bytes", "For you to recognise it."),
    field("nat.port_forwards.N.enabled", "yes or no", "true, false", "Off keeps it without using it."),
    field("nat.port_forwards.N.protocol", "choice", "tcp, udp, both", "Which traffic."),
    field(
        "nat.port_forwards.N.external",
        "port or ports",
        "like 443 or 8000-8010, 1 to 65535",
        "Ports of the router's internet address that lead to the device.",
    ),
    field(
        "nat.port_forwards.N.device",
        "address",
        "in the lan's network",
        "The device; give it a reservation so that its address stays.",
    ),
    field(
        "nat.port_forwards.N.internal_port",
        "number or null",
        "1 to 65535",
        "The device's port, or the first of them. null: the same as outside.",
    ),
    field(
        "nat.exposed_host",
        "address or null",
        "in the lan's network",
        "The device that gets everything from the internet that nobody asked for. It must protect itself.",
    ),
    field(
        "firewall.wan_ping",
        "yes or no",
        "true, false",
        "Whether the router answers pings from the internet.",
    ),
    field("firewall.rules.N.name", "text", "up to 31 bytes", "For you to recognise it."),
    field("firewall.rules.N.enabled", "yes or no", "true, false", "Off keeps it without using it."),
    field("firewall.rules.N.from", "choice", "lan, guest, wan", "Where a connection starts."),
    field("firewall.rules.N.to", "choice", "lan, guest, wan", "Where it goes; another zone than from."),
    field(
        "firewall.rules.N.device",
        "hardware address or null",
        "like 02:00:5e:10:00:ff",
        "Only connections this device starts.",
    ),
    field(
        "firewall.rules.N.protocol",
        "choice or null",
        "tcp, udp, icmp",
        "Only this protocol; null for all.",
    ),
    field(
        "firewall.rules.N.ports",
        "port or ports, or null",
        "like 443 or 8000-8010",
        "Only these destination ports; needs protocol tcp or udp.",
    ),
    field(
        "firewall.rules.N.action",
        "choice",
        "allow, drop, reject",
        "Let it through, throw it away in silence, or say no. The first rule that fits decides.",
    ),
];

const fn field(
    path: &'static str,
    kind: &'static str,
    range: &'static str,
    explanation: &'static str,
) -> Field {
    Field { path, kind, range, explanation }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::vec::Vec;

    use serde_json::Value;

    use super::*;
    use crate::json::import;

    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        let below = |step: &str| if path.is_empty() { step.into() } else { format!("{path}.{step}") };
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| leaves(value, &below(name), found))
            }
            Value::Array(list) if list.first().is_some_and(Value::is_object) => {
                leaves(&list[0], &below("N"), found);
            }
            _ => found.push(path.into()),
        }
    }

    #[test]
    fn every_field_of_the_tree_is_explained_and_no_other() {
        let full = import(
            r#"{"reservations":[{"mac":"02:00:5e:00:00:01","address":"192.168.77.9"}],
                "nat":{"port_forwards":[{"external":80,"device":"192.168.77.9"}]},
                "firewall":{"rules":[{"from":"lan","to":"wan","action":"drop"}]}}"#,
        )
        .unwrap();
        let mut in_tree = Vec::new();
        leaves(&serde_json::to_value(&*full).unwrap(), "", &mut in_tree);
        let mut in_table: Vec<String> = FIELDS.iter().map(|field| field.path.into()).collect();
        in_tree.sort();
        in_table.sort();
        assert_eq!(in_tree, in_table);
    }

    #[test]
    fn explanations_are_found_by_field_and_by_group() {
        assert_eq!(explain("").count(), FIELDS.len());
        assert_eq!(explain("lan.dhcp").count(), 4);
        assert_eq!(explain("reservations.3").count(), 3);
        assert_eq!(explain("reservations.3.mac").count(), 1);
        assert_eq!(explain("lan.dh").count(), 0);
        assert_eq!(explain("lan.dhcp.lease_seconds").next().and_then(default_of).unwrap(), "43200");
        assert_eq!(explain("reservations.0.mac").next().and_then(default_of), None);
    }
}
