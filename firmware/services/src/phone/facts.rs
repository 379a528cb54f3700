//! The telephone's settings in the words of its engines.
//!
//! An account that is switched off keeps its position: numbers elsewhere count on it.

use dialtone_base::Duration;
use dialtone_base::digit_map::DigitMap;
use dialtone_base::telephony::Number;
use dialtone_media::codec::Codec;
use dialtone_phone::calls::config as calls;
use dialtone_phone::calls::output::RingPattern;
use dialtone_phone::phone_book::{self, PhoneBook};
use dialtone_phone::{Country, caller_id, hook};
use dialtone_settings::tree::telephony::{self, CallerId, DtmfMethod, Telephony, Transport};
use dialtone_sip as sip;

use crate::media::{LineSetup, SLOTS};

/// Milliseconds of sound in a packet.
const PACKET_TIME: u8 = 20;

/// What a session description of an account's call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub numbers: heapless::Vec<Number, { sip::NUMBERS }>,
    pub codecs: heapless::Vec<Codec, 4>,
    pub packet_time: u8,
    pub telephone_event: bool,
    pub comfort_noise: bool,
    pub keys_by_signalling: bool,
}

/// How a line is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub hook: hook::Timing,
    pub caller_id: Option<caller_id::Standard>,
    pub sound: LineSetup,
}

/// For the session descriptions.
pub(super) fn accounts(telephony: &Telephony) -> heapless::Vec<Account, { sip::ACCOUNTS }> {
    let codec = |codec: &telephony::Codec| match codec {
        telephony::Codec::Opus => Codec::Opus,
        telephony::Codec::G722 => Codec::G722,
        telephony::Codec::Pcma => Codec::Pcma,
        telephony::Codec::Pcmu => Codec::Pcmu,
    };
    let account = |account: &telephony::Account| Account {
        numbers: account.numbers.iter().cloned().collect(),
        codecs: account.codecs.iter().map(codec).collect(),
        packet_time: PACKET_TIME,
        telephone_event: account.dtmf_method != DtmfMethod::Inband,
        comfort_noise: account.silence_suppression,
        keys_by_signalling: account.dtmf_method == DtmfMethod::Info,
    };
    telephony.accounts.iter().map(account).collect()
}

/// For the user agent; no accounts before the settings are known.
pub(super) fn agent(telephony: Option<&Telephony>, instance: [u8; 16]) -> sip::Config {
    let port = crate::sip::VOICE_PORTS.0;
    let limits = sip::Limits {
        message: crate::sip::MESSAGE,
        connections: crate::sip::STREAMS,
        ..sip::Limits::default()
    };
    let mut config = sip::Config { instance, port, limits, ..sip::Config::default() };
    for account in telephony.iter().flat_map(|telephony| &telephony.accounts) {
        let transport = match account.transport {
            Transport::Auto => sip::TransportChoice::Auto,
            Transport::Udp => sip::TransportChoice::Udp,
            Transport::Tcp => sip::TransportChoice::Tcp,
        };
        let (host, port) = match account.outbound_proxy.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (account.outbound_proxy.as_str(), None),
        };
        let server = (!host.is_empty()).then(|| sip::Server { host: host.into(), port, transport });
        let numbers =
            if account.enabled { account.numbers.iter().cloned().collect() } else { Default::default() };
        // There are as many places as the settings have accounts.
        let _ = config.accounts.push(sip::Account {
            domain: account.domain.clone(),
            server,
            transport,
            numbers,
            auth_user: account.auth_user_name.clone(),
            password: sip::Password::new(account.auth_password.reveal()),
            display_name: account.display_name.clone(),
            expiry: Duration::from_secs(account.register_expires.into()),
            accept_strangers: account.accept_strangers,
            ..sip::Account::default()
        });
    }
    config
}

