//! Reads a session description in place: nothing is copied, everything is bounded.
//!
//! RFC 8866 §5 and §9, as leniently as real phones need: lines may end with LF alone, `s=` and `t=` may be missing, lines of unknown
//! kinds and attributes that are not UTF-8 are skipped. What is wrong is told with the number of its line.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

use heapless::Vec;

use crate::stream::Direction;

/// A longer description is refused unread.
pub const LONGEST_TEXT: usize = 8192;
/// `m=` lines a description may have.
pub const MOST_MEDIA: usize = 8;
/// Formats remembered of an `m=` line; further ones are the peer's least wanted.
pub const MOST_FORMATS: usize = 24;

/// A session description in the caller's buffer.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    /// `o=`.
    pub origin: Origin<'a>,
    /// Session-wide `c=`.
    pub connection: Option<IpAddr>,
    /// Session-wide direction, as the writer of the text sees it.
    pub direction: Option<Direction>,
    /// The `m=` sections in order.
    pub media: Vec<Media<'a>, MOST_MEDIA>,
}

/// Who made the description, and which version of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Session id; some write more digits than 64 bits hold.
    pub session_id: &'a str,
    /// Session version.
    pub version: &'a str,
}

/// One `m=` section.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// `audio`, `image`, `video`…
    pub kind: &'a str,
    /// 0: refused or no longer wanted.
    pub port: u16,
    /// `RTP/AVP`, `udptl`…
    pub protocol: &'a str,
    /// Payload types, or names.
    pub formats: Vec<&'a str, MOST_FORMATS>,
    /// This section's `c=`, else the session's.
    pub connection: Option<IpAddr>,
    lines: &'a [u8],
}

/// `a=name:value`; the value is empty for a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Before the colon.
    pub name: &'a str,
    /// After it.
    pub value: &'a str,
}

/// The attributes of one section.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    lines: Lines<'a>,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Line number, from 1.
    pub line: u16,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Longer than [`LONGEST_TEXT`].
    TooLong,
    /// The text does not begin with `v=0`.
    Version,
    /// A line is not `letter=value`.
    Line,
    /// `o=` is missing or lacks a part.
    Origin,
    /// `c=` names no Internet address.
    Connection,
    /// `m=` lacks a part, or its port is no port.
    Media,
    /// More than [`MOST_MEDIA`] `m=` lines.
    TooManyMedia,
}

impl<'a> Description<'a> {
    /// Reads a description.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        if text.len() > LONGEST_TEXT {
            return Err(Malformed { line: 1, fault: Fault::TooLong });
        }
        let mut lines = Lines { rest: text, number: 0 };
        let mut origin = None;
        let mut connection = None;
        let mut direction = None;
        let mut media: Vec<Media<'a>, MOST_MEDIA> = Vec::new();
        let mut version = false;
        while let Some((number, line)) = lines.next() {
            let fail = |fault| Malformed { line: number, fault };
            let (kind, value) =
                split_line(line).ok_or(fail(if version { Fault::Line } else { Fault::Version }))?;
            if !version {
                if kind != b'v' || value.trim_ascii() != b"0" {
                    return Err(fail(Fault::Version));
                }
                version = true;
                continue;
            }
            match kind {
                b'o' if origin.is_none() => origin = Some(read_origin(value).ok_or(fail(Fault::Origin))?),
                b'c' => {
                    let address = read_connection(value).ok_or(fail(Fault::Connection))?;
                    match media.last_mut() {
                        Some(section) => section.connection = Some(address),
                        None => connection = Some(address),
                    }
                }
                b'a' if media.is_empty() => {
                    if let Some(attribute) = read_attribute(value) {
                        direction = attribute.direction().or(direction);
                    }
                }
                b'm' => {
                    let mut section = read_media(value).ok_or(fail(Fault::Media))?;
                    section.connection = connection;
                    section.lines = section_of(lines.rest);
                    media.push(section).map_err(|_| fail(Fault::TooManyMedia))?;
                }
                _ => {}
            }
        }
        let end = lines.number;
        if !version {
            return Err(Malformed { line: end.max(1), fault: Fault::Version });
        }
        let origin = origin.ok_or(Malformed { line: end, fault: Fault::Origin })?;
        Ok(Self { origin, connection, direction, media })
    }

    /// The direction of a section as the writer of the text sees it.
    pub fn direction_of(&self, media: &Media<'_>) -> Direction {
        media.attributes().find_map(|attribute| attribute.direction()).or(self.direction).unwrap_or_default()
    }
}

