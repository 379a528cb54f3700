//! `dialtone handset`: a telephone on a router's line, in the terminal or as a page in the browser.
//!
//! Commands come from the terminal, a file or the command line, one a line ([`script`]); what happens on the line is printed.
//! A command that fails ends a script with an exit code, so shell tests can use it. Sound comes from and goes to files and pipes;
//! no sound card is touched. [`web`] serves the same telephone to a browser.

pub mod caller_id;
pub mod page;
pub mod script;
pub mod sound;
pub mod telephone;
pub mod tones;
pub mod web;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

use clap::Args;
use dialtone_hal_api::handset::{Decoder, FromHandset, FromLine, LONGEST, Message};
use dialtone_hal_api::line::Feed;
use dialtone_netsim::operator::speech;

use script::{Awaited, Command};
use telephone::{Notice, Telephone};

/// What `dialtone handset` is told.
#[derive(Args, Debug)]
#[command(after_help = format!("Commands, from the terminal or a pipe:\n{}\n
Hear and speak through a sound card:
  dialtone handset --earpiece >(aplay -t raw -f S16_LE -r 8000) \\
                   --microphone <(arecord -t raw -f S16_LE -r 8000)
Call the echo and keep what comes back:
  dialtone handset -c 'lift; wait tone dial; 600; sleep 2; record echo.wav; say one two three; sleep 3; hang up'", script::HELP))]
pub struct Arguments {
    /// The line's socket.
    #[arg(long, value_name = "PATH", conflicts_with = "line")]
    socket: Option<PathBuf>,
    /// Which line of the router on this machine, from 1.
    #[arg(long, value_name = "N", default_value_t = 1)]
    line: u8,
    /// Commands instead of those from the terminal, with semicolons between.
    #[arg(short, long, value_name = "COMMANDS")]
    commands: Option<String>,
    /// A file of commands.
    #[arg(long, value_name = "FILE", conflicts_with = "commands")]
    script: Option<PathBuf>,
    /// Raw samples for the microphone: 16-bit little-endian, mono, at the line's rate.
    #[arg(long, value_name = "FILE")]
    microphone: Option<PathBuf>,
    /// Where raw samples of the earpiece go.
    #[arg(long, value_name = "FILE")]
    earpiece: Option<PathBuf>,
    /// Serve a telephone to a browser here instead.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["commands", "script", "microphone", "earpiece"])]
    web: Option<SocketAddr>,
    /// Print only what commands ask for.
    #[arg(short, long)]
    quiet: bool,
}

/// Where `dialtone run` puts the sockets of its lines.
pub fn default_socket(line: u8) -> PathBuf {
    PathBuf::from(format!("/run/dialtone/phone{line}.sock"))
}

/// Holds the telephone until there are no more commands.
///
/// # Errors
/// In a sentence: no such line, it is taken, a command failed.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let socket = arguments.socket.clone().unwrap_or_else(|| default_socket(arguments.line));
    if let Some(address) = arguments.web {
        return Ok(web::serve_for_ever(address, socket)?);
    }
    let (tell, told) = channel();
    let stream = plug_in(&socket, tell.clone())?;
    let mut earpiece = None;
    if let Some(path) = &arguments.earpiece {
        earpiece = Some(writer(path.clone()));
    }
    if let Some(path) = &arguments.microphone {
        read_microphone(path.clone(), tell.clone());
    }
    let strict = read_commands(arguments, tell)?;
    let mut holder = Holder {
        telephone: Telephone::new(),
        stream,
        earpiece,
        recording: None,
        doing: Doing::Nothing,
        recent: Vec::new(),
        caller: None,
        rang: None,
        ringing: false,
        quiet: arguments.quiet,
        strict,
    };
    let result = holder.hold(&told);
    holder.end_recording()?;
    if holder.telephone.lifted() {
        holder.telephone.hang_up(Instant::now());
        holder.send_due(Instant::now())?;
    }
    Ok(result?)
}

/// Connects, and reads in a thread of its own.
fn plug_in(socket: &Path, tell: Sender<In>) -> Result<UnixStream, String> {
    let stream = UnixStream::connect(socket).map_err(|error| {
        format!(
            "no line at {}: {error}; --socket names another (the demo prints its own), --line counts from 1",
            socket.display()
        )
    })?;
    let mut reader = stream.try_clone().map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        let (mut decoder, mut bytes) = (Decoder::<FromLine>::new(), [0; 4096]);
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            let mut rest = &bytes[..count];
            while let Some(message) = decoder.next(&mut rest) {
                // What is not understood is skipped, as the protocol wants it.
                if let Ok(message) = message
                    && tell.send(In::Line(message)).is_err()
                {
                    return;
                }
            }
        }
        let _ = tell.send(In::Unplugged);
    });
    Ok(stream)
}

