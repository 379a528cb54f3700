//! A telephone on a line socket of the router, held by the test.
//!
//! A thread answers the line's clock: for each 10 ms it hears it says 10 ms. What it says and what it hears is plain sound; tones are made
//! and found by `dialtone_hal_testkit`'s floating point, not by the firmware's. Protocol: `hal/api/src/handset.rs`.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dialtone_base::telephony::Key;
use dialtone_hal_api::handset::{Decoder, FromHandset, FromLine, LONGEST, Message};
use dialtone_hal_api::line::{Feed, PcmFrame};
use dialtone_hal_testkit::handset::sound;

/// Sound it remembers, in seconds.
const MEMORY: usize = 60;
/// Length of a key press, and of the pause after it.
const KEY: Duration = Duration::from_millis(80);
/// How long a flash opens the loop: in the middle of what North American lines take for one.
const FLASH: Duration = Duration::from_millis(500);
/// An open loop is a hang-up after so long, and no flash.
const HANG_UP: Duration = Duration::from_millis(1600);
/// A sample above this is no silence: -38 dBm0.
const AUDIBLE: u16 = 200;
/// Dial tone of the country the tests live in (US).
pub const DIAL_TONE: &[f64] = &[350.0, 440.0];
/// Ringback there.
pub const RINGBACK: &[f64] = &[440.0, 480.0];
/// Busy and congestion there; the cadence tells them apart.
pub const BUSY: &[f64] = &[480.0, 620.0];

/// A telephone that is plugged in.
pub struct Telephone {
    state: Arc<Mutex<State>>,
    socket: UnixStream,
    /// Samples in a second.
    pub sample_rate: u32,
}

struct State {
    /// Said next, before anything else.
    queue: VecDeque<i16>,
    /// Said for as long as nothing else is: hertz, and where in the turn.
    hum: Option<f64>,
    turn: f64,
    heard: VecDeque<i16>,
    /// When the last 10 ms were heard.
    last_sound: Option<Instant>,
    /// The longest pause between two of them since [`Telephone::hear_afresh`].
    longest_gap: Duration,
    feeds: Vec<(Instant, Feed)>,
    hung_up: Option<Instant>,
    /// What the line returns of what it is given, as one of it in so many.
    returned: Option<i16>,
    /// When it began to say what was queued last, and whether it still does.
    began: Option<SystemTime>,
    saying: bool,
    /// When something came since [`Telephone::hear_afresh`].
    sounded: Option<SystemTime>,
}

