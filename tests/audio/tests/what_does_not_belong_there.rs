//! Sounds nobody made: clicks where words begin and end, where a call is held and taken back, what leaks of keys, what silence sounds like.

use dialtone_audio_tests::compare;
use dialtone_audio_tests::far_end::Voice;
use dialtone_audio_tests::house::{House, accounts, at_rate, frame, narrow, now};
use dialtone_audio_tests::{listening, speech};
use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Random, Seed};
use dialtone_hal_testkit::handset::sound;
use embassy_time::Timer;

/// Milliseconds of a key in what was recorded: how many windows of 10 ms, one each millisecond, have more than -40 dBm0 of either frequency, less
/// the nine that only touch it.
fn key_heard(recorded: &[i16], key: Key) -> usize {
    let (low, high) = sound::key_frequencies(key);
    recorded
        .windows(80)
        .step_by(8)
        .filter(|window| [low, high].iter().any(|hertz| sound::level(window, 8000, *hertz) > -40.0))
        .count()
        .saturating_sub(9)
}

/// The greatest step from one sample to the next.
fn greatest_step(sound: &[i16]) -> i32 {
    sound.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

#[test]
fn nothing_is_heard_that_nobody_said() {
    let clips = speech::clips(4).expect("Debian package asterisk-core-sounds-en-wav");
    let clip = clips[0].clone();
    let mut house = House::new(|settings| accounts(settings, "pcmu", "pcmu"), Some(Voice::Pcmu));
    let mut random = Random::new(Seed::from_number(house.scenario.seed()));
    for line in [0, 1] {
        house.call_far_end(line);
        let rate = house.phones[line].sample_rate;

        // Silence stays silence, both ways.
        let quiet = house.far_end_to_line(line, &vec![0; 16_000]).heard;
        let loudest = quiet.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        println!("line {}: in silence at most {loudest} steps are heard", line + 1);
        assert!(loudest <= 8);
        let mark = house.far_end.arrived();
        house.scenario.run_for(Duration::from_secs(2));
        let (quiet, _) = house.far_end.recording(mark);
        let loudest = quiet.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        println!("line {}: in silence at most {loudest} steps are sent", line + 1);
        assert!(loudest <= 8);

        // A room's noise arrives as loud as it is, before, between and after words.
        let noisy: Vec<i16> = (0..clip.len() + 16_000)
            .map(|at| {
                let noise = (f64::from(random.next_u16()) - 32_768.0) / 32_768.0 * 100.0;
                let word = at.checked_sub(8_000).and_then(|at| clip.get(at)).copied().unwrap_or(0);
                word.saturating_add(noise as i16)
            })
            .collect();
        for (what, heard) in [
            ("sent", house.line_to_far_end(line, &noisy).heard),
            ("heard", house.far_end_to_line(line, &noisy).heard),
        ] {
            let lag = compare::lag(&noisy, &heard, 4_000).expect("the voice is there");
            let heard = &heard[lag..];
            let mut worst: f64 = 0.0;
            for (at, said) in noisy.chunks(800).enumerate() {
                let Some(heard) = heard.get(at * 800..at * 800 + 800) else { break };
                let (said, heard) = (sound::total_level(said), sound::total_level(heard));
                worst = if (heard - said).abs() > f64::abs(worst) { heard - said } else { worst };
            }
            println!("line {}: 100 ms of a noisy room {what} differ by at most {worst:.1} dB", line + 1);
            // White noise has a part beyond what a telephone carries.
            assert!(worst.abs() < 3.0);
            let (said, heard) = (greatest_step(&noisy), greatest_step(heard));
            println!("line {}: greatest step said {said}, {what} {heard}", line + 1);
            assert!(heard < said + said / 4);
        }

        // Both talk at once: the suppressor may take a little, no words.
        let others = clips.clone();
        let mut turn = 0;
        let what = format!("line {} to the far end, which talks all the while", line + 1);
        let verdict = listening::judge(&mut house, &what, &clips, |house, clip| {
            turn += 1;
            house.far_end.say(&others[turn % others.len()]);
            house.line_to_far_end(line, clip)
        });
        assert!(verdict.score > 3.7, "{what}: {verdict:?}");

        // Keys go beside the sound, which is silent while they do, and goes on in time afterwards.
        let mut longest = 0;
        for (name, speaking) in [("5", false), ("9", false), ("#", true), ("1", true), ("D", false)] {
            let key = name.chars().next().and_then(Key::from_char).expect("a key");
            let mark = house.far_end.arrived();
            let events = house.far_end.events().len();
            let phone = house.phones[line].clone();
            let words = if speaking { at_rate(&clip[..8_000], rate) } else { Vec::new() };
            let wait = embassy_time::Duration::from_micros(random.below(20_000).into());
            house.scenario.script("a key", Duration::from_secs(5), async move {
                Timer::after(wait).await;
                phone.speak(&words).await;
                phone.press(key, Duration::from_millis(150), Duration::from_millis(400)).await;
                phone.speak(&words).await;
                Timer::after_millis(300).await;
            });
            let (recorded, _) = house.far_end.recording(mark);
            let told = house.far_end.events().len() - events;
            let leaked = if speaking { 0 } else { key_heard(&recorded, key) };
            println!(
                "line {}: key {name}: {told} event packets, {leaked} ms of its tones in the sound",
                line + 1
            );
            assert!(told >= 5, "it went as an event");
            longest = longest.max(leaked);
        }
        assert!(longest <= 15, "line {}: a key leaks for {longest} ms", line + 1);

        // After the keys the voice is as early as before.
        let delay = house.line_to_far_end(line, &clip[..16_000]).delay.expect("the voice is heard");
        println!("line {}: {delay:.1} ms after keys", line + 1);
        assert!(delay < 24.0, "{delay}");

        // A hold of three seconds: the flash is not heard as a click, the voice is there at once when the call is taken back.
        let phone = house.phones[line].clone();
        let far_end = house.far_end.clone();
        far_end.say(&sound::tones(&[(1000.0, -10.0)], 8000, Duration::from_secs(30)));
        let (held, resumed) = house.scenario.script("a hold", Duration::from_secs(30), async move {
            Timer::after_secs(1).await;
            let mark = far_end.arrived();
            phone.say(&sound::tones(&[(700.0, -10.0)], rate, Duration::from_secs(20)));
            Timer::after_secs(1).await;
            phone.flash(Duration::from_millis(400)).await;
            assert!(phone.until_hears(&[350.0, 440.0], Duration::from_secs(3)).await, "dial tone");
            Timer::after_secs(3).await;
            let held = far_end.arrivals(mark).last().map(|packet| now().since(packet.at));
            phone.flash(Duration::from_millis(400)).await;
            let began = now();
            assert!(phone.until_hears(&[1000.0], Duration::from_secs(3)).await, "the far end is back");
            (held, now().since(began))
        });
        println!(
            "line {}: on hold the last packet was {held:?} ago; {} ms after the flash the far end is heard",
            line + 1,
            resumed.as_millis()
        );
        let phone = house.phones[line].clone();
        let heard = house.scenario.script("after the hold", Duration::from_secs(5), async move {
            let (_, mark) = frame(&phone).await;
            Timer::after_secs(1).await;
            phone.heard_since(mark)
        });
        let heard = narrow(heard, rate);
        assert!(sound::is_tone(&heard[800..7_200], 8000, &[1000.0]), "a clean tone after the hold");
        house.hang_up();
    }
}
