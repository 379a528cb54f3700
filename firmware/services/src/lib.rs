//! The glue: one file per engine, joining it to sockets, settings and the data plane.
//!
//! An engine knows a protocol and nothing else; a service here feeds it bytes and time, carries its answers out and its
//! events on. [`stack`] is the only file that names embassy-net, [`state`] holds what the services share.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console;
pub mod dataplane;
pub mod devices;
pub mod dhcp4;
pub mod dns;
pub mod door;
pub mod media;
pub mod phone;
pub mod settings;
pub mod sip;
pub mod sntp;
pub mod stack;
pub mod state;
pub mod voice_first;
pub mod wan;
