//! Answers kept for as long as their TTL says, and a little longer for bad days.
//!
//! RFC 1034 section 4.3.4, negative answers RFC 2308, stale answers RFC 8767, TTL reading RFC 2181 section 8.
//! Fixed tables: entries by a keyed hash, bytes in chained blocks, one list in order of use. Every operation
//! is O(message): when an entry or a block is missing, the least recently used entries go, so a flood of unique
//! names costs each newcomer the same as any other. Messages are kept whole as the upstream sent them.

use alloc::boxed::Box;
use alloc::vec;

use dialtone_base::{Duration, Instant};

use crate::message::{Counts, HEADER, Query, Question, Records, Section, flag, kind, rcode, u16_at, u32_at};

/// Bytes of one block; an ordinary answer takes one or two.
const BLOCK: usize = 128;
/// No entry, no block.
const NONE: u32 = u32::MAX;
/// Longest answer kept.
const LONGEST: usize = 4096;
/// No answer is kept longer (RFC 8767 section 4 suggests days at most).
const LONGEST_TTL: u32 = 86_400;
/// No negative answer is kept longer (RFC 2308 section 5: one to three hours).
const LONGEST_NEGATIVE_TTL: u32 = 3_600;
/// How long after its end an answer may still serve while no upstream answers (RFC 8767 section 5).
const STALE: Duration = Duration::from_secs(86_400);
/// The TTL a stale answer carries (RFC 8767 section 4).
const STALE_TTL: u32 = 30;

/// What makes two questions the same to the cache: name, type, class, and the bits that shape an answer.
pub(crate) struct Key {
    hash: u64,
    bits: u16,
    question: [u8; 259],
    length: usize,
}

impl Key {
    /// The key of a query with a question.
    pub fn new(query: &Query<'_>, question: &Question, secret: [u64; 2]) -> Self {
        // RFC 5625 section 4.4: RD, AD and CD reach the upstream as sent, so answers may differ by them.
        let mut bits = query.flags & (flag::RD | flag::AD | flag::CD);
        if let Some(edns) = query.edns {
            bits |= 1 | (edns.dnssec_ok as u16) << 1;
        }
        let mut bytes = [0; 259];
        let raw = query.bytes.get(HEADER..question.end).unwrap_or_default();
        let length = raw.len().min(bytes.len());
        let name = length.saturating_sub(4);
        for (place, byte) in bytes.iter_mut().zip(raw) {
            *place = *byte;
        }
        if let Some(name) = bytes.get_mut(..name) {
            name.make_ascii_lowercase();
        }
        let hash = hash(bytes.get(..length).unwrap_or_default(), bits, secret);
        Self { hash, bits, question: bytes, length }
    }

    fn question(&self) -> &[u8] {
        self.question.get(..self.length).unwrap_or_default()
    }
}

/// Folded multiplication with secret keys: strangers cannot aim at one bucket without knowing them.
fn hash(bytes: &[u8], bits: u16, secret: [u64; 2]) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = a as u128 * b as u128;
        (product as u64) ^ (product >> 64) as u64
    };
    let mut state = secret[0] ^ (bits as u64) << 48 ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.first_chunk::<8>().map_or(0, |octets| u64::from_le_bytes(*octets));
        state = fold(state ^ word, secret[1] | 1);
    }
    let mut tail = [0; 8];
    for (place, byte) in tail.iter_mut().zip(words.remainder()) {
        *place = *byte;
    }
    state = fold(state ^ u64::from_le_bytes(tail), secret[1] | 1);
    fold(state, secret[0] | 1)
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    bits: u16,
    length: u16,
    question: u16,
    used: bool,
    stored: Instant,
    expires: Instant,
    block: u32,
    bucket_next: u32,
    newer: u32,
    older: u32,
}

const VACANT: Entry = Entry {
    hash: 0,
    bits: 0,
    length: 0,
    question: 0,
    used: false,
    stored: Instant::START,
    expires: Instant::START,
    block: NONE,
    bucket_next: NONE,
    newer: NONE,
    older: NONE,
};

