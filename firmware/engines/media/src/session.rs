//! One voice stream: sound in and RTP out, RTP in and sound out, 10 ms at a time.
//!
//! Never waits, never allocates after [`Session::new`], does bounded work in each call.

use core::net::SocketAddr;

use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant, Seed, counted_reasons};
use heapless::Deque;

use crate::codec::CodecPool;
use crate::stream::StreamConfig;

/// What a session needs besides what was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Samples in a second of the line, 8000 or 16000.
    pub sample_rate: u32,
    /// After this long without RTP where RTP is due, [`Event::Silent`] is told once.
    pub timeout: Duration,
}

/// What a session tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer pressed a key (RFC 4733). Told once, at its beginning; its tone is already in the sound of `pull_pcm`.
    Key(Key),
    /// The peer reported a hook flash (RFC 4733 event 16).
    Flash,
    /// No RTP came for [`Setup::timeout`]: the call may be dead.
    Silent,
    /// RTP came again after [`Event::Silent`].
    Resumed,
    /// RTP comes from another address than was negotiated and now goes there (symmetric RTP).
    Moved(SocketAddr),
    /// The peer's RTCP says goodbye.
    Bye,
}

counted_reasons! {
    /// Why a packet did not become sound, or an order was refused.
    pub enum Dropped {
        /// Not RTP or RTCP.
        Malformed = "malformed",
    }
}

/// A stream in progress. Large (tens of kilobytes): box it.
pub struct Session {
    config: StreamConfig,
    events: Deque<Event, 16>,
}

impl Session {
    /// A stream that begins now. Takes an Opus encoder and decoder from `pool` when Opus was agreed.
    pub fn new(now: Instant, config: StreamConfig, setup: Setup, pool: &CodecPool, seed: Seed) -> Self {
        let _ = (now, setup, pool, seed);
        Self { config, events: Deque::new() }
    }

    /// What is agreed now.
    pub const fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// A new agreement (re-INVITE): codec, address, hold, packet time. The SSRC and sequence numbers go on.
    pub fn reconfigure(&mut self, now: Instant, config: StreamConfig) {
        let _ = now;
        self.config = config;
    }

    /// Where to send what [`Session::push_pcm`] returns; follows the peer (symmetric RTP).
    pub fn destination(&self) -> Option<SocketAddr> {
        self.config.remote
    }

    /// Where to send what [`Session::rtcp`] returns.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        self.config.remote_rtcp
    }

    /// A datagram came on the RTP port (with RTCP multiplexed: RTCP too).
    pub fn push_rtp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let _ = (now, from, datagram);
        Ok(())
    }

    /// A datagram came on the RTCP port.
    pub fn push_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let _ = (now, from, datagram);
        Ok(())
    }

    /// Fills `out`, 10 ms at the line's rate, with what the peer says. Call every 10 ms.
    pub fn pull_pcm(&mut self, now: Instant, out: &mut [i16]) {
        let _ = now;
        out.fill(0);
    }

    /// Takes 10 ms at the line's rate; every packet time the result is the length of an RTP packet in `out` (at least 1500 octets), to be
    /// sent to [`Session::destination`] at once.
    pub fn push_pcm(&mut self, now: Instant, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        let _ = (now, samples, out);
        None
    }

    /// When RTCP is due, the length of a report in `out`, to be sent to [`Session::rtcp_destination`]. Call every 10 ms.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        None
    }

    /// The last report, with BYE; afterwards the session is silent.
    pub fn bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        None
    }

    /// Sends a key for `duration` as RFC 4733 events when that was agreed. `false`: not agreed, or too many keys wait; then sound the
    /// tone into `push_pcm` or send SIP INFO.
    pub fn send_key(&mut self, key: Key, duration: Duration) -> bool {
        let _ = (key, duration);
        false
    }

    /// Sends silence instead of the microphone.
    pub fn set_mute(&mut self, mute: bool) {
        let _ = mute;
    }

    /// What happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
