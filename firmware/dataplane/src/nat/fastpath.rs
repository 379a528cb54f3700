//! The fast path: one record found, its rewrite applied in place.
//!
//! Takes packets of flows whose decision stands: whole IPv4 packets without options, UDP and TCP segments that change no
//! state. Anything else goes the slow way, which writes and mends the records. Checksums change by RFC 1624 deltas; a partial checksum changes by the addresses' delta only, since the port sums the rest.

use dialtone_base::frame::Checksum;
use dialtone_base::{Frame, Instant, PortId, Zone};
use dialtone_wire::plain::{L3, L4};
use dialtone_wire::{Headers, Ipv4Summary, Protocol, Transport};

use crate::Dataplane;
use crate::conntrack::key::{Key, Realm};
use crate::conntrack::{EGRESS_FLOOD, EGRESS_PUNT, Record, flag, tick};
use crate::pipeline::Prepared;
use crate::verdict::Verdict;

/// The key under which a packet of a flow is found.
#[inline(always)]
pub(crate) fn key_of(realm: Realm, ip: &Ipv4Summary) -> Key {
    Key::new(realm, ip.protocol.0, (ip.source, ip.source_port), (ip.destination, ip.destination_port))
}

/// Handles the packet if its flow's decision stands; else its record, if it has one. Only for frames sent to our MAC.
#[inline(always)]
pub(crate) fn forward(
    plane: &mut Dataplane,
    now: Instant,
    prepared: &Prepared,
    frame: &mut Frame,
) -> Result<Verdict, Option<u32>> {
    let Prepared { plain, key, hash, likely, ingress, .. } = prepared;
    let number = plane.flows.find_near(*likely, *hash, key).ok_or(None)?;
    let left = Err(Some(number));
    let Some(record) = plane.flows.record_mut(number) else { return left };
    let stands = record.flags & flag::FAST != 0 && record.epoch == plane.epoch && record.ingress == *ingress;
    if !stands || plain.changes_state {
        return left;
    }
    let is_tcp = plain.protocol == Protocol::TCP;
    let fits = plain.total_len <= record.mtu
        || (frame.offload.segment.is_some() && segments_fit(record.mtu, is_tcp, L4, frame));
    if !fits || record.egress == EGRESS_FLOOD {
        return left;
    }
    let egress = record.egress;
    // A port that cannot finish checksums or cut needs the slow path's help.
    if frame.offload.checksum != Checksum::Complete || frame.offload.segment.is_some() {
        let port = plane.ports.get(egress as usize).and_then(Option::as_ref);
        if port.is_none_or(|port| !port.segmentation) {
            return left;
        }
    }
    if record.flags & flag::REFRESH != 0 {
        record.seen = tick(now);
    }
    let device = record.device;
    if !rewrite_plain(record, is_tcp, frame) {
        return left;
    }
    let bytes = frame.len() as u64;
    if key.is_from_wan() {
        plane.accounting.received(device, 1, bytes);
    } else {
        plane.accounting.sent(now, device, 1, bytes);
    }
    plane.fast += 1;
    Ok(if egress == EGRESS_PUNT { Verdict::Punt(Zone::Wan) } else { Verdict::Forward(PortId(egress)) })
}

/// Whether the segments of a super-frame fit through the MTU.
pub(crate) fn segments_fit(mtu: u16, is_tcp: bool, l4: usize, frame: &Frame) -> bool {
    let Some(segment) = frame.offload.segment else { return false };
    // The data offset was checked when the packet was read.
    let headers = if is_tcp {
        let offset = frame.bytes().get(l4 + 12).map_or(15, |byte| byte >> 4);
        20 + usize::from(offset) * 4
    } else {
        28
    };
    usize::from(segment.size) + headers <= usize::from(mtu)
}

