//! Gives the home and its visitors their addresses: the DHCP servers of LAN and guest, and their memory.
//!
//! One task for both zones. Frames come from the zones' BOOTP queues and leave as whole Ethernet frames, because the
//! clients have no address yet. Probes are asked of the data plane. The settings decide; the WAN only lends its time
//! servers, so a dead WAN changes nothing here. Leases go to flash through the [`LeaseJournal`]: this task never waits
//! for flash, and what could not be handed over is handed over later in its newest form.

mod config;
pub mod journal;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::task::Poll;

use dialtone_base::event::Event;
use dialtone_base::{Duration, Frame, Instant, MacAddress, warn};
use dialtone_dataplane as dataplane;
use dialtone_dhcp4::server::{Destination, Input, LeaseRecord, Output, Server, ServerEvent};
use dialtone_dhcp4::{CLIENT_PORT, SERVER_PORT};
use dialtone_settings::tree::Settings;
use dialtone_wire::Headers;
use dialtone_wire::build::{self, End, UDP_HEADERS};
use dialtone_wire::ipv4::Protocol;
use dialtone_wire::udp::UdpView;
use embassy_futures::poll_once;
use embassy_futures::select::{Either, Either6, select, select6};
use embassy_futures::yield_now;
use embassy_sync::pubsub::WaitResult;
use embassy_time::Timer;
use heapless::Deque;

use crate::stack::ZoneNet;
use crate::state::{LeaseView, RouterState, now, wait_until};
use config::server_config;
use journal::RECORD;
pub use journal::{LeaseJournal, LeaseWrite, WAN_KEY};

/// Addresses one zone's server can manage.
pub const LEASES: usize = 256;
/// How long the start waits for the leases in flash; a flash that fails must not keep the home without addresses.
pub(crate) const RESTORE_TIME: embassy_time::Duration = embassy_time::Duration::from_secs(3);
/// Longest DHCP message sent.
const MESSAGE: usize = 1472;
/// Frames of one zone handled before the other gets its turn.
const BATCH: usize = 16;
/// How long an answer to a renewal waits. BusyBox's udhcpc, the client of many small devices, sends a renewal from a socket
/// that is deaf to it until it is closed and takes an answer that arrives in between: a router answering within
/// microseconds would be heard only at the next try.
const RENEWAL_PAUSE: Duration = Duration::from_millis(3);
/// Answers that wait at once; more are sent without waiting.
const PAUSED: usize = 16;

/// The DHCP servers of LAN and guest.
pub struct Dhcp4Service {
    zones: [ZoneServer; 2],
    state: &'static RouterState,
    journal: &'static LeaseJournal,
    settings: Option<Arc<Settings>>,
    /// What flash remembered, for zones whose server is off.
    remembered: Vec<LeaseRecord>,
    /// Answers to renewals that wait for [`RENEWAL_PAUSE`]: when, in which zone, what.
    paused: Deque<(Instant, usize, Frame), PAUSED>,
}

struct ZoneServer {
    net: ZoneNet,
    server: Option<Server>,
    /// Addresses whose newest record flash does not have yet.
    unsaved: Deque<Ipv4Addr, LEASES>,
}

impl Dhcp4Service {
    /// Serves `lan` and `guest`. The servers start when the settings are known.
    pub fn new(
        lan: ZoneNet,
        guest: ZoneNet,
        state: &'static RouterState,
        journal: &'static LeaseJournal,
    ) -> Self {
        let zones = [lan, guest].map(|net| ZoneServer { net, server: None, unsaved: Deque::new() });
        Self { zones, state, journal, settings: None, remembered: Vec::new(), paused: Deque::new() }
    }

    /// Works for ever.
    pub async fn run(mut self) -> ! {
        let (state, journal) = (self.state, self.journal);
        let nets = [self.zones[0].net, self.zones[1].net];
        let mut settings = state.watch_settings();
        let mut wan = state.watch_wan();
        let mut events = state.dataplane_events();
        self.settings = Some(settings.changed().await);
        if let Either::First(records) = select(journal.restored.wait(), Timer::after(RESTORE_TIME)).await {
            self.remembered = records;
        }
        self.configure();
        loop {
            let deadline = self.drain();
            self.save();
            let unsaved = self.zones.iter().any(|zone| !zone.unsaved.is_empty());
            let room = poll_fn(|context| match unsaved {
                true => journal.writes.poll_ready_to_send(context),
                false => Poll::Pending,
            });
            let woken = select6(
                nets[0].next_bootp(),
                nets[1].next_bootp(),
                wait_until(deadline),
                select(settings.changed(), wan.changed()),
                events.next_message(),
                room,
            );
            match woken.await {
                Either6::First(frame) => self.frame(0, &frame),
                Either6::Second(frame) => self.frame(1, &frame),
                Either6::Third(()) | Either6::Sixth(()) => {}
                Either6::Fourth(fact) => {
                    if let Either::First(settings) = fact {
                        self.settings = Some(settings);
                    }
                    self.configure();
                }
                Either6::Fifth(WaitResult::Message(event)) => self.dataplane_event(event),
                // A probe's answer may be lost among them: the client's own probe is the second line of defence.
                Either6::Fifth(WaitResult::Lagged(_)) => {}
            }
            self.batch();
            yield_now().await;
        }
    }

