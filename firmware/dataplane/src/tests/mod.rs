//! Promises of the whole packet path, by behaviour; counters are part of every promise.
//!
//! [`Home`] is a router with a WAN port (0), two household ports (1, 2) and two guest ports (3, 4). Everybody's MAC is
//! known to it unless a test says otherwise.

extern crate std;

mod bridging;
mod fragments;
mod icmp;
mod model;
mod offload;
mod reconfigure;
mod routing;
mod table;
mod tcp;
mod udp;
mod zones;

use core::net::Ipv4Addr;
use std::vec::Vec;

use dialtone_base::counter::Reason;
use dialtone_base::frame::{Offload, PoolSize};
use dialtone_base::{Duration, FramePool, Instant, MacAddress, PortId, PortSet, Seed, Zone};
use dialtone_wire::{Headers, Icmpv4View, Ipv4Header, Ipv4Summary, Ipv4View, Protocol, checksum, icmpv4};

use crate::config::{PortForward, PortRange, Wan};
use crate::output::{Command, Event, Output};
use crate::{Config, Dataplane, DropReason, Filtering, Ingress, Limits, PortConfig, Verdict};

pub(super) type End = (Ipv4Addr, u16);

pub(super) const WAN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(super) const LAN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
pub(super) const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 1);
pub(super) const ALICE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 10);
pub(super) const BOB: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 11);
pub(super) const VISITOR: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 10);
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 11);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

pub(super) const WAN_PORT: Ingress = Ingress::Port(PortId(0));
pub(super) const LAN_PORT: Ingress = Ingress::Port(PortId(1));
pub(super) const LAN_PORT_2: Ingress = Ingress::Port(PortId(2));
pub(super) const GUEST_PORT: Ingress = Ingress::Port(PortId(3));

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const SYN_ACK: u8 = 0x12;
pub(super) const FIN_ACK: u8 = 0x11;
pub(super) const RST: u8 = 0x04;

/// The router's own MAC on a zone's ports.
pub(super) const fn router_mac(zone: Zone) -> MacAddress {
    MacAddress([0x02, 0, 0, 0, 1, zone.index() as u8])
}

/// A host's MAC, from its address.
pub(super) const fn mac(address: Ipv4Addr) -> MacAddress {
    let [a, b, c, d] = address.octets();
    MacAddress([0x02, 0xaa, a, b, c, d])
}

pub(super) fn config() -> Config {
    Config {
        lan: "192.168.77.1/24".parse().ok(),
        guest: "192.168.78.1/24".parse().ok(),
        wan: Some(Wan { address: "203.0.113.5/24".parse().unwrap(), gateway: Some(GATEWAY), mtu: None }),
        ..Config::default()
    }
}

pub(super) fn open_filter() -> Config {
    Config { filtering: Filtering::EndpointIndependent, ..config() }
}

pub(super) fn forward(external: u16, host: Ipv4Addr, internal: u16) -> PortForward {
    PortForward {
        protocol: crate::Protocol::TcpUdp,
        external: PortRange::single(external),
        host,
        internal: Some(internal),
        enabled: true,
    }
}

pub(super) fn with_forward(forward: PortForward) -> Config {
    let mut config = config();
    config.forwards.push(forward).unwrap();
    config
}

/// What came out of the router for one frame.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) verdict: Verdict,
    pub(super) bytes: Vec<u8>,
    pub(super) offload: Offload,
}

impl Sent {
    /// Its IPv4 headers, after everything that can be checked was checked.
    #[track_caller]
    pub(super) fn ip(&self) -> Ipv4Summary {
        assert!(!matches!(self.verdict, Verdict::Drop(_) | Verdict::Held), "{:?}", self.verdict);
        check(&self.bytes, &self.offload)
    }

    #[track_caller]
    pub(super) fn source(&self) -> End {
        let ip = self.ip();
        (ip.source, ip.source_port)
    }

    #[track_caller]
    pub(super) fn destination(&self) -> End {
        let ip = self.ip();
        (ip.destination, ip.destination_port)
    }

