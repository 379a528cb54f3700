//! The slow path of translation: a flow's first packet, and every packet that changes a state.
//!
//! Finds the mapping or makes it (RFC 4787 REQ-1, REQ-3, REQ-4), asks the filter (REQ-8), and writes both records of the
//! flow so that the fast path needs no decision. What the firewall thinks was asked before.

use core::net::Ipv4Addr;

use dialtone_base::{Ipv4Prefix, MacAddress, Zone};
use dialtone_wire::checksum::Delta;

use super::mapping::Space;
use super::port_forward;
use crate::accounting::DeviceHandle;
use crate::config::Filtering;
use crate::conntrack::key::{Key, Realm};
use crate::conntrack::list::NONE;
use crate::conntrack::{EGRESS_PUNT, NoRoom, Origin, Record, Tick, flag};
use crate::pipeline::Packet;
use crate::route::Way;
use crate::verdict::DropReason;
use crate::{Dataplane, Event};

/// UDP ports at the WAN address that always belong to the router: its DHCP client.
pub(crate) const DHCP_CLIENT: u16 = 68;

/// An address with a port, or an ICMP identifier, or 0.
pub(crate) type Endpoint = (Ipv4Addr, u16);

/// Both ends of a flow to open: as the opener and as the answerer see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// As the packet arrived.
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    /// As it goes on.
    pub(crate) new_source: Endpoint,
    pub(crate) new_destination: Endpoint,
}

/// Whom a packet from the WAN to the WAN address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invited {
    /// An inside endpoint, how it was found, and its mapping if there is one.
    To(Endpoint, Origin, u32),
    /// Nobody.
    No(DropReason),
}

impl Dataplane {
    /// The external endpoint of a new flow from `inside`, through its mapping or a new one.
    pub(crate) fn map_out(
        &mut self,
        tick: Tick,
        realm: Realm,
        protocol: u8,
        inside: Endpoint,
        external: Ipv4Addr,
    ) -> Result<(Endpoint, u32), DropReason> {
        let Some(space) = Space::of(protocol) else { return Ok(((external, 0), NONE)) };
        let number = match self.mappings.of_inside(realm, space, inside) {
            Some(number) => number,
            None => {
                let config = &self.config;
                let preferred = port_forward::external_of(config, protocol, inside);
                let routers = |port| {
                    config.router_udp_ports.is_some_and(|(first, last)| (first..=last).contains(&port))
                };
                let reserved = |port: u16| {
                    (protocol == 17 && (port == DHCP_CLIENT || routers(port)) && realm != Realm::Router)
                        || port_forward::is_reserved(config, protocol, port)
                };
                let made = self.mappings.create(realm, space, inside, preferred, &mut self.random, reserved);
                match made {
                    Ok(number) => number,
                    Err(_) => {
                        // The oldest transitory flow may free a port; the sender's next try gets it.
                        if let Some(ended) = self.flows.evict(tick) {
                            self.mappings.detach(&ended);
                        }
                        return Err(DropReason::PortsExhausted);
                    }
                }
            }
        };
        let port = self.mappings.by_number(number).map_or(0, |mapping| mapping.external_port);
        Ok(((external, port), number))
    }

    /// Who has an external port: forwards first, then mappings, then the exposed host. With the mapping, if there is
    /// one; never the router itself.
    pub(crate) fn owner(&self, protocol: u8, port: u16) -> Option<(Endpoint, Origin, u32)> {
        if let Some(target) = port_forward::target(&self.config, protocol, port) {
            return Some((target, Origin::Forwarded, NONE));
        }
        let mapping = Space::of(protocol).and_then(|space| self.mappings.of_external(space, port));
        if let Some(number) = mapping {
            let mapping = self.mappings.by_number(number)?;
            // An identifier inside is no invitation to ping; the router's sockets only hear those they speak to.
            let open = mapping.realm != Realm::Router && mapping.space != Space::Icmp;
            return open.then_some((mapping.inside, Origin::Inbound, number));
        }
        let host = self.config.exposed_host.filter(|_| matches!(protocol, 6 | 17))?;
        Some(((host, port), Origin::Exposed, NONE))
    }

