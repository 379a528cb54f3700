//! Speech through two sessions and a network that loses packets; what arrives is scored by PESQ.
//!
//! No sockets: the media engine alone, in virtual time, repeatable from a seed. [`transmit`] is the call, [`speech`] the material
//! (Debian's `asterisk-core-sounds-en-wav`), [`pesq`] asks the Python package of that name (ITU-T P.862.1, narrow band).

pub mod compare;
pub mod far_end;
pub mod house;
pub mod listening;
pub mod pesq;
pub mod speech;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_media::codec::Codec;
use dialtone_media::{
    CodecPool, Direction, EventTypes, OpusParameters, Quality, Session, Setup, StreamConfig,
};

/// What the network does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// Share lost, 0 to 1, each for itself.
    pub loss: f64,
    /// Most milliseconds of jitter, evenly spread from 0.
    pub jitter: u32,
    /// Which packets meet that.
    pub seed: u64,
}

/// What came out at the other end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// At the rate that went in; 400 ms longer.
    pub sound: Vec<i16>,
    /// What the receiving session says of it.
    pub quality: Option<Quality>,
    /// Octets of RTP sent, with headers.
    pub octets: usize,
}

/// A stream of this codec to `remote` with 20 ms packets.
pub fn stream(codec: Codec, remote: SocketAddr, redundancy: bool) -> StreamConfig {
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
        opus: OpusParameters { fec: redundancy, ..OpusParameters::default() },
    }
}

/// Says `speech` at one end of a call and records the other; the other end is silent. RTCP flows and is lost like the rest.
pub fn transmit(speech: &[i16], rate: u32, codec: Codec, redundancy: bool, network: Network) -> Outcome {
    let address = |last, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port);
    let (alice, bob) = (address(1, 4000), address(2, 5000));
    let pool = CodecPool::new(rate, if codec == Codec::Opus { 2 } else { 0 });
    let setup = Setup { sample_rate: rate, timeout: Duration::from_secs(30) };
    let session = |remote, number| {
        let seed = Seed::from_number(network.seed * 2 + number);
        Box::new(Session::new(Instant::START, stream(codec, remote, redundancy), setup, &pool, seed))
    };
    let mut ends = [(session(bob, 0), alice), (session(alice, 1), bob)];
    let mut random = Random::new(Seed::from_number(network.seed ^ 0x5eed));
    let mut wire: Vec<(Instant, usize, bool, Vec<u8>)> = Vec::new();
    let mut outcome = Outcome { sound: Vec::new(), quality: None, octets: 0 };
    let length = rate as usize / 100;
    let mut now = Instant::START;
    let silence = vec![0; length];
    let frames = speech.chunks_exact(length).chain(std::iter::repeat_n(&silence[..], 40));
    for frame in frames {
        for (side, (session, _)) in ends.iter_mut().enumerate() {
            let mut datagram = [0; 1500];
            let said = if side == 0 { frame } else { &silence };
            let packet = session.push_pcm(now, said, &mut datagram).map(|length| datagram[..length].to_vec());
            let report = session.rtcp(now, &mut datagram).map(|length| datagram[..length].to_vec());
            if side == 0 {
                outcome.octets += packet.as_ref().map_or(0, Vec::len);
            }
            for (report, bytes) in
                packet.map(|bytes| (false, bytes)).into_iter().chain(report.map(|bytes| (true, bytes)))
            {
                if f64::from(random.next_u32()) / 4_294_967_296.0 >= network.loss {
                    let delay = Duration::from_micros(u64::from(random.below(network.jitter * 1000 + 1)));
                    wire.push((now + delay, 1 - side, report, bytes));
                }
            }
        }
        wire.sort_by_key(|(at, ..)| *at);
        let due = wire.partition_point(|(at, ..)| *at <= now);
        for (_, to, report, bytes) in wire.drain(..due).collect::<Vec<_>>() {
            let from = ends[1 - to].1;
            // What is wrong with a packet shows in the counters and in the sound.
            let _ = if report {
                ends[to].0.push_rtcp(now, SocketAddr::new(from.ip(), from.port() + 1), &bytes)
            } else {
                ends[to].0.push_rtp(now, from, &bytes)
            };
        }
        let mut heard = vec![0; length];
        ends[0].0.pull_pcm(now, &mut heard);
        ends[1].0.pull_pcm(now, &mut heard);
        outcome.sound.extend_from_slice(&heard);
        now += Duration::from_millis(10);
    }
    outcome.quality = ends[1].0.quality(now);
    outcome
}
