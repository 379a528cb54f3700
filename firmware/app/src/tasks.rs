//! One task per service, started in the order they need each other.
//!
//! Embassy's tasks cannot be generic and live in statics: each is three lines here around a service's `run`. A process
//! therefore holds one router.

use alloc::sync::Arc;

use dialtone_services::dataplane::DataplaneService;
use dialtone_services::stack::{StackRunner, zone_stack};
use dialtone_services::state::RouterState;

use super::*;

/// Web tasks there are; a profile may use fewer.
pub const WEB_TASKS: usize = 8;
/// Sockets of the LAN and the guest stack: DNS, web, and what comes.
const INSIDE_SOCKETS: usize = 32;
/// Sockets of the WAN stack: name look-ups under way, time.
const WAN_SOCKETS: usize = 96;

pub(crate) fn start(spawner: Spawner, board: Board) -> &'static RouterState {
    let mut random = Random::new(board.seed.clone());
    let infos = board.ports.iter().map(|port| port.info.clone()).collect::<Vec<_>>();
    let state = RouterState::leak(infos, dialtone_dataplane::Snapshot::default());
    let (lan, lan_runner) = zone_stack::<INSIDE_SOCKETS>(Zone::Lan, board.pool, &mut random);
    let (guest, guest_runner) = zone_stack::<INSIDE_SOCKETS>(Zone::Guest, board.pool, &mut random);
    let (wan, wan_runner) = zone_stack::<WAN_SOCKETS>(Zone::Wan, board.pool, &mut random);
    let dataplane = DataplaneService::new(
        board.profile.dataplane,
        board.ports,
        |port| port.info.zone,
        [lan, guest, wan],
        board.pool,
        random.derive_seed(),
        state,
    );
    for runner in [lan_runner, guest_runner, wan_runner] {
        spawner.spawn(stack_task(runner).expect("one task per zone"));
    }
    spawner.spawn(dataplane_task(dataplane).expect("one router per process"));
    for _ in 0..board.profile.web_visitors.min(WEB_TASKS) {
        spawner.spawn(web_task(lan, state).expect("WEB_TASKS tasks"));
    }
    let settings = dialtone_settings::tree::Settings::default();
    lan.set_address(Some(settings.lan.address), None);
    state.settings.sender().send(Arc::new(settings));
    state.note(Event::Started);
    state
}

#[embassy_executor::task(pool_size = 3)]
async fn stack_task(mut runner: StackRunner) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn dataplane_task(service: DataplaneService) -> ! {
    service.run().await
}

#[embassy_executor::task(pool_size = WEB_TASKS)]
async fn web_task(net: dialtone_services::stack::ZoneNet, state: &'static RouterState) -> ! {
    dialtone_web_api::serve(net, 80, state).await
}
