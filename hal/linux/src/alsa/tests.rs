//! The converter against ALSA's own `file` and `null` devices, set up by a configuration that the test writes; and against a library made
//! here, whose device fails as ordered.
//!
//! ALSA reads its configuration from a place in the environment, so the test that needs one runs itself again in a process of its own.
//! Those devices know no time: they deliver as fast as the line fetches, so pace is not tested here.

use std::process::Command;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use embassy_futures::block_on;

use super::*;

const CONFIGURED: &str = "DIALTONE_TEST_ALSA";

fn inside(name: &str, folder: &std::path::Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("alsa::tests::{name}"), "--nocapture"])
        .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
        .env(CONFIGURED, folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn available() -> bool {
    let found = library().is_ok();
    if !found {
        assert!(missing().to_string().contains("apt-get install libasound2"));
        println!("not tested: there is no libasound.so.2");
    }
    found
}

#[test]
fn a_library_that_is_missing_is_no_library() {
    assert!(load(c"libno-such-thing.so.7").is_none());
    // A library that is there but another one.
    assert!(load(c"libc.so.6").is_none());
}

#[test]
fn a_missing_device_is_named() {
    if !available() {
        return;
    }
    let error = AlsaCodec::open("hw:97", 8000).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("hw:97") && text.contains("aplay -l"), "{text}");
}

