//! Forwarding: the flow a packet belongs to, or a new one.
//!
//! RFC 1812 §5.2 and §5.3 (TTL, what is answered). Packets of flows come here when the fast path left them: first
//! packets, TCP's SYN, FIN and RST, fragments, options, decisions of an older configuration. [`deliver`] sends them out.

use core::hint::black_box;
use core::net::Ipv4Addr;

use dialtone_base::{Frame, MacAddress, Zone};
use dialtone_wire::{Icmpv4Kind, Protocol, Transport};

use super::icmp_out::{IcmpError, NoAnswer};
use crate::accounting::DeviceHandle;
use crate::conntrack::Origin;
use crate::conntrack::key::{Key, Realm};
use crate::conntrack::list::NONE;
use crate::conntrack::tcp::is_impossible;
use crate::firewall::{self, Judgment, Question};
use crate::nat::mapping::Space;
use crate::nat::slowpath::{Ends, Invited, way_to_router, zone_of_inside};
use crate::nat::{hairpin, icmp_error};
use crate::pipeline::{Lookup, Packet};
use crate::route::deliver::{deliver, later_fragment, packet_id};
use crate::route::review::review;
use crate::route::way::Way;
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, link};

/// Forwards a packet that is not for the router itself, or may belong to one of its flows.
pub(crate) fn run(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Verdict {
    let verdict = match packet.ip.transport {
        Transport::Icmp { kind: Icmpv4Kind::Error, .. } => icmp_error::translate(plane, packet, frame),
        Transport::LaterFragment => later_fragment(plane, packet, frame),
        _ => by_flow(plane, packet, frame),
    };
    if packet.ip.more_fragments && packet.ip.fragment_offset == 0 && matches!(verdict, Verdict::Drop(_)) {
        plane.fragments.first_dropped(packet.now, packet_id(packet));
    }
    verdict
}

fn by_flow(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Verdict {
    if let Transport::Tcp(flags) = packet.ip.transport
        && is_impossible(flags)
    {
        return Verdict::Drop(DropReason::TcpInvalid);
    }
    let found = match packet.lookup {
        Lookup::Done(record) => record,
        Lookup::Due => {
            let found = plane.flows.find(packet.hash, &packet.key);
            if found.is_none() {
                black_box(foresee(plane, &packet.key, 0));
            }
            found
        }
    };
    let known = match found.map(|number| review(plane, packet, number, frame)) {
        Some(Ok(number)) => number,
        Some(Err(verdict)) => return verdict,
        None => None,
    };
    let number = match known {
        Some(number) => {
            plane.tracer.stage("flow", Detail::Number(number));
            number
        }
        None => match open(plane, packet, frame) {
            Ok(number) => {
                plane.tracer.stage("new flow", Detail::Number(number));
                number
            }
            Err(verdict) => return verdict,
        },
    };
    deliver(plane, packet, number, frame)
}

/// A frame of the router that needs no flow: to a neighbor of a zone, addresses as they are.
pub(crate) fn plain(plane: &mut Dataplane, packet: &Packet, zone: Zone, frame: &mut Frame) -> Verdict {
    let destination = packet.ip.destination;
    let broadcast = destination.is_broadcast()
        || plane.zone(zone).address.is_some_and(|prefix| prefix.broadcast() == destination);
    let mac = if broadcast {
        MacAddress::BROADCAST
    } else {
        let Some((found, hop)) = plane.next_hop(destination) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        if found != zone {
            return Verdict::Drop(DropReason::BadRouterFrame);
        }
        match plane.way_to(packet, zone, hop) {
            Ok(way) => mac_of(&way.macs),
            Err(verdict) => return verdict,
        }
    };
    let ours = plane.zone(zone).mac;
    if let Some(macs) = frame.bytes_mut().get_mut(..12) {
        let (to, from) = macs.split_at_mut(6);
        to.copy_from_slice(&mac.0);
        from.copy_from_slice(&ours.0);
    }
    link::to_station(plane, packet.now, zone, None, mac)
}

/// Refuses a packet and tells its sender, if that is inside and may be told.
pub(crate) fn refuse(
    plane: &mut Dataplane,
    packet: &Packet,
    error: IcmpError,
    reason: DropReason,
    frame: &mut Frame,
) -> Verdict {
    let Some((mac, address)) = packet
        .realm
        .zone()
        .and_then(|zone| plane.zone(zone).address.map(|prefix| (plane.zone(zone).mac, prefix.address())))
    else {
        return Verdict::Drop(reason);
    };
    match plane.icmp.error(packet.now, error, frame, &packet.headers, mac, address) {
        Ok(()) => {
            plane.drops.count(reason);
            plane.tracer.stage("icmp error", Detail::Words("to the sender"));
            Verdict::Hairpin
        }
        Err(NoAnswer::RateLimited) => {
            plane.drops.count(DropReason::IcmpRateLimited);
            Verdict::Drop(reason)
        }
        Err(_) => Verdict::Drop(reason),
    }
}

/// Opens a flow for its first packet.
fn open(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Result<u32, Verdict> {
    may_open(packet).map_err(Verdict::Drop)?;
    if packet.realm == Realm::Wan {
        return open_in(plane, packet);
    }
    let wan = plane.zone(Zone::Wan).address;
    if wan.is_some_and(|prefix| prefix.address() == packet.ip.destination) {
        return hairpin::open(plane, packet, frame);
    }
    open_out(plane, packet, frame)
}

fn may_open(packet: &Packet) -> Result<(), DropReason> {
    match packet.ip.transport {
        Transport::Tcp(flags) if !flags.is_opening() => Err(DropReason::TcpNoFlow),
        Transport::Icmp { kind: Icmpv4Kind::Reply, .. } => Err(DropReason::IcmpNoFlow),
        Transport::Icmp { kind: Icmpv4Kind::Other, .. } => Err(DropReason::IcmpUnsupported),
        _ => Ok(()),
    }
}

/// A new flow is found nowhere yet, and each table says so with a wait for memory. Reads their places together first,
/// so that there is one wait instead of six: as if the inside port is kept, which it nearly always is. `ahead` is how many
/// flows are opened before this one. The result only keeps the reads from being left out.
#[inline]
pub(crate) fn foresee(plane: &Dataplane, key: &Key, ahead: usize) -> u32 {
    let (inside, remote, protocol) = (key.source(), key.destination(), key.protocol());
    let (Some(space), Some(wan)) = (Space::of(protocol), plane.zone(Zone::Wan).address) else { return 0 };
    let back = Key::new(Realm::Wan, protocol, remote, (wan.address(), inside.1));
    plane.flows.touch_index(plane.flows.hash(&back))
        ^ plane.flows.touch_next(ahead)
        ^ plane.mappings.touch(plane.mappings.next(ahead), key.realm(), space, inside, inside.1)
}

/// The same for the next `count` flows that have to go when the table is full.
#[inline]
pub(crate) fn foresee_evictions(plane: &Dataplane, count: usize) -> u32 {
    plane.flows.victims(count).iter().fold(0, |sum, number| {
        let Some((forth, mapping)) = plane.flows.touch_ended(*number) else { return sum };
        let (realm, inside) = (forth.key.realm(), forth.key.source());
        let Some(space) = Space::of(forth.key.protocol()) else { return sum };
        sum ^ plane.mappings.touch(mapping, realm, space, inside, forth.source_port)
    })
}

/// From inside or from the router to the WAN, or between inside zones.
fn open_out(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Result<u32, Verdict> {
    let ip = &packet.ip;
    let Some((to, hop)) = plane.next_hop(ip.destination) else {
        return Err(refuse(plane, packet, IcmpError::NetUnreachable, DropReason::NoRoute, frame));
    };
    if packet.realm == Realm::Router && to != Zone::Wan {
        return Err(Verdict::Drop(DropReason::BadRouterFrame));
    }
    judge_out(plane, packet, to, ip.destination, ip.destination_port, frame)?;
    hops_left(plane, packet, frame)?;
    let there = way_or_tell(plane, packet, to, hop, frame)?;
    let here = way_back(plane, packet);
    let source = (ip.source, ip.source_port);
    let destination = (ip.destination, ip.destination_port);
    let mut ends = Ends { source, destination, new_source: source, new_destination: destination };
    let mut mappings = [NONE; 2];
    let mut origin = Origin::Plain;
    if to == Zone::Wan {
        let Some(external) = plane.zone(Zone::Wan).address else {
            return Err(Verdict::Drop(DropReason::NoRoute));
        };
        let mapped = plane.map_out(packet.tick, packet.realm, ip.protocol.0, source, external.address());
        let ((address, port), number) = match mapped {
            Ok(mapped) => mapped,
            Err(reason) => return Err(refuse(plane, packet, IcmpError::Prohibited, reason, frame)),
        };
        ends.new_source = (address, port);
        if ip.protocol == Protocol::ICMP {
            // One identifier stands for both ports.
            ends.new_destination.1 = port;
        }
        mappings[0] = number;
        origin = Origin::Outbound;
    }
    let device = device_of(plane, packet);
    plane.tracer.stage("nat", Detail::Number(u32::from(ends.new_source.1)));
    plane
        .open_flow(packet, origin, &ends, mappings, &there, &here, device)
        .map_err(|reason| refuse_full(plane, packet, reason, frame))
}

/// From the WAN to whoever is invited.
fn open_in(plane: &mut Dataplane, packet: &Packet) -> Result<u32, Verdict> {
    let ip = &packet.ip;
    if !ip.is_fragment() && plane.is_voice_for_router(ip.protocol.0, ip.source, ip.destination_port) {
        plane.tracer.stage("voice", Detail::Address(ip.source));
        return Err(Verdict::Punt(Zone::Wan));
    }
    let (target, origin, number) = match plane.invited(ip.protocol.0, ip.source, ip.destination_port) {
        Invited::To(target, origin, number) => (target, origin, number),
        Invited::No(reason) => return Err(Verdict::Drop(reason)),
    };
    let Some(to) = zone_of_inside(plane, target.0) else {
        return Err(Verdict::Drop(DropReason::Unsolicited));
    };
    let device = plane.neighbors.lookup(to, target.0);
    let question = Question {
        from: Zone::Wan,
        to,
        device,
        protocol: ip.protocol.0,
        port: port_of(ip.protocol.0, target.1),
        remote: ip.source,
        invited: true,
    };
    // Nobody outside is told anything, whatever the rule says.
    judged(firewall::judge(&plane.config.rules, &question)).map_err(Verdict::Drop)?;
    if ip.ttl <= 1 {
        return Err(Verdict::Drop(DropReason::TtlExpired));
    }
    let there = plane.way_to(packet, to, target.0)?;
    let gateway = plane.next_hop(ip.source).and_then(|(zone, hop)| plane.neighbors.lookup(zone, hop));
    let here = plane.way_to_station(packet.now, Zone::Wan, gateway.unwrap_or(packet.headers.source));
    let source = (ip.source, ip.source_port);
    let destination = (ip.destination, ip.destination_port);
    let ends = Ends { source, destination, new_source: source, new_destination: target };
    let device = plane.accounting.device(packet.now, to, mac_of(&there.macs));
    plane.tracer.stage("invited", Detail::Address(target.0));
    plane.open_flow(packet, origin, &ends, [NONE, number], &there, &here, device).map_err(Verdict::Drop)
}

/// The firewall's opinion of a flow from inside; the router itself is not asked.
pub(crate) fn judge_out(
    plane: &mut Dataplane,
    packet: &Packet,
    to: Zone,
    remote: Ipv4Addr,
    port: u16,
    frame: &mut Frame,
) -> Result<(), Verdict> {
    let Some(from) = packet.realm.zone() else { return Ok(()) };
    let question = Question {
        from,
        to,
        device: Some(packet.headers.source),
        protocol: packet.ip.protocol.0,
        port: port_of(packet.ip.protocol.0, port),
        remote,
        invited: false,
    };
    plane.tracer.stage("firewall", Detail::Zones(from, to));
    match judged(firewall::judge(&plane.config.rules, &question)) {
        Ok(()) => Ok(()),
        Err(DropReason::RuleReject) => {
            Err(refuse(plane, packet, IcmpError::Prohibited, DropReason::RuleReject, frame))
        }
        Err(reason) => Err(Verdict::Drop(reason)),
    }
}

/// RFC 1812 §5.3.1. The router's own packets are not on their way yet.
pub(crate) fn hops_left(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Result<(), Verdict> {
    if packet.ip.ttl > 1 || packet.realm == Realm::Router {
        return Ok(());
    }
    Err(refuse(plane, packet, IcmpError::TimeExceeded, DropReason::TtlExpired, frame))
}

/// A way for a packet from inside, whose sender is told when there is none.
pub(crate) fn way_or_tell(
    plane: &mut Dataplane,
    packet: &Packet,
    zone: Zone,
    hop: Ipv4Addr,
    frame: &mut Frame,
) -> Result<Way, Verdict> {
    match plane.way_to(packet, zone, hop) {
        Err(Verdict::Drop(DropReason::NoNeighbor)) => {
            Err(refuse(plane, packet, IcmpError::HostUnreachable, DropReason::NoNeighbor, frame))
        }
        other => other,
    }
}

/// The way answers take to the sender of a packet from inside.
pub(crate) fn way_back(plane: &Dataplane, packet: &Packet) -> Way {
    match packet.realm.zone() {
        None => way_to_router(plane.zone(Zone::Wan).mac),
        Some(zone) => {
            let way = plane.way_to_station(packet.now, zone, packet.headers.source);
            Way { egress: packet.ingress, ..way }
        }
    }
}

/// The device a packet from inside is accounted to.
pub(crate) fn device_of(plane: &mut Dataplane, packet: &Packet) -> DeviceHandle {
    match packet.realm.zone() {
        None => DeviceHandle::NOBODY,
        Some(zone) => plane.accounting.device(packet.now, zone, packet.headers.source),
    }
}

/// RFC 5508 REQ-8: no room for a flow is told with code 13.
pub(crate) fn refuse_full(
    plane: &mut Dataplane,
    packet: &Packet,
    reason: DropReason,
    frame: &mut Frame,
) -> Verdict {
    refuse(plane, packet, IcmpError::Prohibited, reason, frame)
}

pub(crate) const fn realm_of(number: u8) -> Realm {
    match number {
        0 => Realm::Lan,
        1 => Realm::Guest,
        2 => Realm::Wan,
        _ => Realm::Router,
    }
}

pub(crate) fn mac_of(macs: &[u8; 12]) -> MacAddress {
    let [a, b, c, d, e, f, ..] = *macs;
    MacAddress([a, b, c, d, e, f])
}

pub(crate) fn port_of(protocol: u8, port: u16) -> Option<u16> {
    matches!(protocol, 6 | 17).then_some(port)
}

pub(crate) fn judged(judgment: Judgment) -> Result<(), DropReason> {
    match judgment {
        Judgment::Allow => Ok(()),
        Judgment::RuleDrop => Err(DropReason::RuleDrop),
        Judgment::RuleReject => Err(DropReason::RuleReject),
        Judgment::Policy => Err(DropReason::ZonePolicy),
    }
}
