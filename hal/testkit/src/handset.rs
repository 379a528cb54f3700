//! A telephone for tests: follows a script in virtual time, remembers what it heard, and can be a bad one.
//!
//! [`handset`] puts it on a line's driver. The [`Wire`] runs as a task; the [`Handset`] is held by the script, which is an ordinary async
//! function: lift, dial by pulses or tones, speak, listen, hang up. The line's side is the real one of the handset protocol, without its
//! bytes. Tones are made and found here with plain floating point, so that nothing is shared with the firmware's own.
//! Faults: bouncing contacts, a noisy line, a converter whose clock is off, a driver that stops.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_hal_api::handset::{FromHandset, FromLine, HandsetLine, LONGEST, Message, Step};
use dialtone_hal_api::line::{Feed, LineDriver, PcmFrame};
use embassy_futures::select::select3;
use embassy_time::Timer;

pub mod display;
pub mod sound;

/// What is wrong with a telephone or its line. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// How often the hook switch bounces, each time for up to two milliseconds.
    pub bounces: u32,
    /// Peak of the white noise added in both directions, in steps of a sample.
    pub noise: u16,
    /// The converter's clock is this many parts per million slow (negative: fast).
    pub skew: i32,
}

/// How a dial interrupts the loop.
#[derive(Clone, Copy, Debug)]
pub struct PulseTiming {
    /// The loop is open for this long.
    pub open: Duration,
    /// And closed for this long before the next pulse.
    pub closed: Duration,
    /// Between two digits.
    pub pause: Duration,
}

impl Default for PulseTiming {
    /// Ten pulses a second, 60 ms open, and a quick finger.
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self { open: millis(60), closed: millis(40), pause: millis(800) }
    }
}

/// The script's end of a telephone. Cheap to copy.
#[derive(Clone)]
pub struct Handset {
    state: Rc<RefCell<State>>,
    /// Samples in a second.
    pub sample_rate: u32,
}

/// The wires and the works; run it as a task.
pub struct Wire {
    state: Rc<RefCell<State>>,
    line: HandsetLine,
}

/// Sound the telephone remembers.
const MEMORY_SECONDS: usize = 120;
/// Feed changes it remembers.
const MEMORY_FEEDS: usize = 100_000;

struct State {
    faults: Faults,
    random: Random,
    hook: VecDeque<bool>,
    closed: bool,
    microphone: VecDeque<i16>,
    heard: VecDeque<i16>,
    forgotten: usize,
    feeds: Vec<(Instant, Feed)>,
    stopped: bool,
    wire: Option<Waker>,
    scripts: Vec<Waker>,
}

/// A telephone on this line, on-hook.
pub fn handset(driver: LineDriver, faults: Faults, seed: Seed) -> (Handset, Wire) {
    let sample_rate = driver.info.sample_rate;
    let state = Rc::new(RefCell::new(State {
        faults,
        random: Random::new(seed),
        hook: VecDeque::new(),
        closed: false,
        microphone: VecDeque::new(),
        heard: VecDeque::new(),
        forgotten: 0,
        feeds: Vec::new(),
        stopped: false,
        wire: None,
        scripts: Vec::new(),
    }));
    let line = HandsetLine::new(driver).with_skew(faults.skew);
    (Handset { state: state.clone(), sample_rate }, Wire { state, line })
}

impl Handset {
    /// Lifts the receiver.
    pub async fn lift(&self) {
        self.hook(true).await;
    }

    /// Puts the receiver back.
    pub async fn hang_up(&self) {
        self.hook(false).await;
        self.fall_silent();
    }

    /// Presses the hook switch for so long.
    pub async fn flash(&self, open: Duration) {
        self.hook(false).await;
        sleep(open).await;
        self.hook(true).await;
    }

    /// Dials digits with a rotary dial; `0` is ten pulses. Other characters are pauses.
    pub async fn dial_pulses(&self, digits: &str, timing: PulseTiming) {
        for digit in digits.chars() {
            let pulses = match digit.to_digit(10) {
                Some(0) => 10,
                Some(digit) => digit,
                None => 0,
            };
            for _ in 0..pulses {
                self.hook(false).await;
                sleep(timing.open).await;
                self.hook(true).await;
                sleep(timing.closed).await;
            }
            sleep(timing.pause).await;
        }
    }

