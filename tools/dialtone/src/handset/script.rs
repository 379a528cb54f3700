//! What can be typed to a telephone, one command a line.

use std::path::PathBuf;
use std::time::Duration;

use super::tones::Tone;

/// How long a flash opens the loop unless told otherwise: within what every country's line takes for one.
const FLASH_MILLIS: u64 = 250;

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Lift the receiver.
    Lift,
    /// Put it back.
    HangUp,
    /// Open the loop for a moment.
    Flash(Duration),
    /// Press keys: tones.
    Keys(String),
    /// Dial with pulses.
    Pulse(String),
    /// Wait for something, at most this long.
    Wait(Awaited, Duration),
    /// Let time pass.
    Sleep(Duration),
    /// Speak a file into the microphone.
    Play(PathBuf),
    /// Keep what is heard from now on.
    Record(PathBuf),
    /// Write what was kept.
    RecordEnd,
    /// Let the operator's voice speak into the microphone.
    Say(String),
    /// A tone into the microphone: hertz and how long.
    Tone(f64, Duration),
    /// The display must show this number.
    Expect(String),
    /// Say how things are.
    Status,
    /// List the commands.
    Help,
    /// The end.
    Quit,
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    /// The bell.
    Ring,
    /// The bell has been silent for six seconds.
    RingEnd,
    /// A caller on the display.
    Caller,
    /// A tone by its rhythm.
    Tone(Tone),
    /// These frequencies, and little else, for 300 ms.
    Frequencies(Vec<f64>),
    /// Louder than −45 dBm0 for 100 ms.
    Sound,
    /// Quieter than that for a second.
    Silence,
    /// No battery, or reversed: the line signals something.
    Feed(&'static str),
}

/// For `help`.
pub const HELP: &str = "\
  lift, hang up            the receiver
  flash [MS]               tap the hook: open the loop for a moment (250 ms)
  12345*#, dial 12345*#    press keys (tones); a comma waits a second
  pulse 12345              dial with pulses
  wait ring [SECONDS]      until the bell rings (30 s at most, as everywhere)
  wait no ring             until it has been silent for six seconds
  wait caller              until the display shows who calls
  wait tone dial           or ringback, busy, congestion; or frequencies: wait tone 350+440
  wait sound, wait silence
  wait feed reverse        or forward, open
  sleep SECONDS
  play FILE.wav            into the microphone (16-bit PCM, any rate)
  say one two three        the same with a computed voice that knows few words
  tone HZ [MS]             the same with a tone
  record FILE.wav          what is heard, until 'record end' or the end
  expect NUMBER            fail unless the display shows this number
  status, help, quit";

/// Reads a line; `None` for an empty one or a comment.
///
/// # Errors
/// In a sentence.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.split(" #").next().unwrap_or("").trim();
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else { return Ok(None) };
    if first.starts_with("//") || line.starts_with("# ") {
        return Ok(None);
    }
    let seconds = |word: &str| -> Result<Duration, String> {
        let number: f64 = word.parse().map_err(|_| format!("'{word}' is no number of seconds"))?;
        Duration::try_from_secs_f64(number).map_err(|_| format!("'{word}' is no time to wait"))
    };
    let millis = |word: Option<&&str>, otherwise: u64| -> Result<Duration, String> {
        let number = word.map_or(Ok(otherwise), |word| word.parse());
        number.map(Duration::from_millis).map_err(|_| "that is no number of milliseconds".into())
    };
    let file = || match rest {
        [] => Err(format!("'{first}' wants a file")),
        words => Ok(PathBuf::from(words.join(" "))),
    };
    let command = match *first {
        "lift" | "pick" => Command::Lift,
        "hang" | "hangup" => Command::HangUp,
        "flash" => Command::Flash(millis(rest.first(), FLASH_MILLIS)?),
        "pulse" => {
            let digits = rest.concat();
            if digits.is_empty() || !digits.bytes().all(|one| one.is_ascii_digit()) {
                return Err("'pulse' wants digits".into());
            }
            Command::Pulse(digits)
        }
        "wait" => return wait(rest, seconds).map(Some),
        "sleep" => Command::Sleep(seconds(rest.first().ok_or("'sleep' wants seconds")?)?),
        "play" => Command::Play(file()?),
        "record" if rest == ["end"] => Command::RecordEnd,
        "record" => Command::Record(file()?),
        "say" => Command::Say(rest.join(" ").to_lowercase()),
        "tone" => {
            let hertz = rest.first().and_then(|word| word.parse().ok()).ok_or("'tone' wants hertz")?;
            Command::Tone(hertz, millis(rest.get(1), 1000)?)
        }
        "expect" => Command::Expect(rest.join(" ")),
        "status" => Command::Status,
        "help" => Command::Help,
        "quit" | "exit" => Command::Quit,
        "dial" if !rest.is_empty() && are_keys(&rest.concat()) => Command::Keys(rest.concat()),
        "dial" => return Err("'dial' wants digits, * or #".into()),
        _ if are_keys(line) => Command::Keys(line.replace(' ', "")),
        _ => return Err(format!("'{line}' is no command; 'help' lists them")),
    };
    Ok(Some(command))
}

