//! Neighbors: which MAC has which address, and the frames that wait to know.
//!
//! ARP after RFC 826, host requirements of RFC 1122 §2.3.2, probes, announcements and conflict defence of RFC 5227.
//! One table for all zones. Asked once a second, three times; then the frames that waited come back as unreachable.
//!
//! ```text
//!            resolve            answer                 60 s
//! (unknown) ────────► Incomplete ────► Reachable ────────────► Stale ──resolve──► Probe ──answer──► Reachable
//!                          │ 3 s                                                    │ 3 s
//!                          ▼                                                        ▼
//!                        Failed (3 s, then forgotten)                          (unknown)
//! ```
//!
//! Safe against floods: entries come into being only because we asked, or because somebody asked for *us* (then as
//! `Stale`, first to make room); a quarter of the table at most is incomplete; a neighbor that has answered keeps its
//! address for as long as it answers: whoever else claims it makes us ask the old one, and is believed only when that is
//! silent; pinned entries are not changed at all. Nothing here sends: [`NeighborTable::poll`]
//! says what to send. Whoever caches an answer asks again when [`NeighborTable::generation`] has moved.

mod hold;
mod output;
mod probes;

use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::{Duration, Frame, Instant, Ipv4Prefix, MacAddress, Random, Zone};
use dialtone_wire::{ArpOperation, ArpPacket};

use self::hold::{Held, HoldQueue};
pub use self::output::{ArpRefused, ArpVerdict, NeighborOutput, Resolution};
pub use self::probes::PROBES;
use self::probes::{Probes, Step};
use crate::Ingress;
use crate::slots::{SlotKey, Slots};

/// An answer counts this long (RFC 1122 §2.3.2.1: on the order of a minute).
pub const REACHABLE: Duration = Duration::from_secs(60);
/// Between two questions.
pub const RETRY: Duration = Duration::from_secs(1);
/// Questions before giving up.
pub const TRIES: u8 = 3;
/// A silent neighbor is not asked again for this long.
pub const FAILED: Duration = Duration::from_secs(3);
/// Frames held per neighbor; the newest ones stay (RFC 1122 §2.3.2.2).
pub const HELD_PER_NEIGHBOR: usize = 4;
/// Between two defences of our address (RFC 5227 §2.4, DEFEND_INTERVAL).
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// Announcements, and the time between them (RFC 5227 §1.1).
pub const ANNOUNCEMENTS: (u8, Duration) = (2, Duration::from_secs(2));

/// A change of MAC is not even looked into this soon after the old one was confirmed.
const LOCK: Duration = Duration::from_secs(1);
/// Slots looked at to make room.
const LOOK_AT: usize = 32;

/// Everybody next to us.
pub struct NeighborTable {
    interfaces: [Interface; 3],
    slots: Slots<Key, Entry>,
    incomplete: usize,
    held: HoldQueue,
    /// Some held frame may go, or never will.
    sort_held: bool,
    probes: Probes,
    /// No entry is due before; `None` when none has a timer.
    timer: Option<Instant>,
    scanned: usize,
    generation: u32,
    refused: Counters<ArpRefused, { ArpRefused::COUNT }>,
}

#[derive(Clone, Copy)]
struct Interface {
    mac: MacAddress,
    prefix: Option<Ipv4Prefix>,
    announcements: u8,
    announce_at: Instant,
    defended: Option<Instant>,
    conflict: Option<MacAddress>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(Zone, Ipv4Addr);

impl SlotKey for Key {
    fn bits(self) -> u64 {
        (self.0.index() as u64) << 32 | u64::from(self.1.to_bits())
    }
}

#[derive(Clone, Copy)]
struct Entry {
    mac: MacAddress,
    state: State,
    /// When its MAC was last heard.
    confirmed: Instant,
    /// When it was last wanted.
    used: Instant,
}

/// RFC 4861 §7.3.2's names, for ARP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Incomplete {
        tries: u8,
        next: Instant,
    },
    /// Until [`REACHABLE`] after `confirmed`, then as `Stale`.
    Reachable,
    Stale,
    Probe {
        tries: u8,
        next: Instant,
    },
    Failed {
        until: Instant,
    },
    Pinned,
}

