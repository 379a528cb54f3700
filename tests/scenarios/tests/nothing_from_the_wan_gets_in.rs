//! From the WAN nothing gets in that nobody in the home asked for: no port answers, not the router's, not a device's.

use std::net::SocketAddrV4;

use dialtone_base::Duration;
use dialtone_netsim::packet::{self, Parsed};
use dialtone_netsim::tcp;
use dialtone_scenarios::{EXAMPLE, OTHER, Scenario};

#[test]
fn nothing_from_the_wan_gets_in() {
    let mut scenario = Scenario::new();
    let wan = scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");
    let laptops = scenario.address(laptop).unwrap();
    let socket = scenario.world().device(laptop).udp_bind(5353);
    scenario.world().device(laptop).tcp_listen(22);
    assert!(scenario.reaches_far_side(laptop), "the router's own gateway is known now");

    // TCP to the router's well-known and other ports, and routed straight at the laptop.
    let mut knocks = Vec::new();
    for port in [22, 23, 53, 80, 443, 853, 8080, 49_152, 60_000] {
        for target in [wan, laptops] {
            let from = SocketAddrV4::new(EXAMPLE.1, 40_000 + port % 1000);
            let to = SocketAddrV4::new(target, port);
            let mut world = scenario.world();
            if let Ok(handle) = world.isp.host.tcp_connect_from(from, to) {
                knocks.push((handle, to));
            }
        }
    }
    // UDP likewise.
    scenario.world().isp.host.overhear();
    for port in [53, 67, 68, 123, 161, 1900, 5353, 33_434] {
        let from = SocketAddrV4::new(OTHER.1, 53);
        scenario.world().isp.send_udp(from, SocketAddrV4::new(wan, port), b"anybody in there?");
    }
    scenario.run_for(Duration::from_secs(10));
    for (handle, to) in knocks {
        let state = scenario.world().isp.host.tcp(handle).state();
        assert!(matches!(state, tcp::State::SynSent | tcp::State::Closed), "{to} answered: {state}");
    }
    while let Some(frame) = scenario.world().isp.host.heard() {
        if let Parsed::Udp(datagram) = packet::parse(&frame) {
            assert_ne!(datagram.to.ip(), &OTHER.1, "an answer from port {}", datagram.from.port());
        }
    }
    assert!(scenario.world().device(laptop).udp_receive(socket).is_none());

    // What the home asked for still gets in, and only from where it was asked.
    let asking = scenario.world().device(laptop).udp_bind(0);
    let port = scenario.world().device(laptop).udp_port(asking);
    let place = SocketAddrV4::new(EXAMPLE.1, 7000);
    scenario.world().device(laptop).udp_send(asking, place, b"hello");
    scenario.expect("the far side echoes", Duration::from_secs(5), |world| {
        world.device(laptop).udp_receive(asking).is_some()
    });
    let outside = SocketAddrV4::new(wan, port);
    for (from, welcome) in [
        // Address-dependent filtering is how it comes out of the box (RFC 4787, section 5).
        (SocketAddrV4::new(OTHER.1, 7000), false),
        (SocketAddrV4::new(EXAMPLE.1, 7001), true),
    ] {
        scenario.world().isp.send_udp(from, outside, b"me too");
        let came = scenario
            .run_until(Duration::from_secs(2), |world| world.device(laptop).udp_receive(asking).is_some());
        assert_eq!(came, welcome, "from {from}");
    }
}
