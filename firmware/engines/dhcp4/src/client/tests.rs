//! The client's promises, rule by rule (RFC 2131 section 4.4).

extern crate std;

use std::vec;
use std::vec::Vec as List;

use super::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);

fn mac() -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, 1])
}

/// A client with a hand-played server.
struct Bench {
    client: Client,
    now: Instant,
    sent: List<(Instant, List<u8>, Ipv4Addr, Ipv4Addr)>,
    events: List<ClientEvent>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let client = Client::new(ClientConfig::new(mac()), Seed::from_number(seed));
        let mut bench = Self { client, now: Instant::from_secs(1), sent: vec![], events: vec![] };
        bench.input(Input::Link(true)).unwrap();
        bench
    }

    fn bound(seed: u64) -> Self {
        let mut bench = Self::new(seed);
        bench.wait(1.0);
        bench.answer(MessageType::Offer, &[]);
        bench.answer(MessageType::Ack, &[]);
        bench.wait(1.0);
        assert_eq!(*bench.client.state(), State::Bound);
        bench.sent.clear();
        bench.events.clear();
        bench
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Rejected> {
        let result = self.client.handle(self.now, input);
        self.drain();
        result
    }

    fn drain(&mut self) -> Option<Instant> {
        let mut out = [0; 576];
        loop {
            match self.client.poll(self.now, &mut out) {
                Output::Transmit { length, from, to } => {
                    self.sent.push((self.now, out[..length].to_vec(), from, to));
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(next) => return next,
            }
        }
    }

    fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_micros((seconds * 1e6) as u64);
        while let Some(next) = self.drain().filter(|next| *next <= end) {
            self.now = next.max(self.now);
        }
        self.now = end;
        self.drain();
    }

    /// A reply from the server with `extra` options in front of the usual ones.
    fn reply(&self, kind: MessageType, extra: &[(u8, &[u8])]) -> List<u8> {
        let header = Header {
            reply: true,
            transaction: self.client.transaction,
            seconds: 0,
            broadcast: false,
            client: Ipv4Addr::UNSPECIFIED,
            yours: OURS,
            relay: Ipv4Addr::UNSPECIFIED,
            mac: mac(),
        };
        let mut out = [0; 576];
        let mut writer = Writer::new(&mut out, 548, &header, kind).unwrap();
        let usual: [(u8, &[u8]); 4] = [
            (code::SERVER_ID, &SERVER.octets()),
            (code::LEASE_TIME, &8000u32.to_be_bytes()),
            (code::SUBNET_MASK, &[255, 255, 255, 0]),
            (code::ROUTER, &SERVER.octets()),
        ];
        for (code, value) in extra.iter().chain(&usual) {
            writer.option(*code, value);
        }
        let length = writer.finish();
        out[..length].to_vec()
    }

    fn answer(&mut self, kind: MessageType, extra: &[(u8, &[u8])]) {
        let bytes = self.reply(kind, extra);
        self.input(Input::Packet(&bytes)).unwrap();
    }

    fn last(&self) -> Message<'_> {
        Message::parse(&self.sent.last().unwrap().1).unwrap()
    }
}

#[test]
fn discovers_are_repeated_with_growing_pauses_rfc2131_4_1() {
    let mut bench = Bench::new(1);
    bench.wait(300.0);
    let pauses: List<u64> = bench.sent.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).collect();
    assert!(
        bench.sent[0].0 - Instant::from_secs(1) <= Duration::from_secs(1),
        "random start within a second"
    );
    for (pause, expected) in pauses.iter().zip([4_000, 8_000, 16_000, 32_000, 64_000, 64_000]) {
        assert!(pause.abs_diff(expected) <= 1_000, "{pauses:?}");
    }
    assert!(pauses.len() >= 6);
    assert!(pauses.iter().any(|pause| pause % 1_000 != 0), "not in step with the neighbours");
    let ids: List<u32> =
        bench.sent.iter().map(|sent| Message::parse(&sent.1).unwrap().header.transaction).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one transaction");
}

