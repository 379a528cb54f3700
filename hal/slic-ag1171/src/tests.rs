//! Every level of every pin in its order and at its time; then a module made of software with a telephone on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::vec::Vec;

use dialtone_base::text::Text;
use dialtone_hal_api::line::{LineHandle, LineInfo, LineLoss, PcmFrame, line};
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host;
use dialtone_hal_testkit::conformance;
use embassy_time::Timer;
use embedded_hal::digital::{ErrorKind, ErrorType, PinState};
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

use super::*;

type Log = Rc<RefCell<Vec<(u64, Pin, bool)>>>;

/// A mock that also notes when.
struct Timed {
    mock: Mock,
    pin: Pin,
    now: Rc<Cell<Instant>>,
    log: Log,
}

impl ErrorType for Timed {
    type Error = <Mock as ErrorType>::Error;
}

impl OutputPin for Timed {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.log.borrow_mut().push((self.now.get().as_millis(), self.pin, false));
        self.mock.set_low()
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.log.borrow_mut().push((self.now.get().as_millis(), self.pin, true));
        self.mock.set_high()
    }
}

impl InputPin for Timed {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        let high = self.mock.is_high()?;
        self.log.borrow_mut().push((self.now.get().as_millis(), self.pin, high));
        Ok(high)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.is_high().map(|high| !high)
    }
}

/// A module on mocked pins, whose expectations are given beforehand.
struct Bench {
    module: Ag1171<Timed, Timed, Timed, Timed>,
    mocks: [Mock; 4],
    now: Rc<Cell<Instant>>,
    log: Log,
    transitions: Vec<LoopTransition>,
}

const HIGH: bool = true;
const LOW: bool = false;

/// What the pins shall be written, and what SHK reads at each look.
fn bench(ring_mode: &[bool], forward: &[bool], power_down: &[bool], hook: &[(usize, bool)]) -> Bench {
    let level = |high: &bool| if *high { State::High } else { State::Low };
    let set = |levels: &[bool]| {
        Mock::new(&levels.iter().map(|high| Transaction::set(level(high))).collect::<Vec<_>>())
    };
    let looks =
        hook.iter().flat_map(|(count, high)| std::iter::repeat_n(Transaction::get(level(high)), *count));
    let mocks = [set(ring_mode), set(forward), Mock::new(&looks.collect::<Vec<_>>()), set(power_down)];
    let now = Rc::new(Cell::new(Instant::START));
    let log = Log::default();
    let pin = |at: usize, pin| Timed { mock: mocks[at].clone(), pin, now: now.clone(), log: log.clone() };
    let pins = Pins {
        ring_mode: pin(0, Pin::Rm),
        forward: pin(1, Pin::Fr),
        hook: pin(2, Pin::Shk),
        power_down: Some(pin(3, Pin::Pd)),
    };
    let module = Ag1171::new(now.get(), pins);
    Bench { module, mocks, now, log, transitions: Vec::new() }
}

impl Bench {
    /// Goes from deadline to deadline, up to but not including this moment.
    fn run_to(&mut self, millis: u64) {
        let end = Instant::from_millis(millis);
        loop {
            match self.module.poll(self.now.get()) {
                Output::Transition(transition) => {
                    self.transitions.push(transition);
                    self.module.reported(transition);
                }
                Output::Wait(deadline) if deadline < end => {
                    assert!(deadline > self.now.get(), "time goes on");
                    self.now.set(deadline);
                }
                Output::Wait(_) => break,
                other => panic!("{other:?}"),
            }
        }
        self.now.set(end);
    }

    fn feed(&mut self, feed: Feed) {
        self.module.set_feed(feed);
        self.run_to(self.now.get().as_millis());
    }

    /// Everything expected happened; when each pin was written.
    fn times(mut self, pin: Pin) -> Vec<(u64, bool)> {
        self.mocks.iter_mut().for_each(Mock::done);
        self.log
            .borrow()
            .iter()
            .filter(|(_, which, _)| *which == pin)
            .map(|(at, _, high)| (*at, *high))
            .collect()
    }