impl State {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Incomplete { next, .. } | Self::Probe { next, .. } => Some(next),
            _ => None,
        }
    }
}

impl NeighborTable {
    /// Room for `neighbors` neighbors and `held_frames` waiting frames.
    pub fn new(neighbors: usize, held_frames: usize, random: &mut Random) -> Self {
        let interface = Interface {
            mac: MacAddress::ZERO,
            prefix: None,
            announcements: 0,
            announce_at: Instant::START,
            defended: None,
            conflict: None,
        };
        Self {
            interfaces: [interface; 3],
            slots: Slots::new(neighbors, random),
            incomplete: 0,
            held: HoldQueue::new(held_frames),
            sort_held: false,
            probes: Probes::new(),
            timer: None,
            scanned: 0,
            generation: 0,
            refused: Counters::new(),
        }
    }

    /// Our MAC and address in a zone. A changed network forgets the zone's neighbors.
    pub fn set_interface(&mut self, zone: Zone, mac: MacAddress, prefix: Option<Ipv4Prefix>) {
        let interface = &mut self.interfaces[zone.index()];
        if (interface.mac, interface.prefix) == (mac, prefix) {
            return;
        }
        let same_network = interface.mac == mac
            && interface.prefix.map(|old| (old.network(), old.length()))
                == prefix.map(|new| (new.network(), new.length()));
        (interface.mac, interface.prefix) = (mac, prefix);
        (interface.announcements, interface.defended, interface.conflict) = (0, None, None);
        if !same_network {
            self.slots.retain(|key, _| key.0 != zone);
        } else if let Some(prefix) = prefix {
            // An address that has become ours is nobody else's.
            self.slots.retain(|key, _| key != Key(zone, prefix.address()));
        }
        self.incomplete =
            self.slots.iter().filter(|(_, _, entry)| matches!(entry.state, State::Incomplete { .. })).count();
        self.generation = self.generation.wrapping_add(1);
        self.sort_held = true;
    }

    /// The MAC of `address`, or what to do until it is known. Sends nothing itself, but [`Self::poll`] will.
    pub fn resolve(&mut self, now: Instant, zone: Zone, address: Ipv4Addr) -> Resolution {
        let key = Key(zone, address);
        if let Some(index) = self.slots.find(key)
            && let Some((_, entry)) = self.slots.at_mut(index)
        {
            entry.used = now;
            match entry.state {
                State::Pinned | State::Probe { .. } => return Resolution::Ready(entry.mac),
                State::Reachable if now.since(entry.confirmed) <= REACHABLE => {
                    return Resolution::Ready(entry.mac);
                }
                State::Reachable | State::Stale => {
                    entry.state = State::Probe { tries: 0, next: now };
                    let mac = entry.mac;
                    self.wake_at(now);
                    return Resolution::Ready(mac);
                }
                State::Incomplete { .. } => return Resolution::Hold,
                State::Failed { until } if now < until => return Resolution::Unreachable,
                State::Failed { .. } => {
                    self.slots.remove(index);
                }
            }
        }
        if self.incomplete >= (self.slots.capacity() / 4).max(1) {
            return Resolution::Full;
        }
        let state = State::Incomplete { tries: 0, next: now };
        if !self.insert(key, Entry { mac: MacAddress::ZERO, state, confirmed: now, used: now }) {
            return Resolution::Full;
        }
        self.incomplete += 1;
        self.wake_at(now);
        Resolution::Hold
    }

    /// Keeps a frame until its next hop is known. The frame that had to go instead comes back: an older one for the
    /// same neighbor when that has [`HELD_PER_NEIGHBOR`], or this one when all places are taken.
    pub fn hold(&mut self, zone: Zone, address: Ipv4Addr, from: Ingress, frame: Frame) -> Option<Frame> {
        let key = Key(zone, address);
        let refused = self.held.push(key, HELD_PER_NEIGHBOR, from, frame);
        let waits = self.slots.find(key).and_then(|index| self.slots.at(index));
        self.sort_held |= !matches!(waits, Some((_, Entry { state: State::Incomplete { .. }, .. })));
        refused
    }

    /// An ARP packet came in on `zone`.
    pub fn handle(&mut self, now: Instant, zone: Zone, packet: &ArpPacket) -> ArpVerdict {
        let verdict = self.judge(now, zone, packet);
        if let ArpVerdict::Refused(why) = verdict {
            self.refused.count(why);
        }
        verdict
    }

