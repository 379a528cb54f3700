//! Addresses with a name: From, To, Contact, Route and their like.
//!
//! RFC 3261 section 20.10: `name-addr` or `addr-spec`, then parameters. Without angle brackets everything behind `;` belongs to the header,
//! and `?` and `,` may not stand in the URI.

use core::fmt;

use dialtone_base::telephony::DisplayName;
use dialtone_base::text::Text;

use super::lex::{Cursor, is_space, is_token, trim};
use super::parameters::Parameters;
use crate::uri::Uri;

/// `"Name" <uri>;parameters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The name as written, between its quotes and still escaped; empty when there is none.
    pub raw_display: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// What stands behind the address.
    pub parameters: Parameters<'a>,
}

impl<'a> NameAddr<'a> {
    /// One whole value; `None` when it is none.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        let start = cursor;
        let raw_display = if cursor.peek() == Some(b'"') {
            let inside = cursor.quoted()?;
            cursor.skip_space();
            inside
        } else {
            // Tokens and spaces; bytes above ASCII too, which belong in quotes but often are not.
            trim(cursor.take_while(|byte| is_token(byte) || is_space(byte) || byte >= 0x80))
        };
        let uri = if cursor.eat(b'<') {
            let inside = cursor.take_while(|byte| byte != b'>');
            if !cursor.eat(b'>') {
                return None;
            }
            // White space around the URI is no part of the grammar, but harmless.
            Uri::parse(core::str::from_utf8(trim(inside)).ok()?)?
        } else {
            if start.peek() == Some(b'"') {
                return None;
            }
            cursor = start;
            let inside = cursor.take_while(|byte| !is_space(byte) && byte != b';');
            let uri = Uri::parse(core::str::from_utf8(inside).ok()?)?;
            if uri.has_headers() || inside.iter().any(|byte| matches!(byte, b',' | b'?')) {
                return None;
            }
            cursor.skip_space();
            return Some(Self { raw_display: &[], uri, parameters: Parameters::read(&mut cursor)? });
        };
        cursor.skip_space();
        Some(Self { raw_display, uri, parameters: Parameters::read(&mut cursor)? })
    }

    /// The tag of From or To; `None` when there is none.
    pub fn tag(&self) -> Option<&'a str> {
        self.parameters.text("tag")
    }

    /// The display name unescaped, cleaned and cut to fit.
    pub fn display(&self) -> DisplayName {
        let mut bytes = heapless::Vec::<u8, 256>::new();
        let mut escaped = false;
        for byte in self.raw_display {
            if *byte == b'\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            let byte = if is_space(*byte) { b' ' } else { *byte };
            if bytes.push(byte).is_err() {
                break;
            }
        }
        Text::from_wire(&bytes)
    }
}

/// A value of Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`: all of them, in a REGISTER that removes.
    Star,
    /// One address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// One value; `None` when it is none.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        if trim(value) == b"*" { Some(Self::Star) } else { NameAddr::parse(value).map(Self::Address) }
    }
}

impl fmt::Display for NameAddr<'_> {
    /// Always with angle brackets, without the parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.uri)
    }
}
