//! Mappings: inside endpoint ↔ external port, shared by all flows of that endpoint.
//!
//! RFC 4787 REQ-1 (endpoint-independent mapping) for UDP, RFC 5382 REQ-1 for TCP, RFC 5508 REQ-1 for ICMP identifiers. A
//! mapping lives as long as one of its flows; nothing else ends it, ICMP least of all (RFC 4787 REQ-12). Beside it stands the
//! filter: which addresses each mapping has sent to (RFC 4787 REQ-8). The router's own sockets are inside endpoints too, so
//! their ports cannot collide with anybody's.

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use dialtone_base::Random;

use super::port_alloc::PortAllocator;
use crate::conntrack::Ended;
use crate::conntrack::key::{HashKey, Realm};
use crate::conntrack::list::NONE;
use crate::conntrack::map::WordMap;

/// Protocols with ports or identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Tcp = 0,
    Udp = 1,
    Icmp = 2,
}

impl Space {
    /// The space of an IP protocol; others share nothing.
    pub(crate) const fn of(protocol: u8) -> Option<Self> {
        match protocol {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            1 => Some(Self::Icmp),
            _ => None,
        }
    }
}

/// An inside endpoint and its external port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    pub(crate) space: Space,
    pub(crate) realm: Realm,
    pub(crate) inside: (Ipv4Addr, u16),
    pub(crate) external_port: u16,
    flows: u32,
    /// One address it has sent to, with its flows: most mappings have only this one, and need no other table for it.
    remote: (Ipv4Addr, u32),
}

/// Why there is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortsExhausted;

/// All mappings of the external address.
pub(crate) struct Mappings {
    mappings: Box<[Mapping]>,
    free: Box<[u32]>,
    free_count: usize,
    by_inside: WordMap,
    /// Per space, indexed by external port.
    by_external: [Box<[u32]>; 3],
    ports: [PortAllocator; 3],
    /// Flows per mapping and remote address, but those noted in the mapping itself.
    permissions: WordMap,
}

impl Mappings {
    /// Room for one mapping per flow (two for a hairpinned one).
    pub(crate) fn new(flows: usize, random: &mut Random) -> Self {
        let capacity = flows.max(1) + 1;
        let mapping = Mapping {
            space: Space::Udp,
            realm: Realm::Lan,
            inside: (Ipv4Addr::UNSPECIFIED, 0),
            external_port: 0,
            flows: 0,
            remote: (Ipv4Addr::UNSPECIFIED, 0),
        };
        let external = || vec![NONE; 65_536].into_boxed_slice();
        Self {
            mappings: vec![mapping; capacity].into_boxed_slice(),
            free: (0..capacity as u32).rev().collect(),
            free_count: capacity,
            by_inside: WordMap::new(capacity, HashKey::new(random)),
            by_external: [external(), external(), external()],
            ports: [PortAllocator::new(true), PortAllocator::new(true), PortAllocator::new(false)],
            permissions: WordMap::new(flows.max(1) * 2, HashKey::new(random)),
        }
    }

    pub(crate) const fn in_use(&self) -> usize {
        self.mappings.len() - self.free_count
    }

    pub(crate) fn by_number(&self, number: u32) -> Option<&Mapping> {
        self.mappings.get(number as usize)
    }

    /// The mapping of an inside endpoint.
    pub(crate) fn of_inside(&self, realm: Realm, space: Space, inside: (Ipv4Addr, u16)) -> Option<u32> {
        self.by_inside.find(inside_key(realm, space, inside))
    }

    /// The number the next mapping but `ahead` will have.
    #[inline]
    pub(crate) fn next(&self, ahead: usize) -> u32 {
        self.free_count.checked_sub(1 + ahead).and_then(|last| self.free.get(last)).copied().unwrap_or(0)
    }

    /// Reads, all at once, the places that making and attaching a mapping will look at, or detaching and dropping it.
    #[inline]
    pub(crate) fn touch(
        &self,
        number: u32,
        realm: Realm,
        space: Space,
        inside: (Ipv4Addr, u16),
        external_port: u16,
    ) -> u32 {
        let external =
            self.by_external.get(space as usize).and_then(|ports| ports.get(usize::from(external_port)));
        self.by_inside.touch(inside_key(realm, space, inside))
            ^ external.copied().unwrap_or(0)
            ^ self.mappings.get(number as usize).map_or(0, |mapping| mapping.flows)
    }