    fn looks(&self, from: u64, to: u64) -> usize {
        let log = self.log.borrow();
        log.iter().filter(|(at, pin, _)| *pin == Pin::Shk && (from..to).contains(at)).count()
    }
}

fn ring_bench(hook: &[(usize, bool)]) -> Bench {
    bench(&[LOW, HIGH, LOW], &[HIGH, LOW, HIGH, LOW, HIGH], &[HIGH], hook)
}

#[test]
fn ringing_raises_rm_toggles_fr_at_25_hertz_and_ends_with_fr_high_before_rm_low() {
    let mut bench = ring_bench(&[(50 + 45 + 30, LOW)]);
    bench.run_to(300);
    assert_eq!(
        (bench.looks(0, 200), bench.looks(200, 300)),
        (0, 50),
        "SHK means nothing while the converter charges"
    );
    bench.feed(Feed::Ringing(25));
    bench.run_to(390);
    bench.feed(Feed::Forward);
    bench.run_to(500);
    assert_eq!((bench.looks(390, 440), bench.looks(440, 500)), (0, 30), "nor while the bell settles");
    assert_eq!(bench.transitions, []);
    let log = bench.log.clone();
    assert_eq!(bench.times(Pin::Rm), [(0, LOW), (300, HIGH), (410, LOW)]);
    let fr: Vec<_> =
        log.borrow().iter().filter(|(_, pin, _)| *pin == Pin::Fr).map(|(at, _, high)| (*at, *high)).collect();
    assert_eq!(fr, [(0, HIGH), (320, LOW), (340, HIGH), (360, LOW), (380, HIGH)]);
}

#[test]
fn ring_trip_waits_ten_milliseconds_then_fr_goes_high_and_rm_follows_in_time() {
    // 50 looks before; ringing from 300 ms; the bell's current shows for 4 ms after each toggle; lifted at 366 ms.
    let hook = [(50 + 10, LOW), (2, HIGH), (8, LOW), (2, HIGH), (11, LOW), (6, HIGH), (30, HIGH)];
    let mut bench = ring_bench(&hook);
    bench.run_to(300);
    bench.feed(Feed::Ringing(25));
    bench.run_to(486);
    let lifted = LoopTransition { at: Instant::from_millis(366), closed: true };
    assert_eq!(bench.transitions, [lifted], "reported as of the first sign");
    assert_eq!(bench.module.feed(), Feed::Forward);
    let log = bench.log.clone();
    let rm = bench.times(Pin::Rm);
    let fr_high =
        log.borrow().iter().rev().find(|(_, pin, _)| *pin == Pin::Fr).map(|(at, _, high)| (*at, *high));
    assert_eq!(fr_high, Some((376, HIGH)));
    assert_eq!(rm, [(0, LOW), (300, HIGH), (396, LOW)], "more than 10, less than 500 ms later");
}

#[test]
fn reverse_is_fr_low_and_the_hook_is_not_believed_while_the_polarity_settles() {
    let mut bench = bench(&[LOW], &[HIGH, LOW], &[HIGH], &[(50, LOW), (40, LOW)]);
    bench.run_to(300);
    bench.feed(Feed::Reverse);
    bench.run_to(400);
    assert_eq!((bench.looks(300, 320), bench.looks(320, 400)), (0, 40));
    assert_eq!(bench.times(Pin::Fr), [(0, HIGH), (300, LOW)]);
}

#[test]
fn no_battery_is_pd_low_and_what_changed_is_known_after_power_up() {
    let mut bench = bench(&[LOW], &[HIGH], &[HIGH, LOW, HIGH], &[(50, LOW), (10, HIGH)]);
    bench.run_to(300);
    bench.feed(Feed::Open);
    bench.run_to(1100);
    bench.feed(Feed::Forward);
    bench.run_to(1320);
    assert_eq!(bench.looks(300, 1300), 0);
    assert_eq!(bench.transitions, [LoopTransition { at: Instant::from_millis(1300), closed: true }]);
    assert_eq!(bench.times(Pin::Pd), [(0, HIGH), (300, LOW), (1100, HIGH)], "released, pulled low, released");
}

