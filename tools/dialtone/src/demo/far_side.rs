//! The internet beyond the simulated ISP: the host's own sockets, or a little web of our own.
//!
//! The home must not reach what only this computer can: destinations that are not public addresses (RFC 6890), and the
//! computer's own addresses, are refused. 203.0.113.0/24 (TEST-NET-3) is always the built-in web.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::rc::Rc;
use std::task::Context;

use dialtone_base::{Duration, Instant};
use dialtone_hal_linux::executor::Reactor;
use dialtone_netsim::packet::Datagram;
use dialtone_netsim::peer::{Arrival, FarSide, Peer};
use dialtone_netsim::tcp;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::stream::{HostStream, Pumped};
use super::web::WebPeer;

/// Where the built-in web lives.
pub const BUILT_IN_WEB: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const HTTPS: u16 = 443;
/// Until a connection of the host must have come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// The far side of the demo.
pub struct Beyond {
    /// Use the host's sockets; otherwise only the built-in web is there.
    pub internet: bool,
    /// Where sockets are watched.
    pub reactor: Reactor,
    /// The task that pumps.
    pub waker: TaskWaker,
}

/// The waker of the one task that looks after all connections.
pub type TaskWaker = Rc<std::cell::RefCell<std::task::Waker>>;

impl FarSide for Beyond {
    fn open(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Box<dyn Peer> {
        // It has no certificate for anybody's name; a refusal is heard at once.
        if is_built_in(*to.ip()) && to.port() != HTTPS {
            return Box::new(WebPeer::new(from, to, self.internet));
        }
        if !self.internet || !may_reach(*to.ip()) {
            return Box::new(Nobody);
        }
        match start_connecting(to).and_then(|stream| HostStream::new(stream, &self.reactor)) {
            Ok(stream) => {
                Box::new(Somebody { stream, waker: self.waker.clone(), give_up: None, over: false })
            }
            Err(_) => Box::new(Nobody),
        }
    }

    fn datagram(&mut self, _now: Instant, _datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        // Names and time are the ISP's own; the laptop's proxies carry TCP only.
        None
    }
}

/// Refuses.
struct Nobody;

impl Peer for Nobody {
    fn arrival(&mut self, _now: Instant) -> Arrival {
        Arrival::Refused
    }

    fn pump(&mut self, _now: Instant, _socket: &mut tcp::Socket<'static>) {}
}

/// A server on the real internet.
struct Somebody {
    stream: HostStream,
    waker: TaskWaker,
    give_up: Option<Instant>,
    over: bool,
}

impl Peer for Somebody {
    fn arrival(&mut self, now: Instant) -> Arrival {
        let waker = self.waker.borrow().clone();
        let give_up = *self.give_up.get_or_insert(now + CONNECT_LIMIT);
        match self.stream.connected(&mut Context::from_waker(&waker)) {
            // The host reached itself by a name of its own: not for the simulated home.
            Some(Ok(())) if is_own_end(self.stream.stream()) => Arrival::Refused,
            Some(Ok(())) => Arrival::Accepted,
            Some(Err(_)) => Arrival::Refused,
            None if now >= give_up => Arrival::Ignored,
            None => Arrival::Waiting,
        }
    }

    fn pump(&mut self, _now: Instant, socket: &mut tcp::Socket<'static>) {
        if self.over {
            return;
        }
        let waker = self.waker.borrow().clone();
        self.stream.refresh(&mut Context::from_waker(&waker));
        let pumped = self.stream.pump(socket);
        self.over = matches!(pumped, Pumped::Ended | Pumped::Broken);
    }
}

/// TEST-NET-3.
pub fn is_built_in(address: Ipv4Addr) -> bool {
    address.octets()[..3] == BUILT_IN_WEB.octets()[..3]
}

/// Whether a simulated home may reach this address: a public one that is not this computer's.
pub fn may_reach(address: Ipv4Addr) -> bool {
    is_public(address) && !is_own(address)
}

/// Globally reachable unicast as the registry of RFC 6890 has it.
pub fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224..=255 => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => b == 168 || b == 0 && (c == 0 || c == 2) || b == 88 && c == 99,
        198 => b & 0xfe == 18 || b == 51 && c == 100,
        203 => b == 0 && c == 113,
        _ => false,
    };
    !special
}

/// Whether the address is one of this computer's: the system then picks the same one as source. Sends nothing.
fn is_own(address: Ipv4Addr) -> bool {
    let source = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    matches!(source, Ok(SocketAddr::V4(source)) if *source.ip() == address)
}

fn is_own_end(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(own), Ok(peer)) => own.ip() == peer.ip(),
        _ => true,
    }
}

/// A connection on its way, without waiting for it.
fn start_connecting(to: SocketAddrV4) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_of_others_may_be_reached() {
        for closed in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.77.1",
            "198.18.0.1",
            "198.19.9.9",
            "198.51.100.1",
            "203.0.113.10",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!may_reach(closed.parse().unwrap()), "{closed}");
        }
        for open in ["1.1.1.1", "8.8.8.8", "100.63.0.1", "172.32.0.1", "192.0.1.1", "193.0.0.1", "198.17.0.1"]
        {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn this_computer_knows_its_own_addresses() {
        assert!(is_own(Ipv4Addr::LOCALHOST));
    }
}
