//! The ISP and everything behind it, seen from a router's WAN port.
//!
//! One MAC address, one gateway, and behind it every other address there is: TCP connections to any address and port
//! end at a [`Peer`] that the [`FarSide`] makes, pings are answered by whoever is pinged. DHCP ([`dhcp`]), names
//! ([`names`]) and time are the ISP's own; each can be told to misbehave.

pub mod dhcp;
pub mod names;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Instant, Ipv4Prefix, MacAddress, Seed};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use crate::host::{Addresses, Addressing, Host, socket_address};
use crate::packet::{self, Datagram, Parsed, Reassembly};
use crate::peer::{Arrival, FarSide, Peer};
use dhcp::Dhcp;
use names::NameServers;

/// How an ISP is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The gateway's address in the network that routers share.
    pub gateway: Ipv4Prefix,
    /// Name servers handed out, best first.
    pub name_servers: Vec<Ipv4Addr>,
    /// Answers NTP.
    pub time_server: Ipv4Addr,
    /// Seconds a lease lives.
    pub lease_seconds: u32,
    /// Seconds since 1970 when the simulation started.
    pub unix_at_start: u64,
}

impl Default for Profile {
    /// 198.51.100.1/24, name servers .53 and .54, time from .123, leases of an hour, on 2026-01-01.
    fn default() -> Self {
        Self {
            gateway: Ipv4Prefix::new(Ipv4Addr::new(198, 51, 100, 1), 24).expect("24 is at most 32"),
            name_servers: vec![Ipv4Addr::new(198, 51, 100, 53), Ipv4Addr::new(198, 51, 100, 54)],
            time_server: Ipv4Addr::new(198, 51, 100, 123),
            lease_seconds: 3600,
            unix_at_start: 1_767_225_600,
        }
    }
}

/// The ISP.
pub struct Isp {
    /// Its stack: for connections from the far side into the home, and for overhearing.
    pub host: Host,
    /// Its DHCP server.
    pub dhcp: Dhcp,
    /// Its name servers.
    pub names: NameServers,
    /// Cut off behind the first hop: link and ARP work, nothing else is answered.
    pub dead: bool,
    /// Answers NTP.
    pub tells_time: bool,
    profile: Profile,
    far_side: Box<dyn FarSide>,
    connections: Vec<Connection>,
    neighbors: HashMap<Ipv4Addr, MacAddress>,
    fragments: Reassembly,
}

struct Connection {
    from: SocketAddrV4,
    to: SocketAddrV4,
    peer: Box<dyn Peer>,
    state: State,
}

enum State {
    /// The SYN waits until the peer knows whether it accepts.
    Knocking(Vec<u8>),
    Open(SocketHandle),
    Over,
}

impl Isp {
    /// An ISP plugged in nowhere yet.
    pub fn new(profile: Profile, names: NameServers, far_side: Box<dyn FarSide>, seed: Seed) -> Self {
        let addressing = Addressing::Static { address: profile.gateway, gateway: None, name_server: None };
        let mut host = Host::new("isp", ISP_MAC, addressing, seed);
        host.answer_for_everyone();
        Self {
            host,
            dhcp: Dhcp::new(&profile),
            names,
            dead: false,
            tells_time: true,
            profile,
            far_side,
            connections: Vec::new(),
            neighbors: HashMap::new(),
            fragments: Reassembly::default(),
        }
    }

    /// How it is set up.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Moves to another network: new gateway, leases forgotten. Name and time servers stay where they are.
    pub fn renumber(&mut self, gateway: Ipv4Prefix) {
        self.profile.gateway = gateway;
        self.dhcp = Dhcp::new(&self.profile);
        self.host.configure(Some(Addresses { address: gateway, gateway: None, name_servers: Vec::new() }));
    }

    /// TCP connections under way.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// A frame from the router.
    pub fn receive(&mut self, now: Instant, frame: Vec<u8>) {
        self.host.keep(&frame);
        if let (Some((source, _)), Some(from)) = (packet::stations(&frame), source_of(&frame)) {
            self.neighbors.insert(from, source);
        }
        if !self.dead
            && let Some(whole) = self.fragments.take(&frame)
        {
            if let Some(whole) = whole {
                let source = packet::stations(&frame).map_or(MacAddress::BROADCAST, |(source, _)| source);
                let datagram = Datagram { from: whole.from, to: whole.to, payload: &whole.payload };
                self.datagram(now, source, datagram);
            }
            return;
        }
        let parsed = packet::parse(&frame);
        if self.dead && !matches!(parsed, Parsed::ArpRequest(_)) {
            return;
        }
        match parsed {
            Parsed::ArpRequest(target) if self.is_ours(target) => self.host.accept(frame),
            Parsed::ArpRequest(_) => {}
            Parsed::Udp(datagram) => {
                let source = packet::stations(&frame).map_or(MacAddress::BROADCAST, |(source, _)| source);
                self.datagram(now, source, datagram);
            }
            Parsed::Syn { from, to } => self.syn(from, to, frame),
            Parsed::Other { .. } | Parsed::Unknown => self.host.accept(frame),
        }
    }

    /// Lets everybody work.
    pub fn poll(&mut self, now: Instant) {
        self.host.poll(now);
        for (to, from, message) in self.names.finished() {
            self.send_udp(from, to, &message);
        }
        let mut datagrams = Vec::new();
        self.far_side.poll(now, &mut |from, to, payload| datagrams.push((from, to, payload)));
        if !self.dead {
            for (from, to, payload) in datagrams {
                self.send_udp(from, to, &payload);
            }
        }
        for connection in &mut self.connections {
            connection.poll(now, &mut self.host);
        }
        self.connections.retain(|connection| !matches!(connection.state, State::Over));
        // What the peers wrote goes out.
        self.host.poll(now);
    }

