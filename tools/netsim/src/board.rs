//! The in-memory board, plugged into a simulated home.
//!
//! Six ports (WAN, three on the LAN, two for guests) on cables of a [`World`], two telephone lines, flash in memory that can lose
//! power, a console to type on. [`start`] boots the firmware on it; one router per process, because its tasks live in statics.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Context;

use dialtone_app::{Board, Profile};
use dialtone_base::text::Text;
use dialtone_base::{FramePool, Instant, MacAddress, Random, Seed, Zone};
use dialtone_hal_api::console::{ConsoleDriver, console};
use dialtone_hal_api::flash::{FlashAnswer, FlashDriver, FlashError, FlashRequest, flash};
use dialtone_hal_api::line::{LineDriver, LineInfo, line};
use dialtone_hal_api::port::{PortInfo, port};
use dialtone_hal_linux::executor::Host as Executor;
use dialtone_hal_testkit::FakeFlash;
use dialtone_services::state::RouterState;
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

use crate::isp::Isp;
use crate::link::Quality;
use crate::world::{CableId, World};

/// How a home is built.
pub struct Blueprint {
    /// The other end of the WAN port.
    pub isp: Isp,
    /// The router's memory as it was when power came: [`FLASH_PAGES`] pages.
    pub flash: FakeFlash,
    /// What the router has room for.
    pub profile: Profile,
    /// How good the cable to the ISP is, both ways.
    pub street: Quality,
    /// How good the cables in the house are, both ways.
    pub house: Quality,
    /// All that is random, in the router and around it.
    pub seed: Seed,
}

/// A router that runs, and the home around it.
pub struct Home {
    /// ISP, devices and cables.
    pub world: Rc<RefCell<World>>,
    /// What the router says about itself.
    pub router: &'static RouterState,
    /// The drivers' ends of its telephone lines; a handset is whoever drives one.
    pub lines: Vec<LineDriver>,
    /// The router's memory.
    pub flash: Rc<RefCell<FakeFlash>>,
    /// The router's console.
    pub console: ConsoleDriver,
    /// The ports' buffers.
    pub pool: &'static FramePool,
    /// Cable of the WAN port; the ISP is plugged in.
    pub wan: CableId,
    /// Cables of the LAN ports; nobody is plugged in.
    pub lan: [CableId; 3],
    /// Cables of the guests' ports; nobody is plugged in.
    pub guest: [CableId; 2],
}

/// Its telephone lines and their sample rates: one wideband, one not.
pub const LINES: [(&str, u32); 2] = [("phone1", 16_000), ("phone2", 8_000)];
/// Pages of the board's flash.
pub const FLASH_PAGES: usize = 128;
/// The router's address on its first port; the others count on.
pub const FIRST_MAC: MacAddress = MacAddress([0x02, 0xd1, 0xa1, 0, 0, 0x10]);

/// Boots the firmware. `each` is called whenever the world was looked after, as in [`World::run`].
pub fn start(
    executor: &Executor,
    blueprint: Blueprint,
    each: impl FnMut(&mut World, Instant, &mut Context<'_>) -> Option<Instant> + 'static,
) -> Home {
    let mut random = Random::new(blueprint.seed);
    let pool = FramePool::leak(blueprint.profile.frames);
    let mut world = World::new(blueprint.isp, pool, random.derive_seed());
    let mut ports = Vec::new();
    let mut cable = |name: &str, zone, quality| {
        let (handle, driver) = port(info(ports.len() as u8, name, zone));
        ports.push(handle);
        world.cable(driver, quality)
    };
    let wan = cable("wan", Zone::Wan, blueprint.street);
    let lan = ["lan1", "lan2", "lan3"].map(|name| cable(name, Zone::Lan, blueprint.house));
    let guest = ["guest1", "guest2"].map(|name| cable(name, Zone::Guest, blueprint.house));
    world.plug_isp(wan);

    let world = Rc::new(RefCell::new(world));
    executor.spawn(World::run(world.clone(), each));
    let (flash_handle, flash_driver) = flash(blueprint.flash.capacity());
    let memory = Rc::new(RefCell::new(blueprint.flash));
    executor.spawn(serve_flash(flash_driver, memory.clone()));
    let (console_handle, console_driver) = console();
    let (lines, line_drivers) = LINES
        .map(|(name, sample_rate)| line(LineInfo { name: Text::lossy(name), sample_rate }))
        .into_iter()
        .unzip();
    let board = Board {
        profile: blueprint.profile,
        pool,
        ports,
        lines,
        flash: flash_handle,
        console: Some(console_handle),
        seed: random.derive_seed(),
    };
    let router = dialtone_app::run(executor.spawner(), board);
    Home { world, router, lines: line_drivers, flash: memory, console: console_driver, pool, wan, lan, guest }
}

fn info(index: u8, name: &str, zone: Zone) -> PortInfo {
    let mut mac = FIRST_MAC;
    mac.0[5] += index;
    PortInfo { name: Text::lossy(name), zone, mac, mtu: 1500, segmentation: false }
}

/// Answers flash requests from memory.
async fn serve_flash(mut driver: FlashDriver, memory: Rc<RefCell<FakeFlash>>) {
    loop {
        let request = driver.next().await;
        let answer = perform(&mut memory.borrow_mut(), request);
        driver.answer(answer).await;
    }
}

/// Flash in memory never waits.
fn perform(memory: &mut FakeFlash, request: FlashRequest) -> FlashAnswer {
    match request {
        FlashRequest::Read { offset, length } => {
            let mut data = heapless::Vec::new();
            data.resize(length as usize, 0).map_err(|_| FlashError::OutOfBounds)?;
            block_on(memory.read(offset, &mut data))?;
            Ok(data)
        }
        FlashRequest::Write { offset, data } => {
            block_on(memory.write(offset, &data)).map(|()| heapless::Vec::new())
        }
        FlashRequest::Erase { from, to } => block_on(memory.erase(from, to)).map(|()| heapless::Vec::new()),
    }
}
