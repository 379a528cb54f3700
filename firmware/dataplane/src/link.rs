//! Layer 2: who may speak, and what is bridged instead of routed.
//!
//! The household's ports are one learning bridge. Guests are isolated: their frames only ever go to the router. On the WAN
//! nothing is bridged. Group frames of the household are flooded; what of them is for the router was punted before.
//! What a port left open and the next one cannot finish is finished here, bridged or routed.

use dialtone_base::frame::Checksum;
use dialtone_base::{Frame, Instant, MacAddress, PortId, PortSet, Zone};
use dialtone_wire::Headers;

use crate::bridge::Learned;
use crate::route::fragment::{self, NotCut};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Event};

/// Checks the source and learns where it is.
pub(crate) fn admit(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    port: PortId,
    headers: &Headers,
) -> Option<Verdict> {
    let source = headers.source;
    if !source.is_station() || plane.is_our_mac(source) {
        return Some(Verdict::Drop(DropReason::BadSourceMac));
    }
    match plane.stations.learn(now, zone, source, port) {
        // Records hold the port a station was behind.
        Learned::Moved { .. } => plane.outdate(now),
        Learned::New => plane.tell(Event::StationSeen { zone, port, mac: source }),
        Learned::Known | Learned::Not(_) => {}
    }
    plane.tracer.stage("link", Detail::Zone(zone));
    None
}

/// Bridges frames that are not for the router.
pub(crate) fn bridge(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    port: PortId,
    headers: &Headers,
) -> Option<Verdict> {
    let destination = headers.destination;
    if destination == plane.zone(zone).mac {
        return None;
    }
    Some(match zone {
        Zone::Guest => Verdict::Drop(DropReason::GuestIsolation),
        Zone::Wan => Verdict::Drop(DropReason::NotForUs),
        Zone::Lan => to_station(plane, now, zone, Some(port), destination),
    })
}

/// By the forwarding table, or to every port of the zone but the one it came from.
pub(crate) fn to_station(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    from: Option<PortId>,
    destination: MacAddress,
) -> Verdict {
    if !destination.is_group()
        && let Some(port) = plane.stations.lookup(now, zone, destination)
    {
        plane.tracer.stage("bridge", Detail::Port(port));
        return match from {
            Some(from) if from == port => Verdict::Drop(DropReason::SamePort),
            _ => Verdict::Forward(port),
        };
    }
    plane.tracer.stage("bridge", Detail::Words("to all"));
    flood(plane.zone(zone).ports, from)
}

/// Does what ports on the way out cannot: completes checksums, cuts super-frames.
pub(crate) fn do_for_ports(plane: &mut Dataplane, verdict: Verdict, frame: &mut Frame) -> Verdict {
    if frame.offload.checksum == Checksum::Complete && frame.offload.segment.is_none() {
        return verdict;
    }
    let ports = match verdict {
        Verdict::Forward(port) => PortSet::EMPTY.with(port),
        Verdict::Flood(ports) => ports,
        other => return other,
    };
    if ports.iter().all(|port| plane.can_segment(port)) {
        return verdict;
    }
    if frame.offload.segment.is_none() {
        fragment::complete_checksum(frame);
        return verdict;
    }
    match plane.segment(frame, ports) {
        Ok(others) => {
            plane.tracer.stage("segments", Detail::Number(others as u32 + 1));
            verdict
        }
        Err(NotCut::NoBuffer) => Verdict::Drop(DropReason::NoBuffer),
        Err(_) => Verdict::Drop(DropReason::CannotSegment),
    }
}

/// To a set of ports but one.
pub(crate) fn flood(ports: PortSet, except: Option<PortId>) -> Verdict {
    let ports = except.map_or(ports, |port| ports.without(port));
    let mut iter = ports.iter();
    match (iter.next(), iter.next()) {
        (None, _) => Verdict::Drop(DropReason::NoEgressPort),
        (Some(port), None) => Verdict::Forward(port),
        _ => Verdict::Flood(ports),
    }
}
