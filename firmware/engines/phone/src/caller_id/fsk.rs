//! Bits as sound: frequency shift keying at 1200 bits a second (Bell 202, ITU-T V.23).
//!
//! One frequency is a one (mark), another a zero (space); the phase goes on from bit to bit. Each byte is a zero, its eight bits with the
//! lowest first, and a one.

use dialtone_signal::{Oscillator, Rate};

use super::message::Message;

/// Sends one message.
#[derive(Clone, Debug)]
pub(super) struct Fsk {
    rate: Rate,
    mark: f32,
    space: f32,
    oscillator: Oscillator,
    message: Message,
    seizure: u32,
    marks: u32,
    /// Bit that is sent.
    bit: u32,
    /// Of a bit, in bits times the sample rate.
    clock: u32,
    tuned: Option<bool>,
}

impl Fsk {
    /// A message after `seizure` bits of alternation and `marks` bits of ones.
    pub(super) fn new(rate: Rate, mark: f32, space: f32, message: Message, seizure: u32, marks: u32) -> Self {
        let oscillator = Oscillator::new(mark, LEVEL, rate);
        Self { rate, mark, space, oscillator, message, seizure, marks, bit: 0, clock: 0, tuned: None }
    }

    /// Samples in all.
    pub(super) fn length(&self) -> u32 {
        (u64::from(self.bits()) * u64::from(self.rate.hertz())).div_ceil(u64::from(BAUD)) as u32
    }

    /// The next sample; `None` after the last bit.
    pub(super) fn sample(&mut self) -> Option<f32> {
        let bit = self.value(self.bit)?;
        if self.tuned != Some(bit) {
            self.tuned = Some(bit);
            self.oscillator.set_frequency(if bit { self.mark } else { self.space }, self.rate);
        }
        self.clock += BAUD;
        if self.clock >= self.rate.hertz() {
            self.clock -= self.rate.hertz();
            self.bit += 1;
        }
        Some(self.oscillator.sample())
    }

    fn bits(&self) -> u32 {
        self.seizure + self.marks + 10 * self.message.bytes().len() as u32 + TAIL
    }

    fn value(&self, bit: u32) -> Option<bool> {
        if bit >= self.bits() {
            return None;
        }
        let Some(bit) = bit.checked_sub(self.seizure) else { return Some(bit % 2 == 1) };
        let Some(bit) = bit.checked_sub(self.marks) else { return Some(true) };
        let Some(byte) = self.message.bytes().get(bit as usize / 10) else { return Some(true) };
        Some(match bit % 10 {
            0 => false,
            9 => true,
            place => byte >> (place - 1) & 1 == 1,
        })
    }
}

/// −13.5 dBm (GR-30 § 2.2.1, EN 300 659-1 § 5.1).
const LEVEL: f32 = -13.5;
const BAUD: u32 = 1_200;
/// Ones after the checksum: receivers finish their last byte.
const TAIL: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_their_length_at_both_rates_to_the_sample() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut fsk = Fsk::new(rate, 1_200.0, 2_200.0, Message::default(), 300, 180);
            let mut samples = 0;
            while fsk.sample().is_some() {
                samples += 1;
            }
            assert_eq!(samples, 492 * rate.hertz() / 1_200);
            assert_eq!(samples, fsk.length());
        }
    }
}
