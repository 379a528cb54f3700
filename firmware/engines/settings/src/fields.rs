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
    field(
        "telephony.country",
        "text",
        "AU, CN, DE, FR, GB, HK, JP, SG, TW, US",
        "Whose tones, rings, emergency numbers and dialling habits the telephone has.",
    ),
    field(
        "telephony.digit_map",
        "text",
        "like [2-9]xxxxxx|1xxxxxxxxxx|011x.T; empty: as the country dials",
        "When a dialled number is complete and sent without waiting.",
    ),
    field(
        "telephony.first_digit_seconds",
        "number",
        "seconds, 5 to 60",
        "How long the dial tone waits for the first digit.",
    ),
    field(
        "telephony.inter_digit_seconds",
        "number",
        "seconds, 2 to 30",
        "How long a number that is not complete waits for its next digit.",
    ),
    field("telephony.accounts.N.name", "text", "up to 63 bytes", "For people."),
    field(
        "telephony.accounts.N.enabled",
        "yes or no",
        "true, false",
        "Off keeps the account without using it.",
    ),
    field(
        "telephony.accounts.N.domain",
        "text",
        "a domain or an IPv4 address",
        "The operator's domain: what stands behind the @ of its numbers.",
    ),
    field(
        "telephony.accounts.N.outbound_proxy",
        "text",
        "a name or address, :port if need be; empty: as the domain's DNS says",
        "Where to register and send calls.",
    ),
    field(
        "telephony.accounts.N.transport",
        "choice",
        "auto, udp, tcp",
        "How to reach the operator. auto asks the domain's DNS.",
    ),
    field(
        "telephony.accounts.N.numbers",
        "list of texts",
        "1 to 8",
        "The account's numbers: what stands before the @. The first is shown to those you call.",
    ),
    field(
        "telephony.accounts.N.auth_user_name",
        "text",
        "empty: the number",
        "The name that belongs to the password, when the operator gave one.",
    ),
    field(
        "telephony.accounts.N.auth_password",
        "text",
        "up to 127 bytes; shown as ********",
        "The account's password.",
    ),
    field(
        "telephony.accounts.N.display_name",
        "text",
        "up to 63 bytes",
        "Your name as those you call see it.",
    ),
    field(
        "telephony.accounts.N.register_expires",
        "number",
        "seconds, 60 to 86400",
        "How long a registration lasts before it is renewed.",
    ),
    field(
        "telephony.accounts.N.codecs",
        "list of choices",
        "opus, g722, pcma, pcmu",
        "How the voice travels, best first. g722 and opus are wideband.",
    ),
    field(
        "telephony.accounts.N.dtmf_method",
        "choice",
        "auto, info, inband",
        "How keys pressed in a call travel. auto: as events, in the sound where the far end knows none.",
    ),
    field(
        "telephony.accounts.N.silence_suppression",
        "yes or no",
        "true, false",
        "Send nothing while nobody speaks. Saves data, may cut first syllables.",
    ),
    field(
        "telephony.accounts.N.international_format",
        "yes or no",
        "true, false",
        "Send numbers as +country number, for operators who want them so.",
    ),
    field(
        "telephony.accounts.N.accept_strangers",
        "yes or no",
        "true, false",
        "Take calls from others than the operator's servers. Leave it off unless the operator says otherwise.",
    ),
    field(
        "telephony.lines.N.name",
        "text",
        "up to 63 bytes",
        "For people; the other lines see it when this one calls.",
    ),
    field("telephony.lines.N.enabled", "yes or no", "true, false", "Off: only emergency calls."),
    field("telephony.lines.N.account", "number", "counted from 0", "By which account this line calls."),
    field(
        "telephony.lines.N.number",
        "text",
        "a number of the account; empty: its first",
        "Which number those you call see.",
    ),
    field(
        "telephony.lines.N.incoming",
        "list of texts",
        "numbers of accounts; empty: all",
        "Which numbers ring here.",
    ),
    field(
        "telephony.lines.N.call_waiting",
        "yes or no",
        "true, false",
        "Announce a second caller during a call.",
    ),
    field("telephony.lines.N.do_not_disturb", "yes or no", "true, false", "The line does not ring."),
    field(
        "telephony.lines.N.forward_always",
        "text",
        "a number; empty: off",
        "Where every call goes instead.",
    ),
    field(
        "telephony.lines.N.forward_busy",
        "text",
        "a number; empty: off",
        "Where calls go while the line is busy.",
    ),
    field(
        "telephony.lines.N.forward_no_answer",
        "text",
        "a number; empty: off",
        "Where calls go that nobody takes.",
    ),
    field(
        "telephony.lines.N.forward_no_answer_seconds",
        "number",
        "seconds, 5 to 120",
        "How long it rings before forward_no_answer.",
    ),
    field("telephony.lines.N.withhold_number", "yes or no", "true, false", "Hide your number in every call."),
    field(
        "telephony.lines.N.reject_anonymous",
        "yes or no",
        "true, false",
        "Refuse callers who hide their number.",
    ),
    field(
        "telephony.lines.N.blocked",
        "yes or no",
        "true, false",
        "Only emergency calls and calls in the home go out.",
    ),
    field(
        "telephony.lines.N.transfer_on_hang_up",
        "yes or no",
        "true, false",
        "Laying down the receiver with two calls joins those with each other.",
    ),
    field(
        "telephony.lines.N.transmit_gain",
        "number",
        "decibels, -12 to 12",
        "Louder or softer for the far end.",
    ),
    field(
        "telephony.lines.N.receive_gain",
        "number",
        "decibels, -12 to 12",
        "Louder or softer in the handset.",
    ),
    field(
        "telephony.lines.N.echo_cancellation",
        "yes or no",
        "true, false",
        "Take away the echo of this line's wires.",
    ),
    field(
        "telephony.lines.N.caller_id",
        "choice",
        "country, off, bellcore, etsi, dtmf",
        "How the telephone is told who calls.",
    ),
    field(
        "telephony.lines.N.pulse_dialling",
        "yes or no",
        "true, false",
        "Understand telephones with a dial.",
    ),
    field(
        "telephony.lines.N.flash_millis",
        "two numbers or null",
        "milliseconds, least and most, 30 to 1200",
        "How long the recall key opens the loop. null: as in the country.",
    ),
    field(
        "telephony.rules.N.prefix",
        "text",
        "digits; empty: every number",
        "Numbers that begin like this. The longest prefix decides.",
    ),
    field(
        "telephony.rules.N.block",
        "yes or no",
        "true, false",
        "Such numbers are not dialled. Emergency numbers always are.",
    ),
    field(
        "telephony.rules.N.account",
        "number or null",
        "counted from 0; null: the line's own",
        "By which account they are dialled.",
    ),
    field("telephony.rules.N.strip", "number", "digits", "How many digits are taken away in front."),
    field("telephony.rules.N.prepend", "text", "digits", "What is put in front then."),
    field("telephony.phone_book.N.name", "text", "up to 63 bytes", "Who."),
    field("telephony.phone_book.N.number", "text", "digits", "Their number as it is dialled."),
    field(
        "telephony.phone_book.N.short_code",
        "number or null",
        "1 to 99",
        "Dial it short; see docs/star-codes.md.",
    ),
    field("telephony.phone_book.N.ring", "number", "0 to 7", "How it rings when they call. 0: as usual."),
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
                "firewall":{"rules":[{"from":"lan","to":"wan","action":"drop"}]},
                "telephony":{"accounts":[{"domain":"op.example","numbers":["1"]}],"rules":[{"prefix":"0900"}],
                "phone_book":[{"name":"Ann","number":"1"}]}}"#,
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
