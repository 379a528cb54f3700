//! A sound card as a line's converter, through the system's ALSA library, which is found when the program runs.
//!
//! One channel of 16-bit samples, frames of 10 ms, both directions of one device. Capture is the clock: a thread of its own, started when
//! sound is first wanted, reads frame after frame into a short queue and wakes the line; playing never blocks and happens where it is called. What overruns or runs dry
//! is recovered and counted. Building needs no ALSA package; a machine without the library gets an error that says what to install. Does
//! not set the mixer: `alsamixer` does.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::future::poll_fn;
use std::io;
use std::ptr::null_mut;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use dialtone_hal_api::line::{LineLoss, PcmFrame};
use dialtone_slic_ag1171::Codec;

/// A device, opened for both directions and silent.
pub struct AlsaCodec {
    playback: Pcm,
    frame_length: usize,
    shared: Arc<Shared>,
    reading: Reading,
}

/// The other direction: at hand until sound is first wanted, because a router drops its rights while it has one thread.
enum Reading {
    Opened(Pcm),
    Thread(JoinHandle<()>),
    /// The system had no thread for it, or this codec ends.
    Ended,
}

/// The device's buffer: four frames.
const LATENCY_MICROS: c_uint = 40_000;
/// Silence put before the first answer, so that it is in time.
const HEAD_START: usize = 2;
/// Captured frames that may wait for the line.
const CAPTURED: usize = 4;

impl AlsaCodec {
    /// Opens `device` (`hw:1`, `plughw:1`, `default` …) at 8000 or 16000 samples a second.
    ///
    /// # Errors
    /// `NotFound` when the library or the device is missing; others with ALSA's own words and what to try.
    pub fn open(device: &str, sample_rate: u32) -> io::Result<Self> {
        Self::open_with(library()?, device, sample_rate)
    }

    fn open_with(library: &'static Library, device: &str, sample_rate: u32) -> io::Result<Self> {
        let playback = Pcm::open(library, device, sample_rate, Direction::Playback)?;
        let capture = Pcm::open(library, device, sample_rate, Direction::Capture)?;
        let frame_length = (sample_rate / 100) as usize;
        Ok(Self { playback, frame_length, shared: Arc::default(), reading: Reading::Opened(capture) })
    }

    fn start_reading(&mut self) -> Result<(), LineLoss> {
        self.reading = match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Opened(capture) => {
                let (shared, frame_length) = (self.shared.clone(), self.frame_length);
                let thread = std::thread::Builder::new().name("line-capture".into());
                match thread.spawn(move || shared.capture(&capture, frame_length)) {
                    Ok(thread) => Reading::Thread(thread),
                    Err(_) => Reading::Ended,
                }
            }
            running => running,
        };
        if matches!(self.reading, Reading::Thread(_)) { Ok(()) } else { Err(LineLoss::Hardware) }
    }

    /// Silence ahead of the app's first answer, then the device runs.
    fn start_playing(&self) -> Result<(), LineLoss> {
        self.playback.prepare()?;
        for _ in 0..HEAD_START {
            self.playback.write(&PcmFrame::silence(self.frame_length))?;
        }
        self.playback.start()
    }
}

impl Codec for AlsaCodec {
    fn start(&mut self) -> Result<(), LineLoss> {
        self.start_reading()?;
        self.start_playing()?;
        let mut state = self.shared.lock();
        state.captured.clear();
        state.wanted = Wanted::Sound;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.wanted = Wanted::Silence;
        state.captured.clear();
        self.shared.changed.notify_all();
        drop(state);
        self.playback.stop();
    }

