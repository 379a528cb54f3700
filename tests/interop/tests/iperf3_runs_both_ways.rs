//! Bulk TCP and UDP both ways through the router, beside the kernel's own NAT on the same cables.

use dialtone_interop::home::{Home, WEB};

const NAME: &str = "iperf3_runs_both_ways";

#[test]
fn tcp_and_udp_flow_both_ways() {
    let Some(mut home) = Home::wire(NAME, &["iperf3"]) else { return };
    home.route_by_kernel();
    let kernel = measure(&home);
    drop(home);
    let Some(home) = Home::live(NAME, &["iperf3"], "") else { return };
    let ours = measure(&home);
    for ((what, kernel), (_, ours)) in kernel.iter().zip(&ours) {
        println!("{what:22} kernel {kernel:>8.0} Mbit/s   dialtone {ours:>8.0} Mbit/s");
        // Slow beyond doubt: offloads are broken or packets are lost. Speed itself is tests/bench's.
        assert!(*ours > 10.0, "{what}: {ours} Mbit/s");
    }
}

fn measure(home: &Home) -> Vec<(&'static str, f64)> {
    let kinds = [
        ("TCP to the far side", "-t 2"),
        ("TCP from the far side", "-t 2 -R"),
        ("TCP both, four flows", "-t 2 -P 4 --bidir"),
        ("UDP to the far side", "-t 2 -u -b 20M"),
        ("UDP from the far side", "-t 2 -u -b 20M -R"),
    ];
    kinds
        .into_iter()
        .map(|(what, options)| {
            let mut server = home.operator.start("iperf3", &format!("iperf3 -s -1 -B {WEB} --forceflush"));
            server.wait_for("Server listening", 5);
            let said = home.client.must(&format!("iperf3 -c {WEB} {options} -J"), 30);
            (what, received(&said))
        })
        .collect()
}

/// Megabits per second that arrived.
fn received(json: &str) -> f64 {
    let end = json.find("\"end\":").expect("iperf3 reports an end");
    let sum =
        ["\"sum_received\":", "\"sum\":"].iter().find_map(|key| json[end..].find(key).map(|at| end + at));
    let rest = &json[sum.expect("a sum")..];
    let at = rest.find("\"bits_per_second\":").expect("a rate") + "\"bits_per_second\":".len();
    rest[at..]
        .trim_start()
        .split([',', '\n', '}'])
        .next()
        .and_then(|rate| rate.trim().parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1e6
}
