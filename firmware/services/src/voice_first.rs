//! Voice leaves first: what the router's calls are marked with, and which frames go before others to the internet.
//!
//! [`mark`] writes the DSCP of RFC 4594 on packets of the router's own calls: EF (RFC 3246) on RTP, CS3 on SIP. [`VoiceFirst`] lets EF
//! frames into the urgent band of the WAN port's queue: the router's own always, a home device's within a budget for all of them
//! together, so that one that marks everything starves nobody. Does not re-mark what devices send, and does not shape.

use dialtone_base::counter::Counters;
use dialtone_base::{Instant, counted_reasons};
use dialtone_wire::checksum::Delta;

use crate::sip::VOICE_PORTS;

counted_reasons! {
    /// What became of frames marked EF on their way to the internet.
    pub enum Expedited {
        /// The router's own call: sent first.
        OwnVoice = "own-voice-first",
        /// A device's, within the budget: sent first.
        HomeVoice = "home-voice-first",
        /// A device's, beyond the budget: waits like everything else.
        OverBudget = "home-voice-over-budget",
        /// No room in the urgent band: lost.
        NoRoom = "voice-queue-full",
    }
}

/// Counters of [`Expedited`].
pub type ExpeditedCounters = Counters<Expedited, { Expedited::COUNT }>;

/// Decides who goes first, and counts.
pub struct VoiceFirst {
    /// Bytes devices may still send first.
    budget: u64,
    filled_at: Instant,
    /// The budget ran out and is not half full yet: sparing single frames would only change their order.
    exhausted: bool,
    /// What was decided so far.
    pub counters: ExpeditedCounters,
}

impl VoiceFirst {
    /// With a full budget.
    pub fn new(now: Instant) -> Self {
        Self { budget: BUDGET_BURST, filled_at: now, exhausted: false, counters: Counters::new() }
    }

    /// Whether this Ethernet frame, on its way out of the WAN port, goes first. `own`: the router made it.
    pub fn goes_first(&mut self, now: Instant, own: bool, frame: &[u8]) -> bool {
        if !is_expedited(frame) {
            return false;
        }
        if own {
            self.counters.count(Expedited::OwnVoice);
            return true;
        }
        let elapsed = now.since(self.filled_at).as_micros();
        if elapsed >= REFILL_EVERY {
            self.filled_at = now;
            self.budget = (self.budget + elapsed.min(1_000_000) * BUDGET_RATE / 1_000_000).min(BUDGET_BURST);
        }
        self.exhausted &= self.budget < BUDGET_BURST / 2;
        match self.budget.checked_sub(frame.len() as u64).filter(|_| !self.exhausted) {
            Some(rest) => {
                self.budget = rest;
                self.counters.count(Expedited::HomeVoice);
                true
            }
            None => {
                self.exhausted = true;
                self.counters.count(Expedited::OverBudget);
                false
            }
        }
    }
}

/// Whether an Ethernet frame is IPv4 marked EF (RFC 3246).
fn is_expedited(frame: &[u8]) -> bool {
    matches!(frame.get(12..16), Some([0x08, 0x00, version, class]) if version >> 4 == 4 && class >> 2 == EXPEDITED_FORWARDING)
}

/// Marks an IPv4 packet of the router's own if it belongs to a call; whether it is voice.
pub fn mark(packet: &mut [u8]) -> bool {
    let Some(class) = class_of(packet) else { return false };
    let [version, old, ..] = *packet else { return false };
    // The two low bits are ECN (RFC 3168).
    let new = class << 2 | old & 3;
    if let Some(checksum) = packet.get_mut(10..12) {
        let delta = Delta::u16(u16::from_be_bytes([version, old]), u16::from_be_bytes([version, new]));
        let updated = delta.apply(u16::from_be_bytes([checksum[0], checksum[1]]));
        checksum.copy_from_slice(&updated.to_be_bytes());
        packet[1] = new;
    }
    class == EXPEDITED_FORWARDING
}

