//! Taiwan.
//!
//! NCC PSTN01 (tones, 20 Hz ringing, caller id by FSK; older lines by DTMF: a choice per line); NCC numbering plan (110, 113, 118,
//! 119). 112 reaches help from mobiles only.

use super::{HOWLER, SPECIAL_INFORMATION, distinctive, emergency, hook, off, once, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[1_000, 2_000];

pub(crate) const TW: Country = Country {
    code: "TW",
    name: "Taiwan",
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
        ringback: tone(-160, &[two(440, 480, 1_000), off(2_000)]),
        busy: tone(-210, &[two(480, 620, 500), off(500)]),
        congestion: tone(-210, &[two(480, 620, 250), off(250)]),
        howler: HOWLER,
        call_waiting: tone(-130, &[two(350, 440, 250), off(250), two(350, 440, 250), off(3_250)]),
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
        special_information: SPECIAL_INFORMATION,
    },
    ringing: Ringing { frequency: 20, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(200, 1000, 1200),
    emergency: &[
        emergency("110", "police"),
        emergency("119", "fire, ambulance"),
        emergency("118", "coast guard"),
        emergency("113", "violence at home, children in danger"),
    ],
    dialling: Dialling {
        country_code: "886",
        international_prefix: "002",
        trunk_prefix: "0",
        most_national_digits: 9,
    },
    reversal_on_answer: false,
    law: Law::Mu,
};
