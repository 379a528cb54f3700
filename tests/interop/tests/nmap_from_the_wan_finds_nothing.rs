//! A scan from the operator's side sees neither a host nor a port, open or closed; nor does the kernel beside us answer.

use dialtone_interop::home::{Home, WEB};

const NAME: &str = "nmap_from_the_wan_finds_nothing";

#[test]
fn every_probe_is_met_with_silence() {
    let Some(mut home) = Home::live(NAME, &["nmap"], "") else { return };
    // The kernel under the router would forward and answer if it saw anything.
    home.router.sysctl("net/ipv4/ip_forward", "1");
    let address = home.wan_address();
    let scans = [
        format!("nmap -n -sn --disable-arp-ping -PE -PS443 -PA80 {address}"),
        format!("nmap -n -Pn --disable-arp-ping -sS -T4 --max-retries 0 --min-rate 4000 -p1-20000 {address}"),
        format!("nmap -n -Pn --disable-arp-ping -sA -T4 --max-retries 0 --min-rate 4000 -p1-1000 {address}"),
        format!(
            "nmap -n -Pn --disable-arp-ping -sU -T4 --max-retries 0 --min-rate 1000 -p53,67,68,80,123,161,500,1900,5353,5351 {address}"
        ),
    ];
    for scan in scans {
        let said = home.operator.must(&scan, 120);
        println!("{said}");
        let telling = ["/tcp open", "/udp open ", " closed", "unfiltered", "1 host up)", "Host is up"];
        let found: Vec<_> = said
            .lines()
            // With -Pn nmap calls every host up, but then knows no latency.
            .filter(|line| !line.starts_with("Host is up.") && !line.contains("-Pn"))
            .filter(|line| !(scan.contains("-Pn") && line.starts_with("Nmap done")))
            .filter(|line| telling.iter().any(|word| line.contains(word)))
            .collect();
        assert!(found.is_empty(), "{scan} found {found:?}\n{said}");
    }
    // A scan does not disturb the home.
    home.must_fetch(&home.client);
    let _ = WEB;
}

#[test]
fn the_kernel_beside_the_router_neither_answers_nor_forwards() {
    let Some(mut home) = Home::live(NAME, &["nmap"], "") else { return };
    home.router.sysctl("net/ipv4/ip_forward", "1");
    let address = home.wan_address();
    // An address of the router's machine on another interface: the kernel would answer ARP and ping for it anywhere.
    home.router.ip("addr add 198.51.100.200/32 dev lo");
    home.router.ip("addr add 192.168.77.200/32 dev lo");
    assert!(!home.operator.shell("ping -c 2 -W 1 198.51.100.200", 6).ok);
    assert!(!home.client.shell("ping -c 2 -W 1 192.168.77.200", 6).ok);
    // A host on the WAN that routes the home's network to the router reaches nothing.
    let client = home.address_of(&home.client, "c0");
    home.operator.ip(&format!("route add 192.168.77.0/24 via {address}"));
    assert!(!home.operator.shell(&format!("ping -c 2 -W 1 {client}"), 6).ok);
    let seen = home
        .operator
        .shell(&format!("nmap -n -Pn --disable-arp-ping -sS --max-retries 0 -p1-100 {client}"), 30)
        .text;
    assert!(!seen.contains("closed") && !seen.contains("/tcp open"), "{seen}");
}