    /// When [`Isp::poll`] wants to be called again.
    pub fn next_poll(&mut self, now: Instant) -> Option<Instant> {
        [self.host.next_poll(now), self.far_side.next_poll()].into_iter().flatten().min()
    }

    /// Sends a datagram into the home, from any address; nothing happens while the destination's MAC is unknown.
    pub fn send_udp(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        if let Some(mac) = self.neighbors.get(to.ip()) {
            self.host.send_frame(packet::udp_frame(ISP_MAC, *mac, Datagram { from, to, payload }));
        }
    }

    fn is_ours(&self, address: Ipv4Addr) -> bool {
        let profile = &self.profile;
        address == profile.gateway.address()
            || address == profile.time_server
            || profile.name_servers.contains(&address)
            || self.dhcp.taken.contains(&address)
    }

    fn datagram(&mut self, now: Instant, source: MacAddress, datagram: Datagram<'_>) {
        let answer = match datagram.to.port() {
            67 => {
                if let Some(frame) = self.dhcp.answer(&self.profile, source, datagram.payload) {
                    self.host.send_frame(frame);
                }
                return;
            }
            53 if self.profile.name_servers.contains(datagram.to.ip()) => self.names.ask(&datagram),
            // Whatever server is asked: all of them are beyond us, and agree.
            123 => self
                .tells_time
                .then(|| ntp_answer(self.profile.unix_at_start, now, datagram.payload))
                .flatten(),
            _ => self.far_side.datagram(now, &datagram),
        };
        if let Some(payload) = answer {
            self.send_udp(datagram.to, datagram.from, &payload);
        }
    }

    fn syn(&mut self, from: SocketAddrV4, to: SocketAddrV4, frame: Vec<u8>) {
        let known = self.connections.iter_mut().find(|one| one.from == from && one.to == to);
        match known {
            // Again, because nobody answered yet.
            Some(Connection { state: State::Knocking(_), .. }) => {}
            Some(_) => self.host.accept(frame),
            None => {
                let peer = self.far_side.open(from, to);
                self.connections.push(Connection { from, to, peer, state: State::Knocking(frame) });
            }
        }
    }
}

impl Connection {
    fn poll(&mut self, now: Instant, host: &mut Host) {
        if let State::Knocking(syn) = &mut self.state {
            let socket = match self.peer.arrival(now) {
                Arrival::Waiting => return,
                Arrival::Ignored => None,
                Arrival::Refused => {
                    // No socket listens: the stack answers with a reset.
                    host.accept(std::mem::take(syn));
                    None
                }
                Arrival::Accepted => {
                    let socket = host.tcp_listen_at(self.to);
                    host.accept(std::mem::take(syn));
                    // At once, so that this SYN finds this socket and no other one can.
                    host.poll(now);
                    Some(socket)
                }
            };
            self.state = socket.map_or(State::Over, State::Open);
        }
        if let State::Open(handle) = self.state {
            let socket = host.tcp(handle);
            let lost = socket.remote_endpoint().map(socket_address) != Some(self.from);
            if lost
                || matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait | tcp::State::Listen)
            {
                // The peer sees the end before it goes.
                self.peer.pump(now, socket);
                host.tcp_abort(handle, now);
                self.state = State::Over;
                return;
            }
            self.peer.pump(now, socket);
        }
    }
}

fn source_of(frame: &[u8]) -> Option<Ipv4Addr> {
    match packet::parse(frame) {
        Parsed::Udp(datagram) => Some(*datagram.from.ip()),
        Parsed::Syn { from, .. } => Some(*from.ip()),
        Parsed::Other { from, .. } => Some(from),
        Parsed::ArpRequest(_) | Parsed::Unknown => None,
    }
}

/// The server's answer to an NTP client (RFC 5905, section 7.3); `None` for anything that is no client's packet.
fn ntp_answer(unix_at_start: u64, now: Instant, request: &[u8]) -> Option<Vec<u8>> {
    let mode = request.first()? & 7;
    let asked_at = request.get(40..48)?;
    if mode != 3 {
        return None;
    }
    let micros = now.as_micros();
    let seconds = unix_at_start + micros / 1_000_000 + UNIX_TO_NTP;
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    let mut stamp = [0; 8];
    stamp[..4].copy_from_slice(&(seconds as u32).to_be_bytes());
    stamp[4..].copy_from_slice(&(fraction as u32).to_be_bytes());
    let mut answer = vec![0; 48];
    // No warning, version as asked, server; stratum 2; precision of a microsecond.
    answer[0] = request[0] & 0x38 | 4;
    answer[1] = 2;
    answer[2] = request[2];
    answer[3] = (-20_i8) as u8;
    answer[12..16].copy_from_slice(&[127, 127, 1, 0]);
    answer[16..24].copy_from_slice(&stamp);
    answer[24..32].copy_from_slice(asked_at);
    answer[32..40].copy_from_slice(&stamp);
    answer[40..48].copy_from_slice(&stamp);
    Some(answer)
}

/// The ISP's only station.
pub const ISP_MAC: MacAddress = MacAddress([0x02, 0x15, 0x90, 0, 0, 1]);
/// From 1900 to 1970.
const UNIX_TO_NTP: u64 = 2_208_988_800;
