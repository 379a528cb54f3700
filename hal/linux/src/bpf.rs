//! The one BPF program there is: hands what arrives on a queue to the AF_XDP socket bound there.
//!
//! Six instructions, assembled by hand, so no BPF compiler or loader library is needed. Attached through a link that goes with
//! its descriptor, so the interface is never left with our program on it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::interface::Interface;

/// The program on an interface, and its map from queues to sockets.
pub struct Redirect {
    _map: OwnedFd,
    _program: OwnedFd,
    _link: OwnedFd,
    native: bool,
}

impl Redirect {
    /// Attaches the program, in the driver where that works, else in the kernel's generic path.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_BPF and CAP_NET_ADMIN; others when XDP is missing or in use there.
    pub fn attach(interface: &Interface, queue: u32, socket: RawFd) -> io::Result<Self> {
        let map = create_map()?;
        insert(&map, queue, socket)?;
        let program = load(&map)?;
        let (link, native) = match link(&program, interface, FLAG_DRIVER) {
            Ok(link) => (link, true),
            Err(_) => (link(&program, interface, FLAG_GENERIC)?, false),
        };
        Ok(Self { _map: map, _program: program, _link: link, native })
    }

    /// It runs in the interface's driver.
    pub fn is_native(&self) -> bool {
        self.native
    }
}

/// `union bpf_attr` as far as it is used here: 16 words are enough for every command.
#[repr(C, align(8))]
#[derive(Default)]
struct Attributes([u32; 32]);

impl Attributes {
    fn pointer(&mut self, at: usize, pointer: *const u8) {
        let bits = pointer as u64;
        let [low, high] = if cfg!(target_endian = "little") {
            [bits as u32, (bits >> 32) as u32]
        } else {
            [(bits >> 32) as u32, bits as u32]
        };
        self.0[at] = low;
        self.0[at + 1] = high;
    }
}

fn create_map() -> io::Result<OwnedFd> {
    const KIND_XSKMAP: u32 = 17;
    let mut attributes = Attributes::default();
    attributes.0[..4].copy_from_slice(&[KIND_XSKMAP, 4, 4, QUEUES]);
    // SAFETY: no pointers inside.
    descriptor(unsafe { bpf(0, &attributes) })
}

fn insert(map: &OwnedFd, queue: u32, socket: RawFd) -> io::Result<()> {
    let (key, value) = (queue, socket as u32);
    let mut attributes = Attributes::default();
    attributes.0[0] = map.as_raw_fd() as u32;
    attributes.pointer(2, (&raw const key).cast());
    attributes.pointer(4, (&raw const value).cast());
    // SAFETY: the pointers are to a live key and value of the sizes the map was made with.
    if unsafe { bpf(2, &attributes) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn load(map: &OwnedFd) -> io::Result<OwnedFd> {
    const KIND_XDP: u32 = 6;
    const PASS: u32 = 2;
    const REDIRECT_MAP: u32 = 51;
    let instruction = |code: u8, registers: u8, offset: u16, immediate: u32| {
        u64::from(code) | u64::from(registers) << 8 | u64::from(offset) << 16 | u64::from(immediate) << 32
    };
    let program = [
        // r2 = context->rx_queue_index
        instruction(0x61, 0x12, 16, 0),
        // r1 = the map
        instruction(0x18, 0x11, 0, map.as_raw_fd() as u32),
        0,
        // r3 = what to do with a queue that has no socket: the kernel's stack, which drops it at its door
        instruction(0xb7, 0x03, 0, PASS),
        instruction(0x85, 0, 0, REDIRECT_MAP),
        instruction(0x95, 0, 0, 0),
    ];
    let mut attributes = Attributes::default();
    attributes.0[..2].copy_from_slice(&[KIND_XDP, program.len() as u32]);
    attributes.pointer(2, program.as_ptr().cast());
    attributes.pointer(4, c"Dual MIT/GPL".as_ptr().cast());
    // SAFETY: the pointers are to a live program of the length given and to a C string.
    descriptor(unsafe { bpf(5, &attributes) })
}

fn link(program: &OwnedFd, interface: &Interface, flags: u32) -> io::Result<OwnedFd> {
    const ATTACH_XDP: u32 = 37;
    let mut attributes = Attributes::default();
    attributes.0[..4].copy_from_slice(&[
        program.as_raw_fd() as u32,
        interface.index as u32,
        ATTACH_XDP,
        flags,
    ]);
    // SAFETY: no pointers inside.
    descriptor(unsafe { bpf(28, &attributes) })
}

/// # Safety
/// Pointers inside `attributes` must be what the command expects.
unsafe fn bpf(command: i32, attributes: &Attributes) -> libc::c_long {
    // SAFETY: the pointer and size describe live attributes; the caller answers for what is inside.
    unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<Attributes>()) }
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just handed out this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

const QUEUES: u32 = 64;
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_DRIVER: u32 = 1 << 2;
