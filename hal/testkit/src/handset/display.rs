//! The display of a telephone: reads the FSK of caller identification out of what was heard on-hook.
//!
//! Telcordia GR-30 and ETSI EN 300 659-3 from the textbook, in floating point: a correlator for each of the two frequencies over one bit, an
//! asynchronous receiver, messages with a right checksum. Nothing is shared with the firmware's modulator. No DTMF.

use std::f64::consts::TAU;

/// Which two frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modem {
    /// Bell 202: mark 1200 Hz, space 2200 Hz.
    Bell202,
    /// ITU-T V.23: mark 1300 Hz, space 2100 Hz.
    V23,
}

/// A message: its type, and its parameters where it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// 0x80: call setup (MDMF), 0x04: single data message.
    pub kind: u8,
    /// Type and content of each parameter; the whole content of a single data message as type 0.
    pub parameters: Vec<(u8, String)>,
}

impl Shown {
    /// A parameter's text: 1 date and time, 2 number, 4 why there is none, 7 name.
    pub fn parameter(&self, kind: u8) -> Option<&str> {
        self.parameters.iter().find(|(one, _)| *one == kind).map(|(_, text)| text.as_str())
    }
}

/// Every message with a right checksum in what was heard.
pub fn read(samples: &[i16], sample_rate: u32, modem: Modem) -> Vec<Shown> {
    let (mark, space) = match modem {
        Modem::Bell202 => (1200.0, 2200.0),
        Modem::V23 => (1300.0, 2100.0),
    };
    let bit = f64::from(sample_rate) / 1200.0;
    let (marks, spaces) = (energy(samples, sample_rate, mark, bit), energy(samples, sample_rate, space, bit));
    // Silence is neither; about -35 dBm0.
    let quietest = 300.0 * bit / 2.0;
    let state: Vec<Option<bool>> = marks
        .iter()
        .zip(&spaces)
        .map(|(mark, space)| (mark.max(*space) > quietest).then_some(mark > space))
        .collect();
    messages(&bytes(&state, bit))
}

/// Magnitude of one frequency over the bit around each sample.
fn energy(samples: &[i16], sample_rate: u32, hertz: f64, bit: f64) -> Vec<f64> {
    let (mut real, mut imaginary) = (vec![0.0], vec![0.0]);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * hertz * n as f64 / f64::from(sample_rate);
        real.push(real[n] + f64::from(*sample) * angle.cos());
        imaginary.push(imaginary[n] + f64::from(*sample) * angle.sin());
    }
    let half = (bit / 2.0).round() as usize;
    (0..samples.len())
        .map(|n| {
            let (from, to) = (n.saturating_sub(half), (n + half).min(samples.len()));
            (real[to] - real[from]).hypot(imaginary[to] - imaginary[from])
        })
        .collect()
}

/// Start bit, eight bits from the lowest, stop bit; `None` where the row breaks.
fn bytes(state: &[Option<bool>], bit: f64) -> Vec<Option<u8>> {
    let at = |place: f64| state.get(place.round() as usize).copied().flatten();
    let (mut bytes, mut n) = (Vec::new(), 1);
    while n < state.len() {
        let falls = state[n] == Some(false) && state[n - 1] != Some(false);
        let start = n as f64;
        n += 1;
        if !falls || at(start + 0.5 * bit) != Some(false) {
            continue;
        }
        let bits: Option<Vec<bool>> =
            (1..=8).map(|index| at(start + (f64::from(index) + 0.5) * bit)).collect();
        match (bits, at(start + 9.5 * bit)) {
            (Some(bits), Some(true)) => {
                bytes.push(Some(bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))));
                n = (start + 9.4 * bit) as usize;
            }
            _ => bytes.push(None),
        }
    }
    bytes
}

fn messages(bytes: &[Option<u8>]) -> Vec<Shown> {
    let mut found = Vec::new();
    for start in 0..bytes.len() {
        let (Some(Some(kind @ (0x04 | 0x80))), Some(Some(length))) = (bytes.get(start), bytes.get(start + 1))
        else {
            continue;
        };
        let Some(whole) = bytes.get(start..start + 3 + usize::from(*length)) else { continue };
        let Some(whole) = whole.iter().copied().collect::<Option<Vec<u8>>>() else { continue };
        if whole.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            continue;
        }
        let mut content = &whole[2..whole.len() - 1];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut parameters = Vec::new();
        if *kind == 0x04 {
            parameters.push((0, text(content)));
        } else {
            while let [parameter, length, rest @ ..] = content {
                let length = usize::from(*length).min(rest.len());
                parameters.push((*parameter, text(&rest[..length])));
                content = &rest[length..];
            }
        }
        found.push(Shown { kind: *kind, parameters });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phase-continuous FSK of these bytes after seizure and mark.
    fn sent(bytes: &[u8], rate: u32, (mark, space): (f64, f64)) -> Vec<i16> {
        let mut bits: Vec<bool> = (0..300).map(|n| n % 2 == 1).chain([true; 180]).collect();
        for byte in bytes {
            bits.push(false);
            bits.extend((0..8).map(|bit| byte >> bit & 1 == 1));
            bits.push(true);
        }
        bits.extend([true; 10]);
        let (mut phase, mut samples) = (0.0_f64, vec![0; 1000]);
        for n in 0..bits.len() * rate as usize / 1200 {
            let bit = bits[n * 1200 / rate as usize];
            phase += TAU * if bit { mark } else { space } / f64::from(rate);
            samples.push((phase.sin() * 5000.0) as i16);
        }
        samples.extend([0; 1000]);
        samples
    }

    #[test]
    fn a_message_is_read_at_both_rates_and_a_broken_one_is_not() {
        // The example of GR-30: MDMF with date, number and name.
        let mut message = b"\x80\x16\x01\x0801011234\x02\x045552\x07\x04Bob!".to_vec();
        let sum = message.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        message.push(sum.wrapping_neg());
        for rate in [8000, 16_000] {
            for (modem, tones) in [(Modem::Bell202, (1200.0, 2200.0)), (Modem::V23, (1300.0, 2100.0))] {
                let shown = read(&sent(&message, rate, tones), rate, modem);
                assert_eq!(shown.len(), 1, "{rate} {modem:?}");
                assert_eq!((shown[0].parameter(2), shown[0].parameter(7)), (Some("5552"), Some("Bob!")));
            }
        }
        message[14] ^= 1;
        assert_eq!(read(&sent(&message, 8000, (1200.0, 2200.0)), 8000, Modem::Bell202), []);
    }
}