/// The DSCP a packet of ours should have; `None` when it is no part of a call.
fn class_of(packet: &[u8]) -> Option<u8> {
    let (first, protocol) = (*packet.first()?, *packet.get(9)?);
    // The first fragment or the only one; RTP and SIP over UDP are never cut here.
    if first >> 4 != 4 || u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff != 0 {
        return None;
    }
    let ports = packet.get(usize::from(first & 15) * 4..)?;
    let source = u16::from_be_bytes([*ports.first()?, *ports.get(1)?]);
    let destination = u16::from_be_bytes([*ports.get(2)?, *ports.get(3)?]);
    match protocol {
        UDP if source == VOICE_PORTS.0 => Some(SIGNALLING),
        UDP if (VOICE_PORTS.0..=VOICE_PORTS.1).contains(&source) => Some(EXPEDITED_FORWARDING),
        TCP if SIP_SERVERS.contains(&destination) => Some(SIGNALLING),
        _ => None,
    }
}

/// EF: telephony (RFC 4594 section 4.1).
const EXPEDITED_FORWARDING: u8 = 46;
/// CS3: signalling of calls, as SIP trunks and their routers use it.
const SIGNALLING: u8 = 24;
/// Where SIP over TCP and TLS goes.
const SIP_SERVERS: [u16; 2] = [5060, 5061];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Bytes a second that all devices together may send first: eight calls of G.711 at 20 ms.
const BUDGET_RATE: u64 = 90_000;
/// Bytes they may send at once.
const BUDGET_BURST: u64 = 18_000;
/// Microseconds between two looks at the clock's worth of budget.
const REFILL_EVERY: u64 = 1000;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use dialtone_base::Duration;
    use dialtone_wire::checksum;

    use super::*;

    fn packet(protocol: u8, source: u16, destination: u16) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x45;
        packet[1] = 1;
        packet[9] = protocol;
        packet[12..20].copy_from_slice(&[192, 0, 2, 1, 203, 0, 113, 9]);
        let sum = !checksum::sum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet[20..22].copy_from_slice(&source.to_be_bytes());
        packet[22..24].copy_from_slice(&destination.to_be_bytes());
        packet
    }

    fn frame(class: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, class << 2]);
        frame
    }

    #[test]
    fn calls_are_marked_and_nothing_else_rfc_4594() {
        for (protocol, source, destination, class, voice) in [
            (UDP, 5060, 5060, SIGNALLING, false),
            (UDP, 5062, 40_000, EXPEDITED_FORWARDING, true),
            (UDP, 6059, 40_000, EXPEDITED_FORWARDING, true),
            (UDP, 6060, 40_000, 0, false),
            (UDP, 40_000, 5062, 0, false),
            (TCP, 50_000, 5061, SIGNALLING, false),
            (TCP, 5062, 443, 0, false),
            (1, 5062, 443, 0, false),
        ] {
            let mut packet = packet(protocol, source, destination);
            assert_eq!(mark(&mut packet), voice);
            assert_eq!(packet[1], class << 2 | 1, "protocol {protocol}, {source} to {destination}");
            assert_eq!(checksum::sum(&packet[..20]), 0xffff, "RFC 1624");
        }
    }

    #[test]
    fn short_and_foreign_packets_are_left_alone() {
        let whole = packet(UDP, 5062, 1);
        for length in 0..24 {
            let mut short = whole[..length].to_vec();
            assert!(!mark(&mut short));
            assert_eq!(short, whole[..length]);
        }
        let mut later_fragment = packet(UDP, 5062, 1);
        later_fragment[7] = 100;
        assert!(!mark(&mut later_fragment));
        assert!(!is_expedited(&[]));
        assert!(!is_expedited(&frame(0, 60)) && is_expedited(&frame(46, 60)));
    }

    #[test]
    fn own_voice_always_goes_first_and_a_device_within_the_budget() {
        let mut first = VoiceFirst::new(Instant::START);
        let (voice, mut now) = (frame(46, 214), Instant::START);
        // Eight calls for a minute, and the router's own.
        for _ in 0..60 * 400 {
            now += Duration::from_micros(2500);
            assert!(first.goes_first(now, false, &voice));
            assert!(first.goes_first(now, true, &voice));
        }
        assert!(!first.goes_first(now, true, &frame(0, 214)));
        // A device that marks its upload: at most the budget gets through, whole seconds at a time in order.
        let (upload, mut ahead) = (frame(46, 1514), 0);
        for _ in 0..20_000 {
            now += Duration::from_micros(500);
            ahead += u64::from(first.goes_first(now, false, &upload)) * 1514;
            assert!(first.goes_first(now, true, &voice));
        }
        assert!(ahead <= 10 * BUDGET_RATE + BUDGET_BURST, "{ahead} bytes in ten seconds");
        assert!(first.counters.of(Expedited::OverBudget) > 0);
    }
}