#[test]
fn what_is_played_is_in_the_file_and_what_is_in_the_file_is_captured() {
    if !available() {
        return;
    }
    let Some(folder) = std::env::var_os(CONFIGURED).map(std::path::PathBuf::from) else {
        let folder = std::env::temp_dir().join(format!("dialtone-alsa-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let samples: Vec<u8> = (0..8000_i16).flat_map(i16::to_le_bytes).collect();
        std::fs::write(folder.join("in.raw"), samples).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let configuration = format!(
            "pcm.testline {{ type asym
                playback.pcm {{ type file slave.pcm {{ type null }} file \"{}\" format raw }}
                capture.pcm {{ type file slave.pcm {{ type null }} file /dev/null infile \"{}\" format raw }}
            }}\n",
            path("out.raw"),
            path("in.raw"),
        );
        std::fs::write(folder.join("asound.conf"), configuration).unwrap();
        inside("what_is_played_is_in_the_file_and_what_is_in_the_file_is_captured", &folder);
        std::fs::remove_dir_all(folder).unwrap();
        return;
    };
    let mut codec = AlsaCodec::open("testline", 8000).unwrap();
    codec.start().unwrap();
    for number in 0..50 {
        let frame = block_on(codec.capture()).unwrap();
        let expected: Vec<i16> = (number * 80..number * 80 + 80).collect();
        assert!(frame.samples() == expected, "frame {number}");
        codec.play(&PcmFrame::from_samples(&[number + 1; 80])).unwrap();
    }
    codec.stop();
    codec.start().unwrap();
    assert_eq!(block_on(codec.capture()).unwrap().samples().len(), 80, "on again");
    drop(codec);
    let played = std::fs::read(folder.join("out.raw")).unwrap();
    let played: Vec<i16> =
        played.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let head_start = HEAD_START * 80;
    assert!(played[..head_start].iter().all(|sample| *sample == 0), "silence first");
    let expected: Vec<i16> = (1..=50).flat_map(|value| [value; 80]).collect();
    assert!(played[head_start..head_start + 4000] == expected, "then every answer, whole and in order");
}

/// What the next call answers instead of working; 0 lets it work.
static READ_FAILS: AtomicI32 = AtomicI32::new(0);
static WRITE_FAILS: AtomicI32 = AtomicI32::new(0);
static WRITTEN: AtomicU32 = AtomicU32::new(0);
static STARTS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn open(handle: *mut *mut c_void, _: *const c_char, direction: c_int, _: c_int) -> c_int {
    // SAFETY: the caller gives a live place. The mark is never followed.
    unsafe { *handle = std::ptr::without_provenance_mut(direction as usize + 1) };
    0
}

unsafe extern "C" fn fine(_: *mut c_void) -> c_int {
    0
}

unsafe extern "C" fn start(_: *mut c_void) -> c_int {
    STARTS.fetch_add(1, SeqCst);
    0
}

unsafe extern "C" fn set_params(
    _: *mut c_void,
    _: c_int,
    _: c_int,
    _: c_uint,
    rate: c_uint,
    _: c_int,
    _: c_uint,
) -> c_int {
    if rate == 8000 { 0 } else { -libc::EINVAL }
}

/// As ALSA's own: mends EPIPE and ESTRPIPE.
unsafe extern "C" fn recover(_: *mut c_void, error: c_int, _: c_int) -> c_int {
    if error == -libc::EPIPE || error == -libc::ESTRPIPE { 0 } else { error }
}

unsafe extern "C" fn readi(_: *mut c_void, samples: *mut c_void, count: c_ulong) -> c_long {
    std::thread::sleep(Duration::from_millis(1));
    match READ_FAILS.swap(0, SeqCst) {
        // Half of it, so that the rest is asked for.
        0 => {
            let count = count.div_ceil(2);
            // SAFETY: the caller gives room for `count` samples.
            unsafe { std::slice::from_raw_parts_mut(samples.cast::<i16>(), count as usize) }.fill(5);
            count as c_long
        }
        error => c_long::from(-error),
    }
}

unsafe extern "C" fn writei(_: *mut c_void, _: *const c_void, count: c_ulong) -> c_long {
    match WRITE_FAILS.swap(0, SeqCst) {
        0 => {
            WRITTEN.fetch_add(count as u32, SeqCst);
            count as c_long
        }
        error => c_long::from(-error),
    }
}

unsafe extern "C" fn strerror(_: c_int) -> *const c_char {
    c"as ordered".as_ptr()
}

static FAILING: Library = Library {
    open,
    close: fine,
    set_params,
    prepare: fine,
    start,
    drop: fine,
    recover,
    readi,
    writei,
    strerror,
};

#[test]
fn what_overruns_or_runs_dry_is_recovered_and_a_device_that_is_gone_is_said_so() {
    let error = AlsaCodec::open_with(&FAILING, "hw:1", 16000).err().unwrap().to_string();
    assert!(
        error.contains("hw:1 at 16000") && error.contains("as ordered") && error.contains("plughw"),
        "{error}"
    );

    let mut codec = AlsaCodec::open_with(&FAILING, "hw:1", 8000).unwrap();
    assert!(matches!(codec.reading, Reading::Opened(_)), "no second thread before rights are dropped");
    codec.start().unwrap();
    let good = |codec: &mut AlsaCodec| {
        // Those that were read before the fault was ordered come first.
        for _ in 0..10 {
            block_on(codec.capture())?;
        }
        Ok(())
    };
    assert_eq!(block_on(codec.capture()).unwrap().samples(), [5; 80]);
    assert_eq!(good(&mut codec), Ok(()));
    READ_FAILS.store(libc::EPIPE, SeqCst);
    assert_eq!(good(&mut codec), Err(LineLoss::Overrun));
    assert_eq!(good(&mut codec), Ok(()), "and it goes on");

    let frame = PcmFrame::silence(80);
    let written = WRITTEN.load(SeqCst);
    assert_eq!(written, HEAD_START as u32 * 80, "silence ahead");
    WRITE_FAILS.store(libc::EAGAIN, SeqCst);
    assert_eq!(codec.play(&frame), Err(LineLoss::PlaybackTooMuch), "a full buffer does not block");
    WRITE_FAILS.store(libc::EPIPE, SeqCst);
    let starts = STARTS.load(SeqCst);
    assert_eq!(codec.play(&frame), Err(LineLoss::Underrun));
    assert_eq!(
        WRITTEN.load(SeqCst),
        written + (HEAD_START as u32 + 1) * 80,
        "silence ahead again, then the frame"
    );
    assert_eq!(STARTS.load(SeqCst), starts + 1);
    assert_eq!(codec.play(&frame), Ok(()));

    READ_FAILS.store(libc::ENODEV, SeqCst);
    assert_eq!(good(&mut codec), Err(LineLoss::Hardware), "unplugged");
    codec.stop();
    codec.start().unwrap();
    assert_eq!(good(&mut codec), Ok(()), "plugged in again");
    WRITE_FAILS.store(libc::ENODEV, SeqCst);
    assert_eq!(codec.play(&frame), Err(LineLoss::Hardware));
}