    pub(super) fn macs(&self) -> (MacAddress, MacAddress) {
        let headers = Headers::parse(&self.bytes).unwrap();
        (headers.destination, headers.source)
    }

    #[track_caller]
    pub(super) fn is_drop(&self, reason: DropReason) {
        assert_eq!(self.verdict, Verdict::Drop(reason));
    }

    #[track_caller]
    pub(super) fn went_to(&self, port: u8) -> &Self {
        assert_eq!(self.verdict, Verdict::Forward(PortId(port)));
        self
    }

    /// The ICMP message it is: type, code, and the packet it quotes.
    #[track_caller]
    pub(super) fn icmp(&self) -> (u8, u8, Vec<u8>) {
        let ip = self.ip();
        assert_eq!(ip.protocol, Protocol::ICMP);
        let view = Icmpv4View::new_checked(&self.bytes[usize::from(ip.l4)..ip.end(14)]).unwrap();
        (view.icmp_type(), view.code(), view.payload().to_vec())
    }
}

/// Verifies the checksums of a frame.
#[track_caller]
pub(super) fn check(frame: &[u8], offload: &Offload) -> Ipv4Summary {
    let ip = Headers::parse(frame).unwrap().ipv4.expect("an IPv4 packet");
    if ip.is_fragment() || offload.checksum != dialtone_base::frame::Checksum::Complete {
        return ip;
    }
    let body = &frame[usize::from(ip.l4)..ip.end(14)];
    let pseudo = checksum::pseudo_header(ip.source, ip.destination, ip.protocol.0, body.len() as u16);
    match ip.protocol {
        Protocol::TCP => assert_eq!(checksum::add(checksum::sum(body), pseudo), 0xffff, "TCP checksum"),
        Protocol::UDP if body[6..8] != [0, 0] => {
            assert_eq!(checksum::add(checksum::sum(body), pseudo), 0xffff, "UDP checksum");
        }
        Protocol::ICMP => assert_eq!(checksum::sum(body), 0xffff, "ICMP checksum"),
        _ => {}
    }
    ip
}

/// The router under test.
pub(super) struct Home {
    pub(super) plane: Dataplane,
    pub(super) pool: &'static FramePool,
    pub(super) now: Instant,
}

impl Home {
    pub(super) fn new(config: &Config) -> Self {
        Self::with_limits(config, Limits::SMALL)
    }

    pub(super) fn with_limits(config: &Config, limits: Limits) -> Self {
        let mut home = Self::without_neighbors(config, limits);
        home.learn_everybody();
        home
    }

    pub(super) fn without_neighbors(config: &Config, limits: Limits) -> Self {
        let pool = FramePool::leak(PoolSize { ordinary: 512, super_frames: 4 });
        let port = |id: u8, zone: Zone| PortConfig {
            id: PortId(id),
            zone,
            mac: if matches!(id, 2 | 4) { MacAddress([2, 0, 0, 0, 2, id]) } else { router_mac(zone) },
            mtu: 1500,
            segmentation: true,
        };
        let ports = [
            port(0, Zone::Wan),
            port(1, Zone::Lan),
            port(2, Zone::Lan),
            port(3, Zone::Guest),
            port(4, Zone::Guest),
        ];
        let plane = Dataplane::new(limits, &ports, pool, Seed::from_number(7));
        let mut home = Self { plane, pool, now: Instant::from_secs(10) };
        home.configure(config);
        home
    }

    pub(super) fn configure(&mut self, config: &Config) {
        self.plane.configure(self.now, config);
    }

    pub(super) fn learn_everybody(&mut self) {
        let hosts = [
            (Zone::Wan, GATEWAY),
            (Zone::Lan, ALICE),
            (Zone::Lan, BOB),
            (Zone::Guest, VISITOR),
            (Zone::Guest, STRANGER),
        ];
        for (zone, address) in hosts {
            self.plane.command(self.now, Command::PinNeighbor { zone, address, mac: mac(address) });
        }
        let places = [
            (GATEWAY, Zone::Wan, 0),
            (ALICE, Zone::Lan, 1),
            (BOB, Zone::Lan, 2),
            (VISITOR, Zone::Guest, 3),
            (STRANGER, Zone::Guest, 4),
        ];
        for (address, zone, port) in places {
            self.plane.stations.learn(self.now, zone, mac(address), PortId(port));
        }
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.poll_all();
    }

