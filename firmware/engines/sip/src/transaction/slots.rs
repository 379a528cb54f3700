//! The slots: what is kept of each transaction, in memory taken at construction.
//!
//! Each slot has two messages' worth of bytes: its request's head, and what was sent last (a server's answer, a client's ACK).

use dialtone_base::Instant;

use super::machine::{End, Server, ServerInvite, State, Step};
use super::matching::Key;
use super::timers::Repeat;
use super::{Dropped, Ended, TransactionId, Transactions};
use crate::transport::Flow;

/// Which of a slot's messages goes out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    /// A client's request.
    Request,
    /// A client's ACK, a server's answer.
    Last,
}

/// Whether an INVITE of ours is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Not wanted.
    No,
    /// As soon as a provisional answer comes (section 9.1).
    Wanted,
    /// It is on its way.
    Sent,
}

/// One transaction.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) generation: u32,
    /// `None`: free.
    pub(super) state: Option<State>,
    pub(super) key: Key,
    pub(super) merge: Key,
    /// Where the request came from or goes to.
    pub(super) flow: Flow,
    /// Where answers, or the ACK, go.
    pub(super) last_flow: Flow,
    pub(super) request_length: usize,
    pub(super) last_length: usize,
    pub(super) repeat: Repeat,
    pub(super) end: Option<Instant>,
    pub(super) pending: Pending,
    pub(super) cancel: Cancel,
    /// Nobody waits for its end: a CANCEL of ours.
    pub(super) is_quiet: bool,
    /// Its end was told; it goes with the next poll.
    pub(super) failed: Option<Ended>,
}

impl Slot {
    pub(super) fn apply(&mut self, step: Step) {
        self.state = Some(step.state);
        if let Some((repeat, end)) = step.timers {
            self.repeat = repeat;
            match end {
                End::AsBefore => {}
                End::Open => self.end = None,
                End::At(at) => self.end = Some(at),
            }
        }
    }
}

impl Transactions {
    pub(super) fn take_slot(
        &mut self,
        may_use_reserved: bool,
        key: Key,
        flow: Flow,
        last_flow: Flow,
        request: &[u8],
    ) -> Result<usize, Dropped> {
        if request.len() > self.capacity.message {
            return Err(Dropped::TooLong);
        }
        let reserved = if may_use_reserved { 0 } else { self.capacity.reserved };
        if self.capacity.transactions - self.in_use() <= reserved {
            self.forget_answered();
        }
        if self.capacity.transactions - self.in_use() <= reserved {
            return Err(Dropped::Full);
        }
        let index = self.slots.iter().position(|slot| slot.state.is_none()).ok_or(Dropped::Full)?;
        if let Some(place) =
            self.region_mut(index, Pending::Request).and_then(|region| region.get_mut(..request.len()))
        {
            place.copy_from_slice(request);
        }
        let slot = self.slots.get_mut(index).ok_or(Dropped::Full)?;
        *slot = Slot {
            generation: slot.generation,
            // Whoever took the slot says which state it is in before anybody looks.
            state: None,
            key,
            merge: Key::default(),
            flow,
            last_flow,
            request_length: request.len(),
            last_length: 0,
            repeat: Repeat::NEVER,
            end: None,
            pending: Pending::Nothing,
            cancel: Cancel::No,
            is_quiet: false,
            failed: None,
        };
        Ok(index)
    }

    /// Gives up the request answered longest ago. It is kept only so that its repetitions are absorbed, half a minute long: whoever asks
    /// much would otherwise keep callers out for as long.
    fn forget_answered(&mut self) {
        let answered = self.slots.iter().enumerate().filter_map(|(index, slot)| {
            // Refused calls last: their answer is repeated until it is acknowledged.
            let rank = match slot.state? {
                State::Server(Server::Completed) | State::ServerInvite(ServerInvite::Confirmed) => 0,
                State::ServerInvite(ServerInvite::Completed) => 1,
                _ => return None,
            };
            // What has not left yet is not answered.
            (slot.pending == Pending::Nothing).then_some((rank, slot.end, index))
        });
        if let Some((_, _, index)) = answered.min() {
            self.free(index);
        }
    }

    pub(super) fn free(&mut self, index: usize) {
        if self.forget == Some(index) {
            // Whoever takes the slot next must not be forgotten in its place.
            self.forget = None;
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = None;
            slot.generation = slot.generation.wrapping_add(1);
            slot.pending = Pending::Nothing;
            slot.repeat = Repeat::NEVER;
            slot.end = None;
            slot.failed = None;
        }
    }

    pub(super) fn id(&self, index: usize) -> TransactionId {
        let generation = self.slots.get(index).map_or(0, |slot| slot.generation);
        // There are at most `u16::MAX` slots.
        TransactionId { slot: u16::try_from(index).unwrap_or(u16::MAX), generation }
    }

    pub(super) fn slot(&self, id: TransactionId) -> Option<&Slot> {
        let slot = self.slots.get(usize::from(id.slot))?;
        (slot.generation == id.generation && slot.state.is_some()).then_some(slot)
    }

    pub(super) fn slot_mut(&mut self, id: TransactionId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(usize::from(id.slot))?;
        (slot.generation == id.generation && slot.state.is_some()).then_some(slot)
    }

    pub(super) fn range(&self, index: usize, which: Pending) -> core::ops::Range<usize> {
        let half = index * 2 + usize::from(which == Pending::Last);
        half * self.capacity.message..(half + 1) * self.capacity.message
    }

    pub(super) fn region(&self, index: usize, which: Pending) -> Option<&[u8]> {
        self.memory.get(self.range(index, which))
    }

    pub(super) fn region_mut(&mut self, index: usize, which: Pending) -> Option<&mut [u8]> {
        let range = self.range(index, which);
        self.memory.get_mut(range)
    }

    pub(super) fn last(&self, index: usize) -> Option<&[u8]> {
        self.region(index, Pending::Last)
    }

    pub(super) fn store_last(&mut self, index: usize, bytes: &[u8]) -> Result<(), Dropped> {
        let place = self
            .region_mut(index, Pending::Last)
            .and_then(|region| region.get_mut(..bytes.len()))
            .ok_or(Dropped::TooLong)?;
        place.copy_from_slice(bytes);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.last_length = bytes.len();
        }
        Ok(())
    }

    pub(super) fn stored_request(&self, index: usize) -> Option<&[u8]> {
        let length = self.slots.get(index)?.request_length;
        self.region(index, Pending::Request)?.get(..length)
    }
}
