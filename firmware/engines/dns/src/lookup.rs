//! The router's own look-ups: a question for a name's records, and the records in its answer.
//!
//! The router asks its own forwarder as any client does, so its questions are cached and checked alike. A (RFC 1035),
//! SRV (RFC 2782) and NAPTR (RFC 3403) are read: what NTP and SIP (RFC 3263) need.

use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use heapless::Vec;

use crate::message::{
    CLASS_IN, Counts, HEADER, Question, Records, Section, flag, kind, put_u16, rcode, u16_at,
};
use crate::name::WireName;

/// Addresses taken from one answer.
pub const ADDRESSES: usize = 4;
/// Records taken from one answer.
pub const RECORDS: usize = 16;
/// Pointers followed in one name (RFC 1035 section 4.1.4); honest messages need one or two.
const POINTERS: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// Servers of a service, RFC 2782.
    Srv,
    /// Which services there are, RFC 3403.
    Naptr,
}

/// One record of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seconds it may be remembered.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    A(Ipv4Addr),
    /// RFC 2782.
    Srv {
        /// Lower is asked first.
        priority: u16,
        /// Share among servers of one priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its name; `.` when the service is decidedly not available.
        target: Text<127>,
    },
    /// RFC 3403.
    Naptr {
        /// Lower is processed first.
        order: u16,
        /// Lower is preferred.
        preference: u16,
        /// What the replacement is, e.g. `s`.
        flags: Text<7>,
        /// Which service, e.g. `SIP+D2U`.
        service: Text<31>,
        /// The next name.
        replacement: Text<127>,
    },
}

/// How a look-up ended without records of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The text is no name.
    NotAName,
    /// The name does not exist (RFC 1035 RCODE 3).
    NoSuchName,
    /// Nobody answered in time, or with an error.
    NoAnswer,
}

impl Kind {
    const fn code(self) -> u16 {
        match self {
            Self::A => kind::A,
            Self::Srv => kind::SRV,
            Self::Naptr => kind::NAPTR,
        }
    }
}

/// Writes the question for `name`'s addresses; its length. `None` when the text is no name or `out` is too short.
pub fn write_question(name: &str, id: u16, out: &mut [u8]) -> Option<usize> {
    write_question_for(name, Kind::A, id, out)
}

/// Writes the question for `name`'s records of one kind; its length. `None` when the text is no name or `out` is too short.
pub fn write_question_for(name: &str, wanted: Kind, id: u16, out: &mut [u8]) -> Option<usize> {
    let name = WireName::from_text(name)?;
    let name = name.as_bytes();
    let end = HEADER + name.len() + 4;
    let message = out.get_mut(..end)?;
    message.fill(0);
    message.get_mut(HEADER..end - 4)?.copy_from_slice(name);
    put_u16(message, 0, id);
    put_u16(message, 2, flag::RD);
    put_u16(message, 4, 1);
    put_u16(message, end - 4, wanted.code());
    put_u16(message, end - 2, CLASS_IN);
    Some(end)
}

/// The addresses in an answer; none when it is an error or does not parse.
pub fn addresses(message: &[u8]) -> Vec<Ipv4Addr, ADDRESSES> {
    let mut out = Vec::new();
    for record in records(message, Kind::A).unwrap_or_default() {
        if let Data::A(address) = record.data {
            // More than are wanted are left.
            let _ = out.push(address);
        }
    }
    out
}

/// The records of one kind in an answer, aliases followed by whoever answered; none when the name has none of that kind.
///
/// # Errors
/// [`Failure::NoSuchName`] or [`Failure::NoAnswer`]; a message that does not parse is no answer.
pub fn records(message: &[u8], wanted: Kind) -> Result<Vec<Record, RECORDS>, Failure> {
    let flags = u16_at(message, 2).ok_or(Failure::NoAnswer)?;
    match flags & flag::RCODE {
        rcode::NOERROR => {}
        rcode::NXDOMAIN => return Err(Failure::NoSuchName),
        _ => return Err(Failure::NoAnswer),
    }
    let (Ok(question), Some(counts)) = (Question::parse(message), Counts::read(message)) else {
        return Err(Failure::NoAnswer);
    };
    let mut out = Vec::new();
    for record in Records::new(message, question.end, counts).map_while(Result::ok) {
        let fits = record.section == Section::Answer
            && record.kind == wanted.code()
            && record.class == CLASS_IN
            && record.data.end <= message.len();
        let data = if fits { read(message, wanted, record.data.start, record.data.end) } else { None };
        if let Some(data) = data
            && out.push(Record { ttl: record.ttl, data }).is_err()
        {
            break;
        }
    }
    Ok(out)
}

fn read(message: &[u8], wanted: Kind, start: usize, end: usize) -> Option<Data> {
    match wanted {
        Kind::A => {
            let octets = <[u8; 4]>::try_from(message.get(start..end)?).ok()?;
            Some(Data::A(Ipv4Addr::from(octets)))
        }
        Kind::Srv => Some(Data::Srv {
            priority: u16_at(message, start)?,
            weight: u16_at(message, start + 2)?,
            port: u16_at(message, start + 4)?,
            target: name_at(message, start + 6)?,
        }),
        Kind::Naptr => {
            let (flags, at) = character_string(message, start + 4)?;
            let (service, at) = character_string(message, at)?;
            let (_regular_expression, at) = character_string(message, at)?;
            Some(Data::Naptr {
                order: u16_at(message, start)?,
                preference: u16_at(message, start + 2)?,
                flags: Text::from_wire(flags),
                service: Text::from_wire(service),
                replacement: name_at(message, at)?,
            })
        }
    }
}

