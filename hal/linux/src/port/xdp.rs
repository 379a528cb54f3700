//! A port on AF_XDP: rings shared with the driver, past the kernel's network stack.
//!
//! Frames are ordinary ones, at most 1514 bytes: what the notes of a frame ask is done in software ([`super::cut`]). One queue
//! only, so an interface with several must be told to use one. A veth peer leaves the checksums of its own packets to hardware
//! that does not exist, and XDP does not tell: on veth it is right only where the peer's transmit checksum offload is off.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use dialtone_base::FramePool;
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab};
use xdp::socket::{XdpSocket, XdpSocketBuilder};
use xdp::umem::{FrameSize, UmemCfgBuilder};
use xdp::{RingConfigBuilder, Umem, WakableRings};

use super::cut::cut;
use super::{Backend, Batch, Drops, PortDrop};
use crate::bpf::Redirect;
use crate::interface::Interface;

/// An interface through AF_XDP. Fields are dropped in this order: the program and the socket before the memory.
pub struct XdpPort {
    redirect: Redirect,
    rings: WakableRings,
    socket: XdpSocket,
    incoming: HeapSlab,
    outgoing: HeapSlab,
    memory: Umem,
}

impl XdpPort {
    /// Opens `interface` with its only queue.
    ///
    /// # Errors
    /// `PermissionDenied` without the rights; `Unsupported` when the interface has several queues or a longer MTU than a
    /// buffer; others when the kernel has no AF_XDP.
    pub fn open(interface: &Interface) -> io::Result<Self> {
        let unsupported = |text: String| io::Error::new(io::ErrorKind::Unsupported, text);
        let index = NicIndex::new(interface.index as u32);
        let queues = index.queue_counts()?.rx_count();
        if queues > 1 {
            let name = &interface.name;
            return Err(unsupported(format!(
                "{name} has {queues} queues; ethtool -L {name} combined 1 leaves one"
            )));
        }
        if interface.mtu > 1500 {
            return Err(unsupported(format!(
                "{} has an MTU of {}, above 1500",
                interface.name, interface.mtu
            )));
        }
        let config =
            UmemCfgBuilder { frame_size: FrameSize::TwoK, frame_count: BUFFERS, ..UmemCfgBuilder::default() };
        let mut memory = Umem::map(config.build().map_err(other)?)?;
        let mut builder = XdpSocketBuilder::new().map_err(other)?;
        let rings =
            RingConfigBuilder { rx_count: RING, tx_count: RING, fill_count: RING, completion_count: RING };
        let (mut rings, flags) =
            builder.build_wakable_rings(&memory, rings.build().map_err(other)?).map_err(other)?;
        let socket = builder.bind(index, 0, flags).map_err(other)?;
        // SAFETY: the memory is dropped after the socket: fields are dropped in their order.
        unsafe { rings.fill_ring.enqueue(&mut memory, FILLED, true)? };
        let redirect = Redirect::attach(interface, 0, socket.as_raw_fd())?;
        let slab = || HeapSlab::with_capacity(super::BATCH);
        Ok(Self { redirect, rings, socket, incoming: slab(), outgoing: slab(), memory })
    }

    /// It runs in the interface's driver, not in the kernel's generic path.
    pub fn is_native(&self) -> bool {
        self.redirect.is_native()
    }

    /// Hands the frames collected to the kernel.
    fn flush(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let Some(ring) = &mut self.rings.tx_ring else { return Ok(()) };
        // SAFETY: the packets are from `memory`, which is dropped after the socket.
        match unsafe { ring.send(&mut self.outgoing, true) } {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl AsRawFd for XdpPort {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Backend for XdpPort {
    fn receive(
        &mut self,
        pool: &'static FramePool,
        batch: &mut Batch,
        limit: usize,
        drops: &Drops,
    ) -> io::Result<usize> {
        let Some(ring) = &mut self.rings.rx_ring else { return Ok(0) };
        if limit < super::BATCH || !batch.is_empty() {
            // The slab always takes as many as there are; without room for all, none are taken.
            return Ok(0);
        }
        // SAFETY: the packets are given back to `memory` below, before this call returns.
        let count = unsafe { ring.recv(&self.memory, &mut self.incoming) };
        while let Some(packet) = self.incoming.pop_back() {
            let copied = packet.slice_at_offset(0, packet.len()).ok().and_then(|bytes| pool.copy_of(bytes));
            self.memory.free_packet(packet);
            match copied {
                // There is room: the batch was empty.
                Some(frame) => drop(batch.push_back(frame)),
                None => drops.borrow_mut().count(PortDrop::NoBuffer),
            }
        }
        if count > 0 {
            // SAFETY: the memory is dropped after the socket.
            match unsafe { self.rings.fill_ring.enqueue(&mut self.memory, count, true) } {
                Err(error) if !is_passing(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(count)
    }

    fn send(&mut self, batch: &mut Batch, drops: &Drops) -> io::Result<()> {
        self.rings.completion_ring.dequeue(&mut self.memory, RING as usize);
        while let Some(mut frame) = batch.pop_front() {
            let whole = cut(&mut frame, |headers, payload| {
                if self.outgoing.available() == 0 && (self.flush().is_err() || self.outgoing.available() == 0)
                {
                    return false;
                }
                if self.memory.allocatable() <= (BUFFERS as usize) / 8 {
                    self.rings.completion_ring.dequeue(&mut self.memory, RING as usize);
                }
                // SAFETY: the packet goes to the kernel or back to `memory`, which is dropped after the socket.
                let Some(mut packet) = (unsafe { self.memory.alloc() }) else { return false };
                if packet.append(headers).and_then(|()| packet.append(payload)).is_err() {
                    self.memory.free_packet(packet);
                    return false;
                }
                self.outgoing.push_front(packet).is_none()
            });
            if !whole {
                drops.borrow_mut().count(PortDrop::Refused);
            }
        }
        self.flush()
    }
}

/// Trouble that passes by itself: the driver is busy, the link is down.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::ENETDOWN | libc::ENXIO | libc::EINTR)
    )
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    // The crate's errors wrap the system's; its kind is what callers look at.
    let kind = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error.to_string())
}

/// Buffers shared with the kernel, 2 KiB each.
const BUFFERS: u32 = 8192;
/// Entries of each ring.
const RING: u32 = 2048;
/// Buffers that wait to be filled; the others are for sending.
const FILLED: usize = RING as usize;
