//! An Ethernet port: two queues of pooled frames and a link watch.
//!
//! [`port`] makes both ends: the [`PortHandle`] goes to the app, the [`PortDriver`] to the board's runner. Queues are
//! bounded; what does not fit is dropped and counted by the side that pushes. Each has a small second band whose frames come out
//! before all others: voice. Who may use it is decided by who pushes; drivers take frames in the order they get them. Control (name, address, MTU) is apart from
//! the data path. Errors: none, a port that does not work has its link down.

use alloc::boxed::Box;
use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll};

use critical_section::Mutex;
use dialtone_base::text::Text;
use dialtone_base::{Frame, MacAddress, Zone};
use embassy_sync::waitqueue::{MultiWakerRegistration, WakerRegistration};
use heapless::Deque;

/// Frames a queue holds.
pub const QUEUE_DEPTH: usize = 512;
/// Urgent frames a queue holds besides: two calls of small packets for half a second.
pub const URGENT_DEPTH: usize = 64;
/// Tasks that may wait for a link: the data plane, the WAN service and some more.
pub const LINK_READERS: usize = 4;

/// A bounded queue of frames with one waiting reader.
pub struct FrameQueue {
    inner: Mutex<RefCell<QueueInner>>,
}

struct QueueInner {
    frames: Deque<Frame, QUEUE_DEPTH>,
    urgent: Deque<Frame, URGENT_DEPTH>,
    waker: WakerRegistration,
    overflowed: u64,
}

/// What is fixed about a port.
#[derive(Clone, Debug)]
pub struct PortInfo {
    /// The name people know it by: `lan1`, `wan`, `eth0`.
    pub name: Text<15>,
    /// Its zone when nothing in the settings says otherwise.
    pub zone: Zone,
    /// The router's own address on this port.
    pub mac: MacAddress,
    /// Longest IP packet it carries, usually 1500.
    pub mtu: u16,
    /// It cuts super-frames into segments and completes partial checksums on transmission.
    pub segmentation: bool,
}

/// The app's end of a port.
#[derive(Clone)]
pub struct PortHandle {
    /// What is fixed about it.
    pub info: PortInfo,
    /// Frames the port received.
    pub receive: &'static FrameQueue,
    /// Frames for the port to send.
    pub transmit: &'static FrameQueue,
    /// Whether the link is up.
    pub link: &'static LinkWatch,
}

/// The driver's end of a port.
pub struct PortDriver {
    /// Where received frames go.
    pub received: &'static FrameQueue,
    /// Frames waiting to be sent.
    pub to_send: &'static FrameQueue,
    /// To say when the link comes and goes.
    pub link: &'static LinkWatch,
}

/// Makes both ends of a port. Allocates once, for the lifetime of the program; the link starts down.
pub fn port(info: PortInfo) -> (PortHandle, PortDriver) {
    let receive: &'static FrameQueue = Box::leak(Box::new(FrameQueue::new()));
    let transmit: &'static FrameQueue = Box::leak(Box::new(FrameQueue::new()));
    let link: &'static LinkWatch = Box::leak(Box::new(LinkWatch::new()));
    (PortHandle { info, receive, transmit, link }, PortDriver { received: receive, to_send: transmit, link })
}

impl FrameQueue {
    /// Empty.
    pub const fn new() -> Self {
        let inner = QueueInner {
            frames: Deque::new(),
            urgent: Deque::new(),
            waker: WakerRegistration::new(),
            overflowed: 0,
        };
        Self { inner: Mutex::new(RefCell::new(inner)) }
    }

    /// Appends a frame; when the queue is full the frame is dropped, counted, and `false` comes back.
    pub fn push(&self, frame: Frame) -> bool {
        self.push_to(frame, |inner, frame| inner.frames.push_back(frame))
    }

    /// [`push`](Self::push) for a frame that leaves before all that are not urgent.
    pub fn push_urgent(&self, frame: Frame) -> bool {
        self.push_to(frame, |inner, frame| inner.urgent.push_back(frame))
    }

    fn push_to(&self, frame: Frame, push: impl FnOnce(&mut QueueInner, Frame) -> Result<(), Frame>) -> bool {
        // A refused frame is dropped outside the critical section: dropping takes the pool's.
        let refused = critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            let refused = push(&mut inner, frame).err();
            match refused {
                Some(_) => inner.overflowed += 1,
                None => inner.waker.wake(),
            }
            refused
        });
        refused.is_none()
    }

    /// Takes the oldest urgent frame, or else the oldest.
    pub fn pop(&self) -> Option<Frame> {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            inner.urgent.pop_front().or_else(|| inner.frames.pop_front())
        })
    }

    /// Moves up to `limit` frames to the end of `batch`, as far as it has room; urgent ones go before what is in it already. How
    /// many moved.
    pub fn pop_batch<const N: usize>(&self, batch: &mut Deque<Frame, N>, limit: usize) -> usize {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            let mut moved = 0;
            // From the back, so that their order is kept: all of them or none.
            let urgent = inner.urgent.len();
            if urgent > 0 && urgent <= limit && urgent <= N - batch.len() {
                while let Some(frame) = inner.urgent.pop_back() {
                    // There is room: just checked.
                    let _ = batch.push_front(frame);
                    moved += 1;
                }
            }
            while moved < limit && !batch.is_full() {
                let Some(frame) = inner.frames.pop_front() else { break };
                // There is room: just checked.
                let _ = batch.push_back(frame);
                moved += 1;
            }
            moved
        })
    }

    /// Moves all frames of `batch` into the queue; those without room are dropped and counted. How many were dropped.
    pub fn push_batch<const N: usize>(&self, batch: &mut Deque<Frame, N>) -> usize {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            while !inner.frames.is_full() {
                let Some(frame) = batch.pop_front() else { break };
                let _ = inner.frames.push_back(frame);
            }
            inner.overflowed += batch.len() as u64;
            inner.waker.wake();
        });
        let dropped = batch.len();
        batch.clear();
        dropped
    }

    /// Ready when a frame waits; otherwise the context's waker is kept (one reader only).
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            if inner.frames.is_empty() && inner.urgent.is_empty() {
                inner.waker.register(context.waker());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
    }

    /// Waits for a frame and takes it.
    pub async fn next(&self) -> Frame {
        loop {
            poll_fn(|context| self.poll_ready(context)).await;
            if let Some(frame) = self.pop() {
                return frame;
            }
        }
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        critical_section::with(|token| {
            let inner = self.inner.borrow_ref(token);
            inner.frames.len() + inner.urgent.len()
        })
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frames dropped because it was full.
    pub fn overflowed(&self) -> u64 {
        critical_section::with(|token| self.inner.borrow_ref(token).overflowed)
    }
}

