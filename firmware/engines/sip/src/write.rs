//! Writing SIP messages into the caller's buffer.
//!
//! RFC 3261 sections 7, 8.2.6, 18.2.1, 25.1; RFC 3581 for `rport`. Whatever is handed over as data can never end a line: a control character in it
//! spoils the message, which then is not sent. Nothing is cut: a message that does not fit is an error. Errors stick, so calls chain and
//! [`Writer::finish`] tells. Quoted strings and user parts are escaped by [`Quoted`] and [`UserPart`].

use core::fmt::{self, Display, Write};
use core::net::SocketAddr;

use crate::message::lex::is_space;
use crate::message::{Message, Method, Name, Status, Via};
use crate::transport::Transport;
use crate::uri::{Host, is_user_byte};

dialtone_base::counted_reasons! {
    /// Why a message was not written. Our limit, or our mistake.
    pub enum WriteError {
        /// The buffer is too small.
        Full = "message-does-not-fit",
        /// A control character in what should have been data.
        Control = "control-character-in-data",
    }
}

/// A message being written.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut [u8],
    length: usize,
    error: Option<WriteError>,
}

impl<'b> Writer<'b> {
    /// Begins a request.
    pub fn request(out: &'b mut [u8], method: Method<'_>, uri: impl Display) -> Self {
        let mut writer = Self { out, length: 0, error: None };
        writer.data(format_args!("{method} {uri}"));
        writer.raw(b" SIP/2.0\r\n");
        writer
    }

    /// Begins a response with nothing but its status line.
    pub fn status(out: &'b mut [u8], status: Status, phrase: &str) -> Self {
        let mut writer = Self { out, length: 0, error: None };
        writer.data(format_args!("SIP/2.0 {} {phrase}", status.code()));
        writer.raw(b"\r\n");
        writer
    }

    /// Begins the response to `request`, which came from `remote`: status line, every Via (the topmost with `received` and `rport`), From, To (with
    /// `to_tag` if it has no tag yet), Call-ID, CSeq (RFC 3261 section 8.2.6.2). An empty `phrase` means the status's own. Dialogs add
    /// Record-Route by [`Writer::copy`].
    pub fn response(
        out: &'b mut [u8],
        request: &Message<'_>,
        remote: SocketAddr,
        status: Status,
        phrase: &str,
        to_tag: Option<&str>,
    ) -> Self {
        let mut writer = Self::status(out, status, if phrase.is_empty() { status.phrase() } else { phrase });
        if request.values(Name::Via).all(|value| Via::parse(value).is_some()) {
            let mut is_top = true;
            for value in request.values(Name::Via) {
                match Via::parse(value) {
                    Some(via) if is_top => writer.received_via(&via, remote),
                    _ => writer.copied(Name::Via, value),
                }
                is_top = false;
            }
        } else {
            // Refused for it: it comes back as it was, so that its sender finds it.
            writer.copy(request, Name::Via);
        }
        if let Some(from) = request.line(Name::From) {
            writer.copied(Name::From, from);
        }
        if let Some(to) = request.line(Name::To) {
            let has_tag = request.to().map_or(true, |to| to.tag().is_some());
            writer.raw(b"To: ");
            writer.unfolded(to);
            if let (Some(tag), false) = (to_tag, has_tag) {
                writer.data(format_args!(";tag={tag}"));
            }
            writer.raw(b"\r\n");
        }
        writer.copy(request, Name::CallId);
        writer.copy(request, Name::CSeq);
        writer
    }

    /// One header line.
    pub fn header(&mut self, name: Name, value: impl Display) -> &mut Self {
        self.other(name.as_str(), value)
    }

    /// One header line of any name.
    pub fn other(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.data(format_args!("{name}: {value}"));
        self.raw(b"\r\n");
        self
    }

    /// Copies all lines of `name` from another message, unfolded.
    pub fn copy(&mut self, message: &Message<'_>, name: Name) -> &mut Self {
        for line in message.lines(name) {
            self.copied(name, line);
        }
        self
    }

    /// Copies the first value of `name` from another message.
    pub fn copy_first(&mut self, message: &Message<'_>, name: Name) -> &mut Self {
        if let Some(value) = message.values(name).next() {
            self.copied(name, value);
        }
        self
    }

    /// Our own Via, the topmost of a request, asking for `rport` (RFC 3581 section 3).
    pub fn via(&mut self, transport: Transport, host: impl Display, port: u16, branch: &str) -> &mut Self {
        self.header(
            Name::Via,
            format_args!("SIP/2.0/{} {host}:{port};branch={branch};rport", transport.via_name()),
        )
    }

    /// Ends the message without a body; returns its length.
    pub fn finish(&mut self) -> Result<usize, WriteError> {
        self.raw(b"Content-Length: 0\r\n\r\n");
        self.done()
    }

