//! Tells who calls into a call (type II, GR-30 § 2.3.2, EN 300 659-2).
//!
//! Call-waiting tone into the voice; then, with the voice cut off, the alerting signal (CAS, DT-AS). A telephone that can show numbers cuts
//! off its own receiver and answers `D` (some answer `A`) within 160 ms; only then the message follows, so that nobody hears it.

use dialtone_base::telephony::{Key, Party};
use dialtone_signal::Rate;

use super::{LocalTime, Modulation, Standard, Transmission};
use crate::Country;
use crate::tone::{Tone, TonePlayer};

/// One caller who waits, from the tone to the end of the message.
#[derive(Clone, Debug)]
pub struct CallWaiting {
    rate: Rate,
    player: TonePlayer,
    message: Option<Transmission>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Tone,
    Alert(Transmission),
    /// Samples left for the telephone's answer.
    Acknowledgement(u32),
    /// Samples until the message.
    Answered(u32),
    Sending(Transmission),
    Over,
}

impl CallWaiting {
    /// For a caller who waits. Where callers are told by keys or as in Japan, and with no `caller`, it is the tone alone.
    pub fn new(
        country: &'static Country,
        standard: Standard,
        rate: Rate,
        caller: Option<&Party>,
        time: Option<LocalTime>,
    ) -> Self {
        let mut player = TonePlayer::new(country, rate);
        player.play_once(Tone::CallWaiting);
        let fsk = matches!(standard.modulation, Modulation::Bell202 | Modulation::V23);
        let message = caller.filter(|_| fsk).map(|party| Transmission::off_hook(standard, rate, party, time));
        Self { rate, player, message, phase: Phase::Tone }
    }

    /// A key the detector began to hear. True when it was the telephone's answer, which is nobody's digit.
    pub fn heard(&mut self, key: Key) -> bool {
        let answers = Key::from_char('D') == Some(key) || Key::from_char('A') == Some(key);
        if answers && matches!(self.phase, Phase::Alert(_) | Phase::Acknowledgement(_)) {
            self.phase = Phase::Answered(AFTER_ANSWER_MILLIS * self.rate.per_milli());
            return true;
        }
        // Its length may be told late.
        answers && matches!(self.phase, Phase::Answered(_) | Phase::Sending(_))
    }

    /// Whether the voice of both sides is cut off now: the handset hears signals, and what it sends is no voice.
    pub fn cuts_voice(&self) -> bool {
        !matches!(self.phase, Phase::Tone | Phase::Over)
    }

    /// Adds to the frame for the handset, or replaces it while the voice is cut off. False when all is over.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        let length = samples.len() as u32;
        if self.cuts_voice() {
            samples.fill(0);
        }
        match &mut self.phase {
            Phase::Tone => {
                self.player.mix(samples);
                if !self.player.is_playing() {
                    self.phase = match self.message {
                        Some(_) => Phase::Alert(Transmission::alert(self.rate)),
                        None => Phase::Over,
                    };
                }
            }
            Phase::Alert(alert) => {
                if !alert.fill(samples) {
                    self.phase = Phase::Acknowledgement(ANSWER_MILLIS * self.rate.per_milli());
                }
            }
            Phase::Acknowledgement(left) => {
                *left = left.saturating_sub(length);
                if *left == 0 {
                    self.phase = Phase::Over;
                }
            }
            Phase::Answered(left) => {
                *left = left.saturating_sub(length);
                if *left == 0 {
                    self.phase = self.message.take().map_or(Phase::Over, Phase::Sending);
                }
            }
            Phase::Sending(message) => {
                if !message.fill(samples) {
                    self.phase = Phase::Over;
                }
            }
            Phase::Over => {}
        }
        !matches!(self.phase, Phase::Over)
    }
}

/// GR-30: the answer begins within 160 ms and lasts 55 to 65 ms; the detector is sure after 40, and the queues hold 40 more.
const ANSWER_MILLIS: u32 = 260;
/// From the middle of the answer to the message: the answer ends, and 50 to 500 ms pass.
const AFTER_ANSWER_MILLIS: u32 = 130;

#[cfg(test)]
mod tests {
    use dialtone_signal::{Goertzel, level};

    use super::*;

    fn alice() -> Party {
        Party { number: "5551212".into(), name: "Alice".into(), ..Party::default() }
    }

    fn us(caller: Option<&Party>) -> CallWaiting {
        let country = Country::fallback();
        CallWaiting::new(country, country.caller_id, Rate::Narrow, caller, None)
    }

    /// Runs to the end; the telephone answers when it heard the alerting signal. Milliseconds of cut voice, and of a message.
    fn run(mut waiting: CallWaiting, answer: Option<char>) -> (u32, u32) {
        let (mut cut, mut message) = (0, 0);
        let (mut after_alert, mut alerted) = (0, false);
        for _ in 0..1_000 {
            let mut frame = [100; 80];
            let was_cut = waiting.cuts_voice();
            let more = waiting.fill(&mut frame);
            if was_cut {
                cut += 10;
                let mut high = Goertzel::new(2_750.0, Rate::Narrow);
                high.extend(&frame);
                alerted |= high.level() > -20.0;
                if alerted && level::of(&frame) < -60.0 {
                    after_alert += 10;
                } else if after_alert > 0 {
                    message += 10;
                }
                if let Some(key) = answer.and_then(Key::from_char).filter(|_| after_alert == 100) {
                    waiting.heard(key);
                }
            }
            if !more {
                return (cut, message);
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn a_telephone_that_answers_is_told_and_one_that_does_not_loses_a_third_of_a_second_of_voice() {
        for answer in ['D', 'A'] {
            let (_, message) = run(us(Some(&alice())), Some(answer));
            // 80 ones and 19 bytes.
            assert!(message > 220, "{message}");
        }
        for answer in [None, Some('5')] {
            let (cut, message) = run(us(Some(&alice())), answer);
            assert!(cut < 400 && message == 0, "{cut} {message}");
        }
    }

    #[test]
    fn without_a_caller_it_is_a_tone_and_nothing_more() {
        assert_eq!(run(us(None), None), (0, 0));
        let mut waiting = us(None);
        assert!(!waiting.heard(Key::HASH));
    }
}
