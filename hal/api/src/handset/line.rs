//! The line's side of a handset that is a program, without the socket.
//!
//! A value with a clock argument around a [`LineDriver`]: bytes of the handset and the time go in, messages for it and the next deadline
//! come out, whatever carries them. It is the clock of the voice path: every 10 ms since sound was turned on, by absolute deadlines, one
//! captured frame is given to the app and one frame of the app's to the handset. The handset's sound is buffered for at most 40 ms, so a
//! handset that sends early does not make the call late: what is beyond is dropped from the front and counted; a frame that is not
//! there in time is silence, and counted.

use core::future::pending;

use dialtone_base::{Duration, Instant};
use embassy_futures::select::{Either3, select3};
use heapless::Deque;

use super::{Decoder, FromHandset, FromLine, Greeting, Malformed};
use crate::circuit::Circuit;
use crate::line::{FRAME_MILLIS, Feed, LineDriver, LineLoss, LoopTransition, MOST_SAMPLES, PcmFrame};

/// Frames of the handset's sound that may wait.
pub const EARLY_FRAMES: usize = 4;
/// When the clock is read later than this, what was missed is skipped and not made up for.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A handset that is plugged in takes so long to come up after the one before went: longer than any flash, so that the app
/// sees one telephone leave its hook and not another one's hook tapped.
pub const REPLUG: Duration = Duration::from_millis(1500);
/// How long the app has for its answer when the next frame is due already.
const GRACE: Duration = Duration::from_millis(2);

/// One line with a place to plug a handset in.
pub struct HandsetLine {
    driver: LineDriver,
    circuit: Circuit,
    decoder: Decoder<FromHandset>,
    plugged: bool,
    /// The handset has been greeted.
    greeted: bool,
    /// What the handset believes is on the wires.
    told: Option<Feed>,
    /// Runs while sound is on.
    clock: Option<FrameClock>,
    /// When to give up waiting for the app's answer to the last captured frame.
    owed: Option<Instant>,
    microphone: Deque<i16, { EARLY_FRAMES * MOST_SAMPLES }>,
    skew: i32,
    /// When the loop last opened.
    opened: Option<Instant>,
    /// A handset newly plugged in may close the loop from here on.
    rest_until: Option<Instant>,
    /// It did so before that.
    lifted_early: bool,
}

/// What [`HandsetLine::poll`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
// No box: messages are used on the spot, as in the protocol itself.
#[allow(clippy::large_enum_variant)]
pub enum Step {
    /// Tell the handset.
    Say(FromLine),
    /// Nothing until this moment, or until [`HandsetLine::changed`].
    Wait(Option<Instant>),
}

/// Deadlines every 10 ms of a clock that may be a little wrong. Never drifts: each is counted from the start.
#[derive(Clone, Copy, Debug)]
pub struct FrameClock {
    start: Instant,
    frames: u64,
    skew: i32,
}

impl FrameClock {
    /// Starts now: the first frame is complete 10 ms later. A positive `skew` in parts per million makes frames longer.
    pub const fn start(now: Instant, skew: i32) -> Self {
        Self { start: now, frames: 1, skew }
    }

    /// When the next frame is complete.
    pub fn due(&self) -> Instant {
        let perfect = self.frames as i128 * FRAME_MILLIS as i128 * 1000;
        let micros = perfect + perfect * i128::from(self.skew) / 1_000_000;
        self.start + Duration::from_micros(micros.max(0) as u64)
    }

    /// The frame that was due has been dealt with.
    pub fn next(&mut self) {
        self.frames += 1;
    }
}

impl HandsetLine {
    /// Nobody is plugged in.
    pub const fn new(driver: LineDriver) -> Self {
        Self {
            driver,
            circuit: Circuit::new(),
            decoder: Decoder::new(),
            plugged: false,
            greeted: false,
            told: None,
            clock: None,
            owed: None,
            microphone: Deque::new(),
            skew: 0,
            opened: None,
            rest_until: None,
            lifted_early: false,
        }
    }

    /// With a clock this many parts per million slow, for tests.
    pub fn with_skew(mut self, skew: i32) -> Self {
        self.skew = skew;
        self
    }

    /// The driver's end of the line.
    pub fn driver(&self) -> &LineDriver {
        &self.driver
    }

    /// Whether a handset is plugged in.
    pub const fn plugged(&self) -> bool {
        self.plugged
    }

    /// A handset was plugged in, on-hook. The one before must have been unplugged.
    pub fn plug(&mut self) {
        self.plugged = true;
        self.rest_until = self.opened.map(|opened| opened + REPLUG);
        self.greeted = false;
        self.told = None;
        self.decoder = Decoder::new();
        self.microphone.clear();
    }

    /// The handset is gone: the loop opens.
    pub fn unplug(&mut self, now: Instant) {
        self.plugged = false;
        self.microphone.clear();
        self.lifted_early = false;
        self.set_loop(now, false);
    }

