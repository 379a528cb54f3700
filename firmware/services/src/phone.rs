//! The telephone: joins lines, calls, SIP and the voice path.
//!
//! ```text
//!   line: loop closes → Hook → Exchange ─ orders ─→ UserAgent → sockets (sip.rs)
//!          rings      ← Ringer ←   │               ← events ←
//!                                  └─ orders → voice path (media.rs)
//! ```
//! One task owns the engines of all lines and calls. Nothing here decides about a call: `engines/phone` does, `engines/sip` speaks of it,
//! and [`legs`] keeps for each call over the network what was offered and agreed. After every input all engines are drained
//! ([`PhoneService::settle`]); an order for one that is being drained waits until it is done.

mod facts;
mod keeper;
mod legs;
mod line;
mod words;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::task::Poll;

use dialtone_base::counter::Reason;
use dialtone_base::event::Event as Told;
use dialtone_base::telephony::{CallId, LineId};
use dialtone_base::text::Text;
use dialtone_base::{Instant, Random, Seed};
use dialtone_hal_api::line::{LineHandle, LoopTransition};
use dialtone_phone::calls::{self, CallOrder, Exchange, Input};
use dialtone_sip::{self as sip, Order, UserAgent, Via};
use embassy_futures::select::{Either, Either4, select, select4};
use heapless::Deque;

use crate::media::{self, MediaControl, Report};
use crate::sip::{Located, MESSAGE, SipDatagrams, SipDrop, SipSockets, StreamEvent, VOICE_PORTS};
use crate::state::{LineView, RouterState, now, wait_until};

use legs::Legs;
use line::LineSignals;

pub use keeper::{PhoneKeeper, run as keep};

/// Orders and reports between the engines that may wait within one turn.
const WAITING: usize = 64;

/// The telephone of a router.
pub struct PhoneService {
    state: &'static RouterState,
    exchange: Exchange,
    agent: UserAgent,
    lines: Vec<LineSignals>,
    legs: Legs,
    sockets: &'static SipSockets,
    datagrams: SipDatagrams,
    media: &'static MediaControl,
    keeper: &'static PhoneKeeper,
    instance: [u8; 16],
    to_exchange: Deque<Input, WAITING>,
    to_agent: Deque<(CallId, legs::Order), WAITING>,
    /// Connections for which there was no room, to be told of.
    unopened: Deque<sip::ConnectionId, { crate::sip::STREAMS }>,
    out: Box<[u8]>,
    exchange_deadline: Option<Instant>,
    agent_deadline: Option<Instant>,
    network: Option<Ipv4Addr>,
    clock_told: bool,
}

/// What woke the task. One at a time.
#[allow(clippy::large_enum_variant)]
enum Woken {
    Datagram(usize, SocketAddrV4),
    Stream(StreamEvent),
    Located(Located),
    Report(Report),
    Loop(usize, LoopTransition),
    Settings,
    Wan,
    Time,
}

impl PhoneService {
    /// Makes the engines; takes all memory they need.
    pub fn new(
        lines: &[LineHandle],
        sockets: &'static SipSockets,
        media: &'static MediaControl,
        keeper: &'static PhoneKeeper,
        seed: Seed,
        state: &'static RouterState,
    ) -> Self {
        let mut random = Random::new(seed);
        // The same for as long as the router runs; operators see a new device after a restart.
        let instance = crate::sip::instance(random.derive_seed());
        let config = facts::agent(None, instance);
        let rate = lines.iter().map(|line| line.info.sample_rate).max().unwrap_or(8000);
        Self {
            state,
            exchange: Exchange::new(Box::new(facts::exchange(None, lines.len()))),
            agent: UserAgent::new(config, random.derive_seed()),
            lines: lines
                .iter()
                .enumerate()
                .map(|(index, handle)| LineSignals::new(LineId(index as u8), handle))
                .collect(),
            legs: Legs::new(rate, random.derive_seed()),
            sockets,
            datagrams: sockets.datagrams(VOICE_PORTS.0),
            media,
            keeper,
            instance,
            to_exchange: Deque::new(),
            to_agent: Deque::new(),
            unopened: Deque::new(),
            out: vec![0; MESSAGE].into_boxed_slice(),
            exchange_deadline: None,
            agent_deadline: None,
            network: None,
            clock_told: false,
        }
    }

