//! Names of the house, names that stay in it, and names that may not lead into it.

use super::*;

const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;

fn home_with_devices() -> Home {
    let mut home = Home::new();
    let names = [
        LocalName { name: "Laptop".into(), address: Ipv4Addr::new(192, 168, 77, 20), zone: Zone::Lan },
        LocalName {
            name: "living room tv".into(),
            address: Ipv4Addr::new(192, 168, 77, 30),
            zone: Zone::Lan,
        },
        LocalName { name: "visitor".into(), address: Ipv4Addr::new(192, 168, 78, 9), zone: Zone::Guest },
    ];
    home.input(Input::Names(&names)).unwrap();
    home
}

#[test]
fn devices_and_the_router_have_names_in_both_directions() {
    let mut home = home_with_devices();
    let cases = [
        ("laptop.home.arpa", A, "NOERROR", "A 60 192.168.77.20"),
        ("LAPTOP.Home.Arpa", A, "NOERROR", "A 60 192.168.77.20"),
        ("laptop", A, "NOERROR", "A 60 192.168.77.20"),
        ("living-room-tv.home.arpa", A, "NOERROR", "A 60 192.168.77.30"),
        ("visitor.home.arpa", A, "NOERROR", "A 60 192.168.78.9"),
        ("dialtone.home.arpa", A, "NOERROR", "A 60 192.168.77.1"),
        ("dialtone", A, "NOERROR", "A 60 192.168.77.1"),
        ("laptop.home.arpa", AAAA, "NOERROR", ""),
        ("home.arpa", A, "NOERROR", ""),
        ("nobody.home.arpa", A, "NXDOMAIN", ""),
        ("x.laptop.home.arpa", A, "NXDOMAIN", ""),
        ("20.77.168.192.in-addr.arpa", PTR, "NOERROR", "PTR 60 laptop.home.arpa."),
        ("1.77.168.192.in-addr.arpa", PTR, "NOERROR", "PTR 60 dialtone.home.arpa."),
        ("99.77.168.192.in-addr.arpa", PTR, "NXDOMAIN", ""),
    ];
    for (name, kind, code, record) in cases {
        home.ask(name, kind).unwrap();
        let reply = home.reply();
        let (got, records) = read(&reply);
        assert_eq!((got.as_str(), records.join(";").as_str()), (code, record), "{name} {kind}");
        assert_ne!(flags(&reply) & 0x0400, 0, "{name}: the router is the authority");
        assert_eq!(
            records.is_empty(),
            reply[9] == 1,
            "{name}: a SOA exactly with negative answers (RFC 2308)"
        );
    }
    assert!(home.asked.is_empty());
}

#[test]
fn guests_learn_the_router_and_each_other_but_nothing_of_the_lan() {
    let mut home = home_with_devices();
    let guest = client(Zone::Guest, 9, 1234, Transport::Udp);
    let cases = [
        ("dialtone.home.arpa", A, "NOERROR", "A 60 192.168.78.1"),
        ("visitor.home.arpa", A, "NOERROR", "A 60 192.168.78.9"),
        ("laptop.home.arpa", A, "NXDOMAIN", ""),
        ("20.77.168.192.in-addr.arpa", PTR, "NXDOMAIN", ""),
    ];
    for (name, kind, code, record) in cases {
        home.ask_as(guest, &query(name, kind)).unwrap();
        let (got, records) = read(&home.reply());
        assert_eq!((got.as_str(), records.join(";").as_str()), (code, record), "{name}");
    }
}

#[test]
fn special_names_never_leave_the_house() {
    let cases = [
        ("localhost", A, "NOERROR", 1, "RFC 6761 section 6.3"),
        ("a.localhost", AAAA, "NOERROR", 1, "RFC 6761 section 6.3"),
        ("localhost", 16, "NOERROR", 0, "RFC 6761 section 6.3"),
        ("anything.invalid", A, "NXDOMAIN", 0, "RFC 6761 section 6.4"),
        ("site.onion", A, "NXDOMAIN", 0, "RFC 7686 section 2"),
        ("printer.local", A, "NXDOMAIN", 0, "RFC 6762 section 22.1"),
        ("_dns.resolver.arpa", 64, "NOERROR", 0, "RFC 9462 section 6.4"),
        ("4.3.2.10.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.1"),
        ("10.in-addr.arpa", 2, "NOERROR", 0, "RFC 6303 section 4.1"),
        ("1.0.16.172.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.1"),
        ("lb._dns-sd._udp.0.1.168.192.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.1"),
        ("1.2.254.169.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.2"),
        ("1.2.64.100.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 7793"),
        ("1.0.0.127.in-addr.arpa", PTR, "NOERROR", 1, "RFC 6303 section 4.2"),
        ("1.2.0.192.in-addr.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.2"),
        ("b.a.d.f.ip6.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.4"),
        ("0.8.e.f.ip6.arpa", PTR, "NXDOMAIN", 0, "RFC 6303 section 4.5"),
    ];
    for (name, kind, code, records, why) in cases {
        let mut home = Home::new();
        home.ask(name, kind).unwrap();
        assert!(home.asked.is_empty(), "{name}: {why}");
        let (got, answers) = read(&home.reply());
        assert_eq!((got.as_str(), answers.len()), (code, records), "{name}: {why}");
    }
}

