//! A port on AF_PACKET: a mapped ring for receiving, sendmmsg for sending, virtio headers both ways.
//!
//! Ordinary frames come through the ring without a system call. A super-frame is longer than a slot: the kernel then also
//! queues it on the socket (PACKET_COPY_THRESH), and it is received from there straight into its pool buffer, one copy
//! instead of two. Sending copies into the kernel: with a mapped transmit ring the kernel gives a slot back as soon as the
//! frame's owner changes, on veth long before its bytes were read. See packet(7) and Documentation/networking/packet_mmap.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use dialtone_base::FramePool;
use dialtone_base::frame::Checksum;

use super::{Backend, Batch, Drops, PortDrop};
use crate::interface::{Interface, set_option, socket};
use crate::virtio_header;

/// An interface through AF_PACKET.
pub struct PacketPort {
    socket: OwnedFd,
    ring: Ring,
    outgoing: Box<Outgoing>,
    receives: u32,
}

impl PacketPort {
    /// Opens `interface`, promiscuous.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW; others when the kernel lacks something (before 4.20).
    pub fn open(interface: &Interface) -> io::Result<Self> {
        // Protocol 0: nothing is received before all is set up and bound.
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0)?;
        let set = |option: i32, value: i32| set_option(&socket, libc::SOL_PACKET, option, value);
        set(PACKET_VERSION, TPACKET_V2)?;
        set(PACKET_VNET_HDR, 1)?;
        set(PACKET_COPY_THRESH, i32::MAX)?;
        set(PACKET_QDISC_BYPASS, 1)?;
        set(PACKET_IGNORE_OUTGOING, 1)?;
        // Without CAP_NET_ADMIN the forced sizes fail; the ordinary ones are capped by sysctl and good enough.
        for (forced, ordinary) in
            [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
        {
            set_option(&socket, libc::SOL_SOCKET, forced, SOCKET_BUFFER)
                .or_else(|_| set_option(&socket, libc::SOL_SOCKET, ordinary, SOCKET_BUFFER))?;
        }
        let ring = Ring::map(&socket)?;
        bind(&socket, interface)?;
        let membership = libc::packet_mreq {
            mr_ifindex: interface.index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, membership)?;
        Ok(Self { socket, ring, outgoing: Outgoing::new(), receives: 0 })
    }

    /// Receives the super-frame whose beginning is in the current ring slot; its length without the header.
    fn receive_long(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut header = [0; virtio_header::LENGTH];
        let mut parts = [
            libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: header.len() },
            libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() },
        ];
        // SAFETY: all zeros is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = parts.len();
        // SAFETY: the message describes two live buffers.
        let count = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((count as usize).saturating_sub(header.len()))
    }

    /// Adds what the kernel dropped since the last call.
    fn count_ring_drops(&self, drops: &Drops) {
        /// `struct tpacket_stats`.
        #[repr(C)]
        #[derive(Default)]
        struct Statistics {
            packets: u32,
            drops: u32,
        }
        let mut statistics = Statistics::default();
        let mut length = size_of::<Statistics>() as libc::socklen_t;
        // SAFETY: the pointers describe a live structure and its size.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                std::ptr::from_mut(&mut statistics).cast(),
                &raw mut length,
            )
        };
        if result == 0 && statistics.drops > 0 {
            drops.borrow_mut().add(PortDrop::RingFull, u64::from(statistics.drops));
        }
    }
}

