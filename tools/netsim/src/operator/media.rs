//! The operator's sound: an SDP answer, RTP in the world's time, an echo or a voice.
//!
//! RFC 4566 and RFC 3264 as far as one audio stream needs them, RFC 3550 packets, RFC 4733 events. The echo sends back
//! whatever payload was agreed on, so it works with every codec; the voice is G.711. A sender report every five seconds. No
//! jitter buffer: what comes late comes late.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Duration, Instant, Random};

/// What one side of a description says about its audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where it wants packets; port 0 means it does not.
    pub address: SocketAddrV4,
    /// Payload types in order of preference, with name and clock rate as in `rtpmap`.
    pub payloads: Vec<(u8, String)>,
    /// `fmtp` of a payload type.
    pub formats: Vec<(u8, String)>,
    /// It sends.
    pub sends: bool,
    /// It receives.
    pub receives: bool,
}

impl Described {
    /// Reads a description; `None` without an audio stream over `RTP/AVP`.
    pub fn read(sdp: &str) -> Option<Self> {
        let (mut session_host, mut host, mut port, mut direction) = (None, None, None, "sendrecv");
        let (mut payloads, mut formats, mut in_audio) = (Vec::<(u8, String)>::new(), Vec::new(), false);
        for line in sdp.lines().map(str::trim) {
            let Some((kind, value)) = line.split_once('=') else { continue };
            let in_session = port.is_none() && !in_audio;
            match kind {
                "m" => {
                    let mut words = value.split_whitespace();
                    in_audio = port.is_none() && words.next() == Some("audio");
                    if !in_audio {
                        continue;
                    }
                    port = words.next()?.split('/').next()?.parse::<u16>().ok();
                    if words.next() != Some("RTP/AVP") {
                        return None;
                    }
                    payloads = words
                        .filter_map(|word| word.parse().ok())
                        .map(|payload| (payload, well_known(payload).to_string()))
                        .collect();
                }
                "c" => {
                    let address = value.split_whitespace().nth(2)?.split('/').next()?;
                    let address: Option<Ipv4Addr> = address.parse().ok();
                    if in_audio {
                        host = address;
                    } else if in_session {
                        session_host = address;
                    }
                }
                "a" if in_audio || in_session => match value {
                    "sendrecv" | "sendonly" | "recvonly" | "inactive" => direction = value,
                    _ => {
                        let format = value.strip_prefix("fmtp:").and_then(|format| format.split_once(' '));
                        if let Some((number, text)) = format
                            && let Ok(number) = number.parse::<u8>()
                        {
                            formats.push((number, text.trim().to_string()));
                        }
                        let map = value.strip_prefix("rtpmap:").and_then(|map| map.split_once(' '));
                        let Some((number, name)) = map else { continue };
                        let Ok(number) = number.parse::<u8>() else { continue };
                        if let Some(entry) = payloads.iter_mut().find(|(one, _)| *one == number) {
                            entry.1 = name.trim().to_string();
                        }
                    }
                },
                _ => {}
            }
        }
        Some(Self {
            address: SocketAddrV4::new(host.or(session_host)?, port?),
            payloads,
            formats,
            sends: matches!(direction, "sendrecv" | "sendonly"),
            receives: matches!(direction, "sendrecv" | "recvonly"),
        })
    }

    /// The first payload type whose name begins with `name`.
    pub fn payload(&self, name: &str) -> Option<u8> {
        let fits = |text: &str| text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
        self.payloads.iter().find(|(_, text)| fits(text)).map(|(number, _)| *number)
    }
}

fn well_known(payload: u8) -> &'static str {
    match payload {
        0 => "PCMU/8000",
        8 => "PCMA/8000",
        9 => "G722/8000",
        _ => "",
    }
}

