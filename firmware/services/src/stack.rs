//! The only file that names embassy-net: one IP stack per zone, fed by the data plane.
//!
//! The data plane owns everything below IP (ARP, MAC addresses, ports), so each stack speaks the IP medium. Frames the data
//! plane punts go through [`ZoneLink::deliver`]: DHCP (UDP to 67 on the LAN and guest side, to 68 on the WAN) is set
//! apart whole, because it works before there are addresses; the rest loses its Ethernet header and goes to the sockets.
//! What a stack sends gets an Ethernet header with the destination 00:00:00:00:00:00, which asks the data plane to resolve it.
//! Packets of the router's calls are marked (`voice_first.rs`), because the stack beneath does not.
//! L4 checksums of arriving frames are verified here, unless the port said they are partial or already verified.
//! Does not route, filter or translate; does not speak IPv6 yet.

use alloc::boxed::Box;
use alloc::vec;
use core::cell::{Cell, RefCell};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::task::{Context, Poll, Waker};

use critical_section::Mutex;
use dialtone_base::counter::Counters;
use dialtone_base::frame::Checksum;
use dialtone_base::{Frame, FramePool, Ipv4Prefix, MacAddress, Random, Zone, counted_reasons};
use dialtone_hal_api::port::FrameQueue;
use dialtone_wire::checksum;
use embassy_net::{ConfigV4, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

use crate::door::{Door, HANDSHAKE};
use crate::state::now;
use crate::voice_first;

pub use embassy_net::tcp::{ConnectError, Error as TcpError, TcpReader, TcpSocket, TcpWriter};
pub use embassy_net::udp::{PacketMetadata, RecvError, SendError, UdpMetadata, UdpSocket};
pub use embassy_net::{IpAddress, IpEndpoint, IpListenEndpoint, Ipv4Address};

/// Bytes of an Ethernet header without tag.
const ETHERNET: usize = 14;
/// EtherType of IPv4.
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// Longest IP packet a stack sends in one frame.
const MTU: usize = 1500;

counted_reasons! {
    /// Why a frame between the data plane and a stack was lost.
    pub enum StackDrop {
        /// Not IPv4, or shorter than its headers say.
        Malformed = "malformed",
        /// The UDP or TCP checksum is wrong.
        BadChecksum = "bad-checksum",
        /// The stack, or the DHCP service, did not keep up.
        QueueFull = "queue-full",
        /// No frame buffer was free for an answer.
        NoBuffer = "no-buffer",
        /// A visitor has all the connections to a service that one may have.
        TooManyConnections = "too-many-connections",
    }
}

/// A zone's sockets and its way to the data plane. Cheap to copy; every service holds one.
#[derive(Clone, Copy)]
pub struct ZoneNet {
    /// Which zone.
    pub zone: Zone,
    /// The sockets' home.
    pub stack: Stack<'static>,
    link: &'static ZoneLink,
}

/// The queues between the data plane and one stack.
pub struct ZoneLink {
    zone: Zone,
    pool: &'static FramePool,
    to_stack: FrameQueue,
    to_bootp: FrameQueue,
    to_dataplane: FrameQueue,
    drops: Mutex<RefCell<Counters<StackDrop, { StackDrop::COUNT }>>>,
    door: Mutex<RefCell<Door>>,
    /// The stack's own address: what it sends there comes back to it.
    own: Mutex<Cell<Option<Ipv4Addr>>>,
}

/// A visitor's connection to a service of ours; its place is somebody else's once this is dropped.
pub struct Visit {
    link: &'static ZoneLink,
    /// Who.
    pub visitor: SocketAddrV4,
    port: u16,
}

/// What embassy-net sees of a [`ZoneLink`].
pub struct ZoneDevice(&'static ZoneLink);

/// Runs a stack; awaited by a task of its own.
pub type StackRunner = embassy_net::Runner<'static, ZoneDevice>;

/// Makes the stack of a zone with room for `SOCKETS` sockets. Allocates once, for the lifetime of the program.
pub fn zone_stack<const SOCKETS: usize>(
    zone: Zone,
    pool: &'static FramePool,
    random: &mut Random,
) -> (ZoneNet, StackRunner) {
    let link: &'static ZoneLink = Box::leak(Box::new(ZoneLink {
        zone,
        pool,
        to_stack: FrameQueue::new(),
        to_bootp: FrameQueue::new(),
        to_dataplane: FrameQueue::new(),
        drops: Mutex::new(RefCell::new(Counters::new())),
        door: Mutex::new(RefCell::new(Door::default())),
        own: Mutex::new(Cell::new(None)),
    }));
    let resources = Box::leak(Box::new(StackResources::<SOCKETS>::new()));
    let config = embassy_net::Config::default();
    let (stack, runner) = embassy_net::new(ZoneDevice(link), config, resources, random.next_u64());
    (ZoneNet { zone, stack, link }, runner)
}

