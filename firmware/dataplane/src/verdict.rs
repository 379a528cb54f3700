//! What becomes of a frame, and the reason for every frame that goes nowhere.
//!
//! A stage returns a [`Verdict`]; dropping needs a [`DropReason`], and each reason has a counter. Shown names are
//! stable: the status page and tests use them.

use dialtone_base::{PortId, PortSet, Zone};

/// What the caller does with the frame it handed to `Dataplane::process`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it out of this port.
    Forward(PortId),
    /// Send a copy out of each of these ports.
    Flood(PortSet),
    /// It is for the router itself: hand it to this zone's stack.
    Punt(Zone),
    /// It was turned into its own answer: send it back where it came from.
    Hairpin,
    /// It must wait: hand it over with `Dataplane::hold`, before anything else is processed.
    Held,
    /// It ends here; already counted.
    Drop(DropReason),
}

dialtone_base::counted_reasons! {
    /// Why a frame went nowhere.
    pub enum DropReason {
        /// Shorter than its headers say.
        Truncated = "truncated",
        /// A length, version or offset field contradicts the frame.
        BadLength = "bad-length",
        /// The IP header's checksum is wrong.
        BadIpChecksum = "bad-ip-checksum",
        /// The ICMP checksum is wrong (RFC 5508 REQ-3).
        BadIcmpChecksum = "bad-icmp-checksum",
        /// Neither IPv4 nor ARP nor bridged: nothing routes it yet.
        UnknownEtherType = "unknown-ether-type",
        /// The source MAC is a group, zero, or our own.
        BadSourceMac = "bad-source-mac",
        /// From a port that does not exist.
        UnknownPort = "unknown-port",
        /// For another station behind the same port.
        SamePort = "same-port",
        /// From one guest to another: guests are isolated.
        GuestIsolation = "guest-isolation",
        /// No port of the zone to send to.
        NoEgressPort = "no-egress-port",
        /// A malformed or pointless ARP packet.
        BadArp = "bad-arp",
        /// ARP that was for us, or for nobody on another port: done with.
        ArpConsumed = "arp-consumed",
        /// Layer 2 noise from the WAN: not for our MAC.
        NotForUs = "not-for-us",
        /// Source address that cannot be: multicast, loopback, broadcast, zero (RFC 6890).
        Martian = "martian",
        /// Source address outside the network of the zone it came from (RFC 2827).
        SpoofedSource = "spoofed-source",
        /// Destination no packet may be routed to: loopback, multicast, class E, link-local.
        BadDestination = "bad-destination",
        /// To a network's broadcast address through the router (RFC 2644).
        DirectedBroadcast = "directed-broadcast",
        /// Loose or strict source route (RFC 7126 §4.3).
        SourceRoute = "source-route",
        /// Time to live used up.
        TtlExpired = "ttl-expired",
        /// The WAN has no address or no gateway.
        NoRoute = "no-route",
        /// The zone it came from has no address: routing is off there.
        ZoneDown = "zone-down",
        /// Too big for the way out with DF set.
        TooBig = "too-big",
        /// A super-frame that neither its port nor the data plane can cut.
        CannotSegment = "cannot-segment",
        /// The neighbor did not answer ARP.
        NoNeighbor = "no-neighbor",
        /// No room to hold a frame.
        HoldFull = "hold-full",
        /// No frame buffer for an answer or a fragment.
        NoBuffer = "no-buffer",
        /// A rule said drop.
        RuleDrop = "rule-drop",
        /// A rule said reject.
        RuleReject = "rule-reject",
        /// The zones' policy forbids it.
        ZonePolicy = "zone-policy",
        /// A guest asked the router for more than DHCP, DNS and ping.
        GuestToRouter = "guest-to-router",
        /// From the WAN to us, and nobody asked for it.
        Unsolicited = "unsolicited",
        /// From the WAN to an open mapping by an address it never sent to (RFC 4787 REQ-8).
        Filtered = "filtered",
        /// From inside to the WAN address, where nothing listens.
        RouterClosed = "router-closed",
        /// A TCP segment that can not open a flow, without one.
        TcpNoFlow = "tcp-no-flow",
        /// A TCP segment no state allows, such as SYN with FIN.
        TcpInvalid = "tcp-invalid",
        /// An ICMP type nobody translates (RFC 5508 REQ-10).
        IcmpUnsupported = "icmp-unsupported",
        /// An ICMP error about a packet no flow ever sent.
        IcmpNoFlow = "icmp-no-flow",
        /// An ICMP error whose quoted packet is malformed (RFC 5508 REQ-3).
        IcmpBadQuote = "icmp-bad-quote",
        /// Every flow is in use by an established connection.
        FlowTableFull = "flow-table-full",
        /// The device has all the flows it may have.
        DeviceFlowLimit = "device-flow-limit",
        /// No external port is free.
        PortsExhausted = "ports-exhausted",
        /// The translated flow would be mistaken for another.
        FlowCollision = "flow-collision",
        /// Later fragments of a packet whose first one was dropped, or never came.
        FragmentNoFirst = "fragment-no-first",
        /// All fragment slots are taken.
        FragmentTableFull = "fragment-table-full",
        /// A first fragment too short for its ports (RFC 1858).
        FragmentTiny = "fragment-tiny",
        /// A held fragment whose first one did not come in time.
        FragmentTimeout = "fragment-timeout",
        /// An ICMP error of our own that the rate limit swallowed; the packet it was about is counted apart.
        IcmpRateLimited = "icmp-rate-limited",
        /// Our own answer could not be built.
        NoAnswer = "no-answer",
        /// A frame of the router itself that makes no sense.
        BadRouterFrame = "bad-router-frame",
    }
}
