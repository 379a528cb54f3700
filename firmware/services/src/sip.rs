//! What carries SIP: one UDP socket, a few TCP connections, and the questions to DNS, all on the WAN.
//!
//! What is said is decided in `dialtone_sip`; `phone.rs` joins that with lines and media. Each TCP connection has a task of its own
//! ([`SipSockets::carry_stream`]), look-ups have another ([`SipSockets::look_up`]), so that a slow server holds up nobody. A
//! connection whose peer does not read is closed. Does not listen for connections: a server answers on the one we opened (RFC 5626).

use alloc::boxed::Box;
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::counter::Counters;
use dialtone_base::{Duration, Seed, counted_reasons};
use dialtone_dns::lookup;
use dialtone_sip::{Answer, ConnectionId, HostName, QueryId, Record, RecordKind};
use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::pipe::Pipe;
use embassy_sync::signal::Signal;
use embassy_time::with_timeout;

use crate::dns::Resolver;
use crate::stack::{IpAddress, IpEndpoint, TcpSocket, UdpSocket, ZoneNet, send_now};

/// UDP ports of the WAN address that are the router's own, for its calls: SIP first, RTP behind it. No device's mapping takes one.
pub const VOICE_PORTS: (u16, u16) = (5060, 6059);
/// TCP connections at once, and tasks for them.
pub const STREAMS: usize = 4;
/// Longest message, either way.
pub const MESSAGE: usize = 4096;
/// Bytes on their way to a server.
const OUTGOING: usize = 2 * MESSAGE;
/// Bytes told of at a time.
pub const CHUNK: usize = 1024;
/// Look-ups that may wait.
const QUESTIONS: usize = 8;
/// A connection that does not come about in this time never does.
const CONNECT: embassy_time::Duration = embassy_time::Duration::from_secs(8);
/// A peer that acknowledges nothing for so long is gone. Keep-alives go more often.
const SILENCE: embassy_time::Duration = embassy_time::Duration::from_secs(40);
/// Records are remembered at least so long, whatever they say: a TTL of zero must not make a storm.
const SHORTEST_TTL: u64 = 5;

counted_reasons! {
    /// Why a message did not leave.
    pub enum SipDrop {
        /// The socket's queue is full.
        QueueFull = "queue-full",
        /// A server does not read; its connection is closed.
        SlowPeer = "slow-peer",
        /// The connection is gone already.
        NoConnection = "no-connection",
        /// More look-ups than there is room for.
        NoQuestion = "no-question",
    }
}

/// What a connection's task tells. Bytes travel in it: four of these wait at most, and nothing is allocated.
#[allow(clippy::large_enum_variant)]
pub enum StreamEvent {
    /// It stands.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// Our end.
        local: SocketAddrV4,
    },
    /// Bytes came.
    Bytes {
        /// Which.
        connection: ConnectionId,
        /// The bytes.
        bytes: heapless::Vec<u8, CHUNK>,
    },
    /// It ended, or never came about.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
}

/// What DNS said, by question.
pub struct Located {
    /// Which question.
    pub query: QueryId,
    /// What came of it.
    result: Result<(heapless::Vec<Record, { lookup::RECORDS }>, Duration), lookup::Failure>,
}

/// The sockets of SIP. One owner sends and receives; tasks carry the streams and the look-ups.
pub struct SipSockets {
    wan: ZoneNet,
    streams: [Stream; STREAMS],
    /// What the streams tell.
    pub events: Channel<CriticalSectionRawMutex, StreamEvent, 4>,
    questions: Channel<CriticalSectionRawMutex, (QueryId, HostName, RecordKind), QUESTIONS>,
    /// What DNS said.
    pub located: Channel<CriticalSectionRawMutex, Located, QUESTIONS>,
}

/// The UDP socket, in the hands of the one who sends and receives.
pub struct SipDatagrams {
    socket: UdpSocket<'static>,
    port: u16,
    drops: Counters<SipDrop, { SipDrop::COUNT }>,
}

struct Stream {
    /// Whose it is; `None` when free. Set by the owner, cleared by the task.
    connection: critical_section::Mutex<core::cell::Cell<Option<ConnectionId>>>,
    start: Signal<CriticalSectionRawMutex, (ConnectionId, SocketAddrV4)>,
    stop: Signal<CriticalSectionRawMutex, ()>,
    outgoing: Pipe<CriticalSectionRawMutex, OUTGOING>,
}

