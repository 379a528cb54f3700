//! RTP packets: read, written, and the source behind them judged.
//!
//! RFC 3550 §5.1 (header), §5.3.1 (extension, skipped), §6.4.1 and appendix A.8 (jitter), A.1 (sequence numbers), A.3 (loss). Contributing
//! sources are skipped: this is an end point, not a mixer.

use dialtone_base::Instant;

/// Octets of a header without contributing sources and extension.
pub const HEADER_LENGTH: usize = 12;
/// A jump ahead by more is a restart of the source, not loss (RFC 3550 A.1 `MAX_DROPOUT`).
const MOST_DROPOUT: u16 = 3000;
/// A step back by more is a restart too (`MAX_MISORDER`).
const MOST_MISORDER: u16 = 100;

/// A packet in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// Payload without padding.
    pub payload: &'a [u8],
}

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talk spurt, or of an event.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// One more for each packet.
    pub sequence: u16,
    /// In ticks of the payload's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

/// It is no RTP packet: too short, another version, padding longer than the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Packet<'a> {
    /// Reads a packet.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = datagram.split_first_chunk::<HEADER_LENGTH>().ok_or(Malformed)?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if first >> 6 != 2 {
            return Err(Malformed);
        }
        let sources = usize::from(first & 15) * 4;
        let mut payload = rest.get(sources..).ok_or(Malformed)?;
        if first & 0x10 != 0 {
            let (head, after) = payload.split_first_chunk::<4>().ok_or(Malformed)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            payload = after.get(words * 4..).ok_or(Malformed)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(Malformed)?);
            let end = payload.len().checked_sub(padding).filter(|_| padding > 0).ok_or(Malformed)?;
            payload = payload.get(..end).ok_or(Malformed)?;
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        };
        Ok(Self { header, payload })
    }
}

impl Header {
    /// Writes the header; `None` when `out` has no room for it.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let head = out.first_chunk_mut::<HEADER_LENGTH>()?;
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.to_be_bytes();
        let second = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        *head = [0x80, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
        Some(HEADER_LENGTH)
    }
}

/// On a shared port: whether the datagram is RTCP (RFC 5761 §4: packet types 192 to 223).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

/// A counter that wraps, made one that does not: the value nearest to the latest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapped {
    latest: i64,
}

impl Unwrapped {
    /// Starts at `first`.
    pub const fn starting_at(first: u32) -> Self {
        Self { latest: first as i64 }
    }

    /// `value` continued; moves on when it lies ahead.
    pub fn follow(&mut self, value: u32) -> i64 {
        let value = self.peek(value);
        self.latest = self.latest.max(value);
        value
    }

    /// `value` continued.
    pub const fn peek(&self, value: u32) -> i64 {
        self.latest + (value.wrapping_sub(self.latest as u32) as i32) as i64
    }
}

/// What the sequence number of a packet means (RFC 3550 A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// In order, or out of order within reason.
    Ordinary,
    /// The source began anew: two packets in a row say so.
    Restarted,
    /// Far away from the expected number; the next one will tell.
    Suspect,
}

/// A source of RTP and the figures reports carry (RFC 3550 §6.4).
#[derive(Clone, Debug)]
pub struct Source {
    /// Who.
    pub ssrc: u32,
    base: u32,
    highest: u16,
    cycles: u32,
    suspect: Option<u16>,
    received: u32,
    expected_before: u32,
    received_before: u32,
    transit: Option<i64>,
    jitter_sixteenths: u64,
}

impl Source {
    /// A source whose first packet is this one.
    pub fn new(header: &Header) -> Self {
        Self {
            ssrc: header.ssrc,
            base: u32::from(header.sequence),
            highest: header.sequence,
            cycles: 0,
            suspect: None,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter_sixteenths: 0,
        }
    }

