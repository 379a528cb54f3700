//! Which telephone lines a router on Linux has, as its command line says it, and all kinds of them behind one type.
//!
//! `socket:PATH` waits for a handset that is a program ([`crate::handset`]); `ag1171:CHIP,rm=N,fr=N,shk=N[,pd=N],alsa=DEVICE` is a real telephone
//! on a Silvertel module ([`crate::gpio`], [`crate::alsa`]). Both take `rate=8000` (the default) or `rate=16000`. Opening needs the
//! rights that running does not.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use dialtone_base::Instant;
use dialtone_base::text::Text;
use dialtone_hal_api::line::{LineDriver, LineInfo};
use dialtone_slic_ag1171::{Ag1171, Runner};

use crate::alsa::AlsaCodec;
use crate::custody::Custody;
use crate::executor::Reactor;
use crate::gpio::{ModulePins, Parking, Wiring};
use crate::handset::HandsetSocket;

/// A line that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSpec {
    /// Samples in a second.
    pub sample_rate: u32,
    /// What is at the end of it.
    pub kind: LineKind,
}

/// What is at the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A socket for a handset that is a program.
    Socket(PathBuf),
    /// A Silvertel Ag1171 on GPIO lines, with a sound card as its converter.
    Ag1171 {
        /// Its pins.
        wiring: Wiring,
        /// The sound card, in ALSA's words.
        alsa: String,
    },
}

/// A line that is there, not running yet.
pub struct OpenedLine {
    sample_rate: u32,
    kind: OpenedKind,
}

enum OpenedKind {
    Socket(HandsetSocket),
    Ag1171(Box<(ModulePins, AlsaCodec)>),
}

/// Keep it until the router ends: dropped, it leaves the wires without ringing.
pub struct LineParking {
    _module: Option<Parking>,
}

const SYNTAX: &str = "a line is socket:PATH or ag1171:CHIP,rm=N,fr=N,shk=N[,pd=N],alsa=DEVICE, either with ,rate=8000 or ,rate=16000";

impl FromStr for LineSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| format!("{text:?} is no line: {SYNTAX}"))?;
        match kind {
            "socket" => parse_socket(rest),
            "ag1171" => parse_ag1171(rest),
            _ => Err(format!("no line of kind {kind:?}: {SYNTAX}")),
        }
    }
}

/// A path may have commas of its own: only a rate at the very end is taken off.
fn parse_socket(text: &str) -> Result<LineSpec, String> {
    let (path, sample_rate) = match text.rsplit_once(",rate=") {
        Some((path, rate)) => (path, parse_rate(rate)?),
        None => (text, DEFAULT_RATE),
    };
    match path {
        "" => Err(format!("socket: lacks its path; {SYNTAX}")),
        path => Ok(LineSpec { sample_rate, kind: LineKind::Socket(path.into()) }),
    }
}

fn parse_ag1171(text: &str) -> Result<LineSpec, String> {
    let mut parts = text.split(',');
    let chip = match parts.next() {
        Some(chip) if !chip.is_empty() && !chip.contains('=') => chip.to_string(),
        _ => {
            return Err(format!(
                "ag1171: begins with the GPIO chip, like ag1171:gpiochip0,rm=17,…; {SYNTAX}"
            ));
        }
    };
    let (mut pins, mut alsa, mut sample_rate) = ([None; 4], None, None);
    const NAMES: [&str; 4] = ["rm", "fr", "shk", "pd"];
    let mut device_goes_on = false;
    for part in parts {
        let Some((key, value)) = part.split_once('=') else {
            // hw:1,0 has a comma itself.
            match &mut alsa {
                Some(device) if device_goes_on => *device = format!("{device},{part}"),
                _ => return Err(format!("{part:?} is not of the form key=value; {SYNTAX}")),
            }
            continue;
        };
        device_goes_on = key == "alsa";
        let again = |known: bool| if known { Err(format!("{key}= is given twice")) } else { Ok(()) };
        match (key, NAMES.iter().position(|name| *name == key)) {
            (_, Some(at)) => {
                again(pins[at].is_some())?;
                let line = value.parse().map_err(|_| format!("{key}={value}: a GPIO line is a number"))?;
                if let Some(other) = pins.iter().position(|pin| *pin == Some(line)) {
                    return Err(format!("{key}={value}: line {line} is {} already", NAMES[other]));
                }
                pins[at] = Some(line);
            }
            ("alsa", None) => {
                again(alsa.is_some())?;
                alsa = Some(value.to_string());
            }
            ("rate", None) => {
                again(sample_rate.is_some())?;
                sample_rate = Some(parse_rate(value)?);
            }
            _ => return Err(format!("no option {key:?}; {SYNTAX}")),
        }
    }
    let lacks = |name: &str| format!("ag1171:{text} lacks {name}=; {SYNTAX}");
    let [rm, fr, shk, power_down] = pins;
    let wiring = Wiring {
        chip,
        ring_mode: rm.ok_or_else(|| lacks("rm"))?,
        forward: fr.ok_or_else(|| lacks("fr"))?,
        hook: shk.ok_or_else(|| lacks("shk"))?,
        power_down,
    };
    let alsa = alsa.filter(|device| !device.is_empty()).ok_or_else(|| lacks("alsa"))?;
    Ok(LineSpec { sample_rate: sample_rate.unwrap_or(DEFAULT_RATE), kind: LineKind::Ag1171 { wiring, alsa } })
}

const DEFAULT_RATE: u32 = 8000;

