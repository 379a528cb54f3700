//! Zones and their ports: which port belongs to whom, and what all ports of a zone have in common.
//!
//! The board wires ports to zones; the settings may lend ports of the household to guests. Counts what ports move.

use dialtone_base::{Ipv4Prefix, MacAddress, PortId, PortSet, Zone};

use crate::conntrack::key::Realm;
use crate::{Dataplane, Ingress, PortConfig, PortCounters};

/// A port and what it counted.
#[derive(Clone, Copy)]
pub(crate) struct Port {
    /// As the board wired it; the settings may lend a household's port to guests.
    pub(crate) config: PortConfig,
    pub(crate) realm: Realm,
    pub(crate) zone_mac: MacAddress,
    pub(crate) segmentation: bool,
    pub(crate) counters: PortCounters,
}

/// What all ports of a zone have in common.
#[derive(Clone, Copy)]
pub(crate) struct ZoneState {
    pub(crate) mac: MacAddress,
    pub(crate) ports: PortSet,
    /// Longest IP packet all its ports carry.
    pub(crate) port_mtu: u16,
    pub(crate) mtu: u16,
    pub(crate) address: Option<Ipv4Prefix>,
}

impl Dataplane {
    pub(crate) fn zone(&self, zone: Zone) -> &ZoneState {
        &self.zones[zone.index()]
    }

    pub(crate) fn is_our_mac(&self, mac: MacAddress) -> bool {
        self.zones.iter().any(|zone| zone.mac == mac)
    }

    pub(crate) fn can_segment(&self, port: PortId) -> bool {
        self.ports.get(usize::from(port.0)).is_some_and(|port| port.is_some_and(|port| port.segmentation))
    }

    #[inline(always)]
    pub(crate) fn count_received(&mut self, from: Ingress, length: usize) {
        if let Ingress::Port(port) = from
            && let Some(Some(port)) = self.ports.get_mut(usize::from(port.0))
        {
            port.counters.received += 1;
            port.counters.received_bytes += length as u64;
        }
    }

    #[inline(always)]
    pub(crate) fn count_sent(&mut self, port: PortId, length: usize) {
        if let Some(Some(port)) = self.ports.get_mut(usize::from(port.0)) {
            port.counters.sent += 1;
            port.counters.sent_bytes += length as u64;
        }
    }
}

/// Puts every port into its zone, the household's ports in `guest_ports` into the guests', and says what each zone is then.
pub(crate) fn wire(ports: &mut [Option<Port>; PortId::LIMIT], guest_ports: PortSet) -> [ZoneState; 3] {
    let empty = ZoneState {
        mac: MacAddress::ZERO,
        ports: PortSet::EMPTY,
        port_mtu: u16::MAX,
        mtu: u16::MAX,
        address: None,
    };
    let mut zones = [empty; 3];
    for port in ports.iter_mut().flatten() {
        let lent = port.config.zone == Zone::Lan && guest_ports.contains(port.config.id);
        let zone = if lent { Zone::Guest } else { port.config.zone };
        port.realm = Realm::of(zone);
        let state = &mut zones[zone.index()];
        state.ports = state.ports.with(port.config.id);
        state.port_mtu = state.port_mtu.min(port.config.mtu);
        state.mtu = state.port_mtu;
        // A zone keeps the MAC its neighbors know, whichever of its ports is lent.
        let home = &mut zones[port.config.zone.index()];
        if home.mac == MacAddress::ZERO {
            home.mac = port.config.mac;
        }
    }
    for port in ports.iter_mut().flatten() {
        let Some(zone) = port.realm.zone() else { continue };
        let state = &mut zones[zone.index()];
        if state.mac == MacAddress::ZERO {
            state.mac = port.config.mac;
        }
        port.zone_mac = state.mac;
    }
    zones
}
