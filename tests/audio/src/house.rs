//! A house to listen in: the whole router in virtual time, a telephone on each line, somebody at the far end of the street.
//!
//! Sound goes in where a handset's microphone would be and is taken out where its earpiece would be (or from packets at the far end),
//! with the time of its first sample, so that a [`Passage`] says how a voice sounds and how late it is. Line 1 has 16 kHz, line 2 has 8 kHz; speech is
//! given and judged at 8 kHz. A converter is taken to deliver 10 ms when they are over and to play a frame from the moment it has
//! it: what buffers of a real one add is not in here.

use dialtone_base::{Duration, Instant, Random, Seed};
use dialtone_hal_testkit::handset::Handset;
use dialtone_netsim::Quality;
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::{Scenario, Setup};
use dialtone_settings::tree::Settings;
use embassy_time::Timer;

use crate::compare;
use crate::far_end::{FarEnd, Voice};

/// One way of the street.
pub const STREET: Duration = Duration::from_millis(5);
/// Time for the end of a clip to arrive.
const REST: Duration = Duration::from_millis(500);
/// Most samples of delay looked for.
const MOST_LAG: usize = 4_000;

/// A voice that went through.
pub struct Passage {
    /// At 8 kHz, from the moment the first word was said.
    pub heard: Vec<i16>,
    /// From mouth to ear, to the wire, or from the wire; in milliseconds. `None`: not heard.
    pub delay: Option<f64>,
}

/// The router, two telephones, the far end.
pub struct House {
    /// Everything else.
    pub scenario: Scenario,
    /// On line 1 and 2.
    pub phones: [Handset; 2],
    /// Beyond the street.
    pub far_end: FarEnd,
    random: Random,
}

impl House {
    /// With both numbers registered; 600 leads to the far end when `voice` says what it speaks, else to the operator's echo.
    pub fn new(settings: fn(&mut Settings), voice: Option<Voice>) -> Self {
        let operator = OperatorSettings::default();
        let far_end = FarEnd::new(voice.unwrap_or(Voice::Pcmu), operator.servers.clone());
        let (mut setup, _operator) = Setup::default().with_operator(operator);
        setup.settings = settings;
        setup.street = Quality::delay(STREET);
        if voice.is_some() {
            setup.between = Some(Box::new(far_end.between()));
        }
        let mut scenario = setup.start();
        println!("seed {}", scenario.seed());
        let phones = [scenario.telephone(0), scenario.telephone(1)];
        let router = scenario.home.router;
        scenario.expect("both numbers are registered", Duration::from_secs(30), |_| {
            critical_section::with(|token| {
                let numbers = router.numbers.borrow_ref(token);
                numbers.len() == 2 && numbers.iter().all(|number| number.up)
            })
        });
        let random = Random::new(Seed::from_number(scenario.seed() ^ 0x11_57e4));
        Self { scenario, phones, far_end, random }
    }

    /// Loses so many percent of the packets on the street, each for itself, both ways.
    pub fn lose(&mut self, percent: f64) {
        let quality = Quality { loss: (percent * 10_000.0) as u32, ..Quality::delay(STREET) };
        let wan = self.scenario.home.wan;
        self.scenario.world().set_quality(wan, quality);
    }

    /// So long that nothing in the house stays in step with anything.
    fn moment(&mut self) -> embassy_time::Duration {
        embassy_time::Duration::from_micros(self.random.below(20_000).into())
    }

    /// Lets a line call the far end, and waits until its voice comes.
    pub fn call_far_end(&mut self, line: usize) {
        let (phone, far_end, moment) = (self.phones[line].clone(), self.far_end.clone(), self.moment());
        far_end.set_phase(Duration::from_micros(self.random.below(20_000).into()));
        let before = far_end.call();
        self.scenario.script("a call to the far end", Duration::from_secs(30), async move {
            Timer::after(moment).await;
            phone.lift().await;
            assert!(phone.until_hears(&[350.0, 440.0], Duration::from_secs(2)).await, "dial tone");
            phone.dial("600#").await;
            while far_end.call() == before || far_end.arrived() < 100 {
                Timer::after_millis(20).await;
            }
        });
    }

    /// Lets one line call the other by these keys, and waits until both are connected.
    pub fn call_between(&mut self, from: usize, keys: &'static str) {
        let (caller, called) = (self.phones[from].clone(), self.phones[1 - from].clone());
        let (first, second) = (self.moment(), self.moment());
        self.scenario.script("a call to the other line", Duration::from_secs(40), async move {
            Timer::after(first).await;
            caller.lift().await;
            Timer::after_secs(1).await;
            caller.dial(keys).await;
            assert!(called.until_rings(Duration::from_secs(10)).await, "the other telephone rings");
            Timer::after_millis(2_500).await;
            Timer::after(second).await;
            called.lift().await;
            Timer::after_secs(2).await;
        });
    }

    /// Both receivers are put back.
    pub fn hang_up(&mut self) {
        let phones = self.phones.clone();
        self.scenario.script("an end", Duration::from_secs(20), async move {
            for phone in phones {
                phone.hang_up().await;
            }
            Timer::after_secs(3).await;
        });
    }

