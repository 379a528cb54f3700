//! The table of addresses: one slot each, sorted, with who has it or had it last.
//!
//! Time limits are kept per slot; the earliest is cached, so that a busy server does not walk the table per packet to
//! find it. Finding a client's slot is one pass over fingerprints.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, MacAddress, Zone};

use super::LeaseRecord;
use super::config::ServerConfig;
use super::request::{ClientKey, Request};

/// An unconfirmed offer younger than this is not taken away: its client is about to ask for it.
const OFFER_GRACE: Duration = Duration::from_secs(2);
/// The same for a client that has been trying for [`PATIENCE`] seconds: tools that flood with new clients say 0.
const SHORT_OFFER_GRACE: Duration = Duration::from_millis(500);
const PATIENCE: u16 = 2;
/// A quarantined address is tried again after this long when nothing else is left (it is probed first).
const QUARANTINE_GRACE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody's; `client` says who had it last.
    Free,
    /// To be offered to `client` unless somebody answers.
    Probing,
    /// Offered to `client`.
    Offered,
    /// Leased to `client`.
    Bound,
    /// Somebody we do not know uses it.
    Quarantined,
}

pub(super) struct Slot {
    pub address: Ipv4Addr,
    kept_for: Option<MacAddress>,
    pub state: State,
    /// Beginning and end of the state; the end means nothing when free.
    since: Instant,
    until: Instant,
    /// When a lease of it last ended; `None` for never.
    used: Option<Instant>,
    /// When a probe last found it silent.
    pub probed: Option<Instant>,
    fingerprint: u32,
    client: Option<ClientKey>,
    mac: MacAddress,
    name: Text<63>,
    granted: Duration,
}

pub(super) struct Pool {
    slots: Box<[Slot]>,
    capacity: usize,
    earliest: Option<Instant>,
}

impl Slot {
    fn new(address: Ipv4Addr, kept_for: Option<MacAddress>, now: Instant) -> Self {
        Self {
            address,
            kept_for,
            state: State::Free,
            since: now,
            until: now,
            used: None,
            probed: None,
            fingerprint: 0,
            client: None,
            mac: MacAddress::ZERO,
            name: Text::new(),
            granted: Duration::ZERO,
        }
    }

    pub fn is_of(&self, client: &ClientKey) -> bool {
        self.client.as_ref() == Some(client)
    }

    /// Leased, or free with a client remembered; not merely offered.
    pub fn is_known(&self) -> bool {
        match self.state {
            State::Bound => true,
            State::Free => self.client.is_some() && self.used.is_some(),
            State::Probing | State::Offered | State::Quarantined => false,
        }
    }

    pub fn granted_seconds(&self) -> u32 {
        u32::try_from(self.granted.as_secs()).unwrap_or(u32::MAX)
    }

