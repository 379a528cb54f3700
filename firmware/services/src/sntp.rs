//! The router's clock: the SNTP engine on a WAN socket, its servers from settings and the operator.
//!
//! The household's servers come first, by name or address, then the operator's (DHCP option 42). Names are looked up again
//! whenever servers fail for long. While the WAN is down nobody is asked.

use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::time::UnixTime;
use dialtone_base::{Instant, Random, Seed};
use dialtone_settings::tree::Settings;
use dialtone_sntp::{Input, Output, PACKET, PORT, SERVERS, SntpClient};
use embassy_futures::select::{Either4, select4};
use embassy_time::Duration;

use crate::dns::Resolver;
use crate::stack::{IpAddress, UdpSocket, ZoneNet, send_now};
use crate::state::{RouterState, WanStatus, now, wait_until};

/// No time before this is believed: 2024-01-01.
const NOT_BEFORE: UnixTime = UnixTime(1_704_067_200);
/// How long names stay resolved; pools change their servers.
const RESOLVE_AGAIN: Duration = Duration::from_secs(6 * 3600);
/// The same while no server has a usable name.
const RESOLVE_SOON: Duration = Duration::from_secs(30);
/// Ports questions leave from: apart from those of name look-ups.
const FIRST_PORT: u16 = 8_192;
const PORTS: u32 = 8_192;

/// Keeps the clock. Never ends.
pub async fn run(wan: ZoneNet, resolver: &'static Resolver, seed: Seed, state: &'static RouterState) -> ! {
    let mut random = Random::new(seed);
    let mut client = SntpClient::new(NOT_BEFORE, random.derive_seed());
    let mut socket = wan.udp_socket(4, 1024);
    let mut settings_watch = state.watch_settings();
    let mut wan_watch = state.watch_wan();
    let mut out = [0; PACKET];
    let mut datagram = [0; 512];
    loop {
        // What is known by now is not news.
        let _ = (settings_watch.try_changed(), wan_watch.try_changed());
        let servers = find_servers(resolver, state).await;
        let pause = if servers.is_empty() { RESOLVE_SOON } else { RESOLVE_AGAIN };
        let resolve_at = now() + dialtone_base::Duration::from_micros(pause.as_micros());
        // More servers than the engine holds are cut off above.
        let _ = client.handle(now(), Input::Servers(&servers));
        loop {
            let deadline = drain(&mut client, &mut socket, &mut random, &mut out, state);
            let wake_at = deadline.map_or(resolve_at, |at| at.min(resolve_at));
            // The sockets' future owns the buffer only while it waits.
            let event = select4(
                socket.recv_from(&mut datagram),
                wait_until(Some(wake_at)),
                settings_watch.changed(),
                wan_watch.changed(),
            )
            .await;
            match event {
                Either4::First(Ok((length, meta))) => {
                    let IpAddress::Ipv4(address) = meta.endpoint.addr;
                    let from = SocketAddrV4::new(address, meta.endpoint.port);
                    let bytes = datagram.get(..length).unwrap_or_default();
                    // A refusal is counted by the engine.
                    let _ = client.handle(now(), Input::Answer { from, bytes });
                }
                Either4::First(Err(_)) => {}
                Either4::Second(()) if now() < resolve_at => {}
                Either4::Second(()) | Either4::Third(_) | Either4::Fourth(_) => break,
            }
        }
    }
}

/// Does what the engine says; when it wants to be asked again.
fn drain(
    client: &mut SntpClient,
    socket: &mut UdpSocket<'static>,
    random: &mut Random,
    out: &mut [u8; PACKET],
    state: &RouterState,
) -> Option<Instant> {
    loop {
        match client.poll(now(), out) {
            Output::Ask { server, length } => {
                if !ask(socket, random, server, out.get(..length).unwrap_or_default()) {
                    let _ = client.handle(now(), Input::Failed);
                }
            }
            Output::Clock(fix) => state.set_clock(fix.at, fix.unix()),
            Output::Event(event) => state.note(event),
            Output::Wait(deadline) => return deadline,
        }
    }
}

/// From a new port each time, as RFC 9109 asks.
fn ask(socket: &mut UdpSocket<'static>, random: &mut Random, server: SocketAddrV4, bytes: &[u8]) -> bool {
    socket.close();
    let port = FIRST_PORT + random.below(PORTS) as u16;
    if socket.bind(port).is_err() {
        return false;
    }
    send_now(socket, bytes, server)
}

async fn find_servers(resolver: &Resolver, state: &RouterState) -> heapless::Vec<SocketAddrV4, SERVERS> {
    let wan = state.current_wan();
    let Some(settings) = state.current_settings().filter(|settings| wanted(settings, &wan)) else {
        return heapless::Vec::new();
    };
    let mut servers = heapless::Vec::new();
    for name in &settings.system.ntp_servers {
        // One of each name: several names mean several owners.
        if let Some(address) = resolver.resolve(name).await.first() {
            add(&mut servers, *address);
        }
    }
    for address in &wan.ntp {
        add(&mut servers, *address);
    }
    servers
}

/// No servers in the settings: the household wants no clock.
fn wanted(settings: &Settings, wan: &WanStatus) -> bool {
    wan.address.is_some() && !settings.system.ntp_servers.is_empty()
}

fn add(servers: &mut heapless::Vec<SocketAddrV4, SERVERS>, address: Ipv4Addr) {
    let server = SocketAddrV4::new(address, PORT);
    if !servers.contains(&server) {
        let _ = servers.push(server);
    }
}
