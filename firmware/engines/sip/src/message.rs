//! Reading SIP messages: cut once into lines, meaning on demand, nothing copied.
//!
//! RFC 3261 sections 7, 8.2, 16.3 and 25; RFC 4475 and RFC 5118 for what to do with the unusual. [`Message::parse`] walks the bytes once, notes where
//! each header line lies, and checks whatever every element must understand (start line, Via, From, To, Call-ID, CSeq, Max-Forwards, Contact,
//! routes, Content-Length, Content-Type). Other headers are checked by the accessor that reads them.
//! Work is linear in the message's length; there are at most [`MOST_HEADERS`] lines and [`MOST_VALUES`] values of one list.
//! Does not look into bodies.

mod address;
mod challenge;
mod fault;
mod fields;
pub mod lex;
mod method;
mod name;
mod parameters;
mod via;

pub use address::{Contact, NameAddr};
pub use challenge::{Challenge, Credentials};
pub use fault::Fault;
pub use fields::{
    CSeq, ContentType, EventPackage, Privacy, RAck, ReasonValue, Refresher, Replaces, RetryAfter,
    SessionExpires, SubscriptionState,
};
pub use method::{Method, Status};
pub use name::Name;
pub use parameters::{Parameter, Parameters};
pub use via::Via;

use crate::uri::{Scheme, Uri};
use lex::{Cursor, is_space, is_token, is_word, split_comma, trim};

/// Header lines a message may have.
pub const MOST_HEADERS: usize = 128;
/// Values that are read of one comma-separated header; further ones are ignored. Max-Forwards starts at 70, so no honest Via list is longer.
pub const MOST_VALUES: usize = 128;

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request line.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI.
        uri: Uri<'a>,
    },
    /// A status line.
    Response {
        /// The status.
        status: Status,
        /// The reason phrase, which only people read.
        reason: &'a [u8],
    },
}

/// What a datagram, or a framed piece of a stream, turned out to be.
#[derive(Clone, Debug)]
// The large variants are the ordinary ones; boxing them would cost an allocation per message.
#[allow(clippy::large_enum_variant)]
pub enum Received<'a> {
    /// A message fit to be acted upon.
    Message(Message<'a>),
    /// A faulty request that can be answered with [`Fault::answer`]. Only Via, From, To, Call-ID and CSeq may be used, as raw lines.
    Reject(Message<'a>, Fault),
    /// Nothing that can be answered.
    Drop(Fault),
    /// Line ends or zeros that keep a NAT's mapping (RFC 5626 section 4.4.1).
    KeepAlive,
}

/// One header line's place in the message.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: Name,
    start: u16,
    name_end: u16,
    value: u16,
    end: u16,
}