    /// Everything the router does by itself now.
    pub(super) fn poll_all(&mut self) -> Polled {
        let mut polled = Polled::default();
        loop {
            match self.plane.poll(self.now) {
                Output::Transmit { to, frame } => polled.sent.push((to, frame.bytes().to_vec())),
                Output::Punt { zone, frame } => polled.punted.push((zone, frame.bytes().to_vec())),
                Output::Event(event) => polled.events.push(event),
                Output::Wait(until) => {
                    polled.until = until;
                    return polled;
                }
            }
        }
    }

    /// One frame through the router.
    pub(super) fn process(&mut self, from: Ingress, bytes: &[u8]) -> Sent {
        self.process_with(from, bytes, Offload::default())
    }

    pub(super) fn process_with(&mut self, from: Ingress, bytes: &[u8], offload: Offload) -> Sent {
        let mut frame = self.pool.copy_of(bytes).expect("a free buffer");
        frame.offload = offload;
        let drops = self.plane.snapshot().drops;
        let verdict = self.plane.process(self.now, from, &mut frame);
        if let Verdict::Drop(reason) = verdict {
            let after = self.plane.snapshot().drops;
            assert_eq!(after.of(reason), drops.of(reason) + 1, "a drop counts its reason once: {reason}");
            assert_eq!(after.total(), drops.total() + 1, "and no other");
        }
        let sent = Sent { verdict, bytes: frame.bytes().to_vec(), offload: frame.offload };
        if verdict == Verdict::Held {
            self.plane.hold(self.now, frame);
        }
        sent
    }

    /// A packet from a host inside, through its own port.
    pub(super) fn inside_sends(&mut self, packet: &[u8]) -> Sent {
        let source = Ipv4View::new_checked(packet).unwrap().source();
        let (port, zone) = match source {
            BOB => (LAN_PORT_2, Zone::Lan),
            VISITOR | STRANGER => (GUEST_PORT, Zone::Guest),
            _ => (LAN_PORT, Zone::Lan),
        };
        let port = if source == STRANGER { Ingress::Port(PortId(4)) } else { port };
        self.process(port, &frame(mac(source), router_mac(zone), packet))
    }

    /// [`Self::inside_sends`] without looking at what comes of it.
    pub(super) fn plane_send_quietly(&mut self, packet: &[u8]) {
        let source = Ipv4View::new_checked(packet).unwrap().source();
        let bytes = frame(mac(source), router_mac(Zone::Lan), packet);
        let mut frame = self.pool.copy_of(&bytes).expect("a free buffer");
        if self.plane.process(self.now, LAN_PORT, &mut frame) == Verdict::Held {
            self.plane.hold(self.now, frame);
        }
    }

    /// A packet that the gateway hands to the router.
    pub(super) fn wan_sends(&mut self, packet: &[u8]) -> Sent {
        self.process(WAN_PORT, &frame(mac(GATEWAY), router_mac(Zone::Wan), packet))
    }

    /// A packet of the router's own WAN stack.
    pub(super) fn router_sends(&mut self, packet: &[u8]) -> Sent {
        self.process(Ingress::Router(Zone::Wan), &frame(MacAddress::ZERO, MacAddress::ZERO, packet))
    }

    pub(super) fn drops(&self, reason: DropReason) -> u64 {
        self.plane.snapshot().drops.of(reason)
    }

    pub(super) fn flows(&self) -> u32 {
        self.plane.snapshot().flows.in_use
    }

    pub(super) fn mappings(&self) -> u32 {
        self.plane.snapshot().flows.mappings
    }

    /// Opens a TCP connection from inside to `remote`; its external end.
    #[track_caller]
    pub(super) fn connect(&mut self, inside: End, remote: End) -> End {
        let external = self.inside_sends(&tcp(inside, remote, SYN)).source();
        self.wan_sends(&tcp(remote, external, SYN_ACK)).went_to(if inside.0 == BOB { 2 } else { 1 });
        self.inside_sends(&tcp(inside, remote, ACK)).went_to(0);
        external
    }
}

