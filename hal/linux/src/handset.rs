//! A telephone line as a Unix socket: whoever connects is the handset.
//!
//! The protocol and the 10 ms clock are `hal/api/src/handset.rs`; this file carries bytes. One handset at a time: another is told that
//! the line is busy, and closed. A handset that does not read loses sound, never a change of feed; one that speaks nonsense is shown out.
//! The loop opens when the handset goes. Works in virtual time too, where the socket is looked at every 10 ms.

use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use dialtone_base::Instant;
use dialtone_hal_api::handset::{FromLine, HandsetLine, LONGEST, Message, Step};
use dialtone_hal_api::line::{FRAME_MILLIS, LineDriver, LineLoss};
use embassy_futures::select::{select, select4};
use embassy_futures::yield_now;
use embassy_time::Timer;

use crate::clock;
use crate::executor::{Reactor, Watch};
use crate::socket::listen;

/// A line that waits for its handset.
pub struct HandsetSocket {
    listener: UnixListener,
}

impl HandsetSocket {
    /// Listens at `path`, for this user and root only. A socket left there by a router that died is replaced.
    ///
    /// # Errors
    /// `AddrInUse` when another line listens there; others when the folder cannot be made or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let in_use =
            "another line listens there: stop that router, or give this line its own --line socket:PATH";
        Ok(Self { listener: listen(path, in_use)? })
    }

    /// Serves one handset after the other. Ends only with an error of the listener.
    pub async fn run(self, reactor: &Reactor, driver: LineDriver) -> io::Error {
        self.run_with_skew(reactor, driver, 0).await
    }

    /// As [`HandsetSocket::run`], with a clock that is `skew` parts per million slow.
    pub async fn run_with_skew(self, reactor: &Reactor, driver: LineDriver, skew: i32) -> io::Error {
        let watch = match reactor.watch(&self.listener) {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        let mut line = HandsetLine::new(driver).with_skew(skew);
        let mut plug: Option<Plug> = None;
        loop {
            if let Err(error) = self.welcome(reactor, &mut line, &mut plug) {
                return error;
            }
            let mut more = false;
            if let Some(connection) = &mut plug {
                match connection.hear(&mut line) {
                    Ok(rest) => more = rest,
                    Err(_) => plug = None,
                }
            }
            if plug.is_none() && line.plugged() {
                line.unplug(now());
            }
            let deadline = loop {
                match line.poll(now()) {
                    Step::Wait(deadline) => break deadline,
                    Step::Say(message) => {
                        if plug.as_mut().is_some_and(|plug| plug.say(&message, line.driver()).is_err()) {
                            plug = None;
                        }
                    }
                }
            };
            if plug.is_none() && line.plugged() {
                continue;
            }
            if more {
                yield_now().await;
                continue;
            }
            select4(
                watch.readable(),
                async {
                    match &plug {
                        Some(plug) => plug.ready().await,
                        None => pending().await,
                    }
                },
                line.changed(),
                sleep_until(deadline),
            )
            .await;
        }
    }

    /// Lets the first visitor in and turns others away.
    fn welcome(&self, reactor: &Reactor, line: &mut HandsetLine, plug: &mut Option<Plug>) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) if plug.is_some() => {
                    line.driver().count(LineLoss::HandsetRefused);
                    let mut out = [0; LONGEST];
                    // Best effort: a socket just made has room for three bytes.
                    let _ = stream.set_nonblocking(true);
                    let _ = stream.write(FromLine::Busy.encode(&mut out));
                }
                Ok((stream, _)) => {
                    // A handset that cannot be served is no reason to stop serving.
                    *plug = Plug::new(stream, reactor).ok();
                    if plug.is_some() {
                        line.plug();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bytes the kernel may hold for a handset that does not read: about 100 ms of sound.
const KERNEL_BUFFER: libc::c_int = 8 * 1024;
/// Bytes held here while the kernel takes no more; sound that does not fit is dropped.
const SOUND_BACKLOG: usize = 2 * LONGEST;
/// Feed changes that a handset ignores before it is shown out.
const BACKLOG: usize = 4 * 1024;

/// The connection to a handset.
struct Plug {
    // Dropped before the stream it watches.
    watch: Watch,
    stream: UnixStream,
    backlog: Vec<u8>,
}

impl Plug {
    fn new(stream: UnixStream, reactor: &Reactor) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // SAFETY: the pointer and length describe a live c_int. A failure leaves the larger default, which only costs delay.
        unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                std::ptr::from_ref(&KERNEL_BUFFER).cast(),
                size_of_val(&KERNEL_BUFFER) as libc::socklen_t,
            )
        };
        Ok(Self { watch: reactor.watch(&stream)?, stream, backlog: Vec::with_capacity(BACKLOG) })
    }

    /// Waits until there is something to read, or room for what waits.
    async fn ready(&self) {
        if self.backlog.is_empty() {
            self.watch.readable().await;
        } else {
            select(self.watch.readable(), self.watch.writable()).await;
        }
    }

    /// Hands what the handset said to the line; whether there may be more. An error is the end of the visit.
    fn hear(&mut self, line: &mut HandsetLine) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        // A handset that floods the line must not stop the line's clock.
        for _ in 0..4 {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    line.received(now(), &bytes[..count]).map_err(|_| ErrorKind::InvalidData)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.flush().map(|()| false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.flush()?;
        Ok(true)
    }

    fn say(&mut self, message: &FromLine, driver: &LineDriver) -> io::Result<()> {
        self.flush()?;
        if matches!(message, FromLine::Sound(_)) && self.backlog.len() >= SOUND_BACKLOG {
            driver.count(LineLoss::HandsetSlow);
            return Ok(());
        }
        let mut out = [0; LONGEST];
        let bytes = message.encode(&mut out);
        if self.backlog.len() + bytes.len() > BACKLOG {
            return Err(ErrorKind::TimedOut.into());
        }
        self.backlog.extend_from_slice(bytes);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.backlog.is_empty() {
            match self.stream.write(&self.backlog) {
                Ok(count) => {
                    self.backlog.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// In virtual time nobody looks at descriptors: the line does it itself, as often as a frame lasts.
async fn sleep_until(deadline: Option<Instant>) {
    let look = clock::is_virtual().then(|| {
        let now = embassy_time::Instant::now().as_micros();
        Instant::from_micros(now + FRAME_MILLIS * 1000)
    });
    match deadline.into_iter().chain(look).min() {
        Some(at) => Timer::at(embassy_time::Instant::from_micros(at.as_micros())).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
