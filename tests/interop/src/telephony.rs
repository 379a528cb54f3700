//! A home with telephones, an operator of calls, and parties to call.
//!
//! ```text
//! telephones ═ sockets ═ router ── wan0 ── i0 operator: dnsmasq, Kamailio 203.0.113.10 and .11
//!                                              p0 ── bob 192.0.2.2     p1 ── carol 192.0.2.6
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::baresip::{self, Baresip};
use crate::home::{Home, binary};
use crate::kamailio::{self, DOMAIN, PASSWORD};
use crate::sipp::Scenario;
use crate::telephone::Telephone;
use crate::{Namespace, Program, eventually, peers};

/// The first Kamailio, preferred by DNS.
pub const FIRST: &str = "203.0.113.10";
/// The second.
pub const SECOND: &str = "203.0.113.11";
/// The first telephone's number; its line is wideband.
pub const US: &str = "1001";
/// The second's.
pub const US_TOO: &str = "1002";
/// Where parties live, in order, and the operator's ends of their cables.
const PARTIES: [(&str, &str, &str); 2] =
    [("bob", "192.0.2.2", "192.0.2.1"), ("carol", "192.0.2.6", "192.0.2.5")];
/// Their numbers.
pub const NUMBERS: [&str; 2] = ["2001", "2002"];
/// The number behind which sipp is.
pub const SIPP_NUMBER: &str = "2003";
/// What parties say, in hertz: no harmonics of each other, none a key's.
pub const VOICES: [u32; 2] = [1000, 1700];
/// Every codec baresip has, in its words.
pub const ALL_CODECS: &str = "PCMA/8000/1,PCMU/8000/1,G722/16000/1,opus/48000/2";

/// How the home and its operator are set up.
pub struct Manner {
    /// `auto`, `udp` or `tcp`.
    pub transport: &'static str,
    /// Digest algorithm.
    pub algorithm: &'static str,
    /// Seconds a nonce lasts.
    pub nonce_seconds: u32,
    /// The router's codecs, best first.
    pub codecs: &'static str,
    /// More of the account's settings, with a comma in front.
    pub account: &'static str,
    /// More of the telephony settings (`lines`, …), with a comma in front.
    pub telephony: &'static str,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            transport: "udp",
            algorithm: "MD5",
            nonce_seconds: 300,
            codecs: r#""pcma""#,
            account: "",
            telephony: "",
        }
    }
}

/// Everything of a test about calls. Dropped in the order written.
pub struct Telephony {
    /// The telephones, first socket first.
    pub telephones: Vec<Telephone>,
    /// The second Kamailio, when it runs.
    pub second: Option<Program>,
    /// The first, when it runs.
    pub first: Option<Program>,
    /// The parties' namespaces.
    pub parties: Vec<Namespace>,
    /// The rest.
    pub home: Home,
    manner: Manner,
}

impl Telephony {
    /// Wires everything, starts the operator with one Kamailio, the router and two telephones, and waits until
    /// both numbers are registered. `None` where no lab can be had.
    pub fn live(name: &str, programs: &[&str], manner: Manner) -> Option<Self> {
        let mut telephony = Self::wire(name, programs, manner)?;
        if std::env::var_os("INTEROP_CAPTURE").is_some() {
            let (program, _) = telephony.capture();
            telephony.home.programs.push(program);
        }
        telephony.first = Some(telephony.kamailio(FIRST));
        telephony.start_router();
        telephony.must_register(20);
        Some(telephony)
    }

