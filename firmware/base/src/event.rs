//! What happened, as typed events in a ring: countable, readable after the fact, told in text only at the edges.
//!
//! One [`EventRing`] per router; every part writes to it, the console, the demo and the status page read from it. A full
//! ring forgets the oldest event and readers learn how many they missed.

use core::cell::RefCell;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use critical_section::Mutex;
use heapless::Deque;

use crate::telephony::{LineId, Number};
use crate::text::Text;
use crate::time::UnixTime;
use crate::{Instant, Ipv4Prefix, MacAddress, PortId, Zone};

/// Events kept.
pub const EVENT_RING: usize = 256;

/// One thing that happened in the router.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The firmware is up and its tasks run.
    Started,
    /// A port's link came up or went down.
    Link {
        /// Which port.
        port: PortId,
        /// Up or down.
        up: bool,
    },
    /// The WAN has an address and a way out.
    WanUp {
        /// Address and network.
        address: Ipv4Prefix,
        /// Default gateway.
        gateway: Ipv4Addr,
    },
    /// The WAN lost its address; the reason is for people.
    WanDown {
        /// In a few words.
        reason: &'static str,
    },
    /// The WAN handed out a network that collides with one of ours (RFC 4787 REQ-7).
    WanConflict {
        /// The zone whose network it overlaps.
        zone: Zone,
    },
    /// A device got or renewed its address.
    Leased {
        /// On which network.
        zone: Zone,
        /// The device.
        mac: MacAddress,
        /// Its address.
        address: Ipv4Addr,
        /// The name it gave, possibly empty.
        name: Text<63>,
        /// A renewal, not a new lease.
        renewed: bool,
    },
    /// A lease ended: released, expired or declined.
    LeaseEnded {
        /// The address that is free again (or quarantined).
        address: Ipv4Addr,
        /// In a few words.
        reason: &'static str,
    },
    /// A device was seen for the first time.
    DeviceSeen {
        /// The device.
        mac: MacAddress,
        /// On which network.
        zone: Zone,
    },
    /// A new flow through the router.
    FlowOpened {
        /// IP protocol number: 6, 17 or 1.
        protocol: u8,
        /// Inside end; port is the query id for ICMP.
        inside: SocketAddrV4,
        /// What the far side sees.
        outside: SocketAddrV4,
        /// The far end.
        remote: SocketAddrV4,
    },
    /// A name was looked up in the home.
    NameAnswered {
        /// Who asked.
        client: Ipv4Addr,
        /// The name, cut to 63 bytes.
        name: Text<63>,
        /// Answered from the cache or from local data.
        cached: bool,
    },
    /// A name server stopped or started answering.
    Upstream {
        /// The server.
        server: Ipv4Addr,
        /// It answers again.
        healthy: bool,
    },
    /// The clock was set.
    TimeSet {
        /// Seconds since 1970.
        unix: u64,
    },
    /// A settings tree came into force.
    SettingsApplied {
        /// Its revision.
        revision: u32,
        /// On trial: goes back by itself unless confirmed.
        trial: bool,
    },
    /// Flash did not give or take what it should; the reason is for people.
    FlashTrouble {
        /// In a few words.
        what: &'static str,
    },
    /// The settings lend guests a port the board does not have.
    NoSuchPort {
        /// What the settings call it.
        name: Text<15>,
    },
    /// A telephone number can, or can no more, be called from outside.
    Registration {
        /// The number.
        number: Number,
        /// It can.
        up: bool,
        /// In a few words, when it cannot.
        reason: &'static str,
    },
    /// Two people talk.
    CallBegan {
        /// On this line.
        line: LineId,
        /// With whom; empty when they withhold it.
        number: Number,
        /// They called us.
        incoming: bool,
    },
    /// A call ended, or never came about.
    CallEnded {
        /// On this line.
        line: LineId,
        /// With whom; empty when they withhold it.
        number: Number,
        /// How long they talked.
        seconds: u32,
        /// In a few words.
        reason: &'static str,
    },
    /// A trial was taken back, not confirmed in time, or failed; the old tree is back.
    SettingsReverted {
        /// Revision in force again.
        revision: u32,
    },
}

impl Event {
    /// Tells what somebody in the home does on the internet or the telephone: kept apart from what the router itself
    /// went through, so that it pushes nothing else out and is shown only to whoever owns the router.
    pub const fn is_traffic(&self) -> bool {
        matches!(
            self,
            Self::FlowOpened { .. }
                | Self::NameAnswered { .. }
                | Self::CallBegan { .. }
                | Self::CallEnded { .. }
        )
    }
}

/// An event with its time and number.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counts from 0 without gaps.
    pub sequence: u64,
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
}

/// The newest [`EVENT_RING`] events.
pub struct EventRing {
    inner: Mutex<RefCell<Inner>>,
}

struct Inner {
    entries: Deque<Entry, EVENT_RING>,
    next: u64,
}

