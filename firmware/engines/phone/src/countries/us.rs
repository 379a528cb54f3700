//! United States.
//!
//! Telcordia GR-506 (tones, ringing), GR-30 and GR-31 (caller id); 47 CFR 52 and 9 (911, 988).

use super::{HOWLER, distinctive, emergency, hook, off, on, once, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[2_000, 4_000];

pub(crate) const US: Country = Country {
    code: "US",
    name: "United States",
    tones: Tones {
        dial: tone(-100, &[two(350, 440, 0)]),
        stutter: tone(
            -100,
            &[
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                two(350, 440, 0),
            ],
        ),
        dial_recall: tone(
            -100,
            &[
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                two(350, 440, 0),
            ],
        ),
        ringback: tone(-160, &[two(440, 480, 2_000), off(4_000)]),
        busy: tone(-210, &[two(480, 620, 500), off(500)]),
        congestion: tone(-210, &[two(480, 620, 250), off(250)]),
        howler: HOWLER,
        call_waiting: tone(-130, &[on(440, 300), off(10_000)]),
        confirmation: tone(
            -100,
            &[
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(two(350, 440, 100)),
                once(off(100)),
                once(off(0)),
            ],
        ),
        special_information: tone(
            -130,
            &[once(on(950, 330)), once(on(1_400, 330)), once(on(1_800, 330)), once(off(0))],
        ),
    },
    ringing: Ringing { frequency: 20, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    // GR-506 has 300 to 1000 ms. Ours is wider below, where keys of other countries' telephones lie, and ends sooner: who lays the receiver
    // down for a second means to end the call.
    hook: hook(200, 800, 900),
    emergency: &[
        emergency("911", "police, fire, ambulance"),
        emergency("988", "suicide and crisis lifeline"),
    ],
    dialling: Dialling {
        country_code: "1",
        international_prefix: "011",
        trunk_prefix: "1",
        most_national_digits: 10,
    },
    reversal_on_answer: false,
    law: Law::Mu,
};
