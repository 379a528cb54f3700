//! The exchange: every call of every line, from dial tone to the end.

use alloc::boxed::Box;

use dialtone_base::Instant;
use dialtone_base::counted_reasons;
use dialtone_base::counter::Counters;

use super::config::Config;
use super::input::Input;
use super::output::Output;

/// Calls at the same time, inside and outside together.
pub const CALLS: usize = 16;

/// Call control of all lines.
#[derive(Debug)]
pub struct Exchange {
    config: Box<Config>,
    rejections: Counters<Rejected, { Rejected::COUNT }>,
}

counted_reasons! {
    /// Why an input had no effect.
    pub enum Rejected {
        /// No such line.
        UnknownLine = "unknown-line",
        /// No such account.
        UnknownAccount = "unknown-account",
        /// A call that is over, or never was: late news, ordinary after hanging up.
        UnknownCall = "unknown-call",
        /// A new call with a number in use: the carrier's fault.
        CallNumberInUse = "call-number-in-use",
        /// Our limit: no room for one more call. It was refused with 486.
        Full = "full",
        /// It does not fit the state of the line or call.
        WrongState = "wrong-state",
    }
}

impl Exchange {
    /// All receivers down, no account up.
    pub fn new(config: Box<Config>) -> Self {
        Self { config, rejections: Counters::new() }
    }

    /// One report. Afterwards [`poll`](Self::poll) until `Wait`.
    ///
    /// # Errors
    /// When it has no effect, with the reason; counted in [`rejections`](Self::rejections).
    pub fn handle(&mut self, _now: Instant, input: Input) -> Result<(), Rejected> {
        if let Input::Configure(config) = input {
            self.config = config;
        }
        Ok(())
    }

    /// The next order; `Wait` when there is none.
    pub fn poll(&mut self, _now: Instant) -> Output {
        Output::Wait(None)
    }

    /// Inputs without effect, by reason.
    pub fn rejections(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.rejections
    }
}
