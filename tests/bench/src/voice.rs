//! What a call costs: echo canceller, encoder, RTP, jitter buffer, decoder, per 10 ms of it and codec.
//!
//! One line's end of a call in memory: packets of a peer come in, were made before; the handset answers with an echo and a voice
//! of its own. Time is the thread's on its processor, instructions are counted by valgrind. "Calls at once" is what one core can do
//! in real time by one call's cost: many calls share its caches, so take it for the scale.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_media::codec::Codec;
use dialtone_media::echo::EchoCanceller;
use dialtone_media::{CodecPool, Direction, EventTypes, OpusParameters, Session, Setup, StreamConfig};

use crate::callgrind;
use crate::echo::on_processor;
use crate::table::Table;

/// Names, codecs and the rates of their lines.
pub const CALLS: [(&str, Codec, u32); 5] = [
    ("G.711 µ-law", Codec::Pcmu, 8000),
    ("G.711 A-law", Codec::Pcma, 8000),
    ("G.722", Codec::G722, 16_000),
    ("Opus, narrow line", Codec::Opus, 8000),
    ("Opus, wide line", Codec::Opus, 16_000),
];

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);

/// What runs under valgrind.
#[derive(Args)]
pub struct DriveVoice {
    /// Which of the calls.
    #[arg(long)]
    call: usize,
    /// How many frames of it.
    #[arg(long)]
    frames: usize,
    /// Without its echo canceller.
    #[arg(long)]
    bare: bool,
}

/// All that will be said in a call: packets of the far end, and the handset's voice.
pub struct Script {
    codec: Codec,
    rate: u32,
    packets: Vec<Option<Vec<u8>>>,
    voice: Vec<i16>,
}

impl Script {
    /// So many frames of 10 ms.
    pub fn new(codec: Codec, rate: u32, frames: usize) -> Arc<Self> {
        let length = rate as usize / 100;
        let (mut far, mut out) = (session(codec, rate, 1), [0; 1500]);
        let (theirs, voice) = (babble(1, frames * length), babble(2, frames * length));
        let sent = theirs.chunks_exact(length).enumerate().map(|(index, frame)| {
            let now = Instant::from_millis(index as u64 * 10);
            far.push_pcm(now, frame, &mut out).map(|length| out[..length].to_vec())
        });
        Arc::new(Self { codec, rate, packets: sent.collect(), voice })
    }
}

/// One end of a call.
pub struct Call {
    session: Box<Session>,
    canceller: Option<EchoCanceller>,
    script: Arc<Script>,
    /// The next frame of the script.
    at: usize,
    /// What the line is given.
    far: [i16; 160],
}

impl Call {
    /// One that comes into the script at frame `at`.
    pub fn new(script: &Arc<Script>, at: usize, cancelling: bool) -> Self {
        let canceller = cancelling.then(|| EchoCanceller::new(script.rate, 128));
        let session = session(script.codec, script.rate, 2);
        Self { session, canceller, script: script.clone(), at, far: [0; 160] }
    }

    /// The next 10 ms of it.
    pub fn frame(&mut self) {
        let (index, length) = (self.at, self.script.rate as usize / 100);
        self.at += 1;
        let now = Instant::from_millis(index as u64 * 10);
        if let Some(packet) = &self.script.packets[index] {
            let _ = self.session.push_rtp(now, PEER, packet);
        }
        let (mut near, mut out) = ([0_i16; 160], [0_u8; 1500]);
        let (far, near) = (&mut self.far[..length], &mut near[..length]);
        let voice = &self.script.voice[index * length..][..length];
        // The line returns what it was given in the frame before; both ends talk in turn.
        let talking = index / 150 % 2 == 1;
        for ((near, far), voice) in near.iter_mut().zip(far.iter()).zip(voice) {
            *near = far / 4 + if talking { *voice } else { 0 };
        }
        if let Some(canceller) = &mut self.canceller {
            canceller.process(far, near);
        }
        black_box(self.session.push_pcm(now, near, &mut out));
        self.session.pull_pcm(now, far);
    }

    /// The whole call.
    #[inline(never)]
    fn process_each_frame(&mut self) {
        while self.at < self.script.packets.len() {
            self.frame();
        }
    }
}

/// Microseconds on the processor for 10 ms of a call: the best of three.
pub fn cost(codec: Codec, rate: u32, frames: usize) -> f64 {
    let script = Script::new(codec, rate, frames);
    let times = (0..3).map(|_| {
        let mut call = Call::new(&script, 0, true);
        let start = on_processor();
        call.process_each_frame();
        (on_processor() - start) / frames as f64
    });
    times.fold(f64::MAX, f64::min)
}

/// Runs one call, for valgrind.
pub fn drive(drive: &DriveVoice) {
    let (_, codec, rate) = CALLS[drive.call % CALLS.len()];
    Call::new(&Script::new(codec, rate, drive.frames), 0, !drive.bare).process_each_frame();
}

/// The table.
pub fn run(quick: bool) {
    let mut table = Table::new(&[
        "one end of a call, per 10 ms",
        "µs",
        "calls at once on one core",
        "instructions",
        "without echo canceller",
    ]);
    for (index, (name, codec, rate)) in CALLS.iter().enumerate() {
        let time = cost(*codec, *rate, if quick { 1000 } else { 6000 });
        let count = |bare: bool| {
            let collected = |frames: usize| {
                let (call, frames) = (index.to_string(), frames.to_string());
                let mut arguments = vec!["drive-voice", "--call", &call, "--frames", &frames];
                arguments.extend(bare.then_some("--bare"));
                callgrind::collected(&arguments)
            };
            let (short, long) = (collected(300)?, collected(900)?);
            Some(format!("{}", (long - short) / 600))
        };
        let counted = |bare| count(bare).unwrap_or_else(|| "not counted".into());
        table.row([
            (*name).into(),
            format!("{time:.1}"),
            format!("{:.0}", 10_000.0 / time),
            counted(false),
            counted(true),
        ]);
    }
    println!("\nWhat a call costs: RTP both ways, codec, jitter buffer, line echo canceller of 128 ms\n");
    table.print();
}

fn session(codec: Codec, rate: u32, seed: u64) -> Box<Session> {
    let setup = Setup { sample_rate: rate, timeout: Duration::from_secs(30) };
    let (pool, seed) = (CodecPool::new(rate, 2), Seed::from_number(seed));
    Box::new(Session::new(Instant::START, stream(codec, PEER), setup, &pool, seed))
}

fn stream(codec: Codec, remote: SocketAddr) -> StreamConfig {
    let number = codec.static_payload_type().unwrap_or(107);
    StreamConfig {
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() + 1)),
        rtcp_mux: false,
        direction: Direction::SendReceive,
        codec,
        send_payload_type: number,
        receive: [(number, codec)].into_iter().collect(),
        packet_time: 20,
        telephone_event: Some(EventTypes { send: 101, receive: 101, clock_rate: codec.clock_rate() }),
        comfort_noise: None,
        opus: OpusParameters { fec: true, ..OpusParameters::default() },
    }
}

/// Noise in syllables, low-pitched as voices are.
pub fn babble(seed: u64, length: usize) -> Vec<i16> {
    let (mut random, mut low, mut loudness) = (Random::new(Seed::from_number(seed)), 0.0_f32, 0.0_f32);
    let sample = |index: usize| {
        if index.is_multiple_of(1200) {
            loudness = random.below(12_000) as f32;
        }
        low += 0.3 * (random.next_u32() as f32 / 2_147_483_648.0 - 1.0 - low);
        (low * loudness) as i16
    };
    (0..length).map(sample).collect()
}
