//! Between the DHCP service, which never waits for flash, and the flash, which takes its time.
//!
//! The service hands over changes; [`run`], a task of its own, reads what flash remembers at start and writes the
//! changes one after the other. When the store is full the memory of a lease that has ended makes room. A flash that
//! fails costs the memory of addresses, never the addresses. What the operator gave us on the WAN is kept beside the
//! leases, under an address nobody has ([`WAN_KEY`]).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use dialtone_base::event::Event;
use dialtone_dhcp4::client::Binding;
use dialtone_dhcp4::server::LeaseRecord;
use dialtone_settings::storage::{LEASES_RANGE, LeaseStore, StoreError};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embedded_storage_async::nor_flash::NorFlash;

use super::LEASES;
use crate::state::RouterState;

/// Longest lease record in bytes.
pub const RECORD: usize = 160;
/// Records kept in [`LEASES_RANGE`]: one server for the household, one for guests, and the WAN's address.
pub const KEPT: usize = 2 * LEASES + 1;
/// The key of what the operator gave us.
pub const WAN_KEY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Changes on their way to flash, and what flash remembered on its way to the service.
pub struct LeaseJournal {
    pub(super) restored: Signal<CriticalSectionRawMutex, Vec<LeaseRecord>>,
    pub(crate) wan_restored: Signal<CriticalSectionRawMutex, Option<Binding>>,
    pub(crate) writes: Channel<CriticalSectionRawMutex, LeaseWrite, 16>,
}

/// One change to what flash remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseWrite {
    /// The key.
    pub address: Ipv4Addr,
    /// The value, opaque to flash; `None` to forget the address.
    pub record: Option<heapless::Vec<u8, RECORD>>,
}

impl LeaseWrite {
    /// What the operator gave us, or that it is ours no more.
    pub fn wan(binding: Option<&Binding>) -> Self {
        let mut bytes = [0; RECORD];
        // The longest binding fits, which a test proves.
        let record = binding
            .and_then(|binding| postcard::to_slice(binding, &mut bytes).ok())
            .and_then(|used| heapless::Vec::from_slice(used).ok());
        Self { address: WAN_KEY, record }
    }
}

impl LeaseJournal {
    /// Nothing restored, nothing to write.
    pub const fn new() -> Self {
        Self { restored: Signal::new(), wan_restored: Signal::new(), writes: Channel::new() }
    }

    /// What flash remembers by key, be it nothing; to be called once. Records that cannot be read are skipped.
    pub fn restore<'a>(&self, records: impl Iterator<Item = (Ipv4Addr, &'a [u8])>) {
        let (mut leases, mut wan) = (Vec::new(), None);
        for (key, bytes) in records {
            match key {
                WAN_KEY => wan = postcard::from_bytes(bytes).ok(),
                _ => leases.extend(postcard::from_bytes::<LeaseRecord>(bytes)),
            }
        }
        self.restored.signal(leases);
        self.wan_restored.signal(wan);
    }

    /// The next change to write.
    pub async fn next_write(&self) -> LeaseWrite {
        self.writes.receive().await
    }
}

impl Default for LeaseJournal {
    fn default() -> Self {
        Self::new()
    }
}

/// Restores what `flash` remembers, then writes every change. Never ends.
pub async fn run<F: NorFlash>(flash: F, journal: &LeaseJournal, state: &RouterState) -> ! {
    let mut store = LeaseStore::open(flash, LEASES_RANGE, KEPT).await.ok();
    match &store {
        Some(store) => journal.restore(store.records()),
        None => journal.restore(core::iter::empty()),
    }
    let mut told = false;
    loop {
        let write = journal.next_write().await;
        let kept = match &mut store {
            Some(store) => write_to(store, &write).await.is_ok(),
            None => false,
        };
        if !kept && !told {
            state.note(Event::FlashTrouble {
                what: "does not keep leases: a restart will forget who has which address",
            });
        }
        told = !kept;
    }
}

async fn write_to<F: NorFlash>(store: &mut LeaseStore<F>, write: &LeaseWrite) -> Result<(), StoreError> {
    let Some(record) = &write.record else { return store.remove(write.address).await };
    match store.put(write.address, record).await {
        Err(StoreError::Full) => {
            let ended = store.records().find(|(key, bytes)| {
                *key != WAN_KEY
                    && postcard::from_bytes::<LeaseRecord>(bytes).is_ok_and(|record| record.remaining == 0)
            });
            let Some((address, _)) = ended else { return Err(StoreError::Full) };
            store.remove(address).await?;
            store.put(write.address, record).await
        }
        result => result,
    }
}
