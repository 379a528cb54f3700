//! A patch cable in user space: joins two interfaces, to measure what a port costs by itself.
//!
//! `patch DRIVER IF IF`; ends with Ctrl-C.

use std::error::Error;

use dialtone_base::frame::PoolSize;
use dialtone_base::{FramePool, Zone};
use dialtone_hal_api::port::{PortHandle, port};
use dialtone_hal_linux::custody::Custody;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_linux::port::choose;
use dialtone_hal_linux::port::{Batch, Drops};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [driver, first, second] = &words[..] else { return Err("patch DRIVER IF IF".into()) };
    let pool = FramePool::leak(PoolSize { ordinary: 4096, super_frames: 512 });
    let host = Host::new()?;
    let mut custody = Custody::default();
    let mut handles = Vec::new();
    for name in [first, second] {
        let opened = choose::open(driver.parse()?, name, Zone::Lan, &mut custody)?;
        println!("{name} through {}: {}", opened.backend.name(), opened.why);
        let (handle, driver_end) = port(opened.info.clone());
        handles.push(handle);
        host.spawn(opened.run(host.reactor(), driver_end, pool, Drops::default()));
    }
    for (from, to) in [(0, 1), (1, 0)] {
        host.spawn(join(handles[from].clone(), handles[to].clone()));
    }
    println!("patched");
    host.run()?;
    Ok(())
}

async fn join(from: PortHandle, to: PortHandle) {
    let mut batch = Batch::new();
    loop {
        std::future::poll_fn(|context| from.receive.poll_ready(context)).await;
        from.receive.pop_batch(&mut batch, 64);
        to.transmit.push_batch(&mut batch);
        embassy_futures::yield_now().await;
    }
}