impl Default for FrameQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// Up or down, with a few waiting readers that learn of every change.
pub struct LinkWatch {
    inner: Mutex<RefCell<LinkInner>>,
}

struct LinkInner {
    up: bool,
    changes: u32,
    wakers: MultiWakerRegistration<LINK_READERS>,
}

impl LinkWatch {
    /// Down.
    pub const fn new() -> Self {
        let inner = LinkInner { up: false, changes: 0, wakers: MultiWakerRegistration::new() };
        Self { inner: Mutex::new(RefCell::new(inner)) }
    }

    /// Says how the link is now.
    pub fn set(&self, up: bool) {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            if inner.up != up {
                inner.up = up;
                inner.changes = inner.changes.wrapping_add(1);
                inner.wakers.wake();
            }
        });
    }

    /// Whether the link is up now, and how often it changed so far.
    pub fn state(&self) -> (bool, u32) {
        critical_section::with(|token| {
            let inner = self.inner.borrow_ref(token);
            (inner.up, inner.changes)
        })
    }

    /// Waits until the number of changes differs from `seen`; the link and the number of changes.
    pub async fn changed(&self, seen: u32) -> (bool, u32) {
        poll_fn(|context| self.poll_changed(seen, context)).await
    }

    /// Ready once the number of changes differs from `seen`.
    pub fn poll_changed(&self, seen: u32, context: &mut Context<'_>) -> Poll<(bool, u32)> {
        critical_section::with(|token| {
            let mut inner = self.inner.borrow_ref_mut(token);
            if inner.changes == seen {
                inner.wakers.register(context.waker());
                Poll::Pending
            } else {
                Poll::Ready((inner.up, inner.changes))
            }
        })
    }
}

impl Default for LinkWatch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::FramePool;
    use dialtone_base::frame::PoolSize;

    use super::*;

    #[test]
    fn a_full_queue_drops_counts_and_gives_the_buffer_back() {
        let pool = FramePool::leak(PoolSize { ordinary: QUEUE_DEPTH + 1, super_frames: 0 });
        let queue: &'static FrameQueue = Box::leak(Box::new(FrameQueue::new()));
        for _ in 0..QUEUE_DEPTH {
            assert!(queue.push(pool.take(60).unwrap()));
        }
        assert!(!queue.push(pool.take(60).unwrap()));
        assert_eq!(queue.overflowed(), 1);
        assert_eq!(pool.available().ordinary, 1);
        embassy_futures::block_on(queue.next());
        assert_eq!(queue.len(), QUEUE_DEPTH - 1);
    }

    #[test]
    fn urgent_frames_leave_first_in_their_order_whatever_waits() {
        let pool = FramePool::leak(PoolSize { ordinary: 3 * QUEUE_DEPTH, super_frames: 0 });
        let queue: &'static FrameQueue = Box::leak(Box::new(FrameQueue::new()));
        let marked = |mark: u8| {
            let mut frame = pool.take(60).unwrap();
            frame.bytes_mut()[0] = mark;
            frame
        };
        // A full queue does not keep them out.
        while queue.push(marked(0)) {}
        for mark in 1..=5 {
            assert!(queue.push_urgent(marked(mark)));
        }
        assert_eq!(queue.len(), QUEUE_DEPTH + 5);
        assert_eq!(queue.pop().unwrap().bytes()[0], 1);
        // Before what a driver could not send yet, too.
        let mut batch: Deque<Frame, 8> = Deque::new();
        batch.push_back(marked(9)).unwrap();
        assert_eq!(queue.pop_batch(&mut batch, 8), 7);
        let order: alloc::vec::Vec<u8> = batch.iter().map(|frame| frame.bytes()[0]).collect();
        assert_eq!(order, [2, 3, 4, 5, 9, 0, 0, 0]);
        // Bounded, and counted with the others.
        let before = queue.overflowed();
        while queue.push_urgent(marked(1)) {}
        assert_eq!((queue.overflowed(), queue.len()), (before + 1, QUEUE_DEPTH - 3 + URGENT_DEPTH));
    }
}
