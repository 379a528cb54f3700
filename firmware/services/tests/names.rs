//! The name server and the clock on real stacks, in virtual time: a laptop, the router, and a server on the WAN.
//!
//! Cables between IP stacks, no data plane. What is answered is proved in the engines; here it is carried.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use dialtone_base::frame::PoolSize;
use dialtone_base::{FramePool, Ipv4Prefix, Random, Seed, Zone};
use dialtone_dns::{Limits, Served, lookup};
use dialtone_hal_linux::clock;
use dialtone_hal_linux::executor::Host;
use dialtone_services::devices::DevicesService;
use dialtone_services::dns::{DnsService, TCP_INSIDE, TCP_OUTSIDE};
use dialtone_services::door::PER_VISITOR;
use dialtone_services::sntp;
use dialtone_services::stack::{
    IpAddress, IpEndpoint, PacketMetadata, TcpSocket, UdpSocket, ZoneNet, zone_stack,
};
use dialtone_services::state::{RouterState, WanStatus};
use dialtone_settings::tree::Settings;
use dialtone_wire::checksum;
use embassy_time::{Duration, Instant, Timer, with_timeout};

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// 2026-06-01.
const SUMMER: u64 = 1_780_272_000;

/// A router between a laptop and a server.
struct Home {
    host: Host,
    laptop: ZoneNet,
    server: ZoneNet,
    state: &'static RouterState,
    service: &'static DnsService,
}

impl Home {
    fn new() -> Self {
        clock::use_virtual();
        let host = Host::new().unwrap();
        let pool = FramePool::leak(PoolSize { ordinary: 4096, super_frames: 0 });
        let mut random = Random::new(Seed::from_number(11));
        let mut stack = |zone| {
            let (net, mut runner) = zone_stack::<96>(zone, pool, &mut random);
            host.spawn(async move {
                runner.run().await;
            });
            net
        };
        let (laptop, lan, guest) = (stack(Zone::Lan), stack(Zone::Lan), stack(Zone::Guest));
        let (wan, server) = (stack(Zone::Wan), stack(Zone::Wan));
        for (from, to) in [(laptop, lan), (lan, laptop), (wan, server), (server, wan)] {
            host.spawn(async move {
                loop {
                    let frame = from.link().outgoing().next().await;
                    to.link().deliver(frame);
                }
            });
        }
        let state = RouterState::leak(vec![], Default::default());
        let service = DnsService::leak(&[lan, guest], wan, Limits::default(), Seed::from_number(12), state);
        host.spawn(async { service.run().await });
        for index in 0..TCP_INSIDE {
            host.spawn(async move { service.serve_tcp(index, lan).await });
        }
        for index in 0..TCP_OUTSIDE {
            host.spawn(async move { service.ask_tcp(index).await });
        }
        let devices = DevicesService::new(16, state);
        host.spawn(async move { devices.run().await });
        host.spawn(async move { sntp::run(wan, service.resolver(), Seed::from_number(13), state).await });
        lan.set_address(Some(prefix("192.168.77.1/24")), None);
        laptop.set_address(Some(prefix("192.168.77.20/24")), Some(ROUTER));
        wan.set_address(Some(prefix("203.0.113.9/24")), None);
        server.set_address(Some(prefix("203.0.113.53/24")), None);
        state.settings.sender().send(Arc::new(Settings::default()));
        let home = Self { host, laptop, server, state, service };
        home.wan(true);
        home
    }

    fn wan(&self, up: bool) {
        let mut status = WanStatus { link: up, ..WanStatus::default() };
        if up {
            status.address = Some(prefix("203.0.113.9/24"));
            status.dns.push(SERVER).unwrap();
            status.ntp.push(SERVER).unwrap();
        }
        self.state.wan.sender().send(status);
    }

