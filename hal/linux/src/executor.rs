//! Runs the firmware's tasks on a thread: in real time, asleep in epoll, or in virtual time, jumping.
//!
//! A [`Host`] is one `embassy_executor::raw::Executor` with the loop around it. Tasks may be woken from any thread; the
//! thread sleeps until a task is woken, a timer is due or a watched descriptor ([`Reactor::watch`]) is ready. In virtual
//! time ([`clock::use_virtual`]) nothing sleeps and descriptors are not looked at. Never ends a task; a host's tasks live as
//! long as the program.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use embassy_executor::Spawner;
use embassy_executor::raw::{Executor, TaskStorage};
use embassy_time::Instant;

use crate::clock;

/// The executor of one thread.
pub struct Host {
    executor: &'static Executor,
    signal: &'static Signal,
    reactor: Reactor,
    stop: Arc<AtomicBool>,
    polling: Cell<bool>,
}

/// Ends [`Host::run`] from another thread or a signal's handler thread.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    signal: &'static Signal,
}

/// Where descriptors are watched; belongs to the host's thread.
#[derive(Clone)]
pub struct Reactor {
    inner: Rc<ReactorInner>,
}

/// A descriptor under watch. Does not own it; drop the watch before the descriptor is closed.
pub struct Watch {
    reactor: Reactor,
    descriptor: RawFd,
    slot: usize,
}

impl Host {
    /// An executor for this thread. Allocates for the lifetime of the program.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let bell = owned(
            // SAFETY: no pointers are passed.
            unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) },
        )?;
        // SAFETY: no pointers are passed.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        add(&epoll, bell.as_raw_fd(), libc::EPOLLIN, BELL)?;
        let signal: &'static Signal = Box::leak(Box::new(Signal {
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            bell,
        }));
        let context = std::ptr::from_ref(signal).cast_mut().cast();
        let executor: &'static Executor = Box::leak(Box::new(Executor::new(context)));
        let reactor = Reactor { inner: Rc::new(ReactorInner { epoll, slots: RefCell::new(Vec::new()) }) };
        let host = Self {
            executor,
            signal,
            reactor,
            stop: Arc::new(AtomicBool::new(false)),
            polling: Cell::new(false),
        };
        if clock::TASK_WAKER.get().is_none() {
            host.spawn(poll_fn(|context| {
                let _ = clock::TASK_WAKER.set(context.waker().vtable());
                Poll::Ready(())
            }));
            host.poll_once();
        }
        Ok(host)
    }

    /// For tasks made with `#[embassy_executor::task]`.
    pub fn spawner(&self) -> Spawner {
        self.executor.spawner()
    }

    /// Runs any future as a task of its own. Allocates the task for the lifetime of the program, so that the same
    /// function may run in several routers of one process.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let storage = Box::leak(Box::new(TaskStorage::new()));
        match storage.spawn(|| future) {
            Ok(token) => self.spawner().spawn(token),
            Err(_) => unreachable!("storage just made is free"),
        }
    }

    /// Where ports and sockets have their descriptors watched.
    pub fn reactor(&self) -> Reactor {
        self.reactor.clone()
    }

    /// A handle that ends [`Host::run`].
    pub fn stopper(&self) -> Stopper {
        Stopper { stop: self.stop.clone(), signal: self.signal }
    }

    /// Runs in real time until a [`Stopper`] ends it.
    ///
    /// # Errors
    /// When epoll fails, which no caller can mend.
    pub fn run(&self) -> io::Result<()> {
        assert!(!clock::is_virtual(), "run_until and step_virtual run a thread in virtual time");
        let mut rounds = 0_u32;
        while !self.stop.swap(false, Ordering::AcqRel) {
            self.poll_once();
            let next = clock::wake_expired();
            rounds = rounds.wrapping_add(1);
            if self.signal.pending.load(Ordering::SeqCst) {
                // Busy: look at descriptors now and then. Ports with a mapped ring need no system call to see frames.
                if rounds.is_multiple_of(BUSY_ROUNDS) {
                    self.reactor.wait(0, self.signal)?;
                }
                continue;
            }
            self.signal.asleep.store(true, Ordering::SeqCst);
            // Whoever wakes a task from here on rings the bell; who did so before is seen now.
            let awake = self.signal.pending.load(Ordering::SeqCst) || self.stop.load(Ordering::Acquire);
            let timeout = if awake { 0 } else { next.map_or(-1, milliseconds_until) };
            self.reactor.wait(timeout, self.signal)?;
        }
        Ok(())
    }

    /// Runs in virtual time up to and including `deadline`, then leaves the clock there.
    pub fn run_until(&self, deadline: Instant) {
        loop {
            match self.settle() {
                Some(next) if next <= deadline => clock::advance_to(next),
                _ => break,
            }
        }
        clock::advance_to(deadline);
        self.settle();
    }

    /// In virtual time: runs all that can run, then jumps to the next timer and runs what it wakes. Where the clock is
    /// now, `None` when no timer waits.
    pub fn step_virtual(&self) -> Option<Instant> {
        let next = self.settle()?;
        clock::advance_to(next);
        self.settle();
        Some(next)
    }

    /// Polls until no task is woken; when the next timer is due.
    pub fn settle(&self) -> Option<Instant> {
        loop {
            let next = clock::wake_expired();
            if !self.signal.pending.load(Ordering::SeqCst) {
                return next;
            }
            self.poll_once();
        }
    }

    fn poll_once(&self) {
        assert!(!self.polling.replace(true), "a task must not run the host that runs it");
        self.signal.pending.store(false, Ordering::SeqCst);
        // SAFETY: only this function polls this executor, the line above keeps it from being entered again from a
        // task, and a host never leaves the thread that made it.
        unsafe { self.executor.poll() }
        self.polling.set(false);
    }
}

