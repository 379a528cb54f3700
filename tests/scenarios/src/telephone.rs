//! Telephones in a scenario: a scripted handset on one of the router's lines, and scripts that drive it.
//!
//! A script is an async function over a [`Handset`]; [`Scenario::script`] runs it in virtual time, with everything else going on around it. Several
//! telephones act at once when their scripts are joined into one.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use dialtone_base::{Duration, Seed};
use dialtone_hal_testkit::handset::{Faults, Handset, handset};

use crate::Scenario;

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
