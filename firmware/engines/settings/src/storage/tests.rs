//! Power is cut at every step of a settings change and of a lease write.

extern crate std;
use std::collections::HashMap;
use std::format;
use std::vec::Vec;

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;
use dialtone_base::random::{Random, Seed};
use dialtone_base::text::Text;
use dialtone_hal_testkit::{Cut, FakeFlash, Tear};
use embassy_futures::block_on;

use super::*;
use crate::tree::{PortForward, Reservation};

const TEARS: [Tear; 7] = [
    Tear::Nothing,
    Tear::FirstHalf,
    Tear::SecondHalf,
    Tear::Everything,
    Tear::Bits(1),
    Tear::Bits(2),
    Tear::Bits(3),
];
/// Five pages, so that changes soon move old values about.
const SMALL: Range<u32> = 0..5 * 4096;

fn tree(number: u32) -> Settings {
    let mut tree = Settings::default();
    tree.lan.dhcp.lease_seconds = 600 + number;
    tree.system.hostname = format!("router-{number}").as_str().into();
    if number.is_multiple_of(2) {
        let external = crate::PortRange::single(1000 + number as u16).unwrap();
        let forward = PortForward {
            name: "game".into(),
            enabled: true,
            protocol: Default::default(),
            external,
            device: Ipv4Addr::new(192, 168, 77, 9),
            internal_port: None,
        };
        tree.nat.port_forwards.push(forward).unwrap();
    }
    for n in 0..(number % 7 * 4) as u8 {
        let mac = MacAddress([2, 0, 0, 0, number as u8, n]);
        let address = Ipv4Addr::new(192, 168, 77, 100 + n);
        tree.reservations
            .push(Reservation { mac, address, name: format!("device-{n}").as_str().into() })
            .unwrap();
    }
    tree
}

async fn open(flash: FakeFlash) -> (SettingsStore<FakeFlash>, Loaded) {
    let mut store = SettingsStore::open(flash, SMALL).await.unwrap();
    let loaded = store.load().await.unwrap();
    (store, loaded)
}

/// Flash after `changes` committed changes.
async fn flash_after(changes: u32) -> FakeFlash {
    let (mut store, _) = open(FakeFlash::new(5)).await;
    for number in 1..=changes {
        store.commit(number, &tree(number)).await.unwrap();
    }
    store.into_flash()
}

/// Enough to erase every page.
const CHANGES: u32 = 110;

/// Commits the next tree; the flash before, how many steps it took, whether pages were erased.
async fn measured_change(store: &mut SettingsStore<FakeFlash>, number: u32) -> (FakeFlash, u64, bool) {
    let before = store.map_flash().clone();
    store.commit(number, &tree(number)).await.unwrap();
    let after = store.map_flash();
    (before.clone(), after.steps() - before.steps(), after.wear() != before.wear())
}

#[test]
fn the_first_start_has_factory_settings_and_later_ones_the_newest() {
    block_on(async {
        let (mut store, loaded) = open(FakeFlash::new(5)).await;
        assert_eq!((loaded.origin, loaded.revision), (Origin::FirstStart, 0));
        assert_eq!(*loaded.settings, Settings::default());
        for number in 1..=200 {
            store.commit(number, &tree(number)).await.unwrap();
            let (again, loaded) = open(store.into_flash()).await;
            assert_eq!((loaded.origin, loaded.revision), (Origin::Newest, number));
            assert_eq!(*loaded.settings, tree(number));
            store = again;
        }
        let flash = store.into_flash();
        assert_eq!(flash.rewritten(), 0, "no word is programmed twice");
        let wear = flash.wear();
        assert!(wear.iter().max().unwrap() - wear.iter().min().unwrap() <= 1, "pages wear alike: {wear:?}");
    });
}

