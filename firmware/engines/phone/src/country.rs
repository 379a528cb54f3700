//! What differs between countries, as data: tones, ringing, caller id, flash, emergency numbers.
//!
//! One file per country under `countries/`, with its sources. Compared with libtonezone by `tests/oracles`, whose README says where we
//! differ and why.

use core::fmt::Write;

use dialtone_base::telephony::Number;

use crate::caller_id;
use crate::calls::RingPattern;
use crate::countries;
use crate::hook;
use crate::tone::{Cadence, Tone};

/// A country's telephone network as a handset knows it.
#[derive(Clone, Copy, Debug)]
pub struct Country {
    /// ISO 3166-1, two capital letters.
    pub code: &'static str,
    /// In English.
    pub name: &'static str,
    /// Its tones.
    pub tones: Tones,
    /// Its ringing.
    pub ringing: Ringing,
    /// How callers are told.
    pub caller_id: caller_id::Standard,
    /// Flash and pulses.
    pub hook: hook::Timing,
    /// Numbers that reach help, always allowed.
    pub emergency: &'static [Emergency],
    /// How people dial.
    pub dialling: Dialling,
    /// Whether the battery is turned round when the called party answers (a line may override it).
    pub reversal_on_answer: bool,
    /// The companding law of its network.
    pub law: Law,
}

/// G.711's two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Europe and most of the world.
    A,
    /// North America, Japan, Taiwan.
    Mu,
}

/// A number that reaches help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// As dialled.
    pub number: &'static str,
    /// Whom it reaches, in English.
    pub service: &'static str,
}

/// How people dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialling {
    /// Country calling code, without `+`.
    pub country_code: &'static str,
    /// What is dialled before a country code.
    pub international_prefix: &'static str,
    /// What is dialled before an area code; empty where there is none.
    pub trunk_prefix: &'static str,
    /// Most digits of a national number without its trunk prefix.
    pub most_national_digits: u8,
}

impl Dialling {
    /// A number as people here would dial it, so that a telephone can show it and call back: `+` and our own country code become
    /// the trunk prefix, another's the international prefix. In North America ten digits are shown. Other numbers stay as they are.
    pub fn as_dialled(&self, number: &str) -> Number {
        let Some(international) = number.strip_prefix('+') else { return Number::lossy(number) };
        let mut out = Number::new();
        let (prefix, rest) = match international.strip_prefix(self.country_code) {
            Some(national) if self.country_code == "1" => ("", national),
            Some(national) => (self.trunk_prefix, national),
            None => (self.international_prefix, international),
        };
        // What does not fit is left out, and does not fail.
        let _ = out.write_str(prefix).and_then(|()| out.write_str(rest));
        out
    }
}

/// A country's tones.
#[derive(Clone, Copy, Debug)]
pub struct Tones {
    /// Dial now.
    pub dial: Cadence,
    /// Dial now; messages wait.
    pub stutter: Cadence,
    /// Dial now; a call is held.
    pub dial_recall: Cadence,
    /// It rings there.
    pub ringback: Cadence,
    /// They are in a call.
    pub busy: Cadence,
    /// No way through.
    pub congestion: Cadence,
    /// The receiver lies beside.
    pub howler: Cadence,
    /// Somebody else calls.
    pub call_waiting: Cadence,
    /// Done.
    pub confirmation: Cadence,
    /// Not to be reached.
    pub special_information: Cadence,
}

impl Tones {
    /// The cadence of a tone.
    pub const fn cadence(&self, tone: Tone) -> &Cadence {
        match tone {
            Tone::Dial => &self.dial,
            Tone::Stutter => &self.stutter,
            Tone::DialRecall => &self.dial_recall,
            Tone::Ringback => &self.ringback,
            Tone::Busy => &self.busy,
            Tone::Congestion => &self.congestion,
            Tone::Howler => &self.howler,
            Tone::CallWaiting => &self.call_waiting,
            Tone::Confirmation => &self.confirmation,
            Tone::SpecialInformation => &self.special_information,
        }
    }
}