    /// The handset said this. Bytes behind a message too long for the protocol are thrown away.
    ///
    /// # Errors
    /// [`Malformed::TooLong`]: unplug it. What else is wrong is counted and skipped.
    pub fn received(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), Malformed> {
        while let Some(message) = self.decoder.next(&mut bytes) {
            match message {
                Ok(FromHandset::Loop(closed)) => {
                    self.lifted_early = closed && self.rest_until.is_some_and(|until| now < until);
                    if !self.lifted_early {
                        self.set_loop(now, closed);
                    }
                }
                Ok(FromHandset::Sound(frame)) => self.hear(&frame),
                Err(error) => {
                    self.driver.count(LineLoss::Malformed);
                    if error == Malformed::TooLong {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// What to do now. Call it until it says [`Step::Wait`], after everything that happened.
    pub fn poll(&mut self, now: Instant) -> Step {
        if self.lifted_early && self.rest_until.is_none_or(|until| until <= now) {
            self.lifted_early = false;
            self.set_loop(now, true);
        }
        match self.step(now) {
            Step::Wait(deadline) => {
                Step::Wait(deadline.into_iter().chain(self.rest_until.filter(|_| self.lifted_early)).min())
            }
            say => say,
        }
    }

    fn step(&mut self, now: Instant) -> Step {
        self.report(now, false);
        if self.plugged && !self.greeted {
            self.greeted = true;
            return Step::Say(FromLine::Info(Greeting::from(&self.driver.info)));
        }
        if self.plugged && self.told != Some(self.circuit.feed()) {
            self.told = Some(self.circuit.feed());
            return Step::Say(FromLine::Feed(self.circuit.feed()));
        }
        if !self.driver.audio() {
            self.clock = None;
            self.owed = None;
            self.microphone.clear();
            return Step::Wait(None);
        }
        let skew = self.skew;
        let mut clock = *self.clock.get_or_insert_with(|| FrameClock::start(now, skew));
        loop {
            if let Some(give_up) = self.owed {
                let frame = match self.driver.playback().pop() {
                    Some(frame) => frame,
                    None if now < give_up => return Step::Wait(Some(give_up)),
                    None => {
                        self.driver.count(LineLoss::PlaybackLate);
                        PcmFrame::silence(self.driver.info.frame_length())
                    }
                };
                self.owed = None;
                // What the one before still hears is not for the new one.
                if self.plugged && !self.lifted_early {
                    return Step::Say(FromLine::Sound(frame));
                }
            }
            if now < clock.due() {
                self.clock = Some(clock);
                return Step::Wait(Some(clock.due()));
            }
            if now.since(clock.due()) > LONGEST_PAUSE {
                // The machine slept, or the board was busy with something else: nobody wants to hear the past.
                self.driver.count(LineLoss::ClockSkipped);
                clock = FrameClock::start(now, skew);
                self.clock = Some(clock);
                return Step::Wait(Some(clock.due()));
            }
            clock.next();
            self.clock = Some(clock);
            // An answer that comes after silence was played in its place would make every later one late.
            while self.driver.playback().pop().is_some() {
                self.driver.count(LineLoss::PlaybackTooMuch);
            }
            let frame = self.frame();
            self.driver.captured().push(frame);
            self.owed = Some(clock.due().max(now + GRACE));
        }
    }

    /// Waits until the app wants something new: other feed, sound on or off, or its answer has come.
    pub async fn changed(&mut self) {
        let playback = self.driver.playback();
        let waiting = self.owed.is_some();
        let answer = async {
            if waiting {
                playback.ready().await;
            } else {
                pending::<()>().await;
            }
        };
        match select3(self.driver.feed(), self.driver.audio_changed(), answer).await {
            Either3::First(feed) => self.circuit.set_feed(feed),
            Either3::Second(()) | Either3::Third(()) => {}
        }
    }

    fn set_loop(&mut self, now: Instant, closed: bool) {
        self.report(now, true);
        if self.circuit.closed() && !closed {
            self.opened = Some(now);
        }
        self.circuit.set_closed(closed);
        self.report(now, false);
    }

    /// Tells the app about the loop; `lost` counts what it has no room to hear.
    fn report(&mut self, now: Instant, lost: bool) {
        let Some(closed) = self.circuit.news() else { return };
        if self.driver.try_transition(LoopTransition { at: now, closed }) {
            self.circuit.reported(closed);
        } else if lost {
            self.driver.count(LineLoss::TransitionLost);
        }
    }

    fn hear(&mut self, frame: &PcmFrame) {
        if !self.driver.audio() {
            return;
        }
        let room = EARLY_FRAMES * self.driver.info.frame_length();
        let mut early = false;
        for sample in frame.samples() {
            if self.microphone.len() >= room {
                self.microphone.pop_front();
                early = true;
            }
            // There is room: just made.
            let _ = self.microphone.push_back(*sample);
        }
        if early {
            self.driver.count(LineLoss::CaptureTooMuch);
        }
    }

    /// What the handset heard during the last 10 ms; on-hook its microphone is off.
    fn frame(&mut self) -> PcmFrame {
        let mut frame = PcmFrame::silence(self.driver.info.frame_length());
        if !self.circuit.closed() {
            self.microphone.clear();
            return frame;
        }
        if self.microphone.len() < frame.samples().len() {
            self.driver.count(LineLoss::CaptureLate);
            return frame;
        }
        for sample in frame.samples_mut() {
            *sample = self.microphone.pop_front().unwrap_or(0);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use core::task::{Context, Poll, Waker};

    use dialtone_base::text::Text;

    use super::*;
    use crate::handset::{LONGEST, Message};
    use crate::line::{LineHandle, LineInfo, line};

    fn bench() -> (LineHandle, HandsetLine) {
        let (handle, driver) = line(LineInfo { name: Text::lossy("phone1"), sample_rate: 8000 });
        let mut line = HandsetLine::new(driver);
        line.plug();
        line.set_loop(Instant::START, true);
        handle.set_audio(true);
        while line.poll(Instant::START) != Step::Wait(Some(Instant::from_millis(10))) {}
        (handle, line)
    }

    fn frame(value: i16) -> PcmFrame {
        PcmFrame::from_samples(&[value; 80])
    }

    #[test]
    fn a_stall_is_made_up_for_frame_by_frame_and_nothing_is_lost() {
        let (handle, mut line) = bench();
        for value in 1..=4 {
            line.hear(&frame(value));
        }
        // The machine slept through four deadlines; the app runs only when the line waits.
        let mut now = Instant::from_millis(45);
        let mut played = std::vec::Vec::new();
        loop {
            match line.poll(now) {
                Step::Say(FromLine::Sound(frame)) => played.push(frame.samples()[0]),
                Step::Say(other) => panic!("{other:?}"),
                Step::Wait(Some(deadline)) => match handle.captured().pop() {
                    Some(frame) => handle.playback().push(frame),
                    None if deadline == Instant::from_millis(50) => break,
                    None => now = deadline,
                },
                Step::Wait(None) => panic!("sound is on"),
            }
        }
        assert_eq!(played, [1, 2, 3, 4]);
        assert_eq!(now, Instant::from_millis(45), "at once");
        assert_eq!(handle.losses().total(), 0);
    }

    #[test]
    fn a_handset_plugged_in_at_once_is_no_tap_of_the_hook() {
        let (handle, mut line) = bench();
        let changes = || {
            let mut context = Context::from_waker(Waker::noop());
            std::iter::from_fn(|| match handle.poll_transition(&mut context) {
                Poll::Ready(transition) => Some(transition.closed),
                Poll::Pending => None,
            })
            .collect::<std::vec::Vec<bool>>()
        };
        assert_eq!(changes(), [true]);
        // The first one is gone; the second is lifted 40 ms later.
        line.unplug(Instant::from_secs(2));
        line.plug();
        let at = Instant::from_millis(2_040);
        let mut out = [0; LONGEST];
        line.received(at, FromHandset::Loop(true).encode(&mut out)).expect("short");
        handle.set_audio(false);
        let deadline = loop {
            if let Step::Wait(deadline) = line.poll(at) {
                break deadline;
            }
        };
        assert_eq!(deadline, Some(Instant::from_secs(2) + REPLUG));
        assert_eq!(changes(), [false]);
        assert_eq!(line.poll(Instant::from_millis(3_500)), Step::Wait(None));
        assert_eq!(changes(), [true]);
    }

    #[test]
    fn a_long_sleep_is_skipped_and_counted_once() {
        let (handle, mut line) = bench();
        let now = Instant::from_secs(3600);
        assert_eq!(line.poll(now), Step::Wait(Some(now + Duration::from_millis(10))));
        assert_eq!(handle.losses().of(LineLoss::ClockSkipped), 1);
        assert!(handle.captured().is_empty());
    }

    #[test]
    fn deadlines_do_not_drift_in_a_day_and_skew_is_exact() {
        let day = 24 * 3600 * 100;
        for (skew, micros) in [(0, 86_400_000_000_u64), (100, 86_408_640_000), (-37, 86_396_803_200)] {
            let mut clock = FrameClock::start(Instant::START, skew);
            clock.frames = day;
            assert_eq!(clock.due(), Instant::from_micros(micros));
            clock.next();
            assert!(clock.due().since(Instant::from_micros(micros)).as_micros().abs_diff(10_000) <= 2);
        }
    }

    #[test]
    fn frames_of_another_length_are_cut_to_the_lines_own() {
        let (handle, mut line) = bench();
        line.hear(&PcmFrame::from_samples(&[7; 120]));
        line.hear(&PcmFrame::from_samples(&[8; 40]));
        line.poll(Instant::from_millis(10));
        handle.playback().push(frame(0));
        line.poll(Instant::from_millis(20));
        line.poll(Instant::from_millis(20));
        let captured: std::vec::Vec<(i16, i16)> = std::iter::from_fn(|| handle.captured().pop())
            .map(|frame| (frame.samples()[39], frame.samples()[79]))
            .collect();
        assert_eq!(captured, [(7, 7), (7, 8)]);
    }
}
