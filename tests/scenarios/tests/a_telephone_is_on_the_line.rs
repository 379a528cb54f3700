//! A telephone on the router's line is heard: a receiver lifted, a wrong one too, and nothing else stops working.

use dialtone_base::Duration;
use dialtone_hal_api::line::Feed;
use dialtone_hal_testkit::handset::Faults;
use dialtone_scenarios::Scenario;

#[test]
fn a_telephone_is_on_the_line() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let good = scenario.telephone(0);
    let bad = scenario.faulty_telephone(1, Faults { bounces: 5, noise: 200, skew: 300 });
    let feeds =
        scenario.script("two telephones are lifted and put back", Duration::from_secs(30), async move {
            let lifting = embassy_futures::join::join(good.lift(), bad.lift());
            lifting.await;
            embassy_time::Timer::after_secs(5).await;
            embassy_futures::join::join(good.hang_up(), bad.hang_up()).await;
            embassy_time::Timer::after_secs(1).await;
            [good.feed(), bad.feed()]
        });
    assert_eq!(feeds, [Some(Feed::Forward); 2], "battery is on the wires");
    let laptop = scenario.join(scenario.home.lan[0], "laptop");
    assert!(scenario.reaches_far_side(laptop));
}
