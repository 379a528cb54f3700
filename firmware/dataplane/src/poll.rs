//! What the data plane has to do by itself: cut-off fragments, ARP, released frames, events, timers.
//!
//! Frames that were held go through the whole pipeline again. Work per call is bounded: at most one frame, or a bounded
//! number of flows whose timers are looked at.

use dialtone_base::{Duration, Frame, Instant, PortSet, Zone};
use dialtone_wire::{Headers, build};

use crate::conntrack::tick;
use crate::output::{Event, Output};
use crate::pipeline;
use crate::route::icmp_out::IcmpError;
use crate::route::neighbor::NeighborOutput;
use crate::route::{fragment, segment};
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Ingress};

/// Flows whose timers are looked at in one call.
const EXPIRE_AT_ONCE: u32 = 256;
/// How often the gateway is looked at while there are flows.
const GATEWAY_CHECK: Duration = Duration::from_secs(30);
/// How often the tables learn whom the fast path heard: a few times before a station would be forgotten.
const REFRESH: Duration = Duration::from_secs(60);
/// How soon the rest is looked at.
const EXPIRE_REST: Duration = Duration::from_millis(1);

/// The next thing to do.
pub(crate) fn next(plane: &mut Dataplane, now: Instant) -> Output {
    if let Some((to, frame)) = plane.cut.pop_front() {
        return Output::Transmit { to, frame };
    }
    if plane.outdated && now >= plane.next_epoch {
        plane.outdate(now);
    }
    watch_gateway(plane, now);
    refresh(plane, now);
    let neighbors_wait = loop {
        match neighbors(plane, now) {
            Ok(Some(output)) => return output,
            Ok(None) => {}
            Err(wait) => break wait,
        }
    };
    while let Some((from, frame)) = plane.fragments.released() {
        if let Some(output) = again(plane, now, from, frame) {
            return output;
        }
    }
    while plane.fragments.give_up(now) {
        plane.drops.count(DropReason::FragmentTimeout);
    }
    if let Some(event) = plane.events.pop_front() {
        return Output::Event(event);
    }
    let mut budget = EXPIRE_AT_ONCE;
    while let Some(ended) = plane.flows.expire(tick(now), &mut budget) {
        plane.mappings.detach(&ended);
    }
    let flows_wait = if budget == 0 { Some(now + EXPIRE_REST) } else { plane.flows.next_expiry() };
    let epoch_wait = plane.outdated.then_some(plane.next_epoch);
    let waits = [neighbors_wait, plane.fragments.next_give_up(), flows_wait, epoch_wait];
    Output::Wait(waits.into_iter().flatten().min())
}

/// Flows carry the gateway's MAC and never ask the neighbor table; this does it for them, so that a silently replaced
/// gateway is noticed.
fn watch_gateway(plane: &mut Dataplane, now: Instant) {
    let Some(gateway) = plane.config.wan.and_then(|wan| wan.gateway) else { return };
    if now < plane.gateway_check || plane.flows.in_use() == 0 {
        return;
    }
    plane.gateway_check = now + GATEWAY_CHECK;
    if plane.neighbors.lookup(Zone::Wan, gateway).is_some() {
        plane.neighbors.resolve(now, Zone::Wan, gateway);
    }
}

/// The fast path tells no table whom it heard, only the devices' counters: from them the others learn it in time, so that a
/// station with live flows stays known.
fn refresh(plane: &mut Dataplane, now: Instant) {
    if now < plane.refresh_at {
        return;
    }
    plane.refresh_at = now + REFRESH;
    let accounting = &plane.accounting;
    for usage in accounting.devices() {
        plane.stations.refresh(usage.last_seen, usage.zone, usage.mac);
    }
    plane.neighbors.refresh(|zone, mac| accounting.last_seen(zone, mac));
}

/// One thing of the neighbor table's; `Err` when it has nothing to do before then.
fn neighbors(plane: &mut Dataplane, now: Instant) -> Result<Option<Output>, Option<Instant>> {
    let output = plane.neighbors.poll(now);
    plane.follow_neighbors(now);
    Ok(match output {
        NeighborOutput::Ask { zone, packet, to } => {
            let ports = plane.zone(zone).ports;
            let Some(mut frame) = plane.pool.take(build::ARP_FRAME) else {
                plane.drops.count(DropReason::NoBuffer);
                return Ok(None);
            };
            if build::arp_frame_to(frame.bytes_mut(), &packet, to).is_none() {
                return Ok(None);
            }
            let ports = plane.stations.lookup(now, zone, to).map_or(ports, |port| PortSet::EMPTY.with(port));
            transmit(plane, ports, frame)
        }
        NeighborOutput::Release { from, frame, .. } => again(plane, now, from, frame),
        NeighborOutput::Unreachable { zone, from, frame, .. } => unreachable(plane, now, zone, from, frame),
        NeighborOutput::ProbeAnswered { zone, address, mac } => {
            Some(Output::Event(Event::ProbeAnswered { zone, address, mac }))
        }
        NeighborOutput::Conflict { zone, address, mac } => {
            Some(Output::Event(Event::AddressConflict { zone, address, mac }))
        }
        NeighborOutput::Wait(until) => return Err(until),
    })
}

