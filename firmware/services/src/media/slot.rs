//! The network side of one call's voice: two sockets, a session, and how it sounded.
//!
//! All slots are made at start; a call takes one, its streams come and go in it. Datagrams from the network are taken in portions, so
//! that a flood on one port leaves time for the voices.

use alloc::boxed::Box;
use core::net::{SocketAddr, SocketAddrV4};
use core::task::{Context, Poll};

use dialtone_base::telephony::{CallId, Key};
use dialtone_base::{Duration, Instant, Seed};
use dialtone_hal_api::line::PcmFrame;
use dialtone_media::codec::CodecPool;
use dialtone_media::comfort_noise::RoomNoise;
use dialtone_media::{Event, Session, Setup, StreamConfig};
use dialtone_signal::{Rate, dtmf};
use heapless::Deque;

use super::Report;
use crate::stack::{IpAddress, UdpSocket, ZoneNet, send_now};
use crate::state::now;

/// Longest RTP or RTCP packet.
pub(super) const PACKET: usize = 1500;
/// Sockets of one slot; the WAN stack must have room for all.
pub const SLOT_SOCKETS: usize = 2;
/// Datagrams taken at a time.
const PORTION: usize = 16;
/// A key as an event lasts so long.
const KEY: Duration = Duration::from_millis(120);
/// A key reported without a length sounds so long, in milliseconds.
const INFO_KEY: u16 = 160;
/// Without RTP for so long, the far end may be gone.
const SILENT: Duration = Duration::from_secs(60);

/// One call's voice.
pub(super) struct Slot {
    call: Option<CallId>,
    rtp: UdpSocket<'static>,
    rtcp: UdpSocket<'static>,
    session: Box<Session>,
    rate: u32,
    keys_by_signalling: bool,
    is_data: bool,
    /// Sounds keys the far end reports by signalling, in the place of what it says.
    heard: dtmf::Generator,
    /// Keys come as events: those reported by signalling, too, are the same ones again.
    keys_as_events: bool,
    /// Sounds keys for peers that understand nothing else.
    tones: dtmf::Generator,
    reports: Deque<Report, 8>,
}

pub use dialtone_media::Quality;

impl Slot {
    pub fn new(wan: &ZoneNet, pool: &CodecPool, seed: Seed) -> Self {
        Self {
            call: None,
            rtp: wan.udp_socket(32, 16 * 1024),
            rtcp: wan.udp_socket(4, 4 * 1024),
            session: Box::new(Session::idle(pool, seed)),
            rate: 8000,
            keys_by_signalling: false,
            is_data: false,
            heard: dtmf::Generator::new(Rate::Narrow),
            keys_as_events: false,
            tones: dtmf::Generator::new(Rate::Narrow),
            reports: Deque::new(),
        }
    }

    pub fn call(&self) -> Option<CallId> {
        self.call
    }

    pub fn reserve(&mut self, call: CallId, port: u16) {
        self.call = Some(call);
        for (socket, port) in [(&mut self.rtp, port), (&mut self.rtcp, port.saturating_add(1))] {
            socket.close();
            if socket.bind(port).is_err() {
                dialtone_base::warn!("media: port {port} cannot be had on the WAN");
            }
        }
    }

    pub fn stream(
        &mut self,
        now: Instant,
        config: StreamConfig,
        rate: u32,
        keys_by_signalling: bool,
        seed: Seed,
    ) {
        self.keys_by_signalling = keys_by_signalling;
        if self.is_streaming() {
            return self.session.reconfigure(now, config);
        }
        self.rate = rate;
        self.tones = dtmf::Generator::new(Rate::from_hertz(rate).unwrap_or_default());
        self.heard = self.tones.clone();
        let setup = Setup { sample_rate: rate, timeout: SILENT };
        self.session.start(now, config, setup, seed);
    }

    /// The call is over. How it sounded, if there was sound.
    pub fn release(&mut self, now: Instant, packet: &mut [u8]) -> Option<Quality> {
        let quality = self.session.quality(now);
        if let Some(length) = self.session.bye(now, packet) {
            send(&self.rtcp, &self.rtp, &self.session, packet.get(..length).unwrap_or_default());
        }
        self.rtp.close();
        self.rtcp.close();
        self.session.stop();
        self.is_data = false;
        self.keys_as_events = false;
        self.heard.stop();
        self.call = None;
        self.reports.clear();
        quality
    }

