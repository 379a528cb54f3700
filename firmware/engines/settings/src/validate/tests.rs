//! Every rule of the validator, through JSON as a household would write it.

extern crate std;
use std::string::String;
use std::vec::Vec;

use super::*;

/// The paths the validator complains about.
fn faults(json: &str) -> Vec<String> {
    let tree: Settings = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    match validate(&tree) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.path.as_str().into()).collect(),
    }
}

#[test]
fn the_factory_settings_are_valid() {
    assert_eq!(validate(&Settings::default()), Ok(()));
}

#[test]
fn what_a_household_sensibly_writes_is_valid() {
    for json in [
        r#"{"wan":{"mode":"static","static":{"address":"203.0.113.9/30","gateway":"203.0.113.10","dns":["9.9.9.9"]}}}"#,
        r#"{"lan":{"address":"10.1.2.3/8"}}"#,
        r#"{"lan":{"dhcp":{"first":"192.168.77.2","last":"192.168.77.254"}}}"#,
        r#"{"lan":{"dhcp":{"first":"192.168.77.200"}}}"#,
        r#"{"lan":{"dhcp":{"enabled":false}}}"#,
        r#"{"guest":{"enabled":true,"ports":["lan4"]},"reservations":[
            {"mac":"02:00:5e:00:00:01","address":"192.168.78.9","name":"kitchen"}]}"#,
        r#"{"nat":{"port_forwards":[
            {"external":443,"device":"192.168.77.9"},
            {"external":"443","protocol":"udp","device":"192.168.77.10"},
            {"external":443,"enabled":false,"device":"192.168.77.11"}],"exposed_host":"192.168.77.12"}}"#,
        r#"{"firewall":{"rules":[
            {"from":"guest","to":"lan","protocol":"tcp","ports":631,"action":"allow"},
            {"from":"lan","to":"wan","device":"02:00:5e:00:00:01","action":"reject"}]}}"#,
        r#"{"dns":{"upstreams":["9.9.9.9","1.1.1.1"],"rebind_allow":["plex.direct"]}}"#,
        r#"{"lan":{"captive_portal_uri":"https://portal.home.arpa/api"}}"#,
        r#"{"system":{"ntp_servers":["192.0.2.1","pool.ntp.org"]}}"#,
    ] {
        assert_eq!(faults(json), Vec::<String>::new(), "{json}");
    }
}

