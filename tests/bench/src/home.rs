//! The home that is measured: 250 devices behind the router, one UDP flow per number, 64-byte frames.
//!
//! Flow `n` belongs to device `n % 250`, has its own inside port and one of 200 far ends, so 64 000 flows are 64 000
//! mappings. Neighbors are pinned: ARP is not what is measured.

use core::net::Ipv4Addr;

use dialtone_base::frame::PoolSize;
use dialtone_base::{Frame, FramePool, Instant, Ipv4Prefix, MacAddress, PortId, Seed, Zone};
use dialtone_dataplane::{Command, Config, Dataplane, Ingress, Limits, Output, PortConfig, Verdict, Wan};
use dialtone_wire::build::{self, End};

/// The port to the operator.
pub const WAN: PortId = PortId(0);
/// The port to the devices.
pub const LAN: PortId = PortId(1);
/// The router's address outside.
pub const WAN_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// The router's MAC outside.
pub const WAN_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xf0]);
/// The router's MAC inside.
pub const LAN_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xf1]);
/// The operator's next hop.
pub const GATEWAY_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xfe]);

const LAN_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const DEVICES: u32 = 250;

/// Which side of the router a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From a device to the far end.
    Inside,
    /// From the far end to a device.
    Outside,
}

impl Side {
    /// As the data plane calls it.
    pub fn ingress(self) -> Ingress {
        Ingress::Port(if self == Self::Inside { LAN } else { WAN })
    }
}

/// The inside end of a flow.
pub fn inside(flow: u32) -> End {
    let device = (flow % DEVICES) as u8;
    End {
        mac: MacAddress([2, 0, 0, 0, 1, device]),
        address: Ipv4Addr::new(192, 168, 77, 2 + device),
        port: 1024 + (flow % 64_000) as u16,
    }
}

/// The far end of a flow, behind the gateway.
pub fn far(flow: u32) -> End {
    End { mac: GATEWAY_MAC, address: Ipv4Addr::new(198, 51, 100, (1 + flow % 200) as u8), port: 443 }
}

/// A 60-byte frame (64 with FCS) from the device.
pub fn outbound(frame: &mut Frame, flow: u32) {
    write(frame, inside(flow), End { mac: LAN_MAC, ..far(flow) });
}

/// A 60-byte frame from the far end to the router's address.
pub fn inbound(frame: &mut Frame, flow: u32, external_port: u16) {
    write(frame, far(flow), End { mac: WAN_MAC, address: WAN_ADDRESS, port: external_port });
}

fn write(frame: &mut Frame, source: End, destination: End) {
    frame.set_len(60);
    build::udp_frame(frame.bytes_mut(), source, destination, &[0x55; 18]).expect("60 bytes fit");
}

/// A stock of frames.
pub fn pool() -> &'static FramePool {
    FramePool::leak(PoolSize { ordinary: 1024, super_frames: 0 })
}

/// The router with everything in place but flows.
pub fn router(pool: &'static FramePool) -> Dataplane {
    let port = |id, zone, mac| PortConfig { id, zone, mac, mtu: 1500, segmentation: false };
    let ports = [port(WAN, Zone::Wan, WAN_MAC), port(LAN, Zone::Lan, LAN_MAC)];
    let mut plane = Dataplane::new(Limits::HOME, &ports, pool, Seed::from_number(1));
    let wan = Wan {
        address: Ipv4Prefix::new(WAN_ADDRESS, 24).expect("a prefix"),
        gateway: Some(GATEWAY),
        mtu: None,
    };
    let config = Config { lan: Ipv4Prefix::new(LAN_ADDRESS, 24), wan: Some(wan), ..Config::default() };
    let now = Instant::START;
    plane.configure(now, &config);
    for device in 0..DEVICES {
        let End { mac, address, .. } = inside(device);
        plane.command(now, Command::PinNeighbor { zone: Zone::Lan, address, mac });
    }
    plane.command(now, Command::PinNeighbor { zone: Zone::Wan, address: GATEWAY, mac: GATEWAY_MAC });
    drain(&mut plane, now);
    plane
}

/// Takes and forgets everything that is to be done.
pub fn drain(plane: &mut Dataplane, now: Instant) {
    while !matches!(plane.poll(now), Output::Wait(_)) {}
}

/// Opens `count` flows and has each answered once; the external port of each.
pub fn open_flows(plane: &mut Dataplane, pool: &'static FramePool, count: u32) -> Vec<u16> {
    let mut frame = pool.take(60).expect("a frame");
    let now = Instant::START;
    (0..count)
        .map(|flow| {
            outbound(&mut frame, flow);
            let verdict = plane.process(now, Side::Inside.ingress(), &mut frame);
            assert_eq!(verdict, Verdict::Forward(WAN), "flow {flow} opens");
            let external = u16::from_be_bytes([frame.bytes()[34], frame.bytes()[35]]);
            inbound(&mut frame, flow, external);
            let verdict = plane.process(now, Side::Outside.ingress(), &mut frame);
            assert_eq!(verdict, Verdict::Forward(LAN), "flow {flow} is answered");
            if flow % 64 == 0 {
                drain(plane, now);
            }
            external
        })
        .collect()
}

/// Numbers below `count` in an order that no prefetcher foresees, each once before any comes again.
pub fn scattered(number: usize, count: u32) -> u32 {
    // A prime above every count, so every number is met.
    (number as u64 * 48_271 % u64::from(count)) as u32
}