fn parse_rate(text: &str) -> Result<u32, String> {
    match text {
        "8000" => Ok(8000),
        "16000" => Ok(16000),
        _ => Err(format!("rate={text}: a line has 8000 or 16000 samples a second")),
    }
}

impl LineSpec {
    /// The socket's path, where it is one: to be removed at the end.
    pub fn socket(&self) -> Option<&PathBuf> {
        match &self.kind {
            LineKind::Socket(path) => Some(path),
            LineKind::Ag1171 { .. } => None,
        }
    }

    /// Has the guardian clean up after it: the socket removed, the module put to rest, however the router ends.
    pub fn leave_to(&self, custody: &mut Custody) {
        match &self.kind {
            LineKind::Socket(path) => custody.remove_at_end(path),
            LineKind::Ag1171 { wiring, .. } => custody.park_at_end(wiring),
        }
    }

    /// Takes all that the line needs and starts no thread, so that rights can be dropped afterwards. Keep the second part until the router ends.
    ///
    /// # Errors
    /// With a text for people.
    pub fn open(&self) -> io::Result<(OpenedLine, LineParking)> {
        let (kind, parking) = match &self.kind {
            LineKind::Socket(path) => {
                let socket = HandsetSocket::open(path).map_err(|error| {
                    io::Error::new(error.kind(), format!("line {}: {error}", path.display()))
                })?;
                (OpenedKind::Socket(socket), None)
            }
            LineKind::Ag1171 { wiring, alsa } => {
                let (pins, parking) = wiring.open()?;
                let codec = AlsaCodec::open(alsa, self.sample_rate)?;
                (OpenedKind::Ag1171(Box::new((pins, codec))), Some(parking))
            }
        };
        Ok((OpenedLine { sample_rate: self.sample_rate, kind }, LineParking { _module: parking }))
    }
}

impl OpenedLine {
    /// What is fixed about it.
    pub fn info(&self, name: &str) -> LineInfo {
        LineInfo { name: Text::lossy(name), sample_rate: self.sample_rate }
    }

    /// Runs the line for as long as the router runs; an error is the end of it.
    pub async fn run(self, reactor: Reactor, driver: LineDriver) -> io::Error {
        match self.kind {
            OpenedKind::Socket(socket) => socket.run(&reactor, driver).await,
            OpenedKind::Ag1171(parts) => {
                let (pins, codec) = *parts;
                let now = Instant::from_micros(embassy_time::Instant::now().as_micros());
                match Runner::new(Ag1171::new(now, pins), codec, driver).run().await {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LineSpec, String> {
        text.parse()
    }

    #[test]
    fn lines_are_what_the_command_line_says() {
        let socket = |path: &str, sample_rate| LineSpec { sample_rate, kind: LineKind::Socket(path.into()) };
        assert_eq!(parse("socket:/run/dialtone/line1"), Ok(socket("/run/dialtone/line1", 8000)));
        assert_eq!(parse("socket:/tmp/a,b:c,rate=16000"), Ok(socket("/tmp/a,b:c", 16000)));
        let wiring =
            Wiring { chip: "gpiochip0".into(), ring_mode: 17, forward: 27, hook: 22, power_down: Some(23) };
        let real = |wiring, alsa: &str, sample_rate| LineSpec {
            sample_rate,
            kind: LineKind::Ag1171 { wiring, alsa: alsa.into() },
        };
        let text = "ag1171:gpiochip0,rm=17,fr=27,shk=22,pd=23,alsa=hw:1";
        assert_eq!(parse(text), Ok(real(wiring.clone(), "hw:1", 8000)));
        let wiring = Wiring { power_down: None, ..wiring };
        let text = "ag1171:gpiochip0,alsa=hw:1,0,rate=16000,shk=22,fr=27,rm=17";
        assert_eq!(parse(text), Ok(real(wiring, "hw:1,0", 16000)));
    }

    #[test]
    fn wrong_lines_are_refused_with_the_reason() {
        let refused = [
            ("/run/line1", "is no line"),
            ("fxo:1", "no line of kind \"fxo\""),
            ("socket:", "lacks its path"),
            ("socket:/a,rate=44100", "8000 or 16000"),
            ("ag1171:rm=1,fr=2", "begins with the GPIO chip"),
            ("ag1171:gpiochip0,rm=1,fr=2,alsa=hw:1", "lacks shk="),
            ("ag1171:gpiochip0,rm=1,fr=2,shk=3", "lacks alsa="),
            ("ag1171:gpiochip0,rm=1,fr=2,shk=3,alsa=", "lacks alsa="),
            ("ag1171:gpiochip0,rm=1,fr=1,shk=3,alsa=hw:1", "line 1 is rm already"),
            ("ag1171:gpiochip0,rm=1,rm=4,shk=3,alsa=hw:1", "rm= is given twice"),
            ("ag1171:gpiochip0,rm=x,fr=1,shk=3,alsa=hw:1", "is a number"),
            ("ag1171:gpiochip0,led=3", "no option \"led\""),
            ("ag1171:gpiochip0,0,rm=1", "not of the form"),
        ];
        for (text, reason) in refused {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_opened_says_why() {
        let spec = parse("ag1171:gpiochip99,rm=1,fr=2,shk=3,alsa=null").unwrap();
        assert!(spec.open().err().unwrap().to_string().contains("gpiochip99"));
        let spec = parse("socket:/proc/no/such/place").unwrap();
        assert!(spec.open().err().unwrap().to_string().contains("/proc/no/such/place"));
    }
}