/// TTL, addresses, ports, checksums and MACs of a packet with both headers at their usual places.
#[inline(always)]
fn rewrite_plain(record: &Record, is_tcp: bool, frame: &mut Frame) -> bool {
    let partial = frame.offload.checksum != Checksum::Complete;
    let bytes = frame.bytes_mut();
    if is_tcp {
        let Some(head) = bytes.first_chunk_mut::<{ L4 + 20 }>() else { return false };
        write_head(record, head);
        let sum = u16::from_be_bytes([head[L4 + 16], head[L4 + 17]]);
        let sum =
            if partial { record.address_delta.apply_to_sum(sum) } else { record.transport_delta.apply(sum) };
        [head[L4 + 16], head[L4 + 17]] = sum.to_be_bytes();
    } else {
        let Some(head) = bytes.first_chunk_mut::<{ L4 + 8 }>() else { return false };
        write_head(record, head);
        let sum = u16::from_be_bytes([head[L4 + 6], head[L4 + 7]]);
        let sum = if partial {
            record.address_delta.apply_to_sum(sum)
        } else {
            record.transport_delta.apply_udp(sum)
        };
        [head[L4 + 6], head[L4 + 7]] = sum.to_be_bytes();
    }
    true
}

/// MACs, TTL, IP checksum, addresses and ports.
#[inline(always)]
fn write_head<const N: usize>(record: &Record, head: &mut [u8; N]) {
    head[..12].copy_from_slice(&record.macs);
    // The checksum's share of a lost hop is in `hop_delta`.
    head[L3 + 8] = head[L3 + 8].wrapping_sub(record.hops());
    let sum = u16::from_be_bytes([head[L3 + 10], head[L3 + 11]]);
    let sum = record.hop_delta.apply(sum);
    head[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
    head[L3 + 12..L3 + 16].copy_from_slice(&record.source.octets());
    head[L3 + 16..L3 + 20].copy_from_slice(&record.destination.octets());
    head[L4..L4 + 2].copy_from_slice(&record.source_port.to_be_bytes());
    head[L4 + 2..L4 + 4].copy_from_slice(&record.destination_port.to_be_bytes());
}

/// The same for any packet of the flow: with IP options, fragments, ICMP queries, protocols without ports.
pub(crate) fn rewrite_any(record: &Record, headers: &Headers, ip: &Ipv4Summary, frame: &mut Frame) {
    let partial = frame.offload.checksum != Checksum::Complete;
    let (l3, l4) = (usize::from(headers.l3), usize::from(ip.l4));
    let bytes = frame.bytes_mut();
    if let Some(macs) = bytes.get_mut(..12) {
        macs.copy_from_slice(&record.macs);
    }
    if let Some(head) = bytes.get_mut(l3..).and_then(|rest| rest.first_chunk_mut::<20>()) {
        head[8] = head[8].wrapping_sub(record.hops());
        let sum = record.hop_delta.apply(u16::from_be_bytes([head[10], head[11]]));
        head[10..12].copy_from_slice(&sum.to_be_bytes());
        head[12..16].copy_from_slice(&record.source.octets());
        head[16..20].copy_from_slice(&record.destination.octets());
    }
    let Some(body) = bytes.get_mut(l4..) else { return };
    let at = match ip.transport {
        Transport::Tcp(_) => 16,
        Transport::Udp => 6,
        Transport::Icmp { .. } => 2,
        Transport::LaterFragment | Transport::Other => return,
    };
    let Some(field) = body.get(at..at + 2) else { return };
    let sum = u16::from_be_bytes([field[0], field[1]]);
    let sum = match ip.transport {
        Transport::Udp if !partial => record.transport_delta.apply_udp(sum),
        Transport::Tcp(_) | Transport::Udp if partial => record.address_delta.apply_to_sum(sum),
        _ => record.transport_delta.apply(sum),
    };
    let ports = if let Transport::Icmp { .. } = ip.transport { 4..6 } else { 0..2 };
    write_u16(body, at..at + 2, sum);
    write_u16(body, ports, record.source_port);
    if !matches!(ip.transport, Transport::Icmp { .. }) {
        write_u16(body, 2..4, record.destination_port);
    }
}

fn write_u16(bytes: &mut [u8], at: core::ops::Range<usize>, value: u16) {
    if let Some(place) = bytes.get_mut(at) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