#[test]
fn power_cut_at_any_step_of_a_change_leaves_the_old_or_the_new_tree() {
    block_on(async {
        let mut cases = 0;
        let mut with_erase = 0;
        let (mut store, _) = open(FakeFlash::new(5)).await;
        // Each start state has its free page elsewhere; some changes move old values and erase a page.
        for changes in 0..CHANGES {
            let old = if changes == 0 { Settings::default() } else { tree(changes) };
            let new = tree(changes + 1);
            let (before, steps, erases) = measured_change(&mut store, changes + 1).await;
            with_erase += u32::from(erases);
            // Changes that erase are tried at every step, the others too, but only for some of the start states.
            if !erases && changes % 16 != 0 {
                continue;
            }
            for tear in TEARS {
                for after in 0..steps {
                    let (mut store, _) = open(before.clone()).await;
                    let cut = Cut { after, tear };
                    store.map_flash().cut_after(cut);
                    assert!(store.commit(changes + 1, &new).await.is_err());
                    let mut flash = store.into_flash();
                    assert!(flash.is_dark());
                    flash.power_on();
                    let (mut store, loaded) = open(flash).await;
                    let found = *loaded.settings;
                    assert!(
                        found == old || found == new,
                        "start {changes}, {cut:?}: {loaded:?}",
                        loaded = loaded.origin
                    );
                    // And the next change goes through.
                    let next = tree(changes + 2);
                    store.commit(changes + 2, &next).await.unwrap();
                    let (_, loaded) = open(store.into_flash()).await;
                    assert_eq!(*loaded.settings, next, "start {changes}, {cut:?}");
                    assert_eq!(loaded.origin, Origin::Newest);
                    cases += 1;
                }
            }
        }
        assert!(with_erase >= 6, "some changes must erase pages, not {with_erase}");
        assert!(cases > 5000, "{cases}");
    });
}

#[test]
fn a_second_power_cut_during_the_repair_of_the_first_loses_nothing_either() {
    block_on(async {
        let mut cases = 0;
        let mut random = Random::new(Seed::from_number(7));
        let (mut store, _) = open(FakeFlash::new(5)).await;
        store.commit(1, &tree(1)).await.unwrap();
        for changes in 1..CHANGES {
            let (before, steps, erases) = measured_change(&mut store, changes + 1).await;
            let candidates = [tree(changes), tree(changes + 1), tree(changes + 2)];
            for _ in 0..if erases { 300 } else { 0 } {
                let mut flash = before.clone();
                let cut = |random: &mut Random| Cut {
                    after: u64::from(random.below(steps as u32)),
                    tear: TEARS[random.below(TEARS.len() as u32) as usize],
                };
                let cuts = [cut(&mut random), cut(&mut random)];
                for (number, cut) in (changes + 1..).zip(cuts) {
                    flash.cut_after(cut);
                    if let Ok(mut store) = SettingsStore::open(&mut flash, SMALL).await
                        && store.load().await.is_ok()
                    {
                        cases += u32::from(store.commit(number, &tree(number)).await.is_err());
                    }
                    flash.power_on();
                }
                let (_, loaded) = open(flash).await;
                assert!(
                    candidates.contains(&loaded.settings),
                    "start {changes}, {cuts:?}: {:?}",
                    loaded.origin
                );
            }
        }
        assert!(cases > 500);
    });
}

#[test]
fn a_damaged_newest_revision_falls_back_to_the_one_before() {
    block_on(async {
        let flash = flash_after(2).await;
        let mut fell_back = 0;
        let used = flash.bytes().iter().rposition(|byte| *byte != 0xff).unwrap();
        for position in (4..used).step_by(3) {
            let mut spoiled = flash.clone();
            spoiled.bytes_mut()[position] ^= 0x55;
            let (_, loaded) = open(spoiled).await;
            let found = *loaded.settings;
            assert!(
                found == tree(2)
                    || found == tree(1)
                    || (found == Settings::default() && loaded.revision == 0),
                "byte {position} made up a tree"
            );
            fell_back += u32::from(loaded.revision == 1);
        }
        assert!(fell_back > 10);
    });
}

#[test]
fn sections_of_newer_firmware_are_kept_until_they_are_changed() {
    block_on(async {
        let (mut store, _) = open(FakeFlash::new(5)).await;
        store.commit(1, &tree(1)).await.unwrap();
        // As newer firmware would leave it: a section 42, and the LAN in version 9.
        let current = store.current.as_mut().unwrap();
        let mut record = current.record.clone();
        let foreign = Entry { section: 42, version: 3, place: 0, length: 2, checksum: checksum(b"hi") };
        record.entries.push(foreign).unwrap();
        let lan = record.entries.iter_mut().find(|entry| entry.section == Section::Lan.id()).unwrap();
        lan.version = 9;
        let lan = *lan;
        record.revision = 2;
        store.map.store(piece_key(&foreign, 0), b"hi").await.unwrap();
        store.map.store(RECORD_KEYS[1], &postcard::to_allocvec(&record).unwrap()).await.unwrap();

        let (mut store, loaded) = open(store.into_flash()).await;
        assert_eq!((loaded.revision, loaded.newer_sections), (2, 2));
        assert_eq!(loaded.settings.lan, Settings::default().lan);
        let mut changed = *loaded.settings;
        changed.wan.mtu = 1400;
        store.commit(3, &changed).await.unwrap();
        let entries = &store.current.as_ref().unwrap().record.entries;
        assert!(entries.contains(&foreign) && entries.contains(&lan));
        assert_eq!(store.read_section(&foreign).await.unwrap().unwrap(), b"hi");

        changed.lan.dhcp.lease_seconds = 7200;
        store.commit(4, &changed).await.unwrap();
        let (_, loaded) = open(store.into_flash()).await;
        assert_eq!((*loaded.settings, loaded.newer_sections), (changed, 1));
    });
}

