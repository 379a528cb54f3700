//! Two devices that call themselves the same get two names, both ways round; the page and the console say the same.

use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::Duration;
use dialtone_netsim::dns_message::{Answer, TYPE_PTR};
use dialtone_netsim::world::DeviceId;
use dialtone_scenarios::{ROUTER, Scenario, Setup, guests_welcome};

#[test]
fn two_devices_of_one_name_both_resolve() {
    let mut scenario = Setup { settings: guests_welcome, ..Setup::default() }.start();
    let (lan, guests) = (scenario.home.lan, scenario.home.guest);
    // A visitor is here first, and does not keep the name from the household.
    scenario.join(guests[0], "laptop");
    let first = scenario.join(lan[0], "laptop");
    let second = scenario.join(lan[1], "laptop");
    let addresses = [first, second].map(|device| scenario.address(device).unwrap());
    scenario.run_for(Duration::from_secs(3));

    for (label, address) in [("laptop", addresses[0]), ("laptop-2", addresses[1])] {
        for asker in [first, second] {
            let answer = scenario.look_up(asker, &format!("{label}.home.arpa"));
            assert_eq!(answer, Some(Answer::Addresses(vec![address])), "{label}");
        }
        let name = [&[label.len() as u8], label.as_bytes(), b"\x04home\x04arpa\0"].concat();
        let reply = reverse(&mut scenario, first, address);
        assert!(reply.windows(name.len()).any(|part| part == name), "{address} is {label}: {reply:?}");
    }

    // What the household calls them comes first, and the rest moves up.
    let mac = scenario.world().device(first).mac();
    let reservation = format!(r#"[{{"mac":"{mac}","address":"{}","name":"study"}}]"#, addresses[0]);
    scenario.console(&format!("settings set reservations {reservation}")).expect("a good reservation");
    scenario.console("settings confirm").ok();
    scenario.run_for(Duration::from_secs(3));
    for (label, address) in [("study", addresses[0]), ("laptop", addresses[1])] {
        let answer = scenario.look_up(second, &format!("{label}.home.arpa"));
        assert_eq!(answer, Some(Answer::Addresses(vec![address])), "{label}");
    }

    // One truth: the console and the page show the same names, and who is there.
    let devices = scenario.console("devices").unwrap();
    let line = |word: &str| devices.lines().find(|line| line.ends_with(word)).map(str::to_string);
    let study = line(" study").unwrap_or_else(|| panic!("{devices}"));
    assert!(study.contains(&addresses[0].to_string()) && study.contains("on lan1 online"), "{study}");
    assert!(line(" laptop").is_some() && line(" laptop-2").is_some(), "{devices}");
    let page = scenario.fetch(second, ROUTER, "/api/status").expect("the page answers");
    let entry =
        format!(r#""name":"study","address":"{}","zone":"lan","port":"lan1","online":true"#, addresses[0]);
    assert!(page.contains(&entry), "{page}");

    // Pulled out, it is gone at once; silent, it is asked and stays.
    scenario.world().link(lan[0], false);
    scenario.run_for(Duration::from_secs(3));
    let gone = scenario.console("devices").unwrap();
    assert!(gone.lines().any(|line| line.ends_with(" study") && line.contains("last seen")), "{gone}");
    scenario.run_for(Duration::from_secs(1200));
    let quiet = scenario.console("devices").unwrap();
    assert!(quiet.lines().any(|line| line.ends_with(" laptop") && line.contains(" online")), "{quiet}");
}

/// The router's reply to a question for the name of an address, as it came.
fn reverse(scenario: &mut Scenario, device: DeviceId, address: Ipv4Addr) -> Vec<u8> {
    let [a, b, c, d] = address.octets();
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [&d.to_string(), &c.to_string(), &b.to_string(), &a.to_string(), "in-addr", "arpa"] {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, TYPE_PTR as u8, 0, 1]);
    let socket = scenario.world().device(device).udp_bind(0);
    scenario.world().device(device).udp_send(socket, SocketAddrV4::new(ROUTER, 53), &question);
    let mut reply = None;
    scenario.run_until(Duration::from_secs(5), |world| {
        reply = world.device(device).udp_receive(socket);
        reply.is_some()
    });
    scenario.world().device(device).udp_close(socket);
    reply.expect("the router answers").1
}
