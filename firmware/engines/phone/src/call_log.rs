//! The call log: the last calls of all lines, newest first.
//!
//! Bounded: the oldest entry makes room. Entries are plain data for flash (postcard) and the status page (JSON).

use dialtone_base::telephony::{LineId, Party};
use dialtone_base::time::UnixTime;
use heapless::Deque;
use serde::{Deserialize, Serialize};

/// Entries kept.
pub const ENTRIES: usize = 100;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1, for ever: tells entries apart.
    pub id: u32,
    /// Who was at the other end.
    pub party: Party,
    /// When it began; `None` while the router did not know the time.
    pub at: Option<UnixTime>,
    /// In, out, or inside the home.
    pub direction: Direction,
    /// How it went.
    pub outcome: Outcome,
    /// How long they talked, in seconds.
    pub seconds: u32,
    /// By which account; `None` inside the home.
    pub account: Option<u8>,
    /// At which line; `None` when it never reached one.
    pub line: Option<LineId>,
    /// How well it sounded, filled in by whoever measured it.
    pub quality: Option<Quality>,
}

/// In, out, or inside the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// They called.
    In,
    /// We called.
    Out,
    /// From line to line.
    Inside,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// They talked.
    Answered,
    /// Incoming, nobody answered.
    Missed,
    /// Incoming, another telephone of the same number took it.
    AnsweredElsewhere,
    /// Incoming, refused: anonymous, do not disturb, or by hand.
    Rejected,
    /// Incoming, sent on to another number.
    Forwarded,
    /// All lines were busy, or the other end was.
    Busy,
    /// Outgoing, given up before an answer.
    NoAnswer,
    /// Outgoing, it did not work.
    Failed,
    /// Not dialled: a rule forbids the number.
    Blocked,
}

/// How well a call sounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Estimated opinion score in hundredths, 100 to 450.
    pub mos_hundredths: u16,
    /// Lost packets in hundredths of a percent.
    pub loss: u16,
    /// Round trip in milliseconds, 0 when unknown.
    pub round_trip: u16,
    /// Mean jitter in milliseconds.
    pub jitter: u16,
}

/// The last calls.
#[derive(Clone, Debug, Default)]
pub struct CallLog {
    entries: Deque<Entry, ENTRIES>,
}

impl CallLog {
    /// Without entries.
    pub const fn new() -> Self {
        Self { entries: Deque::new() }
    }

    /// Adds the newest entry; the oldest makes room.
    pub fn add(&mut self, entry: Entry) {
        if self.entries.is_full() {
            self.entries.pop_front();
        }
        // There is room: just made.
        let _ = self.entries.push_back(entry);
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// Says how well the call of entry `id` sounded; `false` when it is no longer kept.
    pub fn rate(&mut self, id: u32, quality: Quality) -> bool {
        match self.entries.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => {
                entry.quality = Some(quality);
                true
            }
            None => false,
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32) -> Entry {
        Entry {
            id,
            party: Party::default(),
            at: Some(UnixTime(1_800_000_000)),
            direction: Direction::In,
            outcome: Outcome::Missed,
            seconds: 0,
            account: Some(0),
            line: Some(LineId(1)),
            quality: None,
        }
    }

    #[test]
    fn the_oldest_entry_makes_room_and_the_newest_comes_first() {
        let mut log = CallLog::new();
        for id in 1..=ENTRIES as u32 + 5 {
            log.add(entry(id));
        }
        assert_eq!(log.iter().count(), ENTRIES);
        assert_eq!(log.iter().next().map(|entry| entry.id), Some(ENTRIES as u32 + 5));
        assert_eq!(log.iter().last().map(|entry| entry.id), Some(6));
    }

    #[test]
    fn quality_is_added_to_the_call_it_belongs_to_or_to_none() {
        let mut log = CallLog::new();
        log.add(entry(1));
        log.add(entry(2));
        let quality = Quality { mos_hundredths: 410, loss: 12, round_trip: 30, jitter: 2 };
        assert!(log.rate(1, quality) && !log.rate(9, quality));
        assert_eq!(log.iter().last().and_then(|entry| entry.quality), Some(quality));
        log.clear();
        assert_eq!(log.iter().count(), 0);
    }
}
