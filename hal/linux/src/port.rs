//! Ports on Linux: one loop for all, and a backend for each way to reach an interface.
//!
//! [`run`] is the driver's side of `hal/api/port.rs`: it moves frames in batches between a [`Backend`] and the two queues,
//! and sleeps when neither has any. Backends: [`packet`] (AF_PACKET with a mapped ring),
//! [`xdp`] (AF_XDP), [`tap`].

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::Poll;

use dialtone_base::counter::Counters;
use dialtone_base::{Frame, FramePool, counted_reasons};
use dialtone_hal_api::port::{PortDriver, QUEUE_DEPTH};
use heapless::Deque;

use crate::executor::Reactor;

pub mod choose;
mod cut;
pub mod packet;
pub mod tap;
pub mod xdp;

/// Frames moved at once.
pub const BATCH: usize = 64;

/// Frames under way between a backend and a queue.
pub type Batch = Deque<Frame, BATCH>;

counted_reasons! {
    /// Why a port dropped a frame.
    pub enum PortDrop {
        /// The pool had no buffer for a received frame.
        NoBuffer = "no-buffer",
        /// It came with an offload nobody asked for.
        UnknownOffload = "unknown-offload",
        /// The kernel could not hand over all of it.
        Truncated = "truncated",
        /// The kernel's ring was full before we looked.
        RingFull = "ring-full",
        /// The interface was down when it should have been sent.
        LinkDown = "link-down",
        /// The kernel refused to send it: its own queue was full, or the frame is too long for the link.
        Refused = "refused",
    }
}

/// What a port dropped; shared by its runner and whoever shows it.
pub type Drops = Rc<RefCell<Counters<PortDrop, { PortDrop::COUNT }>>>;

/// A way to reach an interface.
pub trait Backend: AsRawFd {
    /// Takes up to `limit` received frames without waiting and appends them to `batch`; how many it took from the
    /// interface, dropped ones included.
    ///
    /// # Errors
    /// When the interface is lost for good.
    fn receive(
        &mut self,
        pool: &'static FramePool,
        batch: &mut Batch,
        limit: usize,
        drops: &Drops,
    ) -> io::Result<usize>;

    /// Sends from the front of `batch` without waiting; frames left in it wait until there is room.
    ///
    /// # Errors
    /// When the interface is lost for good.
    fn send(&mut self, batch: &mut Batch, drops: &Drops) -> io::Result<()>;
}

/// Moves frames until the interface is lost; the error says how.
pub async fn run(
    mut backend: impl Backend,
    reactor: &Reactor,
    driver: &PortDriver,
    pool: &'static FramePool,
    drops: &Drops,
) -> io::Error {
    let watch = match reactor.watch(&backend) {
        Ok(watch) => watch,
        Err(error) => return error,
    };
    let (mut received, mut sending) = (Batch::new(), Batch::new());
    loop {
        // What the data plane has no room for stays in the kernel's ring, where dropping is cheapest.
        let room = QUEUE_DEPTH.saturating_sub(driver.received.len()).min(BATCH);
        let got = match backend.receive(pool, &mut received, room, drops) {
            Ok(got) => got,
            Err(error) => return error,
        };
        if !received.is_empty() {
            driver.received.push_batch(&mut received);
        }
        let blocked = !sending.is_empty();
        driver.to_send.pop_batch(&mut sending, BATCH);
        let had = sending.len();
        if had > 0
            && let Err(error) = backend.send(&mut sending, drops)
        {
            return error;
        }
        let moved = got > 0 || sending.len() < had;
        if moved || room == 0 {
            embassy_futures::yield_now().await;
            continue;
        }
        poll_fn(|context| {
            let readable = watch.poll_readable(context).is_ready();
            let more = if sending.is_empty() && !blocked {
                driver.to_send.poll_ready(context).is_ready()
            } else {
                watch.poll_writable(context).is_ready()
            };
            if readable || more { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
