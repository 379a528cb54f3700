//! A telephone line (FXS): raw loop transitions and sound up, feed and sound down.
//!
//! [`line`] makes both ends. The driver says when current flows in the loop and delivers a frame of sound every 10 ms while
//! [`LineHandle::set_audio`] is on: its converter is the clock of the voice path, the app answers each captured frame with one to
//! play. Meaning (debounce, flash, pulse digit, cadence) is decided in `engines/phone`. Queues are bounded: a full one drops its oldest
//! frame and counts it, an empty one is silence and the driver counts that. Errors: a line that does not work never closes its loop.

use alloc::boxed::Box;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};

use critical_section::Mutex;
use dialtone_base::counter::Counters;
use dialtone_base::text::Text;
use dialtone_base::{Instant, counted_reasons};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_sync::waitqueue::WakerRegistration;
use heapless::Deque;

pub use dialtone_base::telephony::Feed;

/// A frame of sound lasts this long.
pub const FRAME_MILLIS: u64 = 10;
/// Samples of a frame at 16 kHz; at 8 kHz half of it.
pub const MOST_SAMPLES: usize = 160;
/// Frames a sound queue holds.
pub const PCM_DEPTH: usize = 8;
/// Loop transitions that may wait: a pulse dialler makes twenty a second.
pub const TRANSITIONS: usize = 32;

counted_reasons! {
    /// What a line lost, and why. Each line counts its own.
    pub enum LineLoss {
        /// The handset's sound was not there in time: silence was captured.
        CaptureLate = "capture-late",
        /// The handset sent more sound than may wait: the oldest was dropped.
        CaptureTooMuch = "capture-too-much",
        /// The app's sound was not there in time: silence was played.
        PlaybackLate = "playback-late",
        /// The app's sound came after silence was played in its place: dropped.
        PlaybackTooMuch = "playback-too-much",
        /// The converter overran: captured sound was lost before the driver came to fetch it.
        Overrun = "overrun",
        /// The converter had nothing left to play.
        Underrun = "underrun",
        /// The driver ran so late that it left out a piece of time.
        ClockSkipped = "clock-skipped",
        /// The app had no room for a loop transition that was undone before there was; it knows the state that stayed.
        TransitionLost = "transition-lost",
        /// A handset said something that means nothing.
        Malformed = "malformed",
        /// A handset does not read its sound: frames for it were dropped.
        HandsetSlow = "handset-slow",
        /// A second handset was turned away.
        HandsetRefused = "handset-refused",
        /// Ringing was interrupted to let the hardware cool down.
        RingRest = "ring-rest",
        /// A pin or the converter answered with an error.
        Hardware = "hardware",
    }
}

/// What is fixed about a line.
#[derive(Clone, Debug)]
pub struct LineInfo {
    /// The name people know it by: `phone1`.
    pub name: Text<15>,
    /// Samples in a second, 8000 or 16000.
    pub sample_rate: u32,
}

/// Current began or stopped to flow in the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopTransition {
    /// When, as exactly as the hardware knows.
    pub at: Instant,
    /// Current flows: the handset is off-hook (or a pulse ended).
    pub closed: bool,
}

/// Ten milliseconds of sound, linear, at the line's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmFrame {
    samples: [i16; MOST_SAMPLES],
    length: u8,
}

impl PcmFrame {
    /// Silence of `length` samples, at most [`MOST_SAMPLES`].
    pub const fn silence(length: usize) -> Self {
        let length = if length < MOST_SAMPLES { length as u8 } else { MOST_SAMPLES as u8 };
        Self { samples: [0; MOST_SAMPLES], length }
    }

    /// These samples; what is beyond [`MOST_SAMPLES`] is left out.
    pub fn from_samples(samples: &[i16]) -> Self {
        let mut frame = Self::silence(samples.len());
        for (to, from) in frame.samples.iter_mut().zip(samples) {
            *to = *from;
        }
        frame
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        self.samples.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// The samples, to be changed.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        self.samples.get_mut(..usize::from(self.length)).unwrap_or(&mut [])
    }
}

