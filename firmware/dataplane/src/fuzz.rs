//! The fuzz body of the packet path: frames of any kind, from anywhere, in any order.
//!
//! The input is a list of steps: a byte that chooses, a length, bytes. Steps are random frames, valid frames with bytes
//! changed, time that passes, configurations that change. Beside "no panic" it checks what must hold after every step.

use core::net::Ipv4Addr;

use dialtone_base::frame::{Checksum, Offload, PoolSize, Segment, SegmentKind};
use dialtone_base::{Duration, FramePool, Instant, MacAddress, PortId, Seed, Zone};
use dialtone_wire::build::{End, IcmpMessage, icmp_frame, udp_frame};

use crate::{
    Command, Config, Dataplane, Filtering, Ingress, Limits, Output, PortConfig, PortForward, PortRange,
    Protocol, Verdict, Wan,
};

/// A router to throw frames at; its pool lives as long as the program, so make few.
pub struct Target {
    plane: Dataplane,
    pool: &'static FramePool,
    now: Instant,
}

const WAN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

impl Target {
    /// A small home.
    pub fn new() -> Self {
        let pool = FramePool::leak(PoolSize { ordinary: 64, super_frames: 2 });
        let port = |id, zone| PortConfig {
            id: PortId(id),
            zone,
            mac: MacAddress([2, 0, 0, 0, 1, id]),
            mtu: 1500,
            segmentation: id != 2,
        };
        let ports = [port(0, Zone::Wan), port(1, Zone::Lan), port(2, Zone::Lan), port(3, Zone::Guest)];
        let plane = Dataplane::new(Limits::SMALL, &ports, pool, Seed::from_number(1));
        let mut target = Self { plane, pool, now: Instant::from_secs(1) };
        target.configure(0);
        target
    }

    fn configure(&mut self, choice: u8) {
        let last = 5 + (choice & 1);
        let wan = dialtone_base::Ipv4Prefix::new(Ipv4Addr::new(203, 0, 113, last), 24).map(|address| Wan {
            address,
            gateway: Some(GATEWAY),
            mtu: (choice & 2 != 0).then_some(576),
        });
        let mut config = Config {
            lan: "192.168.77.1/24".parse().ok(),
            guest: "192.168.78.1/24".parse().ok(),
            wan: wan.filter(|_| choice & 12 != 12),
            answer_wan_ping: choice & 16 != 0,
            exposed_host: (choice & 32 != 0).then_some(Ipv4Addr::new(192, 168, 77, 10)),
            report_flows: choice & 64 != 0,
            ..Config::default()
        };
        if choice & 128 != 0 {
            config.filtering = Filtering::EndpointIndependent;
        }
        let _ = config.forwards.push(PortForward {
            protocol: Protocol::TcpUdp,
            external: PortRange { first: 8000, last: 8010 },
            host: Ipv4Addr::new(192, 168, 77, 11),
            internal: Some(80),
            enabled: true,
        });
        self.plane.configure(self.now, &config);
    }

    /// Plays one input.
    pub fn play(&mut self, data: &[u8]) {
        let mut rest = data;
        while let [choice, length, after @ ..] = rest {
            let (bytes, after) = after.split_at(after.len().min(usize::from(*length)));
            rest = after;
            self.step(*choice, bytes);
            self.drain();
            let flows = self.plane.snapshot().flows;
            assert!(flows.in_use <= flows.capacity && flows.mappings <= flows.capacity * 2);
        }
        // Every buffer is somewhere the data plane may keep it, and there are limits to that.
        let kept = 64 - self.pool.available().ordinary;
        assert!(kept <= Limits::SMALL.held_frames * 2, "{kept} frames kept");
    }

    fn step(&mut self, choice: u8, bytes: &[u8]) {
        let from = match choice & 7 {
            port @ 0..=4 => Ingress::Port(PortId(port)),
            5 => Ingress::Router(Zone::Lan),
            6 => Ingress::Router(Zone::Guest),
            _ => Ingress::Router(Zone::Wan),
        };
        match choice >> 3 & 7 {
            0 => self.send(from, bytes, choice),
            1 => {
                let seconds = bytes.first().copied().unwrap_or(1);
                self.now += Duration::from_secs(u64::from(seconds) * 4);
            }
            2 => self.configure(bytes.first().copied().unwrap_or(0)),
            3 => {
                let address = Ipv4Addr::new(192, 168, 77, bytes.first().copied().unwrap_or(9));
                let mac = MacAddress([2, 0, 0, 0, 7, 7]);
                self.plane.command(self.now, Command::PinNeighbor { zone: Zone::Lan, address, mac });
                self.plane.command(self.now, Command::Probe { zone: Zone::Lan, address });
                let mac = MacAddress([2, 0, 0, 0, 9, 9]);
                self.plane.command(self.now, Command::PinNeighbor { zone: Zone::Wan, address: GATEWAY, mac });
                self.plane.command(self.now, Command::Trace { filter: Default::default(), packets: 3 });
            }
            _ => self.send_mutated(from, bytes, choice),
        }
    }

