//! How the WAN is: link, address, way out, conflicts; every change told once.
//!
//! The owner feeds facts: the link, what a DHCP client was given, the settings. The engine says what follows: ask for
//! an address, up with these parameters, down for this reason, in conflict with the home's own network. A conflict
//! (RFC 4787 REQ-7: the operator's network overlaps the LAN's or the guests') is told and does not stop anything: the
//! home keeps its network and everything outside the overlap works.
//!
//! ```text
//!            link                 Leased / static address
//!  NoLink ─────────▶ Connecting ─────────────────────────▶ Up
//!     ▲                  ▲  └──── Lost ◀───────────────────┘ │
//!     └── link lost ─────┴───────────────────────────────────┘
//! ```
//!
//! Not here: the DHCP client itself, PPPoE, IPv6, checks of what lies beyond the gateway.
#![no_std]
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::{Instant, Ipv4Prefix, Zone, counted_reasons};
use heapless::{Deque, Vec};

/// Name servers and time servers kept.
pub const SERVERS: usize = 4;

/// An address on the WAN with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Our address and the operator's network.
    pub address: Ipv4Prefix,
    /// The way out; without one only the operator's own network is reached.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers, best first.
    pub name_servers: Vec<Ipv4Addr, SERVERS>,
    /// Time servers.
    pub time_servers: Vec<Ipv4Addr, SERVERS>,
    /// Longest packet, when the operator said.
    pub mtu: Option<u16>,
}

/// Where the address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The operator's DHCP server.
    Dhcp,
    /// Typed in.
    Static(Connection),
}

/// The settings that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the address comes from.
    pub mode: Mode,
    /// The LAN's network.
    pub lan: Ipv4Prefix,
    /// The guests' network, when there is one.
    pub guest: Option<Ipv4Prefix>,
}

/// What the engine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// The WAN port's link.
    Link(bool),
    /// The DHCP client was given, or renewed, this.
    Leased(Connection),
    /// The DHCP client lost its address; in a few words why.
    Lost(&'static str),
    /// New settings.
    Configure(Config),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Run the DHCP client, or stop it (and give the address back).
    AskDhcp(bool),
    /// There is a way out; also when its parameters changed.
    Up(Connection),
    /// There is none.
    Down {
        /// In a few words, for people.
        reason: &'static str,
    },
    /// The operator's network overlaps this zone's (RFC 4787 REQ-7).
    Conflict(Zone),
    /// It no longer does.
    ConflictOver(Zone),
}

/// One step of a drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something follows.
    Event(Event),
    /// Nothing more until the next input; the engine has no timers.
    Wait(Option<Instant>),
}

counted_reasons! {
    /// Why an input changed nothing.
    pub enum Rejected {
        /// Wrong state: a lease while the address is typed in.
        NotAsked = "not-asked",
        /// Wrong state: a lease without link.
        NoLink = "no-link",
        /// Wrong state: the owner handed in an input before draining the last one's output.
        NotDrained = "not-drained",
    }
}

/// The state, for status pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No link.
    NoLink,
    /// Link, no address.
    Connecting,
    /// A way out.
    Up(Connection),
}

/// The WAN connection.
pub struct Wan {
    config: Config,
    state: State,
    /// Nobody has said yet how the link is.
    link_unknown: bool,
    asking: bool,
    conflicts: [bool; Zone::ALL.len()],
    events: Deque<Event, 8>,
    counters: Counters<Rejected, { Rejected::COUNT }>,
}

