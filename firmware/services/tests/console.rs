//! The console and the settings' service behind it, in virtual time: framing, refusals, a trial and its end.

use std::cell::RefCell;
use std::rc::Rc;

use dialtone_base::Zone;
use dialtone_base::event::Event;
use dialtone_hal_api::console::{ConsoleDriver, console};
use dialtone_hal_api::flash::flash;
use dialtone_hal_api::port::PortInfo;
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host;
use dialtone_services::settings::SettingsControl;
use dialtone_services::state::RouterState;
use dialtone_services::{console as service, settings};
use embassy_time::{Duration, Instant};

struct Desk {
    host: Host,
    state: &'static RouterState,
    console: ConsoleDriver,
    screen: Rc<RefCell<String>>,
}

impl Desk {
    /// A router with a flash that fails, so that everything is lost with the power.
    fn new() -> Self {
        clock::use_virtual();
        let host = Host::new().unwrap();
        let port = |name: &str, zone| PortInfo {
            name: name.into(),
            zone,
            mac: Default::default(),
            mtu: 1500,
            segmentation: false,
        };
        let state =
            RouterState::leak(vec![port("wan", Zone::Wan), port("lan1", Zone::Lan)], Default::default());
        let control = SettingsControl::leak();
        let (handle, console) = console();
        let (memory, mut chip) = flash(1 << 20);
        host.spawn(async move {
            loop {
                let _ = chip.next().await;
                chip.answer(Err(dialtone_hal_api::flash::FlashError::OutOfBounds)).await;
            }
        });
        host.spawn(async move { settings::run(memory.share(), control, state).await });
        host.spawn(async move { service::run(handle, control, state).await });
        let screen = Rc::new(RefCell::new(String::new()));
        let shown = screen.clone();
        host.spawn(async move {
            let mut bytes = [0; 512];
            loop {
                let count = console.output(&mut bytes).await;
                shown.borrow_mut().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let desk = Self { host, state, console, screen };
        desk.wait(1);
        desk
    }

    fn wait(&self, seconds: u64) {
        self.host.run_until(Instant::now() + Duration::from_secs(seconds));
    }

    /// The whole answer as it goes over the wire.
    fn say(&self, line: &str) -> String {
        let (console, line) = (self.console, line.to_string());
        self.host.spawn(async move { console.line(line).await });
        self.wait(1);
        self.screen.take()
    }

    fn noted(&self, wanted: &Event) -> bool {
        (0..).map_while(|sequence| self.state.events.read(sequence)).any(|entry| entry.event == *wanted)
    }
}

#[test]
fn answers_refusals_and_a_trial_come_framed_and_in_order() {
    let desk = Desk::new();
    assert!(desk.say("help").starts_with("ok\nstatus "));
    assert_eq!(desk.say("dance"), "error\nthere is no command \"dance\"; try help\n.\n");
    assert_eq!(desk.say("settings get system.hostname"), "ok\ndialtone\n.\n");
    let refused = desk.say("settings set lan.address 192.168.77.0/24");
    assert!(refused.starts_with("error\n") && refused.contains("lan.address"), "{refused}");
    assert!(desk.say("settings set system.sofa 1").starts_with("error\n"));
    assert!(desk.say("settings confirm").starts_with("error\n"));

    // What flash did not take is said.
    let answer = desk.say("settings set system.hostname hallway");
    assert!(answer.starts_with("ok\nrevision 1 is in force") && answer.contains("lost with the power"));

    // Four lines at once are answered one after the other, each with its own end.
    let console = desk.console;
    desk.host.spawn(async move {
        for line in ["settings get system.hostname", "dance", "settings get lan.address", "nothing"] {
            console.line(line.into()).await;
        }
    });
    desk.wait(1);
    let ends = desk.screen.take();
    assert_eq!(ends.matches("\n.\n").count(), 4, "{ends}");
    assert!(ends.starts_with("ok\nhallway\n.\nerror\n"), "{ends}");

    let trial = desk.say("settings set lan.address 10.0.0.1/24");
    assert!(trial.contains("on trial") && trial.contains("settings confirm"), "{trial}");
    desk.wait(100);
    assert_eq!(desk.say("settings get lan.address"), "ok\n192.168.77.1/24\n.\n");

    // A port this board does not have.
    let lent = desk.say("settings set guest.ports lan1,sofa");
    assert!(lent.contains("there is no port \"sofa\"") && lent.contains("Ports: lan1\n"), "{lent}");
    assert!(desk.noted(&Event::NoSuchPort { name: "sofa".into() }));
    assert!(!desk.noted(&Event::NoSuchPort { name: "lan1".into() }));
}
