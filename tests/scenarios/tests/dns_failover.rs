//! When a name server falls silent the next one answers, soon; when it is back it can carry the load again.

use dialtone_base::Duration;
use dialtone_netsim::dns_message::Answer;
use dialtone_scenarios::{EXAMPLE, OTHER, Scenario};

#[test]
fn dns_failover() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");
    let mut servers = scenario.world().isp.profile().name_servers.clone();
    assert_eq!(scenario.look_up(laptop, EXAMPLE.0), Some(Answer::Addresses(vec![EXAMPLE.1])));
    // The one in use first: the router may prefer either.
    servers.sort_by_key(|server| std::cmp::Reverse(scenario.world().isp.names.asked(*server)));

    scenario.world().isp.names.silent.insert(servers[0]);
    let asked = scenario.now();
    assert_eq!(scenario.look_up(laptop, OTHER.0), Some(Answer::Addresses(vec![OTHER.1])));
    let first = scenario.now().since(asked);
    assert!(first < Duration::from_secs(5), "{first:?}");

    // Names that do not exist are not in the cache: each asks the servers. Now and then one pays for finding out whether
    // the first server is back.
    let mut slow = 0;
    for number in 0..20 {
        let asked = scenario.now();
        assert_eq!(scenario.look_up(laptop, &format!("nobody-{number}.test")), Some(Answer::NoSuchName));
        let took = scenario.now().since(asked);
        assert!(took < Duration::from_secs(2), "look-up {number} took {took:?}");
        slow += u32::from(took > Duration::from_millis(500));
    }
    assert!(slow <= 5, "{slow} of 20 look-ups were slow");

    // All silent: an answer that says so, not silence.
    scenario.world().isp.names.silent.insert(servers[1]);
    assert_eq!(scenario.look_up(laptop, "unheard-of.test"), Some(Answer::Failed));

    scenario.world().isp.names.silent.clear();
    scenario.run_for(Duration::from_secs(90));
    assert_eq!(scenario.look_up(laptop, "back.test"), Some(Answer::NoSuchName));

    // The first one can carry everything again: now the other falls silent.
    scenario.world().isp.names.silent.insert(servers[1]);
    let before = scenario.world().isp.names.asked(servers[0]);
    for number in 0..5 {
        scenario.run_for(Duration::from_secs(10));
        let said = scenario.look_up(laptop, &format!("again-{number}.test"));
        assert_eq!(said, Some(Answer::NoSuchName), "look-up {number}");
    }
    assert!(scenario.world().isp.names.asked(servers[0]) >= before + 5, "the first server is used again");
}
