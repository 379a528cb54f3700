//! Addresses being probed: who else uses them? (RFC 5227 §2.1.1.)

use dialtone_base::{Duration, Instant, MacAddress};
use dialtone_wire::ArpPacket;

use super::Key;

/// Addresses that can be probed at the same time.
pub const PROBES: usize = 16;
/// An answer is reported this long after the last question.
const OPEN: Duration = Duration::from_secs(3);

/// The addresses.
pub(super) struct Probes([Option<Probe>; PROBES]);

#[derive(Clone, Copy)]
struct Probe {
    key: Key,
    /// The question is still to be sent.
    ask: bool,
    answer: Option<MacAddress>,
    until: Instant,
}

/// What to do about one.
pub(super) enum Step {
    Ask(Key),
    Answered(Key, MacAddress),
}

impl Probes {
    pub(super) const fn new() -> Self {
        Self([None; PROBES])
    }

    /// Starts, or starts again; `false` when all places are taken.
    pub(super) fn start(&mut self, now: Instant, key: Key) -> bool {
        let probe = Probe { key, ask: true, answer: None, until: now + OPEN };
        let same = self.0.iter().position(|place| place.is_some_and(|probe| probe.key == key));
        let is_free = |place: &Option<Probe>| place.is_none_or(|probe| probe.until < now && !probe.ask);
        let place = same.or_else(|| self.0.iter().position(is_free));
        let Some(place) = place.and_then(|index| self.0.get_mut(index)) else { return false };
        *place = Some(probe);
        true
    }

    /// Looks whether an ARP packet answers one: somebody uses the address, or probes for it too.
    pub(super) fn see(&mut self, now: Instant, zone: dialtone_base::Zone, packet: &ArpPacket) {
        for probe in self.0.iter_mut().flatten() {
            let Key(on, address) = probe.key;
            let taken = packet.sender == address || (packet.is_probe() && packet.target == address);
            if on == zone && taken && now <= probe.until && probe.answer.is_none() {
                probe.answer = Some(packet.sender_mac);
            }
        }
    }

    /// What to do next.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Step> {
        for place in &mut self.0 {
            let Some(probe) = place else { continue };
            let key = probe.key;
            if let Some(mac) = probe.answer {
                *place = None;
                return Some(Step::Answered(key, mac));
            }
            if core::mem::take(&mut probe.ask) {
                return Some(Step::Ask(key));
            }
            if now > probe.until {
                *place = None;
            }
        }
        None
    }
}
