//! What the server keeps of a client's message while it answers: bounded, owned.

use core::net::Ipv4Addr;

use dialtone_base::MacAddress;
use dialtone_base::text::Text;
use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::Rejected;
use crate::message::{Message, SAFE, code};

/// Longest client id kept; real ones have 7 or 19 bytes.
pub const CLIENT_ID: usize = 64;

/// Who a client is: its client id (option 61), without one its MAC address (RFC 2131 section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientKey {
    /// Option 61 with its type byte.
    Id(Vec<u8, CLIENT_ID>),
    /// No option 61.
    Mac(MacAddress),
}

impl ClientKey {
    /// FNV-1a: narrows the search, proves nothing.
    pub(super) fn fingerprint(&self) -> u32 {
        let bytes = match self {
            Self::Id(id) => id.as_slice(),
            Self::Mac(mac) => &mac.0,
        };
        bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ *byte as u32).wrapping_mul(0x0100_0193))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub transaction: u32,
    /// How long it has been trying, by its own account.
    pub seconds: u16,
    pub broadcast: bool,
    /// `ciaddr`.
    pub address: Ipv4Addr,
    pub relay: Ipv4Addr,
    pub mac: MacAddress,
    pub client: ClientKey,
    pub fingerprint: u32,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
    /// Option 50.
    pub requested: Option<Ipv4Addr>,
    /// Option 51, seconds.
    pub lease: Option<u32>,
    /// Option 55, in its order.
    pub parameters: Vec<u8, 64>,
    /// Option 82, echoed.
    pub relay_agent: Vec<u8, 128>,
    /// Longest message it takes, without IP and UDP headers.
    pub limit: usize,
    pub name: Text<63>,
}

impl Request {
    pub fn from_message(message: &Message<'_>) -> Result<Self, Rejected> {
        let mac = message.header.mac;
        let client = match message.joined(code::CLIENT_ID) {
            None if message.option(code::CLIENT_ID).is_some() => return Err(Rejected::BadClientId),
            None => ClientKey::Mac(mac),
            // RFC 2132 section 9.14: at least two bytes.
            Some(id) if id.len() < 2 => return Err(Rejected::BadClientId),
            Some(id) => ClientKey::Id(Vec::from_slice(&id).map_err(|_| Rejected::BadClientId)?),
        };
        let parameters = message.joined(code::PARAMETER_LIST).unwrap_or_default();
        let relay_agent = message.option(code::RELAY_AGENT).unwrap_or_default();
        let limit = message.fixed::<2>(code::MAX_SIZE).map_or(SAFE, |size| {
            // The option counts the IP packet, minimum 576 (RFC 2132 section 9.10).
            (u16::from_be_bytes(size) as usize).saturating_sub(28).clamp(SAFE, 1472)
        });
        Ok(Self {
            transaction: message.header.transaction,
            seconds: message.header.seconds,
            broadcast: message.header.broadcast,
            address: message.header.client,
            relay: message.header.relay,
            mac,
            fingerprint: client.fingerprint(),
            client,
            server: message.address(code::SERVER_ID),
            requested: message.address(code::REQUESTED_ADDRESS),
            lease: message.seconds(code::LEASE_TIME),
            parameters: parameters.iter().copied().take(64).collect(),
            // Cut information would be wrong information.
            relay_agent: Vec::from_slice(relay_agent).unwrap_or_default(),
            limit,
            name: name(message),
        })
    }
}

/// Option 81 (RFC 4702), first label, else option 12.
fn name(message: &Message<'_>) -> Text<63> {
    if let Some([flags, _, _, full @ ..]) = message.option(code::FULL_NAME) {
        let label = if flags & 0x04 != 0 {
            // Wire format: a length byte before each label.
            full.split_first().and_then(|(length, rest)| rest.get(..*length as usize))
        } else {
            full.split(|byte| *byte == b'.').next()
        };
        let name = clean(label.unwrap_or_default());
        if !name.is_empty() {
            return name;
        }
    }
    clean(message.option(code::HOST_NAME).unwrap_or_default())
}

/// Without the NUL and the dots some clients add, and without control characters.
fn clean(bytes: &[u8]) -> Text<63> {
    let text = Text::<63>::from_wire(bytes);
    Text::lossy(text.trim_matches(|character: char| character == '.' || character.is_whitespace()))
}