#[derive(Default)]
pub(super) struct Polled {
    pub(super) sent: Vec<(PortSet, Vec<u8>)>,
    pub(super) punted: Vec<(Zone, Vec<u8>)>,
    pub(super) events: Vec<Event>,
    pub(super) until: Option<Instant>,
}

pub(super) fn frame(source: MacAddress, destination: MacAddress, packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(destination.0);
    frame.extend(source.0);
    frame.extend([0x08, 0x00]);
    frame.extend(packet);
    frame
}

pub(super) fn packet(source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol, body: &[u8]) -> Vec<u8> {
    let mut packet = std::vec![0; 20];
    Ipv4Header::new(source, destination, protocol, body.len() as u16).emit(&mut packet);
    packet.extend(body);
    packet
}

pub(super) fn udp_with(source: End, destination: End, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(source.1.to_be_bytes());
    body.extend(destination.1.to_be_bytes());
    body.extend((payload.len() as u16 + 8).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    let pseudo = checksum::pseudo_header(source.0, destination.0, 17, body.len() as u16);
    let sum = !checksum::add(checksum::sum(&body), pseudo);
    body[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    packet(source.0, destination.0, Protocol::UDP, &body)
}

pub(super) fn udp(source: End, destination: End) -> Vec<u8> {
    udp_with(source, destination, b"hello")
}

pub(super) fn tcp_with(source: End, destination: End, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(source.1.to_be_bytes());
    body.extend(destination.1.to_be_bytes());
    body.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    body.extend([(5 + options.len() as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend(options);
    body.extend(payload);
    let pseudo = checksum::pseudo_header(source.0, destination.0, 6, body.len() as u16);
    let sum = !checksum::add(checksum::sum(&body), pseudo);
    body[16..18].copy_from_slice(&sum.to_be_bytes());
    packet(source.0, destination.0, Protocol::TCP, &body)
}

pub(super) fn tcp(source: End, destination: End, flags: u8) -> Vec<u8> {
    tcp_with(source, destination, flags, &[], &[])
}

pub(super) fn icmp(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    kind: u8,
    code: u8,
    rest: [u8; 4],
    payload: &[u8],
) -> Vec<u8> {
    let mut body = std::vec![0; 8];
    body.extend(payload);
    icmpv4::emit(&mut body, kind, code, rest);
    packet(source, destination, Protocol::ICMP, &body)
}

/// An echo request, or with `kind` 0 a reply.
pub(super) fn echo(source: Ipv4Addr, destination: Ipv4Addr, kind: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    icmp(source, destination, kind, 0, [high, low, 0, 1], b"ping")
}

/// "Port unreachable" from `source` about `quoted`, sent to who sent it.
pub(super) fn unreachable(source: Ipv4Addr, quoted: &[u8]) -> Vec<u8> {
    let to = Ipv4View::new_truncated(quoted).unwrap().source();
    let length = quoted.len().min(28);
    icmp(source, to, 3, 3, [0; 4], &quoted[..length])
}

/// Changes a packet's IPv4 header and mends its checksum.
pub(super) fn edit(mut packet: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut packet);
    Ipv4View::new_checked(&mut packet[..]).unwrap().fill_checksum();
    packet
}

/// Cuts a packet into fragments with payloads of `size` bytes, identification `id`.
pub(super) fn pieces(packet: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let body = &packet[20..];
    let count = body.len().div_ceil(size);
    (0..count)
        .map(|number| {
            let part = &body[number * size..body.len().min((number + 1) * size)];
            let mut piece = packet[..20].to_vec();
            piece.extend(part);
            edit(piece, |piece| {
                piece[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
                piece[4..6].copy_from_slice(&id.to_be_bytes());
                let more = u16::from(number + 1 < count) << 13;
                piece[6..8].copy_from_slice(&(more | (number * size / 8) as u16).to_be_bytes());
            })
        })
        .collect()
}

#[test]
fn every_drop_reason_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), DropReason::COUNT);
}
