//! Joins the module's pins and a converter to one line of the app.
//!
//! The converter is the clock: each captured frame goes to the app, the app's answer goes to the converter. An answer that is not there
//! when the next frame is captured is replaced by silence and thrown away when it comes, so that delay never creeps.

use core::convert::Infallible;
use core::future::{Future, pending};

use dialtone_base::{Duration, Instant};
use dialtone_hal_api::line::{LineDriver, LineLoss, PcmFrame};
use embassy_futures::select::{Either, Either4, select, select4};
use embassy_time::Timer;
use embedded_hal::digital::{InputPin, OutputPin};

use crate::{Ag1171, Output};

/// An analogue-to-digital converter and its way back, at the line's sample rate.
pub trait Codec {
    /// Starts both directions, with enough silence in the way back that the first answers are in time.
    ///
    /// # Errors
    /// What to count; the runner tries again a second later.
    fn start(&mut self) -> Result<(), LineLoss>;

    /// Stops both and forgets what they held.
    fn stop(&mut self);

    /// The next 10 ms of sound. Dropped and asked again many times: nothing may be lost by that.
    ///
    /// # Errors
    /// [`LineLoss::Overrun`] and [`LineLoss::Underrun`] once it has recovered by itself; [`LineLoss::Hardware`] when it must be started again.
    fn capture(&mut self) -> impl Future<Output = Result<PcmFrame, LineLoss>>;

    /// Appends 10 ms to what is played.
    ///
    /// # Errors
    /// As [`Codec::capture`].
    fn play(&mut self, frame: &PcmFrame) -> Result<(), LineLoss>;
}

/// A line made of a module and a converter.
pub struct Runner<R, F, H, P, C> {
    module: Ag1171<R, F, H, P>,
    codec: C,
    driver: LineDriver,
    sound: Sound,
    /// The app has not answered the last captured frame.
    owed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    Off,
    On,
    /// The converter failed; try again then.
    Failed(Instant),
}

/// A converter that failed is started again after this.
const RETRY: Duration = Duration::from_secs(1);

impl<R: OutputPin, F: OutputPin, H: InputPin, P: OutputPin, C: Codec> Runner<R, F, H, P, C> {
    /// Joins them.
    pub const fn new(module: Ag1171<R, F, H, P>, codec: C, driver: LineDriver) -> Self {
        Self { module, codec, driver, sound: Sound::Off, owed: false }
    }

    /// Runs the line for as long as there is power.
    pub async fn run(mut self) -> Infallible {
        loop {
            self.switch_sound();
            let deadline = self.work_pins();
            let Self { codec, driver, sound, owed, .. } = &mut self;
            let captured =
                async { if *sound == Sound::On { codec.capture().await } else { pending().await } };
            let answered = async { if *owed { driver.playback().ready().await } else { pending().await } };
            let deadline = embassy_time::Instant::from_micros(deadline.as_micros());
            let what = select4(
                Timer::at(deadline),
                driver.feed(),
                driver.audio_changed(),
                // The answer first: it belongs before the next frame.
                select(answered, captured),
            );
            match what.await {
                Either4::First(()) | Either4::Third(()) => {}
                Either4::Second(feed) => self.module.set_feed(feed),
                Either4::Fourth(Either::First(())) => self.answer(),
                Either4::Fourth(Either::Second(frame)) => self.captured(frame),
            }
        }
    }

    fn switch_sound(&mut self) {
        let start = match self.sound {
            Sound::On if !self.driver.audio() => {
                self.codec.stop();
                self.sound = Sound::Off;
                self.owed = false;
                return;
            }
            Sound::Off => self.driver.audio(),
            Sound::Failed(_) if !self.driver.audio() => {
                self.sound = Sound::Off;
                return;
            }
            Sound::Failed(until) => now() >= until,
            Sound::On => false,
        };
        if start {
            match self.codec.start() {
                Ok(()) => self.sound = Sound::On,
                Err(loss) => self.failed(loss),
            }
        }
    }

    fn work_pins(&mut self) -> Instant {
        loop {
            match self.module.poll(now()) {
                Output::Transition(transition) => {
                    if !self.driver.try_transition(transition) {
                        // The app is behind by 32; it learns the state once it has read on.
                        return now() + crate::SAMPLE;
                    }
                    self.module.reported(transition);
                }
                Output::RingRest => self.driver.count(LineLoss::RingRest),
                Output::Fault(_) => self.driver.count(LineLoss::Hardware),
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn captured(&mut self, frame: Result<PcmFrame, LineLoss>) {
        let frame = match frame {
            Ok(frame) => frame,
            Err(loss) => return self.failed(loss),
        };
        if self.owed {
            self.driver.count(LineLoss::PlaybackLate);
            self.play(&PcmFrame::silence(self.driver.info.frame_length()));
        }
        while self.driver.playback().pop().is_some() {
            self.driver.count(LineLoss::PlaybackTooMuch);
        }
        self.driver.captured().push(frame);
        self.owed = true;
    }

    fn answer(&mut self) {
        if let Some(frame) = self.driver.playback().pop() {
            self.owed = false;
            self.play(&frame);
        }
    }

    fn play(&mut self, frame: &PcmFrame) {
        if let Err(loss) = self.codec.play(frame) {
            self.failed(loss);
        }
    }

    fn failed(&mut self, loss: LineLoss) {
        self.driver.count(loss);
        if loss == LineLoss::Hardware {
            self.codec.stop();
            self.owed = false;
            self.sound = Sound::Failed(now() + RETRY);
        }
    }
}

fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}
