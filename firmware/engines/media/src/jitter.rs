//! The jitter buffer: packets wait here as long as the network's unevenness asks for, and no longer.
//!
//! Knows for each packet when it came and when it should be played; learns the delay to aim at from how late packets come
//! ([`delay`](crate::delay)). Tells apart what is lost (a number is missing), what is late, and what was never sent (the numbers
//! go on, the time jumps: silence suppression, keys). Bounded: [`SLOTS`] packets of [`LONGEST_PAYLOAD`] octets; when full, the oldest goes.
//! Does not decode, conceal or stretch: [`crate::Session`] does.

use alloc::boxed::Box;
use alloc::vec;

use dialtone_base::Instant;

use crate::delay::DelayEstimate;
use crate::rtp::{Header, Unwrapped};

/// Packets that may wait.
pub const SLOTS: usize = 64;
/// Octets of the longest payload kept: 60 ms of G.711.
pub const LONGEST_PAYLOAD: usize = 640;
/// Numbers of packets that carried no sound, remembered so that they are not taken for lost.
const OTHERS: usize = 32;

/// Packets of one source, waiting for their time.
#[derive(Debug)]
pub struct JitterBuffer {
    slots: Box<[Slot]>,
    ticks_per_millisecond: i64,
    timestamps: Option<Unwrapped>,
    sequences: Option<Unwrapped>,
    /// The timestamp to be played next; `None` before the first packet and after a long silence.
    next: Option<i64>,
    /// Highest sequence number played or given up.
    played: i64,
    /// Ticks concealed since the last packet while nothing was there.
    starved: i64,
    /// The sender said that it is silent, or has been for long.
    silent: bool,
    others: [i64; OTHERS],
    other: usize,
    /// Which of the 64 numbers up to the highest came already.
    seen: u64,
    highest: i64,
    delay: DelayEstimate,
}

#[derive(Clone, Debug)]
struct Slot {
    used: bool,
    noise: bool,
    payload_type: u8,
    sequence: i64,
    timestamp: i64,
    length: u16,
    payload: [u8; LONGEST_PAYLOAD],
}

/// A packet in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(usize);

/// What is to be played now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This packet; then call [`JitterBuffer::played`].
    Frame(Handle),
    /// So many ticks are lost, and this packet follows; after filling (part of) it call [`JitterBuffer::concealed`].
    Gap(u32, Handle),
    /// Nothing came in time, nobody knows why: 10 ms are to be concealed.
    Starved,
    /// The sender says nothing: 10 ms of its background.
    Silence,
}

/// Why a packet does not wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// It was there already.
    Duplicate,
    /// Its time has gone by.
    Late,
    /// Longer than [`LONGEST_PAYLOAD`].
    TooLong,
}

impl JitterBuffer {
    /// An empty buffer for a payload clock of `ticks_per_millisecond`.
    pub fn new(ticks_per_millisecond: u32) -> Self {
        let slot = Slot {
            used: false,
            noise: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            length: 0,
            payload: [0; LONGEST_PAYLOAD],
        };
        Self {
            slots: vec![slot; SLOTS].into_boxed_slice(),
            ticks_per_millisecond: i64::from(ticks_per_millisecond.max(1)),
            timestamps: None,
            sequences: None,
            next: None,
            played: i64::MIN,
            starved: 0,
            silent: false,
            others: [i64::MIN; OTHERS],
            other: 0,
            seen: 0,
            highest: 0,
            delay: DelayEstimate::new(),
        }
    }

    /// As new: nothing is known of the network either.
    pub fn restart(&mut self, ticks_per_millisecond: u32) {
        self.delay = DelayEstimate::new();
        self.reset(ticks_per_millisecond);
    }

    /// Forgets all packets and the source's numbers; keeps what was learned about the network. For a new source, another clock, hold.
    pub fn reset(&mut self, ticks_per_millisecond: u32) {
        for slot in &mut self.slots {
            slot.used = false;
        }
        self.ticks_per_millisecond = i64::from(ticks_per_millisecond.max(1));
        self.timestamps = None;
        self.sequences = None;
        self.next = None;
        self.played = i64::MIN;
        self.starved = 0;
        self.silent = false;
        self.others = [i64::MIN; OTHERS];
        self.seen = 0;
        self.delay.new_clock();
    }

    /// The clock of the payloads, ticks in a millisecond.
    pub const fn ticks_per_millisecond(&self) -> u32 {
        self.ticks_per_millisecond as u32
    }

