//! Session descriptions: read, write, and agree on one voice stream.
//!
//! RFC 8866 (SDP), RFC 3264 (offer and answer), RFC 3605 (`a=rtcp`), RFC 5761 (`a=rtcp-mux`), RFC 7587 (Opus), RFC 4733
//! (telephone-event), RFC 3389 (CN). One audio stream over RTP/AVP; further streams are refused with port 0. T.38 is refused: a fax
//! goes as G.711. No encryption (SAVP), no ICE, no bundling.

mod negotiate;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use negotiate::{Local, Negotiation, Refused, TEXT_CAPACITY};
pub use parse::{
    Attribute, Attributes, Description, Fault, LONGEST_TEXT, MOST_FORMATS, MOST_MEDIA, Malformed, Media,
    Origin,
};
