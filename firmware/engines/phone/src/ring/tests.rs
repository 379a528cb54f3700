//! Timelines of the feed, in virtual time.

extern crate std;
use std::vec::Vec;

use dialtone_base::{Duration, Instant};

use super::{Feed, LoopMeaning, Output, Ringer};
use crate::Country;
use crate::caller_id::Delivery;
use crate::calls::RingPattern;

const SENDING: Duration = Duration::from_millis(700);

struct Line {
    ringer: Ringer,
    now: Instant,
    /// Milliseconds since the start, and what was wanted then.
    heard: Vec<(u64, Output)>,
}

impl Line {
    fn new(country: &str) -> Self {
        let ringer = Ringer::new(Country::find(country).expect("one of ours"));
        Self { ringer, now: Instant::START, heard: Vec::new() }
    }

    fn ringing(country: &str, pattern: u8, delivery: Option<Delivery>) -> Self {
        let mut line = Self::new(country);
        let caller_id = delivery.map(|delivery| (delivery, SENDING));
        line.ringer.start(line.now, RingPattern(pattern), caller_id);
        line
    }

    fn run_to(&mut self, millis: u64) -> &mut Self {
        let end = Instant::from_millis(millis);
        loop {
            match self.ringer.poll(self.now) {
                Output::Wait(Some(due)) if due <= end => self.now = due,
                Output::Wait(_) => break,
                output => self.heard.push((self.now.as_millis(), output)),
            }
        }
        self.now = end;
        self
    }

    fn set_loop(&mut self, closed: bool) -> LoopMeaning {
        self.ringer.loop_changed(self.now, closed)
    }
}

fn ring(hertz: u8) -> Output {
    Output::Feed(Feed::Ringing(hertz))
}

const REST: Output = Output::Feed(Feed::Forward);
const REVERSE: Output = Output::Feed(Feed::Reverse);

#[test]
fn the_cadence_repeats_without_drift() {
    let mut line = Line::ringing("US", 0, None);
    line.run_to(600_000);
    assert_eq!(line.heard[..4], [(0, ring(20)), (2_000, REST), (6_000, ring(20)), (8_000, REST)]);
    assert_eq!(line.heard.last(), Some(&(600_000, ring(20))));
}

#[test]
fn distinctive_cadences_differ_and_unknown_ones_are_ordinary() {
    for country in Country::ALL {
        let cadences: Vec<_> = (0..=8).map(|n| country.ringing.cadence(RingPattern(n))).collect();
        assert!(cadences[2..].iter().all(|cadence| *cadence != cadences[0] && cadence.len() % 2 == 0));
        assert_eq!(country.ringing.cadence(RingPattern(9)), cadences[0]);
    }
    let mut line = Line::ringing("GB", 3, None);
    line.run_to(3_000);
    let times: Vec<u64> = line.heard.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 400, 600, 1_000, 1_200, 2_000]);
}

#[test]
fn the_number_comes_in_the_first_long_pause() {
    let mut line = Line::ringing("US", 0, Some(Delivery::AfterFirstRing));
    line.run_to(12_500);
    let sent = [(2_600, Output::SendCallerId), (3_380, Output::CallerIdOver)];
    assert_eq!(line.heard[..2], [(0, ring(20)), (2_000, REST)]);
    assert_eq!(line.heard[2..4], sent);
    assert_eq!(line.heard[4..], [(6_000, ring(20)), (8_000, REST), (12_000, ring(20))]);

    let mut line = Line::ringing("HK", 0, Some(Delivery::AfterFirstRing));
    line.run_to(4_500);
    let expected = [(600, ring(25)), (1_000, REST), (1_600, Output::SendCallerId)];
    assert_eq!(line.heard[2..5], expected);
    assert_eq!(line.heard[6], (4_000, ring(25)));
}

#[test]
fn a_number_longer_than_the_pause_makes_the_pause_longer() {
    let mut line = Line::new("JP");
    let long = Some((Delivery::AfterFirstRing, Duration::from_millis(1_900)));
    line.ringer.start(line.now, RingPattern(0), long);
    line.run_to(6_000);
    assert_eq!(line.heard.last(), Some(&(1_000 + 600 + 1_980 + 250 + 1_000, REST)));
}

