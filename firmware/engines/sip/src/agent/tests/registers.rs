//! Registrations: digest, refresh, failures, addresses.

extern crate std;
use core::cell::RefCell;
use std::boxed::Box;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use dialtone_base::Duration;

use super::world::*;
use crate::interface::{Event, Input, RegistrationState};
use crate::message::{Message, Method, Name};

/// A registrar that counts and can be told how to behave.
#[derive(Default)]
pub struct Registrar {
    pub is_dead: bool,
    pub asks_digest: bool,
    pub expires: u32,
    /// What it calls itself.
    pub name: String,
    /// Status of its answers to keep-alives; 0: 200.
    pub probe_status: u16,
    /// Statuses to answer REGISTER with first.
    pub refuse: Vec<(u16, Vec<(Name, String)>)>,
    pub seen: Vec<(u64, String)>,
}

/// A registrar at 192.0.2.`last`.
pub fn add_registrar(world: &mut World, last: u8) -> Rc<RefCell<Registrar>> {
    let state = Rc::new(RefCell::new(Registrar { expires: 600, asks_digest: true, ..Registrar::default() }));
    let shared = state.clone();
    let script: Script = Box::new(move |now, from, message| {
        let mut registrar = shared.borrow_mut();
        if registrar.is_dead || message.method() == Some(Method::Ack) {
            return vec![];
        }
        let text = String::from_utf8_lossy(message.as_bytes()).to_string();
        registrar.seen.push((now.as_micros(), text.clone()));
        match message.method() {
            Some(Method::Register) => {}
            Some(Method::Options) => {
                let status = if registrar.probe_status == 0 { 200 } else { registrar.probe_status };
                let name = registrar.name.clone();
                let name = [(Name::Server, name.as_str())];
                let headers = if registrar.name.is_empty() { &[][..] } else { &name[..] };
                return vec![(from, reply(message, from, status, headers, b""))];
            }
            Some(_) => return vec![(from, reply(message, from, 404, &[], b""))],
            None => return vec![],
        }
        if registrar.asks_digest && message.line(Name::Authorization).is_none() {
            return vec![(from, reply(message, from, 401, &[(Name::WwwAuthenticate, CHALLENGE)], b""))];
        }
        if !registrar.refuse.is_empty() {
            let (status, headers) = registrar.refuse.remove(0);
            let headers: Vec<(Name, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            return vec![(from, reply(message, from, status, &headers, b""))];
        }
        let contact = message.text(Name::Contact).unwrap_or_default().to_string();
        let contact = format!("{};expires={}", contact.split(";expires").next().unwrap(), registrar.expires);
        vec![(from, reply(message, from, 200, &[(Name::Contact, &contact)], b""))]
    });
    world.servers.push((address(last), script));
    state
}

fn states(world: &mut World, node: usize) -> Vec<RegistrationState> {
    let is_state = |event| match event {
        Event::Registration { state, .. } => Some(state),
        _ => None,
    };
    world.events(node).into_iter().filter_map(is_state).collect()
}

#[test]
fn a_number_registers_with_digest_and_refreshes() {
    let mut world = World::new(1);
    let registrar = add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(5));
    assert_eq!(states(&mut world, node), [RegistrationState::Trying, RegistrationState::Up]);
    let seen = registrar.borrow().seen.len();
    assert_eq!(seen, 2, "once without, once with the answer to the challenge");
    let last = registrar.borrow().seen[1].1.clone();
    assert!(last.contains("reg-id=1") && last.contains("+sip.instance=\"<urn:uuid:"), "{last}");
    assert!(last.contains("algorithm=SHA-256") && last.contains("nc=00000001"), "{last}");
    assert!(!last.contains("secret"));
    world.run(Duration::from_secs(600));
    let registers = registrar.borrow().seen.iter().filter(|(_, text)| text.starts_with("REGISTER")).count();
    assert!((3..=4).contains(&registers), "refreshed with the known nonce: {registers}");
    assert_eq!(states(&mut world, node), []);
}

