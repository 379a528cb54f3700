//! Which address the peer's sound comes from: the negotiated one, else the one that proves itself (symmetric RTP, RFC 4961).
//!
//! Peers behind NAT announce addresses they are not seen at. A stranger is believed after [`PROOF`] packets in a row with one SSRC and rising
//! numbers, but only while the believed address is silent: nobody who merely knows our port can cut in on a call.

use core::net::SocketAddr;

use dialtone_base::{Duration, Instant};

use crate::rtp::Header;

/// Packets in a row that a stranger needs.
const PROOF: u8 = 4;
/// The believed address may be silent for so long before another can take its place.
const SILENCE: Duration = Duration::from_secs(2);
/// Before anything came from the negotiated address, a stranger needs its proof and this much time of silence there.
const FIRST: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Latch {
    negotiated: Option<SocketAddr>,
    believed: Option<SocketAddr>,
    heard_at: Option<Instant>,
    since: Instant,
    stranger: Option<Stranger>,
}

#[derive(Clone, Copy, Debug)]
struct Stranger {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// From whom it should be.
    Believed,
    /// Believed from now on.
    Moved,
    /// Not believed.
    Stray,
}

impl Latch {
    pub fn new(now: Instant, negotiated: Option<SocketAddr>) -> Self {
        Self { negotiated, believed: None, heard_at: None, since: now, stranger: None }
    }

    /// Where to send: to whom we believe, else as negotiated.
    pub fn destination(&self) -> Option<SocketAddr> {
        // Nobody named an address (hold of the old way): then nothing is to be sent.
        self.negotiated.map(|negotiated| self.believed.unwrap_or(negotiated))
    }

    /// A new agreement. The same address as before: what was learned stays.
    pub fn renegotiate(&mut self, now: Instant, negotiated: Option<SocketAddr>) {
        if negotiated.is_some() && negotiated != self.negotiated {
            *self = Self::new(now, negotiated);
        } else {
            self.negotiated = negotiated;
        }
    }

    pub fn judge(&mut self, now: Instant, from: SocketAddr, header: &Header) -> Judgement {
        if self.believed == Some(from) {
            self.heard_at = Some(now);
            self.stranger = None;
            return Judgement::Believed;
        }
        if self.negotiated == Some(from) && (self.believed.is_none() || self.silent(now)) {
            let moved = self.believed.is_some();
            self.believe(now, from);
            return if moved { Judgement::Moved } else { Judgement::Believed };
        }
        let packets = match self.stranger {
            Some(stranger)
                if stranger.from == from
                    && stranger.ssrc == header.ssrc
                    && header.sequence.wrapping_sub(stranger.sequence).wrapping_sub(1) < 16 =>
            {
                stranger.packets.saturating_add(1)
            }
            _ => 1,
        };
        self.stranger = Some(Stranger { from, ssrc: header.ssrc, sequence: header.sequence, packets });
        if packets >= PROOF && self.silent(now) {
            self.believe(now, from);
            return Judgement::Moved;
        }
        Judgement::Stray
    }

    fn silent(&self, now: Instant) -> bool {
        match self.heard_at {
            Some(at) => now - at >= SILENCE,
            None => now - self.since >= FIRST,
        }
    }

    fn believe(&mut self, now: Instant, from: SocketAddr) {
        self.believed = Some(from);
        self.heard_at = Some(now);
        self.stranger = None;
    }
}