/// A SIP message, borrowed from the bytes it came in.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    start_line: StartLine<'a>,
    lines: heapless::Vec<Line, MOST_HEADERS>,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads one whole message: a datagram, or what was cut out of a stream.
    pub fn parse(bytes: &'a [u8]) -> Received<'a> {
        if bytes.iter().all(|byte| is_space(*byte) || *byte == 0) {
            return Received::KeepAlive;
        }
        if bytes.len() > usize::from(u16::MAX) {
            return Received::Drop(Fault::TooLong);
        }
        // RFC 3261 section 7.5: line ends before the start line are ignored.
        let lead = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
        let bytes = bytes.get(lead..).unwrap_or_default();
        let Some((line_end, mut at)) = line_end(bytes, 0) else { return Received::Drop(Fault::Truncated) };
        let (start_line, mut fault) = match read_start_line(bytes.get(..line_end).unwrap_or_default()) {
            Ok(read) => read,
            Err(fault) => return Received::Drop(fault),
        };
        let mut message = Self { bytes, start_line, lines: heapless::Vec::new(), body: &[] };
        let ended = loop {
            match message.read_line(at) {
                Ok(Some(next)) => at = next,
                Ok(None) => break true,
                Err(LineFault { fault: found, resume }) => {
                    fault = fault.or(Some(found));
                    match resume {
                        Some(next) => at = next,
                        None => break false,
                    }
                }
            }
        };
        if ended {
            message.body = bytes.get(at + 2..).unwrap_or_default();
        }
        let fault = fault.or_else(|| message.fault());
        match fault {
            None => Received::Message(message),
            // RFC 3261 section 8.1.3.3: responses are dropped; section 17.1.1.3: nothing answers an ACK.
            Some(fault) if !message.can_be_answered() => Received::Drop(fault),
            Some(fault) => Received::Reject(message, fault),
        }
    }

    /// Reads a message that was found sound before and was kept, perhaps without its body. `None` when it is not one.
    pub(crate) fn parse_head(bytes: &'a [u8]) -> Option<Self> {
        let (line_end, mut at) = line_end(bytes, 0)?;
        let (start_line, _) = read_start_line(bytes.get(..line_end)?).ok()?;
        let mut message = Self { bytes, start_line, lines: heapless::Vec::new(), body: &[] };
        while let Some(next) = message.read_line(at).ok()? {
            at = next;
        }
        message.body = bytes.get(at + 2..).unwrap_or_default();
        Some(message)
    }

    /// Bytes up to and including the empty line.
    pub(crate) fn head_length(&self) -> usize {
        let last = self.lines.last().map_or(0, |line| usize::from(line.end));
        let tail = self.bytes.get(last..).unwrap_or_default();
        let end = tail.windows(4).position(|window| window == b"\r\n\r\n");
        end.map_or(self.bytes.len(), |end| last + end + 4)
    }

    /// Reads the header line at `at`. `Ok(Some(next line))`, `Ok(None)` at the empty line that ends the section.
    fn read_line(&mut self, at: usize) -> Result<Option<usize>, LineFault> {
        let hopeless = |fault| LineFault { fault, resume: None };
        let (mut end, mut next) = line_end(self.bytes, at).ok_or(hopeless(Fault::Truncated))?;
        if end == at {
            return Ok(None);
        }
        // Folds: a line that begins with white space continues the one before it.
        while matches!(self.bytes.get(next), Some(b' ' | b'\t')) {
            (end, next) = line_end(self.bytes, next).ok_or(hopeless(Fault::Truncated))?;
        }
        let flawed = |fault| LineFault { fault, resume: Some(next) };
        let line = self.bytes.get(at..end).unwrap_or_default();
        if has_stray_line_end(line) {
            return Err(flawed(Fault::StrayLineEnd));
        }
        let mut cursor = Cursor::new(line);
        let name = cursor.take_while(is_token);
        cursor.take_while(|byte| matches!(byte, b' ' | b'\t'));
        if name.is_empty() || !cursor.eat(b':') {
            return Err(flawed(Fault::BadHeaderLine));
        }
        cursor.skip_space();
        let value = end - cursor.rest().len();
        let place = |at| u16::try_from(at).unwrap_or(u16::MAX);
        let line = Line {
            name: Name::from_bytes(name),
            start: place(at),
            name_end: place(at + name.len()),
            value: place(value),
            end: place(value + trim(cursor.rest()).len()),
        };
        match self.lines.push(line) {
            Ok(()) => Ok(Some(next)),
            Err(_) => Err(hopeless(Fault::TooManyHeaders)),
        }
    }

    fn can_be_answered(&self) -> bool {
        let StartLine::Request { method, .. } = self.start_line else { return false };
        method != Method::Ack && self.line(Name::Via).is_some()
    }

    /// The first thing wrong with what every element must understand.
    fn fault(&mut self) -> Option<Fault> {
        self.check().err()
    }

    fn check(&mut self) -> Result<(), Fault> {
        let mut seen = 0u128;
        for line in &self.lines {
            let bit = 1u128 << (line.name as u8 & 127);
            if line.name.is_single() && seen & bit != 0 {
                return Err(Fault::DoubledHeader);
            }
            seen |= bit;
        }
        self.line(Name::Via).ok_or(Fault::MissingVia)?;
        self.check_all(Name::Via, Fault::BadVia, |value| Via::parse(value).is_some())?;
        let call_id = self.line(Name::CallId).ok_or(Fault::MissingCallId)?;
        if !is_call_id(call_id) {
            return Err(Fault::BadCallId);
        }
        let from = self.line(Name::From).ok_or(Fault::MissingFrom)?;
        NameAddr::parse(from).ok_or(Fault::BadFrom)?;
        let to = self.line(Name::To).ok_or(Fault::MissingTo)?;
        NameAddr::parse(to).ok_or(Fault::BadTo)?;
        let cseq = self.line(Name::CSeq).ok_or(Fault::MissingCSeq)?;
        let cseq = CSeq::parse(cseq).ok_or(Fault::BadCSeq)?;
        if let StartLine::Request { method, .. } = self.start_line
            && method != cseq.method
        {
            let is_unknown = matches!(method, Method::Other(_));
            return Err(if is_unknown { Fault::UnknownMethodMismatch } else { Fault::CSeqMismatch });
        }
        if let Some(value) = self.line(Name::MaxForwards) {
            lex::parse_u32(value).filter(|hops| *hops <= 255).ok_or(Fault::BadMaxForwards)?;
        }
        self.check_all(Name::Contact, Fault::BadContact, |value| Contact::parse(value).is_some())?;
        for route in [Name::Route, Name::RecordRoute, Name::Path, Name::ServiceRoute] {
            self.check_all(route, Fault::BadRoute, |value| NameAddr::parse(value).is_some())?;
        }
        if let Some(value) = self.line(Name::ContentType) {
            ContentType::parse(value).ok_or(Fault::BadContentType)?;
        }
        if let Some(value) = self.line(Name::ContentLength) {
            let length = lex::parse_u32(value).ok_or(Fault::BadContentLength)?;
            let length = usize::try_from(length).map_err(|_| Fault::ShortBody)?;
            // What follows a datagram's body is no part of it (RFC 3261 section 18.3).
            self.body = self.body.get(..length).ok_or(Fault::ShortBody)?;
        }
        match self.start_line {
            StartLine::Request { uri, .. } if uri.scheme() == Scheme::Other => Err(Fault::UnknownScheme),
            _ => Ok(()),
        }
    }

    fn check_all(&self, name: Name, fault: Fault, sound: impl Fn(&'a [u8]) -> bool) -> Result<(), Fault> {
        if self.values(name).all(sound) { Ok(()) } else { Err(fault) }
    }

    /// Request line or status line.
    pub const fn start_line(&self) -> StartLine<'a> {
        self.start_line
    }

    /// The method of a request; `None` for a response.
    pub const fn method(&self) -> Option<Method<'a>> {
        match self.start_line {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI; `None` for a response.
    pub const fn request_uri(&self) -> Option<Uri<'a>> {
        match self.start_line {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response; `None` for a request.
    pub const fn status(&self) -> Option<Status> {
        match self.start_line {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The body, as long as Content-Length says.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The whole message as it came, without line ends before it.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The values of all lines of one name, as written (folds included), commas not split.
    pub fn lines(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines.iter().filter(move |line| line.name == name).map(|line| self.value_of(line))
    }

    /// The first line of that name.
    pub fn line(&self, name: Name) -> Option<&'a [u8]> {
        self.lines(name).next()
    }

    /// The first line of that name as text without white space at its ends; `None` when missing or not UTF-8.
    pub fn text(&self, name: Name) -> Option<&'a str> {
        core::str::from_utf8(self.line(name)?).ok()
    }

    /// The first line of a name [`Name`] does not know.
    pub fn other(&self, name: &str) -> Option<&'a [u8]> {
        self.lines
            .iter()
            .filter(|line| line.name == Name::Other)
            .find(|line| {
                let written = self.bytes.get(usize::from(line.start)..usize::from(line.name_end));
                written.is_some_and(|written| written.eq_ignore_ascii_case(name.as_bytes()))
            })
            .map(|line| self.value_of(line))
    }

    /// Comma-separated values of all lines of one name, in order, empty ones included.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines(name).flat_map(split_values).take(MOST_VALUES)
    }

    /// Tokens of a list such as Supported, Require, Allow.
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = &'a str> + '_ {
        self.values(name)
            .filter_map(|value| core::str::from_utf8(value).ok())
            .filter(|token| !token.is_empty())
    }

    /// Whether such a list has `token`, in any case.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.tokens(name).any(|found| found.eq_ignore_ascii_case(token))
    }

    fn value_of(&self, line: &Line) -> &'a [u8] {
        self.bytes.get(usize::from(line.value)..usize::from(line.end)).unwrap_or_default()
    }
}

