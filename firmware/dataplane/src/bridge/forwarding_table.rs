//! The forwarding table: learns stations from source addresses, forgets them after 300 s.
//!
//! Bounded, and safe against a flood of invented addresses: a station that was seen at two moments at least a second
//! apart counts as *settled*, and a settled station that is not too old never makes room for a newcomer. A newcomer
//! takes the place of an expired or unsettled one among the few slots looked at, or is not learned until its next frame;
//! frames for unlearned stations are flooded, so nobody is cut off. No port may hold more than three quarters of the table.

use dialtone_base::counter::Counters;
use dialtone_base::{Duration, Instant, MacAddress, PortId, Random, Zone};

use crate::slots::{Slots, StationKey};

/// A station not heard of for this long is forgotten (802.1D's recommended value).
pub const AGING: Duration = Duration::from_secs(300);

/// What [`ForwardingTable::learn`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing new.
    Known,
    /// A station not known before, or forgotten.
    New,
    /// The station was behind another port.
    Moved {
        /// That port.
        from: PortId,
    },
    /// Not learned.
    Not(NotLearned),
}

dialtone_base::counted_reasons! {
    /// Why a source address was not learned.
    pub enum NotLearned {
        /// A group or zero address: nobody's source.
        NoStation = "no-station",
        /// The port already holds its share of the table.
        PortFull = "port-full",
        /// Everybody in the slots looked at is settled.
        TableFull = "table-full",
    }
}

/// One known station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// On which network.
    pub zone: Zone,
    /// Who.
    pub mac: MacAddress,
    /// Behind which port.
    pub port: PortId,
    /// Heard of last.
    pub last_seen: Instant,
}

/// Stations by zone and MAC.
pub struct ForwardingTable {
    slots: Slots<StationKey, Entry>,
    per_port: [u16; PortId::LIMIT],
    not_learned: Counters<NotLearned, { NotLearned::COUNT }>,
    moves: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    port: PortId,
    settled: bool,
    first_seen: Instant,
    last_seen: Instant,
}

impl Entry {
    fn expired(&self, now: Instant) -> bool {
        now.since(self.last_seen) > AGING
    }
}

/// Slots looked at for one newcomer.
const LOOK_AT: usize = 16;
/// Seen again after this long, a station is settled.
const SETTLES_AFTER: Duration = Duration::from_secs(1);

impl ForwardingTable {
    /// Room for `capacity` stations.
    pub fn new(capacity: usize, random: &mut Random) -> Self {
        Self {
            slots: Slots::new(capacity, random),
            per_port: [0; PortId::LIMIT],
            not_learned: Counters::new(),
            moves: 0,
        }
    }

    /// A frame with source `mac` came in on `port`.
    pub fn learn(&mut self, now: Instant, zone: Zone, mac: MacAddress, port: PortId) -> Learned {
        if !mac.is_station() {
            return self.refuse(NotLearned::NoStation);
        }
        let key = StationKey(zone, mac);
        if let Some(entry) = self.slots.value_mut(key) {
            let returned = entry.expired(now);
            if returned {
                (entry.first_seen, entry.settled) = (now, false);
            }
            entry.settled |= now.since(entry.first_seen) >= SETTLES_AFTER;
            entry.last_seen = now;
            let from = core::mem::replace(&mut entry.port, port);
            if from != port {
                self.count_down(from);
                self.per_port[port.index()] += 1;
                self.moves += 1;
                return Learned::Moved { from };
            }
            return if returned { Learned::New } else { Learned::Known };
        }
        let share = (self.slots.capacity() * 3 / 4).max(1);
        let port_full = usize::from(self.per_port[port.index()]) >= share;
        if (port_full || self.slots.len() == self.slots.capacity())
            && !self.make_room(now, port_full.then_some(port))
        {
            return self.refuse(if port_full { NotLearned::PortFull } else { NotLearned::TableFull });
        }
        let entry = Entry { port, settled: false, first_seen: now, last_seen: now };
        if self.slots.insert(key, entry).is_none() {
            return self.refuse(NotLearned::TableFull);
        }
        self.per_port[port.index()] += 1;
        Learned::New
    }

