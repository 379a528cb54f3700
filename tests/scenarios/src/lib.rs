//! The whole router in process, in virtual time, repeatable from a seed.
//!
//! A [`Scenario`] is a home with the firmware running in it. Tests act on devices between [`Scenario::run_until`]s; nothing
//! moves in between. One router per process (embassy's tasks are statics), so one file holds one test; [`reboot`] runs the
//! same test again in a child process with the flash as it was left. `SEED=n` chooses another seed; a failure names it.

use std::cell::{RefCell, RefMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use dialtone_app::Profile;
use dialtone_base::event::Event;
use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host as Executor;
use dialtone_hal_testkit::FakeFlash;
use dialtone_netsim::board::{self, Blueprint, FLASH_PAGES, Home};
use dialtone_netsim::dns_message::{Answer, TYPE_A};
use dialtone_netsim::isp::Profile as IspProfile;
use dialtone_netsim::isp::names::{NameList, NameServers};
use dialtone_netsim::operator::{self, Operator, WithOperator};
use dialtone_netsim::peer::{Echo, FarSide};
use dialtone_netsim::world::{CableId, DeviceId};
use dialtone_netsim::{Isp, Quality, SocketHandle, World, tcp};
use dialtone_settings::storage::{SETTINGS_RANGE, SettingsStore};
use dialtone_settings::tree::Settings;
use embassy_futures::block_on;

pub mod reboot;
pub mod telephone;

/// A name the ISP knows, and its address.
pub const EXAMPLE: (&str, Ipv4Addr) = ("example.test", Ipv4Addr::new(203, 0, 113, 9));
/// With a network for guests on both of their ports.
pub fn guests_welcome(settings: &mut Settings) {
    settings.guest.enabled = true;
    for port in ["guest1", "guest2"] {
        settings.guest.ports.push(port.into()).expect("room for two");
    }
}

/// Another one.
pub const OTHER: (&str, Ipv4Addr) = ("other.test", Ipv4Addr::new(203, 0, 113, 77));
/// The router's address on the LAN, as it comes out of the box.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// The router's address on the guests' network, as it comes out of the box.
pub const GUEST_ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 78, 1);

/// How a scenario begins.
pub struct Setup {
    /// Everything random.
    pub seed: u64,
    /// What the router has room for.
    pub profile: Profile,
    /// What is in its flash; empty when it comes out of the box.
    pub flash: FakeFlash,
    /// The cable to the ISP.
    pub street: Quality,
    /// The cables in the house.
    pub house: Quality,
    /// How the ISP is set up.
    pub isp: IspProfile,
    /// What is beyond it.
    pub far_side: Box<dyn FarSide>,
    /// A telephone operator there; [`Setup::with_operator`] makes one.
    pub operator: Option<Rc<RefCell<Operator>>>,
    /// Put between the ISP and everything beyond it, the operator too: somebody who listens, or speaks in its place.
    pub between: Option<Between>,
    /// What is set otherwise than out of the box, in force from the start.
    pub settings: fn(&mut Settings),
}

/// Wraps a far side.
pub type Between = Box<dyn FnOnce(Box<dyn FarSide>) -> Box<dyn FarSide>>;

/// A home in virtual time.
pub struct Scenario {
    /// Ports, cables, the router's own view.
    pub home: Home,
    typed: Rc<RefCell<String>>,
    executor: Executor,
    seed: u64,
    next_event: u64,
}

impl Default for Setup {
    fn default() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        Self {
            seed,
            profile: Profile::SIMULATED,
            flash: FakeFlash::new(FLASH_PAGES),
            street: Quality::delay(Duration::from_millis(5)),
            house: Quality::delay(Duration::from_micros(100)),
            isp: IspProfile::default(),
            far_side: Box::new(Echo),
            operator: None,
            between: None,
            settings: |_| {},
        }
    }
}

impl Setup {
    /// With a telephone operator that has two subscribers, 5551 and 5552, whose accounts the router has: line 1 is 5551, line 2 is 5552.
    pub fn with_operator(mut self, operator: operator::Settings) -> (Self, Rc<RefCell<Operator>>) {
        let subscribers = vec![
            operator::Subscriber::new("5551", "one", "Ann"),
            operator::Subscriber::new("5552", "two", "Bob"),
            operator::Subscriber::new("5553", "three", "Carol"),
        ];
        let operator = Operator::new(operator, subscribers, Seed::from_number(self.seed)).shared();
        self.operator = Some(operator.clone());
        self.settings = with_accounts;
        (self, operator)
    }

