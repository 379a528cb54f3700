//! SIP messages as the operator sees them: a start line, headers as text, a body.
//!
//! Written for a simulation and from RFC 3261 alone: headers stay strings and are taken apart where somebody asks. Folded
//! lines and compact names are understood (sections 7.3.1, 7.3.3). It believes well-formed peers; what it cannot read is `None`.

use std::fmt;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `INVITE sip:600@operator.test SIP/2.0`.
    Request {
        /// Upper case.
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// `SIP/2.0 180 Ringing`.
    Response {
        /// 100 to 699.
        code: u16,
        /// For people.
        reason: String,
    },
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: Start,
    /// Names in their long form, values as they came; one entry per value where the header is a list.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: Vec<u8>,
}

impl Message {
    /// A request without headers.
    pub fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.into(), uri: uri.into() };
        Self { start, headers: Vec::new(), body: Vec::new() }
    }

    /// The response to `request` with what section 8.2.6.2 copies: Via, From, To, Call-ID, CSeq.
    pub fn response(request: &Self, code: u16) -> Self {
        let start = Start::Response { code, reason: reason(code).into() };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let headers =
            request.headers.iter().filter(|(name, _)| copied.contains(&name.as_str())).cloned().collect();
        Self { start, headers, body: Vec::new() }
    }

    /// Reads a whole message; `None` when it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n");
        let start = parse_start(lines.next()?)?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = long_name(name.trim());
            if is_list(&name) {
                headers.extend(
                    split_outside(value, ',').into_iter().map(|value| (name.clone(), value.trim().into())),
                );
            } else {
                headers.push((name, value.trim().into()));
            }
        }
        let mut message = Self { start, headers, body: bytes[end + 4..].to_vec() };
        if let Some(length) = message.header("Content-Length") {
            let length: usize = length.parse().ok()?;
            if length > message.body.len() {
                return None;
            }
            message.body.truncate(length);
        }
        let whole =
            ["Via", "From", "To", "Call-ID", "CSeq"].iter().all(|name| message.header(name).is_some());
        whole.then_some(message)
    }

    /// The length of the first message of a stream (section 18.3), once it is all there. Blank lines before it count to it.
    pub fn length_in_stream(bytes: &[u8]) -> Option<usize> {
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let head = bytes[blank..].windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&bytes[blank..blank + head]);
        let length: usize = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| long_name(name.trim()) == "Content-Length")
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        let whole = blank + head + 4 + length;
        (bytes.len() >= whole).then_some(whole)
    }

    /// As it goes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.to_string().into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Appends a header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces the first value of a header, or appends it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.headers.iter_mut().find(|(one, _)| one == name) {
            Some((_, old)) => *old = value.into(),
            None => self.headers.push((name.into(), value.into())),
        }
    }

    /// Puts a value in front of all others.
    pub fn push_front(&mut self, name: &str, value: impl Into<String>) {
        self.headers.insert(0, (name.into(), value.into()));
    }

    /// Takes the first value of a header away.
    pub fn take_first(&mut self, name: &str) -> Option<String> {
        let at = self.headers.iter().position(|(one, _)| one == name)?;
        Some(self.headers.remove(at).1)
    }

    /// With an SDP body.
    pub fn with_sdp(mut self, body: String) -> Self {
        self.body = body.into_bytes();
        self.with("Content-Type", "application/sdp")
    }

    /// The method of a request, or the one a response answers.
    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => {
                self.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("")
            }
        }
    }

    /// The code of a response.
    pub fn code(&self) -> Option<u16> {
        match self.start {
            Start::Response { code, .. } => Some(code),
            Start::Request { .. } => None,
        }
    }

    /// Request-URI; empty in a response.
    pub fn uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => uri,
            Start::Response { .. } => "",
        }
    }

    /// The number in CSeq.
    pub fn sequence(&self) -> u32 {
        let text = self.header("CSeq").and_then(|value| value.split_whitespace().next());
        text.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.header("To").and_then(|value| parameter(value, "tag"))
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.header("From").and_then(|value| parameter(value, "tag"))
    }

    /// The branch of the first Via.
    pub fn branch(&self) -> &str {
        self.header("Via").and_then(|value| parameter(value, "branch")).unwrap_or("")
    }

    /// The body as text when it is SDP.
    pub fn sdp(&self) -> Option<&str> {
        let kind = self.header("Content-Type")?;
        let is_sdp = kind.split(';').next()?.trim().eq_ignore_ascii_case("application/sdp");
        (is_sdp && !self.body.is_empty()).then(|| std::str::from_utf8(&self.body).ok()).flatten()
    }

    /// Whether an option tag is in a list header such as Supported.
    pub fn lists(&self, name: &str, option: &str) -> bool {
        self.all(name).any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(option)))
    }
}

impl fmt::Display for Message {
    /// Head and empty line, without the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Request { method, uri } => write!(f, "{method} {uri} SIP/2.0\r\n")?,
            Start::Response { code, reason } => write!(f, "SIP/2.0 {code} {reason}\r\n")?,
        }
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Content-Length") {
            write!(f, "{name}: {value}\r\n")?;
        }
        write!(f, "Content-Length: {}\r\n\r\n", self.body.len())
    }
}

/// A parameter of a header value, outside its quotes and angle brackets.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    split_outside(value, ';').into_iter().skip(1).find_map(|one| {
        let (key, content) = one.split_once('=').unwrap_or((one, ""));
        key.trim().eq_ignore_ascii_case(name).then_some(content.trim())
    })
}

