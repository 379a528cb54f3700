//! Telephones in a scenario: a scripted handset on one of the router's lines, and scripts that drive it.
//!
//! A script is an async function over a [`Handset`]; [`Scenario::script`] runs it in virtual time, with everything else going on around it. Several
//! telephones act at once when their scripts are joined into one.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use dialtone_base::{Duration, Seed};
use dialtone_hal_testkit::handset::{Faults, Handset, handset, sound};
use dialtone_settings::tree::Settings;
use dialtone_settings::tree::telephony::Codec;

use crate::{Scenario, with_accounts};

/// Dial tone in the country the router comes with.
pub const DIAL_TONE: [f64; 2] = [350.0, 440.0];
/// Ringback there.
pub const RINGBACK: [f64; 2] = [440.0, 480.0];
/// Busy and congestion there; their cadence differs.
pub const BUSY: [f64; 2] = [480.0, 620.0];
/// A call knocks.
pub const CALL_WAITING: [f64; 1] = [440.0];

/// [`with_accounts`], with G.711 only, which costs little, and without echo cancellation: to that a tone that is sent while the same tone
/// comes back is an echo.
pub fn with_plain_voice(settings: &mut Settings) {
    with_accounts(settings);
    for account in &mut settings.telephony.accounts {
        account.codecs = [Codec::Pcmu, Codec::Pcma].into_iter().collect();
    }
    for line in &mut settings.telephony.lines {
        line.echo_cancellation = false;
    }
}

/// A tone of -10 dBm0 for so many seconds.
pub fn tone(handset: &Handset, hertz: f64, seconds: u64) -> Vec<i16> {
    sound::tones(&[(hertz, -10.0)], handset.sample_rate, Duration::from_secs(seconds))
}

/// Lifts the receiver, waits for dial tone, dials.
///
/// # Panics
/// Without dial tone.
pub async fn call(handset: &Handset, keys: &str) {
    handset.lift().await;
    assert!(handset.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone before {keys}");
    handset.dial(keys).await;
}

/// The longest stretch of `samples` without the tone, in steps of 20 ms.
pub fn longest_gap(samples: &[i16], sample_rate: u32, hertz: f64) -> Duration {
    let window = sample_rate as usize / 50;
    let (mut longest, mut gap) = (0, 0);
    for part in samples.chunks_exact(window) {
        gap = if sound::level(part, sample_rate, hertz) > -25.0 { 0 } else { gap + 1 };
        longest = longest.max(gap);
    }
    Duration::from_millis(20 * longest)
}

/// Seconds of virtual time.
pub async fn wait(seconds: u64) {
    embassy_time::Timer::after_secs(seconds).await;
}

/// Milliseconds of virtual time.
pub async fn wait_millis(millis: u64) {
    embassy_time::Timer::after_millis(millis).await;
}

impl Scenario {
    /// Plugs a telephone that works into line 0 or 1. A line takes one, once.
    pub fn telephone(&mut self, line: usize) -> Handset {
        self.faulty_telephone(line, Faults::default())
    }

    /// Plugs a telephone with faults in.
    pub fn faulty_telephone(&mut self, line: usize, faults: Faults) -> Handset {
        let driver = self.home.lines[line].clone();
        let (telephone, wire) =
            handset(driver, faults, Seed::from_number(self.seed.rotate_left(32) + line as u64));
        self.executor.spawn(wire.run());
        telephone
    }

    /// How many of the accounts' numbers are registered.
    pub fn registered(&self) -> usize {
        critical_section::with(|token| {
            self.home.router.numbers.borrow_ref(token).iter().filter(|number| number.up).count()
        })
    }

    /// Waits until both numbers of [`crate::with_accounts`] are registered.
    #[track_caller]
    pub fn expect_registered(&mut self, limit: Duration) {
        let router = self.home.router;
        self.expect("both numbers are registered", limit, |_| {
            critical_section::with(|token| {
                router.numbers.borrow_ref(token).iter().filter(|number| number.up).count() == 2
            })
        });
    }

    /// What each line does: "on-hook" and so on.
    pub fn line_states(&self) -> Vec<&'static str> {
        critical_section::with(|token| {
            self.home.router.lines.borrow_ref(token).iter().map(|line| line.state).collect()
        })
    }

    /// How often the telephone took something not, by the name of the reason.
    pub fn not_taken(&self, reason: &str) -> u64 {
        critical_section::with(|token| {
            let refusals = self.home.router.telephony_refusals.borrow_ref(token);
            refusals.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
        })
    }

    /// Runs a script to its end and gives what it returns.
    ///
    /// # Panics
    /// When it takes longer than `limit`; `what` names it.
    #[track_caller]
    pub fn script<T: 'static>(
        &mut self,
        what: &str,
        limit: Duration,
        script: impl Future<Output = T> + 'static,
    ) -> T {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        self.executor.spawn(async move {
            let value = script.await;
            *slot.borrow_mut() = Some(value);
        });
        self.expect(what, limit, |_| result.borrow().is_some());
        result.take().expect("just seen")
    }
}
