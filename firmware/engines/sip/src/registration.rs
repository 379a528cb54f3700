//! When a number registers: refresh, retry, back-off, and what the registrar said to it.
//!
//! RFC 3261 section 10.2; RFC 5626 section 4.5 for the back-off, begun at two seconds so that a registrar that restarts has us back soon,
//! and drawn at random between half and all of each step so that thousands of homes that lost the same registrar at the same second
//! do not return at the same second.
//!
//! **A registrar that forgets us.** Over a connection its restart is seen: the connection breaks. Over UDP a registrar may restart between two
//! keep-alives and answer the next one as if nothing had been. So a binding over UDP is renewed every 240 to 300 s however long it was granted:
//! calls come in again five minutes after the registrar forgot us at the latest, and within 11 s of the first sign of trouble. Signs are a
//! keep-alive that is answered only after more than a second, by 5xx or by a server that calls itself something else than before, and a call
//! or SUBSCRIBE of ours refused by 403, 404, 480 or 481 (many of those say something else, so they count once in two minutes). Renewing
//! mends what a query without Contact (section 10.2.3) would only show, for the same price: N homes make N / 270 REGISTERs a second, 37 for
//! ten thousand, each a single round trip with the known nonce. After a registrar failed or said "not now", one renewal is as late as it granted: it
//! is asked no more than it can take.
//!
//! A refusal that only people can mend (403, 404, a wrong password) is tried again slowly.
//! Does not write messages.

use dialtone_base::random::Random;
use dialtone_base::{Duration, Instant};

use crate::interface::RegistrationState;

#[cfg(test)]
mod tests;

/// First wait after a failure, doubled by each further one.
const FIRST_BACK_OFF: Duration = Duration::from_secs(2);
/// The longest wait. Between half of it and all of it, an operator's N dead lines come back at about N / 450 s.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(600);
/// First wait after a refusal, doubled by each further one.
const FIRST_SLOW: Duration = Duration::from_secs(300);
const LONGEST_SLOW: Duration = Duration::from_secs(3600);
/// After the network came, everybody's did: wait up to this.
const START_SPREAD: Duration = Duration::from_millis(2000);
/// After a failover or a changed Contact: soon, but not all numbers at once.
const SOON_SPREAD: Duration = Duration::from_millis(500);
/// A binding the registrar may lose without our noticing is renewed within this, or up to [`CHECK_SPREAD`] earlier.
const CHECK: Duration = Duration::from_secs(300);
const CHECK_SPREAD: Duration = Duration::from_secs(60);
/// Signs of trouble so soon after a renewal mean nothing.
const CALM: Duration = Duration::from_secs(120);
/// After a sign of trouble: soon, but thousands of homes saw the same one.
const DOUBT_SPREAD: Duration = Duration::from_secs(10);
/// Bounds of what is asked for and believed.
const SHORTEST_EXPIRY: Duration = Duration::from_secs(30);
const LONGEST_EXPIRY: Duration = Duration::from_secs(86_400);
/// A Retry-After beyond this is a mistake, or an attack on the line.
const LONGEST_RETRY_AFTER: u32 = 3600;

/// Between half of `length` and all of it.
pub(crate) fn jittered(length: Duration, random: &mut Random) -> Duration {
    let half = length.scaled(1, 2);
    half + up_to(half, random)
}

/// Anything from nothing to `length`, in milliseconds.
pub(crate) fn up_to(length: Duration, random: &mut Random) -> Duration {
    let millis = u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
    Duration::from_millis(u64::from(random.below(millis.saturating_add(1))))
}

/// The wait after so many failures in a row.
pub(crate) fn back_off(failures: u32, random: &mut Random) -> Duration {
    let step = FIRST_BACK_OFF.scaled(1 << failures.saturating_sub(1).min(16), 1);
    jittered(step.min(LONGEST_BACK_OFF), random)
}

