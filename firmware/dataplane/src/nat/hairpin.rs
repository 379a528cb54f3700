//! Hairpinning: from the household to the WAN address and back in.
//!
//! RFC 4787 REQ-9 and RFC 5382 REQ-8: the answerer sees the opener's *external* address and port. The household reaches every
//! open mapping this way, whatever the filter: it could reach the host directly too. Guests reach none.

use dialtone_base::{Frame, Zone};

use super::slowpath::{Ends, zone_of_inside};
use crate::Dataplane;
use crate::conntrack::Origin;
use crate::conntrack::key::Realm;
use crate::pipeline::Packet;
use crate::route::forward;
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};

/// Opens a flow from inside to an endpoint at the WAN address.
pub(crate) fn open(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Result<u32, Verdict> {
    let ip = &packet.ip;
    match packet.realm {
        Realm::Lan => {}
        Realm::Guest => return Err(Verdict::Drop(DropReason::GuestToRouter)),
        Realm::Wan | Realm::Router => return Err(Verdict::Drop(DropReason::RouterClosed)),
    }
    let closed = Verdict::Drop(DropReason::RouterClosed);
    let owner = plane.owner(ip.protocol.0, ip.destination_port);
    let (target, number) = owner.map(|(target, _, number)| (target, number)).ok_or(closed)?;
    if zone_of_inside(plane, target.0) != Some(Zone::Lan) {
        return Err(closed);
    }
    plane.tracer.stage("hairpin", Detail::Address(target.0));
    forward::judge_out(plane, packet, Zone::Lan, target.0, target.1, frame)?;
    forward::hops_left(plane, packet, frame)?;
    let there = forward::way_or_tell(plane, packet, Zone::Lan, target.0, frame)?;
    let here = forward::way_back(plane, packet);
    let source = (ip.source, ip.source_port);
    let (external, mine) = plane
        .map_out(packet.tick, packet.realm, ip.protocol.0, source, ip.destination)
        .map_err(|reason| forward::refuse_full(plane, packet, reason, frame))?;
    let ends = Ends {
        source,
        destination: (ip.destination, ip.destination_port),
        new_source: external,
        new_destination: target,
    };
    let device = forward::device_of(plane, packet);
    plane
        .open_flow(packet, Origin::Hairpin, &ends, [mine, number], &there, &here, device)
        .map_err(|reason| forward::refuse_full(plane, packet, reason, frame))
}
