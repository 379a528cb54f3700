//! DNS over TCP (RFC 7766): connections from clients, exchanges with servers; one task each.
//!
//! A connection that says nothing is closed after ten seconds, after two when every task is taken; one address may hold
//! four of them (`door.rs`). Questions of one connection are answered in order.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::SocketAddrV4;

use dialtone_base::Zone;
use dialtone_dns::{Client, Fault, Input, LONGEST_MESSAGE, Token, Transport};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, with_timeout};

use super::{DnsService, PORT, endpoint};
use crate::stack::{TcpSocket, ZoneNet};

/// Connections from clients at once, all zones together.
pub const TCP_INSIDE: usize = 8;
/// Exchanges with servers at once.
pub const TCP_OUTSIDE: usize = 4;
const IDLE: Duration = Duration::from_secs(10);
const IDLE_WHEN_FULL: Duration = Duration::from_secs(2);
/// A peer that acknowledges nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(20);
/// Longest time between a question and the engine's word on it.
const ANSWER: Duration = Duration::from_secs(12);
/// How long a client may take to read an answer, a server to take a question.
const TRANSFER: Duration = Duration::from_secs(10);
/// Bytes kept ready for a message; longer ones grow the buffer for as long as they last.
const USUAL: usize = 4096;

/// A client's connection, as the main task sees it.
pub(super) struct Connection {
    taken: Cell<bool>,
    waits_for: Cell<Option<u32>>,
    answer: RefCell<Vec<u8>>,
    answered: Signal<CriticalSectionRawMutex, ()>,
}

/// A question to a server, as the main task sees it.
pub(super) struct Exchange {
    job: Cell<Option<(Token, SocketAddrV4)>>,
    question: RefCell<Vec<u8>>,
    started: Signal<CriticalSectionRawMutex, ()>,
    stopped: Signal<CriticalSectionRawMutex, ()>,
}

/// The connection ended, or took too long.
struct Ended;

impl Connection {
    pub fn new() -> Self {
        Self {
            taken: Cell::new(false),
            waits_for: Cell::new(None),
            answer: RefCell::new(Vec::with_capacity(USUAL)),
            answered: Signal::new(),
        }
    }
}

impl Exchange {
    pub fn new() -> Self {
        Self {
            job: Cell::new(None),
            question: RefCell::new(Vec::with_capacity(USUAL)),
            started: Signal::new(),
            stopped: Signal::new(),
        }
    }
}

/// Hands an answer to the connection that waits for it; if it is gone, so is the answer.
pub(super) fn give(connections: &[Connection], number: u32, message: &[u8]) {
    let Some(connection) = connections.iter().find(|it| it.waits_for.get() == Some(number)) else { return };
    let mut answer = connection.answer.borrow_mut();
    answer.clear();
    answer.extend_from_slice(&(message.len() as u16).to_be_bytes());
    answer.extend_from_slice(message);
    connection.waits_for.set(None);
    connection.answered.signal(());
}

/// Gives a question to an exchange that has none; `false` when all have.
pub(super) fn start(exchanges: &[Exchange], token: Token, server: SocketAddrV4, message: &[u8]) -> bool {
    let Some(exchange) = exchanges.iter().find(|it| it.job.get().is_none()) else { return false };
    let mut question = exchange.question.borrow_mut();
    question.clear();
    question.extend_from_slice(&(message.len() as u16).to_be_bytes());
    question.extend_from_slice(message);
    exchange.job.set(Some((token, server)));
    exchange.stopped.reset();
    exchange.started.signal(());
    true
}

/// Nobody waits for this exchange any more.
pub(super) fn stop(exchanges: &[Exchange], token: Token) {
    if let Some(exchange) = exchanges.iter().find(|it| it.job.get().is_some_and(|job| job.0 == token)) {
        exchange.stopped.signal(());
    }
}

impl DnsService {
    /// Serves one client's connection after the other in `net`. One task per `index` below [`TCP_INSIDE`].
    pub async fn serve_tcp(&'static self, index: usize, net: ZoneNet) -> ! {
        let mut socket = TcpSocket::new(net.stack, buffer(2048), buffer(USUAL));
        let mut question = vec![0; USUAL];
        let Some(connection) = self.connections.get(index) else { core::future::pending().await };
        loop {
            let visit = net.accept(&mut socket, PORT, SILENCE).await;
            connection.taken.set(true);
            self.serve_connection(&mut socket, connection, &mut question, visit.visitor, net.zone).await;
            connection.taken.set(false);
            connection.waits_for.set(None);
            socket.close();
            let _ = with_timeout(TRANSFER, socket.flush()).await;
            socket.abort();
            let _ = socket.flush().await;
            drop(visit);
        }
    }

