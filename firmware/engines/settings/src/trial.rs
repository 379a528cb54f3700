//! A change of settings: validated, on trial where it could lock people out, confirmed or taken back.
//!
//! A pure state machine over revisions. A change that may cut off the person making it (addresses, ports, the WAN, firewall
//! rules) comes into force *on trial*: unless [`Input::Confirm`] arrives within [`TRIAL`], the old tree comes back. Other
//! changes are final at once. Only final trees go to flash: a power cut ends a trial, too.
//!
//! ```text
//!            propose (safe)                            propose (risky)
//!   SETTLED ───────────────► SETTLED + Store    SETTLED ───────────────► TRIAL
//!                                                  ▲   revert, 90 s over   │ confirm
//!                                                  └───────────────────────┴────────► SETTLED + Store
//! ```
//!
//! Does not write flash and tells nobody: [`Engine::poll`] says what to do.

use alloc::boxed::Box;
use core::fmt;

use dialtone_base::counted_reasons;
use dialtone_base::counter::Counters;
use dialtone_base::{Duration, Instant};
use heapless::Deque;

use crate::tree::Settings;
use crate::validate::{Problems, validate};

/// How long a risky change waits for its confirmation.
pub const TRIAL: Duration = Duration::from_secs(90);

/// The settings in force and the change under way.
pub struct Engine {
    current: Box<Settings>,
    revision: u32,
    trial: Option<Trial>,
    /// Highest revision given out so far.
    highest: u32,
    /// Final, but not known to be in flash.
    unsaved: bool,
    outputs: Deque<Output, 4>,
    counters: Counters<Outcome, { Outcome::COUNT }>,
}

/// What comes back unless somebody confirms.
struct Trial {
    old: Box<Settings>,
    old_revision: u32,
    deadline: Instant,
}

/// What happens to the settings.
#[derive(Debug)]
pub enum Input {
    /// Somebody wants this tree.
    Propose(Box<Settings>),
    /// The tree on trial works.
    Confirm,
    /// The tree on trial does not: take it back now.
    Revert,
    /// The answer to [`Output::Store`].
    Stored {
        /// Whether that revision is in flash.
        ok: bool,
        /// Which.
        revision: u32,
    },
}

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell everybody: [`Engine::settings`] changed.
    Apply(Applied),
    /// Write [`Engine::settings`] to flash under this revision, then say [`Input::Stored`].
    Store {
        /// The revision.
        revision: u32,
    },
    /// Nothing more to do until then, or until the next input.
    Wait(Option<Instant>),
}

/// Why another tree is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// For good.
    Final {
        /// Its revision.
        revision: u32,
    },
    /// Until the deadline unless confirmed.
    OnTrial {
        /// Its revision.
        revision: u32,
        /// When it goes back.
        deadline: Instant,
    },
    /// The tree from before the trial is back.
    Reverted {
        /// Its revision.
        revision: u32,
    },
}

/// Why an input was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The tree has faults.
    Invalid(Box<Problems>),
    /// Another change is on trial: confirm or revert it first.
    TrialUnderWay,
    /// There is nothing to confirm or revert.
    NoTrial,
    /// The tree is the one in force.
    Unchanged,
    /// The caller has not drained [`Engine::poll`].
    NotDrained,
}

counted_reasons! {
    /// What became of changes.
    pub enum Outcome {
        /// A safe change came into force.
        Applied = "applied",
        /// A risky change came into force on trial.
        Tried = "tried",
        /// A trial was confirmed.
        Confirmed = "confirmed",
        /// A trial was taken back by hand.
        Reverted = "reverted",
        /// A trial was not confirmed in time.
        TimedOut = "timed-out",
        /// A tree with faults was refused.
        Invalid = "invalid",
        /// An input came in the wrong state.
        Refused = "refused",
        /// A tree could not be written to flash.
        NotStored = "not-stored",
    }
}

impl Engine {
    /// With the tree that flash held and its revision.
    pub fn new(settings: Box<Settings>, revision: u32) -> Self {
        Self {
            current: settings,
            revision,
            trial: None,
            highest: revision,
            unsaved: false,
            outputs: Deque::new(),
            counters: Counters::new(),
        }
    }

    /// The tree in force, on trial or not.
    pub fn settings(&self) -> &Settings {
        &self.current
    }