/// How an answer from the cache stands with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Within its TTL.
    Fresh,
    /// Past it, but young enough for RFC 8767.
    Stale,
}

/// The table of answers.
pub(crate) struct Cache {
    entries: Box<[Entry]>,
    buckets: Box<[u32]>,
    blocks: Box<[[u8; BLOCK]]>,
    block_next: Box<[u32]>,
    free_entry: u32,
    free_block: u32,
    free_blocks: u32,
    newest: u32,
    oldest: u32,
    length: u32,
    evicted: u64,
}

impl Cache {
    /// For at most `entries` answers of together at most `bytes` bytes.
    pub fn new(entries: usize, bytes: usize) -> Self {
        let entries = entries.clamp(1, 1 << 20);
        let blocks = (bytes / BLOCK).clamp(LONGEST / BLOCK, 1 << 24);
        let mut cache = Self {
            entries: vec![VACANT; entries].into_boxed_slice(),
            buckets: vec![NONE; entries.next_power_of_two()].into_boxed_slice(),
            blocks: vec![[0; BLOCK]; blocks].into_boxed_slice(),
            block_next: vec![NONE; blocks].into_boxed_slice(),
            free_entry: NONE,
            free_block: NONE,
            free_blocks: 0,
            newest: NONE,
            oldest: NONE,
            length: 0,
            evicted: 0,
        };
        cache.clear();
        cache
    }

    /// Forgets everything. O(table): for changes of settings only.
    pub fn clear(&mut self) {
        self.buckets.fill(NONE);
        for (index, entry) in self.entries.iter_mut().enumerate() {
            *entry = Entry { bucket_next: index as u32 + 1, ..VACANT };
        }
        if let Some(last) = self.entries.last_mut() {
            last.bucket_next = NONE;
        }
        for (index, next) in self.block_next.iter_mut().enumerate() {
            *next = index as u32 + 1;
        }
        if let Some(last) = self.block_next.last_mut() {
            *last = NONE;
        }
        self.free_entry = 0;
        self.free_block = 0;
        self.free_blocks = self.blocks.len() as u32;
        self.newest = NONE;
        self.oldest = NONE;
        self.length = 0;
    }

    /// Answers in it, stale ones included.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Answers that had to go before their time.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Copies the answer to `key` into `out`, TTLs counted down, AA cleared; its length and freshness. The id and the
    /// question are the first asker's: the caller overwrites them.
    pub fn read(&mut self, now: Instant, key: &Key, out: &mut [u8]) -> Option<(usize, Freshness)> {
        let index = self.find(key)?;
        let entry = *self.entries.get(index as usize)?;
        let freshness = if now < entry.expires {
            Freshness::Fresh
        } else if now < entry.expires + STALE {
            Freshness::Stale
        } else {
            self.remove(index);
            return None;
        };
        let length = entry.length as usize;
        let out = out.get_mut(..length)?;
        let mut block = entry.block;
        for part in out.chunks_mut(BLOCK) {
            let bytes = self.blocks.get(block as usize)?.get(..part.len())?;
            part.copy_from_slice(bytes);
            block = self.block_next.get(block as usize).copied().unwrap_or(NONE);
        }
        let age = now.since(entry.stored).as_secs() as u32;
        age_records(out, HEADER + entry.question as usize, age, freshness);
        if let Some(byte) = out.get_mut(2) {
            *byte &= !((flag::AA >> 8) as u8);
        }
        if freshness == Freshness::Fresh && self.newest != index {
            self.unlink(index);
            self.link_newest(index);
        }
        Some((length, freshness))
    }