    /// Whether this is for a call of the router's own: to one of its voice ports that is in use, from an address that port has spoken to. From
    /// whatever port: media gateways send from another than they listen on, and operators answer from another socket.
    pub(crate) fn is_voice_for_router(&self, protocol: u8, source: Ipv4Addr, port: u16) -> bool {
        let voice = |(first, last): (u16, u16)| (first..=last).contains(&port);
        if protocol != 17 || !self.config.router_udp_ports.is_some_and(voice) {
            return false;
        }
        let number = Space::of(protocol).and_then(|space| self.mappings.of_external(space, port));
        number.is_some_and(|number| {
            let routers =
                self.mappings.by_number(number).is_some_and(|mapping| mapping.realm == Realm::Router);
            routers && self.mappings.permits(number, source)
        })
    }

    /// Whom a packet from `source` outside to an external port is for, after the filter.
    pub(crate) fn invited(&self, protocol: u8, source: Ipv4Addr, port: u16) -> Invited {
        match self.owner(protocol, port) {
            None => Invited::No(DropReason::Unsolicited),
            Some((_, Origin::Inbound, number))
                if self.config.filtering == Filtering::AddressDependent
                    && !self.mappings.permits(number, source) =>
            {
                Invited::No(DropReason::Filtered)
            }
            Some((target, origin, number)) => Invited::To(target, origin, number),
        }
    }

    /// Writes a flow. `forth` leads to the answerer, `back` to the opener; `device` is accounted.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn open_flow(
        &mut self,
        packet: &Packet,
        origin: Origin,
        ends: &Ends,
        mappings: [u32; 2],
        forth: &Way,
        back: &Way,
        device: DeviceHandle,
    ) -> Result<u32, DropReason> {
        let protocol = packet.ip.protocol.0;
        let room = self.flows.make_room(packet.tick, device.index());
        let result = match room {
            Err(NoRoom::Table) => Err(DropReason::FlowTableFull),
            Err(NoRoom::Device) => Err(DropReason::DeviceFlowLimit),
            Ok(ended) => {
                // The flow's own mapping might lose its last other flow here: hold on to it first.
                self.attach(mappings, ends);
                if let Some(ended) = ended {
                    self.mappings.detach(&ended);
                }
                let forth_key = packet.key;
                let back_key = Key::new(forth.realm, protocol, ends.new_destination, ends.new_source);
                // Inside may keep a UDP flow alive, the WAN may not (RFC 4787 REQ-6); a TCP flow both.
                let hop = hop(packet.realm, forth.realm);
                let forth_flags =
                    hop | (flag::FAST * u8::from(protocol != 6)) | refresh(protocol, packet.realm, origin);
                let back_flags = hop | refresh(protocol, forth.realm, origin);
                let shared = Record { device, epoch: self.epoch, ..Record::FREE };
                let forth_record = Record {
                    key: forth_key,
                    flags: forth_flags,
                    ingress: packet.ingress,
                    ..shared.towards(protocol, forth, ends.new_source, ends.new_destination, forth_key)
                };
                let back_record = Record {
                    key: back_key,
                    flags: back_flags,
                    ingress: forth.egress,
                    ..shared.towards(protocol, back, ends.destination, ends.source, back_key)
                };
                let opened = self.flows.open(packet, origin, mappings, forth_record, back_record);
                if opened.is_none() {
                    self.detach(mappings, ends);
                }
                opened.ok_or(DropReason::FlowCollision)
            }
        };
        if result.is_err() {
            for number in mappings {
                self.mappings.drop_unused(number);
            }
        } else if self.config.report_flows && packet.realm != Realm::Router {
            self.report_flow(protocol, origin, ends);
        }
        result
    }

    fn attach(&mut self, mappings: [u32; 2], ends: &Ends) {
        for (number, remote) in mappings.into_iter().zip([ends.destination.0, ends.new_source.0]) {
            if number != NONE {
                self.mappings.attach(number, remote);
            }
        }
    }

    fn detach(&mut self, mappings: [u32; 2], ends: &Ends) {
        let ended = crate::conntrack::Ended { mappings, remotes: [ends.destination.0, ends.new_source.0] };
        self.mappings.detach(&ended);
    }

    fn report_flow(&mut self, protocol: u8, origin: Origin, ends: &Ends) {
        use core::net::SocketAddrV4;
        let socket = |(address, port): Endpoint| SocketAddrV4::new(address, port);
        let from_outside = matches!(origin, Origin::Inbound | Origin::Forwarded | Origin::Exposed);
        let (inside, outside, remote) = if from_outside {
            (ends.new_destination, ends.destination, ends.source)
        } else {
            (ends.source, ends.new_source, ends.destination)
        };
        self.tell(Event::FlowOpened {
            protocol,
            inside: socket(inside),
            outside: socket(outside),
            remote: socket(remote),
        });
    }

    /// Lets go of everything that hangs on the WAN address, or of every flow.
    pub(crate) fn drop_flows(&mut self, all: bool) {
        let mut from = 0;
        while let Some(number) = self.flows.next_on_wan(from, all) {
            let ended = self.flows.revoke(number);
            self.mappings.detach(&ended);
            from = number + 2;
        }
    }

    /// Whether a flow opened earlier may go on under the configuration of now, apart from the firewall's rules.
    pub(crate) fn still_invited(&self, origin: Origin, forth: &Record) -> bool {
        let (_, port) = forth.key.destination();
        let target = (forth.destination, forth.destination_port);
        match origin {
            Origin::Forwarded => {
                port_forward::target(&self.config, forth.key.protocol(), port) == Some(target)
            }
            Origin::Exposed => self.config.exposed_host == Some(target.0),
            Origin::Hairpin => {
                self.owner(forth.key.protocol(), port).is_some_and(|(owner, ..)| owner == target)
            }
            _ => true,
        }
    }
}