impl<'a> Media<'a> {
    /// Its `a=` lines; those that are not UTF-8 are left out.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { lines: Lines { rest: self.lines, number: 0 } }
    }

    /// The value of the first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes()
            .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
            .map(|attribute| attribute.value)
    }

    /// What `name` (`rtpmap`, `fmtp`) says of a payload type.
    pub fn attribute_of(&self, name: &str, payload_type: u8) -> Option<&'a str> {
        self.attributes().filter(|attribute| attribute.name.eq_ignore_ascii_case(name)).find_map(
            |attribute| {
                let (number, value) = attribute.value.split_once(' ')?;
                (number.parse() == Ok(payload_type)).then_some(value.trim_ascii())
            },
        )
    }

    /// Payload types in the order of preference; what is no payload type is left out.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|number| *number < 128)
    }
}

impl Attribute<'_> {
    fn direction(&self) -> Option<Direction> {
        [Direction::SendReceive, Direction::SendOnly, Direction::ReceiveOnly, Direction::Inactive]
            .into_iter()
            .find(|direction| self.name.eq_ignore_ascii_case(direction.attribute()))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        loop {
            let (_, line) = self.lines.next()?;
            if let Some((b'a', value)) = split_line(line)
                && let Some(attribute) = read_attribute(value)
            {
                return Some(attribute);
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::TooLong => "longer than is read",
            Fault::Version => "not v=0",
            Fault::Line => "not letter=value",
            Fault::Origin => "o= missing or incomplete",
            Fault::Connection => "c= names no address",
            Fault::Media => "m= incomplete",
            Fault::TooManyMedia => "too many m= lines",
        };
        write!(f, "line {}: {fault}", self.line)
    }
}

/// Lines that are not empty, with their numbers.
#[derive(Clone, Debug)]
struct Lines<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest.get(1..).unwrap_or(&[]);
            self.number = self.number.saturating_add(1);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Some((self.number, line));
            }
        }
        None
    }
}

fn split_line(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [kind, b'=', value @ ..] if kind.is_ascii_alphabetic() => Some((*kind, value)),
        _ => None,
    }
}

/// What belongs to an `m=` line: everything up to the next one.
fn section_of(rest: &[u8]) -> &[u8] {
    let next = rest.windows(3).position(|three| three == b"\nm=").map(|at| at + 1);
    let end = if rest.starts_with(b"m=") { 0 } else { next.unwrap_or(rest.len()) };
    rest.get(..end).unwrap_or(rest)
}

fn words(value: &[u8]) -> Option<impl Iterator<Item = &str>> {
    Some(str::from_utf8(value).ok()?.split_ascii_whitespace())
}

fn read_origin(value: &[u8]) -> Option<Origin<'_>> {
    // The user name may be anything; the two numbers are what matters.
    let end = value.iter().position(|byte| *byte == b' ')?;
    let mut words = words(value.get(end..)?)?;
    let (session_id, version) = (words.next()?, words.next()?);
    let (_network, _family, _address) = (words.next()?, words.next()?, words.next()?);
    Some(Origin { session_id, version })
}

fn read_connection(value: &[u8]) -> Option<IpAddr> {
    let mut words = words(value)?;
    let (network, family, address) = (words.next()?, words.next()?, words.next()?);
    // A multicast address carries a time to live.
    let address = address.split('/').next()?;
    match (network, family) {
        ("IN", "IP4") => Some(IpAddr::V4(address.parse::<Ipv4Addr>().ok()?)),
        ("IN", "IP6") => Some(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)),
        _ => None,
    }
}

fn read_media(value: &[u8]) -> Option<Media<'_>> {
    let mut words = words(value)?;
    let kind = words.next()?;
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?;
    let formats: Vec<&str, MOST_FORMATS> = words.take(MOST_FORMATS).collect();
    if formats.is_empty() {
        return None;
    }
    Some(Media { kind, port, protocol, formats, connection: None, lines: &[] })
}

fn read_attribute(value: &[u8]) -> Option<Attribute<'_>> {
    let text = str::from_utf8(value).ok()?;
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    Some(Attribute { name: name.trim_ascii(), value: value.trim_ascii() })
}