/// For the exchange: as many lines as the board has.
pub(super) fn exchange(telephony: Option<&Telephony>, lines: usize) -> calls::Config {
    let defaults = Telephony::default();
    let telephony = telephony.unwrap_or(&defaults);
    let country = country(telephony);
    let mut config = calls::Config {
        emergency: country.emergency.iter().map(|help| help.number).take(calls::EMERGENCY).collect(),
        numbering: calls::Numbering {
            country_code: country.dialling.country_code,
            international_prefix: country.dialling.international_prefix,
            national_prefix: country.dialling.trunk_prefix,
        },
        // An empty map, like one that cannot be read (the validator refuses it), leaves it to the pauses.
        digit_map: DigitMap::parse(&telephony.digit_map).unwrap_or_default(),
        outside_calls: SLOTS as u8,
        timing: calls::Timing {
            first_digit: Duration::from_secs(telephony.first_digit_seconds.into()),
            inter_digit: Duration::from_secs(telephony.inter_digit_seconds.into()),
            ..calls::Timing::default()
        },
        book: book(telephony),
        ..calls::Config::default()
    };
    config.accounts = telephony
        .accounts
        .iter()
        .map(|account| calls::Account {
            name: account.name.clone(),
            enabled: account.enabled,
            numbers: account.numbers.iter().cloned().collect(),
            format: if account.international_format {
                calls::NumberFormat::Plus
            } else {
                calls::NumberFormat::AsDialled
            },
            ..calls::Account::default()
        })
        .collect();
    let set = telephony.lines.iter().map(calls_line).chain(core::iter::repeat_with(calls::Line::default));
    config.lines = set.take(lines).collect();
    config.rules = telephony
        .rules
        .iter()
        .map(|rule| calls::Rule {
            prefix: rule.prefix.clone(),
            action: if rule.block {
                calls::RuleAction::Block
            } else {
                calls::RuleAction::Route {
                    account: rule.account,
                    strip: rule.strip,
                    prepend: rule.prepend.clone(),
                }
            },
        })
        .collect();
    config
}

fn calls_line(line: &telephony::Line) -> calls::Line {
    let some = |number: &Number| (!number.is_empty()).then(|| number.clone());
    calls::Line {
        name: line.name.clone(),
        enabled: line.enabled,
        account: line.account,
        number: some(&line.number),
        incoming: line.incoming.iter().cloned().collect(),
        call_waiting: line.call_waiting,
        do_not_disturb: line.do_not_disturb,
        forwarding: calls::Forwarding {
            always: some(&line.forward_always),
            busy: some(&line.forward_busy),
            no_answer: some(&line.forward_no_answer),
            no_answer_seconds: line.forward_no_answer_seconds,
        },
        withhold_number: line.withhold_number,
        reject_anonymous: line.reject_anonymous,
        transfer_on_hang_up: line.transfer_on_hang_up,
        blocked: line.blocked,
        ..calls::Line::default()
    }
}

fn book(telephony: &Telephony) -> PhoneBook {
    let mut book = PhoneBook::new();
    for entry in &telephony.phone_book {
        // There are as many places as in the settings.
        let _ = book.add(phone_book::Entry {
            name: entry.name.clone(),
            number: entry.number.clone(),
            short_code: entry.short_code,
            ring: (entry.ring > 0).then_some(RingPattern(entry.ring)),
        });
    }
    book
}

/// For the signalling and the sound of one line.
pub(super) fn line(telephony: &Telephony, index: usize) -> Line {
    use caller_id::{Delivery, Detail, DtmfFormat, Modulation, Standard};
    let country = country(telephony);
    let defaults = telephony::Line::default();
    let line = telephony.lines.get(index).unwrap_or(&defaults);
    let mut hook = country.hook;
    if let Some((least, most)) = line.flash_millis {
        hook.flash_least = Duration::from_millis(least.into());
        hook.flash_most = Duration::from_millis(most.into());
        // What is longer than a flash is a receiver laid down.
        let on_hook = hook.flash_most + Duration::from_millis(100);
        hook.on_hook = hook.on_hook.max(on_hook);
    }
    if !line.pulse_dialling {
        hook.pulse = None;
    }
    let standard =
        |modulation, delivery| Some(Standard { modulation, delivery, detail: Detail::NumberAndName });
    let caller_id = match line.caller_id {
        CallerId::Country => Some(country.caller_id),
        CallerId::Off => None,
        CallerId::Bellcore => standard(Modulation::Bell202, Delivery::AfterFirstRing),
        CallerId::Etsi => standard(Modulation::V23, Delivery::AfterFirstRing),
        CallerId::Dtmf => standard(Modulation::Dtmf(DtmfFormat::DC), Delivery::AfterReversal),
    };
    let sound = LineSetup {
        country,
        transmit_gain: line.transmit_gain,
        receive_gain: line.receive_gain,
        echo_canceller: line.echo_cancellation,
    };
    Line { hook, caller_id, sound }
}

fn country(telephony: &Telephony) -> &'static Country {
    Country::find(&telephony.country).unwrap_or_else(Country::fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_the_settings_has_its_data_and_the_other_way_round() {
        let mut known: alloc::vec::Vec<_> = Country::ALL.iter().map(|country| country.code).collect();
        known.sort_unstable();
        assert_eq!(known, dialtone_settings::validate::COUNTRIES);
    }

    #[test]
    fn every_country_has_room_for_its_emergency_numbers() {
        for country in Country::ALL {
            assert!((1..=calls::EMERGENCY).contains(&country.emergency.len()), "{}", country.code);
        }
    }
}
