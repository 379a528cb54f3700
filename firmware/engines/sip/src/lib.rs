//! SIP as a pure state machine (RFC 3261 and its companions).
//!
//! Bodies are opaque here: SDP is `engines/media`'s.
#![no_std]
#![forbid(unsafe_code)]
