//! A packet trace: which stages a packet took, told to people.
//!
//! Off, it costs one comparison per packet. On, packets that match the [`Filter`] leave their stages and verdict in a
//! ring that keeps the newest traces. Nothing allocates after [`Tracer::new`]; a packet with more than [`STAGES`] stages
//! loses the later ones, which its trace says.

use alloc::boxed::Box;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Instant, MacAddress, PortId, Zone};
use dialtone_wire::Headers;
use heapless::Vec;

use crate::{Ingress, Verdict};

/// Stages kept per packet.
pub const STAGES: usize = 12;

/// Which packets are traced; an absent field matches everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Source or destination MAC.
    pub mac: Option<MacAddress>,
    /// Source or destination address.
    pub address: Option<Ipv4Addr>,
    /// Source or destination port, or ICMP identifier.
    pub port: Option<u16>,
}

impl Filter {
    /// Whether a packet with these headers is meant. Malformed packets match only a filter without fields.
    pub fn matches(&self, headers: Option<&Headers>) -> bool {
        let mac = self.mac.is_none_or(|mac| {
            headers.is_some_and(|headers| headers.source == mac || headers.destination == mac)
        });
        let ip = headers.and_then(|headers| headers.ipv4.as_ref());
        let address = self
            .address
            .is_none_or(|address| ip.is_some_and(|ip| ip.source == address || ip.destination == address));
        let port = self
            .port
            .is_none_or(|port| ip.is_some_and(|ip| ip.source_port == port || ip.destination_port == port));
        mac && address && port
    }
}

/// What a stage found, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing worth saying.
    None,
    /// A few words.
    Words(&'static str),
    /// A port of the router.
    Port(PortId),
    /// A zone.
    Zone(Zone),
    /// From one zone to another.
    Zones(Zone, Zone),
    /// A station.
    Mac(MacAddress),
    /// An address.
    Address(Ipv4Addr),
    /// An address and port.
    Endpoint(SocketAddrV4),
    /// A number, such as a flow's.
    Number(u32),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Words(words) => write!(f, " {words}"),
            Self::Port(port) => write!(f, " {port}"),
            Self::Zone(zone) => write!(f, " {zone}"),
            Self::Zones(from, to) => write!(f, " {from} -> {to}"),
            Self::Mac(mac) => write!(f, " {mac}"),
            Self::Address(address) => write!(f, " {address}"),
            Self::Endpoint(endpoint) => write!(f, " {endpoint}"),
            Self::Number(number) => write!(f, " #{number}"),
        }
    }
}

/// One packet's way.
#[derive(Clone, Debug)]
pub struct Trace {
    /// When it came.
    pub at: Instant,
    /// From where.
    pub from: Ingress,
    /// Bytes of the frame.
    pub length: u16,
    /// As it came in; `None` when malformed.
    pub headers: Option<Headers>,
    /// Stage names with what they found, in order.
    pub stages: Vec<(&'static str, Detail), STAGES>,
    /// There were more stages than fit.
    pub cut: bool,
    /// What became of it; `None` while it is on its way.
    pub verdict: Option<Verdict>,
}

impl fmt::Display for Trace {
    /// Several lines: the packet, its stages, its verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.at.as_millis();
        write!(f, "{}.{:03} s, ", millis / 1000, millis % 1000)?;
        match self.from {
            Ingress::Port(port) => write!(f, "{port}")?,
            Ingress::Router(zone) => write!(f, "router on {zone}")?,
        }
        write!(f, ", {} bytes: ", self.length)?;
        match &self.headers {
            None => write!(f, "malformed")?,
            Some(headers) => match &headers.ipv4 {
                None => {
                    write!(f, "{:?} {} -> {}", headers.ethertype, headers.source, headers.destination)?;
                }
                Some(ip) => {
                    let source = SocketAddrV4::new(ip.source, ip.source_port);
                    let destination = SocketAddrV4::new(ip.destination, ip.destination_port);
                    write!(f, "{} {source} -> {destination}, ttl {}", ip.protocol, ip.ttl)?;
                    if ip.is_fragment() {
                        write!(f, ", fragment at {}", ip.fragment_offset)?;
                    }
                }
            },
        }
        for (name, detail) in &self.stages {
            write!(f, "\n  {name}{detail}")?;
        }
        if self.cut {
            write!(f, "\n  ...")?;
        }
        match self.verdict {
            None => Ok(()),
            Some(Verdict::Forward(port)) => write!(f, "\n  => forward to {port}"),
            Some(Verdict::Flood(ports)) => write!(f, "\n  => flood to {} ports", ports.len()),
            Some(Verdict::Punt(zone)) => write!(f, "\n  => to the router's stack on {zone}"),
            Some(Verdict::Hairpin) => write!(f, "\n  => answered in place"),
            Some(Verdict::Held) => write!(f, "\n  => held"),
            Some(Verdict::Drop(reason)) => write!(f, "\n  => dropped: {reason}"),
        }
    }
}

/// The trace switch and the ring of traces.
pub struct Tracer {
    filter: Filter,
    remaining: u32,
    on_packet: bool,
    ring: Box<[Option<Trace>]>,
    next: usize,
}

impl Tracer {
    /// Off, with room for the newest `capacity` traces (at least one).
    pub fn new(capacity: usize) -> Self {
        let ring = (0..capacity.max(1)).map(|_| None).collect();
        Self { filter: Filter::default(), remaining: 0, on_packet: false, ring, next: 0 }
    }

