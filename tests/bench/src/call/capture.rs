//! SIP as it passes an interface, with the kernel's time of each message.
//!
//! Only INVITEs and the answers to them over UDP are kept.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use dialtone_interop::Namespace;

/// What passed.
#[derive(Clone, Copy, Debug)]
pub enum Passed {
    /// An INVITE.
    Invite,
    /// An answer to one.
    Answer(u16),
}

/// A capture that goes on until it is dropped.
pub struct Capture {
    seen: Arc<Mutex<Vec<(SystemTime, Passed)>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Begins at `interface` of `namespace`.
    pub fn start(namespace: &Namespace, interface: &str) -> io::Result<Self> {
        let socket = namespace.enter(|| open(interface))?;
        let (seen, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, end) = (seen.clone(), ends.clone());
        let thread = thread::spawn(move || {
            let mut frame = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                if let Some((at, length)) = receive(&socket, &mut frame)
                    && let Some(passed) = parse(&frame[..length])
                {
                    lock(&kept).push((at, passed));
                }
            }
        });
        Ok(Self { seen, ends, thread: Some(thread) })
    }

    /// Forgets what passed.
    pub fn forget(&self) {
        lock(&self.seen).clear();
    }

    /// What passed since.
    pub fn passed(&self) -> Vec<(SystemTime, Passed)> {
        lock(&self.seen).clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock<T>(seen: &Mutex<T>) -> MutexGuard<'_, T> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A packet socket that stamps, and gives up waiting now and then.
fn open(interface: &str) -> io::Result<OwnedFd> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: takes numbers.
    let socket = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all)) })?;
    // SAFETY: a descriptor just made, nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: zero is a valid value of this structure of numbers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    // SAFETY: the name ends with a zero.
    address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
    let length = size_of_val(&address) as u32;
    // SAFETY: the pointer is to an address of this length.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    let limit = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
    set(&socket, libc::SO_RCVTIMEO, &limit)?;
    set(&socket, libc::SO_TIMESTAMPNS, &1_i32)?;
    Ok(socket)
}

fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as u32;
    // SAFETY: the pointer is to a value of this length, which the option wants.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    check(result).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The next frame: when the kernel had it, and its length.
fn receive(socket: &OwnedFd, frame: &mut [u8]) -> Option<(SystemTime, usize)> {
    let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
    let mut control = [0_u64; 16];
    // SAFETY: zero is a valid value of this structure of numbers and pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message's pointers are to buffers of the lengths it names, alive until the end of this function.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).ok()?;
    // SAFETY: the kernel filled in the message.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message).as_ref()? };
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: data of this type is a timespec, wherever it is aligned.
    let at = unsafe { libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned() };
    Some((SystemTime::UNIX_EPOCH + Duration::new(at.tv_sec as u64, at.tv_nsec as u32), length))
}

/// The start line and the method of SIP in UDP in IPv4 on Ethernet.
fn parse(frame: &[u8]) -> Option<Passed> {
    let packet = frame.strip_prefix(&frame[..12.min(frame.len())])?.strip_prefix(&[8, 0])?;
    let (header, protocol) = (usize::from(packet.first()? & 15) * 4, *packet.get(9)?);
    let datagram = packet.get(header..).filter(|_| protocol == 17)?;
    let sip = |port: &[u8]| port == 5060_u16.to_be_bytes();
    if !sip(datagram.get(..2)?) && !sip(datagram.get(2..4)?) {
        return None;
    }
    let text = String::from_utf8_lossy(datagram.get(8..)?);
    if text.starts_with("INVITE ") {
        return Some(Passed::Invite);
    }
    let code = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    let answers_invite =
        text.lines().any(|line| line.to_ascii_lowercase().starts_with("cseq:") && line.contains("INVITE"));
    answers_invite.then_some(Passed::Answer(code))
}
