//! A telephone as a value: hook, keypad, microphone and bell, between a line's messages and whoever holds it.
//!
//! The terminal and the web page are two ways to hold one. Messages of the line go in with the time; events come out, and
//! messages for the line, of which each of its sound frames brings one. No sockets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dialtone_hal_api::handset::{FromHandset, FromLine};
use dialtone_hal_api::line::{Feed, PcmFrame};

use super::caller_id::{CallerId, Listener};
use super::sound::Tones;
use super::tones::{Ear, Tone};

/// What the one who holds it notices.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The line has introduced itself: its name.
    Plugged(String),
    /// Another handset is there already.
    Taken,
    /// The bell starts, at this frequency.
    RingOn(u8),
    /// The bell stops; how long it sounded and how long it had been silent before.
    RingOff(Duration, Option<Duration>),
    /// The line's polarity or battery changed.
    Feed(Feed),
    /// Caller ID.
    Caller(CallerId),
    /// A tone was recognised.
    Tone(Tone),
}

/// A telephone on one line.
pub struct Telephone {
    /// Samples in a second; known once the line has said so.
    pub rate: u32,
    /// What is on the wires.
    pub feed: Feed,
    /// The tone heard now, if it is one.
    pub ear: Ear,
    lifted: bool,
    closed: bool,
    hook: VecDeque<(Instant, bool)>,
    microphone: VecDeque<i16>,
    keys: VecDeque<char>,
    tone: Option<Tones>,
    held: bool,
    pause: usize,
    listener: Listener,
    ring: Option<Instant>,
    ring_ended: Option<Instant>,
}

impl Telephone {
    /// On-hook, before the line said anything.
    pub fn new() -> Self {
        Self {
            rate: 8000,
            feed: Feed::Forward,
            ear: Ear::new(8000),
            lifted: false,
            closed: false,
            hook: VecDeque::new(),
            microphone: VecDeque::new(),
            keys: VecDeque::new(),
            tone: None,
            held: false,
            pause: 0,
            listener: Listener::new(8000),
            ring: None,
            ring_ended: None,
        }
    }

    /// Whether the receiver is lifted.
    pub fn lifted(&self) -> bool {
        self.lifted
    }

    /// Lifts the receiver.
    pub fn lift(&mut self, now: Instant) {
        self.lifted = true;
        self.ear.restart();
        self.hook.push_back((now, true));
    }

    /// Puts it back.
    pub fn hang_up(&mut self, now: Instant) {
        self.lifted = false;
        self.keys.clear();
        self.microphone.clear();
        (self.tone, self.held) = (None, false);
        self.listener.restart();
        self.hook.clear();
        self.hook.push_back((now, false));
    }

    /// Opens the loop for a moment.
    pub fn flash(&mut self, now: Instant, open: Duration) {
        let start = self.after_the_last(now);
        self.hook.push_back((start, false));
        self.hook.push_back((start + open, true));
    }

    /// Dials a digit with the old dial: pulses of 60 ms, ten a second, and a pause of 800 ms.
    pub fn pulse(&mut self, now: Instant, digit: u32) {
        let mut at = self.after_the_last(now);
        for _ in 0..if digit == 0 { 10 } else { digit } {
            self.hook.push_back((at, false));
            self.hook.push_back((at + Duration::from_millis(60), true));
            at += Duration::from_millis(100);
        }
        self.hook.push_back((at + Duration::from_millis(500), true));
    }

    fn after_the_last(&self, now: Instant) -> Instant {
        self.hook.back().map_or(now, |(at, _)| (*at + Duration::from_millis(200)).max(now))
    }

    /// Whether loop changes, keys or sound are still on their way.
    pub fn busy(&self) -> bool {
        !self.hook.is_empty() || !self.keys.is_empty() || self.tone.is_some() || !self.microphone.is_empty()
    }

    /// Presses keys, one after the other: 100 ms each, 80 ms between them.
    pub fn press(&mut self, keys: &str) {
        // What was heard until now is no part of the rhythm of what comes.
        self.ear.restart();
        self.keys.extend(keys.chars());
    }

    /// A key goes down and stays down. Heard for at least 80 ms.
    pub fn key_down(&mut self, key: char) {
        self.ear.restart();
        if self.held {
            self.key_up();
        }
        if self.tone.is_none() && self.keys.is_empty() {
            self.tone = Tones::key(key, self.rate, None);
            self.held = self.tone.is_some();
            self.pause = (self.rate / 1000 * 80) as usize;
        } else {
            self.keys.push_back(key);
        }
    }

    /// The key comes up.
    pub fn key_up(&mut self) {
        self.held = false;
    }

    /// Sound for the microphone, behind what waits there.
    pub fn speak(&mut self, samples: impl IntoIterator<Item = i16>) {
        self.microphone.extend(samples);
    }

    /// Forgets what waits for the microphone, but for the newest samples.
    pub fn keep_newest(&mut self, samples: usize) {
        let excess = self.microphone.len().saturating_sub(samples);
        self.microphone.drain(..excess);
    }

    /// Samples that wait for the microphone.
    pub fn unspoken(&self) -> usize {
        self.microphone.len()
    }

    /// Loop changes that are due.
    pub fn poll(&mut self, now: Instant) -> Vec<FromHandset> {
        let mut due = Vec::new();
        while let Some((_, closed)) = self.hook.pop_front_if(|(at, _)| *at <= now) {
            if std::mem::replace(&mut self.closed, closed) != closed {
                due.push(FromHandset::Loop(closed));
            }
        }
        due
    }

    /// When [`Telephone::poll`] wants to be called again.
    pub fn next_poll(&self) -> Option<Instant> {
        self.hook.front().map(|(at, _)| *at)
    }

