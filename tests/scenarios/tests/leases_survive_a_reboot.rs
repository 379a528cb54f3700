//! After a power cut a device gets its address back, and nobody who comes in first takes it.

use dialtone_base::Duration;
use dialtone_scenarios::{Setup, reboot};

#[test]
fn leases_survive_a_reboot() {
    let (life, flash) = reboot::life();
    let mut setup = Setup::default();
    if let Some(flash) = flash {
        setup.flash = flash;
    }
    let mut scenario = setup.start();
    let lan = scenario.home.lan[0];
    if life == 0 {
        let _first = scenario.join(lan, "early-bird");
        let keeper = scenario.join(lan, "keeper");
        let address = scenario.address(keeper).unwrap();
        scenario.run_for(Duration::from_secs(120));
        let flash = scenario.home.flash.borrow().clone();
        reboot::reborn("leases_survive_a_reboot", 1, &flash, &address.to_string());
        return;
    }
    // The first two come in the same order with the same hardware addresses; a stranger is ahead of them.
    let stranger_cable = scenario.home.lan[1];
    let stranger = dialtone_netsim::Host::new(
        "stranger",
        dialtone_base::MacAddress([2, 0x51, 0, 0, 0, 9]),
        dialtone_netsim::host::Addressing::Dhcp,
        dialtone_base::Seed::from_number(9),
    );
    let stranger = scenario.world().plug(stranger_cable, stranger);
    let strangers = scenario.expect_lease(stranger);
    let _first = scenario.join(lan, "early-bird");
    let keeper = scenario.join(lan, "keeper");
    assert_eq!(scenario.address(keeper).unwrap().to_string(), reboot::note());
    assert_ne!(strangers.to_string(), reboot::note());
}
