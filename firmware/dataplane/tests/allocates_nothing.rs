//! After construction the packet path neither allocates nor frees: new flows, evictions, expiry, ARP, ICMP, fragments.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dialtone_base::frame::PoolSize;
use dialtone_base::{Duration, FramePool, Instant, MacAddress, PortId, Random, Seed, Zone};
use dialtone_dataplane::fuzz::Target;
use dialtone_dataplane::{Command, Config, Dataplane, Ingress, Limits, Output, PortConfig, Verdict, Wan};
use dialtone_wire::build::{End, udp_frame};

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn calls() -> usize {
    CALLS.with(Cell::get)
}

#[test]
fn forwarding_evicting_and_expiring_allocate_nothing() {
    let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 });
    let port = |id, zone| PortConfig {
        id: PortId(id),
        zone,
        mac: MacAddress([2, 0, 0, 0, 1, id]),
        mtu: 1500,
        segmentation: false,
    };
    let ports = [port(0, Zone::Wan), port(1, Zone::Lan)];
    let mut plane = Dataplane::new(Limits::SMALL, &ports, pool, Seed::from_number(1));
    let gateway = "203.0.113.1".parse().unwrap();
    let wan = Wan { address: "203.0.113.5/24".parse().unwrap(), gateway: Some(gateway), mtu: Some(1000) };
    let config = Config { lan: "192.168.77.1/24".parse().ok(), wan: Some(wan), ..Config::default() };
    let mut now = Instant::from_secs(1);
    plane.configure(now, &config);
    let mac = MacAddress([2, 0, 0, 0, 9, 9]);
    plane.command(now, Command::PinNeighbor { zone: Zone::Wan, address: gateway, mac });
    plane.command(now, Command::Trace { filter: Default::default(), packets: 100 });
    let before = calls();
    for number in 0..20_000_u32 {
        let mut frame = pool.take(1400).unwrap();
        let address = core::net::Ipv4Addr::new(192, 168, 77, 10 + (number % 20) as u8);
        let port = 1024 + (number % 50_000) as u16;
        let source = End { mac: MacAddress([2, 0, 0, 0, 7, number as u8 % 20]), address, port };
        let to =
            End { mac: MacAddress([2, 0, 0, 0, 1, 1]), address: "198.51.100.1".parse().unwrap(), port: 53 };
        udp_frame(frame.bytes_mut(), source, to, &[0; 1300]).unwrap();
        if plane.process(now, Ingress::Port(PortId(1)), &mut frame) == Verdict::Held {
            plane.hold(now, frame);
        }
        if number % 100 == 0 {
            now += Duration::from_secs(7);
        }
        while !matches!(plane.poll(now), Output::Wait(_)) {}
    }
    assert_eq!(calls(), before);
    assert!(plane.snapshot().flows.opened > 10_000);
    assert!(plane.snapshot().flows.evicted > 1_000);
}

#[test]
fn random_frames_and_configurations_allocate_nothing() {
    let mut target = Target::new();
    let mut random = Random::new(Seed::from_number(9));
    let before = calls();
    for _ in 0..10_000 {
        let mut data = [0; 48];
        random.fill(&mut data);
        data[1] = 46;
        target.play(&data);
    }
    assert_eq!(calls(), before);
}
