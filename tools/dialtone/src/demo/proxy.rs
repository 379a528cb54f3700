//! Proxies on 127.0.0.1 whose connections start at the simulated laptop.
//!
//! HTTP (`CONNECT`, and absolute URIs as RFC 9112, section 3.2.2 has them), SOCKS5 without authentication (RFC 1928,
//! `CONNECT` only), and plain forwarding for the status page. Names are looked up by the laptop at the router, so they show
//! up there as any device's do. Every connection is one entry in a bounded list, pumped by one task.

mod request;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::task::Context;

use dialtone_base::{Duration, Instant};
use dialtone_hal_linux::executor::{Reactor, Watch};
use dialtone_netsim::dns_message::Answer;
use dialtone_netsim::host::QuestionId;
use dialtone_netsim::{Host, SocketHandle, tcp};

use super::stream::{HostStream, Pumped};
use request::{Destination, Parsed, Target};

/// Connections at the same time; more wait in the system's queue.
const CONNECTIONS: usize = 512;
/// Until a name must be known, with a repetition every [`ASK_AGAIN`].
const NAME_LIMIT: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Until a name is asked for again that the router could not look up yet.
const ASK_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Until a client must have said what it wants, and a far end must have answered.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// Bytes a client may say before it is understood.
const HEAD: usize = 16 * 1024;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP proxy.
    Http,
    /// SOCKS5 proxy.
    Socks,
    /// Everything goes to the router's own page.
    RouterPage,
}

/// All listeners and their connections.
pub struct Proxies {
    listeners: Vec<Listener>,
    connections: Vec<Connection>,
    reactor: Reactor,
    /// What happened so far.
    pub totals: Totals,
    /// Which name an address was looked up under, for people.
    pub names: HashMap<Ipv4Addr, String>,
}

/// What went through the proxies; the status page is not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Connections accepted.
    pub accepted: u64,
    /// Those that came to nothing.
    pub failed: u64,
    /// Bytes out of the home.
    pub up: u64,
    /// Bytes into the home.
    pub down: u64,
}

struct Listener {
    watch: Watch,
    listener: TcpListener,
    protocol: Protocol,
}

struct Connection {
    stream: HostStream,
    protocol: Protocol,
    since: Instant,
    stage: Stage,
}

enum Stage {
    /// The client says what it wants.
    Asking {
        head: Vec<u8>,
        greeted: bool,
    },
    /// The laptop asks the router for the name.
    Resolving {
        target: Target,
        question: Option<QuestionId>,
        asked: Instant,
    },
    /// The laptop's SYN is out.
    Connecting {
        target: Target,
        socket: SocketHandle,
    },
    /// Bytes for one side before pumping starts.
    Answering {
        to_client: Vec<u8>,
        to_server: Vec<u8>,
        socket: SocketHandle,
    },
    Pumping {
        socket: SocketHandle,
    },
    /// Nothing but last words for the client.
    Refusing {
        words: Vec<u8>,
    },
    Over,
}

impl Proxies {
    /// No listeners yet.
    pub fn new(reactor: Reactor) -> Self {
        let (listeners, connections) = (Vec::new(), Vec::new());
        Self { listeners, connections, reactor, totals: Totals::default(), names: HashMap::new() }
    }