    /// Keeps `message` (with its question at offset 12) as the answer to `key` for `ttl` seconds.
    pub fn insert(&mut self, now: Instant, key: &Key, message: &[u8], ttl: u32) {
        if message.len() > LONGEST || message.len() < HEADER + key.length {
            return;
        }
        if let Some(old) = self.find(key) {
            self.remove(old);
        }
        let needed = message.len().div_ceil(BLOCK) as u32;
        while self.free_blocks < needed || self.free_entry == NONE {
            if self.oldest == NONE {
                return;
            }
            self.evicted += 1;
            self.remove(self.oldest);
        }
        let index = self.free_entry;
        let Some(bucket) = self.bucket(key.hash) else { return };
        let block = self.store(message, key);
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        self.free_entry = entry.bucket_next;
        *entry = Entry {
            hash: key.hash,
            bits: key.bits,
            length: message.len() as u16,
            question: key.length as u16,
            used: true,
            stored: now,
            expires: now + Duration::from_secs(ttl as u64),
            block,
            bucket_next: NONE,
            newer: NONE,
            older: NONE,
        };
        if let Some(head) = self.buckets.get_mut(bucket) {
            entry.bucket_next = *head;
            *head = index;
        }
        self.link_newest(index);
        self.length += 1;
    }

    fn bucket(&self, hash: u64) -> Option<usize> {
        Some(hash as usize & self.buckets.len().checked_sub(1)?)
    }

    fn find(&self, key: &Key) -> Option<u32> {
        let mut index = *self.buckets.get(self.bucket(key.hash)?)?;
        while let Some(entry) = self.entries.get(index as usize) {
            if entry.hash == key.hash && entry.bits == key.bits && self.same_question(entry, key) {
                return Some(index);
            }
            index = entry.bucket_next;
        }
        None
    }

    fn same_question(&self, entry: &Entry, key: &Key) -> bool {
        if entry.question as usize != key.length {
            return false;
        }
        let mut left = key.question();
        let mut block = entry.block;
        let mut from = HEADER;
        while !left.is_empty() {
            let Some(bytes) = self.blocks.get(block as usize).and_then(|bytes| bytes.get(from..)) else {
                return false;
            };
            let (here, rest) = left.split_at(left.len().min(bytes.len()));
            if bytes.get(..here.len()) != Some(here) {
                return false;
            }
            left = rest;
            from = 0;
            block = self.block_next.get(block as usize).copied().unwrap_or(NONE);
        }
        true
    }

    /// Copies the message into free blocks, the question folded as in the key. There are enough: checked before.
    fn store(&mut self, message: &[u8], key: &Key) -> u32 {
        let question = HEADER..HEADER + key.length;
        let first = self.free_block;
        let mut at = 0;
        let mut last = NONE;
        for part in message.chunks(BLOCK) {
            let index = self.free_block;
            let Some(block) = self.blocks.get_mut(index as usize) else { break };
            for (offset, (place, byte)) in block.iter_mut().zip(part).enumerate() {
                let position = at + offset;
                *place = if position >= question.start && position < question.end {
                    key.question.get(position - HEADER).copied().unwrap_or(0)
                } else {
                    *byte
                };
            }
            at += BLOCK;
            last = index;
            self.free_block = self.block_next.get(index as usize).copied().unwrap_or(NONE);
            self.free_blocks -= 1;
        }
        if let Some(next) = self.block_next.get_mut(last as usize) {
            *next = NONE;
        }
        first
    }

    fn remove(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index as usize).copied().filter(|entry| entry.used) else {
            return;
        };
        self.unlink(index);
        self.leave_bucket(index, &entry);
        let mut block = entry.block;
        while let Some(next) = self.block_next.get_mut(block as usize) {
            let following = *next;
            *next = self.free_block;
            self.free_block = block;
            self.free_blocks += 1;
            block = following;
        }
        if let Some(entry) = self.entries.get_mut(index as usize) {
            *entry = Entry { bucket_next: self.free_entry, ..VACANT };
            self.free_entry = index;
            self.length -= 1;
        }
    }

    fn leave_bucket(&mut self, index: u32, entry: &Entry) {
        let Some(bucket) = self.bucket(entry.hash) else { return };
        let Some(head) = self.buckets.get_mut(bucket) else { return };
        if *head == index {
            *head = entry.bucket_next;
            return;
        }
        let mut at = *head;
        while let Some(before) = self.entries.get_mut(at as usize) {
            if before.bucket_next == index {
                before.bucket_next = entry.bucket_next;
                return;
            }
            at = before.bucket_next;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.entries.get(index as usize).copied() else { return };
        match self.entries.get_mut(entry.newer as usize) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        match self.entries.get_mut(entry.older as usize) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
    }

    fn link_newest(&mut self, index: u32) {
        let before = self.newest;
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.newer = NONE;
            entry.older = before;
        }
        match self.entries.get_mut(before as usize) {
            Some(second) => second.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
    }
}

