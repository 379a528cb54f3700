//! Files and single fields, as people get them wrong.

use super::*;

fn refusal(text: &str) -> String {
    import(text).unwrap_err().to_string()
}

#[test]
fn an_exported_tree_comes_back_as_it_was() {
    let mut tree = Settings::default();
    tree.wan.mtu = 1400;
    tree = *with_value(
        &tree,
        "reservations.+",
        r#"{"mac":"02:00:5e:00:00:01","address":"192.168.77.9","name":"tv"}"#,
    )
    .unwrap();
    assert_eq!(*import(&export(&tree)).unwrap(), tree);
}

#[test]
fn a_file_may_leave_out_whatever_it_does_not_change() {
    assert_eq!(*import("{}").unwrap(), Settings::default());
    assert_eq!(import(r#"{"wan":{"mtu":1400}}"#).unwrap().wan.mtu, 1400);
}

#[test]
fn faults_of_form_name_line_column_and_field() {
    let text = "{\n  \"lan\": {\n    \"adress\": \"10.0.0.1/24\"\n  }\n}";
    assert_eq!(
        refusal(text),
        "line 3, column 12: lan.adress: there is no such field; \
         expected one of `address`, `dhcp`, `domain`, `captive_portal_uri`"
    );
    assert_eq!(
        refusal("{\n\"wan\": {\"mtu\": \"big\"}}"),
        "line 2, column 20: wan.mtu: \"big\" does not fit; it wants: number (bytes, 576 to 1500)"
    );
    assert_eq!(
        refusal("{\"lan\":{\"address\":\"192.168.1.1\"}}"),
        "line 1, column 31: lan.address: not an address with prefix length like 192.168.1.1/24"
    );
    assert_eq!(
        refusal("{\"lan\":{\"address\":\n\"192.168.1.1\"\n  \n}}"),
        "line 2, column 13: lan.address: not an address with prefix length like 192.168.1.1/24"
    );
    let missing = refusal("{\"nat\":{\"port_forwards\":[{\"external\":80}]}}");
    assert!(missing.ends_with("nat.port_forwards.0: missing field `device`"), "{missing}");
    let cut = refusal("{\"lan\":{\"address\":");
    assert!(cut.contains("lan.address: EOF"), "{cut}");
    assert_eq!(refusal(" \n"), "is empty; factory settings are {}");
    let twice = refusal("{\"wan\":{\"mtu\":1400,\"mtu\":1401}}");
    assert!(twice.contains("wan.mtu: duplicate field"), "{twice}");
}

#[test]
fn a_list_is_no_group_of_settings() {
    for text in ["[]", "null", "5", "\"factory\""] {
        assert!(refusal(text).starts_with("wants {…} with schema, system, wan, lan,"), "{text}");
    }
    assert_eq!(
        refusal("{\"system\":[\"attic\"]}"),
        "line 1, column 2: system: wants {…} with hostname, ntp_servers"
    );
    assert_eq!(
        refusal("{\"lan\":{\"dhcp\":[true,null,null,60]}}"),
        "line 1, column 9: lan.dhcp: wants {…} with enabled, first, last, lease_seconds"
    );
    assert_eq!(
        refusal("{\"reservations\":[[]]}"),
        "line 1, column 18: reservations.0: wants {…} with mac, address, name"
    );
    assert_eq!(
        refusal("{\"firewall\":{\"rules\":{}}}"),
        "line 1, column 14: firewall.rules: wants a list: [{…}, {…}]"
    );
}

#[test]
fn faults_of_meaning_are_all_told_with_their_lines() {
    let text = "{\n  \"lan\": {\n    \"address\": \"192.168.78.1/24\",\n    \"dhcp\": {\"lease_seconds\": 5}\n  },\n  \
                \"guest\": {\"enabled\": true}\n}";
    let refused = import(text).unwrap_err();
    let told: Vec<_> =
        refused.faults.iter().map(|fault| (fault.position.unwrap().line, fault.path.as_str())).collect();
    assert_eq!(told, [(4, "lan.dhcp.lease_seconds"), (6, "guest.address")]);
}

#[test]
fn lists_longer_than_their_limit_are_refused() {
    let servers = vec_of("\"9.9.9.9\"", 5);
    let message = refusal(&format!("{{\"dns\":{{\"upstreams\":[{servers}]}}}}"));
    assert!(message.contains("dns.upstreams"), "{message}");
    let long = format!("{{\"system\":{{\"hostname\":\"{}\"}}}}", "x".repeat(64));
    assert!(refusal(&long).contains("system.hostname"), "{}", refusal(&long));
}

fn vec_of(item: &str, count: usize) -> String {
    alloc::vec![item; count].join(",")
}

#[test]
fn one_field_is_read_and_set_by_its_path() {
    let tree = Settings::default();
    assert_eq!(value_at(&tree, "lan.dhcp.lease_seconds").unwrap(), "43200");
    assert_eq!(value_at(&tree, "system.hostname").unwrap(), "dialtone");
    assert_eq!(value_at(&tree, "wan.static.gateway").unwrap(), "null");
    let set = |path: &str, text: &str| with_value(&tree, path, text).unwrap();
    assert_eq!(set("lan.dhcp.lease_seconds", "3600").lan.dhcp.lease_seconds, 3600);
    assert_eq!(set("system.hostname", "123").system.hostname.as_str(), "123");
    assert_eq!(set("wan.dhcp.hostname", "null").wan.dhcp.hostname, None);
    assert_eq!(set("dns.upstreams", "9.9.9.9, 1.1.1.1").dns.upstreams.len(), 2);
    assert_eq!(set("dns.upstreams", "[\"9.9.9.9\"]").dns.upstreams.len(), 1);
    assert_eq!(set("system.ntp_servers", "").system.ntp_servers.len(), 0);
    assert_eq!(set("dns.upstreams.+", "9.9.9.9").dns.upstreams.len(), 1);
    assert_eq!(set("dns.upstreams.0", "9.9.9.9").dns.upstreams.len(), 1);
    assert!(!set("dns.rebind_protection", "false").dns.rebind_protection);
    assert_eq!(set("lan.address", "10.0.0.1/24").lan.address.length(), 24);
}

#[test]
fn a_field_that_is_not_there_or_does_not_fit_is_explained() {
    let tree = Settings::default();
    let fault = |path: &str, text: &str| with_value(&tree, path, text).unwrap_err().to_string();
    assert_eq!(
        fault("lan.dhpc", "1"),
        "lan.dhpc: lan has no \"dhpc\"; it has address, captive_portal_uri, dhcp, domain"
    );
    assert_eq!(fault("wan.mtu.x", "1"), "wan.mtu.x: wan.mtu is one value and has no \"x\"");
    assert!(fault("reservations.5", "{}").contains("has 0 entries"));
    assert_eq!(
        fault("wan.mtu", "big"),
        "wan.mtu: \"big\" does not fit; it wants: number (bytes, 576 to 1500)"
    );
    assert_eq!(fault("wan.mtu", "100"), "wan.mtu: 100 is not within 576 to 1500 bytes");
    assert_eq!(
        fault("wan.mtu", "99999"),
        "wan.mtu: 99999 does not fit; it wants: number (bytes, 576 to 1500)"
    );
    assert_eq!(fault("wan.mode", "pppoe"), "wan.mode: pppoe does not fit; it wants: choice (dhcp, static)");
    assert_eq!(fault("dns.upstreams.+", "x"), "dns.upstreams.0: not an address like 192.0.2.1");
    assert_eq!(fault("reservations.+", "tv"), "reservations.0: wants {…} with mac, address, name");
    assert_eq!(fault("reservations.+", "{\"mac\":1}").split(':').next(), Some("reservations.0.mac"));
    assert!(value_at(&tree, "nothing").is_err());
}

#[test]
fn a_field_goes_back_to_its_default_and_an_entry_out_of_its_list() {
    let tree = *with_value(&Settings::default(), "dns.upstreams", "9.9.9.9,1.1.1.1").unwrap();
    assert_eq!(without_value(&tree, "dns.upstreams.0").unwrap().dns.upstreams.len(), 1);
    assert_eq!(*without_value(&tree, "dns.upstreams").unwrap(), Settings::default());
    assert_eq!(*without_value(&tree, "").unwrap(), Settings::default());
    assert!(without_value(&tree, "dns.nothing").is_err());
}

const ACCOUNT: &str =
    r#"{"name":"home","domain":"op.example","numbers":["4930123"],"auth_password":"correct horse"}"#;

#[test]
fn a_password_is_never_shown_and_survives_changes_around_it() {
    let tree = with_value(&Settings::default(), "telephony.accounts.+", ACCOUNT).unwrap();
    assert!(!export(&tree).contains("horse") && !format!("{tree:?}").contains("horse"));
    assert_eq!(value_at(&tree, "telephony.accounts.0.auth_password").unwrap(), "********");
    // Another field, another account in front of it, and the file written out and read back.
    let tree = with_value(&tree, "telephony.accounts.0.display_name", "Ann").unwrap();
    let other = r#"[{"domain":"other.example","numbers":["1"]},{"name":"home","domain":"op.example",
        "numbers":["4930123"],"auth_password":"********"}]"#;
    let moved = with_value(&tree, "telephony.accounts", other).unwrap();
    assert_eq!(moved.telephony.accounts[1].auth_password.reveal(), "correct horse");
    let back = import_over(&tree, &export(&tree)).unwrap();
    assert_eq!(back.telephony.accounts[0].auth_password.reveal(), "correct horse");
    let set = with_value(&tree, "telephony.accounts.0.auth_password", "new").unwrap();
    assert_eq!(set.telephony.accounts[0].auth_password.reveal(), "new");
}