    /// What the line says. Every frame of sound wants one of [`Telephone::microphone`] back.
    pub fn line(&mut self, now: Instant, message: &FromLine) -> Vec<Notice> {
        match message {
            FromLine::Info(greeting) => {
                self.rate = greeting.sample_rate;
                self.ear = Ear::new(self.rate);
                self.listener = Listener::new(self.rate);
                vec![Notice::Plugged(greeting.name.to_string())]
            }
            FromLine::Busy => vec![Notice::Taken],
            FromLine::Feed(feed) => self.feed(now, *feed),
            FromLine::Sound(frame) => {
                let mut notices = Vec::new();
                if let Some(caller) = self.listener.listen(frame.samples(), !self.closed) {
                    notices.push(Notice::Caller(caller));
                }
                if self.closed
                    && let Some(tone) = self.ear.listen(frame.samples())
                {
                    notices.push(Notice::Tone(tone));
                }
                notices
            }
        }
    }

    fn feed(&mut self, now: Instant, feed: Feed) -> Vec<Notice> {
        let mut notices = Vec::new();
        match (self.ring, feed) {
            (None, Feed::Ringing(hertz)) => {
                self.ring = Some(now);
                notices.push(Notice::RingOn(hertz));
            }
            (Some(since), feed) if !matches!(feed, Feed::Ringing(_)) => {
                let silent = self.ring_ended.map(|ended| since.duration_since(ended));
                (self.ring, self.ring_ended) = (None, Some(now));
                notices.push(Notice::RingOff(now.duration_since(since), silent));
            }
            _ => {}
        }
        let before = std::mem::replace(&mut self.feed, feed);
        if before != feed && !matches!((before, feed), (Feed::Ringing(_), _) | (_, Feed::Ringing(_))) {
            notices.push(Notice::Feed(feed));
        }
        notices
    }

    /// Ten milliseconds of what the microphone hears, or of silence while not `open`, with keys over it.
    pub fn microphone(&mut self, open: bool) -> PcmFrame {
        let mut samples = Vec::with_capacity(160);
        for _ in 0..self.rate / 100 {
            let spoken = if open { self.microphone.pop_front().unwrap_or(0) } else { 0 };
            let key = self.key_sample();
            // A key mutes the microphone, as in a telephone.
            samples.push(key.unwrap_or(spoken));
        }
        PcmFrame::from_samples(&samples)
    }

    fn key_sample(&mut self) -> Option<i16> {
        if let Some(tone) = &mut self.tone {
            let sample = tone.sample() as i16;
            self.pause = self.pause.saturating_sub(1);
            if !tone.sounds() || !self.held && self.pause == 0 {
                self.tone = None;
                self.held = false;
                self.pause = (self.rate / 1000 * 80) as usize;
            }
            return Some(sample);
        }
        if self.pause > 0 {
            self.pause -= 1;
            return (!self.keys.is_empty()).then_some(0);
        }
        let key = self.keys.pop_front()?;
        // Of a length of its own; a comma is a pause.
        if key == ',' {
            self.pause = self.rate as usize;
        }
        self.tone = Tones::key(key, self.rate, Some(100));
        self.pause = if self.tone.is_some() { (self.rate / 1000 * 100) as usize } else { self.pause };
        self.held = self.tone.is_some();
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sound::KeyListener;
    use super::*;

    #[test]
    fn keys_become_tones_with_pauses_and_a_held_key_lasts() {
        let mut telephone = Telephone::new();
        telephone.press("12#");
        let mut listener = KeyListener::new(8000);
        let mut heard = String::new();
        for _ in 0..100 {
            heard.extend(listener.listen(telephone.microphone(true).samples()));
        }
        assert_eq!(heard, "12#");
        assert!(!telephone.busy());
        telephone.key_down('5');
        for at in 0..50 {
            if at == 30 {
                telephone.key_up();
            }
            let loud = telephone.microphone(true).samples().iter().any(|one| one.abs() > 1000);
            assert_eq!(loud, at <= 30, "frame {at}");
        }
        // As short as a finger can be: still heard.
        telephone.key_down('7');
        telephone.key_up();
        for _ in 0..30 {
            heard.extend(listener.listen(telephone.microphone(true).samples()));
        }
        assert_eq!(heard, "12#7");
    }

    #[test]
    fn flashes_and_pulses_open_the_loop_in_time() {
        let (mut telephone, start) = (Telephone::new(), Instant::now());
        telephone.lift(start);
        telephone.flash(start, Duration::from_millis(100));
        telephone.pulse(start, 3);
        let mut at = Vec::new();
        while let Some(next) = telephone.next_poll() {
            for message in telephone.poll(next) {
                at.push((next.duration_since(start).as_millis(), message == FromHandset::Loop(true)));
            }
        }
        let closed = [0, 300, 560, 660, 760].map(|millis| (millis, true));
        let open = [200, 500, 600, 700].map(|millis| (millis, false));
        assert_eq!(at.iter().filter(|one| one.1).copied().collect::<Vec<_>>(), closed);
        assert_eq!(at.iter().filter(|one| !one.1).copied().collect::<Vec<_>>(), open);
    }

    #[test]
    fn the_rhythm_of_the_bell_is_told() {
        let (mut telephone, start) = (Telephone::new(), Instant::now());
        let mut told = Vec::new();
        for (millis, feed) in
            [(0, Feed::Ringing(25)), (1000, Feed::Forward), (5000, Feed::Ringing(25)), (6000, Feed::Forward)]
        {
            told.extend(telephone.line(start + Duration::from_millis(millis), &FromLine::Feed(feed)));
        }
        assert_eq!(told[3], Notice::RingOff(Duration::from_secs(1), Some(Duration::from_secs(4))));
        assert_eq!(told.len(), 4);
    }
}
