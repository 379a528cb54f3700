//! Just enough DNS to ask for and give out IPv4 addresses (RFC 1035) and to say where a service is (RFC 2782, RFC 3403).
//!
//! No compression is written; pointers are followed when answers are read. EDNS is not answered, which a resolver must
//! bear (RFC 6891, section 7).

use std::net::Ipv4Addr;

/// Address record.
pub const TYPE_A: u16 = 1;
/// Domain name pointer.
pub const TYPE_PTR: u16 = 12;
/// Location of a service (RFC 2782).
pub const TYPE_SRV: u16 = 33;
/// Naming authority pointer (RFC 3403).
pub const TYPE_NAPTR: u16 = 35;
/// Internet.
const CLASS_IN: u16 = 1;

/// What a name server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These addresses; none: the name has no record of the type asked for.
    Addresses(Vec<Ipv4Addr>),
    /// Records of any types; those of the type asked for are given out.
    Records(Vec<Record>),
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    Failed,
    /// REFUSED.
    Refused,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(Ipv4Addr),
    /// Where a service is.
    Service {
        /// The lowest is tried first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// The host's name.
        target: String,
    },
    /// Which services there are, and under which names.
    Pointer {
        /// The lowest is tried first.
        order: u16,
        /// The lowest of one order is preferred.
        preference: u16,
        /// `s`: the replacement has SRV records.
        flags: String,
        /// `SIP+D2U`, `SIP+D2T` and so on.
        services: String,
        /// The name to go on with.
        replacement: String,
    },
}

impl Record {
    /// Its type.
    pub fn record_type(&self) -> u16 {
        match self {
            Self::Address(_) => TYPE_A,
            Self::Service { .. } => TYPE_SRV,
            Self::Pointer { .. } => TYPE_NAPTR,
        }
    }

    fn data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        match self {
            Self::Address(address) => data.extend(address.octets()),
            Self::Service { priority, weight, port, target } => {
                for word in [priority, weight, port] {
                    data.extend(word.to_be_bytes());
                }
                put_name(&mut data, target);
            }
            Self::Pointer { order, preference, flags, services, replacement } => {
                for word in [order, preference] {
                    data.extend(word.to_be_bytes());
                }
                // The third text, a regular expression, is empty where there is a replacement.
                for text in [flags.as_str(), services.as_str(), ""] {
                    data.push(text.len().min(255) as u8);
                    data.extend(text.bytes().take(255));
                }
                put_name(&mut data, replacement);
            }
        }
        data
    }
}

/// A question off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The asker's id.
    pub id: u16,
    /// Lower case, no dot at the end.
    pub name: String,
    /// Record type.
    pub record_type: u16,
    /// The question section as it came: goes back byte for byte, as RFC 5452 and 0x20 askers want it.
    raw: Vec<u8>,
}

/// A query with one question.
pub fn query(id: u16, name: &str, record_type: u16) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    put_name(&mut message, name);
    message.extend(record_type.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message
}

fn put_name(message: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len().min(63) as u8);
        message.extend(label.bytes().take(63));
    }
    message.push(0);
}

/// Reads a query; `None` when it is none, or malformed.
pub fn read_question(message: &[u8]) -> Option<Question> {
    if message.len() < 12 || message[2] & 0x80 != 0 || word(message, 4)? != 1 {
        return None;
    }
    let (name, end) = read_name(message, 12)?;
    let record_type = word(message, end)?;
    Some(Question { id: word(message, 0)?, name, record_type, raw: message.get(12..end + 4)?.to_vec() })
}

