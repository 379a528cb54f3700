//! Headers the product touches itself, one file each, without copying.
//!
//! Every header has a *view* over bytes (`Ipv4View<T>`) whose accessors cannot panic once `new_checked` returned it,
//! and most have a *meaning* (`Ipv4Header`), a plain value with `parse` and `emit`. The data plane reads a frame once
//! through [`Headers::parse`]; [`build`] writes whole frames; [`checksum`] changes checksums without summing again.
//!
//! Ethernet II with at most one 802.1Q tag, ARP (RFC 826), IPv4 (RFC 791), UDP (RFC 768), TCP (RFC 9293),
//! ICMPv4 (RFC 792, 4884 not generated). Not here: IPv6, DHCP, DNS, reassembly, any state at all.
#![no_std]
#![forbid(unsafe_code)]

pub mod arp;
pub mod build;
pub mod checksum;
pub mod ethernet;
#[doc(hidden)]
pub mod fuzz;
mod headers;
pub mod icmpv4;
pub mod ipv4;
pub mod plain;
pub mod tcp;
pub mod udp;

#[cfg(test)]
mod tests;

pub use arp::{ArpOperation, ArpPacket};
pub use ethernet::{EtherType, EthernetHeader, EthernetView, VlanTag};
pub use headers::{Headers, Ipv4Summary, Transport};
pub use icmpv4::{Embedded, Icmpv4Kind, Icmpv4View};
pub use ipv4::{Ipv4Header, Ipv4View, Protocol};
pub use plain::Plain;
pub use tcp::{TcpFlags, TcpView};
pub use udp::UdpView;

dialtone_base::counted_reasons! {
    /// Why bytes are no such header. Always the sender's fault.
    pub enum Malformed {
        /// Fewer bytes than the header, or the header says, needs.
        Truncated = "truncated",
        /// A length inside the header contradicts another.
        BadLength = "bad-length",
        /// The checksum does not match the bytes.
        BadChecksum = "bad-checksum",
        /// A version, hardware type or format this product does not speak.
        Unsupported = "unsupported",
    }
}

/// Two bytes in network order; the caller has checked that they are there.
#[inline(always)]
fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes in network order; the caller has checked that they are there.
#[inline(always)]
fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline(always)]
fn write_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline(always)]
fn write_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