    /// Wires everything and starts the operator's name server.
    pub fn wire(name: &str, programs: &[&str], manner: Manner) -> Option<Self> {
        let mut home = Home::wire(name, &[programs, &["kamailio", "ss"]].concat())?;
        home.operator.sysctl("net/ipv4/ip_forward", "1");
        for address in [FIRST, SECOND] {
            home.operator.ip(&format!("addr add {address}/32 dev lo"));
        }
        let mut parties = Vec::new();
        for (index, (party, theirs, ours)) in PARTIES.iter().enumerate() {
            let namespace = home.lab.namespace(party);
            home.lab.cable(&home.operator, &format!("p{index}"), &namespace, "e0");
            home.operator.ip(&format!("link set p{index} up"));
            home.operator.ip(&format!("addr add {ours}/30 dev p{index}"));
            namespace.ip("link set e0 up");
            namespace.ip(&format!("addr add {theirs}/30 dev e0"));
            namespace.ip(&format!("route add default via {ours}"));
            parties.push(namespace);
        }
        let mut dns = peers::dnsmasq_with(&home.lab, &home.operator, &names());
        dns.wait_for("started", 10);
        home.programs.push(dns);
        Some(Self { telephones: Vec::new(), second: None, first: None, parties, home, manner })
    }

    /// Starts a Kamailio at an address.
    pub fn kamailio(&self, address: &str) -> Program {
        let parties: Vec<(&str, String)> = NUMBERS
            .into_iter()
            .zip(PARTIES)
            .map(|(number, (_, theirs, _))| (number, format!("{theirs}:5060")))
            .collect();
        let manner = kamailio::Manner {
            name: if address == FIRST { "kamailio-first" } else { "kamailio-second" },
            address,
            algorithm: self.manner.algorithm,
            nonce_seconds: self.manner.nonce_seconds,
            parties: &parties,
        };
        kamailio::start(&self.home.lab, &self.home.operator, &manner)
    }

