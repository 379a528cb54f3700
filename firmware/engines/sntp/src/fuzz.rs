//! Fuzz body: bytes become answers and time; the client must always come to rest.

use core::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::time::UnixTime;
use dialtone_base::{Duration, Instant, Seed};

use crate::{Input, Output, PACKET, SntpClient};

/// Runs the engine over `data`. Panics when it breaks a promise.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let servers = [1, 2, 3].map(|last| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), crate::PORT));
    let mut client = SntpClient::new(UnixTime(0), Seed::from_number(1));
    let mut now = Instant::START;
    let mut question = [0; PACKET];
    let mut asked = servers[0];
    let _ = client.handle(now, Input::Servers(&servers));
    for part in data.chunks(PACKET) {
        let mut bytes = [0; PACKET];
        for (place, byte) in bytes.iter_mut().zip(part) {
            *place = *byte;
        }
        let mut out = [0; PACKET];
        let mut waits = false;
        for _ in 0..100 {
            match client.poll(now, &mut out) {
                Output::Ask { server, .. } => {
                    asked = server;
                    question = out;
                }
                Output::Wait(_) => {
                    waits = true;
                    break;
                }
                Output::Clock(_) | Output::Event(_) => {}
            }
        }
        assert!(waits, "the client never waits");
        let choice = part.first().copied().unwrap_or(0);
        if choice & 0x80 == 0 {
            // Get past the originate check, most of the time.
            if let (Some(place), Some(nonce)) = (bytes.get_mut(24..32), question.get(40..48)) {
                place.copy_from_slice(nonce);
            }
        }
        let _ = client
            .handle(now, Input::Answer { from: asked, bytes: bytes.get(..part.len()).unwrap_or_default() });
        now += Duration::from_millis(choice as u64 * 97);
    }
}
