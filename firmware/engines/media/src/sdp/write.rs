//! Writes our session descriptions, always in the same shape.
//!
//! RFC 8866 §5: `v o s c t`, then one audio section with `rtpmap`, `fmtp`, `ptime`, direction, `rtcp`; refused sections keep their place
//! with port 0 (RFC 3264 §6).

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::codec::Codec;
use crate::stream::Direction;

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
                    write!(
                        out,
                        "a=fmtp:{number} maxplaybackrate={rate};sprop-maxcapturerate={rate};useinbandfec=1\r\n"
                    )?;
                }
            }
            Format::Event(number, clock) => {
                write!(out, "a=rtpmap:{number} telephone-event/{clock}\r\na=fmtp:{number} 0-15\r\n")?;
            }
            Format::ComfortNoise(number) => write!(out, "a=rtpmap:{number} CN/8000\r\n")?,
        }
    }
    write!(out, "a=ptime:{}\r\na=maxptime:60\r\na={}\r\n", audio.packet_time, audio.direction.attribute())?;
    if audio.rtcp_mux {
        out.write_str("a=rtcp-mux\r\n")?;
    } else {
        write!(out, "a=rtcp:{}\r\n", audio.rtcp_port)?;
    }
    Ok(())
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "IP6" } else { "IP4" }
}
