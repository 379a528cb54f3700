//! From the last key to ringback, and what of it was the network's.
//!
//! The last key is `#`, so nothing waits for more digits; its time is that of its first sample on the line's socket. Ringback is the
//! first audible 10 ms after it. The network's part is what passes on the WAN between a request and the answer to it: INVITE to 407 of
//! the operator, INVITE with credentials to 180 of the other party.

use std::thread;
use std::time::SystemTime;

use dialtone_interop::telephone::{DIAL_TONE, RINGBACK};
use dialtone_interop::telephony::Telephony;

use super::capture::{Capture, Passed};
use super::party::{self, Manner};
use crate::table::Table;

/// One set-up in milliseconds: in all, to the first INVITE, between challenge and the INVITE with credentials, after 180, and
/// what is left: the network's.
#[derive(Default)]
struct Parts {
    total: f64,
    to_invite: f64,
    credentials: f64,
    to_ringback: f64,
}

impl Parts {
    fn ours(&self) -> f64 {
        self.to_invite + self.credentials + self.to_ringback
    }
}

/// The table.
pub fn run(quick: bool, telephony: &Telephony) {
    let count = if quick { 2 } else { 20 };
    let manner = Manner { codec: "PCMA/8000/1", module: "g711", rate: 8000, more: "", answers: false };
    let party = party::start(telephony, &manner);
    let capture = match Capture::start(&telephony.home.operator, "i0") {
        Ok(capture) => capture,
        Err(error) => return println!("  SKIPPED call set-up: no capture: {error}"),
    };
    let mut calls = Vec::new();
    for _ in 0..count {
        match call(telephony, &capture) {
            Ok(parts) => calls.push(parts),
            Err(why) => println!("  a call was not set up: {why}"),
        }
    }
    drop(party);
    let mut table = Table::new(&["ms", "p50", "max"]);
    let mut row = |name: &str, value: fn(&Parts) -> f64| {
        let mut values: Vec<f64> = calls.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let shown = |value: Option<&f64>| value.map_or("–".into(), |value| format!("{value:.1}"));
        table.row([name.to_owned(), shown(values.get(values.len() / 2)), shown(values.last())]);
    };
    row("last key to ringback", |parts| parts.total);
    row("the network's: INVITE to 407, INVITE to 180", |parts| parts.total - parts.ours());
    row("ours", Parts::ours);
    row("  first sample of the key to INVITE on the WAN", |parts| parts.to_invite);
    row("  407 to INVITE with credentials", |parts| parts.credentials);
    row("  180 to ringback at the telephone", |parts| parts.to_ringback);
    println!("\nCall set-up, {} of {count} calls\n", calls.len());
    table.print();
}

fn call(telephony: &Telephony, capture: &Capture) -> Result<Parts, String> {
    let phone = &telephony.telephones[0];
    phone.lift();
    if !phone.until_hears(DIAL_TONE, 5) {
        return Err("no dial tone".into());
    }
    phone.dial(party::NUMBER);
    capture.forget();
    phone.hear_afresh();
    phone.dial("#");
    let rings = phone.until_hears(RINGBACK, 5);
    let times = (phone.began(), phone.sounded());
    let line = telephony.console("phone");
    phone.hang_up();
    thread::sleep(super::ON_HOOK);
    let ((Some(pressed), Some(sounded)), true) = (times, rings) else {
        let passed = capture.passed();
        return Err(format!("no ringback; {passed:?} passed on the WAN; the router says\n{line}"));
    };
    let passed = capture.passed();
    let first = |what: fn(&Passed) -> bool, after: SystemTime| {
        passed.iter().filter(|(at, passed)| *at >= after && what(passed)).map(|(at, _)| *at).min()
    };
    let parts = || {
        let invite = first(|passed| matches!(passed, Passed::Invite), pressed)?;
        let ringing = first(|passed| matches!(passed, Passed::Answer(180)), invite)?;
        let challenge = first(|passed| matches!(passed, Passed::Answer(401 | 407)), invite);
        let again = challenge.and_then(|at| first(|passed| matches!(passed, Passed::Invite), at));
        Some(Parts {
            total: between(pressed, sounded),
            to_invite: between(pressed, invite),
            credentials: challenge.zip(again).map_or(0.0, |(from, to)| between(from, to)),
            to_ringback: between(ringing, sounded),
        })
    };
    parts().ok_or_else(|| format!("not all of it was seen on the WAN: {passed:?}"))
}

fn between(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(time) => time.as_secs_f64() * 1e3,
        Err(error) => -error.duration().as_secs_f64() * 1e3,
    }
}
