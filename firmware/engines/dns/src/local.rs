//! Names the router answers by itself, and names that must not leave the house.
//!
//! The home's domain (RFC 8375 for home.arpa), names of devices and their reverse names, special names
//! (RFC 6761: localhost, invalid; RFC 6762: local; RFC 7686: onion; RFC 9462: resolver.arpa), reverse zones of
//! private and documentation addresses (RFC 6303, RFC 7793). `test.` and single labels nobody here bears are
//! forwarded. Only the Internet class; no zone transfers, no records but A and PTR.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use dialtone_base::{Ipv4Prefix, Zone};

use crate::config::{Config, LocalName, Network};
use crate::message::kind;
use crate::name::{Reverse, WireName, label, labels, suffix_at};

/// Seconds a name of the home may be kept by clients: devices come and go.
pub(crate) const HOME_TTL: u32 = 60;
/// Seconds for what never changes.
pub(crate) const FIXED_TTL: u32 = 10_800;

/// What is to be done with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
// A value on the stack for one question: boxing the name would allocate.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Verdict {
    /// Ask upstream.
    Forward,
    /// The name has this address, and no other record.
    Address(Ipv4Addr),
    /// `localhost`: 127.0.0.1 and ::1.
    Loopback,
    /// The reverse name belongs to this one.
    Pointer(WireName),
    /// The name exists and has nothing of the type. The zone begins at this byte of the name.
    NoData(usize, u32),
    /// There is no such name.
    NoSuchName(usize, u32),
}

struct Device {
    label: heapless::Vec<u8, 63>,
    address: Ipv4Addr,
    zone: Zone,
}

/// The home's own names.
pub(crate) struct LocalNames {
    domain: WireName,
    router: heapless::Vec<u8, 63>,
    networks: heapless::Vec<Network, { crate::config::NETWORKS }>,
    allowed: heapless::Vec<WireName, { crate::config::ALLOWED_DOMAINS }>,
    devices: Vec<Device>,
    limit: usize,
}

impl LocalNames {
    /// Room for `limit` devices.
    pub fn new(config: &Config, limit: usize) -> Self {
        let mut names = Self {
            domain: WireName::default(),
            router: heapless::Vec::new(),
            networks: heapless::Vec::new(),
            allowed: heapless::Vec::new(),
            devices: Vec::with_capacity(limit),
            limit,
        };
        names.configure(config);
        names
    }

    pub fn configure(&mut self, config: &Config) {
        self.domain = WireName::from_text(&config.domain)
            .filter(|name| name.as_bytes().len() > 1)
            .or_else(|| WireName::from_text("home.arpa"))
            .unwrap_or_default();
        self.router = host_label(&config.router).unwrap_or_default();
        self.networks = config.networks.clone();
        self.allowed = config.rebind_allowed.iter().filter_map(|name| WireName::from_text(name)).collect();
    }

    /// Replaces the devices; how many were left out, for want of room or because the name is none. Of two with one
    /// name the first stays.
    pub fn set_devices(&mut self, names: &[LocalName]) -> usize {
        self.devices.clear();
        for name in names {
            let Some(label) = host_label(&name.name) else { continue };
            let taken = self.devices.iter().any(|device| device.label == label && device.zone == name.zone);
            if !taken && label != self.router && self.devices.len() < self.limit {
                self.devices.push(Device { label, address: name.address, zone: name.zone });
            }
        }
        names.len() - self.devices.len()
    }

