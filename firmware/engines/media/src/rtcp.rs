//! RTCP: what both ends tell each other about the stream.
//!
//! RFC 3550 §6: sender and receiver reports, CNAME, BYE, one compound packet at a time; round-trip time (§6.4.1); the interval with its
//! randomness (§6.2, §6.3). No extended reports (RFC 3611), no feedback profile: they are skipped.

use dialtone_base::{Duration, Instant, Random};

use crate::rtp::Malformed;

/// Least distance of reports (RFC 3550 §6.2); the first comes after half of it.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a compound packet says to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub ssrc: u32,
    /// The middle 32 bits of the sender report's NTP time.
    pub sender_report: Option<u32>,
    /// The report about us.
    pub about_us: Option<Report>,
    /// The source leaves.
    pub bye: bool,
}

/// A reception report block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Who it is about.
    pub ssrc: u32,
    /// Lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the beginning, 24 bits signed.
    pub lost: i32,
    /// Highest sequence number received.
    pub highest: u32,
    /// Jitter in ticks.
    pub jitter: u32,
    /// The latest sender report, as [`Received::sender_report`]; 0: none.
    pub last_sender_report: u32,
    /// Since then, in 65536ths of a second.
    pub delay: u32,
}

/// What a report of ours says about our sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The RTP timestamp that belongs to the time of the report.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of payload sent.
    pub octets: u32,
}

/// When reports are due.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Instant,
}

impl Schedule {
    /// The first report comes early (RFC 3550 §6.2: half the interval).
    pub fn new(now: Instant, random: &mut Random) -> Self {
        Self { due: now + spread(INTERVAL.scaled(1, 2), random) }
    }

    /// Whether one is due now; plans the next.
    pub fn due(&mut self, now: Instant, random: &mut Random) -> bool {
        let due = now >= self.due;
        if due {
            self.due = now + spread(INTERVAL, random);
        }
        due
    }
}

/// Half to one and a half times, divided by e − 3/2 (RFC 3550 §6.3.1).
fn spread(interval: Duration, random: &mut Random) -> Duration {
    interval.scaled(u64::from(random.below(1000)) + 500, 1218)
}

/// Time since start in the format of NTP, 32.32 bits. Only differences mean something: the router may not know the date.
pub fn ntp(now: Instant) -> u64 {
    ((u128::from(now.as_micros()) << 32) / 1_000_000) as u64
}

/// The middle 32 bits, as reports refer to it.
pub fn ntp_middle(now: Instant) -> u32 {
    (ntp(now) >> 16) as u32
}

/// The round trip that a report about us shows (RFC 3550 §6.4.1); `None` without a sender report of ours in it.
pub fn round_trip(now: Instant, report: &Report) -> Option<Duration> {
    if report.last_sender_report == 0 {
        return None;
    }
    let units = ntp_middle(now).wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
    // A clock that cannot be right.
    (units < 1 << 22).then(|| Duration::from_micros((u64::from(units) * 1_000_000) >> 16))
}

/// Writes a compound packet: SR (with `sender`) or RR, CNAME, and BYE if asked. `None`: `out` is too small.
pub fn write(
    out: &mut [u8],
    now: Instant,
    ssrc: u32,
    sender: Option<SenderInfo>,
    report: Option<Report>,
    name: &str,
    bye: bool,
) -> Option<usize> {
    let mut writer = Writer { out, at: 0 };
    let words = 1 + if sender.is_some() { 5 } else { 0 } + if report.is_some() { 6 } else { 0 };
    writer.head(
        u8::from(report.is_some()),
        if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT },
        words,
    )?;
    writer.word(ssrc)?;
    if let Some(sender) = sender {
        let ntp = ntp(now);
        writer.word((ntp >> 32) as u32)?;
        writer.word(ntp as u32)?;
        writer.word(sender.timestamp)?;
        writer.word(sender.packets)?;
        writer.word(sender.octets)?;
    }
    if let Some(report) = report {
        writer.word(report.ssrc)?;
        let lost = report.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        writer.word(u32::from(report.fraction_lost) << 24 | lost)?;
        writer.word(report.highest)?;
        writer.word(report.jitter)?;
        writer.word(report.last_sender_report)?;
        writer.word(report.delay)?;
    }
    let name = name.as_bytes().get(..name.len().min(255))?;
    // Item head, name, at least one zero octet, up to a whole word.
    let words = 1 + (2 + name.len() + 1).div_ceil(4);
    writer.head(1, SOURCE_DESCRIPTION, words as u16)?;
    writer.word(ssrc)?;
    let item = writer.bytes((words - 1) * 4)?;
    item.fill(0);
    let (head, rest) = item.split_first_chunk_mut::<2>()?;
    *head = [CNAME, name.len() as u8];
    rest.get_mut(..name.len())?.copy_from_slice(name);
    if bye {
        writer.head(1, BYE, 1)?;
        writer.word(ssrc)?;
    }
    Some(writer.at)
}

