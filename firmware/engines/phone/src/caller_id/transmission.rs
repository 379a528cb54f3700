//! What is sent while the line rings or is idle: alerting tone, FSK or keys, as the standard wants.

use dialtone_base::Duration;
use dialtone_base::telephony::{Key, Party};
use dialtone_signal::dtmf::Generator;
use dialtone_signal::{DualTone, Rate, level};
use heapless::{Deque, Vec};

use super::fsk::Fsk;
use super::message::{Message, shown_number};
use super::{Delivery, DtmfFormat, LocalTime, Modulation, Standard};

/// A sound that tells the telephone something, from its first sample to its last.
#[derive(Clone, Debug)]
pub struct Transmission {
    rate: Rate,
    segments: Deque<Segment, 4>,
    left: u32,
}

#[derive(Clone, Debug)]
enum Segment {
    /// Samples of nothing.
    Silence(u32),
    /// Samples of two tones.
    Alert(u32, DualTone),
    Fsk(Fsk),
    Keys(Keys),
}

/// Keys one after the other.
#[derive(Clone, Debug)]
struct Keys {
    generator: Generator,
    /// In the order they are sent, from `next` on.
    keys: Vec<Key, 40>,
    next: usize,
    /// Samples until the next key.
    wait: u32,
}

impl Transmission {
    /// For a caller. `time`: when the router knows it.
    pub fn caller(standard: Standard, rate: Rate, party: &Party, time: Option<LocalTime>) -> Self {
        let mut transmission = Self::empty(rate);
        if let Modulation::Dtmf(format) = standard.modulation {
            transmission.push_keys(&keys(format, party));
            return transmission;
        }
        if standard.delivery == Delivery::AfterReversalAndAlert {
            transmission.push_alert(ALERT_MILLIS);
            transmission.push(Segment::Silence(AFTER_ALERT_MILLIS * rate.per_milli()));
        }
        let message = Message::caller(standard, party, time);
        transmission.push_message(standard.modulation, message, SEIZURE, MARKS);
        transmission
    }

    /// For the message lamp: messages wait, or no more. Sent while the line is idle; nothing where callers are told by keys.
    pub fn message_waiting(standard: Standard, rate: Rate, waiting: bool) -> Self {
        let mut transmission = Self::empty(rate);
        if matches!(standard.modulation, Modulation::Bell202 | Modulation::V23) {
            if standard.modulation == Modulation::V23 {
                transmission.push_alert(ALERT_MILLIS);
                transmission.push(Segment::Silence(AFTER_ALERT_MILLIS * rate.per_milli()));
            }
            let message = Message::message_waiting(standard, waiting);
            transmission.push_message(standard.modulation, message, SEIZURE, MARKS);
        }
        transmission
    }

    /// For a call that waits: no seizure, fewer marks (GR-30 § 2.3.2, EN 300 659-2).
    pub(super) fn off_hook(standard: Standard, rate: Rate, party: &Party, time: Option<LocalTime>) -> Self {
        let mut transmission = Self::empty(rate);
        let message = Message::caller(standard, party, time);
        transmission.push_message(standard.modulation, message, 0, OFF_HOOK_MARKS);
        transmission
    }

    /// The alerting tone alone, after a little silence.
    pub(super) fn alert(rate: Rate) -> Self {
        let mut transmission = Self::empty(rate);
        transmission.push(Segment::Silence(OFF_HOOK_SILENCE_MILLIS * rate.per_milli()));
        transmission.push_alert(OFF_HOOK_ALERT_MILLIS);
        transmission
    }

