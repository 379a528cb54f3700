//! baresip as the other party: one codec, recorded speech, no sound card, nothing it need not do.
//!
//! What it hears is decoded into a buffer nobody empties: its player has no clock without a sound card.

use std::f64::consts::PI;
use std::fmt::Write as _;
use std::fs;

use dialtone_hal_testkit::handset::sound;
use dialtone_interop::Program;
use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephony::{FIRST, NUMBERS, Telephony};

use crate::echo::sound as speech;

/// The number it answers to.
pub const NUMBER: &str = NUMBERS[0];
const MODULES: &str = "/usr/lib/baresip/modules";

/// How it talks.
pub struct Manner {
    /// The codec in its words.
    pub codec: &'static str,
    /// Its module.
    pub module: &'static str,
    /// Samples per second of its file: what the codec takes.
    pub rate: u32,
    /// More lines of its configuration.
    pub more: &'static str,
    /// Answers by itself; otherwise it only rings.
    pub answers: bool,
}

/// Starts it.
pub fn start(telephony: &Telephony, manner: &Manner) -> Program {
    let Manner { codec, module, rate, more, answers } = manner;
    let (lab, namespace) = (&telephony.home.lab, &telephony.parties[0]);
    let address = telephony.home.address_of(namespace, "e0");
    let folder = lab.directory().join("party");
    fs::create_dir_all(&folder).expect("a folder for baresip");
    let place = folder.display();
    let mut config = format!(
        "poll_method epoll\nsip_listen {address}:5060\naudio_path {place}\naudio_player aubridge,ear\n\
         audio_source aufile,{place}/voice.wav\naudio_alert aubridge,bell\nausrc_srate {rate}\nauplay_srate {rate}\n\
         ausrc_channels 1\nauplay_channels 1\nrtp_ports 10000-11000\njitter_buffer_delay 1-5\nstatmode_default off\n\
         module_path {MODULES}\n{more}\n"
    );
    for module in [module, "aufile", "aubridge"] {
        let _ = writeln!(config, "module {module}.so");
    }
    config.push_str("module_tmp account.so\nmodule_app menu.so\n");
    sound::write_wav(&folder.join("voice.wav"), *rate, &voice(*rate, 1)).expect("baresip's voice");
    fs::write(folder.join("config"), config).expect("baresip's configuration");
    let answers = if *answers { "auto" } else { "manual" };
    let account = format!(
        "<sip:{NUMBER}@{DOMAIN}>;regint=0;outbound=\"sip:{FIRST};lr\";answermode={answers};audio_codecs={codec}\n"
    );
    fs::write(folder.join("accounts"), account).expect("baresip's account");
    fs::write(folder.join("contacts"), "").expect("baresip's contacts");
    let mut program = namespace.start("party", &format!("baresip -f {place} -4"));
    program.wait_for("baresip is ready", 10);
    program
}

/// A minute of recorded speech, or of syllables of noise without the recordings.
pub fn voice(rate: u32, talker: usize) -> Vec<i16> {
    let recorded = speech::speech(talker + 1, 60).into_iter().nth(talker);
    let narrow = recorded.unwrap_or_else(|| crate::voice::babble(talker as u64, 60 * speech::RATE));
    let times = (rate as usize / speech::RATE).max(1);
    if times == 1 {
        return narrow;
    }
    // A windowed sinc: no images above the telephone's band, which a wideband encoder would take for sound.
    const REACH: isize = 12;
    let part = |at: f64| {
        let sinc = if at.abs() < 1e-9 { 1.0 } else { (PI * at).sin() / (PI * at) };
        sinc * (0.5 + 0.5 * (PI * at / (REACH as f64 + 1.0)).cos())
    };
    let phases: Vec<Vec<f64>> = (0..times)
        .map(|phase| (-REACH..=REACH).map(|tap| part(phase as f64 / times as f64 - tap as f64)).collect())
        .collect();
    let sample = |index: usize| {
        let taps = phases[index % times].iter().zip(-REACH..);
        let known = |at: isize| narrow.get(usize::try_from(at).ok()?);
        let heard = taps.map(|(part, tap)| {
            part * known((index / times) as isize + tap).map_or(0.0, |sample| f64::from(*sample))
        });
        heard.sum::<f64>() as i16
    };
    (0..narrow.len() * times).map(sample).collect()
}
