//! The learning bridge: which station is behind which port.
//!
//! IEEE 802.1D's filtering database without spanning tree. One table for all zones, keyed by zone and MAC, so that a
//! guest cannot take over a station of the household.

mod forwarding_table;

pub use forwarding_table::{ForwardingTable, Learned, NotLearned, Station};
