//! What a server gave us, checked for sense.

use core::net::Ipv4Addr;

use dialtone_base::Ipv4Prefix;
use dialtone_base::text::Text;
use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::Rejected;
use crate::message::{Message, code, default_route};

/// Name servers kept.
pub const DOMAIN_SERVERS: usize = 4;

/// An address with all that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Address and network.
    pub address: Ipv4Prefix,
    /// Default gateway: from the classless routes when there are any (RFC 3442), else option 3.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers in the server's order.
    pub name_servers: Vec<Ipv4Addr, DOMAIN_SERVERS>,
    /// Time servers.
    pub time_servers: Vec<Ipv4Addr, 4>,
    /// Domain name, may be empty.
    pub domain: Text<63>,
    /// Interface MTU when given and sensible (576 to 1500).
    pub mtu: Option<u16>,
    /// The server's id.
    pub server: Ipv4Addr,
    /// Lease time in seconds; `u32::MAX` is for ever.
    pub lease: u32,
    /// T1 in seconds.
    pub renew: u32,
    /// T2 in seconds.
    pub rebind: u32,
}

impl Binding {
    /// From an OFFER or an ACK.
    pub(super) fn from_message(message: &Message<'_>) -> Result<Self, Rejected> {
        let server = message.address(code::SERVER_ID).filter(|server| !server.is_unspecified());
        let server = server.ok_or(Rejected::WrongServer)?;
        let host = message.header.yours;
        let mask = message.address(code::SUBNET_MASK).unwrap_or(classful_mask(host));
        let address = Ipv4Prefix::from_netmask(host, mask).filter(|prefix| is_host(*prefix));
        let address = address.ok_or(Rejected::Unusable)?;
        let lease = message.seconds(code::LEASE_TIME).filter(|lease| *lease > 0).ok_or(Rejected::Unusable)?;
        // RFC 2131 section 4.4.5: half and seven eighths, unless the server knows better and makes sense.
        let rebind = message.seconds(code::REBINDING).filter(|rebind| (1..lease).contains(rebind));
        let rebind = rebind.unwrap_or((lease as u64 * 7 / 8) as u32).max(1);
        let renew = message.seconds(code::RENEWAL).filter(|renew| (1..rebind).contains(renew));
        let renew = renew.unwrap_or((lease / 2).min(rebind)).max(1);
        let gateway = match message.joined(code::CLASSLESS_ROUTES) {
            Some(routes) => default_route(&routes),
            None => message.addresses::<1>(code::ROUTER).first().copied(),
        };
        let mtu = message.fixed::<2>(code::MTU).map(u16::from_be_bytes);
        let domain = Text::<63>::from_wire(message.option(code::DOMAIN_NAME).unwrap_or_default());
        Ok(Self {
            address,
            gateway: gateway.filter(|gateway| *gateway != host),
            name_servers: message.addresses(code::NAME_SERVERS),
            time_servers: message.addresses(code::TIME_SERVERS),
            domain: Text::lossy(domain.trim_end_matches('.')),
            mtu: mtu.filter(|mtu| (576..=1500).contains(mtu)),
            server,
            lease,
            renew,
            rebind,
        })
    }
}

/// An address one interface may have.
fn is_host(prefix: Ipv4Prefix) -> bool {
    let address = prefix.address();
    let ends = prefix.length() < 31 && (address == prefix.network() || address == prefix.broadcast());
    let strange = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
        || address.octets()[0] >= 240;
    prefix.length() > 0 && !ends && !strange
}

/// For servers that send no mask (RFC 950 section 2.1, as RFC 2131 had it).
fn classful_mask(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..=127 => Ipv4Addr::new(255, 0, 0, 0),
        128..=191 => Ipv4Addr::new(255, 255, 0, 0),
        _ => Ipv4Addr::new(255, 255, 255, 0),
    }
}