impl Stopper {
    /// Makes [`Host::run`] return soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.signal.ring();
    }
}

impl Reactor {
    /// Watches a descriptor, edge-triggered: after a wake, work until the descriptor would block, then wait again.
    ///
    /// # Errors
    /// When the descriptor cannot be polled (regular files) or is watched already.
    pub fn watch(&self, descriptor: &impl AsRawFd) -> io::Result<Watch> {
        let descriptor = descriptor.as_raw_fd();
        let mut slots = self.inner.slots.borrow_mut();
        let slot = slots.iter().position(|slot| !slot.used).unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() - 1
        });
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        add(&self.inner.epoll, descriptor, events, slot as u64)?;
        slots[slot] = Slot { used: true, ..Slot::default() };
        Ok(Watch { reactor: self.clone(), descriptor, slot })
    }

    /// Waits for events and wakes their tasks.
    fn wait(&self, timeout: i32, signal: &Signal) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        let epoll = self.inner.epoll.as_raw_fd();
        // SAFETY: the pointer and length describe a live array.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, timeout) };
        // Awake from here on: the tasks woken below need no bell.
        signal.asleep.store(false, Ordering::SeqCst);
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        for event in &events[..count as usize] {
            if event.u64 == BELL {
                signal.silence();
                continue;
            }
            let bits = event.events as i32;
            let ended = bits & (libc::EPOLLERR | libc::EPOLLHUP | libc::EPOLLRDHUP) != 0;
            let mut slots = self.inner.slots.borrow_mut();
            let Some(slot) = slots.get_mut(event.u64 as usize) else { continue };
            let mut wake = [None, None];
            if ended || bits & libc::EPOLLIN != 0 {
                slot.readable.ready = true;
                wake[0] = slot.readable.waker.take();
            }
            if ended || bits & libc::EPOLLOUT != 0 {
                slot.writable.ready = true;
                wake[1] = slot.writable.waker.take();
            }
            drop(slots);
            wake.into_iter().flatten().for_each(Waker::wake);
        }
        Ok(())
    }
}

impl Watch {
    /// Waits until there may be something to read, an error or an end included. One waiter.
    pub async fn readable(&self) {
        poll_fn(|context| self.poll_readable(context)).await;
    }

    /// Waits until there may be room to write. One waiter.
    pub async fn writable(&self) {
        poll_fn(|context| self.poll_writable(context)).await;
    }

    /// Ready once per edge; otherwise keeps the context's waker.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_direction(context, |slot| &mut slot.readable)
    }

    /// Ready once per edge; otherwise keeps the context's waker.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_direction(context, |slot| &mut slot.writable)
    }

    fn poll_direction(
        &self,
        context: &mut Context<'_>,
        direction: fn(&mut Slot) -> &mut Direction,
    ) -> Poll<()> {
        let mut slots = self.reactor.inner.slots.borrow_mut();
        let direction = direction(&mut slots[self.slot]);
        if std::mem::take(&mut direction.ready) {
            return Poll::Ready(());
        }
        match &direction.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => direction.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: no pointer is read for EPOLL_CTL_DEL. An error means the descriptor is closed already.
        unsafe {
            libc::epoll_ctl(
                self.reactor.inner.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                self.descriptor,
                std::ptr::null_mut(),
            )
        };
        self.reactor.inner.slots.borrow_mut()[self.slot] = Slot::default();
    }
}

struct ReactorInner {
    epoll: OwnedFd,
    slots: RefCell<Vec<Slot>>,
}

#[derive(Default)]
struct Slot {
    used: bool,
    readable: Direction,
    writable: Direction,
}

#[derive(Default)]
struct Direction {
    ready: bool,
    waker: Option<Waker>,
}

/// Shared with whoever wakes a task, on any thread.
struct Signal {
    pending: AtomicBool,
    asleep: AtomicBool,
    bell: OwnedFd,
}

