//! With the WAN cable out, the home still gets addresses, its own names, the page and each other.

use dialtone_base::Duration;
use dialtone_netsim::dns_message::Answer;
use dialtone_scenarios::{EXAMPLE, ROUTER, Scenario};

#[test]
fn lan_services_work_with_the_wan_down() {
    let mut scenario = Scenario::new();
    let (wan, lan) = (scenario.home.wan, scenario.home.lan);
    scenario.world().link(wan, false);
    let laptop = scenario.join(lan[0], "laptop");
    let printer = scenario.join(lan[1], "printer");
    let printers = scenario.address(printer).unwrap();
    scenario.run_for(Duration::from_secs(5));

    assert_eq!(scenario.look_up(laptop, "dialtone.home.arpa"), Some(Answer::Addresses(vec![ROUTER])));
    assert_eq!(scenario.look_up(laptop, "printer.home.arpa"), Some(Answer::Addresses(vec![printers])));
    assert!(scenario.fetch(laptop, ROUTER, "/").is_some_and(|page| page.starts_with("HTTP/1.1 200")));
    assert!(scenario.ping(laptop, ROUTER) && scenario.ping(laptop, printers));

    // Nobody waits long for what cannot come.
    let asked = scenario.now();
    assert_eq!(scenario.look_up(laptop, EXAMPLE.0), Some(Answer::Failed));
    assert!(scenario.now().since(asked) < Duration::from_secs(6), "{:?}", scenario.now().since(asked));
    assert!(!scenario.reaches_far_side(laptop));

    // And when it comes back, everything does.
    scenario.world().link(wan, true);
    scenario.expect_wan();
    assert_eq!(scenario.look_up(laptop, EXAMPLE.0), Some(Answer::Addresses(vec![EXAMPLE.1])));
    assert!(scenario.reaches_far_side(laptop));
}
