//! Numbered values in a range of flash that outlive any power cut.
//!
//! `sequential-storage`'s map underneath: values are appended, pages are used in turn, the newest value of a key wins.
//! Added here: pages that a power cut left half erased are found on opening and erased again, and a range that cannot
//! be read at all is erased as a whole, counted, and empty.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::cache::key_pointers::HeapKeyPointers;
use sequential_storage::cache::page_pointers::HeapPagePointers;
use sequential_storage::cache::page_states::HeapPageStates;
use sequential_storage::map::{MapConfig, MapStorage};

/// Values by number in a range of flash.
pub struct FlashMap<F: NorFlash> {
    map: MapStorage<u16, F, MapCache>,
    buffer: Box<[u8]>,
    reformatted: u32,
}

/// Why flash did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The chip, or the file behind it, failed or lost power.
    Device,
    /// No room, even after moving everything together.
    Full,
    /// What is in it makes no sense, and repair did not help.
    Corrupted,
    /// The range does not lie on whole pages of the flash, or is shorter than three of them.
    BadRange,
}

impl<F: NorFlash> FlashMap<F> {
    /// Opens `range`, which must be whole pages, at least three.
    ///
    /// # Errors
    /// [`StoreError::Device`] and [`StoreError::BadRange`]; never for what the flash holds.
    pub async fn open(mut flash: F, range: Range<u32>) -> Result<Self, StoreError> {
        let page = F::ERASE_SIZE as u32;
        let config = MapConfig::try_new(range.clone()).map_err(|_| StoreError::BadRange)?;
        if range.end as usize > flash.capacity() || (range.end - range.start) / page < 3 {
            return Err(StoreError::BadRange);
        }
        finish_interrupted(&mut flash, range.clone()).await?;
        let pages = ((range.end - range.start) / page) as usize;
        let cache = Cache::new(
            HeapPageStates::new(pages),
            HeapPagePointers::new(pages),
            HeapKeyPointers::new(CACHED_KEYS),
        );
        let mut this = Self {
            map: MapStorage::new(flash, config, cache),
            buffer: vec![0; F::ERASE_SIZE].into_boxed_slice(),
            reformatted: 0,
        };
        // Anything that cannot even be searched is beyond repair.
        if let Err(StoreError::Corrupted) = this.try_fetch(u16::MAX).await {
            this.reformat().await?;
        }
        Ok(this)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError::Device`]. A range beyond repair is erased and therefore empty.
    pub async fn fetch(&mut self, key: u16) -> Result<Option<Vec<u8>>, StoreError> {
        match self.try_fetch(key).await {
            Err(StoreError::Corrupted) => {
                self.reformat().await?;
                Ok(None)
            }
            other => other,
        }
    }

    /// Shows `visit` every value, older values of a key before newer ones.
    ///
    /// # Errors
    /// [`StoreError::Device`], [`StoreError::Corrupted`].
    pub async fn for_each(&mut self, mut visit: impl FnMut(u16, &[u8])) -> Result<(), StoreError> {
        let mut items = self.map.fetch_all_items(&mut self.buffer).await.map_err(|error| plain(&error))?;
        while let Some((key, value)) =
            items.next::<&[u8]>(&mut self.buffer).await.map_err(|error| plain(&error))?
        {
            visit(key, value);
        }
        Ok(())
    }

    /// Sets the value of `key`: after a power cut it has either the old value or this one. At most a page less
    /// overhead, about 4000 bytes.
    ///
    /// # Errors
    /// [`StoreError::Device`], [`StoreError::Full`], [`StoreError::Corrupted`].
    pub async fn store(&mut self, key: u16, value: &[u8]) -> Result<(), StoreError> {
        self.map.store_item(&mut self.buffer, &key, &value).await.map_err(|error| plain(&error))
    }

    /// Empties the range.
    ///
    /// # Errors
    /// [`StoreError::Device`].
    pub async fn erase(&mut self) -> Result<(), StoreError> {
        self.map.erase_all().await.map_err(|error| plain(&error))?;
        // Starts over with an empty cache: what it remembers is gone.
        let _ = self.try_fetch(u16::MAX).await;
        Ok(())
    }

    /// How often the range had to be erased because it could not be read.
    pub fn reformatted(&self) -> u32 {
        self.reformatted
    }

    /// The flash underneath, for tests that spoil it.
    #[cfg(test)]
    pub(super) fn flash(&mut self) -> &mut F {
        self.map.flash()
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.map.destroy().0
    }

    async fn try_fetch(&mut self, key: u16) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.map.fetch_item::<&[u8]>(&mut self.buffer, &key).await;
        value.map(|value| value.map(Vec::from)).map_err(|error| plain(&error))
    }

    async fn reformat(&mut self) -> Result<(), StoreError> {
        self.reformatted += 1;
        self.erase().await
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "the flash failed",
            Self::Full => "the flash has no room left",
            Self::Corrupted => "the flash is damaged beyond repair",
            Self::BadRange => "the flash is too small",
        })
    }
}

impl core::error::Error for StoreError {}

type MapCache = Cache<HeapPageStates, HeapPagePointers, HeapKeyPointers<u16>, u16>;

/// How a page begins and ends, which is all the map below looks at to know its state.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Markers {
    start: Marker,
    end: Marker,
}

/// The first or last word of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Blank,
    Written,
    /// Neither, and taken for blank.
    TornBlank,
    /// Neither, and taken for written.
    TornWritten,
}

/// Finishes what a power cut interrupted and what the map below would take for something else:
///
/// - a page that looks erased but is not blank was being erased: erased again;
/// - a page with torn markers, or one in use, right behind a page in use was being erased after its values had moved
///   to the one before: erased again;
/// - any other torn marker was being written: written in full, so that a torn marker never grows old.
async fn finish_interrupted<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Result<(), StoreError> {
    let page = F::ERASE_SIZE as u32;
    let word = F::WRITE_SIZE as u32;
    let pages: Vec<u32> = range.step_by(F::ERASE_SIZE).collect();
    let mut buffer = vec![0; F::ERASE_SIZE];
    let mut states = Vec::with_capacity(pages.len());
    for start in &pages {
        flash.read(*start, &mut buffer).await.map_err(|_| StoreError::Device)?;
        let mut state = Markers::of::<F>(&buffer);
        if state.looks_erased() && buffer.iter().any(|byte| *byte != 0xff) {
            flash.erase(*start, *start + page).await.map_err(|_| StoreError::Device)?;
            state = Markers { start: Marker::Blank, end: Marker::Blank };
        }
        states.push(state);
    }
    let in_use = |index: usize| states.get(index).is_some_and(|state| state.looks_in_use());
    for (index, (start, state)) in pages.iter().zip(&states).enumerate() {
        let before = index.checked_sub(1).unwrap_or(pages.len() - 1);
        if in_use(before) && (state.is_torn() || in_use(index)) {
            flash.erase(*start, *start + page).await.map_err(|_| StoreError::Device)?;
            // Only one page can have been under way.
            break;
        }
        for (marker, offset) in [(state.start, *start), (state.end, *start + page - word)] {
            if marker.is_torn() {
                let zeros = buffer.get_mut(..F::WRITE_SIZE).unwrap_or_default();
                zeros.fill(0);
                flash.write(offset, zeros).await.map_err(|_| StoreError::Device)?;
            }
        }
    }
    Ok(())
}

impl Markers {
    fn of<F: NorFlash>(page: &[u8]) -> Self {
        let start = page.get(..F::WRITE_SIZE).unwrap_or_default();
        let end = page.get(page.len().saturating_sub(F::WRITE_SIZE)..).unwrap_or_default();
        // The map below looks at the outermost byte and calls it written when half its bits are.
        Self { start: Marker::of(start, start.first()), end: Marker::of(end, end.last()) }
    }

    fn looks_erased(self) -> bool {
        !self.start.looks_written() && !self.end.looks_written()
    }

    fn looks_in_use(self) -> bool {
        self.start.looks_written() && !self.end.looks_written()
    }

    fn is_torn(self) -> bool {
        self.start.is_torn() || self.end.is_torn()
    }
}

impl Marker {
    fn of(word: &[u8], deciding: Option<&u8>) -> Self {
        let written = deciding.is_some_and(|byte| byte.count_zeros() >= 4);
        match word {
            _ if word.iter().all(|byte| *byte == 0) => Self::Written,
            _ if word.iter().all(|byte| *byte == 0xff) => Self::Blank,
            _ if written => Self::TornWritten,
            _ => Self::TornBlank,
        }
    }

    fn looks_written(self) -> bool {
        matches!(self, Self::Written | Self::TornWritten)
    }

    fn is_torn(self) -> bool {
        matches!(self, Self::TornBlank | Self::TornWritten)
    }
}

fn plain<E>(error: &Error<E>) -> StoreError {
    match error {
        Error::Storage { .. } => StoreError::Device,
        Error::FullStorage | Error::ItemTooBig => StoreError::Full,
        _ => StoreError::Corrupted,
    }
}

const CACHED_KEYS: usize = 64;
