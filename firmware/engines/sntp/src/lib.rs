//! The wall clock, from the network: an SNTP client.
//!
//! RFC 4330 (SNTP version 4), RFC 5905 for the format and kiss codes. One question at a time goes to one of several
//! servers, in turn; the first sound answer sets the clock, later ones keep it. The originate timestamp is a random number,
//! so that only somebody on the path can answer. Times up to the year 2104 (RFC 4330 section 3).
//!
//! ```text
//!  Waiting --due--> Asked --sound answer--> Waiting (64 s, doubling to about an hour)
//!                     | silence 2 s, nonsense, kiss: next server
//!                     +--all tried--> Waiting (4 s, doubling to 17 min)
//! ```
//!
//! Not done: discipline of the clock's frequency, authentication (NTS), broadcast, serving time.
#![no_std]
#![forbid(unsafe_code)]

mod client;
#[doc(hidden)]
pub mod fuzz;
mod packet;

#[cfg(test)]
mod tests;

pub use client::{Fix, Input, Output, Rejected, SERVERS, Snapshot, SntpClient};
pub use packet::PACKET;

/// The NTP port.
pub const PORT: u16 = 123;
