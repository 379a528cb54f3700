//! The words every other crate of Dialtone speaks.
//!
//! Time as a value ([`time`]), addresses and ids ([`address`], [`id`]), counted reasons ([`counter`]), bounded
//! text ([`text`]), pooled frames ([`frame`]), what a call is made of ([`telephony`]), when a dialled number is complete
//! ([`digit_map`]), typed events in a ring
//! ([`event`]), seeded randomness ([`random`]) and the log macros ([`info!`] and its sisters).
//!
//! Nothing here knows a protocol, a socket, a task or a board.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod address;
pub mod counter;
pub mod digit_map;
pub mod event;
pub mod frame;
pub mod id;
mod log_macros;
pub mod random;
pub mod telephony;
pub mod text;
pub mod time;

#[doc(hidden)]
#[cfg(feature = "defmt")]
pub use defmt as __defmt;
#[doc(hidden)]
#[cfg(feature = "log")]
pub use log as __log;

pub use address::{Ipv4Prefix, MacAddress};
pub use frame::{Frame, FramePool};
pub use id::{PortId, PortSet, Zone};
pub use random::{Random, Seed};
pub use time::{Duration, Instant};
