//! The usual topology: clients, a guest, the router, and an operator with a little web behind it.
//!
//! ```text
//! client c0 ── lan0 ┐
//! second c0 ── lan1 ┤ router ├ wan0 ── i0 operator 198.51.100.1/24
//! guest  c0 ── gst0 ┘                     web 203.0.113.80 and .81
//! ```

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::{Lab, Namespace, Program, eventually, peers};

/// The operator's end of the WAN link, name server and gateway.
pub const OPERATOR: &str = "198.51.100.1";
/// A web server on the far side, known as [`WEB_NAME`].
pub const WEB: &str = "203.0.113.80";
/// A second address of the far side.
pub const WEB_OTHER: &str = "203.0.113.81";
/// The name of [`WEB`] in the operator's name server.
pub const WEB_NAME: &str = "www.example.net";
/// Bytes of its file `/large`.
pub const LARGE: usize = 30_000_000;
/// What the web server answers.
pub const PAGE: &str = "the far side says hello";
/// The client's hardware address, for reservations.
pub const CLIENT_MAC: &str = "02:00:00:00:77:01";
/// The router in the home.
pub const ROUTER: &str = "192.168.77.1";

/// A home with everything wired and nobody running.
pub struct Home {
    /// A machine on the LAN.
    pub client: Namespace,
    /// Another one, on another port.
    pub second: Namespace,
    /// A visitor's machine.
    pub guest: Namespace,
    /// Where the router runs.
    pub router: Namespace,
    /// The operator and what is behind it.
    pub operator: Namespace,
    /// Where `gst0` belongs: `guest` or `lan`.
    pub third_port: &'static str,
    /// The port driver, as on the command line; empty for the router's own choice.
    pub driver: &'static str,
    /// Programs that run as long as the home does; dropped before the lab.
    pub programs: Vec<Program>,
    /// The namespaces' owner, dropped last.
    pub lab: Lab,
}

impl Home {
    /// Wires a home; `None` where no lab can be had.
    pub fn wire(name: &str, programs: &[&str]) -> Option<Self> {
        let mut lab = Lab::open(name, &[programs, &["busybox", "curl", "dnsmasq"]].concat())?;
        let [client, second, guest, router, operator] =
            ["client", "second", "guest", "router", "operator"].map(|role| lab.namespace(role));
        for (home, port) in [(&client, "lan0"), (&second, "lan1"), (&guest, "gst0")] {
            lab.cable(home, "c0", &router, port);
        }
        for (home, mac) in
            [(&client, CLIENT_MAC), (&second, "02:00:00:00:77:02"), (&guest, "02:00:00:00:77:03")]
        {
            home.ip(&format!("link set c0 address {mac} up"));
        }
        lab.cable(&operator, "i0", &router, "wan0");
        operator.ip("link set i0 up");
        operator.ip(&format!("addr add {OPERATOR}/24 dev i0"));
        operator.ip(&format!("addr add {WEB}/32 dev lo"));
        operator.ip(&format!("addr add {WEB_OTHER}/32 dev lo"));
        Some(Self {
            client,
            second,
            guest,
            router,
            operator,
            third_port: "guest",
            driver: "",
            programs: Vec::new(),
            lab,
        })
    }

    /// [`Home::wire`], then the operator's servers, the router and an address for the client.
    pub fn live(name: &str, programs: &[&str], settings: &str) -> Option<Self> {
        let mut home = Self::wire(name, &[programs, &["udhcpc"]].concat())?;
        home.operate();
        home.route(settings);
        home.lease(&home.client.clone());
        Some(home)
    }

    /// Starts dnsmasq and a web server at the operator.
    pub fn operate(&mut self) {
        let mut dns = peers::dnsmasq(&self.lab, &self.operator);
        dns.wait_for("started", 10);
        self.programs.push(dns);
        self.serve_web();
    }

    /// Starts the web server on the far side.
    pub fn serve_web(&mut self) {
        let folder = self.lab.directory().join("web");
        std::fs::create_dir_all(&folder).expect("a folder for the web server");
        std::fs::write(folder.join("index.html"), PAGE).expect("a page");
        std::fs::write(folder.join("large"), vec![b'x'; LARGE]).expect("a large file");
        let line = format!("busybox httpd -f -vv -p 80 -h {}", folder.display());
        self.programs.push(self.operator.start("web", &line));
    }

