//! The home's name server on its sockets: port 53 by UDP and TCP inside, random ports towards the WAN.
//!
//! One main task moves datagrams in batches without waiting between them; each TCP connection, inside or outside, has
//! a task of its own, so that a slow one holds up nobody ([`tcp`]). What is asked and answered is decided in
//! `dialtone_dns`; the conversions of settings and names are in [`facts`]. Does not listen on the WAN.

mod facts;
mod tcp;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::pin::pin;
use core::task::{Context, Poll};

use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, Random, Seed, Zone};
use dialtone_dns::{
    Client, Config, Fault, Forwarder, Input, LONGEST_MESSAGE, Limits, Output, Snapshot, Token, Transport,
    lookup,
};
use embassy_futures::select::{Either4, select4};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;

use crate::stack::{IpAddress, IpEndpoint, UdpSocket, ZoneNet, send_now};
use crate::state::{RouterState, now, wait_until};

pub use tcp::{TCP_INSIDE, TCP_OUTSIDE};

/// The DNS port.
const PORT: u16 = 53;
/// Sockets for questions to upstream servers; the WAN stack must have room for them.
pub const UDP_OUTSIDE: usize = 64;
/// Longest datagram taken or sent (RFC 5625 section 4.4.2 asks for 4096 at least).
const DATAGRAM: usize = 4096;
/// Datagrams a zone's socket holds each way, and their bytes.
const INSIDE_QUEUE: usize = 256;
const INSIDE_BYTES: usize = 64 * 1024;
/// Datagrams handled before other tasks get their turn.
const BATCH: usize = 64;
/// Ports questions leave from.
const FIRST_PORT: u16 = 16_384;
/// How often counters are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// The address the router's own look-ups seem to come from.
const OURSELVES: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);

/// The name server of one router. Its tasks share it.
pub struct DnsService {
    state: &'static RouterState,
    wan: ZoneNet,
    core: RefCell<Core>,
    connections: [tcp::Connection; TCP_INSIDE],
    exchanges: [tcp::Exchange; TCP_OUTSIDE],
    next_connection: Cell<u32>,
    resolver: Resolver,
}

/// Look-ups of the router itself. One at a time; whoever comes second waits.
pub struct Resolver {
    questions: Channel<CriticalSectionRawMutex, (Text<127>, lookup::Kind), 1>,
    answers: Channel<CriticalSectionRawMutex, Answer, 1>,
    turn: embassy_sync::mutex::Mutex<CriticalSectionRawMutex, ()>,
}

/// What came of a look-up: the records, possibly none, or why there are none.
pub type Answer = Result<heapless::Vec<lookup::Record, { lookup::RECORDS }>, lookup::Failure>;

struct Core {
    forwarder: Forwarder,
    inside: Vec<(Zone, UdpSocket<'static>)>,
    outside: Vec<Outside>,
    random: Random,
    out: Box<[u8]>,
    datagram: Box<[u8]>,
    deadline: Option<Instant>,
    /// Questions that found no socket; told to the engine when it is drained.
    unsent: heapless::Deque<Token, UDP_OUTSIDE>,
    publish_at: Instant,
    asked_by_us: u16,
    /// What the router's own question under way is for.
    asked_kind: lookup::Kind,
}

/// A socket towards the WAN, bound while it is in use.
struct Outside {
    socket: UdpSocket<'static>,
    token: Option<Token>,
}

impl DnsService {
    /// Makes the service and its sockets. `inside` are the zones whose clients are served. Allocates once, for the
    /// lifetime of the program.
    pub fn leak(
        inside: &[ZoneNet],
        wan: ZoneNet,
        limits: Limits,
        seed: Seed,
        state: &'static RouterState,
    ) -> &'static Self {
        let mut random = Random::new(seed);
        let forwarder = Forwarder::new(limits, &Config::default(), random.derive_seed());
        let listen = |net: &ZoneNet| {
            let mut socket = net.udp_socket(INSIDE_QUEUE, INSIDE_BYTES);
            if socket.bind(PORT).is_err() {
                dialtone_base::warn!("dns: port 53 cannot be had on {}", net.zone);
            }
            (net.zone, socket)
        };
        let core = Core {
            forwarder,
            inside: inside.iter().map(listen).collect(),
            outside: (0..UDP_OUTSIDE)
                .map(|_| Outside { socket: wan.udp_socket(4, DATAGRAM), token: None })
                .collect(),
            random,
            out: vec![0; LONGEST_MESSAGE].into_boxed_slice(),
            datagram: vec![0; DATAGRAM].into_boxed_slice(),
            deadline: None,
            unsent: heapless::Deque::new(),
            publish_at: Instant::START,
            asked_by_us: 0,
            asked_kind: lookup::Kind::A,
        };
        Box::leak(Box::new(Self {
            state,
            wan,
            core: RefCell::new(core),
            connections: core::array::from_fn(|_| tcp::Connection::new()),
            exchanges: core::array::from_fn(|_| tcp::Exchange::new()),
            next_connection: Cell::new(0),
            resolver: Resolver {
                questions: Channel::new(),
                answers: Channel::new(),
                turn: Default::default(),
            },
        }))
    }