fn are_keys(text: &str) -> bool {
    text.chars().all(|one| one.is_ascii_digit() || "*#ABCDabcd, ".contains(one))
}

fn wait(words: &[&str], seconds: impl Fn(&str) -> Result<Duration, String>) -> Result<Command, String> {
    let (awaited, rest) = match words {
        ["ring", rest @ ..] => (Awaited::Ring, rest),
        ["no", "ring", rest @ ..] => (Awaited::RingEnd, rest),
        ["caller", rest @ ..] => (Awaited::Caller, rest),
        ["sound", rest @ ..] => (Awaited::Sound, rest),
        ["silence", rest @ ..] => (Awaited::Silence, rest),
        ["feed", feed, rest @ ..] => {
            let known = ["forward", "reverse", "open"].into_iter().find(|one| one == feed);
            (Awaited::Feed(known.ok_or("a feed is forward, reverse or open")?), rest)
        }
        ["tone", tone, rest @ ..] => match Tone::named(tone) {
            Some(tone) => (Awaited::Tone(tone), rest),
            None => {
                let frequencies: Result<Vec<f64>, _> = tone.split('+').map(str::parse).collect();
                let fault = format!("'{tone}' is no tone: dial, ringback, busy, congestion, or hertz");
                (Awaited::Frequencies(frequencies.map_err(|_| fault)?), rest)
            }
        },
        _ => return Err("wait for what? ring, no ring, caller, tone, sound, silence, feed".into()),
    };
    let limit = rest.first().map_or(Ok(Duration::from_secs(30)), |word| seconds(word))?;
    Ok(Command::Wait(awaited, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands_and_mistakes_are_named() {
        let ten = Duration::from_secs(10);
        for (line, command) in [
            ("lift", Some(Command::Lift)),
            ("hang up", Some(Command::HangUp)),
            ("  600", Some(Command::Keys("600".into()))),
            ("*21*030 12#", Some(Command::Keys("*21*03012#".into()))),
            ("#31#5551", Some(Command::Keys("#31#5551".into()))),
            ("dial **2", Some(Command::Keys("**2".into()))),
            ("pulse 12 3", Some(Command::Pulse("123".into()))),
            ("wait tone dial 10", Some(Command::Wait(Awaited::Tone(Tone::Dial), ten))),
            ("wait tone 350+440 10", Some(Command::Wait(Awaited::Frequencies(vec![350.0, 440.0]), ten))),
            ("sleep 10 # a while", Some(Command::Sleep(ten))),
            ("# words", None),
            ("", None),
        ] {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
        for line in
            ["dance", "pulse x", "sleep -1", "wait", "wait tone loud", "dial x", "dial", "play", "tone"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
