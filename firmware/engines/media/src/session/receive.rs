//! The receiving half of a session: RTP packets to sound and keys.

use dialtone_base::Instant;
use dialtone_base::telephony::Key;
use dialtone_signal::{Doubler, DualTone, Halver, Rate, dtmf};

use super::{Dropped, Event};
use crate::codec::{Codec, CodecPool, Decoder};
use crate::comfort_noise::{ComfortNoise, RoomNoise};
use crate::conceal::Concealer;
use crate::jitter::{Handle, JitterBuffer, Next, Unwanted};
use crate::rtcp::Report;
use crate::rtp::{Arrival, Packet, Source};
use crate::stream::StreamConfig;
use crate::stretch::PlayBuffer;
use crate::telephone_event::{EventPacket, EventReceiver, FLASH, Heard};

/// Samples of the longest packet, 60 ms (Opus: 120 ms) at 16 kHz.
const LONGEST: usize = 1920;
/// A source that is not being played needs this many packets in a row to take over.
const TAKE_OVER: u8 = 3;
/// RFC 3389: comfort noise, agreed or not.
const COMFORT_NOISE: u8 = 13;
/// Share of lost packets from which sound waits for the packet after the lost one (one in a hundred), and below which it no
/// longer does.
const LOOK_AHEAD: f32 = 0.0099;
const LOOK_AHEAD_NO_MORE: f32 = 0.002;
/// Mean square of what bears any cut: −60 dB.
const QUIET: f32 = 900.0;
/// DTMF as it is sent on lines: −9 and −11 dBm0 would be loud in an ear; the far end's own tone is gone.
const TONE_LEVEL: f32 = -16.0;

pub(super) struct Receiver {
    pool: CodecPool,
    opus_rate: u32,
    line_rate: u32,
    jitter: JitterBuffer,
    decoder: Decoder,
    concealer: Concealer,
    play: PlayBuffer,
    doubler: Doubler,
    halver: Halver,
    /// One decoded packet.
    frame: [i16; LONGEST],
    /// What fills a gap.
    gap: [i16; LONGEST],
    /// The sender's silence, as it described it.
    room: Option<RoomNoise>,
    noise: ComfortNoise,
    source: Option<Source>,
    candidate: Option<(u32, u8)>,
    heard_at: Instant,
    events: EventReceiver,
    event_rate: u32,
    tone: Option<(Key, DualTone)>,
    /// Share of packets lost lately.
    loss: f32,
    /// Milliseconds of one packet.
    packet_time: u32,
    played: u64,
    pub concealed: u64,
    stretched_at: Instant,
    /// A fax or modem speaks: the delay stays as it is.
    data: bool,
}

impl Receiver {
    pub fn new(pool: CodecPool) -> Self {
        Self {
            opus_rate: pool.sample_rate(),
            pool,
            line_rate: 8000,
            jitter: JitterBuffer::new(8),
            decoder: Decoder::G711(Codec::Pcmu),
            concealer: Concealer::new(8000, 0),
            play: PlayBuffer::default(),
            doubler: Doubler::default(),
            halver: Halver::default(),
            frame: [0; LONGEST],
            gap: [0; LONGEST],
            room: None,
            noise: ComfortNoise::new(1),
            source: None,
            candidate: None,
            heard_at: Instant::START,
            events: EventReceiver::default(),
            event_rate: 8000,
            tone: None,
            loss: 0.0,
            packet_time: 20,
            played: 0,
            concealed: 0,
            stretched_at: Instant::START,
            data: false,
        }
    }

    pub fn start(&mut self, config: &StreamConfig, line_rate: u32) {
        self.line_rate = line_rate;
        self.data = false;
        self.jitter.restart(config.codec.ticks_per_millisecond());
        self.doubler = Doubler::default();
        self.halver = Halver::default();
        self.source = None;
        self.candidate = None;
        self.events = EventReceiver::default();
        self.tone = None;
        self.room = None;
        self.loss = 0.0;
        self.packet_time = u32::from(config.packet_time);
        self.played = 0;
        self.concealed = 0;
        self.take_decoder(config.codec);
    }

    /// Another line listens from now on.
    pub fn set_line_rate(&mut self, line_rate: u32) {
        if line_rate != self.line_rate {
            self.line_rate = line_rate;
            self.doubler = Doubler::default();
            self.halver = Halver::default();
            self.tone = None;
        }
    }

    pub fn stop(&mut self) {
        self.decoder = Decoder::G711(Codec::Pcmu);
        self.play.clear();
        self.source = None;
        self.tone = None;
    }

    pub fn reconfigure(&mut self, before: &StreamConfig, config: &StreamConfig) {
        if config.direction.receives() != before.direction.receives() || config.remote != before.remote {
            // What waited belongs to before the hold.
            self.flush();
        }
    }