/// A bounded queue of sound with one waiting reader.
pub struct PcmQueue {
    inner: Mutex<RefCell<PcmInner>>,
}

struct PcmInner {
    frames: Deque<PcmFrame, PCM_DEPTH>,
    waker: WakerRegistration,
    overflowed: u64,
}

struct LineChannel {
    transitions: Channel<CriticalSectionRawMutex, LoopTransition, TRANSITIONS>,
    feed: Signal<CriticalSectionRawMutex, Feed>,
    audio: Mutex<Cell<bool>>,
    audio_changed: Signal<CriticalSectionRawMutex, ()>,
    captured: PcmQueue,
    playback: PcmQueue,
    losses: Mutex<RefCell<Counters<LineLoss, { LineLoss::COUNT }>>>,
}

/// The app's end of a line. Cheap to copy: the task that decides and the task that carries the voice each hold one.
#[derive(Clone)]
pub struct LineHandle {
    /// What is fixed about it.
    pub info: LineInfo,
    channel: &'static LineChannel,
}

/// The driver's end of a line. Cheap to copy.
#[derive(Clone)]
pub struct LineDriver {
    /// What is fixed about it.
    pub info: LineInfo,
    channel: &'static LineChannel,
}

/// Makes both ends of a line. Allocates once, for the lifetime of the program. On-hook, no audio, forward feed.
pub fn line(info: LineInfo) -> (LineHandle, LineDriver) {
    let channel: &'static LineChannel = Box::leak(Box::new(LineChannel {
        transitions: Channel::new(),
        feed: Signal::new(),
        audio: Mutex::new(Cell::new(false)),
        audio_changed: Signal::new(),
        captured: PcmQueue::new(),
        playback: PcmQueue::new(),
        losses: Mutex::new(RefCell::new(Counters::new())),
    }));
    (LineHandle { info: info.clone(), channel }, LineDriver { info, channel })
}

impl LineInfo {
    /// Samples in a frame.
    pub const fn frame_length(&self) -> usize {
        let length = self.sample_rate as usize / 100;
        if length < MOST_SAMPLES { length } else { MOST_SAMPLES }
    }
}

impl LineHandle {
    /// The next loop transition.
    pub async fn transition(&self) -> LoopTransition {
        self.channel.transitions.receive().await
    }

    /// The next loop transition; otherwise the context's waker is kept (one reader only).
    pub fn poll_transition(&self, context: &mut Context<'_>) -> Poll<LoopTransition> {
        self.channel.transitions.poll_receive(context)
    }

    /// Says what to put on the wires. The latest word counts.
    pub fn set_feed(&self, feed: Feed) {
        self.channel.feed.signal(feed);
    }

    /// Turns the converter on or off: off, no frames flow either way and both queues are empty.
    pub fn set_audio(&self, on: bool) {
        let before = critical_section::with(|token| self.channel.audio.borrow(token).replace(on));
        if before != on {
            self.channel.captured.clear();
            self.channel.playback.clear();
            self.channel.audio_changed.signal(());
        }
    }

    /// Sound from the handset, one frame every 10 ms while audio is on.
    pub fn captured(&self) -> &'static PcmQueue {
        &self.channel.captured
    }

    /// Sound for the handset; owed once for every captured frame.
    pub fn playback(&self) -> &'static PcmQueue {
        &self.channel.playback
    }

    /// What the driver lost so far.
    pub fn losses(&self) -> Counters<LineLoss, { LineLoss::COUNT }> {
        critical_section::with(|token| self.channel.losses.borrow_ref(token).clone())
    }
}

impl LineDriver {
    /// Reports a loop transition; waits while [`TRANSITIONS`] are unread.
    pub async fn transition(&self, transition: LoopTransition) {
        self.channel.transitions.send(transition).await;
    }

