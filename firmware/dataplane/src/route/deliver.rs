//! Out by a flow's record: fits or not, rewritten, cut, clamped, counted.
//!
//! RFC 4787 REQ-13 (too big with and without DF) and REQ-14 (later fragments follow the first), RFC 6691 (MSS).

use dialtone_base::{Frame, PortId, PortSet, Zone};
use dialtone_wire::tcp::TcpView;
use dialtone_wire::{TcpFlags, Transport};

use super::fragment::{self, NotCut};
use super::icmp_out::IcmpError;
use crate::conntrack::key::Realm;
use crate::conntrack::{EGRESS_FLOOD, EGRESS_PUNT, Record};
use crate::nat::fastpath::{rewrite_any, segments_fit};
use crate::nat::fragments::{Later, PacketId};
use crate::pipeline::Packet;
use crate::route::forward::{self, realm_of, refuse};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Pending, link};

/// Sends a packet the way its flow goes.
pub(crate) fn deliver(plane: &mut Dataplane, packet: &Packet, number: u32, frame: &mut Frame) -> Verdict {
    let Some(record) = plane.flows.record(number).copied() else {
        return Verdict::Drop(DropReason::FlowCollision);
    };
    if let Err(verdict) = hops_left(plane, packet, &record, frame) {
        return verdict;
    }
    let flags = match packet.ip.transport {
        Transport::Tcp(flags) => Some(flags),
        _ => None,
    };
    if let Err(verdict) = fits(plane, packet, &record, frame) {
        return verdict;
    }
    plane.flows.advance(number, packet.tick, flags);
    if packet.ip.is_fragment() {
        let generation = plane.flows.flow(number).map_or(0, |flow| flow.generation);
        plane.fragments.first(packet.now, packet_id(packet), number, generation);
    }
    rewrite_any(&record, &packet.headers, &packet.ip, frame);
    if flags.is_some_and(|flags| flags.has(TcpFlags::SYN)) {
        clamp_mss(plane, packet, &record, frame);
    }
    send(plane, packet, &record, frame)
}

/// Whether the packet has a hop left to lose, if it has to lose one.
fn hops_left(
    plane: &mut Dataplane,
    packet: &Packet,
    record: &Record,
    frame: &mut Frame,
) -> Result<(), Verdict> {
    if record.hops() == 0 { Ok(()) } else { forward::hops_left(plane, packet, frame) }
}

/// Whether the packet fits, or may be cut; else its sender is told (RFC 4787 REQ-13).
fn fits(plane: &mut Dataplane, packet: &Packet, record: &Record, frame: &mut Frame) -> Result<(), Verdict> {
    let ip = &packet.ip;
    if ip.total_len <= record.mtu
        || segments_fit(record.mtu, matches!(ip.transport, Transport::Tcp(_)), usize::from(ip.l4), frame)
    {
        return Ok(());
    }
    if ip.dont_fragment || frame.offload.segment.is_some() {
        let error = IcmpError::FragmentationNeeded { mtu: record.mtu };
        return Err(refuse(plane, packet, error, DropReason::TooBig, frame));
    }
    Ok(())
}

/// The rewritten frame goes out, cut if it must be.
fn send(plane: &mut Dataplane, packet: &Packet, record: &Record, frame: &mut Frame) -> Verdict {
    let bytes = frame.len() as u64;
    if packet.realm == Realm::Wan {
        plane.accounting.received(record.device, 1, bytes);
    } else {
        plane.accounting.sent(packet.now, record.device, 1, bytes);
    }
    if record.egress == EGRESS_PUNT {
        fragment::complete_checksum(frame);
        return Verdict::Punt(Zone::Wan);
    }
    let verdict = if record.egress == EGRESS_FLOOD {
        let zone = realm_of(record.zone).zone().unwrap_or(Zone::Lan);
        link::flood(plane.zone(zone).ports, None)
    } else {
        Verdict::Forward(PortId(record.egress))
    };
    let ports = match verdict {
        Verdict::Forward(port) => PortSet::EMPTY.with(port),
        Verdict::Flood(ports) => ports,
        other => return other,
    };
    if packet.ip.total_len > record.mtu && frame.offload.segment.is_none() {
        let cut = plane.cut(frame, &packet.headers, record.mtu, ports);
        match cut {
            Ok(_) => plane.tracer.stage("cut", Detail::Number(u32::from(record.mtu))),
            Err(NotCut::NoBuffer) => return Verdict::Drop(DropReason::NoBuffer),
            Err(_) => return Verdict::Drop(DropReason::TooBig),
        }
    }
    verdict
}

/// A fragment that is not the first goes the way of the first (RFC 4787 REQ-14).
pub(crate) fn later_fragment(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Verdict {
    let id = packet_id(packet);
    // A stranger's fragments must not take room: the WAN may only send to who asked. That is the first one's flow to
    // say, so orphans wait, in bounded numbers.
    match plane.fragments.later(packet.now, id) {
        Later::Dropped => Verdict::Drop(DropReason::FragmentNoFirst),
        Later::Full => Verdict::Drop(DropReason::FragmentTableFull),
        Later::Hold => plane.wait(Pending::Fragment { id, from: packet.from }),
        Later::Flow { record, generation } => {
            let known = plane.flows.flow(record).is_some_and(|flow| flow.generation == generation);
            let record = plane.flows.record(record).copied();
            let Some(record) = record.filter(|_| known) else {
                return Verdict::Drop(DropReason::FragmentNoFirst);
            };
            plane.tracer.stage("fragment", Detail::Number(u32::from(packet.ip.fragment_offset)));
            if let Err(verdict) = hops_left(plane, packet, &record, frame) {
                return verdict;
            }
            if let Err(verdict) = fits(plane, packet, &record, frame) {
                return verdict;
            }
            rewrite_any(&record, &packet.headers, &packet.ip, frame);
            send(plane, packet, &record, frame)
        }
    }
}

/// Lowers the MSS of a SYN so that segments fit both ways through the WAN.
fn clamp_mss(plane: &Dataplane, packet: &Packet, record: &Record, frame: &mut Frame) {
    let to = realm_of(record.zone);
    if packet.realm != Realm::Wan && to != Realm::Wan {
        return;
    }
    let arrived = packet.realm.zone().map_or(u16::MAX, |zone| plane.zone(zone).mtu);
    let mss = record.mtu.min(arrived).saturating_sub(40);
    let state = frame.offload.checksum;
    let bytes = frame.bytes_mut();
    let end = packet.ip.end(packet.headers.l3);
    if let Some(segment) = bytes.get_mut(usize::from(packet.ip.l4)..end)
        && let Ok(mut view) = TcpView::new_checked(segment)
    {
        view.clamp_mss(mss, state);
    }
}

pub(crate) fn packet_id(packet: &Packet) -> PacketId {
    PacketId {
        realm: packet.realm,
        source: packet.ip.source,
        destination: packet.ip.destination,
        protocol: packet.ip.protocol.0,
        identification: packet.ip.identification,
    }
}
