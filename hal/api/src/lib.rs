//! What a board gives to the firmware: handles, never generics.
//!
//! A driver's runner owns the hardware and runs as the board's own task; the app sees only the other end: queues of
//! frames and a link watch ([`port`]), loop transitions and sound of a telephone line ([`line`]), flash requests ([`flash`]), lines
//! of text ([`console`]). `app::run` is therefore compiled once, whatever the board. [`handset`] is what a line says to a handset that is a
//! program, [`circuit`] what all drivers of lines have in common. Rules for writing a driver: `hal/README.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod circuit;
pub mod console;
pub mod flash;
#[doc(hidden)]
pub mod fuzz;
pub mod handset;
pub mod line;
pub mod port;
