//! Leases in their own range of flash, so that addresses stay the same over a reboot.
//!
//! A bounded map from an address to a few bytes that only the DHCP server understands. What is already there is not
//! written again, and freed slots are used again, so wear follows changes and the number of keys stays bounded. When a
//! renewal is worth writing is the DHCP server's decision.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;

use dialtone_base::counted_reasons;
use dialtone_base::counter::Counters;
use embedded_storage_async::nor_flash::NorFlash;

use super::flash_map::{FlashMap, StoreError};

/// Records by address.
pub struct LeaseStore<F: NorFlash> {
    pub(super) map: FlashMap<F>,
    slots: Vec<Slot>,
    counters: Counters<LeaseEvent, { LeaseEvent::COUNT }>,
}

counted_reasons! {
    /// What the lease store did.
    pub enum LeaseEvent {
        /// A record was written.
        Written = "written",
        /// A record was already there and not written again.
        Unchanged = "unchanged",
        /// A record was removed.
        Removed = "removed",
        /// No slot was free: the record is not kept.
        Full = "full",
        /// The flash failed.
        Failed = "failed",
        /// Something in the range was no record and was forgotten.
        Damaged = "damaged",
    }
}

#[derive(Clone, Default)]
struct Slot {
    address: Option<Ipv4Addr>,
    record: Vec<u8>,
}

impl<F: NorFlash> LeaseStore<F> {
    /// Longest record in bytes.
    pub const RECORD: usize = 200;

    /// Opens `range` of `flash` for up to `capacity` records and reads them all.
    ///
    /// # Errors
    /// When the flash itself fails, or the range is too small for `capacity` records.
    pub async fn open(flash: F, range: Range<u32>, capacity: usize) -> Result<Self, StoreError> {
        let pages = (range.end.saturating_sub(range.start)) as usize / F::ERASE_SIZE;
        // Records of full length must fit without the page that is kept free and the one that is being emptied.
        if capacity.div_ceil(F::ERASE_SIZE / (Self::RECORD + 16)) + 2 > pages || capacity > 0xfff0 {
            return Err(StoreError::BadRange);
        }
        let mut map = FlashMap::open(flash, range).await?;
        let mut counters = Counters::new();
        counters.add(LeaseEvent::Damaged, u64::from(map.reformatted()));
        let mut slots = vec![Slot::default(); capacity];
        map.for_each(|key, bytes| {
            let Some(slot) = slots.get_mut(usize::from(key)) else { return };
            *slot = match bytes.split_first_chunk::<4>() {
                Some((address, record)) => {
                    Slot { address: Some(Ipv4Addr::from(*address)), record: record.to_vec() }
                }
                None => Slot::default(),
            };
        })
        .await?;
        let mut this = Self { map, slots, counters };
        this.forget_twins();
        Ok(this)
    }

    /// Every record, in no order.
    pub fn records(&self) -> impl Iterator<Item = (Ipv4Addr, &[u8])> {
        self.slots.iter().filter_map(|slot| Some((slot.address?, slot.record.as_slice())))
    }

    /// Sets the record of `address`. After a power cut it has either the old record or this one.
    ///
    /// # Errors
    /// [`StoreError::Full`] when every slot is taken or the record is longer than [`Self::RECORD`]; otherwise when the
    /// flash fails.
    pub async fn put(&mut self, address: Ipv4Addr, record: &[u8]) -> Result<(), StoreError> {
        let free = || self.slots.iter().position(|slot| slot.address.is_none());
        let Some(index) = self.find(address).or_else(free).filter(|_| record.len() <= Self::RECORD) else {
            self.counters.count(LeaseEvent::Full);
            return Err(StoreError::Full);
        };
        let slot = Slot { address: Some(address), record: record.to_vec() };
        if self.slots.get(index).is_some_and(|old| old.address == slot.address && old.record == slot.record) {
            self.counters.count(LeaseEvent::Unchanged);
            return Ok(());
        }
        let mut bytes = address.octets().to_vec();
        bytes.extend_from_slice(record);
        self.write(index, &bytes, slot, LeaseEvent::Written).await
    }

    /// Forgets the record of `address`, if there is one.
    ///
    /// # Errors
    /// When the flash fails.
    pub async fn remove(&mut self, address: Ipv4Addr) -> Result<(), StoreError> {
        match self.find(address) {
            Some(index) => self.write(index, &[], Slot::default(), LeaseEvent::Removed).await,
            None => Ok(()),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters<LeaseEvent, { LeaseEvent::COUNT }> {
        &self.counters
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.into_flash()
    }

    fn find(&self, address: Ipv4Addr) -> Option<usize> {
        self.slots.iter().position(|slot| slot.address == Some(address))
    }

    /// Two slots for one address are nothing we wrote; the first is kept.
    fn forget_twins(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else { break };
            if slot.address.is_some_and(|address| self.find(address) != Some(index)) {
                self.counters.count(LeaseEvent::Damaged);
                if let Some(slot) = self.slots.get_mut(index) {
                    *slot = Slot::default();
                }
            }
        }
    }

    async fn write(
        &mut self,
        index: usize,
        bytes: &[u8],
        slot: Slot,
        event: LeaseEvent,
    ) -> Result<(), StoreError> {
        if let Err(error) = self.map.store(index as u16, bytes).await {
            self.counters.count(LeaseEvent::Failed);
            return Err(error);
        }
        if let Some(place) = self.slots.get_mut(index) {
            *place = slot;
        }
        self.counters.count(event);
        Ok(())
    }
}
