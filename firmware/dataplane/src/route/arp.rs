//! ARP between the ports and the neighbor table (RFC 826).
//!
//! What asks for our address is answered in place. ARP of the household among itself is bridged; guests' and the WAN's goes
//! nowhere else.

use dialtone_base::{Frame, Instant, PortId, Zone};
use dialtone_wire::{ArpPacket, Headers, build};

use super::neighbor::{ArpRefused, ArpVerdict};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, link};

/// One ARP frame from a port.
pub(crate) fn handle(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    port: PortId,
    headers: &Headers,
    frame: &mut Frame,
) -> Verdict {
    let body = frame.bytes().get(usize::from(headers.l3)..).unwrap_or_default();
    let (Ok(packet), None) = (ArpPacket::parse(body), headers.vlan) else {
        return Verdict::Drop(DropReason::BadArp);
    };
    plane.tracer.stage("arp", Detail::Address(packet.target));
    // A sender other than the frame's is a forgery, or an old bridge nobody has at home.
    if packet.sender_mac != headers.source {
        return Verdict::Drop(DropReason::BadArp);
    }
    let verdict = plane.neighbors.handle(now, zone, &packet);
    plane.follow_neighbors(now);
    match verdict {
        ArpVerdict::Reply(reply) => {
            let written =
                frame.set_len(build::ARP_FRAME) && build::arp_frame(frame.bytes_mut(), &reply).is_some();
            if written { Verdict::Hairpin } else { Verdict::Drop(DropReason::NoAnswer) }
        }
        // A claim to the router's own address is not passed on: it would take the home's traffic.
        ArpVerdict::Refused(ArpRefused::Conflict | ArpRefused::Own) => Verdict::Drop(DropReason::BadArp),
        ArpVerdict::Consumed | ArpVerdict::Refused(_) => {
            if zone == Zone::Lan && headers.destination != plane.zone(zone).mac {
                return link::to_station(plane, now, zone, Some(port), headers.destination);
            }
            Verdict::Drop(match verdict {
                ArpVerdict::Refused(_) => DropReason::BadArp,
                _ => DropReason::ArpConsumed,
            })
        }
    }
}
