//! Japan.
//!
//! NTT, Technical Reference of Telephone Service Interfaces (tones, 16 Hz ringing, caller id); Telecommunications Numbering Plan
//! (110, 118, 119).

use super::{HOWLER, SPECIAL_INFORMATION, distinctive, emergency, hook, modulated, off, on, once, tone};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[1_000, 2_000];

pub(crate) const JP: Country = Country {
    code: "JP",
    name: "Japan",
    tones: Tones {
        dial: tone(-130, &[on(400, 0)]),
        stutter: tone(
            -130,
            &[
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                once(on(400, 100)),
                once(off(100)),
                on(400, 0),
            ],
        ),
        dial_recall: tone(-130, &[on(400, 125), off(125)]),
        ringback: tone(-130, &[modulated(400, 16, 1_000), off(2_000)]),
        busy: tone(-130, &[on(400, 500), off(500)]),
        congestion: tone(-130, &[on(400, 500), off(500)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[modulated(400, 16, 500), off(8_000)]),
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
        special_information: SPECIAL_INFORMATION,
    },
    ringing: Ringing { frequency: 16, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Ntt,
        delivery: Delivery::AfterLoopClosed,
        detail: Detail::NumberAndName,
    },
    hook: hook(200, 1000, 1200),
    emergency: &[
        emergency("110", "police"),
        emergency("119", "fire, ambulance"),
        emergency("118", "coast guard"),
    ],
    dialling: Dialling {
        country_code: "81",
        international_prefix: "010",
        trunk_prefix: "0",
        most_national_digits: 10,
    },
    reversal_on_answer: true,
    law: Law::Mu,
};
