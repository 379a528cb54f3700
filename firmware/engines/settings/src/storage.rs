//! The tree in flash: whole or not at all, whenever the power goes.
//!
//! The tree is stored in sections, each as postcard with a version, cut into pieces of [`PIECE`] bytes. A change writes
//! the sections that differ to places no record points to, and then one *record* that names every section's place,
//! length and checksum. The record is the commit: before it the old tree is in force, after it the new one. Two records
//! are kept; the newest whose sections are all intact wins. A section this firmware does not know, or knows only in an
//! older version, is carried from record to record until the household changes it.
//!
//! ```text
//!  record (revision 8) ── system ─► place 0      record (revision 7, still there) ── system ─► place 0
//!                     └── lan ────► place 1                                      └── lan ────► place 0
//! ```
//!
//! Does not validate: only valid trees are written ([`crate::trial`]).

pub mod flash_map;
mod lease_store;
mod section;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use dialtone_base::counted_reasons;
use dialtone_base::counter::Counters;
use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use crate::tree::Settings;

pub use flash_map::{FlashMap, StoreError};
pub use lease_store::{LeaseEvent, LeaseStore};
use section::Section;

/// Where the settings live in a flash of 1 MiB.
pub const SETTINGS_RANGE: Range<u32> = 0..0x2_0000;
/// Where the leases live in a flash of 1 MiB.
pub const LEASES_RANGE: Range<u32> = 0x2_0000..0x6_0000;
/// Where the call log lives in a flash of 1 MiB.
pub const CALLS_RANGE: Range<u32> = 0x6_0000..0x7_0000;

/// The settings in their range of flash.
pub struct SettingsStore<F: NorFlash> {
    map: FlashMap<F>,
    current: Option<Current>,
    counters: Counters<StoreEvent, { StoreEvent::COUNT }>,
}

/// What a start found.
#[derive(Debug)]
pub struct Loaded {
    /// The tree to use.
    pub settings: Box<Settings>,
    /// Its revision, 0 for defaults that were never written.
    pub revision: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// Sections written by newer firmware: kept, but not in force here.
    pub newer_sections: usize,
}

/// Where the tree comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Flash held nothing yet: factory settings.
    FirstStart,
    /// The newest revision.
    Newest,
    /// The newest revision was damaged; this is the one before.
    LastGood,
    /// Flash held settings, none of them intact: factory settings.
    Damaged,
}

counted_reasons! {
    /// What the store had to live with.
    pub enum StoreEvent {
        /// A change was written.
        Committed = "committed",
        /// A change could not be written.
        CommitFailed = "commit-failed",
        /// A record pointed to a section that is gone or spoiled.
        DamagedRevision = "damaged-revision",
        /// The whole range could not be read and was erased.
        Reformatted = "reformatted",
        /// A section of newer firmware was found and kept.
        NewerSection = "newer-section",
    }
}

/// The record in force and the key it sits under.
struct Current {
    key: u16,
    record: Record,
}

/// The commit: every section of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u8,
    revision: u32,
    entries: heapless::Vec<Entry, ENTRIES>,
}

/// Where one section of a revision is, and how to tell that it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    section: u8,
    version: u8,
    place: u8,
    length: u16,
    checksum: u32,
}

impl<F: NorFlash> SettingsStore<F> {
    /// Looks at `range` of `flash` and repairs what a power cut left half done.
    ///
    /// # Errors
    /// When the flash itself fails.
    pub async fn open(flash: F, range: Range<u32>) -> Result<Self, StoreError> {
        let map = FlashMap::open(flash, range).await?;
        let mut counters = Counters::new();
        counters.add(StoreEvent::Reformatted, u64::from(map.reformatted()));
        Ok(Self { map, current: None, counters })
    }