    fn judge(&mut self, now: Instant, zone: Zone, packet: &ArpPacket) -> ArpVerdict {
        let Interface { mac: our_mac, prefix, .. } = self.interfaces[zone.index()];
        let sender = packet.sender;
        if !packet.sender_mac.is_station()
            || sender.is_broadcast()
            || sender.is_multicast()
            || sender.is_loopback()
        {
            return ArpVerdict::Refused(ArpRefused::BadSender);
        }
        if packet.sender_mac == our_mac {
            return ArpVerdict::Refused(ArpRefused::Own);
        }
        self.probes.see(now, zone, packet);
        let ours = prefix.map(Ipv4Prefix::address);
        if Some(sender) == ours {
            self.defend(now, zone, packet.sender_mac);
            return ArpVerdict::Refused(ArpRefused::Conflict);
        }
        let for_us = Some(packet.target) == ours;
        if !sender.is_unspecified() {
            let on_link = prefix.is_some_and(|prefix| prefix.contains(sender));
            match self.learn(now, Key(zone, sender), packet, for_us, on_link) {
                // Whoever asks for us gets an answer, whatever we believe of what it says about itself.
                Err(ArpRefused::TableFull) if for_us => self.refused.count(ArpRefused::TableFull),
                Err(why) => return ArpVerdict::Refused(why),
                Ok(()) => {}
            }
        }
        if for_us && packet.operation == ArpOperation::Request {
            return ArpVerdict::Reply(packet.reply(our_mac));
        }
        ArpVerdict::Consumed
    }

    /// RFC 826's merge, with the doubts described at the top.
    fn learn(
        &mut self,
        now: Instant,
        key: Key,
        packet: &ArpPacket,
        for_us: bool,
        on_link: bool,
    ) -> Result<(), ArpRefused> {
        let mac = packet.sender_mac;
        let answer = packet.operation == ArpOperation::Reply && for_us;
        let Some(entry) = self.slots.value_mut(key) else {
            if !for_us || !on_link {
                return Ok(());
            }
            if answer {
                return Err(ArpRefused::Unasked);
            }
            let entry = Entry { mac, state: State::Stale, confirmed: now, used: now };
            return if self.insert(key, entry) { Ok(()) } else { Err(ArpRefused::TableFull) };
        };
        match entry.state {
            State::Pinned if entry.mac != mac => return Err(ArpRefused::Pinned),
            State::Pinned => return Ok(()),
            State::Incomplete { .. } => {
                self.incomplete -= 1;
                self.sort_held = true;
            }
            State::Failed { .. } => self.generation = self.generation.wrapping_add(1),
            _ if entry.mac != mac => {
                if now.since(entry.confirmed) < LOCK {
                    return Err(ArpRefused::TooSoon);
                }
                match entry.state {
                    // It only ever asked us: nothing says that the first was the right one.
                    State::Stale => self.generation = self.generation.wrapping_add(1),
                    State::Probe { .. } => return Err(ArpRefused::Doubted),
                    _ => {
                        entry.state = State::Probe { tries: 0, next: now };
                        self.wake_at(now);
                        return Err(ArpRefused::Doubted);
                    }
                }
            }
            _ => {}
        }
        let same = entry.mac == mac;
        (entry.mac, entry.confirmed) = (mac, now);
        // What it says unasked is used, but asked about before long.
        entry.state = if answer || same { State::Reachable } else { State::Stale };
        Ok(())
    }

    /// Asks who uses `address`, as RFC 5227 probes do; the answer is [`NeighborOutput::ProbeAnswered`] within 3 s.
    /// `false` when too many are being probed already.
    pub fn probe(&mut self, now: Instant, zone: Zone, address: Ipv4Addr) -> bool {
        self.probes.start(now, Key(zone, address))
    }

    /// Tells everybody our address in a zone, twice (RFC 5227 §2.3).
    pub fn announce(&mut self, now: Instant, zone: Zone) {
        let interface = &mut self.interfaces[zone.index()];
        interface.announcements = ANNOUNCEMENTS.0;
        interface.announce_at = now;
    }