impl ZoneNet {
    /// Gives the stack its address and default gateway, or takes them away.
    pub fn set_address(&self, address: Option<Ipv4Prefix>, gateway: Option<Ipv4Addr>) {
        let own = address.map(|prefix| prefix.address());
        critical_section::with(|token| self.link.own.borrow(token).set(own));
        let config = match address {
            None => ConfigV4::None,
            Some(prefix) => ConfigV4::Static(StaticConfigV4 {
                address: Ipv4Cidr::new(prefix.address(), prefix.length()),
                gateway,
                dns_servers: Default::default(),
            }),
        };
        self.stack.set_config_v4(config);
    }

    /// A UDP socket, not bound yet, with room for `datagrams` of together `bytes` each way. Allocates once, for the lifetime of the program.
    pub fn udp_socket(&self, datagrams: usize, bytes: usize) -> UdpSocket<'static> {
        let meta = || Box::leak(vec![PacketMetadata::EMPTY; datagrams].into_boxed_slice());
        let buffer = || Box::leak(vec![0; bytes].into_boxed_slice());
        UdpSocket::new(self.stack, meta(), buffer(), meta(), buffer())
    }

    /// Waits for a visitor on TCP `port`. From then on a peer that says nothing for `silence` is gone.
    pub async fn accept(
        &self,
        socket: &mut TcpSocket<'_>,
        port: u16,
        silence: embassy_time::Duration,
    ) -> Visit {
        loop {
            // Without it, a SYN that nobody follows up takes the socket for ever.
            socket.set_timeout(Some(embassy_time::Duration::from_micros(HANDSHAKE.as_micros())));
            if socket.accept(port).await.is_ok()
                && let Some(IpEndpoint { addr: IpAddress::Ipv4(address), port: from }) =
                    socket.remote_endpoint()
            {
                socket.set_timeout(Some(silence));
                let visitor = SocketAddrV4::new(address, from);
                self.link.at_the_door(|door| door.enter(visitor, port));
                return Visit { link: self.link, visitor, port };
            }
            socket.abort();
            let _ = socket.flush().await;
        }
    }

    /// Waits for the next DHCP frame that came in: whole, with its Ethernet header.
    pub async fn next_bootp(&self) -> Frame {
        self.link.to_bootp.next().await
    }

    /// Hands a whole Ethernet frame to the data plane as the router's own. A destination of 00:00:00:00:00:00 asks it to
    /// resolve the next hop; any other goes to that station as it is. `false` when the data plane does not keep up.
    pub fn send_frame(&self, frame: Frame) -> bool {
        self.link.send(frame)
    }

    /// The pool to take frames from.
    pub fn pool(&self) -> &'static FramePool {
        self.link.pool
    }

    /// The data plane's end.
    pub fn link(&self) -> &'static ZoneLink {
        self.link
    }
}