/// What is played to the other side.
#[derive(Clone, Debug)]
pub enum Playing {
    /// Nothing is sent.
    Nothing,
    /// What comes goes back after this long.
    Echo(Duration),
    /// These samples, then silence.
    Voice {
        /// 8 kHz.
        samples: Vec<i16>,
        /// How many were sent.
        at: usize,
    },
}

/// One RTP stream.
#[derive(Clone, Debug)]
pub struct Media {
    /// Where the operator receives.
    pub ours: SocketAddrV4,
    /// What it plays.
    pub playing: Playing,
    /// Packets that came.
    pub received: u64,
    /// Keys that came as telephone-events, each once.
    pub keys: String,
    /// Samples that came as G.711, in the order of arrival, when they are kept.
    pub recorded: Option<Vec<i16>>,
    /// Takes telephone-events when they are offered.
    pub knows_events: bool,
    theirs: SocketAddrV4,
    payload: u8,
    name: String,
    events: Option<u8>,
    we_send: bool,
    we_receive: bool,
    source: u32,
    sequence: u16,
    timestamp: u32,
    sent: u32,
    next: Option<Instant>,
    next_report: Option<Instant>,
    delayed: VecDeque<(Instant, Vec<u8>)>,
    last_event: Option<u32>,
    session: u32,
    version: u32,
}

impl Media {
    /// A stream that was agreed on nothing yet.
    pub fn new(ours: SocketAddrV4, random: &mut Random) -> Self {
        Self {
            ours,
            playing: Playing::Nothing,
            received: 0,
            keys: String::new(),
            recorded: None,
            knows_events: true,
            theirs: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            payload: 0,
            name: String::new(),
            events: None,
            we_send: false,
            we_receive: false,
            source: random.next_u32(),
            sequence: random.next_u16(),
            timestamp: random.next_u32(),
            sent: 0,
            next: None,
            next_report: None,
            delayed: VecDeque::new(),
            last_event: None,
            session: random.next_u32(),
            version: 0,
        }
    }

    /// An offer: G.711 both ways, and events.
    pub fn offer(&mut self) -> String {
        self.describe("0 8 101", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n", Some(101), "sendrecv")
    }

    /// Takes the other side's answer to our offer.
    pub fn accept(&mut self, now: Instant, sdp: &str) -> bool {
        self.agree(now, sdp).is_some()
    }

    /// The answer to an offer; `None` when nothing in it suits. The voice needs G.711, the echo takes what is preferred.
    pub fn answer(&mut self, now: Instant, sdp: &str) -> Option<String> {
        let offer = self.agree(now, sdp)?;
        let direction = match (self.we_send, self.we_receive) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        };
        let mut map = format!("a=rtpmap:{} {}\r\n", self.payload, self.name);
        // Who sends back what comes can say of itself what the other side says: redundancy of Opus above all.
        if let Some((number, text)) = offer.formats.iter().find(|(number, _)| *number == self.payload) {
            map += &format!("a=fmtp:{number} {text}\r\n");
        }
        let mut list = self.payload.to_string();
        let events = offer.payload("telephone-event/8000").or(offer.payload("telephone-event"));
        let events = events.filter(|_| self.knows_events);
        if let Some(events) = events {
            list += &format!(" {events}");
        }
        Some(self.describe(&list, &map, events, direction))
    }

    fn agree(&mut self, now: Instant, sdp: &str) -> Option<Described> {
        let described = Described::read(sdp)?;
        let wanted: &[&str] = match self.playing {
            Playing::Voice { .. } => &["PCM"],
            Playing::Echo(_) | Playing::Nothing => &["PCM", "G722/", "opus/", "L16/", "GSM/", "iLBC/"],
        };
        let (payload, name) = described.payloads.iter().find(|(_, name)| {
            wanted.iter().any(|one| name.get(..one.len()).is_some_and(|head| head.eq_ignore_ascii_case(one)))
        })?;
        (self.payload, self.name) = (*payload, name.clone());
        self.events = described.payload("telephone-event").filter(|_| self.knows_events);
        let open = described.address.port() != 0 && !described.address.ip().is_unspecified();
        self.we_send = described.receives && open;
        self.we_receive = described.sends;
        self.theirs = described.address;
        self.next.get_or_insert(now);
        self.next_report.get_or_insert(now + REPORT);
        Some(described)
    }

