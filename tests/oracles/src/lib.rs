//! What the line says and hears, judged by software nobody of this project wrote.
//!
//! Sound files, speech, and the programs that listen. The tests themselves are in `tests/`, one file per question.

pub mod harness;
pub mod speech;
pub mod wav;