    /// The server answers every A question with 93.184.216.34, TXT with 3000 bytes; TC over UDP when it does not fit.
    fn serve(&self) -> Rc<RefCell<Vec<u16>>> {
        let ports = Rc::new(RefCell::new(vec![]));
        let (server, seen) = (self.server, ports.clone());
        self.host.spawn(async move {
            let mut socket = udp(server);
            socket.bind(53).unwrap();
            let mut bytes = [0; 4096];
            loop {
                let (length, meta) = socket.recv_from(&mut bytes).await.unwrap();
                seen.borrow_mut().push(meta.endpoint.port);
                Timer::after_millis(20).await;
                let answer = answer(&bytes[..length], 512);
                socket.send_to(&answer, meta.endpoint).await.unwrap();
            }
        });
        for _ in 0..TCP_OUTSIDE {
            self.host.spawn(async move {
                let mut socket = TcpSocket::new(server.stack, leak(4096), leak(4096));
                loop {
                    socket.accept(53).await.unwrap();
                    let mut length = [0; 2];
                    read(&mut socket, &mut length).await;
                    let mut question = vec![0; u16::from_be_bytes(length) as usize];
                    read(&mut socket, &mut question).await;
                    let answer = answer(&question, 65_535);
                    write(&mut socket, &answer).await;
                    socket.close();
                    let _ = socket.flush().await;
                    socket.abort();
                    let _ = socket.flush().await;
                }
            });
        }
        ports
    }

    /// Runs `future` on the laptop to its end, at most `seconds` of virtual time.
    fn run<T: 'static>(&self, seconds: u64, future: impl Future<Output = T> + 'static) -> T {
        let slot = Rc::new(RefCell::new(None));
        let result = slot.clone();
        self.host.spawn(async move {
            let value = future.await;
            result.replace(Some(value));
        });
        let end = Instant::now() + Duration::from_secs(seconds);
        while slot.borrow().is_none() && Instant::now() < end {
            self.host.run_until((Instant::now() + Duration::from_millis(10)).min(end));
        }
        slot.take().expect("it ends in time")
    }

    fn ask(&self, name: &str, kind: u8) -> Vec<u8> {
        let (laptop, question) = (self.laptop, question(name, kind));
        self.run(20, async move { ask(laptop, &question).await.expect("an answer") })
    }
}

fn prefix(text: &str) -> Ipv4Prefix {
    text.parse().unwrap()
}

fn leak(bytes: usize) -> &'static mut [u8] {
    Box::leak(vec![0; bytes].into_boxed_slice())
}

fn udp(net: ZoneNet) -> UdpSocket<'static> {
    let meta = || Box::leak(vec![PacketMetadata::EMPTY; 64].into_boxed_slice());
    UdpSocket::new(net.stack, meta(), leak(65_536), meta(), leak(65_536))
}

fn to(address: Ipv4Addr, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(address), port)
}

fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = vec![0; 300];
    let length = lookup::write_question(name, 0x4242, &mut bytes).unwrap();
    bytes.truncate(length);
    bytes[length - 3] = kind;
    bytes
}

fn answer(question: &[u8], limit: usize) -> Vec<u8> {
    let mut out = question.to_vec();
    out[2] |= 0x80;
    out[7] = 1;
    let kind = question[question.len() - 3];
    let data =
        if kind == 1 { vec![93, 184, 216, 34] } else { [vec![249], vec![65; 249]].concat().repeat(12) };
    out.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 44]);
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(&data);
    if out.len() > limit {
        out.truncate(question.len());
        out[2] |= 2;
        out[7] = 0;
    }
    out
}

async fn ask(laptop: ZoneNet, question: &[u8]) -> Option<Vec<u8>> {
    let mut socket = udp(laptop);
    socket.bind(0).unwrap();
    socket.send_to(question, to(ROUTER, 53)).await.unwrap();
    let mut bytes = vec![0; 4096];
    let received = with_timeout(Duration::from_secs(10), socket.recv_from(&mut bytes)).await.ok()?;
    bytes.truncate(received.unwrap().0);
    Some(bytes)
}

async fn read(socket: &mut TcpSocket<'static>, bytes: &mut [u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let read = socket.read(&mut bytes[at..]).await.unwrap();
        assert!(read > 0, "the connection ended early");
        at += read;
    }
}

async fn write(socket: &mut TcpSocket<'static>, message: &[u8]) {
    let mut left = &[&(message.len() as u16).to_be_bytes(), message].concat()[..];
    while !left.is_empty() {
        let written = socket.write(left).await.unwrap();
        left = &left[written..];
    }
}