impl SipSockets {
    /// Makes what the tasks share. Allocates once, for the lifetime of the program.
    pub fn leak(wan: ZoneNet) -> &'static Self {
        Box::leak(Box::new(Self {
            wan,
            streams: core::array::from_fn(|_| Stream {
                connection: critical_section::Mutex::new(core::cell::Cell::new(None)),
                start: Signal::new(),
                stop: Signal::new(),
                outgoing: Pipe::new(),
            }),
            events: Channel::new(),
            questions: Channel::new(),
            located: Channel::new(),
        }))
    }

    /// The UDP socket, bound to `port`.
    pub fn datagrams(&self, port: u16) -> SipDatagrams {
        let mut socket = self.wan.udp_socket(32, 8 * MESSAGE);
        if socket.bind(port).is_err() {
            dialtone_base::warn!("sip: port {port} cannot be had on the WAN");
        }
        SipDatagrams { socket, port, drops: Counters::new() }
    }

    /// Opens a connection; `false` when all are taken. [`StreamEvent`]s follow.
    pub fn connect(&self, connection: ConnectionId, to: SocketAddrV4) -> bool {
        let Some(free) = self.streams.iter().find(|stream| stream.owner().is_none()) else { return false };
        free.set_owner(Some(connection));
        free.outgoing.clear();
        free.stop.reset();
        free.start.signal((connection, to));
        true
    }

    /// Sends over a connection, all of `message` or nothing.
    ///
    /// # Errors
    /// [`SipDrop::NoConnection`]; [`SipDrop::SlowPeer`] when what was sent before is not read: it is being closed.
    pub fn send(&self, connection: ConnectionId, message: &[u8]) -> Result<(), SipDrop> {
        let stream = self.stream(connection).ok_or(SipDrop::NoConnection)?;
        if stream.outgoing.free_capacity() < message.len() {
            stream.stop.signal(());
            return Err(SipDrop::SlowPeer);
        }
        // There is room for all of it, in at most two portions: the pipe is a ring.
        let mut rest = message;
        while !rest.is_empty() {
            let count = stream.outgoing.try_write(rest).map_err(|_| SipDrop::SlowPeer)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Closes a connection.
    pub fn close(&self, connection: ConnectionId) {
        if let Some(stream) = self.stream(connection) {
            stream.stop.signal(());
        }
    }

    /// Asks DNS; `false` when too many questions wait.
    pub fn locate(&self, query: QueryId, name: HostName, kind: RecordKind) -> bool {
        self.questions.try_send((query, name, kind)).is_ok()
    }

    /// Answers the questions, one after the other. One task. Never ends.
    pub async fn look_up(&self, resolver: &Resolver) -> ! {
        loop {
            let (query, name, kind) = self.questions.receive().await;
            dialtone_base::debug!("sip: look up {name} {kind:?}");
            let result = match name.parse::<Ipv4Addr>() {
                Ok(address) if kind == RecordKind::A => {
                    Ok((heapless::Vec::from_iter([Record::A(address)]), Duration::from_secs(86_400)))
                }
                _ => resolver.look_up(&name, asked(kind)).await.map(|records| {
                    let ttl = records.iter().map(|record| u64::from(record.ttl)).min().unwrap_or(0);
                    let records = records.into_iter().map(|record| told(record.data)).collect();
                    (records, Duration::from_secs(ttl.max(SHORTEST_TTL)))
                }),
            };
            self.located.send(Located { query, result }).await;
        }
    }

    /// Carries one connection after the other. One task per `index` below [`STREAMS`]. Never ends.
    pub async fn carry_stream(&self, index: usize) -> ! {
        let Some(stream) = self.streams.get(index) else { core::future::pending().await };
        let buffer = |length| Box::leak(vec![0; length].into_boxed_slice());
        let mut socket = TcpSocket::new(self.wan.stack, buffer(2 * MESSAGE), buffer(2 * MESSAGE));
        loop {
            let (connection, to) = stream.start.wait().await;
            dialtone_base::debug!("sip: {connection:?} to {to}");
            self.carry(stream, &mut socket, connection, to).await;
            socket.close();
            let _ = with_timeout(embassy_time::Duration::from_secs(2), socket.flush()).await;
            socket.abort();
            let _ = socket.flush().await;
            stream.set_owner(None);
            dialtone_base::debug!("sip: {connection:?} is over");
            self.events.send(StreamEvent::Closed { connection }).await;
        }
    }

    async fn carry(
        &self,
        stream: &Stream,
        socket: &mut TcpSocket<'static>,
        connection: ConnectionId,
        to: SocketAddrV4,
    ) {
        socket.set_timeout(Some(SILENCE));
        let to = IpEndpoint::new(IpAddress::Ipv4(*to.ip()), to.port());
        match with_timeout(CONNECT, socket.connect(to)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
        let Some(IpEndpoint { addr: IpAddress::Ipv4(address), port }) = socket.local_endpoint() else {
            return;
        };
        let local = SocketAddrV4::new(address, port);
        dialtone_base::debug!("sip: {connection:?} stands");
        self.events.send(StreamEvent::Connected { connection, local }).await;
        let (mut reader, mut writer) = socket.split();
        let mut incoming = [0; CHUNK];
        let mut outgoing = [0; CHUNK];
        loop {
            let next =
                select3(reader.read(&mut incoming), stream.outgoing.read(&mut outgoing), stream.stop.wait());
            match next.await {
                Either3::First(Ok(count)) if count > 0 => {
                    let bytes = incoming.get(..count).unwrap_or_default();
                    let bytes = heapless::Vec::from_slice(bytes).unwrap_or_default();
                    self.events.send(StreamEvent::Bytes { connection, bytes }).await;
                }
                Either3::First(_) | Either3::Third(()) => return,
                Either3::Second(count) => {
                    let mut rest = outgoing.get(..count).unwrap_or_default();
                    while !rest.is_empty() {
                        match with_timeout(SILENCE, writer.write(rest)).await {
                            Ok(Ok(written)) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
                            _ => return,
                        }
                    }
                }
            }
        }
    }

    fn stream(&self, connection: ConnectionId) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.owner() == Some(connection))
    }
}

