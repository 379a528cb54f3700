//! `;name=value` lists behind addresses, Via and many others.
//!
//! RFC 3261 `generic-param`: a value is a token, a host or a quoted string. Names compare without case. A doubled parameter is no fault
//! of the list (RFC 3261 section 7.3.1 leaves it to each header); the first one counts.

use super::lex::{Cursor, is_space, is_token};

/// A checked list of parameters, kept as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters<'a>(&'a [u8]);

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name as written.
    pub name: &'a str,
    /// What stands behind `=`; of a quoted string what is between the quotes, still escaped.
    pub value: Option<&'a [u8]>,
}

impl<'a> Parameter<'a> {
    /// The value as text; `None` when there is none or it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        core::str::from_utf8(self.value?).ok()
    }
}

impl<'a> Parameters<'a> {
    /// Everything `cursor` has left, which must be a list of parameters (also none). `None` when it is not.
    pub fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let list = Self(cursor.rest());
        while !cursor.is_empty() {
            read_one(cursor)?;
            cursor.skip_space();
        }
        Some(list)
    }

    /// Each in order.
    pub fn iter(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.0);
        core::iter::from_fn(move || read_one(&mut cursor))
    }

    /// The first of that name.
    pub fn find(&self, name: &str) -> Option<Parameter<'a>> {
        self.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))
    }

    /// Whether there is one of that name, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of the first of that name as text; `None` when it is missing, has no value or is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.find(name)?.text()
    }

    /// The value as a number.
    pub fn number(&self, name: &str) -> Option<u32> {
        super::lex::parse_u32(self.find(name)?.value?)
    }

    /// As written, from the first `;`.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

fn read_one<'a>(cursor: &mut Cursor<'a>) -> Option<Parameter<'a>> {
    if !cursor.eat_separator(b';') {
        return None;
    }
    let name = cursor.token()?;
    if !cursor.eat_separator(b'=') {
        return Some(Parameter { name, value: None });
    }
    let value = if cursor.peek() == Some(b'"') {
        cursor.quoted()?
    } else {
        // A token, a host or an IPv6 reference; `received` also without brackets (RFC 5118 section 4.5).
        let value = cursor.take_while(is_value);
        if value.is_empty() {
            return None;
        }
        value
    };
    let ends_here = cursor.peek().is_none_or(|next| next == b';' || is_space(next));
    ends_here.then_some(Parameter { name, value: Some(value) })
}

const fn is_value(byte: u8) -> bool {
    is_token(byte)
        || matches!(
            byte,
            b'[' | b']'
                | b':'
                | b'/'
                | b'@'
                | b'$'
                | b'&'
                | b'?'
                | b'('
                | b')'
                | b'#'
                | b'{'
                | b'}'
                | b'|'
                | b'^'
        )
}
