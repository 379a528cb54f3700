//! Keys pressed in a call arrive at the far end exactly once each: as events (RFC 4733), with nothing of them left in the sound; by SIP INFO
//! where the far end knows no events and the account says so; in the sound where the account says that.

use dialtone_base::Duration;
use dialtone_base::telephony::Key;
use dialtone_hal_testkit::handset::{Handset, sound};
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_netsim::operator::service::Heard;
use dialtone_scenarios::telephone::{call, wait, with_plain_voice};
use dialtone_scenarios::{Scenario, Setup};

const KEYS: &str = "1234567890*#1155";

#[test]
fn keys_arrive_once() {
    let settings = OperatorSettings { record: true, ..OperatorSettings::default() };
    let (mut setup, operator) = Setup::default().with_operator(settings);
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    let heard = |_: &Scenario| operator.borrow().heard().pop().expect("a call");

    for phone in [&ann, &bob] {
        press_all(&mut scenario, phone);
        let as_events = heard(&scenario);
        assert_eq!(as_events.keys, KEYS, "seed {}: each once", scenario.seed());
        let leaked = longest(&as_events);
        println!("seed {}: of a key {leaked} ms stay in the sound", scenario.seed());
        assert!(leaked < 40, "{leaked} ms of a key in the sound: a detector may take it for a second one");
    }

    operator.borrow_mut().settings.events = false;
    set(&mut scenario, "info");
    press_all(&mut scenario, &ann);
    let by_info = heard(&scenario);
    assert_eq!(by_info.keys, KEYS, "seed {}: each once", scenario.seed());
    assert_eq!(operator.borrow().count("INFO"), KEYS.len());
    assert!(longest(&by_info) < 40, "{} ms of a key in the sound", longest(&by_info));

    for method in ["auto", "inband"] {
        set(&mut scenario, method);
        // In-band by setting also where the far end would know events.
        operator.borrow_mut().settings.events = method == "inband";
        press_all(&mut scenario, &ann);
        let in_sound = heard(&scenario);
        assert_eq!(in_sound.keys, "");
        assert_eq!(keys_in(&in_sound), KEYS, "seed {}: {method}: each once", scenario.seed());
    }
    assert_eq!(operator.borrow().count("INFO"), KEYS.len());
}

fn press_all(scenario: &mut Scenario, phone: &Handset) {
    let phone = phone.clone();
    scenario.script("keys in a call", Duration::from_secs(60), async move {
        call(&phone, "600#").await;
        wait(2).await;
        phone.dial(KEYS).await;
        wait(1).await;
        phone.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(3));
}

fn set(scenario: &mut Scenario, method: &str) {
    let line = format!("settings set telephony.accounts.0.dtmf_method {method}");
    scenario.console(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    scenario.run_for(Duration::from_secs(2));
}

/// The key whose two tones are most of a window of 10 ms.
fn key_of(window: &[i16]) -> Option<Key> {
    Key::ALL.into_iter().find(|key| {
        let (low, high) = sound::key_frequencies(*key);
        let level = |hertz| sound::level(window, 8000, hertz);
        let together = 10.0 * (10_f64.powf(level(low) / 10.0) + 10_f64.powf(level(high) / 10.0)).log10();
        level(low) > -30.0 && level(high) > -30.0 && together > sound::total_level(window) - 1.5
    })
}

/// The longest stretch with a key in it, in milliseconds.
fn longest(heard: &Heard) -> usize {
    let (mut longest, mut run) = (0, 0);
    for window in heard.samples.chunks_exact(80) {
        run = if key_of(window).is_some() { run + 10 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Keys of at least 40 ms in the sound.
fn keys_in(heard: &Heard) -> String {
    let (mut keys, mut last, mut run) = (String::new(), None, 0);
    for window in heard.samples.chunks_exact(80) {
        let key = key_of(window);
        run = if key == last { run + 1 } else { 1 };
        last = key;
        if let (Some(key), 4) = (key, run) {
            keys.push(key.as_char());
        }
    }
    keys
}
