//! Promises of the exchange, as scenes in virtual time.

mod basics;
mod emergency;
mod random;
mod services;
mod transfers;
mod two_calls;
mod world;