impl Signal {
    fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the pointer and length describe a live array. Full counter: the bell rings already.
        unsafe { libc::write(self.bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn silence(&self) {
        let mut count = [0; 8];
        // SAFETY: the pointer and length describe a live array. Empty counter: silent already.
        unsafe { libc::read(self.bell.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// The bell's mark among epoll's events; slots are small numbers.
const BELL: u64 = u64::MAX;

/// Rounds of a busy executor between two looks at the descriptors.
const BUSY_ROUNDS: u32 = 16;

/// Called by the executor, on any thread, when it has work again.
#[unsafe(no_mangle)]
extern "Rust" fn __pender(context: *mut ()) {
    // SAFETY: every executor of this program is made in `Host::new` with a leaked `Signal` as context.
    let signal = unsafe { &*context.cast_const().cast::<Signal>() };
    signal.pending.store(true, Ordering::SeqCst);
    if signal.asleep.load(Ordering::SeqCst) {
        signal.ring();
    }
}

fn milliseconds_until(moment: Instant) -> i32 {
    let micros = moment.as_micros().saturating_sub(Instant::now().as_micros());
    micros.div_ceil(1000).min(60_000) as i32
}

fn owned(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just handed out this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn add(epoll: &OwnedFd, descriptor: RawFd, events: i32, mark: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: mark };
    // SAFETY: the pointer is to a live event.
    let result = unsafe {
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, std::ptr::from_mut(&mut event))
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration as SystemDuration;

    use embassy_time::{Duration, Timer};

    use super::*;

    #[test]
    fn a_virtual_day_passes_at_once_and_in_order() {
        clock::use_virtual();
        let host = Host::new().unwrap();
        let log = Rc::new(RefCell::new(Vec::new()));
        for (name, period) in [("hour", 3600), ("day", 24 * 3600), ("half", 12 * 3600)] {
            let log = log.clone();
            host.spawn(async move {
                loop {
                    Timer::after_secs(period).await;
                    log.borrow_mut().push((Instant::now().as_secs(), name));
                }
            });
        }
        host.run_until(Instant::from_secs(24 * 3600));
        assert_eq!(Instant::now(), Instant::from_secs(24 * 3600));
        let log = log.borrow();
        assert_eq!(log.len(), 24 + 2 + 1);
        assert!(log.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(log[0], (3600, "hour"));
    }

    #[test]
    fn stepping_goes_from_timer_to_timer() {
        clock::use_virtual();
        let host = Host::new().unwrap();
        host.spawn(async {
            Timer::after_micros(5).await;
            Timer::after_micros(7).await;
        });
        assert_eq!(host.step_virtual(), Some(Instant::from_micros(5)));
        assert_eq!(host.step_virtual(), Some(Instant::from_micros(12)));
        assert_eq!(host.step_virtual(), None);
    }

    #[test]
    fn each_thread_has_its_own_virtual_time() {
        let threads = (1..4).map(|seconds| {
            std::thread::spawn(move || {
                clock::use_virtual();
                let host = Host::new().unwrap();
                host.run_until(Instant::from_secs(seconds));
                Instant::now()
            })
        });
        let ends: Vec<_> = threads.map(|thread| thread.join().unwrap().as_secs()).collect();
        assert_eq!(ends, [1, 2, 3]);
        assert!(!clock::is_virtual());
    }

    #[test]
    fn a_sleeping_host_wakes_for_timers_descriptors_and_other_threads() {
        let host = Host::new().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let (reactor, stopper, got) = (host.reactor(), host.stopper(), Rc::new(Cell::new(0)));
        let total = got.clone();
        host.spawn(async move {
            let watch = reactor.watch(&near).unwrap();
            let mut near = near;
            while total.get() < 3 {
                let mut bytes = [0; 16];
                match near.read(&mut bytes) {
                    Ok(count) => total.set(total.get() + count),
                    Err(_) => watch.readable().await,
                }
            }
            Timer::after(Duration::from_millis(3)).await;
            stopper.stop();
        });
        let writer = std::thread::spawn(move || {
            for _ in 0..3 {
                std::thread::sleep(SystemDuration::from_millis(5));
                far.write_all(b"x").unwrap();
            }
            far
        });
        host.run().unwrap();
        assert_eq!(got.get(), 3);
        drop(writer.join().unwrap());

        // Woken by a plain waker from another thread.
        let stopper = host.stopper();
        let flag = Arc::new(AtomicBool::new(false));
        let seen = flag.clone();
        host.spawn(poll_fn(move |context| {
            if seen.load(Ordering::SeqCst) {
                stopper.stop();
                return Poll::Ready(());
            }
            let (waker, flag) = (context.waker().clone(), flag.clone());
            std::thread::spawn(move || {
                std::thread::sleep(SystemDuration::from_millis(5));
                flag.store(true, Ordering::SeqCst);
                waker.wake();
            });
            Poll::Pending
        }));
        host.run().unwrap();
    }

    #[test]
    fn block_on_may_wait_for_time_too() {
        let start = Instant::now();
        embassy_futures::block_on(Timer::after_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}