    /// Some more frames of both zones, so that a flood on one does not keep the other waiting.
    fn batch(&mut self) {
        for _ in 0..BATCH {
            for index in 0..self.zones.len() {
                if let Poll::Ready(frame) = poll_once(self.zones[index].net.next_bootp()) {
                    self.frame(index, &frame);
                }
            }
        }
    }

    fn frame(&mut self, index: usize, frame: &Frame) {
        let zone = &mut self.zones[index];
        if let (Some(server), Some(payload)) = (&mut zone.server, udp_payload(frame.bytes(), SERVER_PORT)) {
            // Counted by the server itself.
            let _ = server.handle(now(), Input::Packet(payload));
        }
        self.drain_zone(index);
    }

    fn dataplane_event(&mut self, event: dataplane::Event) {
        let dataplane::Event::ProbeAnswered { zone, address, mac } = event else { return };
        for index in 0..self.zones.len() {
            if let Some(server) =
                self.zones[index].server.as_mut().filter(|server| server.config().zone == zone)
            {
                let _ = server.handle(now(), Input::ProbeAnswered { address, mac });
            }
        }
    }

    fn configure(&mut self) {
        let Some(settings) = self.settings.clone() else { return };
        let wan = self.state.current_wan();
        let now = now();
        for index in 0..self.zones.len() {
            let zone = self.zones[index].net.zone;
            let wanted = server_config(&settings, &wan, zone, LEASES);
            let entry = &mut self.zones[index];
            match (&mut entry.server, wanted) {
                (Some(server), Some(config)) if *server.config() != config => {
                    if let Err(error) = server.configure(now, config) {
                        warn!("{} DHCP keeps its old settings: {:?}", zone.name(), error);
                    }
                }
                (Some(_), Some(_)) | (None, None) => {}
                (None, Some(config)) => match Server::new(now, config, LEASES) {
                    Ok(mut server) => {
                        for record in self.remembered.extract_if(.., |record| record.zone == zone) {
                            server.restore(now, &record);
                        }
                        entry.server = Some(server);
                    }
                    Err(error) => warn!("no DHCP on {}: {:?}", zone.name(), error),
                },
                (Some(server), None) => {
                    self.remembered.extend(server.leases(now));
                    entry.server = None;
                }
            }
            self.show_leases(index);
        }
    }

    /// Everything the servers have to say; when the first wants to be asked again.
    fn drain(&mut self) -> Option<Instant> {
        let deadlines = [self.drain_zone(0), self.drain_zone(1), self.send_paused()];
        deadlines.into_iter().flatten().min()
    }

    /// Sends what waited long enough; when the next one has.
    fn send_paused(&mut self) -> Option<Instant> {
        while let Some((at, _, _)) = self.paused.front() {
            if *at > now() {
                return Some(*at);
            }
            if let Some((_, index, frame)) = self.paused.pop_front() {
                self.zones[index].net.send_frame(frame);
            }
        }
        None
    }

