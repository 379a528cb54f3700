//! A simulated host: one smoltcp stack on one network card.
//!
//! Addresses come from its DHCP client or are given. TCP and UDP sockets are used through [`SocketHandle`]s; raw frames
//! go out with [`Host::send_frame`], and [`Host::overhear`] keeps what arrives. Nothing here sleeps or reads a clock.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Duration, Instant, Ipv4Prefix, MacAddress, Random, Seed};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{dhcpv4, icmp, tcp, udp};
use smoltcp::wire::{
    DhcpOption, EthernetAddress, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint,
    Ipv4Cidr,
};

use crate::dns_message::{self, Answer};
use crate::nic::Nic;
use crate::smoltcp_time;

/// Where a host's address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// From a DHCP server on its network.
    Dhcp,
    /// Given.
    Static {
        /// Address and network.
        address: Ipv4Prefix,
        /// Way out.
        gateway: Option<Ipv4Addr>,
        /// Whom it asks for names.
        name_server: Option<Ipv4Addr>,
    },
}

/// How a host is addressed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Address and network.
    pub address: Ipv4Prefix,
    /// Way out.
    pub gateway: Option<Ipv4Addr>,
    /// Whom it asks for names, best first.
    pub name_servers: Vec<Ipv4Addr>,
}

/// A simulated host.
pub struct Host {
    name: String,
    mac: MacAddress,
    interface: Interface,
    pub(crate) nic: Nic,
    sockets: SocketSet<'static>,
    dhcp: Option<SocketHandle>,
    addresses: Option<Addresses>,
    ping: SocketHandle,
    echoes: Vec<(Ipv4Addr, u16)>,
    questions: Vec<Asked>,
    closing: Vec<SocketHandle>,
    overheard: Option<VecDeque<Vec<u8>>>,
    random: Random,
    next_port: u16,
}

struct Asked {
    socket: SocketHandle,
    id: u16,
}

/// A name a host asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionId(SocketHandle);

impl Host {
    /// A host that is plugged in nowhere yet. It gives `name` to the DHCP server.
    pub fn new(name: &str, mac: MacAddress, addressing: Addressing, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let mut nic = Nic::new(1500);
        let mut config = Config::new(EthernetAddress(mac.0).into());
        config.random_seed = random.next_u64();
        let interface = Interface::new(config, &mut nic, smoltcp_time(Instant::START));
        let mut sockets = SocketSet::new(Vec::new());
        let ping = sockets.add(ping_socket());
        let next_port = FIRST_PORT + random.below(10_000) as u16;
        let mut host = Self {
            name: name.into(),
            mac,
            interface,
            nic,
            sockets,
            dhcp: None,
            addresses: None,
            ping,
            echoes: Vec::new(),
            questions: Vec::new(),
            closing: Vec::new(),
            overheard: None,
            random,
            next_port,
        };
        match addressing {
            Addressing::Dhcp => host.dhcp = Some(host.sockets.add(dhcp_socket(name))),
            Addressing::Static { address, gateway, name_server } => {
                let name_servers = name_server.into_iter().collect();
                host.configure(Some(Addresses { address, gateway, name_servers }));
            }
        }
        host
    }

    /// The name it gives to the DHCP server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its hardware address.
    pub fn mac(&self) -> MacAddress {
        self.mac
    }

    /// How it is addressed now; `None` without a lease.
    pub fn addresses(&self) -> Option<&Addresses> {
        self.addresses.as_ref()
    }

