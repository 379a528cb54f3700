//! What a caller hears of a busy telephone, of one that must not be disturbed and of one nobody lifts; and where their call goes when it is
//! forwarded always, when busy, or when nobody answers. All switched by codes at the telephone that is called.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::Handset;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{BUSY, DIAL_TONE, RINGBACK, call, tone, wait, with_plain_voice};

#[test]
fn busy_no_answer_and_forwarding() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = |settings| {
        with_plain_voice(settings);
        settings.telephony.lines[1].forward_no_answer_seconds = 5;
    };
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    scenario.script("Ann calls Bob in many ways", Duration::from_secs(300), async move {
        call(&ann, "603#").await;
        assert!(ann.until_hears(&RINGBACK, Duration::from_secs(5)).await, "603 rings");
        assert!(ann.until_hears(&BUSY, Duration::from_secs(10)).await, "then it is busy");
        ann.hang_up().await;

        code(&bob, "*57").await;
        bob.lift().await;
        call(&ann, "5552#").await;
        assert!(ann.until_hears(&BUSY, Duration::from_secs(5)).await, "Bob's receiver is off");
        ann.hang_up().await;
        bob.hang_up().await;

        code(&bob, "*90600#").await;
        bob.lift().await;
        echo_answers(&ann, "forwarded when busy").await;
        bob.hang_up().await;
        code(&bob, "*91").await;

        code(&bob, "*78").await;
        call(&ann, "5552#").await;
        assert!(ann.until_hears(&BUSY, Duration::from_secs(5)).await, "Bob is not to be disturbed");
        ann.hang_up().await;
        code(&bob, "*79").await;
        assert_eq!(bob.rings(), [], "until now it never rang");

        code(&bob, "*92600#").await;
        call(&ann, "5552#").await;
        assert!(bob.until_rings(Duration::from_secs(5)).await, "first it rings");
        wait(6).await;
        hears_echo(&ann, "forwarded when nobody answers").await;
        ann.hang_up().await;
        code(&bob, "*93").await;

        let rings = bob.rings().len();
        code(&bob, "*72600#").await;
        echo_answers(&ann, "forwarded always").await;
        assert_eq!(bob.rings().len(), rings, "without ringing");
        code(&bob, "*73").await;

        call(&ann, "5552#").await;
        assert!(bob.until_rings(Duration::from_secs(5)).await, "all off: it rings");
        assert!(ann.until_hears(&RINGBACK, Duration::from_secs(8)).await, "and is heard to ring");
        ann.hang_up().await;
        wait(2).await;
        assert!(!bob.until_rings(Duration::from_secs(8)).await, "Ann gave up: no more ringing");
    });
    scenario.run_for(Duration::from_secs(40));
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    let calls = scenario.console("calls").unwrap();
    assert!(
        calls.contains("from 5551 \"Ann\": missed") && calls.contains("from 5551 \"Ann\": forwarded"),
        "{calls}"
    );
    assert!(calls.contains("to 603: busy"), "{calls}");
}

async fn code(phone: &Handset, keys: &str) {
    wait(2).await;
    phone.lift().await;
    // Stuttering or not.
    assert!(phone.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone before {keys}");
    wait(1).await;
    phone.dial(keys).await;
    assert!(phone.until_hears(&DIAL_TONE, Duration::from_secs(8)).await, "{keys} is confirmed");
    wait(1).await;
    phone.hang_up().await;
    wait(2).await;
}

async fn echo_answers(phone: &Handset, why: &str) {
    call(phone, "5552#").await;
    wait(2).await;
    hears_echo(phone, why).await;
    phone.hang_up().await;
}

async fn hears_echo(phone: &Handset, why: &str) {
    phone.say(&tone(phone, 1000.0, 4));
    assert!(phone.until_hears(&[1000.0], Duration::from_secs(3)).await, "{why}");
    phone.fall_silent();
}
