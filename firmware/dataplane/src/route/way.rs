//! Where a packet leaves: zone, port, MACs and MTU, from addresses and the tables.

use core::net::Ipv4Addr;

use dialtone_base::{Instant, MacAddress, Zone};

use super::neighbor::Resolution;
use crate::conntrack::EGRESS_FLOOD;
use crate::conntrack::key::Realm;
use crate::nat::slowpath::zone_of_inside;
use crate::pipeline::Packet;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Pending};

/// How packets of a flow leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Where answers come in: the zone left into, or the router.
    pub(crate) realm: Realm,
    /// Destination and source MAC.
    pub(crate) macs: [u8; 12],
    /// A port's number, or one of conntrack's `EGRESS_` values.
    pub(crate) egress: u8,
    /// Longest IP packet.
    pub(crate) mtu: u16,
}

impl Dataplane {
    /// Zone and next hop towards an address; `None` without a route.
    pub(crate) fn next_hop(&self, destination: Ipv4Addr) -> Option<(Zone, Ipv4Addr)> {
        if let Some(zone) = zone_of_inside(self, destination) {
            return Some((zone, destination));
        }
        let wan = self.config.wan?;
        let hop = if wan.address.contains(destination) { destination } else { wan.gateway? };
        Some((Zone::Wan, hop))
    }

    /// The way to a station next to us.
    pub(crate) fn way_to_station(&self, now: Instant, zone: Zone, mac: MacAddress) -> Way {
        let state = self.zone(zone);
        let mut ports = state.ports.iter();
        let egress = match (ports.next(), ports.next()) {
            (Some(only), None) => only.0,
            _ => self.stations.lookup(now, zone, mac).map_or(EGRESS_FLOOD, |port| port.0),
        };
        let mut macs = [0; 12];
        let (destination, source) = macs.split_at_mut(6);
        destination.copy_from_slice(&mac.0);
        source.copy_from_slice(&state.mac.0);
        Way { realm: Realm::of(zone), macs, egress, mtu: state.mtu }
    }

    /// The way to a next hop whose MAC may have to be asked for; else what becomes of the packet.
    pub(crate) fn way_to(&mut self, packet: &Packet, zone: Zone, hop: Ipv4Addr) -> Result<Way, Verdict> {
        match self.neighbors.resolve(packet.now, zone, hop) {
            Resolution::Ready(mac) => Ok(self.way_to_station(packet.now, zone, mac)),
            Resolution::Hold => Err(self.wait(Pending::Neighbor { zone, hop, from: packet.from })),
            Resolution::Unreachable => Err(Verdict::Drop(DropReason::NoNeighbor)),
            Resolution::Full => Err(Verdict::Drop(DropReason::HoldFull)),
        }
    }
}
