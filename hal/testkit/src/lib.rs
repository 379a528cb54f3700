//! Fakes that misbehave on purpose, and the suites every driver must pass.
//!
//! [`flash`] is NOR flash that loses power at any step; [`handset`] is a telephone that follows a script; [`conformance`] is what drivers
//! of flash and of lines must do. For tests on hosts only: a broken promise is a panic with a sentence.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod flash;
pub mod handset;

pub use flash::{Cut, FakeFlash, Tear};
