//! The server: one value per zone, the same address for the same client.
//!
//! RFC 2131 section 4.3 (server behaviour), RFC 2132, RFC 6842 (client id echoed), RFC 3046 (relay information
//! echoed), RFC 8910 (captive portal URI). A client is its client id, without one its MAC address. Before an address
//! is offered to somebody new the owner is asked to probe it ([`ServerEvent::Probe`]); other clients do not wait for
//! that. Who is evicted when the pool is full: ended leases, the longest unused first, then unconfirmed offers older
//! than two seconds (half a second when the newcomer has been trying for a while), then old quarantines; a running lease never is.
//!
//! ```text
//!            DISCOVER            probe silent / not needed        REQUEST
//!   Free ───────────────▶ Probing ─────────────────▶ Offered ───────────────▶ Bound ──┐
//!    ▲                      │ answered                  │ 15 s, or another server      │ DECLINE
//!    │                      ▼                           ▼                              ▼
//!    └──────────────── Quarantined ◀───────────────── Free ◀── RELEASE, expiry    Quarantined
//! ```
//!
//! Does not: hand out infinite leases, serve networks behind relays other than its own, take BOOTP clients.

mod config;
mod pool;
mod reply;
mod request;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, MacAddress, Zone, counted_reasons};
use heapless::{Deque, Vec};
use serde::{Deserialize, Serialize};

use crate::message::{Malformed, Message, MessageType};
pub use config::{BadConfig, Reservation, ServerConfig};
use pool::{Pool, State};
use reply::Reply;
use request::Request;
pub use request::{CLIENT_ID, ClientKey};

/// Discovers whose address is being probed at once; beyond that, offers go out unprobed.
const PROBES: usize = 32;
/// How long the owner has to answer a probe.
const PROBE_TIME: Duration = Duration::from_millis(400);
/// An address found silent is not probed again for this long.
const PROBE_VALID: Duration = Duration::from_secs(30);
/// How long an unconfirmed offer holds its address.
const OFFER_TIME: Duration = Duration::from_secs(15);
/// How long a declined or answering address is left alone.
const QUARANTINE: Duration = Duration::from_secs(600);

counted_reasons! {
    /// Why a message got no answer, or not the one hoped for.
    pub enum Rejected {
        /// Peer: not a DHCP message, or an option is broken.
        Malformed = "malformed",
        /// Peer: a server's message at the server's port.
        NotForServer = "not-for-server",
        /// Peer: the client id is longer than we keep (64 bytes), or empty.
        BadClientId = "bad-client-id",
        /// Peer: it talks to another server; our offer to it, if any, is free again.
        OtherServer = "other-server",
        /// Peer: came through a relay on a network that is not ours.
        ForeignRelay = "foreign-relay",
        /// Peer: an address that is not on this network; answered with NAK where RFC 2131 asks for it.
        WrongNetwork = "wrong-network",
        /// Peer: the address belongs to somebody else, or this client has another one; answered with NAK.
        NotYours = "not-yours",
        /// Peer: a lease we know nothing of, and the server is not authoritative: silence.
        UnknownLease = "unknown-lease",
        /// Peer: a RELEASE or DECLINE for an address it does not hold.
        NotHeld = "not-held",
        /// Peer: a needed option or field is missing.
        Incomplete = "incomplete",
        /// Our limit: every address is leased or quarantined.
        PoolFull = "pool-full",
        /// Our limit: an address was offered unprobed, for too many probes are under way.
        Unprobed = "unprobed",
        /// Wrong state: the owner handed in an input before draining the last one's output.
        NotDrained = "not-drained",
        /// The owner's buffer is too small for any message.
        BufferTooSmall = "buffer-too-small",
    }
}

/// What the server is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A UDP payload that arrived at port 67.
    Packet(&'a [u8]),
    /// A station answered the probe for `address`.
    ProbeAnswered {
        /// The address in use.
        address: Ipv4Addr,
        /// Who answered.
        mac: MacAddress,
    },
}