impl EventRing {
    /// Empty.
    pub const fn new() -> Self {
        Self { inner: Mutex::new(RefCell::new(Inner { entries: Deque::new(), next: 0 })) }
    }

    /// Notes an event; the oldest is forgotten when the ring is full.
    pub fn push(&self, at: Instant, event: Event) {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            if inner.entries.is_full() {
                inner.entries.pop_front();
            }
            let sequence = inner.next;
            inner.next += 1;
            // There is room: the oldest was just taken out.
            let _ = inner.entries.push_back(Entry { sequence, at, event });
        });
    }

    /// The first event whose number is `sequence` or later. A gap between `sequence` and the entry's own number is what
    /// the reader missed.
    pub fn read(&self, sequence: u64) -> Option<Entry> {
        critical_section::with(|token| {
            let inner = self.inner.borrow_ref(token);
            let oldest = inner.entries.front()?.sequence;
            let skip = sequence.saturating_sub(oldest) as usize;
            inner.entries.iter().nth(skip).cloned()
        })
    }

    /// The number the next event will get.
    pub fn next_sequence(&self) -> u64 {
        critical_section::with(|token| self.inner.borrow_ref(token).next)
    }
}

impl Default for EventRing {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Event {
    /// One line in plain English, as the demo and the console print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => write!(f, "the router is up"),
            Self::Link { port, up } => write!(f, "{port}: link {}", if *up { "up" } else { "down" }),
            Self::WanUp { address, gateway } => write!(f, "internet up: {address} via {gateway}"),
            Self::WanDown { reason } => write!(f, "internet down: {reason}"),
            Self::WanConflict { zone } => {
                write!(f, "the WAN's network overlaps the {zone} network: change the {zone} address")
            }
            Self::Leased { zone, mac, address, name, renewed } => {
                let verb = if *renewed { "renewed" } else { "leased" };
                write!(f, "{verb} {address} to {mac}")?;
                if !name.is_empty() {
                    write!(f, " \"{name}\"")?;
                }
                write!(f, " on {zone}")
            }
            Self::LeaseEnded { address, reason } => write!(f, "lease of {address} ended: {reason}"),
            Self::DeviceSeen { mac, zone } => write!(f, "new device {mac} on {zone}"),
            Self::FlowOpened { protocol, inside, outside, remote } => {
                let protocol = match protocol {
                    6 => "tcp",
                    17 => "udp",
                    1 => "icmp",
                    _ => "ip",
                };
                write!(f, "{protocol} {inside} -> {remote} as {outside}")
            }
            Self::NameAnswered { client, name, cached } => {
                let how = if *cached { " (answered here)" } else { "" };
                // The router's own look-ups come from its loopback address.
                match client.is_loopback() {
                    true => write!(f, "the router asked for {name}{how}"),
                    false => write!(f, "{client} asked for {name}{how}"),
                }
            }
            Self::Upstream { server, healthy } => {
                write!(
                    f,
                    "name server {server} {}",
                    if *healthy { "answers again" } else { "does not answer" }
                )
            }
            Self::TimeSet { unix } => write!(f, "clock set to {}", UnixTime(*unix)),
            Self::SettingsApplied { revision, trial } => {
                let how = if *trial { "on trial, confirm within 90 s" } else { "in force" };
                write!(f, "settings revision {revision} {how}")
            }
            Self::NoSuchPort { name } => {
                write!(f, "guest.ports: there is no port \"{name}\" to lend; \"status\" names the ports")
            }
            Self::FlashTrouble { what } => write!(f, "flash: {what}"),
            Self::Registration { number, up: true, .. } => {
                write!(f, "telephone number {number} is registered")
            }
            Self::Registration { number, up: false, reason } => {
                write!(f, "telephone number {number} cannot be called: {reason}")
            }
            Self::CallBegan { line, number, incoming } => {
                write!(f, "{line}: talks with {}", shown(number))?;
                if *incoming { write!(f, ", who called") } else { Ok(()) }
            }
            Self::CallEnded { line, number, seconds, reason } => match *seconds {
                0 => write!(f, "{line}: no call with {}: {reason}", shown(number)),
                _ => write!(f, "{line}: call with {} ended after {seconds} s: {reason}", shown(number)),
            },
            Self::SettingsReverted { revision } => {
                write!(
                    f,
                    "settings went back to revision {revision}: the change was taken back, or not confirmed in time"
                )
            }
        }
    }
}

fn shown(number: &Number) -> &str {
    if number.is_empty() { "a withheld number" } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_learns_that_it_missed_events() {
        let ring = EventRing::new();
        for _ in 0..EVENT_RING + 10 {
            ring.push(Instant::START, Event::Started);
        }
        assert_eq!(ring.read(0).unwrap().sequence, 10);
        assert_eq!(ring.read(100).unwrap().sequence, 100);
        assert!(ring.read(ring.next_sequence()).is_none());
    }
}
