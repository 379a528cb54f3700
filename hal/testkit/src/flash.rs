//! NOR flash in memory that loses power at a chosen step.
//!
//! Programming clears bits and never sets them; erasing a page sets them all. A *step* is one word programmed or one
//! page erased. [`FakeFlash::cut_after`] takes the power away in the middle of a chosen step; from then on every
//! operation fails until [`FakeFlash::power_on`]. Wear and words programmed twice are counted. Reads never disturb,
//! and cells do not age: a page may be erased for ever.

use dialtone_base::random::{Random, Seed};
use dialtone_hal_api::flash::{ERASE_SIZE, FlashError, WRITE_SIZE};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// NOR flash of some pages of [`ERASE_SIZE`] bytes.
#[derive(Clone)]
pub struct FakeFlash {
    bytes: Vec<u8>,
    erases: Vec<u32>,
    steps: u64,
    reads: u64,
    programmed: u64,
    rewritten: u64,
    cut: Option<Cut>,
    dark: bool,
}

/// When and how the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Steps that still complete.
    pub after: u64,
    /// What becomes of the step after them.
    pub tear: Tear,
}

/// What a step leaves behind when the power goes during it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing of it happened.
    Nothing,
    /// Its first half: two bytes of the word, or the lower half of the page.
    FirstHalf,
    /// Its second half.
    SecondHalf,
    /// Each bit that was to change did so with one chance in two; the number is the seed.
    Bits(u64),
    /// All of it, but nobody was told.
    Everything,
}

impl FakeFlash {
    /// Erased flash of `pages` pages.
    pub fn new(pages: usize) -> Self {
        Self::from_bytes(vec![0xff; pages * ERASE_SIZE])
    }

    /// Flash that holds `bytes`, filled up to whole pages with 0xff.
    pub fn from_bytes(mut bytes: Vec<u8>) -> Self {
        bytes.resize(bytes.len().next_multiple_of(ERASE_SIZE), 0xff);
        let erases = vec![0; bytes.len() / ERASE_SIZE];
        Self { bytes, erases, steps: 0, reads: 0, programmed: 0, rewritten: 0, cut: None, dark: false }
    }

    /// Takes the power away as `cut` says, counted from now.
    pub fn cut_after(&mut self, cut: Cut) {
        self.cut = Some(Cut { after: self.steps + cut.after, ..cut });
    }

    /// The power is back; what was cut stays cut.
    pub fn power_on(&mut self) {
        self.cut = None;
        self.dark = false;
    }

    /// Whether the power went.
    pub fn is_dark(&self) -> bool {
        self.dark
    }

    /// Words programmed and pages erased so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Read operations so far.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Bytes programmed so far.
    pub fn programmed(&self) -> u64 {
        self.programmed
    }

    /// Words programmed that were not erased before. Some chips forbid it.
    pub fn rewritten(&self) -> u64 {
        self.rewritten
    }

    /// How often each page was erased.
    pub fn wear(&self) -> &[u32] {
        &self.erases
    }

    /// Everything in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Everything in it, to spoil.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Whether this step happens in full; otherwise how it is torn.
    fn step(&mut self) -> Result<(), Option<Tear>> {
        if self.dark {
            return Err(None);
        }
        match self.cut {
            Some(cut) if self.steps >= cut.after => {
                self.dark = true;
                Err(Some(cut.tear))
            }
            _ => {
                self.steps += 1;
                Ok(())
            }
        }
    }

    fn check(&self, offset: u32, length: usize, unit: usize) -> Result<usize, FlashError> {
        let offset = offset as usize;
        if !offset.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(FlashError::NotAligned);
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.bytes.len() => Ok(offset),
            _ => Err(FlashError::OutOfBounds),
        }
    }
}

impl Tear {
    /// Turns `old` into what is left of it on its way to `new`.
    fn apply(self, old: &mut [u8], new: &[u8]) {
        let half = old.len() / 2;
        match self {
            Self::Nothing => {}
            Self::FirstHalf => old[..half].copy_from_slice(&new[..half]),
            Self::SecondHalf => old[half..].copy_from_slice(&new[half..]),
            Self::Everything => old.copy_from_slice(new),
            Self::Bits(seed) => {
                let mut random = Random::new(Seed::from_number(seed));
                for (old, new) in old.iter_mut().zip(new) {
                    *old ^= (*old ^ *new) & random.next_u32() as u8;
                }
            }
        }
    }
}

impl ErrorType for FakeFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FakeFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if self.dark {
            return Err(FlashError::Device);
        }
        self.reads += 1;
        let offset = self.check(offset, bytes.len(), 1)?;
        bytes.copy_from_slice(&self.bytes[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for FakeFlash {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)? as usize;
        let from = self.check(from, length, ERASE_SIZE)?;
        for start in (from..from + length).step_by(ERASE_SIZE) {
            let torn = self.step();
            let page = &mut self.bytes[start..start + ERASE_SIZE];
            match torn {
                Ok(()) => page.fill(0xff),
                Err(tear) => {
                    tear.unwrap_or(Tear::Nothing).apply(page, &[0xff; ERASE_SIZE]);
                    return Err(FlashError::Device);
                }
            }
            self.erases[start / ERASE_SIZE] += 1;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let offset = self.check(offset, bytes.len(), WRITE_SIZE)?;
        for (index, data) in bytes.chunks(WRITE_SIZE).enumerate() {
            let torn = self.step();
            let start = offset + index * WRITE_SIZE;
            let word = &mut self.bytes[start..start + WRITE_SIZE];
            let mut programmed = [0; WRITE_SIZE];
            for (byte, (old, new)) in programmed.iter_mut().zip(word.iter().zip(data)) {
                *byte = old & new;
            }
            self.rewritten += u64::from(word.iter().any(|byte| *byte != 0xff));
            match torn {
                Ok(()) => word.copy_from_slice(&programmed),
                Err(tear) => {
                    tear.unwrap_or(Tear::Nothing).apply(word, &programmed);
                    return Err(FlashError::Device);
                }
            }
            self.programmed += WRITE_SIZE as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;

    use super::*;

    #[test]
    fn bits_only_clear_until_the_page_is_erased() {
        block_on(async {
            let mut flash = FakeFlash::new(2);
            flash.write(8, &[0xf0; 4]).await.unwrap();
            flash.write(8, &[0x3c; 4]).await.unwrap();
            assert_eq!(flash.bytes()[8..13], [0x30, 0x30, 0x30, 0x30, 0xff]);
            assert_eq!(flash.rewritten(), 1);
            flash.erase(0, ERASE_SIZE as u32).await.unwrap();
            assert_eq!(flash.bytes()[8], 0xff);
            assert_eq!(flash.wear(), [1, 0]);
        });
    }

    #[test]
    fn power_goes_at_the_chosen_word_and_stays_away() {
        block_on(async {
            let mut flash = FakeFlash::new(1);
            flash.cut_after(Cut { after: 1, tear: Tear::FirstHalf });
            assert!(flash.write(0, &[0; 12]).await.is_err());
            assert_eq!(flash.bytes()[..12], [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            assert!(flash.read(0, &mut [0]).await.is_err());
            flash.power_on();
            flash.read(0, &mut [0]).await.unwrap();
        });
    }

    #[test]
    fn it_passes_the_suite_it_is_used_to_judge() {
        block_on(crate::conformance::nor_flash(&mut FakeFlash::new(4)));
    }
}