    /// A packet with sound (or, `noise`, with a description of silence) came. `Ok(true)`: an older one made room for it.
    pub fn insert(
        &mut self,
        now: Instant,
        header: &Header,
        payload: &[u8],
        noise: bool,
    ) -> Result<bool, Unwanted> {
        if payload.len() > LONGEST_PAYLOAD {
            return Err(Unwanted::TooLong);
        }
        let sequence = self.number(header.sequence);
        if !self.first_time(sequence) {
            return Err(Unwanted::Duplicate);
        }
        let timestamps = self.timestamps.get_or_insert(Unwrapped::starting_at(header.timestamp));
        let timestamp = timestamps.follow(header.timestamp);
        if self.delay.arrived(now, self.to_micros(timestamp)) {
            // The sender's clock jumped: what waits belongs to another time.
            for slot in &mut self.slots {
                slot.used = false;
            }
            self.timestamps = Some(Unwrapped::starting_at(header.timestamp));
            self.next = None;
            self.starved = 0;
            self.delay.arrived(now, self.to_micros(i64::from(header.timestamp)));
            return self.insert_at(sequence, i64::from(header.timestamp), header, payload, noise);
        }
        if self.next.is_some_and(|next| timestamp + self.tolerance() < next) || sequence <= self.played {
            return Err(Unwanted::Late);
        }
        self.insert_at(sequence, timestamp, header, payload, noise)
    }

    /// A packet without sound (an event) came: its number is not missing.
    pub fn occupy(&mut self, sequence: u16) {
        let sequence = self.number(sequence);
        self.first_time(sequence);
        if let Some(other) = self.others.get_mut(self.other) {
            *other = sequence;
        }
        self.other = (self.other + 1) % OTHERS;
    }

    /// What to play now.
    pub fn next(&mut self, now: Instant) -> Next {
        let Some(first) = self.first() else { return self.nothing() };
        let (timestamp, sequence) = self.place(first);
        let Some(next) = self.next else { return self.begin(now, first, timestamp) };
        let mut gap = timestamp - next;
        if gap <= self.tolerance() {
            return self.frame(first, timestamp);
        }
        let missing = if self.played == i64::MIN { 0 } else { self.missing_before(sequence) };
        if self.silent || missing <= 0 {
            if gap <= self.starved {
                return self.frame(first, timestamp);
            }
            // Never sent: the next word begins when the delay asks for it.
            return self.begin(now, first, timestamp);
        }
        // Lost. Part of it may be concealed already.
        let already = self.starved.min(gap);
        self.next = Some(next + already);
        self.starved = 0;
        gap -= already;
        if gap <= self.tolerance() {
            return self.frame(first, timestamp);
        }
        let longest = 500 * self.ticks_per_millisecond;
        if gap > longest { self.begin(now, first, timestamp) } else { Next::Gap(gap as u32, first) }
    }

    /// A gap was filled by so many ticks.
    pub fn concealed(&mut self, ticks: u32) {
        if let Some(next) = &mut self.next {
            *next += i64::from(ticks);
        }
    }

    /// The payload type, whether it describes silence, and the payload.
    pub fn payload(&self, handle: Handle) -> (u8, bool, &[u8]) {
        self.slots.get(handle.0).map_or((0, false, &[]), |slot| {
            (slot.payload_type, slot.noise, slot.payload.get(..usize::from(slot.length)).unwrap_or(&[]))
        })
    }

    /// The packet was decoded to so many ticks of sound.
    pub fn played(&mut self, handle: Handle, ticks: u32) {
        let (timestamp, sequence) = self.place(handle);
        if let Some(slot) = self.slots.get_mut(handle.0) {
            slot.used = false;
            self.silent = slot.noise;
        }
        self.played = self.played.max(sequence);
        self.starved = 0;
        self.next = Some(timestamp + i64::from(ticks));
    }

    /// Gives up the oldest packets while more than `most` milliseconds wait beyond the delay aimed at. Returns how many.
    pub fn give_up(&mut self, now: Instant, pending: u64, most: i64) -> u32 {
        let mut given_up = 0;
        while self.excess(now, pending).is_some_and(|excess| excess > most * 1000) {
            let Some(first) = self.first() else { break };
            let (timestamp, sequence) = self.place(first);
            if let Some(slot) = self.slots.get_mut(first.0) {
                slot.used = false;
            }
            self.played = self.played.max(sequence);
            given_up += 1;
            match self.first() {
                // Ten milliseconds before it remain to be bridged.
                Some(after) => self.next = Some(self.place(after).0 - 10 * self.ticks_per_millisecond),
                None => {
                    self.next = Some(timestamp);
                    break;
                }
            }
        }
        given_up
    }