impl Stream {
    fn owner(&self) -> Option<ConnectionId> {
        critical_section::with(|token| self.connection.borrow(token).get())
    }

    fn set_owner(&self, connection: Option<ConnectionId>) {
        critical_section::with(|token| self.connection.borrow(token).set(connection));
    }
}

impl SipDatagrams {
    /// The local port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often a message did not leave, by reason.
    pub fn drops(&self) -> &Counters<SipDrop, { SipDrop::COUNT }> {
        &self.drops
    }

    /// Counts a message that did not leave.
    pub fn count(&mut self, reason: SipDrop) {
        self.drops.count(reason);
    }

    /// The next datagram in `buffer`: its length and sender. Longer ones than the buffer are left out.
    pub async fn receive(&self, buffer: &mut [u8]) -> (usize, SocketAddrV4) {
        loop {
            if let Ok((length, meta)) = self.socket.recv_from(buffer).await {
                let IpAddress::Ipv4(address) = meta.endpoint.addr;
                return (length, SocketAddrV4::new(address, meta.endpoint.port));
            }
        }
    }

    /// Sends without waiting; what finds no room is lost, as datagrams may be, and counted.
    pub fn send(&mut self, to: SocketAddrV4, message: &[u8]) {
        if !send_now(&self.socket, message, to) {
            self.drops.count(SipDrop::QueueFull);
        }
    }
}

impl Located {
    /// In the words of the SIP engine.
    pub fn answer(&self) -> Answer<'_> {
        match &self.result {
            Ok((records, _)) if records.is_empty() => Answer::Nothing,
            Ok((records, ttl)) => Answer::Records { records, ttl: *ttl },
            Err(lookup::Failure::NoSuchName | lookup::Failure::NotAName) => Answer::Nothing,
            Err(lookup::Failure::NoAnswer) => Answer::Failed,
        }
    }
}

fn asked(kind: RecordKind) -> lookup::Kind {
    match kind {
        RecordKind::A => lookup::Kind::A,
        RecordKind::Srv => lookup::Kind::Srv,
        RecordKind::Naptr => lookup::Kind::Naptr,
    }
}

fn told(data: lookup::Data) -> Record {
    match data {
        lookup::Data::A(address) => Record::A(address),
        lookup::Data::Srv { priority, weight, port, target } => {
            Record::Srv { priority, weight, port, target }
        }
        lookup::Data::Naptr { order, preference, flags, service, replacement } => {
            Record::Naptr { order, preference, flags, service, replacement }
        }
    }
}

/// A UUID (RFC 9562 version 4) that stays the same for one device.
pub fn instance(seed: Seed) -> [u8; 16] {
    let mut bytes = [0; 16];
    dialtone_base::Random::new(seed).fill(&mut bytes);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    bytes
}