    /// Its address now.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.addresses.as_ref().map(|addresses| addresses.address.address())
    }

    /// The DHCP client forgets its lease and starts over, as after plugging the cable in again.
    pub fn restart_dhcp(&mut self) {
        if let Some(handle) = self.dhcp {
            self.sockets.get_mut::<dhcpv4::Socket>(handle).reset();
        }
    }

    /// Takes packets for any address as its own: the far side of an ISP does.
    pub fn answer_for_everyone(&mut self) {
        self.interface.set_any_ip(true);
    }

    /// A frame from the wire.
    pub fn receive(&mut self, frame: Vec<u8>) {
        self.keep(&frame);
        self.accept(frame);
    }

    /// A frame for the stack.
    pub(crate) fn accept(&mut self, frame: Vec<u8>) {
        self.nic.inbox.push_back(frame);
    }

    /// A frame for who overhears.
    pub(crate) fn keep(&mut self, frame: &[u8]) {
        if let Some(overheard) = &mut self.overheard {
            if overheard.len() == OVERHEARD {
                overheard.pop_front();
            }
            overheard.push_back(frame.to_vec());
        }
    }

    /// A frame for the wire as it is.
    pub fn send_frame(&mut self, frame: Vec<u8>) {
        self.nic.outbox.push_back(frame);
    }

    /// Keeps the newest 4096 frames that arrive from now on for [`Host::heard`].
    pub fn overhear(&mut self) {
        self.overheard.get_or_insert_default();
    }

    /// The oldest frame overheard.
    pub fn heard(&mut self) -> Option<Vec<u8>> {
        self.overheard.as_mut()?.pop_front()
    }

    /// Lets the stack work: what arrived is handled, what is due is sent.
    pub fn poll(&mut self, now: Instant) {
        self.interface.poll(smoltcp_time(now), &mut self.nic, &mut self.sockets);
        self.poll_dhcp();
        self.poll_ping();
        let sockets = &mut self.sockets;
        self.closing.retain(|handle| {
            let over = matches!(
                sockets.get::<tcp::Socket>(*handle).state(),
                tcp::State::Closed | tcp::State::TimeWait
            );
            if over {
                sockets.remove(*handle);
            }
            !over
        });
    }

    /// When [`Host::poll`] wants to be called again.
    pub fn next_poll(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(smoltcp_time(now), &self.sockets)?;
        // A socket that cannot progress (no route yet) says "now" for ever; do not let time stand still for it.
        Some(crate::from_smoltcp_time(at).max(now + Duration::from_micros(100)))
    }

    /// Opens a connection from the next free port of ours.
    ///
    /// # Errors
    /// What smoltcp says: there is no address yet, or the far end is not specified.
    pub fn tcp_connect(&mut self, to: SocketAddrV4) -> Result<SocketHandle, tcp::ConnectError> {
        let from = IpListenEndpoint { addr: None, port: self.port() };
        self.connect(from, to)
    }

    /// Opens a connection from a given address and port.
    ///
    /// # Errors
    /// As [`Host::tcp_connect`].
    pub fn tcp_connect_from(
        &mut self,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Result<SocketHandle, tcp::ConnectError> {
        self.connect(listen_endpoint(from), to)
    }

    fn connect(
        &mut self,
        from: IpListenEndpoint,
        to: SocketAddrV4,
    ) -> Result<SocketHandle, tcp::ConnectError> {
        let mut socket = tcp_socket();
        socket.connect(self.interface.context(), endpoint(to), from)?;
        Ok(self.sockets.add(socket))
    }

    /// Waits for one connection to `port`.
    ///
    /// # Panics
    /// When `port` is 0.
    pub fn tcp_listen(&mut self, port: u16) -> SocketHandle {
        self.listen_at(IpListenEndpoint { addr: None, port })
    }

    /// Waits for one connection to an address and port.
    pub(crate) fn tcp_listen_at(&mut self, at: SocketAddrV4) -> SocketHandle {
        self.listen_at(listen_endpoint(at))
    }

    fn listen_at(&mut self, at: IpListenEndpoint) -> SocketHandle {
        let mut socket = tcp_socket();
        socket.listen(at).expect("a new socket listens on any port but 0");
        self.sockets.add(socket)
    }

    /// The connection behind a handle.
    ///
    /// # Panics
    /// When the handle is not (or no longer) a TCP socket of this host.
    pub fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Closes a connection in good order and forgets it once it is over. The handle must not be used any more.
    pub fn tcp_finish(&mut self, handle: SocketHandle) {
        self.tcp(handle).close();
        self.closing.push(handle);
    }

    /// Resets a connection and forgets it once the RST is out. The handle must not be used any more.
    pub fn tcp_abort(&mut self, handle: SocketHandle, now: Instant) {
        self.tcp(handle).abort();
        self.interface.poll(smoltcp_time(now), &mut self.nic, &mut self.sockets);
        self.sockets.remove(handle);
    }

    /// Opens a UDP socket; port 0: the next free one.
    pub fn udp_bind(&mut self, port: u16) -> SocketHandle {
        let port = if port == 0 { self.port() } else { port };
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 64 * 1024]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a new socket binds to any port but 0");
        self.sockets.add(socket)
    }

    /// Sends a datagram; `false` when the socket's buffer is full.
    pub fn udp_send(&mut self, handle: SocketHandle, to: SocketAddrV4, payload: &[u8]) -> bool {
        self.sockets.get_mut::<udp::Socket>(handle).send_slice(payload, endpoint(to)).is_ok()
    }

    /// The oldest datagram that arrived, and from whom.
    pub fn udp_receive(&mut self, handle: SocketHandle) -> Option<(SocketAddrV4, Vec<u8>)> {
        let (payload, about) = self.sockets.get_mut::<udp::Socket>(handle).recv().ok()?;
        Some((socket_address(about.endpoint), payload.to_vec()))
    }

    /// The port a UDP socket is bound to.
    pub fn udp_port(&self, handle: SocketHandle) -> u16 {
        self.sockets.get::<udp::Socket>(handle).endpoint().port
    }

    /// Closes a UDP socket.
    pub fn udp_close(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// Sends an ICMP echo request.
    pub fn ping(&mut self, to: Ipv4Addr, sequence: u16) {
        let request = Icmpv4Repr::EchoRequest { ident: PING_IDENTIFIER, seq_no: sequence, data: b"dialtone" };
        let socket = self.sockets.get_mut::<icmp::Socket>(self.ping);
        if let Ok(room) = socket.send(request.buffer_len(), to.into()) {
            request.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
        }
    }

    /// Forgets pings that are not out yet. One to a neighbor nobody knows would keep the stack asking for it, and from
    /// asking for anybody else.
    pub fn give_up_pings(&mut self) {
        self.sockets.remove(self.ping);
        self.ping = self.sockets.add(ping_socket());
    }

    /// Takes the answers to pings so far: who answered which sequence number.
    pub fn take_pongs(&mut self) -> Vec<(Ipv4Addr, u16)> {
        std::mem::take(&mut self.echoes)
    }

    /// Asks the network's name server for the addresses of `name`; `None` without one.
    pub fn ask(&mut self, name: &str) -> Option<QuestionId> {
        let server = *self.addresses.as_ref()?.name_servers.first()?;
        Some(self.ask_server(SocketAddrV4::new(server, 53), name, dns_message::TYPE_A))
    }

    /// Asks a given server.
    pub fn ask_server(&mut self, server: SocketAddrV4, name: &str, record_type: u16) -> QuestionId {
        let id = self.random.next_u16();
        let socket = self.udp_bind(0);
        self.udp_send(socket, server, &dns_message::query(id, name, record_type));
        self.questions.push(Asked { socket, id });
        QuestionId(socket)
    }

    /// The answer, once there is one; the question is over then.
    pub fn answer(&mut self, question: QuestionId) -> Option<Answer> {
        let index = self.questions.iter().position(|asked| asked.socket == question.0)?;
        let expected = self.questions[index].id;
        while let Some((_, message)) = self.udp_receive(question.0) {
            if let Some((id, said)) = dns_message::read_answer(&message)
                && id == expected
            {
                self.give_up(question);
                return Some(said);
            }
        }
        None
    }

    /// Stops waiting for an answer.
    pub fn give_up(&mut self, question: QuestionId) {
        if let Some(index) = self.questions.iter().position(|asked| asked.socket == question.0) {
            self.questions.swap_remove(index);
            self.udp_close(question.0);
        }
    }

    fn port(&mut self) -> u16 {
        self.next_port = if self.next_port < u16::MAX { self.next_port + 1 } else { FIRST_PORT };
        self.next_port
    }

    fn poll_dhcp(&mut self) {
        let Some(handle) = self.dhcp else { return };
        let change = match self.sockets.get_mut::<dhcpv4::Socket>(handle).poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => None,
            Some(dhcpv4::Event::Configured(config)) => {
                let length = config.address.prefix_len();
                Ipv4Prefix::new(config.address.address(), length).map(|address| Addresses {
                    address,
                    gateway: config.router,
                    name_servers: config.dns_servers.iter().copied().collect(),
                })
            }
        };
        self.configure(change);
    }

    pub(crate) fn configure(&mut self, addresses: Option<Addresses>) {
        self.interface.update_ip_addrs(|list| {
            list.clear();
            if let Some(addresses) = &addresses {
                let prefix = addresses.address;
                let cidr = IpCidr::Ipv4(Ipv4Cidr::new(prefix.address(), prefix.length()));
                // The list was just emptied.
                let _ = list.push(cidr);
            }
        });
        let routes = self.interface.routes_mut();
        routes.remove_default_ipv4_route();
        if let Some(gateway) = addresses.as_ref().and_then(|addresses| addresses.gateway) {
            // The table holds more than the one route it had.
            let _ = routes.add_default_ipv4_route(gateway);
        }
        self.addresses = addresses;
    }

    fn poll_ping(&mut self) {
        let socket = self.sockets.get_mut::<icmp::Socket>(self.ping);
        while let Ok((payload, from)) = socket.recv() {
            let Ok(packet) = Icmpv4Packet::new_checked(payload) else { continue };
            let parsed = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default());
            if let (Ok(Icmpv4Repr::EchoReply { seq_no, .. }), IpAddress::Ipv4(from)) = (parsed, from) {
                self.echoes.push((from, seq_no));
            }
        }
    }
}

