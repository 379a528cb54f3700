//! Links go down and up a hundred times, LAN and WAN by turns; afterwards all works as before.

use std::time::Duration;

use dialtone_interop::home::{Home, WEB_NAME};

#[test]
fn flaps_lose_nothing() {
    let Some(mut home) = Home::live("a_hundred_link_flaps_leave_everything_working", &[], "") else { return };
    let before = home.address_of(&home.client, "c0");
    for flap in 0..100 {
        let (machine, link) = if flap % 2 == 0 { (&home.client, "c0") } else { (&home.operator, "i0") };
        machine.ip(&format!("link set {link} down"));
        // From shorter than the kernel tells to long enough for a DHCP exchange.
        std::thread::sleep(Duration::from_millis([5, 50, 150][flap % 3]));
        machine.ip(&format!("link set {link} up"));
        std::thread::sleep(Duration::from_millis([5, 20, 200][flap / 2 % 3]));
    }
    // The kernel forgot the machine's route with its link; a new lease gives it back, with the same address.
    home.lease(&home.client);
    assert_eq!(home.address_of(&home.client, "c0"), before);
    home.must_fetch(&home.client);
    home.lease(&home.second);
    home.must_fetch(&home.second);
    let page = home.client.must(&format!("curl -sS -m 10 http://{WEB_NAME}/"), 15);
    assert!(page.contains("hello"), "{page}");
    assert!(home.router_program().output().contains("link down"));
}
