//! Receivers, recall buttons and dials of all kinds, and contacts that bounce.

extern crate std;
use std::vec::Vec;

use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant};

use super::{Hook, HookEvent, Ignored, Output};
use crate::Country;

/// A telephone and the hook that watches it, in virtual time of a tenth of a millisecond.
struct Telephone {
    hook: Hook,
    now: Instant,
    heard: Vec<HookEvent>,
}

impl Telephone {
    fn new(country: &str) -> Self {
        let hook = Hook::new(Country::find(country).expect("one of ours").hook);
        Self { hook, now: Instant::from_secs(10), heard: Vec::new() }
    }

    fn lifted(country: &str) -> Self {
        let mut telephone = Self::new(country);
        telephone.set(true);
        telephone.wait(500);
        assert_eq!(telephone.heard(), [HookEvent::OffHook]);
        telephone
    }

    fn set(&mut self, closed: bool) {
        self.hook.handle(self.now, closed);
    }

    /// Polls exactly when it asks to be polled.
    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            match self.hook.poll(self.now) {
                Output::Event(event) => self.heard.push(event),
                Output::Wait(Some(due)) if due <= end => {
                    assert!(due > self.now, "waits for the past");
                    self.now = due;
                }
                Output::Wait(_) => break,
            }
        }
        self.now = end;
    }

    /// Opens the loop for a while.
    fn open(&mut self, millis: u64) {
        self.set(false);
        self.wait(millis);
        self.set(true);
    }

    /// Contacts make and break for some milliseconds before they rest.
    fn bounce(&mut self, closed: bool) {
        for _ in 0..3 {
            self.set(closed);
            self.wait(1);
            self.set(!closed);
            self.wait(1);
        }
        self.set(closed);
    }

    fn dial(&mut self, pulses: u32, break_millis: u64, make_millis: u64) {
        for _ in 0..pulses {
            self.bounce(false);
            self.wait(break_millis - 6);
            self.bounce(true);
            self.wait(make_millis - 6);
        }
        self.wait(400);
    }

    fn heard(&mut self) -> Vec<HookEvent> {
        std::mem::take(&mut self.heard)
    }
}

#[test]
fn a_receiver_that_bounces_is_lifted_and_laid_down_once() {
    let mut telephone = Telephone::new("US");
    telephone.bounce(true);
    telephone.wait(2_000);
    telephone.bounce(false);
    telephone.wait(3_000);
    assert_eq!(telephone.heard(), [HookEvent::OffHook, HookEvent::OnHook]);
    assert!(!telephone.hook.is_off_hook());
}

#[test]
fn a_short_contact_of_the_receiver_lifts_nothing() {
    let mut telephone = Telephone::new("DE");
    telephone.set(true);
    telephone.wait(20);
    telephone.set(false);
    telephone.wait(3_000);
    assert_eq!(telephone.heard(), []);
    assert_eq!(telephone.hook.ignored().of(Ignored::Bounce), 1);
}

#[test]
fn a_flash_is_what_the_country_says_it_is() {
    for (country, flashes, others) in
        [("US", [250, 750], [150, 850]), ("DE", [100, 300], [60, 400]), ("GB", [50, 290], [30, 350])]
    {
        for millis in flashes {
            let mut telephone = Telephone::lifted(country);
            telephone.hook.set_pulse_dialling(false);
            telephone.open(millis);
            telephone.wait(2_000);
            assert_eq!(telephone.heard(), [HookEvent::Flash], "{country} {millis} ms");
        }
        for millis in others {
            let mut telephone = Telephone::lifted(country);
            telephone.hook.set_pulse_dialling(false);
            telephone.open(millis);
            telephone.wait(2_000);
            assert_eq!(telephone.heard(), [], "{country} {millis} ms");
            assert!(telephone.hook.is_off_hook());
        }
    }
}

#[test]
fn a_quarter_of_a_second_is_a_flash_everywhere_also_where_pulses_count() {
    for country in Country::ALL {
        for millis in [220, 250, 280] {
            for pulses_count in [false, true] {
                let mut telephone = Telephone::lifted(country.code);
                telephone.hook.set_pulse_dialling(pulses_count);
                telephone.open(millis);
                telephone.wait(2_000);
                assert_eq!(telephone.heard(), [HookEvent::Flash], "{} {millis} ms", country.code);
            }
        }
    }
}

