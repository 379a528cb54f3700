//! Simulated homes around the firmware's ports: links, an ISP, devices.
//!
//! A [`World`] is a value with a clock argument, as the engines are: [`World::poll`] moves every frame that is due and
//! says when it wants to be called again, so the same home runs in virtual time in a test and in real time in the
//! demo. The hosts are [smoltcp](https://docs.rs/smoltcp) stacks with wires of our own: nothing in here shares protocol
//! code with the firmware it tests.
//!
//! - [`link`]: rate, delay, jitter, loss, reordering, duplication; repeatable from a seed.
//! - [`host`]: a device in the home with a DHCP client, TCP, UDP and ping; raw frames for scripts.
//! - [`isp`]: the far side: DHCP, name servers, time, and TCP and UDP to any address whatsoever.
//! - [`operator`]: a telephone operator at the far side: registrar, proxy, numbers that answer.
//! - [`peer`]: what answers there: an echo, a little web, or whatever a program plugs in.
//! - [`world`]: ports, cables and who is plugged in where.
//! - [`board`]: the in-memory board: the whole router in this process, plugged into a world.
//! - [`capture`]: what went over the wires, for Wireshark.
//! - [`dns_message`], [`packet`]: just enough of the formats for the parts above.
//!
//! Not here: IPv6, IP fragments from the ISP, radios.
#![forbid(unsafe_code)]

pub mod board;
pub mod capture;
pub mod dns_message;
pub mod host;
pub mod isp;
pub mod link;
mod nic;
pub mod operator;
pub mod packet;
pub mod peer;
pub mod world;

pub use host::Host;
pub use isp::Isp;
pub use link::Quality;
pub use world::World;

/// The simulated TCP sockets that programs read and write.
pub use smoltcp::iface::SocketHandle;
/// smoltcp's socket types, for programs that pump bytes.
pub use smoltcp::socket::{tcp, udp};

fn smoltcp_time(now: dialtone_base::Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(now.as_micros() as i64)
}

fn from_smoltcp_time(at: smoltcp::time::Instant) -> dialtone_base::Instant {
    dialtone_base::Instant::from_micros(at.total_micros().max(0) as u64)
}
