//! Writes our session descriptions, always in the same shape.
//!
//! RFC 8866 §5: `v o s c t`, then one audio section; refused sections keep their place with port 0 (RFC 3264 §6). Terse, so that an INVITE
//! with it stays one unfragmented datagram (RFC 3261 §18.1.1): what a reader assumes anyway is left out. That is `rtpmap` of static payload
//! types (RFC 3551 §6), `ptime:20` (the default of all our codecs), `sendrecv` (RFC 3264 §5.1), `rtcp` on the port after RTP's
//! (RFC 3605 §2.1), and the events of the second telephone-event clock, which are 0-15 unless said (RFC 4733 §2.4.1).

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::codec::Codec;
use crate::stream::Direction;

/// Milliseconds of sound in a packet unless said (RFC 3551 §4.2, RFC 7587 §7).
const DEFAULT_PACKET_TIME: u8 = 20;

/// One line of the audio section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A codec under a payload type.
    Voice(u8, Codec),
    /// telephone-event under a payload type with this clock.
    Event(u8, u32),
    /// Comfort noise, payload type 13.
    ComfortNoise(u8),
}

impl Format {
    pub(super) const fn payload_type(self) -> u8 {
        match self {
            Self::Voice(number, _) | Self::Event(number, _) | Self::ComfortNoise(number) => number,
        }
    }
}

pub(super) fn head(out: &mut impl Write, session_id: u64, version: u64, address: IpAddr) -> fmt::Result {
    write!(
        out,
        "v=0\r\no=- {session_id} {version} IN {} {address}\r\ns=-\r\nc=IN {0} {address}\r\nt=0 0\r\n",
        family(address)
    )
}

pub(super) struct Audio<'a> {
    pub port: u16,
    pub rtcp_port: u16,
    pub protocol: &'a str,
    pub rtcp_mux: bool,
    pub packet_time: u8,
    pub direction: Direction,
    pub max_playback_rate: u32,
}

pub(super) fn audio(out: &mut impl Write, audio: &Audio<'_>, formats: &[Format]) -> fmt::Result {
    write!(out, "m=audio {} {}", audio.port, audio.protocol)?;
    for format in formats {
        write!(out, " {}", format.payload_type())?;
    }
    out.write_str("\r\n")?;
    for format in formats {
        match *format {
            Format::Voice(number, codec) if codec.static_payload_type() == Some(number) => {}
            Format::Voice(number, codec) => {
                let channels = if codec == Codec::Opus { "/2" } else { "" };
                write!(
                    out,
                    "a=rtpmap:{number} {}/{}{channels}\r\n",
                    codec.encoding_name(),
                    codec.clock_rate()
                )?;
                if codec == Codec::Opus {
                    let rate = audio.max_playback_rate;
                    write!(out, "a=fmtp:{number} maxplaybackrate={rate};useinbandfec=1\r\n")?;
                }
            }
            Format::Event(number, clock) => {
                write!(out, "a=rtpmap:{number} telephone-event/{clock}\r\n")?;
                // Old gateways take no events without being told which; those know none but of 8 kHz.
                if clock == 8000 {
                    write!(out, "a=fmtp:{number} 0-15\r\n")?;
                }
            }
            Format::ComfortNoise(_) => {}
        }
    }
    if audio.packet_time != DEFAULT_PACKET_TIME {
        write!(out, "a=ptime:{}\r\n", audio.packet_time)?;
    }
    out.write_str("a=maxptime:60\r\n")?;
    if audio.direction != Direction::SendReceive {
        write!(out, "a={}\r\n", audio.direction.attribute())?;
    }
    if audio.rtcp_mux {
        out.write_str("a=rtcp-mux\r\n")?;
    } else if audio.rtcp_port != audio.port.saturating_add(1) {
        write!(out, "a=rtcp:{}\r\n", audio.rtcp_port)?;
    }
    Ok(())
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "IP6" } else { "IP4" }
}
