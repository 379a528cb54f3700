//! Ringing: cadences on the feed, and when the caller's number is sent between them.
//!
//! Before the first ring (after a reversal, a short ring, or a loop that the telephone closes by itself) or in the first long pause, as the
//! country wants it: ETSI EN 300 659-1, BT SIN 227, Telcordia GR-30, NTT. The number's sound is the media path's; here is only its time.

use dialtone_base::{Duration, Instant};
use heapless::Deque;

pub use dialtone_base::telephony::Feed;

use crate::Country;
use crate::caller_id::Delivery;
use crate::calls::RingPattern;

/// What [`Ringer::poll`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this on the wires.
    Feed(Feed),
    /// Turn the line's sound on and send the caller's number now: the transmission made by
    /// [`caller_id::Transmission`](crate::caller_id::Transmission).
    SendCallerId,
    /// The window for the caller's number is over: the line's sound may go off.
    CallerIdOver,
    /// Japan: somebody lifted the receiver while the number was sent. Tell [`Hook`](crate::Hook) that the loop is closed.
    Answered,
    /// Nothing until then.
    Wait(Option<Instant>),
}

/// Rings one line, and keeps its feed.
///
/// Owns what is on the wires: also the polarity of an answered call and the disconnect signal go through it.
#[derive(Clone, Debug)]
pub struct Ringer {
    country: &'static Country,
    reversed: bool,
    phase: Phase,
    /// When the phase ends.
    until: Instant,
    /// When this part of the cadence began.
    began: Instant,
    cadence: &'static [u16],
    /// Position in the cadence, which begins with a ring.
    place: usize,
    delivery: Delivery,
    /// How long the caller's number takes, while it has not been sent.
    caller_id: Option<Duration>,
    feed: Feed,
    outputs: Deque<Output, 4>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A short ring that wakes the display.
    ShortRing,
    /// Quiet, or reversed, before the caller's number.
    Silence,
    /// The caller's number is being sent.
    Sending,
    /// Quiet before the first ring.
    BeforeRing,
    /// Ring or pause.
    Cadence,
    /// Japan: reversed, before the waking.
    BeforeWaking,
    /// Japan: ringing so that the telephone closes the loop by itself; rings left.
    Waking(u8),
    /// Japan: the telephone has closed the loop.
    Listening,
    /// Japan: the telephone heard the number and shall open the loop.
    Releasing,
    /// No battery for a moment.
    Disconnecting,
}

/// What a change of the loop meant to the ringer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopMeaning {
    /// A person's doing: tell [`Hook`](crate::Hook).
    Person,
    /// The telephone's own, on its way to the caller's number: nobody lifted or laid down anything.
    Telephone,
}

impl Ringer {
    /// Silent; the feed is forward.
    pub fn new(country: &'static Country) -> Self {
        Self {
            country,
            reversed: false,
            phase: Phase::Idle,
            until: Instant::START,
            began: Instant::START,
            cadence: &[],
            place: 0,
            delivery: country.caller_id.delivery,
            caller_id: None,
            feed: Feed::Forward,
            outputs: Deque::new(),
        }
    }

    /// Begins to ring. `caller_id`: when the caller's number is sent and how long that takes (`Transmission::duration`); `None` to
    /// send none.
    pub fn start(&mut self, now: Instant, pattern: RingPattern, caller_id: Option<(Delivery, Duration)>) {
        self.stop(now);
        self.cadence = self.country.ringing.cadence(pattern);
        self.place = 0;
        self.caller_id = caller_id.map(|(_, length)| length).filter(|length| *length > Duration::ZERO);
        let Some((delivery, _)) = caller_id.filter(|_| self.caller_id.is_some()) else {
            return self.enter_cadence(now);
        };
        self.delivery = delivery;
        match delivery {
            Delivery::AfterFirstRing => self.enter_cadence(now),
            Delivery::AfterShortRing => {
                self.ring();
                self.enter(Phase::ShortRing, now, SHORT_RING);
            }
            Delivery::AfterReversalAndAlert | Delivery::AfterReversal => {
                self.set_feed(Feed::Reverse);
                self.enter(Phase::Silence, now, AFTER_REVERSAL);
            }
            Delivery::AfterLoopClosed => {
                self.set_feed(Feed::Reverse);
                self.enter(Phase::BeforeWaking, now, AFTER_REVERSAL);
            }
        }
    }

