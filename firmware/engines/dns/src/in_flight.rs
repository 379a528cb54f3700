//! Questions under way: who waits for them, where they were sent, what may answer them.
//!
//! Fixed tables. A question keeps its older attempts open while newer ones run, so that a slow answer still counts;
//! each attempt has its own token, id, and (in the service) its own port.

use alloc::boxed::Box;
use alloc::vec;
use core::net::SocketAddrV4;

use dialtone_base::Instant;
use heapless::Vec;

use crate::Client;
use crate::message::Question;

/// Servers a question is put to, one after the other.
pub const ATTEMPTS: usize = 3;
/// No waiter.
const NONE: u16 = u16::MAX;

/// Names one attempt: one question at one server, over one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u32);

impl Token {
    pub(crate) fn new(slot: u16, attempt: usize, generation: u16) -> Self {
        Self((generation as u32) << 16 | (attempt as u32 & 3) << 14 | slot as u32 & 0x3fff)
    }

    pub(crate) fn slot(self) -> usize {
        self.0 as usize & 0x3fff
    }

    pub(crate) fn attempt(self) -> usize {
        self.0 as usize >> 14 & 3
    }

    pub(crate) fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// One question at one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub server: SocketAddrV4,
    pub id: u16,
    pub sent: Instant,
    /// May still be answered.
    pub open: bool,
    /// The service holds a socket for it.
    pub held: bool,
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not in use.
    Vacant,
    /// Waits for an answer until the deadline.
    Waiting,
    /// Its waiters are being answered, then its sockets given back.
    Finishing,
}

/// One question under way.
pub(crate) struct Slot {
    pub state: State,
    pub generation: u16,
    pub bytes: Box<[u8]>,
    pub length: usize,
    pub question: Option<Question>,
    pub tcp: bool,
    /// The router's own, to see whether a dead server lives.
    pub probe: bool,
    /// The answer may be kept.
    pub cacheable: bool,
    /// A server said SERVFAIL or REFUSED.
    pub refused: bool,
    pub attempts: Vec<Attempt, ATTEMPTS>,
    pub deadline: Instant,
    first_waiter: u16,
}

impl Slot {
    /// The question as the client sent it, its id included.
    pub fn query(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Servers asked so far.
    pub fn tried(&self) -> Vec<SocketAddrV4, ATTEMPTS> {
        self.attempts.iter().map(|attempt| attempt.server).collect()
    }
}

/// A client that waits.
#[derive(Clone, Copy)]
pub(crate) struct Waiter {
    pub client: Client,
    pub id: u16,
    next: u16,
}

/// All questions under way.
pub(crate) struct InFlight {
    slots: Box<[Slot]>,
    waiters: Box<[Option<Waiter>]>,
    per_client: usize,
}

/// A table has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// For another question.
    Questions,
    /// For another waiting client.
    Waiters,
    /// For another question of this client.
    Client,
}

impl InFlight {
    pub fn new(slots: usize, waiters: usize, per_client: usize, query_bytes: usize) -> Self {
        let slot = |_| Slot {
            state: State::Vacant,
            generation: 0,
            bytes: vec![0; query_bytes].into_boxed_slice(),
            length: 0,
            question: None,
            tcp: false,
            probe: false,
            cacheable: false,
            refused: false,
            attempts: Vec::new(),
            deadline: Instant::START,
            first_waiter: NONE,
        };
        Self {
            slots: (0..slots.clamp(1, 1024)).map(slot).collect(),
            waiters: vec![None; waiters.clamp(1, NONE as usize - 1)].into_boxed_slice(),
            per_client,
        }
    }

