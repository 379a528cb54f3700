//! The other end of a call over the network: an RTP peer that is not the product, beyond the street.
//!
//! It stands between the ISP and the simulated operator. The operator keeps the signalling of its echo number; every packet to one of its
//! media ports ends here, is written down with the time it came, and decoded later: G.711 by the simulator's own tables, Opus by libopus 1.6.1.
//! It speaks from there too, a packet each 20 ms from the first one that came, silence when it has nothing to say, and reports
//! losses by RTCP (RFC 3550, section 6.4). A peer without faults: no jitter, and nothing concealed but what libopus conceals.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use dialtone_base::{Duration, Instant};
use dialtone_netsim::operator::media::{from_a, from_mu, to_a, to_mu};
use dialtone_netsim::packet::Datagram;
use dialtone_netsim::peer::{FarSide, Peer};

/// What it speaks and understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// Opus at 24 kbit/s with in-band redundancy for so many percent of loss.
    Opus(u8),
}

/// A packet of sound that came.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// When it reached the far end.
    pub at: Instant,
    /// Of its first sample.
    pub timestamp: u32,
    payload: Vec<u8>,
}

/// The test's hold on it. Cheap to copy.
#[derive(Clone)]
pub struct FarEnd(Rc<RefCell<State>>);

/// Plugs into the street.
struct Between {
    far_end: FarEnd,
    beyond: Box<dyn FarSide>,
}

struct State {
    voice: Voice,
    servers: Vec<Ipv4Addr>,
    /// After the first packet came, the first one goes this much later.
    phase: Duration,
    ours: SocketAddrV4,
    theirs: SocketAddrV4,
    payload_type: u8,
    arrived: Vec<Arrived>,
    events: Vec<(Instant, u8)>,
    to_say: VecDeque<i16>,
    sent: Vec<Instant>,
    next: Option<Instant>,
    next_report: Option<Instant>,
    reported: (u32, u32),
    highest: Option<u32>,
    first: u32,
    their_source: u32,
    encoder: Option<opus::Encoder>,
}

impl FarEnd {
    /// At these addresses of the operator's.
    pub fn new(voice: Voice, servers: Vec<Ipv4Addr>) -> Self {
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        Self(Rc::new(RefCell::new(State {
            voice,
            servers,
            phase: Duration::from_millis(7),
            ours: nowhere,
            theirs: nowhere,
            payload_type: 0,
            arrived: Vec::new(),
            events: Vec::new(),
            to_say: VecDeque::new(),
            sent: Vec::new(),
            next: None,
            next_report: None,
            reported: (0, 0),
            highest: None,
            first: 0,
            their_source: 0,
            encoder: None,
        })))
    }

    /// Puts it in front of what is beyond.
    pub fn between(&self) -> impl FnOnce(Box<dyn FarSide>) -> Box<dyn FarSide> + use<> {
        let far_end = self.clone();
        move |beyond| Box::new(Between { far_end, beyond })
    }

    /// From the next call on it speaks this.
    pub fn set_voice(&self, voice: Voice) {
        self.0.borrow_mut().voice = voice;
    }

    /// From the next call on its packets leave this much after those that come.
    pub fn set_phase(&self, phase: Duration) {
        self.0.borrow_mut().phase = phase;
    }

    /// Which of its media ports the call uses: each call has another.
    pub fn call(&self) -> u16 {
        self.0.borrow().ours.port()
    }

    /// Packets of sound that came in this call.
    pub fn arrived(&self) -> usize {
        self.0.borrow().arrived.len()
    }

    /// Those packets from one on.
    pub fn arrivals(&self, from: usize) -> Vec<Arrived> {
        self.0.borrow().arrived.get(from..).unwrap_or_default().to_vec()
    }

    /// Keys that came as events (RFC 4733), each packet of them, with the time it came.
    pub fn events(&self) -> Vec<(Instant, u8)> {
        self.0.borrow().events.clone()
    }

