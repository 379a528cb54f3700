//! Runs the data plane: ports and stacks on one side, the one value that decides on the other.
//!
//! One task owns it. Each round takes a bounded batch from every port and every stack, sends what comes out, drains
//! [`Dataplane::poll`] and yields, so that a flood on one port starves neither the other ports nor the services. Settings
//! and WAN status become a [`dataplane::Config`] here. Counters are published once a second.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};

use dialtone_base::event::Event;
use dialtone_base::{Duration, Frame, FramePool, Instant, PortId, PortSet, Seed, Zone};
use dialtone_dataplane::{
    self as dataplane, Command, Dataplane, Ingress, Limits, Output, PortConfig, Verdict,
};
use dialtone_hal_api::port::PortHandle;
use dialtone_settings::tree::Settings;
use embassy_futures::select::{Either4, select4};
use embassy_futures::yield_now;
use heapless::Deque;

use crate::stack::ZoneNet;
use crate::state::{RouterState, WanStatus, is_lent, now, wait_until};
use crate::voice_first::{Expedited, VoiceFirst};

/// Frames taken from one source before the next gets its turn.
const BATCH: usize = 64;
/// How often counters are published.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

/// The data plane with everything it is joined to.
pub struct DataplaneService {
    dataplane: Dataplane,
    ports: Vec<PortHandle>,
    zones: [ZoneNet; 3],
    outgoing: Vec<Deque<Frame, BATCH>>,
    batch: Box<Deque<Frame, BATCH>>,
    link_changes: Vec<u32>,
    /// Ports to the internet: there, voice leaves first.
    outside: PortSet,
    voice_first: VoiceFirst,
    state: &'static RouterState,
}

impl DataplaneService {
    /// Joins a new data plane to its ports (in the board's order) and the stacks of LAN, guest and WAN.
    pub fn new(
        limits: Limits,
        ports: Vec<PortHandle>,
        zones: [ZoneNet; 3],
        pool: &'static FramePool,
        seed: Seed,
        state: &'static RouterState,
    ) -> Self {
        let configs: Vec<PortConfig> = ports
            .iter()
            .enumerate()
            .map(|(index, port)| PortConfig {
                id: PortId(index as u8),
                zone: port.info.zone,
                mac: port.info.mac,
                mtu: port.info.mtu,
                segmentation: port.info.segmentation,
            })
            .collect();
        Self {
            dataplane: Dataplane::new(limits, &configs, pool, seed),
            outgoing: ports.iter().map(|_| Deque::new()).collect(),
            link_changes: ports.iter().map(|_| 0).collect(),
            batch: Box::new(Deque::new()),
            outside: outside(&ports),
            voice_first: VoiceFirst::new(now()),
            ports,
            zones,
            state,
        }
    }

    /// Works for ever.
    pub async fn run(mut self) -> ! {
        let state = self.state;
        let mut settings = state.watch_settings();
        let mut wan = state.watch_wan();
        let mut publish_at = now();
        let mut facts_changed = false;
        loop {
            facts_changed |= settings.try_changed().is_some();
            facts_changed |= wan.try_changed().is_some();
            if core::mem::take(&mut facts_changed)
                && let Some(current) = state.current_settings()
            {
                self.configure(&current, &state.current_wan());
            }
            while let Ok(command) = state.commands.try_receive() {
                self.dataplane.command(now(), command);
            }
            self.watch_links();
            let moved = self.round();
            let deadline = self.drain();
            self.flush();
            if now() >= publish_at {
                self.publish();
                publish_at = now() + SNAPSHOT_EVERY;
            }
            if moved {
                yield_now().await;
                continue;
            }
            let wake_at = deadline.map_or(publish_at, |at| at.min(publish_at));
            let frames = poll_fn(|context| self.poll_sources(context));
            let facts = embassy_futures::select::select(settings.changed(), wan.changed());
            // What woke us is looked at above, except for a watched value, which `changed` has consumed.
            let woken = select4(frames, wait_until(Some(wake_at)), state.commands.ready_to_receive(), facts);
            facts_changed = matches!(woken.await, Either4::Fourth(_));
        }
    }

    fn configure(&mut self, settings: &Settings, wan: &WanStatus) {
        let config = dataplane_config(settings, wan, &self.ports);
        self.dataplane.configure(now(), &config);
        self.zones[Zone::Lan.index()].set_address(config.lan, None);
        self.zones[Zone::Guest.index()].set_address(config.guest, None);
    }

