//! Requests too long for a datagram: how short ours are, and how long ones travel (RFC 3261 section 18.1.1).

extern crate std;
use core::cell::RefCell;
use std::boxed::Box;
use std::rc::Rc;
use std::string::String;
use std::vec;
use std::vec::Vec;

use dialtone_base::telephony::CallId;
use dialtone_base::{Duration, Instant};

use super::world::*;
use crate::interface::*;
use crate::message::{Method, Name};
use crate::{Config, TransportChoice};

/// What `engines/media` offers: four codecs, comfort noise, keys at two clocks.
const REAL_OFFER: &[u8] =
    b"v=0\r\no=- 2147483647 1023 IN IP4 203.0.113.177\r\ns=-\r\nc=IN IP4 203.0.113.177\r\nt=0 0\r\n\
m=audio 40000 RTP/AVP 107 9 8 0 13 101 102\r\na=rtpmap:107 opus/48000/2\r\n\
a=fmtp:107 maxplaybackrate=16000;useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-15\r\na=rtpmap:102 telephone-event/48000\r\na=maxptime:60\r\na=rtcp-mux\r\n";
/// More than fits.
const LONG_OFFER: &[u8] = &[b'x'; 1000];

/// What an operator's proxy asks: a long nonce, and opaque.
const LONG_CHALLENGE: &str = "Digest realm=\"voip.example-operator.net\", nonce=\"Y2hhbGxlbmdlLW9mLXRoaXJ0eS10d28tYnl0ZXM=\", \
    opaque=\"0123456789abcdef0123456789abcdef\", qop=\"auth\", algorithm=MD5";

/// A server that challenges an INVITE and takes it the second time; what came, and over what.
fn add_server(world: &mut World) -> Rc<RefCell<Vec<String>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let shared = seen.clone();
    world.servers.push((
        address(9),
        Box::new(move |_, from, message| {
            let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
            shared.borrow_mut().push(text);
            match message.method() {
                Some(Method::Invite) if message.line(Name::ProxyAuthorization).is_none() => {
                    vec![(from, reply(message, from, 407, &[(Name::ProxyAuthenticate, LONG_CHALLENGE)], b""))]
                }
                Some(Method::Invite) => {
                    let headers = [
                        (Name::Contact, "<sip:200@192.0.2.9>"),
                        (Name::RecordRoute, "<sip:192.0.2.9;transport=tcp;lr>"),
                    ];
                    vec![(from, reply(message, from, 200, &headers, ANSWER))]
                }
                Some(Method::Ack) | None => vec![],
                Some(_) => vec![(from, reply(message, from, 200, &[], b""))],
            }
        }),
    ));
    seen
}

fn operator_config() -> Config {
    let mut config = peer_config("+4930123456789", 9);
    let account = &mut config.accounts[0];
    account.domain = "voip.example-operator.net".into();
    account.display_name = "Familie Mustermann".into();
    account.password = crate::Password::new("secret");
    config
}

fn invites(world: &World) -> Vec<(Instant, String)> {
    let sent = world.nodes[0].sent.iter();
    sent.filter(|(_, _, text)| text.starts_with("INVITE")).map(|(at, _, text)| (*at, text.clone())).collect()
}

fn is_tcp(text: &str) -> bool {
    text.contains("Via: SIP/2.0/TCP ")
}

fn is_answered(world: &mut World) -> bool {
    world.call_events(0).iter().any(|event| matches!(event, Event::Answered { .. }))
}

#[test]
fn an_authenticated_invite_with_four_codecs_fits_a_datagram() {
    let mut world = World::new(1);
    add_server(&mut world);
    world.add(1, operator_config());
    world.run_millis(50);
    world.dial(0, 1, "+4989987654321", Some(REAL_OFFER));
    world.run_millis(200);
    assert!(is_answered(&mut world));
    let sent = invites(&world);
    assert_eq!(sent.len(), 2);
    let length = sent[1].1.len();
    // A WAN address may be six bytes longer, in Via and in Contact.
    assert!(length + 12 <= 1300 && !is_tcp(&sent[1].1), "{length} bytes: {}", sent[1].1);
    std::eprintln!("an authenticated INVITE: {length} bytes");
}

#[test]
fn a_long_request_goes_over_tcp_and_the_call_stays_with_datagrams_rfc_3261_section_18_1_1() {
    let mut world = World::new(2);
    let seen = add_server(&mut world);
    world.add(1, operator_config());
    world.run_millis(50);
    world.dial(0, 1, "200", Some(LONG_OFFER));
    world.run_millis(300);
    assert!(is_answered(&mut world));
    let sent = invites(&world);
    assert_eq!(sent.len(), 2);
    for (_, text) in &sent {
        assert!(is_tcp(text) && text.contains("Contact: <sip:+4930123456789@192.0.2.1:5060>\r\n"), "{text}");
    }
    assert!(!is_tcp(&world.last_sent(0, "ACK")));
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(300);
    assert!(!is_tcp(&world.last_sent(0, "BYE")));
    assert!(seen.borrow().iter().any(|text| text.starts_with("BYE")));
    // Nobody needs the connection any more.
    world.run(Duration::from_secs(60));
    assert!(world.nodes[0].connections.is_empty());
    world.assert_empty(0);
}

