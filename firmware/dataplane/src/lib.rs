//! The packet path: frames in, verdicts out, one value with one owner.
//!
//! [`Dataplane::process`] takes a frame through the stages of [`pipeline`] and says what becomes of it; it never waits.
//! Frames of its own (ARP, fragments, released frames) and events come from [`Dataplane::poll`], drained after every
//! batch. The control plane meets it in two places: frames for the router are *punted*, and commands, configurations
//! and snapshots go through [`Dataplane::command`], [`Dataplane::configure`] and [`Dataplane::snapshot`].
//!
//! ```text
//! frame ─ parse ─ flow hit? ─ yes ─ nat/fastpath: rewrite in place, count ─────────────► Forward
//!                     │ no
//!                     ▼
//!              bridge ─ for us? ─ no ─ FDB ───────────────────────────────────────────► Forward / Flood
//!                     │ yes
//!                     ▼
//!   ARP, echo ─ sanity ─ fragments ─ route ─ firewall ─ nat/slowpath: a flow is written ► Forward
//!                     └─ to the router ─────────────────────────────────────────────► Punt
//! ```
//!
//! Not here: IPv6 routing (bridged only), shaping, multicast snooping, the portal's gate, sockets of any kind.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounting;
pub mod bridge;
pub mod config;
pub mod output;
mod pipeline;
pub mod route;
mod slots;
pub mod trace;
pub mod verdict;

use dialtone_base::{Frame, FramePool, Instant, PortId, Seed, Zone};

pub use config::{
    Action, Config, Filtering, Limits, PortConfig, PortForward, PortRange, Protocol, Rule, Timeouts, Wan,
};
pub use output::{Command, Event, FlowCounters, Output, PortCounters, Snapshot};
pub use verdict::{DropReason, Verdict};

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// A port received it.
    Port(PortId),
    /// The router's own stack of this zone made it. Destination MAC zero: route and resolve it; any other: that station.
    Router(Zone),
}

/// The router's packet path.
pub struct Dataplane {
    config: Config,
    snapshot: Snapshot,
    pool: &'static FramePool,
}

impl Dataplane {
    /// Allocates every table; nothing allocates afterwards. Starts with an empty [`Config`]: it bridges, and routes
    /// nothing.
    pub fn new(limits: Limits, ports: &[PortConfig], pool: &'static FramePool, seed: Seed) -> Self {
        let _ = (limits, ports, seed);
        Self { config: Config::default(), snapshot: Snapshot::default(), pool }
    }

    /// Replaces the whole configuration. Flows stay and are judged again at their next packet; a changed WAN address
    /// ends the flows of the old one.
    pub fn configure(&mut self, now: Instant, config: &Config) {
        let _ = now;
        self.config = config.clone();
    }

    /// Decides about one frame, changing it in place where it goes on.
    pub fn process(&mut self, now: Instant, from: Ingress, frame: &mut Frame) -> Verdict {
        pipeline::run(self, now, from, frame)
    }

    /// Takes over the frame that was just answered with [`Verdict::Held`].
    pub fn hold(&mut self, now: Instant, frame: Frame) {
        let _ = (now, frame);
    }

    /// What else there is to do; call until [`Output::Wait`].
    pub fn poll(&mut self, now: Instant) -> Output {
        let _ = (now, self.pool);
        Output::Wait(None)
    }

    /// Asks for one thing outside the configuration.
    pub fn command(&mut self, now: Instant, command: Command) {
        let _ = (now, command);
    }

    /// Counters now.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }
}
