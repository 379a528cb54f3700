//! A console: whole lines of text in, text out.
//!
//! On Linux a local socket behind `dialtone settings` and `dialtone status`, on a bare board the serial port. One session
//! at a time. A line longer than [`LINE`] is cut by the driver and reported as such; output waits for the reader.

use alloc::boxed::Box;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::pipe::Pipe;

/// Longest line of input in bytes: a settings tree as JSON on one line fits.
pub const LINE: usize = 32 * 1024;
/// Bytes of output under way.
pub const OUTPUT: usize = 4096;

/// A line of input without its line end. Allocated by the driver: the console is no packet path.
pub type Line = alloc::string::String;

struct ConsoleChannel {
    lines: Channel<CriticalSectionRawMutex, Line, 4>,
    output: Pipe<CriticalSectionRawMutex, OUTPUT>,
}

/// The app's end.
pub struct ConsoleHandle {
    channel: &'static ConsoleChannel,
}

/// The driver's end.
#[derive(Clone, Copy)]
pub struct ConsoleDriver {
    channel: &'static ConsoleChannel,
}

/// Makes both ends.
pub fn console() -> (ConsoleHandle, ConsoleDriver) {
    let channel: &'static ConsoleChannel =
        Box::leak(Box::new(ConsoleChannel { lines: Channel::new(), output: Pipe::new() }));
    (ConsoleHandle { channel }, ConsoleDriver { channel })
}

impl ConsoleHandle {
    /// The next line somebody typed.
    pub async fn next_line(&mut self) -> Line {
        self.channel.lines.receive().await
    }

    /// Writes all of `text`; waits while the reader is slow.
    pub async fn write(&mut self, text: &str) {
        self.channel.output.write_all(text.as_bytes()).await;
    }
}

impl ConsoleDriver {
    /// Hands a line to the app; waits while four are unread.
    pub async fn line(&self, line: Line) {
        self.channel.lines.send(line).await;
    }

    /// Waits for output; how many bytes of `bytes` were filled.
    pub async fn output(&self, bytes: &mut [u8]) -> usize {
        self.channel.output.read(bytes).await
    }
}
