//! The router's state as JSON: `/api/status` and `/api/events`.
//!
//! Assembled at each request from `services::state`; documented by the types below, whose field names are the document's.
//! Addresses and names of the household go only to the household: guests and the WAN cannot reach this.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use dialtone_base::event::EVENT_RING;
use dialtone_base::{MacAddress, PortId, Zone};
use dialtone_services::devices::{AtHome, at_home};
use dialtone_services::state::{RouterState, WanStatus, now};
use serde::Serialize;

/// What `/api/status` answers.
#[derive(Serialize)]
pub struct Status {
    /// Firmware version.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Seconds since 1970, once known.
    pub unix_time: Option<u64>,
    /// One sentence for people: is everything all right, and if not, what to do.
    pub sentence: String,
    /// The operator's side.
    pub wan: Wan,
    /// The flow table.
    pub flows: Flows,
    /// The board's ports.
    pub ports: Vec<Port>,
    /// The telephone; both lists are empty on a board without one.
    pub telephone: Telephone,
    /// The home's devices.
    pub devices: Vec<Device>,
    /// Every packet not passed on, by reason; also the zeros.
    pub drops: Vec<Drop>,
}

/// The operator's side.
#[derive(Serialize)]
pub struct Wan {
    /// There is a way out.
    pub up: bool,
    /// The port has a link.
    pub link: bool,
    /// Our address with prefix length.
    pub address: Option<String>,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The operator's name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Why there is no way out; empty when there is one.
    pub reason: &'static str,
}

/// The flow table.
#[derive(Serialize)]
pub struct Flows {
    /// Flows now.
    pub in_use: u32,
    /// Room for.
    pub capacity: u32,
    /// NAT mappings now.
    pub mappings: u32,
    /// Ever opened.
    pub opened: u64,
    /// Ended by their timer.
    pub expired: u64,
    /// Made room for newer ones.
    pub evicted: u64,
}