    pub fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub fn slot_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.state != State::Vacant).count()
    }

    pub fn waiting(&self) -> usize {
        self.waiters.iter().flatten().count()
    }

    /// The slot that waits for exactly this question (all but the id), over the same transport.
    pub fn same_question(&self, bytes: &[u8], tcp: bool) -> Option<usize> {
        self.slots.iter().position(|slot| {
            slot.state == State::Waiting
                && !slot.probe
                && slot.tcp == tcp
                && slot.length == bytes.len()
                && slot.query().get(2..) == bytes.get(2..)
        })
    }

    /// Opens a slot for `bytes`; the caller sends it.
    pub fn open(&mut self, bytes: &[u8], question: Option<Question>, tcp: bool) -> Result<usize, NoRoom> {
        let index =
            self.slots.iter().position(|slot| slot.state == State::Vacant).ok_or(NoRoom::Questions)?;
        let slot = self.slots.get_mut(index).ok_or(NoRoom::Questions)?;
        slot.bytes.get_mut(..bytes.len()).ok_or(NoRoom::Questions)?.copy_from_slice(bytes);
        slot.state = State::Waiting;
        slot.length = bytes.len();
        slot.question = question;
        slot.tcp = tcp;
        slot.probe = false;
        slot.cacheable = false;
        slot.refused = false;
        slot.attempts.clear();
        slot.first_waiter = NONE;
        Ok(index)
    }

    /// Whether the client may wait for one thing more.
    pub fn admit(&self, client: &Client) -> Result<(), NoRoom> {
        let address = *client.address.ip();
        let own = self.waiters.iter().flatten().filter(|waiter| *waiter.client.address.ip() == address);
        if own.count() >= self.per_client {
            return Err(NoRoom::Client);
        }
        self.waiters.iter().any(Option::is_none).then_some(()).ok_or(NoRoom::Waiters)
    }

    /// Adds a waiter to a slot. `false` when the same client already waits there with the same id (a retransmission).
    pub fn wait(&mut self, slot: usize, client: Client, id: u16) -> Result<bool, NoRoom> {
        let mut at = self.slots.get(slot).map_or(NONE, |slot| slot.first_waiter);
        while let Some(waiter) = self.waiters.get(at as usize).copied().flatten() {
            if waiter.client == client && waiter.id == id {
                return Ok(false);
            }
            at = waiter.next;
        }
        self.admit(&client)?;
        let index = self.waiters.iter().position(Option::is_none).ok_or(NoRoom::Waiters)?;
        if let (Some(slot), Some(place)) = (self.slots.get_mut(slot), self.waiters.get_mut(index)) {
            *place = Some(Waiter { client, id, next: slot.first_waiter });
            slot.first_waiter = index as u16;
        }
        Ok(true)
    }

    /// Takes one waiter off a slot.
    pub fn next_waiter(&mut self, slot: usize) -> Option<Waiter> {
        let slot = self.slots.get_mut(slot)?;
        let waiter = self.waiters.get_mut(slot.first_waiter as usize)?.take()?;
        slot.first_waiter = waiter.next;
        Some(waiter)
    }

    /// Gives the slot back; tokens of its attempts are worth nothing from now on.
    pub fn close(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = State::Vacant;
            slot.generation = slot.generation.wrapping_add(1);
            slot.attempts.clear();
        }
    }

    /// The open attempt a token names.
    pub fn attempt(&self, token: Token) -> Option<(&Slot, &Attempt)> {
        let slot = self.slots.get(token.slot())?;
        let attempt = slot.attempts.get(token.attempt())?;
        let valid = slot.state == State::Waiting && slot.generation == token.generation() && attempt.open;
        valid.then_some((slot, attempt))
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting_slots().map(|(_, slot)| slot.deadline).min()
    }

    /// A slot whose deadline has come.
    pub fn due(&self, now: Instant) -> Option<usize> {
        self.waiting_slots().find(|(_, slot)| slot.deadline <= now).map(|(index, _)| index)
    }

    /// Ends the patience of every slot.
    pub fn expire_all(&mut self, now: Instant) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Waiting) {
            slot.deadline = now;
        }
    }

    fn waiting_slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.state == State::Waiting)
    }
}
