//! The telephone in the browser: a WebSocket (RFC 6455) on one side, a line's socket on the other.
//!
//! Text messages are small JSON objects, binary ones 16-bit little-endian samples at the line's rate. Keys become tones here, so
//! that they are sound on the line whatever the browser does. A thread per page, asleep in poll(2); the line is the clock.
//!
//! | From | Message | Means |
//! |---|---|---|
//! | page | `{"hook":true}` | lifted, or not |
//! | page | `{"key":"5","down":true}` | a key goes down or comes up |
//! | page | `{"flash":250}` | a flash of so many milliseconds |
//! | server | `{"line":"phone1","rate":8000,"lines":2}` | the first message; how many lines there are |
//! | server | `{"ring":25}` | the bell, 0: not |
//! | server | `{"caller":{"number":…,"name":…,"time":…,"absent":…}}` | the display |
//! | server | `{"waiting":true}` | messages |
//! | server | `{"tone":"dial"}`, `{"feed":"reverse"}` | for whoever is curious |
//! | server | `{"taken":true}`, `{"gone":true}` | no line to be had; the last message |

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dialtone_hal_api::handset::{Decoder, FromHandset, FromLine, LONGEST, Message};
use dialtone_hal_api::line::Feed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message as Frame, WebSocket};

use super::page::{self, Answer};
use super::telephone::{Notice, Telephone};
use super::tones::Tone;

/// Browsers at the same time.
const MOST: usize = 32;
/// Milliseconds of the page's sound that are gathered before any is used, and kept at most.
const GATHER: u32 = 30;
const KEEP: u32 = 160;
/// A page that says nothing for this long is asked whether it is there.
const ASK: Duration = Duration::from_secs(20);
/// Until it is given up.
const SILENCE: Duration = Duration::from_secs(50);

