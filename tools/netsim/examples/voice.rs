//! Lets the operator's voice say something: `cargo run -p dialtone-netsim --example voice -- one two three > voice.wav`.

use std::io::Write;

use dialtone_netsim::operator::speech;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(word) = words.iter().find(|word| !speech::knows(word)) {
        eprintln!("the voice does not know \"{word}\"");
    }
    let samples = speech::say(&words.join(" "));
    let length = 2 * samples.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    // PCM, mono, 8 kHz, 16 bits.
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::io::stdout().write_all(&file)
}
