//! SIP, SIPS and tel URIs: parts, escapes, equality, telephone numbers.
//!
//! RFC 3261 section 19 and 25.1, RFC 3966 (tel), RFC 5118 (IPv6 references). A URI is checked once and kept as it was written; user parts
//! are compared and shown unescaped. Other schemes are carried, not understood.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dialtone_base::telephony::Number;
use dialtone_base::text::Text;

use crate::message::lex::parse_u32;

/// What a URI begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else.
    Other,
}

/// A host as written in a URI or a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// A host without port: a name, an IPv4 address or an IPv6 reference in brackets.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return Some(Self::V6(parse_v6(inside.strip_suffix(']')?)?));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        let bytes = text.as_bytes();
        let is_name = !bytes.is_empty()
            && bytes.len() <= 253
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        is_name.then_some(Self::Name(text))
    }

    /// The address, if it is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Names compare without case.
    pub fn is_equivalent(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(ours), Host::Name(theirs)) => {
                ours.trim_end_matches('.').eq_ignore_ascii_case(theirs.trim_end_matches('.'))
            }
            (Self::V4(ours), Host::V4(theirs)) => ours == theirs,
            (Self::V6(ours), Host::V6(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// An IPv6 address without brackets. Three colons in a row, which RFC 3261's grammar makes by mistake, count as two (RFC 5118 section 4.10).
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (head, tail) = text.split_once(":::")?;
    let mut mended = heapless::String::<48>::new();
    mended.push_str(head).ok()?;
    mended.push_str("::").ok()?;
    mended.push_str(tail).ok()?;
    mended.parse().ok()
}

/// Splits `host[:port]`, the host perhaps in brackets.
pub(crate) fn parse_host_port(text: &str) -> Option<(Host<'_>, Option<u16>)> {
    let host_end = match text.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, tail) = text.split_at_checked(host_end)?;
    let port = match tail.strip_prefix(':') {
        None if tail.is_empty() => None,
        None => return None,
        Some(digits) => Some(u16::try_from(parse_u32(digits.as_bytes())?).ok()?),
    };
    Some((Host::parse(host)?, port))
}

