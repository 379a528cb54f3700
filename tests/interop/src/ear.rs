//! What arrives at a party, heard on its wire: RTP with G.711, decoded here.
//!
//! baresip 1.0.0 writes down what it decodes only until the first re-INVITE, so everything after it is heard this way. Packets are taken as they come, without a
//! jitter buffer; events (RFC 4733) and other codecs are not sound to it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Namespace;

/// Sound it remembers, in samples.
const MEMORY: usize = 8000 * 60;

/// An ear on a namespace's wire.
pub struct Ear {
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Heard {
    samples: Vec<i16>,
    last: Option<Instant>,
    longest_gap: Duration,
}

impl Ear {
    /// Listens to RTP that arrives in `namespace`.
    pub fn open(namespace: &Namespace) -> Self {
        let socket = namespace.enter(|| {
            let protocol = i32::from((libc::ETH_P_IP as u16).to_be());
            // SAFETY: takes numbers; the descriptor it returns is ours alone.
            let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM, protocol) };
            assert!(socket >= 0, "a packet socket: {}", std::io::Error::last_os_error());
            let patience = libc::timeval { tv_sec: 0, tv_usec: 200_000 };
            // SAFETY: the pointer is to a timeval of that length, only read.
            unsafe {
                libc::setsockopt(
                    socket,
                    libc::SOL_SOCKET,
                    libc::SO_RCVTIMEO,
                    (&raw const patience).cast(),
                    size_of::<libc::timeval>() as u32,
                );
                OwnedFd::from_raw_fd(socket)
            }
        });
        let heard = Arc::new(Mutex::new(Heard::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (heard.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut packet = [0_u8; 2048];
            while !stopped.load(Ordering::Relaxed) {
                // SAFETY: the buffer is as long as said; the descriptor lives as long as this thread.
                let count =
                    unsafe { libc::recv(socket.as_raw_fd(), packet.as_mut_ptr().cast(), packet.len(), 0) };
                let Some(sound) = usize::try_from(count).ok().and_then(|count| sound_of(&packet[..count]))
                else {
                    continue;
                };
                let now = Instant::now();
                let mut heard = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(last) = heard.last.replace(now) {
                    heard.longest_gap = heard.longest_gap.max(now - last);
                }
                heard.samples.extend(sound);
                let excess = heard.samples.len().saturating_sub(MEMORY);
                heard.samples.drain(..excess);
            }
        });
        Self { heard, stop }
    }

    /// The last stretch that arrived; nothing when less than that did, or when it is older than 200 ms.
    pub fn last(&self, time: Duration) -> Vec<i16> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (8000.0 * time.as_secs_f64()) as usize;
        if heard.last.is_none_or(|last| last.elapsed() > Duration::from_millis(200))
            || heard.samples.len() < wanted
        {
            return Vec::new();
        }
        heard.samples[heard.samples.len() - wanted..].to_vec()
    }

    /// The longest time between two packets of sound since the last call of this.
    pub fn take_longest_gap(&self) -> Duration {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).longest_gap)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The sound in an IPv4 packet to baresip's RTP ports.
fn sound_of(packet: &[u8]) -> Option<Vec<i16>> {
    let header = usize::from(*packet.first()? & 0xf) * 4;
    if *packet.get(9)? != 17 {
        return None;
    }
    let udp = packet.get(header..)?;
    let to = u16::from_be_bytes([*udp.get(2)?, *udp.get(3)?]);
    if !(10_000..11_000).contains(&to) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    let rtp = udp.get(8..length)?;
    let payload = rtp.get(12..)?;
    match (rtp[0], rtp[1] & 0x7f) {
        (0x80, 8) => Some(payload.iter().map(|byte| a_law(*byte)).collect()),
        (0x80, 0) => Some(payload.iter().map(|byte| mu_law(*byte)).collect()),
        _ => None,
    }
}

/// G.711 A-law to 16 bits.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = (i16::from(byte >> 4 & 7), i16::from(byte & 15) << 4);
    let size = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if byte & 0x80 != 0 { size } else { -size }
}

/// G.711 µ-law to 16 bits.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let size = (((i16::from(byte & 15) << 3) + 0x84) << (byte >> 4 & 7)) - 0x84;
    if byte & 0x80 != 0 { -size } else { size }
}
