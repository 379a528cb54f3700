//! Fragments without reassembly: the first one's flow is remembered for the others.
//!
//! RFC 4787 REQ-14: fragments are translated in order and out of order. Later fragments that come first are held, in
//! bounded numbers and for a few seconds, until the first one has found its flow. Bounded work: every table here is a few
//! dozen entries. At most half of the entries may wait for a first fragment, so a flood of orphans cannot push out
//! packets that are under way.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use dialtone_base::{Duration, Frame, Instant};

use crate::Ingress;
use crate::conntrack::key::Realm;

/// An entry without news for this long is forgotten.
const LIFETIME: Duration = Duration::from_secs(30);
/// A held fragment waits this long for the first one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What all fragments of a packet have in common (RFC 791).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketId {
    pub(crate) realm: Realm,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) identification: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Later fragments came first.
    Waiting,
    /// The first one belongs to this record of a flow.
    Flow { record: u32, generation: u32 },
    /// The first one was dropped.
    Dropped,
}

#[derive(Clone, Copy)]
struct Entry {
    id: PacketId,
    state: State,
    heard: Instant,
}

struct Held {
    id: PacketId,
    since: Instant,
    from: Ingress,
    order: u64,
    frame: Frame,
}

/// What to do with a later fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// Translate it like this record's packets, if the flow still has this generation.
    Flow { record: u32, generation: u32 },
    /// Hold it until the first one comes.
    Hold,
    /// The first one was dropped.
    Dropped,
    /// No room.
    Full,
}

/// Packets under way in pieces.
pub(crate) struct Fragments {
    entries: Box<[Option<Entry>]>,
    held: Box<[Option<Held>]>,
    order: u64,
}

impl Fragments {
    pub(crate) fn new(packets: usize, held: usize) -> Self {
        Self {
            entries: (0..packets.max(2)).map(|_| None).collect(),
            held: (0..held.max(1)).map(|_| None).collect(),
            order: 0,
        }
    }

    /// A later fragment came.
    pub(crate) fn later(&mut self, now: Instant, id: PacketId) -> Later {
        let has_room = self.held.iter().any(Option::is_none);
        if let Some(entry) = self.entry(now, id) {
            return match entry.state {
                State::Flow { record, generation } => Later::Flow { record, generation },
                State::Dropped => Later::Dropped,
                State::Waiting if has_room => Later::Hold,
                State::Waiting => Later::Full,
            };
        }
        let waiting = self.entries.iter().flatten().filter(|entry| entry.state == State::Waiting).count();
        if !has_room || waiting >= self.entries.len() / 2 {
            return Later::Full;
        }
        self.put(now, id, State::Waiting);
        Later::Hold
    }

    /// The first fragment found its flow.
    pub(crate) fn first(&mut self, now: Instant, id: PacketId, record: u32, generation: u32) {
        self.put(now, id, State::Flow { record, generation });
    }

    /// The first fragment was dropped; only worth remembering when others wait for it.
    pub(crate) fn first_dropped(&mut self, now: Instant, id: PacketId) {
        if let Some(entry) = self.entry(now, id) {
            entry.state = State::Dropped;
        }
    }

    /// Keeps a later fragment that came too early; gives it back without room.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        id: PacketId,
        from: Ingress,
        frame: Frame,
    ) -> Result<(), Frame> {
        let Some(place) = self.held.iter_mut().find(|place| place.is_none()) else { return Err(frame) };
        self.order += 1;
        *place = Some(Held { id, since: now, from, order: self.order, frame });
        Ok(())
    }

    /// The oldest held fragment that can go on.
    pub(crate) fn released(&mut self) -> Option<(Ingress, Frame)> {
        let entries = &self.entries;
        let decided = |id: PacketId| {
            entries.iter().flatten().any(|entry| entry.id == id && entry.state != State::Waiting)
        };
        let place = self
            .held
            .iter_mut()
            .filter(|place| place.as_ref().is_some_and(|held| decided(held.id)))
            .min_by_key(|place| place.as_ref().map_or(u64::MAX, |held| held.order))?;
        place.take().map(|held| (held.from, held.frame))
    }

    /// Gives up one held fragment whose first one did not come; call until `false`.
    pub(crate) fn give_up(&mut self, now: Instant) -> bool {
        let late = |held: &Held| now.since(held.since) >= PATIENCE;
        let place = self.held.iter_mut().find(|place| place.as_ref().is_some_and(late));
        place.is_some_and(|place| place.take().is_some())
    }

    /// When [`Self::give_up`] has something to do.
    pub(crate) fn next_give_up(&self) -> Option<Instant> {
        self.held.iter().flatten().map(|held| held.since + PATIENCE).min()
    }

    fn entry(&mut self, now: Instant, id: PacketId) -> Option<&mut Entry> {
        let entry = self.entries.iter_mut().flatten().find(|entry| entry.id == id)?;
        (now.since(entry.heard) < LIFETIME).then_some(entry)
    }

    /// In the packet's own place, a free one, or the place of the longest silent.
    fn put(&mut self, now: Instant, id: PacketId, state: State) {
        let own = self.entries.iter().position(|entry| entry.is_some_and(|entry| entry.id == id));
        let free = || self.entries.iter().position(Option::is_none);
        let oldest = || {
            let heard = |at: &usize| self.entries.get(*at).and_then(|entry| entry.map(|entry| entry.heard));
            (0..self.entries.len()).min_by_key(heard)
        };
        let Some(at) = own.or_else(free).or_else(oldest) else { return };
        if let Some(place) = self.entries.get_mut(at) {
            *place = Some(Entry { id, state, heard: now });
        }
    }
}
