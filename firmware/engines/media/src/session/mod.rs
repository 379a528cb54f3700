//! One voice stream: sound in and RTP out, RTP in and sound out, 10 ms at a time.
//!
//! Never waits, never allocates after construction, does bounded work in each call. A session is made once ([`Session::idle`]) and
//! lives one stream after the other ([`Session::start`], [`Session::stop`]). RFC 3550 for RTP and RTCP, RFC 4733 for keys, RFC 3389 for
//! comfort noise. No encryption.

mod receive;
mod send;
#[cfg(test)]
mod tests;

use core::net::SocketAddr;

use dialtone_base::counter::Counters;
use dialtone_base::telephony::Key;
use dialtone_base::text::Text;
use dialtone_base::{Duration, Instant, Random, Seed, counted_reasons};
use heapless::Deque;

use crate::codec::{Codec, CodecPool};
use crate::comfort_noise::RoomNoise;
use crate::latch::{Judgement, Latch};
use crate::quality;
use crate::rtcp::{self, Report, Schedule};
use crate::rtp::{self, Packet};
use crate::stream::{Direction, StreamConfig};
use crate::telephone_event::FLASH;
use receive::Receiver;
use send::Sender;

/// What a session needs besides what was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Samples in a second of the line, 8000 or 16000.
    pub sample_rate: u32,
    /// After this long without RTP and RTCP where RTP is due, [`Event::Silent`] is told once.
    pub timeout: Duration,
}

/// What a session tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer pressed a key (RFC 4733). Told once, at its beginning; its tone is already in the sound of `pull_pcm`.
    Key(Key),
    /// The peer reported a hook flash (RFC 4733 event 16).
    Flash,
    /// Neither RTP nor RTCP came for [`Setup::timeout`] although nobody holds the call: it may be dead.
    Silent,
    /// RTP came again after [`Event::Silent`].
    Resumed,
    /// RTP comes from another address than was negotiated and now goes there (symmetric RTP).
    Moved(SocketAddr),
    /// The peer's RTCP says goodbye.
    Bye,
}

counted_reasons! {
    /// Why a packet did not become sound.
    pub enum Dropped {
        /// No stream is there.
        Idle = "no-stream",
        /// Not RTP or RTCP.
        Malformed = "malformed",
        /// Our agreement says that nothing shall come (hold).
        NotAgreed = "direction-not-agreed",
        /// A payload type nobody agreed on.
        UnknownType = "unknown-payload-type",
        /// It carries our own SSRC: it went round in a circle.
        Loop = "our-own-source",
        /// From an address that is not the peer's.
        Stray = "stray-address",
        /// From another source than the one being played, until that one has ended.
        OtherSource = "other-source",
        /// Its number is far from the expected one; if the next one confirms it, the source began anew.
        Suspect = "suspect-number",
        /// It was there already.
        Duplicate = "duplicate",
        /// Its time had gone by.
        Late = "late",
        /// Older than what a full buffer keeps, or given up to shorten the delay.
        Overflow = "overflow",
        /// The payload is none of its codec's.
        BadPayload = "bad-payload",
    }
}

/// The counters of a session.
pub type Drops = Counters<Dropped, { Dropped::COUNT }>;

/// A stream in progress, or none. Large (tens of kilobytes): box it.
pub struct Session {
    config: Option<StreamConfig>,
    setup: Setup,
    random: Random,
    name: Text<24>,
    sender: Sender,
    receiver: Receiver,
    latch: Latch,
    schedule: Schedule,
    drops: Drops,
    events: Deque<Event, 16>,
    started: Instant,
    heard_at: Instant,
    silent_told: bool,
    /// A fax or modem speaks.
    data: bool,
    /// The peer's latest sender report, and when it came.
    their_report: Option<(u32, Instant)>,
    /// What the peer says of our packets.
    about_us: Option<Report>,
    round_trip: Option<Duration>,
}

