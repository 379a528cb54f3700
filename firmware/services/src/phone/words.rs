//! The same things in the words of two engines that do not know each other.

use dialtone_base::event::Event as Told;
use dialtone_base::telephony::LineId;
use dialtone_phone::call_log::{Direction, Entry, Outcome};
use dialtone_phone::calls::{self, Alert, Cause, Progress, TransferProgress, Voice};
use dialtone_phone::tone::Tone;
use dialtone_sip as sip;

use crate::media;

pub(super) fn voice(voice: Voice) -> media::Voice {
    match voice {
        Voice::Call(call) => media::Voice::Call(call),
        Voice::Line(line) => media::Voice::Line(line),
    }
}

pub(super) fn tone(tone: calls::Tone) -> Tone {
    match tone {
        calls::Tone::Dial => Tone::Dial,
        calls::Tone::StutterDial => Tone::Stutter,
        calls::Tone::RecallDial => Tone::DialRecall,
        calls::Tone::Ringback => Tone::Ringback,
        calls::Tone::Busy => Tone::Busy,
        // No country has a tone of its own for a line without service.
        calls::Tone::Congestion | calls::Tone::NoService => Tone::Congestion,
        calls::Tone::SpecialInformation => Tone::SpecialInformation,
        calls::Tone::Confirmation => Tone::Confirmation,
        calls::Tone::Howler => Tone::Howler,
    }
}

/// `Bellcore-dr3`, `alert-internal;…`: a number at the end of the first word is a pattern.
pub(super) fn alert(text: &str) -> Alert {
    let word = text.split([';', ' ', '>']).next().unwrap_or_default();
    match word.trim_end_matches(|c: char| c.is_ascii_digit()) {
        name if name.len() < word.len() => match word.get(name.len()..).map(str::parse::<u8>) {
            Some(Ok(number @ 1..=7)) => Alert::Pattern(number),
            _ => Alert::Normal,
        },
        _ => Alert::Normal,
    }
}

pub(super) fn progress(progress: sip::Progress) -> Progress {
    match progress {
        sip::Progress::Trying => Progress::Trying,
        sip::Progress::Ringing => Progress::Ringing,
        sip::Progress::EarlyMedia { .. } => Progress::EarlyMedia,
    }
}

pub(super) fn transfer(progress: sip::TransferProgress) -> TransferProgress {
    match progress {
        sip::TransferProgress::Trying | sip::TransferProgress::Ringing => TransferProgress::Trying,
        sip::TransferProgress::Done => TransferProgress::Done,
        sip::TransferProgress::Failed(_) => TransferProgress::Failed,
    }
}

pub(super) fn cause(cause: sip::Cause, status: u16) -> Cause {
    match cause {
        sip::Cause::Normal | sip::Cause::Replaced => Cause::Normal,
        sip::Cause::Cancelled => Cause::Cancelled,
        sip::Cause::AnsweredElsewhere => Cause::AnsweredElsewhere,
        sip::Cause::Busy => Cause::Busy,
        sip::Cause::Declined => Cause::Declined,
        sip::Cause::Unavailable => Cause::NoAnswer,
        sip::Cause::NotFound if status == 484 => Cause::Incomplete,
        sip::Cause::NotFound | sip::Cause::Moved => Cause::NotFound,
        sip::Cause::NotAcceptable => Cause::NotAcceptable,
        sip::Cause::AnonymityDisallowed => Cause::AnonymityRefused,
        sip::Cause::NotAuthorised => Cause::Forbidden,
        sip::Cause::Unreachable | sip::Cause::PeerVanished => Cause::Timeout,
        sip::Cause::ServerFailure => Cause::Congestion,
    }
}

pub(super) fn rejection(cause: Cause) -> sip::Rejection {
    match cause {
        Cause::Busy | Cause::Congestion => sip::Rejection::Busy,
        Cause::Declined | Cause::Forbidden => sip::Rejection::Declined,
        Cause::NotFound | Cause::Incomplete => sip::Rejection::NotFound,
        Cause::NotAcceptable => sip::Rejection::NotAcceptable,
        Cause::AnonymityRefused => sip::Rejection::AnonymityDisallowed,
        Cause::Normal
        | Cause::Cancelled
        | Cause::AnsweredElsewhere
        | Cause::NoAnswer
        | Cause::Timeout
        | Cause::Failed => sip::Rejection::Unavailable,
    }
}

/// Why a call could not even begin.
pub(super) fn refused_dial(reason: sip::Rejected) -> Cause {
    match reason {
        sip::Rejected::NoNetwork => Cause::Timeout,
        sip::Rejected::UnknownCall | sip::Rejected::WrongState => Cause::Normal,
        sip::Rejected::UnknownAccount => Cause::Forbidden,
        _ => Cause::Congestion,
    }
}

pub(super) fn registration(state: sip::RegistrationState) -> &'static str {
    match state {
        sip::RegistrationState::Idle => "not registered",
        sip::RegistrationState::Trying => "registering",
        sip::RegistrationState::Up => "registered",
        sip::RegistrationState::Unreachable => "the operator does not answer; it is tried again",
        sip::RegistrationState::Refused(401 | 403 | 407) => {
            "the operator refuses it: check user name and password"
        }
        sip::RegistrationState::Refused(404) => "the operator does not know it: check the number",
        sip::RegistrationState::Refused(_) => "the operator refuses it",
    }
}

/// A line of the call log as an event.
pub(super) fn ended(entry: &Entry) -> Told {
    let reason = match (entry.outcome, entry.direction) {
        (Outcome::Answered, _) => "hung up",
        (Outcome::Missed, _) => "nobody answered",
        (Outcome::AnsweredElsewhere, _) => "answered elsewhere",
        (Outcome::Rejected, _) => "refused",
        (Outcome::Forwarded, _) => "forwarded",
        (Outcome::Busy, _) => "busy",
        (Outcome::NoAnswer, _) => "no answer",
        (Outcome::Failed, Direction::In) => "could not be taken",
        (Outcome::Failed, _) => "could not be made",
        (Outcome::Blocked, _) => "blocked by a rule",
    };
    Told::CallEnded {
        line: entry.line.unwrap_or(LineId(0)),
        number: entry.party.number.clone(),
        seconds: entry.seconds,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinctive_rings_are_known_by_their_number() {
        assert_eq!(alert("Bellcore-dr3"), Alert::Pattern(3));
        assert_eq!(alert("http://127.0.0.1/Bellcore-dr2"), Alert::Pattern(2));
        assert_eq!(alert("alert-internal;x=1"), Alert::Normal);
        assert_eq!(alert(""), Alert::Normal);
        assert_eq!(alert("ring99999999999"), Alert::Normal);
    }
}