    /// Reports a loop transition without waiting; `false` when [`TRANSITIONS`] are unread.
    pub fn try_transition(&self, transition: LoopTransition) -> bool {
        self.channel.transitions.try_send(transition).is_ok()
    }

    /// Waits until the app says what to put on the wires.
    pub async fn feed(&self) -> Feed {
        self.channel.feed.wait().await
    }

    /// Whether sound shall flow now.
    pub fn audio(&self) -> bool {
        critical_section::with(|token| self.channel.audio.borrow(token).get())
    }

    /// Waits until [`LineDriver::audio`] may have changed.
    pub async fn audio_changed(&self) {
        self.channel.audio_changed.wait().await;
    }

    /// Where captured sound goes. Push only while audio is on.
    pub fn captured(&self) -> &'static PcmQueue {
        &self.channel.captured
    }

    /// Sound to play. Empty: play silence and count it.
    pub fn playback(&self) -> &'static PcmQueue {
        &self.channel.playback
    }

    /// Counts a loss; the app reads it with [`LineHandle::losses`].
    pub fn count(&self, loss: LineLoss) {
        critical_section::with(|token| self.channel.losses.borrow_ref_mut(token).count(loss));
    }
}

impl PcmQueue {
    const fn new() -> Self {
        let inner = PcmInner { frames: Deque::new(), waker: WakerRegistration::new(), overflowed: 0 };
        Self { inner: Mutex::new(RefCell::new(inner)) }
    }

    /// Appends a frame; a full queue forgets its oldest and counts it: late sound is worse than lost sound.
    pub fn push(&self, frame: PcmFrame) {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            if inner.frames.is_full() {
                inner.frames.pop_front();
                inner.overflowed += 1;
            }
            // There is room: just made.
            let _ = inner.frames.push_back(frame);
            inner.waker.wake();
        });
    }

    /// Takes the oldest frame.
    pub fn pop(&self) -> Option<PcmFrame> {
        critical_section::with(|token| self.inner.borrow_ref_mut(token).frames.pop_front())
    }

    /// Waits for a frame and takes it (one reader only).
    pub async fn next(&self) -> PcmFrame {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The oldest frame; otherwise the context's waker is kept (one reader only).
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<PcmFrame> {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            match inner.frames.pop_front() {
                Some(frame) => Poll::Ready(frame),
                None => {
                    inner.waker.register(context.waker());
                    Poll::Pending
                }
            }
        })
    }

    /// Waits until there is a frame and leaves it there (the one reader's, too).
    pub async fn ready(&self) {
        poll_fn(|context| {
            critical_section::with(|token| {
                let mut inner = self.inner.borrow_ref_mut(token);
                if inner.frames.is_empty() {
                    inner.waker.register(context.waker());
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
        })
        .await
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        critical_section::with(|token| self.inner.borrow_ref(token).frames.len())
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames forgotten because it was full.
    pub fn overflowed(&self) -> u64 {
        critical_section::with(|token| self.inner.borrow_ref(token).overflowed)
    }

    fn clear(&self) {
        critical_section::with(|token| self.inner.borrow_ref_mut(token).frames.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> LineInfo {
        LineInfo { name: Text::lossy("phone1"), sample_rate: 8000 }
    }

    #[test]
    fn late_sound_is_forgotten_and_counted() {
        let (handle, driver) = line(info());
        for number in 0..PCM_DEPTH as i16 + 3 {
            driver.captured().push(PcmFrame::from_samples(&[number; 80]));
        }
        assert_eq!(handle.captured().overflowed(), 3);
        assert_eq!(handle.captured().pop().map(|frame| frame.samples()[0]), Some(3));
    }

    #[test]
    fn turning_sound_off_leaves_no_old_sound_for_the_next_call() {
        let (handle, driver) = line(info());
        handle.set_audio(true);
        driver.captured().push(PcmFrame::silence(handle.info.frame_length()));
        handle.playback().push(PcmFrame::silence(80));
        handle.set_audio(false);
        assert!(handle.captured().is_empty() && driver.playback().is_empty() && !driver.audio());
    }
}