    /// Microseconds by which sound is now played later than aimed at; negative: earlier. `None`: nothing is being played.
    pub fn excess(&self, now: Instant, pending: u64) -> Option<i64> {
        if self.silent {
            return None;
        }
        let playing = self.to_micros(self.next?) - pending as i64;
        Some(self.delay.of(now, playing)? - self.delay.target())
    }

    /// Microseconds a packet without jitter waits here now.
    pub fn delay(&self, now: Instant, pending: u64) -> Option<u64> {
        let playing = self.to_micros(self.next?) - pending as i64;
        Some(self.delay.of(now, playing)?.max(0) as u64)
    }

    /// The delay aimed at, in microseconds.
    pub fn target(&self) -> u64 {
        self.delay.target() as u64
    }

    /// Waits this much longer (microseconds), so that the packet after a lost one is there when the gap is filled.
    pub fn set_lookahead(&mut self, micros: u32) {
        self.delay.set_lookahead(micros);
    }

    /// Whether the sender said it is silent.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Packets waiting.
    pub fn waiting(&self) -> usize {
        self.slots.iter().filter(|slot| slot.used).count()
    }

    fn to_micros(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(1000) / self.ticks_per_millisecond
    }

    /// Timestamps nearer than this are the same: some senders count unevenly.
    const fn tolerance(&self) -> i64 {
        self.ticks_per_millisecond * 2
    }

    fn number(&mut self, sequence: u16) -> i64 {
        // The upper half of 32 bits makes the nearest of 16 bits the nearest of 32.
        let sequence = u32::from(sequence) << 16;
        let sequences = self.sequences.get_or_insert(Unwrapped::starting_at(sequence));
        sequences.follow(sequence) >> 16
    }

    fn first_time(&mut self, sequence: i64) -> bool {
        if self.seen == 0 || sequence > self.highest {
            let ahead = if self.seen == 0 { 64 } else { sequence - self.highest };
            self.seen = if ahead < 64 { self.seen << ahead } else { 0 } | 1;
            self.highest = sequence;
            return true;
        }
        let behind = self.highest - sequence;
        if behind >= 64 {
            return false;
        }
        let fresh = self.seen & 1 << behind == 0;
        self.seen |= 1 << behind;
        fresh
    }

    fn insert_at(
        &mut self,
        sequence: i64,
        timestamp: i64,
        header: &Header,
        payload: &[u8],
        noise: bool,
    ) -> Result<bool, Unwanted> {
        let free = self.slots.iter().position(|slot| !slot.used);
        let full = free.is_none();
        let Some(at) = free.or_else(|| self.first().map(|first| first.0)) else { return Ok(full) };
        if let Some(slot) = self.slots.get_mut(at) {
            if full {
                self.played = self.played.max(slot.sequence);
            }
            slot.used = true;
            slot.noise = noise;
            slot.payload_type = header.payload_type;
            slot.sequence = sequence;
            slot.timestamp = timestamp;
            slot.length = payload.len() as u16;
            if let Some(room) = slot.payload.get_mut(..payload.len()) {
                room.copy_from_slice(payload);
            }
        }
        Ok(full)
    }

    fn first(&self) -> Option<Handle> {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.used);
        used.min_by_key(|(_, slot)| (slot.timestamp, slot.sequence)).map(|(at, _)| Handle(at))
    }

    fn place(&self, handle: Handle) -> (i64, i64) {
        self.slots.get(handle.0).map_or((0, 0), |slot| (slot.timestamp, slot.sequence))
    }

    fn missing_before(&self, sequence: i64) -> i64 {
        let others =
            self.others.iter().filter(|other| **other > self.played && **other < sequence).count() as i64;
        sequence - self.played - 1 - others
    }

    fn nothing(&mut self) -> Next {
        if self.next.is_none() || self.silent {
            return Next::Silence;
        }
        self.starved += 10 * self.ticks_per_millisecond;
        if self.starved > 200 * self.ticks_per_millisecond {
            // Whatever comes next begins anew.
            self.next = None;
            self.starved = 0;
            return Next::Silence;
        }
        Next::Starved
    }

    /// The first packet after a silence: now, if its time has come.
    fn begin(&mut self, now: Instant, first: Handle, timestamp: i64) -> Next {
        if self
            .delay
            .of(now, self.to_micros(timestamp))
            .is_some_and(|waited| waited >= self.delay.target() - 5000)
        {
            self.frame(first, timestamp)
        } else {
            Next::Silence
        }
    }

    fn frame(&mut self, first: Handle, timestamp: i64) -> Next {
        self.next = Some(timestamp);
        self.starved = 0;
        Next::Frame(first)
    }
}
