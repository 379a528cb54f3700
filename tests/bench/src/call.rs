//! Calls of `dialtone run` in real time: processor time beside baresip's, calls at once on one core, set-up time.
//!
//! A home in network namespaces: a telephone on the router's line socket, Kamailio as the operator, baresip as the other party. Both
//! ends say recorded speech. `cost.rs` takes both processes' time in the same call, `set_up.rs` the time from the last key to ringback
//! with what the network took of it, `at_once.rs` ramps calls of `voice` on one thread until some come late.

mod at_once;
mod capture;
mod cost;
mod party;
mod set_up;

use std::time::Duration;

use clap::ValueEnum;
use dialtone_interop::telephony::{Manner, Telephony};

/// Which measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Processor time of a call beside baresip's.
    Cost,
    /// Last key to ringback.
    SetUp,
    /// Calls at once on one core.
    AtOnce,
}

/// A receiver laid down for so long has hung up; for less it may be a flash.
const ON_HOOK: Duration = Duration::from_millis(1800);

/// All of them.
pub const ALL: &[Part] = &[Part::Cost, Part::SetUp, Part::AtOnce];

/// Measures and prints the tables.
pub fn run(quick: bool, parts: &[Part]) {
    let wants = |part| parts.is_empty() || parts.contains(&part);
    if wants(Part::AtOnce) {
        at_once::run(quick);
    }
    if !wants(Part::Cost) && !wants(Part::SetUp) {
        return;
    }
    println!("\nA call through the router and Kamailio to baresip");
    let manner = Manner { codecs: r#""pcma","g722","opus""#, ..Manner::default() };
    // It says itself which right or program is missing.
    let Some(mut telephony) = Telephony::live("bench call", &["baresip"], manner) else { return };
    if wants(Part::Cost) {
        cost::run(quick, &mut telephony);
    }
    if wants(Part::SetUp) {
        set_up::run(quick, &telephony);
    }
}
