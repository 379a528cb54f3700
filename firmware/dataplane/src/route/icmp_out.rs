//! The router's own ICMP: errors about packets it cannot deliver, and echo replies, made of the frame itself.
//!
//! RFC 792, 1191, 1812 §4.3.2. An error is written into the headroom in front of the packet it is about, so it costs no
//! second buffer and no copying. Never about ICMP errors, later fragments, broadcasts, group MACs or senders nobody can
//! answer (RFC 1812 §4.3.2.7), and rate limited by a token bucket (§4.3.2.8).

use core::net::Ipv4Addr;

use dialtone_base::frame::{Checksum, Offload};
use dialtone_base::{Frame, Instant, MacAddress};
use dialtone_wire::build::IcmpMessage;
use dialtone_wire::checksum::Delta;
use dialtone_wire::{
    EtherType, EthernetHeader, Headers, Icmpv4Kind, Icmpv4View, Ipv4Header, Ipv4Summary, Ipv4View, Protocol,
    Transport, ethernet, icmpv4, ipv4,
};

/// What to tell a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// TTL used up in transit.
    TimeExceeded,
    /// No route (code 0).
    NetUnreachable,
    /// The neighbor does not answer (code 1).
    HostUnreachable,
    /// Nothing listens on that port (code 3).
    PortUnreachable,
    /// Too big for the next hop with DF set (code 4, RFC 1191).
    FragmentationNeeded {
        /// What fits, in bytes of IP packet.
        mtu: u16,
    },
    /// A rule forbids it, or resources are used up (code 13, RFC 5508 REQ-8).
    Prohibited,
}

dialtone_base::counted_reasons! {
    /// Why no answer was sent.
    pub enum NoAnswer {
        /// The packet is itself an ICMP error, or of an unknown ICMP type.
        AboutIcmp = "about-icmp",
        /// It is not the first fragment.
        LaterFragment = "later-fragment",
        /// It was sent to a broadcast, multicast or impossible address.
        BadDestination = "bad-destination",
        /// The frame was sent to a group MAC.
        GroupMac = "group-mac",
        /// The sender's address is not one host's.
        BadSource = "bad-source",
        /// Enough was said for now.
        RateLimited = "rate-limited",
        /// No headroom in the buffer, or not an IPv4 packet.
        NoRoom = "no-room",
        /// An echo request that is a fragment, malformed, or with a wrong checksum.
        BadEcho = "bad-echo",
    }
}

/// Tokens that refill with time: `burst` at once, `per_second` in the long run.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Microtokens: a millionth of a token each, so that microseconds refill exactly.
    level: u64,
    burst: u32,
    per_second: u32,
    refilled: Instant,
}

impl TokenBucket {
    /// Full at first.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { level: burst as u64 * 1_000_000, burst, per_second, refilled: Instant::START }
    }

    /// Takes one token; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.since(self.refilled).as_micros().saturating_mul(u64::from(self.per_second));
        self.level = self.level.saturating_add(gained).min(u64::from(self.burst) * 1_000_000);
        self.refilled = self.refilled.max(now);
        if self.level < 1_000_000 {
            return false;
        }
        self.level -= 1_000_000;
        true
    }
}

/// Makes the router's ICMP messages and keeps their rate.
pub struct IcmpOut {
    bucket: TokenBucket,
}

/// Errors per second in the long run, and at once.
const RATE: (u32, u32) = (100, 50);
/// An error is at most this long, as IP packet (RFC 1812 §4.3.2.3).
const LONGEST_ERROR: usize = 576;

impl IcmpOut {
    /// 100 errors per second, 50 at once.
    pub const fn new() -> Self {
        Self { bucket: TokenBucket::new(RATE.0, RATE.1) }
    }