    /// The main task. Never ends.
    pub async fn run(&'static self) -> ! {
        let mut settings = self.state.watch_settings();
        let mut wan = self.state.watch_wan();
        let mut names = self.state.watch_names();
        loop {
            self.refresh();
            let deadline = self.core.borrow().wake_at();
            let mut timer = pin!(wait_until(Some(deadline)));
            let turns = poll_fn(|context| {
                let _ = timer.as_mut().poll(context);
                self.turn(context, deadline)
            });
            match select4(turns, settings.changed(), wan.changed(), names.changed()).await {
                // A new deadline wants a new timer.
                Either4::First(()) => {}
                Either4::Second(_) | Either4::Third(_) => self.reconfigure(),
                Either4::Fourth(names) => {
                    self.feed(Input::Names(&facts::names(&names)));
                }
            }
        }
    }

    /// The router's own look-ups.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Counters, fill of the tables, state of the servers.
    pub fn snapshot(&self) -> Snapshot {
        self.core.borrow().forwarder.snapshot()
    }

    /// Gives the engine one input and does what it says; whether the engine took it.
    fn feed(&self, input: Input<'_>) -> bool {
        let core = &mut *self.core.borrow_mut();
        core.handle(self, now(), input)
    }

    fn reconfigure(&self) {
        let Some(settings) = self.state.current_settings() else { return };
        let wan = self.state.current_wan();
        let core = &mut *self.core.borrow_mut();
        let now = now();
        let config = facts::config(&settings);
        core.handle(self, now, Input::Configure(&config));
        let servers = facts::upstreams(&settings, &wan);
        core.handle(self, now, Input::Upstreams(&servers));
    }

    fn refresh(&self) {
        let core = &mut *self.core.borrow_mut();
        let now = now();
        if now < core.publish_at {
            return;
        }
        core.publish_at = now + PUBLISH_EVERY;
        let snapshot = core.forwarder.snapshot();
        critical_section::with(|token| self.state.dns.borrow_ref_mut(token).replace(snapshot));
    }

