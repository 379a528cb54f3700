//! What goes into the forwarder and what comes out: the words it shares with its service.

use core::net::SocketAddrV4;

use dialtone_base::counter::Counters;
use dialtone_base::event::Event;
use dialtone_base::{Duration, Instant, Zone, counted_reasons};

use crate::config::{Config, LocalName};
use crate::in_flight::Token;
use crate::upstream::UPSTREAMS;

/// How a client asked, and so how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A connection, by the service's own number for it; never reused while a question may be under way.
    Tcp(u32),
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// On which network.
    pub zone: Zone,
    /// Address and port.
    pub address: SocketAddrV4,
    /// How.
    pub transport: Transport,
}

/// Why a question could not be put to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No socket or no buffer here.
    Ours,
    /// The server refused or closed the connection.
    Theirs,
}

/// What the forwarder is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A client's message.
    Query {
        /// Who asked.
        client: Client,
        /// The message, without TCP's length.
        bytes: &'a [u8],
    },
    /// A message that came to the socket of `token`.
    Answer {
        /// Whose socket.
        token: Token,
        /// Where it came from.
        from: SocketAddrV4,
        /// The message, without TCP's length.
        bytes: &'a [u8],
    },
    /// The question of `token` could not be sent. Its socket counts as released.
    Failed {
        /// Which.
        token: Token,
        /// Whose fault.
        fault: Fault,
    },
    /// The WAN's name servers, best first; none while it is down.
    Upstreams(&'a [SocketAddrV4]),
    /// Replaces the names of the home's devices.
    Names(&'a [LocalName]),
    /// New settings; the cache is emptied.
    Configure(&'a Config),
}

/// What the service is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `length` bytes of the buffer to a client.
    Reply {
        /// To whom.
        client: Client,
        /// Bytes.
        length: usize,
    },
    /// Send the first `length` bytes to a server, from a port chosen at random (RFC 5452 section 9.2).
    Ask {
        /// Names the socket from now on.
        token: Token,
        /// Where to.
        server: SocketAddrV4,
        /// Over TCP.
        tcp: bool,
        /// Bytes.
        length: usize,
    },
    /// The socket of `token` is not needed any more.
    Release {
        /// Which.
        token: Token,
    },
    /// Something people may want to know.
    Event(Event),
    /// Nothing until then, or until the next input.
    Wait(Option<Instant>),
}

counted_reasons! {
    /// Why an input was refused. Clients with a readable question get an error answer nevertheless.
    pub enum Rejected {
        /// Peer: shorter than a header, or an answer where a question belongs; no answer, it could make a loop.
        NotAQuery = "not-a-query",
        /// Peer: does not parse; answered FORMERR.
        Malformed = "malformed",
        /// Peer: a zone transfer; answered REFUSED.
        ZoneTransfer = "zone-transfer",
        /// Peer: the question is longer than the limit; answered SERVFAIL.
        TooLong = "too-long",
        /// Our limit: every in-flight slot is taken; answered SERVFAIL. Nobody is evicted.
        Full = "full",
        /// Our limit: this client waits for enough already; answered SERVFAIL.
        ClientLimit = "client-limit",
        /// State: no name server, the WAN is down; answered SERVFAIL.
        NoUpstream = "no-upstream",
        /// State: the previous input's outputs were not all taken.
        NotDrained = "not-drained",
        /// Answer: nothing under way has this token, it came too late.
        LateAnswer = "late-answer",
        /// Answer: from another address or port than the question went to.
        WrongServer = "wrong-server",
        /// Answer: another id.
        WrongId = "wrong-id",
        /// Answer: no answer, another opcode, or another question.
        WrongQuestion = "wrong-question",
        /// Answer: records do not parse.
        MalformedAnswer = "malformed-answer",
        /// Answer: a public name leads into the home; the client gets no data.
        Rebinding = "rebinding",
        /// Our limit: more servers or names than the tables hold; the first ones count.
        TooMany = "too-many",
    }
}

counted_reasons! {
    /// What was done for clients and with servers.
    pub enum Served {
        /// Messages from clients.
        Queries = "queries",
        /// Answered from the cache.
        CacheHits = "cache-hits",
        /// Answered from the cache past its time.
        Stale = "stale",
        /// Answered from the home's own data.
        Local = "local",
        /// Put to an upstream server for a client.
        Forwarded = "forwarded",
        /// Joined a question already under way.
        Coalesced = "coalesced",
        /// Sent again by a client that already waits.
        Retransmitted = "retransmitted",
        /// Answered with what an upstream said.
        Answered = "answered",
        /// Answered with TC because the client takes less.
        Truncated = "truncated",
        /// Put to another server because the first was silent or failed.
        Retried = "retried",
        /// No server answered in time.
        TimedOut = "timed-out",
        /// Dead servers asked whether they live.
        Probes = "probes",
    }
}

/// How one server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// Its address.
    pub address: SocketAddrV4,
    /// Answers.
    pub healthy: bool,
    /// Smoothed.
    pub round_trip: Duration,
}

/// Counters and fill of the tables.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What was done.
    pub served: Counters<Served, { Served::COUNT }>,
    /// What was refused.
    pub rejected: Counters<Rejected, { Rejected::COUNT }>,
    /// Answers kept.
    pub cached: usize,
    /// Answers that gave way to newer ones before their time.
    pub evicted: u64,
    /// Questions under way.
    pub in_flight: usize,
    /// Clients waiting.
    pub waiting: usize,
    /// The servers.
    pub upstreams: heapless::Vec<UpstreamState, UPSTREAMS>,
}
