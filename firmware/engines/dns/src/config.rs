//! What the forwarder is told: capacities, the home's domain and networks, the names of its devices.

use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use dialtone_base::{Ipv4Prefix, Zone};
use heapless::Vec;

/// Networks of the home: LAN, guest, and two to spare.
pub const NETWORKS: usize = 4;
/// Domains that may lead into the home.
pub const ALLOWED_DOMAINS: usize = 16;

/// Capacities, fixed at construction.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Answers kept.
    pub cache_entries: usize,
    /// Bytes of answers kept.
    pub cache_bytes: usize,
    /// Questions waiting for upstream servers at once, at most 1024; each wants one to three sockets.
    pub in_flight: usize,
    /// Clients waiting for them, all together.
    pub waiters: usize,
    /// Of those, how many may be one address's.
    pub per_client: usize,
    /// Longest question forwarded, bytes.
    pub query_bytes: usize,
    /// Names of devices.
    pub names: usize,
}

impl Limits {
    /// About 1 MiB: a home.
    pub const HOME: Self = Self {
        cache_entries: 4096,
        cache_bytes: 640 * 1024,
        in_flight: 128,
        waiters: 512,
        per_client: 64,
        query_bytes: 1024,
        names: 256,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::HOME
    }
}

/// One network of the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Who lives there.
    pub zone: Zone,
    /// The router's address in it, with the network.
    pub prefix: Ipv4Prefix,
}

/// What may change while running. A change empties the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The home's own domain, `home.arpa` (RFC 8375) unless set otherwise.
    pub domain: Text<127>,
    /// The router's own name in it.
    pub router: Text<63>,
    /// The home's networks; clients from elsewhere get no local names.
    pub networks: Vec<Network, NETWORKS>,
    /// Refuse upstream answers that lead into the home. The WAN's address is none of those: what is reachable
    /// there is public, and households call their own services by name (hairpin).
    pub rebind_protection: bool,
    /// Domains (with everything below) that are excepted.
    pub rebind_allowed: Vec<Text<127>, ALLOWED_DOMAINS>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: Text::from("home.arpa"),
            router: Text::from("dialtone"),
            networks: Vec::new(),
            rebind_protection: true,
            rebind_allowed: Vec::new(),
        }
    }
}

/// A device that goes by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalName {
    /// One label, e.g. `printer`; what is no host name is left out.
    pub name: Text<63>,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its network: only clients there learn of it, and the LAN learns of all.
    pub zone: Zone,
}
