//! The voice path: every 10 ms from the handset to the network and back.
//!
//! ```text
//!  handset → Ear: echo canceller → keys heard and hidden → gain ─┬→ Slot: Session → RTP → socket
//!                                                                 └→ the other line, the other call (conference)
//!  socket → RTP → Slot: Session: jitter, loss, decoder ─┬→ gain → tones, caller id → handset
//!  ```
//! One task, in step with the lines' converters. It takes [`Order`]s from the phone service and gives [`Report`]s, and never waits for
//! either: what is decided about a call is `phone.rs`'s. After start it allocates nothing. Does not read SDP and does not
//! know SIP.

mod ear;
mod slot;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};

use dialtone_base::telephony::{CallId, Key, LineId};
use dialtone_base::{Random, Seed};
use dialtone_hal_api::line::{LineHandle, PcmFrame};
use dialtone_media::StreamConfig;
use dialtone_media::codec::CodecPool;
use dialtone_phone::Country;
use dialtone_phone::caller_id::{CallWaiting, Transmission};
use dialtone_phone::tone::Tone;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;

use crate::stack::ZoneNet;
use crate::state::now;
use ear::Ear;
use slot::Slot;

pub use slot::{Quality, SLOT_SOCKETS};

/// Calls over the network whose sound flows at the same time.
pub const SLOTS: usize = 4;
/// Orders and reports that may wait.
const WAITING: usize = 32;
/// Most samples of a frame.
const FRAME: usize = dialtone_hal_api::line::MOST_SAMPLES;

/// What the phone service wants of the voice path.
#[allow(clippy::large_enum_variant)]
pub enum Order {
    /// How a line sounds.
    Setup {
        /// Which.
        line: LineId,
        /// How.
        setup: LineSetup,
    },
    /// Plays a tone to the handset until something else is ordered. Calls are not heard meanwhile.
    Tone {
        /// To which.
        line: LineId,
        /// Which tone.
        tone: Tone,
    },
    /// Plays nothing: calls are heard.
    Quiet {
        /// On which line.
        line: LineId,
    },
    /// Sends who calls while the line rings.
    CallerId {
        /// To which.
        line: LineId,
        /// Made ready.
        transmission: Transmission,
    },
    /// Tells who calls into a call.
    CallWaiting {
        /// To which.
        line: LineId,
        /// Made ready.
        waiting: CallWaiting,
    },
    /// One call-waiting tone into the call, without a name.
    CallWaitingAgain {
        /// To which.
        line: LineId,
    },
    /// Joins a line with these; nothing: it is alone.
    Connect {
        /// Which.
        line: LineId,
        /// With whom.
        with: heapless::Vec<Voice, 2>,
    },
    /// Sets a slot apart for a call and opens its ports: RTP on `port`, RTCP on the next.
    Reserve {
        /// Which call.
        call: CallId,
        /// An even port of the WAN.
        port: u16,
    },
    /// What was agreed for a call, for the first time or anew.
    Stream {
        /// Which.
        call: CallId,
        /// What.
        config: StreamConfig,
        /// Keys the peer takes neither as events nor in the sound go back as [`Report::KeyForSignalling`].
        keys_by_signalling: bool,
    },
    /// A key for the far end of a call.
    Key {
        /// Which call.
        call: CallId,
        /// Which key.
        key: Key,
    },
    /// The far end says by signalling that it pressed a key: the handset hears its tone.
    HeardKey {
        /// In which call.
        call: CallId,
        /// Which key.
        key: Key,
        /// How long, in milliseconds; 0 when it did not say.
        millis: u16,
    },
    /// The call is over: its slot is free, its quality is reported.
    Release {
        /// Which.
        call: CallId,
    },
}

/// Whom a line is joined with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Somebody over the network.
    Call(CallId),
    /// Another line of the house.
    Line(LineId),
}

/// How a line sounds.
#[derive(Clone, Copy, Debug)]
pub struct LineSetup {
    /// Whose tones.
    pub country: &'static Country,
    /// Towards the far end, in decibels.
    pub transmit_gain: i8,
    /// Towards the handset, in decibels.
    pub receive_gain: i8,
    /// Cancel the line's echo.
    pub echo_canceller: bool,
}