    /// Serves a listener from now on.
    ///
    /// # Errors
    /// When it cannot be made non-blocking or watched.
    pub fn serve(&mut self, listener: TcpListener, protocol: Protocol) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let watch = self.reactor.watch(&listener)?;
        self.listeners.push(Listener { watch, listener, protocol });
        Ok(())
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.connections.len()
    }

    /// Accepts, resolves, connects and pumps whatever is ready. When to come back at the latest.
    pub fn poll(&mut self, laptop: &mut Host, now: Instant, context: &mut Context<'_>) -> Option<Instant> {
        self.accept(now, context);
        let mut working = false;
        for connection in &mut self.connections {
            let stage = std::mem::replace(&mut connection.stage, Stage::Over);
            let before = std::mem::discriminant(&stage);
            let mut step = Step {
                stream: &mut connection.stream,
                protocol: connection.protocol,
                since: connection.since,
                laptop: &mut *laptop,
                names: &mut self.names,
                totals: &mut self.totals,
                now,
            };
            step.stream.refresh(context);
            connection.stage = step.advance(stage);
            let after = std::mem::discriminant(&connection.stage);
            working |= before != after;
        }
        let before = self.connections.len();
        self.connections.retain(|connection| !matches!(connection.stage, Stage::Over));
        // Room again: somebody may wait in the system's queue.
        working |= before != self.connections.len();
        let waiting = self.connections.iter().any(|one| !matches!(one.stage, Stage::Pumping { .. }));
        if working {
            Some(now)
        } else {
            // Limits are kept to a tick.
            waiting.then_some(now + Duration::from_millis(100))
        }
    }

    fn accept(&mut self, now: Instant, context: &mut Context<'_>) {
        for Listener { watch, listener, protocol } in &self.listeners {
            // Kept registered also when nobody may come in now: the end of a connection is looked at anyway.
            let _ = watch.poll_readable(context);
            while self.connections.len() < CONNECTIONS {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let Ok(stream) = HostStream::new(stream, &self.reactor) else { continue };
                        self.totals.accepted += u64::from(*protocol != Protocol::RouterPage);
                        let stage = Stage::Asking { head: Vec::new(), greeted: false };
                        self.connections.push(Connection { stream, protocol: *protocol, since: now, stage });
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// One connection's turn.
struct Step<'a> {
    stream: &'a mut HostStream,
    protocol: Protocol,
    since: Instant,
    laptop: &'a mut Host,
    names: &'a mut HashMap<Ipv4Addr, String>,
    totals: &'a mut Totals,
    now: Instant,
}

impl Step<'_> {
    fn advance(&mut self, stage: Stage) -> Stage {
        match stage {
            Stage::Asking { head, greeted } => self.ask(head, greeted),
            Stage::Resolving { target, question, asked } => self.resolve(target, question, asked),
            Stage::Connecting { target, socket } => self.connect(target, socket),
            Stage::Answering { to_client, to_server, socket } => self.answer(to_client, to_server, socket),
            Stage::Pumping { socket } => self.pump(socket),
            Stage::Refusing { words } => self.refuse(words),
            Stage::Over => Stage::Over,
        }
    }

    fn ask(&mut self, mut head: Vec<u8>, mut greeted: bool) -> Stage {
        if self.protocol == Protocol::RouterPage {
            let target =
                Target { destination: Destination::Router, port: 80, tunnel: true, for_server: Vec::new() };
            return self.resolve(target, None, Instant::START);
        }
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Stage::Over,
                Ok(count) => head.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Stage::Over,
            }
            if head.len() > HEAD {
                return Stage::Over;
            }
        }
        let parsed = match self.protocol {
            Protocol::Socks => request::socks(&mut head, greeted),
            _ => request::http(&head),
        };
        match parsed {
            Parsed::Target(target) => self.resolve(target, None, Instant::START),
            Parsed::Say(words) => {
                greeted = true;
                // A few bytes into an empty socket: they fit, or the client is gone.
                match self.stream.write(&words) {
                    Ok(count) if count == words.len() => self.ask(head, greeted),
                    _ => Stage::Over,
                }
            }
            Parsed::Refuse(words) => {
                self.totals.failed += 1;
                self.refuse(words)
            }
            Parsed::Incomplete if self.now.since(self.since) > HEAD_LIMIT => Stage::Over,
            Parsed::Incomplete => Stage::Asking { head, greeted },
        }
    }

    fn resolve(&mut self, target: Target, question: Option<QuestionId>, asked: Instant) -> Stage {
        let address = match &target.destination {
            Destination::Address(address) => Some(*address),
            Destination::Router => self.laptop.addresses().and_then(|addresses| addresses.gateway),
            // RFC 6761, section 6.3: never asked for.
            Destination::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                Some(Ipv4Addr::LOCALHOST)
            }
            Destination::Name(name) => match question.and_then(|question| self.laptop.answer(question)) {
                Some(Answer::Addresses(found)) if !found.is_empty() => {
                    if self.names.len() < NAMES {
                        self.names.insert(found[0], name.clone());
                    }
                    // Whatever the second address is good for, one is enough for a demo.
                    return self.dial(target, found[0]);
                }
                // Its way out may be seconds from coming up.
                Some(Answer::Failed | Answer::Refused) => {
                    return Stage::Resolving { target, question: None, asked: self.now };
                }
                Some(_) => return self.fail(request::Failure::NoSuchName),
                None => return self.keep_asking(target, question, asked),
            },
        };
        match address {
            // No host sends this to its router.
            Some(address) if address.is_loopback() || address.is_unspecified() => {
                self.fail(request::Failure::Refused)
            }
            // Without a lease there is no way out yet.
            Some(address) if self.laptop.address().is_some() => self.dial(target, address),
            _ if self.now.since(self.since) > NAME_LIMIT => self.fail(request::Failure::NoAnswer),
            _ => Stage::Resolving { target, question: None, asked },
        }
    }

    fn keep_asking(&mut self, target: Target, question: Option<QuestionId>, asked: Instant) -> Stage {
        if self.now.since(self.since) > NAME_LIMIT {
            if let Some(question) = question {
                self.laptop.give_up(question);
            }
            return self.fail(request::Failure::NoAnswer);
        }
        let pause = if question.is_some() { ASK_AGAIN } else { ASK_AFTER_FAILURE };
        match (&target.destination, question) {
            _ if self.now.since(asked) < pause => Stage::Resolving { target, question, asked },
            (Destination::Name(name), old) => {
                if let Some(old) = old {
                    self.laptop.give_up(old);
                }
                let question = self.laptop.ask(name);
                Stage::Resolving { target, question, asked: self.now }
            }
            _ => Stage::Resolving { target, question, asked },
        }
    }

    fn dial(&mut self, target: Target, address: Ipv4Addr) -> Stage {
        self.since = self.now;
        match self.laptop.tcp_connect(SocketAddrV4::new(address, target.port)) {
            Ok(socket) => Stage::Connecting { target, socket },
            Err(_) => self.fail(request::Failure::NoAnswer),
        }
    }

    fn connect(&mut self, target: Target, socket: SocketHandle) -> Stage {
        match self.laptop.tcp(socket).state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                if self.now.since(self.since) <= CONNECT_LIMIT {
                    return Stage::Connecting { target, socket };
                }
                self.laptop.tcp_abort(socket, self.now);
                self.fail(request::Failure::NoAnswer)
            }
            tcp::State::Closed => {
                self.laptop.tcp_abort(socket, self.now);
                self.fail(request::Failure::Refused)
            }
            _ => {
                let to_client = request::success(self.protocol, &target);
                self.answer(to_client, target.for_server, socket)
            }
        }
    }

    fn answer(&mut self, mut to_client: Vec<u8>, mut to_server: Vec<u8>, socket: SocketHandle) -> Stage {
        if !to_client.is_empty() {
            match self.stream.write(&to_client) {
                Ok(count) => drop(to_client.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.hang_up(socket),
            }
        }
        let sent = self.laptop.tcp(socket).send_slice(&to_server);
        match sent {
            Ok(count) => {
                drop(to_server.drain(..count));
                if self.protocol != Protocol::RouterPage {
                    self.totals.up += count as u64;
                }
            }
            Err(_) => return self.hang_up(socket),
        }
        if to_client.is_empty() && to_server.is_empty() {
            return self.pump(socket);
        }
        Stage::Answering { to_client, to_server, socket }
    }

    fn pump(&mut self, socket: SocketHandle) -> Stage {
        let (inward, outward) = (self.stream.inward, self.stream.outward);
        let pumped = self.stream.pump(self.laptop.tcp(socket));
        if self.protocol != Protocol::RouterPage {
            self.totals.up += self.stream.inward - inward;
            self.totals.down += self.stream.outward - outward;
        }
        match pumped {
            Pumped::Idle | Pumped::Moved => Stage::Pumping { socket },
            Pumped::Ended => {
                self.laptop.tcp_finish(socket);
                Stage::Over
            }
            Pumped::Broken => self.hang_up(socket),
        }
    }

    fn hang_up(&mut self, socket: SocketHandle) -> Stage {
        self.laptop.tcp_abort(socket, self.now);
        Stage::Over
    }

    fn fail(&mut self, failure: request::Failure) -> Stage {
        self.totals.failed += u64::from(self.protocol != Protocol::RouterPage);
        self.refuse(request::failure(self.protocol, failure))
    }

    fn refuse(&mut self, mut words: Vec<u8>) -> Stage {
        match self.stream.write(&words) {
            Ok(count) if count < words.len() => {
                words.drain(..count);
                Stage::Refusing { words }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Stage::Refusing { words },
            _ => Stage::Over,
        }
    }
}

/// Names remembered for people.
const NAMES: usize = 4096;
