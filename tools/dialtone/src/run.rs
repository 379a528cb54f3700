//! `dialtone run`: the firmware as a Linux process that owns real interfaces.
//!
//! Opens with all rights, drops them, runs until SIGINT or SIGTERM, and has the interfaces given back as they were. Prints
//! what happens, one line each.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use dialtone_base::Zone;
use dialtone_base::event::Event;
use dialtone_board_linux::{Machine, Options, Running};
use dialtone_hal_linux::custody::Custody;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_linux::line::{LineKind, LineSpec};
use dialtone_hal_linux::port::choose::Driver;
use dialtone_hal_linux::privileges;
use dialtone_hal_linux::signals::Signals;
use dialtone_services::state::{EventReader, RouterState};
use dialtone_settings::json;
use dialtone_settings::tree::Settings;
use embassy_time::Timer;

/// What `dialtone run` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The interface to the operator.
    #[arg(long, value_name = "IF")]
    wan: String,
    /// Interfaces of the household's network, with commas between.
    #[arg(long, value_name = "IF,…", value_delimiter = ',', required = true)]
    lan: Vec<String>,
    /// Interfaces for visitors, with commas between.
    #[arg(long, value_name = "IF,…", value_delimiter = ',')]
    guest: Vec<String>,
    /// Settings to come into force at start, as `dialtone settings export` writes them.
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// The file that stands for the flash chip: settings and leases live in it.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/dialtone/flash")]
    flash: PathBuf,
    /// Where the console listens, for `dialtone settings` and `dialtone console`.
    #[arg(long, value_name = "PATH", default_value = "/run/dialtone/console.sock")]
    socket: PathBuf,
    /// A telephone line, first socket first: socket:PATH for `dialtone handset`, or ag1171:CHIP,rm=N,fr=N,shk=N[,pd=N],alsa=DEVICE for
    /// a real telephone (docs/real-line.md); either with ,rate=8000 or ,rate=16000. Default: two sockets, phone1.sock and phone2.sock,
    /// beside the console's.
    #[arg(long = "line", value_name = "LINE")]
    lines: Vec<LineSpec>,
    /// How to reach the interfaces: auto, xdp, packet, or tap (devices of these names are made).
    #[arg(long, value_name = "DRIVER", default_value_t)]
    driver: Driver,
    /// The user to continue as when started as root.
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    user: String,
    /// Also print every new flow.
    #[arg(long)]
    flows: bool,
}

/// Runs the router until it is told to end.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let options = options(arguments)?;
    let settings = arguments.config.as_deref().map(read_settings).transpose()?;
    // Blocked before there is a second thread, so that none of them is ended by a signal.
    let signals = Signals::block()?;
    let mut custody = Custody::default();
    let machine = match Machine::open(&options, &mut custody) {
        Ok(machine) => machine,
        Err(error) => {
            custody.give_back();
            return Err(error.into());
        }
    };
    let (guardian, cut_off) = custody.entrust()?;
    privileges::prefer_latency();
    let result = privileges::drop_to(&arguments.user)
        .map_err(|error| format!("cannot continue as user {}: {error}", arguments.user).into())
        .and_then(|()| serve(machine, signals, settings, arguments.flows));
    // First the addresses, then the kernel may hear again.
    guardian.finish();
    drop(cut_off);
    say("the interfaces are as they were");
    result
}

fn serve(
    machine: Machine,
    signals: Signals,
    settings: Option<Box<Settings>>,
    flows: bool,
) -> Result<(), Box<dyn Error>> {
    for line in machine.describe() {
        say(&line);
    }
    let host = Host::new()?;
    let running = machine.start(&host, settings)?;
    let (reactor, stopper) = (host.reactor(), host.stopper());
    host.spawn(async move {
        let _ = signals.wait(&reactor).await;
        stopper.stop();
    });
    let state = running.state;
    host.spawn(async move {
        let mut reader = EventReader::default();
        loop {
            while let Some((missed, entry)) = reader.next(state) {
                if missed > 0 && (flows || !entry.event.is_traffic()) {
                    say(&format!("({missed} events not shown)"));
                }
                print(state, &entry.event, entry.at.as_millis(), flows);
            }
            Timer::after_millis(50).await;
        }
    });
    host.run()?;
    report(&running);
    Ok(())
}

/// The settings of a file as `dialtone settings export` writes it; what is wrong with it, by line and field.
fn read_settings(file: &Path) -> Result<Box<Settings>, String> {
    let about = |fault: String| format!("settings file {}: {fault}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| about(error.to_string()))?;
    // Passwords must be written out here: there is no router yet that knows them.
    json::import_over(&Settings::default(), &text).map_err(|refused| about(refused.to_string()))
}

fn options(arguments: &Arguments) -> Result<Options, String> {
    let zones = [
        (std::slice::from_ref(&arguments.wan), Zone::Wan),
        (&arguments.lan, Zone::Lan),
        (&arguments.guest, Zone::Guest),
    ];
    let ports: Vec<(String, Zone)> = zones
        .into_iter()
        .flat_map(|(names, zone)| names.iter().map(move |name| (name.clone(), zone)))
        .collect();
    if ports.iter().any(|(name, _)| name.is_empty()) {
        return Err("an interface has no name: write --wan eth0 --lan eth1,eth2; `ip link` lists them".into());
    }
    let mut seen = HashSet::new();
    if let Some((name, _)) = ports.iter().find(|(name, _)| !seen.insert(name)) {
        return Err(format!("{name} is named twice: an interface is WAN, LAN or guest"));
    }
    let lines = match arguments.lines.as_slice() {
        [] => {
            let folder = arguments.socket.parent().unwrap_or(Path::new("."));
            // One wideband and one not, like the sockets of a real router.
            [("phone1.sock", 16_000), ("phone2.sock", 8_000)]
                .map(|(name, sample_rate)| LineSpec {
                    sample_rate,
                    kind: LineKind::Socket(folder.join(name)),
                })
                .to_vec()
        }
        lines => lines.to_vec(),
    };
    Ok(Options {
        lines,
        ports,
        driver: arguments.driver,
        flash: arguments.flash.clone(),
        socket: arguments.socket.clone(),
    })
}

fn print(state: &RouterState, event: &Event, millis: u64, flows: bool) {
    if flows || !event.is_traffic() {
        say(&format!("{:>8}.{:03}  {}", millis / 1000, millis % 1000, state.words(event)));
    }
}

fn report(running: &Running) {
    for (name, drops) in &running.drops {
        for (reason, count) in drops.borrow().iter().filter(|(_, count)| *count > 0) {
            say(&format!("{name}: {count} frames dropped by the port: {reason}"));
        }
    }
}

/// A line for people. Whoever reads it may have gone; the router goes on.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