    /// Judges a packet and counts it.
    pub fn arrived(&mut self, sequence: u16) -> Arrival {
        let ahead = sequence.wrapping_sub(self.highest);
        let arrival = if ahead < MOST_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
            Arrival::Ordinary
        } else if ahead > u16::MAX - MOST_MISORDER {
            Arrival::Ordinary
        } else if self.suspect == Some(sequence) {
            let fresh = Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: self.ssrc };
            *self = Self::new(&fresh);
            Arrival::Restarted
        } else {
            self.suspect = Some(sequence.wrapping_add(1));
            return Arrival::Suspect;
        };
        self.suspect = None;
        self.received = self.received.wrapping_add(1);
        arrival
    }

    /// Updates the jitter (A.8) from a packet of sound; `rate` is its clock.
    pub fn measure(&mut self, now: Instant, timestamp: u32, rate: u32) {
        let arrival = (u128::from(now.as_micros()) * u128::from(rate) / 1_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp) as i32);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).unsigned_abs().min(u64::from(rate));
            self.jitter_sixteenths =
                (self.jitter_sixteenths + difference).saturating_sub((self.jitter_sixteenths + 8) >> 4);
        }
    }

    /// Another clock, or a new talk spurt after DTX: the next packet says nothing about jitter.
    pub fn skip_measure(&mut self) {
        self.transit = None;
    }

    /// Interarrival jitter in ticks.
    pub const fn jitter(&self) -> u32 {
        (self.jitter_sixteenths >> 4) as u32
    }

    /// Packets received.
    pub const fn received(&self) -> u32 {
        self.received
    }

    /// Highest sequence number with its cycles, as reports carry it.
    pub const fn extended_highest(&self) -> u32 {
        self.cycles.wrapping_add(self.highest as u32)
    }

    /// Packets that should have come.
    pub const fn expected(&self) -> u32 {
        self.extended_highest().wrapping_sub(self.base).wrapping_add(1)
    }

    /// Packets lost since the beginning; duplicates make it smaller, even negative.
    pub const fn lost(&self) -> i32 {
        self.expected().wrapping_sub(self.received) as i32
    }

    /// The share lost since the last call, in 256ths (A.3).
    pub fn fraction_lost(&mut self) -> u8 {
        let expected = self.expected().wrapping_sub(self.expected_before);
        let received = self.received.wrapping_sub(self.received_before);
        self.expected_before = self.expected();
        self.received_before = self.received;
        let lost = i64::from(expected) - i64::from(received);
        if expected == 0 || lost <= 0 { 0 } else { ((lost << 8) / i64::from(expected)).min(255) as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16) -> Header {
        Header { marker: true, payload_type: 8, sequence, timestamp: 0xffff_ff00, ssrc: 7 }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut datagram = [0; 14];
        assert_eq!(header(9).write(&mut datagram), Some(12));
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!((packet.header, packet.payload.len()), (header(9), 2));
        assert_eq!(header(9).write(&mut [0; 11]), None);
    }

    #[test]
    fn padding_extension_and_contributing_sources_are_no_payload_rfc_3550_5_1() {
        let mut datagram = [0; 12 + 4 + 8 + 1 + 3];
        datagram[0] = 0x80 | 0x20 | 0x10 | 1;
        datagram[12 + 4 + 3] = 1;
        datagram[24] = 0x55;
        datagram[27] = 3;
        assert_eq!(Packet::parse(&datagram).unwrap().payload, [0x55]);
        datagram[27] = 9;
        assert_eq!(Packet::parse(&datagram), Err(Malformed));
        datagram[27] = 0;
        assert_eq!(Packet::parse(&datagram), Err(Malformed));
    }

    #[test]
    fn loss_is_counted_over_the_wrap_rfc_3550_a_3() {
        let mut source = Source::new(&header(65_530));
        for step in 0..20u16 {
            if step % 4 != 1 {
                source.arrived(65_530u16.wrapping_add(step));
            }
        }
        assert_eq!((source.expected(), source.lost(), source.fraction_lost()), (20, 5, 64));
        assert_eq!(source.extended_highest(), 65_549);
        assert_eq!(source.fraction_lost(), 0);
    }

    #[test]
    fn a_restart_needs_two_packets_in_a_row_rfc_3550_a_1() {
        let mut source = Source::new(&header(1));
        assert_eq!(source.arrived(1), Arrival::Ordinary);
        assert_eq!(source.arrived(40_000), Arrival::Suspect);
        assert_eq!(source.arrived(2), Arrival::Ordinary);
        assert_eq!(source.arrived(40_000), Arrival::Suspect);
        assert_eq!(source.arrived(40_001), Arrival::Restarted);
        assert_eq!(source.arrived(40_002), Arrival::Ordinary);
    }

    #[test]
    fn a_steady_stream_has_no_jitter_and_a_shaken_one_has_rfc_3550_a_8() {
        let mut source = Source::new(&header(0));
        for packet in 0..100u32 {
            source.measure(Instant::from_millis(u64::from(packet) * 20), packet * 160, 8000);
        }
        assert_eq!(source.jitter(), 0);
        for packet in 100..400u32 {
            let late = if packet % 2 == 0 { 5 } else { 0 };
            source.measure(Instant::from_millis(u64::from(packet) * 20 + late), packet * 160, 8000);
        }
        assert!((38..=42).contains(&source.jitter()), "{}", source.jitter());
    }
}