#[test]
fn where_tcp_is_refused_the_call_goes_by_datagram_at_once_and_the_next_ones_too() {
    let mut world = World::new(3);
    add_server(&mut world);
    world.refuses_streams = true;
    world.add(1, operator_config());
    world.run_millis(50);
    for call in [1, 3, 5] {
        world.dial(0, call, "200", Some(LONG_OFFER));
        world.run_millis(50);
        assert!(is_answered(&mut world), "call {call}");
    }
    assert!(invites(&world).iter().all(|(_, text)| !is_tcp(text)));
    assert_eq!(world.asked_for_streams, 1);
    world.run(Duration::from_secs(901));
    world.dial(0, 7, "200", Some(LONG_OFFER));
    world.run_millis(50);
    assert_eq!(world.asked_for_streams, 2, "a server learns");
}

#[test]
fn where_tcp_is_met_with_silence_one_call_waits_less_than_a_second_and_the_next_not_at_all() {
    let mut world = World::new(4);
    add_server(&mut world);
    world.swallows_streams = true;
    world.add(1, operator_config());
    world.run_millis(50);
    let dialled = world.now;
    world.dial(0, 1, "200", Some(LONG_OFFER));
    world.run(Duration::from_secs(2));
    assert!(is_answered(&mut world));
    let first = invites(&world)[0].clone();
    assert!(!is_tcp(&first.1) && first.0 <= dialled + Duration::from_millis(700));
    let dialled = world.now;
    world.dial(0, 3, "200", Some(LONG_OFFER));
    world.run_millis(100);
    assert!(is_answered(&mut world));
    assert!(invites(&world).iter().any(|(at, _)| *at == dialled));
    assert!(world.nodes[0].connections.is_empty(), "the attempt is taken back");
}

#[test]
fn a_call_given_up_while_its_connection_is_made_never_goes_out() {
    let mut world = World::new(5);
    add_server(&mut world);
    world.swallows_streams = true;
    world.add(1, operator_config());
    world.run_millis(50);
    world.dial(0, 1, "200", Some(LONG_OFFER));
    world.run_millis(100);
    world.order(0, 1, Order::HangUp).unwrap();
    world.run(Duration::from_secs(5));
    assert_eq!(invites(&world), []);
    world.assert_empty(0);
}

#[test]
fn a_connection_that_breaks_before_an_answer_sends_the_call_by_datagram() {
    let mut world = World::new(6);
    add_server(&mut world);
    world.swallows_stream_bytes = true;
    world.add(1, operator_config());
    world.run_millis(50);
    world.dial(0, 1, "200", Some(LONG_OFFER));
    world.run_millis(100);
    assert!(is_tcp(&invites(&world)[0].1));
    let (connection, _) = world.nodes[0].connections.remove(0);
    world.input(0, Input::Closed { connection }).unwrap();
    world.run_millis(200);
    assert!(is_answered(&mut world));
    assert!(!is_tcp(&invites(&world).last().unwrap().1));
}

#[test]
fn an_account_told_to_use_udp_stays_with_it() {
    let mut world = World::new(7);
    add_server(&mut world);
    let mut config = operator_config();
    config.accounts[0].server.as_mut().unwrap().transport = TransportChoice::Udp;
    world.add(1, config);
    world.run_millis(50);
    world.dial(0, 1, "200", Some(LONG_OFFER));
    world.run_millis(200);
    assert!(is_answered(&mut world));
    assert_eq!(world.asked_for_streams, 0);
    assert!(invites(&world).iter().all(|(_, text)| !is_tcp(text)));
}

#[test]
fn a_long_offer_inside_of_a_call_goes_over_tcp_too() {
    let mut world = World::new(8);
    add_server(&mut world);
    world.add(1, operator_config());
    world.run_millis(50);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(200);
    assert!(is_answered(&mut world) && !is_tcp(&invites(&world)[1].1));
    world.order(0, 1, Order::Offer(sdp(LONG_OFFER))).unwrap();
    world.run_millis(200);
    assert!(is_tcp(&invites(&world).last().unwrap().1));
    let events = world.call_events(0);
    assert!(events.contains(&Event::OfferAnswered { call: CallId(1), body: sdp(ANSWER) }), "{events:?}");
}