/// Reads a compound packet addressed to the source `ours` (RFC 3550 §6.1, A.2).
pub fn parse(datagram: &[u8], ours: u32) -> Result<Received, Malformed> {
    let mut received = Received::default();
    let mut rest = datagram;
    let mut first = true;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let [flags, kind, high, low] = *head;
        let body = after.get(..usize::from(u16::from_be_bytes([high, low])) * 4).ok_or(Malformed)?;
        if flags >> 6 != 2 || (first && !matches!(kind, SENDER_REPORT | RECEIVER_REPORT)) {
            return Err(Malformed);
        }
        rest = after.get(body.len()..).unwrap_or(&[]);
        let mut words = body.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        match kind {
            SENDER_REPORT | RECEIVER_REPORT => {
                let ssrc = words.next().ok_or(Malformed)?;
                if first {
                    received.ssrc = ssrc;
                }
                if kind == SENDER_REPORT {
                    let mut next = || words.next().ok_or(Malformed);
                    let (high, low) = (next()?, next()?);
                    let _timestamp_packets_octets = (next()?, next()?, next()?);
                    received.sender_report = Some(high << 16 | low >> 16);
                }
                for _ in 0..flags & 31 {
                    let mut next = || words.next().ok_or(Malformed);
                    let (ssrc, loss) = (next()?, next()?);
                    let report = Report {
                        ssrc,
                        fraction_lost: (loss >> 24) as u8,
                        // The sign of 24 bits, extended.
                        lost: ((loss << 8) as i32) >> 8,
                        highest: next()?,
                        jitter: next()?,
                        last_sender_report: next()?,
                        delay: next()?,
                    };
                    if report.ssrc == ours {
                        received.about_us = Some(report);
                    }
                }
            }
            BYE => {
                let count = usize::from(flags & 31);
                received.bye |= words.take(count).any(|ssrc| ssrc == received.ssrc);
            }
            _ => {}
        }
        first = false;
    }
    if first { Err(Malformed) } else { Ok(received) }
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, count: usize) -> Option<&mut [u8]> {
        let start = self.at;
        self.at = start.checked_add(count)?;
        self.out.get_mut(start..self.at)
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.bytes(4)?.copy_from_slice(&word.to_be_bytes());
        Some(())
    }

    fn head(&mut self, count: u8, kind: u8, words: u16) -> Option<()> {
        self.word(u32::from(0x80 | count) << 24 | u32::from(kind) << 16 | u32::from(words))
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::Seed;

    use super::*;

    const REPORT: Report = Report {
        ssrc: 5,
        fraction_lost: 13,
        lost: -3,
        highest: 70_000,
        jitter: 44,
        last_sender_report: 0x1234_5678,
        delay: 65_536,
    };

    #[test]
    fn what_is_written_is_read() {
        for (sender, report, bye) in [
            (None, None, false),
            (None, Some(REPORT), true),
            (Some(SenderInfo { timestamp: 1, packets: 2, octets: 3 }), Some(REPORT), true),
        ] {
            let mut out = [0xaa; 200];
            let now = Instant::from_millis(12_345);
            let length = write(&mut out, now, 9, sender, report, "a@b", bye).unwrap();
            assert_eq!(length % 4, 0);
            let received = parse(&out[..length], 5).unwrap();
            assert_eq!((received.ssrc, received.about_us, received.bye), (9, report, bye));
            assert_eq!(received.sender_report, sender.map(|_| ntp_middle(now)));
            assert!(write(&mut out[..length - 1], now, 9, sender, report, "a@b", bye).is_none());
            assert!(bye || parse(&out[..length - 4], 5).is_err());
        }
    }

    #[test]
    fn a_round_trip_is_what_the_other_end_did_not_keep_rfc_3550_6_4_1() {
        let sent = Instant::from_secs(100);
        let report = Report { last_sender_report: ntp_middle(sent), delay: 65_536 * 2, ..REPORT };
        let trip = round_trip(Instant::from_millis(102_150), &report).unwrap();
        assert!((149..=150).contains(&trip.as_millis()), "{trip:?}");
        assert_eq!(round_trip(sent, &Report { last_sender_report: 0, ..REPORT }), None);
        assert_eq!(round_trip(sent, &report), None, "a delay longer than the trip is a lie");
    }

    #[test]
    fn reports_are_spread_about_five_seconds_rfc_3550_6_3_1() {
        let mut random = Random::new(Seed::from_number(3));
        let mut schedule = Schedule::new(Instant::START, &mut random);
        let reports = (0..600_000).filter(|ms| schedule.due(Instant::from_millis(*ms), &mut random)).count();
        assert!((130..=160).contains(&reports), "{reports}");
    }
}
