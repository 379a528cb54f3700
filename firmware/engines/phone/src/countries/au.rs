//! Australia.
//!
//! AS/CA S002 (tones, ringing, flash, caller id); Telecommunications Numbering Plan 2015 (000, 106, 112).

use super::{HOWLER, distinctive, emergency, hook, off, on, once, quieter, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[400, 200, 400, 2_000];

pub(crate) const AU: Country = Country {
    code: "AU",
    name: "Australia",
    tones: Tones {
        dial: tone(-100, &[two(413, 438, 0)]),
        stutter: tone(-100, &[two(413, 438, 100), off(40)]),
        dial_recall: tone(-100, &[two(413, 438, 0)]),
        ringback: tone(-130, &[two(413, 438, 400), off(200), two(413, 438, 400), off(2_000)]),
        busy: tone(-130, &[on(425, 375), off(375)]),
        congestion: tone(-130, &[on(425, 375), off(375), quieter(on(425, 375), 10), off(375)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[on(425, 200), off(200), on(425, 200), off(4_400)]),
        confirmation: tone(
            -130,
            &[
                once(on(425, 100)),
                once(off(100)),
                once(on(425, 100)),
                once(off(100)),
                once(on(425, 100)),
                once(off(100)),
                once(off(0)),
            ],
        ),
        special_information: tone(-130, &[on(425, 2_500), off(500)]),
    },
    ringing: Ringing { frequency: 25, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(60, 300, 400),
    emergency: &[
        emergency("000", "police, fire, ambulance"),
        emergency("112", "police, fire, ambulance"),
        emergency("106", "emergency text relay"),
    ],
    dialling: Dialling {
        country_code: "61",
        international_prefix: "0011",
        trunk_prefix: "0",
        most_national_digits: 9,
    },
    reversal_on_answer: false,
    law: Law::A,
};
