//! Addresses and options that no packet may have: martians, spoofed sources, source routes.
//!
//! RFC 6890 (special addresses), RFC 2827 (ingress filtering), RFC 2644 (directed broadcasts), RFC 7126 §4.3 and §4.4
//! (loose and strict source routes).

use core::net::Ipv4Addr;

use dialtone_base::{Frame, Zone};

use crate::Dataplane;
use crate::nat::slowpath::{is_network_or_broadcast, zone_of_inside};
use crate::pipeline::Packet;
use crate::verdict::DropReason;

/// What is wrong with a packet that wants to be routed or punted.
pub(crate) fn check(plane: &Dataplane, zone: Zone, packet: &Packet, frame: &Frame) -> Option<DropReason> {
    let ip = &packet.ip;
    let options =
        frame.bytes().get(usize::from(packet.headers.l3) + 20..usize::from(ip.l4)).unwrap_or_default();
    if has_source_route(options) {
        return Some(DropReason::SourceRoute);
    }
    if is_martian_source(ip.source) {
        return Some(DropReason::Martian);
    }
    let ours = plane.zone(zone).address;
    let Some(ours) = ours else { return Some(DropReason::ZoneDown) };
    let is_own = Zone::ALL
        .into_iter()
        .any(|zone| plane.zone(zone).address.is_some_and(|prefix| prefix.address() == ip.source));
    let spoofed = match zone {
        Zone::Wan => is_own || zone_of_inside(plane, ip.source).is_some(),
        Zone::Lan | Zone::Guest => {
            is_own || !ours.contains(ip.source) || is_network_or_broadcast(ours, ip.source)
        }
    };
    if spoofed {
        return Some(DropReason::SpoofedSource);
    }
    if is_unroutable(ip.destination) {
        return Some(DropReason::BadDestination);
    }
    let directed = Zone::ALL.into_iter().any(|zone| {
        plane.zone(zone).address.is_some_and(|prefix| is_network_or_broadcast(prefix, ip.destination))
    });
    if directed {
        return Some(DropReason::DirectedBroadcast);
    }
    // The WAN speaks to the WAN address only; what lies behind it has no address there.
    (zone == Zone::Wan && ip.destination != ours.address()).then_some(DropReason::BadDestination)
}

/// A source no packet may have.
pub(crate) fn is_martian_source(source: Ipv4Addr) -> bool {
    let [first, ..] = source.octets();
    first == 0 || first == 127 || first >= 224
}

/// A destination that is never routed: "this network", loopback, link-local, multicast, class E.
pub(crate) fn is_unroutable(destination: Ipv4Addr) -> bool {
    let [first, second, ..] = destination.octets();
    first == 0 || first == 127 || first >= 224 || (first == 169 && second == 254)
}

/// Whether IPv4 options hold a source route; malformed options count as one.
pub(crate) fn has_source_route(options: &[u8]) -> bool {
    let mut at = 0;
    while let Some(kind) = options.get(at) {
        match kind {
            0 => return false,
            1 => at += 1,
            131 | 137 => return true,
            _ => {
                let length = usize::from(options.get(at + 1).copied().unwrap_or(0));
                if length < 2 || at + length > options.len() {
                    return true;
                }
                at += length;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_routes_are_found_behind_other_options_rfc7126() {
        assert!(!has_source_route(&[]));
        assert!(!has_source_route(&[1, 1, 0, 131]));
        // Record route, then loose source route.
        assert!(has_source_route(&[7, 3, 4, 131, 3, 4]));
        assert!(!has_source_route(&[148, 4, 0, 0]));
        assert!(has_source_route(&[7, 1]));
        assert!(has_source_route(&[7]));
    }

    #[test]
    fn special_addresses_are_told_apart_rfc6890() {
        for bad in ["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let bad: Ipv4Addr = bad.parse().unwrap();
            assert!(is_martian_source(bad) && is_unroutable(bad));
        }
        assert!(is_unroutable(Ipv4Addr::new(169, 254, 1, 1)));
        assert!(!is_martian_source(Ipv4Addr::new(100, 64, 0, 1)));
    }
}