    /// Whether the address lies in one of the home's networks, private or not.
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        self.networks.iter().any(|network| network.prefix.contains(address))
    }

    /// Whether `name` (folded) may lead into the home.
    pub fn may_lead_inside(&self, name: &[u8]) -> bool {
        self.allowed.iter().any(|domain| suffix_at(name, domain.as_bytes()).is_some())
    }

    /// Decides on a question of the Internet class. `name` is folded.
    pub fn judge(&self, name: &[u8], asked: u16, zone: Zone) -> Verdict {
        if let Some(at) = suffix_at(name, self.domain.as_bytes()) {
            return self.judge_home(name, at, asked, zone);
        }
        if suffix_at(name, b"\x04home\x04arpa\0").is_some() {
            return Self::judge_empty_zone(name, b"\x04home\x04arpa\0", asked, HOME_TTL);
        }
        let starts = labels(name);
        let Some(&last) = starts.last() else { return Verdict::Forward };
        match label(name, last as usize) {
            b"localhost" => match asked {
                kind::A | kind::AAAA | kind::ANY => Verdict::Loopback,
                _ => Verdict::NoData(last as usize, FIXED_TTL),
            },
            b"invalid" | b"onion" | b"local" => Verdict::NoSuchName(last as usize, FIXED_TTL),
            b"arpa" => self.judge_arpa(name, asked, zone),
            _ if starts.len() == 1 => match self.find(label(name, 0), zone) {
                Some(address) => address_or_nothing(address, asked, 0),
                None => Verdict::Forward,
            },
            _ => Verdict::Forward,
        }
    }

    fn judge_home(&self, name: &[u8], domain_at: usize, asked: u16, zone: Zone) -> Verdict {
        match domain_at {
            // RFC 8375 section 4: the delegation's proof is the parent's, validators need it.
            0 if asked == kind::DS => Verdict::Forward,
            0 => Verdict::NoData(0, HOME_TTL),
            at if at == 1 + label(name, 0).len() => match self.find(label(name, 0), zone) {
                Some(address) => address_or_nothing(address, asked, at),
                None => Verdict::NoSuchName(at, HOME_TTL),
            },
            at => Verdict::NoSuchName(at, HOME_TTL),
        }
    }

    fn judge_empty_zone(name: &[u8], zone: &[u8], asked: u16, ttl: u32) -> Verdict {
        match suffix_at(name, zone) {
            Some(0) if asked == kind::DS => Verdict::Forward,
            Some(0) => Verdict::NoData(0, ttl),
            Some(at) => Verdict::NoSuchName(at, ttl),
            None => Verdict::Forward,
        }
    }

    fn judge_arpa(&self, name: &[u8], asked: u16, zone: Zone) -> Verdict {
        if let Some(at) = suffix_at(name, b"\x08resolver\x04arpa\0") {
            return Verdict::NoData(at, HOME_TTL);
        }
        if let Some(reverse) = Reverse::parse(name) {
            return self.judge_reverse(name, &reverse, asked, zone);
        }
        for private in PRIVATE_IP6 {
            if suffix_at(name, b"\x03ip6\x04arpa\0").is_none() {
                break;
            }
            let zone = WireName::from_text(private).unwrap_or_default();
            if suffix_at(name, zone.as_bytes()).is_some() {
                return Self::judge_empty_zone(name, zone.as_bytes(), asked, FIXED_TTL);
            }
        }
        Verdict::Forward
    }

    fn judge_reverse(&self, name: &[u8], reverse: &Reverse, asked: u16, zone: Zone) -> Verdict {
        if let Some(address) = reverse.address() {
            let owner = self.owner(address, zone);
            if let Some(target) = owner {
                return match asked {
                    kind::PTR | kind::ANY => Verdict::Pointer(target),
                    _ => Verdict::NoData(0, HOME_TTL),
                };
            }
        }
        let octets = reverse.octets.as_slice();
        let own = self.networks.iter().any(|network| begins_with(network.prefix, octets));
        let Some(depth) = private_depth(octets).or(own.then_some(octets.len())) else {
            return Verdict::Forward;
        };
        // The zone is the last `depth` octets with in-addr.arpa.
        let starts = labels(name);
        let zone_at = starts.len().checked_sub(depth + 2).and_then(|index| starts.get(index)).copied();
        let ttl = if own { HOME_TTL } else { FIXED_TTL };
        match zone_at.unwrap_or(0) as usize {
            0 if asked == kind::DS => Verdict::Forward,
            0 if octets.len() < 4 => Verdict::NoData(0, ttl),
            at => Verdict::NoSuchName(at, ttl),
        }
    }

    /// The address a label stands for, as seen from `zone`.
    fn find(&self, wanted: &[u8], zone: Zone) -> Option<Ipv4Addr> {
        if wanted == self.router.as_slice() && !wanted.is_empty() {
            let own = self.networks.iter().find(|network| network.zone == zone);
            return own.map(|network| network.prefix.address());
        }
        let visible = |device: &&Device| device.label.as_slice() == wanted && sees(zone, device.zone);
        let here = self.devices.iter().filter(visible).min_by_key(|device| device.zone != zone);
        here.map(|device| device.address)
    }

    fn owner(&self, address: Ipv4Addr, zone: Zone) -> Option<WireName> {
        if address == Ipv4Addr::LOCALHOST {
            return WireName::from_text("localhost");
        }
        if zone != Zone::Wan && self.networks.iter().any(|network| network.prefix.address() == address) {
            return self.below_domain(&self.router);
        }
        let owns = |device: &&Device| device.address == address && sees(zone, device.zone);
        self.devices.iter().find(owns).and_then(|device| self.below_domain(&device.label))
    }

    fn below_domain(&self, label: &[u8]) -> Option<WireName> {
        let mut name: heapless::Vec<u8, 255> = heapless::Vec::new();
        name.push(label.len() as u8).ok()?;
        name.extend_from_slice(label).ok()?;
        name.extend_from_slice(self.domain.as_bytes()).ok()?;
        Some(WireName::folded(&name))
    }
}

