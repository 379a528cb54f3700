//! The ISP gives the router another address in the middle of a call: the sound comes back within seconds, the operator learns where the
//! numbers are now, and the call ends as it should.

use dialtone_base::{Duration, Ipv4Prefix};
use dialtone_netsim::board::FIRST_MAC;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{call, tone, wait, with_plain_voice};

#[test]
fn the_wan_address_changes_in_mid_call() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = with_plain_voice;
    setup.isp.lease_seconds = 120;
    let mut scenario = setup.start();
    let ann = scenario.telephone(0);
    scenario.expect_registered(Duration::from_secs(30));
    let before = scenario.expect_wan();
    let caller = ann.clone();
    scenario.script("a call to the echo", Duration::from_secs(20), async move {
        call(&caller, "600#").await;
        wait(1).await;
        caller.say(&tone(&caller, 1000.0, 150));
        assert!(caller.until_hears(&[1000.0], Duration::from_secs(5)).await, "the echo");
    });

    // The modem loses its line for three seconds and comes back in another network.
    let gateway = Ipv4Prefix::new(std::net::Ipv4Addr::new(192, 0, 2, 1), 24).unwrap();
    let wan = scenario.home.wan;
    scenario.world().link(wan, false);
    scenario.run_for(Duration::from_secs(3));
    assert!(!ann.hears(&[1000.0]), "the line is dead");
    scenario.world().isp.renumber(gateway);
    scenario.world().link(wan, true);
    let router = scenario.home.router;
    scenario.expect("an address on the new network", Duration::from_secs(30), |_| {
        router.current_wan().address.is_some_and(|prefix| gateway.contains(prefix.address()))
    });
    assert_ne!(before, scenario.expect_wan());
    let moved = scenario.now();
    let listener = ann.clone();
    let heard = scenario.script("the echo is back", Duration::from_secs(20), async move {
        listener.until_hears(&[1000.0], Duration::from_secs(10)).await
    });
    assert!(heard, "seed {}: {:?}", scenario.seed(), scenario.console("phone"));
    println!(
        "seed {}: the echo is back {} ms after the new address came",
        scenario.seed(),
        scenario.now().since(moved).as_millis()
    );

    // Then the next renewal is refused: another address from one moment to the next.
    let third = std::net::Ipv4Addr::new(192, 0, 2, 200);
    scenario.world().isp.dhcp.assign(FIRST_MAC, third);
    scenario.expect("the third address", Duration::from_secs(120), |_| {
        router.current_wan().address.is_some_and(|prefix| prefix.address() == third)
    });
    let (moved, listener) = (scenario.now(), ann.clone());
    let heard = scenario.script("the echo is back again", Duration::from_secs(20), async move {
        // What is on its way still comes.
        wait(1).await;
        listener.until_hears(&[1000.0], Duration::from_secs(10)).await
    });
    assert!(heard, "seed {}: {:?}", scenario.seed(), scenario.console("phone"));
    println!("and {} ms after the third", scenario.now().since(moved).as_millis());
    let after = third;

    let known = |operator: &dialtone_netsim::operator::Operator, now, user: &str| {
        let bindings = operator.bindings(now, user);
        bindings.iter().any(|binding| binding.contact.contains(&after.to_string()))
    };
    let at = scenario.now();
    scenario.expect("the operator knows the new address", Duration::from_secs(10), |_| {
        let operator = operator.borrow();
        known(&operator, at, "5551") && known(&operator, at, "5552")
    });
    scenario.script("hanging up", Duration::from_secs(5), async move {
        ann.hang_up().await;
    });
    scenario.expect("the operator was told that it is over", Duration::from_secs(5), |_| {
        operator.borrow().busy_with() == 0
    });
    let calls = scenario.console("calls").unwrap();
    assert!(calls.contains("to 600: answered"), "{calls}");
}