fn transmit(plane: &mut Dataplane, to: PortSet, frame: Frame) -> Option<Output> {
    for port in to.iter() {
        plane.count_sent(port, frame.len());
    }
    (!to.is_empty()).then_some(Output::Transmit { to, frame })
}

/// A frame that waited goes through the pipeline again.
fn again(plane: &mut Dataplane, now: Instant, from: Ingress, mut frame: Frame) -> Option<Output> {
    plane.pending.clear();
    let prepared = pipeline::prepare(plane, from, &frame);
    let verdict = pipeline::run(plane, now, from, prepared.as_ref(), &mut frame);
    match verdict {
        Verdict::Forward(port) => Some(Output::Transmit { to: PortSet::EMPTY.with(port), frame }),
        Verdict::Flood(to) => Some(Output::Transmit { to, frame }),
        Verdict::Punt(zone) => Some(Output::Punt { zone, frame }),
        Verdict::Hairpin => answered(from, frame),
        Verdict::Held => {
            plane.hold(now, frame);
            None
        }
        Verdict::Drop(_) => None,
    }
}

fn answered(from: Ingress, frame: Frame) -> Option<Output> {
    Some(match from {
        Ingress::Port(port) => Output::Transmit { to: PortSet::EMPTY.with(port), frame },
        Ingress::Router(zone) => Output::Punt { zone, frame },
    })
}

/// The next hop never answered: whoever inside sent the frame is told.
fn unreachable(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    from: Ingress,
    mut frame: Frame,
) -> Option<Output> {
    plane.drops.count(DropReason::NoNeighbor);
    let Ingress::Port(port) = from else { return None };
    let sender = plane.ports.get(usize::from(port.0)).copied().flatten()?.realm.zone()?;
    if sender == Zone::Wan {
        return None;
    }
    let headers = Headers::parse(frame.bytes()).ok()?;
    let state = plane.zone(sender);
    let (mac, address) = (state.mac, state.address?.address());
    let told = plane.icmp.error(now, IcmpError::HostUnreachable, &mut frame, &headers, mac, address);
    plane.tracer.stage("unreachable", crate::trace::Detail::Zone(zone));
    told.ok().and_then(|()| transmit(plane, PortSet::EMPTY.with(port), frame))
}

impl Dataplane {
    /// Cuts a frame to `mtu`; it becomes the first fragment, the others wait to be polled.
    pub(crate) fn cut(
        &mut self,
        frame: &mut Frame,
        headers: &Headers,
        mtu: u16,
        to: PortSet,
    ) -> Result<usize, fragment::NotCut> {
        let room = self.cut.capacity() - self.cut.len();
        let queue = &mut self.cut;
        let mut bytes = 0;
        let count = fragment::cut(frame, headers, mtu, room, |fragment| {
            bytes += fragment.len();
            // `cut` keeps within the room it was given.
            let _ = queue.push_back((to, fragment));
        })?;
        self.count_pieces(to, count, bytes);
        Ok(count)
    }

    /// Cuts a super-frame for ports that cannot; it becomes the first segment, the others wait to be polled.
    pub(crate) fn segment(&mut self, frame: &mut Frame, to: PortSet) -> Result<usize, fragment::NotCut> {
        let room = self.cut.capacity() - self.cut.len();
        let queue = &mut self.cut;
        let mut bytes = 0;
        let count = segment::segment(frame, room, |piece| {
            bytes += piece.len();
            // `segment` keeps within the room it was given.
            let _ = queue.push_back((to, piece));
        })?;
        self.count_pieces(to, count, bytes);
        Ok(count)
    }

    fn count_pieces(&mut self, to: PortSet, count: usize, bytes: usize) {
        for port in to.iter() {
            if let Some(Some(port)) = self.ports.get_mut(usize::from(port.0)) {
                port.counters.sent += count as u64;
                port.counters.sent_bytes += bytes as u64;
            }
        }
    }
}