/// A country's ringing.
#[derive(Clone, Copy, Debug)]
pub struct Ringing {
    /// Of the ringing voltage, in hertz.
    pub frequency: u8,
    /// Ring and pause by turns, in milliseconds.
    pub normal: &'static [u16],
    /// `Bellcore-dr1` to `dr8`.
    pub distinctive: [&'static [u16]; 8],
}

impl Ringing {
    /// Ring and pause by turns, in milliseconds. Beyond `dr8` it is the ordinary one.
    pub fn cadence(&self, pattern: RingPattern) -> &'static [u16] {
        let index = usize::from(pattern.0).wrapping_sub(1);
        self.distinctive.get(index).copied().unwrap_or(self.normal)
    }
}

impl Country {
    /// All there are.
    pub const ALL: &'static [&'static Self] = countries::ALL;

    /// The country of an ISO 3166-1 code of two letters, in either case.
    pub fn find(code: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|country| country.code.eq_ignore_ascii_case(code)).copied()
    }

    /// Where nobody said: the tones of the United States.
    pub fn fallback() -> &'static Self {
        &countries::US
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Sound;

    #[test]
    fn ten_countries_are_there_and_found_by_their_code() {
        for code in ["CN", "us", "Gb", "DE", "FR", "JP", "HK", "SG", "TW", "AU"] {
            assert!(Country::find(code).is_some_and(|country| country.code.eq_ignore_ascii_case(code)));
        }
        assert!(Country::find("XX").is_none());
    }

    #[test]
    fn help_is_called_by_the_numbers_of_the_numbering_plans() {
        for (code, first) in [
            ("CN", "110 119 120 122"),
            ("US", "911"),
            ("GB", "999 112"),
            ("DE", "112 110"),
            ("FR", "112 15 17 18 114 115 119 191 196"),
            ("JP", "110 119 118"),
            ("HK", "999"),
            ("SG", "999 995"),
            ("TW", "110 119"),
            ("AU", "000 112 106"),
        ] {
            let country = Country::find(code).expect("one of ours");
            for number in first.split(' ') {
                assert!(country.emergency.iter().any(|one| one.number == number), "{code} {number}");
            }
            for (index, one) in country.emergency.iter().enumerate() {
                assert!(one.number.len() >= 2 && one.number.bytes().all(|byte| byte.is_ascii_digit()));
                assert!(!country.emergency.iter().skip(index + 1).any(|other| other.number == one.number));
            }
        }
    }

    #[test]
    fn a_caller_is_shown_as_he_can_be_called_back() {
        for (code, number, shown) in [
            ("DE", "+493012345", "03012345"),
            ("DE", "+442071234567", "00442071234567"),
            ("DE", "110", "110"),
            ("US", "+12125551212", "2125551212"),
            ("US", "+493012345", "011493012345"),
            ("SG", "+6561234567", "61234567"),
            ("CN", "anna", "anna"),
        ] {
            let country = Country::find(code).expect("one of ours");
            assert_eq!(country.dialling.as_dialled(number).as_str(), shown, "{code} {number}");
        }
    }

    #[test]
    fn every_tone_sounds_within_what_a_line_can_carry() {
        for country in Country::ALL {
            for tone in Tone::ALL {
                let cadence = country.tones.cadence(tone);
                assert!((-300..=0).contains(&cadence.level), "{} {tone:?}", country.code);
                assert!(cadence.parts.iter().any(|part| part.sound != Sound::Silence));
                let repeating: u32 =
                    cadence.parts.iter().filter(|part| !part.once).map(|part| u32::from(part.millis)).sum();
                let endless = cadence.parts.last().is_some_and(|part| part.millis == 0);
                assert!(endless || repeating >= 100, "{} {tone:?} repeats without end", country.code);
            }
        }
    }

    #[test]
    fn flashes_are_shorter_than_hanging_up_and_a_ring_is_followed_by_a_pause() {
        for country in Country::ALL {
            let hook = country.hook;
            assert!(hook.flash_least < hook.flash_most && hook.flash_most < hook.on_hook);
            assert!(hook.bounce < hook.off_hook && (16..=50).contains(&country.ringing.frequency));
            for pattern in 0..=8 {
                assert!(country.ringing.cadence(RingPattern(pattern)).len() % 2 == 0);
            }
        }
    }
}
