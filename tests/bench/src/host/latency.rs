//! Round trips of one small datagram at a time, idle and beside other traffic.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::blast::{self, Direction, Load};
use super::comparison::{Row, Table};
use super::system::inside;
use super::yard::{SERVER, Yard};
use super::{Effort, median};

/// Where the echo listens.
const PORT: u16 = 7007;

/// Rows: idle, and beside 50 000 other packets a second, both ways.
pub fn rows(yards: &mut [Yard; 2], effort: &Effort, table: &mut Table) {
    for busy in [false, true] {
        let what = if busy { "beside 50 kpps" } else { "idle" };
        if !effort.wants(&format!("round trip {what}")) {
            continue;
        }
        let mut halves: [Vec<f64>; 2] = Default::default();
        let mut tails: [Vec<f64>; 2] = Default::default();
        for round in 0..effort.rounds {
            for place in [round % 2, 1 - round % 2] {
                match times(&mut yards[place], busy, effort.seconds) {
                    Ok(times) => {
                        halves[place].push(quantile(&times, 0.5));
                        tails[place].push(quantile(&times, 0.99));
                    }
                    Err(why) => return table.skip(&format!("round trip {what}"), &why),
                }
            }
        }
        for (name, figures) in [("p50", &halves), ("p99", &tails)] {
            let [ours, theirs] = figures;
            let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours).collect();
            table.add(Row {
                what: format!("round trip {what}, {name}, µs"),
                ours: format!("{:.0}", median(ours.clone())),
                theirs: format!("{} {:.0}", yards[1].name, median(theirs.clone())),
                ratio: Some(median(ratios)),
                ..Row::default()
            });
        }
    }
}

fn times(yard: &mut Yard, busy: bool, seconds: f64) -> Result<Vec<f64>, String> {
    let length = Duration::from_secs_f64(seconds);
    let trips = |yard: &Yard| round_trips(yard, length).map_err(|error| error.to_string());
    if !busy {
        return trips(yard);
    }
    let load = Load { flows: 1, senders: 1, direction: Direction::Up, pace: Some(50_000.0) };
    let gun = blast::aim(yard, load)?;
    std::thread::scope(|scope| {
        let noise = scope.spawn(|| gun.fire(length + Duration::from_millis(100)));
        std::thread::sleep(Duration::from_millis(50));
        let times = trips(yard);
        let _ = noise.join();
        times
    })
}

/// Sends a datagram, waits for its echo, again and again; the times in µs. What gets lost is missing among them.
///
/// # Errors
/// When the sockets cannot be had.
pub fn round_trips(yard: &Yard, length: Duration) -> io::Result<Vec<f64>> {
    let address = SocketAddr::from((SERVER, PORT));
    let echo = inside(yard.server.name(), move || {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        Ok(socket)
    })?;
    let client = inside(yard.client.name(), move || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(socket)
    })?;
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    let answerer = std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while !ended.load(Ordering::Relaxed) {
            if let Ok((count, from)) = echo.recv_from(&mut bytes) {
                let _ = echo.send_to(&bytes[..count], from);
            }
        }
    });
    let mut times = Vec::new();
    let end = Instant::now() + length;
    let mut number = 0_u64;
    while Instant::now() < end {
        number += 1;
        let sent = Instant::now();
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        if client.send(&bytes).is_err() {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        // A late echo of one given up is passed over.
        while let Ok(count) = client.recv(&mut bytes) {
            if count == bytes.len() && bytes[..8] == number.to_be_bytes() {
                times.push(sent.elapsed().as_secs_f64() * 1e6);
                break;
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    let _ = answerer.join();
    Ok(times)
}

fn quantile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
