//! Challenges and credentials of digest authentication, as they stand in headers.
//!
//! RFC 3261 section 20.7 and 20.44, RFC 7616. What to answer is another file's.

use super::lex::{Cursor, is_token};
use super::name::Name;
use super::{MOST_VALUES, Message};

/// `Scheme name=value, name="value"`: WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// `Digest`, or another scheme.
    pub scheme: &'a str,
    parameters: &'a [u8],
}

/// The same form, with the client's answer.
pub type Credentials<'a> = Challenge<'a>;

impl<'a> Challenge<'a> {
    /// A whole line; `None` when a parameter cannot be read.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(line);
        let scheme = cursor.token()?;
        cursor.skip_space();
        let parsed = Self { scheme, parameters: cursor.rest() };
        let mut steps = 0;
        while !cursor.is_empty() {
            read_parameter(&mut cursor)?;
            steps += 1;
            if steps > MOST_VALUES {
                return None;
            }
        }
        Some(parsed)
    }

    /// Whether the scheme is Digest.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of a parameter; of a quoted one what is between the quotes, still escaped.
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        let mut cursor = Cursor::new(self.parameters);
        while !cursor.is_empty() {
            let (found, value) = read_parameter(&mut cursor)?;
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
        }
        None
    }

    /// The value as text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.parameter(name)?).ok()
    }
}

fn read_parameter<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a str, &'a [u8])> {
    // Empty elements of a list are allowed.
    while cursor.eat_separator(b',') {}
    let name = cursor.token()?;
    if !cursor.eat_separator(b'=') {
        return None;
    }
    let value = if cursor.peek() == Some(b'"') {
        cursor.quoted()?
    } else {
        cursor.take_while(|byte| {
            is_token(byte) || matches!(byte, b':' | b'/' | b'=' | b'@' | b'[' | b']' | b'?' | b'&' | b'$')
        })
    };
    cursor.skip_space();
    let goes_on = cursor.eat(b',');
    cursor.skip_space();
    (goes_on || cursor.is_empty()).then_some((name, value))
}

impl<'a> Message<'a> {
    /// The challenges of a 401 (WWW-Authenticate) or 407 (Proxy-Authenticate) that can be read, in the order of preference of whoever sent
    /// them.
    pub fn challenges(&self, name: Name) -> impl Iterator<Item = Challenge<'a>> + '_ {
        self.lines(name).filter_map(Challenge::parse)
    }
}
