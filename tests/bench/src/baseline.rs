//! The comparison measured in the same run: a NAT as one would write it on an afternoon.
//!
//! Parses with `etherparse`, looks flows up in two `HashMap`s of the standard library, writes the headers anew with
//! freshly summed checksums. No firewall, no timers, no limits, no fragments, no ICMP: less than the data plane does.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use etherparse::{Ethernet2Header, LinkSlice, NetSlice, SlicedPacket, TransportSlice};

use crate::home::{self, Side};

type Tuple = (Ipv4Addr, u16, Ipv4Addr, u16);

struct Flow {
    address: Ipv4Addr,
    port: u16,
    mac: [u8; 6],
    packets: u64,
    bytes: u64,
}

/// An ordinary NAT for UDP.
#[derive(Default)]
pub struct OrdinaryNat {
    outbound: HashMap<Tuple, Flow>,
    inbound: HashMap<Tuple, Flow>,
    mappings: HashMap<(Ipv4Addr, u16), u16>,
    next_port: u16,
}

impl OrdinaryNat {
    /// Rewrites one frame; whether it may go on.
    pub fn process(&mut self, side: Side, bytes: &mut [u8]) -> bool {
        // Slices: `PacketHeaders`, etherparse's owned form, moves several kilobytes per packet.
        let Ok(packet) = SlicedPacket::from_ethernet(bytes) else { return false };
        let (Some(LinkSlice::Ethernet2(link)), Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(datagram))) =
            (&packet.link, &packet.net, &packet.transport)
        else {
            return false;
        };
        let (mut link, mut ip, mut udp) = (link.to_header(), ip.header().to_header(), datagram.to_header());
        if ip.header_checksum != ip.calc_header_checksum() || ip.time_to_live <= 1 {
            return false;
        }
        let tuple = (ip.source.into(), udp.source_port, Ipv4Addr::from(ip.destination), udp.destination_port);
        let flow = match side {
            Side::Inside => {
                if !self.outbound.contains_key(&tuple) {
                    self.open(tuple, &link);
                }
                self.outbound.get_mut(&tuple)
            }
            Side::Outside => self.inbound.get_mut(&tuple),
        };
        let Some(flow) = flow else { return false };
        flow.packets += 1;
        flow.bytes += bytes.len() as u64;
        match side {
            Side::Inside => {
                (ip.source, udp.source_port) = (flow.address.octets(), flow.port);
                link.source = home::WAN_MAC.0;
            }
            Side::Outside => {
                (ip.destination, udp.destination_port) = (flow.address.octets(), flow.port);
                link.source = home::LAN_MAC.0;
            }
        }
        link.destination = flow.mac;
        ip.time_to_live -= 1;
        ip.header_checksum = ip.calc_header_checksum();
        let Ok(checksum) = udp.calc_checksum_ipv4(&ip, datagram.payload()) else { return false };
        udp.checksum = checksum;
        let (link, ip, udp) = (link.to_bytes(), ip.to_bytes(), udp.to_bytes());
        drop(packet);
        bytes[..14].copy_from_slice(&link);
        bytes[14..34].copy_from_slice(&ip);
        bytes[34..42].copy_from_slice(&udp);
        true
    }

    fn open(&mut self, (source, source_port, destination, destination_port): Tuple, link: &Ethernet2Header) {
        let next_port = &mut self.next_port;
        let port = *self.mappings.entry((source, source_port)).or_insert_with(|| {
            *next_port = next_port.wrapping_add(1).max(1024);
            *next_port
        });
        let outbound =
            Flow { address: home::WAN_ADDRESS, port, mac: home::GATEWAY_MAC.0, packets: 0, bytes: 0 };
        let inbound = Flow { address: source, port: source_port, mac: link.source, packets: 0, bytes: 0 };
        self.outbound.insert((source, source_port, destination, destination_port), outbound);
        self.inbound.insert((destination, destination_port, home::WAN_ADDRESS, port), inbound);
    }

    /// Opens `count` flows; the external port of each.
    pub fn open_flows(&mut self, count: u32) -> Vec<u16> {
        let mut frame = home::pool().take(60).expect("a frame");
        (0..count)
            .map(|flow| {
                home::outbound(&mut frame, flow);
                assert!(self.process(Side::Inside, frame.bytes_mut()));
                u16::from_be_bytes([frame.bytes()[34], frame.bytes()[35]])
            })
            .collect()
    }
}