#[test]
fn a_pulse_keeps_its_length_and_a_single_odd_look_is_no_transition() {
    // Off-hook, an odd look, a pulse of 60 ms.
    let hook = [(50, LOW), (50, HIGH), (1, LOW), (49, HIGH), (30, LOW), (20, HIGH)];
    let mut bench = bench(&[LOW], &[HIGH], &[HIGH], &hook);
    bench.run_to(600);
    let seen: Vec<_> = bench.transitions.iter().map(|seen| (seen.at.as_millis(), seen.closed)).collect();
    assert_eq!(seen, [(300, true), (500, false), (560, true)]);
    bench.times(Pin::Shk);
}

/// A module and a telephone made of software: what SHK says depends on all that the sheet warns of.
#[derive(Clone)]
struct Plant(Rc<RefCell<Wires>>);

struct Wires {
    now: Instant,
    pins: [bool; 4],
    toggles: [Instant; 2],
    started: Instant,
    lifted: bool,
    broken: Option<Pin>,
    ringing_time: Duration,
    rm_since: Instant,
}

struct PlantPin(Plant, Pin);

impl Plant {
    fn new(now: Instant) -> Self {
        Self(Rc::new(RefCell::new(Wires {
            now,
            pins: [false; 4],
            toggles: [now; 2],
            started: now,
            lifted: false,
            broken: None,
            ringing_time: Duration::ZERO,
            rm_since: now,
        })))
    }

    fn pins(&self) -> Pins<PlantPin, PlantPin, PlantPin, PlantPin> {
        let pin = |pin| PlantPin(self.clone(), pin);
        Pins {
            ring_mode: pin(Pin::Rm),
            forward: pin(Pin::Fr),
            hook: pin(Pin::Shk),
            power_down: Some(pin(Pin::Pd)),
        }
    }

    fn now(&self) -> Instant {
        match clock::is_virtual() {
            true => Instant::from_micros(embassy_time::Instant::now().as_micros()),
            false => self.0.borrow().now,
        }
    }

    fn feed(&self) -> Feed {
        let wires = self.0.borrow();
        let half = wires.toggles[1].since(wires.toggles[0]).as_micros().max(1);
        match wires.pins {
            [_, _, _, false] => Feed::Open,
            [true, ..] => Feed::Ringing((500_000 / half).min(255) as u8),
            [_, true, ..] => Feed::Forward,
            _ => Feed::Reverse,
        }
    }
}

impl ErrorType for PlantPin {
    type Error = ErrorKind;
}

impl OutputPin for PlantPin {
    fn set_state(&mut self, state: PinState) -> Result<(), ErrorKind> {
        let high = state == PinState::High;
        let now = self.0.now();
        let mut wires = self.0.0.borrow_mut();
        if wires.broken == Some(self.1) {
            return Err(ErrorKind::Other);
        }
        match self.1 {
            Pin::Rm if wires.pins[0] != high => {
                if !high {
                    let rang = now.since(wires.rm_since);
                    wires.ringing_time =
                        Duration::from_micros(wires.ringing_time.as_micros() + rang.as_micros());
                }
                wires.rm_since = now;
                wires.toggles = [now; 2];
            }
            Pin::Fr => wires.toggles = [wires.toggles[1], now],
            Pin::Pd if high => wires.started = now,
            _ => {}
        }
        wires.pins[self.1 as usize] = high;
        Ok(())
    }

    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.set_state(PinState::High)
    }
}

