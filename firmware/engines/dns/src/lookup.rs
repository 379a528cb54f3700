//! The router's own look-ups: a question for a name's IPv4 addresses, and the addresses in its answer.
//!
//! The router asks its own forwarder as any client does, so its questions are cached and checked alike.

use core::net::Ipv4Addr;

use heapless::Vec;

use crate::message::{
    CLASS_IN, Counts, HEADER, Question, Records, Section, flag, kind, put_u16, rcode, u16_at,
};
use crate::name::WireName;

/// Addresses taken from one answer.
pub const ADDRESSES: usize = 4;

/// Writes the question for `name`'s addresses; its length. `None` when the text is no name or `out` is too short.
pub fn write_question(name: &str, id: u16, out: &mut [u8]) -> Option<usize> {
    let name = WireName::from_text(name)?;
    let name = name.as_bytes();
    let end = HEADER + name.len() + 4;
    let message = out.get_mut(..end)?;
    message.fill(0);
    message.get_mut(HEADER..end - 4)?.copy_from_slice(name);
    put_u16(message, 0, id);
    put_u16(message, 2, flag::RD);
    put_u16(message, 4, 1);
    put_u16(message, end - 4, kind::A);
    put_u16(message, end - 2, CLASS_IN);
    Some(end)
}

/// The addresses in an answer; none when it is an error or does not parse.
pub fn addresses(message: &[u8]) -> Vec<Ipv4Addr, ADDRESSES> {
    let mut out = Vec::new();
    let sound = u16_at(message, 2).is_some_and(|flags| flags & flag::RCODE == rcode::NOERROR);
    let (Ok(question), Some(counts), true) = (Question::parse(message), Counts::read(message), sound) else {
        return out;
    };
    for record in Records::new(message, question.end, counts).map_while(Result::ok) {
        let data = message.get(record.data.clone()).and_then(|data| <[u8; 4]>::try_from(data).ok());
        let wanted = record.section == Section::Answer && record.kind == kind::A && record.class == CLASS_IN;
        if let (true, Some(address)) = (wanted, data) {
            let _ = out.push(Ipv4Addr::from(address));
        }
    }
    out
}
