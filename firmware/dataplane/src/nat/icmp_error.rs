//! ICMP errors: about a packet of a flow, translated with the packet they quote.
//!
//! RFC 5508 §4: bad ICMP or quoted IP checksums are dropped, quoted options skipped, the quoted transport checksum not looked
//! at (REQ-3); the quoted packet is turned back into what its sender had sent, type and code stay (REQ-4, REQ-5, and
//! REQ-7 for hairpinned ones); nothing here refreshes or ends a flow (REQ-6, RFC 4787 REQ-12, RFC 5382 REQ-10).

use core::net::Ipv4Addr;

use dialtone_base::{Frame, PortId, Zone};
use dialtone_wire::checksum::Delta;
use dialtone_wire::icmpv4::Embedded;
use dialtone_wire::{Icmpv4View, Ipv4View, Malformed, Protocol, Transport, icmpv4};

use crate::conntrack::key::{Key, Realm};
use crate::conntrack::{EGRESS_FLOOD, EGRESS_PUNT, Record};
use crate::pipeline::Packet;
use crate::route::forward::{self, realm_of};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, link};

/// Parameter problem.
const PARAMETER_PROBLEM: u8 = 12;

/// Translates an ICMP error and sends it to whoever sent the packet it quotes.
pub(crate) fn translate(plane: &mut Dataplane, packet: &Packet, frame: &mut Frame) -> Verdict {
    let (transit, answer) = match quoted(plane, packet, frame) {
        Ok(records) => records,
        Err(reason) => return Verdict::Drop(reason),
    };
    plane.tracer.stage("icmp error", Detail::Address(transit.key.source().0));
    if answer.hops() > 0
        && let Err(verdict) = forward::hops_left(plane, packet, frame)
    {
        return verdict;
    }
    let wan = plane.zone(Zone::Wan).address.map(|prefix| prefix.address());
    let source = outer_source(packet, &transit, wan);
    if rewrite(packet, &transit, &answer, source, frame).is_none() {
        return Verdict::Drop(DropReason::IcmpBadQuote);
    }
    match answer.egress {
        EGRESS_PUNT => Verdict::Punt(Zone::Wan),
        EGRESS_FLOOD => {
            let zone = realm_of(answer.zone).zone().unwrap_or(Zone::Lan);
            link::flood(plane.zone(zone).ports, None)
        }
        egress => Verdict::Forward(PortId(egress)),
    }
}

/// The record that had sent the quoted packet on its way, and the one of packets back to its sender.
fn quoted(plane: &Dataplane, packet: &Packet, frame: &Frame) -> Result<(Record, Record), DropReason> {
    let Transport::Icmp { icmp_type, .. } = packet.ip.transport else {
        return Err(DropReason::IcmpUnsupported);
    };
    if !matches!(icmp_type, icmpv4::UNREACHABLE | icmpv4::TIME_EXCEEDED | PARAMETER_PROBLEM) {
        return Err(DropReason::IcmpUnsupported);
    }
    if packet.ip.is_fragment() {
        return Err(DropReason::IcmpBadQuote);
    }
    let message = frame
        .bytes()
        .get(usize::from(packet.ip.l4)..packet.ip.end(packet.headers.l3))
        .ok_or(DropReason::Truncated)?;
    let view = Icmpv4View::new_checked(message).map_err(|_| DropReason::Truncated)?;
    if !view.verify_checksum() {
        return Err(DropReason::BadIcmpChecksum);
    }
    let quote = Embedded::parse(view.payload()).map_err(|error| match error {
        Malformed::BadChecksum => DropReason::BadIpChecksum,
        _ => DropReason::IcmpBadQuote,
    })?;
    // It goes to whom the quoted packet came from, or it is not about what its sender received.
    if quote.source != packet.ip.destination {
        return Err(DropReason::IcmpBadQuote);
    }
    if quote.later_fragment {
        return Err(DropReason::IcmpNoFlow);
    }
    let answer_key = Key::new(
        packet.realm,
        quote.protocol.0,
        (quote.destination, quote.destination_port),
        (quote.source, quote.source_port),
    );
    let number =
        plane.flows.find(plane.flows.hash(&answer_key), &answer_key).ok_or(DropReason::IcmpNoFlow)?;
    let answer = plane.flows.record(number).copied().ok_or(DropReason::IcmpNoFlow)?;
    let transit = plane.flows.record(number ^ 1).copied().ok_or(DropReason::IcmpNoFlow)?;
    Ok((transit, answer))
}

/// Who the error comes from, as its receiver may see it: an inside host only behind the address it is known by.
fn outer_source(packet: &Packet, transit: &Record, wan: Option<Ipv4Addr>) -> Ipv4Addr {
    let source = packet.ip.source;
    let (known_as, _) = transit.key.destination();
    if source == transit.destination {
        return known_as;
    }
    let inside = matches!(packet.realm, Realm::Lan | Realm::Guest);
    let translated = known_as != transit.destination || transit.key.realm() == Realm::Wan;
    match wan {
        Some(wan) if inside && translated => wan,
        _ => source,
    }
}

/// Turns the quoted packet back, readdresses the error, mends all checksums.
fn rewrite(
    packet: &Packet,
    transit: &Record,
    answer: &Record,
    source: Ipv4Addr,
    frame: &mut Frame,
) -> Option<()> {
    let (l3, l4) = (usize::from(packet.headers.l3), usize::from(packet.ip.l4));
    let end = packet.ip.end(packet.headers.l3);
    let bytes = frame.bytes_mut();
    bytes.get_mut(..12)?.copy_from_slice(&answer.macs);
    let message = bytes.get_mut(l4..end)?;
    let quote = message.get_mut(icmpv4::HEADER..)?;
    turn_back(transit, quote)?;
    Icmpv4View::new_checked(message).ok()?.fill_checksum();
    let mut view = Ipv4View::new_checked(bytes.get_mut(l3..)?).ok()?;
    view.set_source(source);
    view.set_destination(transit.key.source().0);
    // The caller has seen that there is one left.
    view.set_ttl(view.ttl().saturating_sub(answer.hops()));
    Some(())
}

fn turn_back(transit: &Record, quote: &mut [u8]) -> Option<()> {
    let embedded = Embedded::parse(quote).ok()?;
    let (source, source_port) = transit.key.source();
    let (destination, destination_port) = transit.key.destination();
    let mut view = Ipv4View::new_truncated(&mut *quote).ok()?;
    view.set_source(source);
    view.set_destination(destination);
    let transport = quote.get_mut(embedded.l4..)?;
    let (ports, checksum) = match embedded.protocol {
        Protocol::TCP => (0, 16),
        Protocol::UDP => (0, 6),
        Protocol::ICMP => (4, 2),
        _ => return Some(()),
    };
    let is_icmp = embedded.protocol == Protocol::ICMP;
    transport.get_mut(ports..ports + 2)?.copy_from_slice(&source_port.to_be_bytes());
    if !is_icmp {
        transport.get_mut(2..4)?.copy_from_slice(&destination_port.to_be_bytes());
    }
    // The quote may end before the checksum.
    if let Some(field) = transport.get_mut(checksum..checksum + 2) {
        let old = u16::from_be_bytes([field[0], field[1]]);
        let delta: Delta = transit.transport_delta.reversed();
        let new = if embedded.protocol == Protocol::UDP { delta.apply_udp(old) } else { delta.apply(old) };
        field.copy_from_slice(&new.to_be_bytes());
    }
    Some(())
}
