//! Between the first ring and the second the telephone is told who calls, number and name, as FSK that a display read independently of the
//! firmware understands (Telcordia GR-30); a caller who hides is shown as one who hides.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::display::{self, Modem, Shown};
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{call, wait, with_plain_voice};

#[test]
fn caller_id_is_shown() {
    let (mut setup, _operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    // Both ways, because the lines' sample rates differ.
    for (caller, called, number, name) in [(&bob, &ann, "5552", "Bob"), (&ann, &bob, "5551", "Ann")] {
        let called_number = if number == "5552" { "5551#" } else { "5552#" };
        let (from, to) = (caller.clone(), called.clone());
        let shown = scenario.script("a call that is not taken", Duration::from_secs(60), async move {
            let start = to.heard_so_far();
            call(&from, called_number).await;
            assert!(to.until_rings(Duration::from_secs(5)).await, "it rings");
            wait(9).await;
            from.hang_up().await;
            assert_eq!(to.rings().len(), 2, "two rings");
            display::read(&to.heard_since(start), to.sample_rate, Modem::Bell202)
        });
        let [one] = shown.as_slice() else { panic!("seed {}: shown once: {shown:?}", scenario.seed()) };
        assert_eq!(
            (one.kind, one.parameter(2), one.parameter(7)),
            (0x80, Some(number), Some(name)),
            "{one:?}"
        );
        scenario.run_for(Duration::from_secs(5));
    }
    let shown: Vec<Shown> = scenario.script("a call of one who hides", Duration::from_secs(60), async move {
        let start = ann.heard_so_far();
        call(&bob, "*67").await;
        wait(1).await;
        bob.dial("5551#").await;
        assert!(ann.until_rings(Duration::from_secs(5)).await, "it rings");
        wait(5).await;
        bob.hang_up().await;
        display::read(&ann.heard_since(start), ann.sample_rate, Modem::Bell202)
    });
    let [one] = shown.as_slice() else { panic!("seed {}: shown once: {shown:?}", scenario.seed()) };
    assert_eq!((one.parameter(2), one.parameter(4)), (None, Some("P")), "private: {one:?}");
}
