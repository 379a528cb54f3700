//! What a handset and its line say to each other over a stream of bytes.
//!
//! The two wires of a real line become one connection: a Unix socket on Linux, a virtio console elsewhere. Both ways the
//! same framing: `kind: u8, length: u16 big-endian, payload`.
//!
//! | From | Kind | Payload | Means |
//! |---|---|---|---|
//! | handset | `H` | 1 byte: 1 closed, 0 open | the loop, raw: flashes and dial pulses are made of it |
//! | handset | `A` | 16-bit little-endian samples | 10 ms of what the microphone hears |
//! | line | `I` | sample rate `u32` big-endian, name | the first message: who this line is |
//! | line | `B` | nothing | another handset is plugged in; the line hangs up after it |
//! | line | `F` | 1 byte: 0 forward, 1 reverse, 2 open, 3 ringing; then its frequency in Hz | what is on the wires now |
//! | line | `A` | 16-bit little-endian samples | 10 ms for the earpiece |
//!
//! The line is the clock: while its sound is on it sends an `A` every 10 ms and wants one back for each. `A` from a handset while the
//! line's sound is off means nothing. A connection begins on-hook with forward feed, told by `I` and then `F`; its end opens the loop.
//! Kinds not known here are skipped, so either side may learn new ones. [`HandsetLine`] is the line's side of it. Not here: sockets, what a flash or a pulse is.

use core::marker::PhantomData;

use dialtone_base::counted_reasons;
use dialtone_base::text::Text;

use crate::line::{Feed, LineInfo, MOST_SAMPLES, PcmFrame};

mod line;

pub use line::{EARLY_FRAMES, FrameClock, HandsetLine, LONGEST_PAUSE, Step};

/// Bytes before the payload.
pub const HEADER: usize = 3;
/// Bytes of the longest message: 10 ms at 16 kHz.
pub const LONGEST: usize = HEADER + 2 * MOST_SAMPLES;

counted_reasons! {
    /// Why a message was not understood. The stream stays in step but for [`Malformed::TooLong`].
    pub enum Malformed {
        /// A kind this side does not know: skipped.
        UnknownKind = "unknown-kind",
        /// A payload of a length its kind cannot have: skipped.
        BadLength = "bad-length",
        /// A value that means nothing: skipped.
        BadValue = "bad-value",
        /// Longer than any message: what follows cannot be trusted, close the connection.
        TooLong = "too-long",
    }
}

/// One direction's messages.
pub trait Message: Sized {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`Malformed`], never `TooLong`.
    fn parse(kind: u8, payload: &[u8]) -> Result<Self, Malformed>;

    /// Writes the message, header first; the bytes written.
    fn encode<'o>(&self, out: &'o mut [u8; LONGEST]) -> &'o [u8];
}

/// What a handset says.
// No box: messages are made and used on the spot, and a chip has no heap to spare for each 10 ms.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHandset {
    /// The hook switch, raw: `true` lets current flow (off-hook).
    Loop(bool),
    /// 10 ms of the microphone.
    Sound(PcmFrame),
}

/// What a line says.
// No box: messages are made and used on the spot, and a chip has no heap to spare for each 10 ms.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLine {
    /// Who the line is; the first message.
    Info(Greeting),
    /// Somebody else is plugged in. The last message.
    Busy,
    /// What is on the wires now.
    Feed(Feed),
    /// 10 ms for the earpiece.
    Sound(PcmFrame),
}

/// The line introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Samples in a second, 8000 or 16000, both ways.
    pub sample_rate: u32,
    /// The name people know the line by: `phone1`.
    pub name: Text<15>,
}

/// Finds messages in a stream that arrives in pieces. Holds at most one message.
#[derive(Clone, Debug)]
pub struct Decoder<M> {
    buffer: [u8; LONGEST],
    filled: usize,
    lost: bool,
    message: PhantomData<M>,
}

impl<M: Message> Decoder<M> {
    /// At the beginning of a connection.
    pub const fn new() -> Self {
        Self { buffer: [0; LONGEST], filled: 0, lost: false, message: PhantomData }
    }

