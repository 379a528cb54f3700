//! The codec's promises, also against an independent codec (RFC 2131, 2132, 3396).

extern crate std;

use std::vec;
use std::vec::Vec as List;

use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

use super::*;

fn header() -> Header {
    Header {
        reply: false,
        transaction: 0x1234_5678,
        seconds: 7,
        broadcast: true,
        client: Ipv4Addr::new(10, 0, 0, 9),
        yours: Ipv4Addr::UNSPECIFIED,
        relay: Ipv4Addr::new(10, 0, 0, 2),
        mac: MacAddress([2, 0, 0, 0, 0, 9]),
    }
}

/// A message whose options field is `options`, and `file` and `sname` as given.
fn raw(options: &[u8], file: &[u8], sname: &[u8]) -> List<u8> {
    let mut out = [0; 600];
    let length = Writer::new(&mut out, 600, &header(), MessageType::Discover).unwrap().finish();
    let mut bytes = out[..length].to_vec();
    bytes[FILE][..file.len()].copy_from_slice(file);
    bytes[SNAME][..sname.len()].copy_from_slice(sname);
    bytes.truncate(FIXED);
    bytes.extend_from_slice(options);
    bytes
}

#[test]
fn another_codec_reads_what_we_write() {
    let mut out = [0; 600];
    let mut writer = Writer::new(&mut out, 548, &header(), MessageType::Request).unwrap();
    writer.option(code::HOST_NAME, b"sofa");
    writer.addresses(code::NAME_SERVERS, &[Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)]);
    writer.option(code::LEASE_TIME, &3600u32.to_be_bytes());
    let length = writer.finish();
    let theirs = v4::Message::decode(&mut Decoder::new(&out[..length])).unwrap();
    assert_eq!(theirs.xid(), 0x1234_5678);
    assert_eq!(theirs.secs(), 7);
    assert!(theirs.flags().broadcast());
    assert_eq!(theirs.ciaddr(), Ipv4Addr::new(10, 0, 0, 9));
    assert_eq!(theirs.giaddr(), Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(theirs.chaddr(), [2, 0, 0, 0, 0, 9]);
    assert_eq!(theirs.opts().msg_type(), Some(v4::MessageType::Request));
    assert_eq!(theirs.opts().get(OptionCode::Hostname), Some(&DhcpOption::Hostname("sofa".into())));
    let servers = vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)];
    assert_eq!(theirs.opts().get(OptionCode::DomainNameServer), Some(&DhcpOption::DomainNameServer(servers)));
    assert_eq!(theirs.opts().get(OptionCode::AddressLeaseTime), Some(&DhcpOption::AddressLeaseTime(3600)));
}

#[test]
fn we_read_what_another_codec_writes() {
    let mut theirs = v4::Message::default();
    theirs.set_xid(99).set_chaddr(&[2, 0, 0, 0, 0, 7]).set_opcode(v4::Opcode::BootReply);
    theirs.set_yiaddr(Ipv4Addr::new(10, 1, 2, 3)).set_flags(v4::Flags::default().set_broadcast());
    theirs.opts_mut().insert(DhcpOption::MessageType(v4::MessageType::Ack));
    theirs.opts_mut().insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 0, 0)));
    theirs.opts_mut().insert(DhcpOption::Renewal(77));
    let bytes = theirs.to_vec().unwrap();
    let ours = Message::parse(&bytes).unwrap();
    assert_eq!((ours.kind, ours.header.transaction, ours.header.reply), (MessageType::Ack, 99, true));
    assert_eq!(ours.header.yours, Ipv4Addr::new(10, 1, 2, 3));
    assert!(ours.header.broadcast);
    assert_eq!(ours.address(code::SUBNET_MASK), Some(Ipv4Addr::new(255, 255, 0, 0)));
    assert_eq!(ours.seconds(code::RENEWAL), Some(77));
}

#[test]
fn options_overloaded_into_file_and_sname_are_read_in_that_order_rfc2132_9_3() {
    let bytes = raw(&[53, 1, 1, 52, 1, 3, 255], &[12, 2, b'a', b'b', 255], &[12, 2, b'c', b'd', 255]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.option(code::HOST_NAME), Some(&b"ab"[..]));
    assert_eq!(message.joined(code::HOST_NAME).unwrap(), b"abcd");
    let bytes = raw(&[53, 1, 1, 255], &[12, 2, b'a', b'b', 255], &[]);
    assert_eq!(
        Message::parse(&bytes).unwrap().option(code::HOST_NAME),
        None,
        "a boot file name is no option"
    );
    let bytes = raw(&[52, 1, 1, 255], &[53, 1, 1, 255], &[]);
    assert!(Message::parse(&bytes).is_ok(), "even the type may be overloaded");
}

