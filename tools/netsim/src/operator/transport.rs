//! How messages reach the operator and leave it: datagrams, connections, and the far side it plugs into.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::rc::Rc;

use dialtone_base::Instant;
use smoltcp::socket::tcp;

use super::message::Message;
use super::{Operator, PORT};
use crate::packet::Datagram;
use crate::peer::{Arrival, FarSide, Peer};

/// The way a message came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Datagrams.
    Udp {
        /// The operator's end.
        ours: SocketAddrV4,
        /// The other end.
        theirs: SocketAddrV4,
    },
    /// A connection the other side opened.
    Tcp {
        /// Which.
        connection: u64,
        /// The operator's end.
        ours: SocketAddrV4,
        /// The other end.
        theirs: SocketAddrV4,
    },
}

impl Road {
    /// The operator's end.
    pub fn ours(self) -> SocketAddrV4 {
        match self {
            Self::Udp { ours, .. } | Self::Tcp { ours, .. } => ours,
        }
    }

    /// The other end.
    pub fn theirs(self) -> SocketAddrV4 {
        match self {
            Self::Udp { theirs, .. } | Self::Tcp { theirs, .. } => theirs,
        }
    }

    /// As Via spells it.
    pub(super) fn transport(self) -> &'static str {
        match self {
            Self::Udp { .. } => "UDP",
            Self::Tcp { .. } => "TCP",
        }
    }

    /// The operator's end as a URI's host and parameters.
    pub(super) fn place(self) -> String {
        match self {
            Self::Udp { ours, .. } => ours.ip().to_string(),
            Self::Tcp { ours, .. } => format!("{};transport=tcp", ours.ip()),
        }
    }
}

/// Bytes for a connection.
#[derive(Default)]
pub(super) struct Pipe {
    outgoing: Vec<u8>,
}

impl Operator {
    /// A datagram to one of the operator's addresses.
    pub fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) {
        if self.faults.gone.contains(datagram.to.ip()) {
            if datagram.payload.starts_with(b"REGISTER ") {
                self.unheard.push_back(now);
                if self.unheard.len() > super::NOTES {
                    self.unheard.pop_front();
                }
            }
            return;
        }
        if self.loses() {
            return;
        }
        if datagram.to.port() == PORT {
            let road = Road::Udp { ours: datagram.to, theirs: datagram.from };
            self.receive(now, road, datagram.payload);
        } else {
            self.sound(now, datagram);
        }
    }

    /// Queues bytes; they leave at the next poll that is not too early for [`super::Faults::slow`].
    pub(super) fn put(&mut self, now: Instant, road: Road, bytes: Vec<u8>) {
        self.outbox.push_back((now + self.faults.slow, road, bytes));
    }

    pub(super) fn send(&mut self, now: Instant, road: Road, message: &Message) {
        self.put(now, road, message.bytes());
    }

    pub(super) fn flush(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        for (at, road, bytes) in std::mem::take(&mut self.outbox) {
            if at > now {
                self.outbox.push_back((at, road, bytes));
                continue;
            }
            if self.faults.gone.contains(road.ours().ip()) {
                continue;
            }
            match road {
                Road::Udp { ours, theirs } => {
                    if !self.loses() {
                        send(ours, theirs, bytes);
                    }
                }
                Road::Tcp { connection, .. } => {
                    if let Some(pipe) = self.connections.get_mut(&connection) {
                        pipe.outgoing.extend(bytes);
                    }
                }
            }
        }
    }

    pub(super) fn loses(&mut self) -> bool {
        self.faults.lost > 0 && self.random.below(1_000_000) < self.faults.lost
    }
}

/// A far side with an operator in it; everything that is not the operator's goes to `beyond`.
pub struct WithOperator<F> {
    /// The operator.
    pub operator: Rc<RefCell<Operator>>,
    /// Everybody else.
    pub beyond: F,
}

impl<F: FarSide> FarSide for WithOperator<F> {
    fn open(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Box<dyn Peer> {
        let mut operator = self.operator.borrow_mut();
        if !operator.owns(*to.ip()) {
            return self.beyond.open(from, to);
        }
        operator.next_connection += 1;
        let connection = operator.next_connection;
        if to.port() == PORT {
            operator.connections.insert(connection, Pipe::default());
        }
        let road = Road::Tcp { connection, ours: to, theirs: from };
        Box::new(Connection { operator: self.operator.clone(), road, connection, incoming: Vec::new() })
    }

    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        let mut operator = self.operator.borrow_mut();
        if !operator.owns(*datagram.to.ip()) {
            return self.beyond.datagram(now, datagram);
        }
        operator.datagram(now, datagram);
        None
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        self.operator.borrow_mut().poll(now, send);
        self.beyond.poll(now, send);
    }

    fn next_poll(&self) -> Option<Instant> {
        [self.operator.borrow().next_poll(), self.beyond.next_poll()].into_iter().flatten().min()
    }
}

/// A connection to the operator.
struct Connection {
    operator: Rc<RefCell<Operator>>,
    road: Road,
    connection: u64,
    incoming: Vec<u8>,
}

impl Peer for Connection {
    fn arrival(&mut self, _now: Instant) -> Arrival {
        let operator = self.operator.borrow();
        if operator.faults.gone.contains(self.road.ours().ip()) {
            Arrival::Ignored
        } else if self.road.ours().port() == PORT {
            Arrival::Accepted
        } else {
            Arrival::Refused
        }
    }

    fn pump(&mut self, now: Instant, socket: &mut tcp::Socket<'static>) {
        let mut operator = self.operator.borrow_mut();
        if operator.faults.gone.contains(self.road.ours().ip()) {
            socket.abort();
            return;
        }
        while socket.can_recv() {
            let got = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default();
            self.incoming.extend(got);
        }
        loop {
            // Keep-alives between messages.
            if self.incoming.starts_with(b"\r\n\r\n") {
                self.incoming.drain(..4);
                operator.receive(now, self.road, b"\r\n\r\n");
                continue;
            }
            let Some(length) = Message::length_in_stream(&self.incoming) else { break };
            let bytes: Vec<u8> = self.incoming.drain(..length).collect();
            let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
            operator.receive(now, self.road, &bytes[start..]);
        }
        if self.incoming.len() > MOST_UNREAD {
            socket.abort();
            return;
        }
        if let Some(pipe) = operator.connections.get_mut(&self.connection) {
            while socket.can_send() && !pipe.outgoing.is_empty() {
                let sent = socket.send_slice(&pipe.outgoing).unwrap_or(pipe.outgoing.len());
                pipe.outgoing.drain(..sent);
            }
        }
        crate::peer::close_after_peer(socket);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // At the end of a simulation the operator may be in use.
        if let Ok(mut operator) = self.operator.try_borrow_mut() {
            operator.connections.remove(&self.connection);
        }
    }
}

/// Bytes of a connection that make no message.
const MOST_UNREAD: usize = 256 * 1024;
