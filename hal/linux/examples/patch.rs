//! A patch cable in user space: joins two interfaces, to measure what a port costs by itself.
//!
//! `patch packet IF IF` or `patch tap IF IF`; ends with Ctrl-C. Gives the interfaces back.

use std::error::Error;

use dialtone_base::frame::PoolSize;
use dialtone_base::text::Text;
use dialtone_base::{FramePool, Zone};
use dialtone_hal_api::port::{PortHandle, PortInfo, port};
use dialtone_hal_linux::custody::Custody;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_linux::interface::Interface;
use dialtone_hal_linux::port::packet::PacketPort;
use dialtone_hal_linux::port::tap::TapPort;
use dialtone_hal_linux::port::{Batch, Drops, report_end, run};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [driver, first, second] = &words[..] else { return Err("patch packet|tap IF IF".into()) };
    let pool = FramePool::leak(PoolSize { ordinary: 4096, super_frames: 512 });
    let host = Host::new()?;
    let mut custody = Custody::default();
    let mut handles = Vec::new();
    for name in [first, second] {
        let info = PortInfo {
            name: Text::from(name.as_str()),
            zone: Zone::Lan,
            mac: dialtone_base::MacAddress::ZERO,
            mtu: 1500,
            segmentation: true,
        };
        let (handle, driver_end) = port(info);
        handles.push(handle);
        let reactor = host.reactor();
        let drops = Drops::default();
        let label = name.clone();
        if driver == "tap" {
            let backend = TapPort::open(name)?;
            Interface::find(name)?.set_up(true)?;
            host.spawn(async move {
                report_end(&label, &run(backend, &reactor, &driver_end, pool, &drops).await)
            });
        } else {
            let interface = Interface::find(name)?;
            custody.take(&interface)?;
            let backend = PacketPort::open(&interface)?;
            host.spawn(async move {
                report_end(&label, &run(backend, &reactor, &driver_end, pool, &drops).await)
            });
        }
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