    /// Never ends.
    pub async fn run(mut self) -> ! {
        let mut settings = self.state.watch_settings();
        let mut wan = self.state.watch_wan();
        let mut datagram = vec![0; MESSAGE].into_boxed_slice();
        self.keeper.restored().await;
        let log = critical_section::with(|token| self.state.call_log.borrow_ref(token).clone());
        self.exchange.restore(&log);
        drop(log);
        loop {
            self.settle().await;
            self.publish();
            let deadline = self.deadline();
            let lines = &self.lines;
            let transition = poll_fn(|context| {
                for (index, line) in lines.iter().enumerate() {
                    if let Poll::Ready(transition) = line.poll_transition(context) {
                        return Poll::Ready((index, transition));
                    }
                }
                Poll::Pending
            });
            let network = select4(
                self.datagrams.receive(&mut datagram),
                self.sockets.events.receive(),
                self.sockets.located.receive(),
                self.media.reports.receive(),
            );
            let home = select4(transition, settings.changed(), wan.changed(), wait_until(deadline));
            let woken = match select(network, home).await {
                Either::First(Either4::First((length, from))) => Woken::Datagram(length, from),
                Either::First(Either4::Second(event)) => Woken::Stream(event),
                Either::First(Either4::Third(located)) => Woken::Located(located),
                Either::First(Either4::Fourth(report)) => Woken::Report(report),
                Either::Second(Either4::First((index, transition))) => Woken::Loop(index, transition),
                Either::Second(Either4::Second(_)) => Woken::Settings,
                Either::Second(Either4::Third(_)) => Woken::Wan,
                Either::Second(Either4::Fourth(())) => Woken::Time,
            };
            self.take(woken, &datagram).await;
        }
    }

