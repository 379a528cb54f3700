//! What a packet costs: cycles of the whole path in memory, without ports.
//!
//! `cargo run --release -p dialtone-dataplane --example cycles`. 64-byte UDP packets and TCP data of established NATed
//! flows, 1 and 64 000 of them in random order, in batches; new flows with room and in a full table. Only
//! `process_batch` is timed. The clock's real frequency is measured with a chain of dependent multiplications.

use core::net::Ipv4Addr;
use std::hint::black_box;
use std::time::Instant as Clock;

use dialtone_base::frame::PoolSize;
use dialtone_base::{Frame, FramePool, Instant, MacAddress, PortId, Random, Seed, Zone};
use dialtone_dataplane::{BATCH, Command, Config, Dataplane, Ingress, Limits, PortConfig, Verdict, Wan};
use dialtone_wire::build::{End, udp_frame};

const FLOWS: usize = 64_000;
const ROUNDS: usize = 15;
const LAN: Ingress = Ingress::Port(PortId(1));
const WAN: Ingress = Ingress::Port(PortId(0));
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

fn main() {
    let hertz = measure_clock();
    println!("clock: {:.2} GHz (measured)", hertz / 1e9);
    println!("{:<44} {:>8} {:>8}", "64-byte packet, NATed", "ns", "cycles");
    for flows in [1, FLOWS] {
        let mut bench = Bench::new(131_072);
        let opened = bench.open(flows);
        let (out, back) = bench.templates(flows);
        let name = |what: &str| format!("{what}, {flows} flow{}", if flows == 1 { "" } else { "s" });
        let row = |what: &str, each: f64| {
            println!("{:<44} {:>8.1} {:>8.0}", name(what), each, each * hertz / 1e9);
        };
        row("established UDP, outbound", bench.measure(LAN, &out));
        row("established UDP, inbound", bench.measure(WAN, &back));
        row("established UDP, outbound, one at a time", bench.measure_single(LAN, &out));
        if flows > 1 {
            row("new flow, table has room", opened);
        }
    }
    let mut bench = Bench::new(16_384);
    bench.open(16_384);
    let flooded = bench.open_more(20_000, 20_000);
    println!(
        "{:<44} {:>8.1} {:>8.0}",
        "new flow, full table (oldest one goes)",
        flooded,
        flooded * hertz / 1e9
    );
    let snapshot = bench.plane.snapshot();
    assert_eq!(snapshot.drops.total(), 0, "{:?}", snapshot.drops_seen().collect::<Vec<_>>());
}

struct Bench {
    plane: Dataplane,
    frames: Vec<Frame>,
    verdicts: [Verdict; BATCH],
    now: Instant,
}

impl Bench {
    fn new(flows: usize) -> Self {
        let pool = FramePool::leak(PoolSize { ordinary: BATCH + 8, super_frames: 0 });
        let port = |id, zone| PortConfig {
            id: PortId(id),
            zone,
            mac: MacAddress([2, 0, 0, 0, 1, id]),
            mtu: 1500,
            segmentation: false,
        };
        let limits = Limits { flows, flows_per_device: flows, ..Limits::HOME };
        let ports = [port(0, Zone::Wan), port(1, Zone::Lan)];
        let mut plane = Dataplane::new(limits, &ports, pool, Seed::from_number(1));
        let now = Instant::from_secs(100);
        let gateway = Ipv4Addr::new(203, 0, 113, 1);
        let wan = Wan { address: "203.0.113.5/24".parse().unwrap(), gateway: Some(gateway), mtu: None };
        let config = Config { lan: "192.168.0.1/16".parse().ok(), wan: Some(wan), ..Config::default() };
        plane.configure(now, &config);
        let mac = MacAddress([2, 0, 0, 0, 9, 9]);
        plane.command(now, Command::PinNeighbor { zone: Zone::Wan, address: gateway, mac });
        let frames = (0..BATCH).map(|_| pool.take(64).unwrap()).collect();
        Self { plane, frames, verdicts: [Verdict::Held; BATCH], now }
    }

