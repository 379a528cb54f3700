//! What people do with calls: numbers, features, and the call control of all lines.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what the household and the operator set: accounts, lines, dial plan, phone book |
//! | [`input`] | what a line or the network reports |
//! | [`output`] | what the lines, the network and the voice path shall do |
//! | [`cause`] | why a call ended: SIP status codes (RFC 3261 section 21) and the tone people hear |
//! | [`dial_plan`] | when digits are a number, and where it leads |
//! | [`features`] | the star codes |
//! | [`exchange`] | call control |
//!
//! [`Exchange`] is the engine. It knows neither SIP nor sound: whoever carries calls obeys [`CallOrder`], whoever owns a line obeys
//! [`LineOrder`], and the voice path joins what [`Output::Connect`] names.

pub mod cause;
pub mod config;
pub mod dial_plan;
pub mod exchange;
pub mod features;
#[doc(hidden)]
pub mod fuzz;
pub mod input;
pub mod output;

pub use cause::Cause;
pub use config::{Account, Config, Forwarding, Line};
pub use exchange::{Exchange, Rejected};
pub use input::{Alert, Input, LineEvent, Progress, TransferProgress};
pub use output::{CallOrder, Feature, FeatureChange, LineOrder, Output, RingPattern, Tone, Voice};
