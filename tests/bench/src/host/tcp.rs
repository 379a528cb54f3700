//! Bulk TCP by iperf3.

use std::time::Duration;

use dialtone_interop::eventually;

use super::Figure;
use super::blast::Direction;
use super::processor::Meter;
use super::yard::Yard;

/// Throughput in Gbit/s as received.
///
/// # Errors
/// What iperf3 said when it failed.
pub fn throughput(
    yard: &mut Yard,
    streams: usize,
    direction: Direction,
    seconds: f64,
) -> Result<Figure, String> {
    let reverse = if direction == Direction::Down { "--reverse" } else { "" };
    // One server per test: it ends by itself.
    let _server = yard.server.start("iperf3", "iperf3 --server --one-off");
    let listens = eventually(3, || yard.server.shell("ss -Hltn sport = :5201", 3).text.contains("5201"));
    if !listens {
        std::thread::sleep(Duration::from_millis(300));
    }
    let line = format!(
        "iperf3 --client 198.51.100.1 --json --time {} --parallel {streams} {reverse}",
        seconds.ceil()
    );
    let meter = Meter::start(yard.process);
    let said = yard.client.shell(&line, seconds as u64 + 15);
    let used = meter.read();
    let json: serde_json::Value =
        serde_json::from_str(&said.text).map_err(|_| format!("iperf3 failed: {}", said.text.trim()))?;
    if let Some(error) = json["error"].as_str() {
        return Err(error.to_owned());
    }
    let end = &json["end"];
    let bits = end["sum_received"]["bits_per_second"].as_f64().ok_or("no throughput in iperf3's answer")?;
    let again = end["sum_sent"]["retransmits"].as_u64().unwrap_or(0);
    Ok(Figure {
        value: bits / 1e9,
        machine: used.machine,
        router: used.router,
        note: format!("{} retransmitted {again}", yard.name),
    })
}