    /// A neighbor known from elsewhere: never asked, never changed by ARP. `false` when there is no room.
    pub fn pin(&mut self, now: Instant, zone: Zone, address: Ipv4Addr, mac: MacAddress) -> bool {
        let key = Key(zone, address);
        if !mac.is_station() {
            return false;
        }
        if let Some(entry) = self.slots.value_mut(key) {
            self.incomplete -= usize::from(matches!(entry.state, State::Incomplete { .. }));
            if entry.mac != mac {
                self.generation = self.generation.wrapping_add(1);
            }
            *entry = Entry { mac, state: State::Pinned, confirmed: now, used: now };
            self.sort_held = true;
            return true;
        }
        self.insert(key, Entry { mac, state: State::Pinned, confirmed: now, used: now })
    }

    /// Neighbors whose MAC `heard` knows to have sent something lately were wanted then: flows know their MAC and do not
    /// ask, and would lose them to newcomers.
    pub fn refresh(&mut self, mut heard: impl FnMut(Zone, MacAddress) -> Option<Instant>) {
        for index in 0..self.slots.capacity() {
            if let Some((Key(zone, _), entry)) = self.slots.at_mut(index)
                && let Some(heard) = heard(zone, entry.mac)
            {
                entry.used = entry.used.max(heard);
            }
        }
    }

    /// Forgets a neighbor, pinned or not.
    pub fn forget(&mut self, zone: Zone, address: Ipv4Addr) {
        if let Some(index) = self.slots.find(Key(zone, address)) {
            self.remove(index);
        }
    }

    /// Moves whenever an address that was known has another MAC, or none.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The MAC of an address as far as it is known, without wanting it.
    pub fn lookup(&self, zone: Zone, address: Ipv4Addr) -> Option<MacAddress> {
        let (_, entry) = self.slots.at(self.slots.find(Key(zone, address))?)?;
        (!matches!(entry.state, State::Incomplete { .. } | State::Failed { .. })).then_some(entry.mac)
    }

    /// Neighbors in the table, whatever their state.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nobody is in the table.
    pub fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// Frames that wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How often ARP packets were not believed, by reason.
    pub fn refused(&self) -> &Counters<ArpRefused, { ArpRefused::COUNT }> {
        &self.refused
    }

    /// What to do; call until [`NeighborOutput::Wait`].
    pub fn poll(&mut self, now: Instant) -> NeighborOutput {
        if let Some(output) = self.poll_probes(now).or_else(|| self.poll_interfaces(now)) {
            return output;
        }
        if self.timer.is_some_and(|timer| timer <= now)
            && let Some(output) = self.poll_entries(now)
        {
            return output;
        }
        if self.sort_held {
            if let Some(output) = self.poll_held() {
                return output;
            }
            self.sort_held = false;
        }
        let announcements = self
            .interfaces
            .iter()
            .filter(|interface| interface.announcements > 0 && interface.prefix.is_some())
            .map(|interface| interface.announce_at);
        NeighborOutput::Wait(announcements.chain(self.timer).min())
    }

    fn poll_probes(&mut self, now: Instant) -> Option<NeighborOutput> {
        Some(match self.probes.poll(now)? {
            Step::Answered(Key(zone, address), mac) => NeighborOutput::ProbeAnswered { zone, address, mac },
            Step::Ask(Key(zone, address)) => {
                let packet = ArpPacket::probe(self.interfaces[zone.index()].mac, address);
                NeighborOutput::Ask { zone, packet, to: MacAddress::BROADCAST }
            }
        })
    }

    fn poll_interfaces(&mut self, now: Instant) -> Option<NeighborOutput> {
        for zone in Zone::ALL {
            let interface = &mut self.interfaces[zone.index()];
            let Some(address) = interface.prefix.map(Ipv4Prefix::address) else { continue };
            if let Some(mac) = interface.conflict.take() {
                return Some(NeighborOutput::Conflict { zone, address, mac });
            }
            if interface.announcements > 0 && interface.announce_at <= now {
                interface.announcements -= 1;
                interface.announce_at = now + ANNOUNCEMENTS.1;
                let packet = ArpPacket::announcement(interface.mac, address);
                return Some(NeighborOutput::Ask { zone, packet, to: MacAddress::BROADCAST });
            }
        }
        None
    }

