//! Sound as numbers: oscillators, levels in dBm0, tone detection. Below every engine that hears or makes it.
//!
//! Samples are `i16`; a sine that fills them is +3.14 dBm0 (G.711). No protocol, no state of a call.
#![no_std]
#![forbid(unsafe_code)]
