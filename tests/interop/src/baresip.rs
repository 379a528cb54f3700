//! baresip as the other party: a SIP telephone in a namespace of its own, with a tone as its voice and a file as its ear.
//!
//! It is steered over its control socket (JSON in netstrings) and tells what happens there. It says a sine of its own frequency. What it hears in G.711
//! is heard on its wire ([`crate::ear`]); in other codecs its `sndfile` module writes it as it is decoded, up to the first re-INVITE of a call: after that
//! [`Baresip::echo`] shows that sound flows.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialtone_hal_testkit::handset::sound;

use crate::ear::Ear;
use crate::{Lab, Namespace, Program, eventually};

/// What a party is told.
pub struct Manner {
    /// Its number, the user part of its address.
    pub number: &'static str,
    /// Its name as others see it.
    pub name: &'static str,
    /// The domain its number belongs to.
    pub domain: &'static str,
    /// Where it sends what it has to say, as a URI.
    pub proxy: String,
    /// Codecs in its words, best first: `PCMA/8000/1`.
    pub codecs: &'static str,
    /// What it says, in hertz.
    pub hertz: u32,
    /// Answers by itself.
    pub answers: bool,
}

/// A party that runs.
pub struct Baresip {
    /// Its frequency.
    pub hertz: f64,
    /// Its number.
    pub number: &'static str,
    /// The program.
    pub program: Program,
    /// What arrives at it.
    pub ear: Ear,
    compressed: bool,
    folder: PathBuf,
    control: TcpStream,
    said: Arc<Mutex<String>>,
}

impl Baresip {
    /// Starts one in `namespace`, at `address`.
    pub fn start(lab: &Lab, namespace: &Namespace, address: &str, manner: &Manner) -> Self {
        let Manner { number, name, domain, proxy, codecs, hertz, answers } = manner;
        let folder = lab.directory().join(format!("baresip-{number}"));
        fs::create_dir_all(&folder).expect("a folder for baresip");
        let place = folder.display();
        let compressed = codecs.starts_with("opus") || codecs.starts_with("G722");
        // The codec's own rate, because baresip's converter takes away most of what it should let through.
        let rate = if compressed { 16_000 } else { 8000 };
        let mut config = format!(
            "poll_method epoll\nsip_listen {address}:5060\ncall_local_timeout 120\ncall_max_calls 4\naudio_path {place}\n\
             audio_player aubridge,ear\naudio_source aufile,{place}/voice.wav\naudio_alert aubridge,bell\n\
             ausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels 1\nauplay_channels 1\nrtp_tos 184\nrtp_ports 10000-11000\n\
             jitter_buffer_delay 1-5\nsnd_path {place}\nstatmode_default off\nctrl_tcp_listen 127.0.0.1:4444\nmodule_path {MODULES}\n"
        );
        for module in ["g711", "g722", "opus", "aufile", "aubridge", "sndfile"] {
            let _ = writeln!(config, "module {module}.so");
        }
        config.push_str("module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n");
        let voice = sound::tones(
            &[(f64::from(*hertz), LEVEL)],
            rate,
            dialtone_base::Duration::from_secs(VOICE_SECONDS),
        );
        sound::write_wav(&folder.join("voice.wav"), rate, &voice).expect("baresip's voice");
        fs::write(folder.join("config"), config).expect("baresip's configuration");
        let answers = if *answers { "auto" } else { "manual" };
        let account = format!(
            "\"{name}\" <sip:{number}@{domain}>;regint=0;outbound=\"{proxy}\";answermode={answers};audio_codecs={codecs}\n"
        );
        fs::write(folder.join("accounts"), account).expect("baresip's account");
        fs::write(folder.join("contacts"), "").expect("baresip's contacts");
        let line = format!("nice -n -5 baresip -f {place} -4");
        let mut program = namespace.start(&format!("baresip-{number}"), &line);
        program.wait_for("baresip is ready", 10);
        let ear = Ear::open(namespace);
        let control =
            namespace.enter(|| TcpStream::connect("127.0.0.1:4444")).expect("baresip's control socket");
        let mut reader = control.try_clone().expect("a descriptor");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Self { hertz: f64::from(*hertz), number, program, ear, compressed, folder, control, said }
    }