    /// Says this, at 8 kHz, from its next packet on: the number of that packet.
    pub fn say(&self, speech: &[i16]) -> usize {
        let mut state = self.0.borrow_mut();
        state.to_say.clear();
        state.to_say.extend(speech);
        state.sent.len()
    }

    /// When it sent a packet.
    pub fn sent_at(&self, packet: usize) -> Option<Instant> {
        self.0.borrow().sent.get(packet).copied()
    }

    /// What came from this packet on, at 8 kHz, and when the first of it came. A lost packet of G.711 is silence, one of Opus is what libopus makes
    /// of the redundancy in the next, else of nothing.
    ///
    /// # Panics
    /// When the router sends what is no packet of the codec, or nothing.
    pub fn recording(&self, from: usize) -> (Vec<i16>, Instant) {
        let state = self.0.borrow();
        let mut packets: Vec<&Arrived> = state.arrived[from..].iter().collect();
        let (first, at) = packets.first().map(|start| (start.timestamp, start.at)).expect("the router sends");
        packets.sort_by_key(|packet| packet.timestamp.wrapping_sub(first) as i32);
        let ticks = if matches!(state.voice, Voice::Opus(_)) { 960 } else { 160 };
        let mut decoder = opus::Decoder::new(8000, opus::Channels::Mono).expect("libopus");
        let mut sound = Vec::new();
        let mut expected = first;
        for packet in packets {
            let missing = packet.timestamp.wrapping_sub(expected) as i32 / ticks;
            for left in (0..missing).rev() {
                let mut frame = [0; 160];
                match state.voice {
                    Voice::Opus(_) if left == 0 => {
                        decoder.decode(&packet.payload, &mut frame, true).expect("Opus");
                    }
                    Voice::Opus(_) => {
                        decoder.decode(&[], &mut frame, false).expect("Opus");
                    }
                    Voice::Pcmu | Voice::Pcma => {}
                }
                sound.extend(frame);
            }
            match state.voice {
                Voice::Pcmu => sound.extend(packet.payload.iter().map(|byte| from_mu(*byte))),
                Voice::Pcma => sound.extend(packet.payload.iter().map(|byte| from_a(*byte))),
                Voice::Opus(_) => {
                    let mut frame = [0; 960];
                    let count = decoder.decode(&packet.payload, &mut frame, false).expect("Opus");
                    sound.extend(&frame[..count]);
                }
            }
            expected = packet.timestamp.wrapping_add(ticks as u32);
        }
        (sound, at)
    }
}

impl State {
    fn is_media(&self, to: SocketAddrV4) -> bool {
        self.servers.contains(to.ip()) && to.port() >= FIRST_PORT
    }

    fn receive(&mut self, now: Instant, datagram: &Datagram<'_>) {
        let packet = datagram.payload;
        // RTCP comes on odd ports and is not read.
        if datagram.to.port() % 2 == 1 || packet.len() <= 12 || packet[0] != 0x80 {
            return;
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let payload_type = packet[1] & 0x7f;
        if self.ours != datagram.to {
            self.begin(now, datagram, payload_type, sequence);
        }
        // After a hold it goes on speaking.
        self.next.get_or_insert(now + self.phase);
        self.next_report.get_or_insert(now + REPORT);
        self.theirs = datagram.from;
        self.their_source = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let highest = self.highest.unwrap_or(u32::from(sequence));
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        self.highest = Some(highest.wrapping_add(ahead.max(0) as u32));
        if payload_type == self.payload_type {
            self.arrived.push(Arrived { at: now, timestamp, payload: packet[12..].to_vec() });
        } else {
            self.events.push((now, packet[12]));
        }
    }

    /// A packet of another call.
    fn begin(&mut self, now: Instant, datagram: &Datagram<'_>, payload_type: u8, sequence: u16) {
        self.ours = datagram.to;
        self.payload_type = payload_type;
        self.arrived.clear();
        self.events.clear();
        self.to_say.clear();
        self.sent.clear();
        self.next = Some(now + self.phase);
        self.next_report = Some(now + REPORT);
        self.reported = (0, 0);
        self.highest = None;
        self.first = u32::from(sequence);
        self.encoder = match self.voice {
            Voice::Opus(loss) => {
                let made = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip);
                let mut encoder = made.expect("libopus");
                encoder.set_bitrate(opus::Bitrate::Bits(24_000)).expect("libopus");
                encoder.set_inband_fec(true).expect("libopus");
                encoder.set_packet_loss_perc(loss.into()).expect("libopus");
                Some(encoder)
            }
            Voice::Pcmu | Voice::Pcma => None,
        };
    }

