//! Nanoseconds and cycles per packet of `Dataplane::process`, in memory, beside an ordinary NAT measured here.
//!
//! A round writes 256 frames (not timed), then times their way through the whole path: parse, lookup, rewrite, counters,
//! verdict. Directions alternate from round to round. Flows are visited in scattered order.

use dialtone_base::{Duration, Frame, Instant};
use dialtone_dataplane::{BATCH, Command, Dataplane, Verdict};

use crate::baseline::OrdinaryNat;
use crate::clock::{self, Sample};
use crate::home::{self, Side};
use crate::table::Table;

/// Frames per round.
pub const ROUND: usize = 256;

/// Published by others on other machines; see the table's note.
const PUBLISHED_PATH: &str = "440 (whole path)";
const PUBLISHED_SESSION: &str = "2310-2390 (new session)";

/// What a round works on.
pub struct Bench<S> {
    /// The NAT.
    pub subject: S,
    /// The round's frames.
    pub frames: Vec<Frame>,
    /// External port by flow.
    pub external: Vec<u16>,
    /// Flows that exist.
    pub flows: u32,
    /// Where this round's frames come from.
    pub side: Side,
    /// Virtual time.
    pub now: Instant,
    /// Frames that went on, in this round.
    pub forwarded: usize,
}

impl<S> Bench<S> {
    /// Writes the frames of round `round`.
    pub fn established(&mut self, round: usize) {
        self.side = if round.is_multiple_of(2) { Side::Inside } else { Side::Outside };
        self.now += Duration::from_micros(ROUND as u64);
        for (at, frame) in self.frames.iter_mut().enumerate() {
            let flow = home::scattered(round / 2 * ROUND + at, self.flows);
            match self.side {
                Side::Inside => home::outbound(frame, flow),
                Side::Outside => home::inbound(frame, flow, self.external[flow as usize]),
            }
        }
    }
}

impl Bench<Dataplane> {
    /// Writes the first packets of flows that do not exist yet.
    pub fn first_packets(&mut self, round: usize) {
        if (round * ROUND).is_multiple_of(30_000 / ROUND * ROUND) {
            self.subject.command(self.now, Command::FlushFlows);
            home::drain(&mut self.subject, self.now);
        }
        self.now += Duration::from_micros(ROUND as u64);
        for (at, frame) in self.frames.iter_mut().enumerate() {
            home::outbound(frame, home::scattered(round * ROUND + at, 60_000));
        }
    }

    /// A router with `flows` established flows.
    pub fn router(flows: u32) -> Self {
        let pool = home::pool();
        let mut subject = home::router(pool);
        let external = home::open_flows(&mut subject, pool, flows);
        let frames = (0..ROUND).map(|_| pool.take(60).expect("a frame")).collect();
        Self { subject, frames, external, flows, side: Side::Inside, now: Instant::START, forwarded: 0 }
    }

    /// One call per frame.
    #[inline(never)]
    pub fn process_each(&mut self) {
        self.forwarded = 0;
        for frame in &mut self.frames {
            let verdict = self.subject.process(self.now, self.side.ingress(), frame);
            self.forwarded += usize::from(matches!(verdict, Verdict::Forward(_)));
        }
    }
}

impl Bench<Dataplane> {
    /// As ports hand frames over: several at a time.
    #[inline(never)]
    pub fn process_each_batch(&mut self) {
        self.forwarded = 0;
        let mut verdicts = [Verdict::Held; BATCH];
        for frames in self.frames.chunks_mut(BATCH) {
            let verdicts = &mut verdicts[..frames.len()];
            self.subject.process_batch(self.now, self.side.ingress(), frames, verdicts);
            self.forwarded +=
                verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Forward(_))).count();
        }
    }
}

impl Bench<OrdinaryNat> {
    /// The ordinary NAT with `flows` flows.
    pub fn ordinary(flows: u32) -> Self {
        let pool = home::pool();
        let mut subject = OrdinaryNat::default();
        let external = subject.open_flows(flows);
        let frames = (0..ROUND).map(|_| pool.take(60).expect("a frame")).collect();
        Self { subject, frames, external, flows, side: Side::Inside, now: Instant::START, forwarded: 0 }
    }

    /// One call per frame.
    #[inline(never)]
    pub fn process_each(&mut self) {
        self.forwarded = 0;
        for frame in &mut self.frames {
            self.forwarded += usize::from(self.subject.process(self.side, frame.bytes_mut()));
        }
    }
}

