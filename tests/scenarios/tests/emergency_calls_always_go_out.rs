//! The line is blocked, the number is blocked by rules, the telephone is not to be disturbed, the line's account has a wrong password: 911 gets
//! through all the same, by the other account. And while the lines are full of ordinary calls it gets through, too.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::sound;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{DIAL_TONE, call, tone, wait, wait_millis, with_plain_voice};
use dialtone_settings::secret::Secret;
use dialtone_settings::tree::telephony::NumberRule;

#[test]
fn emergency_calls_always_go_out() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = |settings| {
        with_plain_voice(settings);
        let telephony = &mut settings.telephony;
        telephony.accounts[0].auth_password = Secret::new("wrong");
        telephony.lines[0].blocked = true;
        telephony.lines[0].do_not_disturb = true;
        telephony.lines[0].withhold_number = true;
        telephony.lines[0].forward_always = "600".into();
        for prefix in ["", "9", "911"] {
            let rule = NumberRule {
                prefix: prefix.into(),
                block: true,
                account: None,
                strip: 0,
                prepend: "".into(),
            };
            telephony.rules.push(rule).expect("room for three");
        }
    };
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect("the account with the right password is registered", Duration::from_secs(30), |_| {
        operator.borrow().count("REGISTER") >= 4
    });
    scenario.run_for(Duration::from_secs(2));
    assert_eq!(scenario.registered(), 1);

    let caller = ann.clone();
    scenario.script("help from a blocked line", Duration::from_secs(60), async move {
        // What is no emergency stays blocked.
        caller.lift().await;
        wait_millis(500).await;
        caller.dial("600#").await;
        wait(2).await;
        caller.say(&tone(&caller, 1000.0, 2));
        assert!(!caller.until_hears(&[1000.0], Duration::from_secs(3)).await, "600 is blocked");
        caller.hang_up().await;
        wait(2).await;
        caller.lift().await;
        wait_millis(500).await;
        // Without a key for the end, and at once.
        caller.dial("911").await;
        let from = caller.heard_so_far();
        wait(4).await;
        let voice = sound::total_level(&caller.heard_since(from));
        assert!(voice > -40.0, "the recording is heard: {voice} dBm0");
        caller.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(2));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 911: answered") && !calls.contains("to 600: answered"), "{calls}");
    let by: Vec<String> = operator
        .borrow()
        .notes
        .iter()
        .filter(|note| note.what == "INVITE")
        .map(|note| note.user.clone())
        .collect();
    assert!(by.contains(&"5552".to_string()), "by the account that works: {by:?}");

    // Now the other telephone has two calls of its own, this one a held one.
    for line in [
        "settings set telephony.rules []",
        "settings set telephony.lines.0.blocked false",
        "settings set telephony.lines.0.forward_always \"\"",
        "settings set telephony.lines.0.account 1",
    ] {
        scenario.console(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        scenario.console("settings confirm").ok();
    }
    scenario.run_for(Duration::from_secs(2));
    let before = operator.borrow().heard().len();
    let caller = ann.clone();
    scenario.script("help while all talk", Duration::from_secs(60), async move {
        call(&bob, "600#").await;
        wait(2).await;
        bob.flash(Duration::from_millis(500)).await;
        assert!(bob.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone for a second call");
        bob.dial("600#").await;
        caller.lift().await;
        wait_millis(500).await;
        caller.dial("600#").await;
        wait(2).await;
        caller.flash(Duration::from_millis(500)).await;
        wait(1).await;
        caller.dial("911").await;
        let from = caller.heard_so_far();
        wait(4).await;
        let voice = sound::total_level(&caller.heard_since(from));
        assert!(voice > -40.0, "the recording is heard: {voice} dBm0");
        // A tap of the hook does not end it.
        caller.flash(Duration::from_millis(500)).await;
        wait(1).await;
    });
    assert_eq!(operator.borrow().heard().len() - before, 4, "three ordinary calls and the one for help");
    assert_eq!(operator.borrow().busy_with(), 4);
}