/// The answer to `question`; every record lives `time_to_live` seconds.
pub fn answer(question: &Question, answer: &Answer, time_to_live: u32) -> Vec<u8> {
    let code: u16 = match answer {
        Answer::Addresses(_) | Answer::Records(_) => 0,
        Answer::NoSuchName => 3,
        Answer::Failed => 2,
        Answer::Refused => 5,
    };
    let records: Vec<Record> = match answer {
        Answer::Addresses(addresses) => addresses.iter().copied().map(Record::Address).collect(),
        Answer::Records(records) => records.clone(),
        Answer::NoSuchName | Answer::Failed | Answer::Refused => Vec::new(),
    };
    let records: Vec<&Record> =
        records.iter().filter(|record| record.record_type() == question.record_type).collect();
    let negative = matches!(code, 0 | 3) && records.is_empty();
    let mut message = Vec::new();
    for word in [question.id, 0x8180 | code, 1, records.len() as u16, u16::from(negative), 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(&question.raw);
    for record in records {
        // A pointer to the question's name, then the record.
        message.extend([0xc0, 12]);
        message.extend(record.record_type().to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(time_to_live.to_be_bytes());
        let data = record.data();
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    if negative {
        message.extend(start_of_authority(time_to_live));
    }
    message
}

/// Reads an answer: its id and what it says.
pub fn read_answer(message: &[u8]) -> Option<(u16, Answer)> {
    if message.get(2)? & 0x80 == 0 {
        return None;
    }
    let id = word(message, 0)?;
    let said = match message.get(3)? & 0x0f {
        0 => Answer::Addresses(addresses(message)?),
        3 => Answer::NoSuchName,
        5 => Answer::Refused,
        _ => Answer::Failed,
    };
    Some((id, said))
}

fn addresses(message: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let mut at = 12;
    for _ in 0..word(message, 4)? {
        at = read_name(message, at)?.1 + 4;
    }
    let mut found = Vec::new();
    for _ in 0..word(message, 6)? {
        at = read_name(message, at)?.1;
        let length = word(message, at + 8)? as usize;
        if word(message, at)? == TYPE_A && length == 4 {
            let octets: [u8; 4] = message.get(at + 10..at + 14)?.try_into().ok()?;
            found.push(octets.into());
        }
        at += 10 + length;
    }
    Some(found)
}

/// The SOA of `.`, which is what makes a negative answer cacheable (RFC 2308).
fn start_of_authority(minimum: u32) -> Vec<u8> {
    let mut record = vec![0];
    record.extend(6_u16.to_be_bytes());
    record.extend(CLASS_IN.to_be_bytes());
    record.extend(minimum.to_be_bytes());
    record.extend(22_u16.to_be_bytes());
    record.extend([0, 0]);
    for number in [1, 3600, 600, 86_400, minimum] {
        record.extend(number.to_be_bytes());
    }
    record
}

/// The name at `at` and where it ends.
fn read_name(message: &[u8], at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut end) = (at, None);
    // A name has at most 128 labels, so a loop of pointers ends.
    for _ in 0..128 {
        let length = *message.get(at)? as usize;
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                if !name.is_empty() {
                    name.push('.');
                }
                let label = message.get(at + 1..at + 1 + length)?;
                name.extend(label.iter().map(|byte| byte.to_ascii_lowercase() as char));
                at += 1 + length;
            }
            _ => {
                end = end.or(Some(at + 2));
                at = (length & 0x3f) << 8 | *message.get(at + 1)? as usize;
            }
        }
    }
    None
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_reads_back() {
        let question = read_question(&query(7, "Example.TEST", TYPE_A)).unwrap();
        assert_eq!((question.id, question.name.as_str(), question.record_type), (7, "example.test", TYPE_A));
        for said in [
            Answer::Addresses(vec![[203, 0, 113, 1].into(), [203, 0, 113, 2].into()]),
            Answer::Addresses(vec![]),
            Answer::NoSuchName,
            Answer::Failed,
            Answer::Refused,
        ] {
            assert_eq!(read_answer(&answer(&question, &said, 60)), Some((7, said)));
        }
    }

    #[test]
    fn loops_and_short_messages_are_refused() {
        let mut message = query(1, "a.test", TYPE_A);
        message[12] = 0xc0;
        message[13] = 12;
        assert_eq!(read_question(&message), None);
        for length in 0..12 {
            assert_eq!(read_question(&message[..length]), None);
        }
    }
}
