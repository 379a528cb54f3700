//! Both lines have numbers of the operator; one calls the other's number, so that signalling goes out and comes back and the voice leads
//! from the router to itself. Both are heard, and the sound is not late.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::sound;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;

#[test]
fn one_line_calls_the_other_by_the_operator() {
    let (setup, _operator) = Setup::default().with_operator(OperatorSettings::default());
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    let router = scenario.home.router;
    scenario.expect("both numbers are registered", Duration::from_secs(30), |_| {
        critical_section::with(|token| {
            let numbers = router.numbers.borrow_ref(token);
            numbers.len() == 2 && numbers.iter().all(|number| number.up)
        })
    });

    scenario.script("Ann calls Bob", Duration::from_secs(60), async move {
        ann.lift().await;
        assert!(ann.until_hears(&[350.0, 440.0], Duration::from_secs(2)).await, "dial tone");
        ann.dial("5552#").await;
        assert!(bob.until_rings(Duration::from_secs(5)).await, "Bob's telephone rings");
        embassy_time::Timer::after_secs(4).await;
        bob.lift().await;
        embassy_time::Timer::after_secs(1).await;
        ann.say(&sound::tones(&[(1000.0, -10.0)], ann.sample_rate, Duration::from_secs(20)));
        assert!(bob.until_hears(&[1000.0], Duration::from_secs(3)).await, "Bob hears Ann");
        ann.fall_silent();
        bob.say(&sound::tones(&[(700.0, -10.0)], bob.sample_rate, Duration::from_secs(20)));
        assert!(ann.until_hears(&[700.0], Duration::from_secs(3)).await, "Ann hears Bob");
        bob.hang_up().await;
        ann.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(5));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 5552: answered") && calls.contains("from 5551 \"Ann\": answered"), "{calls}");
}