#[test]
fn etsi_and_british_telephones_get_the_number_before_the_first_ring() {
    let mut line = Line::ringing("DE", 0, Some(Delivery::AfterShortRing));
    line.run_to(2_000);
    let expected = [
        (0, ring(25)),
        (250, REST),
        (850, Output::SendCallerId),
        (1_630, Output::CallerIdOver),
        (1_880, ring(25)),
    ];
    assert_eq!(line.heard, expected);

    for delivery in [Delivery::AfterReversalAndAlert, Delivery::AfterReversal] {
        let mut line = Line::ringing("GB", 0, Some(delivery));
        line.run_to(1_700);
        let expected = [
            (0, REVERSE),
            (250, Output::SendCallerId),
            (1_030, Output::CallerIdOver),
            (1_280, ring(25)),
            (1_680, REST),
        ];
        assert_eq!(line.heard, expected);
    }
}

#[test]
fn an_answer_stops_everything_at_once() {
    for at in [0, 300, 1_100, 2_700, 3_000, 5_000, 7_000] {
        for delivery in [None, Some(Delivery::AfterFirstRing), Some(Delivery::AfterReversalAndAlert)] {
            let mut line = Line::ringing("US", 0, delivery);
            line.run_to(at);
            let sending = line.heard.last().map(|(_, output)| *output) == Some(Output::SendCallerId);
            line.heard.clear();
            assert_eq!(line.set_loop(true), LoopMeaning::Person);
            line.run_to(60_000);
            assert!(!line.ringer.is_ringing());
            assert!(line.heard.iter().all(|(when, output)| *when == at
                && matches!(output, Output::CallerIdOver | Output::Feed(Feed::Forward))));
            assert_eq!(line.heard.iter().any(|(_, output)| *output == Output::CallerIdOver), sending);
        }
    }
}

#[test]
fn a_japanese_telephone_takes_the_number_by_itself_and_then_rings() {
    let mut line = Line::ringing("JP", 0, Some(Delivery::AfterLoopClosed));
    line.run_to(1_000);
    assert_eq!(line.set_loop(true), LoopMeaning::Telephone);
    line.run_to(2_200);
    assert_eq!(line.set_loop(false), LoopMeaning::Telephone);
    line.run_to(2_600);
    let outputs: Vec<Output> = line.heard.iter().map(|(_, output)| *output).collect();
    let expected = [REVERSE, ring(16), REVERSE, Output::SendCallerId, Output::CallerIdOver, ring(16)];
    assert_eq!(outputs, expected);
    assert_eq!(line.set_loop(true), LoopMeaning::Person);
}

#[test]
fn in_japan_a_person_may_be_quicker_and_an_old_telephone_never_takes_the_number() {
    let mut line = Line::ringing("JP", 0, Some(Delivery::AfterLoopClosed));
    line.run_to(1_000);
    line.set_loop(true);
    line.run_to(20_000);
    assert_eq!(line.heard.last().map(|(_, output)| *output), Some(Output::Answered));

    let mut line = Line::ringing("JP", 0, Some(Delivery::AfterLoopClosed));
    line.run_to(20_000);
    assert!(line.ringer.is_ringing() && !line.heard.iter().any(|(_, o)| *o == Output::SendCallerId));
}

#[test]
fn polarity_and_disconnect_are_the_ringers_too() {
    let mut line = Line::new("CN");
    line.ringer.set_reversed(true);
    line.run_to(100);
    line.ringer.set_reversed(false);
    line.ringer.disconnect(line.now);
    line.run_to(3_000);
    assert_eq!(line.heard, [(0, REVERSE), (100, REST), (100, Output::Feed(Feed::Open)), (900, REST)]);
}

#[test]
fn a_line_is_not_idle_until_its_battery_is_back() {
    let mut line = Line::new("US");
    assert!(line.ringer.is_idle());
    line.ringer.disconnect(line.now);
    line.run_to(799);
    assert!(!line.ringer.is_idle());
    line.run_to(900);
    assert!(line.ringer.is_idle());
}
