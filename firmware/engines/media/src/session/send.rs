//! The sending half of a session: sound and keys to RTP packets.

use core::cmp::Ordering;

use dialtone_base::Random;

use crate::codec::{Codec, CodecPool, Encoder};
use crate::comfort_noise::RoomNoise;
use crate::rtcp::SenderInfo;
use crate::rtp::{HEADER_LENGTH, Header};
use crate::stream::StreamConfig;
use crate::telephone_event::EventSender;
use dialtone_signal::{Doubler, Halver};

/// Samples of the longest packet, 60 ms at 16 kHz.
const LONGEST: usize = 960;
/// Comfort noise is described again after this many ticks of 10 ms.
const NOISE_REPEAT: u32 = 20;

pub(super) struct Sender {
    pool: CodecPool,
    pub ssrc: u32,
    pub packets: u32,
    pub mute: bool,
    pub events: EventSender,
    encoder: Encoder,
    opus_rate: u32,
    line_rate: u32,
    octets: u32,
    reported: u32,
    sequence: u16,
    /// Of the 10 ms that come next.
    timestamp: u32,
    doubler: Doubler,
    halver: Halver,
    samples: [i16; LONGEST],
    filled: usize,
    /// Which 10 ms of a packet come next.
    block: u8,
    marker: bool,
    silence: Option<RoomNoise>,
    /// Comfort noise being sent, and ticks since its last description.
    noise: Option<(RoomNoise, u32)>,
    loss: u32,
}

impl Sender {
    pub fn new(pool: CodecPool, random: &mut Random) -> Self {
        Self {
            opus_rate: pool.sample_rate(),
            pool,
            ssrc: random.next_u32(),
            packets: 0,
            mute: false,
            events: EventSender::default(),
            encoder: Encoder::G711(Codec::Pcmu),
            line_rate: 8000,
            octets: 0,
            reported: 0,
            sequence: 0,
            timestamp: 0,
            doubler: Doubler::default(),
            halver: Halver::default(),
            samples: [0; LONGEST],
            filled: 0,
            block: 0,
            marker: true,
            silence: None,
            noise: None,
            loss: 0,
        }
    }

    pub fn start(&mut self, config: &StreamConfig, line_rate: u32, random: &mut Random) {
        self.ssrc = random.next_u32();
        // Below half the range: some old receivers stumble over a wrap in the first seconds.
        self.sequence = random.next_u16() >> 1;
        self.timestamp = random.next_u32() >> 1;
        self.packets = 0;
        self.octets = 0;
        self.reported = 0;
        self.mute = false;
        self.events = EventSender::default();
        self.line_rate = line_rate;
        self.doubler = Doubler::default();
        self.halver = Halver::default();
        self.silence = None;
        self.loss = 0;
        self.take_encoder(config);
    }

    /// Another line speaks from now on.
    pub fn set_line_rate(&mut self, line_rate: u32) {
        if line_rate != self.line_rate {
            self.line_rate = line_rate;
            self.doubler = Doubler::default();
            self.halver = Halver::default();
        }
    }

    pub fn stop(&mut self) {
        self.encoder = Encoder::G711(Codec::Pcmu);
    }

    pub fn reconfigure(&mut self, before: &StreamConfig, config: &StreamConfig) {
        if before.codec != config.codec
            || before.packet_time != config.packet_time
            || before.opus != config.opus
        {
            if before.codec != config.codec {
                self.take_encoder(config);
            } else {
                self.encoder.set_opus(config.opus);
            }
            self.filled = 0;
            self.block = 0;
        }
        if !config.direction.sends() || config.telephone_event != before.telephone_event {
            self.events = EventSender::default();
        }
        if config.direction.sends() && !before.direction.sends() {
            self.marker = true;
        }
    }

    fn take_encoder(&mut self, config: &StreamConfig) {
        // Given back first: the pool may have only this one.
        self.encoder = Encoder::G711(Codec::Pcmu);
        self.encoder = Encoder::new(config.codec, &self.pool);
        self.encoder.set_opus(config.opus);
        self.filled = 0;
        self.block = 0;
        self.marker = true;
        self.noise = None;
    }