#[test]
fn each_fault_names_its_field() {
    for (json, path) in [
        (r#"{"schema":2}"#, "schema"),
        (r#"{"system":{"hostname":"my router"}}"#, "system.hostname"),
        (r#"{"system":{"ntp_servers":["ok.example","no way"]}}"#, "system.ntp_servers.1"),
        (r#"{"system":{"ntp_servers":["127.0.0.1"]}}"#, "system.ntp_servers.0"),
        (r#"{"wan":{"mtu":575}}"#, "wan.mtu"),
        (r#"{"wan":{"mtu":1501}}"#, "wan.mtu"),
        (r#"{"wan":{"dhcp":{"hostname":""}}}"#, "wan.dhcp.hostname"),
        (r#"{"wan":{"static":{"address":"203.0.113.0/24"}}}"#, "wan.static.address"),
        (r#"{"wan":{"static":{"address":"203.0.113.9/24","gateway":"203.0.113.9"}}}"#, "wan.static.gateway"),
        (r#"{"wan":{"static":{"address":"203.0.113.9/24","gateway":"203.0.114.1"}}}"#, "wan.static.gateway"),
        (r#"{"wan":{"static":{"dns":["0.0.0.0"]}}}"#, "wan.static.dns.0"),
        (r#"{"lan":{"address":"192.168.77.1/31"}}"#, "lan.address"),
        (r#"{"lan":{"address":"192.168.77.0/24"}}"#, "lan.address"),
        (r#"{"lan":{"address":"8.8.8.1/24"}}"#, "lan.address"),
        (r#"{"lan":{"domain":"not a domain"}}"#, "lan.domain"),
        (r#"{"lan":{"captive_portal_uri":"http://x/"}}"#, "lan.captive_portal_uri"),
        (r#"{"lan":{"dhcp":{"lease_seconds":119}}}"#, "lan.dhcp.lease_seconds"),
        (r#"{"lan":{"dhcp":{"first":"192.168.78.5"}}}"#, "lan.dhcp.first"),
        (r#"{"lan":{"dhcp":{"last":"192.168.77.255"}}}"#, "lan.dhcp.last"),
        (r#"{"lan":{"dhcp":{"first":"192.168.77.20","last":"192.168.77.10"}}}"#, "lan.dhcp.last"),
        (r#"{"lan":{"address":"192.168.77.50/24","dhcp":{"first":"192.168.77.20"}}}"#, "lan.dhcp.first"),
        (r#"{"guest":{"enabled":true,"address":"192.168.77.129/25"}}"#, "guest.address"),
        (r#"{"guest":{"ports":["lan4","lan4"]}}"#, "guest.ports.1"),
        (r#"{"guest":{"ports":[""]}}"#, "guest.ports.0"),
        (r#"{"dns":{"upstreams":["192.168.77.1"]}}"#, "dns.upstreams.0"),
        (r#"{"dns":{"upstreams":["255.255.255.255"]}}"#, "dns.upstreams.0"),
        (r#"{"dns":{"upstreams":["9.9.9.9","9.9.9.9"]}}"#, "dns.upstreams.1"),
        (r#"{"dns":{"rebind_allow":["*.example"]}}"#, "dns.rebind_allow.0"),
        (r#"{"nat":{"exposed_host":"192.168.77.1"}}"#, "nat.exposed_host"),
    ] {
        assert_eq!(faults(json), [path], "{json}");
    }
}

#[test]
fn a_static_wan_needs_an_address_and_a_gateway_apart_from_the_home() {
    assert_eq!(faults(r#"{"wan":{"mode":"static"}}"#), ["wan.static.address", "wan.static.gateway"]);
    let json =
        r#"{"wan":{"mode":"static","static":{"address":"192.168.77.9/24","gateway":"192.168.77.254"}}}"#;
    assert_eq!(faults(json), ["wan.static.address"]);
}

#[test]
fn reservations_are_unique_and_inside() {
    let faults_of = |reservation: &str| {
        let first = r#"{"mac":"02:00:5e:00:00:01","address":"192.168.77.9","name":"printer"}"#;
        faults(&std::format!(r#"{{"reservations":[{first},{reservation}]}}"#))
    };
    let fault = |reservation: &str, path: &str| assert_eq!(faults_of(reservation), [path], "{reservation}");
    fault(r#"{"mac":"02:00:5e:00:00:01","address":"192.168.77.10"}"#, "reservations.1.mac");
    fault(r#"{"mac":"ff:ff:ff:ff:ff:ff","address":"192.168.77.10"}"#, "reservations.1.mac");
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.9"}"#, "reservations.1.address");
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.1"}"#, "reservations.1.address");
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.255"}"#, "reservations.1.address");
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.78.9"}"#, "reservations.1.address");
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.10","name":"Printer"}"#, "reservations.1.name");
    fault(
        r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.10","name":"dialtone"}"#,
        "reservations.1.name",
    );
    fault(r#"{"mac":"02:00:5e:00:00:02","address":"192.168.77.10","name":"a_b"}"#, "reservations.1.name");
}

#[test]
fn port_forwards_lead_to_lan_devices_and_do_not_share_ports() {
    let faults_of = |forward: &str| {
        let first = r#"{"name":"web","external":"8000-8010","device":"192.168.77.9"}"#;
        faults(&std::format!(r#"{{"nat":{{"port_forwards":[{first},{forward}]}}}}"#))
    };
    let fault = |forward: &str, field: &str| {
        assert_eq!(faults_of(forward), [std::format!("nat.port_forwards.1.{field}")], "{forward}");
    };
    fault(r#"{"external":80,"device":"192.168.77.1"}"#, "device");
    fault(r#"{"external":80,"device":"8.8.8.8"}"#, "device");
    fault(r#"{"external":8010,"device":"192.168.77.9"}"#, "external");
    fault(r#"{"external":"100-9000","protocol":"both","device":"192.168.77.9"}"#, "external");
    fault(r#"{"external":68,"protocol":"udp","device":"192.168.77.9"}"#, "external");
    fault(r#"{"external":"80-82","device":"192.168.77.9","internal_port":65534}"#, "internal_port");
    fault(r#"{"external":80,"device":"192.168.77.9","internal_port":0}"#, "internal_port");
    fault(r#"{"name":"a\nb","external":80,"device":"192.168.77.9"}"#, "name");
}

#[test]
fn firewall_rules_make_sense() {
    let faults_of = |rule: &str| {
        let first = r#"{"from":"lan","to":"wan","protocol":"tcp","ports":25,"action":"reject"}"#;
        faults(&std::format!(r#"{{"firewall":{{"rules":[{first},{rule}]}}}}"#))
    };
    let fault = |rule: &str, path: &str| assert_eq!(faults_of(rule), [path], "{rule}");
    fault(r#"{"from":"lan","to":"lan","action":"drop"}"#, "firewall.rules.1.to");
    fault(r#"{"from":"wan","to":"lan","action":"allow"}"#, "firewall.rules.1.action");
    fault(r#"{"from":"guest","to":"lan","action":"allow"}"#, "firewall.rules.1.ports");
    fault(r#"{"from":"lan","to":"wan","ports":80,"action":"drop"}"#, "firewall.rules.1.ports");
    fault(
        r#"{"from":"lan","to":"wan","protocol":"icmp","ports":80,"action":"drop"}"#,
        "firewall.rules.1.ports",
    );
    fault(
        r#"{"from":"wan","to":"lan","device":"02:00:5e:00:00:01","action":"drop"}"#,
        "firewall.rules.1.device",
    );
    fault(
        r#"{"from":"lan","to":"wan","device":"00:00:00:00:00:00","action":"drop"}"#,
        "firewall.rules.1.device",
    );
    fault(r#"{"from":"lan","to":"wan","protocol":"tcp","ports":25,"action":"allow"}"#, "firewall.rules.1");
}

#[test]
fn many_faults_are_told_at_once_and_the_rest_counted() {
    let mut tree = Settings::default();
    for _ in 0..crate::tree::RESERVATIONS {
        let address = Ipv4Addr::new(1, 1, 1, 1);
        let mac = dialtone_base::MacAddress::ZERO;
        tree.reservations.push(crate::tree::Reservation { mac, address, name: Text::new() }).unwrap();
    }
    let problems = validate(&tree).unwrap_err();
    assert_eq!(problems.iter().count(), PROBLEMS);
    assert_eq!(problems.more(), 64 * 4 - 2 - PROBLEMS);
    assert!(std::format!("{problems}").ends_with("and 238 more"));
}
