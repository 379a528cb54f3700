//! What a server is told once: its network, its pool, what it hands out.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use dialtone_base::{Duration, Ipv4Prefix, MacAddress, Zone};

/// An address kept for one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The device.
    pub mac: MacAddress,
    /// Its address; may lie outside the pool, but in the network.
    pub address: Ipv4Addr,
    /// The name sent to it (option 12) when not empty.
    pub name: Text<63>,
}

/// The settings of one zone's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Which network.
    pub zone: Zone,
    /// The router's own address there, with the prefix length: server id, option 3 and option 1.
    pub address: Ipv4Prefix,
    /// First address handed out.
    pub first: Ipv4Addr,
    /// Last address handed out.
    pub last: Ipv4Addr,
    /// Lease time for clients that ask for none.
    pub lease: Duration,
    /// No lease is longer, whatever the client asks for.
    pub longest_lease: Duration,
    /// No lease is shorter.
    pub shortest_lease: Duration,
    /// The only server on this network: speaks up about leases it does not know (RFC 2131 section 4.3.2 would have
    /// it silent), so that clients recover at once when leases were lost.
    pub authoritative: bool,
    /// Probe addresses before offering them to somebody new.
    pub probe: bool,
    /// Option 6.
    pub name_servers: heapless::Vec<Ipv4Addr, 3>,
    /// Option 15; not sent when empty.
    pub domain: Text<127>,
    /// Option 42; not sent when empty.
    pub time_servers: heapless::Vec<Ipv4Addr, 3>,
    /// Option 114 (RFC 8910); not sent when empty.
    pub captive_portal: Text<200>,
    /// Addresses kept for devices.
    pub reservations: Vec<Reservation>,
}

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadConfig {
    /// First after last, or one of them outside the network.
    Pool,
    /// More addresses than the table holds.
    TooMany,
    /// A reservation outside the network, on the router's own address, or one that appears twice.
    Reservation(Ipv4Addr),
    /// Shortest, usual and longest lease are not in this order, or the shortest is under a minute.
    LeaseTime,
}

impl ServerConfig {
    /// A usual home: addresses .100 to .249 of the network (as far as it reaches), twelve hours, the router as name server.
    pub fn home(zone: Zone, address: Ipv4Prefix) -> Self {
        let network = address.network().to_bits();
        let size = address.broadcast().to_bits() - network;
        let (first, last) = if size >= 255 {
            (network + 100, network + 249)
        } else {
            (network + size / 2, network + size.max(2) - 1)
        };
        let mut name_servers = heapless::Vec::new();
        // Three fit.
        let _ = name_servers.push(address.address());
        Self {
            zone,
            address,
            first: Ipv4Addr::from_bits(first),
            last: Ipv4Addr::from_bits(last),
            lease: Duration::from_secs(12 * 3600),
            longest_lease: Duration::from_secs(24 * 3600),
            shortest_lease: Duration::from_secs(120),
            authoritative: true,
            probe: true,
            name_servers,
            domain: Text::lossy("home.arpa"),
            time_servers: heapless::Vec::new(),
            captive_portal: Text::new(),
            reservations: Vec::new(),
        }
    }

    /// Whether a table of `capacity` addresses can serve this.
    pub fn check(&self, capacity: usize) -> Result<(), BadConfig> {
        let inside = |address| self.address.contains(address);
        if self.first > self.last || !inside(self.first) || !inside(self.last) {
            return Err(BadConfig::Pool);
        }
        if (self.last.to_bits() - self.first.to_bits()) as usize >= capacity {
            return Err(BadConfig::TooMany);
        }
        for (index, reservation) in self.reservations.iter().enumerate() {
            let (_, rest) = self.reservations.split_at((index + 1).min(self.reservations.len()));
            let twice =
                rest.iter().any(|other| other.mac == reservation.mac || other.address == reservation.address);
            if twice || !inside(reservation.address) || !self.may_lease(reservation.address) {
                return Err(BadConfig::Reservation(reservation.address));
            }
        }
        if self.addresses().len() > capacity {
            return Err(BadConfig::TooMany);
        }
        let ordered = self.shortest_lease <= self.lease && self.lease <= self.longest_lease;
        if ordered && self.shortest_lease >= Duration::from_secs(60) {
            Ok(())
        } else {
            Err(BadConfig::LeaseTime)
        }
    }

    /// Not the router's, the network's or the broadcast address.
    fn may_lease(&self, address: Ipv4Addr) -> bool {
        let prefix = self.address;
        let ends = prefix.length() < 31 && (address == prefix.network() || address == prefix.broadcast());
        address != prefix.address() && !ends
    }

    /// Every address this server may lease, lowest first, with the device it is kept for.
    pub(super) fn addresses(&self) -> Vec<(Ipv4Addr, Option<MacAddress>)> {
        let pool = (self.first.to_bits()..=self.last.to_bits()).map(Ipv4Addr::from_bits);
        let mut all: Vec<_> =
            pool.filter(|address| self.may_lease(*address)).map(|address| (address, None)).collect();
        for reservation in &self.reservations {
            match all.iter_mut().find(|(address, _)| *address == reservation.address) {
                Some((_, kept_for)) => *kept_for = Some(reservation.mac),
                None => all.push((reservation.address, Some(reservation.mac))),
            }
        }
        all.sort_unstable();
        all
    }

    /// The time granted to a client that asks for `wanted` seconds (RFC 2131 section 4.3.1).
    pub(super) fn lease_for(&self, wanted: Option<u32>) -> Duration {
        let wanted = wanted.map_or(self.lease, |seconds| Duration::from_secs(seconds as u64));
        wanted.clamp(self.shortest_lease, self.longest_lease)
    }
}