#[test]
fn a_file_from_another_router_says_that_its_password_is_missing() {
    let tree = with_value(&Settings::default(), "telephony.accounts.+", ACCOUNT).unwrap();
    let refused = import_over(&Settings::default(), &export(&tree)).unwrap_err();
    assert_eq!(refused.faults[0].path, "telephony.accounts.0.auth_password");
    assert!(import(&export(&tree)).is_err(), "nobody has ******** for a password");
    assert_eq!(check_file(&export(&tree)), Ok(()), "the router it came from has it");
}

#[test]
fn a_line_end_in_a_name_or_password_does_not_reach_a_sip_header() {
    for field in ["name", "auth_user_name", "auth_password", "display_name"] {
        let account = format!(r#"{{"domain":"op.example","numbers":["1"],"{field}":"x\r\nVia: y"}}"#);
        let refused = import(&format!(r#"{{"telephony":{{"accounts":[{account}]}}}}"#)).unwrap_err();
        assert_eq!(refused.faults[0].path, format!("telephony.accounts.0.{field}"));
    }
}

#[test]
fn a_telephone_that_cannot_work_is_refused_field_by_field() {
    let fault = |text: &str| import(text).unwrap_err().faults[0].path.clone();
    for (text, path) in [
        (r#"{"telephony":{"country":"XX"}}"#, "telephony.country"),
        (r#"{"telephony":{"digit_map":"[2-"}}"#, "telephony.digit_map"),
        (
            r#"{"telephony":{"accounts":[{"domain":"op.example","numbers":[]}]}}"#,
            "telephony.accounts.0.numbers",
        ),
        (r#"{"telephony":{"accounts":[{"domain":"a b","numbers":["1"]}]}}"#, "telephony.accounts.0.domain"),
        (
            r#"{"telephony":{"accounts":[{"domain":"op.example","numbers":["1@x"]}]}}"#,
            "telephony.accounts.0.numbers.0",
        ),
        (r#"{"telephony":{"lines":[{"account":3}]}}"#, "telephony.lines.0.account"),
        (r#"{"telephony":{"lines":[{"forward_busy":"abc"}]}}"#, "telephony.lines.0.forward_busy"),
        (r#"{"telephony":{"rules":[{"prefix":"0"},{"prefix":"0"}]}}"#, "telephony.rules.1.prefix"),
        (
            r#"{"telephony":{"phone_book":[{"name":"A","number":"1","short_code":0}]}}"#,
            "telephony.phone_book.0.short_code",
        ),
    ] {
        assert_eq!(fault(text), path);
    }
}
