//! The whole host path: `dialtone run` between network namespaces, against Linux doing the same.
//!
//! Two yards of the same shape (client, router, server, joined by veth pairs) stand side by side; one has the kernel as
//! router (nftables masquerade behind a stateful filter, dnsmasq for names), the other `dialtone run`. Every figure is
//! taken in short rounds that alternate between them; ratios are of the same round, their median is reported, because on
//! a machine shared with others absolute figures wander and ratios hardly do. Nothing is pinned to a processor.

use dialtone_interop::exists;

mod blast;
mod comparison;
mod latency;
mod leases;
mod names;
mod processor;
mod system;
mod tcp;
mod yard;

use blast::{Direction, Load};
use comparison::{Row, Table};
use yard::Yard;

/// How long to measure, and what.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Rounds of each measurement, each with both routers.
    rounds: usize,
    /// Seconds of one router's part of a round.
    seconds: f64,
    /// The same router twice.
    control: bool,
    /// Only rows whose name holds this.
    only: String,
    /// How `dialtone run` reaches its interfaces.
    driver: String,
}

/// The same, as people give it.
#[derive(clap::Args, Clone, Debug)]
pub struct Choice {
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each router's part of a round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only the rows whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// How `dialtone run` reaches its interfaces: auto, packet, xdp.
    #[arg(long, default_value = "auto")]
    driver: String,
}

impl Effort {
    /// For figures to be written down.
    pub fn full() -> Self {
        Self { rounds: 5, seconds: 2.0, control: false, only: String::new(), driver: "auto".into() }
    }

    /// To see that all of it works.
    pub fn quick() -> Self {
        Self { rounds: 1, seconds: 1.0, ..Self::full() }
    }

    /// To see how far ratios wander by themselves.
    pub fn control() -> Self {
        Self { rounds: 3, seconds: 1.0, control: true, ..Self::full() }
    }

    /// Whether a row is wanted.
    fn wants(&self, what: &str) -> bool {
        what.contains(&self.only)
    }
}

impl From<Choice> for Effort {
    fn from(choice: Choice) -> Self {
        let Choice { rounds, seconds, only, driver } = choice;
        Self { rounds, seconds, control: false, only, driver }
    }
}

/// A figure of one router in one round.
#[derive(Clone, Debug, Default)]
struct Figure {
    /// More is better.
    value: f64,
    /// Processors' seconds per second spent by the whole machine.
    machine: f64,
    /// The same by the router's process; 0 where the kernel routes.
    router: f64,
    /// What else was seen.
    note: String,
}

/// What to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Packets, TCP and latency against the kernel.
    Packets,
    /// Names and leases against dnsmasq.
    Services,
}

/// Measures and prints the table.
pub fn run(effort: Effort, parts: &[Part]) {
    let mut table = Table::default();
    for part in parts {
        match part {
            Part::Packets => packets(&effort, &mut table),
            Part::Services => services(&effort, &mut table),
        }
    }
    println!("\n{table}");
}

fn packets(effort: &Effort, table: &mut Table) {
    let Some(mut yards) = yards("host path", effort, &["nft"], table) else { return };
    for (flows, senders) in [(1, 1), (1000, 1), (1000, 2)] {
        for direction in [Direction::Up, Direction::Down] {
            let what = format!("UDP 64 B {direction}, {flows} flow(s), {senders} sender(s), kpps");
            let load = Load { flows, senders, direction, pace: None };
            compare(&mut yards, effort, table, &what, Some(1.0), |yard, seconds| {
                blast::rate(yard, load, seconds)
            });
        }
    }
    for flows in [1, 1000] {
        for direction in [Direction::Up, Direction::Down] {
            let what = format!("UDP 64 B {direction}, {flows} flow(s), highest of all offered loads, kpps");
            compare(&mut yards, effort, table, &what, Some(1.0), |yard, seconds| {
                blast::highest(yard, flows, direction, seconds)
            });
        }
    }
    for direction in [Direction::Up, Direction::Down] {
        let what = format!("UDP 64 B {direction}, 100 kpps offered, kpps");
        let load = Load { flows: 1, senders: 1, direction, pace: Some(100_000.0) };
        compare(&mut yards, effort, table, &what, None, |yard, seconds| blast::rate(yard, load, seconds));
    }
    if exists("iperf3") {
        for streams in [1, 4] {
            for direction in [Direction::Up, Direction::Down] {
                let what = format!("TCP {direction}, {streams} stream(s), Gbit/s");
                compare(&mut yards, effort, table, &what, Some(0.5), |yard, seconds| {
                    tcp::throughput(yard, streams, direction, seconds)
                });
            }
        }
    } else {
        table.skip("TCP", "iperf3 is not installed (./check install)");
    }
    latency::rows(&mut yards, effort, table);
}

fn services(effort: &Effort, table: &mut Table) {
    let Some(mut yards) = yards("names and leases", effort, &["nft", "dnsmasq"], table) else { return };
    names::rows(&mut yards, effort, table);
    leases::rows(&mut yards, effort, table);
}

/// Both yards: ours first.
fn yards(what: &str, effort: &Effort, programs: &[&str], table: &mut Table) -> Option<[Yard; 2]> {
    // SAFETY: takes no pointers.
    if unsafe { libc::geteuid() } != 0 {
        table.skip(what, "network namespaces need root");
        return None;
    }
    let missing: Vec<_> = programs.iter().filter(|program| !exists(program)).collect();
    if !missing.is_empty() {
        table.skip(what, &format!("not installed: {missing:?} (./check install)"));
        return None;
    }
    eprintln!("{what}: {}", processor::describe());
    let ours = if effort.control { Yard::kernel() } else { Yard::dialtone(&effort.driver) };
    let yards = ours.and_then(|ours| Ok([ours, Yard::kernel()?]));
    yards.map_err(|why| table.skip(what, &why)).ok()
}

/// Measures both in turns and adds a row.
fn compare(
    yards: &mut [Yard; 2],
    effort: &Effort,
    table: &mut Table,
    what: &str,
    aim: Option<f64>,
    mut measure: impl FnMut(&mut Yard, f64) -> Result<Figure, String>,
) {
    if !effort.wants(what) {
        return;
    }
    let mut figures: [Vec<Figure>; 2] = Default::default();
    for round in 0..effort.rounds {
        // Who goes first alternates too.
        for place in [round % 2, 1 - round % 2] {
            match measure(&mut yards[place], effort.seconds) {
                Ok(figure) => figures[place].push(figure),
                Err(why) => return table.skip(what, &format!("{}: {why}", yards[place].name)),
            }
        }
    }
    let [ours, theirs] = &figures;
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours.value / theirs.value).collect();
    let shown = |figures: &[Figure]| format!("{:.1}", median_of(figures, |figure| figure.value));
    let work = |figures: &[Figure]| median_of(figures, |figure| figure.machine) * 100.0;
    let mut note = format!(
        "CPU {:.0} % (router {:.0} %) / {:.0} %",
        work(ours),
        median_of(ours, |figure| figure.router) * 100.0,
        work(theirs)
    );
    for figure in ours.last().into_iter().chain(theirs.last()).filter(|figure| !figure.note.is_empty()) {
        note.push_str(&format!("; {}", figure.note));
    }
    table.add(Row {
        what: what.to_owned(),
        ours: shown(ours),
        theirs: format!("{} {}", yards[1].name, shown(theirs)),
        ratio: Some(median(ratios)),
        aim,
        note,
    });
}

fn median_of(figures: &[Figure], value: impl Fn(&Figure) -> f64) -> f64 {
    median(figures.iter().map(value).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