    /// A frame that makes sense, with some of its bytes changed.
    fn send_mutated(&mut self, from: Ingress, bytes: &[u8], choice: u8) {
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let inside = Ipv4Addr::new(192, 168, 77 + (at(0) & 1), 10 + (at(0) >> 1 & 3));
        let remote = Ipv4Addr::new(198, 51, 100, at(1) & 3);
        let (router, source, destination) = match from {
            Ingress::Port(PortId(0)) => (0, remote, WAN),
            Ingress::Port(PortId(port)) => {
                (if port == 3 { 3 } else { 1 }, inside, [remote, WAN][usize::from(at(1) >> 7)])
            }
            Ingress::Router(_) => (9, WAN, remote),
        };
        let to = if router == 9 { MacAddress::ZERO } else { MacAddress([2, 0, 0, 0, 1, router]) };
        let end = |mac, address, port: u8| End { mac, address, port: 4990 + u16::from(port & 15) };
        let source = end(MacAddress([2, 0, 0, 0, 7, at(0) & 7]), source, at(2));
        let destination = end(to, destination, at(2) >> 4);
        let mut frame = [0; 128];
        let length = match at(3) & 3 {
            0 => {
                let quote = &mut [0; 64];
                let quoted = udp_frame(quote, destination, source, b"quoted").unwrap_or(0);
                let message = IcmpMessage::unreachable(at(4) & 15);
                icmp_frame(&mut frame, source, destination, message, quote.get(14..quoted).unwrap_or(&[]))
            }
            1 => {
                let message = IcmpMessage::echo_request(u16::from(at(4)), 1);
                icmp_frame(&mut frame, source, destination, message, b"ping")
            }
            _ => udp_frame(&mut frame, source, destination, &[5; 40]),
        };
        let length = length.unwrap_or(0);
        if at(3) & 3 == 3 {
            // As TCP: 20 bytes of header out of the payload.
            frame[23] = 6;
            frame[46] = 0x50;
            frame[47] = at(4) & 0x3f;
        }
        if at(5) & 15 == 0 {
            // As a fragment.
            frame[20] = (at(6) & 0x21) | (at(5) >> 2 & 0x20);
            frame[21] = at(7) & 7;
        }
        for change in bytes.get(8..).unwrap_or_default().chunks_exact(2) {
            if let Some(byte) = frame.get_mut(usize::from(change[0]) % length.max(1)) {
                *byte = change[1];
            }
        }
        if at(5) & 0x80 == 0 {
            frame[24..26].fill(0);
            let sum = !dialtone_wire::checksum::sum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        self.send(from, &frame[..length], choice);
    }

    fn send(&mut self, from: Ingress, bytes: &[u8], choice: u8) {
        let Some(mut frame) = self.pool.copy_of(bytes) else { return };
        if choice & 64 != 0 {
            let start = if choice & 128 != 0 { 34 } else { 1000 };
            let segment = Segment { kind: SegmentKind::Tcp4, size: 20, ecn: false };
            frame.offload = Offload {
                checksum: Checksum::Partial { start, offset: 6 },
                verified: false,
                segment: (choice & 128 != 0).then_some(segment),
            };
        }
        let verdict = self.plane.process(self.now, from, &mut frame);
        if verdict == Verdict::Held {
            self.plane.hold(self.now, frame);
        }
    }

    fn drain(&mut self) {
        for _ in 0..1_000 {
            if let Output::Wait(_) = self.plane.poll(self.now) {
                return;
            }
        }
        panic!("the data plane never comes to rest");
    }
}

/// One input on a router of its own.
pub fn fuzz(data: &[u8]) {
    Target::new().play(data);
}

#[cfg(test)]
mod tests {
    use dialtone_base::Random;

    use super::*;

    #[test]
    fn random_and_mutated_frames_from_everywhere_never_panic() {
        let mut steps = 0;
        for seed in 0..12 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut target = Target::new();
            while steps < (seed + 1) * 5_000 {
                let mut data = [0; 48];
                random.fill(&mut data);
                // Mostly mutated frames, of a length that holds them.
                if random.below(4) > 0 {
                    data[0] |= 0x20;
                }
                data[1] = 46;
                target.play(&data);
                steps += 1;
            }
        }
        fuzz(&[0xff; 300]);
    }
}
