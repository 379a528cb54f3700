//! China.
//!
//! GB/T 3380 and YDN 065 (tones: 450 Hz; ringing 25 Hz), YD/T 1277 (caller id by FSK; many lines use DTMF: a choice per line);
//! numbering plan of the Ministry (110, 119, 120, 122). 112 is the fault desk, no emergency number, on fixed lines.

use super::{distinctive, emergency, hook, off, on, once, tone};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[1_000, 4_000];

pub(crate) const CN: Country = Country {
    code: "CN",
    name: "China",
    tones: Tones {
        dial: tone(-100, &[on(450, 0)]),
        stutter: tone(-100, &[on(450, 400), off(40)]),
        dial_recall: tone(-100, &[on(450, 400), off(40)]),
        ringback: tone(-100, &[on(450, 1_000), off(4_000)]),
        busy: tone(-100, &[on(450, 350), off(350)]),
        congestion: tone(-100, &[on(450, 700), off(700)]),
        howler: tone(-30, &[on(950, 0)]),
        call_waiting: tone(-200, &[on(450, 400), off(4_000)]),
        confirmation: tone(
            -100,
            &[
                once(on(450, 100)),
                once(off(100)),
                once(on(450, 100)),
                once(off(100)),
                once(on(450, 100)),
                once(off(100)),
                once(off(0)),
            ],
        ),
        special_information: tone(
            -100,
            &[on(450, 100), off(100), on(450, 100), off(100), on(450, 100), off(100), on(450, 400), off(400)],
        ),
    },
    ringing: Ringing { frequency: 25, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::Bell202,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(80, 700, 900),
    emergency: &[
        emergency("110", "police"),
        emergency("119", "fire"),
        emergency("120", "ambulance"),
        emergency("122", "traffic accidents"),
    ],
    dialling: Dialling {
        country_code: "86",
        international_prefix: "00",
        trunk_prefix: "0",
        most_national_digits: 11,
    },
    reversal_on_answer: true,
    law: Law::A,
};
