//! Takes an interface away from the kernel's own stack, and gives it back as it was; leaves no telephone ringing.
//!
//! Taken: what arrives is dropped behind the packet taps ([`IngressDrop`]), so the kernel can neither answer (ARP, RST, ICMP)
//! nor forward beside us; addresses and routes are removed; IPv6 is off. Given back by a [`Guardian`], a small process that
//! keeps the rights the router drops and acts when the router ends, however it ends. Its memory of what was is in its own
//! hands only: if it is killed too, the interface stays bare.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use dialtone_base::warn;

use crate::gpio::Wiring;
use crate::interface::Interface;
use crate::netlink::{IngressDrop, Message, Netlink};

/// Interfaces that are ours for now.
#[derive(Default)]
pub struct Custody {
    before: Vec<Before>,
    cut_off: Vec<IngressDrop>,
    files: Vec<PathBuf>,
    modules: Vec<Wiring>,
}

/// How an interface was.
struct Before {
    interface: Interface,
    up: bool,
    addresses: Vec<Message>,
    routes: Vec<Message>,
    ipv6_disabled: Option<String>,
}

/// The process that gives the interfaces back.
pub struct Guardian {
    process: libc::pid_t,
    lifeline: OwnedFd,
}

impl Custody {
    /// Takes `interface` and brings it up.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN; others when the interface is gone.
    pub fn take(&mut self, interface: &Interface) -> io::Result<()> {
        self.cut_off.push(IngressDrop::new(interface)?);
        let mut netlink = Netlink::route()?;
        let index = interface.index as u32;
        let addresses: Vec<_> = netlink
            .dump(libc::RTM_GETADDR.into(), &[0; 8])?
            .into_iter()
            .filter(|message| word(&message.body, 4) == Some(index))
            .collect();
        let routes: Vec<_> = netlink
            .dump(libc::RTM_GETROUTE.into(), &[0; 12])?
            .into_iter()
            .filter(|route| is_ours_to_keep(route) && goes_out(route, index))
            .collect();
        let ipv6_disabled = fs::read_to_string(ipv6_switch(interface)).ok();
        let up = interface.is_up()?;
        self.before.push(Before { interface: interface.clone(), up, addresses, routes, ipv6_disabled });
        let Some(before) = self.before.last() else { return Ok(()) };
        // An error here is a kernel without IPv6, or /proc read-only in a container; the ingress drop holds anyway.
        let _ = fs::write(ipv6_switch(interface), "1");
        for address in
            before.addresses.iter().filter(|address| address.body.first() == Some(&(libc::AF_INET as u8)))
        {
            // A secondary address goes with its primary one.
            match netlink.change(libc::RTM_DELADDR.into(), 0, &address.body) {
                Err(error) if error.raw_os_error() != Some(libc::EADDRNOTAVAIL) => return Err(error),
                _ => {}
            }
        }
        interface.set_up(true)
    }

    /// Has a file removed at the end: the console's socket, whose folder the router may not write any more.
    pub fn remove_at_end(&mut self, file: &Path) {
        self.files.push(file.to_owned());
    }

    /// Has a telephone module put to rest at the end: the kernel keeps its pins as they were, and ringing is no state to be left in.
    pub fn park_at_end(&mut self, module: &Wiring) {
        self.modules.push(module.clone());
    }

    /// Gives everything back now. For programs without a [`Guardian`].
    pub fn give_back(&self) {
        self.before.iter().for_each(Before::restore);
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        self.modules.iter().for_each(Wiring::park);
    }

    /// Starts the process that gives everything back when this one ends. Call it while the program has one thread and
    /// all its rights.
    ///
    /// # Errors
    /// When the system has no processes or descriptors left; the interfaces are given back then.
    pub fn entrust(self) -> io::Result<(Guardian, Vec<IngressDrop>)> {
        let mut ends = [0; 2];
        // SAFETY: the pointer is to two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
            let error = io::Error::last_os_error();
            self.give_back();
            return Err(error);
        }
        // SAFETY: the system just handed out these descriptors and nobody else knows them.
        let (watched, lifeline) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: the caller has one thread, so the child may go on as an ordinary program.
        let process = unsafe { libc::fork() };
        if process < 0 {
            let error = io::Error::last_os_error();
            self.give_back();
            return Err(error);
        }
        if process == 0 {
            guard(&watched, &self);
        }
        Ok((Guardian { process, lifeline }, self.cut_off))
    }
}

impl Guardian {
    /// Has everything given back, and waits for it.
    pub fn finish(self) {
        drop(self.lifeline);
        // SAFETY: waits for our own child; no status is wanted.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}

impl Before {
    fn restore(&self) {
        let name = &self.interface.name;
        let Ok(mut netlink) = Netlink::route() else { return };
        if let Some(switch) = &self.ipv6_disabled {
            let _ = fs::write(ipv6_switch(&self.interface), switch.trim());
        }
        if !self.up {
            let _ = self.interface.set_up(false);
        }
        let objects = [(libc::RTM_NEWADDR, &self.addresses), (libc::RTM_NEWROUTE, &self.routes)];
        for (kind, messages) in objects {
            for message in messages {
                let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
                match netlink.change(kind.into(), flags, &message.body) {
                    // It came back by itself, or went with the link.
                    Err(error) if !matches!(error.raw_os_error(), Some(libc::EEXIST | libc::ENETDOWN)) => {
                        warn!("{name}: an address or route could not be given back: {error}");
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The guardian's whole life.
fn guard(watched: &OwnedFd, custody: &Custody) -> ! {
    // SAFETY: plain system calls on our own process; the descriptors closed here belong to the parent's copies of values
    // this process never uses again.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, c"dialtone-guard".as_ptr());
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let kept = watched.as_raw_fd() as u32;
        if kept > 3 {
            libc::syscall(libc::SYS_close_range, 3, kept - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, kept + 1, u32::MAX, 0);
        let mut byte = 0_u8;
        loop {
            let count = libc::read(watched.as_raw_fd(), (&raw mut byte).cast(), 1);
            if count == 0 || (count < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted) {
                break;
            }
        }
    }
    custody.give_back();
    // SAFETY: ends this process without running the parent's exit handlers.
    unsafe { libc::_exit(0) }
}

fn ipv6_switch(interface: &Interface) -> String {
    format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", interface.name)
}

/// Routes the kernel makes by itself come back by themselves.
fn is_ours_to_keep(route: &Message) -> bool {
    let (protocol, kind) = (route.body.get(5).copied(), route.body.get(7).copied());
    protocol != Some(libc::RTPROT_KERNEL) && kind == Some(libc::RTN_UNICAST)
}

fn goes_out(route: &Message, index: u32) -> bool {
    const OUTPUT: u16 = libc::RTA_OIF;
    let mut rest = route.body.get(12..).unwrap_or_default();
    while let Some(&[a, b, c, d]) = rest.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) == OUTPUT {
            return word(rest, 4) == Some(index);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