    /// Starts `dialtone run` with a settings document (empty: as from the factory) and waits for the internet.
    pub fn route(&mut self, settings: &str) -> usize {
        let place = self.start_router(settings);
        self.programs[place].wait_for("internet up", 20);
        place
    }

    /// Starts `dialtone run` and waits until it is up; its place in `programs`.
    pub fn start_router(&mut self, settings: &str) -> usize {
        let directory = self.lab.directory().display();
        let mut line = format!(
            "{} run --wan wan0 --lan lan0,lan1 --{} gst0 --flash {directory}/flash --socket {directory}/console",
            binary().display(),
            self.third_port
        );
        if !settings.is_empty() {
            let file = self.lab.file("settings.json", settings);
            line.push_str(&format!(" --config {}", file.display()));
        }
        let asked = std::env::var("INTEROP_DRIVER").unwrap_or_default();
        let driver = if self.driver.is_empty() { asked.as_str() } else { self.driver };
        if !driver.is_empty() {
            line.push_str(&format!(" --driver {driver}"));
        }
        let mut router = self.router.start("router", &line);
        router.wait_for("the router is up", 20);
        self.programs.push(router);
        self.programs.len() - 1
    }

    /// The router of `route`.
    pub fn router_program(&mut self) -> &mut Program {
        self.programs
            .iter_mut()
            .find(|program| program.output().contains("the router is up"))
            .expect("a router runs")
    }

    /// Gives a machine an address by udhcpc, once.
    pub fn lease(&self, machine: &Namespace) {
        let script = peers::udhcpc_script(&self.lab);
        let said = machine.shell(&format!("udhcpc -f -n -q -t 8 -T 1 -i c0 -s {script}"), 20);
        assert!(said.ok, "no lease for {}: {}", machine.name(), said.text);
    }

    /// The kernel as the router, for comparison: fixed addresses, nftables masquerade, no services.
    pub fn route_by_kernel(&mut self) {
        let router = &self.router;
        router.ip("addr add 192.168.77.1/24 dev lan0");
        router.ip("addr add 198.51.100.77/24 dev wan0");
        router.ip("link set lan0 up");
        router.ip("link set wan0 up");
        router.ip(&format!("route add default via {OPERATOR}"));
        router.sysctl("net/ipv4/ip_forward", "1");
        let rules = self.lab.file(
            "masquerade.nft",
            "table ip nat { chain post { type nat hook postrouting priority 100; oifname \"wan0\" masquerade; }; }\n",
        );
        router.must(&format!("nft -f {}", rules.display()), 10);
        self.client.ip("addr add 192.168.77.50/24 dev c0");
        self.client.ip("route add default via 192.168.77.1");
    }

    /// The router's address on the WAN, as it said last.
    pub fn wan_address(&mut self) -> String {
        let output = self.router_program().output();
        let (_, rest) = output.rsplit_once("internet up: ").expect("the internet is up");
        rest.split('/').next().unwrap_or_default().to_owned()
    }

    /// Whether the machine can fetch the far side's page by address.
    pub fn fetches(&self, machine: &Namespace) -> bool {
        machine.shell(&format!("curl -sS -m 3 http://{WEB}/"), 5).text.contains(PAGE)
    }

    /// Waits until the machine can fetch the page; panics when it never does.
    pub fn must_fetch(&self, machine: &Namespace) {
        assert!(eventually(10, || self.fetches(machine)), "{} cannot reach the far side", machine.name());
    }

    /// The machine's own address.
    pub fn address_of(&self, machine: &Namespace, interface: &str) -> String {
        let said = machine.try_ip(&format!("-4 -o addr show dev {interface}"));
        said.text
            .split_whitespace()
            .skip_while(|word| *word != "inet")
            .nth(1)
            .and_then(|address| address.split('/').next())
            .unwrap_or_else(|| panic!("{} has no address: {}", machine.name(), said.text))
            .to_owned()
    }
}

/// The command under test: `DIALTONE` names it, otherwise it is built.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("DIALTONE") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--release", "-p", "dialtone"]).status();
        assert!(built.is_ok_and(|status| status.success()), "the command must build");
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        target.join("release/dialtone")
    })
}
