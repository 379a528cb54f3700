//! Reading and writing, promise by promise; every torture message by name.

extern crate std;

mod oracle;
pub(crate) mod torture;

use core::net::{Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::uri::Host;
use crate::write::{Named, Quoted, UserPart, WriteError, Writer};
use torture::{Case, Expected};

fn cases() -> BTreeMap<&'static str, Case> {
    torture::all().into_iter().map(|case| (case.id, case)).collect()
}

fn sound<'a>(cases: &'a BTreeMap<&'static str, Case>, id: &str) -> Message<'a> {
    match Message::parse(&cases[id].bytes) {
        Received::Message(message) => message,
        other => panic!("{id}: {other:?}"),
    }
}

fn parsed(bytes: &[u8]) -> Message<'_> {
    match Message::parse(bytes) {
        Received::Message(message) => message,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn every_message_of_rfc_4475_and_5118_is_taken_as_they_say() {
    assert_eq!(torture::rfc4475().len(), 49, "RFC 4475 has 49 messages");
    assert_eq!(torture::rfc5118().len(), 12, "RFC 5118 has twelve, in ten sections");
    for case in torture::all() {
        let found = match Message::parse(&case.bytes) {
            Received::Message(_) => Expected::Sound,
            Received::Reject(_, fault) => Expected::Answer(fault.answer().0),
            Received::Drop(_) => Expected::Dropped,
            Received::KeepAlive => panic!("{} is no keep-alive", case.id),
        };
        assert_eq!(found, case.expected, "{}: {:?}", case.id, Message::parse(&case.bytes));
    }
}

/// RFC 4475 section 3.1.1.1.
#[test]
fn wsinv_means_what_it_says() {
    let cases = cases();
    let message = sound(&cases, "wsinv");
    assert_eq!(message.method(), Some(Method::Invite));
    assert!(message.request_uri().unwrap().parameter("unknownparam").is_some());
    assert_eq!(message.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(message.from().unwrap().display().as_str(), "J Rosenberg \\\"");
    assert_eq!(message.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!(message.cseq().unwrap(), CSeq { number: 9, method: Method::Invite });
    let vias: Vec<_> = message.values(Name::Via).map(|via| Via::parse(via).unwrap()).collect();
    assert_eq!(vias.len(), 3);
    assert_eq!((vias[0].transport, vias[0].unique_branch()), ("UDP", None));
    assert_eq!((vias[1].transport, vias[1].branch()), ("TCP", Some("z9hG4bK9ikj8")));
    assert_eq!((vias[2].transport, vias[2].branch()), ("UDP", Some("z9hG4bK30239")));
    assert_eq!(message.other("unknownheaderwithunusualvalue"), Some(&b";;,,;;,;"[..]));
    assert_eq!(message.line(Name::Subject), Some(&b""[..]));
    let contact = message.contact().unwrap();
    assert_eq!(contact.display().as_str(), "Quoted string \"\"");
    assert_eq!(contact.parameters.text("NEWPARAM"), Some("newvalue"));
    assert_eq!(contact.parameters.text("q"), Some("0.33"));
    assert!(contact.parameters.has("secondparam"));
    assert!(message.addresses(Name::Route).next().unwrap().uri.is_loose_route());
    assert!(message.body().starts_with(b"v=0\r\n"));
}

/// RFC 4475 sections 3.1.1.2 to 3.1.1.13.
#[test]
fn valid_messages_mean_what_they_say() {
    let cases = cases();
    let unusual = sound(&cases, "intmeth");
    assert_eq!(unusual.method(), Some(Method::Other("!interesting-Method0123456789_*+`.%indeed'~")));
    assert_eq!(
        unusual.request_uri().unwrap().user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(unusual.request_uri().unwrap().host(), Some(Host::Name("example.com")));
    assert_eq!(unusual.to().unwrap().display().as_str(), "BEL: NUL: DEL:", "controls are not shown");
    assert_eq!(unusual.from().unwrap().tag(), Some("_token~1'+`*%!-."));

    let escaped = sound(&cases, "esc01");
    assert_eq!(escaped.request_uri().unwrap().user_text::<64>().as_str(), "sips:user@example.com");
    assert_eq!(escaped.to().unwrap().uri.user_text::<64>().as_str(), "user");
    let contact = escaped.contact().unwrap().uri;
    assert!(contact.is_loose_route(), "%6C%72 is lr");
    let name: Vec<u8> = crate::uri::unescaped(contact.parameter("name").unwrap()).collect();
    assert_eq!(name, b"value%41", "unescaped once");

    let nulls = sound(&cases, "escnull");
    let users: Vec<usize> = nulls
        .addresses(Name::Contact)
        .map(|c| crate::uri::unescaped(c.uri.user().unwrap()).count())
        .collect();
    assert_eq!(users, [1, 2], "two contacts that differ");

    let no_escapes = sound(&cases, "esc02");
    assert_eq!(no_escapes.method(), Some(Method::Other("RE%47IST%45R")), "no REGISTER");
    assert_eq!(no_escapes.contacts().count(), 2, "C%6Fntact is no Contact");
    assert_eq!(no_escapes.to().unwrap().display().as_str(), "%Z%45");

    assert_eq!(sound(&cases, "lwsdisp").from().unwrap().display().as_str(), "caller");
    assert_eq!(sound(&cases, "longreq").via_count(), 34);
    assert_eq!(sound(&cases, "dblreq").body(), b"", "what follows is no part of the first request");
    let semicolon = sound(&cases, "semiuri").request_uri().unwrap();
    assert_eq!(semicolon.user(), Some("user;par=u%40example.net"));
    assert_eq!(sound(&cases, "transports").via_count(), 5);
    assert!(sound(&cases, "mpart01").body().ends_with(b"\x00\x00\xff\x2a\x86\x48"));
    assert_eq!(sound(&cases, "noreason").status().map(Status::code), Some(100));
    assert_eq!(sound(&cases, "unreason").status().map(Status::code), Some(200));
}

/// RFC 4475 sections 3.2 to 3.4.
#[test]
fn messages_for_applications_mean_what_they_say() {
    let cases = cases();
    assert_eq!(sound(&cases, "badbranch").top_via().unwrap().unique_branch(), None);
    let required: Vec<&str> = sound(&cases, "bext01").tokens(Name::Require).collect();
    assert_eq!(required, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(sound(&cases, "invut").content_type().map(|kind| kind.sub), Some("unknownformat"));
    assert_eq!(sound(&cases, "zeromf").max_forwards(), Some(0));
    let outside = sound(&cases, "cparam01").contact().unwrap();
    assert!(outside.parameters.has("unknownparam") && outside.uri.parameter("unknownparam").is_none());
    let inside = sound(&cases, "cparam02").contact().unwrap();
    assert!(!inside.parameters.has("unknownparam") && inside.uri.parameter("unknownparam").is_some());
    assert_eq!(inside.uri.number().as_deref(), Some("+19725552222"));
    let mut headers = sound(&cases, "regescrt").contact().unwrap().uri.headers();
    assert_eq!(headers.next(), Some(("Route", "%3Csip:sip.example.com%3E")));
    let old = sound(&cases, "inv2543");
    assert_eq!((old.from().unwrap().tag(), old.top_via().unwrap().branch()), (None, None));
    assert!(old.body().starts_with(b"v=0"), "without a length, all of the datagram");
}

/// RFC 5118.
#[test]
fn ipv6_references_are_read_as_addresses() {
    let cases = cases();
    let address = |text: &str| Some(Host::V6(text.parse::<Ipv6Addr>().unwrap()));
    let uri = |id| sound(&cases, id).request_uri().unwrap();
    assert_eq!(
        (uri("port-ambiguous").host(), uri("port-ambiguous").port()),
        (address("2001:db8::10:5070"), None)
    );
    assert_eq!(
        (uri("port-unambiguous").host(), uri("port-unambiguous").port()),
        (address("2001:db8::10"), Some(5070))
    );
    for id in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(sound(&cases, id).top_via().unwrap().received(), "2001:db8::9:255".parse().ok(), "{id}");
    }
    for id in ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"] {
        assert_eq!(uri(id).host(), address("2001:db8::192.0.2.1"), "{id}");
    }
    let last = sound(&cases, "mult-ip-in-header").values(Name::Via).last().and_then(Via::parse).unwrap();
    assert_eq!(last.received(), "192.0.2.200".parse().ok());
    let mapped = sound(&cases, "ipv4-mapped-ipv6").top_via().unwrap();
    assert_eq!((Some(mapped.host), mapped.port), (address("::ffff:192.0.2.10"), Some(19823)));
}

const HEAD: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x@y\r\nCSeq: 7 INVITE\r\n";

#[test]
fn limits_and_line_ends_are_kept() {
    let with = |lines: &str| format!("INVITE sip:c@d SIP/2.0\r\n{HEAD}{lines}\r\n");
    let fault = |text: &str| match Message::parse(text.as_bytes()) {
        Received::Reject(_, fault) | Received::Drop(fault) => Some(fault),
        _ => None,
    };
    assert_eq!(fault(&with("")), None);
    assert_eq!(fault(&with(&"Fill: 1\r\n".repeat(MOST_HEADERS - 5))), None);
    assert_eq!(fault(&with(&"Fill: 1\r\n".repeat(MOST_HEADERS - 4))), Some(Fault::TooManyHeaders));
    assert_eq!(fault(&with("Fill: a\nInjected: b\r\n")), Some(Fault::StrayLineEnd));
    assert_eq!(fault(&with("Fill: a\rb\r\n")), Some(Fault::StrayLineEnd));
    assert_eq!(fault(&with("No colon\r\n")), Some(Fault::BadHeaderLine));
    assert_eq!(fault(&with(": nameless\r\n")), Some(Fault::BadHeaderLine));
    assert_eq!(fault(&with("Max-Forwards: 256\r\n")), Some(Fault::BadMaxForwards));
    assert_eq!(fault(&with("CSeq: 8 INVITE\r\n")), Some(Fault::DoubledHeader));
    assert_eq!(fault(&with("Route: nonsense\r\n")), Some(Fault::BadRoute));
    assert_eq!(fault(&with("Content-Length: 1\r\n")), Some(Fault::ShortBody));
    assert_eq!(fault("INVITE sip:c@d SIP/2.0\r\nVia: x"), Some(Fault::Truncated));
    assert_eq!(fault("INVITE sip:c@d SIP/2.0"), Some(Fault::Truncated));
    assert_eq!(fault("GET / HTTP/1.1\r\n\r\n"), Some(Fault::BadStartLine));
    assert_eq!(fault(&with(&"x".repeat(70_000))), Some(Fault::TooLong));
    assert_eq!(fault(&format!("\r\n\r\n{}", with(""))), None, "line ends before the start line do no harm");
    for silence in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0\0\0\0"] {
        assert!(matches!(Message::parse(silence), Received::KeepAlive));
    }
    // Neither an ACK nor a response is ever answered, however wrong.
    for text in [
        with("Max-Forwards: x\r\n").replace("INVITE", "ACK"),
        format!("SIP/2.0 200 OK\r\n{HEAD}Contact: ;;\r\n\r\n"),
    ] {
        assert!(matches!(Message::parse(text.as_bytes()), Received::Drop(_)), "{text}");
    }
}

#[test]
fn special_headers_are_read() {
    let text = format!(
        "INVITE sip:c@d SIP/2.0\r\n{HEAD}RAck: 776656 1 INVITE\r\nx: 1800;refresher=UAS\r\nMin-SE: 90\r\nExpires: 99999999999999\r\nRetry-After: 120 (I am in a meeting) ;duration=3600\r\n\
         Reason: SIP ;cause=200 ;text=\"Call completed elsewhere\", Q.850;cause=16\r\nEvent: refer;id=93809823\r\nSubscription-State: terminated;reason=noresource;retry-after=5\r\n\
         Replaces: 425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only\r\nr: <sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345>\r\n\
         Privacy: id;critical\r\nAlert-Info: <http://www.example.com/sounds/moo.wav>;info=alert-external\r\nP-Asserted-Identity: \"Cullen\" <sip:fluffy@cisco.com>, tel:+14085264000\r\n\
         Supported: 100rel, TIMER ,replaces\r\nMin-Expires: 60\r\nRSeq: 5\r\n\r\n"
    );
    let message = parsed(text.as_bytes());
    let rack = message.rack().unwrap().unwrap();
    assert_eq!((rack.response, rack.cseq.number, rack.cseq.method), (776_656, 1, Method::Invite));
    let timer = message.session_expires().unwrap().unwrap();
    assert_eq!(timer, SessionExpires { seconds: 1800, refresher: Some(Refresher::Uas) });
    assert_eq!(
        (message.min_se(), message.expires(), message.min_expires(), message.rseq()),
        (Some(90), Some(u32::MAX), Some(60), Some(5))
    );
    assert_eq!(message.retry_after(), Some(RetryAfter { seconds: 120, duration: Some(3600) }));
    let reasons: Vec<_> = message.reasons().map(|reason| (reason.protocol, reason.cause)).collect();
    assert_eq!(reasons, [("SIP", Some(200)), ("Q.850", Some(16))]);
    assert_eq!(message.event().unwrap(), Some(EventPackage { package: "refer", id: Some("93809823") }));
    let state = message.subscription_state().unwrap().unwrap();
    assert_eq!((state.state, state.reason, state.retry_after), ("terminated", Some("noresource"), Some(5)));
    let replaces = message.replaces().unwrap().unwrap();
    assert_eq!(
        replaces,
        Replaces {
            call_id: "425928@bobster.example.org",
            to_tag: "7743",
            from_tag: "6472",
            early_only: true
        }
    );
    let target = message.refer_to().unwrap().unwrap();
    let (name, value) = target.uri.headers().next().unwrap();
    let plain: Vec<u8> = crate::uri::unescaped(value).collect();
    assert_eq!((name, plain.as_slice()), ("Replaces", &b"12345@192.168.118.3;to-tag=12345"[..]));
    assert!(message.privacy().withholds());
    let (alert, parameters) = message.alert_info().unwrap();
    assert_eq!(
        (alert, parameters.text("info")),
        (&b"http://www.example.com/sounds/moo.wav"[..], Some("alert-external"))
    );
    let asserted: Vec<_> = message
        .addresses(Name::PAssertedIdentity)
        .map(|who| (who.display().to_string(), who.uri.number()))
        .collect();
    assert_eq!(asserted[0].0, "Cullen");
    assert_eq!(asserted[1].1.as_deref(), Some("+14085264000"));
    assert!(message.has_token(Name::Supported, "timer") && !message.has_token(Name::Supported, "path"));
    assert_eq!(message.dialog_id(), Some(("x@y", "1", "2")));
}

#[test]
fn nonsense_in_special_headers_is_a_fault_and_not_a_panic() {
    let text = format!(
        "INVITE sip:c@d SIP/2.0\r\n{HEAD}RAck: 1\r\nx: ;refresher\r\nEvent: ;\r\nReplaces: a\r\nr: \"\r\nRetry-After: soon\r\n\r\n"
    );
    let message = parsed(text.as_bytes());
    assert_eq!(message.rack(), Err(Fault::BadHeader));
    assert_eq!(message.session_expires(), Err(Fault::BadHeader));
    assert_eq!(message.event(), Err(Fault::BadHeader));
    assert_eq!(message.replaces(), Err(Fault::BadHeader));
    assert_eq!(message.refer_to(), Err(Fault::BadHeader));
    assert_eq!((message.retry_after(), message.subscription_state()), (None, Ok(None)));
}

/// RFC 3261 section 8.2.6.2, RFC 3581 section 4.
#[test]
fn a_response_goes_back_with_what_the_request_brought() {
    let request = "INVITE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1:4540;rport;received=1.2.3.4;branch=z9hG4bKkjshdyff, SIP/2.0/TCP p2;branch=z9hG4bK2\r\nv: SIP/2.0/UDP p3\r\n\
                   From: \"A\r\n B\" <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x@y\r\nCSeq: 7 INVITE\r\n\r\n";
    let message = parsed(request.as_bytes());
    let remote: SocketAddr = "192.0.2.1:9988".parse().unwrap();
    let mut out = [0; 600];
    let mut writer = Writer::response(&mut out, &message, remote, Status::new(180).unwrap(), "", Some("abc"));
    let length =
        writer.header(Name::Contact, Named { display: "", uri: "sip:me@192.0.2.9" }).finish().unwrap();
    assert_eq!(
        core::str::from_utf8(&out[..length]).unwrap(),
        "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988\r\nVia: SIP/2.0/TCP p2;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP p3\r\n\
         From: \"A B\" <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=abc\r\nCall-ID: x@y\r\nCSeq: 7 INVITE\r\nContact: <sip:me@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"
    );
    let response = parsed(&out[..length]);
    assert_eq!(response.top_via().unwrap().seen_as(), Some(remote));
    for short in 0..length {
        let mut out = std::vec![0; short];
        let mut writer =
            Writer::response(&mut out, &message, remote, Status::new(180).unwrap(), "", Some("abc"));
        let result = writer.header(Name::Contact, Named { display: "", uri: "sip:me@192.0.2.9" }).finish();
        assert_eq!(result, Err(WriteError::Full), "{short} bytes");
    }
}

#[test]
fn data_cannot_end_a_line() {
    for evil in ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "a\u{7f}b"] {
        let mut out = [0; 300];
        let mut writer = Writer::request(&mut out, Method::Options, "sip:a@b");
        assert_eq!(writer.header(Name::Subject, evil).finish(), Err(WriteError::Control), "{evil:?}");
        let mut out = [0; 300];
        let mut writer = Writer::request(&mut out, Method::Options, evil);
        assert_eq!(writer.finish(), Err(WriteError::Control), "{evil:?}");
        // Quoted and escaped, it is only text.
        let mut out = [0; 300];
        let mut writer = Writer::request(&mut out, Method::Options, "sip:a@b");
        writer.header(Name::From, format_args!("{} <sip:{}@b>", Quoted(evil), UserPart(evil)));
        assert!(writer.finish().is_ok(), "{evil:?}");
    }
}

#[test]
fn names_and_users_survive_writing_and_reading() {
    for name in ["Jo \"the\" Doe", "back\\slash", "Ünïcödé 大停電", "a<b>;c,d", "%41"] {
        let mut out = [0; 600];
        let mut writer = Writer::request(&mut out, Method::Options, "sip:a@b");
        let address = Named { display: name, uri: format_args!("sip:{}@host.example", UserPart(name)) };
        writer
            .via(crate::Transport::Udp, "192.0.2.1", 5060, "z9hG4bK1")
            .header(Name::From, address)
            .header(Name::To, address);
        let length = writer
            .header(Name::CallId, "1")
            .header(Name::CSeq, "1 OPTIONS")
            .finish_with("text/plain", b"hello")
            .unwrap();
        let message = parsed(&out[..length]);
        let from = message.from().unwrap();
        assert_eq!(from.display().as_str(), name);
        assert_eq!(from.uri.user_text::<64>().as_str(), name);
        assert_eq!(message.body(), b"hello");
        assert!(message.top_via().unwrap().asks_rport());
    }
}

/// Work is linear: what would take minutes otherwise is done at once.
#[test]
fn messages_made_to_be_slow_are_not() {
    let begin = std::time::Instant::now();
    let fill = [
        ",", ";", ";a", ";a=\"", "<", "\"", "\\", "%41", "\r\n ", "\n", "\r", "a,", "<>,", "((", "@", ":",
        "[", " ",
    ];
    for name in [
        "Via",
        "Contact",
        "From",
        "Route",
        "Call-ID",
        "CSeq",
        "Content-Type",
        "Privacy",
        "Alert-Info",
        "Reason",
        "X-Other",
    ] {
        for piece in fill {
            let value = piece.repeat(60_000 / piece.len());
            let text = format!("INVITE sip:c@d SIP/2.0\r\n{HEAD}{name}: {value}\r\n\r\n");
            crate::fuzz::fuzz(text.as_bytes());
        }
    }
    for piece in fill.into_iter().chain([";x=y", "?a=b&", "a"]) {
        let text = format!("INVITE sip:c@d;{} SIP/2.0\r\n{HEAD}\r\n", piece.repeat(60_000 / piece.len()));
        crate::fuzz::fuzz(text.as_bytes());
    }
    crate::fuzz::fuzz(format!("INVITE sip:c@d SIP/2.0\r\n{HEAD}{}\r\n", "v: x\r\n".repeat(9_000)).as_bytes());
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}
