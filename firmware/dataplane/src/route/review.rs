//! Old decisions under a new configuration: may the flow go on, and where does it lead now?
//!
//! Every record carries the epoch of its decision. Configurations, moved stations and neighbors with another MAC start a new
//! epoch; each direction of a flow is then looked at again when its next packet comes, and idle flows cost nothing. What
//! stations can cause starts one epoch a second at most, so that nobody at home can keep all flows on the slow path by
//! playing several ports or addresses; the flows of a station that moved follow its own packets anyway.

use dialtone_base::{Duration, Frame, Instant, Zone};

use crate::Dataplane;
use crate::conntrack::key::Realm;
use crate::conntrack::{EGRESS_FLOOD, Record};
use crate::firewall::{self, Question};
use crate::nat::slowpath::{way_to_router, zone_of_inside};
use crate::pipeline::Packet;
use crate::route::forward::{judged, mac_of, port_of, realm_of, way_or_tell};
use crate::route::way::Way;
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};

/// Between two epochs that stations caused.
const PAUSE: Duration = Duration::from_secs(1);

impl Dataplane {
    /// Every decision is looked at again before its next use.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.outdated = false;
    }

    /// A station did what may outdate decisions: they are looked at again now, or when the pause is over.
    pub(crate) fn outdate(&mut self, now: Instant) {
        if now >= self.next_epoch {
            self.begin_epoch();
            self.next_epoch = now + PAUSE;
        } else {
            self.outdated = true;
        }
    }

    /// Records copy neighbors' MACs: when ARP changed one, they are looked at again.
    pub(crate) fn follow_neighbors(&mut self, now: Instant) {
        if self.neighbors_moved() {
            self.outdate(now);
        }
    }

    /// The same when the control plane changed one: at once.
    pub(crate) fn follow_command(&mut self) {
        if self.neighbors_moved() {
            self.begin_epoch();
        }
    }

    fn neighbors_moved(&mut self) -> bool {
        let generation = self.neighbors.generation();
        core::mem::replace(&mut self.neighbors_seen, generation) != generation
    }
}

/// Whether a flow's decision still stands; decides anew in a new epoch. `Ok(None)`: the flow is gone, start over. `Err`: what
/// becomes of the packet.
pub(crate) fn review(
    plane: &mut Dataplane,
    packet: &Packet,
    number: u32,
    frame: &mut Frame,
) -> Result<Option<u32>, Verdict> {
    let Some(record) = plane.flows.record(number).copied() else { return Ok(None) };
    let moved = record.ingress != packet.ingress;
    // While a station's port is not known, every packet asks for it.
    let unknown = record.egress == EGRESS_FLOOD;
    if record.epoch == plane.epoch && !moved && !unknown {
        return Ok(Some(number));
    }
    plane.tracer.stage("review", Detail::Number(number));
    if let Err(reason) = may_go_on(plane, number) {
        let ended = plane.flows.revoke(number);
        plane.mappings.detach(&ended);
        return reason.map_or(Ok(None), |reason| Err(Verdict::Drop(reason)));
    }
    let way = way_again(plane, packet, &record, frame)?;
    let epoch = plane.epoch;
    if let Some(place) = plane.flows.record_mut(number) {
        *place = Record { epoch, ingress: packet.ingress, ..record.by(&way) };
    }
    // Its answers must not go to where the station was.
    if moved && let Some(answers) = plane.flows.record_mut(number ^ 1) {
        answers.epoch = epoch.wrapping_sub(1);
    }
    Ok(Some(number))
}

fn may_go_on(plane: &Dataplane, number: u32) -> Result<(), Option<DropReason>> {
    let forth = plane.flows.record(number & !1).copied();
    let back = plane.flows.record(number | 1).copied();
    let origin = plane.flows.flow(number).map(|flow| flow.origin);
    let (Some(forth), Some(back), Some(origin)) = (forth, back, origin) else { return Err(None) };
    if !plane.still_invited(origin, &forth) {
        return Err(None);
    }
    rejudge(plane, &forth, &back)
}

/// `Err(None)` when the flow's inside end is no longer on our networks.
fn rejudge(plane: &Dataplane, forth: &Record, back: &Record) -> Result<(), Option<DropReason>> {
    let (Some(from), Some(to)) = (forth.key.realm().zone(), realm_of(forth.zone).zone()) else {
        return Ok(());
    };
    let (inside, device, remote) = if from == Zone::Wan {
        (forth.destination, mac_of(&forth.macs), forth.key.source().0)
    } else {
        (forth.key.source().0, mac_of(&back.macs), forth.key.destination().0)
    };
    let zone = if from == Zone::Wan { to } else { from };
    if zone_of_inside(plane, inside) != Some(zone) {
        return Err(None);
    }
    let question = Question {
        from,
        to,
        device: Some(device),
        protocol: forth.key.protocol(),
        port: port_of(forth.key.protocol(), forth.destination_port),
        remote,
        invited: from == Zone::Wan,
    };
    judged(firewall::judge(&plane.config.rules, &question)).map_err(Some)
}

/// The way a record leads, from today's tables.
fn way_again(
    plane: &mut Dataplane,
    packet: &Packet,
    record: &Record,
    frame: &mut Frame,
) -> Result<Way, Verdict> {
    let realm = realm_of(record.zone);
    let Some(zone) = realm.zone() else { return Ok(way_to_router(plane.zone(Zone::Wan).mac)) };
    let found = plane.next_hop(record.destination).filter(|(found, _)| *found == zone);
    let hop = found.map_or(record.destination, |(_, hop)| hop);
    if packet.realm == Realm::Wan {
        plane.way_to(packet, zone, hop)
    } else {
        way_or_tell(plane, packet, zone, hop, frame)
    }
}
