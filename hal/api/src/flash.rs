//! Flash for settings, leases and logs, as a concrete handle that speaks `embedded-storage-async`.
//!
//! The board's runner owns the chip (or the file) and answers [`FlashRequest`]s from its [`FlashDriver`]; the app holds the
//! [`FlashHandle`], which implements `NorFlash`, so `sequential-storage` works on it unchanged. One request is under way
//! at a time. Geometry is fixed: what a chip writes in other units, its driver adapts.

use alloc::boxed::Box;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::mutex::Mutex;
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use heapless::Vec;

/// Bytes erased at once.
pub const ERASE_SIZE: usize = 4096;
/// Bytes programmed at once, and the alignment of a write.
pub const WRITE_SIZE: usize = 4;
/// Bytes moved by one request.
pub const CHUNK: usize = 256;

/// Why a flash operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Outside the chip: our mistake.
    OutOfBounds,
    /// Not a multiple of the write or erase size: our mistake.
    NotAligned,
    /// The chip, or the file behind it, failed.
    Device,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::Device => NorFlashErrorKind::Other,
        }
    }
}

/// What the app asks of the chip.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one request at a time, in a static channel")]
pub enum FlashRequest {
    /// Read `length` bytes (at most [`CHUNK`]) from `offset`.
    Read {
        /// From where.
        offset: u32,
        /// How many bytes.
        length: u32,
    },
    /// Program `data` at `offset`, both multiples of [`WRITE_SIZE`].
    Write {
        /// To where.
        offset: u32,
        /// What.
        data: Vec<u8, CHUNK>,
    },
    /// Erase `from..to`, both multiples of [`ERASE_SIZE`].
    Erase {
        /// First byte.
        from: u32,
        /// First byte kept.
        to: u32,
    },
}

/// What the chip answers: the bytes of a read, nothing for the rest.
pub type FlashAnswer = Result<Vec<u8, CHUNK>, FlashError>;

struct FlashChannel {
    requests: Channel<CriticalSectionRawMutex, FlashRequest, 1>,
    answers: Channel<CriticalSectionRawMutex, FlashAnswer, 1>,
}

/// The app's end: a `NorFlash`. Not `Clone`: one owner, so answers cannot be mixed up.
pub struct FlashHandle {
    channel: &'static FlashChannel,
    capacity: usize,
}

/// The driver's end.
pub struct FlashDriver {
    channel: &'static FlashChannel,
}

/// Makes both ends for a chip of `capacity` bytes, a multiple of [`ERASE_SIZE`].
pub fn flash(capacity: usize) -> (FlashHandle, FlashDriver) {
    let channel: &'static FlashChannel =
        Box::leak(Box::new(FlashChannel { requests: Channel::new(), answers: Channel::new() }));
    (FlashHandle { channel, capacity: capacity - capacity % ERASE_SIZE }, FlashDriver { channel })
}

impl FlashDriver {
    /// The next request. Answer it with [`FlashDriver::answer`] before asking again.
    pub async fn next(&mut self) -> FlashRequest {
        self.channel.requests.receive().await
    }

    /// Answers the request that [`FlashDriver::next`] gave.
    pub async fn answer(&mut self, answer: FlashAnswer) {
        self.channel.answers.send(answer).await;
    }
}

impl FlashHandle {
    async fn ask(&mut self, request: FlashRequest) -> FlashAnswer {
        // An answer left by a request whose future was dropped half-way is not ours.
        let _ = self.channel.answers.try_receive();
        self.channel.requests.send(request).await;
        self.channel.answers.receive().await
    }
}

/// The app's end for several users in one task or many: each operation takes its turn. They must not use the same range.
#[derive(Clone)]
pub struct SharedFlash {
    handle: &'static Mutex<CriticalSectionRawMutex, FlashHandle>,
    capacity: usize,
}

impl FlashHandle {
    /// For several users, for the lifetime of the program.
    pub fn share(self) -> SharedFlash {
        let capacity = self.capacity;
        SharedFlash { handle: Box::leak(Box::new(Mutex::new(self))), capacity }
    }
}

impl ErrorType for SharedFlash {
    type Error = FlashError;
}

impl ReadNorFlash for SharedFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.handle.lock().await.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl NorFlash for SharedFlash {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.handle.lock().await.erase(from, to).await
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.handle.lock().await.write(offset, bytes).await
    }
}

impl ErrorType for FlashHandle {
    type Error = FlashError;
}

impl ReadNorFlash for FlashHandle {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let mut offset = offset;
        for part in bytes.chunks_mut(CHUNK) {
            let request = FlashRequest::Read { offset, length: part.len() as u32 };
            let answer = self.ask(request).await?;
            if answer.len() != part.len() {
                return Err(FlashError::Device);
            }
            part.copy_from_slice(&answer);
            offset += part.len() as u32;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl NorFlash for FlashHandle {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.ask(FlashRequest::Erase { from, to }).await.map(|_| ())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let mut offset = offset;
        for part in bytes.chunks(CHUNK) {
            let data = Vec::from_slice(part).map_err(|_| FlashError::OutOfBounds)?;
            self.ask(FlashRequest::Write { offset, data }).await?;
            offset += part.len() as u32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;
    use embassy_futures::select::select;

    use super::*;

    #[test]
    fn long_reads_and_writes_travel_in_chunks() {
        let (mut handle, mut driver) = flash(64 * 1024 + 5);
        assert_eq!(handle.capacity(), 64 * 1024);
        let mut requests = 0;
        let serve = async {
            loop {
                let answer = match driver.next().await {
                    FlashRequest::Read { length, .. } => {
                        Ok(Vec::from_slice(&[7; CHUNK][..length as usize]).unwrap())
                    }
                    FlashRequest::Write { .. } | FlashRequest::Erase { .. } => Ok(Vec::new()),
                };
                requests += 1;
                driver.answer(answer).await;
            }
        };
        let use_it = async {
            let mut bytes = [0; CHUNK * 2 + 4];
            handle.read(0, &mut bytes).await.unwrap();
            assert_eq!(bytes, [7; CHUNK * 2 + 4]);
            handle.write(0, &bytes).await.unwrap();
        };
        block_on(select(serve, use_it));
        assert_eq!(requests, 6);
    }
}