    pub fn set_silence(&mut self, room: Option<RoomNoise>) {
        self.silence = room;
    }

    /// What the peer's report says, in 256ths: rises at once, falls slowly.
    pub fn heard_loss(&mut self, fraction: u8) {
        let percent = (u32::from(fraction) * 100).div_ceil(256);
        self.loss = if percent >= self.loss { percent } else { (self.loss * 3 + percent) / 4 };
        self.encoder.set_loss(self.loss);
    }

    /// What a sender report says; `None` when nothing was sent since the last one.
    pub fn info(&mut self) -> Option<SenderInfo> {
        if self.packets == self.reported {
            return None;
        }
        self.reported = self.packets;
        Some(SenderInfo { timestamp: self.timestamp, packets: self.packets, octets: self.octets })
    }

    /// Ten milliseconds pass without a packet.
    #[cfg(test)]
    pub fn skip(&mut self, config: &StreamConfig) {
        self.timestamp = self.timestamp.wrapping_add(config.codec.clock_rate() / 100);
    }

    pub fn push(&mut self, config: &StreamConfig, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        let begun = self.timestamp;
        let first = self.block == 0;
        let blocks = (config.packet_time / 10).clamp(1, 6);
        self.block = (self.block + 1) % blocks;
        self.timestamp = begun.wrapping_add(config.codec.clock_rate() / 100);
        if !config.direction.sends() {
            self.filled = 0;
            return None;
        }
        if let Some(types) = config.telephone_event {
            let to_send = self.events.tick(begun, types.clock_rate, first);
            if let Some(event) = to_send {
                self.filled = 0;
                self.marker = true;
                let payload = event.packet.write();
                out.get_mut(HEADER_LENGTH..HEADER_LENGTH + payload.len())?.copy_from_slice(&payload);
                return self.packet(types.send, event.marker, event.timestamp, payload.len(), out);
            }
            if self.events.is_sending() {
                self.filled = 0;
                return None;
            }
        }
        // Sound joins again where a packet begins.
        if self.filled == 0 && !first {
            return None;
        }
        if first {
            self.filled = 0;
            if let (true, Some(number)) = (self.silence.is_some(), config.comfort_noise) {
                return self.comfort_noise(number, blocks, begun, out);
            }
            if self.noise.take().is_some() {
                self.marker = true;
            }
        }
        self.collect(config.codec, samples);
        if self.block != 0 {
            return None;
        }
        let sound = self.samples.get(..self.filled)?;
        self.filled = 0;
        let length = self.encoder.encode(sound, out.get_mut(HEADER_LENGTH..)?)?;
        let ticks = u32::from(blocks - 1) * (config.codec.clock_rate() / 100);
        let marker = core::mem::take(&mut self.marker);
        self.packet(config.send_payload_type, marker, begun.wrapping_sub(ticks), length, out)
    }

    fn collect(&mut self, codec: Codec, samples: &[i16]) {
        let rate = codec.sample_rate(self.opus_rate);
        let length = samples.len() * rate as usize / self.line_rate.max(1) as usize;
        let Some(room) = self.samples.get_mut(self.filled..self.filled + length) else { return };
        match rate.cmp(&self.line_rate) {
            Ordering::Less => self.halver.process(samples, room),
            Ordering::Equal => room.copy_from_slice(samples),
            Ordering::Greater => self.doubler.process(samples, room),
        }
        if self.mute {
            room.fill(0);
        }
        self.filled += length;
    }

    fn comfort_noise(&mut self, number: u8, blocks: u8, begun: u32, out: &mut [u8]) -> Option<usize> {
        let room = self.silence.as_ref()?;
        if let Some((before, ticks)) = &mut self.noise
            && *ticks < NOISE_REPEAT
            && !room.differs(before)
        {
            *ticks += u32::from(blocks);
            return None;
        }
        let length = room.emit(out.get_mut(HEADER_LENGTH..)?)?;
        self.noise = Some((room.clone(), 0));
        self.packet(number, false, begun, length, out)
    }

    fn packet(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        length: usize,
        out: &mut [u8],
    ) -> Option<usize> {
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        header.write(out)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(length as u32);
        Some(HEADER_LENGTH + length)
    }
}
