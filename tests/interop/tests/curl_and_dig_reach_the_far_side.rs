//! A real client gets an address, resolves a name and fetches a page through the router.

use dialtone_interop::home::{Home, PAGE, ROUTER, WEB, WEB_NAME};

const NAME: &str = "curl_and_dig_reach_the_far_side";

#[test]
fn curl_fetches_a_page_by_name() {
    let Some(home) = Home::live(NAME, &["curl"], "") else { return };
    let page = home.client.must(&format!("curl -sS -m 10 http://{WEB_NAME}/"), 15);
    assert!(page.contains(PAGE), "{page}");
    // And by address, and from a machine on another port.
    home.lease(&home.second);
    home.must_fetch(&home.second);
}

#[test]
fn dig_and_kdig_get_answers_over_udp_and_tcp() {
    let Some(home) = Home::live(NAME, &["dig", "kdig"], "") else { return };
    for line in [
        format!("dig +short {WEB_NAME}"),
        format!("dig +tcp +short {WEB_NAME}"),
        format!("dig +noedns +short {WEB_NAME}"),
        format!("kdig +short @{ROUTER} {WEB_NAME}"),
        format!("kdig +tcp +keepopen +short @{ROUTER} {WEB_NAME} A second.example.net A"),
    ] {
        let said = home.client.must(&line, 15);
        assert!(said.contains(WEB), "{line}: {said}");
    }
    let missing = home.client.must("dig nosuch.example.net", 15);
    assert!(missing.contains("NXDOMAIN"), "{missing}");
    // 4 KiB of TXT: by TCP after truncation, or at once with a large EDNS size.
    for line in [
        "dig +short +bufsize=1232 TXT long.example.net",
        "dig +short +bufsize=4096 +notcp TXT long.example.net",
    ] {
        let said = home.client.must(line, 15);
        assert!(said.len() > 4000, "{line}: {} bytes", said.len());
    }
}

#[test]
fn names_of_the_home_are_answered_and_private_answers_from_outside_are_not() {
    let Some(home) = Home::live(NAME, &["dig"], "") else { return };
    assert_eq!(home.client.must("dig +short dialtone.home.arpa", 15).trim(), ROUTER);
    let rebind = home.client.must("dig rebind.example.net", 15);
    assert!(!rebind.contains("192.168.77.9"), "{rebind}");
}
