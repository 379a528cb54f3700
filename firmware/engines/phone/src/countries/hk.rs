//! Hong Kong.
//!
//! HKTA 2011 (tones, ringing, caller id); Numbering Plan of the Communications Authority (999, 992). 112 reaches help from mobiles
//! only.

use super::{HOWLER, SPECIAL_INFORMATION, distinctive, emergency, hook, off, on, once, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[400, 200, 400, 3_000];

pub(crate) const HK: Country = Country {
    code: "HK",
    name: "Hong Kong",
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
        ringback: tone(-160, &[two(440, 480, 400), off(200), two(440, 480, 400), off(3_000)]),
        busy: tone(-210, &[two(480, 620, 500), off(500)]),
        congestion: tone(-210, &[two(480, 620, 250), off(250)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[on(440, 300), off(10_000)]),
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
    ringing: Ringing { frequency: 25, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(200, 1000, 1200),
    emergency: &[
        emergency("999", "police, fire, ambulance"),
        emergency("992", "for the deaf and hard of hearing"),
    ],
    dialling: Dialling {
        country_code: "852",
        international_prefix: "001",
        trunk_prefix: "",
        most_national_digits: 8,
    },
    reversal_on_answer: false,
    law: Law::Mu,
};