/// The URI of a name-addr or addr-spec.
pub fn uri_of(value: &str) -> &str {
    // Not a bracket in a quoted name, nor one in a parameter such as +sip.instance.
    let (mut quoted, mut escaped) = (false, false);
    let start = value.find(|character| {
        let plain = !std::mem::take(&mut escaped);
        escaped = plain && quoted && character == '\\';
        quoted ^= plain && character == '"';
        character == '<' && !quoted
    });
    match start {
        Some(start) => value[start + 1..].split('>').next().unwrap_or(""),
        None => value.split(';').next().unwrap_or("").trim(),
    }
}

/// User part of a SIP URI, or the number of a `tel:` one.
pub fn user_of(uri: &str) -> &str {
    if let Some(number) = uri.strip_prefix("tel:") {
        return number.split(';').next().unwrap_or("");
    }
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user.split([':', ';']).next().unwrap_or(""))
}

/// Host and port part of a SIP URI.
pub fn host_port_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    rest.split([';', '?', '>']).next().unwrap_or("")
}

/// A parameter of a URI.
pub fn uri_parameter<'a>(uri: &'a str, name: &str) -> Option<&'a str> {
    uri.split('?').next()?.split(';').skip(1).find_map(|one| {
        let (key, content) = one.split_once('=').unwrap_or((one, ""));
        key.eq_ignore_ascii_case(name).then_some(content)
    })
}

/// Splits at `mark` where it is outside quotes and angle brackets.
fn split_outside(value: &str, mark: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut bracket, mut start) = (false, false, false, 0);
    let mut parts = Vec::new();
    for (at, character) in value.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracket = true,
            '>' if !quoted => bracket = false,
            _ if character == mark && !quoted && !bracket => {
                parts.push(&value[start..at]);
                start = at + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

fn parse_start(line: &str) -> Option<Start> {
    let mut words = line.splitn(3, ' ');
    let (first, second, third) = (words.next()?, words.next()?, words.next().unwrap_or(""));
    if first == "SIP/2.0" {
        let code = second.parse().ok().filter(|code| (100..700).contains(code))?;
        return Some(Start::Response { code, reason: third.into() });
    }
    (third == "SIP/2.0").then(|| Start::Request { method: first.into(), uri: second.into() })
}

fn is_list(name: &str) -> bool {
    ["Via", "Route", "Record-Route", "Contact", "Path", "Service-Route"].contains(&name)
}

fn long_name(name: &str) -> String {
    const NAMES: [(&str, &str); 31] = [
        ("v", "Via"),
        ("f", "From"),
        ("t", "To"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("e", "Content-Encoding"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("b", "Referred-By"),
        ("x", "Session-Expires"),
        ("a", "Accept-Contact"),
        ("u", "Allow-Events"),
        ("", "Via"),
        ("", "CSeq"),
        ("", "Route"),
        ("", "Record-Route"),
        ("", "Expires"),
        ("", "Authorization"),
        ("", "Proxy-Authorization"),
        ("", "Max-Forwards"),
        ("", "Require"),
        ("", "RAck"),
        ("", "RSeq"),
        ("", "Replaces"),
        ("", "Privacy"),
        ("", "P-Asserted-Identity"),
        ("", "P-Preferred-Identity"),
    ];
    NAMES
        .iter()
        .find(|(short, long)| {
            long.eq_ignore_ascii_case(name) || !short.is_empty() && short.eq_ignore_ascii_case(name)
        })
        .map_or_else(|| name.to_string(), |(_, long)| (*long).to_string())
}

/// What people read beside a code.
fn reason(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        420 => "Bad Extension",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_compact_and_listed_headers_read_as_one() {
        let text = "INVITE sip:600@operator.test SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1,\r\n SIP/2.0/UDP b\r\n\
                    f: \"A, B;tag=no\" <sip:a@x>;tag=1\r\nTo: <sip:600@operator.test>\r\ni: c\r\nCSeq: 7 INVITE\r\n\
                    l: 2\r\n\r\nhello";
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.all("Via").count(), 2);
        assert_eq!((message.branch(), message.from_tag(), message.to_tag()), ("z9hG4bK1", Some("1"), None));
        assert_eq!((message.sequence(), message.body.as_slice()), (7, &b"he"[..]));
        assert_eq!(Message::length_in_stream(text.as_bytes()), Some(text.len() - 3));
        assert_eq!(Message::parse(b"INVITE sip:x SIP/2.0\r\n\r\n"), None);
    }

    #[test]
    fn uris_come_apart() {
        let uri = uri_of("\"Ann <x>\" <sip:ann;isub=1@host.test:5070;transport=tcp>;expires=5");
        assert_eq!((user_of(uri), host_port_of(uri)), ("ann", "host.test:5070"));
        assert_eq!(uri_parameter(uri, "transport"), Some("tcp"));
        let instance = r#"<sip:5551@198.51.100.20:5060>;+sip.instance="<urn:uuid:92fc>";reg-id=1"#;
        assert_eq!(uri_of(instance), "sip:5551@198.51.100.20:5060");
        assert_eq!(uri_of(r#""a \" <b>" <sip:c@d>"#), "sip:c@d");
        assert_eq!((user_of("tel:+4930;x=y"), user_of("sip:host")), ("+4930", ""));
    }
}
