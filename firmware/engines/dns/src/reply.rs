//! Builds the answers the router gives itself: local data, refusals, truncation notes.
//!
//! RFC 1035 section 4.1, RFC 2308 section 3 (SOA with negative answers), RFC 6891 section 7 (an OPT answers an OPT).

use crate::message::{HEADER, Query, flag, kind, put_u16};

/// UDP size the router itself advertises in answers of its own (RFC 9715 section 3.2).
const OWN_UDP_SIZE: u16 = 1232;

/// Writes one answer into a buffer; what does not fit is left out and shows as truncation.
pub(crate) struct Reply<'a> {
    out: &'a mut [u8],
    length: usize,
    answers: u16,
    authorities: u16,
    additionals: u16,
    overflow: bool,
}

impl<'a> Reply<'a> {
    /// Header and question of `query` with the given response code; `authoritative` for local data.
    pub fn new(out: &'a mut [u8], query: &Query<'_>, rcode: u16, authoritative: bool) -> Self {
        let mut reply = Self { out, length: 0, answers: 0, authorities: 0, additionals: 0, overflow: false };
        let kept = query.flags & (flag::OPCODE | flag::RD | flag::CD);
        let own = flag::QR | flag::RA | if authoritative { flag::AA } else { 0 };
        reply.u16(query.id);
        reply.u16(kept | own | rcode);
        reply.u16(query.question.is_some() as u16);
        reply.bytes(&[0; 6]);
        if let Some(question) = query.question {
            reply.bytes(query.bytes.get(HEADER..question.end).unwrap_or_default());
        }
        reply
    }

    /// A record of the answer section that belongs to the name asked for.
    pub fn answer(&mut self, kind: u16, ttl: u32, data: &[u8]) {
        self.record(HEADER, kind, ttl, data);
        self.answers += 1;
    }

    /// The SOA of a negative answer; its owner is the question's name from byte `zone_at` on.
    pub fn negative(&mut self, zone_at: usize, ttl: u32) {
        // RFC 6303 section 3: a name server and mailbox that lead nowhere.
        let mut data = [0; 47];
        let (names, numbers) = data.split_at_mut(27);
        names.copy_from_slice(b"\x09localhost\0\x06nobody\x07invalid\0");
        let values = [1, 3600, 1200, 604_800, ttl];
        for (place, value) in numbers.chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&u32::to_be_bytes(value));
        }
        self.record(HEADER + zone_at, kind::SOA, ttl, &data);
        self.authorities += 1;
    }

    /// Length of the finished message.
    pub fn finish(mut self, query: &Query<'_>) -> usize {
        if let Some(edns) = query.edns {
            let flags: u32 = if edns.dnssec_ok { 0x8000 } else { 0 };
            self.bytes(&[0]);
            self.u16(kind::OPT);
            self.u16(OWN_UDP_SIZE);
            self.bytes(&flags.to_be_bytes());
            self.u16(0);
            self.additionals += 1;
        }
        put_u16(self.out, 6, self.answers);
        put_u16(self.out, 8, self.authorities);
        put_u16(self.out, 10, self.additionals);
        if self.overflow { 0 } else { self.length }
    }

    fn record(&mut self, owner: usize, kind: u16, ttl: u32, data: &[u8]) {
        self.u16(0xc000 | owner as u16);
        self.u16(kind);
        self.u16(crate::message::CLASS_IN);
        self.bytes(&ttl.to_be_bytes());
        self.u16(data.len() as u16);
        self.bytes(data);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.overflow = true,
        }
    }
}

/// The answer to a message that cannot be read: its header back with FORMERR (RFC 1035 section 4.1.1).
pub(crate) fn format_error(out: &mut [u8], bytes: &[u8], rcode: u16) -> usize {
    let Some(header) = bytes.get(..4) else { return 0 };
    let Some(place) = out.get_mut(..HEADER) else { return 0 };
    place.fill(0);
    if let Some(head) = place.get_mut(..4) {
        head.copy_from_slice(header);
    }
    let flags = crate::message::u16_at(bytes, 2).unwrap_or(0) & (flag::OPCODE | flag::RD | flag::CD);
    put_u16(place, 2, flags | flag::QR | flag::RA | rcode);
    HEADER
}
