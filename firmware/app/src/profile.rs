//! Capacities, named in one place: how much of everything a board has room for.
//!
//! A profile is chosen by the board's wiring. Every table is allocated from it at start and never grows; a full one is an
//! ordinary, counted outcome.

use dialtone_base::frame::PoolSize;
use dialtone_dataplane::Limits;

/// What a board has room for.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Frame buffers. The board makes the pool, because its drivers take frames from it.
    pub frames: PoolSize,
    /// The data plane's tables.
    pub dataplane: Limits,
    /// The name server's tables.
    pub dns: dialtone_dns::Limits,
    /// Devices remembered by name.
    pub devices: usize,
    /// Visitors of the page served at the same time, at most [`crate::WEB_TASKS`].
    pub web_visitors: usize,
}

impl Profile {
    /// A home router with ports that can cut super-frames: a Linux machine.
    pub const HOME: Self = Self {
        frames: PoolSize { ordinary: 8192, super_frames: 256 },
        dataplane: Limits::HOME,
        dns: dialtone_dns::Limits::HOME,
        devices: 256,
        web_visitors: 8,
    };

    /// The same router on ports that carry ordinary frames: simulated homes.
    pub const SIMULATED: Self = Self { frames: PoolSize { ordinary: 8192, super_frames: 16 }, ..Self::HOME };
}