    fn drain_zone(&mut self, index: usize) -> Option<Instant> {
        let mut out = [0; MESSAGE];
        loop {
            let zone = &mut self.zones[index];
            match zone.server.as_mut()?.poll(now(), &mut out) {
                Output::Transmit { length, to } => {
                    let payload = out.get(..length).unwrap_or_default();
                    let source = zone.server.as_ref().map(|server| server.config().address.address());
                    let source = source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                    let Some(frame) = datagram(&zone.net, source, to, payload) else { continue };
                    if renews(to, payload) && !self.paused.is_full() {
                        // There is room: just checked.
                        let _ = self.paused.push_back((now() + RENEWAL_PAUSE, index, frame));
                    } else {
                        zone.net.send_frame(frame);
                    }
                }
                Output::Event(event) => self.tell(index, event),
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn tell(&mut self, index: usize, event: ServerEvent) {
        let zone = self.zones[index].net.zone;
        match event {
            ServerEvent::Probe { address } => {
                // When the data plane does not keep up the address goes out unprobed.
                let _ = self.state.commands.try_send(dataplane::Command::Probe { zone, address });
            }
            ServerEvent::Leased { lease, renewed, persist } => {
                if persist {
                    self.unsaved(index, lease.address);
                }
                self.show_lease(index, &lease);
                let LeaseRecord { mac, address, name, .. } = lease;
                self.state.note(Event::Leased { zone, mac, address, name, renewed });
            }
            ServerEvent::Ended { lease, reason } => {
                self.unsaved(index, lease.address);
                self.change_views(|views| {
                    views.retain(|view| (view.zone, view.address) != (zone, lease.address));
                });
                self.state.note(Event::LeaseEnded { address: lease.address, reason: reason.name() });
            }
            ServerEvent::Conflict { address, mac } => {
                warn!("{} is used by {}, which never asked for it", address, mac);
            }
        }
    }

    fn unsaved(&mut self, index: usize, address: Ipv4Addr) {
        let unsaved = &mut self.zones[index].unsaved;
        if !unsaved.iter().any(|known| *known == address) {
            // As many as there are addresses. After a change of settings a few more may want to be forgotten; those stay
            // in flash, where the next start ignores them.
            let _ = unsaved.push_back(address);
        }
    }

    /// Hands over what the flash's owner has room for.
    fn save(&mut self) {
        for zone in &mut self.zones {
            while let Some(address) =
                zone.unsaved.front().copied().filter(|_| self.journal.writes.free_capacity() > 0)
            {
                zone.unsaved.pop_front();
                let record = zone.server.as_ref().and_then(|server| server.record(now(), address));
                let record = record.and_then(|record| {
                    let mut bytes = [0; RECORD];
                    let used = postcard::to_slice(&record, &mut bytes).ok()?.len();
                    heapless::Vec::from_slice(bytes.get(..used)?).ok()
                });
                // There is room: just asked, and nobody else sends.
                let _ = self.journal.writes.try_send(LeaseWrite { address, record });
            }
        }
    }

    fn show_lease(&self, index: usize, lease: &LeaseRecord) {
        let Some(server) = &self.zones[index].server else { return };
        let view = LeaseView {
            zone: lease.zone,
            mac: lease.mac,
            address: lease.address,
            name: lease.name.clone(),
            expires: now() + Duration::from_secs(lease.remaining.into()),
            reserved: server.config().reservations.iter().any(|kept| kept.address == lease.address),
        };
        self.change_views(|views| {
            match views.iter_mut().find(|old| (old.zone, old.address) == (view.zone, view.address)) {
                Some(old) => *old = view,
                None => views.push(view),
            }
        });
    }

    fn show_leases(&self, index: usize) {
        let zone = self.zones[index].net.zone;
        self.change_views(|views| views.retain(|view| view.zone != zone));
        if let Some(server) = &self.zones[index].server {
            for lease in server.leases(now()) {
                self.show_lease(index, &lease);
            }
        }
    }

    fn change_views(&self, change: impl FnOnce(&mut Vec<LeaseView>)) {
        critical_section::with(|token| change(&mut self.state.leases.borrow_ref_mut(token)));
        self.state.leases_changed.signal(());
    }
}

/// Whether this is the answer to a client that has its address and asks to keep it (`ciaddr`, RFC 2131 section 4.3.2).
fn renews(to: Destination, message: &[u8]) -> bool {
    matches!(to, Destination::Station { .. }) && message.get(12..16).is_some_and(|ciaddr| ciaddr != [0; 4])
}

/// One datagram to where the server wants it, as a whole frame.
fn datagram(net: &ZoneNet, source: Ipv4Addr, to: Destination, payload: &[u8]) -> Option<Frame> {
    let (mac, address, port) = match to {
        Destination::Broadcast => (MacAddress::BROADCAST, Ipv4Addr::BROADCAST, CLIENT_PORT),
        Destination::Station { mac, address } => (mac, address, CLIENT_PORT),
        // Resolved by the data plane.
        Destination::Relay(address) => (MacAddress::ZERO, address, SERVER_PORT),
    };
    let source = End { mac: MacAddress::ZERO, address: source, port: SERVER_PORT };
    frame_of(net, source, End { mac, address, port }, payload)
}

/// One datagram on its way; lost, and counted by pool and link, when there is no room.
pub(crate) fn send_datagram(net: &ZoneNet, source: End, destination: End, payload: &[u8]) {
    if let Some(frame) = frame_of(net, source, destination, payload) {
        net.send_frame(frame);
    }
}

fn frame_of(net: &ZoneNet, source: End, destination: End, payload: &[u8]) -> Option<Frame> {
    let mut frame = net.pool().take(UDP_HEADERS + payload.len())?;
    build::udp_frame(frame.bytes_mut(), source, destination, payload)?;
    Some(frame)
}

/// The payload of a whole UDP datagram to `port`. The checksum was verified on the way here.
pub(crate) fn udp_payload(frame: &[u8], port: u16) -> Option<&[u8]> {
    let headers = Headers::parse(frame).ok()?;
    let ip = headers.ipv4.filter(|ip| ip.protocol == Protocol::UDP && !ip.is_fragment())?;
    let datagram = frame.get(ip.l4 as usize..ip.end(headers.l3))?;
    let view = UdpView::new_checked(datagram).ok().filter(|view| view.destination_port() == port)?;
    let length = view.len() as usize;
    datagram.get(dialtone_wire::udp::HEADER..length)
}