/// What the voice path tells the phone service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report {
    /// A key was pressed at a handset.
    Key {
        /// On which line.
        line: LineId,
        /// Which.
        key: Key,
    },
    /// A key could not go with the sound: send it by SIP INFO.
    KeyForSignalling {
        /// In which call.
        call: CallId,
        /// Which.
        key: Key,
    },
    /// A fax or modem speaks: only G.711 carries it.
    Data {
        /// In which call.
        call: CallId,
    },
    /// No RTP comes any more.
    Silent {
        /// In which call.
        call: CallId,
    },
    /// A call's slot was released; how it sounded, when it ever did.
    Finished {
        /// Which.
        call: CallId,
        /// How it sounded.
        quality: Option<Quality>,
    },
}

/// The two queues between the phone service and the voice path.
pub struct MediaControl {
    /// Down.
    pub orders: Channel<CriticalSectionRawMutex, Order, WAITING>,
    /// Up. A report that finds no room is lost: the phone service is alive as long as anything is.
    pub reports: Channel<CriticalSectionRawMutex, Report, WAITING>,
}

/// The voice path of a router.
pub struct MediaService {
    control: &'static MediaControl,
    ears: Vec<Ear>,
    slots: Box<[Slot]>,
    random: Random,
    packet: Box<[u8]>,
}

impl MediaControl {
    /// Made once, for the lifetime of the program.
    pub fn leak() -> &'static Self {
        Box::leak(Box::new(Self { orders: Channel::new(), reports: Channel::new() }))
    }
}

impl MediaService {
    /// Takes all memory the voice path ever needs.
    pub fn new(lines: &[LineHandle], wan: ZoneNet, control: &'static MediaControl, seed: Seed) -> Self {
        let mut random = Random::new(seed);
        let rate = lines.iter().map(|line| line.info.sample_rate).max().unwrap_or(8000);
        let pool = CodecPool::new(rate, SLOTS);
        Self {
            control,
            ears: lines.iter().enumerate().map(|(index, line)| Ear::new(LineId(index as u8), line)).collect(),
            slots: (0..SLOTS).map(|_| Slot::new(&wan, &pool, random.derive_seed())).collect(),
            random,
            packet: alloc::vec![0; slot::PACKET].into_boxed_slice(),
        }
    }

    /// Never ends.
    pub async fn run(mut self) -> ! {
        match poll_fn(|context| self.turn(context)).await {}
    }

