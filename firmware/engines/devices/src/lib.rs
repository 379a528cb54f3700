//! Who is at home: the bounded table of devices and their unique names.
//!
//! Sightings (a station on a port), leases and the household's own names go in; events come out, and the table is there
//! to read. Names are unique labels under the home's domain: what the household chose comes first, whether the device was
//! ever here or not, then what the devices call themselves: the household's before guests', those with an address before
//! those without, longest known first. A name already taken gets `-2`, `-3` …
//!
//! A device is online from its first frame until its link is gone, its lease is over, or nothing was heard for
//! [`SILENCE`]; before that the owner is asked, a few times, to ask it whether it is there ([`Output::Ask`]).
//!
//! A full table forgets a device nobody named, offline ones first, the longest unseen of them; when every device is named
//! and the table full, newcomers are [`Rejected::Full`]. Does not answer DNS (`dns`), lend addresses (`dhcp4`) or keep
//! anything over a restart.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use dialtone_base::counter::Counters;
use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, MacAddress, PortId, Zone, counted_reasons};

#[doc(hidden)]
pub mod fuzz;
pub mod names;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its hardware address: who it is.
    pub mac: MacAddress,
    /// Where it was seen last.
    pub zone: Zone,
    /// Behind which port, when a frame told.
    pub port: Option<PortId>,
    /// Its address, while it has one.
    pub address: Option<Ipv4Addr>,
    /// What it calls itself; may be empty.
    pub own_name: Text<63>,
    /// What the household calls it; may be empty.
    pub given_name: Text<63>,
    /// Its label under the home's domain, unique; empty when it has no name.
    pub label: Text<63>,
    /// When a frame of it was seen last; `None` when all that is known is a lease.
    pub last_seen: Option<Instant>,
    /// Whether it is there, as far as is known.
    pub online: bool,
    /// How often it was asked since then whether it is there.
    asked: u8,
}

/// A device the household has named or set an address apart for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The device.
    pub mac: MacAddress,
    /// Its name; empty when it has none.
    pub name: Text<63>,
    /// The address set apart: the name leads there until the device has a lease.
    pub address: Ipv4Addr,
    /// The network that address is in.
    pub zone: Zone,
}

/// What happens to devices.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A frame came from it.
    Seen {
        /// Who.
        mac: MacAddress,
        /// Where.
        zone: Zone,
        /// Behind which port.
        port: PortId,
        /// When; not after now.
        at: Instant,
    },
    /// It has an address, got now or remembered; that alone does not make it online.
    Leased {
        /// Who.
        mac: MacAddress,
        /// Where.
        zone: Zone,
        /// Its address.
        address: Ipv4Addr,
        /// What it calls itself; empty when it does not say.
        name: &'a str,
    },
    /// An address is nobody's any more.
    LeaseEnded {
        /// Which.
        address: Ipv4Addr,
    },
    /// A port lost its link: whoever was behind it is gone.
    LinkDown(PortId),
    /// The household's names, all of them, as many as the table has room for: those not listed lose theirs.
    Given(&'a [Given]),
}

/// What the rest of the router may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A frame of a device that was not in the table.
    New {
        /// Who.
        mac: MacAddress,
        /// Where.
        zone: Zone,
    },
    /// Names or their addresses changed: read them again.
    NamesChanged,
    /// Nothing was heard of it for a while: ask it (by ARP) whether it is there. Its answer is a sighting.
    Ask {
        /// Where.
        zone: Zone,
        /// Its address.
        address: Ipv4Addr,
    },
    /// Nothing more until then.
    Wait(Option<Instant>),
}

counted_reasons! {
    /// Why an input was not taken.
    pub enum Rejected {
        /// Our limit: the table is full of named devices.
        Full = "full",
        /// Their fault: not the address of one station.
        NotAStation = "not-a-station",
    }
}

/// The table.
pub struct Devices {
    devices: Vec<Device>,
    capacity: usize,
    hostname: Text<63>,
    given: Vec<(Given, Text<63>)>,
    newcomers: VecDeque<Output>,
    names_changed: bool,
    next_ask: Instant,
    forgotten: u64,
    counters: Counters<Rejected, { Rejected::COUNT }>,
}

impl Devices {
    /// Empty, with room for `capacity` devices; `hostname` is the router's own label, which no device gets.
    pub fn new(capacity: usize, hostname: Text<63>) -> Self {
        Self {
            devices: Vec::with_capacity(capacity),
            capacity,
            hostname,
            given: Vec::new(),
            newcomers: VecDeque::with_capacity(NEWCOMERS),
            names_changed: false,
            next_ask: Instant::START,
            forgotten: 0,
            counters: Counters::new(),
        }
    }

