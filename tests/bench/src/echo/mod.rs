//! The line echo canceller on the line models of G.168, beside Speex and OSLEC in the same run.
//!
//! Far sound at −15 dBm0 (speech as recorded), 10 dB of echo return loss, µ-law in the return path, no suppressor. "To 20 dB" is the
//! end of the first 100 ms in which the echo is 20 dB weaker than it came, "steady" the enhancement from the third second on; µ-law
//! lets nobody past 34 to 36 dB. The second table is of what must not happen. Also: false alarms of the data tone detector over all
//! recorded speech.

mod line;
mod peers;
pub mod sound;

use dialtone_media::echo::EchoCanceller;
use dialtone_media::modem_tone::DataWatch;

use crate::table::Table;
use line::Line;
use peers::Peer;
use sound::RATE;

/// Echo return loss of the lines in dB.
const LOSS_DB: f32 = 10.0;
/// Tail of ours in milliseconds, and of the peers in samples: 128 ms, and what they were measured with elsewhere.
const TAIL_MS: u32 = 128;
const PEER_TAPS: [usize; 2] = [1024, 256];

/// One canceller with one tail.
enum Subject<'a> {
    Dialtone,
    Peer(&'a Peer, usize),
}

impl Subject<'_> {
    fn name(&self) -> String {
        match self {
            Self::Dialtone => format!("dialtone {TAIL_MS} ms"),
            Self::Peer(peer, taps) => format!("{} {} ms", peer.name, taps * 1000 / RATE),
        }
    }

    /// What comes back, and microseconds per frame.
    fn run(&self, far: &[i16], near: &[i16]) -> Option<(Vec<i16>, f64)> {
        match self {
            Self::Dialtone => Some(dialtone(far, near)),
            Self::Peer(peer, taps) => peer.run(*taps, far, near),
        }
    }
}

fn dialtone(far: &[i16], near: &[i16]) -> (Vec<i16>, f64) {
    let mut canceller = EchoCanceller::new(RATE as u32, TAIL_MS);
    canceller.set_suppressing(false);
    let mut result = near.to_vec();
    let start = on_processor();
    let frames = result.len() / 80;
    for (far, near) in far.chunks_exact(80).zip(result.chunks_exact_mut(80)) {
        canceller.process(far, near);
    }
    (result, (on_processor() - start) / frames as f64)
}

/// Microseconds this thread has run so far, by the scheduler's account.
pub fn on_processor() -> f64 {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    account.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e3
}