    /// One input for one engine.
    async fn take(&mut self, woken: Woken, datagram: &[u8]) {
        let now = now();
        match woken {
            Woken::Datagram(length, from) => {
                let bytes = datagram.get(..length).unwrap_or_default();
                // A refusal is counted by the engine, and answered where an answer is due.
                let _ = self.agent.handle(now, sip::Input::Datagram { from, bytes });
            }
            Woken::Stream(StreamEvent::Connected { connection, local }) => {
                let _ = self.agent.handle(now, sip::Input::Connected { connection, local });
            }
            Woken::Stream(StreamEvent::Bytes { connection, bytes }) => {
                let _ = self.agent.handle(now, sip::Input::Stream { connection, bytes: &bytes });
            }
            Woken::Stream(StreamEvent::Closed { connection }) => {
                let _ = self.agent.handle(now, sip::Input::Closed { connection });
            }
            Woken::Located(located) => {
                let (query, answer) = (located.query, located.answer());
                let _ = self.agent.handle(now, sip::Input::Located { query, answer });
            }
            Woken::Report(report) => self.take_report(report),
            Woken::Loop(index, transition) => {
                if let Some(line) = self.lines.get_mut(index) {
                    line.transition(now, transition);
                }
            }
            Woken::Settings => self.configure(now).await,
            Woken::Wan => self.follow_network(now),
            Woken::Time => {
                let _ = self.agent.handle(now, sip::Input::Tick);
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Key { line, key } => {
                self.tell_exchange(Input::Line { line, event: calls::LineEvent::Key(key) });
            }
            Report::Data { call } => {
                dialtone_base::info!("phone: a fax or modem speaks in {call}");
                if self.legs.only_g711(call) {
                    self.tell_agent(call, legs::Order::Offer);
                }
            }
            Report::KeyForSignalling { call, key } => self.tell_agent(call, legs::Order::Key(key)),
            // SIP's session timer decides whether the call is dead; silence alone may be a mute peer.
            Report::Silent { call } => dialtone_base::warn!("phone: no sound comes in {call}"),
            Report::Finished { call, quality } => {
                if let Some(quality) = quality {
                    self.keeper.rate(call, quality);
                }
            }
        }
    }

    /// New settings: for the exchange, the user agent, the lines and the voice path.
    async fn configure(&mut self, now: Instant) {
        let Some(settings) = self.state.current_settings() else { return };
        let telephony = &settings.telephony;
        self.tell_exchange(Input::Configure(Box::new(facts::exchange(Some(telephony), self.lines.len()))));
        let config = facts::agent(Some(telephony), self.instance);
        let _ = self.agent.handle(now, sip::Input::Configure(&config));
        self.legs.configure(facts::accounts(telephony));
        for line in &mut self.lines {
            let setup = facts::line(telephony, line.id.index());
            line.set_up(setup);
            self.media.orders.send(media::Order::Setup { line: line.id, setup: setup.sound }).await;
        }
        self.follow_network(now);
    }

    /// The WAN came, went, or has another address.
    fn follow_network(&mut self, now: Instant) {
        let address = self.state.current_wan().address.map(|prefix| prefix.address());
        if self.network != address {
            self.network = address;
            self.legs.set_address(address);
            let _ = self.agent.handle(now, sip::Input::Network { local: address });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let lines = self.lines.iter().filter_map(LineSignals::deadline);
        lines.chain(self.exchange_deadline).chain(self.agent_deadline).min()
    }

    /// Drains all engines, over and over until none has more to say.
    async fn settle(&mut self) {
        if !self.clock_told
            && let Some(unix) = self.state.unix_time()
        {
            self.clock_told = true;
            self.tell_exchange(Input::Clock(unix));
        }
        loop {
            let now = now();
            self.drain_exchange(now).await;
            self.drain_agent(now).await;
            // Last, because the exchange's orders make bells ring.
            self.drain_lines(now).await;
            if let Some(input) = self.to_exchange.pop_front() {
                if !matches!(input, Input::Configure(_)) {
                    dialtone_base::debug!("phone: {input:?}");
                }
                // Late news about a call that is over; counted by the engine.
                let _ = self.exchange.handle(now, input);
            } else if let Some((call, order)) = self.to_agent.pop_front() {
                self.order(now, call, &order).await;
            } else {
                return;
            }
        }
    }

    async fn drain_lines(&mut self, now: Instant) {
        for index in 0..self.lines.len() {
            while let Some(line) = self.lines.get_mut(index) {
                match line.poll(now) {
                    Some(line::Output::Event(event)) => {
                        let line = line.id;
                        self.tell_exchange(Input::Line { line, event });
                    }
                    Some(line::Output::Sound(order)) => self.media.orders.send(order).await,
                    None => break,
                }
            }
        }
    }

    async fn drain_exchange(&mut self, now: Instant) {
        loop {
            let output = self.exchange.poll(now);
            if !matches!(output, calls::Output::Wait(_)) {
                dialtone_base::debug!("phone: {output:?}");
            }
            match output {
                calls::Output::Line { line, order } => {
                    if let Some(line) = self.lines.iter_mut().find(|it| it.id == line)
                        && let Some(order) = line.order(now, order)
                    {
                        self.media.orders.send(order).await;
                    }
                }
                calls::Output::Connect { line, with } => {
                    let with: heapless::Vec<_, 2> = with.into_iter().map(words::voice).collect();
                    if let Some(line) = self.lines.iter_mut().find(|it| it.id == line) {
                        line.set_talking(!with.is_empty());
                    }
                    self.media.orders.send(media::Order::Connect { line, with }).await;
                }
                calls::Output::Call { call, order } => self.order_call(call, order).await,
                calls::Output::Change(change) => self.keeper.change(change),
                calls::Output::Began { line, number, incoming } => {
                    self.state.note(Told::CallBegan { line, number, incoming });
                }
                calls::Output::Log { call, entry } => {
                    self.state.note(words::ended(&entry));
                    self.keeper.log(call, entry);
                }
                calls::Output::Wait(deadline) => {
                    self.exchange_deadline = deadline;
                    return;
                }
            }
        }
    }

    /// What the exchange wants of a call over the network.
    async fn order_call(&mut self, call: CallId, order: CallOrder) {
        match order {
            CallOrder::Dial { account, to, from, withhold, emergency: _, referred } => {
                match self.legs.dial(call, account, to, from, withhold, referred, self.network) {
                    Some(port) => {
                        self.media.orders.send(media::Order::Reserve { call, port }).await;
                        if let Some(by) = referred {
                            self.tell_agent(by, legs::Order::AcceptTransfer);
                        }
                        self.tell_agent(call, legs::Order::Dial);
                    }
                    None => {
                        let cause = calls::Cause::Congestion;
                        self.tell_exchange(Input::Ended { call, cause });
                    }
                }
            }
            CallOrder::Hold | CallOrder::Resume => {
                if self.legs.hold(call, order == CallOrder::Hold) {
                    self.tell_agent(call, legs::Order::Offer);
                }
            }
            CallOrder::Answer => {
                if let Some(config) = self.legs.take_agreed(call) {
                    self.stream(call, config).await;
                }
                self.tell_agent(call, legs::Order::Answer);
            }
            CallOrder::Key(key) => self.media.orders.send(media::Order::Key { call, key }).await,
            CallOrder::Alert => self.tell_agent(call, legs::Order::Alert),
            CallOrder::Reject(cause) => self.tell_agent(call, legs::Order::Reject(words::rejection(cause))),
            CallOrder::Redirect(to) => self.tell_agent(call, legs::Order::Redirect(to)),
            CallOrder::HangUp => self.tell_agent(call, legs::Order::HangUp),
            CallOrder::Transfer(to) => self.tell_agent(call, legs::Order::Transfer(to)),
            CallOrder::TransferTo(other) => self.tell_agent(call, legs::Order::TransferTo(other)),
            CallOrder::RefuseTransfer => self.tell_agent(call, legs::Order::RefuseTransfer),
        }
    }

    async fn stream(&mut self, call: CallId, config: dialtone_media::StreamConfig) {
        let keys_by_signalling = self.legs.keys_by_signalling(call);
        let order = media::Order::Stream { call, config, keys_by_signalling };
        self.media.orders.send(order).await;
    }

    async fn drain_agent(&mut self, now: Instant) {
        loop {
            let event = match self.agent.poll(now, &mut self.out) {
                sip::Output::Transmit { via, length } => {
                    let message = self.out.get(..length).unwrap_or_default();
                    match via {
                        Via::Udp { to } => self.datagrams.send(to, message),
                        Via::Stream { connection } => {
                            if let Err(reason) = self.sockets.send(connection, message) {
                                self.datagrams.count(reason);
                            }
                        }
                    }
                    continue;
                }
                sip::Output::Connect { connection, to } => {
                    if !self.sockets.connect(connection, to) {
                        self.datagrams.count(SipDrop::NoConnection);
                        self.unopened.push_back(connection).ok();
                    }
                    continue;
                }
                sip::Output::Close { connection } => {
                    self.sockets.close(connection);
                    continue;
                }
                sip::Output::Locate { query, name, kind } => {
                    if !self.sockets.locate(query, name, kind) {
                        self.datagrams.count(SipDrop::NoQuestion);
                    }
                    continue;
                }
                sip::Output::Wait(deadline) => {
                    self.agent_deadline = deadline;
                    // Connections for which there was no room are told of once the engine is drained.
                    let Some(connection) = self.unopened.pop_front() else { return };
                    let _ = self.agent.handle(now, sip::Input::Closed { connection });
                    continue;
                }
                sip::Output::Event(event) => self.legs.take(&event),
            };
            self.follow(event).await;
        }
    }

    /// What an event of the user agent means for the others, bodies already read.
    async fn follow(&mut self, news: legs::News) {
        let legs::News { told, orders, stream, reserve, released, key, note } = news;
        if let Some((call, port)) = reserve {
            self.media.orders.send(media::Order::Reserve { call, port }).await;
        }
        if let Some((call, config)) = stream {
            self.stream(call, config).await;
        }
        if let Some(call) = released {
            self.media.orders.send(media::Order::Release { call }).await;
        }
        if let Some((call, key, millis)) = key {
            self.media.orders.send(media::Order::HeardKey { call, key, millis }).await;
        }
        for order in orders {
            self.tell_agent(order.0, order.1);
        }
        for input in told {
            self.tell_exchange(input);
        }
        if let Some(note) = note {
            self.note(note);
        }
    }

    async fn order(&mut self, now: Instant, call: CallId, order: &legs::Order) {
        let Some(order) = self.legs.order(call, order) else { return };
        let hang_up = matches!(order, Order::HangUp);
        let dial = matches!(order, Order::Dial { .. });
        let refusal = matches!(order, Order::Reject(_) | Order::Redirect(_));
        if let Err(reason) = self.agent.handle(now, sip::Input::Order { call, order }) {
            dialtone_base::debug!("phone: {call}: {}", dialtone_base::counter::Reason::name(reason));
            if dial || hang_up {
                // It never began, or is gone already.
                let cause = words::refused_dial(reason);
                self.forget(call).await;
                self.tell_exchange(Input::Ended { call, cause });
            }
        } else if refusal {
            self.forget(call).await;
        }
    }

    async fn forget(&mut self, call: CallId) {
        if self.legs.forget(call) {
            self.media.orders.send(media::Order::Release { call }).await;
        }
    }

    fn note(&self, note: legs::Note) {
        let number = self.number(note.account, note.number);
        self.state.note(Told::Registration { number, up: note.up, reason: note.reason });
    }

    fn number(&self, account: u8, number: u8) -> dialtone_base::telephony::Number {
        self.legs.number(account, number)
    }

    fn tell_exchange(&mut self, input: Input) {
        if self.to_exchange.push_back(input).is_err() {
            dialtone_base::warn!("phone: too much happens at once");
        }
    }

    fn tell_agent(&mut self, call: CallId, order: legs::Order) {
        if self.to_agent.push_back((call, order)).is_err() {
            dialtone_base::warn!("phone: too much happens at once");
        }
    }

    /// Shows lines and numbers to whoever looks.
    fn publish(&self) {
        critical_section::with(|token| {
            let mut lines = self.state.lines.borrow_ref_mut(token);
            lines.resize_with(self.lines.len(), || LineView {
                name: Text::new(),
                state: "",
                losses: Vec::new(),
            });
            for (view, line) in lines.iter_mut().zip(&self.lines) {
                *view = line.view();
            }
            let mut numbers = self.state.numbers.borrow_ref_mut(token);
            if numbers.as_slice() != self.legs.numbers() {
                *numbers = self.legs.numbers().to_vec();
            }
            let mut refusals = self.state.telephony_refusals.borrow_ref_mut(token);
            refusals.clear();
            let agent = self.agent.counters().iter().map(|(reason, count)| (reason.name(), count));
            let exchange = self.exchange.rejections().iter().map(|(reason, count)| (reason.name(), count));
            let sent = self.datagrams.drops().iter().map(|(reason, count)| (reason.name(), count));
            refusals.extend(agent.chain(exchange).chain(sent).filter(|(_, count)| *count > 0));
        });
    }
}
