//! The telephone: what a line hears and says, and what people do with calls.
//!
//! `line` is one FXS line; `calls` joins lines and calls.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod call_log;
pub mod calls;
pub mod phone_book;