    /// Starts the router and plugs two telephones into it.
    pub fn start_router(&mut self) {
        let Manner { transport, codecs, account, telephony, .. } = &self.manner;
        let settings = format!(
            r#"{{ "schema": 1, "telephony": {{ "country": "US", "accounts": [ {{ "name": "the operator", "domain": "{DOMAIN}",
                "transport": "{transport}", "numbers": ["{US}", "{US_TOO}"], "auth_password": "{PASSWORD}", "codecs": [{codecs}]{account} }} ]{telephony} }} }}"#
        );
        self.home.route(&settings);
        for line in ["phone1.sock", "phone2.sock"] {
            self.telephones.push(Telephone::plug(&self.home.lab.directory().join(line)));
        }
    }

    /// Writes down what passes on the WAN from now on, in a file for tshark. Ends when the program is dropped.
    pub fn capture(&self) -> (Program, PathBuf) {
        let file = self.home.lab.directory().join("wan.pcap");
        let line = format!("dumpcap -q -i i0 -s 0 -w {}", file.display());
        let mut program = self.home.operator.start("dumpcap", &line);
        program.wait_for("File:", 10);
        (program, file)
    }

    /// A party that answers by itself, with all codecs.
    pub fn party(&self, index: usize) -> Baresip {
        self.party_with(index, ALL_CODECS, true)
    }

    /// A party that answers by itself and knows the Kamailio at `address`.
    pub fn party_by(&self, index: usize, address: &str) -> Baresip {
        self.party_as(index, ALL_CODECS, true, address)
    }

    /// A party: its codecs in baresip's words, and whether it answers by itself.
    pub fn party_with(&self, index: usize, codecs: &'static str, answers: bool) -> Baresip {
        self.party_as(index, codecs, answers, FIRST)
    }

    fn party_as(&self, index: usize, codecs: &'static str, answers: bool, by: &str) -> Baresip {
        let (name, address, _) = PARTIES[index];
        let manner = baresip::Manner {
            number: NUMBERS[index],
            name,
            domain: DOMAIN,
            proxy: format!("sip:{by};lr"),
            codecs,
            hertz: VOICES[index],
            answers,
        };
        Baresip::start(&self.home.lab, &self.parties[index], address, &manner)
    }

    /// The operator's DHCP server gives addresses of another range from now on, and does not know the old ones.
    pub fn renumber(&mut self) {
        self.home.programs.remove(0);
        let leases = self.home.lab.directory().join("dnsmasq.leases");
        let _ = std::fs::remove_file(leases);
        let range = "--dhcp-range=198.51.100.200,198.51.100.220,255.255.255.0,120";
        let mut dns = peers::dnsmasq_at(&self.home.lab, &self.home.operator, range, &names());
        dns.wait_for("started", 10);
        self.home.programs.insert(0, dns);
    }

    /// Starts a scenario of sipp: one call.
    pub fn sipp(&self, name: &str, scenario: &Scenario) -> Program {
        self.sipp_with(name, scenario, "-m 1")
    }

    /// Starts a scenario of sipp with more on its command line.
    pub fn sipp_with(&self, name: &str, scenario: &Scenario, more: &str) -> Program {
        scenario.start(&self.home.lab, &self.home.operator, name, more)
    }

    /// Waits until a scenario of sipp ends well.
    pub fn must_end_well(&self, name: &str, sipp: &mut Program, seconds: u64) {
        if sipp.wait(seconds) {
            return;
        }
        let read = |kind: &str| {
            std::fs::read_to_string(self.home.lab.directory().join(format!("{name}.{kind}")))
                .unwrap_or_default()
        };
        panic!("{name}: {}\n{}", read("errors"), read("messages"));
    }

    /// Asks the router's console.
    pub fn console(&self, words: &str) -> String {
        let socket = self.home.lab.directory().join("console");
        console(&self.home, &socket, words)
    }

    /// Waits until both numbers are registered; how long that took.
    pub fn must_register(&self, seconds: u64) -> Duration {
        let begun = Instant::now();
        let registered = eventually(seconds, || self.console("phone").matches(": registered").count() == 2);
        assert!(registered, "not registered:\n{}\n{}", self.console("phone"), self.operator_said());
        begun.elapsed()
    }

    /// Waits until the newest line of the call log holds `text`.
    pub fn must_log(&self, text: &str, seconds: u64) {
        let logged = eventually(seconds, || {
            self.console("calls").lines().next().is_some_and(|line| line.contains(text))
        });
        assert!(logged, "no {text:?} in the newest call of:\n{}", self.console("calls"));
    }

    /// What the Kamailios wrote.
    pub fn operator_said(&self) -> String {
        [&self.first, &self.second].into_iter().flatten().map(Program::output).collect()
    }

    /// Both ways: the telephone's hum at the party, the party's at the telephone. Leaves the telephone humming at `hertz`.
    pub fn must_talk(&self, telephone: usize, hertz: f64, party: &Baresip, what: &str) {
        let phone = &self.telephones[telephone];
        phone.hum(Some(hertz));
        phone.must_hear(&[party.hertz], 8, what);
        party.must_hear(&[hertz], 8, what);
    }
}

/// What the operator's name server says about the domain.
fn names() -> String {
    format!(
        "--naptr-record={DOMAIN},10,10,S,SIP+D2U,,_sip._udp.{DOMAIN} --naptr-record={DOMAIN},20,10,S,SIP+D2T,,_sip._tcp.{DOMAIN} \
             --srv-host=_sip._udp.{DOMAIN},sip1.example.net,5060,10,10 --srv-host=_sip._udp.{DOMAIN},sip2.example.net,5060,20,10 \
             --srv-host=_sip._tcp.{DOMAIN},sip1.example.net,5060,10,10 --srv-host=_sip._tcp.{DOMAIN},sip2.example.net,5060,20,10 \
             --host-record=sip1.example.net,{FIRST} --host-record=sip2.example.net,{SECOND} --local-ttl=30"
    )
}

fn console(home: &Home, socket: &Path, words: &str) -> String {
    home.router
        .shell(&format!("{} console --socket {} {words}", binary().display(), socket.display()), 5)
        .text
}