    /// Ends the message with a body; returns its length. `content_type` as it stands in the header: `application/sdp`.
    pub fn finish_with(&mut self, content_type: &str, body: &[u8]) -> Result<usize, WriteError> {
        if body.is_empty() {
            return self.finish();
        }
        self.header(Name::ContentType, content_type).header(Name::ContentLength, body.len());
        self.raw(b"\r\n");
        self.raw(body);
        self.done()
    }

    fn done(&self) -> Result<usize, WriteError> {
        self.error.map_or(Ok(self.length), Err)
    }

    /// The topmost Via of a response: as it came, but with the sender's true address (RFC 3261 section 18.2.1, RFC 3581 section 4).
    fn received_via(&mut self, via: &Via<'_>, remote: SocketAddr) {
        self.data(format_args!("Via: SIP/2.0/{} {}", via.transport, via.host));
        if let Some(port) = via.port {
            self.data(format_args!(":{port}"));
        }
        for parameter in via.parameters.iter() {
            let name = parameter.name;
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            self.data(format_args!(";{name}"));
            if let Some(value) = parameter.value {
                let needs_quotes = !value
                    .iter()
                    .all(|byte| crate::message::lex::is_token(*byte) || matches!(byte, b'[' | b']' | b':'));
                self.raw(if needs_quotes { b"=\"" } else { b"=" });
                self.unfolded(value);
                self.raw(if needs_quotes { b"\"" } else { b"" });
            }
        }
        let asks_port = via.asks_rport();
        if asks_port || via.host.address() != Some(remote.ip()) {
            self.data(format_args!(";received={}", remote.ip()));
        }
        if asks_port {
            self.data(format_args!(";rport={}", remote.port()));
        }
        self.raw(b"\r\n");
    }

    fn copied(&mut self, name: Name, value: &[u8]) {
        self.raw(name.as_str().as_bytes());
        self.raw(b": ");
        self.unfolded(value);
        self.raw(b"\r\n");
    }

    /// A value off the wire; a fold becomes one space. Control characters that came in quoted pairs leave as they came, CR and LF cannot.
    fn unfolded(&mut self, value: &[u8]) {
        let mut rest = value;
        while !rest.is_empty() {
            let plain = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            let (head, tail) = rest.split_at(plain);
            self.raw(head);
            let space = tail.iter().position(|byte| !is_space(*byte)).unwrap_or(tail.len());
            if space > 0 {
                self.raw(b" ");
            }
            rest = tail.get(space..).unwrap_or_default();
        }
    }

    fn data(&mut self, arguments: fmt::Arguments<'_>) {
        // The only error is the one `write_str` remembers.
        let _ = Data(self).write_fmt(arguments);
    }

    fn raw(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.error = self.error.or(Some(WriteError::Full)),
        }
    }
}

/// What callers hand over: no control character passes.
struct Data<'w, 'b>(&'w mut Writer<'b>);

impl Write for Data<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            self.0.error = Some(WriteError::Control);
            return Err(fmt::Error);
        }
        self.0.raw(text.as_bytes());
        Ok(())
    }
}

/// A quoted string: quotes around, `"` and `\` escaped, control characters left out.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars().filter(|character| !character.is_control()) {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}

/// A user part: what may not stand there is written `%HH`, `#` too, as RFC 3261 wants it.
#[derive(Clone, Copy, Debug)]
pub struct UserPart<'a>(pub &'a str);

impl Display for UserPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if is_user_byte(byte) && !matches!(byte, b'%' | b'#') {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// A value in the headers of a URI (`Refer-To: <sip:b@c?Replaces=…>`): everything but letters, digits and `-_.!~*()` as `%HH`.
#[derive(Clone, Copy, Debug)]
pub struct UriHeaderValue<'a>(pub &'a str);

impl Display for UriHeaderValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'(' | b')')
            {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// `"Name" <uri>`; without a name `<uri>`.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a, U: Display> {
    /// The display name; empty for none.
    pub display: &'a str,
    /// The URI.
    pub uri: U,
}

impl<U: Display> Display for Named<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", Quoted(self.display))?;
        }
        write!(f, "<{}>", self.uri)
    }
}

/// `sip:user@host[:port]`, the user part escaped.
#[derive(Clone, Copy, Debug)]
pub struct SipUri<'a> {
    /// The user part, not escaped; empty for none.
    pub user: &'a str,
    /// The host.
    pub host: Host<'a>,
    /// The port, unless it goes without saying.
    pub port: Option<u16>,
}

impl Display for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sip:")?;
        if !self.user.is_empty() {
            write!(f, "{}@", UserPart(self.user))?;
        }
        write!(f, "{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
