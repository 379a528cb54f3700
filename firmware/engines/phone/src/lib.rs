//! The telephone: what a line hears and says, and what people do with calls.
//!
//! One FXS line: [`hook`] gives loop transitions a meaning, [`tone`] fills frames with the country's tones, [`ring`] plays cadences on the
//! feed, [`caller_id`] says who calls. [`country`] holds what differs between countries, as data. Meaning is decided here, volts and
//! samples belong to the line's driver, sound goes through `dialtone-signal`. [`calls`] joins lines and calls, [`phone_book`] and
//! [`call_log`] remember.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod call_log;
pub mod caller_id;
pub mod calls;
mod countries;
pub mod country;
#[doc(hidden)]
pub mod fuzz;
pub mod hook;
pub mod phone_book;
pub mod ring;
pub mod tone;

pub use country::Country;
pub use hook::{Hook, HookEvent};
pub use ring::{Feed, Ringer};
pub use tone::TonePlayer;
