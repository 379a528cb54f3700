//! Routing's helpers: neighbors, the router's own ICMP, cutting packets that are too big.

pub(crate) mod arp;
pub(crate) mod deliver;
pub(crate) mod forward;
pub mod fragment;
pub mod icmp_out;
pub mod neighbor;
pub(crate) mod review;
pub(crate) mod segment;
pub(crate) mod way;

pub(crate) use way::Way;
