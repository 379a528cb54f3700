//! Each call over the network: what was offered, what was agreed, on which ports.
//!
//! SIP carries session descriptions without reading them, `dialtone_media` reads them without knowing calls: here they meet. [`Legs::take`]
//! reads what the user agent tells and says what follows for everybody; [`Legs::order`] puts the right description under an order.

use core::net::{IpAddr, Ipv4Addr};

use dialtone_base::telephony::{CallId, Key, Number};
use dialtone_base::{Random, Seed};
use dialtone_media::StreamConfig;
use dialtone_media::codec::Codec;
use dialtone_media::sdp::{Local, Negotiation, Refused};
use dialtone_phone::calls::Input;
use dialtone_sip::{self as sip, Body, Event, RegistrationState, Rejection};
use heapless::Vec;

use super::{facts, words};
use crate::media::SLOTS;
use crate::sip::VOICE_PORTS;
use crate::state::NumberView;

/// RTP ports begin here; SIP has the first of all.
const FIRST_RTP: u16 = VOICE_PORTS.0 + 4;
/// Pairs of ports.
const PORT_PAIRS: u16 = (VOICE_PORTS.1 - FIRST_RTP) / 2;
/// Numbers of all accounts together.
pub const NUMBERS: usize = sip::ACCOUNTS * sip::NUMBERS;

/// An order for the user agent; its description is the call's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Dial,
    Alert,
    Answer,
    Offer,
    Accept,
    Refuse,
    Reject(Rejection),
    Redirect(Number),
    HangUp,
    Transfer(Number),
    TransferTo(CallId),
    AcceptTransfer,
    RefuseTransfer,
    Key(Key),
}

/// What an event means for the others.
#[derive(Default)]
pub(super) struct News {
    /// For the exchange.
    pub told: Vec<Input, 3>,
    /// For the user agent.
    pub orders: Vec<(CallId, Order), 2>,
    /// For the voice path: agreed, or agreed anew.
    pub stream: Option<(CallId, StreamConfig)>,
    /// For the voice path: a call that needs ports.
    pub reserve: Option<(CallId, u16)>,
    /// For the voice path: a call that is over.
    pub released: Option<CallId>,
    /// For the voice path: the far end pressed a key.
    pub key: Option<(CallId, Key, u16)>,
    /// For people.
    pub note: Option<Note>,
}

/// A number's registration came or went.
pub(super) struct Note {
    pub account: u8,
    pub number: u8,
    pub up: bool,
    pub reason: &'static str,
}

/// All calls over the network.
pub(super) struct Legs {
    legs: Vec<Leg, SLOTS>,
    accounts: Vec<facts::Account, { sip::ACCOUNTS }>,
    registrations: Vec<NumberView, NUMBERS>,
    address: IpAddr,
    /// The widest line's.
    sample_rate: u32,
    random: Random,
}

struct Leg {
    call: CallId,
    account: u8,
    number: u8,
    to: Number,
    withhold: bool,
    referred: Option<CallId>,
    port: u16,
    negotiation: Negotiation,
    /// The answer to the caller's offer, not yet given.
    agreed: Option<StreamConfig>,
    held_by_peer: bool,
    /// What was agreed last.
    codec: Option<Codec>,
}

impl Legs {
    pub fn new(sample_rate: u32, seed: Seed) -> Self {
        Self {
            legs: Vec::new(),
            accounts: Vec::new(),
            registrations: Vec::new(),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            sample_rate,
            random: Random::new(seed),
        }
    }

    /// The accounts as they are set now; registrations start anew where numbers changed.
    pub fn configure(&mut self, accounts: Vec<facts::Account, { sip::ACCOUNTS }>) {
        let before = core::mem::take(&mut self.registrations);
        for (account, facts) in accounts.iter().enumerate() {
            for (number, text) in facts.numbers.iter().enumerate() {
                let same = |view: &&NumberView| {
                    (view.account, view.index) == (account as u8, number as u8) && view.number == *text
                };
                let view = before.iter().find(same).cloned().unwrap_or_else(|| NumberView {
                    account: account as u8,
                    index: number as u8,
                    number: text.clone(),
                    up: false,
                    state: "not registered yet",
                });
                // As many as all accounts can have.
                let _ = self.registrations.push(view);
            }
        }
        self.accounts = accounts;
    }

