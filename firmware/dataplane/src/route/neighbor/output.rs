//! What the neighbor table says: resolutions, judgements of ARP packets, things to do.

use core::net::Ipv4Addr;

use dialtone_base::{Frame, Instant, MacAddress, Zone};
use dialtone_wire::ArpPacket;

use crate::Ingress;

/// What is known about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Send it there.
    Ready(MacAddress),
    /// Nobody knows yet: hand the frame to [`NeighborTable::hold`].
    Hold,
    /// It was asked in vain a moment ago.
    Unreachable,
    /// No room to ask for another one.
    Full,
}

/// What [`NeighborTable::handle`] makes of an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpVerdict {
    /// It asked for our address: send this back to the sender.
    Reply(ArpPacket),
    /// Seen, believed or of no interest.
    Consumed,
    /// Not believed.
    Refused(ArpRefused),
}

dialtone_base::counted_reasons! {
    /// Why an ARP packet was not believed.
    pub enum ArpRefused {
        /// The sender's MAC or address is nobody's.
        BadSender = "bad-sender",
        /// It is our own.
        Own = "own",
        /// It claims our address.
        Conflict = "conflict",
        /// An answer nobody asked for, about a station we do not know.
        Unasked = "unasked",
        /// It claims an address that belongs to a lease of somebody else.
        Pinned = "pinned",
        /// It claims an address that somebody else confirmed a moment ago.
        TooSoon = "too-soon",
        /// It claims an address whose user has answered before, and is asked again first.
        Doubted = "doubted",
        /// No room for a station that asked for us.
        TableFull = "table-full",
    }
}

/// One thing to do.
#[derive(Debug)]
pub enum NeighborOutput {
    /// Send this ARP packet.
    Ask {
        /// On which network.
        zone: Zone,
        /// What.
        packet: ArpPacket,
        /// To whom: broadcast, or one station.
        to: MacAddress,
    },
    /// A held frame can go.
    Release {
        /// Where its next hop is.
        zone: Zone,
        /// The next hop.
        address: Ipv4Addr,
        /// The next hop's MAC.
        mac: MacAddress,
        /// Where the frame had come from.
        from: Ingress,
        /// The frame.
        frame: Frame,
    },
    /// A held frame cannot go: its sender deserves "host unreachable".
    Unreachable {
        /// Where its next hop should be.
        zone: Zone,
        /// The next hop.
        address: Ipv4Addr,
        /// Where the frame had come from.
        from: Ingress,
        /// The frame.
        frame: Frame,
    },
    /// Somebody uses a probed address, or probes it too.
    ProbeAnswered {
        /// On which network.
        zone: Zone,
        /// The address.
        address: Ipv4Addr,
        /// Who.
        mac: MacAddress,
    },
    /// Somebody claims our address; we defend it.
    Conflict {
        /// On which network.
        zone: Zone,
        /// Our address.
        address: Ipv4Addr,
        /// Who.
        mac: MacAddress,
    },
    /// Nothing until the next call, or until then.
    Wait(Option<Instant>),
}