/// A header line that was refused, and where the next one begins, if that is known.
struct LineFault {
    fault: Fault,
    resume: Option<usize>,
}

/// The comma-separated values of one line.
pub(crate) fn split_values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    core::iter::from_fn(move || {
        let (value, tail) = split_comma(rest?);
        rest = tail;
        Some(value)
    })
}

/// Where the line that begins at `at` ends, and where the next begins.
fn line_end(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut search = at;
    loop {
        let newline = search + bytes.get(search..)?.iter().position(|byte| *byte == b'\n')?;
        match newline.checked_sub(1) {
            Some(end) if end >= at && bytes.get(end) == Some(&b'\r') => return Some((end, newline + 1)),
            // A lone LF: part of the line, which is refused for it.
            _ => search = newline + 1,
        }
    }
}

/// CR and LF may stand in a line only as the CRLF of a fold.
fn has_stray_line_end(line: &[u8]) -> bool {
    let mut bytes = line.iter().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek();
        match byte {
            b'\r' if next == Some(&&b'\n') => {
                bytes.next();
            }
            b'\r' | b'\n' => return true,
            _ => {}
        }
    }
    false
}

fn is_call_id(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |byte| *byte == b'@');
    parts.all(|part| !part.is_empty() && part.iter().all(|byte| is_word(*byte)))
}

