//! The RFCs' own figures, and which challenge is chosen.

extern crate std;

use std::format;
use std::string::{String as Owned, ToString};

use super::*;
use crate::message::Received;

fn challenged(lines: &str) -> Result<DigestClient, Unanswerable> {
    let text = format!(
        "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
         Call-ID: c\r\nCSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    let Received::Message(message) = Message::parse(text.as_bytes()) else { panic!("{text}") };
    DigestClient::choose(&message)
}

fn response(value: &str) -> Owned {
    let (_, tail) = value.split_once("response=\"").expect("a response");
    tail.split('"').next().unwrap_or_default().to_string()
}

#[test]
fn rfc_2617_section_3_5() {
    let mut client = challenged(
        "WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n",
    )
    .unwrap();
    let identity = Identity { user: "Mufasa", password: "Circle Of Life" };
    let value = client.answer(identity, "GET", "/dir/index.html", b"", "0a4f113b").to_string();
    assert_eq!(response(&value), "6629fae49393a05397450978507c4ef1");
    assert!(value.contains(
        ", qop=auth, nc=00000001, cnonce=\"0a4f113b\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""
    ));
    assert!(!value.contains("algorithm"), "not named, because the server did not name it");
}

const RFC_7616: &str = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={}, \
     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

#[test]
fn rfc_7616_section_3_9_1() {
    let identity = Identity { user: "Mufasa", password: "Circle of Life" };
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let line = format!("WWW-Authenticate: Digest {}\r\n", RFC_7616.replace("{}", algorithm));
        let mut client = challenged(&line).unwrap();
        let value = client.answer(identity, "GET", "/dir/index.html", b"", cnonce).to_string();
        assert_eq!(response(&value), expected, "{algorithm}");
        assert!(value.contains(&format!("algorithm={algorithm},")));
    }
}

/// RFC 7616 section 3.9.2, with the figures of its verified erratum 4897.
#[test]
fn rfc_7616_section_3_9_2_hides_the_user() {
    let mut client = challenged(
        "WWW-Authenticate: Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", \
         charset=UTF-8, userhash=true\r\n",
    )
    .unwrap();
    let identity = Identity { user: "Jäsøn Doe", password: "Secret, or not?" };
    let value = client
        .answer(identity, "GET", "/doe.json", b"", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
        .to_string();
    assert_eq!(response(&value), "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
    assert!(value.contains("username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\""));
    assert!(value.ends_with("userhash=true"));
}

/// RFC 8760 section 2.4: several challenges, one per algorithm.
#[test]
fn the_strongest_challenge_is_answered() {
    let digest = |algorithm: &str, realm: &str| {
        format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\"{algorithm}\r\n")
    };
    let client = challenged(&format!(
        "{}{}{}{}WWW-Authenticate: Basic realm=\"x\"\r\n",
        digest(", algorithm=WHIRLPOOL", "1"),
        digest("", "2"),
        digest(", algorithm=SHA-256", "3"),
        digest(", algorithm=SHA-256-sess", "4")
    ))
    .unwrap();
    assert_eq!((client.hash(), client.realm()), (Hash::Sha256, "3"));
    assert_eq!(challenged(&digest(", algorithm=WHIRLPOOL", "1")), Err(Unanswerable::UnknownAlgorithm));
    assert_eq!(challenged(&digest(", qop=\"shout\"", "1")), Err(Unanswerable::UnknownProtection));
    assert_eq!(challenged("WWW-Authenticate: Basic realm=\"x\"\r\n"), Err(Unanswerable::NoDigest));
    assert_eq!(challenged(""), Err(Unanswerable::NoDigest));
    let long = "n".repeat(300);
    let line = format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{long}\"\r\n");
    assert_eq!(challenged(&line), Err(Unanswerable::TooLong));
}

#[test]
fn nonces_are_counted_and_staleness_is_seen() {
    let mut client =
        challenged("WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", stale=TRUE\r\n")
            .unwrap();
    assert!(client.is_stale() && !client.is_proxy());
    let identity = Identity { user: "u\"1", password: "p" };
    for expected in 1..=3 {
        let value = client.answer(identity, "REGISTER", "sip:a", b"", "c").to_string();
        assert!(value.contains(&format!("nc={expected:08x}")), "{value}");
        assert!(value.contains("username=\"u\\\"1\""), "{value}");
    }
}

/// RFC 7616 section 3.4.2: the key of a session is made once.
#[test]
fn a_session_keeps_its_first_client_nonce() {
    let mut client =
        challenged("WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=MD5-sess\r\n")
            .unwrap();
    let identity = Identity { user: "u", password: "p" };
    let h = |parts: &[&str]| Hash::Md5.of(parts);
    let a1 = h(&[&h(&["u", "a", "p"]), "b", "first"]);
    for (count, cnonce) in [("00000001", "first"), ("00000002", "second")] {
        let value = client.answer(identity, "REGISTER", "sip:a", b"", cnonce).to_string();
        let expected = h(&[&a1, "b", count, "first", "auth", &h(&["REGISTER", "sip:a"])]);
        assert_eq!(response(&value), expected.as_str());
        assert!(value.contains("cnonce=\"first\"") && value.contains("algorithm=MD5-sess"));
    }
}

#[test]
fn auth_int_covers_the_body_and_no_qop_means_rfc_2069() {
    let identity = Identity { user: "u", password: "p" };
    let h = |parts: &[&str]| Hash::Md5.of(parts);
    let mut client =
        challenged("WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"\r\n").unwrap();
    let value = client.answer(identity, "INVITE", "sip:a", b"v=0", "c").to_string();
    let a2 = h(&["INVITE", "sip:a", &h(&["v=0"])]);
    assert_eq!(response(&value), h(&[&h(&["u", "a", "p"]), "b", "00000001", "c", "auth-int", &a2]).as_str());
    let mut client = challenged("WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n").unwrap();
    let value = client.answer(identity, "INVITE", "sip:a", b"v=0", "c").to_string();
    assert_eq!(response(&value), h(&[&h(&["u", "a", "p"]), "b", &h(&["INVITE", "sip:a"])]).as_str());
    assert!(!value.contains("nc=") && !value.contains("cnonce"));
}
