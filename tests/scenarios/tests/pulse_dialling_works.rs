//! An old telephone with a rotary dial calls out, at the speed of its dial, and with bouncing contacts.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::{Faults, PulseTiming};
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{DIAL_TONE, tone, wait, with_plain_voice};

#[test]
fn pulse_dialling_works() {
    let (mut setup, _operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let good = scenario.telephone(0);
    let worn = scenario.faulty_telephone(1, Faults { bounces: 3, ..Faults::default() });
    scenario.expect_registered(Duration::from_secs(30));
    let millis = Duration::from_millis;
    let slow = PulseTiming { open: millis(75), closed: millis(45), pause: millis(1200) };
    for (phone, timing) in [(good, PulseTiming::default()), (worn, slow)] {
        let seed = scenario.seed();
        scenario.script("a call with a rotary dial", Duration::from_secs(60), async move {
            phone.lift().await;
            assert!(phone.until_hears(&DIAL_TONE, Duration::from_secs(2)).await, "dial tone");
            phone.dial_pulses("600", timing).await;
            // Nothing says that the number is complete but the time.
            wait(6).await;
            phone.say(&tone(&phone, 1000.0, 5));
            assert!(
                phone.until_hears(&[1000.0], Duration::from_secs(4)).await,
                "seed {seed}: the echo, {timing:?}"
            );
            phone.hang_up().await;
        });
        scenario.run_for(Duration::from_secs(3));
    }
    let calls = scenario.console("calls").unwrap();
    assert_eq!(calls.matches("to 600: answered").count(), 2, "{calls}");
}
