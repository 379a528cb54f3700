//! The fuzz body: arbitrary bytes at the parser, the framer, the transactions and the whole user agent.
//!
//! Nothing may panic, every drain must end, no output is longer than its buffer, and reading costs no more than its input allows.

use core::net::{SocketAddr, SocketAddrV4};

use dialtone_base::random::{Random, Seed};
use dialtone_base::telephony::{CallId, Number};
use dialtone_base::{Duration, Instant};

use crate::agent::UserAgent;
use crate::config::{Account, Config, Limits, Server};
use crate::digest::{DigestClient, Identity};
use crate::framing::{Frame, Framer};
use crate::interface::{Body, ConnectionId, Event, Input, Order, Output};
use crate::message::{Contact, Message, Method, Name, NameAddr, Received, Via, lex};
use crate::message_summary::MessageSummary;
use crate::transaction::{self, Capacity, Delivery, Transactions};
use crate::transport::Flow;
use crate::uri::Uri;
use crate::write::Writer;

/// Feeds `data` to everything that reads what strangers write. Panics only when a promise is broken.
pub fn fuzz(data: &[u8]) {
    if let Received::Message(message) | Received::Reject(message, _) = Message::parse(data) {
        read_everything(&message);
    }
    if let Ok(text) = core::str::from_utf8(data) {
        read_uri(text);
    }
    let _ = MessageSummary::parse(data);
    frame(data);
    transact(data);
    serve(data);
}

/// Two user agents whose messages to each other are mutilated as `data` says, in calls and out of them.
pub fn fuzz_calls(data: &[u8]) {
    crate::agent::fuzz::fuzz(data);
}

/// Changes a few bytes the way mischief and bad lines do.
pub fn mutate(bytes: &mut alloc::vec::Vec<u8>, random: &mut Random) {
    const TOKENS: [&[u8]; 16] = [
        b"\r\n",
        b"\r\n ",
        b"\"",
        b"<",
        b">",
        b";",
        b",",
        b"%",
        b"@",
        b":",
        b"\0",
        b"\xff",
        b"z9hG4bK",
        b"SIP/2.0",
        b"99999999999",
        b"\r\n\r\n",
    ];
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let at = random.below(length.saturating_add(1)) as usize;
    let far = at.saturating_add(random.below(40) as usize).min(bytes.len());
    match random.below(5) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next_u32() as u8;
            }
        }
        1 => bytes.truncate(at.max(1)),
        2 => {
            let token = TOKENS.get(random.below(16) as usize).copied().unwrap_or_default();
            bytes.splice(at..at, token.iter().copied());
        }
        3 => {
            bytes.splice(at..far, []);
        }
        _ => {
            let copy = bytes.get(at..far).unwrap_or_default().to_vec();
            bytes.splice(at..at, copy);
        }
    }
}

fn read_everything(message: &Message<'_>) {
    let length = message.as_bytes().len();
    for name in [
        Name::Via,
        Name::Contact,
        Name::Route,
        Name::Supported,
        Name::PAssertedIdentity,
        Name::Reason,
        Name::Other,
    ] {
        let total: usize = message.values(name).map(<[u8]>::len).sum();
        assert!(total <= length, "values come from the message");
        for value in message.values(name) {
            let _ = (Via::parse(value), Contact::parse(value));
            if let Some(address) = NameAddr::parse(value) {
                let _ = (address.display(), address.tag());
                read_uri(address.uri.as_str());
            }
        }
    }
    let _ = (message.top_via(), message.from(), message.to(), message.call_id(), message.cseq());
    let _ = (message.rack(), message.session_expires(), message.retry_after(), message.event());
    let _ = (message.subscription_state(), message.content_type(), message.refer_to(), message.referred_by());
    let _ = (message.replaces(), message.privacy(), message.reasons().count(), message.dialog_id());
    let _ = message.alert_info().map(|(_, parameters)| parameters.iter().count());
    let mut out = [0; 2048];
    if let Ok(mut client) = DigestClient::choose(message) {
        let mut writer = Writer::request(&mut out, Method::Register, "sip:a");
        let identity = Identity { user: "u", password: "p" };
        client.authorize(
            &mut writer,
            &mut Random::new(Seed::from_number(1)),
            identity,
            "REGISTER",
            "sip:a",
            b"",
        );
        if let Ok(length) = writer.finish() {
            let written = out.get(..length).unwrap_or_default();
            let lines = written.windows(2).filter(|pair| *pair == b"\r\n").count();
            assert_eq!(lines, 4, "a challenge adds one line");
        }
    }
}

