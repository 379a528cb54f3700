//! As many 64-byte frames as go through, one way at a time.
//!
//! Frames (64 bytes on a wire, UDP with checksums) are made beforehand and sent through a packet socket, which costs the
//! sender least. They are counted where they arrive by an nftables rule that takes only what the router has translated
//! right, and dropped there, before they cost the far side more. Flows are opened from the inside first; what the far
//! side sends goes to the ports it saw.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::Figure;
use super::processor::Meter;
use super::system::{VOLLEY, Volley, frame_socket, inside};
use super::yard::{CLIENT, SERVER, Yard};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Up { "up" } else { "down" })
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Load {
    /// Different source ports.
    pub flows: usize,
    /// Threads that send, each its share of the flows (or all of them, when there are fewer).
    pub senders: usize,
    /// Which way.
    pub direction: Direction,
    /// Packets per second of each sender; `None`: as fast as it can.
    pub pace: Option<f64>,
}

/// Ready to send.
pub struct Gun {
    barrels: Vec<(OwnedFd, Vec<Vec<u8>>)>,
    pace: Option<f64>,
}

/// What was sent.
pub struct Fired {
    /// Frames the kernel took.
    pub sent: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Where the flows go.
const PORT: u16 = 9009;
/// First source port.
const FIRST_PORT: u16 = 20_000;

/// Thousand packets per second that arrived.
///
/// # Errors
/// When the flows cannot be opened or sockets not be had.
pub fn rate(yard: &mut Yard, load: Load, seconds: f64) -> Result<Figure, String> {
    let gun = aim(yard, load)?;
    let sink = Sink::open(yard, load.direction);
    let before = sink.count(yard);
    let meter = Meter::start(yard.process);
    let fired = gun.fire(Duration::from_secs_f64(seconds));
    let used = meter.read();
    // What is under way may arrive; it was sent in the time measured.
    std::thread::sleep(Duration::from_millis(50));
    let arrived = sink.count(yard) - before;
    sink.close(yard);
    let lost = 100.0 * (1.0 - arrived as f64 / fired.sent.max(1) as f64);
    Ok(Figure {
        value: arrived as f64 / fired.seconds / 1e3,
        machine: used.machine,
        router: used.router,
        note: format!("{} lost {lost:.1} % of {:.0}", yard.name, fired.sent as f64 / fired.seconds / 1e3),
    })
}

/// The highest rate over several offered loads: all that one or two senders can, and two senders with a pace. More offered is
/// not more received: on a machine with few processors senders also take them from the router.
///
/// # Errors
/// As [`rate`].
pub fn highest(yard: &mut Yard, flows: usize, direction: Direction, seconds: f64) -> Result<Figure, String> {
    let mut best = Figure::default();
    let offers =
        [(1, None), (2, None), (2, Some(175.0)), (2, Some(200.0)), (2, Some(225.0)), (2, Some(250.0))];
    for (senders, pace) in offers {
        let load = Load { flows, senders, direction, pace: pace.map(|kpps| kpps * 1e3) };
        let figure = rate(yard, load, seconds / 2.0)?;
        if figure.value > best.value {
            best = figure;
            if let Some(kpps) = pace {
                best.note.push_str(&format!(" ({senders} x {kpps:.0} offered)"));
            } else {
                best.note.push_str(&format!(" ({senders} unpaced)"));
            }
        }
    }
    Ok(best)
}

/// Opens the flows and makes the frames.
///
/// # Errors
/// When the flows cannot be opened or sockets not be had.
pub fn aim(yard: &Yard, load: Load) -> Result<Gun, String> {
    let text = |error: std::io::Error| error.to_string();
    let lan = (mac(yard, &yard.client, "c0"), mac(yard, &yard.router, "lan0"));
    let wan = (mac(yard, &yard.server, "i0"), mac(yard, &yard.router, "wan0"));
    let up: Vec<Vec<u8>> = (0..load.flows)
        .map(|flow| {
            let source = (CLIENT, FIRST_PORT + flow as u16);
            datagram(lan.0, lan.1, source, (SERVER, PORT), flow as u32)
        })
        .collect();
    let client = inside(yard.client.name(), || frame_socket("c0")).map_err(text)?;
    let mapped = open_flows(yard, &client, &up)?;
    let frames = match load.direction {
        Direction::Up => up,
        Direction::Down => mapped
            .iter()
            .map(|(flow, outside)| datagram(wan.0, wan.1, (SERVER, PORT), *outside, *flow))
            .collect(),
    };
    let (place, interface) = match load.direction {
        Direction::Up => (yard.client.name(), "c0"),
        Direction::Down => (yard.server.name(), "i0"),
    };
    let barrels = (0..load.senders)
        .map(|sender| {
            let socket = inside(place, move || frame_socket(interface)).map_err(text)?;
            let share = frames.iter().skip(sender).step_by(load.senders).cloned().collect::<Vec<_>>();
            Ok((socket, if share.is_empty() { frames.clone() } else { share }))
        })
        .collect::<Result<_, String>>()?;
    Ok(Gun { barrels, pace: load.pace })
}

impl Gun {
    /// Sends for so long.
    pub fn fire(&self, length: Duration) -> Fired {
        let begin = Instant::now();
        let sent = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .barrels
                .iter()
                .map(|(socket, frames)| {
                    let volley = Volley::new(frames.clone());
                    scope.spawn(move || shoot(socket, volley, begin + length, self.pace))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
        });
        Fired { sent, seconds: begin.elapsed().as_secs_f64() }
    }
}

fn shoot(socket: &OwnedFd, mut volley: Volley, end: Instant, pace: Option<f64>) -> u64 {
    let begin = Instant::now();
    let mut sent = 0;
    loop {
        let now = Instant::now();
        if now >= end {
            return sent;
        }
        let due = pace.map_or(u64::MAX, |pace| ((now - begin).as_secs_f64() * pace) as u64);
        if due <= sent {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        sent += volley.fire(socket, (due - sent).min(VOLLEY as u64) as usize) as u64;
    }
}

/// Sends one packet of each flow from the inside; how the router translated them, as the server sees it.
fn open_flows(
    yard: &Yard,
    client: &OwnedFd,
    frames: &[Vec<u8>],
) -> Result<BTreeMap<u32, ([u8; 4], u16)>, String> {
    let socket = inside(yard.server.name(), || {
        let socket = UdpSocket::bind((Ipv4Addr::from(SERVER), PORT))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        Ok(socket)
    })
    .map_err(|error| format!("the server's port: {error}"))?;
    let mut mapped = BTreeMap::new();
    for _ in 0..10 {
        for chunk in frames.chunks(32) {
            let missing: Vec<_> =
                chunk.iter().filter(|frame| !mapped.contains_key(&flow_of(&frame[42..]))).cloned().collect();
            if missing.is_empty() {
                continue;
            }
            let count = missing.len();
            Volley::new(missing).fire(client, count);
            let mut bytes = [0; 64];
            for _ in 0..count {
                let Ok((_, SocketAddr::V4(from))) = socket.recv_from(&mut bytes) else { break };
                mapped.insert(flow_of(&bytes), (from.ip().octets(), from.port()));
            }
        }
        if mapped.len() == frames.len() {
            return Ok(mapped);
        }
    }
    Err(format!("only {} of {} flows could be opened", mapped.len(), frames.len()))
}

fn flow_of(payload: &[u8]) -> u32 {
    payload.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(u32::MAX, u32::from_be_bytes)
}

fn mac(yard: &Yard, machine: &dialtone_interop::Namespace, interface: &str) -> [u8; 6] {
    let said = machine.must(&format!("cat /sys/class/net/{interface}/address"), 5);
    let octets: Vec<u8> =
        said.trim().split(':').filter_map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    octets.try_into().unwrap_or_else(|_| panic!("{}: no address of {interface}: {said}", yard.name))
}

/// A frame of 60 bytes, 64 with the check sequence a wire adds; its flow's number in the payload.
fn datagram(
    from_mac: [u8; 6],
    to_mac: [u8; 6],
    from: ([u8; 4], u16),
    to: ([u8; 4], u16),
    flow: u32,
) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend(from.0);
    ip.extend(to.0);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut udp = Vec::new();
    udp.extend(from.1.to_be_bytes());
    udp.extend(to.1.to_be_bytes());
    udp.extend([0, 26, 0, 0]);
    udp.extend(flow.to_be_bytes());
    udp.resize(26, 0);
    let pseudo: Vec<u8> = [&ip[12..20], &[0, 17, 0, 26], &udp].concat();
    let sum = checksum(&pseudo);
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    [&to_mac[..], &from_mac, &[8, 0], &ip, &udp].concat()
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Counts and drops what arrives.
struct Sink {
    direction: Direction,
}

impl Sink {
    fn open(yard: &Yard, direction: Direction) -> Self {
        let sink = Self { direction };
        let (place, interface) = sink.place(yard);
        // Only what was translated right is counted.
        let right = match direction {
            Direction::Up => format!("ip saddr 198.51.100.0/24 ip daddr 198.51.100.1 udp dport {PORT}"),
            Direction::Down => {
                format!("ip saddr 198.51.100.1 ip daddr 192.168.77.50 udp sport {PORT}")
            }
        };
        let rules = format!(
            "table netdev sink {{
               counter arrived {{ }}
               chain in {{
                   type filter hook ingress device \"{interface}\" priority 0;
                   {right} counter name arrived drop
               }}
             }}\n"
        );
        let file = yard.lab.file("sink.nft", &rules);
        place.must(&format!("nft -f {}", file.display()), 5);
        sink
    }

    fn place<'a>(&self, yard: &'a Yard) -> (&'a dialtone_interop::Namespace, &'static str) {
        match self.direction {
            Direction::Up => (&yard.server, "i0"),
            Direction::Down => (&yard.client, "c0"),
        }
    }

    fn count(&self, yard: &Yard) -> u64 {
        let said = self.place(yard).0.must("nft list counter netdev sink arrived", 5);
        let mut words = said.split_whitespace().skip_while(|word| *word != "packets");
        words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    fn close(self, yard: &Yard) {
        self.place(yard).0.must("nft delete table netdev sink", 5);
    }
}
