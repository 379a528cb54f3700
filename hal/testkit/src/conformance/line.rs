//! What every driver of a telephone line must do, whatever the wires are made of.
//!
//! Run on the scripted handset, on the socket, on the SLIC driver with its pins in hand, and on a board with a person lifting the
//! receiver when told. Takes about five seconds of the line's time, virtual or real. A broken promise panics with the promise.

use std::future::Future;

use dialtone_base::{Duration, Instant};
use dialtone_hal_api::line::{Feed, LineHandle, LoopTransition, PcmFrame};
use embassy_futures::select::{Either, select};

use crate::handset::{now, sleep};

/// The tester's end of the wires.
pub trait Instrument {
    /// Opens or closes the loop.
    fn set_loop(&mut self, closed: bool) -> impl Future<Output = ()>;

    /// What is on the wires now; called about every 10 ms while the suite waits.
    fn feed(&mut self) -> Feed;

    /// From now on the microphone hears this sample again and again.
    fn speak(&mut self, sample: i16);

    /// A sample from the middle of what the earpiece last played.
    fn heard(&mut self) -> i16;
}

/// Checks a line of which `handle` is the app's end and `phone` the other. On-hook, forward, no sound, and left so.
pub async fn line(handle: &LineHandle, phone: &mut impl Instrument) {
    feed_and_ring_trip(handle, phone).await;
    battery_off(handle, phone).await;
    pulses(handle, phone).await;
    sound(handle, phone).await;
}

async fn feed_and_ring_trip(handle: &LineHandle, phone: &mut impl Instrument) {
    for feed in
        [Feed::Forward, Feed::Reverse, Feed::Forward, Feed::Ringing(25), Feed::Forward, Feed::Ringing(20)]
    {
        handle.set_feed(feed);
        until_feed(phone, feed).await;
    }
    assert!(quiet(handle, 100).await, "feed and ringing close no loop");
    let lifted = now();
    phone.set_loop(true).await;
    let transition = transition(handle).await;
    assert!(transition.closed, "the receiver is lifted");
    assert!(transition.at.since(lifted) <= SOON, "ring trip is reported at once");
    until_feed(phone, Feed::Forward).await;
    phone.set_loop(false).await;
    assert!(!self::transition(handle).await.closed, "the receiver is put back");
    assert!(quiet(handle, 100).await, "each movement is reported once");
    assert_eq!(phone.feed(), Feed::Forward, "ringing does not return by itself");
    handle.set_feed(Feed::Ringing(20));
    until_feed(phone, Feed::Ringing(20)).await;
    handle.set_feed(Feed::Forward);
    until_feed(phone, Feed::Forward).await;
    sleep(SOON).await;
}

async fn battery_off(handle: &LineHandle, phone: &mut impl Instrument) {
    handle.set_feed(Feed::Open);
    until_feed(phone, Feed::Open).await;
    phone.set_loop(true).await;
    assert!(quiet(handle, 100).await, "without battery nothing is known of the loop");
    handle.set_feed(Feed::Forward);
    until_feed(phone, Feed::Forward).await;
    assert!(transition(handle).await.closed, "with the battery comes what changed meanwhile");
    phone.set_loop(false).await;
    assert!(!transition(handle).await.closed, "the receiver is put back");
}

async fn pulses(handle: &LineHandle, phone: &mut impl Instrument) {
    phone.set_loop(true).await;
    assert!(transition(handle).await.closed, "off-hook");
    let mut last = now();
    for _ in 0..3 {
        let mut pulse = [Instant::START; 2];
        for (closed, at) in [(false, 0), (true, 1)] {
            phone.set_loop(closed).await;
            let seen = transition(handle).await;
            assert_eq!(seen.closed, closed, "pulses arrive in order");
            assert!(seen.at >= last, "time does not run backwards");
            last = seen.at;
            pulse[at] = seen.at;
            sleep(Duration::from_millis(50)).await;
        }
        let open = pulse[1].since(pulse[0]).as_millis();
        assert!((35..=75).contains(&open), "a pulse keeps its length: {open} ms of 50");
    }
    phone.set_loop(false).await;
    assert!(!transition(handle).await.closed, "on-hook");
}

async fn sound(handle: &LineHandle, phone: &mut impl Instrument) {
    let (said, answered) = (1200, -3400);
    phone.speak(said);
    phone.set_loop(true).await;
    transition(handle).await;
    sleep(Duration::from_millis(100)).await;
    assert!(handle.captured().is_empty(), "no sound before it is turned on");
    handle.set_audio(true);
    let start = now();
    let (mut frames, mut matching) = (0, 0);
    while now().since(start) < Duration::from_secs(2) {
        let Either::First(frame) = select(handle.captured().next(), sleep(SOON)).await else {
            panic!("sound is on, but no frame came for {SOON:?}");
        };
        frames += 1;
        assert_eq!(frame.samples().len(), handle.info.frame_length(), "frames of 10 ms");
        matching += u32::from(frame.samples().iter().all(|sample| sample.abs_diff(said) < 100));
        handle.playback().push(PcmFrame::from_samples(&vec![answered; handle.info.frame_length()]));
    }
    assert!((190..=210).contains(&frames), "a frame every 10 ms: {frames} in two seconds");
    assert!(matching > frames * 8 / 10, "what is said is captured: {matching} of {frames} frames");
    assert!(phone.heard().abs_diff(answered) < 100, "what is answered is heard");
    handle.set_audio(false);
    sleep(SOON).await;
    assert!(handle.captured().is_empty() && handle.playback().is_empty(), "off is off");
    handle.set_audio(true);
    sleep(Duration::from_millis(200)).await;
    assert!(handle.captured().len() >= 5, "and on again");
    handle.set_audio(false);
    sleep(SOON).await;
    assert!(handle.captured().is_empty(), "no old sound for the next call");
    phone.set_loop(false).await;
    transition(handle).await;
}

/// What a driver may take for anything.
const SOON: Duration = Duration::from_millis(150);

async fn transition(handle: &LineHandle) -> LoopTransition {
    // Settling after a change of feed included.
    match select(handle.transition(), sleep(Duration::from_millis(500))).await {
        Either::First(transition) => transition,
        Either::Second(()) => panic!("the hook moved, but nothing was reported"),
    }
}

async fn quiet(handle: &LineHandle, millis: u64) -> bool {
    matches!(select(handle.transition(), sleep(Duration::from_millis(millis))).await, Either::Second(()))
}

async fn until_feed(phone: &mut impl Instrument, feed: Feed) {
    let start = now();
    while phone.feed() != feed {
        assert!(
            now().since(start) < Duration::from_millis(500),
            "{feed:?} does not come: {:?}",
            phone.feed()
        );
        sleep(Duration::from_millis(10)).await;
    }
}
