//! What the demo tells: events as they happen, where to click, one line of summary, a farewell.
//!
//! Colours and the live summary line only on a terminal; `NO_COLOR` switches the colours off. Flows and names that come
//! in a rush are counted instead of told, unless `--verbose`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{IsTerminal, Write, stdout};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dialtone_base::counter::Reason;
use dialtone_base::event::{Entry, Event};
use dialtone_services::state::{EventReader, RouterState};

use super::ports::Door;
use super::proxy::{Protocol, Proxies};

/// Flows and names told per second; the rest is counted.
const PER_SECOND: u32 = 12;

/// The terminal, or a file.
pub struct Screen {
    terminal: bool,
    colour: bool,
    verbose: bool,
    reader: Cell<EventReader>,
    counts: RefCell<Counts>,
    line: RefCell<String>,
    second: Cell<(Instant, u32, u32)>,
    measured: Cell<(Instant, u64, u64)>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    names: u64,
    flows: u64,
    leases: u64,
}

/// Where the figures of a summary come from.
pub struct Tally<'a> {
    /// The router.
    pub router: &'static RouterState,
    /// The laptop's proxies.
    pub proxies: &'a Proxies,
}

#[derive(Clone, Copy)]
enum Colour {
    Plain,
    Faint,
    Good,
    Bad,
    Name,
    Bold,
}

impl Screen {
    /// Standard output as it is.
    pub fn new(verbose: bool) -> Self {
        let terminal = stdout().is_terminal();
        // https://no-color.org: present and not empty.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let now = Instant::now();
        Self {
            terminal: terminal && !dumb,
            colour: terminal && wanted && !dumb,
            verbose,
            reader: Cell::default(),
            counts: RefCell::default(),
            line: RefCell::default(),
            second: Cell::new((now, 0, 0)),
            measured: Cell::new((now, 0, 0)),
        }
    }

    /// The first lines.
    pub fn greet(&self) {
        self.say(Colour::Bold, "Dialtone: a home router, in a simulated home inside this program.");
        self.say(Colour::Faint, "Nothing on this computer is changed, and no rights are needed.");
    }

    /// A port had to give way.
    pub fn port_taken(&self, what: &str, wanted: u16, got: u16) {
        self.say(Colour::Bad, &format!("port {wanted} is taken: the {what} is on {got} instead"));
    }

    /// Addresses for a browser and for curl.
    pub fn where_to_click(&self, doors: &[Door], internet: bool) {
        let example = if internet { "https://example.com/" } else { "http://example.test/" };
        self.say(Colour::Plain, "");
        for door in doors {
            let place = format!("127.0.0.1:{}", door.port);
            let line = match door.protocol {
                Protocol::RouterPage => format!("  status page   http://{place}/"),
                Protocol::Http => format!("  HTTP proxy    {place:<16}  curl -x http://{place} {example}"),
                Protocol::Socks => {
                    format!("  SOCKS5 proxy  {place:<16}  curl -x socks5h://{place} {example}")
                }
            };
            self.say(Colour::Bold, &line);
        }
        let beyond = if internet {
            "Beyond the simulated ISP is the real internet; names under .test lead to a built-in web."
        } else {
            "No internet in use: every name leads to a little web, http only, built into the simulated ISP."
        };
        self.say(Colour::Faint, &format!("  {beyond}"));
        self.say(
            Colour::Faint,
            "  A browser set to one of the proxies lives behind the router. Ctrl-C ends the demo.",
        );
        self.say(Colour::Plain, "");
    }

    /// Where the telephones are, and what can be dialled.
    pub fn where_to_telephone(&self, port: u16, sockets: &[PathBuf]) {
        let page = format!("http://127.0.0.1:{port}/");
        self.say(Colour::Bold, &format!("  handset page  {page:<23} a telephone: pick it up"));
        self.say(
            Colour::Faint,
            "  Dial 600 to hear yourself, 601 for the time, 602 to be called back; 603 is busy, 604 leaves a message, 605 announces.",
        );
        self.say(
            Colour::Faint,
            &format!(
                "  The second line is 5552: {page}?line=2 in another tab, and dial 5552. In a terminal:"
            ),
        );
        if let Some(socket) = sockets.first() {
            let ourselves = ourselves();
            self.say(Colour::Faint, &format!("    {ourselves} handset --socket {}", socket.display()));
        }
        self.say(Colour::Plain, "");
    }

    /// Tells what happened since the last call.
    pub fn events(&self, router: &RouterState, names: &HashMap<Ipv4Addr, String>) {
        let mut reader = self.reader.get();
        while let Some((missed, entry)) = reader.next(router) {
            if missed > 0 {
                self.say(Colour::Faint, &format!("         … {missed} events went by too fast to tell"));
            }
            self.event(&entry, router, names);
        }
        self.reader.set(reader);
        let (since, _, held_back) = self.second.get();
        if since.elapsed() >= Duration::from_secs(1) {
            if held_back > 0 {
                self.say(Colour::Faint, &format!("         … and {held_back} more flows and names"));
            }
            self.second.set((Instant::now(), 0, 0));
        }
    }

