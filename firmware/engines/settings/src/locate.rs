//! Which field sits where in a JSON text: from a position to a path and back.
//!
//! Walks the text as far as it is well formed and deep enough for any settings tree; whether it is valid JSON is the
//! parser's business. Used to tell people line, column and field of a fault.

use alloc::string::String;
use core::fmt::Write;

/// A place in a text as people count: both from 1, the column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Byte in the line, from 1.
    pub column: usize,
}

impl Position {
    /// Of the byte at `offset`, or of the end.
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self { line, column: before.len() - line_start + 1 }
    }

    /// The byte at this place; column 0 is the end of the line before.
    pub fn offset(self, text: &str) -> usize {
        let before: usize = text.split_inclusive('\n').take(self.line.saturating_sub(1)).map(str::len).sum();
        (before + self.column).saturating_sub(1)
    }

    /// The last byte of a value at or before this place: parsers notice a bad value only at what follows it.
    pub fn back_into_value(self, text: &str) -> Self {
        let between = |byte: &u8| byte.is_ascii_whitespace() || b",}]".contains(byte);
        let head = text.as_bytes().get(..=self.offset(text)).unwrap_or(text.as_bytes());
        match head.iter().rposition(|byte| !between(byte)) {
            Some(offset) => Self::of_offset(text, offset),
            None => self,
        }
    }
}

/// The path of the innermost field around `position`: `lan.dhcp.first`, `reservations.3.mac`; empty at the top.
pub fn path_at(text: &str, position: Position) -> String {
    let offset = position.offset(text);
    let mut found = String::new();
    walk(text, |path, start, end| {
        if start <= offset && end.is_none_or(|end| offset < end) && path.len() >= found.len() {
            found.clear();
            found.push_str(path);
        }
    });
    found
}

/// Where the field of `path` begins, or else the innermost field around it that is there; `None` when not even that.
pub fn position_of(text: &str, path: &str) -> Option<Position> {
    let mut found: Option<(usize, usize)> = None;
    walk(text, |at, start, _| {
        let inside = path == at || path.strip_prefix(at).is_some_and(|rest| rest.starts_with('.'));
        if !at.is_empty() && inside && found.is_none_or(|(length, _)| length < at.len()) {
            found = Some((at.len(), start));
        }
    });
    let (_, offset) = found?;
    Some(Position::of_offset(text, offset))
}

/// Tells `visit` every field with the start of its key (or element) and the end of its value, inner ones first; no end
/// for those in which the text broke off.
fn walk(text: &str, visit: impl FnMut(&str, usize, Option<usize>)) {
    let mut walker = Walker { bytes: text.as_bytes(), at: 0, path: String::new(), visit };
    // Where it breaks off has been told to `visit`.
    let _ = walker.field(0, 0);
}

struct Walker<'a, V> {
    bytes: &'a [u8],
    at: usize,
    path: String,
    visit: V,
}

impl<V: FnMut(&str, usize, Option<usize>)> Walker<'_, V> {
    /// A field whose key began at `start`, from its value on.
    fn field(&mut self, start: usize, depth: usize) -> Option<()> {
        let whole = self.value(depth);
        let end = whole.map(|()| self.at);
        (self.visit)(&self.path, start, end);
        whole
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match self.next_sign()? {
            b'{' => self.members(depth, b'}'),
            b'[' => self.members(depth, b']'),
            b'"' => self.string().map(|_| ()),
            _ => {
                let rest = self.bytes.get(self.at..)?;
                let end = |byte: &u8| byte.is_ascii_whitespace() || b",]}:".contains(byte);
                self.at += rest.iter().position(end).unwrap_or(rest.len());
                Some(())
            }
        }
    }

    /// What is between the brackets of an object or a list.
    fn members(&mut self, depth: usize, close: u8) -> Option<()> {
        self.at += 1;
        let parent = self.path.len();
        for index in 0usize.. {
            if self.next_sign()? == close {
                break;
            }
            let start = self.at;
            if parent > 0 {
                self.path.push('.');
            }
            let mut whole = Some(());
            if close == b'}' {
                match self.string() {
                    Some(key) => self.path.push_str(&key),
                    None => whole = None,
                }
            } else {
                let _ = write!(self.path, "{index}");
            }
            if close == b'}' && whole.is_some() {
                whole = self.next_sign().filter(|sign| *sign == b':').map(|_| self.at += 1);
            }
            match whole {
                Some(()) => whole = self.field(start, depth + 1),
                None => (self.visit)(&self.path, start, None),
            }
            self.path.truncate(parent);
            whole?;
            match self.next_sign()? {
                b',' => self.at += 1,
                sign if sign == close => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A string in its quotes, as written but for cutting an endless one.
    fn string(&mut self) -> Option<String> {
        if self.next_sign()? != b'"' {
            return None;
        }
        let from = self.at + 1;
        let mut to = from;
        loop {
            match self.bytes.get(to)? {
                b'"' => break,
                b'\\' => to += 2,
                _ => to += 1,
            }
        }
        self.at = to + 1;
        let text = core::str::from_utf8(self.bytes.get(from..to)?).unwrap_or("?");
        Some(text.chars().take(KEY).collect())
    }

    fn next_sign(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }
}

const DEPTH: usize = 12;
const KEY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\n  \"lan\": {\n    \"dhcp\": { \"first\": \"10.0.0.1\" }\n  },\n  \"list\": [1, {\"a\": 2}]\n}";

    #[test]
    fn paths_and_positions_lead_to_each_other() {
        for (path, line, column) in [
            ("lan", 2, 3),
            ("lan.dhcp", 3, 5),
            ("lan.dhcp.first", 3, 15),
            ("list.0", 5, 12),
            ("list.1.a", 5, 16),
        ] {
            let position = Position { line, column };
            assert_eq!(position_of(TEXT, path), Some(position), "{path}");
            assert_eq!(path_at(TEXT, position), path);
        }
    }

    #[test]
    fn a_field_that_is_not_there_is_placed_at_the_one_around_it() {
        assert_eq!(position_of(TEXT, "lan.dhcp.last"), Some(Position { line: 3, column: 5 }));
        assert_eq!(position_of(TEXT, "wan.mtu"), None);
    }

    #[test]
    fn broken_text_still_has_a_path() {
        let broken = "{\"lan\": {\"mtu\": 12,, ";
        assert_eq!(path_at(broken, Position { line: 1, column: 17 }), "lan.mtu");
        assert_eq!(path_at(broken, Position { line: 1, column: 21 }), "lan.");
        for text in ["", "{", "{\"", "[[[[[[[[[[[[[[[[[[[[[[", "{\"a\\", "\u{feff}{}"] {
            path_at(text, Position { line: 1, column: 1 });
            position_of(text, "a.b");
        }
    }
}
