//! Our tones, measured by numpy's Fourier transform, against libtonezone's table.

use std::collections::HashMap;
use std::path::Path;

use dialtone_oracles::harness::{bytes, compile, folder, pipe_text, source};
use dialtone_phone::calls::RingPattern;
use dialtone_phone::tone::Tone;
use dialtone_phone::{Country, TonePlayer};
use dialtone_signal::Rate;

/// libtonezone's numbers of the tones we have too.
const TONES: [(u32, Tone); 8] = [
    (0, Tone::Dial),
    (1, Tone::Busy),
    (2, Tone::Ringback),
    (3, Tone::Congestion),
    (4, Tone::CallWaiting),
    (5, Tone::DialRecall),
    (7, Tone::SpecialInformation),
    (10, Tone::Stutter),
];

/// Where we differ on purpose; tests/oracles/README.md says why.
const DIFFERENT: [(&str, Tone); 12] = [
    ("AU", Tone::Dial),
    ("AU", Tone::DialRecall),
    ("AU", Tone::CallWaiting),
    ("CN", Tone::DialRecall),
    ("CN", Tone::Stutter),
    ("FR", Tone::DialRecall),
    ("FR", Tone::Stutter),
    ("FR", Tone::SpecialInformation),
    ("JP", Tone::CallWaiting),
    ("JP", Tone::Ringback),
    ("JP", Tone::DialRecall),
    ("TW", Tone::DialRecall),
];

/// A part of libtonezone's cadence: frequencies (with side bands where one modulates the other) and milliseconds.
struct Part {
    hertz: Vec<f64>,
    millis: f64,
}

/// `!350+440/100,!0/100,425*24` and the like. "@" after a frequency is a word about its level.
fn parse(cadence: &str) -> Vec<Part> {
    let parts = cadence.split(',').map(|part| {
        let part = part.trim_start_matches('!');
        let (sound, millis) = part.split_once('/').unwrap_or((part, "1000"));
        let sound = sound.trim_end_matches('@');
        let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{cadence}: {text}"));
        let hertz = if let Some((carrier, by)) = sound.split_once('*') {
            let (carrier, by) = (number(carrier), number(by));
            vec![carrier - by, carrier, carrier + by]
        } else {
            sound.split('+').map(number).filter(|hertz| *hertz > 0.0).collect()
        };
        Part { hertz, millis: number(millis) }
    });
    parts.collect()
}

/// libtonezone's table: country and tone to cadence, "ring" to the ring cadence.
fn table() -> HashMap<(String, String), String> {
    let program = compile("tonezone", &["tonezone", "m"]);
    let countries: Vec<String> = Country::ALL.iter().map(|country| zone(country.code)).collect();
    let arguments: Vec<&str> = countries.iter().map(String::as_str).collect();
    let text = pipe_text(&program, &arguments, &[]);
    let mut table = HashMap::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        table.insert((word(), word()), word());
    }
    table
}

/// libtonezone names Great Britain otherwise.
fn zone(code: &str) -> String {
    if code == "GB" { "uk".into() } else { code.to_ascii_lowercase() }
}

/// A tone that is compared: what it should be, and which windows of it are measured.
struct Case {
    name: String,
    listed: bool,
    parts: Vec<Part>,
    windows: String,
}

/// Plays a tone into a file and says which windows to measure: all of each part but what fading takes.
fn case(country: &'static Country, tone: Tone, rate: Rate, cadence: &str, path: &Path) -> Case {
    let parts = parse(cadence);
    let total: f64 = parts.iter().map(|part| part.millis).sum();
    let mut player = TonePlayer::new(country, rate);
    player.play(tone);
    let mut samples = vec![0; (total.min(LONGEST) as u32 * rate.per_milli()) as usize];
    player.fill(&mut samples);
    std::fs::write(path, bytes(&samples)).expect("the folder is ours");
    let (mut windows, mut kept, mut at) = (String::new(), Vec::new(), 0.0);
    for part in parts {
        let end = at + part.millis;
        // Shorter than that it is swallowed by fading.
        if end <= LONGEST && part.millis > 18.0 {
            let (from, to) = (at + 5.0, end - 5.0);
            windows.push_str(&format!("{} {from} {to} {}\n", rate.hertz(), path.display()));
            kept.push(part);
        }
        at = end;
    }
    let listed = DIFFERENT.contains(&(country.code, tone));
    Case { name: format!("{} {tone:?} {cadence}", country.code), listed, parts: kept, windows }
}