#[test]
fn a_laptop_resolves_names_near_and_far_and_the_second_time_from_the_cache() {
    let home = Home::new();
    let ports = home.serve();
    let reply = home.ask("www.example.com", 1);
    assert_eq!(lookup::addresses(&reply), [Ipv4Addr::new(93, 184, 216, 34)]);
    let before = ports.borrow().len();
    let hits = home.service.snapshot().served.of(Served::CacheHits);
    assert_eq!(home.ask("www.example.com", 1), reply);
    assert_eq!(home.service.snapshot().served.of(Served::CacheHits), hits + 1);
    assert_eq!(ports.borrow().len(), before);
    for number in 0..20 {
        home.ask(&format!("n{number}.example.com"), 1);
    }
    let mut ports = ports.borrow()[before..].to_vec();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 20, "every question leaves from a port of its own");
    let reply = home.ask("dialtone.home.arpa", 1);
    assert_eq!(lookup::addresses(&reply), [ROUTER]);
    assert_eq!(home.service.snapshot().in_flight, 0);
}

#[test]
fn with_the_wan_down_names_of_the_house_work_and_others_fail_at_once() {
    let home = Home::new();
    home.host.run_until(Instant::from_secs(40));
    home.wan(false);
    assert_eq!(lookup::addresses(&home.ask("dialtone.home.arpa", 1)), [ROUTER]);
    let start = Instant::now();
    assert_eq!(home.ask("www.example.com", 1)[3] & 15, 2, "SERVFAIL");
    assert!(start.elapsed() < Duration::from_millis(100));
    home.wan(true);
    home.serve();
    assert_eq!(lookup::addresses(&home.ask("www.example.com", 1)).len(), 1);
}

#[test]
fn a_name_in_a_lease_is_known_within_two_seconds() {
    let home = Home::new();
    home.host.run_until(Instant::from_secs(5));
    critical_section::with(|token| {
        home.state.leases.borrow_ref_mut(token).push(dialtone_services::state::LeaseView {
            zone: Zone::Lan,
            mac: dialtone_base::MacAddress([2, 0, 0, 0, 0, 9]),
            address: Ipv4Addr::new(192, 168, 77, 99),
            name: "printer".into(),
            expires: dialtone_base::Instant::from_secs(9999),
            reserved: false,
        });
    });
    home.host.run_until(Instant::from_secs(7));
    let reply = home.ask("printer.home.arpa", 1);
    assert_eq!(lookup::addresses(&reply), [Ipv4Addr::new(192, 168, 77, 99)]);
}

#[test]
fn truncated_answers_are_had_over_tcp() {
    let home = Home::new();
    home.serve();
    assert_ne!(home.ask("big.example.com", 16)[2] & 2, 0, "TC");
    let laptop = home.laptop;
    let lengths = home.run(20, async move {
        let mut socket = TcpSocket::new(laptop.stack, leak(4096), leak(4096));
        socket.connect(to(ROUTER, 53)).await.unwrap();
        let mut lengths = vec![];
        // Two questions on one connection; the second is in the cache by then.
        for _ in 0..2 {
            write(&mut socket, &question("big.example.com", 16)).await;
            let mut length = [0; 2];
            read(&mut socket, &mut length).await;
            let mut answer = vec![0; u16::from_be_bytes(length) as usize];
            read(&mut socket, &mut answer).await;
            assert_eq!(answer[..2], [0x42, 0x42]);
            lengths.push(answer.len());
        }
        lengths
    });
    assert!(lengths.iter().all(|length| *length > 3000), "{lengths:?}");
}

#[test]
fn silent_tcp_clients_do_not_block_others_for_long() {
    let home = Home::new();
    let laptop = home.laptop;
    let waited = home.run(60, async move {
        let mut silent = vec![];
        for _ in 0..TCP_INSIDE {
            let mut socket = TcpSocket::new(laptop.stack, leak(512), leak(512));
            let _ = with_timeout(Duration::from_secs(3), socket.connect(to(ROUTER, 53))).await;
            silent.push(socket);
        }
        let start = Instant::now();
        loop {
            let mut socket = TcpSocket::new(laptop.stack, leak(512), leak(4096));
            if socket.connect(to(ROUTER, 53)).await.is_ok() {
                write(&mut socket, &question("dialtone.home.arpa", 1)).await;
                let mut length = [0; 2];
                if socket.read(&mut length).await == Ok(2) {
                    return start.elapsed();
                }
            }
            Timer::after_millis(100).await;
        }
    });
    assert!(waited < Duration::from_secs(11), "{waited:?}");
    // UDP went on all the time.
    assert_eq!(lookup::addresses(&home.ask("dialtone.home.arpa", 1)), [ROUTER]);
}

