//! The fuzz body: arbitrary bytes from a handset or a line, in arbitrary pieces.
//!
//! Nothing may panic, how the stream was cut must not matter, what was understood must survive being said again, and a line that is
//! told anything at any time keeps its clock.

use dialtone_base::Instant;

use crate::handset::{Decoder, FromHandset, FromLine, HandsetLine, LONGEST, Message, Step};
use crate::line::LineHandle;

/// The first byte says how the rest is cut; panics only when a promise is broken.
pub fn fuzz(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    feed::<FromHandset>(usize::from(*cut), stream);
    feed::<FromLine>(usize::from(*cut), stream);
}

/// A handset says this to a line in pieces, at odd times, while the app turns sound on and off and answers now and then. `line` and `handle` are
/// the same line's, and may have been through anything before.
pub fn fuzz_line(line: &mut HandsetLine, handle: &LineHandle, start: Instant, data: &[u8]) -> Instant {
    let Some((cut, stream)) = data.split_first() else { return start };
    let mut now = start;
    line.plug();
    for (number, piece) in stream.chunks(usize::from(*cut).max(1)).enumerate() {
        let odd = piece.first().copied().unwrap_or(0);
        now += dialtone_base::Duration::from_micros(u64::from(odd) * 50);
        if odd % 16 == 3 {
            handle.set_audio(number % 3 != 0);
        }
        if odd % 4 == 1
            && let Some(frame) = handle.captured().pop()
        {
            handle.playback().push(frame);
        }
        let hopeless = line.received(now, piece).is_err();
        for round in 0.. {
            assert!(round < 40, "the drain ends");
            match line.poll(now) {
                Step::Wait(deadline) => {
                    assert!(deadline.is_none_or(|deadline| deadline > now), "the next deadline lies ahead");
                    break;
                }
                Step::Say(message) => assert!(!message.encode(&mut [0; LONGEST]).is_empty()),
            }
        }
        if hopeless {
            break;
        }
    }
    line.unplug(now);
    now
}

fn feed<M: Message + PartialEq + core::fmt::Debug>(cut: usize, stream: &[u8]) {
    let (mut whole, mut pieces) = (Decoder::<M>::new(), Decoder::<M>::new());
    let mut all = stream;
    for piece in stream.chunks(cut.max(1)) {
        let mut piece = piece;
        while let Some(heard) = pieces.next(&mut piece) {
            assert_eq!(Some(&heard), whole.next(&mut all).as_ref(), "how the stream is cut does not matter");
            let Ok(message) = heard else { continue };
            let mut out = [0; LONGEST];
            let mut again = message.encode(&mut out);
            assert_eq!(Decoder::new().next(&mut again), Some(Ok(message)), "what was heard can be said");
            assert!(again.is_empty(), "in one message");
        }
    }
    assert_eq!(whole.next(&mut all), None, "nothing more is in it");
}

#[cfg(test)]
mod tests {
    use dialtone_base::{Random, Seed};

    use super::{fuzz, fuzz_line};
    use crate::handset::HandsetLine;
    use crate::line::{LineInfo, line};

    #[test]
    fn no_stream_breaks_a_promise() {
        let info = LineInfo { name: dialtone_base::text::Text::lossy("phone1"), sample_rate: 8000 };
        let (handle, driver) = line(info);
        let mut line = HandsetLine::new(driver);
        let mut now = dialtone_base::Instant::START;
        for number in 0..20_000 {
            let seed = Seed::from_number(number);
            let mut random = Random::new(seed);
            let mut data = std::vec![0; 1 + random.below(700) as usize];
            random.fill(&mut data);
            // Most streams begin like a conversation, or they would be lost at the first length.
            let mut at = 1;
            while number % 8 != 0 && at + 3 < data.len() {
                let length = random.below(12);
                data[at] = b"HAFIBZ"[random.below(6) as usize];
                data[at + 1] = if random.below(50) == 0 { 1 } else { 0 };
                data[at + 2] = length as u8;
                if random.below(2) == 0 {
                    data[at + 3] = random.below(5) as u8;
                }
                at += 3 + length as usize;
            }
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                fuzz(&data);
                now = fuzz_line(&mut line, &handle, now, &data);
            }));
            assert!(outcome.is_ok(), "seed {number}");
        }
    }
}
