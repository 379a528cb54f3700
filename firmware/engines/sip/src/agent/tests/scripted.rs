//! Our behaviour against messages written by hand: forks, redirections, refusals, and what we refuse.

extern crate std;
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use dialtone_base::Duration;
use dialtone_base::telephony::{CallId, Presentation};

use super::world::*;
use crate::interface::*;
use crate::message::{Message, Method, Name};

/// An agent whose server at .9 answers INVITEs as `script` says, and everything else with 200.
fn scripted(
    seed: u64,
    mut script: impl FnMut(
        &Message<'_>,
        usize,
    ) -> Vec<(u16, &'static str, Vec<(Name, &'static str)>, &'static [u8])>
    + 'static,
) -> World {
    let mut world = World::new(seed);
    let mut count = 0;
    world.servers.push((
        address(9),
        Box::new(move |_, from, message| match message.method() {
            Some(Method::Invite) => {
                count += 1;
                script(message, count)
                    .into_iter()
                    .map(|(status, tag, headers, body)| {
                        let bytes = reply(message, from, status, &headers, body);
                        let text = String::from_utf8(bytes).unwrap().replace("server-tag", tag);
                        (from, text.into_bytes())
                    })
                    .collect()
            }
            Some(Method::Ack) | None => vec![],
            Some(_) => vec![(from, reply(message, from, 200, &[], b""))],
        }),
    ));
    world.add(1, peer_config("100", 9));
    world.run_millis(50);
    world
}

const CONTACT: (Name, &str) = (Name::Contact, "<sip:200@192.0.2.9>");