    /// Ends it: nobody calls any more. `now` is kept for symmetry with the rest: ending takes no time.
    pub fn stop(&mut self, now: Instant) {
        if self.phase == Phase::Sending {
            self.say(Output::CallerIdOver);
        }
        self.phase = Phase::Idle;
        self.until = now;
        self.caller_id = None;
        self.rest();
    }

    /// The loop changed. When a person answers, everything stops at once.
    pub fn loop_changed(&mut self, now: Instant, closed: bool) -> LoopMeaning {
        match (self.phase, closed) {
            (Phase::Waking(_), true) => {
                self.set_feed(Feed::Reverse);
                self.enter(Phase::Listening, now, AFTER_LOOP_CLOSED);
                LoopMeaning::Telephone
            }
            (Phase::Listening, false) => {
                // It gave up before the number came: ring without it.
                self.caller_id = None;
                self.enter_cadence(now);
                LoopMeaning::Telephone
            }
            (Phase::Releasing, false) => {
                self.enter(Phase::BeforeRing, now, AFTER_RELEASE);
                LoopMeaning::Telephone
            }
            (Phase::Sending, false) if self.delivery == Delivery::AfterLoopClosed => {
                self.say(Output::CallerIdOver);
                self.enter(Phase::BeforeRing, now, AFTER_RELEASE);
                LoopMeaning::Telephone
            }
            (Phase::Idle | Phase::Disconnecting, _) | (_, false) => LoopMeaning::Person,
            (_, true) => {
                self.stop(now);
                LoopMeaning::Person
            }
        }
    }

