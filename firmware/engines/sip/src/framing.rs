//! Messages out of a byte stream: where one ends and the next begins.
//!
//! RFC 3261 section 18.3 and 7.5 (Content-Length is obligatory), RFC 5626 section 3.5.1 and 4.4.1 (two line ends are a ping, one is its
//! pong). The buffer is taken at construction; a message that does not fit breaks the stream, because its end cannot be found by
//! anybody who does not read it.
//!
//! Every byte is looked at once for the end of the head, however small the portions.

use alloc::boxed::Box;
use alloc::vec;

use crate::message::{Message, Name};

/// What stands in the stream next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// Two line ends: answer with one.
    Ping,
    /// One line end: the answer to our ping.
    Pong,
    /// Not yet a whole message.
    Incomplete,
    /// The stream is lost. The head, as far as there is one, can be parsed and answered; then the connection must be closed.
    Broken(BadFrame, &'a [u8]),
}

dialtone_base::counted_reasons! {
    /// Why a stream was given up. The peer's fault, but [`BadFrame::TooLong`], which is our limit.
    pub enum BadFrame {
        /// A message that does not fit the buffer.
        TooLong = "message-too-long",
        /// A head that is no SIP.
        NotSip = "not-sip",
        /// No Content-Length, or several.
        NoLength = "no-content-length",
        /// A Content-Length that is no number.
        BadLength = "bad-content-length",
    }
}

/// One stream's bytes until they are messages.
#[derive(Debug)]
pub struct Framer {
    buffer: Box<[u8]>,
    /// What was handed out ends here.
    start: usize,
    end: usize,
    /// The head does not end before here.
    searched: usize,
    /// Length of the message at `start`, once its head is known.
    length: Option<usize>,
    broken: Option<BadFrame>,
}

impl Framer {
    /// For messages of at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            buffer: vec![0; longest].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
            length: None,
            broken: None,
        }
    }

    /// Begins anew: another connection.
    pub fn reset(&mut self) {
        self.start = 0;
        self.end = 0;
        self.searched = 0;
        self.length = None;
        self.broken = None;
    }

    /// Takes as much of `bytes` as there is room for; returns how much. Call [`Framer::next_frame`] until it is incomplete, then offer the rest.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let taken = bytes.len().min(room.len());
        if let (Some(place), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            place.copy_from_slice(bytes);
            self.end += taken;
        }
        taken
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> Frame<'_> {
        if let Some(reason) = self.broken {
            return Frame::Broken(reason, &[]);
        }
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        if waiting.starts_with(b"\r\n\r\n") {
            self.advance(4);
            return Frame::Ping;
        }
        if waiting.starts_with(b"\r\n") {
            self.advance(2);
            return Frame::Pong;
        }
        if waiting.is_empty() || waiting == b"\r" {
            return Frame::Incomplete;
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.find_length() {
                Ok(None) if self.end - self.start < self.buffer.len() => return Frame::Incomplete,
                Ok(None) => return self.give_up(BadFrame::TooLong),
                Ok(Some(length)) if length > self.buffer.len() => return self.give_up(BadFrame::TooLong),
                Ok(Some(length)) => {
                    self.length = Some(length);
                    length
                }
                Err(reason) => return self.give_up(reason),
            },
        };
        if self.end - self.start < length {
            return Frame::Incomplete;
        }
        let begin = self.start;
        self.advance(length);
        Frame::Message(self.buffer.get(begin..begin + length).unwrap_or_default())
    }

    /// Length of the message at `start`: head and body. `None`: the head is not whole.
    fn find_length(&mut self) -> Result<Option<usize>, BadFrame> {
        let from = self.searched.max(self.start);
        let unseen = self.buffer.get(from..self.end).unwrap_or_default();
        let Some(at) = unseen.windows(4).position(|window| window == b"\r\n\r\n") else {
            // The last three bytes may be the beginning of the end.
            self.searched = self.end.saturating_sub(3).max(from);
            return Ok(None);
        };
        let head_end = from + at + 4;
        let head = self.buffer.get(self.start..head_end).unwrap_or_default();
        let message = Message::parse_head(head).ok_or(BadFrame::NotSip)?;
        let mut lengths = message.lines(Name::ContentLength);
        let (Some(value), None) = (lengths.next(), lengths.next()) else { return Err(BadFrame::NoLength) };
        let body = crate::message::lex::parse_u32(value).and_then(|length| usize::try_from(length).ok());
        let body = body.ok_or(BadFrame::BadLength)?;
        Ok(Some(head.len().saturating_add(body)))
    }

    fn give_up(&mut self, reason: BadFrame) -> Frame<'_> {
        self.broken = Some(reason);
        Frame::Broken(reason, self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn advance(&mut self, count: usize) {
        self.start += count;
        self.searched = self.start;
        self.length = None;
    }
}

#[cfg(test)]
mod tests;
