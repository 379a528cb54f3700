//! Germany.
//!
//! 1 TR 110-1 (tones, ringing, flash), ETSI EN 300 659-1 and -2 (caller id); §164 TKG (110, 112).

use super::{HOWLER, SPECIAL_INFORMATION, distinctive, emergency, hook, off, on, once, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[1_000, 4_000];

pub(crate) const DE: Country = Country {
    code: "DE",
    name: "Germany",
    tones: Tones {
        dial: tone(-100, &[on(425, 0)]),
        stutter: tone(-100, &[two(425, 400, 0)]),
        dial_recall: tone(
            -100,
            &[
                once(on(425, 100)),
                once(off(100)),
                once(on(425, 100)),
                once(off(100)),
                once(on(425, 100)),
                once(off(100)),
                on(425, 0),
            ],
        ),
        ringback: tone(-100, &[on(425, 1_000), off(4_000)]),
        busy: tone(-100, &[on(425, 480), off(480)]),
        congestion: tone(-100, &[on(425, 240), off(240)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[on(425, 200), off(200), on(425, 200), off(5_000)]),
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
    ringing: Ringing { frequency: 25, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::V23,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(80, 310, 500),
    emergency: &[emergency("112", "fire, ambulance"), emergency("110", "police")],
    dialling: Dialling {
        country_code: "49",
        international_prefix: "00",
        trunk_prefix: "0",
        most_national_digits: 11,
    },
    reversal_on_answer: false,
    law: Law::A,
};