#[test]
fn a_restarted_registrar_has_us_back_within_seconds() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let registrar = add_registrar(&mut world, 9);
        let node = world.add(1, registering_config("100", 9));
        world.run(Duration::from_secs(60));
        states(&mut world, node);
        registrar.borrow_mut().is_dead = true;
        world.run(Duration::from_secs(100));
        registrar.borrow_mut().is_dead = false;
        registrar.borrow_mut().seen.clear();
        world.run(Duration::from_secs(60));
        let back = registrar.borrow().seen.iter().any(|(_, text)| text.starts_with("REGISTER"));
        assert!(back, "seed {seed}");
        world.run(Duration::from_secs(600));
        assert!(!states(&mut world, node).contains(&RegistrationState::Refused(401)));
    }
}

#[test]
fn the_address_the_registrar_sees_is_registered_and_the_former_taken_away() {
    let mut world = World::new(1);
    let registrar = add_registrar(&mut world, 9);
    let inner = Rc::new(RefCell::new(Vec::<String>::new()));
    let seen = inner.clone();
    // A NAT in front of us: answers say another address.
    let (server, mut script) = world.servers.remove(0);
    world.servers.push((
        server,
        Box::new(move |now, from, message: &Message<'_>| {
            seen.borrow_mut().push(String::from_utf8_lossy(message.as_bytes()).to_string());
            let replies = script(now, from, message);
            replies
                .into_iter()
                .map(|(to, bytes)| {
                    let text = String::from_utf8_lossy(&bytes)
                        .replace(";received=192.0.2.1;rport=5060", ";received=203.0.113.7;rport=61234");
                    (to, text.into_bytes())
                })
                .collect()
        }),
    ));
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(10));
    let texts = inner.borrow().clone();
    let last = texts.iter().rev().find(|text| text.starts_with("REGISTER")).unwrap();
    assert!(last.contains("sip:100@203.0.113.7:61234"), "{last}");
    assert!(texts.iter().any(|text| text.contains("sip:100@192.0.2.1:5060>;expires=0")), "former binding");
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    drop(registrar);
    world.run(Duration::from_secs(3600));
    let texts = inner.borrow().clone();
    let last = texts.iter().rev().find(|text| text.starts_with("REGISTER")).unwrap();
    assert!(last.contains("sip:100@203.0.113.7:61234"), "never forgotten: {last}");
}

#[test]
fn too_brief_an_interval_is_raised_rfc_3261_section_10_3() {
    let mut world = World::new(1);
    let registrar = add_registrar(&mut world, 9);
    registrar.borrow_mut().refuse.push((423, vec![(Name::MinExpires, "7200".into())]));
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(5));
    assert!(world.last_sent(node, "REGISTER").contains("Expires: 7200\r\n"));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
}

#[test]
fn a_wrong_password_is_told_and_not_tried_in_a_loop() {
    let mut world = World::new(1);
    let registrar = add_registrar(&mut world, 9);
    for _ in 0..100 {
        registrar.borrow_mut().refuse.push((401, vec![(Name::WwwAuthenticate, CHALLENGE.into())]));
    }
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(120));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Refused(401)));
    assert!(world.count_sent(node, "REGISTER") <= 3);
}

#[test]
fn another_wan_address_is_registered_within_seconds() {
    let mut world = World::new(1);
    let registrar = add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(5));
    states(&mut world, node);
    world.input(node, Input::Network { local: None }).unwrap();
    assert_eq!(states(&mut world, node), [RegistrationState::Idle]);
    world.run(Duration::from_secs(30));
    world.nodes[node].address = address(7);
    world.input(node, Input::Network { local: Some(*address(7).ip()) }).unwrap();
    world.run(Duration::from_secs(4));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    assert!(registrar.borrow().seen.last().unwrap().1.contains("sip:100@192.0.2.7:5060"));
}

#[test]
fn shutting_down_takes_the_binding_away() {
    let mut world = World::new(1);
    add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(5));
    world.input(node, Input::Shutdown).unwrap();
    world.run(Duration::from_secs(1));
    let last = world.last_sent(node, "REGISTER");
    assert!(last.contains("Expires: 0\r\n") && last.contains("expires=0"), "{last}");
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Idle));
}

