//! Pooled Ethernet frames with headroom and offload notes.
//!
//! A [`Frame`] owns its buffer and gives it back to its [`FramePool`] when dropped. All buffers are allocated when
//! the pool is made; an empty pool is an ordinary, counted outcome. A frame may be a super-frame: up to 64 KiB of TCP
//! or UDP payload that the egress port cuts into segments ([`Offload::segment`], after virtio-net's header).
//! Does not parse anything.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use critical_section::Mutex;

/// Free bytes kept before a received frame, enough for a VLAN tag and PPPoE, aligned for the IP header.
pub const HEADROOM: usize = 34;
/// Longest ordinary frame: 1500 bytes of payload, Ethernet header and one VLAN tag.
pub const ORDINARY_FRAME: usize = 1518;
/// Longest super-frame: an IP packet of 65 535 bytes and its Ethernet header with one VLAN tag.
pub const SUPER_FRAME: usize = 65_535 + 18;

/// How many buffers of each size a pool holds; the board's profile says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Buffers of [`ORDINARY_FRAME`] bytes.
    pub ordinary: usize,
    /// Buffers of [`SUPER_FRAME`] bytes; 0 where no port can segment.
    pub super_frames: usize,
}

/// A fixed stock of frame buffers, shared by the ports, the data plane and the stacks.
pub struct FramePool {
    free: Mutex<RefCell<Free>>,
}

struct Free {
    ordinary: Vec<Box<[u8]>>,
    super_frames: Vec<Box<[u8]>>,
    exhausted: u64,
}

/// State of the L4 checksum field, after virtio-net's `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// The field holds the full checksum (right or wrong, as on a wire).
    #[default]
    Complete,
    /// The field holds only the pseudo-header's folded sum, not inverted; whoever puts the frame on a wire sums
    /// from byte `start` of the frame on and stores the inverse at `start + offset`.
    Partial {
        /// Where summing begins: first byte of the L4 header, counted from the frame's first byte.
        start: u16,
        /// Where the field is, counted from `start`.
        offset: u16,
    },
}

/// How a super-frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4, after `VIRTIO_NET_HDR_GSO_TCPV4`.
    Tcp4,
    /// UDP over IPv4 into datagrams, after `VIRTIO_NET_HDR_GSO_UDP_L4`.
    Udp4,
    /// TCP over IPv6: bridged, never routed yet.
    Tcp6,
}

/// The cut of a super-frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which protocol's headers are repeated.
    pub kind: SegmentKind,
    /// L4 payload bytes per segment.
    pub size: u16,
    /// ECN's CWR belongs to the first segment only (`VIRTIO_NET_HDR_GSO_ECN`).
    pub ecn: bool,
}

/// What the ports' hardware (or the Linux kernel) still has to do, or already did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// State of the L4 checksum.
    pub checksum: Checksum,
    /// The receiving port has already verified the L4 checksum.
    pub verified: bool,
    /// Set on super-frames.
    pub segment: Option<Segment>,
}

/// One Ethernet frame (no FCS) in a buffer of a pool.
pub struct Frame {
    buffer: Box<[u8]>,
    start: u32,
    end: u32,
    /// Notes that travel with the frame.
    pub offload: Offload,
    pool: &'static FramePool,
}

impl FramePool {
    /// Allocates all buffers. The only place where frames are allocated.
    pub fn new(size: PoolSize) -> Self {
        let stock = |count: usize, bytes: usize| {
            (0..count).map(|_| alloc::vec![0; HEADROOM + bytes].into_boxed_slice()).collect::<Vec<_>>()
        };
        Self {
            free: Mutex::new(RefCell::new(Free {
                ordinary: stock(size.ordinary, ORDINARY_FRAME),
                super_frames: stock(size.super_frames, SUPER_FRAME),
                exhausted: 0,
            })),
        }
    }

