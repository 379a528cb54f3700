//! A new LAN address is on trial for 90 seconds: unconfirmed the old one serves again, confirmed the new one stays.

use std::net::Ipv4Addr;

use dialtone_base::Duration;
use dialtone_base::event::Event;
use dialtone_scenarios::{ROUTER, Scenario};

const NEW: Ipv4Addr = Ipv4Addr::new(10, 20, 30, 1);
const CHANGE: &str = "settings set lan.address 10.20.30.1/24";

#[test]
fn settings_change_reverts_unless_confirmed() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");
    assert!(scenario.ping(laptop, ROUTER));
    assert_eq!(scenario.console("settings confirm").ok(), None, "there is nothing to confirm");

    // Nobody confirms: 90 s of the new address, then the old one, with leases, names and the way out.
    let asked = scenario.now();
    let answer = scenario.console(CHANGE).expect("a good address");
    assert!(answer.contains("on trial") && answer.contains("90 s"), "{answer}");
    scenario.world().device(laptop).restart_dhcp();
    let moved = scenario.expect_lease(laptop);
    assert_eq!(moved.octets()[..3], [10, 20, 30]);
    assert!(scenario.ping(laptop, NEW) && scenario.fetch(laptop, NEW, "/").is_some());
    let refused = scenario.console("settings set system.hostname hallway").expect_err("one at a time");
    assert!(refused.contains("trial"), "{refused}");
    let left = Duration::from_secs(89) - scenario.now().since(asked);
    scenario.run_for(left);
    assert_eq!(scenario.console("settings get lan.address").unwrap().trim(), "10.20.30.1/24");
    scenario.run_for(Duration::from_secs(2));
    assert!(scenario.events().iter().any(|event| matches!(event, Event::SettingsReverted { .. })));
    assert_eq!(scenario.console("settings get lan.address").unwrap().trim(), "192.168.77.1/24");
    scenario.world().device(laptop).restart_dhcp();
    let back = scenario.expect_lease(laptop);
    assert_eq!(back.octets()[..3], [192, 168, 77]);
    assert!(scenario.ping(laptop, ROUTER) && scenario.reaches_far_side(laptop));
    assert!(scenario.fetch(laptop, ROUTER, "/").is_some());

    // Confirmed it stays.
    scenario.console(CHANGE).expect("a good address");
    scenario.run_for(Duration::from_secs(60));
    scenario.console("settings confirm").expect("the trial runs");
    scenario.run_for(Duration::from_secs(300));
    assert!(!scenario.events().iter().any(|event| matches!(event, Event::SettingsReverted { .. })));
    scenario.world().device(laptop).restart_dhcp();
    assert_eq!(scenario.expect_lease(laptop).octets()[..3], [10, 20, 30]);
    assert!(scenario.ping(laptop, NEW) && scenario.reaches_far_side(laptop));
    assert!(scenario.fetch(laptop, NEW, "/").is_some());
}
