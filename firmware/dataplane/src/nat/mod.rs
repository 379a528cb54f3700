//! NAT44: one external address, endpoint-independent mappings.
//!
//! RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 7857 (updates). [`fastpath`] applies what [`slowpath`] wrote.
//! No application-level gateways (RFC 4787 REQ-10), one external address, so pooling is always paired (REQ-2).

pub(crate) mod fastpath;
pub(crate) mod fragments;
pub(crate) mod hairpin;
pub(crate) mod icmp_error;
pub(crate) mod mapping;
pub(crate) mod port_alloc;
pub(crate) mod port_forward;
pub(crate) mod slowpath;