    /// Our address on the WAN: for the descriptions to come.
    pub fn set_address(&mut self, address: Option<Ipv4Addr>) {
        if let Some(address) = address {
            self.address = IpAddr::V4(address);
            for leg in &mut self.legs {
                leg.negotiation.local.address = self.address;
            }
        }
    }

    /// A new outgoing call with our offer ready; its RTP port. `None` when all places are taken, or there is no way out.
    #[allow(clippy::too_many_arguments)]
    pub fn dial(
        &mut self,
        call: CallId,
        account: u8,
        to: Number,
        from: Option<Number>,
        withhold: bool,
        referred: Option<CallId>,
        network: Option<Ipv4Addr>,
    ) -> Option<u16> {
        network?;
        let numbers = &self.accounts.get(usize::from(account))?.numbers;
        let number = from.and_then(|from| numbers.iter().position(|number| *number == from)).unwrap_or(0);
        let leg = self.leg(call, account, number as u8)?;
        (leg.to, leg.withhold, leg.referred) = (to, withhold, referred);
        leg.negotiation.offer().ok()?;
        Some(leg.port)
    }

    /// Says hold, or no more hold, in an offer to come; `false` when the call is none of ours.
    pub fn hold(&mut self, call: CallId, hold: bool) -> bool {
        let Some(leg) = self.find(call) else { return false };
        leg.negotiation.set_hold(hold);
        leg.negotiation.offer().is_ok()
    }

    /// A fax or modem speaks: from now on nothing but G.711, without comfort noise. Whether that needs a new offer.
    pub fn only_g711(&mut self, call: CallId) -> bool {
        let Some(leg) = self.find(call) else { return false };
        let carries = |codec: &Codec| matches!(codec, Codec::Pcma | Codec::Pcmu);
        let right = leg.codec.as_ref().is_some_and(carries) && !leg.negotiation.local.comfort_noise;
        leg.negotiation.local.codecs.retain(carries);
        if leg.negotiation.local.codecs.is_empty() {
            // Not among the household's choice, but there is no other way.
            leg.negotiation.local.codecs.extend([Codec::Pcma, Codec::Pcmu]);
        }
        leg.negotiation.local.comfort_noise = false;
        !right && leg.negotiation.offer().is_ok()
    }

    /// What was agreed with a caller, once.
    pub fn take_agreed(&mut self, call: CallId) -> Option<StreamConfig> {
        self.find(call)?.agreed.take()
    }

    /// Whether this call's keys go by SIP INFO when they cannot go with the sound.
    pub fn keys_by_signalling(&self, call: CallId) -> bool {
        let leg = self.legs.iter().find(|leg| leg.call == call);
        let account = leg.and_then(|leg| self.accounts.get(usize::from(leg.account)));
        account.is_some_and(|account| account.keys_by_signalling)
    }

    /// The text of a number.
    pub fn number(&self, account: u8, number: u8) -> Number {
        let numbers = self.accounts.get(usize::from(account)).map(|account| &account.numbers);
        numbers.and_then(|numbers| numbers.get(usize::from(number))).cloned().unwrap_or_default()
    }

    /// All numbers and whether they can be called.
    pub fn numbers(&self) -> &[NumberView] {
        &self.registrations
    }

    /// Forgets a call that never began; whether it was there.
    pub fn forget(&mut self, call: CallId) -> bool {
        let before = self.legs.len();
        self.legs.retain(|leg| leg.call != call);
        self.legs.len() != before
    }