/// One of the board's ports.
#[derive(Serialize)]
pub struct Port {
    /// `wan`, `lan1`.
    pub name: String,
    /// Its zone: guests', while it is lent to them.
    pub zone: Zone,
    /// Whether the link is up.
    pub link: bool,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// The telephone: whom the home calls is told to its owner only, on the console.
#[derive(Serialize)]
pub struct Telephone {
    /// The board's lines.
    pub lines: Vec<Line>,
    /// The accounts' numbers.
    pub numbers: Vec<Number>,
}

/// A telephone line.
#[derive(Serialize)]
pub struct Line {
    /// `phone1`.
    pub name: String,
    /// `on-hook`, `ringing`, `off-hook` or `talking`.
    pub state: &'static str,
}

/// A telephone number.
#[derive(Serialize)]
pub struct Number {
    /// The number.
    pub number: String,
    /// It can be called.
    pub up: bool,
    /// In a few words.
    pub state: &'static str,
}

/// A device of the home.
#[derive(Serialize)]
pub struct Device {
    /// Its hardware address.
    pub mac: MacAddress,
    /// Its label under the home's domain; empty when it has none.
    pub name: String,
    /// Its address, when it has one.
    pub address: Option<Ipv4Addr>,
    /// Its network.
    pub zone: Zone,
    /// The port it is, or was, behind; empty when not known.
    pub port: String,
    /// Whether it is there.
    pub online: bool,
    /// Seconds since a frame of it was seen; `null` when none was since the router started.
    pub silent_seconds: Option<u64>,
    /// Bytes it received through the router.
    pub bytes_in: u64,
    /// Bytes it sent through the router.
    pub bytes_out: u64,
}

/// One reason with its count.
#[derive(Serialize)]
pub struct Drop {
    /// The reason's name.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

#[derive(Serialize)]
struct Events {
    events: Vec<EventLine>,
}

#[derive(Serialize)]
struct EventLine {
    sequence: u64,
    at_seconds: f64,
    text: String,
}

impl Status {
    /// The state now.
    pub fn of(state: &RouterState) -> Self {
        let wan = state.current_wan();
        let snapshot = critical_section::with(|token| state.snapshot.borrow_ref(token).clone());
        let ports =
            state.ports.iter().zip(&snapshot.ports).enumerate().map(|(index, (info, counters))| Port {
                name: info.name.to_string(),
                zone: state.zone_of(PortId(index as u8)).unwrap_or(info.zone),
                link: state.links().contains(PortId(index as u8)),
                bytes_in: counters.received_bytes,
                bytes_out: counters.sent_bytes,
            });
        let drops = snapshot
            .drops
            .iter()
            .map(|(reason, count)| Drop { reason: dialtone_base::counter::Reason::name(reason), count });
        let telephone = telephone(state);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now().as_secs(),
            unix_time: state.unix_time().map(|time| time.0),
            sentence: sentence(&wan, &telephone),
            flows: Flows {
                in_use: snapshot.flows.in_use,
                capacity: snapshot.flows.capacity,
                mappings: snapshot.flows.mappings,
                opened: snapshot.flows.opened,
                expired: snapshot.flows.expired,
                evicted: snapshot.flows.evicted,
            },
            ports: ports.collect(),
            devices: devices(state),
            telephone,
            drops: drops.collect(),
            wan: Wan {
                up: wan.address.is_some(),
                link: wan.link,
                address: wan.address.map(|address| address.to_string()),
                gateway: wan.gateway,
                dns: wan.dns.iter().copied().collect(),
                reason: wan.reason,
            },
        }
    }
}

/// The body of `/api/status`.
pub fn status(state: &RouterState) -> String {
    to_json(&Status::of(state))
}

/// The body of `/api/events`: what the ring holds, oldest first.
pub fn events(state: &RouterState) -> String {
    let mut lines = Vec::new();
    let mut next = 0;
    while let Some(entry) = state.events.read(next) {
        next = entry.sequence + 1;
        lines.push(EventLine {
            sequence: entry.sequence,
            at_seconds: entry.at.as_millis() as f64 / 1000.0,
            text: state.words(&entry.event).to_string(),
        });
        // Events may arrive faster than they are read here; one ring is an answer.
        if lines.len() >= EVENT_RING {
            break;
        }
    }
    to_json(&Events { events: lines })
}

fn devices(state: &RouterState) -> Vec<Device> {
    let now = now();
    let shown = |known: AtHome| Device {
        mac: known.device.mac,
        name: known.device.label.to_string(),
        address: known.device.address,
        zone: known.device.zone,
        port: known.port.to_string(),
        online: known.device.online,
        silent_seconds: known.device.last_seen.map(|at| now.since(at).as_secs()),
        bytes_in: known.received_bytes,
        bytes_out: known.sent_bytes,
    };
    at_home(state).into_iter().map(shown).collect()
}

fn telephone(state: &RouterState) -> Telephone {
    critical_section::with(|token| {
        let lines = state.lines.borrow_ref(token);
        let numbers = state.numbers.borrow_ref(token);
        Telephone {
            lines: lines.iter().map(|line| Line { name: line.name.to_string(), state: line.state }).collect(),
            numbers: numbers
                .iter()
                .map(|number| Number {
                    number: number.number.to_string(),
                    up: number.up,
                    state: number.state,
                })
                .collect(),
        }
    })
}

fn sentence(wan: &WanStatus, telephone: &Telephone) -> String {
    if wan.address.is_some() {
        // While it is still registering nothing is wrong.
        let quiet = ["registering", "not registered yet"];
        let silent = telephone.numbers.iter().find(|number| !number.up && !quiet.contains(&number.state));
        if let Some(number) = silent {
            return format!(
                "The home is online, but the telephone number {} cannot be used: {}.",
                number.number, number.state
            );
        }
        return "Everything is working: the home is online.".to_string();
    }
    if !wan.link {
        return "No internet: nothing is plugged into the WAN port. Check the cable to the wall or modem. The home network works.".to_string();
    }
    format!("No internet: {}. The home network works.", wan.reason)
}

fn to_json(document: &impl Serialize) -> String {
    // Strings, numbers and lists of them always serialize.
    serde_json::to_string(document).unwrap_or_default()
}
