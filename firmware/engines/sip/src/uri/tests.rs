//! URIs as the RFCs' own examples write them.

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|| panic!("{text} is a URI"))
}

#[test]
fn parts_are_where_rfc_3261_section_19_puts_them() {
    let parsed = uri("sips:1212@gateway.com:5061;transport=tcp;lr?Subject=a&Priority=b");
    assert_eq!(parsed.scheme(), Scheme::Sips);
    assert_eq!((parsed.user(), parsed.port()), (Some("1212"), Some(5061)));
    assert_eq!(parsed.host(), Some(Host::Name("gateway.com")));
    assert_eq!(parsed.parameter("Transport"), Some("tcp"));
    assert!(parsed.is_loose_route());
    let mut headers = parsed.headers();
    assert_eq!(headers.next(), Some(("Subject", "a")));
    assert_eq!(headers.next(), Some(("Priority", "b")));
    assert_eq!(uri("sip:alice:secretword@atlanta.com").password(), Some("secretword"));
    assert_eq!(uri("sip:alice;day=tuesday@atlanta.com").user(), Some("alice;day=tuesday"));
    assert_eq!(uri("sip:[2001:db8::9:1]:5070").host(), Some(Host::V6("2001:db8::9:1".parse().unwrap())));
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        ":a@b",
        "sip:a@",
        "sip:@b",
        "sip:a b@c",
        "sip:a@b:70000",
        "sip:a@b:x",
        "sip:2001:db8::10",
        "sip:a%4@b",
        "<sip:a@b>",
        "sip:a@b;;lr",
        "sip:a@[::1",
        "sip:a@[::1]x",
        "tel:",
        "tel:alice",
        "sip:a@b\r\nEvil: 1",
        "1sip:a@b",
        "sip:ä@b",
    ] {
        assert_eq!(Uri::parse(text), None, "{text}");
    }
}

#[test]
fn equality_follows_rfc_3261_section_19_1_4() {
    for (left, right) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:biloxi.com;transport=tcp;method=REGISTER", "sip:biloxi.com;method=REGISTER;transport=tcp"),
        ("sip:a@b;n%61me=v%61lue", "sip:a@b;NAME=value"),
        ("sip:a@b;name=1;name=2", "sip:a@b;name=1;name=2"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ] {
        assert!(uri(left).is_equivalent(&uri(right)), "{left} {right}");
        assert!(uri(right).is_equivalent(&uri(left)), "{right} {left}");
    }
    for (left, right) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:biloxi.com", "sip:bob@biloxi.com"),
        ("sip:a@b;name=value%25%34%31", "sip:a@b;name=valueA"),
    ] {
        assert!(!uri(left).is_equivalent(&uri(right)), "{left} {right}");
    }
}

#[test]
fn numbers_lose_their_visual_separators() {
    for (text, number) in [
        ("tel:+1-201-555-0123", Some("+12015550123")),
        ("tel:7042;phone-context=example.com", Some("7042")),
        ("sip:+1(555)123.4567;ext=5@gw.example;user=phone", Some("+15551234567")),
        ("sip:%2B4930123@example.com", Some("+4930123")),
        ("sip:*21%23@example.com", Some("*21#")),
        ("sip:*21#@example.com", Some("*21#")),
        ("sip:600@example.com", Some("600")),
        ("sip:alice@example.com", None),
        ("sip:192.0.2.1", None),
        ("sip:1.2.3@example.com", None),
        ("sip:+@example.com", None),
        ("sip:5+5@example.com", None),
    ] {
        assert_eq!(uri(text).number().as_deref(), number, "{text}");
    }
}

#[test]
fn user_parts_are_shown_unescaped_and_without_controls() {
    assert_eq!(uri("sip:null-%00-null@example.com").user_text::<32>().as_str(), "null--null");
    assert_eq!(
        uri("sip:sips%3Auser%40example.com@example.net").user_text::<32>().as_str(),
        "sips:user@example.com"
    );
}
