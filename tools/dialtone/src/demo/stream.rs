//! A TCP connection of the host, pumped into a simulated one.
//!
//! Readiness comes from the executor's reactor, edge-triggered: a direction is tried until it would block, then not again
//! before the next edge. Back pressure is the buffers': nothing is read that the other side has no room for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::Context;

use dialtone_hal_linux::executor::{Reactor, Watch};
use dialtone_netsim::tcp;

/// A non-blocking connection of the host and what is known about it.
pub struct HostStream {
    // Before the stream: a watch goes before its descriptor is closed.
    watch: Watch,
    stream: TcpStream,
    readable: bool,
    writable: bool,
    read_ended: bool,
    write_ended: bool,
    /// Bytes pumped into the simulation so far.
    pub inward: u64,
    /// Bytes pumped out of the simulation so far.
    pub outward: u64,
}

/// How a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// Nothing moved.
    Idle,
    /// Bytes moved.
    Moved,
    /// Both directions ended in good order.
    Ended,
    /// One side broke.
    Broken,
}

impl HostStream {
    /// Takes a connection, or one that is on its way.
    ///
    /// # Errors
    /// When it cannot be made non-blocking or watched.
    pub fn new(stream: TcpStream, reactor: &Reactor) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Small answers should not wait for the next segment. Not worth failing for.
        let _ = stream.set_nodelay(true);
        let watch = reactor.watch(&stream)?;
        Ok(Self {
            watch,
            stream,
            readable: true,
            writable: true,
            read_ended: false,
            write_ended: false,
            inward: 0,
            outward: 0,
        })
    }

    /// Learns of edges since the last call; the context is woken at the next one.
    pub fn refresh(&mut self, context: &mut Context<'_>) {
        self.readable |= self.watch.poll_readable(context).is_ready();
        self.writable |= self.watch.poll_writable(context).is_ready();
    }

    /// Waits for the first edge of a connection that is being made, then says how that went.
    pub fn connected(&mut self, context: &mut Context<'_>) -> Option<io::Result<()>> {
        self.refresh(context);
        if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
            return Some(Err(error));
        }
        match self.stream.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The host's own end.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; otherwise the connection broke.
    pub fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Err(error);
                }
                result => {
                    self.read_ended |= matches!(result, Ok(0));
                    return result;
                }
            }
        }
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; otherwise the connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Err(error);
                }
                result => return result,
            }
        }
    }

    /// Moves bytes both ways between this connection and an established simulated one, and passes ends on.
    pub fn pump(&mut self, socket: &mut tcp::Socket<'static>) -> Pumped {
        let mut moved = false;
        while self.readable && !self.read_ended && socket.can_send() {
            match socket.send(|room| match self.read(room) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            }) {
                Ok(Ok(0)) => socket.close(),
                Ok(Ok(count)) => {
                    moved = true;
                    self.inward += count as u64;
                }
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(Err(_)) | Err(_) => return self.broken(socket),
            }
        }
        while self.writable && !self.write_ended && socket.can_recv() {
            match socket.recv(|bytes| match self.write(bytes) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            }) {
                Ok(Ok(count)) => {
                    moved = true;
                    self.outward += count as u64;
                }
                Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(Err(_)) | Err(_) => return self.broken(socket),
            }
        }
        let state = socket.state();
        if state == tcp::State::Closed && !(self.read_ended && self.write_ended) && !socket.can_recv() {
            // Reset, unless both sides had said goodbye and only the last ACK was missing.
            return self.broken(socket);
        }
        if !self.write_ended && far_end_finished(state) && !socket.can_recv() {
            self.write_ended = true;
            // Gone already is as good as shut down.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        match (self.read_ended && self.write_ended, moved) {
            (true, _) => Pumped::Ended,
            (_, true) => Pumped::Moved,
            _ => Pumped::Idle,
        }
    }

    fn broken(&mut self, socket: &mut tcp::Socket<'static>) -> Pumped {
        socket.abort();
        let _ = self.stream.shutdown(Shutdown::Both);
        Pumped::Broken
    }
}

/// The far end has sent its FIN.
fn far_end_finished(state: tcp::State) -> bool {
    use tcp::State::{CloseWait, Closing, LastAck, TimeWait};
    matches!(state, CloseWait | LastAck | Closing | TimeWait)
}
