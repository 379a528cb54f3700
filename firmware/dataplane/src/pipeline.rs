//! The whole order of stages, on one screen.
//!
//! A stage returns `Some(verdict)` when the frame's way ends there. The flow's decision comes first because it is what
//! almost every packet needs; everything behind it runs for the first packet of a flow, for packets that change a state,
//! and for what is no flow at all.

use dialtone_base::{Frame, Instant};
use dialtone_wire::{EtherType, Headers, Ipv4Summary};

use crate::conntrack::key::Realm;
use crate::conntrack::{EGRESS_PUNT, Tick, tick};
use crate::firewall::sanity;
use crate::nat::fastpath;
use crate::route::{arp, forward};
use crate::trace::Detail;
use crate::verdict::{DropReason, Verdict};
use crate::{Dataplane, Ingress, link, punt};

/// An IPv4 packet on its slow way, read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) headers: Headers,
    pub(crate) ip: Ipv4Summary,
    pub(crate) from: Ingress,
    pub(crate) realm: Realm,
    /// As flow records note it: the port's number, or `EGRESS_PUNT` for the router itself.
    pub(crate) ingress: u8,
    pub(crate) now: Instant,
    pub(crate) tick: Tick,
}

/// A frame that was read, and the hash of its flow when the fast path may take it.
pub(crate) struct Prepared {
    pub(crate) headers: Headers,
    pub(crate) realm: Realm,
    pub(crate) ingress: u8,
    pub(crate) hash: Option<u64>,
}

/// Reads a frame; `Err` is final.
#[inline(always)]
pub(crate) fn prepare(plane: &Dataplane, from: Ingress, frame: &Frame) -> Result<Prepared, DropReason> {
    let (realm, ingress, our_mac) = match from {
        Ingress::Port(port) => {
            let Some(Some(known)) = plane.ports.get(usize::from(port.0)) else {
                return Err(DropReason::UnknownPort);
            };
            (known.realm, port.0, known.zone_mac)
        }
        Ingress::Router(_) => (Realm::Router, EGRESS_PUNT, dialtone_base::MacAddress::ZERO),
    };
    let headers = Headers::parse(frame.bytes()).map_err(punt::malformed)?;
    let hash = match &headers.ipv4 {
        Some(ip) if headers.destination == our_mac && fastpath::is_eligible(ip) => {
            Some(plane.flows.hash(&fastpath::key_of(realm, ip)))
        }
        _ => None,
    };
    Ok(Prepared { headers, realm, ingress, hash })
}

/// Takes one frame through every stage it needs.
#[inline(always)]
pub(crate) fn run(
    plane: &mut Dataplane,
    now: Instant,
    from: Ingress,
    prepared: Result<Prepared, DropReason>,
    frame: &mut Frame,
) -> Verdict {
    if plane.tracer.is_on() {
        plane.tracer.begin(now, from, frame.bytes());
    }
    let verdict = match &prepared {
        Err(reason) => Verdict::Drop(*reason),
        Ok(prepared) => match fast(plane, now, prepared, frame) {
            Some(verdict) => verdict,
            None => {
                plane.slow += 1;
                slow(plane, now, from, prepared, frame)
            }
        },
    };
    finish(plane, from, verdict, frame)
}

#[inline(always)]
fn fast(plane: &mut Dataplane, now: Instant, prepared: &Prepared, frame: &mut Frame) -> Option<Verdict> {
    let (hash, ip) = (prepared.hash?, prepared.headers.ipv4.as_ref()?);
    let key = fastpath::key_of(prepared.realm, ip);
    let verdict = fastpath::forward(plane, now, prepared.ingress, hash, &key, ip, frame)?;
    plane.tracer.stage("flow", Detail::Words("fast path"));
    Some(verdict)
}

/// Every stage behind the fast path.
#[inline(never)]
fn slow(
    plane: &mut Dataplane,
    now: Instant,
    from: Ingress,
    prepared: &Prepared,
    frame: &mut Frame,
) -> Verdict {
    let headers = &prepared.headers;
    let port = match from {
        Ingress::Port(port) => port,
        Ingress::Router(zone) => return punt::from_router(plane, now, zone, prepared, frame),
    };
    let zone = match prepared.realm.zone() {
        Some(zone) => zone,
        None => return Verdict::Drop(DropReason::UnknownPort),
    };
    if let Some(verdict) = link::admit(plane, now, zone, port, headers) {
        return verdict;
    }
    if headers.ethertype == EtherType::ARP {
        return arp::handle(plane, now, zone, port, headers, frame);
    }
    if let Some(verdict) = punt::dhcp(plane, zone, headers) {
        return verdict;
    }
    if let Some(verdict) = link::bridge(plane, now, zone, port, headers) {
        return verdict;
    }
    let (Some(ip), None) = (headers.ipv4, headers.vlan) else {
        return Verdict::Drop(DropReason::UnknownEtherType);
    };
    let ingress = prepared.ingress;
    let packet = Packet { headers: *headers, ip, from, realm: prepared.realm, ingress, now, tick: tick(now) };
    if let Some(reason) = sanity::check(plane, zone, &packet, frame) {
        return Verdict::Drop(reason);
    }
    if let Some(verdict) = punt::to_router(plane, zone, &packet, frame) {
        return verdict;
    }
    forward::run(plane, &packet, frame)
}

/// Counts what became of the frame.
#[inline(always)]
fn finish(plane: &mut Dataplane, from: Ingress, verdict: Verdict, frame: &mut Frame) -> Verdict {
    match verdict {
        Verdict::Forward(port) => plane.count_sent(port, frame.len()),
        Verdict::Flood(ports) => ports.iter().for_each(|port| plane.count_sent(port, frame.len())),
        Verdict::Punt(_) => plane.punted += 1,
        Verdict::Drop(reason) => plane.drops.count(reason),
        Verdict::Hairpin => {
            if let Ingress::Port(port) = from {
                plane.count_sent(port, frame.len());
            }
        }
        Verdict::Held => {}
    }
    plane.tracer.end(verdict);
    verdict
}
