//! Promises of offer and answer.

use core::net::{IpAddr, Ipv4Addr};
use std::format;
use std::string::String;

use dialtone_base::Seed;

use super::*;
use crate::codec::Codec;
use crate::stream::Direction;

fn local(codecs: &[Codec]) -> Local {
    Local {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        rtp_port: 40_000,
        rtcp_port: 40_001,
        rtcp_mux: false,
        codecs: codecs.iter().copied().collect(),
        packet_time: 20,
        telephone_event: true,
        comfort_noise: true,
        sample_rate: 8000,
    }
}

fn party(codecs: &[Codec]) -> Negotiation {
    Negotiation::new(local(codecs), Seed::from_number(1))
}

const HEAD: &str = "v=0\r\no=bob 1 1 IN IP4 192.0.2.9\r\ns=x\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";

fn version(text: &str) -> u64 {
    Description::parse(text.as_bytes()).unwrap().origin.version.parse().unwrap()
}

#[test]
fn two_of_us_agree_on_every_codec() {
    for codec in Codec::ALL {
        let (mut alice, mut bob) = (party(&Codec::ALL), party(&[codec]));
        let offer = String::from(alice.offer().unwrap());
        let bobs = bob.answer(offer.as_bytes()).unwrap();
        let alices = alice.accept(bob.text().as_bytes()).unwrap();
        assert_eq!((alices.codec, bobs.codec), (codec, codec));
        assert!(alices.receive.contains(&(bobs.send_payload_type, codec)));
        assert!(bobs.receive.contains(&(alices.send_payload_type, codec)));
        assert_eq!(alices.telephone_event.unwrap().clock_rate, codec.clock_rate());
        assert_eq!(alices.telephone_event.unwrap().send, bobs.telephone_event.unwrap().receive);
        assert_eq!(alices.remote.unwrap().port(), 40_000);
        assert_eq!(alices.remote_rtcp.unwrap().port(), 40_001);
        assert_eq!(alices.opus.fec, codec == Codec::Opus);
        assert_eq!(alices.comfort_noise.is_some(), codec != Codec::Opus);
    }
}

#[test]
fn an_answer_keeps_the_offerers_order_and_numbers_rfc_3264_6_1() {
    let offer = format!(
        "{HEAD}m=audio 5004 RTP/AVP 18 111 8 96\r\na=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 useinbandfec=1; maxaveragebitrate=16000\r\na=rtpmap:96 telephone-event/8000\r\n"
    );
    let mut we = party(&[Codec::Pcma, Codec::Opus]);
    let stream = we.answer(offer.as_bytes()).unwrap();
    assert_eq!((stream.codec, stream.send_payload_type), (Codec::Opus, 111));
    assert!(stream.opus.fec && stream.opus.max_average_bitrate == 16_000);
    // No 48 kHz events: those of 8 kHz serve.
    assert_eq!(stream.telephone_event.map(|event| (event.send, event.clock_rate)), Some((96, 8000)));
    assert!(we.text().contains("m=audio 40000 RTP/AVP 111 96\r\n"));
}

#[test]
fn numbers_may_differ_by_direction_rfc_3264_5_1() {
    let mut we = party(&[Codec::Opus]);
    we.offer().unwrap();
    let answer = format!(
        "{HEAD}m=audio 5004 RTP/AVP 97 98\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:98 telephone-event/48000\r\n"
    );
    let stream = we.accept(answer.as_bytes()).unwrap();
    assert_eq!(stream.send_payload_type, 97);
    assert_eq!(stream.receive.first(), Some(&(107, Codec::Opus)));
    let event = stream.telephone_event.unwrap();
    assert_eq!((event.send, event.receive), (98, 102));
}

#[test]
fn hold_is_a_direction_and_the_version_counts_changes_rfc_3264_8() {
    let (mut alice, mut bob) = (party(&[Codec::Pcmu]), party(&[Codec::Pcmu]));
    let first = String::from(alice.offer().unwrap());
    bob.answer(first.as_bytes()).unwrap();
    assert_eq!(alice.offer().unwrap(), first, "nothing changed, nor does the text");
    alice.set_hold(true);
    let hold = String::from(alice.offer().unwrap());
    assert_eq!(version(&hold), version(&first) + 1);
    assert!(hold.contains("a=sendonly"));
    let stream = bob.answer(hold.as_bytes()).unwrap();
    assert_eq!(stream.direction, Direction::ReceiveOnly);
    assert_eq!(alice.accept(bob.text().as_bytes()).unwrap().direction, Direction::SendOnly);
    // Both hold: nothing flows.
    bob.set_hold(true);
    assert_eq!(bob.answer(hold.as_bytes()).unwrap().direction, Direction::Inactive);
}