    /// One of its commands, such as `dial`, `hangup`, `accept`, `hold`.
    pub fn command(&self, command: &str, parameters: &str) {
        let text = format!(r#"{{"command":"{command}","params":"{parameters}","token":"t"}}"#);
        (&self.control).write_all(format!("{}:{text},", text.len()).as_bytes()).expect("baresip listens");
    }

    /// Everything it told: events and answers to commands.
    pub fn told(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it told of an event: `CALL_ESTABLISHED`, `CALL_CLOSED`, `CALL_INCOMING`, `CALL_DTMF_START` …
    pub fn count(&self, event: &str) -> usize {
        self.told().matches(&format!("\"{event}\"")).count()
    }

    /// Waits until it told of an event so often.
    pub fn must_tell(&self, event: &str, count: usize, seconds: u64) {
        let told = eventually(seconds, || self.count(event) >= count);
        assert!(told, "{} told of no {event} (number {count}):\n{}", self.number, self.told());
    }

    /// The keys it heard as events, in order.
    pub fn keys(&self) -> String {
        let told = self.told();
        let events = told.split("\"CALL_DTMF_START\"").skip(1);
        events.filter_map(|rest| rest.split("\"param\":\"").nth(1)?.chars().next()).collect()
    }

    /// From now on it says what it hears, whatever the codec.
    pub fn echo(&self) {
        self.command("ausrc", "aubridge,ear");
    }

    /// The last stretch of what it hears, and its rate.
    pub fn heard(&self, time: Duration) -> (u32, Vec<i16>) {
        if self.compressed { self.written(time) } else { (8000, self.ear.last(time)) }
    }

    /// The same from the newest file.
    fn written(&self, time: Duration) -> (u32, Vec<i16>) {
        let bytes = self.newest_file().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        let Some((header, body)) = bytes.split_at_checked(44) else { return (8000, Vec::new()) };
        let channels = usize::from(u16::from_le_bytes([header[22], header[23]])).max(1);
        let rate = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
        let samples: Vec<i16> =
            body.chunks_exact(2 * channels).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect();
        let wanted = (f64::from(rate) * time.as_secs_f64()) as usize;
        (rate, samples[samples.len().saturating_sub(wanted)..].to_vec())
    }

    /// Whether it hears these frequencies and little else.
    pub fn hears(&self, frequencies: &[f64]) -> bool {
        let (rate, heard) = self.heard(Duration::from_millis(150));
        !heard.is_empty() && sound::is_tone(&heard, rate, frequencies)
    }

    /// Waits until nothing arrives any more, or only silence. G.711 only.
    pub fn must_hear_nothing(&self, seconds: u64, when: &str) {
        let quiet =
            eventually(seconds, || sound::total_level(&self.ear.last(Duration::from_millis(100))) < -45.0);
        assert!(quiet, "{} still hears something {when}", self.number);
    }

    fn newest_file(&self) -> Option<PathBuf> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|file| file.to_string_lossy().ends_with("-dec.wav")).max()
    }

    /// Waits until [`Baresip::hears`] these; panics with the levels heard instead.
    pub fn must_hear(&self, frequencies: &[f64], seconds: u64, what: &str) {
        if eventually(seconds, || self.hears(frequencies)) {
            return;
        }
        let (rate, heard) = self.heard(Duration::from_millis(500));
        let levels: Vec<_> =
            frequencies.iter().map(|hertz| (*hertz, sound::level(&heard, rate, *hertz))).collect();
        panic!(
            "{} does not hear {what}: {levels:?} of {:.1} dBm0 in {} samples at {rate} Hz",
            self.number,
            sound::total_level(&heard),
            heard.len()
        );
    }
}

/// How loud it speaks, in dBm0.
const LEVEL: f64 = -12.0;
/// What it has to say ends after so long.
const VOICE_SECONDS: u64 = 180;
const MODULES: &str = "/usr/lib/baresip/modules";