/// Counts every TTL down by `age` seconds; a stale answer's all become [`STALE_TTL`].
fn age_records(message: &mut [u8], start: usize, age: u32, freshness: Freshness) {
    let Some(counts) = Counts::read(message) else { return };
    let mut at = start;
    for _ in 0..counts.records() {
        let Some(name_end) = crate::message::skip_name(message, at) else { return };
        let Some(fixed) = message.get_mut(name_end..).and_then(|rest| rest.first_chunk_mut::<10>()) else {
            return;
        };
        let [type_high, type_low, _, _, a, b, c, d, length_high, length_low] = *fixed;
        if u16::from_be_bytes([type_high, type_low]) != kind::OPT {
            let ttl = match freshness {
                Freshness::Fresh => u32::from_be_bytes([a, b, c, d]).saturating_sub(age),
                Freshness::Stale => STALE_TTL,
            };
            let [w, x, y, z] = ttl.to_be_bytes();
            *fixed = [type_high, type_low, fixed[2], fixed[3], w, x, y, z, length_high, length_low];
        }
        at = name_end + 10 + u16::from_be_bytes([length_high, length_low]) as usize;
    }
}

/// What of an upstream's answer may be kept: how many of its bytes, and for how many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Bytes from the front; less than all when the OPT's options are left out.
    pub length: usize,
    /// Whether the closing OPT's data length must become zero (at `length - 2`).
    pub cut_options: bool,
    /// Seconds.
    pub ttl: u32,
}

/// Decides whether and how long `message` may be kept: never truncated ones or failures, negative ones by their SOA.
pub(crate) fn keep(message: &[u8], question: &Question) -> Option<Keep> {
    let flags = u16_at(message, 2)?;
    let code = flags & flag::RCODE;
    if flags & flag::TC != 0 || !(code == rcode::NOERROR || code == rcode::NXDOMAIN) {
        return None;
    }
    // A single label may become a device's name any moment.
    if question.labels < 2 && question.kind != kind::NS && question.kind != kind::DS {
        return None;
    }
    let counts = Counts::read(message)?;
    let mut ttl = LONGEST_TTL;
    let mut answered = false;
    let mut negative_ttl = None;
    let mut length = message.len();
    let mut cut_options = false;
    let mut opt_seen = false;
    for record in Records::new(message, question.end, counts) {
        let record = record.ok()?;
        if opt_seen && cut_options {
            // Something behind an OPT that would have to shrink: rare, not worth moving bytes for.
            return None;
        }
        if record.kind == kind::OPT {
            // Extended response codes and versions are not ours to keep.
            if record.ttl >> 16 != 0 {
                return None;
            }
            opt_seen = true;
            cut_options = !record.data.is_empty();
            length = record.data.start;
            continue;
        }
        // RFC 2181 section 8: the top bit set means zero.
        let own = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
        ttl = ttl.min(own);
        match record.section {
            Section::Answer => {
                answered |= record.kind == question.kind
                    || question.kind == kind::ANY
                    || !matches!(record.kind, kind::CNAME | kind::RRSIG);
            }
            Section::Authority if record.kind == kind::SOA => {
                // RFC 2308 section 5: the last field of the SOA, and its own TTL.
                let minimum = u32_at(message, record.data.end.checked_sub(4)?)?;
                negative_ttl = Some(own.min(minimum).min(LONGEST_NEGATIVE_TTL));
            }
            _ => {}
        }
    }
    if !opt_seen {
        length = message.len();
    }
    if code == rcode::NXDOMAIN || !answered {
        ttl = ttl.min(negative_ttl?);
    }
    (ttl > 0).then_some(Keep { length, cut_options, ttl })
}