    fn speak(&mut self, now: Instant) -> Vec<u8> {
        let frame: Vec<i16> = (0..160).map(|_| self.to_say.pop_front().unwrap_or(0)).collect();
        let number = self.sent.len() as u32;
        let ticks = if self.encoder.is_some() { 960 } else { 160 };
        let mut packet = vec![0x80, self.payload_type | if number == 0 { 0x80 } else { 0 }];
        packet.extend((number as u16).to_be_bytes());
        packet.extend(number.wrapping_mul(ticks).to_be_bytes());
        packet.extend(SOURCE.to_be_bytes());
        match (&mut self.encoder, self.voice) {
            (Some(encoder), _) => packet.extend(encoder.encode_vec(&frame, 1000).expect("libopus")),
            (None, Voice::Pcmu) => packet.extend(frame.into_iter().map(to_mu)),
            (None, _) => packet.extend(frame.into_iter().map(to_a)),
        }
        self.sent.push(now);
        packet
    }

    /// A sender report with one block about what came.
    fn report(&mut self) -> Vec<u8> {
        let highest = self.highest.unwrap_or(self.first);
        let (expected, received) =
            (highest.wrapping_sub(self.first) + 1, (self.arrived.len() + self.events.len()) as u32);
        let lost = expected.saturating_sub(received);
        let (expected_now, lost_now) =
            (expected - self.reported.0.min(expected), lost.saturating_sub(self.reported.1));
        self.reported = (expected, lost);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let mut packet = vec![0x81, 200, 0, 12];
        packet.extend(SOURCE.to_be_bytes());
        let sent = self.sent.len() as u32;
        for word in
            [0, 0, sent * 160, sent, sent * 160, self.their_source, fraction << 24 | lost, highest, 0, 0, 0]
        {
            packet.extend(word.to_be_bytes());
        }
        packet
    }
}

impl FarSide for Between {
    fn open(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Box<dyn Peer> {
        self.beyond.open(from, to)
    }

    fn datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        let mut state = self.far_end.0.borrow_mut();
        if state.is_media(datagram.to) {
            state.receive(now, datagram);
            return None;
        }
        self.beyond.datagram(now, datagram)
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>)) {
        let mut state = self.far_end.0.borrow_mut();
        // A call whose packets have ended is over.
        if state.arrived.last().is_some_and(|last| now.since(last.at) > Duration::from_secs(2)) {
            (state.next, state.next_report) = (None, None);
        }
        while let Some(at) = state.next.filter(|at| *at <= now) {
            state.next = Some(at + PACKET);
            let packet = state.speak(now);
            send(state.ours, state.theirs, packet);
        }
        if let Some(at) = state.next_report.filter(|at| *at <= now) {
            state.next_report = Some(at + REPORT);
            let beside = |place: SocketAddrV4| SocketAddrV4::new(*place.ip(), place.port() + 1);
            let packet = state.report();
            send(beside(state.ours), beside(state.theirs), packet);
        }
        drop(state);
        // The operator's own reports about a stream it does not see are not for the router.
        self.beyond.poll(now, send);
    }

    fn next_poll(&self) -> Option<Instant> {
        let state = self.far_end.0.borrow();
        [state.next, state.next_report, self.beyond.next_poll()].into_iter().flatten().min()
    }
}

/// The operator's media ports begin here.
const FIRST_PORT: u16 = 20_000;
const PACKET: Duration = Duration::from_millis(20);
const REPORT: Duration = Duration::from_secs(5);
const SOURCE: u32 = 0x0fa5_e4d0;
