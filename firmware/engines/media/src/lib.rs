//! A voice between the line and the network: SDP, RTP, codecs, jitter, loss, echo.
//!
//! Frames of 10 ms, samples `i16` at 8 or 16 kHz.
#![no_std]
#![forbid(unsafe_code)]