#[test]
fn a_discover_says_what_is_wanted() {
    let mut bench = Bench::new(2);
    bench.wait(1.0);
    let message = bench.last();
    assert_eq!(message.kind, MessageType::Discover);
    assert!(!message.header.broadcast);
    assert_eq!(message.option(code::CLIENT_ID), Some(&[1, 2, 0, 0, 0, 0, 1][..]));
    assert_eq!(message.option(code::PARAMETER_LIST), Some(&[1, 121, 3, 6, 15, 26, 28, 42, 51, 58, 59][..]));
    assert_eq!(message.option(code::HOST_NAME), Some(&b"dialtone"[..]));
    assert_eq!(message.option(code::VENDOR_CLASS), Some(&b"dialtone"[..]));
    let (_, _, from, to) = bench.sent.last().unwrap();
    assert_eq!((*from, *to), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
}

#[test]
fn the_request_names_server_and_address_and_no_ciaddr_rfc2131_4_3_2() {
    let mut bench = Bench::new(3);
    bench.wait(1.0);
    bench.answer(MessageType::Offer, &[]);
    let message = bench.last();
    assert_eq!(message.kind, MessageType::Request);
    assert_eq!(message.header.client, Ipv4Addr::UNSPECIFIED);
    assert_eq!(message.address(code::REQUESTED_ADDRESS), Some(OURS));
    assert_eq!(message.address(code::SERVER_ID), Some(SERVER));
}

#[test]
fn an_unanswered_request_leads_back_to_discover() {
    let mut bench = Bench::new(4);
    bench.wait(1.0);
    bench.answer(MessageType::Offer, &[]);
    bench.wait(70.0);
    let kinds: List<MessageType> =
        bench.sent.iter().map(|sent| Message::parse(&sent.1).unwrap().kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == MessageType::Request).count(), 4);
    assert_eq!(kinds.last(), Some(&MessageType::Discover));
}

#[test]
fn the_address_is_probed_before_it_is_used_rfc2131_4_4_1() {
    let mut bench = Bench::new(5);
    bench.wait(1.0);
    bench.answer(MessageType::Offer, &[]);
    bench.answer(MessageType::Ack, &[]);
    assert_eq!(bench.events, [ClientEvent::Probe { address: OURS }]);
    assert_eq!(bench.client.binding(), None);
    bench.wait(1.0);
    assert_eq!(bench.events.len(), 3, "two probes, then bound");
    assert!(matches!(&bench.events[2], ClientEvent::Bound { renewed: false, .. }));
}

#[test]
fn an_address_in_use_is_declined_and_ten_seconds_pass_rfc2131_3_1_5() {
    let mut bench = Bench::new(6);
    bench.wait(1.0);
    bench.answer(MessageType::Offer, &[]);
    bench.answer(MessageType::Ack, &[]);
    bench.sent.clear();
    bench.input(Input::ProbeAnswered { address: OURS, mac: MacAddress([2; 6]) }).unwrap();
    let decline = bench.last();
    assert_eq!(decline.kind, MessageType::Decline);
    assert_eq!(decline.address(code::REQUESTED_ADDRESS), Some(OURS));
    assert_eq!(decline.address(code::SERVER_ID), Some(SERVER));
    bench.wait(9.9);
    assert_eq!(bench.sent.len(), 1);
    bench.wait(0.2);
    assert_eq!(bench.last().kind, MessageType::Discover);
}