fn last_end(world: &mut World) -> (Cause, u16) {
    match world.call_events(0).last() {
        Some(Event::Ended { cause, status, .. }) => (*cause, *status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_several_forks_that_answer_one_is_kept_and_the_others_hear_bye_rfc_3261_section_13_2_2_4() {
    let mut world = scripted(1, |_, _| {
        vec![
            (180, "a", vec![CONTACT], b""),
            (180, "b", vec![CONTACT], b""),
            (200, "b", vec![CONTACT], ANSWER),
            (200, "a", vec![CONTACT], b"v=0 of the loser"),
        ]
    });
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let answered: Vec<_> =
        world.call_events(0).into_iter().filter(|event| matches!(event, Event::Answered { .. })).collect();
    assert_eq!(answered, [Event::Answered { call: CallId(1), body: Some(sdp(ANSWER)), by: None }]);
    assert_eq!(world.count_sent(0, "ACK"), 2);
    assert!(world.last_sent(0, "BYE").contains("To: <sip:200@example.net>;tag=a\r\n"));
    assert_eq!(world.nodes[0].agent.calls(), 1);
}

#[test]
fn a_redirection_is_followed_but_not_for_ever_rfc_3261_section_8_1_3_4() {
    let mut world = scripted(2, |message, count| {
        if count == 1 {
            vec![(302, "x", vec![(Name::Contact, "<sip:201@elsewhere.example>")], b"")]
        } else {
            assert_eq!(message.request_uri().unwrap().as_str(), "sip:201@elsewhere.example");
            vec![(486, "y", vec![], b"")]
        }
    });
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    assert_eq!(last_end(&mut world), (Cause::Busy, 486));
    let targets = ["<sip:1@e.example>", "<sip:2@e.example>"];
    let mut world =
        scripted(3, move |_, count| vec![(302, "x", vec![(Name::Contact, targets[count % 2])], b"")]);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(900);
    assert_eq!(last_end(&mut world), (Cause::Moved, 302));
    assert_eq!(world.count_sent(0, "INVITE"), 6);
}

#[test]
fn a_challenged_call_answers_with_the_known_password_rfc_3261_section_22() {
    let mut world = scripted(4, |message, _| {
        if message.line(Name::ProxyAuthorization).is_none() {
            vec![(407, "x", vec![(Name::ProxyAuthenticate, CHALLENGE)], b"")]
        } else {
            vec![(200, "y", vec![CONTACT], ANSWER)]
        }
    });
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    assert!(matches!(world.call_events(0).last(), Some(Event::Answered { .. })));
    assert!(world.last_sent(0, "ACK").contains("Proxy-Authorization: Digest"));
    let mut world = scripted(5, |_, _| vec![(407, "x", vec![(Name::ProxyAuthenticate, CHALLENGE)], b"")]);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    assert_eq!(last_end(&mut world), (Cause::NotAuthorised, 407));
    assert_eq!(world.count_sent(0, "INVITE"), 2);
}

#[test]
fn a_session_too_short_for_a_proxy_is_made_longer_rfc_4028_section_7_3() {
    let mut world = scripted(6, |message, count| {
        if count == 1 {
            vec![(422, "x", vec![(Name::MinSe, "3600")], b"")]
        } else {
            assert_eq!(message.session_expires().unwrap().unwrap().seconds, 3600);
            vec![(200, "y", vec![CONTACT, (Name::SessionExpires, "3600;refresher=uac")], ANSWER)]
        }
    });
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    assert!(matches!(world.call_events(0).last(), Some(Event::Answered { .. })));
}

#[test]
fn a_peer_that_refuses_every_refresh_as_too_short_makes_no_storm_rfc_4028_section_7_3() {
    for least in ["90", "1800", "4294967295"] {
        let mut world = World::new(16);
        world.servers.push((
            address(9),
            Box::new(move |_, from, message| match message.method() {
                Some(Method::Invite) => {
                    let allowed = (Name::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE");
                    let timer = (Name::SessionExpires, "1800;refresher=uac");
                    vec![(from, reply(message, from, 200, &[CONTACT, allowed, timer], ANSWER))]
                }
                Some(Method::Update) => vec![(from, reply(message, from, 422, &[(Name::MinSe, least)], b""))],
                _ => vec![],
            }),
        ));
        world.add(1, peer_config("100", 9));
        world.run_millis(50);
        world.dial(0, 1, "200", Some(OFFER));
        world.run(Duration::from_secs(930));
        let asked = world.count_sent(0, "UPDATE");
        assert!((1..=20).contains(&asked), "Min-SE {least}: {asked} in half a minute");
    }
}

#[test]
fn reliable_answers_are_acknowledged_in_order_and_once_rfc_3262_section_4() {
    let rel = |rseq| vec![CONTACT, (Name::Require, "100rel"), (Name::RSeq, rseq)];
    let mut world = scripted(7, move |_, _| {
        vec![
            (183, "a", rel("10"), ANSWER),
            (183, "a", rel("10"), ANSWER),
            (180, "a", rel("12"), b""),
            (180, "a", rel("11"), b""),
            (200, "a", vec![CONTACT], b""),
        ]
    });
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    let pracks: Vec<String> = world.nodes[0]
        .sent
        .iter()
        .filter(|(_, _, text)| text.starts_with("PRACK"))
        .map(|(_, _, text)| text.split("RAck: ").nth(1).unwrap().split(' ').next().unwrap().to_string())
        .collect();
    assert_eq!(pracks, ["10", "11"]);
    let bodies = world.call_events(0).into_iter().filter(|event| {
        matches!(event, Event::Progress { body: Some(_), .. } | Event::Answered { body: Some(_), .. })
    });
    assert_eq!(bodies.count(), 1, "one answer");
}

#[test]
fn silence_ends_a_call_after_timer_b() {
    let mut world = scripted(8, |_, _| vec![]);
    world.dial(0, 1, "200", Some(OFFER));
    world.run(Duration::from_secs(33));
    assert_eq!(last_end(&mut world), (Cause::Unreachable, 408));
    assert_eq!(world.count_sent(0, "INVITE"), 7);
    world.assert_empty(0);
}

/// A request from the server, as text; `{}` in it are the headers and body.
fn request(method: &str, uri: &str, call_id: &str, headers: &str, body: &str) -> Vec<u8> {
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{call_id}{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Eve\" <sip:200@example.net>;tag=far\r\nTo: <{uri}>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:200@192.0.2.9>\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

const SDP: &str = "Content-Type: application/sdp\r\n";

fn answered(world: &mut World, bytes: Vec<u8>) -> String {
    world.nodes[0].sent.clear();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let call_id = text.lines().find(|line| line.starts_with("Call-ID:")).unwrap();
    world.send(address(9), address(1), bytes, false);
    world.run_millis(250);
    let found = world.nodes[0].sent.iter().find(|(_, _, text)| text.lines().any(|line| line == call_id));
    found.map(|(_, _, text)| text.clone()).unwrap_or_default()
}

#[test]
fn what_we_cannot_do_is_refused_as_rfc_3261_section_8_2_says() {
    let mut world = scripted(9, |_, _| vec![]);
    let invite = |id, headers: &str, body| request("INVITE", "sip:100@192.0.2.1", id, headers, body);
    let text = answered(&mut world, invite("a", &format!("Require: magic, 100rel\r\n{SDP}"), "v=0"));
    assert!(text.starts_with("SIP/2.0 420") && text.contains("Unsupported: magic\r\n"), "{text}");
    let text = answered(&mut world, invite("b", "Content-Type: text/plain\r\n", "hello"));
    assert!(text.starts_with("SIP/2.0 415") && text.contains("Accept: application/sdp"), "{text}");
    let text = answered(&mut world, invite("c", &format!("Content-Encoding: gzip\r\n{SDP}"), "v=0"));
    assert!(text.starts_with("SIP/2.0 415"), "{text}");
    let headers = format!("Supported: timer\r\nSession-Expires: 30\r\n{SDP}");
    let text = answered(&mut world, invite("d", &headers, "v=0"));
    assert!(text.starts_with("SIP/2.0 422") && text.contains("Min-SE: 90"), "{text}");
    let headers = format!("Replaces: nobody;to-tag=1;from-tag=2\r\n{SDP}");
    let text = answered(&mut world, invite("e", &headers, "v=0"));
    assert!(text.starts_with("SIP/2.0 481"), "{text}");
    let text = answered(&mut world, request("INVITE", "sip:nobody@192.0.2.1", "f", SDP, "v=0"));
    assert!(text.starts_with("SIP/2.0 404"), "{text}");
    let text = answered(&mut world, request("MESSAGE", "sip:100@192.0.2.1", "g", "", ""));
    assert!(text.starts_with("SIP/2.0 405") && text.contains("Allow: INVITE"), "{text}");
    let text = answered(&mut world, request("DANCE", "sip:100@192.0.2.1", "h", "", ""));
    assert!(text.starts_with("SIP/2.0 501"), "{text}");
    let text = answered(&mut world, request("BYE", "sip:100@192.0.2.1", "i", "", ""));
    assert!(text.starts_with("SIP/2.0 481"), "{text}");
    let text = answered(&mut world, request("OPTIONS", "sip:100@192.0.2.1", "j", "", ""));
    assert!(text.starts_with("SIP/2.0 200") && text.contains("Accept: application/sdp"), "{text}");
    assert_eq!(world.call_events(0), []);
    world.assert_empty(0);
}

#[test]
fn who_calls_is_what_the_network_asserts_rfc_3325() {
    let mut world = scripted(10, |_, _| vec![]);
    let party = |world: &mut World, id: &str, headers: &str| {
        let headers = format!("{headers}{SDP}");
        answered(world, request("INVITE", "sip:100@192.0.2.1", id, &headers, "v=0"));
        let events = world.call_events(0);
        let Some(Event::Incoming { from, alert, call, .. }) = events.last() else { panic!("{events:?}") };
        let found = (from.number.to_string(), from.name.to_string(), from.presentation, alert.to_string());
        world.order(0, call.0, Order::HangUp).unwrap();
        world.run_millis(100);
        found
    };
    let shown = Presentation::Allowed;
    assert_eq!(party(&mut world, "a", ""), ("200".into(), "Eve".into(), shown, "".into()));
    let found =
        party(&mut world, "b", "P-Asserted-Identity: \"Ada\\\" \x07L\" <sip:+4930123456@example.net>\r\n");
    assert_eq!(found, ("+4930123456".into(), "Ada\" L".into(), shown, "".into()));
    let found = party(&mut world, "c", "P-Asserted-Identity: <tel:+49-30-1>\r\nPrivacy: id\r\n");
    assert_eq!((found.0.as_str(), found.2), ("", Presentation::Withheld));
    let found =
        party(&mut world, "d", "Alert-Info: <http://ring.example/Bellcore-dr3>\r\nDiversion: <sip:9@x>\r\n");
    assert_eq!(found.3, "Bellcore-dr3");
    let found = party(
        &mut world,
        "e",
        "Alert-Info: <urn:x>;info=alert-internal\r\nHistory-Info: <sip:9@x>;index=1\r\n",
    );
    assert_eq!(found.3, "alert-internal");
}

#[test]
fn a_call_taken_elsewhere_is_not_a_missed_one_rfc_3326() {
    let mut world = scripted(11, |_, _| vec![]);
    answered(&mut world, request("INVITE", "sip:100@192.0.2.1", "a", SDP, "v=0"));
    let cancel =
        String::from_utf8(request("CANCEL", "sip:100@192.0.2.1", "a", "Reason: SIP;cause=200\r\n", ""))
            .unwrap()
            .replace("aCANCEL", "aINVITE");
    answered(&mut world, cancel.into_bytes());
    assert_eq!(last_end(&mut world), (Cause::AnsweredElsewhere, 487));
    assert!(world.last_sent(0, "SIP/2.0 487").contains("CSeq: 1 INVITE"));
}

#[test]
fn a_call_over_tcp_keeps_to_its_connection() {
    let mut world = World::new(12);
    world.servers.push((
        address(9),
        Box::new(|_, from, message| match message.method() {
            Some(Method::Invite) => {
                let headers = [(Name::Contact, "<sip:200@192.0.2.9;transport=tcp>")];
                vec![
                    (from, reply(message, from, 180, &headers, b"")),
                    (from, reply(message, from, 200, &headers, ANSWER)),
                ]
            }
            Some(Method::Ack) | None => vec![],
            Some(_) => vec![(from, reply(message, from, 200, &[], b""))],
        }),
    ));
    let mut config = peer_config("100", 9);
    config.accounts[0].server.as_mut().unwrap().transport = crate::TransportChoice::Tcp;
    world.add(1, config);
    world.run_millis(50);
    world.dial(0, 1, "200", Some(OFFER));
    world.run_millis(300);
    assert_eq!(
        world.call_events(0).last(),
        Some(&Event::Answered { call: CallId(1), body: Some(sdp(ANSWER)), by: None })
    );
    world.order(0, 1, Order::Offer(sdp(SECOND_OFFER))).unwrap();
    world.run_millis(300);
    assert_eq!(world.call_events(0), [Event::OfferAnswered { call: CallId(1), body: sdp(ANSWER) }]);
    world.order(0, 1, Order::HangUp).unwrap();
    world.run_millis(300);
    assert_eq!(
        (world.count_sent(0, "INVITE"), world.count_sent(0, "ACK"), world.count_sent(0, "BYE")),
        (2, 2, 1)
    );
    assert!(world.nodes[0].sent.iter().all(|(_, _, text)| text.contains("Via: SIP/2.0/TCP")));
    world.assert_empty(0);
}