    /// Turns `frame`, unchanged since it came in, into an error about itself from `our_mac` and `our_address` to its
    /// sender. On refusal the frame is as it was.
    pub fn error(
        &mut self,
        now: Instant,
        error: IcmpError,
        frame: &mut Frame,
        headers: &Headers,
        our_mac: MacAddress,
        our_address: Ipv4Addr,
    ) -> Result<(), NoAnswer> {
        let Some(ip) = &headers.ipv4 else { return Err(NoAnswer::NoRoom) };
        may_tell(headers, ip)?;
        let l3 = usize::from(headers.l3);
        let packet = usize::from(ip.total_len).min(LONGEST_ERROR - ipv4::HEADER - icmpv4::HEADER);
        if frame.len() < l3 + packet {
            return Err(NoAnswer::NoRoom);
        }
        if !self.bucket.take(now) {
            return Err(NoAnswer::RateLimited);
        }
        // The quoted packet stays where it is; everything in front of it is written anew.
        let front = ethernet::HEADER + ipv4::HEADER + icmpv4::HEADER;
        if !frame.grow_front(front - l3) {
            return Err(NoAnswer::NoRoom);
        }
        frame.set_len(front + packet);
        frame.offload = Offload::default();
        let message = match error {
            IcmpError::TimeExceeded => IcmpMessage::time_exceeded(),
            IcmpError::NetUnreachable => IcmpMessage::unreachable(0),
            IcmpError::HostUnreachable => IcmpMessage::unreachable(1),
            IcmpError::PortUnreachable => IcmpMessage::unreachable(3),
            IcmpError::FragmentationNeeded { mtu } => IcmpMessage::fragmentation_needed(mtu),
            IcmpError::Prohibited => IcmpMessage::unreachable(13),
        };
        let link = EthernetHeader {
            destination: headers.source,
            source: our_mac,
            vlan: None,
            ethertype: EtherType::IPV4,
        };
        let length = (icmpv4::HEADER + packet) as u16;
        let network = Ipv4Header {
            // Precedence 6, internetwork control (RFC 1812 §4.3.2.5).
            traffic_class: 0xc0,
            ..Ipv4Header::new(our_address, ip.source, Protocol::ICMP, length)
        };
        let bytes = frame.bytes_mut();
        link.emit(bytes);
        network.emit(&mut bytes[ethernet::HEADER..]);
        let body = &mut bytes[ethernet::HEADER + ipv4::HEADER..];
        icmpv4::emit(body, message.icmp_type, message.code, message.rest);
        Ok(())
    }

    /// Turns an echo request for us into its reply, in place. On refusal the frame is as it was.
    pub fn echo_reply(
        &self,
        frame: &mut Frame,
        headers: &Headers,
        our_mac: MacAddress,
    ) -> Result<(), NoAnswer> {
        let Some(ip) = &headers.ipv4 else { return Err(NoAnswer::BadEcho) };
        let is_request = matches!(ip.transport, Transport::Icmp { icmp_type: icmpv4::ECHO_REQUEST, .. });
        if !is_request || ip.is_fragment() {
            return Err(NoAnswer::BadEcho);
        }
        if !may_receive(ip.source) {
            return Err(NoAnswer::BadSource);
        }
        if headers.destination.is_group() {
            return Err(NoAnswer::GroupMac);
        }
        let (l4, end) = (usize::from(ip.l4), ip.end(headers.l3));
        let partial = frame.offload.checksum != Checksum::Complete;
        let bytes = frame.bytes_mut();
        let Some(body) = bytes.get_mut(l4..end) else { return Err(NoAnswer::BadEcho) };
        if partial || !Icmpv4View::new_checked(&*body).is_ok_and(|view| view.verify_checksum()) {
            return Err(NoAnswer::BadEcho);
        }
        body[0] = icmpv4::ECHO_REPLY;
        let [high, low] =
            Delta::u16(0x0800, 0x0000).apply(u16::from_be_bytes([body[2], body[3]])).to_be_bytes();
        (body[2], body[3]) = (high, low);
        if let Ok(mut view) = Ipv4View::new_checked(&mut bytes[usize::from(headers.l3)..]) {
            view.set_source(ip.destination);
            view.set_destination(ip.source);
            view.set_ttl(64);
        }
        bytes[..6].copy_from_slice(&headers.source.0);
        bytes[6..12].copy_from_slice(&our_mac.0);
        Ok(())
    }
}

