//! The countries' data, one file each, and the few words they are written in.
//!
//! Sources: ITU-T E.180 Supplement 2 (tones and ringing of national networks), the national specification named in each file, and for
//! emergency numbers the national numbering plan. Where nothing is specified (howler, confirmation) ours is said to be ours.

use crate::Country;
use crate::country::Emergency;
use crate::hook::{PulseTiming, Timing};
use crate::tone::{Cadence, Part, Sound};

use dialtone_base::Duration;

mod au;
mod cn;
mod de;
mod fr;
mod gb;
mod hk;
mod jp;
mod sg;
mod tw;
mod us;

pub(crate) use us::US;

pub(crate) const ALL: &[&Country] =
    &[&au::AU, &cn::CN, &de::DE, &fr::FR, &gb::GB, &hk::HK, &jp::JP, &sg::SG, &tw::TW, &us::US];

/// One frequency for `millis`.
const fn on(hertz: u16, millis: u16) -> Part {
    sum([hertz, 0, 0, 0], millis)
}

/// Two frequencies for `millis`.
const fn two(first: u16, second: u16, millis: u16) -> Part {
    sum([first, second, 0, 0], millis)
}

const fn sum(frequencies: [u16; 4], millis: u16) -> Part {
    Part { sound: Sound::Sum(frequencies), millis, once: false, quieter: 0 }
}

/// A carrier swinging in the rhythm of a second frequency.
const fn modulated(carrier: u16, by: u16, millis: u16) -> Part {
    Part { sound: Sound::Modulated { carrier, by }, millis, once: false, quieter: 0 }
}

const fn off(millis: u16) -> Part {
    Part { sound: Sound::Silence, millis, once: false, quieter: 0 }
}

/// The first time only.
const fn once(part: Part) -> Part {
    Part { once: true, ..part }
}

/// `decibels` below the tone's level.
const fn quieter(part: Part, decibels: u8) -> Part {
    Part { quieter: decibels, ..part }
}

/// A tone at a level in tenths of dBm0.
const fn tone(level: i16, parts: &'static [Part]) -> Cadence {
    Cadence { parts, level }
}

const fn emergency(number: &'static str, service: &'static str) -> Emergency {
    Emergency { number, service }
}

/// Flash and on-hook in milliseconds; the rest is alike everywhere.
const fn hook(flash_least: u64, flash_most: u64, on_hook: u64) -> Timing {
    Timing {
        bounce: Duration::from_millis(8),
        off_hook: Duration::from_millis(40),
        on_hook: Duration::from_millis(on_hook),
        flash_least: Duration::from_millis(flash_least),
        flash_most: Duration::from_millis(flash_most),
        pulse: Some(PULSE),
    }
}

/// Dials of 8 to 12 and of 20 pulses a second, break 50 to 70 %: breaks of 25 to 88 ms, makes of at most 63 ms.
const PULSE: PulseTiming = PulseTiming {
    break_least: Duration::from_millis(20),
    break_most: Duration::from_millis(95),
    make_most: Duration::from_millis(100),
};

/// Ours where no specification has one: four tones that nobody sleeps through, as in North America (GR-506).
const HOWLER: Cadence = tone(-60, &[sum([1_400, 2_060, 2_450, 2_600], 100), off(100)]);

/// Three rising tones (E.180 § 7), with a pause of a second.
const SPECIAL_INFORMATION: Cadence = tone(-130, &[on(950, 330), on(1_400, 330), on(1_800, 330), off(1_000)]);

/// `Bellcore-dr2` to `dr5` are GR-506's; `dr6` to `dr8`, which no document names, are ours. `dr1` is the country's own.
const fn distinctive(normal: &'static [u16]) -> [&'static [u16]; 8] {
    [
        normal,
        &[800, 400, 800, 4_000],
        &[400, 200, 400, 200, 800, 4_000],
        &[300, 200, 1_000, 200, 300, 4_000],
        &[500, 5_500],
        &[300, 300, 300, 4_000],
        &[300, 200, 300, 200, 300, 200, 300, 4_000],
        &[1_500, 500, 500, 4_000],
    ]
}