    /// The mapping of an external port.
    pub(crate) fn of_external(&self, space: Space, port: u16) -> Option<u32> {
        let number = *self.by_external.get(space as usize)?.get(port as usize)?;
        (number != NONE).then_some(number)
    }

    /// Makes a mapping for an endpoint that has none. `preferred` is a port reserved for it by a forward. It must get a
    /// flow by [`Self::attach`], or go by [`Self::drop_unused`].
    pub(crate) fn create(
        &mut self,
        realm: Realm,
        space: Space,
        inside: (Ipv4Addr, u16),
        preferred: Option<u16>,
        random: &mut Random,
        is_reserved: impl Fn(u16) -> bool,
    ) -> Result<u32, PortsExhausted> {
        let last = self.free_count.checked_sub(1).ok_or(PortsExhausted)?;
        let number = *self.free.get(last).ok_or(PortsExhausted)?;
        let ports = self.ports.get_mut(space as usize).ok_or(PortsExhausted)?;
        let external_port = match preferred.filter(|port| !ports.is_used(*port)) {
            Some(port) => {
                ports.take(port);
                port
            }
            None => ports.allocate(inside.1, random, is_reserved).ok_or(PortsExhausted)?,
        };
        self.free_count = last;
        if let Some(mapping) = self.mappings.get_mut(number as usize) {
            let remote = (Ipv4Addr::UNSPECIFIED, 0);
            *mapping = Mapping { space, realm, inside, external_port, flows: 0, remote };
        }
        self.by_inside.insert(inside_key(realm, space, inside), number);
        if let Some(place) =
            self.by_external.get_mut(space as usize).and_then(|ports| ports.get_mut(external_port as usize))
        {
            *place = number;
        }
        Ok(number)
    }

    /// A flow with this remote address hangs on the mapping now.
    pub(crate) fn attach(&mut self, number: u32, remote: Ipv4Addr) {
        let Some(mapping) = self.mappings.get_mut(number as usize) else { return };
        mapping.flows += 1;
        if mapping.remote.1 == 0 || mapping.remote.0 == remote {
            mapping.remote = (remote, mapping.remote.1 + 1);
        } else {
            self.permissions.add(permission_key(number, remote));
        }
    }

    /// Whether the mapping has a flow with this remote address: RFC 4787 "address-dependent filtering".
    pub(crate) fn permits(&self, number: u32, remote: Ipv4Addr) -> bool {
        let Some(mapping) = self.mappings.get(number as usize) else { return false };
        mapping.remote.1 > 0 && mapping.remote.0 == remote
            || self.permissions.find(permission_key(number, remote)).is_some()
    }

    /// Lets go of what a flow that ended held.
    pub(crate) fn detach(&mut self, ended: &Ended) {
        for (number, remote) in ended.mappings.into_iter().zip(ended.remotes) {
            if number == NONE {
                continue;
            }
            if let Some(mapping) = self.mappings.get_mut(number as usize) {
                mapping.flows = mapping.flows.saturating_sub(1);
                if mapping.remote.1 > 0 && mapping.remote.0 == remote {
                    mapping.remote.1 -= 1;
                } else {
                    self.permissions.subtract(permission_key(number, remote));
                }
            }
            self.drop_unused(number);
        }
    }

    /// Frees a mapping that no flow uses.
    pub(crate) fn drop_unused(&mut self, number: u32) {
        let Some(mapping) = self.mappings.get(number as usize).filter(|mapping| mapping.flows == 0) else {
            return;
        };
        let Mapping { space, realm, inside, external_port, .. } = *mapping;
        if self.by_inside.remove(inside_key(realm, space, inside)).is_none() {
            return;
        }
        let place =
            self.by_external.get_mut(space as usize).and_then(|ports| ports.get_mut(external_port as usize));
        if let Some(place) = place {
            *place = NONE;
        }
        if let Some(ports) = self.ports.get_mut(space as usize) {
            ports.release(external_port);
        }
        if let Some(place) = self.free.get_mut(self.free_count) {
            *place = number;
            self.free_count += 1;
        }
    }
}

const fn inside_key(realm: Realm, space: Space, inside: (Ipv4Addr, u16)) -> u64 {
    (inside.0.to_bits() as u64) << 32 | (inside.1 as u64) << 16 | (space as u64) << 8 | realm as u64 | 1 << 15
}

const fn permission_key(number: u32, remote: Ipv4Addr) -> u64 {
    (number as u64 + 1) << 32 | remote.to_bits() as u64
}
