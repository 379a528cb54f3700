//! SIP as a pure state machine (RFC 3261 and its companions).
//!
//! Bodies are opaque here: SDP is `engines/media`'s.
#![no_std]
#![forbid(unsafe_code)]

mod agent;
mod config;
mod interface;

pub use agent::UserAgent;
pub use config::{
    ACCOUNTS, Account, Config, HostName, Limits, NUMBERS, Password, Registering, Server, TransportChoice,
};
pub use interface::{
    Answer, Body, Cause, ConnectionId, Event, Input, OfferReason, Order, Output, Progress, QueryId, Record,
    RecordKind, RegistrationState, Rejected, Rejection, TransferProgress, Via,
};
