//! Who calls, decoded from the tones on the line: FSK with Bellcore's or the ETSI's message formats, or keys.
//!
//! Written apart from the firmware that sends it. One demodulator serves Bell 202 and V.23, which differ by less than a bit's
//! worth of bandwidth; bytes are asynchronous, 1200 bit/s; a message counts only when its checksum is right. DTMF: `A` or `D`,
//! digits, `C` or `#` (ETSI EN 300 659-1 annex B).

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::sound::KeyListener;

/// What a display shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerId {
    /// Digits, or empty.
    pub number: String,
    /// A name, or empty.
    pub name: String,
    /// `MM-DD hh:mm`, or empty.
    pub time: String,
    /// `private` or `unavailable` when there is no number for that reason.
    pub absent: Option<&'static str>,
    /// Messages waiting, where that is what was sent.
    pub waiting: Option<bool>,
}

/// Listens to what comes down the line.
pub struct Listener {
    rate: f64,
    window: VecDeque<f64>,
    length: usize,
    index: u64,
    mark: bool,
    /// Samples until the next bit is read, and the bits so far.
    frame: Option<(f64, u32, u16)>,
    bytes: Vec<u8>,
    keys: KeyListener,
    digits: Option<String>,
}

impl Listener {
    /// At this many samples in a second.
    pub fn new(rate: u32) -> Self {
        Self {
            rate: rate.into(),
            window: VecDeque::new(),
            length: (f64::from(rate) / BITS).round() as usize,
            index: 0,
            mark: true,
            frame: None,
            bytes: Vec::new(),
            keys: KeyListener::new(rate),
            digits: None,
        }
    }

    /// Listens to some more; a caller once one is complete. `on_hook`: keys can only be the line's then.
    pub fn listen(&mut self, samples: &[i16], on_hook: bool) -> Option<CallerId> {
        let mut found = None;
        if on_hook {
            for key in self.keys.listen(samples) {
                found = self.key(key).or(found);
            }
        }
        for sample in samples {
            if let Some(byte) = self.bit(f64::from(*sample))
                && let Some(caller) = self.byte(byte)
            {
                found = Some(caller);
            }
        }
        found
    }

    /// Forgets what was half heard.
    pub fn restart(&mut self) {
        (self.frame, self.digits) = (None, None);
        self.bytes.clear();
        self.mark = true;
    }

    /// Demodulates; a byte when its stop bit was right.
    fn bit(&mut self, sample: f64) -> Option<u8> {
        self.window.push_back(sample);
        if self.window.len() > self.length {
            self.window.pop_front();
        }
        self.index += 1;
        let strength = |hertz: f64| {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (at, sample) in self.window.iter().enumerate() {
                let angle = TAU * hertz * at as f64 / self.rate;
                real += sample * angle.cos();
                imaginary += sample * angle.sin();
            }
            real * real + imaginary * imaginary
        };
        let (mark, space) = (strength(1250.0), strength(2150.0));
        let silent = mark + space < 1e4;
        let now = silent || mark > space;
        let before = std::mem::replace(&mut self.mark, now);
        let bit = self.rate / BITS;
        let Some((left, count, bits)) = &mut self.frame else {
            if before && !now {
                // A start bit begins: look at its middle, then at the middle of each bit after it.
                self.frame = Some((bit / 2.0, 0, 0));
            }
            return None;
        };
        *left -= 1.0;
        if *left > 0.0 {
            return None;
        }
        *left += bit;
        *count += 1;
        match *count {
            1 if now => self.frame = None,
            1 => {}
            2..10 => *bits |= u16::from(now) << (*count - 2),
            _ => {
                let byte = *bits as u8;
                self.frame = None;
                if now {
                    return Some(byte);
                }
                self.bytes.clear();
            }
        }
        None
    }

    fn byte(&mut self, byte: u8) -> Option<CallerId> {
        if self.bytes.is_empty() && !matches!(byte, SINGLE | MULTIPLE | WAITING_SINGLE | WAITING_MULTIPLE) {
            return None;
        }
        self.bytes.push(byte);
        let whole = usize::from(*self.bytes.get(1)?) + 3;
        if self.bytes.len() < whole {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return None;
        }
        Some(read(bytes[0], &bytes[2..whole - 1]))
    }

    fn key(&mut self, key: char) -> Option<CallerId> {
        match (key, &mut self.digits) {
            ('A' | 'D', _) => self.digits = Some(String::new()),
            ('B', _) => {
                self.digits = None;
                return Some(CallerId { absent: Some("unavailable"), ..CallerId::default() });
            }
            ('C' | '#', Some(digits)) => {
                let number = std::mem::take(digits);
                self.digits = None;
                let absent = match number.as_str() {
                    "00" | "2" => Some("unavailable"),
                    "10" | "1" => Some("private"),
                    _ => None,
                };
                let number = if absent.is_some() { String::new() } else { number };
                return Some(CallerId { number, absent, ..CallerId::default() });
            }
            (_, Some(digits)) if digits.len() < 24 => digits.push(key),
            _ => {}
        }
        None
    }
}