/// Serves pages for one line until the program is ended.
///
/// # Errors
/// In a sentence.
pub fn serve_for_ever(address: SocketAddr, socket: PathBuf) -> Result<(), String> {
    let listener =
        TcpListener::bind(address).map_err(|error| format!("cannot listen at {address}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if !address.ip().is_loopback() {
        eprintln!("dialtone: everybody who reaches {address} can telephone");
    }
    println!("handset page  http://{address}/");
    accept(&listener, vec![socket]);
    Ok(())
}

/// Serves pages for these lines in threads of their own.
pub fn serve(listener: TcpListener, lines: Vec<PathBuf>) {
    std::thread::spawn(move || accept(&listener, lines));
}

fn accept(listener: &TcpListener, lines: Vec<PathBuf>) {
    let (lines, open) = (Arc::new(lines), Arc::new(AtomicUsize::new(0)));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, perhaps: not again at once.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MOST {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (lines, open) = (lines.clone(), open.clone());
        std::thread::spawn(move || {
            // A browser that leaves is no event.
            let _ = visit(stream, &lines);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn visit(mut stream: TcpStream, lines: &[PathBuf]) -> io::Result<()> {
    let refused = Answer::Refused("400 Bad Request", "only GET here");
    let answer = page::read(&mut stream)?.map_or(refused, |request| page::answer(&request, lines.len()));
    let Answer::Line(line, key) = answer else { return page::send(&mut stream, &answer) };
    stream.set_nodelay(true)?;
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )?;
    stream.set_nonblocking(true)?;
    let config =
        WebSocketConfig::default().max_message_size(Some(64 * 1024)).max_write_buffer_size(512 * 1024);
    let socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut bridge = match UnixStream::connect(&lines[line]) {
        Ok(line) => Bridge::new(socket, line, lines.len())?,
        Err(_) => return farewell(socket, &ToPage::Gone(true)),
    };
    match bridge.run() {
        // The page knows: the last message said so.
        Ok(last) => farewell(bridge.socket, &last),
        Err(error) => Err(error),
    }
}

fn farewell(mut socket: WebSocket<TcpStream>, last: &ToPage<'_>) -> io::Result<()> {
    socket.get_ref().set_nonblocking(false)?;
    socket.get_ref().set_write_timeout(Some(Duration::from_secs(2)))?;
    let text = serde_json::to_string(last).unwrap_or_default();
    let _ = socket.send(Frame::text(text));
    let _ = socket.close(None);
    // The browser closes when it has read that.
    let _ = socket.get_ref().set_read_timeout(Some(Duration::from_secs(2)));
    while socket.read().is_ok() {}
    Ok(())
}

/// What a page says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FromPage {
    hook: Option<bool>,
    key: Option<char>,
    down: bool,
    flash: Option<u64>,
}

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum ToPage<'a> {
    Ring(u8),
    Caller(Display<'a>),
    Waiting(bool),
    Tone(&'static str),
    Feed(&'static str),
    Taken(bool),
    Gone(bool),
    #[serde(untagged)]
    Line {
        line: &'a str,
        rate: u32,
        lines: usize,
    },
}

#[derive(Debug, Serialize)]
struct Display<'a> {
    number: &'a str,
    name: &'a str,
    time: &'a str,
    absent: Option<&'static str>,
}

/// A page and its line.
struct Bridge {
    socket: WebSocket<TcpStream>,
    line: UnixStream,
    lines: usize,
    decoder: Decoder<FromLine>,
    telephone: Telephone,
    gathered: bool,
    /// Sound for the page waits until what went before is out.
    clogged: bool,
    heard_of: Instant,
    asked: Instant,
}

impl Bridge {
    fn new(socket: WebSocket<TcpStream>, line: UnixStream, lines: usize) -> io::Result<Self> {
        line.set_nonblocking(true)?;
        let now = Instant::now();
        Ok(Self {
            socket,
            line,
            lines,
            decoder: Decoder::new(),
            telephone: Telephone::new(),
            gathered: false,
            clogged: false,
            heard_of: now,
            asked: now,
        })
    }

    /// Until one side leaves; what the page is to be told last. An error: the page left.
    fn run(&mut self) -> io::Result<ToPage<'static>> {
        loop {
            let now = Instant::now();
            for message in self.telephone.poll(now) {
                if self.say_to_line(&message).is_err() {
                    return Ok(ToPage::Gone(true));
                }
            }
            self.keep_alive(now)?;
            let next =
                self.telephone.next_poll().map_or(ASK, |at| at.saturating_duration_since(now).min(ASK));
            let (page_ready, line_ready) = self.wait(next)?;
            if page_ready {
                self.page()?;
            }
            if line_ready && let Some(last) = self.line()? {
                return Ok(last);
            }
        }
    }

    fn wait(&mut self, limit: Duration) -> io::Result<(bool, bool)> {
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        let writing = if self.clogged { PollFlags::OUT } else { PollFlags::empty() };
        let mut descriptors = [
            PollFd::new(self.socket.get_ref(), PollFlags::IN | writing),
            PollFd::new(&self.line, PollFlags::IN),
        ];
        match poll(&mut descriptors, Some(&limit)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok((false, false)),
            Err(error) => return Err(error.into()),
        }
        let [page, line] = descriptors.map(|one| one.revents());
        if page.contains(PollFlags::OUT) {
            self.clogged = is_clogged(self.socket.flush())?;
        }
        Ok((page.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR), !line.is_empty()))
    }

    fn keep_alive(&mut self, now: Instant) -> io::Result<()> {
        if now.duration_since(self.heard_of) > SILENCE {
            return Err(ErrorKind::TimedOut.into());
        }
        if now.duration_since(self.heard_of.max(self.asked)) > ASK {
            self.asked = now;
            let sent = self.socket.send(Frame::Ping(Default::default()));
            self.clogged = is_clogged(sent)?;
        }
        Ok(())
    }

    /// All the page has said.
    fn page(&mut self) -> io::Result<()> {
        loop {
            let frame = match self.socket.read() {
                Ok(frame) => frame,
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(broken(error)),
            };
            let now = Instant::now();
            self.heard_of = now;
            match frame {
                Frame::Text(text) => self.command(now, &text),
                Frame::Binary(bytes) => {
                    let rate = self.telephone.rate;
                    let samples = bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
                    self.telephone.speak(samples);
                    self.telephone.keep_newest((rate / 1000 * KEEP) as usize);
                    self.gathered |= self.telephone.unspoken() >= (rate / 1000 * GATHER) as usize;
                }
                Frame::Close(_) => return Err(ErrorKind::ConnectionAborted.into()),
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => {}
            }
        }
    }

    /// What is not understood is passed over: the page is ours, but its version may not be.
    fn command(&mut self, now: Instant, text: &str) {
        let Ok(said) = serde_json::from_str::<FromPage>(text) else { return };
        match said.hook {
            Some(true) if !self.telephone.lifted() => self.telephone.lift(now),
            Some(false) if self.telephone.lifted() => {
                self.gathered = false;
                self.telephone.hang_up(now);
            }
            _ => {}
        }
        if let Some(millis) = said.flash
            && self.telephone.lifted()
        {
            self.telephone.flash(now, Duration::from_millis(millis.clamp(20, 1000)));
        }
        if let Some(key) = said.key {
            match said.down {
                true if self.telephone.lifted() => self.telephone.key_down(key),
                _ => self.telephone.key_up(),
            }
        }
    }

    /// All the line has said; the page's last message when it was the line's last.
    fn line(&mut self) -> io::Result<Option<ToPage<'static>>> {
        let mut bytes = [0; 4096];
        loop {
            let count = match self.line.read(&mut bytes) {
                Ok(0) => return Ok(Some(ToPage::Gone(true))),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Ok(Some(ToPage::Gone(true))),
            };
            let mut rest = &bytes[..count];
            while let Some(message) = self.decoder.next(&mut rest) {
                let Ok(message) = message else { continue };
                for notice in self.telephone.line(Instant::now(), &message) {
                    if notice == Notice::Taken {
                        return Ok(Some(ToPage::Taken(true)));
                    }
                    self.tell(&notice)?;
                }
                if let FromLine::Sound(frame) = message {
                    let samples: Vec<u8> = frame.samples().iter().flat_map(|one| one.to_le_bytes()).collect();
                    if self.telephone.lifted() && !self.clogged {
                        self.clogged = is_clogged(self.socket.send(Frame::binary(samples)))?;
                    }
                    let reply = self.microphone();
                    if self.say_to_line(&reply).is_err() {
                        return Ok(Some(ToPage::Gone(true)));
                    }
                }
            }
        }
    }

    /// A frame of what the page sent, once enough of it has gathered.
    fn microphone(&mut self) -> FromHandset {
        let (rate, waiting) = (self.telephone.rate, self.telephone.unspoken());
        if waiting < (rate / 100) as usize {
            self.gathered = false;
        }
        FromHandset::Sound(self.telephone.microphone(self.gathered))
    }

    fn tell(&mut self, notice: &Notice) -> io::Result<()> {
        let message = match notice {
            Notice::Plugged(name) => {
                ToPage::Line { line: name, rate: self.telephone.rate, lines: self.lines }
            }
            Notice::Taken => ToPage::Taken(true),
            Notice::RingOn(hertz) => ToPage::Ring(*hertz),
            Notice::RingOff(..) => ToPage::Ring(0),
            Notice::Feed(feed) => ToPage::Feed(match feed {
                Feed::Forward => "forward",
                Feed::Reverse => "reverse",
                Feed::Ringing(_) => "ringing",
                Feed::Open => "open",
            }),
            Notice::Caller(caller) => match caller.waiting {
                Some(waiting) => ToPage::Waiting(waiting),
                None => ToPage::Caller(Display {
                    number: &caller.number,
                    name: &caller.name,
                    time: &caller.time,
                    absent: caller.absent,
                }),
            },
            Notice::Tone(tone) => ToPage::Tone(match tone {
                Tone::Dial => "dial",
                Tone::Ringback => "ringback",
                Tone::Busy => "busy",
                Tone::Congestion => "congestion",
            }),
        };
        let text = serde_json::to_string(&message).map_err(io::Error::other)?;
        self.clogged |= is_clogged(self.socket.send(Frame::text(text)))?;
        Ok(())
    }

    fn say_to_line(&mut self, message: &FromHandset) -> io::Result<()> {
        let mut out = [0; LONGEST];
        match self.line.write_all(message.encode(&mut out)) {
            // The router is busy: sound may be lost, the hook may not, but then there is no room for anything.
            Err(error)
                if error.kind() == ErrorKind::WouldBlock && matches!(message, FromHandset::Sound(_)) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

/// Whether a write has to wait.
fn is_clogged(result: Result<(), tungstenite::Error>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(false),
        Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
