//! A device that scans with 200 000 UDP packets fills the flow table; an established TCP flow and DNS do not notice.

use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Duration, Instant, MacAddress};
use dialtone_netsim::board::FIRST_MAC;
use dialtone_netsim::dns_message::Answer;
use dialtone_netsim::packet::{Datagram, udp_frame};
use dialtone_netsim::peer::{Echo, FarSide, Peer};
use dialtone_scenarios::{EXAMPLE, Scenario, Setup};

const PACKETS: u32 = 200_000;
const PER_STEP: u32 = 500;

/// Echoes TCP and keeps quiet about datagrams.
struct Quiet;

impl FarSide for Quiet {
    fn open(&mut self, _from: SocketAddrV4, _to: SocketAddrV4) -> Box<dyn Peer> {
        Box::new(Echo)
    }

    fn datagram(&mut self, _now: Instant, _datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn udp_scan_of_200000_does_not_hurt_established_flows() {
    let mut scenario = Setup { far_side: Box::new(Quiet), ..Setup::default() }.start();
    scenario.expect_wan();
    let lan = scenario.home.lan;
    let laptop = scenario.join(lan[0], "laptop");
    let scanner = scenario.join(lan[1], "scanner");
    let flow = scenario.connect(laptop, SocketAddrV4::new(EXAMPLE.1, 443)).expect("the far side answers");
    assert!(scenario.echo(laptop, flow, b"before", Duration::from_secs(10)));
    // The table's size is the promise's.
    assert_eq!(scenario.counters().flows.capacity, 65_536);

    let from = SocketAddrV4::new(scenario.address(scanner).unwrap(), 40_000);
    let mac = scenario.world().device(scanner).mac();
    let router = router_mac(&mut scenario, scanner);
    let mut sent = 0;
    while sent < PACKETS {
        for number in sent..sent + PER_STEP {
            let to = SocketAddrV4::new(
                Ipv4Addr::from_bits(0xc633_0000 + (number >> 8)),
                1 + (number & 0xff) as u16,
            );
            let from = SocketAddrV4::new(*from.ip(), 1024 + (number % 60_000) as u16);
            let frame = udp_frame(mac, router, Datagram { from, to, payload: b"scan" });
            scenario.world().device(scanner).send_frame(frame);
        }
        sent += PER_STEP;
        scenario.run_for(Duration::from_millis(10));
        if sent % 20_000 == 0 {
            let line = format!("still here after {sent}");
            assert!(scenario.echo(laptop, flow, line.as_bytes(), Duration::from_secs(5)), "{line}");
            let asked = scenario.now();
            let said = scenario.look_up(laptop, &format!("nobody-{sent}.test"));
            assert_eq!(said, Some(Answer::NoSuchName), "after {sent}");
            let took = scenario.now().since(asked);
            assert!(took < Duration::from_secs(1), "DNS took {took:?} after {sent}");
        }
    }
    let counters = scenario.counters();
    assert!(counters.flows.in_use <= counters.flows.capacity);
    assert!(counters.flows.opened > 100_000, "the scan was worth its name: {:?}", counters.flows);
    assert!(scenario.reaches_far_side(laptop), "and newcomers find room");
}

/// The address a device sends to when it sends to the router: it answers pings from there.
fn router_mac(scenario: &mut Scenario, device: dialtone_netsim::world::DeviceId) -> MacAddress {
    scenario.world().device(device).overhear();
    let gateway = scenario.world().device(device).addresses().unwrap().gateway.unwrap();
    assert!(scenario.ping(device, gateway));
    let own = scenario.world().device(device).mac();
    while let Some(frame) = scenario.world().device(device).heard() {
        if let Some((from, to)) = dialtone_netsim::packet::stations(&frame)
            && to == own
        {
            return from;
        }
    }
    FIRST_MAC
}
