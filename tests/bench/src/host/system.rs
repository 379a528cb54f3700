//! System calls the measurements need: sockets in other namespaces, many packets at once.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Runs `work` on a thread that lives in the named network namespace; sockets it makes stay there.
///
/// # Errors
/// When the namespace cannot be entered, or what `work` says.
pub fn inside<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let place = File::open(format!("/var/run/netns/{namespace}"))?;
    let thread = std::thread::spawn(move || {
        // SAFETY: takes a live descriptor; only this thread changes its namespace.
        if unsafe { libc::setns(place.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
            return Err(io::Error::last_os_error());
        }
        work()
    });
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended badly")))
}

/// A socket that sends whole Ethernet frames out of `interface` of the namespace the thread is in.
///
/// # Errors
/// When there is no such interface or no right.
pub fn frame_socket(interface: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: takes a live string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes no pointers. Protocol 0: nothing is received.
    let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just handed it out.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let on = 1_i32;
    // SAFETY: the pointers describe live values of the sizes given; all zeros is a valid sockaddr_ll.
    let result = unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index as i32;
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_QDISC_BYPASS,
            std::ptr::from_ref(&on).cast(),
            size_of::<i32>() as u32,
        );
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// Sends frames over and over, as many at once as it was made for.
pub struct Volley {
    frames: Vec<Vec<u8>>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    next: usize,
}

/// Frames handed to the kernel at once.
pub const VOLLEY: usize = 64;

impl Volley {
    /// Of these frames, in turn.
    pub fn new(frames: Vec<Vec<u8>>) -> Self {
        // So many that any VOLLEY of them lie side by side.
        let count = frames.len().max(VOLLEY).next_multiple_of(VOLLEY);
        let mut parts: Vec<libc::iovec> = (0..count)
            .map(|at| {
                let frame = &frames[at % frames.len()];
                libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
            })
            .collect();
        let messages = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: all zeros is a valid mmsghdr.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        Self { frames, parts, messages, next: 0 }
    }

    /// Hands up to `limit` frames to the kernel; how many it took. Some it may have had no room for.
    pub fn fire(&mut self, socket: &OwnedFd, limit: usize) -> usize {
        debug_assert!(self.parts.len() == self.messages.len() && !self.frames.is_empty());
        let count = limit.min(VOLLEY).min(self.messages.len() - self.next);
        // SAFETY: the messages point at parts, the parts at frames, and all of them live as long as `self`.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), self.messages[self.next..].as_mut_ptr(), count as u32, 0)
        };
        let sent = sent.max(0) as usize;
        // One the kernel refused is passed over.
        self.next = (self.next + sent.max(1)) % self.messages.len();
        sent
    }
}

// SAFETY: the pointers are to heap memory that `frames` and `parts` own and that never moves or changes.
unsafe impl Send for Volley {}

const PACKET_QDISC_BYPASS: i32 = 20;
