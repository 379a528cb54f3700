//! Configurations of the programs the router meets.
//!
//! Every one keeps its files in the lab's directory and touches nothing of the machine it runs on.

use crate::home::{OPERATOR, WEB, WEB_NAME};
use crate::{Lab, Namespace, Program};

/// Seconds of the leases the operator gives; short, so that tests see renewals.
pub const OPERATOR_LEASE: u32 = 120;

/// dnsmasq as the operator's DHCP and name server.
pub fn dnsmasq(lab: &Lab, operator: &Namespace) -> Program {
    dnsmasq_with(lab, operator, "")
}

/// The same, with more on its command line.
pub fn dnsmasq_with(lab: &Lab, operator: &Namespace, more: &str) -> Program {
    let range = format!("--dhcp-range=198.51.100.100,198.51.100.150,255.255.255.0,{OPERATOR_LEASE}");
    dnsmasq_at(lab, operator, &range, more)
}

/// The same, with its range of addresses.
pub fn dnsmasq_at(lab: &Lab, operator: &Namespace, range: &str, more: &str) -> Program {
    let directory = lab.directory().display();
    let line = format!(
        "dnsmasq --no-daemon --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv --log-dhcp \
         --log-queries --log-facility=- --interface=i0 --bind-interfaces --except-interface=lo \
         {range} --dhcp-option=3,{OPERATOR} \
         --dhcp-option=6,{OPERATOR} --dhcp-option=42,{OPERATOR} --dhcp-authoritative \
         --dhcp-leasefile={directory}/dnsmasq.leases --address=/{WEB_NAME}/{WEB} \
         --host-record=second.example.net,203.0.113.81 --txt-record=long.example.net,{} \
         --host-record=rebind.example.net,192.168.77.9 --local=/example.net/ {more}",
        (0..20).map(|part| format!("{}{part}", "x".repeat(200))).collect::<Vec<_>>().join(",")
    );
    operator.start("dnsmasq", &line)
}

/// dnsmasq as a name server only.
pub fn dnsmasq_names(operator: &Namespace) -> Program {
    let line = format!(
        "dnsmasq --no-daemon --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv --log-queries \
         --log-facility=- --interface=i0 --bind-interfaces --except-interface=lo --address=/{WEB_NAME}/{WEB}"
    );
    operator.start("dnsmasq-names", &line)
}

/// kea as the operator's DHCP server.
pub fn kea(lab: &Lab, operator: &Namespace) -> Program {
    let directory = lab.directory().display();
    let config = format!(
        r#"{{ "Dhcp4": {{
  "interfaces-config": {{ "interfaces": ["i0"], "dhcp-socket-type": "raw" }},
  "lease-database": {{ "type": "memfile", "persist": true, "name": "{directory}/kea.leases", "lfc-interval": 0 }},
  "valid-lifetime": {OPERATOR_LEASE}, "renew-timer": 4, "rebind-timer": 90,
  "subnet4": [ {{ "subnet": "198.51.100.0/24", "pools": [ {{ "pool": "198.51.100.100 - 198.51.100.150" }} ],
    "option-data": [ {{ "name": "routers", "data": "{OPERATOR}" }},
                     {{ "name": "domain-name-servers", "data": "{OPERATOR}" }} ] }} ],
  "loggers": [ {{ "name": "kea-dhcp4", "severity": "DEBUG", "debuglevel": 40,
    "output_options": [ {{ "output": "stdout", "flush": true }} ] }} ] }} }}"#
    );
    let file = lab.file("kea.json", &config);
    let line = format!(
        "env KEA_LOCKFILE_DIR={directory} KEA_PIDFILE_DIR={directory} KEA_DHCP_DATA_DIR={directory} kea-dhcp4 -c {}",
        file.display()
    );
    operator.start("kea", &line)
}

/// A script for udhcpc that sets address, route and name server.
pub fn udhcpc_script(lab: &Lab) -> String {
    lab.script(
        "udhcpc.sh",
        r#"#!/bin/sh
echo "udhcpc: $1 ip=$ip mask=$mask router=$router dns=$dns domain=$domain lease=$lease serverid=$serverid ntpsrv=$ntpsrv"
case "$1" in
bound | renew)
    ip -4 addr flush dev "$interface"
    ip addr add "$ip/$mask" broadcast "$broadcast" dev "$interface"
    ip route replace default via "${router%% *}"
    : > /etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done
    ;;
deconfig) ip -4 addr flush dev "$interface" ;;
esac
"#,
    )
}

/// A script for dhclient that does the same.
pub fn dhclient_script(lab: &Lab) -> String {
    lab.script(
        "dhclient.sh",
        r#"#!/bin/sh
echo "dhclient: $reason ip=$new_ip_address mask=$new_subnet_mask router=$new_routers dns=$new_domain_name_servers domain=$new_domain_name"
case "$reason" in
PREINIT) ip link set "$interface" up ;;
BOUND | RENEW | REBIND | REBOOT)
    ip -4 addr flush dev "$interface"
    ip addr add "$new_ip_address/$new_subnet_mask" dev "$interface"
    ip route replace default via "$new_routers"
    : > /etc/resolv.conf
    for server in $new_domain_name_servers; do echo "nameserver $server" >> /etc/resolv.conf; done
    ;;
EXPIRE | FAIL | RELEASE | STOP) ip -4 addr flush dev "$interface" ;;
esac
"#,
    )
}
