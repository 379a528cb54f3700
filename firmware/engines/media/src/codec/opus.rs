//! Opus states: made once, lent to calls, given back.
//!
//! RFC 6716 and RFC 7587 through the `opus-rs` crate. An encoder is about 309 kB, a decoder 179 kB; a state that comes
//! back is run over silence before it is lent again, so that no call hears another. Mono, at the line's rate, variable bit rate.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use critical_section::Mutex;
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use crate::stream::OpusParameters;

/// Bits in a second for a line of 8 kHz; a third more for 16 kHz.
pub const PACKET_BITS: i32 = 24_000;
/// The same with in-band redundancy: what it costs the voice at 24 kbit/s (PESQ 4.2 instead of 4.4) comes back.
const REDUNDANT_BITS: i32 = 32_000;
/// From 2 on, opus-rs 0.1.40 chooses among several quantizations of its in-band redundancy but sends the dither seed of another one,
/// so that every decoder makes noise of it (PESQ at 10 % loss 3.4 instead of 3.9). Fixed at an encoder's first packet.
const COMPLEXITY: i32 = 1;
/// Percent of loss assumed until the peer's first report, and the least as long as it can use redundancy.
const FIRST_LOSS: u32 = 3;
const LEAST_LOSS: u32 = 1;
/// Told more, the encoder spends more on redundancy than it gains, up to 20 % loss.
const MOST_LOSS: u32 = 5;
/// Samples of the longest packet, 120 ms at 16 kHz.
const LONGEST: usize = 1920;

/// Opus encoders and decoders made at start-up. Cheap to clone: all clones lend from the same store.
#[derive(Clone)]
pub struct CodecPool(Arc<Mutex<RefCell<Store>>>);

struct Store {
    sample_rate: u32,
    encoders: Vec<Box<OpusEncoder>>,
    decoders: Vec<Box<Decoding>>,
}

struct Decoding {
    decoder: OpusDecoder,
    scratch: [f32; LONGEST],
}

/// An encoder on loan.
pub struct OpusEncoding {
    // `None` only while it is being given back.
    encoder: Option<Box<OpusEncoder>>,
    pool: CodecPool,
    parameters: OpusParameters,
    loss: u32,
    wide: bool,
}

/// A decoder on loan.
pub struct OpusDecoding {
    decoding: Option<Box<Decoding>>,
    pool: CodecPool,
    sample_rate: usize,
}

impl CodecPool {
    /// Makes `pairs` encoders and decoders for lines of this sample rate (8000 or 16000). Allocates about 490 kB for each and
    /// needs as much stack while it does; nothing is allocated later.
    pub fn new(sample_rate: u32, pairs: usize) -> Self {
        let mut store =
            Store { sample_rate, encoders: Vec::with_capacity(pairs), decoders: Vec::with_capacity(pairs) };
        for _ in 0..pairs {
            if let Ok(mut encoder) = OpusEncoder::new(sample_rate as i32, 1, Application::Voip) {
                encoder.complexity = COMPLEXITY;
                store.encoders.push(Box::new(encoder));
            }
            if let Ok(decoder) = OpusDecoder::new(sample_rate as i32, 1) {
                store.decoders.push(Box::new(Decoding { decoder, scratch: [0.0; LONGEST] }));
            }
        }
        Self(Arc::new(Mutex::new(RefCell::new(store))))
    }

    /// Samples in a second its states work with, whatever line a call is on.
    pub fn sample_rate(&self) -> u32 {
        self.with(|store| store.sample_rate)
    }

    /// Calls that may still take Opus.
    pub fn available(&self) -> usize {
        self.with(|store| store.encoders.len().min(store.decoders.len()))
    }

    pub(super) fn encoding(&self) -> Option<OpusEncoding> {
        let (mut encoder, rate) = self.with(|store| Some((store.encoders.pop()?, store.sample_rate)))?;
        // Forgets the call before.
        encoder.use_inband_fec = false;
        encoder.packet_loss_perc = 0;
        let silence = [0; 320];
        for _ in 0..4 {
            let _ = encoder.encode_i16(&silence, rate as usize / 50, &mut [0; 400]);
        }
        let mut encoding = OpusEncoding {
            encoder: Some(encoder),
            pool: self.clone(),
            parameters: OpusParameters::default(),
            loss: FIRST_LOSS,
            wide: rate > 8000,
        };
        encoding.apply();
        Some(encoding)
    }