    /// Opens flows from the household and lets each be answered once; time per new flow.
    fn open(&mut self, flows: usize) -> f64 {
        let (out, back) = self.templates(flows);
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            self.plane.command(self.now, Command::FlushFlows);
            best = best.min(self.pass(LAN, &out[..flows]));
        }
        self.pass(WAN, &back);
        best
    }

    /// Opens flows nobody answers, beyond what the table holds.
    fn open_more(&mut self, from: usize, count: usize) -> f64 {
        // Nothing may be evicted that was answered a moment ago.
        self.now += dialtone_base::Duration::from_secs(150);
        let mut pass = |from: usize| {
            let frames: Vec<_> = (from..from + count).map(outbound).collect();
            self.pass(LAN, &frames)
        };
        (0..ROUNDS).map(|round| pass(from + round * count)).fold(f64::MAX, f64::min)
    }

    fn templates(&self, flows: usize) -> (Vec<[u8; 64]>, Vec<[u8; 64]>) {
        let mut order: Vec<usize> = (0..flows.max(BATCH * 64)).map(|number| number % flows).collect();
        let mut random = Random::new(Seed::from_number(5));
        if flows > BATCH * 64 {
            for at in (1..order.len()).rev() {
                order.swap(at, random.below(at as u32 + 1) as usize);
            }
        }
        (
            order.iter().map(|flow| outbound(*flow)).collect(),
            order.iter().map(|flow| inbound(*flow)).collect(),
        )
    }

    fn measure(&mut self, from: Ingress, templates: &[[u8; 64]]) -> f64 {
        (0..ROUNDS).map(|_| self.pass(from, templates)).fold(f64::MAX, f64::min)
    }

    /// All templates once, in batches; time per packet inside `process_batch`.
    fn pass(&mut self, from: Ingress, templates: &[[u8; 64]]) -> f64 {
        let mut spent = Vec::new();
        for batch in templates.chunks(BATCH) {
            for (frame, template) in self.frames.iter_mut().zip(batch) {
                frame.bytes_mut().copy_from_slice(template);
            }
            let frames = &mut self.frames[..batch.len()];
            let start = Clock::now();
            let done = self.plane.process_batch(self.now, from, frames, &mut self.verdicts);
            spent.push((start.elapsed().as_nanos() as f64, batch.len()));
            assert_eq!(done, batch.len());
            assert!(
                self.verdicts[..done].iter().all(|verdict| matches!(verdict, Verdict::Forward(_))),
                "{:?}",
                self.verdicts
            );
        }
        typical(&mut spent)
    }

    fn measure_single(&mut self, from: Ingress, templates: &[[u8; 64]]) -> f64 {
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let mut spent = Vec::new();
            for batch in templates.chunks(BATCH) {
                for (frame, template) in self.frames.iter_mut().zip(batch) {
                    frame.bytes_mut().copy_from_slice(template);
                }
                let start = Clock::now();
                for frame in &mut self.frames[..batch.len()] {
                    black_box(self.plane.process(self.now, from, frame));
                }
                spent.push((start.elapsed().as_nanos() as f64, batch.len()));
            }
            best = best.min(typical(&mut spent));
        }
        best
    }
}

fn inside(flow: usize) -> (Ipv4Addr, u16) {
    // External ports are kept: no two flows have the same.
    (Ipv4Addr::new(192, 168, 1 + (flow % 4) as u8, 10), 1024 + (flow % 64_000) as u16)
}

fn outbound(flow: usize) -> [u8; 64] {
    let (address, port) = inside(flow);
    let remote = 53 + (flow / 64_000) as u16;
    template(End { mac: MacAddress([2, 0, 0, 0, 7, 7]), address, port }, 1, SERVER, remote)
}

fn inbound(flow: usize) -> [u8; 64] {
    let (_, port) = inside(flow);
    let remote = 53 + (flow / 64_000) as u16;
    template(End { mac: MacAddress([2, 0, 0, 0, 9, 9]), address: SERVER, port: remote }, 0, OUTSIDE, port)
}

fn template(source: End, to: u8, address: Ipv4Addr, port: u16) -> [u8; 64] {
    let mut frame = [0; 64];
    let destination = End { mac: MacAddress([2, 0, 0, 0, 1, to]), address, port };
    udp_frame(&mut frame, source, destination, &[7; 22]).unwrap();
    frame
}

/// Nanoseconds per packet of the typical batch: others on the machine must not count.
fn typical(batches: &mut [(f64, usize)]) -> f64 {
    batches.sort_by(|left, right| (left.0 / left.1 as f64).total_cmp(&(right.0 / right.1 as f64)));
    batches.get(batches.len() / 2).map_or(0.0, |(nanos, packets)| nanos / *packets as f64)
}

/// Cycles per second: six dependent shifts and exclusive-ors take six cycles.
fn measure_clock() -> f64 {
    const STEPS: u64 = 50_000;
    let run = || {
        let start = Clock::now();
        let mut value = black_box(3_u64);
        for _ in 0..STEPS {
            value ^= value << 13;
            value ^= value >> 7;
            value ^= value << 17;
        }
        black_box(value);
        STEPS as f64 * 6.0 / start.elapsed().as_secs_f64()
    };
    (0..5_000).map(|_| run()).fold(0.0, f64::max)
}