/// How good the stream is, for people and call logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// The codec we send.
    pub codec: Codec,
    /// Estimated mean opinion score in hundredths: 441 is the best (ITU-T G.107).
    pub opinion: u16,
    /// Packets of sound sent.
    pub sent: u32,
    /// Packets received.
    pub received: u32,
    /// Packets lost on the way to us.
    pub lost: u32,
    /// Sound that was concealed for any reason, in hundredths of a percent of all that was played.
    pub concealed: u16,
    /// Interarrival jitter in milliseconds (RFC 3550).
    pub jitter: u16,
    /// Milliseconds that sound waits here (jitter buffer).
    pub delay: u16,
    /// Round trip in milliseconds, once RTCP told it.
    pub round_trip: Option<u16>,
    /// Share of our packets the peer lost lately, in percent, once RTCP told it.
    pub lost_by_peer: Option<u8>,
}

impl Session {
    /// A session without a stream: plays silence, sends nothing. All memory it will ever need is allocated here, but for the Opus
    /// states of `pool`.
    pub fn idle(pool: &CodecPool, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let setup = Setup { sample_rate: 8000, timeout: Duration::from_secs(30) };
        Self {
            config: None,
            setup,
            name: Text::new(),
            sender: Sender::new(pool.clone(), &mut random),
            receiver: Receiver::new(pool.clone()),
            latch: Latch::new(Instant::START, None),
            schedule: Schedule::new(Instant::START, &mut random),
            random,
            drops: Drops::new(),
            events: Deque::new(),
            started: Instant::START,
            heard_at: Instant::START,
            silent_told: false,
            data: false,
            their_report: None,
            about_us: None,
            round_trip: None,
        }
    }

    /// A stream that begins now.
    pub fn new(now: Instant, config: StreamConfig, setup: Setup, pool: &CodecPool, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let mut session = Self::idle(pool, random.derive_seed());
        session.start(now, config, setup, random.derive_seed());
        session
    }

    /// Begins a stream; one that was there ends. New SSRC, nothing of an earlier call remains. Does not allocate. When Opus was agreed but
    /// the pool is empty, the stream is silent: ask [`CodecPool::available`] before offering Opus.
    pub fn start(&mut self, now: Instant, config: StreamConfig, setup: Setup, seed: Seed) {
        self.stop();
        self.random = Random::new(seed);
        self.setup = setup;
        // A name that says nothing of the household (RFC 7022).
        self.name = Text::new();
        let _ = core::fmt::Write::write_fmt(&mut self.name, format_args!("{:016x}", self.random.next_u64()));
        self.sender.start(&config, setup.sample_rate, &mut self.random);
        self.receiver.start(&config, setup.sample_rate);
        self.latch = Latch::new(now, config.remote);
        self.schedule = Schedule::new(now, &mut self.random);
        self.started = now;
        self.heard_at = now;
        self.silent_told = false;
        self.data = false;
        self.config = Some(config);
    }

    /// From now on a line of this rate, 8000 or 16000, speaks and hears. What it is joined with may not be known when a stream begins.
    pub fn set_line_rate(&mut self, sample_rate: u32) {
        self.setup.sample_rate = sample_rate;
        self.sender.set_line_rate(sample_rate);
        self.receiver.set_line_rate(sample_rate);
    }

    /// Ends the stream and gives its Opus states back.
    pub fn stop(&mut self) {
        self.config = None;
        self.sender.stop();
        self.receiver.stop();
        self.events.clear();
        self.drops = Drops::new();
        self.their_report = None;
        self.about_us = None;
        self.round_trip = None;
    }

    /// What is agreed now; `None`: no stream.
    pub const fn config(&self) -> Option<&StreamConfig> {
        self.config.as_ref()
    }

    /// A new agreement (re-INVITE): codec, address, hold, packet time. The SSRC and sequence numbers go on.
    pub fn reconfigure(&mut self, now: Instant, config: StreamConfig) {
        let Some(before) = &self.config else { return };
        self.latch.renegotiate(now, config.remote);
        self.sender.reconfigure(before, &config);
        self.receiver.reconfigure(before, &config);
        if config.direction != before.direction {
            self.heard_at = now;
            self.silent_told = false;
        }
        self.config = Some(config);
    }