/// What the server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `length` bytes of the buffer from port 67.
    Transmit {
        /// Bytes used.
        length: usize,
        /// Whereto.
        to: Destination,
    },
    /// Something the owner acts on or writes down.
    Event(ServerEvent),
    /// Nothing to do before that moment, or before the next input.
    Wait(Option<Instant>),
}

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To 255.255.255.255 port 68 and every station.
    Broadcast,
    /// To one station, which need not answer ARP for the address yet; port 68.
    Station {
        /// Ethernet destination.
        mac: MacAddress,
        /// IP destination.
        address: Ipv4Addr,
    },
    /// To a relay's port 67.
    Relay(Ipv4Addr),
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// RELEASE.
    Released,
    /// Its time ran out.
    Expired,
    /// DECLINE: somebody else uses the address; quarantined.
    Declined,
    /// The settings no longer allow it.
    Withdrawn,
    /// The client has another address now.
    Replaced,
}

impl EndReason {
    /// In a few words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Declined => "address in use by another device",
            Self::Withdrawn => "settings changed",
            Self::Replaced => "moved to another address",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Ask by ARP whether anybody uses the address; report answers within 400 ms, silence needs no report.
    Probe {
        /// The address.
        address: Ipv4Addr,
    },
    /// A client has its address.
    Leased {
        /// The lease as it is now.
        lease: LeaseRecord,
        /// It had this lease already.
        renewed: bool,
        /// Worth a write to flash: not a mere renewal, which would wear the flash for nothing.
        persist: bool,
    },
    /// A lease ended; `remaining` is 0. Keep it in flash or not: it only remembers who had the address.
    Ended {
        /// The lease as it was.
        lease: LeaseRecord,
        /// Why.
        reason: EndReason,
    },
    /// A probe was answered by somebody: the address is quarantined.
    Conflict {
        /// The address.
        address: Ipv4Addr,
        /// Who uses it.
        mac: MacAddress,
    },
}

/// A lease as flash keeps it. Without a wall clock: after a restart the remaining time counts from the restart, so a
/// lease may end later than its client believes, never earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The network it is on.
    pub zone: Zone,
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware.
    pub mac: MacAddress,
    /// Who holds it.
    pub client: ClientKey,
    /// Host name as the client gave it (option 81 before 12), cleaned; may be empty.
    pub name: Text<63>,
    /// Seconds to go; 0 for a lease that has ended.
    pub remaining: u32,
}

/// A DHCP server for one zone.
pub struct Server {
    config: ServerConfig,
    pool: Pool,
    probing: Vec<Waiting, PROBES>,
    events: Deque<ServerEvent, 8>,
    replies: Deque<Reply, 2>,
    counters: Counters<Rejected, { Rejected::COUNT }>,
    answered: u64,
    withdrawn: alloc::vec::Vec<LeaseRecord>,
}

/// A DISCOVER whose address is being probed.
struct Waiting {
    address: Ipv4Addr,
    until: Instant,
    request: Request,
}

impl Server {
    /// A server whose tables hold `capacity` addresses. Allocates here and in [`Server::configure`] only.
    pub fn new(now: Instant, config: ServerConfig, capacity: usize) -> Result<Self, BadConfig> {
        config.check(capacity)?;
        let pool = Pool::new(&config, capacity, now);
        Ok(Self {
            config,
            pool,
            probing: Vec::new(),
            events: Deque::new(),
            replies: Deque::new(),
            counters: Counters::new(),
            answered: 0,
            withdrawn: alloc::vec::Vec::new(),
        })
    }

    /// Replaces the configuration; leases on addresses that remain go on, the others end (their clients get a NAK at
    /// the next renewal). On an error nothing changes.
    pub fn configure(&mut self, now: Instant, config: ServerConfig) -> Result<(), BadConfig> {
        config.check(self.pool.capacity())?;
        let pool = Pool::new(&config, self.pool.capacity(), now);
        let old = core::mem::replace(&mut self.pool, pool);
        self.withdrawn.extend(self.pool.adopt(old, self.config.zone, now));
        self.config = config;
        self.probing.clear();
        Ok(())
    }

