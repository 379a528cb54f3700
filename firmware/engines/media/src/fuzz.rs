//! Hostile descriptions and packets: whatever comes, the stream lives on.
//!
//! The first octet chooses the door: SDP as offer and as answer, RTP, RTCP, a whole call from the octets. A panic is the only failure.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use dialtone_base::{Duration, Instant, Seed};

use crate::codec::{Codec, CodecPool};
use crate::rtp::{HEADER_LENGTH, Packet};
use crate::sdp::{Description, Local, Negotiation};
use crate::session::{Session, Setup};
use crate::stream::{Direction, EventTypes, OpusParameters, StreamConfig};
use crate::{rtcp, rtp};

/// One run. Makes a session, which is slow: prefer [`fuzz_with`] for many.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let pool = CodecPool::new(8000, 1);
    fuzz_with(&mut Session::idle(&pool, Seed::from_number(1)), data);
}

/// One run with a session that lived through others.
#[doc(hidden)]
pub fn fuzz_with(session: &mut Session, data: &[u8]) {
    let Some((door, data)) = data.split_first() else { return };
    match door % 4 {
        0 => describe(data),
        1 => {
            let _ = Packet::parse(data);
            let _ = rtp::is_rtcp(data);
        }
        2 => {
            let _ = rtcp::parse(data, 1);
        }
        _ => call(session, data),
    }
}

fn describe(data: &[u8]) {
    if let Ok(description) = Description::parse(data) {
        for media in &description.media {
            let _ = description.direction_of(media);
            let _ = media.attributes().count();
        }
    }
    let local = Local {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        rtp_port: 4000,
        rtcp_port: 4001,
        rtcp_mux: true,
        codecs: Codec::ALL.into_iter().collect(),
        packet_time: 20,
        telephone_event: true,
        comfort_noise: true,
        sample_rate: 16_000,
    };
    let mut negotiation = Negotiation::new(local, Seed::from_number(1));
    if negotiation.answer(data).is_ok() {
        // What we wrote, we can read.
        assert!(Description::parse(negotiation.text().as_bytes()).is_ok());
    }
    if negotiation.offer().is_ok() {
        let _ = negotiation.accept(data);
    }
}

/// Packets cut from the octets, some of them aimed well, with time passing between them.
fn call(session: &mut Session, data: &[u8]) {
    let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000);
    let config = StreamConfig {
        remote: Some(peer),
        remote_rtcp: Some(peer),
        rtcp_mux: true,
        direction: Direction::SendReceive,
        codec: Codec::Pcma,
        send_payload_type: 8,
        receive: [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722), (107, Codec::Opus)]
            .into_iter()
            .collect(),
        packet_time: 20,
        telephone_event: Some(EventTypes { send: 101, receive: 101, clock_rate: 8000 }),
        comfort_noise: Some(13),
        opus: OpusParameters::default(),
    };
    let setup = Setup { sample_rate: 8000, timeout: Duration::from_secs(1) };
    let mut now = Instant::START;
    session.start(now, config, setup, Seed::from_number(2));
    let mut sound = [0; 80];
    let mut out = [0; 1500];
    let mut rest = data;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let [kind, length, pass, how] = *head;
        let (packet, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let mut datagram = [0; HEADER_LENGTH + 255];
        let number =
            [0, 8, 9, 13, 101, 107, 107, kind & 127].get(usize::from(kind >> 5)).copied().unwrap_or(0);
        let header = rtp::Header {
            marker: how & 1 != 0,
            payload_type: number,
            // Small steps, big jumps, repetitions.
            sequence: u16::from(how) << (kind & 7),
            timestamp: (u32::from(how) * 160) << (pass & 15),
            ssrc: u32::from(how >> 7),
        };
        let _ = header.write(&mut datagram);
        if let Some(room) = datagram.get_mut(HEADER_LENGTH..HEADER_LENGTH + packet.len()) {
            room.copy_from_slice(packet);
        }
        let aimed = datagram.get(..HEADER_LENGTH + packet.len()).unwrap_or(&[]);
        let _ = if kind & 8 == 0 {
            session.push_rtp(now, peer, aimed)
        } else {
            session.push_rtp(now, peer, packet)
        };
        let _ = session.push_rtcp(now, peer, packet);
        for _ in 0..pass & 7 {
            session.pull_pcm(now, &mut sound);
            let _ = session.push_pcm(now, &sound, &mut out);
            let _ = session.rtcp(now, &mut out);
            now += Duration::from_millis(10);
        }
        now += Duration::from_millis(u64::from(pass >> 3) * u64::from(how));
        let _ = session.quality(now);
        while session.poll_event().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use dialtone_base::Random;

    use super::*;

    const OFFER: &[u8] = b"\0v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5004 RTP/AVP 107 8 101\r\na=rtpmap:107 opus/48000/2\r\na=fmtp:107 useinbandfec=1;maxaveragebitrate=9\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=rtcp:5005 IN IP4 192.0.2.9\r\na=sendonly\r\nm=video 0 RTP/AVP 31\r\n";

    #[test]
    fn nothing_a_stranger_sends_stops_a_stream() {
        let pool = CodecPool::new(8000, 1);
        let mut session = Box::new(Session::idle(&pool, Seed::from_number(1)));
        for seed in 0..20_000 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut data: Vec<u8> = if seed % 3 == 0 {
                OFFER.to_vec()
            } else {
                let mut noise = std::vec![0; 1 + random.below(600) as usize];
                random.fill(&mut noise);
                noise
            };
            for _ in 0..random.below(8) {
                let at = random.below(data.len() as u32) as usize;
                match random.below(3) {
                    0 => data[at] = random.next_u32() as u8,
                    1 => drop(data.remove(at)),
                    _ => data.insert(at, b"0=:/ \r\n9"[random.below(8) as usize]),
                }
                if data.is_empty() {
                    break;
                }
            }
            let run =
                std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| fuzz_with(&mut session, &data)));
            assert!(run.is_ok(), "seed {seed}");
        }
    }

    #[test]
    fn hostile_descriptions_and_reports_are_read_or_refused() {
        for seed in 0..20_000 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut data = OFFER.to_vec();
            for _ in 0..1 + random.below(10) {
                let at = random.below(data.len() as u32) as usize;
                data[at] = random.next_u32() as u8;
            }
            data[0] = (seed % 3) as u8;
            if data[0] == 2 {
                data[1] = 0x80 | data[1] & 31;
                data[2] = 200 + (data[2] & 3);
                data[3] = 0;
            }
            let run = std::panic::catch_unwind(|| match data[0] {
                0 => describe(&data[1..]),
                1 => drop(Packet::parse(&data[1..])),
                _ => drop(rtcp::parse(&data[1..], 1)),
            });
            assert!(run.is_ok(), "seed {seed}");
        }
    }
}
