//! The demo: the firmware on the in-memory board, in a simulated home, in real time.
//!
//! [`far_side`], [`web`] and [`names`] are the internet beyond the simulated ISP; [`phone`] joins the router's lines with a simulated
//! telephone operator, the handset page and sockets for `dialtone handset`; [`proxy`] lets programs on this computer
//! act as the simulated laptop; [`stream`] pumps bytes between the two worlds; [`screen`] tells what happens. Needs no
//! rights and changes nothing on this computer.

mod far_side;
mod names;
mod phone;
mod ports;
mod proxy;
mod screen;
mod stream;
mod web;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use clap::Args;
use dialtone_app::Profile;
use dialtone_base::{Random, Seed};
use dialtone_hal_linux::executor::Host as Executor;
use dialtone_hal_linux::signals::Signals;
use dialtone_hal_testkit::FakeFlash;
use dialtone_netsim::board::{self, Blueprint, FLASH_PAGES};
use dialtone_netsim::capture::Capture;
use dialtone_netsim::isp::Profile as IspProfile;
use dialtone_netsim::isp::names::{NameList, NameServers};
use dialtone_netsim::operator::WithOperator;
use dialtone_netsim::{Isp, Quality};
use embassy_time::Timer;

use far_side::Beyond;
use names::HostNames;
use proxy::Proxies;
use screen::{Screen, Tally};

use crate::handset::web as web_handset;

/// What can be chosen about the demo.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// End by itself after this many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Use only the built-in web, even if this computer has internet.
    #[arg(long)]
    no_internet: bool,
    /// Show every flow and every look-up.
    #[arg(long)]
    verbose: bool,
    /// HTTP proxy on 127.0.0.1; the next free port when this one is taken.
    #[arg(long, value_name = "PORT", default_value_t = 3128)]
    http_proxy: u16,
    /// SOCKS5 proxy on 127.0.0.1; the next free port when this one is taken.
    #[arg(long, value_name = "PORT", default_value_t = 1080)]
    socks_proxy: u16,
    /// The router's status page on 127.0.0.1; the next free port when this one is taken.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    status_page: u16,
    /// A telephone on 127.0.0.1; the next free port when this one is taken.
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    handset_page: u16,
    /// Write what went over the simulated cables to a pcap file.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
}

/// Runs the demo until Ctrl-C or for as long as asked.
///
/// # Errors
/// In a sentence: no port is free, or the system is out of something.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let screen = Screen::new(options.verbose);
    screen.greet();
    // Before any thread starts, so that all of them leave Ctrl-C to us.
    let signals = Signals::block()?;
    let doors = ports::open(options, &screen)?;
    let (page, page_port) = ports::open_one("handset page", options.handset_page, &screen)?;
    let executor = Executor::new()?;
    let stopper = executor.stopper();

    let internet = !options.no_internet && names::internet_is_there();
    let reactor = executor.reactor();
    let task_waker = Rc::new(RefCell::new(Waker::noop().clone()));
    let names_waker = Arc::new(Mutex::new(None));
    let mut random = Random::new(seed()?);
    let beyond = Beyond { internet, reactor: reactor.clone(), waker: task_waker.clone() };
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let started = embassy_time::Instant::now();
    let profile =
        IspProfile { unix_at_start: since_1970.as_secs() - started.as_secs(), ..IspProfile::default() };
    let operator = phone::operator(profile.unix_at_start, random.derive_seed());
    let host_names = HostNames::new(internet, names_waker.clone());
    let names = NameServers::new(Box::new(operator.names(NameList::default()).before(host_names)));
    let far_side = WithOperator { operator: operator.shared(), beyond };
    let isp = Isp::new(profile, names, Box::new(far_side), random.derive_seed());

    let mut proxies = Proxies::new(reactor);
    for door in &doors {
        proxies.serve(door.listener.try_clone()?, door.protocol)?;
    }
    let proxies = Rc::new(RefCell::new(proxies));
    let laptop = Rc::new(Cell::new(None));

    let blueprint = Blueprint {
        isp,
        flash: phone::flash_with_accounts(FakeFlash::new(FLASH_PAGES))?,
        profile: Profile::SIMULATED,
        street: Quality::delay(dialtone_base::Duration::from_micros(500)),
        house: Quality::PERFECT,
        seed: random.derive_seed(),
    };
    let (laptop_id, laptop_proxies) = (laptop.clone(), proxies.clone());
    let home = board::start(&executor, blueprint, move |world, now, context| {
        *task_waker.borrow_mut() = context.waker().clone();
        if let Ok(mut waker) = names_waker.lock() {
            *waker = Some(context.waker().clone());
        }
        laptop_proxies.borrow_mut().poll(world.device(laptop_id.get()?), now, context)
    });
    {
        let mut world = home.world.borrow_mut();
        if let Some(path) = &options.capture {
            let file =
                File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            world.capture(Capture::new(Box::new(std::io::BufWriter::new(file)))?);
        }
        laptop.set(Some(world.plug_new(home.lan[0], "laptop")));
        world.plug_new(home.lan[1], "television");
    }

    let lines = phone::Lines::open(&executor, &home.lines)?;
    screen.where_to_click(&doors, internet);
    screen.where_to_telephone(page_port, &lines.sockets);
    web_handset::serve(page, lines.sockets.clone());
    let screen = Rc::new(screen);
    let (router, shown, watched) = (home.router, screen.clone(), proxies.clone());
    executor.spawn(async move {
        loop {
            {
                let proxies = watched.borrow();
                shown.events(router, &proxies.names);
                shown.summary_line(&Tally { router, proxies: &proxies });
            }
            Timer::after_millis(50).await;
        }
    });
    let (on_signal, signal_reactor) = (stopper.clone(), executor.reactor());
    executor.spawn(async move {
        // Without a descriptor for it Ctrl-C could end nothing; better at once than never.
        let _ = signals.wait(&signal_reactor).await;
        on_signal.stop();
    });
    if let Some(seconds) = options.seconds {
        executor.spawn(async move {
            Timer::after_secs(seconds).await;
            stopper.stop();
        });
    }
    executor.run()?;
    drop(lines);
    let captured = home.world.borrow_mut().end_capture();
    let proxies = proxies.borrow();
    screen.events(router, &proxies.names);
    screen
        .farewell(&Tally { router, proxies: &proxies }, Duration::from_micros(started.elapsed().as_micros()));
    captured.map_err(|error| format!("the capture is not whole: {error}").into())
}

fn seed() -> Result<Seed, Box<dyn Error>> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes))?;
    Ok(Seed(bytes))
}
