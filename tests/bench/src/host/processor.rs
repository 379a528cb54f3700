//! What the processors did: the whole machine and one process.

use std::fs;
use std::time::Instant;

/// Remembers when a measurement began.
pub struct Meter {
    since: Instant,
    machine: u64,
    process: Option<u32>,
    router: u64,
}

/// What was used since, in processors (1.0 is one of them, all the time).
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// By everything on the machine, interrupts included.
    pub machine: f64,
    /// By the process.
    pub router: f64,
}

impl Meter {
    /// Begins; `process` is the router's, if it has one.
    pub fn start(process: Option<u32>) -> Self {
        Self { since: Instant::now(), machine: machine(), process, router: process.map_or(0, of_process) }
    }

    /// What was used since it began.
    pub fn read(&self) -> Used {
        let ticks = self.since.elapsed().as_secs_f64() * ticks_per_second();
        let router = self.process.map_or(0, of_process).saturating_sub(self.router);
        Used { machine: machine().saturating_sub(self.machine) as f64 / ticks, router: router as f64 / ticks }
    }
}

/// The machine in a line: processors and what others are doing on it.
pub fn describe() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split_whitespace().take(3).collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{processors} processors, Linux {}, load before {}", kernel.trim(), load.join(" "))
}

/// Ticks in which any processor was not idle. Time stolen by the machine's host is no work of ours.
fn machine() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq
    [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum()
}

/// User and system ticks of a process, all its threads.
fn of_process(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted behind it.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<&str> = after.split_whitespace().collect();
    [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum()
}

fn ticks_per_second() -> f64 {
    // SAFETY: takes no pointers.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}