    pub(super) fn decoding(&self) -> Option<OpusDecoding> {
        let (mut decoding, rate) = self.with(|store| Some((store.decoders.pop()?, store.sample_rate)))?;
        for _ in 0..6 {
            let Decoding { decoder, scratch } = &mut *decoding;
            let _ = decoder.decode(&[], rate as usize / 50, scratch);
        }
        Some(OpusDecoding { decoding: Some(decoding), pool: self.clone(), sample_rate: rate as usize })
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut Store) -> R) -> R {
        critical_section::with(|token| use_it(&mut self.0.borrow_ref_mut(token)))
    }
}

impl fmt::Debug for CodecPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodecPool({} available)", self.available())
    }
}

impl OpusEncoding {
    /// What the peer asks for (RFC 7587 §6.1).
    pub fn set_parameters(&mut self, parameters: OpusParameters) {
        self.parameters = parameters;
        self.apply();
    }

    pub(super) fn set_loss(&mut self, percent: u32) {
        if self.loss != percent {
            self.loss = percent;
            self.apply();
        }
    }

    fn apply(&mut self) {
        let Some(encoder) = &mut self.encoder else { return };
        let fec = self.parameters.fec;
        let limit = match self.parameters.max_average_bitrate {
            0 => i32::MAX,
            limit => limit.clamp(6_000, 510_000) as i32,
        };
        encoder.use_inband_fec = fec;
        encoder.packet_loss_perc = if fec { self.loss.clamp(LEAST_LOSS, MOST_LOSS) as i32 } else { 0 };
        let bits = if fec { REDUNDANT_BITS } else { PACKET_BITS };
        let bits = if self.wide { bits / 3 * 4 } else { bits };
        encoder.bitrate_bps = bits.min(limit);
        encoder.use_cbr = self.parameters.constant_bitrate;
    }

    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        let room = out.len().min(1275);
        self.encoder.as_mut()?.encode_i16(samples, samples.len(), out.get_mut(..room)?).ok()
    }
}

impl Drop for OpusEncoding {
    fn drop(&mut self) {
        if let Some(encoder) = self.encoder.take() {
            // The store was made for all of them: this does not allocate.
            self.pool.with(|store| store.encoders.push(encoder));
        }
    }
}

impl OpusDecoding {
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let most = LONGEST.min(out.len());
        let Some(Decoding { decoder, scratch }) = self.decoding.as_deref_mut() else { return 0 };
        if payload.len() < 2 {
            return 0;
        }
        // Whatever it says of its length is checked by the decoder against what fits.
        let samples = duration(payload) as usize * self.sample_rate / 1000;
        if samples == 0 || samples > most {
            return 0;
        }
        let Some(scratch) = scratch.get_mut(..samples) else { return 0 };
        let decoded = decoder.decode(payload, samples, scratch).unwrap_or(0).min(samples);
        to_samples(scratch, out);
        decoded
    }

    pub(super) fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        let Some(Decoding { decoder, scratch }) = self.decoding.as_deref_mut() else { return };
        let length = out.len().min(LONGEST);
        let Some(scratch) = scratch.get_mut(..length) else { return };
        let done = match next {
            Some(next) => decoder.decode_fec(next, length, scratch),
            None => decoder.decode(&[], length, scratch),
        };
        if done.is_err() {
            scratch.fill(0.0);
        }
        to_samples(scratch, out);
    }
}

impl Drop for OpusDecoding {
    fn drop(&mut self) {
        if let Some(decoding) = self.decoding.take() {
            self.pool.with(|store| store.decoders.push(decoding));
        }
    }
}

fn to_samples(from: &[f32], to: &mut [i16]) {
    for (sample, value) in to.iter_mut().zip(from) {
        *sample = libm::roundf(value * 32_768.0).clamp(-32_768.0, 32_767.0) as i16;
    }
}

/// Milliseconds in a packet (RFC 6716 §3.1, §3.2); shorter frames than 10 ms are no voice and count as none.
pub(super) fn duration(payload: &[u8]) -> u32 {
    let Some(first) = payload.first() else { return 0 };
    let configuration = first >> 3;
    let tenths: u32 = match configuration {
        0..=11 => match configuration & 3 {
            0 => 100,
            1 => 200,
            2 => 400,
            _ => 600,
        },
        12..=15 => 100 << (configuration & 1),
        _ => 25 << (configuration & 3),
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1).copied().unwrap_or(0) & 63),
    };
    let total = tenths * frames / 10;
    if total > 120 { 0 } else { total }
}
