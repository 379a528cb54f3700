//! Once a session is made, no packet and no sound allocates: counted by an allocator of our own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dialtone_audio_tests::stream;
use dialtone_base::telephony::Key;
use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_media::codec::Codec;
use dialtone_media::{CodecPool, Direction, Session, Setup};

struct Counting;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; the counters are plain cells that do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.with(Cell::get) {
            ALLOCATIONS.with(|count| count.set(count.get() + 1));
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if WATCHED.with(Cell::get) {
            ALLOCATIONS.with(|count| count.set(count.get() + 1));
        }
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn watched<R>(run: impl FnOnce() -> R) -> R {
    WATCHED.with(|watched| watched.set(true));
    let result = run();
    WATCHED.with(|watched| watched.set(false));
    result
}

#[test]
fn a_thousand_calls_allocate_nothing() {
    let address = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 4000);
    let pool = CodecPool::new(8000, 2);
    let setup = Setup { sample_rate: 8000, timeout: Duration::from_secs(1) };
    let mut ends = [1, 2].map(|number| Box::new(Session::idle(&pool, Seed::from_number(number))));
    let mut random = Random::new(Seed::from_number(5));
    let mut now = Instant::START;
    let mut late: Vec<(usize, usize, [u8; 600])> = Vec::with_capacity(1000);
    for call in 0..1000 {
        let codec = Codec::ALL[call % 4];
        for (side, end) in ends.iter_mut().enumerate() {
            let config = stream(codec, address(2 - side as u8), true);
            watched(|| end.start(now, config, setup, Seed::from_number(call as u64)));
        }
        for tick in 0..60 {
            for side in 0..2 {
                let sound = [(tick * 331 % 9000) as i16; 80];
                let mut datagram = [0; 600];
                let mut heard = [0; 80];
                if let Some(length) = watched(|| ends[side].push_pcm(now, &sound, &mut datagram)) {
                    match random.below(10) {
                        0 => {}
                        1 => late.push((1 - side, length, datagram)),
                        _ => {
                            let from = address(1 + side as u8);
                            let _ = watched(|| ends[1 - side].push_rtp(now, from, &datagram[..length]));
                        }
                    }
                }
                if tick % 7 == 0
                    && let Some((to, length, datagram)) = late.pop()
                {
                    let _ = watched(|| ends[to].push_rtp(now, address(2 - to as u8), &datagram[..length]));
                }
                if let Some(length) = watched(|| ends[side].rtcp(now, &mut datagram)) {
                    let from = address(1 + side as u8);
                    let _ = watched(|| ends[1 - side].push_rtcp(now, from, &datagram[..length]));
                }
                watched(|| ends[side].pull_pcm(now, &mut heard));
                let _ = watched(|| ends[side].quality(now));
                while watched(|| ends[side].poll_event()).is_some() {}
            }
            if tick == 20 {
                watched(|| ends[0].send_key(Key::HASH, Duration::from_millis(80)));
            }
            if tick == 40 {
                let mut held = stream(codec, address(2), true);
                held.direction = Direction::SendOnly;
                watched(|| ends[0].reconfigure(now, held));
            }
            now += Duration::from_millis(10);
        }
        for end in &mut ends {
            watched(|| end.stop());
        }
        assert_eq!(pool.available(), 2);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), 0);
}