/// What of a part is not as the table says; `None` when all of it is.
fn fault(part: &Part, measured: &str) -> Option<String> {
    let mut numbers =
        measured.split(' ').map(|word| word.parse::<f64>().expect("spectrum.py prints numbers"));
    let quietest = numbers.next().expect("a level");
    let loudest = numbers.next().expect("a level");
    let heard: Vec<f64> = numbers.collect();
    let as_loud = if part.hertz.is_empty() { loudest < -60.0 } else { quietest > -60.0 };
    if !as_loud {
        return Some(format!("{quietest} to {loudest} dBm0"));
    }
    // Frequencies closer than the window can tell apart make one peak.
    let apart = 4_000.0 / part.millis;
    if part.hertz.windows(2).any(|pair| (pair[0] - pair[1]).abs() < apart) {
        return None;
    }
    let near = |one: &f64, all: &[f64]| all.iter().any(|other| (one - other).abs() < 1.0 + apart / 16.0);
    let known =
        heard.iter().all(|one| near(one, &part.hertz)) && part.hertz.iter().all(|one| near(one, &heard));
    (!known).then(|| format!("{heard:?} Hz instead of {:?}", part.hertz))
}

/// Milliseconds of a tone that are compared.
const LONGEST: f64 = 20_000.0;

#[test]
fn tones_are_libtonezones_but_where_we_say_so() {
    let (table, folder) = (table(), folder());
    let mut cases = Vec::new();
    for country in Country::ALL {
        for (number, tone) in TONES {
            let Some(cadence) = table.get(&(zone(country.code), number.to_string())) else { continue };
            for rate in [Rate::Narrow, Rate::Wide] {
                let path = folder.join(format!("{}.raw", cases.len()));
                cases.push(case(country, tone, rate, cadence, &path));
            }
        }
    }
    let windows: String = cases.iter().map(|case| case.windows.as_str()).collect();
    let script = source("spectrum.py").display().to_string();
    let measured = pipe_text(Path::new("python3"), &[&script], windows.as_bytes());
    let mut lines = measured.lines();
    let (mut same, mut faults) = (0, Vec::new());
    for case in &cases {
        let mut found =
            case.parts.iter().map(|part| fault(part, lines.next().expect("a line for each window")));
        // All lines of the case are taken, whatever they say.
        let all: Vec<Option<String>> = found.by_ref().collect();
        match (all.into_iter().flatten().next(), case.listed) {
            (None, false) => same += 1,
            (Some(_), true) => {}
            (None, true) => faults.push(format!("{}: is listed and does not differ", case.name)),
            (Some(fault), false) => faults.push(format!("{}: {fault}", case.name)),
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder is ours");
    println!("{same} of {} tones as in libtonezone (each at two rates)", cases.len());
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(same > 100);
}

#[test]
fn ringing_is_libtonezones_but_in_taiwan() {
    let table = table();
    for country in Country::ALL {
        let Some(cadence) = table.get(&(zone(country.code), "ring".into())) else {
            // It has no Hong Kong.
            assert_eq!(country.code, "HK");
            continue;
        };
        let cadence: Vec<u16> = cadence.split(' ').filter_map(|word| word.parse().ok()).collect();
        let ours = country.ringing.cadence(RingPattern(0));
        assert_eq!(ours == cadence, country.code != "TW", "{}: {ours:?} {cadence:?}", country.code);
    }
}
