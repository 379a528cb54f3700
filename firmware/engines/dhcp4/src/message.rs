//! The DHCP message: a view that borrows, and a writer that cannot overflow.
//!
//! RFC 2131 section 2 (the fixed part), RFC 2132 (options, option overload in 9.3), RFC 3396 (an option split over
//! several instances is one option), RFC 3442 (classless routes, read elsewhere). Parsing checks the whole message
//! once; reading an option afterwards walks the areas again and cannot fail. Only Ethernet clients. Does not write
//! options longer than 255 bytes and knows no authentication (RFC 3118).

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;
use heapless::Vec;

/// Length of the fixed part with the magic cookie.
pub const FIXED: usize = 240;
/// Messages are padded to this length, as BOOTP relays expect (RFC 1542 section 2.1).
pub const SHORTEST: usize = 300;
/// A message every client accepts: 576 bytes of IP packet without IP and UDP headers (RFC 2131 section 2).
pub const SAFE: usize = 548;
/// An assembled option holds at most this many bytes.
pub const LONGEST_OPTION: usize = 512;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const SNAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;

/// Option codes this product reads or writes.
pub mod code {
    #![allow(missing_docs)]
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const NAME_SERVERS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const MTU: u8 = 26;
    pub const BROADCAST: u8 = 28;
    pub const TIME_SERVERS: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL: u8 = 58;
    pub const REBINDING: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const FULL_NAME: u8 = 81;
    pub const RELAY_AGENT: u8 = 82;
    pub const CAPTIVE_PORTAL: u8 = 114;
    pub const CLASSLESS_ROUTES: u8 = 121;
    pub const END: u8 = 255;
}

/// Option 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MessageType {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

impl MessageType {
    fn from_wire(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }

    /// Sent by clients to servers.
    pub const fn from_client(self) -> bool {
        !matches!(self, Self::Offer | Self::Ack | Self::Nak)
    }
}

/// Why bytes are no DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than the fixed part.
    Truncated,
    /// No magic cookie: plain BOOTP or something else.
    NoCookie,
    /// The hardware is not Ethernet, or its address is no station's.
    NotEthernet,
    /// An option runs over the end of its area, or one of fixed length has another.
    BadOption,
    /// No message type, an unknown one, or one that contradicts the op field.
    BadType,
}

/// The fixed part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// BOOTREPLY (2) instead of BOOTREQUEST (1).
    pub reply: bool,
    /// `xid`.
    pub transaction: u32,
    /// `secs`: seconds since the client began.
    pub seconds: u16,
    /// The BROADCAST flag.
    pub broadcast: bool,
    /// `ciaddr`: the client's address, only when it can answer ARP for it.
    pub client: Ipv4Addr,
    /// `yiaddr`: the address given.
    pub yours: Ipv4Addr,
    /// `giaddr`: the relay.
    pub relay: Ipv4Addr,
    /// `chaddr`.
    pub mac: MacAddress,
}

/// A checked message, borrowing the datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The fixed part.
    pub header: Header,
    /// Option 53.
    pub kind: MessageType,
    bytes: &'a [u8],
    overload: u8,
}

