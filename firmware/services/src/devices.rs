//! Knows who is at home: feeds the table of devices with sightings, leases and the household's names.
//!
//! Sightings come from the data plane as they happen, leases and reservations are compared once a second. New devices
//! are told as events. The table is read by the console; it is not kept over a restart.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

use critical_section::Mutex;
use dialtone_base::Zone;
use dialtone_base::event::Event;
use dialtone_base::text::Text;
use dialtone_dataplane as dataplane;
use dialtone_devices::{Device, Devices, Input, Output};
use dialtone_settings::tree::Settings;
use embassy_futures::select::{Either, select};
use embassy_time::Timer;

use crate::state::{RouterState, now};

/// The table and what feeds it.
pub struct DevicesService {
    table: Mutex<RefCell<Devices>>,
    state: &'static RouterState,
}

impl DevicesService {
    /// Made once, with room for `capacity` devices.
    pub fn leak(capacity: usize, state: &'static RouterState) -> &'static Self {
        let table = Mutex::new(RefCell::new(Devices::new(capacity, Text::new())));
        Box::leak(Box::new(Self { table, state }))
    }

    /// The table as it is.
    pub fn list(&self) -> Vec<Device> {
        critical_section::with(|token| self.table.borrow_ref(token).iter().cloned().collect())
    }

    /// Feeds the table; never ends.
    pub async fn run(&self) -> ! {
        let mut events = self.state.dataplane_events();
        loop {
            match select(events.next_message_pure(), Timer::after_secs(1)).await {
                // Whoever is on the WAN is not at home.
                Either::First(dataplane::Event::StationSeen { zone, port, mac }) if zone != Zone::Wan => {
                    self.feed(Input::Seen { mac, zone, port });
                }
                Either::First(_) => {}
                Either::Second(()) => self.compare(),
            }
            self.tell();
        }
    }

    fn feed(&self, input: Input<'_>) {
        // What is refused is counted in the table: it is full, or the sender no station.
        let _ = critical_section::with(|token| self.table.borrow_ref_mut(token).handle(now(), input));
    }

    /// Brings leases and the household's names into the table, as far as they changed.
    fn compare(&self) {
        let leases = critical_section::with(|token| self.state.leases.borrow_ref(token).clone());
        let devices = self.list();
        for lease in &leases {
            let known = devices.iter().any(|device| {
                device.mac == lease.mac
                    && device.address == Some(lease.address)
                    && device.own_name == lease.name
            });
            if !known {
                let (mac, zone, address) = (lease.mac, lease.zone, lease.address);
                self.feed(Input::Leased { mac, zone, address, name: &lease.name });
            }
        }
        for address in devices.iter().filter_map(|device| device.address) {
            if leases.iter().all(|lease| lease.address != address) {
                self.feed(Input::LeaseEnded { address });
            }
        }
        if let Some(settings) = self.state.current_settings() {
            self.name(&settings);
        }
    }

    fn name(&self, settings: &Settings) {
        let given: Vec<_> =
            settings.reservations.iter().map(|known| (known.mac, known.name.clone())).collect();
        let changed = self.list().iter().any(|device| {
            let name = given.iter().find(|(mac, _)| *mac == device.mac).map_or("", |(_, name)| name.as_str());
            device.given_name.as_str() != name
        });
        critical_section::with(|token| {
            self.table.borrow_ref_mut(token).set_hostname(&settings.system.hostname)
        });
        if changed {
            self.feed(Input::Given(&given));
        }
    }

    fn tell(&self) {
        loop {
            match critical_section::with(|token| self.table.borrow_ref_mut(token).poll()) {
                Output::New { mac, zone } => self.state.note(Event::DeviceSeen { mac, zone }),
                Output::NamesChanged => {}
                Output::Wait => return,
            }
        }
    }
}
