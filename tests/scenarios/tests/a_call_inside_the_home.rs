//! One telephone of the house calls the other: dial tone, digits, ringing, ringback, two people who hear each other.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::sound;
use dialtone_scenarios::Scenario;

#[test]
fn a_call_inside_the_home() {
    let mut scenario = Scenario::new();
    let (caller, called) = (scenario.telephone(0), scenario.telephone(1));
    scenario.run_for(Duration::from_secs(2));

    scenario.script("a call from the kitchen to the bedroom", Duration::from_secs(60), async move {
        caller.lift().await;
        // Nobody has an account: the tone says that calls outside do not work, the house works all the same.
        assert!(caller.until_hears(&[480.0, 620.0], Duration::from_secs(2)).await, "a tone for no service");
        caller.dial("**2").await;
        assert!(called.until_rings(Duration::from_secs(3)).await, "the other telephone rings");
        assert!(caller.until_hears(&[440.0, 480.0], Duration::from_secs(8)).await, "ringback");
        called.lift().await;
        caller.say(&sound::tones(&[(1000.0, -10.0)], caller.sample_rate, Duration::from_secs(20)));
        assert!(called.until_hears(&[1000.0], Duration::from_secs(3)).await, "the caller is heard");
        caller.fall_silent();
        called.say(&sound::tones(&[(700.0, -10.0)], called.sample_rate, Duration::from_secs(20)));
        assert!(caller.until_hears(&[700.0], Duration::from_secs(3)).await, "the called is heard");
        called.hang_up().await;
        assert!(
            caller.until_hears(&[480.0, 620.0], Duration::from_secs(5)).await,
            "the caller hears that it is over"
        );
        caller.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(3));
    let phone = scenario.console("phone").unwrap();
    assert!(
        phone.contains("line 1 (phone1): on-hook") && phone.contains("line 2 (phone2): on-hook"),
        "{phone}"
    );
    assert!(scenario.console("calls").unwrap().contains("inside"), "the call is in the log");
}
