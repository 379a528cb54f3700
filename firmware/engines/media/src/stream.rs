//! What two ends agreed on: the parameters of one voice stream.
//!
//! Made by [`crate::sdp`] (RFC 3264), lived by [`crate::Session`]. Payload types differ by direction: what a side offered is
//! what it wants to receive (RFC 3264 §5.1).

use core::net::SocketAddr;

use heapless::Vec;

use crate::codec::Codec;

/// Payload types that may arrive for voice: each codec under our number and, where peers confuse them, under theirs.
pub const MOST_RECEIVE_TYPES: usize = 8;

/// One voice stream as negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Where our RTP goes; `None` while the peer named no address (`0.0.0.0`, the old way to hold).
    pub remote: Option<SocketAddr>,
    /// Where our RTCP goes; the same as `remote` with [`StreamConfig::rtcp_mux`].
    pub remote_rtcp: Option<SocketAddr>,
    /// RTCP shares the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// What we do: held by the peer, we only receive or do nothing.
    pub direction: Direction,
    /// The codec we send.
    pub codec: Codec,
    /// The payload type the peer knows that codec by.
    pub send_payload_type: u8,
    /// Payload types that may arrive, and what they carry.
    pub receive: Vec<(u8, Codec), MOST_RECEIVE_TYPES>,
    /// Milliseconds of sound in a packet we send: 10 to 60 in steps of 10, with Opus 20.
    pub packet_time: u8,
    /// Keys as RFC 4733 events; `None`: the peer does not know them.
    pub telephone_event: Option<EventTypes>,
    /// Payload type of comfort noise (RFC 3389), send and receive; `None`: silence is sent as sound.
    pub comfort_noise: Option<u8>,
    /// What the peer's Opus decoder likes.
    pub opus: OpusParameters,
}

/// Payload types of telephone-event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTypes {
    /// The number the peer wants.
    pub send: u8,
    /// The number the peer uses.
    pub receive: u8,
    /// The clock the durations count in, 8000 or 48000.
    pub clock_rate: u32,
}

/// Media direction seen from this side (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendReceive,
    /// We talk, they do not: we put them on hold (music may be sent).
    SendOnly,
    /// They talk, we do not: they put us on hold.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

/// `a=fmtp` of Opus (RFC 7587 §6.1) that changes what we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusParameters {
    /// The peer can use in-band forward error correction.
    pub fec: bool,
    /// Highest sample rate the peer plays, in hertz.
    pub max_playback_rate: u32,
    /// Most bits in a second the peer wants; 0 is "no limit".
    pub max_average_bitrate: u32,
    /// The peer wants a constant bit rate.
    pub constant_bitrate: bool,
}

impl Direction {
    /// From what we may send and receive.
    pub const fn new(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendReceive,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether we send.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether we receive.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }

    /// The same seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The SDP attribute.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl Default for OpusParameters {
    /// RFC 7587 §6.1: no FEC, 48 kHz, variable rate.
    fn default() -> Self {
        Self { fec: false, max_playback_rate: 48_000, max_average_bitrate: 0, constant_bitrate: false }
    }
}