    /// The router's own label, when it changed.
    pub fn set_hostname(&mut self, hostname: &str) {
        if self.hostname.as_str() != hostname {
            self.hostname = Text::lossy(hostname);
            self.rename();
        }
    }

    /// All of them, longest known first.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// One of them.
    pub fn find(&self, mac: MacAddress) -> Option<&Device> {
        self.devices.iter().find(|device| device.mac == mac)
    }

    /// Labels with their addresses, each label once: those the household gave, then those of the other devices.
    pub fn names(&self) -> impl Iterator<Item = (&str, Ipv4Addr, Zone)> {
        let given = self.given.iter().filter(|(_, label)| !label.is_empty()).map(|(given, label)| {
            let leased = self.find(given.mac).and_then(|device| Some((device.address?, device.zone)));
            let (address, zone) = leased.unwrap_or((given.address, given.zone));
            (label.as_str(), address, zone)
        });
        let own =
            self.devices.iter().filter(|device| device.given_name.is_empty() && !device.label.is_empty());
        given.chain(own.filter_map(|device| Some((device.label.as_str(), device.address?, device.zone))))
    }

    /// Devices that made room for newer ones.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Inputs not taken.
    pub fn counters(&self) -> &Counters<Rejected, { Rejected::COUNT }> {
        &self.counters
    }

    /// One thing that happened.
    ///
    /// # Errors
    /// Why it was not taken; counted.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.take(now, input);
        if let Err(rejected) = result {
            self.counters.count(rejected);
        }
        result
    }

    /// What to tell; call until [`Output::Wait`].
    pub fn poll(&mut self, now: Instant) -> Output {
        if let Some(newcomer) = self.newcomers.pop_front() {
            return newcomer;
        }
        if core::mem::take(&mut self.names_changed) {
            return Output::NamesChanged;
        }
        let mut wake: Option<Instant> = None;
        for device in self.devices.iter_mut().filter(|device| device.online) {
            let due = device.due();
            if due > now {
                wake = Some(wake.map_or(due, |wake| wake.min(due)));
            } else if device.asked >= ASKS || device.address.is_none() {
                device.online = false;
            } else if self.next_ask > now {
                wake = Some(wake.map_or(self.next_ask, |wake| wake.min(self.next_ask)));
            } else if let Some(address) = device.address {
                device.asked += 1;
                self.next_ask = now + ASK_GAP;
                return Output::Ask { zone: device.zone, address };
            }
        }
        Output::Wait(wake)
    }

    fn take(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        match input {
            Input::Seen { mac, zone, port, at } => {
                let known = self.find(mac).is_some();
                let device = self.device(mac, zone)?;
                device.port = Some(port);
                device.last_seen = device.last_seen.max(Some(at.min(now)));
                device.online = true;
                device.asked = 0;
                if !known {
                    // Nobody may be polling: the oldest news is the least.
                    if self.newcomers.len() == NEWCOMERS {
                        self.newcomers.pop_front();
                    }
                    self.newcomers.push_back(Output::New { mac, zone });
                }
            }
            Input::Leased { mac, zone, address, name } => {
                // Checked first, so that a refused newcomer takes nobody's address.
                self.device(mac, zone)?;
                for other in self.devices.iter_mut().filter(|other| other.mac != mac) {
                    other.address = other.address.filter(|taken| *taken != address);
                }
                let device = self.device(mac, zone)?;
                let own_name = if name.is_empty() { device.own_name.clone() } else { Text::lossy(name) };
                let changed = device.address != Some(address) || device.own_name != own_name;
                device.address = Some(address);
                device.own_name = own_name;
                if changed {
                    self.rename();
                }
            }
            Input::LeaseEnded { address } => {
                for device in self.devices.iter_mut().filter(|device| device.address == Some(address)) {
                    device.address = None;
                    device.online = false;
                    self.names_changed = true;
                }
            }
            Input::LinkDown(port) => {
                for device in self.devices.iter_mut().filter(|device| device.port == Some(port)) {
                    device.online = false;
                }
            }
            Input::Given(list) => {
                let list = list.iter().take(self.capacity);
                self.given = list.map(|given| (given.clone(), Text::new())).collect();
                for device in &mut self.devices {
                    let given = self.given.iter().find(|(given, _)| given.mac == device.mac);
                    device.given_name = given.map(|(given, _)| given.name.clone()).unwrap_or_default();
                }
                self.rename();
            }
        }
        Ok(())
    }

    /// The device of `mac`, put into the table when it is not there.
    fn device(&mut self, mac: MacAddress, zone: Zone) -> Result<&mut Device, Rejected> {
        if !mac.is_station() {
            return Err(Rejected::NotAStation);
        }
        let known = self.devices.iter().position(|device| device.mac == mac);
        let index = match known {
            Some(index) => index,
            None => {
                self.make_room()?;
                let given = self.given.iter().find(|(given, _)| given.mac == mac);
                self.devices.push(Device {
                    mac,
                    zone,
                    port: None,
                    address: None,
                    own_name: Text::new(),
                    given_name: given.map(|(given, _)| given.name.clone()).unwrap_or_default(),
                    label: given.map(|(_, label)| label.clone()).unwrap_or_default(),
                    last_seen: None,
                    online: false,
                    asked: 0,
                });
                self.devices.len() - 1
            }
        };
        let device = self.devices.get_mut(index).ok_or(Rejected::Full)?;
        if device.zone != zone {
            // Its address was of the network it left.
            device.address = None;
            self.names_changed = true;
        }
        device.zone = zone;
        Ok(device)
    }

    fn make_room(&mut self) -> Result<(), Rejected> {
        if self.devices.len() < self.capacity {
            return Ok(());
        }
        let unnamed = self.devices.iter().enumerate().filter(|(_, device)| device.given_name.is_empty());
        let (index, _) =
            unnamed.min_by_key(|(_, device)| (device.online, device.last_seen)).ok_or(Rejected::Full)?;
        let gone = self.devices.remove(index);
        self.forgotten += 1;
        self.names_changed |= !gone.label.is_empty();
        Ok(())
    }

    /// Gives everybody a label: given names first, then own names by rank, then in the order of the table.
    fn rename(&mut self) {
        for device in &mut self.devices {
            device.label = Text::new();
        }
        for (_, label) in &mut self.given {
            *label = Text::new();
        }
        for index in 0..self.given.len() {
            let Some((given, _)) = self.given.get(index) else { continue };
            let (mac, Some(label)) = (given.mac, names::label(&given.name)) else { continue };
            let label = self.unique(label);
            if let Some(device) = self.devices.iter_mut().find(|device| device.mac == mac) {
                device.label = label.clone();
            }
            if let Some((_, place)) = self.given.get_mut(index) {
                *place = label;
            }
        }
        for rank in 0..RANKS {
            for index in 0..self.devices.len() {
                let Some(device) = self.devices.get(index) else { continue };
                if !device.label.is_empty() || device.rank() != rank {
                    continue;
                }
                let Some(label) = names::label(&device.own_name) else { continue };
                let label = self.unique(label);
                if let Some(device) = self.devices.get_mut(index) {
                    device.label = label;
                }
            }
        }
        self.names_changed = true;
    }

    fn unique(&self, label: Text<63>) -> Text<63> {
        let taken = |label: &str| {
            label == "localhost"
                || label.eq_ignore_ascii_case(&self.hostname)
                || self.given.iter().any(|(_, given)| **given == *label)
                || self.devices.iter().any(|device| *device.label == *label)
        };
        if !taken(&label) {
            return label;
        }
        // At most one more than there are names is tried: one of them is free.
        let mut numbers = 2..=(self.devices.len() + self.given.len()) as u32 + 3;
        numbers
            .find_map(|n| Some(names::numbered(&label, n)).filter(|label| !taken(label)))
            .unwrap_or_default()
    }
}

