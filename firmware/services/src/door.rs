//! The door of a stack's TCP servers: how many connections one visitor may have.
//!
//! A stack without a backlog has one socket per connection; whoever takes them all shuts everybody else out. So each visitor's
//! address gets a few of a port's places, counted from its SYN on, and the SYNs beyond them are dropped unanswered: TCP asks
//! again a second later (RFC 6298 section 2), when one of its own may have ended. A handshake that nobody finishes gives its
//! place back soon. Knows addresses and ports only; who sends from invented addresses has as many places as it invents.

use core::net::SocketAddrV4;

use dialtone_base::{Duration, Instant};

/// Connections of one address to one port.
pub const PER_VISITOR: usize = 4;
/// For a visitor to finish the handshake; a home's round trip is a few milliseconds.
pub const HANDSHAKE: Duration = Duration::from_secs(2);
/// Connections known at once, all ports together. More are let in uncounted: there are fewer sockets than this.
const PLACES: usize = 64;

/// Who has which connection.
#[derive(Debug)]
pub struct Door {
    places: [Option<Place>; PLACES],
}

#[derive(Clone, Copy, Debug)]
struct Place {
    visitor: SocketAddrV4,
    port: u16,
    /// Until when it counts; `None` once a server has it, which says when it ends.
    until: Option<Instant>,
}

impl Place {
    fn is(&self, visitor: SocketAddrV4, port: u16) -> bool {
        (self.visitor, self.port) == (visitor, port)
    }
}

impl Default for Door {
    /// A door nobody has passed.
    fn default() -> Self {
        Self { places: [None; PLACES] }
    }
}

impl Door {
    /// A SYN from `visitor` to our `port`: whether the stack may see it.
    pub fn knock(&mut self, now: Instant, visitor: SocketAddrV4, port: u16) -> bool {
        for place in &mut self.places {
            place.take_if(|place| place.until.is_some_and(|until| until <= now));
        }
        let mut known = self.places.iter().flatten();
        if known.any(|place| place.is(visitor, port)) {
            return true;
        }
        let theirs = |place: &&Place| place.visitor.ip() == visitor.ip() && place.port == port;
        if self.places.iter().flatten().filter(theirs).count() >= PER_VISITOR {
            return false;
        }
        if let Some(free) = self.places.iter_mut().find(|place| place.is_none()) {
            *free = Some(Place { visitor, port, until: Some(now + HANDSHAKE) });
        }
        true
    }

    /// A server has the connection of `visitor`; it counts until [`Self::leave`].
    pub fn enter(&mut self, visitor: SocketAddrV4, port: u16) {
        let known = self.places.iter().position(|place| place.is_some_and(|it| it.is(visitor, port)));
        let place = known.or_else(|| self.places.iter().position(Option::is_none));
        if let Some(place) = place.and_then(|index| self.places.get_mut(index)) {
            *place = Some(Place { visitor, port, until: None });
        }
    }

    /// The connection of `visitor` is over.
    pub fn leave(&mut self, visitor: SocketAddrV4, port: u16) {
        for place in &mut self.places {
            place.take_if(|place| place.is(visitor, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn visitor(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 168, 77, host), port)
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_visitor_with_all_its_connections_waits_and_others_do_not() {
        let mut door = Door::default();
        let let_in = (1000..1100).filter(|port| door.knock(at(0), visitor(20, *port), 80)).count();
        assert_eq!(let_in, PER_VISITOR);
        assert!(door.knock(at(0), visitor(21, 1000), 80));
        // Another service has places of its own.
        assert!(door.knock(at(0), visitor(20, 1000), 53));
        // A repeated SYN is the same connection.
        assert!(door.knock(at(1), visitor(20, 1000), 80));
    }

    #[test]
    fn a_connection_counts_until_it_ends_and_a_handshake_for_two_seconds() {
        let mut door = Door::default();
        for port in 0..PER_VISITOR as u16 {
            assert!(door.knock(at(0), visitor(20, port), 80));
        }
        door.enter(visitor(20, 0), 80);
        door.enter(visitor(20, 1), 80);
        assert!(!door.knock(at(1), visitor(20, 9), 80));
        // Two handshakes came to nothing.
        let free = (100..200).filter(|port| door.knock(at(2), visitor(20, *port), 80)).count();
        assert_eq!(free, 2);
        door.leave(visitor(20, 0), 80);
        assert!(door.knock(at(3), visitor(20, 300), 80));
        assert!(!door.knock(at(3), visitor(20, 301), 80));
    }

    #[test]
    fn a_flood_from_invented_addresses_is_forgotten_when_it_ends() {
        let mut door = Door::default();
        for number in 0..50_000_u32 {
            door.knock(at(0), SocketAddrV4::new(number.into(), 1), 80);
        }
        assert!(door.knock(at(0), visitor(20, 1), 80));
        for port in 0..PER_VISITOR as u16 {
            assert!(door.knock(at(2), visitor(20, port), 80));
        }
        assert!(!door.knock(at(2), visitor(20, 99), 80));
    }
}
