//! The fuzz body: any order of facts; every change is told once and the last word is true.

use core::net::Ipv4Addr;

use dialtone_base::{Instant, Ipv4Prefix, Zone};
use heapless::Vec;

use crate::{Config, Connection, Event, Input, Mode, Output, State, Wan};

fn connection(number: u8) -> Connection {
    let address = Ipv4Addr::new(192, 168, 70 + number % 12, 9);
    Connection {
        // Lengths stay within 32.
        address: Ipv4Prefix::new(address, 20 + number % 13).unwrap_or(LAN),
        gateway: (!number.is_multiple_of(3)).then_some(Ipv4Addr::new(192, 168, 70, 1)),
        name_servers: Vec::new(),
        time_servers: Vec::new(),
        mtu: None,
    }
}

const LAN: Ipv4Prefix = match Ipv4Prefix::new(Ipv4Addr::new(192, 168, 77, 1), 24) {
    Some(prefix) => prefix,
    None => unreachable!(),
};

fn config(number: u8) -> Config {
    let mode = if number & 1 == 0 { Mode::Dhcp } else { Mode::Static(connection(number / 2)) };
    Config { mode, lan: LAN, guest: (number & 2 != 0).then_some(LAN) }
}

/// Each byte is one input; panics only when a promise is broken.
pub fn fuzz(data: &[u8]) {
    let mut wan = Wan::new(config(0));
    let mut told: Option<Event> = None;
    let mut conflicts = [false; 3];
    for byte in data {
        let number = byte >> 2;
        let input = match byte & 3 {
            0 => Input::Link(number & 1 == 0),
            1 => Input::Leased(connection(number)),
            2 => Input::Lost("lease over"),
            _ => Input::Configure(config(number)),
        };
        while let Output::Event(event) = wan.poll(Instant::START) {
            match &event {
                Event::Up(_) | Event::Down { .. } => {
                    assert_ne!(told.as_ref(), Some(&event), "told twice");
                    told = Some(event);
                }
                Event::Conflict(zone) => assert!(!core::mem::replace(&mut conflicts[zone.index()], true)),
                Event::ConflictOver(zone) => assert!(core::mem::take(&mut conflicts[zone.index()])),
                Event::AskDhcp(_) => {}
            }
        }
        match (wan.state(), &told) {
            (State::Up(connection), Some(Event::Up(last))) => assert_eq!(connection, last),
            (State::NoLink | State::Connecting, Some(Event::Down { .. })) => {}
            // Before anybody knew how the link is.
            (State::NoLink, None) => {}
            (state, told) => panic!("{state:?} but told {told:?}"),
        }
        for zone in Zone::ALL {
            assert_eq!(conflicts[zone.index()], wan.conflicts_with(zone));
        }
        let _ = wan.handle(Instant::START, input);
    }
}