impl AsRawFd for PacketPort {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Backend for PacketPort {
    fn receive(
        &mut self,
        pool: &'static FramePool,
        batch: &mut Batch,
        limit: usize,
        drops: &Drops,
    ) -> io::Result<usize> {
        let mut taken = 0;
        while taken < limit && !batch.is_full() {
            let Some(slot) = self.ring.current() else { break };
            taken += 1;
            let tag = slot.tag();
            let room_for_tag = if tag.is_some() { VLAN_TAG } else { 0 };
            let Some(mut offload) = virtio_header::to_offload(&slot.virtio_header()) else {
                drops.borrow_mut().count(PortDrop::UnknownOffload);
                self.skip(&slot);
                continue;
            };
            let Some(mut frame) = pool.take(slot.length + room_for_tag) else {
                drops.borrow_mut().count(PortDrop::NoBuffer);
                self.skip(&slot);
                continue;
            };
            frame.shrink_front(room_for_tag);
            let whole = match slot.held() {
                Held::InSlot(bytes) => {
                    frame.bytes_mut().copy_from_slice(bytes);
                    true
                }
                Held::OnSocket => {
                    self.receive_long(frame.bytes_mut()).is_ok_and(|length| length == slot.length)
                }
                Held::Lost => false,
            };
            if !whole {
                drops.borrow_mut().count(PortDrop::Truncated);
                self.ring.release();
                continue;
            }
            if let Some(tag) = tag {
                // The kernel took the tag off; it goes back behind the two addresses.
                frame.grow_front(VLAN_TAG);
                let bytes = frame.bytes_mut();
                bytes.copy_within(VLAN_TAG..VLAN_TAG + 12, 0);
                bytes[12..12 + VLAN_TAG].copy_from_slice(&tag);
                if let Checksum::Partial { start, .. } = &mut offload.checksum {
                    *start += VLAN_TAG as u16;
                }
            }
            frame.offload = offload;
            self.ring.release();
            // There is room: just checked.
            let _ = batch.push_back(frame);
        }
        self.receives = self.receives.wrapping_add(1);
        if taken == limit || self.receives.is_multiple_of(1024) {
            self.count_ring_drops(drops);
        }
        Ok(taken)
    }

    fn send(&mut self, batch: &mut Batch, drops: &Drops) -> io::Result<()> {
        while !batch.is_empty() {
            match self.outgoing.send(&self.socket, batch) {
                Ok(sent) => (0..sent).for_each(|_| drop(batch.pop_front())),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => break,
                    Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => {
                        drops.borrow_mut().add(PortDrop::LinkDown, batch.len() as u64);
                        batch.clear();
                    }
                    // The first frame is the one refused.
                    _ => {
                        drops.borrow_mut().count(PortDrop::Refused);
                        drop(batch.pop_front());
                    }
                },
            }
        }
        Ok(())
    }
}

impl PacketPort {
    /// Gives a slot back unread, and what belongs to it on the socket.
    fn skip(&mut self, slot: &Slot<'_>) {
        if matches!(slot.held(), Held::OnSocket) {
            let _ = self.receive_long(&mut []);
        }
        self.ring.release();
    }
}

/// Where a received frame's bytes are.
enum Held<'a> {
    InSlot(&'a [u8]),
    OnSocket,
    Lost,
}

/// A received frame in the ring.
struct Slot<'a> {
    bytes: &'a [u8],
    status: u32,
    length: usize,
}

impl<'a> Slot<'a> {
    fn field(&self, at: usize) -> u32 {
        u32::from_ne_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }

    fn short(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Where the Ethernet header begins.
    fn start(&self) -> usize {
        usize::from(self.short(12))
    }

    fn virtio_header(&self) -> virtio_header::Bytes {
        let end = self.start();
        self.bytes
            .get(end.saturating_sub(virtio_header::LENGTH)..end)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default()
    }

    fn held(&self) -> Held<'a> {
        if self.status & STATUS_COPY != 0 {
            return Held::OnSocket;
        }
        if self.field(8) as usize != self.length {
            return Held::Lost;
        }
        self.bytes.get(self.start()..self.start() + self.length).map_or(Held::Lost, Held::InSlot)
    }

    /// The VLAN tag the kernel took off, as on the wire.
    fn tag(&self) -> Option<[u8; VLAN_TAG]> {
        (self.status & STATUS_VLAN_VALID != 0).then(|| {
            let protocol = if self.status & STATUS_VLAN_TPID_VALID != 0 { self.short(26) } else { 0x8100 };
            let ([a, b], [c, d]) = (protocol.to_be_bytes(), self.short(24).to_be_bytes());
            [a, b, c, d]
        })
    }
}

/// The mapped receive ring.
struct Ring {
    memory: *mut u8,
    next: usize,
}

