//! The DHCP and WAN services on virtual time, the router's WAN plugged into its own LAN.
//!
//! No data plane: what one zone sends is delivered to the other. That cabling mistake is also the plainest case of
//! RFC 4787 REQ-7, the operator's network overlapping the home's.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use dialtone_base::event::Event;
use dialtone_base::frame::PoolSize;
use dialtone_base::{FramePool, MacAddress, Random, Seed, Zone};
use dialtone_dataplane as dataplane;
use dialtone_hal_api::flash::{ERASE_SIZE, FlashError, WRITE_SIZE};
use dialtone_hal_api::port::LinkWatch;
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_testkit::flash::{Cut, FakeFlash, Tear};
use dialtone_services::dhcp4::{Dhcp4Service, LeaseJournal, LeaseWrite, WAN_KEY, journal};
use dialtone_services::stack::{ZoneLink, zone_stack};
use dialtone_services::state::{LeaseView, RouterState};
use dialtone_services::wan::WanService;
use dialtone_settings::storage::LEASES_RANGE;
use dialtone_settings::tree::Settings;
use embassy_futures::block_on;
use embassy_time::{Duration, Instant};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

struct Home {
    host: Host,
    state: &'static RouterState,
    link: &'static LinkWatch,
    journal: &'static LeaseJournal,
    writes: Arc<Mutex<Vec<LeaseWrite>>>,
}

const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

/// With what flash remembers; `None` when it never answers. Writes are only noted.
fn home(remembered: Option<&[(Ipv4Addr, &[u8])]>) -> Home {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let written = writes.clone();
    let journal = |journal: &'static LeaseJournal, _| async move {
        loop {
            let write = journal.next_write().await;
            written.lock().unwrap().push(write);
        }
    };
    let home = home_with(journal);
    if let Some(records) = remembered {
        home.journal.restore(records.iter().copied());
    }
    Home { writes, ..home }
}

fn home_with<F: Future<Output = ()> + 'static>(
    keep: impl FnOnce(&'static LeaseJournal, &'static RouterState) -> F,
) -> Home {
    clock::use_virtual();
    let host = Host::new().unwrap();
    let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 0 });
    let mut random = Random::new(Seed::from_number(7));
    let state = RouterState::leak(Vec::new(), dataplane::Snapshot::default());
    let [lan, guest, wan] =
        [Zone::Lan, Zone::Guest, Zone::Wan].map(|zone| zone_stack::<2>(zone, pool, &mut random).0);
    let link: &'static LinkWatch = Box::leak(Box::new(LinkWatch::new()));
    let journal: &'static LeaseJournal = Box::leak(Box::new(LeaseJournal::new()));
    let dhcp = Dhcp4Service::new(lan, guest, state, journal);
    host.spawn(async { dhcp.run().await });
    let service = WanService::new(wan, link, MAC, random.derive_seed(), state, journal);
    host.spawn(async { service.run().await });
    host.spawn(cable(lan.link(), wan.link()));
    host.spawn(cable(wan.link(), lan.link()));
    host.spawn(keep(journal, state));
    state.settings.sender().send(Arc::new(Settings::default()));
    Home { host, state, link, journal, writes: Arc::default() }
}

async fn cable(from: &'static ZoneLink, to: &'static ZoneLink) {
    loop {
        let frame = from.outgoing().next().await;
        to.deliver(frame);
    }
}

impl Home {
    fn run(&self, seconds: u64) {
        self.host.run_until(Instant::now() + Duration::from_secs(seconds));
    }

    fn events(&self) -> Vec<Event> {
        (0..self.state.events.next_sequence())
            .filter_map(|sequence| Some(self.state.events.read(sequence)?.event))
            .collect()
    }
}

