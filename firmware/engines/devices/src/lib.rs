//! Who is at home: the bounded table of devices and their unique names.
//!
//! Sightings (a station on a port), leases and the household's own names go in; events come out, and the table is there
//! to read. Names are unique labels under the home's domain: what the household chose comes first, then what the devices
//! call themselves, longest known first; a name already taken gets `-2`, `-3` …
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
use dialtone_base::{Instant, MacAddress, PortId, Zone, counted_reasons};

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
    /// When it was seen first.
    pub first_seen: Instant,
    /// When it was seen last.
    pub last_seen: Instant,
    /// Whether it is there, as far as is known.
    pub online: bool,
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
    },
    /// It got or renewed an address.
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
    /// The household's names, all of them: those not listed lose theirs.
    Given(&'a [(MacAddress, Text<63>)]),
}

/// What the rest of the router may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A device that was not in the table.
    New {
        /// Who.
        mac: MacAddress,
        /// Where.
        zone: Zone,
    },
    /// Names or their addresses changed: read them again.
    NamesChanged,
    /// Nothing more.
    Wait,
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
    newcomers: VecDeque<Output>,
    names_changed: bool,
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
            newcomers: VecDeque::with_capacity(NEWCOMERS),
            names_changed: false,
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

    /// Labels with their addresses, each label once.
    pub fn names(&self) -> impl Iterator<Item = (&str, Ipv4Addr, Zone)> {
        let named = self.devices.iter().filter(|device| !device.label.is_empty());
        named.filter_map(|device| Some((device.label.as_str(), device.address?, device.zone)))
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
    pub fn poll(&mut self) -> Output {
        if let Some(newcomer) = self.newcomers.pop_front() {
            return newcomer;
        }
        if core::mem::take(&mut self.names_changed) { Output::NamesChanged } else { Output::Wait }
    }

    fn take(&mut self, now: Instant, input: Input<'_>) -> Result<(), Rejected> {
        match input {
            Input::Seen { mac, zone, port } => {
                let device = self.device(now, mac, zone)?;
                device.port = Some(port);
            }
            Input::Leased { mac, zone, address, name } => {
                // Checked first, so that a refused newcomer takes nobody's address.
                self.device(now, mac, zone)?;
                for other in self.devices.iter_mut().filter(|other| other.mac != mac) {
                    other.address = other.address.filter(|taken| *taken != address);
                }
                let device = self.device(now, mac, zone)?;
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
                for device in &mut self.devices {
                    let given = list.iter().find(|(mac, _)| *mac == device.mac);
                    device.given_name = given.map(|(_, name)| name.clone()).unwrap_or_default();
                }
                self.rename();
            }
        }
        Ok(())
    }

    /// The device of `mac`, put into the table when it is not there, and seen now.
    fn device(&mut self, now: Instant, mac: MacAddress, zone: Zone) -> Result<&mut Device, Rejected> {
        if !mac.is_station() {
            return Err(Rejected::NotAStation);
        }
        let known = self.devices.iter().position(|device| device.mac == mac);
        let index = match known {
            Some(index) => index,
            None => {
                self.make_room()?;
                self.devices.push(Device {
                    mac,
                    zone,
                    port: None,
                    address: None,
                    own_name: Text::new(),
                    given_name: Text::new(),
                    label: Text::new(),
                    first_seen: now,
                    last_seen: now,
                    online: true,
                });
                // Nobody may be polling: the oldest news is the least.
                if self.newcomers.len() == NEWCOMERS {
                    self.newcomers.pop_front();
                }
                self.newcomers.push_back(Output::New { mac, zone });
                self.devices.len() - 1
            }
        };
        let device = self.devices.get_mut(index).ok_or(Rejected::Full)?;
        if device.zone != zone {
            self.names_changed = true;
        }
        device.zone = zone;
        device.last_seen = now;
        device.online = true;
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

    /// Gives everybody a label: given names first, then own names, in the order of the table.
    fn rename(&mut self) {
        for device in &mut self.devices {
            device.label = Text::new();
        }
        for given in [true, false] {
            for index in 0..self.devices.len() {
                let Some(device) = self.devices.get(index).filter(|device| device.label.is_empty()) else {
                    continue;
                };
                let name = if given { &device.given_name } else { &device.own_name };
                let Some(label) = names::label(name) else { continue };
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
                || self.devices.iter().any(|device| *device.label == *label)
        };
        if !taken(&label) {
            return label;
        }
        // At most one more than there are devices is tried: one of them is free.
        let mut numbers = 2..=self.devices.len() as u32 + 3;
        numbers
            .find_map(|n| Some(names::numbered(&label, n)).filter(|label| !taken(label)))
            .unwrap_or_default()
    }
}

/// News kept for a caller who does not poll.
const NEWCOMERS: usize = 16;

#[cfg(test)]
mod tests;