#[test]
fn the_old_way_to_hold_stops_our_packets_rfc_3264_8_4() {
    let offer = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 5004 RTP/AVP 0\n";
    let stream = party(&[Codec::Pcmu]).answer(offer.as_bytes()).unwrap();
    assert_eq!((stream.remote, stream.direction), (None, Direction::ReceiveOnly));
}

#[test]
fn further_streams_are_refused_in_their_places_rfc_3264_6() {
    let offer =
        format!("{HEAD}m=video 5000 RTP/AVP 31 34\r\nm=audio 5004 RTP/AVP 0\r\nm=audio 5006 RTP/AVP 0\r\n");
    let mut we = party(&[Codec::Pcmu]);
    assert_eq!(we.answer(offer.as_bytes()).unwrap().remote.unwrap().port(), 5004);
    let text = we.text();
    assert!(text.contains("m=video 0 RTP/AVP 31\r\nm=audio 40000 RTP/AVP 0\r\n"), "{text}");
    assert!(text.ends_with("m=audio 0 RTP/AVP 0\r\n"), "{text}");
    // Our own later offer keeps the three places (RFC 3264 §8).
    assert_eq!(we.offer().unwrap().matches("m=").count(), 3);
}

#[test]
fn fax_over_t38_and_encryption_are_refused_by_name() {
    let refuse =
        |media: &str| party(&[Codec::Pcmu]).answer(format!("{HEAD}{media}\r\n").as_bytes()).unwrap_err();
    assert_eq!(refuse("m=image 5000 udptl t38"), Refused::FaxOverT38);
    assert_eq!(refuse("m=audio 5000 RTP/SAVP 0"), Refused::Encrypted);
    assert_eq!(refuse("m=audio 5000 RTP/AVP 18"), Refused::NoCommonCodec);
    assert_eq!(refuse("m=audio 0 RTP/AVP 0"), Refused::NoAudio);
    assert_eq!(Refused::FaxOverT38.status_code(), 488);
    // A fax that offers both goes over G.711.
    let both = format!("{HEAD}m=image 5000 udptl t38\r\nm=audio 5004 RTP/AVP 0\r\n");
    assert!(party(&[Codec::Pcmu]).answer(both.as_bytes()).is_ok());
}

#[test]
fn packet_time_and_rtcp_address_follow_the_peer() {
    let stream = |attributes: &str, codec| {
        let offer = format!("{HEAD}m=audio 5004 RTP/AVP 0 96\r\na=rtpmap:96 opus/48000/2\r\n{attributes}");
        party(&[codec]).answer(offer.as_bytes()).unwrap()
    };
    assert_eq!(stream("a=ptime:30\r\n", Codec::Pcmu).packet_time, 30);
    assert_eq!(stream("a=ptime:30\r\n", Codec::Opus).packet_time, 20);
    assert_eq!(stream("a=maxptime:10\r\n", Codec::Pcmu).packet_time, 10);
    assert_eq!(stream("a=ptime:500\r\n", Codec::Pcmu).packet_time, 60);
    assert_eq!(stream("a=ptime:0\r\n", Codec::Pcmu).packet_time, 20);
    let rtcp = stream("a=rtcp:6000 IN IP4 192.0.2.10\r\n", Codec::Pcmu).remote_rtcp.unwrap();
    assert_eq!((rtcp.ip(), rtcp.port()), (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 6000));
}

