//! United Kingdom.
//!
//! BT SIN 350 and 351 (tones, ringing, timed break recall), SIN 227 and 242 (caller id); Ofcom's National Telephone Numbering Plan
//! (999, 112, 18000).

use super::{HOWLER, distinctive, emergency, hook, off, on, once, quieter, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[400, 200, 400, 2_000];

pub(crate) const GB: Country = Country {
    code: "GB",
    name: "United Kingdom",
    tones: Tones {
        dial: tone(-100, &[two(350, 440, 0)]),
        stutter: tone(-100, &[two(350, 440, 750), on(440, 750)]),
        dial_recall: tone(-100, &[two(350, 440, 0)]),
        ringback: tone(-160, &[two(400, 450, 400), off(200), two(400, 450, 400), off(2_000)]),
        busy: tone(-160, &[on(400, 375), off(375)]),
        congestion: tone(-160, &[quieter(on(400, 400), 6), off(350), on(400, 225), off(525)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[on(400, 100), off(4_000)]),
        confirmation: tone(
            -130,
            &[
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(off(0)),
            ],
        ),
        special_information: tone(
            -130,
            &[on(950, 330), off(15), on(1_400, 330), off(15), on(1_800, 330), off(1_000)],
        ),
    },
    ringing: Ringing { frequency: 25, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::V23,
        delivery: Delivery::AfterReversalAndAlert,
        detail: Detail::NumberAndName,
    },
    // SIN 351 has 50 to 120 ms; the rest is for telephones from elsewhere.
    hook: hook(50, 300, 400),
    emergency: &[
        emergency("999", "police, fire, ambulance, coastguard"),
        emergency("112", "police, fire, ambulance, coastguard"),
        emergency("18000", "emergency text relay"),
    ],
    dialling: Dialling {
        country_code: "44",
        international_prefix: "00",
        trunk_prefix: "0",
        most_national_digits: 10,
    },
    reversal_on_answer: false,
    law: Law::A,
};
