//! Which name server to ask next: the quickest that is alive and not yet tried.
//!
//! Round trips are smoothed as RFC 6298 section 2 does. Three questions in a row without any answer make a
//! server dead; it is then probed with doubling pauses until it answers.

use core::net::SocketAddrV4;

use dialtone_base::{Duration, Instant, Random};
use heapless::Vec;

/// Name servers kept; a WAN lease gives two or three.
pub const UPSTREAMS: usize = 4;
/// Unanswered questions in a row that make a server dead.
const DEATH: u8 = 3;
/// Assumed round trip of a server not asked yet: worse than most, so that an answer improves it.
const FIRST_GUESS: u64 = 50_000;
/// One in so many first questions goes to another server than the quickest, to keep the figures true.
const EXPLORE: u32 = 32;
const FIRST_PROBE: Duration = Duration::from_secs(2);
const LAST_PROBE: Duration = Duration::from_secs(64);

/// A name server and what is known about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstream {
    pub address: SocketAddrV4,
    /// Smoothed round trip, microseconds.
    pub round_trip: u64,
    pub dead: bool,
    failures: u8,
    last_answer: Option<Instant>,
    probe_at: Instant,
    probe_pause: Duration,
}

/// All name servers of the WAN.
#[derive(Default)]
pub(crate) struct Upstreams {
    servers: Vec<Upstream, UPSTREAMS>,
}

impl Upstreams {
    /// Takes over a new list; figures of servers that stay are kept. How many did not fit.
    pub fn set(&mut self, servers: &[SocketAddrV4]) -> usize {
        let old = self.servers.clone();
        self.servers.clear();
        let mut refused = 0;
        for &address in servers {
            if self.servers.iter().any(|server| server.address == address) {
                continue;
            }
            let known = old.iter().find(|server| server.address == address).copied();
            let fresh = Upstream {
                address,
                round_trip: FIRST_GUESS,
                dead: false,
                failures: 0,
                last_answer: None,
                probe_at: Instant::START,
                probe_pause: FIRST_PROBE,
            };
            if self.servers.push(known.unwrap_or(fresh)).is_err() {
                refused += 1;
            }
        }
        refused
    }

    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    pub fn len(&self) -> usize {
        self.servers.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Upstream> {
        self.servers.iter()
    }

    pub fn all_dead(&self) -> bool {
        self.servers.iter().all(|server| server.dead)
    }

    /// The server for the next attempt of a question that already went to `tried`.
    pub fn choose(&self, tried: &[SocketAddrV4], random: &mut Random) -> Option<SocketAddrV4> {
        let untried = |server: &&Upstream| !tried.contains(&server.address);
        let alive = |server: &&Upstream| !server.dead;
        let quickest = |server: &&Upstream| server.round_trip;
        if tried.is_empty() && self.servers.len() > 1 && random.below(EXPLORE) == 0 {
            let any = random.below(self.servers.len() as u32) as usize;
            if let Some(server) = self.servers.get(any).filter(|server| !server.dead) {
                return Some(server.address);
            }
        }
        let list = || self.servers.iter();
        list()
            .filter(untried)
            .filter(alive)
            .min_by_key(quickest)
            .or_else(|| list().filter(alive).min_by_key(quickest))
            .or_else(|| list().filter(untried).min_by_key(quickest))
            .or_else(|| list().min_by_key(quickest))
            .map(|server| server.address)
    }

    /// Whether a live server is left that `tried` does not name.
    pub fn has_untried(&self, tried: &[SocketAddrV4]) -> bool {
        self.servers.iter().any(|server| !server.dead && !tried.contains(&server.address))
    }

    /// The server answered a question sent at `sent`. `true` when it was dead until now.
    pub fn answered(&mut self, now: Instant, address: SocketAddrV4, sent: Instant) -> bool {
        let Some(server) = self.find(address) else { return false };
        let sample = now.since(sent).as_micros();
        server.round_trip = match server.last_answer {
            None => sample,
            Some(_) => (server.round_trip * 7 + sample) / 8,
        };
        server.last_answer = Some(now);
        server.failures = 0;
        core::mem::take(&mut server.dead)
    }

    /// A question sent at `sent` got no answer in time. `true` when that makes the server dead.
    pub fn timed_out(&mut self, now: Instant, address: SocketAddrV4, sent: Instant) -> bool {
        let Some(server) = self.find(address) else { return false };
        // A server that answered others meanwhile lives; it is the name that is slow.
        if server.last_answer.is_some_and(|answer| answer > sent) {
            return false;
        }
        server.round_trip = (server.round_trip * 2).min(2_000_000);
        server.failures = server.failures.saturating_add(1);
        if server.failures < DEATH || server.dead {
            return false;
        }
        server.dead = true;
        server.probe_pause = FIRST_PROBE;
        server.probe_at = now + FIRST_PROBE;
        true
    }

    /// A dead server whose probe is due; its next one is set.
    pub fn probe_due(&mut self, now: Instant) -> Option<SocketAddrV4> {
        let server = self.servers.iter_mut().find(|server| server.dead && now >= server.probe_at)?;
        server.probe_pause = (server.probe_pause + server.probe_pause).min(LAST_PROBE);
        server.probe_at = now + server.probe_pause;
        Some(server.address)
    }

    /// When the next probe is due.
    pub fn next_probe(&self) -> Option<Instant> {
        self.servers.iter().filter(|server| server.dead).map(|server| server.probe_at).min()
    }

    fn find(&mut self, address: SocketAddrV4) -> Option<&mut Upstream> {
        self.servers.iter_mut().find(|server| server.address == address)
    }
}