/// Both tables and the talk-off; `quick` takes three lines instead of eight.
pub fn run(quick: bool) {
    println!("\nEcho cancelling on the line models of G.168, {LOSS_DB} dB return loss, µ-law, no suppressor");
    let Some(mut lines) = line::models() else {
        println!("skipped: {} is missing (libspandsp-dev)", line::HEADER);
        return;
    };
    if quick {
        lines.retain(|line| ["D.2", "D.5", "D.8"].contains(&line.name.as_str()));
    }
    let directory = std::env::temp_dir().join(format!("dialtone-echo-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&directory) {
        println!("skipped: {}: {error}", directory.display());
        return;
    }
    let peers = peers::compile(&directory);
    let mut subjects = vec![Subject::Dialtone];
    subjects.extend(peers.iter().flat_map(|peer| PEER_TAPS.map(|taps| Subject::Peer(peer, taps))));
    let talkers = sound::speech(if quick { 2 } else { 4 }, 10);
    if talkers.is_empty() {
        println!("speech: skipped, asterisk-core-sounds-en-wav is not installed");
    }
    convergence(&lines, &subjects, &talkers);
    promises(&lines, &subjects, &talkers);
    talk_off();
    let _ = std::fs::remove_dir_all(&directory);
}

/// Time to 20 dB and steady enhancement, per line, sound and canceller.
fn convergence(lines: &[Line], subjects: &[Subject<'_>], talkers: &[Vec<i16>]) {
    let heads: Vec<&'static str> = ["to 20 dB, s / steady, dB"]
        .into_iter()
        .chain(subjects.iter().map(|subject| &*Box::leak(subject.name().into_boxed_str())))
        .collect();
    let mut table = Table::new(&heads);
    let mut costs = vec![Vec::new(); subjects.len()];
    let mut sounds = vec![("noise", vec![sound::noise(10, 1)])];
    sounds.extend(sound::composite(10, 2).map(|composite| ("CSS", vec![composite])));
    if !talkers.is_empty() {
        sounds.push(("speech, mean", talkers.to_vec()));
    }
    for (name, fars) in &sounds {
        let mut everything = vec![Score::default(); subjects.len()];
        for line in lines {
            let cells =
                subjects.iter().zip(&mut costs).zip(&mut everything).map(|((subject, costs), every)| {
                    let mut score = Score::default();
                    for far in fars {
                        let near = line::returned(&line.echo(far, LOSS_DB, 0), &[]);
                        let Some((result, cost)) = subject.run(far, &near) else { return "failed".into() };
                        score.add(far, &near, &result);
                        costs.push(cost);
                    }
                    every.join(&score);
                    score.show()
                });
            let cells: Vec<String> = cells.collect();
            table.row([format!("{} {name}", line.name)].into_iter().chain(cells));
        }
        let worst = everything.iter().map(Score::worst);
        table.row([format!("worst of all, {}", name.trim_end_matches(", mean"))].into_iter().chain(worst));
    }
    let cost = |costs: &Vec<f64>| format!("{:.1}", costs.iter().sum::<f64>() / costs.len().max(1) as f64);
    table.row(["CPU per 10 ms frame, µs".to_string()].into_iter().chain(costs.iter().map(cost)));
    println!();
    table.print();
}

/// Times and enhancements of several runs.
#[derive(Clone, Default)]
struct Score {
    /// Seconds to 20 dB; `None` for never.
    reached: Vec<Option<f32>>,
    steady: Vec<f32>,
}

impl Score {
    fn add(&mut self, far: &[i16], near: &[i16], result: &[i16]) {
        let begin = far.iter().position(|sample| sample.abs() > 300).unwrap_or(0);
        let window = RATE / 10;
        let reached = (begin..near.len().min(result.len()).saturating_sub(window)).step_by(80).find(|at| {
            let (near, result) = (&near[*at..at + window], &result[*at..at + window]);
            // Only where there is an echo to speak of: above −45 dBm0.
            power_db(near) > 39.0 && power_db(near) - power_db(result) >= 20.0
        });
        self.reached.push(reached.map(|at| (at + window - begin) as f32 / RATE as f32));
        let steady = 3 * RATE..near.len().min(result.len());
        self.steady.push(power_db(&near[steady.clone()]) - power_db(&result[steady]));
    }

    fn join(&mut self, other: &Self) {
        self.reached.extend(&other.reached);
        self.steady.extend(&other.steady);
    }

    fn show(&self) -> String {
        let mean =
            |values: &mut dyn Iterator<Item = f32>| values.sum::<f32>() / self.steady.len().max(1) as f32;
        let steady = mean(&mut self.steady.iter().copied());
        match self.reached.contains(&None) {
            true => format!("never / {steady:.1}"),
            false => format!("{:.2} / {steady:.1}", mean(&mut self.reached.iter().flatten().copied())),
        }
    }

    fn worst(&self) -> String {
        let steady = self.steady.iter().copied().fold(f32::MAX, f32::min);
        match self.reached.contains(&None) {
            true => format!("never / {steady:.1}"),
            false => {
                format!("{:.2} / {steady:.1}", self.reached.iter().flatten().copied().fold(0.0, f32::max))
            }
        }
    }
}

/// Double talk, another path, no path, tones: the worst over all lines.
fn promises(lines: &[Line], subjects: &[Subject<'_>], talkers: &[Vec<i16>]) {
    let Some(composite) = sound::composite(10, 3) else { return };
    let mut table =
        Table::new(&["worst over all lines", "double talk", "after it", "other path", "no path", "tones"]);
    let speech = talkers.last().cloned().unwrap_or_else(|| sound::noise(10, 9));
    let second = |result: &[i16], at: usize, seconds: usize| -> f32 {
        power_db(&result[at * RATE..((at + seconds) * RATE).min(result.len())])
    };
    for subject in subjects {
        let mut worst = [f32::MAX; 5];
        let mut failed = false;
        for (index, line) in lines.iter().enumerate() {
            let echo = line.echo(&composite, LOSS_DB, 0);
            // 3A and 3B: the near end talks from the fourth to the seventh second.
            let mut talk = vec![0; echo.len()];
            talk[3 * RATE..7 * RATE].copy_from_slice(&speech[..4 * RATE]);
            let mut other = echo.clone();
            let changed = lines[(index + 1) % lines.len()].echo(&composite, LOSS_DB, 100);
            other[4 * RATE..].copy_from_slice(&changed[4 * RATE..]);
            let mut none = echo.clone();
            none[4 * RATE..].fill(0);
            let mut sounding = sound::noise(3, 4);
            sounding.extend(sound::tones(5, [[1000.0, 0.0], [697.0, 1209.0], [941.0, 1633.0]][index % 3]));
            sounding.extend(sound::noise(1, 5));
            let tones = line::returned(&line.echo(&sounding, LOSS_DB, 0), &[]);

            let run = |far: &[i16], near: &[i16]| subject.run(far, near).map(|(result, _)| result);
            let near = line::returned(&other, &[]);
            let (Some(double), Some(other), Some(none), Some(toned)) = (
                run(&composite, &line::returned(&echo, &talk)),
                run(&composite, &near),
                run(&composite, &line::returned(&none, &[])),
                run(&sounding, &tones),
            ) else {
                failed = true;
                continue;
            };
            let rest: Vec<i16> =
                double.iter().zip(&talk).map(|(result, talk)| result.saturating_sub(*talk)).collect();
            let figures = [
                (3..7).map(|at| second(&echo, at, 1) - second(&rest, at, 1)).fold(f32::MAX, f32::min),
                second(&echo, 8, 2) - second(&double, 8, 2),
                second(&near, 5, 1) - second(&other, 5, 1),
                -second(&none, 5, 3),
                {
                    // The first 100 ms of noise after the tones.
                    let after = 8 * RATE..8 * RATE + RATE / 10;
                    power_db(&tones[after.clone()]) - power_db(&toned[after])
                },
            ];
            worst.iter_mut().zip(figures).for_each(|(worst, figure)| *worst = worst.min(figure));
        }
        let cells = worst.map(|figure| if failed { "failed".into() } else { format!("{figure:.1}") });
        table.row([subject.name()].into_iter().chain(cells));
    }
    println!(
        "\nEcho taken away, dB: in the worst second of double talk (µ-law rounding of the speech is counted as echo), after\n\
         it; a second after the path became another; 100 ms after five seconds of tones. No path: what is made up then, dB\n\
         below one step of the samples\n"
    );
    table.print();
}

/// False alarms of the data tone detector over everything the recordings say.
fn talk_off() {
    let (mut seconds, mut alarms) = (0.0, Vec::new());
    for path in sound::recordings() {
        let samples = sound::samples(&path);
        seconds += samples.len() as f64 / RATE as f64;
        let mut watch = DataWatch::new();
        alarms.extend(
            samples
                .chunks_exact(80)
                .filter_map(|frame| Some((watch.process(&[0; 80], frame)?, path.clone()))),
        );
    }
    println!(
        "\nData tones heard in {:.0} min of recorded prompts: {} {alarms:?}",
        seconds / 60.0,
        alarms.len()
    );
}

fn power_db(samples: &[i16]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
    10.0 * (sum / samples.len().max(1) as f32 + 1e-2).log10()
}
