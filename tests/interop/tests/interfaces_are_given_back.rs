//! However `dialtone run` ends, its interfaces are as they were; and it says clearly why it cannot start.

use dialtone_interop::home::{Home, binary};
use dialtone_interop::{Namespace, eventually};

const NAME: &str = "interfaces_are_given_back";

#[test]
fn after_a_signal_and_after_a_kill() {
    let Some(mut home) = Home::wire(NAME, &[]) else { return };
    let router = home.router.clone();
    router.ip("addr add 10.20.0.5/24 dev wan0");
    router.ip("link set wan0 up");
    router.ip("route add default via 10.20.0.1");
    let before = state(&router);
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let place = home.start_router("");
        assert!(
            !router.try_ip("-4 addr show dev wan0").text.contains("10.20.0.5"),
            "taken while the router runs"
        );
        assert!(router.must("cat /proc/sys/net/ipv6/conf/wan0/disable_ipv6", 5).starts_with('1'));
        let status = router
            .must(&format!("grep -E 'Uid|CapEff|NoNewPrivs' /proc/{}/status", home.programs[place].id()), 5);
        assert!(
            status.contains("CapEff:\t0000000000000000") && status.contains("NoNewPrivs:\t1"),
            "{status}"
        );
        assert!(!status.contains("Uid:\t0"), "{status}");
        home.programs[place].signal(signal);
        let ended_well = home.programs[place].wait(10);
        assert_eq!(ended_well, signal == libc::SIGTERM);
        home.programs.remove(place);
        assert!(eventually(5, || state(&router) == before), "{}\n---\n{before}", state(&router));
        assert!(!router.must("nft list ruleset", 5).contains("dialtone"));
        assert!(!home.lab.directory().join("console").exists());
    }
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let Some(home) = Home::wire(NAME, &[]) else { return };
    let folder = home.lab.directory().display();
    let run = |arguments: &str| {
        let line = format!("{} run --flash {folder}/f --socket {folder}/s {arguments}", binary().display());
        let said = home.router.shell(&line, 10);
        assert!(!said.ok, "{arguments}: {}", said.text);
        said.text
    };
    assert!(run("--wan nosuch0 --lan lan0").contains("there is no interface nosuch0"));
    assert!(run("--wan lan0 --lan lan0").contains("lan0 is named twice"));
    assert!(run("--wan wan0 --lan lan0,lo").contains("lo is no Ethernet interface"));
    assert!(run("--wan wan0 --lan lan0 --user nobody-like-this").contains("no user nobody-like-this"));
    std::fs::write(home.lab.directory().join("bad.json"), "{ \"schema\": 1,\n \"lan\": { \"adress\": 1 } }")
        .unwrap();
    let bad = run(&format!("--wan wan0 --lan lan0 --config {folder}/bad.json"));
    assert!(bad.contains("adress") && bad.contains("line 2"), "{bad}");
    let text = home
        .router
        .shell(
            &format!(
                "setpriv --reuid=65534 --clear-groups {} run --flash /tmp/none --socket {folder}/s --wan wan0 --lan lan0",
                binary().display()
            ),
            10,
        )
        .text;
    assert!(text.contains("setcap") || text.contains("ermission"), "{text}");
}

/// What must be as before: addresses but their lifetimes, routes, flags.
fn state(router: &Namespace) -> String {
    ["-4 -o addr show", "-o link show wan0", "-o link show lan0", "route show"]
        .map(|words| router.try_ip(words).text)
        .join("\n")
        // An interface that was never up has not even a queue to be empty.
        .replace("qdisc noop ", "qdisc noqueue ")
}
