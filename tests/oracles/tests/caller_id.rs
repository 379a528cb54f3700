//! Our caller id, decoded by libspandsp and by minimodem.

use std::path::{Path, PathBuf};

use dialtone_base::telephony::{Key, Party, Presentation};
use dialtone_oracles::harness::{bytes, compile, folder, pipe, pipe_text};
use dialtone_oracles::wav::Sound;
use dialtone_phone::Country;
use dialtone_phone::caller_id::{
    CallWaiting, Delivery, Detail, DtmfFormat, LocalTime, Message, Modulation, Standard, Transmission,
};
use dialtone_signal::{Goertzel, Rate, level};

const TIME: LocalTime = LocalTime { month: 11, day: 22, hour: 15, minute: 7 };

/// spandsp's numbers of the standards, from adsi.h.
const CLASS: &str = "1";
const CLIP: &str = "2";
const ACLIP: &str = "3";
const JCLIP: &str = "4";
const CLIP_DTMF: &str = "5";

fn party() -> Party {
    Party { number: "03012345678".into(), name: "Jörg Müller".into(), ..Party::default() }
}

fn fsk(modulation: Modulation, delivery: Delivery, detail: Detail) -> Standard {
    Standard { modulation, delivery, detail }
}

/// All of it with silence around.
fn sound(mut transmission: Transmission, rate: Rate) -> Vec<i16> {
    let mut samples = vec![0; rate.frame() * 20];
    let mut frame = vec![0; rate.frame()];
    let mut more = true;
    while more {
        more = transmission.fill(&mut frame);
        samples.extend(&frame);
    }
    samples.extend(vec![0; rate.frame() * 30]);
    samples
}

/// As the network's other end of a copper pair hears it: quieter, with noise.
fn worn(samples: &[i16], decibels: f32, noise: f32) -> Vec<i16> {
    let gain = 10_f32.powf(-decibels / 20.0);
    let noise = level::amplitude(noise);
    let mut random = 1_u32;
    let worn = samples.iter().map(|sample| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        level::sample(f32::from(*sample) * gain + (random as f32 / 2_147_483_648.0 - 1.0) * noise)
    });
    worn.collect()
}

