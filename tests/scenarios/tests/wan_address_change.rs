//! When the ISP moves the router to another address or another network, old flows end and new ones work.

use std::net::Ipv4Addr;

use dialtone_base::{Duration, Ipv4Prefix};
use dialtone_netsim::board::FIRST_MAC;
use dialtone_netsim::tcp;
use dialtone_scenarios::{EXAMPLE, Scenario};

#[test]
fn wan_address_change() {
    let mut scenario = Scenario::new();
    let old = scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");
    let place = std::net::SocketAddrV4::new(EXAMPLE.1, 443);
    let flow = scenario.connect(laptop, place).expect("the far side answers");
    assert!(scenario.echo(laptop, flow, b"before", Duration::from_secs(10)));

    let new = Ipv4Addr::new(198, 51, 100, 200);
    assert_ne!(old, new);
    scenario.world().isp.dhcp.assign(FIRST_MAC, new);
    let router = scenario.home.router;
    scenario.expect("the renewal is refused and the new address taken", Duration::from_secs(3700), |_| {
        router.current_wan().address.is_some_and(|prefix| prefix.address() == new)
    });
    assert!(
        !scenario.echo(laptop, flow, b"after", Duration::from_secs(10)),
        "the far side knows no such flow"
    );
    let state = scenario.world().device(laptop).tcp(flow).state();
    assert_ne!(state, tcp::State::TimeWait);
    assert!(scenario.reaches_far_side(laptop));

    // Another network altogether, with the cable out for a moment.
    let gateway = Ipv4Prefix::new(Ipv4Addr::new(192, 0, 2, 1), 24).unwrap();
    let wan = scenario.home.wan;
    scenario.world().link(wan, false);
    scenario.run_for(Duration::from_secs(10));
    scenario.world().isp.renumber(gateway);
    scenario.world().link(wan, true);
    scenario.expect("an address on the new network", Duration::from_secs(120), |_| {
        router.current_wan().address.is_some_and(|prefix| gateway.contains(prefix.address()))
    });
    assert!(scenario.reaches_far_side(laptop));
}