#[test]
fn flash_of_older_firmware_lacks_the_telephone_and_gets_its_factory_settings() {
    block_on(async {
        let (mut store, _) = open(FakeFlash::new(5)).await;
        store.commit(1, &tree(1)).await.unwrap();
        let mut record = store.current.as_ref().unwrap().record.clone();
        record.entries.retain(|entry| entry.section <= Section::Firewall.id());
        record.revision = 2;
        store.map.store(RECORD_KEYS[1], &postcard::to_allocvec(&record).unwrap()).await.unwrap();
        let (mut store, loaded) = open(store.into_flash()).await;
        assert_eq!((loaded.origin, loaded.revision), (Origin::Newest, 2));
        assert_eq!(*loaded.settings, tree(1));
        store.commit(3, &tree(3)).await.unwrap();
        assert_eq!(*open(store.into_flash()).await.1.settings, tree(3));
    });
}

#[test]
fn passwords_and_the_whole_phone_book_come_back_from_flash() {
    block_on(async {
        let account = |n: u8| {
            let numbers = format!("[\"{n}\"]");
            format!("{{\"domain\":\"op.example\",\"numbers\":{numbers},\"auth_password\":\"{n}-secret\"}}")
        };
        let entry = |n: usize| format!("{{\"name\":\"{:\u{fc}>31}\",\"number\":\"{n:048}\"}}", "");
        let accounts: Vec<_> = (0..crate::tree::telephony::ACCOUNTS as u8).map(account).collect();
        let book: Vec<_> = (0..crate::tree::telephony::PHONE_BOOK).map(entry).collect();
        let (accounts, book) = (accounts.join(","), book.join(","));
        let text = format!("{{\"telephony\":{{\"accounts\":[{accounts}],\"phone_book\":[{book}]}}}}");
        let mut settings = *crate::json::import(&text).unwrap();
        let mut store = SettingsStore::open(FakeFlash::new(32), SETTINGS_RANGE).await.unwrap();
        store.load().await.unwrap();
        for revision in 1..12 {
            settings.telephony.inter_digit_seconds = revision as u8 + 2;
            settings.telephony.phone_book[0].ring = revision as u8 % 7;
            store.commit(revision, &settings).await.unwrap();
        }
        let mut store = SettingsStore::open(store.into_flash(), SETTINGS_RANGE).await.unwrap();
        let loaded = store.load().await.unwrap();
        assert_eq!(*loaded.settings, settings);
        assert_eq!(loaded.settings.telephony.accounts[3].auth_password.reveal(), "3-secret");
    });
}

#[test]
fn the_biggest_tree_fits() {
    block_on(async {
        let mut biggest = Settings::default();
        for n in 0..crate::tree::RESERVATIONS as u8 {
            let name = Text::lossy(&"x".repeat(63));
            let mac = MacAddress([2, 0, 0, 0, 0, n]);
            biggest
                .reservations
                .push(Reservation { mac, address: Ipv4Addr::new(192, 168, 77, n), name })
                .unwrap();
        }
        let (mut store, _) = open(FakeFlash::new(5)).await;
        for revision in 1..20 {
            biggest.reservations[0].mac = MacAddress([2, 0, 0, 0, 1, revision as u8]);
            store.commit(revision, &biggest).await.unwrap();
        }
        let (_, loaded) = open(store.into_flash()).await;
        assert_eq!(*loaded.settings, biggest);
    });
}

impl SettingsStore<FakeFlash> {
    fn map_flash(&mut self) -> &mut FakeFlash {
        self.map.flash()
    }
}

