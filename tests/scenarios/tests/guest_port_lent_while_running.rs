//! A port lent to guests while the router runs: whoever is behind it becomes a guest at once, and is family again after.

use std::net::SocketAddrV4;

use dialtone_base::Duration;
use dialtone_base::event::Event;
use dialtone_scenarios::{ROUTER, Scenario};

#[test]
fn guest_port_lent_while_running() {
    let mut scenario = Scenario::new();
    scenario.expect_wan();
    let lan = scenario.home.lan;
    let laptop = scenario.join(lan[0], "laptop");
    let visitor = scenario.join(lan[1], "visitor");
    let laptops = scenario.address(laptop).unwrap();
    scenario.world().device(laptop).tcp_listen(445);
    assert!(scenario.connect(visitor, SocketAddrV4::new(laptops, 445)).is_some());

    set(&mut scenario, "guest.enabled true");
    let answer = set(&mut scenario, "guest.ports lan2,lan9");
    assert!(answer.contains("there is no port \"lan9\"") && answer.contains("lan1 lan2 lan3"), "{answer}");
    let told =
        scenario.events().into_iter().filter(|event| matches!(event, Event::NoSuchPort { .. })).count();
    assert_eq!(told, 1);
    let status = scenario.console("status").unwrap();
    assert!(status.contains("port lan2: guest, up") && status.contains("port lan1: lan, up"), "{status}");
    let page = scenario.fetch(laptop, ROUTER, "/api/status").expect("the page answers");
    assert!(page.contains(r#""name":"lan2","zone":"guest""#), "{page}");

    // The old address is of no use there; a new one is had, of the guests' network.
    scenario.world().device(visitor).restart_dhcp();
    let guests = scenario.expect_lease(visitor);
    assert_eq!(guests.octets()[..3], [192, 168, 78]);
    assert!(scenario.reaches_far_side(visitor));
    assert!(!scenario.ping(visitor, laptops));
    assert!(scenario.connect(visitor, SocketAddrV4::new(laptops, 445)).is_none());
    assert!(scenario.fetch(visitor, ROUTER, "/").is_none());
    scenario.run_for(Duration::from_secs(3));
    let devices = scenario.console("devices").unwrap();
    let line = devices.lines().find(|line| line.ends_with(" visitor")).expect("still known");
    assert!(line.contains(&format!(" guest {guests} on lan2 online")), "{devices}");

    // And back.
    set(&mut scenario, "guest.ports []");
    scenario.world().device(visitor).restart_dhcp();
    let back = scenario.expect_lease(visitor);
    assert_eq!(back.octets()[..3], [192, 168, 77]);
    assert!(scenario.ping(visitor, laptops));
}

/// Changes a setting, and confirms where it was a trial.
fn set(scenario: &mut Scenario, what: &str) -> String {
    let answer = scenario.console(&format!("settings set {what}")).expect("a good change");
    if answer.contains("trial") {
        scenario.console("settings confirm").expect("a trial");
    }
    scenario.run_for(Duration::from_secs(2));
    answer
}