    pub fn record(&self, zone: Zone, now: Instant) -> LeaseRecord {
        let left = if self.state == State::Bound { self.until - now } else { Duration::ZERO };
        LeaseRecord {
            zone,
            address: self.address,
            mac: self.mac,
            client: self.client.clone().unwrap_or(ClientKey::Mac(self.mac)),
            name: self.name.clone(),
            remaining: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn enter(&mut self, state: State, now: Instant, until: Instant) {
        self.state = state;
        self.since = now;
        self.until = until;
    }

    fn assign(&mut self, request: &Request) {
        self.fingerprint = request.fingerprint;
        self.mac = request.mac;
        if !self.is_of(&request.client) {
            self.client = Some(request.client.clone());
        }
        if self.name != request.name {
            self.name = request.name.clone();
        }
    }
}

impl Pool {
    pub fn new(config: &ServerConfig, capacity: usize, now: Instant) -> Self {
        let slots =
            config.addresses().into_iter().map(|(address, kept)| Slot::new(address, kept, now)).collect();
        Self { slots, capacity, earliest: None }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub fn slot_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    pub fn by_address(&self, address: Ipv4Addr) -> Option<usize> {
        self.slots.binary_search_by_key(&address, |slot| slot.address).ok()
    }

    /// The slot of a client: the leased one, else an offered one, else the one it had last.
    pub fn of_client(&self, fingerprint: u32, client: &ClientKey) -> Option<usize> {
        let mut best: Option<(usize, u8)> = None;
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.fingerprint != fingerprint || !slot.is_of(client) {
                continue;
            }
            let rank = match slot.state {
                State::Bound => return Some(index),
                State::Offered | State::Probing => 2,
                State::Free | State::Quarantined => 1,
            };
            if best.is_none_or(|(_, known)| rank > known) {
                best = Some((index, rank));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Another slot than `index` that names this client.
    pub fn other_of(&self, request: &Request, index: usize) -> Option<usize> {
        self.slots.iter().enumerate().position(|(other, slot)| {
            other != index && slot.fingerprint == request.fingerprint && slot.is_of(&request.client)
        })
    }

    /// The address in `state` for exactly this client.
    pub fn held_by(&self, address: Ipv4Addr, client: &ClientKey, state: State) -> Option<usize> {
        let index = self.by_address(address)?;
        self.slot(index).filter(|slot| slot.state == state && slot.is_of(client)).map(|_| index)
    }

    pub fn reserved(&self, mac: &MacAddress) -> Option<usize> {
        self.slots.iter().position(|slot| slot.kept_for.as_ref() == Some(mac))
    }

    pub fn is_bound(&self, index: usize) -> bool {
        self.slot(index).is_some_and(|slot| slot.state == State::Bound)
    }

    /// Whether this client may have the slot now.
    pub fn is_available(&self, index: usize, request: &Request) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        if slot.kept_for.is_some_and(|mac| mac != request.mac) {
            return false;
        }
        // The station a reservation is for may change its client id, as after a boot from the network.
        let same_station = slot.kept_for.is_some() && slot.mac == request.mac;
        match slot.state {
            State::Free => true,
            State::Probing | State::Offered | State::Bound => slot.is_of(&request.client) || same_station,
            State::Quarantined => false,
        }
    }

    /// The slot to offer, and whether its client holds it already.
    pub fn choose(&self, now: Instant, request: &Request) -> Option<(usize, bool)> {
        let available = |index: &usize| self.is_available(*index, request);
        let reserved = self.reserved(&request.mac).filter(available);
        let previous = || self.of_client(request.fingerprint, &request.client).filter(available);
        let requested = || request.requested.and_then(|address| self.by_address(address)).filter(available);
        let grace = if request.seconds >= PATIENCE { SHORT_OFFER_GRACE } else { OFFER_GRACE };
        let index = reserved
            .or_else(previous)
            .or_else(requested)
            .or_else(|| self.longest_unused(request.fingerprint))
            .or_else(|| self.oldest(State::Offered, now, grace))
            .or_else(|| self.oldest(State::Quarantined, now, QUARANTINE_GRACE))?;
        let known = self.slot(index).is_some_and(|slot| {
            matches!(slot.state, State::Bound | State::Offered) && slot.is_of(&request.client)
        });
        Some((index, known))
    }

    /// Never used before longest unused; among equals where the client's own hash points, so that clients tend to find
    /// their address again even after all memory is lost.
    fn longest_unused(&self, fingerprint: u32) -> Option<usize> {
        let count = self.slots.len();
        let start = (fingerprint as usize).checked_rem(count)?;
        let free = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.state == State::Free && slot.kept_for.is_none());
        free.min_by_key(|(index, slot)| (slot.used, (index + count - start) % count)).map(|(index, _)| index)
    }

    fn oldest(&self, state: State, now: Instant, grace: Duration) -> Option<usize> {
        let old =
            self.slots.iter().enumerate().filter(|(_, slot)| {
                slot.state == state && slot.kept_for.is_none() && now - slot.since >= grace
            });
        old.min_by_key(|(_, slot)| slot.since).map(|(index, _)| index)
    }

    /// Keeps the slot for the client of `request`, in `state`, for `time`. A running lease stays a lease.
    pub fn hold(&mut self, now: Instant, index: usize, state: State, request: &Request, time: Duration) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.state == State::Bound {
            return;
        }
        slot.assign(request);
        slot.enter(state, now, now + time);
        self.note(now + time);
    }

    /// Leases the slot; what the client had of it before: name and granted time.
    pub fn bind(
        &mut self,
        now: Instant,
        index: usize,
        request: &Request,
        time: Duration,
    ) -> Option<(Text<63>, Duration)> {
        let slot = self.slots.get_mut(index)?;
        let had = slot.state == State::Bound && slot.is_of(&request.client);
        let before = had.then(|| (slot.name.clone(), slot.granted));
        slot.assign(request);
        slot.granted = time;
        slot.enter(State::Bound, now, now + time);
        self.note(now + time);
        before
    }

    /// The address is free, its client remembered.
    pub fn free(&mut self, now: Instant, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.used = Some(now);
            slot.enter(State::Free, now, now);
        }
    }

    /// The address is free and nobody's.
    pub fn forget(&mut self, now: Instant, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            if slot.state == State::Bound {
                slot.used = Some(now);
            }
            slot.enter(State::Free, now, now);
            slot.client = None;
        }
    }