#[test]
fn a_split_option_is_one_option_rfc3396() {
    let mut options = vec![53, 1, 1, 121, 5];
    options.extend_from_slice(&[0, 10, 0, 0, 1]);
    options.extend_from_slice(&[0, 121, 3, 24, 1, 2, 121, 5, 3, 10, 0, 0, 9, 255]);
    let bytes = raw(&options, &[], &[]);
    let joined = Message::parse(&bytes).unwrap().joined(code::CLASSLESS_ROUTES).unwrap();
    assert_eq!(joined, [0, 10, 0, 0, 1, 24, 1, 2, 3, 10, 0, 0, 9]);
    assert_eq!(default_route(&joined), Some(Ipv4Addr::new(10, 0, 0, 1)));
}

#[test]
#[allow(clippy::type_complexity)]
fn broken_messages_are_told_apart() {
    let good = raw(&[53, 1, 1, 255], &[], &[]);
    assert!(Message::parse(&good).is_ok());
    let cases: &[(&str, Malformed, fn(&mut List<u8>))] = &[
        ("short", Malformed::Truncated, |bytes| bytes.truncate(239)),
        ("cookie", Malformed::NoCookie, |bytes| bytes[236] = 0),
        ("token ring", Malformed::NotEthernet, |bytes| bytes[1] = 6),
        ("long hardware address", Malformed::NotEthernet, |bytes| bytes[2] = 16),
        ("no station", Malformed::NotEthernet, |bytes| bytes[28] = 0xff),
        ("option over the end", Malformed::BadOption, |bytes| bytes[241] = 3),
        ("type missing", Malformed::BadType, |bytes| bytes[240] = 12),
        ("type unknown", Malformed::BadType, |bytes| bytes[242] = 9),
        ("a reply that asks", Malformed::BadType, |bytes| bytes[0] = 2),
        ("no operation", Malformed::BadType, |bytes| bytes[0] = 3),
    ];
    for (name, expected, spoil) in cases {
        let mut bytes = good.clone();
        spoil(&mut bytes);
        assert_eq!(Message::parse(&bytes).unwrap_err(), *expected, "{name}");
    }
    let overloaded = raw(&[53, 1, 1, 52, 1, 4, 255], &[], &[]);
    assert_eq!(Message::parse(&overloaded).unwrap_err(), Malformed::BadOption);
    let in_file = raw(&[53, 1, 1, 52, 1, 1, 255], &[12, 200], &[]);
    assert_eq!(Message::parse(&in_file).unwrap_err(), Malformed::BadOption);
}

#[test]
fn a_message_without_end_option_is_read() {
    assert!(Message::parse(&raw(&[53, 1, 1], &[], &[])).is_ok());
}

#[test]
fn what_does_not_fit_goes_to_file_and_sname_and_then_is_left_out() {
    let mut out = [0; 600];
    let mut writer = Writer::new(&mut out, 300, &header(), MessageType::Discover).unwrap();
    assert!(writer.option(code::DOMAIN_NAME, &[b'd'; 50]));
    assert!(writer.option(code::HOST_NAME, &[b'h'; 60]), "file");
    assert!(writer.option(code::CAPTIVE_PORTAL, &[b'p'; 60]), "file");
    assert!(writer.option(code::MESSAGE, &[b'm'; 61]), "sname");
    assert!(!writer.option(code::VENDOR_CLASS, &[b'v'; 20]), "nowhere");
    assert!(!writer.option(code::VENDOR_CLASS, &[0; 256]), "no option is that long");
    assert_eq!(writer.left_out(), 2);
    let length = writer.finish();
    assert_eq!(length, 300);
    let message = Message::parse(&out[..length]).unwrap();
    assert_eq!(message.option(code::DOMAIN_NAME).unwrap(), [b'd'; 50]);
    assert_eq!(message.option(code::HOST_NAME).unwrap(), [b'h'; 60]);
    assert_eq!(message.option(code::CAPTIVE_PORTAL).unwrap(), [b'p'; 60]);
    assert_eq!(message.option(code::MESSAGE).unwrap(), [b'm'; 61]);
    // The other codec agrees on where they are.
    v4::Message::decode(&mut Decoder::new(&out[..length])).unwrap();
}

#[test]
fn a_buffer_too_short_for_any_message_is_refused() {
    assert!(Writer::new(&mut [0; 299], 548, &header(), MessageType::Discover).is_none());
}

#[test]
fn classless_routes_are_read_only_when_whole_rfc3442() {
    let gateway = Ipv4Addr::new(192, 0, 2, 1);
    let cases: &[(&[u8], Option<Ipv4Addr>)] = &[
        (&[0, 192, 0, 2, 1], Some(gateway)),
        (&[8, 10, 192, 0, 2, 9, 0, 192, 0, 2, 1], Some(gateway)),
        (&[25, 10, 0, 0, 128, 192, 0, 2, 9], None),
        (&[0, 192, 0, 2], None),
        (&[33, 1, 2, 3, 4, 5, 192, 0, 2, 1], None),
        (&[0, 192, 0, 2, 1, 24, 10], None),
        (&[], None),
    ];
    for (value, expected) in cases {
        assert_eq!(default_route(value), *expected, "{value:?}");
    }
}
