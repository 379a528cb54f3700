//! A home: the router's ports, their cables, and who is plugged in where.
//!
//! Every port has one cable with a [`Pipe`] each way; several devices on one cable share it as behind an unmanaged
//! switch. [`World::poll`] moves what is due at `now`, a bounded amount, and says when to come back.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dialtone_base::{Duration, FramePool, Instant, MacAddress, Random, Seed};
use dialtone_hal_api::port::{PortDriver, QUEUE_DEPTH};
use embassy_time::Timer;

use crate::capture::Capture;
use crate::host::Host;
use crate::isp::Isp;
use crate::link::{Pipe, Quality};
use crate::packet;

/// Which cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CableId(usize);

/// Which device in the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId(usize);

/// A home and its ISP.
pub struct World {
    /// The other end of the WAN cable.
    pub isp: Isp,
    devices: Vec<Host>,
    cables: Vec<Cable>,
    pool: &'static FramePool,
    capture: Option<Capture>,
    random: Random,
    next_mac: u8,
    waker: Option<Waker>,
}

struct Cable {
    port: PortDriver,
    up: bool,
    from_router: Pipe,
    to_router: Pipe,
    stations: Vec<Station>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Station {
    Isp,
    Device(usize),
}

impl World {
    /// A home without cables; frames for the router are taken from `pool`.
    pub fn new(isp: Isp, pool: &'static FramePool, seed: Seed) -> Self {
        let random = Random::new(seed);
        Self {
            isp,
            devices: Vec::new(),
            cables: Vec::new(),
            pool,
            capture: None,
            random,
            next_mac: 1,
            waker: None,
        }
    }

    /// A cable on a router's port; nobody is at the other end and the link is down.
    pub fn cable(&mut self, port: PortDriver, quality: Quality) -> CableId {
        self.cables.push(Cable {
            port,
            up: false,
            from_router: Pipe::new(quality, self.random.derive_seed()),
            to_router: Pipe::new(quality, self.random.derive_seed()),
            stations: Vec::new(),
        });
        CableId(self.cables.len() - 1)
    }

    /// Plugs the ISP in; the link comes up.
    pub fn plug_isp(&mut self, cable: CableId) {
        self.cables[cable.0].stations.push(Station::Isp);
        self.link(cable, true);
    }

    /// Plugs a device in; the link comes up.
    pub fn plug(&mut self, cable: CableId, device: Host) -> DeviceId {
        self.devices.push(device);
        let id = self.devices.len() - 1;
        self.cables[cable.0].stations.push(Station::Device(id));
        self.link(cable, true);
        DeviceId(id)
    }

    /// [`World::plug`] for a new device with a DHCP client and a MAC address of its own.
    pub fn plug_new(&mut self, cable: CableId, name: &str) -> DeviceId {
        let mac = MacAddress([0x02, 0xde, 0x01, 0xce, 0, self.next_mac]);
        self.next_mac += 1;
        let seed = self.random.derive_seed();
        self.plug(cable, Host::new(name, mac, crate::host::Addressing::Dhcp, seed))
    }

    /// Pulls the cable out (what is under way is lost) or puts it back (devices start DHCP over).
    pub fn link(&mut self, cable: CableId, up: bool) {
        let cable = &mut self.cables[cable.0];
        cable.port.link.set(up);
        if up && !cable.up {
            for station in &cable.stations {
                if let Station::Device(id) = station {
                    self.devices[*id].restart_dhcp();
                }
            }
        }
        if !up {
            cable.from_router.cut();
            cable.to_router.cut();
        }
        cable.up = up;
    }

    /// Changes how good a cable is, both ways.
    pub fn set_quality(&mut self, cable: CableId, quality: Quality) {
        let cable = &mut self.cables[cable.0];
        cable.from_router.quality = quality;
        cable.to_router.quality = quality;
    }

    /// Frames a cable has lost so far, both ways.
    pub fn lost(&self, cable: CableId) -> u64 {
        let cable = &self.cables[cable.0];
        cable.from_router.lost() + cable.to_router.lost()
    }

    /// A device.
    pub fn device(&mut self, id: DeviceId) -> &mut Host {
        &mut self.devices[id.0]
    }

    /// Every device with its id.
    pub fn devices(&mut self) -> impl Iterator<Item = (DeviceId, &mut Host)> {
        self.devices.iter_mut().enumerate().map(|(index, host)| (DeviceId(index), host))
    }

    /// Writes every frame that leaves or reaches a port to `capture` from now on.
    pub fn capture(&mut self, capture: Capture) {
        self.capture = Some(capture);
    }

    /// Ends the capture, if there is one, and makes sure all of it is written.
    ///
    /// # Errors
    /// When some of it was not.
    pub fn end_capture(&mut self) -> std::io::Result<()> {
        self.capture.take().map_or(Ok(()), Capture::finish)
    }

    /// Moves what is due and lets the hosts work. When to call it again; also call it when the router sent something.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        let more = self.advance(now);
        let next = self.next(now);
        if more { Some(now) } else { next }
    }

    /// A few rounds. Whether the last one still moved something.
    fn advance(&mut self, now: Instant) -> bool {
        (0..ROUNDS).all(|_| self.round(now))
    }

    fn next(&mut self, now: Instant) -> Option<Instant> {
        let hosts = self.devices.iter_mut().filter_map(|device| device.next_poll(now)).min();
        let isp = self.isp.next_poll(now);
        let cables = self.cables.iter().filter_map(|cable| cable.next(now)).min();
        [hosts, isp, cables].into_iter().flatten().min().map(|at| at.max(now))
    }

