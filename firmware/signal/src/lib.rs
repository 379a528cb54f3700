//! Sound as numbers: oscillators, levels in dBm0, tone detection.
//!
//! Below every engine that hears or makes it. Samples are `i16`; a sine that fills them is +3.14 dBm0 (ITU-T G.711). Frames are 10 ms
//! long, 80 samples at 8 kHz or 160 at 16 kHz, but nothing here asks for a particular length. No protocol, no state of a call.
#![no_std]
#![forbid(unsafe_code)]

pub mod dtmf;
pub mod goertzel;
pub mod level;
pub mod oscillator;
mod rate;
mod resample;

#[doc(hidden)]
pub mod fuzz;

pub use goertzel::Goertzel;
pub use oscillator::{DualTone, Oscillator};
pub use rate::Rate;
pub use resample::{Doubler, Halver, Resampler};
