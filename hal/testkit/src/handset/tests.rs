//! The scripted handset keeps to its script, and its faults are as bad as ordered.

use std::cell::Cell;

use dialtone_base::text::Text;
use dialtone_hal_api::line::{LineHandle, LineInfo, LineLoss, line};
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host;

use super::*;
use crate::conformance;

fn bench(faults: Faults, sample_rate: u32) -> (Host, LineHandle, Handset) {
    clock::use_virtual();
    let host = Host::new().unwrap();
    let (handle, driver) = line(LineInfo { name: Text::lossy("phone1"), sample_rate });
    let (phone, wire) = handset(driver, faults, Seed::from_number(1));
    host.spawn(wire.run());
    (host, handle, phone)
}

fn run(host: &Host, script: impl Future<Output = ()> + 'static) {
    let done = Rc::new(Cell::new(false));
    let finished = done.clone();
    host.spawn(async move {
        script.await;
        finished.set(true);
    });
    host.run_until(embassy_time::Instant::now() + embassy_time::Duration::from_secs(600));
    assert!(done.get(), "the script ends within ten minutes");
}

fn echo(host: &Host, handle: &LineHandle) {
    let handle = handle.clone();
    host.spawn(async move {
        loop {
            let frame = handle.captured().next().await;
            handle.playback().push(frame);
        }
    });
}

struct InMemory {
    phone: Handset,
    speaks: Rc<Cell<i16>>,
}

impl conformance::Instrument for InMemory {
    async fn set_loop(&mut self, closed: bool) {
        if closed {
            self.phone.lift().await
        } else {
            self.phone.hang_up().await
        }
        self.speak(self.speaks.get());
    }

    fn feed(&mut self) -> Feed {
        self.phone.feed().unwrap_or(Feed::Open)
    }

    fn speak(&mut self, sample: i16) {
        self.speaks.set(sample);
        self.phone.fall_silent();
        self.phone.say(&vec![sample; 5 * self.phone.sample_rate as usize]);
    }

    fn heard(&mut self) -> i16 {
        self.phone.heard_since(self.phone.heard_so_far().saturating_sub(40))[0]
    }
}

#[test]
fn a_scripted_handset_is_on_a_line_that_keeps_all_promises() {
    for sample_rate in [8000, 16000] {
        let (host, handle, phone) = bench(Faults::default(), sample_rate);
        run(&host, async move {
            let mut phone = InMemory { phone, speaks: Rc::new(Cell::new(0)) };
            conformance::line(&handle, &mut phone).await;
        });
    }
}

#[test]
fn hook_flash_and_pulses_happen_at_the_times_the_script_says() {
    let (host, handle, phone) = bench(Faults::default(), 8000);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    host.spawn(async move {
        loop {
            let transition = handle.transition().await;
            log.borrow_mut().push((transition.at.as_millis(), transition.closed));
        }
    });
    run(&host, async move {
        sleep(Duration::from_millis(100)).await;
        phone.lift().await;
        sleep(Duration::from_millis(400)).await;
        phone.flash(Duration::from_millis(120)).await;
        sleep(Duration::from_millis(380)).await;
        phone.dial_pulses("2", PulseTiming::default()).await;
        phone.hang_up().await;
    });
    let expected = [
        (100, true),
        (500, false),
        (620, true),
        (1000, false),
        (1060, true),
        (1100, false),
        (1160, true),
        (2000, false),
    ];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn keys_are_heard_at_the_other_end_and_the_echo_at_this_one() {
    let (host, handle, phone) = bench(Faults::default(), 16000);
    echo(&host, &handle);
    run(&host, async move {
        phone.lift().await;
        handle.set_audio(true);
        for key in Key::ALL {
            let (low, high) = sound::key_frequencies(key);
            let both = [low, high];
            let pressing = phone.press(key, Duration::from_millis(200), Duration::ZERO);
            let hearing = phone.until_hears(&both, Duration::from_secs(1));
            assert!(embassy_futures::join::join(pressing, hearing).await.1, "{key}");
        }
        phone.dial("12#").await;
        let heard = phone.listen(Duration::from_millis(50)).await;
        assert_eq!(heard.len(), 800);
        let losses = handle.losses();
        assert_eq!(losses.total(), 0, "{losses:?}");
    });
}

#[test]
fn the_bell_is_remembered_with_its_cadence() {
    let (host, handle, phone) = bench(Faults::default(), 8000);
    run(&host, async move {
        let caller = async {
            for (feed, millis) in [
                (Feed::Ringing(25), 1000),
                (Feed::Forward, 4000),
                (Feed::Ringing(25), 1000),
                (Feed::Forward, 0),
            ] {
                handle.set_feed(feed);
                sleep(Duration::from_millis(millis)).await;
            }
        };
        assert!(!phone.until_rings(Duration::from_secs(1)).await);
        let start = now();
        let callee = phone.until_rings(Duration::from_secs(1));
        assert!(embassy_futures::join::join(caller, callee).await.1);
        sleep(Duration::from_millis(10)).await;
        let rings: Vec<(u64, u64)> = phone
            .rings()
            .iter()
            .map(|(at, length)| (at.since(start).as_millis(), length.as_millis()))
            .collect();
        assert_eq!(rings, [(0, 1000), (5000, 1000)]);
    });
}

#[test]
fn faults_are_as_bad_as_ordered() {
    let (host, handle, phone) = bench(Faults { bounces: 3, noise: 50, skew: -200 }, 8000);
    echo(&host, &handle);
    run(&host, async move {
        phone.lift().await;
        let mut states = Vec::new();
        for _ in 0..7 {
            states.push(handle.transition().await.closed);
        }
        assert_eq!(states, [true, false, true, false, true, false, true], "contacts bounce");
        handle.set_audio(true);
        let start = now();
        let heard = phone.listen(Duration::from_secs(100)).await;
        let level = sound::total_level(&heard);
        assert!((-60.0..-45.0).contains(&level), "noise from both ways: {level} dBm0");
        let took = now().since(start).as_micros();
        assert!((99_970_000..=100_000_000).contains(&took), "200 ppm fast: {took}");
        phone.stop_driver(true);
        sleep(Duration::from_secs(1)).await;
        while handle.captured().pop().is_some() {}
        sleep(Duration::from_secs(10)).await;
        assert!(handle.captured().is_empty(), "a stopped driver delivers nothing");
        phone.stop_driver(false);
        phone.listen(Duration::from_secs(1)).await;
        assert_eq!(handle.losses().of(LineLoss::ClockSkipped), 1);
    });
}
