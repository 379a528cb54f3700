//! Keeps the way out: the DHCP client on the WAN, the link, and what the rest of the router is told about them.
//!
//! The client and the connection's state machine are engines that do not know each other; this task carries what one
//! says to the other, frames to and from the data plane, and the outcome to the router's state, the WAN stack and the
//! events for people. What the operator gave us is kept in flash, so that a router that was switched off asks for the same
//! address at once (RFC 2131 section 3.2). Nothing inside the home depends on this task making progress.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::net::Ipv4Addr;
use core::task::Poll;

use dialtone_base::event::Event;
use dialtone_base::text::Text;
use dialtone_base::{Frame, Instant, MacAddress, Seed, Zone, warn};
use dialtone_dataplane as dataplane;
use dialtone_dhcp4::client::{self, Binding, Client, ClientConfig, ClientEvent, LostReason};
use dialtone_dhcp4::{CLIENT_PORT, SERVER_PORT};
use dialtone_hal_api::port::LinkWatch;
use dialtone_settings::tree::{Settings, WanConnection};
use dialtone_wan::{self as wan, Connection, Wan};
use dialtone_wire::build::End;
use embassy_futures::select::{Either, Either6, select, select6};
use embassy_futures::yield_now;
use embassy_sync::channel::TrySendError;
use embassy_sync::pubsub::WaitResult;
use embassy_time::Timer;

use crate::dhcp4::{LeaseJournal, LeaseWrite, RESTORE_TIME, send_datagram, udp_payload};
use crate::stack::ZoneNet;
use crate::state::{RouterState, WanStatus, now, wait_until};

/// Longest DHCP message sent.
const MESSAGE: usize = 576;
/// How long the start waits for a port to say how its link is; one that says nothing has none.
const LINK_TIME: embassy_time::Duration = embassy_time::Duration::from_secs(2);

/// The WAN connection with its DHCP client.
pub struct WanService {
    net: ZoneNet,
    link: &'static LinkWatch,
    client: Client,
    connection: Wan,
    link_up: bool,
    state: &'static RouterState,
    journal: &'static LeaseJournal,
    /// What flash remembers, or is about to.
    kept: Option<Binding>,
    /// On its way to flash.
    unsaved: Option<LeaseWrite>,
}

impl WanService {
    /// For the WAN port with this link and MAC address. Starts when the settings are known.
    pub fn new(
        net: ZoneNet,
        link: &'static LinkWatch,
        mac: MacAddress,
        seed: Seed,
        state: &'static RouterState,
        journal: &'static LeaseJournal,
    ) -> Self {
        let mut client = Client::new(ClientConfig::new(mac), seed);
        // Quiet until the connection asks for it.
        let _ = client.handle(Instant::START, client::Input::Release);
        let connection = Wan::new(connection_config(&Settings::default()));
        Self { net, link, client, connection, link_up: false, state, journal, kept: None, unsaved: None }
    }

    /// Works for ever.
    pub async fn run(mut self) -> ! {
        let (state, net, link, journal) = (self.state, self.net, self.link, self.journal);
        let mut settings = state.watch_settings();
        let mut events = state.dataplane_events();
        let first = settings.changed().await;
        self.client.set_host_name(host_name(&first));
        self.connection = Wan::new(connection_config(&first));
        // The engines say first that DHCP is to run; then there is something to remember.
        self.drain();
        if let Either::First(Some(binding)) =
            select(journal.wan_restored.wait(), Timer::after(RESTORE_TIME)).await
        {
            self.kept = Some(binding.clone());
            self.client.remember(now(), binding);
        }
        if link.state().1 == 0 {
            select(link.changed(0), Timer::after(LINK_TIME)).await;
        }
        let (mut up, mut changes) = link.state();
        self.set_link(up);
        loop {
            let deadline = self.drain();
            self.save();
            let unsaved = self.unsaved.is_some();
            let room = poll_fn(|context| match unsaved {
                true => journal.writes.poll_ready_to_send(context),
                false => Poll::Pending,
            });
            let woken = select6(
                net.next_bootp(),
                wait_until(deadline),
                settings.changed(),
                link.changed(changes),
                events.next_message(),
                room,
            );
            match woken.await {
                Either6::First(frame) => self.frame(&frame),
                Either6::Second(()) | Either6::Sixth(()) => {}
                Either6::Third(settings) => self.configure(&settings),
                Either6::Fourth(changed) => {
                    // More than one change since we looked: a link that is up again was down in between.
                    let flapped = changed.0 == up;
                    (up, changes) = changed;
                    if flapped {
                        self.set_link(!up);
                        self.drain();
                    }
                    self.set_link(up);
                }
                Either6::Fifth(WaitResult::Message(event)) => self.dataplane_event(event),
                Either6::Fifth(WaitResult::Lagged(_)) => {}
            }
            yield_now().await;
        }
    }