    fn describe(&mut self, list: &str, maps: &str, events: Option<u8>, direction: &str) -> String {
        self.version += 1;
        let (ip, port) = (self.ours.ip(), self.ours.port());
        let events = events.map_or(String::new(), |events| {
            format!("a=rtpmap:{events} telephone-event/8000\r\na=fmtp:{events} 0-15\r\n")
        });
        format!(
            "v=0\r\no=operator {} {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {list}\r\n\
             {maps}{events}a=ptime:20\r\na={direction}\r\n",
            self.session, self.version
        )
    }

    /// Whether the voice has said all it had to say.
    pub fn has_spoken(&self) -> bool {
        match &self.playing {
            Playing::Voice { samples, at } => *at >= samples.len(),
            _ => true,
        }
    }

    /// A packet for our port. Answers go to where it came from (symmetric RTP).
    pub fn receive(&mut self, now: Instant, from: SocketAddrV4, packet: &[u8]) {
        if packet.len() < 12 || packet[0] >> 6 != 2 || !self.we_receive {
            return;
        }
        self.theirs = from;
        self.received += 1;
        let payload = packet[1] & 0x7f;
        let body = packet.get(12 + 4 * usize::from(packet[0] & 15)..).unwrap_or(&[]);
        if Some(payload) == self.events {
            let stamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
            if self.last_event != Some(stamp)
                && let Some(key) = body.first().and_then(|event| KEYS.get(usize::from(*event)))
            {
                self.last_event = Some(stamp);
                self.keys.push(char::from(*key));
            }
        } else if let Some(recorded) = &mut self.recorded
            && (payload == 0 || payload == 8)
        {
            recorded
                .extend(body.iter().map(|byte| if payload == 0 { from_mu(*byte) } else { from_a(*byte) }));
        }
        if let Playing::Echo(delay) = self.playing {
            let mut back = packet.to_vec();
            back[8..12].copy_from_slice(&self.source.to_be_bytes());
            self.delayed.push_back((now + delay, back));
        }
    }

    /// Sends what is due.
    pub fn poll(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        while let Some((_, packet)) = self.delayed.pop_front_if(|(at, _)| *at <= now) {
            if self.we_send {
                self.sent = self.sent.wrapping_add(1);
                self.timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                send(self.ours, self.theirs, packet);
            }
        }
        while let Some(at) = self.next.filter(|at| *at <= now) {
            self.next = Some(at + PACKET);
            let Playing::Voice { samples, at } = &mut self.playing else { continue };
            let mut packet = vec![0x80, self.payload | if *at == 0 { 0x80 } else { 0 }];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.timestamp.to_be_bytes());
            packet.extend(self.source.to_be_bytes());
            for index in *at..*at + SAMPLES {
                let sample = samples.get(index).copied().unwrap_or(0);
                let mu = self.name.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("PCMU"));
                packet.push(if mu { to_mu(sample) } else { to_a(sample) });
            }
            *at += SAMPLES;
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
            if self.we_send {
                self.sent = self.sent.wrapping_add(1);
                send(self.ours, self.theirs, packet);
            }
        }
        if let Some(at) = self.next_report.filter(|at| *at <= now) {
            self.next_report = Some(at + REPORT);
            if self.we_send && self.sent > 0 {
                let (from, to) = (beside(self.ours), beside(self.theirs));
                send(from, to, self.report(now));
            }
        }
    }

    /// When [`Media::poll`] wants to be called again.
    pub fn next_poll(&self) -> Option<Instant> {
        let voice = self.next.filter(|_| matches!(self.playing, Playing::Voice { .. }));
        [voice, self.delayed.front().map(|(at, _)| *at), self.next_report].into_iter().flatten().min()
    }

    /// Sender report without report blocks, and a CNAME (RFC 3550, sections 6.4.1 and 6.5.1).
    fn report(&self, now: Instant) -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(self.source.to_be_bytes());
        let micros = now.as_micros();
        packet.extend(((micros / 1_000_000) as u32).to_be_bytes());
        packet.extend((((micros % 1_000_000) << 32) / 1_000_000).to_be_bytes()[4..].iter());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.sent.to_be_bytes());
        packet.extend(self.sent.wrapping_mul(160).to_be_bytes());
        packet.extend([0x81, 202, 0, 4]);
        packet.extend(self.source.to_be_bytes());
        packet.extend(b"\x01\x08operator\0\0");
        packet
    }
}

