//! Promises of the exchange, as scenes in virtual time.

mod basics;
#[expect(dead_code, reason = "scenes of two calls and transfers use the rest")]
mod world;
