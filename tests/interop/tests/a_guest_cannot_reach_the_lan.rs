//! A visitor reaches the internet, and neither the household nor the router's own pages.

use dialtone_interop::home::{Home, ROUTER, WEB_NAME};

#[test]
fn guests_reach_the_far_side_only() {
    let settings = r#"{ "schema": 1, "guest": { "enabled": true } }"#;
    let Some(home) = Home::live("a_guest_cannot_reach_the_lan", &[], settings) else { return };
    home.lease(&home.guest);
    home.must_fetch(&home.guest);
    let page = home.guest.must(&format!("curl -sS -m 10 http://{WEB_NAME}/"), 15);
    assert!(page.contains("hello"), "{page}");
    let client = home.address_of(&home.client, "c0");
    let guest = home.address_of(&home.guest, "c0");
    assert!(guest.starts_with("192.168.78."), "{guest}");
    for target in [client.as_str(), ROUTER] {
        assert!(!home.guest.shell(&format!("ping -c 2 -W 1 {target}"), 6).ok, "{target} answers a guest");
        assert!(
            !home.guest.shell(&format!("curl -sS -m 2 http://{target}/"), 5).ok,
            "{target} serves a guest"
        );
    }
    // The household reaches the router and its page.
    assert!(home.client.shell(&format!("ping -c 2 -W 2 {ROUTER}"), 8).ok);
    assert!(home.client.shell(&format!("curl -sS -m 5 http://{ROUTER}/"), 8).ok);
}