    /// Takes bytes from the front of `input` up to the end of the next message; `None` once `input` is used up. Ask again until then.
    ///
    /// # Errors
    /// [`Malformed`]: count it and ask again. After [`Malformed::TooLong`] nothing is ever understood again: close.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Result<M, Malformed>> {
        if self.lost {
            *input = &[];
            return None;
        }
        self.fill_to(HEADER, input)?;
        let [kind, high, low, ..] = self.buffer;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if HEADER + length > LONGEST {
            self.lost = true;
            return Some(Err(Malformed::TooLong));
        }
        self.fill_to(HEADER + length, input)?;
        self.filled = 0;
        Some(M::parse(kind, self.buffer.get(HEADER..HEADER + length).unwrap_or_default()))
    }

    /// Moves bytes until there are `wanted`; `None` when there are too few yet.
    fn fill_to(&mut self, wanted: usize, input: &mut &[u8]) -> Option<()> {
        let missing = wanted.saturating_sub(self.filled);
        let (taken, rest) = input.split_at(missing.min(input.len()));
        if let Some(space) = self.buffer.get_mut(self.filled..self.filled + taken.len()) {
            space.copy_from_slice(taken);
            self.filled += taken.len();
        }
        *input = rest;
        (self.filled >= wanted).then_some(())
    }
}

impl<M: Message> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl Message for FromHandset {
    fn parse(kind: u8, payload: &[u8]) -> Result<Self, Malformed> {
        match (kind, payload) {
            (b'H', [0]) => Ok(Self::Loop(false)),
            (b'H', [1]) => Ok(Self::Loop(true)),
            (b'H', [_]) => Err(Malformed::BadValue),
            (b'A', samples) => parse_sound(samples).map(Self::Sound),
            (b'H', _) => Err(Malformed::BadLength),
            _ => Err(Malformed::UnknownKind),
        }
    }

    fn encode<'o>(&self, out: &'o mut [u8; LONGEST]) -> &'o [u8] {
        match self {
            Self::Loop(closed) => write(out, b'H', [u8::from(*closed)]),
            Self::Sound(frame) => write_sound(out, frame),
        }
    }
}

impl Message for FromLine {
    fn parse(kind: u8, payload: &[u8]) -> Result<Self, Malformed> {
        match (kind, payload) {
            (b'A', samples) => parse_sound(samples).map(Self::Sound),
            (b'F', [0]) => Ok(Self::Feed(Feed::Forward)),
            (b'F', [1]) => Ok(Self::Feed(Feed::Reverse)),
            (b'F', [2]) => Ok(Self::Feed(Feed::Open)),
            (b'F', [3, hertz]) => Ok(Self::Feed(Feed::Ringing(*hertz))),
            (b'F', [0..=2, _] | [3]) => Err(Malformed::BadLength),
            (b'F', [_] | [_, _]) => Err(Malformed::BadValue),
            (b'I', [a, b, c, d, name @ ..]) => {
                let greeting = Greeting {
                    sample_rate: u32::from_be_bytes([*a, *b, *c, *d]),
                    name: Text::from_wire(name),
                };
                match greeting.sample_rate {
                    8000 | 16000 => Ok(Self::Info(greeting)),
                    _ => Err(Malformed::BadValue),
                }
            }
            (b'B', []) => Ok(Self::Busy),
            (b'F' | b'I' | b'B', _) => Err(Malformed::BadLength),
            _ => Err(Malformed::UnknownKind),
        }
    }

    fn encode<'o>(&self, out: &'o mut [u8; LONGEST]) -> &'o [u8] {
        match self {
            Self::Info(Greeting { sample_rate, name }) => {
                write(out, b'I', sample_rate.to_be_bytes().into_iter().chain(name.bytes()))
            }
            Self::Busy => write(out, b'B', []),
            Self::Feed(Feed::Forward) => write(out, b'F', [0]),
            Self::Feed(Feed::Reverse) => write(out, b'F', [1]),
            Self::Feed(Feed::Open) => write(out, b'F', [2]),
            Self::Feed(Feed::Ringing(hertz)) => write(out, b'F', [3, *hertz]),
            Self::Sound(frame) => write_sound(out, frame),
        }
    }
}

impl From<&LineInfo> for Greeting {
    fn from(info: &LineInfo) -> Self {
        Self { sample_rate: info.sample_rate, name: info.name.clone() }
    }
}

/// Any whole number of samples up to [`MOST_SAMPLES`]: the receiver makes frames of its own length of them.
fn parse_sound(payload: &[u8]) -> Result<PcmFrame, Malformed> {
    let (pairs, []) = payload.as_chunks::<2>() else { return Err(Malformed::BadLength) };
    if pairs.len() > MOST_SAMPLES {
        return Err(Malformed::BadLength);
    }
    let mut frame = PcmFrame::silence(pairs.len());
    for (sample, pair) in frame.samples_mut().iter_mut().zip(pairs) {
        *sample = i16::from_le_bytes(*pair);
    }
    Ok(frame)
}