impl Default for IcmpOut {
    fn default() -> Self {
        Self::new()
    }
}

/// RFC 1812 §4.3.2.7: what no error may be sent about. Directed broadcasts of our own networks are the caller's to
/// refuse; it knows them.
pub fn may_tell(headers: &Headers, ip: &Ipv4Summary) -> Result<(), NoAnswer> {
    if matches!(ip.transport, Transport::Icmp { kind: Icmpv4Kind::Error | Icmpv4Kind::Other, .. }) {
        return Err(NoAnswer::AboutIcmp);
    }
    if ip.fragment_offset != 0 {
        return Err(NoAnswer::LaterFragment);
    }
    if headers.destination.is_group() {
        return Err(NoAnswer::GroupMac);
    }
    if !headers.source.is_station() || !may_receive(ip.source) {
        return Err(NoAnswer::BadSource);
    }
    let destination = ip.destination;
    if destination.is_broadcast() || destination.is_multicast() || destination.is_unspecified() {
        return Err(NoAnswer::BadDestination);
    }
    Ok(())
}

/// Whether an address can be one host that reads an answer: not 0/8, loopback, multicast, class E or broadcast.
fn may_receive(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

#[cfg(test)]
mod tests {
    use dialtone_base::FramePool;
    use dialtone_base::frame::PoolSize;
    use dialtone_wire::Embedded;
    use dialtone_wire::build::{self, End};

    use super::*;

    const LAPTOP: End =
        End { mac: MacAddress([2, 0, 0, 0, 0, 1]), address: Ipv4Addr::new(192, 168, 77, 20), port: 5000 };
    const OUR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xee]);
    const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
    const FAR: End = End { mac: OUR_MAC, address: Ipv4Addr::new(203, 0, 113, 9), port: 53 };

    fn udp(source: End, destination: End, length: usize) -> Frame {
        let pool = FramePool::leak(PoolSize { ordinary: 1, super_frames: 0 });
        let mut frame = pool.take(1500).unwrap();
        let payload = [7; 1400];
        let end = build::udp_frame(frame.bytes_mut(), source, destination, &payload[..length]).unwrap();
        frame.set_len(end);
        frame
    }

    fn tell(icmp: &mut IcmpOut, now: Instant, frame: &mut Frame) -> Result<(), NoAnswer> {
        let headers = Headers::parse(frame.bytes()).unwrap();
        icmp.error(now, IcmpError::FragmentationNeeded { mtu: 1280 }, frame, &headers, OUR_MAC, OURS)
    }

    #[test]
    fn an_error_quotes_the_packet_and_goes_to_its_sender() {
        let mut icmp = IcmpOut::new();
        for length in [0, 10, 600, 1400] {
            let mut frame = udp(LAPTOP, FAR, length);
            tell(&mut icmp, Instant::START, &mut frame).unwrap();
            let headers = Headers::parse(frame.bytes()).unwrap();
            let ip = headers.ipv4.unwrap();
            assert_eq!(
                (headers.source, headers.destination, ip.source, ip.destination),
                (OUR_MAC, LAPTOP.mac, OURS, LAPTOP.address)
            );
            assert!(usize::from(ip.total_len) <= 576, "RFC 1812 section 4.3.2.3");
            let body = Icmpv4View::new_checked(&frame.bytes()[34..]).unwrap();
            assert!(body.verify_checksum());
            assert_eq!((body.icmp_type(), body.code(), body.sequence()), (3, 4, 1280));
            let quoted = Embedded::parse(body.payload()).unwrap();
            assert_eq!((quoted.source, quoted.source_port), (LAPTOP.address, 5000));
        }
    }

    #[test]
    fn rfc1812_forbids_errors_about_errors_fragments_broadcasts_and_nobody() {
        let mut icmp = IcmpOut::new();
        let mut refused = |frame: &mut Frame| {
            let before = frame.len();
            let answer = tell(&mut icmp, Instant::START, frame).unwrap_err();
            assert_eq!(frame.len(), before);
            answer
        };
        let mut error = udp(LAPTOP, FAR, 20);
        tell(&mut IcmpOut::new(), Instant::START, &mut error).unwrap();
        assert_eq!(refused(&mut error), NoAnswer::AboutIcmp);

        let mut later = udp(LAPTOP, FAR, 20);
        later.bytes_mut()[21] = 9;
        Ipv4View::new_checked(&mut later.bytes_mut()[14..]).unwrap().fill_checksum();
        assert_eq!(refused(&mut later), NoAnswer::LaterFragment);

        let group = End { mac: MacAddress::BROADCAST, ..FAR };
        assert_eq!(refused(&mut udp(LAPTOP, group, 1)), NoAnswer::GroupMac);
        for address in [Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 251)] {
            assert_eq!(refused(&mut udp(LAPTOP, End { address, ..FAR }, 1)), NoAnswer::BadDestination);
        }
        for address in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255], [0, 1, 2, 3]] {
            let nobody = End { address: address.into(), ..LAPTOP };
            assert_eq!(refused(&mut udp(nobody, FAR, 1)), NoAnswer::BadSource);
        }
    }

    #[test]
    fn errors_are_rate_limited_and_the_limit_recovers() {
        let mut icmp = IcmpOut::new();
        let mut sent = 0;
        for _ in 0..1000 {
            let mut frame = udp(LAPTOP, FAR, 10);
            sent += u32::from(tell(&mut icmp, Instant::START, &mut frame).is_ok());
        }
        assert_eq!(sent, 50);
        for millisecond in 1..=1000 {
            let mut frame = udp(LAPTOP, FAR, 10);
            sent += u32::from(tell(&mut icmp, Instant::from_millis(millisecond), &mut frame).is_ok());
        }
        assert_eq!(sent, 150);
    }

    #[test]
    fn a_ping_becomes_its_own_answer() {
        let pool = FramePool::leak(PoolSize { ordinary: 1, super_frames: 0 });
        let mut frame = pool.take(1500).unwrap();
        let router = End { mac: OUR_MAC, address: OURS, port: 0 };
        let ping = IcmpMessage::echo_request(0x1234, 7);
        let end = build::icmp_frame(frame.bytes_mut(), LAPTOP, router, ping, b"are you there?").unwrap();
        frame.set_len(end);
        let headers = Headers::parse(frame.bytes()).unwrap();
        let icmp = IcmpOut::new();
        icmp.echo_reply(&mut frame, &headers, OUR_MAC).unwrap();
        let mut expected = [0; 100];
        let reply = IcmpMessage::echo_reply(0x1234, 7);
        let length = build::icmp_frame(&mut expected, router, LAPTOP, reply, b"are you there?").unwrap();
        assert_eq!(frame.bytes(), &expected[..length]);
        // Neither an answer to an answer, nor to a damaged question.
        let headers = Headers::parse(frame.bytes()).unwrap();
        assert_eq!(icmp.echo_reply(&mut frame, &headers, OUR_MAC), Err(NoAnswer::BadEcho));
        build::icmp_frame(frame.bytes_mut(), LAPTOP, router, ping, b"are you there?").unwrap();
        frame.bytes_mut()[45] ^= 1;
        let headers = Headers::parse(frame.bytes()).unwrap();
        assert_eq!(icmp.echo_reply(&mut frame, &headers, OUR_MAC), Err(NoAnswer::BadEcho));
    }
}