    pub fn is_source(&self, ssrc: u32) -> bool {
        self.source.as_ref().is_some_and(|source| source.ssrc == ssrc)
    }

    pub fn received(&self) -> u32 {
        self.source.as_ref().map_or(0, Source::received)
    }

    pub fn lost(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| source.lost().max(0) as u32)
    }

    pub fn jitter_milliseconds(&self) -> u16 {
        let ticks = self.source.as_ref().map_or(0, Source::jitter);
        (ticks / self.jitter.ticks_per_millisecond()).min(u32::from(u16::MAX)) as u16
    }

    /// Share of what was played that was made here, 0 to 1.
    pub fn concealed_share(&self) -> f32 {
        if self.played == 0 { 0.0 } else { self.concealed as f32 / self.played as f32 }
    }

    /// Microseconds that sound waits.
    pub fn delay(&self, now: Instant) -> u64 {
        self.jitter.delay(now, self.pending()).unwrap_or_else(|| self.jitter.target())
    }

    pub fn report(&mut self) -> Option<Report> {
        let source = self.source.as_mut()?;
        Some(Report {
            ssrc: source.ssrc,
            fraction_lost: source.fraction_lost(),
            lost: source.lost(),
            highest: source.extended_highest(),
            jitter: source.jitter(),
            last_sender_report: 0,
            delay: 0,
        })
    }

    /// A packet of the peer.
    pub fn packet(
        &mut self,
        now: Instant,
        config: &StreamConfig,
        packet: &Packet<'_>,
    ) -> Result<Option<Event>, Dropped> {
        let header = &packet.header;
        let event = config.telephone_event.filter(|types| types.receive == header.payload_type);
        let codec =
            config.receive.iter().find(|(number, _)| *number == header.payload_type).map(|(_, codec)| *codec);
        let noise = codec.is_none() && header.payload_type == config.comfort_noise.unwrap_or(COMFORT_NOISE);
        if event.is_none() && codec.is_none() && !noise {
            return Err(Dropped::UnknownType);
        }
        self.follow_source(now, packet)?;
        self.heard_at = now;
        let Some(source) = self.source.as_mut() else { return Err(Dropped::OtherSource) };
        match source.arrived(header.sequence) {
            Arrival::Ordinary => {}
            Arrival::Suspect => return Err(Dropped::Suspect),
            Arrival::Restarted => self.flush(),
        }
        if let Some(types) = event {
            self.jitter.occupy(header.sequence);
            let said = EventPacket::parse(packet.payload).ok_or(Dropped::BadPayload)?;
            self.event_rate = types.clock_rate;
            let Heard::Began(event) = self.events.packet(now, header.timestamp, said) else {
                return Ok(None);
            };
            return Ok(match Key::from_event(event) {
                Some(key) => Some(Event::Key(key)),
                None => (event == FLASH).then_some(Event::Flash),
            });
        }
        let described = match codec {
            Some(codec) => {
                if codec.ticks_per_millisecond() != self.jitter.ticks_per_millisecond() {
                    self.jitter.reset(codec.ticks_per_millisecond());
                }
                let silent = codec == Codec::Opus && packet.payload.len() <= 2;
                if !silent && codec.duration(packet.payload) == 0 {
                    return Err(Dropped::BadPayload);
                }
                if let Some(source) = &mut self.source {
                    if header.marker {
                        source.skip_measure();
                    }
                    source.measure(now, header.timestamp, codec.clock_rate());
                }
                silent
            }
            None => true,
        };
        match self.jitter.insert(now, header, packet.payload, described) {
            Ok(false) => Ok(None),
            Ok(true) => Err(Dropped::Overflow),
            Err(Unwanted::Duplicate) => Err(Dropped::Duplicate),
            Err(Unwanted::Late) => Err(Dropped::Late),
            Err(Unwanted::TooLong) => Err(Dropped::BadPayload),
        }
    }

    /// Ten milliseconds for the line. Returns how many packets were given up.
    pub fn pull(&mut self, now: Instant, config: &StreamConfig, out: &mut [i16]) -> u32 {
        let gave_up = self.jitter.give_up(now, self.pending(), 150);
        let mut need = self.per_millisecond() * 10;
        // A packet may be empty, or another codec's: a few tries, then silence.
        for _ in 0..8 {
            if self.play.len() >= need {
                break;
            }
            self.fetch(now, config);
            need = self.per_millisecond() * 10;
        }
        if self.sample_rate() == self.line_rate {
            self.play.pop(out);
        } else if let Some(sound) = self.gap.get_mut(..need) {
            self.play.pop(sound);
            if need < out.len() {
                self.doubler.process(sound, out);
            } else {
                self.halver.process(sound, out);
            }
        }
        self.sound_key(now, out);
        gave_up
    }

    fn fetch(&mut self, now: Instant, config: &StreamConfig) {
        let ten = self.per_millisecond() * 10;
        match self.jitter.next(now) {
            Next::Frame(handle) => self.frame(now, handle, config),
            Next::Gap(ticks, handle) => self.gap(ticks, handle, config),
            Next::Starved => {
                if let Some(gap) = self.gap.get_mut(..ten) {
                    if !self.decoder.conceal(None, gap) {
                        self.concealer.conceal(gap, None);
                    }
                    self.play.push(gap);
                }
                self.count_concealed(10);
            }
            Next::Silence => {
                if let Some(gap) = self.gap.get_mut(..ten) {
                    if self.source.is_none() {
                        gap.fill(0);
                    } else if self.concealer.in_gap() {
                        self.concealer.conceal(gap, None);
                    } else if let (Some(room), true) = (&self.room, self.jitter.is_silent()) {
                        self.noise.fill(room, gap);
                    } else {
                        self.concealer.background_noise(gap);
                    }
                    self.play.push(gap);
                }
            }
        }
    }

    fn frame(&mut self, now: Instant, handle: Handle, config: &StreamConfig) {
        let (_, noise, payload) = self.jitter.payload(handle);
        if noise {
            // Opus says only that it is silent; of others the spectrum is meant for 8 kHz (RFC 3389 §3.2).
            self.room = match self.decoder.codec() {
                Codec::Opus => None,
                Codec::G722 => payload.first().map(|level| RoomNoise::white(*level & 127)),
                Codec::Pcmu | Codec::Pcma => RoomNoise::parse(payload),
            };
            self.jitter.played(handle, 0);
            return;
        }
        let decoded = self.decode(handle, config);
        let ticks = decoded / self.per_millisecond() as u32 * self.jitter.ticks_per_millisecond();
        if decoded == 0 {
            self.jitter.played(handle, self.packet_time * self.jitter.ticks_per_millisecond());
            return;
        }
        if let Some(frame) = self.frame.get_mut(..decoded as usize) {
            self.concealer.heard(frame);
            self.play.push(frame);
        }
        self.jitter.played(handle, ticks);
        self.packet_time = (decoded / self.per_millisecond() as u32).max(10);
        self.played += u64::from(self.packet_time);
        self.learn_loss(false);
        self.adapt(now);
    }

    /// Decodes a packet into `frame`; changes the decoder when it is another codec's.
    fn decode(&mut self, handle: Handle, config: &StreamConfig) -> u32 {
        let (number, _, _) = self.jitter.payload(handle);
        let codec = config.receive.iter().find(|(known, _)| *known == number).map(|(_, codec)| *codec);
        if let Some(codec) = codec
            && codec != self.decoder.codec()
        {
            self.take_decoder(codec);
        }
        let (_, _, payload) = self.jitter.payload(handle);
        self.decoder.decode(payload, &mut self.frame) as u32
    }

    /// Fills a gap, or its first part, in front of the packet that came after it.
    fn gap(&mut self, ticks: u32, handle: Handle, config: &StreamConfig) {
        let per_tick = self.jitter.ticks_per_millisecond();
        let milliseconds = ticks.div_ceil(per_tick);
        let unit = self.per_millisecond();
        let (_, noise, payload) = self.jitter.payload(handle);
        let filled;
        if self.decoder.codec() == Codec::Opus {
            // The packet knows its predecessor; what was before that is beyond help.
            let redundant = Codec::Opus.duration(payload);
            let known = redundant > 0 && milliseconds <= redundant;
            filled = if known { milliseconds } else { milliseconds.saturating_sub(redundant).clamp(10, 20) };
            // Concealment works in steps of 2.5 ms, redundancy in whole frames.
            let length = if known { redundant } else { filled.next_multiple_of(10) } as usize * unit;
            if let Some(gap) = self.gap.get_mut(..length) {
                self.decoder.conceal(if known { Some(payload) } else { None }, gap);
                let keep = filled as usize * unit;
                if let Some(gap) = gap.get_mut(length - keep..) {
                    self.concealer.heard(gap);
                    self.play.push(gap);
                }
            }
        } else if milliseconds > 60 || noise || !self.same_codec(handle, config) {
            filled = milliseconds.min(10);
            if let Some(gap) = self.gap.get_mut(..filled as usize * unit) {
                self.concealer.conceal(gap, None);
                self.play.push(gap);
            }
        } else {
            filled = milliseconds;
            let length = filled as usize * unit;
            if let Some(extension) = self.gap.get_mut(..length + Decoder::DELAY) {
                self.concealer.extend(extension);
                self.decoder.bridge(extension);
            }
            let decoded = self.decode(handle, config);
            if let (Some(gap), Some(next)) =
                (self.gap.get_mut(..length), self.frame.get_mut(..decoded as usize))
            {
                self.concealer.conceal(gap, Some(next));
                self.concealer.heard(next);
                self.play.push(gap);
                self.play.push(next);
            }
            self.jitter.concealed(filled * per_tick);
            self.jitter.played(handle, decoded / unit as u32 * per_tick);
            self.count_concealed(filled);
            self.played += u64::from(decoded) / unit as u64;
            self.learn_loss(true);
            return;
        }
        self.jitter.concealed(filled * per_tick);
        self.count_concealed(filled);
        self.learn_loss(true);
    }

    fn same_codec(&self, handle: Handle, config: &StreamConfig) -> bool {
        let (number, _, _) = self.jitter.payload(handle);
        config.receive.iter().any(|(known, codec)| *known == number && *codec == self.decoder.codec())
    }

    /// A fax or modem speaks, or no more.
    pub fn set_data(&mut self, data: bool) {
        self.data = data;
    }

    /// Brings the delay nearer to what is aimed at. Sound that is lengthened or shortened is no signal a modem understands.
    fn adapt(&mut self, now: Instant) {
        if self.data {
            return;
        }
        let unit = self.per_millisecond();
        let Some(excess) = self.jitter.excess(now, self.pending()) else { return };
        let since = (now - self.stretched_at).as_millis();
        let samples = |micros: i64| (micros.max(0) as usize) * unit / 1000;
        let changed = if excess > 7_000 && (since >= 400 || excess > 40_000) {
            self.play.shorten(unit, samples(excess), QUIET)
        } else if excess < -4_000 && since >= 60 {
            self.play.lengthen(unit, 10 * unit, QUIET)
        } else {
            0
        };
        if changed > 0 {
            self.stretched_at = now;
        }
    }

    fn learn_loss(&mut self, lost: bool) {
        if self.data {
            return;
        }
        self.loss += (if lost { 1.0 } else { 0.0 } - self.loss) / 100.0;
        if self.loss > LOOK_AHEAD {
            self.jitter.set_lookahead(self.packet_time * 1000);
        } else if self.loss < LOOK_AHEAD_NO_MORE {
            self.jitter.set_lookahead(0);
        }
    }

    fn count_concealed(&mut self, milliseconds: u32) {
        self.concealed += u64::from(milliseconds);
        self.played += u64::from(milliseconds);
    }

    /// Puts the tone of a key that the peer is pressing in the place of its sound.
    fn sound_key(&mut self, now: Instant, out: &mut [i16]) {
        let Some(key) = self.events.sounding(now, self.event_rate) else {
            self.tone = None;
            return;
        };
        if self.tone.as_ref().is_none_or(|(sounding, _)| *sounding != key) {
            let rate = if self.line_rate > 8000 { Rate::Wide } else { Rate::Narrow };
            let (low, high) = dtmf::frequencies(key);
            self.tone = Some((key, DualTone::new((low, TONE_LEVEL), (high, TONE_LEVEL), rate)));
        }
        if let Some((_, tone)) = &mut self.tone {
            tone.fill(out);
        }
    }

    /// The source that is played; another one takes over when it is alone or persistent.
    fn follow_source(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Dropped> {
        let ssrc = packet.header.ssrc;
        if self.is_source(ssrc) {
            self.candidate = None;
            return Ok(());
        }
        let packets = match self.candidate {
            Some((candidate, packets)) if candidate == ssrc => packets.saturating_add(1),
            _ => 1,
        };
        let alone = self.source.is_none() || (now - self.heard_at).as_millis() >= 100;
        if !alone && packets < TAKE_OVER {
            self.candidate = Some((ssrc, packets));
            return Err(Dropped::OtherSource);
        }
        self.candidate = None;
        self.flush();
        self.events = EventReceiver::default();
        self.source = Some(Source::new(&packet.header));
        Ok(())
    }

    /// What waits is of the past.
    fn flush(&mut self) {
        self.jitter.reset(self.jitter.ticks_per_millisecond());
        self.play.clear();
    }

    fn take_decoder(&mut self, codec: Codec) {
        // Given back first: the pool may have only this one.
        self.decoder = Decoder::G711(Codec::Pcmu);
        self.decoder = Decoder::new(codec, &self.pool);
        self.play.clear();
        let settling = if codec == Codec::G722 { 10 } else { 0 };
        self.concealer = Concealer::new(self.sample_rate(), settling);
    }

    fn sample_rate(&self) -> u32 {
        self.decoder.codec().sample_rate(self.opus_rate)
    }

    fn per_millisecond(&self) -> usize {
        self.sample_rate() as usize / 1000
    }

    fn pending(&self) -> u64 {
        (self.play.len() * 1000 / self.per_millisecond()) as u64
    }
}