const LEASES: Range<u32> = 0..6 * 4096;

async fn open_leases(flash: FakeFlash) -> LeaseStore<FakeFlash> {
    LeaseStore::open(flash, LEASES, 60).await.unwrap()
}

fn model_of(store: &LeaseStore<FakeFlash>) -> HashMap<Ipv4Addr, Vec<u8>> {
    store.records().map(|(address, record)| (address, record.to_vec())).collect()
}

/// One random change to both.
async fn random_change(
    random: &mut Random,
    store: &mut LeaseStore<FakeFlash>,
    model: &mut HashMap<Ipv4Addr, Vec<u8>>,
) -> Result<(), StoreError> {
    let address = Ipv4Addr::new(10, 0, 0, random.below(80) as u8);
    if random.below(5) == 0 {
        model.remove(&address);
        return store.remove(address).await;
    }
    let mut record = std::vec![0; random.below(120) as usize];
    random.fill(&mut record);
    match store.put(address, &record).await {
        Err(StoreError::Full) => assert!(model.len() == 60 && !model.contains_key(&address)),
        Ok(()) => drop(model.insert(address, record)),
        Err(error) => {
            model.insert(address, record);
            return Err(error);
        }
    }
    Ok(())
}

#[test]
fn the_lease_store_is_a_map_whatever_the_steps() {
    for seed in 0..6 {
        block_on(async {
            let mut random = Random::new(Seed::from_number(seed));
            let mut store = open_leases(FakeFlash::new(6)).await;
            let mut model = HashMap::new();
            for step in 0..800 {
                random_change(&mut random, &mut store, &mut model).await.unwrap();
                if random.below(20) == 0 {
                    store = open_leases(store.into_flash()).await;
                }
                assert_eq!(model_of(&store), model, "seed {seed}, step {step}");
            }
            assert_eq!(store.into_flash().rewritten(), 0);
        });
    }
}

#[test]
fn power_cut_at_any_step_of_a_lease_write_leaves_the_old_or_the_new_record() {
    let mut cases = 0;
    block_on(async {
        for seed in 0..2 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut store = open_leases(FakeFlash::new(6)).await;
            let mut model = HashMap::new();
            let mut erasing = 0;
            while erasing < 3 {
                let before = store.into_flash();
                let erased: u32 = before.wear().iter().sum();
                let start = before.steps();
                store = open_leases(before.clone()).await;
                let old = model.clone();
                let same = random.clone();
                random_change(&mut random, &mut store, &mut model).await.unwrap();
                let flash = store.into_flash();
                let steps = flash.steps() - start;
                let erases = flash.wear().iter().sum::<u32>() > erased;
                erasing += u32::from(erases);
                store = open_leases(flash).await;
                if !erases && random.below(40) != 0 {
                    continue;
                }
                for tear in TEARS {
                    for after in 0..steps {
                        let mut cut_flash = before.clone();
                        cut_flash.cut_after(Cut { after, tear });
                        let mut cut_store = open_leases(cut_flash).await;
                        let mut ignored = old.clone();
                        let change = random_change(&mut same.clone(), &mut cut_store, &mut ignored).await;
                        assert!(change.is_err());
                        let mut flash = cut_store.into_flash();
                        flash.power_on();
                        let mut found = open_leases(flash).await;
                        let now = model_of(&found);
                        assert!(now == old || now == model, "seed {seed}, step {after} of {steps}, {tear:?}");
                        found.put(Ipv4Addr::new(10, 0, 0, 200), b"").await.ok();
                        cases += 1;
                    }
                }
            }
        }
    });
    assert!(cases > 3000, "{cases}");
}

#[test]
fn what_is_already_there_is_not_written_again() {
    block_on(async {
        let mut store = open_leases(FakeFlash::new(6)).await;
        let address = Ipv4Addr::new(10, 0, 0, 1);
        store.put(address, b"lease").await.unwrap();
        let steps = store.map_flash().steps();
        for _ in 0..1000 {
            store.put(address, b"lease").await.unwrap();
            store.remove(Ipv4Addr::new(10, 0, 0, 2)).await.unwrap();
        }
        assert_eq!(store.map_flash().steps(), steps);
        assert_eq!(store.counters().of(lease_store::LeaseEvent::Unchanged), 1000);
    });
}

impl LeaseStore<FakeFlash> {
    fn map_flash(&mut self) -> &mut FakeFlash {
        self.map.flash()
    }
}
