//! The user agent: accounts, registrations and calls of the whole router in one value.
//!
//! Single mutation, then drain: after every [`UserAgent::handle`], call [`UserAgent::poll`] until it says [`Output::Wait`].

use dialtone_base::Instant;
use dialtone_base::counter::Counters;
use dialtone_base::random::{Random, Seed};

use crate::config::Config;
use crate::interface::{Input, Output, Rejected};

/// A SIP user agent (RFC 3261) for a handful of lines.
pub struct UserAgent {
    config: Config,
    random: Random,
    counters: Counters<Rejected, { Rejected::COUNT }>,
}

impl UserAgent {
    /// Takes all its memory. Does nothing until [`Input::Network`] names an address.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self { config, random: Random::new(seed), counters: Counters::new() }
    }

    /// One input.
    ///
    /// # Errors
    /// Every [`Rejected`] is counted; a message that made one may still have been answered.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let _ = (now, &self.config, &mut self.random, input);
        self.counters.count(Rejected::NoNetwork);
        Err(Rejected::NoNetwork)
    }

    /// The next thing to do; `out` takes a message of [`crate::config::Limits::message`] bytes.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> Output<'_> {
        let _ = (now, out);
        Output::Wait(None)
    }

    /// How often what was rejected.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }
}
