//! A voice between the line and the network: SDP, RTP, codecs, jitter, loss, echo.
//!
//! Frames of 10 ms, samples `i16` at 8 or 16 kHz.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod codec;
pub mod comfort_noise;
pub mod echo;
pub mod gain;
pub mod modem_tone;
pub mod sdp;
mod session;
mod stream;
pub mod vad;

pub use session::{Dropped, Event, Session, Setup};
pub use stream::{Direction, EventTypes, MOST_RECEIVE_TYPES, OpusParameters, StreamConfig};
