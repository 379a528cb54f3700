//! The one tree of settings: typed, validated as a whole, kept in flash.
//!
//! [`tree`] is the tree itself with its defaults. Everything else of the router reads it and never keeps settings of
//! its own.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod names;
pub mod port_range;
pub mod storage;
pub mod tree;
pub mod validate;

pub use port_range::PortRange;
pub use tree::Settings;