    /// [`FramePool::new`] for the lifetime of the program.
    pub fn leak(size: PoolSize) -> &'static Self {
        Box::leak(Box::new(Self::new(size)))
    }

    /// A frame of `length` bytes (contents unspecified) with [`HEADROOM`] before it; `None` when no buffer of that
    /// size is free, which is counted, or when `length` is above [`SUPER_FRAME`].
    pub fn take(&'static self, length: usize) -> Option<Frame> {
        if length > SUPER_FRAME {
            return None;
        }
        let buffer = critical_section::with(|token| {
            let mut free = self.free.borrow_ref_mut(token);
            let buffer = if length <= ORDINARY_FRAME { free.ordinary.pop() } else { free.super_frames.pop() };
            if buffer.is_none() {
                free.exhausted += 1;
            }
            buffer
        })?;
        let start = HEADROOM as u32;
        Some(Frame { buffer, start, end: start + length as u32, offload: Offload::default(), pool: self })
    }

    /// A frame holding a copy of `bytes`.
    pub fn copy_of(&'static self, bytes: &[u8]) -> Option<Frame> {
        let mut frame = self.take(bytes.len())?;
        frame.bytes_mut().copy_from_slice(bytes);
        Some(frame)
    }

    /// Free buffers: ordinary, super.
    pub fn available(&self) -> PoolSize {
        critical_section::with(|token| {
            let free = self.free.borrow_ref(token);
            PoolSize { ordinary: free.ordinary.len(), super_frames: free.super_frames.len() }
        })
    }

    /// How often [`FramePool::take`] found no buffer.
    pub fn exhausted(&self) -> u64 {
        critical_section::with(|token| self.free.borrow_ref(token).exhausted)
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        critical_section::with(|token| {
            let mut free = self.free.borrow_ref_mut(token);
            // Both lists were allocated with room for every buffer of their size, so a push never allocates.
            if buffer.len() == HEADROOM + ORDINARY_FRAME {
                free.ordinary.push(buffer);
            } else {
                free.super_frames.push(buffer);
            }
        });
    }
}

impl Frame {
    /// The frame's bytes, Ethernet header first.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.end as usize]
    }

    /// The frame's bytes to change in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start as usize..self.end as usize]
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Makes room for `count` bytes in front (contents unspecified); `false` when the headroom is used up.
    pub fn grow_front(&mut self, count: usize) -> bool {
        if count > self.start as usize {
            return false;
        }
        self.start -= count as u32;
        true
    }

    /// Takes `count` bytes off the front; `false` when it has fewer.
    pub fn shrink_front(&mut self, count: usize) -> bool {
        if count > self.len() {
            return false;
        }
        self.start += count as u32;
        true
    }

    /// Sets the length; new bytes at the end are unspecified. `false` when the buffer is too short.
    pub fn set_len(&mut self, length: usize) -> bool {
        let end = self.start as usize + length;
        if end > self.buffer.len() {
            return false;
        }
        self.end = end as u32;
        true
    }

    /// A second frame with the same bytes and notes; `None` when the pool is empty.
    pub fn duplicate(&self) -> Option<Self> {
        let mut copy = self.pool.copy_of(self.bytes())?;
        copy.offload = self.offload;
        Some(copy)
    }

    /// The pool it came from, for a stage that needs another frame.
    pub fn pool(&self) -> &'static FramePool {
        self.pool
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.pool.give_back(core::mem::take(&mut self.buffer));
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.len()).field("offload", &self.offload).finish()
    }
}

impl fmt::Debug for FramePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramePool").field("available", &self.available()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pool_says_so_and_recovers_when_a_frame_is_dropped() {
        let pool = FramePool::leak(PoolSize { ordinary: 1, super_frames: 1 });
        let first = pool.take(60).unwrap();
        assert!(pool.take(60).is_none());
        assert_eq!(pool.exhausted(), 1);
        assert_eq!(pool.take(9000).unwrap().len(), 9000);
        drop(first);
        assert!(pool.take(1518).is_some());
        assert!(pool.take(SUPER_FRAME + 1).is_none());
    }

    #[test]
    fn headers_are_put_in_front_without_moving_the_payload() {
        let pool = FramePool::leak(PoolSize { ordinary: 2, super_frames: 0 });
        let mut frame = pool.copy_of(b"payload").unwrap();
        assert!(frame.grow_front(4));
        frame.bytes_mut()[..4].copy_from_slice(b"head");
        assert_eq!(frame.bytes(), b"headpayload");
        assert!(frame.shrink_front(4));
        assert_eq!(frame.duplicate().unwrap().bytes(), b"payload");
        assert!(!frame.grow_front(HEADROOM + 1));
        assert!(!frame.set_len(2000));
    }
}
