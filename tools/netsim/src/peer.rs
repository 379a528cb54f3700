//! What answers at the far side of the ISP.
//!
//! [`FarSide`] is the whole internet beyond the ISP as one trait: it is asked for a [`Peer`] per TCP connection and for
//! an answer per datagram. [`Echo`] serves tests. The demo plugs in one that uses the host's sockets.

use std::net::SocketAddrV4;

use dialtone_base::Instant;
use smoltcp::socket::tcp;

use crate::packet::Datagram;

/// What becomes of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not known yet: ask again.
    Waiting,
    /// The handshake is answered.
    Accepted,
    /// A reset comes back.
    Refused,
    /// Nothing comes back.
    Ignored,
}

/// The far end of one TCP connection.
pub trait Peer {
    /// Whether the connection is accepted. Asked until it is not [`Arrival::Waiting`].
    fn arrival(&mut self, _now: Instant) -> Arrival {
        Arrival::Accepted
    }

    /// Moves bytes in and out of the simulated socket, closes it when it is done.
    fn pump(&mut self, now: Instant, socket: &mut tcp::Socket<'static>);
}

/// Everything beyond the ISP.
pub trait FarSide {
    /// Somebody opens a connection. `from` is what the far side sees: the router's WAN address.
    fn open(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Box<dyn Peer>;

    /// A datagram came; the answer, if there is one at once.
    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>>;

    /// Lets it work in its own time: every datagram it wants sent goes to `send` as source, destination, contents.
    fn poll(&mut self, _now: Instant, _send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {}

    /// When [`FarSide::poll`] wants to be called again.
    fn next_poll(&self) -> Option<Instant> {
        None
    }
}

impl FarSide for Box<dyn FarSide> {
    fn open(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Box<dyn Peer> {
        (**self).open(from, to)
    }

    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        (**self).datagram(now, datagram)
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        (**self).poll(now, send);
    }

    fn next_poll(&self) -> Option<Instant> {
        (**self).next_poll()
    }
}

/// A far side that sends everything back, whatever the address and port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Peer for Echo {
    fn pump(&mut self, _now: Instant, socket: &mut tcp::Socket<'static>) {
        while socket.can_recv() && socket.can_send() {
            let room = socket.send_capacity() - socket.send_queue();
            let Ok(bytes) = socket.recv(|bytes| {
                let take = bytes.len().min(room);
                (take, bytes[..take].to_vec())
            }) else {
                return;
            };
            if bytes.is_empty() || socket.send_slice(&bytes).is_err() {
                return;
            }
        }
        close_after_peer(socket);
    }
}

impl FarSide for Echo {
    fn open(&mut self, _from: SocketAddrV4, _to: SocketAddrV4) -> Box<dyn Peer> {
        Box::new(Self)
    }

    fn datagram(&mut self, _now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        Some(datagram.payload.to_vec())
    }
}

/// Closes our half once the other side has closed its half and everything was read.
pub fn close_after_peer(socket: &mut tcp::Socket<'static>) {
    if socket.state() == tcp::State::CloseWait && !socket.can_recv() {
        socket.close();
    }
}