    /// Reads the newest intact tree; factory settings when there is none. To be called once before
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// When the flash itself fails.
    pub async fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut records = Vec::new();
        let mut spoiled = self.map.reformatted() > 0;
        for key in RECORD_KEYS {
            let Some(bytes) = self.map.fetch(key).await? else { continue };
            match postcard::from_bytes::<Record>(&bytes) {
                Ok(record) if record.format == FORMAT => records.push(Current { key, record }),
                _ => spoiled = true,
            }
        }
        records.sort_by_key(|current| core::cmp::Reverse(current.record.revision));
        let newest = records.first().map_or(0, |current| current.record.revision);
        for current in records {
            let revision = current.record.revision;
            let mut settings = Box::new(Settings::default());
            match self.read_sections(&current.record, &mut settings).await? {
                Some(newer_sections) => {
                    self.counters.add(StoreEvent::NewerSection, newer_sections as u64);
                    let intact = revision == newest && !spoiled;
                    let origin = if intact { Origin::Newest } else { Origin::LastGood };
                    self.current = Some(current);
                    return Ok(Loaded { settings, revision, origin, newer_sections });
                }
                None => {
                    spoiled = true;
                    self.counters.count(StoreEvent::DamagedRevision);
                }
            }
        }
        let origin = if spoiled { Origin::Damaged } else { Origin::FirstStart };
        Ok(Loaded { settings: Box::default(), revision: 0, origin, newer_sections: 0 })
    }

    /// Writes `settings` as the tree in force under `revision`, which must be higher than the last. After an error the
    /// old tree is still the one in flash.
    ///
    /// # Errors
    /// When the flash fails or is full.
    pub async fn commit(&mut self, revision: u32, settings: &Settings) -> Result<(), StoreError> {
        let result = self.write(revision, settings).await;
        let event = if result.is_ok() { StoreEvent::Committed } else { StoreEvent::CommitFailed };
        self.counters.count(event);
        result
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// When the flash fails.
    pub async fn erase(&mut self) -> Result<(), StoreError> {
        self.current = None;
        self.map.erase().await
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters<StoreEvent, { StoreEvent::COUNT }> {
        &self.counters
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.into_flash()
    }

    async fn write(&mut self, revision: u32, settings: &Settings) -> Result<(), StoreError> {
        let old = self.current.as_ref().map(|current| current.record.entries.clone()).unwrap_or_default();
        let mut entries = heapless::Vec::new();
        let mut bytes = Vec::new();
        for section in Section::ALL {
            let before = old.iter().find(|entry| entry.section == section.id()).copied();
            if before.is_some_and(|entry| entry.version > section.version()) && section.is_default(settings) {
                // Newer firmware wrote it and nobody touched it since: kept. `before` was just found.
                entries.extend(before);
                continue;
            }
            section.encode(settings, &mut bytes).ok_or(StoreError::Full)?;
            let entry = Entry {
                section: section.id(),
                version: section.version(),
                place: before.map_or(0, |entry| entry.place ^ 1),
                length: u16::try_from(bytes.len()).map_err(|_| StoreError::Full)?,
                checksum: checksum(&bytes),
            };
            let unchanged = match before {
                Some(before) if (Entry { place: before.place, ..entry }) == before => {
                    // Equal checksums are not yet equal bytes.
                    self.read_section(&before).await?.is_some_and(|stored| stored == bytes)
                }
                _ => false,
            };
            if unchanged {
                entries.extend(before);
                continue;
            }
            for (index, piece) in bytes.chunks(PIECE).enumerate() {
                self.map.store(piece_key(&entry, index), piece).await?;
            }
            // There is room: ENTRIES is more than the known sections.
            let _ = entries.push(entry);
        }
        for entry in old.iter().filter(|entry| Section::ALL.iter().all(|known| known.id() != entry.section)) {
            // A section of newer firmware. There is room: it came out of a record of the same size.
            let _ = entries.push(*entry);
        }
        let [even, odd] = RECORD_KEYS;
        let key = if self.current.as_ref().is_some_and(|current| current.key == even) { odd } else { even };
        let record = Record { format: FORMAT, revision, entries };
        let bytes = postcard::to_allocvec(&record).map_err(|_| StoreError::Full)?;
        self.map.store(key, &bytes).await?;
        self.current = Some(Current { key, record });
        Ok(())
    }

    /// Fills `settings`; `None` when a section is not whole, otherwise how many sections belong to newer firmware.
    async fn read_sections(
        &mut self,
        record: &Record,
        settings: &mut Settings,
    ) -> Result<Option<usize>, StoreError> {
        let mut newer = 0;
        for entry in &record.entries {
            let known = Section::ALL.iter().find(|section| section.id() == entry.section);
            let Some(section) = known.filter(|section| entry.version <= section.version()) else {
                newer += 1;
                continue;
            };
            let Some(bytes) = self.read_section(entry).await? else { return Ok(None) };
            if section.decode(entry.version, &bytes, settings).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(newer))
    }

    /// The bytes of a section, `None` when they are not those the entry was made for.
    async fn read_section(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
        let length = usize::from(entry.length);
        let mut bytes = Vec::with_capacity(length);
        let mut index = 0;
        while bytes.len() < length {
            match self.map.fetch(piece_key(entry, index)).await? {
                Some(piece) if !piece.is_empty() => bytes.extend_from_slice(&piece),
                _ => return Ok(None),
            }
            index += 1;
        }
        Ok((bytes.len() == length && checksum(&bytes) == entry.checksum).then_some(bytes))
    }
}

/// Two places per section, up to 128 pieces each.
fn piece_key(entry: &Entry, index: usize) -> u16 {
    u16::from(entry.section) << 8 | u16::from(entry.place & 1) << 7 | (index as u16 & 0x7f)
}

/// CRC-32 (ISO 3309), bit by bit: a tree is a few kilobytes and written by hand.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
        }
    }
    !crc
}

/// Bytes of a section stored under one key; a page holds three of them.
pub const PIECE: usize = 1024;

const FORMAT: u8 = 1;
const ENTRIES: usize = 24;
/// No section has number 0xff.
const RECORD_KEYS: [u16; 2] = [0xff00, 0xff01];
