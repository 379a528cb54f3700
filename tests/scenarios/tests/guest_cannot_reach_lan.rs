//! A guest reaches the internet and nothing else: not the LAN, not other guests, not the router's page.

use std::net::SocketAddrV4;

use dialtone_base::Duration;
use dialtone_scenarios::{GUEST_ROUTER, ROUTER, Scenario, Setup, guests_welcome};

#[test]
fn guest_cannot_reach_lan() {
    let mut scenario = Setup { settings: guests_welcome, ..Setup::default() }.start();
    scenario.expect_wan();
    let (lan, guests) = (scenario.home.lan, scenario.home.guest);
    let laptop = scenario.join(lan[0], "laptop");
    let printer = scenario.join(lan[1], "printer");
    let guest = scenario.join(guests[0], "guest");
    let other = scenario.join(guests[1], "other-guest");
    let address = |scenario: &Scenario, device| scenario.address(device).unwrap();
    let (laptops, printers) = (address(&scenario, laptop), address(&scenario, printer));
    let (guest_s, others) = (address(&scenario, guest), address(&scenario, other));

    for port in [80, 443, 445] {
        scenario.world().device(printer).tcp_listen(port);
        assert!(scenario.connect(guest, SocketAddrV4::new(printers, port)).is_none(), "port {port}");
    }
    for target in [laptops, printers, others] {
        assert!(!scenario.ping(guest, target), "{target}");
    }
    scenario.world().device(other).tcp_listen(80);
    assert!(scenario.connect(guest, SocketAddrV4::new(others, 80)).is_none());
    for router in [ROUTER, GUEST_ROUTER] {
        assert!(scenario.fetch(guest, router, "/").is_none(), "the router's page on {router}");
    }

    // UDP: nothing of it arrives.
    let listener = scenario.world().device(printer).udp_bind(5353);
    let socket = scenario.world().device(guest).udp_bind(0);
    scenario.world().device(guest).udp_send(socket, SocketAddrV4::new(printers, 5353), b"who is there?");
    scenario.run_for(Duration::from_secs(3));
    assert!(scenario.world().device(printer).udp_receive(listener).is_none());

    // And the other way round, what is meant to work does.
    assert!(scenario.reaches_far_side(guest));
    assert!(scenario.ping(laptop, printers));
    assert!(scenario.fetch(laptop, ROUTER, "/").is_some());
    assert_ne!(guest_s.octets()[2], laptops.octets()[2]);
}
