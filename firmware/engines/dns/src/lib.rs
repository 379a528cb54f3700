//! A home's name server: a forwarder with a cache, and the names of the house.
//!
//! RFC 5625 (proxies change nothing they do not understand), RFC 1035, RFC 2308 (negative answers), RFC 2181, RFC 6891
//! (EDNS), RFC 5452 (answers are checked against forgery: server, port, random id, question), RFC 6303, 6761,
//! 6762, 7686, 7793, 8375, 9462 (names that stay in the house), RFC 8482 (ANY goes through as asked), RFC 8767 (stale
//! answers when no server answers).
//!
//! ```text
//!  client --Query--> handle: cache? local? --Reply--> client
//!                       | no: in-flight slot
//!                       v
//!  upstream <--Ask-- poll (random id, a socket of its own) -- timeout: next server --> SERVFAIL or stale
//!                       ^
//!  upstream --Answer--> checked, rebinding?, kept, one Reply per waiting client
//! ```
//!
//! Not done: recursion, DNSSEC validation (AD, CD, DO pass), zone transfers (refused), encrypted transports, AAAA of
//! devices, 0x20 case games. What a public name may not do is lead into the home: such an answer becomes "no data".
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod config;
mod exchange;
mod forwarder;
#[doc(hidden)]
pub mod fuzz;
mod in_flight;
mod interface;
mod local;
pub mod lookup;
mod message;
mod name;
mod rebind;
mod reply;
mod upstream;

#[cfg(test)]
mod tests;

pub use config::{ALLOWED_DOMAINS, Config, Limits, LocalName, NETWORKS, Network};
pub use forwarder::Forwarder;
pub use in_flight::{ATTEMPTS, Token};
pub use interface::{Client, Fault, Input, Output, Rejected, Served, Snapshot, Transport, UpstreamState};
pub use upstream::UPSTREAMS;

/// Longest message, over TCP (RFC 1035 section 4.2.2).
pub const LONGEST_MESSAGE: usize = 65_535;
