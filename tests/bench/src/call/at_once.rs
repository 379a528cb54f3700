//! How many calls one thread carries in real time.
//!
//! The calls of `voice` (RTP both ways, codec, jitter buffer, line echo canceller), N of them, 10 ms of each every 10 ms, one after the
//! other, on one thread with real-time priority where that may be had, so that it is the core that is measured and not who else is on it.
//! A frame is late when it is done after the next 10 ms began. N is halved in on until more than one in a thousand is late, in two of two
//! tries. Calls are at different places of the same script, so packets and talk do not coincide.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dialtone_hal_linux::privileges;
use dialtone_media::codec::Codec;

use crate::table::Table;
use crate::voice::{self, CALLS, Call, Script};

/// The share of late frames that is too much.
const LATE: f64 = 0.001;
const FRAME: Duration = Duration::from_millis(10);
/// Calls begin within so many frames of the script.
const SPREAD: usize = 300;
/// And go through so many before time counts: memory comes into being, jitter buffers fill.
const WARM_UP: usize = 50;

/// The table.
pub fn run(quick: bool) {
    let (ticks, resolution) = if quick { (60, 5.0) } else { (300, 30.0) };
    let mut table = Table::new(&[
        "calls at once on one thread",
        "in real time",
        "10 ms / one call",
        "ratio",
        "late with one call, %",
    ]);
    for (name, codec, rate) in CALLS {
        // A short run shows that it works.
        if quick && (codec, rate) != (Codec::Opus, 16_000) {
            continue;
        }
        let estimate = 10_000.0 / voice::cost(codec, rate, 500);
        let script = Script::new(codec, rate, ticks + SPREAD + WARM_UP);
        let (mut fits, mut breaks) = (0.0, estimate * 1.1);
        while breaks - fits > estimate / resolution {
            let count = f64::midpoint(fits, breaks);
            match (0..2).any(|_| late(&script, count as usize, ticks) <= LATE) {
                true => fits = count,
                false => breaks = count,
            }
        }
        let alone = format!("{:.1}", 100.0 * late(&script, 1, ticks));
        let cells =
            [format!("{fits:.0}"), format!("{estimate:.0}"), format!("{:.2}", fits / estimate), alone];
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    println!("\nCalls at once in real time: at most one frame in a thousand late\n");
    table.print();
}

/// The share of frames that came late with so many calls.
fn late(script: &Arc<Script>, count: usize, ticks: usize) -> f64 {
    let mut calls: Vec<Call> = (0..count).map(|index| Call::new(script, index * 37 % SPREAD, true)).collect();
    let worker = thread::spawn(move || {
        if !real_time() {
            privileges::prefer_latency();
        }
        calls.iter_mut().for_each(|call| (0..WARM_UP).for_each(|_| call.frame()));
        let (begin, mut late) = (Instant::now(), 0);
        for tick in 0..ticks as u32 {
            let due = begin + FRAME * tick;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for call in &mut calls {
                call.frame();
                late += usize::from(Instant::now() > due + FRAME);
            }
        }
        late as f64 / (count * ticks).max(1) as f64
    });
    worker.join().expect("calls do not fail")
}

/// Asks that this thread runs whenever it can.
fn real_time() -> bool {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a structure that lives; 0 is this thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) == 0 }
}
