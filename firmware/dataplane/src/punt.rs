//! The router as a host: what reaches its own stacks, and what they send.
//!
//! From the household everything to the router's own address; from guests DHCP, DNS and ping; from the WAN answers to
//! the router's own flows (that is the fast path's and `forward`'s work), DHCP, and ping if the settings say so. Pings are
//! answered here. Nothing else is ever answered to the WAN.

use dialtone_base::{Frame, Instant, MacAddress, Zone};
use dialtone_wire::{Headers, Ipv4Summary, Malformed, Protocol, Transport, icmpv4};

use crate::nat::slowpath::DHCP_CLIENT;
use crate::pipeline::{Packet, Read};
use crate::route::{forward, fragment};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Ingress, link};

const DHCP_SERVER: u16 = 67;
const DNS: u16 = 53;

/// DHCP for the router's server or client, also before anybody has an address.
pub(crate) fn dhcp(plane: &mut Dataplane, zone: Zone, headers: &Headers) -> Option<Verdict> {
    let ip = headers.ipv4.as_ref().filter(|ip| ip.protocol == Protocol::UDP && !ip.is_fragment())?;
    let wanted = if zone == Zone::Wan { DHCP_CLIENT } else { DHCP_SERVER };
    if ip.destination_port != wanted || headers.vlan.is_some() {
        return None;
    }
    let ours = plane.zone(zone);
    let to_us = headers.destination == ours.mac
        && (zone == Zone::Wan || ours.address.is_some_and(|prefix| prefix.address() == ip.destination));
    if !(to_us || headers.destination == MacAddress::BROADCAST) {
        return None;
    }
    plane.tracer.stage("punt", Detail::Words("dhcp"));
    Some(Verdict::Punt(zone))
}

/// Packets to an address of the router.
pub(crate) fn to_router(
    plane: &mut Dataplane,
    zone: Zone,
    packet: &Packet,
    frame: &mut Frame,
) -> Option<Verdict> {
    let ip = &packet.ip;
    let owner = Zone::ALL
        .into_iter()
        .find(|zone| plane.zone(*zone).address.is_some_and(|prefix| prefix.address() == ip.destination))?;
    if owner == Zone::Wan {
        return to_wan_address(plane, zone, packet, frame);
    }
    if owner != zone {
        let reason = if zone == Zone::Guest { DropReason::GuestToRouter } else { DropReason::RouterClosed };
        return Some(Verdict::Drop(reason));
    }
    plane.tracer.stage("router", Detail::Zone(zone));
    if is_echo_request(ip) {
        return Some(echo(plane, packet, frame));
    }
    if zone == Zone::Guest && !guest_may(ip) {
        return Some(Verdict::Drop(DropReason::GuestToRouter));
    }
    fragment::complete_checksum(frame);
    Some(Verdict::Punt(zone))
}

/// To the WAN address: everything but ping may belong to a flow, and is `forward`'s.
fn to_wan_address(plane: &mut Dataplane, zone: Zone, packet: &Packet, frame: &mut Frame) -> Option<Verdict> {
    if !is_echo_request(&packet.ip) {
        return None;
    }
    match zone {
        Zone::Wan if !plane.config.answer_wan_ping => Some(Verdict::Drop(DropReason::Unsolicited)),
        Zone::Guest => Some(Verdict::Drop(DropReason::GuestToRouter)),
        _ => Some(echo(plane, packet, frame)),
    }
}

fn is_echo_request(ip: &Ipv4Summary) -> bool {
    matches!(ip.transport, Transport::Icmp { icmp_type: icmpv4::ECHO_REQUEST, .. }) && !ip.is_fragment()
}

fn echo(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Verdict {
    plane.tracer.stage("echo", Detail::None);
    if frame.offload.checksum != dialtone_base::frame::Checksum::Complete {
        fragment::complete_checksum(frame);
    }
    match plane.icmp.echo_reply(frame, &packet.headers, packet.headers.destination) {
        Ok(()) => Verdict::Hairpin,
        Err(_) => Verdict::Drop(DropReason::NoAnswer),
    }
}

fn guest_may(ip: &Ipv4Summary) -> bool {
    match ip.protocol {
        Protocol::UDP => matches!(ip.destination_port, DNS | DHCP_SERVER) && !ip.is_fragment(),
        Protocol::TCP => ip.destination_port == DNS && !ip.is_fragment(),
        _ => false,
    }
}

/// Frames the router's own stacks made.
pub(crate) fn from_router(
    plane: &mut Dataplane,
    now: Instant,
    zone: Zone,
    read: &Read,
    frame: &mut Frame,
) -> Verdict {
    let headers = &read.headers;
    let our_mac = plane.zone(zone).mac;
    if headers.destination != MacAddress::ZERO {
        if let Some(source) = frame.bytes_mut().get_mut(6..12) {
            source.copy_from_slice(&our_mac.0);
        }
        plane.tracer.stage("router", Detail::Mac(headers.destination));
        return link::to_station(plane, now, zone, None, headers.destination);
    }
    let Some(ip) = headers.ipv4 else { return Verdict::Drop(DropReason::BadRouterFrame) };
    let packet = Packet::new(plane, now, Ingress::Router(zone), read, ip);
    plane.tracer.stage("router", Detail::Zone(zone));
    let ours = plane.zone(zone).address;
    let on_link = ours.is_some_and(|prefix| prefix.contains(ip.destination));
    let without_flow = ip.protocol == Protocol::UDP && ip.source_port == DHCP_CLIENT;
    match zone {
        Zone::Wan if without_flow => forward::plain(plane, &packet, zone, frame),
        Zone::Wan if ours.is_some_and(|prefix| prefix.address() == ip.source) => {
            forward::run(plane, &packet, frame)
        }
        Zone::Wan => Verdict::Drop(DropReason::BadRouterFrame),
        _ if on_link => forward::plain(plane, &packet, zone, frame),
        _ => Verdict::Drop(DropReason::BadRouterFrame),
    }
}

/// The reason that fits a parse error.
pub(crate) fn malformed(error: Malformed) -> DropReason {
    match error {
        Malformed::Truncated => DropReason::Truncated,
        Malformed::BadChecksum => DropReason::BadIpChecksum,
        Malformed::BadLength | Malformed::Unsupported => DropReason::BadLength,
    }
}