    /// Presses a key: its two tones for `on`, then silence for `off`.
    pub async fn press(&self, key: Key, on: Duration, off: Duration) {
        self.speak(&sound::dtmf(key, self.sample_rate, on)).await;
        sleep(off).await;
    }

    /// Dials with the keypad, 100 ms each and 100 ms between; what is no key is a second's pause.
    pub async fn dial(&self, keys: &str) {
        let time = Duration::from_millis(100);
        for character in keys.chars() {
            match Key::from_char(character) {
                Some(key) => self.press(key, time, time).await,
                None => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Speaks; returns when the last sample has left. While the line's sound is off, that is never.
    pub async fn speak(&self, samples: &[i16]) {
        self.state.borrow_mut().microphone.extend(samples);
        self.until(|state| state.microphone.is_empty()).await;
    }

    /// Speaks without waiting for the end.
    pub fn say(&self, samples: &[i16]) {
        self.state.borrow_mut().microphone.extend(samples);
    }

    /// Forgets what it was about to say.
    pub fn fall_silent(&self) {
        let mut state = self.state.borrow_mut();
        state.microphone.clear();
        state.scripts.drain(..).for_each(Waker::wake);
    }

    /// Listens for so long; what was heard.
    pub async fn listen(&self, time: Duration) -> Vec<i16> {
        let wanted = (time.as_micros() * u64::from(self.sample_rate) / 1_000_000) as usize;
        let from = self.heard_so_far();
        self.until(|state| state.forgotten + state.heard.len() >= from + wanted).await;
        self.heard_since(from)
    }

    /// Samples heard since it was plugged in, those forgotten included.
    pub fn heard_so_far(&self) -> usize {
        let state = self.state.borrow();
        state.forgotten + state.heard.len()
    }

    /// What was heard since then, as far as remembered: two minutes.
    pub fn heard_since(&self, from: usize) -> Vec<i16> {
        let state = self.state.borrow();
        state.heard.iter().skip(from.saturating_sub(state.forgotten)).copied().collect()
    }

    /// Whether these frequencies and nothing much louder were heard during the last 100 ms.
    pub fn hears(&self, frequencies: &[f64]) -> bool {
        let window = self.sample_rate as usize / 10;
        let heard = self.heard_since(self.heard_so_far().saturating_sub(window));
        heard.len() == window && sound::is_tone(&heard, self.sample_rate, frequencies)
    }

    /// Waits until [`Handset::hears`]; `false` when that takes longer than `patience`.
    pub async fn until_hears(&self, frequencies: &[f64], patience: Duration) -> bool {
        let deadline = now() + patience;
        while !self.hears(frequencies) {
            if now() > deadline {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// What is on the wires; `None` before the line said so.
    pub fn feed(&self) -> Option<Feed> {
        self.state.borrow().feeds.last().map(|(_, feed)| *feed)
    }

    /// Every change of what is on the wires since it was plugged in.
    pub fn feeds(&self) -> Vec<(Instant, Feed)> {
        self.state.borrow().feeds.clone()
    }

    /// When the bell rang, and for how long; a ring that goes on is not in it.
    pub fn rings(&self) -> Vec<(Instant, Duration)> {
        let state = self.state.borrow();
        let rings = state.feeds.windows(2).filter(|pair| matches!(pair[0].1, Feed::Ringing(_)));
        rings.map(|pair| (pair[0].0, pair[1].0.since(pair[0].0))).collect()
    }

    /// Waits until the bell rings; `false` when that takes longer than `patience`.
    pub async fn until_rings(&self, patience: Duration) -> bool {
        let ringing = self.until(|state| matches!(state.feeds.last(), Some((_, Feed::Ringing(_)))));
        embassy_futures::select::select(sleep(patience), ringing).await.is_second()
    }

    /// The driver stops, as a crashed one would: no clock, no transitions, no feed. `false` lets it go on.
    pub fn stop_driver(&self, stopped: bool) {
        let mut state = self.state.borrow_mut();
        state.stopped = stopped;
        state.wake_wire();
    }

    async fn hook(&self, closed: bool) {
        let bounces = self.state.borrow().faults.bounces;
        for _ in 0..bounces {
            for closed in [closed, !closed] {
                self.move_hook(closed);
                let micros = 100 + self.state.borrow_mut().random.below(900);
                sleep(Duration::from_micros(u64::from(micros))).await;
            }
        }
        self.move_hook(closed);
        // The line sees it at this very moment, before the script goes on.
        self.until(|state| state.stopped || state.hook.is_empty()).await;
    }

    fn move_hook(&self, closed: bool) {
        let mut state = self.state.borrow_mut();
        state.hook.push_back(closed);
        state.closed = closed;
        state.wake_wire();
    }

    async fn until(&self, done: impl Fn(&State) -> bool) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if done(&state) {
                return Poll::Ready(());
            }
            state.scripts.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Wire {
    /// Runs the telephone; never ends.
    pub async fn run(mut self) {
        self.line.plug();
        let mut sounding = false;
        loop {
            if self.state.borrow().stopped {
                self.woken(true).await;
                continue;
            }
            while let Some(closed) = self.hook_moved() {
                self.hear(&FromHandset::Loop(closed));
            }
            if self.line.driver().audio() != sounding {
                sounding = !sounding;
                if sounding {
                    self.speak();
                }
            }
            let deadline = loop {
                match self.line.poll(now()) {
                    Step::Wait(deadline) => break deadline,
                    Step::Say(FromLine::Feed(feed)) => {
                        let mut state = self.state.borrow_mut();
                        if state.feeds.len() < MEMORY_FEEDS {
                            state.feeds.push((now(), feed));
                        }
                    }
                    Step::Say(FromLine::Sound(frame)) => {
                        self.remember(&frame);
                        self.speak();
                    }
                    Step::Say(_) => {}
                }
            };
            self.state.borrow_mut().scripts.drain(..).for_each(Waker::wake);
            let Self { state, line } = &mut self;
            select3(line.changed(), wire_woken(state), sleep_until(deadline)).await;
        }
    }

    async fn woken(&self, while_stopped: bool) {
        let state = &self.state;
        poll_fn(|context| {
            let mut state = state.borrow_mut();
            if state.stopped != while_stopped {
                return Poll::Ready(());
            }
            state.wire = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn hook_moved(&self) -> Option<bool> {
        self.state.borrow_mut().hook.pop_front()
    }

    /// Through the bytes of the protocol, as every other handset.
    fn hear(&mut self, message: &FromHandset) {
        let mut out = [0; LONGEST];
        // Our own messages are never malformed.
        let _ = self.line.received(now(), message.encode(&mut out));
    }

    fn remember(&self, frame: &PcmFrame) {
        let mut state = self.state.borrow_mut();
        let limit = MEMORY_SECONDS * self.line.driver().info.sample_rate as usize;
        for sample in frame.samples() {
            if state.heard.len() >= limit {
                state.heard.pop_front();
                state.forgotten += 1;
            }
            let noisy = state.noisy(*sample);
            state.heard.push_back(noisy);
        }
    }

    fn speak(&mut self) {
        let mut frame = PcmFrame::silence(self.line.driver().info.frame_length());
        let mut state = self.state.borrow_mut();
        for sample in frame.samples_mut() {
            let spoken = state.microphone.pop_front().unwrap_or(0);
            *sample = state.noisy(spoken);
        }
        drop(state);
        self.hear(&FromHandset::Sound(frame));
    }
}

impl State {
    fn noisy(&mut self, sample: i16) -> i16 {
        match i32::from(self.faults.noise) {
            0 => sample,
            peak => {
                let noise = self.random.below(2 * peak as u32 + 1) as i32 - peak;
                (i32::from(sample) + noise).clamp(-32768, 32767) as i16
            }
        }
    }

    fn wake_wire(&mut self) {
        if let Some(waker) = self.wire.take() {
            waker.wake();
        }
    }
}

async fn wire_woken(state: &RefCell<State>) {
    poll_fn(|context| {
        let mut state = state.borrow_mut();
        if state.stopped || !state.hook.is_empty() {
            return Poll::Ready(());
        }
        state.wire = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

pub(crate) fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

pub(crate) async fn sleep(time: Duration) {
    Timer::after(embassy_time::Duration::from_micros(time.as_micros())).await;
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => Timer::at(embassy_time::Instant::from_micros(at.as_micros())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