impl<'a> Message<'a> {
    /// Checks `bytes` as a UDP payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = bytes.get(..FIXED).ok_or(Malformed::Truncated)?;
        if fixed.get(236..240) != Some(&COOKIE) {
            return Err(Malformed::NoCookie);
        }
        let &[op, hardware, hardware_length, ..] = fixed else { return Err(Malformed::Truncated) };
        let mac = MacAddress(array(fixed, 28));
        if hardware != 1 || hardware_length != 6 || !mac.is_station() {
            return Err(Malformed::NotEthernet);
        }
        let header = Header {
            reply: op == 2,
            transaction: u32::from_be_bytes(array(fixed, 4)),
            seconds: u16::from_be_bytes(array(fixed, 8)),
            broadcast: array::<2>(fixed, 10)[0] & 0x80 != 0,
            client: Ipv4Addr::from(array::<4>(fixed, 12)),
            yours: Ipv4Addr::from(array::<4>(fixed, 16)),
            relay: Ipv4Addr::from(array::<4>(fixed, 24)),
            mac,
        };
        let mut message = Self { header, kind: MessageType::Discover, bytes, overload: 0 };
        for option in Walk(message.area(0)) {
            let (code, value) = option?;
            if code == code::OVERLOAD {
                let &[areas @ 1..=3] = value else { return Err(Malformed::BadOption) };
                message.overload = areas;
            }
        }
        for index in 1..3 {
            for option in Walk(message.area(index)) {
                option?;
            }
        }
        let kind = message.fixed::<1>(code::MESSAGE_TYPE).and_then(|[kind]| MessageType::from_wire(kind));
        message.kind = kind.ok_or(Malformed::BadType)?;
        if !matches!(op, 1 | 2) || message.kind.from_client() == message.header.reply {
            return Err(Malformed::BadType);
        }
        Ok(message)
    }

    /// Options field, then `file`, then `sname` as far as they are overloaded (RFC 3396 section 5).
    fn area(&self, index: usize) -> &'a [u8] {
        let range = match index {
            0 => FIXED..self.bytes.len(),
            1 if self.overload & 1 != 0 => FILE,
            2 if self.overload & 2 != 0 => SNAME,
            _ => return &[],
        };
        self.bytes.get(range).unwrap_or(&[])
    }

    /// Every option as it stands, in the order of reading.
    pub fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> + '_ {
        // Errors cannot occur: `parse` walked the same areas.
        (0..3).flat_map(|index| Walk(self.area(index)).map_while(Result::ok))
    }

    /// The first instance of an option: the whole of it unless it was split.
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options().find_map(|(found, value)| (found == code).then_some(value))
    }

    /// All instances joined (RFC 3396); `None` when absent or above [`LONGEST_OPTION`].
    pub fn joined(&self, code: u8) -> Option<Vec<u8, LONGEST_OPTION>> {
        let mut all = Vec::new();
        let mut seen = false;
        for (_, value) in self.options().filter(|(found, _)| *found == code) {
            seen = true;
            all.extend_from_slice(value).ok()?;
        }
        seen.then_some(all)
    }

    /// An option of exactly `N` bytes; `None` when absent or of another length.
    pub fn fixed<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        self.option(code)?.try_into().ok()
    }

    /// An option that is one address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.fixed::<4>(code).map(Ipv4Addr::from)
    }

    /// An option that is a number of seconds.
    pub fn seconds(&self, code: u8) -> Option<u32> {
        self.fixed::<4>(code).map(u32::from_be_bytes)
    }

    /// The first `N` addresses of an option that lists them; zero and broadcast addresses left out.
    pub fn addresses<const N: usize>(&self, code: u8) -> Vec<Ipv4Addr, N> {
        let all = self.joined(code).unwrap_or_default();
        let quads = all.as_chunks::<4>().0;
        quads
            .iter()
            .map(|quad| Ipv4Addr::from(*quad))
            .filter(|address| !address.is_unspecified() && !address.is_broadcast())
            .take(N)
            .collect()
    }
}

/// Code and value of each option; ends at END, at the end of the area, or after an error.
struct Walk<'a>(&'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.0 {
                [] | [code::END, ..] => return None,
                [code::PAD, ref rest @ ..] => self.0 = rest,
                [code, length, ref rest @ ..] if rest.len() >= length as usize => {
                    let (value, rest) = rest.split_at(length as usize);
                    self.0 = rest;
                    return Some(Ok((code, value)));
                }
                _ => {
                    self.0 = &[];
                    return Some(Err(Malformed::BadOption));
                }
            }
        }
    }
}

/// Bytes `at..at + N` of the fixed part; zeros where it ends, which callers have ruled out.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// Writes one message into the caller's buffer. Options that fit nowhere are left out and counted.
pub struct Writer<'b> {
    bytes: &'b mut [u8],
    /// End of the options field so far.
    end: usize,
    /// Bytes used of `file` and `sname`.
    spilled: [usize; 2],
    left_out: u8,
}