/// A SYN from an invented neighbor.
fn invented_syn(laptop: ZoneNet, host: u8) {
    let mut frame = laptop.pool().take(54).unwrap();
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6]);
    bytes[26..30].copy_from_slice(&[192, 168, 77, host]);
    bytes[30..34].copy_from_slice(&ROUTER.octets());
    let sum = !checksum::sum(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    // From port 4000 to 53, SYN, window 1024.
    bytes[34..38].copy_from_slice(&[0x0f, 0xa0, 0, 53]);
    bytes[46..50].copy_from_slice(&[0x50, 0x02, 4, 0]);
    frame.offload.verified = true;
    assert!(laptop.send_frame(frame));
}

#[test]
fn handshakes_nobody_finishes_give_their_places_back() {
    let home = Home::new();
    let laptop = home.laptop;
    let waited = home.run(60, async move {
        for host in 0..TCP_INSIDE as u8 {
            invented_syn(laptop, 100 + host);
        }
        Timer::after_millis(2500).await;
        let start = Instant::now();
        let mut socket = TcpSocket::new(laptop.stack, leak(512), leak(4096));
        socket.connect(to(ROUTER, 53)).await.unwrap();
        write(&mut socket, &question("dialtone.home.arpa", 1)).await;
        read(&mut socket, &mut [0; 2]).await;
        start.elapsed()
    });
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[test]
fn a_client_that_hangs_up_gives_its_place_back_at_once() {
    let home = Home::new();
    let laptop = home.laptop;
    let waited = home.run(60, async move {
        let start = Instant::now();
        for _ in 0..3 * TCP_INSIDE {
            let mut socket = TcpSocket::new(laptop.stack, leak(512), leak(4096));
            socket.connect(to(ROUTER, 53)).await.unwrap();
            write(&mut socket, &question("dialtone.home.arpa", 1)).await;
            let mut length = [0; 2];
            read(&mut socket, &mut length).await;
            read(&mut socket, &mut vec![0; usize::from(u16::from_be_bytes(length))]).await;
            socket.close();
            socket.flush().await.unwrap();
        }
        start.elapsed()
    });
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}

#[test]
fn one_address_gets_four_tcp_connections_and_no_more() {
    let home = Home::new();
    let laptop = home.laptop;
    let connected = home.run(60, async move {
        let mut sockets = vec![];
        let mut connected = 0;
        for _ in 0..TCP_INSIDE {
            let mut socket = TcpSocket::new(laptop.stack, leak(512), leak(512));
            let connecting = with_timeout(Duration::from_millis(100), socket.connect(to(ROUTER, 53)));
            connected += usize::from(matches!(connecting.await, Ok(Ok(()))));
            sockets.push(socket);
        }
        connected
    });
    assert_eq!(connected, PER_VISITOR);
}

#[test]
fn the_clock_is_set_from_the_operators_server_when_the_pool_cannot_be_found() {
    let home = Home::new();
    let server = home.server;
    home.host.spawn(async move {
        let mut socket = udp(server);
        socket.bind(123).unwrap();
        let mut bytes = [0; 48];
        loop {
            let (_, meta) = socket.recv_from(&mut bytes).await.unwrap();
            let mut answer = [0; 48];
            answer[0] = 0x24;
            answer[1] = 1;
            answer[24..32].copy_from_slice(&bytes[40..48]);
            let seconds = (SUMMER + Instant::now().as_secs() + 2_208_988_800) as u32;
            answer[32..36].copy_from_slice(&seconds.to_be_bytes());
            answer[40..44].copy_from_slice(&seconds.to_be_bytes());
            socket.send_to(&answer, meta.endpoint).await.unwrap();
        }
    });
    home.host.run_until(Instant::from_secs(60));
    let unix = home.state.unix_time().expect("the clock is set").0;
    assert!(unix.abs_diff(SUMMER + 60) <= 1, "{unix}");
}