impl Ring {
    fn map(socket: &OwnedFd) -> io::Result<Self> {
        /// `struct tpacket_req`.
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Request {
            block_size: u32,
            blocks: u32,
            slot_size: u32,
            slots: u32,
        }
        let request = Request {
            block_size: BLOCK as u32,
            blocks: (SLOTS * SLOT / BLOCK) as u32,
            slot_size: SLOT as u32,
            slots: SLOTS as u32,
        };
        set_option(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, request)?;
        // SAFETY: a new mapping of the ring just requested, of exactly its size.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SLOTS * SLOT,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { memory: memory.cast(), next: 0 })
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: `next` is below SLOTS, slots are aligned, and the kernel touches a slot's status only atomically.
        unsafe { AtomicU32::from_ptr(self.memory.add(self.next * SLOT).cast()) }
    }

    /// The next received frame, if there is one.
    fn current(&self) -> Option<Slot<'static>> {
        let status = self.status().load(Ordering::Acquire);
        if status & STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the slot belongs to us until `release`, which callers do after their last look at it; the mapping
        // lives as long as the port.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.add(self.next * SLOT), SLOT) };
        let mut slot = Slot { bytes, status, length: 0 };
        slot.length = slot.field(4) as usize;
        Some(slot)
    }

    fn release(&mut self) {
        self.status().store(STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % SLOTS;
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, not used after this.
        unsafe { libc::munmap(self.memory.cast(), SLOTS * SLOT) };
    }
}

/// What sendmmsg reads, kept between calls.
struct Outgoing {
    headers: [virtio_header::Bytes; super::BATCH],
    parts: [[libc::iovec; 2]; super::BATCH],
    messages: [libc::mmsghdr; super::BATCH],
}

impl Outgoing {
    fn new() -> Box<Self> {
        // SAFETY: all zeros is valid for byte arrays, iovec and mmsghdr (null pointers, lengths of zero).
        unsafe { Box::new(std::mem::zeroed()) }
    }

    /// Sends as many frames as the kernel takes at once; how many.
    fn send(&mut self, socket: &OwnedFd, batch: &Batch) -> io::Result<usize> {
        for (at, frame) in batch.iter().enumerate() {
            self.headers[at] = virtio_header::from_offload(&frame.offload, frame.bytes());
            // sendmmsg only reads through these pointers, although iovec's is mutable.
            self.parts[at] = [
                libc::iovec {
                    iov_base: self.headers[at].as_ptr().cast_mut().cast(),
                    iov_len: virtio_header::LENGTH,
                },
                libc::iovec { iov_base: frame.bytes().as_ptr().cast_mut().cast(), iov_len: frame.len() },
            ];
            let header = &mut self.messages[at].msg_hdr;
            header.msg_iov = self.parts[at].as_mut_ptr();
            header.msg_iovlen = 2;
        }
        // SAFETY: the first `batch.len()` messages describe live headers and frames.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                batch.len() as u32,
                libc::MSG_DONTWAIT,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }
}

fn bind(socket: &OwnedFd, interface: &Interface) -> io::Result<()> {
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface.index;
    // SAFETY: the pointer and size describe a live address.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Bytes of a ring slot: the kernel's header, ours, and any ordinary frame.
const SLOT: usize = 2048;
/// Slots of the ring: 4 MiB, some milliseconds at full rate.
const SLOTS: usize = 2048;
/// Bytes of one piece of the ring's memory.
const BLOCK: usize = 64 * 1024;
/// Super-frames waiting on the socket, in bytes as the kernel counts them.
const SOCKET_BUFFER: i32 = 32 << 20;
const VLAN_TAG: usize = 4;

// From linux/if_packet.h; `libc` does not have them all.
const PACKET_STATISTICS: i32 = 6;
const PACKET_COPY_THRESH: i32 = 7;
const PACKET_VERSION: i32 = 10;
const PACKET_VNET_HDR: i32 = 15;
const PACKET_QDISC_BYPASS: i32 = 20;
const PACKET_IGNORE_OUTGOING: i32 = 23;
const TPACKET_V2: i32 = 1;
const STATUS_KERNEL: u32 = 0;
const STATUS_USER: u32 = 1;
const STATUS_COPY: u32 = 2;
const STATUS_VLAN_VALID: u32 = 0x10;
const STATUS_VLAN_TPID_VALID: u32 = 0x40;