/// The RTCP port.
fn beside(address: SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*address.ip(), address.port().wrapping_add(1))
}

/// G.711 µ-law of a sample.
pub fn to_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let segment = (31 - (magnitude as u32).leading_zeros()) as i32 - 7;
    let mantissa = magnitude >> (segment + 3) & 15;
    !(sign | (segment << 4) as u8 | mantissa as u8)
}

/// The sample of a µ-law byte.
pub fn from_mu(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i32::from(byte & 15) << 3) + 132) << (byte >> 4 & 7)) - 132;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// G.711 A-law of a sample.
pub fn to_a(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = if sample < 0 { !i32::from(sample) } else { i32::from(sample) } >> 3;
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let segment = 31 - (magnitude as u32).leading_zeros() as i32 - 4;
        segment << 4 | magnitude >> segment & 15
    };
    (sign | code as u8) ^ 0x55
}

/// The sample of an A-law byte.
pub fn from_a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, mantissa) = (i32::from(byte >> 4 & 7), i32::from(byte & 15));
    let magnitude = if segment == 0 { (mantissa << 4) + 8 } else { ((mantissa << 4) + 264) << (segment - 1) };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

const KEYS: &[u8; 16] = b"0123456789*#ABCD";
const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
const REPORT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_reads_back_within_a_step() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            for (name, back) in [("µ", from_mu(to_mu(sample))), ("A", from_a(to_a(sample)))] {
                let error = (i32::from(sample) - i32::from(back)).abs();
                assert!(error <= 24 + i32::from(sample.unsigned_abs()) / 16, "{name}: {sample} → {back}");
            }
        }
        // ITU-T G.711: silence and the largest values.
        assert_eq!((to_mu(0), to_a(0), to_mu(i16::MAX), to_a(i16::MAX)), (0xff, 0xd5, 0x80, 0xaa));
        for byte in 0..=255 {
            assert_eq!(to_a(from_a(byte)), byte);
            assert!(byte == 0x7f || to_mu(from_mu(byte)) == byte);
        }
    }

    #[test]
    fn an_answer_mirrors_hold_and_takes_the_first_codec_it_knows() {
        let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 18 96 8 97\r\na=rtpmap:96 opus/48000/2\r\n\
                     a=fmtp:96 useinbandfec=1\r\na=rtpmap:97 telephone-event/8000\r\na=sendonly\r\n";
        let mut random = Random::new(dialtone_base::Seed::from_number(1));
        let mut media = Media::new("203.0.113.60:20000".parse().unwrap(), &mut random);
        media.playing = Playing::Echo(Duration::from_millis(0));
        let answer = media.answer(Instant::START, offer).unwrap();
        assert!(answer.contains("m=audio 20000 RTP/AVP 96 97") && answer.contains("a=recvonly"), "{answer}");
        assert!(answer.contains("a=fmtp:96 useinbandfec=1\r\n"), "{answer}");
        media.playing = Playing::Voice { samples: vec![], at: 0 };
        assert!(media.answer(Instant::START, offer).unwrap().contains("RTP/AVP 8 97"));
        assert_eq!(media.answer(Instant::START, "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 18\r\n"), None);
    }
}
