//! Keys as events (RFC 4733): sent in place of sound, received once each.
//!
//! §2.5.1: an event starts with the marker, is repeated while it lasts, and ends with three equal packets; all its packets carry the
//! timestamp of its beginning. §2.5.1.3: an event longer than 65535 ticks goes on in a new segment. Received: a lost beginning
//! or end, repetitions, and segments neither double nor swallow a key. No other events than keys and hook flash.

use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant};
use heapless::Deque;

/// Octets of an event payload.
pub const PAYLOAD: usize = 4;
/// RFC 4733 §3.2, table 4: hook flash.
pub const FLASH: u8 = 16;
/// Keys that may wait to be sent.
const QUEUE: usize = 32;
/// Silence between two keys sent.
const PAUSE: u32 = 50;
/// An event whose end got lost is over after this time without a packet.
const LOST_END: Duration = Duration::from_millis(150);

/// The payload of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// 0 to 15 are keys, 16 is a hook flash.
    pub event: u8,
    /// The event is over.
    pub end: bool,
    /// dBm0 below zero, 0 to 63.
    pub volume: u8,
    /// Ticks since the timestamp.
    pub duration: u16,
}

/// A packet to send instead of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToSend {
    /// First packet of the event.
    pub marker: bool,
    /// When the event (its segment) began.
    pub timestamp: u32,
    /// What it says.
    pub packet: EventPacket,
}

/// Sends keys one after the other.
#[derive(Clone, Debug, Default)]
pub struct EventSender {
    waiting: Deque<(u8, u32), QUEUE>,
    state: Sending,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sending {
    /// No event; this many milliseconds must pass before the next.
    #[default]
    Idle,
    Pause(u32),
    Event {
        event: u8,
        started: u32,
        sent: bool,
        elapsed: u32,
        length: u32,
    },
    /// The end was sent so often; all end packets are equal.
    Ending {
        event: u8,
        started: u32,
        duration: u16,
        sent: u8,
    },
}

/// What a received packet means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A new event.
    Began(u8),
    /// One that is known already, or an old one.
    Known,
}

/// Receives events.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    current: Option<Current>,
    /// The latest event that ended: its repetitions mean nothing.
    past: Option<(u8, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    event: u8,
    /// Of the latest segment.
    timestamp: u32,
    /// Ticks in the segments before.
    before: u32,
    duration: u16,
    ended: bool,
    heard_at: Instant,
    began_at: Instant,
}

impl EventPacket {
    /// Reads a payload; `None` when it is shorter than [`PAYLOAD`].
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<PAYLOAD>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// Writes the payload.
    pub const fn write(self) -> [u8; PAYLOAD] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (self.end as u8) << 7 | (self.volume & 0x3f), high, low]
    }
}

impl EventSender {
    /// Queues an event of so many milliseconds (at least 40). `false`: too many wait.
    pub fn send(&mut self, event: u8, milliseconds: u32) -> bool {
        self.waiting.push_back((event, milliseconds.clamp(40, 600_000))).is_ok()
    }

    /// Whether sound must not be sent now.
    pub fn is_sending(&self) -> bool {
        matches!(self.state, Sending::Event { .. } | Sending::Ending { .. })
    }

    /// Whether anything is left to send.
    pub fn is_idle(&self) -> bool {
        self.state == Sending::Idle && self.waiting.is_empty()
    }

