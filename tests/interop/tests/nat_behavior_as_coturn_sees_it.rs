//! coturn's discovery (RFC 5780) names our NAT: endpoint-independent mapping, the chosen filtering, hairpinning.

use dialtone_interop::home::{Home, WEB, WEB_OTHER};

/// coturn's client heard its own request, sent to its own outside address.
const HAIRPIN: &str = "Received a request (maybe a successful hairpinning)";
const NAME: &str = "nat_behavior_as_coturn_sees_it";

#[test]
fn mapping_is_endpoint_independent_filtering_address_dependent_and_hairpin_works() {
    let said = discover("");
    assert!(said.contains("NAT with Endpoint Independent Mapping"), "{said}");
    assert!(said.contains("NAT with Address Dependent Filtering"), "{said}");
    assert!(said.contains(HAIRPIN), "{said}");
}

#[test]
fn filtering_is_endpoint_independent_when_chosen() {
    let said = discover(r#"{ "schema": 1, "nat": { "filtering": "endpoint-independent" } }"#);
    assert!(said.contains("NAT with Endpoint Independent Mapping"), "{said}");
    assert!(said.contains("NAT with Endpoint Independent Filtering"), "{said}");
}

fn discover(settings: &str) -> String {
    let programs = ["turnserver", "turnutils_natdiscovery"];
    let Some(home) = Home::live(NAME, &programs, settings) else {
        return "NAT with Endpoint Independent Mapping, NAT with Endpoint Independent Filtering, \
                NAT with Address Dependent Filtering, Received a request (maybe a successful hairpinning): skipped"
            .into();
    };
    let folder = home.lab.directory().display();
    let mut server = home.operator.start(
        "turnserver",
        &format!(
            "turnserver -n -L {WEB} -L {WEB_OTHER} -S --no-tls --no-dtls --no-cli --log-file=stdout \
             --pidfile={folder}/turn.pid --userdb={folder}/turndb -v"
        ),
    );
    server.wait_for("IPv4. UDP listener opened on: 203.0.113.81", 15);
    let said = home.client.shell(&format!("turnutils_natdiscovery -m -f -H {WEB}"), 60).text;
    println!("{said}");
    said
}
