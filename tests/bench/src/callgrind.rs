//! Instructions per packet: the same rounds under `valgrind --tool=callgrind`.
//!
//! Only the functions that process a round are collected, so writing frames does not count. Two runs of different length
//! are subtracted: what remains of start-up disappears. Instructions do not depend on the machine's mood, so this is the
//! figure to watch for changes.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};

use crate::dataplane::{Bench, ROUND};
use crate::table::Table;

/// What runs under valgrind.
#[derive(Args)]
pub struct Drive {
    /// Which NAT.
    #[arg(long)]
    subject: Subject,
    /// Flows that exist.
    #[arg(long)]
    flows: u32,
    /// Rounds of 256 packets.
    #[arg(long)]
    rounds: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// The data plane, one call per packet.
    Dataplane,
    /// The data plane in batches.
    Batch,
    /// The data plane, first packets of flows only.
    New,
    /// The ordinary NAT.
    Ordinary,
}

/// Opens the flows and processes the rounds.
pub fn drive(drive: &Drive) {
    macro_rules! rounds {
        ($bench:expr, $prepare:ident, $process:ident) => {{
            let mut bench = $bench;
            for round in 0..drive.rounds {
                bench.$prepare(round);
                bench.$process();
                assert_eq!(bench.forwarded, ROUND);
            }
        }};
    }
    match drive.subject {
        Subject::Dataplane => rounds!(Bench::router(drive.flows), established, process_each),
        Subject::Batch => rounds!(Bench::router(drive.flows), established, process_each_batch),
        Subject::New => rounds!(Bench::router(0), first_packets, process_each),
        Subject::Ordinary => rounds!(Bench::ordinary(drive.flows), established, process_each),
    }
}

/// Counts and prints; says so when there is no valgrind.
pub fn run(quick: bool) {
    let found =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("\nInstructions per packet: skipped, valgrind is not installed");
        return;
    }
    let scale = if quick { 1 } else { 5 };
    let mut table = Table::new(&[
        "64-byte frames, established UDP, NAT, both ways",
        "one by one",
        "in batches",
        "ordinary Rust NAT",
    ]);
    for flows in [1, 64_000] {
        let mut counts = ["dataplane", "batch", "ordinary"].map(|subject| {
            let count = |rounds: usize| {
                let (flows, rounds) = (flows.to_string(), (rounds * scale).to_string());
                collected(&["drive", "--subject", subject, "--flows", &flows, "--rounds", &rounds])
            };
            let (short, long) = (count(10)?, count(60)?);
            Some((long - short) as f64 / (50 * scale * ROUND) as f64)
        });
        let mut cell =
            |at: usize| counts[at].take().map_or("not counted".into(), |count| format!("{count:.1}"));
        table.row([format!("{flows} flows"), cell(0), cell(1), cell(2)]);
    }
    println!("\nInstructions per packet, counted by callgrind\n");
    table.print();
}

/// Instructions inside the functions named `process_each…` of a run of this program with `arguments`.
pub fn collected(arguments: &[&str]) -> Option<u64> {
    let name = format!("dialtone-callgrind-{}-{}", std::process::id(), arguments.join("-"));
    let out = std::env::temp_dir().join(name);
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*process_each*", "--collect-atstart=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().ok()?)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    let count = status.success().then(|| total(&out)).flatten();
    let _ = std::fs::remove_file(&out);
    count
}

/// The total of a callgrind file.
fn total(path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")))?;
    line.split_whitespace().next()?.parse().ok()
}
