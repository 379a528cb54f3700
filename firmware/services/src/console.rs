//! One-line commands for people and for `dialtone settings`, over whatever the board calls a console.
//!
//! An answer is the word `ok` or `error` on a line, lines of text, and a line with a single dot. A line of text that begins
//! with a dot gets another one in front. Commands: see `help`. Whoever reaches the console may change everything: the
//! board decides who does (on Linux the socket's owner).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use dialtone_base::counter::Reason;
use dialtone_base::event::EventRing;
use dialtone_base::{PortId, Zone};
use dialtone_dataplane::Command;
use dialtone_dataplane::trace::Filter;
use dialtone_hal_api::console::ConsoleHandle;
use dialtone_settings::{fields, json};

use crate::devices;
use crate::settings::{Accepted, Request, SettingsControl};
use crate::state::{RouterState, now};

/// Answers commands; never ends.
pub async fn run(
    mut console: ConsoleHandle,
    control: &'static SettingsControl,
    state: &'static RouterState,
) -> ! {
    loop {
        let line = console.next_line().await;
        let answer = answer(line.trim(), control, state).await;
        console.write(&frame(&answer)).await;
    }
}

/// Text, or what was wrong with the command.
type Answer = Result<String, String>;

/// `ok` or `error`, the text with its dots doubled, the dot.
fn frame(answer: &Answer) -> String {
    let (word, text) = match answer {
        Ok(text) => ("ok", text),
        Err(text) => ("error", text),
    };
    let mut out = format!("{word}\n");
    for line in text.lines() {
        let dot = if line.starts_with('.') { "." } else { "" };
        let _ = writeln!(out, "{dot}{line}");
    }
    out.push_str(".\n");
    out
}

async fn answer(line: &str, control: &SettingsControl, state: &RouterState) -> Answer {
    let (word, rest) = split(line);
    let mut out = String::new();
    match word {
        "help" | "" => out.push_str(HELP),
        "status" => status(state, &mut out),
        "devices" => at_home(state, &mut out),
        "leases" => leases(state, &mut out),
        "flows" => flows(state, &mut out),
        "counters" => counters(state, &mut out),
        "events" => events(state, &state.events, &mut out),
        "traffic" => events(state, &state.traffic, &mut out),
        "phone" => telephone(state, &mut out),
        "calls" => calls(state, &mut out),
        "trace" => return trace(rest, state).await,
        "settings" => return settings(rest, control, state).await,
        _ => return Err(format!("there is no command \"{word}\"; try help")),
    }
    Ok(out)
}

fn telephone(state: &RouterState, out: &mut String) {
    let (lines, numbers) = critical_section::with(|token| {
        (state.lines.borrow_ref(token).clone(), state.numbers.borrow_ref(token).clone())
    });
    if lines.is_empty() {
        out.push_str("this board has no telephone line\n");
    }
    for (index, line) in lines.iter().enumerate() {
        let _ = writeln!(out, "line {} ({}): {}", index + 1, line.name, line.state);
        for (reason, count) in &line.losses {
            let _ = writeln!(out, "  lost: {reason}: {count}");
        }
    }
    if numbers.is_empty() {
        out.push_str("no number is set; see \"settings explain telephony.accounts\"\n");
    }
    for number in &numbers {
        let _ = writeln!(out, "number {} (account {}): {}", number.number, number.account, number.state);
    }
    let refusals = critical_section::with(|token| state.telephony_refusals.borrow_ref(token).clone());
    for (reason, count) in refusals {
        let _ = writeln!(out, "not taken: {reason}: {count}");
    }
}

fn calls(state: &RouterState, out: &mut String) {
    use dialtone_phone::call_log::{Direction, Outcome};
    let log = critical_section::with(|token| state.call_log.borrow_ref(token).clone());
    if log.iter().next().is_none() {
        out.push_str("no call yet\n");
    }
    for entry in log.iter() {
        let direction = match entry.direction {
            Direction::In => "from",
            Direction::Out => "to",
            Direction::Inside => "inside",
        };
        let outcome = match entry.outcome {
            Outcome::Answered => "answered",
            Outcome::Missed => "missed",
            Outcome::AnsweredElsewhere => "answered elsewhere",
            Outcome::Rejected => "refused",
            Outcome::Forwarded => "forwarded",
            Outcome::Busy => "busy",
            Outcome::NoAnswer => "no answer",
            Outcome::Failed => "failed",
            Outcome::Blocked => "blocked",
        };
        let shown = if entry.party.number.is_empty() { "a withheld number" } else { &entry.party.number };
        match entry.at {
            Some(at) => {
                let _ = write!(out, "{at} ");
            }
            None => out.push_str("(time unknown) "),
        }
        let _ = write!(out, "{direction} {shown}");
        if !entry.party.name.is_empty() {
            let _ = write!(out, " \"{}\"", entry.party.name);
        }
        let _ = write!(out, ": {outcome}, {} s", entry.seconds);
        if let Some(quality) = &entry.quality {
            let mos = quality.mos_hundredths;
            let _ = write!(out, ", sound {}.{:02} of 4.50", mos / 100, mos % 100);
        }
        out.push('\n');
    }
}

