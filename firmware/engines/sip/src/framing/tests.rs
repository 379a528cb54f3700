//! Streams in any portions, and streams that are lost.

extern crate std;

use std::vec::Vec;

use super::*;

const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 5\r\n\r\nhello";
const BYE: &[u8] = b"BYE sip:a SIP/2.0\r\nContent-Length:\r\n 0\r\n\r\n";

/// Feeds `bytes` in portions of `portion`; returns every frame as text.
fn frames(longest: usize, bytes: &[u8], portion: usize) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(longest);
    let mut found = Vec::new();
    for mut piece in bytes.chunks(portion) {
        while !piece.is_empty() {
            let taken = framer.push(piece);
            piece = &piece[taken..];
            loop {
                match framer.next_frame() {
                    Frame::Message(message) => found.push(message.to_vec()),
                    Frame::Ping => found.push(b"ping".to_vec()),
                    Frame::Pong => found.push(b"pong".to_vec()),
                    Frame::Incomplete => break,
                    Frame::Broken(reason, _) => {
                        found.push(dialtone_base::counter::Reason::name(reason).as_bytes().to_vec());
                        return found;
                    }
                }
            }
        }
    }
    found
}

#[test]
fn messages_come_out_whole_whatever_the_portions() {
    let stream = [OPTIONS, BYE, OPTIONS].concat();
    for portion in 1..=stream.len() {
        assert_eq!(frames(64, &stream, portion), [OPTIONS, BYE, OPTIONS], "portions of {portion}");
    }
}

/// RFC 5626 section 3.5.1.
#[test]
fn line_ends_between_messages_are_pings_and_pongs() {
    let stream = [b"\r\n\r\n", OPTIONS, b"\r\n", BYE].concat();
    assert_eq!(frames(64, &stream, stream.len()), [b"ping".as_slice(), OPTIONS, b"pong", BYE]);
}

#[test]
fn a_stream_that_cannot_be_followed_is_given_up() {
    for (stream, reason) in [
        (&b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..], "no-content-length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n", "no-content-length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n", "bad-content-length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 99999999999\r\n\r\n", "bad-content-length"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 4294967295\r\n\r\n", "message-too-long"),
        (b"OPTIONS sip:a SIP/2.0\r\nl: 60\r\n\r\n", "message-too-long"),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", "not-sip"),
        (&[b'a'; 64], "message-too-long"),
    ] {
        for portion in [1, 7, 64] {
            assert_eq!(frames(64, stream, portion), [reason.as_bytes()]);
        }
    }
}

#[test]
fn a_broken_stream_shows_the_head_that_broke_it_once() {
    let mut framer = Framer::new(64);
    framer.push(b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\nrest");
    assert!(
        matches!(framer.next_frame(), Frame::Broken(BadFrame::BadLength, head) if head.starts_with(b"OPTIONS"))
    );
    assert_eq!(framer.next_frame(), Frame::Broken(BadFrame::BadLength, &[]));
    framer.reset();
    framer.push(BYE);
    assert_eq!(framer.next_frame(), Frame::Message(BYE));
}