#[test]
fn renewing_is_unicast_at_t1_and_rebinding_is_broadcast_at_t2_rfc2131_4_4_5() {
    let mut bench = Bench::bound(7);
    bench.wait(4_100.0);
    let renew = bench.last();
    assert_eq!(*bench.client.state(), State::Renewing);
    assert_eq!((renew.kind, renew.header.client), (MessageType::Request, OURS));
    assert_eq!(renew.option(code::SERVER_ID), None);
    assert_eq!(renew.option(code::REQUESTED_ADDRESS), None);
    assert_eq!((bench.sent[0].2, bench.sent[0].3), (OURS, SERVER));
    bench.wait(3_000.0);
    assert_eq!(*bench.client.state(), State::Rebinding);
    assert_eq!(bench.last().header.client, OURS);
    assert_eq!((bench.sent.last().unwrap().2, bench.sent.last().unwrap().3), (OURS, Ipv4Addr::BROADCAST));
    let pauses: List<u64> = bench.sent.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect();
    assert_eq!(pauses[0], 1_500, "half of what is left to T2");
    bench.answer(MessageType::Ack, &[]);
    assert!(matches!(bench.events.last(), Some(ClientEvent::Bound { renewed: true, .. })));
    assert_eq!(*bench.client.state(), State::Bound);
}

#[test]
fn a_lease_nobody_renews_is_lost_when_it_ends() {
    let mut bench = Bench::bound(8);
    bench.wait(8_001.0);
    assert_eq!(bench.events, [ClientEvent::Lost(LostReason::Expired)]);
    assert_eq!(bench.last().kind, MessageType::Discover);
    assert!(bench.sent.len() < 40, "no storm before the end");
}

#[test]
fn a_nak_ends_the_lease_and_starts_over_rfc2131_4_4_5() {
    let mut bench = Bench::bound(9);
    bench.wait(4_100.0);
    bench.answer(MessageType::Nak, &[]);
    assert_eq!(bench.events, [ClientEvent::Lost(LostReason::Refused)]);
    assert_eq!(bench.last().kind, MessageType::Discover, "at once");
    // A server that offers and refuses is asked ever more slowly.
    bench.sent.clear();
    for _ in 0..20 {
        if matches!(bench.client.state(), State::Selecting(_)) {
            bench.answer(MessageType::Offer, &[]);
            bench.answer(MessageType::Nak, &[]);
        }
        bench.wait(5.0);
    }
    assert!(bench.sent.len() < 20, "{}", bench.sent.len());
}

#[test]
fn after_a_lost_link_the_old_address_is_asked_for_first_rfc2131_3_2() {
    let mut bench = Bench::bound(10);
    bench.input(Input::Link(false)).unwrap();
    assert_eq!(bench.events, [ClientEvent::Lost(LostReason::Link)]);
    bench.input(Input::Link(true)).unwrap();
    bench.wait(1.0);
    let request = bench.last();
    assert_eq!(request.kind, MessageType::Request);
    assert_eq!(request.address(code::REQUESTED_ADDRESS), Some(OURS));
    assert_eq!(request.option(code::SERVER_ID), None);
    assert_eq!(request.header.client, Ipv4Addr::UNSPECIFIED);
    bench.wait(20.0);
    assert_eq!(bench.last().kind, MessageType::Discover, "nobody knows it: any address will do");
}

#[test]
fn a_binding_from_before_a_restart_is_asked_for_first() {
    let binding = Bench::bound(11).client.binding().unwrap().clone();
    let mut client = Client::new(ClientConfig::new(mac()), Seed::from_number(11));
    client.remember(Instant::START, binding);
    let mut bench = Bench { client, now: Instant::from_secs(1), sent: vec![], events: vec![] };
    bench.input(Input::Link(true)).unwrap();
    bench.wait(1.0);
    assert_eq!(*bench.client.state(), State::Rebooting(1));
}