impl Record {
    /// The rewrite of packets with `key` into `source` → `destination`, on this way.
    pub(crate) fn towards(
        self,
        protocol: u8,
        way: &Way,
        source: Endpoint,
        destination: Endpoint,
        key: Key,
    ) -> Self {
        let (old_source, old_destination) = (key.source(), key.destination());
        let addresses =
            address_delta(old_source.0, source.0).and(address_delta(old_destination.0, destination.0));
        let source_port = port_delta(old_source.1, source.1);
        let transport = match protocol {
            // No pseudo-header, one identifier.
            1 => source_port,
            _ => addresses.and(source_port).and(port_delta(old_destination.1, destination.1)),
        };
        Self {
            source: source.0,
            destination: destination.0,
            source_port: source.1,
            destination_port: destination.1,
            address_delta: addresses,
            transport_delta: transport,
            // TTL is the upper byte of its word.
            hop_delta: match hop(key.realm(), way.realm) {
                0 => addresses,
                _ => addresses.and(Delta::u16(0x0100, 0)),
            },
            macs: way.macs,
            egress: way.egress,
            mtu: way.mtu,
            zone: way.realm as u8,
            ..self
        }
    }

    /// The same rewrite by another way.
    pub(crate) fn by(self, way: &Way) -> Self {
        Self { macs: way.macs, egress: way.egress, mtu: way.mtu, zone: way.realm as u8, ..self }
    }
}

/// Only what passes through loses a hop (RFC 1812 §5.3.1), not what the router itself sends or receives.
fn hop(from: Realm, to: Realm) -> u8 {
    if from == Realm::Router || to == Realm::Router { 0 } else { flag::HOP }
}

fn refresh(protocol: u8, from: Realm, origin: Origin) -> u8 {
    let inside = from != Realm::Wan;
    if inside || protocol == 6 || origin == Origin::Plain { flag::REFRESH } else { 0 }
}

fn address_delta(old: Ipv4Addr, new: Ipv4Addr) -> Delta {
    if old == new { Delta::NONE } else { Delta::u32(old.to_bits(), new.to_bits()) }
}

fn port_delta(old: u16, new: u16) -> Delta {
    if old == new { Delta::NONE } else { Delta::u16(old, new) }
}

/// The way to the router's own stack for the WAN.
pub(crate) fn way_to_router(mac: MacAddress) -> Way {
    let mut macs = [0; 12];
    let (destination, source) = macs.split_at_mut(6);
    destination.copy_from_slice(&mac.0);
    source.copy_from_slice(&mac.0);
    Way { realm: Realm::Router, macs, egress: EGRESS_PUNT, mtu: u16::MAX }
}

/// Whether an address is the network's own number or its broadcast address.
pub(crate) fn is_network_or_broadcast(prefix: Ipv4Prefix, address: Ipv4Addr) -> bool {
    prefix.length() < 31
        && prefix.contains(address)
        && (address == prefix.network() || address == prefix.broadcast())
}

/// The zone an inside address belongs to.
pub(crate) fn zone_of_inside(plane: &Dataplane, address: Ipv4Addr) -> Option<Zone> {
    [(Zone::Lan, plane.config.lan), (Zone::Guest, plane.config.guest)]
        .into_iter()
        .find(|(_, prefix)| prefix.is_some_and(|prefix| prefix.contains(address)))
        .map(|(zone, _)| zone)
}
