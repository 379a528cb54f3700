//! Over a day every device keeps its address, whoever comes and goes, and the router keeps its own.

use std::collections::BTreeSet;

use dialtone_base::{Duration, Random, Seed};
use dialtone_scenarios::{ROUTER, Setup, guests_welcome};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_day_of_leases() {
    let mut scenario = Setup { settings: guests_welcome, ..Setup::default() }.start();
    let wan = scenario.expect_wan();
    let mut random = Random::new(Seed::from_number(scenario.seed()));
    let cables = scenario.home.lan;
    let devices: Vec<_> = (0..24)
        .map(|number| scenario.world().plug_new(cables[number % 3], &format!("device-{number}")))
        .collect();
    let guest = scenario.home.guest[0];
    let visitor = scenario.world().plug_new(guest, "visitor");
    let addresses: Vec<_> = devices.iter().map(|device| scenario.expect_lease(*device)).collect();
    let visitors = scenario.expect_lease(visitor);
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), devices.len(), "no address is given twice");

    for hour in 0..24 {
        // Somebody's network card starts over, as phones do that come home.
        let returning = devices[random.below(devices.len() as u32) as usize];
        scenario.world().device(returning).restart_dhcp();
        scenario.run_for(HOUR);
        for (device, address) in devices.iter().zip(&addresses) {
            assert_eq!(scenario.address(*device), Some(*address), "hour {hour}");
        }
        assert_eq!(scenario.address(visitor), Some(visitors), "hour {hour}");
        let current = scenario.home.router.current_wan().address.map(|prefix| prefix.address());
        assert_eq!(current, Some(wan), "hour {hour}");
    }
    assert!(scenario.world().isp.dhcp.acknowledged() >= 24, "the WAN lease of an hour was renewed all day");
    assert!(scenario.ping(devices[0], ROUTER));
    assert!(scenario.reaches_far_side(devices[1]));
}
