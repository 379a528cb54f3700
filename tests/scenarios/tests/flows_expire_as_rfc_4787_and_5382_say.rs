//! Flows live as long as RFC 4787 (UDP), RFC 5382 and 7857 (TCP) and RFC 5508 (ICMP) promise, and not much longer.

use std::net::SocketAddrV4;

use dialtone_base::Duration;
use dialtone_netsim::world::DeviceId;
use dialtone_netsim::{SocketHandle, tcp};
use dialtone_scenarios::{EXAMPLE, Scenario};

const PLACE: SocketAddrV4 = SocketAddrV4::new(EXAMPLE.1, 7000);

#[test]
fn flows_expire_as_rfc_4787_and_5382_say() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");

    // RFC 4787 REQ-5: a UDP mapping lives at least two minutes; five are recommended.
    let socket = scenario.world().device(laptop).udp_bind(0);
    let outside = outside_of(&mut scenario, laptop, socket);
    for minutes in [1, 2, 4] {
        scenario.world().device(laptop).udp_send(socket, PLACE, b"refresh");
        drain(&mut scenario, laptop, socket);
        scenario.run_for(Duration::from_secs(minutes * 60 - 5));
        assert!(arrives(&mut scenario, laptop, socket, outside), "after almost {minutes} minutes");
    }
    scenario.world().device(laptop).udp_send(socket, PLACE, b"last");
    drain(&mut scenario, laptop, socket);
    scenario.run_for(Duration::from_secs(11 * 60));
    assert!(!arrives(&mut scenario, laptop, socket, outside), "a mapping nobody used is gone");

    // RFC 5508 REQ-2: a query session lives at least 60 seconds; then it is gone.
    assert!(scenario.ping(laptop, EXAMPLE.1));
    let with_ping = scenario.counters().flows.in_use;
    scenario.run_for(Duration::from_secs(15 * 60));
    assert!(scenario.counters().flows.in_use < with_ping);

    // RFC 5382 REQ-5: an established connection may be silent for two hours and four minutes.
    let flow = scenario.connect(laptop, PLACE).expect("the far side answers");
    assert!(scenario.echo(laptop, flow, b"hello", Duration::from_secs(5)));
    scenario.run_for(Duration::from_secs(2 * 3600 + 4 * 60 - 30));
    assert!(scenario.echo(laptop, flow, b"still there", Duration::from_secs(5)));

    // RFC 7857, section 2: after both FINs it is transitory, four minutes.
    let open = scenario.counters().flows.in_use;
    scenario.world().device(laptop).tcp(flow).close();
    scenario.expect("both sides close", Duration::from_secs(30), |world| {
        matches!(world.device(laptop).tcp(flow).state(), tcp::State::TimeWait | tcp::State::Closed)
    });
    scenario.run_for(Duration::from_secs(6 * 60));
    assert!(scenario.counters().flows.in_use < open, "a closed connection makes room");
}

/// What the far side sees of a socket of ours.
fn outside_of(scenario: &mut Scenario, device: DeviceId, socket: SocketHandle) -> SocketAddrV4 {
    let wan = scenario.home.router.current_wan().address.unwrap().address();
    let port = scenario.world().device(device).udp_port(socket);
    scenario.world().device(device).udp_send(socket, PLACE, b"hello");
    drain(scenario, device, socket);
    // Port preservation where the port is free (RFC 4787, section 4.2.1): nobody else is at home.
    SocketAddrV4::new(wan, port)
}

fn drain(scenario: &mut Scenario, device: DeviceId, socket: SocketHandle) {
    let echoed = scenario
        .run_until(Duration::from_secs(5), |world| world.device(device).udp_receive(socket).is_some());
    assert!(echoed, "the far side echoes");
}

fn arrives(scenario: &mut Scenario, device: DeviceId, socket: SocketHandle, outside: SocketAddrV4) -> bool {
    scenario.world().isp.send_udp(PLACE, outside, b"are you there?");
    scenario.run_until(Duration::from_secs(3), |world| world.device(device).udp_receive(socket).is_some())
}