    /// The order as the user agent wants it; `None` when its call is gone.
    pub fn order<'a>(&'a self, call: CallId, order: &'a Order) -> Option<sip::Order<'a>> {
        // A caller for whom there was no place has none here.
        if let Order::Reject(rejection) = order {
            return Some(sip::Order::Reject(*rejection));
        }
        let leg = self.legs.iter().find(|leg| leg.call == call)?;
        let body = || Body::sdp(leg.negotiation.text().as_bytes());
        Some(match order {
            Order::Dial => sip::Order::Dial {
                account: leg.account,
                number: leg.number,
                to: &leg.to,
                withhold: leg.withhold,
                offer: Some(body()),
                referred_by: leg.referred,
            },
            Order::Alert => sip::Order::Alert { body: None },
            Order::Answer => sip::Order::Answer { body: Some(body()) },
            Order::Offer => sip::Order::Offer(body()),
            Order::Accept => sip::Order::Accept(body()),
            Order::Refuse => sip::Order::Refuse,
            Order::Reject(rejection) => sip::Order::Reject(*rejection),
            Order::Redirect(to) => sip::Order::Redirect(to),
            Order::HangUp => sip::Order::HangUp,
            Order::Transfer(to) => sip::Order::Transfer(to),
            Order::TransferTo(other) => sip::Order::TransferTo(*other),
            Order::AcceptTransfer => sip::Order::AcceptTransfer,
            Order::RefuseTransfer => sip::Order::RefuseTransfer,
            Order::Key(key) => sip::Order::Key(*key),
        })
    }

    /// What an event means.
    pub fn take(&mut self, event: &Event<'_>) -> News {
        let mut news = News::default();
        match event {
            Event::Registration { account, number, state } => {
                self.registered(&mut news, *account, *number, *state);
            }
            Event::Incoming { call, account, number, called, from, alert, replaces, offer } => {
                match self.incoming(*call, *account, *number, *offer) {
                    Ok(port) => {
                        news.reserve = Some((*call, port));
                        news.tell(Input::Incoming {
                            call: *call,
                            account: *account,
                            called: called.clone(),
                            from: from.clone(),
                            alert: words::alert(alert),
                            replaces: *replaces,
                        });
                    }
                    Err(rejection) => news.order(*call, Order::Reject(rejection)),
                }
            }
            Event::Progress { call, progress, body } => {
                if let Some(body) = body {
                    // Early media that cannot be understood is not heard; the answer will tell.
                    news.stream = self.accept(*call, body).ok().map(|config| (*call, config));
                }
                news.tell(Input::Progress { call: *call, progress: words::progress(*progress) });
            }
            Event::Answered { call, body, by } => {
                if let Some(body) = body {
                    match self.accept(*call, body) {
                        Ok(config) => news.stream = Some((*call, config)),
                        Err(_) => return news.with_order(*call, Order::HangUp),
                    }
                }
                if let Some(party) = by {
                    news.tell(Input::Identified { call: *call, party: party.clone() });
                }
                news.tell(Input::Answered { call: *call });
            }
            Event::Established { call, body } => {
                if let Some(body) = body {
                    match self.accept(*call, body) {
                        Ok(config) => news.stream = Some((*call, config)),
                        Err(_) => news.order(*call, Order::HangUp),
                    }
                }
            }
            Event::Offer { call, body } => match self.answer(*call, body) {
                Ok((config, held)) => {
                    news.stream = Some((*call, config));
                    news.order(*call, Order::Accept);
                    if let Some(held) = held {
                        news.tell(Input::HeldByPeer { call: *call, held });
                    }
                }
                Err(_) => news.order(*call, Order::Refuse),
            },
            Event::OfferAnswered { call, body } => {
                // An answer that makes no sense leaves the stream as it was.
                news.stream = self.accept(*call, body).ok().map(|config| (*call, config));
            }
            Event::OfferRefused { call, status } => {
                dialtone_base::debug!("phone: {call}: our offer was refused with {status}");
            }
            Event::OfferWanted { call, .. } => {
                if self.find(*call).is_some_and(|leg| leg.negotiation.offer().is_ok()) {
                    news.order(*call, Order::Offer);
                }
            }
            Event::Ended { call, cause, status } => {
                news.released = self.forget(*call).then_some(*call);
                news.tell(Input::Ended { call: *call, cause: words::cause(*cause, *status) });
            }
            Event::TransferAsked { call, to, .. } => {
                news.tell(Input::TransferRequested { call: *call, to: to.clone() });
            }
            Event::TransferProgress { call, progress } => {
                news.tell(Input::Transfer { call: *call, progress: words::transfer(*progress) });
            }
            Event::Key { call, key, millis } => news.key = Some((*call, *key, *millis)),
            Event::MessageWaiting { account, waiting, new, .. } => {
                let new = if *waiting { (*new).max(1) } else { 0 };
                news.tell(Input::MessageWaiting { account: *account, new });
            }
        }
        news
    }

