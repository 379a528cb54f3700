//! Voice leaves first: beside an upload that fills a slow street, marked packets arrive in time, and marking everything gains little.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::rc::Rc;

use dialtone_base::{Duration, Instant, MacAddress};
use dialtone_netsim::Quality;
use dialtone_netsim::board::FIRST_MAC;
use dialtone_netsim::packet::{self, Datagram};
use dialtone_netsim::peer::{Echo, FarSide, Peer};
use dialtone_netsim::world::DeviceId;
use dialtone_scenarios::{EXAMPLE, Scenario, Setup};

/// Who is called, who is uploaded to, and where a well-behaved neighbour's packets go.
const CALLED: u16 = 40_000;
const UPLOADED_TO: u16 = 40_001;
const NEIGHBOR: u16 = 40_002;
/// EF of RFC 3246, as a whole octet.
const EXPEDITED: u8 = 46 << 2;

/// What arrived: port, number in the packet, when.
type Arrivals = Rc<RefCell<Vec<(u16, u32, Instant)>>>;

struct Listener(Arrivals);

impl FarSide for Listener {
    fn open(&mut self, _from: SocketAddrV4, _to: SocketAddrV4) -> Box<dyn Peer> {
        Box::new(Echo)
    }

    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        let number = u32::from_be_bytes(datagram.payload.get(..4)?.try_into().ok()?);
        self.0.borrow_mut().push((datagram.to.port(), number, now));
        None
    }
}

/// Sends a numbered packet of `length` bytes of payload, marked.
fn send(scenario: &Scenario, device: DeviceId, port: u16, class: u8, number: u32, length: usize) {
    let mut world = scenario.world();
    let host = world.device(device);
    let address = host.address().expect("it has a lease");
    let mut payload = vec![0; length];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    let (from, to) = (SocketAddrV4::new(address, port), SocketAddrV4::new(EXAMPLE.1, port));
    let mut router = FIRST_MAC;
    router.0[5] += 1;
    let router: MacAddress = router;
    let mut frame = packet::udp_frame(host.mac(), router, Datagram { from, to, payload: &payload });
    // The class of service, and the header's checksum again.
    frame[15] = class;
    frame[24..26].fill(0);
    let sum: u32 =
        frame[14..34].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!sum as u16).to_be_bytes());
    host.send_frame(frame);
    world.touch();
}

/// Two seconds of a call beside twice the upload that fits; the call's delays in order of arrival.
fn call_beside_upload(
    scenario: &mut Scenario,
    [caller, uploader]: [DeviceId; 2],
    arrivals: &Arrivals,
    [call_class, upload_class]: [u8; 2],
) -> Vec<Duration> {
    arrivals.borrow_mut().clear();
    let mut sent = Vec::new();
    for tick in 0..400_u32 {
        send(scenario, uploader, UPLOADED_TO, upload_class, tick, 1250);
        send(scenario, uploader, UPLOADED_TO, upload_class, tick, 1250);
        if tick % 4 == 0 {
            send(scenario, caller, CALLED, call_class, sent.len() as u32, 172);
            sent.push(scenario.now());
        }
        if tick % 20 == 0 {
            send(scenario, caller, NEIGHBOR, 0, tick, 100);
        }
        scenario.run_for(Duration::from_millis(5));
    }
    // Until the last has arrived.
    scenario.run_for(Duration::from_secs(6));
    let arrivals = arrivals.borrow();
    let calls = arrivals.iter().filter(|(port, _, _)| *port == CALLED);
    calls.map(|(_, number, at)| at.since(sent[*number as usize])).collect()
}

#[test]
fn voice_leaves_first() {
    let arrivals = Arrivals::default();
    // Two megabits a second; the cable's own buffer is 50 ms of that.
    let street = Quality { rate: Some(2_000_000), ..Quality::delay(Duration::from_millis(5)) };
    let far_side = Box::new(Listener(arrivals.clone()));
    let mut scenario = Setup { street, far_side, ..Setup::default() }.start();
    scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let devices = [scenario.join(lan, "phone"), scenario.join(lan, "laptop")];

    let waiting = call_beside_upload(&mut scenario, devices, &arrivals, [0, 0]);
    let slowest = waiting.iter().max().copied().unwrap_or(Duration::from_secs(9));
    assert!(waiting.len() < 100 || slowest > Duration::from_millis(500), "the street was full: {slowest:?}");

    let marked = call_beside_upload(&mut scenario, devices, &arrivals, [EXPEDITED, 0]);
    let slowest = marked.iter().max().copied().expect("some arrived");
    assert_eq!(marked.len(), 100, "no packet of the call was lost");
    assert!(slowest < Duration::from_millis(80), "one took {slowest:?}");

    // Somebody marks the upload: the rest of the home keeps more than half of the street, in its own order.
    call_beside_upload(&mut scenario, devices, &arrivals, [0, EXPEDITED]);
    let first = arrivals.borrow().iter().filter(|(port, _, _)| *port == NEIGHBOR).count();
    assert!(first >= 10, "{first} of the neighbour's 20 packets");
    let expedited = scenario.home.router;
    scenario.run_for(Duration::from_secs(2));
    let counters = critical_section::with(|token| expedited.expedited.borrow_ref(token).clone());
    let over = counters.of(dialtone_services::voice_first::Expedited::OverBudget);
    assert!(over > 100, "{over} beyond the budget");
    let said = scenario.console("counters").expect("counters");
    assert!(said.contains("home-voice-over-budget"), "{said}");
}