    /// Makes [`World::run`] look again: somebody used a host from outside.
    pub fn touch(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Runs a world as a task, in the time of its thread. After every look `each` may use the hosts and say when it
    /// wants to be called again; it is also called whenever the task is woken.
    pub async fn run(
        world: Rc<RefCell<Self>>,
        mut each: impl FnMut(&mut Self, Instant, &mut Context<'_>) -> Option<Instant>,
    ) {
        poll_fn(|context| {
            let mut world = world.borrow_mut();
            world.waker = Some(context.waker().clone());
            let now = Instant::from_micros(embassy_time::Instant::now().as_micros());
            world.advance(now);
            let wanted = each(&mut world, now, context);
            // What `each` wrote goes out; what that brings is for the next look.
            let moved = world.round(now);
            let next = [world.next(now), wanted].into_iter().flatten().min();
            let more = moved || world.cables.iter().any(|cable| cable.poll_frames(context));
            let due = next.is_some_and(|at| {
                let timer = pin!(Timer::at(embassy_time::Instant::from_micros(at.as_micros())));
                timer.poll(context).is_ready()
            });
            if more || due {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Everybody once. Whether a frame moved.
    fn round(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for index in 0..self.cables.len() {
            moved |= self.down(index, now);
        }
        for device in &mut self.devices {
            device.poll(now);
        }
        self.isp.poll(now);
        for index in 0..self.cables.len() {
            moved |= self.up(index, now);
        }
        moved
    }

    /// From the router to the hosts.
    fn down(&mut self, index: usize, now: Instant) -> bool {
        let cable = &mut self.cables[index];
        let mut moved = false;
        while !cable.up || cable.from_router.has_room(now) {
            let Some(frame) = cable.port.to_send.pop() else { break };
            if cable.up {
                if let Some(capture) = &mut self.capture {
                    capture.frame(now, frame.bytes());
                }
                cable.from_router.send(now, frame.bytes().to_vec());
                moved = true;
            }
        }
        while let Some(frame) = self.cables[index].from_router.receive(now) {
            self.deliver(index, now, None, frame);
            moved = true;
        }
        moved
    }

    /// From the hosts to the router.
    fn up(&mut self, index: usize, now: Instant) -> bool {
        let mut moved = false;
        for at in 0..self.cables[index].stations.len() {
            let station = self.cables[index].stations[at];
            while !self.cables[index].up || self.cables[index].to_router.has_room(now) {
                let host = match station {
                    Station::Isp => &mut self.isp.host,
                    Station::Device(id) => &mut self.devices[id],
                };
                let Some(frame) = host.nic.outbox.pop_front() else { break };
                if self.cables[index].up {
                    self.leave(index, now, station, frame);
                    moved = true;
                }
            }
        }
        let cable = &mut self.cables[index];
        while cable.port.received.len() < QUEUE_DEPTH {
            let Some(bytes) = cable.to_router.receive(now) else { break };
            if let Some(capture) = &mut self.capture {
                capture.frame(now, &bytes);
            }
            // Without a free buffer the port drops it, and the pool has counted it.
            if let Some(frame) = self.pool.copy_of(&bytes) {
                cable.port.received.push(frame);
            }
            moved = true;
        }
        moved
    }

    /// A frame from a station onto its cable: to its neighbours there and to the router.
    fn leave(&mut self, index: usize, now: Instant, from: Station, frame: Vec<u8>) {
        let destination = packet::stations(&frame).map_or(MacAddress::BROADCAST, |(_, to)| to);
        let here =
            self.cables[index].stations.len() > 1 && self.deliver(index, now, Some(from), frame.clone());
        if !here || destination.is_group() {
            self.cables[index].to_router.send(now, frame);
        }
    }

    /// Hands a frame to the stations of a cable it is for. Whether there was one.
    fn deliver(&mut self, index: usize, now: Instant, except: Option<Station>, frame: Vec<u8>) -> bool {
        let destination = packet::stations(&frame).map_or(MacAddress::BROADCAST, |(_, to)| to);
        let mut taken = false;
        for at in 0..self.cables[index].stations.len() {
            let station = self.cables[index].stations[at];
            let mac = match station {
                Station::Isp => self.isp.host.mac(),
                Station::Device(id) => self.devices[id].mac(),
            };
            if Some(station) == except || !(destination.is_group() || destination == mac) {
                continue;
            }
            taken = true;
            match station {
                Station::Isp => self.isp.receive(now, frame.clone()),
                Station::Device(id) => self.devices[id].receive(frame.clone()),
            }
        }
        taken
    }
}

impl Cable {
    /// Whether the router's frames can move now; otherwise the context is woken when there are some.
    fn poll_frames(&self, context: &mut Context<'_>) -> bool {
        let now = Instant::from_micros(embassy_time::Instant::now().as_micros());
        self.port.to_send.poll_ready(context).is_ready() && self.from_router.has_room(now)
    }

    fn next(&self, now: Instant) -> Option<Instant> {
        let waiting = !self.port.to_send.is_empty();
        let room = waiting.then(|| self.from_router.room_at().max(now + PAUSE));
        // A full queue of the router is tried again soon.
        let up = self.to_router.next_arrival().map(|at| if at <= now { now + PAUSE } else { at });
        [room, up, self.from_router.next_arrival()].into_iter().flatten().min()
    }
}

/// Rounds per call, so that the router gets its turn.
const ROUNDS: usize = 4;
/// Time until somebody who found no room tries again.
const PAUSE: Duration = Duration::from_micros(50);
