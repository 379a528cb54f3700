//! Messages to a telephone's display, as bytes: who calls, and whether messages wait.
//!
//! GR-30 and EN 300 659-3: type, length, parameters, checksum. NTT: the same in a frame of its own, with parity and a CRC.

use core::fmt::Write;

use dialtone_base::telephony::{Party, Presentation};
use dialtone_base::text::Text;
use heapless::Vec;

use super::{Detail, LocalTime, Modulation, Standard, text};

/// A message, checksum and all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8, 160>,
}

impl Message {
    /// Who calls. `time` is left out when nobody knows it, but for SDMF, which has no way to: midnight of the first of January.
    /// In a standard that is not FSK it is as for Bell 202.
    pub fn caller(standard: Standard, party: &Party, time: Option<LocalTime>) -> Self {
        let (number, absence) = shown_number(party);
        if standard.modulation == Modulation::Ntt {
            return Self::ntt(number.as_bytes(), absence);
        }
        let mut message = Self::default();
        if standard.detail == Detail::Number {
            message.open(SDMF_CALLER);
            message.extend(clock(time.unwrap_or(NEW_YEAR)).as_bytes());
            match number.is_empty() {
                false => message.extend(number.as_bytes()),
                true => message.extend(&[absence]),
            }
            return message.close();
        }
        message.open(MDMF_CALLER);
        let etsi = standard.modulation == Modulation::V23;
        if etsi && standard.delivery == super::Delivery::AfterReversalAndAlert {
            // SIN 242: the call type comes first; 1 is a voice call.
            message.parameter(CALL_TYPE, &[1]);
        }
        if let Some(time) = time {
            message.parameter(DATE_AND_TIME, clock(time).as_bytes());
        }
        match number.is_empty() {
            false => message.parameter(NUMBER, number.as_bytes()),
            true => message.parameter(NUMBER_ABSENT, &[absence]),
        }
        if party.presentation == Presentation::Allowed {
            // An address without a number is a name.
            let source: &str = match (party.name.is_empty(), number.is_empty()) {
                (true, true) => &party.number,
                _ => &party.name,
            };
            let name = text::name(source, if etsi { ETSI_NAME } else { BELLCORE_NAME });
            if !name.is_empty() {
                message.parameter(NAME, name.as_bytes());
            }
        } else {
            message.parameter(NAME_ABSENT, &[absence]);
        }
        message.close()
    }

    /// For the message lamp.
    pub fn message_waiting(standard: Standard, waiting: bool) -> Self {
        let mut message = Self::default();
        if standard.detail == Detail::Number {
            message.open(SDMF_WAITING);
            message.extend(&[if waiting { 0x42 } else { 0x6F }; 3]);
        } else {
            message.open(MDMF_WAITING);
            message.parameter(INDICATOR, &[if waiting { 0xFF } else { 0 }]);
        }
        message.close()
    }

    /// The bytes, in the order they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// NTT: DLE SOH header DLE STX, the message with DLE doubled, DLE ETX, all with even parity; then a CRC.
    fn ntt(number: &[u8], absence: u8) -> Self {
        let (kind, value) =
            if number.is_empty() { (NUMBER_ABSENT, &[absence][..]) } else { (NUMBER, number) };
        let mut message = Self::default();
        message.extend(&[DLE, 0x01, 0x07, DLE, 0x02]);
        let body = [NTT_CALLER, value.len() as u8 + 2, kind, value.len() as u8];
        for byte in body.iter().chain(value) {
            if *byte == DLE {
                message.extend(&[DLE]);
            }
            message.extend(&[*byte]);
        }
        message.extend(&[DLE, 0x03]);
        for byte in &mut message.bytes {
            *byte |= ((byte.count_ones() & 1) as u8) << 7;
        }
        // The CRC covers what follows DLE SOH.
        let mut crc: u16 = 0;
        for byte in message.bytes.iter().skip(2) {
            crc ^= u16::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 };
            }
        }
        message.extend(&crc.to_le_bytes());
        message
    }

    /// Type, and a place for the length.
    fn open(&mut self, kind: u8) {
        self.extend(&[kind, 0]);
    }

    fn parameter(&mut self, kind: u8, value: &[u8]) {
        self.extend(&[kind, value.len() as u8]);
        self.extend(value);
    }

    /// Length and checksum: all bytes add up to 0.
    fn close(mut self) -> Self {
        let length = self.bytes.len().saturating_sub(2) as u8;
        if let Some(place) = self.bytes.get_mut(1) {
            *place = length;
        }
        let sum = self.bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        self.extend(&[sum.wrapping_neg()]);
        self
    }

    /// The longest message (type, time, 20 digits, 20 characters) is half of what fits.
    fn extend(&mut self, bytes: &[u8]) {
        let _ = self.bytes.extend_from_slice(bytes);
    }
}

