//! A forwarded port leads to its device, from the WAN and, through hairpin, from inside the home.

use dialtone_interop::home::{CLIENT_MAC, Home};

#[test]
fn from_the_wan_and_through_hairpin() {
    let settings = format!(
        r#"{{ "schema": 1,
             "reservations": [ {{ "mac": "{CLIENT_MAC}", "address": "192.168.77.50", "name": "server" }} ],
             "nat": {{ "port_forwards": [
                {{ "name": "web", "protocol": "tcp", "external": "8080", "device": "192.168.77.50", "internal_port": 80 }} ] }} }}"#
    );
    let Some(mut home) = Home::live("a_port_forward_is_reached", &[], &settings) else { return };
    home.lease(&home.second);
    assert_eq!(home.address_of(&home.client, "c0"), "192.168.77.50");
    let folder = home.lab.directory().join("home-web");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "served at home").unwrap();
    let server = home.client.start("home-web", &format!("busybox httpd -f -p 80 -h {}", folder.display()));
    home.programs.push(server);
    let address = home.wan_address();
    let fetch = format!("curl -sS -m 5 --retry 3 --retry-connrefused http://{address}:8080/");
    for machine in [&home.operator, &home.second, &home.client] {
        let said = machine.must(&fetch, 20);
        assert!(said.contains("served at home"), "{}: {said}", machine.name());
    }
    // Only that port.
    assert!(!home.operator.shell(&format!("curl -sS -m 2 http://{address}:80/"), 5).ok);
}
