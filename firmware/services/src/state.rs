//! What the services share: one value, made at start, lived in until power is cut.
//!
//! Facts flow through it in one direction each: settings and WAN status are watched, events for people go into the ring,
//! commands go down to the data plane, its events come up. Each field names its only writer. Nothing here decides.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::Ipv4Addr;

use critical_section::Mutex;
use dialtone_base::event::{Entry, Event, EventRing};
use dialtone_base::telephony::Number;
use dialtone_base::text::Text;
use dialtone_base::time::UnixTime;
use dialtone_base::{Instant, Ipv4Prefix, MacAddress, PortId, PortSet, Zone};
use dialtone_dataplane as dataplane;
use dialtone_devices::Device;
use dialtone_hal_api::port::PortInfo;
use dialtone_phone::call_log::CallLog;
use dialtone_settings::tree::Settings;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::pubsub::{DynSubscriber, PubSubChannel};
use embassy_sync::signal::Signal;
use embassy_sync::watch::{DynReceiver, Watch};

use crate::voice_first::ExpeditedCounters;

/// Services that may watch one fact.
const WATCHERS: usize = 10;
/// Data-plane events a slow service may fall behind before it misses some.
const EVENTS_BEHIND: usize = 64;

/// The router's shared state.
pub struct RouterState {
    /// What the router went through, for people. Everybody writes, through [`RouterState::note`].
    pub events: EventRing,
    /// What the home does on the internet: flows and names. Not for the page, which every device of the home can read.
    /// Written through [`RouterState::note`].
    pub traffic: EventRing,
    /// The settings in force. Written by the settings service.
    pub settings: Watch<CriticalSectionRawMutex, Arc<Settings>, WATCHERS>,
    /// How the WAN is. Written by the WAN service.
    pub wan: Watch<CriticalSectionRawMutex, WanStatus, WATCHERS>,
    /// Orders for the data plane. Everybody writes, its task reads.
    pub commands: Channel<CriticalSectionRawMutex, dataplane::Command, 32>,
    /// What the data plane tells. Written by its task.
    pub dataplane_events:
        PubSubChannel<CriticalSectionRawMutex, dataplane::Event, EVENTS_BEHIND, WATCHERS, 1>,
    /// Counters and totals, at most a second old. Written by the data plane's task.
    pub snapshot: Mutex<RefCell<dataplane::Snapshot>>,
    /// What went first to the internet, at most a second old. Written by the data plane's task.
    pub expedited: Mutex<RefCell<ExpeditedCounters>>,
    /// The name server's counters and servers, at most a second old. Written by the DNS service.
    pub dns: Mutex<RefCell<Option<dialtone_dns::Snapshot>>>,
    /// Packets traced lately, oldest first, at most a second old. Written by the data plane's task.
    pub traces: Mutex<RefCell<Vec<dataplane::trace::Trace>>>,
    /// What each device moved, at most a second old. Written by the data plane's task.
    pub usage: Mutex<RefCell<Vec<dataplane::Usage>>>,
    /// Stations behind the ports, at most a second old. Written by the data plane's task.
    pub stations: Mutex<RefCell<Vec<dataplane::bridge::Station>>>,
    /// Leases of all zones. Written by the DHCP service.
    pub leases: Mutex<RefCell<Vec<LeaseView>>>,
    /// Something about the leases changed. Written by the DHCP service, read by the devices service.
    pub leases_changed: Signal<CriticalSectionRawMutex, ()>,
    /// Who is at home, longest known first. Written by the devices service.
    pub devices: Mutex<RefCell<Vec<Device>>>,
    /// The home's names, each once. Written by the devices service.
    pub names: Watch<CriticalSectionRawMutex, Arc<[HomeName]>, WATCHERS>,
    /// The telephone lines. Written by the phone service.
    pub lines: Mutex<RefCell<Vec<LineView>>>,
    /// The telephone numbers. Written by the phone service.
    pub numbers: Mutex<RefCell<Vec<NumberView>>>,
    /// What SIP and the exchange did not take, by reason, without zeros. Written by the phone service.
    pub telephony_refusals: Mutex<RefCell<Vec<(&'static str, u64)>>>,
    /// The last calls. Not for the page, which every device of the home can read. Written by the phone's keeper.
    pub call_log: Mutex<RefCell<CallLog>>,
    /// Wall-clock time, once known. Written by the SNTP service.
    clock: Mutex<Cell<Option<ClockReading>>>,
    /// The board's ports in their order, fixed.
    pub ports: Vec<PortInfo>,
    /// Ports whose link is up. Written by the data plane's task.
    links: Mutex<Cell<PortSet>>,
}

/// The WAN as the other services see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WanStatus {
    /// The WAN port has a link.
    pub link: bool,
    /// Our address there; `None` while there is no way out.
    pub address: Option<Ipv4Prefix>,
    /// The default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers the operator named, best first.
    pub dns: heapless::Vec<Ipv4Addr, 4>,
    /// Time servers the operator named.
    pub ntp: heapless::Vec<Ipv4Addr, 4>,
    /// Longest packet, when the operator said; otherwise the setting's.
    pub mtu: Option<u16>,
    /// Why there is no way out, in a few words; empty when there is one.
    pub reason: &'static str,
}