fn read_uri(text: &str) {
    let Some(uri) = Uri::parse(text) else { return };
    assert!(uri.is_equivalent(&uri), "{text} is itself");
    let _ = (uri.number(), uri.user_text::<32>(), uri.headers().count());
    assert!(text.bytes().all(|byte| !lex::is_space(byte)), "a URI has no white space");
}

fn frame(data: &[u8]) {
    let mut framer = Framer::new(512);
    let mut steps = 0;
    for mut piece in data.chunks(data.first().map_or(1, |first| usize::from(*first) + 1)) {
        loop {
            let taken = framer.push(piece);
            piece = piece.get(taken..).unwrap_or_default();
            let stop = loop {
                steps += 1;
                assert!(steps <= 2 * data.len() + 64, "every step takes something or waits");
                match framer.next_frame() {
                    Frame::Message(message) => assert!(message.len() <= 512),
                    Frame::Ping | Frame::Pong => {}
                    Frame::Incomplete => break piece.is_empty(),
                    Frame::Broken(..) => return,
                }
            };
            if stop {
                break;
            }
        }
    }
}

/// Pieces of `data` come as messages, time passes, and what is asked is sometimes answered, sometimes cancelled, sometimes forgotten.
fn transact(data: &[u8]) {
    let mut table =
        Transactions::new(Capacity { transactions: 6, reserved: 2, message: 1024 }, Seed::from_number(3));
    let mut out = [0; 1024];
    let mut now = Instant::START;
    let remote = SocketAddr::from(([192, 0, 2, 1], 5060));
    let flows = [Flow::Udp { remote }, Flow::Stream { connection: ConnectionId(1), remote }];
    for (piece, byte) in pieces(data).zip(data.iter().cycle()) {
        let flow = flows.get(usize::from(*byte) & 1).copied().unwrap_or(Flow::Udp { remote });
        if *byte & 2 != 0 {
            // Half of them we ask ourselves, as far as they can be asked.
            if let Ok(id) = table.send(now, flow, piece)
                && *byte & 4 != 0
            {
                let _ = table.cancel(now, id);
            }
        }
        if let Ok(Delivery::Request { transaction, message }) =
            table.receive(now, flow, Message::parse(piece))
        {
            let status = crate::message::Status::new(100 + u16::from(*byte) * 2);
            let mut answer = [0; 1024];
            if let Some(status) = status
                && let Ok(length) =
                    Writer::response(&mut answer, &message, remote, status, "", Some("t")).finish()
            {
                let _ = table.respond(now, transaction, answer.get(..length).unwrap_or_default());
            }
        }
        if *byte & 128 != 0 {
            table.flow_failed(&flow);
        }
        let mut rounds = 0;
        loop {
            match table.poll(now, &mut out) {
                transaction::Output::Wait(next) => {
                    assert!(next.is_none_or(|next| next > now), "a deadline lies in the future");
                    break;
                }
                transaction::Output::Transmit { length, .. } => assert!(length <= out.len()),
                transaction::Output::Ended { .. } => {}
            }
            rounds += 1;
            assert!(rounds < 64, "the drain ends");
        }
        assert!(table.in_use() <= 6);
        now += Duration::from_millis(u64::from(*byte) * 37);
    }
}

