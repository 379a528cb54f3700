//! What strangers may feed call control: digit maps, dialled digits, numbers and names of callers, numbers to be sent to.

use alloc::boxed::Box;

use dialtone_base::Instant;
use dialtone_base::digit_map::DigitMap;
use dialtone_base::telephony::{CallId, DisplayName, Key, LineId, Number, Party, Presentation};

use super::config::{Account, Rule, RuleAction};
use super::dial_plan::{self, Destination};
use super::{Alert, Config, Exchange, Input, LineEvent, Output};
use crate::phone_book::Entry;

/// Bytes of any kind as a digit map, as keys, as a caller and as a number from the network.
pub fn fuzz(data: &[u8]) {
    let (first, rest) = data.split_at(data.len() / 2);
    let text = Number::from_wire(first);
    let other = Number::from_wire(rest);
    let mut config = Box::new(config(&text, &other));
    if let Ok(map) =
        core::str::from_utf8(first).map_err(|_| ()).and_then(|map| DigitMap::parse(map).map_err(|_| ()))
    {
        let _ = map.matches(&other);
        config.digit_map = map;
    }
    for number in [&text, &other, &dial_plan::clean(&text)] {
        let _ = dial_plan::collect(&config, number);
        let _ = dial_plan::is_same_number(&config.numbering, number, &other);
        let _ = config.book.by_number(number);
        for destination in
            [dial_plan::dialled(&config, LineId(0), number), dial_plan::stored(&config, LineId(0), number)]
        {
            if let Destination::Outside { to, .. } = destination {
                assert!(!to.is_empty() && !dial_plan::is_emergency(&config, &to));
            }
        }
    }
    calls(config, &text, &other, rest);
}

fn config(text: &str, other: &str) -> Config {
    let account = Account { enabled: true, ..Account::default() };
    let mut config =
        Config { accounts: [account.clone(), account].into_iter().collect(), ..Config::default() };
    let action =
        RuleAction::Route { account: Some(1), strip: text.len() as u8, prepend: Number::lossy(other) };
    // There is room for two rules and one entry.
    let _ = config.rules.push(Rule { prefix: Number::lossy(text.get(..1).unwrap_or_default()), action });
    let _ = config.rules.push(Rule { prefix: Number::lossy(other), action: RuleAction::Block });
    let number = Number::lossy(text);
    let _ =
        config.book.add(Entry { name: DisplayName::lossy(other), number, short_code: Some(7), ring: None });
    config
}

fn calls(config: Box<Config>, text: &Number, other: &Number, data: &[u8]) {
    let mut exchange = Exchange::new(config);
    let mut now = Instant::from_secs(1);
    let line = LineId(0);
    let tell = |exchange: &mut Exchange, now: Instant, input: Input| {
        let _ = exchange.handle(now, input);
        for _ in 0..100 {
            if let Output::Wait(_) = exchange.poll(now) {
                return;
            }
        }
        panic!("orders without end");
    };
    tell(&mut exchange, now, Input::Registration { account: 0, up: true });
    let from =
        Party { number: text.clone(), name: DisplayName::lossy(other), presentation: Presentation::Allowed };
    let (call, account, alert) = (CallId(2), 0, Alert::Pattern(data.first().copied().unwrap_or(0)));
    let called = other.clone();
    tell(
        &mut exchange,
        now,
        Input::Incoming { call, account, called, from: from.clone(), alert, replaces: None },
    );
    tell(&mut exchange, now, Input::Line { line, event: LineEvent::OffHook });
    tell(&mut exchange, now, Input::TransferRequested { call, to: text.clone() });
    tell(&mut exchange, now, Input::Identified { call, party: from });
    tell(&mut exchange, now, Input::Line { line, event: LineEvent::Flash });
    for byte in data.iter().take(64) {
        let event = Key::from_char(char::from(*byte)).or(Key::from_event(byte & 15)).map(LineEvent::Key);
        tell(&mut exchange, now, Input::Line { line, event: event.unwrap_or(LineEvent::Flash) });
        now += dialtone_base::Duration::from_millis(u64::from(*byte) * 20);
    }
    tell(&mut exchange, now, Input::Line { line, event: LineEvent::OnHook });
    now += dialtone_base::Duration::from_secs(3600);
    // What rings back or is being transferred ends by itself.
    for _ in 0..100 {
        match exchange.poll(now) {
            Output::Wait(Some(deadline)) => now = now.max(deadline),
            Output::Wait(None) => break,
            _ => {}
        }
    }
    assert_eq!(exchange.calls_in_progress(), 0);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use dialtone_base::random::{Random, Seed};

    use super::*;

    #[test]
    fn twenty_thousand_strange_numbers_do_no_harm() {
        let words =
            ["**701", "*72112#", "+49 (30) 1", "0049", "x.T|[2-9]xx", "*98**2", "\u{202e}112", "%00\r\n"];
        for seed in 0..20_000 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut data = Vec::new();
            for _ in 0..random.below(6) {
                match random.below(3) {
                    0 => data.push(random.next_u32() as u8),
                    1 => data.extend(
                        (0..random.below(30)).map(|_| b"0123456789*#+xT.|[-]"[random.below(20) as usize]),
                    ),
                    _ => data.extend(words[random.below(8) as usize].bytes()),
                }
            }
            let result = std::panic::catch_unwind(|| fuzz(&data));
            assert!(result.is_ok(), "seed {seed}: {data:?}");
        }
    }
}