fn spandsp() -> PathBuf {
    compile("spandsp", &["spandsp", "m"])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// spandsp hands over a message without its checksum.
fn without_checksum(message: &Message) -> String {
    hexadecimal(message.bytes().split_last().expect("a message has a checksum").1)
}

#[test]
fn spandsp_decodes_every_fsk_standard_in_every_wording() {
    let spandsp = spandsp();
    let standards = [
        (Modulation::Bell202, Delivery::AfterFirstRing, CLASS),
        (Modulation::Bell202, Delivery::AfterFirstRing, ACLIP),
        (Modulation::V23, Delivery::AfterFirstRing, CLIP),
        (Modulation::V23, Delivery::AfterReversalAndAlert, CLIP),
    ];
    let mut decoded = 0;
    for (modulation, delivery, name) in standards {
        for detail in [Detail::Number, Detail::NumberAndName] {
            for presentation in [Presentation::Allowed, Presentation::Withheld, Presentation::Unavailable] {
                for time in [Some(TIME), None] {
                    let standard = fsk(modulation, delivery, detail);
                    let party = Party { presentation, ..party() };
                    let message = Message::caller(standard, &party, time);
                    let clean =
                        sound(Transmission::caller(standard, Rate::Narrow, &party, time), Rate::Narrow);
                    for (loss, noise) in [(0.0, -90.0), (6.0, -50.0), (15.0, -60.0)] {
                        let heard = pipe_text(&spandsp, &["adsi", name], &bytes(&worn(&clean, loss, noise)));
                        let wanted = without_checksum(&message);
                        assert_eq!(heard, wanted, "{standard:?} {presentation:?} −{loss} dB");
                        decoded += 1;
                    }
                }
            }
        }
    }
    println!("spandsp decoded {decoded} of {decoded} FSK messages");
}

#[test]
fn spandsp_decodes_the_message_sent_into_a_call() {
    let spandsp = spandsp();
    for (code, name) in [("US", CLASS), ("CN", CLASS), ("GB", CLIP), ("DE", CLIP), ("AU", CLASS)] {
        let country = Country::find(code).expect("one of ours");
        let mut waiting =
            CallWaiting::new(country, country.caller_id, Rate::Narrow, Some(&party()), Some(TIME));
        let (mut samples, mut alerted) = (Vec::new(), false);
        loop {
            let mut frame = [0; 80];
            let more = waiting.fill(&mut frame);
            // The telephone answers when the alerting tone is over.
            let mut high = Goertzel::new(2_750.0, Rate::Narrow);
            high.extend(&frame);
            if alerted && high.level() < -40.0 {
                waiting.heard(Key::from_char('D').expect("a key"));
                alerted = false;
            }
            alerted |= high.level() > -17.0
                && level::of(&frame) > -13.5
                && waiting.cuts_voice()
                && samples.len() < 24_000;
            samples.extend(frame);
            if !more {
                break;
            }
        }
        samples.extend([0; 800]);
        let heard = pipe_text(&spandsp, &["adsi", name], &bytes(&samples));
        let message = Message::caller(country.caller_id, &party(), Some(TIME));
        assert_eq!(heard, without_checksum(&message), "{code}");
    }
}

#[test]
fn spandsp_decodes_the_message_lamp() {
    let spandsp = spandsp();
    for (modulation, name) in [(Modulation::Bell202, CLASS), (Modulation::V23, CLIP)] {
        for waiting in [true, false] {
            let standard = fsk(modulation, Delivery::AfterFirstRing, Detail::NumberAndName);
            let lamp = Transmission::message_waiting(standard, Rate::Narrow, waiting);
            let heard = pipe_text(&spandsp, &["adsi", name], &bytes(&sound(lamp, Rate::Narrow)));
            assert_eq!(heard, without_checksum(&Message::message_waiting(standard, waiting)));
        }
    }
}

#[test]
fn spandsp_decodes_the_frames_of_ntt() {
    let spandsp = spandsp();
    let standard = fsk(Modulation::Ntt, Delivery::AfterLoopClosed, Detail::Number);
    for (presentation, wanted) in [
        (Presentation::Allowed, "020b3033303132333435363738"),
        (Presentation::Withheld, "040150"),
        (Presentation::Unavailable, "04014f"),
    ] {
        let party = Party { presentation, ..party() };
        let transmission = Transmission::caller(standard, Rate::Narrow, &party, None);
        let heard = pipe_text(&spandsp, &["adsi", JCLIP], &bytes(&sound(transmission, Rate::Narrow)));
        assert!(heard.contains(wanted), "{presentation:?}: {heard}");
    }
}

#[test]
fn spandsp_hears_the_keys_of_numbers_told_by_keys() {
    let spandsp = spandsp();
    for (format, keys) in [
        (DtmfFormat::DC, "D03012345678C"),
        (DtmfFormat::AHash, "A03012345678#"),
        (DtmfFormat::AC, "A03012345678C"),
    ] {
        let standard = fsk(Modulation::Dtmf(format), Delivery::AfterReversal, Detail::Number);
        let transmission = Transmission::caller(standard, Rate::Narrow, &party(), None);
        let samples = bytes(&sound(transmission, Rate::Narrow));
        assert_eq!(pipe_text(&spandsp, &["dtmf"], &samples), keys);
        if format != DtmfFormat::DC {
            let message = pipe_text(&spandsp, &["adsi", CLIP_DTMF], &samples);
            assert_eq!(message, hexadecimal(keys.as_bytes()), "{format:?}");
        }
    }
}

#[test]
fn minimodem_shows_american_numbers_as_a_display_does() {
    let folder = folder();
    for rate in [Rate::Narrow, Rate::Wide] {
        for detail in [Detail::Number, Detail::NumberAndName] {
            let standard = fsk(Modulation::Bell202, Delivery::AfterFirstRing, detail);
            let samples = sound(Transmission::caller(standard, rate, &party(), Some(TIME)), rate);
            let path = folder.join("caller.wav");
            Sound { rate: rate.hertz(), samples }.write(&path).expect("the folder is ours");
            let file = path.display().to_string();
            let shown = pipe_text(Path::new("minimodem"), &["--rx", "callerid", "-f", &file], &[]);
            assert!(shown.contains("11/22") && shown.contains("15:07"), "{rate:?}: {shown}");
            assert!(shown.contains("3012345678"), "{rate:?}: {shown}");
            if detail == Detail::NumberAndName {
                assert!(shown.contains("Jorg Muller"), "{rate:?}: {shown}");
            }
        }
    }
}

#[test]
fn minimodem_reads_the_bytes_of_every_country_that_uses_fsk() {
    let folder = folder();
    for country in Country::ALL {
        let (mark, space) = match country.caller_id.modulation {
            Modulation::Bell202 => ("1200", "2200"),
            Modulation::V23 | Modulation::Ntt => ("1300", "2100"),
            Modulation::Dtmf(_) => continue,
        };
        for rate in [Rate::Narrow, Rate::Wide] {
            let standard = country.caller_id;
            let samples = sound(Transmission::caller(standard, rate, &party(), Some(TIME)), rate);
            let path = folder.join("country.wav");
            Sound { rate: rate.hertz(), samples }.write(&path).expect("the folder is ours");
            let file = path.display().to_string();
            let arguments = [
                "--rx",
                "--quiet",
                "--startbits",
                "1",
                "-8",
                "--mark",
                mark,
                "--space",
                space,
                "1200",
                "-f",
                &file,
            ];
            let heard = pipe(Path::new("minimodem"), &arguments, &[]);
            let message = Message::caller(standard, &party(), Some(TIME));
            let found = heard.windows(message.bytes().len()).any(|part| part == message.bytes());
            assert!(found, "{} {rate:?}: {}", country.code, hexadecimal(&heard));
        }
    }
}