/// Measures and prints.
pub fn run(quick: bool) {
    let rounds = if quick { 600 } else { 6000 };
    let clock = clock::cycles_per_nanosecond();
    let mut table = Table::new(&[
        "64-byte frames, in memory",
        "ns (10 %)",
        "ns (median)",
        "cycles",
        "ordinary Rust NAT, same run",
        "VPP nat44-ed, published, other hardware",
    ]);
    let mut row = |name: String, ours: &Sample, theirs: Option<&Sample>, published: &str| {
        let theirs = theirs.map_or("".into(), |theirs| format!("{:.0} cycles", theirs.tenth * clock));
        let ours = [
            format!("{:.1}", ours.tenth),
            format!("{:.1}", ours.median),
            format!("{:.0}", ours.tenth * clock),
        ];
        table.row([name].into_iter().chain(ours).chain([theirs, published.into()]));
    };
    for flows in [1, 1_000, 64_000] {
        let mut ordinary = Bench::ordinary(flows);
        let theirs = clock::measure(
            rounds,
            ROUND,
            &mut ordinary,
            Bench::established,
            Bench::<OrdinaryNat>::process_each,
        );
        assert_eq!(ordinary.forwarded, ROUND, "the ordinary NAT forwards");
        let mut bench = Bench::router(flows);
        let ours =
            clock::measure(rounds, ROUND, &mut bench, Bench::established, Bench::<Dataplane>::process_each);
        assert_eq!(bench.forwarded, ROUND, "every packet is forwarded");
        row(format!("established UDP, NAT, both ways, {flows} flows"), &ours, Some(&theirs), PUBLISHED_PATH);
        let ours = clock::measure(
            rounds,
            ROUND,
            &mut bench,
            Bench::established,
            Bench::<Dataplane>::process_each_batch,
        );
        assert_eq!(bench.forwarded, ROUND, "every packet is forwarded");
        row(format!("  the same in batches of {BATCH}"), &ours, Some(&theirs), PUBLISHED_PATH);
    }
    let theirs = new_flows_ordinary(rounds);
    row("new UDP flow".into(), &new_flows(rounds), Some(&theirs), PUBLISHED_SESSION);
    row("new UDP flow, table full: one is evicted".into(), &flood(rounds), None, "");
    row("dropped: unsolicited from the WAN".into(), &unsolicited(rounds), None, "");
    row("dropped: IP checksum wrong".into(), &damaged(rounds), None, "");

    let again = clock::cycles_per_nanosecond();
    println!("The packet path in memory, one core, {} packets a row", rounds * ROUND);
    println!();
    table.print();
    println!();
    println!(
        "  cycles: ns (10 %) x {clock:.2} GHz, the core's speed by a chain of dependent instructions ({again:.2} GHz afterwards)"
    );
    println!(
        "  ordinary Rust NAT: etherparse, std HashMap, checksums summed anew; no firewall, timers or limits"
    );
    println!(
        "  published: FD.io CSIT, VPP nat44-ed: about 440 clocks for the whole path (nat node 183-198), 2310-2390 for a new session"
    );
}

/// First packets of flows, each from its own inside endpoint. The table is emptied before it is half full.
fn new_flows(rounds: usize) -> Sample {
    let mut bench = Bench::router(0);
    let prepare = Bench::first_packets;
    let sample =
        clock::measure(rounds.min(3000), ROUND, &mut bench, prepare, Bench::<Dataplane>::process_each);
    assert_eq!(bench.forwarded, ROUND, "every flow opens");
    sample
}

fn new_flows_ordinary(rounds: usize) -> Sample {
    let mut bench = Bench::ordinary(0);
    let first = |bench: &mut Bench<OrdinaryNat>, round: usize| {
        if (round * ROUND).is_multiple_of(30_000 / ROUND * ROUND) {
            bench.subject = OrdinaryNat::default();
        }
        for (at, frame) in bench.frames.iter_mut().enumerate() {
            home::outbound(frame, home::scattered(round * ROUND + at, 60_000));
        }
    };
    clock::measure(rounds.min(3000), ROUND, &mut bench, first, Bench::<OrdinaryNat>::process_each)
}

/// A scan from inside: every packet opens a flow in a table that is full of unanswered ones.
fn flood(rounds: usize) -> Sample {
    let mut bench = Bench::router(0);
    let mut next = 0_u32;
    let mut scan = move |bench: &mut Bench<Dataplane>| {
        bench.now += Duration::from_micros(ROUND as u64);
        for frame in &mut bench.frames {
            // One device, one source port, ever new far ends: 198.18.0.0/15 and their ports.
            home::outbound(frame, 7);
            let far = next.to_be_bytes();
            let bytes = frame.bytes_mut();
            bytes[30..34].copy_from_slice(&[198, 18 + (far[1] & 1), far[2], far[3]]);
            bytes[24..26].fill(0);
            let sum = !dialtone_wire::checksum::sum(&bytes[14..34]);
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            next = (next + 1) % (1 << 17);
        }
    };
    // Fill it first.
    for _ in 0..70_000 / ROUND {
        scan(&mut bench);
        bench.process_each();
        home::drain(&mut bench.subject, bench.now);
    }
    let sample = clock::measure(
        rounds.min(3000),
        ROUND,
        &mut bench,
        |bench, _| scan(bench),
        Bench::<Dataplane>::process_each,
    );
    assert_eq!(bench.forwarded, ROUND, "the scan goes on");
    sample
}

/// From the WAN to ports nobody opened.
fn unsolicited(rounds: usize) -> Sample {
    let mut bench = Bench::router(1000);
    let knock = |bench: &mut Bench<Dataplane>, round: usize| {
        bench.side = Side::Outside;
        bench.now += Duration::from_micros(ROUND as u64);
        for (at, frame) in bench.frames.iter_mut().enumerate() {
            home::inbound(frame, at as u32, 40_000 + (round * ROUND + at) as u16 % 20_000);
        }
    };
    let sample = clock::measure(rounds, ROUND, &mut bench, knock, Bench::<Dataplane>::process_each);
    assert_eq!(bench.forwarded, 0, "nothing gets in");
    sample
}

/// Frames whose header checksum is wrong.
fn damaged(rounds: usize) -> Sample {
    let mut bench = Bench::router(1);
    let damage = |bench: &mut Bench<Dataplane>, round: usize| {
        bench.established(round);
        for frame in &mut bench.frames {
            frame.bytes_mut()[24] ^= 0x55;
        }
    };
    let sample = clock::measure(rounds, ROUND, &mut bench, damage, Bench::<Dataplane>::process_each);
    assert_eq!(bench.forwarded, 0, "damaged frames end here");
    sample
}
