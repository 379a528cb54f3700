//! SIGINT and SIGTERM as something to wait for.
//!
//! Signals are blocked in the thread that calls [`Signals::block`] and in all it starts afterwards, and read from a descriptor.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::executor::Reactor;

/// The two signals that ask a program to end.
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// From now on the signals wait here instead of ending the program.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn block() -> io::Result<Self> {
        // SAFETY: the set is initialised by sigemptyset before anything reads it, and lives through the calls.
        let descriptor = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system just handed out this descriptor and nobody else knows it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }

    /// Waits for one of them.
    ///
    /// # Errors
    /// When the descriptor cannot be watched.
    pub async fn wait(&self, reactor: &Reactor) -> io::Result<()> {
        let watch = reactor.watch(&self.descriptor)?;
        // SAFETY: all zeros is a valid signalfd_siginfo.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the pointer and size describe `info`.
        while unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut info).cast(), size) } <= 0 {
            watch.readable().await;
        }
        Ok(())
    }
}