/// Reads a start line. A request line that is wrong but shows its method comes back with its fault, so that it can be answered.
fn read_start_line(line: &[u8]) -> Result<(StartLine<'_>, Option<Fault>), Fault> {
    const VERSION: &[u8] = b"SIP/2.0";
    if line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) {
        return read_status_line(line).map(|read| (read, None));
    }
    let mut cursor = Cursor::new(line);
    let method = Method::from_token(cursor.token().ok_or(Fault::BadStartLine)?);
    let flawed = |fault| Ok((StartLine::Request { method, uri: UNREADABLE }, Some(fault)));
    if !cursor.eat(b' ') {
        return Err(Fault::BadStartLine);
    }
    let rest = cursor.rest();
    let Some(gap) = rest.iter().rposition(|byte| *byte == b' ') else { return Err(Fault::BadStartLine) };
    let (uri, version) = rest.split_at(gap);
    let version = version.get(1..).unwrap_or_default();
    if !version.eq_ignore_ascii_case(VERSION) {
        let is_version = version.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"));
        return flawed(if is_version { Fault::BadVersion } else { Fault::BadStartLine });
    }
    if uri.first().is_none_or(|byte| is_space(*byte)) || uri.last().is_some_and(|byte| is_space(*byte)) {
        return flawed(Fault::BadStartLine);
    }
    match core::str::from_utf8(uri).ok().and_then(Uri::parse) {
        // RFC 3261 section 19.1.1: headers may not stand in a Request-URI.
        Some(uri) if !uri.has_headers() => Ok((StartLine::Request { method, uri }, None)),
        _ => flawed(Fault::BadRequestUri),
    }
}

fn read_status_line(line: &[u8]) -> Result<StartLine<'_>, Fault> {
    let mut cursor = Cursor::new(line);
    let version = cursor.take_while(|byte| byte != b' ');
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Fault::BadVersion);
    }
    cursor.eat(b' ');
    let digits = cursor.take_while(|byte| byte != b' ');
    let code = lex::parse_u32(digits).filter(|_| digits.len() == 3).ok_or(Fault::BadStatus)?;
    let status = u16::try_from(code).ok().and_then(Status::new).ok_or(Fault::BadStatus)?;
    cursor.eat(b' ');
    Ok(StartLine::Response { status, reason: cursor.rest() })
}

/// Stands for a Request-URI that could not be read, in messages that are refused.
const UNREADABLE: Uri<'static> = Uri::unreadable();

#[cfg(test)]
pub(crate) mod tests;
