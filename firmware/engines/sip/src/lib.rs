//! SIP as a pure state machine (RFC 3261 and its companions).
//!
//! From the wire upwards: [`message`] reads, [`write`](mod@write) writes, [`uri`] knows addresses; [`UserAgent`] stands on all of them.
//! Bodies are opaque here: SDP is `engines/media`'s.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod agent;
mod call;
mod config;
mod dialog;
pub mod digest;
pub mod framing;
#[doc(hidden)]
pub mod fuzz;
mod interface;
mod locate;
pub mod message;
mod message_summary;
mod overload;
mod registration;
mod subscription;
pub mod transaction;
pub mod transport;
pub mod uri;
pub mod write;

pub use agent::UserAgent;
pub use config::{
    ACCOUNTS, Account, Config, HostName, Limits, NUMBERS, Password, Registering, Server, TransportChoice,
};
pub use interface::{
    Answer, Body, Cause, ConnectionId, Event, Input, OfferReason, Order, Output, Progress, QueryId, Record,
    RecordKind, RegistrationState, Rejected, Rejection, TransferProgress, Via,
};
pub use message::{Fault, Message, Method, Name, Received};
pub use transport::{Flow, Transport};
pub use uri::{Host, Scheme, Uri};
pub use write::{WriteError, Writer};
