//! The fuzz body: arbitrary bytes at the codec, the server and the client.
//!
//! The first byte chooses who gets the rest. Nothing may panic, every drain must end, and no output may be longer than
//! its buffer.

use core::net::Ipv4Addr;

use dialtone_base::{Instant, Ipv4Prefix, MacAddress, Seed, Zone};

use crate::client::{self, Client, ClientConfig};
use crate::message::Message;
use crate::server::{self, Server, ServerConfig};

/// Feeds `data` in pieces; panics only when a promise is broken.
pub fn fuzz(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    if let Ok(message) = Message::parse(rest) {
        let total: usize = message.options().map(|(_, value)| value.len()).sum();
        assert!(total <= rest.len() + 192, "options come from the message");
    }
    if choice & 1 == 0 { feed_server(rest) } else { feed_client(*choice, rest) }
}

fn feed_server(data: &[u8]) {
    let Some(prefix) = Ipv4Prefix::new(Ipv4Addr::new(192, 168, 77, 1), 24) else { return };
    let Ok(mut server) = Server::new(Instant::START, ServerConfig::home(Zone::Lan, prefix), 256) else {
        return;
    };
    let mut out = [0; 600];
    for (index, piece) in pieces(data).enumerate() {
        let now = Instant::from_millis(index as u64 * 350);
        let _ = server.handle(now, server::Input::Packet(piece));
        let mut rounds = 0;
        loop {
            match server.poll(now, &mut out) {
                server::Output::Wait(_) => break,
                server::Output::Transmit { length, .. } => assert!(length <= out.len()),
                server::Output::Event(_) => {}
            }
            rounds += 1;
            assert!(rounds < 600, "the drain ends");
        }
    }
}

fn feed_client(choice: u8, data: &[u8]) {
    let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    let mut client = Client::new(ClientConfig::new(mac), Seed::from_number(choice as u64));
    let mut out = [0; 600];
    let mut now = Instant::START;
    let _ = client.handle(now, client::Input::Link(true));
    for piece in pieces(data) {
        let mut rounds = 0;
        let mut transaction = [0; 4];
        loop {
            match client.poll(now, &mut out) {
                client::Output::Wait(next) => {
                    now = next.unwrap_or(now);
                    break;
                }
                client::Output::Transmit { length, .. } => {
                    assert!(length <= out.len());
                    transaction.copy_from_slice(out.get(4..8).unwrap_or(&[0; 4]));
                }
                client::Output::Event(_) => {}
            }
            rounds += 1;
            assert!(rounds < 64, "the drain ends");
        }
        // Half of the time the answer carries our transaction, or it would never get far.
        let mut answer = heapless::Vec::<u8, 1500>::new();
        let _ = answer.extend_from_slice(piece.get(..piece.len().min(1500)).unwrap_or_default());
        if choice & 2 != 0 {
            for (at, value) in transaction.iter().enumerate() {
                if let Some(byte) = answer.get_mut(4 + at) {
                    *byte = *value;
                }
            }
        }
        let _ = client.handle(now, client::Input::Packet(&answer));
    }
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