/// Pieces of `data` come to a user agent that knows strangers, over UDP or a connection; somebody at home answers, dials and hangs up.
fn serve(data: &[u8]) {
    let mut agent = UserAgent::new(household(), Seed::from_number(5));
    let mut out = [0; 2048];
    let mut now = Instant::START;
    let from = SocketAddrV4::new([192, 0, 2, 1].into(), 5060);
    let connection = ConnectionId(ConnectionId::ACCEPTED);
    let _ = agent.handle(now, Input::Network { local: Some([198, 51, 100, 1].into()) });
    let _ = agent.handle(now, Input::Accepted { connection, from });
    let mut ours = 1;
    for (piece, byte) in pieces(data).zip(data.iter().cycle()) {
        let input = match *byte & 3 {
            0 => Input::Stream { connection, bytes: piece },
            _ => Input::Datagram { from, bytes: piece },
        };
        let _ = agent.handle(now, input);
        let mut rounds = 0;
        loop {
            let call = match agent.poll(now, &mut out) {
                Output::Wait(_) => break,
                Output::Transmit { length, .. } => {
                    assert!(length <= out.len());
                    None
                }
                Output::Event(Event::Incoming { call, .. }) => Some((call, Order::Alert { body: None })),
                Output::Event(Event::TransferAsked { call, .. }) => Some((call, Order::AcceptTransfer)),
                _ => None,
            };
            if let Some((call, order)) = call {
                let _ = agent.handle(now, Input::Order { call, order });
                let body = Some(Body::sdp(b"v=0"));
                let order = if *byte & 4 == 0 { Order::Answer { body } } else { Order::HangUp };
                let _ = agent.handle(now, Input::Order { call, order });
            }
            rounds += 1;
            assert!(rounds < 256, "the drain ends");
        }
        if *byte & 8 != 0 {
            // What a stranger wrote is dialled back.
            let to = Number::from_wire(piece.get(..40).unwrap_or(piece));
            let offer = Some(Body::sdp(b"v=0"));
            let order = Order::Dial {
                account: 0,
                number: 0,
                to: &to,
                withhold: *byte & 16 != 0,
                offer,
                referred_by: None,
            };
            let _ = agent.handle(now, Input::Order { call: CallId(ours), order });
            ours += 2;
        }
        assert!(
            agent.calls() <= 2 && agent.transactions() <= 8 && agent.dialogs() <= 6,
            "everything is bounded"
        );
        now += Duration::from_millis(u64::from(*byte) * 41);
    }
}

fn household() -> Config {
    let mut config = Config::default();
    let mut account = Account { domain: "example.com".into(), accept_strangers: true, ..Account::default() };
    // There is room for one of each.
    let _ = account.numbers.push("user".into());
    account.server = Some(Server { host: "192.0.2.1".into(), port: Some(5060), ..Server::default() });
    let _ = config.accounts.push(account);
    config.limits =
        Limits { calls: 2, transactions: 8, connections: 2, message: 2048, body: 512, ..Limits::default() };
    config
}

/// Cuts at a marker that occurs in no valid message by chance often.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    core::iter::from_fn(move || {
        let all = rest?;
        let cut = all.windows(4).position(|window| window == b"\xfe\xedCU");
        let (piece, tail) = match cut {
            Some(at) => (all.get(..at)?, all.get(at + 4..)),
            None => (all, None),
        };
        rest = tail;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::message::tests::torture;

    /// Torture messages, alone and in sequences, mutilated a little and a lot.
    #[test]
    fn twenty_thousand_inputs_break_no_promise() {
        let cases = torture::all();
        for seed in 0..20_000u64 {
            let mut random = Random::new(Seed::from_number(seed));
            let mut input = Vec::new();
            for part in 0..1 + random.below(3) {
                if part > 0 {
                    input.extend_from_slice(b"\xfe\xedCU");
                }
                let case = &cases[random.below(cases.len() as u32) as usize];
                // The long ones cost most and say least.
                let bytes = &case.bytes[..case.bytes.len().min(1200)];
                input.extend_from_slice(bytes);
            }
            for _ in 0..random.below(12) {
                mutate(&mut input, &mut random);
            }
            let caught = std::panic::catch_unwind(|| fuzz(&input));
            assert!(caught.is_ok(), "seed {seed}: {}", std::string::String::from_utf8_lossy(&input));
        }
    }
}