    /// Takes one batch from every source; whether there was anything.
    fn round(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.ports.len() {
            self.ports[index].receive.pop_batch(&mut self.batch, BATCH);
            moved |= !self.batch.is_empty();
            self.process_batch(Ingress::Port(PortId(index as u8)));
        }
        for zone in Zone::ALL {
            self.zones[zone.index()].link().outgoing().pop_batch(&mut self.batch, BATCH);
            moved |= !self.batch.is_empty();
            self.process_batch(Ingress::Router(zone));
        }
        moved
    }

    fn process_batch(&mut self, from: Ingress) {
        let now = now();
        let mut verdicts = [Verdict::Held; BATCH];
        loop {
            let (frames, _) = self.batch.as_mut_slices();
            let waiting = frames.len();
            let done = self.dataplane.process_batch(now, from, frames, &mut verdicts);
            if done == 0 {
                return;
            }
            for verdict in verdicts.iter().take(done) {
                let Some(frame) = self.batch.pop_front() else { return };
                self.carry_out(now, from, *verdict, frame);
            }
            if done < waiting {
                // The last one was cut up: its other pieces go before the next frame.
                self.drain();
            }
        }
    }

    fn carry_out(&mut self, now: Instant, from: Ingress, verdict: Verdict, frame: Frame) {
        match verdict {
            Verdict::Forward(port) if self.outside.contains(port) => {
                self.send_outside(now, from, port, frame)
            }
            Verdict::Forward(port) => self.send(port, frame),
            Verdict::Flood(ports) => self.send_each(ports, frame),
            Verdict::Punt(zone) => self.zones[zone.index()].link().deliver(frame),
            Verdict::Hairpin => match from {
                Ingress::Port(port) => self.send(port, frame),
                Ingress::Router(zone) => self.zones[zone.index()].link().deliver(frame),
            },
            Verdict::Held => self.dataplane.hold(now, frame),
            Verdict::Drop(_) => {}
        }
    }

    /// Everything the data plane has to say; when it wants to be asked again.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.dataplane.poll(now()) {
                Output::Transmit { to, frame } => self.send_each(to, frame),
                Output::Punt { zone, frame } => self.zones[zone.index()].link().deliver(frame),
                Output::Event(event) => self.tell(event),
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn tell(&mut self, event: dataplane::Event) {
        if let dataplane::Event::FlowOpened { protocol, inside, outside, remote } = event {
            self.state.note(Event::FlowOpened { protocol, inside, outside, remote });
        }
        // A subscriber that sleeps through 64 events misses the oldest; nobody may hold up the data plane.
        self.state.dataplane_events.immediate_publisher().publish_immediate(event);
    }

    fn send_each(&mut self, ports: PortSet, frame: Frame) {
        let mut ports = ports.iter().peekable();
        while let Some(port) = ports.next() {
            if ports.peek().is_none() {
                return self.send(port, frame);
            }
            if let Some(copy) = frame.duplicate() {
                self.send(port, copy);
            }
        }
    }

    fn send_outside(&mut self, now: Instant, from: Ingress, port: PortId, frame: Frame) {
        let own = matches!(from, Ingress::Router(_));
        if !self.voice_first.goes_first(now, own, frame.bytes()) {
            return self.send(port, frame);
        }
        let taken = self.ports.get(port.index()).is_some_and(|port| port.transmit.push_urgent(frame));
        if !taken {
            self.voice_first.counters.count(Expedited::NoRoom);
        }
    }

    fn send(&mut self, port: PortId, frame: Frame) {
        let Some(queue) = self.outgoing.get_mut(port.index()) else { return };
        if let Err(frame) = queue.push_back(frame) {
            self.ports[port.index()].transmit.push_batch(queue);
            // Empty again, so there is room.
            let _ = queue.push_back(frame);
        }
    }

    fn flush(&mut self) {
        for (port, queue) in self.ports.iter().zip(&mut self.outgoing) {
            if !queue.is_empty() {
                port.transmit.push_batch(queue);
            }
        }
    }

    fn watch_links(&mut self) {
        let mut links = self.state.links();
        for (index, port) in self.ports.iter().enumerate() {
            let id = PortId(index as u8);
            let (up, changes) = port.link.state();
            if self.link_changes[index] == changes {
                continue;
            }
            self.link_changes[index] = changes;
            let was_up = links.contains(id);
            links = if up { links.with(id) } else { links.without(id) };
            if !up || was_up {
                self.dataplane.command(now(), Command::LinkDown(id));
            }
            self.state.note(Event::Link { port: id, up });
        }
        self.state.set_links(links);
    }

