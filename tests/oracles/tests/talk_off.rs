//! Talk-off: hours of speech, and not one key heard in it.

use dialtone_oracles::speech;
use dialtone_oracles::wav::Sound;
use dialtone_signal::dtmf::{Detector, Event};
use dialtone_signal::{Rate, level};

/// What a detector did over many sounds.
#[derive(Default)]
struct Tally {
    hours: f64,
    hits: Vec<String>,
    hidden_frames: u64,
    frames: u64,
}

impl Tally {
    /// Speech as loud as people speak into a telephone, and much louder; the detector's looks fall on other samples each time. With
    /// `DIALTONE_TALK_OFF=long` in the environment they fall on four times as many.
    fn hear(&mut self, name: &str, sound: &Sound, rate: Rate) {
        let sound = if sound.rate == rate.hertz() { sound.clone() } else { sound.resampled(rate.hertz()) };
        let heard = level::of(&sound.samples);
        let long = std::env::var_os("DIALTONE_TALK_OFF").is_some_and(|value| value == "long");
        let hearings: &[(f32, usize)] = if long {
            &[
                (-18.0, 5),
                (-18.0, 31),
                (-13.0, 9),
                (-13.0, 22),
                (-9.0, 13),
                (-9.0, 36),
                (-25.0, 18),
                (-5.0, 27),
            ]
        } else {
            &[(-18.0, 0), (-9.0, 19)]
        };
        for &(wanted, skipped) in hearings {
            let gain = 10_f32.powf((wanted - heard) / 20.0);
            let mut detector = Detector::new(rate);
            for (index, frame) in sound.samples.get(skipped..).unwrap_or(&[]).chunks(rate.frame()).enumerate()
            {
                let frame: Vec<i16> = frame.iter().map(|s| level::sample(f32::from(*s) * gain)).collect();
                detector.listen(&frame, |event| {
                    if let Event::Begin { key, .. } = event {
                        self.hits.push(format!("{name}: {key} at {} ms, {wanted} dBm0", index * 10));
                    }
                });
                self.hidden_frames += u64::from(detector.hides());
                self.frames += 1;
            }
            self.hours += sound.seconds() / 3600.0;
        }
    }

    fn report(&self, what: &str) {
        println!(
            "{what}: {:.2} hours, {} hits, {} of {} frames hidden",
            self.hours,
            self.hits.len(),
            self.hidden_frames,
            self.frames
        );
        assert!(self.hits.is_empty(), "keys in speech: {:#?}", self.hits);
    }
}

#[test]
fn no_key_is_heard_in_recorded_prompts() {
    for rate in [Rate::Narrow, Rate::Wide] {
        let mut tally = Tally::default();
        for path in speech::prompts() {
            let sound = Sound::read(&path).expect("a prompt is 16-bit mono PCM");
            tally.hear(&path.display().to_string(), &sound, rate);
        }
        tally.report(&format!("prompts, {} Hz", rate.hertz()));
    }
}

#[test]
fn no_key_is_heard_from_synthetic_talkers() {
    let mut tallies = [Tally::default(), Tally::default()];
    // To look at one talker alone: DIALTONE_TALKER=fr+f5.
    let only = std::env::var("DIALTONE_TALKER").unwrap_or_default();
    for (voice, pitch, speed) in speech::talkers().into_iter().filter(|(voice, ..)| voice.contains(&only)) {
        let sound = speech::spoken(speech::TEXT, &voice, pitch, speed);
        for (tally, rate) in tallies.iter_mut().zip([Rate::Narrow, Rate::Wide]) {
            tally.hear(&voice, &sound, rate);
        }
    }
    for tally in &tallies {
        tally.report("espeak-ng");
    }
}
