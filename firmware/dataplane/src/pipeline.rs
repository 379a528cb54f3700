//! The whole order of stages, on one screen.
//!
//! A stage returns `Some(verdict)` when the frame's way ends there. The flow's decision comes first because it is what
//! almost every packet needs; everything behind it runs for the first packet of a flow, for packets that change a state,
//! and for what is no flow at all.

use dialtone_base::{Frame, Instant};
use dialtone_wire::{EtherType, Headers, Ipv4Summary, Plain};

use crate::conntrack::key::{Key, Realm};
use crate::conntrack::list::NONE;
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
    pub(crate) key: Key,
    pub(crate) hash: u64,
    pub(crate) lookup: Lookup,
}

/// What was already asked about a packet's flow, so that the slow path need not ask again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lookup {
    /// Nothing.
    Due,
    /// The fast path looked: this record, or none; what opening a flow needs was touched.
    Done(Option<u32>),
}

/// A frame of which the fast path's fields were read, with the hash of its flow.
#[derive(Clone, Copy)]
pub(crate) struct Prepared {
    pub(crate) plain: Plain,
    pub(crate) key: Key,
    pub(crate) hash: u64,
    /// The record it is probably about, or `NONE`.
    pub(crate) likely: u32,
    pub(crate) ingress: u8,
}

/// Reads a frame for the fast path; `None` when it is not for that, or malformed.
#[inline(always)]
pub(crate) fn prepare(plane: &Dataplane, from: Ingress, frame: &Frame) -> Option<Prepared> {
    let (realm, ingress, our_mac) = match from {
        Ingress::Port(port) => {
            let Some(Some(known)) = plane.ports.get(usize::from(port.0)) else { return None };
            (known.realm, port.0, known.zone_mac)
        }
        Ingress::Router(_) => (Realm::Router, EGRESS_PUNT, dialtone_base::MacAddress::ZERO),
    };
    let plain = Plain::read(frame.bytes())?;
    if plain.destination != our_mac {
        return None;
    }
    let key = Key::of_plain(realm, &plain);
    Some(Prepared { plain, key, hash: plane.flows.hash(&key), likely: NONE, ingress })
}

/// Takes one frame through every stage it needs.
#[inline(always)]
pub(crate) fn run(
    plane: &mut Dataplane,
    now: Instant,
    from: Ingress,
    prepared: Option<&Prepared>,
    frame: &mut Frame,
) -> Verdict {
    if plane.tracer.is_on() {
        plane.tracer.begin(now, from, frame.bytes());
    }
    let fast = match prepared {
        Some(prepared) => fastpath::forward(plane, now, prepared, frame).map_err(Lookup::Done),
        None => Err(Lookup::Due),
    };
    let verdict = match fast {
        Ok(verdict) => {
            plane.tracer.stage("flow", Detail::Words("fast path"));
            verdict
        }
        Err(lookup) => judge(plane, now, from, lookup, frame),
    };
    finish(plane, from, verdict, frame)
}

/// Reads the frame as a whole and takes it the slow way.
#[inline(never)]
fn judge(plane: &mut Dataplane, now: Instant, from: Ingress, lookup: Lookup, frame: &mut Frame) -> Verdict {
    let (realm, ingress) = match from {
        Ingress::Port(port) => match plane.ports.get(usize::from(port.0)) {
            Some(Some(known)) => (known.realm, port.0),
            _ => return Verdict::Drop(DropReason::UnknownPort),
        },
        Ingress::Router(_) => (Realm::Router, EGRESS_PUNT),
    };
    match Headers::parse(frame.bytes()) {
        Ok(headers) => {
            plane.slow += 1;
            let verdict = slow(plane, now, from, &Read { headers, realm, ingress, lookup }, frame);
            link::do_for_ports(plane, verdict, frame)
        }
        Err(error) => Verdict::Drop(punt::malformed(error)),
    }
}

/// A frame that was read.
pub(crate) struct Read {
    pub(crate) headers: Headers,
    pub(crate) realm: Realm,
    pub(crate) ingress: u8,
    pub(crate) lookup: Lookup,
}

impl Packet {
    /// The IPv4 packet in a frame that was read.
    #[inline]
    pub(crate) fn new(plane: &Dataplane, now: Instant, from: Ingress, read: &Read, ip: Ipv4Summary) -> Self {
        let Read { headers, realm, ingress, lookup } = *read;
        let key = fastpath::key_of(realm, &ip);
        let hash = plane.flows.hash(&key);
        Self { headers, ip, from, realm, ingress, now, tick: tick(now), key, hash, lookup }
    }
}

/// Every stage behind the fast path.
fn slow(plane: &mut Dataplane, now: Instant, from: Ingress, read: &Read, frame: &mut Frame) -> Verdict {
    let headers = &read.headers;
    let port = match from {
        Ingress::Port(port) => port,
        Ingress::Router(zone) => return punt::from_router(plane, now, zone, read, frame),
    };
    let zone = match read.realm.zone() {
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
    let packet = Packet::new(plane, now, from, read, ip);
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