/// One reader's place in both rings of a [`RouterState`].
#[derive(Clone, Copy, Debug, Default)]
pub struct EventReader {
    event: u64,
    traffic: u64,
}

impl EventReader {
    /// The next entry in the order of time, and how many of its kind went by unread before it.
    pub fn next(&mut self, state: &RouterState) -> Option<(u64, Entry)> {
        let (event, traffic) = (state.events.read(self.event), state.traffic.read(self.traffic));
        let is_traffic = match (&event, &traffic) {
            (Some(event), Some(traffic)) => traffic.at < event.at,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let (place, entry) =
            if is_traffic { (&mut self.traffic, traffic?) } else { (&mut self.event, event?) };
        let missed = entry.sequence - *place;
        *place = entry.sequence + 1;
        Some((missed, entry))
    }
}

/// A lease as the status page and the console show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// On which network.
    pub zone: Zone,
    /// The device.
    pub mac: MacAddress,
    /// Its address.
    pub address: Ipv4Addr,
    /// The name it gave, possibly empty.
    pub name: Text<63>,
    /// When the lease ends.
    pub expires: Instant,
    /// The address is set apart for this device.
    pub reserved: bool,
}

/// A telephone line as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineView {
    /// The board's name for it.
    pub name: Text<15>,
    /// `on-hook`, `ringing`, `off-hook` or `talking`.
    pub state: &'static str,
    /// Sound and transitions its driver lost, by reason, without zeros.
    pub losses: Vec<(&'static str, u64)>,
}

/// A telephone number of an account as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberView {
    /// Position of the account in the settings.
    pub account: u8,
    /// Position among the account's numbers.
    pub index: u8,
    /// The number.
    pub number: Number,
    /// It can be called.
    pub up: bool,
    /// In a few words.
    pub state: &'static str,
}

/// A name below the home's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeName {
    /// One label.
    pub label: Text<63>,
    /// Where it leads.
    pub address: Ipv4Addr,
    /// The network that address is in.
    pub zone: Zone,
}

/// An event as it is told to people: ports go by their names. See [`RouterState::words`].
pub struct Words<'a> {
    event: &'a Event,
    ports: &'a [PortInfo],
}

#[derive(Clone, Copy)]
struct ClockReading {
    at: Instant,
    unix: UnixTime,
}

