//! What a call costs: echo canceller, encoder, RTP, jitter buffer, decoder, per 10 ms of it and codec.
//!
//! One line's end of a call in memory: packets of a peer come in, were made before; the handset answers with an echo and a voice
//! of its own. Time is the thread's on its processor, instructions are counted by valgrind. "Calls at once" is what one core can do
//! in real time by one call's cost: many calls share its caches, so take it for the scale.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_media::codec::Codec;
use dialtone_media::echo::EchoCanceller;
use dialtone_media::{CodecPool, Direction, EventTypes, OpusParameters, Session, Setup, StreamConfig};

use crate::callgrind;
use crate::echo::on_processor;
use crate::table::Table;

/// Names, codecs and the rates of their lines.
const CALLS: [(&str, Codec, u32); 5] = [
    ("G.711 µ-law", Codec::Pcmu, 8000),
    ("G.711 A-law", Codec::Pcma, 8000),
    ("G.722", Codec::G722, 16_000),
    ("Opus, narrow line", Codec::Opus, 8000),
    ("Opus, wide line", Codec::Opus, 16_000),
];

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

/// One end of a call, and all that will come from the other.
struct Call {
    session: Box<Session>,
    canceller: Option<EchoCanceller>,
    peer: SocketAddr,
    packets: Vec<Option<Vec<u8>>>,
    voice: Vec<i16>,
    length: usize,
}

impl Call {
    fn new(codec: Codec, rate: u32, frames: usize, cancelling: bool) -> Self {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
        let pool = CodecPool::new(rate, 2);
        let setup = Setup { sample_rate: rate, timeout: Duration::from_secs(30) };
        let session = |seed| {
            Box::new(Session::new(Instant::START, stream(codec, peer), setup, &pool, Seed::from_number(seed)))
        };
        let length = rate as usize / 100;
        let (mut far, mut out) = (session(1), [0; 1500]);
        let (theirs, voice) = (babble(1, frames * length), babble(2, frames * length));
        let sent = theirs.chunks_exact(length).enumerate().map(|(index, frame)| {
            let now = Instant::from_millis(index as u64 * 10);
            far.push_pcm(now, frame, &mut out).map(|length| out[..length].to_vec())
        });
        let packets = sent.collect();
        let canceller = cancelling.then(|| EchoCanceller::new(rate, 128));
        Self { session: session(2), canceller, peer, packets, voice, length }
    }

    /// The whole call.
    #[inline(never)]
    fn process_each_frame(&mut self) {
        let (mut far, mut near, mut out) = ([0_i16; 160], [0_i16; 160], [0_u8; 1500]);
        let (far, near) = (&mut far[..self.length], &mut near[..self.length]);
        for (index, (packet, voice)) in
            self.packets.iter().zip(self.voice.chunks_exact(self.length)).enumerate()
        {
            let now = Instant::from_millis(index as u64 * 10);
            if let Some(packet) = packet {
                let _ = self.session.push_rtp(now, self.peer, packet);
            }
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
    }
}

/// Runs one call, for valgrind.
pub fn drive(drive: &DriveVoice) {
    let (_, codec, rate) = CALLS[drive.call % CALLS.len()];
    Call::new(codec, rate, drive.frames, !drive.bare).process_each_frame();
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
        let frames = if quick { 1000 } else { 6000 };
        let times = (0..3).map(|_| {
            let mut call = Call::new(*codec, *rate, frames, true);
            let start = on_processor();
            call.process_each_frame();
            (on_processor() - start) / frames as f64
        });
        let time = times.fold(f64::MAX, f64::min);
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
fn babble(seed: u64, length: usize) -> Vec<i16> {
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