impl Telephone {
    /// Plugs into the line socket at `path`, on-hook.
    pub fn plug(path: &Path) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        let socket = loop {
            match UnixStream::connect(path) {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", path.display()),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut reader = socket.try_clone().expect("a descriptor");
        let mut decoder = Decoder::<FromLine>::new();
        let mut bytes = [0; 4096];
        let (sample_rate, rest) = 'greeted: loop {
            let count = reader.read(&mut bytes).expect("the line greets");
            assert!(count > 0, "the line hung up");
            let mut input = &bytes[..count];
            while let Some(message) = decoder.next(&mut input) {
                if let Ok(FromLine::Info(greeting)) = message {
                    break 'greeted (greeting.sample_rate, input.to_vec());
                }
            }
        };
        let state = Arc::new(Mutex::new(State {
            queue: VecDeque::new(),
            hum: None,
            turn: 0.0,
            heard: VecDeque::new(),
            last_sound: None,
            longest_gap: Duration::ZERO,
            feeds: Vec::new(),
            hung_up: None,
            returned: None,
            began: None,
            saying: false,
            sounded: None,
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            // SAFETY: takes numbers. This thread stands for hardware: it must not wait behind programs.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -15) };
            let mut fed = rest;
            loop {
                let mut input = fed.as_slice();
                while let Some(message) = decoder.next(&mut input) {
                    let answer = message.ok().and_then(|message| lock(&shared).hear(message, sample_rate));
                    if let Some(answer) = answer {
                        let mut out = [0; LONGEST];
                        let _ = reader.write_all(answer.encode(&mut out));
                    }
                }
                match reader.read(&mut bytes) {
                    Ok(count) if count > 0 => fed = bytes[..count].to_vec(),
                    _ => break,
                }
            }
        });
        Self { state, socket, sample_rate }
    }

    /// Lifts the receiver, at the earliest when the line has taken a hang-up before for one.
    pub fn lift(&self) {
        let hung_up = self.state().hung_up;
        if let Some(rest) = hung_up.and_then(|at| HANG_UP.checked_sub(at.elapsed())) {
            std::thread::sleep(rest);
        }
        self.hook(true);
    }

    /// Puts the receiver back, and is silent.
    pub fn hang_up(&self) {
        self.hum(None);
        self.echo(None);
        self.state().queue.clear();
        self.hook(false);
        self.state().hung_up = Some(Instant::now());
    }

    /// A short tap of the hook.
    pub fn flash(&self) {
        self.hook(false);
        std::thread::sleep(FLASH);
        self.hook(true);
    }

    /// Lifts and waits for the dial tone.
    pub fn lift_for_dial_tone(&self) {
        self.lift();
        self.must_hear(DIAL_TONE, 5, "dial tone");
    }

    /// Presses keys; returns when the last one has been said.
    pub fn dial(&self, keys: &str) {
        for key in keys.chars() {
            let key = Key::from_char(key).expect("a key of the keypad");
            let pressed = sound::dtmf(
                key,
                self.sample_rate,
                dialtone_base::Duration::from_millis(KEY.as_millis() as u64),
            );
            let mut state = self.state();
            state.queue.extend(&pressed);
            state.queue.extend(std::iter::repeat_n(0, pressed.len()));
        }
        let deadline = Instant::now() + KEY * 4 * keys.len() as u32 + Duration::from_secs(5);
        while !self.state().queue.is_empty() {
            assert!(Instant::now() < deadline, "the line takes no sound while {keys} is dialled");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Says this frequency from now on, at -12 dBm0; `None`: nothing.
    pub fn hum(&self, hertz: Option<f64>) {
        self.state().hum = hertz;
    }

    /// Says this after all that waits to be said.
    pub fn say(&self, samples: &[i16]) {
        self.state().queue.extend(samples);
    }

    /// Returns one in `share` of what it hears, as the wires of a telephone do; `None`: nothing.
    pub fn echo(&self, share: Option<i16>) {
        self.state().returned = share;
    }

    /// When it began to say what was queued last.
    pub fn began(&self) -> Option<SystemTime> {
        self.state().began
    }

    /// When something audible came first since [`Telephone::hear_afresh`].
    pub fn sounded(&self) -> Option<SystemTime> {
        self.state().sounded
    }

    /// Forgets what was heard and how even it was.
    pub fn hear_afresh(&self) {
        let mut state = self.state();
        state.sounded = None;
        state.heard.clear();
        state.longest_gap = Duration::ZERO;
    }

    /// The last stretch of what was heard, or what there is of it since [`Telephone::hear_afresh`].
    pub fn heard(&self, time: Duration) -> Vec<i16> {
        let state = self.state();
        let wanted = (f64::from(self.sample_rate) * time.as_secs_f64()) as usize;
        state.heard.iter().skip(state.heard.len().saturating_sub(wanted)).copied().collect()
    }

    /// Waits for so much sound from now on and returns it.
    pub fn listen(&self, time: Duration) -> Vec<i16> {
        self.hear_afresh();
        let wanted = (f64::from(self.sample_rate) * time.as_secs_f64()) as usize;
        let deadline = Instant::now() + time + Duration::from_secs(5);
        while self.state().heard.len() < wanted && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.heard(time)
    }

    /// Whether the last 150 ms were these frequencies and little else.
    pub fn hears(&self, frequencies: &[f64]) -> bool {
        let heard = self.heard(Duration::from_millis(150));
        heard.len() as u32 == self.sample_rate * 3 / 20
            && sound::is_tone(&heard, self.sample_rate, frequencies)
    }

    /// The level of one frequency in the last 200 ms, in dBm0.
    pub fn level(&self, hertz: f64) -> f64 {
        sound::level(&self.heard(Duration::from_millis(200)), self.sample_rate, hertz)
    }

    /// Waits until [`Telephone::hears`] these.
    pub fn until_hears(&self, frequencies: &[f64], seconds: u64) -> bool {
        wait(seconds, || self.hears(frequencies))
    }

    /// [`Telephone::until_hears`] that panics, with the levels heard instead.
    pub fn must_hear(&self, frequencies: &[f64], seconds: u64, what: &str) {
        if self.until_hears(frequencies, seconds) {
            return;
        }
        let heard = self.heard(Duration::from_millis(500));
        let levels: Vec<_> = frequencies
            .iter()
            .map(|hertz| (*hertz, sound::level(&heard, self.sample_rate, *hertz)))
            .collect();
        let file = std::env::temp_dir().join("dialtone-heard.wav");
        let _ = sound::write_wav(&file, self.sample_rate, &self.heard(Duration::from_secs(5)));
        panic!("no {what}; heard {levels:?} of {:.1} dBm0 altogether", sound::total_level(&heard));
    }

    /// Waits until it hears each of these frequencies (above -35 dBm0), whatever else there is.
    pub fn must_hear_beside(&self, frequencies: &[f64], seconds: u64, what: &str) {
        let heard = wait(seconds, || {
            let heard = self.heard(Duration::from_millis(60));
            frequencies.iter().all(|hertz| sound::level(&heard, self.sample_rate, *hertz) > -35.0)
        });
        assert!(heard, "no {what}");
    }

    /// Waits until the last 300 ms were silence or comfort noise (below -35 dBm0).
    pub fn must_hear_nothing(&self, seconds: u64, when: &str) {
        let last = || self.heard(Duration::from_millis(300));
        let silent = wait(seconds, || {
            last().len() as u32 >= self.sample_rate * 3 / 10 && sound::total_level(&last()) < -35.0
        });
        if !silent {
            let file = std::env::temp_dir().join("dialtone-heard.wav");
            let _ = sound::write_wav(&file, self.sample_rate, &self.heard(Duration::from_secs(5)));
            let level = sound::total_level(&last());
            panic!("something of {level:.1} dBm0 is heard {when}; see {}", file.display());
        }
    }

    /// Whether the bell rings now.
    pub fn rings(&self) -> bool {
        matches!(self.state().feeds.last(), Some((_, Feed::Ringing(_))))
    }

    /// How often the bell has begun to ring since it was plugged in.
    pub fn ring_count(&self) -> usize {
        self.state().feeds.iter().filter(|(_, feed)| matches!(feed, Feed::Ringing(_))).count()
    }

    /// Waits until the bell rings.
    pub fn must_ring(&self, seconds: u64) {
        assert!(wait(seconds, || self.rings()), "it does not ring; the line said {:?}", self.state().feeds);
    }

    /// The longest time between two 10 ms of sound since [`Telephone::hear_afresh`].
    pub fn longest_gap(&self) -> Duration {
        self.state().longest_gap
    }

    fn hook(&self, closed: bool) {
        let mut out = [0; LONGEST];
        let message = FromHandset::Loop(closed);
        (&self.socket).write_all(message.encode(&mut out)).expect("the line listens");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl State {
    fn hear(&mut self, message: FromLine, sample_rate: u32) -> Option<FromHandset> {
        match message {
            FromLine::Feed(feed) => self.feeds.push((Instant::now(), feed)),
            FromLine::Sound(frame) => {
                let now = Instant::now();
                if let Some(last) = self.last_sound.replace(now) {
                    self.longest_gap = self.longest_gap.max(now - last);
                }
                if self.sounded.is_none() && frame.samples().iter().any(|s| s.unsigned_abs() > AUDIBLE) {
                    self.sounded = Some(SystemTime::now());
                }
                let begins = !self.queue.is_empty() && !self.saying;
                if begins {
                    self.began = Some(SystemTime::now());
                }
                self.heard.extend(frame.samples());
                let excess = self.heard.len().saturating_sub(MEMORY * sample_rate as usize);
                self.heard.drain(..excess);
                let mut said = PcmFrame::silence(frame.samples().len());
                for (sample, heard) in said.samples_mut().iter_mut().zip(frame.samples()) {
                    *sample = self.queue.pop_front().unwrap_or_else(|| self.hummed(sample_rate));
                    if let Some(share) = self.returned {
                        *sample = sample.saturating_add(heard / share);
                    }
                }
                self.saying = !self.queue.is_empty();
                return Some(FromHandset::Sound(said));
            }
            FromLine::Busy => panic!("another telephone is plugged in"),
            FromLine::Info(_) => {}
        }
        None
    }

    fn hummed(&mut self, sample_rate: u32) -> i16 {
        let Some(hertz) = self.hum else { return 0 };
        self.turn = (self.turn + hertz / f64::from(sample_rate)).fract();
        let peak = sound::PEAK_AT_0_DBM0 * 10_f64.powf(-12.0 / 20.0);
        (peak * (TAU * self.turn).sin()) as i16
    }
}

/// Tries every 10 ms.
fn wait(seconds: u64, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
