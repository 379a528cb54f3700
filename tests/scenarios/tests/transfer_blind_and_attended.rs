//! A call is handed to somebody else, without asking (RFC 3515) and after asking (RFC 3891): they talk, and the one who did it is free.

use dialtone_base::Duration;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{DIAL_TONE, call, tone, wait, with_plain_voice};

const FLASH: Duration = Duration::from_millis(500);

#[test]
fn transfer_blind_and_attended() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));

    let (from, to) = (ann.clone(), bob.clone());
    scenario.script("Ann sends the echo to Bob", Duration::from_secs(90), async move {
        call(&from, "600#").await;
        wait(2).await;
        from.flash(FLASH).await;
        assert!(from.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone after the flash");
        from.dial("*985552#").await;
        assert!(to.until_rings(Duration::from_secs(5)).await, "Bob's telephone rings");
        from.hang_up().await;
        wait(1).await;
        to.lift().await;
        wait(1).await;
        to.say(&tone(&to, 700.0, 5));
        assert!(to.until_hears(&[700.0], Duration::from_secs(3)).await, "Bob has the echo");
        wait(1).await;
        assert!(from.rings().is_empty(), "Ann's telephone is at rest");
        to.hang_up().await;
    });
    // The operator remembers a call between subscribers for 32 seconds.
    scenario.run_for(Duration::from_secs(40));
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);

    scenario.script("Ann asks Bob, then joins him with the echo", Duration::from_secs(90), async move {
        call(&ann, "600#").await;
        wait(2).await;
        ann.flash(FLASH).await;
        assert!(ann.until_hears(&DIAL_TONE, Duration::from_secs(3)).await, "dial tone after the flash");
        ann.dial("5552#").await;
        assert!(bob.until_rings(Duration::from_secs(5)).await, "Bob's telephone rings");
        wait(1).await;
        bob.lift().await;
        wait(1).await;
        ann.say(&tone(&ann, 1000.0, 2));
        assert!(bob.until_hears(&[1000.0], Duration::from_secs(2)).await, "Ann asks Bob");
        ann.hang_up().await;
        wait(3).await;
        bob.say(&tone(&bob, 700.0, 5));
        assert!(bob.until_hears(&[700.0], Duration::from_secs(3)).await, "Bob has the echo");
        bob.hang_up().await;
    });
    // The operator remembers a call between subscribers for 32 seconds.
    scenario.run_for(Duration::from_secs(40));
    assert_eq!(operator.borrow().busy_with(), 0, "seed {}", scenario.seed());
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);
}