    /// Does what there is to do; everything that may bring more knows `context`.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<core::convert::Infallible> {
        while let Poll::Ready(order) = self.control.orders.poll_receive(context) {
            self.obey(order);
        }
        for slot in &mut self.slots {
            slot.receive(context, &mut self.packet);
        }
        for index in 0..self.ears.len() {
            while let Some(Poll::Ready(captured)) = self.ears.get(index).map(|ear| ear.poll_captured(context))
            {
                self.frame(index, captured);
            }
        }
        for slot in &mut self.slots {
            while let Some(report) = slot.poll_report() {
                let _ = self.control.reports.try_send(report);
            }
        }
        Poll::Pending
    }

    /// Ten milliseconds of one line.
    fn frame(&mut self, index: usize, mut captured: PcmFrame) {
        let now = now();
        let (packet, slots) = (&mut self.packet, &mut self.slots);
        let Some(ear) = self.ears.get_mut(index) else { return };
        let (id, rate) = (ear.id, ear.rate());
        ear.listen(captured.samples_mut());
        while let Some(key) = ear.next_key() {
            let _ = self.control.reports.try_send(Report::Key { line: id, key });
        }
        let with = ear.with.clone();
        let length = captured.samples().len();
        if ear.is_data() {
            captured.samples_mut().fill(0);
        }

        let modem = ear.is_modem();
        // Only with one at the other end: of two, each hears the other through this line.
        let silence = match with.as_slice() {
            [Voice::Call(call)] if slot_of(slots, *call).is_some_and(|slot| slot.saves_silence()) => {
                ear.silence(captured.samples())
            }
            _ => None,
        };
        // What each of those joined says.
        let mut said = [[0i16; FRAME]; 2];
        for (voice, said) in with.iter().zip(&mut said) {
            let Some(said) = said.get_mut(..length) else { continue };
            match voice {
                Voice::Call(call) => {
                    if let Some(slot) = slot_of(slots, *call) {
                        slot.pull(now, rate, said);
                    }
                }
                Voice::Line(_) => ear.pull_from_line(said),
            }
        }
        // Each hears the line and the other.
        for (position, voice) in with.iter().enumerate() {
            let mut out = captured;
            let other = said.get(1 - position.min(1)).filter(|_| with.len() == 2);
            if let Some(other) = other {
                add(out.samples_mut(), other);
            }
            match voice {
                Voice::Call(call) => {
                    if let Some(slot) = slot_of(slots, *call) {
                        let hide = self.ears.get(index).is_some_and(Ear::hides);
                        slot.data(modem);
                        slot.silence(silence.clone());
                        slot.push(now, rate, &mut out, hide, packet);
                    }
                }
                Voice::Line(other) => {
                    if let Some(ear) = self.ears.iter_mut().find(|ear| ear.id == *other) {
                        ear.push_from_line(&out);
                    }
                }
            }
        }
        let [first, second] = &mut said;
        add(first, second);
        if let Some(ear) = self.ears.get_mut(index) {
            ear.play(first.get(..length).unwrap_or_default());
        }
        for slot in slots {
            slot.report_to_peer(now, packet);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Setup { line, setup } => self.ear(line, |ear| ear.set_up(setup)),
            Order::Tone { line, tone } => self.ear(line, |ear| ear.tone(tone)),
            Order::Quiet { line } => self.ear(line, Ear::quiet),
            Order::CallerId { line, transmission } => self.ear(line, |ear| ear.caller_id(transmission)),
            Order::CallWaiting { line, waiting } => self.ear(line, |ear| ear.call_waiting(waiting)),
            Order::CallWaitingAgain { line } => self.ear(line, Ear::call_waiting_again),
            Order::Connect { line, with } => self.ear(line, |ear| ear.connect(with)),
            Order::Reserve { call, port } => {
                let taken = self.slots.iter().any(|slot| slot.call() == Some(call));
                let free = self.slots.iter_mut().find(|slot| slot.call().is_none());
                match free {
                    Some(slot) if !taken => slot.reserve(call, port),
                    // The phone service counts its calls: there is a slot for each.
                    _ => dialtone_base::warn!("media: no slot for {call}"),
                }
            }
            Order::Stream { call, config, keys_by_signalling } => {
                // Of the line that is joined; a slot follows when one is joined later.
                let seed = self.random.derive_seed();
                let rate = self.rate_of(call);
                if let Some(slot) = slot_of(&mut self.slots, call) {
                    slot.stream(now(), config, rate, keys_by_signalling, seed);
                }
            }
            Order::Key { call, key } => {
                let sounded = self.ears.iter_mut().any(|ear| ear.joined(call) && ear.take_sounded(key));
                if let Some(slot) = slot_of(&mut self.slots, call) {
                    slot.key(key, sounded);
                }
            }
            Order::HeardKey { call, key, millis } => {
                if let Some(slot) = slot_of(&mut self.slots, call) {
                    slot.heard_key(key, millis);
                }
            }
            Order::Release { call } => {
                if let Some(slot) = slot_of(&mut self.slots, call) {
                    let quality = slot.release(now(), &mut self.packet);
                    let _ = self.control.reports.try_send(Report::Finished { call, quality });
                }
            }
        }
    }

    fn ear(&mut self, line: LineId, what: impl FnOnce(&mut Ear)) {
        if let Some(ear) = self.ears.iter_mut().find(|ear| ear.id == line) {
            what(ear);
        }
    }

    fn rate_of(&self, call: CallId) -> u32 {
        let joined = self.ears.iter().find(|ear| ear.joined(call)).map(Ear::rate);
        joined.unwrap_or_else(|| self.ears.iter().map(Ear::rate).max().unwrap_or(8000))
    }
}

/// The slot of a call.
fn slot_of(slots: &mut [Slot], call: CallId) -> Option<&mut Slot> {
    slots.iter_mut().find(|slot| slot.call() == Some(call))
}

/// Sums, saturating.
fn add(to: &mut [i16], more: &[i16]) {
    for (to, more) in to.iter_mut().zip(more) {
        *to = to.saturating_add(*more);
    }
}