#[test]
fn a_dead_server_is_left_for_the_next_one_within_seconds_rfc_3263_section_4_3() {
    use crate::interface::{Answer, Record, RecordKind};
    let mut world = World::new(5);
    let dead = add_registrar(&mut world, 8);
    dead.borrow_mut().is_dead = true;
    let alive = add_registrar(&mut world, 9);
    let mut config = registering_config("100", 9);
    config.accounts[0].server = None;
    config.accounts[0].transport = crate::TransportChoice::Udp;
    let node = world.add(1, config);
    let mut names = Vec::new();
    for _ in 0..3 {
        world.run_millis(10);
        for (query, name, kind) in core::mem::take(&mut world.nodes[node].located) {
            let srv = |priority, target: &str| Record::Srv {
                priority,
                weight: 0,
                port: 5060,
                target: target.into(),
            };
            let records = match (kind, name.as_str()) {
                (RecordKind::Srv, _) => vec![srv(1, "a.example.net"), srv(2, "b.example.net")],
                (RecordKind::A, "a.example.net") => vec![Record::A(*address(8).ip())],
                _ => vec![Record::A(*address(9).ip())],
            };
            let answer = Answer::Records { records: &records, ttl: Duration::from_secs(3600) };
            world.input(node, Input::Located { query, answer }).unwrap();
            names.push(name);
        }
    }
    assert_eq!(names, ["_sip._udp.example.net", "a.example.net", "b.example.net"]);
    world.run(Duration::from_secs(8));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    assert!(!alive.borrow().seen.is_empty());
    // The first one is back: the next refresh after its bar goes there.
    dead.borrow_mut().is_dead = false;
    alive.borrow_mut().seen.clear();
    world.run(Duration::from_secs(600));
    assert!(dead.borrow().seen.iter().any(|(_, text)| text.starts_with("REGISTER")));
    assert_eq!(states(&mut world, node), []);
}

#[test]
fn a_registration_over_tcp_survives_its_connection() {
    let mut world = World::new(6);
    let registrar = add_registrar(&mut world, 9);
    let mut config = registering_config("100", 9);
    config.accounts[0].server.as_mut().unwrap().transport = crate::TransportChoice::Tcp;
    let node = world.add(1, config);
    world.run(Duration::from_secs(5));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    let register = world.last_sent(node, "REGISTER");
    assert!(register.contains("Via: SIP/2.0/TCP") && register.contains(";transport=tcp>"), "{register}");
    world.run(Duration::from_secs(100));
    let pings = world.nodes[node].sent.iter().filter(|(_, _, text)| text == "\r\n\r\n").count();
    assert!((3..=5).contains(&pings), "{pings}");
    let (connection, _) = world.nodes[node].connections[0];
    world.nodes[node].connections.clear();
    registrar.borrow_mut().seen.clear();
    world.input(node, Input::Closed { connection }).unwrap();
    world.run(Duration::from_secs(3));
    assert!(
        registrar.borrow().seen.iter().any(|(_, text)| text.starts_with("REGISTER")),
        "registered again at once"
    );
    assert_ne!(world.nodes[node].connections[0].0, connection);
}

#[test]
fn a_connection_that_answers_no_ping_is_replaced_rfc_5626_section_4_4_1() {
    let mut world = World::new(7);
    add_registrar(&mut world, 9);
    let mut config = registering_config("100", 9);
    config.accounts[0].server.as_mut().unwrap().transport = crate::TransportChoice::Tcp;
    let node = world.add(1, config);
    world.run(Duration::from_secs(5));
    let (connection, to) = world.nodes[node].connections[0];
    // Everything into the void.
    world.nodes[node].connections[0].1 = address(77);
    world.run(Duration::from_secs(45));
    assert!(!world.nodes[node].connections.iter().any(|(id, _)| *id == connection));
    assert_eq!(world.nodes[node].connections[0].1, to);
}