/// Reads commands in a thread of its own. Whether a failure ends everything: when nobody sits there to try again.
fn read_commands(arguments: &Arguments, tell: Sender<In>) -> Result<bool, String> {
    let commands = arguments.commands.clone();
    let script = match &arguments.script {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|error| format!("script {}: {error}", path.display()))?)
        }
        None => None,
    };
    let strict =
        commands.is_some() || script.is_some() || !std::io::IsTerminal::is_terminal(&std::io::stdin());
    std::thread::spawn(move || {
        let mut say = |line: &str| tell.send(In::Command(line.to_string())).is_ok();
        if let Some(commands) = commands {
            let _ = commands.split([';', '\n']).all(&mut say);
        } else if let Some(text) = script {
            let _ = text.lines().all(&mut say);
        } else {
            let _ = std::io::stdin().lock().lines().map_while(Result::ok).all(|line| say(&line));
        }
        let _ = tell.send(In::NoMoreCommands);
    });
    Ok(strict)
}

fn read_microphone(path: PathBuf, tell: Sender<In>) {
    std::thread::spawn(move || {
        let Ok(mut file) = File::open(&path) else {
            eprintln!("dialtone: cannot read {}", path.display());
            return;
        };
        let mut bytes = [0; 320];
        let mut filled = 0;
        while let Ok(count @ 1..) = file.read(&mut bytes[filled..]) {
            filled += count;
            let whole = filled & !1;
            let samples =
                bytes[..whole].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
            if tell.send(In::Microphone(samples)).is_err() {
                return;
            }
            bytes.copy_within(whole..filled, 0);
            filled -= whole;
        }
    });
}

