//! Public names must not lead into the home: addresses in upstream answers are looked at.
//!
//! DNS rebinding lets a web page talk to devices behind the router by naming them. RFC 1918, loopback, link-local,
//! "this network", unique local IPv6, their IPv4-mapped and NAT64 forms, and the home's own networks are refused, in
//! A and AAAA records and in the hints of SVCB and HTTPS (RFC 9460). RFC 6598 space is not (operators use it openly), nor is the router's
//! WAN address: what answers there is public, and households call their own services by name.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::message::{CLASS_IN, Counts, Malformed, Question, Record, Records, Section, kind, u16_at};

/// Whether the answer section holds an address that `is_own` or that belongs to a home.
pub(crate) fn leads_inside(
    message: &[u8],
    question: &Question,
    is_own: impl Fn(Ipv4Addr) -> bool,
) -> Result<bool, Malformed> {
    let counts = Counts::read(message).ok_or(Malformed)?;
    let inside = |address: Ipv4Addr| is_home(address) || is_own(address);
    for record in Records::new(message, question.end, counts) {
        let record = record?;
        if record.section != Section::Answer {
            break;
        }
        if record.class == CLASS_IN && record_leads_inside(message, &record, &inside) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn record_leads_inside(message: &[u8], record: &Record, inside: &impl Fn(Ipv4Addr) -> bool) -> bool {
    let data = message.get(record.data.clone()).unwrap_or_default();
    match record.kind {
        kind::A => v4(data).is_some_and(inside),
        kind::AAAA => v6(data).is_some_and(|address| v6_is_home(address, inside)),
        kind::SVCB | kind::HTTPS => hints_lead_inside(data, inside),
        _ => false,
    }
}

fn v4(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

fn v6(data: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(data).ok().map(Ipv6Addr::from)
}

fn is_home(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.octets()[0] == 0
        || address.is_broadcast()
}

fn v6_is_home(address: Ipv6Addr, inside: &impl Fn(Ipv4Addr) -> bool) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = Ipv4Addr::from((g as u32) << 16 | h as u32);
    match [a, b, c, d, e, f] {
        // ::, ::1 and the old compatible form; mapped; NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff] => inside(embedded),
        [0x64, 0xff9b, 0, 0, 0, 0] => inside(embedded),
        _ => a & 0xffc0 == 0xfe80 || a & 0xfe00 == 0xfc00,
    }
}

/// RFC 9460 section 2.2: priority, target, then key, length, value; 4 is ipv4hint, 6 ipv6hint.
fn hints_lead_inside(data: &[u8], inside: &impl Fn(Ipv4Addr) -> bool) -> bool {
    let Some(mut at) = crate::message::skip_name(data, 2) else { return false };
    while let (Some(key), Some(length)) = (u16_at(data, at), u16_at(data, at + 2)) {
        let value = data.get(at + 4..at + 4 + length as usize).unwrap_or_default();
        let found = match key {
            4 => value.chunks_exact(4).any(|part| v4(part).is_some_and(inside)),
            6 => value.chunks_exact(16).any(|part| v6(part).is_some_and(|it| v6_is_home(it, inside))),
            _ => false,
        };
        if found {
            return true;
        }
        at += 4 + length as usize;
    }
    false
}
