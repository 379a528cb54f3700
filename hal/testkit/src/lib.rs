//! Fakes that misbehave on purpose, and the suites every driver must pass.
//!
//! [`flash`] is NOR flash that loses power at any step; [`conformance`] is what a flash driver must do. For tests on
//! hosts only: a broken promise is a panic with a sentence.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod flash;

pub use flash::{Cut, FakeFlash, Tear};