    /// Where to send what [`Session::push_pcm`] returns; follows the peer (symmetric RTP).
    pub fn destination(&self) -> Option<SocketAddr> {
        self.config.as_ref().and_then(|_| self.latch.destination())
    }

    /// Where to send what [`Session::rtcp`] returns.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        let config = self.config.as_ref()?;
        let (remote, believed) = (config.remote?, self.latch.destination()?);
        if config.rtcp_mux {
            return Some(believed);
        }
        let negotiated = config.remote_rtcp?;
        // The peer was seen elsewhere: its RTCP most likely is there too.
        if believed == remote {
            Some(negotiated)
        } else {
            Some(SocketAddr::new(believed.ip(), negotiated.port()))
        }
    }

    /// A datagram came on the RTP port (with RTCP multiplexed: RTCP too).
    pub fn push_rtp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let result = self.receive(now, from, datagram);
        if let Err(dropped) = result {
            self.drops.count(dropped);
        }
        result
    }

    /// A datagram came on the RTCP port.
    pub fn push_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let result = self.receive_report(now, from, datagram);
        if let Err(dropped) = result {
            self.drops.count(dropped);
        }
        result
    }

    /// Fills `out`, 10 ms at the line's rate, with what the peer says. Call every 10 ms.
    pub fn pull_pcm(&mut self, now: Instant, out: &mut [i16]) {
        let Some(config) = &self.config else {
            out.fill(0);
            return;
        };
        if config.direction.receives() {
            let gave_up = self.receiver.pull(now, config, out);
            self.drops.add(Dropped::Overflow, u64::from(gave_up));
            // Who holds us need not send music.
            let due = config.direction == Direction::SendReceive;
            if due && !self.silent_told && now - self.heard_at >= self.setup.timeout {
                self.silent_told = true;
                let _ = self.events.push_back(Event::Silent);
            }
        } else {
            out.fill(0);
        }
    }

    /// Takes 10 ms at the line's rate; every packet time the result is the length of an RTP packet in `out` (at least 1500 octets), to be
    /// sent to [`Session::destination`] at once.
    pub fn push_pcm(&mut self, now: Instant, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        let config = self.config.as_ref()?;
        let _ = now;
        self.sender.push(config, samples, out)
    }

    /// The next pushes are the room's noise alone, as described (by [`crate::comfort_noise`]), or (`None`) speech again. When comfort
    /// noise was agreed, packets of sound are saved; else nothing changes.
    pub fn set_silence(&mut self, room: Option<RoomNoise>) {
        self.sender.set_silence(room.filter(|_| !self.data));
    }

    /// A fax or modem speaks on this line, or no more: nothing that helps speech may touch its signals. The delay stays as it is, and no
    /// silence is saved. The codec is the offerer's business: only G.711 carries such signals.
    pub fn set_data(&mut self, data: bool) {
        self.receiver.set_data(data);
        self.data = data;
        if data {
            self.sender.set_silence(None);
        }
    }

    /// When RTCP is due, the length of a report in `out`, to be sent to [`Session::rtcp_destination`]. Call every 10 ms.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.config.as_ref()?;
        if !self.schedule.due(now, &mut self.random) {
            return None;
        }
        self.report(now, out, false)
    }

    /// The last report, with BYE. Then [`Session::stop`].
    pub fn bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.config.as_ref()?;
        self.report(now, out, true)
    }

    /// Sends a key for `duration` as RFC 4733 events when that was agreed. `false`: not agreed, or too many keys wait; then sound the
    /// tone into `push_pcm` or send SIP INFO.
    pub fn send_key(&mut self, key: Key, duration: Duration) -> bool {
        self.send_event(key.event(), duration)
    }

    /// Sends a hook flash, if events were agreed.
    pub fn send_flash(&mut self) -> bool {
        self.send_event(FLASH, Duration::from_millis(100))
    }

    /// Sends silence instead of the microphone.
    pub fn set_mute(&mut self, mute: bool) {
        self.sender.mute = mute;
    }

    /// What happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Packets dropped, by reason, since the stream began.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// How good the stream is; `None` without a stream.
    pub fn quality(&self, now: Instant) -> Option<Quality> {
        let config = self.config.as_ref()?;
        let concealed = self.receiver.concealed_share();
        let delay = self.receiver.delay(now);
        let trip = self.round_trip.map_or(0.0, |trip| trip.as_micros() as f32 / 2000.0);
        let mouth_to_ear = trip + delay as f32 / 1000.0 + f32::from(config.packet_time) + 10.0;
        let rating = quality::rating(config.codec, mouth_to_ear, concealed);
        let milliseconds = |duration: Duration| duration.as_millis().min(u64::from(u16::MAX)) as u16;
        Some(Quality {
            codec: config.codec,
            opinion: (quality::opinion(rating) * 100.0) as u16,
            sent: self.sender.packets,
            received: self.receiver.received(),
            lost: self.receiver.lost(),
            concealed: (concealed * 10_000.0) as u16,
            jitter: self.receiver.jitter_milliseconds(),
            delay: (delay / 1000).min(u64::from(u16::MAX)) as u16,
            round_trip: self.round_trip.map(milliseconds),
            lost_by_peer: self.about_us.map(|report| (u32::from(report.fraction_lost) * 100 / 256) as u8),
        })
    }

    fn send_event(&mut self, event: u8, duration: Duration) -> bool {
        let agreed = self
            .config
            .as_ref()
            .is_some_and(|config| config.telephone_event.is_some() && config.direction.sends());
        agreed && self.sender.events.send(event, duration.as_millis().min(600_000) as u32)
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let Some(config) = &self.config else { return Err(Dropped::Idle) };
        if rtp::is_rtcp(datagram) {
            return self.receive_report(now, from, datagram);
        }
        let packet = Packet::parse(datagram).map_err(|_| Dropped::Malformed)?;
        if packet.header.ssrc == self.sender.ssrc {
            return Err(Dropped::Loop);
        }
        match self.latch.judge(now, from, &packet.header) {
            Judgement::Believed => {}
            Judgement::Moved => {
                let _ = self.events.push_back(Event::Moved(from));
            }
            Judgement::Stray => return Err(Dropped::Stray),
        }
        // Also what comes while on hold shows that the peer lives.
        self.heard_at = now;
        if core::mem::take(&mut self.silent_told) {
            let _ = self.events.push_back(Event::Resumed);
        }
        if !config.direction.receives() {
            return Err(Dropped::NotAgreed);
        }
        if let Some(event) = self.receiver.packet(now, config, &packet)? {
            let _ = self.events.push_back(event);
        }
        Ok(())
    }

    fn receive_report(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        if self.config.is_none() {
            return Err(Dropped::Idle);
        }
        let peer = self.latch.destination().map(|peer| peer.ip());
        let reporter = self.rtcp_destination().map(|peer| peer.ip());
        if peer.is_some() && peer != Some(from.ip()) && reporter != Some(from.ip()) {
            return Err(Dropped::Stray);
        }
        let received = rtcp::parse(datagram, self.sender.ssrc).map_err(|_| Dropped::Malformed)?;
        if received.ssrc == self.sender.ssrc {
            return Err(Dropped::Loop);
        }
        self.heard_at = now;
        if let Some(report) = received.sender_report {
            self.their_report = Some((report, now));
        }
        if let Some(report) = received.about_us {
            self.about_us = Some(report);
            if let Some(trip) = rtcp::round_trip(now, &report) {
                self.round_trip = Some(trip);
            }
            self.sender.heard_loss(report.fraction_lost);
        }
        if received.bye && self.receiver.is_source(received.ssrc) {
            let _ = self.events.push_back(Event::Bye);
        }
        Ok(())
    }

    fn report(&mut self, now: Instant, out: &mut [u8], bye: bool) -> Option<usize> {
        let last = self.their_report.map(|(report, at)| (report, rtcp::ntp(at)));
        let report = self.receiver.report().map(|mut report| {
            if let Some((middle, at)) = last {
                report.last_sender_report = middle;
                report.delay = (rtcp::ntp(now).saturating_sub(at) >> 16) as u32;
            }
            report
        });
        let sender = self.sender.info();
        rtcp::write(out, now, self.sender.ssrc, sender, report, &self.name, bye)
    }
}
