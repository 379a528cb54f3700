//! What strangers may feed the settings: files, paths and values, and flash full of anything.

use alloc::format;
use alloc::vec;
use core::convert::Infallible;
use core::pin::pin;
use core::task::{Context, Waker};

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::json;
use crate::storage::{LeaseStore, Origin, SettingsStore};
use crate::tree::Settings;
use crate::validate::validate;

/// Bytes of any kind as a settings file, as a path with a value, and as what flash holds.
pub fn fuzz(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        as_text(text);
    }
    if data.first().is_some_and(|byte| byte % 8 == 0) {
        block_on(as_flash(data));
    }
}

fn as_text(text: &str) {
    match json::import(text) {
        Ok(tree) => {
            assert!(validate(&tree).is_ok());
            assert_eq!(
                json::import_over(&tree, &json::export(&tree)),
                Ok(tree.clone()),
                "what was exported is imported"
            );
        }
        Err(refused) => {
            assert!(!refused.faults.is_empty());
            let _ = format!("{refused}");
        }
    }
    let tree = Settings::default();
    let (path, value) = text.split_once(' ').unwrap_or((text, ""));
    let _ = json::value_at(&tree, path);
    for changed in [json::with_value(&tree, path, value), json::without_value(&tree, path)].iter().flatten() {
        assert!(validate(changed).is_ok());
    }
    let _ = crate::fields::explain(path).count();
}

async fn as_flash(data: &[u8]) {
    const PAGES: usize = 4;
    let mut flash = Memory(vec![0xff; PAGES * Memory::ERASE_SIZE]);
    for (index, byte) in flash.0.iter_mut().enumerate() {
        let page = index / Memory::ERASE_SIZE;
        // Some pages full, some begun, some blank, as the first bytes say.
        let filled = data.get(page).map_or(0, |byte| usize::from(*byte) * 20);
        if index % Memory::ERASE_SIZE < filled {
            *byte = data.get(index % data.len().max(1)).copied().unwrap_or(0xff);
        }
    }
    let range = 0..(PAGES * Memory::ERASE_SIZE) as u32;
    let mut leases = flash.clone();
    if let Ok(mut store) = SettingsStore::open(&mut flash, range.clone()).await
        && let Ok(loaded) = store.load().await
    {
        assert!(loaded.origin != Origin::Newest || loaded.revision > 0);
        let mut tree = Settings::default();
        tree.wan.mtu = 1400;
        if store.commit(loaded.revision.saturating_add(1), &tree).await.is_ok() {
            drop(store);
            if let Ok(mut store) = SettingsStore::open(&mut flash, range.clone()).await {
                let loaded = store.load().await.map(|loaded| loaded.settings.wan.mtu);
                assert_eq!(loaded, Ok(1400), "what was committed is there after a restart");
            }
        }
    }
    if let Ok(mut store) = LeaseStore::open(&mut leases, range, 20).await {
        let address = core::net::Ipv4Addr::new(10, 0, 0, 1);
        if store.put(address, b"lease").await.is_ok() {
            assert!(store.records().any(|record| record == (address, b"lease".as_slice())));
        }
    }
}

/// Flash that never fails.
#[derive(Clone)]
struct Memory(vec::Vec<u8>);

#[derive(Debug)]
struct OutOfBounds;

impl From<Infallible> for OutOfBounds {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl NorFlashError for OutOfBounds {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl ErrorType for Memory {
    type Error = OutOfBounds;
}

impl Memory {
    fn part(&mut self, offset: u32, length: usize) -> Result<&mut [u8], OutOfBounds> {
        let offset = offset as usize;
        self.0.get_mut(offset..offset.saturating_add(length)).ok_or(OutOfBounds)
    }
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), OutOfBounds> {
        bytes.copy_from_slice(self.part(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), OutOfBounds> {
        self.part(from, to.saturating_sub(from) as usize)?.fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        for (old, new) in self.part(offset, bytes.len())?.iter_mut().zip(bytes) {
            *old &= new;
        }
        Ok(())
    }
}

/// Memory never makes anybody wait.
fn block_on(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use dialtone_base::random::{Random, Seed};

    use super::*;

    #[test]
    fn twenty_thousand_random_and_mutated_inputs_do_no_harm() {
        let mut random = Random::new(Seed::from_number(11));
        let file = json::export(&Settings::default());
        let words = [
            "lan.dhcp.first ",
            "reservations.+ {\"mac\":",
            "dns.upstreams 1.1.1.1",
            "{\"lan\":{",
            "null",
            "[1,",
        ];
        for _ in 0..20_000 {
            let mut data: Vec<u8> = match random.below(4) {
                0 => (0..random.below(300)).map(|_| random.next_u32() as u8).collect(),
                1 => words.iter().flat_map(|word| word.bytes()).skip(random.below(60) as usize).collect(),
                _ => file.bytes().collect(),
            };
            for _ in 0..random.below(6) {
                if data.is_empty() {
                    break;
                }
                let place = random.below(data.len() as u32) as usize;
                match random.below(4) {
                    0 => data[place] = b"{}[]\",:0-9ae.\\ \n"[random.below(16) as usize],
                    1 => drop(data.remove(place)),
                    2 => data.truncate(place),
                    _ => data[place] ^= 1 << random.below(8),
                }
            }
            fuzz(&data);
        }
    }
}
