//! The subscription to message-waiting notices of one account.
//!
//! RFC 6665 section 4.1 (subscribe, refresh, what a failure means), RFC 3842 (the package). A server that does not know the package is asked
//! again only hours later. Does not write messages; notices nobody asked for are taken elsewhere.

use dialtone_base::random::Random;
use dialtone_base::{Duration, Instant};
use heapless::String;

use crate::dialog::{TAG, URI};
use crate::registration::{after_asked, back_off, up_to};

/// What is asked for.
pub(crate) const EXPIRES: u32 = 3600;
/// Asked again after a server said it cannot.
const NEVER_MIND: Duration = Duration::from_secs(4 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    Due(Instant),
    Asked,
}

/// One subscription.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    phase: Phase,
    failures: u32,
    pub call_id: u64,
    pub tag: u64,
    pub cseq: u32,
    /// The notifier's tag and target, once there is a dialog.
    pub remote_tag: String<TAG>,
    pub target: String<URI>,
}

impl Subscription {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            phase: Phase::Off,
            failures: 0,
            call_id: random.next_u64(),
            tag: random.next_u64(),
            cseq: random.below(1 << 16),
            remote_tag: String::new(),
            target: String::new(),
        }
    }

    /// The account is registered (again).
    pub(crate) fn start(&mut self, now: Instant, random: &mut Random) {
        if self.phase == Phase::Off {
            self.phase = Phase::Due(now + up_to(Duration::from_secs(2), random));
        }
    }

    /// The network is another one, or the account changed: the dialog is worth nothing.
    pub(crate) fn stop(&mut self, random: &mut Random) {
        *self = Self::new(random);
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Due(at) if at <= now)
    }

    pub(crate) fn postpone(&mut self, until: Instant) {
        if let Phase::Due(_) = self.phase {
            self.phase = Phase::Due(until);
        }
    }

    pub(crate) fn sent(&mut self) {
        self.phase = Phase::Asked;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Due(at) => Some(at),
            Phase::Off | Phase::Asked => None,
        }
    }

    /// Taken, for so many seconds.
    pub(crate) fn granted(&mut self, now: Instant, seconds: u32, random: &mut Random) {
        self.failures = 0;
        let granted = Duration::from_secs(u64::from(seconds.clamp(60, 86_400)));
        self.phase = Phase::Due(now + granted.scaled(70, 100) + up_to(granted.scaled(15, 100), random));
    }

    /// Not taken: `status` 0 is silence. A lost dialog (481) is made anew at once, once.
    pub(crate) fn refused(
        &mut self,
        now: Instant,
        status: u16,
        retry_after: Option<u32>,
        random: &mut Random,
    ) {
        let had_dialog = !self.remote_tag.is_empty();
        self.forget_dialog(random);
        self.failures = self.failures.saturating_add(1);
        let wait = match (status, retry_after) {
            (481, _) if had_dialog => Duration::ZERO,
            (_, Some(seconds)) => after_asked(seconds, random),
            (0 | 408 | 480 | 500..=599, None) => back_off(self.failures.saturating_add(3), random),
            _ => NEVER_MIND + up_to(NEVER_MIND, random),
        };
        self.phase = Phase::Due(now + wait);
    }

    /// The notifier ended it (RFC 6665 section 4.1.3).
    pub(crate) fn terminated(
        &mut self,
        now: Instant,
        reason: &str,
        retry_after: Option<u32>,
        random: &mut Random,
    ) {
        self.forget_dialog(random);
        let is_final =
            ["rejected", "noresource", "invariant"].iter().any(|word| reason.eq_ignore_ascii_case(word));
        let wait = match retry_after {
            _ if is_final => NEVER_MIND + up_to(NEVER_MIND, random),
            Some(seconds) => after_asked(seconds, random),
            None => Duration::from_secs(1) + up_to(Duration::from_secs(10), random),
        };
        self.phase = Phase::Due(now + wait);
    }

    fn forget_dialog(&mut self, random: &mut Random) {
        self.remote_tag.clear();
        self.target.clear();
        self.call_id = random.next_u64();
        self.tag = random.next_u64();
    }
}
