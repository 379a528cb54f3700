//! Knows who is at home: feeds the table of devices with sightings, leases and the household's names.
//!
//! The one place where devices get their names: the name server, the status page and the console take theirs from what is
//! published here ([`RouterState::devices`], [`RouterState::names`]). New stations come from the data plane as they
//! happen, leases when they change; once a second everything is compared, because events may be missed. The table is not
//! kept over a restart.

use alloc::sync::Arc;
use alloc::vec::Vec;

use dialtone_base::event::Event;
use dialtone_base::text::Text;
use dialtone_base::{Duration, PortSet, Zone};
use dialtone_dataplane as dataplane;
use dialtone_devices::{Device, Devices, Given, Input, Output};
use dialtone_settings::tree::Settings;
use embassy_futures::select::{Either4, select4};

use crate::state::{HomeName, LeaseView, RouterState, now, wait_until};

/// How often everything is compared, whatever was told.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// The table and what feeds it.
pub struct DevicesService {
    table: Devices,
    links: PortSet,
    given: Vec<Given>,
    state: &'static RouterState,
}

/// A device with what it moved, for people.
pub struct AtHome {
    /// Who.
    pub device: Device,
    /// The name of the port it is, or was, behind; empty when no frame told.
    pub port: Text<15>,
    /// Bytes it sent through the router.
    pub sent_bytes: u64,
    /// Bytes it received through the router.
    pub received_bytes: u64,
}

impl DevicesService {
    /// With room for `capacity` devices.
    pub fn new(capacity: usize, state: &'static RouterState) -> Self {
        let table = Devices::new(capacity, Text::new());
        Self { table, links: PortSet::EMPTY, given: Vec::new(), state }
    }

    /// Feeds the table; never ends.
    pub async fn run(mut self) -> ! {
        let state = self.state;
        let mut events = state.dataplane_events();
        let mut settings = state.watch_settings();
        let mut compare_at = now();
        loop {
            let woken = select4(
                events.next_message_pure(),
                state.leases_changed.wait(),
                settings.changed(),
                wait_until(Some(compare_at)),
            );
            match woken.await {
                // Whoever is on the WAN is not at home.
                Either4::First(dataplane::Event::StationSeen { zone, port, mac }) if zone != Zone::Wan => {
                    self.feed(Input::Seen { mac, zone, port, at: now() });
                }
                Either4::First(_) => continue,
                Either4::Second(()) => self.compare_leases(),
                Either4::Third(settings) => self.name(&settings),
                Either4::Fourth(()) => {
                    compare_at = now() + COMPARE_EVERY;
                    self.compare_stations();
                    self.compare_leases();
                }
            }
            self.tell();
            self.publish();
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        // What is refused is counted in the table: it is full, or the sender no station.
        let _ = self.table.handle(now(), input);
    }

    /// Stations first: what was heard before a link went down is older than the link.
    fn compare_stations(&mut self) {
        let stations = critical_section::with(|token| self.state.stations.borrow_ref(token).clone());
        for station in stations.iter().filter(|station| station.zone != Zone::Wan) {
            let known = self.table.find(station.mac).and_then(|device| device.last_seen);
            if known < Some(station.last_seen) {
                let dataplane::bridge::Station { zone, mac, port, last_seen } = *station;
                self.feed(Input::Seen { mac, zone, port, at: last_seen });
            }
        }
        let links = self.state.links();
        for port in self.links.iter().filter(|port| !links.contains(*port)) {
            self.feed(Input::LinkDown(port));
        }
        self.links = links;
    }

    /// Brings the leases into the table, as far as they changed.
    fn compare_leases(&mut self) {
        let leases = critical_section::with(|token| self.state.leases.borrow_ref(token).clone());
        let gone: Vec<_> = self.table.iter().filter_map(|device| device.address).collect();
        for address in gone.into_iter().filter(|address| leases.iter().all(|lease| lease.address != *address))
        {
            self.feed(Input::LeaseEnded { address });
        }
        for lease in &leases {
            if !self.is_current(lease, &leases) {
                continue;
            }
            let known = self.table.find(lease.mac).is_some_and(|device| {
                device.zone == lease.zone
                    && device.address == Some(lease.address)
                    && (lease.name.is_empty() || device.own_name == lease.name)
            });
            if !known {
                let (mac, zone, address) = (lease.mac, lease.zone, lease.address);
                self.feed(Input::Leased { mac, zone, address, name: &lease.name });
            }
        }
    }

    /// A device that changed sides has a lease on each: the one of the network it is on counts, else the one that lasts.
    fn is_current(&self, lease: &LeaseView, leases: &[LeaseView]) -> bool {
        if let Some(device) = self.table.find(lease.mac).filter(|device| device.online) {
            return device.zone == lease.zone;
        }
        leases.iter().all(|other| {
            other.mac != lease.mac || (other.expires, other.address) <= (lease.expires, lease.address)
        })
    }

    fn name(&mut self, settings: &Settings) {
        self.table.set_hostname(&settings.system.hostname);
        let given = settings.reservations.iter().map(|known| {
            let guest = settings.guest.enabled && settings.guest.address.contains(known.address);
            let zone = if guest { Zone::Guest } else { Zone::Lan };
            Given { mac: known.mac, name: known.name.clone(), address: known.address, zone }
        });
        let given: Vec<_> = given.collect();
        if given != self.given {
            self.feed(Input::Given(&given));
            self.given = given;
        }
    }

    fn tell(&mut self) {
        loop {
            match self.table.poll(now()) {
                Output::New { mac, zone } => self.state.note(Event::DeviceSeen { mac, zone }),
                Output::NamesChanged => {
                    let names = self.table.names().map(|(label, address, zone)| HomeName {
                        label: Text::lossy(label),
                        address,
                        zone,
                    });
                    self.state.names.sender().send(names.collect::<Arc<[_]>>());
                }
                Output::Ask { zone, address } => {
                    // When the data plane does not keep up the device is asked again later.
                    let _ = self.state.commands.try_send(dataplane::Command::Ask { zone, address });
                }
                Output::Wait(_) => return,
            }
        }
    }

    fn publish(&self) {
        critical_section::with(|token| {
            let mut devices = self.state.devices.borrow_ref_mut(token);
            devices.clear();
            devices.extend(self.table.iter().cloned());
        });
    }
}

/// Everybody the table knows, longest known first.
pub fn at_home(state: &RouterState) -> Vec<AtHome> {
    let (devices, usage) = critical_section::with(|token| {
        (state.devices.borrow_ref(token).clone(), state.usage.borrow_ref(token).clone())
    });
    let with_usage = |device: Device| {
        // Whoever changed sides moved bytes on both.
        let moved = usage.iter().filter(|usage| usage.mac == device.mac);
        let port = device.port.and_then(|port| state.ports.get(port.index()));
        AtHome {
            port: port.map(|info| info.name.clone()).unwrap_or_default(),
            sent_bytes: moved.clone().map(|usage| usage.sent_bytes).sum(),
            received_bytes: moved.map(|usage| usage.received_bytes).sum(),
            device,
        }
    };
    devices.into_iter().map(with_usage).collect()
}