/// Reads a message whose checksum was right.
fn read(kind: u8, body: &[u8]) -> CallerId {
    let text = |bytes: &[u8]| -> String {
        bytes.iter().map(|byte| char::from(*byte)).filter(|one| !one.is_control()).collect()
    };
    let absent = |bytes: &[u8]| match bytes.first() {
        Some(b'P') => Some("private"),
        Some(b'O') => Some("unavailable"),
        _ => None,
    };
    let time = |bytes: &[u8]| {
        let digits = text(bytes);
        match (digits.get(..2), digits.get(2..4), digits.get(4..6), digits.get(6..8)) {
            (Some(month), Some(day), Some(hour), Some(minute)) => format!("{month}-{day} {hour}:{minute}"),
            _ => String::new(),
        }
    };
    let mut caller = CallerId::default();
    match kind {
        SINGLE => {
            let (stamp, number) = body.split_at(body.len().min(8));
            caller.time = time(stamp);
            match absent(number) {
                Some(why) => caller.absent = Some(why),
                None => caller.number = text(number),
            }
        }
        WAITING_SINGLE => {
            caller.waiting = Some(body.first().is_some_and(|byte| *byte == 0x42 || *byte == 0xff))
        }
        _ => {
            let mut rest = body;
            while let [kind, length, more @ ..] = rest {
                let (value, next) = more.split_at(more.len().min(usize::from(*length)));
                rest = next;
                match kind {
                    1 => caller.time = time(value),
                    2 => caller.number = text(value),
                    4 => caller.absent = absent(value),
                    7 => caller.name = text(value),
                    11 => caller.waiting = value.first().map(|byte| *byte != 0),
                    _ => {}
                }
            }
        }
    }
    caller
}

const BITS: f64 = 1200.0;
const SINGLE: u8 = 0x04;
const MULTIPLE: u8 = 0x80;
const WAITING_SINGLE: u8 = 0x06;
const WAITING_MULTIPLE: u8 = 0x82;

#[cfg(test)]
mod tests {
    use super::super::sound::{Tones, queue};
    use super::*;

    /// Sends bytes as FSK, as a line would: seizure, marks, message, checksum.
    fn sent(kind: u8, body: &[u8], mark: f64, space: f64, rate: u32) -> Vec<i16> {
        let mut bits: Vec<bool> = (0..300).map(|at| at % 2 == 1).chain([true; 180]).collect();
        let mut bytes = vec![kind, body.len() as u8];
        bytes.extend(body);
        bytes.push(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
        for byte in bytes {
            bits.push(false);
            bits.extend((0..8).map(|at| byte >> at & 1 == 1));
            bits.push(true);
        }
        bits.extend([true; 10]);
        let (mut phase, mut samples) = (0.0_f64, Vec::new());
        for at in 0..(bits.len() as f64 * f64::from(rate) / BITS) as usize {
            let bit = bits[(at as f64 * BITS / f64::from(rate)) as usize];
            phase += TAU * if bit { mark } else { space } / f64::from(rate);
            samples.push((phase.sin() * 6000.0) as i16);
        }
        samples
    }

    #[test]
    fn both_modems_at_both_rates_are_understood() {
        let body = b"\x01\x0811221530\x02\x0a0301234567\x07\x05Alice";
        for (mark, space) in [(1200.0, 2200.0), (1300.0, 2100.0)] {
            for rate in [8000, 16_000] {
                let mut listener = Listener::new(rate);
                let caller = sent(0x80, body, mark, space, rate)
                    .chunks(rate as usize / 100)
                    .find_map(|frame| listener.listen(frame, true))
                    .unwrap_or_else(|| panic!("{mark} Hz at {rate}"));
                assert_eq!((caller.number.as_str(), caller.name.as_str()), ("0301234567", "Alice"));
                assert_eq!((caller.time.as_str(), caller.absent), ("11-22 15:30", None));
            }
        }
    }

    #[test]
    fn private_callers_old_formats_and_keys_are_shown() {
        let mut listener = Listener::new(8000);
        let caller = listener.listen(&sent(0x80, b"\x01\x0811221530\x04\x01P", 1200.0, 2200.0, 8000), true);
        assert_eq!(caller.unwrap().absent, Some("private"));
        let caller = listener.listen(&sent(4, b"112215305551234", 1200.0, 2200.0, 8000), true);
        assert_eq!(caller.unwrap().number, "5551234");
        let mut broken = sent(4, b"112215305551234", 1200.0, 2200.0, 8000);
        broken.truncate(broken.len() - 400);
        assert_eq!(listener.listen(&broken, true), None);
        listener.restart();
        let mut keys = VecDeque::new();
        for key in "A5551234C".chars() {
            queue(&mut Tones::key(key, 8000, Some(70)).unwrap(), &mut keys);
            keys.extend([0; 560]);
        }
        assert_eq!(listener.listen(keys.make_contiguous(), true).unwrap().number, "5551234");
    }
}
