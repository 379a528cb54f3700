//! The keypad's tones (ITU-T Q.23): made by [`Generator`], heard by [`Detector`] to the figures of Q.24 (on a line
//! by [`NearEnd`], which knows what is played).
//!
//! A key is two sines at once, one of four low frequencies (its row) and one of four high ones (its column).

mod detector;
mod filter;
mod generator;
mod near_end;

pub use detector::{Detector, Event};
pub use generator::Generator;
pub use near_end::NearEnd;

use dialtone_base::telephony::Key;

/// The rows' frequencies in hertz.
pub const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// The columns' frequencies in hertz.
pub const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// The keypad as it lies there.
const KEYPAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The key in a row and a column, both from 0.
pub fn key_at(row: usize, column: usize) -> Option<Key> {
    Key::from_char(*KEYPAD.get(row)?.get(column)?)
}

/// The two frequencies of a key in hertz, low one first.
pub fn frequencies(key: Key) -> (f32, f32) {
    for (row, low) in KEYPAD.iter().zip(ROWS) {
        for (character, high) in row.iter().zip(COLUMNS) {
            if *character == key.as_char() {
                return (low, high);
            }
        }
    }
    // Every key lies on the keypad; a test goes through all of them.
    (0.0, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_place() {
        for key in Key::ALL {
            let (low, high) = frequencies(key);
            let row = ROWS.iter().position(|frequency| *frequency == low);
            let column = COLUMNS.iter().position(|frequency| *frequency == high);
            assert_eq!(row.zip(column).and_then(|(row, column)| key_at(row, column)), Some(key));
        }
        assert_eq!(key_at(4, 0), None);
    }
}