async fn settings(line: &str, control: &SettingsControl, state: &RouterState) -> Answer {
    let (word, rest) = split(line);
    let current = || state.current_settings().ok_or("the settings are not read yet: try again");
    let request = match word {
        "show" | "export" | "" => return Ok(json::export(&*current()?)),
        "get" => return json::value_at(&*current()?, rest).map_err(|refused| format!("{refused}")),
        "explain" => return explain(rest),
        "set" => {
            let (path, value) = split(rest);
            Request::Set { path: path.into(), value: value.into() }
        }
        "reset" => Request::Reset { path: rest.into() },
        "import" => Request::Import(rest.into()),
        "confirm" => Request::Confirm,
        "revert" => Request::Revert,
        _ => return Err(format!("there is no command \"settings {word}\"; try help")),
    };
    let about_ports = match &request {
        Request::Set { path, .. } => path.starts_with("guest"),
        Request::Import(_) => true,
        _ => false,
    };
    let mut out = told(&control.ask(request).await?);
    if about_ports && let Some(settings) = state.current_settings() {
        for name in state.unknown_guest_ports(&settings) {
            let _ = write!(out, "\nthere is no port \"{name}\": guests do not get it. Ports:");
            for port in state.ports.iter().filter(|port| port.zone != Zone::Wan) {
                let _ = write!(out, " {}", port.name);
            }
        }
    }
    Ok(out)
}

/// What came of a change, for people.
fn told(accepted: &Accepted) -> String {
    let mut out = match accepted.trial_ends {
        Some(ends) => format!(
            "revision {} is in force on trial: say \"settings confirm\" within {} s, or it goes back",
            accepted.revision,
            ends.since(now()).as_secs()
        ),
        None => format!("revision {} is in force", accepted.revision),
    };
    if accepted.unsaved {
        out.push_str("; it could not be written to flash and is lost with the power");
    }
    out
}

/// The fields at `path` in plain words.
///
/// # Errors
/// When there are none.
pub fn explain(path: &str) -> Result<String, String> {
    let mut out = String::new();
    for field in fields::explain(path) {
        let _ = writeln!(out, "{} ({}: {})", field.path, field.kind, field.range);
        let _ = writeln!(out, "    {}", field.explanation);
        if let Some(default) = fields::default_of(field) {
            let words: Vec<&str> = default.lines().map(str::trim).collect();
            let _ = writeln!(out, "    default: {}", words.join(" "));
        }
    }
    if out.is_empty() {
        return Err(format!("there is no field \"{path}\"; without a path all are explained"));
    }
    Ok(out)
}

async fn trace(line: &str, state: &RouterState) -> Answer {
    let (word, rest) = split(line);
    match word {
        "start" => {
            let (filter, packets) = traced(rest)?;
            state.commands.send(Command::Trace { filter, packets }).await;
            Ok(format!("the next {packets} packets that match are traced; see them with \"trace show\""))
        }
        "stop" => {
            state.commands.send(Command::Trace { filter: Filter::default(), packets: 0 }).await;
            Ok("tracing is off".into())
        }
        "show" => {
            let mut out = String::new();
            let traces = critical_section::with(|token| state.traces.borrow_ref(token).clone());
            for trace in &traces {
                let _ = writeln!(out, "{trace}");
            }
            if traces.is_empty() {
                out.push_str("nothing was traced yet; a packet shows here within a second\n");
            }
            Ok(out)
        }
        _ => Err("say \"phone                       telephone lines and numbers
calls                       the last calls, newest first
trace start [PACKETS] [MAC] [ADDRESS] [port=N]\", \"trace show\" or \"trace stop\""
            .into()),
    }
}

/// Which packets, and how many: words in any order.
fn traced(words: &str) -> Result<(Filter, u32), String> {
    let (mut filter, mut packets) = (Filter::default(), 16);
    for word in words.split_whitespace() {
        if let Ok(count) = word.parse::<u32>() {
            packets = count.min(1000);
        } else if let Ok(address) = word.parse() {
            filter.address = Some(address);
        } else if let Some(port) = word.strip_prefix("port=").and_then(|port| port.parse().ok()) {
            filter.port = Some(port);
        } else if let Ok(mac) = word.parse() {
            filter.mac = Some(mac);
        } else {
            return Err(format!("{word} is no number of packets, address, MAC address or port=N"));
        }
    }
    Ok((filter, packets))
}

fn status(state: &RouterState, out: &mut String) {
    let wan = state.current_wan();
    let _ = match (wan.address, wan.gateway) {
        (Some(address), Some(gateway)) => writeln!(out, "internet: {address} via {gateway}"),
        _ => writeln!(out, "internet: none, {}", wan.reason),
    };
    if let Some(settings) = state.current_settings() {
        let _ = writeln!(out, "home: {}", settings.lan.address);
    }
    let links = state.links();
    for (index, port) in state.ports.iter().enumerate() {
        let id = PortId(index as u8);
        let up = if links.contains(id) { "up" } else { "down" };
        let _ = writeln!(out, "port {}: {}, {up}", port.name, state.zone_of(id).unwrap_or(port.zone));
    }
    let leases = critical_section::with(|token| state.leases.borrow_ref(token).len());
    let _ = writeln!(out, "leases: {leases}");
    let _ = writeln!(out, "running for {} s", now().as_secs());
    match state.unix_time() {
        Some(unix) => drop(writeln!(out, "time: {unix}")),
        None => out.push_str("time: not known yet\n"),
    }
}