    async fn capture(&mut self) -> Result<PcmFrame, LineLoss> {
        poll_fn(|context| {
            let mut state = self.shared.lock();
            match state.captured.pop_front() {
                Some(frame) => {
                    self.shared.changed.notify_all();
                    Poll::Ready(frame)
                }
                None => {
                    state.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn play(&mut self, frame: &PcmFrame) -> Result<(), LineLoss> {
        match self.playback.write(frame) {
            Err(LineLoss::Underrun) => {
                self.start_playing()?;
                self.playback.write(frame)?;
                Err(LineLoss::Underrun)
            }
            other => other,
        }
    }
}

impl Drop for AlsaCodec {
    fn drop(&mut self) {
        self.shared.lock().wanted = Wanted::Nothing;
        self.shared.changed.notify_all();
        if let Reading::Thread(thread) = std::mem::replace(&mut self.reading, Reading::Ended) {
            // It wakes after at most one frame; a panic there was shown already.
            let _ = thread.join();
        }
    }
}

/// Between the line and the thread that reads.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: Wanted,
    captured: VecDeque<Result<PcmFrame, LineLoss>>,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Silence,
    Sound,
    /// The thread ends.
    Nothing,
}

impl Shared {
    /// Nothing is left half-done under this lock, so a panic of the other side does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: reads while sound is wanted.
    fn capture(&self, pcm: &Pcm, frame_length: usize) {
        loop {
            let mut state = self.lock();
            while state.wanted == Wanted::Silence {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.wanted == Wanted::Nothing {
                return;
            }
            drop(state);
            let mut started = pcm.prepare().and_then(|()| pcm.start());
            let mut frame = PcmFrame::silence(frame_length);
            while self.lock().wanted == Wanted::Sound {
                let read = started.and_then(|()| pcm.read(frame.samples_mut()));
                match read {
                    Ok(()) => self.deliver(Ok(frame)),
                    Err(LineLoss::Overrun) => {
                        self.deliver(Err(LineLoss::Overrun));
                        started = pcm.prepare().and_then(|()| pcm.start());
                    }
                    Err(loss) => {
                        self.deliver(Err(loss));
                        self.rest();
                        started = pcm.prepare().and_then(|()| pcm.start());
                    }
                }
            }
            pcm.stop();
        }
    }

    /// Waits for room: a line that does not fetch lets the device overrun, which is counted.
    fn deliver(&self, frame: Result<PcmFrame, LineLoss>) {
        let mut state = self.lock();
        while state.captured.len() >= CAPTURED && state.wanted == Wanted::Sound {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.wanted == Wanted::Sound {
            state.captured.push_back(frame);
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
        }
    }

    /// After a failure: until the line has stopped us, or a while.
    fn rest(&self) {
        let state = self.lock();
        let until = |state: &mut State| state.wanted == Wanted::Sound;
        drop(self.changed.wait_timeout_while(state, Duration::from_millis(500), until));
    }
}

/// One direction of a device. ALSA lets any thread use it, one at a time: the capture thread has one, the line the other.
struct Pcm {
    library: &'static Library,
    handle: *mut c_void,
}

// SAFETY: a PCM handle is not bound to the thread that opened it, and `Pcm` is moved between threads, never shared: it is not `Sync`.
unsafe impl Send for Pcm {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Playback = 0,
    Capture = 1,
}

impl Pcm {
    fn open(
        library: &'static Library,
        device: &str,
        sample_rate: u32,
        direction: Direction,
    ) -> io::Result<Self> {
        const NONBLOCK: c_int = 1;
        const S16_LE: c_int = 2;
        const RW_INTERLEAVED: c_int = 3;
        let name = CString::new(device).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mode = if direction == Direction::Playback { NONBLOCK } else { 0 };
        let mut handle = null_mut();
        // SAFETY: the library is loaded for good, `handle` is a live pointer's place and `name` a live C string.
        let result = unsafe { (library.open)(&mut handle, name.as_ptr(), direction as c_int, mode) };
        if result < 0 {
            let hint = "`aplay -l` and `arecord -l` list the cards; the group audio, or root, may use them";
            return Err(library.error(result, &format!("sound device {device}"), hint));
        }
        let pcm = Self { library, handle };
        // SAFETY: `handle` was just opened.
        let result = unsafe {
            (library.set_params)(handle, S16_LE, RW_INTERLEAVED, 1, sample_rate, 1, LATENCY_MICROS)
        };
        if result < 0 {
            let what = format!("sound device {device} at {sample_rate} samples a second, one channel");
            return Err(library.error(result, &what, "let ALSA convert: plughw instead of hw"));
        }
        Ok(pcm)
    }

    fn prepare(&self) -> Result<(), LineLoss> {
        // SAFETY: `handle` is open for as long as `self` lives.
        self.check(unsafe { (self.library.prepare)(self.handle) }.into()).map(drop)
    }

    fn start(&self) -> Result<(), LineLoss> {
        // SAFETY: as above.
        self.check(unsafe { (self.library.start)(self.handle) }.into()).map(drop)
    }

    fn stop(&self) {
        // SAFETY: as above. Stopping what has stopped is an error of no interest.
        unsafe { (self.library.drop)(self.handle) };
    }

    /// Waits for all of it.
    fn read(&self, mut samples: &mut [i16]) -> Result<(), LineLoss> {
        while !samples.is_empty() {
            let count = samples.len() as c_ulong;
            // SAFETY: the pointer and count describe live samples, one channel each.
            let read = unsafe { (self.library.readi)(self.handle, samples.as_mut_ptr().cast(), count) };
            let read = self.check(read).map_err(|loss| match loss {
                LineLoss::Underrun => LineLoss::Overrun,
                loss => loss,
            })?;
            samples = &mut samples[read..];
        }
        Ok(())
    }

    /// Never waits: a full buffer is a loss.
    fn write(&self, frame: &PcmFrame) -> Result<(), LineLoss> {
        let samples = frame.samples();
        let count = samples.len() as c_ulong;
        // SAFETY: the pointer and count describe live samples, one channel each.
        let written = unsafe { (self.library.writei)(self.handle, samples.as_ptr().cast(), count) };
        if written == -c_long::from(libc::EAGAIN) || self.check(written)? < samples.len() {
            return Err(LineLoss::PlaybackTooMuch);
        }
        Ok(())
    }

    /// An xrun or a suspended device is as good as recovered: whoever meets it prepares and starts again.
    fn check(&self, result: c_long) -> Result<usize, LineLoss> {
        if result >= 0 {
            return Ok(result as usize);
        }
        let code = result as c_int;
        if code == -libc::EINTR {
            return Ok(0);
        }
        // SAFETY: `handle` is open. Recovering prepares the device after EPIPE and ESTRPIPE and hands back what it cannot mend.
        match unsafe { (self.library.recover)(self.handle, code, 1) } {
            0 => Err(LineLoss::Underrun),
            _ => Err(LineLoss::Hardware),
        }
    }
}

impl Drop for Pcm {
    fn drop(&mut self) {
        // SAFETY: `handle` is open, and this is its last use.
        unsafe { (self.library.close)(self.handle) };
    }
}

/// The functions of libasound that are used here, as its manual declares them.
struct Library {
    open: unsafe extern "C" fn(*mut *mut c_void, *const c_char, c_int, c_int) -> c_int,
    close: unsafe extern "C" fn(*mut c_void) -> c_int,
    set_params: unsafe extern "C" fn(*mut c_void, c_int, c_int, c_uint, c_uint, c_int, c_uint) -> c_int,
    prepare: unsafe extern "C" fn(*mut c_void) -> c_int,
    start: unsafe extern "C" fn(*mut c_void) -> c_int,
    drop: unsafe extern "C" fn(*mut c_void) -> c_int,
    recover: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    readi: unsafe extern "C" fn(*mut c_void, *mut c_void, c_ulong) -> c_long,
    writei: unsafe extern "C" fn(*mut c_void, *const c_void, c_ulong) -> c_long,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
}

impl Library {
    fn error(&self, code: c_int, what: &str, hint: &str) -> io::Error {
        // SAFETY: snd_strerror takes any number and returns a static C string.
        let text = unsafe { CStr::from_ptr((self.strerror)(code)) }.to_string_lossy();
        let kind = io::Error::from_raw_os_error(-code).kind();
        io::Error::new(kind, format!("{what}: {text}; {hint}"))
    }
}

/// The library, loaded once and never unloaded.
fn library() -> io::Result<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(|| load(c"libasound.so.2")).as_ref().ok_or_else(missing)
}

fn missing() -> io::Error {
    let text = "a sound device needs ALSA's library libasound.so.2: apt-get install libasound2";
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn load(name: &CStr) -> Option<Library> {
    // SAFETY: the name is a C string; loading libasound runs no code of consequence.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle is of a loaded library, and each field's type repeats the C declaration of the function it is filled with.
    unsafe {
        Some(Library {
            open: function(handle, c"snd_pcm_open")?,
            close: function(handle, c"snd_pcm_close")?,
            set_params: function(handle, c"snd_pcm_set_params")?,
            prepare: function(handle, c"snd_pcm_prepare")?,
            start: function(handle, c"snd_pcm_start")?,
            drop: function(handle, c"snd_pcm_drop")?,
            recover: function(handle, c"snd_pcm_recover")?,
            readi: function(handle, c"snd_pcm_readi")?,
            writei: function(handle, c"snd_pcm_writei")?,
            strerror: function(handle, c"snd_strerror")?,
        })
    }
}

/// A function of a loaded library.
///
/// # Safety
/// `handle` is of a loaded library, and `F` is the type of a function pointer to what `name` is there.
unsafe fn function<F: Copy>(handle: *mut c_void, name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: the caller vouches for the handle; the name is a C string.
    let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
    // SAFETY: a symbol's address is a function pointer of the same size, and the caller vouches for its type.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute_copy(&symbol) })
}

#[cfg(test)]
mod tests;
