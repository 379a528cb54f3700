//! A file that stands for the flash chip, until hal/linux has one with fsync and conformance tests.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dialtone_hal_api::flash::{CHUNK, FlashDriver, FlashError, FlashRequest};
use heapless::Vec;

/// The file, opened.
pub struct FileFlash {
    file: File,
}

impl FileFlash {
    /// Opens the file, or makes an erased one of `size` bytes.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path, size: usize) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() != size as u64 {
            file.write_all_at(&vec![0xff; size], 0)?;
            file.set_len(size as u64)?;
        }
        Ok(Self { file })
    }

    /// Answers requests for ever.
    pub async fn run(self, mut driver: FlashDriver) {
        loop {
            let request = driver.next().await;
            driver.answer(self.serve(request).map_err(|_| FlashError::Device)).await;
        }
    }

    fn serve(&self, request: FlashRequest) -> io::Result<Vec<u8, CHUNK>> {
        match request {
            FlashRequest::Read { offset, length } => {
                let mut data = Vec::new();
                let _ = data.resize(length as usize, 0);
                self.file.read_exact_at(&mut data, offset.into())?;
                return Ok(data);
            }
            FlashRequest::Write { offset, data } => self.file.write_all_at(&data, offset.into())?,
            FlashRequest::Erase { from, to } => {
                self.file.write_all_at(&vec![0xff; to.saturating_sub(from) as usize], from.into())?;
            }
        }
        Ok(Vec::new())
    }
}