    /// Ten milliseconds begin. `timestamp` is theirs, `rate` the event's clock; `due`: the usual time for a packet has come (ends are
    /// repeated without waiting for it).
    pub fn tick(&mut self, timestamp: u32, rate: u32, due: bool) -> Option<ToSend> {
        let per_tick = rate / 100;
        match self.state {
            Sending::Pause(left) if left > 10 => {
                self.state = Sending::Pause(left - 10);
                None
            }
            Sending::Idle | Sending::Pause(_) => {
                self.state = Sending::Idle;
                // An event takes the place of a packet of sound.
                if !due {
                    return None;
                }
                let (event, milliseconds) = self.waiting.pop_front()?;
                let length = milliseconds * (rate / 1000);
                self.state = Sending::Event { event, started: timestamp, sent: false, elapsed: 0, length };
                // A packet of sound up to here went before; the event's first comes 10 ms on.
                None
            }
            Sending::Event { event, started, sent, elapsed, length } => {
                let elapsed = elapsed + per_tick;
                if elapsed >= length {
                    let duration = length.min(u32::from(u16::MAX)) as u16;
                    self.state = Sending::Ending { event, started, duration, sent: 1 };
                    return Some(to_send(event, started, duration, true, !sent));
                }
                if elapsed > u32::from(u16::MAX) - per_tick {
                    // §2.5.1.3: this segment is full, the next begins where it ends.
                    let full = elapsed;
                    self.state = Sending::Event {
                        event,
                        started: started.wrapping_add(full),
                        sent: true,
                        elapsed: 0,
                        length: length - full,
                    };
                    return Some(to_send(event, started, full as u16, false, !sent));
                }
                let now = due || !sent;
                self.state = Sending::Event { event, started, sent: sent || now, elapsed, length };
                now.then(|| to_send(event, started, elapsed as u16, false, !sent))
            }
            Sending::Ending { event, started, duration, sent } => {
                self.state = if sent >= 2 {
                    Sending::Pause(PAUSE)
                } else {
                    Sending::Ending { event, started, duration, sent: sent + 1 }
                };
                Some(to_send(event, started, duration, true, false))
            }
        }
    }
}

fn to_send(event: u8, timestamp: u32, duration: u16, end: bool, marker: bool) -> ToSend {
    ToSend { marker, timestamp, packet: EventPacket { event, end, volume: 10, duration } }
}

impl EventReceiver {
    /// A packet came.
    pub fn packet(&mut self, now: Instant, timestamp: u32, packet: EventPacket) -> Heard {
        if let Some(current) = &mut self.current {
            if current.event == packet.event && current.timestamp == timestamp {
                current.duration = current.duration.max(packet.duration);
                current.ended |= packet.end;
                current.heard_at = now;
                return Heard::Known;
            }
            let ahead = timestamp.wrapping_sub(current.timestamp) as i32;
            if ahead < 0 {
                return Heard::Known;
            }
            // The next segment of a long event begins where this one was full.
            if current.event == packet.event
                && !current.ended
                && ahead as u32 >= 0xf000
                && ahead as u32 <= 0x1_0000
            {
                current.before = current.before.saturating_add(ahead as u32);
                current.timestamp = timestamp;
                current.duration = packet.duration;
                current.ended = packet.end;
                current.heard_at = now;
                return Heard::Known;
            }
        }
        if let Some((event, past)) = self.past {
            let ahead = timestamp.wrapping_sub(past) as i32;
            if (event == packet.event && ahead == 0) || (-800_000..0).contains(&ahead) {
                return Heard::Known;
            }
        }
        self.current = Some(Current {
            event: packet.event,
            timestamp,
            before: 0,
            duration: packet.duration,
            ended: packet.end,
            heard_at: now,
            began_at: now,
        });
        self.past = Some((packet.event, timestamp));
        Heard::Began(packet.event)
    }

    /// The key whose tone sounds now; `rate` is the event's clock. A key sounds as long as it lasted, at least 40 ms.
    pub fn sounding(&mut self, now: Instant, rate: u32) -> Option<Key> {
        let current = self.current?;
        let lasted = current.before.saturating_add(u32::from(current.duration));
        let length = Duration::from_micros(u64::from(lasted) * 1_000_000 / u64::from(rate.max(1)));
        let length = if length < Duration::from_millis(40) { Duration::from_millis(40) } else { length };
        let past = now - current.began_at;
        let over =
            if current.ended { past >= length } else { past >= length && now - current.heard_at >= LOST_END };
        if over {
            self.past = Some((current.event, current.timestamp));
            self.current = None;
            return None;
        }
        // Without its end, it goes on until the next packet is overdue.
        Key::from_event(current.event)
    }
}