    /// Power on.
    pub fn start(self) -> Scenario {
        let _ = env_logger::builder().is_test(true).format_timestamp(None).try_init();
        clock::use_virtual();
        let executor = Executor::new().expect("the system has descriptors");
        let mut random = Random::new(Seed::from_number(self.seed));
        let list = NameList::default().with(EXAMPLE.0, EXAMPLE.1).with(OTHER.0, OTHER.1);
        let (list, far_side): (_, Box<dyn FarSide>) = match self.operator {
            Some(operator) => {
                let list = operator.borrow().names(list);
                (list, Box::new(WithOperator { operator, beyond: self.far_side }))
            }
            None => (list, self.far_side),
        };
        let far_side = match self.between {
            Some(between) => between(far_side),
            None => far_side,
        };
        let names = NameServers::new(Box::new(list));
        let isp = Isp::new(self.isp, names, far_side, random.derive_seed());
        let mut settings = Settings::default();
        (self.settings)(&mut settings);
        let flash =
            if settings == Settings::default() { self.flash } else { remembering(self.flash, &settings) };
        let blueprint = Blueprint {
            isp,
            flash,
            profile: self.profile,
            street: self.street,
            house: self.house,
            seed: random.derive_seed(),
        };
        let home = board::start(&executor, blueprint, |_, _, _| None);
        let typed = Rc::new(RefCell::new(String::new()));
        let (console, screen) = (home.console, typed.clone());
        executor.spawn(async move {
            let mut bytes = [0; 512];
            loop {
                let count = console.output(&mut bytes).await;
                screen.borrow_mut().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Scenario { home, typed, executor, seed: self.seed, next_event: 0 }
    }
}

/// Two accounts with the simulated operator, one for each line.
pub fn with_accounts(settings: &mut Settings) {
    let json = r#"{"telephony":{"accounts":[
        {"name":"Ann","domain":"operator.test","numbers":["5551"],"auth_password":"one"},
        {"name":"Bob","domain":"operator.test","numbers":["5552"],"auth_password":"two"}],
        "lines":[{"account":0,"incoming":["5551"]},{"account":1,"incoming":["5552"]}]}}"#;
    let with = dialtone_settings::json::import(json).expect("valid settings");
    settings.telephony = with.telephony.clone();
}

/// Flash in which somebody saved these settings before.
fn remembering(flash: FakeFlash, settings: &Settings) -> FakeFlash {
    block_on(async {
        let mut store = SettingsStore::open(flash, SETTINGS_RANGE).await.expect("flash that works");
        store.commit(1, settings).await.expect("flash that works");
        store.into_flash()
    })
}

impl Scenario {
    /// A home as it comes out of the box.
    pub fn new() -> Self {
        Setup::default().start()
    }