impl Wan {
    /// Without link, as far as is known: nothing is announced before the first [`Input::Link`]. Asks for DHCP if that is
    /// the mode.
    pub fn new(config: Config) -> Self {
        let mut wan = Self {
            config,
            state: State::NoLink,
            link_unknown: true,
            asking: false,
            conflicts: [false; Zone::ALL.len()],
            events: Deque::new(),
            counters: Counters::new(),
        };
        wan.ask_or_not();
        wan
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the operator's network overlaps this zone's.
    pub fn conflicts_with(&self, zone: Zone) -> bool {
        self.conflicts.get(zone.index()).copied().unwrap_or(false)
    }

    /// Every rejection with its count.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }

    /// One input. An `Err` is counted and changes nothing.
    pub fn handle(&mut self, _now: Instant, input: Input) -> Result<(), Rejected> {
        let result = if self.events.len() > 2 {
            Err(Rejected::NotDrained)
        } else {
            match input {
                Input::Link(up) => self.link(up),
                Input::Leased(connection) => self.leased(connection),
                Input::Lost(reason) => self.lost(reason),
                Input::Configure(config) => self.configure(config),
            }
        };
        if let Err(reason) = result {
            self.counters.count(reason);
        }
        result
    }

    /// Call until [`Output::Wait`]; only then handle the next input.
    pub fn poll(&mut self, _now: Instant) -> Output {
        self.events.pop_front().map_or(Output::Wait(None), Output::Event)
    }

    fn link(&mut self, up: bool) -> Result<(), Rejected> {
        let first = core::mem::take(&mut self.link_unknown);
        match (up, &self.state) {
            (false, State::NoLink) if first => self.event(Event::Down { reason: NO_LINK }),
            (true, State::NoLink) => {
                self.state = State::Connecting;
                match &self.config.mode {
                    Mode::Static(connection) => self.up(connection.clone()),
                    Mode::Dhcp => self.event(Event::Down { reason: WAITING }),
                }
            }
            (false, State::Connecting | State::Up(_)) => self.down(State::NoLink, NO_LINK),
            (true, _) | (false, State::NoLink) => {}
        }
        Ok(())
    }

    fn leased(&mut self, connection: Connection) -> Result<(), Rejected> {
        match (&self.config.mode, &self.state) {
            (Mode::Static(_), _) => Err(Rejected::NotAsked),
            (Mode::Dhcp, State::NoLink) => Err(Rejected::NoLink),
            (Mode::Dhcp, _) => {
                self.up(connection);
                Ok(())
            }
        }
    }

    fn lost(&mut self, reason: &'static str) -> Result<(), Rejected> {
        if matches!((&self.config.mode, &self.state), (Mode::Dhcp, State::Up(_))) {
            self.down(State::Connecting, reason);
        }
        Ok(())
    }

    fn configure(&mut self, config: Config) -> Result<(), Rejected> {
        let before = core::mem::replace(&mut self.config, config);
        if before.mode == self.config.mode {
            self.compare_networks();
            return Ok(());
        }
        self.ask_or_not();
        match (&self.config.mode, &self.state) {
            (_, State::NoLink) => {}
            (Mode::Static(connection), _) => self.up(connection.clone()),
            (Mode::Dhcp, State::Up(_)) => self.down(State::Connecting, WAITING),
            (Mode::Dhcp, State::Connecting) => {}
        }
        self.compare_networks();
        Ok(())
    }

    fn ask_or_not(&mut self) {
        let ask = self.config.mode == Mode::Dhcp;
        if ask != self.asking {
            self.asking = ask;
            self.event(Event::AskDhcp(ask));
        }
    }

    fn up(&mut self, connection: Connection) {
        let next = State::Up(connection.clone());
        if self.state != next {
            self.state = next;
            self.event(Event::Up(connection));
            self.compare_networks();
        }
    }

    fn down(&mut self, state: State, reason: &'static str) {
        self.state = state;
        self.event(Event::Down { reason });
        self.compare_networks();
    }

    fn compare_networks(&mut self) {
        let address = match &self.state {
            State::Up(connection) => Some(connection.address),
            State::NoLink | State::Connecting => None,
        };
        for (zone, network) in [(Zone::Lan, Some(self.config.lan)), (Zone::Guest, self.config.guest)] {
            let conflict = address.zip(network).is_some_and(|(wan, network)| wan.overlaps(network));
            let Some(known) = self.conflicts.get_mut(zone.index()) else { continue };
            if *known != conflict {
                *known = conflict;
                self.event(if conflict { Event::Conflict(zone) } else { Event::ConflictOver(zone) });
            }
        }
    }

    fn event(&mut self, event: Event) {
        // One input makes at most four events on top of the two that `handle` tolerates.
        let _ = self.events.push_back(event);
    }
}

const NO_LINK: &str = "no link";
const WAITING: &str = "waiting for an address";