    fn configure(&mut self, settings: &Arc<Settings>) {
        self.client.set_host_name(host_name(settings));
        let _ = self.connection.handle(now(), wan::Input::Configure(connection_config(settings)));
    }

    fn set_link(&mut self, up: bool) {
        self.link_up = up;
        // The engines count what they reject.
        let _ = self.connection.handle(now(), wan::Input::Link(up));
        let _ = self.client.handle(now(), client::Input::Link(up));
    }

    fn frame(&mut self, frame: &Frame) {
        if let Some(payload) = udp_payload(frame.bytes(), CLIENT_PORT) {
            let _ = self.client.handle(now(), client::Input::Packet(payload));
        }
    }

    fn dataplane_event(&mut self, event: dataplane::Event) {
        if let dataplane::Event::ProbeAnswered { zone: Zone::Wan, address, mac } = event {
            let _ = self.client.handle(now(), client::Input::ProbeAnswered { address, mac });
        }
    }

    /// Everything both engines have to say; when the client wants to be asked again.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let deadline = self.drain_client();
            if !self.drain_connection() {
                return deadline;
            }
        }
    }

    fn drain_client(&mut self) -> Option<Instant> {
        let mut out = [0; MESSAGE];
        loop {
            match self.client.poll(now(), &mut out) {
                client::Output::Transmit { length, from, to } => {
                    // Unicast is resolved, and routed if need be, by the data plane.
                    let mac = if to.is_broadcast() { MacAddress::BROADCAST } else { MacAddress::ZERO };
                    let source = End { mac: MacAddress::ZERO, address: from, port: CLIENT_PORT };
                    let destination = End { mac, address: to, port: SERVER_PORT };
                    send_datagram(&self.net, source, destination, out.get(..length).unwrap_or_default());
                }
                client::Output::Event(event) => self.client_event(event),
                client::Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn client_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Probe { address } => {
                let probe = dataplane::Command::Probe { zone: Zone::Wan, address };
                // When the data plane does not keep up the address is used unprobed.
                let _ = self.state.commands.try_send(probe);
            }
            ClientEvent::Bound { binding, .. } => {
                self.keep(Some(&binding));
                let _ = self.connection.handle(now(), wan::Input::Leased(connection_of(&binding)));
                self.drain_connection();
            }
            ClientEvent::Lost(reason) => {
                if reason != LostReason::Link {
                    self.keep(None);
                }
                let _ = self.connection.handle(now(), wan::Input::Lost(reason.name()));
                self.drain_connection();
            }
            ClientEvent::Conflict { address, mac } => {
                warn!("the operator gave us {}, which {} uses already", address, mac);
            }
        }
    }

    /// Has flash remember `binding`; a renewal is not worth a write, whatever its times.
    fn keep(&mut self, binding: Option<&Binding>) {
        let timeless = |binding: &Binding| Binding { lease: 0, renew: 0, rebind: 0, ..binding.clone() };
        if self.kept.as_ref().map(timeless) != binding.map(timeless) {
            self.kept = binding.cloned();
            self.unsaved = Some(LeaseWrite::wan(binding));
        }
    }

    fn save(&mut self) {
        let Some(write) = self.unsaved.take() else { return };
        if let Err(TrySendError::Full(write)) = self.journal.writes.try_send(write) {
            self.unsaved = Some(write);
        }
    }

    /// The connection takes its next input only after a drain; whether there was anything.
    fn drain_connection(&mut self) -> bool {
        let mut any = false;
        while let wan::Output::Event(event) = self.connection.poll(now()) {
            any = true;
            self.tell(event);
        }
        any
    }

    fn tell(&mut self, event: wan::Event) {
        match event {
            wan::Event::AskDhcp(ask) => {
                let input = if ask { client::Input::Start } else { client::Input::Release };
                let _ = self.client.handle(now(), input);
            }
            wan::Event::Up(connection) => {
                let gateway = connection.gateway;
                self.publish(WanStatus {
                    link: true,
                    address: Some(connection.address),
                    gateway,
                    dns: connection.name_servers,
                    ntp: connection.time_servers,
                    mtu: connection.mtu,
                    reason: "",
                });
                let announce = dataplane::Command::Announce { zone: Zone::Wan };
                // Neighbors that remember somebody else under this address learn it a little later then.
                let _ = self.state.commands.try_send(announce);
                let gateway = gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
                self.state.note(Event::WanUp { address: connection.address, gateway });
            }
            wan::Event::Down { reason } => {
                self.publish(WanStatus { link: self.link_up, reason, ..WanStatus::default() });
                self.state.note(Event::WanDown { reason });
            }
            wan::Event::Conflict(zone) => self.state.note(Event::WanConflict { zone }),
            wan::Event::ConflictOver(_) => {}
        }
    }

    /// The stack first: whoever learns that the WAN is up may send at once.
    fn publish(&self, status: WanStatus) {
        self.net.set_address(status.address, status.gateway);
        self.state.wan.sender().send(status);
    }
}