/// The number as shown, or none and why: `P` for private, `O` for out of area.
pub(super) fn shown_number(party: &Party) -> (Text<32>, u8) {
    match party.presentation {
        Presentation::Allowed => (text::number(&party.number, MOST_DIGITS), b'O'),
        Presentation::Withheld => (Text::new(), b'P'),
        Presentation::Unavailable => (Text::new(), b'O'),
    }
}

/// MMDDHHMM.
fn clock(time: LocalTime) -> Text<8> {
    let mut out = Text::new();
    let LocalTime { month, day, hour, minute } = time;
    let _ = write!(out, "{:02}{:02}{:02}{:02}", month.clamp(1, 12), day.clamp(1, 31), hour % 24, minute % 60);
    out
}

const NEW_YEAR: LocalTime = LocalTime { month: 1, day: 1, hour: 0, minute: 0 };
/// EN 300 659-3 § 5.4.2.
const MOST_DIGITS: usize = 20;
/// GR-31: 15 characters.
const BELLCORE_NAME: usize = 15;
/// EN 300 659-3 allows 50; displays show 20 (SIN 242).
const ETSI_NAME: usize = 20;

const SDMF_CALLER: u8 = 0x04;
const SDMF_WAITING: u8 = 0x06;
const MDMF_CALLER: u8 = 0x80;
const MDMF_WAITING: u8 = 0x82;
const NTT_CALLER: u8 = 0x40;
const DATE_AND_TIME: u8 = 0x01;
const NUMBER: u8 = 0x02;
const NUMBER_ABSENT: u8 = 0x04;
const NAME: u8 = 0x07;
const NAME_ABSENT: u8 = 0x08;
const INDICATOR: u8 = 0x0B;
const CALL_TYPE: u8 = 0x11;
const DLE: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller_id::Delivery;

    const MDMF: Standard = Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    };

    fn party(number: &str, name: &str, presentation: Presentation) -> Party {
        Party { number: number.into(), name: name.into(), presentation }
    }

    const TIME: LocalTime = LocalTime { month: 9, day: 30, hour: 12, minute: 24 };

    #[test]
    fn sdmf_is_the_example_of_gr_30() {
        // Application note SR-TSV-002476: 09301224 and 6095551212.
        let standard = Standard { detail: Detail::Number, ..MDMF };
        let message = Message::caller(standard, &party("6095551212", "", Presentation::Allowed), Some(TIME));
        assert_eq!(message.bytes(), b"\x04\x1209301224609\x35551212\x51");
    }

    #[test]
    fn mdmf_has_time_number_and_name_and_adds_up_to_nothing() {
        let message = Message::caller(MDMF, &party("5551212", "Jörg", Presentation::Allowed), Some(TIME));
        let (sum, text) = message.bytes().split_last().expect("bytes");
        assert_eq!(text, b"\x80\x19\x01\x0809301224\x02\x075551212\x07\x04Jorg");
        assert_eq!(text.iter().fold(*sum, |sum, byte| sum.wrapping_add(*byte)), 0);
    }

    #[test]
    fn what_must_not_be_shown_is_not_sent() {
        for (presentation, letter) in [(Presentation::Withheld, b'P'), (Presentation::Unavailable, b'O')] {
            for detail in [Detail::Number, Detail::NumberAndName] {
                for modulation in [Modulation::Bell202, Modulation::V23, Modulation::Ntt] {
                    let standard = Standard { detail, modulation, ..MDMF };
                    let message = Message::caller(standard, &party("5551212", "Bob", presentation), None);
                    let plain = message.bytes().iter().map(|byte| byte & 0x7F);
                    assert!(plain.clone().any(|byte| byte == letter));
                    let plain: heapless::Vec<u8, 160> = plain.collect();
                    assert!(!plain.windows(3).any(|three| three == b"555" || three == b"Bob"));
                }
            }
        }
    }

    #[test]
    fn an_address_without_a_number_is_shown_as_a_name() {
        let message = Message::caller(MDMF, &party("alice", "", Presentation::Allowed), None);
        let (_, text) = message.bytes().split_last().expect("bytes");
        assert_eq!(text, b"\x80\x0a\x04\x01O\x07\x05alice");
    }

    #[test]
    fn the_message_lamp_goes_on_and_off() {
        assert_eq!(Message::message_waiting(MDMF, true).bytes(), b"\x82\x03\x0b\x01\xff\x70");
        let number = Standard { detail: Detail::Number, ..MDMF };
        assert_eq!(Message::message_waiting(number, false).bytes()[..5], *b"\x06\x03\x6f\x6f\x6f");
    }
}
