//! Keys: ours heard by multimon-ng and libspandsp, libspandsp's heard by us, and figures of the detector.

use std::path::Path;

use dialtone_base::telephony::Key;
use dialtone_oracles::harness::{bytes, compile, folder, pipe, pipe_text, samples};
use dialtone_oracles::wav::Sound;
use dialtone_signal::dtmf::{Detector, Event, Generator, frequencies};
use dialtone_signal::{DualTone, Rate};

const ALL: &str = "0123456789*#ABCD";

/// Keys with pauses between.
fn pressed(keys: &str, rate: Rate, on: u32, off: u32) -> Vec<i16> {
    let mut generator = Generator::new(rate);
    let mut out = vec![0; (100 * rate.per_milli()) as usize];
    for key in keys.chars().filter_map(Key::from_char) {
        generator.start(key, Some(on));
        let mut part = vec![0; ((on + off) * rate.per_milli()) as usize];
        generator.fill(&mut part);
        out.extend(part);
    }
    out.extend(vec![0; (100 * rate.per_milli()) as usize]);
    out
}

fn heard(samples: &[i16], rate: Rate) -> String {
    let mut detector = Detector::new(rate);
    let mut keys = String::new();
    for frame in samples.chunks(rate.frame()) {
        detector.listen(frame, |event| {
            if let Event::Begin { key, .. } = event {
                keys.push(key.as_char());
            }
        });
    }
    keys
}

#[test]
fn spandsp_hears_our_keys() {
    let spandsp = compile("spandsp", &["spandsp", "m"]);
    let keys = ALL.repeat(5);
    for (on, off) in [(50, 50), (70, 70), (100, 100), (55, 45)] {
        let samples = bytes(&pressed(&keys, Rate::Narrow, on, off));
        assert_eq!(pipe_text(&spandsp, &["dtmf"], &samples), keys, "{on}/{off} ms");
    }
}

#[test]
fn multimon_hears_our_keys_at_both_rates() {
    let folder = folder();
    for rate in [Rate::Narrow, Rate::Wide] {
        let sound = Sound { rate: rate.hertz(), samples: pressed(ALL, rate, 100, 100) }.resampled(22_050);
        let path = folder.join("keys.raw");
        std::fs::write(&path, bytes(&sound.samples)).expect("the folder is ours");
        let file = path.display().to_string();
        let text = pipe_text(Path::new("multimon-ng"), &["-q", "-a", "DTMF", "-t", "raw", &file], &[]);
        let keys: String = text.lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect();
        assert_eq!(keys, ALL, "{rate:?}");
    }
}

#[test]
fn we_hear_spandsps_keys_at_every_level_twist_and_speed() {
    let spandsp = compile("spandsp", &["spandsp", "m"]);
    let mut count = 0;
    for (on, off) in [("40", "40"), ("50", "50"), ("70", "70"), ("200", "40")] {
        for level in [-3, -10, -20, -25] {
            for twist in [0, 4, -8] {
                let (row, column) = (level, level + twist);
                if !(-25..=-3).contains(&column) {
                    // Below what Q.24 asks for, or together beyond full scale.
                    continue;
                }
                let (level, twist) = (row.to_string(), twist.to_string());
                let tones = pipe(&spandsp, &["press", ALL, on, off, &level, &twist], &[]);
                let mut samples = samples(&tones);
                samples.extend([0; 800]);
                let setting = format!("{on}/{off} ms, {level} dBm0, twist {twist}");
                assert_eq!(heard(&samples, Rate::Narrow), ALL, "{setting}");
                count += ALL.len();
            }
        }
    }
    println!("heard {count} of {count} keys of spandsp");
}

#[test]
fn what_leaks_of_a_hidden_key_is_heard_by_nobody() {
    let spandsp = compile("spandsp", &["spandsp", "m"]);
    let keys = ALL.repeat(4);
    let mut samples = pressed(&keys, Rate::Narrow, 100, 83);
    let mut detector = Detector::new(Rate::Narrow);
    let (mut leaked, mut longest) = (0, 0);
    let mut run = 0;
    for frame in samples.chunks_mut(80) {
        detector.listen(frame, |_| {});
        if detector.hides() {
            frame.fill(0);
        }
        let sounding = frame.iter().filter(|sample| sample.abs() > 300).count();
        leaked += sounding;
        run = if sounding > 0 { run + sounding } else { 0 };
        longest = longest.max(run);
    }
    println!("leaked at most {} ms of a key, {} on average", longest / 8, leaked / 8 / keys.len());
    assert_eq!(pipe_text(&spandsp, &["dtmf"], &bytes(&samples)), "");
    assert!(longest / 8 < 20);
}

/// Which part of a sweep is accepted, printed for the README's table.
#[test]
fn figures_of_the_detector() {
    let accepted = |make: &dyn Fn(Key, u32) -> Vec<i16>| {
        let mut hits = 0;
        for key in Key::ALL {
            for phase in 0..10 {
                let mut samples = vec![0; 400 + 8 * phase as usize];
                samples.extend(make(key, phase));
                samples.extend([0; 800]);
                hits += u32::from(heard(&samples, Rate::Narrow) == key.to_string());
            }
        }
        f64::from(hits) / 1.6
    };
    let tone = |key: Key, row: f32, column: f32, off: (f32, f32), millis: usize| {
        let (low, high) = frequencies(key);
        let mut samples = vec![0; millis * 8];
        DualTone::new((low * (1.0 + off.0), row), (high * (1.0 + off.1), column), Rate::Narrow)
            .fill(&mut samples);
        samples
    };
    for millis in [20, 23, 26, 30, 33, 36, 40] {
        let share = accepted(&|key, _| tone(key, -10.0, -10.0, (0.0, 0.0), millis));
        println!("length {millis} ms: {share:.0} %");
        assert!(millis != 40 || share == 100.0);
        assert!(millis > 23 || share == 0.0);
    }
    for percent in [1.5, 1.8, 2.0, 2.5, 3.0, 3.5] {
        let off = percent / 100.0;
        let both = accepted(&|key, phase| {
            let sign = if phase % 2 == 0 { off } else { -off };
            tone(key, -10.0, -10.0, (sign, sign), 80)
        });
        let one = accepted(&|key, phase| {
            let sign = if phase % 2 == 0 { off } else { -off };
            tone(key, -10.0, -10.0, if phase % 4 < 2 { (sign, 0.0) } else { (0.0, sign) }, 80)
        });
        println!("off by ±{percent} %: both {both:.0} %, one {one:.0} %");
    }
    for level in [-25.0, -26.0, -27.0, -28.0, -29.0] {
        let share = accepted(&|key, _| tone(key, level, level, (0.0, 0.0), 80));
        println!("level {level} dBm0: {share:.0} %");
    }
    for twist in [4.0, 5.0, 6.0, 8.0, -8.0, -9.0, -10.0, -12.0] {
        let (row, column) = if twist > 0.0 { (-10.0 - twist, -10.0) } else { (-8.0, -8.0 + twist) };
        let share = accepted(&|key, _| tone(key, row, column, (0.0, 0.0), 80));
        println!("twist {twist} dB: {share:.0} %");
    }
}