/// What came of a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 2xx with this expiry of our Contact.
    Granted(Duration),
    /// 423 with this Min-Expires in seconds.
    TooBrief(u32),
    /// No answer, or one that says "not now" (5xx, 408, 480): perhaps with Retry-After in seconds.
    Unreachable(Option<u32>),
    /// The same, but there is another server to try.
    Elsewhere,
    /// A refusal that will not change by itself, perhaps with Retry-After.
    Refused(u16, Option<u32>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing to do.
    Off,
    /// A REGISTER is due then.
    Due(Instant),
    /// A REGISTER is under way.
    Asked,
}

/// One number's registration.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    phase: Phase,
    state: RegistrationState,
    /// The binding we hold ends then.
    ends: Option<Instant>,
    /// It was granted or renewed then.
    granted: Option<Instant>,
    /// That took more than one try.
    was_hard: bool,
    /// Take the binding away rather than renew it.
    removing: bool,
    /// What to ask for.
    expiry: Duration,
    failures: u32,
    refusals: u32,
    /// 423 in a row: a registrar that moves its minimum is not followed for ever.
    raised: u8,
    /// It would have been sent, had there been a way.
    postponed: bool,
}

impl Registration {
    pub(crate) const fn new(expiry: Duration) -> Self {
        Self {
            phase: Phase::Off,
            state: RegistrationState::Idle,
            ends: None,
            granted: None,
            was_hard: false,
            removing: false,
            expiry,
            failures: 0,
            refusals: 0,
            raised: 0,
            postponed: false,
        }
    }

    pub(crate) const fn state(&self) -> RegistrationState {
        self.state
    }

    /// Whether the registrar holds a binding of ours.
    pub(crate) const fn is_bound(&self) -> bool {
        self.ends.is_some()
    }

    /// What the next REGISTER asks for; zero takes the binding away.
    pub(crate) fn asks_for(&self) -> Duration {
        if self.removing { Duration::ZERO } else { self.expiry.clamp(SHORTEST_EXPIRY, LONGEST_EXPIRY) }
    }

    /// The network came, or came back with another address.
    pub(crate) fn start(&mut self, now: Instant, random: &mut Random) {
        self.removing = false;
        self.failures = 0;
        self.refusals = 0;
        self.raised = 0;
        self.phase = Phase::Due(now + up_to(START_SPREAD, random));
    }

    /// The Contact or the server is another one: register again soon.
    pub(crate) fn renew(&mut self, now: Instant, random: &mut Random) {
        if self.phase != Phase::Off && !self.removing {
            self.phase = Phase::Due(now + up_to(SOON_SPREAD, random));
        }
    }

    /// The registrar may lose the binding without our noticing: it is renewed soon enough for nobody to mind.
    pub(crate) fn check_soon(&mut self, now: Instant, random: &mut Random) {
        if let Phase::Due(at) = self.phase
            && !self.was_hard
        {
            self.phase = Phase::Due(at.min(now + (CHECK - up_to(CHECK_SPREAD, random))));
        }
    }

    /// The registrar may have lost the binding: renewed soon, unless it was just now.
    pub(crate) fn doubt(&mut self, now: Instant, random: &mut Random) {
        let is_old = self.granted.is_some_and(|at| at + CALM <= now);
        if let Phase::Due(at) = self.phase
            && self.is_bound()
            && is_old
            && !self.removing
        {
            self.phase = Phase::Due(at.min(now + up_to(DOUBT_SPREAD, random)));
        }
    }

    /// Whether the binding is being taken away.
    pub(crate) fn is_leaving(&self) -> bool {
        self.removing && self.phase != Phase::Off
    }

    /// Take the binding away, if there is one.
    pub(crate) fn remove(&mut self, now: Instant) {
        self.removing = true;
        self.phase = if self.is_bound() || self.phase == Phase::Asked { Phase::Due(now) } else { Phase::Off };
    }