    /// Refreshes the summary line at the bottom of a terminal, twice a second.
    pub fn summary_line(&self, tally: &Tally<'_>) {
        let (at, up, down) = self.measured.get();
        let elapsed = at.elapsed().as_secs_f64();
        if !self.terminal || elapsed < 0.5 {
            return;
        }
        let totals = tally.proxies.totals;
        self.measured.set((Instant::now(), totals.up, totals.down));
        let rate = |now: u64, before: u64| format!("{}/s", bytes(((now - before) as f64 / elapsed) as u64));
        let flows = critical_section::with(|token| tally.router.snapshot.borrow_ref(token).flows.in_use);
        let line = format!(
            " {} flows · {} connections · ↓ {} · ↑ {} · {} names asked ",
            flows,
            tally.proxies.open(),
            rate(totals.down, down),
            rate(totals.up, up),
            self.counts.borrow().names,
        );
        *self.line.borrow_mut() = line;
        self.redraw("");
    }

    /// The last lines.
    pub fn farewell(&self, tally: &Tally<'_>, uptime: Duration) {
        self.line.borrow_mut().clear();
        let counts = *self.counts.borrow();
        let totals = tally.proxies.totals;
        let drops: u64 = critical_section::with(|token| {
            let snapshot = tally.router.snapshot.borrow_ref(token);
            // An answer the router asked for and kept is not lost.
            let lost = snapshot.drops.iter().filter(|(reason, _)| Reason::name(*reason) != "arp-consumed");
            lost.map(|(_, count)| count).sum()
        });
        self.say(Colour::Plain, "");
        self.say(Colour::Bold, &format!("Dialtone ran for {:.1} s.", uptime.as_secs_f64()));
        self.say(
            Colour::Plain,
            &format!(
                "  {} through the proxies ({} failed), {} in, {} out",
                counted(totals.accepted, "connection"),
                totals.failed,
                bytes(totals.down),
                bytes(totals.up),
            ),
        );
        self.say(
            Colour::Plain,
            &format!(
                "  {}, {} asked, {}, {} dropped",
                counted(counts.leases, "lease"),
                counted(counts.names, "name"),
                counted(counts.flows, "flow"),
                counted(drops, "packet"),
            ),
        );
    }

    fn event(&self, entry: &Entry, router: &RouterState, names: &HashMap<Ipv4Addr, String>) {
        let mut counts = self.counts.borrow_mut();
        let (colour, frequent, text) = match &entry.event {
            Event::FlowOpened { protocol, inside, outside, remote } => {
                counts.flows += 1;
                let kind = match protocol {
                    6 => "tcp",
                    17 => "udp",
                    1 => "ping",
                    _ => "ip",
                };
                let text = format!("{kind} {inside} → {} as {outside}", with_name(remote, names));
                (Colour::Plain, true, text)
            }
            Event::NameAnswered { client, cached, .. } => {
                counts.names += 1;
                // What the router remembers for itself is news to nobody.
                if *cached && client.is_loopback() && !self.verbose {
                    return;
                }
                (Colour::Name, true, entry.event.to_string())
            }
            Event::Leased { .. } => {
                counts.leases += 1;
                (Colour::Good, false, entry.event.to_string())
            }
            Event::Link { up, .. } => {
                (if *up { Colour::Good } else { Colour::Bad }, false, router.words(&entry.event).to_string())
            }
            Event::WanUp { .. } | Event::Started => (Colour::Good, false, entry.event.to_string()),
            Event::WanDown { .. } | Event::WanConflict { .. } | Event::Upstream { healthy: false, .. } => {
                (Colour::Bad, false, entry.event.to_string())
            }
            _ => (Colour::Plain, false, entry.event.to_string()),
        };
        drop(counts);
        if frequent && !self.verbose {
            let (since, told, held_back) = self.second.get();
            if told >= PER_SECOND {
                self.second.set((since, told, held_back + 1));
                return;
            }
            self.second.set((since, told + 1, held_back));
        }
        let seconds = entry.at.as_millis() as f64 / 1000.0;
        let time = self.paint(Colour::Faint, &format!("{seconds:8.3}"));
        let text = self.paint(colour, &clean(&text));
        self.redraw(&format!("{time} {text}"));
    }

    fn say(&self, colour: Colour, text: &str) {
        let text = self.paint(colour, text);
        self.redraw(&format!("{text}\x00"));
    }

    /// Prints `line`, if there is one, above the summary line. A line that ends in NUL may be empty.
    fn redraw(&self, line: &str) {
        let mut out = stdout().lock();
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        // A reader that went away must not end the demo.
        let _ = match line.strip_suffix('\x00').or_else(|| (!line.is_empty()).then_some(line)) {
            Some(line) => writeln!(out, "{clear}{line}"),
            None => write!(out, "{clear}"),
        };
        if self.terminal {
            let _ = write!(out, "{}", self.paint(Colour::Faint, &self.line.borrow()));
        }
        let _ = out.flush();
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.into(),
            Colour::Faint => 2,
            Colour::Good => 32,
            Colour::Bad => 31,
            Colour::Name => 36,
            Colour::Bold => 1,
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// How to start this program again: it need not be installed.
fn ourselves() -> String {
    let Ok(path) = std::env::current_exe() else { return "dialtone".into() };
    let here = std::env::current_dir().ok();
    let path = here.and_then(|here| path.strip_prefix(here).ok().map(PathBuf::from)).unwrap_or(path);
    path.display().to_string()
}

impl Protocol {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP proxy",
            Self::Socks => "SOCKS5 proxy",
            Self::RouterPage => "status page",
        }
    }
}

fn with_name(remote: &SocketAddrV4, names: &HashMap<Ipv4Addr, String>) -> String {
    match names.get(remote.ip()) {
        Some(name) => format!("{name}:{} ({})", remote.port(), remote.ip()),
        None => remote.to_string(),
    }
}

/// Names come from strangers: nothing in them may steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}
