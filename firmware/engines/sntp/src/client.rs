//! The engine: which server to ask when, which answers to believe.

use core::net::SocketAddrV4;

use dialtone_base::counter::Counters;
use dialtone_base::event::Event;
use dialtone_base::time::UnixTime;
use dialtone_base::{Duration, Instant, Random, Seed, counted_reasons};
use heapless::{Deque, Vec};

use crate::packet::{Answer, Timestamp, write_question};

/// Servers kept.
pub const SERVERS: usize = 4;
/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// First pause after an answer, doubled up to [`LONGEST_POLL`].
const FIRST_POLL: Duration = Duration::from_secs(64);
const LONGEST_POLL: Duration = Duration::from_secs(4096);
/// First pause after a round in which nobody answered, doubled up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(4);
const LONGEST_RETRY: Duration = Duration::from_secs(1024);
/// A clock that is wrong by more than this is set with an event.
const STEP: i64 = 1_000_000;
/// A set clock that would jump by more than this wants a second opinion (RFC 5905's panic threshold).
const PANIC: i64 = 1_000_000_000;
/// How near the second opinion must be.
const AGREEMENT: i64 = 10_000_000;
/// RFC 5905 MAXDISP: a server this far from the truth tells nothing; 16.16 seconds.
const LONGEST_ROOT: u32 = 16 << 16;

/// What the client is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The servers to ask, best first; none while the WAN is down. Forgets kisses of death.
    Servers(&'a [SocketAddrV4]),
    /// A datagram that came to our socket.
    Answer {
        /// Where from.
        from: SocketAddrV4,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The question could not be sent.
    Failed,
}

/// What the service is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `length` bytes of the buffer to a server, from a random port.
    Ask {
        /// Where to.
        server: SocketAddrV4,
        /// Bytes.
        length: usize,
    },
    /// The clock is known anew.
    Clock(Fix),
    /// The clock was set or stepped.
    Event(Event),
    /// Nothing until then, or until the next input.
    Wait(Option<Instant>),
}

/// A reading of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix {
    /// At this instant …
    pub at: Instant,
    /// … it was this many microseconds since 1970.
    pub unix_micros: u64,
    /// How far the clock was off before, microseconds; 0 for the first fix. Positive: it was slow.
    pub offset_micros: i64,
    /// Round trip; half of it is the most the fix can be wrong by.
    pub round_trip: Duration,
    /// The server's distance from a reference clock, 1 to 15.
    pub stratum: u8,
}

impl Fix {
    /// Whole seconds since 1970.
    pub fn unix(&self) -> UnixTime {
        UnixTime(self.unix_micros / 1_000_000)
    }

    fn at(&self, now: Instant) -> u64 {
        self.unix_micros + now.since(self.at).as_micros()
    }
}

counted_reasons! {
    /// Why an input was refused. After all but the first three the next server is asked.
    pub enum Rejected {
        /// State: no question is under way.
        NotAsked = "not-asked",
        /// Peer: from another address or port than the question went to.
        WrongServer = "wrong-server",
        /// Peer: it does not carry our random originate timestamp (RFC 4330 section 5), too short ones included.
        WrongOriginate = "wrong-originate",
        /// Peer: no server's answer of version 3 or 4.
        WrongMode = "wrong-mode",
        /// Peer: its own clock is not set, or too far from the truth.
        Unsynchronised = "unsynchronised",
        /// Peer: DENY or RSTR: it is not asked again (RFC 5905 section 7.4).
        KissDeny = "kiss-deny",
        /// Peer: RATE: it is asked half as often.
        KissRate = "kiss-rate",
        /// Peer: its times contradict each other or ours, or lie before this firmware was made.
        Implausible = "implausible",
        /// Peer: a jump that no second answer has confirmed yet.
        Unconfirmed = "unconfirmed",
        /// Our limit: more servers than the table holds.
        TooMany = "too-many",
        /// State: sending failed.
        NotSent = "not-sent",
        /// Peer: no answer in time.
        Silent = "silent",
    }
}

/// Counters and state.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Questions sent.
    pub asked: u64,
    /// Answers believed.
    pub fixes: u64,
    /// Everything refused.
    pub rejected: Counters<Rejected, { Rejected::COUNT }>,
    /// The latest fix.
    pub fix: Option<Fix>,
}

#[derive(Clone, Copy)]
struct Server {
    address: SocketAddrV4,
    denied: bool,
    not_before: Instant,
    pause: Duration,
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing to do until then; `None` without servers.
    Waiting(Option<Instant>),
    /// A question is to be sent.
    Due,
    /// A question is under way.
    Asked { nonce: Timestamp, sent: Instant },
}

