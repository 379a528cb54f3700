//! Puts the house together: zones, tasks, capacities.
//!
//! [`run`] is compiled once for every board. It makes the stacks of the three zones, the data plane between them and the
//! board's ports, and spawns one task per service; then the caller's executor does the rest. [`profile`] names the
//! capacities. Nothing here decides about a packet, a name or a lease.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod profile;
mod tasks;

use alloc::vec::Vec;

use dialtone_base::event::Event;
use dialtone_base::{FramePool, Random, Seed, Zone};
use dialtone_hal_api::console::ConsoleHandle;
use dialtone_hal_api::flash::FlashHandle;
use dialtone_hal_api::line::LineHandle;
use dialtone_hal_api::port::PortHandle;
use dialtone_services::state::RouterState;
use embassy_executor::Spawner;

pub use profile::Profile;
pub use tasks::WEB_TASKS;

/// What a board hands over: handles and facts, no generics.
pub struct Board {
    /// What it has room for.
    pub profile: Profile,
    /// The pool its drivers take frames from.
    pub pool: &'static FramePool,
    /// Its ports, at most 16; their positions are their ids. At least one is in zone WAN and one in zone LAN.
    pub ports: Vec<PortHandle>,
    /// Its telephone lines, at most [`dialtone_base::telephony::LineId::LIMIT`]; their positions are their ids.
    pub lines: Vec<LineHandle>,
    /// Where settings and leases are kept.
    pub flash: FlashHandle,
    /// Where somebody may type, if anywhere.
    pub console: Option<ConsoleHandle>,
    /// 32 bytes nobody can guess; everything random in the router comes from them.
    pub seed: Seed,
}

/// Starts the firmware on `board`; its tasks run on `spawner`'s executor from now on. The state that comes back is for
/// watching (events, status), as the demo and tests do.
pub fn run(spawner: Spawner, board: Board) -> &'static RouterState {
    tasks::start(spawner, board)
}