/// Bytes kept free in the options field: the overload option and END.
const RESERVE: usize = 4;

impl<'b> Writer<'b> {
    /// Begins a message of at most `limit` bytes (never below [`SHORTEST`]) in `out`; `None` when `out` is shorter
    /// than [`SHORTEST`].
    pub fn new(out: &'b mut [u8], limit: usize, header: &Header, kind: MessageType) -> Option<Self> {
        let limit = limit.clamp(SHORTEST, out.len().max(SHORTEST));
        let bytes = out.get_mut(..limit)?;
        bytes.fill(0);
        let mut writer = Self { bytes, end: FIXED, spilled: [0; 2], left_out: 0 };
        writer.put(0, &[if header.reply { 2 } else { 1 }, 1, 6, 0]);
        writer.put(4, &header.transaction.to_be_bytes());
        writer.put(8, &header.seconds.to_be_bytes());
        writer.put(10, &[if header.broadcast { 0x80 } else { 0 }, 0]);
        writer.put(12, &header.client.octets());
        writer.put(16, &header.yours.octets());
        writer.put(24, &header.relay.octets());
        writer.put(28, &header.mac.0);
        writer.put(236, &COOKIE);
        writer.option(code::MESSAGE_TYPE, &[kind as u8]);
        Some(writer)
    }

    /// Adds an option: in the options field, else in `file`, else in `sname`. Whether it had room.
    pub fn option(&mut self, code: u8, value: &[u8]) -> bool {
        let Ok(length) = u8::try_from(value.len()) else {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        };
        let size = value.len() + 2;
        let at = if self.end + size + RESERVE <= self.bytes.len() {
            let at = self.end;
            self.end += size;
            at
        } else {
            // One byte of each overloaded area is its END.
            let areas = self.spilled.iter_mut().zip([FILE, SNAME]);
            let mut room = areas.filter(|(used, area)| **used + size < area.len());
            let Some((used, area)) = room.next() else {
                self.left_out = self.left_out.saturating_add(1);
                return false;
            };
            let at = area.start + *used;
            *used += size;
            at
        };
        self.put(at, &[code, length]);
        self.put(at + 2, value);
        true
    }

    /// Adds a list of addresses; nothing when it is empty.
    pub fn addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        let mut value: Vec<u8, 64> = Vec::new();
        for address in addresses {
            // What does not fit 16 addresses is left out.
            let _ = value.extend_from_slice(&address.octets());
        }
        if !value.is_empty() {
            self.option(code, &value);
        }
    }

    /// Options that found no room.
    pub fn left_out(&self) -> u8 {
        self.left_out
    }

    /// Ends the message; its length.
    pub fn finish(mut self) -> usize {
        let overload =
            self.spilled.iter().zip([1, 2]).map(|(used, bit)| if *used > 0 { bit } else { 0 }).sum();
        if overload != 0 {
            self.put(self.end, &[code::OVERLOAD, 1, overload]);
            self.end += 3;
            for (used, area) in self.spilled.into_iter().zip([FILE, SNAME]) {
                if used > 0 {
                    self.put(area.start + used, &[code::END]);
                }
            }
        }
        self.put(self.end, &[code::END]);
        (self.end + 1).max(SHORTEST)
    }

    /// Callers have checked the room; what would not fit is not written.
    fn put(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }
}

/// The default route among RFC 3442 classless routes: `Some(gateway)`; `None` when the value is broken or has none.
pub fn default_route(value: &[u8]) -> Option<Ipv4Addr> {
    let mut rest = value;
    let mut found = None;
    while let Some((&width, tail)) = rest.split_first() {
        if width > 32 {
            return None;
        }
        let (_, tail) = tail.split_at_checked(width.div_ceil(8) as usize)?;
        let (gateway, tail) = tail.split_first_chunk::<4>()?;
        if width == 0 {
            found = Some(Ipv4Addr::from(*gateway));
        }
        rest = tail;
    }
    found.filter(|gateway| !gateway.is_unspecified())
}

#[cfg(test)]
mod tests;
