//! Processor time of the router's process in a call, beside baresip's in the same call.
//!
//! Both processes' threads by the scheduler's account, for a while with the call and for a while without; the difference is the call's.
//! The network is in it on both sides: whoever sends a packet on a veth pays for its way to the other's socket. baresip has no line echo
//! canceller, so the call is made once with ours and once without.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use dialtone_hal_testkit::handset::sound;
use dialtone_interop::home::binary;
use dialtone_interop::telephone::{DIAL_TONE, Telephone};
use dialtone_interop::telephony::Telephony;

use super::party::{self, Manner};
use crate::table::Table;

/// Name, whether the line is wide, and baresip's side.
const CALLS: [(&str, bool, Manner); 4] = [
    ("G.711 A-law, 8 kHz line", false, manner("PCMA/8000/1", "g711", 8000, "")),
    ("G.722, 16 kHz line", true, manner("G722/16000/1", "g722", 16_000, "")),
    (
        "Opus, 16 kHz line; baresip as it comes: 28 kbit/s, complexity 10, 48 kHz",
        true,
        manner("opus/48000/1", "opus", 48_000, "opus_stereo no\nopus_sprop_stereo no"),
    ),
    (
        "Opus, 16 kHz line; baresip as we: 42 kbit/s, complexity 1, redundancy",
        true,
        manner(
            "opus/48000/1",
            "opus",
            48_000,
            "opus_stereo no\nopus_sprop_stereo no\nopus_bitrate 42000\nopus_complexity 1\nopus_inbandfec yes\nopus_packet_loss 3",
        ),
    ),
];

const fn manner(codec: &'static str, module: &'static str, rate: u32, more: &'static str) -> Manner {
    Manner { codec, module, rate, more, answers: true }
}

/// The table.
pub fn run(quick: bool, telephony: &mut Telephony) {
    let (seconds, idle) = if quick { (1.5, 1.0) } else { (20.0, 6.0) };
    let router = telephony.home.router_program().id();
    let mut table = Table::new(&[
        "ms of processor per second of call (system in it)",
        "dialtone",
        "without canceller",
        "baresip",
        "ratio",
        "without canceller",
    ]);
    // A short run shows that it works: A-law and Opus.
    for (name, wide, manner) in CALLS.iter().step_by(if quick { 2 } else { 1 }) {
        let party = party::start(telephony, manner);
        let processes = [router, party.id()];
        thread::sleep(Duration::from_millis(300));
        let rest = spent(processes, idle);
        let (line, phone) = if *wide { (0, &telephony.telephones[0]) } else { (1, &telephony.telephones[1]) };
        let mut figures = Vec::new();
        for cancelling in if quick { &[false][..] } else { &[true, false] } {
            cancel(telephony, line, *cancelling);
            match call(phone, processes, seconds) {
                Ok(used) => figures.push([0, 1].map(|at| used[at].less(rest[at]))),
                Err(why) => println!("  SKIPPED {name}: {why}\n{}", party.output()),
            }
        }
        cancel(telephony, line, true);
        let Some([bare, theirs]) = figures.last() else { continue };
        let full = (figures.len() > 1).then(|| figures[0]);
        let absent = || "–".to_owned();
        table.row([
            (*name).to_owned(),
            full.map_or_else(absent, |[ours, _]| ours.shown()),
            bare.shown(),
            theirs.shown(),
            full.map_or_else(absent, |[ours, theirs]| format!("{:.2}", ours.all / theirs.all)),
            format!("{:.2}", bare.all / theirs.all),
        ]);
    }
    println!("\nA call's processor time, idle subtracted; ratio: dialtone over baresip in the same call\n");
    table.print();
}

fn cancel(telephony: &Telephony, line: usize, cancelling: bool) {
    let socket = telephony.home.lab.directory().join("console");
    let line = format!(
        "{} settings --socket {} set telephony.lines.{line}.echo_cancellation {cancelling}",
        binary().display(),
        socket.display()
    );
    let said = telephony.home.router.shell(&line, 10);
    // What is in force already is refused.
    assert!(said.ok || said.text.contains("already"), "{}", said.text);
    thread::sleep(Duration::from_millis(200));
}

/// One call with speech both ways and the line's echo; what each process spent per second in the middle of it.
fn call(phone: &Telephone, processes: [u32; 2], seconds: f64) -> Result<[Spent; 2], String> {
    phone.lift();
    if !phone.until_hears(DIAL_TONE, 5) {
        return Err("no dial tone".into());
    }
    phone.dial(&format!("{}#", party::NUMBER));
    phone.echo(Some(4));
    phone.say(&party::voice(phone.sample_rate, 2));
    thread::sleep(Duration::from_millis(1200));
    phone.hear_afresh();
    let used = spent(processes, seconds);
    let heard = sound::total_level(&phone.heard(Duration::from_secs_f64(seconds)));
    phone.hang_up();
    thread::sleep(super::ON_HOOK);
    if heard < -40.0 {
        return Err(format!("only {heard:.0} dBm0 were heard"));
    }
    Ok(used)
}

/// Milliseconds of processor per second.
#[derive(Clone, Copy)]
struct Spent {
    all: f64,
    system: f64,
}

impl Spent {
    fn less(self, other: Self) -> Self {
        Self { all: self.all - other.all, system: self.system - other.system }
    }

    fn shown(self) -> String {
        format!("{:.1} ({:.0} %)", self.all, 100.0 * self.system / self.all)
    }
}

fn spent(processes: [u32; 2], seconds: f64) -> [Spent; 2] {
    let (begun, before) = (Instant::now(), processes.map(account));
    thread::sleep(Duration::from_secs_f64(seconds));
    let (passed, after) = (begun.elapsed().as_secs_f64(), processes.map(account));
    [0, 1].map(|at| {
        let mut total = [0.0; 2];
        for (thread, now) in &after[at] {
            let then = before[at].get(thread).copied().unwrap_or_default();
            total[0] += now[0] - then[0];
            total[1] += now[1] - then[1];
        }
        Spent { all: total[0] / passed, system: total[1] / passed }
    })
}

/// Milliseconds so far of each thread: all of it, exactly, and what of it was the kernel's, to 10 ms.
fn account(process: u32) -> HashMap<String, [f64; 2]> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let one = |thread: fs::DirEntry| {
        let exact = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanoseconds: f64 = exact.split_whitespace().next()?.parse().ok()?;
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let system: f64 = fields.split_whitespace().nth(12)?.parse().ok()?;
        Some((thread.file_name().to_string_lossy().into_owned(), [nanoseconds / 1e6, system * 10.0]))
    };
    threads.filter_map(one).collect()
}