/// A thread that writes, so that a slow pipe does not hold up the line.
fn writer(path: PathBuf) -> std::sync::mpsc::SyncSender<Vec<u8>> {
    let (give, take) = sync_channel::<Vec<u8>>(50);
    std::thread::spawn(move || {
        let Ok(mut file) = File::create(&path) else {
            eprintln!("dialtone: cannot write {}", path.display());
            return;
        };
        while let Ok(bytes) = take.recv() {
            if file.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    give
}

// One message is alive at a time; boxing every 10 ms of sound would buy nothing.
#[allow(clippy::large_enum_variant)]
enum In {
    Line(FromLine),
    Unplugged,
    Command(String),
    NoMoreCommands,
    Microphone(Vec<i16>),
}

enum Doing {
    Nothing,
    Sleeping(Instant),
    /// Keys, pulses and flashes go out first.
    Sending,
    /// What, until when, and since when frequencies, sound or silence have been there (in samples).
    Waiting(Awaited, Instant, usize),
}

struct Holder {
    telephone: Telephone,
    stream: UnixStream,
    earpiece: Option<std::sync::mpsc::SyncSender<Vec<u8>>>,
    recording: Option<(PathBuf, Vec<i16>)>,
    doing: Doing,
    /// The newest 20 ms, for frequencies.
    recent: Vec<i16>,
    caller: Option<String>,
    rang: Option<Instant>,
    ringing: bool,
    quiet: bool,
    strict: bool,
}

impl Holder {
    fn hold(&mut self, told: &Receiver<In>) -> Result<(), String> {
        let (mut commands, mut ended) = (std::collections::VecDeque::new(), false);
        loop {
            let now = Instant::now();
            self.send_due(now)?;
            if let Some(result) = self.done(now) {
                self.doing = Doing::Nothing;
                self.judge(result)?;
            }
            while matches!(self.doing, Doing::Nothing) {
                let Some(line) = commands.pop_front() else {
                    if ended {
                        return Ok(());
                    }
                    break;
                };
                let line: String = line;
                match script::parse(&line) {
                    Ok(Some(Command::Quit)) => return Ok(()),
                    Ok(Some(command)) => {
                        let result = self.begin(now, command).map_err(|fault| format!("{line}: {fault}"));
                        self.judge(result)?;
                    }
                    Ok(None) => {}
                    Err(fault) => self.judge(Err(fault))?,
                }
            }
            let next = self.telephone.next_poll();
            let next = match &self.doing {
                Doing::Sleeping(until) | Doing::Waiting(_, until, _) => {
                    next.into_iter().chain([*until]).min()
                }
                _ => next,
            };
            let pause = next.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(now));
            match told.recv_timeout(pause) {
                Ok(In::Line(message)) => self.line(&message)?,
                Ok(In::Command(line)) => commands.push_back(line),
                Ok(In::NoMoreCommands) => ended = true,
                Ok(In::Microphone(samples)) => {
                    self.telephone.speak(samples);
                    self.telephone.keep_newest(self.telephone.rate as usize / 5);
                }
                Ok(In::Unplugged) => return Err("the line hung up on us: did the router end?".into()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// A failure ends a script; a person may try again.
    fn judge(&self, result: Result<(), String>) -> Result<(), String> {
        match result {
            Err(fault) if !self.strict => {
                eprintln!("{fault}");
                Ok(())
            }
            other => other,
        }
    }

    fn begin(&mut self, now: Instant, command: Command) -> Result<(), String> {
        let rate = self.telephone.rate;
        match command {
            Command::Lift => self.telephone.lift(now),
            Command::HangUp => self.telephone.hang_up(now),
            Command::Flash(open) => self.telephone.flash(now, open),
            Command::Keys(keys) => self.telephone.press(&keys),
            Command::Pulse(digits) => {
                for digit in digits.chars().filter_map(|one| one.to_digit(10)) {
                    self.telephone.pulse(now, digit);
                }
            }
            Command::Wait(awaited, limit) => {
                if awaited == Awaited::Caller && self.caller.is_some() {
                    return Ok(());
                }
                self.doing = Doing::Waiting(awaited, now + limit, 0);
                return Ok(());
            }
            Command::Sleep(time) => {
                self.doing = Doing::Sleeping(now + time);
                return Ok(());
            }
            Command::Play(path) => self.telephone.speak(sound::read_wav(&path, rate)?),
            Command::Say(words) => {
                if let Some(word) = words.split_whitespace().find(|word| !speech::knows(word)) {
                    return Err(format!("the voice does not know '{word}'"));
                }
                self.telephone.speak(sound::resampled(&speech::say(&words), 8000, rate));
            }
            Command::Tone(hertz, time) => {
                let millis = time.as_millis().min(600_000) as u32;
                let mut queue = std::collections::VecDeque::new();
                sound::queue(&mut sound::Tones::new(&[(hertz, -10.0)], rate, Some(millis)), &mut queue);
                self.telephone.speak(queue);
            }
            Command::Record(path) => {
                self.end_recording()?;
                self.recording = Some((path, Vec::new()));
            }
            Command::RecordEnd => self.end_recording()?,
            Command::Expect(number) => {
                let shown = self.caller.clone().unwrap_or_else(|| "nothing".into());
                if shown != number {
                    return Err(format!("the display shows {shown}"));
                }
            }
            Command::Status => self.status(),
            Command::Help => println!("{}", script::HELP),
            Command::Quit => {}
        }
        self.doing = Doing::Sending;
        Ok(())
    }

    /// Whether what is being done is done.
    fn done(&mut self, now: Instant) -> Option<Result<(), String>> {
        let rate = self.telephone.rate as usize;
        match &self.doing {
            Doing::Nothing => None,
            Doing::Sending => (!self.telephone.busy() || !self.telephone.lifted()).then_some(Ok(())),
            Doing::Sleeping(until) => (now >= *until).then_some(Ok(())),
            Doing::Waiting(awaited, until, heard) => {
                let there = match awaited {
                    Awaited::Ring => self.ringing,
                    Awaited::RingEnd => {
                        let silent = |at: Instant| now.duration_since(at) > Duration::from_secs(6);
                        !self.ringing && self.rang.is_none_or(silent)
                    }
                    Awaited::Caller => self.caller.is_some(),
                    Awaited::Tone(tone) => self.telephone.ear.tone == Some(*tone),
                    Awaited::Frequencies(_) => *heard >= rate * 3 / 10,
                    Awaited::Sound => *heard >= rate / 10,
                    Awaited::Silence => *heard >= rate,
                    Awaited::Feed(name) => name_of(self.telephone.feed) == *name,
                };
                match there {
                    true => Some(Ok(())),
                    false if now >= *until => Some(Err(format!("waited in vain for {}", describe(awaited)))),
                    false => None,
                }
            }
        }
    }

    fn line(&mut self, message: &FromLine) -> Result<(), String> {
        let now = Instant::now();
        for notice in self.telephone.line(now, message) {
            match notice {
                Notice::Plugged(name) => {
                    self.tell(&format!("plugged into {name}, {} Hz", self.telephone.rate))
                }
                Notice::Taken => return Err("another handset is plugged into this line".into()),
                Notice::RingOn(hertz) => {
                    if self.rang.is_none_or(|at| now.duration_since(at) > Duration::from_secs(6)) {
                        self.tell(&format!("it rings ({hertz} Hz)"));
                        self.caller = self.caller.take().filter(|_| self.rang.is_none());
                    }
                    (self.ringing, self.rang) = (true, Some(now));
                }
                Notice::RingOff(on, pause) => {
                    (self.ringing, self.rang) = (false, Some(now));
                    let pause = pause.filter(|pause| *pause < Duration::from_secs(7));
                    let pause = pause.map_or(String::new(), |pause| {
                        format!(" after {:.1} s of silence", pause.as_secs_f64())
                    });
                    self.tell(&format!("rang for {:.1} s{pause}", on.as_secs_f64()));
                }
                Notice::Feed(feed) => self.tell(&format!("the battery is {}", name_of(feed))),
                Notice::Caller(caller) => {
                    if let Some(waiting) = caller.waiting {
                        self.tell(if waiting { "messages are waiting" } else { "no messages are waiting" });
                    } else {
                        let who = caller.absent.unwrap_or(&caller.number);
                        self.tell(&format!("caller: {who} {} {}", caller.name, caller.time));
                        self.caller = Some(who.to_string());
                    }
                }
                Notice::Tone(tone) => self.tell(&tone.to_string()),
            }
        }
        if let FromLine::Sound(frame) = message {
            self.hear(frame.samples());
            let reply = FromHandset::Sound(self.telephone.microphone(true));
            self.send(&reply)?;
        }
        Ok(())
    }

    fn hear(&mut self, samples: &[i16]) {
        if let Some((_, kept)) = &mut self.recording {
            kept.extend_from_slice(samples);
        }
        if let Some(earpiece) = &self.earpiece {
            // A pipe that nobody empties loses sound.
            let _ = earpiece.try_send(samples.iter().flat_map(|one| one.to_le_bytes()).collect());
        }
        let rate = self.telephone.rate;
        self.recent.extend_from_slice(samples);
        let excess = self.recent.len().saturating_sub(rate as usize / 50);
        self.recent.drain(..excess);
        if let Doing::Waiting(awaited, _, heard) = &mut self.doing {
            let loud = sound::level(samples) > -45.0;
            let there = match awaited {
                Awaited::Frequencies(frequencies) => {
                    let all = sound::power(&self.recent);
                    let parts = frequencies.iter().map(|hertz| sound::power_at(&self.recent, *hertz, rate));
                    loud && parts.sum::<f64>() > 0.6 * all
                }
                Awaited::Sound => loud,
                Awaited::Silence => !loud,
                _ => false,
            };
            *heard = if there { *heard + samples.len() } else { 0 };
        }
    }

    fn status(&self) {
        let hook = if self.telephone.lifted() { "lifted" } else { "on its hook" };
        let tone = self
            .telephone
            .ear
            .tone
            .filter(|_| self.telephone.lifted())
            .map_or("no tone".to_string(), |tone| tone.to_string());
        let caller = self.caller.as_deref().unwrap_or("nobody");
        println!(
            "receiver {hook}, battery {}, {tone}, last caller {caller}, {:.0} dBm0",
            name_of(self.telephone.feed),
            sound::level(&self.recent)
        );
    }

    fn send_due(&mut self, now: Instant) -> Result<(), String> {
        for message in self.telephone.poll(now) {
            self.send(&message)?;
        }
        Ok(())
    }

    fn send(&mut self, message: &FromHandset) -> Result<(), String> {
        let mut out = [0; LONGEST];
        self.stream.write_all(message.encode(&mut out)).map_err(|error| format!("the line is gone: {error}"))
    }

    fn end_recording(&mut self) -> Result<(), String> {
        let Some((path, samples)) = self.recording.take() else { return Ok(()) };
        self.tell(&format!("{:.1} s recorded", samples.len() as f64 / f64::from(self.telephone.rate)));
        sound::write_wav(&path, &samples, self.telephone.rate)
    }

    /// What strangers sent may not steer the terminal.
    fn tell(&self, text: &str) {
        if !self.quiet {
            let text: String = text.chars().map(|one| if one.is_control() { '?' } else { one }).collect();
            println!("{}", text.trim_end());
        }
    }
}

fn name_of(feed: Feed) -> &'static str {
    match feed {
        Feed::Forward => "forward",
        Feed::Reverse => "reverse",
        Feed::Ringing(_) => "ringing",
        Feed::Open => "open",
    }
}

fn describe(awaited: &Awaited) -> String {
    match awaited {
        Awaited::Ring => "a ring".into(),
        Awaited::RingEnd => "the bell to stop".into(),
        Awaited::Caller => "a caller on the display".into(),
        Awaited::Tone(tone) => tone.to_string(),
        Awaited::Frequencies(frequencies) => format!("{frequencies:?} Hz"),
        Awaited::Sound => "sound".into(),
        Awaited::Silence => "silence".into(),
        Awaited::Feed(feed) => format!("battery {feed}"),
    }
}
