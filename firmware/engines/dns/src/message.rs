//! The few parts of a DNS message a forwarder looks at, read in place.
//!
//! RFC 1035 section 4.1, OPT from RFC 6891 section 6.1. Names are skipped, not expanded: the cache and the
//! answer check compare questions byte by byte, and a question carries no compression. Does not build messages
//! ([`crate::reply`] does).

use core::ops::Range;

/// Bytes before the question.
pub(crate) const HEADER: usize = 12;

/// Record types the forwarder knows; everything else passes through.
pub(crate) mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const NAPTR: u16 = 35;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// The Internet class.
pub(crate) const CLASS_IN: u16 = 1;

/// Bits of the header's flag word.
pub(crate) mod flag {
    pub const QR: u16 = 0x8000;
    pub const OPCODE: u16 = 0x7800;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
    pub const RCODE: u16 = 0x000f;
}

/// Response codes the forwarder reads or gives.
pub(crate) mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const REFUSED: u16 = 5;
}

/// The message is not what its counts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|octets| u16::from_be_bytes(*octets))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|octets| u32::from_be_bytes(*octets))
}

/// Overwrites two bytes; nothing happens beyond the end.
pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *place = value.to_be_bytes();
    }
}

/// The question section's only entry, at offset 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// First byte behind it.
    pub end: usize,
    /// Type asked for.
    pub kind: u16,
    /// Class asked for.
    pub class: u16,
    /// Labels of the name, the root not counted.
    pub labels: usize,
}

impl Question {
    /// Where the name lies, its closing zero included.
    pub fn name(&self) -> Range<usize> {
        HEADER..self.end.saturating_sub(4)
    }

    /// Reads an uncompressed question at offset 12.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut at = HEADER;
        let mut labels = 0;
        loop {
            let length = *bytes.get(at).ok_or(Malformed)? as usize;
            if length > 63 {
                return Err(Malformed);
            }
            at += 1 + length;
            if at - HEADER > 255 {
                return Err(Malformed);
            }
            if length == 0 {
                break;
            }
            labels += 1;
        }
        let kind = u16_at(bytes, at).ok_or(Malformed)?;
        let class = u16_at(bytes, at + 2).ok_or(Malformed)?;
        Ok(Self { end: at + 4, kind, class, labels })
    }
}

/// What a query's OPT record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// Largest UDP answer the client takes, as it said.
    pub size: u16,
    /// The DNSSEC-OK bit.
    pub dnssec_ok: bool,
    /// Version 0, and no option that could shape the answer (RFC 7871 client subnet, unknown ones).
    pub plain: bool,
}

/// A client's message, as far as the forwarder reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub bytes: &'a [u8],
    pub id: u16,
    pub flags: u16,
    /// Absent when the section is empty (RFC 7873 section 5.4 cookie queries).
    pub question: Option<Question>,
    pub edns: Option<Edns>,
}

impl<'a> Query<'a> {
    /// Reads a query with the opcode QUERY; other opcodes go through unread (RFC 5625 section 4.2).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let id = u16_at(bytes, 0).ok_or(Malformed)?;
        let flags = u16_at(bytes, 2).ok_or(Malformed)?;
        let counts = Counts::read(bytes).ok_or(Malformed)?;
        let question = match counts.questions {
            0 => None,
            1 => Some(Question::parse(bytes)?),
            // RFC 9619: QUERY carries at most one question.
            _ => return Err(Malformed),
        };
        let mut edns = None;
        if counts.records() > 0 {
            let start = question.map_or(HEADER, |question| question.end);
            for record in Records::new(bytes, start, counts) {
                let record = record?;
                if record.kind == kind::OPT {
                    edns = Some(Edns::read(bytes, &record));
                }
            }
        }
        Ok(Self { bytes, id, flags, question, edns })
    }

    /// Bytes of UDP answer the client takes: RFC 6891 section 6.2.3, at least 512.
    pub fn udp_limit(&self) -> usize {
        self.edns.map_or(512, |edns| edns.size.max(512)) as usize
    }
}

impl Edns {
    fn read(bytes: &[u8], record: &Record) -> Self {
        let version = (record.ttl >> 16) as u8;
        let data = bytes.get(record.data.clone()).unwrap_or_default();
        let plain = version == 0 && options_do_not_shape_the_answer(data);
        Self { size: record.class, dnssec_ok: record.ttl & 0x8000 != 0, plain }
    }
}

/// NSID 3, cookie 10, keepalive 11 and padding 12 concern the conversation, not the answer.
fn options_do_not_shape_the_answer(data: &[u8]) -> bool {
    let mut at = 0;
    while at < data.len() {
        let (Some(code), Some(length)) = (u16_at(data, at), u16_at(data, at + 2)) else { return false };
        if !matches!(code, 3 | 10 | 11 | 12) {
            return false;
        }
        at += 4 + length as usize;
    }
    true
}

/// The header's four counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub questions: u16,
    pub answers: u16,
    pub authorities: u16,
    pub additionals: u16,
}

impl Counts {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            questions: u16_at(bytes, 4)?,
            answers: u16_at(bytes, 6)?,
            authorities: u16_at(bytes, 8)?,
            additionals: u16_at(bytes, 10)?,
        })
    }

    /// Records of all three sections.
    pub fn records(&self) -> u32 {
        self.answers as u32 + self.authorities as u32 + self.additionals as u32
    }
}

/// Which part of the message a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// One resource record, by position.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub section: Section,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Range<usize>,
}

/// Walks the records behind the question; ends after the first error.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    answers: u32,
    authorities: u32,
    left: u32,
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8], start: usize, counts: Counts) -> Self {
        Self {
            bytes,
            at: start,
            answers: counts.answers as u32,
            authorities: counts.authorities as u32,
            left: counts.records(),
        }
    }

    fn read(&mut self) -> Option<Record> {
        let at = skip_name(self.bytes, self.at)?;
        let kind = u16_at(self.bytes, at)?;
        let class = u16_at(self.bytes, at + 2)?;
        let ttl = u32_at(self.bytes, at + 4)?;
        let length = u16_at(self.bytes, at + 8)? as usize;
        let data = at + 10..at + 10 + length;
        if data.end > self.bytes.len() {
            return None;
        }
        let section = if self.answers > 0 {
            self.answers -= 1;
            Section::Answer
        } else if self.authorities > 0 {
            self.authorities -= 1;
            Section::Authority
        } else {
            Section::Additional
        };
        self.at = data.end;
        Some(Record { section, kind, class, ttl, data })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read();
        if record.is_none() {
            self.left = 0;
        }
        Some(record.ok_or(Malformed))
    }
}

/// First byte behind the name at `at`. A pointer ends a name; where it points is not followed.
pub(crate) fn skip_name(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + length as usize,
            0xc0..=0xff => return (at + 2 <= bytes.len()).then_some(at + 2),
            _ => return None,
        }
    }
}