#[test]
fn a_receiver_laid_down_for_a_second_ends_the_call_in_america() {
    let mut telephone = Telephone::lifted("US");
    telephone.hook.set_pulse_dialling(false);
    telephone.open(1_000);
    telephone.wait(100);
    assert_eq!(telephone.heard(), [HookEvent::OnHook, HookEvent::OffHook]);
}

#[test]
fn too_long_and_too_short_breaks_are_counted() {
    let mut telephone = Telephone::lifted("US");
    telephone.open(15);
    telephone.wait(500);
    telephone.open(850);
    telephone.wait(500);
    assert_eq!(telephone.hook.ignored().of(Ignored::ShortBreak), 1);
    assert_eq!(telephone.hook.ignored().of(Ignored::LongBreak), 1);
    assert_eq!(telephone.heard(), []);
}

#[test]
fn dials_of_8_10_12_and_20_pulses_a_second_are_understood_in_every_country() {
    // Break and make in milliseconds: 50 to 67 % break.
    let dials = [(83, 42), (63, 62), (67, 33), (60, 40), (55, 28), (42, 41), (33, 17), (25, 25)];
    for country in Country::ALL {
        for (break_millis, make_millis) in dials {
            let mut telephone = Telephone::lifted(country.code);
            for digit in 1..=10 {
                telephone.dial(digit, break_millis, make_millis);
            }
            let digits: Vec<HookEvent> =
                (1..=10).filter_map(|n| Key::from_event(n % 10)).map(HookEvent::Pulse).collect();
            assert_eq!(telephone.heard(), digits, "{} {break_millis}/{make_millis}", country.code);
        }
    }
}

#[test]
fn eleven_pulses_are_no_digit() {
    let mut telephone = Telephone::lifted("FR");
    telephone.dial(11, 60, 40);
    assert_eq!(telephone.heard(), []);
    assert_eq!(telephone.hook.ignored().of(Ignored::SpoiltDigit), 1);
}

#[test]
fn a_receiver_laid_down_within_a_digit_ends_it() {
    let mut telephone = Telephone::lifted("CN");
    for _ in 0..4 {
        telephone.open(60);
        telephone.wait(40);
    }
    telephone.set(false);
    telephone.wait(3_000);
    assert_eq!(telephone.heard(), [HookEvent::OnHook]);
    assert_eq!(telephone.hook.ignored().of(Ignored::AbandonedDigit), 1);
}

#[test]
fn in_a_call_a_break_as_short_as_a_pulse_is_a_flash() {
    let mut telephone = Telephone::lifted("GB");
    telephone.hook.set_pulse_dialling(false);
    telephone.open(67);
    telephone.wait(500);
    assert_eq!(telephone.heard(), [HookEvent::Flash]);
}

#[test]
fn an_event_nobody_asked_for_in_time_is_told_late_and_in_order() {
    let mut hook = Hook::new(Country::fallback().hook);
    hook.handle(Instant::from_secs(1), true);
    hook.handle(Instant::from_secs(5), false);
    hook.handle(Instant::from_millis(5_500), true);
    hook.handle(Instant::from_secs(9), false);
    let mut events = Vec::new();
    while let Output::Event(event) = hook.poll(Instant::from_secs(60)) {
        events.push(event);
    }
    assert_eq!(events, [HookEvent::OffHook, HookEvent::Flash, HookEvent::OnHook]);
}

#[test]
fn a_line_without_pulse_dialling_hears_no_digits() {
    let timing = super::Timing { pulse: None, ..Country::fallback().hook };
    let mut telephone = Telephone { hook: Hook::new(timing), now: Instant::START, heard: Vec::new() };
    telephone.set(true);
    telephone.wait(100);
    telephone.dial(5, 60, 40);
    assert_eq!(telephone.heard(), [HookEvent::OffHook]);
    assert_eq!(telephone.hook.ignored().of(Ignored::ShortBreak), 5);
}