/// An SNTP client.
pub struct SntpClient {
    random: Random,
    not_before: UnixTime,
    servers: Vec<Server, SERVERS>,
    current: usize,
    tried: usize,
    state: State,
    poll: Duration,
    retry: Duration,
    fix: Option<Fix>,
    suspect: Option<Fix>,
    out: Deque<Output, 4>,
    asked: u64,
    fixes: u64,
    rejected: Counters<Rejected, { Rejected::COUNT }>,
}

impl SntpClient {
    /// A client that believes no time before `not_before`, e.g. when the firmware was built.
    pub fn new(not_before: UnixTime, seed: Seed) -> Self {
        Self {
            random: Random::new(seed),
            not_before,
            servers: Vec::new(),
            current: 0,
            tried: 0,
            state: State::Waiting(None),
            poll: FIRST_POLL,
            retry: FIRST_RETRY,
            fix: None,
            suspect: None,
            out: Deque::new(),
            asked: 0,
            fixes: 0,
            rejected: Counters::new(),
        }
    }

    /// Takes one input. Afterwards [`SntpClient::poll`] until it says wait.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = match input {
            Input::Servers(servers) => self.set_servers(now, servers),
            Input::Answer { from, bytes } => self.answer(now, from, bytes),
            Input::Failed => match self.state {
                State::Asked { .. } => Err(Rejected::NotSent),
                _ => Err(Rejected::NotAsked),
            },
        };
        if let Err(rejected) = result {
            self.rejected.count(rejected);
            match rejected {
                // Somebody else's noise: the true answer may still come.
                Rejected::NotAsked | Rejected::WrongServer | Rejected::WrongOriginate | Rejected::TooMany => {
                }
                _ => self.next_server(now),
            }
        }
        result
    }

    /// The next thing to do. `out` must hold [`crate::PACKET`] bytes.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        loop {
            if let Some(output) = self.out.pop_front() {
                return output;
            }
            match self.state {
                State::Waiting(Some(at)) if now >= at => self.state = State::Due,
                State::Waiting(at) => return Output::Wait(at),
                State::Asked { sent, .. } if now >= sent + PATIENCE => {
                    self.rejected.count(Rejected::Silent);
                    self.next_server(now);
                }
                State::Asked { sent, .. } => return Output::Wait(Some(sent + PATIENCE)),
                State::Due => {
                    let Some(server) = self.choose(now) else { continue };
                    let nonce = Timestamp(self.random.next_u64());
                    let Some(length) = write_question(out, nonce) else { return Output::Wait(None) };
                    self.state = State::Asked { nonce, sent: now };
                    self.asked += 1;
                    return Output::Ask { server, length };
                }
            }
        }
    }

    /// Counters and state.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { asked: self.asked, fixes: self.fixes, rejected: self.rejected.clone(), fix: self.fix }
    }

    fn set_servers(&mut self, now: Instant, servers: &[SocketAddrV4]) -> Result<(), Rejected> {
        let same = self.servers.len() == servers.len()
            && self.servers.iter().zip(servers).all(|(server, address)| server.address == *address);
        if same {
            return Ok(());
        }
        self.servers.clear();
        for &address in servers {
            let server = Server { address, denied: false, not_before: Instant::START, pause: FIRST_POLL };
            if self.servers.push(server).is_err() {
                break;
            }
        }
        self.current = 0;
        self.tried = 0;
        self.retry = FIRST_RETRY;
        self.state = match self.servers.is_empty() {
            true => State::Waiting(None),
            false => State::Waiting(Some(now)),
        };
        if servers.len() > SERVERS { Err(Rejected::TooMany) } else { Ok(()) }
    }

    /// The server whose turn it is; without one, the state goes to waiting.
    fn choose(&mut self, now: Instant) -> Option<SocketAddrV4> {
        for _ in 0..self.servers.len() {
            self.current %= self.servers.len();
            match self.servers.get(self.current) {
                Some(server) if !server.denied && now >= server.not_before => return Some(server.address),
                _ => {
                    self.current += 1;
                    self.tried += 1;
                }
            }
        }
        self.pause(now);
        None
    }

    /// This one was of no use: the next at once, or a pause when all were tried.
    fn next_server(&mut self, now: Instant) {
        self.current += 1;
        self.tried += 1;
        if self.tried < self.servers.len() {
            self.state = State::Due;
        } else {
            self.pause(now);
        }
    }

    fn pause(&mut self, now: Instant) {
        self.tried = 0;
        let usable = self.servers.iter().filter(|server| !server.denied);
        let Some(earliest) = usable.map(|server| server.not_before).min() else {
            // Nobody wants to be asked: until somebody names other servers.
            self.state = State::Waiting(None);
            return;
        };
        // Some jitter, so that a street whose power came back does not ask as one.
        let jitter = Duration::from_micros(self.random.below(self.retry.as_micros() as u32 / 4) as u64);
        self.state = State::Waiting(Some((now + self.retry + jitter).max(earliest)));
        self.retry = (self.retry + self.retry).min(LONGEST_RETRY);
    }

    fn answer(&mut self, now: Instant, from: SocketAddrV4, bytes: &[u8]) -> Result<(), Rejected> {
        let State::Asked { nonce, sent } = self.state else { return Err(Rejected::NotAsked) };
        let Some(server) = self.servers.get_mut(self.current) else { return Err(Rejected::NotAsked) };
        if from != server.address {
            return Err(Rejected::WrongServer);
        }
        let Some(answer) = Answer::parse(bytes).filter(|answer| answer.originate == nonce) else {
            return Err(Rejected::WrongOriginate);
        };
        if answer.mode != 4 || !(3..=4).contains(&answer.version) {
            return Err(Rejected::WrongMode);
        }
        if answer.stratum == 0 {
            return Err(kissed(server, now, answer.reference));
        }
        let far = answer.root_delay > LONGEST_ROOT || answer.root_dispersion > LONGEST_ROOT;
        if answer.leap == 3 || answer.stratum > 15 || far || answer.transmit.0 == 0 {
            return Err(Rejected::Unsynchronised);
        }
        let elapsed = now.since(sent);
        let held = answer.transmit.since(answer.receive).ok_or(Rejected::Implausible)?;
        // A server that claims to have thought longer than we waited is wrong; a millisecond is its clock's grain.
        if held > elapsed + Duration::from_millis(1) {
            return Err(Rejected::Implausible);
        }
        let round_trip = elapsed - held;
        let unix_micros = answer.transmit.unix_micros() + round_trip.as_micros() / 2;
        if unix_micros / 1_000_000 < self.not_before.0 {
            return Err(Rejected::Implausible);
        }
        let fix = Fix { at: now, unix_micros, offset_micros: 0, round_trip, stratum: answer.stratum };
        self.believe(now, fix)
    }

    fn believe(&mut self, now: Instant, mut fix: Fix) -> Result<(), Rejected> {
        if let Some(known) = self.fix {
            fix.offset_micros = fix.unix_micros as i64 - known.at(now) as i64;
            let confirmed =
                |suspect: Fix| (fix.unix_micros as i64).abs_diff(suspect.at(now) as i64) <= AGREEMENT as u64;
            if fix.offset_micros.abs() > PANIC && !self.suspect.is_some_and(confirmed) {
                self.suspect = Some(fix);
                return Err(Rejected::Unconfirmed);
            }
        }
        self.suspect = None;
        let stepped = self.fix.is_none() || fix.offset_micros.abs() > STEP;
        self.fix = Some(fix);
        self.fixes += 1;
        self.tried = 0;
        self.retry = FIRST_RETRY;
        // A step begins anew; a clock that keeps time is asked about less and less.
        let pause = if stepped { FIRST_POLL } else { self.poll };
        self.poll = (pause + pause).min(LONGEST_POLL);
        let earliest = self.servers.get(self.current).map_or(now, |server| server.not_before);
        self.state = State::Waiting(Some((now + pause).max(earliest)));
        // Room for both: everything was taken before this input, or the older ones give way.
        if self.out.len() > 2 {
            self.out.clear();
        }
        let _ = self.out.push_back(Output::Clock(fix));
        if stepped {
            let _ = self.out.push_back(Output::Event(Event::TimeSet { unix: fix.unix().0 }));
        }
        Ok(())
    }
}

/// RFC 5905 section 7.4: stratum 0 carries a code instead of a reference.
fn kissed(server: &mut Server, now: Instant, code: [u8; 4]) -> Rejected {
    match &code {
        b"DENY" | b"RSTR" => {
            server.denied = true;
            Rejected::KissDeny
        }
        b"RATE" => {
            server.pause = (server.pause + server.pause).min(LONGEST_POLL);
            server.not_before = now + server.pause;
            Rejected::KissRate
        }
        _ => Rejected::Unsynchronised,
    }
}
