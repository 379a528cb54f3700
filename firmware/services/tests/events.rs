//! What the router went through and what the home does on the internet are told apart.

use std::net::Ipv4Addr;

use dialtone_base::event::{EVENT_RING, Event};
use dialtone_hal_linux::clock;
use dialtone_services::state::{EventReader, RouterState};

fn visit() -> Event {
    Event::NameAnswered {
        client: Ipv4Addr::new(192, 168, 77, 20),
        name: "clinic.example".into(),
        cached: false,
    }
}

#[test]
fn a_flood_of_traffic_pushes_nothing_else_out_and_is_not_on_the_page() {
    clock::use_virtual();
    let state = RouterState::leak(vec![], Default::default());
    state.note(Event::WanDown { reason: "no link" });
    for _ in 0..EVENT_RING * 3 {
        state.note(visit());
    }
    // The page reads this ring only.
    let page: Vec<Event> =
        (0..).map_while(|sequence| state.events.read(sequence)).map(|entry| entry.event).collect();
    assert_eq!(page, [Event::WanDown { reason: "no link" }]);
}

#[test]
fn whoever_owns_the_router_reads_both_in_order_and_learns_what_was_missed() {
    clock::use_virtual();
    let state = RouterState::leak(vec![], Default::default());
    state.note(Event::Started);
    state.note(visit());
    let mut reader = EventReader::default();
    assert_eq!(reader.next(state).map(|(missed, entry)| (missed, entry.event)), Some((0, Event::Started)));
    assert_eq!(reader.next(state).map(|(missed, entry)| (missed, entry.event)), Some((0, visit())));
    assert!(reader.next(state).is_none());
    for _ in 0..EVENT_RING + 5 {
        state.note(visit());
    }
    assert_eq!(reader.next(state).map(|(missed, _)| missed), Some(5));
}