    async fn serve_connection(
        &'static self,
        socket: &mut TcpSocket<'static>,
        connection: &Connection,
        question: &mut [u8],
        address: SocketAddrV4,
        zone: Zone,
    ) {
        while let Ok(length) = self.read_question(socket, question).await {
            let number = self.next_connection.get().wrapping_add(1);
            self.next_connection.set(number);
            connection.waits_for.set(Some(number));
            connection.answered.reset();
            let client = Client { zone, address, transport: Transport::Tcp(number) };
            self.feed(Input::Query { client, bytes: question.get(..length).unwrap_or_default() });
            if with_timeout(ANSWER, connection.answered.wait()).await.is_err() {
                return;
            }
            let mut answer = core::mem::take(&mut *connection.answer.borrow_mut());
            let written = with_timeout(TRANSFER, write_all(socket, &answer)).await;
            answer.clear();
            answer.shrink_to(USUAL);
            connection.answer.replace(answer);
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// The next question's length; it stands in `out`. An error also when the client stays silent too long.
    async fn read_question(&self, socket: &mut TcpSocket<'static>, out: &mut [u8]) -> Result<usize, Ended> {
        let mut length = [0; 2];
        let mut silence = Duration::from_ticks(0);
        // In short waits, so that a full house is noticed; by reading, so that a client who hangs up is.
        let begun = loop {
            match with_timeout(IDLE_WHEN_FULL, socket.read(&mut length)).await {
                Ok(Ok(0) | Err(_)) => return Err(Ended),
                Ok(Ok(read)) => break read,
                Err(_) => silence += IDLE_WHEN_FULL,
            }
            let full = self.connections.iter().all(|it| it.taken.get());
            if full || silence >= IDLE {
                return Err(Ended);
            }
        };
        let rest = async {
            read_exact(socket, length.get_mut(begun..).unwrap_or_default()).await?;
            read_body(socket, length, out).await
        };
        with_timeout(IDLE_WHEN_FULL, rest).await.map_err(|_| Ended)?
    }

    /// Carries questions to servers, one after the other. One task per `index` below [`TCP_OUTSIDE`].
    pub async fn ask_tcp(&'static self, index: usize) -> ! {
        let mut socket = TcpSocket::new(self.wan.stack, buffer(USUAL), buffer(2048));
        let mut answer = vec![0; LONGEST_MESSAGE];
        let Some(exchange) = self.exchanges.get(index) else { core::future::pending().await };
        loop {
            exchange.started.wait().await;
            let Some((token, server)) = exchange.job.get() else { continue };
            let question = core::mem::take(&mut *exchange.question.borrow_mut());
            let talk = talk(&mut socket, server, &question, &mut answer);
            let outcome = select(with_timeout(TRANSFER, talk), exchange.stopped.wait()).await;
            socket.abort();
            let _ = socket.flush().await;
            exchange.question.replace(question);
            // Free before the engine is told: its next step may be another question.
            exchange.job.set(None);
            match outcome {
                Either::First(Ok(Ok(length))) => {
                    let bytes = answer.get(..length).unwrap_or_default();
                    if !self.feed(Input::Answer { token, from: server, bytes }) {
                        // Refused, it stays open in the engine, and no second answer will come.
                        self.feed(Input::Failed { token, fault: Fault::Theirs });
                    }
                }
                Either::First(_) => {
                    self.feed(Input::Failed { token, fault: Fault::Theirs });
                }
                Either::Second(()) => {}
            }
        }
    }
}

async fn talk(
    socket: &mut TcpSocket<'static>,
    server: SocketAddrV4,
    question: &[u8],
    answer: &mut [u8],
) -> Result<usize, Ended> {
    socket.connect(endpoint(server)).await.map_err(|_| Ended)?;
    write_all(socket, question).await?;
    read_message(socket, answer).await
}

async fn write_all(socket: &mut TcpSocket<'static>, bytes: &[u8]) -> Result<(), Ended> {
    let mut left = bytes;
    while !left.is_empty() {
        let written = socket.write(left).await.map_err(|_| Ended)?;
        left = left.get(written..).unwrap_or_default();
        if written == 0 {
            return Err(Ended);
        }
    }
    Ok(())
}

/// Reads a message with its length in front (RFC 1035 section 4.2.2). One that is longer than `out` ends the connection.
async fn read_message(socket: &mut TcpSocket<'static>, out: &mut [u8]) -> Result<usize, Ended> {
    let mut length = [0; 2];
    read_exact(socket, &mut length).await?;
    read_body(socket, length, out).await
}

async fn read_body(socket: &mut TcpSocket<'static>, length: [u8; 2], out: &mut [u8]) -> Result<usize, Ended> {
    let length = usize::from(u16::from_be_bytes(length));
    read_exact(socket, out.get_mut(..length).ok_or(Ended)?).await?;
    Ok(length)
}

async fn read_exact(socket: &mut TcpSocket<'static>, out: &mut [u8]) -> Result<(), Ended> {
    let mut at = 0;
    while at < out.len() {
        match socket.read(out.get_mut(at..).unwrap_or_default()).await {
            Ok(0) | Err(_) => return Err(Ended),
            Ok(read) => at += read,
        }
    }
    Ok(())
}

fn buffer(bytes: usize) -> &'static mut [u8] {
    Box::leak(vec![0; bytes].into_boxed_slice())
}
