//! Leases per second, by perfdhcp: a hundred clients that ask again and again.

use dialtone_interop::exists;

use super::comparison::Table;
use super::processor::Meter;
use super::{Effort, Figure, Yard, compare};

/// Clients; both servers have more addresses than that.
const CLIENTS: usize = 100;
/// Exchanges offered per second: more than either server gives.
const OFFERED: usize = 5000;

/// One row.
pub fn rows(yards: &mut [Yard; 2], effort: &Effort, table: &mut Table) {
    let what = format!("leases, {CLIENTS} clients, {OFFERED}/s offered, per s");
    if !effort.wants(&what) {
        return;
    }
    if !exists("perfdhcp") {
        return table.skip(&what, "perfdhcp is not installed (./check install)");
    }
    yards.iter_mut().for_each(Yard::serve_home);
    compare(yards, effort, table, &what, None, ask);
}

fn ask(yard: &mut Yard, seconds: f64) -> Result<Figure, String> {
    let command = |rate: usize, period: u64| {
        format!("perfdhcp -4 -l c0 -R {CLIENTS} -r {rate} -p {period} -W 500000 all")
    };
    // Every client once, slowly: servers look whether an address is free before they first offer it.
    yard.client.shell(&command(CLIENTS, 2), 20);
    let meter = Meter::start(yard.process);
    let said = yard.client.shell(&command(OFFERED, seconds.ceil() as u64), seconds as u64 + 20);
    let used = meter.read();
    let rate = said
        .text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Rate:")?.split_whitespace().next()?.parse::<f64>().ok())
        .ok_or_else(|| format!("perfdhcp failed: {}", said.text.trim()))?;
    Ok(Figure { value: rate, machine: used.machine, router: used.router, note: String::new() })
}
