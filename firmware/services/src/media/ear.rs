//! One line's voice: what its handset says, cleaned, and what it hears.
//!
//! The source heard is one of: nothing, a tone, the data of caller id; a call is heard when none of them is. Keys are
//! reported when they begin and hidden from then on, so that the far end hears each of them once.

use core::task::{Context, Poll};

use dialtone_base::telephony::{CallId, Key, LineId};
use dialtone_hal_api::line::{LineHandle, PcmFrame};
use dialtone_media::comfort_noise::{NoiseAnalysis, RoomNoise};
use dialtone_media::echo::EchoCanceller;
use dialtone_media::gain::Gain;
use dialtone_media::vad::VoiceActivity;
use dialtone_phone::Country;
use dialtone_phone::caller_id::{CallWaiting, Transmission};
use dialtone_phone::tone::{Tone, TonePlayer};
use dialtone_signal::{Rate, Resampler, dtmf};
use heapless::{Deque, Vec};

use super::{LineSetup, Voice};

/// Milliseconds of echo the canceller covers.
const TAIL: u32 = 128;
/// Frames from another line that may wait: both lines' clocks are nearly the same.
const FROM_LINE: usize = 4;
/// Keys heard in one frame at most.
const KEYS: usize = 4;

/// One line's voice.
pub(super) struct Ear {
    pub id: LineId,
    handle: LineHandle,
    rate: Rate,
    tones: TonePlayer,
    keys: dtmf::NearEnd,
    heard: Deque<Key, KEYS>,
    /// Keys whose tone may be in the sound already sent.
    sounded: Sounded,
    source: Source,
    pub with: Vec<Voice, 2>,
    echo: EchoCanceller,
    voice: VoiceActivity,
    room: NoiseAnalysis,
    /// What the handset played last: its echo is in what comes next.
    played: PcmFrame,
    transmit_gain: Gain,
    receive_gain: Gain,
    from_line: Deque<PcmFrame, FROM_LINE>,
    resampler: Resampler,
}

/// Puts what the others say into the frame, at the loudness of this line.
fn hear(said: &[i16], gain: &Gain, samples: &mut [i16]) {
    for (to, from) in samples.iter_mut().zip(said) {
        *to = *from;
    }
    gain.apply(samples);
}

/// Keys pressed as tones, the latest [`KEYS`]. Some are never asked for: those that dialled, and those that joined two calls.
#[derive(Default)]
struct Sounded(Deque<Key, KEYS>);

impl Sounded {
    fn push(&mut self, key: Key) {
        if self.0.is_full() {
            self.0.pop_front();
        }
        let _ = self.0.push_back(key);
    }

    fn take(&mut self, key: Key) -> bool {
        let Some(at) = self.0.iter().position(|one| *one == key) else { return false };
        for _ in 0..=at {
            self.0.pop_front();
        }
        true
    }
}

/// What the handset hears before any call.
#[allow(clippy::large_enum_variant)]
enum Source {
    Call,
    Tone,
    CallerId(Transmission),
    CallWaiting(CallWaiting),
}

impl Ear {
    pub fn new(id: LineId, handle: &LineHandle) -> Self {
        let rate = Rate::from_hertz(handle.info.sample_rate).unwrap_or_default();
        Self {
            id,
            handle: handle.clone(),
            rate,
            tones: TonePlayer::new(Country::fallback(), rate),
            keys: dtmf::NearEnd::new(rate),
            heard: Deque::new(),
            sounded: Sounded::default(),
            source: Source::Call,
            with: Vec::new(),
            echo: EchoCanceller::new(rate.hertz(), TAIL),
            voice: VoiceActivity::new(),
            room: NoiseAnalysis::new(),
            played: PcmFrame::silence(rate.frame()),
            transmit_gain: Gain::from_decibels(0),
            receive_gain: Gain::from_decibels(0),
            from_line: Deque::new(),
            resampler: Resampler::new(),
        }
    }

    /// Samples in a second.
    pub fn rate(&self) -> u32 {
        self.rate.hertz()
    }

    pub fn poll_captured(&self, context: &mut Context<'_>) -> Poll<PcmFrame> {
        self.handle.captured().poll_next(context)
    }

    pub fn set_up(&mut self, setup: LineSetup) {
        self.tones = TonePlayer::new(setup.country, self.rate);
        self.echo.set_enabled(setup.echo_canceller);
        self.transmit_gain = Gain::from_decibels(setup.transmit_gain);
        self.receive_gain = Gain::from_decibels(setup.receive_gain);
    }

    pub fn tone(&mut self, tone: Tone) {
        self.tones.play(tone);
        self.keys.set_tone_plays(true);
        self.source = Source::Tone;
    }

    pub fn quiet(&mut self) {
        self.tones.stop();
        self.keys.set_tone_plays(false);
        self.source = Source::Call;
    }

