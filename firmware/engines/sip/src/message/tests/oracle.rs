//! Another SIP parser reads what we write, and what we read: both must find the same.
//!
//! The other one is `ezk-sip-types` (MIT), written by others from the same RFCs.

extern crate std;

use core::net::IpAddr;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use ezk_sip_types::header::typed::{CSeq as TheirCSeq, CallID, FromTo, Via as TheirVia};
use ezk_sip_types::host::Host as TheirHost;
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::print::AppendCtx;
use ezk_sip_types::uri::SipUri;
use ezk_sip_types::{_private_reexport::Bytes, Headers, Name as TheirName};

use dialtone_base::random::{Random, Seed};

use super::torture;
use crate::message::{Message, Method, Name, Received};
use crate::uri::{Host, Uri, unescaped};
use crate::write::{Named, SipUri as OurUri, Writer};

/// What both parsers are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    start: String,
    via: (String, String, Option<u16>, Option<String>),
    from: (String, Option<String>),
    to: (String, Option<String>),
    call_id: String,
    cseq: (u32, String),
}

fn ours(bytes: &[u8]) -> Option<Meaning> {
    let Received::Message(message) = Message::parse(bytes) else { return None };
    let via = message.top_via().ok()?;
    let (from, to) = (message.from().ok()?, message.to().ok()?);
    let address = |uri: Uri<'_>| {
        let user = plain(uri.user().unwrap_or_default());
        format!("{user}|{}|{:?}", host(uri.host()), uri.port())
    };
    let start = match (message.method(), message.status()) {
        (Some(method), _) => format!("{method} {}", address(message.request_uri()?)),
        (_, status) => format!("{}", status?.code()),
    };
    let cseq = message.cseq().ok()?;
    Some(Meaning {
        start,
        via: (via.transport.to_string(), host(Some(via.host)), via.port, via.branch().map(Into::into)),
        from: (address(from.uri), from.tag().map(Into::into)),
        to: (address(to.uri), to.tag().map(Into::into)),
        call_id: message.call_id().ok()?.to_string(),
        cseq: (cseq.number, cseq.method.to_string()),
    })
}

fn plain(user: &str) -> String {
    String::from_utf8_lossy(&unescaped(user).collect::<Vec<u8>>()).into_owned()
}

fn host(host: Option<Host<'_>>) -> String {
    host.map(|host| host.to_string()).unwrap_or_default()
}

fn theirs(bytes: &[u8]) -> Option<Meaning> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut parser = PullParser::new(&bytes, 0);
    let first = core::str::from_utf8(parser.next()?.ok()?).ok()?;
    let first: MessageLine = first.parse().ok()?;
    let mut headers = Headers::new();
    for line in parser {
        let line = core::str::from_utf8(line.ok()?).ok()?;
        let (_, line) = Line::parse(&bytes, line).ok()?;
        headers.insert(line.name, line.value);
    }
    let their_host = |host: &TheirHost| match host {
        TheirHost::IP4(address) => IpAddr::V4(*address).to_string(),
        TheirHost::IP6(address) => format!("[{address}]"),
        TheirHost::Name(name) => name.to_string(),
    };
    let address = |uri: &SipUri| {
        // Its type has no public name, but prints itself, more or less escaped.
        let printed = uri.default_print_ctx().to_string();
        let userinfo =
            printed.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user);
        let user = plain(userinfo.split(':').next().unwrap_or_default());
        format!("{user}|{}|{:?}", their_host(&uri.host_port.host), uri.host_port.port)
    };
    let start = match &first {
        MessageLine::Request(line) => format!("{} {}", line.method, address(&line.uri)),
        MessageLine::Response(line) => format!("{}", line.code.into_u16()),
    };
    let via: TheirVia = headers.get_named().ok()?;
    let from: FromTo = headers.get(TheirName::FROM).ok()?;
    let to: FromTo = headers.get(TheirName::TO).ok()?;
    let cseq: TheirCSeq = headers.get_named().ok()?;
    let call_id: CallID = headers.get_named().ok()?;
    let branch = via.params.get_val("branch").map(|branch| branch.to_string());
    Some(Meaning {
        start,
        via: (via.transport.to_string(), their_host(&via.sent_by.host), via.sent_by.port, branch),
        from: (address(&from.uri.uri), from.tag.map(|tag| tag.to_string())),
        to: (address(&to.uri.uri), to.tag.map(|tag| tag.to_string())),
        call_id: call_id.0.to_string(),
        cseq: (cseq.cseq, cseq.method.to_string()),
    })
}

#[test]
fn what_we_write_others_read_as_we_do() {
    const USERS: [&str; 8] = ["alice", "+4930123456", "*21#", "a b", "J\u{f6}rg", "x;y=z", "100%", "600"];
    // It does not know quoted pairs, so no name has a quote or backslash.
    const NAMES: [&str; 6] = ["", "Alice", "Bob B.", "600", "\u{5927}\u{505c}\u{96fb}", "a, b <c>"];
    const METHODS: [Method<'_>; 6] = [
        Method::Invite,
        Method::Register,
        Method::Bye,
        Method::Prack,
        Method::Subscribe,
        Method::Other("PING"),
    ];
    for seed in 0..2_000 {
        let mut random = Random::new(Seed::from_number(seed));
        let mut pick = |count: usize| random.below(count as u32) as usize;
        let host = [
            Host::Name("example.com"),
            Host::V4([192, 0, 2, 7].into()),
            Host::V6("2001:db8::7".parse().unwrap()),
        ][pick(3)];
        let uri = OurUri { user: USERS[pick(8)], host, port: [None, Some(5060), Some(65535)][pick(3)] };
        let method = METHODS[pick(6)];
        let mut out = vec![0; 2048];
        let mut writer = Writer::request(&mut out, method, uri);
        writer.via(
            [crate::Transport::Udp, crate::Transport::Tcp][pick(2)],
            host,
            5060,
            "z9hG4bK77ef4c2312983.1",
        );
        writer.header(Name::MaxForwards, 70);
        writer.header(
            Name::From,
            format_args!("{};tag={}", Named { display: NAMES[pick(6)], uri }, pick(9999)),
        );
        writer.header(Name::To, Named { display: NAMES[pick(6)], uri });
        writer.header(Name::CallId, format_args!("{}@192.0.2.1", pick(99_999)));
        writer.header(Name::CSeq, format_args!("{} {method}", pick(1 << 30)));
        let length = writer.finish_with("text/plain", b"hello").unwrap();
        let text = String::from_utf8_lossy(&out[..length]);
        let expected = ours(&out[..length]).unwrap_or_else(|| panic!("seed {seed}: we cannot read {text}"));
        assert_eq!(theirs(&out[..length]), Some(expected), "seed {seed}: {text}");
    }
}

#[test]
fn torture_messages_mean_the_same_to_both_where_both_read_them() {
    let mut agreed = Vec::new();
    for case in torture::all() {
        let (Some(ours), Some(theirs)) = (ours(&case.bytes), theirs(&case.bytes)) else { continue };
        if case.id == "intmeth" {
            // It unescapes the branch, which is a token and has no escapes.
            assert_ne!(ours.via, theirs.via);
            continue;
        }
        assert_eq!(ours, theirs, "{}", case.id);
        agreed.push(case.id);
    }
    assert!(agreed.len() >= 20, "{} of {}: {agreed:?}", agreed.len(), torture::all().len());
}
