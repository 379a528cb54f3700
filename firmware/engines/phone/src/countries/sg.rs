//! Singapore.
//!
//! IMDA TS PSTN 1 (tones, 24 Hz ringing, caller id); National Numbering Plan (995, 999). 112 and 911 reach help from mobiles only.

use super::{HOWLER, SPECIAL_INFORMATION, distinctive, emergency, hook, modulated, off, on, once, tone};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[400, 200, 400, 2_000];

pub(crate) const SG: Country = Country {
    code: "SG",
    name: "Singapore",
    tones: Tones {
        dial: tone(-100, &[on(425, 0)]),
        stutter: tone(
            -100,
            &[
                once(on(425, 200)),
                once(off(200)),
                once(on(425, 600)),
                once(off(200)),
                once(on(425, 200)),
                once(off(200)),
                once(on(425, 600)),
                once(off(200)),
                once(on(425, 200)),
                once(off(200)),
                once(on(425, 600)),
                once(off(200)),
                once(on(425, 200)),
                once(off(200)),
                once(on(425, 600)),
                once(off(200)),
                on(425, 0),
            ],
        ),
        dial_recall: tone(-100, &[modulated(425, 24, 500), off(500), on(425, 500), off(2_500)]),
        ringback: tone(-100, &[modulated(425, 24, 400), off(200), modulated(425, 24, 400), off(2_000)]),
        busy: tone(-100, &[on(425, 750), off(750)]),
        congestion: tone(-100, &[on(425, 250), off(250)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[modulated(425, 24, 300), off(200), modulated(425, 24, 300), off(3_200)]),
        confirmation: tone(
            -100,
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
        special_information: SPECIAL_INFORMATION,
    },
    ringing: Ringing { frequency: 24, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(80, 700, 900),
    emergency: &[emergency("999", "police"), emergency("995", "fire, ambulance")],
    dialling: Dialling {
        country_code: "65",
        international_prefix: "001",
        trunk_prefix: "",
        most_national_digits: 8,
    },
    reversal_on_answer: false,
    law: Law::A,
};
