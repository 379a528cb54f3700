//! Fuzz body of one line: bytes become loop transitions, ringing, and callers whose names strangers wrote.

use dialtone_base::telephony::{DisplayName, Number, Party, Presentation};
use dialtone_base::{Duration, Instant};
use dialtone_signal::Rate;

use crate::Country;
use crate::caller_id::{
    CallWaiting, Delivery, Detail, DtmfFormat, LocalTime, Message, Modulation, Standard, Transmission,
};
use crate::calls::RingPattern;
use crate::hook::{self, Hook, HookEvent};
use crate::ring::{self, Ringer};
use crate::tone::{Tone, TonePlayer};

/// Runs a line over `data`. Panics when it breaks a promise.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let country = Country::ALL.get(usize::from(choice >> 2) % Country::ALL.len()).copied();
    let country = country.unwrap_or(Country::fallback());
    match choice & 3 {
        0 => fuzz_hook(country, rest),
        1 => fuzz_ringer(country, rest),
        2 => fuzz_caller(country, rest),
        _ => fuzz_tones(country, rest),
    }
}

/// Events come in an order that makes sense, and the hook always waits for the future.
fn fuzz_hook(country: &'static Country, data: &[u8]) {
    let mut hook = Hook::new(country.hook);
    let mut now = Instant::from_secs(1);
    let (mut lifted, mut closed) = (false, false);
    for byte in data {
        now += Duration::from_millis(u64::from(byte >> 2) * if byte & 1 == 1 { 20 } else { 2 });
        // Most bytes change the loop; some only let time pass, or report late.
        if byte & 2 == 0 {
            closed = !closed;
            let late = Duration::from_millis(u64::from(byte >> 6));
            hook.handle(Instant::START + (now - (Instant::START + late)), closed);
        } else if byte & 0x30 == 0x30 {
            hook.set_pulse_dialling(byte & 4 == 0);
        }
        loop {
            match hook.poll(now) {
                hook::Output::Event(HookEvent::OffHook) => {
                    assert!(!lifted, "lifted twice");
                    lifted = true;
                }
                hook::Output::Event(HookEvent::OnHook) => {
                    assert!(lifted, "laid down twice");
                    lifted = false;
                }
                hook::Output::Event(_) => assert!(lifted, "a digit of a receiver that lies"),
                hook::Output::Wait(due) => {
                    assert!(due.is_none_or(|due| due > now), "waits for the past");
                    break;
                }
            }
        }
        assert_eq!(hook.is_off_hook(), lifted);
    }
}

/// The number's window opens and closes by turns, and the ringer always comes to rest.
fn fuzz_ringer(country: &'static Country, data: &[u8]) {
    let mut ringer = Ringer::new(country);
    let mut now = Instant::START;
    let mut sending = false;
    for byte in data {
        now += Duration::from_millis(u64::from(byte >> 3) * 40);
        match byte & 7 {
            0 => {
                let delivery = match byte >> 5 {
                    0 => Some(Delivery::AfterFirstRing),
                    1 => Some(Delivery::AfterShortRing),
                    2 => Some(Delivery::AfterReversal),
                    3 | 4 => Some(Delivery::AfterLoopClosed),
                    _ => None,
                };
                let length = Duration::from_millis(u64::from(byte >> 4) * 100);
                ringer.start(now, RingPattern(byte >> 4), delivery.map(|delivery| (delivery, length)));
            }
            1 => {
                ringer.loop_changed(now, true);
            }
            2 => {
                ringer.loop_changed(now, false);
            }
            3 => ringer.stop(now),
            4 => ringer.disconnect(now),
            5 => ringer.set_reversed(byte & 8 == 0),
            _ => {}
        }
        let mut outputs = 0;
        loop {
            match ringer.poll(now) {
                ring::Output::SendCallerId => {
                    assert!(!sending, "two numbers at once");
                    sending = true;
                }
                ring::Output::CallerIdOver => {
                    assert!(sending, "over before it began");
                    sending = false;
                }
                ring::Output::Feed(_) | ring::Output::Answered => {}
                ring::Output::Wait(due) => {
                    assert!(due.is_none_or(|due| due > now), "waits for the past");
                    break;
                }
            }
            outputs += 1;
            assert!(outputs < 100, "never waits");
        }
    }
}