    fn registered(&mut self, news: &mut News, account: u8, number: u8, state: RegistrationState) {
        let was_up = |views: &[NumberView]| views.iter().any(|view| view.account == account && view.up);
        let before = was_up(&self.registrations);
        let up = state == RegistrationState::Up;
        let place =
            self.registrations.iter_mut().find(|view| (view.account, view.index) == (account, number));
        if let Some(view) = place {
            view.state = words::registration(state);
            if state != RegistrationState::Trying && view.up != up {
                view.up = up;
                news.note = Some(Note { account, number, up, reason: view.state });
            }
        }
        let after = was_up(&self.registrations);
        if before != after {
            news.tell(Input::Registration { account, up: after });
        }
    }

    /// A place for a caller, the answer to their offer ready; its RTP port.
    fn incoming(
        &mut self,
        call: CallId,
        account: u8,
        number: u8,
        offer: Option<Body<'_>>,
    ) -> Result<u16, Rejection> {
        let leg = self.leg(call, account, number).ok_or(Rejection::Busy)?;
        let ready = match offer {
            Some(offer) => leg.negotiation.answer(offer.bytes).map(|config| {
                leg.held_by_peer = !config.direction.sends();
                leg.codec = Some(config.codec);
                leg.agreed = Some(config);
            }),
            // Ours goes with the answer.
            None => leg.negotiation.offer().map(|_| ()),
        };
        let port = leg.port;
        match ready {
            Ok(()) => Ok(port),
            Err(_) => {
                // The rejection still needs the call's name, not its place.
                Err(Rejection::NotAcceptable)
            }
        }
    }

    /// The answer to our offer.
    fn accept(&mut self, call: CallId, body: &Body<'_>) -> Result<StreamConfig, Refused> {
        let leg = self.find(call).ok_or(Refused::NotOffered)?;
        let config = leg.negotiation.accept(body.bytes)?;
        leg.codec = Some(config.codec);
        Ok(config)
    }

    /// Answers an offer in a call; with whether it puts us on hold or takes us back, when that changed.
    fn answer(&mut self, call: CallId, body: &Body<'_>) -> Result<(StreamConfig, Option<bool>), Refused> {
        let leg = self.find(call).ok_or(Refused::NotOffered)?;
        let config = leg.negotiation.answer(body.bytes)?;
        leg.codec = Some(config.codec);
        let held = !config.direction.sends();
        let changed = (held != leg.held_by_peer).then_some(held);
        leg.held_by_peer = held;
        Ok((config, changed))
    }

    fn find(&mut self, call: CallId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.call == call)
    }

    /// A new leg on ports of its own.
    fn leg(&mut self, call: CallId, account: u8, number: u8) -> Option<&mut Leg> {
        if self.legs.is_full() {
            return None;
        }
        let facts = self.accounts.get(usize::from(account))?;
        // There are far more pairs than places.
        let start = self.random.below(u32::from(PORT_PAIRS)) as u16;
        let port = (0..PORT_PAIRS)
            .map(|step| FIRST_RTP + (start + step) % PORT_PAIRS * 2)
            .find(|port| self.legs.iter().all(|leg| leg.port != *port))?;
        let local = Local {
            address: self.address,
            rtp_port: port,
            rtcp_port: port + 1,
            rtcp_mux: true,
            codecs: facts.codecs.clone(),
            packet_time: facts.packet_time,
            telephone_event: facts.telephone_event,
            comfort_noise: facts.comfort_noise,
            sample_rate: self.sample_rate,
        };
        let negotiation = Negotiation::new(local, self.random.derive_seed());
        let leg = Leg {
            call,
            account,
            number,
            to: Number::new(),
            withhold: false,
            referred: None,
            port,
            negotiation,
            agreed: None,
            held_by_peer: false,
            codec: None,
        };
        self.legs.push(leg).ok()?;
        self.legs.last_mut()
    }
}

impl News {
    fn tell(&mut self, input: Input) {
        // No event means more than three things.
        let _ = self.told.push(input);
    }

    fn order(&mut self, call: CallId, order: Order) {
        let _ = self.orders.push((call, order));
    }

    fn with_order(mut self, call: CallId, order: Order) -> Self {
        self.order(call, order);
        self
    }
}