    /// One line speaks, the other listens: mouth to ear.
    pub fn line_to_line(&mut self, from: usize, speech: &[i16]) -> Passage {
        let (speaker, listener) = (self.phones[from].clone(), self.phones[1 - from].clone());
        let said = at_rate(speech, speaker.sample_rate);
        let time = duration(speech.len()) + REST;
        let (said_at, heard_at, heard) =
            self.scenario.script("a clip", time + Duration::from_secs(1), async move {
                let (heard_at, mark) = frame(&listener).await;
                let said_at = say(&speaker, &said).await;
                wait(time).await;
                (said_at, heard_at, listener.heard_since(mark))
            });
        let heard = narrow(heard, self.phones[1 - from].sample_rate);
        passage(speech, said_at, heard, heard_at)
    }

    /// A line speaks, the far end listens: mouth to wire, the time the street takes not counted. A packet's first sample is on the wire when the packet is:
    /// its 20 ms are in the delay.
    pub fn line_to_far_end(&mut self, from: usize, speech: &[i16]) -> Passage {
        let (speaker, far_end) = (self.phones[from].clone(), self.far_end.clone());
        let said = at_rate(speech, speaker.sample_rate);
        let time = duration(speech.len()) + REST;
        let limit = time + Duration::from_secs(1);
        let (said_at, mark) = self.scenario.script("a clip", limit, async move {
            let mark = far_end.arrived();
            let said_at = say(&speaker, &said).await;
            wait(time).await;
            (said_at, mark)
        });
        let (heard, heard_at) = self.far_end.recording(mark);
        passage(speech, said_at, heard, earlier(heard_at, STREET))
    }

    /// The far end speaks, a line listens: wire to ear, counted from the arrival of the packet with the sound.
    pub fn far_end_to_line(&mut self, to: usize, speech: &[i16]) -> Passage {
        let (listener, far_end) = (self.phones[to].clone(), self.far_end.clone());
        let said = speech.to_vec();
        let time = duration(speech.len()) + REST;
        let limit = time + Duration::from_secs(1);
        let (first, heard_at, heard) = self.scenario.script("a clip", limit, async move {
            let (heard_at, mark) = frame(&listener).await;
            let first = far_end.say(&said);
            wait(time).await;
            (first, heard_at, listener.heard_since(mark))
        });
        let said_at = self.far_end.sent_at(first).expect("it speaks") + STREET;
        let heard = narrow(heard, self.phones[to].sample_rate);
        passage(speech, said_at, heard, heard_at)
    }
}

/// Where what was heard from `heard_at` on and said at `said_at` are the same.
fn passage(said: &[i16], said_at: Instant, heard: Vec<i16>, heard_at: Instant) -> Passage {
    let micros = |at: Instant| at.as_micros() as i64;
    // Sound heard before the first word is left out, so that a lag cannot be negative.
    let early = ((micros(said_at) - micros(heard_at)).max(0) * 8 / 1000) as usize;
    let heard = heard.get(early..).unwrap_or_default().to_vec();
    let begins = micros(heard_at) as f64 / 1000.0 + early as f64 / 8.0;
    let lag = compare::lag(said, &heard, MOST_LAG);
    let delay = lag.map(|lag| begins + lag as f64 / 8.0 - micros(said_at) as f64 / 1000.0);
    Passage { heard, delay }
}

/// Waits for a frame: the time it came, and the number of its first sample among all heard.
pub async fn frame(phone: &Handset) -> (Instant, usize) {
    let before = phone.heard_so_far();
    while phone.heard_so_far() == before {
        Timer::after_micros(50).await;
    }
    (now(), before)
}

/// Says this; when its first sample sounds.
pub async fn say(phone: &Handset, speech: &[i16]) -> Instant {
    let (at, _) = frame(phone).await;
    phone.say(speech);
    // The handset's next frame.
    at + Duration::from_millis(10)
}

/// Virtual time.
pub fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// How long so many samples at 8 kHz last.
fn duration(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 125)
}

async fn wait(time: Duration) {
    Timer::after_micros(time.as_micros()).await;
}

fn earlier(at: Instant, by: Duration) -> Instant {
    Instant::from_micros(at.as_micros().saturating_sub(by.as_micros()))
}

/// Speech at 8 kHz for a telephone.
pub fn at_rate(speech: &[i16], rate: u32) -> Vec<i16> {
    if rate == 16_000 { compare::doubled(speech) } else { speech.to_vec() }
}

/// What a telephone heard, at 8 kHz.
pub fn narrow(heard: Vec<i16>, rate: u32) -> Vec<i16> {
    if rate == 16_000 { compare::halved(&heard) } else { heard }
}

/// Both accounts with these codecs, best first: `pcmu`, or `opus,pcmu`.
pub fn accounts(settings: &mut Settings, first: &str, second: &str) {
    let list = |names: &str| names.split(',').map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    let (first, second) = (list(first), list(second));
    let json = format!(
        r#"{{"telephony":{{"accounts":[
        {{"name":"Ann","domain":"operator.test","numbers":["5551"],"auth_password":"one","codecs":[{first}]}},
        {{"name":"Bob","domain":"operator.test","numbers":["5552"],"auth_password":"two","codecs":[{second}]}}],
        "lines":[{{"account":0,"incoming":["5551"]}},{{"account":1,"incoming":["5552"]}}]}}}}"#
    );
    let with = dialtone_settings::json::import(&json).expect("valid settings");
    settings.telephony = with.telephony.clone();
}
