//! The fuzz body: arbitrary bytes from a handset or a line, in arbitrary pieces.
//!
//! Nothing may panic, how the stream was cut must not matter, and what was understood must survive being said again.

use crate::handset::{Decoder, FromHandset, FromLine, LONGEST, Message};

/// The first byte says how the rest is cut; panics only when a promise is broken.
pub fn fuzz(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    feed::<FromHandset>(usize::from(*cut), stream);
    feed::<FromLine>(usize::from(*cut), stream);
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

    use super::fuzz;

    #[test]
    fn no_stream_breaks_a_promise() {
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
            let outcome = std::panic::catch_unwind(|| fuzz(&data));
            assert!(outcome.is_ok(), "seed {number}");
        }
    }
}
