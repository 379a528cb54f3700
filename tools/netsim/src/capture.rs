//! What went over the wires, as a pcap file for Wireshark or tcpdump.
//!
//! The classic format with microseconds, link type Ethernet (draft-ietf-opsawg-pcap).

use std::io::{self, Write};

use dialtone_base::Instant;

/// Writes frames to a file or anything else.
pub struct Capture {
    out: Box<dyn Write>,
    failed: bool,
}

impl Capture {
    /// Writes the header.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: Box<dyn Write>) -> io::Result<Self> {
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535 + 18, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, failed: false })
    }

    /// Hands everything over to what is written to.
    ///
    /// # Errors
    /// When this or an earlier frame could not be written: the file is cut off there.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()?;
        if self.failed { Err(io::Error::other("it could not be written to the end")) } else { Ok(()) }
    }

    /// Adds a frame; after the first error nothing more is written.
    pub fn frame(&mut self, now: Instant, bytes: &[u8]) {
        if self.failed {
            return;
        }
        let micros = now.as_micros();
        let length = bytes.len() as u32;
        let words = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length];
        let header: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.failed = self.out.write_all(&header).and_then(|()| self.out.write_all(bytes)).is_err();
    }
}
