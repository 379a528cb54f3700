//! Power off and on again: the same test in a child process, with the flash as it was left.
//!
//! A router cannot be started twice in one process. A test asks [`life`] which life this is; in the first it hands its
//! flash to [`reborn`], which runs the next one and fails when that fails.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use dialtone_hal_testkit::FakeFlash;

/// Which life this is, from 0, and the flash that the one before left.
pub fn life() -> (u32, Option<FakeFlash>) {
    let number = std::env::var(NUMBER).ok().and_then(|number| number.parse().ok()).unwrap_or(0);
    let flash = std::env::var_os(FLASH).and_then(|path| std::fs::read(path).ok()).map(FakeFlash::from_bytes);
    (number, flash)
}

/// Runs the test that calls it once more as life `number`, with `flash`, and `note` for [`note`].
///
/// # Panics
/// When the next life fails.
#[track_caller]
pub fn reborn(test: &str, number: u32, flash: &FakeFlash, note: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(format!("{}/dialtone-{test}-{process}-{number}-{count}", temporary()));
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    file.write_all(flash.bytes()).expect("room for the flash");
    let program = std::env::current_exe().expect("this test has a file");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(NUMBER, number.to_string())
        .env(FLASH, &path)
        .env(NOTE, note)
        .output()
        .expect("this test can be run again");
    let _ = std::fs::remove_file(&path);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "life {number} ({note}) failed:\n{said}");
}

/// What the last life wanted this one to know.
pub fn note() -> String {
    std::env::var(NOTE).unwrap_or_default()
}

fn temporary() -> String {
    std::env::temp_dir().display().to_string()
}

const NUMBER: &str = "DIALTONE_SCENARIO_LIFE";
const FLASH: &str = "DIALTONE_SCENARIO_FLASH";
const NOTE: &str = "DIALTONE_SCENARIO_NOTE";
