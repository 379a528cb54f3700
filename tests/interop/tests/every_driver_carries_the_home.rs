//! The same home through each port driver: AF_XDP, AF_PACKET and TAP; and without root, by file capabilities.

use dialtone_interop::home::{Home, WEB, WEB_NAME, binary};

const NAME: &str = "every_driver_carries_the_home";

#[test]
fn af_packet() {
    let Some(mut home) = Home::wire(NAME, &["udhcpc"]) else { return };
    home.driver = "packet";
    prove(&mut home);
}

#[test]
fn af_xdp_where_the_peers_finish_their_checksums() {
    let Some(mut home) = Home::wire(NAME, &["udhcpc", "ethtool"]) else { return };
    home.driver = "xdp";
    for (machine, interface) in [(&home.client, "c0"), (&home.second, "c0"), (&home.operator, "i0")] {
        machine.must(&format!("ethtool -K {interface} tx off"), 10);
    }
    prove(&mut home);
    assert!(home.router_program().output().contains("AF_XDP: as asked, in its driver"));
}

#[test]
fn tap_devices_handed_to_containers() {
    let Some(mut home) = Home::wire(NAME, &["udhcpc"]) else { return };
    home.driver = "tap";
    // The router makes devices of its own; the cables of the usual wiring give way.
    for (machine, interface) in
        [(&home.client, "c0"), (&home.second, "c0"), (&home.guest, "c0"), (&home.operator, "i0")]
    {
        machine.ip(&format!("link del {interface}"));
    }
    home.start_router("");
    for (port, machine, name) in [("lan0", &home.client, "c0"), ("wan0", &home.operator, "i0")] {
        home.router.ip(&format!("link set {port} netns {} name {name}", machine.name()));
        machine.ip(&format!("link set {name} up"));
    }
    home.operator.ip("addr add 198.51.100.1/24 dev i0");
    home.operate();
    home.router_program().wait_for("internet up", 30);
    home.lease(&home.client);
    home.must_fetch(&home.client);
    let said = home
        .client
        .must(&format!("curl -sS -m 20 -o /dev/null -w '%{{size_download}}' http://{WEB}/large"), 25);
    assert_eq!(said.trim(), "30000000");
}

#[test]
fn without_root_by_file_capabilities() {
    let Some(mut home) = Home::wire(NAME, &["udhcpc", "setcap", "setpriv"]) else { return };
    let program = home.lab.directory().join("dialtone");
    std::fs::copy(binary(), &program).unwrap();
    home.router.must(&format!("chmod 755 {}", home.lab.directory().display()), 5);
    home.router.must(&format!("setcap cap_net_admin,cap_net_raw,cap_bpf+ep {}", program.display()), 5);
    let place = home.lab.directory().join("place");
    std::fs::create_dir(&place).unwrap();
    home.router.must(&format!("chown 65534:65534 {}", place.display()), 5);
    home.operate();
    let mut router = home.router.start(
        "router",
        &format!(
            "setpriv --reuid=65534 --regid=65534 --clear-groups {} run --wan wan0 --lan lan0 --flash {}/flash --socket {}/socket",
            program.display(),
            place.display(),
            place.display()
        ),
    );
    router.wait_for("internet up", 30);
    home.lease(&home.client);
    home.must_fetch(&home.client);
    let status = home.router.must(&format!("grep CapEff /proc/{}/status", router.id()), 5);
    assert!(status.contains("0000000000000000"), "{status}");
    drop(router);
    // Given back without root, too.
    let after = home.router.must("ip -o link show lan0; nft list ruleset", 5);
    assert!(after.contains("state DOWN") && !after.contains("dialtone_"), "{after}");
}

fn prove(home: &mut Home) {
    home.operate();
    home.route("");
    home.lease(&home.client);
    home.must_fetch(&home.client);
    let page = home.client.must(&format!("curl -sS -m 10 http://{WEB_NAME}/"), 15);
    assert!(page.contains("hello"), "{page}");
    // Long enough for super-frames and retransmissions to show.
    let said = home
        .client
        .must(&format!("curl -sS -m 20 -o /dev/null -w '%{{size_download}}' http://{WEB}/large"), 25);
    assert_eq!(said.trim(), "30000000");
}