    fn publish(&mut self) {
        let snapshot = self.dataplane.snapshot();
        critical_section::with(|token| {
            *self.state.snapshot.borrow_ref_mut(token) = snapshot;
            self.state.expedited.borrow_ref_mut(token).clone_from(&self.voice_first.counters);
            let mut usage = self.state.usage.borrow_ref_mut(token);
            usage.clear();
            usage.extend(self.dataplane.devices().copied());
            let mut stations = self.state.stations.borrow_ref_mut(token);
            stations.clear();
            stations.extend(self.dataplane.stations(now()));
            let mut traces = self.state.traces.borrow_ref_mut(token);
            traces.clear();
            traces.extend(self.dataplane.traces().cloned());
        });
    }

    fn poll_sources(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut ready = false;
        for (port, seen) in self.ports.iter().zip(&self.link_changes) {
            ready |= port.receive.poll_ready(context).is_ready();
            ready |= port.link.poll_changed(*seen, context).is_ready();
        }
        for zone in &self.zones {
            ready |= zone.link().outgoing().poll_ready(context).is_ready();
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The ports to the internet.
fn outside(ports: &[PortHandle]) -> PortSet {
    let outside = ports.iter().enumerate().filter(|(_, port)| port.info.zone == Zone::Wan);
    outside.fold(PortSet::EMPTY, |ports, (index, _)| ports.with(PortId(index as u8)))
}

/// The household's ports that the settings lend to guests.
fn guest_ports(settings: &Settings, ports: &[PortHandle]) -> PortSet {
    let lent = ports.iter().enumerate().filter(|(_, port)| is_lent(settings, &port.info));
    lent.fold(PortSet::EMPTY, |ports, (index, _)| ports.with(PortId(index as u8)))
}

/// Settings and WAN status as the data plane wants them.
fn dataplane_config(settings: &Settings, wan: &WanStatus, ports: &[PortHandle]) -> dataplane::Config {
    use dialtone_settings::tree::{Action, Filtering, ForwardProtocol, RuleProtocol};

    let mut config = dataplane::Config {
        lan: Some(settings.lan.address),
        guest: settings.guest.enabled.then_some(settings.guest.address),
        wan: wan.address.map(|address| dataplane::Wan {
            address,
            gateway: wan.gateway,
            mtu: Some(wan.mtu.unwrap_or(settings.wan.mtu).min(settings.wan.mtu)),
        }),
        filtering: match settings.nat.filtering {
            Filtering::AddressDependent => dataplane::Filtering::AddressDependent,
            Filtering::EndpointIndependent => dataplane::Filtering::EndpointIndependent,
        },
        guest_ports: guest_ports(settings, ports),
        answer_wan_ping: settings.firewall.wan_ping,
        exposed_host: settings.nat.exposed_host,
        router_udp_ports: Some(crate::sip::VOICE_PORTS),
        report_flows: true,
        ..dataplane::Config::default()
    };
    // The settings' lists are no longer than the data plane's: MAX_RULES and MAX_FORWARDS are above RULES and PORT_FORWARDS.
    for forward in &settings.nat.port_forwards {
        let _ = config.forwards.push(dataplane::PortForward {
            protocol: match forward.protocol {
                ForwardProtocol::Tcp => dataplane::Protocol::Tcp,
                ForwardProtocol::Udp => dataplane::Protocol::Udp,
                ForwardProtocol::Both => dataplane::Protocol::TcpUdp,
            },
            external: dataplane::PortRange { first: forward.external.first(), last: forward.external.last() },
            host: forward.device,
            internal: forward.internal_port,
            enabled: forward.enabled,
        });
    }
    for rule in settings.firewall.rules.iter().filter(|rule| rule.enabled) {
        let _ = config.rules.push(dataplane::Rule {
            from: Some(rule.from),
            to: Some(rule.to),
            device: rule.device,
            protocol: rule.protocol.map(|protocol| match protocol {
                RuleProtocol::Tcp => dataplane::Protocol::Tcp,
                RuleProtocol::Udp => dataplane::Protocol::Udp,
                RuleProtocol::Icmp => dataplane::Protocol::Icmp,
            }),
            ports: rule.ports.map(|ports| dataplane::PortRange { first: ports.first(), last: ports.last() }),
            remote: None,
            action: match rule.action {
                Action::Allow => dataplane::Action::Allow,
                Action::Drop => dataplane::Action::Drop,
                Action::Reject => dataplane::Action::Reject,
            },
        });
    }
    config
}
