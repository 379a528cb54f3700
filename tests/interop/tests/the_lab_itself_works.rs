//! Control: with the kernel as the router the lab's peers do what the other tests expect of them.

use dialtone_interop::home::{Home, OPERATOR, PAGE, WEB, WEB_NAME};

#[test]
fn the_kernel_as_router_lets_a_client_fetch_the_page() {
    let Some(mut home) = Home::wire("the_lab_itself_works", &["nft", "dig", "curl"]) else { return };
    home.operate();
    home.route_by_kernel();
    home.must_fetch(&home.client.clone());
    assert!(home.client.must(&format!("curl -sS -m 5 http://{WEB}/"), 8).contains(PAGE));
    assert!(home.client.must(&format!("dig +short @{OPERATOR} {WEB_NAME}"), 8).contains(WEB));
}