impl ZoneLink {
    /// A frame the data plane punted to this zone.
    pub fn deliver(&self, mut frame: Frame) {
        let parsed = match punted(frame.bytes()) {
            Some(parsed) => parsed,
            None => return self.count(StackDrop::Malformed),
        };
        let trusted = frame.offload.verified || frame.offload.checksum != Checksum::Complete;
        if !trusted && !parsed.checksum_right(frame.bytes()) {
            return self.count(StackDrop::BadChecksum);
        }
        if let Some((visitor, port)) = parsed.opens(frame.bytes())
            && !self.at_the_door(|door| door.knock(now(), visitor, port))
        {
            return self.count(StackDrop::TooManyConnections);
        }
        let bootp = if self.zone == Zone::Wan { 68 } else { 67 };
        let taken = if parsed.udp_destination == Some(bootp) {
            self.to_bootp.push(frame)
        } else {
            frame.shrink_front(ETHERNET);
            self.to_stack.push(frame)
        };
        if !taken {
            self.count(StackDrop::QueueFull);
        }
    }

    /// Frames the stack and the services send, for the data plane.
    pub fn outgoing(&self) -> &FrameQueue {
        &self.to_dataplane
    }

    /// How often a frame was lost, by reason.
    pub fn drops(&self) -> Counters<StackDrop, { StackDrop::COUNT }> {
        critical_section::with(|token| self.drops.borrow_ref(token).clone())
    }

    /// A packet of the stack's: to the data plane, or straight back when it is for the stack itself (one line of the house calls the other by
    /// its number at the operator).
    fn send_packet(&self, mut frame: Frame, voice: bool) {
        let destination = frame.bytes().get(ETHERNET + 16..ETHERNET + 20);
        let own = critical_section::with(|token| self.own.borrow(token).get());
        if own.is_some_and(|own| destination == Some(own.octets().as_slice())) {
            frame.shrink_front(ETHERNET);
            if !self.to_stack.push(frame) {
                self.count(StackDrop::QueueFull);
            }
            return;
        }
        match voice {
            true => self.send_voice(frame),
            false => self.send(frame),
        };
    }

    fn send(&self, frame: Frame) -> bool {
        self.sent(self.to_dataplane.push(frame))
    }

    fn send_voice(&self, frame: Frame) -> bool {
        self.sent(self.to_dataplane.push_urgent(frame))
    }

    fn sent(&self, taken: bool) -> bool {
        if !taken {
            self.count(StackDrop::QueueFull);
        }
        taken
    }

    fn at_the_door<R>(&self, what: impl FnOnce(&mut Door) -> R) -> R {
        critical_section::with(|token| what(&mut self.door.borrow_ref_mut(token)))
    }

    fn count(&self, reason: StackDrop) {
        critical_section::with(|token| self.drops.borrow_ref_mut(token).count(reason));
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.link.at_the_door(|door| door.leave(self.visitor, self.port));
    }
}

/// Sends a datagram without waiting; `false` when the queue is full or there is no way.
pub fn send_now(socket: &UdpSocket<'_>, message: &[u8], to: SocketAddrV4) -> bool {
    let to = IpEndpoint::new(IpAddress::Ipv4(*to.ip()), to.port());
    let mut context = Context::from_waker(Waker::noop());
    matches!(socket.poll_send_to(message, to, &mut context), Poll::Ready(Ok(())))
}

/// What matters about a punted frame before a stack sees it.
struct Punted {
    header: usize,
    end: usize,
    protocol: u8,
    fragment: bool,
    udp_destination: Option<u16>,
}

/// Reads just enough of an Ethernet frame with IPv4; `None` when it is something else or too short.
fn punted(bytes: &[u8]) -> Option<Punted> {
    if bytes.get(12..14)? != ETHERTYPE_IPV4 {
        return None;
    }
    let ip = bytes.get(ETHERNET..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?]));
    if header < 20 || total < header || total > ip.len() {
        return None;
    }
    let fragment_word = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]);
    let fragment = fragment_word & 0x3fff != 0;
    let protocol = *ip.get(9)?;
    let udp_destination = match (protocol, fragment) {
        (17, false) if total >= header + 8 => {
            Some(u16::from_be_bytes([*ip.get(header + 2)?, *ip.get(header + 3)?]))
        }
        (17, false) => return None,
        _ => None,
    };
    Some(Punted { header: ETHERNET + header, end: ETHERNET + total, protocol, fragment, udp_destination })
}

