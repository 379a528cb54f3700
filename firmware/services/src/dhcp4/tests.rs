//! What the DHCP service asks of its server and of frames.

extern crate std;

use dialtone_base::Zone;
use dialtone_settings::tree::Reservation;

use super::*;
use crate::state::WanStatus;

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.guest.enabled = true;
    settings
}

#[test]
fn the_lan_gets_the_router_as_gateway_and_name_server_and_the_homes_domain() {
    let config = server_config(&settings(), &WanStatus::default(), Zone::Lan, LEASES).unwrap();
    let router = Ipv4Addr::new(192, 168, 77, 1);
    assert_eq!(config.address.address(), router);
    assert_eq!(config.name_servers, [router]);
    assert_eq!(config.domain.as_str(), "home.arpa");
    assert!(config.captive_portal.is_empty());
    assert_eq!(config.check(LEASES), Ok(()));
}

#[test]
fn time_servers_are_the_households_addresses_else_the_operators() {
    let operator = Ipv4Addr::new(198, 51, 100, 4);
    let mut wan = WanStatus::default();
    wan.ntp.push(operator).unwrap();
    let mut settings = settings();
    let config = server_config(&settings, &wan, Zone::Lan, LEASES).unwrap();
    assert_eq!(config.time_servers, [operator], "names cannot go into option 42");
    settings.system.ntp_servers.push("192.168.77.5".into()).unwrap();
    let config = server_config(&settings, &wan, Zone::Lan, LEASES).unwrap();
    assert_eq!(config.time_servers, [Ipv4Addr::new(192, 168, 77, 5)]);
}

#[test]
fn visitors_learn_nothing_of_the_home() {
    let mut settings = settings();
    settings.lan.captive_portal_uri = Some("https://home.example/portal".into());
    let config = server_config(&settings, &WanStatus::default(), Zone::Guest, LEASES).unwrap();
    assert!(config.domain.is_empty() && config.captive_portal.is_empty());
    settings.guest.enabled = false;
    assert_eq!(server_config(&settings, &WanStatus::default(), Zone::Guest, LEASES), None);
}

#[test]
fn reservations_go_to_the_network_they_are_in() {
    let mut settings = settings();
    for (last, address) in [(1, [192, 168, 77, 20]), (2, [192, 168, 78, 20]), (3, [192, 168, 77, 120])] {
        let mac = MacAddress([2, 0, 0, 0, 0, last]);
        let kept = Reservation { mac, address: address.into(), name: "x".into() };
        settings.reservations.push(kept).unwrap();
    }
    let lan = server_config(&settings, &WanStatus::default(), Zone::Lan, LEASES).unwrap();
    assert_eq!(lan.reservations.len(), 2);
    let guest = server_config(&settings, &WanStatus::default(), Zone::Guest, LEASES).unwrap();
    assert_eq!(guest.reservations.len(), 1);
}

#[test]
fn a_pool_larger_than_the_table_is_cut_and_still_works() {
    let mut settings = settings();
    settings.lan.address = "10.0.0.1/8".parse().unwrap();
    settings.lan.dhcp.first = Some(Ipv4Addr::new(10, 1, 0, 0));
    settings.lan.dhcp.last = Some(Ipv4Addr::new(10, 200, 0, 0));
    let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    let kept = Reservation { mac, address: Ipv4Addr::new(10, 0, 0, 9), name: "x".into() };
    settings.reservations.push(kept).unwrap();
    let config = server_config(&settings, &WanStatus::default(), Zone::Lan, LEASES).unwrap();
    assert_eq!(config.check(LEASES), Ok(()));
    assert_eq!(config.last, Ipv4Addr::new(10, 1, 0, 254));
}

#[test]
fn only_whole_datagrams_to_the_port_are_read() {
    let end = |port| End { mac: MacAddress([2; 6]), address: Ipv4Addr::new(10, 0, 0, 1), port };
    let mut frame = [0; 200];
    let length = build::udp_frame(&mut frame, end(68), end(67), b"hello").unwrap();
    assert_eq!(udp_payload(&frame[..length], 67), Some(&b"hello"[..]));
    assert_eq!(udp_payload(&frame, 67), Some(&b"hello"[..]), "padding is not payload");
    assert_eq!(udp_payload(&frame[..length], 68), None);
    assert_eq!(udp_payload(&frame[..length - 1], 67), None);
}

#[test]
fn the_journal_skips_what_it_cannot_read() {
    let journal = LeaseJournal::new();
    let record = LeaseRecord {
        zone: Zone::Lan,
        address: Ipv4Addr::new(192, 168, 77, 100),
        mac: MacAddress([2; 6]),
        client: dialtone_dhcp4::server::ClientKey::Id(heapless::Vec::from_slice(&[7; 64]).unwrap()),
        name: "n".repeat(63).as_str().into(),
        remaining: u32::MAX,
    };
    let mut bytes = [0; RECORD];
    let longest = postcard::to_slice(&record, &mut bytes).unwrap();
    let address = record.address;
    journal
        .restore([(Ipv4Addr::LOCALHOST, &[9, 9, 9][..]), (address, longest), (WAN_KEY, longest)].into_iter());
    assert_eq!(journal.restored.try_take(), Some([record].into()));
}

#[test]
fn the_longest_binding_of_the_wan_fits_into_a_record_and_comes_back() {
    let servers = || heapless::Vec::from_slice(&[Ipv4Addr::new(255, 255, 255, 254); 4]).unwrap();
    let binding = dialtone_dhcp4::client::Binding {
        address: "203.200.213.211/28".parse().unwrap(),
        gateway: Some(Ipv4Addr::new(203, 200, 213, 209)),
        name_servers: servers(),
        time_servers: servers(),
        domain: "d".repeat(63).as_str().into(),
        mtu: Some(u16::MAX),
        server: Ipv4Addr::new(203, 200, 213, 209),
        lease: u32::MAX,
        renew: u32::MAX,
        rebind: u32::MAX,
    };
    let write = LeaseWrite::wan(Some(&binding));
    let journal = LeaseJournal::new();
    journal.restore([(write.address, write.record.as_deref().unwrap())].into_iter());
    assert_eq!(journal.wan_restored.try_take(), Some(Some(binding)));
    assert_eq!(LeaseWrite::wan(None).record, None);
}
