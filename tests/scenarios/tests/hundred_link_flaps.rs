//! A hundred times the cables are pulled and put back; then everything works and no buffer is missing.

use dialtone_base::{Duration, Random, Seed};
use dialtone_netsim::dns_message::Answer;
use dialtone_scenarios::{EXAMPLE, ROUTER, Scenario};

#[test]
fn hundred_link_flaps() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let (wan, lan) = (scenario.home.wan, scenario.home.lan[0]);
    let laptop = scenario.join(lan, "laptop");
    assert!(scenario.reaches_far_side(laptop));
    scenario.run_for(Duration::from_secs(5));
    let before = scenario.home.pool.available();

    let mut random = Random::new(Seed::from_number(scenario.seed()));
    for _ in 0..100 {
        let cable = if random.below(2) == 0 { wan } else { lan };
        scenario.world().link(cable, false);
        scenario.run_for(Duration::from_millis(random.below(3000) as u64));
        scenario.world().link(cable, true);
        // Traffic in the middle of it all.
        scenario.world().device(laptop).ping(EXAMPLE.1, 1);
        scenario.run_for(Duration::from_millis(random.below(3000) as u64));
    }
    scenario.expect_wan();
    scenario.expect_lease(laptop);
    assert!(scenario.ping(laptop, ROUTER));
    assert_eq!(scenario.look_up(laptop, EXAMPLE.0), Some(Answer::Addresses(vec![EXAMPLE.1])));
    assert!(scenario.reaches_far_side(laptop));
    scenario.run_for(Duration::from_secs(60));
    assert_eq!(scenario.home.pool.available(), before, "frames leaked");
}