    /// Traces the next `packets` packets that match; 0 switches off. Old traces are forgotten when it starts.
    pub fn start(&mut self, filter: Filter, packets: u32) {
        if packets > 0 {
            self.ring.fill(None);
            self.next = 0;
        }
        self.filter = filter;
        self.remaining = packets;
        self.on_packet = false;
    }

    /// Whether packets are to be shown to [`Tracer::begin`].
    #[inline(always)]
    pub fn is_on(&self) -> bool {
        self.remaining > 0
    }

    /// A packet comes in.
    #[inline(never)]
    pub fn begin(&mut self, now: Instant, from: Ingress, frame: &[u8]) {
        let headers = Headers::parse(frame).ok();
        self.on_packet = self.remaining > 0 && self.filter.matches(headers.as_ref());
        if !self.on_packet {
            return;
        }
        let length = frame.len().min(usize::from(u16::MAX)) as u16;
        let trace = Trace { at: now, from, length, headers, stages: Vec::new(), cut: false, verdict: None };
        if let Some(place) = self.ring.get_mut(self.next) {
            *place = Some(trace);
        }
    }

    /// The packet takes a stage. Nothing happens unless the packet is traced.
    #[inline(always)]
    pub fn stage(&mut self, name: &'static str, detail: Detail) {
        if self.on_packet {
            self.note(name, detail);
        }
    }

    /// The packet's way ends.
    #[inline(always)]
    pub fn end(&mut self, verdict: Verdict) {
        if self.on_packet {
            self.finish(verdict);
        }
    }

    /// Finished traces, oldest first.
    pub fn traces(&self) -> impl Iterator<Item = &Trace> + '_ {
        let (newer, older) = self.ring.split_at(self.next);
        older.iter().chain(newer).flatten().filter(|trace| trace.verdict.is_some())
    }

    #[cold]
    fn note(&mut self, name: &'static str, detail: Detail) {
        if let Some(Some(trace)) = self.ring.get_mut(self.next) {
            trace.cut |= trace.stages.push((name, detail)).is_err();
        }
    }

    #[cold]
    fn finish(&mut self, verdict: Verdict) {
        self.on_packet = false;
        self.remaining -= 1;
        if let Some(Some(trace)) = self.ring.get_mut(self.next) {
            trace.verdict = Some(verdict);
        }
        self.next = (self.next + 1) % self.ring.len();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use dialtone_wire::build::{self, End};

    use super::*;
    use crate::DropReason;

    const LAPTOP: End =
        End { mac: MacAddress([2, 0, 0, 0, 0, 1]), address: Ipv4Addr::new(192, 168, 77, 20), port: 5000 };
    const FAR: End =
        End { mac: MacAddress([2, 0, 0, 0, 0, 2]), address: Ipv4Addr::new(203, 0, 113, 9), port: 53 };

    fn pass(tracer: &mut Tracer, second: u64, source: End, verdict: Verdict) {
        let mut bytes = [0; 100];
        let length = build::udp_frame(&mut bytes, source, FAR, b"hello").unwrap();
        if tracer.is_on() {
            tracer.begin(Instant::from_secs(second), Ingress::Port(PortId(1)), &bytes[..length]);
        }
        tracer.stage("route", Detail::Zones(Zone::Lan, Zone::Wan));
        tracer.stage("nat", Detail::Endpoint("198.51.100.7:5000".parse().unwrap()));
        tracer.end(verdict);
    }

    #[test]
    fn a_trace_tells_the_stages_and_the_end_of_a_packet() {
        let mut tracer = Tracer::new(4);
        tracer.start(Filter::default(), 2);
        pass(&mut tracer, 1, LAPTOP, Verdict::Forward(PortId(0)));
        pass(&mut tracer, 2, LAPTOP, Verdict::Drop(DropReason::TtlExpired));
        let told: std::vec::Vec<_> = tracer.traces().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "1.000 s, port 1, 47 bytes: udp 192.168.77.20:5000 -> 203.0.113.9:53, ttl 64\n  route lan -> wan\n  \
             nat 198.51.100.7:5000\n  => forward to port 0"
        );
        assert!(told[1].ends_with("=> dropped: ttl-expired"));
        assert!(!tracer.is_on());
    }

    #[test]
    fn only_packets_that_match_are_traced_and_the_newest_are_kept() {
        let mut tracer = Tracer::new(2);
        let filter = Filter { mac: Some(LAPTOP.mac), address: Some(LAPTOP.address), port: Some(53) };
        tracer.start(filter, 3);
        let other = End { address: Ipv4Addr::new(192, 168, 77, 99), ..LAPTOP };
        for second in 0..10 {
            let source = if second % 2 == 0 { LAPTOP } else { other };
            pass(&mut tracer, second, source, Verdict::Hairpin);
        }
        let times: std::vec::Vec<_> = tracer.traces().map(|trace| trace.at.as_secs()).collect();
        assert_eq!(times, [2, 4]);
        // Malformed packets match a filter without fields only.
        assert!(Filter::default().matches(None) && !filter.matches(None));
    }

    #[test]
    fn more_stages_than_fit_are_cut_and_the_trace_says_so() {
        let mut tracer = Tracer::new(1);
        tracer.start(Filter::default(), 1);
        tracer.begin(Instant::START, Ingress::Router(Zone::Lan), &[0; 3]);
        for _ in 0..STAGES + 1 {
            tracer.stage("again", Detail::None);
        }
        tracer.end(Verdict::Held);
        let told = tracer.traces().next().unwrap().to_string();
        assert!(told.contains("malformed") && told.contains("...") && told.ends_with("=> held"));
    }
}
