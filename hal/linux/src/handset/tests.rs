//! The line's socket with a handset on it, in virtual time and in real time.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration as SystemDuration;

use dialtone_base::text::Text;
use dialtone_hal_api::handset::{Decoder, FromHandset, Greeting};
use dialtone_hal_api::line::{Feed, LineHandle, LineInfo, PcmFrame, line};
use dialtone_hal_testkit::conformance;
use embassy_futures::select::Either;
use embassy_time::Duration;

use super::*;
use crate::executor::Host;

/// The handset's end, read without waiting.
struct Handset {
    stream: UnixStream,
    decoder: Decoder<FromLine>,
}

impl Handset {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, decoder: Decoder::new() }
    }

    fn say(&mut self, message: &FromHandset) {
        self.stream.write_all(message.encode(&mut [0; LONGEST])).unwrap();
    }

    fn sound(&mut self, value: i16) {
        self.say(&FromHandset::Sound(PcmFrame::from_samples(&[value; 80])));
    }

    /// What the line said since; `None` at the end once the line hung up.
    fn heard(&mut self) -> Vec<Option<FromLine>> {
        let mut messages = Vec::new();
        let mut bytes = [0; 65536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    messages.push(None);
                    return messages;
                }
                Ok(count) => {
                    let mut input = &bytes[..count];
                    while let Some(message) = self.decoder.next(&mut input) {
                        messages.push(Some(message.unwrap()));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return messages,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

struct Bench {
    host: Host,
    handle: LineHandle,
    path: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bench(name: &str, skew: i32) -> Bench {
    let path = std::env::temp_dir().join(format!("dialtone-line-{name}-{}", std::process::id()));
    let host = Host::new().unwrap();
    let (handle, driver) = line(LineInfo { name: Text::lossy("phone1"), sample_rate: 8000 });
    let socket = HandsetSocket::open(&path).unwrap();
    let reactor = host.reactor();
    host.spawn(async move {
        socket.run_with_skew(&reactor, driver, skew).await;
    });
    Bench { host, handle, path }
}

impl Bench {
    fn pass(&self, millis: u64) {
        self.host.run_until(embassy_time::Instant::now() + Duration::from_millis(millis));
    }

    /// The app: answers each captured frame with the same sound.
    fn echo(&self) {
        let handle = self.handle.clone();
        self.host.spawn(async move {
            loop {
                let frame = handle.captured().next().await;
                handle.playback().push(frame);
            }
        });
    }

    fn transitions(&self) -> Rc<RefCell<Vec<(u64, bool)>>> {
        let log = Rc::new(RefCell::new(Vec::new()));
        let (handle, seen) = (self.handle.clone(), log.clone());
        self.host.spawn(async move {
            loop {
                let transition = handle.transition().await;
                seen.borrow_mut().push((transition.at.as_millis(), transition.closed));
            }
        });
        log
    }

    fn losses(&self) -> Vec<(LineLoss, u64)> {
        self.handle.losses().iter().filter(|(_, count)| *count > 0).collect()
    }
}

fn is_sound(message: &Option<FromLine>) -> bool {
    matches!(message, Some(FromLine::Sound(_)))
}

#[test]
fn a_handset_is_greeted_rings_and_is_told_every_change_of_feed_once() {
    clock::use_virtual();
    let bench = bench("greeting", 0);
    let mut handset = Handset::connect(&bench.path);
    bench.pass(20);
    let greeting = Greeting { sample_rate: 8000, name: Text::lossy("phone1") };
    let feed = |feed| Some(FromLine::Feed(feed));
    assert_eq!(handset.heard(), [Some(FromLine::Info(greeting)), feed(Feed::Forward)]);
    let transitions = bench.transitions();
    bench.handle.set_feed(Feed::Ringing(25));
    bench.pass(20);
    bench.handle.set_feed(Feed::Ringing(25));
    bench.pass(20);
    assert_eq!(handset.heard(), [feed(Feed::Ringing(25))]);
    handset.say(&FromHandset::Loop(true));
    bench.pass(20);
    assert_eq!(handset.heard(), [feed(Feed::Forward)], "ring trip");
    bench.handle.set_feed(Feed::Forward);
    bench.pass(20);
    assert_eq!(handset.heard(), []);
    drop(handset);
    bench.pass(20);
    let seen: Vec<bool> = transitions.borrow().iter().map(|(_, closed)| *closed).collect();
    assert_eq!(seen, [true, false], "off-hook, and unplugging opens the loop");
    assert_eq!(bench.losses(), []);
}

#[test]
fn a_second_handset_hears_that_the_line_is_busy_and_the_first_goes_on() {
    clock::use_virtual();
    let bench = bench("busy", 0);
    let mut first = Handset::connect(&bench.path);
    bench.pass(20);
    let mut second = Handset::connect(&bench.path);
    bench.pass(20);
    assert_eq!(second.heard(), [Some(FromLine::Busy), None]);
    assert_eq!(first.heard().len(), 2);
    bench.handle.set_feed(Feed::Reverse);
    bench.pass(20);
    assert_eq!(first.heard(), [Some(FromLine::Feed(Feed::Reverse))]);
    drop(first);
    bench.pass(20);
    let mut third = Handset::connect(&bench.path);
    bench.pass(20);
    assert_eq!(third.heard()[1], Some(FromLine::Feed(Feed::Reverse)), "the wires are as they were");
    assert_eq!(bench.losses(), [(LineLoss::HandsetRefused, 1)]);
}

#[test]
fn a_minute_of_sound_has_six_thousand_frames_and_comes_back_whole() {
    clock::use_virtual();
    let bench = bench("minute", 0);
    bench.echo();
    let mut handset = Handset::connect(&bench.path);
    handset.say(&FromHandset::Loop(true));
    bench.pass(15);
    bench.handle.set_audio(true);
    let (mut spoken, mut frames, mut back) = (0, 0, Vec::new());
    for _ in 0..6000 {
        bench.pass(10);
        for message in handset.heard() {
            let Some(FromLine::Sound(frame)) = message else { continue };
            frames += 1;
            back.push(frame.samples()[0]);
            // One for each, as the protocol says.
            spoken += 1;
            handset.sound(spoken);
        }
    }
    assert!((5999..=6000).contains(&frames), "{frames}");
    let first = back.iter().position(|value| *value == 1).unwrap();
    assert!(first <= 3, "the way there and back takes {first} frames");
    assert!(back[first..].iter().zip(1..).all(|(heard, said)| *heard == said), "nothing lost, nothing twice");
    assert_eq!(bench.losses(), [(LineLoss::CaptureLate, 1)], "only before the first answer");
    bench.handle.set_audio(false);
    bench.pass(50);
    handset.heard();
    bench.pass(1000);
    assert_eq!(handset.heard(), [], "sound off is silence on the socket too");
}

#[test]
fn late_sound_is_silence_early_sound_waits_forty_milliseconds_at_most() {
    clock::use_virtual();
    let bench = bench("early", 0);
    let mut handset = Handset::connect(&bench.path);
    handset.say(&FromHandset::Loop(true));
    bench.pass(15);
    bench.handle.set_audio(true);
    bench.pass(1);
    for value in 1..=7 {
        handset.sound(value);
    }
    bench.pass(65);
    let captured: Vec<i16> =
        std::iter::from_fn(|| bench.handle.captured().pop()).map(|frame| frame.samples()[0]).collect();
    assert_eq!(captured, [4, 5, 6, 7, 0, 0], "the oldest are dropped, then comes silence");
    let losses = bench.handle.losses();
    assert_eq!(losses.of(LineLoss::CaptureTooMuch), 3);
    assert_eq!(losses.of(LineLoss::CaptureLate), 2);
    assert_eq!(losses.of(LineLoss::PlaybackLate), 5, "no app answered");
}

#[test]
fn an_answer_that_comes_too_late_is_not_played_late() {
    clock::use_virtual();
    let bench = bench("late", 0);
    let mut handset = Handset::connect(&bench.path);
    bench.pass(15);
    bench.handle.set_audio(true);
    bench.pass(21);
    handset.heard();
    // The answers to two frames come together; the first of them was given up.
    bench.handle.playback().push(PcmFrame::from_samples(&[1; 80]));
    bench.pass(1);
    assert_eq!(handset.heard(), [Some(FromLine::Sound(PcmFrame::from_samples(&[1; 80])))]);
    bench.handle.playback().push(PcmFrame::from_samples(&[2; 80]));
    bench.pass(10);
    bench.handle.playback().push(PcmFrame::from_samples(&[3; 80]));
    bench.pass(1);
    assert_eq!(handset.heard(), [Some(FromLine::Sound(PcmFrame::from_samples(&[3; 80])))]);
    assert_eq!(bench.handle.losses().of(LineLoss::PlaybackTooMuch), 1);
}

#[test]
fn a_skewed_clock_is_slow_by_so_much_and_no_more() {
    clock::use_virtual();
    let bench = bench("skew", 500);
    bench.echo();
    let mut handset = Handset::connect(&bench.path);
    bench.pass(1);
    bench.handle.set_audio(true);
    let mut frames = 0;
    for _ in 0..2000 {
        bench.pass(50);
        frames += handset.heard().iter().filter(|message| is_sound(message)).count();
    }
    // 100 s at +500 ppm are 10 000 frames less five.
    assert!((9994..=9996).contains(&frames), "{frames}");
}

#[test]
fn a_handset_that_does_not_read_loses_sound_but_no_feed_and_one_that_speaks_nonsense_is_shown_out() {
    clock::use_virtual();
    let bench = bench("slow", 0);
    bench.echo();
    let mut handset = Handset::connect(&bench.path);
    bench.pass(15);
    bench.handle.set_audio(true);
    bench.pass(5000);
    bench.handle.set_feed(Feed::Reverse);
    bench.pass(20);
    assert!(bench.handle.losses().of(LineLoss::HandsetSlow) > 400);
    let heard = handset.heard();
    assert!(heard.iter().filter(|message| is_sound(message)).count() < 50, "a bounded delay");
    bench.pass(20);
    let later = handset.heard();
    assert!(heard.iter().chain(&later).any(|message| *message == Some(FromLine::Feed(Feed::Reverse))));
    handset.stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    bench.pass(20);
    let goodbye = handset.stream.write_all(b"more");
    assert!(goodbye.is_err() || handset.heard().last() == Some(&None));
    let mut next = Handset::connect(&bench.path);
    bench.pass(20);
    assert!(next.heard().len() >= 2, "the next handset is welcome");
}

#[test]
fn a_flood_of_transitions_is_bounded_and_the_final_state_is_known() {
    clock::use_virtual();
    let bench = bench("flood", 0);
    let mut handset = Handset::connect(&bench.path);
    bench.pass(15);
    for _ in 0..100 {
        handset.say(&FromHandset::Loop(true));
        handset.say(&FromHandset::Loop(false));
    }
    handset.say(&FromHandset::Loop(true));
    bench.pass(20);
    let seen = bench.transitions();
    bench.pass(20);
    assert_eq!(seen.borrow().last().map(|(_, closed)| *closed), Some(true));
    assert!(seen.borrow().len() <= 34);
    assert!(bench.handle.losses().of(LineLoss::TransitionLost) > 80);
}

#[test]
fn in_real_time_the_line_keeps_the_pace_of_the_clock() {
    let bench = bench("real", 0);
    bench.echo();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&bench.path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = HandsetSocket::open(&bench.path).err().unwrap();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    assert!(again.to_string().contains("--line socket:PATH"));
    let (path, stopper) = (bench.path.clone(), bench.host.stopper());
    bench.handle.set_audio(true);
    let visitor = std::thread::spawn(move || {
        // The listener was asked above whether it is alive: that visitor may still be there.
        let mut handset = loop {
            let mut handset = Handset::connect(&path);
            std::thread::sleep(SystemDuration::from_millis(50));
            if handset.heard().iter().all(|message| *message != Some(FromLine::Busy)) {
                break handset;
            }
        };
        handset.say(&FromHandset::Loop(true));
        let start = std::time::Instant::now();
        let mut frames = 0;
        while start.elapsed() < SystemDuration::from_millis(1000) {
            frames += handset.heard().iter().filter(|message| is_sound(message)).count();
            std::thread::sleep(SystemDuration::from_millis(2));
        }
        stopper.stop();
        frames
    });
    let closed = Rc::new(RefCell::new(false));
    let (seen, handle) = (closed.clone(), bench.handle.clone());
    bench.host.spawn(async move {
        loop {
            match select_transition(&handle).await {
                Either::First(transition) => *seen.borrow_mut() |= transition,
                Either::Second(()) => {}
            }
        }
    });
    bench.host.run().unwrap();
    let frames = visitor.join().unwrap();
    // The deadlines are absolute, so what is late is made up for; a machine that sleeps for longer has to be told by the counter.
    let skipped = bench.handle.losses().of(LineLoss::ClockSkipped);
    let expected = if skipped == 0 { 85..=115 } else { 10..=115 };
    assert!(expected.contains(&frames), "{frames} frames in a second, {skipped} pauses");
    assert!(*closed.borrow());
}

async fn select_transition(handle: &LineHandle) -> Either<bool, ()> {
    match select(handle.transition(), Timer::after(Duration::from_millis(100))).await {
        Either::First(transition) => Either::First(transition.closed),
        Either::Second(()) => Either::Second(()),
    }
}

/// The handset's end for the conformance suite: another task reads and answers.
struct Tester {
    shared: Rc<RefCell<Shared>>,
}

struct Shared {
    handset: Handset,
    feed: Feed,
    speaks: i16,
    heard: i16,
}

impl conformance::Instrument for Tester {
    async fn set_loop(&mut self, closed: bool) {
        self.shared.borrow_mut().handset.say(&FromHandset::Loop(closed));
    }

    fn feed(&mut self) -> Feed {
        self.shared.borrow().feed
    }

    fn speak(&mut self, sample: i16) {
        self.shared.borrow_mut().speaks = sample;
    }

    fn heard(&mut self) -> i16 {
        self.shared.borrow().heard
    }
}

#[test]
fn the_socket_is_a_line_that_keeps_all_promises() {
    clock::use_virtual();
    let bench = bench("conformance", 0);
    let handset = Handset::connect(&bench.path);
    let shared = Rc::new(RefCell::new(Shared { handset, feed: Feed::Open, speaks: 0, heard: 0 }));
    let done = Rc::new(RefCell::new(false));
    let (finished, mut tester, handle) =
        (done.clone(), Tester { shared: shared.clone() }, bench.handle.clone());
    bench.host.spawn(async move {
        loop {
            Timer::after(Duration::from_millis(1)).await;
            let mut shared = shared.borrow_mut();
            for message in shared.handset.heard() {
                match message {
                    Some(FromLine::Feed(feed)) => shared.feed = feed,
                    Some(FromLine::Sound(frame)) => {
                        shared.heard = frame.samples()[40];
                        let said = shared.speaks;
                        shared.handset.sound(said);
                    }
                    _ => {}
                }
            }
        }
    });
    bench.host.spawn(async move {
        conformance::line(&handle, &mut tester).await;
        *finished.borrow_mut() = true;
    });
    bench.pass(60_000);
    assert!(*done.borrow(), "the suite ends within a minute");
}