    /// A number from the seed, for choices of the test's own.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    /// The world, to act on; the router sees nothing of it before the next run.
    pub fn world(&self) -> RefMut<'_, World> {
        self.home.world.borrow_mut()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until `done`, which is asked after every step, or for `limit`. Whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let end = embassy_time::Instant::from_micros((self.now() + limit).as_micros());
        self.world().touch();
        loop {
            let next = self.executor.settle();
            let mut world = self.home.world.borrow_mut();
            if done(&mut world) {
                world.touch();
                return true;
            }
            drop(world);
            match next {
                Some(at) if at <= end => clock::advance_to(at),
                _ => {
                    clock::advance_to(end);
                    self.executor.settle();
                    return done(&mut self.home.world.borrow_mut());
                }
            }
        }
    }

    /// [`Scenario::run_until`] that must be done in time; `what` names it when it is not.
    #[track_caller]
    pub fn expect(&mut self, what: &str, limit: Duration, done: impl FnMut(&mut World) -> bool) {
        assert!(self.run_until(limit, done), "seed {}: {what}, within {} s", self.seed, limit.as_secs());
    }

    /// Plugs a new device in and waits for its lease.
    #[track_caller]
    pub fn join(&mut self, cable: CableId, name: &str) -> DeviceId {
        let device = self.world().plug_new(cable, name);
        self.expect_lease(device);
        device
    }

    /// Waits until a device has an address.
    #[track_caller]
    pub fn expect_lease(&mut self, device: DeviceId) -> Ipv4Addr {
        self.expect("a device gets a lease", Duration::from_secs(60), |world| {
            world.device(device).address().is_some()
        });
        self.address(device).expect("just seen")
    }

    /// A device's address now.
    pub fn address(&self, device: DeviceId) -> Option<Ipv4Addr> {
        self.world().device(device).address()
    }

    /// Waits until the router has its way out.
    #[track_caller]
    pub fn expect_wan(&mut self) -> Ipv4Addr {
        let router = self.home.router;
        self.expect("the router gets its WAN address", Duration::from_secs(60), |_| {
            router.current_wan().address.is_some()
        });
        router.current_wan().address.expect("just seen").address()
    }

    /// What a device is told about a name by its network's server, asking again every two seconds as resolvers do.
    pub fn look_up(&mut self, device: DeviceId, name: &str) -> Option<Answer> {
        let server = *self.world().device(device).addresses()?.name_servers.first()?;
        for _ in 0..5 {
            let server = SocketAddrV4::new(server, 53);
            let question = self.world().device(device).ask_server(server, name, TYPE_A);
            let mut said = None;
            self.run_until(Duration::from_secs(2), |world| {
                said = world.device(device).answer(question);
                said.is_some()
            });
            if said.is_some() {
                return said;
            }
            self.world().device(device).give_up(question);
        }
        None
    }

    /// Whether a device's ping is answered within three seconds.
    pub fn ping(&mut self, device: DeviceId, to: Ipv4Addr) -> bool {
        self.world().device(device).take_pongs();
        self.world().device(device).ping(to, 1);
        let answered = self.run_until(Duration::from_secs(3), |world| {
            world.device(device).take_pongs().iter().any(|(from, _)| *from == to)
        });
        self.world().device(device).give_up_pings();
        answered
    }

    /// Opens a TCP connection; `None` when it is refused or not answered within 20 seconds.
    pub fn connect(&mut self, device: DeviceId, to: SocketAddrV4) -> Option<SocketHandle> {
        let handle = self.world().device(device).tcp_connect(to).ok()?;
        let over = |state| !matches!(state, tcp::State::SynSent | tcp::State::SynReceived);
        self.run_until(Duration::from_secs(20), |world| over(world.device(device).tcp(handle).state()));
        let state = self.world().device(device).tcp(handle).state();
        if state == tcp::State::Established {
            return Some(handle);
        }
        let now = self.now();
        self.world().device(device).tcp_abort(handle, now);
        None
    }

    /// Sends `bytes` over a connection to an echoing far end and waits for them; whether they came back right.
    pub fn echo(&mut self, device: DeviceId, handle: SocketHandle, bytes: &[u8], limit: Duration) -> bool {
        let (mut sent, mut back) = (0, Vec::new());
        self.run_until(limit, |world| {
            let socket = world.device(device).tcp(handle);
            if sent < bytes.len() && socket.can_send() {
                sent += socket.send_slice(&bytes[sent..]).unwrap_or(0);
            }
            while socket.can_recv() {
                let got = socket.recv(|got| (got.len(), got.to_vec()));
                back.extend(got.unwrap_or_default());
            }
            // Sending from outside needs a nudge.
            world.touch();
            back.len() >= bytes.len()
        });
        back == bytes
    }

    /// Whether a device can open a connection to the far side and get an echo over it.
    pub fn reaches_far_side(&mut self, device: DeviceId) -> bool {
        let Some(handle) = self.connect(device, SocketAddrV4::new(EXAMPLE.1, 443)) else { return false };
        let echoed = self.echo(device, handle, b"anybody there?", Duration::from_secs(20));
        self.world().device(device).tcp_finish(handle);
        echoed
    }

    /// The router's answer to `GET path` on port 80 of `at`, or nothing.
    pub fn fetch(&mut self, device: DeviceId, at: Ipv4Addr, path: &str) -> Option<String> {
        let handle = self.connect(device, SocketAddrV4::new(at, 80))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        self.world().device(device).tcp(handle).send_slice(request.as_bytes()).ok()?;
        let mut back = Vec::new();
        self.run_until(Duration::from_secs(20), |world| {
            let socket = world.device(device).tcp(handle);
            while socket.can_recv() {
                let got = socket.recv(|got| (got.len(), got.to_vec()));
                back.extend(got.unwrap_or_default());
            }
            !socket.may_recv()
        });
        self.world().device(device).tcp_finish(handle);
        (!back.is_empty()).then(|| String::from_utf8_lossy(&back).into_owned())
    }

    /// Types a line on the router's console.
    pub fn type_line(&mut self, line: &str) {
        self.typed.borrow_mut().clear();
        let (console, line) = (self.home.console, line.to_string());
        self.executor.spawn(async move { console.line(line).await });
    }

    /// What the router answers to a line on its console: its text, as an error where it refused.
    ///
    /// # Errors
    /// The text of the refusal, or that there was no answer.
    pub fn console(&mut self, line: &str) -> Result<String, String> {
        self.type_line(line);
        let typed = self.typed.clone();
        let answered = |text: &str| text.ends_with("\n.\n");
        if !self.run_until(Duration::from_secs(10), |_| answered(&typed.borrow())) {
            return Err("no answer".into());
        }
        let typed = typed.borrow();
        let (word, text) = typed.trim_end_matches(".\n").split_once('\n').unwrap_or(("", ""));
        if word == "ok" { Ok(text.into()) } else { Err(text.into()) }
    }

    /// What the router noted since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(entry) = self.home.router.events.read(self.next_event) {
            self.next_event = entry.sequence + 1;
            events.push(entry.event);
        }
        events
    }

    /// The data plane's counters, as fresh as a second of virtual time makes them.
    pub fn counters(&mut self) -> dialtone_dataplane::Snapshot {
        self.run_for(Duration::from_millis(1100));
        critical_section::with(|token| self.home.router.snapshot.borrow_ref(token).clone())
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "SEED={} at {:.3} s; what the router noted:",
                self.seed,
                self.now().as_micros() as f64 / 1e6
            );
            self.next_event = 0;
            for event in self.events() {
                eprintln!("  {event}");
            }
        }
    }
}