impl Device {
    /// When to ask whether it is there, or to give it up.
    fn due(&self) -> Instant {
        let patience = match self.asked {
            _ if self.address.is_none() => SILENCE,
            asked if asked < ASKS => ASK_AFTER + ASK_AGAIN.scaled(asked.into(), 1),
            _ => SILENCE,
        };
        self.last_seen.unwrap_or(Instant::START) + patience
    }

    /// Whose name it is when two call themselves the same: a guest does not take the name of one of the household, nor
    /// an address that is out of use (as of a telephone that changes its hardware address) a name that is in use.
    fn rank(&self) -> u8 {
        u8::from(self.zone != Zone::Lan) + 2 * u8::from(self.address.is_none())
    }
}

/// Nothing heard for this long: it is not there.
pub const SILENCE: Duration = Duration::from_secs(300);
/// Nothing heard for this long: ask.
const ASK_AFTER: Duration = Duration::from_secs(240);
/// How long an answer is waited for before asking again.
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// Questions before the end of [`SILENCE`].
const ASKS: u8 = 3;
/// Time between two questions, to whomever: many fall silent together when the power fails next door.
const ASK_GAP: Duration = Duration::from_millis(250);
/// One more than the highest [`Device::rank`].
const RANKS: u8 = 4;
/// News kept for a caller who does not poll.
const NEWCOMERS: usize = 16;

#[cfg(test)]
mod tests;