/// RFC 1035 section 3.3: a length and that many bytes; also where the next thing begins.
fn character_string(message: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = usize::from(*message.get(at)?);
    let end = at + 1 + length;
    Some((message.get(at + 1..end)?, end))
}

/// A name as text, pointers followed backwards only, so that it ends.
fn name_at(message: &[u8], at: usize) -> Option<Text<127>> {
    use core::fmt::Write;
    let mut text = Text::<127>::new();
    let (mut at, mut pointers) = (at, 0);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => break,
            1..=63 => {
                let label = message.get(at + 1..at + 1 + length)?;
                // A name of service records is a host name or carries underscores; anything else is not asked for again.
                if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                    return None;
                }
                let label = core::str::from_utf8(label).ok()?;
                if text.len() + label.len() + 1 > 127 {
                    return None;
                }
                if !text.is_empty() {
                    let _ = text.write_char('.');
                }
                let _ = text.write_str(label);
                at += 1 + length;
            }
            0xc0..=0xff => {
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                pointers += 1;
                if target >= at || pointers > POINTERS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
    if text.is_empty() {
        let _ = text.write_char('.');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(wanted: Kind, data: &[&[u8]]) -> Vec<u8, 512> {
        let mut bytes = [0; 300];
        let end = write_question_for("_sip._udp.example.com", wanted, 7, &mut bytes).unwrap();
        put_u16(&mut bytes, 2, flag::QR | flag::RD);
        put_u16(&mut bytes, 6, data.len() as u16);
        let mut message = Vec::from_slice(&bytes[..end]).unwrap();
        for data in data {
            // A pointer to the question's name.
            message.extend_from_slice(&[0xc0, 12]).unwrap();
            message.extend_from_slice(&wanted.code().to_be_bytes()).unwrap();
            message.extend_from_slice(&[0, 1, 0, 0, 0, 60]).unwrap();
            message.extend_from_slice(&(data.len() as u16).to_be_bytes()).unwrap();
            message.extend_from_slice(data).unwrap();
        }
        message
    }

    #[test]
    fn srv_records_name_servers_also_by_pointer() {
        // "example.com" stands at 12 + 1 + 4 + 1 + 4 = 22 in the question.
        let pointed = [&[0, 10, 0, 60, 0x13, 0xc4, 2][..], b"s1", &[0xc0, 22]].concat();
        let plain = [&[0, 20, 0, 0, 0x13, 0xc4][..], b"\x02s2\x07example\x03net\0"].concat();
        let records = records(&answer(Kind::Srv, &[&pointed, &plain]), Kind::Srv).unwrap();
        assert_eq!(
            records.as_slice(),
            [
                Record {
                    ttl: 60,
                    data: Data::Srv { priority: 10, weight: 60, port: 5060, target: "s1.example.com".into() }
                },
                Record {
                    ttl: 60,
                    data: Data::Srv { priority: 20, weight: 0, port: 5060, target: "s2.example.net".into() }
                },
            ]
        );
    }

    #[test]
    fn naptr_records_name_services() {
        let data = [&[0, 50, 0, 10][..], b"\x01s\x07SIP+D2T\0\x04_sip\x04_tcp\x07example\x03com\0"].concat();
        let records = records(&answer(Kind::Naptr, &[&data]), Kind::Naptr).unwrap();
        let Data::Naptr { order, preference, flags, service, replacement } = &records[0].data else {
            panic!("a NAPTR record")
        };
        assert_eq!((*order, *preference), (50, 10));
        assert_eq!((&**flags, &**service, &**replacement), ("s", "SIP+D2T", "_sip._tcp.example.com"));
    }

    #[test]
    fn pointers_that_go_round_and_names_with_markup_are_no_records() {
        let around = [&[0, 10, 0, 60, 0x13, 0xc4][..], &[0xc0, 0xff]].concat();
        let message = answer(Kind::Srv, &[&around]);
        assert_eq!(records(&message, Kind::Srv), Ok(Vec::new()));
        let markup = [&[0, 10, 0, 60, 0x13, 0xc4][..], b"\x03<b>\0"].concat();
        assert_eq!(records(&answer(Kind::Srv, &[&markup]), Kind::Srv), Ok(Vec::new()));
        assert_eq!(records(&message[..5], Kind::Srv), Err(Failure::NoAnswer));
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_silence() {
        let mut message = answer(Kind::A, &[]);
        put_u16(&mut message, 2, flag::QR | rcode::NXDOMAIN);
        assert_eq!(records(&message, Kind::A), Err(Failure::NoSuchName));
        put_u16(&mut message, 2, flag::QR | rcode::SERVFAIL);
        assert_eq!(records(&message, Kind::A), Err(Failure::NoAnswer));
    }
}