    /// Moves what there is; ready when the timer has to be set anew.
    fn turn(&self, context: &mut Context<'_>, timer: Instant) -> Poll<()> {
        let core = &mut *self.core.borrow_mut();
        let now = now();
        if now >= timer {
            core.drain(self, now);
            return Poll::Ready(());
        }
        let mut left = BATCH;
        core.take_inside(self, now, context, &mut left);
        // Before the sockets outside are polled: one that was bound just now must know whom to wake.
        while let Poll::Ready((name, kind)) = self.resolver.questions.poll_receive(context) {
            core.ask_ourselves(self, now, &name, kind);
        }
        core.take_outside(self, now, context, &mut left);
        if left == 0 {
            // The stacks send what is queued, then it is our turn again.
            context.waker().wake_by_ref();
        }
        if core.wake_at() < timer { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Resolver {
    /// The IPv4 addresses of `name`; an address in text is its own. None when there are none, or nobody answers.
    pub async fn resolve(&self, name: &str) -> heapless::Vec<Ipv4Addr, { lookup::ADDRESSES }> {
        if let Ok(address) = name.parse() {
            return heapless::Vec::from_iter([address]);
        }
        let records = self.look_up(name, lookup::Kind::A).await.unwrap_or_default();
        let address = |record: &lookup::Record| match record.data {
            lookup::Data::A(address) => Some(address),
            _ => None,
        };
        records.iter().filter_map(address).take(lookup::ADDRESSES).collect()
    }

    /// The records of one kind of `name`.
    ///
    /// # Errors
    /// See [`lookup::Failure`]; silence of the servers counts as no answer.
    pub async fn look_up(&self, name: &str, kind: lookup::Kind) -> Answer {
        let _turn = self.turn.lock().await;
        // An answer to somebody who gave up waiting is not ours.
        let _ = self.answers.try_receive();
        self.questions.send((Text::from(name), kind)).await;
        self.answers.receive().await
    }
}

impl Core {
    fn wake_at(&self) -> Instant {
        self.deadline.map_or(self.publish_at, |deadline| deadline.min(self.publish_at))
    }

    fn handle(&mut self, service: &DnsService, now: Instant, input: Input<'_>) -> bool {
        // A refusal is counted by the engine, and answered where an answer is due.
        let taken = self.forwarder.handle(now, input).is_ok();
        self.drain(service, now);
        taken
    }

    fn drain(&mut self, service: &DnsService, now: Instant) {
        loop {
            match self.forwarder.poll(now, &mut self.out) {
                Output::Reply { client, length } => self.reply(service, &client, length),
                Output::Ask { token, server, tcp, length } => self.ask(service, token, server, tcp, length),
                Output::Release { token } => self.release(service, token),
                Output::Event(event) => service.state.note(event),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    let Some(token) = self.unsent.pop_front() else { return };
                    let _ = self.forwarder.handle(now, Input::Failed { token, fault: Fault::Ours });
                }
            }
        }
    }

    fn reply(&mut self, service: &DnsService, client: &Client, length: usize) {
        let message = self.out.get(..length).unwrap_or_default();
        if client.address == OURSELVES {
            let _ = service.resolver.answers.try_send(lookup::records(message, self.asked_kind));
            return;
        }
        match client.transport {
            Transport::Tcp(number) => tcp::give(&service.connections, number, message),
            Transport::Udp => {
                let socket = self.inside.iter().find(|(zone, _)| *zone == client.zone);
                if let Some((_, socket)) = socket {
                    send_now(socket, message, client.address);
                }
            }
        }
    }

    fn ask(&mut self, service: &DnsService, token: Token, server: SocketAddrV4, tcp: bool, length: usize) {
        let message = self.out.get(..length).unwrap_or_default();
        let sent = match tcp {
            true => tcp::start(&service.exchanges, token, server, message),
            false => self.ask_by_udp(token, server, length),
        };
        if !sent {
            // One that finds no room here waits for its timeout.
            let _ = self.unsent.push_back(token);
        }
    }

    /// Sends from a socket bound to a port chosen at random (RFC 5452 section 9.2).
    fn ask_by_udp(&mut self, token: Token, server: SocketAddrV4, length: usize) -> bool {
        let message = self.out.get(..length).unwrap_or_default();
        for _ in 0..4 {
            let port = FIRST_PORT + self.random.below((u16::MAX - FIRST_PORT) as u32 + 1) as u16;
            let used = |outside: &Outside| outside.token.is_some() && outside.socket.endpoint().port == port;
            if self.outside.iter().any(used) {
                continue;
            }
            let Some(free) = self.outside.iter_mut().find(|outside| outside.token.is_none()) else {
                return false;
            };
            if free.socket.bind(port).is_err() {
                continue;
            }
            if send_now(&free.socket, message, server) {
                free.token = Some(token);
                return true;
            }
            free.socket.close();
            return false;
        }
        false
    }

    fn release(&mut self, service: &DnsService, token: Token) {
        match self.outside.iter_mut().find(|outside| outside.token == Some(token)) {
            Some(outside) => {
                outside.token = None;
                outside.socket.close();
            }
            None => tcp::stop(&service.exchanges, token),
        }
    }

    fn take_inside(
        &mut self,
        service: &DnsService,
        now: Instant,
        context: &mut Context<'_>,
        left: &mut usize,
    ) {
        for index in 0..self.inside.len() {
            while *left > 0 {
                let Some((zone, socket)) = self.inside.get(index) else { break };
                let Poll::Ready(received) = socket.poll_recv_from(&mut self.datagram, context) else { break };
                *left -= 1;
                let zone = *zone;
                let Ok((length, meta)) = received else { continue };
                let Some(address) = v4(meta.endpoint) else { continue };
                let client = Client { zone, address, transport: Transport::Udp };
                let bytes = self.datagram.get(..length).unwrap_or_default();
                let _ = self.forwarder.handle(now, Input::Query { client, bytes });
                self.drain(service, now);
            }
        }
    }

    fn take_outside(
        &mut self,
        service: &DnsService,
        now: Instant,
        context: &mut Context<'_>,
        left: &mut usize,
    ) {
        for index in 0..self.outside.len() {
            while *left > 0 {
                let Some(outside) = self.outside.get(index) else { break };
                let Some(token) = outside.token else { break };
                let received = outside.socket.poll_recv_from(&mut self.datagram, context);
                let Poll::Ready(received) = received else { break };
                *left -= 1;
                let Ok((length, meta)) = received else { continue };
                let Some(from) = v4(meta.endpoint) else { continue };
                let bytes = self.datagram.get(..length).unwrap_or_default();
                let _ = self.forwarder.handle(now, Input::Answer { token, from, bytes });
                self.drain(service, now);
            }
        }
    }

    fn ask_ourselves(&mut self, service: &DnsService, now: Instant, name: &str, kind: lookup::Kind) {
        let mut question = [0; 300];
        self.asked_by_us = self.asked_by_us.wrapping_add(1);
        self.asked_kind = kind;
        match lookup::write_question_for(name, kind, self.asked_by_us, &mut question) {
            Some(length) => {
                let client = Client { zone: Zone::Lan, address: OURSELVES, transport: Transport::Udp };
                let bytes = question.get(..length).unwrap_or_default();
                self.handle(service, now, Input::Query { client, bytes });
            }
            None => {
                let _ = service.resolver.answers.try_send(Err(lookup::Failure::NotAName));
            }
        }
    }
}

fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

// With IPv6 sockets this gets a second arm.
#[allow(clippy::unnecessary_wraps)]
fn v4(endpoint: IpEndpoint) -> Option<SocketAddrV4> {
    let IpAddress::Ipv4(address) = endpoint.addr;
    Some(SocketAddrV4::new(address, endpoint.port))
}
