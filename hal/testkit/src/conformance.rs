//! What every driver below the firmware must do, whatever it is made of: flash here, telephone lines in [`line()`].
//!
//! The flash suite runs on the fake, on the file that plays flash on Linux, and on a board's real chip. The flash is scratch: its first
//! pages are erased. A broken promise panics with the promise.

use embedded_storage_async::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

mod line;

pub use line::{Instrument, line};

/// Checks `flash`, of at least four pages.
pub async fn nor_flash<F: NorFlash>(flash: &mut F) {
    let page = F::ERASE_SIZE as u32;
    let capacity = flash.capacity() as u32;
    assert!(capacity >= 4 * page, "the suite needs four pages");
    assert!(capacity.is_multiple_of(page), "capacity is whole pages");

    flash.erase(0, 4 * page).await.expect("pages erase");
    assert_eq!(contents(flash, 0, 4 * page).await, vec![0xff; 4 * F::ERASE_SIZE], "erased flash reads 0xff");

    let pattern: Vec<u8> = (0..F::ERASE_SIZE).map(|n| (n * 7 + n / 256) as u8).collect();
    flash.write(page, &pattern).await.expect("a whole page is written at once");
    assert_eq!(contents(flash, page, page).await, pattern, "what was written reads back");
    assert_eq!(contents(flash, page + 3, 5).await, pattern[3..8], "reads need no alignment");
    assert_eq!(contents(flash, 0, page).await, vec![0xff; F::ERASE_SIZE], "the page before is untouched");
    assert_eq!(contents(flash, 2 * page, page).await, vec![0xff; F::ERASE_SIZE], "so is the page after");

    let word = vec![0x5a; F::WRITE_SIZE];
    flash.write(2 * page, &word).await.expect("one word is written");
    flash.erase(page, 2 * page).await.expect("one page erases");
    assert_eq!(contents(flash, page, page).await, vec![0xff; F::ERASE_SIZE], "the page is erased");
    assert_eq!(contents(flash, 2 * page, F::WRITE_SIZE as u32).await, word, "its neighbour is not");

    flash.write(capacity - F::WRITE_SIZE as u32, &[]).await.expect("writing nothing is fine");
    flash.erase(page, page).await.expect("erasing nothing is fine");

    let kind = |result: Result<(), F::Error>| result.map_err(|error| error.kind());
    let out = Err(NorFlashErrorKind::OutOfBounds);
    let bent = Err(NorFlashErrorKind::NotAligned);
    assert_eq!(kind(flash.read(capacity, &mut [0]).await), out, "reading past the end is refused");
    assert_eq!(kind(flash.read(u32::MAX, &mut [0]).await), out, "an offset that overflows is refused");
    assert_eq!(kind(flash.write(capacity, &word).await), out, "writing past the end is refused");
    assert_eq!(kind(flash.erase(capacity, capacity + page).await), out, "erasing past the end is refused");
    assert_eq!(kind(flash.erase(0, page - 1).await), bent, "half a page is not erased");
    if F::WRITE_SIZE > 1 {
        assert_eq!(kind(flash.write(1, &word).await), bent, "writes are aligned");
        assert_eq!(kind(flash.write(0, &word[1..]).await), bent, "writes are whole words");
    }
    assert_eq!(contents(flash, 0, page).await, vec![0xff; F::ERASE_SIZE], "what was refused changed nothing");
}

async fn contents<F: NorFlash>(flash: &mut F, offset: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    flash.read(offset, &mut bytes).await.expect("flash reads");
    bytes
}