    /// Its revision.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// When the trial ends, if one is under way.
    pub fn trial_deadline(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| trial.deadline)
    }

    /// Whether a final tree is not known to be in flash: it is lost with the power.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// What became of changes so far.
    pub fn counters(&self) -> &Counters<Outcome, { Outcome::COUNT }> {
        &self.counters
    }

    /// One input; drain [`Engine::poll`] before the next.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn handle(&mut self, now: Instant, input: Input) -> Result<(), Rejected> {
        self.expire(now);
        let result = match input {
            // Each input adds at most two outputs, an expiry one: there is room when they were drained.
            _ if self.outputs.len() > 1 => Err(Rejected::NotDrained),
            Input::Propose(tree) => self.propose(now, tree),
            Input::Confirm => self.confirm(),
            Input::Revert => self.revert(Outcome::Reverted),
            Input::Stored { ok, revision } => {
                if ok && revision == self.revision {
                    self.unsaved = false;
                } else if !ok {
                    self.counters.count(Outcome::NotStored);
                }
                Ok(())
            }
        };
        match &result {
            Err(Rejected::Invalid(_)) => self.counters.count(Outcome::Invalid),
            Err(_) => self.counters.count(Outcome::Refused),
            Ok(()) => {}
        }
        result
    }

    /// What to do now; to be called until it says [`Output::Wait`].
    pub fn poll(&mut self, now: Instant) -> Output {
        self.expire(now);
        self.outputs.pop_front().unwrap_or(Output::Wait(self.trial_deadline()))
    }

    fn propose(&mut self, now: Instant, tree: Box<Settings>) -> Result<(), Rejected> {
        validate(&tree).map_err(Rejected::Invalid)?;
        if self.trial.is_some() {
            return Err(Rejected::TrialUnderWay);
        }
        if tree == self.current {
            return Err(Rejected::Unchanged);
        }
        let risky = is_risky(&self.current, &tree);
        let old = core::mem::replace(&mut self.current, tree);
        let old_revision = self.revision;
        self.highest = self.highest.wrapping_add(1);
        self.revision = self.highest;
        let revision = self.revision;
        if risky {
            let deadline = now + TRIAL;
            self.trial = Some(Trial { old, old_revision, deadline });
            self.counters.count(Outcome::Tried);
            self.put(Output::Apply(Applied::OnTrial { revision, deadline }));
        } else {
            self.counters.count(Outcome::Applied);
            self.put(Output::Apply(Applied::Final { revision }));
            self.store();
        }
        Ok(())
    }

    fn confirm(&mut self) -> Result<(), Rejected> {
        self.trial.take().ok_or(Rejected::NoTrial)?;
        self.counters.count(Outcome::Confirmed);
        self.put(Output::Apply(Applied::Final { revision: self.revision }));
        self.store();
        Ok(())
    }

    fn revert(&mut self, why: Outcome) -> Result<(), Rejected> {
        let trial = self.trial.take().ok_or(Rejected::NoTrial)?;
        self.current = trial.old;
        self.revision = trial.old_revision;
        self.counters.count(why);
        self.put(Output::Apply(Applied::Reverted { revision: self.revision }));
        Ok(())
    }

    fn expire(&mut self, now: Instant) {
        if self.trial_deadline().is_some_and(|deadline| deadline <= now) {
            // There is a trial: just looked.
            let _ = self.revert(Outcome::TimedOut);
        }
    }

    fn store(&mut self) {
        self.unsaved = true;
        self.put(Output::Store { revision: self.revision });
    }

    fn put(&mut self, output: Output) {
        // There is room for what one input and one expiry cause: `handle` refuses inputs until it was drained.
        let _ = self.outputs.push_back(output);
    }
}

/// Whether the change may cut off the person making it.
pub fn is_risky(old: &Settings, new: &Settings) -> bool {
    let reach =
        |tree: &Settings| (tree.lan.address, tree.lan.dhcp.enabled, tree.lan.dhcp.first, tree.lan.dhcp.last);
    old.wan != new.wan
        || reach(old) != reach(new)
        || old.guest != new.guest
        || old.firewall.rules != new.firewall.rules
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => write!(f, "{problems}"),
            Self::TrialUnderWay => f.write_str("another change is on trial: confirm or revert it first"),
            Self::NoTrial => f.write_str("no change is on trial: there is nothing to confirm or revert"),
            Self::Unchanged => f.write_str("that is what is in force already"),
            Self::NotDrained => f.write_str("busy with the change before: try again"),
        }
    }
}

