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
pub mod conceal;
mod delay;
pub mod echo;
#[doc(hidden)]
pub mod fuzz;
pub mod gain;
pub mod jitter;
mod latch;
pub mod modem_tone;
mod pitch;
pub mod quality;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod session;
mod stream;
pub mod stretch;
pub mod telephone_event;
pub mod vad;

pub use codec::CodecPool;
pub use session::{Dropped, Drops, Event, Quality, Session, Setup};
pub use stream::{Direction, EventTypes, MOST_RECEIVE_TYPES, OpusParameters, StreamConfig};
