//! Client, router and server, joined by veth pairs; the same for both routers.
//!
//! ```text
//! client 192.168.77.50 c0 ── lan0 192.168.77.1 router 198.51.100.x wan0 ── i0 198.51.100.1 server
//! ```

use std::time::Duration;

use dialtone_interop::{Lab, Namespace, Program, home};

use super::latency;

/// The server's address.
pub const SERVER: [u8; 4] = [198, 51, 100, 1];
/// The client's.
pub const CLIENT: [u8; 4] = [192, 168, 77, 50];
/// The router's in the home.
pub const ROUTER: &str = "192.168.77.1";
/// Names under this one the server's name server knows.
pub const DOMAIN: &str = "bench.example";

/// One router with its client and its server.
pub struct Yard {
    /// Who routes.
    pub name: &'static str,
    /// The home's machine.
    pub client: Namespace,
    /// Where the router is.
    pub router: Namespace,
    /// The far side.
    pub server: Namespace,
    /// The router's process, if it is one.
    pub process: Option<u32>,
    /// Programs that run as long as the yard stands; dropped before the lab.
    programs: Vec<Program>,
    /// Dropped last.
    pub lab: Lab,
}

impl Yard {
    /// With `dialtone run` as the router.
    pub fn dialtone(driver: &str) -> Result<Self, String> {
        let mut yard = Self::wire("dialtone")?;
        let directory = yard.lab.directory().display().to_string();
        if driver == "xdp" {
            // On veth nobody completes partial checksums for AF_XDP.
            yard.client.must("ethtool -K c0 tx off", 5);
            yard.server.must("ethtool -K i0 tx off", 5);
        }
        let line = format!(
            "{} run --wan wan0 --lan lan0 --driver {driver} --flash {directory}/flash --socket {directory}/console",
            home::binary().display()
        );
        let router = yard.router.start("router", &line);
        yard.process = Some(router.id());
        yard.programs.push(router);
        yard.works()
    }

    /// With the kernel and dnsmasq as the router.
    pub fn kernel() -> Result<Self, String> {
        let yard = Self::wire("kernel")?;
        let router = &yard.router;
        router.ip(&format!("addr add {ROUTER}/24 dev lan0"));
        router.ip("addr add 198.51.100.77/24 dev wan0");
        router.ip("link set lan0 up");
        router.ip("link set wan0 up");
        router.ip("route add default via 198.51.100.1");
        router.sysctl("net/ipv4/ip_forward", "1");
        let rules = yard.lab.file("router.nft", RULES);
        router.must(&format!("nft -f {}", rules.display()), 10);
        yard.works()
    }

    /// dnsmasq beside the kernel, for names and leases; nothing where the router has its own.
    pub fn serve_home(&mut self) {
        // The router has its own, or dnsmasq runs already.
        if self.process.is_some() {
            return;
        }
        let line = format!(
            "dnsmasq --no-daemon --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv \
             --server=198.51.100.1 --cache-size=10000 --dns-forward-max=1000 --interface=lan0 --bind-interfaces \
             --except-interface=lo --dhcp-range=192.168.77.100,192.168.77.249,12h --dhcp-authoritative \
             --dhcp-leasefile={}/home.leases --dhcp-lease-max=1000 --no-ping --log-facility=/dev/null --quiet-dhcp",
            self.lab.directory().display()
        );
        let program = self.router.start("dnsmasq", &line);
        self.process = Some(program.id());
        self.programs.push(program);
        self.name = "dnsmasq";
    }

    fn wire(name: &'static str) -> Result<Self, String> {
        let mut lab =
            Lab::open(&format!("bench-{name}"), &["ip", "dnsmasq"]).ok_or("the namespaces cannot be had")?;
        let [client, router, server] = ["client", "router", "server"].map(|role| lab.namespace(role));
        lab.cable(&client, "c0", &router, "lan0");
        lab.cable(&server, "i0", &router, "wan0");
        for (machine, interface, address) in
            [(&client, "c0", "192.168.77.50/24"), (&server, "i0", "198.51.100.1/24")]
        {
            machine.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
            machine.ip(&format!("addr add {address} dev {interface}"));
            machine.ip(&format!("link set {interface} up"));
        }
        client.ip(&format!("route add default via {ROUTER}"));
        let line = format!(
            "dnsmasq --no-daemon --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv --interface=i0 \
             --bind-interfaces --except-interface=lo --dhcp-range=198.51.100.77,198.51.100.78,1h \
             --dhcp-option=3,198.51.100.1 --dhcp-option=6,198.51.100.1 --dhcp-authoritative --no-ping \
             --dhcp-leasefile={}/operator.leases --address=/{DOMAIN}/203.0.113.80 --local-ttl=3600",
            lab.directory().display()
        );
        let operator = server.start("operator", &line);
        Ok(Self { name, client, router, server, process: None, programs: vec![operator], lab })
    }

    /// Waits until the client reaches the server.
    fn works(self) -> Result<Self, String> {
        let works = dialtone_interop::eventually(30, || {
            latency::round_trips(&self, Duration::from_millis(20)).is_ok_and(|times| !times.is_empty())
        });
        if works {
            return Ok(self);
        }
        let said: Vec<String> = self.programs.iter().map(Program::output).collect();
        Err(format!("the client does not reach the server; the programs said:\n{}", said.join("\n")))
    }
}

/// What a home router on Linux has: masquerade, and a filter that lets nothing in that was not asked for.
const RULES: &str = r#"
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname { "lo", "lan0" } accept
        icmp type echo-request accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state invalid drop
        iifname "lan0" oifname "wan0" accept
    }
}
table ip nat {
    chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }
}
"#;