    /// The client took another server's offer.
    pub fn forget_offer(&mut self, now: Instant, request: &Request) {
        for slot in &mut self.slots {
            let open = matches!(slot.state, State::Offered | State::Probing);
            if open && slot.fingerprint == request.fingerprint && slot.is_of(&request.client) {
                slot.enter(State::Free, now, now);
            }
        }
    }

    pub fn quarantine(&mut self, now: Instant, address: Ipv4Addr, time: Duration) {
        if let Some(slot) = self.by_address(address).and_then(|index| self.slots.get_mut(index)) {
            slot.client = None;
            slot.probed = None;
            slot.used = Some(now);
            slot.enter(State::Quarantined, now, now + time);
            self.note(now + time);
        }
    }

    /// The earliest end of any state.
    pub fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// Ends what is over; returns after each lease that ended, `None` when nothing is left to end.
    pub fn expire_one(&mut self, now: Instant, zone: Zone) -> Option<LeaseRecord> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return None;
        }
        let mut earliest = None;
        for slot in &mut self.slots {
            if slot.state == State::Free {
                continue;
            }
            if slot.until > now {
                earliest = Some(earliest.map_or(slot.until, |known: Instant| known.min(slot.until)));
                continue;
            }
            let record = (slot.state == State::Bound).then(|| slot.record(zone, now));
            if record.is_some() {
                slot.used = Some(now);
            }
            slot.enter(State::Free, now, now);
            if record.is_some() {
                return record;
            }
        }
        self.earliest = earliest;
        None
    }

    pub fn bound(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.state == State::Bound)
    }

    /// A lease from flash: running when seconds remain, else only remembered.
    pub fn restore(&mut self, now: Instant, record: &LeaseRecord, remaining: u32) -> bool {
        let fingerprint = record.client.fingerprint();
        let known = self.of_client(fingerprint, &record.client);
        match known {
            // Flash may still remember where a client was before; a running lease is what counts.
            Some(_) if remaining == 0 => return false,
            Some(other) if !self.is_bound(other) => self.forget(now, other),
            // Two running leases, when power was cut between a move's two writes: neither address may go to
            // somebody else until the client has said which one it uses.
            Some(_) | None => {}
        }
        let Some(slot) = self.by_address(record.address).and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        if slot.state != State::Free || slot.kept_for.is_some_and(|mac| mac != record.mac) {
            return false;
        }
        slot.fingerprint = fingerprint;
        slot.client = Some(record.client.clone());
        slot.mac = record.mac;
        slot.name = record.name.clone();
        slot.used = Some(now);
        if remaining > 0 {
            slot.granted = Duration::from_secs(remaining as u64);
            let until = now + slot.granted;
            slot.enter(State::Bound, now, until);
            self.note(until);
        }
        true
    }

    /// Takes over what the old table knew about addresses that are still here; the running leases that are not.
    pub fn adopt(&mut self, old: Pool, zone: Zone, now: Instant) -> alloc::vec::Vec<LeaseRecord> {
        let mut withdrawn = alloc::vec::Vec::new();
        for slot in old.slots {
            match self.by_address(slot.address).and_then(|index| self.slots.get_mut(index)) {
                Some(new) => *new = Slot { kept_for: new.kept_for, ..slot },
                None if slot.state == State::Bound => {
                    withdrawn.push(LeaseRecord { remaining: 0, ..slot.record(zone, now) })
                }
                None => {}
            }
        }
        self.earliest = old.earliest;
        withdrawn
    }

    fn note(&mut self, until: Instant) {
        self.earliest = Some(self.earliest.map_or(until, |known| known.min(until)));
    }
}
