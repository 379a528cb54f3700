//! The simulation against itself: a device and the ISP with a plain wire where the router would be.

use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::frame::PoolSize;
use dialtone_base::{Duration, FramePool, Instant, Ipv4Prefix, MacAddress, Seed, Zone};
use dialtone_hal_api::port::{PortHandle, PortInfo, port};
use dialtone_netsim::dns_message::Answer;
use dialtone_netsim::isp::Profile;
use dialtone_netsim::isp::names::{NameList, NameServers};
use dialtone_netsim::link::Quality;
use dialtone_netsim::peer::Echo;
use dialtone_netsim::world::{CableId, DeviceId, World};
use dialtone_netsim::{Isp, tcp};

const EXAMPLE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

struct Wired {
    world: World,
    ends: [PortHandle; 2],
    device: DeviceId,
    home: CableId,
    now: Instant,
}

impl Wired {
    fn new(quality: Quality, seed: u64) -> Self {
        let pool = FramePool::leak(PoolSize { ordinary: 2048, super_frames: 0 });
        let names = NameServers::new(Box::new(NameList::default().with("example.test", EXAMPLE)));
        let isp = Isp::new(Profile::default(), names, Box::new(Echo), Seed::from_number(seed));
        let mut world = World::new(isp, pool, Seed::from_number(seed + 1));
        let info = PortInfo {
            name: "wire".into(),
            zone: Zone::Lan,
            mac: MacAddress([2; 6]),
            mtu: 1500,
            segmentation: false,
        };
        let (lan, lan_driver) = port(info.clone());
        let (wan, wan_driver) = port(info);
        let home = world.cable(lan_driver, quality);
        let device = world.plug_new(home, "laptop");
        let street = world.cable(wan_driver, Quality::PERFECT);
        world.plug_isp(street);
        Self { world, ends: [lan, wan], device, home, now: Instant::START }
    }

    fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            let next = self.world.poll(self.now);
            let mut moved = false;
            let [lan, wan] = &self.ends;
            for (from, to) in [(lan, wan), (wan, lan)] {
                while let Some(frame) = from.receive.pop() {
                    to.transmit.push(frame);
                    moved = true;
                }
            }
            if done(&mut self.world) {
                return true;
            }
            if !moved {
                match next {
                    Some(at) if at <= end => self.now = at,
                    _ => return false,
                }
            }
        }
    }

    fn lease(&mut self) {
        let device = self.device;
        let leased =
            self.run_until(Duration::from_secs(60), |world| world.device(device).address().is_some());
        assert!(leased, "no lease");
    }
}

#[test]
fn a_device_leases_resolves_pings_and_talks_to_any_address() {
    let mut wired = Wired::new(Quality::delay(Duration::from_millis(5)), 1);
    wired.lease();
    let device = wired.device;
    assert_eq!(wired.world.device(device).address(), Some(Ipv4Addr::new(198, 51, 100, 20)));

    let question = wired.world.device(device).ask("Example.test").unwrap();
    let mut said = None;
    wired.run_until(Duration::from_secs(5), |world| {
        said = world.device(device).answer(question);
        said.is_some()
    });
    assert_eq!(said, Some(Answer::Addresses(vec![EXAMPLE])));

    wired.world.device(device).ping(EXAMPLE, 7);
    let mut pongs = Vec::new();
    wired.run_until(Duration::from_secs(5), |world| {
        pongs = world.device(device).take_pongs();
        !pongs.is_empty()
    });
    assert_eq!(pongs, [(EXAMPLE, 7)]);
}

#[test]
fn a_name_that_is_not_there_a_silent_server_and_a_dead_isp_look_as_they_should() {
    let mut wired = Wired::new(Quality::PERFECT, 2);
    wired.lease();
    let device = wired.device;
    let ask = |wired: &mut Wired| {
        let question = wired.world.device(device).ask("nowhere.test").unwrap();
        let mut said = None;
        wired.run_until(Duration::from_secs(5), |world| {
            said = world.device(device).answer(question);
            said.is_some()
        });
        said
    };
    assert_eq!(ask(&mut wired), Some(Answer::NoSuchName));
    let server = wired.world.isp.profile().name_servers[0];
    wired.world.isp.names.silent.insert(server);
    assert_eq!(ask(&mut wired), None);
    assert_eq!(wired.world.isp.names.asked(server), 2);
    wired.world.isp.dead = true;
    wired.world.device(device).ping(EXAMPLE, 1);
    assert!(!wired.run_until(Duration::from_secs(5), |world| !world.device(device).take_pongs().is_empty()));
}

#[test]
fn many_connections_to_one_place_each_reach_their_own_end_over_a_bad_link() {
    let quality = Quality {
        loss: 10_000,
        jitter: Duration::from_millis(2),
        ..Quality::delay(Duration::from_millis(3))
    };
    let mut wired = Wired::new(quality, 3);
    wired.lease();
    let device = wired.device;
    let place = SocketAddrV4::new(EXAMPLE, 443);
    let sockets: Vec<_> = (0..64).map(|_| wired.world.device(device).tcp_connect(place).unwrap()).collect();
    let text = |number: usize| vec![number as u8; 20_000 + number];
    let mut sent = vec![0; sockets.len()];
    let mut back = vec![Vec::new(); sockets.len()];
    let done = wired.run_until(Duration::from_secs(120), |world| {
        for (number, handle) in sockets.iter().enumerate() {
            let socket = world.device(device).tcp(*handle);
            if socket.may_send() && sent[number] < text(number).len() {
                sent[number] += socket.send_slice(&text(number)[sent[number]..]).unwrap();
            }
            let mut bytes = [0; 4096];
            while socket.can_recv() {
                let count = socket.recv_slice(&mut bytes).unwrap();
                back[number].extend_from_slice(&bytes[..count]);
            }
        }
        back.iter().enumerate().all(|(number, bytes)| bytes.len() == text(number).len())
    });
    assert!(done, "seed 3: {:?}", back.iter().map(Vec::len).collect::<Vec<_>>());
    assert!(back.iter().enumerate().all(|(number, bytes)| *bytes == text(number)));
    assert!(wired.world.lost(wired.home) > 0);
    for handle in sockets {
        wired.world.device(device).tcp_finish(handle);
    }
    assert!(wired.run_until(Duration::from_secs(60), |world| world.isp.connections() == 0));
}

#[test]
fn a_moved_lease_is_refused_at_renewal_and_a_new_network_is_taken_up() {
    let mut wired = Wired::new(Quality::PERFECT, 4);
    wired.lease();
    let device = wired.device;
    let mac = wired.world.device(device).mac();
    let moved = Ipv4Addr::new(198, 51, 100, 77);
    wired.world.isp.dhcp.assign(mac, moved);
    let there =
        wired.run_until(Duration::from_secs(3700), |world| world.device(device).address() == Some(moved));
    assert!(there, "the renewal was not refused");
    wired.world.isp.renumber(Ipv4Prefix::new(Ipv4Addr::new(192, 0, 2, 1), 24).unwrap());
    wired.world.link(wired.home, false);
    wired.world.link(wired.home, true);
    let there = wired.run_until(Duration::from_secs(60), |world| {
        world.device(device).address() == Some(Ipv4Addr::new(192, 0, 2, 20))
    });
    assert!(there, "{:?}", wired.world.device(device).addresses());
    assert!(matches!(
        wired
            .world
            .device(device)
            .tcp_connect(SocketAddrV4::new(EXAMPLE, 1))
            .map(|handle| { wired.world.device(device).tcp(handle).state() }),
        Ok(tcp::State::SynSent)
    ));
}