#[test]
fn waiting_messages_are_told_asked_for_or_not_rfc_3842() {
    let mut world = World::new(8);
    let (server, mut script) = {
        add_registrar(&mut world, 9);
        world.servers.remove(0)
    };
    let asked = Rc::new(RefCell::new(Vec::<String>::new()));
    let shared = asked.clone();
    world.servers.push((
        server,
        Box::new(move |now, from, message: &Message<'_>| {
            if message.method() == Some(Method::Subscribe) {
                shared.borrow_mut().push(String::from_utf8_lossy(message.as_bytes()).to_string());
                let headers = [(Name::Expires, "120"), (Name::Contact, "<sip:mwi@192.0.2.9>")];
                return vec![(from, reply(message, from, 200, &headers, b""))];
            }
            script(now, from, message)
        }),
    ));
    let mut config = registering_config("100", 9);
    config.accounts[0].message_waiting = true;
    let node = world.add(1, config);
    world.run(Duration::from_secs(10));
    assert_eq!(asked.borrow().len(), 1);
    world.run(Duration::from_secs(120));
    assert_eq!(asked.borrow().len(), 2, "refreshed");
    assert!(asked.borrow()[1].contains("To: <sip:100@example.net>;tag=server-tag"), "inside of its dialog");
    let notice = "NOTIFY sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKn1;rport\r\n\
        From: <sip:mwi@example.net>;tag=x\r\nTo: <sip:100@example.net>\r\nCall-ID: unasked\r\nCSeq: 1 NOTIFY\r\n\
        Event: message-summary\r\nSubscription-State: active\r\nContent-Type: application/simple-message-summary\r\n\
        Content-Length: 41\r\n\r\nMessages-Waiting: yes\r\nVoice-Message: 2/8\r\n";
    world.send(address(9), address(1), notice.as_bytes().to_vec(), false);
    world.run_millis(100);
    let told = Event::MessageWaiting { account: 0, number: 0, waiting: true, new: 2, old: 8 };
    assert!(world.events(node).contains(&told));
    assert!(world.last_sent(node, "SIP/2.0").starts_with("SIP/2.0 200"));
}

#[test]
fn a_redirecting_registrar_is_followed_once() {
    let mut world = World::new(9);
    let first = add_registrar(&mut world, 8);
    first.borrow_mut().refuse.push((302, vec![(Name::Contact, "<sip:192.0.2.9>".into())]));
    let second = add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 8));
    world.run(Duration::from_secs(5));
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    assert!(!second.borrow().seen.is_empty());
}

#[test]
fn changed_settings_touch_only_the_account_that_changed() {
    let mut world = World::new(10);
    let registrar = add_registrar(&mut world, 9);
    let mut config = registering_config("100", 9);
    let mut second = config.accounts[0].clone();
    second.numbers[0] = "101".into();
    config.accounts.push(second).unwrap();
    let node = world.add(1, config.clone());
    world.run(Duration::from_secs(5));
    registrar.borrow_mut().seen.clear();
    config.accounts[1].numbers[0] = "102".into();
    world.input(node, Input::Configure(&config)).unwrap();
    world.run(Duration::from_secs(5));
    let seen = registrar.borrow().seen.clone();
    assert!(seen.iter().any(|(_, text)| text.contains("sip:102@")));
    assert!(!seen.iter().any(|(_, text)| text.contains("sip:100@")));
}

/// Seconds until the next REGISTER after something happens to the registrar at any moment of a registration's life.
fn back_after(seed: u64, what: impl FnOnce(&mut Registrar)) -> u64 {
    let mut world = World::new(seed);
    let registrar = add_registrar(&mut world, 9);
    registrar.borrow_mut().expires = 3600;
    registrar.borrow_mut().name = "one".into();
    world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(130 + seed * 37));
    let happened = world.now;
    registrar.borrow_mut().seen.clear();
    what(&mut registrar.borrow_mut());
    world.run(Duration::from_secs(400));
    let registrar = registrar.borrow();
    let register = registrar.seen.iter().find(|(_, text)| text.starts_with("REGISTER")).expect("a REGISTER");
    (register.0 - happened.as_micros()) / 1_000_000
}

#[test]
fn a_registrar_that_forgets_without_a_sign_has_us_back_within_five_minutes() {
    let longest = (0..40).map(|seed| back_after(seed, |_| ())).max().unwrap();
    assert!(longest <= 300, "{longest} s");
}

#[test]
fn a_registrar_with_a_sign_of_trouble_has_us_back_within_a_keep_alive() {
    for seed in 0..20 {
        // Renewed within the last two minutes at worst: then the sign counts when those are over.
        let renamed = back_after(seed, |registrar| registrar.name = "two".into());
        let failing = back_after(seed, |registrar| registrar.probe_status = 503);
        assert!(failing <= 120 + 29 + 11, "seed {seed}: {failing} s");
        assert!(renamed <= 300, "seed {seed}: {renamed} s");
    }
    // At rest for longer than that, it is a keep-alive and the spread.
    let mut world = World::new(99);
    let registrar = add_registrar(&mut world, 9);
    registrar.borrow_mut().expires = 3600;
    registrar.borrow_mut().name = "one".into();
    world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(125));
    registrar.borrow_mut().seen.clear();
    registrar.borrow_mut().name = "two".into();
    world.run(Duration::from_secs(29 + 11));
    assert!(registrar.borrow().seen.iter().any(|(_, text)| text.starts_with("REGISTER")));
}