impl core::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    fn drain(engine: &mut Engine, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        loop {
            match engine.poll(now) {
                Output::Wait(_) => return outputs,
                output => outputs.push(output),
            }
        }
    }

    fn with(change: impl Fn(&mut Settings)) -> Box<Settings> {
        let mut tree = Box::<Settings>::default();
        change(&mut tree);
        tree
    }

    fn risky() -> Box<Settings> {
        with(|tree| tree.lan.address = "10.0.0.1/24".parse().unwrap())
    }

    #[test]
    fn a_safe_change_is_in_force_and_stored_at_once() {
        let mut engine = Engine::new(Box::default(), 7);
        engine.handle(Instant::START, Input::Propose(with(|tree| tree.firewall.wan_ping = true))).unwrap();
        let outputs = drain(&mut engine, Instant::START);
        assert_eq!(outputs, [Output::Apply(Applied::Final { revision: 8 }), Output::Store { revision: 8 }]);
        assert!(engine.is_unsaved());
        engine.handle(Instant::START, Input::Stored { ok: true, revision: 8 }).unwrap();
        assert!(!engine.is_unsaved());
    }

    #[test]
    fn a_risky_change_goes_back_by_itself_after_90_seconds() {
        let mut engine = Engine::new(Box::default(), 7);
        engine.handle(Instant::START, Input::Propose(risky())).unwrap();
        let deadline = Instant::START + TRIAL;
        assert_eq!(
            drain(&mut engine, Instant::START),
            [Output::Apply(Applied::OnTrial { revision: 8, deadline })]
        );
        assert_eq!(engine.settings(), &*risky());
        let before = Instant::from_micros(deadline.as_micros() - 1);
        assert_eq!(engine.poll(before), Output::Wait(Some(deadline)));
        assert_eq!(drain(&mut engine, deadline), [Output::Apply(Applied::Reverted { revision: 7 })]);
        assert_eq!(engine.settings(), &Settings::default());
        assert_eq!(engine.handle(deadline, Input::Confirm), Err(Rejected::NoTrial));
    }

    #[test]
    fn a_confirmed_change_stays_and_is_stored() {
        let mut engine = Engine::new(Box::default(), 7);
        engine.handle(Instant::START, Input::Propose(risky())).unwrap();
        drain(&mut engine, Instant::START);
        engine.handle(Instant::from_secs(89), Input::Confirm).unwrap();
        let outputs = drain(&mut engine, Instant::from_secs(89));
        assert_eq!(outputs.last(), Some(&Output::Store { revision: 8 }));
        assert!(drain(&mut engine, Instant::from_secs(1000)).is_empty());
        assert_eq!(engine.settings(), &*risky());
    }

    #[test]
    fn a_confirmation_that_comes_too_late_is_refused() {
        let mut engine = Engine::new(Box::default(), 7);
        engine.handle(Instant::START, Input::Propose(risky())).unwrap();
        drain(&mut engine, Instant::START);
        assert_eq!(engine.handle(Instant::from_secs(90), Input::Confirm), Err(Rejected::NoTrial));
        assert_eq!(engine.settings(), &Settings::default());
        assert_eq!(engine.counters().of(Outcome::TimedOut), 1);
    }

    #[test]
    fn one_change_at_a_time_and_only_valid_ones() {
        let mut engine = Engine::new(Box::default(), 7);
        engine.handle(Instant::START, Input::Propose(risky())).unwrap();
        drain(&mut engine, Instant::START);
        let other = with(|tree| tree.firewall.wan_ping = true);
        assert_eq!(engine.handle(Instant::START, Input::Propose(other)), Err(Rejected::TrialUnderWay));
        engine.handle(Instant::START, Input::Revert).unwrap();
        drain(&mut engine, Instant::START);
        assert_eq!(engine.handle(Instant::START, Input::Propose(Box::default())), Err(Rejected::Unchanged));
        let faulty = with(|tree| tree.wan.mtu = 1);
        assert!(matches!(engine.handle(Instant::START, Input::Propose(faulty)), Err(Rejected::Invalid(_))));
        assert_eq!(engine.revision(), 7);
        // A revision that was tried is not given out again.
        engine.handle(Instant::START, Input::Propose(risky())).unwrap();
        assert_eq!(engine.revision(), 9);
    }
}
