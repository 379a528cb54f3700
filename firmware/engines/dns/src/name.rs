//! Names in wire form, lower case: suffixes, labels, text and reverse addresses.
//!
//! RFC 1035 section 3.1; RFC 4343 for case. Length bytes are at most 63 and so below `A`: folding a whole name
//! byte by byte never harms them.

use core::net::Ipv4Addr;

use dialtone_base::text::Text;
use heapless::Vec;

/// A name in wire form with its closing zero, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireName(Vec<u8, 255>);

impl WireName {
    /// From dotted text without escapes; `None` when a label is empty or too long, or the whole is.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut name = Vec::new();
        for label in text.trim_end_matches('.').split('.').filter(|_| !text.is_empty()) {
            if label.is_empty() || label.len() > 63 {
                return None;
            }
            name.push(label.len() as u8).ok()?;
            for byte in label.bytes() {
                name.push(byte.to_ascii_lowercase()).ok()?;
            }
        }
        name.push(0).ok()?;
        Some(Self(name))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Folds a name from a message; `name` has been checked to be one.
    pub fn folded(name: &[u8]) -> Self {
        let mut out = Vec::new();
        for byte in name {
            // A checked name fits: it has at most 255 bytes.
            let _ = out.push(byte.to_ascii_lowercase());
        }
        Self(out)
    }
}

/// Where `zone` begins in `name` when `name` is the zone or lies below it. Both lower case, wire form.
pub(crate) fn suffix_at(name: &[u8], zone: &[u8]) -> Option<usize> {
    let start = name.len().checked_sub(zone.len())?;
    if name.get(start..) != Some(zone) {
        return None;
    }
    let mut at = 0;
    while at < start {
        at += 1 + *name.get(at)? as usize;
    }
    (at == start).then_some(at)
}

/// Offsets of the labels, leftmost first, the root not included.
pub(crate) fn labels(name: &[u8]) -> Vec<u8, 128> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&length) = name.get(at) {
        if length == 0 || out.push(at as u8).is_err() {
            break;
        }
        at += 1 + length as usize;
    }
    out
}

/// The label at `at`.
pub(crate) fn label(name: &[u8], at: usize) -> &[u8] {
    let length = name.get(at).copied().unwrap_or(0) as usize;
    name.get(at + 1..at + 1 + length).unwrap_or_default()
}

/// The network part a name under in-addr.arpa speaks of: octets from the left of the address, as many as there are.
pub(crate) struct Reverse {
    pub octets: Vec<u8, 4>,
    /// Labels left of the octets.
    pub extra: usize,
}

impl Reverse {
    /// `None` when the name does not end in in-addr.arpa.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let base = suffix_at(name, b"\x07in-addr\x04arpa\0")?;
        let starts = labels(name);
        let mut octets = Vec::new();
        let mut extra = 0;
        for &start in starts.iter().rev().filter(|start| (**start as usize) < base) {
            match decimal(label(name, start as usize)) {
                Some(octet) if extra == 0 && !octets.is_full() => {
                    let _ = octets.push(octet);
                }
                _ => extra += 1,
            }
        }
        Some(Self { octets, extra })
    }

    /// The address, when all four octets and nothing else are there.
    pub fn address(&self) -> Option<Ipv4Addr> {
        let octets = self.octets.as_slice().first_chunk::<4>()?;
        (self.extra == 0).then(|| Ipv4Addr::from(*octets))
    }
}

fn decimal(label: &[u8]) -> Option<u8> {
    if label.is_empty() || label.len() > 3 || (label.len() > 1 && label.first() == Some(&b'0')) {
        return None;
    }
    let mut value = 0u16;
    for byte in label {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + (byte - b'0') as u16;
    }
    u8::try_from(value).ok()
}

/// The name as people write it, without the closing dot, cut to the text's length; odd bytes become `?`.
pub(crate) fn to_text(name: &[u8]) -> Text<63> {
    use core::fmt::Write;
    let mut text = Text::new();
    for (position, &start) in labels(name).iter().enumerate() {
        if position > 0 {
            let _ = text.write_char('.');
        }
        for &byte in label(name, start as usize) {
            let _ = text.write_char(if byte.is_ascii_graphic() { byte as char } else { '?' });
        }
    }
    if text.is_empty() {
        let _ = text.write_char('.');
    }
    text
}