/// A URI, borrowed from the message it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    text: &'a str,
    scheme: Scheme,
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: Option<Host<'a>>,
    port: Option<u16>,
    parameters: &'a str,
    headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Stands for one that could not be read.
    pub(crate) const fn unreadable() -> Self {
        Self {
            text: "sip:unreadable.invalid",
            scheme: Scheme::Sip,
            user: None,
            password: None,
            host: Some(Host::Name("unreadable.invalid")),
            port: None,
            parameters: "",
            headers: "",
        }
    }

    /// A whole URI, without angle brackets or white space. `None` when it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme_is_sound = scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let is_sound = scheme_is_sound && rest.bytes().all(is_uri_byte) && escapes_are_sound(rest);
        if !is_sound || rest.is_empty() {
            return None;
        }
        let kind = if scheme.eq_ignore_ascii_case("sip") {
            Scheme::Sip
        } else if scheme.eq_ignore_ascii_case("sips") {
            Scheme::Sips
        } else if scheme.eq_ignore_ascii_case("tel") {
            Scheme::Tel
        } else {
            Scheme::Other
        };
        let empty = Self {
            text,
            scheme: kind,
            user: None,
            password: None,
            host: None,
            port: None,
            parameters: "",
            headers: "",
        };
        match kind {
            Scheme::Sip | Scheme::Sips => empty.with_sip_parts(rest),
            Scheme::Tel => {
                let (number, parameters) = split_at_first(rest, ';');
                let is_number = number.bytes().any(is_phone_digit)
                    && number
                        .bytes()
                        .all(|byte| is_phone_digit(byte) || is_visual_separator(byte) || byte == b'+');
                (is_number && parameters_are_sound(parameters)).then_some(Self {
                    user: Some(number),
                    parameters,
                    ..empty
                })
            }
            Scheme::Other => Some(empty),
        }
    }

    fn with_sip_parts(self, rest: &'a str) -> Option<Self> {
        // `@` stands unescaped nowhere else in the grammar.
        let (user, password, rest) = match rest.split_once('@') {
            None => (None, None, rest),
            Some((userinfo, rest)) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() || !user.bytes().all(is_user_byte) {
                    return None;
                }
                (Some(user), password, rest)
            }
        };
        let (rest, headers) = split_at_first(rest, '?');
        let (host, parameters) = split_at_first(rest, ';');
        let (host, port) = parse_host_port(host)?;
        parameters_are_sound(parameters).then_some(Self {
            user,
            password,
            host: Some(host),
            port,
            parameters,
            headers,
            ..self
        })
    }

    /// As it was written.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user part as written, escapes and all; of a tel URI the number.
    pub const fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The user part unescaped and cleaned, cut to fit; empty when there is none.
    pub fn user_text<const N: usize>(&self) -> Text<N> {
        let mut bytes = heapless::Vec::<u8, 256>::new();
        for byte in unescaped(self.user.unwrap_or_default()) {
            if bytes.push(byte).is_err() {
                break;
            }
        }
        Text::from_wire(&bytes)
    }

    /// The password, which nobody should use.
    pub const fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// The host; `None` for tel and foreign schemes.
    pub const fn host(&self) -> Option<Host<'a>> {
        self.host
    }

    /// The port, if one is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a parameter, still escaped: `Some("")` for one without value. Names compare unescaped and without case.
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters().find(|(found, _)| is_same(found, name)).map(|(_, value)| value.unwrap_or(""))
    }

    /// All parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        self.parameters.split(';').filter(|piece| !piece.is_empty()).map(|piece| {
            match piece.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (piece, None),
            }
        })
    }

    /// What stands behind `?`, still escaped: `Replaces=…&Require=…`.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.headers.split('&').filter_map(|piece| piece.split_once('='))
    }

    /// Whether anything stands behind `?`.
    pub const fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether the URI says `lr`: loose routing (RFC 3261 section 16.12).
    pub fn is_loose_route(&self) -> bool {
        self.parameter("lr").is_some()
    }

    /// The telephone number: of a tel URI, of `user=phone`, or of a user part that is written like one (`+`, digits, `*`, `#`).
    /// Visual separators (`-`, `.`, `(`, `)`) and the number's own parameters are left out. `None` when the user part is a name.
    pub fn number(&self) -> Option<Number> {
        let is_phone = self.scheme == Scheme::Tel
            || self.parameter("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        let user: Text<96> = self.user_text();
        let (number, _) = split_at_first(&user, ';');
        let mut out = Number::new();
        for (at, character) in number.chars().enumerate() {
            let separates = u8::try_from(character).is_ok_and(is_visual_separator);
            match character {
                '+' if at == 0 => {}
                '0'..='9' | '*' | '#' => {}
                'A'..='D' | 'a'..='d' if is_phone => {}
                _ if separates && (is_phone || number.starts_with('+')) => continue,
                _ => return None,
            }
            fmt::Write::write_char(&mut out, character).ok()?;
        }
        (!out.is_empty() && out.len() <= 40 && out.as_str() != "+").then_some(out)
    }

    /// RFC 3261 section 19.1.4: the same resource. Users compare with case and unescaped, hosts without; `user`, `ttl`, `method`, `maddr`
    /// and `transport` must be in both or neither, other parameters only agree where both have them.
    pub fn is_equivalent(&self, other: &Uri<'_>) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match (self.host, other.host) {
            (Some(ours), Some(theirs)) => {
                self.user.is_some() == other.user.is_some()
                    && unescaped(self.user.unwrap_or_default()).eq(unescaped(other.user.unwrap_or_default()))
                    && self.password == other.password
                    && ours.is_equivalent(&theirs)
                    && self.port == other.port
                    && self.parameters_agree(other)
                    && other.parameters_agree(self)
                    && self.headers == other.headers
            }
            (None, None) if self.scheme == Scheme::Tel => self.number() == other.number(),
            (None, None) => self.text.eq_ignore_ascii_case(other.text),
            _ => false,
        }
    }

    /// Of a name written twice the first counts, on both sides.
    fn parameters_agree(&self, other: &Uri<'_>) -> bool {
        const STRICT: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        self.parameters().take(MOST_PARAMETERS).all(|(name, _)| {
            match (self.parameter(name), other.parameter(name)) {
                (Some(ours), Some(theirs)) => is_same(ours, theirs),
                _ => !STRICT.iter().any(|strict| is_same(strict, name)),
            }
        })
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// More parameters than this are not compared: equality costs their square.
const MOST_PARAMETERS: usize = 32;

/// Unescaped and without case the same (RFC 3261 section 19.1.4). Unescaped once: `%25%34%31` is `%41` and not `A`.
fn is_same(left: &str, right: &str) -> bool {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    unescaped(left).map(lower).eq(unescaped(right).map(lower))
}

/// The bytes behind `%HH` escapes. A broken escape stands for itself.
pub fn unescaped(text: &str) -> impl Iterator<Item = u8> + use<'_> {
    let mut bytes = text.bytes();
    core::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(byte);
        }
        let mut ahead = bytes.clone();
        match (ahead.next().and_then(hex_value), ahead.next().and_then(hex_value)) {
            (Some(high), Some(low)) => {
                bytes = ahead;
                Some(high << 4 | low)
            }
            _ => Some(byte),
        }
    })
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// What remains before the first `mark`, and what follows it.
fn split_at_first(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

fn escapes_are_sound(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && !(bytes.next().is_some_and(is_hex) && bytes.next().is_some_and(is_hex)) {
            return false;
        }
    }
    true
}

fn parameters_are_sound(parameters: &str) -> bool {
    parameters.is_empty()
        || parameters.split(';').all(|piece| {
            let name = piece.split_once('=').map_or(piece, |(name, _)| name);
            !name.is_empty()
                && name.bytes().all(|byte| {
                    is_unreserved(byte)
                        || matches!(byte, b'%' | b'+' | b'$' | b'&' | b'[' | b']' | b'/' | b':')
                })
        })
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// What may stand unescaped in a user part: RFC 3261's `user`, and `#`, which half the telephones of the world forget to escape.
pub(crate) const fn is_user_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'%' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#')
}

/// Anything a URI may hold somewhere: no white space, controls, quotes, angle brackets or bytes above ASCII.
const fn is_uri_byte(byte: u8) -> bool {
    is_user_byte(byte) || matches!(byte, b':' | b'@' | b'[' | b']' | b'|' | b'^' | b'{' | b'}' | b'`' | b'\\')
}

const fn is_phone_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#')
}

const fn is_visual_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

#[cfg(test)]
mod tests;