    /// Takes what came from the network.
    pub fn receive(&mut self, context: &mut Context<'_>, datagram: &mut [u8]) {
        if self.call.is_none() {
            return;
        }
        let now = now();
        for (control, socket) in [(false, &self.rtp), (true, &self.rtcp)] {
            for turn in 0.. {
                if turn == PORTION {
                    // There may be more: after the others had their turn.
                    context.waker().wake_by_ref();
                    break;
                }
                let Poll::Ready(received) = socket.poll_recv_from(datagram, context) else { break };
                let Ok((length, meta)) = received else { continue };
                if !self.is_streaming() {
                    continue;
                }
                let IpAddress::Ipv4(address) = meta.endpoint.addr;
                let from = SocketAddr::V4(SocketAddrV4::new(address, meta.endpoint.port));
                let bytes = datagram.get(..length).unwrap_or_default();
                // What is not taken is counted by the session.
                let _ = match control {
                    true => self.session.push_rtcp(now, from, bytes),
                    false => self.session.push_rtp(now, from, bytes),
                };
            }
        }
        let Some(call) = self.call else { return };
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Silent => {
                    let _ = self.reports.push_back(Report::Silent { call });
                }
                Event::Key(_) => {
                    self.keys_as_events = true;
                    self.heard.stop();
                }
                _ => {}
            }
        }
    }

    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Ten milliseconds of what the far end says, for a line of `rate`.
    pub fn pull(&mut self, now: Instant, rate: u32, said: &mut [i16]) {
        if !self.is_streaming() {
            return said.fill(0);
        }
        self.follow(rate);
        self.session.pull_pcm(now, said);
        if self.heard.is_sounding() {
            self.heard.fill(said);
        }
    }

    /// Ten milliseconds for the far end. `hide`: there is a key in it, which goes another way if there is one.
    pub fn push(&mut self, now: Instant, rate: u32, frame: &mut PcmFrame, hide: bool, packet: &mut [u8]) {
        if !self.is_streaming() {
            return;
        }
        self.follow(rate);
        let own = frame.samples_mut();
        if hide && self.keys_apart() {
            own.fill(0);
        }
        if self.tones.is_sounding() {
            self.tones.fill(own);
        }
        if let Some(length) = self.session.push_pcm(now, own, packet)
            && let Some(to) = self.session.destination()
        {
            transmit(&self.rtp, to, packet.get(..length).unwrap_or_default());
        }
    }

    /// What the room sounds like while nobody speaks in it, for peers who agreed on that.
    pub fn silence(&mut self, room: Option<RoomNoise>) {
        self.session.set_silence(room);
    }

    /// Whether the peer agreed to hear nothing while nobody speaks.
    pub fn saves_silence(&self) -> bool {
        self.session.config().is_some_and(|config| config.comfort_noise.is_some())
    }

    /// A fax or modem speaks on the line, or no more. Told once: the codec may have to change.
    pub fn data(&mut self, data: bool) {
        if !self.is_streaming() || self.is_data == data {
            return;
        }
        self.is_data = data;
        self.session.set_data(data);
        if let Some(call) = self.call.filter(|_| data) {
            let _ = self.reports.push_back(Report::Data { call });
        }
    }

    /// RTCP when it is due.
    pub fn report_to_peer(&mut self, now: Instant, packet: &mut [u8]) {
        if !self.is_streaming() {
            return;
        }
        if let Some(length) = self.session.rtcp(now, packet) {
            send(&self.rtcp, &self.rtp, &self.session, packet.get(..length).unwrap_or_default());
        }
    }

    /// A key for the far end. `sounded`: it was pressed as a tone, which is in the sound unless it was hidden.
    pub fn key(&mut self, key: Key, sounded: bool) {
        let Some(call) = self.call.filter(|_| self.is_streaming()) else { return };
        if self.session.send_key(key, KEY) {
            return;
        }
        if self.keys_by_signalling {
            let _ = self.reports.push_back(Report::KeyForSignalling { call, key });
        } else if !sounded {
            // Dialled in pulses, or by a program.
            self.tones.start(key, Some(KEY.as_millis() as u32));
        }
    }

    /// A key the far end reports by SIP INFO.
    pub fn heard_key(&mut self, key: Key, millis: u16) {
        if self.is_streaming() && !self.keys_as_events {
            let millis = if millis == 0 { INFO_KEY } else { millis };
            self.heard.start(key, Some(u32::from(millis.clamp(40, 2000))));
        }
    }

    /// A stream was agreed: the session lives.
    fn is_streaming(&self) -> bool {
        self.session.config().is_some()
    }

    /// Keys travel beside the sound.
    fn keys_apart(&self) -> bool {
        let events = self.session.config().is_some_and(|config| config.telephone_event.is_some());
        self.keys_by_signalling || events
    }

    /// Works at the rate of the line it is joined with: when its stream begins nobody may be.
    fn follow(&mut self, rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.tones = dtmf::Generator::new(Rate::from_hertz(rate).unwrap_or_default());
            self.heard = self.tones.clone();
            self.session.set_line_rate(rate);
        }
    }
}

/// RTCP from its own port, or from RTP's when they share one.
fn send(rtcp: &UdpSocket<'_>, rtp: &UdpSocket<'_>, session: &Session, packet: &[u8]) {
    let Some(to) = session.rtcp_destination() else { return };
    let shared = session.config().is_some_and(|config| config.rtcp_mux);
    transmit(if shared { rtp } else { rtcp }, to, packet);
}

/// What finds no room is lost, as late sound would be.
fn transmit(socket: &UdpSocket<'_>, to: SocketAddr, packet: &[u8]) {
    if let SocketAddr::V4(to) = to {
        let _ = send_now(socket, packet, to);
    }
}
