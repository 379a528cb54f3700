//! A cursor over one header value: tokens, quoted strings, white space.
//!
//! RFC 3261 section 25.1. Folded lines were recognised when the message was cut into lines, so CR and LF inside a value are white space
//! (`LWS`) here. Each step moves forward; nothing looks back.

/// A position in a header value.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte, not consumed.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// Consumes `count` bytes and returns them.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let count = count.min(self.bytes.len());
        let (head, tail) = self.bytes.split_at(count);
        self.bytes = tail;
        head
    }

    /// Consumes as long as `wanted` says so.
    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let count = self.bytes.iter().position(|byte| !wanted(*byte)).unwrap_or(self.bytes.len());
        self.take(count)
    }

    /// Consumes white space, also none.
    pub fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    /// Consumes `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.take(1);
        }
        is_next
    }

    /// Consumes a separator with the white space around it: `SEMI`, `EQUAL`, `COMMA`, `SLASH`, `COLON` of the grammar.
    /// White space is consumed even when the separator is missing.
    pub fn eat_separator(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.eat(byte);
        if found {
            self.skip_space();
        }
        found
    }

    /// A `token`, not empty.
    pub fn token(&mut self) -> Option<&'a str> {
        nonempty_text(self.take_while(is_token))
    }

    /// A number of digits only; `None` when there is none or it exceeds `u32`.
    pub fn number(&mut self) -> Option<u32> {
        parse_u32(self.take_while(|byte| byte.is_ascii_digit()))
    }

    /// A quoted string, the cursor on its opening quote; returns what is between the quotes, still escaped.
    pub fn quoted(&mut self) -> Option<&'a [u8]> {
        if !self.eat(b'"') {
            return None;
        }
        let mut escaped = false;
        let end = self.bytes.iter().position(|byte| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        })?;
        let inside = self.take(end);
        self.take(1);
        Some(inside)
    }
}

/// White space inside a header value, folds included.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A character of `token`.
pub const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// A character of `word`, which Call-ID is made of.
pub const fn is_word(byte: u8) -> bool {
    is_token(byte)
        || matches!(
            byte,
            b'(' | b')' | b'<' | b'>' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?' | b'{' | b'}'
        )
}

/// `bytes` without white space at both ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

/// ASCII or UTF-8 bytes as text; `None` when empty or not UTF-8.
pub fn nonempty_text(bytes: &[u8]) -> Option<&str> {
    if bytes.is_empty() { None } else { core::str::from_utf8(bytes).ok() }
}

/// Digits only, any number of leading zeros, at most `u32::MAX`.
pub fn parse_u32(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |sum, digit| {
        let value = digit.wrapping_sub(b'0');
        if value > 9 { None } else { sum.checked_mul(10)?.checked_add(u32::from(value)) }
    })
}

/// The first value of a comma-separated list and what follows its comma. Commas in quotes and in angle brackets do not count.
pub fn split_comma(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if quoted {
            quoted = *byte != b'"' || escaped;
            escaped = *byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            b',' if !bracketed => {
                let (value, tail) = bytes.split_at(at);
                return (trim(value), tail.get(1..));
            }
            _ => {}
        }
    }
    (trim(bytes), None)
}
