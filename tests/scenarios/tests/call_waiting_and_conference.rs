//! In a call somebody else calls: a tone tells it, a flash goes to and fro, a flash and 3 lets all three talk. And a call to the other telephone
//! by the operator and one to an echo are joined likewise.

use dialtone_base::Duration;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{
    CALL_WAITING, DIAL_TONE, call, tone, wait, wait_millis, with_plain_voice,
};

const FLASH: Duration = Duration::from_millis(500);

#[test]
fn call_waiting_and_conference() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));

    let (host, guest) = (ann.clone(), bob.clone());
    scenario.script("Bob calls Ann while she talks", Duration::from_secs(90), async move {
        call(&host, "600#").await;
        wait(2).await;
        call(&guest, "5551#").await;
        assert!(host.until_hears(&CALL_WAITING, Duration::from_secs(5)).await, "the tone of call waiting");
        wait(2).await;
        host.flash(FLASH).await;
        wait(1).await;
        guest.say(&tone(&guest, 700.0, 3));
        assert!(host.until_hears(&[700.0], Duration::from_secs(2)).await, "Ann hears Bob");
        guest.fall_silent();
        wait(1).await;
        host.flash(FLASH).await;
        wait(4).await;
        host.say(&tone(&host, 1000.0, 3));
        assert!(host.until_hears(&[1000.0], Duration::from_secs(2)).await, "the echo again");
        assert!(!guest.hears(&[1000.0]), "Bob is held");
        host.fall_silent();
        wait(1).await;
        host.flash(FLASH).await;
        wait_millis(500).await;
        host.dial("3").await;
        wait(2).await;
        three(&host, &guest).await;
        guest.hang_up().await;
        // Both at once would be a try to leave the other two with each other.
        wait(2).await;
        host.hang_up().await;
    });
    // The operator remembers a call between subscribers for 32 seconds.
    scenario.run_for(Duration::from_secs(40));
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);

    scenario.script("Ann calls Bob and asks the echo to join", Duration::from_secs(90), async move {
        call(&ann, "5552#").await;
        assert!(bob.until_rings(Duration::from_secs(5)).await, "Bob's telephone rings");
        wait(1).await;
        bob.lift().await;
        wait(1).await;
        ann.flash(FLASH).await;
        assert!(ann.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone for a second call");
        ann.dial("600#").await;
        wait(2).await;
        ann.flash(FLASH).await;
        wait_millis(500).await;
        ann.dial("3").await;
        wait(2).await;
        three(&ann, &bob).await;
        bob.hang_up().await;
        wait(2).await;
        ann.say(&tone(&ann, 1000.0, 3));
        assert!(ann.until_hears(&[1000.0], Duration::from_secs(2)).await, "the echo stays when Bob leaves");
        ann.hang_up().await;
    });
    // The operator remembers a call between subscribers for 32 seconds.
    scenario.run_for(Duration::from_secs(40));
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);
}

/// What one says the other hears, and both hear the echo of it.
async fn three(
    host: &dialtone_hal_testkit::handset::Handset,
    guest: &dialtone_hal_testkit::handset::Handset,
) {
    host.say(&tone(host, 1000.0, 3));
    assert!(guest.until_hears(&[1000.0], Duration::from_secs(2)).await, "the guest hears the host");
    assert!(host.until_hears(&[1000.0], Duration::from_secs(2)).await, "the host hears the echo");
    host.fall_silent();
    wait(1).await;
    guest.say(&tone(guest, 700.0, 3));
    assert!(host.until_hears(&[700.0], Duration::from_secs(2)).await, "the host hears the guest");
    assert!(guest.until_hears(&[700.0], Duration::from_secs(2)).await, "the guest hears the echo");
    guest.fall_silent();
    wait(1).await;
}
