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
            Some(Method::Options) => return vec![reply(message, from, 200, &[], b"")],
            Some(_) => return vec![reply(message, from, 404, &[], b"")],
            None => return vec![],
        }
        if registrar.asks_digest && message.line(Name::Authorization).is_none() {
            return vec![reply(message, from, 401, &[(Name::WwwAuthenticate, CHALLENGE)], b"")];
        }
        if !registrar.refuse.is_empty() {
            let (status, headers) = registrar.refuse.remove(0);
            let headers: Vec<(Name, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            return vec![reply(message, from, status, &headers, b"")];
        }
        let contact = message.text(Name::Contact).unwrap_or_default().to_string();
        let contact = format!("{};expires={}", contact.split(";expires").next().unwrap(), registrar.expires);
        vec![reply(message, from, 200, &[(Name::Contact, &contact)], b"")]
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
                .map(|bytes| {
                    String::from_utf8_lossy(&bytes)
                        .replace(";received=192.0.2.1;rport=5060", ";received=203.0.113.7;rport=61234")
                        .into_bytes()
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
