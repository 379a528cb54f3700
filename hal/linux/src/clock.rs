//! The time driver behind `embassy-time`: one clock per thread, real or virtual.
//!
//! Real time is CLOCK_MONOTONIC since the program first asked, the same in all threads. A thread that calls
//! [`use_virtual`] gets a clock at zero that only [`advance_to`] moves, so many simulated homes can run side by side,
//! each on its own thread. Timers belong to the thread whose executor polls the task. Resolution: one microsecond.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::task::{RawWakerVTable, Waker};
use std::time::Instant as SystemInstant;

use embassy_time::Instant;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;

/// Switches this thread to virtual time, starting at zero. Call it before the first task or timer is made.
pub fn use_virtual() {
    CLOCK.with(|clock| clock.virtual_now.set(Some(0)));
}

/// Whether this thread's time is virtual.
pub fn is_virtual() -> bool {
    CLOCK.with(|clock| clock.virtual_now.get().is_some())
}

/// Moves this thread's virtual clock to `moment`; never backwards, and nothing at all in real time.
pub fn advance_to(moment: Instant) {
    CLOCK.with(|clock| {
        if let Some(now) = clock.virtual_now.get() {
            clock.virtual_now.set(Some(now.max(moment.as_ticks())));
        }
    });
}

/// Wakes every task of this thread whose timer is due; when the next one is due, if any waits.
pub fn wake_expired() -> Option<Instant> {
    CLOCK.with(|clock| {
        let now = clock.now();
        let tasks = clock.tasks.borrow_mut().next_expiration(now);
        let others = clock.others.borrow_mut().next_expiration(now);
        let next = tasks.min(others);
        (next != u64::MAX).then(|| Instant::from_ticks(next))
    })
}

struct ThreadClock {
    virtual_now: Cell<Option<u64>>,
    /// Timers of embassy tasks. A task never leaves its executor, and an executor never leaves its thread, so the
    /// queue's rule that an item is in one queue only is kept although every thread has one.
    tasks: RefCell<Queue>,
    /// Timers awaited outside embassy tasks: `block_on` in tests. When full, the last one is woken early.
    others: RefCell<ConstGenericQueue<64>>,
}

impl ThreadClock {
    fn now(&self) -> u64 {
        static START: OnceLock<SystemInstant> = OnceLock::new();
        match self.virtual_now.get() {
            Some(now) => now,
            None => START.get_or_init(SystemInstant::now).elapsed().as_micros() as u64,
        }
    }
}

thread_local! {
    static CLOCK: ThreadClock = const {
        ThreadClock {
            virtual_now: Cell::new(None),
            tasks: RefCell::new(Queue::new()),
            others: RefCell::new(ConstGenericQueue::new()),
        }
    };
}

struct ClockDriver;

impl Driver for ClockDriver {
    fn now(&self) -> u64 {
        CLOCK.with(ThreadClock::now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // No alarm to set: the executor asks for the next deadline before it sleeps.
        CLOCK.with(|clock| {
            if is_task(waker) {
                clock.tasks.borrow_mut().schedule_wake(at, waker);
            } else {
                clock.others.borrow_mut().schedule_wake(at, waker);
            }
        });
    }
}

embassy_time_driver::time_driver_impl!(static DRIVER: ClockDriver = ClockDriver);

/// How wakers of embassy tasks are recognised; the first executor tells.
pub(crate) static TASK_WAKER: OnceLock<&'static RawWakerVTable> = OnceLock::new();

/// Whether the waker belongs to an embassy task, whose storage has room for the timer.
fn is_task(waker: &Waker) -> bool {
    TASK_WAKER.get().is_some_and(|vtable| std::ptr::eq(*vtable, waker.vtable()))
}
