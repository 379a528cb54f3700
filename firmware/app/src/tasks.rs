//! One task per service, started in the order they need each other.
//!
//! Embassy's tasks cannot be generic and live in statics: each is three lines here around a service's `run`. A process
//! therefore holds one router.

use alloc::boxed::Box;

use dialtone_hal_api::flash::SharedFlash;
use dialtone_services::dataplane::DataplaneService;
use dialtone_services::devices::DevicesService;
use dialtone_services::dhcp4::{Dhcp4Service, LeaseJournal, journal};
use dialtone_services::dns::{DnsService, TCP_INSIDE, TCP_OUTSIDE};
use dialtone_services::media::{MediaControl, MediaService};
use dialtone_services::phone::{self, PhoneKeeper, PhoneService};
use dialtone_services::settings::SettingsControl;
use dialtone_services::sip::{STREAMS, SipSockets};
use dialtone_services::stack::{StackRunner, ZoneNet, zone_stack};
use dialtone_services::state::RouterState;
use dialtone_services::wan::WanService;
use dialtone_services::{console, settings as settings_service, sntp};

use super::*;

/// Web tasks there are; a profile may use fewer.
pub const WEB_TASKS: usize = 8;
/// Of the name server's TCP connections, how many are the guests'.
const GUEST_CONNECTIONS: usize = 2;
/// Sockets of the LAN and the guest stack: DNS, web, and what comes.
const INSIDE_SOCKETS: usize = 32;
/// Sockets of the WAN stack: name look-ups under way, time, SIP, two for each call's voice.
const WAN_SOCKETS: usize = 112;

pub(crate) fn start(spawner: Spawner, board: Board) -> &'static RouterState {
    let mut random = Random::new(board.seed.clone());
    let infos = board.ports.iter().map(|port| port.info.clone()).collect::<Vec<_>>();
    let state = RouterState::leak(infos, dialtone_dataplane::Snapshot::default());
    let (lan, lan_runner) = zone_stack::<INSIDE_SOCKETS>(Zone::Lan, board.pool, &mut random);
    let (guest, guest_runner) = zone_stack::<INSIDE_SOCKETS>(Zone::Guest, board.pool, &mut random);
    let (wan, wan_runner) = zone_stack::<WAN_SOCKETS>(Zone::Wan, board.pool, &mut random);

    let wan_port =
        board.ports.iter().find(|port| port.info.zone == Zone::Wan).expect("a board has a WAN port");
    let journal: &'static LeaseJournal = Box::leak(Box::new(LeaseJournal::new()));
    let wan_service =
        WanService::new(wan, wan_port.link, wan_port.info.mac, random.derive_seed(), state, journal);
    let dhcp4 = Dhcp4Service::new(lan, guest, state, journal);
    let dns = DnsService::leak(&[lan, guest], wan, board.profile.dns, random.derive_seed(), state);
    let dataplane = DataplaneService::new(
        board.profile.dataplane,
        board.ports,
        [lan, guest, wan],
        board.pool,
        random.derive_seed(),
        state,
    );

    for runner in [lan_runner, guest_runner, wan_runner] {
        spawner.spawn(stack_task(runner).expect("one task per zone"));
    }
    spawner.spawn(dataplane_task(dataplane).expect("one router per process"));
    spawner.spawn(wan_task(wan_service).expect("one router per process"));
    spawner.spawn(dhcp4_task(dhcp4).expect("one router per process"));
    spawner.spawn(dns_task(dns).expect("one router per process"));
    for index in 0..TCP_INSIDE {
        // Most connections belong to the home; the last ones are kept for guests.
        let net = if index + GUEST_CONNECTIONS >= TCP_INSIDE { guest } else { lan };
        spawner.spawn(dns_tcp_task(dns, index, net).expect("TCP_INSIDE tasks"));
    }
    for index in 0..TCP_OUTSIDE {
        spawner.spawn(dns_exchange_task(dns, index).expect("TCP_OUTSIDE tasks"));
    }
    spawner.spawn(sntp_task(wan, dns, random.derive_seed(), state).expect("one router per process"));
    for _ in 0..board.profile.web_visitors.min(WEB_TASKS) {
        spawner.spawn(web_task(lan, state).expect("WEB_TASKS tasks"));
    }
    let flash = board.flash.share();
    let control = SettingsControl::leak();
    spawner.spawn(settings_task(flash.clone(), control, state).expect("one router per process"));
    // The voice path and its sockets take a good part of a small board's memory: only where there is a telephone.
    if !board.lines.is_empty() {
        let seeds = [random.derive_seed(), random.derive_seed()];
        telephone(spawner, &board.lines, wan, dns, flash.clone(), control, seeds, state);
    }
    spawner.spawn(journal_task(flash, journal, state).expect("one router per process"));
    let devices = DevicesService::new(board.profile.devices, state);
    spawner.spawn(devices_task(devices).expect("one router per process"));
    if let Some(console) = board.console {
        spawner.spawn(console_task(console, control, state).expect("one router per process"));
    }
    state.note(Event::Started);
    state
}

