//! Cached answers per second through the LAN's stack and the name server's task, frames in memory, one thread.
//!
//! `cargo run --release -p dialtone-services --example dns_rate`

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialtone_base::frame::PoolSize;
use dialtone_base::{FramePool, Random, Seed, Zone};
use dialtone_dns::{Limits, Served, lookup};
use dialtone_hal_linux::executor::Host;
use dialtone_services::dns::{DnsService, TCP_INSIDE};
use dialtone_services::stack::zone_stack;
use dialtone_services::state::RouterState;
use dialtone_settings::tree::Settings;

const BATCH: u16 = 64;

fn main() {
    let host = Host::new().expect("a host");
    let pool = FramePool::leak(PoolSize { ordinary: 1024, super_frames: 0 });
    let mut random = Random::new(Seed::from_number(1));
    let mut stack = |zone| {
        let (net, mut runner) = zone_stack::<96>(zone, pool, &mut random);
        host.spawn(async move { runner.run().await });
        net
    };
    let (lan, guest, wan) = (stack(Zone::Lan), stack(Zone::Guest), stack(Zone::Wan));
    let state = RouterState::leak(vec![], Default::default());
    let service = DnsService::leak(&[lan, guest], wan, Limits::default(), Seed::from_number(2), state);
    host.spawn(async { service.run().await });
    for index in 0..TCP_INSIDE {
        host.spawn(async move { service.serve_tcp(index, lan).await });
    }
    let settings = Settings::default();
    lan.set_address(Some(settings.lan.address), None);
    state.settings.sender().send(Arc::new(settings));
    host.settle();

    // The router's own name costs more than a cache hit, and needs no server here.
    let queries: Vec<Vec<u8>> = (0..BATCH).map(|number| query_frame(20_000 + number)).collect();
    let (mut answers, start) = (0u64, Instant::now());
    while start.elapsed() < Duration::from_secs(3) {
        for query in &queries {
            let mut frame = pool.take(query.len()).expect("a buffer");
            frame.bytes_mut().copy_from_slice(query);
            frame.offload.verified = true;
            lan.link().deliver(frame);
        }
        host.settle();
        while lan.link().outgoing().pop().is_some() {
            answers += 1;
        }
    }
    let rate = answers as f64 / start.elapsed().as_secs_f64();
    let served = service.snapshot().served;
    println!("{:.0} k answers/s, {:.2} us each", rate / 1000.0, 1e6 / rate);
    println!("{} queries, {} local", served.of(Served::Queries), served.of(Served::Local));
}

/// Ethernet, IPv4 and UDP around a question.
fn query_frame(port: u16) -> Vec<u8> {
    let mut question = vec![0; 300];
    let length = lookup::write_question("dialtone.home.arpa", port, &mut question).expect("a name");
    let udp = 8 + length as u16;
    let mut out = vec![0; 12];
    out.extend_from_slice(&[8, 0, 0x45, 0]);
    out.extend_from_slice(&(20 + udp).to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    out.extend_from_slice(&Ipv4Addr::new(192, 168, 77, 20).octets());
    out.extend_from_slice(&Ipv4Addr::new(192, 168, 77, 1).octets());
    let sum: u32 = out[14..34].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]) as u32).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    out[24..26].copy_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&[0, 53]);
    out.extend_from_slice(&udp.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&question[..length]);
    out
}
