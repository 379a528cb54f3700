//! Routing's helpers: neighbors, the router's own ICMP, cutting packets that are too big.

pub mod fragment;
pub mod icmp_out;
pub mod neighbor;
