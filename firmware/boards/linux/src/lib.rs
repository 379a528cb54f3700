//! Linux as the router's board: interfaces as ports, a file as flash, sockets as console and telephone lines.
//!
//! Two steps, because rights are dropped between them: [`Machine::open`] takes everything that needs them, then
//! [`Machine::start`] runs the firmware. Does not parse command lines (`tools/dialtone`) and holds no drivers (`hal/linux`).

use std::io;
use std::path::PathBuf;

use dialtone_app::{Board, Profile};
use dialtone_base::{FramePool, Zone};
use dialtone_hal_api::console::console;
use dialtone_hal_api::line::{LineInfo, line};
use dialtone_hal_api::port::port;
use dialtone_hal_linux::console::ConsoleSocket;
use dialtone_hal_linux::custody::Custody;
use dialtone_hal_linux::entropy;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_linux::flash::{FLASH_SIZE, FileFlash};
use dialtone_hal_linux::line::{LineParking, LineSpec, OpenedLine};
use dialtone_hal_linux::port::Drops;
use dialtone_hal_linux::port::choose::{self, Driver, Opened};
use dialtone_services::state::RouterState;
use dialtone_settings::storage::{SETTINGS_RANGE, SettingsStore};
use dialtone_settings::tree::Settings;
use embassy_futures::block_on;

/// What the machine gives to the router.
#[derive(Clone, Debug)]
pub struct Options {
    /// Interfaces with their zones; at least one WAN and one LAN.
    pub ports: Vec<(String, Zone)>,
    /// How to reach them.
    pub driver: Driver,
    /// The file that stands for the flash chip.
    pub flash: PathBuf,
    /// Where the console listens.
    pub socket: PathBuf,
    /// Its telephone lines.
    pub lines: Vec<LineSpec>,
}

/// Everything opened, nothing running.
pub struct Machine {
    ports: Vec<Opened>,
    flash: FileFlash,
    console: ConsoleSocket,
    lines: Vec<(LineInfo, OpenedLine)>,
    /// Kept until the router ends: then no wire rings any more.
    _parking: Vec<LineParking>,
}

/// The router at work.
pub struct Running {
    /// For watching.
    pub state: &'static RouterState,
    /// What each port dropped, by name.
    pub drops: Vec<(String, Drops)>,
    _parking: Vec<LineParking>,
}

impl Machine {
    /// Opens all of it. `custody` then knows how the interfaces were, also when this fails half-way.
    ///
    /// # Errors
    /// With a text for people.
    pub fn open(options: &Options, custody: &mut Custody) -> io::Result<Self> {
        let console = ConsoleSocket::open(&options.socket)
            .map_err(|error| about(error, format!("console {}", options.socket.display()), "--socket"))?;
        custody.remove_at_end(&options.socket);
        let flash = FileFlash::open(&options.flash, FLASH_SIZE)
            .map_err(|error| about(error, format!("flash file {}", options.flash.display()), "--flash"))?;
        let ports = options
            .ports
            .iter()
            .map(|(name, zone)| choose::open(options.driver, name, *zone, custody))
            .collect::<io::Result<Vec<_>>>()?;
        let (mut lines, mut parking) = (Vec::new(), Vec::new());
        for (index, spec) in options.lines.iter().enumerate() {
            let name = format!("phone{}", index + 1);
            let (opened, parked) =
                spec.open().map_err(|error| about(error, format!("line {name}"), "--line"))?;
            spec.leave_to(custody);
            lines.push((opened.info(&name), opened));
            parking.push(parked);
        }
        Ok(Self { ports, flash, console, lines, _parking: parking })
    }

    /// Puts `settings` into flash, as if they had been confirmed before the power went off; whether they are new there.
    ///
    /// # Errors
    /// When the flash file cannot be written.
    fn import(&mut self, settings: &Settings) -> io::Result<bool> {
        let flash = &mut self.flash;
        let written = block_on(async {
            let mut store = SettingsStore::open(flash, SETTINGS_RANGE).await?;
            let loaded = store.load().await?;
            if *loaded.settings == *settings {
                return Ok(false);
            }
            store.commit(loaded.revision.saturating_add(1), settings).await.map(|()| true)
        });
        written
            .map_err(|error| io::Error::other(format!("the settings cannot be written to flash: {error:?}")))
    }

    /// One line per port: name, zone, driver and why.
    pub fn describe(&self) -> Vec<String> {
        let line = |port: &Opened| {
            format!(
                "{} is a {} port through {}: {}",
                port.info.name,
                port.info.zone,
                port.backend.name(),
                port.why
            )
        };
        self.ports.iter().map(line).collect()
    }

    /// Starts the firmware and the drivers on `host`; they run when `host` does. `settings` replace what flash holds.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn start(mut self, host: &Host, settings: Option<Box<Settings>>) -> io::Result<Running> {
        if let Some(settings) = &settings {
            self.import(settings)?;
        }
        let pool = FramePool::leak(Profile::HOME.frames);
        let mut handles = Vec::new();
        let mut drops = Vec::new();
        for opened in self.ports {
            let (handle, driver) = port(opened.info.clone());
            handles.push(handle);
            drops.push((opened.info.name.to_string(), Drops::default()));
            if let Some((_, counters)) = drops.last() {
                host.spawn(opened.run(host.reactor(), driver, pool, counters.clone()));
            }
        }
        let file = self.flash;
        let (flash, flash_driver) = dialtone_hal_api::flash::flash(file.capacity());
        host.spawn(async move { file.run(flash_driver).await });
        let (console_handle, console_driver) = console();
        let (socket, reactor) = (self.console, host.reactor());
        host.spawn(async move {
            let error = socket.run(&reactor, console_driver).await;
            dialtone_base::warn!("the console stopped: {error}");
        });
        let mut lines = Vec::new();
        for (info, opened) in self.lines {
            let (handle, driver) = line(info);
            lines.push(handle);
            let reactor = host.reactor();
            host.spawn(async move {
                let name = driver.info.name.clone();
                let error = opened.run(reactor, driver).await;
                dialtone_base::warn!("{name} stopped: {error}");
            });
        }
        let board = Board {
            profile: Profile::HOME,
            pool,
            ports: handles,
            lines,
            flash,
            console: Some(console_handle),
            seed: entropy::seed()?,
        };
        let state = dialtone_app::run(host.spawner(), board);
        Ok(Running { state, drops, _parking: self._parking })
    }
}

fn about(error: io::Error, what: String, option: &str) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("; run as root, or name a place of your own with {option}")
        }
        _ => String::new(),
    };
    io::Error::new(error.kind(), format!("{what}: {error}{hint}"))
}