    /// A known station was heard of at `heard` without a frame of it passing [`Self::learn`]: the fast path had it.
    pub fn refresh(&mut self, heard: Instant, zone: Zone, mac: MacAddress) {
        if let Some(entry) = self.slots.value_mut(StationKey(zone, mac)) {
            entry.settled |= heard.since(entry.first_seen) >= SETTLES_AFTER;
            entry.last_seen = entry.last_seen.max(heard);
        }
    }

    /// The port a station is behind.
    pub fn lookup(&self, now: Instant, zone: Zone, mac: MacAddress) -> Option<PortId> {
        let (_, entry) = self.slots.at(self.slots.find(StationKey(zone, mac))?)?;
        (!entry.expired(now)).then_some(entry.port)
    }

    /// The port's link went down: nobody is behind it any more.
    pub fn forget_port(&mut self, port: PortId) {
        self.slots.retain(|_, entry| entry.port != port);
        self.per_port[port.index()] = 0;
    }

    /// Everybody known.
    pub fn stations(&self, now: Instant) -> impl Iterator<Item = Station> + '_ {
        self.slots.iter().filter(move |(_, _, entry)| !entry.expired(now)).map(
            |(_, StationKey(zone, mac), entry)| Station {
                zone,
                mac,
                port: entry.port,
                last_seen: entry.last_seen,
            },
        )
    }

    /// How often a source address was not learned, by reason.
    pub fn not_learned(&self) -> &Counters<NotLearned, { NotLearned::COUNT }> {
        &self.not_learned
    }

    /// How often a station turned up behind another port.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Removes the worst of the next few slots: expired, else the longest unheard unsettled one (of `only`, if given).
    fn make_room(&mut self, now: Instant, only: Option<PortId>) -> bool {
        let mut worst: Option<(usize, Entry)> = None;
        for index in self.slots.candidates(LOOK_AT) {
            let Some((_, entry)) = self.slots.at(index) else { continue };
            if only.is_some_and(|port| port != entry.port) || (entry.settled && !entry.expired(now)) {
                continue;
            }
            if worst.is_none_or(|(_, worst)| entry.last_seen < worst.last_seen) {
                worst = Some((index, *entry));
            }
        }
        let Some((index, entry)) = worst else { return false };
        self.slots.remove(index);
        self.count_down(entry.port);
        true
    }

    fn count_down(&mut self, port: PortId) {
        let count = &mut self.per_port[port.index()];
        *count = count.saturating_sub(1);
    }

    fn refuse(&mut self, why: NotLearned) -> Learned {
        self.not_learned.count(why);
        Learned::Not(why)
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::Seed;

    use super::*;

    const LEFT: PortId = PortId(1);
    const RIGHT: PortId = PortId(2);

    fn table(capacity: usize) -> ForwardingTable {
        ForwardingTable::new(capacity, &mut Random::new(Seed::from_number(5)))
    }

    fn station(number: u32) -> MacAddress {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddress([2, 0, a, b, c, d])
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_station_is_known_for_300_seconds_after_it_was_heard() {
        let mut table = table(16);
        assert_eq!(table.learn(at(0), Zone::Lan, station(1), LEFT), Learned::New);
        assert_eq!(table.learn(at(10), Zone::Lan, station(1), LEFT), Learned::Known);
        assert_eq!(table.lookup(at(310), Zone::Lan, station(1)), Some(LEFT));
        assert_eq!(table.lookup(at(311), Zone::Lan, station(1)), None);
        assert_eq!(table.learn(at(320), Zone::Lan, station(1), LEFT), Learned::New);
    }

    #[test]
    fn a_station_that_moves_is_followed_at_once() {
        let mut table = table(16);
        table.learn(at(0), Zone::Lan, station(1), LEFT);
        assert_eq!(table.learn(at(1), Zone::Lan, station(1), RIGHT), Learned::Moved { from: LEFT });
        assert_eq!(table.lookup(at(1), Zone::Lan, station(1)), Some(RIGHT));
        assert_eq!(table.moves(), 1);
    }

    #[test]
    fn a_guest_cannot_take_over_a_station_of_the_household() {
        let mut table = table(16);
        table.learn(at(0), Zone::Lan, station(1), LEFT);
        table.learn(at(1), Zone::Guest, station(1), RIGHT);
        assert_eq!(table.lookup(at(1), Zone::Lan, station(1)), Some(LEFT));
        assert_eq!(table.lookup(at(1), Zone::Guest, station(1)), Some(RIGHT));
    }

    #[test]
    fn group_and_zero_addresses_are_never_learned() {
        let mut table = table(16);
        for mac in [MacAddress::BROADCAST, MacAddress([1, 0, 0x5e, 0, 0, 1]), MacAddress::ZERO] {
            assert_eq!(table.learn(at(0), Zone::Lan, mac, LEFT), Learned::Not(NotLearned::NoStation));
            assert_eq!(table.lookup(at(0), Zone::Lan, mac), None);
        }
        assert_eq!(table.not_learned().of(NotLearned::NoStation), 3);
    }

    #[test]
    fn fifty_thousand_invented_stations_push_out_nobody_who_is_settled() {
        let mut table = table(256);
        for number in 0..60 {
            let port = if number % 2 == 0 { LEFT } else { RIGHT };
            table.learn(at(0), Zone::Lan, station(number), port);
            table.learn(at(2), Zone::Lan, station(number), port);
        }
        for number in 0..50_000 {
            table.learn(at(3 + u64::from(number) / 10_000), Zone::Lan, station(1_000_000 + number), LEFT);
        }
        for number in 0..60 {
            assert!(table.lookup(at(8), Zone::Lan, station(number)).is_some(), "station {number}");
        }
        // The flooded port keeps to its share, so somebody new behind the other one still finds room.
        assert_eq!(table.learn(at(8), Zone::Lan, station(77), RIGHT), Learned::New);
        assert!(table.stations(at(8)).filter(|station| station.port == LEFT).count() <= 192);
        // When the flood is over its traces age out.
        assert_eq!(table.stations(at(400)).count(), 0);
        // A refused station tries again with its next frame; each try looks at other slots.
        assert!((0..16).any(|_| table.learn(at(400), Zone::Lan, station(99), LEFT) == Learned::New));
    }

    #[test]
    fn a_table_of_settled_stations_learns_nobody_and_says_so() {
        let mut table = table(8);
        for number in 0..8 {
            let port = if number < 4 { LEFT } else { RIGHT };
            table.learn(at(0), Zone::Lan, station(number), port);
            table.learn(at(2), Zone::Lan, station(number), port);
        }
        let refused = table.learn(at(3), Zone::Lan, station(9), PortId(3));
        assert_eq!(refused, Learned::Not(NotLearned::TableFull));
        assert_eq!(table.learn(at(303), Zone::Lan, station(9), PortId(3)), Learned::New);
    }

    #[test]
    fn a_dead_link_forgets_the_stations_behind_it() {
        let mut table = table(8);
        table.learn(at(0), Zone::Lan, station(1), LEFT);
        table.learn(at(0), Zone::Lan, station(2), RIGHT);
        table.forget_port(LEFT);
        assert_eq!(table.lookup(at(0), Zone::Lan, station(1)), None);
        assert_eq!(table.lookup(at(0), Zone::Lan, station(2)), Some(RIGHT));
        assert_eq!(table.learn(at(0), Zone::Lan, station(1), LEFT), Learned::New);
    }
}
