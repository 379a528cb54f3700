//! A receiver is lifted, 600 is dialled, and what is said comes back; 602 calls back with its number; the operator's own accounts
//! are registered.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::sound;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;

#[test]
fn a_call_to_the_operator() {
    let (setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    let mut scenario = setup.start();
    let phone = scenario.telephone(0);
    let router = scenario.home.router;
    scenario.expect("both numbers are registered", Duration::from_secs(30), |_| {
        critical_section::with(|token| {
            let numbers = router.numbers.borrow_ref(token);
            numbers.len() == 2 && numbers.iter().all(|number| number.up)
        })
    });

    let caller = phone.clone();
    scenario.script("a call to the echo", Duration::from_secs(60), async move {
        caller.lift().await;
        assert!(caller.until_hears(&[350.0, 440.0], Duration::from_secs(2)).await, "dial tone");
        caller.dial("600#").await;
        embassy_time::Timer::after_secs(2).await;
        caller.say(&sound::tones(&[(1000.0, -10.0)], caller.sample_rate, Duration::from_secs(20)));
        assert!(caller.until_hears(&[1000.0], Duration::from_secs(8)).await, "the echo");
        caller.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(5));
    assert_eq!(operator.borrow().busy_with(), 0, "the operator was told that it is over");
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 600: answered") && calls.contains("sound 4."), "{calls}");

    let caller = phone.clone();
    let rang = scenario.script("602 calls back", Duration::from_secs(120), async move {
        caller.lift().await;
        assert!(caller.until_hears(&[350.0, 440.0], Duration::from_secs(2)).await, "dial tone");
        caller.dial("602#").await;
        embassy_time::Timer::after_secs(4).await;
        caller.hang_up().await;
        let rang = caller.until_rings(Duration::from_secs(60)).await;
        embassy_time::Timer::after_secs(5).await;
        caller.lift().await;
        embassy_time::Timer::after_secs(2).await;
        caller.hang_up().await;
        rang
    });
    if !rang {
        for note in &operator.borrow().notes {
            eprintln!("{} {} {}", note.at.as_millis(), note.what, note.from);
        }
        panic!("it does not ring: {} {:?}", scenario.console("phone").unwrap(), scenario.counters());
    }
    scenario.run_for(Duration::from_secs(5));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("from 602"), "{calls}");
}
