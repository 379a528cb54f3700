//! Gives up root and every capability, for good.
//!
//! After [`drop_to`] the process can move frames on what it opened before, and little else: no new privileges through
//! set-user-id programs either. Call it while the program has one thread: rights belong to threads.

use std::ffi::CString;
use std::io;

/// Continues as `user` without capabilities. A program that was started with file capabilities instead of as root
/// keeps its user and loses the capabilities.
///
/// # Errors
/// `NotFound` when there is no such user; otherwise what the kernel refuses.
pub fn drop_to(user: &str) -> io::Result<()> {
    // SAFETY: takes no pointers.
    if unsafe { libc::geteuid() } == 0 {
        let (id, group) = find(user)?;
        // SAFETY: a group list of length zero; the others take numbers.
        unsafe {
            check(libc::setgroups(0, std::ptr::null()))?;
            check(libc::setresgid(group, group, group))?;
            check(libc::setresuid(id, id, id))?;
        }
    }
    drop_capabilities()?;
    // SAFETY: takes numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Asks the scheduler to run this thread soon after it wakes, as it does the kernel's own forwarding: higher weight where we
/// may, and short slices (Linux 6.12), so that frames leave one by one and not in bursts on a busy machine. Best effort.
pub fn prefer_latency() {
    /// `struct sched_attr`, first version.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    const SLICE_NANOSECONDS: u64 = 100_000;
    for nice in [-10, 0] {
        let attributes = Attributes {
            size: size_of::<Attributes>() as u32,
            policy: libc::SCHED_OTHER as u32,
            flags: 0,
            nice,
            priority: 0,
            runtime: SLICE_NANOSECONDS,
            deadline: 0,
            period: 0,
        };
        // SAFETY: the pointer is to attributes of the size they name; 0 is this thread.
        if unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } == 0 {
            return;
        }
    }
}

fn find(user: &str) -> io::Result<(libc::uid_t, libc::gid_t)> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no user {user}"));
    let name = CString::new(user).map_err(|_| missing())?;
    // SAFETY: a C string goes in; the entry that comes out is read at once, in a program of one thread.
    unsafe {
        let entry = libc::getpwnam(name.as_ptr());
        entry.as_ref().map(|entry| (entry.pw_uid, entry.pw_gid)).ok_or_else(missing)
    }
}

fn drop_capabilities() -> io::Result<()> {
    /// `struct __user_cap_header_struct`, version 3.
    #[repr(C)]
    struct Header {
        version: u32,
        process: i32,
    }
    let header = Header { version: 0x2008_0522, process: 0 };
    // Two sets of effective, permitted, inheritable: none.
    let none = [0_u32; 6];
    // SAFETY: capset reads a header of version 3 and the two sets that go with it.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) } as i32)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