fn host_name(settings: &Settings) -> Text<63> {
    match settings.wan.connection() {
        WanConnection::Dhcp { hostname: Some(name) } => Text::lossy(name),
        _ => Text::new(),
    }
}

/// From the settings tree to the engine's words.
fn connection_config(settings: &Settings) -> wan::Config {
    let mode = match settings.wan.connection() {
        WanConnection::Dhcp { .. } => wan::Mode::Dhcp,
        WanConnection::Static { address, gateway, dns } => wan::Mode::Static(Connection {
            address,
            gateway: Some(gateway),
            name_servers: dns.iter().copied().take(wan::SERVERS).collect(),
            time_servers: heapless::Vec::new(),
            mtu: None,
        }),
    };
    let guest = settings.guest.enabled.then_some(settings.guest.address);
    wan::Config { mode, lan: settings.lan.address, guest }
}

fn connection_of(binding: &Binding) -> Connection {
    Connection {
        address: binding.address,
        gateway: binding.gateway,
        name_servers: binding.name_servers.clone(),
        time_servers: binding.time_servers.clone(),
        mtu: binding.mtu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_say_where_the_address_comes_from() {
        let mut settings = Settings::default();
        assert_eq!(connection_config(&settings).mode, wan::Mode::Dhcp);
        assert_eq!(connection_config(&settings).guest, None);
        settings.guest.enabled = true;
        settings.wan.mode = dialtone_settings::tree::WanMode::Static;
        settings.wan.fixed.address = "203.0.113.5/29".parse().ok();
        settings.wan.fixed.gateway = Some(Ipv4Addr::new(203, 0, 113, 1));
        settings.wan.fixed.dns.push(Ipv4Addr::new(9, 9, 9, 9)).unwrap();
        let config = connection_config(&settings);
        let wan::Mode::Static(connection) = config.mode else { panic!("{config:?}") };
        assert_eq!(connection.gateway, settings.wan.fixed.gateway);
        assert_eq!(connection.name_servers, [Ipv4Addr::new(9, 9, 9, 9)]);
        assert_eq!(config.guest, Some(settings.guest.address));
    }

    #[test]
    fn the_operator_is_told_a_name_only_when_the_household_says_so() {
        let mut settings = Settings::default();
        assert_eq!(host_name(&settings).as_str(), "");
        settings.wan.dhcp.hostname = Some("sofa".into());
        assert_eq!(host_name(&settings).as_str(), "sofa");
    }
}