fn write_sound<'o>(out: &'o mut [u8; LONGEST], frame: &PcmFrame) -> &'o [u8] {
    write(out, b'A', frame.samples().iter().flat_map(|sample| sample.to_le_bytes()))
}

/// The longest payload of all fits; what would not is left out.
fn write(out: &mut [u8; LONGEST], kind: u8, payload: impl IntoIterator<Item = u8>) -> &[u8] {
    let (header, body) = out.split_at_mut(HEADER);
    let mut length = 0;
    for (to, from) in body.iter_mut().zip(payload) {
        *to = from;
        length += 1;
    }
    let [high, low] = u16::try_from(length).unwrap_or(0).to_be_bytes();
    header.copy_from_slice(&[kind, high, low]);
    out.get(..HEADER + length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all<M: Message>(
        decoder: &mut Decoder<M>,
        mut input: &[u8],
    ) -> std::vec::Vec<Result<M, Malformed>> {
        let mut found = std::vec::Vec::new();
        while let Some(message) = decoder.next(&mut input) {
            found.push(message);
        }
        assert!(input.is_empty(), "the decoder takes all it is given");
        found
    }

    #[test]
    fn what_a_line_says_is_understood_in_pieces_of_any_size() {
        let said = [
            FromLine::Info(Greeting { sample_rate: 16000, name: Text::lossy("phone2") }),
            FromLine::Feed(Feed::Forward),
            FromLine::Feed(Feed::Ringing(25)),
            FromLine::Feed(Feed::Open),
            FromLine::Feed(Feed::Reverse),
            FromLine::Sound(PcmFrame::from_samples(&[-32768, -1, 0, 1, 32767])),
            FromLine::Sound(PcmFrame::silence(MOST_SAMPLES)),
            FromLine::Busy,
        ];
        let mut wire = std::vec::Vec::new();
        for message in &said {
            wire.extend_from_slice(message.encode(&mut [0; LONGEST]));
        }
        for piece in [1, 2, 3, 7, 322, 323, 1000] {
            let mut decoder = Decoder::new();
            let heard: std::vec::Vec<FromLine> = wire
                .chunks(piece)
                .flat_map(|piece| decode_all(&mut decoder, piece))
                .map(Result::unwrap)
                .collect();
            assert_eq!(heard, said, "in pieces of {piece}");
        }
    }

    #[test]
    fn the_bytes_are_as_the_table_says() {
        let mut out = [0; LONGEST];
        assert_eq!(FromHandset::Loop(true).encode(&mut out), b"H\0\x01\x01");
        assert_eq!(
            FromHandset::Sound(PcmFrame::from_samples(&[1, -2])).encode(&mut out),
            b"A\0\x04\x01\0\xfe\xff"
        );
        assert_eq!(FromLine::Feed(Feed::Ringing(20)).encode(&mut out), b"F\0\x02\x03\x14");
        let greeting = FromLine::Info(Greeting { sample_rate: 8000, name: Text::lossy("phone1") });
        assert_eq!(greeting.encode(&mut out), b"I\0\x0a\0\0\x1f\x40phone1");
        assert_eq!(FromLine::Busy.encode(&mut out), b"B\0\0");
    }

    #[test]
    fn what_is_not_understood_is_skipped_and_the_next_message_is_heard() {
        let mut decoder = Decoder::<FromHandset>::new();
        let wire = b"Z\0\x02??H\0\x02\x01\x01H\0\x01\x07A\0\x03abcH\0\x01\x01";
        let heard = decode_all(&mut decoder, wire);
        assert_eq!(
            heard,
            [
                Err(Malformed::UnknownKind),
                Err(Malformed::BadLength),
                Err(Malformed::BadValue),
                Err(Malformed::BadLength),
                Ok(FromHandset::Loop(true)),
            ]
        );
    }

    #[test]
    fn a_message_longer_than_any_ends_the_conversation() {
        let mut decoder = Decoder::<FromHandset>::new();
        assert_eq!(decode_all(&mut decoder, b"A\x01\x41"), [Err(Malformed::TooLong)]);
        assert_eq!(decode_all(&mut decoder, b"H\0\x01\x01"), []);
    }
}
