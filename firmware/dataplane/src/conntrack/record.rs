//! One direction of a flow in one cache line: how its packets look, and what they become.

use core::net::Ipv4Addr;

use dialtone_wire::checksum::Delta;

use super::Tick;
use super::key::{self, Key};
use crate::accounting::DeviceHandle;

/// The record of one direction does not end at a port but at the router's stack for the WAN.
pub(crate) const EGRESS_PUNT: u8 = 0xff;
/// The station's port is not known: to every port of the zone (see [`Record::zone`]).
pub(crate) const EGRESS_FLOOD: u8 = 0xfe;

/// Bits of [`Record::flags`].
pub(crate) mod flag {
    /// The fast path may handle packets of this direction.
    pub(crate) const FAST: u8 = 1;
    /// Packets of this direction restart the idle timer.
    pub(crate) const REFRESH: u8 = 2;
    /// Packets of this direction lose one hop: the router itself is neither their sender nor their receiver.
    pub(crate) const HOP: u8 = 1 << HOP_BIT;
    pub(super) const HOP_BIT: u8 = 2;
}

/// One direction of a flow: how its packets look when they arrive, and what they become. One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Record {
    pub(crate) key: Key,
    /// Addresses and ports afterwards.
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// What the new addresses change in the pseudo-header's sum.
    pub(crate) address_delta: Delta,
    /// What addresses and ports change in the transport's checksum.
    pub(crate) transport_delta: Delta,
    /// What addresses and the hop, if one is lost, change in the IP header's checksum.
    pub(crate) hop_delta: Delta,
    /// Destination and source MAC afterwards, as on the wire.
    pub(crate) macs: [u8; 12],
    /// Port it leaves by, or one of the `EGRESS_` values.
    pub(crate) egress: u8,
    pub(crate) flags: u8,
    /// Longest IP packet of the way out.
    pub(crate) mtu: u16,
    /// The device it is accounted to.
    pub(crate) device: DeviceHandle,
    /// Port its packets come in by; another one means that the station moved.
    pub(crate) ingress: u8,
    /// Zone of `egress`, as an index.
    pub(crate) zone: u8,
    /// When the last packet came that counts for the timer.
    pub(crate) seen: Tick,
    /// Configuration under which the decision was made.
    pub(crate) epoch: u32,
}

impl Record {
    /// Hops its packets lose: 1, or 0 from and to the router itself.
    #[inline(always)]
    pub(crate) const fn hops(&self) -> u8 {
        self.flags >> flag::HOP_BIT & 1
    }

    pub(crate) const FREE: Self = Self {
        key: Key::new(key::Realm::Lan, 0, (Ipv4Addr::UNSPECIFIED, 0), (Ipv4Addr::UNSPECIFIED, 0)),
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::UNSPECIFIED,
        source_port: 0,
        destination_port: 0,
        address_delta: Delta::NONE,
        transport_delta: Delta::NONE,
        hop_delta: Delta::NONE,
        macs: [0; 12],
        egress: 0,
        flags: 0,
        mtu: 0,
        device: DeviceHandle::NOBODY,
        ingress: 0,
        zone: 0,
        seen: 0,
        epoch: 0,
    };
}
