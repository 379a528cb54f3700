//! Lengths and keys; the messages themselves are decoded by others in `tests/oracles`.

extern crate std;
use std::string::String;

use dialtone_base::telephony::{Party, Presentation};
use dialtone_signal::Rate;
use dialtone_signal::dtmf::{Detector, Event};

use super::Transmission;
use crate::Country;
use crate::caller_id::{Delivery, Detail, DtmfFormat, Modulation, Standard};

fn standard(modulation: Modulation, delivery: Delivery) -> Standard {
    Standard { modulation, delivery, detail: Detail::NumberAndName }
}

fn keys_heard(mut transmission: Transmission, rate: Rate) -> String {
    let mut detector = Detector::new(rate);
    let mut heard = String::new();
    let mut frame = [0; 160];
    let frame = &mut frame[..rate.frame()];
    let mut more = true;
    while more {
        more = transmission.fill(frame);
        detector.listen(frame, |event| {
            if let Event::Begin { key, .. } = event {
                heard.push(key.as_char());
            }
        });
    }
    heard
}

#[test]
fn keys_frame_the_number_as_each_country_wants() {
    let cases = [
        (DtmfFormat::DC, Presentation::Allowed, "D0214455C"),
        (DtmfFormat::DC, Presentation::Withheld, ""),
        (DtmfFormat::AHash, Presentation::Allowed, "A0214455#"),
        (DtmfFormat::AHash, Presentation::Withheld, "D1#"),
        (DtmfFormat::AHash, Presentation::Unavailable, "D3#"),
        (DtmfFormat::AC, Presentation::Allowed, "A0214455C"),
        (DtmfFormat::AC, Presentation::Withheld, "B10C"),
        (DtmfFormat::AC, Presentation::Unavailable, "B00C"),
    ];
    for (format, presentation, keys) in cases {
        for rate in [Rate::Narrow, Rate::Wide] {
            let party = Party { number: "021 44-55".into(), name: "Mum".into(), presentation };
            let standard = standard(Modulation::Dtmf(format), Delivery::AfterReversal);
            let transmission = Transmission::caller(standard, rate, &party, None);
            assert_eq!(transmission.duration().as_millis(), keys.len() as u64 * 140);
            assert_eq!(keys_heard(transmission, rate), keys);
        }
    }
}

#[test]
fn it_lasts_as_long_as_it_says() {
    let party = Party {
        number: "12345678901234567890".into(),
        name: "x".repeat(60).as_str().into(),
        ..Party::default()
    };
    for country in Country::ALL {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut transmission = Transmission::caller(country.caller_id, rate, &party, None);
            let duration = transmission.duration().as_millis();
            let mut frames = 1_u64;
            while transmission.fill(&mut [0; 160][..rate.frame()]) {
                frames += 1;
            }
            assert!((frames * 10).abs_diff(duration) <= 10, "{} {duration} ms", country.code);
            // It must fit between two rings.
            assert!(duration < 1_400, "{} {duration} ms", country.code);
        }
    }
}

#[test]
fn the_message_lamp_has_no_keys() {
    let keys = standard(Modulation::Dtmf(DtmfFormat::DC), Delivery::AfterReversal);
    assert_eq!(Transmission::message_waiting(keys, Rate::Narrow, true).duration().as_millis(), 0);
    let fsk = standard(Modulation::Bell202, Delivery::AfterFirstRing);
    assert!(Transmission::message_waiting(fsk, Rate::Narrow, true).duration().as_millis() > 400);
}