    /// How long it sounds in all; nothing when nothing is to be sent.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(u64::from(self.left) * 1_000_000 / u64::from(self.rate.hertz()))
    }

    /// Fills the frame, silence after the end. False when nothing is left.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        for sample in samples {
            *sample = level::sample(self.sample());
        }
        self.left > 0
    }

    fn empty(rate: Rate) -> Self {
        Self { rate, segments: Deque::new(), left: 0 }
    }

    fn push(&mut self, segment: Segment) {
        self.left += segment.length();
        // At most three: alert, silence, message.
        let _ = self.segments.push_back(segment);
    }

    fn push_alert(&mut self, millis: u32) {
        let tone = DualTone::new((2_130.0, ALERT_LEVEL), (2_750.0, ALERT_LEVEL), self.rate);
        self.push(Segment::Alert(millis * self.rate.per_milli(), tone));
    }

    fn push_message(&mut self, modulation: Modulation, message: Message, seizure: u32, marks: u32) {
        let (mark, space) = match modulation {
            Modulation::Bell202 | Modulation::Dtmf(_) => (1_200.0, 2_200.0),
            Modulation::V23 | Modulation::Ntt => (1_300.0, 2_100.0),
        };
        // NTT sends no seizure.
        let seizure = if modulation == Modulation::Ntt { 0 } else { seizure };
        self.push(Segment::Fsk(Fsk::new(self.rate, mark, space, message, seizure, marks)));
    }

    fn push_keys(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        let keys = keys.iter().copied().take(40).collect();
        let generator = Generator::new(self.rate);
        self.push(Segment::Keys(Keys { generator, keys, next: 0, wait: 0 }));
    }

    fn sample(&mut self) -> f32 {
        self.left = self.left.saturating_sub(1);
        loop {
            let Some(segment) = self.segments.front_mut() else { return 0.0 };
            if let Some(sample) = segment.sample(self.rate) {
                return sample;
            }
            self.segments.pop_front();
        }
    }
}

impl Segment {
    fn length(&self) -> u32 {
        match self {
            Self::Silence(length) | Self::Alert(length, _) => *length,
            Self::Fsk(fsk) => fsk.length(),
            Self::Keys(keys) => keys.length(),
        }
    }

    fn sample(&mut self, rate: Rate) -> Option<f32> {
        match self {
            Self::Silence(left) => {
                *left = left.checked_sub(1)?;
                Some(0.0)
            }
            Self::Alert(left, tone) => {
                *left = left.checked_sub(1)?;
                Some(tone.sample())
            }
            Self::Fsk(fsk) => fsk.sample(),
            Self::Keys(keys) => keys.sample(rate),
        }
    }
}

impl Keys {
    fn length(&self) -> u32 {
        self.keys.len() as u32 * 2 * KEY_MILLIS * self.generator.rate().per_milli()
    }

    fn sample(&mut self, rate: Rate) -> Option<f32> {
        if self.wait == 0 {
            self.generator.start(*self.keys.get(self.next)?, Some(KEY_MILLIS));
            self.next += 1;
            self.wait = 2 * KEY_MILLIS * rate.per_milli();
        }
        self.wait -= 1;
        Some(self.generator.sample())
    }
}

/// The keys that tell who calls.
fn keys(format: DtmfFormat, party: &Party) -> Vec<Key, 40> {
    let (number, absence) = shown_number(party);
    let private = absence == b'P';
    let mut out = Vec::new();
    let mut push = |text: &str| out.extend(text.chars().filter_map(Key::from_char));
    // A key of the number itself would end it.
    let has_number = number.chars().any(|character| character.is_ascii_digit());
    let mut push_number = |before: &str, after: &str| {
        push(before);
        for digit in number.chars().filter(char::is_ascii_digit) {
            push(digit.encode_utf8(&mut [0; 4]));
        }
        push(after);
    };
    match (format, has_number) {
        (DtmfFormat::DC, true) => push_number("D", "C"),
        (DtmfFormat::DC, false) => {}
        (DtmfFormat::AHash, true) => push_number("A", "#"),
        (DtmfFormat::AHash, false) => push(if private { "D1#" } else { "D3#" }),
        (DtmfFormat::AC, true) => push_number("A", "C"),
        (DtmfFormat::AC, false) => push(if private { "B10C" } else { "B00C" }),
    }
    out
}

/// Bits of alternation and of ones before a message on-hook (GR-30: 300 and 180; EN 300 659-1: 300 and 180 ± 25).
const SEIZURE: u32 = 300;
const MARKS: u32 = 180;
/// Off-hook: 80 ± 25 ones.
const OFF_HOOK_MARKS: u32 = 80;
/// DT-AS: 100 ± 10 ms on-hook (EN 300 659-1 § 6.1), 80 to 85 ms off-hook (GR-30, EN 300 659-2).
const ALERT_MILLIS: u32 = 100;
const OFF_HOOK_ALERT_MILLIS: u32 = 82;
/// From the alerting tone to the message: 45 to 500 ms.
const AFTER_ALERT_MILLIS: u32 = 100;
const OFF_HOOK_SILENCE_MILLIS: u32 = 20;
/// Each of the two tones.
const ALERT_LEVEL: f32 = -15.0;
/// A key and the pause after it.
const KEY_MILLIS: u32 = 70;

#[cfg(test)]
mod tests;