impl InputPin for PlantPin {
    fn is_high(&mut self) -> Result<bool, ErrorKind> {
        let now = self.0.now();
        let wires = self.0.0.borrow();
        if wires.broken == Some(Pin::Shk) {
            return Err(ErrorKind::Other);
        }
        let after = |event: Instant, millis| now.since(event) < Duration::from_millis(millis);
        Ok(match wires.pins {
            // Nothing drives it: the pull-up does.
            [_, _, _, false] => true,
            _ if after(wires.started, 50) => true,
            // The bell charges at each toggle; current takes a moment to turn round.
            [true, ..] if wires.lifted => !after(wires.toggles[1], 3),
            [true, ..] => after(wires.toggles[1], 6),
            _ if after(wires.rm_since, 20) => !wires.lifted,
            _ if after(wires.toggles[1], 8) => false,
            _ => wires.lifted,
        })
    }

    fn is_low(&mut self) -> Result<bool, ErrorKind> {
        self.is_high().map(|high| !high)
    }
}

/// Runs the module on the plant until then; how often ringing rested.
fn run(plant: &Plant, module: &mut Ag1171<PlantPin, PlantPin, PlantPin, PlantPin>, end: Instant) -> u32 {
    let mut rests = 0;
    loop {
        let now = plant.0.borrow().now;
        match module.poll(now) {
            Output::Wait(deadline) if deadline >= end => break,
            Output::Wait(deadline) => plant.0.borrow_mut().now = deadline,
            Output::RingRest => rests += 1,
            Output::Transition(transition) => panic!("{transition:?}"),
            Output::Fault(_) => {}
        }
    }
    plant.0.borrow_mut().now = end;
    rests
}

#[test]
fn ringing_never_takes_much_more_than_a_third_of_the_time() {
    let plant = Plant::new(Instant::START);
    let mut module = Ag1171::new(Instant::START, plant.pins());
    module.set_feed(Feed::Ringing(20));
    let rests = run(&plant, &mut module, Instant::from_secs(600));
    assert!(rests > 50, "{rests}");
    let share = plant.0.borrow().ringing_time.as_millis() as f64 / 600_000.0;
    assert!((0.30..0.38).contains(&share), "{share}");
}

#[test]
fn the_cadence_of_an_american_bell_rings_for_an_hour_without_a_rest() {
    let plant = Plant::new(Instant::START);
    let mut module = Ag1171::new(Instant::START, plant.pins());
    let mut rests = 0;
    for ring in 0..600 {
        module.set_feed(Feed::Ringing(20));
        rests += run(&plant, &mut module, Instant::from_secs(6 * ring + 2));
        module.set_feed(Feed::Forward);
        rests += run(&plant, &mut module, Instant::from_secs(6 * ring + 6));
    }
    assert_eq!(rests, 0);
}

#[test]
fn a_pin_that_fails_is_tried_again_until_it_is_as_it_should_be() {
    let plant = Plant::new(Instant::START);
    let mut module = Ag1171::new(Instant::START, plant.pins());
    module.set_feed(Feed::Ringing(20));
    run(&plant, &mut module, Instant::from_millis(1000));
    assert!(plant.0.borrow().pins[0]);
    plant.0.borrow_mut().broken = Some(Pin::Rm);
    module.set_feed(Feed::Forward);
    run(&plant, &mut module, Instant::from_millis(1500));
    assert!(plant.0.borrow().pins[0], "the pin does not follow");
    plant.0.borrow_mut().broken = Some(Pin::Shk);
    run(&plant, &mut module, Instant::from_millis(1700));
    assert_eq!(plant.feed(), Feed::Forward);
    assert_eq!(module.poll(Instant::from_millis(1900)), Output::Fault(Pin::Shk));
}

#[test]
fn a_late_look_at_the_clock_rings_slower_and_never_faster() {
    let plant = Plant::new(Instant::START);
    let mut module = Ag1171::new(Instant::START, plant.pins());
    module.set_feed(Feed::Ringing(25));
    run(&plant, &mut module, Instant::from_millis(205));
    let before = plant.0.borrow().pins[1];
    for millis in [290, 291, 292, 309] {
        plant.0.borrow_mut().now = Instant::from_millis(millis);
        module.poll(Instant::from_millis(millis));
        assert_eq!(plant.0.borrow().pins[1], !before, "one toggle, however late");
    }
    plant.0.borrow_mut().now = Instant::from_millis(310);
    module.poll(Instant::from_millis(310));
    assert_eq!(plant.0.borrow().pins[1], before);
}

