//! Where a message came from and where its answer goes.
//!
//! A [`Flow`] is RFC 5626's word: a UDP 5-tuple or one connection. TLS joins as a further [`Transport`] when something speaks it; whoever
//! carries a stream needs no other change, because framing and transactions ask only [`Transport::is_reliable`].

use core::net::SocketAddr;

use crate::interface::ConnectionId;

/// How SIP travels, as Via and the `transport` parameter name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: lost, repeated and reordered; the transactions repeat themselves.
    Udp,
    /// A byte stream.
    Tcp,
}

impl Transport {
    /// Whether the transport itself repeats what is lost (RFC 3261 section 17: no retransmission timers then).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The word in Via: `UDP`, `TCP`.
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The value of a URI's `transport` parameter: `udp`, `tcp`.
    pub const fn uri_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// From a Via or a URI, in any case; `None` for what this router does not speak.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|transport| transport.via_name().eq_ignore_ascii_case(name))
    }
}

/// A UDP peer or one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Datagrams from and to this address.
    Udp {
        /// The peer, as the packet's header says.
        remote: SocketAddr,
    },
    /// A connection.
    Stream {
        /// Which one.
        connection: ConnectionId,
        /// Its other end.
        remote: SocketAddr,
    },
}

impl Flow {
    /// The peer's address.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp { remote } | Self::Stream { remote, .. } => *remote,
        }
    }

    /// How messages travel on it.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Udp { .. } => Transport::Udp,
            Self::Stream { .. } => Transport::Tcp,
        }
    }
}
