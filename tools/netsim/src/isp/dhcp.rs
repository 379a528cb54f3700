//! The ISP's DHCP server (RFC 2131): one address per router, told to misbehave at will.
//!
//! Answers in broadcasts where the client has no address yet. Relays, BOOTP and INFORM are not served.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Ipv4Prefix, MacAddress};
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr};

use super::{ISP_MAC, Profile};
use crate::packet::{self, Datagram};

/// The server's memory and moods.
#[derive(Clone, Debug)]
pub struct Dhcp {
    /// Answers at all.
    pub answers: bool,
    /// Answers every REQUEST with a NAK.
    pub refuses: bool,
    /// Addresses on the ISP's network that somebody else answers ARP for.
    pub taken: BTreeSet<Ipv4Addr>,
    network: Ipv4Prefix,
    next_host: u32,
    leases: HashMap<MacAddress, Ipv4Addr>,
    acknowledged: u64,
}

impl Dhcp {
    pub(super) fn new(profile: &Profile) -> Self {
        Self {
            answers: true,
            refuses: false,
            taken: BTreeSet::new(),
            network: profile.gateway,
            next_host: 20,
            leases: HashMap::new(),
            acknowledged: 0,
        }
    }

    /// The address of a router from now on; one that holds another is refused at its next renewal.
    pub fn assign(&mut self, mac: MacAddress, address: Ipv4Addr) {
        self.leases.insert(mac, address);
    }

    /// Who has which address.
    pub fn lease(&self, mac: MacAddress) -> Option<Ipv4Addr> {
        self.leases.get(&mac).copied()
    }

    /// ACKs sent so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The frame that answers a client's message, if any does.
    pub(super) fn answer(
        &mut self,
        profile: &Profile,
        source: MacAddress,
        message: &[u8],
    ) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let client = MacAddress(request.client_hardware_address.0);
        let server = self.network.address();
        if !self.answers || request.server_identifier.is_some_and(|chosen| chosen != server) {
            return None;
        }
        let kind = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => {
                let wanted = request.requested_ip.unwrap_or(request.client_ip);
                let granted = !self.refuses && self.address_of(client) == wanted;
                if granted { DhcpMessageType::Ack } else { DhcpMessageType::Nak }
            }
            DhcpMessageType::Decline => {
                self.taken.extend(request.requested_ip);
                self.leases.remove(&client);
                return None;
            }
            DhcpMessageType::Release => {
                self.leases.remove(&client);
                return None;
            }
            _ => return None,
        };
        let nak = kind == DhcpMessageType::Nak;
        let address = if nak { Ipv4Addr::UNSPECIFIED } else { self.address_of(client) };
        self.acknowledged += u64::from(kind == DhcpMessageType::Ack);
        let given = |address| (!nak).then_some(address);
        let time = profile.time_server.octets();
        let options = [DhcpOption { kind: OPTION_NTP, data: &time }];
        let reply = DhcpRepr {
            message_type: kind,
            your_ip: address,
            client_ip: if nak { Ipv4Addr::UNSPECIFIED } else { request.client_ip },
            server_ip: Ipv4Addr::UNSPECIFIED,
            secs: 0,
            router: given(server),
            subnet_mask: given(self.network.netmask()),
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(server),
            parameter_request_list: None,
            dns_servers: (!nak).then(|| profile.name_servers.iter().copied().take(3).collect()),
            max_size: None,
            lease_duration: (!nak).then_some(profile.lease_seconds),
            renew_duration: None,
            rebind_duration: None,
            additional_options: if nak { &[] } else { &options },
            ..request
        };
        let mut payload = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut payload[..])).ok()?;
        let renewing = !nak && !request.client_ip.is_unspecified();
        let (to, mac) =
            if renewing { (request.client_ip, source) } else { (Ipv4Addr::BROADCAST, MacAddress::BROADCAST) };
        let datagram = Datagram {
            from: SocketAddrV4::new(server, 67),
            to: SocketAddrV4::new(to, 68),
            payload: &payload,
        };
        Some(packet::udp_frame(ISP_MAC, mac, datagram))
    }

    fn address_of(&mut self, client: MacAddress) -> Ipv4Addr {
        if let Some(address) = self.leases.get(&client) {
            return *address;
        }
        let base = self.network.network().to_bits();
        let address = loop {
            let address = Ipv4Addr::from_bits(base + self.next_host);
            self.next_host += 1;
            if !self.taken.contains(&address) && !self.leases.values().any(|leased| *leased == address) {
                break address;
            }
        };
        self.leases.insert(client, address);
        address
    }
}

/// Network time servers (RFC 2132, section 8.3).
const OPTION_NTP: u8 = 42;