    /// Whether somebody is being called.
    pub fn is_ringing(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Disconnecting)
    }

    /// Whether the line rests: it neither rings nor is without battery for a moment.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle && self.outputs.is_empty()
    }

    /// Turns the battery round, or back: the called party answered, where the country shows that.
    pub fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
        if self.phase == Phase::Idle {
            self.rest();
        }
    }

    /// Takes the battery away for a moment: answering machines understand that the other end hung up.
    pub fn disconnect(&mut self, now: Instant) {
        self.stop(now);
        self.set_feed(Feed::Open);
        self.enter(Phase::Disconnecting, now, DISCONNECT);
    }

    /// What to do now; call until it says `Wait`.
    pub fn poll(&mut self, now: Instant) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if self.phase == Phase::Idle {
                return Output::Wait(None);
            }
            if now < self.until {
                return Output::Wait(Some(self.until));
            }
            // From when it was due, so that cadences do not drift; from now when that was long ago.
            let from = if now.since(self.until) < LATE { self.until } else { now };
            self.proceed(from);
        }
    }

    /// The phase is over.
    fn proceed(&mut self, now: Instant) {
        match self.phase {
            Phase::Idle => {}
            Phase::ShortRing => {
                self.rest();
                self.enter(Phase::Silence, now, AFTER_RING);
            }
            Phase::Silence | Phase::Listening => self.send(now),
            Phase::BeforeWaking => {
                self.ring();
                self.enter(Phase::Waking(WAKING_RINGS), now, WAKING_RING);
            }
            Phase::BeforeRing => self.enter_cadence(now),
            Phase::Waking(0) => {
                // A telephone without a display: ring as usual.
                self.caller_id = None;
                self.enter_cadence(now);
            }
            Phase::Waking(left) => {
                let rings = !matches!(self.feed, Feed::Ringing(_));
                if rings {
                    self.ring();
                } else {
                    self.set_feed(Feed::Reverse);
                }
                self.enter(Phase::Waking(left - u8::from(rings)), now, WAKING_RING);
            }
            Phase::Sending => {
                self.say(Output::CallerIdOver);
                match self.delivery {
                    Delivery::AfterFirstRing => {
                        // The rest of the pause it was sent in, longer where the number was.
                        let end = (self.began + self.part()).max(now + BEFORE_RING);
                        self.enter(Phase::Cadence, now, end.since(now));
                    }
                    Delivery::AfterLoopClosed => self.enter(Phase::Releasing, now, RELEASE),
                    _ => self.enter(Phase::BeforeRing, now, BEFORE_RING),
                }
            }
            Phase::Releasing => {
                // The loop stays closed: a person has lifted the receiver.
                self.stop(now);
                self.say(Output::Answered);
            }
            Phase::Cadence => {
                self.place = if self.place + 1 < self.cadence.len() { self.place + 1 } else { 0 };
                self.play(now);
            }
            Phase::Disconnecting => {
                self.phase = Phase::Idle;
                self.rest();
            }
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant, length: Duration) {
        self.phase = phase;
        self.until = now + length;
    }

    fn enter_cadence(&mut self, now: Instant) {
        self.place = 0;
        self.play(now);
    }

    /// Begins the part of the cadence at `place`.
    fn play(&mut self, now: Instant) {
        self.began = now;
        let length = self.part();
        let pause = self.place % 2 == 1;
        if pause {
            self.rest();
        } else {
            self.ring();
        }
        if pause && self.caller_id.is_some() && length >= LONG_PAUSE {
            return self.enter(Phase::Silence, now, AFTER_RING);
        }
        self.enter(Phase::Cadence, now, length);
    }

    fn send(&mut self, now: Instant) {
        match self.caller_id.take() {
            Some(length) => {
                self.say(Output::SendCallerId);
                self.enter(Phase::Sending, now, length + SOUND_DELAY);
            }
            None => self.enter_cadence(now),
        }
    }

    fn part(&self) -> Duration {
        Duration::from_millis(self.cadence.get(self.place).copied().unwrap_or(1_000).into())
    }

    /// The feed without ringing.
    fn rest(&mut self) {
        self.set_feed(if self.reversed { Feed::Reverse } else { Feed::Forward });
    }

    fn ring(&mut self) {
        self.set_feed(Feed::Ringing(self.country.ringing.frequency));
    }

    fn set_feed(&mut self, feed: Feed) {
        if feed != self.feed {
            self.feed = feed;
            self.say(Output::Feed(feed));
        }
    }

    fn say(&mut self, output: Output) {
        // Room for what one input can cause; were it ever full, the oldest is what matters least.
        if self.outputs.is_full() {
            self.outputs.pop_front();
        }
        let _ = self.outputs.push_back(output);
    }
}

/// EN 300 659-1 § 6.1.2: ring pulse alerting of 200 to 300 ms.
const SHORT_RING: Duration = Duration::from_millis(250);
/// From a ring to the number: 500 to 800 ms (EN 300 659-1, GR-30).
const AFTER_RING: Duration = Duration::from_millis(600);
/// From the reversal to the alerting tone or the first key: at least 100 ms (EN 300 659-1, SIN 227).
const AFTER_REVERSAL: Duration = Duration::from_millis(250);
/// From the number to the next ring: at least 200 ms.
const BEFORE_RING: Duration = Duration::from_millis(250);
/// What turning the line's sound on and the queues may take.
const SOUND_DELAY: Duration = Duration::from_millis(80);
/// Pauses shorter than that are within a ring.
const LONG_PAUSE: Duration = Duration::from_millis(1_000);
/// NTT: rings of half a second, for about six seconds.
const WAKING_RING: Duration = Duration::from_millis(500);
const WAKING_RINGS: u8 = 5;
/// NTT: from the closed loop to the number.
const AFTER_LOOP_CLOSED: Duration = Duration::from_millis(300);
/// NTT: the telephone opens the loop within seven seconds of the number.
const RELEASE: Duration = Duration::from_secs(7);
const AFTER_RELEASE: Duration = Duration::from_millis(300);
/// Open loop as a disconnect signal (GR-506 § 11: 600 to 1000 ms).
const DISCONNECT: Duration = Duration::from_millis(800);
/// A poll that comes later than that starts its cadence anew from where it is.
const LATE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