#[test]
fn names_that_only_look_special_are_forwarded() {
    let cases = [
        ("notlocalhost", A),
        ("invalid.example.com", A),
        ("myhome.arpa", A),
        ("www.home.arpa.example", A),
        ("8.8.8.8.in-addr.arpa", PTR),
        ("1.0.32.172.in-addr.arpa", PTR),
        ("8.b.d.0.1.0.0.3.ip6.arpa", PTR),
        ("lab.test", A),
        ("com", 2),
    ];
    for (name, kind) in cases {
        let mut home = Home::new();
        home.ask(name, kind).unwrap();
        assert_eq!(home.asked.len(), 1, "{name}");
    }
    // RFC 8375 section 4: validators need the parent's word on the delegation.
    let mut home = Home::new();
    home.ask("home.arpa", 43).unwrap();
    assert_eq!(home.asked.len(), 1);
}

#[test]
fn with_another_domain_home_arpa_still_stays_in_the_house() {
    let mut home = Home::with(Limits::default(), Config { domain: "my.lan".into(), ..config() });
    home.ask("dialtone.my.lan", A).unwrap();
    assert_eq!(read(&home.reply()).1, ["A 60 192.168.77.1"]);
    home.ask("dialtone.home.arpa", A).unwrap();
    assert_eq!(read(&home.reply()).0, "NXDOMAIN");
    assert!(home.asked.is_empty());
}

#[test]
fn public_names_that_lead_into_the_home_give_no_data() {
    let v6 = |text: &str| text.parse::<core::net::Ipv6Addr>().unwrap().octets().to_vec();
    let hint = |key: u8, address: &[u8]| {
        let mut data = std::vec![0, 1, 0, 0, key, 0, address.len() as u8];
        data.extend_from_slice(address);
        data
    };
    let mut cases = std::vec![];
    for text in
        ["10.0.0.1", "172.16.9.9", "192.168.1.1", "127.0.0.1", "169.254.1.1", "0.0.0.0", "203.0.113.7"]
    {
        cases.push((1, text.parse::<Ipv4Addr>().unwrap().octets().to_vec(), text));
    }
    for text in ["::1", "::", "fe80::1", "fd00::1", "::ffff:192.168.1.1", "64:ff9b::192.168.1.1"] {
        cases.push((28, v6(text), text));
    }
    cases.push((65, hint(4, &[192, 168, 1, 1]), "ipv4hint"));
    cases.push((64, hint(6, &v6("fe80::1")), "ipv6hint"));
    for (kind, data, what) in cases {
        let mut config = config();
        let odd = Network { zone: Zone::Guest, prefix: "203.0.113.1/24".parse().unwrap() };
        config.networks.push(odd).unwrap();
        let mut home = Home::with(Limits::default(), config);
        home.ask("attack.example.com", kind).unwrap();
        let good = if kind == 1 { a([8, 8, 8, 8], 60) } else { Record(0, "", 16, 60, std::vec![1, 65]) };
        let said = home.upstream_says(0, &[good, Record(0, "", kind, 60, data)]);
        assert_eq!(said, Err(Rejected::Rebinding), "{what}");
        assert_eq!(read(&home.reply()), ("NOERROR".into(), std::vec![]), "{what}");
        assert_eq!(home.rejected(Rejected::Rebinding), 1);
        home.ask("attack.example.com", kind).unwrap();
        assert_eq!(home.asked.len(), 1, "{what} is not kept");
    }
}

#[test]
fn public_addresses_allowed_domains_and_unprotected_homes_pass() {
    let allowed =
        Config { rebind_allowed: [dialtone_base::text::Text::from("Plex.direct")].into(), ..config() };
    let open = Config { rebind_protection: false, ..config() };
    for (config, name, address) in [
        (config(), "ok.example.com", [100, 64, 0, 1]),
        (allowed, "x.plex.DIRECT", [192, 168, 77, 30]),
        (open, "x.example.com", [10, 0, 0, 1]),
    ] {
        let mut home = Home::with(Limits::default(), config);
        home.ask(name, A).unwrap();
        home.upstream_says(0, &[a(address, 60)]).unwrap();
        assert_eq!(read(&home.reply()).1.len(), 1, "{name}");
    }
}

#[test]
fn names_beyond_the_table_are_left_out_and_counted() {
    let mut home = Home::with(Limits { names: 1, ..Limits::default() }, config());
    let name = |name: &str| LocalName {
        name: name.into(),
        address: Ipv4Addr::new(192, 168, 77, 9),
        zone: Zone::Lan,
    };
    assert_eq!(home.input(Input::Names(&[name("one"), name("two")])), Err(Rejected::TooMany));
    home.ask("one.home.arpa", A).unwrap();
    assert_eq!(read(&home.reply()).1.len(), 1);
    // Not host names: nothing a label cannot carry, and nobody takes the router's own name.
    assert_eq!(home.input(Input::Names(&[name("a.b"), name("ü"), name("dialtone")])), Err(Rejected::TooMany));
    home.ask("dialtone.home.arpa", A).unwrap();
    assert_eq!(read(&home.reply()).1, ["A 60 192.168.77.1"]);
}

#[test]
fn the_router_asks_itself_like_any_client() {
    let mut home = home_with_devices();
    let mut question = [0; 300];
    let length = lookup::write_question("laptop.home.arpa", 9, &mut question).unwrap();
    home.ask_as(laptop(), &question[..length]).unwrap();
    assert_eq!(lookup::addresses(&home.reply()), [Ipv4Addr::new(192, 168, 77, 20)]);
    assert!(lookup::addresses(&question[..length]).is_empty());
    assert!(lookup::addresses(&question[..5]).is_empty());
    assert_eq!(lookup::write_question("a..b", 9, &mut question), None);
    assert_eq!(lookup::write_question("name", 9, &mut question[..20]), None);
}
