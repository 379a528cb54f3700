//! How long one answer out of the cache takes: handle and poll, no sockets.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time;

use dialtone_base::{Instant, Seed, Zone};
use dialtone_dns::{Client, Config, Forwarder, Input, Limits, Output, Transport};

const NAMES: usize = 1000;
const ROUNDS: usize = 2000;

fn main() {
    let server = SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 9), 53);
    let address = SocketAddrV4::new(Ipv4Addr::new(192, 168, 77, 20), 40_000);
    let client = Client { zone: Zone::Lan, address, transport: Transport::Udp };
    let mut forwarder = Forwarder::new(Limits::default(), &Config::default(), Seed::from_number(1));
    let mut out = vec![0; dialtone_dns::LONGEST_MESSAGE];
    let now = Instant::from_secs(1);
    forwarder.handle(now, Input::Upstreams(&[server])).expect("one server fits");
    let queries: Vec<Vec<u8>> = (0..NAMES).map(query).collect();
    for bytes in &queries {
        forwarder.handle(now, Input::Query { client, bytes }).expect("room for one question");
        loop {
            match forwarder.poll(now, &mut out) {
                Output::Ask { token, server, length, .. } => {
                    let answer = answer(&out[..length]);
                    forwarder
                        .handle(now, Input::Answer { token, from: server, bytes: &answer })
                        .expect("it is sound");
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
    }
    let mut bytes_out = 0;
    let start = time::Instant::now();
    for _ in 0..ROUNDS {
        for bytes in &queries {
            forwarder.handle(now, Input::Query { client, bytes }).expect("it is kept");
            loop {
                match forwarder.poll(now, &mut out) {
                    Output::Reply { length, .. } => bytes_out += length,
                    Output::Wait(_) => break,
                    _ => {}
                }
            }
        }
    }
    let each = start.elapsed().as_nanos() as f64 / (NAMES * ROUNDS) as f64;
    println!(
        "{each:.0} ns each, {:.2} M answers/s, {} bytes each",
        1000.0 / each,
        bytes_out / (NAMES * ROUNDS)
    );
}

fn query(number: usize) -> Vec<u8> {
    let label = format!("host{number:04}");
    let mut out = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8];
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(b"\x07example\x03com\0\0\x01\0\x01");
    out
}

/// Two addresses behind an alias.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut out = query.to_vec();
    out[2] |= 0x80;
    out[7] = 3;
    out.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x06\x03cdn\xc0\x15");
    for last in [1, 2] {
        out.extend_from_slice(b"\x03cdn\xc0\x15\0\x01\0\x01\0\0\x0e\x10\0\x04");
        out.extend_from_slice(&[93, 184, 216, last]);
    }
    out
}
