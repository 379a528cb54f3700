//! France.
//!
//! France Telecom STI 1 (tones, ringing, flash), ETSI EN 300 659-1 (caller id); ARCEP's list of emergency numbers (decision
//! 2018-0881).

use super::{HOWLER, distinctive, emergency, hook, off, on, once, tone, two};
use crate::Country;
use crate::caller_id::{Delivery, Detail, Modulation, Standard};
use crate::country::{Dialling, Law, Ringing, Tones};

const RING: &[u16] = &[1_500, 3_500];

pub(crate) const FR: Country = Country {
    code: "FR",
    name: "France",
    tones: Tones {
        dial: tone(-100, &[on(440, 0)]),
        stutter: tone(-100, &[two(330, 440, 0)]),
        dial_recall: tone(-100, &[two(330, 440, 0)]),
        ringback: tone(-100, &[on(440, 1_500), off(3_500)]),
        busy: tone(-100, &[on(440, 500), off(500)]),
        congestion: tone(-100, &[on(440, 250), off(250)]),
        howler: HOWLER,
        call_waiting: tone(-160, &[on(440, 300), off(10_000)]),
        confirmation: tone(
            -100,
            &[
                once(on(440, 100)),
                once(off(100)),
                once(on(440, 100)),
                once(off(100)),
                once(on(440, 100)),
                once(off(100)),
                once(off(0)),
            ],
        ),
        special_information: tone(
            -130,
            &[on(950, 300), off(30), on(1_400, 300), off(30), on(1_800, 300), off(1_000)],
        ),
    },
    ringing: Ringing { frequency: 50, normal: RING, distinctive: distinctive(RING) },
    caller_id: Standard {
        modulation: Modulation::V23,
        delivery: Delivery::AfterFirstRing,
        detail: Detail::NumberAndName,
    },
    hook: hook(180, 350, 500),
    emergency: &[
        emergency("112", "all services"),
        emergency("15", "ambulance (SAMU)"),
        emergency("17", "police, gendarmerie"),
        emergency("18", "fire"),
        emergency("114", "for the deaf and hard of hearing"),
        emergency("115", "people without shelter"),
        emergency("119", "children in danger"),
        emergency("191", "aircraft in distress"),
        emergency("196", "distress at sea"),
        emergency("197", "abductions and attacks"),
        emergency("116000", "missing children"),
    ],
    dialling: Dialling {
        country_code: "33",
        international_prefix: "00",
        trunk_prefix: "0",
        most_national_digits: 9,
    },
    reversal_on_answer: false,
    law: Law::A,
};
