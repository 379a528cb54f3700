//! A file that stands for the flash chip.
//!
//! Made on first use, full of 0xff, and held under a lock so that two routers never share it. Behaves as NOR flash does:
//! programming clears bits, erasing a page sets them. What was programmed is on the disk before it is answered, because
//! whoever programmed it counts on it after a power cut; erased pages may follow later, in order.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dialtone_hal_api::flash::{CHUNK, ERASE_SIZE, FlashDriver, FlashError, FlashRequest, WRITE_SIZE};
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use heapless::Vec;

/// Size of a file that is made, in bytes.
pub const FLASH_SIZE: usize = 1024 * 1024;

/// The file, opened and locked.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    size: usize,
}

impl FileFlash {
    /// Opens the file, or makes an erased one of `size` bytes with the folders above it. The size of a file that is there
    /// is kept.
    ///
    /// # Errors
    /// With a text for people: `WouldBlock` when another process holds it, `InvalidData` when it is no flash file.
    pub fn open(path: &Path, size: usize) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot make the folder {}: {error}", folder.display()))
            })?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Self::lock(&file)?;
        let mut length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if length == 0 {
            Self::fill(&file, size)?;
            length = size;
        }
        if !length.is_multiple_of(ERASE_SIZE) || u32::try_from(length).is_err() {
            let text =
                format!("{length} bytes are no whole number of {ERASE_SIZE}-byte pages: not a flash file");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(Self { file, size: length })
    }

    /// Its size in bytes.
    pub fn capacity(&self) -> usize {
        self.size
    }

    /// Answers requests for ever.
    pub async fn run(mut self, mut driver: FlashDriver) {
        loop {
            let request = driver.next().await;
            let answer = self.serve(request).await;
            driver.answer(answer).await;
        }
    }

    async fn serve(&mut self, request: FlashRequest) -> Result<Vec<u8, CHUNK>, FlashError> {
        match request {
            FlashRequest::Read { offset, length } => {
                let mut data = Vec::new();
                data.resize(length as usize, 0).map_err(|_| FlashError::OutOfBounds)?;
                self.read(offset, &mut data).await?;
                return Ok(data);
            }
            FlashRequest::Write { offset, data } => self.write(offset, &data).await?,
            FlashRequest::Erase { from, to } => self.erase(from, to).await?,
        }
        Ok(Vec::new())
    }

    fn lock(file: &File) -> io::Result<()> {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(ErrorKind::WouldBlock, "another process uses it, probably a running router")
            }
            TryLockError::Error(error) => error,
        })
    }

    /// A file cut short while it is made is empty or not whole, and a whole one holds only 0xff.
    fn fill(file: &File, size: usize) -> io::Result<()> {
        if let Err(error) = file.write_all_at(&vec![0xff; size], 0).and_then(|()| file.sync_all()) {
            // Without its room on the disk it had better be made again next time.
            let _ = file.set_len(0);
            return Err(error);
        }
        Ok(())
    }

    fn check(&self, offset: u32, length: usize, unit: usize) -> Result<(), FlashError> {
        let offset = offset as usize;
        if !offset.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(FlashError::NotAligned);
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(FlashError::OutOfBounds),
        }
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len(), 1)?;
        self.file.read_exact_at(bytes, offset.into()).map_err(|_| FlashError::Device)
    }

    fn capacity(&self) -> usize {
        self.size
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)? as usize;
        self.check(from, length, ERASE_SIZE)?;
        let erase = self.file.write_all_at(&vec![0xff; length], from.into());
        erase.map_err(|_| FlashError::Device)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len(), WRITE_SIZE)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut old = vec![0; bytes.len()];
        self.read(offset, &mut old).await?;
        for (old, new) in old.iter_mut().zip(bytes) {
            *old &= new;
        }
        let write = self.file.write_all_at(&old, offset.into()).and_then(|()| self.file.sync_data());
        write.map_err(|_| FlashError::Device)
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;

    use super::*;

    /// A path of its own for each test, gone with it.
    struct Place(std::path::PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("dialtone-flash-{}-{name}", std::process::id()));
            Self(folder)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_passes_the_suite_for_flash() {
        let place = Place::new("suite");
        let mut flash = FileFlash::open(&place.0.join("flash"), 64 * 1024).unwrap();
        block_on(dialtone_hal_testkit::conformance::nor_flash(&mut flash));
    }

    #[test]
    fn what_was_written_is_there_after_reopening_and_nobody_else_gets_in() {
        let place = Place::new("reopen");
        let path = place.0.join("deeper/flash");
        let mut flash = FileFlash::open(&path, FLASH_SIZE).unwrap();
        block_on(flash.write(8, &[1, 2, 3, 4])).unwrap();
        assert_eq!(FileFlash::open(&path, FLASH_SIZE).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(flash);
        let mut flash = FileFlash::open(&path, 4096).unwrap();
        assert_eq!(flash.capacity(), FLASH_SIZE, "a file's size is kept");
        let mut bytes = [0; 6];
        block_on(flash.read(6, &mut bytes)).unwrap();
        assert_eq!(bytes, [0xff, 0xff, 1, 2, 3, 4]);
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_left_alone() {
        let place = Place::new("other");
        std::fs::create_dir_all(&place.0).unwrap();
        let path = place.0.join("letter");
        std::fs::write(&path, "Dear aunt").unwrap();
        assert_eq!(FileFlash::open(&path, FLASH_SIZE).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&path).unwrap(), b"Dear aunt");
    }
}