    pub fn caller_id(&mut self, transmission: Transmission) {
        self.source = Source::CallerId(transmission);
    }

    pub fn call_waiting(&mut self, waiting: CallWaiting) {
        self.source = Source::CallWaiting(waiting);
    }

    pub fn call_waiting_again(&mut self) {
        self.tones.play_once(Tone::CallWaiting);
    }

    pub fn connect(&mut self, with: Vec<Voice, 2>) {
        if with.is_empty() {
            // The next call may lead anywhere.
            self.echo.restart();
        }
        // Another line's old words are not for the next conversation.
        if !with.iter().any(|voice| matches!(voice, Voice::Line(_))) {
            self.from_line.clear();
            self.resampler = Resampler::new();
        }
        self.with = with;
    }

    pub fn joined(&self, call: CallId) -> bool {
        self.with.contains(&Voice::Call(call))
    }

    /// Takes what the handset said and cleans it: echo away, level right. Keys in it wait for [`Ear::next_key`].
    pub fn listen(&mut self, samples: &mut [i16]) {
        // Also when it is off: it listens for faxes and modems.
        self.echo.process(self.played.samples(), samples);
        let (heard, sounded, source) = (&mut self.heard, &mut self.sounded, &mut self.source);
        self.keys.listen(samples, self.played.samples(), |event| {
            let dtmf::Event::Begin { key, .. } = event else { return };
            // A telephone that shows callers during a call answers the alerting signal by a key: nobody's digit.
            if let Source::CallWaiting(waiting) = source
                && waiting.heard(key)
            {
                return;
            }
            // More keys than that in ten milliseconds nobody presses.
            let _ = heard.push_back(key);
            sounded.push(key);
        });
        self.transmit_gain.apply(samples);
    }

    /// Whether a fax or modem speaks, here or there.
    pub fn is_modem(&self) -> bool {
        self.echo.data_tone().is_some()
    }

    /// The room's sound when nobody speaks in this frame; `None` when somebody does.
    pub fn silence(&mut self, samples: &[i16]) -> Option<RoomNoise> {
        if self.voice.is_voice(samples) {
            return None;
        }
        self.room.hear(samples);
        Some(self.room.room())
    }

    /// A key that began, once.
    pub fn next_key(&mut self) -> Option<Key> {
        self.heard.pop_front()
    }

    /// Whether what was just heard must not go out as sound where keys travel otherwise.
    pub fn hides(&self) -> bool {
        self.keys.hides()
    }

    /// Whether what was just heard is a telephone's data and must not go out at all.
    pub fn is_data(&self) -> bool {
        matches!(&self.source, Source::CallWaiting(waiting) if waiting.cuts_voice())
    }

    /// Whether the key's tone went out with the sound already; each is asked for once, in their order.
    pub fn take_sounded(&mut self, key: Key) -> bool {
        self.sounded.take(key)
    }

    /// What the other line said.
    pub fn pull_from_line(&mut self, samples: &mut [i16]) {
        match self.from_line.pop_front() {
            Some(frame) => self.resampler.convert(frame.samples(), samples),
            None => samples.fill(0),
        }
    }

    /// The other line says this.
    pub fn push_from_line(&mut self, frame: &PcmFrame) {
        if self.from_line.is_full() {
            self.from_line.pop_front();
        }
        let _ = self.from_line.push_back(*frame);
    }

    /// Plays a frame to the handset: the source, else what those it is joined with say.
    pub fn play(&mut self, said: &[i16]) {
        let mut frame = PcmFrame::silence(self.rate.frame());
        let samples = frame.samples_mut();
        let over = match &mut self.source {
            Source::Call => {
                hear(said, &self.receive_gain, samples);
                // A call-waiting tone, or the end of a tone that fades.
                if self.tones.is_playing() {
                    self.tones.mix(samples);
                }
                false
            }
            Source::Tone => {
                self.tones.fill(samples);
                false
            }
            Source::CallerId(transmission) => !transmission.fill(samples),
            // It takes the voice away only while data go over the line.
            Source::CallWaiting(waiting) => {
                hear(said, &self.receive_gain, samples);
                !waiting.fill(samples)
            }
        };
        if over {
            self.source = Source::Call;
        }
        self.played = frame;
        self.handle.playback().push(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_dialled_do_not_make_the_keys_of_the_call_sound_twice() {
        let key = |digit| Key::from_char(digit).expect("a key");
        let mut sounded = Sounded::default();
        "600#".chars().for_each(|digit| sounded.push(key(digit)));
        for digit in "1155".chars() {
            sounded.push(key(digit));
            assert!(sounded.take(key(digit)), "{digit} is in the sound");
            assert!(!sounded.take(key(digit)), "{digit} was pressed once");
        }
    }
}