    /// No network: whatever was, is no more. The binding is remembered as long as it lasts.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Off;
        self.ends = None;
        self.removing = false;
        self.state = RegistrationState::Idle;
    }

    /// Whether a REGISTER shall be sent now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Due(at) if at <= now)
    }

    /// The same, later: there is no way to send it yet.
    pub(crate) fn postpone(&mut self, until: Instant) {
        if let Phase::Due(_) = self.phase {
            self.phase = Phase::Due(until);
            self.postponed = true;
        }
    }

    /// A way was found: what was postponed for want of one goes now, what is spread stays spread.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if self.postponed && matches!(self.phase, Phase::Due(at) if at > now) {
            self.phase = Phase::Due(now);
        }
        self.postponed = false;
    }

    /// It was sent.
    pub(crate) fn sent(&mut self) {
        self.phase = Phase::Asked;
        self.postponed = false;
        if !self.is_bound() && matches!(self.state, RegistrationState::Idle) {
            self.state = RegistrationState::Trying;
        }
    }

    /// A binding that nobody renewed ends by itself.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.ends.is_some_and(|ends| ends <= now) {
            self.ends = None;
            if self.state == RegistrationState::Up {
                self.state = RegistrationState::Unreachable;
            }
        }
    }

    /// What came of it.
    pub(crate) fn outcome(&mut self, now: Instant, outcome: Outcome, random: &mut Random) {
        if self.removing {
            // Nothing of a removal is worth a second try: the binding ends by itself.
            self.stop();
            return;
        }
        self.expire(now);
        let wait = match outcome {
            Outcome::Granted(granted) => {
                let granted = granted.clamp(SHORTEST_EXPIRY, LONGEST_EXPIRY);
                self.ends = Some(now + granted);
                self.granted = Some(now);
                self.was_hard = self.failures > 0;
                self.failures = 0;
                self.refusals = 0;
                self.raised = 0;
                self.state = RegistrationState::Up;
                // Between 70 and 85 % of its time, but with room for a few tries.
                granted.scaled(70, 100) + up_to(granted.scaled(15, 100), random)
            }
            Outcome::TooBrief(least)
                if self.raised < 3 && Duration::from_secs(u64::from(least)) > self.asks_for() =>
            {
                self.raised += 1;
                self.expiry = Duration::from_secs(u64::from(least)).min(LONGEST_EXPIRY);
                Duration::ZERO
            }
            Outcome::Elsewhere => up_to(SOON_SPREAD, random),
            Outcome::TooBrief(_) | Outcome::Unreachable(None) => {
                self.failures = self.failures.saturating_add(1);
                self.down(RegistrationState::Unreachable);
                back_off(self.failures, random)
            }
            Outcome::Unreachable(Some(after)) => {
                self.failures = self.failures.saturating_add(1);
                self.down(RegistrationState::Unreachable);
                after_asked(after, random).max(back_off(self.failures, random))
            }
            Outcome::Refused(status, after) => {
                self.ends = None;
                self.refusals = self.refusals.saturating_add(1);
                self.state = RegistrationState::Refused(status);
                let step = FIRST_SLOW.scaled(1 << self.refusals.saturating_sub(1).min(8), 1);
                let slow = jittered(step.min(LONGEST_SLOW), random);
                after.map_or(slow, |after| slow.max(after_asked(after, random)))
            }
        };
        self.phase = Phase::Due(now + wait);
    }

    fn down(&mut self, state: RegistrationState) {
        if !self.is_bound() {
            self.state = state;
        }
    }

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due = match self.phase {
            Phase::Due(at) => Some(at),
            Phase::Off | Phase::Asked => None,
        };
        [due, self.ends].into_iter().flatten().min()
    }
}

/// Not before what the server asked for, and not everybody at that moment: up to half as long again, at least ten seconds' worth.
pub(crate) fn after_asked(seconds: u32, random: &mut Random) -> Duration {
    let asked = Duration::from_secs(u64::from(seconds.min(LONGEST_RETRY_AFTER)));
    asked + up_to(asked.scaled(1, 2).max(Duration::from_secs(10)), random)
}
