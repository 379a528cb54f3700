//! The 48 bytes of an NTP packet (RFC 5905 section 7.3), and its idea of time.

use dialtone_base::Duration;

/// Bytes of a packet without extensions.
pub const PACKET: usize = 48;

/// Seconds from 1900 to 1970.
const TO_1970: u64 = 2_208_988_800;

/// An NTP timestamp: 32 bits of seconds, 32 of fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(pub u64);

impl Timestamp {
    /// Microseconds since 1970. RFC 4330 section 3: with the top bit clear the second era is meant, from 2036 on.
    pub fn unix_micros(self) -> u64 {
        let seconds = self.0 >> 32;
        let era = if seconds & 0x8000_0000 == 0 { 1 << 32 } else { 0 };
        let fraction = ((self.0 & 0xffff_ffff) * 1_000_000) >> 32;
        (seconds + era).saturating_sub(TO_1970) * 1_000_000 + fraction
    }

    /// From `earlier` to this one; `None` when it lies before, across an era's end or not.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let difference = self.0.wrapping_sub(earlier.0);
        if difference > i64::MAX as u64 {
            return None;
        }
        let micros = (difference as u128 * 1_000_000) >> 32;
        Some(Duration::from_micros(micros as u64))
    }
}

/// What a server says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub leap: u8,
    pub version: u8,
    pub mode: u8,
    pub stratum: u8,
    /// 16.16 seconds.
    pub root_delay: u32,
    /// 16.16 seconds.
    pub root_dispersion: u32,
    pub reference: [u8; 4],
    pub originate: Timestamp,
    pub receive: Timestamp,
    pub transmit: Timestamp,
}

impl Answer {
    /// `None` when it is too short. Extensions and authenticators behind the 48 bytes are ignored.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
        let long =
            |at: usize| bytes.get(at..)?.first_chunk::<8>().map(|it| Timestamp(u64::from_be_bytes(*it)));
        let [first, stratum, ..] = word(0)?;
        Some(Self {
            leap: first >> 6,
            version: first >> 3 & 7,
            mode: first & 7,
            stratum,
            root_delay: u32::from_be_bytes(word(4)?),
            root_dispersion: u32::from_be_bytes(word(8)?),
            reference: word(12)?,
            originate: long(24)?,
            receive: long(32)?,
            transmit: long(40)?,
        })
    }
}

/// Writes a client's question: version 4, mode 3, everything else zero but the random originate-to-be.
pub(crate) fn write_question(out: &mut [u8], nonce: Timestamp) -> Option<usize> {
    let place = out.first_chunk_mut::<PACKET>()?;
    place.fill(0);
    place[0] = 4 << 3 | 3;
    place.last_chunk_mut::<8>()?.copy_from_slice(&nonce.0.to_be_bytes());
    Some(PACKET)
}
