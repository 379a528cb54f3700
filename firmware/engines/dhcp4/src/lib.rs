//! DHCP for IPv4: the home's server and the WAN's client over one codec.
//!
//! [`message`] is the codec (RFC 2131, 2132, 3396). [`server`] gives the home its addresses; one value per zone.
//! [`client`] gets the router's own address. Both are values with a clock argument: `handle` an input, then `poll`
//! until it says `Wait`. Neither opens a socket, asks ARP or writes flash: they emit events and the owner does.
//!
//! Not here: DHCPv6, authentication (RFC 3118), FORCERENEW (RFC 3203), leasequery, dynamic DNS (the devices engine
//! names hosts), BOOTP clients without option 53.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod client;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
pub mod server;

/// Where servers and relays listen.
pub const SERVER_PORT: u16 = 67;
/// Where clients listen.
pub const CLIENT_PORT: u16 = 68;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod test_home;