/// Guests see guests' names only; the LAN sees all.
fn sees(asker: Zone, device: Zone) -> bool {
    asker == device || asker == Zone::Lan
}

fn address_or_nothing(address: Ipv4Addr, asked: u16, zone_at: usize) -> Verdict {
    match asked {
        kind::A | kind::ANY => Verdict::Address(address),
        _ => Verdict::NoData(zone_at, HOME_TTL),
    }
}

/// A host name's label, lower case: letters, digits, hyphens and underscores; spaces become hyphens.
fn host_label(name: &str) -> Option<heapless::Vec<u8, 63>> {
    let mut label = heapless::Vec::new();
    for byte in name.trim().bytes() {
        let byte = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => byte,
            b'A'..=b'Z' => byte.to_ascii_lowercase(),
            b' ' => b'-',
            _ => return None,
        };
        label.push(byte).ok()?;
    }
    (!label.is_empty()).then_some(label)
}

/// Whether the octets name something within the network, or something the network lies in at octet bounds.
fn begins_with(prefix: Ipv4Prefix, octets: &[u8]) -> bool {
    let whole = prefix.length() as usize / 8;
    if octets.len() < whole.max(1) {
        return false;
    }
    let mut address = prefix.network().octets();
    for (place, octet) in address.iter_mut().zip(octets) {
        *place = *octet;
    }
    prefix.contains(Ipv4Addr::from(address))
}

/// How many octets make the private zone these octets lie in: RFC 6303 section 4, RFC 7793.
fn private_depth(octets: &[u8]) -> Option<usize> {
    match *octets {
        [0 | 10 | 127, ..] => Some(1),
        [169, 254, ..] | [192, 168, ..] => Some(2),
        [172, 16..=31, ..] | [100, 64..=127, ..] => Some(2),
        [192, 0, 2, ..] | [198, 51, 100, ..] | [203, 0, 113, ..] => Some(3),
        [255, 255, 255, 255] => Some(4),
        _ => None,
    }
}

/// RFC 6303 section 4.3 to 4.6.
const PRIVATE_IP6: [&str; 8] = [
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];