    /// What it was configured with.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Puts back a lease from flash; records of other zones, or of addresses no longer served, are refused.
    pub fn restore(&mut self, now: Instant, record: &LeaseRecord) -> bool {
        let limit = u32::try_from(self.config.longest_lease.as_secs()).unwrap_or(u32::MAX);
        record.zone == self.config.zone && self.pool.restore(now, record, record.remaining.min(limit))
    }

    /// Running leases, lowest address first.
    pub fn leases(&self, now: Instant) -> impl Iterator<Item = LeaseRecord> + '_ {
        let zone = self.config.zone;
        self.pool.bound().map(move |slot| slot.record(zone, now))
    }

    /// What flash should remember about an address: its lease, or who had it last; `None` when nobody did. A running
    /// lease is recorded with its whole time, for renewals are not written: the record must cover the latest.
    pub fn record(&self, now: Instant, address: Ipv4Addr) -> Option<LeaseRecord> {
        let slot = self.pool.by_address(address).and_then(|index| self.pool.slot(index))?;
        let record = slot.is_known().then(|| slot.record(self.config.zone, now))?;
        let remaining = if slot.state == State::Bound { slot.granted_seconds() } else { 0 };
        Some(LeaseRecord { remaining, ..record })
    }

    /// Every rejection with its count.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }

    /// Messages sent so far.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// One input. An `Err` is counted; it does not mean that nothing is sent (a NAK may follow).
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = if self.replies.is_full() || self.events.len() > 4 {
            Err(Rejected::NotDrained)
        } else {
            match input {
                Input::Packet(bytes) => self.packet(now, bytes),
                Input::ProbeAnswered { address, mac } => self.probe_answered(now, address, mac),
            }
        };
        if let Err(reason) = result {
            self.counters.count(reason);
        }
        result
    }

    /// Call until [`Output::Wait`]; only then handle the next input. `out` should hold 1024 bytes.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            if let Some(lease) = self.withdrawn.pop() {
                return Output::Event(ServerEvent::Ended { lease, reason: EndReason::Withdrawn });
            }
            if let Some(reply) = self.replies.pop_front() {
                match reply.emit(&self.config, out) {
                    Some((length, to)) => {
                        self.answered += 1;
                        return Output::Transmit { length, to };
                    }
                    None => {
                        self.counters.count(Rejected::BufferTooSmall);
                        continue;
                    }
                }
            }
            if let Some(index) = self.probing.iter().position(|waiting| waiting.until <= now) {
                let waiting = self.probing.swap_remove(index);
                self.offer_after_probe(now, waiting);
                continue;
            }
            if let Some(lease) = self.pool.expire_one(now, self.config.zone) {
                return Output::Event(ServerEvent::Ended { lease, reason: EndReason::Expired });
            }
            let probes = self.probing.iter().map(|waiting| waiting.until).min();
            return Output::Wait([probes, self.pool.deadline()].into_iter().flatten().min());
        }
    }

    fn packet(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Rejected> {
        let message = Message::parse(bytes).map_err(|_: Malformed| Rejected::Malformed)?;
        if !message.kind.from_client() {
            return Err(Rejected::NotForServer);
        }
        let relay = message.header.relay;
        if !relay.is_unspecified()
            && (!self.config.address.contains(relay) || relay == self.config.address.address())
        {
            return Err(Rejected::ForeignRelay);
        }
        let request = Request::from_message(&message)?;
        match message.kind {
            MessageType::Discover => self.discover(now, request),
            MessageType::Request => self.request(now, request),
            MessageType::Decline => self.decline(now, &request),
            MessageType::Release => self.release(now, &request),
            MessageType::Inform => self.inform(request),
            MessageType::Offer | MessageType::Ack | MessageType::Nak => Err(Rejected::NotForServer),
        }
    }

    /// RFC 2131 section 4.3.1: the client's own address, its previous one, the one it asks for, a new one.
    fn discover(&mut self, now: Instant, request: Request) -> Result<(), Rejected> {
        if let Some(waiting) =
            self.probing.iter_mut().find(|waiting| waiting.request.client == request.client)
        {
            // Its probe is still under way; the offer follows, under the newer transaction.
            waiting.request = request;
            return Ok(());
        }
        let (index, known) = self.pool.choose(now, &request).ok_or(Rejected::PoolFull)?;
        self.propose(now, index, known, request)
    }

    /// Offers the slot at once when its client is known to hold it or it was probed lately, else probes first.
    fn propose(&mut self, now: Instant, index: usize, known: bool, request: Request) -> Result<(), Rejected> {
        let Some(slot) = self.pool.slot_mut(index) else { return Err(Rejected::PoolFull) };
        let fresh = slot.probed.is_some_and(|at| now - at < PROBE_VALID);
        let address = slot.address;
        let mut result = Ok(());
        if self.config.probe && !known && !fresh {
            let until = now + PROBE_TIME;
            // Held a little longer than the probe, so that the offer finds it.
            if self.probing.push(Waiting { address, until, request: request.clone() }).is_ok() {
                self.pool.hold(now, index, State::Probing, &request, PROBE_TIME + PROBE_TIME);
                let _ = self.events.push_back(ServerEvent::Probe { address });
                return Ok(());
            }
            result = Err(Rejected::Unprobed);
        }
        self.pool.hold(now, index, State::Offered, &request, OFFER_TIME);
        self.push_reply(Reply::offer(request, address, &self.config));
        result
    }

    fn offer_after_probe(&mut self, now: Instant, waiting: Waiting) {
        let Some(index) = self.pool.held_by(waiting.address, &waiting.request.client, State::Probing) else {
            return;
        };
        if let Some(slot) = self.pool.slot_mut(index) {
            slot.probed = Some(now);
        }
        self.pool.hold(now, index, State::Offered, &waiting.request, OFFER_TIME);
        self.push_reply(Reply::offer(waiting.request, waiting.address, &self.config));
    }

    fn probe_answered(&mut self, now: Instant, address: Ipv4Addr, mac: MacAddress) -> Result<(), Rejected> {
        let Some(at) = self.probing.iter().position(|waiting| waiting.address == address) else {
            return Ok(());
        };
        let waiting = self.probing.swap_remove(at);
        if waiting.request.mac == mac {
            // It uses the address already and simply lost its lease.
            self.offer_after_probe(now, waiting);
            return Ok(());
        }
        self.pool.quarantine(now, address, QUARANTINE);
        let _ = self.events.push_back(ServerEvent::Conflict { address, mac });
        self.discover(now, waiting.request)
    }

    /// RFC 2131 section 4.3.2.
    fn request(&mut self, now: Instant, request: Request) -> Result<(), Rejected> {
        match (request.server, request.requested) {
            (Some(server), _) if server != self.config.address.address() => {
                self.pool.forget_offer(now, &request);
                Err(Rejected::OtherServer)
            }
            // SELECTING: the address is the one offered, or this server restarted in between.
            (Some(_), Some(address)) => self.confirm(now, request, address, true),
            (Some(_), None) => Err(Rejected::Incomplete),
            // INIT-REBOOT.
            (None, Some(address)) if request.address.is_unspecified() => {
                if !self.config.address.contains(address) {
                    self.push_reply(Reply::nak(request, "wrong network"));
                    return Err(Rejected::WrongNetwork);
                }
                self.confirm(now, request, address, self.config.authoritative)
            }
            // RENEWING and REBINDING.
            (None, _) if !request.address.is_unspecified() => {
                let address = request.address;
                if !self.config.address.contains(address) {
                    if self.config.authoritative {
                        self.push_reply(Reply::nak(request, "wrong network"));
                    }
                    return Err(Rejected::WrongNetwork);
                }
                self.confirm(now, request, address, self.config.authoritative)
            }
            (None, _) => Err(Rejected::Incomplete),
        }
    }

    /// ACK when the client holds `address`, or (`speak`) when it is free for it; else NAK, or silence.
    fn confirm(
        &mut self,
        now: Instant,
        request: Request,
        address: Ipv4Addr,
        speak: bool,
    ) -> Result<(), Rejected> {
        let held = self.pool.of_client(request.fingerprint, &request.client);
        let wanted = self.pool.by_address(address);
        // A reservation made since: the client moves over as soon as its own address is free.
        let moved = self
            .pool
            .reserved(&request.mac)
            .is_some_and(|index| Some(index) != wanted && self.pool.is_available(index, &request));
        let grant = wanted.filter(|index| {
            let own = self.pool.slot(*index).is_some_and(|slot| slot.is_of(&request.client));
            // A running lease elsewhere is this client's true one, unless this one was just offered to it.
            let free_to_move = held.is_none_or(|held| held == *index || !self.pool.is_bound(held));
            !moved && self.pool.is_available(*index, &request) && (own || (speak && free_to_move))
        });
        let Some(index) = grant else {
            if !speak && held.is_none() {
                return Err(Rejected::UnknownLease);
            }
            self.push_reply(Reply::nak(request, "address not available"));
            return Err(Rejected::NotYours);
        };
        while let Some(old) = self.pool.other_of(&request, index) {
            if let Some(slot) = self.pool.slot(old).filter(|slot| slot.state == State::Bound) {
                let lease = LeaseRecord { remaining: 0, ..slot.record(self.config.zone, now) };
                let event = ServerEvent::Ended { lease, reason: EndReason::Replaced };
                let _ = self.events.push_back(event);
            }
            self.pool.forget(now, old);
        }
        let time = self.config.lease_for(request.lease);
        let before = self.pool.bind(now, index, &request, time);
        if let Some(slot) = self.pool.slot(index) {
            let lease = slot.record(self.config.zone, now);
            let persist =
                before.as_ref().is_none_or(|(name, granted)| *name != lease.name || *granted < time);
            let renewed = before.is_some();
            let _ = self.events.push_back(ServerEvent::Leased { lease, renewed, persist });
        }
        self.push_reply(Reply::ack(request, address, time));
        Ok(())
    }

    /// RFC 2131 section 4.3.3.
    fn decline(&mut self, now: Instant, request: &Request) -> Result<(), Rejected> {
        let index = self.held(request, request.requested.ok_or(Rejected::Incomplete)?)?;
        let Some(slot) = self.pool.slot(index) else { return Err(Rejected::NotHeld) };
        let (address, bound) = (slot.address, self.pool.is_bound(index));
        let lease = LeaseRecord { remaining: 0, ..slot.record(self.config.zone, now) };
        self.pool.quarantine(now, address, QUARANTINE);
        if bound {
            let event = ServerEvent::Ended { lease, reason: EndReason::Declined };
            let _ = self.events.push_back(event);
        }
        Ok(())
    }

    /// RFC 2131 section 4.3.4: the address is free, its client is remembered.
    fn release(&mut self, now: Instant, request: &Request) -> Result<(), Rejected> {
        let index = self.held(request, request.address)?;
        let Some(slot) = self.pool.slot(index) else { return Err(Rejected::NotHeld) };
        if !self.pool.is_bound(index) {
            return Err(Rejected::NotHeld);
        }
        let lease = LeaseRecord { remaining: 0, ..slot.record(self.config.zone, now) };
        self.pool.free(now, index);
        let event = ServerEvent::Ended { lease, reason: EndReason::Released };
        let _ = self.events.push_back(event);
        Ok(())
    }

    /// The slot of `address` if this very client holds it and talks to this server.
    fn held(&self, request: &Request, address: Ipv4Addr) -> Result<usize, Rejected> {
        if request.server.is_some_and(|server| server != self.config.address.address()) {
            return Err(Rejected::OtherServer);
        }
        let index = self.pool.of_client(request.fingerprint, &request.client).ok_or(Rejected::NotHeld)?;
        if self.pool.by_address(address) == Some(index) { Ok(index) } else { Err(Rejected::NotHeld) }
    }

    /// RFC 2131 section 4.3.5: parameters without a lease.
    fn inform(&mut self, request: Request) -> Result<(), Rejected> {
        if !self.config.address.contains(request.address) {
            return Err(Rejected::WrongNetwork);
        }
        self.push_reply(Reply::inform(request));
        Ok(())
    }

    fn push_reply(&mut self, reply: Reply) {
        // One input makes at most one reply, and `handle` refused to start with a full queue; probes that
        // end in `poll` do so only once the queue is empty.
        let _ = self.replies.push_back(reply);
    }
}