/// A converter made of software, on the virtual clock.
struct Converter {
    shared: Rc<RefCell<Analogue>>,
    next: Instant,
}

#[derive(Default)]
struct Analogue {
    on: bool,
    speaks: i16,
    heard: i16,
    trouble: VecDeque<LineLoss>,
}

impl Codec for Converter {
    fn start(&mut self) -> Result<(), LineLoss> {
        self.shared.borrow_mut().on = true;
        self.next = wall() + Duration::from_millis(10);
        Ok(())
    }

    fn stop(&mut self) {
        self.shared.borrow_mut().on = false;
    }

    async fn capture(&mut self) -> Result<PcmFrame, LineLoss> {
        Timer::at(embassy_time::Instant::from_micros(self.next.as_micros())).await;
        self.next += Duration::from_millis(10);
        let mut analogue = self.shared.borrow_mut();
        match analogue.trouble.pop_front() {
            Some(loss) => Err(loss),
            None => Ok(PcmFrame::from_samples(&[analogue.speaks; 80])),
        }
    }

    fn play(&mut self, frame: &PcmFrame) -> Result<(), LineLoss> {
        self.shared.borrow_mut().heard = frame.samples()[40];
        Ok(())
    }
}

struct Tester {
    plant: Plant,
    analogue: Rc<RefCell<Analogue>>,
}

impl conformance::Instrument for Tester {
    async fn set_loop(&mut self, closed: bool) {
        self.plant.0.borrow_mut().lifted = closed;
    }

    fn feed(&mut self) -> Feed {
        self.plant.feed()
    }

    fn speak(&mut self, sample: i16) {
        self.analogue.borrow_mut().speaks = sample;
    }

    fn heard(&mut self) -> i16 {
        self.analogue.borrow().heard
    }
}

fn wall() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// A whole line in virtual time.
fn with_line<S: Future<Output = ()> + 'static>(script: impl FnOnce(LineHandle, Tester) -> S) {
    clock::use_virtual();
    let host = Host::new().unwrap();
    let (handle, driver) = line(LineInfo { name: Text::lossy("phone1"), sample_rate: 8000 });
    let plant = Plant::new(wall());
    let analogue = Rc::new(RefCell::new(Analogue::default()));
    let module = Ag1171::new(wall(), plant.pins());
    let codec = Converter { shared: analogue.clone(), next: wall() };
    host.spawn(async move {
        Runner::new(module, codec, driver).run().await;
    });
    let done = Rc::new(Cell::new(false));
    let finished = done.clone();
    let script = script(handle, Tester { plant, analogue });
    host.spawn(async move {
        Timer::after_millis(POWER_UP.as_millis() + 100).await;
        script.await;
        finished.set(true);
    });
    host.run_until(embassy_time::Instant::from_secs(60));
    assert!(done.get(), "the script ends within a minute");
}

#[test]
fn the_module_is_a_line_that_keeps_all_promises() {
    with_line(|handle, mut tester| async move { conformance::line(&handle, &mut tester).await });
}

#[test]
fn a_converter_in_trouble_is_counted_and_started_again() {
    with_line(|handle, tester| async move {
        handle.set_audio(true);
        Timer::after_millis(55).await;
        assert!(handle.captured().len() >= 4);
        tester.analogue.borrow_mut().trouble.extend([LineLoss::Overrun, LineLoss::Hardware]);
        Timer::after_millis(100).await;
        assert!(!tester.analogue.borrow().on, "stopped after the failure");
        while handle.captured().pop().is_some() {}
        Timer::after_millis(1000).await;
        assert!(tester.analogue.borrow().on && !handle.captured().is_empty(), "and started again");
        let losses = handle.losses();
        assert_eq!((losses.of(LineLoss::Overrun), losses.of(LineLoss::Hardware)), (1, 1));
        assert!(losses.of(LineLoss::PlaybackLate) > 0, "no app answered");
    });
}
