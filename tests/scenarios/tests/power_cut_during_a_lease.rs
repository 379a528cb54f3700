//! The power is cut at every flash operation of a lease being written: older leases are all still known afterwards.

use dialtone_base::Duration;
use dialtone_hal_testkit::{Cut, FakeFlash, Tear};
use dialtone_scenarios::{Scenario, Setup, reboot};

const TEST: &str = "power_cut_during_a_lease";
const TEARS: [Tear; 4] = [Tear::Nothing, Tear::FirstHalf, Tear::Bits(7), Tear::Everything];

#[test]
fn power_cut_during_a_lease() {
    let (life, flash) = reboot::life();
    let note = reboot::note();
    let mut words = note.split(' ');
    let mut word = || words.next().unwrap_or_default().to_string();
    match life {
        0 => every_cut(),
        1 => {
            let cut = word().parse().unwrap();
            lease_until_dark(flash.expect("the first life left one"), cut, &note);
        }
        _ => {
            let (_, keepers) = (word(), word());
            come_back(flash.expect("the second life left one"), &keepers);
        }
    }
}

/// Finds out how many steps a lease takes, then cuts at each of them.
fn every_cut() {
    let mut scenario = Setup::default().start();
    let keeper = join(&mut scenario, 0, "keeper");
    scenario.run_for(Duration::from_secs(120));
    let before = scenario.home.flash.borrow().clone();
    let steps = before.steps();
    join(&mut scenario, 1, "newcomer");
    scenario.run_for(Duration::from_secs(120));
    let taken = scenario.home.flash.borrow().steps() - steps;
    assert!(taken > 0, "the lease was written");
    for cut in 0..=taken {
        reboot::reborn(TEST, 1, &before, &format!("{cut} {keeper}"));
    }
}

fn lease_until_dark(flash: FakeFlash, cut: u64, note: &str) {
    let mut scenario = Setup { flash, ..Setup::default() }.start();
    scenario.run_for(Duration::from_secs(5));
    // The hardware addresses count on from the keeper's.
    let _absent = scenario.world().plug_new(scenario.home.guest[0], "keeper");
    let tear = TEARS[cut as usize % TEARS.len()];
    scenario.home.flash.borrow_mut().cut_after(Cut { after: cut, tear });
    // Without its memory the router still hands out addresses.
    join(&mut scenario, 1, "newcomer");
    scenario.run_for(Duration::from_secs(120));
    let mut left = scenario.home.flash.borrow().clone();
    left.power_on();
    reboot::reborn(TEST, 2, &left, note);
}

fn come_back(flash: FakeFlash, keepers: &str) {
    let mut scenario = Setup { flash, ..Setup::default() }.start();
    scenario.run_for(Duration::from_secs(5));
    let cable = scenario.home.lan[0];
    let keeper = scenario.world().plug_new(cable, "keeper");
    let newcomer = join(&mut scenario, 1, "newcomer");
    assert_eq!(scenario.expect_lease(keeper).to_string(), keepers);
    assert_ne!(newcomer, keepers);
}

fn join(scenario: &mut Scenario, port: usize, name: &str) -> String {
    let cable = scenario.home.lan[port];
    let device = scenario.join(cable, name);
    scenario.address(device).map(|address| address.to_string()).unwrap_or_default()
}