#[test]
fn a_call_the_server_refuses_makes_us_register_again() {
    let mut world = World::new(3);
    let registrar = add_registrar(&mut world, 9);
    registrar.borrow_mut().expires = 3600;
    world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(130));
    registrar.borrow_mut().seen.clear();
    world.dial(0, 1, "200", Some(OFFER));
    world.run(Duration::from_secs(11));
    assert!(registrar.borrow().seen.iter().any(|(_, text)| text.starts_with("REGISTER")));
}

#[test]
fn an_account_that_changes_or_goes_leaves_its_registrar_before_the_new_one_comes_rfc_3261_section_10_2_2() {
    let mut world = World::new(11);
    let first = add_registrar(&mut world, 8);
    let second = add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 8));
    world.run(Duration::from_secs(5));
    first.borrow_mut().seen.clear();
    // The old nonce is refused: the removal answers the new challenge by the old password.
    first.borrow_mut().refuse.push((401, vec![(Name::WwwAuthenticate, format!("{CHALLENGE}, stale=true"))]));
    let mut config = registering_config("200", 9);
    config.accounts[0].password = crate::Password::new("other");
    world.input(node, Input::Configure(&config)).unwrap();
    world.run(Duration::from_secs(4));
    let removal = first.borrow().seen.last().unwrap().clone();
    assert!(removal.1.contains("sip:100@") && removal.1.contains("Expires: 0\r\n"), "{}", removal.1);
    let (at, text) = second.borrow().seen[0].clone();
    assert!(text.contains("sip:200@") && at > removal.0);
    assert_eq!(states(&mut world, node).last(), Some(&RegistrationState::Up));
    // The account goes.
    second.borrow_mut().seen.clear();
    config.accounts.clear();
    world.input(node, Input::Configure(&config)).unwrap();
    world.run(Duration::from_secs(4));
    assert!(second.borrow().seen.last().unwrap().1.contains("Expires: 0\r\n"));
}

#[test]
fn a_dead_registrar_holds_up_new_settings_for_two_seconds_and_shutting_down_no_longer() {
    let mut world = World::new(12);
    let first = add_registrar(&mut world, 8);
    let second = add_registrar(&mut world, 9);
    let node = world.add(1, registering_config("100", 8));
    world.run(Duration::from_secs(5));
    first.borrow_mut().is_dead = true;
    world.input(node, Input::Configure(&registering_config("200", 9))).unwrap();
    world.run_millis(1900);
    assert!(second.borrow().seen.is_empty());
    world.run(Duration::from_secs(4));
    assert!(!second.borrow().seen.is_empty());
    assert!(world.nodes[node].agent.is_at_rest());
    world.input(node, Input::Shutdown).unwrap();
    assert!(!world.nodes[node].agent.is_at_rest());
    world.run(Duration::from_secs(1));
    assert!(world.nodes[node].agent.is_at_rest());
}

#[test]
fn a_forwarded_call_is_sent_on_with_the_operators_domain_and_a_diversion_rfc_5806() {
    use crate::interface::Order;
    let mut world = World::new(13);
    add_registrar(&mut world, 9);
    world.add(1, registering_config("100", 9));
    world.run(Duration::from_secs(5));
    let invite = "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKf1;rport\r\n\
        Max-Forwards: 70\r\nFrom: <sip:300@example.net>;tag=x\r\nTo: <sip:100@example.net>\r\nCall-ID: f\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:300@192.0.2.9>\r\nContent-Length: 0\r\n\r\n";
    world.send(address(9), address(1), invite.as_bytes().to_vec(), false);
    world.run_millis(100);
    let events = world.call_events(0);
    let Some(Event::Incoming { call, .. }) = events.first() else { panic!("{events:?}") };
    world.order(0, call.0, Order::Redirect(&dialtone_base::telephony::Number::lossy("+4930555"))).unwrap();
    world.run_millis(100);
    let moved = world.last_sent(0, "SIP/2.0 302");
    assert!(moved.contains("Contact: <sip:+4930555@example.net>\r\n"), "{moved}");
    assert!(moved.contains("Diversion: <sip:100@example.net>;reason=unconditional\r\n"), "{moved}");
}