#[test]
fn link_lease_conflict_flaps_and_memory() {
    let home = home(Some(&[]));
    home.run(10);
    assert_eq!(home.state.current_wan().reason, "no link");
    home.link.set(true);
    home.run(10);
    let wan = home.state.current_wan();
    let address = wan.address.expect("the WAN has an address");
    assert_eq!(wan.gateway, Some("192.168.77.1".parse().unwrap()));
    assert_eq!(wan.dns, ["192.168.77.1".parse::<core::net::Ipv4Addr>().unwrap()]);
    let events = home.events();
    assert!(events.contains(&Event::WanConflict { zone: Zone::Lan }), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Leased { mac: MAC, renewed: false, .. })));
    let leases = critical_section::with(|token| home.state.leases.borrow_ref(token).clone());
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].address, leases[0].zone), (address.address(), Zone::Lan));

    // A hundred flaps, some too quick to be seen, and the same address at the end.
    for round in 0..100 {
        home.link.set(false);
        if round % 3 != 0 {
            home.run(round % 2);
        }
        home.link.set(true);
        home.run(round % 4);
    }
    home.run(20);
    assert_eq!(home.state.current_wan().address, Some(address));

    // A day of renewals costs flash one write.
    home.run(86_400);
    assert_eq!(home.state.current_wan().address, Some(address));
    let writes = home.writes.lock().unwrap().clone();
    let keys: Vec<_> = writes.iter().map(|write| write.address).collect();
    assert_eq!(keys, [address.address(), WAN_KEY], "{writes:?}");

    // After a restart the lease is there before anybody asks, and the WAN asks for the address it had.
    let [record, binding] = [0, 1].map(|index| writes[index].record.clone().unwrap());
    let again = std::thread::spawn(move || {
        let nobody = Ipv4Addr::new(192, 168, 77, 250);
        let again =
            self::home(Some(&[(address.address(), &record), (nobody, b"not a record"), (WAN_KEY, &binding)]));
        again.run(1);
        let leases = critical_section::with(|token| again.state.leases.borrow_ref(token).clone());
        again.link.set(true);
        again.run(3);
        let events = again.events();
        assert!(!events.contains(&Event::WanDown { reason: "no link" }), "the link was not down: {events:?}");
        // INIT-REBOOT is a REQUEST without an OFFER: known to the server as a renewal, and bound within three seconds.
        assert_eq!(again.state.current_wan().address, Some(address), "{events:?}");
        assert_eq!(again.writes.lock().unwrap().len(), 0, "nothing new to write");
        leases
    });
    let leases = again.join().unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].address, leases[0].mac), (address.address(), MAC));
}

#[test]
fn a_flash_that_never_answers_does_not_keep_the_home_without_addresses() {
    // On a thread of its own, for virtual time belongs to the thread.
    let address = std::thread::spawn(|| {
        let home = home(None);
        home.link.set(true);
        home.run(30);
        home.state.current_wan().address
    });
    assert!(address.join().unwrap().is_some());
}

/// One flash for several starts of the router.
#[derive(Clone)]
struct Shared(Arc<Mutex<FakeFlash>>);

impl ErrorType for Shared {
    type Error = FlashError;
}

impl ReadNorFlash for Shared {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        block_on(self.0.lock().unwrap().read(offset, bytes))
    }

    fn capacity(&self) -> usize {
        self.0.lock().unwrap().capacity()
    }
}

impl NorFlash for Shared {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        block_on(self.0.lock().unwrap().erase(from, to))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        block_on(self.0.lock().unwrap().write(offset, bytes))
    }
}

/// Starts a router on `flash`, gives its own WAN a lease if `plugged`; the leases after ten seconds.
fn leases_after_a_run(flash: &Shared, plugged: bool) -> Vec<LeaseView> {
    let flash = flash.clone();
    let run = std::thread::spawn(move || {
        let home = home_with(|journal, state| async move { journal::run(flash, journal, state).await });
        home.link.set(plugged);
        home.run(10);
        critical_section::with(|token| home.state.leases.borrow_ref(token).clone())
    });
    run.join().unwrap()
}

#[test]
fn power_cut_at_any_step_of_a_lease_write_leaves_the_lease_or_no_lease() {
    let mut survived = 0;
    for step in 0.. {
        let flash = Shared(Arc::new(Mutex::new(FakeFlash::new(LEASES_RANGE.end as usize / ERASE_SIZE))));
        // The start itself formats the range; the cut comes in the lease's write.
        leases_after_a_run(&flash, false);
        flash.0.lock().unwrap().cut_after(Cut { after: step, tear: Tear::Bits(step) });
        let leased = leases_after_a_run(&flash, true);
        assert_eq!(leased.len(), 1, "step {step}: a dead flash keeps nobody without an address");
        let done = !flash.0.lock().unwrap().is_dark();
        flash.0.lock().unwrap().power_on();
        let remembered = leases_after_a_run(&flash, false);
        assert!(remembered.len() <= 1, "step {step}");
        for lease in &remembered {
            assert_eq!((lease.address, lease.mac), (leased[0].address, leased[0].mac), "step {step}");
            survived += 1;
        }
        if done {
            assert_eq!(remembered.len(), 1, "written without a cut");
            break;
        }
        assert!(step < 200, "a lease is a short write");
    }
    assert!(survived > 0);
}