impl RouterState {
    /// Made once, for the lifetime of the program.
    pub fn leak(ports: Vec<PortInfo>, snapshot: dataplane::Snapshot) -> &'static Self {
        Box::leak(Box::new(Self {
            events: EventRing::new(),
            traffic: EventRing::new(),
            settings: Watch::new(),
            wan: Watch::new_with(WanStatus { reason: "starting", ..WanStatus::default() }),
            commands: Channel::new(),
            dataplane_events: PubSubChannel::new(),
            snapshot: Mutex::new(RefCell::new(snapshot)),
            expedited: Mutex::new(RefCell::new(ExpeditedCounters::new())),
            dns: Mutex::new(RefCell::new(None)),
            traces: Mutex::new(RefCell::new(Vec::new())),
            usage: Mutex::new(RefCell::new(Vec::new())),
            stations: Mutex::new(RefCell::new(Vec::new())),
            leases: Mutex::new(RefCell::new(Vec::new())),
            leases_changed: Signal::new(),
            devices: Mutex::new(RefCell::new(Vec::new())),
            names: Watch::new(),
            lines: Mutex::new(RefCell::new(Vec::new())),
            numbers: Mutex::new(RefCell::new(Vec::new())),
            telephony_refusals: Mutex::new(RefCell::new(Vec::new())),
            call_log: Mutex::new(RefCell::new(CallLog::new())),
            clock: Mutex::new(Cell::new(None)),
            ports,
            links: Mutex::new(Cell::new(PortSet::EMPTY)),
        }))
    }

    /// Notes an event for people, now.
    pub fn note(&self, event: Event) {
        let ring = if event.is_traffic() { &self.traffic } else { &self.events };
        ring.push(now(), event);
    }

    /// A watcher of the settings. Panics when more than the house's own services ask, which start-up would show at once.
    pub fn watch_settings(&'static self) -> DynReceiver<'static, Arc<Settings>> {
        self.settings.dyn_receiver().expect("WATCHERS counts the services")
    }

    /// A watcher of the WAN.
    pub fn watch_wan(&'static self) -> DynReceiver<'static, WanStatus> {
        self.wan.dyn_receiver().expect("WATCHERS counts the services")
    }

    /// A watcher of the home's names.
    pub fn watch_names(&'static self) -> DynReceiver<'static, Arc<[HomeName]>> {
        self.names.dyn_receiver().expect("WATCHERS counts the services")
    }

    /// The data plane's events from now on.
    pub fn dataplane_events(&'static self) -> DynSubscriber<'static, dataplane::Event> {
        self.dataplane_events.dyn_subscriber().expect("WATCHERS counts the services")
    }

    /// The settings in force; `None` before the settings service has read them.
    pub fn current_settings(&self) -> Option<Arc<Settings>> {
        self.settings.try_get()
    }

    /// The WAN as it is.
    pub fn current_wan(&self) -> WanStatus {
        self.wan.try_get().unwrap_or_default()
    }

    /// Sets the wall clock.
    pub fn set_clock(&self, at: Instant, unix: UnixTime) {
        critical_section::with(|token| self.clock.borrow(token).set(Some(ClockReading { at, unix })));
    }

    /// Wall-clock time now; `None` until somebody told us.
    pub fn unix_time(&self) -> Option<UnixTime> {
        let reading = critical_section::with(|token| self.clock.borrow(token).get())?;
        Some(UnixTime(reading.unix.0 + now().since(reading.at).as_secs()))
    }

    /// Ports whose link is up.
    pub fn links(&self) -> PortSet {
        critical_section::with(|token| self.links.borrow(token).get())
    }

    /// The zone of a port as the settings have it now: a port of the household may be lent to guests.
    pub fn zone_of(&self, port: PortId) -> Option<Zone> {
        let info = self.ports.get(port.index())?;
        let lent = self.current_settings().is_some_and(|settings| is_lent(&settings, info));
        Some(if lent { Zone::Guest } else { info.zone })
    }

    /// Names among the guests' ports that no port of the household's network bears: they lend nothing.
    pub fn unknown_guest_ports<'a>(&'a self, settings: &'a Settings) -> impl Iterator<Item = &'a Text<15>> {
        let known = |name: &Text<15>| {
            self.ports.iter().any(|port| port.zone != Zone::Wan && port.name.as_str() == name.as_str())
        };
        settings.guest.ports.iter().filter(move |name| !known(name))
    }

    /// An event in words for people.
    pub fn words<'a>(&'a self, event: &'a Event) -> Words<'a> {
        Words { event, ports: &self.ports }
    }

    /// Says which links are up.
    pub fn set_links(&self, links: PortSet) {
        critical_section::with(|token| self.links.borrow(token).set(links));
    }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.event {
            Event::Link { port, up } => match self.ports.get(port.index()) {
                Some(info) => write!(f, "{}: link {}", info.name, if *up { "up" } else { "down" }),
                None => self.event.fmt(f),
            },
            event => event.fmt(f),
        }
    }
}

/// Whether the settings lend this port of the household to guests, while there is a guest network.
pub fn is_lent(settings: &Settings, port: &PortInfo) -> bool {
    settings.guest.enabled && port.zone == Zone::Lan && settings.guest.ports.contains(&port.name)
}

/// The time engines are told: microseconds since start.
pub fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// Waits until `deadline`; forever when there is none.
pub async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => embassy_time::Timer::at(embassy_time::Instant::from_micros(at.as_micros())).await,
        None => core::future::pending().await,
    }
}
