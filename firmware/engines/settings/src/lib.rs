//! The one tree of settings: typed, validated as a whole, applied on trial, kept in flash.
//!
//! | module | what |
//! |---|---|
//! | [`tree`] | every setting with its unit, range and default |
//! | [`validate`] | what must hold between fields; all faults at once, each with its path |
//! | [`json`] | files for people, single fields by path; faults name line, column and field |
//! | [`fields`] | every field in plain words |
//! | [`trial`] | the state machine of a change: propose, confirm within 90 s, or it goes back |
//! | [`storage`] | the tree and the leases in flash, whole whenever the power goes |
//!
//! Does not know who uses a setting: services convert the tree into each engine's own configuration.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod fields;
#[doc(hidden)]
pub mod fuzz;
pub mod json;
pub mod locate;
pub mod names;
pub mod port_range;
pub mod secret;
pub mod storage;
pub mod tree;
pub mod trial;
pub mod validate;

pub use port_range::PortRange;
pub use tree::Settings;