#[test]
fn ipv6_peers_are_read() {
    let offer = "v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n";
    assert!(party(&[Codec::Pcmu]).answer(offer.as_bytes()).unwrap().remote.unwrap().is_ipv6());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let fault = |text: &str| Description::parse(text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(fault(""), Malformed { line: 1, fault: Fault::Version });
    assert_eq!(fault("v=1\r\n"), Malformed { line: 1, fault: Fault::Version });
    assert_eq!(fault("v=0\r\ns=-\r\n"), Malformed { line: 2, fault: Fault::Origin });
    assert_eq!(
        fault("v=0\no=- 1 1 IN IP4 1.2.3.4\nc=IN IP4 nowhere\n"),
        Malformed { line: 3, fault: Fault::Connection }
    );
    assert_eq!(fault("v=0\no=- 1 1 IN IP4 1.2.3.4\nm=audio 70000 RTP/AVP 0\n").line, 3);
    assert_eq!(
        fault(&format!("{HEAD}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(9))),
        Malformed { line: 14, fault: Fault::TooManyMedia }
    );
}

#[test]
fn an_answer_nobody_asked_for_is_refused() {
    let mut we = party(&[Codec::Pcmu]);
    assert_eq!(we.accept(HEAD.as_bytes()), Err(Refused::NotOffered));
    we.offer().unwrap();
    let refused = format!("{HEAD}m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(we.accept(refused.as_bytes()), Err(Refused::StreamRefused));
}

#[test]
fn sound_goes_nowhere_but_to_one_far_end() {
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "240.0.0.1",
        "0.1.2.3",
        "169.254.1.1",
    ] {
        let text = format!("{HEAD}m=audio 5004 RTP/AVP 8\r\nc=IN IP4 {address}\r\n");
        assert_eq!(party(&Codec::ALL).answer(text.as_bytes()), Err(Refused::UnusableAddress), "{address}");
        let mut alice = party(&Codec::ALL);
        alice.offer().unwrap();
        assert_eq!(alice.accept(text.as_bytes()), Err(Refused::UnusableAddress), "{address}");
        let reports = format!("{HEAD}m=audio 5004 RTP/AVP 8\r\na=rtcp:53 IN IP4 {address}\r\n");
        assert_eq!(party(&Codec::ALL).answer(reports.as_bytes()).unwrap().remote_rtcp, None, "{address}");
    }
    // Operators live in private address space, too.
    for address in ["10.0.0.9", "100.64.3.2", "192.168.77.9"] {
        let text = format!("{HEAD}m=audio 5004 RTP/AVP 8\r\nc=IN IP4 {address}\r\n");
        assert!(party(&Codec::ALL).answer(text.as_bytes()).is_ok(), "{address}");
    }
    let last = format!("{HEAD}m=audio 65535 RTP/AVP 8\r\n");
    assert_eq!(
        party(&Codec::ALL).answer(last.as_bytes()).unwrap().remote_rtcp,
        None,
        "no port is left for reports"
    );
}

#[test]
fn an_offer_says_no_more_than_a_reader_needs_rfc_3261_18_1_1() {
    let mut we = Negotiation::new(
        Local {
            rtcp_mux: true,
            sample_rate: 16_000,
            ..local(&[Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu])
        },
        Seed::from_number(1),
    );
    let offer = String::from(we.offer().unwrap());
    let body = offer.split_once("t=0 0\r\n").unwrap().1;
    assert_eq!(
        body,
        "m=audio 40000 RTP/AVP 107 9 8 0 13 101 102\r\na=rtpmap:107 opus/48000/2\r\n\
         a=fmtp:107 maxplaybackrate=16000;useinbandfec=1\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtpmap:102 telephone-event/48000\r\n\
         a=maxptime:60\r\na=rtcp-mux\r\n"
    );
    assert!(offer.len() <= 330, "{} bytes", offer.len());
    // What differs from what is assumed is said.
    we.local.packet_time = 30;
    we.local.rtcp_mux = false;
    we.local.rtcp_port = 41_000;
    we.set_hold(true);
    let offer = we.offer().unwrap();
    assert!(
        offer.contains("a=ptime:30\r\n")
            && offer.contains("a=sendonly\r\n")
            && offer.contains("a=rtcp:41000\r\n")
    );
}

#[test]
fn a_static_number_under_another_meaning_keeps_its_name_rfc_3551_6() {
    // The peer numbered G.711 A-law 96.
    let offer = format!("{HEAD}m=audio 5004 RTP/AVP 96\r\na=rtpmap:96 PCMA/8000\r\n");
    let mut we = party(&[Codec::Pcma]);
    we.answer(offer.as_bytes()).unwrap();
    assert!(we.text().contains("a=rtpmap:96 PCMA/8000\r\n"), "{}", we.text());
}
