//! The operator is silent for six hours: the home talks to itself and to the internet, the page says what is wrong, few REGISTERs are
//! sent and they are spread, and soon after the operator is back so are the numbers.

use std::cell::RefCell;
use std::rc::Rc;

use dialtone_base::Duration;
use dialtone_hal_testkit::handset::Handset;
use dialtone_netsim::operator::{Operator, Settings as OperatorSettings};
use dialtone_scenarios::telephone::{BUSY, DIAL_TONE, call, tone, wait};
use dialtone_scenarios::{ROUTER, Scenario, Setup};

/// The back-off's longest wait, and what a try takes.
const BACK: Duration = Duration::from_secs(600 + 30);
const HOURS: u64 = 6;

#[test]
fn a_night_without_the_registrar() {
    let (setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    let laptop = scenario.join(scenario.home.lan[0], "laptop");
    scenario.expect_registered(Duration::from_secs(30));
    let sentence = status(&mut scenario, laptop);
    assert!(sentence.contains("Everything is working"), "{sentence}");

    let servers = operator.borrow().settings.servers.clone();
    operator.borrow_mut().faults.gone.extend(servers);
    let dark = scenario.now();
    for hour in 1..HOURS {
        scenario.run_for(Duration::from_secs(3600));
        // A binding lasts an hour: until then calls might come.
        assert!(scenario.registered() == 0 || hour == 1, "hour {hour}");
        if hour == 3 {
            inside(&mut scenario, ann.clone(), bob.clone());
            assert!(scenario.reaches_far_side(laptop), "the internet works");
            let sentence = status(&mut scenario, laptop);
            assert!(
                sentence.contains("the telephone number 5551 cannot be used: the operator does not answer"),
                "{sentence}"
            );
        }
    }
    let left = (dark + Duration::from_secs(HOURS * 3600)).since(scenario.now());
    scenario.run_for(left);
    registers(&operator);

    operator.borrow_mut().faults.gone.clear();
    let back = scenario.now();
    scenario.expect_registered(BACK);
    println!(
        "seed {}: both registered {} s after the operator was back",
        scenario.seed(),
        scenario.now().since(back).as_secs()
    );
    let caller = ann.clone();
    scenario.script("a call to the echo", Duration::from_secs(20), async move {
        call(&caller, "600#").await;
        wait(1).await;
        caller.say(&tone(&caller, 1000.0, 10));
        assert!(caller.until_hears(&[1000.0], Duration::from_secs(5)).await, "the echo");
        caller.hang_up().await;
    });
    scenario.run_for(Duration::from_secs(3));
    let sentence = status(&mut scenario, laptop);
    assert!(sentence.contains("Everything is working"), "{sentence}");
}

/// What was sent into the void: how many datagrams, in how many tries, how far apart.
fn registers(operator: &Rc<RefCell<Operator>>) {
    let at: Vec<u64> = operator.borrow().unheard.iter().map(|at| at.as_secs()).collect();
    let most_in_a_minute =
        at.iter().map(|from| at.iter().filter(|at| (*from..from + 60).contains(at)).count()).max().unwrap();
    println!("{} REGISTERs into the void in {HOURS} hours, at most {most_in_a_minute} in a minute", at.len());
    // Each of two numbers tries every 450 s in the middle, at two servers, and a try is up to eleven datagrams (timer E).
    assert!(
        at.len() as u64 <= HOURS * 3600 / 450 * 2 * 2 * 11,
        "{} datagrams for two numbers in {HOURS} hours",
        at.len()
    );
    assert!(most_in_a_minute <= 60, "{most_in_a_minute} datagrams in one minute");
    let longest = at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    // The first two hours are those in which the binding is still good.
    assert!(longest <= 3700, "{longest} s without a try");
}

fn inside(scenario: &mut Scenario, ann: Handset, bob: Handset) {
    scenario.script("a call inside the home", Duration::from_secs(30), async move {
        ann.lift().await;
        assert!(ann.until_hears(&BUSY, Duration::from_secs(2)).await, "a tone for no service");
        assert!(!ann.hears(&DIAL_TONE));
        ann.dial("**2").await;
        assert!(bob.until_rings(Duration::from_secs(3)).await, "the other telephone rings");
        bob.lift().await;
        ann.say(&tone(&ann, 1000.0, 5));
        assert!(bob.until_hears(&[1000.0], Duration::from_secs(3)).await, "the caller is heard");
        bob.hang_up().await;
        ann.hang_up().await;
    });
}

fn status(scenario: &mut Scenario, laptop: dialtone_netsim::world::DeviceId) -> String {
    scenario.run_for(Duration::from_secs(2));
    scenario.fetch(laptop, ROUTER, "/api/status").expect("the page is there")
}