#[test]
#[allow(clippy::type_complexity)]
fn answers_that_are_not_ours_change_nothing() {
    let mut bench = Bench::new(12);
    bench.wait(1.0);
    let good = bench.reply(MessageType::Offer, &[]);
    let cases: &[(&str, Rejected, fn(&mut List<u8>))] = &[
        ("other transaction", Rejected::NotForUs, |bytes| bytes[4] ^= 1),
        ("other station", Rejected::NotForUs, |bytes| bytes[33] ^= 1),
        ("no address", Rejected::Unusable, |bytes| bytes[16..20].fill(0)),
        ("broadcast address", Rejected::Unusable, |bytes| bytes[19] = 255),
        ("multicast address", Rejected::Unusable, |bytes| bytes[16] = 224),
        ("mask with holes", Rejected::Unusable, |bytes| bytes[258] = 1),
        ("acknowledged unasked", Rejected::Unexpected, |bytes| bytes[242] = 5),
        ("refused unasked", Rejected::Unexpected, |bytes| bytes[242] = 6),
        ("cut", Rejected::Malformed, |bytes| bytes.truncate(200)),
    ];
    for (name, reason, spoil) in cases {
        let mut bytes = good.clone();
        spoil(&mut bytes);
        assert_eq!(bench.input(Input::Packet(&bytes)), Err(*reason), "{name}");
        assert_eq!(*bench.client.state(), State::Selecting(1), "{name}");
    }
    bench.input(Input::Packet(&good)).unwrap();
    let other = bench.reply(MessageType::Nak, &[(code::SERVER_ID, &[10, 0, 0, 2])]);
    assert_eq!(bench.input(Input::Packet(&other)), Err(Rejected::WrongServer));
}

#[test]
fn parameters_are_read_with_care() {
    let mut bench = Bench::new(13);
    bench.wait(1.0);
    bench.answer(MessageType::Offer, &[]);
    bench.answer(
        MessageType::Ack,
        &[
            (code::CLASSLESS_ROUTES, &[0, 10, 0, 0, 254]),
            (code::NAME_SERVERS, &[9, 9, 9, 9, 0, 0, 0, 0, 1, 1, 1, 1]),
            (code::MTU, &[0x05, 0xd4]),
            (code::TIME_SERVERS, &[10, 0, 0, 3]),
            (code::DOMAIN_NAME, b"isp.example."),
            (code::RENEWAL, &9000u32.to_be_bytes()),
            (code::REBINDING, &1u32.to_be_bytes()),
        ],
    );
    bench.wait(1.0);
    let binding = bench.client.binding().unwrap();
    assert_eq!(binding.gateway, Some(Ipv4Addr::new(10, 0, 0, 254)), "RFC 3442: option 3 does not count");
    assert_eq!(binding.name_servers, [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)]);
    assert_eq!(binding.mtu, Some(1492));
    assert_eq!(binding.time_servers, [Ipv4Addr::new(10, 0, 0, 3)]);
    assert_eq!(binding.domain.as_str(), "isp.example");
    assert!(0 < binding.renew && binding.renew <= binding.rebind && binding.rebind < binding.lease);
}

#[test]
fn an_infinite_lease_is_never_renewed() {
    let mut bench = Bench::new(14);
    bench.wait(1.0);
    let forever: [(u8, &[u8]); 1] = [(code::LEASE_TIME, &[0xff; 4])];
    bench.answer(MessageType::Offer, &forever);
    bench.answer(MessageType::Ack, &forever);
    bench.wait(1.0);
    assert_eq!(bench.client.lease_end(), None);
    bench.sent.clear();
    bench.wait(10_000_000.0);
    assert_eq!(*bench.client.state(), State::Bound);
    assert!(bench.sent.is_empty());
}

#[test]
fn release_tells_the_server_and_stays_quiet_rfc2131_4_4_6() {
    let mut bench = Bench::bound(15);
    bench.input(Input::Release).unwrap();
    let release = bench.last();
    assert_eq!((release.kind, release.header.client), (MessageType::Release, OURS));
    assert_eq!(release.address(code::SERVER_ID), Some(SERVER));
    assert_eq!(bench.sent[0].3, SERVER);
    bench.wait(10_000.0);
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(bench.events, [ClientEvent::Lost(LostReason::Released)]);
}
