//! The HTTP API and the page it serves: for now the state of the router, read only.
//!
//! [`serve`] answers one visitor after another on a TCP port of a zone; the app runs several of it, so that a slow visitor
//! does not keep the next one waiting. HTTP/1.1 by picoserve (RFC 9112 as far as it goes). There is no login and no TLS yet,
//! therefore nothing here changes anything.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod connection;
mod host;
mod routes;
mod status;

pub use routes::serve;
pub use status::Status;