    /// The next entry that is due; sets the timer anew once none is.
    fn poll_entries(&mut self, now: Instant) -> Option<NeighborOutput> {
        for index in self.scanned..self.slots.capacity() {
            let Some((Key(zone, address), entry)) = self.slots.at_mut(index) else { continue };
            if entry.state.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            let to = match &mut entry.state {
                State::Incomplete { tries, next } if *tries < TRIES => {
                    (*tries, *next) = (*tries + 1, now + RETRY);
                    MacAddress::BROADCAST
                }
                State::Probe { tries, next } if *tries < TRIES => {
                    (*tries, *next) = (*tries + 1, now + RETRY);
                    entry.mac
                }
                State::Incomplete { .. } => {
                    entry.state = State::Failed { until: now + FAILED };
                    self.incomplete -= 1;
                    self.sort_held = true;
                    continue;
                }
                _ => {
                    self.remove(index);
                    continue;
                }
            };
            self.scanned = index + 1;
            let interface = self.interfaces[zone.index()];
            // Without an address of our own the question claims none.
            let packet = match interface.prefix {
                Some(prefix) => ArpPacket::request(interface.mac, prefix.address(), address),
                None => ArpPacket::probe(interface.mac, address),
            };
            return Some(NeighborOutput::Ask { zone, packet, to });
        }
        self.scanned = 0;
        self.timer = self.slots.iter().filter_map(|(_, _, entry)| entry.state.deadline()).min();
        None
    }

    /// The oldest held frame that need not wait any longer.
    fn poll_held(&mut self) -> Option<NeighborOutput> {
        let slots = &self.slots;
        let decide = |key| match slots.find(key).and_then(|index| slots.at(index)) {
            Some((_, Entry { state: State::Incomplete { .. }, .. })) => None,
            None | Some((_, Entry { state: State::Failed { .. }, .. })) => Some(None),
            Some((_, entry)) => Some(Some(entry.mac)),
        };
        let (held, mac) = self.held.take_oldest(decide)?;
        let Held { key: Key(zone, address), from, frame, .. } = held;
        Some(match mac {
            Some(mac) => NeighborOutput::Release { zone, address, mac, from, frame },
            None => NeighborOutput::Unreachable { zone, address, from, frame },
        })
    }

    fn defend(&mut self, now: Instant, zone: Zone, mac: MacAddress) {
        let interface = &mut self.interfaces[zone.index()];
        if interface.defended.is_none_or(|last| now.since(last) >= DEFEND_INTERVAL) {
            interface.defended = Some(now);
            interface.conflict = Some(mac);
            interface.announcements = interface.announcements.max(1);
            interface.announce_at = now;
        }
    }

    fn insert(&mut self, key: Key, entry: Entry) -> bool {
        if self.slots.len() == self.slots.capacity() && !self.make_room(entry.confirmed) {
            return false;
        }
        self.slots.insert(key, entry).is_some()
    }

    /// Of the next few slots removes a failed one, else the stale one that was longest not wanted.
    fn make_room(&mut self, now: Instant) -> bool {
        let mut worst: Option<(usize, Instant)> = None;
        for index in self.slots.candidates(LOOK_AT) {
            let Some((_, entry)) = self.slots.at(index) else { continue };
            let age = match entry.state {
                State::Failed { .. } => Instant::START,
                State::Stale => entry.used,
                State::Reachable if now.since(entry.confirmed) > REACHABLE => entry.used,
                _ => continue,
            };
            if worst.is_none_or(|(_, worst)| age < worst) {
                worst = Some((index, age));
            }
        }
        worst.is_some_and(|(index, _)| {
            self.remove(index);
            true
        })
    }

    fn remove(&mut self, index: usize) {
        if let Some((_, entry)) = self.slots.remove(index) {
            match entry.state {
                State::Incomplete { .. } => {
                    self.incomplete -= 1;
                    self.sort_held = true;
                }
                State::Failed { .. } => self.sort_held = true,
                _ => self.generation = self.generation.wrapping_add(1),
            }
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.timer = Some(self.timer.map_or(at, |timer| timer.min(at)));
        self.scanned = 0;
    }
}

#[cfg(test)]
mod tests;
