//! From a decision to bytes: which options, in which order, sent where.
//!
//! RFC 2131 section 4.3.1 table 3 (what goes into which message) and section 4.1 (where it is sent); RFC 2132
//! section 9.8 (the client's order of parameters); RFC 6842 (client id echoed); RFC 3046 section 2.2 (relay
//! information echoed, last).

use core::net::Ipv4Addr;

use dialtone_base::Duration;
use dialtone_base::text::Text;

use super::Destination;
use super::config::ServerConfig;
use super::request::{ClientKey, Request};
use crate::message::{Header, MessageType, Writer, code};

/// What clients get that ask for nothing in particular.
const USUAL: [u8; 5] =
    [code::SUBNET_MASK, code::ROUTER, code::NAME_SERVERS, code::DOMAIN_NAME, code::BROADCAST];

pub(super) struct Reply {
    kind: MessageType,
    request: Request,
    /// `yiaddr`.
    address: Ipv4Addr,
    /// With the times derived from it; none in a NAK and in the answer to an INFORM.
    lease: Option<Duration>,
    /// Option 56 of a NAK.
    complaint: &'static str,
}

impl Reply {
    pub fn offer(request: Request, address: Ipv4Addr, config: &ServerConfig) -> Self {
        let lease = Some(config.lease_for(request.lease));
        Self { kind: MessageType::Offer, request, address, lease, complaint: "" }
    }

    pub fn ack(request: Request, address: Ipv4Addr, lease: Duration) -> Self {
        Self { kind: MessageType::Ack, request, address, lease: Some(lease), complaint: "" }
    }

    pub fn inform(request: Request) -> Self {
        let address = Ipv4Addr::UNSPECIFIED;
        Self { kind: MessageType::Ack, request, address, lease: None, complaint: "" }
    }

    pub fn nak(request: Request, complaint: &'static str) -> Self {
        let address = Ipv4Addr::UNSPECIFIED;
        Self { kind: MessageType::Nak, request, address, lease: None, complaint }
    }

    /// Writes the message; its length and where to send it. `None` when `out` is too short for any message.
    pub fn emit(&self, config: &ServerConfig, out: &mut [u8]) -> Option<(usize, Destination)> {
        let request = &self.request;
        let nak = self.kind == MessageType::Nak;
        let header = Header {
            reply: true,
            transaction: request.transaction,
            seconds: 0,
            // A relay must broadcast a NAK: the client has no address to be reached at (RFC 2131 section 4.3.2).
            broadcast: request.broadcast || (nak && !request.relay.is_unspecified()),
            client: if nak { Ipv4Addr::UNSPECIFIED } else { request.address },
            yours: self.address,
            relay: request.relay,
            mac: request.mac,
        };
        let mut writer = Writer::new(out, request.limit, &header, self.kind)?;
        writer.option(code::SERVER_ID, &config.address.address().octets());
        if let Some(lease) = self.lease {
            writer.option(code::LEASE_TIME, &seconds(lease));
        }
        if nak {
            writer.option(code::MESSAGE, self.complaint.as_bytes());
        } else {
            self.parameters(config, &mut writer);
        }
        if let ClientKey::Id(id) = &request.client {
            writer.option(code::CLIENT_ID, id);
        }
        if !request.relay_agent.is_empty() {
            writer.option(code::RELAY_AGENT, &request.relay_agent);
        }
        Some((writer.finish(), self.destination()))
    }

    /// In the client's order, each once; then the times, whether it asked for them or not.
    fn parameters(&self, config: &ServerConfig, writer: &mut Writer<'_>) {
        let wanted = if self.request.parameters.is_empty() { &USUAL[..] } else { &self.request.parameters };
        let times = [code::SUBNET_MASK, code::RENEWAL, code::REBINDING];
        let times = if self.lease.is_some() { &times[..] } else { &[] };
        let mut sent = [false; 256];
        for code in wanted.iter().chain(times) {
            if let Some(sent @ false) = sent.get_mut(*code as usize) {
                *sent = true;
                self.parameter(*code, config, writer);
            }
        }
    }

    fn parameter(&self, wanted: u8, config: &ServerConfig, writer: &mut Writer<'_>) {
        let text = |writer: &mut Writer<'_>, text: &str| {
            if !text.is_empty() {
                writer.option(wanted, text.as_bytes());
            }
        };
        match (wanted, self.lease) {
            (code::SUBNET_MASK, _) => {
                writer.option(wanted, &config.address.netmask().octets());
            }
            (code::ROUTER, _) => writer.addresses(wanted, &[config.address.address()]),
            (code::NAME_SERVERS, _) => writer.addresses(wanted, &config.name_servers),
            (code::HOST_NAME, _) => text(writer, &self.host_name(config)),
            (code::DOMAIN_NAME, _) => text(writer, &config.domain),
            (code::BROADCAST, _) => {
                writer.option(wanted, &config.address.broadcast().octets());
            }
            (code::TIME_SERVERS, _) => writer.addresses(wanted, &config.time_servers),
            (code::RENEWAL, Some(lease)) => {
                writer.option(wanted, &seconds(lease.scaled(1, 2)));
            }
            (code::REBINDING, Some(lease)) => {
                writer.option(wanted, &seconds(lease.scaled(7, 8)));
            }
            (code::CAPTIVE_PORTAL, _) => text(writer, &config.captive_portal),
            _ => {}
        }
    }

    /// The reservation's name, else the one the client gave itself.
    fn host_name(&self, config: &ServerConfig) -> Text<63> {
        let reserved = config.reservations.iter().find(|reservation| reservation.mac == self.request.mac);
        match reserved {
            Some(reservation) if !reservation.name.is_empty() => reservation.name.clone(),
            _ => self.request.name.clone(),
        }
    }

    fn destination(&self) -> Destination {
        let request = &self.request;
        if !request.relay.is_unspecified() {
            Destination::Relay(request.relay)
        } else if self.kind == MessageType::Nak {
            Destination::Broadcast
        } else if !request.address.is_unspecified() {
            Destination::Station { mac: request.mac, address: request.address }
        } else if request.broadcast {
            Destination::Broadcast
        } else {
            Destination::Station { mac: request.mac, address: self.address }
        }
    }
}

fn seconds(time: Duration) -> [u8; 4] {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}
