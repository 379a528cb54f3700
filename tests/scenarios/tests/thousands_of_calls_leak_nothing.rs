//! A thousand calls of every kind, one after the other: answered, busy, given up, not answered, refused. Afterwards nothing is left of them, and
//! every place for a call can be used.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::Handset;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{
    BUSY, DIAL_TONE, RINGBACK, call, tone, wait, wait_millis, with_plain_voice,
};

/// Calls out of each kind, at both telephones.
const OUT: u32 = 50;
/// Calls in that nobody answers; they cost no sound.
const IN: u32 = 500;

#[test]
fn thousands_of_calls_leak_nothing() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    scenario.run_for(Duration::from_secs(60));
    let frames = scenario.home.pool.available();
    let flows = scenario.counters().flows.in_use;

    for _ in 0..IN / 2 {
        let now = scenario.now();
        operator.borrow_mut().call(now, "602", "5551");
        operator.borrow_mut().call(now, "602", "5552");
        // Nobody answers for 45 seconds; then the operator gives up.
        scenario.run_for(Duration::from_secs(50));
    }
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());

    let both = [ann.clone(), bob.clone()];
    scenario.script("calls out", Duration::from_secs(3600), async move {
        let [one, other] = both;
        embassy_futures::join::join(calls_out(one), calls_out(other)).await;
    });
    // Flows of UDP are remembered for five minutes.
    scenario.run_for(Duration::from_secs(400));
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    assert_eq!(scenario.registered(), 2);
    assert_eq!(scenario.home.pool.available(), frames, "every frame was given back");
    let now = scenario.counters().flows.in_use;
    assert!(now <= flows + 8, "flows: {flows} before, {now} after");

    // All four places for voice can be taken, and there is no fifth.
    scenario.script("four calls at once", Duration::from_secs(60), async move {
        for phone in [&ann, &bob] {
            call(phone, "600#").await;
            wait(2).await;
            phone.flash(Duration::from_millis(500)).await;
            assert!(
                phone.until_hears(&DIAL_TONE, Duration::from_secs(3)).await,
                "dial tone for a second call"
            );
            phone.dial("600#").await;
            wait(2).await;
            phone.say(&tone(phone, 1000.0, 5));
            assert!(phone.until_hears(&[1000.0], Duration::from_secs(3)).await, "the second echo");
            phone.fall_silent();
            wait(1).await;
            phone.flash(Duration::from_millis(500)).await;
            wait(1).await;
            phone.say(&tone(phone, 700.0, 5));
            assert!(phone.until_hears(&[700.0], Duration::from_secs(3)).await, "the first echo");
            phone.fall_silent();
        }
    });
    assert_eq!(operator.borrow().busy_with(), 4);
    println!(
        "seed {}: {IN} calls in, {} out\n{}",
        scenario.seed(),
        OUT * 2 * KINDS,
        scenario.console("phone").unwrap()
    );
}

const KINDS: u32 = 5;

/// One of every kind, over and over.
async fn calls_out(phone: Handset) {
    for _ in 0..OUT {
        // Answered; our end hangs up.
        dial(&phone, "600#").await;
        wait_millis(700).await;
        over(&phone).await;
        // Given up while it rings.
        dial(&phone, "603#").await;
        assert!(phone.until_hears(&RINGBACK, Duration::from_secs(4)).await, "ringback");
        over(&phone).await;
        // Refused: nobody has that number.
        dial(&phone, "777#").await;
        wait_millis(400).await;
        over(&phone).await;
        // Given up before anything came back.
        dial(&phone, "601#").await;
        over(&phone).await;
        // Not even dialled.
        phone.lift().await;
        wait_millis(200).await;
        phone.hang_up().await;
        wait(2).await;
    }
    dial(&phone, "603#").await;
    assert!(phone.until_hears(&BUSY, Duration::from_secs(15)).await, "busy at last");
    over(&phone).await;
}

async fn dial(phone: &Handset, keys: &str) {
    phone.lift().await;
    wait_millis(200).await;
    for key in keys.chars().filter_map(dialtone_base::telephony::Key::from_char) {
        phone.press(key, Duration::from_millis(60), Duration::from_millis(60)).await;
    }
}

async fn over(phone: &Handset) {
    phone.hang_up().await;
    wait(2).await;
}