/// Lines, calls, SIP and the voice path.
#[allow(clippy::too_many_arguments)]
fn telephone(
    spawner: Spawner,
    lines: &[LineHandle],
    wan: ZoneNet,
    dns: &'static DnsService,
    flash: SharedFlash,
    control: &'static SettingsControl,
    [voice_seed, calls_seed]: [Seed; 2],
    state: &'static RouterState,
) {
    let sockets = SipSockets::leak(wan);
    let orders = MediaControl::leak();
    let keeper = PhoneKeeper::leak();
    let voice = MediaService::new(lines, wan, orders, voice_seed);
    let phone = PhoneService::new(lines, sockets, orders, keeper, calls_seed, state);
    spawner.spawn(media_task(voice).expect("one router per process"));
    spawner.spawn(phone_task(phone).expect("one router per process"));
    spawner.spawn(sip_names_task(sockets, dns).expect("one router per process"));
    for index in 0..STREAMS {
        spawner.spawn(sip_stream_task(sockets, index).expect("STREAMS tasks"));
    }
    spawner.spawn(phone_keeper_task(flash, keeper, control, state).expect("one router per process"));
}

#[embassy_executor::task]
async fn media_task(service: MediaService) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn phone_task(service: PhoneService) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn sip_names_task(sockets: &'static SipSockets, dns: &'static DnsService) -> ! {
    sockets.look_up(dns.resolver()).await
}

#[embassy_executor::task(pool_size = STREAMS)]
async fn sip_stream_task(sockets: &'static SipSockets, index: usize) -> ! {
    sockets.carry_stream(index).await
}

#[embassy_executor::task]
async fn phone_keeper_task(
    flash: SharedFlash,
    keeper: &'static PhoneKeeper,
    control: &'static SettingsControl,
    state: &'static RouterState,
) -> ! {
    phone::keep(flash, keeper, control, state).await
}

#[embassy_executor::task(pool_size = 3)]
async fn stack_task(mut runner: StackRunner) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn dataplane_task(service: DataplaneService) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn settings_task(
    flash: SharedFlash,
    control: &'static SettingsControl,
    state: &'static RouterState,
) -> ! {
    settings_service::run(flash, control, state).await
}

#[embassy_executor::task]
async fn console_task(
    handle: ConsoleHandle,
    control: &'static SettingsControl,
    state: &'static RouterState,
) -> ! {
    console::run(handle, control, state).await
}

#[embassy_executor::task]
async fn devices_task(service: DevicesService) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn journal_task(flash: SharedFlash, leases: &'static LeaseJournal, state: &'static RouterState) -> ! {
    journal::run(flash, leases, state).await
}

#[embassy_executor::task]
async fn wan_task(service: WanService) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn dhcp4_task(service: Dhcp4Service) -> ! {
    service.run().await
}

#[embassy_executor::task]
async fn dns_task(service: &'static DnsService) -> ! {
    service.run().await
}

#[embassy_executor::task(pool_size = TCP_INSIDE)]
async fn dns_tcp_task(service: &'static DnsService, index: usize, net: ZoneNet) -> ! {
    service.serve_tcp(index, net).await
}

#[embassy_executor::task(pool_size = TCP_OUTSIDE)]
async fn dns_exchange_task(service: &'static DnsService, index: usize) -> ! {
    service.ask_tcp(index).await
}

#[embassy_executor::task]
async fn sntp_task(wan: ZoneNet, dns: &'static DnsService, seed: Seed, state: &'static RouterState) -> ! {
    sntp::run(wan, dns.resolver(), seed, state).await
}

#[embassy_executor::task(pool_size = WEB_TASKS)]
async fn web_task(net: ZoneNet, state: &'static RouterState) -> ! {
    dialtone_web_api::serve(net, 80, state).await
}
