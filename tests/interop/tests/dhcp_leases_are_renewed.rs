//! Real DHCP clients lease and renew on the LAN; real DHCP servers lease to the WAN and see it renew.
//!
//! Leases of 120 seconds, the shortest the settings allow: everybody renews after 60.

use std::fs;

use dialtone_interop::home::{Home, OPERATOR};
use dialtone_interop::{eventually, peers};

const NAME: &str = "dhcp_leases_are_renewed";
const SHORT: &str = r#"{ "schema": 1, "lan": { "dhcp": { "lease_seconds": 120 } } }"#;

#[test]
fn udhcpc_dhclient_and_dhcpcd_renew_and_so_does_the_router_at_dnsmasq() {
    let Some(mut home) = Home::wire(NAME, &["udhcpc", "dhclient", "dhcpcd"]) else { return };
    home.third_port = "lan";
    home.operate();
    home.route(SHORT);

    let script = peers::udhcpc_script(&home.lab);
    let mut udhcpc =
        home.client.start("udhcpc", &format!("udhcpc -f -t 8 -T 1 -i c0 -s {script} -x hostname:sofa"));
    let folder = home.lab.directory().display().to_string();
    let script = peers::dhclient_script(&home.lab);
    fs::write(format!("{folder}/dhclient.conf"), "send host-name \"desk\";\n").unwrap();
    let mut dhclient = home.second.start(
        "dhclient",
        &format!("dhclient -d -v -sf {script} -cf {folder}/dhclient.conf -lf {folder}/dhclient.leases -pf {folder}/dhclient.pid c0"),
    );
    // dhcpcd keeps its state where it likes; it gets folders of its own there.
    let mut dhcpcd = home.guest.start(
        "dhcpcd",
        "sh -c 'mkdir -p /run/dhcpcd /var/lib/dhcpcd && mount -t tmpfs none /run/dhcpcd && \
         mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -B -d -4 --noarp -f /dev/null -o routers -o domain_name_servers -h shelf c0'",
    );
    udhcpc.wait_for("udhcpc: bound", 15);
    dhclient.wait_for("bound to 192.168.77.", 15);
    dhcpcd.wait_for("leased 192.168.77.", 30);
    let machines = [home.client.clone(), home.second.clone(), home.guest.clone()];
    machines.iter().for_each(|machine| home.must_fetch(machine));
    let before = machines.each_ref().map(|machine| home.address_of(machine, "c0"));

    udhcpc.wait_for("udhcpc: renew", 80);
    dhclient.wait_for_count("bound to 192.168.77.", 2, 80);
    dhcpcd.wait_for_count("acknowledged 192.168.77.", 2, 80);
    // The operator's lease is as short.
    let dnsmasq = &mut home.programs[0];
    dnsmasq.wait_for_count("DHCPACK(i0)", 2, 80);
    machines.iter().for_each(|machine| home.must_fetch(machine));
    assert_eq!(before, machines.each_ref().map(|machine| home.address_of(machine, "c0")));
    let router = home.router_program().output();
    for name in ["sofa", "desk", "shelf"] {
        assert!(router.contains(&format!("\"{name}\" on lan")), "no lease for {name}:\n{router}");
    }
}

#[test]
fn kea_serves_the_wan_and_sees_it_renew() {
    let Some(mut home) = Home::wire(NAME, &["kea-dhcp4"]) else { return };
    // Kea opens its sockets once, so the cable must have both ends by then.
    home.router.ip("link set wan0 up");
    assert!(eventually(5, || home.operator.try_ip("link show i0").text.contains("state UP")));
    let mut kea = peers::kea(&home.lab, &home.operator);
    kea.wait_for("DHCP4_STARTED", 20);
    home.programs.push(peers::dnsmasq_names(&home.operator));
    home.serve_web();
    home.route("");
    home.lease(&home.client);
    home.must_fetch(&home.client);
    // Kea said to renew after four seconds.
    kea.wait_for_count("DHCP4_LEASE_ALLOC", 3, 20);
    home.must_fetch(&home.client);
    let said = home.router_program().output();
    let (_, since_up) = said.split_once("internet up").expect("the internet came up");
    assert!(!since_up.contains("internet down"), "{since_up}");
}

#[test]
fn an_operator_that_goes_away_and_comes_back_is_found_again_while_the_lan_keeps_working() {
    let Some(mut home) = Home::live(NAME, &["dig"], "") else { return };
    home.operator.ip("link set i0 down");
    assert!(eventually(10, || home.router_program().output().contains("internet down")));
    // Names of the home and leases need no operator.
    home.lease(&home.second);
    let own = home.second.must("dig +short dialtone.home.arpa", 10);
    assert_eq!(own.trim(), dialtone_interop::home::ROUTER);
    home.operator.ip("link set i0 up");
    home.operator.try_ip(&format!("addr add {OPERATOR}/24 dev i0"));
    home.router_program().wait_for_count("internet up", 2, 30);
    home.must_fetch(&home.client);
}
