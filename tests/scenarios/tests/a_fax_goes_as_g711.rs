//! A fax answers in a call that began with Opus: the router hears its tone, offers G.711 and leaves its signals alone.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::sound;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;

#[test]
fn a_fax_goes_as_g711() {
    let (setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    let mut scenario = setup.start();
    let fax = scenario.telephone(0);
    let router = scenario.home.router;
    scenario.expect("both numbers are registered", Duration::from_secs(30), |_| {
        critical_section::with(|token| router.numbers.borrow_ref(token).iter().all(|number| number.up))
    });
    let offers = scenario.script("a call with a fax in it", Duration::from_secs(60), async move {
        fax.lift().await;
        fax.dial("600#").await;
        embassy_time::Timer::after_secs(2).await;
        fax.say(&sound::tones(&[(700.0, -12.0)], fax.sample_rate, Duration::from_secs(2)));
        assert!(fax.until_hears(&[700.0], Duration::from_secs(3)).await, "speech comes back");
        let before = operator.borrow().count("INVITE");
        // CED: 2100 Hz for three seconds (T.30).
        fax.say(&sound::tones(&[(2100.0, -12.0)], fax.sample_rate, Duration::from_secs(4)));
        embassy_time::Timer::after_secs(3).await;
        assert!(fax.hears(&[2100.0]), "the tone comes back whole, by nobody cancelled");
        let again = operator.borrow().count("INVITE");
        fax.hang_up().await;
        (before, again)
    });
    assert!(offers.1 > offers.0, "another codec was offered: {offers:?}");
    scenario.run_for(Duration::from_secs(3));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 600: answered"), "{calls}");
}
