//! Answers per second from the cache, by dnsperf.

use std::time::Duration;

use dialtone_interop::exists;

use super::comparison::Table;
use super::processor::Meter;
use super::yard::{DOMAIN, ROUTER, Yard};
use super::{Effort, Figure, compare};

/// Names asked for, in turn: few enough for any cache.
const NAMES: usize = 200;

/// Rows: some questions under way, and many.
pub fn rows(yards: &mut [Yard; 2], effort: &Effort, table: &mut Table) {
    if !exists("dnsperf") {
        return table.skip("cached answers", "dnsperf is not installed (./check install)");
    }
    yards.iter_mut().for_each(Yard::serve_home);
    // Time to bind.
    std::thread::sleep(Duration::from_millis(500));
    for (clients, under_way) in [(10, 20), (10, 100)] {
        let what = format!("cached answers, {under_way} under way, k/s");
        compare(yards, effort, table, &what, Some(1.0), |yard, seconds| {
            ask(yard, clients, under_way, seconds)
        });
    }
}

fn ask(yard: &mut Yard, clients: usize, under_way: usize, seconds: f64) -> Result<Figure, String> {
    let list: String = (0..NAMES).map(|number| format!("h{number}.{DOMAIN} A\n")).collect();
    let file = yard.lab.file("names", &list);
    let file = file.display();
    // Once through, so that the cache has them.
    yard.client.shell(&format!("dnsperf -s {ROUTER} -d {file} -n 1 -q 20 -t 1"), 20);
    let meter = Meter::start(yard.process);
    let line =
        format!("dnsperf -s {ROUTER} -d {file} -l {} -c {clients} -q {under_way} -T 1 -t 1", seconds.ceil());
    let said = yard.client.shell(&line, seconds as u64 + 15);
    let used = meter.read();
    let field = |name: &str| -> Option<String> {
        let line = said.text.lines().find(|line| line.trim().starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let number = |name: &str| -> Option<f64> { field(name)?.split_whitespace().next()?.parse().ok() };
    let rate = number("Queries per second").ok_or_else(|| format!("dnsperf failed: {}", said.text))?;
    let lost = number("Queries lost").unwrap_or(f64::NAN);
    let latency = number("Average Latency").unwrap_or(f64::NAN) * 1e6;
    let codes = field("Response codes").unwrap_or_default();
    if !codes.starts_with("NOERROR") || codes.contains("SERVFAIL") {
        return Err(format!("wrong answers: {codes}"));
    }
    Ok(Figure {
        value: rate / 1e3,
        machine: used.machine,
        router: used.router,
        note: format!("{} {latency:.0} µs, {lost} lost", yard.name),
    })
}
