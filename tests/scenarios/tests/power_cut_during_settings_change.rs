//! The power is cut at every flash operation of a settings change: the router comes back each time, with the old settings
//! or the new ones, never others, and still works.

use dialtone_base::Duration;
use dialtone_hal_testkit::{Cut, FakeFlash, Tear};
use dialtone_scenarios::{ROUTER, Setup, reboot};

/// Its new name, and what it was called before.
const NEW: &str = "hallway";
const OLD: &str = "dialtone";
const TEARS: [Tear; 4] = [Tear::Nothing, Tear::FirstHalf, Tear::Bits(7), Tear::Everything];

#[test]
fn power_cut_during_settings_change() {
    let (life, flash) = reboot::life();
    match life {
        0 => every_cut(),
        1 => change_until_dark(flash.expect("the first life left one")),
        _ => come_back(flash.expect("the second life left one")),
    }
}

/// Finds out how many steps there are, then cuts at each of them.
fn every_cut() {
    let mut scenario = Setup::default().start();
    let lan = scenario.home.lan[0];
    scenario.join(lan, "laptop");
    scenario.run_for(Duration::from_secs(120));
    let before = scenario.home.flash.borrow().clone();
    let steps = before.steps();
    scenario.console(&format!("settings set system.hostname {NEW}")).expect("a good name");
    scenario.run_for(Duration::from_secs(5));
    let taken = scenario.home.flash.borrow().steps() - steps;
    assert!(taken > 0, "the change was written");
    for cut in 0..=taken {
        let tear = TEARS[cut as usize % TEARS.len()];
        reboot::reborn("power_cut_during_settings_change", 1, &before, &format!("{cut} {}", index(tear)));
    }
}

fn index(tear: Tear) -> usize {
    TEARS.iter().position(|one| *one == tear).unwrap_or(0)
}

/// Changes the name while the power goes, then starts the last life with what is left.
fn change_until_dark(flash: FakeFlash) {
    let note = reboot::note();
    let (cut, tear) = note.split_once(' ').expect("two numbers");
    let (cut, tear) = (cut.parse().unwrap(), TEARS[tear.parse::<usize>().unwrap()]);
    let mut scenario = Setup { flash, ..Setup::default() }.start();
    scenario.run_for(Duration::from_secs(5));
    let asked = scenario.console("settings get system.hostname").expect("an answer");
    assert!(asked.contains(OLD), "{asked}");
    scenario.home.flash.borrow_mut().cut_after(Cut { after: cut, tear });
    let answer = scenario.console(&format!("settings set system.hostname {NEW}"));
    let told = answer.is_ok_and(|text| !text.contains("lost"));
    scenario.run_for(Duration::from_secs(5));
    let mut left = scenario.home.flash.borrow().clone();
    left.power_on();
    let note = format!("{note} {}", told);
    reboot::reborn("power_cut_during_settings_change", 2, &left, &note);
}

/// The router is there and has one name or the other; the new one for sure if that is what was said.
fn come_back(flash: FakeFlash) {
    let saved = reboot::note().ends_with("true");
    let mut scenario = Setup { flash, ..Setup::default() }.start();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");
    let name = scenario.console("settings get system.hostname").expect("an answer");
    assert!(name.contains(NEW) || (!saved && name.contains(OLD)), "it calls itself {name}, saved: {saved}");
    let called = if name.contains(NEW) { NEW } else { OLD };
    let answer = scenario.look_up(laptop, &format!("{called}.home.arpa"));
    assert_eq!(answer, Some(dialtone_netsim::dns_message::Answer::Addresses(vec![ROUTER])));
    assert!(scenario.fetch(laptop, ROUTER, "/").is_some());
    // And what is set now, stays.
    scenario.console("settings set system.hostname kitchen").expect("it can be changed again");
    let left = scenario.home.flash.borrow().clone();
    assert!(!left.is_dark());
}