pub(crate) fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

pub(crate) fn socket_address(endpoint: IpEndpoint) -> SocketAddrV4 {
    let IpAddress::Ipv4(address) = endpoint.addr;
    SocketAddrV4::new(address, endpoint.port)
}

fn listen_endpoint(address: SocketAddrV4) -> IpListenEndpoint {
    endpoint(address).into()
}

fn dhcp_socket(name: &str) -> dhcpv4::Socket<'static> {
    let mut socket = dhcpv4::Socket::new();
    // smoltcp borrows the option for as long as the socket lives; a host lives as long as its test or the demo.
    let name: &'static [u8] = Box::leak(name.as_bytes().to_vec().into_boxed_slice());
    let options: &'static [DhcpOption<'static>] =
        Box::leak(Box::new([DhcpOption { kind: OPTION_HOST_NAME, data: name }]));
    socket.set_outgoing_options(options);
    socket
}

fn ping_socket() -> icmp::Socket<'static> {
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 64], vec![0; 16 * 1024]);
    let mut ping = icmp::Socket::new(buffer(), buffer());
    // A fresh socket binds to any identifier.
    ping.bind(icmp::Endpoint::Ident(PING_IDENTIFIER)).unwrap_or_default();
    ping
}

fn tcp_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket
}

const PING_IDENTIFIER: u16 = 0xd1a1;
const OPTION_HOST_NAME: u8 = 12;
/// Dynamic ports begin here (RFC 6335).
const FIRST_PORT: u16 = 49_152;
/// Bytes a connection may have under way in each direction.
const TCP_BUFFER: usize = 256 * 1024;
/// Frames kept by a host that overhears.
const OVERHEARD: usize = 4096;