fn at_home(state: &RouterState, out: &mut String) {
    for known in devices::at_home(state) {
        let device = &known.device;
        let _ = write!(out, "{} {}", device.mac, device.zone);
        let _ = match device.address {
            Some(address) => write!(out, " {address}"),
            None => write!(out, " -"),
        };
        if !known.port.is_empty() {
            let _ = write!(out, " on {}", known.port);
        }
        let _ = match device.last_seen {
            _ if device.online => write!(out, " online"),
            Some(at) => write!(out, " last seen {} s ago", now().since(at).as_secs()),
            None => write!(out, " not seen yet"),
        };
        let _ = writeln!(
            out,
            ", received {} bytes, sent {} bytes {}",
            known.received_bytes, known.sent_bytes, device.label
        );
    }
}

fn leases(state: &RouterState, out: &mut String) {
    let leases = critical_section::with(|token| state.leases.borrow_ref(token).clone());
    for lease in leases {
        let left = lease.expires.since(now()).as_secs();
        let kind = if lease.reserved { "reserved" } else { "leased" };
        let _ = writeln!(
            out,
            "{} {} {} {kind}, {left} s left {}",
            lease.address, lease.mac, lease.zone, lease.name
        );
    }
}

fn flows(state: &RouterState, out: &mut String) {
    let flows = critical_section::with(|token| state.snapshot.borrow_ref(token).flows);
    let _ = writeln!(out, "{} of {} in use, {} mappings", flows.in_use, flows.capacity, flows.mappings);
    let _ = writeln!(
        out,
        "{} opened, {} expired, {} evicted, {} revoked",
        flows.opened, flows.expired, flows.evicted, flows.revoked
    );
}

fn counters(state: &RouterState, out: &mut String) {
    let snapshot = critical_section::with(|token| state.snapshot.borrow_ref(token).clone());
    for (port, counters) in state.ports.iter().zip(&snapshot.ports) {
        let _ = writeln!(
            out,
            "{}: received {} frames {} bytes, sent {} frames {} bytes",
            port.name, counters.received, counters.received_bytes, counters.sent, counters.sent_bytes
        );
    }
    let _ =
        writeln!(out, "fast path {}, slow path {}, for us {}", snapshot.fast, snapshot.slow, snapshot.punted);
    for (reason, count) in snapshot.drops_seen() {
        let _ = writeln!(out, "dropped {count}: {reason}");
    }
    let expedited = critical_section::with(|token| state.expedited.borrow_ref(token).clone());
    for (outcome, count) in expedited.iter().filter(|(_, count)| *count > 0) {
        let _ = writeln!(out, "to the internet {count}: {}", outcome.name());
    }
}

fn events(state: &RouterState, ring: &EventRing, out: &mut String) {
    let mut next = ring.next_sequence().saturating_sub(EVENTS);
    while let Some(entry) = ring.read(next) {
        let millis = entry.at.as_millis();
        let _ = writeln!(out, "{}.{:03} {}", millis / 1000, millis % 1000, state.words(&entry.event));
        next = entry.sequence + 1;
    }
}

fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

/// Events shown at once.
const EVENTS: u64 = 40;

const HELP: &str = "\
status                      internet, ports, time
devices                     who is at home
leases                      who has which address
phone                       telephone lines, and how each number is registered
calls                       the last calls, and how they sounded
flows, counters             how full the tables are, what was dropped and why
events                      what happened to the router last
traffic                     which flows and names came last
trace start [PACKETS] [MAC] [ADDRESS] [port=N], trace show, trace stop
settings show               all settings as JSON
settings get PATH           one of them
settings set PATH VALUE     change one; VALUE is JSON, a word, or words with commas
settings reset [PATH]       back to the default, or out of its list
settings explain [PATH]     what they are for
settings import JSON        all of them at once, on one line
settings confirm, settings revert
                            keep the change on trial, or take it back
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another_one() {
        let text = "one\n.two\n..three\n.\nfour.";
        assert_eq!(frame(&Ok(text.into())), "ok\none\n..two\n...three\n..\nfour.\n.\n");
        assert_eq!(frame(&Ok(String::new())), "ok\n.\n");
    }

    #[test]
    fn an_error_is_framed_like_an_answer() {
        assert_eq!(frame(&Err("no".into())), "error\nno\n.\n");
    }

    #[test]
    fn words_of_a_trace_come_in_any_order() {
        let (filter, packets) = traced("port=53 02:00:00:00:00:01 5 10.0.0.1").unwrap();
        assert_eq!((filter.port, packets), (Some(53), 5));
        assert!(filter.mac.is_some() && filter.address.is_some());
        assert!(traced("port=x").is_err() && traced("sofa").is_err());
    }
}
