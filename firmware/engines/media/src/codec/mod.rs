//! The codecs a call may use, behind one encoder and one decoder without allocation.
//!
//! G.711 (PCMU, PCMA), G.722, Opus (RFC 6716, RFC 7587). Opus states are large: they are made at start-up and lent by a
//! [`CodecPool`]. Opus works at the line's rate, G.722 always at 16 kHz, G.711 at 8.

pub mod g711;
mod opus;

use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};

use crate::stream::OpusParameters;

pub use opus::{CodecPool, OpusDecoding, OpusEncoding, PACKET_BITS};

/// A voice codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: wideband.
    G722,
    /// Opus.
    Opus,
}

/// Sound to octets.
#[expect(clippy::large_enum_variant, reason = "one per session, and sessions are boxed")]
pub enum Encoder {
    /// Either law of G.711.
    G711(Codec),
    /// G.722 with its predictors.
    G722(G722Encoder),
    /// Opus; `None`: the pool was empty, nothing is sent.
    Opus(Option<OpusEncoding>),
}

/// Octets to sound.
#[expect(clippy::large_enum_variant, reason = "one per session, and sessions are boxed")]
pub enum Decoder {
    /// Either law of G.711.
    G711(Codec),
    /// G.722 with its predictors, and what keeps them in step during a gap.
    G722(G722Decoder, Mirror),
    /// Opus; `None`: the pool was empty, all is silence.
    Opus(Option<OpusDecoding>),
}

/// An encoder that hears what the decoder says, and so has nearly the sender's state.
pub struct Mirror {
    encoder: G722Encoder,
    /// Samples of the sound to come that it heard already.
    ahead: usize,
}

impl Mirror {
    fn follow(&mut self, sound: &[i16]) {
        let skipped = self.ahead.min(sound.len());
        self.ahead -= skipped;
        self.encode(sound.get(skipped..).unwrap_or(&[]), |_| {});
    }

    fn bridge(&mut self, decoder: &mut G722Decoder, extension: &[i16]) {
        let Some((head, rest)) = extension.split_at_checked(Decoder::DELAY.saturating_sub(self.ahead)) else {
            return;
        };
        self.encode(head, |_| {});
        self.ahead = Decoder::DELAY;
        let mut unheard = [0; 160];
        self.encode(rest, |codes| {
            let _ = decoder.decode_into(codes, &mut unheard);
        });
    }

    fn encode(&mut self, sound: &[i16], mut use_codes: impl FnMut(&[u8])) {
        for part in sound.chunks(160) {
            let mut codes = [0; 81];
            let length = self.encoder.encode_into(part, &mut codes).unwrap_or(0);
            use_codes(codes.get(..length).unwrap_or(&[]));
        }
    }
}

impl Codec {
    /// All of them, the widest first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// The name in `a=rtpmap`.
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// The RTP clock. G.722 says 8000 for historical reasons (RFC 3551 §4.5.2), Opus always 48000 (RFC 7587 §4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
        }
    }

    /// RTP clock ticks in a millisecond.
    pub const fn ticks_per_millisecond(self) -> u32 {
        self.clock_rate() / 1000
    }

    /// The payload type of RFC 3551 table 4; Opus has none.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus => None,
        }
    }

    /// Samples in a second it works with, when Opus works with `opus_rate`.
    pub const fn sample_rate(self, opus_rate: u32) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::Opus => opus_rate,
        }
    }

    /// Milliseconds of sound in a payload, 0 when it is none of this codec's (RFC 6716 §3.1 for Opus).
    pub fn duration(self, payload: &[u8]) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u32 / 8,
            Self::Opus => opus::duration(payload),
        }
    }
}

impl Encoder {
    /// An encoder; takes an Opus state from `pool`.
    pub fn new(codec: Codec, pool: &CodecPool) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma => Self::G711(codec),
            Codec::G722 => Self::G722(G722Encoder::with_options(Bitrate::Mode1_64000, false, false)),
            Codec::Opus => Self::Opus(pool.encoding()),
        }
    }

    /// Octets of `samples` (10 to 60 ms, Opus always 20) in `out`; `None` when they do not fit or there is no encoder.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        match self {
            Self::G711(codec) => {
                let out = out.get_mut(..samples.len())?;
                for (octet, sample) in out.iter_mut().zip(samples) {
                    *octet = if *codec == Codec::Pcma { g711::a_law(*sample) } else { g711::mu_law(*sample) };
                }
                Some(samples.len())
            }
            Self::G722(encoder) => encoder.encode_into(samples, out).ok(),
            Self::Opus(encoding) => encoding.as_mut()?.encode(samples, out),
        }
    }

    /// Tells Opus what the peer's decoder likes.
    pub fn set_opus(&mut self, parameters: OpusParameters) {
        if let Self::Opus(Some(encoding)) = self {
            encoding.set_parameters(parameters);
        }
    }

    /// Tells Opus what the peer reports, in percent.
    pub fn set_loss(&mut self, percent: u32) {
        if let Self::Opus(Some(encoding)) = self {
            encoding.set_loss(percent);
        }
    }
}

impl Decoder {
    /// Samples of both filters of G.722 together.
    pub const DELAY: usize = 22;

    /// A decoder; takes an Opus state from `pool`.
    pub fn new(codec: Codec, pool: &CodecPool) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma => Self::G711(codec),
            Codec::G722 => {
                let decoder = G722Decoder::with_options(Bitrate::Mode1_64000, false, false);
                let encoder = G722Encoder::with_options(Bitrate::Mode1_64000, false, false);
                Self::G722(decoder, Mirror { encoder, ahead: 0 })
            }
            Codec::Opus => Self::Opus(pool.decoding()),
        }
    }

    /// Which codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::G711(codec) => *codec,
            Self::G722(..) => Codec::G722,
            Self::Opus(_) => Codec::Opus,
        }
    }

    /// Samples of `payload` in `out`; 0 when it cannot be decoded or `out` is too small.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::G711(codec) => {
                for (sample, octet) in out.iter_mut().zip(payload) {
                    *sample = if *codec == Codec::Pcma {
                        g711::from_a_law(*octet)
                    } else {
                        g711::from_mu_law(*octet)
                    };
                }
                payload.len().min(out.len())
            }
            Self::G722(decoder, mirror) => {
                let length = decoder.decode_into(payload, out).unwrap_or(0);
                mirror.follow(out.get(..length).unwrap_or(&[]));
                length
            }
            Self::Opus(decoding) => decoding.as_mut().map_or(0, |decoding| decoding.decode(payload, out)),
        }
    }

    /// A gap is about to be skipped; `extension` is how the sound before it would go on, [`Decoder::DELAY`] samples longer than the gap.
    /// A decoder that predicts (G.722) decodes what the sender would have sent for that, so that its predictors are near the sender's.
    pub fn bridge(&mut self, extension: &[i16]) {
        if let Self::G722(decoder, mirror) = self {
            mirror.bridge(decoder, extension);
        }
    }

    /// Fills `out` in place of lost packets if the codec can do that itself: from the redundancy in `next`, the packet after the gap,
    /// else by its own concealment. `false`: it cannot (G.711, G.722).
    pub fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        match self {
            Self::G711(_) | Self::G722(..) => false,
            Self::Opus(decoding) => {
                if let Some(decoding) = decoding {
                    decoding.conceal(next, out);
                } else {
                    out.fill(0);
                }
                true
            }
        }
    }
}
