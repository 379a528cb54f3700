//! Forwarding and do-not-disturb switched at the handset outlive a power cut, and so does the list of calls. A cut at any step of writing such a
//! change leaves the line as it was or as it was to be.

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::Handset;
use dialtone_hal_testkit::{Cut, FakeFlash, Tear};
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::telephone::{call, wait, with_plain_voice};
use dialtone_scenarios::{Scenario, Setup, reboot};

const TEARS: [Tear; 4] = [Tear::Nothing, Tear::FirstHalf, Tear::Bits(7), Tear::Everything];
const NAME: &str = "features_survive_a_reboot";
const FORWARD: &str = "settings get telephony.lines.0.forward_no_answer";
const SILENT: &str = "settings get telephony.lines.1.do_not_disturb";

#[test]
fn features_survive_a_reboot() {
    let (life, flash) = reboot::life();
    match life {
        0 => switch_everything(),
        1 => all_is_there(flash.expect("the first life left one")),
        2 => switch_until_dark(flash.expect("the first life left one")),
        _ => old_or_new(flash.expect("the life before left one")),
    }
}

fn start(flash: Option<FakeFlash>) -> Scenario {
    let (mut setup, _operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    if let Some(flash) = flash {
        setup.flash = flash;
        setup.settings = |_| {};
    }
    let mut scenario = setup.start();
    scenario.expect_registered(Duration::from_secs(30));
    scenario
}

/// Codes at both telephones and a call; then the power goes.
fn switch_everything() {
    let mut scenario = start(None);
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    let before = scenario.home.flash.borrow().clone();
    let caller = ann.clone();
    scenario.script("a code", Duration::from_secs(30), forward(ann.clone()));
    scenario.run_for(Duration::from_secs(5));
    let steps = scenario.home.flash.borrow().steps() - before.steps();
    assert!(steps > 0, "the change was written");
    scenario.script("another code, and a call", Duration::from_secs(30), async move {
        call(&bob, "*78").await;
        wait(2).await;
        bob.hang_up().await;
        call(&caller, "600#").await;
        wait(3).await;
        caller.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(5));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 600: answered"), "{calls}");
    let flash = scenario.home.flash.borrow().clone();
    reboot::reborn(NAME, 1, &flash, "");
    println!("seed {}: {steps} steps", scenario.seed());
    // Each is a life of its own, in a process of its own: a few at a time.
    let seed = scenario.seed();
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let cut = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if cut > steps {
                        break;
                    }
                    // In the middle one word after the other is written: every third will do, the seed says which.
                    if (6..steps - 6).contains(&cut) && !(cut + seed).is_multiple_of(3) {
                        continue;
                    }
                    reboot::reborn(NAME, 2, &before, &format!("{cut} {}", cut as usize % TEARS.len()));
                }
            });
        }
    });
}

async fn forward(phone: Handset) {
    call(&phone, "*92600#").await;
    wait(2).await;
    phone.hang_up().await;
}

fn all_is_there(flash: FakeFlash) {
    let mut scenario = start(Some(flash));
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    assert!(scenario.console(FORWARD).unwrap().contains("600"));
    assert!(scenario.console(SILENT).unwrap().contains("true"));
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 600: answered"), "{calls}");
    // And in force: the telephone does not ring, the dial tone says so.
    scenario.script("do not disturb", Duration::from_secs(30), async move {
        call(&ann, "5552#").await;
        assert!(!bob.until_rings(Duration::from_secs(4)).await, "it does not ring");
        ann.hang_up().await;
        bob.lift().await;
        let heard = bob.listen(Duration::from_secs(1)).await;
        let gap = dialtone_scenarios::telephone::longest_gap(&heard, bob.sample_rate, 440.0);
        assert!(gap >= Duration::from_millis(60), "the dial tone stutters");
        bob.hang_up().await;
    });
}

fn switch_until_dark(flash: FakeFlash) {
    let note = reboot::note();
    let (cut, tear) = note.split_once(' ').expect("two numbers");
    let (cut, tear) = (cut.parse().unwrap(), TEARS[tear.parse::<usize>().unwrap()]);
    let mut scenario = start(Some(flash));
    let ann = scenario.telephone(0);
    scenario.home.flash.borrow_mut().cut_after(Cut { after: cut, tear });
    scenario.script("a code", Duration::from_secs(30), forward(ann));
    scenario.run_for(Duration::from_secs(5));
    let mut left = scenario.home.flash.borrow().clone();
    left.power_on();
    reboot::reborn(NAME, 3, &left, &note);
}

fn old_or_new(flash: FakeFlash) {
    let mut scenario = start(Some(flash));
    let set = scenario.console(FORWARD).expect("an answer");
    assert!(["600", ""].contains(&set.trim().trim_matches('"')), "{set}");
    assert!(scenario.console(SILENT).unwrap().contains("false"));
    let phone = scenario.console("phone").unwrap();
    assert!(phone.contains("number 5551 (account 0): registered"), "{phone}");
}