/// Whatever a stranger calls himself: the message is well-formed, short, and keeps to itself what must not be shown.
fn fuzz_caller(country: &'static Country, data: &[u8]) {
    let (head, rest) = data.split_at_checked(8).unwrap_or((data, &[]));
    let at = |index: usize| head.get(index).copied().unwrap_or(0);
    let (number, name) = rest.split_at_checked(usize::from(at(0) & 31)).unwrap_or((rest, &[]));
    let presentation = match at(1) & 3 {
        0 => Presentation::Withheld,
        1 => Presentation::Unavailable,
        _ => Presentation::Allowed,
    };
    let party = Party { number: Number::from_wire(number), name: DisplayName::from_wire(name), presentation };
    let time = (at(2) & 1 == 0).then(|| LocalTime { month: at(3), day: at(4), hour: at(5), minute: at(6) });
    let modulation = match at(7) & 7 {
        0 => Modulation::Bell202,
        1 => Modulation::V23,
        2 => Modulation::Dtmf(DtmfFormat::DC),
        3 => Modulation::Dtmf(DtmfFormat::AHash),
        4 => Modulation::Dtmf(DtmfFormat::AC),
        5 => Modulation::Ntt,
        _ => country.caller_id.modulation,
    };
    let detail = if at(2) & 2 == 0 { Detail::Number } else { Detail::NumberAndName };
    let standard = Standard { modulation, detail, ..country.caller_id };

    let message = Message::caller(standard, &party, time);
    if modulation != Modulation::Ntt {
        let sum = message.bytes().iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!(sum, 0, "checksum");
        let length = message.bytes().get(1).copied().unwrap_or(0);
        assert_eq!(usize::from(length) + 3, message.bytes().len(), "length");
    }
    let hidden = Message::caller(standard, &Party { presentation, ..Party::default() }, time);
    assert!(presentation == Presentation::Allowed || message == hidden, "shows what it must not");

    let rate = if at(2) & 4 == 0 { Rate::Narrow } else { Rate::Wide };
    let mut transmission = Transmission::caller(standard, rate, &party, time);
    assert!(transmission.duration() < Duration::from_secs(5), "rings wait for it");
    let frames = transmission.duration().as_millis() / 10 + 1;
    for _ in 0..frames {
        transmission.fill(&mut [0; 160][..rate.frame()]);
    }
    assert!(!transmission.fill(&mut [0; 160]), "longer than it says");
    let mut waiting = CallWaiting::new(country, standard, rate, Some(&party), time);
    for index in 0..400 {
        if index == usize::from(at(3)) {
            waiting.heard(dialtone_base::telephony::Key::ALL[usize::from(at(4) & 15)]);
        }
        if !waiting.fill(&mut [0; 160][..rate.frame()]) {
            return;
        }
    }
    panic!("a call that waits for ever");
}

/// Tones begin, change and end at any moment.
fn fuzz_tones(country: &'static Country, data: &[u8]) {
    let mut player = TonePlayer::new(country, Rate::Narrow);
    for byte in data.iter().take(64) {
        let tone = Tone::ALL.get(usize::from(byte & 15)).copied();
        match tone {
            Some(tone) if byte & 0x20 == 0 => player.play(tone),
            Some(tone) => player.play_once(tone),
            None => player.stop(),
        }
        let mut frame = [0; 255];
        player.fill(&mut frame[..usize::from(*byte)]);
    }
    player.stop();
    player.fill(&mut [0; 400]);
    assert!(!player.is_playing());
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use dialtone_base::{Random, Seed};

    #[test]
    fn no_loop_no_caller_and_no_order_breaks_a_line() {
        for seed in 0..4_000_u64 {
            let mut random = Random::new(Seed::from_number(seed));
            let length = 10 + random.below(150);
            let mut data: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
            // Callers' sounds take long: fewer of them.
            if data[0] & 3 == 2 && seed % 4 != 0 {
                data[0] ^= 2;
            }
            let result = std::panic::catch_unwind(|| super::fuzz(&data));
            assert!(result.is_ok(), "seed {seed}");
        }
    }
}