impl Punted {
    /// Who wants a connection to which TCP port of ours: a SYN without ACK (RFC 9293 section 3.5).
    fn opens(&self, bytes: &[u8]) -> Option<(SocketAddrV4, u16)> {
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        let segment = bytes.get(self.header..self.end).filter(|_| self.protocol == 6 && !self.fragment)?;
        if *segment.get(13)? & (SYN | ACK) != SYN {
            return None;
        }
        let octets: [u8; 4] = bytes.get(ETHERNET + 12..ETHERNET + 16)?.try_into().ok()?;
        let from = u16::from_be_bytes([*segment.first()?, *segment.get(1)?]);
        let port = u16::from_be_bytes([*segment.get(2)?, *segment.get(3)?]);
        Some((SocketAddrV4::new(octets.into(), from), port))
    }

    /// Whether the UDP or TCP checksum is right; other protocols and fragments are the stack's own business.
    fn checksum_right(&self, bytes: &[u8]) -> bool {
        if self.fragment || !matches!(self.protocol, 6 | 17) {
            return true;
        }
        let Some(segment) = bytes.get(self.header..self.end) else { return false };
        // RFC 768: a UDP checksum of zero means that none was made.
        if self.protocol == 17 && segment.get(6..8) == Some(&[0, 0]) {
            return true;
        }
        let address = |at: usize| -> Option<Ipv4Addr> {
            let octets: [u8; 4] = bytes.get(ETHERNET + at..ETHERNET + at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets))
        };
        let (Some(source), Some(destination)) = (address(12), address(16)) else { return false };
        let pseudo = checksum::pseudo_header(source, destination, self.protocol, segment.len() as u16);
        checksum::add(pseudo, checksum::sum(segment)) == 0xffff
    }
}

impl Driver for ZoneDevice {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received, Sending)> {
        if self.0.to_stack.poll_ready(context).is_pending() {
            return None;
        }
        let frame = self.0.to_stack.pop()?;
        Some((Received(frame), Sending(self.0)))
    }

    fn transmit(&mut self, _context: &mut Context<'_>) -> Option<Sending> {
        // Always: a full queue or an empty pool is a counted drop, which IP allows; waiting here would stall every socket.
        Some(Sending(self.0))
    }

    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        // The stack's link is the way to the data plane, which is always there. Addresses come and go instead.
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities.max_burst_size = None;
        // Verified in `deliver`, where the port's notes are still known.
        capabilities.checksum.udp = embassy_net_driver::Checksum::Tx;
        capabilities.checksum.tcp = embassy_net_driver::Checksum::Tx;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

/// One packet on its way into the stack.
pub struct Received(Frame);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, read: F) -> R {
        read(self.0.bytes_mut())
    }
}

/// Room for one packet on its way out of the stack.
pub struct Sending(&'static ZoneLink);

impl TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        match self.0.pool.take(ETHERNET + length) {
            Some(mut frame) => {
                let bytes = frame.bytes_mut();
                bytes[..6].copy_from_slice(&MacAddress::ZERO.0);
                bytes[6..12].copy_from_slice(&MacAddress::ZERO.0);
                bytes[12..14].copy_from_slice(&ETHERTYPE_IPV4);
                let packet = &mut bytes[ETHERNET..];
                let result = write(packet);
                let voice = voice_first::mark(packet);
                self.0.send_packet(frame, voice);
                result
            }
            None => {
                // The stack must write somewhere; the packet is lost as on a busy wire.
                self.0.count(StackDrop::NoBuffer);
                let mut nowhere = [0; MTU];
                write(&mut nowhere[..length.min(MTU)])
            }
        }
    }
}
